//! The description of the API: written from the types and the routes, pinned to
//! `docs/openapi.json`. `FAREBOX_WRITE=1 cargo test -p farebox-admin openapi` writes it again.

use std::collections::BTreeMap;

use farebox_admin::{ROUTES, Route};
use farebox_api as api;
use farebox_core::pricing::Discount;
use farebox_core::{Outcome, PriceSpec};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::world::World;

/// Writes a schema, or a reference to it.
type Shape = fn(&mut SchemaGenerator) -> Value;

/// What one route takes and answers.
struct Row {
    route: &'static str,
    summary: &'static str,
    body: Option<Shape>,
    status: u16,
    answer: Option<Shape>,
}

macro_rules! rows {
    ($($route:literal $summary:literal $(< $body:ty)? => $status:literal $($answer:ty)?,)*) => {
        &[$(Row {
            route: $route,
            summary: $summary,
            body: rows!(@shape $($body)?),
            status: $status,
            answer: rows!(@shape $($answer)?),
        }),*]
    };
    (@shape) => { None };
    (@shape $shape:ty) => { Some(|made| made.subschema_for::<$shape>().to_value()) };
}

/// A JSON object whose fields are not described here.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Anything(#[expect(dead_code, reason = "only its shape is used")] Map<String, Value>);

/// The file of a price list. What a row may say: `shared/core/CATALOG.md`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is used")]
struct PriceListFile {
    /// The day that the prices are of.
    #[schemars(regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    built_for: String,
    /// What the prices are in.
    #[schemars(extend("const" = "USD per 1000000 tokens; per_request and web_search in USD"))]
    unit: String,
    /// A model each.
    #[schemars(length(min = 1, max = 50_000))]
    rows: Vec<Map<String, Value>>,
}

/// With `by` the second, without it the first.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its shape is used")]
enum Usage {
    Scopes(api::UsageList),
    Sums(Box<api::UsageReport>),
}

