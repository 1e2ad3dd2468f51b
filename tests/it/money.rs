//! Budgets: limits that bind, caps that are lowered, messages that come twice, alerts.

use farebox_core::{Money, Timestamp};
use farebox_tests::caller::native;
use farebox_tests::{Answer, Caller, fresh, run, usd};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::stacks::shared;

/// A question whose answer costs exactly what is held for it.
pub fn exact() -> Value {
    json!({"max_tokens": 20})
}

/// What one exact question costs.
pub async fn exact_cost() -> Money {
    let probe = Caller::new(shared().await).await;
    let answer = probe.chat("exact", &exact()).await.expect(200);
    let cost = usd(answer.header("x-farebox-cost-usd").unwrap());
    let row = probe.row(answer.header("x-request-id").unwrap()).await;
    assert_eq!(row["held_usd"], cost.to_string(), "demo/exact costs its hold");
    assert_eq!(probe.assert_settled_to_the_bill().await, cost);
    cost
}

pub fn times(amount: Money, factor: i128) -> Money {
    Money::from_pico(amount.pico() * factor).unwrap()
}

pub fn assert_exceeded(answer: &Answer, scope: &str, period: &str) {
    assert_eq!(answer.code(), 402, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "budget_exceeded");
    let header = answer.header("x-farebox-budget").unwrap();
    assert!(header.starts_with(&format!("{scope};{period};")), "{header}");
}

#[test]
fn each_kind_of_limit_binds_in_each_scope() {
    run(async {
        let cost = exact_cost().await;
        let two = times(cost, 2).to_string();
        for scope in ["user", "key"] {
            for period in ["day", "month", "total"] {
                let caller = Caller::new(shared().await).await;
                let budget = json!({format!("{period}_limit_usd"): two});
                match scope {
                    "user" => caller.limit_user(&budget).await,
                    _ => caller.limit_key(&budget).await,
                }

                for _ in 0..2 {
                    caller.chat("exact", &exact()).await.expect(200);
                }
                let third = caller.chat("exact", &exact()).await;

                assert_exceeded(&third, scope, period);
                assert_eq!(caller.assert_settled_to_the_bill().await, times(cost, 2));
                let budget = caller.read("/v1/budget").await;
                let rows = budget["scopes"].as_array().unwrap();
                let row = rows.iter().find(|row| row["kind"] == scope && row["period"] == period);
                assert_eq!(row.unwrap()["exceeded"], true, "{budget}");
                assert_eq!(row.unwrap()["room_usd"], "0");
            }
        }
    });
}

#[test]
fn the_tightest_of_two_limits_binds() {
    run(async {
        let cost = exact_cost().await;
        let caller = Caller::new(shared().await).await;
        let (one, three) = (cost.to_string(), times(cost, 3).to_string());
        caller.limit_user(&json!({"month_limit_usd": three, "day_limit_usd": one})).await;

        caller.chat("exact", &exact()).await.expect(200);
        assert_exceeded(&caller.chat("exact", &exact()).await, "user", "day");
        caller.limit_user(&json!({"month_limit_usd": three})).await;
        for _ in 0..2 {
            caller.chat("exact", &exact()).await.expect(200);
        }

        assert_exceeded(&caller.chat("exact", &exact()).await, "user", "month");
        assert_eq!(caller.assert_settled_to_the_bill().await, times(cost, 3));
    });
}

#[test]
fn a_changed_limit_binds_at_once_in_every_environment() {
    run(async {
        let cost = exact_cost().await;
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"month_limit_usd": "1"})).await;
        // Sixteen at once, so that many environments have seen the first limit.
        let sixteen = || async {
            let calls: Vec<_> = (0..16)
                .map(|_| caller.post("/v1/chat", &native("exact", &exact())).send())
                .collect();
            join_all(calls).await
        };
        assert!(sixteen().await.iter().all(|answer| answer.code() == 200));

        caller.limit_user(&json!({"month_limit_usd": times(cost, 16).to_string()})).await;
        for answer in sixteen().await {
            assert_exceeded(&answer, "user", "month");
        }
        caller.limit_user(&json!({"month_limit_usd": times(cost, 20).to_string()})).await;
        let served = sixteen().await.iter().filter(|answer| answer.code() == 200).count();

        assert_eq!(served, 4);
        assert_eq!(caller.assert_settled_to_the_bill().await, times(cost, 20));
    });
}

#[test]
fn a_limit_that_is_taken_away_no_longer_binds() {
    run(async {
        let caller = Caller::new(shared().await).await;
        caller.limit_key(&json!({"month_limit_usd": "0.000000000001"})).await;
        assert_exceeded(&caller.chat("exact", &exact()).await, "key", "month");

        caller.limit_key(&json!({"month_limit_usd": null})).await;

        caller.chat("exact", &exact()).await.expect(200);
    });
}

