"""One turn of a model in the four wire formats: whole, and as the events of a stream.

What a turn thought is signed or sealed as the format has it, and pieces of arguments come in three
parts that cut neither a character nor a line nicely.
"""

import dataclasses
import json
import typing


@dataclasses.dataclass
class Turn:
    text: str = ""
    # (id, name, arguments) of each tool called.
    calls: typing.Sequence[tuple] = ()
    # Whether it thought before it spoke: THOUGHT, sealed by SEAL.
    thought: bool = False
    # Tokens of the prompt that were written to the cache.
    cached: int = 0


THOUGHT = "The tools know; I ask – both at once."
# Base64, as every provider's is; nobody but the provider reads it.
SEAL = "U2VhbGVkIGJ5IHRoZSBzY3JpcHQ7IG5vdCB0byBiZSB0b3VjaGVkLg=="
THINKING = 12


def arguments(call):
    return json.dumps(call[2], ensure_ascii=False)


def pieces(text):
    third = max(1, len(text) // 3)
    return [text[:third], text[third:2 * third], text[2 * third:]]


# Anthropic's Messages.

def usage(turn):
    return {"input_tokens": 120 - turn.cached, "output_tokens": 30, "cache_creation_input_tokens": turn.cached,
            "cache_read_input_tokens": 40, "service_tier": "standard"}


def message(model, turn, content, reason):
    return {"id": "msg_script", "type": "message", "role": "assistant", "model": model, "content": content,
            "stop_reason": reason, "stop_sequence": None, "usage": usage(turn)}


def blocks(turn):
    if turn.thought:
        yield {"type": "thinking", "thinking": THOUGHT, "signature": SEAL}
    if turn.text:
        yield {"type": "text", "text": turn.text}
    for ident, name, given in turn.calls:
        yield {"type": "tool_use", "id": ident, "name": name, "input": given}


def messages_whole(model, turn):
    return message(model, turn, list(blocks(turn)), "tool_use" if turn.calls else "end_turn")


def deltas(block):
    if block["type"] == "thinking":
        yield from ({"type": "thinking_delta", "thinking": part} for part in pieces(THOUGHT))
        yield {"type": "signature_delta", "signature": SEAL}
    elif block["type"] == "text":
        yield from ({"type": "text_delta", "text": part} for part in pieces(block["text"]))
    else:
        whole = json.dumps(block["input"], ensure_ascii=False)
        yield from ({"type": "input_json_delta", "partial_json": part} for part in pieces(whole))


EMPTY = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}, "tool_use": {"input": {}}}


def messages_events(model, turn):
    begun = message(model, turn, [], None)
    yield {"type": "message_start", "message": begun | {"usage": usage(turn) | {"output_tokens": 1}}}
    for place, block in enumerate(blocks(turn)):
        yield {"type": "content_block_start", "index": place, "content_block": block | EMPTY[block["type"]]}
        for delta in deltas(block):
            yield {"type": "content_block_delta", "index": place, "delta": delta}
        yield {"type": "content_block_stop", "index": place}
    reason = "tool_use" if turn.calls else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage(turn)}
    yield {"type": "message_stop"}


# OpenAI's chat completions, which tell no thoughts.

CHAT_USAGE = {"prompt_tokens": 160, "completion_tokens": 30, "total_tokens": 190,
              "prompt_tokens_details": {"cached_tokens": 40},
              "completion_tokens_details": {"reasoning_tokens": 0}}


def chat_call(call, given):
    return {"id": call[0], "type": "function", "function": {"name": call[1], "arguments": given}}


def chat_whole(model, turn):
    message = {"role": "assistant", "content": turn.text or None, "refusal": None}
    if turn.calls:
        message["tool_calls"] = [chat_call(call, arguments(call)) for call in turn.calls]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if turn.calls else "stop",
              "logprobs": None}
    return {"id": "chatcmpl-script", "object": "chat.completion", "created": 1, "model": model,
            "choices": [choice], "usage": CHAT_USAGE, "service_tier": "default"}


def chat_events(model, turn):
    def chunk(delta, finish=None, **more):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {"id": "chatcmpl-script", "object": "chat.completion.chunk", "created": 1, "model": model,
                "choices": [choice], "usage": None, **more}

    yield chunk({"role": "assistant", "content": ""})
    for part in pieces(turn.text):
        yield chunk({"content": part})
    for place, call in enumerate(turn.calls):
        yield chunk({"tool_calls": [{"index": place, **chat_call(call, "")}]})
        for part in pieces(arguments(call)):
            yield chunk({"tool_calls": [{"index": place, "function": {"arguments": part}}]})
    yield chunk({}, "tool_calls" if turn.calls else "stop")
    yield chunk({}, choices=[], usage=CHAT_USAGE)


