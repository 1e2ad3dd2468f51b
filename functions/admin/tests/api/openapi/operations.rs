//! One operation of the description: who may, what it takes, what it answers and refuses.

use farebox_admin::auth::Right;
use farebox_admin::{ROUTES, Route};
use farebox_api as api;
use schemars::generate::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::bounds;
use super::rows::Row;
use crate::matrix::rows;
use crate::stage::{ROLES, Thing, example};

/// Paths whose creates take an `Idempotency-Key`.
pub const REPEATABLE: [&str; 9] = [
    "/admin/v1/keys",
    "/admin/v1/keys/{id}/rotate",
    "/admin/v1/me/keys",
    "/admin/v1/me/keys/{id}/rotate",
    "/admin/v1/me/budget-requests",
    "/admin/v1/admin-keys",
    "/admin/v1/admin-keys/{id}/rotate",
    "/admin/v1/corrections",
    "/admin/v1/alerts/test",
];

/// By what the path begins with: its tag and what the tag is about.
pub const TAGS: [(&str, &str, &[&str]); 12] = [
    ("Own", "What members see and do of their own.", &["me"]),
    ("Owners", "Users, teams and organisations.", &["users", "orgs", "teams"]),
    ("Keys", "Farebox keys: what callers send.", &["keys"]),
    ("Credentials", "Providers' keys: written, never read back.", &["credentials"]),
    (
        "Budgets",
        "Limits, what is spent of them, and requests for more.",
        &["budgets", "limits", "usage", "budget-requests"],
    ),
    (
        "Prices",
        "Models, price lists, prices of your own, discounts, and models that are held back.",
        &["models", "prices", "discounts", "catalogue", "quarantine"],
    ),
    ("Routes", "Names that stand for several models.", &["routes"]),
    ("Requests", "What each call did and cost, and what was said.", &["requests", "content-log"]),
    ("Alerts", "What was told, and where to.", &["alerts", "webhook"]),
    (
        "Books",
        "Corrections, and checks of the books.",
        &[
            "corrections",
            "rerate",
            "reconcile",
            "charges",
            "counters",
            "settlements",
            "restore-fence",
            "queues",
        ],
    ),
    ("Access", "Who may use this API.", &["admin-keys", "iam", "sso", "sso-sessions"]),
    (
        "About",
        "Who asks, who changed what, and this description.",
        &["session", "openapi.json", "audit"],
    ),
];

