//! Periods under a moved clock: a new one starts at zero, an old one is closed.

use farebox_core::{Money, Timestamp};
use farebox_tests::caller::openai;
use farebox_tests::moved::next_year;
use farebox_tests::{Caller, Moved, run, until, usd};
use serde_json::{Value, json};

use crate::money::{exact, times};
use crate::stacks::executable;

/// A stack of two environments at this time.
pub async fn moved(time: &str) -> Moved {
    Moved::start(executable(), 2, time).await
}

async fn charged(caller: &Caller<'_>) -> Money {
    let answer = caller.chat("exact", &exact()).await.expect(200);
    usd(answer.header("x-farebox-cost-usd").unwrap())
}

async fn assert_refused(caller: &Caller<'_>) {
    assert_eq!(caller.chat("exact", &exact()).await.code(), 402);
}

#[test]
fn a_new_day_and_a_new_month_start_at_zero_and_old_ones_are_closed() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-03-30T23:58:00Z")).await;
        let caller = Caller::new(&clock.stack).await;
        let cost = charged(&caller).await;
        let (one, three) = (cost.to_string(), times(cost, 3).to_string());
        caller.limit_user(&json!({"day_limit_usd": one, "month_limit_usd": three})).await;
        assert_refused(&caller).await;

        clock.to(&format!("{year}-03-31T00:00:01Z"));
        assert_eq!(charged(&caller).await, cost);
        assert_refused(&caller).await;
        clock.to(&format!("{year}-04-01T00:00:01Z"));
        assert_eq!(charged(&caller).await, cost);
        assert_refused(&caller).await;

        let books = caller.user_books().await;
        books.assert_quiet();
        let item = &books.item;
        for (name, amount) in [
            (format!("ds_{year}0330"), cost),
            (format!("ds_{year}0331"), cost),
            (format!("ds_{year}0401"), cost),
            (format!("ms_{year}03"), times(cost, 2)),
            (format!("ms_{year}04"), cost),
        ] {
            assert_eq!(item.money(&name), amount, "{name}");
        }
        assert_eq!(caller.assert_settled_to_the_bill().await, times(cost, 3));

        // Less than 48 hours after its end a month stays open, then it is archived.
        clock.to(&format!("{year}-04-02T23:50:00Z"));
        clock.stack.schedule(&format!("{year}-04-02T23:50:00Z")).await;
        assert_eq!(caller.user_books().await.item.money(&format!("ms_{year}03")), times(cost, 2));
        clock.to(&format!("{year}-04-03T00:05:00Z"));
        clock.stack.schedule(&format!("{year}-04-03T00:05:00Z")).await;
        clock.stack.schedule(&format!("{year}-04-03T00:05:00Z")).await;

        let books = caller.user_books().await;
        assert_eq!(books.item.text(&format!("ms_{year}03")), "");
        assert_eq!(books.item.text(&format!("mc_{year}03")), "");
        assert_eq!(books.item.text("am"), format!("{year}03"));
        assert_eq!(books.item.money(&format!("ms_{year}04")), cost);
        assert_eq!(books.item.text(&format!("ds_{year}0331")), "");
        assert_eq!(books.settled(), times(cost, 3));
        let archive = clock.stack.query("main", &format!("A#main#{}", caller.user_scope())).await;
        assert_eq!(archive.len(), 1);
        assert_eq!(
            (archive[0].text("sk"), archive[0].money("s")),
            (format!("M#{year}03").as_str(), times(cost, 2))
        );

        assert_eq!(charged(&caller).await, cost);
        assert_refused(&caller).await;
        assert_eq!(caller.assert_settled_to_the_bill().await, times(cost, 4));
    });
}

#[test]
fn a_call_is_charged_to_the_day_on_which_it_began() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-06-30T23:59:00Z")).await;
        let caller = Caller::new(&clock.stack).await;
        let body = openai("demo/drip", &json!({"stream": true, "max_tokens": 20}));

        let mut answer = caller.post("/v1/chat/completions", &body).open().await;
        answer.piece().await.unwrap().unwrap();
        clock.to(&format!("{year}-07-01T00:00:30Z"));
        answer.whole().await;

        until("it is settled", || async {
            (caller.user_books().await.settled() > Money::ZERO).then_some(())
        })
        .await;
        let bill = caller.assert_settled_to_the_bill().await;
        let item = caller.user_books().await.item;
        assert_eq!(item.money(&format!("ds_{year}0630")), bill);
        assert_eq!(item.money(&format!("ms_{year}06")), bill);
        assert_eq!(item.text(&format!("ds_{year}0701")), "");
    });
}

#[test]
fn a_day_begins_at_the_owners_midnight() {
    run(async {
        let year = next_year();
        // 16:30 in Berlin's summer is 14:30 UTC; its midnight comes at 22:00 UTC.
        let clock = moved(&format!("{year}-07-10T21:59:00Z")).await;
        let caller = Caller::new(&clock.stack).await;
        let cost = charged(&caller).await;
        let budget =
            json!({"day_limit_usd": times(cost, 2).to_string(), "time_zone": "Europe/Berlin"});
        caller.limit_user(&budget).await;
        assert_eq!(charged(&caller).await, cost);
        assert_refused(&caller).await;

        let reset = |budget: &Value| {
            let rows = budget["scopes"].as_array().unwrap();
            let row = rows.iter().find(|row| row["kind"] == "user" && row["period"] == "day");
            row.unwrap()["resets_at"].as_str().unwrap().to_owned()
        };
        let resets_at = reset(&caller.read("/v1/budget").await);
        assert_eq!(
            Timestamp::parse(&resets_at).unwrap(),
            Timestamp::parse(&format!("{year}-07-10T22:00:00Z")).unwrap()
        );
        clock.to(&format!("{year}-07-10T22:00:01Z"));

        assert_eq!(charged(&caller).await, cost);
        assert_eq!(caller.user_books().await.item.money(&format!("ds_{year}0711")), cost);
    });
}

#[test]
fn a_total_is_not_compared_with_months_whose_archives_are_gone() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let scope = caller.user_scope();
        caller.chat("exact", &exact()).await.expect(200);
        let cost = caller.assert_settled_to_the_bill().await;
        let later = format!("{year}-06-05T00:05:00Z");
        clock.to(&later);
        for _ in 0..2 {
            stack.schedule(&later).await;
        }
        let archives = format!("A#main#{scope}");
        assert_eq!(stack.query("main", &archives).await.len(), 1);
        let of_june = stack.read(&format!("/counters/{scope}?month={year}-06")).await;
        for field in ["total_settled_usd", "months_settled_usd"] {
            assert_eq!(of_june[field], cost.to_string(), "{field}");
        }

        // Nobody calls for more than 400 days: by then DynamoDB has taken the archive away.
        let key = json!({"pk": {"S": archives}, "sk": {"S": format!("M#{year}05")}});
        stack.dynamodb("DeleteItem", &json!({"TableName": "farebox-main", "Key": key})).await;
        let after = year + 2;
        clock.to(&format!("{after}-01-10T12:00:00Z"));
        caller.chat("exact", &exact()).await.expect(200);

        let counters = stack.read(&format!("/counters/{scope}?month={after}-01")).await;
        assert_eq!(counters["settled_usd"], cost.to_string());
        assert_eq!(counters["total_settled_usd"], times(cost, 2).to_string());
        assert!(counters["months_settled_usd"].is_null(), "{counters}");
    });
}
