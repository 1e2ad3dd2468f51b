//! Sums of usage: exact over every ending, whatever comes twice, late or back, and read at the
//! same price however many calls they are the sums of.

use std::collections::BTreeMap;

use farebox_core::Money;
use farebox_tests::moved::next_year;
use farebox_tests::{Caller, Stack, run, usd};
use http::Method;
use serde_json::{Value, json};

use crate::books::{orphan, record};
use crate::money::exact;
use crate::periods::moved;
use crate::stacks::{lone, shared};

async fn usage(stack: &Stack, query: &str) -> Value {
    stack.drain().await;
    stack.read(&format!("/usage?{query}")).await
}

fn charged(row: &Value) -> Money {
    usd(row["charged_usd"].as_str().unwrap())
}

/// The rows of the log, added up by the test itself: charged and calls, by model.
async fn rows_by_model(stack: &Stack, key_id: &str) -> BTreeMap<String, (Money, u64)> {
    let (mut sums, mut cursor) = (BTreeMap::<String, (Money, u64)>::new(), String::new());
    loop {
        let page = stack.read(&format!("/requests?limit=100{cursor}")).await;
        for row in page["requests"].as_array().unwrap() {
            if row["key_id"] != key_id {
                continue;
            }
            let model = match (row["provider"].as_str(), row["model"].as_str()) {
                (Some(provider), Some(model)) => format!("{provider}/{model}"),
                _ => "-".to_owned(),
            };
            let sum = sums.entry(model).or_default();
            let cost = row["cost_usd"].as_str().map_or(Money::ZERO, usd);
            sum.0 = sum.0.plus(cost).unwrap();
            let is_call = !["refused", "correction"].contains(&row["outcome"].as_str().unwrap());
            sum.1 += u64::from(is_call);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return sums,
        }
    }
}

/// Every row of a day of a key, read in pages of two.
async fn sets(stack: &Stack, day: &str, scope: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = stack.read(&format!("/usage/days/{day}?limit=2{cursor}")).await;
        let of_scope = page["rows"].as_array().unwrap().iter().filter(|row| row["scope"] == scope);
        rows.extend(of_scope.cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

fn sum(rows: &[Value]) -> Money {
    rows.iter().fold(Money::ZERO, |sum, row| sum.plus(charged(row)).unwrap())
}

/// The sums of a key's calls are its rows and its books; so are those of its labels together.
async fn assert_summed(caller: &Caller<'_>) {
    let stack = caller.stack();
    let query = format!("by=model&scope={}&until={}-12", caller.key_scope(), next_year());
    let answer = usage(stack, &format!("{query}&since={}-01", next_year())).await;
    let rows = rows_by_model(stack, &caller.key_id).await;
    let summed = answer["rows"].as_array().unwrap().iter().map(|row| {
        let model = row["by"]["model"].as_str().unwrap().to_owned();
        (model, (charged(row), row["calls"].as_u64().unwrap()))
    });
    let shown = |rows: BTreeMap<String, (Money, u64)>| {
        let some = rows.into_iter().filter(|(_, sums)| *sums != (Money::ZERO, 0));
        some.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(shown(summed.collect()), shown(rows), "sums and rows");
    assert_eq!(charged(&answer["total"]), caller.key_books().await.settled(), "sums and books");
    let of_day = sets(stack, &format!("{}-05-12", next_year()), &caller.key_scope()).await;
    assert_eq!(sum(&of_day), caller.key_books().await.settled(), "sets of labels and books");
}

#[test]
fn a_day_is_told_by_the_labels_that_its_calls_carried_whatever_the_key_says_since() {
    run(async {
        let stack = shared().await;
        let caller = Caller::with_key(stack, &json!({"labels": {"team": "search"}})).await;
        let body = json!({
            "model": "demo/exact", "max_tokens": 5, "user": "u-7",
            "messages": [{"role": "user", "content": "hello"}], "metadata": {"run": "9"},
        });
        let chat = caller.post("/v1/chat/completions", &body);
        chat.with("x-farebox-tags", "env=a%2Cb,team=ads").send().await.expect(200);
        caller.chat("exact", &json!({"max_tokens": 5})).await.expect(200);
        stack.drain().await;
        let key = stack.read(&format!("/keys/{}", caller.key_id)).await;
        let put = json!({"name": key["name"], "labels": {"team": "other"}});
        stack.put(&format!("/keys/{}", caller.key_id), &put).await;
        let refund = json!({"scope": caller.user_scope(), "amount_usd": "0.000001",
                            "reason": "a fee of the user's"});
        stack.admin(Method::POST, "/corrections").json(&refund).send().await.expect(200);
        stack.drain().await;

        let today = stack.read("/usage?by=model").await["until"].as_str().unwrap().to_owned();
        let rows = sets(stack, &today, &caller.key_scope()).await;

        let labels: Vec<_> = rows.iter().map(|row| row["labels"].clone()).collect();
        let full = json!({"team": "search", "env": "a,b", "end_user": "u-7", "run": "9"});
        assert_eq!(labels, [full, json!({"team": "search"})]);
        assert!(rows.iter().all(|row| row["model"] == "demo/exact"));
        assert_eq!(sum(&rows), caller.key_books().await.settled());
        let of_user = sets(stack, &today, &caller.user_scope()).await;
        assert_eq!((of_user.len(), charged(&of_user[0])), (1, usd("0.000001")));
        let both = sum(&rows).plus(sum(&of_user)).unwrap();
        assert_eq!(both, caller.user_books().await.settled());

        // A statement by what a body said.
        for (name, value) in [("end_user", "u-7"), ("run", "9"), ("env", "a,b")] {
            let report = usage(stack, &format!("by=label:{name}")).await;
            let by = format!("label:{name}");
            let mut of = report["rows"].as_array().unwrap().iter();
            let row = of.find(|row| row["by"][&by] == value).unwrap();
            assert!(charged(row) > Money::ZERO, "{row}");
        }
    });
}

#[test]
fn sums_are_those_of_the_rows_after_every_ending_repeats_corrections_and_re_ratings() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let stack = &clock.stack;
        let caller = Caller::with_key(stack, &json!({"labels": {"team": "search"}})).await;
        let (rid, hold) = orphan(&caller).await;
        let mut ids = Vec::new();
        for model in ["exact", "fail", "busy", "nope", "chat", "exact"] {
            let answer = caller.chat(model, &json!({"max_tokens": 20})).await;
            ids.push(answer.header("x-request-id").unwrap().to_owned());
        }
        let late = format!("{year}-05-12T12:25:00Z");
        clock.to(&late);
        stack.schedule(&late).await;
        assert_summed(&caller).await;
        let by_label = format!("by=label:team&since={year}-05&until={year}-05");
        let before = charged(&usage(stack, &by_label).await["total"]);

        // The truth of the swept call, twice; and a call's record once more.
        let day = format!("{year}0512").parse().unwrap();
        let more = json!({"hold": "1"});
        let truth = record(&caller, &rid, day, &more, &json!({"hold": hold}));
        for _ in 0..2 {
            let sent = stack.admin(Method::POST, "/settlements").json(&truth).send().await;
            assert!(sent.status.is_success(), "{}", sent.text());
            assert_summed(&caller).await;
        }
        let rows = stack.scan("logs").await;
        let row = rows.iter().find(|row| row.text("sk") == ids[0]).unwrap();
        let again: Value = serde_json::from_str(row.text("rec")).unwrap();
        stack.admin(Method::POST, "/settlements").json(&again).send().await;
        assert_summed(&caller).await;

        let by_hand = json!({"request_id": ids[4], "cost_usd": "0.001", "reason": "the bill"});
        stack.admin(Method::POST, "/corrections").json(&by_hand).send().await.expect(200);
        let refund = json!({"scope": caller.key_scope(), "amount_usd": "-0.000001",
                            "period": format!("{year}-05-12"), "reason": "goodwill"});
        stack.admin(Method::POST, "/corrections").json(&refund).send().await.expect(200);
        assert_summed(&caller).await;
        stack.put("/prices/demo/exact", &json!({"input": "0.5", "output": "20"})).await;
        let range = json!({"from": format!("{year}-05-01"), "to": format!("{year}-05-31"),
                           "apply": true});
        for _ in 0..2 {
            stack.admin(Method::POST, "/rerate").json(&range).send().await.expect(200);
            assert_summed(&caller).await;
        }

        let labelled = usage(stack, &by_label).await;
        let of_label = &labelled["rows"][0];
        assert_eq!(of_label["by"]["label:team"], "search");
        assert_ne!(charged(of_label), before, "corrections carry the call's labels");
        let by_day = usage(stack, &by_label.replace("team&", "team,model,day&")).await;
        assert_eq!(by_day["total"]["charged_usd"], labelled["total"]["charged_usd"]);
    });
}

