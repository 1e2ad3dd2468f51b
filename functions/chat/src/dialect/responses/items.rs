//! The items of an input as messages of the common shape.

use farebox_core::Error;
use serde_json::{Map, Value, json};

use super::read::Beyond;
use super::tools::{self, INPUT};
use crate::dialect::uncarried;

/// What marks reasoning that only the Responses API takes back (`OpenRouter`'s word for it).
pub(super) const REASONING_FORMAT: &str = "openai-responses-v1";

/// Messages being put together.
#[derive(Default)]
pub(super) struct Turns {
    messages: Vec<Value>,
    /// The model's turn that is not over.
    assistant: Assistant,
    /// Calls whose output has not come.
    unanswered: Vec<String>,
    /// Messages that wait for those outputs, which must stand right behind their calls.
    waiting: Vec<Value>,
}

#[derive(Default)]
struct Assistant {
    parts: Vec<Value>,
    reasoning: Vec<Value>,
    calls: Vec<Value>,
}

impl Turns {
    /// The messages.
    pub(super) fn finish(mut self) -> Vec<Value> {
        self.end_turn();
        self.messages.append(&mut self.waiting);
        self.messages
    }

    /// A message of one text.
    pub(super) fn say(&mut self, role: &str, text: &str) {
        self.push(json!({"role": role, "content": text}));
    }

    /// Takes one item.
    pub(super) fn item(
        &mut self,
        field: &str,
        item: &Value,
        beyond: &mut Beyond,
    ) -> Result<(), Error> {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or("message");
        match kind {
            "message" => self.message(field, item, beyond)?,
            "function_call" => {
                let name = required(field, item, "name")?;
                let namespace = item.get("namespace").and_then(Value::as_str);
                let name = namespace.map_or_else(|| name.to_owned(), |of| tools::flat(of, name));
                let arguments = required(field, item, "arguments")?.to_owned();
                self.call(field, item, &name, &arguments)?;
            }
            "custom_tool_call" => {
                let name = required(field, item, "name")?;
                let input = json!({INPUT: required(field, item, "input")?}).to_string();
                self.call(field, item, name, &input)?;
            }
            "function_call_output" | "custom_tool_call_output" => {
                self.output(field, item, beyond)?;
            }
            "reasoning" => self.assistant.reasoning.append(&mut reasoning(item)),
            "item_reference" => {
                let rule = "needs state, and Farebox keeps none: send the item itself";
                return Err(Error::malformed(format!("{field}.type"), rule));
            }
            _ => beyond.note(format!("{field}.type")),
        }
        Ok(())
    }

    fn message(&mut self, field: &str, item: &Value, beyond: &mut Beyond) -> Result<(), Error> {
        let role = required(field, item, "role")?;
        let mut content = parts(&format!("{field}.content"), item.get("content"), beyond)?;
        match role {
            "assistant" => self.assistant.parts.append(&mut content),
            "user" | "system" | "developer" if content.is_empty() => {}
            "user" | "system" | "developer" => {
                self.push(json!({"role": role, "content": plain(content)}));
            }
            _ => {
                let rule = "must be user, assistant, system or developer";
                return Err(Error::malformed(format!("{field}.role"), rule));
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        field: &str,
        item: &Value,
        name: &str,
        arguments: &str,
    ) -> Result<(), Error> {
        let id = required(field, item, "call_id")?;
        let function = json!({"name": name, "arguments": arguments});
        let call = json!({"id": id, "type": "function", "function": function});
        self.assistant.calls.push(call);
        Ok(())
    }

    fn output(&mut self, field: &str, item: &Value, beyond: &mut Beyond) -> Result<(), Error> {
        self.end_turn();
        let id = required(field, item, "call_id")?;
        let content = parts(&format!("{field}.output"), item.get("output"), beyond)?;
        let is_text = |part: &Value| part.get("type").and_then(Value::as_str) == Some("text");
        let (texts, shown): (Vec<Value>, Vec<Value>) = content.into_iter().partition(is_text);
        let message = json!({"role": "tool", "tool_call_id": id, "content": plain(texts)});
        self.messages.push(message);
        if !shown.is_empty() {
            self.waiting.push(json!({"role": "user", "content": shown}));
        }
        self.unanswered.retain(|open| open != id);
        if self.unanswered.is_empty() {
            self.messages.append(&mut self.waiting);
        }
        Ok(())
    }

    fn push(&mut self, message: Value) {
        self.end_turn();
        if self.unanswered.is_empty() {
            self.messages.push(message);
        } else {
            self.waiting.push(message);
        }
    }

    /// Ends the model's turn. One that only thought says nothing to anybody.
    fn end_turn(&mut self) {
        let Assistant { parts, reasoning, calls } = core::mem::take(&mut self.assistant);
        if parts.is_empty() && calls.is_empty() {
            return;
        }
        let id = |call: &Value| call.get("id").and_then(Value::as_str).map(str::to_owned);
        self.unanswered = calls.iter().filter_map(id).collect();
        let mut message = Map::new();
        message.insert("role".to_owned(), Value::from("assistant"));
        let content = if parts.is_empty() { Value::Null } else { plain(parts) };
        message.insert("content".to_owned(), content);
        for (field, list) in [("reasoning_details", reasoning), ("tool_calls", calls)] {
            if !list.is_empty() {
                message.insert(field.to_owned(), Value::from(list));
            }
        }
        self.messages.push(Value::Object(message));
    }
}

fn required<'v>(field: &str, item: &'v Value, name: &str) -> Result<&'v str, Error> {
    let text = item.get(name).and_then(Value::as_str);
    text.ok_or_else(|| Error::malformed(format!("{field}.{name}"), "must be a text"))
}

