//! What OpenAI and Azure bill.

use farebox_core::Error;
use farebox_providers::Billing;
use serde_json::{Value, json};

use crate::{FACTS, OTHER, billing, refused, reported, send, sent};

pub fn every_choice_is_capped() {
    for (provider, field) in [("openai", "max_completion_tokens"), ("mistral", "max_tokens")] {
        let (outbound, body) = sent(provider, &json!({"n": 3, "max_tokens": 70}));
        assert_eq!((outbound.cap, outbound.choices), (70, 3), "{provider}");
        assert_eq!(body[field], 70, "{provider}");
    }
}

pub fn what_has_no_bound_at_openai_is_refused() {
    for rest in [
        json!({"prediction": {"type": "content", "content": "x"}}),
        json!({"web_search_options": {}}),
        json!({"tools": [{"type": "web_search"}]}),
        json!({"audio": {"voice": "a"}}),
    ] {
        assert!(matches!(refused("openai", &rest), Error::UnboundedCall { .. }));
    }
}

pub fn openais_tier_is_sent() {
    assert_eq!(sent("openai", &json!({"service_tier": "auto"})).1["service_tier"], "default");
    assert_eq!(sent("azure", &json!({})).1["service_tier"], "default");
    assert_eq!(
        refused("openai", &json!({"service_tier": "priority"})).field(),
        Some("service_tier")
    );
}

pub fn openais_refusals() {
    let flex = r#"{"error":{"message":"m","code":"resource_unavailable"}}"#;
    assert_eq!(billing("openai", 429, flex), Billing::Unbilled);
    for status in [401, 403, 404, 429] {
        assert_eq!(billing("openai", status, ""), Billing::UnbilledInferred, "{status}");
    }
    for status in [400, 413, 422] {
        assert_eq!(billing("openai", status, OTHER), Billing::UnbilledInferred, "{status}");
        assert_eq!(billing("openai", status, "<html>"), Billing::Unknown, "{status}");
    }
}

pub fn openais_failures() {
    for status in [408, 409, 500, 502, 503, 504] {
        assert_eq!(billing("openai", status, OTHER), Billing::Unknown, "{status}");
    }
}

pub fn usage_of_a_stream_is_asked_for() {
    for provider in ["openai", "azure", "mistral", "groq", "vllm", "custom"] {
        let outbound = send(provider, &FACTS, &json!({}), true).unwrap();
        let body: Value = serde_json::from_slice(&outbound.body).unwrap();
        assert_eq!(body["stream_options"], json!({"include_usage": true}), "{provider}");
    }
}

pub fn azure_bills_what_it_refuses() {
    for status in [400, 408] {
        assert_eq!(billing("azure", status, OTHER), Billing::Unknown, "{status}");
    }
    for status in [401, 429] {
        assert_eq!(billing("azure", status, ""), Billing::Unbilled, "{status}");
    }
}

pub fn a_filtered_answer_is_billed() {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": ""},
        "finish_reason": "content_filter"});
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5});
    let filtered = reported("azure", &json!({"choices": [choice], "usage": usage}));
    assert_eq!((filtered.usage.prompt, filtered.unbilled), (5, false));
}

pub fn azure_is_not_bounded_by_the_window() {
    let long = json!({"stop": "x".repeat(300_000)});
    assert!(sent("azure", &long).0.bound.prompt_tokens > 300_000);
}
