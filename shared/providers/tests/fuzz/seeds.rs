//! What is changed: our own fixtures, and the recorded exchanges where they are at hand.

use std::collections::BTreeMap;

use farebox_core::Format;
use farebox_providers::{PROVIDERS, Provider, Wire};
use serde_json::Value;

use crate::events::events;
use crate::eventstream::{event, message};
use crate::mutator::{Dice, mutate_bytes};

/// Which wire format a body is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Chat,
    Responses,
    Texts,
    Embeddings,
    Messages,
    Gemini,
    Converse,
    Cohere,
    CohereEmbed,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Chat,
        Self::Responses,
        Self::Texts,
        Self::Embeddings,
        Self::Messages,
        Self::Gemini,
        Self::Converse,
        Self::Cohere,
        Self::CohereEmbed,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Texts => "texts",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
            Self::Converse => "converse",
            Self::Cohere => "cohere",
            Self::CohereEmbed => "cohere-embed",
        }
    }

    /// The format of a recorded exchange, by the corpus' word for it.
    fn of_api(api: &str) -> Option<Self> {
        match api {
            "openai-chat" => Some(Self::Chat),
            "openai-responses" => Some(Self::Responses),
            "anthropic-messages" => Some(Self::Messages),
            "gemini-generate" => Some(Self::Gemini),
            "bedrock-converse" => Some(Self::Converse),
            "cohere-chat" => Some(Self::Cohere),
            _ => None,
        }
    }
}

/// A provider's row with one of its wire formats.
pub struct Target {
    pub provider: &'static Provider,
    pub wire: &'static dyn Wire,
    pub kind: Kind,
}

/// Every provider with each of its formats.
pub fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    for provider in PROVIDERS {
        for (format, model) in [
            (Format::Chat, "gemini-3"),
            (Format::Chat, "m"),
            (Format::Chat, "claude"),
            (Format::Responses, "m"),
            (Format::Completions, "m-instruct"),
            (Format::Embeddings, "m"),
        ] {
            let Ok(wire) = provider.wire_for(model, format) else { continue };
            let kind = kind(provider.name, format, model);
            let known = |target: &Target| target.provider.name == provider.name;
            if !targets.iter().any(|target| known(target) && target.kind == kind) {
                targets.push(Target { provider, wire, kind });
            }
        }
    }
    targets
}

fn kind(provider: &str, format: Format, model: &str) -> Kind {
    match (provider, format) {
        ("anthropic", _) => Kind::Messages,
        ("demo", Format::Chat) if model == "claude" => Kind::Messages,
        ("demo", Format::Chat) if model == "gemini-3" => Kind::Gemini,
        ("gemini" | "vertexai", _) => Kind::Gemini,
        ("bedrock", _) => Kind::Converse,
        ("cohere", Format::Embeddings) => Kind::CohereEmbed,
        ("cohere", _) => Kind::Cohere,
        ("openai" | "azure" | "xai" | "demo", Format::Responses) => Kind::Responses,
        ("xai" | "deepseek" | "mistral" | "groq" | "perplexity", Format::Completions) => Kind::Chat,
        ("cerebras" | "moonshotai" | "alibaba", Format::Completions) => Kind::Chat,
        (_, Format::Completions) => Kind::Texts,
        (_, Format::Embeddings) => Kind::Embeddings,
        _ => Kind::Chat,
    }
}

/// The events of a stream, each with its name.
pub type Stream = Vec<(String, String)>;

/// All that is changed.
pub struct Seeds {
    streams: BTreeMap<Kind, Vec<Stream>>,
    wholes: BTreeMap<Kind, Vec<String>>,
    pub failures: Vec<String>,
}

