//! OpenAI's chat completions: bytes in, values out. Shapes as recorded in the corpus and as in
//! github.com/openai/openai-openapi (`CreateChatCompletionResponse` and its stream).

use serde_json::{Map, Value, json};

use super::Answer;
use super::ask::{Ask, Tool, ToolChoice, subject};
use super::behaviour::{DemoPrice, Wire};
use super::cache::Block;
use super::fault::{self, Fault};
use super::script::{Frames, Reply, data_event};

/// Most choices a call may ask for, as at OpenAI.
const CHOICES_MAX: u64 = 128;

/// Roles of a message.
const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

/// Reads a chat completion request.
pub(super) fn parse(bytes: &[u8]) -> Result<Ask, Fault> {
    let body = fault::object(bytes)?;
    let messages = fault::messages(&body)?;
    let mut blocks = Vec::with_capacity(messages.len() + 1);
    let mut said = String::new();
    let mut tool_result = None;
    for message in messages {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if !ROLES.contains(&role) {
            let text = format!("Invalid value: '{role}'. Supported values are: {ROLES:?}.");
            return Err(Fault::invalid("messages", text));
        }
        let (text, other_bytes) = content(message);
        let calls_bytes = message.get("tool_calls").map_or(0, |calls| calls.to_string().len());
        blocks.push(Block {
            text_bytes: text.len() + other_bytes + calls_bytes,
            messages: 1,
            ..Block::default()
        });
        match role {
            "user" => (said, tool_result) = (text, None),
            "tool" | "function" => tool_result = Some(text),
            _ => {}
        }
    }
    let (tools, tool_bytes) = tools(&body);
    blocks.push(Block { tool_bytes, ..Block::default() });
    let choices = fault::count(&body, "n")?.unwrap_or(1);
    if choices > CHOICES_MAX {
        return Err(Fault::invalid("n", format!("'n' is at most {CHOICES_MAX}")));
    }
    let options = body.get("stream_options").and_then(Value::as_object);
    Ok(Ask {
        model: fault::model_name(&body)?,
        stream: fault::flag(&body, "stream")?,
        include_usage: options.map_or(Ok(false), |o| fault::flag(o, "include_usage"))?,
        cap: cap(&body)?,
        choices,
        subject: subject(said, tool_result, &tools, &tool_choice(&body)),
        blocks,
        body_bytes: super::ask::said_bytes(bytes, &body),
        vectors: None,
        searches: 0,
    })
}

/// A buffered answer.
pub(super) fn whole(answer: &Answer<'_>) -> Value {
    let choices: Vec<Value> = (0..answer.ask.choices)
        .map(|index| {
            json!({
                "index": index,
                "message": message(answer),
                "logprobs": null,
                "finish_reason": finish_reason(answer),
            })
        })
        .collect();
    let mut body = envelope(answer, "chat.completion");
    body.insert("choices".to_owned(), Value::from(choices));
    if answer.states_usage {
        body.insert("usage".to_owned(), usage(answer));
    }
    body.insert("service_tier".to_owned(), Value::from("default"));
    body.insert("system_fingerprint".to_owned(), Value::from("fp_demo"));
    Value::Object(body)
}

