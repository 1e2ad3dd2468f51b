"""Starts `cargo local` in a fresh clone and drives it with the official OpenAI SDK.

    python .ci/smoke.py CLONE

Needs the package `openai` and nothing else. The provider is the built-in demo provider, whose own bill
is the witness for what was called.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from decimal import Decimal
from urllib.parse import urlsplit

import openai

READY_S_MAX = 900  # The first build of the clone is in it.
STOP_S_MAX = 20
HELLO = [{"role": "user", "content": "Say hello."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Stack:
    """The running product, from the JSON line that it prints when it is ready."""

    def __init__(self, clone):
        self.process = subprocess.Popen(
            ["cargo", "local", "--port", "0", "--ephemeral", "--json"],
            cwd=clone,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_until_ready(self):
        lines = queue.Queue()
        reader = threading.Thread(target=self.read, args=(lines,), daemon=True)
        reader.start()
        ready = json.loads(lines.get(timeout=READY_S_MAX) or fail("cargo local ended before it was ready"))
        self.origin = origin(ready["base_url"])
        self.demo = origin(ready["demo_provider_url"])
        self.key, self.admin_key, self.user = ready["key"], ready["admin_key"], ready["user"]
        self.client = openai.OpenAI(base_url=f"{self.origin}/v1", api_key=self.key, timeout=60)

    def read(self, lines):
        for line in self.process.stdout:
            lines.put(line)
        lines.put("")

    def admin(self, method, path, body=None, version=None):
        """(body, version for `If-Match`) of one call of the admin API."""
        headers = {"authorization": f"Bearer {self.admin_key}", "content-type": "application/json"}
        if version:
            headers["if-match"] = version
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.origin}/admin/v1{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer), answer.headers.get("etag")

    def bill(self):
        with urllib.request.urlopen(f"{self.demo}/bill", timeout=30) as answer:
            return json.load(answer)

    def stop(self):
        """What Ctrl-C does in a terminal; gives the exit status, or None if it had to be killed."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            return self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def origin(url):
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def fail(why):
    raise AssertionError(why)


def healthz_answers(stack):
    with urllib.request.urlopen(f"{stack.origin}/healthz", timeout=30) as answer:
        assert answer.status == 200, answer.status


def models_are_listed(stack):
    ids = [model.id for model in stack.client.models.list()]

    assert {"demo/chat", "demo/claude"} <= set(ids), ids[:20]
    assert stack.client.models.retrieve("demo/chat").id == "demo/chat"


def a_chat_is_answered_and_billed_once(stack, model="demo/chat"):
    before = stack.bill()

    raw = stack.client.chat.completions.with_raw_response.create(
        model=model, messages=HELLO, max_tokens=64
    )

    answer = raw.parse()
    after = stack.bill()
    usage = answer.usage
    assert answer.choices[0].message.content, answer
    assert answer.choices[0].finish_reason == "stop", answer
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0, usage
    assert raw.headers["x-request-id"], dict(raw.headers)
    assert after["calls"] == before["calls"] + 1, (before["calls"], after["calls"])
    billed = Decimal(after["usd"]) - Decimal(before["usd"])
    assert Decimal(raw.headers["x-farebox-cost-usd"]) == billed, (dict(raw.headers), billed)


def a_text_is_embedded_as_the_sdk_asks_for_it(stack):
    # The SDK asks for base64 by itself and unpacks it.
    answer = stack.client.embeddings.create(model="demo/embed", input=["one", "two"], dimensions=4)

    assert [len(item.embedding) for item in answer.data] == [4, 4], answer
    assert all(0 <= number < 1 for number in answer.data[0].embedding), answer.data[0]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0, answer.usage


def a_prompt_is_completed(stack, model="demo/demo-instruct"):
    answer = stack.client.completions.create(model=model, prompt="hello", max_tokens=64)
    stream = stack.client.completions.create(
        model=model, prompt="hello", max_tokens=64, stream=True
    )

    text = answer.choices[0].text
    assert "hello" in text and answer.choices[0].finish_reason == "stop", answer
    assert "".join(chunk.choices[0].text for chunk in stream) == text


