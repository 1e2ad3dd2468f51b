//! Limits that change while money is spent: for a time, in the middle of a period, with the zone.

use farebox_core::Money;
use farebox_tests::moved::next_year;
use farebox_tests::{Caller, Stack, run, usd};
use futures_util::future::join;
use http::Method;
use serde_json::{Value, json};

use crate::money::{exact, exact_cost, times};
use crate::periods::moved;
use crate::scopes::Group;
use crate::stacks::shared;

async fn charged(caller: &Caller<'_>) -> Money {
    let answer = caller.chat("exact", &exact()).await.expect(200);
    usd(answer.header("x-farebox-cost-usd").unwrap())
}

async fn assert_refused(caller: &Caller<'_>) {
    let answer = caller.chat("exact", &exact()).await;
    assert_eq!(answer.code(), 402, "{}", answer.text());
}

async fn budget(caller: &Caller<'_>) -> Value {
    caller.stack().read(&format!("/budgets/{}", caller.user_scope())).await
}

#[test]
fn a_raise_with_an_end_date_ends_once() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-10T12:00:00Z")).await;
        let caller = Caller::new(&clock.stack).await;
        let cost = charged(&caller).await;
        let (one, three) = (cost.to_string(), times(cost, 3).to_string());
        caller.limit_user(&json!({"month_limit_usd": one})).await;
        assert_refused(&caller).await;

        let until = format!("{year}-05-10T13:00:00Z");
        for raised in [times(cost, 2).to_string(), three.clone()] {
            caller.limit_user(&json!({"month_limit_usd": raised, "until": until})).await;
        }
        let seen = budget(&caller).await;
        assert_eq!(seen["month_limit_usd"], three);
        assert!(seen["until"].as_str().unwrap().starts_with(&until[..19]), "{seen}");
        assert_eq!(seen["then"]["month_limit_usd"], one, "what was before the first of two");
        assert_eq!(charged(&caller).await, cost);
        clock.stack.schedule(&format!("{year}-05-10T12:59:00Z")).await;
        assert_eq!(budget(&caller).await["version"], seen["version"], "not due yet");

        clock.to(&until);
        join(clock.stack.schedule(&until), clock.stack.schedule(&until)).await;
        clock.stack.schedule(&until).await;

        assert_refused(&caller).await;
        let back = budget(&caller).await;
        let version = |budget: &Value| budget["version"].as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(version(&back), version(&seen) + 1, "once");
        assert_eq!((&back["month_limit_usd"], back.get("until")), (&json!(one), None));
        assert_eq!(caller.assert_settled_to_the_bill().await, times(cost, 2));
        let left = clock.stack.query("main", &format!("LC#main#{}", caller.user_scope())).await;
        assert_eq!(left.len(), 0);
        let target = format!("/admin/v1/budgets/{}", caller.user_scope());
        let audit = clock.stack.read(&format!("/audit?actor=scheduler:&target={target}")).await;
        let done = |entry: &&Value| entry["outcome"] == "done";
        let done: Vec<_> = audit["entries"].as_array().unwrap().iter().filter(done).collect();
        assert_eq!(done.len(), 1, "one of the runs ended it: {audit}");
        assert_eq!(
            (&done[0]["actor"], &done[0]["action"]),
            (&json!("scheduler:limits"), &json!("END"))
        );
        assert_eq!(done[0]["before"]["settings"]["month_limit_usd"], three);
        assert_eq!(done[0]["after"]["settings"]["month_limit_usd"], one);
    });
}

#[test]
fn a_later_change_takes_the_place_of_an_end_date() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-10T12:00:00Z")).await;
        let caller = Caller::new(&clock.stack).await;
        caller.limit_user(&json!({"month_limit_usd": "1"})).await;
        let until = format!("{year}-05-10T13:00:00Z");
        caller.limit_user(&json!({"month_limit_usd": "2", "until": until})).await;
        caller.limit_user(&json!({"month_limit_usd": "3"})).await;
        assert_eq!(budget(&caller).await.get("until"), None);

        clock.to(&until);
        clock.stack.schedule(&until).await;

        assert_eq!(budget(&caller).await["month_limit_usd"], "3");
    });
}

