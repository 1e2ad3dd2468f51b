//! What Anthropic bills.

use farebox_core::Reported;
use farebox_providers::Billing;
use serde_json::{Value, json};

use crate::{INVALID, OTHER, asked_of_anthropic, billing, reported, sent};

pub fn thinking_is_inside_the_cap() {
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1_500}});
    assert_eq!(asked_of_anthropic(&thinking).unwrap().cap, 2_000);
}

pub fn the_window_bounds_claude() {
    let long = json!({"user": "u", "stop": "x".repeat(300_000)});
    assert_eq!(sent("anthropic", &long).0.bound.prompt_tokens, 200_000);
}

pub fn tools_add_a_preamble() {
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let (outbound, _) = sent("anthropic", &json!({"tools": [tool]}));
    assert!(outbound.bound.prompt_tokens >= outbound.body.len() as u64 + 804);
}

pub fn what_anthropic_hides_is_refused() {
    for (rest, field) in [
        (json!({"mcp_servers": [{}]}), "mcp_servers"),
        (json!({"container": "c"}), "container"),
        (json!({"fallbacks": [{}]}), "fallbacks"),
        (json!({"speed": "fast"}), "speed"),
        (json!({"tools": [{"type": "web_search_20260209", "name": "w"}]}), "tools[0].type"),
        (json!({"tools": [{"type": "code_execution_20250825", "name": "c"}]}), "tools[0].type"),
    ] {
        let error = asked_of_anthropic(&rest).unwrap_err();
        assert_eq!(error.field(), Some(field), "{error}");
    }
}

pub fn the_us_geography_is_held() {
    assert!(sent("anthropic", &json!({})).0.bound.us_geography);
}

pub fn anthropics_tier_is_sent() {
    assert_eq!(sent("anthropic", &json!({})).1["service_tier"], "standard_only");
}

fn refusal(content: &Value) -> Reported {
    let usage = json!({"input_tokens": 5, "output_tokens": 1});
    let body = json!({"content": content, "stop_reason": "refusal", "usage": usage});
    reported("anthropic", &body)
}

pub fn a_refusal_at_once_is_free() {
    assert!(refusal(&json!([])).unbilled);
}

pub fn a_refusal_after_output_is_billed() {
    let refused = refusal(&json!([{"type": "text", "text": "I"}]));
    assert_eq!((refused.unbilled, refused.usage.total_tokens()), (false, 6));
}

pub fn anthropics_refusals() {
    assert_eq!(billing("anthropic", 413, ""), Billing::Unbilled);
    for status in [400, 401, 403, 404, 429] {
        assert_eq!(billing("anthropic", status, INVALID), Billing::UnbilledInferred, "{status}");
        assert_eq!(billing("anthropic", status, ""), Billing::Unknown, "{status}");
    }
    assert_eq!(billing("anthropic", 400, OTHER), Billing::Unknown);
}

pub fn anthropics_failures() {
    for status in [500, 504, 529] {
        assert_eq!(billing("anthropic", status, INVALID), Billing::Unknown, "{status}");
    }
}
