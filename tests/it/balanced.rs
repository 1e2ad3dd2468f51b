//! Mode balanced: a call holds little at first, and more as its metered stream goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use farebox_core::Money;
use farebox_tests::caller::openai;
use farebox_tests::tap::Step;
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

/// Departure 31: a whole answer has what no stream tells.
#[test]
fn a_call_that_is_not_metered_is_asked_for_as_its_caller_asked() {
    run(async {
        let asked = json!({"model": "demo/codex", "input": "hello", "max_output_tokens": 4_000});
        let mut held = Vec::new();
        for mode in ["hard", "balanced"] {
            let caller = Caller::new(shared().await).await;
            caller.limit_user(&json!({"day_limit_usd": "1", "mode": mode})).await;

            let answer = caller.post("/v1/responses", &asked).send().await.expect(200);

            let sent: Value = serde_json::from_slice(&caller.posts().last().unwrap().body).unwrap();
            assert_ne!(sent["stream"], true, "{mode}");
            assert_eq!(answer.json()["output"][0]["type"], "reasoning", "{}", answer.text());
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            held.push(row["held_usd"].clone());
            caller.assert_settled_to_the_bill().await;
        }
        assert_eq!(held[0], held[1], "the worst case");
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

/// A stream of so many pieces of forty bytes, in the words of a provider, that states 700 tokens;
/// the bytes that were taken of it are counted.
fn stream_of(provider: &str, pieces: usize, taken: &Arc<AtomicUsize>) -> Vec<Step> {
    let text = "x".repeat(40);
    let sse = |events: Vec<Value>| -> String {
        let name = |event: &Value| match event["type"].as_str() {
            Some(name) => format!("event: {name}\n"),
            None => String::new(),
        };
        events.iter().map(|event| format!("{}data: {event}\n\n", name(event))).collect()
    };
    let usage = json!({"input_tokens": 900, "output_tokens": 700});
    let (start, piece, mut end) = match provider {
        "anthropic" => (
            sse(vec![
                json!({"type": "message_start", "message": {"id": "m1", "type": "message",
                    "role": "assistant", "model": "m", "content": [],
                    "usage": {"input_tokens": 900, "output_tokens": 1}}}),
                json!({"type": "content_block_start", "index": 0,
                    "content_block": {"type": "text", "text": ""}}),
            ]),
            sse(vec![json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": text}})]),
            sse(vec![
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                    "usage": usage}),
                json!({"type": "message_stop"}),
            ]),
        ),
        "cohere" => (
            sse(vec![
                json!({"id": "m1", "type": "message-start",
                    "delta": {"message": {"role": "assistant", "content": []}}}),
                json!({"type": "content-start", "index": 0,
                    "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
            ]),
            sse(vec![json!({"type": "content-delta", "index": 0,
                "delta": {"message": {"content": {"text": text}}}})]),
            sse(vec![
                json!({"type": "content-end", "index": 0}),
                json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE",
                    "usage": {"billed_units": usage, "tokens": usage}}}),
            ]),
        ),
        _ => {
            let chunk = |delta: Value, finish: Value| {
                json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
            };
            let mut last = chunk(json!({}), json!("stop"));
            last["usage"] =
                json!({"prompt_tokens": 900, "completion_tokens": 700, "total_tokens": 1_600});
            (
                sse(vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)]),
                sse(vec![chunk(json!({"content": text}), Value::Null)]),
                sse(vec![last]) + "data: [DONE]\n\n",
            )
        }
    };
    end.push('\n');
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    vec![
        Step::Send((head.to_owned() + &start).into_bytes()),
        Step::Repeat(piece.into_bytes(), pieces, Arc::clone(taken)),
        Step::Send(end.into_bytes()),
    ]
}

#[test]
fn who_streams_all_that_it_bills_and_stops_when_left_is_metered() {
    for model in [
        "openai/gpt-4.1-mini",
        "anthropic/claude-haiku-4-5",
        "xai/grok-3",
        "deepseek/deepseek-chat",
        "cohere/command-a-03-2025",
        "together/meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "fireworks/accounts/fireworks/models/llama-v3p3-70b-instruct",
        "vllm/m",
        "ollama/m",
    ] {
        run(metered(model));
    }
}

