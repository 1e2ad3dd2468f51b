//! The sequence of events, by the rules of the format: what each event must have, and that the
//! events put the same response together as the last of them says.

use std::sync::Arc;

use farebox_core::{Completion, Money, Rid, Timestamp, Usage};
use serde_json::value::RawValue;

use super::*;
use crate::reply::Paid;

/// What each event must have beside its type and number (`OpenAI`'s description, 2026-11).
const REQUIRED: &[(&str, &[&str])] = &[
    ("response.created", &["response"]),
    ("response.in_progress", &["response"]),
    ("response.completed", &["response"]),
    ("response.incomplete", &["response"]),
    ("response.failed", &["response"]),
    ("response.output_item.added", &["output_index", "item"]),
    ("response.output_item.done", &["output_index", "item"]),
    ("response.content_part.added", &["item_id", "output_index", "content_index", "part"]),
    ("response.content_part.done", &["item_id", "output_index", "content_index", "part"]),
    (
        "response.output_text.delta",
        &["item_id", "output_index", "content_index", "delta", "logprobs"],
    ),
    (
        "response.output_text.done",
        &["item_id", "output_index", "content_index", "text", "logprobs"],
    ),
    ("response.refusal.delta", &["item_id", "output_index", "content_index", "delta"]),
    ("response.refusal.done", &["item_id", "output_index", "content_index", "refusal"]),
    ("response.function_call_arguments.delta", &["item_id", "output_index", "delta"]),
    ("response.function_call_arguments.done", &["item_id", "output_index", "name", "arguments"]),
    ("response.custom_tool_call_input.delta", &["item_id", "output_index", "delta"]),
    ("response.custom_tool_call_input.done", &["item_id", "output_index", "input"]),
    (
        "response.reasoning_summary_part.added",
        &["item_id", "output_index", "summary_index", "part"],
    ),
    ("response.reasoning_summary_part.done", &["item_id", "output_index", "summary_index", "part"]),
    (
        "response.reasoning_summary_text.delta",
        &["item_id", "output_index", "summary_index", "delta"],
    ),
    ("response.reasoning_summary_text.done", &["item_id", "output_index", "summary_index", "text"]),
];

fn opening(tools: &Value) -> Opening {
    let mut repeated = Map::new();
    repeated.insert("model".to_owned(), Value::from("asked"));
    repeated.insert("tools".to_owned(), tools.clone());
    Opening {
        request_id: Rid::new(Timestamp::from_ms(1), 1),
        created: 7,
        include_usage: false,
        verbatim: false,
        repeated: Arc::new(repeated),
    }
}

fn deltas(deltas: &[Value], reason: &str) -> Vec<ChatEvent> {
    let start = ChatEvent::Start { id: "c".to_owned(), model: "served".to_owned() };
    let deltas = deltas.iter().map(|delta| ChatEvent::Delta {
        choice: 0,
        delta: RawValue::from_string(delta.to_string()).unwrap(),
        logprobs: None,
    });
    let finish = ChatEvent::Finish { choice: 0, reason: reason.to_owned() };
    [start].into_iter().chain(deltas).chain([finish]).collect()
}

