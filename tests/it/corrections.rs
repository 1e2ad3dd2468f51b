//! Corrections and refunds: signed entries, once, never below zero, told in the log.

use farebox_core::Money;
use farebox_tests::moved::next_year;
use farebox_tests::{Answer, Caller, Stack, fresh, run, usd};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::books::{orphan, record};
use crate::money::{assert_exceeded, exact, exact_cost, times};
use crate::periods::moved;
use crate::stacks::shared;

async fn correct(stack: &Stack, body: &Value) -> Answer {
    stack.admin(Method::POST, "/corrections").json(body).send().await
}

async fn settled(caller: &Caller<'_>) -> [Money; 2] {
    let books = [caller.user_books().await, caller.key_books().await];
    books.each_ref().map(|books| {
        books.assert_quiet();
        books.settled()
    })
}

#[test]
fn a_refund_gives_room_back_once_and_never_more_than_is_settled() {
    run(async {
        let (stack, cost) = (shared().await, exact_cost().await);
        let caller = Caller::new(stack).await;
        caller.limit_user(&json!({"day_limit_usd": times(cost, 2).to_string()})).await;
        for _ in 0..2 {
            caller.chat("exact", &exact()).await.expect(200);
        }
        let id = fresh("refund-");
        let refund = |amount: Money, id: &str| {
            json!({"scope": caller.user_scope(), "amount_usd": amount.negated().to_string(),
                   "reason": "a broken answer", "id": id})
        };
        let body = refund(cost, &id);

        let (first, second) = tokio::join!(correct(stack, &body), correct(stack, &body));
        let (first, second) = (first.expect(200).json(), second.expect(200).json());
        correct(stack, &body).await.expect(200);
        assert_eq!(first["id"], second["id"], "one entry, told twice");
        assert_eq!(settled(&caller).await, [cost, times(cost, 2)], "the key's books are its own");
        let other = correct(stack, &refund(times(cost, 2), &id)).await;
        assert_eq!((other.code(), &other.json()["error"]["code"]), (409, &json!("already_exists")));
        let more = correct(stack, &refund(times(cost, 2), "more")).await;
        assert_eq!(
            (more.code(), &more.json()["error"]["code"]),
            (400, &json!("invalid_request_error"))
        );
        assert_eq!(settled(&caller).await, [cost, times(cost, 2)]);

        caller.chat("exact", &exact()).await.expect(200);
        assert_exceeded(&caller.chat("exact", &exact()).await, "user", "day");
        stack.drain().await;
        let row = stack.read(&format!("/requests/{}", first["id"].as_str().unwrap())).await;
        assert_eq!(
            (&row["outcome"], &row["reason"]),
            (&json!("correction"), &json!("a broken answer"))
        );
        assert_eq!(row["cost_usd"], cost.negated().to_string());
        assert!(!caller.read("/v1/requests").await.to_string().contains("correction"));
    });
}

#[test]
fn a_worst_case_becomes_the_truth_by_an_entry_in_each_of_its_budgets() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let answer = caller.chat("fail", &json!({"max_tokens": 20})).await;
        let id = answer.header("x-request-id").unwrap();
        let row = caller.row(id).await;
        assert_eq!(row["outcome"], "worst", "{row}");
        assert!(settled(&caller).await[0] > usd("0.000002"));
        let body = |cost: &str| json!({"request_id": id, "cost_usd": cost, "reason": "the bill"});

        // Upwards: nothing but the journal keeps this from being entered twice. The first round
        // starts the environments that race in the others.
        for cost in ["0.3", "0.4", "0.5"] {
            let truth = body(cost);
            for answer in join_all((0..8).map(|_| correct(stack, &truth))).await {
                assert!([200, 503].contains(&answer.code()), "{}", answer.text());
            }
        }
        assert_eq!(settled(&caller).await, [usd("0.5"); 2], "once");
        correct(stack, &body("0.000002")).await.expect(200);
        let again = correct(stack, &body("0.000002")).await.expect(200).json();
        assert_eq!(again["status"], "unchanged");
        let more = correct(stack, &body("0.000005")).await.expect(200).json();
        assert_eq!((&more["status"], &more["amount_usd"]), (&json!("entered"), &json!("0.000003")));
        assert_eq!(settled(&caller).await, [usd("0.000005"); 2]);

        assert_eq!(caller.row(id).await, row, "the call's own row is never edited");
        let told = stack.read(&format!("/requests/{id}")).await;
        let costs: Vec<_> = told["corrections"].as_array().unwrap().iter().collect();
        assert_eq!(
            costs.iter().map(|one| &one["cost_usd"]).collect::<Vec<_>>(),
            ["0.3", "0.4", "0.5", "0.000002", "0.000005"]
        );
        let entry = caller.row(costs[4]["id"].as_str().unwrap()).await;
        assert_eq!(
            (&entry["outcome"], &entry["cost_usd"]),
            (&json!("correction"), &json!("0.000003"))
        );
    });
}

