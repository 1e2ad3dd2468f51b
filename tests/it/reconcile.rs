//! Calls priced again, and the counters beside the rows of the log.

use farebox_core::Money;
use farebox_tests::moved::next_year;
use farebox_tests::tap::Script;
use farebox_tests::{Caller, Moved, Stack, run, usd};
use http::Method;
use serde_json::{Value, json};

use crate::bills::{ask, send};
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

/// What a scope's budget says, and what the rows of the month add up to in it: month, then day; and
/// its total beside all its months.
async fn both(stack: &Stack, scope: &str, day: u64) -> [(Money, Money); 3] {
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
    let told = |name: &str| usd(counters[name].as_str().unwrap());
    let total = [told("total_settled_usd"), told("months_settled_usd")];
    [(told("settled_usd"), rows), (usd(counted), of_day), total.into()]
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
        let [(counter, rows), ..] = both(stack, &caller.key_scope(), day).await;
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

/// What a bucket of a provider's report, the twelfth of May, says of a model.
struct Report<'s> {
    stack: &'s Stack,
    provider: &'static str,
}

impl Report<'_> {
    async fn line(&self, model: &str, usage: Value, apply: bool) -> Value {
        let year = next_year();
        let body = json!({"provider": self.provider, "from": format!("{year}-05-12T00:00:00Z"),
            "to": format!("{year}-05-13T00:00:00Z"), "usage": usage, "apply": apply});
        let answer = self.stack.admin(Method::POST, "/reconcile").json(&body).send().await;
        let lines = answer.expect(200).json()["lines"].as_array().unwrap().clone();
        lines.into_iter().find(|line| line["model"] == model).unwrap()
    }

    /// What a cost report of the twelfth of May says: the lines.
    async fn cost(&self, usd: Money, apply: bool) -> Vec<Value> {
        let year = next_year();
        let body = json!({"provider": self.provider, "from": format!("{year}-05-12T00:00:00Z"),
            "to": format!("{year}-05-13T00:00:00Z"), "usage": [], "apply": apply,
            "cost_at_most_usd": usd.to_string()});
        let answer = self.stack.admin(Method::POST, "/reconcile").json(&body).send().await;
        answer.expect(200).json()["lines"].as_array().unwrap().clone()
    }
}

/// A call whose provider answers with an error that may be billed.
async fn unknown(caller: &Caller<'_>, model: &str, max_tokens: u64) -> String {
    let answer = caller.chat(model, &json!({"max_tokens": max_tokens})).await;
    answer.header("x-request-id").unwrap().to_owned()
}

/// Later than any report of the twelfth of May can grow.
fn a_day_later(clock: &Moved) {
    clock.to(&format!("{}-05-13T02:00:00Z", next_year()));
}

fn the_day() -> u64 {
    format!("{}0512", next_year()).parse().unwrap()
}

#[test]
fn a_usage_report_determines_an_unknown_charge_only_where_it_can_mean_nothing_else() {
    run(async {
        let clock = moved(&format!("{}-05-12T12:00:00Z", next_year())).await;
        let caller = Caller::new(&clock.stack).await;
        let answer = caller.chat("exact", &exact()).await.expect(200);
        let cost = usd(answer.header("x-farebox-cost-usd").unwrap());
        let id = unknown(&caller, "fail", 20).await;
        assert_eq!(caller.row(&id).await["outcome"], "worst");
        let held = caller.user_books().await.settled().minus(cost).unwrap();
        let report = Report { stack: &clock.stack, provider: "demo" };
        let of = |completion: u64, calls: u64| {
            let model = "fail-2026-01-01";
            json!([{"model": model, "prompt": 10, "completion": completion, "calls": calls}])
        };

        let line = report.line("fail", of(5, 1), true).await;
        assert_eq!(line["determined"], json!([]), "the day is not over");
        assert!(line["open"].as_str().unwrap().contains("not an hour past"), "{line}");
        a_day_later(&clock);
        let line = report.line("fail", of(5, 2), true).await;
        assert_eq!(
            (&line["determined"], &line["error_bar_usd"]),
            (&json!([]), &json!(held.to_string()))
        );
        let line = report.line("fail", of(900_000, 1), true).await;
        assert_eq!(line["determined"], json!([]), "more than it can have cost");
        let line = report.line("fail", json!([]), true).await;
        assert_eq!(line["determined"], json!([]), "the report does not name the model");
        assert_eq!(caller.user_books().await.settled(), cost.plus(held).unwrap());

        let line = report.line("fail", of(5, 1), false).await;
        assert_eq!((&line["determined"], &line["error_bar_usd"]), (&json!([id]), &json!("0")));
        let truth = usd(line["determined_usd"].as_str().unwrap());
        assert!(truth > Money::ZERO && truth < held);
        assert_eq!(caller.user_books().await.settled(), cost.plus(held).unwrap(), "not applied");
        report.line("fail", of(5, 1), true).await;
        let again = report.line("fail", of(5, 1), true).await;
        assert_eq!(again["charged_usd"], truth.to_string());

        assert_eq!(caller.user_books().await.settled(), cost.plus(truth).unwrap(), "once");
        assert_eq!(caller.key_books().await.settled(), cost.plus(truth).unwrap());
        assert_reconciled(&caller, the_day()).await;

        // A report that has grown since is followed.
        let line = report.line("fail", of(6, 1), true).await;
        let grown = usd(line["determined_usd"].as_str().unwrap());
        assert!(grown > truth);
        assert_eq!(caller.user_books().await.settled(), cost.plus(grown).unwrap());
        let by_hand = json!({"request_id": id, "cost_usd": "0.00001", "reason": "the bill"});
        caller.stack().admin(Method::POST, "/corrections").json(&by_hand).send().await.expect(200);
        let line = report.line("fail", of(5, 1), true).await;
        assert_eq!((&line["determined"], &line["unknown_calls"]), (&json!([]), &json!(0)));
        let settled = cost.plus(usd("0.00001")).unwrap();
        assert_eq!(caller.user_books().await.settled(), settled, "an admin's word stays");
    });
}