fn answered<T>(completion: &Completion, tools: &Value, ask: impl FnOnce(&Answer<'_>) -> T) -> T {
    let opening = opening(tools);
    let paid = Paid {
        request_id: opening.request_id,
        provider: "demo",
        cost: None,
        charged: Money::ONE_PICO,
        response_time_ms: 1,
    };
    let usage = Usage { prompt: 3, cached: 2, completion: 4, reasoning: 5, ..Usage::default() };
    ask(&Answer {
        completion,
        verbatim: None,
        usage: Some(&usage),
        paid: &paid,
        tier: None,
        repeated: &opening.repeated,
        created: 7,
    })
}

/// The events of a stream, each checked.
fn written(tools: &Value, events: &[ChatEvent], fails: bool) -> Vec<Value> {
    let mut writer = Events::new(opening(tools));
    let mut out = Vec::new();
    for event in events {
        writer.event(event, &mut out);
    }
    answered(&Completion::default(), tools, |answer| {
        if fails {
            writer.failed(&Error::internal("x"), answer, &mut out);
        } else {
            writer.last(answer, &mut out);
        }
    });
    let text = String::from_utf8(out).unwrap();
    let blocks = text.split("\n\n").filter(|block| block.starts_with("event: "));
    let events: Vec<Value> = blocks
        .map(|block| {
            let (name, data) = block.split_once("\ndata: ").unwrap();
            let event: Value = serde_json::from_str(data).unwrap();
            assert_eq!(name, format!("event: {}", event["type"].as_str().unwrap()));
            event
        })
        .collect();
    for (place, event) in events.iter().enumerate() {
        let kind = event["type"].as_str().unwrap();
        let row = REQUIRED.iter().find(|(name, _)| *name == kind);
        let (_, fields) = row.unwrap_or_else(|| panic!("no such event: {kind}"));
        assert_eq!(event["sequence_number"], place, "{event}");
        assert!(fields.iter().all(|field| !event[field].is_null()), "{event}");
    }
    events
}

/// The last event's response; the pieces before it say the same.
fn response(events: &[Value]) -> &Value {
    let response = &events.last().unwrap()["response"];
    let done: Vec<&Value> =
        events.iter().filter(|event| event["type"] == "response.output_item.done").collect();
    let items = response["output"].as_array().unwrap();
    assert_eq!(items.len(), done.len());
    for (place, item) in items.iter().enumerate() {
        let place = Value::from(place);
        let end = done.iter().find(|event| event["output_index"] == place).unwrap();
        assert_eq!(&end["item"], item);
        let pieces: String = events
            .iter()
            .filter(|event| event["output_index"] == place)
            .filter_map(|event| event["delta"].as_str())
            .collect();
        let told = |pointer: &str| item.pointer(pointer).and_then(Value::as_str);
        let pointers =
            ["/content/0/text", "/content/0/refusal", "/arguments", "/input", "/summary/0/text"];
        assert_eq!(Some(pieces.as_str()), pointers.iter().find_map(|at| told(at)), "{item}");
    }
    response
}

fn agents_turn() -> ([Value; 7], Value) {
    let deltas = [
        json!({"role": "assistant", "content": ""}),
        json!({"reasoning_content": "First, "}),
        json!({"reasoning_content": "look."}),
        json!({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0,
            "format": "anthropic-claude-v1"}]}),
        json!({"content": "I "}),
        json!({"content": "call."}),
        json!({"tool_calls": [
            {"index": 0, "id": "c1", "function": {"name": "n__g", "arguments": "{}"}},
            {"index": 1, "id": "c2",
             "function": {"name": "p", "arguments": "{\"input\":\"+a\\n\"}"}}]}),
    ];
    let tools = json!([
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g"}]},
        {"type": "custom", "name": "p"}]);
    (deltas, tools)
}

#[test]
fn an_agents_turn_has_every_event_of_the_format_in_its_order() {
    let (given, tools) = agents_turn();

    let events = written(&tools, &deltas(&given, "tool_calls"), false);

    let mut kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.dedup();
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.done",
        "output_item.done",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds, expected.map(|kind| format!("response.{kind}")));
    let response = response(&events);
    assert_eq!((&response["status"], &response["model"]), (&json!("completed"), &json!("served")));
    let call = &response["output"][2];
    assert_eq!((&call["namespace"], &call["name"]), (&json!("n"), &json!("g")));
    assert_eq!(response["output"][3]["input"], "+a\n");
    assert_eq!(response["usage"]["input_tokens_details"]["cached_tokens"], 2);
    assert_eq!(response["usage"]["total_tokens"], 14);
}

