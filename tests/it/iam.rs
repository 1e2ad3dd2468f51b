//! The admin API by IAM principals, with a gateway that checks signatures as API Gateway does.

use farebox_tests::signed::Principal;
use farebox_tests::{Call, Stack, fresh, run};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::shared;

/// A name that no other test has, as an access key can have it.
fn name() -> String {
    fresh("P")
}

async fn give(stack: &Stack, kind: &str, name: &str, role: &str) {
    let arn = format!("arn:aws:iam::000000000000:{kind}/{}", name.to_lowercase());
    stack.put(&format!("/iam/{arn}"), &json!({"role": role})).await;
}

fn get(stack: &Stack, path: &str) -> Call {
    Call::get(stack.url(&format!("/iam/admin/v1{path}")))
}

#[test]
fn a_principal_may_what_its_role_may_and_the_audit_names_it() {
    run(async {
        let stack = shared().await;
        let (user, role) = (name(), name());
        let (ann, ops) = (Principal::user(stack, &user), Principal::session(stack, &role));
        for stranger in [&ann, &ops] {
            stranger.sign(get(stack, "/session")).send().await.expect(403);
        }
        give(stack, "user", &user, "admin").await;
        give(stack, "role", &role, "auditor").await;

        let who = ann.sign(get(stack, "/session")).send().await.expect(200).json();
        let arn = format!("arn:aws:iam::000000000000:user/{}", user.to_lowercase());
        assert_eq!((&who["actor"], &who["role"]), (&json!(format!("iam:{arn}")), &json!("admin")));
        let who = ops.sign(get(stack, "/session")).send().await.expect(200).json();
        let session = format!(":assumed-role/{}/local", role.to_lowercase());
        assert!(who["actor"].as_str().unwrap().ends_with(&session), "{who}");

        // A path and a query with escapes, whose signature is of what is sent.
        let path = "/keys?user=a%2Fb%20c%2B&limit=1";
        ann.sign(get(stack, path)).send().await.expect(400);
        ann.sign(get(stack, "/usage?limit=2&kind=user")).send().await.expect(200);
        let org = fresh("o");
        let put = Call::new(Method::PUT, stack.url(&format!("/iam/admin/v1/orgs/{org}")))
            .with("if-match", "*")
            .json(&json!({"name": "signed"}));
        ops.sign(put.clone()).send().await.expect(403);
        ann.sign(put).send().await.expect(200);
        let told = stack.read(&format!("/audit?actor=iam:{arn}")).await;
        assert_eq!(told["entries"][0]["target"], format!("/admin/v1/orgs/{org}"), "{told}");
        let access = get(stack, "/iam/arn%3Aaws%3Aiam%3A%3A000000000000%3Auser%2Fx");
        ann.sign(access).send().await.expect(404);
    });
}

#[test]
fn a_signature_that_is_not_of_this_request_now_is_refused() {
    run(async {
        let stack = shared().await;
        let user = name();
        give(stack, "user", &user, "owner").await;
        let ann = Principal::user(stack, &user);
        let org = fresh("o");
        let put = |org: &str| {
            Call::new(Method::PUT, stack.url(&format!("/iam/admin/v1/orgs/{org}")))
                .with("if-match", "*")
                .json(&json!({"name": "signed"}))
        };
        let signed = || ann.sign(put(&org));
        let with = |change: &dyn Fn(&mut Principal)| {
            let mut other = ann.clone();
            change(&mut other);
            other.sign(put(&org))
        };
        let elsewhere = ann.sign(put("another"));
        let authorization = |call: &Call| call.header("authorization").unwrap().to_owned();
        for (what, call) in [
            ("nothing is signed", put(&org)),
            ("a key is no signature", put(&org).bearer("sk-fba-x")),
            ("a wrong secret", with(&|ann| ann.secret.push('x'))),
            ("an old date", with(&|ann| ann.clock_s = -320)),
            ("a date to come", with(&|ann| ann.clock_s = 320)),
            ("another service", with(&|ann| ann.service = "bedrock")),
            ("an unknown key", with(&|ann| ann.id = "AKIAIOSFODNN7EXAMPLE".to_owned())),
            ("a user with a token", with(&|ann| ann.token = Some("t".to_owned()))),
            ("another body", signed().bytes(json!({"name": "tampered"}).to_string())),
            ("another date", signed().with("x-amz-date", "20260101T000000Z")),
            ("an unsigned header", signed().with("x-amz-meta", "x")),
            ("another header of the signed", signed().with("if-match", "\"0\"")),
            ("another path", signed().with("authorization", authorization(&elsewhere))),
            ("half a signature", {
                let whole = authorization(&signed());
                signed().with("authorization", whole.split(", Signature").next().unwrap())
            }),
        ] {
            let refused = call.send().await.expect(403);
            let message = refused.json()["error"]["message"].as_str().map(str::to_owned);
            assert!(message.is_some_and(|message| !message.is_empty()), "{what}");
        }
        let query = ann.sign(get(stack, "/orgs?limit=1"));
        query.at(stack.url("/iam/admin/v1/orgs?limit=100")).send().await.expect(403);
        assert_eq!(stack.admin(Method::GET, &format!("/orgs/{org}")).send().await.code(), 404);
        signed().send().await.expect(200);
    });
}

#[test]
fn a_signature_counts_where_it_is_checked_and_nowhere_else() {
    run(async {
        let stack = shared().await;
        let user = name();
        give(stack, "user", &user, "owner").await;
        let ann = Principal::user(stack, &user);

        let bare = ann.sign(Call::get(stack.url("/admin/v1/session")));
        bare.send().await.expect(403);
        let key = stack.ready().text("admin_key");
        get(stack, "/session").bearer(key).send().await.expect(403);
        // Nobody becomes a principal by saying so.
        let said = Call::get(stack.url("/admin/v1/session"))
            .with("x-amzn-requestcontext", json!({"identity": {"userArn": "x"}}).to_string());
        said.send().await.expect(403);
        assert_ne!(ann.sign(get(stack, "/session")).send().await.json(), Value::Null);
    });
}
