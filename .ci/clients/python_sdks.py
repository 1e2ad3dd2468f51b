"""The official Python SDKs and LangChain against a running Farebox.

    FAREBOX_ORIGIN=… FAREBOX_KEY=… python python_sdks.py

Each claim is run for a model whose provider speaks the client's format (its bytes are passed on) and for
one whose provider does not (the answer is translated).
"""

import os
import sys

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from claims import judged

ORIGIN, KEY = os.environ["FAREBOX_ORIGIN"], os.environ["FAREBOX_KEY"]
MODELS = ["demo/claude", "demo/chat"]
HELLO = [{"role": "user", "content": "Say hello."}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "weather", "description": "The weather of a city.", "input_schema": SCHEMA}


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def client(key=KEY):
    return anthropic.Anthropic(base_url=ORIGIN, api_key=key, max_retries=0, timeout=60)


def anthropic_create(model):
    message = client().messages.create(model=model, max_tokens=64, system="Be brief.", messages=HELLO)

    assert message.content[0].text and message.stop_reason == "end_turn", message
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message.usage
    assert message._request_id, "no request-id"


def anthropic_stream(model):
    with client().messages.stream(model=model, max_tokens=64, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()

    assert text and message.content[0].text == text, message
    assert message.usage.output_tokens > 0 and message.usage.input_tokens > 0, message.usage


def anthropic_tool_loop(model):
    ask = [{"role": "user", "content": "What is the weather in Berlin?"}]
    force = {"type": "tool", "name": "weather"}
    first = client().messages.create(model=model, max_tokens=200, messages=ask, tools=[WEATHER], tool_choice=force)
    assert first.stop_reason == "tool_use", first
    call = next(block for block in first.content if block.type == "tool_use")
    assert "city" in call.input, call

    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    turns = [*ask, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client().messages.create(model=model, max_tokens=200, messages=turns, tools=[WEATHER])
    assert second.stop_reason == "end_turn" and second.content[0].text, second


def anthropic_errors(model):
    for key, wrong, expected, status in [
        (KEY, {"max_tokens": -1}, anthropic.BadRequestError, 400),
        (KEY, {"model": "demo/no-such-model"}, anthropic.NotFoundError, 404),
        ("sk-fb-wrong", {}, anthropic.AuthenticationError, 401),
    ]:
        try:
            client(key).messages.create(**{"model": model, "max_tokens": 64, "messages": HELLO, **wrong})
        except expected as error:
            assert error.status_code == status and error.body["type"] == "error", error.body
            assert error.request_id, error
        else:
            raise AssertionError(f"{wrong} was answered")


def anthropic_counts_and_models(model):
    count = client().messages.count_tokens(model=model, messages=HELLO)
    assert count.input_tokens > 0, count
    models = [entry.id for entry in client().models.list()]
    assert model in models and client().models.retrieve(model).id == model, models[:10]


def openai_async_stream_and_tools(model):
    import asyncio

    async def calls():
        client = openai.AsyncOpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0)
        tools = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
        stream = await client.chat.completions.create(
            model=model, messages=HELLO, tools=tools, tool_choice="required", stream=True, max_tokens=200,
            stream_options={"include_usage": True})
        return [chunk async for chunk in stream]

    chunks = asyncio.run(calls())
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["tool_calls"] and chunks[-1].usage.total_tokens > 0, chunks[-2:]


def strictly(value):
    """Builds an answer of the SDK's again, which its lenient parser made: now every type is checked."""
    type(value).model_validate(value.model_dump(mode="json"))
    return value


def openai_responses(model):
    client = openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0)
    whole = strictly(client.responses.create(model=model, input="Say hello.", max_output_tokens=200))
    assert whole.status == "completed" and whole.output_text and whole.usage.total_tokens > 0, whole

    events = [strictly(event) for event in client.responses.create(
        model=model, instructions="Be brief.", input="Say hello.", max_output_tokens=200, stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events))), events
    assert events[0].type == "response.created" and events[-1].type == "response.completed", events
    with client.responses.stream(model=model, input="Say hello.", max_output_tokens=200) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert text and stream.get_final_response().output_text == text, text


def openai_responses_tools(model):
    client = openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0)
    tools = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
    ask = [{"role": "user", "content": "What is the weather in Berlin?"}]
    first = strictly(client.responses.create(model=model, input=ask, tools=tools, tool_choice="required",
                                             max_output_tokens=200))
    call = next(item for item in first.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    turns = [*ask, *[item.model_dump(exclude_none=True) for item in first.output], result]
    second = strictly(client.responses.create(model=model, input=turns, tools=tools, max_output_tokens=200))
    assert "sunny" in second.output_text, second
    try:
        client.responses.retrieve("resp_1")
    except openai.APIStatusError as error:
        assert error.status_code == 501 and "keeps no responses" in error.message, error
    else:
        raise AssertionError("a response was kept")


def langchain(chat):
    answer = chat.invoke("Say hello.")
    assert answer.content and answer.usage_metadata["total_tokens"] > 0, answer

    chunks = list(chat.stream("Say hello."))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    assert whole.content and whole.usage_metadata["total_tokens"] > 0, whole

    called = chat.bind_tools([weather], tool_choice="any").invoke("What is the weather in Berlin?")
    assert called.tool_calls and called.tool_calls[0]["name"] == "weather", called


def langchain_anthropic(model):
    langchain(ChatAnthropic(model=model, base_url=ORIGIN, api_key=KEY, max_tokens=200, max_retries=0))


def langchain_openai(model):
    langchain(ChatOpenAI(model=model, base_url=f"{ORIGIN}/v1", api_key=KEY, max_tokens=200, max_retries=0,
                         stream_usage=True))


CLAIMS = [anthropic_create, anthropic_stream, anthropic_tool_loop, anthropic_errors, anthropic_counts_and_models,
          openai_async_stream_and_tools, openai_responses, openai_responses_tools, langchain_anthropic,
          langchain_openai]


if __name__ == "__main__":
    sys.exit(judged(CLAIMS, MODELS))
