//! Our own exchanges in each wire format, decoded to the events in `fixtures/*.events`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use farebox_core::{ChatEvent, Usage};
use farebox_providers::DecodeError;
use serde_json::{Value, json};

#[path = "golden/bedrock.rs"]
mod bedrock;
#[path = "support/eventstream.rs"]
mod eventstream;
#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "golden/providers.rs"]
mod providers;
mod support;
use support::{byte_at_a_time, decode, provider, shown, wire, with_bom, with_crlf};

/// The provider, a model that selects the format, the stream, and its events.
const STREAMS: &[(&str, &str, &str, &str)] = &[
    (
        "openai",
        "chat",
        include_str!("../fixtures/openai-text.sse"),
        include_str!("../fixtures/openai-text.events"),
    ),
    (
        "openai",
        "chat",
        include_str!("../fixtures/openai-tools.sse"),
        include_str!("../fixtures/openai-tools.events"),
    ),
    (
        "groq",
        "chat",
        include_str!("../fixtures/openai-groq.sse"),
        include_str!("../fixtures/openai-groq.events"),
    ),
    (
        "openai",
        "chat",
        include_str!("../fixtures/openai-error.sse"),
        include_str!("../fixtures/openai-error.events"),
    ),
    (
        "openai",
        "chat",
        include_str!("../fixtures/openai-cut.sse"),
        include_str!("../fixtures/openai-cut.events"),
    ),
    (
        "openrouter",
        "chat",
        include_str!("../fixtures/openrouter-error.sse"),
        include_str!("../fixtures/openrouter-error.events"),
    ),
    (
        "cerebras",
        "chat",
        include_str!("../fixtures/cerebras-error.sse"),
        include_str!("../fixtures/cerebras-error.events"),
    ),
    (
        "vllm",
        "chat",
        include_str!("../fixtures/vllm-error.sse"),
        include_str!("../fixtures/vllm-error.events"),
    ),
    (
        "openai",
        "gpt-3.5-turbo-instruct",
        include_str!("../fixtures/openai-legacy.sse"),
        include_str!("../fixtures/openai-legacy.events"),
    ),
    (
        "cohere",
        "command-a",
        include_str!("../fixtures/cohere-tools.sse"),
        include_str!("../fixtures/cohere-tools.events"),
    ),
    (
        "cohere",
        "command-a",
        include_str!("../fixtures/cohere-error.sse"),
        include_str!("../fixtures/cohere-error.events"),
    ),
    (
        "anthropic",
        "claude",
        include_str!("../fixtures/anthropic-tools.sse"),
        include_str!("../fixtures/anthropic-tools.events"),
    ),
    (
        "demo",
        "claude",
        include_str!("../fixtures/anthropic-refusal.sse"),
        include_str!("../fixtures/anthropic-refusal.events"),
    ),
    (
        "anthropic",
        "claude",
        include_str!("../fixtures/anthropic-error.sse"),
        include_str!("../fixtures/anthropic-error.events"),
    ),
    (
        "openai",
        "responses",
        include_str!("../fixtures/responses-text.sse"),
        include_str!("../fixtures/responses-text.events"),
    ),
    (
        "openai",
        "responses",
        include_str!("../fixtures/responses-tools.sse"),
        include_str!("../fixtures/responses-tools.events"),
    ),
    (
        "openai",
        "responses",
        include_str!("../fixtures/responses-reasoning.sse"),
        include_str!("../fixtures/responses-reasoning.events"),
    ),
    (
        "openai",
        "responses",
        include_str!("../fixtures/responses-incomplete.sse"),
        include_str!("../fixtures/responses-incomplete.events"),
    ),
    (
        "openai",
        "responses",
        include_str!("../fixtures/responses-failed.sse"),
        include_str!("../fixtures/responses-failed.events"),
    ),
    (
        "openai",
        "responses",
        include_str!("../fixtures/responses-hosted.sse"),
        include_str!("../fixtures/responses-hosted.events"),
    ),
    (
        "openai",
        "responses",
        include_str!("../fixtures/responses-error.sse"),
        include_str!("../fixtures/responses-error.events"),
    ),
    (
        "openai",
        "responses",
        include_str!("../fixtures/responses-cut.sse"),
        include_str!("../fixtures/responses-cut.events"),
    ),
    (
        "gemini",
        "gemini-2.5-flash",
        include_str!("../fixtures/gemini-thoughts.sse"),
        include_str!("../fixtures/gemini-thoughts.events"),
    ),
    (
        "vertexai",
        "gemini-2.5-flash",
        include_str!("../fixtures/gemini-tools.sse"),
        include_str!("../fixtures/gemini-tools.events"),
    ),
    (
        "gemini",
        "gemini-2.5-flash",
        include_str!("../fixtures/gemini-error.sse"),
        include_str!("../fixtures/gemini-error.events"),
    ),
    (
        "gemini",
        "gemini-2.5-flash",
        include_str!("../fixtures/gemini-blocked.sse"),
        include_str!("../fixtures/gemini-blocked.events"),
    ),
    (
        "gemini",
        "gemini-2.5-flash",
        include_str!("../fixtures/gemini-cut.sse"),
        include_str!("../fixtures/gemini-cut.events"),
    ),
    (
        "demo",
        "gemini-2.5-flash",
        include_str!("../fixtures/gemini-array.sse"),
        include_str!("../fixtures/gemini-array.events"),
    ),
];

