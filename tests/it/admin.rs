//! The admin API: who may, what is refused, and what is never read back.

use farebox_tests::{Answer, Call, Caller, fresh, run};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::shared;

fn assert_refused(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.code(), status, "{}", answer.text());
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], code, "{error}");
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    assert!(answer.header("x-request-id").is_some());
    error
}

#[test]
fn without_the_admin_key_everything_is_the_same_403() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let mut answers = Vec::new();
        for path in ["/users", "/keys", "/nothing", &format!("/users/{}", caller.user)] {
            let bare = || stack.admin(Method::GET, path).without("authorization");
            for call in [bare(), bare().bearer("sk-fba-wrong"), bare().bearer(&caller.key)] {
                let answer = call.send().await;
                assert_refused(&answer, 403, "forbidden");
                answers.push(answer.text());
            }
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    });
}

#[test]
fn the_admin_key_is_no_key_for_calls() {
    run(async {
        let stack = shared().await;
        let call = Call::get(stack.url("/v1/models")).bearer(stack.ready().text("admin_key"));

        assert_eq!(call.send().await.code(), 401);
    });
}

#[test]
fn a_budget_changes_only_on_the_version_that_was_read() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let path = format!("/budgets/{}", caller.user_scope());
        let put = |tag: Option<String>, limit: &str| {
            let call = stack.admin(Method::PUT, &path).json(&json!({"month_limit_usd": limit}));
            match tag {
                Some(tag) => call.with("if-match", tag).send(),
                None => call.without("if-match").send(),
            }
        };
        let read = stack.admin(Method::GET, &path).send().await.expect(200);
        let tag = read.header("etag").expect("an ETag").to_owned();

        assert_refused(&put(None, "1").await, 428, "precondition_required");
        let changed = put(Some(tag.clone()), "2").await.expect(200);
        let stale = put(Some(tag), "3").await;

        let error = assert_refused(&stale, 412, "precondition_failed");
        assert_eq!(error["current"]["month_limit_usd"], "2", "{error}");
        assert_ne!(changed.header("etag"), read.header("etag"));
        let now = stack.read(&path).await;
        assert_eq!((&now["month_limit_usd"], &now["mode"]), (&json!("2"), &json!("hard")));
    });
}

#[test]
fn an_unknown_field_or_a_number_for_money_is_refused_by_name() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let budget = format!("/budgets/{}", caller.user_scope());
        let credential = format!("/credentials/{}/demo", caller.user);
        let webhook = "/webhook".to_owned();
        for (method, path, body, named) in [
            (Method::PUT, &budget, json!({"mouth_limit_usd": "1"}), "mouth_limit_usd"),
            (Method::PUT, &budget, json!({"day_limit_usd": 1.5}), "day_limit_usd"),
            (Method::PUT, &budget, json!({"day_limit_usd": "-1"}), "day_limit_usd"),
            (Method::PUT, &budget, json!({"day_limit_usd": "1e3"}), "day_limit_usd"),
            (Method::PUT, &budget, json!({"mode": "strict"}), "mode"),
            (Method::PUT, &budget, json!({"time_zone": "Mars/Base"}), "time_zone"),
            (Method::PUT, &budget, json!({"alert_thresholds": [0]}), "alert_thresholds"),
            (Method::PUT, &credential, json!({"secret": "x", "url": "y"}), "url"),
            (Method::PUT, &credential, json!({"secret": ""}), "secret"),
            (
                Method::PUT,
                &credential,
                json!({"secret": "x", "base_url": "http://10.0.0.1/"}),
                "base_url",
            ),
            (Method::PUT, &webhook, json!({"url": "https://127.0.0.1/x"}), "url"),
            (Method::PUT, &webhook, json!({"url": "https://10.0.0.1/x"}), "url"),
            (Method::PUT, &webhook, json!({"url": "https://169.254.169.254/latest"}), "url"),
            (Method::PUT, &webhook, json!({"url": "https://[fd00:ec2::254]/x"}), "url"),
            (Method::PUT, &webhook, json!({"url": "http://example.com/x"}), "url"),
            (Method::PUT, &budget, json!({"alert_thresholds": [80, 50, 101]}), "alert_thresholds"),
            (Method::POST, &"/keys".to_owned(), json!({"user": caller.user, "nme": "x"}), "nme"),
            (Method::POST, &"/keys".to_owned(), json!({"user": "a b", "name": "x"}), "user"),
            (Method::PUT, &"/users/x".to_owned(), json!({"nick": "x"}), "nick"),
        ] {
            let call = stack.admin(method, path).with("if-match", "*").json(&body);
            let answer = call.send().await;
            let error = assert_refused(&answer, 400, "invalid_request_error");
            assert!(error.to_string().contains(named), "{body}: {error}");
        }
        let limit = &stack.read(&budget).await["day_limit_usd"];
        assert!(limit.is_null(), "{limit}");
    });
}

