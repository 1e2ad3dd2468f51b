//! `OpenAI`'s messages as Anthropic's turns and blocks.

use farebox_core::Error;
use serde_json::{Map, Value, json};

use crate::media::without_detail;
use crate::reasoning::{Thought, thoughts};

/// The system prompt and the turns.
pub(super) struct Turns {
    pub(super) system: Vec<Value>,
    pub(super) messages: Vec<Value>,
}

/// The `cache_control` that a part carries.
pub(super) fn cache_control(carrier: &Value) -> Option<&Value> {
    carrier.get("cache_control").filter(|control| !control.is_null())
}

/// Translates the messages. System and developer messages are hoisted into the system prompt,
/// neighbours of one role are merged, and tool results become the user's.
pub(super) fn translate(messages: &[Value]) -> Result<Turns, Error> {
    let mut system = Vec::new();
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let field = format!("messages[{place}]");
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        let (turn, mut blocks) = match role {
            "system" | "developer" => ("system", content(&field, message, false)?),
            "assistant" => ("assistant", assistant(&field, message)?),
            "tool" => ("user", vec![tool_result(&field, message)?]),
            _ => ("user", content(&field, message, true)?),
        };
        if role != "tool" && message.get("name").is_some_and(|name| !name.is_null()) {
            let rule = "has no counterpart in Anthropic's API: write the name into the content";
            return Err(Error::malformed(format!("{field}.name"), rule));
        }
        if let (Some(control), Some(Value::Object(last))) =
            (cache_control(message), blocks.last_mut())
        {
            last.insert("cache_control".to_owned(), control.clone());
        }
        match turns.last_mut() {
            _ if turn == "system" => system.append(&mut blocks),
            Some((last, earlier)) if *last == turn => earlier.append(&mut blocks),
            _ if blocks.is_empty() => {
                let rule = "must not be empty for an Anthropic model";
                return Err(Error::malformed(format!("{field}.content"), rule));
            }
            _ => turns.push((turn, blocks)),
        }
    }
    if turns.is_empty() {
        let rule = "must hold more than a system message for an Anthropic model";
        return Err(Error::malformed("messages", rule));
    }
    let messages = turns.into_iter().map(|(role, content)| {
        let mut turn = Map::new();
        turn.insert("role".to_owned(), Value::from(role));
        turn.insert("content".to_owned(), Value::from(content));
        Value::Object(turn)
    });
    Ok(Turns { system, messages: messages.collect() })
}

/// The content of a message as blocks. Empty texts vanish: Anthropic refuses them.
fn content(field: &str, message: &Value, media: bool) -> Result<Vec<Value>, Error> {
    let field = format!("{field}.content");
    let mut blocks = Vec::new();
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => {
            blocks.push(json!({"type": "text", "text": text}));
        }
        Some(Value::Array(parts)) => {
            for (place, part) in parts.iter().enumerate() {
                let Some(mut block) = block(&format!("{field}[{place}]"), part, media)? else {
                    continue;
                };
                if let Some(control) = cache_control(part) {
                    block.insert("cache_control".to_owned(), control.clone());
                }
                blocks.push(Value::Object(block));
            }
        }
        _ => {}
    }
    Ok(blocks)
}

fn block(field: &str, part: &Value, media: bool) -> Result<Option<Map<String, Value>>, Error> {
    let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = text("/type");
    let mut block = Map::new();
    match kind {
        "text" | "refusal" => {
            let text = text(if kind == "text" { "/text" } else { "/refusal" });
            if text.is_empty() {
                return Ok(None);
            }
            block.insert("type".to_owned(), Value::from("text"));
            block.insert("text".to_owned(), Value::from(text));
        }
        "image_url" if media => {
            without_detail(field, part)?;
            let url = text("/image_url/url");
            let source = source(url, "image/").ok_or_else(|| {
                let rule = "must be an http(s) URL or data:image/…;base64,…";
                Error::malformed(format!("{field}.image_url.url"), rule)
            })?;
            block.insert("type".to_owned(), Value::from("image"));
            block.insert("source".to_owned(), source);
        }
        "file" if media => {
            let data = text("/file/file_data");
            let inline = data.starts_with("data:").then(|| source(data, "application/pdf"));
            let source = inline.flatten().ok_or_else(|| {
                let rule = "must carry file_data as data:application/pdf;base64,… for an \
                            Anthropic model";
                Error::malformed(format!("{field}.file"), rule)
            })?;
            block.insert("type".to_owned(), Value::from("document"));
            block.insert("source".to_owned(), source);
            if let Some(name) = part.pointer("/file/filename").filter(|name| name.is_string()) {
                block.insert("title".to_owned(), name.clone());
            }
        }
        _ => {
            let rule = "this kind of content has no place here in Anthropic's API";
            return Err(Error::malformed(format!("{field}.type"), rule));
        }
    }
    Ok(Some(block))
}

/// The source of an image or a document: inline, or by URL.
fn source(url: &str, media: &str) -> Option<Value> {
    let Some(inline) = url.strip_prefix("data:") else {
        let by_url = url.starts_with("https://") || url.starts_with("http://");
        return by_url.then(|| json!({"type": "url", "url": url}));
    };
    let (kind, data) = inline.split_once(";base64,")?;
    kind.starts_with(media).then(|| json!({"type": "base64", "media_type": kind, "data": data}))
}

/// The model's own turn. Thinking comes first, and only where `reasoning_details` carry it with its
/// signature: `reasoning_content` alone is left out, because it would be refused.
fn assistant(field: &str, message: &Value) -> Result<Vec<Value>, Error> {
    for absent in ["audio", "function_call"] {
        if message.get(absent).is_some_and(|value| !value.is_null()) {
            let rule = "has no counterpart in Anthropic's API";
            return Err(Error::malformed(format!("{field}.{absent}"), rule));
        }
    }
    let mut blocks: Vec<Value> = thoughts(message).map(thought).collect();
    blocks.append(&mut content(field, message, false)?);
    if let Some(refusal) = message.get("refusal").and_then(Value::as_str)
        && !refusal.is_empty()
    {
        blocks.push(json!({"type": "text", "text": refusal}));
    }
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for (place, call) in calls.into_iter().flatten().enumerate() {
        let text = |at: &str| call.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let arguments = text("/function/arguments").trim();
        let input = if arguments.is_empty() {
            Some(Value::Object(Map::new()))
        } else {
            serde_json::from_str(arguments).ok().filter(Value::is_object)
        };
        let input = input.ok_or_else(|| {
            let field = format!("{field}.tool_calls[{place}].function.arguments");
            Error::malformed(field, "must be a JSON object as text")
        })?;
        let (id, name) = (text("/id"), text("/function/name"));
        blocks.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
    }
    Ok(blocks)
}

fn thought(thought: Thought<'_>) -> Value {
    match thought {
        Thought::Signed(text, signature) => {
            json!({"type": "thinking", "thinking": text, "signature": signature})
        }
        Thought::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
    }
}

fn tool_result(field: &str, message: &Value) -> Result<Value, Error> {
    let blocks = content(field, message, true)?;
    let mut result = Map::new();
    result.insert("type".to_owned(), Value::from("tool_result"));
    let id = message.get("tool_call_id").cloned().unwrap_or_default();
    result.insert("tool_use_id".to_owned(), id);
    if !blocks.is_empty() {
        result.insert("content".to_owned(), Value::from(blocks));
    }
    if message.get("is_error") == Some(&Value::Bool(true)) {
        result.insert("is_error".to_owned(), Value::from(true));
    }
    Ok(Value::Object(result))
}
