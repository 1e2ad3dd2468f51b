//! Recorded exchanges of Bedrock: Converse and `ConverseStream`.

use std::path::Path;

use farebox_core::{ChatEvent, Reported};
use farebox_providers::Billing;
use serde_json::Value;

use crate::eventstream::event;
use crate::support::{decode, provider, shown, wire};
use crate::{deltas, splits, spoken};

const MODEL: &str = "us.amazon.nova-2-lite-v1:0";

/// APIs of Bedrock that Farebox does not call, and why.
const SKIPPED: &[(&str, &str)] = &[
    ("bedrock-invoke", "bills by headers, in a format for each family: Converse serves the same"),
    ("openai-responses", "the OpenAI-compatible endpoint: read by the row of openai"),
    ("openai-chat", "the OpenAI-compatible endpoint: read by the row of openai"),
    ("models", "a list of models is not billed"),
];

/// Usage that Farebox does not price: a part of the id, the first field.
const UNKNOWN: &[(&str, &str)] = &[];

#[test]
fn recorded_exchanges_of_converse_decode_to_the_usage_that_they_state() {
    let Some(corpus) = std::env::var_os("FAREBOX_CORPUS") else {
        println!("skipped: FAREBOX_CORPUS names no corpus");
        return;
    };
    let mut counts = [0; 4];
    for entry in std::fs::read_dir(Path::new(&corpus).join("exchanges")).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        let exchange: Value = serde_json::from_slice(&file).unwrap();
        if exchange["provider"] != "bedrock" {
            continue;
        }
        let api = exchange["api"].as_str().unwrap();
        match (api, exchange["status"].as_u64()) {
            ("bedrock-converse", Some(200)) => check_answer(&exchange),
            ("bedrock-converse", _) => check_failure(&exchange),
            ("bedrock-converse-stream", Some(200)) => check_stream(&exchange),
            _ => assert!(SKIPPED.iter().any(|(skipped, _)| *skipped == api), "{api}"),
        }
        let kind = match (api, exchange["status"].as_u64()) {
            ("bedrock-converse", Some(200)) => 0,
            ("bedrock-converse-stream", _) => 1,
            ("bedrock-converse", _) => 2,
            _ => 3,
        };
        counts[kind] += 1;
    }
    println!("answers, streams, failures, skipped: {counts:?} {SKIPPED:?}");
    assert_eq!(counts, [73, 25, 2, 19]);
}

/// Compares with what the exchange itself states, read here in another way.
fn check(id: &str, usage: &Value, reported: &Reported) {
    let count = |field: &str| usage[field].as_u64().unwrap_or_default();
    let read = &reported.usage;
    assert_eq!(read.prompt, count("inputTokens"), "{id}: {usage}");
    assert_eq!(read.completion_tokens(), count("outputTokens"), "{id}: {usage}");
    assert_eq!(read.cached, count("cacheReadInputTokens"), "{id}: {usage}");
    let written = read.cache_write_5m + read.cache_write_1h;
    assert_eq!(written, count("cacheWriteInputTokens"), "{id}: {usage}");
    assert_eq!(read.total_tokens(), count("totalTokens"), "{id}: {usage}");
    let five = usage["cacheDetails"].as_array().into_iter().flatten();
    let five: u64 =
        five.filter(|d| d["ttl"] == "5m").filter_map(|d| d["inputTokens"].as_u64()).sum();
    assert_eq!(read.cache_write_5m, five, "{id}: {usage}");
    let unknown = UNKNOWN.iter().find(|(part, _)| id.contains(part)).map(|(_, field)| *field);
    assert_eq!(reported.unknown_fields.first().map(String::as_str), unknown, "{id}: {usage}");
}

