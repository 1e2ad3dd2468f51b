//! What Anthropic bills.

use farebox_core::catalog::Catalog;
use farebox_core::pricing::{Bound, CacheWrite};
use farebox_core::{ChatEvent, Reported};
use farebox_providers::Billing;
use serde_json::{Value, json};

use crate::{INVALID, OTHER, asked_of_anthropic, billing, counted, reported, sent, streamed};

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

/// Code runs for free beside a search or a fetch of this version, and else in a container that is
/// billed by the hour.
pub fn code_runs_only_where_its_container_is_free() {
    let code = json!({"type": "code_execution_20260521", "name": "code_execution"});
    let fetch = |version: &str| json!({"type": version, "name": "web_fetch"});
    let bound = |tools: Value| asked_of_anthropic(&json!({"tools": tools})).map(|out| out.bound);
    let free = bound(json!([code, fetch("web_fetch_20260209")])).unwrap();
    assert_eq!((free.prompt_tokens, free.media), (2_000_000, true));
    for tools in [json!([code]), json!([code, fetch("web_fetch_20250910")])] {
        assert_eq!(bound(tools).unwrap_err().field(), Some("tools[0].type"));
    }
    let usage = json!({"input_tokens": 5, "output_tokens": 1,
        "server_tool_use": {"code_execution_requests": 2}});
    let body = json!({"content": [{"type": "text", "text": "I"}], "usage": usage});
    assert!(reported("anthropic", &body).unknown_fields.is_empty());
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

pub fn a_thought_that_is_not_shown_is_charged() {
    let usage = json!({"input_tokens": 5, "output_tokens": 900});
    let body = json!({"content": [{"type": "text", "text": "I"}], "usage": usage});
    assert_eq!(reported("anthropic", &body).usage.completion_tokens(), 900);
}

pub fn tools_of_anthropics_own_kinds_count_their_prompts() {
    let tool = json!([{"type": "bash_20250124", "name": "bash"}]);
    let outbound = asked_of_anthropic(&json!({"tools": tool})).unwrap();
    assert!(outbound.bound.prompt_tokens >= outbound.body.len() as u64 + 8_192 + 804);
}

pub fn what_is_behind_an_address_is_held_at_its_most() {
    let with = |block: Value| {
        let messages = json!([{"role": "user", "content": [block]}]);
        let outbound = asked_of_anthropic(&json!({"messages": messages})).unwrap();
        (outbound.bound.prompt_tokens, outbound.body.len() as u64)
    };
    let source = json!({"type": "url", "url": "https://example.com/a"});
    let (image, bytes) = with(json!({"type": "image", "source": source}));
    assert_eq!(image, bytes + 4_784);
    assert_eq!(with(json!({"type": "document", "source": source})).0, 200_000);
    let file = json!({"type": "file", "file_id": "f"});
    assert_eq!(with(json!({"type": "document", "source": file})).0, 200_000);
}

pub fn a_search_that_failed_has_no_fee() {
    let failed = json!({"type": "web_search_tool_result", "tool_use_id": "s",
        "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"}});
    let usage = json!({"input_tokens": 5, "output_tokens": 1,
        "server_tool_use": {"web_search_requests": 0}});
    let read = reported("anthropic", &json!({"content": [failed], "usage": usage}));
    assert_eq!((read.usage.web_searches, read.usage.total_tokens()), (0, 6));
    assert!(read.unknown_fields.is_empty());
}

pub fn one_lifetime_anywhere_is_held_for_all() {
    let write = |rest: Value| asked_of_anthropic(&rest).unwrap().bound.cache_write;
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!(write(json!({})), CacheWrite::None);
    let top = json!({"cache_control": {"type": "ephemeral"}});
    assert_eq!(write(top), CacheWrite::FiveMinutes);
    assert_eq!(write(json!({"cache_control": hour})), CacheWrite::OneHour);
    let system = json!([{"type": "text", "text": "x", "cache_control": hour}]);
    assert_eq!(write(json!({"system": system})), CacheWrite::OneHour);
}

pub fn what_samples_once_more_is_refused() {
    for (rest, field) in [
        (
            json!({"context_management": {"edits": [{"type": "compact_20260112"}]}}),
            "context_management.edits[0].type",
        ),
        (json!({"tools": [{"type": "advisor_20260301", "name": "a"}]}), "tools[0].type"),
        (json!({"fallbacks": [{"model": "m"}]}), "fallbacks"),
    ] {
        let error = asked_of_anthropic(&rest).unwrap_err();
        assert_eq!(error.field(), Some(field), "{error}");
    }
}

pub fn an_answer_of_another_tier_says_so() {
    let usage = json!({"input_tokens": 5, "output_tokens": 1, "service_tier": "priority"});
    let body = json!({"content": [{"type": "text", "text": "I"}], "usage": usage});
    assert_eq!(reported("anthropic", &body).service_tier.as_deref(), Some("priority"));
}

pub fn a_prompt_beyond_haikus_threshold_is_held_at_five_times() {
    let hold = |prompt_tokens, completion_tokens| {
        let bound = Bound { prompt_tokens, completion_tokens, ..Bound::default() };
        let price = Catalog::compiled().find("anthropic", "claude-haiku-5-5").unwrap().price;
        price.unwrap().hold(&bound).unwrap().pico()
    };
    // 0.1 and 0.5 USD a million tokens, then 0.5 and 2.5.
    assert_eq!(hold(100_000, 10), 100_000 * 100_000 + 10 * 500_000);
    assert_eq!(hold(100_001, 10), 100_001 * 500_000 + 10 * 2_500_000);
}

/// The first event has counts, and they are not final.
pub fn an_error_inside_a_stream_leaves_no_usage() {
    let stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":\
        {\"id\":\"a\",\"model\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n\
        event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
        \"message\":\"m\"}}\n\n";
    let events = streamed("anthropic", stream);
    assert!(counted(&events).is_empty(), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, ChatEvent::Failed { .. })), "{events:?}");
}