/// A streamed answer. Where usage is asked for, every chunk has the field and the last its value.
pub(super) fn frames(answer: &Answer<'_>) -> Frames {
    let with_usage = answer.ask.include_usage && answer.states_usage;
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut body = envelope(answer, "chat.completion.chunk");
        body.insert("service_tier".to_owned(), Value::from("default"));
        body.insert("system_fingerprint".to_owned(), Value::from("fp_demo"));
        body.insert("choices".to_owned(), choices);
        if with_usage {
            body.insert("usage".to_owned(), usage.unwrap_or(Value::Null));
        }
        data_event(&Value::Object(body).to_string())
    };
    let choice = |index: u64, delta: Value, finish: Value| {
        let choice =
            json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
        chunk(json!([choice]), None)
    };
    let mut frames = Frames::default();
    for index in 0..answer.ask.choices {
        let first = match &answer.generation.tool {
            Some(name) => json!({"role": "assistant", "content": null, "tool_calls": [{
                "index": 0, "id": call_id(answer), "type": "function",
                "function": {"name": name, "arguments": ""},
            }], "refusal": null}),
            None => json!({"role": "assistant", "content": "", "refusal": null}),
        };
        frames.head.push(choice(index, first, Value::Null));
        for piece in &answer.generation.pieces {
            let delta = match answer.generation.tool {
                Some(_) => json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
                None => json!({"content": piece}),
            };
            frames.tokens.push(choice(index, delta, Value::Null));
        }
        frames.tail.push(choice(index, json!({}), Value::from(finish_reason(answer))));
    }
    if with_usage {
        frames.tail.push(chunk(json!([]), Some(usage(answer))));
    }
    frames.tail.push(data_event("[DONE]"));
    frames
}

/// The event of a stream that fails half way.
pub(super) fn stream_error() -> bytes::Bytes {
    data_event(&error_body(&Fault::Internal).1.to_string())
}

/// The answer to a call that gets none.
pub(super) fn failure(fault: &Fault) -> Reply {
    let (status, body) = error_body(fault);
    let reply = Reply::json(status, &body);
    match fault {
        Fault::Busy => reply
            .with("retry-after", "7")
            .with("x-ratelimit-limit-requests", "500")
            .with("x-ratelimit-remaining-requests", "0")
            .with("x-ratelimit-reset-requests", "7s")
            .with("x-ratelimit-limit-tokens", "200000")
            .with("x-ratelimit-remaining-tokens", "199000")
            .with("x-ratelimit-reset-tokens", "300ms"),
        Fault::BusyBriefly => reply.with("retry-after", "1").with("retry-after-ms", "50"),
        _ => reply,
    }
}

/// The headers of an answer.
pub(super) fn headers(reply: Reply, serial: &str) -> Reply {
    reply
        .with("x-request-id", &format!("req_{serial}"))
        .with("openai-version", "2020-10-01")
        .with("openai-processing-ms", "1")
        .with("x-ratelimit-limit-requests", "500")
        .with("x-ratelimit-remaining-requests", "499")
        .with("x-ratelimit-reset-requests", "120ms")
}

/// The answer to `GET /v1/models`.
pub(super) fn models(prices: &[DemoPrice]) -> Value {
    let data: Vec<Value> =
        prices.iter().filter(|row| row.wire == Wire::OpenAi).map(model_entry).collect();
    json!({"object": "list", "data": data})
}

/// The answer to `GET /v1/models/{id}`.
pub(super) fn model_entry(row: &DemoPrice) -> Value {
    json!({"id": row.model, "object": "model", "created": 0, "owned_by": "farebox-demo"})
}

fn error_body(fault: &Fault) -> (u16, Value) {
    let (status, kind, param, code, message) = match fault {
        Fault::NoKey => {
            let text = "You didn't provide an API key.";
            (401, "invalid_request_error", None, None, text.to_owned())
        }
        Fault::BadKey => {
            let text = "Incorrect API key provided: ****.";
            (401, "invalid_request_error", None, Some("invalid_api_key"), text.to_owned())
        }
        Fault::UnknownRoute { method, path } => {
            let text = format!("Invalid URL ({method} {path})");
            (404, "invalid_request_error", None, Some("unknown_url"), text)
        }
        Fault::WrongMethod => {
            let text = "Not allowed to use this method on this URL.";
            (405, "invalid_request_error", None, Some("method_not_supported"), text.to_owned())
        }
        Fault::UnknownModel(name) => {
            let text =
                format!("The model `{name}` does not exist or you do not have access to it.");
            (404, "invalid_request_error", None, Some("model_not_found"), text)
        }
        Fault::Invalid { param, code, message } => {
            (400, "invalid_request_error", *param, *code, message.clone())
        }
        Fault::TooLarge => {
            let text = "The request body is too large.";
            (413, "invalid_request_error", None, Some("request_too_large"), text.to_owned())
        }
        Fault::Busy | Fault::BusyBriefly => {
            let text = "Rate limit reached for requests. Please try again in 7s.";
            (429, "requests", None, Some("rate_limit_exceeded"), text.to_owned())
        }
        Fault::Internal | Fault::Overloaded => {
            let text = "The server had an error while processing your request. Sorry about that!";
            (500, "server_error", None, None, text.to_owned())
        }
    };
    let error = json!({"message": message, "type": kind, "param": param, "code": code});
    (status, json!({"error": error}))
}

