"""What people send by the Python SDKs: images, PDFs, schemas, tools at once, cache marks, and thoughts sent back.

    FAREBOX_ORIGIN=… FAREBOX_KEY=… python sent.py

Farebox's providers are the scripted upstream (upstream.py), which judges every request by the types that
its provider publishes and tells what it saw of it. Each claim is run for a model of each wire format.
"""

import enum
import hashlib
import json
import os
import sys

import anthropic
import openai
from google import genai
from google.genai import types
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from claims import judged
from media import PDF, PNG, WAV, pdf, png, wav
from upstream import CITIES

ORIGIN, KEY = os.environ["FAREBOX_ORIGIN"], os.environ["FAREBOX_KEY"]
CHAT, RESPONSES = "openai/gpt-4.1", "openai/gpt-5.2-codex"
CLAUDE, GEMINI = "anthropic/claude-opus-4-8", "gemini/gemini-3-flash-preview"
# A model of chat completions that hears.
AUDIO = "openai/gpt-audio"
MODELS = [CHAT, RESPONSES, CLAUDE, GEMINI]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ASK = [{"role": "user", "content": "What is the weather?"}]


MEDIA = [["image/png", hashlib.sha256(png()).hexdigest()], ["application/pdf", hashlib.sha256(pdf()).hexdigest()]]


class Mood(enum.StrEnum):
    """Only who gets the schema as it was written can know this word."""

    RARE = "merry-7f3a"


class Street(BaseModel):
    name: str
    number: int


class City(BaseModel):
    mood: Mood
    streets: list[Street]


def right(city):
    assert city == City(mood=Mood.RARE, streets=[Street(name="a text", number=7)]), city


def saw_results(text, model):
    """Both results came, and the model's own thoughts with them."""
    seen = json.loads(text)
    # Gemini's results are objects, in which a text stands by itself.
    results = [[*json.loads(result).values()][0] if result.startswith("{") else result for _, result in seen["results"]]
    assert sorted(results) == sorted(f"rain in {city}" for city in CITIES), seen
    assert seen["sealed"] == (model != CHAT), seen


def openai_client():
    return openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0, timeout=60)


def chat_media(model):
    content = [{"type": "text", "text": "What is this?"},
               {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
               {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}]
    answer = openai_client().chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    assert json.loads(answer.choices[0].message.content)["media"] == MEDIA, answer


HEARD = [["audio/wav", hashlib.sha256(wav()).hexdigest()]]


def refused(call, *fields):
    """A model that hears nothing is not asked: the caller learns which part it is."""
    try:
        answer = call()
    except (openai.BadRequestError, anthropic.BadRequestError) as why:
        assert any(field in str(why) for field in fields), why
    except genai.errors.ClientError as why:
        assert why.code == 400 and any(field in why.message for field in fields), why
    else:
        raise AssertionError(answer)


def chat_audio(model):
    content = [{"type": "text", "text": "What is this?"},
               {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}]

    def call(model):
        return openai_client().chat.completions.create(model=model, messages=[{"role": "user", "content": content}])

    if model in (CLAUDE, RESPONSES):
        return refused(lambda: call(model), "messages[0].content[1]")
    answer = call(AUDIO if model == CHAT else model)
    assert json.loads(answer.choices[0].message.content)["media"] == HEARD, answer


def chat_schema(model):
    answer = openai_client().chat.completions.parse(model=model, messages=ASK, response_format=City)
    right(answer.choices[0].message.parsed)


def thinking(model):
    """An effort, for the models that think when told to."""
    return {"reasoning_effort": "low"} if model in (CLAUDE, RESPONSES) else {}


def chat_tools(model):
    tools = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    given = {"model": model, "tools": tools, **thinking(model)}
    with openai_client().chat.completions.stream(messages=ASK, **given) as stream:
        whole = stream.get_final_completion()
    message = whole.choices[0].message
    assert whole.choices[0].finish_reason == "tool_calls", whole
    cities = [json.loads(call.function.arguments)["city"] for call in message.tool_calls]
    assert cities == CITIES, message
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"rain in {city}"}
               for call, city in zip(message.tool_calls, cities)]
    # A place in a stream is no field of a message.
    said = message.model_dump(exclude_none=True, exclude={"parsed": True, "tool_calls": {"__all__": {"index"}}})
    turns = [*ASK, said, *results]
    second = openai_client().chat.completions.create(messages=turns, **given)
    saw_results(second.choices[0].message.content, model)


