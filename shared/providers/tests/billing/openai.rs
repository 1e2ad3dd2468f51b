//! What OpenAI and Azure bill.

use farebox_core::catalog::Catalog;
use farebox_core::pricing::Bound;
use farebox_core::{ChatCall, Error, Format, Reported};
use farebox_providers::{Billing, DecodeError, Facts, find};
use serde_json::{Value, json};

use crate::{FACTS, OTHER, billing, counted, hold_of, refused, reported, send, sent, streamed};

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
    for provider in ["openai", "azure", "mistral", "groq", "custom", "vllm"] {
        // What several choices used so far is told by the choice.
        let rest = if provider == "vllm" { json!({"n": 2}) } else { json!({}) };
        let outbound = send(provider, &FACTS, &rest, true).unwrap();
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

pub fn a_rejected_prediction_is_inside_the_completion() {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 10, "total_tokens": 15,
        "completion_tokens_details": {"rejected_prediction_tokens": 4}});
    let read = reported("openai", &json!({"choices": [], "usage": usage}));
    assert_eq!((read.usage.completion_tokens(), read.usage.total_tokens()), (10, 15));
    assert!(read.unknown_fields.is_empty());
}

pub fn a_longer_lifetime_of_the_cache_is_refused() {
    let body = json!({"messages": [{"role": "user", "content": "x"}],
        "prompt_cache_options": {"ttl": "12h"}});
    assert_eq!(refused("openai", &body).field(), Some("prompt_cache_options"));
    let hold = |model: &str| {
        let bound = Bound { prompt_tokens: 1_000, ..Bound::default() };
        hold_of("openai", model, bound) - hold_of("openai", model, Bound::default())
    };
    // 2 USD a million tokens, and 2.5 for those that it writes unasked.
    assert_eq!(hold("gpt-6-sol"), 1_000 * 2_500_000);
}

pub fn what_is_written_and_read_is_apart_from_the_rest() {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101,
        "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 50}});
    let used = reported("openai", &json!({"choices": [], "usage": usage})).usage;
    assert_eq!((used.prompt, used.cached, used.cache_write_5m), (10, 40, 50));
}

fn response(body: &Value) -> Option<Reported> {
    let openai = find("openai").unwrap();
    let wire = openai.wire_for("m", Format::Responses).unwrap();
    match wire.decode(openai, body.to_string().as_bytes()) {
        Ok(answer) => answer.reported,
        Err(DecodeError::Billed { reported, .. }) => Some(*reported),
        Err(_) => None,
    }
}

/// Whatever became of the answer, its usage and its searches are charged.
pub fn a_response_is_charged_however_it_ends() {
    let usage = json!({"input_tokens": 5, "output_tokens": 3, "total_tokens": 8});
    let search = json!({"type": "web_search_call", "status": "failed",
        "action": {"type": "search", "query": "q"}});
    for status in ["completed", "incomplete", "failed", "cancelled"] {
        let body = json!({"status": status, "output": [search], "usage": usage});
        let used = response(&body).unwrap().usage;
        assert_eq!((used.total_tokens(), used.web_searches), (8, 1), "{status}");
    }
}

/// Two searches of files at a quarter of a cent, and one container at three cents, which was used
/// three times: a container that has no name counts by itself.
pub fn files_and_containers_are_charged_by_the_piece() {
    let usage = json!({"input_tokens": 5, "output_tokens": 3, "total_tokens": 8});
    let code = |id: &str| json!({"type": "code_interpreter_call", "container_id": id});
    let files = json!({"type": "file_search_call", "status": "incomplete"});
    let fees = |provider: &str, output: Value| {
        let provider = find(provider).unwrap();
        let wire = provider.wire_for("m", Format::Responses).unwrap();
        let body = json!({"status": "incomplete", "output": output, "usage": usage});
        let read = wire.decode(provider, body.to_string().as_bytes()).unwrap().reported.unwrap();
        (read.fees.to_string(), read.unknown_fields)
    };
    let output = json!([files, code("c1"), code("c1"), files, code("c1")]);
    assert_eq!(fees("openai", output), ("0.035".to_owned(), vec![]));
    let output = json!([code("c1"), code("c2"), code(""), code("")]);
    assert_eq!(fees("openai", output), ("0.12".to_owned(), vec![]));
    let odd = vec!["output.file_search_call".to_owned()];
    assert_eq!(fees("azure", json!([files])), ("0".to_owned(), odd), "it charges the hold");
}

pub fn a_response_without_usage_reports_none() {
    for status in ["completed", "incomplete", "failed", "cancelled"] {
        let body = json!({"status": status, "output": [], "usage": null});
        assert!(response(&body).is_none(), "{status}");
    }
}

pub fn agents_of_the_beta_are_not_asked_for() {
    let unknown = json!({"multi_agent": {"enabled": true}});
    assert_eq!(refused("openai", &unknown).field(), Some("multi_agent"));
    let call = ChatCall {
        headers: vec![("openai-beta", "responses_multi_agent=v1".into())],
        ..ChatCall::from_openai(br#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#)
            .unwrap()
    };
    for format in [Format::Chat, Format::Responses] {
        let openai = find("openai").unwrap();
        let wire = openai.wire_for(FACTS.model, format).unwrap();
        assert!(wire.request(openai, &call, &FACTS, 9, false).unwrap().headers.is_empty());
    }
}

pub fn a_long_prompt_is_held_and_charged_at_its_own_price() {
    let hold = |prompt_tokens| {
        let bound = Bound { prompt_tokens, ..Bound::default() };
        hold_of("openai", "gpt-5.5", bound)
    };
    // 5 and 30 USD a million tokens, then 10 and 45.
    assert_eq!(hold(272_000), 272_000 * 5_000_000 + 30_000_000);
    assert_eq!(hold(272_001), 272_001 * 10_000_000 + 45_000_000);
}

pub fn a_region_is_held_for_and_charged_by_its_host() {
    let openai = find("openai").unwrap();
    for (model, dearer) in [
        ("gpt-5.4", true),
        ("gpt-6-sol", true),
        ("gpt-5-mini", false),
        ("gpt-5", false),
        ("gpt-4o", false),
        ("o3", false),
        ("text-embedding-3-small", false),
        ("new-model", true),
    ] {
        let outbound = send("openai", &Facts { model, ..FACTS }, &json!({}), false).unwrap();
        assert_eq!(outbound.bound.us_geography, dearer, "{model}");
        let at = |host: &str| (openai.dearer_at)(model, &format!("https://{host}/v1"));
        assert_eq!(at("eu.api.openai.com"), Some(dearer), "{model}");
        assert_eq!(at("api.openai.com"), Some(false), "{model}");
        // Where it leads nobody knows: it is held for.
        assert_eq!(at("proxy.example.com"), None, "{model}");
    }
}

pub fn usage_is_read_where_no_done_follows() {
    let choice = json!({"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8});
    let [said, told] = [json!({"choices": [choice]}), json!({"choices": [], "usage": usage})];
    let events = streamed("openai", &format!("data: {said}\n\ndata: {told}\n\n"));
    assert_eq!(counted(&events).first().unwrap().usage.total_tokens(), 8);
}

pub fn a_deployment_has_no_price_but_its_own() {
    assert!(Catalog::compiled().find("azure", "my-deployment").is_none());
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "x"},
        "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6});
    let body = json!({"choices": [choice], "usage": usage, "service_tier": "priority"});
    assert_eq!(reported("azure", &body).service_tier.as_deref(), Some("priority"));
}