/// One text stands for itself: not every provider takes parts everywhere.
fn plain(mut parts: Vec<Value>) -> Value {
    match parts.as_mut_slice() {
        [] => Value::from(""),
        [only] if only.get("text").is_some() => {
            only.get_mut("text").map(Value::take).unwrap_or_default()
        }
        _ => Value::from(parts),
    }
}

fn parts(field: &str, content: Option<&Value>, beyond: &mut Beyond) -> Result<Vec<Value>, Error> {
    match content {
        Some(Value::String(text)) => Ok(vec![json!({"type": "text", "text": text})]),
        Some(Value::Array(given)) => {
            let mut parts = Vec::with_capacity(given.len());
            for (place, given) in given.iter().enumerate() {
                let field = format!("{field}[{place}]");
                match part(&field, given)? {
                    Some(part) => parts.push(part),
                    None => beyond.note(field),
                }
            }
            Ok(parts)
        }
        _ => Err(Error::malformed(field, "must be a text or an array of parts")),
    }
}

/// A part; `None` where the common shape cannot carry it.
fn part(field: &str, part: &Value) -> Result<Option<Value>, Error> {
    let text = |name: &str| part.get(name).and_then(Value::as_str);
    Ok(match text("type") {
        Some("input_text" | "output_text" | "text") => {
            Some(json!({"type": "text", "text": required(field, part, "text")?}))
        }
        Some("refusal") => {
            Some(json!({"type": "refusal", "refusal": required(field, part, "refusal")?}))
        }
        Some("input_image") => text("image_url").map(|url| {
            let mut image = json!({"url": url});
            if let (Some(detail), Some(image)) = (text("detail"), image.as_object_mut()) {
                image.insert("detail".to_owned(), Value::from(detail));
            }
            json!({"type": "image_url", "image_url": image})
        }),
        Some("input_file") => text("file_data").map(|data| {
            let name = text("filename").unwrap_or("file");
            json!({"type": "file", "file": {"filename": name, "file_data": data}})
        }),
        Some("input_audio") => part
            .get("input_audio")
            .map(|audio| json!({"type": "input_audio", "input_audio": audio})),
        _ => None,
    })
}

/// An item of reasoning as the details that it was made of.
fn reasoning(item: &Value) -> Vec<Value> {
    let sealed = item.get("encrypted_content").and_then(Value::as_str);
    if let Some(details) = sealed.and_then(uncarried) {
        return details;
    }
    let mut details = Vec::new();
    let mut push = |kind: &str, field: &str, value: &str| {
        let index = details.len();
        details
            .push(json!({"type": kind, field: value, "format": REASONING_FORMAT, "index": index}));
    };
    for part in item.get("summary").and_then(Value::as_array).into_iter().flatten() {
        let text = part.get("text").and_then(Value::as_str).unwrap_or_default();
        push("reasoning.summary", "summary", text);
    }
    if let Some(sealed) = sealed {
        push("reasoning.encrypted", "data", sealed);
    }
    details
}
