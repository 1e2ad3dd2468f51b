//! Any in, any out: what every provider is sent of every option that a dialect has. An option is
//! carried, or refused by the caller's own name for it, or left out and named, and nothing else:
//! the expectation is the kept table `fields/kept.txt`, which a person can read. (How hard a model
//! thinks has a table of its own: `efforts.rs`.)

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::fmt::Write as _;
use std::path::Path;

use farebox_chat::dialect::{
    COMPLETIONS, Dialect, GENERATE_CONTENT, MESSAGES, NATIVE, OPENAI, RESPONSES, told,
};
use farebox_chat::dropping;
use farebox_chat::resolve::Resolved;
use farebox_core::catalog::Mode;
use farebox_core::{ChatCall, Error, Format, Model};
use farebox_providers::{PROVIDERS, find};
use serde_json::{Map, Value, json};

#[path = "fuzz/incoming.rs"]
mod incoming;
use incoming::incoming;

/// Gemini's dialect reads its model from there.
const PATH: &str = "/v1beta/models/m:generateContent";

/// Every row, and of those that tell models apart one of each kind.
const MODELS: [(&str, &str); 30] = [
    ("openai", "gpt-4.1"),
    ("openai", "gpt-5-codex"),
    ("openai", "gpt-3.5-turbo-instruct"),
    ("azure", "gpt-5.2"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini-2.5-flash"),
    ("vertexai", "gemini-2.5-flash"),
    ("bedrock", "anthropic.claude-sonnet-4-5-v1:0"),
    ("bedrock", "amazon.nova-2-lite-v1:0"),
    ("bedrock", "openai.gpt-oss-120b-1:0"),
    ("bedrock", "meta.llama4"),
    ("cohere", "command-a-03-2025"),
    ("demo", "chat"),
    ("xai", "grok-4.3"),
    ("deepseek", "deepseek-v4"),
    ("mistral", "mistral-large-4-0"),
    ("groq", "openai/gpt-oss-120b"),
    ("openrouter", "z-ai/glm-5"),
    ("openrouter", "anthropic/claude-sonnet-4.5"),
    ("perplexity", "sonar-pro"),
    ("cerebras", "gpt-oss-120b"),
    ("together", "zai-org/GLM-5.1"),
    ("fireworks", "accounts/fireworks/models/kimi-k2p5"),
    ("moonshotai", "kimi-k3"),
    ("alibaba", "qwen3.8-max"),
    ("custom", "any"),
    ("ollama", "qwen3"),
    ("vllm", "any"),
    ("gpustack", "any"),
    ("mistral", "magistral-medium-latest"),
];

/// A dialect, and what a request of it is that says nothing, without tools and with one.
struct Speaks {
    name: &'static str,
    dialect: &'static dyn Dialect,
    plain: &'static str,
    tools: &'static str,
    /// Where its one part stands.
    parts: &'static str,
}

const CHAT_TOOLS: &str =
    r#"{"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}"#;

const GEMINI_TOOLS: &str = r#"{"tools":[{"functionDeclarations":
    [{"name":"f","parametersJsonSchema":{"type":"object"}}]}]}"#;

const DIALECTS: [Speaks; 6] = [
    Speaks {
        name: "chat",
        dialect: &OPENAI,
        plain: r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#,
        tools: CHAT_TOOLS,
        parts: "/messages/0/content",
    },
    Speaks {
        name: "native",
        dialect: &NATIVE,
        plain: r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#,
        tools: CHAT_TOOLS,
        parts: "/messages/0/content",
    },
    Speaks {
        name: "responses",
        dialect: &RESPONSES,
        plain: r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]}"#,
        tools: r#"{"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}"#,
        parts: "/input/0/content",
    },
    Speaks {
        name: "messages",
        dialect: &MESSAGES,
        plain: r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#,
        tools: r#"{"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#,
        parts: "/messages/0/content",
    },
    Speaks {
        name: "gemini",
        dialect: &GENERATE_CONTENT,
        plain: r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
        tools: GEMINI_TOOLS,
        parts: "/contents/0/parts",
    },
    Speaks {
        name: "completions",
        dialect: &COMPLETIONS,
        plain: r#"{"prompt":"hi"}"#,
        tools: "{}",
        parts: "",
    },
];