fn check_answer(exchange: &Value) {
    let id = exchange["id"].as_str().unwrap();
    let body = exchange["response"]["body"].as_str().unwrap();
    let bedrock = provider("bedrock");
    let answer = wire(bedrock, MODEL).decode(bedrock, body.as_bytes());
    let answer = answer.unwrap_or_else(|error| panic!("{id}: {error}"));
    match (&answer.reported, exchange["usage"].is_null()) {
        (Some(reported), false) => check(id, &exchange["usage"], reported),
        (reported, _) => assert!(reported.is_none(), "{id}: {reported:?}"),
    }
    let stated: Value = serde_json::from_str(body).unwrap();
    let blocks = stated["output"]["message"]["content"].as_array().unwrap();
    let own = |block: &&Value| {
        block
            .get("toolUse")
            .is_some_and(|call| call["type"].as_str().is_none_or(|t| t == "tool_use"))
    };
    let called = answer.choices[0]["message"]["tool_calls"].as_array().map_or(0, Vec::len);
    assert_eq!(called, blocks.iter().filter(own).count(), "{id}");
}

fn check_failure(exchange: &Value) {
    let (id, bedrock) = (exchange["id"].as_str().unwrap(), provider("bedrock"));
    let body = exchange["response"]["body"].as_str().unwrap().as_bytes();
    let status = u16::try_from(exchange["status"].as_u64().unwrap()).unwrap();

    let failure = wire(bedrock, MODEL).failure(bedrock, status, body);

    assert!(!failure.message.contains("answered with status"), "{id}");
    assert_eq!(failure.billing, Billing::UnbilledInferred, "{id}");
}

/// The bytes of a stream: recorded, or framed here where the corpus has a line for each event.
fn bytes(exchange: &Value) -> Vec<u8> {
    let response = &exchange["response"];
    let body = response["body"].as_str().unwrap();
    if response["body_encoding"] == "base64" {
        return unpacked(body);
    }
    let lines = body.lines().filter(|line| !line.trim().is_empty());
    lines
        .flat_map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let (name, payload) = line.as_object().unwrap().iter().next().unwrap();
            event(name, payload)
        })
        .collect()
}

fn unpacked(base64: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut width, mut out) = (0_u32, 0, Vec::new());
    for letter in base64.bytes().filter(|letter| *letter != b'=') {
        let six = LETTERS.iter().position(|other| *other == letter).unwrap();
        bits = (bits << 6 | u32::try_from(six).unwrap()) & 0xFFFF;
        width += 6;
        if width >= 8 {
            width -= 8;
            out.push(u8::try_from(bits >> width & 0xFF).unwrap());
        }
    }
    out
}

fn check_stream(exchange: &Value) {
    let (id, bedrock, body) =
        (exchange["id"].as_str().unwrap(), provider("bedrock"), bytes(exchange));
    let whole = decode(bedrock, MODEL, &body, &[]);
    let expected = shown(&whole);
    let events = whole.unwrap_or_else(|error| panic!("{id}: {error}"));
    let last = events.iter().rev().find_map(|event| match event {
        ChatEvent::Usage(reported) => Some(reported),
        _ => None,
    });
    match (last, exchange["usage"].is_null()) {
        (Some(reported), false) => check(id, &exchange["usage"], reported),
        (last, _) => assert!(last.is_none(), "{id}: {expected}"),
    }
    let roles = deltas(&events).filter(|delta| !delta["role"].is_null()).count();
    assert_eq!(roles, 1, "{id}: {expected}");
    assert_eq!(spoken(&events), text(&body), "{id}");
    for cuts in splits(id, &body) {
        assert!(shown(&decode(bedrock, MODEL, &body, &cuts)) == expected, "{id}: {cuts:?}");
    }
}

/// The text that a stream carries, read from its bytes without its frames.
fn text(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let mut text = String::new();
    for (at, _) in body.match_indices(r#"{"text":"#) {
        let before = &body[..at];
        if before.ends_with(r#""delta":"#) {
            let mut values = serde_json::Deserializer::from_str(&body[at..]).into_iter::<Value>();
            text.push_str(values.next().unwrap().unwrap()["text"].as_str().unwrap());
        }
    }
    text
}
