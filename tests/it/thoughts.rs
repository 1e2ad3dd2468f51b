//! What a model thought comes back to it in the next turn, whatever format its caller speaks; and
//! what Google's SDKs write in a way of their own reaches models of other formats.

use farebox_tests::{Answer, Call, Caller, run};
use serde_json::{Value, json};

use crate::stacks::shared;

/// What the demo provider seals by Responses, and signs in Gemini's format.
const THINKERS: [(&str, &str); 2] = [("demo/codex", "sealed-"), ("demo/gemini", "sig-")];

const SCHEMA: &str =
    r#"{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}"#;

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// The body of the last call on the wire.
fn posted(caller: &Caller<'_>) -> Value {
    serde_json::from_slice(&caller.posts().last().unwrap().body).unwrap()
}

fn messages(caller: &Caller<'_>, model: &str, stream: bool, turns: &Value) -> Call {
    let tools = json!([{"name": "weather", "description": "d", "input_schema": schema()}]);
    let body = json!({"model": model, "max_tokens": 200, "stream": stream, "tools": tools,
        "output_config": {"effort": "low"}, "messages": turns});
    caller.post("/v1/messages", &body)
}

/// The blocks of a message; those of a stream are put together as Anthropic's SDKs do.
fn blocks(answer: &Answer, stream: bool) -> Vec<Value> {
    if !stream {
        return answer.json()["content"].as_array().unwrap().clone();
    }
    let (mut blocks, mut inputs) = (Vec::<Value>::new(), Vec::<String>::new());
    for event in answer.json_events() {
        let at = usize::try_from(event["index"].as_u64().unwrap_or_default()).unwrap();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(at, blocks.len(), "{}", answer.text());
                blocks.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                for field in ["thinking", "text", "signature"] {
                    if let Some(more) = event["delta"][field].as_str() {
                        let told = blocks[at][field].as_str().unwrap_or_default().to_owned();
                        blocks[at][field] = Value::from(told + more);
                    }
                }
                inputs[at] += event["delta"]["partial_json"].as_str().unwrap_or_default();
            }
            _ => {}
        }
    }
    for (block, input) in blocks.iter_mut().zip(&inputs) {
        if block["type"] == "tool_use" {
            block["input"] = serde_json::from_str(input).unwrap();
        }
    }
    blocks
}

#[test]
fn a_caller_of_messages_brings_back_what_a_model_of_another_format_thought() {
    run(async {
        for (model, seal) in THINKERS {
            for stream in [false, true] {
                let caller = Caller::new(shared().await).await;
                let ask = json!({"role": "user", "content": "WEATHER?"});

                let first =
                    messages(&caller, model, stream, &json!([ask])).send().await.expect(200);

                let said = blocks(&first, stream);
                let kinds: Vec<&str> =
                    said.iter().map(|block| block["type"].as_str().unwrap()).collect();
                let call = said.last().unwrap();
                assert_eq!(kinds.first(), Some(&"thinking"), "{model}: {said:?}");
                assert_eq!(call["type"], "tool_use", "{model}: {said:?}");
                let result =
                    json!({"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"});
                let turns = json!([ask, {"role": "assistant", "content": said},
                    {"role": "user", "content": [result]}]);
                let second = messages(&caller, model, false, &turns).send().await.expect(200);
                assert!(second.text().contains("sunny"), "{}", second.text());
                assert!(posted(&caller).to_string().contains(&format!("\"{seal}")), "{model}");
                caller.assert_settled_to_the_bill().await;

                // Claude could not open it, and would refuse the turn.
                messages(&caller, "demo/claude", false, &turns).send().await.expect(200);
                let posted = posted(&caller).to_string();
                assert!(posted.contains("tool_use") && !posted.contains(seal), "{posted}");
                assert!(!posted.contains("\"thinking\""), "{posted}");
            }
        }
    });
}

#[test]
fn a_caller_of_gemini_brings_back_what_a_model_of_another_format_thought() {
    run(async {
        let (model, seal) = THINKERS[0];
        for verb in ["generateContent", "streamGenerateContent"] {
            let caller = Caller::new(shared().await).await;
            let declared = json!({"name": "weather", "description": "d", "parameters": schema()});
            let call = |verb: &str, contents: Value| {
                let thinking = json!({"thinkingLevel": "LOW"});
                let config = json!({"maxOutputTokens": 200, "thinkingConfig": thinking});
                let body = json!({"contents": contents, "generationConfig": config,
                    "tools": [{"functionDeclarations": [declared]}]});
                caller.post(&format!("/v1beta/models/{model}:{verb}"), &body).send()
            };
            let ask = json!({"role": "user", "parts": [{"text": "WEATHER?"}]});

            let first = call(verb, json!([ask])).await.expect(200).json();

            let chunks = first.as_array().cloned().unwrap_or_else(|| vec![first.clone()]);
            // Google's SDKs keep each chunk of a stream as a content of its own.
            let mut contents = vec![ask];
            contents.extend(chunks.iter().map(|chunk| chunk["candidates"][0]["content"].clone()));
            let called = contents[1..].iter().flat_map(|content| content["parts"].as_array());
            let called = called.flatten().find(|part| part.get("functionCall").is_some());
            let called = called.unwrap_or_else(|| panic!("{first}"));
            assert!(called["thoughtSignature"].is_string(), "{first}");
            let result = json!({"id": called["functionCall"]["id"], "name": "weather",
                "response": {"output": "sunny"}});
            contents.push(json!({"role": "user", "parts": [{"functionResponse": result}]}));
            let second = call("generateContent", json!(contents)).await.expect(200);
            assert!(second.text().contains("sunny"), "{}", second.text());
            let input = posted(&caller)["input"].clone();
            let kinds: Vec<&str> = input
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["type"].as_str().unwrap())
                .collect();
            assert_eq!(
                kinds,
                ["message", "reasoning", "function_call", "function_call_output"],
                "{input}"
            );
            let sealed = input[1]["encrypted_content"].as_str().unwrap();
            assert!(sealed.starts_with(seal) && input[1]["id"].is_string(), "{input}");
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn bytes_in_the_alphabet_of_urls_and_open_schemas_reach_other_models_as_they_take_them() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let image = json!({"inlineData": {"mime_type": "image/png", "data": "_-79_w=="}});
        let city = json!({"type": "OBJECT", "properties": {"name": {"type": "STRING"}}});
        let body = json!({
            "contents": [{"parts": [{"text": "what?"}, image]}],
            "generationConfig": {"maxOutputTokens": 64, "responseMimeType": "application/json",
                "responseSchema": {"type": "OBJECT", "properties": {"city": city}}},
        });
        for (model, place) in [
            ("demo/chat", "/messages/0/content/1/image_url/url"),
            ("demo/claude", "/messages/0/content/1/source/data"),
        ] {
            let path = format!("/v1beta/models/{model}:generateContent");
            caller.post(&path, &body).send().await.expect(200);
            let sent = posted(&caller);
            let data = sent.pointer(place).and_then(Value::as_str).unwrap_or_default();
            assert!(data.ends_with("/+79/w=="), "{sent}");
        }
        // Claude refuses a schema that leaves its objects open.
        let schema = posted(&caller)["output_config"]["format"]["schema"].clone();
        assert_eq!(schema["additionalProperties"], false, "{schema}");
        assert_eq!(schema["properties"]["city"]["additionalProperties"], false, "{schema}");
    });
}
