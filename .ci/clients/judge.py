"""Recorded answers that Farebox told again in every dialect, read by the types of the official SDKs.

    python judge.py RETOLD

Strict: a required field must be there, a type is never turned into another, an event has a type
that its union knows, and a field that no type knows must stand in EXTRA. What an answer says must
be what the recorded one said. RETOLD is written by functions/chat/tests/retold.rs.
"""

import base64
import collections
import json
import sys
import typing

from anthropic.types import Message, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

# Fields that the schemas do not have, and why they are told.
EXTRA = {
    "usage.cost": "what the call cost",
    "reasoning_content": "the word of DeepSeek and others for reasoning, which OpenAI does not tell",
    "reasoning_details": "OpenRouter's word for what a second turn needs of it",
    "ChatCompletion.choices.delta": "Perplexity's own, which survives",
    "message.citations": "what an answer rests on that has no URL, in its provider's words",
    "delta.citations": "the same",
    "delta.annotations": "what OpenAI's search models stream, which its SDK's type leaves out",
    "message.reasoning": "the word of Groq and OpenRouter for reasoning",
    "delta.reasoning": "the word of Groq and OpenRouter for reasoning",
    "tool_calls.extra_content": "where Google's own endpoint in OpenAI's format puts a signature",
    "message.tool_calls.index": "Mistral's own, which survives",
    "choices.delta.index": "xAI's own, which survives",
    "response.store": "told by OpenAI's API, which its SDK's type leaves out",
    "Response.store": "the same",
    "ResponseFunctionCallArgumentsDoneEvent.name": "in OpenAI's description of the event, not in its SDK's type",
    "RawMessageDeltaEvent.usage.cache_creation": "in the usage that begins a message",
    "RawMessageDeltaEvent.usage.service_tier": "the same",
}

# What a provider adds of its own to its answers in the format of chat completions, which pass as they came.
OWN = {
    "azure": {
        "prompt_filter_results": "what the filters found in the prompt",
        "content_filter_results": "what they found in the answer",
        "latency_checkpoint": "times",
        "usage.audio_prompt_tokens": "the older place of prompt_tokens_details.audio_tokens",
        "usage.num_sources_used": "xAI's, whose models Azure serves",
        "usage.cost_in_usd_ticks": "the same",
        "CreateEmbeddingResponse.id": "its id of an embedding",
        "CreateEmbeddingResponse.usage.completion_tokens": "zero",
    },
    "cerebras": {"time_info": "times"},
    "deepseek": {
        "usage.prompt_cache_hit_tokens": "the part of the prompt that was cached",
        "usage.prompt_cache_miss_tokens": "the part that was not",
    },
    "gpustack": {
        "usage.draft_tokens": "llama.cpp's speculative decoding",
        "usage.draft_tokens_acceptance": "the same",
        "usage.prompt_tokens_per_second": "speeds",
        "usage.time_per_output_token_ms": "the same",
        "usage.time_to_first_token_ms": "the same",
        "usage.tokens_per_second": "the same",
    },
    "groq": {
        "usage.completion_time": "times",
        "usage.prompt_time": "the same",
        "usage.queue_time": "the same",
        "usage.total_time": "the same",
        "usage_breakdown": "the counts of each model that took part",
        "x_groq": "Groq's id and seed, and an older place of the usage",
    },
    "mistral": {
        "ChatCompletionChunk.p": "padding against measuring the lengths of chunks",
        "usage.prompt_audio_seconds": "the length of what was heard",
        "usage.service_tier": "the tier, which others tell beside the usage",
        "CreateEmbeddingResponse.id": "its id of an embedding",
        "CreateEmbeddingResponse.usage.completion_tokens": "zero: it tells the usage of a chat",
        "CreateEmbeddingResponse.usage.completion_tokens_details": "the same",
        "CreateEmbeddingResponse.usage.prompt_tokens_details": "the same",
        "CreateEmbeddingResponse.usage.prompt_token_details": "the same",
        "CreateEmbeddingResponse.usage.request_count": "the same",
    },
    "moonshotai": {"usage.cached_tokens": "an older place of prompt_tokens_details.cached_tokens"},
    "openrouter": {
        "ChatCompletion.provider": "who served the call",
        "ChatCompletionChunk.provider": "the same",
        "choices.native_finish_reason": "the served model's own word",
        "usage.cost_details": "what the parts of the call cost",
        "usage.is_byok": "whether a key of the caller's own paid",
        "usage.provider_cost": "its own usage.cost, beside Farebox's",
        "usage.prompt_tokens_details.video_tokens": "a count",
        "usage.completion_tokens_details.image_tokens": "a count",
        "usage.server_tool_use_details": "searches",
        "CreateEmbeddingResponse.id": "its id of an embedding",
        "CreateEmbeddingResponse.provider": "who served the call",
    },
    "perplexity": {
        "ChatCompletion.citations": "the sources, by address",
        "ChatCompletionChunk.citations": "the same",
        "search_results": "the sources",
        "usage.search_context_size": "how much was read of them",
        "usage.provider_cost": "its own usage.cost, beside Farebox's",
    },
    "xai": {
        "usage.cost_in_usd_ticks": "what the call cost",
        "usage.num_sources_used": "searches",
    },
}