def a_prompt_is_completed_by_a_model_of_chats(stack):
    a_prompt_is_completed(stack, "demo/chat")


def a_claude_model_answers_the_openai_sdk(stack):
    a_chat_is_answered_and_billed_once(stack, "demo/claude")


def a_stream_ends_with_its_usage(stack, model="demo/chat"):
    stream = stack.client.chat.completions.create(
        model=model,
        messages=HELLO,
        max_tokens=64,
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    roles = [chunk.choices[0].delta.role for chunk in chunks if chunk.choices]
    assert text, chunks
    assert len({chunk.id for chunk in chunks}) == 1, chunks
    assert [role for role in roles if role] == ["assistant"], roles
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0, chunks[-1]


def a_claude_stream_ends_with_its_usage(stack):
    a_stream_ends_with_its_usage(stack, "demo/claude")


def a_tool_is_called_and_its_result_used(stack, model="demo/chat"):
    ask = [{"role": "user", "content": "What is the weather in Berlin?"}]
    first = stack.client.chat.completions.create(
        model=model, messages=ask, tools=[WEATHER], tool_choice="required", max_tokens=200
    ).choices[0]
    assert first.finish_reason == "tool_calls", first
    (call,) = first.message.tool_calls
    assert call.function.name == "weather", call
    assert "city" in json.loads(call.function.arguments), call

    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    second = stack.client.chat.completions.create(
        model=model,
        messages=[*ask, first.message.model_dump(exclude_none=True), result],
        tools=[WEATHER],
        max_tokens=200,
    ).choices[0]
    assert second.finish_reason == "stop" and second.message.content, second


def a_claude_tool_is_called_and_its_result_used(stack):
    a_tool_is_called_and_its_result_used(stack, "demo/claude")


def a_call_over_the_budget_is_a_402_that_costs_nothing(stack):
    path = f"/budgets/user:{stack.user}"
    _, version = stack.admin("GET", path)
    stack.admin("PUT", path, {"total_limit_usd": "0.000000000001"}, version)
    before = stack.bill()["calls"]

    try:
        stack.client.chat.completions.create(model="demo/chat", messages=HELLO, max_tokens=64)
        fail("a call over the budget was answered")
    except openai.APIStatusError as refusal:
        assert refusal.status_code == 402, refusal
        assert refusal.code == "budget_exceeded", refusal.body

    assert stack.bill()["calls"] == before, "the provider was called"


CLAIMS = [
    healthz_answers,
    models_are_listed,
    a_chat_is_answered_and_billed_once,
    a_text_is_embedded_as_the_sdk_asks_for_it,
    a_prompt_is_completed,
    a_prompt_is_completed_by_a_model_of_chats,
    a_claude_model_answers_the_openai_sdk,
    a_stream_ends_with_its_usage,
    a_claude_stream_ends_with_its_usage,
    a_tool_is_called_and_its_result_used,
    a_claude_tool_is_called_and_its_result_used,
    a_call_over_the_budget_is_a_402_that_costs_nothing,
]


def main():
    started = time.monotonic()
    stack = Stack(sys.argv[1])
    failed = 0
    try:
        stack.wait_until_ready()
        print(f"ready after {time.monotonic() - started:.0f} s at {stack.origin}", flush=True)
        for claim in CLAIMS:
            try:
                claim(stack)
                print(f"ok      {claim.__name__}", flush=True)
            except Exception as why:
                failed += 1
                print(f"FAILED  {claim.__name__}: {type(why).__name__}: {why}", flush=True)
    finally:
        status = stack.stop()
    if status != 0:
        failed += 1
        print(f"FAILED  ctrl_c_stops_cleanly: exit status {status}")
    print(f"smoke: {len(CLAIMS) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