/// What is worth saying of one route beyond what all of its kind have in common.
const NOTES: [(&str, &str); 22] = [
    (
        "listRequests",
        "Filters are joined by and. It reads on until the page is full, within 40 queries: where \
        these are spent a page has fewer rows, perhaps none, and a `next_cursor`.",
    ),
    (
        "listMyRequests",
        "Filters are joined by and. It reads on until the page is full, within 40 queries: where \
        these are spent a page has fewer rows, perhaps none, and a `next_cursor`.",
    ),
    (
        "listAlerts",
        "The newest first; with `scope` those of one budget, the newest period first. Two reads \
        a page.",
    ),
    (
        "getUsage",
        "Without `by` what each budget has spent; with `by` what calls add up to from `since` to \
        `until`, at most 400 days, from sums that the logger keeps: the reads do not grow with \
        the calls.",
    ),
    (
        "sendTestAlert",
        "It goes the road of all alerts; the list of alerts says when, and what each channel said.",
    ),
    (
        "putBudget",
        "With `until` what was before comes back then. The first budget of an organisation, a \
        team or a model binds 30 s after the answer; every other change at once.",
    ),
    ("storeCredential", "The secret is never shown again by any request."),
    ("storeNamedCredential", "The secret is never shown again by any request."),
    ("storeMyCredential", "The secret is never shown again by any request."),
    ("storeMyNamedCredential", "The secret is never shown again by any request."),
    (
        "rotateKey",
        "The old secret works for `grace_s` more seconds; the key keeps its budget, limits and \
        settings.",
    ),
    (
        "rotateMyKey",
        "The old secret works for `grace_s` more seconds; the key keeps its budget, limits and \
        settings.",
    ),
    ("putKey", "It binds within 30 s. A revoked key is not changed."),
    (
        "importCatalogue",
        "Look at a preview first: models that the list leaves out are refused, unless they have \
        a price of your own. 4 MiB at most.",
    ),
    (
        "enterCorrection",
        "Either a signed entry in a scope's books, or what one call should have cost. Refused \
        where it takes more than is settled.",
    ),
    (
        "rerateCalls",
        "A page of settled calls: what differs at the present prices. With `apply` the \
        differences are entered.",
    ),
    (
        "reconcileReport",
        "One bucket of the report. With `apply` the charges that it determines are corrected.",
    ),
    ("listCharges", "It reads the rows of the month, page by page."),
    (
        "replaySettlement",
        "`farebox replay` sends it. The logger ends what is open and nothing twice, so a repeat \
        is harmless.",
    ),
    (
        "raiseEpochs",
        "A page of budgets a request: ask again with the `next_cursor` until it is null.",
    ),
    ("getRequestContent", "That somebody looked is told in the audit."),
    (
        "decideBudgetRequest",
        "An approval raises the user's limits until `until` and then gives them back.",
    ),
];

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn json_of(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

/// Whether a change must name the version that it is based on.
pub fn is_versioned(route: &Route) -> bool {
    let is_shown = ROUTES.iter().any(|other| other.method == "GET" && other.path == route.path);
    let is_rotation = route.path.ends_with("/keys/{id}/rotate");
    is_rotation || (matches!(route.method, "PUT" | "DELETE") && is_shown)
}

/// Whether its answer has the version of what it shows.
fn has_version(route: &Route, row: &Row) -> bool {
    let thing = route.path.strip_suffix("/rotate").unwrap_or(route.path);
    let of_a_list = format!("{thing}/{{id}}");
    let is_thing = |path: &str| ROUTES.iter().any(|one| is_versioned(one) && one.path == path);
    let is_made = row.status == 201 && is_thing(&of_a_list);
    row.answer.is_some() && (is_thing(thing) || is_made)
}

fn is_repeatable(route: &Route) -> bool {
    route.method == "POST" && REPEATABLE.contains(&route.path)
}

fn parameters(route: &Route) -> Vec<Value> {
    let of = |name: &str, place: &str, is_required: bool, mut schema: Value| {
        let description = schema.as_object_mut().unwrap().remove("description");
        let mut one = json!({"name": name, "in": place, "required": is_required, "schema": schema});
        if let Some(description) = description {
            one["description"] = description;
        }
        one
    };
    let mut found = Vec::new();
    for segment in route.path.split('/') {
        let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        let Some(name) = name else { continue };
        let bare = name.trim_end_matches('+');
        let mut one = of(bare, "path", true, bounds::parameter(route, bare));
        if name.ends_with('+') {
            one["description"] = json!("May contain slashes, as they are.");
        }
        found.push(one);
    }
    for name in route.query {
        let is_required = matches!(
            (route.path, *name),
            ("/admin/v1/credentials", "user") | ("/admin/v1/models", "provider")
        ) || *name == "month";
        found.push(of(name, "query", is_required, bounds::parameter(route, name)));
    }
    if is_versioned(route) {
        let tag = json!({
            "type": "string", "pattern": "^(\\*|\"[0-9]{1,20}\")$",
            "description": "The `ETag` of what the change is based on, with its quotes, or `*` \
            for whatever is there.",
        });
        found.push(of("If-Match", "header", false, tag));
    }
    if is_versioned(route) && route.method == "PUT" {
        let none = json!({
            "type": "string", "enum": ["*"],
            "description": "Instead of `If-Match`: makes what is not there yet, and nothing else.",
        });
        found.push(of("If-None-Match", "header", false, none));
    }
    if is_repeatable(route) {
        let seed = json!({
            "type": "string", "minLength": 1, "maxLength": 255,
            "description": "A repeat with the same text within a day has the first answer again.",
        });
        found.push(of("Idempotency-Key", "header", false, seed));
    }
    found
}

/// The refusals that a route can give, by status, and the response of each.
fn refusals(route: &Route) -> Vec<(u16, &'static str)> {
    let row = &rows()[&*format!("{} {}", route.method, route.path)];
    let can = |status: u16| {
        row.answers.iter().any(|(thing, told)| *thing != Thing::There && *told == Some(status))
    };
    let has_body = matches!(route.method, "PUT" | "POST");
    let is_deletion = route.method == "DELETE";
    let all = [
        (400, "Malformed", true),
        (403, "Forbidden", true),
        (404, "NotFound", can(404) || (is_deletion && is_versioned(route))),
        (409, "Conflict", is_repeatable(route)),
        (412, "Stale", is_versioned(route)),
        (413, "TooLarge", has_body),
        (415, "UnsupportedMedia", has_body),
        (422, "IdempotencyKeyReused", is_repeatable(route)),
        (428, "VersionRequired", is_versioned(route)),
        (429, "Busy", has_body || is_deletion),
        (503, "Unavailable", true),
    ];
    all.into_iter().filter(|(.., can)| *can).map(|(status, name, _)| (status, name)).collect()
}

/// The responses that refuse: name, text, headers besides the request's identity.
pub const REFUSALS: [(&str, &str, &[&str]); 12] = [
    (
        "Malformed",
        "The path, the query, a header or the body is not as it must be: `field` names it.",
        &[],
    ),
    (
        "Forbidden",
        "Nobody known asks, or the role may not, or the owner does not allow it. The first two \
        are the same answer whatever was asked for.",
        &[],
    ),
    ("NotFound", "There is no such thing, or it is not the asking member's.", &[]),
    ("Conflict", "What a repeat would make was made and changed since.", &[]),
    (
        "Stale",
        "The change is based on another version: `current` is what is there now, and `ETag` its \
        version.",
        &["ETag"],
    ),
    ("TooLarge", "The body is too large: 64 KiB at most, of a price list 4 MiB.", &[]),
    ("UnsupportedMedia", "The body is not `application/json`, or encoded.", &[]),
    ("IdempotencyKeyReused", "The `Idempotency-Key` was sent with another body.", &[]),
    (
        "VersionRequired",
        "Neither `If-Match` nor `If-None-Match` says what the change is based on.",
        &[],
    ),
    (
        "Busy",
        "Another change of the same thing is under way: nothing is changed, try again.",
        &["Retry-After"],
    ),
    (
        "Unavailable",
        "A service behind does not answer, or has no capacity left: try again.",
        &["Retry-After"],
    ),
    ("Refused", "Any other refusal, in the same shape.", &[]),
];

/// Headers of answers.
pub fn headers() -> Value {
    let of =
        |description: &str, schema: Value| json!({"description": description, "schema": schema});
    json!({
        "x-request-id": of(
            "The identity of this request, as the audit and the logs name it.",
            json!({"type": "string", "minLength": 26, "maxLength": 26}),
        ),
        "ETag": of(
            "The version of what is shown: what a change of it names in `If-Match`.",
            json!({"type": "string", "pattern": "^\"[0-9]{1,20}\"$"}),
        ),
        "Retry-After": of("Seconds to wait.", json!({"type": "string", "pattern": "^[0-9]+$"})),
    })
}

fn header_map<'name>(names: impl IntoIterator<Item = &'name str>) -> Value {
    let all = core::iter::once("x-request-id").chain(names);
    all.map(|name| (name.to_owned(), reference("headers", name))).collect::<Map<_, _>>().into()
}

