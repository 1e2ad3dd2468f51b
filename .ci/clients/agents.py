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
