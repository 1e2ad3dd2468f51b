//! What the others bill, and what holds for all.

use farebox_core::Format;
use farebox_providers::{Billing, Facts, find};
use serde_json::json;

use crate::{FACTS, OTHER, billing, reported, send};

pub fn profiles_are_price_rows() {
    let price = |prefix: &str| {
        let name = format!("{prefix}anthropic.claude-haiku-4-5-20251001-v1:0");
        let model = farebox_core::Catalog::compiled().find("bedrock", &name).unwrap();
        model.price.unwrap().schedule.standard.rates.input.femto()
    };
    for prefix in ["us.", "eu.", "jp.", "apac.", "au."] {
        assert_eq!(price(prefix) * 10, price("global.") * 11, "{prefix}");
    }
    assert!(farebox_core::Catalog::compiled().find("bedrock", "arn:aws:bedrock:x").is_none());
}

pub fn a_cap_is_sent() {
    for provider in farebox_providers::PROVIDERS {
        let outbound =
            send(provider.name, &Facts { model: "gemini-3", ..FACTS }, &json!({}), false);
        let outbound = outbound.unwrap_or_else(|error| panic!("{}: {error}", provider.name));
        assert!(String::from_utf8_lossy(&outbound.body).contains("100"), "{}", provider.name);
        assert!(outbound.cap >= 100, "{}", provider.name);
    }
}

pub fn an_error_in_a_200() {
    for name in ["openai", "cerebras", "vllm", "ollama", "custom", "openrouter"] {
        let provider = find(name).unwrap();
        let wire = provider.wire_for("m", Format::Chat).unwrap();
        let body = r#"{"error":{"message":"m"}}"#;
        assert!(wire.decode(provider, body.as_bytes()).is_err(), "{name}");
        let (mut decoder, mut events) = (wire.decoder(provider, false), Vec::new());
        let stream = format!("data: {body}\n\ndata: [DONE]\n\n");
        decoder.feed(stream.as_bytes(), &mut events).unwrap();
        let shown = format!("{events:?}");
        assert!(shown.contains("Failed") && !shown.contains("Usage"), "{name}: {shown}");
    }
}

pub fn googles_failures() {
    for status in [400, 500] {
        assert_eq!(billing("gemini", status, ""), Billing::Unbilled, "{status}");
    }
    for status in [401, 403, 404, 429] {
        assert_eq!(billing("gemini", status, ""), Billing::UnbilledInferred, "{status}");
    }
    for status in [503, 504] {
        assert_eq!(billing("gemini", status, ""), Billing::Unknown, "{status}");
        assert_eq!(billing("vertexai", status, ""), Billing::Unbilled, "{status}");
    }
}

pub fn xais_refusals() {
    for status in [401, 404, 422, 429] {
        assert_eq!(billing("xai", status, OTHER), Billing::UnbilledInferred, "{status}");
    }
    assert_eq!(billing("xai", 403, OTHER), Billing::Unknown);
    // A wrong key is told by a 400, as other faults are that may cost a fee.
    let wrong = r#"{"code":"invalid-argument","error":"Incorrect API key provided. You can …"}"#;
    assert_eq!(billing("xai", 400, wrong), Billing::UnbilledInferred);
    assert_eq!(billing("xai", 400, OTHER), Billing::Unknown);
    let xai = find("xai").unwrap();
    let told = |body: &str| {
        let wire = xai.wire_for("grok-4", Format::Chat).unwrap();
        wire.failure(xai, 400, body.as_bytes()).of_credential
    };
    assert!(told(wrong) && !told(OTHER));
}

pub fn comments_alone_are_no_usage() {
    let deepseek = find("deepseek").unwrap();
    let wire = deepseek.wire_for("deepseek-flash", Format::Chat).unwrap();
    let (mut decoder, mut events) = (wire.decoder(deepseek, false), Vec::new());
    decoder.feed(b": keep-alive\n\n: keep-alive\n\n", &mut events).unwrap();
    decoder.end(&mut events).unwrap();
    assert!(events.is_empty(), "{events:?}");
}

pub fn mistrals_cached_tokens_count_once() {
    let spelt = [
        json!({"prompt_tokens_details": {"cached_tokens": 40}}),
        json!({"prompt_token_details": {"cached_tokens": 40}}),
        json!({"num_cached_tokens": 40}),
        json!({"cached_tokens": 40}),
        json!({"num_cached_tokens": 40, "prompt_tokens_details": {"cached_tokens": 40}}),
    ];
    for spelling in spelt {
        let mut usage = json!({"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101});
        usage.as_object_mut().unwrap().extend(spelling.as_object().unwrap().clone());
        let read = reported("mistral", &json!({"choices": [], "usage": usage}));
        assert_eq!((read.usage.prompt, read.usage.cached), (60, 40), "{usage}");
        assert!(read.unknown_fields.is_empty(), "{usage}");
    }
}

pub fn cohere_bills_its_billed_units() {
    let usage = json!({"billed_units": {"input_tokens": 6_772, "output_tokens": 248},
        "tokens": {"input_tokens": 7_596, "output_tokens": 645}});
    let message = json!({"role": "assistant", "content": []});
    let body = json!({"finish_reason": "COMPLETE", "message": message, "usage": usage});
    let read = reported("cohere", &body).usage;
    assert_eq!((read.prompt_tokens(), read.completion_tokens()), (6_772, 248));
}

pub fn coheres_failures() {
    for status in [400, 401, 404, 429] {
        let told = r#"{"message":"m","id":"i"}"#;
        assert_eq!(billing("cohere", status, told), Billing::UnbilledInferred, "{status}");
    }
    assert_eq!(billing("cohere", 499, r#"{"message":"m"}"#), Billing::Unknown);
}

pub fn groqs_498() {
    assert_eq!(billing("groq", 498, OTHER), Billing::UnbilledInferred);
    assert_eq!(billing("groq", 503, OTHER), Billing::Unknown);
}

/// The survey would void a 503 without a body at some: that is convention and no promise, so the
/// hold is charged.
pub fn no_5xx_of_the_compatible_is_void() {
    for provider in ["fireworks", "together", "mistral", "deepseek", "cerebras", "openrouter"] {
        for status in [500, 502, 503, 504] {
            assert_eq!(billing(provider, status, OTHER), Billing::Unknown, "{provider} {status}");
        }
        assert_eq!(billing(provider, 429, ""), Billing::UnbilledInferred, "{provider}");
    }
}
