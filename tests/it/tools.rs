//! Tools, translated to both wire formats and back.

use farebox_tests::tap::Script;
use farebox_tests::{Caller, run};
use serde_json::{Value, json};

use crate::chat::{WIRES, total_of};
use crate::stacks::shared;

fn question() -> Value {
    json!({
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "WEATHER please"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        }}],
        "tool_choice": "auto",
    })
}

#[test]
fn a_tool_call_and_its_result_cross_both_wires() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;
            let mut body = question();

            let asked = caller.complete(model, &body).await.expect(200).json();

            let message = asked["choices"][0]["message"].clone();
            assert_eq!(asked["choices"][0]["finish_reason"], "tool_calls");
            let call = &message["tool_calls"][0];
            assert_eq!(
                (&call["type"], &call["function"]["name"]),
                (&json!("function"), &json!("get_weather"))
            );
            let arguments = call["function"]["arguments"].as_str().unwrap();
            assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), json!({"city": "Paris"}));

            let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "sunny"});
            body["messages"].as_array_mut().unwrap().extend([message.clone(), result]);
            let told = caller.complete(model, &body).await.expect(200).json();

            let content = told["choices"][0]["message"]["content"].as_str().unwrap();
            assert!(content.contains("The tool answered: \"sunny\""), "{content}");
            assert_eq!(told["choices"][0]["finish_reason"], "stop");
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn a_forced_tool_is_forced_on_both_wires() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;
            let mut body = question();
            body["messages"] = json!([{"role": "user", "content": "hello"}]);
            body["tool_choice"] = json!({"type": "function", "function": {"name": "get_weather"}});

            let forced = caller.complete(model, &body).await.expect(200).json();
            body["tool_choice"] = json!("required");
            let required = caller.complete(model, &body).await.expect(200).json();

            for answer in [forced, required] {
                let call = &answer["choices"][0]["message"]["tool_calls"][0];
                assert_eq!(call["function"]["name"], "get_weather", "{answer}");
            }
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn a_streamed_tool_call_can_be_put_together_again() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;
            let mut body = question();
            body["stream"] = json!(true);
            body["stream_options"] = json!({"include_usage": true});

            let answer = caller.complete(model, &body).await.expect(200);

            let (mut name, mut arguments, mut ids, mut reason) =
                (String::new(), String::new(), Vec::new(), Value::Null);
            let chunks = answer.json_events();
            for choice in chunks.iter().filter_map(|chunk| chunk["choices"].get(0)) {
                let call = &choice["delta"]["tool_calls"][0];
                name.push_str(call["function"]["name"].as_str().unwrap_or_default());
                arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
                ids.extend(call["id"].as_str().map(str::to_owned));
                if !choice["finish_reason"].is_null() {
                    reason = choice["finish_reason"].clone();
                }
            }
            assert_eq!((name.as_str(), reason), ("get_weather", json!("tool_calls")), "{model}");
            assert_eq!(
                serde_json::from_str::<Value>(&arguments).unwrap(),
                json!({"city": "Paris"})
            );
            assert_eq!(ids.len(), 1, "{ids:?}");
            let cost = total_of(&chunks.last().unwrap()["usage"]["cost"]);
            assert_eq!(caller.assert_settled_to_the_bill().await, cost);
        }
    });
}

#[test]
fn farebox_form_shows_tool_calls_buffered_and_streamed() {
    run(async {
        for model in ["chat", "claude"] {
            for stream in [false, true] {
                let caller = Caller::new(shared().await).await;
                let question = question();
                let body = json!({
                    "provider": "demo", "model": model, "messages": question["messages"],
                    "options": {"tools": question["tools"], "stream": stream},
                });

                let answer = caller.post("/v1/chat", &body).send().await.expect(200);

                let last = if stream { answer.json_events().pop().unwrap() } else { answer.json() };
                assert_eq!(last["tool_calls"][0]["function"]["name"], "get_weather", "{last}");
                assert_eq!(last["finish_reason"], "tool_calls", "{last}");
                assert_eq!(caller.assert_settled_to_the_bill().await, total_of(&last["cost"]));
            }
        }
    });
}

/// A turn of an agent's loop, as Claude Code marks it: what the tool gave last is to be kept.
fn marked_loop(model: &str) -> Value {
    let mark = json!({"type": "ephemeral"});
    json!({"model": model, "max_tokens": 9, "messages": [
        {"role": "user", "content": "WEATHER please"},
        {"role": "assistant", "content": [
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {}, "cache_control": mark}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "sunny",
             "cache_control": mark}]},
    ], "tools": [{"name": "f", "input_schema": {"type": "object"}}]})
}

#[test]
fn marks_of_a_tools_loop_reach_the_providers_that_take_them() {
    run(async {
        let stack = shared().await;
        let mark = json!({"type": "ephemeral"});
        let aws = json!({"bearer": "sk-x", "region": "eu-west-1"}).to_string();
        for (model, secret) in [
            ("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", &*aws),
            ("openrouter/anthropic/claude-haiku-4.5", "sk-x"),
            ("alibaba/qwen3.6-plus", "sk-x"),
            ("openai/gpt-4o-mini", "sk-x"),
        ] {
            let caller = Caller::new(stack).await;
            let provider = model.split('/').next().unwrap();
            let url = stack.tap().base_url(&caller.user);
            stack.set_credential(&caller.user, provider, secret, &url).await;
            stack.tap().script(&caller.user, Script::json(400, &json!({"message": "no"})));

            let answer = caller.post("/v1/messages", &marked_loop(model)).send().await.expect(400);

            let sent: Value = serde_json::from_slice(&caller.posts()[0].body).unwrap();
            let dropped = answer.header("x-farebox-dropped-params");
            match provider {
                "bedrock" => {
                    let point = json!({"cachePoint": {"type": "default"}});
                    assert_eq!(sent["messages"][1]["content"][2], point, "{sent}");
                    let result = &sent["messages"][2]["content"];
                    assert_eq!(result[0]["toolResult"]["content"], json!([{"text": "sunny"}]));
                    assert_eq!(result[1], point, "{sent}");
                }
                "openai" => {
                    assert!(!sent.to_string().contains("cache_control"), "{sent}");
                    assert_eq!(dropped, Some("cache_control"));
                    continue;
                }
                _ => {
                    let marked =
                        |text: &str| json!([{"type": "text", "text": text, "cache_control": mark}]);
                    assert_eq!(sent["messages"][1]["content"], marked("I look."), "{sent}");
                    assert_eq!(sent["messages"][2]["content"], marked("sunny"), "{sent}");
                    assert!(sent["messages"][2].get("cache_control").is_none(), "{sent}");
                }
            }
            assert_eq!(dropped, None, "{model}");
        }
    });
}
