//! How long an attempt may take, as its route says, and what giving up costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use farebox_core::Money;
use farebox_tests::caller::openai;
use farebox_tests::tap::Step;
use farebox_tests::{Answer, Caller, Settings, Stack, run, until, usd};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

use crate::routing::routed;
use crate::stacks::executable;

/// Sooner than any timeout that is not the route's.
const SOON: Duration = Duration::from_secs(15);

/// The call's row; asserts that it was given up in time and costs what was held.
async fn given_up(caller: &Caller<'_>, answer: &Answer, began: Instant) -> Value {
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let row = caller.row(answer.header("x-request-id").unwrap()).await;
    assert_eq!((&row["outcome"], &row["cost_usd"]), (&json!("worst"), &row["held_usd"]), "{row}");
    assert_eq!(row["error"]["code"], "provider_unavailable", "{row}");
    row
}

#[test]
fn a_provider_that_does_not_begin_is_given_up_and_costs_its_hold() {
    run(async {
        for stream in [false, true] {
            let caller = Caller::new(routed().await).await;
            let began = Instant::now();

            let options = json!({"max_tokens": 9, "stream": stream});
            let answer = caller.complete("first-byte", &options).await.expect(504);

            let row = given_up(&caller, &answer, began).await;
            let books = caller.user_books().await;
            books.assert_quiet();
            assert_eq!(books.settled(), usd(row["cost_usd"].as_str().unwrap()));
        }
    });
}

#[test]
fn a_head_and_comments_are_no_beginning() {
    run(async {
        let stack = routed().await;
        for stream in [false, true] {
            let timeouts = json!({"timeouts": {"first_byte_ms": 400}});
            let caller = Caller::with_key(stack, &timeouts).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            let comment = if stream { ": PROCESSING\n\n" } else { "" };
            let steps = vec![
                Step::Send(format!("{head}{comment}").into_bytes()),
                Step::Wait(Arc::new(Notify::new())),
            ];
            stack.tap().script(&caller.user, steps);
            let began = Instant::now();

            let options = json!({"max_tokens": 9, "stream": stream});
            let answer = caller.complete("demo/chat", &options).await.expect(504);

            assert!(answer.text().contains("longer than 1 s"), "{}", answer.text());
            given_up(&caller, &answer, began).await;
        }
    });
}

#[test]
fn after_a_charge_the_next_model_answers_where_the_route_says_so() {
    run(async {
        let caller = Caller::new(routed().await).await;

        let answer =
            caller.complete("first-byte-paid", &json!({"max_tokens": 9})).await.expect(200);

        assert_eq!(answer.header("x-farebox-served-by"), Some("demo/chat"));
        let row = caller.row(answer.header("x-request-id").unwrap()).await;
        assert_eq!(row["earlier"][0]["outcome"], "worst", "{row}");
    });
}

#[test]
fn a_stream_that_falls_silent_or_takes_too_long_is_cut() {
    run(async {
        for name in ["idle", "total"] {
            let caller = Caller::new(routed().await).await;
            let began = Instant::now();

            let answer = caller.complete(name, &json!({"stream": true})).await.expect(200);

            assert!(answer.text().contains("provider_unavailable"), "{name}: {}", answer.text());
            given_up(&caller, &answer, began).await;
        }
        let caller = Caller::new(routed().await).await;
        let answer = caller.complete("patient", &json!({"stream": true})).await.expect(200);
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
        caller.assert_settled_to_the_bill().await;
    });
}

/// Else the function ends while it waits for its caller, and what the call came to is never known.
#[test]
fn a_caller_who_takes_nothing_does_not_keep_the_books_open() {
    run(async {
        let timeouts = json!({"timeouts": {"total_ms": 1_000}});
        let caller = Caller::with_key(routed().await, &timeouts).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1,
            "model": "m", "choices": [{"index": 0, "delta": {"content": "x"}}],
            // What the content weighs is bounded; this is passed on, and more than every buffer.
            "more": "x".repeat(16_000)});
        let steps = vec![
            Step::Send(head.as_bytes().to_vec()),
            Step::Repeat(format!("data: {chunk}\n\n").into_bytes(), 6_000, Arc::default()),
            Step::Wait(Arc::new(Notify::new())),
        ];
        caller.stack().tap().script(&caller.user, steps);
        let began = Instant::now();

        let body = openai("demo/chat", &json!({"stream": true}));
        let answer = caller.post("/v1/chat/completions", &body).open().await;

        until("the call is charged", || async {
            let books = caller.user_books().await;
            (books.settled() > Money::ZERO && books.held() == Money::ZERO).then_some(())
        })
        .await;
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        drop(answer);
    });
}

#[test]
fn a_whole_answer_that_takes_too_long_is_given_up() {
    run(async {
        let caller = Caller::new(routed().await).await;
        let began = Instant::now();

        let answer = caller.complete("total", &json!({})).await.expect(504);

        given_up(&caller, &answer, began).await;
    });
}

#[test]
fn a_key_says_how_long_an_attempt_may_take_where_no_route_does() {
    run(async {
        let timeouts = json!({"timeouts": {"first_byte_ms": 300}});
        let caller = Caller::with_key(routed().await, &timeouts).await;
        let began = Instant::now();

        let answer = caller.complete("demo/hang", &json!({"max_tokens": 9})).await.expect(504);

        given_up(&caller, &answer, began).await;
    });
}

/// A port whose queue is full: the kernel drops who knocks, as a host does that is down.
struct Full {
    listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Full {
    async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        let knock =
            || tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address));
        while let Ok(stream) = knock().await {
            queued.push(stream.unwrap());
            assert!(queued.len() < 100, "the queue has no end");
        }
        Self { listener, _queued: queued }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }
}

#[test]
fn a_provider_that_takes_no_connection_is_given_up_in_time_and_costs_nothing() {
    run(async {
        let full = Full::new().await;
        let settings = Settings { origins: vec![full.origin()], ..Settings::default() };
        let stack = Stack::start(executable(), &settings).await;
        // The usual five seconds, and what a key says instead.
        for (key, at_least, at_most) in
            [(json!({"timeouts": {"connect_ms": 400}}), 400, 5_000), (json!({}), 5_000, 60_000)]
        {
            let caller = Caller::with_key(&stack, &key).await;
            stack.set_credential(&caller.user, "openai", "sk-none", &full.origin()).await;
            let began = Instant::now();

            let answer = caller.complete("openai/gpt-4o-mini", &json!({})).await.expect(502);

            let took = began.elapsed();
            assert!(took >= Duration::from_millis(at_least), "{key}: {took:?}");
            assert!(took < Duration::from_millis(at_most), "{key}: {took:?}");
            assert_eq!(answer.json()["error"]["code"], "provider_unavailable");
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!((&row["outcome"], &row["cost_usd"]), (&json!("void"), &json!("0")), "{row}");
            let books = caller.user_books().await;
            books.assert_quiet();
            assert_eq!(books.settled(), Money::ZERO);
        }
    });
}
