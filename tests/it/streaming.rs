//! Streams: their shape in both forms, over both wires, and the money of those that end badly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use farebox_core::Money;
use farebox_tests::caller::{native, openai};
use farebox_tests::tap::Step;
use farebox_tests::{Answer, Caller, run, until, usd, wire};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::chat::{WIRES, total_of};
use crate::forms::{FORMS, Form};
use crate::stacks::shared;

const WITH_USAGE: &str = r#"{"stream":true,"stream_options":{"include_usage":true}}"#;

fn options(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn choice(chunk: &Value) -> Option<&Value> {
    chunk["choices"].as_array().expect("choices").first()
}

/// Each event stands on one line behind `data: `, and the last one is `[DONE]`.
fn chunks_of(answer: &Answer) -> Vec<Value> {
    let events = answer.events();
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
    assert_eq!(events.iter().filter(|event| *event == "[DONE]").count(), 1);
    answer.json_events()
}

#[test]
fn a_stream_has_one_id_the_role_once_one_finish_reason_and_the_usage_last() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;

            let answer = caller.complete(model, &options(WITH_USAGE)).await.expect(200);

            let chunks = chunks_of(&answer);
            let ids: Vec<_> = chunks.iter().map(|chunk| &chunk["id"]).collect();
            assert!(ids[0].as_str().is_some_and(|id| !id.is_empty()));
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
            assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
            let served = model.strip_prefix("demo/").unwrap();
            assert!(chunks.iter().all(|chunk| chunk["model"] == served), "{chunks:?}");
            let choices: Vec<_> = chunks.iter().filter_map(choice).collect();
            let roles = choices.iter().filter(|choice| !choice["delta"]["role"].is_null());
            assert_eq!(roles.count(), 1, "{choices:?}");
            assert_eq!(choices[0]["delta"]["role"], "assistant");
            let reasons = choices.iter().filter(|choice| !choice["finish_reason"].is_null());
            assert_eq!(reasons.count(), 1, "{choices:?}");
            assert_eq!(choices.last().unwrap()["finish_reason"], "stop");
            let text: String =
                choices.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
            assert!(text.contains("You said: \"hello\""), "{text}");

            let (last, before) = chunks.split_last().unwrap();
            assert_eq!(last["choices"], json!([]));
            assert!(before.iter().all(|chunk| choice(chunk).is_some()), "{before:?}");
            assert!(before.iter().all(|chunk| chunk["usage"].is_null()), "{before:?}");
            let cost = total_of(&last["usage"]["cost"]);
            assert_eq!(caller.assert_settled_to_the_bill().await, cost);
        }
    });
}

#[test]
fn a_stream_shows_its_usage_only_when_asked_and_costs_the_same() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;

            let answer = caller.complete(model, &json!({"stream": true})).await.expect(200);

            let chunks = chunks_of(&answer);
            assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()), "{chunks:?}");
            assert!(chunks.iter().all(|chunk| choice(chunk).is_some()), "{chunks:?}");
            assert!(answer.header("x-request-id").is_some());
            assert!(answer.header("x-farebox-cost-usd").is_none());
            assert!(caller.assert_settled_to_the_bill().await > Money::ZERO);
        }
    });
}

#[test]
fn the_last_event_in_farebox_form_is_the_full_answer() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;

            let answer = caller.chat(model, &json!({"stream": true})).await.expect(200);

            let events = answer.json_events();
            let (last, deltas) = events.split_last().unwrap();
            let id = answer.header("x-request-id");
            assert!(deltas.iter().all(|event| event["request_id"].as_str() == id), "{deltas:?}");
            let text: String =
                deltas.iter().filter_map(|event| event["delta"]["content"].as_str()).collect();
            assert!(deltas.len() > 3 && text.contains("\"hello\""), "{deltas:?}");
            assert_eq!((&last["success"], &last["content"]), (&json!(true), &json!(text)));
            assert_eq!(last["request_id"].as_str(), id);
            assert_eq!(
                (&last["role"], &last["finish_reason"]),
                (&json!("assistant"), &json!("stop"))
            );
            assert!(last["usage"]["total_tokens"].as_u64() > Some(0));
            assert_eq!(caller.assert_settled_to_the_bill().await, total_of(&last["cost"]));
        }
    });
}

#[test]
fn a_stream_with_a_budget_tells_its_room_in_the_headers() {
    run(async {
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"month_limit_usd": "1"})).await;

        let answer = caller.complete("demo/chat", &json!({"stream": true})).await.expect(200);

        let room = usd(answer.header("x-farebox-room-usd-user").unwrap());
        assert!(room > Money::ZERO && room < usd("1"), "{room}");
        assert!(answer.header("x-farebox-reset-user").is_some());
    });
}