def chat_cache(model):
    """Claude's cache marks in OpenAI's format; OpenAI's key of its own cache."""
    text = [{"type": "text", "text": "Long. " * 2000, "cache_control": {"type": "ephemeral"}}]
    messages = [{"role": "system", "content": text}, *ASK]
    more = {"prompt_cache_key": "team-7"} if model in (CHAT, RESPONSES) else {}
    answer = openai_client().chat.completions.create(model=model, messages=messages, **more)
    seen = json.loads(answer.choices[0].message.content)
    assert (seen["marks"], seen["cache_key"]) == (int(model == CLAUDE), more.get("prompt_cache_key")), seen
    assert answer.usage.prompt_tokens_details.cached_tokens == 40, answer.usage


def responses_media(model):
    content = [{"type": "input_text", "text": "What is this?"},
               {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG}"},
               {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}]
    answer = openai_client().responses.create(model=model, input=[{"role": "user", "content": content}])
    assert json.loads(answer.output_text)["media"] == MEDIA, answer


def responses_schema(model):
    right(openai_client().responses.parse(model=model, input=ASK, text_format=City).output_parsed)


def responses_tools(model):
    tools = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
    reasoning = {"reasoning": {"effort": "low"}} if thinking(model) else {}
    given = {"model": model, "tools": tools, "store": False, "include": ["reasoning.encrypted_content"], **reasoning}
    with openai_client().responses.stream(input=ASK, **given) as stream:
        whole = stream.get_final_response()
    calls = [item for item in whole.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == CITIES, whole
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": f"rain in {city}"}
               for call, city in zip(calls, CITIES)]
    output = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in whole.output]
    second = openai_client().responses.create(input=[*ASK, *output, *results], **given)
    saw_results(second.output_text, model)


def anthropic_client():
    return anthropic.Anthropic(base_url=ORIGIN, api_key=KEY, max_retries=0, timeout=60)


def anthropic_media(model):
    content = [{"type": "text", "text": "What is this?"},
               {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
               {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}]
    messages = [{"role": "user", "content": content}]
    answer = anthropic_client().messages.create(model=model, max_tokens=500, messages=messages)
    assert json.loads(answer.content[-1].text)["media"] == MEDIA, answer


def anthropic_schema(model):
    answer = anthropic_client().messages.parse(model=model, max_tokens=500, messages=ASK, output_format=City)
    right(answer.parsed_output)


def anthropic_tools(model):
    tools = [{"name": "weather", "description": "The weather.", "input_schema": SCHEMA}]
    given = {"model": model, "max_tokens": 4000, "tools": tools, "thinking": {"type": "adaptive"}}
    with anthropic_client().messages.stream(messages=ASK, **given) as stream:
        whole = stream.get_final_message()
    assert whole.stop_reason == "tool_use", whole
    calls = [block for block in whole.content if block.type == "tool_use"]
    assert [call.input["city"] for call in calls] == CITIES, whole
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"rain in {city}"}
               for call, city in zip(calls, CITIES)]
    turns = [*ASK, {"role": "assistant", "content": whole.content}, {"role": "user", "content": results}]
    second = anthropic_client().messages.create(messages=turns, **given)
    saw_results(second.content[-1].text, model)


def anthropic_cache(model):
    mark = {"cache_control": {"type": "ephemeral"}}
    system = [{"type": "text", "text": "Long. " * 2000, **mark}]
    content = [{"type": "text", "text": "Hello.", **mark}]
    answer = anthropic_client().messages.create(model=model, max_tokens=500, system=system,
                                                messages=[{"role": "user", "content": content}])
    usage, own = answer.usage, model == CLAUDE
    assert json.loads(answer.content[-1].text)["marks"] == (2 if own else 0), answer
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens or 0) == (40, 100 if own else 0), usage
    assert usage.input_tokens == (20 if own else 120), usage


