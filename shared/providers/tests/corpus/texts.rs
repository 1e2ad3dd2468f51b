//! Recorded embeddings and legacy completions.

use std::path::Path;

use farebox_core::{ChatEvent, Format};
use farebox_providers::find;
use serde_json::Value;

use crate::support::{byte_at_a_time, decode, provider, shown};

/// Providers whose embeddings are not sent by Farebox, and why.
const SKIPPED: &[(&str, &str)] = &[
    ("perplexity", "only vectors of int8, which OpenAI's format does not have"),
    ("voyageai", "no row: it serves nothing but embeddings and rerank"),
];

#[test]
fn recorded_embeddings_and_completions_decode_to_the_usage_that_they_state() {
    let Some(corpus) = std::env::var_os("FAREBOX_CORPUS") else {
        println!("skipped: FAREBOX_CORPUS names no corpus");
        return;
    };
    let (mut embeddings, mut completions, mut skipped) = (0, 0, 0);
    for entry in std::fs::read_dir(Path::new(&corpus).join("exchanges")).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        let exchange: Value = serde_json::from_slice(&file).unwrap();
        match exchange["api"].as_str().unwrap() {
            "embeddings" => match check_embedding(&exchange) {
                true => embeddings += 1,
                false => skipped += 1,
            },
            "openai-completions" => {
                check_completion(&exchange);
                completions += 1;
            }
            _ => {}
        }
    }
    println!("{embeddings} embeddings, {completions} completions, {skipped} skipped: {SKIPPED:?}");
    assert!((embeddings, completions) == (26, 2), "{embeddings} {completions}");
}

fn check_embedding(exchange: &Value) -> bool {
    let name = exchange["provider"].as_str().unwrap();
    let wire = find(name).and_then(|row| row.wire_for("embed", Format::Embeddings).ok());
    let Some(wire) = wire else {
        assert!(SKIPPED.iter().any(|(skipped, _)| *skipped == name), "{name} is not skipped");
        return false;
    };
    let id = exchange["id"].as_str().unwrap();
    let body = exchange["response"]["body"].as_str().unwrap();
    let answer = wire.decode(provider(name), body.as_bytes());
    if exchange["status"] != 200 {
        assert!(answer.is_err(), "{id}");
        return true;
    }
    let answer = answer.unwrap_or_else(|error| panic!("{id}: {error}"));
    let reported = answer.reported.unwrap_or_else(|| panic!("{id}: no usage"));
    let usage = &exchange["usage"];
    let billed = usage.pointer("/billed_units/input_tokens").unwrap_or(&usage["prompt_tokens"]);
    assert_eq!(Some(reported.usage.prompt_tokens()), billed.as_u64(), "{id}: {usage}");
    assert_eq!(reported.usage.completion_tokens(), 0, "{id}");
    assert!(reported.unknown_fields.is_empty(), "{id}: {:?}", reported.unknown_fields);
    true
}

fn check_completion(exchange: &Value) {
    let (id, openai) = (exchange["id"].as_str().unwrap(), provider("openai"));
    let body = exchange["response"]["body"].as_str().unwrap().as_bytes();
    let usage = &exchange["usage"];
    let reported = if exchange["stream"] == true {
        let whole = decode(openai, "gpt-3.5-turbo-instruct", body, &[]);
        for cuts in (1..body.len()).map(|cut| vec![cut]).chain([byte_at_a_time(body)]) {
            let cut = shown(&decode(openai, "gpt-3.5-turbo-instruct", body, &cuts));
            assert_eq!(cut, shown(&whole), "{id}");
        }
        let events = whole.unwrap();
        assert!(events.iter().any(|event| matches!(event, ChatEvent::Finish { .. })), "{id}");
        events.into_iter().find_map(|event| match event {
            ChatEvent::Usage(reported) => Some(reported),
            _ => None,
        })
    } else {
        let wire = openai.wire_for("gpt-3.5-turbo-instruct", Format::Completions).unwrap();
        let answer = wire.decode(openai, body).unwrap();
        assert!(answer.choices[0]["message"]["content"].is_string(), "{id}");
        answer.reported
    };
    let read = reported.unwrap().usage;
    assert_eq!(Some(read.prompt_tokens()), usage["prompt_tokens"].as_u64(), "{id}");
    assert_eq!(Some(read.completion_tokens()), usage["completion_tokens"].as_u64(), "{id}");
}
