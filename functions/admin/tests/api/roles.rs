//! Who may what: each role at each route, and what the refusals tell.

use std::collections::BTreeMap;

use farebox_admin::{ROUTES, Route};
use serde_json::{Value, json};

use crate::world::{ADMIN_KEY, Reply, World};

/// Which roles a route lets in: `o`wner, `a`dmin, au`d`itor, `m`ember. Every route stands here
/// once; a new one without a row fails.
const MATRIX: &str = "
oad- GET /admin/v1/users
oad- GET /admin/v1/users/{id}
oa-- PUT /admin/v1/users/{id}
oad- GET /admin/v1/orgs
oad- GET /admin/v1/orgs/{id}
oa-- PUT /admin/v1/orgs/{id}
oad- GET /admin/v1/teams
oad- GET /admin/v1/teams/{id}
oa-- PUT /admin/v1/teams/{id}
oad- GET /admin/v1/keys
oa-- POST /admin/v1/keys
oad- GET /admin/v1/keys/{id}
oa-- PUT /admin/v1/keys/{id}
oa-- DELETE /admin/v1/keys/{id}
oa-- POST /admin/v1/keys/{id}/rotate
oad- GET /admin/v1/credentials
oad- GET /admin/v1/credentials/{owner}/{provider}
oa-- PUT /admin/v1/credentials/{owner}/{provider}
oa-- DELETE /admin/v1/credentials/{owner}/{provider}
oad- GET /admin/v1/credentials/{owner}/{provider}/{name}
oa-- PUT /admin/v1/credentials/{owner}/{provider}/{name}
oa-- DELETE /admin/v1/credentials/{owner}/{provider}/{name}
oad- GET /admin/v1/budgets
oad- GET /admin/v1/budgets/{scope+}
oa-- PUT /admin/v1/budgets/{scope+}
oad- GET /admin/v1/usage
oad- GET /admin/v1/usage/days/{day}
oad- GET /admin/v1/models
oad- GET /admin/v1/models/{provider}/{model+}
oad- GET /admin/v1/prices
oad- GET /admin/v1/prices/{provider}/{model+}
oa-- PUT /admin/v1/prices/{provider}/{model+}
oa-- DELETE /admin/v1/prices/{provider}/{model+}
oad- GET /admin/v1/discounts
oad- GET /admin/v1/discounts/{target+}
oa-- PUT /admin/v1/discounts/{target+}
oa-- DELETE /admin/v1/discounts/{target+}
oad- GET /admin/v1/catalogue
oa-- PUT /admin/v1/catalogue
oa-- DELETE /admin/v1/catalogue
oa-- POST /admin/v1/catalogue/preview
oad- GET /admin/v1/catalogue/lists
oad- GET /admin/v1/catalogue/lists/{version}
oad- GET /admin/v1/catalogue/version
oa-- PUT /admin/v1/catalogue/version
oad- GET /admin/v1/quarantine
oad- GET /admin/v1/quarantine/{provider}/{model+}
oa-- DELETE /admin/v1/quarantine/{provider}/{model+}
oad- GET /admin/v1/routes
oad- GET /admin/v1/routes/{name}
oa-- PUT /admin/v1/routes/{name}
oa-- DELETE /admin/v1/routes/{name}
oad- GET /admin/v1/limits/{scope+}
oa-- PUT /admin/v1/limits/{scope+}
oad- GET /admin/v1/webhook
oa-- PUT /admin/v1/webhook
oa-- DELETE /admin/v1/webhook
oad- GET /admin/v1/requests
oad- GET /admin/v1/requests/{id}
o--- GET /admin/v1/requests/{id}/content
oad- GET /admin/v1/content-log/{scope+}
o--- PUT /admin/v1/content-log/{scope+}
o--- DELETE /admin/v1/users/{id}/content
oad- GET /admin/v1/alerts
oad- GET /admin/v1/alerts/channels
oad- GET /admin/v1/alerts/operator
oa-- POST /admin/v1/alerts/test
oad- GET /admin/v1/corrections
oa-- POST /admin/v1/corrections
oa-- POST /admin/v1/rerate
oa-- POST /admin/v1/reconcile
oad- GET /admin/v1/charges
oad- GET /admin/v1/counters/{scope+}
o--- POST /admin/v1/settlements
o--- POST /admin/v1/restore-fence
oadm GET /admin/v1/session
oad- GET /admin/v1/queues
oadm GET /admin/v1/openapi.json
---m GET /admin/v1/me
---m GET /admin/v1/me/budgets
---m GET /admin/v1/me/requests
---m GET /admin/v1/me/requests/{id}
---m GET /admin/v1/me/alerts
---m GET /admin/v1/me/keys
---m POST /admin/v1/me/keys
---m GET /admin/v1/me/keys/{id}
---m PUT /admin/v1/me/keys/{id}
---m DELETE /admin/v1/me/keys/{id}
---m POST /admin/v1/me/keys/{id}/rotate
---m GET /admin/v1/me/credentials
---m GET /admin/v1/me/credentials/{provider}
---m PUT /admin/v1/me/credentials/{provider}
---m DELETE /admin/v1/me/credentials/{provider}
---m GET /admin/v1/me/credentials/{provider}/{name}
---m PUT /admin/v1/me/credentials/{provider}/{name}
---m DELETE /admin/v1/me/credentials/{provider}/{name}
---m GET /admin/v1/me/budget-requests
---m POST /admin/v1/me/budget-requests
---m GET /admin/v1/me/budget-requests/{id}
---m DELETE /admin/v1/me/budget-requests/{id}
oad- GET /admin/v1/budget-requests
oad- GET /admin/v1/budget-requests/{user}/{id}
oa-- PUT /admin/v1/budget-requests/{user}/{id}
oad- GET /admin/v1/admin-keys
o--- POST /admin/v1/admin-keys
oad- GET /admin/v1/admin-keys/{id}
o--- DELETE /admin/v1/admin-keys/{id}
o--- POST /admin/v1/admin-keys/{id}/rotate
oad- GET /admin/v1/iam
oad- GET /admin/v1/iam/{arn+}
o--- PUT /admin/v1/iam/{arn+}
o--- DELETE /admin/v1/iam/{arn+}
oad- GET /admin/v1/sso
oad- GET /admin/v1/sso/{subject+}
o--- PUT /admin/v1/sso/{subject+}
o--- DELETE /admin/v1/sso/{subject+}
oad- GET /admin/v1/sso-sessions
oad- GET /admin/v1/sso-sessions/{id}
o--- DELETE /admin/v1/sso-sessions/{id}
oad- GET /admin/v1/audit
";