#[test]
fn every_split_of_a_stream_gives_its_events() {
    for (name, model, body, expected) in STREAMS {
        let provider = provider(name);
        for body in
            [body.as_bytes().to_vec(), with_crlf(body.as_bytes()), with_bom(body.as_bytes())]
        {
            let events = |cuts: &[usize]| shown(&decode(provider, model, &body, cuts));
            assert_eq!(events(&[]), *expected);
            assert_eq!(events(&byte_at_a_time(&body)), *expected);
            for cut in 1..body.len() {
                assert_eq!(events(&[cut]), *expected, "cut at {cut}");
            }
        }
    }
}

#[test]
fn a_stream_cut_anywhere_reports_no_usage_before_it_is_final() {
    for (name, model, body, _) in STREAMS {
        let whole = shown(&decode(provider(name), model, body.as_bytes(), &[]));
        let last = whole.lines().rfind(|line| line.starts_with("usage"));
        for length in 0..body.len() {
            let Ok(events) = decode(provider(name), model, &body.as_bytes()[..length], &[]) else {
                panic!("{name}: a cut at {length} is not a malformed stream");
            };
            let usage = events.iter().filter(|event| matches!(event, ChatEvent::Usage(_)));
            let usage = shown(&Ok(usage.cloned().collect()));
            assert!(usage.lines().all(|line| Some(line) == last), "{name} at {length}: {usage}");
        }
    }
}

