//! `POST /v1/messages`: Anthropic's dialect, to a provider that speaks it and to one that does not.

use farebox_core::Money;
use farebox_tests::{Answer, Call, Caller, run};
use serde_json::{Value, json};

use crate::stacks::shared;

/// The first is passed on as it is, the second is translated.
const WIRES: [&str; 2] = ["demo/claude", "demo/chat"];

fn body(model: &str, more: &Value) -> Value {
    let mut body = json!({
        "model": model, "max_tokens": 64, "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    });
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

/// As Anthropic's SDK sends it.
fn ask(caller: &Caller<'_>, model: &str, more: &Value) -> Call {
    let call = Call::post(caller.stack().url("/v1/messages"), &body(model, more));
    call.with("x-api-key", &caller.key).with("anthropic-version", "2023-06-01")
}

fn kinds(answer: &Answer) -> Vec<String> {
    let events = answer.json_events();
    let kinds = events.iter().map(|event| event["type"].as_str().unwrap().to_owned());
    let mut kinds: Vec<String> = kinds.filter(|kind| kind != "ping").collect();
    kinds.dedup();
    kinds
}

fn text_of(answer: &Answer) -> String {
    let events = answer.json_events();
    events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect()
}

#[test]
fn a_message_is_answered_and_costs_what_the_provider_bills() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;

            let answer = ask(&caller, model, &json!({})).send().await.expect(200);

            let message = answer.json();
            assert_eq!(
                (&message["type"], &message["role"]),
                (&json!("message"), &json!("assistant"))
            );
            assert_eq!(message["stop_reason"], "end_turn", "{message}");
            assert!(message["content"][0]["text"].as_str().unwrap().contains("\"hello\""));
            assert!(message["usage"]["input_tokens"].as_u64() > Some(0));
            assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
            let cost = caller.assert_settled_to_the_bill().await;
            assert!(cost > Money::ZERO);
            assert_eq!(answer.header("x-farebox-cost-usd"), Some(cost.to_string().as_str()));
        }
    });
}

#[test]
fn a_stream_has_the_events_of_a_message_and_its_cost_in_a_comment() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;

            let answer = ask(&caller, model, &json!({"stream": true})).send().await.expect(200);

            let expected = [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
            ];
            assert_eq!(kinds(&answer), expected, "{model}: {}", answer.text());
            assert!(text_of(&answer).contains("\"hello\""));
            let events = answer.json_events();
            let last = &events[events.len() - 2];
            assert_eq!(last["delta"]["stop_reason"], "end_turn");
            assert!(last["usage"]["output_tokens"].as_u64() > Some(0), "{last}");
            let cost = caller.assert_settled_to_the_bill().await;
            let comment = format!(": farebox-cost-usd {cost}\n\nevent: message_stop\n");
            assert!(answer.text().contains(&comment), "{}", answer.text());
        }
    });
}

#[test]
fn what_a_provider_of_the_format_says_is_passed_on_by_the_byte() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let tap = caller.stack().tap();
        let sent = json!({"system": "s", "metadata": {"user_id": "x".repeat(200)},
            "thinking": {"type": "adaptive"}, "top_k": 3});

        let answer = ask(&caller, "demo/claude", &sent).send().await.expect(200);

        let seen = &tap.seen(&caller.user)[0];
        let posted: Value = serde_json::from_slice(&seen.body).unwrap();
        for field in ["system", "metadata", "thinking", "top_k", "messages"] {
            assert_eq!(posted[field], body("", &sent)[field], "{field}");
        }
        assert_eq!((&posted["model"], &posted["max_tokens"]), (&json!("claude"), &json!(64)));
        assert_eq!(posted["service_tier"], "standard_only");
        let message = answer.json();
        // What only the provider's own answer has.
        assert!(message.get("stop_details").is_some(), "{message}");
        assert_eq!(message["usage"]["inference_geo"], "not_available");
    });
}

