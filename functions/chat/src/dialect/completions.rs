//! `OpenAI`'s legacy completions: `POST /v1/completions`.
//!
//! Source: `OpenAI`'s `OpenAPI` description, `CreateCompletionResponse` (read 2026-11). The chunks
//! of a stream have the same shape.

use bytes::Bytes;
use farebox_core::{ChatCall, ChatEvent, Error, Rid};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::openai::{error_object, paid_usage, verbatim};
use super::{Answer, Dialect, Opening, StreamWriter, data, id_of, one_line};
use crate::incoming::Incoming;

/// The dialect of `POST /v1/completions`.
pub struct Completions;

/// The one value of [`Completions`].
pub static COMPLETIONS: Completions = Completions;

/// What `object` says, in a stream too.
const OBJECT: &str = "text_completion";

impl Dialect for Completions {
    fn parse(&self, incoming: &Incoming) -> Result<ChatCall, Error> {
        ChatCall::from_completions(incoming.json()?)
    }

    fn error(&self, error: &Error, _: Rid) -> Value {
        error_object(error)
    }

    fn answer(&self, answer: &Answer<'_>) -> Bytes {
        if let Some(body) = answer.verbatim {
            return verbatim::whole(body, answer, OBJECT, &own_id("", answer.paid.request_id));
        }
        let completion = answer.completion;
        let body = json!({
            "id": own_id(&completion.id, answer.paid.request_id),
            "object": OBJECT,
            "created": answer.created,
            "model": completion.model,
            "choices": completion.choices.iter().map(choice).collect::<Vec<_>>(),
            "usage": paid_usage(answer),
        });
        Bytes::from(body.to_string())
    }

    fn stream(&self, opening: Opening) -> Box<dyn StreamWriter + Send> {
        if opening.verbatim {
            let id = own_id("", opening.request_id);
            return Box::new(verbatim::Frames::new(opening, OBJECT, id));
        }
        let id = own_id("", opening.request_id);
        Box::new(Chunks { opening, id, model: String::new() })
    }
}

fn own_id(given: &str, request_id: Rid) -> String {
    id_of("cmpl-", given, request_id)
}

/// A choice of a chat as that of a completion.
fn choice(chat: &Value) -> Value {
    json!({
        "text": chat.pointer("/message/content").and_then(Value::as_str).unwrap_or_default(),
        "index": chat.get("index").cloned().unwrap_or_default(),
        "logprobs": chat.get("logprobs").cloned().unwrap_or_default(),
        "finish_reason": chat.get("finish_reason").cloned().unwrap_or_default(),
    })
}

/// Writes a chat's deltas as pieces of text.
struct Chunks {
    opening: Opening,
    id: String,
    model: String,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

impl Chunks {
    fn chunk(&self, choices: &str, usage: &str, out: &mut Vec<u8>) {
        let (id, model) = (Value::from(self.id.as_str()), Value::from(self.model.as_str()));
        let created = self.opening.created;
        let chunk = format!(
            "data: {{\"id\":{id},\"object\":\"{OBJECT}\",\"created\":{created},\
             \"choices\":[{choices}],\"model\":{model}{usage}}}\n\n"
        );
        out.extend_from_slice(chunk.as_bytes());
    }

    fn piece(&self, index: u32, text: &str, logprobs: &str, reason: &str, out: &mut Vec<u8>) {
        let choices = format!(
            "{{\"text\":{text},\"index\":{index},\"logprobs\":{logprobs},\
             \"finish_reason\":{reason}}}"
        );
        let usage = if self.opening.include_usage { ",\"usage\":null" } else { "" };
        self.chunk(&choices, usage, out);
    }
}

impl StreamWriter for Chunks {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Start { id, model } => {
                self.id = own_id(id, self.opening.request_id);
                self.model.clone_from(model);
            }
            ChatEvent::Delta { choice, delta, logprobs } => {
                let said = serde_json::from_str::<Said<'_>>(delta.get()).ok();
                let text = said.and_then(|said| said.content).map(RawValue::get);
                let logprobs = logprobs.as_ref().map_or("null", |logprobs| logprobs.get());
                let logprobs = &one_line(logprobs);
                if let Some(text) = text.filter(|text| text.len() > 2 && text.starts_with('"')) {
                    self.piece(*choice, text, logprobs, "null", out);
                }
            }
            ChatEvent::Finish { choice, reason } => {
                let reason = Value::from(reason.as_str()).to_string();
                self.piece(*choice, "\"\"", "null", &reason, out);
            }
            ChatEvent::Frame(_)
            | ChatEvent::Usage(_)
            | ChatEvent::Failed { .. }
            | ChatEvent::Done => {}
        }
    }

    fn last(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        if self.opening.include_usage {
            self.chunk("", &format!(",\"usage\":{}", paid_usage(answer)), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn failed(&mut self, error: &Error, _: &Answer<'_>, out: &mut Vec<u8>) {
        data(&error_object(error), out);
    }
}
