//! `countTokens`: free, and outside the quota of calls (ai.google.dev/gemini-api/docs/billing).
//!
//! It counts contents, system instruction and tools. Recorded as counted and as billed in the
//! corpus: the same. It is no promise, so it is a bound with a margin only.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{CountRequest, Counted, Outbound};

/// What adds nothing to a prompt, or is not in what is counted and is no prompt.
const UNCOUNTED: [&str; 3] = ["safetySettings", "labels", "generationConfig"];
/// What is counted.
const COUNTED: [&str; 4] = ["contents", "systemInstruction", "tools", "toolConfig"];
/// The margin: so many tokens, or one in so many, whichever is more.
const MARGIN_TOKENS: u64 = 64;
const MARGIN_ONE_IN: u64 = 50;

pub(super) fn request(outbound: &Outbound, vertex: bool) -> Option<CountRequest> {
    let model = outbound.path.strip_prefix("/models/")?.split(':').next()?;
    let mut body: Map<String, Value> = serde_json::from_slice(&outbound.body).ok()?;
    // A schema is a part of the prompt, and whether it is counted is not said.
    let config = body.get("generationConfig");
    let has_schema = ["responseSchema", "responseJsonSchema"]
        .iter()
        .any(|name| config.is_some_and(|config| config.get(name).is_some()));
    body.retain(|field, _| !UNCOUNTED.contains(&field.as_str()));
    if has_schema || !body.keys().all(|field| COUNTED.contains(&field.as_str())) {
        return None;
    }
    let path = format!("/models/{model}:countTokens").into();
    let body = if vertex {
        body.shift_remove("toolConfig");
        Value::Object(body)
    } else {
        body.insert("model".to_owned(), Value::from(format!("models/{model}")));
        json!({"generateContentRequest": body})
    };
    Some(CountRequest { path, body: Bytes::from(body.to_string()) })
}

pub(super) fn answer(body: &[u8]) -> Option<Counted> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        total_tokens: u64,
    }
    let Answer { total_tokens: tokens } = serde_json::from_slice(body).ok()?;
    let margin = MARGIN_TOKENS.max(tokens.div_ceil(MARGIN_ONE_IN));
    Some(Counted { tokens, most: tokens.checked_add(margin)? })
}
