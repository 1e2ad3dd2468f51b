//! `POST /responses/input_tokens`: "the exact count the model will receive", instructions that
//! `OpenAI` adds included (developers.openai.com/api/docs/guides/token-counting, read 2026-06).
//! No page says what the request costs; it is taken for free.

use bytes::Bytes;

use crate::{CountRequest, Margin, Outbound};

/// What the endpoint takes (`InputTokenCountParams` of openai/openai-python).
const COUNTED: [&str; 9] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "truncation",
    "parallel_tool_calls",
];
/// What it does not take, and what adds nothing to a prompt.
const UNCOUNTED: [&str; 15] = [
    "max_output_tokens",
    "store",
    "stream",
    "stream_options",
    "service_tier",
    "include",
    "metadata",
    "client_metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "temperature",
    "top_p",
    "top_logprobs",
    "background",
];

/// None is the margin where what is sent is this very body.
pub(super) fn request(outbound: &Outbound, margin: Margin) -> Option<CountRequest> {
    let body = CountRequest::fields(outbound, &COUNTED, &UNCOUNTED)?;
    let body = Bytes::from(serde_json::to_vec(&body).ok()?);
    Some(CountRequest { path: "/responses/input_tokens".into(), body, margin })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::InputBound;

    fn count(body: &Value) -> Option<Value> {
        let outbound = Outbound {
            path: "/responses".into(),
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
            bound: InputBound::default(),
            cap: 9,
            choices: 1,
        };
        Some(serde_json::from_slice(&request(&outbound, Margin::Exact)?.body).unwrap())
    }

    #[test]
    fn the_prompt_is_asked_for_and_nothing_else() {
        let sent = json!({"model": "m", "input": "x", "tools": [], "max_output_tokens": 9,
            "stream": true, "store": false, "service_tier": "default", "include": []});

        assert_eq!(count(&sent), Some(json!({"model": "m", "input": "x", "tools": []})));
        assert_eq!(count(&json!({"model": "m", "input": "x", "prompt_cache_options": {}})), None);
    }
}