/// A stream that cannot be settled to a stated usage: the whole hold is charged, whatever the
/// provider bills, and the row says so.
async fn assert_worst(caller: &Caller<'_>, answer: &Answer) {
    let id = answer.header("x-request-id").unwrap();
    let row = caller.row(id).await;
    assert_eq!(row["outcome"], "worst", "{row}");
    let hold = usd(row["held_usd"].as_str().unwrap());
    assert_eq!(row["cost_usd"], hold.to_string());
    for books in [caller.user_books().await, caller.key_books().await] {
        books.assert_quiet();
        assert_eq!(books.settled(), hold, "{}", books.scope);
    }
    assert!(caller.bill().await <= hold, "{} above {hold}", caller.bill().await);
    assert_eq!(caller.posts().len(), 1, "one POST on the wire");
}

#[test]
fn a_stream_that_breaks_ends_in_an_error_event_and_costs_its_hold() {
    run(async {
        for model in ["cut", "claude-cut", "error-in-stream", "claude-error-in-stream", "bad-json"]
        {
            let caller = Caller::new(shared().await).await;
            let model = format!("demo/{model}");

            let answer = caller.complete(&model, &options(WITH_USAGE)).await.expect(200);

            let events = answer.events();
            assert!(!events.iter().any(|event| event == "[DONE]"), "{model}: {events:?}");
            let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
            assert_eq!(last["error"]["code"], "provider_unavailable", "{model}: {last}");
            assert_eq!(last["error"]["type"], "server_error");
            assert!(last["error"]["message"].as_str().unwrap().contains("worst case"), "{last}");
            assert_worst(&caller, &answer).await;
        }
    });
}

#[test]
fn a_stream_in_farebox_form_that_breaks_tells_its_cost_in_the_error() {
    run(async {
        for model in ["cut", "claude-error-in-stream"] {
            let caller = Caller::new(shared().await).await;

            let answer = caller.chat(model, &json!({"stream": true})).await.expect(200);

            let last = answer.json_events().pop().unwrap();
            assert_eq!(
                (&last["success"], &last["error"]["code"]),
                (&json!(false), &json!("provider_unavailable"))
            );
            let charged = last["cost"]["total_cost"].as_str().unwrap();
            assert_worst(&caller, &answer).await;
            assert_eq!(caller.user_books().await.settled(), usd(charged));
        }
    });
}

#[test]
fn a_good_answer_without_usage_costs_its_hold() {
    run(async {
        for stream in [false, true] {
            let caller = Caller::new(shared().await).await;

            let answer =
                caller.complete("demo/no-usage", &json!({"stream": stream})).await.expect(200);

            if stream {
                chunks_of(&answer);
            } else {
                assert!(answer.json()["choices"][0]["message"]["content"].is_string());
            }
            assert_worst(&caller, &answer).await;
        }
    });
}

#[test]
fn a_refused_stream_is_a_plain_error_with_its_status() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for body in
            [native("nope", &json!({"stream": true})), native("busy", &json!({"stream": true}))]
        {
            let answer = caller.post("/v1/chat", &body).send().await;

            assert!(answer.status.is_client_error(), "{}", answer.status);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.json()["success"], false);
        }
    });
}

#[test]
fn bytes_arrive_as_the_provider_writes_them() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let body = openai("demo/drip", &json!({"stream": true}));

        let mut answer = caller.post("/v1/chat/completions", &body).open().await;
        let (mut first, mut pieces) = (None, 0);
        while answer.piece().await.unwrap().is_some() {
            first.get_or_insert_with(Instant::now);
            pieces += 1;
        }

        // The provider takes 40 times 50 ms; a stream that was gathered would come at once.
        let spread = first.unwrap().elapsed();
        assert!(spread > Duration::from_millis(1_000) && pieces > 10, "{spread:?} {pieces}");
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn a_caller_who_hangs_up_pays_the_truth() {
    run(async {
        for (path, stream) in
            [("/v1/chat", true), ("/v1/chat/completions", true), ("/v1/chat", false)]
        {
            let caller = Caller::new(shared().await).await;
            let options = json!({"stream": stream, "max_tokens": 30});
            let body = match path {
                "/v1/chat" => native("drip", &options),
                _ => openai("demo/drip", &options),
            };

            let call = caller.post(path, &body);
            if stream {
                let mut answer = call.open().await;
                let piece = answer.piece().await.unwrap().unwrap();
                assert!(!wire::events_of(&String::from_utf8_lossy(&piece)).is_empty());
                drop(answer);
            } else {
                let waiting = tokio::spawn(call.try_open());
                until("the call reaches the provider", || async {
                    (!caller.posts().is_empty()).then_some(())
                })
                .await;
                waiting.abort();
            }

            until("the call is settled", || async {
                let books = caller.user_books().await;
                (books.settled() > Money::ZERO && books.held() == Money::ZERO).then_some(())
            })
            .await;
            until("the key's part is settled", || async {
                (caller.key_books().await.settled() > Money::ZERO).then_some(())
            })
            .await;
            let cost = caller.assert_settled_to_the_bill().await;
            assert_eq!(caller.posts().len(), 1);
            // 30 tokens were written and billed although nobody read them.
            assert!(cost > usd("0.00006"), "{cost}");
        }
    });
}

