//! Streams of Converse: binary, so written by their messages.

use serde_json::{Value, json};

use crate::eventstream::{event, message};
use crate::support::{byte_at_a_time, decode, provider, shown, wire};

const CLAUDE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// A stream of thinking, text and two tool calls, one of which tells no arguments.
fn stream() -> Vec<u8> {
    let delta = |index: u64, delta: Value| {
        event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta, "p": "ab"}))
    };
    let stop = |index: u64| event("contentBlockStop", &json!({"contentBlockIndex": index}));
    let call = |index: u64, id: &str, name: &str| {
        let start = json!({"toolUse": {"toolUseId": id, "name": name}});
        event("contentBlockStart", &json!({"contentBlockIndex": index, "start": start}))
    };
    [
        event("messageStart", &json!({"role": "assistant"})),
        delta(0, json!({"reasoningContent": {"text": "h"}})),
        delta(0, json!({"reasoningContent": {"text": "m"}})),
        delta(0, json!({"reasoningContent": {"signature": "sig"}})),
        stop(0),
        delta(1, json!({"text": "Hé"})),
        stop(1),
        call(2, "c1", "f"),
        delta(2, json!({"toolUse": {"input": "{\"a\""}})),
        delta(2, json!({"toolUse": {"input": ":1}"}})),
        stop(2),
        call(3, "c2", "g"),
        stop(3),
        event("messageStop", &json!({"stopReason": "tool_use"})),
        event("metadata", &json!({"metrics": {"latencyMs": 3}})),
        event(
            "metadata",
            &json!({"usage": {"inputTokens": 3, "outputTokens": 4,
            "totalTokens": 12, "cacheReadInputTokens": 5, "serverToolUsage": {}}}),
        ),
    ]
    .concat()
}

const EVENTS: &str = include_str!("../../fixtures/bedrock-tools.events");

#[test]
fn every_split_of_a_stream_gives_its_events() {
    let (bedrock, body) = (provider("bedrock"), stream());

    for cuts in (0..body.len()).map(|cut| vec![cut]).chain([byte_at_a_time(&body)]) {
        assert_eq!(shown(&decode(bedrock, CLAUDE, &body, &cuts)), EVENTS, "{cuts:?}");
    }
}

#[test]
fn a_call_ends_as_one_where_the_model_says_that_its_turn_is_over() {
    let start = json!({"toolUse": {"toolUseId": "c1", "name": "f"}});
    let body = [
        event("messageStart", &json!({"role": "assistant"})),
        event("contentBlockStart", &json!({"contentBlockIndex": 0, "start": start})),
        event("contentBlockStop", &json!({"contentBlockIndex": 0})),
        event("messageStop", &json!({"stopReason": "end_turn"})),
    ];
    let bedrock = provider("bedrock");

    let events = shown(&decode(bedrock, CLAUDE, &body.concat(), &[]));

    assert!(events.contains("finish 0 tool_calls"), "{events}");
    let call = json!({"toolUse": {"toolUseId": "c1", "name": "f", "input": {}}});
    let whole = json!({"output": {"message": {"content": [call]}}, "stopReason": "end_turn"});
    let whole = wire(bedrock, CLAUDE).decode(bedrock, whole.to_string().as_bytes()).unwrap();
    assert_eq!(whole.choices[0]["finish_reason"], "tool_calls");
}

#[test]
fn a_stream_cut_anywhere_reports_no_usage() {
    let (bedrock, body) = (provider("bedrock"), stream());

    for length in 0..body.len() {
        let events = shown(&decode(bedrock, CLAUDE, &body[..length], &[]));
        assert!(!events.contains("usage") && !events.contains("Malformed"), "{length}: {events}");
    }
}

#[test]
fn an_exception_inside_a_stream_is_told_and_reports_no_usage() {
    let body = [
        event("messageStart", &json!({"role": "assistant"})),
        message(
            &[(":exception-type", "throttlingException"), (":message-type", "exception")],
            &json!({"message": "Too many tokens"}),
        ),
    ];

    let events = shown(&decode(provider("bedrock"), CLAUDE, &body.concat(), &[]));

    assert!(events.ends_with("failed throttlingException: Too many tokens\n"), "{events}");
    assert!(!events.contains("usage"));
}
