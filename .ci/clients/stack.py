"""`cargo local` with a scripted upstream as its Anthropic, OpenAI, Gemini, Bedrock, Cohere and xAI, for real clients to be driven against."""

import json
import os
import queue
import signal
import subprocess
import threading
import time
import urllib.request

READY_S_MAX = 900  # A first build may be in it.
STOP_S_MAX = 20


class Stack:
    """The running product. `command` starts it; `upstream` is the origin of the script."""

    def __init__(self, command, cwd, upstream):
        env = os.environ | {
            "FAREBOX_ALLOWED_ORIGINS": upstream,
            "ANTHROPIC_API_KEY": "script-key",
            "ANTHROPIC_BASE_URL": f"{upstream}/v1",
            "OPENAI_API_KEY": "script-key",
            "OPENAI_BASE_URL": f"{upstream}/v1",
            "GEMINI_API_KEY": "script-key",
            "GEMINI_BASE_URL": f"{upstream}/v1beta",
        }
        arguments = ["--port", "0", "--ephemeral", "--json", "--quiet"]
        self.process = subprocess.Popen(
            [*command, *arguments], cwd=cwd, env=env, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        )
        lines = queue.Queue()
        reader = threading.Thread(target=lambda: [lines.put(line) for line in self.process.stdout] + [lines.put("")],
                                  daemon=True)
        reader.start()
        ready = json.loads(lines.get(timeout=READY_S_MAX) or "null")
        if ready is None:
            raise AssertionError("cargo local ended before it was ready")
        self.origin, self.key, self.admin_key = ready["base_url"], ready["key"], ready["admin_key"]
        # Agents ask for long answers, and each is held at its worst case.
        self.admin("PUT", f"/budgets/user:{ready['user']}", {"day_limit_usd": "1000"})
        bearer = json.dumps({"bearer": "script-key", "region": "eu-west-1"})
        for provider, path, secret in (("bedrock", "", bearer), ("cohere", "/v2", "script-key"),
                                       ("xai", "/xai/v1", "script-key")):
            credential = {"secret": secret, "base_url": upstream + path}
            self.admin("PUT", f"/credentials/{ready['user']}/{provider}", credential)

    def admin(self, method, path, body=None):
        headers = {"authorization": f"Bearer {self.admin_key}", "content-type": "application/json", "if-match": "*"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.origin}/admin/v1{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def read(self, path):
        """A GET of the caller's own API."""
        request = urllib.request.Request(f"{self.origin}{path}", headers={"authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def rows(self, count):
        """The last `count` calls, once the logger has written them."""
        for _ in range(100):
            rows = self.read(f"/v1/requests?limit={count}")["requests"]
            if len(rows) >= count:
                return rows
            time.sleep(0.2)
        raise AssertionError(f"only {len(rows)} rows of {count}")

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            return self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return None
