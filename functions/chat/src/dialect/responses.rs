//! `OpenAI`'s responses, as its official SDKs and Codex read them, without state: each call
//! carries its whole input.
//!
//! Source: `OpenAI`'s `OpenAPI` description, `CreateResponse`, `Response` and
//! `ResponseStreamEvent` (read 2026-11), and the requests of Codex 0.171.

mod frames;
mod items;
mod read;
mod tools;
mod write;

use std::borrow::Cow;

use bytes::Bytes;
use farebox_core::{ChatCall, Error, Rid, Usage};
use serde_json::{Map, Value, json};

use super::openai::{error_object, with_cost};
use super::{Answer, Dialect, Opening, StreamWriter, cost_object};
use crate::incoming::Incoming;

/// The dialect of `POST /v1/responses`.
pub struct Responses;

/// The one value of [`Responses`].
pub static RESPONSES: Responses = Responses;

/// What stands where a request has no such field.
type Absent = fn() -> Value;

/// The fields of a request that its response repeats, with what stands where it has none.
const REPEATED: [(&str, Absent); 16] = [
    ("instructions", || Value::Null),
    ("max_output_tokens", || Value::Null),
    ("max_tool_calls", || Value::Null),
    ("metadata", || json!({})),
    ("parallel_tool_calls", || Value::from(true)),
    ("prompt_cache_key", || Value::Null),
    ("reasoning", || json!({"effort": null, "summary": null})),
    ("safety_identifier", || Value::Null),
    ("temperature", || Value::Null),
    ("text", || json!({"format": {"type": "text"}})),
    ("tool_choice", || Value::from("auto")),
    ("tools", || json!([])),
    ("top_logprobs", || Value::from(0)),
    ("top_p", || Value::Null),
    ("truncation", || Value::from("disabled")),
    ("user", || Value::Null),
];

impl Dialect for Responses {
    fn parse(&self, incoming: &Incoming) -> Result<ChatCall, Error> {
        read::call(incoming.json()?)
    }

    fn field<'f>(&self, field: &'f str) -> Cow<'f, str> {
        own_field(field)
    }

    fn error(&self, error: &Error, _: Rid) -> Value {
        error_object(error)
    }

    fn repeats(&self, call: &ChatCall) -> Map<String, Value> {
        let mut repeated = Map::new();
        repeated.insert("model".to_owned(), Value::from(call.model.as_str()));
        let asked = call.original.as_ref();
        for (field, default) in REPEATED {
            let given = asked.and_then(|asked| asked.get(field)).filter(|value| !value.is_null());
            repeated.insert(field.to_owned(), given.cloned().unwrap_or_else(default));
        }
        repeated
    }

    fn answer(&self, answer: &Answer<'_>) -> Bytes {
        match answer.verbatim {
            Some(body) => with_cost(body, answer.paid),
            None => Bytes::from(write::whole(answer).to_string()),
        }
    }

    fn stream(&self, opening: Opening) -> Box<dyn StreamWriter + Send> {
        if opening.verbatim {
            Box::new(frames::Frames::new(opening))
        } else {
            Box::new(write::Events::new(opening))
        }
    }

    fn counted(&self, tokens: u64) -> Value {
        json!({"object": "response.input_tokens", "input_tokens": tokens})
    }
}

/// The common shape's name of a field as a request of this dialect has it.
fn own_field(field: &str) -> Cow<'_, str> {
    Cow::Borrowed(match field {
        "max_completion_tokens" | "max_tokens" => "max_output_tokens",
        "reasoning_effort" => "reasoning.effort",
        "verbosity" => "text.verbosity",
        _ if field.starts_with("response_format") => "text.format",
        // The places differ: an item is not always a message of its own.
        _ if field.starts_with("messages") => "input",
        _ => field,
    })
}

/// The name under which the provider's answer is told here.
fn response_id(request_id: Rid) -> String {
    format!("resp_{request_id}")
}

/// A response.
struct Shape<'a> {
    repeated: &'a Map<String, Value>,
    request_id: Rid,
    created: i64,
    /// As the provider says; empty where it is not known yet.
    model: &'a str,
    status: &'a str,
    output: Vec<Value>,
    /// Why it is not complete.
    incomplete: Option<&'a str>,
    error: Value,
    /// At which it was served; `default` where it is not known yet.
    tier: &'a str,
    usage: Value,
}

impl Shape<'_> {
    fn into_value(self) -> Value {
        let mut response = Map::new();
        for (field, value) in [
            ("id", Value::from(response_id(self.request_id))),
            ("object", Value::from("response")),
            ("created_at", Value::from(self.created)),
            ("status", Value::from(self.status)),
            ("background", Value::from(false)),
            ("error", self.error),
            (
                "incomplete_details",
                self.incomplete.map_or(Value::Null, |why| json!({"reason": why})),
            ),
            ("output", Value::from(self.output)),
            ("previous_response_id", Value::Null),
            ("service_tier", Value::from(self.tier)),
            ("store", Value::from(false)),
            ("usage", self.usage),
        ] {
            response.insert(field.to_owned(), value);
        }
        for (field, value) in self.repeated {
            response.insert(field.clone(), value.clone());
        }
        if !self.model.is_empty() {
            response.insert("model".to_owned(), Value::from(self.model));
        }
        Value::Object(response)
    }
}

/// `OpenAI`'s usage object of a response, with Farebox's cost beside it.
fn usage_object(answer: &Answer<'_>) -> Value {
    let Some(usage) = answer.usage else { return Value::Null };
    let Usage { cached, cache_write_5m, cache_write_1h, reasoning, .. } = *usage;
    json!({
        "input_tokens": usage.prompt_tokens(),
        "input_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": cache_write_5m.saturating_add(cache_write_1h),
        },
        "output_tokens": usage.completion_tokens(),
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": usage.total_tokens(),
        "cost": cost_object(answer.paid),
    })
}

/// The error inside a response that failed. Its code is one of the format's own.
fn failure(error: &Error) -> Value {
    json!({"code": "server_error", "message": error.to_string()})
}
