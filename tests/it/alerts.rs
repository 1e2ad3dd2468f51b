//! Alerts: tried by their owner before they are needed.

use farebox_tests::moved::next_year;
use farebox_tests::{Caller, Moved, fresh, run};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::executable;

#[test]
fn a_test_alert_takes_the_road_of_all_alerts_once() {
    run(async {
        let year = next_year();
        let time = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 1, &time(0)).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let (scope, path) = (caller.user_scope(), "/alerts/test");
        let test =
            |scope: &str| stack.admin(Method::POST, path).json(&json!({"scope": scope})).send();
        let refused = test(&scope).await.expect(400).text();
        assert!(refused.contains("webhook"), "{refused}");
        let hook = fresh("hook");
        let url = format!("{}/hook/{hook}", stack.tap().origin());
        let secret = stack.put("/webhook", &json!({"url": url})).await.json()["secret"].clone();
        for wrong in ["user:nobody", "nobody"] {
            let refused = test(wrong).await.expect(400).text();
            assert!(refused.contains("scope"), "{refused}");
        }

        let sent = test(&scope).await.expect(201).json();
        assert_eq!((&sent["type"], &sent["sent_at"]), (&json!("test"), &Value::Null));
        for minute in [1, 1, 2] {
            clock.to(&time(minute));
            stack.schedule(&time(minute)).await;
        }

        let seen = stack.tap().seen(&hook);
        assert_eq!(seen.len(), 1, "{seen:?}");
        let body: Value = serde_json::from_slice(&seen[0].body).unwrap();
        assert_eq!((&body["type"], &body["scope"]), (&json!("test"), &json!(scope)));
        let signature = seen[0].expected_signature(secret.as_str().unwrap());
        assert_eq!(seen[0].headers["farebox-signature"], signature);
        let listed = stack.read(&format!("/alerts?scope={scope}")).await["alerts"][0].clone();
        assert_eq!(listed["type"], "test");
        assert!(listed["sent_at"].is_string(), "{listed}");
        caller.read("/v1/budget").await;
    });
}
