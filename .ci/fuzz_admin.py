"""Runs schemathesis over every route of the admin API of a local stack, from its own description:
what is members' own with a member's key, the rest with the owner's.

    python .ci/fuzz_admin.py [EXAMPLES]

Needs the package `schemathesis` and nothing else. The seed is fixed, so a finding is found again.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

READY_S_MAX = 900
RUN_S_MAX = 420
SEED = 1
# These write to the queue and to every budget; what they take is a record that only chat makes.
SKIPPED = ["/admin/v1/settlements", "/admin/v1/restore-fence"]


# What members may ask.
OWN = "^/admin/v1/(me(/|$)|session$|openapi.json$)"
# Ids of earlier answers come back, so these find the very key that asks: revoked, or with another secret, it gets
# nothing but 403 from then on. They are asked apart, by a key that is made for that.
OWN_ENDS = ["DELETE /admin/v1/me/keys/{id}", "POST /admin/v1/me/keys/{id}/rotate"]


def ask(origin, key, method, path, body):
    """Asks the stack for something that the run needs."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "if-match": "*"}
    request = Request(origin + path, json.dumps(body).encode(), headers, method=method)
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


def described(folder):
    """The description, but that every change sends `If-Match`: without it all would be 428."""
    document = json.loads(Path("docs/openapi.json").read_text(encoding="utf-8"))
    for path in document["paths"].values():
        for operation in path.values():
            kept = [one for one in operation["parameters"] if one["name"] != "If-None-Match"]
            for one in kept:
                one["required"] = one["required"] or one["name"] == "If-Match"
            operation["parameters"] = kept
    file = Path(folder) / "openapi.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def fuzz(file, origin, key, examples, which):
    """One run of schemathesis with one key."""
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "--config-file", ".ci/schemathesis.toml",
        "run",
        str(file),
        "--url", origin,
        "--header", f"Authorization: Bearer {key}",
        "--seed", str(SEED),
        "--max-examples", examples,
        "--phases", "examples,coverage,fuzzing",
        "--generation-database", "none",
        "--continue-on-failure",
        "--no-color",
    ]
    return subprocess.run(command + which, timeout=RUN_S_MAX, check=False).returncode


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
        origin, owner = f"{parts.scheme}://{parts.netloc}", ready["admin_key"]
        allowed = {"self_service": {"keys": 50, "credentials": True}}
        ask(origin, owner, "PUT", "/admin/v1/users/fuzz", allowed)
        made = {"user": "fuzz", "name": "fuzz"}
        member, ending = (ask(origin, owner, "POST", "/admin/v1/keys", made)["secret"] for _ in range(2))
        skipped = [word for path in SKIPPED for word in ("--exclude-path", path)]
        with tempfile.TemporaryDirectory() as folder:
            file = described(folder)
            # The member first: the owner's run may revoke its key.
            apart = [word for name in OWN_ENDS for word in ("--exclude-name", name)]
            own = fuzz(file, origin, member, examples, ["--include-path-regex", OWN, *apart])
            named = [*OWN_ENDS, "GET /admin/v1/me/keys", "POST /admin/v1/me/keys"]
            ends = [word for name in named for word in ("--include-name", name)]
            ended = fuzz(file, origin, ending, examples, ends)
            rest = ["--exclude-path-regex", "^/admin/v1/me(/|$)", *skipped]
            return fuzz(file, origin, owner, examples, rest) or ended or own
    finally:
        os.killpg(stack.pid, signal.SIGINT)
        try:
            stack.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(stack.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