#[rustfmt::skip]
const ROWS: &[Row] = rows! {
    "GET /admin/v1/users" "Users" => 200 api::UserList,
    "GET /admin/v1/users/{id}" "A user" => 200 api::User,
    "PUT /admin/v1/users/{id}" "Makes or replaces a user" < api::PutUser => 200 api::User,
    "GET /admin/v1/orgs" "Organisations" => 200 api::OrgList,
    "GET /admin/v1/orgs/{id}" "An organisation" => 200 api::Org,
    "PUT /admin/v1/orgs/{id}" "Makes or replaces an organisation" < api::PutOrg => 200 api::Org,
    "GET /admin/v1/teams" "Teams" => 200 api::TeamList,
    "GET /admin/v1/teams/{id}" "A team" => 200 api::Team,
    "PUT /admin/v1/teams/{id}" "Makes or replaces a team" < api::PutTeam => 200 api::Team,
    "GET /admin/v1/keys" "Farebox keys" => 200 api::KeyList,
    "POST /admin/v1/keys" "Makes a Farebox key; its secret is shown once"
        < api::CreateKey => 201 api::CreatedKey,
    "GET /admin/v1/keys/{id}" "A Farebox key" => 200 api::Key,
    "PUT /admin/v1/keys/{id}" "Replaces what can be changed of a Farebox key"
        < api::PutKey => 200 api::Key,
    "DELETE /admin/v1/keys/{id}" "Revokes a Farebox key" => 200 api::Key,
    "POST /admin/v1/keys/{id}/rotate" "Gives a key another secret, which is shown once"
        < api::RotateKey => 200 api::CreatedKey,
    "GET /admin/v1/credentials" "A user's credentials and its organisation's"
        => 200 api::CredentialList,
    "GET /admin/v1/credentials/{owner}/{provider}" "A credential without its secret"
        => 200 api::Credential,
    "PUT /admin/v1/credentials/{owner}/{provider}" "Stores a credential"
        < api::PutCredential => 200 api::Credential,
    "DELETE /admin/v1/credentials/{owner}/{provider}" "Disables and erases a credential"
        => 200 api::Credential,
    "GET /admin/v1/credentials/{owner}/{provider}/{name}" "One of several credentials"
        => 200 api::Credential,
    "PUT /admin/v1/credentials/{owner}/{provider}/{name}" "Stores one of several credentials"
        < api::PutCredential => 200 api::Credential,
    "DELETE /admin/v1/credentials/{owner}/{provider}/{name}" "Disables and erases one of several"
        => 200 api::Credential,
    "GET /admin/v1/limits/{scope+}" "Rate limits of a user or a key" => 200 api::RateLimits,
    "PUT /admin/v1/limits/{scope+}" "Replaces them"
        < farebox_core::RateLimits => 200 api::RateLimits,
    "GET /admin/v1/budgets" "Budgets" => 200 api::BudgetList,
    "GET /admin/v1/budgets/{scope+}" "A budget" => 200 api::Budget,
    "PUT /admin/v1/budgets/{scope+}" "Replaces a budget" < api::PutBudget => 200 api::Budget,
    "GET /admin/v1/usage" "What is spent in each scope, or what calls add up to" => 200 Usage,
    "GET /admin/v1/usage/days/{day}" "What each key and set of labels was charged on a day"
        => 200 api::UsageDay,
    "GET /admin/v1/models" "Models of a provider, with the prices in force" => 200 api::ModelList,
    "GET /admin/v1/models/{provider}/{model+}" "A model" => 200 api::Model,
    "GET /admin/v1/prices" "Prices of your own" => 200 api::PriceList,
    "GET /admin/v1/prices/{provider}/{model+}" "A price of your own" => 200 api::Price,
    "PUT /admin/v1/prices/{provider}/{model+}" "Sets a price of your own"
        < PriceSpec => 200 api::Price,
    "DELETE /admin/v1/prices/{provider}/{model+}" "Takes a price of your own away" => 204,
    "GET /admin/v1/discounts" "What is taken off list prices" => 200 api::DiscountList,
    "GET /admin/v1/discounts/{target+}" "A discount" => 200 api::Discount,
    "PUT /admin/v1/discounts/{target+}" "Makes or replaces a discount"
        < Discount => 200 api::Discount,
    "DELETE /admin/v1/discounts/{target+}" "Takes a discount away" => 204,
    "GET /admin/v1/catalogue" "The price list in force" => 200 api::Catalogue,
    "PUT /admin/v1/catalogue" "Imports a price list" < PriceListFile => 200 api::Catalogue,
    "DELETE /admin/v1/catalogue" "Goes back to the list that the code was built with" => 204,
    "POST /admin/v1/catalogue/preview" "What a price list would change"
        < PriceListFile => 200 api::CataloguePreview,
    "GET /admin/v1/catalogue/lists" "Price lists that were imported" => 200 api::ImportedLists,
    "GET /admin/v1/catalogue/lists/{version}" "What an imported price list would change"
        => 200 api::CataloguePreview,
    "GET /admin/v1/catalogue/version" "The price list in force" => 200 api::Catalogue,
    "PUT /admin/v1/catalogue/version" "Puts an imported price list in force again"
        < api::PutCatalogueVersion => 200 api::Catalogue,
    "GET /admin/v1/quarantine" "Models of which a call cost more than its hold"
        => 200 api::QuarantineList,
    "GET /admin/v1/quarantine/{provider}/{model+}" "One of them" => 200 api::Quarantined,
    "DELETE /admin/v1/quarantine/{provider}/{model+}" "Lets a model be called again" => 204,
    "GET /admin/v1/routes" "Names that stand for several models" => 200 api::RouteList,
    "GET /admin/v1/routes/{name}" "A route" => 200 api::Route,
    "PUT /admin/v1/routes/{name}" "Makes or replaces a route"
        < farebox_core::Route => 200 api::Route,
    "DELETE /admin/v1/routes/{name}" "Takes a route away" => 204,
    "GET /admin/v1/webhook" "Where alerts go" => 200 api::Webhook,
    "PUT /admin/v1/webhook" "Sets where alerts go; the signing secret is shown once"
        < api::PutWebhook => 200 api::SetWebhook,
    "DELETE /admin/v1/webhook" "Sends alerts nowhere" => 204,
    "GET /admin/v1/requests" "Calls, the newest first" => 200 api::RequestList,
    "GET /admin/v1/requests/{id}" "A call" => 200 api::RequestRow,
    "GET /admin/v1/requests/{id}/content" "What was said in a call, where it is kept"
        => 200 Anything,
    "GET /admin/v1/content-log/{scope+}" "Whether content is kept" => 200 api::ContentLog,
    "PUT /admin/v1/content-log/{scope+}" "Keeps content, or no more"
        < api::PutContentLog => 200 api::ContentLog,
    "DELETE /admin/v1/users/{id}/content" "Erases what is kept of a user's content"
        => 200 api::ErasedContent,
    "GET /admin/v1/alerts" "Alerts of all budgets, or of one" => 200 api::AlertList,
    "GET /admin/v1/alerts/channels" "Where alerts go: one of each kind, so there is one page"
        => 200 api::ChannelList,
    "GET /admin/v1/alerts/operator" "What the operator was told" => 200 api::OperatorAlertList,
    "POST /admin/v1/alerts/test" "Sends an alert that tells nothing"
        < api::PostTestAlert => 201 api::Alert,
    "GET /admin/v1/corrections" "Corrections" => 200 api::CorrectionList,
    "POST /admin/v1/corrections" "Corrects a scope's books or a call"
        < api::PostCorrection => 200 api::Correction,
    "POST /admin/v1/rerate" "Calls at the present prices" < api::PostRerate => 200 api::Rerated,
    "POST /admin/v1/reconcile" "A provider's usage report beside the books"
        < api::PostStatement => 200 api::Statement,
    "GET /admin/v1/charges" "What the log's rows add up to" => 200 api::ChargeList,
    "GET /admin/v1/counters/{scope+}" "What a budget says of a month" => 200 api::Counters,
    "POST /admin/v1/settlements" "A record that only a log kept" < Anything => 200 api::Enqueued,
    "POST /admin/v1/restore-fence" "Raises the epochs after a restore"
        < api::RaiseEpochs => 200 api::RaisedEpochs,
    "GET /admin/v1/session" "Who asks" => 200 api::Session,
    "GET /admin/v1/queues" "What waits behind the calls" => 200 api::Queues,
    "GET /admin/v1/openapi.json" "This" => 200 Anything,
    "GET /admin/v1/me" "Who asks, and what the user may do for itself" => 200 api::Me,
    "GET /admin/v1/me/budgets" "What the key's calls count to: a handful, so there is one page"
        => 200 api::BudgetList,
    "GET /admin/v1/me/requests" "The user's calls, the newest first" => 200 api::RequestList,
    "GET /admin/v1/me/requests/{id}" "A call of the user" => 200 api::RequestRow,
    "GET /admin/v1/me/alerts" "Alerts of the user or one of its keys" => 200 api::AlertList,
    "GET /admin/v1/me/keys" "The user's keys" => 200 api::KeyList,
    "POST /admin/v1/me/keys" "Makes a key within what is allowed"
        < api::CreateOwnKey => 201 api::CreatedKey,
    "GET /admin/v1/me/keys/{id}" "A key of the user" => 200 api::Key,
    "PUT /admin/v1/me/keys/{id}" "Changes a key of the user within what is allowed"
        < api::PutOwnKey => 200 api::Key,
    "DELETE /admin/v1/me/keys/{id}" "Revokes a key of the user" => 200 api::Key,
    "POST /admin/v1/me/keys/{id}/rotate" "Gives a key another secret, which is shown once"
        < api::RotateKey => 200 api::CreatedKey,
    "GET /admin/v1/me/credentials" "The user's own credentials" => 200 api::CredentialList,
    "GET /admin/v1/me/credentials/{provider}" "One of them, without its secret"
        => 200 api::Credential,
    "PUT /admin/v1/me/credentials/{provider}" "Stores one"
        < api::PutOwnCredential => 200 api::Credential,
    "DELETE /admin/v1/me/credentials/{provider}" "Disables and erases one" => 200 api::Credential,
    "GET /admin/v1/me/credentials/{provider}/{name}" "One of several of the user's own"
        => 200 api::Credential,
    "PUT /admin/v1/me/credentials/{provider}/{name}" "Stores one of several of the user's own"
        < api::PutOwnCredential => 200 api::Credential,
    "DELETE /admin/v1/me/credentials/{provider}/{name}" "Disables and erases one of several"
        => 200 api::Credential,
    "GET /admin/v1/me/budget-requests" "The user's requests for more budget"
        => 200 api::BudgetRequestList,
    "POST /admin/v1/me/budget-requests" "Asks for more budget"
        < api::AskBudget => 201 api::BudgetRequest,
    "GET /admin/v1/me/budget-requests/{id}" "A request for more budget" => 200 api::BudgetRequest,
    "DELETE /admin/v1/me/budget-requests/{id}" "Takes a request back" => 200 api::BudgetRequest,
    "GET /admin/v1/budget-requests" "Requests for more budget" => 200 api::BudgetRequestList,
    "GET /admin/v1/budget-requests/{user}/{id}" "A request for more budget"
        => 200 api::BudgetRequest,
    "PUT /admin/v1/budget-requests/{user}/{id}" "Approves it until an end, or denies it"
        < api::DecideBudget => 200 api::BudgetRequest,
    "GET /admin/v1/admin-keys" "Admin keys besides the deployment's own" => 200 api::AdminKeyList,
    "POST /admin/v1/admin-keys" "Makes an admin key; its secret is shown once"
        < api::CreateAdminKey => 201 api::CreatedAdminKey,
    "GET /admin/v1/admin-keys/{id}" "An admin key" => 200 api::AdminKey,
    "DELETE /admin/v1/admin-keys/{id}" "Revokes an admin key" => 200 api::AdminKey,
    "POST /admin/v1/admin-keys/{id}/rotate" "Makes a successor and ends the key"
        < api::RotateAdminKey => 201 api::CreatedAdminKey,
    "GET /admin/v1/iam" "IAM principals with a role" => 200 api::PrincipalList,
    "GET /admin/v1/iam/{arn+}" "An IAM principal" => 200 api::Principal,
    "PUT /admin/v1/iam/{arn+}" "Gives an IAM principal a role"
        < api::PutPrincipal => 200 api::Principal,
    "DELETE /admin/v1/iam/{arn+}" "Takes its role away" => 204,
    "GET /admin/v1/sso" "Addresses and groups that may sign in" => 200 api::BindingList,
    "GET /admin/v1/sso/{subject+}" "An address or a group" => 200 api::Binding,
    "PUT /admin/v1/sso/{subject+}" "Gives an address or a group a role; ends its sessions"
        < api::PutBinding => 200 api::Binding,
    "DELETE /admin/v1/sso/{subject+}" "Takes its role away and ends its sessions" => 204,
    "GET /admin/v1/sso-sessions" "Sessions of who has signed in" => 200 api::SsoSessionList,
    "GET /admin/v1/sso-sessions/{id}" "A session" => 200 api::SsoSession,
    "DELETE /admin/v1/sso-sessions/{id}" "Ends a session" => 200 api::SsoSession,
    "GET /admin/v1/audit" "Who changed what, the newest first" => 200 api::AuditList,
};

