"""A real llama.cpp server as an upstream: its own counts, cached tokens among them, and the books after each call.

    python llamacpp.py CLONE TOOLS [EXECUTABLE]

The Python that runs it has `gguf` and `xllamacpp`; TOOLS holds the makers of a tiny model and of its server.
With an executable that one is started, else `cargo local` in the clone.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from decimal import Decimal

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients"))
from stack import Stack  # noqa: E402

READY_S_MAX = 60
# USD per million tokens.
PRICE = {"input": "1", "cached_input": "0.1", "output": "5", "context_window": 1024, "max_output_tokens": 64}
PROMPT = "The quick brown fox jumps over the lazy dog. " * 4


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def serve(tools, folder):
    """A tiny model with random weights, served by llama.cpp; gives the process and its origin."""
    model = os.path.join(folder, "tiny.gguf")
    subprocess.run([sys.executable, os.path.join(tools, "make_tiny_gguf.py"), model], check=True, stdout=subprocess.DEVNULL)
    port = free_port()
    log = open(os.path.join(folder, "log"), "w", encoding="utf-8")
    command = [sys.executable, os.path.join(tools, "run_llamacpp.py"), model, str(port)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    origin = f"http://127.0.0.1:{port}"
    until = time.monotonic() + READY_S_MAX
    while True:
        try:
            with urllib.request.urlopen(f"{origin}/health", timeout=5) as answer:
                if answer.status == 200:
                    return process, origin
        except OSError:
            if time.monotonic() > until or process.poll() is not None:
                raise
            time.sleep(0.2)


class Calls:
    """Calls through Farebox, each with its row in the log."""

    def __init__(self, stack):
        self.stack = stack
        self.count = 0
        self.seen = set()

    def post(self, path, body):
        headers = {"authorization": f"Bearer {self.stack.key}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.stack.origin}{path}", json.dumps(body).encode(), headers)
        return urllib.request.urlopen(request, timeout=60)

    def row(self):
        """The row of the call that was made last."""
        self.count += 1
        new = [row for row in self.stack.rows(self.count) if row["request_id"] not in self.seen]
        assert len(new) == 1, new
        self.seen.add(new[0]["request_id"])
        return new[0]


def cost(usage):
    """What the counts come to, worked out here in another way than by Farebox."""
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    millionths = (usage["prompt_tokens"] - cached) * 1 + cached * Decimal("0.1") + usage["completion_tokens"] * 5
    return Decimal(millionths) / 1_000_000


def body(content, **more):
    return {"model": "custom/tiny", "messages": [{"role": "user", "content": content}], "max_tokens": 16} | more


def assert_settled(row, usage):
    charged = Decimal(row["cost_usd"])
    assert charged == cost(usage), f"{row}: charged {charged}, the counts come to {cost(usage)}: {usage}"


def whole(calls):
    with calls.post("/v1/chat/completions", body(PROMPT)) as answer:
        usage = json.load(answer)["usage"]
    assert usage["prompt_tokens"] > 50 and usage["completion_tokens"] == 16, usage
    assert_settled(calls.row(), usage)
    return usage


def streamed(calls):
    asked = body(PROMPT + "Why?", stream=True, stream_options={"include_usage": True})
    with calls.post("/v1/chat/completions", asked) as answer:
        chunks = [json.loads(line[6:]) for line in answer.read().decode().splitlines() if line.startswith("data: {")]
    usage = chunks[-1]["usage"]
    assert len(chunks) > 5 and usage["completion_tokens"] == 16, chunks[-1]
    assert_settled(calls.row(), usage)


def second_turn(calls):
    """The same prompt again is read from the server's cache, and costs less."""
    first = cost(whole(calls))
    usage = whole(calls)
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert cached > usage["prompt_tokens"] / 2, usage
    assert cost(usage) <= first, (cost(usage), first)
    print(f"        {cached} of {usage['prompt_tokens']} prompt tokens from the cache")


def other_dialects(calls):
    asked = body(PROMPT)
    with calls.post("/v1/messages", asked) as answer:
        told = json.load(answer)["usage"]
    cached = told["cache_read_input_tokens"]
    usage = {"prompt_tokens": told["input_tokens"] + cached, "completion_tokens": told["output_tokens"],
             "prompt_tokens_details": {"cached_tokens": cached}}
    assert_settled(calls.row(), usage)
    with calls.post("/v1/responses", {"model": "custom/tiny", "input": PROMPT, "max_output_tokens": 16}) as answer:
        told = json.load(answer)["usage"]
    cached = told["input_tokens_details"]["cached_tokens"]
    usage = {"prompt_tokens": told["input_tokens"], "completion_tokens": told["output_tokens"],
             "prompt_tokens_details": {"cached_tokens": cached}}
    assert_settled(calls.row(), usage)


def hang_up(calls):
    """A caller who goes away pays what the server says that it generated."""
    host = calls.stack.origin.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    headers = {"authorization": f"Bearer {calls.stack.key}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body(PROMPT, stream=True, max_tokens=64)), headers)
    connection.getresponse().read(64)
    connection.sock.close()
    connection.close()
    row = calls.row()
    usage = row["usage"]
    counted = {"prompt_tokens": usage["prompt"] + usage["cached"], "completion_tokens": usage["completion"],
               "prompt_tokens_details": {"cached_tokens": usage["cached"]}}
    assert counted["completion_tokens"] == 64, usage
    assert_settled(row, counted)


def nothing_is_held(calls):
    scopes = calls.stack.read("/v1/budget")["scopes"]
    assert scopes and all(Decimal(scope["held_usd"]) == 0 for scope in scopes), scopes


def main():
    clone, tools = sys.argv[1:3]
    command = sys.argv[3:] or ["cargo", "local"]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        server, origin = serve(tools, folder)
        try:
            stack = Stack(command, clone, origin)
            try:
                owner = "user:demo"
                stack.admin("PUT", f"/credentials/{owner}/custom", {"secret": "none", "base_url": f"{origin}/v1"})
                stack.admin("PUT", "/prices/custom/tiny", PRICE)
                calls = Calls(stack)
                for claim in [whole, streamed, second_turn, other_dialects, hang_up, nothing_is_held]:
                    try:
                        claim(calls)
                        print(f"ok      {claim.__name__}", flush=True)
                    except Exception as why:
                        failed += 1
                        print(f"FAILED  {claim.__name__}: {type(why).__name__}: {why}", flush=True)
            finally:
                stack.stop()
        finally:
            server.terminate()
            server.wait(20)
    print("llama.cpp:", "all passed" if failed == 0 else f"{failed} claims failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
