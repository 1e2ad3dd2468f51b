//! Recorded exchanges, told again in every dialect of callers.
//!
//! Runs where `FAREBOX_CORPUS` names the corpus. `FAREBOX_RETOLD` names a file to write to: one
//! line an answer, which `.ci/clients/judge.py` reads by the types of the official SDKs.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farebox_chat::dialect::{Answer, COMPLETIONS, Dialect, EMBEDDINGS};
use farebox_chat::gather::Gathered;
use farebox_core::{ChatEvent, Completion, Format, Usage};
use farebox_providers::{Provider, Wire, find};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[path = "fuzz/dialects.rs"]
mod dialects;
#[path = "../../../shared/providers/tests/support/eventstream.rs"]
mod eventstream;
#[path = "fuzz/writing.rs"]
mod writing;
use dialects::DIALECTS;
use writing::{begun, ended, with_answer};

/// The dialects of chats whose schema is published as the types of an SDK.
const JUDGED: [&str; 4] = ["chat", "responses", "messages", "gemini"];

/// The dialects, how many answers are told whole in each, and how many as streams: a chat in every
/// dialect of chats, and as a completion where it is a text alone.
const TOLD: [(&str, usize, usize); 6] = [
    ("chat", 1_093, 231),
    ("embeddings", 26, 0),
    ("gemini", 1_093, 231),
    ("messages", 1_093, 231),
    ("responses", 1_093, 231),
    ("texts", 760, 144),
];

/// What is not told again, and why.
const SKIPPED: [(&str, usize); 18] = [
    ("a refusal", 29),
    // Cut by hand, or an error inside a good status.
    ("a stream without its end", 13),
    ("api anthropic-count-tokens", 4),
    ("api audio", 14),
    ("api bedrock-invoke", 12),
    ("api gemini-count-tokens", 3),
    ("api gemini-embeddings", 6),
    ("api gemini-interactions", 17),
    ("api images", 7),
    ("api models", 4),
    ("api moderations", 5),
    ("api rerank", 6),
    ("api vertex-embeddings", 6),
    // Its vectors of bytes are no vectors of OpenAI's; its row takes no embeddings.
    ("embeddings of perplexity", 2),
    ("provider voyageai", 1),
    ("several answers in one file", 1),
    // Filed as a response, and is a chat completion.
    ("the provider's answer is not a response (line 0, column 0)", 1),
    // Made by hand: its JSON does not parse.
    ("the provider's answer is not an event of a response (line 1, column 507)", 1),
];

/// Providers of the corpus that have no row of their own, or none for an api.
const STAND_INS: &[(&str, &str, &str)] = &[
    ("bedrock", "openai-chat", "openai"),
    ("bedrock", "openai-responses", "openai"),
    ("open-responses", "openai-responses", "openai"),
    ("deepseek", "openai-responses", "openai"),
];

struct Exchange {
    id: String,
    provider: &'static Provider,
    wire: &'static dyn Wire,
    stream: bool,
    format: Format,
    /// A caller of the dialect of its format gets it as it came.
    passes: bool,
    /// How many answers a stream of chunks carries, by their ids.
    answers: usize,
    body: Vec<u8>,
}