/// Listens until the provider's silence is filled; gives what came before, what filled it, and how
/// long that took.
async fn silence(form: &Form, caller: &Caller<'_>) -> (String, String, Duration) {
    let (events, _) = (form.events)(&form.usage(json!(5), json!(2)));
    let (first, rest) = events.split_first().unwrap();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let speaks = Arc::new(Notify::new());
    let steps = vec![
        Step::Send(format!("{head}{first}").into_bytes()),
        Step::Wait(Arc::clone(&speaks)),
        Step::Send(rest.concat().into_bytes()),
    ];
    form.aim(caller, "sk-silent", steps).await;
    let mut answer = form.call(caller, true).open().await;
    let before = answer.piece().await.unwrap().unwrap();
    let began = Instant::now();
    let filled = answer.piece().await.unwrap().unwrap();
    let took = began.elapsed();
    speaks.notify_one();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let rest = answer.whole().await.text();
    (text(&before) + &rest, text(&filled), took)
}

/// One of two tests that wait as long as people do: sixteen seconds, while others run.
#[test]
fn a_silent_stream_gets_every_fifteen_seconds_what_its_reader_skips() {
    run(async {
        let stack = shared().await;
        join_all(FORMS.iter().map(|form| async move {
            let caller = Caller::new(stack).await;

            let heard = tokio::time::timeout(Duration::from_secs(60), silence(form, &caller)).await;

            let (told, filled, took) = heard.unwrap_or_else(|_| panic!("{}", form.provider));
            // Google's SDKs take a comment for a fault.
            let skipped = if form.provider == "gemini" { "\n" } else { ": keep-alive\n\n" };
            assert_eq!(filled, skipped, "{}", form.provider);
            assert!(took > Duration::from_secs(14), "{}: {took:?}", form.provider);
            assert!(took < Duration::from_secs(30), "{}: {took:?}", form.provider);
            assert!(told.contains('h') && told.contains('i'), "{told}");
            let books = caller.user_books().await;
            books.assert_quiet();
            assert!(books.settled() > Money::ZERO, "{}", form.provider);
        }))
        .await;
    });
}

/// The other one: 45 seconds.
#[test]
fn a_provider_without_a_head_does_not_leave_a_streams_caller_in_silence() {
    run(async {
        let stack = shared().await;
        join_all(FORMS.iter().map(|form| async move {
            let caller = Caller::new(stack).await;
            let speaks = Arc::new(Notify::new());
            let body = json!({"error": {"message": "no", "type": "overloaded_error"}}).to_string();
            let head = format!("HTTP/1.1 529 No\r\ncontent-length: {}\r\n\r\n", body.len());
            let steps =
                vec![Step::Wait(Arc::clone(&speaks)), Step::Send((head + &body).into_bytes())];
            form.aim(&caller, "sk-headless", steps).await;
            let began = Instant::now();

            let opened =
                tokio::time::timeout(Duration::from_secs(80), form.call(&caller, true).open());
            let mut answer = opened.await.unwrap_or_else(|_| panic!("{}", form.provider));
            let filled = answer.piece().await.unwrap().unwrap();

            let took = began.elapsed();
            assert!(took > Duration::from_secs(40), "{}: {took:?}", form.provider);
            let skipped: &[u8] =
                if form.provider == "gemini" { b"\n" } else { b": keep-alive\n\n" };
            assert_eq!(filled, skipped, "{}", form.provider);
            // From here on a failure travels in the stream, in the caller's words, and is charged.
            speaks.notify_one();
            let answer = answer.whole().await.expect(200);
            let events = answer.json_events();
            assert!((form.is_error)(events.last().unwrap(), 502), "{}", answer.text());
            let books = caller.user_books().await;
            books.assert_quiet();
            assert!(books.settled() > Money::ZERO, "{}", form.provider);
        }))
        .await;
    });
}
