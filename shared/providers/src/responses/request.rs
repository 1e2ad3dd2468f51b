//! A call in the common shape as a body of the Responses API.

use farebox_core::{ChatCall, Error};
use serde_json::{Map, Value, json};

use super::decode::REASONING_FORMAT;

/// The body without what Farebox sets.
pub(super) fn body(call: &ChatCall) -> Result<Map<String, Value>, Error> {
    let mut body = Map::new();
    body.insert("input".to_owned(), Value::from(input(call.messages())?));
    for (field, value) in &call.body {
        option(&mut body, field, value)?;
    }
    // Without state, reasoning comes back in the next turn only where it was sealed in this one.
    body.insert("include".to_owned(), json!(["reasoning.encrypted_content"]));
    Ok(body)
}

fn option(body: &mut Map<String, Value>, field: &str, value: &Value) -> Result<(), Error> {
    match field {
        "messages" => {}
        "temperature"
        | "top_p"
        | "parallel_tool_calls"
        | "metadata"
        | "user"
        | "safety_identifier"
        | "prompt_cache_key" => {
            body.insert(field.to_owned(), value.clone());
        }
        "reasoning_effort" => {
            body.insert("reasoning".to_owned(), json!({"effort": value, "summary": "auto"}));
        }
        "verbosity" => set_text(body, "verbosity", value.clone()),
        "response_format" => set_text(body, "format", format(value)?),
        "tools" => {
            let tools = value.as_array().into_iter().flatten().map(tool).collect::<Vec<_>>();
            body.insert(field.to_owned(), Value::from(tools));
        }
        "tool_choice" => {
            let name = value.pointer("/function/name");
            let chosen = |name: &Value| json!({"type": "function", "name": name});
            body.insert(field.to_owned(), name.map_or_else(|| value.clone(), chosen));
        }
        // Allowed only in the one form that is the default, or said elsewhere.
        "modalities" => {}
        "n" | "repetition_penalty" if value.as_f64() == Some(1.0) => {}
        "top_logprobs" | "presence_penalty" | "frequency_penalty" | "min_p"
            if value.as_f64() == Some(0.0) => {}
        "top_k" if value.as_i64() == Some(-1) => {}
        "logit_bias" if value.as_object().is_some_and(Map::is_empty) => {}
        "logprobs" | "store" if value == &Value::Bool(false) => {}
        _ => {
            let rule = "has no counterpart in OpenAI's Responses API, by which alone this model \
                        is served: leave it out";
            return Err(Error::malformed(field, rule));
        }
    }
    Ok(())
}

/// `text`, which format and verbosity share.
fn set_text(body: &mut Map<String, Value>, field: &str, value: Value) {
    let text = body.entry("text").or_insert_with(|| Value::Object(Map::new()));
    if let Some(text) = text.as_object_mut() {
        text.insert(field.to_owned(), value);
    }
}

/// The schema stands beside its type, not in an object of its own.
fn format(value: &Value) -> Result<Value, Error> {
    let Some(schema) = value.get("json_schema") else { return Ok(value.clone()) };
    let Some(fields) = schema.as_object() else {
        return Err(Error::malformed("response_format.json_schema", "must be an object"));
    };
    let mut format = Map::new();
    format.insert("type".to_owned(), Value::from("json_schema"));
    format.extend(fields.clone());
    Ok(Value::Object(format))
}

/// The function stands beside its type, and is strict where nothing else is said: chat's are not.
fn tool(tool: &Value) -> Value {
    let mut out = Map::new();
    out.insert("type".to_owned(), Value::from("function"));
    let function = tool.get("function").and_then(Value::as_object);
    for (field, value) in function.into_iter().flatten() {
        if field != "cache_control" {
            out.insert(field.clone(), value.clone());
        }
    }
    out.entry("parameters").or_insert_with(|| json!({"type": "object", "properties": {}}));
    out.entry("strict").or_insert(Value::Bool(false));
    Value::Object(out)
}

