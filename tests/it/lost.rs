//! Records of calls that the queue does not take: the outbox keeps them, and where that fails too,
//! a line of the function's log.

use farebox_core::Money;
use farebox_tests::caller::openai;
use farebox_tests::kill::end_chat;
use farebox_tests::moved::next_year;
use farebox_tests::relay::Relays;
use farebox_tests::{Caller, Stack, fresh, run, until, usd};
use http::Method;
use serde_json::{Value, json};

use crate::periods::moved;

const CHAT: &str = "/v1/chat/completions";
/// What stands in a request to the queue, in one that puts a record into the outbox, and in one
/// that ends a hold.
const QUEUE: &str = "AmazonSQS.SendMessage";
const OUTBOX: &str = "\"OB#";
const ENDING: &str = "REMOVE #h";
/// What stands in a request that reads an API key.
const KEY: &str = "\"K#";

async fn records(stack: &Stack) -> usize {
    let main = stack.scan("main").await;
    main.iter().filter(|item| item.text("pk").starts_with("OB#")).count()
}

/// The settlement lines of the log that are this user's.
fn lines(stack: &Stack, user: &str) -> Vec<Value> {
    let log = stack.log();
    let lines = log.lines().filter(|line| line.contains(farebox_core::SETTLEMENT_LINE));
    // As `farebox replay` finds them: whatever stands before it on the line.
    let lines = lines.map(|line| &line[line.find('{').unwrap()..]);
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records = lines.map(|line| line[farebox_core::SETTLEMENT_LINE].clone());
    records.filter(|record| record["user"] == user).collect()
}

#[test]
fn a_record_that_the_queue_does_not_take_waits_in_the_outbox() {
    run(async {
        let noon = format!("{}-05-12T12:00:00Z", next_year());
        let clock = moved(&noon).await;
        let stack = &clock.stack;
        let relays = Relays::before(stack).await;
        let caller = Caller::new(stack).await;
        stack.drain().await;

        relays.refuse(&[QUEUE]);
        let mut ids = Vec::new();
        for options in [json!({}), json!({"stream": true})] {
            let answer = caller.post(CHAT, &openai("demo/chat", &options)).send().await;
            ids.push(answer.expect(200).header("x-request-id").unwrap().to_owned());
        }

        assert_eq!(records(stack).await, 2, "each in the outbox before its last byte");
        assert_eq!(lines(stack, &caller.user), Vec::<Value>::new());
        for id in &ids {
            let path = format!("/requests/{id}");
            stack.admin(Method::GET, &path).send().await.expect(404);
        }

        relays.refuse(&[]);
        stack.schedule(&format!("{}-05-12T12:05:00Z", next_year())).await;
        stack.drain().await;
        assert_eq!(records(stack).await, 0);
        let mut charged = Money::ZERO;
        for id in &ids {
            let row = caller.row(id).await;
            assert_eq!(row["outcome"], "settled");
            charged = charged.plus(usd(row["cost_usd"].as_str().unwrap())).unwrap();
        }
        assert_eq!(caller.assert_settled_to_the_bill().await, charged);
    });
}

#[test]
fn a_record_that_nothing_takes_is_a_line_of_the_log_whose_replay_ends_the_call() {
    run(async {
        let noon = format!("{}-05-12T12:00:00Z", next_year());
        let clock = moved(&noon).await;
        let stack = &clock.stack;
        let relays = Relays::before(stack).await;
        let caller = Caller::new(stack).await;
        stack.drain().await;
        let prompt = fresh("canary-prompt-");
        let body = json!({"model": "demo/chat", "messages": [{"role": "user", "content": prompt}]});

        relays.refuse(&[QUEUE, OUTBOX, ENDING]);
        let answer = caller.post(CHAT, &body).send().await.expect(200);
        let id = answer.header("x-request-id").unwrap().to_owned();
        let line = until("the line is in the log", || async { lines(stack, &caller.user).pop() });
        let record = line.await;
        relays.refuse(&[]);
        relays.quiet().await;

        assert_eq!(lines(stack, &caller.user).len(), 1);
        assert_eq!((record["request_id"].as_str(), records(stack).await), (Some(id.as_str()), 0));
        let told = record.to_string();
        let secret = caller.key.rsplit('-').next().unwrap();
        for private in [prompt.as_str(), secret, farebox_tests::caller::DEMO_SECRET] {
            assert!(!told.contains(private), "{private} in {told}");
        }
        let bill = caller.bill().await;
        let books = caller.user_books().await;
        assert!(bill > Money::ZERO && books.held() >= bill, "held, and not ended: {books:?}");
        stack.admin(Method::GET, &format!("/requests/{id}")).send().await.expect(404);

        for _ in 0..2 {
            let replay = stack.admin(Method::POST, "/settlements").json(&record).send().await;
            replay.expect(200);
            stack.drain().await;
        }
        assert_eq!(caller.assert_settled_to_the_bill().await, bill);
        let row = caller.read(&format!("/v1/requests/{id}")).await;
        assert_eq!(
            (&row["outcome"], &row["cost_usd"]),
            (&json!("settled"), &json!(bill.to_string()))
        );
    });
}

#[test]
fn a_swept_call_has_its_row_also_where_its_key_could_not_be_read_at_first() {
    run(async {
        let time = |minute: u32| format!("{}-05-12T12:{minute:02}:00Z", next_year());
        let clock = moved(&time(0)).await;
        let stack = &clock.stack;
        let relays = Relays::before(stack).await;
        let caller = Caller::new(stack).await;
        let crash = async {
            caller.called(1).await;
            assert!(end_chat(stack.pid()) > 0, "no chat environment was there");
        };
        let options = json!({"max_tokens": 9});
        let (answer, ()) = tokio::join!(caller.complete("demo/hang", &options), crash);
        assert!(answer.code() >= 500, "{}", answer.text());

        relays.refuse(&[KEY]);
        clock.to(&time(20));
        stack.schedule(&time(20)).await;
        relays.refuse(&[]);
        clock.to(&time(25));
        stack.schedule(&time(25)).await;
        stack.drain().await;

        let (books, rows) = (caller.key_books().await, stack.read("/requests").await);
        books.assert_quiet();
        let mut rows = rows["requests"].as_array().unwrap().iter();
        let row = rows.find(|row| row["user"] == caller.user.as_str()).expect("its row");
        assert_eq!(row["outcome"], "provisional", "{row}");
        assert_eq!(usd(row["cost_usd"].as_str().unwrap()), books.settled());
    });
}
