//! Who gets what: each role at each route, for what is there, what is another's and what is not
//! there; with bodies that would do it.
//!
//! `FAREBOX_WRITE=1` writes the table of docs/http-api.md again.

use std::collections::BTreeMap;

use farebox_admin::ROUTES;
use serde_json::Value;

use crate::openapi::operations::is_versioned;
use crate::stage::{Ask, ROLES, Stage, Thing};

/// Which roles a route lets in: `o`wner, `a`dmin, au`d`itor, `m`ember; what it answers them of
/// what is there (of a member, its own), of what is another member's, and of what is not there;
/// `-` where the route can name no such thing. Everybody else gets the one 403. Every route
/// stands here once.
const MATRIX: &str = "
oad- 200  -   -  GET /admin/v1/users
oad- 200  -  404 GET /admin/v1/users/{id}
oa-- 200  -  200 PUT /admin/v1/users/{id}
oad- 200  -   -  GET /admin/v1/orgs
oad- 200  -  404 GET /admin/v1/orgs/{id}
oa-- 200  -  200 PUT /admin/v1/orgs/{id}
oad- 200  -   -  GET /admin/v1/teams
oad- 200  -  404 GET /admin/v1/teams/{id}
oa-- 200  -  200 PUT /admin/v1/teams/{id}
oad- 200  -   -  GET /admin/v1/keys
oa-- 201  -  400 POST /admin/v1/keys
oad- 200  -  404 GET /admin/v1/keys/{id}
oa-- 200  -  404 PUT /admin/v1/keys/{id}
oa-- 200  -  404 DELETE /admin/v1/keys/{id}
oa-- 200  -  404 POST /admin/v1/keys/{id}/rotate
oad- 200  -  404 GET /admin/v1/credentials
oad- 200  -  404 GET /admin/v1/credentials/{owner}/{provider}
oa-- 200  -  404 PUT /admin/v1/credentials/{owner}/{provider}
oa-- 200  -  404 DELETE /admin/v1/credentials/{owner}/{provider}
oad- 200  -  404 GET /admin/v1/credentials/{owner}/{provider}/{name}
oa-- 200  -  404 PUT /admin/v1/credentials/{owner}/{provider}/{name}
oa-- 200  -  404 DELETE /admin/v1/credentials/{owner}/{provider}/{name}
oad- 200  -   -  GET /admin/v1/budgets
oad- 200  -  404 GET /admin/v1/budgets/{scope+}
oa-- 200  -  404 PUT /admin/v1/budgets/{scope+}
oad- 200  -   -  GET /admin/v1/usage
oad- 200  -   -  GET /admin/v1/usage/days/{day}
oad- 200  -   -  GET /admin/v1/models
oad- 200  -  404 GET /admin/v1/models/{provider}/{model+}
oad- 200  -   -  GET /admin/v1/prices
oad- 200  -  404 GET /admin/v1/prices/{provider}/{model+}
oa-- 200  -  200 PUT /admin/v1/prices/{provider}/{model+}
oa-- 204  -  404 DELETE /admin/v1/prices/{provider}/{model+}
oad- 200  -   -  GET /admin/v1/discounts
oad- 200  -  404 GET /admin/v1/discounts/{target+}
oa-- 200  -  200 PUT /admin/v1/discounts/{target+}
oa-- 204  -  404 DELETE /admin/v1/discounts/{target+}
oad- 200  -   -  GET /admin/v1/catalogue
oa-- 200  -   -  PUT /admin/v1/catalogue
oa-- 204  -  404 DELETE /admin/v1/catalogue
oa-- 200  -   -  POST /admin/v1/catalogue/preview
oad- 200  -   -  GET /admin/v1/catalogue/lists
oad- 200  -  404 GET /admin/v1/catalogue/lists/{version}
oad- 200  -   -  GET /admin/v1/catalogue/version
oa-- 200  -  400 PUT /admin/v1/catalogue/version
oad- 200  -   -  GET /admin/v1/quarantine
oad- 200  -  404 GET /admin/v1/quarantine/{provider}/{model+}
oa-- 204  -  404 DELETE /admin/v1/quarantine/{provider}/{model+}
oad- 200  -   -  GET /admin/v1/routes
oad- 200  -  404 GET /admin/v1/routes/{name}
oa-- 200  -  200 PUT /admin/v1/routes/{name}
oa-- 204  -  404 DELETE /admin/v1/routes/{name}
oad- 200  -   -  GET /admin/v1/limits
oad- 200  -  404 GET /admin/v1/limits/{scope+}
oa-- 200  -  404 PUT /admin/v1/limits/{scope+}
oad- 200  -  404 GET /admin/v1/webhook
oa-- 200  -  200 PUT /admin/v1/webhook
oa-- 204  -  404 DELETE /admin/v1/webhook
oad- 200  -   -  GET /admin/v1/requests
oad- 200  -  404 GET /admin/v1/requests/{id}
o--- 200  -  404 GET /admin/v1/requests/{id}/content
oad- 200  -   -  GET /admin/v1/content-log
oad- 200  -  404 GET /admin/v1/content-log/{scope+}
o--- 200  -  404 PUT /admin/v1/content-log/{scope+}
o--- 200  -  200 DELETE /admin/v1/users/{id}/content
oad- 200  -   -  GET /admin/v1/alerts
oad- 200  -   -  GET /admin/v1/alerts/channels
oad- 200  -   -  GET /admin/v1/alerts/operator
oad- 200  -  404 GET /admin/v1/alerts/operator/{alert+}
oa-- 200  -  404 DELETE /admin/v1/alerts/operator/{alert+}
oa-- 201  -  400 POST /admin/v1/alerts/test
oad- 200  -   -  GET /admin/v1/corrections
oa-- 200  -  400 POST /admin/v1/corrections
oa-- 200  -   -  POST /admin/v1/rerate
oa-- 200  -   -  POST /admin/v1/reconcile
oad- 200  -   -  GET /admin/v1/charges
oad- 200  -  404 GET /admin/v1/counters/{scope+}
o--- 200  -   -  POST /admin/v1/settlements
o--- 200  -   -  POST /admin/v1/restore-fence
oadm 200  -   -  GET /admin/v1/session
oadm 200  -   -  GET /admin/v1/openapi.json
---m 200  -   -  GET /admin/v1/me
---m 200  -   -  GET /admin/v1/me/budgets
---m 200  -   -  GET /admin/v1/me/requests
---m 200 404 404 GET /admin/v1/me/requests/{id}
---m 200 404 404 GET /admin/v1/me/alerts
---m 200  -   -  GET /admin/v1/me/keys
---m 201  -   -  POST /admin/v1/me/keys
---m 200 404 404 GET /admin/v1/me/keys/{id}
---m 200 404 404 PUT /admin/v1/me/keys/{id}
---m 200 404 404 DELETE /admin/v1/me/keys/{id}
---m 200 404 404 POST /admin/v1/me/keys/{id}/rotate
---m 200  -   -  GET /admin/v1/me/credentials
---m 200 404 404 GET /admin/v1/me/credentials/{provider}
---m 200  -  200 PUT /admin/v1/me/credentials/{provider}
---m 200 404 404 DELETE /admin/v1/me/credentials/{provider}
---m 200 404 404 GET /admin/v1/me/credentials/{provider}/{name}
---m 200  -  200 PUT /admin/v1/me/credentials/{provider}/{name}
---m 200 404 404 DELETE /admin/v1/me/credentials/{provider}/{name}
---m 200  -   -  GET /admin/v1/me/budget-requests
---m 201  -   -  POST /admin/v1/me/budget-requests
---m 200 404 404 GET /admin/v1/me/budget-requests/{id}
---m 200 404 404 DELETE /admin/v1/me/budget-requests/{id}
oad- 200  -   -  GET /admin/v1/budget-requests
oad- 200  -  404 GET /admin/v1/budget-requests/{user}/{id}
oa-- 200  -  404 PUT /admin/v1/budget-requests/{user}/{id}
oad- 200  -   -  GET /admin/v1/admin-keys
o--- 201  -   -  POST /admin/v1/admin-keys
oad- 200  -  404 GET /admin/v1/admin-keys/{id}
o--- 200  -  404 DELETE /admin/v1/admin-keys/{id}
o--- 201  -  404 POST /admin/v1/admin-keys/{id}/rotate
oad- 200  -   -  GET /admin/v1/iam
oad- 200  -  404 GET /admin/v1/iam/{arn+}
o--- 200  -  200 PUT /admin/v1/iam/{arn+}
o--- 204  -  404 DELETE /admin/v1/iam/{arn+}
oad- 200  -   -  GET /admin/v1/sso
oad- 200  -  404 GET /admin/v1/sso/{subject+}
o--- 200  -  200 PUT /admin/v1/sso/{subject+}
o--- 204  -  404 DELETE /admin/v1/sso/{subject+}
oad- 200  -   -  GET /admin/v1/sso-sessions
oad- 200  -  404 GET /admin/v1/sso-sessions/{id}
o--- 200  -  404 DELETE /admin/v1/sso-sessions/{id}
oad- 200  -   -  GET /admin/v1/queues
oad- 200  -   -  GET /admin/v1/audit
";

