//! Farebox's own contract: `POST /v1/chat`.

use std::borrow::Cow;

use bytes::Bytes;
use farebox_core::{ChatCall, ChatEvent, Error, Rid};
use serde_json::{Value, json};

use super::{Answer, Dialect, Opening, StreamWriter, cost_object, data, one_line, usage_object};
use crate::gather::Gathered;
use crate::incoming::Incoming;

/// The dialect of `POST /v1/chat`.
pub struct Native;

/// The one value of [`Native`].
pub static NATIVE: Native = Native;

impl Dialect for Native {
    fn parse(&self, incoming: &Incoming) -> Result<ChatCall, Error> {
        ChatCall::from_native(incoming.json()?)
    }

    fn field<'f>(&self, field: &'f str) -> Cow<'f, str> {
        let top = field.split(['.', '[']).next().unwrap_or(field);
        let stands = ["provider", "model", "messages", "options", "body"].contains(&top);
        if stands { Cow::Borrowed(field) } else { Cow::Owned(format!("options.{field}")) }
    }

    fn error(&self, error: &Error, request_id: Rid) -> Value {
        json!({
            "success": false,
            "request_id": request_id,
            "error": {
                "code": error.row().code,
                "message": error.to_string(),
                "field": error.field(),
                "retry": error.row().retry,
            },
        })
    }

    fn answer(&self, answer: &Answer<'_>) -> Bytes {
        Bytes::from(answer_object(answer, &answer.completion.choices).to_string())
    }

    fn stream(&self, opening: Opening) -> Box<dyn StreamWriter + Send> {
        Box::new(Deltas { opening, gathered: Gathered::default() })
    }
}

/// The full answer object. The first choice stands at the top; `choices` only where there are
/// several.
fn answer_object(answer: &Answer<'_>, choices: &[Value]) -> Value {
    let first = choices.first();
    let message = |field: &str| first.and_then(|choice| choice.get("message")?.get(field));
    let mut body = json!({
        "success": true,
        "request_id": answer.paid.request_id,
        "provider": answer.paid.provider,
        "model": answer.completion.model,
        "content": message("content").cloned().unwrap_or_default(),
        "role": message("role").cloned().unwrap_or_else(|| Value::from("assistant")),
        "finish_reason": first.and_then(|choice| choice.get("finish_reason")).cloned(),
        "usage": answer.usage.map(usage_object),
        "cost": cost_object(answer.paid),
        "response_time_ms": answer.paid.response_time_ms,
    });
    if let Some(body) = body.as_object_mut() {
        const FIELDS: [&str; 6] = [
            "tool_calls",
            "refusal",
            "reasoning_content",
            "reasoning_details",
            "annotations",
            "citations",
        ];
        for field in FIELDS {
            if let Some(value) = message(field).filter(|value| !value.is_null()) {
                body.insert(field.to_owned(), value.clone());
            }
        }
        let logprobs = first.and_then(|choice| choice.get("logprobs"));
        if let Some(logprobs) = logprobs.filter(|logprobs| !logprobs.is_null()) {
            body.insert("logprobs".to_owned(), logprobs.clone());
        }
        if choices.len() > 1 {
            body.insert("choices".to_owned(), Value::from(choices.to_vec()));
        }
    }
    body
}

/// Writes `{request_id, index, delta}` events; the last event is the full answer object, so
/// this writer remembers what went by.
struct Deltas {
    opening: Opening,
    gathered: Gathered,
}

impl StreamWriter for Deltas {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        self.gathered.event(event);
        if let ChatEvent::Delta { choice, delta, .. } = event {
            let text = format!(
                "data: {{\"request_id\":\"{}\",\"index\":{choice},\"delta\":{}}}\n\n",
                self.opening.request_id,
                one_line(delta.get())
            );
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn last(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        data(&answer_object(answer, &self.gathered.choices()), out);
    }

    fn failed(&mut self, error: &Error, answer: &Answer<'_>, out: &mut Vec<u8>) {
        let mut body = NATIVE.error(error, self.opening.request_id);
        if let Some(body) = body.as_object_mut() {
            body.insert("cost".to_owned(), cost_object(answer.paid));
        }
        data(&body, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_named_where_the_caller_wrote_it() {
        assert_eq!(NATIVE.field("seed"), "options.seed");
        assert_eq!(NATIVE.field("options.seed"), "options.seed");
        assert_eq!(NATIVE.field("messages[1].content"), "messages[1].content");
    }
}