/// The responses that refuse, as components.
pub fn responses(error: &Value) -> Value {
    let one = |(name, description, headers): (&str, &str, &[&str])| {
        let headers = header_map(headers.iter().copied());
        let response =
            json!({"description": description, "headers": headers, "content": json_of(error)});
        (name.to_owned(), response)
    };
    REFUSALS.into_iter().map(one).collect::<Map<_, _>>().into()
}

/// Who may, in words.
fn who(roles: &[&str]) -> String {
    match roles {
        ["member"] => {
            "For members, of their own alone: what is another's is as if it were not there.".into()
        }
        ["owner", "admin", "auditor", "member"] => "For everybody who is known.".into(),
        [only] => format!("For {only}s."),
        [rest @ .., last] => format!("For {}s and {last}s.", rest.join("s, ")),
        [] => String::new(),
    }
}

fn description(route: &Route, row: &Row, roles: &[&str]) -> String {
    let mut parts = vec![format!("{}.", row.summary)];
    let note = NOTES.iter().find(|(name, _)| *name == row.name);
    parts.extend(note.map(|(_, text)| (*text).to_owned()));
    if route.query.contains(&"cursor") {
        let text = "Comes in pages: `next_cursor` is where the next one begins, null at the end.";
        parts.push(text.to_owned());
    }
    if is_versioned(route) {
        parts.push("Needs the version that it is based on.".to_owned());
    }
    if is_repeatable(route) {
        parts.push("With an `Idempotency-Key` a repeat is harmless.".to_owned());
    }
    if route.method != "GET" {
        parts.push("Told in the audit.".to_owned());
    }
    parts.push(who(roles));
    parts.join(" ")
}

