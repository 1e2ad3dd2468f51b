//! The tables of docs/providers.md are what the rows do, and what shows it: this test writes them
//! down and compares.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::fmt::Write as _;
use std::path::Path;

use farebox_core::chat::Thinking;
use farebox_core::{ChatCall, Format};
use farebox_providers::provider::{DOUBTS, Doubts, Effort};
use farebox_providers::{Facts, PROVIDERS, Provider, Reach, find};
use serde_json::{Value, json};

#[path = "page/evidence.rs"]
mod evidence;
#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "page/recorded.rs"]
mod recorded;

use evidence::{NATIVE, REAL_SERVER, Shown, counts, said, thought};
use fixtures::FIXTURES;

/// What a provider can do.
struct Feature {
    name: &'static str,
    /// Whether such a call is sent; `None` where a call cannot ask for it.
    asked: Option<fn(&Provider, &str) -> bool>,
    /// Whether an exchange shows it.
    shown: fn(&Shown) -> bool,
}

const fn feature(
    name: &'static str,
    asked: fn(&Provider, &str) -> bool,
    shown: fn(&Shown) -> bool,
) -> Feature {
    Feature { name, asked: Some(asked), shown }
}

const fn untold(name: &'static str, shown: fn(&Shown) -> bool) -> Feature {
    Feature { name, asked: None, shown }
}

