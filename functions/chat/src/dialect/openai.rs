//! `OpenAI`'s chat completions, as its official SDKs read them.
//!
//! Source: `OpenAI`'s `OpenAPI` description, `CreateChatCompletionResponse` and
//! `CreateChatCompletionStreamResponse` (read 2026-11).

use std::collections::BTreeSet;

use bytes::Bytes;
use farebox_core::{ChatCall, ChatEvent, Error, Rid};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{
    Answer, Dialect, Opening, StreamWriter, cost_object, data, id_of, one_line, tier_of_openai,
    usage_object,
};
use crate::incoming::Incoming;

pub(super) mod verbatim;

pub(super) use verbatim::with_cost;

/// The dialect of `POST /v1/chat/completions`.
pub struct OpenAi;

/// The one value of [`OpenAi`].
pub static OPENAI: OpenAi = OpenAi;

impl Dialect for OpenAi {
    fn parse(&self, incoming: &Incoming) -> Result<ChatCall, Error> {
        ChatCall::from_openai(incoming.json()?)
    }

    fn error(&self, error: &Error, _: Rid) -> Value {
        error_object(error)
    }

    fn answer(&self, answer: &Answer<'_>) -> Bytes {
        if let Some(body) = answer.verbatim {
            let id = own_id("", answer.paid.request_id);
            return verbatim::whole(body, answer, "chat.completion", &id);
        }
        let completion = answer.completion;
        let mut body = json!({
            "id": own_id(&completion.id, answer.paid.request_id),
            "object": "chat.completion",
            "created": answer.created,
            "model": completion.model,
            "choices": completion.choices,
        });
        if let Some(body) = body.as_object_mut() {
            body.insert("usage".to_owned(), paid_usage(answer));
            if let Some(tier) = tier_of_openai(answer.tier) {
                body.insert("service_tier".to_owned(), Value::from(tier));
            }
        }
        Bytes::from(body.to_string())
    }

    fn stream(&self, opening: Opening) -> Box<dyn StreamWriter + Send> {
        if opening.verbatim {
            let id = own_id("", opening.request_id);
            return Box::new(verbatim::Frames::new(opening, "chat.completion.chunk", id));
        }
        Box::new(Chunks {
            id: own_id("", opening.request_id),
            model: String::new(),
            opening,
            spoken: BTreeSet::new(),
            called: BTreeSet::new(),
        })
    }
}

/// `OpenAI`'s error object. `type` is what its SDKs' users switch on.
pub(super) fn error_object(error: &Error) -> Value {
    let row = error.row();
    let kind = match row.status {
        401 => "authentication_error",
        402 => row.code,
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    json!({"error": {
        "message": error.to_string(),
        "type": kind,
        "param": error.field(),
        "code": row.code,
    }})
}

fn own_id(given: &str, request_id: Rid) -> String {
    id_of("chatcmpl-", given, request_id)
}

/// The usage with Farebox's cost beside it; `null` where the provider reported none.
pub(super) fn paid_usage(answer: &Answer<'_>) -> Value {
    let Some(usage) = answer.usage else { return Value::Null };
    let mut usage = usage_object(usage);
    if let Some(usage) = usage.as_object_mut() {
        usage.insert("cost".to_owned(), cost_object(answer.paid));
    }
    usage
}

/// Writes `chat.completion.chunk`s: one id, the role once, the finish reason once, the usage
/// last with no choices.
struct Chunks {
    opening: Opening,
    id: String,
    model: String,
    /// Choices whose role has been told.
    spoken: BTreeSet<u32>,
    /// Choices in which a tool was called.
    called: BTreeSet<u32>,
}

impl Chunks {
    /// One chunk around choices that are JSON already: content is never encoded again.
    fn chunk(&self, choices: &str, usage: &str, out: &mut Vec<u8>) {
        let id = Value::from(self.id.as_str());
        let model = Value::from(self.model.as_str());
        let created = self.opening.created;
        let text = format!(
            "data: {{\"id\":{id},\"object\":\"chat.completion.chunk\",\"created\":{created},\
             \"model\":{model},\"choices\":[{choices}]{usage}}}\n\n"
        );
        out.extend_from_slice(text.as_bytes());
    }

    /// `"usage": null` stands in every chunk where the caller asked for the usage.
    fn no_usage(&self) -> &'static str {
        if self.opening.include_usage { ",\"usage\":null" } else { "" }
    }

    fn delta(
        &mut self,
        choice: u32,
        delta: &RawValue,
        logprobs: Option<&RawValue>,
        out: &mut Vec<u8>,
    ) {
        let text = delta.get();
        if text.contains("\"tool_calls\"") {
            self.called.insert(choice);
        }
        let first = self.spoken.insert(choice);
        let delta = match (first, text.contains("\"role\"")) {
            (true, true) | (false, false) => text.to_owned(),
            (first, _) => with_role(text, first),
        };
        let logprobs = logprobs.map_or("null", RawValue::get);
        let (delta, logprobs) = (one_line(&delta), one_line(logprobs));
        let choices = format!(
            "{{\"index\":{choice},\"delta\":{delta},\"logprobs\":{logprobs},\
             \"finish_reason\":null}}"
        );
        self.chunk(&choices, self.no_usage(), out);
    }
}

