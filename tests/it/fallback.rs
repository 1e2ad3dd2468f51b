//! Attempts along a route: when another one follows, and what each of them holds, is charged and
//! leaves in the log.

use farebox_aws::{Aws, Config, Ledger};
use farebox_core::{Decision, Money, Timestamp};
use farebox_tests::caller::openai;
use farebox_tests::kill::end_chat;
use farebox_tests::moved::next_year;
use farebox_tests::stack::UNREACHABLE;
use farebox_tests::{Answer, Caller, Stack, run, usd};
use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};

use crate::money::{assert_exceeded, exact, exact_cost, times};
use crate::periods::moved;
use crate::routing::routed;
use crate::waiting::ROOM_WAIT;

/// The row of a call, and those of the attempts before it.
async fn rows(caller: &Caller<'_>, answer: &Answer) -> (Value, Vec<Value>) {
    let row = caller.row(answer.header("x-request-id").unwrap()).await;
    let mut earlier = Vec::new();
    for attempt in row["earlier"].as_array().cloned().unwrap_or_default() {
        let id = attempt["id"].as_str().unwrap();
        let own = caller.read(&format!("/v1/requests/{id}")).await;
        assert_eq!(own["parent"], row["request_id"], "{own}");
        assert_eq!(own["outcome"], attempt["outcome"], "{own}");
        assert_eq!(own["cost_usd"], attempt["charged"], "{own}");
        earlier.push(own);
    }
    (row, earlier)
}

fn assert_served(answer: &Answer, attempts: &str, by: &str) {
    let told = ["x-farebox-attempts", "x-farebox-served-by"].map(|name| answer.header(name));
    assert_eq!(told, [Some(attempts), Some(by)], "{}", answer.text());
}

#[test]
fn an_unbilled_failure_leads_on_and_each_attempt_has_its_own_hold_and_row() {
    run(async {
        for (name, outcome, code) in [
            ("busy-first", "void_inferred", "rate_limit_exceeded"),
            ("locked-first", "void_inferred", "provider_credential_rejected"),
            ("down-first", "void", "provider_unavailable"),
        ] {
            for stream in [false, true] {
                let stack = routed().await;
                let caller = Caller::new(stack).await;
                stack.set_credential(&caller.user, "openai", "sk-none", UNREACHABLE).await;
                let caller = caller.another_key().await;

                let options = json!({"stream": stream, "max_tokens": 9});
                let answer = caller.complete(name, &options).await.expect(200);

                assert_served(&answer, "2", "demo/chat");
                let (row, earlier) = rows(&caller, &answer).await;
                assert_eq!((&row["outcome"], &row["model"]), (&json!("settled"), &json!("chat")));
                assert_eq!(earlier.len(), 1, "{row}");
                let first = &earlier[0];
                assert_eq!(
                    (&first["outcome"], &first["error"]["code"]),
                    (&json!(outcome), &json!(code))
                );
                assert_eq!(first["cost_usd"], "0");
                assert!(usd(first["held_usd"].as_str().unwrap()) > Money::ZERO, "{first}");
                let paid = caller.assert_settled_to_the_bill().await;
                assert_eq!(row["cost_usd"], paid.to_string());
                if !stream {
                    assert_eq!(answer.header("x-farebox-cost-usd").map(usd), Some(paid));
                }
            }
        }
    });
}

#[test]
fn a_failure_that_is_charged_ends_the_call_unless_its_route_goes_on() {
    run(async {
        let caller = Caller::new(routed().await).await;
        for name in ["fail-first", "cut-first"] {
            let answer = caller.complete(name, &json!({"max_tokens": 9})).await.expect(502);
            assert_served(&answer, "1", &format!("demo/{}", &name[..name.len() - 6]));
        }
        assert_eq!(caller.posts().len(), 2);

        for name in ["fail-paid", "cut-paid"] {
            let caller = Caller::new(routed().await).await;
            let answer = caller.complete(name, &json!({"max_tokens": 9})).await.expect(200);

            assert_served(&answer, "2", "demo/chat");
            let (row, earlier) = rows(&caller, &answer).await;
            let first = &earlier[0];
            assert_eq!(
                (&first["outcome"], &first["cost_usd"]),
                (&json!("worst"), &first["held_usd"])
            );
            let both = [first, &row].map(|row| usd(row["cost_usd"].as_str().unwrap()));
            let sum = both[0].plus(both[1]).unwrap();
            assert_eq!(answer.header("x-farebox-cost-usd").map(usd), Some(sum), "of both");
            for books in [caller.user_books().await, caller.key_books().await] {
                books.assert_quiet();
                assert_eq!(books.settled(), sum);
            }
            assert!(caller.bill().await <= sum);
        }
    });
}

