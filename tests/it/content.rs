//! The content log: kept only where it is switched on, sealed, readable by the admin, erasable.

use farebox_core::Money;
use farebox_tests::caller::{native, openai};
use farebox_tests::moved::next_year;
use farebox_tests::{Answer, Caller, Item, fresh, run};
use http::Method;
use serde_json::{Value, json};

use crate::periods::moved;
use crate::stacks::shared;

const CHAT: &str = "/v1/chat/completions";
/// The most that an item keeps of content (`seal.rs` of farebox-aws).
const PIECE_BYTES: usize = 256 * 1024;

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
fn what_needs_several_pieces_is_replayed_read_and_erased_whole() {
    run(async {
        let stack = shared().await;
        // A request of 700 KB, an answer of more than 256 KiB, and as much in events.
        let long =
            asked(openai("demo/exact", &json!({"max_tokens": 20})), &"word ".repeat(140_000));
        let vast = |more: Value| openai("demo/vast", &more);
        for (body, bytes) in [
            (long, [700_000, 0]),
            (vast(json!({"n": 3, "max_tokens": 20_000})), [0, PIECE_BYTES]),
            (vast(json!({"stream": true, "max_tokens": 1_800})), [0, PIECE_BYTES]),
        ] {
            let caller = Caller::new(stack).await;
            keep(&caller, &caller.user_scope(), 1).await;
            let key = caller.another_key().await;
            let send = || key.post(CHAT, &body).with("idempotency-key", "k").send();

            let (first, again) = (send().await.expect(200), send().await.expect(200));

            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert!(again.text() == first.text(), "{} bytes", first.text().len());
            assert_eq!(key.posts().len(), 1);
            let kept = content(&key, &first).await.expect(200).json();
            assert!(kept["request"] == body, "the request as it came");
            let choices = kept["answer"].as_array().unwrap();
            let said = |choice: &Value| choice["message"]["content"].as_str().unwrap().to_owned();
            let said: String = choices.iter().map(said).collect();
            assert!(said == spoken(&first), "{} bytes", said.len());
            let sizes = [body.to_string().len(), first.text().len()];
            assert!(sizes[0] >= bytes[0] && sizes[1] >= bytes[1], "{sizes:?}");

            // As many pieces as that takes, and none of them left.
            let pieces = async || {
                let of = |mark: &str| format!("{mark}#main#{}", caller.user);
                let (contents, replies) = (of("X"), of("I"));
                let main = stack.scan("main").await;
                let is_reply = |item: &Item| {
                    item.text("pk") == replies && item.text("sk").matches('#').count() > 1
                };
                let replies = main.iter().filter(|item| is_reply(item)).count();
                let all = [main, stack.scan("logs").await].concat();
                let contents = all.iter().filter(|item| item.text("pk") == contents).count();
                [contents, replies]
            };
            let least = |bytes: usize| bytes.div_ceil(PIECE_BYTES);
            let before = pieces().await;
            assert!(before[0] >= least(sizes[0] + said.len()), "{before:?} of {sizes:?}");
            assert!(before[1] >= least(sizes[1]), "{before:?} of {sizes:?}");
            assert!(before[0] + before[1] > 2, "{before:?}: several pieces");
            let path = format!("/users/{}/content", caller.user);
            let (mut erased, mut has_more) = (0, true);
            while has_more {
                let page = stack.admin(Method::DELETE, &path).send().await.expect(200).json();
                erased += page["erased"].as_u64().unwrap();
                has_more = page["more"].as_bool().unwrap();
            }
            assert_eq!(usize::try_from(erased).unwrap(), before[0] + before[1]);
            assert_eq!(pieces().await, [0, 0]);
            content(&key, &first).await.expect(404);
        }
    });
}

/// What an answer says, whole or streamed.
fn spoken(answer: &Answer) -> String {
    let text = |at: &Value, part: &str| at[part]["content"].as_str().unwrap_or_default().to_owned();
    if !answer.text().starts_with("data:") {
        let body = answer.json();
        return body["choices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| text(one, "message"))
            .collect();
    }
    let events = answer.events().into_iter().filter(|data| data != "[DONE]");
    let events = events.map(|data| serde_json::from_str::<Value>(&data).unwrap());
    events.map(|event| text(&event["choices"][0], "delta")).collect()
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