/// One row of the table.
pub struct Row {
    pub roles: &'static str,
    /// By [`Thing`].
    pub answers: [(Thing, Option<u16>); 3],
}

pub fn rows() -> BTreeMap<&'static str, Row> {
    let lines: Vec<_> = MATRIX.lines().filter(|line| !line.is_empty()).collect();
    let rows = lines.iter().map(|line| {
        let (roles, rest) = line.split_once(' ').unwrap();
        let mut rest = rest.trim();
        let mut answer = || {
            let (status, more) = rest.split_once(' ').unwrap();
            rest = more.trim();
            status.parse().ok()
        };
        let answers =
            [(Thing::There, answer()), (Thing::Others, answer()), (Thing::Absent, answer())];
        (rest, Row { roles, answers })
    });
    let rows: BTreeMap<_, _> = rows.collect();
    assert_eq!(rows.len(), lines.len(), "a route stands twice");
    rows
}

#[test]
fn every_route_has_its_row() {
    let matrix = rows();
    let routes: Vec<_> =
        ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();

    for route in &routes {
        assert!(matrix.contains_key(&**route), "without a row: {route}");
    }
    assert_eq!(matrix.len(), routes.len(), "a row without its route");
}

/// The same with a field that no route takes.
fn misspelt(ask: &Ask) -> Ask {
    let mut body = ask.body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("colour".to_owned(), Value::from("red"));
    }
    Ask { body, ..ask.clone() }
}

