"""What the scripted upstream demands of a request: its provider's published types, and rules that no type says.

The types are those of the official SDKs: strict, and a field that they do not have is a fault.
"""

import base64
import collections
import hashlib
import json

from anthropic.types import message_create_params as messages
from google.genai import types as gemini
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import SchemaValidator

import says

class GenerateContent(BaseModel):
    """The body of generateContent, which Google's SDK has only in parts."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    contents: list[gemini.Content]
    system_instruction: gemini.Content | None = None
    tools: list[gemini.Tool] | None = None
    tool_config: gemini.ToolConfig | None = None
    safety_settings: list[gemini.SafetySetting] | None = None
    generation_config: gemini.GenerationConfig | None = None


def lists(schema):
    """The schema with lists where a type declares what is only iterable, which would be checked late or not at all."""
    if isinstance(schema, dict):
        changed = {"type": "list"} if schema.get("type") == "generator" else {}
        return {name: lists(inner) for name, inner in schema.items()} | changed
    if isinstance(schema, (list, tuple)):
        return type(schema)(map(lists, schema))
    return schema


def validator(params):
    # Inner types have no configuration of their own and take this one.
    params.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    return SchemaValidator(lists(TypeAdapter(params).core_schema))


TYPES = {
    ("chat", False): validator(chat.CompletionCreateParamsNonStreaming),
    ("chat", True): validator(chat.CompletionCreateParamsStreaming),
    ("responses", False): validator(responses.ResponseCreateParamsNonStreaming),
    ("responses", True): validator(responses.ResponseCreateParamsStreaming),
    ("messages", False): validator(messages.MessageCreateParamsNonStreaming),
    ("messages", True): validator(messages.MessageCreateParamsStreaming),
    ("gemini", False): GenerateContent.__pydantic_validator__,
    ("gemini", True): GenerateContent.__pydantic_validator__,
}


class Wrong(Exception):
    """What a provider would answer with a 400."""


def demand(holds, rule):
    if not holds:
        raise Wrong(rule)


class Seen:
    """What a request says, in no provider's words."""

    def __init__(self):
        # [type, hash of the bytes] of images and documents.
        self.media = []
        # Tool results of the last turn: [call, text].
        self.results = []
        # Those of all turns.
        self.every = []
        # Tools and the schemas of their arguments, the schema of the answer, how many cache marks.
        self.tools, self.schema, self.marks = {}, None, 0
        # Whether the calls of the last turn came back with what the model had thought before them.
        self.sealed = False
        # Whether the model thinks, whatever it tells of it.
        self.thinks = False
        # What steers the provider's cache.
        self.cache_key = None

    def medium(self, kind, data):
        try:
            data = base64.b64decode(data, validate=True)
        except ValueError:
            raise Wrong(f"{kind}: {data[:40]}… is no base64") from None
        self.media.append([kind, hashlib.sha256(data).hexdigest()])

    def url(self, url):
        head, _, data = url.partition(";base64,")
        demand(head.startswith("data:") and data, f"{url[:40]} is no data URL")
        self.medium(head.removeprefix("data:"), data)

    def told(self):
        return {"media": self.media, "results": self.results, "sealed": self.sealed, "marks": self.marks,
                "cache_key": self.cache_key}


def answered(called, results, where):
    demand(sorted(called) == sorted(call for call, _ in results),
           f"{where}: calls {called} got results {[call for call, _ in results]}")


def closed(schema, where):
    """A strict schema names all that an object has."""
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        closed(inner, where)
    if isinstance(schema, dict) and schema.get("type") == "object" and "properties" in schema:
        demand(schema.get("additionalProperties") is False, f"{where}: additionalProperties must be false")
        demand(set(schema.get("required", [])) == set(schema["properties"]), f"{where}: all must be required")