/// Put into the one part, or beside it; the rest of a saying is fields of the body.
const MARK: &str = "+mark";
const PART: &str = "+part";

/// What the name of an option ends with that needs a tool beside it.
const BESIDE_A_TOOL: &str = " (beside a tool)";
/// Fewer cells than the table has: questions are not lost.
const CELLS_MIN: usize = 4_000;

/// The kept table: its questions, an option after `#` and what says it after a dialect's name, are
/// asked anew; its answers stand below them.
fn kept() -> String {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fields/kept.txt");
    std::fs::read_to_string(kept).unwrap()
}

/// Where a request says no more to a provider with an option than without it, and why that is what
/// was asked for. Nothing else may be so.
const AS_UNSAID: [(&str, &str); 5] = [
    ("service_tier: the one that the provider chooses", "the usual tier is held and sent"),
    ("service_tier: the usual one", "the usual tier is held and sent"),
    ("several tools at a time", "it is so where nothing is said"),
    ("tool_choice: the model's", "it is so where nothing is said"),
    ("metadata", "a label of Farebox's"),
];

/// A request that says nothing but what a saying adds to it.
fn body(speaks: &Speaks, tools: bool, saying: &str) -> Value {
    let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).expect("it is JSON");
    let mut said = read(saying);
    let (mark, part) = (said.shift_remove(MARK), said.shift_remove(PART));
    if tools {
        let mut all = read(speaks.tools);
        all.extend(said);
        said = all;
    }
    let mut body = Value::Object(read(speaks.plain));
    if let Some(parts) = body.pointer_mut(speaks.parts).and_then(Value::as_array_mut) {
        if let (Some(Value::Object(mark)), Some(Value::Object(first))) = (mark, parts.get_mut(0)) {
            first.extend(mark);
        }
        parts.extend(part);
    }
    let object = body.as_object_mut().unwrap();
    object.insert("model".to_owned(), json!("m"));
    match speaks.name {
        "native" => drop(object.insert("options".to_owned(), said.into())),
        _ => object.extend(said),
    }
    body
}

/// What became of a request.
struct Became {
    /// The field that it was refused for at first, as its caller wrote it.
    refused: Option<String>,
    /// What was left out, with `drop_params`.
    dropped: Vec<&'static str>,
    /// What was sent in the end; `None` where it stays refused.
    sent: Option<Value>,
    /// What the call is told apart by.
    labels: usize,
}

fn resolved(provider: &str, model: &'static str, format: Format) -> Option<Resolved> {
    let provider = find(provider).unwrap();
    let wire = provider.wire_for(model, format).ok()?;
    let model = Model {
        provider: provider.name.into(),
        name: model.into(),
        mode: Mode::Chat,
        context_window: Some(90_000),
        completion_max: Some(64_000),
        price: None,
    };
    Some(Resolved { provider, wire, model, owner: "user:u".to_owned() })
}

/// As `plan` does, without prices.
fn request(call: &ChatCall, resolved: &Resolved) -> Result<Value, Error> {
    let Resolved { provider, wire, .. } = resolved;
    provider.tier(call)?;
    if !wire.takes(call.format) {
        call.translatable()?;
    }
    let outbound = wire.request(provider, call, &resolved.facts(), 10_000, false)?;
    let body: Value = serde_json::from_slice(&outbound.body).unwrap();
    let tier = ["/service_tier", "/serviceTier/type", "/serviceTier", "/speed"];
    let mut tiers = tier.iter().filter_map(|at| body.pointer(at)?.as_str());
    let tier = tiers.find(|tier| !["default", "standard_only", "standard"].contains(tier));
    assert_eq!(tier, outbound.bound.service_tier, "a tier is held at its own price: {body}");
    Ok(body)
}

