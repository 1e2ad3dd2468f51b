//! What the others bill, and what holds for all.

use farebox_core::catalog::PriceSpec;
use farebox_core::pricing::Bound;
use farebox_core::{ChatCall, ChatEvent, Format, Money, Price};
use farebox_providers::{Billing, Blame, Facts, Outbound, find};
use serde_json::{Value, json};

use crate::{FACTS, OTHER, billing, counted, hold_of, refused, reported, send, sent, streamed};

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
        wire.failure(xai, 400, body.as_bytes()).blame == Blame::Credential
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
    for provider in
        ["fireworks", "together", "mistral", "deepseek", "cerebras", "openrouter", "vllm"]
    {
        for status in [500, 502, 503, 504] {
            assert_eq!(billing(provider, status, OTHER), Billing::Unknown, "{provider} {status}");
        }
        assert_eq!(billing(provider, 429, ""), Billing::UnbilledInferred, "{provider}");
    }
}

pub fn guardrails_are_never_asked_for() {
    let error = refused("bedrock", &json!({"guardrailConfig": {"guardrailIdentifier": "g"}}));
    assert_eq!(error.field(), Some("guardrailConfig"));
    let bedrock = find("bedrock").unwrap();
    let facts = Facts { model: "us.amazon.nova-2-lite-v1:0", ..FACTS };
    let outbound = send(bedrock.name, &facts, &json!({}), false).unwrap();
    assert!(!String::from_utf8_lossy(&outbound.body).contains("guardrail"));
}

/// One that the account enforces: what it blocked at the input used nothing, else usage is charged.
pub fn what_a_guardrail_blocked_is_charged_by_its_usage() {
    for (output, total) in [(0, 0), (7, 12)] {
        let usage = json!({"inputTokens": total - output, "outputTokens": output,
            "totalTokens": total});
        let body = json!({"output": {"message": {"role": "assistant", "content": [{"text": "No"}]}},
            "stopReason": "guardrail_intervened", "usage": usage});
        let read = reported("bedrock", &body);
        assert_eq!((read.usage.total_tokens(), read.unbilled), (total, false));
        assert!(read.unknown_fields.is_empty());
    }
}

const BLOCKED: &str = r#"{"promptFeedback":{"blockReason":"SAFETY"},
    "usageMetadata":{"promptTokenCount":5,"totalTokenCount":5}}"#;

pub fn a_prompt_that_google_blocks_is_charged_by_its_usage() {
    let body = serde_json::from_str(BLOCKED).unwrap();
    let read = reported("gemini", &body);
    assert_eq!((read.usage.total_tokens(), read.unbilled), (5, false));
    let unsafe_answer = json!({"candidates": [{"content": {"parts": [{"text": "x"}]},
        "finishReason": "SAFETY"}], "usageMetadata": {"promptTokenCount": 5,
        "candidatesTokenCount": 2, "totalTokenCount": 7}});
    let read = reported("gemini", &unsafe_answer);
    assert_eq!((read.usage.total_tokens(), read.unbilled), (7, false));
}

fn chunk(completion: u64, finish: &str) -> String {
    let candidate = json!({"content": {"parts": [{"text": "x"}]}});
    let mut body = json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 5,
        "candidatesTokenCount": completion, "totalTokenCount": 5 + completion}});
    if !finish.is_empty() {
        body["candidates"][0]["finishReason"] = json!(finish);
    }
    format!("data: {body}\n\n")
}

/// Each chunk counts all that came before it.
pub fn the_last_of_the_cumulative_counts_is_charged() {
    let whole = streamed("gemini", &[chunk(3, ""), chunk(9, "STOP")].concat());
    let read: Vec<u64> =
        counted(&whole).iter().map(|read| read.usage.completion_tokens()).collect();
    assert_eq!(read, [9]);
    let cut = streamed("gemini", &[chunk(3, ""), chunk(9, "")].concat());
    assert!(counted(&cut).is_empty(), "{cut:?}");
}

