//! How hard a model thinks: what every dialect of callers says of it is what every provider is
//! sent, or a refusal by the caller's own field. The table is that of docs/providers.md.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::fmt::Write as _;
use std::path::Path;

use farebox_chat::dialect::{
    Dialect, GENERATE_CONTENT, MESSAGES, NATIVE, OPENAI, RESPONSES, located,
};
use farebox_providers::provider::Effort;
use farebox_providers::{Facts, PROVIDERS, find};
use serde_json::{Value, json};

#[path = "fuzz/incoming.rs"]
mod incoming;
use incoming::incoming;

/// Gemini's dialect reads its model from there.
const PATH: &str = "/v1beta/models/m:generateContent";

/// A model of each kind that a provider tells apart.
const MODELS: [(&str, &str); 37] = [
    ("openai", "gpt-5.2"),
    ("openai", "gpt-5-codex"),
    ("openai", "gpt-4.1"),
    ("azure", "gpt-5.2"),
    ("anthropic", "claude-opus-5-5"),
    ("anthropic", "claude-opus-4-7"),
    ("anthropic", "claude-opus-4-6"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-3-5-haiku"),
    ("gemini", "gemini-3.5-flash"),
    ("gemini", "gemini-2.5-pro"),
    ("gemini", "gemini-2.5-flash"),
    ("gemini", "gemini-2.0-flash"),
    ("vertexai", "gemini-3.5-flash"),
    ("bedrock", "anthropic.claude-opus-4-6-v1"),
    ("bedrock", "anthropic.claude-sonnet-4-5-v1:0"),
    ("bedrock", "amazon.nova-2-lite-v1:0"),
    ("bedrock", "openai.gpt-oss-120b-1:0"),
    ("bedrock", "meta.llama4"),
    ("cohere", "command-a-reasoning-08-2025"),
    ("xai", "grok-4.3"),
    ("xai", "grok-4"),
    ("deepseek", "deepseek-v4"),
    ("mistral", "mistral-large-4-0"),
    ("mistral", "magistral-medium-latest"),
    ("groq", "openai/gpt-oss-120b"),
    ("groq", "qwen/qwen3-32b"),
    ("openrouter", "z-ai/glm-5"),
    ("perplexity", "sonar-reasoning-pro"),
    ("cerebras", "gpt-oss-120b"),
    ("together", "zai-org/GLM-5.1"),
    ("fireworks", "accounts/fireworks/models/kimi-k2p5"),
    ("moonshotai", "kimi-k3"),
    ("moonshotai", "kimi-k2.6"),
    ("alibaba", "qwen3.8-max"),
    ("ollama", "qwen3"),
    ("vllm", "any"),
];

/// Those of whose models nobody says it.
const SILENT: [(&str, &str); 2] = [("custom", "any"), ("gpustack", "any")];

const LEVELS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
/// Stands for a budget of so many tokens.
const BUDGET: &str = "5,000 tokens";

/// What a dialect says of a level; `None` where it has no word for it.
type Says = fn(level: &str) -> Option<Value>;

const DIALECTS: [(&str, &dyn Dialect, Says); 5] = [
    ("chat", &OPENAI, |level| {
        (level != BUDGET).then(|| json!({"messages": hi(), "reasoning_effort": level}))
    }),
    ("native", &NATIVE, |level| {
        let options = json!({"reasoning_effort": level});
        (level != BUDGET).then(|| json!({"messages": hi(), "options": options}))
    }),
    ("responses", &RESPONSES, |level| {
        (level != BUDGET).then(|| json!({"input": "hi", "reasoning": {"effort": level}}))
    }),
    ("messages", &MESSAGES, |level| {
        let enabled = json!({"type": "enabled", "budget_tokens": 5_000});
        match level {
            BUDGET => Some(json!({"messages": hi(), "thinking": enabled})),
            "none" => Some(json!({"messages": hi(), "thinking": {"type": "disabled"}})),
            "minimal" => None,
            _ => Some(json!({"messages": hi(), "output_config": {"effort": level}})),
        }
    }),
    ("gemini", &GENERATE_CONTENT, |level| {
        let config = match level {
            BUDGET => json!({"thinkingBudget": 5_000}),
            "none" => json!({"thinkingBudget": 0}),
            "xhigh" | "max" => return None,
            _ => json!({"thinkingLevel": level}),
        };
        let contents = json!([{"parts": [{"text": "hi"}]}]);
        Some(json!({"contents": contents, "generationConfig": {"thinkingConfig": config}}))
    }),
];

/// The field that a refusal names, by the dialect.
const FIELDS: [(&str, &[&str]); 5] = [
    ("chat", &["reasoning_effort"]),
    ("native", &["options.reasoning_effort"]),
    ("responses", &["reasoning.effort"]),
    ("messages", &["thinking", "output_config.effort"]),
    ("gemini", &["generationConfig.thinkingConfig"]),
];

fn hi() -> Value {
    json!([{"role": "user", "content": "hi"}])
}

/// What is sent of a level, beside a request that says nothing of it; or the field of the refusal.
/// `None` where the caller's own body is passed on.
fn sent(dialect: &dyn Dialect, body: &Value, provider: &str, model: &str) -> Option<Told> {
    let outbound = |body: &Value| {
        let mut body = body.clone();
        body.as_object_mut().unwrap().insert("model".to_owned(), json!("m"));
        let call = dialect.parse(&incoming(PATH, body.to_string())).expect("it is well formed");
        let provider = find(provider).unwrap();
        let wire = provider.wire_for(model, call.format).unwrap();
        if call.original.is_some() && wire.takes(call.format) {
            return None;
        }
        let facts = Facts {
            model,
            context_window: Some(90_000),
            completion_max: Some(64_000),
            price: None,
        };
        let outbound = wire.request(provider, &call, &facts, 10_000, false);
        let body = |outbound: farebox_providers::Outbound| {
            assert!(outbound.cap >= 10_000, "the hold is below the cap");
            serde_json::from_slice::<Value>(&outbound.body).unwrap()
        };
        Some(outbound.map(body).map_err(|error| {
            let error = located(dialect, error);
            error.field().unwrap_or_default().to_owned()
        }))
    };
    let mut plain = body.clone();
    for field in ["reasoning_effort", "options", "reasoning", "thinking", "output_config"] {
        plain.as_object_mut().unwrap().remove(field);
    }
    plain.as_object_mut().unwrap().remove("generationConfig");
    let plain = outbound(&plain)?.unwrap();
    Some(outbound(body)?.map(|said| {
        let mut more = Vec::new();
        beyond(&plain, &said, "", &mut more);
        more.join(", ")
    }))
}

type Told = Result<String, String>;

/// The fields of the second that the first does not have.
fn beyond(first: &Value, second: &Value, at: &str, more: &mut Vec<String>) {
    for (name, value) in second.as_object().unwrap() {
        let place = format!("{at}{name}");
        match first.get(name) {
            Some(same) if same == value => {}
            Some(other) if other.is_object() => beyond(other, value, &format!("{place}."), more),
            _ => more.push(format!("{place}: {}", value.to_string().replace('"', ""))),
        }
    }
}

fn is_unknown(provider: &str, model: &str) -> bool {
    let provider = find(provider).unwrap();
    let wire = provider.wire_for(model, farebox_core::Format::Chat).unwrap();
    let effort = (provider.effort)(model, "high", farebox_core::chat::Thinking::Unsaid);
    wire.takes(farebox_core::Format::Chat) && matches!(effort, Effort::Unknown)
}

#[test]
fn every_dialect_says_of_every_level_what_chat_completions_say() {
    let mut compared = 0;
    for (provider, model) in MODELS.into_iter().chain(SILENT) {
        for level in LEVELS.into_iter().chain([BUDGET]) {
            let mut told: Option<(Told, &str)> = None;
            for (name, dialect, says) in DIALECTS {
                let Some(body) = says(level) else { continue };
                let Some(said) = sent(dialect, &body, provider, model) else { continue };
                let at = format!("{name} to {provider}/{model} at {level}");
                if let Err(field) = &said {
                    let (_, fields) = FIELDS.iter().find(|(of, _)| *of == name).unwrap();
                    assert!(fields.contains(&field.as_str()), "{at}: {field}");
                }
                if is_unknown(provider, model) {
                    // OpenAI's own words are the provider's to answer.
                    assert_eq!(said.is_err(), !["chat", "native"].contains(&name), "{at}");
                    continue;
                }
                let said = said.map_err(|_| String::new());
                match &told {
                    None => told = Some((said, name)),
                    Some((first, by)) => assert_eq!(first, &said, "{at}, and by {by}"),
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 1_000, "{compared}");
}

fn table() -> String {
    let mut text = "| model |".to_owned();
    let levels = || LEVELS.into_iter().chain([BUDGET]);
    levels().for_each(|level| write!(text, " {level} |").unwrap());
    text.push_str("\n|---|");
    levels().for_each(|_| text.push_str("---|"));
    for (provider, model) in MODELS {
        write!(text, "\n| `{provider}/{model}` |").unwrap();
        for level in levels() {
            let of = |(_, dialect, says): (&str, &'static dyn Dialect, Says)| {
                sent(dialect, &says(level)?, provider, model)
            };
            let cell = match DIALECTS.into_iter().find_map(of) {
                Some(_) if is_unknown(provider, model) => "unknown".to_owned(),
                Some(Ok(said)) if said.is_empty() => "nothing".to_owned(),
                Some(Ok(said)) if said == format!("reasoning_effort: {level}") => "=".to_owned(),
                Some(Ok(said)) => format!("`{said}`"),
                Some(Err(_)) => "refused".to_owned(),
                None => "as it came".to_owned(),
            };
            write!(text, " {cell} |").unwrap();
        }
    }
    text
}

#[test]
fn the_page_of_providers_says_what_each_model_is_told() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    let page = std::fs::read_to_string(page).unwrap();
    let expected = table();
    assert!(page.contains(&expected), "docs/providers.md must have this table:\n{expected}");
}

#[test]
fn every_provider_is_in_the_table() {
    for provider in PROVIDERS.iter().filter(|provider| provider.name != "demo") {
        let named = MODELS.iter().chain(&SILENT).any(|(name, _)| *name == provider.name);
        assert!(named, "{}", provider.name);
    }
}
