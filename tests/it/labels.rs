//! Labels: from a key, a header and a body to the rows that tell of a call.

use farebox_tests::{Caller, run};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::shared;

/// The labels of a call's row as the caller and as the admin read it.
async fn labels(caller: &Caller<'_>, id: &str) -> Value {
    let own = caller.row(id).await["labels"].clone();
    let admin = caller.stack().read(&format!("/requests/{id}")).await["labels"].clone();
    assert_eq!(own, admin);
    own
}

#[test]
fn labels_of_key_header_and_body_meet_in_the_row_and_the_key_goes_first() {
    run(async {
        let key = json!({"labels": {"team": "search"}});
        let caller = Caller::with_key(shared().await, &key).await;
        let body = json!({
            "model": "demo/chat", "max_tokens": 5, "user": "u-7",
            "messages": [{"role": "user", "content": "hello"}],
            "metadata": {"run": "9", "env": "dev"},
        });

        let sent = caller
            .post("/v1/chat/completions", &body)
            .with("x-farebox-tags", "team=ads, env=prod,note=R%26D")
            .send()
            .await
            .expect(200);

        let id = sent.header("x-request-id").unwrap();
        assert_eq!(
            labels(&caller, id).await,
            json!({"team": "search", "env": "prod", "note": "R&D", "end_user": "u-7", "run": "9"})
        );
        let keys = caller.stack().read(&format!("/keys?user={}", caller.user)).await;
        assert_eq!(keys["keys"][0]["labels"], json!({"team": "search"}));
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn metadata_labels_a_call_to_an_anthropic_model_and_only_the_user_is_sent_on() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let options = json!({"max_tokens": 5, "metadata": {"run": "9", "user_id": "u-8"}});

        let sent = caller.complete("demo/claude", &options).await.expect(200);

        let id = sent.header("x-request-id").unwrap();
        assert_eq!(labels(&caller, id).await, json!({"end_user": "u-8", "run": "9"}));
        let posts = caller.posts();
        let body: Value = serde_json::from_slice(&posts[0].body).unwrap();
        assert_eq!(body["metadata"], json!({"user_id": "u-8"}));
    });
}

#[test]
fn a_label_that_breaks_a_rule_is_refused_by_header_or_field_and_nothing_is_sent() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let ask = farebox_tests::caller::native("chat", &json!({}));
        for tags in ["", "team", "team=", "a=1,a=2", "a b=1", "team=%zz", "t\u{e9}am=1"] {
            let call = caller.post("/v1/chat", &ask).with("x-farebox-tags", tags).send().await;
            let error = &call.json()["error"];
            assert_eq!((call.code(), &error["field"]), (400, &json!("x-farebox-tags")), "{tags}");
        }
        for (options, field) in [
            (json!({"user": "x".repeat(513)}), "user"),
            (json!({"metadata": {"a": 1}}), "metadata.a"),
            (json!({"metadata": {"a": "x".repeat(513)}}), "metadata.a"),
        ] {
            let answer = caller.complete("demo/chat", &options).await;
            assert_eq!((answer.code(), &answer.json()["error"]["param"]), (400, &json!(field)));
            let answer = caller.chat("demo/chat", &options).await;
            let field = format!("options.{field}");
            assert_eq!((answer.code(), &answer.json()["error"]["field"]), (400, &json!(field)));
        }
        let key = |labels: Value| json!({"user": caller.user, "name": "n", "labels": labels});
        for (labels, field) in
            [(json!({"a b": "x"}), "labels.a b"), (json!({"team": ""}), "labels.team")]
        {
            let post = caller.stack().admin(Method::POST, "/keys").json(&key(labels)).send().await;
            assert_eq!((post.code(), &post.json()["error"]["field"]), (400, &json!(field)));
        }
        caller.assert_untouched().await;
    });
}
