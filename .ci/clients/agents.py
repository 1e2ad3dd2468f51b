"""Coding agents run headless through Farebox against a scripted upstream, and finish a task with a tool."""

import os
import subprocess
import tempfile

AGENT_S_MAX = 120


def claude_code(stack, script, model, home):
    """Claude Code writes a file by its own tool; every turn is on the books."""
    with tempfile.TemporaryDirectory() as work:
        target = os.path.join(work, "hello.txt")
        script.begin(("Write", {"file_path": target, "content": "hello\n"}))
        env = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "ANTHROPIC_BASE_URL": stack.origin,
            "ANTHROPIC_API_KEY": stack.key,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        if not model.startswith("anthropic/"):
            # It may say how hard to think, which not every model can be told.
            env["ANTHROPIC_CUSTOM_HEADERS"] = "x-farebox-drop-params: true"
        command = [os.path.join(os.environ["FAREBOX_NODE_MODULES"], ".bin", "claude"), "-p", "Write hello.txt",
                   "--model", model, "--allowedTools", "Write", "--permission-mode", "acceptEdits",
                   "--output-format", "json"]
        run = subprocess.run(command, cwd=work, env=env, text=True, capture_output=True, timeout=AGENT_S_MAX,
                             stdin=subprocess.DEVNULL, check=False)
        assert run.returncode == 0, (run.stdout[-2000:], run.stderr[-2000:])
        assert script.done in run.stdout, run.stdout[-2000:]
        with open(target, encoding="utf-8") as written:
            assert written.read() == "hello\n"
        assert len(script.asked) >= 2, "the task took no second turn"
        rows = stack.rows(len(script.asked))
        assert all(row["outcome"] == "settled" for row in rows), rows


CODEX_CONFIG = """
model_provider = "farebox"

[model_providers.farebox]
name = "Farebox"
base_url = "{origin}/v1"
env_key = "FAREBOX_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
{more}
"""
# Codex offers a search that only a provider of responses can run.
DROPPED = 'http_headers = { "x-farebox-drop-params" = "true" }'


def codex(stack, script, model, home):
    """Codex writes a file by a command of its shell tool; every turn is on the books."""
    with tempfile.TemporaryDirectory() as work:
        target = os.path.join(work, "hello.txt")
        script.begin(("exec_command", {"cmd": "printf 'hello\\n' > hello.txt"}))
        folder = os.path.join(home, ".codex")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "config.toml"), "w", encoding="utf-8") as config:
            config.write(CODEX_CONFIG.format(origin=stack.origin, more="" if model.startswith("openai/") else DROPPED))
        env = {"PATH": os.environ["PATH"], "HOME": home, "CODEX_HOME": folder, "FAREBOX_KEY": stack.key}
        # The folder is all that there is to lose, and not every CI has what a sandbox needs.
        command = [os.path.join(os.environ["FAREBOX_NODE_MODULES"], ".bin", "codex"), "exec", "--model", model,
                   "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "Write hello.txt"]
        run = subprocess.run(command, cwd=work, env=env, text=True, capture_output=True, timeout=AGENT_S_MAX,
                             stdin=subprocess.DEVNULL, check=False)
        assert run.returncode == 0, (run.stdout[-2000:], run.stderr[-2000:])
        assert script.done in run.stdout, (run.stdout[-2000:], run.stderr[-2000:])
        with open(target, encoding="utf-8") as written:
            assert written.read() == "hello\n"
        assert len(script.asked) >= 2, "the task took no second turn"
        rows = stack.rows(len(script.asked))
        assert all(row["outcome"] == "settled" for row in rows), rows