pub fn vertex_is_held_with_its_regions() {
    for (model, dearer) in [("gemini-3.5-flash", true), ("gemini-2.5-flash", false)] {
        let outbound = send("vertexai", &Facts { model, ..FACTS }, &json!({}), false).unwrap();
        assert_eq!(outbound.bound.us_geography, dearer, "{model}");
    }
}

pub fn vertex_counts_in_its_last_chunk() {
    let first = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]}}],\
        \"usageMetadata\":{\"trafficType\":\"ON_DEMAND\"}}\n\n";
    assert!(counted(&streamed("vertexai", first)).is_empty());
    let whole = streamed("vertexai", &[first, &chunk(9, "STOP")].concat());
    assert_eq!(counted(&whole).len(), 1);
}

pub fn xais_factors_are_held_for() {
    let hold = |prompt_tokens, multiplier_us| {
        let bound = Bound { prompt_tokens, multiplier_us, ..Bound::default() };
        hold_of("xai", "grok-4.7", bound)
    };
    // From 200,000 tokens on, which is not beyond 200,000.
    assert_eq!(hold(199_999, false), 199_999 * 2_000_000 + 6_000_000);
    assert_eq!(hold(200_000, false), 200_000 * 4_000_000 + 12_000_000);
    assert_eq!(hold(200_000, true) * 10, hold(200_000, false) * 11);
    let facts = Facts { model: "grok-4.7", ..FACTS };
    let outbound = send("xai", &facts, &json!({}), false).unwrap();
    assert!(outbound.bound.us_geography, "its host is not known when it is held for");
    let priority = send("xai", &facts, &json!({"service_tier": "priority"}), false);
    assert_eq!(priority.unwrap_err().field(), Some("service_tier"));
}

pub fn xais_region_is_charged_by_its_host() {
    let xai = find("xai").unwrap();
    let at = |base: &str| (xai.dearer_at)("grok-4.7", base);
    assert_eq!(at("https://us.api.x.ai/v1"), Some(true));
    assert_eq!(at(xai.base_url), Some(false));
    assert_eq!(at("https://proxy.example.com/us.api.x.ai/v1"), None, "it is held for");
}

/// The connectors of Mistral and others are tools of no function.
pub fn tools_of_the_provider_are_refused() {
    for provider in ["mistral", "xai", "groq", "openrouter", "perplexity"] {
        let error = refused(provider, &json!({"tools": [{"type": "web_search"}]}));
        assert_eq!(error.field(), Some("tools[0].type"), "{provider}");
    }
    for field in ["search_parameters", "agent_id", "connectors", "plugins", "preset"] {
        let error = refused("xai", &json!({field: {}}));
        assert_eq!(error.field(), Some(field));
    }
}

pub fn refusals_before_a_model_are_void() {
    for (provider, statuses) in [
        ("deepseek", &[400, 401, 402, 422, 429][..]),
        ("mistral", &[400, 401, 403, 404, 422, 429]),
        ("together", &[400, 401, 404, 422, 429]),
        ("groq", &[400, 401, 404, 429, 498]),
        ("openrouter", &[400, 401, 402, 403, 404, 429]),
        ("perplexity", &[400, 401, 422, 429]),
        ("fireworks", &[400, 401, 404, 429]),
        ("cerebras", &[400, 401, 404, 422, 429]),
        ("vllm", &[400, 401, 404, 422]),
    ] {
        for status in statuses {
            let read = billing(provider, *status, OTHER);
            assert_eq!(read, Billing::UnbilledInferred, "{provider} {status}");
        }
    }
}