/// An exchange, or why it is none that Farebox sends.
fn read(file: &Value) -> Result<Exchange, String> {
    let text = |field: &str| file[field].as_str().unwrap_or_default();
    let (api, name) = (text("api"), text("provider"));
    let (format, model) = match api {
        "openai-chat" | "cohere-chat" => (Format::Chat, "m"),
        "anthropic-messages" => (Format::Chat, "claude"),
        "openai-responses" => (Format::Responses, "m"),
        "gemini-generate" => (Format::Chat, "gemini-2.5-flash"),
        "bedrock-converse" | "bedrock-converse-stream" => (Format::Chat, "m"),
        "openai-completions" => (Format::Completions, "gpt-3.5-turbo-instruct"),
        "embeddings" => (Format::Embeddings, "m"),
        other => return Err(format!("api {other}")),
    };
    if file["status"] != 200 {
        return Err("a refusal".to_owned());
    }
    let stand_in = STAND_INS.iter().find(|row| row.0 == name && row.1 == api);
    let provider = find(stand_in.map_or(name, |row| row.2));
    let provider = provider.ok_or_else(|| format!("provider {name}"))?;
    let wire = provider.wire_for(model, format).map_err(|_| format!("{api} of {name}"))?;
    // A response is told anew even to a caller of responses: its id is not the provider's.
    let told_as = if format == Format::Responses { Format::Chat } else { format };
    // As `Admitted::is_verbatim` has it: a vector is the same whoever sends it.
    let is_faithful = provider.faithful.contains(&told_as) || format == Format::Embeddings;
    let passes = is_faithful && wire.takes(told_as);
    let stream = file["stream"].as_bool().unwrap();
    let body = text_of(file, api == "bedrock-converse-stream")?;
    let chunks = String::from_utf8_lossy(&body).into_owned();
    let ids = chunks.lines().filter_map(|line| line.strip_prefix("data: {\"id\":\"chatcmpl-"));
    let ids: BTreeSet<_> = ids.filter_map(|line| line.split('"').next()).collect();
    let answers = ids.len();
    let id = text("id").to_owned();
    Ok(Exchange { answers, id, provider, wire, stream, format, passes, body })
}

/// The body as it was sent; a stream of Bedrock stands in the corpus event by event.
fn text_of(file: &Value, is_event_stream: bool) -> Result<Vec<u8>, String> {
    let response = &file["response"];
    let body = response["body"].as_str().unwrap();
    if !is_event_stream {
        return Ok(body.as_bytes().to_vec());
    }
    if response["body_encoding"] == "base64" {
        return STANDARD.decode(body).map_err(|fault| fault.to_string());
    }
    let mut out = Vec::new();
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        let event: Value = serde_json::from_str(line).map_err(|fault| fault.to_string())?;
        let (name, payload) = event.as_object().unwrap().iter().next().unwrap();
        out.extend(eventstream::event(name, payload));
    }
    Ok(out)
}

/// The events of a stream. A file that carries several answers is read up to the second.
fn events(exchange: &Exchange, frames: bool) -> Result<Vec<ChatEvent>, String> {
    let mut decoder = exchange.wire.decoder(exchange.provider, frames);
    let mut events = Vec::new();
    let fed = decoder.feed(&exchange.body, &mut events);
    let ended = |events: &[ChatEvent]| events.iter().any(|one| matches!(one, ChatEvent::Done));
    let fed = if ended(&events) { Ok(()) } else { fed.and_then(|()| decoder.end(&mut events)) };
    fed.map_err(|fault| fault.to_string())?;
    if exchange.answers > 1 {
        return Err("several answers in one file".to_owned());
    }
    let failed = events.iter().any(|event| matches!(event, ChatEvent::Failed { .. }));
    if ended(&events) && !failed { Ok(events) } else { Err("a stream without its end".to_owned()) }
}

/// A completion of a provider with what `relay` fills in where its format has no word for it.
fn whole_of(exchange: &Exchange) -> Result<(Completion, Option<Usage>), String> {
    let (mut completion, usage) = if exchange.stream {
        let events = events(exchange, false)?;
        let mut gathered = Gathered::default();
        events.iter().for_each(|event| gathered.event(event));
        let (mut completion, usage) = last_words(&events);
        completion.choices = gathered.choices();
        (completion, usage)
    } else {
        let answer = exchange.wire.decode(exchange.provider, &exchange.body);
        let answer = answer.map_err(|fault| fault.to_string())?;
        let usage = answer.reported.as_ref().map(|reported| reported.usage);
        (answer, usage)
    };
    if completion.model.is_empty() {
        completion.model = "m".to_owned();
    }
    Ok((completion, usage))
}

