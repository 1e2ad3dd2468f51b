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
        (json!({"tools": [{"type": "web_search_20260209", "name": "w"}]}), "tools[0].max_uses"),
        (json!({"tools": [{"type": "advisor_20260301", "name": "a"}]}), "tools[0].type"),
        (json!({"tools": [{"type": "code_execution_20250825", "name": "c"}]}), "tools[0].type"),
    ] {
        let error = asked_of_anthropic(&rest).unwrap_err();
        assert_eq!(error.field(), Some(field), "{error}");
    }
}

pub fn server_tools_are_held_for_every_sampling() {
    let tools = json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
        {"type": "web_fetch_20250910", "name": "web_fetch"}]);
    let bound = asked_of_anthropic(&json!({"tools": tools})).unwrap().bound;
    assert_eq!((bound.prompt_tokens, bound.web_searches), (2_000_000, 5));
    assert!(bound.media, "a count tells the first sampling alone");
    // What was found comes back sealed, so its bytes tell nothing.
    let found = json!([{"type": "web_search_result", "encrypted_content": "c2VhbGVk"}]);
    let block = json!([{"type": "web_search_tool_result", "tool_use_id": "s", "content": found}]);
    let messages = json!([{"role": "user", "content": "hi"},
        {"role": "assistant", "content": block}, {"role": "user", "content": "and?"}]);
    let bound = asked_of_anthropic(&json!({"messages": messages})).unwrap().bound;
    assert_eq!((bound.prompt_tokens, bound.web_searches), (200_000, 0));
}

pub fn fast_is_held_and_charged_as_a_tier() {
    let asked = asked_of_anthropic(&json!({"speed": "fast"})).unwrap();
    assert_eq!(asked.bound.service_tier, Some("fast"));
    assert_eq!(asked.bound.unsaid_tier(), Some("fast"));
    let usage = json!({"input_tokens": 5, "output_tokens": 1, "speed": "fast",
        "service_tier": "standard"});
    let body = json!({"content": [{"type": "text", "text": "I"}], "usage": usage});
    assert_eq!(reported("anthropic", &body).service_tier.as_deref(), Some("fast"));
}

pub fn the_us_geography_is_held() {
    assert!(sent("anthropic", &json!({})).0.bound.us_geography);
    let global = asked_of_anthropic(&json!({"inference_geo": "global"})).unwrap();
    assert!(!global.bound.us_geography);
    assert!(asked_of_anthropic(&json!({})).unwrap().bound.us_geography);
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