#[test]
fn what_is_the_callers_own_fault_or_has_begun_is_never_tried_again() {
    run(async {
        let caller = Caller::new(routed().await).await;

        let refused = caller.complete("refused-first", &json!({})).await.expect(400);
        assert_eq!(refused.json()["error"]["code"], "provider_error");
        let begun = caller.complete("cut-paid", &json!({"stream": true})).await.expect(200);
        assert_served(&begun, "1", "demo/cut");
        assert!(begun.text().contains("provider_unavailable"), "{}", begun.text());

        assert_eq!(caller.posts().len(), 2);
    });
}

#[test]
fn at_the_end_of_the_road_the_last_failure_is_told() {
    run(async {
        let caller = Caller::new(routed().await).await;

        let answer = caller.complete("all-fail", &json!({})).await.expect(502);

        assert_eq!(answer.json()["error"]["code"], "provider_credential_rejected");
        assert_served(&answer, "2", "demo/unauthorized");
        let (row, earlier) = rows(&caller, &answer).await;
        assert_eq!((&row["outcome"], &row["status"]), (&json!("void_inferred"), &json!(502)));
        assert_eq!((earlier.len(), &earlier[0]["status"]), (1, &json!(429)));
        assert_eq!(caller.assert_settled_to_the_bill().await, Money::ZERO);
    });
}

#[test]
fn a_budget_that_refuses_leads_to_a_cheaper_model_where_the_route_says_so() {
    run(async {
        let caller = Caller::new(routed().await).await;
        caller.limit_user(&json!({"month_limit_usd": "0.001"})).await;
        let options = json!({"max_tokens": 64});

        let refused = caller.complete("dear-first", &options).await;
        assert_exceeded(&refused, "user", "month");
        let answer = caller.complete("dear-or-cheap", &options).await.expect(200);
        assert_served(&answer, "1", "demo/chat");
        let (row, earlier) = rows(&caller, &answer).await;
        assert_eq!((&row["model"], earlier.len()), (&json!("chat"), 0), "nothing else was sent");
        assert!(caller.assert_settled_to_the_bill().await > Money::ZERO);

        // Where none is cheap enough the refusal is told, and nothing of any attempt is held.
        let poor = Caller::new(routed().await).await;
        poor.limit_user(&json!({"month_limit_usd": "0.000001"})).await;
        assert_exceeded(&poor.complete("dear-or-cheap", &options).await, "user", "month");
        poor.assert_untouched().await;
    });
}

#[test]
fn a_fallback_that_the_budget_refuses_tells_why_the_first_failed() {
    run(async {
        let caller = Caller::new(routed().await).await;
        caller.limit_user(&json!({"month_limit_usd": "0.001"})).await;

        let answer =
            caller.complete("busy-then-dear", &json!({"max_tokens": 64})).await.expect(429);

        assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
        assert_eq!(answer.header("x-should-retry"), Some("true"));
        let (row, earlier) = rows(&caller, &answer).await;
        assert_eq!((&row["outcome"], &row["status"]), (&json!("refused"), &json!(429)), "{row}");
        assert_eq!(earlier[0]["outcome"], "void_inferred");
        assert_eq!(caller.posts().len(), 1);
        assert_eq!(caller.assert_settled_to_the_bill().await, Money::ZERO);
    });
}

