//! `OpenAI`'s messages as Converse's turns and blocks.

use farebox_core::Error;
use serde_json::{Map, Value, json};

use crate::media::without_detail;
use crate::reasoning::{Thought, thoughts};

/// The system prompt and the turns.
pub(super) struct Turns {
    pub(super) system: Vec<Value>,
    pub(super) messages: Vec<Value>,
}

/// What `format` of a document its media type is.
const DOCUMENTS: &[(&str, &str)] = &[
    ("application/pdf", "pdf"),
    ("text/plain", "txt"),
    ("text/csv", "csv"),
    ("text/html", "html"),
    ("text/markdown", "md"),
    ("application/msword", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
];

/// What `format` of an image its media type is.
const IMAGES: &[(&str, &str)] =
    &[("image/png", "png"), ("image/jpeg", "jpeg"), ("image/gif", "gif"), ("image/webp", "webp")];

/// The longest name of a document.
const NAME_CHARS_MAX: usize = 200;

/// The mark that what stands before it is to be cached, where `carrier` asks for one.
pub(super) fn cache_point(carrier: &Value) -> Option<Value> {
    let control = carrier.get("cache_control").filter(|control| !control.is_null())?;
    Some(match control.get("ttl").filter(|ttl| !ttl.is_null()) {
        Some(ttl) => json!({"cachePoint": {"type": "default", "ttl": ttl}}),
        None => json!({"cachePoint": {"type": "default"}}),
    })
}

/// Translates the messages. System and developer messages are hoisted into the system prompt,
/// neighbours of one role are merged, and tool results become the user's.
pub(super) fn translate(messages: &[Value]) -> Result<Turns, Error> {
    let mut system = Vec::new();
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let field = format!("messages[{place}]");
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if role != "tool" && message.get("name").is_some_and(|name| !name.is_null()) {
            return Err(none_here(format!("{field}.name")));
        }
        let (turn, mut blocks) = match role {
            "system" | "developer" => ("system", content(&field, message, false)?),
            "assistant" => ("assistant", assistant(&field, message)?),
            "tool" => ("user", tool_result(&field, message)?),
            _ => ("user", content(&field, message, true)?),
        };
        blocks.extend(cache_point(message));
        match turns.last_mut() {
            _ if turn == "system" => system.append(&mut blocks),
            Some((last, earlier)) if *last == turn => earlier.append(&mut blocks),
            _ if blocks.is_empty() => {
                let rule = "must not be empty for a model of Bedrock";
                return Err(Error::malformed(format!("{field}.content"), rule));
            }
            _ => turns.push((turn, blocks)),
        }
    }
    if turns.is_empty() {
        let rule = "must hold more than a system message for a model of Bedrock";
        return Err(Error::malformed("messages", rule));
    }
    let messages =
        turns.into_iter().map(|(role, content)| json!({"role": role, "content": content}));
    Ok(Turns { system, messages: messages.collect() })
}

fn none_here(field: String) -> Error {
    Error::malformed(field, "has no counterpart in Bedrock's Converse: leave it out")
}

/// The content of a message as blocks. Empty texts vanish: Bedrock refuses them.
fn content(field: &str, message: &Value, media: bool) -> Result<Vec<Value>, Error> {
    let field = format!("{field}.content");
    let mut blocks = Vec::new();
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => blocks.push(json!({"text": text})),
        Some(Value::Array(parts)) => {
            for (place, part) in parts.iter().enumerate() {
                if let Some(block) = block(&format!("{field}[{place}]"), part, media)? {
                    blocks.push(block);
                    blocks.extend(cache_point(part));
                }
            }
        }
        _ => {}
    }
    Ok(blocks)
}

