//! What is told, how often, and how soon: each alert once for its scope, period, threshold and
//! version of the limit, by the webhook of a receiver that keeps what it gets.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use farebox_core::Money;
use farebox_tests::moved::next_year;
use farebox_tests::tap::Script;
use farebox_tests::{Caller, Moved, Settings, Stack, run};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::money::{exact, exact_cost, times};
use crate::stacks::{executable, hooked};

/// A receiver of all alerts.
struct Hook<'s> {
    stack: &'s Stack,
    name: String,
}

impl<'s> Hook<'s> {
    async fn new(stack: &'s Stack) -> Self {
        let (name, _) = hooked(stack).await;
        Self { stack, name }
    }

    /// What it was told, and that it was told nothing twice.
    fn told(&self) -> Vec<Value> {
        let seen = self.stack.tap().seen(&self.name);
        let ids: BTreeSet<_> = seen.iter().map(|one| one.headers["alert-id"].clone()).collect();
        assert_eq!(ids.len(), seen.len(), "told twice: {seen:?}");
        seen.iter().map(|one| serde_json::from_slice(&one.body).unwrap()).collect()
    }

    /// The version of the limit and the period of each alert of a type and scope.
    fn of(&self, kind: &str, scope: &str) -> BTreeSet<(u64, String)> {
        let told = self.told().into_iter();
        let of_this = told.filter(|body| body["type"] == kind && body["scope"] == scope);
        let keys: Vec<_> = of_this
            .map(|body| {
                let period = body["period_id"].as_str().unwrap_or_default().to_owned();
                (body["limit_version"].as_u64().unwrap(), period)
            })
            .collect();
        let set: BTreeSet<_> = keys.iter().cloned().collect();
        assert_eq!(set.len(), keys.len(), "one of them twice: {keys:?}");
        set
    }
}

/// Moves the clock and runs the scheduler once; the queue is empty before. The times are far apart:
/// the clock goes on by itself, and what a slow machine records after its minute is not due yet.
async fn tick(clock: &Moved, time: &str) {
    clock.stack.drain().await;
    clock.to(time);
    clock.stack.schedule(time).await;
}

/// One version above.
fn next((version, period): &(u64, String)) -> (u64, String) {
    (version + 1, period.clone())
}

#[test]
fn a_refusal_is_told_once_for_each_version_of_the_limit() {
    run(async {
        let cost = exact_cost().await;
        let year = next_year();
        let time = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 1, &time(1)).await;
        let hook = Hook::new(&clock.stack).await;
        let caller = Caller::new(&clock.stack).await;
        let scope = caller.user_scope();
        let limit = async |limit: Money| {
            caller.limit_user(&json!({"month_limit_usd": limit.to_string()})).await;
        };
        let refused = async || {
            assert_eq!(caller.chat("exact", &exact()).await.code(), 402);
        };
        limit(cost).await;
        caller.chat("exact", &exact()).await.expect(200);
        tick(&clock, &time(11)).await;
        assert!(hook.of("budget.refused", &scope).is_empty(), "nothing was refused");

        refused().await;
        refused().await;
        tick(&clock, &time(21)).await;
        let first = hook.of("budget.refused", &scope);
        refused().await;
        tick(&clock, &time(31)).await;
        assert_eq!(hook.of("budget.refused", &scope), first);
        let told = hook.told();
        let one = told.iter().find(|body| body["type"] == "budget.refused").unwrap();
        assert_eq!((&one["period"], &one["threshold_percent"]), (&json!("month"), &Value::Null));
        let spent = json!(cost.to_string());
        assert_eq!((&one["limit_usd"], &one["settled_usd"]), (&spent, &spent));

        limit(cost.plus(Money::ONE_PICO).unwrap()).await;
        refused().await;
        tick(&clock, &time(41)).await;

        let only = first.first().unwrap();
        assert_eq!(first.len(), 1);
        let both = BTreeSet::from([only.clone(), next(only)]);
        assert_eq!(hook.of("budget.refused", &scope), both);
    });
}

