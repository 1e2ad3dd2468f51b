//! Who may what, and what the refusals tell; each role at each route is in `matrix.rs`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::{ADMIN_KEY, Reply, World};

/// An IAM user of each role that one can have.
const PRINCIPALS: [&str; 3] = [
    "arn:aws:iam::111122223333:user/owner",
    "arn:aws:iam::111122223333:user/admin",
    "arn:aws:iam::111122223333:user/auditor",
];

/// A deployment with one of each role.
pub struct Cast {
    pub world: World,
    pub keys: BTreeMap<char, String>,
    /// A user's identity and key, and those of another.
    pub members: [(String, String); 2],
}

impl Cast {
    pub async fn new() -> Self {
        let world = World::new().await;
        let mut keys = BTreeMap::from([('o', ADMIN_KEY.to_owned())]);
        for (role, letter) in [("admin", 'a'), ("auditor", 'd')] {
            let body = json!({"name": role, "role": role});
            let made = world.ask("POST", "/admin/v1/admin-keys", body).await;
            assert_eq!(made.status, 201, "{}", made.body);
            keys.insert(letter, made.body["secret"].as_str().unwrap().to_owned());
        }
        for arn in PRINCIPALS {
            let role = arn.rsplit('/').next().unwrap();
            world.ask("PUT", &format!("/admin/v1/iam/{arn}"), json!({"role": role})).await;
        }
        let mut members = Vec::new();
        for user in ["u1", "u2"] {
            world.ask("PUT", &format!("/admin/v1/users/{user}"), json!({})).await;
            let body = json!({"user": user, "name": "ci"});
            let made = world.ask("POST", "/admin/v1/keys", body).await.body;
            let text = |field: &str| made[field].as_str().unwrap().to_owned();
            members.push((text("id"), text("secret")));
        }
        let members: [_; 2] = members.try_into().unwrap();
        keys.insert('m', members[0].1.clone());
        Self { world, keys, members }
    }

    pub async fn ask(&self, role: char, method: &str, path: &str, body: Value) -> Reply {
        self.world.ask_as(&self.keys[&role], method, path, body).await
    }
}

#[tokio::test]
async fn a_member_learns_not_even_which_paths_there_are() {
    let cast = Cast::new().await;
    for (method, path) in
        [("GET", "/admin/v1/nothing"), ("PATCH", "/admin/v1/users"), ("GET", "/x")]
    {
        assert_eq!(cast.ask('m', method, path, Value::Null).await.status, 403, "{method} {path}");
        assert!(matches!(cast.ask('d', method, path, Value::Null).await.status, 404 | 405));
    }
}

