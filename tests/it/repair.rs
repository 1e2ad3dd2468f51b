//! What a dead process leaves behind: charged at its worst case, told, and corrected once.

use farebox_core::{Money, Timestamp};
use farebox_tests::kill::{SCENARIOS, campaign, end_chat};
use farebox_tests::moved::next_year;
use farebox_tests::{Caller, run, usd};
use serde_json::json;

use crate::money::times;
use crate::periods::moved;
use crate::stacks::executable;

#[test]
fn a_hold_of_a_killed_process_is_charged_once_and_corrected_once_by_the_truth() {
    run(async {
        let year = next_year();
        let noon = format!("{year}-05-12T12:00:00Z");
        let clock = moved(&noon).await;
        let caller = Caller::new(&clock.stack).await;
        let call = async { caller.complete("demo/hang", &json!({"max_tokens": 9})).await };
        let crash = async {
            caller.called(1).await;
            assert!(end_chat(clock.stack.pid()) > 0, "no chat environment was there");
        };

        let (answer, ()) = tokio::join!(call, crash);

        assert!(answer.code() >= 500, "{}", answer.text());
        let (key, user) = (caller.key_books().await, caller.user_books().await);
        let hold = user.held();
        assert!(hold > Money::ZERO);
        assert_eq!((key.held(), user.settled()), (hold, Money::ZERO));
        let (rid, value) = user
            .item
            .0
            .iter()
            .find_map(|(name, value)| {
                Some((name.strip_prefix("h_")?.to_owned(), value["S"].as_str()?.to_owned()))
            })
            .unwrap();

        // The call may still run until its deadline, and its messages a minute longer.
        clock.to(&format!("{year}-05-12T12:15:00Z"));
        clock.stack.schedule(&format!("{year}-05-12T12:15:00Z")).await;
        assert_eq!(caller.user_books().await.held(), hold, "too early");
        let late = format!("{year}-05-12T12:20:00Z");
        clock.to(&late);
        tokio::join!(clock.stack.schedule(&late), clock.stack.schedule(&late));
        clock.stack.drain().await;

        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), hold, "the provider may bill it");
        }
        let row = caller.read(&format!("/v1/requests/{rid}")).await;
        assert_eq!(row["outcome"], "provisional", "{row}");
        assert_eq!(usd(row["cost_usd"].as_str().unwrap()), hold);
        assert_eq!(row["error"]["code"], "outcome_unknown");

        // Its record arrives after all, twice.
        let day = Timestamp::parse(&noon).unwrap().utc_day().number();
        let part = |scope: String| json!({"scope": scope, "hold": value, "day": day});
        let record = json!({
            "request_id": rid, "rid": rid, "tenant": "main", "user": caller.user,
            "key_id": caller.key_id, "endpoint": "/v1/chat/completions", "outcome": "settled",
            "decision": {"settle": "0.000001"}, "http_status": 200, "response_time_ms": 5,
            "started_at": Timestamp::parse(&noon).unwrap().ms(),
            "parts": [part(caller.user_scope()), part(caller.key_scope())],
        });
        let queue = clock.stack.queue_url().await;
        let message = json!({"QueueUrl": queue, "MessageBody": record.to_string()});
        clock.stack.sqs("SendMessage", &message).await;
        clock.stack.sqs("SendMessage", &message).await;
        clock.stack.drain().await;

        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), times(Money::ONE_PICO, 1_000_000), "the truth, once");
        }
        let row = caller.read(&format!("/v1/requests/{rid}")).await;
        assert_eq!(row["outcome"], "adjusted", "{row}");
    });
}

/// A short form of `cargo prove kill`: every boundary of a buffered call.
#[test]
fn a_process_killed_at_any_boundary_leaves_books_that_cover_the_bill() {
    run(async {
        let report = campaign(executable(), &SCENARIOS[..1], 1).await;

        assert_eq!(report.violations, Vec::<String>::new());
        assert!(report.points["buffered"] > 24, "{report:?}");
        assert!(report.exact > 0 && report.provisional > 0, "{report:?}");
    });
}

/// Another one: some boundaries of the kinds that do more than call a model.
#[test]
fn a_killed_fallback_repeat_share_embedding_or_wait_leaves_such_books_too() {
    run(async {
        let first = SCENARIOS.iter().position(|kind| kind.name.starts_with("fallback")).unwrap();

        let report = campaign(executable(), &SCENARIOS[first..], 8).await;

        assert_eq!(report.violations, Vec::<String>::new());
        assert_eq!(report.points.len(), 5);
        assert!(report.points.values().all(|points| *points >= 3), "{report:?}");
    });
}
