//! What fields and parameters may hold: closed words from the tables in the code, amounts, times,
//! lengths and ranges.

use std::collections::BTreeSet;

use farebox_admin::Route;
use farebox_admin::auth::RIGHTS;
use farebox_core::{Clamp, Error, Outcome, ScopeKind};
use farebox_ledger::alert::{Channel, Threshold};
use farebox_ledger::{Mode, SHARES_MAX};
use serde_json::{Map, Value, json};

const DAY: &str = "^[0-9]{4}-(0[1-9]|1[0-2])-[0-9]{2}$";
const DAY_OR_MONTH: &str = "^[0-9]{4}-(0[1-9]|1[0-2])(-[0-9]{2})?$";
const ID: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$";
const RID: &str = "^[0-9A-HJKMNP-TV-Z]{26}$";
const PROVIDER: &str = "^[a-z][a-z0-9_.-]{0,31}$";

/// The states of what has some.
const STATES: [(&str, &[&str]); 10] = [
    ("OperatorAlert", &["open", "acknowledged"]),
    ("Key", &["active", "expired", "revoked"]),
    ("CreatedKey", &["active", "expired", "revoked"]),
    ("AdminKey", &["active", "expired", "revoked"]),
    ("CreatedAdminKey", &["active", "expired", "revoked"]),
    ("Credential", &["active", "disabled"]),
    ("SsoSession", &["active", "expired", "ended"]),
    ("BudgetRequest", &["open", "approved", "denied", "withdrawn"]),
    ("DecideBudget", &["approved", "denied"]),
    ("Correction", &["entered", "adjusted", "unchanged"]),
];

/// The roles by name, the strongest first.
fn roles() -> Vec<&'static str> {
    RIGHTS.iter().map(|(_, name, _)| *name).collect()
}

/// The kinds of owner, and of budgets of single models.
fn kinds() -> Vec<&'static str> {
    ScopeKind::ALL.iter().map(|kind| kind.name()).chain(["model"]).collect()
}

/// The words that a field of a schema can have, where they are few.
pub fn words(schema: &str, field: &str) -> Option<Vec<&'static str>> {
    let state =
        || STATES.iter().find(|(known, _)| *known == schema).map(|(_, words)| words.to_vec());
    let words = match (schema, field) {
        (_, "state") | ("Correction", "status") => return state(),
        ("ErrorBody", "code") => {
            let codes: BTreeSet<_> = Error::CODES.iter().copied().collect();
            codes.into_iter().collect()
        }
        ("AuditEntry", "role") => roles().into_iter().chain(["scheduler"]).collect(),
        ("PutBinding" | "Binding" | "Session", "role") => roles(),
        (_, "role") => roles().into_iter().filter(|role| *role != "member").collect(),
        ("Budget" | "ScopeUsage", "kind") => kinds(),
        ("Model", "mode") => vec!["chat", "completion", "embedding", "responses", "unknown"],
        ("Budget" | "PutBudget" | "ScopeUsage", "mode") => {
            Mode::NAMES.iter().map(|(name, _)| *name).collect()
        }
        (_, "clamp") => Clamp::NAMES.iter().map(|(_, name)| *name).collect(),
        ("Period" | "Alert", "period") => vec!["month", "day", "total"],
        ("Alert", "type") => [Threshold::Percent(1), Threshold::Refused, Threshold::Test]
            .map(Threshold::kind)
            .to_vec(),
        ("OperatorAlert", "type") => {
            farebox_ledger::alert::Fault::ALL.map(|one| one.kind()).to_vec()
        }
        ("AlertChannel" | "Channel", "channel") => Channel::ALL.map(Channel::name).to_vec(),
        ("AuditEntry", "action") => {
            vec!["PUT", "POST", "DELETE", "GET", "SIGN-IN", "SIGN-OUT", "END"]
        }
        ("AuditEntry", "outcome") => vec!["done", "failed", "unknown"],
        (_, "outcome") => Outcome::NAMES.iter().map(|(name, _)| *name).collect(),
        ("Model", "source") => vec!["catalogue", "owner"],
        ("Catalogue", "source") => vec!["imported", "compiled"],
        ("CatalogueChange", "change") => vec!["added", "removed", "changed"],
        ("RequestRow", "charged_by") => vec!["counts", "provider"],
        _ => return None,
    };
    Some(words)
}

/// Whether a schema is what somebody sends.
fn is_sent(schema: &str) -> bool {
    ["Put", "Create", "Post", "Ask", "Decide", "Rotate", "SelfService", "KeyTimeouts", "Timeouts"]
        .iter()
        .any(|prefix| schema.starts_with(prefix) && !schema.starts_with("Created"))
}