/// Paths whose creates take an `Idempotency-Key`.
const REPEATABLE: [&str; 8] = [
    "/admin/v1/keys",
    "/admin/v1/keys/{id}/rotate",
    "/admin/v1/me/keys",
    "/admin/v1/me/keys/{id}/rotate",
    "/admin/v1/me/budget-requests",
    "/admin/v1/admin-keys",
    "/admin/v1/admin-keys/{id}/rotate",
    "/admin/v1/corrections",
];

fn parameter(name: &str, place: &str, is_required: bool, schema: &Value) -> Value {
    json!({"name": name, "in": place, "required": is_required, "schema": schema})
}

/// A schema that says more.
fn with(mut schema: Value, more: &Value) -> Value {
    let fields = schema.as_object_mut().unwrap();
    fields.extend(more.as_object().cloned().unwrap());
    schema
}

/// What a parameter of a path or a query may be.
fn shape_of(name: &str) -> Value {
    let id = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$";
    match name {
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": 100}),
        "from" | "to" => json!({"type": "string", "format": "date-time"}),
        "day" => json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
        "month" => json!({"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"}),
        "provider" => json!({"type": "string", "pattern": "^[a-z][a-z0-9_.-]{0,31}$"}),
        "model" => json!({"type": "string", "pattern": "^[!-~]{1,200}$"}),
        "outcome" => json!({"type": "string", "enum": Outcome::NAMES.map(|(name, _)| name)}),
        "label" => {
            let pair = json!({"type": "string", "pattern": "^.+:.+$", "maxLength": 577});
            with(pair, &json!({"examples": ["team:search"]}))
        }
        "cursor" => json!({"type": "string", "minLength": 1, "maxLength": 1024}),
        "scope" => {
            json!({"type": "string", "minLength": 1, "maxLength": 400, "examples": ["user:ada"]})
        }
        "target" => json!({"type": "string", "maxLength": 256, "examples": ["openai/*"]}),
        "arn" => json!({"type": "string", "maxLength": 256}),
        "subject" => {
            let pattern = "^(email|group):.{1,254}$";
            json!({"type": "string", "pattern": pattern, "examples": ["email:ann@example.com"]})
        }
        "user" | "id" | "key" | "name" => json!({"type": "string", "pattern": id}),
        "owner" => json!({"type": "string", "maxLength": 69, "examples": ["ada", "org:acme"]}),
        _ => json!({"type": "string", "minLength": 1, "maxLength": 256}),
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut found = Vec::new();
    for segment in route.path.split('/') {
        let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        let Some(name) = name else { continue };
        let mut one = parameter(
            name.trim_end_matches('+'),
            "path",
            true,
            &shape_of(name.trim_end_matches('+')),
        );
        if name.ends_with('+') {
            one["description"] = json!("May contain slashes, as they are.");
        }
        found.push(one);
    }
    for name in route.query {
        let is_required =
            (route.path.ends_with("/credentials") && *name == "user") || *name == "month";
        found.push(parameter(name, "query", is_required, &shape_of(name)));
    }
    let is_shown = ROUTES.iter().any(|other| other.method == "GET" && other.path == route.path);
    let is_rotation = route.path.ends_with("/keys/{id}/rotate");
    if is_rotation || (matches!(route.method, "PUT" | "DELETE") && is_shown) {
        let tag = json!({"type": "string", "pattern": "^(\\*|\"[0-9]{1,20}\")$"});
        found.push(parameter("If-Match", "header", true, &tag));
    }
    if route.method == "POST" && REPEATABLE.contains(&route.path) {
        let seed = json!({"type": "string", "minLength": 1, "maxLength": 255});
        found.push(parameter("Idempotency-Key", "header", false, &seed));
    }
    found
}

/// `put-users-id` for `PUT /admin/v1/users/{id}`.
fn operation_id(route: &str) -> String {
    let bare = route.replace("/admin/v1/", "").replace(['{', '}', '+'], "");
    bare.replace([' ', '/', '.'], "-").to_lowercase()
}

fn operation(route: &Route, row: &Row, made: &mut SchemaGenerator) -> Value {
    let content = |schema: Value| json!({"application/json": {"schema": schema}});
    let error = made.subschema_for::<api::ErrorAnswer>().to_value();
    let mut good = json!({"description": row.summary});
    if let Some(answer) = row.answer {
        good["content"] = content(answer(made));
    }
    let mut operation = json!({
        "summary": row.summary,
        "operationId": operation_id(row.route),
        "parameters": parameters(route),
        "responses": {
            row.status.to_string(): good,
            "default": {"description": "A refusal", "content": content(error)},
        },
    });
    if let Some(body) = row.body {
        operation["requestBody"] = json!({"required": true, "content": content(body(made))});
    }
    operation
}

/// What the names of fields promise everywhere: amounts, times and the length of lines.
fn bound(name: &str, schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    let is_text = match fields.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.contains(&json!("string")),
        _ => false,
    };
    if !is_text {
        return;
    }
    let bounds = match name {
        _ if name.ends_with("_usd") => json!({"pattern": "^-?[0-9]{1,16}(\\.[0-9]{1,12})?$"}),
        _ if name.ends_with("_at") || matches!(name, "until" | "at") => {
            json!({"format": "date-time"})
        }
        "name" => json!({"minLength": 1, "maxLength": 128}),
        "reason" | "note" => json!({"maxLength": 200}),
        "secret" => json!({"maxLength": 8192}),
        _ => return,
    };
    fields.extend(bounds.as_object().cloned().unwrap());
}

fn bounded(definitions: &mut Map<String, Value>) {
    for schema in definitions.values_mut() {
        if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            fields.iter_mut().for_each(|(name, schema)| bound(name, schema));
        }
    }
}

fn document() -> Value {
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
        let row = rows[&*name];
        let operation = operation(route, row, &mut made);
        let path = paths.entry(route.path.replace('+', "")).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation;
    }
    assert_eq!(rows.len(), ROUTES.len(), "a row without its route");
    let mut schemas = made.take_definitions(true);
    bounded(&mut schemas);
    schemas.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Farebox admin API",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The base URL of the deployment"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
        },
    })
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
