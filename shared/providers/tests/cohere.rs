//! Cohere: what is sent, what is refused by name, and what bounds the cost.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use farebox_core::{ChatCall, Error, Format};
use farebox_providers::{Facts, Outbound, find};
use serde_json::{Value, json};

const PLAIN: &str = "command-a-03-2025";
const THINKING: &str = "command-a-reasoning-08-2025";

fn send(model: &str, call: &ChatCall) -> Result<Outbound, Error> {
    let facts =
        Facts { model, context_window: Some(256_000), completion_max: Some(8_000), price: None };
    let provider = find("cohere").unwrap();
    let cap = call.cap.unwrap_or(100);
    provider.wire_for(model, call.format)?.request(provider, call, &facts, cap, call.stream)
}

fn chat(model: &str, rest: &Value) -> Result<Outbound, Error> {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (field, value) in rest.as_object().unwrap() {
        body[field] = value.clone();
    }
    send(model, &ChatCall::from_openai(body.to_string().as_bytes())?)
}

fn sent(rest: &Value) -> Value {
    serde_json::from_slice(&chat(PLAIN, rest).unwrap().body).unwrap()
}

#[test]
fn what_a_model_refused_to_say_is_said_again() {
    let body = sent(&json!({"messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": null, "refusal": "I may not."},
        {"role": "user", "content": "b"}]}));

    let refused = json!([{"type": "text", "text": "I may not."}]);
    assert_eq!(body["messages"][1]["content"], refused);
}

#[test]
fn a_conversation_with_tools_is_put_into_coheres_words() {
    let schema = json!({"type": "object"});
    let function = json!({"name": "f", "parameters": schema, "strict": true});
    let messages = json!([
        {"role": "developer", "content": "sys"},
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": null}]},
        {"role": "assistant", "content": "my plan", "reasoning_content": "hm", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "22", "is_error": true},
    ]);
    let rest = json!({"messages": messages, "top_p": 0.5, "top_k": 3, "stop": "x", "seed": 7,
        "tools": [{"type": "function", "function": function}], "tool_choice": "required",
        "reasoning_effort": "none",
        "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}});

    let body = sent(&rest);

    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let call = json!({"id": "c1", "type": "function",
        "function": {"name": "f", "arguments": "{}"}});
    let expected = json!([
        {"role": "system", "content": text("sys")},
        {"role": "user", "content": text("a")},
        {"role": "assistant", "tool_plan": "my plan", "tool_calls": [call],
         "content": [{"type": "thinking", "thinking": "hm"}]},
        {"role": "tool", "content": text("22"), "tool_call_id": "c1"},
    ]);
    assert_eq!(body["messages"], expected);
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": schema}});
    for (field, value) in [
        ("model", json!(PLAIN)),
        ("max_tokens", json!(100)),
        ("p", json!(0.5)),
        ("k", json!(3)),
        ("stop_sequences", json!(["x"])),
        ("tools", json!([tool])),
        ("tool_choice", json!("REQUIRED")),
        ("thinking", json!({"type": "disabled"})),
        ("response_format", json!({"type": "json_object", "json_schema": schema})),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
}

#[test]
fn a_model_that_may_think_is_held_to_its_maximum() {
    let plain = chat(PLAIN, &json!({})).unwrap();
    let thinking = chat(THINKING, &json!({})).unwrap();
    let switched_off = chat(THINKING, &json!({"reasoning_effort": "none"})).unwrap();

    assert_eq!((plain.cap, thinking.cap, switched_off.cap), (100, 8_000, 100));
    assert_eq!(plain.bound.prompt_tokens, u64::try_from(plain.body.len()).unwrap());
}

#[test]
fn what_cohere_cannot_say_is_refused_by_name() {
    for (rest, field) in [
        (json!({"n": 2}), "n"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"reasoning_effort": "max"}), "reasoning_effort"),
        (json!({"parallel_tool_calls": false}), "parallel_tool_calls"),
        (json!({"tool_choice": {"type": "function", "function": {"name": "f"}}}), "tool_choice"),
        (
            json!({"messages": [{"role": "user", "content":
                [{"type": "file", "file": {"file_data": "data:application/pdf;base64,AA"}}]}]}),
            "messages[0].content[0].type",
        ),
    ] {
        assert_eq!(chat(PLAIN, &rest).unwrap_err().field(), Some(field), "{rest}");
    }
}

#[test]
fn an_embedding_says_what_cohere_asks_beside_it() {
    let of = |body: Value| ChatCall::from_embeddings(body.to_string().as_bytes()).unwrap();
    let call = of(json!({"model": "m", "input": ["ab", "c"], "dimensions": 256}));

    let outbound = send("embed-v4.0", &call).unwrap();

    let expected = json!({"model": "embed-v4.0", "input_type": "search_document",
        "embedding_types": ["float"], "texts": ["ab", "c"], "output_dimension": 256});
    let body: Value = serde_json::from_slice(&outbound.body).unwrap();
    assert_eq!((outbound.path.as_ref(), body), ("/embed", expected));
    assert_eq!((outbound.bound.prompt_tokens, outbound.cap), (19, 0));
    let tokens = of(json!({"model": "m", "input": [1, 2]}));
    assert_eq!(send("embed-v4.0", &tokens).unwrap_err().field(), Some("input"));
    let cohere = find("cohere").unwrap();
    let wire = cohere.wire_for("embed-v4.0", Format::Embeddings).unwrap();
    let answer = br#"{"id":"x","embeddings":{"float":[[0.5],[1.0]]},
        "meta":{"billed_units":{"input_tokens":3}}}"#;
    let answer = wire.decode(cohere, answer).unwrap();
    assert_eq!(answer.reported.unwrap().usage.prompt, 3);
    assert_eq!(answer.choices[1], json!({"object": "embedding", "index": 1, "embedding": [1.0]}));
}
