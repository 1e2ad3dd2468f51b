//! What the scheduler does for a divided budget, under a moved clock: the rest of a switch, the
//! holds of a dead process, and the end of a month.

use farebox_core::{Money, Timestamp};
use farebox_tests::kill::end_chat;
use farebox_tests::moved::next_year;
use farebox_tests::{run, usd};
use serde_json::{Value, json};

use crate::money::times;
use crate::periods::moved;
use crate::shares::Org;

const SHARES: u8 = 2;

/// A budget of 100 USD in shares.
fn budget(shares: u8) -> Value {
    json!({"month_limit_usd": "100", "alert_thresholds": [50], "shares": shares})
}

#[test]
fn what_a_dead_process_left_in_a_share_ends_there_and_the_rest_is_given_back_by_the_scan() {
    run(async {
        let year = next_year();
        let noon = format!("{year}-05-12T12:00:00Z");
        let clock = moved(&noon).await;
        let org = Org::new(&clock.stack, &budget(SHARES)).await;
        let caller = &org.members[0];
        let call = async { caller.complete("demo/hang", &json!({"max_tokens": 9})).await };
        let crash = async {
            caller.called(1).await;
            assert!(end_chat(clock.stack.pid()) > 0, "no chat environment was there");
        };
        let (answer, ()) = tokio::join!(call, crash);
        assert!(answer.code() >= 500, "{}", answer.text());
        let hold = caller.user_books().await.held();
        let (share, rid, value) = org.hold_in_shares(SHARES).await;

        // The budget is united meanwhile: its shares are done when nothing is left in them.
        let united = org.set(&budget(0)).await;
        assert_eq!(united["shares"], json!({"count": 0, "pending": true}), "a hold is open");
        clock.stack.schedule(&noon).await;
        assert_eq!(org.shown().await["shares"]["pending"], true, "it still is");
        let late = format!("{year}-05-12T12:20:00Z");
        clock.to(&late);
        tokio::join!(clock.stack.schedule(&late), clock.stack.schedule(&late));

        assert_eq!(org.settled(SHARES).await, hold, "the provider may bill it");
        assert_eq!(org.shown().await["periods"][0]["settled_usd"], hold.to_string());
        let day: u32 = format!("{year}0512").parse().unwrap();
        let part = |scope: &str| json!({"scope": scope, "hold": value, "day": day});
        let record = json!({
            "request_id": rid, "rid": rid, "tenant": "main", "user": caller.user,
            "key_id": caller.key_id, "endpoint": "/v1/chat/completions", "outcome": "settled",
            "decision": {"settle": "0.000001"}, "http_status": 200, "response_time_ms": 5,
            "started_at": Timestamp::parse(&noon).unwrap().ms(),
            "scopes": [caller.user_scope(), caller.key_scope(), org.scope()],
            "parts": [part(&caller.user_scope()), part(&caller.key_scope()), part(&share)],
        });
        let message = json!({
            "QueueUrl": clock.stack.queue_url().await, "MessageBody": record.to_string()
        });
        clock.stack.sqs("SendMessage", &message).await;
        clock.stack.sqs("SendMessage", &message).await;

        let truth = times(Money::ONE_PICO, 1_000_000);
        assert_eq!(org.settled(SHARES).await, truth, "once");
        assert_eq!(caller.user_books().await.settled(), truth);
        assert_eq!(org.shown().await["shares"]["pending"], true, "the hold was more");
        tokio::join!(clock.stack.schedule(&late), clock.stack.schedule(&late));

        assert_eq!(org.shown().await["shares"], json!({"count": 0, "pending": false}));
        assert_eq!(org.settled(SHARES).await, truth);
        let whole = clock.stack.books(&org.scope()).await;
        assert_eq!(whole.item.money("tg"), truth, "what was spent in the share stays granted");
    });
}

#[test]
fn a_divided_budget_begins_a_month_whole_and_closes_the_old_one_in_every_share() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-03-31T23:50:00Z")).await;
        let org = Org::new(&clock.stack, &budget(SHARES)).await;
        org.serve(1).await;
        let cost = org.settled(SHARES).await;
        let limit = times(cost, 4).to_string();
        let of_four = json!({"month_limit_usd": limit, "alert_thresholds": [50]});
        org.set(&of_four).await;
        assert_eq!(org.spend().await, 3);

        clock.to(&format!("{year}-04-01T00:00:01Z"));
        assert_eq!(org.spend().await, 4, "a new month");
        assert_eq!(org.settled(SHARES).await, times(cost, 8));
        assert_eq!(org.bill().await, times(cost, 8));
        let alerts = clock.stack.read(&format!("/alerts?scope={}", org.scope())).await;
        let alerts = alerts["alerts"].as_array().unwrap().iter();
        let months = alerts.filter(|alert| alert["threshold"] == 50).count();
        assert_eq!(months, 2, "half of all shares together is reached once a month");

        let later = format!("{year}-04-03T00:05:00Z");
        clock.to(&later);
        for _ in 0..3 {
            clock.stack.schedule(&later).await;
        }

        let counters = format!("/counters/{}?month={year}-03", org.scope());
        let counters = clock.stack.read(&counters).await;
        assert_eq!(counters["archived"], true, "{counters}");
        assert_eq!(usd(counters["settled_usd"].as_str().unwrap()), times(cost, 4));
        for share in 0..SHARES {
            let books = clock.stack.books(&format!("{}~{share}", org.scope())).await;
            for name in ["mc", "ms", "ma"] {
                assert_eq!(books.item.text(&format!("{name}_{year}03")), "", "{name} of {share}");
            }
        }
        let whole = clock.stack.books(&org.scope()).await.item;
        assert_eq!(
            (whole.text(&format!("mg_{year}03")), whole.text("am")),
            ("", &*format!("{year}03"))
        );
        assert_eq!(org.settled(SHARES).await, times(cost, 8));
        assert_eq!(org.spend().await, 0, "and April is still spent");
    });
}