fn became(
    speaks: &Speaks,
    body: &Value,
    (provider, model): (&str, &'static str),
) -> Option<Became> {
    let mut call = match speaks.dialect.parse(&incoming(PATH, body.to_string())) {
        Ok(call) => call,
        Err(error) => {
            let refused = error.field().map(str::to_owned);
            return Some(Became { refused, dropped: Vec::new(), sent: None, labels: 0 });
        }
    };
    let resolved = resolved(provider, model, call.format)?;
    let labels = call.labels().iter().count();
    let mut dropped = dropping::wishes(&call, &resolved);
    let mut refused = None;
    loop {
        let error = match request(&call, &resolved) {
            Ok(sent) => return Some(Became { refused, dropped, sent: Some(sent), labels }),
            Err(error) => error,
        };
        let field = told(speaks.dialect, &call, error.clone());
        refused = refused.or_else(|| field.field().map(str::to_owned));
        let Some((less, name)) = dropping::without(&call, &error) else {
            return Some(Became { refused, dropped, sent: None, labels });
        };
        call = less;
        dropped.push(name);
    }
}

/// What the second has beside the first, or otherwise.
fn beyond(first: &Value, second: &Value, at: &str, more: &mut Vec<String>) {
    match (first, second) {
        (Value::Object(first), Value::Object(second)) => {
            let dot = if at.is_empty() { "" } else { "." };
            for (name, value) in second {
                let none = first.get(name).unwrap_or(&Value::Null);
                beyond(none, value, &format!("{at}{dot}{name}"), more);
            }
            let gone = first.keys().filter(|name| !second.contains_key(*name));
            more.extend(gone.map(|name| format!("without {at}{dot}{name}")));
        }
        (Value::Array(first), Value::Array(second)) if second.len() >= first.len() => {
            for (place, value) in second.iter().enumerate() {
                let none = first.get(place).unwrap_or(&Value::Null);
                beyond(none, value, &format!("{at}[{place}]"), more);
            }
        }
        _ if first == second => {}
        _ => more.push(format!("{at}: {}", second.to_string().replace('"', ""))),
    }
}

/// What of a request's own is at the place that a refusal names.
fn is_there(body: &Value, field: &str) -> bool {
    let pointer = field.replace(['.', '['], "/").replace(']', "");
    body.pointer(&format!("/{pointer}")).is_some()
}

/// The cell of an option, a dialect and a model; `None` where the model is not served in it.
fn cell(
    name: &str,
    speaks: &Speaks,
    saying: &str,
    of: (&str, &'static str),
    faults: &mut Vec<String>,
) -> Option<String> {
    let tools = name.ends_with(BESIDE_A_TOOL);
    let option = name.strip_suffix(BESIDE_A_TOOL).unwrap_or(name);
    let asked = body(speaks, tools, saying);
    let plain = became(speaks, &body(speaks, tools, "{}"), of)?;
    // A model that is no model of chats serves no chat at all.
    let plain_sent = plain.sent?;
    let Became { refused, dropped, sent, labels } = became(speaks, &asked, of)?;
    let at = format!("{name} of {} to {}/{}", speaks.name, of.0, of.1);
    let mut more = Vec::new();
    if let Some(sent) = &sent {
        beyond(&plain_sent, sent, "", &mut more);
    }
    let carried = more.join(", ");
    let left = dropped.join(", ");
    Some(match (refused, sent) {
        (Some(refused), sent) => {
            if !is_there(&asked, &refused) {
                faults.push(format!("{at}: {refused} is no field of the caller's"));
            }
            match sent {
                None => format!("refused: {refused}"),
                Some(_) if carried.is_empty() => format!("refused: {refused}; dropped: {left}"),
                Some(_) => format!("refused: {refused}; dropped: {left}; then {carried}"),
            }
        }
        (None, None) => {
            faults.push(format!("{at}: a refusal names no field"));
            "refused".to_owned()
        }
        (None, Some(_)) if carried.is_empty() && left.is_empty() => {
            let why = AS_UNSAID.iter().find(|(of, _)| *of == option);
            let label = (labels > plain.labels).then_some("a label of Farebox's");
            let why = label.or(why.map(|(_, why)| *why).filter(|_| option != "metadata"));
            why.map_or_else(
                || {
                    faults.push(format!("{at}: gone in silence"));
                    "gone".to_owned()
                },
                str::to_owned,
            )
        }
        (None, Some(_)) if carried.is_empty() => format!("left out and named: {left}"),
        (None, Some(_)) if left.is_empty() => carried,
        (None, Some(_)) => format!("{carried}; left out and named: {left}"),
    })
}

/// The rows that follow `OpenAI`'s format and have no other: most cells are of all of them.
fn is_compatible((provider, _): &(&str, &str)) -> bool {
    let row = find(provider).unwrap();
    row.departs && row.wire_for("any", Format::Chat).is_ok_and(|wire| wire.takes(Format::Chat))
}

/// Rows by name: a provider by its own where its models are alike.
fn named(rows: &[(&str, &str)]) -> String {
    let all = |of: &dyn Fn(&(&str, &str)) -> bool| {
        MODELS.iter().filter(|row| of(row)).all(|row| rows.contains(row))
    };
    let mut names = Vec::new();
    let are_all = all(&is_compatible);
    if are_all {
        names.push("COMPATIBLE".to_owned());
    }
    for (provider, model) in rows.iter().filter(|row| !are_all || !is_compatible(row)) {
        let alike = all(&|(other, _)| other == provider);
        let name = if alike { (*provider).to_owned() } else { format!("{provider}/{model}") };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(" ")
}

/// The kept table answered anew, how many cells it has, and what must not be in any.
fn table(kept: &str) -> (String, usize, Vec<String>) {
    let (mut text, mut count, mut faults) = (String::new(), 0, Vec::new());
    let mut name = "";
    for line in kept.lines().filter(|line| !line.starts_with(' ')) {
        writeln!(text, "{line}").unwrap();
        if let Some(next) = line.strip_prefix("# ") {
            name = next;
        }
        let Some((dialect, saying)) = line.split_once(" {") else { continue };
        let speaks = DIALECTS.iter().find(|speaks| speaks.name == dialect).expect("a dialect");
        let saying = format!("{{{saying}");
        let mut cells: Vec<(String, Vec<(&str, &str)>)> = Vec::new();
        for (provider, model) in MODELS {
            let cell = cell(name, speaks, &saying, (provider, model), &mut faults);
            let Some(cell) = cell else { continue };
            count += 1;
            match cells.iter_mut().find(|(same, _)| *same == cell) {
                Some((_, rows)) => rows.push((provider, model)),
                None => cells.push((cell, vec![(provider, model)])),
            }
        }
        for (cell, rows) in cells {
            writeln!(text, "    {cell}\n        {}", named(&rows)).unwrap();
        }
    }
    (text, count, faults)
}

#[test]
fn every_option_is_carried_or_refused_or_named_as_the_kept_table_says() {
    let kept = kept();
    let (now, cells, faults) = table(&kept);
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fields.txt");
    std::fs::write(&new, &now).unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(cells > CELLS_MIN, "{cells} cells");
    let differs = kept.lines().zip(now.lines()).find(|(kept, now)| kept != now);
    assert_eq!(differs, None, "the table of today is {}", new.display());
    assert_eq!(kept.len(), now.len(), "the table of today is {}", new.display());
}

#[test]
fn every_provider_is_in_the_table() {
    for provider in PROVIDERS {
        assert!(MODELS.iter().any(|(name, _)| *name == provider.name), "{}", provider.name);
    }
}
