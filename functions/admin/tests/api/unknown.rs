//! No field gets in that a request does not have: not at the top, and not within.

use std::collections::BTreeSet;

use farebox_admin::ROUTES;
use farebox_admin::auth::Right;
use serde_json::{Value, json};

use crate::openapi::document;
use crate::stage::{Ask, Stage, Thing};

/// A field that no request has.
const UNKNOWN: &str = "mystery";
/// What may have any field: its names are the caller's own.
const FREE: &str = "labels";

/// A body in all ways in which one object of it can have a field too much: where each stands, and
/// the body. What the description does not tell of is taken as it stands in the body.
fn spoilt(document: &Value, schema: &Value, body: &Value, at: &str) -> Vec<(String, Value)> {
    if let Some(place) = schema.get("$ref").and_then(Value::as_str) {
        let schema = document.pointer(place.trim_start_matches('#')).unwrap();
        return spoilt(document, schema, body, at);
    }
    let choices = ["anyOf", "oneOf"].iter().filter_map(|word| schema[*word].as_array());
    // A word with something to it, such as `{"settle": "1"}`: another name is another word.
    let is_word = |one: &&Value| schema.get("oneOf").is_some() && one["required"].is_array();
    let choices = choices.flatten().filter(|one| !is_word(one));
    let mut found: Vec<_> = choices.flat_map(|one| spoilt(document, one, body, at)).collect();
    let items = &schema["items"];
    if items.is_object() || body.is_array() {
        let first = body.get(0).unwrap_or(&Value::Null);
        let within = spoilt(document, items, first, &format!("{at}[0]"));
        found.extend(within.into_iter().map(|(at, item)| (at, json!([item]))));
    }
    let fields = schema["properties"].as_object();
    let is_map = schema["additionalProperties"].is_object() || at.ends_with(FREE);
    let is_object = fields.is_some() || body.is_object() || schema["type"] == "object";
    if !is_object || is_map {
        return found;
    }
    let dotted = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let with = |name: &str, value: Value| {
        let mut body = if body.is_object() { body.clone() } else { json!({}) };
        body[name] = value;
        body
    };
    found.push((dotted(UNKNOWN), with(UNKNOWN, json!(1))));
    let told = fields.into_iter().flat_map(|fields| fields.keys());
    let sent = body.as_object().into_iter().flat_map(|fields| fields.keys());
    for name in told.chain(sent).collect::<BTreeSet<_>>() {
        let schema = fields.and_then(|fields| fields.get(name)).unwrap_or(&Value::Null);
        let value = body.get(name).unwrap_or(&Value::Null);
        let within = spoilt(document, schema, value, &dotted(name));
        found.extend(within.into_iter().map(|(at, value)| (at, with(name, value))));
    }
    found
}

#[tokio::test]
async fn a_field_that_a_request_does_not_have_is_refused_by_its_name() {
    let mut stage = Stage::new().await;
    let document = document();
    let (mut places, mut faults) = (BTreeSet::new(), Vec::new());
    for route in ROUTES.iter().filter(|route| matches!(route.method, "PUT" | "POST")) {
        let (method, path) = (route.method, route.path);
        let operation = &document["paths"][path.replace('+', "")][method.to_lowercase()];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path}: no body is told");
        let role = if route.right == Right::Own { 'm' } else { 'o' };
        let key = stage.cast.keys[&role].clone();
        let asked = stage.ask(method, path, Thing::There).await;
        let all = spoilt(&document, schema, &asked.body, "");
        assert!(all.iter().any(|(at, _)| at == UNKNOWN), "{method} {path}: {all:?}");
        for (at, body) in all {
            let reply = stage.send("key", &key, method, &Ask { body, ..asked.clone() }).await;
            let error = &reply.body["error"];
            let field = error["field"].as_str().unwrap_or_default();
            // A row of a price list is told by its number and model; then what is wrong with it.
            let is_row = field.starts_with("rows[0]") && at.starts_with("rows[0]");
            let rule = error["message"].as_str().unwrap_or_default();
            let is_named = field == at || (is_row && rule.contains(UNKNOWN));
            if reply.status != 400 || !is_named {
                faults.push(format!("{method} {path}: {at}: {}", reply.raw));
            }
            places.insert(format!("{path} {at}"));
        }
    }
    assert_eq!(faults, [""; 0]);
    for known in [
        "/admin/v1/users/{id} self_service.mystery",
        "/admin/v1/keys timeouts.mystery",
        "/admin/v1/routes/{name} targets[0].mystery",
        "/admin/v1/discounts/{target+} terms[0].mystery",
        "/admin/v1/reconcile usage[0].mystery",
        "/admin/v1/catalogue rows[0].mystery",
        "/admin/v1/settlements parts[0].mystery",
    ] {
        assert!(places.contains(known), "{known} is not among {places:#?}");
    }
}
