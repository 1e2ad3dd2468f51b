//! Calls priced again, and the counters beside the rows of the log.

use farebox_core::Money;
use farebox_tests::moved::next_year;
use farebox_tests::{Caller, Stack, run, usd};
use http::Method;
use serde_json::{Value, json};

use crate::books::orphan;
use crate::money::{exact, times};
use crate::periods::moved;

/// All pages of a re-rating of the whole month.
async fn rerate(stack: &Stack, apply: bool) -> (Vec<Value>, u64) {
    let (mut rows, mut by_hand, mut cursor) = (Vec::new(), 0, Value::Null);
    loop {
        let (from, to) = (format!("{}-05-01", next_year()), format!("{}-05-31", next_year()));
        let body = json!({"from": from, "to": to, "apply": apply, "cursor": cursor});
        let page = stack.admin(Method::POST, "/rerate").json(&body).send().await;
        let page = page.expect(200).json();
        rows.extend(page["rows"].as_array().unwrap().clone());
        by_hand += page["by_hand"].as_u64().unwrap();
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            return (rows, by_hand);
        }
    }
}

/// What the rows of the month add up to in a scope, and what its budget says: month, then day.
async fn both(stack: &Stack, scope: &str, day: u64) -> [(Money, Money); 2] {
    let month = format!("{}-05", next_year());
    let (mut rows, mut of_day, mut cursor) = (Money::ZERO, Money::ZERO, String::new());
    loop {
        let page = stack.read(&format!("/charges?month={month}{cursor}")).await;
        for charge in page["charges"].as_array().unwrap() {
            let amount = usd(charge["amount_usd"].as_str().unwrap());
            if charge["scope"] == scope {
                rows = rows.plus(amount).unwrap();
                if charge["day"] == day {
                    of_day = of_day.plus(amount).unwrap();
                }
            }
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let counters = stack.read(&format!("/counters/{scope}?month={month}")).await;
    let days = counters["days"].as_array().unwrap();
    let counted = days.iter().find(|one| one["day"] == day);
    let counted = counted.map_or("0", |one| one["settled_usd"].as_str().unwrap());
    [(usd(counters["settled_usd"].as_str().unwrap()), rows), (usd(counted), of_day)]
}

async fn assert_reconciled(caller: &Caller<'_>, day: u64) {
    caller.stack().drain().await;
    for scope in [caller.user_scope(), caller.key_scope()] {
        for (counter, rows) in both(caller.stack(), &scope, day).await {
            assert_eq!(counter, rows, "{scope}");
            assert!(counter > Money::ZERO);
        }
    }
}

#[test]
fn calls_are_rated_again_by_entries_once_and_the_books_stay_the_sum_of_the_log() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let mut ids = Vec::new();
        for _ in 0..4 {
            let answer = caller.chat("exact", &exact()).await.expect(200);
            ids.push(answer.header("x-request-id").unwrap().to_owned());
        }
        let cost = usd(caller.row(&ids[0]).await["cost_usd"].as_str().unwrap());
        let by_hand = json!({"request_id": ids[3], "cost_usd": "0.001", "reason": "the bill"});
        let corrected = stack.admin(Method::POST, "/corrections").json(&by_hand).send().await;
        corrected.expect(200);
        assert_eq!(rerate(stack, false).await, (Vec::new(), 1), "the price is as it was");
        let before = caller.row(&ids[0]).await;

        stack.put("/prices/demo/exact", &json!({"input": "0.5", "output": "20"})).await;
        let (rows, _) = rerate(stack, false).await;
        assert_eq!(rows.len(), 3, "a dry run shows what differs");
        let usage = &before["usage"];
        let pico = usage["prompt"].as_i64().unwrap() * 500_000
            + usage["completion"].as_i64().unwrap() * 20_000_000;
        let new = Money::from_pico(pico.into()).unwrap();
        assert_eq!(usd(rows[0]["cost_usd"].as_str().unwrap()), new);
        let by = |amount: Money, more: &str| times(amount, 3).plus(usd(more)).unwrap();
        assert_eq!(caller.user_books().await.settled(), by(cost, "0.001"), "and enters nothing");

        tokio::join!(rerate(stack, true), rerate(stack, true));
        rerate(stack, true).await;
        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), by(new, "0.001"), "{}: once", books.scope);
        }
        assert_eq!(caller.row(&ids[0]).await, before, "no row is edited");
        assert_eq!(rerate(stack, false).await, (Vec::new(), 1), "nothing is left to do");
        let day = format!("{year}0512").parse().unwrap();
        assert_reconciled(&caller, day).await;

        stack.put("/prices/demo/exact", &json!({"input": "1", "output": "10"})).await;
        assert_eq!(rerate(stack, true).await.0.len(), 3, "a price that goes back is followed");
        assert_eq!(caller.user_books().await.settled(), by(cost, "0.001"));
        assert_reconciled(&caller, day).await;
    });
}

