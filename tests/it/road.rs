//! How many calls to AWS a chat makes, as the local stack counted them.

use farebox_tests::caller::openai;
use farebox_tests::{Caller, Stack, run, until};
use serde_json::json;

use crate::stacks::lone;

const RESERVE_OR_SETTLE: &str = "chat UpdateItem farebox-ledger";
const ENQUEUE: &str = "chat SendMessage -";

/// The calls of the chat function since the last reset, once there are at least so many.
async fn chat_calls(stack: &Stack, least: usize) -> Vec<String> {
    until("the calls are counted", || async {
        let answer = stack.aws_calls().await;
        let calls = answer["calls"].as_array().expect("calls").iter();
        let calls = calls.filter_map(|call| call.as_str()).filter(|call| call.starts_with("chat "));
        // Without the identity of the call, which comes last.
        let calls =
            calls.map(|call| call.rsplit_once(' ').map_or(call, |(call, _)| call).to_owned());
        let calls: Vec<_> = calls.collect();
        (calls.len() >= least).then_some(calls)
    })
    .await
}

#[test]
fn a_warm_chat_with_two_scopes_makes_two_calls_before_the_provider_and_three_after() {
    run(async {
        let stack = lone().await;
        let caller = Caller::new(&stack).await;
        for _ in 0..2 {
            caller.complete("demo/chat", &json!({})).await.expect(200);
        }
        stack.drain().await;
        stack.reset_aws_calls().await;

        let body = openai("demo/drip", &json!({"stream": true, "max_tokens": 20}));
        let mut answer = caller.post("/v1/chat/completions", &body).open().await;
        answer.piece().await.unwrap().unwrap();
        let before = chat_calls(&stack, 2).await;
        answer.whole().await;
        stack.drain().await;
        let all = chat_calls(&stack, 5).await;

        assert_eq!(before, [RESERVE_OR_SETTLE; 2]);
        let mut after = all[2..].to_vec();
        after.sort();
        assert_eq!(after, [ENQUEUE, RESERVE_OR_SETTLE, RESERVE_OR_SETTLE], "{all:?}");
    });
}

#[test]
fn a_warm_refusal_calls_nothing_but_the_ledger_and_the_queue() {
    run(async {
        let stack = lone().await;
        let caller = Caller::new(&stack).await;
        caller.complete("demo/chat", &json!({})).await.expect(200);
        caller.limit_user(&json!({"month_limit_usd": "0.000000000001"})).await;
        assert_eq!(caller.complete("demo/chat", &json!({})).await.code(), 402);
        stack.drain().await;
        stack.reset_aws_calls().await;

        assert_eq!(caller.complete("demo/chat", &json!({})).await.code(), 402);

        let calls = chat_calls(&stack, 4).await;
        // Two reserves, the void of the one that was taken, the record.
        assert_eq!(calls.iter().filter(|call| *call == RESERVE_OR_SETTLE).count(), 3, "{calls:?}");
        assert_eq!(calls.iter().filter(|call| *call == ENQUEUE).count(), 1, "{calls:?}");
        assert_eq!(calls.len(), 4, "{calls:?}");
    });
}

#[test]
fn an_idempotency_key_adds_one_call_before_the_provider_and_two_after_and_a_repeat_makes_two() {
    run(async {
        let stack = lone().await;
        let caller = Caller::new(&stack).await;
        let send = |key: &'static str| {
            let body = openai("demo/chat", &json!({}));
            caller.post("/v1/chat/completions", &body).with("idempotency-key", key).send()
        };
        send("first").await.expect(200);
        stack.drain().await;
        stack.reset_aws_calls().await;

        send("second").await.expect(200);
        stack.drain().await;
        let mut calls = chat_calls(&stack, 8).await;
        calls.sort();
        const CLAIM_OR_PART: &str = "chat PutItem farebox-main";
        const DONE: &str = "chat UpdateItem farebox-main";
        let ledger = [RESERVE_OR_SETTLE; 4];
        let expected = [&[CLAIM_OR_PART; 2][..], &[ENQUEUE], &ledger, &[DONE]].concat();
        assert_eq!(calls, expected);

        stack.reset_aws_calls().await;
        send("second").await.expect(200);
        let calls = chat_calls(&stack, 2).await;
        assert_eq!(calls, [CLAIM_OR_PART, "chat GetItem farebox-main"]);
    });
}

#[test]
fn a_rate_limit_adds_one_write_a_limited_scope_and_one_after_where_its_end_matters() {
    run(async {
        let stack = lone().await;
        for (limits, writes) in [
            (json!({"requests_per_minute": 1_000}), 1),
            (json!({"tokens_per_minute": 100_000}), 2),
            (json!({"concurrent": 100}), 2),
        ] {
            let caller = Caller::new(&stack).await;
            let path = format!("/limits/{}", caller.user_scope());
            stack.put(&path, &limits).await;
            let caller = caller.another_key().await;
            // The second call of a minute; where a minute begins in between there is one more.
            caller.complete("demo/chat", &json!({"max_tokens": 9})).await.expect(200);
            stack.drain().await;
            stack.reset_aws_calls().await;

            caller.complete("demo/chat", &json!({"max_tokens": 9})).await.expect(200);
            stack.drain().await;

            let calls = chat_calls(&stack, 5 + writes).await;
            let made = calls.iter().filter(|call| *call == "chat UpdateItem farebox-main").count();
            assert!((writes..=writes + 2).contains(&made), "{limits}: {calls:?}");
            assert_eq!(calls.len(), 5 + made, "{limits}: {calls:?}");
        }
    });
}
