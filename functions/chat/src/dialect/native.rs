//! Farebox's own contract: `POST /v1/chat`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use farebox_core::{ChatCall, ChatEvent, Error, Rid};
use serde_json::{Map, Value, json};

use super::{Answer, Dialect, Opening, StreamWriter, cost_object, data, usage_object};

/// The dialect of `POST /v1/chat`.
pub struct Native;

/// The one value of [`Native`].
pub static NATIVE: Native = Native;

impl Dialect for Native {
    fn parse(&self, body: &[u8]) -> Result<ChatCall, Error> {
        ChatCall::from_native(body)
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

    fn answer(&self, answer: &Answer<'_>) -> Value {
        answer_object(answer, &answer.completion.choices)
    }

    fn stream(&self, opening: Opening) -> Box<dyn StreamWriter + Send> {
        Box::new(Deltas { opening, choices: BTreeMap::new() })
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
        for field in ["tool_calls", "refusal", "reasoning_content"] {
            if let Some(value) = message(field).filter(|value| !value.is_null()) {
                body.insert(field.to_owned(), value.clone());
            }
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
    choices: BTreeMap<u32, Gathered>,
}

/// One choice, put together again from its deltas.
#[derive(Default)]
struct Gathered {
    texts: Map<String, Value>,
    tool_calls: BTreeMap<u64, Value>,
    finish_reason: Option<String>,
}

impl Gathered {
    fn take(&mut self, delta: &Map<String, Value>) {
        for (field, value) in delta {
            match (field.as_str(), value) {
                ("tool_calls", Value::Array(calls)) => calls.iter().for_each(|c| self.call(c)),
                ("role", _) => {}
                (_, Value::String(text)) => {
                    let known = self.texts.entry(field.clone()).or_insert_with(|| json!(""));
                    if let Value::String(known) = known {
                        known.push_str(text);
                    }
                }
                _ => {}
            }
        }
    }

    fn call(&mut self, call: &Value) {
        let index = call.get("index").and_then(Value::as_u64).unwrap_or_default();
        let known = self.tool_calls.entry(index).or_insert_with(
            || json!({"id": "", "type": "function", "function": {"name": "", "arguments": ""}}),
        );
        for pointer in ["/id", "/function/name", "/function/arguments"] {
            let more = call.pointer(pointer).and_then(Value::as_str);
            if let (Some(more), Some(Value::String(text))) = (more, known.pointer_mut(pointer)) {
                text.push_str(more);
            }
        }
    }

    fn choice(&self, index: u32) -> Value {
        let mut message = self.texts.clone();
        message.insert("role".to_owned(), Value::from("assistant"));
        message.entry("content").or_insert(Value::Null);
        let called = !self.tool_calls.is_empty();
        if called {
            let calls: Vec<Value> = self.tool_calls.values().cloned().collect();
            message.insert("tool_calls".to_owned(), Value::from(calls));
        }
        let reason = match self.finish_reason.as_deref() {
            Some("stop") if called => Some("tool_calls"),
            reason => reason,
        };
        json!({"index": index, "message": message, "finish_reason": reason})
    }
}

impl Deltas {
    fn choices(&self) -> Vec<Value> {
        self.choices.iter().map(|(index, gathered)| gathered.choice(*index)).collect()
    }
}

impl StreamWriter for Deltas {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Delta { choice, delta, .. } => {
                if let Ok(fields) = serde_json::from_str::<Map<String, Value>>(delta.get()) {
                    self.choices.entry(*choice).or_default().take(&fields);
                }
                let text = format!(
                    "data: {{\"request_id\":\"{}\",\"index\":{choice},\"delta\":{}}}\n\n",
                    self.opening.request_id,
                    delta.get()
                );
                out.extend_from_slice(text.as_bytes());
            }
            ChatEvent::Finish { choice, reason } => {
                self.choices.entry(*choice).or_default().finish_reason = Some(reason.clone());
            }
            ChatEvent::Start { .. }
            | ChatEvent::Usage(_)
            | ChatEvent::Failed { .. }
            | ChatEvent::Done => {}
        }
    }

    fn last(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        data(&answer_object(answer, &self.choices()), out);
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

    #[test]
    fn a_choice_is_put_together_from_its_deltas() {
        let mut gathered = Gathered::default();
        for delta in [
            json!({"role": "assistant", "content": "Hel"}),
            json!({"content": "lo"}),
            json!({"tool_calls": [
                {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{\"a\""}},
            ]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        ] {
            gathered.take(delta.as_object().unwrap());
        }
        gathered.finish_reason = Some("stop".to_owned());

        let choice = gathered.choice(0);

        assert_eq!(choice["message"]["content"], "Hello");
        assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], "{\"a\":1}");
        assert_eq!(choice["finish_reason"], "tool_calls");
    }
}