#[test]
fn a_provider_that_asks_to_wait_is_tried_again_within_the_routes_patience() {
    run(async {
        let stack = routed().await;
        let caller = Caller::new(stack).await;

        let answer = caller.complete("again", &json!({"max_tokens": 9})).await.expect(200);
        assert_served(&answer, "2", "demo/busy-once");
        let (_, earlier) = rows(&caller, &answer).await;
        assert_eq!(earlier[0]["model"], "busy-once");

        // Seven seconds are beyond its patience, so it goes on at once.
        let answer = caller.complete("impatient", &json!({"max_tokens": 9})).await.expect(200);
        assert_served(&answer, "2", "demo/chat");
        assert_eq!(caller.posts().len(), 4);
        caller.assert_settled_to_the_bill().await;

        // A provider that cannot be reached is tried again so often, and then no more.
        stack.set_credential(&caller.user, "openai", "sk-none", UNREACHABLE).await;
        let caller = caller.another_key().await;
        let answer = caller.complete("unreachable", &json!({})).await.expect(502);
        assert_served(&answer, "3", "openai/gpt-4o-mini");
        let (_, earlier) = rows(&caller, &answer).await;
        assert!(earlier.iter().all(|row| row["outcome"] == "void"), "{earlier:?}");
    });
}

#[test]
fn a_repeat_over_a_fallback_gets_the_kept_answer_and_costs_nothing() {
    run(async {
        for (name, code, posts) in [("busy-first", 200, 2), ("fail-then-busy", 429, 2)] {
            let caller = Caller::new(routed().await).await;
            let body = openai(name, &json!({"max_tokens": 9}));
            let send = || {
                let call = caller.post("/v1/chat/completions", &body);
                call.with("idempotency-key", "k").send()
            };

            let first = send().await.expect(code);
            let again = send().await.expect(code);

            // The second name's last attempt is free, but its first was charged.
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{name}");
            assert_eq!(again.text(), first.text());
            let told = ["x-farebox-attempts", "x-farebox-served-by", "x-farebox-cost-usd"];
            assert_eq!(told.map(|it| again.header(it)), told.map(|it| first.header(it)));
            assert_eq!(caller.posts().len(), posts, "{name}");
        }
    });
}

#[test]
fn a_storm_over_a_fallback_on_a_budget_for_few_overspends_nothing() {
    run(async {
        let cost = exact_cost().await;
        let limit = times(cost, 7);
        let caller = Caller::new(routed().await).await;
        caller.limit_user(&json!({"month_limit_usd": limit.to_string()})).await;

        let calls = (0..120).map(|_| {
            let call = caller.post(
                "/v1/chat",
                &json!({
                    "model": "storm",
                    "messages": [{"role": "user", "content": "hello"}],
                    "options": exact(),
                }),
            );
            async move { call.with(ROOM_WAIT, "0").send().await }
        });
        let answers: Vec<_> =
            futures_util::stream::iter(calls).buffer_unordered(40).collect().await;

        let served = answers.iter().filter(|answer| answer.code() == 200).count();
        assert!((1..=7).contains(&served), "{served}");
        for answer in answers.iter().filter(|answer| answer.code() == 200) {
            assert_served(answer, "2", "demo/exact");
        }
        let bill = caller.assert_settled_to_the_bill().await;
        assert!(bill <= limit, "{bill} of {limit}");
        assert_eq!(bill, times(cost, served as i128));
    });
}

/// A call whose process is killed in its second attempt, and the hold that it leaves, as its item
/// has it.
async fn killed_in_its_second_attempt(stack: &Stack) -> (Caller<'_>, String) {
    let route = json!({"targets": [{"model": "demo/busy"}, {"model": "demo/hang"}]});
    let put = stack.admin(Method::PUT, "/routes/doomed").json(&route);
    put.with("if-match", "*").send().await.expect(200);
    let caller = Caller::new(stack).await;
    let crash = async {
        caller.called(2).await;
        assert!(end_chat(stack.pid()) > 0, "no chat environment was there");
    };
    let options = json!({"max_tokens": 9});
    let (answer, ()) = tokio::join!(caller.complete("doomed", &options), crash);
    assert!(answer.code() >= 500, "{}", answer.text());
    let books = caller.user_books().await;
    let hold = books.item.0.iter().find(|(name, _)| name.starts_with("h_")).unwrap();
    let hold = hold.1["S"].as_str().unwrap().to_owned();
    (caller, hold)
}