#[test]
fn a_level_is_told_once_for_each_version_of_the_limit_and_each_period() {
    run(async {
        let cost = exact_cost().await;
        let year = next_year();
        let at = |day: u32, minute: u32| format!("{year}-05-{day}T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 1, &at(12, 1)).await;
        let hook = Hook::new(&clock.stack).await;
        let caller = Caller::new(&clock.stack).await;
        let scope = caller.user_scope();
        let limit = async |most: i128| {
            let limit = times(cost, most).to_string();
            let budget = json!({"day_limit_usd": limit, "alert_thresholds": [20]});
            caller.limit_user(&budget).await;
        };
        let told = || hook.of("budget.threshold", &scope);
        limit(4).await;
        caller.chat("exact", &exact()).await.expect(200);
        tick(&clock, &at(12, 11)).await;
        let first = told();
        assert_eq!(first.len(), 1);
        // The level stands; each call, each scan and each repeat sees it again.
        caller.chat("exact", &exact()).await.expect(200);
        tick(&clock, &at(12, 25)).await;
        tick(&clock, &at(12, 35)).await;
        assert_eq!(told(), first);

        limit(5).await;
        tick(&clock, &at(12, 45)).await;
        caller.chat("exact", &exact()).await.expect(200);
        tick(&clock, &at(12, 55)).await;

        let before = first.first().unwrap();
        let (version, day) = next(before);
        assert_eq!(day, format!("{year}0512"));
        let both = BTreeSet::from([before.clone(), (version, day)]);
        assert_eq!(told(), both);

        clock.to(&at(13, 1));
        caller.chat("exact", &exact()).await.expect(200);
        tick(&clock, &at(13, 15)).await;
        tick(&clock, &at(13, 25)).await;

        let mut three = both;
        three.insert((version, format!("{year}0513")));
        assert_eq!(told(), three);
    });
}

#[test]
fn a_level_that_logger_and_scans_see_at_once_is_told_once() {
    run(async {
        let cost = exact_cost().await;
        let year = next_year();
        let time = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 2, &time(4)).await;
        let stack = &clock.stack;
        let hook = Hook::new(stack).await;
        let callers = join_all((0..4).map(|_| Caller::new(stack))).await;
        for caller in &callers {
            let limit = times(cost, 4).to_string();
            let budget = json!({"month_limit_usd": limit, "alert_thresholds": [20, 25]});
            caller.limit_user(&budget).await;
        }

        clock.to(&time(5));
        let (at, later) = (time(5), time(15));
        let calls = join_all(callers.iter().map(async |caller| {
            caller.chat("exact", &exact()).await.expect(200);
        }));
        let scans = async {
            for _ in 0..3 {
                tokio::join!(stack.schedule(&at), stack.schedule(&at), stack.drain());
            }
        };
        tokio::join!(calls, scans);
        tick(&clock, &later).await;
        tick(&clock, &time(20)).await;

        let told = hook.told();
        assert_eq!(told.len(), 8, "two levels of each caller: {told:?}");
        for caller in &callers {
            let scope = caller.user_scope();
            let listed = stack.read(&format!("/alerts?scope={scope}")).await["alerts"].clone();
            assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
        }
    });
}

