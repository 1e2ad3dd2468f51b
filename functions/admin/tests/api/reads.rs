//! What each look at the control plane asks DynamoDB for: stated here, and the same however many
//! calls were logged.

use std::collections::BTreeMap;

use farebox_admin::ROUTES;
use farebox_aws::expression::Store;
use farebox_core::Outcome;
use farebox_ledger::Owner;
use farebox_ledger::alert::Alert;
use serde_json::{Value, json};

use crate::own::log;
use crate::roles::Cast;

/// By route. The audit asks once a month that it looks back; content is witnessed by two puts.
const READS: &str = "
/admin/v1/admin-keys: 1 Query
/admin/v1/admin-keys/{id}: 1 GetItem
/admin/v1/alerts: 1 BatchGetItem, 1 Query
/admin/v1/alerts/channels: 1 GetItem
/admin/v1/alerts/operator: 1 Query
/admin/v1/audit: 14 Query
/admin/v1/budget-requests: 1 Query
/admin/v1/budget-requests/{user}/{id}: 1 GetItem
/admin/v1/budgets: 1 BatchGetItem, 1 Query
/admin/v1/budgets/{scope+}: 1 BatchGetItem, 1 GetItem
/admin/v1/catalogue: 1 GetItem, 1 Query
/admin/v1/catalogue/lists: 1 Query
/admin/v1/catalogue/lists/{version}: 1 GetItem
/admin/v1/catalogue/version: 1 GetItem, 1 Query
/admin/v1/content-log/{scope+}: 2 GetItem
/admin/v1/corrections: 1 Query
/admin/v1/counters/{scope+}: 1 BatchGetItem
/admin/v1/credentials: 2 GetItem
/admin/v1/credentials/{owner}/{provider}: 1 GetItem
/admin/v1/credentials/{owner}/{provider}/{name}: 1 GetItem
/admin/v1/discounts: 1 Query
/admin/v1/discounts/{target+}: 1 GetItem
/admin/v1/iam: 1 Query
/admin/v1/iam/{arn+}: 1 GetItem
/admin/v1/keys: 1 BatchGetItem, 1 Query
/admin/v1/keys/{id}: 1 GetItem
/admin/v1/limits/{scope+}: 2 GetItem
/admin/v1/me: 1 GetItem
/admin/v1/me/alerts: 1 Query
/admin/v1/me/budget-requests: 1 Query
/admin/v1/me/budget-requests/{id}: 1 GetItem
/admin/v1/me/budgets: 1 BatchGetItem
/admin/v1/me/credentials: 1 GetItem
/admin/v1/me/credentials/{provider}: 1 GetItem
/admin/v1/me/credentials/{provider}/{name}: 1 GetItem
/admin/v1/me/keys: 1 BatchGetItem, 1 Query
/admin/v1/me/keys/{id}: 1 GetItem
/admin/v1/me/requests: 1 Query
/admin/v1/me/requests/{id}: 1 GetItem, 1 Query
/admin/v1/models: 1 Query
/admin/v1/models/{provider}/{model+}: 1 Query
/admin/v1/openapi.json: nothing
/admin/v1/orgs: 1 Query
/admin/v1/orgs/{id}: 1 GetItem
/admin/v1/prices: 1 Query
/admin/v1/prices/{provider}/{model+}: 1 GetItem
/admin/v1/quarantine: 1 Query
/admin/v1/quarantine/{provider}/{model+}: 1 GetItem
/admin/v1/requests: 1 BatchGetItem, 1 Query
/admin/v1/requests/{id}: 1 BatchGetItem, 2 Query
/admin/v1/requests/{id}/content: 1 BatchGetItem, 1 GetItem, 2 PutItem, 1 Query
/admin/v1/routes: 1 Query
/admin/v1/routes/{name}: 1 GetItem, 1 Query
/admin/v1/session: nothing
/admin/v1/sso: 1 Query
/admin/v1/sso-sessions: 1 Query
/admin/v1/sso-sessions/{id}: 1 GetItem
/admin/v1/sso/{subject+}: 1 GetItem
/admin/v1/teams: 1 Query
/admin/v1/teams/{id}: 1 GetItem
/admin/v1/usage: 1 BatchGetItem, 1 Query
/admin/v1/usage/days/{day}: 8 Query
/admin/v1/users: 1 Query
/admin/v1/users/{id}: 1 GetItem
/admin/v1/webhook: 1 GetItem
";