#[test]
fn several_unknown_calls_of_a_bucket_become_their_sum_in_each_budget_that_they_share() {
    run(async {
        let clock = moved(&format!("{}-05-12T12:00:00Z", next_year())).await;
        let (caller, other) = (Caller::new(&clock.stack).await, Caller::new(&clock.stack).await);
        let mut ids = Vec::new();
        for max_tokens in [20, 400, 40] {
            ids.push(unknown(&caller, "fail", max_tokens).await);
        }
        for one in [&caller, &other] {
            unknown(one, "claude-fail", 20).await;
        }
        a_day_later(&clock);
        clock.stack.drain().await;
        let held = caller.user_books().await.settled();
        let others = other.user_books().await.settled();
        let report = Report { stack: &clock.stack, provider: "demo" };
        // 300 at 0.5 USD a million and 60 at 2; one of the three was not billed.
        let usage = json!([{"model": "fail", "prompt": 300, "completion": 60, "calls": 2}]);
        let sum = usd("0.00027");

        let before = report.line("fail", usage.clone(), false).await;
        assert_eq!(before["determined"].as_array().unwrap().len(), 3, "{before}");
        assert_eq!(before["determined_usd"], sum.to_string());
        let charged = usd(before["charged_usd"].as_str().unwrap());
        let truth = held.minus(charged).unwrap().plus(sum).unwrap();
        tokio::join!(
            report.line("fail", usage.clone(), true),
            report.line("fail", usage.clone(), true)
        );
        let after = report.line("fail", usage, true).await;

        assert_eq!(
            (&after["charged_usd"], &after["error_bar_usd"]),
            (&json!("0.00027"), &json!("0"))
        );
        for books in [caller.user_books().await, caller.key_books().await] {
            assert_eq!(books.settled(), truth, "{}: once", books.scope);
        }
        assert_reconciled(&caller, the_day()).await;

        // Whose they are of two callers nobody tells: each is charged the whole sum, and no more.
        let usage = json!([{"model": "claude-fail", "prompt": 10}]);
        let line = report.line("claude-fail", usage.clone(), true).await;
        let again = report.line("claude-fail", usage, true).await;
        assert_eq!((&line["determined"], &line["unknown_calls"]), (&json!([]), &json!(2)));
        assert!(line["open"].as_str().unwrap().contains("different budgets"), "{line}");
        assert_eq!(line["limited"].as_array().unwrap().len(), 2, "{line}");
        let bar = (&line["limited_usd"], &line["error_bar_usd"]);
        assert_eq!(bar, (&json!("0.00002"), &json!("0.00001")));
        let of = json!({"scope": caller.user_scope(), "day": the_day().to_string(),
            "least_usd": "0", "most_usd": "0.00001"});
        assert!(line["budgets"].as_array().unwrap().contains(&of), "{line}");
        assert_eq!(again["charged_usd"], "0.00002");
        let rest = truth.minus(others).unwrap().plus(usd("0.00001")).unwrap();
        assert_eq!(caller.user_books().await.settled(), rest);
        assert_eq!(other.user_books().await.settled(), usd("0.00001"));
        assert_reconciled(&caller, the_day()).await;
    });
}

