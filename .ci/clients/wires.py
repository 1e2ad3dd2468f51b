"""The official Python SDKs of OpenAI and Anthropic against models whose providers speak neither's format.

    FAREBOX_ORIGIN=… FAREBOX_KEY=… python wires.py

The upstream says in each wire the same (says.py, other_wires.py), so what an SDK must read is known to the token.
"""

import json
import os
import sys

import anthropic
import openai

from claims import judged

ORIGIN, KEY = os.environ["FAREBOX_ORIGIN"], os.environ["FAREBOX_KEY"]
MODELS = ["bedrock/us.amazon.nova-2-lite-v1:0", "cohere/command-a-03-2025", "xai/grok-3"]
HELLO = [{"role": "user", "content": "Say hello."}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CITIES = [{"city": "Zürich"}, {"city": "São Paulo 🌧"}]
SAID = {"media": [], "results": [], "sealed": False, "marks": 0, "cache_key": None}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
# Prompt tokens, those of them that were cached, and completion: what the upstream's usage says in OpenAI's classes.
# Cohere tells no cached tokens that are billed apart, and xAI's completion leaves its reasoning out.
USAGE = {"bedrock": (160, 40, 30), "cohere": (160, 0, 30), "xai": (160, 40, 30)}


def openai_client():
    return openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0, timeout=60)


def anthropic_client():
    return anthropic.Anthropic(base_url=ORIGIN, api_key=KEY, max_retries=0, timeout=60)


def same(found, expected):
    assert found == expected, f"{found!r} instead of {expected!r}"


def openai_counts(model, usage):
    cached = (usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens) or 0
    same((usage.prompt_tokens, cached, usage.completion_tokens), USAGE[model.partition("/")[0]])
    same(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)


def openai_whole(model):
    answer = openai_client().chat.completions.create(model=model, messages=HELLO, max_tokens=64)
    (choice,) = answer.choices
    same((json.loads(choice.message.content), choice.finish_reason), (SAID, "stop"))
    openai_counts(model, answer.usage)


def streamed(model, **more):
    """The text, the calls, the finish reason; what holds for every stream is asked here."""
    chunks = list(openai_client().chat.completions.create(
        model=model, max_tokens=200, stream=True, stream_options={"include_usage": True}, **more))
    same(len({chunk.id for chunk in chunks}), 1)
    assert chunks[0].id, "no id"
    same([place for place, chunk in enumerate(chunks) if chunk.usage], [len(chunks) - 1])
    same(chunks[-1].choices, [])
    openai_counts(model, chunks[-1].usage)
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    same([place for place, choice in enumerate(choices) if choice.delta.role], [0])
    (finish,) = [choice.finish_reason for choice in choices if choice.finish_reason]
    calls = {}
    for call in (call for choice in choices for call in choice.delta.tool_calls or []):
        whole = calls.setdefault(call.index, [call.id, call.function.name, ""])
        whole[2] += call.function.arguments or ""
    return "".join(choice.delta.content or "" for choice in choices), list(calls.values()), finish


def openai_stream(model):
    text, calls, finish = streamed(model, messages=HELLO)
    same((json.loads(text), calls, finish), (SAID, [], "stop"))


def openai_tools(model):
    """Two tools called at once, streamed and whole, and a second turn with what they gave."""
    _, calls, finish = streamed(model, messages=HELLO, tools=TOOLS, tool_choice="required")
    same([(name, json.loads(given)) for _, name, given in calls], [("weather", city) for city in CITIES])
    same(finish, "tool_calls")

    first = openai_client().chat.completions.create(
        model=model, messages=HELLO, tools=TOOLS, tool_choice="required", max_tokens=200).choices[0]
    same(first.finish_reason, "tool_calls")
    same([json.loads(call.function.arguments) for call in first.message.tool_calls], CITIES)
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"rain {place}"}
               for place, call in enumerate(first.message.tool_calls)]
    turns = [*HELLO, first.message.model_dump(exclude_none=True), *results]
    second = openai_client().chat.completions.create(model=model, messages=turns, tools=TOOLS, max_tokens=200)
    told = [[result["tool_call_id"], result["content"]] for result in results]
    same(json.loads(second.choices[0].message.content)["results"], told)


def anthropic_counts(model, usage):
    prompt, cached, completion = USAGE[model.partition("/")[0]]
    same((usage.input_tokens, usage.cache_read_input_tokens or 0, usage.output_tokens),
         (prompt - cached, cached, completion))


def anthropic_whole(model):
    message = anthropic_client().messages.create(model=model, max_tokens=64, messages=HELLO)
    same((json.loads(message.content[0].text), message.stop_reason), (SAID, "end_turn"))
    anthropic_counts(model, message.usage)


def anthropic_stream(model):
    with anthropic_client().messages.stream(model=model, max_tokens=64, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    same((json.loads(text), message.stop_reason), (SAID, "end_turn"))
    anthropic_counts(model, message.usage)


def anthropic_tools(model):
    tools = [{"name": "weather", "description": "d", "input_schema": SCHEMA}]
    with anthropic_client().messages.stream(model=model, max_tokens=200, messages=HELLO, tools=tools,
                                            tool_choice={"type": "any"}) as stream:
        first = stream.get_final_message()
    calls = [block for block in first.content if block.type == "tool_use"]
    same(([call.input for call in calls], first.stop_reason), (CITIES, "tool_use"))
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"rain {place}"}
               for place, call in enumerate(calls)]
    turns = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = anthropic_client().messages.create(model=model, max_tokens=200, messages=turns, tools=tools)
    told = [[result["tool_use_id"], result["content"]] for result in results]
    same(json.loads(second.content[0].text)["results"], told)


CLAIMS = [openai_whole, openai_stream, openai_tools, anthropic_whole, anthropic_stream, anthropic_tools]


if __name__ == "__main__":
    sys.exit(judged(CLAIMS, MODELS))
