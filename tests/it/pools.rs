//! Several credentials of one provider: calls are shared out, and one that the provider refuses
//! rests and takes nothing down.

use std::collections::BTreeMap;

use farebox_tests::caller::DEMO_SECRET;
use farebox_tests::{Caller, Stack, run};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::{lone, shared};

/// A caller with further credentials of the demo provider: name, secret, weight.
async fn with_credentials<'s>(stack: &'s Stack, more: &[(&str, &str, u32)]) -> Caller<'s> {
    let caller = Caller::new(stack).await;
    for (name, secret, weight) in more {
        let base_url = stack.tap().base_url(&caller.user);
        let body = json!({"secret": secret, "base_url": base_url, "weight": weight});
        let path = format!("/credentials/{}/demo{name}", caller.user);
        stack.admin(Method::PUT, &path).json(&body).send().await.expect(200);
    }
    // Its key is younger than they are, so no environment knows it without them.
    caller.another_key().await
}

#[test]
fn calls_are_shared_out_by_weight_and_each_credential_knows_its_last_use() {
    run(async {
        let stack = shared().await;
        let caller = with_credentials(stack, &[("/second", DEMO_SECRET, 3)]).await;

        for _ in 0..16 {
            caller.complete("demo/chat", &json!({"max_tokens": 2})).await.expect(200);
        }

        // Sixteen calls of which all go to one: once in a hundred runs of the lighter one, so the
        // heavier one is asked for.
        caller.assert_settled_to_the_bill().await;
        stack.drain().await;
        let listed = stack.read(&format!("/credentials?user={}", caller.user)).await;
        let rows = listed["credentials"].as_array().unwrap();
        let used: BTreeMap<&str, &Value> = rows
            .iter()
            .map(|row| (row["name"].as_str().unwrap_or_default(), &row["last_used_at"]))
            .collect();
        assert_eq!(used.len(), 2, "{listed}");
        assert!(used["second"].is_string(), "{listed}");
        assert!(!listed.to_string().contains(DEMO_SECRET));
    });
}

#[test]
fn one_bad_credential_takes_no_model_down_and_rests() {
    run(async {
        let stack = lone().await;
        let caller = with_credentials(&stack, &[("/bad", "sk-revoked", 1_000)]).await;

        let first = caller.complete("demo/chat", &json!({"max_tokens": 2})).await.expect(200);
        let row = caller.row(first.header("x-request-id").unwrap()).await;
        // A thousand to one that the bad one is drawn first.
        assert_eq!(first.header("x-farebox-attempts"), Some("2"), "{row}");
        assert_eq!(row["earlier"][0]["error_code"], "provider_credential_rejected", "{row}");
        assert_eq!(row["earlier"][0]["charged"], "0");
        for _ in 0..5 {
            let answer = caller.complete("demo/chat", &json!({"max_tokens": 2})).await.expect(200);
            assert_eq!(answer.header("x-farebox-attempts"), Some("1"), "it rests");
        }
        assert_eq!(caller.posts().len(), 7);
        caller.assert_settled_to_the_bill().await;
        let marks = stack.all_tables().await;
        assert!(!marks.contains("sk-revoked") && !marks.contains(DEMO_SECRET));
    });
}

#[test]
fn where_all_are_bad_each_is_tried_once_and_the_refusal_is_told() {
    run(async {
        let stack = shared().await;
        let caller = with_credentials(stack, &[("", "sk-old", 1), ("/b", "sk-older", 1)]).await;

        let answer = caller.complete("demo/chat", &json!({})).await.expect(502);

        assert_eq!(answer.json()["error"]["code"], "provider_credential_rejected");
        assert_eq!(answer.header("x-farebox-attempts"), Some("2"));
        // Resting ones are used where there is no other: a provider's word may change.
        let again = caller.complete("demo/chat", &json!({})).await.expect(502);
        assert_eq!(again.json()["error"]["code"], "provider_credential_rejected");
        caller.user_books().await.assert_quiet();
    });
}

#[test]
fn a_named_credential_is_disabled_by_its_name_alone() {
    run(async {
        let stack = shared().await;
        let caller = with_credentials(stack, &[("/second", DEMO_SECRET, 1)]).await;
        let of = |name: &str| format!("/credentials/{}/demo{name}", caller.user);

        stack.admin(Method::DELETE, &of("")).send().await.expect(200);
        let caller = caller.another_key().await;

        let shown = stack.read(&of("/second")).await;
        assert_eq!((&shown["state"], &shown["name"]), (&json!("active"), &json!("second")));
        assert_eq!(stack.read(&of("")).await["state"], "disabled");
        caller.complete("demo/chat", &json!({"max_tokens": 2})).await.expect(200);
        stack.admin(Method::DELETE, &of("/second")).send().await.expect(200);
        let refused = caller.another_key().await.complete("demo/chat", &json!({})).await;
        assert_eq!(refused.json()["error"]["code"], "no_active_credential");
        for (name, weight) in [("/b", json!(0)), ("/b", json!(1_001))] {
            let body = json!({"secret": "sk", "weight": weight});
            let put = stack.admin(Method::PUT, &of(name)).json(&body).send().await.expect(400);
            assert_eq!(put.json()["error"]["field"], "weight");
        }
    });
}
