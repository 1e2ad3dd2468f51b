//! Recorded exchanges of Cohere's chat.

use std::path::Path;

use farebox_core::{ChatEvent, Reported};
use farebox_providers::Billing;
use serde_json::Value;

use crate::support::{byte_at_a_time, decode, provider, shown, wire, with_bom, with_crlf};
use crate::{deltas, splits, spoken};

const MODEL: &str = "command-a-03-2025";

/// APIs of Cohere that Farebox does not call, and why. Embeddings are checked with the others'.
const SKIPPED: &[(&str, &str)] = &[
    ("audio", "transcriptions are not served"),
    ("rerank", "priced by the search unit, which is not served"),
    ("embeddings", "checked with those of the others"),
];

#[test]
fn recorded_exchanges_of_cohere_decode_to_what_they_say_is_billed() {
    let Some(corpus) = std::env::var_os("FAREBOX_CORPUS") else {
        println!("skipped: FAREBOX_CORPUS names no corpus");
        return;
    };
    let mut counts = [0; 3];
    for entry in std::fs::read_dir(Path::new(&corpus).join("exchanges")).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        let exchange: Value = serde_json::from_slice(&file).unwrap();
        let api = exchange["api"].as_str().unwrap();
        if exchange["provider"] != "cohere" {
            continue;
        }
        if api != "cohere-chat" {
            assert!(SKIPPED.iter().any(|(skipped, _)| *skipped == api), "{api}");
            continue;
        }
        let kind = match (exchange["status"].as_u64(), exchange["stream"].as_bool()) {
            (Some(200), Some(false)) => 0,
            (Some(200), _) => 1,
            _ => 2,
        };
        [check_answer, check_stream, check_failure][kind](&exchange);
        counts[kind] += 1;
    }
    println!("answers, streams, failures: {counts:?}; skipped {SKIPPED:?}");
    assert_eq!(counts, [51, 15, 2]);
}

fn check(id: &str, usage: &Value, reported: &Reported) {
    let billed = |field: &str| usage["billed_units"][field].as_u64().unwrap();
    let read = &reported.usage;
    assert_eq!(read.prompt_tokens(), billed("input_tokens"), "{id}: {usage}");
    assert_eq!(read.completion_tokens(), billed("output_tokens"), "{id}: {usage}");
    assert_eq!(reported.unknown_fields, Vec::<String>::new(), "{id}: {usage}");
}

fn check_answer(exchange: &Value) {
    let (id, cohere) = (exchange["id"].as_str().unwrap(), provider("cohere"));
    let body = exchange["response"]["body"].as_str().unwrap();
    let answer = wire(cohere, MODEL).decode(cohere, body.as_bytes());
    let answer = answer.unwrap_or_else(|error| panic!("{id}: {error}"));
    check(id, &exchange["usage"], &answer.reported.unwrap());
    let stated: Value = serde_json::from_str(body).unwrap();
    let message = &answer.choices[0]["message"];
    let called = message["tool_calls"].as_array().map_or(0, Vec::len);
    assert_eq!(called, stated["message"]["tool_calls"].as_array().map_or(0, Vec::len), "{id}");
    assert_eq!(message["citations"], stated["message"]["citations"], "{id}");
}

fn check_stream(exchange: &Value) {
    let (id, cohere) = (exchange["id"].as_str().unwrap(), provider("cohere"));
    let body = exchange["response"]["body"].as_str().unwrap().as_bytes();
    let whole = decode(cohere, MODEL, body, &[]);
    let expected = shown(&whole);
    let events = whole.unwrap_or_else(|error| panic!("{id}: {error}"));
    let last = events.iter().find_map(|event| match event {
        ChatEvent::Usage(reported) => Some(reported),
        _ => None,
    });
    check(id, &exchange["usage"], last.unwrap_or_else(|| panic!("{id}: {expected}")));
    assert_eq!(deltas(&events).filter(|delta| !delta["role"].is_null()).count(), 1, "{id}");
    assert_eq!(spoken(&events), text(body), "{id}");
    for cuts in splits(id, body) {
        assert!(shown(&decode(cohere, MODEL, body, &cuts)) == expected, "{id}: {cuts:?}");
    }
    for body in [with_crlf(body), with_bom(body)] {
        let got = shown(&decode(cohere, MODEL, &body, &byte_at_a_time(&body)));
        assert!(got == expected, "{id}");
    }
}

/// The text and the plan that the stream carries, read line by line.
fn text(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body).into_owned();
    let mut text = String::new();
    for data in body.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
        for pointer in ["/delta/message/content/text", "/delta/message/tool_plan"] {
            text.push_str(event.pointer(pointer).and_then(Value::as_str).unwrap_or_default());
        }
    }
    text
}

fn check_failure(exchange: &Value) {
    let (id, cohere) = (exchange["id"].as_str().unwrap(), provider("cohere"));
    let body = exchange["response"]["body"].as_str().unwrap().as_bytes();
    let status = u16::try_from(exchange["status"].as_u64().unwrap()).unwrap();

    let failure = wire(cohere, MODEL).failure(cohere, status, body);

    assert!(!failure.message.contains("answered with status"), "{id}");
    assert_eq!(failure.billing, Billing::UnbilledInferred, "{id}");
}
