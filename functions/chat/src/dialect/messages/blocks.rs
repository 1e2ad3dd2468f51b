//! The blocks of a turn in the common shape.

use farebox_core::Error;
use serde_json::{Map, Value, json};

use super::read::Beyond;
use crate::dialect::uncarried;

/// What marks reasoning that only an Anthropic model takes back (`OpenRouter`'s word for it).
pub(super) const REASONING_FORMAT: &str = "anthropic-claude-v1";

/// The parts of one turn, sorted by where they go.
#[derive(Default)]
pub(super) struct Turn {
    /// Text and media.
    pub(super) parts: Vec<Value>,
    /// The model's calls.
    calls: Vec<Value>,
    /// The mark that one of them carries, which in the common shape is the message's.
    mark: Option<Value>,
    /// The model's reasoning.
    reasoning: Vec<Value>,
    /// Messages of their own: what tools gave.
    results: Vec<Value>,
    /// Images that tools gave: only the user can show them.
    shown: Vec<Value>,
}

/// Reads the content of one turn.
pub(super) fn turn(
    field: &str,
    role: &str,
    content: Option<&Value>,
    beyond: &mut Beyond,
) -> Result<Turn, Error> {
    let mut turn = Turn::default();
    match content {
        Some(Value::String(text)) => turn.parts.push(json!({"type": "text", "text": text})),
        Some(Value::Array(blocks)) => {
            for (place, block) in blocks.iter().enumerate() {
                turn.block(&format!("{field}[{place}]"), role, block, beyond)?;
            }
        }
        _ => return Err(Error::malformed(field, "must be a text or an array of blocks")),
    }
    Ok(turn)
}

impl Turn {
    fn block(
        &mut self,
        field: &str,
        role: &str,
        block: &Value,
        beyond: &mut Beyond,
    ) -> Result<(), Error> {
        let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
        match (kind, role) {
            ("text", _) => {
                let part = json!({"type": "text", "text": text(field, block, "text")?});
                self.parts.push(controlled(part, block));
            }
            ("image" | "document", "user") => {
                let cites = block.pointer("/citations/enabled") == Some(&Value::Bool(true));
                let told = |name: &str| block.get(name).is_some_and(|value| !value.is_null());
                match media(field, kind, block)? {
                    _ if cites => beyond.note(format!("{field}.citations")),
                    _ if told("context") => beyond.note(format!("{field}.context")),
                    Some(part) => self.parts.push(controlled(part, block)),
                    None => beyond.note(format!("{field}.source")),
                }
            }
            ("tool_result", "user") => self.result(field, block, beyond)?,
            ("tool_use", "assistant") => {
                let (id, name) = (text(field, block, "id")?, text(field, block, "name")?);
                let input = block.get("input").unwrap_or(&Value::Null).to_string();
                let function = json!({"name": name, "arguments": input});
                self.calls.push(json!({"id": id, "type": "function", "function": function}));
                self.mark = control(block).cloned().or(self.mark.take());
            }
            ("thinking", "assistant") => {
                let signature = block.get("signature").and_then(Value::as_str);
                if let Some(details) = signature.and_then(uncarried) {
                    self.reasoning.extend(details);
                    return Ok(());
                }
                let mut detail = json!({
                    "type": "reasoning.text",
                    "text": text(field, block, "thinking")?,
                });
                if let (Some(signature), Some(detail)) =
                    (block.get("signature"), detail.as_object_mut())
                {
                    detail.insert("signature".to_owned(), signature.clone());
                }
                self.reasoning.push(marked(detail));
            }
            ("redacted_thinking", "assistant") => {
                let data = text(field, block, "data")?;
                self.reasoning.push(marked(json!({"type": "reasoning.encrypted", "data": data})));
            }
            ("", _) => return Err(Error::malformed(format!("{field}.type"), "is required")),
            _ => beyond.note(format!("{field}.type")),
        }
        Ok(())
    }