# Closed with the last that knows it.
GOOGLE = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=ORIGIN, timeout=60_000))


def google_media(model):
    contents = ["What is this?", types.Part.from_bytes(data=png(), mime_type="image/png"),
                types.Part.from_bytes(data=pdf(), mime_type="application/pdf")]
    answer = GOOGLE.models.generate_content(model=model, contents=contents)
    assert json.loads(answer.text)["media"] == MEDIA, answer


def google_audio(model):
    contents = ["What is this?", types.Part.from_bytes(data=wav(), mime_type="audio/wav")]

    def call(model):
        return GOOGLE.models.generate_content(model=model, contents=contents)

    if model in (CLAUDE, RESPONSES):
        return refused(lambda: call(model), "contents")
    assert json.loads(call(AUDIO if model == CHAT else model).text)["media"] == HEARD


def google_schema(model):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    right(GOOGLE.models.generate_content(model=model, contents="Which?", config=config).parsed)


def google_tools(model):
    declared = types.FunctionDeclaration(name="weather", description="The weather.", parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW) if thinking(model) else None,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))
    chat = GOOGLE.chats.create(model=model, config=config)
    calls = [call for chunk in chat.send_message_stream("What is the weather?") for call in chunk.function_calls or []]
    assert [call.args["city"] for call in calls] == CITIES, calls
    results = [types.Part(function_response=types.FunctionResponse(
        id=call.id, name=call.name, response={"result": f"rain in {call.args['city']}"})) for call in calls]
    saw_results(chat.send_message(results).text, model)


def langchain(chat, model):
    content = [{"type": "text", "text": "What is this?"},
               {"type": "image", "base64": PNG, "mime_type": "image/png"},
               {"type": "file", "base64": PDF, "mime_type": "application/pdf", "filename": "a.pdf"}]
    answer = chat.invoke([HumanMessage(content)])
    assert json.loads(answer.text)["media"] == MEDIA, answer

    tools = [{"name": "weather", "description": "The weather.", "parameters": SCHEMA}]
    bound, ask = chat.bind_tools(tools), HumanMessage("What is the weather?")
    whole = None
    for chunk in bound.stream([ask]):
        whole = chunk if whole is None else whole + chunk
    assert [call["args"]["city"] for call in whole.tool_calls] == CITIES, whole
    results = [ToolMessage(f"rain in {call['args']['city']}", tool_call_id=call["id"]) for call in whole.tool_calls]
    saw_results(bound.invoke([ask, whole, *results]).text, model)


def langchain_openai(model):
    chat = ChatOpenAI(model=model, base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0)
    if model == CHAT:
        langchain(chat, model)
    right(chat.with_structured_output(City, method="json_schema").invoke("Which?"))


def langchain_responses(model):
    reasoning = {"reasoning": {"effort": "low"}} if thinking(model) else {}
    chat = ChatOpenAI(model=model, base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0, use_responses_api=True,
                      store=False, include=["reasoning.encrypted_content"], **reasoning)
    langchain(chat, model)
    right(chat.with_structured_output(City, method="json_schema").invoke("Which?"))


def langchain_anthropic(model):
    given = {"model": model, "base_url": ORIGIN, "api_key": KEY, "max_tokens": 4000, "max_retries": 0}
    langchain(ChatAnthropic(thinking={"type": "adaptive"}, **given), model)
    right(ChatAnthropic(**given).with_structured_output(City, method="json_schema").invoke("Which?"))


CLAIMS = [chat_media, chat_audio, google_audio, chat_schema, chat_tools, chat_cache, responses_media, responses_schema, responses_tools,
          anthropic_media, anthropic_schema, anthropic_tools, anthropic_cache, google_media, google_schema,
          google_tools, langchain_openai, langchain_responses, langchain_anthropic]


if __name__ == "__main__":
    sys.exit(judged(CLAIMS, MODELS))