fn last_words(events: &[ChatEvent]) -> (Completion, Option<Usage>) {
    let mut completion = Completion::default();
    let mut usage = None;
    for event in events {
        match event {
            ChatEvent::Start { id, model } => {
                completion.id.clone_from(id);
                completion.model.clone_from(model);
            }
            ChatEvent::Usage(reported) => usage = Some(reported.usage),
            _ => {}
        }
    }
    (completion, usage)
}

fn streamed(dialect: &dyn Dialect, events: &[ChatEvent], verbatim: bool) -> String {
    let mut writer = begun(dialect, verbatim);
    let mut out = Vec::new();
    for event in events {
        let mut event = event.clone();
        if let ChatEvent::Start { model, .. } = &mut event
            && model.is_empty()
        {
            model.push('m');
        }
        writer.event(&event, &mut out);
    }
    let (completion, usage) = last_words(events);
    out.extend(ended(dialect, &mut *writer, &completion, usage.as_ref()));
    String::from_utf8(out).expect("UTF-8")
}

/// The names of all fields of an answer or of the chunks of a stream, by their paths.
fn names(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            names(value, &path, out);
            out.insert(path);
        }),
        Value::Array(items) => items.iter().for_each(|item| names(item, path, out)),
        _ => {}
    }
}

fn names_of(body: &str, is_stream: bool) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let chunks = body.lines().filter_map(|line| line.strip_prefix("data:"));
    let chunks: Vec<&str> = if is_stream { chunks.collect() } else { vec![body] };
    for value in chunks.into_iter().filter_map(|chunk| serde_json::from_str(chunk).ok()) {
        names(&value, "", &mut out);
    }
    out
}

/// What a caller of the format is not told as it came, and why.
const PUT_RIGHT: [(&str, &str); 3] = [
    (".choices.message.content.", "Mistral's content in parts becomes a text and a thought"),
    (".choices.delta.content.", "the same"),
    (".usage.cost.", "a provider's own stands in usage.provider_cost"),
];

/// No field is lost on the way to a caller of the format.
fn assert_kept(exchange: &Exchange, told: &str) {
    let body = String::from_utf8_lossy(&exchange.body);
    let told = names_of(told, exchange.stream);
    for name in names_of(&body, exchange.stream) {
        let reason = PUT_RIGHT.iter().find(|(part, _)| name.starts_with(part));
        assert!(told.contains(&name) || reason.is_some(), "{}: {name} is lost", exchange.id);
    }
}

/// The dialects in which an exchange is told again.
fn dialects(
    exchange: &Exchange,
    completion: &Completion,
) -> Vec<(&'static str, &'static dyn Dialect)> {
    // Who asks for a completion can offer no tools and, of a model of chats, no probabilities.
    let is_text =
        |choice: &Value| choice["message"]["tool_calls"].is_null() && choice["logprobs"].is_null();
    let texts: [(&str, &dyn Dialect); 1] = [("texts", &COMPLETIONS)];
    match exchange.format {
        Format::Embeddings => vec![("embeddings", &EMBEDDINGS)],
        Format::Completions => texts.to_vec(),
        _ => {
            let told = DIALECTS.iter().filter(|row| JUDGED.contains(&row.0)).copied();
            let is_text = completion.choices.iter().all(is_text);
            told.chain(texts.into_iter().filter(|_| is_text)).collect()
        }
    }
}