/// Rows that the log has in the end: more than a page.
const ROWS: usize = 230;

/// The paths that are looked at, by their route.
fn paths(key: &str, call: &str, day: &str) -> BTreeMap<&'static str, String> {
    // `charges` adds up the rows of a month: it reads them, as it is asked to. `queues` asks SQS,
    // which is not in this world (tests/it/books.rs).
    let beside = ["/admin/v1/charges", "/admin/v1/queues"];
    let shows =
        ROUTES.iter().filter(|route| route.method == "GET" && !beside.contains(&route.path));
    let fill = |path: &str| {
        let id = match path {
            _ if path.contains("/keys/") => key,
            _ if path.contains("requests/") => call,
            _ if path.contains("/users/") => "u1",
            _ => "x1",
        };
        let filled = path
            .replace("{id}", id)
            .replace("{owner}", "u1")
            .replace("{user}", "u1")
            .replace("{provider}", "openai")
            .replace("{version}", "2030-01-01.1")
            .replace("{day}", day)
            .replace("{name}", "fast")
            .replace("{model+}", "gpt-4o")
            .replace("{target+}", "openai/*")
            .replace("{scope+}", "user:u1")
            .replace("{arn+}", "arn:aws:iam::111122223333:role/Ops")
            .replace("{subject+}", "group:ops");
        let query = match path {
            "/admin/v1/credentials" => "?user=u1".to_owned(),
            "/admin/v1/models" => "?provider=openai".to_owned(),
            "/admin/v1/counters/{scope+}" => format!("?month={}", &day[..7]),
            _ => String::new(),
        };
        format!("{filled}{query}")
    };
    shows.map(|route| (route.path, fill(route.path))).collect()
}

async fn measure(cast: &Cast, call: &str) -> BTreeMap<&'static str, String> {
    let mut measured = BTreeMap::new();
    let now = cast.world.gate.aws().now().to_string();
    for (route, path) in paths(&cast.members[0].0, call, &now[..10]) {
        let role = if route.starts_with("/admin/v1/me") { 'm' } else { 'o' };
        // Who asks is known: a member's key is read again after 30 s.
        cast.ask(role, "GET", "/admin/v1/session", Value::Null).await;
        cast.world.operations();
        let reply = cast.ask(role, "GET", &path, Value::Null).await;
        assert!(matches!(reply.status, 200 | 404), "{path}: {}", reply.body);
        let asked = cast.world.operations();
        let asked = if asked.is_empty() { "nothing".to_owned() } else { asked };
        measured.insert(route, asked);
    }
    measured
}

#[tokio::test]
async fn a_look_costs_what_it_says_however_many_calls_there_were() {
    let cast = Cast::new().await;
    let key = cast.members[0].0.clone();
    let body = json!({"targets": [{"model": "openai/gpt-4o"}]});
    cast.world.ask("PUT", "/admin/v1/routes/fast", body).await;
    let call = log(&cast.world, "u1", &key, Outcome::Settled, "user:u1").await.to_string();
    let (aws, now) = (cast.world.gate.aws(), cast.world.gate.aws().now());
    let owner = Owner::new(&aws.config().tenant, "user:u1".parse().unwrap());
    Store::patient(aws).record_all(&Alert::test(now).recorded(&owner, now)).await.unwrap();
    let few = measure(&cast, &call).await;
    for _ in 0..ROWS {
        log(&cast.world, "u1", &key, Outcome::Settled, "user:u1").await;
    }

    let many = measure(&cast, &call).await;

    let stated: Vec<_> = many.iter().map(|(route, reads)| format!("{route}: {reads}")).collect();
    assert_eq!(stated.join("\n").trim(), READS.trim());
    for (route, reads) in &few {
        // A page that is not full looks for more rows, a day at a time.
        let is_page = route.ends_with("/requests");
        assert!(is_page || *reads == many[route], "{route}: {reads} {}", many[route]);
    }
}