# OpenAI's Responses.

RESPONSES_USAGE = {"input_tokens": 160, "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
                   "output_tokens": 30, "output_tokens_details": {"reasoning_tokens": THINKING}, "total_tokens": 190}


def response(model, items, status="completed"):
    return {"id": "resp_script", "object": "response", "created_at": 1, "status": status, "error": None,
            "incomplete_details": None, "instructions": None, "metadata": {}, "model": model, "output": items,
            "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "service_tier": "default", "usage": RESPONSES_USAGE if status == "completed" else None}


def items(turn):
    if turn.thought:
        yield {"id": "rs_script", "type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}],
               "encrypted_content": SEAL}
    if turn.text:
        part = {"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}
        yield {"id": "msg_script", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    for call in turn.calls:
        yield {"id": f"fc_{call[0]}", "type": "function_call", "status": "completed", "call_id": call[0],
               "name": call[1], "arguments": arguments(call)}


def responses_whole(model, turn):
    return response(model, list(items(turn)))


def item_events(item, at):
    kind = item["type"]
    if kind == "reasoning":
        at = at | {"summary_index": 0}
        part = item["summary"][0]
        yield {"type": "response.reasoning_summary_part.added", **at, "part": part | {"text": ""}}
        for piece in pieces(part["text"]):
            yield {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
        yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **at, "part": part}
    elif kind == "message":
        at = at | {"content_index": 0}
        part = item["content"][0]
        yield {"type": "response.content_part.added", **at, "part": part | {"text": ""}}
        for piece in pieces(part["text"]):
            yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **at, "part": part}
    else:
        for piece in pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **at, **done}


def responses_events(model, turn):
    begun = {"reasoning": {"summary": [], "encrypted_content": ""}, "function_call": {"arguments": ""},
             "message": {"content": []}}
    out = [{"type": "response.created", "response": response(model, [], "in_progress")}]
    for place, item in enumerate(items(turn)):
        started = item | begun[item["type"]]
        if "status" in item:
            started["status"] = "in_progress"
        out.append({"type": "response.output_item.added", "output_index": place, "item": started})
        out += item_events(item, {"item_id": item["id"], "output_index": place})
        out.append({"type": "response.output_item.done", "output_index": place, "item": item})
    out.append({"type": "response.completed", "response": responses_whole(model, turn)})
    return [event | {"sequence_number": place} for place, event in enumerate(out)]


# Gemini's generateContent.

GEMINI_USAGE = {"promptTokenCount": 160, "cachedContentTokenCount": 40, "candidatesTokenCount": 18,
                "thoughtsTokenCount": THINKING, "totalTokenCount": 190}


def gemini_answer(model, parts, **more):
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
    candidate |= {"finishReason": "STOP"} if more else {}
    return {"candidates": [candidate], "modelVersion": model, "responseId": "gemini-script", **more}


def parts(turn):
    if turn.text:
        yield {"text": turn.text}
    for place, (ident, name, given) in enumerate(turn.calls):
        part = {"functionCall": {"id": ident, "name": name, "args": given}}
        # Of calls made at once the first has the signature.
        yield part | ({"thoughtSignature": SEAL} if place == 0 else {})


def gemini_whole(model, turn):
    return gemini_answer(model, list(parts(turn)), usageMetadata=GEMINI_USAGE)


def gemini_events(model, turn):
    for part in parts(turn):
        yield gemini_answer(model, [part])
    yield gemini_answer(model, [{"text": ""}], usageMetadata=GEMINI_USAGE)


WHOLE = {"chat": chat_whole, "responses": responses_whole, "messages": messages_whole, "gemini": gemini_whole}
EVENTS = {"chat": chat_events, "responses": responses_events, "messages": messages_events, "gemini": gemini_events}


def stream(wire, model, turn):
    """The bytes of the turn as a stream."""
    out = []
    for event in EVENTS[wire](model, turn):
        name = f"event: {event['type']}\n" if wire in ("messages", "responses") else ""
        out.append(f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n")
    if wire == "chat":
        out.append("data: [DONE]\n\n")
    return "".join(out).encode()
