//! `POST /v1/messages/count_tokens`: free, with a rate limit of its own.
//!
//! "The token count should be considered an estimate", which "may differ by a small amount" and
//! may include tokens that are not billed (platform.claude.com/docs, build-with-claude/
//! token-counting, read 2026-11). So it is a bound with a margin only. Recorded once as counted
//! and as billed: 14 and 14 (`claude-haiku-4-5`, 2026-08).

use crate::{CountRequest, Counted, Outbound};

/// What the endpoint takes (`MessageCountTokensParams` of anthropics/anthropic-sdk-python).
const COUNTED: [&str; 7] =
    ["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"];
/// What it does not take, and what adds nothing to a prompt.
const UNCOUNTED: [&str; 8] = [
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "service_tier",
    "stream",
];
/// The margin: so many tokens, or one in so many, whichever is more.
const MARGIN_TOKENS: u64 = 64;
const MARGIN_ONE_IN: u64 = 50;

pub(super) fn request(outbound: &Outbound) -> Option<CountRequest> {
    CountRequest::of(outbound, "/messages/count_tokens", &COUNTED, &UNCOUNTED)
}

pub(super) fn answer(body: &[u8]) -> Option<Counted> {
    let tokens = Counted::input_tokens(body)?;
    let margin = MARGIN_TOKENS.max(tokens.div_ceil(MARGIN_ONE_IN));
    Some(Counted { tokens, most: tokens.checked_add(margin)? })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::InputBound;

    fn count(body: &Value) -> Option<Value> {
        let outbound = Outbound {
            path: "/messages".into(),
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
            bound: InputBound::default(),
            cap: 9,
            choices: 1,
        };
        let request = request(&outbound)?;
        Some(serde_json::from_slice(&request.body).unwrap())
    }

    #[test]
    fn the_prompt_is_asked_for_and_nothing_else() {
        let sent = json!({"model": "m", "messages": [], "tools": [], "max_tokens": 9,
            "stream": true, "service_tier": "standard_only", "temperature": 1});

        assert_eq!(count(&sent), Some(json!({"model": "m", "messages": [], "tools": []})));
    }

    #[test]
    fn what_the_endpoint_might_not_count_is_not_asked_for() {
        assert_eq!(count(&json!({"model": "m", "messages": [], "mcp_servers": []})), None);
    }

    #[test]
    fn a_count_is_a_bound_with_its_margin() {
        let most = |body: &[u8]| answer(body).map(|counted| counted.most);
        assert_eq!(most(br#"{"input_tokens": 14}"#), Some(78));
        assert_eq!(most(br#"{"input_tokens": 100000}"#), Some(102_000));
        for odd in [&b"{}"[..], b"14", br#"{"input_tokens": -1}"#, br#"{"input_tokens": 1.5}"#] {
            assert_eq!(answer(odd), None);
        }
    }
}
