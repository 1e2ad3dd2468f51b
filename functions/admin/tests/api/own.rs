//! What members see and do of their own, and that it is nobody else's.

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_aws::LogWriter;
use farebox_core::{CallRecord, Correction, Outcome, Rid, ScopePart};
use serde_json::{Value, json};

use crate::roles::Cast;
use crate::world::{Reply, World};

/// A call of a user in the log.
pub async fn log(world: &World, user: &str, key: &str, outcome: Outcome, scope: &str) -> Rid {
    let id = world.gate.aws().new_rid();
    put(world, scope, CallRecord { outcome, ..record(id, user, key) }).await;
    id
}

/// A call of a user as it would be logged.
pub fn record(id: Rid, user: &str, key: &str) -> CallRecord {
    CallRecord::new(id, "main".into(), user.parse().unwrap(), key.parse().unwrap())
}

/// Puts it into the log, with one scope.
pub async fn put(world: &World, scope: &str, record: CallRecord) {
    let part = ScopePart {
        scope: scope.parse().unwrap(),
        hold: None,
        ambiguous: false,
        unheld: false,
        ended: true,
        day: 20_261_123,
    };
    let correction = Correction { of: None, to: None, reason: "why".to_owned() };
    let correction = Some(correction).filter(|_| record.outcome == Outcome::Correction);
    let record = CallRecord { parts: vec![part], correction, ..record };
    for put in LogWriter::new(world.gate.aws()).put(&[&record]).await {
        put.unwrap();
    }
}

fn same_as_absent(reply: &Reply, absent: &Reply, ids: [&str; 2]) {
    let text = reply.body.to_string().replace(ids[0], ids[1]);
    assert_eq!((reply.status, text), (404, absent.body.to_string()));
}