/// What a number is between.
fn range(schema: &str, field: &str) -> Option<(u64, u64)> {
    let range = match (schema, field) {
        (_, "weight") => (1, 1_000),
        ("PutBudget", "shares") => (0, u64::from(SHARES_MAX)),
        ("Shares", "count") => (0, u64::from(SHARES_MAX)),
        ("Alert", "threshold") => (1, 100),
        (_, "room_wait_ms") => (0, 60_000),
        ("PutContentLog" | "ContentLog", "days") => (0, 365),
        ("SelfService", "keys") => (0, 50),
        ("SelfService", "key_days") => (1, 3_650),
        (_, "grace_s" | "overlap_s") => (0, 604_800),
        ("PutRoute", "retries") => (0, 3),
        ("PutRoute", "retry_patience_ms") => (0, 20_000),
        ("KeyTimeouts" | "Timeouts", "connect_ms") => (10, 10_000),
        ("KeyTimeouts" | "Timeouts", _) => (10, 900_000),
        ("PutRateLimits", _) => (1, 1_000_000_000),
        (_, "http_status") => (0, 599),
        _ => return None,
    };
    Some(range)
}

/// What a text looks like, by the name of its field.
fn text(schema: &str, field: &str) -> Value {
    let is_signed = !is_sent(schema) || schema == "PostCorrection";
    let sign = if is_signed { "-?" } else { "" };
    match (schema, field) {
        ("UsageDay", "day") => json!({"pattern": DAY}),
        ("UsageReport", "since" | "until") | ("PostRerate", "from" | "to") => {
            json!({"pattern": DAY})
        }
        (_, "period_id") => json!({"pattern": "^[0-9]{6}([0-9]{2})?$"}),
        ("PostStatement" | "Term", "from" | "to") => json!({"format": "date-time"}),
        (_, "off_percent") => json!({}),
        // Empty where nothing is determined.
        ("StatementLine", "determined_usd" | "limited_usd") => {
            json!({"pattern": "^([0-9]{1,16}(\\.[0-9]{1,12})?)?$"})
        }
        // Not rounded: a price of nine decimals for a millionth.
        ("CostLine" | "SettlementLine", "amount_usd") => {
            json!({"pattern": "^-?[0-9]{1,16}(\\.[0-9]{1,16})?$"})
        }
        _ if field.ends_with("_usd") => {
            json!({"pattern": format!("^{sign}[0-9]{{1,16}}(\\.[0-9]{{1,12}})?$")})
        }
        _ if field.ends_with("_at") || matches!(field, "until" | "at" | "old_secret_until") => {
            json!({"format": "date-time"})
        }
        ("Credential", "name") => json!({"pattern": "^[A-Za-z0-9_.-]{1,32}$"}),
        ("Route", "name") => json!({"minLength": 1, "maxLength": 64}),
        (_, "name") => json!({"minLength": 1, "maxLength": 128}),
        (_, "reason" | "note") => json!({"maxLength": 200}),
        (_, "secret") => json!({"maxLength": 8192}),
        (_, "provider") if is_sent(schema) => json!({"pattern": PROVIDER}),
        (_, "user" | "org" | "team") if is_sent(schema) => json!({"pattern": ID}),
        (_, "request_id" | "parent") if schema != "AuditEntry" => json!({"pattern": RID}),
        (_, "next_cursor" | "cursor") => json!({"maxLength": 1_024}),
        (_, "url" | "base_url") if is_sent(schema) => json!({"format": "uri", "maxLength": 1024}),
        _ => json!({}),
    }
}

/// Tells of a field what can be told of it.
fn bound(schema: &str, name: &str, field: &mut Value) {
    let Some(fields) = field.as_object_mut() else { return };
    let is = |kind: &str| match fields.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(kinds)) => kinds.contains(&json!(kind)),
        _ => false,
    };
    let (is_text, is_number, is_nullable) = (is("string"), is("integer"), is("null"));
    let mut more = json!({});
    if let Some(words) = words(schema, name).filter(|_| is_text) {
        let mut words: Vec<_> = words.into_iter().map(Value::from).collect();
        words.extend(is_nullable.then_some(Value::Null));
        more = json!({"enum": words});
    } else if is_text {
        more = text(schema, name);
    } else if let Some((least, most)) = range(schema, name).filter(|_| is_number) {
        more = json!({"minimum": least, "maximum": most});
    }
    fields.extend(more.as_object().cloned().unwrap());
    let is_secret = name == "secret";
    if is_secret && is_sent(schema) {
        fields.insert("writeOnly".to_owned(), json!(true));
    }
    if name == "alert_thresholds" {
        fields.insert("maxItems".to_owned(), json!(10));
        fields.insert("items".to_owned(), json!({"type": "integer", "minimum": 1, "maximum": 100}));
    }
    if name == "models" && is_sent(schema) {
        fields.insert("minItems".to_owned(), json!(1));
        fields.insert("maxItems".to_owned(), json!(50));
    }
}