#[test]
fn a_cost_report_corrects_unknown_calls_of_one_budget_to_what_it_leaves_them() {
    run(async {
        let clock = moved(&format!("{}-05-12T12:00:00Z", next_year())).await;
        let caller = Caller::new(&clock.stack).await;
        let mut known = Money::ZERO;
        for model in ["exact", "chat"] {
            let answer = caller.chat(model, &exact()).await.expect(200);
            known = known.plus(usd(answer.header("x-farebox-cost-usd").unwrap())).unwrap();
        }
        // Of two models: a cost report does not tell them apart, and need not.
        let ids = [unknown(&caller, "fail", 20).await, unknown(&caller, "claude-fail", 40).await];
        clock.stack.drain().await;
        let held = caller.user_books().await.settled().minus(known).unwrap();
        let report = Report { stack: &clock.stack, provider: "demo" };
        let of = |left: Money| known.plus(left).unwrap();
        let assert_open = async |cost: Money, why: &str| {
            let lines = report.cost(cost, true).await;
            assert_eq!((lines.len(), &lines[0]["determined"]), (1, &json!([])), "{lines:?}");
            assert!(lines[0]["open"].as_str().unwrap().contains(why), "{lines:?}");
            assert_eq!(lines[0]["error_bar_usd"], held.to_string());
            assert_eq!(caller.user_books().await.settled(), of(held), "{why}");
        };

        let truth = usd("0.00003");
        assert!(truth < held, "{held}");
        assert_open(of(truth), "not an hour past").await;
        a_day_later(&clock);
        assert_open(known.minus(Money::ONE_PICO).unwrap(), "less than the settled").await;
        assert_open(of(held).plus(Money::ONE_PICO).unwrap(), "more than they can have cost").await;
        let line = report.cost(of(truth), false).await.remove(0);
        assert_eq!(line["determined"].as_array().unwrap().len(), ids.len(), "{line}");
        assert_eq!(
            (&line["determined_usd"], &line["error_bar_usd"]),
            (&json!("0.00003"), &json!("0"))
        );
        assert_eq!(line["settled_usd"], known.to_string());
        assert_eq!(caller.user_books().await.settled(), of(held), "not applied");

        tokio::join!(report.cost(of(truth), true), report.cost(of(truth), true));
        report.cost(of(truth), true).await;

        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), of(truth), "{}: once", books.scope);
        }
        assert_reconciled(&caller, the_day()).await;
    });
}

#[test]
fn a_dear_call_is_corrected_at_its_own_tier_and_place_or_not_at_all() {
    run(async {
        let clock = moved(&format!("{}-05-12T12:00:00Z", next_year())).await;
        let caller = Caller::new(&clock.stack).await;
        let body = json!({"model": "anthropic/claude-opus-5", "max_tokens": 200, "speed": "fast",
            "messages": [{"role": "user", "content": "hello"}]});
        let ask = ask("anthropic", "/v1/messages", body);
        let error = json!({"type": "error", "error": {"type": "api_error", "message": "no"}});
        let (answer, _) = send(&caller, &ask, Script::json(500, &error)).await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        let held = caller.user_books().await.settled();
        clock.stack.drain().await;
        a_day_later(&clock);
        let report = Report { stack: &clock.stack, provider: "anthropic" };
        let of = |more: Value| {
            let mut row = json!({"model": "claude-opus-5-20260101", "prompt": 100, "completion": 10,
                "cache_write_5m": 0, "web_searches": 0});
            row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([row])
        };

        for more in [
            json!({}),
            json!({"service_tier": "fast"}),
            json!({"us_geography": true}),
            json!({"service_tier": "batch", "us_geography": true}),
        ] {
            let line = report.line("claude-opus-5", of(more.clone()), true).await;
            assert_eq!(line["determined"], json!([]), "{more}");
            assert_eq!(caller.user_books().await.settled(), held, "{more}: {line}");
        }
        // Fast is 10 and 50 USD a million, and us a tenth more: 0.0015 x 1.1.
        let line = report.line(
            "claude-opus-5",
            of(json!({"service_tier": "fast", "us_geography": true})),
            true,
        );
        assert_eq!(line.await["determined"], json!([id]));
        for books in [caller.user_books().await, caller.key_books().await] {
            assert_eq!(books.settled(), usd("0.00165"), "{}", books.scope);
        }
    });
}

#[test]
fn a_swept_call_becomes_what_one_model_of_the_report_has_left() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let caller = Caller::new(&clock.stack).await;
        let (rid, _) = orphan(&caller).await;
        let late = format!("{year}-05-12T12:25:00Z");
        clock.to(&late);
        clock.stack.schedule(&late).await;
        clock.stack.drain().await;
        let held = caller.user_books().await.settled();
        a_day_later(&clock);
        let report = Report { stack: &clock.stack, provider: "demo" };
        let usage = |more: Value| {
            let mut row = json!({"model": "hang", "prompt": 4, "completion": 2});
            row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([row])
        };
        let told = json!({"service_tier": "standard", "us_geography": false, "web_searches": 0});

        let line = report.line("", usage(json!({})), true).await;
        assert_eq!(line["determined"], json!([]), "nobody knows what it asked for: {line}");
        let line = report.line("", json!([]), true).await;
        assert_eq!(line["determined"], json!([]), "another provider may bill it");
        assert_eq!(line["error_bar_usd"], held.to_string());
        for _ in 0..2 {
            let line = report.line("", usage(told.clone()), true).await;
            assert_eq!(line["determined"], json!([rid]), "{line}");
            clock.stack.drain().await;
        }

        // 4 at 0.5 USD a million and 2 at 2.
        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), usd("0.000006"), "{}", books.scope);
        }
        assert_eq!(caller.row(&rid).await["outcome"], "adjusted");
        assert_reconciled(&caller, the_day()).await;
    });
}
