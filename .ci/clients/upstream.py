"""A scripted upstream: Anthropic, both formats of OpenAI, Gemini, Bedrock, Cohere and xAI. It judges what it is sent, and plays its part.

With a task set (`Script.begin`) it asks in each turn for the client's own tools of the next step, several at
once where the step has them, and says that the task is done once all results have come back. Without one it
calls every tool that it is offered at once, answers a schema by a sample of it, and else tells what it saw.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import other_wires
import published
import says

CITIES = ["Zürich", "São Paulo 🌧"]


class Script:
    """What to say. `faults` has each request that the provider would have refused, and why."""

    done = "The task is done."

    def __init__(self):
        self.lock = threading.Lock()
        self.faults, self.asked, self.steps, self.typed = [], [], None, True
        # What each call of a task gave, by its step and place.
        self.results = {}

    def begin(self, steps, typed):
        """A new task of these steps, each a list of calls (tool name, arguments) made at once. What an agent sends in
        the provider's own format is the agent's: Claude Code and Codex know fields that no SDK's types have."""
        self.steps, self.typed, self.asked, self.faults, self.results = steps, typed, [], [], {}

    def turn(self, wire, body, stream):
        with self.lock:
            self.asked.append(body)
            try:
                seen = published.judge(wire, body, stream, self.typed, other_wires.SEE.get(wire))
            except (published.Wrong, LookupError, TypeError) as why:
                self.faults.append(f"{wire} {type(why).__name__}: {why}")
                return None
            return self.task(seen) if self.steps else self.play(seen)

    def task(self, seen):
        for call, text in seen.every:
            step, place = call.removeprefix("toolu_").split("x")
            self.results[int(step), int(place)] = text
        step = max((step for step, _ in self.results), default=-1) + 1
        if self.steps[0][0][0] not in seen.tools or step == len(self.steps):
            return says.Turn(self.done, thought=seen.thinks)
        calls = [(f"toolu_{step}x{place}", *call) for place, call in enumerate(self.steps[step])]
        return says.Turn("I use a tool.", calls, thought=seen.thinks)

    def play(self, seen):
        cached = 100 if seen.marks else 0
        if seen.schema:
            text = json.dumps(published.sample(seen.schema), ensure_ascii=False)
            return says.Turn(text, thought=seen.thinks)
        if seen.tools and not seen.results:
            (name, schema), *_ = seen.tools.items()
            given = published.sample(schema)
            sets = [{"city": city} for city in CITIES] if "city" in given else [given]
            calls = [(f"toolu_{place}", name, arguments) for place, arguments in enumerate(sets)]
            return says.Turn("", calls, thought=seen.thinks, cached=cached)
        return says.Turn(json.dumps(seen.told(), ensure_ascii=False), thought=seen.thinks, cached=cached)


# By how the path ends; the first that fits.
WIRES = {"/xai/v1/chat/completions": "xai", "/v2/chat": "cohere", "/converse": "converse", "/converse-stream": "converse",
         "/chat/completions": "chat", "/responses": "responses", "/messages": "messages",
         ":generateContent": "gemini", ":streamGenerateContent": "gemini"}
KEY = {"messages": "x-api-key", "gemini": "x-goog-api-key"}
WHOLE = says.WHOLE | other_wires.WHOLE


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            return self.send(200, {"input_tokens": 160})
        wire = next(wire for end, wire in WIRES.items() if path.endswith(end))
        stream = body.get("stream", False) or ":stream" in path or path.endswith("-stream")
        turn = self.server.script.turn(wire, body, stream)
        keys = {name: value for name, value in self.headers.items() if "sk-fb-" in value}
        if keys or self.headers.get(KEY.get(wire, "authorization"), "").removeprefix("Bearer ") != "script-key":
            self.server.script.faults.append(f"{wire}: keys in {sorted(keys)}, or none where it belongs")
        if turn is None:
            return self.send(400, {"error": {"type": "invalid_request_error", "message": "judged wrong"}})
        model = body.get("model") or path.rsplit("/", 1)[1].partition(":")[0]
        if stream:
            data = other_wires.STREAM[wire](model, turn) if wire in other_wires.STREAM else says.stream(wire, model, turn)
            kind = "application/vnd.amazon.eventstream" if wire == "converse" else "text/event-stream"
            return self.send_bytes(200, data, kind)
        self.send(200, WHOLE[wire](model, turn))

    def send(self, status, value):
        self.send_bytes(status, json.dumps(value).encode(), "application/json")

    def send_bytes(self, status, data, kind):
        self.send_response(status)
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