# A provider's own words where a schema lists all that may stand there: which of those it is, and why.
OWN_WORDS = {
    ("groq", "service_tier", "on_demand"): ("default", "the usual tier"),
    ("perplexity", "object", "chat.completion.done"): ("chat.completion.chunk", "the last, which has the whole message"),
}


def by_type(union):
    """The members of a union of events by their `type`."""
    members = {}
    for member in typing.get_args(typing.get_args(union)[0]):
        for name in typing.get_args(member.model_fields["type"].annotation):
            members[name] = member
    return members


EVENTS = {"responses": by_type(ResponseStreamEvent), "messages": by_type(RawMessageStreamEvent)}
WHOLE = {
    "chat": ChatCompletion,
    "responses": Response,
    "messages": Message,
    "gemini": GenerateContentResponse,
    "texts": Completion,
}


class Found(set):
    """Paths of fields that no type knows, with the provider whose answer has them."""

    provider = ""

    def add(self, path):
        super().add((self.provider, path))


def extras(value, path, found):
    """The fields that a model took without knowing them."""
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            found.add(f"{path}.{name}".strip("."))
        for name in type(value).model_fields:
            extras(getattr(value, name), f"{path}.{name}", found)
    elif isinstance(value, dict):
        for inner in value.values():
            extras(inner, path, found)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            extras(inner, path, found)


def read(model, text, found):
    value = json.loads(text)
    for (provider, field, own), (word, _) in OWN_WORDS.items():
        if found.provider == provider and value.get(field) == own:
            value[field] = word
            text = json.dumps(value)
    value = model.model_validate_json(text, strict=True)
    extras(value, model.__name__, found)
    return value


def data(body):
    """The data of each event of a stream."""
    for block in body.split("\n\n"):
        lines = [line[6:] for line in block.split("\n") if line.startswith("data: ")]
        if lines:
            yield "\n".join(lines)


def whole_chat(value):
    for choice in value.choices:
        calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
        yield choice.message.content or "", calls


def whole_responses(value):
    text = "".join(
        part.text
        for item in value.output
        if item.type == "message"
        for part in item.content
        if part.type == "output_text"
    )
    calls = [(item.name, item.arguments) for item in value.output if item.type == "function_call"]
    yield text, calls


def whole_messages(value):
    text = "".join(block.text for block in value.content if block.type == "text")
    yield text, [(block.name, block.input) for block in value.content if block.type == "tool_use"]


def whole_gemini(value):
    parts = [part for part in (value.candidates[0].content.parts or [])] if value.candidates else []
    text = "".join(part.text or "" for part in parts if not part.thought)
    yield text, [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]


def whole_texts(value):
    for choice in value.choices:
        yield choice.text, []


SAID = {
    "chat": whole_chat,
    "responses": whole_responses,
    "messages": whole_messages,
    "gemini": whole_gemini,
    "texts": whole_texts,
}


def stream_chat(body, found):
    chunks = [read(ChatCompletionChunk, text, found) for text in data(body) if text != "[DONE]"]
    assert body.endswith("data: [DONE]\n\n"), "no end"
    assert len({chunk.id for chunk in chunks}) == 1, "more than one id"
    assert chunks[-1].choices == [] and chunks[-1].usage is not None or not body.count('"usage":{'), "usage is not last"
    said = collections.defaultdict(lambda: ["", {}, 0, 0])
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        one = said[choice.index]
        one[0] += choice.delta.content or ""
        one[2] += choice.delta.role is not None
        one[3] += choice.finish_reason is not None
        for call in choice.delta.tool_calls or []:
            name, arguments = one[1].get(call.index, ("", ""))
            function = call.function
            one[1][call.index] = (name + ((function and function.name) or ""), arguments + ((function and function.arguments) or ""))
    for index in sorted(said):
        text, calls, roles, finishes = said[index]
        assert roles == 1, f"{roles} roles"
        assert finishes == 1, f"{finishes} finish reasons"
        yield text, list(calls.values())


