//! Items and parts of a response.

use serde_json::{Map, Value, json};

use super::super::items::REASONING_FORMAT;
use super::super::tools::INPUT;
use crate::dialect::carried;

/// The same object with one more field.
pub(super) fn with(object: &Value, field: &str, value: Value) -> Value {
    let mut fields = object.as_object().cloned().unwrap_or_default();
    fields.insert(field.to_owned(), value);
    Value::Object(fields)
}

pub(super) fn message(id: &str, status: &str, content: &[Value]) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

/// A part of a message: a text or a refusal.
pub(in crate::dialect::responses) fn part(field: &str, text: &str) -> Value {
    if field == "text" {
        json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
    } else {
        json!({"type": "refusal", "refusal": text})
    }
}

/// The text that a custom tool is called with. Arguments that are no such object are told as
/// they are, for the caller to see.
pub(super) fn free_text(arguments: &str) -> String {
    let fields: Option<Map<String, Value>> = serde_json::from_str(arguments).ok();
    let text = fields.as_ref().and_then(|fields| fields.get(INPUT)).and_then(Value::as_str);
    text.unwrap_or(arguments).to_owned()
}

/// The details of one item of reasoning as the text that a client sends back unread.
pub(super) fn sealed(details: &[Value]) -> Option<String> {
    let text = |detail: &Value, field: &str| {
        detail.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let of_responses = |detail: &&Value| text(detail, "format") == REASONING_FORMAT;
    if !details.is_empty() && details.iter().all(|detail| of_responses(&detail)) {
        return details.iter().map(|detail| text(detail, "data")).find(|data| !data.is_empty());
    }
    (!details.is_empty()).then(|| carried(details))
}
