//! `POST /v1/embeddings` and `POST /v1/completions`.

use farebox_core::Money;
use farebox_tests::{Answer, Caller, run, usd};
use serde_json::{Value, json};

use crate::stacks::shared;

const EMBEDDINGS: &str = "/v1/embeddings";
const COMPLETIONS: &str = "/v1/completions";

/// The first has an endpoint of completions, the second is a model of chats.
const MODELS: [&str; 2] = ["demo/demo-instruct", "demo/chat"];

async fn ask(caller: &Caller<'_>, path: &str, model: &str, more: Value) -> Answer {
    let mut body = more;
    body["model"] = json!(model);
    caller.post(path, &body).send().await
}

fn texts(answer: &Answer) -> String {
    let events = answer.json_events();
    events.iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect()
}

#[test]
fn texts_and_token_ids_are_embedded_and_cost_what_the_provider_bills() {
    run(async {
        for (more, count) in [
            (json!({"input": "hello"}), 1),
            (json!({"input": ["hello", "world", "\u{fdfa}"], "dimensions": 3}), 3),
            (json!({"input": [1, 2, 3], "user": "u"}), 1),
            (json!({"input": [[1, 2], [3]], "encoding_format": "float"}), 2),
        ] {
            let caller = Caller::new(shared().await).await;

            let answer = ask(&caller, EMBEDDINGS, "demo/embed", more.clone()).await.expect(200);

            let list = answer.json();
            assert_eq!(list["object"], "list");
            let data = list["data"].as_array().unwrap();
            let dimensions = more["dimensions"].as_u64().unwrap_or(8);
            assert_eq!(data.len(), count, "{list}");
            for (place, item) in data.iter().enumerate() {
                assert_eq!(item["index"], place);
                assert_eq!(item["embedding"].as_array().unwrap().len() as u64, dimensions);
            }
            assert!(list["usage"]["prompt_tokens"].as_u64() > Some(0), "{list}");
            let cost = caller.assert_settled_to_the_bill().await;
            assert!(cost > Money::ZERO);
            assert_eq!(usd(list["usage"]["cost"]["total_cost"].as_str().unwrap()), cost);
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!(
                (&row["outcome"], &row["endpoint"]),
                (&json!("settled"), &json!(EMBEDDINGS))
            );
            assert!(usd(row["held_usd"].as_str().unwrap()) >= cost, "{row}");
            assert_eq!(row["usage"]["completion"], 0, "{row}");
        }
    });
}

#[test]
fn a_vector_in_base64_is_passed_on_by_the_byte() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let plain = json!({"input": "hello", "dimensions": 4});
        let mut packed = plain.clone();
        packed["encoding_format"] = json!("base64");

        let plain = ask(&caller, EMBEDDINGS, "demo/embed", plain).await.expect(200).json();
        let packed = ask(&caller, EMBEDDINGS, "demo/embed", packed).await.expect(200).json();

        // 4 numbers of 4 bytes are 24 letters.
        assert_eq!(packed["data"][0]["embedding"].as_str().unwrap().len(), 24, "{packed}");
        assert_eq!(plain["data"][0]["embedding"].as_array().unwrap().len(), 4);
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn an_embedding_above_its_budget_is_refused_and_nothing_is_sent() {
    run(async {
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"day_limit_usd": "0.00001", "mode": "hard"})).await;
        let long = json!({"input": "x".repeat(1_000)});

        let refused = ask(&caller, EMBEDDINGS, "demo/embed", long).await.expect(402).json();

        assert_eq!(refused["error"]["code"], "budget_exceeded", "{refused}");
        for (more, field) in [
            (json!({}), "input"),
            (json!({"input": []}), "input"),
            (json!({"input": "a", "truncate": true}), "truncate"),
            (json!({"input": "a", "dimensions": -1}), "dimensions"),
        ] {
            let refused = ask(&caller, EMBEDDINGS, "demo/embed", more).await.expect(400).json();
            assert_eq!(refused["error"]["param"], field, "{refused}");
        }
        // Its provider serves no embeddings of this model's format.
        let other = ask(&caller, EMBEDDINGS, "demo/claude", json!({"input": "a"})).await;
        assert_eq!(other.expect(501).json()["error"]["code"], "not_supported");
        caller.assert_untouched().await;
    });
}

#[test]
fn an_embedding_that_fails_is_charged_at_its_hold() {
    run(async {
        let caller = Caller::new(shared().await).await;

        let failed = ask(&caller, EMBEDDINGS, "demo/embed-fail", json!({"input": "a"})).await;

        let failed = failed.expect(502);
        let row = caller.row(failed.header("x-request-id").unwrap()).await;
        assert_eq!(row["outcome"], "worst", "{row}");
        assert_eq!(row["cost_usd"], row["held_usd"], "{row}");
        caller.user_books().await.assert_quiet();
    });
}