def see_chat(body, seen):
    called, results = [], []
    for place, message in enumerate(body["messages"]):
        where = f"messages.{place}"
        if message["role"] != "tool":
            answered(called, results, where)
            called, results = [], []
        else:
            content = message["content"]
            text = content if isinstance(content, str) else "".join(part["text"] for part in content)
            results.append([message["tool_call_id"], text])
            seen.every.append(results[-1])
        called += [call["id"] for call in message.get("tool_calls") or []]
        parts = message.get("content")
        for part in parts if isinstance(parts, list) else ():
            if part["type"] == "image_url":
                seen.url(part["image_url"]["url"])
            elif part["type"] == "file":
                demand(part["file"].get("filename"), f"{where}: a file has a name")
                seen.url(part["file"]["file_data"])
            elif part["type"] == "input_audio":
                demand(body["model"].startswith("gpt-audio"), f"{where}: {body['model']} hears nothing")
                seen.medium(f"audio/{part['input_audio']['format']}", part["input_audio"]["data"])
    answered(called, results, "the last turn")
    seen.results = results
    functions = [tool["function"] for tool in body.get("tools") or ()]
    seen.tools = {function["name"]: function.get("parameters", {}) for function in functions}
    answer = body.get("response_format") or {}
    if answer.get("type") == "json_schema":
        seen.schema = answer["json_schema"]["schema"]
        if answer["json_schema"].get("strict"):
            closed(seen.schema, "response_format")
    seen.cache_key = body.get("prompt_cache_key")


def see_responses(body, seen):
    demand(body.get("store") is False, "store must be false where nothing may be kept")
    called, results = [], []
    given = body["input"]
    for place, item in enumerate([] if isinstance(given, str) else given):
        where, kind = f"input.{place}", item.get("type", "message")
        if kind == "reasoning":
            demand(item.get("encrypted_content") == says.SEAL, f"{where}: the encrypted content is another's")
            seen.sealed = True
        elif kind == "function_call":
            called.append(item["call_id"])
        elif kind == "function_call_output":
            output = item["output"]
            text = output if isinstance(output, str) else "".join(part["text"] for part in output)
            results.append([item["call_id"], text])
            seen.every.append(results[-1])
        elif item["role"] == "user":
            answered(called, results, where)
            called, results, seen.sealed = [], [], False
        content = item.get("content") if kind == "message" else None
        for part in content if isinstance(content, list) else ():
            if part["type"] == "input_image":
                seen.url(part["image_url"])
            elif part["type"] == "input_file":
                demand(part.get("filename"), f"{where}: a file has a name")
                seen.url(part["file_data"])
    answered(called, results, "the last turn")
    seen.results = results
    functions = [tool for tool in body.get("tools") or () if tool["type"] == "function"]
    seen.tools = {function["name"]: function["parameters"] for function in functions}
    answer = (body.get("text") or {}).get("format") or {}
    if answer.get("type") == "json_schema":
        seen.schema = answer["schema"]
        if answer.get("strict"):
            closed(seen.schema, "text.format")
    seen.thinks = not body["model"].startswith("gpt-4") and "reasoning.encrypted_content" in (body.get("include") or ())
    seen.cache_key = body.get("prompt_cache_key")


