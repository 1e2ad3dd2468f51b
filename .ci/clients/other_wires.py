"""Three wires that no caller speaks, as a scripted upstream speaks them: Bedrock's Converse with its binary event
stream, Cohere's chat, and xAI's dialect of chat completions.

Sources: the API references of Converse and ConverseStream, Amazon's event stream encoding, Cohere's chat v2;
what xAI says beside OpenAI's format is in shared/providers/fixtures/providers/xai.sse.
"""

import itertools
import json
import struct
import zlib

import says
from published import answered, demand, see_chat, text_of


def only(value, known, where):
    """No field that the provider's reference does not have: it would answer with a 400."""
    unknown = set(value) - set(known.split())
    demand(not unknown, f"{where}: unknown {sorted(unknown)}")


# Bedrock's Converse.

CONVERSE = ("messages system inferenceConfig toolConfig outputConfig serviceTier additionalModelRequestFields "
            "additionalModelResponseFieldPaths performanceConfig promptVariables requestMetadata guardrailConfig")


def see_converse(body, seen):
    only(body, CONVERSE, "Converse")
    only(body.get("inferenceConfig", {}), "maxTokens temperature topP stopSequences", "inferenceConfig")
    demand(body["inferenceConfig"]["maxTokens"] > 0, "maxTokens")
    demand(all(list(part) in (["text"], ["cachePoint"]) for part in body.get("system", [])), "system")
    called = []
    for place, message in enumerate(body["messages"]):
        where = f"messages.{place}"
        only(message, "role content", where)
        demand(message["role"] == ("user", "assistant")[place % 2], f"{where}: roles must alternate from user")
        demand(message["content"], f"{where}: content is empty")
        results = []
        for block in message["content"]:
            (kind, inner), = block.items()
            demand(kind in ("text", "toolUse", "toolResult", "cachePoint"), f"{where}: {kind} is not understood here")
            demand(kind != "text" or inner.strip(), f"{where}: a text is blank")
            if kind == "toolUse":
                only(inner, "toolUseId name input", where)
                demand(isinstance(inner["input"], dict), f"{where}: the input of a tool is an object")
            if kind == "toolResult":
                only(inner, "toolUseId content status", where)
                results.append([inner["toolUseId"], text_of(inner["content"])])
        answered(called, results, where)
        called = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        seen.results = results
        seen.every += results
    answered(called, [], "the last turn")
    for tool in body.get("toolConfig", {}).get("tools", []):
        only(tool["toolSpec"], "name description inputSchema strict", "toolSpec")
        seen.tools[tool["toolSpec"]["name"]] = tool["toolSpec"]["inputSchema"]["json"]
    demand(seen.tools or not seen.every, "toolConfig must be there where messages have tool blocks")


CONVERSE_USAGE = {"inputTokens": 120, "cacheReadInputTokens": 40, "cacheWriteInputTokens": 0, "outputTokens": 30,
                  "totalTokens": 190}


def converse_blocks(turn):
    if turn.text:
        yield {"text": turn.text}
    for ident, name, given in turn.calls:
        yield {"toolUse": {"toolUseId": ident, "name": name, "input": given}}


def converse_whole(_, turn):
    message = {"role": "assistant", "content": list(converse_blocks(turn))}
    return {"output": {"message": message}, "stopReason": "tool_use" if turn.calls else "end_turn",
            "usage": CONVERSE_USAGE, "metrics": {"latencyMs": 1}}


def framed(name, value):
    """A message of Amazon's event stream: lengths, headers of strings (type 7) and payload, each with its CRC."""
    headers = b""
    for key, told in ((":message-type", "event"), (":event-type", name), (":content-type", "application/json")):
        headers += struct.pack(">B", len(key)) + key.encode() + struct.pack(">BH", 7, len(told)) + told.encode()
    payload = json.dumps(value, ensure_ascii=False).encode()
    start = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    start += struct.pack(">I", zlib.crc32(start)) + headers + payload
    return start + struct.pack(">I", zlib.crc32(start))


def converse_events(turn):
    yield "messageStart", {"role": "assistant"}
    for place, block in enumerate(converse_blocks(turn)):
        if "toolUse" in block:
            call = block["toolUse"]
            start = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}
            yield "contentBlockStart", {"contentBlockIndex": place, "start": start}
            for part in says.pieces(json.dumps(call["input"], ensure_ascii=False)):
                yield "contentBlockDelta", {"contentBlockIndex": place, "delta": {"toolUse": {"input": part}}}
        else:
            for part in says.pieces(block["text"]):
                yield "contentBlockDelta", {"contentBlockIndex": place, "delta": {"text": part}}
        yield "contentBlockStop", {"contentBlockIndex": place}
    yield "messageStop", {"stopReason": "tool_use" if turn.calls else "end_turn"}
    yield "metadata", {"usage": CONVERSE_USAGE, "metrics": {"latencyMs": 1}}


