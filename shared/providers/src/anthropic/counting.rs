//! `POST /v1/messages/count_tokens`: free, with a rate limit of its own.
//!
//! "The token count should be considered an estimate", which "may differ by a small amount" and
//! may include tokens that are not billed (platform.claude.com/docs, build-with-claude/
//! token-counting, read 2026-11). So it is a bound with a margin only. Recorded once as counted
//! and as billed: 14 and 14 (`claude-haiku-4-5`, 2026-08). System prompt, tools, images and
//! documents are counted (the same page); of tools that Anthropic runs the first turn alone.

use bytes::Bytes;

use crate::{CountRequest, Margin, Outbound};

/// What the endpoint takes (`MessageCountTokensParams` of anthropics/anthropic-sdk-python).
const COUNTED: [&str; 7] =
    ["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"];
/// What it does not take, and what adds nothing to a prompt.
const UNCOUNTED: [&str; 10] = [
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "service_tier",
    "inference_geo",
    "speed",
    "stream",
];

pub(super) fn request(outbound: &Outbound) -> Option<CountRequest> {
    let body = CountRequest::fields(outbound, &COUNTED, &UNCOUNTED)?;
    let body = Bytes::from(serde_json::to_vec(&body).ok()?);
    let path = "/messages/count_tokens".into();
    Some(CountRequest { path, body, margin: Margin::of(outbound) })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::InputBound;

    fn asked(body: &Value, media: bool) -> Option<CountRequest> {
        let outbound = Outbound {
            path: "/messages".into(),
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
            bound: InputBound { media, ..InputBound::default() },
            cap: 9,
            choices: 1,
        };
        request(&outbound)
    }

    fn count(body: &Value) -> Option<Value> {
        let request = asked(body, false)?;
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
        let most =
            |body: &[u8], margin: Margin| CountRequest::counted(body).map(|it| margin.above(it));
        let sent = json!({"model": "m", "messages": []});
        let margin = asked(&sent, false).unwrap().margin;
        assert_eq!(most(br#"{"input_tokens": 14}"#, margin), Some(78));
        assert_eq!(most(br#"{"input_tokens": 100000}"#, margin), Some(102_000));
        // Of images and documents nothing is recorded.
        let margin = asked(&sent, true).unwrap().margin;
        assert_eq!(most(br#"{"input_tokens": 100000}"#, margin), Some(112_500));
        for odd in [&b"{}"[..], b"14", br#"{"input_tokens": -1}"#, br#"{"input_tokens": 1.5}"#] {
            assert_eq!(CountRequest::counted(odd), None);
        }
    }

    #[test]
    fn what_stands_elsewhere_may_be_another_thing_when_the_call_comes() {
        let document = |source: Value| {
            let block = json!({"type": "document", "source": source});
            json!({"model": "m", "messages": [{"role": "user", "content": [block]}]})
        };
        let inside = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBE"});
        let elsewhere = json!({"type": "url", "url": "https://example.com/a.pdf"});

        assert!(asked(&document(inside), true).is_some());
        assert!(asked(&document(elsewhere), true).is_none());
    }
}
