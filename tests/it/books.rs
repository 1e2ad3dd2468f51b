//! The books put right: records that only a log kept, messages that nobody can read, a restore.

use farebox_core::{Money, Timestamp};
use farebox_tests::moved::next_year;
use farebox_tests::{Caller, Stack, fresh, run, until, usd};
use http::Method;
use serde_json::{Value, json};

use crate::money::{assert_exceeded, exact};
use crate::periods::moved;
use crate::stacks::{lone, shared};
use farebox_tests::kill::end_chat;

/// Reserves and never ends: the process that made the call is killed. Gives the rid and the hold.
pub async fn orphan(caller: &Caller<'_>) -> (String, String) {
    let call = async { caller.complete("demo/hang", &json!({"max_tokens": 9})).await };
    let crash = async {
        caller.called(1).await;
        end_chat(caller.stack().pid());
    };
    let (answer, ()) = tokio::join!(call, crash);
    assert!(answer.code() >= 500, "{}", answer.text());
    let item = caller.user_books().await.item;
    let (name, hold) = item.0.iter().find(|(name, _)| name.starts_with("h_")).expect("a hold");
    (name["h_".len()..].to_owned(), hold["S"].as_str().unwrap().to_owned())
}

/// The record that such a process would have sent.
pub fn record(caller: &Caller<'_>, rid: &str, day: u32, more: &Value, part: &Value) -> Value {
    let part = |scope: String| {
        let mut part = part.clone();
        part["scope"] = scope.into();
        part["day"] = day.into();
        part
    };
    let mut record = json!({
        "v": 1, "request_id": rid, "rid": rid, "tenant": "main", "user": caller.user,
        "key_id": caller.key_id, "endpoint": "/v1/chat/completions", "outcome": "settled",
        "decision": {"settle": "0.000001"}, "http_status": 200, "response_time_ms": 5,
        "started_at": 1, "parts": [part(caller.user_scope()), part(caller.key_scope())],
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

#[test]
fn a_settlement_that_only_a_log_kept_ends_its_call_once_however_often_it_is_replayed() {
    run(async {
        let noon = format!("{}-05-12T12:00:00Z", next_year());
        let clock = moved(&noon).await;
        let caller = Caller::new(&clock.stack).await;
        let (rid, hold) = orphan(&caller).await;
        let day = Timestamp::parse(&noon).unwrap().utc_day().number();
        let line = record(&caller, &rid, day, &json!({}), &json!({"hold": hold}));
        let replay = async |record: &Value| {
            clock.stack.admin(Method::POST, "/settlements").json(record).send().await
        };

        for wrong in [json!({"tenant": "x"}), json!({"v": 2}), json!({"decision": {"settle": 1}})] {
            let refused = replay(&record(&caller, &rid, day, &wrong, &json!({"hold": hold}))).await;
            assert_eq!(refused.code(), 400, "{wrong}: {}", refused.text());
        }
        let refused = replay(&record(&caller, &rid, day, &json!({}), &json!({"hold": "5"}))).await;
        assert_eq!(refused.json()["error"]["field"], "parts[0].hold");
        clock.stack.drain().await;
        assert!(caller.user_books().await.held() > Money::ZERO, "nothing is changed by these");

        tokio::join!(replay(&line), replay(&line)).0.expect(200);
        clock.stack.drain().await;
        replay(&line).await.expect(200);
        clock.stack.drain().await;

        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), usd("0.000001"), "what the line says, once");
        }
        let row = caller.read(&format!("/v1/requests/{rid}")).await;
        assert_eq!((&row["outcome"], &row["cost_usd"]), (&json!("settled"), &json!("0.000001")));
    });
}

/// The messages of the dead-letter queue that carry a mark: body and id.
async fn dead_letters(stack: &Stack, mark: &str) -> Vec<(String, String)> {
    let queue = stack.queue_url().await.replace("farebox-log", "farebox-log-dead");
    let ask = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0});
    let mut found = Vec::new();
    for _ in 0..10 {
        let answer = stack.sqs("ReceiveMessage", &ask).await;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        let text = |message: &Value, field: &str| message[field].as_str().unwrap().to_owned();
        let read = messages.iter().map(|one| (text(one, "Body"), text(one, "MessageId")));
        found.extend(read.filter(|(body, _)| body.contains(mark)));
    }
    found.sort();
    found.dedup();
    found
}