fn envelope(answer: &Answer<'_>, object: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("id".to_owned(), Value::from(format!("chatcmpl-{}", answer.serial)));
    body.insert("object".to_owned(), Value::from(object));
    body.insert("created".to_owned(), Value::from(answer.now_s));
    body.insert("model".to_owned(), Value::from(answer.ask.model.as_str()));
    body
}

fn message(answer: &Answer<'_>) -> Value {
    let text = answer.generation.text();
    match &answer.generation.tool {
        Some(name) => json!({
            "role": "assistant",
            "content": null,
            "tool_calls": [{
                "id": call_id(answer),
                "type": "function",
                "function": {"name": name, "arguments": text},
            }],
            "refusal": null,
            "annotations": [],
        }),
        None => {
            json!({"role": "assistant", "content": text, "refusal": null, "annotations": []})
        }
    }
}

fn call_id(answer: &Answer<'_>) -> String {
    format!("call_{}", answer.serial)
}

fn finish_reason(answer: &Answer<'_>) -> &'static str {
    match (answer.generation.capped, &answer.generation.tool) {
        (true, _) => "length",
        (false, Some(_)) => "tool_calls",
        (false, None) => "stop",
    }
}

fn usage(answer: &Answer<'_>) -> Value {
    let (prompt, completion) = (answer.tokens.input(), answer.tokens.completion);
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

fn cap(body: &Map<String, Value>) -> Result<Option<u64>, Fault> {
    let new = fault::count(body, "max_completion_tokens")?;
    let old = fault::count(body, "max_tokens")?;
    if new.is_some() && old.is_some() {
        return Err(Fault::Invalid {
            param: Some("max_tokens"),
            code: Some("invalid_parameter_combination"),
            message: "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not \
                      supported."
                .to_owned(),
        });
    }
    Ok(new.or(old))
}

/// The text of a message, and the bytes of the parts that are not text.
fn content(message: &Value) -> (String, usize) {
    match message.get("content") {
        Some(Value::String(text)) => (text.clone(), 0),
        Some(Value::Array(parts)) => {
            let mut text = String::new();
            let mut other_bytes = 0;
            for part in parts {
                match part.get("text").and_then(Value::as_str) {
                    Some(piece) => text.push_str(piece),
                    None => other_bytes += part.to_string().len(),
                }
            }
            (text, other_bytes)
        }
        _ => (String::new(), 0),
    }
}

fn tools(body: &Map<String, Value>) -> (Vec<Tool>, usize) {
    let list = body.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let tools = list.iter().filter_map(|tool| {
        let function = tool.get("function")?;
        let name = function.get("name")?.as_str()?.to_owned();
        Some(Tool { name, schema: function.get("parameters").cloned().unwrap_or_default() })
    });
    let bytes = list.iter().map(|tool| tool.to_string().len()).sum();
    (tools.collect(), bytes)
}

fn tool_choice(body: &Map<String, Value>) -> ToolChoice {
    match body.get("tool_choice") {
        Some(Value::String(choice)) if choice == "none" => ToolChoice::Never,
        Some(Value::String(choice)) if choice == "required" => ToolChoice::Any,
        Some(choice) => match choice.pointer("/function/name").and_then(Value::as_str) {
            Some(name) => ToolChoice::Named(name.to_owned()),
            None => ToolChoice::Auto,
        },
        None => ToolChoice::Auto,
    }
}