/// What a `spec` is: the body that made it.
const SPECS: [(&str, &str); 3] =
    [("Price", "PriceSpec"), ("Discount", "PutDiscount"), ("Route", "PutRoute")];

/// Tells of all schemas what can be told of their fields.
pub fn bounded(schemas: &mut Map<String, Value>) {
    for (name, schema) in schemas.iter_mut() {
        let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
            continue;
        };
        for (field, schema) in fields.iter_mut() {
            bound(name, field, schema);
        }
        if let Some((_, body)) = SPECS.iter().find(|(of, _)| of == name) {
            let spec = fields.get_mut("spec").unwrap();
            let description = spec["description"].clone();
            let body = format!("#/components/schemas/{body}");
            *spec = json!({"$ref": body, "description": description});
        }
    }
}

/// What a parameter of a path or a query may be.
pub fn parameter(route: &Route, name: &str) -> Value {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let words = |words: Vec<&str>| json!({"type": "string", "enum": words});
    let path = route.path;
    match name {
        "limit" if path == "/admin/v1/usage" => json!({
            "type": "integer", "minimum": 1, "maximum": 5_000,
            "description": "Rows of a page: 1 to 100, unasked 100; with `by` 1 to 5000, unasked \
            1000.",
        }),
        "limit" if path.starts_with("/admin/v1/usage/") => {
            json!({"type": "integer", "minimum": 1, "maximum": 5_000, "default": 1_000})
        }
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 100}),
        "from" | "to" => json!({
            "type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}],
            "description": "A time, or a day: its midnight in UTC.", "examples": ["2026-11-01"],
        }),
        "since" | "until" => text(DAY_OR_MONTH),
        "day" => text("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
        "month" => text("^[0-9]{4}-(0[1-9]|1[0-2])$"),
        "by" => json!({
            "type": "string", "minLength": 1, "maxLength": 256,
            "description": "One or more of `org`, `team`, `user`, `key` or `label:NAME`; \
                            `model` or `provider`; `day` or `month`; with commas between, one of \
                            each kind.",
            "examples": ["model", "team,month", "label:project,model"],
        }),
        "order" => json!({
            "type": "string", "enum": ["scope", "nearest"], "default": "scope",
            "description": "`nearest`: of up to 2000 owners those budgets whose limits are the \
            nearest to be reached, by use or by forecast; `nearest` in the answer says of how \
            many.",
        }),
        "kind" => words(ScopeKind::ALL.map(ScopeKind::name).to_vec()),
        "state" => {
            let of = match path.rsplit('/').next() {
                Some("keys") => "Key",
                Some("operator") => "OperatorAlert",
                _ => "BudgetRequest",
            };
            words(self::words(of, "state").unwrap())
        }
        "role" => words(self::words("AdminKey", "role").unwrap()),
        "outcome" => words(Outcome::NAMES.map(|(name, _)| name).to_vec()),
        "action" => words(self::words("AuditEntry", "action").unwrap()),
        "provider" => text(PROVIDER),
        "model" => text("^[!-~]{1,200}$"),
        "label" => json!({
            "type": "string", "pattern": "^.+:.+$", "maxLength": 577, "examples": ["team:search"],
        }),
        "cursor" => json!({"type": "string", "minLength": 1, "maxLength": 1_024}),
        "scope" => {
            json!({"type": "string", "minLength": 1, "maxLength": 400, "examples": ["user:ada"]})
        }
        "target" => json!({"type": "string", "maxLength": 256, "examples": ["openai/*"]}),
        "alert" => json!({
            "type": "string", "maxLength": 450, "examples": ["overrun/20261124/openai/gpt-5"],
        }),
        "arn" => json!({
            "type": "string", "maxLength": 256, "examples": ["arn:aws:iam::111122223333:role/Ops"],
        }),
        "subject" => json!({
            "type": "string", "pattern": "^(email|group|sub):.{1,254}$",
            "examples": ["email:ann@example.com"],
        }),
        "owner" => owner(),
        "user" if path == "/admin/v1/credentials" => owner(),
        "id" if path.contains("requests/{id}") || path.ends_with("{user}/{id}") => text(RID),
        "name" if path.contains("credentials") => text("^[A-Za-z0-9_.-]{1,32}$"),
        "user" | "id" | "key" | "name" | "org" | "team" => text(ID),
        _ => json!({"type": "string", "minLength": 1, "maxLength": 256}),
    }
}

fn owner() -> Value {
    let id = ID.trim_start_matches('^');
    let pattern = format!("^(org:|user:)?{id}");
    json!({"type": "string", "pattern": pattern, "examples": ["ada", "org:acme"]})
}