def converse_stream(_, turn):
    return b"".join(itertools.starmap(framed, converse_events(turn)))


# Cohere's chat.

COHERE = ("model max_tokens messages stream tools tool_choice strict_tools response_format thinking temperature p k "
          "seed frequency_penalty presence_penalty stop_sequences documents citation_options safety_mode logprobs "
          "priority")


def see_cohere(body, seen):
    only(body, COHERE, "Cohere's chat")
    called, results = [], []
    for place, message in enumerate(body["messages"]):
        where = f"messages.{place}"
        only(message, "role content tool_calls tool_plan tool_call_id", where)
        if message["role"] == "tool":
            results.append([message["tool_call_id"], text_of(message["content"])])
            seen.every.append(results[-1])
            continue
        answered(called, results, where)
        called, results = [call["id"] for call in message.get("tool_calls") or []], []
        demand(called or message["content"], f"{where}: content is empty")
    answered(called, results, "the last turn")
    seen.results = results
    for tool in body.get("tools") or ():
        only(tool["function"], "name description parameters", "tools")
        seen.tools[tool["function"]["name"]] = tool["function"]["parameters"]
    demand(body.get("tool_choice", "NONE") in ("NONE", "REQUIRED"), "tool_choice")


# What is billed is not what the model read.
COHERE_USAGE = {"billed_units": {"input_tokens": 160, "output_tokens": 30},
                "tokens": {"input_tokens": 700, "output_tokens": 40}, "cached_tokens": 600}


def cohere_calls(turn):
    return [says.chat_call(call, says.arguments(call)) for call in turn.calls]


def cohere_whole(_, turn):
    message = {"role": "assistant"}
    if turn.calls:
        message |= {"tool_plan": turn.text, "tool_calls": cohere_calls(turn)}
    else:
        message["content"] = [{"type": "text", "text": turn.text}]
    return {"id": "cohere-script", "finish_reason": "TOOL_CALL" if turn.calls else "COMPLETE", "message": message,
            "usage": COHERE_USAGE}


def cohere_events(turn):
    def event(kind, message, **more):
        return {"type": kind, **more, "delta": {"message": message}}

    begun = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield event("message-start", begun, id="cohere-script")
    if not turn.calls:
        yield event("content-start", {"content": {"type": "text", "text": ""}}, index=0)
        for part in says.pieces(turn.text):
            yield event("content-delta", {"content": {"text": part}}, index=0)
        yield {"type": "content-end", "index": 0}
    elif turn.text:
        yield event("tool-plan-delta", {"tool_plan": turn.text})
    for place, call in enumerate(cohere_calls(turn)):
        function = call["function"]
        yield event("tool-call-start", {"tool_calls": call | {"function": function | {"arguments": ""}}}, index=place)
        for part in says.pieces(function["arguments"]):
            yield event("tool-call-delta", {"tool_calls": {"function": {"arguments": part}}}, index=place)
        yield {"type": "tool-call-end", "index": place}
    reason = "TOOL_CALL" if turn.calls else "COMPLETE"
    yield {"type": "message-end", "delta": {"finish_reason": reason, "usage": COHERE_USAGE}}


def cohere_stream(_, turn):
    events = [f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in cohere_events(turn)]
    return "".join(events).encode()


# xAI's chat completions: reasoning stands beside the completion and not in it, calls come whole, a role comes with each
# delta.

XAI_USAGE = {"prompt_tokens": 160, "completion_tokens": 18, "total_tokens": 190, "num_sources_used": 0,
             "prompt_tokens_details": {"text_tokens": 160, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 40},
             "completion_tokens_details": {"reasoning_tokens": says.THINKING, "audio_tokens": 0}}


def xai_whole(model, turn):
    whole = says.chat_whole(model, turn)
    return whole | {"id": "xai-script", "usage": XAI_USAGE, "system_fingerprint": "fp_script"}


def xai_stream(model, turn):
    def chunk(choices, **more):
        value = {"id": "xai-script", "object": "chat.completion.chunk", "created": 1, "model": model,
                 "choices": choices, "system_fingerprint": "fp_script", **more}
        return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"

    def delta(finish=None, **said):
        choice = {"index": 0, "delta": {"role": "assistant", **said}}
        return chunk([choice | ({"finish_reason": finish} if finish else {})])

    out = [delta(content=part) for part in says.pieces(turn.text)]
    for place, call in enumerate(turn.calls):
        out.append(delta(tool_calls=[{"index": place, **says.chat_call(call, says.arguments(call))}]))
    out.append(delta("tool_calls" if turn.calls else "stop", content=""))
    out.append(chunk([], usage=XAI_USAGE))
    return "".join([*out, "data: [DONE]\n\n"]).encode()


SEE = {"converse": see_converse, "cohere": see_cohere, "xai": see_chat}
WHOLE = {"converse": converse_whole, "cohere": cohere_whole, "xai": xai_whole}
STREAM = {"converse": converse_stream, "cohere": cohere_stream, "xai": xai_stream}