def see_messages(body, seen):
    # A model that thinks by itself needs no more than an effort.
    thinking = body.get("thinking") or {"type": "adaptive" if "effort" in (body.get("output_config") or {}) else ""}
    seen.thinks = thinking["type"] in ("enabled", "adaptive")
    called = []
    marked = [tool for tool in body.get("tools") or ()]
    marked += [part for part in (body["system"] if isinstance(body.get("system"), list) else ())]
    for place, message in enumerate(body["messages"]):
        where, content = f"messages.{place}", message["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        marked += blocks
        results = [[block["tool_use_id"], text_of(block.get("content", ""))]
                   for block in blocks if block["type"] == "tool_result"]
        if called or results:
            answered(called, results, where)
            first = [block["type"] for block in blocks[:len(results)]]
            demand(set(first) == {"tool_result"}, f"{where}: results stand first, not {first}")
        called = [block["id"] for block in blocks if block["type"] == "tool_use"]
        seen.results = results
        seen.every += results
        if called:
            seen.sealed = blocks[0]["type"] == "thinking"
        if called and seen.thinks:
            demand(blocks[0]["type"] == "thinking", f"{where}.content.0.type: Expected `thinking` or "
                   f"`redacted_thinking`, but found `{blocks[0]['type']}`")
        for block in blocks:
            if block["type"] == "thinking":
                demand((block["thinking"], block["signature"]) == (says.THOUGHT, says.SEAL),
                       f"{where}: Invalid `signature` in `thinking` block")
            if block["type"] in ("image", "document"):
                demand(block["source"]["type"] == "base64", f"{where}: {block['source']['type']}")
                seen.medium(block["source"]["media_type"], block["source"]["data"])
    seen.marks = sum("cache_control" in part for part in marked) + ("cache_control" in body)
    demand(seen.marks <= 4, f"{seen.marks} cache marks")
    seen.tools = {tool["name"]: tool.get("input_schema", {}) for tool in body.get("tools") or ()}
    answer = (body.get("output_config") or {}).get("format")
    if answer:
        seen.schema = answer["schema"]
        demand(additional(seen.schema), "output_config.format: additionalProperties must be false")


def text_of(content):
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def additional(schema):
    return schema.get("additionalProperties") is False


# What Google documents for calls of which a client lost the signature, as base64 of the SDK's.
UNSIGNED = "skip_thought_signature_validator"


def see_gemini(body, seen):
    called, turns = [], []
    # Neighbours of one role are one turn: Google's SDKs keep each chunk of a stream as a content.
    for content in body["contents"]:
        role = content.get("role", "user")
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(content["parts"])
        else:
            turns.append((role, list(content["parts"])))
    for place, (_, found) in enumerate(turns):
        where = f"turn {place}"
        results = [part["functionResponse"] for part in found if "functionResponse" in part]
        demand(len(called) == len(results), f"{where}: the number of function response parts is not that of the calls")
        demand(collections.Counter(called) == collections.Counter(result["name"] for result in results),
               f"{where}: results of others than {called}")
        called = [part["functionCall"]["name"] for part in found if "functionCall" in part]
        signed = [part.get("thoughtSignature") for part in found if "functionCall" in part]
        demand(not called or signed[0] in (says.SEAL, UNSIGNED), f"{where}: Function call is missing a thought_signature")
        seen.sealed = signed[0] == says.SEAL if called else seen.sealed
        seen.results = [[result["name"], json.dumps(result["response"])] for result in results]
        seen.every += seen.results
        for part in found:
            if "inlineData" in part:
                # The API takes both alphabets, and its own SDK writes the one of URLs.
                data = part["inlineData"]["data"].replace("-", "+").replace("_", "/")
                seen.medium(part["inlineData"]["mimeType"], data)
    functions = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations") or ()]
    seen.tools = {one["name"]: one.get("parametersJsonSchema") or one.get("parameters", {}) for one in functions}
    config = body.get("generationConfig") or {}
    seen.schema = config.get("responseJsonSchema") or config.get("responseSchema")
    demand(not seen.schema or config.get("responseMimeType") == "application/json", "a schema needs its MIME type")


SEE = {"chat": see_chat, "responses": see_responses, "messages": see_messages, "gemini": see_gemini}


def judge(wire, body, stream, typed=True, see=None):
    """What the request says; raises `Wrong` where its provider would refuse it. `see` reads a wire without types of an
    SDK; xAI's are OpenAI's."""
    if typed and (see is None or wire == "xai"):
        check_types("chat" if wire == "xai" else wire, body, stream)
    if wire == "gemini":
        # Either spelling of a name will do, and Google's own SDK mixes them.
        body = GenerateContent.model_validate(body).model_dump(mode="json", by_alias=True, exclude_none=True)
    seen = Seen()
    (see or SEE[wire])(body, seen)
    return seen


def check_types(wire, body, stream):
    if wire == "responses" and isinstance(body["input"], list):
        # The API has defaults of which its SDK's types know nothing.
        contents = [item.get("content") for item in body["input"]]
        for part in (part for content in contents if isinstance(content, list) for part in content):
            if part.get("type") == "input_image":
                part.setdefault("detail", "auto")
        for tool in body.get("tools") or ():
            if tool["type"] == "function":
                tool.setdefault("strict", True)
    try:
        TYPES[wire, stream].validate_json(json.dumps(body))
    except ValidationError as why:
        # Of all the members of a union the one that came furthest was meant.
        deepest = sorted(why.errors(), key=lambda error: -len(error["loc"]))[:3]
        raise Wrong("; ".join(f"{error['loc']}: {error['msg']}, not {error['input']!r:.300}" for error in deepest)) from None


def sample(schema, root=None):
    """A value that the schema describes."""
    root = root or schema
    if "$ref" in schema:
        return sample(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    for name in ("const", "enum", "anyOf"):
        if name in schema:
            found = schema[name] if name == "const" else schema[name][0]
            return sample(found, root) if name == "anyOf" else found
    kind = schema.get("type", "object").lower()
    if kind == "object":
        return {name: sample(inner, root) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema["items"], root)]
    return {"string": "a text", "integer": 7, "number": 7.5, "boolean": True}[kind]