fn block(field: &str, part: &Value, media: bool) -> Result<Option<Value>, Error> {
    let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = text("/type");
    match kind {
        "text" | "refusal" => {
            let text = text(if kind == "text" { "/text" } else { "/refusal" });
            Ok(Some(json!({"text": text})).filter(|_| !text.is_empty()))
        }
        "image_url" if media => {
            without_detail(field, part)?;
            let (format, data) = inline(IMAGES, text("/image_url/url")).ok_or_else(|| {
                let rule = "must be data:image/png, jpeg, gif or webp;base64,… for a model of \
                            Bedrock, which loads nothing by URL";
                Error::malformed(format!("{field}.image_url.url"), rule)
            })?;
            Ok(Some(json!({"image": {"format": format, "source": {"bytes": data}}})))
        }
        "file" if media => {
            let (format, data) = inline(DOCUMENTS, text("/file/file_data")).ok_or_else(|| {
                let rule = "must carry file_data as data:application/pdf;base64,… (or csv, doc, \
                            docx, html, md, txt, xls, xlsx) for a model of Bedrock";
                Error::malformed(format!("{field}.file"), rule)
            })?;
            let name = document_name(text("/file/filename"));
            let document = json!({"format": format, "name": name, "source": {"bytes": data}});
            Ok(Some(json!({"document": document})))
        }
        _ => {
            let rule = "this kind of content has no place here in Bedrock's Converse";
            Err(Error::malformed(format!("{field}.type"), rule))
        }
    }
}

/// The format and the data of a `data:` URL.
fn inline<'u>(formats: &[(&str, &'static str)], url: &'u str) -> Option<(&'static str, &'u str)> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    let (_, format) = formats.iter().find(|(name, _)| *name == kind)?;
    Some((format, data))
}

/// Bedrock takes letters, digits, single spaces, hyphens, parentheses and brackets in a name.
fn document_name(given: &str) -> String {
    let stem = given.rsplit_once('.').map_or(given, |(stem, _)| stem);
    let fits = |letter: &char| letter.is_ascii_alphanumeric() || "-()[]".contains(*letter);
    let name: String =
        stem.chars().map(|letter| if fits(&letter) { letter } else { '-' }).collect();
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    if name.is_empty() { "document".to_owned() } else { name }
}

/// The model's own turn. Thinking comes first, and only with its signature.
fn assistant(field: &str, message: &Value) -> Result<Vec<Value>, Error> {
    for absent in ["audio", "function_call"] {
        if message.get(absent).is_some_and(|value| !value.is_null()) {
            return Err(none_here(format!("{field}.{absent}")));
        }
    }
    let mut blocks: Vec<Value> = thoughts(message).map(thought).collect();
    blocks.append(&mut content(field, message, false)?);
    if let Some(refusal) = message.get("refusal").and_then(Value::as_str)
        && !refusal.is_empty()
    {
        blocks.push(json!({"text": refusal}));
    }
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for (place, call) in calls.into_iter().flatten().enumerate() {
        let text = |at: &str| call.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let arguments = match text("/function/arguments").trim() {
            "" => "{}",
            arguments => arguments,
        };
        let input: Option<Map<String, Value>> = serde_json::from_str(arguments).ok();
        let input = input.ok_or_else(|| {
            let field = format!("{field}.tool_calls[{place}].function.arguments");
            Error::malformed(field, "must be a JSON object as text")
        })?;
        let (id, name) = (text("/id"), text("/function/name"));
        blocks.push(json!({"toolUse": {"toolUseId": id, "name": name, "input": input}}));
    }
    Ok(blocks)
}

fn thought(thought: Thought<'_>) -> Value {
    match thought {
        Thought::Signed(text, signature) => {
            json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}})
        }
        Thought::Redacted(data) => json!({"reasoningContent": {"redactedContent": data}}),
    }
}

/// A tool's result, and a mark in it behind it: inside there is no place for one.
fn tool_result(field: &str, message: &Value) -> Result<Vec<Value>, Error> {
    let blocks = content(field, message, true)?;
    let is_point = |block: &Value| block.get("cachePoint").is_some();
    let (points, mut blocks): (Vec<Value>, Vec<Value>) = blocks.into_iter().partition(is_point);
    if blocks.is_empty() {
        blocks.push(json!({"json": {}}));
    }
    let id = message.get("tool_call_id").cloned().unwrap_or_default();
    let failed = message.get("is_error") == Some(&Value::Bool(true));
    let status = if failed { "error" } else { "success" };
    let result = json!({"toolResult": {"toolUseId": id, "content": blocks, "status": status}});
    Ok(std::iter::once(result).chain(points.into_iter().last()).collect())
}
