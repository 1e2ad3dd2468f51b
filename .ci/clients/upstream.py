"""A scripted upstream: it speaks Anthropic's and both of OpenAI's formats, and plays one task with a tool.

The first turn asks for the client's own tool that writes a file or runs a command; once a tool result
has come back it says that the task is done. What was asked and answered is kept, so that a test can
look at it. Needs nothing but Python.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {"input_tokens": 120, "output_tokens": 30, "cache_creation_input_tokens": 0,
         "cache_read_input_tokens": 40, "service_tier": "standard"}


class Script:
    """What to say: a call (tool name, arguments) in the first turn of a task, then that it is done."""

    done = "The task is done."

    def __init__(self):
        self.lock = threading.Lock()
        self.begin(("", {}))

    def begin(self, call):
        """A new task, whose first turn makes this call."""
        self.call, self.asked = call, []

    def answer(self, body):
        """(text, call) of one turn."""
        with self.lock:
            self.asked.append(body)
        name, arguments = self.call
        names = [tool.get("name") or tool.get("function", {}).get("name") for tool in body.get("tools") or []]
        if name not in names or has_result(body):
            return self.done, None
        return "I use a tool.", (f"toolu_{len(self.asked):04}", name, arguments)


def has_result(body):
    """Whether a tool result has come since the script began."""
    for item in body.get("input") or []:
        if item.get("type", "").endswith("_call_output"):
            return True
    for message in body.get("messages") or []:
        if message.get("role") == "tool":
            return True
        content = message.get("content")
        if isinstance(content, list) and any(part.get("type") == "tool_result" for part in content):
            return True
    return False


def anthropic_events(model, text, call):
    message = {"id": "msg_script", "type": "message", "role": "assistant", "model": model, "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": {**USAGE, "output_tokens": 1}}
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    yield {"type": "content_block_stop", "index": 0}
    if call:
        ident, name, arguments = call
        block = {"type": "tool_use", "id": ident, "name": name, "input": {}}
        yield {"type": "content_block_start", "index": 1, "content_block": block}
        part = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
        yield {"type": "content_block_delta", "index": 1, "delta": part}
        yield {"type": "content_block_stop", "index": 1}
    reason = "tool_use" if call else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": USAGE}
    yield {"type": "message_stop"}


def anthropic_whole(model, text, call):
    content = [{"type": "text", "text": text}]
    if call:
        ident, name, arguments = call
        content.append({"type": "tool_use", "id": ident, "name": name, "input": arguments})
    return {"id": "msg_script", "type": "message", "role": "assistant", "model": model, "content": content,
            "stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None, "usage": USAGE}


OPENAI_USAGE = {"prompt_tokens": 160, "completion_tokens": 30, "total_tokens": 190,
                "prompt_tokens_details": {"cached_tokens": 40},
                "completion_tokens_details": {"reasoning_tokens": 0}}


def openai_call(call):
    ident, name, arguments = call
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def openai_chunks(model, text, call):
    def chunk(delta, finish=None, **more):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {"id": "chatcmpl-script", "object": "chat.completion.chunk", "created": 1, "model": model,
                "choices": [choice], "usage": None, **more}

    yield chunk({"role": "assistant", "content": ""})
    yield chunk({"content": text})
    if call:
        yield chunk({"tool_calls": [{"index": 0, **openai_call(call)}]})
    yield chunk({}, "tool_calls" if call else "stop")
    yield chunk({}, choices=[], usage=OPENAI_USAGE)


def openai_whole(model, text, call):
    message = {"role": "assistant", "content": text, "refusal": None}
    if call:
        message["tool_calls"] = [openai_call(call)]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop"}
    return {"id": "chatcmpl-script", "object": "chat.completion", "created": 1, "model": model,
            "choices": [choice], "usage": OPENAI_USAGE, "service_tier": "default"}


RESPONSES_USAGE = {"input_tokens": 160, "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
                   "output_tokens": 30, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 190}


def response(model, items, status="completed"):
    return {"id": "resp_script", "object": "response", "created_at": 1, "status": status, "error": None,
            "incomplete_details": None, "instructions": None, "metadata": {}, "model": model, "output": items,
            "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "service_tier": "default", "usage": RESPONSES_USAGE if status == "completed" else None}


def response_items(text, call):
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    yield {"id": "msg_script", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    if call:
        ident, name, arguments = call
        yield {"id": "fc_script", "type": "function_call", "status": "completed", "call_id": ident, "name": name,
               "arguments": json.dumps(arguments)}


def response_events(model, text, call):
    items = list(response_items(text, call))
    yield {"type": "response.created", "response": response(model, [], "in_progress")}
    for place, item in enumerate(items):
        begun = item | ({"content": []} if "content" in item else {"arguments": ""}) | {"status": "in_progress"}
        at = {"item_id": item["id"], "output_index": place}
        yield {"type": "response.output_item.added", "output_index": place, "item": begun}
        if "content" in item:
            at["content_index"] = 0
            empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            yield {"type": "response.content_part.added", **at, "part": empty}
            yield {"type": "response.output_text.delta", **at, "delta": text, "logprobs": []}
            yield {"type": "response.output_text.done", **at, "text": text, "logprobs": []}
            yield {"type": "response.content_part.done", **at, "part": item["content"][0]}
        else:
            arguments = item["arguments"]
            yield {"type": "response.function_call_arguments.delta", **at, "delta": arguments}
            yield {"type": "response.function_call_arguments.done", **at, "name": item["name"], "arguments": arguments}
        yield {"type": "response.output_item.done", "output_index": place, "item": item}
    yield {"type": "response.completed", "response": response(model, items)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.endswith("/count_tokens"):
            return self.send({"input_tokens": 160})
        text, call = self.server.script.answer(body)
        if self.path.endswith("/chat/completions"):
            return self.openai(body, text, call)
        if self.path.endswith("/responses"):
            return self.make_response(body, text, call)
        if not body.get("stream"):
            return self.send(anthropic_whole(body["model"], text, call))
        events = anthropic_events(body["model"], text, call)
        out = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self.send_bytes(out.encode(), "text/event-stream")

    def openai(self, body, text, call):
        if not body.get("stream"):
            return self.send(openai_whole(body["model"], text, call))
        chunks = [json.dumps(chunk) for chunk in openai_chunks(body["model"], text, call)]
        out = "".join(f"data: {chunk}\n\n" for chunk in [*chunks, "[DONE]"])
        self.send_bytes(out.encode(), "text/event-stream")

    def make_response(self, body, text, call):
        if not body.get("stream"):
            return self.send(response(body["model"], list(response_items(text, call))))
        events = enumerate(response_events(body["model"], text, call))
        events = [event | {"sequence_number": place} for place, event in events]
        out = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self.send_bytes(out.encode(), "text/event-stream")

    def send(self, value):
        self.send_bytes(json.dumps(value).encode(), "application/json")

    def send_bytes(self, data, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.send_header("request-id", "req_script")
        self.end_headers()
        self.wfile.write(data)


def start(script):
    """Serves the script on a free port of 127.0.0.1; gives the server and its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.script = script
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"
