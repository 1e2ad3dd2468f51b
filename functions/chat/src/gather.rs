//! A whole answer, put together again from a stream's events.

use std::collections::BTreeMap;

use farebox_core::ChatEvent;
use serde_json::{Map, Value, json};

/// The most that the content of one streamed answer may weigh: dialects and the content log keep
/// it until its end. An answer of 128,000 tokens weighs below 8 MB.
pub const WEIGHT_MAX: usize = 16 * 1024 * 1024;
/// What an object in a delta weighs beside its text: kept, it is a map.
const OBJECT_WEIGHT: usize = 64;
/// The objects in the delta of one call, whose pieces are put together.
const OBJECTS_USUAL: usize = 3;

/// What the content of an event weighs where it is kept.
#[must_use]
pub fn weight(event: &ChatEvent) -> usize {
    let ChatEvent::Delta { delta, logprobs, .. } = event else { return 0 };
    let objects = |text: &str| text.bytes().filter(|byte| *byte == b'{').count();
    let texts = [Some(delta), logprobs.as_ref()].into_iter().flatten();
    let weights = texts.map(|text| {
        let is_kept_apart = text.get().contains("\"reasoning_details\"");
        let usual = if is_kept_apart { 0 } else { OBJECTS_USUAL };
        let more = objects(text.get()).saturating_sub(usual);
        text.get().len().saturating_add(more.saturating_mul(OBJECT_WEIGHT))
    });
    weights.fold(0, usize::saturating_add)
}

/// What went by of a stream.
#[derive(Default)]
pub struct Gathered(BTreeMap<u32, Choice>);

impl Gathered {
    /// Takes the next event.
    pub fn event(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Delta { choice, delta, logprobs } => {
                let known = self.0.entry(*choice).or_default();
                if let Ok(fields) = serde_json::from_str(delta.get()) {
                    known.take(&fields);
                }
                let logprobs = logprobs.as_ref().map(|text| serde_json::from_str(text.get()));
                if let Some(Ok(logprobs)) = logprobs {
                    known.log(logprobs);
                }
            }
            ChatEvent::Finish { choice, reason } => {
                self.0.entry(*choice).or_default().finish_reason = Some(reason.clone());
            }
            ChatEvent::Start { .. }
            | ChatEvent::Frame(_)
            | ChatEvent::Usage(_)
            | ChatEvent::Failed { .. }
            | ChatEvent::Done => {}
        }
    }

    /// The choices as `OpenAI`'s buffered answer has them.
    #[must_use]
    pub fn choices(&self) -> Vec<Value> {
        self.0.iter().map(|(index, choice)| choice.choice(*index)).collect()
    }
}

/// One choice.
#[derive(Default)]
struct Choice {
    texts: Map<String, Value>,
    tool_calls: BTreeMap<u64, Value>,
    logprobs: Map<String, Value>,
    finish_reason: Option<String>,
}

impl Choice {
    fn take(&mut self, delta: &Map<String, Value>) {
        for (field, value) in delta {
            match (field.as_str(), value) {
                ("tool_calls", Value::Array(calls)) => calls.iter().for_each(|c| self.call(c)),
                ("role", _) => {}
                // Signatures of thoughts, without which a second turn does not work, and sources.
                ("reasoning_details" | "annotations" | "citations", Value::Array(more)) => {
                    let known = self.texts.entry(field.clone()).or_insert_with(|| json!([]));
                    if let Value::Array(known) = known {
                        known.extend(more.iter().cloned());
                    }
                }
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
        if let (Some(extra), Some(known)) = (call.get("extra_content"), known.as_object_mut()) {
            known.insert("extra_content".to_owned(), extra.clone());
        }
        for pointer in ["/id", "/function/name", "/function/arguments"] {
            let more = call.pointer(pointer).and_then(Value::as_str);
            if let (Some(more), Some(Value::String(text))) = (more, known.pointer_mut(pointer)) {
                text.push_str(more);
            }
        }
    }

    /// The lists of each kind, one after the other.
    fn log(&mut self, logprobs: Map<String, Value>) {
        for (kind, value) in logprobs {
            let Value::Array(more) = value else { continue };
            if let Value::Array(known) = self.logprobs.entry(kind).or_insert_with(|| json!([])) {
                known.extend(more);
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
        let mut choice = json!({"index": index, "message": message, "finish_reason": reason});
        if let Some(choice) = choice.as_object_mut().filter(|_| !self.logprobs.is_empty()) {
            choice.insert("logprobs".to_owned(), Value::from(self.logprobs.clone()));
        }
        choice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let delta = serde_json::value::to_raw_value(&delta).unwrap();
            let logprobs = serde_json::value::to_raw_value(&json!({"content": [1]})).ok();
            gathered.event(&ChatEvent::Delta { choice: 0, delta, logprobs });
        }
        gathered.event(&ChatEvent::Finish { choice: 0, reason: "stop".to_owned() });

        let choice = gathered.choices().remove(0);

        assert_eq!(choice["message"]["content"], "Hello");
        assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], "{\"a\":1}");
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(choice["logprobs"]["content"], json!([1, 1, 1, 1]));
    }
}