/// A list of vectors, by index or by type of number.
#[derive(Deserialize)]
struct Vectors {
    #[serde(default)]
    data: Vec<Vector>,
    #[serde(default)]
    embeddings: BTreeMap<String, Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
struct Vector {
    embedding: Box<RawValue>,
}

/// The vectors of an answer, in the very digits of its provider.
fn vectors(body: &[u8]) -> Vec<Value> {
    let Vectors { data, embeddings } = serde_json::from_slice(body).unwrap();
    let by_index = data.into_iter().map(|item| item.embedding);
    let vectors = by_index.chain(embeddings.into_values().flatten());
    vectors.map(|vector| Value::from(vector.get())).collect()
}

/// What was said and called, in the common shape.
fn said(choice: &Value) -> (String, Vec<(String, Value)>) {
    let message = &choice["message"];
    let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| {
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        let read = serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments));
        (call["function"]["name"].as_str().unwrap_or_default().to_owned(), read)
    });
    (message["content"].as_str().unwrap_or_default().to_owned(), calls.collect())
}

#[test]
fn recorded_answers_are_told_in_every_dialect() {
    let Some(corpus) = std::env::var_os("FAREBOX_CORPUS") else {
        println!("skipped: FAREBOX_CORPUS names no corpus");
        return;
    };
    let mut retold = std::env::var_os("FAREBOX_RETOLD")
        .map(|file| std::io::BufWriter::new(std::fs::File::create(file).unwrap()));
    let entries = std::fs::read_dir(Path::new(&corpus).join("exchanges")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut told, mut skipped) = (BTreeMap::new(), BTreeMap::new());
    for file in files {
        let file: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let read = read(&file).and_then(|exchange| {
            let whole = whole_of(&exchange)?;
            let events = if exchange.stream { Some(events(&exchange, true)?) } else { None };
            Ok((exchange, whole, events))
        });
        let (exchange, (completion, usage), events) = match read {
            Ok(read) => read,
            Err(why) => {
                *skipped.entry(why).or_insert(0) += 1;
                continue;
            }
        };
        let expected: Vec<Value> = match exchange.format {
            Format::Embeddings => vectors(&exchange.body),
            _ => completion.choices.iter().map(|choice| json!(said(choice))).collect(),
        };
        for (name, dialect) in dialects(&exchange, &completion) {
            let own = match exchange.format {
                Format::Embeddings => "embeddings",
                Format::Completions => "texts",
                _ => "chat",
            };
            let passes = exchange.passes && name == own;
            let body = exchange.wire.told(exchange.provider, exchange.body.clone().into());
            let verbatim = (passes && !exchange.stream).then_some(&body);
            let whole = with_answer(dialect, &completion, usage.as_ref(), |answer| {
                dialect.answer(&Answer { verbatim, ..*answer }).to_vec()
            });
            let whole = String::from_utf8(whole).expect("UTF-8");
            let stream = events.as_ref().map(|events| streamed(dialect, events, passes));
            if passes {
                let told = stream.as_ref().unwrap_or(&whole);
                assert_kept(&exchange, told);
            }
            for (kind, body) in [("whole", Some(whole)), ("stream", stream)] {
                let Some(body) = body else { continue };
                *told.entry((name, kind)).or_insert(0) += 1;
                let has_choices = ["chat", "texts", "embeddings"].contains(&name);
                let choices = if has_choices { expected.len() } else { 1 };
                let said: Vec<_> = expected.iter().take(choices).collect();
                let line = json!({"id": exchange.id, "provider": exchange.provider.name,
                    "dialect": name, "kind": kind, "body": body, "said": said, "usage": usage});
                if let Some(file) = &mut retold {
                    writeln!(file, "{line}").unwrap();
                }
            }
        }
    }
    println!("told: {told:?}\nskipped: {skipped:#?}");
    let told_as = |name, kind| told.get(&(name, kind)).copied().unwrap_or_default();
    let told = TOLD.map(|(name, ..)| (name, told_as(name, "whole"), told_as(name, "stream")));
    assert_eq!(told, TOLD);
    let skipped: BTreeMap<&str, usize> =
        skipped.iter().map(|(why, count)| (why.as_str(), *count)).collect();
    assert_eq!(skipped, BTreeMap::from(SKIPPED));
}