/// The delta with the assistant's role, or without any.
fn with_role(delta: &str, wanted: bool) -> String {
    let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(delta) else {
        return delta.to_owned();
    };
    if wanted {
        fields.entry("role").or_insert_with(|| Value::from("assistant"));
    } else {
        fields.shift_remove("role");
    }
    Value::Object(fields).to_string()
}

impl StreamWriter for Chunks {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Start { id, model } => {
                self.id = own_id(id, self.opening.request_id);
                self.model.clone_from(model);
            }
            ChatEvent::Delta { choice, delta, logprobs } => {
                self.delta(*choice, delta, logprobs.as_deref(), out);
            }
            ChatEvent::Finish { choice, reason } => {
                // Strict clients drop the tool call where the reason does not say so.
                let called = self.called.contains(choice) && reason == "stop";
                let reason = Value::from(if called { "tool_calls" } else { reason.as_str() });
                let choices = format!(
                    "{{\"index\":{choice},\"delta\":{{}},\"logprobs\":null,\
                     \"finish_reason\":{reason}}}"
                );
                self.chunk(&choices, self.no_usage(), out);
            }
            ChatEvent::Frame(_)
            | ChatEvent::Usage(_)
            | ChatEvent::Failed { .. }
            | ChatEvent::Done => {}
        }
    }

    fn last(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        if self.opening.include_usage {
            let tier = tier_of_openai(answer.tier);
            let tier = tier.map(|tier| format!(",\"service_tier\":\"{tier}\""));
            let tier = tier.unwrap_or_default();
            let usage = format!("{tier},\"usage\":{}", paid_usage(answer));
            self.chunk("", &usage, out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn failed(&mut self, error: &Error, _: &Answer<'_>, out: &mut Vec<u8>) {
        data(&error_object(error), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Paid;
    use farebox_core::{Completion, Money, Timestamp, Usage};

    fn written(include_usage: bool, events: &[ChatEvent]) -> String {
        let request_id = Rid::new(Timestamp::from_ms(1), 1);
        let repeated = std::sync::Arc::default();
        let opening = Opening { request_id, created: 7, include_usage, verbatim: false, repeated };
        let mut writer = OPENAI.stream(opening);
        let mut out = Vec::new();
        for event in events {
            writer.event(event, &mut out);
        }
        let paid = Paid {
            request_id,
            provider: "demo",
            cost: None,
            charged: Money::ONE_PICO,
            response_time_ms: 1,
        };
        let usage = Usage { prompt: 3, completion: 2, ..Usage::default() };
        let completion = Completion::default();
        let answer = Answer {
            completion: &completion,
            verbatim: None,
            usage: Some(&usage),
            paid: &paid,
            tier: None,
            repeated: &std::sync::Arc::default(),
            created: 7,
        };
        writer.last(&answer, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn delta(text: &str) -> ChatEvent {
        let delta = RawValue::from_string(text.to_owned()).unwrap();
        ChatEvent::Delta { choice: 0, delta, logprobs: None }
    }

    #[test]
    fn a_role_is_told_once_whatever_the_provider_does() {
        for deltas in [
            [r#"{"content":"a"}"#, r#"{"content":"b"}"#],
            [r#"{"role":"assistant","content":"a"}"#, r#"{"role":"assistant","content":"b"}"#],
        ] {
            let text = written(false, &deltas.map(delta));
            assert_eq!(text.matches("\"role\"").count(), 1, "{text}");
        }
    }

    #[test]
    fn usage_comes_last_with_no_choices_and_only_when_asked_for() {
        let asked = written(true, &[delta(r#"{"content":"a"}"#)]);
        let chunks: Vec<&str> = asked.trim().split("\n\n").collect();

        assert!(chunks[0].contains("\"usage\":null"));
        assert!(chunks[1].contains("\"choices\":[],\"usage\":{\"prompt_tokens\":3"), "{asked}");
        assert_eq!(chunks[2], "data: [DONE]");
        assert!(!written(false, &[delta(r#"{"content":"a"}"#)]).contains("usage"));
    }

    #[test]
    fn a_tier_is_told_in_openais_words() {
        for (said, told) in [
            (Some("priority"), Some("priority")),
            (Some("standard"), Some("default")),
            (Some("reserved"), None),
            (None, None),
        ] {
            assert_eq!(tier_of_openai(said), told);
        }
    }

    #[test]
    fn a_called_tool_is_the_finish_reason() {
        let call = delta(r#"{"tool_calls":[{"index":0}]}"#);
        let finish = ChatEvent::Finish { choice: 0, reason: "stop".to_owned() };

        assert!(written(false, &[call, finish]).contains("\"finish_reason\":\"tool_calls\""));
    }
}