#[test]
fn a_process_killed_in_its_second_attempt_leaves_that_ones_hold_and_no_other() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let (caller, _) = killed_in_its_second_attempt(&clock.stack).await;
        let hold = caller.user_books().await.held();
        assert!(hold > Money::ZERO);
        let late = format!("{year}-05-12T12:20:00Z");
        clock.to(&late);
        clock.stack.schedule(&late).await;
        clock.stack.drain().await;
        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), hold, "the provider may bill it");
        }
        let rows = clock.stack.read("/requests").await;
        let of_user: Vec<_> = rows["requests"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["user"] == caller.user.as_str())
            .cloned()
            .collect();
        let mut outcomes: Vec<_> =
            of_user.iter().map(|row| row["outcome"].as_str().unwrap()).collect();
        outcomes.sort_unstable();
        assert_eq!(outcomes, ["provisional", "void_inferred"], "{of_user:?}");
    });
}

/// The row of the sweep is the attempt's, and the late record's is the call's: one of them counts.
#[test]
fn a_late_record_counts_once_in_the_rows_also_where_a_logger_died_over_it() {
    run(async {
        let year = next_year();
        let noon = format!("{year}-05-12T12:00:00Z");
        let clock = moved(&noon).await;
        let stack = &clock.stack;
        let (caller, hold) = killed_in_its_second_attempt(stack).await;
        let late = format!("{year}-05-12T12:20:00Z");
        clock.to(&late);
        stack.schedule(&late).await;
        stack.drain().await;
        let rows = stack.read("/requests").await["requests"].clone();
        let row = |outcome: &str| {
            let mut rows = rows.as_array().unwrap().iter();
            rows.find(|row| row["user"] == caller.user.as_str() && row["outcome"] == outcome)
        };
        let (swept, first) = (row("provisional").unwrap(), row("void_inferred").unwrap());
        let (rid, call) = (&swept["request_id"], &first["parent"]);
        let day = Timestamp::parse(&noon).unwrap().utc_day().number();
        let parts = [caller.user_scope(), caller.key_scope()];
        let parts = parts.map(|scope| json!({"scope": scope, "hold": hold, "day": day}));

        // The logger that got it first died between the books and the rows.
        let cost = usd("0.000001");
        let environment = stack.chat_environment();
        let aws = Aws::new(
            Config::from_lookup(|wanted| {
                let found = environment.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| value.clone())
            })
            .unwrap(),
        );
        for part in &parts {
            let rid = rid.as_str().unwrap().parse().unwrap();
            let part = serde_json::from_value(part.clone()).unwrap();
            let decision = Decision::Settle(cost);
            Ledger::new(&aws).finish(rid, &part, decision, None).await.unwrap();
        }
        let record = json!({
            "request_id": call, "rid": rid, "tenant": "main", "user": caller.user,
            "key_id": caller.key_id, "endpoint": "/v1/chat/completions", "outcome": "settled",
            "decision": {"settle": cost}, "http_status": 200, "response_time_ms": 5,
            "started_at": Timestamp::parse(&noon).unwrap().ms(), "parts": parts,
        });
        let queue = stack.queue_url().await;
        let message = json!({"QueueUrl": queue, "MessageBody": record.to_string()});
        stack.sqs("SendMessage", &message).await;
        stack.drain().await;

        assert_eq!(caller.user_books().await.settled(), cost);
        for (id, charged) in [(call, cost), (rid, Money::ZERO)] {
            let id = id.as_str().unwrap();
            let row = caller.read(&format!("/v1/requests/{id}")).await;
            assert_eq!(row["cost_usd"], charged.to_string(), "{row}");
        }
    });
}
