//! Who changed what.

use farebox_aws::control::{Control, Entry, Expected, Trail};
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn a_change_is_told_with_what_was_before_and_without_secrets() {
    let world = World::new().await;
    world.ask("PUT", "/admin/v1/users/u1", json!({"name": "Ann"})).await;
    world.ask("PUT", "/admin/v1/users/u1", json!({"name": "Bea"})).await;
    let body = json!({"secret": "sk-canary"});
    world.ask("PUT", "/admin/v1/credentials/u1/openai", body).await;
    let made = world.ask("POST", "/admin/v1/keys", json!({"user": "u1", "name": "ci"})).await;
    world.ask("PUT", "/admin/v1/users/u1", json!({"name": ""})).await;
    world.ask("GET", "/admin/v1/users/u1", Value::Null).await;

    let told = world.ask("GET", "/admin/v1/audit", Value::Null).await.body;

    let entries = told["entries"].as_array().unwrap();
    let paths: Vec<_> = entries.iter().map(|one| one["target"].as_str().unwrap()).collect();
    let (user, credential) = ("/admin/v1/users/u1", "/admin/v1/credentials/u1/openai");
    // What was refused before its first write, and what was only read, changed nothing.
    assert_eq!(paths, ["/admin/v1/keys", credential, user, user]);
    let second = &entries[2];
    assert_eq!(
        (&second["before"]["name"], &second["after"]["name"]),
        (&json!("Ann"), &json!("Bea"))
    );
    assert_eq!(entries[3]["before"], Value::Null);
    for one in entries {
        assert_eq!((&one["actor"], &one["role"]), (&json!("admin-key:root"), &json!("owner")));
        assert_eq!(one["outcome"], "done");
    }
    let secret = made.body["secret"].as_str().unwrap();
    assert!(!told.to_string().contains("canary") && !told.to_string().contains(secret));
    assert_eq!(entries[0]["after"]["id"], made.body["id"]);
}

#[tokio::test]
async fn the_audit_is_paged_and_filtered_and_repeats_nothing() {
    let world = World::new().await;
    for number in 0..5 {
        let path = format!("/admin/v1/users/u{number}");
        world.ask("PUT", &path, json!({})).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/admin/v1/audit?limit=2".to_owned());
    loop {
        let page = world.ask("GET", &path, Value::Null).await.body;
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= 2);
        seen.extend(entries.iter().map(|one| one["target"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/admin/v1/audit?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let wanted: Vec<_> = (0..5).rev().map(|number| format!("/admin/v1/users/u{number}")).collect();
    assert_eq!(seen, wanted);

    let count = async |query: &str| {
        let path = format!("/admin/v1/audit?{query}");
        let page = world.ask("GET", &path, Value::Null).await;
        page.body["entries"].as_array().map(Vec::len)
    };
    assert_eq!(count("target=/admin/v1/users/u3").await, Some(1));
    assert_eq!(count("actor=admin-key:").await, Some(5));
    assert_eq!(count("actor=admin-key").await, Some(0));
    assert_eq!(count("action=DELETE").await, Some(0));
    assert_eq!(count("from=2099-01-01T00:00:00Z").await, Some(0));
    assert_eq!(count("to=2026-01-01T00:00:00Z").await, Some(0));
    assert_eq!(count("from=yesterday").await, None);
    assert_eq!(count("cursor=user:u1").await, None);
}

#[tokio::test]
async fn nothing_is_written_without_a_trail_and_a_trail_is_written_once() {
    let world = World::new().await;
    let control = Control::new(world.gate.aws());
    let org = "o1".parse().unwrap();

    assert!(control.put_org(&org, None, Expected::Any).await.is_err());
    assert_eq!(world.ask("GET", "/admin/v1/orgs/o1", Value::Null).await.status, 404);

    let id = world.gate.aws().new_rid();
    let entry = |actor: &str| Entry {
        id,
        actor: actor.to_owned(),
        role: "owner",
        action: "PUT".to_owned(),
        target: "/admin/v1/orgs/o1".to_owned(),
        before: Value::Null,
    };
    for actor in ["the first", "a second"] {
        let trail = Trail::new(world.gate.aws(), entry(actor));
        control.on_trail(trail).put_org(&org, None, Expected::Any).await.unwrap();
    }
    let told = world.ask("GET", "/admin/v1/audit", Value::Null).await.body;
    assert_eq!(told["entries"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["entries"][0]["actor"], "the first");
    // Nobody told its end: it may be in force, and here it is.
    assert_eq!(told["entries"][0]["outcome"], "unknown");
}