#[test]
fn observing_counts_and_never_refuses() {
    run(async {
        let cost = exact_cost().await;
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"month_limit_usd": "0.000000000001", "mode": "observe"})).await;

        for _ in 0..3 {
            caller.chat("exact", &exact()).await.expect(200);
        }

        assert_eq!(caller.assert_settled_to_the_bill().await, times(cost, 3));
        let budget = caller.read("/v1/budget").await;
        let rows = budget["scopes"].as_array().unwrap();
        let row = rows.iter().find(|row| row["kind"] == "user" && row["period"] == "month");
        assert_eq!(row.unwrap()["exceeded"], true, "{budget}");
    });
}

#[test]
fn a_scope_that_refuses_leaves_no_hold_in_the_other() {
    run(async {
        let cost = exact_cost().await;
        for poor in ["user", "key"] {
            let caller = Caller::new(shared().await).await;
            let rich = json!({"month_limit_usd": "1"});
            let (user, key) = match poor {
                "user" => (json!({"month_limit_usd": "0.000000000001"}), rich),
                _ => (rich, json!({"month_limit_usd": "0.000000000001"})),
            };
            caller.limit_user(&user).await;
            caller.limit_key(&key).await;

            let calls = (0..8).map(|_| caller.post("/v1/chat", &native("exact", &exact())).send());
            for answer in join_all(calls.collect::<Vec<_>>()).await {
                assert_exceeded(&answer, poor, "month");
            }

            caller.assert_untouched().await;
            let second_key = caller.another_key().await;
            let answer = second_key.chat("exact", &exact()).await;
            match poor {
                "user" => assert_exceeded(&answer, "user", "month"),
                _ => assert_eq!(second_key.user_books().await.settled(), cost),
            }
        }
    });
}

#[test]
fn two_keys_of_one_user_share_the_users_room() {
    run(async {
        let cost = exact_cost().await;
        let first = Caller::new(shared().await).await;
        let second = first.another_key().await;
        first.limit_user(&json!({"day_limit_usd": times(cost, 2).to_string()})).await;

        first.chat("exact", &exact()).await.expect(200);
        second.chat("exact", &exact()).await.expect(200);

        assert_exceeded(&first.chat("exact", &exact()).await, "user", "day");
        assert_exceeded(&second.chat("exact", &exact()).await, "user", "day");
        assert_eq!(first.user_books().await.settled(), times(cost, 2));
        assert_eq!(first.key_books().await.settled(), cost);
        assert_eq!(second.key_books().await.settled(), cost);
    });
}

#[test]
fn an_open_cap_is_lowered_to_what_the_room_affords() {
    run(async {
        for (limit, by_key) in [("0.002", false), ("0.002", true)] {
            let more = if by_key { json!({"max_cost_usd": limit}) } else { json!({}) };
            let caller = Caller::with_key(shared().await, &more).await;
            if !by_key {
                caller.limit_user(&json!({"day_limit_usd": limit})).await;
            }

            let answer = caller.complete("demo/chat", &json!({})).await.expect(200);

            let cap = answer.header("x-farebox-clamped-max-tokens").expect("the lowered cap");
            let cap: u64 = cap.parse().unwrap();
            assert!((256..1_000).contains(&cap), "{cap}");
            let sent: Value = serde_json::from_slice(&caller.posts()[0].body).unwrap();
            assert_eq!(sent["max_completion_tokens"], cap, "{sent}");
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert!(usd(row["held_usd"].as_str().unwrap()) <= usd(limit), "{row}");
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn a_cap_that_the_caller_set_is_never_lowered() {
    run(async {
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"day_limit_usd": "0.002"})).await;

        let refused = caller.complete("demo/chat", &json!({"max_tokens": 4_000})).await;
        let served = caller.complete("demo/chat", &json!({"max_tokens": 300})).await.expect(200);

        assert_exceeded(&refused, "user", "day");
        assert_eq!(served.header("x-farebox-clamped-max-tokens"), None);
    });
}

#[test]
fn a_room_too_small_for_a_useful_answer_refuses() {
    run(async {
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"day_limit_usd": "0.0003"})).await;

        let answer = caller.complete("demo/chat", &json!({})).await;

        assert_exceeded(&answer, "user", "day");
        caller.assert_untouched().await;
    });
}