#[test]
fn what_is_not_the_format_is_an_error() {
    for (name, model, body, lacks) in [
        ("openai", "chat", "data: {\"choices\":[{\"index\":128,\"delta\":{}}]}\n\n", "a chunk"),
        ("openai", "chat", "data: <html>\n\n", "a chat completion chunk"),
        ("openai", "chat", "data: {\"choices\":[],\"usage\":7}\n\n", "a usage object"),
        ("openai", "responses", "data: nonsense\n\n", "an event of a response"),
        (
            "openai",
            "responses",
            "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n\
             data: {\"type\":\"response.created\",\"response\":{}}\n\n",
            "one response",
        ),
        ("anthropic", "claude", "data: nonsense\n\n", "an event of a message"),
        (
            "anthropic",
            "claude",
            "data: {\"type\":\"message_stop\"}\n\n\
             data: {\"type\":\"message_start\",\"message\":{}}\n\n",
            "one message",
        ),
    ] {
        match decode(provider(name), model, body.as_bytes(), &[]) {
            Err(DecodeError::Malformed { expected, .. }) => {
                assert!(expected.starts_with(lacks), "{expected}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
    for (body, lacks) in [
        ("data: nonsense\n\n", "a response"),
        ("data: {\"candidates\":[{\"index\":128}]}\n\n", "a response"),
        ("[{}{\"candidates\":7}]", "a response"),
        ("[] {", "an array"),
        ("[7]", "an array"),
    ] {
        match decode(provider("gemini"), "gemini-2.5-flash", body.as_bytes(), &[]) {
            Err(DecodeError::Malformed { expected, .. }) => {
                assert!(expected.starts_with(lacks), "{expected}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
    let invalid = [b"data: \"".as_slice(), &[0xff], b"\"\n\n"].concat();
    assert!(decode(provider("openai"), "chat", &invalid, &[]).is_err());
}

#[test]
fn a_whole_openai_answer_keeps_its_choices() {
    let choices = json!([{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "grüezi", "annotations": []}}]);
    let body = json!({"id": "c", "model": "m-1", "service_tier": "default", "choices": choices,
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}});
    let openai = provider("openai");
    let wire = wire(openai, "chat");

    let answer = wire.decode(openai, body.to_string().as_bytes()).unwrap();

    assert_eq!((answer.id.as_str(), answer.model.as_str()), ("c", "m-1"));
    assert_eq!(Value::from(answer.choices), choices);
    let reported = answer.reported.unwrap();
    assert_eq!(reported.usage, Usage { prompt: 3, completion: 4, ..Usage::default() });
    assert_eq!(reported.service_tier.as_deref(), Some("default"));
    let failed = wire.decode(openai, br#"{"error":{"message":"no","code":500}}"#).unwrap_err();
    assert_eq!(failed, DecodeError::Reported { message: "no".to_owned() });
    assert!(wire.decode(openai, b"{}").is_err());
    let silent = wire.decode(openai, br#"{"choices":[]}"#).unwrap();
    assert_eq!(silent.reported, None);
}

#[test]
fn a_whole_anthropic_answer_takes_openais_shape() {
    let body = json!({"type": "message", "id": "msg", "model": "claude-x", "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "Let "}, {"type": "text", "text": "me see"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"city": "Genève"}}],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 5, "output_tokens": 6, "cache_read_input_tokens": 7}});
    let anthropic = provider("anthropic");
    let wire = wire(anthropic, "claude");

    let answer = wire.decode(anthropic, body.to_string().as_bytes()).unwrap();

    let function = json!({"name": "f", "arguments": "{\"city\":\"Genève\"}"});
    let detail = json!({"type": "reasoning.text", "text": "hm", "signature": "s",
        "format": "anthropic-claude-v1", "index": 0});
    let expected = json!([{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": "Let me see", "reasoning_content": "hm",
        "reasoning_details": [detail],
        "tool_calls": [{"id": "t", "type": "function", "function": function}]}}]);
    assert_eq!(Value::from(answer.choices), expected);
    let usage = Usage { prompt: 5, cached: 7, completion: 6, ..Usage::default() };
    assert_eq!(answer.reported.unwrap().usage, usage);
    let error = br#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#;
    let failed = wire.decode(anthropic, error).unwrap_err();
    assert_eq!(failed, DecodeError::Reported { message: "Busy".to_owned() });
}

#[test]
fn every_stop_reason_has_openais_word() {
    let anthropic = provider("anthropic");
    for (stop, finish) in [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
    ] {
        let text = json!({"type": "text", "text": "x"});
        let mut body = json!({"content": [text], "stop_reason": stop,
            "usage": {"input_tokens": 1, "output_tokens": 1}});
        let decode = |body: &Value| {
            let wire = wire(anthropic, "claude");
            wire.decode(anthropic, body.to_string().as_bytes()).unwrap()
        };
        let answer = decode(&body);
        assert_eq!(answer.choices[0]["finish_reason"], finish, "{stop}");
        assert!(!answer.reported.unwrap().unbilled);
        body["content"] = json!([]);
        assert_eq!(decode(&body).reported.unwrap().unbilled, stop == "refusal", "{stop}");
    }
}

#[test]
fn a_long_stream_takes_linear_time() {
    // Were a piece copied again with each later one, this would copy 70 GB.
    let long = format!("data: {{\"choices\":[],\"x\":\"{}\"}}\n\n", "y".repeat(1_000_000));
    let cuts: Vec<usize> = (1..long.len()).step_by(7).collect();
    assert_eq!(shown(&decode(provider("openai"), "chat", long.as_bytes(), &cuts)), "");
}

#[test]
fn many_sources_of_a_long_answer_have_their_places() {
    // Were each place counted anew in the text, this would look at 10^11 characters.
    let text = "é".repeat(3_000_000);
    let source = json!({"uri": "https://example.com/a", "startIndex": 3, "endIndex": 6_000_000});
    let candidate = json!({"content": {"parts": [{"text": text}]}, "finishReason": "STOP",
        "citationMetadata": {"citationSources": vec![source; 20_000]}});
    let body = json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 1}});
    let gemini = provider("gemini");

    let answer = wire(gemini, "gemini-2.5-flash").decode(gemini, body.to_string().as_bytes());

    let message = &answer.unwrap().choices[0]["message"];
    let place = &message["annotations"][0]["url_citation"];
    assert_eq!((&place["start_index"], &place["end_index"]), (&json!(2), &json!(3_000_000)));
}

#[test]
fn a_choice_that_calls_ends_so_whatever_its_provider_says() {
    // OpenAI itself says `stop` where the call was forced by its name.
    let function = json!({"name": "f", "arguments": "{}"});
    let call = json!({"index": 0, "id": "c", "type": "function", "function": function});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let openai = provider("openai");
    let of = |message: &Value| {
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        let body = json!({"id": "a", "model": "m", "choices": [choice]}).to_string();
        let whole = wire(openai, "chat").decode(openai, body.as_bytes()).unwrap();
        let first = json!({"id": "a", "choices": [{"index": 0, "delta": message}]});
        let last = json!({"id": "a",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let stream = format!("data: {first}\n\ndata: {last}\n\ndata: [DONE]\n\n");
        let events = shown(&decode(openai, "chat", stream.as_bytes(), &[]));
        (whole.choices[0]["finish_reason"].clone(), events)
    };

    let (whole, stream) = of(&message);

    assert_eq!(whole, "tool_calls");
    assert!(stream.contains("finish 0 tool_calls"), "{stream}");
    let (whole, stream) = of(&json!({"role": "assistant", "content": "x", "tool_calls": []}));
    assert_eq!(whole, "stop");
    assert!(stream.contains("finish 0 stop"), "{stream}");
}

#[test]
fn the_last_counts_of_a_message_stand_though_its_reason_came_before() {
    let start = json!({"type": "message_start", "message": {"id": "m", "model": "claude-x",
        "usage": {"input_tokens": 5, "output_tokens": 1}}});
    let delta = |reason: Value, tokens: u64| {
        json!({"type": "message_delta", "delta": {"stop_reason": reason},
            "usage": {"output_tokens": tokens}})
    };
    let events = [
        start,
        delta(json!("end_turn"), 2),
        delta(Value::Null, 700),
        json!({"type": "message_stop"}),
    ];
    let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();

    let events = decode(provider("anthropic"), "claude-x", stream.as_bytes(), &[]).unwrap();

    let counts = events.iter().rev().find_map(|event| match event {
        ChatEvent::Usage(reported) => Some(reported.usage.completion),
        _ => None,
    });
    assert_eq!(counts, Some(700));
}
