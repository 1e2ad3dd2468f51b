"""Runs schemathesis over every route of the admin API of a local stack, from its own description.

    python .ci/fuzz_admin.py [EXAMPLES]

Needs the package `schemathesis` and nothing else. The seed is fixed, so a finding is found again.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

READY_S_MAX = 900
RUN_S_MAX = 420
SEED = 1
# These write to the queue and to every budget; what they take is a record that only chat makes.
SKIPPED = ["/admin/v1/settlements", "/admin/v1/restore-fence"]


def main():
    examples = sys.argv[1] if len(sys.argv) > 1 else "3"
    stack = subprocess.Popen(
        ["cargo", "local", "--port", "0", "--ephemeral", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        ready = json.loads(stack.stdout.readline())
        parts = urlsplit(ready["base_url"])
        origin = f"{parts.scheme}://{parts.netloc}"
        command = [
            str(Path(sys.executable).parent / "schemathesis"),
            "--config-file", ".ci/schemathesis.toml",
            "run",
            "docs/openapi.json",
            "--url", origin,
            "--header", f"Authorization: Bearer {ready['admin_key']}",
            "--seed", str(SEED),
            "--max-examples", examples,
            "--phases", "examples,coverage,fuzzing",
            "--generation-database", "none",
            "--continue-on-failure",
            "--no-color",
        ]
        for path in SKIPPED:
            command += ["--exclude-path", path]
        return subprocess.run(command, timeout=RUN_S_MAX, check=False).returncode
    finally:
        os.killpg(stack.pid, signal.SIGINT)
        try:
            stack.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(stack.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