#[test]
fn a_whole_answer_is_what_its_events_put_together() {
    let (given, tools) = agents_turn();
    let streamed = written(&tools, &deltas(&given, "tool_calls"), false);
    let mut message = json!({"role": "assistant", "content": "I call.",
        "reasoning_content": "First, look.",
        "reasoning_details": given[3]["reasoning_details"],
        "tool_calls": given[6]["tool_calls"]});
    for call in message["tool_calls"].as_array_mut().unwrap() {
        call.as_object_mut().unwrap().shift_remove("index");
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
    let completion =
        Completion { model: "served".to_owned(), choices: vec![choice], ..Completion::default() };

    let whole = answered(&completion, &tools, whole);

    assert_eq!(&whole, response(&streamed));
}

#[test]
fn reasoning_of_another_format_comes_back_as_it_was() {
    let (given, tools) = agents_turn();
    let events = written(&tools, &deltas(&given, "tool_calls"), false);
    let turn = &events.last().unwrap()["response"]["output"];
    let asked = json!({"model": "m", "input": turn});

    let call = super::super::read::call(asked.to_string().as_bytes()).unwrap();

    let details = json!([{"type": "reasoning.text", "signature": "s", "index": 0,
        "format": "anthropic-claude-v1", "text": "First, look."}]);
    assert_eq!(call.body["messages"][0]["reasoning_details"], details);
}

#[test]
fn signatures_of_a_text_and_of_its_call_stay_two() {
    let detail = |more: Value| {
        let mut detail = json!({"type": "reasoning.encrypted", "format": "google-gemini-v1"});
        detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        detail
    };
    let (text, call) = (detail(json!({"data": "A"})), detail(json!({"data": "B", "id": "c"})));
    let given = [
        json!({"content": "I call."}),
        json!({"reasoning_details": [text]}),
        json!({"reasoning_details": [call]}),
        json!({"tool_calls": [{"index": 0, "id": "c",
            "function": {"name": "f", "arguments": "{}"}}]}),
    ];
    let events = written(&json!([]), &deltas(&given, "tool_calls"), false);
    let turn = &events.last().unwrap()["response"]["output"];
    let asked = json!({"model": "m", "input": turn});

    let read = super::super::read::call(asked.to_string().as_bytes()).unwrap();

    assert_eq!(read.body["messages"][0]["reasoning_details"], json!([text, call]));
}

#[test]
fn a_whole_answer_that_was_cut_has_items_that_were() {
    let message = json!({"role": "assistant", "content": "half"});
    let choice = json!({"index": 0, "message": message, "finish_reason": "length"});
    let completion =
        Completion { model: "served".to_owned(), choices: vec![choice], ..Completion::default() };

    let whole = answered(&completion, &json!([]), whole);

    assert_eq!(whole["status"], "incomplete");
    assert_eq!(whole["output"][0]["status"], "incomplete");
}

#[test]
fn sealed_reasoning_of_this_format_is_told_as_it_is() {
    let sealed = json!([{"type": "reasoning.encrypted", "data": "gAAA",
        "format": "openai-responses-v1"}]);

    let events =
        written(&json!([]), &deltas(&[json!({"reasoning_details": sealed})], "stop"), false);

    let items = &events.last().unwrap()["response"]["output"];
    assert_eq!(items[0]["encrypted_content"], "gAAA");
}

#[test]
fn every_end_has_its_status() {
    let said = [json!({"content": "half"})];
    for (reason, status, why) in [
        ("length", "incomplete", json!({"reason": "max_output_tokens"})),
        ("content_filter", "incomplete", json!({"reason": "content_filter"})),
        ("stop", "completed", Value::Null),
    ] {
        let events = written(&json!([]), &deltas(&said, reason), false);
        assert_eq!(events.last().unwrap()["type"], format!("response.{status}"));
        let response = response(&events);
        assert_eq!((&response["status"], &response["incomplete_details"]), (&json!(status), &why));
        assert_eq!(response["output"][0]["status"], status);
    }
    let refused = written(&json!([]), &deltas(&[json!({"refusal": "no"})], "stop"), false);
    assert_eq!(response(&refused)["output"][0]["content"][0]["refusal"], "no");
    let failed = written(&json!([]), &deltas(&said, "stop"), true);
    let last = failed.last().unwrap();
    assert_eq!(
        (&last["type"], &last["response"]["error"]["code"]),
        (&json!("response.failed"), &json!("server_error"))
    );
}
