//! `POST /responses/input_tokens`: "the exact count the model will receive", instructions that
//! `OpenAI` adds included (developers.openai.com/api/docs/guides/token-counting, read 2026-06).
//! No page says what the request costs; it is taken for free.

use crate::{CountRequest, Counted, Outbound};

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

pub(super) fn request(outbound: &Outbound) -> Option<CountRequest> {
    CountRequest::of(outbound, "/responses/input_tokens", &COUNTED, &UNCOUNTED)
}

pub(super) fn answer(body: &[u8]) -> Option<Counted> {
    let tokens = Counted::input_tokens(body)?;
    Some(Counted { tokens, most: tokens })
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
        Some(serde_json::from_slice(&request(&outbound)?.body).unwrap())
    }

    #[test]
    fn the_prompt_is_asked_for_and_nothing_else() {
        let sent = json!({"model": "m", "input": "x", "tools": [], "max_output_tokens": 9,
            "stream": true, "store": false, "service_tier": "default", "include": []});

        assert_eq!(count(&sent), Some(json!({"model": "m", "input": "x", "tools": []})));
        assert_eq!(count(&json!({"model": "m", "input": "x", "prompt_cache_options": {}})), None);
    }

    #[test]
    fn a_count_is_exact_and_anything_else_is_none() {
        let counted = answer(br#"{"object":"response.input_tokens","input_tokens":14}"#).unwrap();
        assert_eq!((counted.tokens, counted.most), (14, 14));
        for odd in [&b"{}"[..], b"14", br#"{"input_tokens": -1}"#, br#"{"input_tokens": 1.5}"#] {
            assert_eq!(answer(odd), None);
        }
    }
}
