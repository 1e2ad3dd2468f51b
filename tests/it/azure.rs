//! Azure's credentials and older addresses on the wire.

use farebox_tests::caller::DEMO_SECRET;
use farebox_tests::{Caller, run};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::shared;

/// Stores a credential, and says how the control plane answers.
async fn store(caller: &Caller<'_>, secret: &Value, place: &str) -> farebox_tests::Answer {
    let base = format!("{}{place}", caller.stack().tap().base_url(&caller.user));
    let path = format!("/credentials/{}/azure", caller.user);
    let body = json!({"secret": secret.to_string(), "base_url": base});
    caller.stack().admin(Method::PUT, &path).with("if-match", "*").json(&body).send().await
}

#[test]
fn a_client_of_entra_is_exchanged_once_and_calls_the_deployments_of_an_api_version() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let base = caller.stack().tap().base_url(&caller.user);
        let mut client = json!({"tenant_id": "contoso.example", "client_id": "0-1-2",
            "client_secret": "shh &=+secret", "api_version": "2024-10-21",
            "token_uri": "http://169.254.169.254/token"});
        let refused = store(&caller, &client, "/openai").await.expect(400).json();
        assert_eq!(refused["error"]["field"], "secret.token_uri", "{refused}");
        client["token_uri"] = json!(format!("{base}/token"));
        store(&caller, &client, "/openai").await.expect(200);

        for _ in 0..2 {
            caller.complete("azure/chat", &json!({"max_tokens": 20})).await.expect(200);
        }
        let embedding = json!({"model": "azure/embed", "input": "hello"});
        let embedded = caller.post("/v1/embeddings", &embedding).send().await.expect(200);

        let row = caller.row(embedded.header("x-request-id").unwrap()).await;
        assert_eq!(row["outcome"], "settled", "{row}");
        let posts = caller.posts();
        let (grants, calls): (Vec<_>, Vec<_>) =
            posts.iter().partition(|post| post.line.ends_with("/token"));
        // Each environment of the function keeps its own token, and which is called is not told.
        assert!((1..=3).contains(&grants.len()), "{posts:?}");
        let form = String::from_utf8_lossy(&grants[0].body).into_owned();
        let expected = "grant_type=client_credentials&client_id=0-1-2\
                        &client_secret=shh%20%26%3D%2Bsecret\
                        &scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
        assert_eq!(form, expected);
        let lines: Vec<&str> =
            calls.iter().map(|call| call.line.split_once("/openai").unwrap().1).collect();
        let chat = "/deployments/chat/chat/completions?api-version=2024-10-21";
        let embed = "/deployments/embed/embeddings?api-version=2024-10-21";
        assert_eq!(lines, [chat, chat, embed]);
        for call in calls {
            assert_eq!(call.headers["authorization"], format!("Bearer {DEMO_SECRET}"));
            assert!(!call.headers.contains_key("api-key"));
        }
    });
}

#[test]
fn a_client_that_entra_does_not_know_is_a_rejected_credential_and_costs_nothing() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let base = caller.stack().tap().base_url(&caller.user);
        let client = json!({"tenant_id": "t", "client_id": "0-1-2", "client_secret": "wrong",
            "token_uri": format!("{base}/token")});
        store(&caller, &client, "/openai/v1").await.expect(200);

        let answer = caller.complete("azure/chat", &json!({"max_tokens": 20})).await.expect(502);

        assert_eq!(answer.json()["error"]["code"], "provider_credential_rejected");
        assert!(!answer.text().contains("wrong"), "{}", answer.text());
        caller.user_books().await.assert_quiet();
    });
}
