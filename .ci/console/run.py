"""Starts `cargo local` with its sample data and a provider to sign in with, twice, and drives the console
of each in headless Chromium: the pages in one, what people do in the other.

    FAREBOX_NODE_MODULES=…/node_modules python run.py CLONE [DIRECTORY FOR SCREENSHOTS]
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

READY_S_MAX = 900
BROWSER_S_MAX = 900
PROGRAMS = ["pages.mjs", "deeds.mjs"]


def main():
    clone, shots = sys.argv[1], sys.argv[2:]
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(["cargo", "build", "-q", "-p", "farebox-local", "-p", "farebox-cli", "-p", "farebox-tests"], cwd=clone, check=True)
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.environ["FAREBOX_NODE_MODULES"], os.path.join(folder, "node_modules"))
        for name in os.listdir(here):
            if name.endswith(".mjs"):
                shutil.copy(os.path.join(here, name), folder)
        programs = [os.path.join(folder, name) for name in PROGRAMS]
        with ThreadPoolExecutor(len(programs)) as both:
            codes = list(both.map(lambda program: driven(clone, program, shots), programs))
            return int(any(codes))


def driven(clone, program, shots):
    """The exit code of a program on a stack of its own. It prints when it has ended, so that two do not mix."""
    # Serves until its input ends, which is with this process at the latest.
    provider = subprocess.Popen(
        ["cargo", "run", "-q", "-p", "farebox-tests", "--bin", "provider"], cwd=clone, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    issuer = provider.stdout.readline().strip()
    signed_on = {"FAREBOX_OIDC_ISSUER": issuer, "FAREBOX_OIDC_CLIENT_ID": "farebox-console"}
    stack = subprocess.Popen(
        ["cargo", "local", "--port", "0", "--ephemeral", "--quiet"], cwd=clone, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=os.environ | signed_on,
    )
    try:
        url, key = None, None
        threading.Timer(READY_S_MAX, stack.kill).start()
        for line in stack.stdout:
            found = re.search(r"(\S+/admin/console)#key=(\S+)", line)
            if found:
                url, key = found.groups()
            if "Ctrl-C" in line:
                break
        assert url, "cargo local named no console"
        wait_for_samples(url, key)
        even(clone, url, key)
        ended = subprocess.run(
            ["node", program, url, key, issuer, *shots], timeout=BROWSER_S_MAX, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        print(f"{os.path.basename(program)}\n{ended.stdout}", flush=True)
        return ended.returncode
    finally:
        os.killpg(stack.pid, signal.SIGINT)
        stack.wait(20)
        provider.stdin.close()
        provider.wait(20)


def wait_for_samples(url, key):
    """Until the sample calls stand in the log."""
    request = urllib.request.Request(url.replace("console", "v1/usage?by=user"), headers={"authorization": f"Bearer {key}"})
    for _ in range(120):
        with urllib.request.urlopen(request, timeout=10) as answer:
            if b'"lin"' in answer.read():
                return
        time.sleep(0.5)
    raise AssertionError("the sample calls are not in the log")


def even(clone, url, key):
    """The samples were made in the past: their books are the sum of their log all the same."""
    months = {time.strftime("%Y-%m", time.gmtime(time.time() - days * 86_400)) for days in (0, 7)}
    lines = [(["login", "--url", url.removesuffix("/admin/console")], key)]
    lines += [(["reconcile", "--month", month], "") for month in sorted(months)]
    with tempfile.TemporaryDirectory() as home:
        for line, given in lines:
            subprocess.run(
                ["cargo", "farebox", *line], cwd=clone, check=True, input=given, text=True,
                stdout=subprocess.DEVNULL, env=os.environ | {"XDG_CONFIG_HOME": home},
            )


if __name__ == "__main__":
    code = main()
    os._exit(code)