/// The answers of every third route, from the first, the second or the third one on.
async fn judge(first: usize) {
    let (mut stage, matrix) = (Stage::new().await, rows());
    let nobody = Ask { path: "/admin/v1/users".into(), body: Value::Null, name: "x".into() };
    let stranger = stage.send("key", "nobody", "GET", &nobody).await;
    assert_eq!(stranger.status, 403);
    let mut wrong = Vec::new();
    for route in ROUTES.iter().skip(first).step_by(3) {
        let row = &matrix[&*format!("{} {}", route.method, route.path)];
        // Whoever is refused changes nothing, so one thing is there for all of them.
        let mut refused = Vec::new();
        for (thing, status) in row.answers {
            if status.is_some() {
                refused.push(stage.ask(route.method, route.path, thing).await);
            }
        }
        for (role, how, who) in stage.askers() {
            let what = |ask: &Ask| format!("{role} by {how}: {} {}", route.method, ask.path);
            if !row.roles.contains(role) {
                for ask in &refused {
                    let reply = stage.send(how, &who, route.method, ask).await;
                    if reply.raw != stranger.raw {
                        wrong.push(format!("{}: not the one refusal: {}", what(ask), reply.raw));
                    }
                    // Nor does it learn what is missing or wrong in what it sends.
                    let bare = stage.send_with(how, &who, route.method, &misspelt(ask), &[]).await;
                    if bare.raw != stranger.raw {
                        wrong.push(format!("{}, misspelt: {}", what(ask), bare.raw));
                    }
                }
                continue;
            }
            if route.method != "GET" && how == "key" {
                let ask = stage.ask(route.method, route.path, Thing::There).await;
                let bare = stage.send_with(how, &who, route.method, &ask, &[]).await;
                if is_versioned(route) && bare.status != 428 {
                    wrong.push(format!("{}, of no version: {}", what(&ask), bare.raw));
                }
                let misspelt = stage.send(how, &who, route.method, &misspelt(&ask)).await;
                // A list of prices and a record may be of a newer release, with more in them.
                let is_document = ["catalogue", "catalogue/preview", "settlements"]
                    .iter()
                    .any(|end| route.path.strip_prefix("/admin/v1/") == Some(*end));
                if route.method != "DELETE" && !is_document && misspelt.status != 400 {
                    wrong.push(format!("{}, misspelt: {}", what(&ask), misspelt.raw));
                }
            }
            let mut unlike = Vec::new();
            for (thing, status) in row.answers {
                let Some(status) = status else { continue };
                let ask = stage.ask(route.method, route.path, thing).await;
                let reply = stage.send(how, &who, route.method, &ask).await;
                if reply.status != status {
                    let told = format!("{} for {status}: {}", reply.status, reply.raw);
                    wrong.push(format!("{}: {told}", what(&ask)));
                }
                if thing != Thing::There {
                    unlike.push(reply.raw.replace(&ask.name, "NAME"));
                }
            }
            // What is another's is as if it were not there, by the byte.
            if unlike.windows(2).any(|two| two[0] != two[1]) {
                wrong.push(format!("{role} by {how}: {} tells apart: {unlike:#?}", route.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn each_role_gets_what_its_row_says_at_the_first_third_of_the_routes() {
    judge(0).await;
}

#[tokio::test]
async fn each_role_gets_what_its_row_says_at_the_second_third_of_the_routes() {
    judge(1).await;
}

#[tokio::test]
async fn each_role_gets_what_its_row_says_at_the_last_third_of_the_routes() {
    judge(2).await;
}

/// The table as people read it: in the order of the routes.
fn written() -> String {
    let mut lines = vec![
        "| route | owner | admin | auditor | member | another's | absent |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    let table = rows();
    for route in ROUTES {
        let name = format!("{} {}", route.method, route.path);
        let row = &table[&*name];
        let cell = |answer: Option<u16>| answer.map_or(String::new(), |status| status.to_string());
        let [(_, there), (_, others), (_, absent)] = row.answers;
        let of = |role: char| if row.roles.contains(role) { cell(there) } else { "–".to_owned() };
        let roles = ROLES.map(|(role, _)| of(role)).join(" | ");
        let name = name.replace("/admin/v1", "").replace('+', "");
        lines.push(format!("| `{name}` | {roles} | {} | {} |", cell(others), cell(absent)));
    }
    lines.join("\n")
}

#[test]
fn the_table_for_people_is_the_matrix() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http-api.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- matrix -->\n", "\n<!-- end of matrix -->");
    let (head, rest) = text.split_once(begin).unwrap();
    let (table, tail) = rest.split_once(end).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let is_written = std::env::var_os("FAREBOX_WRITE").is_some();
    if is_written {
        std::fs::write(&path, format!("{head}{begin}{}{end}{tail}", written())).unwrap();
        return;
    }

    let hint = "write it again with FAREBOX_WRITE=1 cargo test -p farebox-admin matrix";
    assert!(table == written(), "docs/http-api.md is not what the matrix says: {hint}");
}