#[tokio::test]
async fn what_is_another_users_is_as_if_it_were_not_there() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let [mine, theirs] = cast.members.clone();
    let my_call = log(world, "u1", &mine.0, Outcome::Settled, "user:u1").await;
    let their_call = log(world, "u2", &theirs.0, Outcome::Settled, "user:u2").await;
    // A correction of the books of a team that has the name of a user.
    let teams = log(world, "u1", "u1", Outcome::Correction, "team:u1").await;
    let own = log(world, "u1", "u1", Outcome::Correction, "user:u1").await;
    let get = async |path: &str| cast.ask('m', "GET", path, Value::Null).await;

    let page = get("/admin/v1/me/requests").await.body;
    let rows = page["requests"].as_array().unwrap().iter();
    let ids: Vec<_> = rows.map(|row| row["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [own.to_string(), my_call.to_string()]);
    assert_eq!(get(&format!("/admin/v1/me/requests/{my_call}")).await.status, 200);

    let (rid, key) = ("01KAQ4ZV0M7W1C9Y3T5B8D2E6F", "0000000000");
    let no_call = get(&format!("/admin/v1/me/requests/{rid}")).await;
    for id in [their_call, teams] {
        let reply = get(&format!("/admin/v1/me/requests/{id}")).await;
        same_as_absent(&reply, &no_call, [&id.to_string(), rid]);
    }
    for path in ["/admin/v1/me/keys/", "/admin/v1/me/alerts?key="] {
        assert_eq!(get(&format!("{path}{}", mine.0)).await.status, 200, "{path}");
        let no_key = get(&format!("{path}{key}")).await;
        same_as_absent(&get(&format!("{path}{}", theirs.0)).await, &no_key, [&theirs.0, key]);
    }
    let path = format!("/admin/v1/me/keys/{}", theirs.0);
    assert_eq!(cast.ask('m', "DELETE", &path, Value::Null).await.status, 404);
    allow(&cast, json!({"keys": 3})).await;
    assert_eq!(cast.ask('m', "PUT", &path, json!({"name": "x"})).await.status, 404);
    let theirs = world.ask("GET", &format!("/admin/v1/keys/{}", theirs.0), Value::Null).await;
    assert_eq!(theirs.body["state"], "active");

    let keys = get("/admin/v1/me/keys").await.body;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    let budgets = get("/admin/v1/me/budgets").await.body;
    assert!(!budgets.to_string().contains("u2"), "{budgets}");
    let me = get("/admin/v1/me").await.body;
    assert_eq!((&me["user"], &me["key_id"]), (&json!("u1"), &json!(mine.0)));
}

#[tokio::test]
async fn a_page_of_calls_goes_on_where_the_last_one_ended() {
    let cast = Cast::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(log(&cast.world, "u1", "k1", Outcome::Settled, "user:u1").await.to_string());
    }
    made.sort_unstable_by(|a, b| b.cmp(a));
    let (mut seen, mut path) = (Vec::new(), "/admin/v1/me/requests?limit=2".to_owned());
    for _ in 0..10 {
        let page = cast.ask('m', "GET", &path, Value::Null).await.body;
        let rows = page["requests"].as_array().unwrap().iter();
        seen.extend(rows.map(|row| row["request_id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/admin/v1/me/requests?limit=2&cursor={cursor}");
    }

    assert_eq!(seen, made);
    let wrong = cast.ask('m', "GET", "/admin/v1/me/requests?cursor=x", Value::Null).await;
    assert_eq!(wrong.status, 400);
}

async fn allow(cast: &Cast, self_service: Value) {
    let body = json!({"self_service": self_service});
    let put = cast.world.ask("PUT", "/admin/v1/users/u1", body).await;
    assert_eq!(put.status, 200, "{}", put.body);
}

#[tokio::test]
async fn a_member_makes_keys_within_what_the_owner_allows() {
    let cast = Cast::new().await;
    let post = async |body: Value| cast.ask('m', "POST", "/admin/v1/me/keys", body).await;
    let refused = post(json!({"name": "x"})).await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (403, &json!("not_allowed")));

    let own =
        json!({"keys": 3, "key_max_cost_usd": "0.5", "key_days": 30, "key_models": ["demo/*"]});
    allow(&cast, own.clone()).await;
    let user = cast.ask('o', "GET", "/admin/v1/users/u1", Value::Null).await.body;
    assert_eq!(user["self_service"]["key_max_cost_usd"], own["key_max_cost_usd"]);
    let made = post(json!({"name": "mine"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["max_cost_usd"], "0.5");
    assert_eq!(made.body["models"], json!(["demo/*"]));
    assert!(made.body["expires_at"].is_string());
    for (body, field) in [
        (json!({"name": "x", "max_cost_usd": "0.51"}), "max_cost_usd"),
        (json!({"name": "x", "models": ["openai/x"]}), "models[0]"),
        (json!({"name": "x", "expires_at": "2099-01-01T00:00:00Z"}), "expires_at"),
        (json!({"name": "x", "user": "u2"}), "user"),
    ] {
        assert_eq!(post(body).await.body["error"]["field"], field);
    }

    // One place is left, and two ask for it at once.
    let (a, b) = tokio::join!(post(json!({"name": "a"})), post(json!({"name": "b"})));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 403]);
    let id = made.body["id"].as_str().unwrap();
    let path = format!("/admin/v1/me/keys/{id}");
    // What a change leaves out is again as much as is allowed, and no more than that is taken.
    let put = async |body: Value| cast.ask('m', "PUT", &path, body).await;
    let changed = put(json!({"name": "b", "room_wait_ms": 10, "max_cost_usd": "0.1"})).await.body;
    assert_eq!((&changed["name"], &changed["max_cost_usd"]), (&json!("b"), &json!("0.1")));
    assert_eq!((&changed["models"], &changed["room_wait_ms"]), (&json!(["demo/*"]), &json!(10)));
    assert_eq!(put(json!({"name": "b"})).await.body["max_cost_usd"], "0.5");
    for (body, field) in [
        (json!({"name": "x", "max_cost_usd": "0.51"}), "max_cost_usd"),
        (json!({"name": "x", "models": ["openai/x"]}), "models[0]"),
        (json!({"name": "x", "expires_at": "2099-01-01T00:00:00Z"}), "expires_at"),
        (json!({"name": "x", "labels": {"team": "other"}}), "labels"),
    ] {
        assert_eq!(put(body).await.body["error"]["field"], field);
    }
    assert_eq!(cast.ask('m', "DELETE", &path, Value::Null).await.body["state"], "revoked");
    assert_eq!(post(json!({"name": "c"})).await.status, 201);
    for (own, field) in [
        (json!({"keys": 51}), "self_service.keys"),
        (json!({"key_days": 0}), "self_service.key_days"),
        (json!({"key_max_cost_usd": "x"}), "self_service.key_max_cost_usd"),
        (json!({"key_models": ["x"]}), "self_service.key_models[0]"),
        (json!({"role": "owner"}), "self_service.role"),
    ] {
        let body = json!({"self_service": own});
        let put = cast.world.ask("PUT", "/admin/v1/users/u1", body).await;
        assert_eq!(put.body["error"]["field"], field, "{}", put.body);
    }
}

/// Lets a key end in the past, as if its time had gone by.
async fn end(world: &World, key: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let update = world.gate.aws().dynamodb().update_item().table_name("main");
    let update = update.key("pk", text(&format!("K#{key}"))).key("sk", text("0"));
    let update =
        update.update_expression("SET #exp = :past").expression_attribute_names("#exp", "exp");
    let past = AttributeValue::N("1000".to_owned());
    update.expression_attribute_values(":past", past).send().await.unwrap();
}

#[tokio::test]
async fn a_key_that_has_ended_lives_again_only_where_there_is_room_for_it() {
    let cast = Cast::new().await;
    // The one that the owner has made, and one more.
    allow(&cast, json!({"keys": 2})).await;
    let post =
        async |name: &str| cast.ask('m', "POST", "/admin/v1/me/keys", json!({"name": name})).await;
    let id = |made: &Reply| made.body["id"].as_str().unwrap().to_owned();
    let old = format!("/admin/v1/me/keys/{}", id(&post("old").await));
    let change = async || cast.ask('m', "PUT", &old, json!({"name": "old"})).await;
    assert_eq!(change().await.status, 200, "it is one of the two itself");
    end(&cast.world, old.rsplit('/').next().unwrap()).await;
    let other = format!("/admin/v1/me/keys/{}", id(&post("other").await));

    let full = change().await;

    assert_eq!((full.status, &full.body["error"]["code"]), (403, &json!("not_allowed")));
    assert_eq!(cast.ask('m', "GET", &old, Value::Null).await.body["state"], "expired");
    assert_eq!(cast.ask('m', "DELETE", &other, Value::Null).await.status, 200);
    // One place is left, and two ask for it at once.
    let (again, made) = tokio::join!(change(), post("third"));
    let mut statuses = [again.status, made.status];
    statuses.sort_unstable();
    assert!(matches!(statuses, [200 | 201, 403]), "{statuses:?}");
}

#[tokio::test]
async fn a_member_stores_a_credential_where_it_may_and_nobody_reads_it() {
    let cast = Cast::new().await;
    let path = "/admin/v1/me/credentials/openai";
    let put = async |body: Value| cast.ask('m', "PUT", path, body).await;
    assert_eq!(put(json!({"secret": "sk-mine"})).await.status, 403);

    allow(&cast, json!({"credentials": true})).await;
    assert_eq!(put(json!({"secret": "sk-mine"})).await.status, 200);
    let url = json!({"secret": "sk-mine", "base_url": "https://x.example"});
    assert_eq!(put(url).await.body["error"]["field"], "base_url");
    for (role, path) in [
        ('m', path),
        ('m', "/admin/v1/me/credentials"),
        ('o', "/admin/v1/credentials?user=u1"),
        ('o', "/admin/v1/audit"),
    ] {
        let shown = cast.ask(role, "GET", path, Value::Null).await;
        assert!(shown.status == 200 && !shown.body.to_string().contains("sk-mine"), "{path}");
    }
    assert!(cast.world.secret("farebox/test/credentials/user/u1").contains("sk-mine"));
    // One of several; and what has several fields is looked at as the owner's is.
    let second = format!("{path}/second");
    let named = cast.ask('m', "PUT", &second, json!({"secret": "sk-2", "weight": 3})).await.body;
    assert_eq!((&named["name"], &named["weight"]), (&json!("second"), &json!(3)), "{named}");
    assert_eq!(cast.ask('m', "DELETE", &second, Value::Null).await.body["state"], "disabled");
    let bedrock = "/admin/v1/me/credentials/bedrock";
    let wrong = cast.ask('m', "PUT", bedrock, json!({"secret": "{\"region\":\"x y\"}"})).await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    assert!(wrong.body["error"]["field"].as_str().unwrap().starts_with("secret"), "{}", wrong.body);
    let nowhere = cast.ask('m', "PUT", "/admin/v1/me/credentials/custom", json!({"secret": "s"}));
    assert_eq!(nowhere.await.status, 403);
    let gone = cast.ask('m', "DELETE", path, Value::Null).await;
    assert_eq!((gone.status, &gone.body["state"]), (200, &json!("disabled")));
}

#[tokio::test]
async fn more_budget_is_asked_for_and_granted_until_an_end() {
    let cast = Cast::new().await;
    let limits = json!({"day_limit_usd": "1", "month_limit_usd": "10"});
    cast.world.ask("PUT", "/admin/v1/budgets/user:u1", limits).await;
    let mine = "/admin/v1/me/budget-requests";
    let ask = async |body: Value| cast.ask('m', "POST", mine, body).await;
    for (body, field) in [
        (json!({"reason": "x"}), "month_limit_usd"),
        (json!({"reason": "", "day_limit_usd": "2"}), "reason"),
        (json!({"reason": "x", "day_limit_usd": "0"}), "day_limit_usd"),
        (json!({"reason": "x", "day_limit_usd": "2", "until": "2020-01-01T00:00:00Z"}), "until"),
        (json!({"reason": "x", "day_limit_usd": "2", "state": "approved"}), "state"),
    ] {
        assert_eq!(ask(body).await.body["error"]["field"], field);
    }
    let made = ask(json!({"reason": "a release", "day_limit_usd": "5"})).await;
    assert_eq!((made.status, &made.body["state"]), (201, &json!("open")), "{}", made.body);
    let id = made.body["id"].as_str().unwrap();
    let path = format!("/admin/v1/budget-requests/u1/{id}");
    let decide = async |body: Value| cast.ask('a', "PUT", &path, body).await;

    for (body, field) in [
        (json!({"state": "approved"}), "until"),
        (json!({"state": "withdrawn"}), "state"),
        (
            json!({"state": "approved", "until": "2099-01-01T00:00:00Z", "total_limit_usd": "9"}),
            "total_limit_usd",
        ),
        (
            json!({"state": "approved", "until": "2099-01-01T00:00:00Z", "day_limit_usd": "0.5"}),
            "day_limit_usd",
        ),
    ] {
        let reply = decide(body).await;
        assert_eq!(reply.body["error"]["field"], field, "{}", reply.body);
    }
    let seen = cast.ask('a', "GET", &path, Value::Null).await;
    // A day is its midnight in UTC.
    let body = json!({"state": "approved", "until": "2099-01-01", "day_limit_usd": "4",
        "note": "for a while"});
    assert_eq!(decide(body.clone()).await.status, 200);
    let budget = cast.ask('o', "GET", "/admin/v1/budgets/user:u1", Value::Null).await.body;
    assert_eq!((&budget["day_limit_usd"], &budget["month_limit_usd"]), (&json!("4"), &json!("10")));
    assert_eq!(budget["until"], "2099-01-01T00:00:00Z");
    assert_eq!(budget["then"]["day_limit_usd"], "1");
    let told = cast.ask('m', "GET", &format!("{mine}/{id}"), Value::Null).await.body;
    assert_eq!((&told["state"], &told["note"]), (&json!("approved"), &json!("for a while")));
    assert!(told["decided_by"].is_null());
    let key = cast.keys[&'a'].as_str();
    let stale = [("if-match", seen.etag.as_str())];
    let stale = cast.world.ask_with(key, "PUT", &path, body.clone(), &stale).await;
    assert_eq!(stale.status, 412);
    assert_eq!(decide(body).await.body["error"]["code"], "not_allowed");

    let audit =
        cast.ask('d', "GET", "/admin/v1/audit?target=/admin/v1/budget-requests", Value::Null);
    let entry = &audit.await.body["entries"][0];
    assert_eq!((&entry["role"], &entry["outcome"]), (&json!("admin"), &json!("done")));
    assert_eq!(entry["before"]["state"], "open");
    let asked = cast.ask('d', "GET", &format!("/admin/v1/audit?target={mine}"), Value::Null).await;
    assert_eq!(asked.body["entries"][0]["actor"], format!("member:u1/{}", cast.members[0].0));
}

#[tokio::test]
async fn requests_for_budget_are_few_and_repeated_harmlessly_and_denied_or_taken_back() {
    let cast = Cast::new().await;
    let mine = "/admin/v1/me/budget-requests";
    let body = |usd: &str| json!({"reason": "why", "day_limit_usd": usd});
    let post = async |seed: &str, usd: &str| {
        let headers = [("idempotency-key", seed)];
        cast.world.ask_with(&cast.keys[&'m'], "POST", mine, body(usd), &headers).await
    };
    let first = post("a", "1").await;
    assert_eq!((post("a", "1").await.body, first.status), (first.body.clone(), 201));
    assert_eq!(post("a", "2").await.status, 422);
    for seed in ["b", "c", "d", "e"] {
        assert_eq!(post(seed, "1").await.status, 201);
    }
    assert_eq!(post("f", "1").await.body["error"]["code"], "not_allowed");

    let id = first.body["id"].as_str().unwrap();
    let path = format!("/admin/v1/budget-requests/u1/{id}");
    let denied = cast.ask('a', "PUT", &path, json!({"state": "denied", "note": "no"})).await;
    assert_eq!(denied.body["state"], "denied", "{}", denied.body);
    let last = post("g", "1").await;
    assert_eq!(last.status, 201);
    let path = format!("{mine}/{}", last.body["id"].as_str().unwrap());
    assert_eq!(cast.ask('m', "DELETE", &path, Value::Null).await.body["state"], "withdrawn");

    let count = async |query: &str| {
        let path = format!("/admin/v1/budget-requests?{query}");
        let list = cast.ask('d', "GET", &path, Value::Null).await.body;
        list["budget_requests"].as_array().map(Vec::len)
    };
    assert_eq!((count("user=u1").await, count("user=u2").await), (Some(6), Some(0)));
    assert_eq!((count("state=open").await, count("state=denied").await), (Some(4), Some(1)));
    assert_eq!(count("state=lost").await, None);
    // Another member's is not there.
    let other = cast.world.ask_as(&cast.members[1].1, "GET", &path, Value::Null).await;
    assert_eq!(other.status, 404);
}

/// An approval that reaches the tables while something else happens: its answer, the limit of a day
/// that is in force then, and the request's state.
async fn approved_while(other: impl AsyncFnOnce(&Cast, &str)) -> (u16, Value, Value) {
    let cast = Cast::new().await;
    let limits = json!({"day_limit_usd": "1"});
    cast.world.ask("PUT", "/admin/v1/budgets/user:u1", limits).await;
    let mine = "/admin/v1/me/budget-requests";
    let made = json!({"reason": "a release", "day_limit_usd": "5"});
    let made = cast.ask('m', "POST", mine, made).await.body;
    let id = made["id"].as_str().unwrap();
    let path = format!("/admin/v1/budget-requests/u1/{id}");
    let word = json!({"state": "approved", "until": "2099-01-01T00:00:00Z"});

    let (arrives, go) = cast.world.hold("TransactWriteItems");
    let meanwhile = async {
        arrives.await.unwrap();
        other(&cast, &format!("{mine}/{id}")).await;
        go.send(()).unwrap();
    };
    let (reply, ()) = tokio::join!(cast.ask('a', "PUT", &path, word), meanwhile);

    let budget = cast.ask('o', "GET", "/admin/v1/budgets/user:u1", Value::Null).await.body;
    let request = cast.ask('o', "GET", &path, Value::Null).await.body;
    (reply.status, budget["day_limit_usd"].clone(), request["state"].clone())
}

#[tokio::test]
async fn a_request_that_is_taken_back_while_it_is_approved_raises_nothing() {
    let ended = approved_while(async |cast, own| {
        let gone = cast.ask('m', "DELETE", own, Value::Null).await;
        assert_eq!(gone.body["state"], "withdrawn", "{}", gone.body);
    });

    assert_eq!(ended.await, (412, json!("1"), json!("withdrawn")));
}

#[tokio::test]
async fn a_budget_that_changes_while_more_is_approved_leaves_the_request_open() {
    let ended = approved_while(async |cast, _| {
        let limits = json!({"day_limit_usd": "3"});
        let put = cast.ask('o', "PUT", "/admin/v1/budgets/user:u1", limits).await;
        assert_eq!(put.status, 200, "{}", put.body);
    });

    assert_eq!(ended.await, (429, json!("3"), json!("open")));
}