#[tokio::test]
async fn an_admin_key_is_shown_once_and_works_until_it_is_revoked_or_ends() {
    let world = World::new().await;
    let post = async |body: Value, seed: &str| {
        let headers = [("idempotency-key", seed)];
        world.ask_with(ADMIN_KEY, "POST", "/admin/v1/admin-keys", body, &headers).await
    };
    let body = json!({"name": "Ann", "role": "auditor"});
    let made = post(body.clone(), "a").await;
    let secret = made.body["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("sk-fba-local-"));
    assert_eq!(post(body, "a").await.body["secret"], secret);
    assert_eq!(post(json!({"name": "Ann", "role": "owner"}), "a").await.status, 422);
    for (body, field) in [
        (json!({"name": "x", "role": "member"}), "role"),
        (json!({"name": "x", "role": "Owner"}), "role"),
        (json!({"name": "", "role": "owner"}), "name"),
        (json!({"name": "x", "role": "owner", "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"name": "x", "role": "owner", "id": "x"}), "id"),
    ] {
        assert_eq!(post(body, "b").await.body["error"]["field"], field);
    }
    let path = format!("/admin/v1/admin-keys/{}", made.body["id"].as_str().unwrap());
    for list in ["/admin/v1/admin-keys", &path] {
        let shown = world.ask_as(&secret, "GET", list, Value::Null).await;
        assert_eq!(shown.status, 200, "{}", shown.body);
        assert!(!shown.body.to_string().contains(&secret[30..]));
    }
    let who = world.ask_as(&secret, "GET", "/admin/v1/session", Value::Null).await.body;
    let actor = format!("admin-key:{}", made.body["id"].as_str().unwrap());
    assert_eq!(who, json!({"actor": actor, "role": "auditor"}));

    // Rotated: both work in the overlap, then the successor alone.
    let rotate = format!("{path}/rotate");
    let next = world.ask("POST", &rotate, json!({"overlap_s": 3600})).await;
    let successor = next.body["secret"].as_str().unwrap();
    for key in [&*secret, successor] {
        let who = world.ask_as(key, "GET", "/admin/v1/session", Value::Null).await;
        assert_eq!(who.body["role"], "auditor");
    }
    assert_eq!(world.ask("POST", &rotate, json!({"overlap_s": 700_000})).await.status, 400);
    world.ask("POST", &rotate, json!({})).await;
    assert_eq!(world.ask_as(&secret, "GET", "/admin/v1/session", Value::Null).await.status, 403);

    let path = format!("/admin/v1/admin-keys/{}", next.body["id"].as_str().unwrap());
    assert_eq!(world.ask("DELETE", &path, Value::Null).await.body["state"], "revoked");
    assert_eq!(world.ask_as(successor, "GET", "/admin/v1/session", Value::Null).await.status, 403);
}

#[tokio::test]
async fn two_admin_keys_of_one_name_have_two_successors_whatever_their_rotations_are_called() {
    let world = World::new().await;
    let mut successors = Vec::new();
    for _ in 0..2 {
        let body = json!({"name": "ci", "role": "admin"});
        let made = world.ask("POST", "/admin/v1/admin-keys", body).await;
        let path = format!("/admin/v1/admin-keys/{}/rotate", made.body["id"].as_str().unwrap());
        let rotate = async || {
            let seed = [("idempotency-key", "monday")];
            world.ask_with(ADMIN_KEY, "POST", &path, json!({"overlap_s": 60}), &seed).await
        };
        let (first, again) = (rotate().await, rotate().await);
        assert_eq!((first.status, &first.body), (201, &again.body));
        successors.push(first.body["id"].clone());
    }

    assert_ne!(successors[0], successors[1]);
}

#[tokio::test]
async fn a_changed_character_of_an_admin_key_is_a_stranger() {
    let world = World::new().await;
    let body = json!({"name": "Ann", "role": "owner"});
    let made = world.ask("POST", "/admin/v1/admin-keys", body.clone()).await.body;
    let other = world.ask("POST", "/admin/v1/admin-keys", body).await.body;
    let (one, two) = (made["secret"].as_str().unwrap(), other["secret"].as_str().unwrap());
    // The identity of one with the secret of the other, and as a Farebox key.
    let (id, _) = one.rsplit_once('-').unwrap();
    let (_, secret) = two.rsplit_once('-').unwrap();
    let gateway = one.replacen("sk-fba-", "sk-fb-", 1);
    for key in [format!("{id}-{secret}"), one[..one.len() - 1].to_owned(), gateway] {
        let reply = world.ask_as(&key, "GET", "/admin/v1/session", Value::Null).await;
        assert_eq!(reply.status, 403, "{key}");
    }
}

#[tokio::test]
async fn an_iam_principal_has_the_role_that_it_was_given() {
    let world = World::new().await;
    let session = "arn:aws:sts::111122223333:assumed-role/Ops/ann";
    let ask =
        async |method: &str, path: &str| world.ask_signed(session, method, path, Value::Null).await;
    assert_eq!(ask("GET", "/iam/admin/v1/session").await.status, 403);

    let path = "/admin/v1/iam/arn:aws:iam::111122223333:role/eu/Ops";
    let put = world.ask("PUT", path, json!({"role": "auditor"})).await;
    assert_eq!(put.body["arn"], "arn:aws:iam::111122223333:role/Ops", "{}", put.body);

    let who = ask("GET", "/iam/admin/v1/session").await.body;
    assert_eq!(who, json!({"actor": format!("iam:{session}"), "role": "auditor"}));
    assert_eq!(ask("GET", "/iam/admin/v1/users").await.status, 200);
    assert_eq!(ask("DELETE", "/iam/admin/v1/webhook").await.status, 403);
    assert_eq!(world.ask("PUT", path, json!({"role": "member"})).await.status, 400);
    assert_eq!(world.ask("DELETE", path, Value::Null).await.status, 204);
    assert_eq!(ask("GET", "/iam/admin/v1/session").await.status, 403);
    // Without API Gateway's word there is no such path, whatever a header says.
    let bare = world.ask("GET", "/iam/admin/v1/session", Value::Null).await;
    assert_eq!(bare.status, 404);
}
