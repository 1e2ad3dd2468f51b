//! A change is based on a version; a create may be sent again.

use std::collections::BTreeSet;

use farebox_admin::auth::Right;
use farebox_admin::{ROUTES, Route};
use serde_json::{Value, json};

use crate::openapi::operations::is_versioned;
use crate::prices::{discount, list};
use crate::stage::{Ask, Stage, Thing};
use crate::world::{ADMIN_KEY, Reply, World};

/// What a `POST` does that makes nothing: it may be sent again as it is.
const ACTIONS: [&str; 5] = [
    "/admin/v1/catalogue/preview",
    "/admin/v1/rerate",
    "/admin/v1/reconcile",
    "/admin/v1/settlements",
    "/admin/v1/restore-fence",
];

/// One thing of each kind that has versions: path, a body, another body.
fn things(key: &str) -> Vec<(String, Value, Value)> {
    let thing = |path: &str, one: Value, other: Value| (format!("/admin/v1/{path}"), one, other);
    vec![
        thing("users/u1", json!({"name": "a"}), json!({"name": "b"})),
        thing("orgs/o1", json!({"name": "a"}), json!({"name": "b"})),
        thing("teams/t1", json!({"name": "a"}), json!({"name": "b"})),
        thing("credentials/u1/openai", json!({"secret": "a"}), json!({"secret": "b"})),
        thing("credentials/u1/openai/second", json!({"secret": "a"}), json!({"secret": "b"})),
        thing("budgets/user:u1", json!({"day_limit_usd": "1"}), json!({"day_limit_usd": "2"})),
        thing(
            "prices/openai/x",
            json!({"input": "1", "output": "1"}),
            json!({"input": "2", "output": "2"}),
        ),
        thing("discounts/openai/*", discount("10"), discount("12.5")),
        thing(
            "webhook",
            json!({"url": "https://a.example/"}),
            json!({"url": "https://b.example/"}),
        ),
        thing(
            "routes/fast",
            json!({"targets": [{"model": "openai/gpt-4o"}]}),
            json!({"targets": [{"model": "openai/gpt-4o-mini"}]}),
        ),
        thing(&format!("keys/{key}"), json!({"name": "a"}), json!({"name": "b"})),
        thing("limits/user:u1", json!({"concurrent": 1}), json!({"concurrent": 2})),
        thing("content-log/user:u1", json!({"days": 1}), json!({"days": 2})),
        thing(&format!("content-log/key:{key}"), json!({"days": 1}), json!({"days": 2})),
        thing("catalogue", list("2030-01-01"), list("2030-01-02")),
    ]
}

async fn with(world: &World, method: &str, path: &str, body: &Value, tag: &str) -> Reply {
    let headers = [("if-match", tag)];
    let headers = if tag.is_empty() { &headers[..0] } else { &headers[..] };
    world.ask_with(ADMIN_KEY, method, path, body.clone(), headers).await
}

async fn world() -> (World, String) {
    let world = World::new().await;
    world.ask("PUT", "/admin/v1/users/u1", json!({})).await;
    let made = world.ask("POST", "/admin/v1/keys", json!({"user": "u1", "name": "ci"})).await;
    let key = made.body["id"].as_str().unwrap().to_owned();
    (world, key)
}