/// A call to a model of a real provider's, whose worst case its budget has no room for.
async fn metered(model: &str) {
    let caller = balanced("100").await;
    let (provider, _) = model.split_once('/').unwrap();
    let (stack, taken) = (caller.stack(), Arc::new(AtomicUsize::new(0)));
    let url = stack.tap().base_url(&caller.user);
    stack.set_credential(&caller.user, provider, "sk-1", &url).await;
    let mut body = openai(model, &streamed(&json!({"max_tokens": 8_000})));
    body["messages"][0]["content"] = json!("hello ".repeat(200));
    let quote = caller.post("/v1/quote", &body).send().await.expect(200).json();
    let of_quote = |field: &str| usd(quote[field].as_str().unwrap());
    let (hold, ceiling) = (of_quote("hold_usd"), of_quote("ceiling_usd"));
    assert!(hold.pico() * 2 < ceiling.pico(), "{model} holds its worst case: {quote}");

    // Room for what it comes to, and not for what it might.
    let most = Money::from_pico(ceiling.pico() * 4 / 5).unwrap();
    caller.limit_user(&json!({"day_limit_usd": most.to_string(), "mode": "balanced"})).await;
    stack.tap().script(&caller.user, stream_of(provider, 75, &taken));
    let answer = caller.post("/v1/chat/completions", &body).send().await.expect(200);

    assert_eq!(finish_of(&answer.text()), "stop", "{model}");
    let row = caller.row(answer.header("x-request-id").unwrap()).await;
    assert_eq!((&row["outcome"], &row["usage"]["completion"]), (&json!("settled"), &json!(700)));
    let held = usd(row["held_usd"].as_str().unwrap());
    assert!(hold < held && held < ceiling, "{model}: {row}");
    let spent = caller.user_books().await.settled();
    assert_eq!(spent, usd(row["cost_usd"].as_str().unwrap()), "{model}");

    // Room for the first hold and no more: it is cut, and so is the connection.
    let most = Money::from_pico(spent.pico() + hold.pico() + 1).unwrap();
    caller.limit_user(&json!({"day_limit_usd": most.to_string(), "mode": "balanced"})).await;
    stack.tap().script(&caller.user, stream_of(provider, 1_000_000, &taken));
    let answer = caller.post("/v1/chat/completions", &body).send().await.expect(200);

    assert_eq!(finish_of(&answer.text()), "length", "{model}");
    let row = caller.row(answer.header("x-request-id").unwrap()).await;
    assert_eq!(row["outcome"], "worst", "{model}: {row}");
    let books = caller.user_books().await;
    books.assert_quiet();
    assert_eq!(books.settled().pico() - spent.pico(), hold.pico(), "{model}: what was confirmed");
    // The provider was left long before its end.
    let piece = stream_of(provider, 1, &taken);
    let Step::Repeat(piece, ..) = &piece[1] else { panic!("a piece") };
    assert!(taken.load(Ordering::Relaxed) < piece.len() * 500_000, "{model} was read to its end");
}

#[test]
fn what_a_provider_generates_while_it_is_left_is_held_for_and_no_stream_uses_it() {
    run(async {
        let caller = balanced("100").await;
        let (stack, model) = (caller.stack(), "deepseek/deepseek-chat");
        let url = stack.tap().base_url(&caller.user);
        stack.set_credential(&caller.user, "deepseek", "sk-1", &url).await;
        let body = openai(model, &streamed(&json!({"max_tokens": 8_000})));
        let quote = caller.post("/v1/quote", &body).send().await.expect(200).json();
        let hold = usd(quote["hold_usd"].as_str().unwrap());
        let limit = json!({"day_limit_usd": hold.to_string(), "mode": "balanced"});
        caller.limit_user(&limit).await;
        // 1,120 bytes, which 1,256 tokens would pay for, and then nothing more.
        let mut steps = stream_of("deepseek", 28, &Arc::default());
        steps.insert(2, Step::Wait(Arc::default()));
        stack.tap().script(&caller.user, steps);

        let call = caller.post("/v1/chat/completions", &body).send();
        let answer = tokio::time::timeout(Duration::from_secs(60), call).await;

        let answer = answer.expect("256 tokens are left for what comes beyond").expect(200);
        assert_eq!(finish_of(&answer.text()), "length");
        assert_eq!(caller.user_books().await.settled(), hold);
    });
}

#[test]
fn a_choice_that_ends_early_leaves_the_others_metered() {
    run(async {
        let caller = balanced("100").await;
        let (stack, model) = (caller.stack(), "openai/gpt-4.1-mini");
        let url = stack.tap().base_url(&caller.user);
        stack.set_credential(&caller.user, "openai", "sk-1", &url).await;
        let body = openai(model, &streamed(&json!({"max_tokens": 8_000, "n": 2})));
        let quote = caller.post("/v1/quote", &body).send().await.expect(200).json();
        let hold = usd(quote["hold_usd"].as_str().unwrap());
        let limit = json!({"day_limit_usd": hold.to_string(), "mode": "balanced"});
        caller.limit_user(&limit).await;
        let second = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap().replace("\"index\":0", "\"index\":1");
            text.replace("700", "16000").replace("1600}", "16900}").into_bytes()
        };
        let steps =
            stream_of("openai", 1_600, &Arc::default()).into_iter().map(|step| match step {
                Step::Send(bytes) => Step::Send(second(bytes)),
                Step::Repeat(bytes, times, taken) => Step::Repeat(second(bytes), times, taken),
                wait @ Step::Wait(_) => wait,
            });
        let mut steps: Vec<_> = steps.collect();
        let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1,
            "model": "m", "choices": [{"index": 0, "finish_reason": "stop",
                "delta": {"role": "assistant", "content": "No."}}]});
        steps.insert(1, Step::Send(format!("data: {chunk}\n\n").into_bytes()));
        stack.tap().script(&caller.user, steps);

        let answer = caller.post("/v1/chat/completions", &body).send().await.expect(200);

        // The second choice bills 16,000 tokens where it is read to its end: ten times the limit.
        assert_eq!(caller.user_books().await.settled(), hold);
        assert_eq!(finish_of(&answer.text()), "length");
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
