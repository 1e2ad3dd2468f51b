//! What an answer must be, by docs/openapi.json: every answer of these tests is held against it.
//!
//! The words of JSON Schema that the description uses, and no others: one that is not known here
//! does not hold, so that nothing in it goes unread.

use std::sync::LazyLock;

use farebox_core::Timestamp;
use regex_lite::Regex;
use serde_json::Value;

use crate::world::Reply;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
});

/// What a reader of the description would not expect of an answer.
pub fn surprises(method: &str, path: &str, reply: &Reply) -> Vec<String> {
    let bare = path.split('?').next().unwrap();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let is_told = |known: &str, methods: &Value| {
        methods.get(method.to_lowercase()).is_some() && fits(known, bare)
    };
    // A path without braces goes before one with some.
    let mut known: Vec<_> = paths.iter().filter(|(known, of)| is_told(known, of)).collect();
    known.sort_by_key(|(known, _)| known.matches('{').count());
    let Some((_, methods)) = known.first() else { return Vec::new() };
    let responses = &methods[method.to_lowercase()]["responses"];
    let status = reply.status.to_string();
    let response = responses.get(&status).unwrap_or(&responses["default"]);
    let response = resolved(response);
    let mut found = Vec::new();
    // `default` is the shape of a refusal that nobody foresaw: of a test's own requests it is none.
    if responses.get(&status).is_none() {
        found.push(format!("{status} is not told"));
    }
    let listed = response["headers"].get("ETag").is_some();
    if listed == reply.etag.is_empty() {
        found.push(format!("{status}: ETag {:?}, listed: {listed}", reply.etag));
    }
    match response["content"]["application/json"].get("schema") {
        Some(schema) => check(schema, &reply.body, "body", &mut found),
        None if reply.body.is_null() => {}
        None => found.push(format!("{status} has a body")),
    }
    found
}

/// What is wrong with a value by a schema of the description.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "body", &mut found);
    found
}

/// Whether a path is one that the description has with names in braces.
fn fits(known: &str, path: &str) -> bool {
    let (wanted, found): (Vec<_>, Vec<_>) = (known.split('/').collect(), path.split('/').collect());
    let is_long = ["{scope}", "{model}", "{arn}", "{target}", "{subject}"]
        .iter()
        .any(|end| known.ends_with(end));
    let length = wanted.len() == found.len() || (is_long && found.len() > wanted.len());
    let same = |(wanted, found): (&&str, &&str)| match wanted.starts_with('{') {
        true => !found.is_empty(),
        false => wanted == found,
    };
    length && !path.ends_with('/') && wanted.iter().zip(&found).all(same)
}

fn resolved(mut part: &'static Value) -> &'static Value {
    while let Some(place) = part.get("$ref").and_then(Value::as_str) {
        part = DOCUMENT.pointer(place.trim_start_matches('#')).unwrap();
    }
    part
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if schema.is_boolean() {
        if schema == false {
            found.push(format!("{at} must not be there"));
        }
        return;
    }
    for (word, rule) in schema.as_object().unwrap() {
        if !holds(schema, word, rule, value, at, found) {
            found.push(format!("{at}: {word} {rule}: {value}"));
        }
    }
}

/// Whether one word of a schema holds; what is inside tells its own faults.
fn holds(
    schema: &Value,
    word: &str,
    rule: &Value,
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) -> bool {
    let text = value.as_str();
    let length = text.map(|text| text.chars().count() as u64);
    let items = value.as_array();
    let bound = rule.as_u64().unwrap_or_default();
    match word {
        "description" | "default" | "writeOnly" | "examples" | "example" => true,
        "$ref" => {
            let place = rule.as_str().unwrap().trim_start_matches('#');
            check(DOCUMENT.pointer(place).unwrap(), value, at, found);
            true
        }
        "type" => match rule {
            Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind.as_str().unwrap(), value)),
            kind => is_of(kind.as_str().unwrap(), value),
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "anyOf" | "oneOf" => {
            let fitting =
                rule.as_array().unwrap().iter().filter(|one| faults(one, value).is_empty());
            let count = fitting.count();
            count == 1 || (count > 1 && word == "anyOf")
        }
        "pattern" => {
            text.is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text))
        }
        "minLength" => length.is_none_or(|length| length >= bound),
        "maxLength" => length.is_none_or(|length| length <= bound),
        "minItems" => items.is_none_or(|items| items.len() as u64 >= bound),
        "maxItems" => items.is_none_or(|items| items.len() as u64 <= bound),
        "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
        "maximum" => value.as_u64().is_none_or(|number| number <= bound),
        "format" => match rule.as_str().unwrap() {
            "date-time" => text.is_none_or(|text| Timestamp::parse(text).is_ok()),
            "uri" => text.is_none_or(|text| text.contains("://")),
            // Their bounds are told as `minimum` and `maximum`.
            "uint8" | "uint16" | "uint32" | "uint64" | "int64" => true,
            _ => false,
        },
        "items" => {
            for (place, one) in items.into_iter().flatten().enumerate() {
                check(rule, one, &format!("{at}[{place}]"), found);
            }
            true
        }
        "required" => {
            let is_there = |name: &Value| value.get(name.as_str().unwrap()).is_some();
            !value.is_object() || rule.as_array().unwrap().iter().all(is_there)
        }
        "properties" => {
            // A field that the description does not tell is a fault of the description.
            let is_open = schema.get("additionalProperties").is_some();
            for (name, one) in value.as_object().into_iter().flatten() {
                match rule.get(name) {
                    Some(schema) => check(schema, one, &format!("{at}.{name}"), found),
                    None if is_open => {}
                    None => found.push(format!("{at}.{name} is not told")),
                }
            }
            true
        }
        "additionalProperties" => {
            let known = schema.get("properties").and_then(Value::as_object);
            for (name, one) in value.as_object().into_iter().flatten() {
                if known.is_none_or(|known| !known.contains_key(name)) {
                    check(rule, one, &format!("{at}.{name}"), found);
                }
            }
            true
        }
        _ => false,
    }
}

#[test]
fn an_answer_that_the_description_does_not_tell_is_found() {
    let reply = |status: u16, etag: &str, body: &str| Reply {
        status,
        etag: etag.to_owned(),
        body: serde_json::from_str(body).unwrap(),
        raw: String::new(),
    };
    let org = r#"{"id":"o1","created_at":"2026-11-23T00:00:00Z","version":"7"}"#;
    let of = |reply: &Reply| surprises("GET", "/admin/v1/orgs/o1", reply).len();

    assert_eq!(of(&reply(200, "\"7\"", org)), 0);
    assert_eq!(of(&reply(200, "", org)), 1, "an ETag is missing");
    assert_eq!(of(&reply(201, "\"7\"", org)), 6, "another status, and no refusal");
    for (from, to) in [
        (r#""version":"7""#, r#""version":7"#),
        (r#""version":"7""#, r#""version":"7","more":1"#),
        (r#","version":"7""#, ""),
        ("2026-11-23T00:00:00Z", "yesterday"),
    ] {
        assert_eq!(of(&reply(200, "\"7\"", &org.replace(from, to))), 1, "{to}");
    }
    let refusal = r#"{"error":{"code":"not_found","message":"m"}}"#;
    assert_eq!(of(&reply(404, "", refusal)), 0);
    assert_eq!(of(&reply(409, "", refusal)), 1, "a refusal that this route does not give");
    assert_eq!(of(&reply(404, "", &refusal.replace("not_found", "gone"))), 1);
}
