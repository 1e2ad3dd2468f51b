//! Requests: what is taken is sent with its cap and its bound; all else is refused in words.

use farebox_chat::dialect::{
    COMPLETIONS, Dialect, EMBEDDINGS, GENERATE_CONTENT, MESSAGES, NATIVE, OPENAI, RESPONSES,
};
use farebox_core::ChatCall;
use farebox_providers::{Facts, Outbound, PROVIDERS, Provider};
use serde_json::Value;

use crate::CASES;
use crate::incoming::incoming;
use crate::json::mutate_json;
use crate::mutator::{cases, run};

static DIALECTS: [(&str, &dyn Dialect); 7] = [
    ("chat", &OPENAI),
    ("native", &NATIVE),
    ("responses", &RESPONSES),
    ("texts", &COMPLETIONS),
    ("embeddings", &EMBEDDINGS),
    ("messages", &MESSAGES),
    ("gemini", &GENERATE_CONTENT),
];

/// A cap that is sent, wherever the provider's format has it.
const CAPS: [&str; 6] = [
    "/max_tokens",
    "/max_completion_tokens",
    "/max_output_tokens",
    "/generationConfig/maxOutputTokens",
    "/inferenceConfig/maxTokens",
    "/generation_config/max_output_tokens",
];

/// Where a count of choices is sent.
const CHOICES: [&str; 3] = ["/n", "/best_of", "/generationConfig/candidateCount"];

fn assert_bounded(provider: &Provider, outbound: &Outbound, call: &ChatCall, cap: u64) {
    let body: Value = serde_json::from_slice(&outbound.body).expect("JSON is sent");
    let shown = || format!("{}: {body}", provider.name);
    let sent = CAPS.iter().filter_map(|at| body.pointer(at));
    for sent in sent {
        let sent = sent.as_u64().unwrap_or_else(|| panic!("no count as a cap: {}", shown()));
        assert!(sent <= cap, "{sent} above {cap}: {}", shown());
        assert!(sent <= outbound.cap, "{sent} above the bound {}: {}", outbound.cap, shown());
    }
    let choices = CHOICES.iter().filter_map(|at| body.pointer(at));
    for sent in choices.filter_map(Value::as_u64) {
        assert!(sent <= outbound.choices, "{sent} of {}: {}", outbound.choices, shown());
    }
    if let Some(tier) = body.get("service_tier").or_else(|| body.pointer("/serviceTier")) {
        let known = ["default", "standard_only", "standard", "unspecified"];
        let known = known.iter().any(|known| tier.as_str().is_some_and(|tier| tier == *known));
        assert!(known, "a tier of another price: {}", shown());
    }
    assert!(body.get("store").is_none_or(|store| store == false), "{}", shown());
    if let Some(streams) = body.get("stream") {
        assert_eq!(streams, call.stream, "{}", shown());
    }
    assert!(outbound.path.starts_with('/'), "{}", outbound.path);
    assert!(!outbound.path.contains(".."), "{}", outbound.path);
}

#[test]
fn what_is_taken_is_bounded_and_what_is_not_is_told_in_its_dialect() {
    let seeds: Value = serde_json::from_str(include_str!("requests.json")).unwrap();
    let sent = std::sync::atomic::AtomicUsize::new(0);
    let cases = cases(CASES) * 5;
    run("requests", cases, |dice| {
        let (name, dialect) = *dice.pick(&DIALECTS);
        let texts = |name: &str| -> Vec<String> {
            seeds[name].as_array().unwrap().iter().map(Value::to_string).collect()
        };
        let lender = if dice.one_in(6) { dice.pick(&DIALECTS).0 } else { name };
        let (own, other) = (texts(name), texts(lender));
        let (own, other) = (dice.pick(&own), dice.pick(&other));
        let body = mutate_json(dice, own, other);
        let verb = *dice.pick(&["generateContent", "streamGenerateContent"]);
        let incoming = incoming(format!("/v1beta/models/demo/gemini-3:{verb}"), body);
        let call = match dialect.parse(&incoming) {
            Ok(call) => call,
            Err(error) => {
                let status = error.row().status;
                assert!((400..=422).contains(&status) || status == 501, "{name}: {error}");
                let told = dialect.error(&error, incoming.request_id).to_string();
                assert!(told.len() < 4_096, "{name}: {told}");
                return;
            }
        };
        assert!(call.cap.is_none_or(|cap| cap <= 10_000_000), "{name}: {:?}", call.cap);
        // Legacy completions answer each of up to 2,048 prompts with as many.
        let most = if name == "texts" { 128 * 2_048 } else { 128 };
        assert!((1..=most).contains(&call.choices), "{name}: {}", call.choices);
        let provider = dice.pick(PROVIDERS);
        let model = *dice.pick(&["m", "claude-sonnet-4-5", "gemini-3-pro", "gpt-5", "m-instruct"]);
        let facts = Facts {
            model,
            context_window: Some(200_000),
            completion_max: Some(64_000),
            price: None,
        };
        let cap = call.cap.unwrap_or(1_000).min(64_000);
        let Ok(wire) = provider.wire_for(model, call.format) else { return };
        match wire.request(provider, &call, &facts, cap, call.stream) {
            Ok(outbound) => {
                sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                assert_bounded(provider, &outbound, &call, cap);
            }
            Err(error) => {
                let status = error.row().status;
                assert!((400..=422).contains(&status) || status == 501, "{name}: {error}");
            }
        }
    });
    let sent = sent.into_inner();
    println!("{sent} of {cases} requests were sent");
    assert!(u64::try_from(sent).unwrap() > cases / 20, "{sent}");
}
