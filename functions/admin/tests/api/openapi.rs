//! The description of the API: written from the types and the routes, pinned to
//! `docs/openapi.json`. `FAREBOX_WRITE=1 cargo test -p farebox-admin openapi` writes it again.

use std::collections::{BTreeMap, BTreeSet};

use farebox_admin::ROUTES;
use farebox_api as api;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::schema;
use crate::world::World;

mod bounds;
pub mod operations;
mod rows;
mod settlement;

use operations::{TAGS, headers, operation, responses};
use rows::ROWS;

const ABOUT: &str = "\
Everything that can be set and seen of a Farebox deployment.

**Who asks.** An admin key or a member's Farebox key as `Authorization: Bearer …`, a request \
signed by IAM below `/iam`, or the console's session. A stranger and a role that may not get the \
same 403 \
whatever was asked for. `x-roles` names the roles of an operation.

**Changes** name the version that they are based on: `If-Match` with the `ETag` that was shown \
(428 without, 412 with `current` where somebody else was first). Creates take an `Idempotency-Key`.

**Lists** come in pages: `limit` (100 unasked and at most, but for `usage`, which says its own) \
and `cursor`, from `next_cursor`.

**Amounts** are decimal texts of USD. Times are RFC 3339, in UTC.

**Refusals** have one shape, whatever the status: `error.code`, `error.message`, and `error.field` \
where one field is wrong. What API Gateway answers by itself has it too: a wrong signature (403), \
too large a request (413), too many (429), or a code `gateway_refused` or `gateway_failed`.";

/// How somebody may be known.
fn schemes() -> Value {
    let bearer = |text: &str| json!({"type": "http", "scheme": "bearer", "description": text});
    json!({
        "adminKey": bearer("The deployment's own admin key, or one that an owner has made: \
        `sk-fba-…`."),
        "memberKey": bearer("A Farebox key: `sk-fb-…`. Whoever holds it is a member."),
        "session": {
            "type": "apiKey", "in": "cookie", "name": "__Host-farebox-session",
            "description": "The session of who has signed in to the console; with `ownPage`.",
        },
        "ownPage": {
            "type": "apiKey", "in": "header", "name": "x-farebox-console",
            "description": "`1`: the request is of the console's own page. Changes need its \
            `Origin`, too.",
        },
        "signature": {
            "type": "apiKey", "in": "header", "name": "Authorization",
            "x-amazon-apigateway-authtype": "awsSigv4",
            "description": "AWS Signature Version 4 for `execute-api`, sent to the same path \
            below `/iam`.",
        },
    })
}

/// The description as the types and routes make it.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut made = settings.into_generator();
    let rows: BTreeMap<_, _> = ROWS.iter().map(|row| (row.route, row)).collect();
    assert_eq!(rows.len(), ROWS.len(), "a route stands twice");
    let mut paths = Map::new();
    for route in ROUTES {
        let name = format!("{} {}", route.method, route.path);
        assert!(rows.contains_key(&*name), "without a row: {name}");
        let operation = operation(route, rows[&*name], &mut made);
        let path = paths.entry(route.path.replace('+', "")).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation;
    }
    assert_eq!(rows.len(), ROUTES.len(), "a row without its route");
    let error = made.subschema_for::<api::ErrorAnswer>().to_value();
    let mut schemas = made.take_definitions(true);
    bounds::bounded(&mut schemas);
    schemas.sort_keys();
    let tags = TAGS.map(|(name, text, _)| json!({"name": name, "description": text}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Farebox admin API",
            "version": "1",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": "/", "description": "The base URL of the deployment"},
            {"url": "/iam", "description": "The same for requests that are signed by IAM"},
        ],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": schemes(),
            "headers": headers(),
            "responses": responses(&error),
            "schemas": schemas,
        },
    })
}

/// All operations of a description, by their route.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

/// Everything in a description that a reader would trip over.
fn faults(document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut names, mut texts) = (BTreeSet::new(), BTreeSet::new());
    let tags: Vec<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    for (route, operation) in operations(document) {
        let mut want = |is_so: bool, what: &str| {
            if !is_so {
                faults.push(format!("{route}: {what}"));
            }
        };
        let text = |name: &str| operation[name].as_str().unwrap_or_default().to_owned();
        let (id, summary, description) =
            (text("operationId"), text("summary"), text("description"));
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphabetic());
        want(is_plain && id.starts_with(|first: char| first.is_ascii_lowercase()), "operationId");
        want(names.insert(id), "its operationId stands twice");
        want(summary.len() >= 8, "says nothing in its summary");
        want(!texts.contains(&summary) || summary.contains("price list in force"), "summary twice");
        texts.insert(summary.clone());
        want(description.len() > summary.len() + 10, "says no more in its description");
        let tag = operation["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
        want(tag.len() == 1 && tags.contains(&&tag[0]), "has no tag of the list");
        want(operation["x-roles"].as_array().is_some_and(|roles| !roles.is_empty()), "no role");
        want(operation["security"].as_array().is_some_and(|all| !all.is_empty()), "no security");
        if let Some(sent) = operation["requestBody"]["content"].get("application/json") {
            let wrong = schema::faults(&sent["schema"], &sent["example"]);
            let is_said = sent["example"].as_object().is_some_and(|fields| !fields.is_empty());
            want(is_said || route.contains("restore-fence"), "its example says nothing");
            want(wrong.is_empty(), &format!("its example is not one: {wrong:?}"));
        }
        let answers = operation["responses"].as_object().unwrap();
        for status in ["400", "403", "503", "default"] {
            want(answers.contains_key(status), "does not say how it refuses");
        }
        let good = answers.iter().find(|(status, _)| status.starts_with('2')).unwrap().1;
        want(good["headers"]["x-request-id"].is_object(), "an answer without x-request-id");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        if name.ends_with(|last: char| last.is_ascii_digit()) {
            faults.push(format!("schema {name} has a number for a name"));
        }
    }
    faults
}

#[test]
fn nothing_in_it_is_left_unsaid() {
    assert_eq!(faults(&document()), [""; 0]);
}

#[test]
fn the_description_is_what_the_types_and_routes_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let mut written = serde_json::to_string_pretty(&document()).unwrap();
    written.push('\n');
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let is_written = std::env::var_os("FAREBOX_WRITE").is_some();
    if is_written {
        std::fs::write(&path, &written).unwrap();
    }

    let pinned = std::fs::read_to_string(&path).unwrap();

    let hint = "docs/openapi.json is not what the types say: write it again with \
                FAREBOX_WRITE=1 cargo test -p farebox-admin openapi";
    assert!(pinned == written, "{hint}");
}

#[test]
fn a_schema_is_an_object_that_says_which_fields_there_are() {
    let schema: Schema = schemars::schema_for!(api::PutBudget);

    assert_eq!(schema.get("additionalProperties"), Some(&json!(false)));
    assert!(schema.get("properties").is_some_and(|fields| fields.get("mode").is_some()));
}

#[tokio::test]
async fn it_is_served_to_whoever_has_a_key() {
    let world = World::new().await;

    let served = world.ask("GET", "/admin/v1/openapi.json", Value::Null).await;

    assert_eq!((served.status, &served.body["openapi"]), (200, &json!("3.1.0")));
    let stranger = world.ask_as("x", "GET", "/admin/v1/openapi.json", Value::Null).await;
    assert_eq!(stranger.status, 403);
}
