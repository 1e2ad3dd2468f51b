//! Mode balanced: a call holds little at first, and more as its metered stream goes on.

use farebox_core::Money;
use farebox_tests::{Caller, run, usd};
use serde_json::{Value, json};

use crate::stacks::shared;

/// Pays for the first hold of `demo/long` and for what it really costs, not for its worst case.
const ROOM_USD: &str = "0.0075";

async fn balanced(limit_usd: &str) -> Caller<'static> {
    let caller = Caller::new(shared().await).await;
    let budget = json!({"day_limit_usd": limit_usd, "mode": "balanced"});
    caller.limit_user(&budget).await;
    caller
}

fn streamed(more: &Value) -> Value {
    let mut options = json!({"stream": true, "stream_options": {"include_usage": true}});
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    options
}

#[test]
fn a_call_whose_worst_case_does_not_fit_is_served_and_settles_to_the_bill() {
    run(async {
        let hard = Caller::new(shared().await).await;
        hard.limit_user(&json!({"day_limit_usd": ROOM_USD})).await;
        let asked = json!({"max_tokens": 4_000});
        hard.complete("demo/chat", &asked).await.expect(402);

        let caller = balanced(ROOM_USD).await;
        let answer = caller.complete("demo/chat", &asked).await.expect(200);

        let row = caller.row(answer.header("x-request-id").unwrap()).await;
        assert!(usd(row["held_usd"].as_str().unwrap()) < usd("0.004"), "{row}");
        assert_eq!(row["outcome"], "settled");
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn a_whole_answer_is_gathered_from_a_stream_and_is_the_same() {
    run(async {
        let hard = Caller::new(shared().await).await;
        let caller = balanced("1").await;
        let tool = json!({"type": "function", "function": {"name": "weather", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}}}});
        for (model, options) in [
            ("demo/chat", json!({"max_tokens": 4_000})),
            ("demo/chat", json!({"max_tokens": 4_000, "n": 2})),
            ("demo/chat", json!({"tools": [tool], "tool_choice": "required"})),
            ("demo/claude", json!({"max_tokens": 4_000})),
            (
                "demo/claude",
                json!({"max_tokens": 4_000, "tools": [tool], "tool_choice": "required"}),
            ),
        ] {
            let whole = hard.complete(model, &options).await.expect(200).json();
            let gathered = caller.complete(model, &options).await.expect(200).json();

            let sent: Value = serde_json::from_slice(&caller.posts().last().unwrap().body).unwrap();
            assert_eq!(sent["stream"], true, "{model}");
            for (mut whole, mut gathered) in both(&whole, &gathered) {
                for message in [&mut whole, &mut gathered] {
                    // Where it says nothing, and a name of its own for each call.
                    let message = message["message"].as_object_mut().unwrap();
                    let nothing = [Value::Null, json!([]), json!("")];
                    message.retain(|_, value| !nothing.contains(value));
                    if let Some(calls) = message.get_mut("tool_calls") {
                        calls[0]["id"] = Value::Null;
                    }
                }
                assert_eq!(gathered["message"], whole["message"], "{model}");
                assert_eq!(gathered["finish_reason"], whole["finish_reason"], "{model}");
            }
            for field in ["object", "model"] {
                assert_eq!(gathered[field], whole[field], "{model}");
            }
            for field in ["completion_tokens", "total_tokens"] {
                assert!(gathered["usage"][field].as_u64().unwrap() > 0, "{gathered}");
            }
        }
        caller.assert_settled_to_the_bill().await;
    });
}

fn both(whole: &Value, gathered: &Value) -> Vec<(Value, Value)> {
    let choices = |answer: &Value| answer["choices"].as_array().unwrap().clone();
    let (whole, gathered) = (choices(whole), choices(gathered));
    assert_eq!(whole.len(), gathered.len());
    whole.into_iter().zip(gathered).collect()
}

#[test]
fn a_long_stream_is_extended_and_settles_to_the_bill() {
    run(async {
        let caller = balanced("1").await;
        let stack = caller.stack();
        caller.complete("demo/chat", &json!({})).await.expect(200);

        let answer = caller.complete("demo/long", &streamed(&json!({}))).await.expect(200);

        assert_eq!(finish_of(&answer.text()), "stop");
        let row = caller.row(answer.header("x-request-id").unwrap()).await;
        assert_eq!(row["usage"]["completion"], 1_200);
        let first = usd("0.002");
        assert!(usd(row["held_usd"].as_str().unwrap()) > first, "never extended: {row}");
        stack.drain().await;
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn a_stream_that_its_budget_cannot_extend_ends_with_length_and_its_generation_too() {
    run(async {
        for stream in [true, false] {
            let caller = balanced("0.0045").await;
            let options = if stream { streamed(&json!({})) } else { json!({}) };

            let answer = caller.complete("demo/long", &options).await.expect(200);

            let finish = if stream {
                finish_of(&answer.text())
            } else {
                let body = answer.json();
                assert!(body["choices"][0]["message"]["content"].as_str().unwrap().len() > 500);
                body["choices"][0]["finish_reason"].as_str().unwrap().to_owned()
            };
            assert_eq!(finish, "length");
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!((&row["outcome"], &row["status"]), (&json!("worst"), &json!(200)), "{row}");
            assert_eq!(row["cost_usd"], row["held_usd"]);
            let books = caller.user_books().await;
            books.assert_quiet();
            assert!(books.settled() <= usd("0.0045"));
            let bill = caller.bill().await;
            assert!(Money::ZERO < bill && bill <= books.settled(), "{bill} {}", books.settled());
        }
    });
}

#[test]
fn a_hard_budget_beside_a_balanced_one_needs_the_worst_case() {
    run(async {
        let caller = balanced("1").await;
        caller.limit_key(&json!({"day_limit_usd": ROOM_USD})).await;
        let asked = json!({"max_tokens": 4_000});

        caller.complete("demo/chat", &asked).await.expect(402);
        caller.limit_key(&json!({"day_limit_usd": ROOM_USD, "mode": "observe"})).await;

        caller.complete("demo/chat", &asked).await.expect(200);
    });
}

#[test]
fn a_budget_that_turns_hard_takes_no_metered_hold_from_a_cached_mode() {
    run(async {
        let caller = balanced(ROOM_USD).await;
        let asked = json!({"max_tokens": 4_000});
        caller.complete("demo/chat", &asked).await.expect(200);

        caller.limit_user(&json!({"day_limit_usd": ROOM_USD})).await;
        caller.complete("demo/chat", &asked).await.expect(402);
        let served = caller.complete("demo/chat", &json!({"max_tokens": 2_000})).await;

        let row = caller.row(served.expect(200).header("x-request-id").unwrap()).await;
        assert!(usd(row["held_usd"].as_str().unwrap()) > usd("0.004"), "{row}");
        caller.assert_settled_to_the_bill().await;
    });
}

/// The last finish reason of a stream.
fn finish_of(stream: &str) -> String {
    let events = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = events.filter_map(|event| serde_json::from_str::<Value>(event).ok());
    let mut reasons =
        events.filter_map(|event| event["choices"][0]["finish_reason"].as_str().map(str::to_owned));
    reasons.next_back().expect("a finish reason")
}
