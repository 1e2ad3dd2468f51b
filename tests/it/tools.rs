//! Tools, translated to both wire formats and back.

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
