//! Users, keys, credentials, budgets, prices and the webhook.

use farebox_aws::expression::Store;
use farebox_core::Timestamp;
use farebox_ledger::Owner;
use farebox_ledger::alert::Alert;
use serde_json::{Value, json};

use crate::world::{ADMIN_KEY, World};

#[tokio::test]
async fn credentials_come_in_pages_the_users_own_first() {
    let world = World::new().await;
    world.ask("PUT", "/admin/v1/orgs/o1", json!({})).await;
    world.ask("PUT", "/admin/v1/users/u1", json!({"org": "o1"})).await;
    for place in ["org:o1/anthropic", "u1/openai/b", "u1/openai", "u1/openai/a", "org:o1/openai"] {
        let path = format!("/admin/v1/credentials/{place}");
        assert_eq!(world.ask("PUT", &path, json!({"secret": "s"})).await.status, 200, "{place}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for size in [2, 2, 1] {
        let path = format!("/admin/v1/credentials?user=u1&limit=2{cursor}");
        let page = world.ask("GET", &path, Value::Null).await.body;
        let rows = page["credentials"].as_array().unwrap();
        assert_eq!(rows.len(), size, "{page}");
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        seen.extend(
            rows.iter()
                .map(|row| [&row["owner"], &row["provider"], &row["name"]].map(text).join(" ")),
        );
        let next = page["next_cursor"].as_str().map(|next| format!("&cursor={next}"));
        assert_eq!(next.is_none(), size == 1, "{page}");
        cursor = next.unwrap_or_default();
    }
    assert_eq!(
        seen,
        [
            "user:u1 openai -",
            "user:u1 openai a",
            "user:u1 openai b",
            "org:o1 anthropic -",
            "org:o1 openai -",
        ]
    );
}

#[tokio::test]
async fn a_user_gets_a_key_that_knows_its_credentials() {
    let world = World::new().await;
    let none = Value::Null;

    assert_eq!(world.ask("PUT", "/admin/v1/orgs/o1", json!({})).await.status, 200);
    let user = world.ask("PUT", "/admin/v1/users/u1", json!({"name": "Ann", "org": "o1"})).await;
    assert_eq!((user.status, user.body["org"].as_str()), (200, Some("o1")), "{}", user.body);
    let body = json!({"secret": "sk-org"});
    let set = world.ask("PUT", "/admin/v1/credentials/org:o1/openai", body).await;
    assert_eq!((set.status, set.body["state"].as_str()), (200, Some("active")), "{}", set.body);

    let body = json!({"user": "u1", "name": "ci", "models": ["openai/*"], "max_cost_usd": "0.5"});
    let made = world.ask("POST", "/admin/v1/keys", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let secret = made.body["secret"].as_str().unwrap();
    let key = farebox_core::GatewayKey::parse(secret).unwrap();
    assert_eq!(made.body["id"].as_str(), Some(key.id.as_str()));

    // The user's own goes before the organisation's, and the version rises.
    let read = world.gate_key(&key.id).await;
    assert_eq!(read.providers["openai"], "org:o1");
    let body = json!({"secret": "sk-own", "base_url": "http://127.0.0.1:4000/v1/"});
    let set = world.ask("PUT", "/admin/v1/credentials/u1/openai", body).await;
    assert_eq!(set.body["base_url"].as_str(), Some("http://127.0.0.1:4000/v1"), "{}", set.body);
    let after = world.gate_key(&key.id).await;
    assert_eq!(after.providers["openai"], "user:u1");
    assert!(after.cv > read.cv);
    let stored = world.secret("farebox/test/credentials/user/u1");
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(stored["openai"]["secret"], "sk-own");

    // Disabled: erased, and the organisation's is used again.
    let gone = world.ask("DELETE", "/admin/v1/credentials/u1/openai", none.clone()).await;
    assert_eq!((gone.status, gone.body["state"].as_str()), (200, Some("disabled")));
    assert_eq!(world.secret("farebox/test/credentials/user/u1"), "{}");
    assert_eq!(world.gate_key(&key.id).await.providers["openai"], "org:o1");
    let list = world.ask("GET", "/admin/v1/credentials?user=u1", none.clone()).await;
    assert_eq!(list.body["credentials"].as_array().map(Vec::len), Some(2), "{}", list.body);
    assert!(!list.body.to_string().contains("sk-"));

    let listed = world.ask("GET", "/admin/v1/keys?user=u1", none.clone()).await;
    assert_eq!(listed.body["keys"][0]["state"], "active");
    assert!(!listed.body.to_string().contains(secret));
    let path = format!("/admin/v1/keys/{}", key.id);
    assert_eq!(world.ask("DELETE", &path, none.clone()).await.body["state"], "revoked");
    assert!(!world.gate_key(&key.id).await.active);
    assert_eq!(world.ask("DELETE", "/admin/v1/keys/none", none).await.status, 404);
}

#[tokio::test]
async fn a_budget_changes_only_from_the_version_that_was_seen() {
    let world = World::new().await;
    let path = "/admin/v1/budgets/user:u1";
    assert_eq!(world.ask("GET", path, Value::Null).await.status, 404);
    world.ask("PUT", "/admin/v1/users/u1", json!({})).await;
    let seen = world.ask("GET", path, Value::Null).await;
    assert_eq!((seen.status, seen.body["mode"].as_str()), (200, Some("observe")));
    let limit = |usd: &str| json!({"month_limit_usd": usd, "alert_thresholds": [50, 80]});
    let put = async |usd: &str, tag: Option<&str>| {
        let headers: Vec<_> = tag.iter().map(|tag| ("if-match", *tag)).collect();
        world.ask_with(ADMIN_KEY, "PUT", path, limit(usd), &headers).await
    };

    assert_eq!(put("100", None).await.status, 428);
    let first = put("100", Some(&seen.etag)).await;
    assert_eq!((first.status, first.body["mode"].as_str()), (200, Some("hard")), "{}", first.body);
    assert_eq!(first.body["periods"][0]["room_usd"], "100");
    let stale = put("200", Some(&seen.etag)).await;
    assert_eq!(stale.status, 412);
    assert_eq!(stale.body["error"]["current"]["month_limit_usd"], "100", "{}", stale.body);
    assert_eq!(stale.etag, first.etag);
    assert_eq!(put("300", Some("*")).await.body["month_limit_usd"], "300");
    assert_eq!(put("-1", Some("*")).await.body["error"]["field"], "month_limit_usd");
    let empty = world.ask("PUT", path, json!([])).await;
    assert_eq!(empty.status, 400);

    let usage = world.ask("GET", "/admin/v1/usage", Value::Null).await;
    assert_eq!(usage.body["scopes"][0]["periods"][0]["limit_usd"], "300", "{}", usage.body);
    assert_eq!(usage.body["next_cursor"], "key:");
    for (list, next) in [("key:", json!("org:")), ("org:", json!("team:")), ("team:", Value::Null)]
    {
        let rest = world.ask("GET", &format!("/admin/v1/usage?cursor={list}"), Value::Null).await;
        assert_eq!((rest.status, &rest.body["next_cursor"]), (200, &next), "{}", rest.body);
    }
    assert_eq!(world.ask("GET", "/admin/v1/usage?cursor=x", Value::Null).await.status, 400);
}

#[tokio::test]
async fn prices_and_the_webhook_are_set_shown_and_deleted() {
    let world = World::new().await;
    let path = "/admin/v1/prices/fireworks_ai/accounts/x";
    let set = world.ask("PUT", path, json!({"input": "2.5", "output": "10"})).await;
    assert_eq!(set.status, 200, "{}", set.body);
    assert_eq!(world.ask("GET", path, Value::Null).await.body["model"], "accounts/x");
    let list = world.ask("GET", "/admin/v1/prices", Value::Null).await;
    assert_eq!(list.body["prices"][0]["spec"]["input"], "2.5", "{}", list.body);
    assert_eq!(world.ask("PUT", path, json!({"input": "-1", "output": "1"})).await.status, 400);
    assert_eq!(world.ask("DELETE", path, Value::Null).await.status, 204);
    assert_eq!(world.ask("DELETE", path, Value::Null).await.status, 404);

    let path = "/admin/v1/webhook";
    let inside = world.ask("PUT", path, json!({"url": "https://169.254.169.254/"})).await;
    assert_eq!((inside.status, inside.body["error"]["field"].as_str()), (400, Some("url")));
    let set = world.ask("PUT", path, json!({"url": "https://hooks.example.com/f?x=1"})).await;
    assert_eq!(set.body["secret"].as_str(), Some(world.secret("farebox/test/webhook").as_str()));
    let again = world.ask("PUT", path, json!({"url": "https://hooks.example.com/g"})).await;
    assert_ne!(again.body["version"], set.body["version"]);
    let shown = world.ask("GET", path, Value::Null).await;
    assert!(shown.body.get("secret").is_none() && shown.body["url"] == again.body["url"]);
    assert_eq!(world.ask("DELETE", path, Value::Null).await.status, 204);
    assert_eq!(world.ask("GET", path, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_stranger_gets_the_same_answer_everywhere() {
    let world = World::new().await;
    world.ask("PUT", "/admin/v1/users/u1", json!({})).await;
    let mut answers = Vec::new();
    for (method, path) in [
        ("GET", "/admin/v1/users/u1"),
        ("GET", "/admin/v1/users/u2"),
        ("PUT", "/admin/v1/nothing"),
        ("DELETE", "/admin/v1/webhook"),
    ] {
        for key in ["wrong", "sk-fba-wrong", "", &ADMIN_KEY[..ADMIN_KEY.len() - 1]] {
            let reply = world.ask_as(key, method, path, Value::Null).await;
            answers.push((reply.status, reply.body.to_string()));
        }
    }
    answers.dedup();

    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0, 403);
    let page = world.ask_as("", "GET", "/admin/console", Value::Null).await;
    assert_eq!(page.status, 200);
}

#[tokio::test]
async fn a_key_is_changed_whole_and_the_audit_has_how_it_was() {
    let world = World::new().await;
    world.ask("PUT", "/admin/v1/users/u1", json!({})).await;
    let made = json!({"user": "u1", "name": "ci", "max_cost_usd": "1", "labels": {"team": "a"}});
    let made = world.ask("POST", "/admin/v1/keys", made).await.body;
    let path = format!("/admin/v1/keys/{}", made["id"].as_str().unwrap());
    let settings = json!({
        "name": "build", "models": ["openai/*"], "clamp": "never", "room_wait_ms": 0,
        "drop_params": true, "timeouts": {"first_byte_ms": 5000}, "labels": {"team": "b"},
    });

    let changed = world.ask("PUT", &path, settings.clone()).await.body;

    for (name, value) in settings.as_object().unwrap() {
        assert_eq!(&changed[name], value, "{changed}");
    }
    assert_eq!(changed.get("max_cost_usd"), None, "what is left out is taken away: {changed}");
    assert_eq!((&changed["id"], &changed["user"]), (&made["id"], &made["user"]));
    assert_eq!(world.ask("GET", &path, Value::Null).await.body, changed);
    let directory = farebox_aws::Directory::new(world.gate.aws());
    let id = made["id"].as_str().unwrap().parse().unwrap();
    let read = directory.key(&id).await.unwrap().unwrap();
    assert!(read.drop_params && read.max_cost.is_none());
    assert_eq!(read.timeouts.first_byte_ms, Some(5000), "a call has it");
    let audit = format!("/admin/v1/audit?action=PUT&target={path}");
    let audit = world.ask("GET", &audit, Value::Null).await.body["entries"][0].clone();
    assert_eq!(
        (&audit["before"]["name"], &audit["after"]["name"]),
        (&json!("ci"), &json!("build"))
    );
    for (body, field) in [
        (json!({"name": "x", "user": "u2"}), "user"),
        (json!({"name": "x", "secret": "s"}), "secret"),
        (json!({"name": "x", "state": "active"}), "state"),
        (json!({"name": ""}), "name"),
        (json!({}), "name"),
        (json!({"name": "x", "room_wait_ms": 60_001}), "room_wait_ms"),
        (json!({"name": "x", "timeouts": {"idle_ms": 1}}), "timeouts.idle_ms"),
        (json!({"name": "x", "timeouts": {"x": 1}}), "timeouts.x"),
        (json!({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
    ] {
        let refused = world.ask("PUT", &path, body.clone()).await;
        assert_eq!(refused.body["error"]["field"], field, "{body}: {}", refused.body);
    }
    assert_eq!(world.ask("GET", &path, Value::Null).await.body, changed);
    world.ask("DELETE", &path, Value::Null).await;
    let revoked = world.ask("PUT", &path, json!({"name": "x"})).await;
    assert_eq!((revoked.status, &revoked.body["error"]["field"]), (400, &json!("id")));
}

/// The alerts of all pages.
async fn alerts(world: &World, path: &str, most: usize) -> Vec<Value> {
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        assert!(seen.len() <= most, "{path} has no end");
        let page = world.ask("GET", &format!("{path}{next}"), Value::Null).await.body;
        seen.extend(page["alerts"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { return seen };
        next = format!("&cursor={cursor}");
    }
}

#[tokio::test]
async fn alerts_come_in_pages_of_one_scope_and_of_all() {
    let world = World::new().await;
    let aws = world.gate.aws();
    let store = Store::patient(aws);
    for (second, scope) in (0..).zip(["user:u1", "org:o1", "user:u1", "team:t1", "user:u1"]) {
        let owner = Owner::new(&aws.config().tenant, scope.parse().unwrap());
        let at = Timestamp::from_ms(1_800_000_000_000 + second * 1000);
        let alert = Alert::test(at).recorded(&owner, at);
        // A second time it is known, and stands once in the list.
        let later = Alert::test(at).recorded(&owner, at.plus_ms(5_000));
        assert!(store.record_all(&alert).await.unwrap());
        assert!(!store.record_all(&later).await.unwrap());
    }
    let of_one = "/admin/v1/alerts?scope=user:u1";
    let all = world.ask("GET", of_one, Value::Null).await.body;
    assert!(all["next_cursor"].is_null(), "{all}");
    let one = all["alerts"].as_array().unwrap();
    assert_eq!(one.len(), 3);
    assert_eq!(alerts(&world, &format!("{of_one}&limit=1"), 3).await, *one);

    let all = world.ask("GET", "/admin/v1/alerts", Value::Null).await.body["alerts"].clone();
    let text = |alert: &Value, name: &str| alert[name].as_str().unwrap().to_owned();
    let told: Vec<_> = all.as_array().unwrap().iter().map(|one| text(one, "scope")).collect();
    assert_eq!(told, ["user:u1", "team:t1", "user:u1", "org:o1", "user:u1"], "the newest first");
    assert_eq!(text(&all[0], "created_at"), "2027-01-15T08:00:04Z");
    assert!(all.as_array().unwrap().contains(&one[2]), "one alert looks the same in both lists");
    for limit in [1, 2, 5] {
        let path = format!("/admin/v1/alerts?limit={limit}");
        assert_eq!(Value::from(alerts(&world, &path, 5).await), all, "{limit}");
    }
}
