"""Runs a command with FAREBOX_TEST_DYNAMODB at a ministack of its own.

Usage: python with_ministack.py COMMAND ARGUMENT...   (the Python that has ministack)
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(server: subprocess.Popen, url: str) -> None:
    for _ in range(300):
        if server.poll() is not None:
            sys.exit(f"ministack ended with {server.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/_localstack/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("ministack does not answer")


def main() -> int:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # Without BIND_HOST it listens on every interface.
    settings = os.environ | {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    server = subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_ready(server, url)
        settings = os.environ | {"FAREBOX_TEST_DYNAMODB": url}
        return subprocess.run(sys.argv[1:], env=settings, check=False).returncode
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
