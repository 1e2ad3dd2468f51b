"""Google's official Python SDK against a running Farebox.

    FAREBOX_ORIGIN=… FAREBOX_KEY=… python google_genai.py

Needs google-genai 3.3.0 and nothing else. Each claim is run for a model whose provider speaks Gemini's
format (its bytes are passed on) and for two whose providers do not (the answer is translated).
"""

import os
import time

from google import genai
from google.genai import errors, types

MODELS = ["demo/gemini", "demo/chat", "demo/claude"]
TOTAL_S_MAX = 60


def weather(city: str = "Paris") -> str:
    """The weather of a city."""
    return f"sunny in {city}"


DECLARED = types.FunctionDeclaration(
    name="weather",
    description="The weather of a city.",
    parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def counts(usage):
    output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    assert usage.prompt_token_count > 0 and output > 0, usage
    assert usage.total_token_count == usage.prompt_token_count + output, usage


def an_answer_has_its_text_and_counts(client, model):
    config = types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=64)
    answer = client.models.generate_content(model=model, contents="Say hello.", config=config)
    assert "Say hello." in answer.text, answer
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP, answer
    assert answer.model_version and answer.response_id, answer
    counts(answer.usage_metadata)


def a_stream_says_the_same_and_ends_with_its_counts(client, model):
    config = types.GenerateContentConfig(max_output_tokens=64)
    chunks = list(client.models.generate_content_stream(model=model, contents="Say hello.", config=config))
    assert len(chunks) > 2, chunks
    assert "Say hello." in "".join(chunk.text or "" for chunk in chunks), chunks
    assert len({chunk.response_id for chunk in chunks}) == 1, chunks
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP, chunks[-1]
    counts(chunks[-1].usage_metadata)


def a_tool_is_called_by_the_sdk_itself_and_its_result_used(client, model):
    config = types.GenerateContentConfig(tools=[weather], max_output_tokens=200)
    chat = client.chats.create(model=model, config=config)
    answer = chat.send_message("WEATHER in Paris?")
    assert "sunny in Paris" in answer.text, answer
    called = [part.function_call.name for part in chat.get_history()[1].parts if part.function_call]
    assert called == ["weather"], chat.get_history()


def a_tool_is_called_in_a_stream(client, model):
    call = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[DECLARED])],
        tool_config=types.ToolConfig(function_calling_config=call),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        max_output_tokens=200,
    )
    chunks = list(client.models.generate_content_stream(model=model, contents="Go.", config=config))
    calls = [call for chunk in chunks for call in chunk.function_calls or []]
    assert [(call.name, "city" in call.args) for call in calls] == [("weather", True)], chunks


def a_prompt_is_counted(client, model):
    assert client.models.count_tokens(model=model, contents="How long am I?").total_tokens > 0


def a_refusal_is_an_error_of_the_sdk(client, model):
    try:
        tools = [types.Tool(google_search=types.GoogleSearch())]
        config = types.GenerateContentConfig(tools=tools)
        client.models.generate_content(model=model, contents="Search.", config=config)
        raise AssertionError("a search was taken")
    except errors.ClientError as refusal:
        assert refusal.code in (400, 422), refusal
        assert refusal.status == "INVALID_ARGUMENT" and "googleSearch" in refusal.message, refusal


def models_are_listed(client):
    names = {model.name for model in client.models.list()}
    assert {f"models/{model}" for model in MODELS} <= names, sorted(names)[:20]
    assert client.models.get(model="demo/gemini").output_token_limit > 0


def main():
    began = time.monotonic()
    options = types.HttpOptions(base_url=os.environ["FAREBOX_ORIGIN"], timeout=20_000)
    client = genai.Client(api_key=os.environ["FAREBOX_KEY"], http_options=options)
    claims = [
        an_answer_has_its_text_and_counts,
        a_stream_says_the_same_and_ends_with_its_counts,
        a_tool_is_called_by_the_sdk_itself_and_its_result_used,
        a_tool_is_called_in_a_stream,
        a_prompt_is_counted,
        a_refusal_is_an_error_of_the_sdk,
    ]
    for claim in claims:
        for model in MODELS:
            claim(client, model)
            print(f"ok  {claim.__name__} ({model})", flush=True)
    models_are_listed(client)
    seconds = time.monotonic() - began
    assert seconds < TOTAL_S_MAX, f"took {seconds:.0f} s"
    print(f"google-genai {genai.__version__}: {len(claims) * len(MODELS) + 1} claims in {seconds:.1f} s")


if __name__ == "__main__":
    main()