#[test]
fn a_provisional_charge_becomes_what_the_admin_knows_and_a_late_record_changes_nothing() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let (rid, hold) = orphan(&caller).await;
        let late = format!("{year}-05-12T12:20:00Z");
        clock.to(&late);
        stack.schedule(&late).await;
        stack.drain().await;
        let charged = settled(&caller).await[0];
        assert!(charged > Money::ZERO);

        let body = json!({"request_id": rid, "cost_usd": "0", "reason": "not on the bill"});
        let done = correct(stack, &body).await.expect(200).json();
        assert_eq!(done["status"], "adjusted", "{done}");
        stack.drain().await;

        assert_eq!(settled(&caller).await, [Money::ZERO; 2]);
        let row = caller.read(&format!("/v1/requests/{rid}")).await;
        assert_eq!((&row["outcome"], &row["cost_usd"]), (&json!("adjusted"), &json!("0")));
        assert_eq!(correct(stack, &body).await.expect(200).json()["status"], "unchanged");

        let day = hold.split('.').nth(1).unwrap().parse().unwrap();
        let line = record(&caller, &rid, day, &json!({}), &json!({"hold": hold}));
        stack.admin(Method::POST, "/settlements").json(&line).send().await.expect(200);
        stack.drain().await;
        assert_eq!(settled(&caller).await, [Money::ZERO; 2]);
        assert_eq!(caller.read(&format!("/v1/requests/{rid}")).await, row);
    });
}

#[test]
fn a_swept_call_without_its_tombstones_is_told_as_it_is_and_not_as_corrected() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let (rid, _) = orphan(&caller).await;
        let late = format!("{year}-05-12T12:20:00Z");
        clock.to(&late);
        stack.schedule(&late).await;
        stack.drain().await;
        let charged = settled(&caller).await;
        let row = caller.read(&format!("/v1/requests/{rid}")).await;
        assert_eq!(row["outcome"], "provisional");
        for item in stack.scan("main").await {
            if item.text("pk") == format!("T#{rid}") {
                let key = json!({"pk": {"S": item.text("pk")}, "sk": {"S": item.text("sk")}});
                let delete = json!({"TableName": "farebox-main", "Key": key});
                stack.dynamodb("DeleteItem", &delete).await;
            }
        }

        let body = json!({"request_id": rid, "cost_usd": "0", "reason": "not on the bill"});
        let refused = correct(stack, &body).await;

        assert_eq!(refused.code(), 400, "{}", refused.text());
        assert_eq!(refused.json()["error"]["field"], "request_id");
        stack.drain().await;
        assert_eq!(settled(&caller).await, charged);
        assert_eq!(caller.read(&format!("/v1/requests/{rid}")).await, row);
    });
}

#[test]
fn a_correction_that_one_of_its_budgets_cannot_afford_changes_none_of_them() {
    run(async {
        let (stack, cost) = (shared().await, exact_cost().await);
        let caller = Caller::new(stack).await;
        let answer = caller.chat("exact", &exact()).await.expect(200);
        let id = answer.header("x-request-id").unwrap();
        caller.row(id).await;
        // The key has been given back what its call cost.
        let entry = |amount: Money| {
            let amount = amount.to_string();
            json!({"scope": caller.key_scope(), "amount_usd": amount, "reason": "x"})
        };
        correct(stack, &entry(cost.negated())).await.expect(200);

        let body = json!({"request_id": id, "cost_usd": "0", "reason": "the bill"});
        for _ in 0..2 {
            let refused = correct(stack, &body).await;
            assert_eq!(refused.code(), 400, "{}", refused.text());
            assert_eq!(refused.json()["error"]["field"], caller.key_scope());
            assert_eq!(settled(&caller).await, [cost, Money::ZERO], "none is changed");
        }
        correct(stack, &entry(cost)).await.expect(200);
        correct(stack, &body).await.expect(200);
        assert_eq!(settled(&caller).await, [Money::ZERO; 2]);
    });
}

#[test]
fn a_correction_that_says_too_little_or_too_much_is_refused_by_its_field() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let refused = caller.chat("nope", &json!({})).await;
        let id = refused.header("x-request-id").unwrap();
        stack.drain().await;
        let scope = caller.user_scope();
        for (field, body) in [
            ("reason", json!({"scope": scope, "amount_usd": "1"})),
            ("scope", json!({"amount_usd": "1", "reason": "x"})),
            ("scope", json!({"scope": "tree:1", "amount_usd": "1", "reason": "x"})),
            ("scope", json!({"scope": "user:nobody-at-all", "amount_usd": "1", "reason": "x"})),
            ("amount_usd", json!({"scope": scope, "reason": "x"})),
            ("amount_usd", json!({"scope": scope, "amount_usd": "0", "reason": "x"})),
            ("amount_usd", json!({"scope": scope, "amount_usd": "1e3", "reason": "x"})),
            ("amount_usd", json!({"scope": scope, "amount_usd": 1, "reason": "x"})),
            ("period", json!({"scope": scope, "amount_usd": "1", "period": "11", "reason": "x"})),
            (
                "period",
                json!({"scope": scope, "amount_usd": "1", "period": "2999-01", "reason": "x"}),
            ),
            ("id", json!({"scope": scope, "amount_usd": "1", "id": "a b", "reason": "x"})),
            ("cost_usd", json!({"scope": scope, "cost_usd": "1", "reason": "x"})),
            ("cost_usd", json!({"request_id": id, "reason": "x"})),
            ("cost_usd", json!({"request_id": id, "cost_usd": "-1", "reason": "x"})),
            ("request_id", json!({"request_id": "x", "cost_usd": "1", "reason": "x"})),
            (
                "request_id",
                json!({"request_id": id, "cost_usd": "1", "scope": scope, "reason": "x"}),
            ),
            ("request_id", json!({"request_id": id, "cost_usd": "1", "reason": "never held"})),
        ] {
            let answer = correct(stack, &body).await;
            assert_eq!(answer.code(), 400, "{body}: {}", answer.text());
            assert_eq!(answer.json()["error"]["field"], field, "{body}: {}", answer.text());
        }
        caller.assert_untouched().await;
        let none =
            json!({"request_id": "01KAQ4ZV0M7W1C9Y3T5B8D2E6F", "cost_usd": "1", "reason": "x"});
        assert_eq!(correct(stack, &none).await.code(), 404);
    });
}
