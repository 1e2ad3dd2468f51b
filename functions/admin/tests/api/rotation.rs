//! A key gets another secret and stays the same key.

use std::collections::BTreeSet;

use farebox_core::{GatewayKey, Secret, Timestamp};
use serde_json::{Value, json};

use crate::roles::Cast;
use crate::world::{ADMIN_KEY, Reply, World};

/// A key of the user `u1`: its path, its secret, and what was shown of it.
async fn made(world: &World) -> (String, String, Value) {
    world.ask("PUT", "/admin/v1/users/u1", json!({})).await;
    let body = json!({"user": "u1", "name": "ci", "models": ["demo/*"], "max_cost_usd": "0.5",
        "labels": {"team": "search"}, "expires_at": "2090-01-01T00:00:00Z"});
    let headers = [("idempotency-key", "first")];
    let made = world.ask_with(ADMIN_KEY, "POST", "/admin/v1/keys", body, &headers).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let path = format!("/admin/v1/keys/{}", made.body["id"].as_str().unwrap());
    (path, secret(&made), made.body)
}

fn secret(reply: &Reply) -> String {
    assert!(matches!(reply.status, 200 | 201), "{}", reply.body);
    reply.body["secret"].as_str().unwrap().to_owned()
}

async fn rotate(world: &World, path: &str, grace_s: u32, tag: &str, seed: &str) -> Reply {
    let headers = [("if-match", tag), ("idempotency-key", seed)];
    let headers: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let (path, body) = (format!("{path}/rotate"), json!({"grace_s": grace_s}));
    world.ask_with(ADMIN_KEY, "POST", &path, body, &headers).await
}

/// Which of these secrets chat takes so many seconds from now.
async fn taken(world: &World, secrets: &[&str], in_s: i64) -> Vec<bool> {
    let pepper = Secret::new(world.secret("pepper"));
    let now = world.gate.aws().now().plus_ms(in_s * 1000);
    let mut taken = Vec::new();
    for secret in secrets {
        let key = GatewayKey::parse(secret).unwrap();
        taken.push(world.gate_key(&key.id).await.accepts(&key, &pepper, now));
    }
    taken
}

#[tokio::test]
async fn a_rotated_key_is_the_same_key_with_another_secret() {
    let world = World::new().await;
    let (path, first, before) = made(&world).await;
    let tag = world.ask("GET", &path, Value::Null).await.etag;

    let rotated = rotate(&world, &path, 0, &tag, "").await;

    let second = secret(&rotated);
    assert_ne!(first, second);
    assert_eq!(taken(&world, &[&first, &second], 0).await, [false, true]);
    for (name, value) in before.as_object().unwrap() {
        if !matches!(&**name, "secret" | "version") {
            assert_eq!(rotated.body[name], *value, "{name}");
        }
    }
    let shown = world.ask("GET", &path, Value::Null).await;
    assert_eq!((&shown.etag, shown.etag == tag), (&rotated.etag, false));
    assert!(shown.body["rotated_at"].is_string() && shown.body["old_secret_until"].is_null());
    // The create cannot be answered again: what it showed works no more.
    let body = json!({"user": "u1", "name": "ci", "models": ["demo/*"], "max_cost_usd": "0.5",
        "labels": {"team": "search"}, "expires_at": "2090-01-01T00:00:00Z"});
    let headers = [("idempotency-key", "first")];
    let again = world.ask_with(ADMIN_KEY, "POST", "/admin/v1/keys", body, &headers).await;
    assert_eq!(again.status, 409, "{}", again.body);
}

#[tokio::test]
async fn an_old_secret_works_through_its_grace_and_no_longer() {
    let world = World::new().await;
    let (path, first, _) = made(&world).await;

    let second = rotate(&world, &path, 3_600, "*", "").await;

    let until = second.body["old_secret_until"].as_str().unwrap();
    let left_s = Timestamp::parse(until).unwrap().since(world.gate.aws().now()) / 1000;
    assert!((3_000..=3_600).contains(&left_s), "{left_s}");
    let second = secret(&second);
    assert_eq!(taken(&world, &[&first, &second], 3_000).await, [true, true]);
    assert_eq!(taken(&world, &[&first, &second], 3_601).await, [false, true]);
    // A later rotation lets none live longer than it was to, and without grace none at all.
    let third = secret(&rotate(&world, &path, 86_400, "*", "").await);
    let all = [&*first, &*second, &*third];
    assert_eq!(taken(&world, &all, 3_000).await, [true, true, true]);
    assert_eq!(taken(&world, &all, 3_601).await, [false, true, true]);
    let fourth = secret(&rotate(&world, &path, 0, "*", "").await);
    let all = [&*first, &*second, &*third, &*fourth];
    assert_eq!(taken(&world, &all, 0).await, [false, false, false, true]);
}