impl Seeds {
    /// Our own fixtures.
    pub fn own() -> Self {
        let whole: Value = serde_json::from_str(include_str!("../../fixtures/whole.json")).unwrap();
        let texts = |name: &str| -> Vec<String> {
            whole[name].as_array().unwrap().iter().map(Value::to_string).collect()
        };
        let wholes = Kind::ALL.into_iter().map(|kind| (kind, texts(kind.name()))).collect();
        let mut seeds = Self { streams: BTreeMap::new(), wholes, failures: texts("failures") };
        let folder = std::path::Path::new(crate::FIXTURES);
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "sse")) {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let kind = match name.split('-').next().unwrap() {
                "openai" if name == "openai-legacy" => Kind::Texts,
                "openai" | "openrouter" | "cerebras" | "vllm" => Kind::Chat,
                "responses" => Kind::Responses,
                "anthropic" => Kind::Messages,
                "gemini" => Kind::Gemini,
                "cohere" => Kind::Cohere,
                other => panic!("{other}: whose stream is it?"),
            };
            let text = std::fs::read_to_string(file).unwrap();
            let text = if name == "gemini-array" { of_array(&text) } else { events(&text) };
            seeds.streams.entry(kind).or_default().push(text);
        }
        seeds.streams.insert(Kind::Converse, vec![converse()]);
        for row in PROVIDERS {
            let read = |ending: &str| {
                std::fs::read_to_string(folder.join(format!("providers/{}.{ending}", row.name)))
            };
            let kind = kind(row.name, Format::Chat, "m");
            seeds.streams.entry(kind).or_default().push(events(&read("sse").unwrap()));
            seeds.wholes.entry(kind).or_default().push(read("json").unwrap());
        }
        for kind in [Kind::Embeddings, Kind::CohereEmbed] {
            let events = texts(kind.name()).into_iter().map(|text| (String::new(), text));
            seeds.streams.insert(kind, vec![events.collect()]);
        }
        seeds
    }

    /// Those, and the recorded exchanges.
    pub fn read() -> Self {
        let mut seeds = Self::own();
        #[expect(clippy::disallowed_methods, reason = "a campaign says where its corpus is")]
        let corpus = std::env::var_os("FAREBOX_CORPUS");
        let Some(corpus) = corpus else { return seeds };
        let folder = std::path::Path::new(&corpus).join("exchanges");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let exchange: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            let Some(kind) = Kind::of_api(exchange["api"].as_str().unwrap()) else { continue };
            let body = exchange["response"]["body"].as_str().unwrap();
            if body.len() > 20_000 {
                continue;
            }
            match (exchange["status"].as_u64(), exchange["stream"].as_bool()) {
                (Some(200), Some(true)) => {
                    seeds.streams.get_mut(&kind).unwrap().push(events(body));
                }
                (Some(200), _) => seeds.wholes.get_mut(&kind).unwrap().push(body.to_owned()),
                _ => seeds.failures.push(body.to_owned()),
            }
        }
        seeds
    }

    pub fn streams(&self, kind: Kind) -> &[Stream] {
        &self.streams[&kind]
    }

    pub fn wholes(&self, kind: Kind) -> &[String] {
        &self.wholes[&kind]
    }
}

fn of_array(text: &str) -> Stream {
    let chunks: Vec<Value> = serde_json::from_str(text.trim()).unwrap();
    chunks.iter().map(|chunk| (String::new(), chunk.to_string())).collect()
}

fn converse() -> Stream {
    let whole = [
        ("messageStart", r#"{"role":"assistant"}"#),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"h"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"s"}}}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"text":"Hé"}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"c1","name":"f"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"a\":1}"}}}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":2}"#),
        ("messageStop", r#"{"stopReason":"tool_use"}"#),
        (
            "metadata",
            r#"{"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":12,
            "cacheReadInputTokens":5},"metrics":{"latencyMs":3}}"#,
        ),
    ];
    whole.map(|(name, data)| (name.to_owned(), data.to_owned())).into()
}

/// Events as messages of an AWS event stream, now and then broken.
pub fn event_stream(dice: &mut Dice, events: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in events {
        // A payload that is no JSON cannot be written by `event`; its bytes are put in later.
        let payload = serde_json::from_slice(data).unwrap_or(Value::Null);
        let headers = [(":message-type", "exception"), (":exception-type", name.as_str())];
        let plain = dice.below(40) > 0 && name.len() < 200;
        out.extend(if plain { event(name, &payload) } else { message(&headers[..1], &payload) });
    }
    if dice.one_in(10) { mutate_bytes(dice, out) } else { out }
}

/// Events as one array that grows.
pub fn array(dice: &mut Dice, events: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for (place, (_, data)) in events.iter().enumerate() {
        out.extend(if place == 0 { b"".iter() } else { b"\r\n,\n".iter() });
        out.extend(data);
    }
    out.extend(b"\n]\n");
    if dice.one_in(10) { mutate_bytes(dice, out) } else { out }
}
