//! Anthropic's messages, as its official SDKs and Claude Code read them.
//!
//! Source: the types of anthropics/anthropic-sdk-python and platform.claude.com/docs
//! (api/messages, build-with-claude/streaming, api/errors; read 2026-08).

mod blocks;
mod read;
mod write;

use std::borrow::Cow;

use bytes::Bytes;
use farebox_core::{ChatCall, Error, Rid, Usage};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Answer, Dialect, Opening, StreamWriter, set};
use crate::account::Listed;
use crate::incoming::Incoming;

/// The dialect of `POST /v1/messages`.
pub struct Messages;

/// The one value of [`Messages`].
pub static MESSAGES: Messages = Messages;

/// The features in beta that a caller may switch on by `anthropic-beta`: none of them changes what
/// is billed but by fields that are looked into. A part of the name; others are not passed on.
const BETAS: [&str; 17] = [
    "claude-code-",
    "oauth-",
    "interleaved-thinking-",
    "fine-grained-tool-streaming-",
    "context-management-",
    "prompt-caching-",
    "extended-cache-ttl-",
    "output-128k-",
    "token-efficient-tools-",
    "structured-outputs-",
    "effort-",
    "pdfs-",
    "computer-use-",
    "token-counting-",
    "fast-mode-",
    "web-search-",
    "web-fetch-",
];

impl Dialect for Messages {
    fn parse(&self, incoming: &Incoming) -> Result<ChatCall, Error> {
        let mut call = read::call(incoming.json()?)?;
        let given = incoming.headers.get_all("anthropic-beta").iter();
        let names = given.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
        let known: Vec<&str> = names
            .map(str::trim)
            .filter(|name| BETAS.iter().any(|beta| name.starts_with(beta)))
            .collect();
        if !known.is_empty() {
            call.headers.push(("anthropic-beta", known.join(",")));
        }
        Ok(call)
    }

    fn field<'f>(&self, field: &'f str) -> Cow<'f, str> {
        Cow::Borrowed(match field {
            "max_completion_tokens" => "max_tokens",
            "reasoning_effort" => "output_config.effort",
            "stop" => "stop_sequences",
            "parallel_tool_calls" => "tool_choice.disable_parallel_tool_use",
            _ if field.starts_with("response_format") => "output_config.format",
            // The places differ: a turn may be several messages.
            _ if field.starts_with("messages[") => "messages",
            _ => field,
        })
    }

    fn error(&self, error: &Error, request_id: Rid) -> Value {
        let row = error.row();
        let kind = match row.status {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 => "overloaded_error",
            504 => "timeout_error",
            400..=499 => "invalid_request_error",
            _ => "api_error",
        };
        let message = error.to_string();
        json!({
            "type": "error",
            "error": {"type": kind, "message": message, "code": row.code, "field": error.field()},
            "request_id": request_id,
        })
    }

    fn answer(&self, answer: &Answer<'_>) -> Bytes {
        match answer.verbatim {
            Some(bytes) => bytes.clone(),
            None => Bytes::from(write::whole(answer).to_string()),
        }
    }

    fn stream(&self, opening: Opening) -> Box<dyn StreamWriter + Send> {
        if opening.verbatim {
            Box::new(write::Frames::new(opening))
        } else {
            Box::new(write::Events::new(opening))
        }
    }

    fn model(&self, listed: &Listed<'_>) -> Value {
        let id = listed.id();
        let (window, most) = match listed {
            Listed::Model(model) => (model.context_window, model.completion_max),
            Listed::Route(..) => (None, None),
        };
        json!({
            "type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z",
            "max_input_tokens": window, "max_tokens": most,
        })
    }

    fn models(&self, listed: &[Listed<'_>]) -> Value {
        let data: Vec<Value> = listed.iter().map(|listed| self.model(listed)).collect();
        let id = |model: Option<&Value>| model.and_then(|model| model.get("id")).cloned();
        let (first, last) = (id(data.first()), id(data.last()));
        json!({"data": data, "has_more": false, "first_id": first, "last_id": last})
    }

    fn headers(&self, request_id: Rid, headers: &mut HeaderMap) {
        set(headers, "request-id", &request_id.to_string());
    }
}

/// Anthropic's usage object: what is cached stands beside the prompt, not in it.
fn usage_object(usage: Option<&Usage>, tier: Option<&str>) -> Value {
    let usage = usage.copied().unwrap_or_default();
    // Where the format has no word for it, it says nothing.
    let tier = match tier {
        None | Some("standard" | "default" | "on_demand") => Value::from("standard"),
        Some(tier @ ("priority" | "batch")) => Value::from(tier),
        Some(_) => Value::Null,
    };
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    json!({
        "input_tokens": usage.prompt.saturating_add(usage.audio_prompt),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.completion_tokens(),
        "service_tier": tier,
    })
}