#[tokio::test]
async fn a_rotation_names_a_version_and_a_repeat_has_the_same_secret() {
    let world = World::new().await;
    let (path, ..) = made(&world).await;
    let tag = world.ask("GET", &path, Value::Null).await.etag;
    assert_eq!(rotate(&world, &path, 0, "", "a").await.status, 428);
    assert_eq!(rotate(&world, &path, 0, "\"7\"", "a").await.status, 412);

    let first = rotate(&world, &path, 60, &tag, "a").await;
    let again = rotate(&world, &path, 60, &tag, "a").await;

    assert_eq!((secret(&first), &first.etag), (secret(&again), &again.etag));
    let other = rotate(&world, &path, 0, &tag, "a").await;
    let code = other.body["error"]["code"].as_str();
    assert_eq!((other.status, code), (422, Some("idempotency_key_reused")));
    // Another request has not seen the rotation, and is shown the key as it is.
    let stale = rotate(&world, &path, 60, &tag, "b").await;
    assert_eq!((stale.status, &stale.etag), (412, &first.etag));
    assert_eq!(stale.body["error"]["current"]["id"], first.body["id"]);
    // A change of its settings does not make the repeat another one.
    world.ask("PUT", &path, json!({"name": "b"})).await;
    assert_eq!(secret(&rotate(&world, &path, 60, &tag, "a").await), secret(&first));
    // What another rotation has ended never comes back.
    let second = rotate(&world, &path, 0, "*", "b").await;
    assert_eq!(rotate(&world, &path, 60, &tag, "a").await.status, 412);
    let third = secret(&rotate(&world, &path, 60, "*", "a").await);
    assert_ne!(third, secret(&first));
    let all = [&*secret(&first), &*secret(&second), &*third];
    assert_eq!(taken(&world, &all, 0).await, [false, true, true]);
}

#[tokio::test]
async fn of_rotations_at_once_one_makes_the_secret() {
    let world = World::new().await;
    let (path, ..) = made(&world).await;
    for round in 0..5 {
        let (one, other) = (format!("a{round}"), format!("b{round}"));
        let tag = world.ask("GET", &path, Value::Null).await.etag;
        let by = |seed| rotate(&world, &path, 0, &tag, seed);
        let (a, b) = tokio::join!(by(&one), by(&other));
        let statuses = BTreeSet::from([a.status, b.status]);
        assert_eq!(statuses, BTreeSet::from([200, 412]));
        let won = secret(if a.status == 200 { &a } else { &b });
        assert_eq!(taken(&world, &[&won], 0).await, [true]);
    }
    // The same request twice at once.
    let tag = world.ask("GET", &path, Value::Null).await.etag;
    let twice = || rotate(&world, &path, 0, &tag, "c");
    let (a, b) = tokio::join!(twice(), twice());
    assert_eq!(secret(&a), secret(&b));
    assert_eq!(taken(&world, &[&secret(&a)], 0).await, [true]);
}

#[tokio::test]
async fn what_cannot_be_rotated_says_why() {
    let world = World::new().await;
    let (path, ..) = made(&world).await;
    assert_eq!(rotate(&world, "/admin/v1/keys/0000000000", 0, "*", "").await.status, 404);
    let long = rotate(&world, &path, 604_801, "*", "").await;
    assert_eq!((long.status, &long.body["error"]["field"]), (400, &json!("grace_s")));
    for _ in 0..4 {
        rotate(&world, &path, 600, "*", "").await;
    }
    let many = rotate(&world, &path, 600, "*", "").await;
    assert_eq!((many.status, &many.body["error"]["field"]), (400, &json!("grace_s")));
    assert_eq!(rotate(&world, &path, 0, "*", "").await.status, 200);

    world.ask("DELETE", &path, Value::Null).await;
    let revoked = rotate(&world, &path, 0, "*", "").await;
    assert_eq!((revoked.status, &revoked.body["error"]["field"]), (400, &json!("id")));
}

#[tokio::test]
async fn a_rotation_is_told_in_the_audit_without_a_secret() {
    let world = World::new().await;
    let (path, first, _) = made(&world).await;
    let second = secret(&rotate(&world, &path, 60, "*", "").await);

    let audit = world.ask("GET", "/admin/v1/audit", Value::Null).await.body;

    let target = format!("{path}/rotate");
    let told = audit["entries"].as_array().unwrap().iter().find(|row| row["target"] == target);
    let told = told.unwrap();
    assert_eq!((&told["action"], &told["http_status"]), (&json!("POST"), &json!(200)));
    assert_eq!(told["before"]["id"], told["after"]["id"]);
    assert!(told["after"]["rotated_at"].is_string(), "{told}");
    for secret in [first, second] {
        // What follows the identity.
        let (_, bare) = secret.rsplit_once('-').unwrap();
        assert!(!audit.to_string().contains(bare));
    }
}

#[tokio::test]
async fn a_member_rotates_its_own_key_and_no_other() {
    let cast = Cast::new().await;
    let [(own, old), (other, _)] = &cast.members;
    let ask = async |key: &str, id: &str| {
        let path = format!("/admin/v1/me/keys/{id}/rotate");
        cast.world.ask_with(key, "POST", &path, json!({}), &[("if-match", "*")]).await
    };
    assert_eq!(ask(old, other).await.status, 404);

    let new = secret(&ask(old, own).await);

    let me = async |key: &str| cast.world.ask_as(key, "GET", "/admin/v1/me", Value::Null).await;
    // The new one is known at once, and with it that the old one has ended.
    assert_eq!(me(&new).await.body["key_id"], **own);
    assert_eq!(me(old).await.status, 403);
}