fn tag(route: &Route) -> &'static str {
    let noun = route.path.split('/').nth(3).unwrap();
    TAGS.iter().find(|(_, _, nouns)| nouns.contains(&noun)).unwrap().0
}

/// By what somebody may be known who has the right.
fn security(right: Right) -> Value {
    let (admin, member) = (json!({"adminKey": []}), json!({"memberKey": []}));
    let (session, signed) = (json!({"session": [], "ownPage": []}), json!({"signature": []}));
    match right {
        Right::Own => json!([member, session]),
        Right::Any => json!([admin, member, session, signed]),
        Right::Read | Right::Change | Right::Rule => json!([admin, session, signed]),
    }
}

/// One operation.
pub fn operation(route: &Route, row: &Row, made: &mut SchemaGenerator) -> Value {
    made.subschema_for::<api::ErrorAnswer>();
    let told = match (route.method, row.status) {
        (_, 201) => "What was made",
        (_, 204) => "It is gone",
        ("GET", _) => "What is there",
        _ => "As it is now",
    };
    let tags = has_version(route, row).then_some("ETag");
    let mut good = json!({"description": told, "headers": header_map(tags)});
    if let Some(answer) = row.answer {
        good["content"] = json_of(&answer(made));
    }
    let mut responses = Map::from_iter([(row.status.to_string(), good)]);
    for (status, name) in refusals(route) {
        responses.insert(status.to_string(), reference("responses", name));
    }
    responses.insert("default".to_owned(), reference("responses", "Refused"));
    let letters = rows()[&*format!("{} {}", route.method, route.path)].roles;
    let roles = ROLES.into_iter().filter(|(letter, _)| letters.contains(*letter));
    let roles: Vec<_> = roles.map(|(_, name)| name).collect();
    let mut operation = json!({
        "tags": [tag(route)],
        "summary": row.summary,
        "description": description(route, row, &roles),
        "operationId": row.name,
        "x-roles": roles,
        "security": security(route.right),
        "parameters": parameters(route),
        "responses": responses,
    });
    if let Some(body) = row.body {
        let mut content = json_of(&body(made));
        content["application/json"]["example"] = example(route.method, route.path).unwrap();
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}
