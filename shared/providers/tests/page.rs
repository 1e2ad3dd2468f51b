//! The table of docs/providers.md is what the rows do: this test writes it down and compares.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use farebox_core::{ChatCall, Format};
use farebox_providers::{Facts, PROVIDERS, Provider};
use serde_json::{Value, json};

/// A model of each provider whose formats hang on its name; else any.
const MODELS: &[(&str, &str)] = &[
    ("anthropic", "claude-opus-4-8"),
    ("openai", "gpt-5.5"),
    ("azure", "gpt-5.5"),
    ("gemini", "gemini-3-pro"),
    ("vertexai", "gemini-3-pro"),
    ("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
    ("cohere", "command-a-plus-05-2026"),
];

/// Answers and streams of the recorded corpus that decode to their stated usage, by the row that
/// reads them. Checked where `FAREBOX_CORPUS` names the corpus.
const RECORDED: &[(&str, usize)] = &[
    ("alibaba", 6),
    ("anthropic", 143),
    ("azure", 69),
    ("bedrock", 98),
    ("cerebras", 3),
    ("cohere", 66),
    ("deepseek", 49),
    ("gemini", 101),
    ("gpustack", 25),
    ("groq", 4),
    ("mistral", 66),
    ("moonshotai", 4),
    ("ollama", 81),
    ("openai", 141),
    ("openrouter", 73),
    ("perplexity", 19),
    ("vertexai", 72),
    ("xai", 70),
];

type Feature = (&'static str, fn(&Provider, &str) -> bool);

const FEATURES: &[Feature] = &[
    ("tools", |row, model| {
        let tool = json!({"type": "function", "function": {"name": "f", "description": "d"}});
        takes(row, model, &json!({"tools": [tool], "tool_choice": "auto"}))
    }),
    ("one tool at a time", |row, model| {
        let tool = json!({"type": "function", "function": {"name": "f", "description": "d"}});
        takes(row, model, &json!({"tools": [tool], "parallel_tool_calls": false}))
    }),
    ("JSON schema", |row, model| {
        let schema = json!({"name": "s", "schema": {"type": "object", "properties": {}}});
        let format = json!({"type": "json_schema", "json_schema": schema});
        takes(row, model, &json!({"response_format": format}))
    }),
    ("image inline", |row, model| shows(row, model, "data:image/png;base64,AAAA")),
    ("image by URL", |row, model| shows(row, model, "https://example.com/a.png")),
    ("PDF", |row, model| {
        let file = json!({"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"});
        says(row, model, &json!({"type": "file", "file": file}))
    }),
    ("audio", |row, model| {
        let audio = json!({"data": "AAAA", "format": "wav"});
        says(row, model, &json!({"type": "input_audio", "input_audio": audio}))
    }),
    ("audio answer", |row, model| {
        let audio = json!({"voice": "alloy", "format": "wav"});
        takes(row, model, &json!({"modalities": ["text", "audio"], "audio": audio}))
    }),
    ("effort", |row, model| takes(row, model, &json!({"reasoning_effort": "high"}))),
    ("n", |row, model| takes(row, model, &json!({"n": 2}))),
    ("logprobs", |row, model| takes(row, model, &json!({"logprobs": true}))),
    ("seed", |row, model| takes(row, model, &json!({"seed": 7}))),
    ("embeddings", |row, _| row.wire_for("embed", Format::Embeddings).is_ok()),
    ("completions", |row, _| {
        let wire = row.wire_for("gpt-3.5-turbo-instruct", Format::Completions);
        wire.is_ok_and(|wire| wire.takes(Format::Completions))
    }),
];

fn says(row: &Provider, model: &str, part: &Value) -> bool {
    let text = json!({"type": "text", "text": "look"});
    takes(row, model, &json!({"messages": [{"role": "user", "content": [text, part]}]}))
}

fn shows(row: &Provider, model: &str, url: &str) -> bool {
    says(row, model, &json!({"type": "image_url", "image_url": {"url": url}}))
}

/// Whether a call is sent, or refused by name.
fn takes(row: &Provider, model: &str, more: &Value) -> bool {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let call = ChatCall::from_openai(body.to_string().as_bytes()).unwrap();
    let facts = Facts { model, context_window: Some(200_000), completion_max: Some(64_000) };
    let wire = row.wire_for(model, Format::Chat).unwrap();
    wire.request(row, &call, &facts, 100, false).is_ok()
}

fn model_of(row: &Provider) -> &'static str {
    MODELS.iter().find(|(name, _)| *name == row.name).map_or("any-model", |(_, model)| model)
}

fn table() -> String {
    let mut text = "| provider | recorded |".to_owned();
    for (feature, _) in FEATURES {
        write!(text, " {feature} |").unwrap();
    }
    text.push_str(" tiers | image held at | stated cost | called as |\n|---|---|");
    text.push_str(&"---|".repeat(FEATURES.len() + 4));
    for row in PROVIDERS.iter().filter(|row| row.name != "demo") {
        let model = model_of(row);
        let recorded = RECORDED.iter().find(|(name, _)| *name == row.name);
        let recorded = recorded.map_or("–".to_owned(), |(_, count)| count.to_string());
        write!(text, "\n| `{}` | {recorded} |", row.name).unwrap();
        for (_, has) in FEATURES {
            text.push_str(if has(row, model) { " yes |" } else { " – |" });
        }
        let image = (row.image)(model, None).map_or("window".to_owned(), |most| most.to_string());
        let cost = if row.usage.cost.is_some() { "yes" } else { "–" };
        let call =
            ChatCall::from_openai(br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
        let facts = Facts { model, context_window: Some(9_000), completion_max: Some(900) };
        let wire = row.wire_for(model, Format::Chat).unwrap();
        let path = wire.request(row, &call.unwrap(), &facts, 100, false).unwrap().path;
        let path = path.replace(&model.replace(':', "%3A"), "…").replace(model, "…");
        let tiers = if row.tiers.is_empty() { "–".to_owned() } else { row.tiers.join(", ") };
        write!(text, " {tiers} | {image} | {cost} | `{path}` |").unwrap();
    }
    text
}

#[test]
fn the_page_of_providers_is_what_the_rows_do() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    let expected = table();

    assert!(page.contains(&expected), "docs/providers.md must have this table:\n{expected}");
}

#[test]
fn the_page_names_every_option_that_passes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    for row in PROVIDERS {
        for (field, _) in row.passes {
            let names = [row.name, field].map(|name| format!("`{name}`"));
            let listed = page.lines().any(|line| names.iter().all(|name| line.contains(name)));
            assert!(listed, "docs/providers.md must name {field} of {}", row.name);
        }
    }
}