fn input(messages: &[Value]) -> Result<Vec<Value>, Error> {
    let mut items = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let field = format!("messages[{place}]");
        let text = |at: &str| message.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let content = message.get("content").unwrap_or(&Value::Null);
        if text("/role") != "tool" && message.get("name").is_some_and(|name| !name.is_null()) {
            let rule = "has no counterpart in OpenAI's Responses API, by which alone this model \
                        is served: write the name into the content";
            return Err(Error::malformed(format!("{field}.name"), rule));
        }
        match text("/role") {
            "assistant" => assistant(&field, message, &mut items)?,
            "tool" => items.push(json!({
                "type": "function_call_output",
                "call_id": text("/tool_call_id"),
                "output": parts(&field, content, "input_text")?,
            })),
            role => items.push(json!({
                "type": "message",
                "role": role,
                "content": parts(&field, content, "input_text")?,
            })),
        }
    }
    Ok(items)
}

/// The content of a message; `kind` is what a text is called in it.
fn parts(field: &str, content: &Value, kind: &str) -> Result<Value, Error> {
    let Some(given) = content.as_array() else { return Ok(content.clone()) };
    let mut parts = Vec::with_capacity(given.len());
    for (place, part) in given.iter().enumerate() {
        let text = |at: &str| part.pointer(at).and_then(Value::as_str).unwrap_or_default();
        parts.push(match text("/type") {
            "text" => json!({"type": kind, "text": text("/text")}),
            "refusal" if kind == "output_text" => {
                json!({"type": "refusal", "refusal": text("/refusal")})
            }
            "refusal" => json!({"type": kind, "text": text("/refusal")}),
            "image_url" if kind == "input_text" => {
                let detail = part.pointer("/image_url/detail").and_then(Value::as_str);
                json!({
                    "type": "input_image",
                    "image_url": text("/image_url/url"),
                    "detail": detail.unwrap_or("auto"),
                })
            }
            "file" if kind == "input_text" => {
                let mut file = Map::new();
                file.insert("type".to_owned(), Value::from("input_file"));
                let given = part.get("file").and_then(Value::as_object);
                file.extend(given.cloned().into_iter().flatten());
                Value::Object(file)
            }
            _ => {
                let rule = "has no place here in OpenAI's Responses API";
                return Err(Error::malformed(format!("{field}.content[{place}].type"), rule));
            }
        });
    }
    Ok(Value::from(parts))
}

/// The model's own turn: what it thought, said, and called.
fn assistant(field: &str, message: &Value, items: &mut Vec<Value>) -> Result<(), Error> {
    for absent in ["audio", "function_call"] {
        if message.get(absent).is_some_and(|value| !value.is_null()) {
            let rule = "has no counterpart in OpenAI's Responses API";
            return Err(Error::malformed(format!("{field}.{absent}"), rule));
        }
    }
    reasoning(message, items);
    let content = match message.get("content") {
        Some(content @ Value::Array(_)) => parts(field, content, "output_text")?,
        Some(Value::String(text)) if !text.is_empty() => Value::from(text.as_str()),
        _ => Value::Null,
    };
    if !content.is_null() {
        items.push(json!({"type": "message", "role": "assistant", "content": content}));
    }
    if let Some(refusal) = message.get("refusal").filter(|refusal| refusal.is_string()) {
        let part = json!({"type": "refusal", "refusal": refusal});
        items.push(json!({"type": "message", "role": "assistant", "content": [part]}));
    }
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        items.push(json!({
            "type": "function_call",
            "call_id": call.get("id"),
            "name": call.pointer("/function/name"),
            "arguments": call.pointer("/function/arguments"),
        }));
    }
    Ok(())
}

/// Reasoning of this format as items again: neighbours of one id are one item. What is not sealed
/// is left out, because without state only a sealed item is taken back.
fn reasoning(message: &Value, items: &mut Vec<Value>) {
    let details = message.get("reasoning_details").and_then(Value::as_array);
    let ours =
        |detail: &&Value| detail.get("format").and_then(Value::as_str) == Some(REASONING_FORMAT);
    let mut summary = Vec::new();
    for detail in details.into_iter().flatten().filter(ours) {
        if let Some(text) = detail.get("summary") {
            summary.push(json!({"type": "summary_text", "text": text}));
        }
        if let Some(sealed) = detail.get("data") {
            let summary = core::mem::take(&mut summary);
            let mut item =
                json!({"type": "reasoning", "summary": summary, "encrypted_content": sealed});
            let id = detail.get("id").filter(|id| id.is_string());
            if let (Some(id), Some(item)) = (id, item.as_object_mut()) {
                item.insert("id".to_owned(), id.clone());
            }
            items.push(item);
        }
    }
}