#[test]
fn a_tool_is_called_and_its_result_is_used() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;
            let schema = json!({"type": "object", "properties": {"city": {"type": "string"}},
                "required": ["city"]});
            let tools = json!([{"name": "weather", "description": "d", "input_schema": schema}]);
            let more = json!({"tools": tools, "tool_choice": {"type": "any"}, "max_tokens": 200});
            for stream in [false, true] {
                let mut more = more.clone();
                more["stream"] = json!(stream);
                let answer = ask(&caller, model, &more).send().await.expect(200);
                if stream {
                    let events = answer.json_events();
                    let input: String = events
                        .iter()
                        .filter_map(|event| event["delta"]["partial_json"].as_str())
                        .collect();
                    let input: Value = serde_json::from_str(&input).unwrap();
                    assert!(input.get("city").is_some(), "{input}");
                    let last = &events[events.len() - 2];
                    assert_eq!(last["delta"]["stop_reason"], "tool_use", "{model}");
                    continue;
                }
                let message = answer.json();
                assert_eq!(message["stop_reason"], "tool_use", "{message}");
                let call = message["content"].as_array().unwrap().last().unwrap();
                assert_eq!((&call["type"], &call["name"]), (&json!("tool_use"), &json!("weather")));
                let result = json!({"type": "tool_result", "tool_use_id": call["id"],
                    "content": "sunny"});
                let messages = json!([
                    {"role": "user", "content": "weather?"},
                    {"role": "assistant", "content": message["content"]},
                    {"role": "user", "content": [result]},
                ]);
                let second = json!({"messages": messages, "tools": tools, "max_tokens": 200});
                let second = ask(&caller, model, &second).send().await.expect(200).json();
                assert_eq!(second["stop_reason"], "end_turn", "{second}");
            }
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn a_refusal_is_told_in_the_dialect_and_nothing_is_sent() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for (more, status, kind, field) in [
            (json!({"messages": []}), 400, "invalid_request_error", "messages"),
            (json!({"mcp_servers": [{}]}), 422, "invalid_request_error", "mcp_servers"),
            (json!({"odd": 1}), 400, "invalid_request_error", "odd"),
            (
                json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
                422,
                "invalid_request_error",
                "tools[0].max_uses",
            ),
        ] {
            let answer = ask(&caller, "demo/claude", &more).send().await.expect(status);
            let error = answer.json();
            assert_eq!(error["type"], "error", "{error}");
            assert_eq!(error["error"]["type"], kind, "{error}");
            assert_eq!(error["error"]["field"], field, "{error}");
        }
        // A tool of Anthropic's that the caller runs has no counterpart elsewhere.
        let bash = json!({"tools": [{"type": "bash_20250124", "name": "bash"}]});
        let refused = ask(&caller, "demo/chat", &bash).send().await.expect(400).json();
        assert_eq!(refused["error"]["field"], "tools[0].type");
        caller.assert_untouched().await;
        let unknown = ask(&caller, "demo/claude", &json!({})).with("x-api-key", "sk-fb-no");
        assert_eq!(
            unknown.send().await.expect(401).json()["error"]["type"],
            "authentication_error"
        );
    });
}

#[test]
fn a_prompt_is_counted_by_its_provider_else_estimated() {
    run(async {
        let other = "mistral/mistral-small-latest";
        for (model, estimated) in
            [("demo/claude", None), ("demo/chat", None), (other, Some("true"))]
        {
            let caller = Caller::new(shared().await).await;
            let at = caller.stack().tap().base_url(&caller.user);
            caller.stack().set_credential(&caller.user, "mistral", "sk-1", &at).await;
            let url = caller.stack().url("/v1/messages/count_tokens");
            let mut asked = body(model, &json!({}));
            asked.as_object_mut().unwrap().remove("max_tokens");

            let answer = Call::post(url, &asked).with("x-api-key", &caller.key).send().await;

            let answer = answer.expect(200);
            assert!(answer.json()["input_tokens"].as_u64() > Some(0));
            assert_eq!(answer.header("x-farebox-estimate"), estimated);
            assert_eq!(caller.bill().await, Money::ZERO);
            for books in [caller.user_books().await, caller.key_books().await] {
                books.assert_quiet();
            }
        }
    });
}

#[test]
fn a_stream_that_its_budget_cannot_extend_ends_as_a_message_does() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;
            let (long, limit) = match model {
                "demo/claude" => ("demo/claude-long", "0.0115"),
                _ => ("demo/long", "0.0045"),
            };
            caller.limit_user(&json!({"day_limit_usd": limit, "mode": "balanced"})).await;
            let more = json!({"stream": true, "max_tokens": 4_000});

            let answer = ask(&caller, long, &more).send().await.expect(200);

            let events = answer.json_events();
            let [.., stop, delta, last] = events.as_slice() else { panic!("{}", answer.text()) };
            assert_eq!(stop["type"], "content_block_stop", "{model}");
            assert_eq!(delta["delta"]["stop_reason"], "max_tokens", "{model}");
            assert_eq!(last["type"], "message_stop", "{model}");
            caller.user_books().await.assert_quiet();
        }
    });
}
