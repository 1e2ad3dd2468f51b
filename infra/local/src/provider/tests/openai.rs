//! What a caller of the OpenAI format sees.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn a_buffered_answer_and_its_bill_state_the_same_usage() {
    let address = start(quick()).await;

    let more = "connection: close\r\nx-request-id: r-1\r\n";
    let body = said("chat", "hello").to_string();
    let answer = send(address, &request("POST", "/chat/completions", &body, more)).await;

    assert_eq!((answer.status, answer.complete), (200, true));
    let json = answer.json();
    assert_eq!(json["object"], "chat.completion");
    assert_eq!(json["created"], 1_787_150_214);
    assert_eq!(json["model"], "chat");
    assert_eq!(json["choices"][0]["finish_reason"], "stop");
    let text = json["choices"][0]["message"]["content"].as_str().expect("a text");
    assert!(text.contains("\"hello\""), "{text}");
    // Five bytes of text are two tokens, and the message is three more.
    assert_eq!(json["usage"]["prompt_tokens"], 5);
    let completion = json["usage"]["completion_tokens"].as_u64().expect("a count");
    assert_eq!(json["usage"]["total_tokens"], 5 + completion);
    let bill = bill(address).await;
    assert_eq!((&bill["calls"], &bill["posts"]), (&json!(1), &json!(1)));
    let pico = 5 * 500_000 + u128::from(completion) * 2_000_000;
    assert_eq!(bill["usd"], crate::provider::bill::usd(pico));
    assert_eq!(bill["entries"][0]["rid"], "r-1");
    assert_eq!(bill["entries"][0]["outcome"], "served");
    assert_eq!(bill["last_headers"]["accept_encoding_identity"], true);
    let names = bill["last_headers"]["names"].as_array().expect("names");
    assert!(names.contains(&json!("authorization")));
    assert!(!bill.to_string().contains("demo-key"));
}

#[tokio::test]
async fn a_stream_states_usage_only_where_it_is_asked_for() {
    let address = start(quick()).await;
    let plain = with(said("chat", "hello"), "stream", json!(true));
    let whole = ask_openai(address, &said("chat", "hello")).await.json();

    let silent = ask_openai(address, &plain).await;
    let stated = ask_openai(address, &streamed("chat")).await;

    assert!(silent.head.contains("text/event-stream"));
    assert!(silent.complete && silent.body.ends_with("data: [DONE]\n\n"));
    assert!(!silent.body.contains("\"usage\""));
    let text = whole["choices"][0]["message"]["content"].as_str().expect("a text");
    assert_eq!(silent.joined("/choices/0/delta/content"), text);
    assert_eq!(silent.joined("/choices/0/delta/role"), "assistant");
    assert_eq!(silent.joined("/choices/0/finish_reason"), "stop");
    let (last, others) =
        stated.events().split_last().map(|(l, o)| (l.clone(), o.to_vec())).unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
    assert!(others.iter().all(|event| event.get("usage") == Some(&Value::Null)));
    assert!(others.iter().all(|event| event["id"] == last["id"]));
    let never = ask_openai(address, &streamed("no-usage")).await;
    assert!(never.complete && !never.body.contains("\"usage\""));
    assert_eq!(bill(address).await["entries"][3]["outcome"], "served");
}

#[tokio::test]
async fn an_answer_stops_at_its_cap() {
    let address = start(quick()).await;

    for (field, cap) in [("max_tokens", 1), ("max_completion_tokens", 7)] {
        let body = json!({"model": "chat", field: cap, "n": 2,
                          "messages": [{"role": "user", "content": "hello"}]});
        let json = ask_openai(address, &body).await.json();
        assert_eq!(json["choices"][1]["finish_reason"], "length");
        assert_eq!(json["usage"]["completion_tokens"], cap * 2);
    }
    let json =
        ask_anthropic(address, &with(said("claude", "hello"), "max_tokens", json!(3))).await.json();
    assert_eq!(json["stop_reason"], "max_tokens");
    assert_eq!(json["usage"]["output_tokens"], 3);
}

#[tokio::test]
async fn exact_costs_the_bytes_received_and_the_cap_sent() {
    let address = start(quick()).await;
    for stream in [false, true] {
        let body = with(said("exact", "hello"), "max_tokens", json!(1_000));
        let body = with(body, "stream", json!(stream));

        ask_openai(address, &body).await;

        let bytes = body.to_string().len();
        let bill = bill(address).await;
        let entry =
            bill["entries"].as_array().and_then(|all| all.last()).expect("an entry").clone();
        assert_eq!(entry["prompt_tokens"], bytes);
        assert_eq!(entry["completion_tokens"], 1_000);
        let pico = u128::try_from(bytes).expect("small") * 1_000_000 + 1_000 * 10_000_000;
        assert_eq!(entry["usd"], crate::provider::bill::usd(pico));
    }
}

