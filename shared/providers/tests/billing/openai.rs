//! What OpenAI and Azure bill.

use farebox_core::Error;
use farebox_providers::{Billing, Facts};
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
    ] {
        assert!(matches!(refused("openai", &rest), Error::UnboundedCall { .. }));
    }
}

pub fn openais_tier_is_sent() {
    assert_eq!(sent("openai", &json!({"service_tier": "auto"})).1["service_tier"], "default");
    assert_eq!(sent("azure", &json!({})).1["service_tier"], "default");
    assert_eq!(
        refused("openai", &json!({"service_tier": "ultrafast"})).field(),
        Some("service_tier")
    );
}

pub fn other_tiers_are_sent_by_name() {
    for (provider, tier, sent_as) in [
        ("openai", "flex", "/service_tier"),
        ("openai", "priority", "/service_tier"),
        ("openai", "fast", "/service_tier"),
        ("azure", "priority", "/service_tier"),
        ("fireworks", "priority", "/service_tier"),
        ("gemini", "flex", "/serviceTier"),
        ("bedrock", "priority", "/serviceTier/type"),
    ] {
        let (outbound, body) = sent(provider, &json!({"service_tier": tier}));
        assert_eq!(body.pointer(sent_as), Some(&json!(tier)), "{provider}");
        assert_eq!(outbound.bound.service_tier, Some(tier), "{provider}");
        // An answer that does not say its tier is charged at the dearer of the two.
        let unsaid = (tier != "flex").then_some(tier);
        assert_eq!(outbound.bound.unsaid_tier(), unsaid, "{provider} {tier}");
    }
    for (provider, tier) in [("mistral", "flex"), ("fireworks", "flex"), ("vertexai", "priority")] {
        let model = Facts { model: "gemini-3-pro", ..FACTS };
        let error = send(provider, &model, &json!({"service_tier": tier}), false).unwrap_err();
        assert_eq!(error.field(), Some("service_tier"), "{provider}");
    }
}

pub fn audio_is_held_at_the_models_maximum_and_its_own_price() {
    let audio = json!({"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "wav"}});
    let (outbound, body) = sent("openai", &audio);
    assert_eq!((outbound.cap, outbound.bound.audio_answer), (64_000, true));
    assert_eq!(
        (&body["audio"]["voice"], &body["max_completion_tokens"]),
        (&json!("a"), &json!(100))
    );
    for provider in ["anthropic", "gemini", "bedrock", "cohere"] {
        let model = Facts { model: "gemini-2.5-flash", ..FACTS };
        let error = send(provider, &model, &json!({"modalities": ["audio"]}), false).unwrap_err();
        assert_eq!(error.field(), Some("modalities"), "{provider}");
    }
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 50, "total_tokens": 59,
        "completion_tokens_details": {"audio_tokens": 40, "text_tokens": 10}});
    let message = json!({"role": "assistant", "content": null, "audio": {"id": "a", "data": ""}});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let used = reported("openai", &json!({"choices": [choice], "usage": usage})).usage;
    assert_eq!((used.completion, used.audio_completion), (10, 40));
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