#[test]
fn a_key_for_nobody_is_refused() {
    run(async {
        let body = json!({"user": fresh("nobody"), "name": "x"});

        let answer = shared().await.admin(Method::POST, "/keys").json(&body).send().await;

        assert!(answer.status.is_client_error(), "{} {}", answer.status, answer.text());
    });
}

#[test]
fn no_secret_is_ever_read_back() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let secret = fresh("sk-the-providers-own-");
        stack.set_credential(&caller.user, "demo", &secret, &stack.tap().base_url("x")).await;
        let secret_part = caller.key.rsplit('-').next().unwrap();
        for path in [
            "/users".to_owned(),
            format!("/users/{}", caller.user),
            "/keys".to_owned(),
            format!("/keys?user={}", caller.user),
            format!("/credentials?user={}", caller.user),
            "/budgets".to_owned(),
            "/usage".to_owned(),
            "/requests".to_owned(),
            "/webhook".to_owned(),
            "/prices".to_owned(),
        ] {
            let text = stack.admin(Method::GET, &path).send().await.text();
            assert!(!text.contains(&secret), "{path}");
            assert!(!text.contains(secret_part), "{path}");
        }
        let list = stack.read(&format!("/credentials?user={}", caller.user)).await;
        let credential = &list["credentials"][0];
        assert_eq!(
            (&credential["provider"], &credential["state"]),
            (&json!("demo"), &json!("active"))
        );
    });
}

#[test]
fn the_organisations_credential_serves_until_the_user_has_its_own() {
    run(async {
        let stack = shared().await;
        let (org, user) = (fresh("o"), fresh("u"));
        stack.put(&format!("/orgs/{org}"), &json!({"name": "An organisation"})).await;
        stack.put(&format!("/users/{user}"), &json!({"org": org})).await;
        let of_org = stack.tap().base_url(&org);
        stack.set_credential(&format!("org:{org}"), "demo", "demo-key", &of_org).await;
        let call = |key: String| {
            let body = farebox_tests::caller::native("chat", &json!({}));
            Call::post(stack.url("/v1/chat"), &body).bearer(&key).send()
        };

        let (_, key) = stack.add_key(&user, &json!({})).await;
        call(key).await.expect(200);
        stack.set_credential(&user, "demo", "demo-key", &stack.tap().base_url(&user)).await;
        let (_, key) = stack.add_key(&user, &json!({})).await;
        call(key).await.expect(200);

        assert_eq!((stack.tap().seen(&org).len(), stack.tap().seen(&user).len()), (1, 1));
    });
}

#[test]
fn the_usage_shows_what_each_user_and_key_has_spent() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let answer = caller.chat("chat", &json!({})).await.expect(200);
        let cost = answer.header("x-farebox-cost-usd").unwrap();

        let mut found = Vec::new();
        let mut path = "/usage?limit=100".to_owned();
        loop {
            let page = stack.read(&path).await;
            found.extend(page["scopes"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/usage?limit=100&cursor={cursor}"),
                None => break,
            }
        }

        for (kind, id) in [("user", &caller.user), ("key", &caller.key_id)] {
            let row = found.iter().find(|row| row["kind"] == kind && row["id"] == id.as_str());
            let row = row.unwrap_or_else(|| panic!("no {kind}:{id}"));
            let periods = row["periods"].as_array().unwrap();
            let total = periods.iter().find(|period| period["period"] == "total").unwrap();
            assert_eq!(total["settled_usd"], cost, "{row}");
        }
    });
}