/// An endpoint above the prices that are held is not called, whichever way the call goes.
pub fn openrouter_is_told_the_dearest_price() {
    let list = farebox_core::Catalog::compiled();
    let model = list.find("openrouter", "anthropic/claude-sonnet-4").unwrap();
    let price = model.price.as_ref();
    let facts = Facts { model: &model.name, price, ..FACTS };
    let told = |outbound: Outbound| {
        let body: Value = serde_json::from_slice(&outbound.body).unwrap();
        body.get("provider").cloned()
    };
    let of =
        |provider: &str, facts: &Facts<'_>| told(send(provider, facts, &json!({}), false).unwrap());
    let most = json!({"max_price": {"prompt": "3", "completion": "15"}});
    assert_eq!(of("openrouter", &facts), Some(most.clone()));
    assert_eq!(of("openai", &facts), None, "nobody else knows the field");
    // What is held is not less: of a prompt of a thousand tokens, and an answer of as many.
    let tokens = 1_000;
    let bound = Bound { prompt_tokens: tokens, completion_tokens: tokens, ..Bound::default() };
    let held = price.unwrap().hold(&bound).unwrap();
    assert!(held >= Money::parse_usd("0.018").unwrap(), "{held:?}");
    // A legacy completion and an embedding go to its endpoints too.
    let openrouter = find("openrouter").unwrap();
    let body = json!({"model": "m", "prompt": "hi", "max_tokens": 9}).to_string();
    let call = ChatCall::from_completions(body.as_bytes()).unwrap();
    let wire = openrouter.wire_for(facts.model, Format::Completions).unwrap();
    assert_eq!(told(wire.request(openrouter, &call, &facts, 9, false).unwrap()), Some(most));
    let body = json!({"model": "m", "input": "hi"}).to_string();
    let call = ChatCall::from_embeddings(body.as_bytes()).unwrap();
    let wire = openrouter.wire_for(facts.model, Format::Embeddings).unwrap();
    let only = told(wire.request(openrouter, &call, &facts, 9, false).unwrap()).unwrap();
    assert_eq!(only.pointer("/max_price/prompt"), Some(&json!("3")));
    // A discount is on no list of OpenRouter's, which would find no endpoint.
    let less = Price { version: "1-10%".into(), ..model.price.clone().unwrap() };
    assert_eq!(of("openrouter", &Facts { price: Some(&less), ..facts }), None);
}

/// A router that chose another model, or endpoints that nobody priced.
pub fn openrouters_choices_are_not_asked_for() {
    for field in ["models", "route", "plugins", "provider"] {
        let error = refused("openrouter", &json!({field: ["x"]}));
        assert_eq!(error.field(), Some(field));
    }
}

pub fn a_cost_of_nothing_is_stated_as_such() {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5, "cost": 0});
    let read = reported("openrouter", &json!({"choices": [], "usage": usage}));
    assert_eq!(read.cost.map(|cost| cost.pico()), Some(0));
}

/// Compound systems, whose usage is a breakdown by model, are refused; the others tell it here.
pub fn usage_of_groq_stands_beside_its_answer() {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6});
    let body = json!({"choices": [], "usage": null, "x_groq": {"id": "r", "usage": usage}});
    let events = streamed("groq", &format!("data: {body}\n\ndata: [DONE]\n\n"));
    assert_eq!(counted(&events).first().unwrap().usage.total_tokens(), 6);
}

/// Groq's parts are the call's own, or the hold is charged.
pub fn a_breakdown_of_groq_is_summed() {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6});
    let unknown = |parts: Value| {
        let body = json!({"model": "m", "choices": [], "usage": usage, "usage_breakdown": parts});
        reported("groq", &body).unknown_fields
    };
    let part = |model: &str| json!({"model": model, "usage": usage});
    for parts in [Value::Null, json!({"models": []}), json!({"models": [part("m")]})] {
        assert!(unknown(parts.clone()).is_empty(), "{parts}");
    }
    for parts in [
        json!({"models": [part("m"), part("m")]}),
        json!({"models": [part("another")]}),
        json!({"models": [{"model": "m"}]}),
        json!({"models": [{"model": "m", "usage": {"prompt_tokens": -1}}]}),
        json!(7),
    ] {
        assert_eq!(unknown(parts.clone()), ["usage_breakdown"], "{parts}");
    }
}