/// A change of each route that has versions: it is refused without one and with another's, and
/// done with the one that was shown.
#[tokio::test]
async fn every_route_that_changes_something_with_a_version_asks_for_it() {
    let (mut stage, mut wrong) = (Stage::new().await, Vec::new());
    let routes: Vec<_> = ROUTES.iter().filter(|route| is_versioned(route)).collect();
    assert!(routes.len() > 30, "{}", routes.len());
    for route in routes {
        let role = if route.right == Right::Own { 'm' } else { 'o' };
        let who = stage.cast.keys[&role].clone();
        let ask = stage.ask(route.method, route.path, Thing::There).await;
        let thing = Ask { path: ask.path.replace("/rotate", ""), body: Value::Null, ..ask.clone() };
        let seen = stage.send_with("key", &who, "GET", &thing, &[]).await;
        let mut want = |is_so: bool, what: &str, reply: &Reply| {
            if !is_so {
                wrong.push(format!("{} {}: {what}: {}", route.method, ask.path, reply.raw));
            }
        };

        let with = async |headers: &[(&str, &str)]| {
            stage.send_with("key", &who, route.method, &ask, headers).await
        };
        let bare = with(&[]).await;
        want(bare.status == 428, "without a version", &bare);
        let stale = with(&[("if-match", "\"7\"")]).await;
        let shown = (&stale.body["error"]["current"], &stale.etag);
        want(stale.status == 412 && shown == (&seen.body, &seen.etag), "stale", &stale);
        if route.method == "PUT" {
            let there = with(&[("if-none-match", "*")]).await;
            want(there.status == 412, "made again", &there);
        }
        let done = with(&[("if-match", &seen.etag)]).await;
        want(done.status < 300, "based on what is there", &done);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whoever has a list or a thing can change it without another look.
#[tokio::test]
async fn a_body_and_a_row_of_a_list_tell_the_version() {
    let (mut stage, mut lists) = (Stage::new().await, BTreeSet::new());
    let is_changed = |path: &str| {
        let thing = |other: &str| other.trim_end_matches("/rotate") == path;
        ROUTES.iter().any(|other| is_versioned(other) && thing(other.path))
    };
    for route in ROUTES.iter().filter(|route| route.method == "GET" && is_changed(route.path)) {
        let role = if route.right == Right::Own { 'm' } else { 'o' };
        let who = stage.cast.keys[&role].clone();
        let ask = stage.ask("GET", route.path, Thing::There).await;

        let seen = stage.send_with("key", &who, "GET", &ask, &[]).await;

        let version = seen.body["version"].as_str().unwrap_or_default().to_owned();
        assert_eq!(format!("\"{version}\""), seen.etag, "{}: {}", ask.path, seen.body);
        let path = route.path.split("/{").next().unwrap();
        let is_list = |other: &&Route| other.method == "GET" && other.path == path;
        let is_paged = |other: &&Route| other.query.contains(&"limit");
        if path == route.path || !ROUTES.iter().filter(is_list).any(|other| is_paged(&other)) {
            continue;
        }
        let query = if path == "/admin/v1/credentials" { "?user=u1" } else { "" };
        let ask = Ask { path: format!("{path}{query}"), ..ask };
        let list = stage.send_with("key", &who, "GET", &ask, &[]).await;
        let rows = list.body.as_object().unwrap().values().find_map(Value::as_array).unwrap();
        let versions: Vec<_> = rows.iter().map(|row| row["version"].as_str().unwrap()).collect();
        assert!(versions.contains(&&*version), "{path}: {version} {}", list.body);
        lists.insert(path);
    }
    assert_eq!(lists.len(), 21, "{lists:?}");
}

#[tokio::test]
async fn every_change_needs_the_version_that_it_is_based_on() {
    let (world, key) = world().await;
    for (path, one, other) in things(&key) {
        let before = world.ask("GET", &path, Value::Null).await;
        let tag = if before.status == 404 { "\"0\"".to_owned() } else { before.etag };

        assert_eq!(with(&world, "PUT", &path, &one, "").await.status, 428, "{path}");
        let first = with(&world, "PUT", &path, &one, &tag).await;
        assert_eq!(first.status, 200, "{path}: {}", first.body);
        let stale = with(&world, "PUT", &path, &other, &tag).await;
        assert_eq!((stale.status, &stale.etag), (412, &first.etag), "{path}");
        let current = world.ask("GET", &path, Value::Null).await;
        assert_eq!(stale.body["error"]["current"], current.body, "{path}");
        assert_eq!(current.etag, first.etag, "{path}");
        let second = with(&world, "PUT", &path, &other, &first.etag).await;
        assert_eq!(second.status, 200, "{path}: {}", second.body);
        assert_ne!(second.etag, first.etag, "{path}");
        assert_eq!(with(&world, "PUT", &path, &one, "*").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_deletion_needs_the_version_too_and_what_comes_after_it_has_another() {
    let (world, key) = world().await;
    let path = format!("/admin/v1/keys/{key}");
    let none = Value::Null;
    let seen = world.ask("GET", &path, none.clone()).await;
    assert_eq!(with(&world, "DELETE", &path, &none, "").await.status, 428);
    assert_eq!(with(&world, "DELETE", &path, &none, "\"7\"").await.status, 412);
    assert_eq!(with(&world, "DELETE", &path, &none, &seen.etag).await.body["state"], "revoked");

    for (path, body) in [
        ("/admin/v1/prices/openai/x", json!({"input": "1", "output": "1"})),
        ("/admin/v1/discounts/*", discount("10")),
        ("/admin/v1/catalogue", list("2030-01-01")),
        ("/admin/v1/webhook", json!({"url": "https://a.example/"})),
        ("/admin/v1/credentials/u1/openai", json!({"secret": "a"})),
    ] {
        let made = world.ask("PUT", path, body.clone()).await;
        assert_eq!(with(&world, "DELETE", path, &none, "").await.status, 428, "{path}");
        assert_eq!(with(&world, "DELETE", path, &none, "\"7\"").await.status, 412, "{path}");
        let gone = with(&world, "DELETE", path, &none, &made.etag).await;
        assert!(matches!(gone.status, 200 | 204), "{path}: {}", gone.body);
        // The version of what was there is not that of what is made in its place.
        let again = world.ask("PUT", path, body).await;
        assert_ne!(again.etag, made.etag, "{path}");
        assert_eq!(with(&world, "DELETE", path, &none, &made.etag).await.status, 412, "{path}");
    }
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_told_that_it_is_stale() {
    let (world, _) = world().await;
    let path = "/admin/v1/users/u1";
    for round in 0..10 {
        let seen = world.ask("GET", path, Value::Null).await.etag;
        let change =
            async |name: &str| with(&world, "PUT", path, &json!({"name": name}), &seen).await;

        let (a, b) = tokio::join!(change("a"), change("b"));

        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "{round}");
        let now = world.ask("GET", path, Value::Null).await;
        let won = if a.status == 200 { "a" } else { "b" };
        assert_eq!(now.body["name"], won);
    }
}

#[tokio::test]
async fn a_change_of_the_webhook_that_comes_second_leaves_the_firsts_secret_as_it_is() {
    let world = World::new().await;
    let path = "/admin/v1/webhook";
    let hook = |name: &str| json!({"url": format!("https://{name}.example/")});
    let seen = world.ask("PUT", path, hook("old")).await.etag;
    let change = async |name: &str| with(&world, "PUT", path, &hook(name), &seen).await;
    // The late one has looked, and is about to begin.
    let (arrives, go) = world.hold("PutItem");
    let first = async {
        arrives.await.unwrap();
        let first = change("first").await;
        go.send(()).unwrap();
        first
    };

    let (late, first) = tokio::join!(change("late"), first);

    assert_eq!((first.status, late.status), (200, 412), "{}", late.body);
    assert_eq!(first.body["secret"].as_str(), Some(&*world.secret("farebox/test/webhook")));
    assert_eq!(world.ask("GET", path, Value::Null).await.body["url"], hook("first")["url"]);
}

#[tokio::test]
async fn if_none_match_makes_what_is_not_there_and_nothing_else() {
    let world = World::new().await;
    let make = async || {
        let (path, headers) = ("/admin/v1/users/u1", [("if-none-match", "*")]);
        world.ask_with(ADMIN_KEY, "PUT", path, json!({}), &headers).await.status
    };

    assert_eq!((make().await, make().await), (200, 412));
}

/// Each `POST` that makes something: sent twice with one `Idempotency-Key` it makes one thing, and
/// with another body it is refused.
#[tokio::test]
async fn every_create_that_is_sent_again_makes_nothing_more() {
    let mut stage = Stage::new().await;
    let makes = |route: &&Route| {
        // A rotation changes a key and is repeated with its version: tests/api/rotation.rs.
        let is_rotation = route.path.contains("{id}");
        route.method == "POST" && !is_rotation && !ACTIONS.contains(&route.path)
    };
    for route in ROUTES.iter().filter(makes) {
        let role = if route.right == Right::Own { 'm' } else { 'o' };
        let who = stage.cast.keys[&role].clone();
        let mut ask = stage.ask("POST", route.path, Thing::There).await;
        // A correction's own id goes before the header.
        ask.body.as_object_mut().unwrap().remove("id");
        let send = async |ask: &Ask, seed: &str| {
            let headers = [("idempotency-key", seed)];
            stage.send_with("key", &who, "POST", ask, &headers).await
        };

        let first = send(&ask, "a").await;
        let again = send(&ask, "a").await;

        assert!(first.status < 300, "{}: {}", route.path, first.body);
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{}", route.path);
        let other = send(&ask, "b").await;
        let is_other = other.status < 300 && other.body != first.body;
        assert!(is_other || other.status == 403, "{}: {}", route.path, other.body);
        let mut changed = ask.clone();
        let fields = changed.body.as_object_mut().unwrap();
        let (name, value) = match route.path {
            "/admin/v1/alerts/test" => ("scope", "user:u2"),
            "/admin/v1/corrections" | "/admin/v1/me/budget-requests" => ("reason", "another"),
            _ => ("name", "another"),
        };
        fields.insert(name.to_owned(), value.into());
        let reused = send(&changed, "a").await;
        let code = reused.body["error"]["code"].as_str().unwrap_or_default();
        let is_refused = matches!(code, "idempotency_key_reused" | "already_exists");
        assert!(is_refused, "{}: {}", route.path, reused.body);
    }
    let tests = stage.cast.world.ask("GET", "/admin/v1/alerts", Value::Null).await;
    assert_eq!(tests.body["alerts"].as_array().map(Vec::len), Some(2), "{}", tests.body);
}

#[tokio::test]
async fn a_key_that_is_asked_for_again_is_the_same_key() {
    let (world, _) = world().await;
    let post = async |seed: &str, name: &str| {
        let body = json!({"user": "u1", "name": name, "max_cost_usd": "0.5"});
        let headers = [("idempotency-key", seed)];
        world.ask_with(ADMIN_KEY, "POST", "/admin/v1/keys", body, &headers).await
    };

    let first = post("a", "ci").await;
    let again = post("a", "ci").await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_ne!(post("b", "ci").await.body["id"], first.body["id"]);
    let other = post("a", "another").await;
    assert_eq!((other.status, other.body["error"]["code"].as_str()), {
        (422, Some("idempotency_key_reused"))
    });
    let path = format!("/admin/v1/keys/{}", first.body["id"].as_str().unwrap());
    world.ask("DELETE", &path, Value::Null).await;
    assert_eq!(post("a", "ci").await.status, 409);
    let listed = world.ask("GET", "/admin/v1/keys?user=u1", Value::Null).await;
    assert_eq!(listed.body["keys"].as_array().map(Vec::len), Some(3));
    assert_eq!(post(&"x".repeat(256), "ci").await.status, 400);
}