const ROLES: [char; 4] = ['o', 'a', 'd', 'm'];

/// An IAM user of each role that one can have.
const PRINCIPALS: [(char, &str); 3] = [
    ('o', "arn:aws:iam::111122223333:user/owner"),
    ('a', "arn:aws:iam::111122223333:user/admin"),
    ('d', "arn:aws:iam::111122223333:user/auditor"),
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
        for (_, arn) in PRINCIPALS {
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

fn allowed() -> BTreeMap<String, String> {
    let rows = MATRIX.lines().filter_map(|line| line.split_once(' '));
    let rows: Vec<_> = rows.map(|(roles, route)| (route.to_owned(), roles.to_owned())).collect();
    let map: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(map.len(), rows.len(), "a route stands twice");
    map
}

/// A path of the route with something in it, and with nothing that there is.
fn paths(route: &Route, key: &str) -> [String; 2] {
    let fill = |user: &str, key: &str| {
        let id = if route.path.contains("/users/") { user } else { key };
        let is_rid = route.path.contains("requests/");
        let id = if is_rid { "01KAQ4ZV0M7W1C9Y3T5B8D2E6F" } else { id };
        route
            .path
            .replace("{id}", id)
            .replace("{owner}", user)
            .replace("{user}", user)
            .replace("{provider}", "openai")
            .replace("{version}", "2030-01-01.1")
            .replace("{day}", "2030-01-01")
            .replace("{name}", "fast")
            .replace("{model+}", "x")
            .replace("{target+}", "openai/*")
            .replace("{scope+}", &format!("user:{user}"))
            .replace("{arn+}", "arn:aws:iam::111122223333:role/Ops")
            .replace("{subject+}", &format!("group:{user}"))
    };
    [fill("u1", key), fill("nobody", "0000000000")]
}

#[test]
fn every_route_has_its_row() {
    let matrix = allowed();
    let routes: Vec<_> =
        ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();

    for route in &routes {
        assert!(matrix.contains_key(route), "without a row: {route}");
    }
    assert_eq!(matrix.len(), routes.len(), "a row without its route");
}

#[tokio::test]
async fn each_role_may_what_its_row_says_and_a_refusal_tells_nothing_else() {
    let (cast, matrix) = (Cast::new().await, allowed());
    let stranger = cast.world.ask_as("nobody", "GET", "/admin/v1/users", Value::Null).await;
    assert_eq!(stranger.status, 403);
    for route in ROUTES {
        let may = &matrix[&format!("{} {}", route.method, route.path)];
        let body = if matches!(route.method, "PUT" | "POST") { json!({}) } else { Value::Null };
        // The member's secret is needed to the end.
        let is_rotation = route.path.ends_with("/keys/{id}/rotate");
        let body = if is_rotation { json!({"grace_s": 3600}) } else { body };
        for role in ROLES {
            for path in paths(route, &cast.members[0].0) {
                // What is asked for last must not be gone by then.
                let is_needed = path.contains("u1") || path.contains(&cast.members[0].0);
                if route.method == "DELETE" && may.contains(role) && is_needed {
                    continue;
                }
                let reply = cast.ask(role, route.method, &path, body.clone()).await;
                let what = format!("{role} {} {path}: {}", route.method, reply.body);
                let code = reply.body["error"]["code"].as_str();
                if may.contains(role) {
                    assert_ne!(code, Some("forbidden"), "{what}");
                } else {
                    assert_eq!((reply.status, &reply.body), (403, &stranger.body), "{what}");
                }
                // The same by an IAM principal with the role; nobody signs as a member.
                if let Some((_, arn)) = PRINCIPALS.iter().find(|(known, _)| *known == role) {
                    let (method, path) = (route.method, format!("/iam{path}"));
                    let signed = cast.world.ask_signed(arn, method, &path, body.clone()).await;
                    let is_allowed = signed.body["error"]["code"] != "forbidden";
                    assert_eq!(is_allowed, may.contains(role), "{arn}: {what}");
                    assert!(is_allowed || signed.body == stranger.body, "{arn}: {what}");
                }
            }
        }
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