#[test]
fn the_recorded_exchanges_of_the_page_are_those_of_the_corpus() {
    let Some(corpus) = std::env::var_os("FAREBOX_CORPUS") else {
        println!("skipped: FAREBOX_CORPUS names no corpus");
        return;
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(Path::new(&corpus).join("exchanges")).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        let exchange: Value = serde_json::from_slice(&file).unwrap();
        let name = exchange["provider"].as_str().unwrap();
        let apis = [
            "openai-chat",
            "openai-responses",
            "anthropic-messages",
            "gemini-generate",
            "bedrock-converse",
            "bedrock-converse-stream",
            "cohere-chat",
        ];
        let api = exchange["api"].as_str().unwrap();
        // What the row of another provider reads, and what the corpus' own tests list as skipped.
        let is_own = match name {
            "bedrock" => api.starts_with("bedrock"),
            "deepseek" => api == "openai-chat",
            _ => true,
        };
        let id = exchange["id"].as_str().unwrap();
        let skipped = ["openai-parallel-tool-call-wrapper", "azure-deepseek-reasoning"];
        let is_own = is_own && !skipped.iter().any(|part| id.contains(part));
        if exchange["status"] == 200 && apis.contains(&api) && is_own {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    counts.retain(|name, _| farebox_providers::find(name).is_some());
    let stated = RECORDED.iter().map(|(name, count)| ((*name).to_owned(), *count));
    assert_eq!(counts, stated.collect());
}
