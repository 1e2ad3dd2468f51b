//! The recorded streams of calls that may be metered: what is shown bounds what is billed.

use std::collections::BTreeMap;
use std::path::Path;

use farebox_core::{ChatCall, ChatEvent, Format};
use serde_json::Value;

use crate::files;

/// Streams that a real call could not have been: a part of the id, the reason.
const MADE_BY_HAND: &[(&str, &str)] = &[
    ("duplicate-message-start", "its texts were cut out, its usage was not"),
    ("spliced-message-start", "two answers in one"),
    ("anthropic-refusal-chunks", "nothing of it was billed"),
];

#[test]
fn the_bytes_of_a_stream_that_may_be_metered_bound_what_it_billed() {
    let Some(corpus) = std::env::var_os("FAREBOX_CORPUS") else { return };
    let mut seen = BTreeMap::<&str, usize>::new();
    for file in files(Path::new(&corpus)) {
        let file = std::fs::read(file).unwrap();
        let raw: Value = serde_json::from_slice(&file).unwrap();
        let (name, model) = (raw["provider"].as_str().unwrap(), raw["model"].as_str());
        let own = farebox_providers::find(name).zip(model);
        let Some((provider, model)) = own.filter(|_| raw["stream"] == true) else { continue };
        let id = raw["id"].as_str().unwrap();
        let body = raw["response"]["body"].as_str().unwrap();
        // What the request asked for is not recorded: a thought in the answer tells it.
        let thinks = provider.name == "anthropic" && body.contains("\"thinking");
        let hosted = ["server_tool_use", "fallback_message", "mcp_tool_use"];
        let metered = (provider.metered)(model, &ChatCall::default()) && !thinks;
        let by_hand = MADE_BY_HAND.iter().any(|(part, _)| id.contains(part));
        if !metered || by_hand || hosted.iter().any(|word| body.contains(word)) {
            continue;
        }
        let format = match raw["api"].as_str().unwrap() {
            "anthropic-messages" => Format::Messages,
            "openai-chat" | "cohere-chat" => Format::Chat,
            _ => continue,
        };
        let mut decoder = provider.wire_for(model, format).unwrap().decoder(provider, false);
        let mut events = Vec::new();
        decoder.feed(body.as_bytes(), &mut events).unwrap();
        decoder.end(&mut events).unwrap();
        let (mut shown, mut billed) = (16, 0);
        for event in &events {
            match event {
                ChatEvent::Delta { delta, .. } => shown += farebox_providers::shown_bytes(delta),
                ChatEvent::Usage(reported) => billed = reported.usage.completion_tokens(),
                _ => {}
            }
        }
        assert!(billed <= shown, "{id}: {billed} tokens of {shown} bytes");
        *seen.entry(provider.name).or_default() += 1;
    }
    println!("{seen:?}");
    for provider in ["anthropic", "deepseek", "cohere", "ollama"] {
        assert!(seen.get(provider).is_some_and(|streams| *streams > 5), "{seen:?}");
    }
}