#[test]
fn a_queue_message_that_comes_again_changes_nothing() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let mut ids = Vec::new();
        for model in ["chat", "fail", "busy", "nope"] {
            let answer = caller.chat(model, &json!({})).await;
            ids.push(answer.header("x-request-id").unwrap().to_owned());
        }
        stack.drain().await;
        let state = || async {
            let mut rows: Vec<String> = stack
                .scan("logs")
                .await
                .iter()
                .filter(|row| ids.iter().any(|id| row.text("rid") == id))
                .map(|row| serde_json::to_string(&row.0).unwrap())
                .collect();
            rows.sort();
            let books = [caller.user_books().await, caller.key_books().await];
            (rows, books.map(|books| serde_json::to_string(&books.item.0).unwrap()))
        };
        let before = state().await;
        assert_eq!(before.0.len(), 4, "a row for each call");

        let queue = stack.queue_url().await;
        for row in stack.scan("logs").await {
            if ids.iter().any(|id| row.text("rid") == id) {
                let message = json!({"QueueUrl": queue, "MessageBody": row.text("rec")});
                stack.sqs("SendMessage", &message).await;
                stack.sqs("SendMessage", &message).await;
            }
        }
        stack.drain().await;

        assert_eq!(state().await, before);
    });
}

#[test]
fn a_message_that_is_none_does_not_stop_the_others() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let queue = stack.queue_url().await;
        for body in ["not json", "{}", "[]"] {
            stack.sqs("SendMessage", &json!({"QueueUrl": queue, "MessageBody": body})).await;
        }

        let answer = caller.chat("chat", &json!({})).await.expect(200);

        let id = answer.header("x-request-id").unwrap();
        let path = format!("/v1/requests/{id}");
        farebox_tests::until("the good message is logged", || async {
            let answer = caller.request(Method::GET, &path).send().await;
            (answer.code() == 200).then_some(())
        })
        .await;
    });
}

fn now() -> String {
    let elapsed = std::time::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_ms(i64::try_from(elapsed.as_millis()).unwrap()).to_string()
}

#[test]
fn a_threshold_is_told_once_to_the_webhook_and_signed() {
    run(async {
        let stack = shared().await;
        let cost = exact_cost().await;
        let caller = Caller::new(stack).await;
        let hook = fresh("hook");
        let url = format!("{}/hook/{hook}?token=x", stack.tap().origin());
        let set = stack.put("/webhook", &json!({"url": url})).await.json();
        let secret = set["secret"].as_str().expect("the signing secret, once").to_owned();
        assert!(!stack.read("/webhook").await.to_string().contains(&secret));
        let limit = times(cost, 4).to_string();
        caller.limit_user(&json!({"month_limit_usd": limit, "alert_thresholds": [50, 80]})).await;
        let scope = caller.user_scope();
        let deliveries = || {
            let seen = stack.tap().seen(&hook).into_iter();
            let of_scope = seen.filter_map(|seen| {
                let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
                (body["scope"] == scope.as_str()).then_some((seen, body))
            });
            of_scope.collect::<Vec<_>>()
        };

        caller.chat("exact", &exact()).await.expect(200);
        stack.drain().await;
        stack.schedule(&now()).await;
        assert_eq!(deliveries().len(), 0, "25 % is below 50 %");
        for _ in 0..2 {
            caller.chat("exact", &exact()).await.expect(200);
            stack.drain().await;
            stack.schedule(&now()).await;
            stack.schedule(&now()).await;
        }

        let told = deliveries();
        assert_eq!(told.len(), 1, "{told:?}");
        let (seen, body) = &told[0];
        assert_eq!((&body["threshold_percent"], &body["period"]), (&json!(50), &json!("month")));
        assert_eq!(body["limit_usd"], limit);
        assert!(usd(body["settled_usd"].as_str().unwrap()) >= times(cost, 2), "{body}");
        assert_eq!(seen.headers["farebox-signature"], seen.expected_signature(&secret));
        assert_eq!(Some(seen.headers["alert-id"].as_str()), body["id"].as_str());
        let budget = caller.read("/v1/budget").await;
        let rows = budget["scopes"].as_array().unwrap();
        let row = rows.iter().find(|row| row["kind"] == "user" && row["period"] == "month");
        let alert = &row.unwrap()["alerts"][0];
        assert_eq!(alert["threshold"], 50, "{budget}");
        assert!(alert["sent_at"].is_string(), "{budget}");
    });
}

#[test]
fn the_lines_of_a_call_add_up_to_what_it_was_charged() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let answer = caller.complete("demo/claude", &json!({})).await.expect(200);
        let id = answer.header("x-request-id").unwrap().to_owned();

        let own = caller.row(&id).await;
        // The admin needs no user to find it.
        let row = caller.stack().read(&format!("/requests/{id}")).await;

        assert_eq!(own["lines"], row["lines"]);
        let lines = row["lines"].as_array().unwrap();
        assert!(lines.len() >= 2, "{row}");
        let amounts = lines.iter().map(|line| usd(line["amount_usd"].as_str().unwrap()));
        let sum = amounts.fold(Money::ZERO, |sum, amount| sum.plus(amount).unwrap());
        assert_eq!(row["cost_usd"], sum.to_string(), "whole pico-USD at the demo's prices");
        assert_eq!(row["scopes"], json!([caller.user_scope(), caller.key_scope()]));
    });
}