#[test]
fn a_price_that_is_wrong_or_missing_is_told_once_a_day_and_model() {
    run(async {
        let year = next_year();
        let at = |day: u32, minute: u32| format!("{year}-05-{day}T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 1, &at(12, 1)).await;
        let stack = &clock.stack;
        let hook = Hook::new(stack).await;
        let caller = Caller::new(stack).await;
        let url = stack.tap().base_url(&caller.user);
        for provider in ["openai", "openrouter"] {
            stack.set_credential(&caller.user, provider, "sk-scripted", &url).await;
        }
        let call = async |model: &str, usage: &Value| {
            let message = json!({"role": "assistant", "content": "hi"});
            let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
            let body = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [choice], "usage": usage});
            stack.tap().script(&caller.user, Script::json(200, &body));
            let messages = json!([{"role": "user", "content": "hello ".repeat(400)}]);
            let body = json!({"model": model, "messages": messages, "max_tokens": 200});
            let answer = caller.post("/v1/chat/completions", &body).send().await.expect(200);
            answer.header("x-request-id").unwrap().to_owned()
        };
        let counts = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110});
        let with = |name: &str, value: Value| {
            let mut usage = counts.clone();
            usage[name] = value;
            usage
        };
        // gpt-5.5 has no price for audio. Yi costs 3 USD a million: 0.00033, which is not said.
        let missing = with("completion_tokens_details", json!({"audio_tokens": 5}));
        let (other, same) = (with("cost", json!(0.0004)), with("cost", json!(0.00033)));
        let yi = "openrouter/01-ai/yi-large";

        call(yi, &same).await;
        let unpriced = call("openai/gpt-5.5", &missing).await;
        let differs = call(yi, &other).await;
        call("openai/gpt-5.5", &missing).await;
        call(yi, &other).await;
        tick(&clock, &at(12, 11)).await;
        tick(&clock, &at(12, 21)).await;

        let kinds = || {
            let told = hook.told().into_iter();
            let mut kinds: Vec<_> = told
                .map(|body| [&body["type"], &body["subject"], &body["since"]].map(Value::to_string))
                .collect();
            kinds.sort();
            kinds
        };
        let of = |kind: &str, model: &str, day: u32| {
            [kind.to_owned(), model.to_owned(), format!("{year}05{day}")]
                .map(|text| json!(text).to_string())
        };
        let first =
            [of("operator.cost_differs", yi, 12), of("operator.unpriced", "openai/gpt-5.5", 12)];
        assert_eq!(kinds(), first);
        let told = hook.told();
        let id = |kind: &str| {
            told.iter().find(|body| body["type"] == kind).unwrap()["request_id"].clone()
        };
        assert_eq!(id("operator.unpriced"), unpriced);
        assert_eq!(id("operator.cost_differs"), differs);

        clock.to(&at(13, 1));
        call(yi, &other).await;
        tick(&clock, &at(13, 11)).await;

        let [differs, unpriced] = first;
        assert_eq!(kinds(), [differs, of("operator.cost_differs", yi, 13), unpriced]);
        assert!(stack.log().contains("provider_cost_differs"));
    });
}

/// A call that ended just before a run has its alert just after the run has looked. The next look
/// is not a minute away: so the bound of docs/operations.md is less than one.
#[test]
fn a_crossing_just_before_a_run_is_told_by_its_second_look() {
    run(async {
        let cost = exact_cost().await;
        let year = next_year();
        let time = |second: u32| format!("{year}-05-12T12:02:{second:02}Z");
        let variables = vec![("FAREBOX_SECOND_LOOK_S", "3")];
        let settings = Settings { environments: 1, variables, ..Settings::default() };
        let clock = Moved::start_with(executable(), settings, &time(0)).await;
        let stack = &clock.stack;
        let hook = Hook::new(stack).await;
        let caller = Caller::new(stack).await;
        let limit = times(cost, 4).to_string();
        let budget = json!({"month_limit_usd": limit, "alert_thresholds": [50]});
        // The environments are there already: what follows takes seconds.
        caller.chat("exact", &exact()).await.expect(200);
        stack.drain().await;
        caller.limit_user(&budget).await;
        // Recorded after the begin of the run that is to tell it.
        clock.to(&time(3));
        caller.chat("exact", &exact()).await.expect(200);
        stack.drain().await;

        clock.to(&time(40));
        stack.schedule(&time(0)).await;

        assert_eq!(hook.told().len(), 1);
        let path = format!("/alerts?scope={}", caller.user_scope());
        let alert = stack.read(&path).await["alerts"][0].clone();
        assert!(alert["sent_at"].as_str().unwrap() >= &*time(40), "{alert}");
        // It waits for the record of such a call.
        clock.to(&time(0));
        let begun = Instant::now();
        stack.schedule(&time(0)).await;
        assert!(begun.elapsed() > Duration::from_secs(2), "{:?}", begun.elapsed());
    });
}