#[test]
fn a_closed_budget_refuses_and_an_opened_one_remembers() {
    run(async {
        let cost = exact_cost().await;
        let caller = Caller::new(shared().await).await;
        let limit = times(cost, 2).to_string();
        caller.limit_user(&json!({"month_limit_usd": limit})).await;
        caller.chat("exact", &exact()).await.expect(200);

        caller.limit_user(&json!({"month_limit_usd": limit, "mode": "closed"})).await;
        assert_refused(&caller).await;
        caller.limit_user(&json!({"month_limit_usd": limit})).await;

        caller.chat("exact", &exact()).await.expect(200);
        assert_refused(&caller).await;
        assert_eq!(caller.assert_settled_to_the_bill().await, times(cost, 2));
    });
}

#[test]
fn a_limit_given_or_lowered_in_mid_period_counts_what_was_spent_before() {
    run(async {
        let cost = exact_cost().await;
        for period in ["day", "month", "total"] {
            let caller = Caller::new(shared().await).await;
            let field = format!("{period}_limit_usd");
            for _ in 0..2 {
                caller.chat("exact", &exact()).await.expect(200);
            }
            caller.limit_user(&json!({&field: times(cost, 2).to_string()})).await;
            assert_refused(&caller).await;
            caller.limit_user(&json!({&field: times(cost, 3).to_string()})).await;
            caller.chat("exact", &exact()).await.expect(200);

            let put =
                caller.stack().admin(Method::PUT, &format!("/budgets/{}", caller.user_scope()));
            let lowered = put.json(&json!({&field: cost.to_string()})).with("if-match", "*");
            let lowered = lowered.send().await.expect(200).json();

            let warning = lowered["warnings"][0].as_str().unwrap();
            assert!(warning.starts_with(&field) && warning.contains("refused until"), "{warning}");
            assert_refused(&caller).await;
            caller.limit_user(&json!({&field: null})).await;
            caller.limit_user(&json!({&field: times(cost, 3).to_string()})).await;
            assert_refused(&caller).await;
            assert_eq!(caller.assert_settled_to_the_bill().await, times(cost, 3));
        }
    });
}

/// A caller for each of the eight budgets that a call can have, and that budget's scope. Budgets
/// are there before the calls: a first one of an organisation binds when its keys know of it.
async fn one_for_each_scope(stack: &Stack) -> Vec<(Caller<'_>, String)> {
    let mut callers = Vec::new();
    for place in 0..8 {
        let group = Group::new(stack).await;
        let caller = group.member().await;
        let (_, scope) = group.all_of(&caller, "exact").swap_remove(place);
        stack.set_budget(&scope, &json!({"month_limit_usd": "1000"})).await;
        callers.push((caller, scope));
    }
    callers
}

#[test]
fn a_zone_moved_west_or_east_forgives_no_spend_in_any_scope() {
    run(async {
        // Half past midnight of the 11th in Berlin is the 10th in UTC and in New York.
        let year = next_year();
        let clock = moved(&format!("{year}-07-10T12:00:00Z")).await;
        let callers = one_for_each_scope(&clock.stack).await;
        let mut cost = Money::ZERO;
        for (caller, _) in &callers {
            cost = charged(caller).await;
        }
        let (one, nine) = (cost.to_string(), times(cost, 9).to_string());
        let zone = async |name: &str| {
            let budget = json!({"day_limit_usd": one, "month_limit_usd": nine, "time_zone": name});
            for (_, scope) in &callers {
                clock.stack.set_budget(scope, &budget).await;
            }
        };
        let refused = async || {
            for (caller, scope) in &callers {
                assert_eq!(caller.chat("exact", &exact()).await.code(), 402, "{scope}");
            }
        };
        let served = async || {
            for (caller, scope) in &callers {
                assert_eq!(charged(caller).await, cost, "{scope}");
            }
        };
        zone("Europe/Berlin").await;
        refused().await;
        clock.to(&format!("{year}-07-10T22:30:00Z"));
        served().await;
        refused().await;

        // West: the name of a day comes again, with what it has spent.
        for west in ["UTC", "America/New_York"] {
            zone(west).await;
            refused().await;
        }
        // East: a later day begins early, once, and counts to the same month.
        clock.to(&format!("{year}-07-11T15:30:00Z"));
        zone("Asia/Tokyo").await;
        served().await;
        refused().await;
        for back in ["Europe/Berlin", "Asia/Tokyo"] {
            zone(back).await;
            refused().await;
        }

        for (caller, scope) in &callers {
            let item = clock.stack.books(scope).await.item;
            assert_eq!(item.money(&format!("ms_{year}07")), times(cost, 3), "{scope}");
            assert_eq!(caller.assert_settled_to_the_bill().await, times(cost, 3), "{scope}");
        }
    });
}

