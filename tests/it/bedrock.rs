//! Bedrock's requests on the wire: what a call carries, and that it is signed by its own account.

use farebox_core::Money;
use farebox_tests::{Caller, run};
use serde_json::{Value, json};

use crate::stacks::shared;

const MODEL: &str = "us.amazon.nova-2-lite-v1:0";

#[test]
fn a_call_goes_to_its_model_and_is_signed_with_the_stored_keys() {
    run(async {
        let keys = json!({"access_key_id": "AKIDEXAMPLE", "secret_access_key": "shh-secret",
            "session_token": "tok", "region": "eu-west-1"});
        let bearer = json!({"bearer": "shh-bearer", "region": "eu-west-1"});
        for (secret, stream, proof) in [
            (keys, false, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
            (bearer, true, "Bearer shh-bearer"),
        ] {
            let caller = Caller::new(shared().await).await;
            let stack = caller.stack();
            let url = stack.tap().base_url(&caller.user);
            stack.set_credential(&caller.user, "bedrock", &secret.to_string(), &url).await;
            let more = json!({"stream": stream, "max_tokens": 30});

            let answer = caller.complete(&format!("bedrock/{MODEL}"), &more).await;

            // The demo provider does not know this key, and refuses before anything is billed.
            let text = answer.text().to_owned();
            let error = answer.expect(502).json();
            assert_eq!(error["error"]["code"], "provider_credential_rejected", "{text}");
            assert!(!text.contains("shh"), "{text}");
            let seen = &caller.posts()[0];
            let action = if stream { "converse-stream" } else { "converse" };
            let path = format!("/model/us.amazon.nova-2-lite-v1%3A0/{action}");
            assert!(seen.line.ends_with(&path), "{}", seen.line);
            let authorization = &seen.headers["authorization"];
            assert!(authorization.starts_with(proof), "{authorization}");
            let signed = proof.starts_with("AWS4");
            assert_eq!(authorization.contains("/eu-west-1/bedrock/aws4_request"), signed);
            assert_eq!(seen.headers.contains_key("x-amz-date"), signed);
            assert_eq!(seen.headers.contains_key("x-amz-security-token"), signed);
            let sent: Value = serde_json::from_slice(&seen.body).unwrap();
            assert_eq!(sent["inferenceConfig"], json!({"maxTokens": 30}));
            for books in [caller.user_books().await, caller.key_books().await] {
                books.assert_quiet();
                assert_eq!(books.settled(), Money::ZERO, "{}", books.scope);
            }
        }
    });
}