def stream_responses(body, found):
    events = [(json.loads(text)["type"], text) for text in data(body)]
    events = [read(EVENTS["responses"][kind], text, found) for kind, text in events]
    assert [event.sequence_number for event in events] == list(range(len(events))), "sequence numbers"
    assert events[0].type == "response.created" and events[-1].type in ("response.completed", "response.incomplete")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    (whole, calls), = whole_responses(events[-1].response)
    assert text == whole, "the deltas are not the text"
    yield whole, calls


def stream_messages(body, found):
    events = [(json.loads(text)["type"], text) for text in data(body)]
    events = [read(EVENTS["messages"][kind], text, found) for kind, text in events]
    assert events[0].type == "message_start" and events[-1].type == "message_stop"
    blocks, opened = {}, []
    for event in events:
        if event.type == "content_block_start":
            assert event.index == len(opened), "blocks are not in their order"
            opened.append(event.content_block)
            blocks[event.index] = ""
        elif event.type == "content_block_delta":
            blocks[event.index] += getattr(event.delta, "text", "") or getattr(event.delta, "partial_json", "")
    text = "".join(blocks[at] for at, block in enumerate(opened) if block.type == "text")
    calls = [(block.name, blocks[at] or "{}") for at, block in enumerate(opened) if block.type == "tool_use"]
    yield text, calls


def stream_gemini(body, found):
    text, calls = "", []
    for chunk in (read(GenerateContentResponse, text, found) for text in data(body)):
        for one, more in whole_gemini(chunk):
            text += one
            calls += more
    yield text, calls


def stream_texts(body, found):
    chunks = [json.loads(text) for text in data(body) if text != "[DONE]"]
    assert body.endswith("data: [DONE]\n\n"), "no end"
    assert len({chunk["id"] for chunk in chunks}) == 1, "more than one id"
    said = collections.defaultdict(lambda: ["", 0])
    for chunk in chunks:
        for choice in chunk["choices"]:
            said[choice["index"]][1] += choice["finish_reason"] is not None
            # OpenAI's own streams say null until the last piece, which the SDK's type leaves out.
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        for choice in read(Completion, json.dumps(chunk), found).choices:
            said[choice.index][0] += choice.text
    assert chunks[-1]["choices"] == [] and chunks[-1].get("usage") or '"usage":{' not in body, "usage is not last"
    for index in sorted(said):
        text, finishes = said[index]
        assert finishes == 1, f"{finishes} finish reasons"
        yield text, []


STREAM = {
    "chat": stream_chat,
    "responses": stream_responses,
    "messages": stream_messages,
    "gemini": stream_gemini,
    "texts": stream_texts,
}


def plain(arguments):
    """Arguments as their value. Dialects whose calls take only objects put another value into one."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return arguments.strip()
    if isinstance(arguments, dict) and list(arguments) == ["arguments"]:
        return plain(arguments["arguments"])
    return arguments or ""


def vectors(body, found):
    """The vectors of an answer. In base64 they stand as texts, which the SDK reads before its types do."""
    value = json.loads(body)
    told = [item["embedding"] for item in value["data"]]
    assert [item["index"] for item in value["data"]] == list(range(len(told))), "not in their order"
    for item in value["data"]:
        if isinstance(item["embedding"], str):
            item["embedding"] = [float(byte) for byte in base64.b64decode(item["embedding"], validate=True)]
    read(CreateEmbeddingResponse, json.dumps(value), found)
    return told


def judge(line, found):
    body, dialect = line["body"], line["dialect"]
    if dialect == "embeddings":
        assert vectors(body, found) == [json.loads(vector) for vector in line["said"]], "other vectors"
        return
    if line["kind"] == "whole":
        said = list(SAID[dialect](read(WHOLE[dialect], body, found)))
    else:
        said = list(STREAM[dialect](body, found))
    said = [[text, [[name, plain(given)] for name, given in calls]] for text, calls in said]
    expected = [[text, [[name, plain(given)] for name, given in calls]] for text, calls in line["said"]]
    assert said == expected, f"said {said!r:.300} instead of {expected!r:.300}"


def main():
    told, wrong, found = collections.Counter(), [], Found()
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in map(json.loads, file):
            place = f"{line['dialect']} {line['kind']}"
            found.provider = line["provider"]
            told[place] += 1
            try:
                judge(line, found)
            except Exception as why:
                wrong.append(f"{place} {line['id']}: {type(why).__name__}: {str(why)[:400]}")
    named = lambda provider, path: any(path.endswith(known) for known in [*EXTRA, *OWN.get(provider, ())])
    unknown = sorted(f"{provider} {path}" for provider, path in found if not named(provider, path))
    for line in wrong + [f"a field that no schema has: {name}" for name in unknown]:
        print(line)
    print("judged:", dict(told), f"{len(wrong)} wrong, {len(unknown)} unknown fields")
    return 1 if wrong or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
