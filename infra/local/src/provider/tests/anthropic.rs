//! What a caller of the Anthropic format sees.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn anthropic_tools_are_called_and_their_result_ends_the_turn() {
    let address = start(quick()).await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}},
                        "required": ["city"]});
    let tools = json!([{"name": "forecast", "input_schema": schema}]);
    let ask = with(tool_turn(tools), "model", json!("claude"));

    let whole = ask_anthropic(address, &ask).await.json();
    let stream = ask_anthropic(address, &with(ask.clone(), "stream", json!(true))).await;

    assert_eq!(whole["stop_reason"], "tool_use");
    let block = &whole["content"][0];
    assert_eq!((&block["type"], &block["name"]), (&json!("tool_use"), &json!("forecast")));
    assert_eq!(block["input"], json!({"city": "Paris"}));
    assert_eq!(stream.joined("/delta/partial_json"), "{\"city\":\"Paris\"}");
    let mut ask = ask;
    let messages = ask["messages"].as_array_mut().expect("messages");
    messages.push(json!({"role": "assistant", "content": whole["content"]}));
    let result = json!({"type": "tool_result", "tool_use_id": block["id"], "content": "sunny"});
    messages.push(json!({"role": "user", "content": [result]}));
    let last = ask_anthropic(address, &ask).await.json();
    assert_eq!(last["stop_reason"], "end_turn");
    assert!(last["content"][0]["text"].as_str().expect("a text").contains("sunny"));
}

#[tokio::test]
async fn an_anthropic_stream_has_the_recorded_order_of_events() {
    let address = start(quick()).await;
    let whole = ask_anthropic(address, &said("claude", "hello")).await;

    let stream =
        ask_anthropic(address, &with(said("claude", "hello"), "stream", json!(true))).await;

    let names = stream.body.lines().filter_map(|line| line.strip_prefix("event: "));
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    let order = ["message_start", "content_block_start", "ping", "content_block_delta"];
    assert_eq!(names[..4], order);
    assert_eq!(names[4..], ["content_block_stop", "message_delta", "message_stop"]);
    let whole = whole.json();
    assert_eq!(stream.joined("/delta/text"), whole["content"][0]["text"]);
    let events = stream.events();
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 5);
    assert_eq!(events[0]["message"]["usage"]["output_tokens"], 1);
    let last = &events[events.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "end_turn");
    assert_eq!(last["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
    assert_eq!(last["usage"]["input_tokens"], 5);
}

#[tokio::test]
async fn anthropic_faults_have_anthropics_shape_and_cost_nothing() {
    let address = start(quick()).await;
    for (model, status, kind) in [
        ("claude-fail", 500, "api_error"),
        ("claude-busy", 429, "rate_limit_error"),
        ("claude-overloaded", 529, "overloaded_error"),
        ("claude-error-in-stream", 500, "api_error"),
        ("chat", 404, "not_found_error"),
    ] {
        let answer = ask_anthropic(address, &said(model, "hello")).await;
        let json = answer.json();
        assert_eq!((answer.status, &json["error"]["type"]), (status, &json!(kind)), "{model}");
        assert_eq!(json["type"], "error");
        assert_eq!(answer.head.contains("retry-after: 7"), model == "claude-busy");
    }
    let system = json!([{"role": "system", "content": "a"}]);
    for body in [
        with(said("claude", "a"), "messages", system),
        with(said("claude", "a"), "max_tokens", Value::Null),
    ] {
        let answer = ask_anthropic(address, &body).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    for stream in [false, true] {
        let body = with(said("claude-refusal", "hello"), "stream", json!(stream));
        let answer = ask_anthropic(address, &body).await;
        assert!(answer.body.contains("\"stop_reason\":\"refusal\""), "{}", answer.body);
        assert!(answer.body.contains("\"input_tokens\":5"));
        assert!(!answer.body.contains("content_block_start"));
    }

    let bill = bill(address).await;
    assert_eq!((&bill["usd"], &bill["calls"]), (&json!("0"), &json!(6)));
    assert_eq!(bill["entries"][5]["outcome"], "refused");
}

#[tokio::test]
async fn a_marked_prefix_is_billed_as_a_write_and_then_as_a_read() {
    let address = start(quick()).await;
    let system = json!([{"type": "text", "text": "a".repeat(400),
                         "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    let body = with(said("claude", "hello"), "system", system);

    let first = ask_anthropic(address, &body).await.json();
    let second = ask_anthropic(address, &body).await.json();

    assert_eq!(first["usage"]["cache_creation_input_tokens"], 103);
    assert_eq!(first["usage"]["cache_creation"]["ephemeral_1h_input_tokens"], 103);
    assert_eq!(second["usage"]["cache_read_input_tokens"], 103);
    assert_eq!(second["usage"]["cache_creation_input_tokens"], 0);
    assert_eq!(first["usage"]["input_tokens"], second["usage"]["input_tokens"]);
    let bill = bill(address).await;
    assert_eq!(bill["entries"][0]["cache_write_tokens"], 103);
    assert_eq!(bill["entries"][1]["cache_read_tokens"], 103);
}