#[test]
fn the_reads_of_a_month_do_not_grow_with_its_calls() {
    run(async {
        let stack = lone().await;
        let caller = Caller::new(&stack).await;
        let queries = [
            "by=model".to_owned(),
            "by=user,model".to_owned(),
            format!("by=model&scope={}", caller.user_scope()),
            "by=label:run,day".to_owned(),
        ];
        let reads = async |query: &str| {
            stack.drain().await;
            stack.reset_aws_calls().await;
            stack.read(&format!("/usage?{query}")).await;
            let calls = stack.aws_calls().await;
            let calls = calls["calls"].as_array().unwrap();
            calls.iter().filter(|call| call.to_string().contains("Query")).count()
        };
        let call = async |run: &str| {
            let question = farebox_tests::caller::native("exact", &exact());
            let call = caller.post("/v1/chat", &question);
            call.with("x-farebox-tags", format!("run={run}")).send().await.expect(200);
        };
        call("a").await;
        let mut few = Vec::new();
        for query in &queries {
            few.push(reads(query).await);
        }
        for _ in 0..40 {
            call("b").await;
        }

        let mut many = Vec::new();
        for query in &queries {
            many.push(reads(query).await);
        }

        assert_eq!(few, [8, 8, 8, 8], "one a copy and month");
        assert_eq!(many, few);
        let total = stack.read(&format!("/usage?by=model&scope={}", caller.user_scope())).await;
        assert_eq!(total["total"]["calls"], 41);
        assert_eq!(charged(&total["total"]), caller.user_books().await.settled());
    });
}

#[test]
fn a_question_about_usage_that_is_none_is_refused_by_its_field() {
    run(async {
        let stack = shared().await;
        for (query, field) in [
            ("by=price", "by"),
            ("by=model,model", "by"),
            ("by=model&scope=u1", "scope"),
            ("by=user&scope=user:u1", "scope"),
            ("by=model&scope=label:team", "scope"),
            ("by=model&since=yesterday", "since"),
            ("by=model&until=2026-13", "until"),
            ("by=model&since=2026-11-02&until=2026-11-01", "until"),
            ("by=model&since=2020-01&until=2026-11", "since"),
            ("by=model&limit=0", "limit"),
        ] {
            let answer = stack.admin(Method::GET, &format!("/usage?{query}")).send().await;
            assert_eq!(
                (answer.code(), &answer.json()["error"]["field"]),
                (400, &json!(field)),
                "{query}"
            );
        }
    });
}
