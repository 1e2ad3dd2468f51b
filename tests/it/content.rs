//! The content log: kept only where it is switched on, sealed, readable by the admin, erasable.

use farebox_core::Money;
use farebox_tests::caller::{native, openai};
use farebox_tests::moved::next_year;
use farebox_tests::{Answer, Caller, fresh, run};
use http::Method;
use serde_json::{Value, json};

use crate::periods::moved;
use crate::stacks::shared;

const CHAT: &str = "/v1/chat/completions";

async fn keep(caller: &Caller<'_>, scope: &str, days: u32) {
    caller.stack().put(&format!("/content-log/{scope}"), &json!({"days": days})).await.expect(200);
}

/// What is kept of a call, once its row is there.
async fn content(caller: &Caller<'_>, answer: &Answer) -> Answer {
    caller.stack().drain().await;
    let id = answer.header("x-request-id").unwrap();
    caller.stack().admin(Method::GET, &format!("/requests/{id}/content")).send().await
}

fn asked(mut body: Value, prompt: &str) -> Value {
    body["messages"][0]["content"] = Value::from(prompt);
    body
}

#[test]
fn content_is_kept_sealed_where_it_is_switched_on_and_nowhere_else() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        keep(&caller, &caller.user_scope(), 30).await;
        // A new key follows its user; another one has its own say.
        let (on, off) = (caller.another_key().await, caller.another_key().await);
        keep(&caller, &off.key_scope(), 0).await;
        let prompt = fresh("canary-content-");

        for (path, body) in [
            ("/v1/chat", native("chat", &json!({}))),
            (CHAT, openai("demo/chat", &json!({}))),
            (CHAT, openai("demo/chat", &json!({"stream": true}))),
        ] {
            let body = asked(body, &prompt);
            let answer = on.post(path, &body).send().await.expect(200);
            let kept = content(&on, &answer).await.expect(200).json();
            assert_eq!((&kept["request"], &kept["endpoint"]), (&body, &json!(path)));
            let said = kept["answer"][0]["message"]["content"].as_str().unwrap();
            assert!(said.contains(&prompt), "{kept}");
            assert_eq!(kept["answer"][0]["finish_reason"], "stop");
            let answer = off.post(path, &body).send().await.expect(200);
            content(&off, &answer).await.expect(404);
        }
        let cut = on.post(CHAT, &asked(openai("demo/cut", &json!({})), &prompt)).send().await;
        let kept = content(&on, &cut).await.expect(200).json();
        assert!(kept["error"].as_str().unwrap().contains("did not answer as it should"), "{kept}");
        let never = Caller::new(stack).await;
        let answer =
            never.post(CHAT, &asked(openai("demo/chat", &json!({})), &prompt)).send().await;
        content(&never, &answer.expect(200)).await.expect(404);

        let tables = stack.all_tables().await;
        assert!(tables.contains(&format!("X#main#{}", caller.user)));
        assert!(!tables.contains(&format!("X#main#{}", never.user)));
        assert!(!tables.contains(&prompt) && !stack.log().contains(&prompt), "in clear");
    });
}

#[test]
fn all_that_is_kept_of_a_user_can_be_erased_and_a_repeat_still_never_pays() {
    run(async {
        let stack = shared().await;
        let (caller, other) = (Caller::new(stack).await, Caller::new(stack).await);
        let body = openai("demo/chat", &json!({}));
        let mut answers = Vec::new();
        for one in [&caller, &other] {
            keep(one, &one.user_scope(), 1).await;
            let key = one.another_key().await;
            answers.push(key.post(CHAT, &body).with("idempotency-key", "k").send().await);
        }
        content(&caller, &answers[0]).await.expect(200);

        let path = format!("/users/{}/content", caller.user);
        let erase = || stack.admin(Method::DELETE, &path).send();
        assert_eq!(erase().await.expect(200).json(), json!({"erased": 2, "more": false}));
        assert_eq!(erase().await.expect(200).json(), json!({"erased": 0, "more": false}));

        content(&caller, &answers[0]).await.expect(404);
        content(&other, &answers[1]).await.expect(200);
        let again = caller.post(CHAT, &body).with("idempotency-key", "k").send().await;
        assert_eq!(again.expect(409).json()["error"]["code"], "reply_not_kept");
        assert_eq!(caller.posts().len(), 1);
        stack.drain().await;
        assert!(caller.user_books().await.settled() > Money::ZERO);
    });
}

#[test]
fn content_is_gone_at_its_time() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let caller = Caller::new(&clock.stack).await;
        keep(&caller, &caller.key_scope(), 2).await;
        let answer = caller.post(CHAT, &openai("demo/chat", &json!({}))).send().await.expect(200);

        clock.to(&format!("{year}-05-14T11:59:00Z"));
        content(&caller, &answer).await.expect(200);
        clock.to(&format!("{year}-05-14T12:01:00Z"));
        content(&caller, &answer).await.expect(404);
    });
}

#[test]
fn a_wrong_content_setting_is_refused_by_name() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let scope = caller.user_scope();
        for (scope, body, status, field) in [
            (scope.as_str(), json!({"days": 366}), 400, "days"),
            (&scope, json!({"days": -1}), 400, "days"),
            (&scope, json!({"day": 1}), 400, "day"),
            ("org:acme", json!({"days": 1}), 400, "scope"),
            ("user:nobody", json!({"days": 1}), 404, ""),
        ] {
            let path = format!("/content-log/{scope}");
            let refused = stack.admin(Method::PUT, &path).json(&body).send().await;
            let text = refused.text();
            refused.expect(status);
            assert!(text.contains(field), "{text}");
        }
        let shown = stack.read(&format!("/content-log/{scope}")).await;
        assert_eq!(shown["days"], Value::Null);
    });
}