#[test]
fn a_completion_is_answered_in_its_format_and_costs_what_the_provider_bills() {
    run(async {
        for model in MODELS {
            let caller = Caller::new(shared().await).await;
            let more = json!({"prompt": "hello", "max_tokens": 60, "temperature": 0.5});

            let answer = ask(&caller, COMPLETIONS, model, more.clone()).await.expect(200);

            let completion = answer.json();
            assert_eq!(completion["object"], "text_completion");
            let choice = &completion["choices"][0];
            assert!(choice["text"].as_str().unwrap().contains("\"hello\""), "{completion}");
            assert_eq!((&choice["finish_reason"], &choice["index"]), (&json!("stop"), &json!(0)));
            assert_eq!(choice["logprobs"], Value::Null);
            let cost = caller.assert_settled_to_the_bill().await;
            assert_eq!(usd(completion["usage"]["cost"]["total_cost"].as_str().unwrap()), cost);
            // Without a cap the answer ends after OpenAI's 16 tokens.
            let short = ask(&caller, COMPLETIONS, model, json!({"prompt": "hello"})).await;
            let short = short.expect(200).json();
            assert_eq!(short["choices"][0]["finish_reason"], "length", "{short}");
            assert_eq!(short["usage"]["completion_tokens"], 16);
            let mut streamed = more;
            streamed["stream"] = json!(true);
            streamed["stream_options"] = json!({"include_usage": true});
            let stream = ask(&caller, COMPLETIONS, model, streamed).await.expect(200);
            assert_eq!(texts(&stream), choice["text"].as_str().unwrap(), "{model}");
            let events = stream.json_events();
            assert!(events.iter().all(|event| event["object"] == "text_completion"), "{events:?}");
            let last = &events[events.len() - 1];
            assert_eq!(last["choices"], json!([]), "{last}");
            assert!(last["usage"]["cost"]["total_cost"].is_string(), "{last}");
            assert!(stream.text().ends_with("data: [DONE]\n\n"));
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn every_completion_that_is_generated_is_held() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let more = json!({"prompt": ["a", "b"], "n": 2, "best_of": 3, "max_tokens": 10});

        let answer = ask(&caller, COMPLETIONS, MODELS[0], more).await.expect(200);

        // Two prompts, three of each: six answers of ten tokens.
        assert_eq!(answer.json()["usage"]["completion_tokens"], 60);
        let cost = caller.assert_settled_to_the_bill().await;
        let row = caller.row(answer.header("x-request-id").unwrap()).await;
        assert_eq!(row["outcome"], "settled", "{row}");
        assert!(usd(row["held_usd"].as_str().unwrap()) >= cost, "{row}");
    });
}

#[test]
fn what_a_chat_cannot_say_is_refused_by_name_and_nothing_is_sent() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for (more, field) in [
            (json!({"prompt": ["a", "b"]}), "prompt"),
            (json!({"prompt": [1, 2]}), "prompt"),
            (json!({"prompt": "a", "echo": true}), "echo"),
            (json!({"prompt": "a", "logprobs": 2}), "logprobs"),
            (json!({"prompt": "a", "suffix": "z"}), "suffix"),
            (json!({"prompt": "a", "best_of": 2}), "best_of"),
            (json!({"prompt": "a", "best_of": 1, "n": 2}), "best_of"),
            (json!({"prompt": "a", "tools": []}), "tools"),
            (json!({}), "prompt"),
        ] {
            let refused = ask(&caller, COMPLETIONS, "demo/chat", more).await.expect(400).json();
            assert_eq!(refused["error"]["param"], field, "{refused}");
        }
        caller.assert_untouched().await;
        // To one that speaks the format it goes as it is.
        let said = json!({"prompt": "a", "echo": false, "logprobs": 2, "suffix": "z"});
        ask(&caller, COMPLETIONS, MODELS[0], said).await.expect(200);
        let sent: Value = serde_json::from_slice(&caller.posts()[0].body).unwrap();
        assert_eq!((&sent["logprobs"], &sent["suffix"]), (&json!(2), &json!("z")));
        assert_eq!((&sent["model"], &sent["max_tokens"]), (&json!("demo-instruct"), &json!(16)));
    });
}

#[test]
fn a_completion_that_its_budget_cannot_extend_ends_as_one() {
    run(async {
        for model in ["demo/long-instruct", "demo/long"] {
            let caller = Caller::new(shared().await).await;
            caller.limit_user(&json!({"day_limit_usd": "0.0045", "mode": "balanced"})).await;
            let more = json!({"prompt": "hello", "stream": true, "max_tokens": 4_000});

            let answer = ask(&caller, COMPLETIONS, model, more).await.expect(200);

            let events = answer.json_events();
            let last = &events[events.len() - 1];
            assert_eq!(last["choices"][0]["finish_reason"], "length", "{model}: {last}");
            assert_eq!(last["choices"][0]["text"], "", "{model}: {last}");
            caller.user_books().await.assert_quiet();
        }
    });
}