#[test]
fn what_cannot_be_read_becomes_a_dead_letter_with_its_reason_and_changes_no_book() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let rid = caller.chat("exact", &exact()).await.expect(200);
        let rid = rid.header("x-request-id").unwrap().to_owned();
        let charged = caller.assert_settled_to_the_bill().await;
        // Each would charge, if it were read: an unheld part is posted.
        let mark = fresh("mark");
        let more = |more: Value| {
            let mut fields =
                json!({"request_id": rid, "client_request_id": mark, "ip": "127.0.0.1"});
            fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            record(
                &caller,
                "01KAQ4ZV0M7W1C9Y3T5B8D2E6F",
                20_261_123,
                &fields,
                &json!({"unheld": true}),
            )
        };
        let good = more(json!({})).to_string();
        let mut poison = vec![
            (more(json!({"v": 2})).to_string(), "has form 2, this release knows 1"),
            (good[..good.len() - 7].to_owned(), "EOF while parsing"),
            (more(json!({"outcome": "forgiven"})).to_string(), "unknown variant"),
            (more(json!({"decision": {"settle": 5}})).to_string(), "a value that it cannot have"),
            (format!("{{\"client_request_id\":\"{mark}\"}}"), "missing field"),
        ];

        let queue = stack.queue_url().await;
        for (body, _) in &poison {
            stack.sqs("SendMessage", &json!({"QueueUrl": queue, "MessageBody": body})).await;
        }
        let dead = until("all are dead letters", || async {
            let dead = dead_letters(stack, &mark).await;
            (dead.len() == poison.len()).then_some(dead)
        })
        .await;

        poison.sort();
        assert!(dead.iter().map(|(body, _)| body).eq(poison.iter().map(|(body, _)| body)));
        // Reading hides a message from others for a while; it is dead all the same.
        let told = stack.read("/queues").await;
        let count = told["dead_letters"].as_u64().unwrap();
        assert!(count >= u64::try_from(poison.len()).unwrap(), "{told}");
        // As docs/operations.md looks its reason up.
        let log = stack.log();
        for ((_, reason), (_, id)) in poison.iter().zip(&dead) {
            let id = format!("\"message_id\":\"{id}\"");
            let mut told = log.lines().filter(|line| line.contains("\"record_failed\""));
            let is_told = told.any(|line| line.contains(reason) && line.contains(&id));
            assert!(is_told, "no reason such as: {reason}");
        }
        assert!(!log.contains(&mark), "a message is not quoted");
        assert_eq!(caller.assert_settled_to_the_bill().await, charged);

        // The same message in the form of today does charge: only its reading stood between.
        stack.sqs("SendMessage", &json!({"QueueUrl": queue, "MessageBody": good})).await;
        stack.drain().await;
        let now = caller.user_books().await.settled();
        assert_eq!(now, charged.plus(usd("0.000001")).unwrap());
    });
}

#[test]
fn after_a_restore_and_its_fence_no_limit_from_before_it_binds() {
    run(async {
        let stack = lone().await;
        let caller = Caller::new(&stack).await;
        let limit = |usd: &'static str| json!({"month_limit_usd": usd});
        caller.limit_user(&limit("0.000000000001")).await;
        let backup = caller.user_books().await.item;
        caller.limit_user(&limit("100")).await;
        caller.chat("exact", &exact()).await.expect(200);
        let seen: i128 = caller.user_books().await.item.text("ep").parse().unwrap();

        let restored = json!({"TableName": "farebox-ledger", "Item": backup.0});
        stack.dynamodb("PutItem", &restored).await;
        let fence = || stack.admin(Method::POST, "/restore-fence").json(&json!({})).send();
        let raised = fence().await.expect(200).json();
        assert!(raised["raised"].as_u64().unwrap() >= 2, "{raised}");
        // Without the fence this change would have the very epoch that chat has seen.
        caller.limit_user(&limit("0.000000000002")).await;

        assert_exceeded(&caller.chat("exact", &exact()).await, "user", "month");
        let epoch = || async { caller.user_books().await.item.text("ep").parse::<i128>().unwrap() };
        assert_eq!(epoch().await, seen + 1_000_000);
        fence().await.expect(200);
        assert_eq!(epoch().await, seen + 2_000_000, "twice is harmless");
        assert_exceeded(&caller.chat("exact", &exact()).await, "user", "month");
    });
}