#[test]
fn counters_and_rows_agree_over_every_ending_and_a_missing_row_is_seen_to_the_digit() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        orphan(&caller).await;
        let mut id = String::new();
        for model in ["exact", "fail", "busy", "nope", "exact"] {
            let answer = caller.chat(model, &json!({"max_tokens": 20})).await;
            answer.header("x-request-id").unwrap().clone_into(&mut id);
        }
        let late = format!("{year}-05-12T12:25:00Z");
        clock.to(&late);
        stack.schedule(&late).await;
        stack.drain().await;
        let refund = json!({"scope": caller.user_scope(), "amount_usd": "-0.000001",
                            "period": format!("{year}-05-12"), "reason": "goodwill"});
        stack.admin(Method::POST, "/corrections").json(&refund).send().await.expect(200);
        let day = format!("{year}0512").parse().unwrap();

        assert_reconciled(&caller, day).await;

        let row = stack.scan("logs").await.into_iter().find(|row| row.text("sk") == id).unwrap();
        let key = json!({"pk": {"S": row.text("pk")}, "sk": {"S": row.text("sk")}});
        let charged = usd(caller.row(&id).await["cost_usd"].as_str().unwrap());
        stack.dynamodb("DeleteItem", &json!({"TableName": "farebox-logs", "Key": key})).await;
        let [(counter, rows), _] = both(stack, &caller.key_scope(), day).await;
        assert_eq!(counter.minus(rows), Some(charged));
    });
}

#[test]
fn a_range_that_is_none_is_refused_by_its_field() {
    run(async {
        let stack = crate::stacks::shared().await;
        for (field, body) in [
            ("from", json!({"from": "2026-11", "to": "2026-11-30"})),
            ("to", json!({"from": "2026-11-01", "to": "yesterday"})),
            ("to", json!({"from": "2026-11-01"})),
            ("model", json!({"from": "2026-11-01", "to": "2026-11-30", "model": "gpt"})),
        ] {
            let answer = stack.admin(Method::POST, "/rerate").json(&body).send().await;
            assert_eq!((answer.code(), &answer.json()["error"]["field"]), (400, &json!(field)));
        }
        for query in ["", "?month=2026", "?month=2026-11-23", "?month=2020-01"] {
            let answer = stack.admin(Method::GET, &format!("/charges{query}")).send().await;
            assert_eq!((answer.code(), &answer.json()["error"]["field"]), (400, &json!("month")));
        }
    });
}

#[test]
fn a_usage_report_determines_an_unknown_charge_only_where_it_can_mean_nothing_else() {
    run(async {
        let clock = moved(&format!("{}-05-12T12:00:00Z", next_year())).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let answer = caller.chat("exact", &exact()).await.expect(200);
        let cost = usd(answer.header("x-farebox-cost-usd").unwrap());
        let unknown = caller.chat("fail", &json!({"max_tokens": 20})).await;
        let id = unknown.header("x-request-id").unwrap();
        let row = caller.row(id).await;
        assert_eq!(row["outcome"], "worst");
        let held = caller.user_books().await.settled().minus(cost).unwrap();
        let report = async |usage: Value, apply: bool| {
            let (from, to) = (
                format!("{}-05-12T00:00:00Z", next_year()),
                format!("{}-05-13T00:00:00Z", next_year()),
            );
            let body =
                json!({"provider": "demo", "from": from, "to": to, "usage": usage, "apply": apply});
            let answer = stack.admin(Method::POST, "/reconcile").json(&body).send().await;
            let lines = answer.expect(200).json()["lines"].as_array().unwrap().clone();
            lines.into_iter().find(|line| line["model"] == "fail").unwrap()
        };
        let of = |completion: u64, calls: u64| {
            let model = "fail-2026-01-01";
            json!([{"model": model, "prompt": 10, "completion": completion, "calls": calls}])
        };

        let line = report(of(5, 2), true).await;
        assert_eq!(
            (&line["determined"], &line["error_bar_usd"]),
            (&json!([]), &json!(held.to_string()))
        );
        let line = report(of(900_000, 1), true).await;
        assert_eq!(line["determined"], json!([]), "more than it can have cost");
        assert_eq!(caller.user_books().await.settled(), cost.plus(held).unwrap());

        let line = report(of(5, 1), false).await;
        assert_eq!((&line["determined"], &line["error_bar_usd"]), (&json!([id]), &json!("0")));
        let truth = usd(line["determined_usd"].as_str().unwrap());
        assert!(truth > Money::ZERO && truth < held);
        assert_eq!(caller.user_books().await.settled(), cost.plus(held).unwrap(), "not applied");
        report(of(5, 1), true).await;
        report(of(5, 1), true).await;

        assert_eq!(caller.user_books().await.settled(), cost.plus(truth).unwrap(), "once");
        assert_eq!(caller.key_books().await.settled(), cost.plus(truth).unwrap());
        assert_reconciled(&caller, format!("{}0512", next_year()).parse().unwrap()).await;

        let swept = caller.chat("fail", &json!({"max_tokens": 20})).await;
        let swept = swept.header("x-request-id").unwrap();
        stack.drain().await;
        let line = report(of(5, 1), true).await;
        assert_eq!(line["determined"], json!([]), "what is left may be the first call's");
        assert!(line["unknown_calls"] == 1 && caller.row(swept).await["outcome"] == "worst");
    });
}
