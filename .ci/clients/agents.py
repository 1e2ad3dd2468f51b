"""Coding agents run headless through Farebox against a scripted upstream, and finish a task of several steps: a tool,
then two at once, one of which fails."""

import os
import subprocess
import tempfile

import documented

AGENT_S_MAX = 120


def saw_steps(script):
    """Each step was a turn of its own, and the second one's results are those of the files there are and are not."""
    assert len(script.asked) >= 3, f"{len(script.asked)} turns"
    assert sorted(script.results) == [(0, 0), (1, 0), (1, 1)], script.results
    assert "hello" in script.results[1, 0] and "hello" not in script.results[1, 1], script.results
    assert script.results[1, 1].strip(), "the tool that failed says nothing"


def claude_code(stack, script, model, home):
    """Claude Code writes a file by its own tool; every turn is on the books."""
    with tempfile.TemporaryDirectory() as work:
        target = os.path.join(work, "hello.txt")
        missing = os.path.join(work, "missing.txt")
        steps = [[("Write", {"file_path": target, "content": "hello\n"})],
                 [("Read", {"file_path": target}), ("Read", {"file_path": missing})]]
        script.begin(steps, typed=not model.startswith("anthropic/"))
        env = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        env |= documented.exports(documented.filled(documented.of("Claude Code", "sh"), stack))
        if not model.startswith("anthropic/"):
            # It may say how hard to think, which not every model can be told.
            env |= documented.exports(documented.of("Claude Code", "sh", 1))
        command = [os.path.join(os.environ["FAREBOX_NODE_MODULES"], ".bin", "claude"), "-p", "Write hello.txt",
                   "--model", model, "--allowedTools", "Write,Read", "--permission-mode", "acceptEdits",
                   "--output-format", "json"]
        run = subprocess.run(command, cwd=work, env=env, text=True, capture_output=True, timeout=AGENT_S_MAX,
                             stdin=subprocess.DEVNULL, check=False)
        assert run.returncode == 0, (run.stdout[-2000:], run.stderr[-2000:])
        assert script.done in run.stdout, run.stdout[-2000:]
        with open(target, encoding="utf-8") as written:
            assert written.read() == "hello\n"
        saw_steps(script)
        rows = stack.rows(len(script.asked))
        assert all(row["outcome"] == "settled" for row in rows), rows


# A call that fails is not to be sent again.
NO_RETRIES = "request_max_retries = 0\nstream_max_retries = 0\n"


def codex(stack, script, model, home):
    """Codex writes a file by a command of its shell tool; every turn is on the books."""
    with tempfile.TemporaryDirectory() as work:
        target = os.path.join(work, "hello.txt")
        steps = [[("exec_command", {"cmd": "printf 'hello\\n' > hello.txt"})],
                 [("exec_command", {"cmd": "cat hello.txt"}), ("exec_command", {"cmd": "cat missing.txt"})]]
        script.begin(steps, typed=not model.startswith("openai/"))
        folder = os.path.join(home, ".codex")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "config.toml"), "w", encoding="utf-8") as config:
            config.write(documented.filled(documented.of("Codex", "toml"), stack) + NO_RETRIES)
            if not model.startswith("openai/"):
                # Codex offers a search that only a provider of responses can run.
                config.write(documented.of("Codex", "toml", 1).partition("\n")[2])
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
        saw_steps(script)
        rows = stack.rows(len(script.asked))
        assert all(row["outcome"] == "settled" for row in rows), rows
