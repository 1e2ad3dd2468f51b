"""Real clients against `cargo local`: SDKs, LangChain, the Vercel AI SDK, and coding agents.

    FAREBOX_NODE_MODULES=…/node_modules python run.py CLONE [EXECUTABLE]

The Python that runs it has what requirements.txt names; package.json names what the folder holds.
With an executable that one is started, else `cargo local` in the clone.
"""

import os
import subprocess
import sys
import tempfile

import agents
import documented
import media
import upstream
from stack import Stack

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENT_S_MAX = 240
# For each agent, a model whose provider speaks its format, and one whose provider does not.
AGENTS = [
    (agents.claude_code, "anthropic/claude-opus-4-8"),
    (agents.claude_code, "openai/gpt-4.1"),
    (agents.codex, "openai/gpt-5.2-codex"),
    (agents.codex, "anthropic/claude-opus-4-8"),
]


def program(stack, command):
    """Runs a program of claims; gives whether one failed."""
    env = os.environ | {"FAREBOX_ORIGIN": stack.origin, "FAREBOX_KEY": stack.key,
                        "SENT_PNG": media.PNG, "SENT_PDF": media.PDF}
    return subprocess.run(command, env=env, timeout=CLIENT_S_MAX, check=False).returncode != 0


def snippets(stack, script):
    """The blocks of Python and JavaScript of docs/clients.md; gives how many failed."""
    failed = 0
    for section, language, code in documented.blocks():
        if language not in ("python", "js"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(os.environ["FAREBOX_NODE_MODULES"], os.path.join(folder, "node_modules"))
            target = os.path.join(folder, "snippet.py" if language == "python" else "snippet.mjs")
            with open(target, "w", encoding="utf-8") as file:
                file.write(documented.filled(code, stack))
            calls = len(script.asked)
            bad = program(stack, [sys.executable if language == "python" else "node", target])
            bad |= len(script.asked) == calls
            print(f"{'FAILED' if bad else 'ok':8}docs/clients.md, {section}, {language}", flush=True)
            failed += bad
    return failed


def judged(script, failed):
    """Whether a program failed, or sent the upstream what its provider would have refused."""
    faults, script.faults = script.faults, []
    for fault in faults:
        print(f"FAILED  the upstream refuses: {fault}", flush=True)
    return failed + len(faults)


def node(stack, name):
    # Node looks for packages beside the program.
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.environ["FAREBOX_NODE_MODULES"], os.path.join(folder, "node_modules"))
        target = os.path.join(folder, name)
        with open(os.path.join(HERE, name), encoding="utf-8") as source:
            with open(target, "w", encoding="utf-8") as copy:
                copy.write(source.read())
        return program(stack, ["node", target])


def main():
    clone = sys.argv[1]
    command = sys.argv[2:] or ["cargo", "local"]
    script = upstream.Script()
    server, origin = upstream.start(script)
    stack = Stack(command, clone, origin)
    failed = 0
    try:
        failed += program(stack, [sys.executable, os.path.join(HERE, "python_sdks.py")])
        failed += program(stack, [sys.executable, os.path.join(HERE, "google_genai.py")])
        failed += judged(script, program(stack, [sys.executable, os.path.join(HERE, "wires.py")]))
        failed += judged(script, program(stack, [sys.executable, os.path.join(HERE, "sent.py")]))
        failed += node(stack, "node_sdks.mjs")
        failed += judged(script, node(stack, "sent.mjs"))
        failed += judged(script, snippets(stack, script))
        with tempfile.TemporaryDirectory() as home:
            for agent, model in AGENTS:
                try:
                    agent(stack, script, model, home)
                    assert not script.faults, script.faults
                    print(f"ok      {agent.__name__} {model}", flush=True)
                except Exception as why:
                    failed += 1
                    print(f"FAILED  {agent.__name__} {model}: {type(why).__name__}: {why}", flush=True)
    finally:
        status = stack.stop()
        server.shutdown()
    if status != 0:
        failed += 1
        print(f"FAILED  ctrl_c_stops_cleanly: exit status {status}")
    print("clients:", "all passed" if failed == 0 else f"{failed} programs failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