/// Mistral's own example: 128 + 402 + 7,112 = 7,642.
pub fn what_mistrals_connectors_read_is_input() {
    let usage = json!({"prompt_tokens": 128, "completion_tokens": 402, "total_tokens": 7_642,
        "connector_tokens": 7_112});
    let told = reported("mistral", &json!({"choices": [], "usage": usage}));
    assert_eq!((told.usage.prompt, told.usage.completion), (7_240, 402));
    assert_eq!(told.unknown_fields, Vec::<String>::new());
    // A search has a fee beside its tokens, whose figure no page states.
    let mut searched = usage;
    searched["connectors"] = json!({"web_search": 2});
    let told = reported("mistral", &json!({"choices": [], "usage": searched}));
    assert_eq!(told.unknown_fields, ["connectors.web_search"]);
}

/// A stream of vLLM's tells its counts with every chunk, so one that fails is charged them.
pub fn a_failed_stream_of_vllm_is_counted_to_its_last_chunk() {
    for provider in ["vllm", "gpustack"] {
        let outbound = send(provider, &FACTS, &json!({}), true).unwrap();
        let body: Value = serde_json::from_slice(&outbound.body).unwrap();
        let asked = json!({"include_usage": true, "continuous_usage_stats": true});
        assert_eq!(body["stream_options"], asked, "{provider}");
    }
    let chunk = |tokens: u64| {
        let usage = json!({"prompt_tokens": 41, "completion_tokens": tokens});
        let choice = json!({"index": 0, "delta": {"content": "x"}});
        format!("data: {}\n\n", json!({"choices": [choice], "usage": usage}))
    };
    let error = json!({"error": {"message": "EngineCore", "code": 500}});
    let text = format!("{}{}data: {error}\n\n", chunk(1), chunk(2));
    let failed = streamed("vllm", &format!("{text}data: [DONE]\n\n"));
    let counts: Vec<_> = counted(&failed).iter().map(|told| told.usage.total_tokens()).collect();
    assert_eq!(counts, [43]);
    // Without its end it may have gone on.
    assert!(counted(&streamed("vllm", &text)).is_empty());
}

pub fn an_error_of_groqs_own_is_told_without_usage() {
    let body = json!({"choices": [], "x_groq": {"id": "r", "error": "over capacity"}});
    let events = streamed("groq", &format!("data: {body}\n\n"));
    let failed = events.iter().any(|event| matches!(event, ChatEvent::Failed { .. }));
    assert!(failed && counted(&events).is_empty(), "{events:?}");
}

pub fn cached_tokens_of_fireworks_are_read() {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101,
        "prompt_tokens_details": {"cached_tokens": 64}});
    let used = reported("fireworks", &json!({"choices": [], "usage": usage})).usage;
    assert_eq!((used.prompt, used.cached), (36, 64));
}

pub fn an_id_without_a_row_has_no_price() {
    let compiled = farebox_core::Catalog::compiled();
    assert!(compiled.find("fireworks", "accounts/fireworks/routers/made-up-fast").is_none());
}

pub fn perplexity_has_no_price_but_its_owners() {
    let compiled = farebox_core::Catalog::compiled();
    let mut sonar = compiled.models("perplexity").filter(|model| model.name.contains("sonar"));
    assert!(sonar.by_ref().next().is_some_and(|model| model.price.is_none()));
    assert!(sonar.all(|model| model.price.is_none()));
    let some = |text: &str| Some(text.to_owned());
    let own = PriceSpec { input: some("1"), output: some("1"), ..PriceSpec::default() };
    assert!(own.model(&compiled, "perplexity", "sonar", "v1").is_ok_and(|own| own.price.is_some()));
}

pub fn every_choice_of_cerebras_is_capped() {
    let (outbound, body) = sent("cerebras", &json!({"n": 3, "max_tokens": 70}));
    assert_eq!((outbound.cap, outbound.choices), (70, 3));
    assert_eq!(body["max_completion_tokens"], 70);
}