#[test]
fn a_day_of_23_or_25_hours_has_one_budget_in_any_scope() {
    run(async {
        // Berlin's clocks: forward on 2031-03-30, back on 2031-10-26.
        let clock = moved("2031-03-29T12:00:00Z").await;
        let callers = one_for_each_scope(&clock.stack).await;
        let mut cost = Money::ZERO;
        for (caller, _) in &callers {
            cost = charged(caller).await;
        }
        let budget = json!({"day_limit_usd": cost.to_string(), "time_zone": "Europe/Berlin"});
        let limited = async || {
            for (_, scope) in &callers {
                clock.stack.set_budget(scope, &budget).await;
            }
        };
        let served = async |at: &str| {
            for (caller, scope) in &callers {
                assert_eq!(charged(caller).await, cost, "{scope} at {at}");
            }
        };
        let refused = async |at: &str| {
            for (caller, scope) in &callers {
                assert_eq!(caller.chat("exact", &exact()).await.code(), 402, "{scope} at {at}");
            }
        };
        limited().await;
        for (begins, last, next) in [
            ("2031-03-29T23:00:01Z", "2031-03-30T21:50:00Z", "2031-03-30T22:00:01Z"),
            ("2031-10-25T22:00:01Z", "2031-10-26T22:50:00Z", "2031-10-26T23:00:01Z"),
        ] {
            clock.to(begins);
            served(begins).await;
            clock.to(last);
            refused(last).await;
            limited().await;
            refused(last).await;
            clock.to(next);
            served(next).await;
        }
    });
}

#[test]
fn a_budget_that_cannot_be_meant_is_refused_by_its_field() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let path = format!("/budgets/{}", caller.user_scope());
        let before = caller.user_books().await.item.0;
        for (field, body) in [
            ("month_limit_usd", json!({"month_limit_usd": "0"})),
            ("day_limit_usd", json!({"day_limit_usd": "-1"})),
            ("total_limit_usd", json!({"total_limit_usd": "0.0"})),
            ("total_limit_usd", json!({"total_limit_usd": "1e3"})),
            ("alert_thresholds", json!({"alert_thresholds": [80, 50]})),
            ("alert_thresholds", json!({"alert_thresholds": [50, 50]})),
            ("alert_thresholds", json!({"alert_thresholds": [0]})),
            ("alert_thresholds", json!({"alert_thresholds": [101]})),
            ("alert_thresholds", json!({"alert_thresholds": (1..=11).collect::<Vec<_>>()})),
            ("time_zone", json!({"time_zone": "Mars/Olympus"})),
            ("mode", json!({"mode": "strict"})),
            ("until", json!({"until": "2020-01-01T00:00:00Z"})),
            ("until", json!({"until": "tomorrow"})),
        ] {
            let put = stack.admin(Method::PUT, &path).json(&body).with("if-match", "*");
            let answer = put.send().await;
            assert_eq!(answer.code(), 400, "{body}");
            assert_eq!(answer.json()["error"]["field"], field, "{}", answer.text());
        }
        assert_eq!(caller.user_books().await.item.0, before, "nothing changed");
    });
}
