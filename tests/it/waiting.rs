//! Waiting for room: open holds delay a solvent call, they do not refuse it.

use std::time::{Duration, Instant};

use farebox_tests::caller::native;
use farebox_tests::{Answer, Call, Caller, Stack, run, until, usd};
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::stacks::{lone, shared};

/// The header by which a caller waits less.
pub const ROOM_WAIT: &str = "x-farebox-room-wait-ms";

fn slow(caller: &Caller<'_>) -> Call {
    caller.post("/v1/chat", &native("slow", &json!({"max_tokens": 1_000})))
}

fn assert_contended(answer: &Answer) {
    assert_eq!(answer.code(), 429, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "budget_contention");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

/// A limit with room for so many holds of [`slow`] at once.
async fn limit_to_holds(caller: &Caller<'_>, holds: i128) {
    let probe = Caller::new(caller.stack()).await;
    let answer = slow(&probe).send().await.expect(200);
    let row = probe.row(answer.header("x-request-id").unwrap()).await;
    let hold = usd(row["held_usd"].as_str().unwrap());
    let limit = crate::money::times(hold, holds);
    caller.limit_user(&json!({"total_limit_usd": limit.to_string()})).await;
}

#[test]
fn callers_whose_money_suffices_are_served_although_their_holds_do_not_fit_at_once() {
    run(async {
        let caller = Caller::new(shared().await).await;
        limit_to_holds(&caller, 3).await;

        let answers = join_all((0..8).map(|_| slow(&caller).send())).await;

        for answer in &answers {
            assert_eq!(answer.code(), 200, "{}", answer.text());
        }
        assert_eq!(caller.posts().len(), 8);
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn a_caller_who_does_not_wait_is_refused_by_open_holds() {
    run(async {
        let caller = Caller::new(shared().await).await;
        limit_to_holds(&caller, 2).await;

        let answers = join_all((0..6).map(|_| slow(&caller).with(ROOM_WAIT, "0").send())).await;

        let (served, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.code() == 200);
        assert!(served.len() >= 2 && !refused.is_empty(), "{}", served.len());
        refused.iter().for_each(assert_contended);
        caller.assert_settled_to_the_bill().await;
    });
}

/// A hold that stands in a user's way: 0.003 USD.
const BLOCK_PICO: i64 = 3_000_000_000;

#[test]
fn a_call_whose_room_never_comes_only_looks_and_is_refused_within_its_wait() {
    run(async {
        let stack = lone().await;
        let caller = Caller::new(&stack).await;
        caller.chat("chat", &json!({"max_tokens": 20})).await.expect(200);
        limit_to_holds(&caller, 2).await;
        caller.block(BLOCK_PICO).await;
        let warm = slow(&caller).with(ROOM_WAIT, "0").send().await;
        calls_until(&stack, &warm).await;
        stack.reset_aws_calls().await;

        let began = Instant::now();
        let answer = slow(&caller).with(ROOM_WAIT, "700").send().await;
        let waited = began.elapsed().as_millis();

        assert_contended(&answer);
        assert!((700..5_000).contains(&waited), "{waited} ms");
        let calls = calls_until(&stack, &answer).await;
        let count = |wanted: &str| calls.iter().filter(|call| call.starts_with(wanted)).count();
        // Two reserves and the void of the key's: what follows only looks.
        assert_eq!(count("chat UpdateItem"), 3, "{calls:?}");
        assert!((1..=7).contains(&count("chat GetItem")), "{calls:?}");

        caller.block(-BLOCK_PICO).await;
        slow(&caller).send().await.expect(200);
        caller.limit_user(&json!({"total_limit_usd": "0.0000001"})).await;
        let warm = slow(&caller).send().await;
        calls_until(&stack, &warm).await;
        stack.reset_aws_calls().await;
        let refused = slow(&caller).send().await;
        assert_eq!(refused.code(), 402, "spent money is not waited for");
        let calls = calls_until(&stack, &refused).await;
        assert!(!calls.iter().any(|call| call.starts_with("chat GetItem")), "{calls:?}");
    });
}

/// The AWS calls since the last reset, once the record of an answer is among them: it is the last
/// of a refused call.
async fn calls_until(stack: &Stack, answer: &Answer) -> Vec<String> {
    let id = answer.header("x-request-id").unwrap();
    until("the record is counted", || async {
        let calls = stack.aws_calls().await;
        let calls = calls["calls"].as_array().unwrap().iter();
        let calls: Vec<_> = calls.map(|call| call.as_str().unwrap().to_owned()).collect();
        let is_last = |call: &String| call.starts_with("chat SendMessage") && call.ends_with(id);
        calls.iter().any(is_last).then_some(calls)
    })
    .await
}

#[test]
fn a_key_says_how_long_its_calls_wait_and_a_header_only_shortens_it() {
    run(async {
        let caller = Caller::with_key(shared().await, &json!({"room_wait_ms": 400})).await;
        caller.chat("chat", &json!({"max_tokens": 20})).await.expect(200);
        limit_to_holds(&caller, 2).await;
        caller.block(BLOCK_PICO).await;

        for header in [None, Some("60000")] {
            let call = slow(&caller);
            let call = header.map_or(call.clone(), |ms| call.with(ROOM_WAIT, ms));
            let began = Instant::now();
            assert_contended(&call.send().await);
            let waited = began.elapsed().as_millis();
            assert!((400..4_500).contains(&waited), "{header:?}: {waited} ms");
        }

        caller.block(-BLOCK_PICO).await;
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn a_key_whose_calls_wait_longer_than_usual_is_served_when_room_comes_late() {
    run(async {
        let caller = Caller::with_key(shared().await, &json!({"room_wait_ms": 30_000})).await;
        let shown = caller.stack().read(&format!("/keys/{}", caller.key_id)).await;
        assert_eq!(shown["room_wait_ms"], 30_000);
        caller.chat("chat", &json!({"max_tokens": 20})).await.expect(200);
        limit_to_holds(&caller, 2).await;
        caller.block(BLOCK_PICO).await;

        // Later than the five seconds of a key that says nothing.
        let room_comes = async {
            tokio::time::sleep(Duration::from_secs(6)).await;
            caller.block(-BLOCK_PICO).await;
        };
        let (answer, ()) = join(slow(&caller).send(), room_comes).await;

        answer.expect(200);
        caller.assert_settled_to_the_bill().await;
    });
}

/// What open holds leave is not all that is there: 402 would say that the money is spent.
#[test]
fn a_call_that_can_do_with_less_waits_for_what_is_not_spent() {
    run(async {
        let stack = lone().await;
        for (mode, model, asked) in
            [("hard", "slow", json!({})), ("balanced", "chat", json!({"max_tokens": 4_000}))]
        {
            let caller = Caller::new(&stack).await;
            let budget = json!({"total_limit_usd": "0.0025", "mode": mode});
            caller.limit_user(&budget).await;
            caller.block(2_400_000_000).await;
            let call = |asked: Value| caller.post("/v1/chat", &native(model, &asked));

            assert_contended(&call(asked.clone()).with(ROOM_WAIT, "0").send().await);
            if mode == "hard" {
                let own_cap = call(json!({"max_tokens": 4_000})).send().await;
                assert_eq!(own_cap.code(), 402, "its cap is its own: {}", own_cap.text());
            }

            stack.reset_aws_calls().await;
            let room_comes = async {
                until("the call looks", || async {
                    let calls = stack.aws_calls().await;
                    let mut calls = calls["calls"].as_array().unwrap().iter();
                    let looks = |call: &str| call.starts_with("chat GetItem");
                    calls.any(|call| looks(call.as_str().unwrap())).then_some(())
                })
                .await;
                caller.block(-2_400_000_000).await;
            };
            let (answer, ()) = join(call(asked.clone()).send(), room_comes).await;

            let answer = answer.expect(200);
            let clamped = answer.header("x-farebox-clamped-max-tokens").is_some();
            assert_eq!(clamped, mode == "hard", "a metered hold grows instead");
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn a_wait_that_is_no_number_is_refused() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for wrong in ["soon", "-1", "1.5", ""] {
            let answer = slow(&caller).with(ROOM_WAIT, wrong).send().await;
            assert_eq!(answer.code(), 400, "{}", answer.text());
            assert_eq!(answer.json()["error"]["field"], ROOM_WAIT);
        }
        caller.assert_untouched().await;
    });
}