#[tokio::test]
async fn openai_faults_have_openais_shape_and_cost_nothing() {
    let address = start(quick()).await;
    for (model, status, code) in [
        ("fail", 500, Value::Null),
        ("busy", 429, json!("rate_limit_exceeded")),
        ("refuse", 400, Value::Null),
        ("unauthorized", 401, json!("invalid_api_key")),
        ("error-in-stream", 500, Value::Null),
        ("claude", 404, json!("model_not_found")),
        ("nothing", 404, json!("model_not_found")),
    ] {
        let answer = ask_openai(address, &said(model, "hello")).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &code), "{model}");
        assert!(answer.json()["error"]["message"].is_string());
        assert_eq!(answer.head.contains("retry-after: 7"), model == "busy");
        assert_eq!(answer.head.contains("x-ratelimit-remaining-requests: 0"), model == "busy");
    }
    for body in [
        json!({"messages": [{"role": "user", "content": "a"}]}),
        json!({"model": "chat", "messages": []}),
        json!({"model": "chat"}),
        json!({"model": "chat", "messages": [{"role": "robot", "content": "a"}]}),
        with(said("chat", "a"), "max_tokens", json!(0)),
        with(said("chat", "a"), "max_tokens", json!(-1)),
        with(said("chat", "a"), "max_tokens", json!(99_999_999)),
        with(said("chat", "a"), "max_completion_tokens", json!(5)),
        with(said("chat", "a"), "stream", json!("yes")),
        with(said("chat", "a"), "n", json!(129)),
        json!([1]),
    ] {
        assert_eq!(ask_openai(address, &body).await.status, 400, "{body}");
    }

    let bill = bill(address).await;
    assert_eq!(
        (&bill["usd"], &bill["calls"], &bill["posts"]),
        (&json!("0"), &json!(5), &json!(18))
    );
    assert_eq!(bill["entries"][0]["outcome"], "failed");
}

#[tokio::test]
async fn a_cut_answer_ends_early_and_costs_all_of_it() {
    let address = start(quick()).await;

    let whole = ask_openai(address, &said("chat", "hello")).await.json();
    let buffered = ask_openai(address, &said("cut", "hello")).await;
    let stream = ask_openai(address, &streamed("cut")).await;
    let claude =
        ask_anthropic(address, &with(said("claude-cut", "a"), "stream", json!(true))).await;

    assert_eq!((buffered.status, buffered.complete), (200, false));
    assert!(!buffered.body.is_empty());
    assert!(!stream.complete && !stream.body.contains("[DONE]"));
    assert!(stream.events().len() > 2);
    assert!(!claude.complete && !claude.body.contains("message_delta"));
    let bill = bill(address).await;
    for entry in [1, 2] {
        assert_eq!(bill["entries"][entry]["outcome"], "cut");
        // The model's name in the text differs by one letter, so by less than a token.
        let billed = bill["entries"][entry]["completion_tokens"].as_u64().expect("a count");
        let full = whole["usage"]["completion_tokens"].as_u64().expect("a count");
        assert!(billed.abs_diff(full) <= 1, "{billed} {full}");
    }
}

#[tokio::test]
async fn spoiled_answers_are_spoiled_inside_a_200() {
    let address = start(quick()).await;

    let broken = ask_openai(address, &said("bad-json", "hello")).await;
    let inside = ask_openai(address, &streamed("error-in-stream")).await;
    let request = with(said("claude-error-in-stream", "a"), "stream", json!(true));
    let claude = ask_anthropic(address, &request).await;

    assert_eq!((broken.status, broken.complete), (200, true));
    assert!(serde_json::from_str::<Value>(&broken.body).is_err());
    assert_eq!((inside.status, inside.complete), (200, true));
    assert_eq!(inside.events().last().expect("an event")["error"]["type"], "server_error");
    assert!(!inside.body.contains("[DONE]"));
    assert!(claude.body.contains("event: error\n") && !claude.body.contains("message_stop"));
    assert_ne!(bill(address).await["usd"], "0");
}

#[tokio::test]
async fn drip_streams_each_token_and_slow_answers_late() {
    let address = start(Options { drip_tokens: 64, ..quick() }).await;

    let drip = ask_openai(address, &streamed("drip")).await;
    let capped = ask_openai(address, &with(streamed("drip"), "max_tokens", json!(3))).await;
    let slow = ask_openai(address, &said("slow", "hello")).await;

    // A role, the tokens, the finish reason and the usage.
    assert_eq!(drip.events().len(), 1 + 64 + 1 + 1);
    assert_eq!(drip.events()[66]["usage"]["completion_tokens"], 64);
    assert_eq!(capped.joined("/choices/0/delta/content"), "1 2 3");
    assert_eq!(capped.joined("/choices/0/finish_reason"), "length");
    assert_eq!(slow.status, 200);
}

#[tokio::test]
async fn openai_tools_are_called_and_their_result_ends_the_turn() {
    let address = start(quick()).await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}},
                        "required": ["city"]});
    let tools =
        json!([{"type": "function", "function": {"name": "forecast", "parameters": schema}}]);
    let ask = tool_turn(tools);

    let whole = ask_openai(address, &ask).await.json();
    let stream = ask_openai(address, &with(ask.clone(), "stream", json!(true))).await;

    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["function"]["name"]),
        (&json!("function"), &json!("forecast"))
    );
    assert_eq!(call["function"]["arguments"], "{\"city\":\"Paris\"}");
    let pointer = "/choices/0/delta/tool_calls/0/function/arguments";
    assert_eq!(stream.joined(pointer), "{\"city\":\"Paris\"}");
    assert_eq!(stream.joined("/choices/0/delta/tool_calls/0/function/name"), "forecast");
    let mut ask = ask;
    let messages = ask["messages"].as_array_mut().expect("messages");
    messages.push(choice["message"].clone());
    messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "sunny"}));
    let last = ask_openai(address, &ask).await.json();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    let text = last["choices"][0]["message"]["content"].as_str().expect("a text");
    assert!(text.contains("sunny"), "{text}");
}