/// Every column of the table of evidence.
const FEATURES: &[Feature] = &[
    untold("buffered", |shown| !shown.stream && shown.is_chat()),
    untold("stream", |shown| shown.stream && shown.is_chat()),
    feature(
        "tools",
        |row, model| takes(row, model, &json!({"tools": [tool()], "tool_choice": "auto"})),
        |shown| {
            let calls = [
                r#""tool_calls":[{"#,
                r#""tool_calls":{"#,
                r#""type":"tool_use""#,
                r#""type":"function_call""#,
                r#""functionCall":{"#,
                r#""toolUse":{"#,
            ];
            said(&shown.answer, &calls)
        },
    ),
    feature(
        "one tool at a time",
        |row, model| takes(row, model, &json!({"tools": [tool()], "parallel_tool_calls": false})),
        |shown| {
            let asked = [r#""parallel_tool_calls":false"#, r#""disable_parallel_tool_use":true"#];
            said(&shown.request, &asked)
        },
    ),
    feature(
        "JSON schema",
        |row, model| {
            let schema = json!({"name": "s", "schema": {"type": "object", "properties": {}}});
            let format = json!({"type": "json_schema", "json_schema": schema});
            takes(row, model, &json!({"response_format": format}))
        },
        |shown| {
            let asked = [r#""json_schema""#, r#""responseSchema""#, r#""responseJsonSchema""#];
            said(&shown.request, &asked)
        },
    ),
    feature(
        "image inline",
        |row, model| shows(row, model, "data:image/png;base64,AAAA"),
        |shown| {
            let asked = [
                r#""url":"data:image/"#,
                r#""image_url":"data:image/"#,
                r#""type":"base64","media_type":"image/"#,
                r#""mimeType":"image/"#,
                r#""mime_type":"image/"#,
                r#""image":{"format""#,
            ];
            said(&shown.request, &asked)
        },
    ),
    feature(
        "image by URL",
        |row, model| shows(row, model, "https://example.com/a.png"),
        |shown| {
            let asked = [
                r#""image_url":{"url":"http"#,
                r#""image_url":"http"#,
                r#""type":"image","source":{"type":"url""#,
            ];
            said(&shown.request, &asked)
        },
    ),
    feature(
        "PDF",
        |row, model| {
            let data = "data:application/pdf;base64,AAAA";
            let file = json!({"file_data": data, "filename": "a.pdf"});
            says(row, model, &json!({"type": "file", "file": file}))
        },
        |shown| said(&shown.request, &["application/pdf", r#""document":{"format":"pdf""#]),
    ),
    feature(
        "audio",
        |row, model| {
            let audio = json!({"data": "AAAA", "format": "wav"});
            says(row, model, &json!({"type": "input_audio", "input_audio": audio}))
        },
        |shown| said(&shown.request, &[r#""input_audio":"#, r#":"audio/"#]),
    ),
    feature(
        "audio answer",
        |row, model| {
            let audio = json!({"voice": "alloy", "format": "wav"});
            takes(row, model, &json!({"modalities": ["text", "audio"], "audio": audio}))
        },
        |shown| said(&shown.answer, &[r#""audio":{"id""#]),
    ),
    untold("reasoning", |shown| thought(&shown.answer)),
    feature(
        "effort",
        |row, model| takes(row, model, &json!({"reasoning_effort": "high"})),
        |shown| {
            let asked = [r#""reasoning_effort":"#, r#""effort":"#, r#""thinkingLevel":"#];
            said(&shown.request, &asked)
        },
    ),
    untold("cache usage", |shown| counts(&shown.answer, &evidence::CACHED)),
    feature(
        "n",
        |row, model| takes(row, model, &json!({"n": 2})),
        |shown| {
            counts(&shown.request, &["n", "candidateCount"])
                && !said(&shown.request, &[r#""n":1,"#, r#""n":1}"#])
        },
    ),
    feature(
        "logprobs",
        |row, model| takes(row, model, &json!({"logprobs": true})),
        |shown| said(&shown.answer, &[r#""logprobs":{"content":[{"#, r#""logprobsResult":{"#]),
    ),
    feature(
        "seed",
        |row, model| takes(row, model, &json!({"seed": 7})),
        |shown| said(&shown.request, &[r#""seed":"#]),
    ),
    feature(
        "embeddings",
        |row, _| row.wire_for("embed", Format::Embeddings).is_ok(),
        |shown| shown.api == "embeddings",
    ),
    feature(
        "completions",
        |row, _| {
            let wire = row.wire_for("gpt-3.5-turbo-instruct", Format::Completions);
            wire.is_ok_and(|wire| wire.takes(Format::Completions))
        },
        |shown| shown.api == "openai-completions",
    ),
];

fn tool() -> Value {
    json!({"type": "function", "function": {"name": "f", "description": "d"}})
}

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
    let facts =
        Facts { model, context_window: Some(200_000), completion_max: Some(64_000), price: None };
    let wire = row.wire_for(model, Format::Chat).unwrap();
    wire.request(row, &call, &facts, 9_000, false).is_ok()
}

fn model_of(row: &Provider) -> &'static str {
    let of = FIXTURES.iter().find(|fixture| fixture.provider == row.name);
    of.map_or_else(|| panic!("{} has no fixture", row.name), |fixture| fixture.model)
}

/// The best that shows a feature of a row.
fn evidence(row: &Provider, feature: &Feature) -> String {
    let model = model_of(row);
    if feature.asked.is_some_and(|asked| !asked(row, model)) {
        return "refused".to_owned();
    }
    let recorded = recorded::committed(row.name, feature.name);
    if recorded > 0 {
        return format!("recorded {recorded}");
    }
    let real = REAL_SERVER.iter().any(|(name, of, _)| *name == row.name && *of == feature.name);
    let own = FIXTURES.iter().filter(|fixture| fixture.provider == row.name);
    let mut own = own.flat_map(|fixture| [(fixture.stream, true), (fixture.whole, false)]);
    let in_fixture = own.any(|(answer, stream)| (feature.shown)(&Shown::own(answer, stream)));
    let told = (row.effort)(model, "high", Thinking::Unsaid);
    let known = feature.name == "effort" && !matches!(told, Effort::Unknown);
    let documented = NATIVE.contains(&row.name) || known;
    match (real, in_fixture, documented) {
        (true, ..) => "real server",
        (_, true, _) => "fixture",
        (.., true) => "docs",
        _ => "unconfirmed",
    }
    .to_owned()
}

fn rows() -> impl Iterator<Item = &'static Provider> {
    PROVIDERS.iter().filter(|row| row.name != "demo")
}

fn features() -> String {
    let mut text = "| provider |".to_owned();
    for feature in FEATURES {
        write!(text, " {} |", feature.name).unwrap();
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(FEATURES.len()));
    for row in rows() {
        write!(text, "\n| `{}` |", row.name).unwrap();
        for feature in FEATURES {
            write!(text, " {} |", evidence(row, feature)).unwrap();
        }
    }
    text
}

fn facts() -> String {
    let mut text = "| provider | tiers | image held at | stated cost | called as |\n".to_owned();
    text.push_str("|---|---|---|---|---|");
    for row in rows() {
        let model = model_of(row);
        let image = (row.image)(model, None).map_or("window".to_owned(), |most| most.to_string());
        let cost = if row.usage.cost.is_some() { "yes" } else { "–" };
        let call =
            ChatCall::from_openai(br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
        let facts =
            Facts { model, context_window: Some(9_000), completion_max: Some(900), price: None };
        let wire = row.wire_for(model, Format::Chat).unwrap();
        let path = wire.request(row, &call.unwrap(), &facts, 100, false).unwrap().path;
        let path = path.replace(&model.replace(':', "%3A"), "…").replace(model, "…");
        let tiers = if row.tiers.is_empty() { "–".to_owned() } else { row.tiers.join(", ") };
        write!(text, "\n| `{}` | {tiers} | {image} | {cost} | `{path}` |", row.name).unwrap();
    }
    text
}

fn doubts() -> String {
    let mut text = "| provider | the cap holds reasoning | usage of a stream | the cap's field |\n\
                    |---|---|---|---|"
        .to_owned();
    for row in DOUBTS {
        let Doubts { provider, field, reach, usage, cap } = row;
        write!(text, "\n| `{provider}` | {reach} | {usage} | `{field}`: {cap} |").unwrap();
    }
    text
}

#[test]
fn every_row_says_what_is_not_confirmed_of_it() {
    let named: Vec<&str> = DOUBTS.iter().map(|doubts| doubts.provider).collect();
    let rows = PROVIDERS.iter().map(|row| row.name).filter(|name| *name != "demo");
    let rows: Vec<&str> = rows.collect();
    for row in &rows {
        assert_eq!(named.iter().filter(|name| *name == row).count(), 1, "{row}");
    }
    assert_eq!(named.len(), rows.len());
    for doubts in DOUBTS {
        // What is held for beyond the cap is said to be.
        let row = find(doubts.provider).unwrap();
        let is_cap = (row.reach)("any-model") == Reach::Cap;
        assert_eq!(!doubts.reach.contains(" is held"), is_cap, "{}", row.name);
        // The cap is sent in the field that is named.
        let body = br#"{"model": "m", "messages": [{"role": "user", "content": "hi"}]}"#;
        let call = ChatCall::from_openai(body).unwrap();
        let model = model_of(row);
        let facts = Facts {
            model,
            context_window: Some(200_000),
            completion_max: Some(64_000),
            price: None,
        };
        let wire = row.wire_for(model, Format::Chat).unwrap();
        let sent = wire.request(row, &call, &facts, 777, false).unwrap();
        let sent: Value = serde_json::from_slice(&sent.body).unwrap();
        let cap = sent.pointer(&format!("/{}", doubts.field.replace('.', "/")));
        assert_eq!(cap, Some(&json!(777)), "{}: {sent}", row.name);
    }
}

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    std::fs::read_to_string(page).unwrap_or_default()
}

#[test]
fn the_page_of_providers_is_what_the_rows_do() {
    let page = page();
    for expected in [features(), facts(), doubts()] {
        assert!(page.contains(&expected), "docs/providers.md must have this table:\n{expected}");
    }
}

#[test]
fn what_a_real_server_shows_is_a_check_of_the_gates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let gate = std::fs::read_to_string(root.join(".ci/llamacpp.py")).unwrap();
    for (row, feature, check) in REAL_SERVER {
        assert!(gate.contains(&format!("def {check}(")), "{row}, {feature}: no {check}");
        assert!(gate.contains(&format!("\"{row}/")), "{row} is not called there");
        assert!(FEATURES.iter().any(|known| known.name == *feature), "{feature}");
    }
}

#[test]
fn the_page_names_every_option_that_passes() {
    let page = page();
    for row in PROVIDERS {
        for (field, _) in row.passes {
            let names = [row.name, field].map(|name| format!("`{name}`"));
            let listed = page.lines().any(|line| names.iter().all(|name| line.contains(name)));
            assert!(listed, "docs/providers.md must name {field} of {}", row.name);
        }
    }
}