    fn result(&mut self, field: &str, block: &Value, beyond: &mut Beyond) -> Result<(), Error> {
        let id = text(field, block, "tool_use_id")?;
        let field = format!("{field}.content");
        let inner = match block.get("content") {
            None | Some(Value::Null) => Self::default(),
            content => turn(&field, "user", content, beyond)?,
        };
        let is_text = |part: &Value| part.get("type").and_then(Value::as_str) == Some("text");
        let (texts, media): (Vec<Value>, Vec<Value>) = inner.parts.into_iter().partition(is_text);
        let mut message = Map::new();
        message.insert("role".to_owned(), Value::from("tool"));
        message.insert("tool_call_id".to_owned(), Value::from(id));
        if block.get("is_error") == Some(&Value::Bool(true)) {
            message.insert("is_error".to_owned(), Value::from(true));
        }
        message.insert("content".to_owned(), content(texts));
        if let Some(control) = control(block) {
            message.insert("cache_control".to_owned(), control.clone());
        }
        self.results.push(Value::Object(message));
        self.shown.extend(media);
        Ok(())
    }

    /// The messages that the turn is.
    pub(super) fn into_messages(mut self, role: &str, out: &mut Vec<Value>) {
        let is_answer = !self.results.is_empty();
        out.append(&mut self.results);
        let mut parts = self.shown;
        parts.append(&mut self.parts);
        if is_answer && parts.is_empty() {
            return;
        }
        let mut message = Map::new();
        message.insert("role".to_owned(), Value::from(role));
        message.insert("content".to_owned(), content(parts));
        if !self.reasoning.is_empty() {
            message.insert("reasoning_details".to_owned(), Value::from(self.reasoning));
        }
        if !self.calls.is_empty() {
            message.insert("tool_calls".to_owned(), Value::from(self.calls));
        }
        if let Some(control) = self.mark {
            message.insert("cache_control".to_owned(), control);
        }
        out.push(Value::Object(message));
    }
}

/// One plain text stands for itself: not every provider takes parts everywhere.
fn content(mut parts: Vec<Value>) -> Value {
    let plain = |part: &Value| part.as_object().is_some_and(|part| part.len() == 2);
    match parts.as_slice() {
        [] => Value::from(""),
        [only] if plain(only) && only.get("text").is_some() => parts
            .pop()
            .and_then(|mut part| part.get_mut("text").map(Value::take))
            .unwrap_or_default(),
        _ => Value::from(parts),
    }
}

fn text<'a>(field: &str, block: &'a Value, name: &str) -> Result<&'a str, Error> {
    let text = block.get(name).and_then(Value::as_str);
    text.ok_or_else(|| Error::malformed(format!("{field}.{name}"), "must be a text"))
}

/// A block's `cache_control`.
fn control(block: &Value) -> Option<&Value> {
    block.get("cache_control").filter(|control| !control.is_null())
}

/// A part with the block's `cache_control`.
fn controlled(mut part: Value, block: &Value) -> Value {
    if let (Some(control), Some(part)) = (control(block), part.as_object_mut()) {
        part.insert("cache_control".to_owned(), control.clone());
    }
    part
}

fn marked(mut detail: Value) -> Value {
    if let Some(detail) = detail.as_object_mut() {
        detail.insert("format".to_owned(), Value::from(REASONING_FORMAT));
    }
    detail
}

/// An image or a document; `None` where it is only at Anthropic.
fn media(field: &str, kind: &str, block: &Value) -> Result<Option<Value>, Error> {
    let Some(source) = block.get("source").filter(|source| source.is_object()) else {
        return Err(Error::malformed(format!("{field}.source"), "must be an object"));
    };
    let of = |name: &str| source.get(name).and_then(Value::as_str);
    let inline = || Some(format!("data:{};base64,{}", of("media_type")?, of("data")?));
    Ok(match (kind, of("type").unwrap_or_default()) {
        ("image", "url") => of("url").map(image),
        ("image", "base64") => inline().map(|url| image(&url)),
        ("document", "text") => of("data").map(|data| {
            let title = block.get("title").and_then(Value::as_str);
            let text = title.map_or_else(|| data.to_owned(), |title| format!("{title}\n\n{data}"));
            json!({"type": "text", "text": text})
        }),
        ("document", "base64") => inline().map(|data| {
            let name = block.get("title").and_then(Value::as_str).unwrap_or("document.pdf");
            json!({"type": "file", "file": {"filename": name, "file_data": data}})
        }),
        _ => None,
    })
}

fn image(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}
