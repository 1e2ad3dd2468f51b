//! The admin API (`/admin/v1`) and the console (`/admin/console`).
//!
//! Every request but the console's page carries a key, a signature or a session's cookie. Without
//! one the answer is the same 403 whatever was asked for, so nobody learns what exists. With one
//! [`ROUTES`] names the right that its role must have ([`auth`]) and the handler; a handler reads
//! the request into valid types, asks [`Control`], and shows what came of it. Its writes leave a
//! trail in the audit. Errors become answers in one place ([`reply`]).

use core::convert::Infallible;
use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use farebox_aws::control::{Control, End, Entry, Trail};
use farebox_aws::{Aws, Config};
use farebox_core::{Error, Rid};
use lambda_http::{Body, Request, Response, service_fn};
use serde_json::Value;

pub mod auth;
pub mod call;
pub mod reply;

mod admins;
mod alerts;
mod asks;
mod audit;
mod budgets;
mod catalogue;
mod console;
mod content;
mod corrections;
mod credentials;
mod discounts;
mod iam;
mod keys;
mod limits;
mod me;
mod models;
mod openapi;
mod owners;
mod path;
mod precondition;
mod prices;
mod queues;
mod reconcile;
mod requests;
mod rerate;
mod restore;
mod routes;
mod settlements;
mod sign_on;
mod sso;
mod statement;
mod usage;
mod webhook;

use auth::{Guard, Principal, Right};
use call::Call;
use reply::{Answer, Refusal};
use sign_on::Provider;

/// What a handler answers.
type Handled<'a> = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + 'a>>;

/// One row of the table: method, right, path, parameters of the query, handler. `{name}` stands
/// for one segment, `{name+}` for all that follow.
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// What a role must have.
    pub right: Right,
    /// The path.
    pub path: &'static str,
    /// What the query may say.
    pub query: &'static [&'static str],
    handler: for<'a> fn(&'a Gate, &'a Call) -> Handled<'a>,
}

/// The longest body: a price override has a few hundred bytes, a provider's secret a few thousand.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Lambda takes 6 MB as a JSON text, in which a list's quotes count twice.
const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Route {
    fn body_bytes_max(&self) -> usize {
        let lists = ["/admin/v1/catalogue", "/admin/v1/catalogue/preview"];
        if lists.contains(&self.path) { LIST_BYTES_MAX } else { BODY_BYTES_MAX }
    }
}

/// What the handlers share.
#[derive(Clone)]
pub struct Gate {
    control: Control,
    guard: Guard,
    sign_on: Option<Arc<Provider>>,
}

macro_rules! routes {
    ($($method:literal $right:ident $path:literal $(? $($query:ident)+)? => $handler:path,)*) => {
        /// The admin API, one row a method and path.
        pub const ROUTES: &[Route] = &[$(Route {
            method: $method,
            right: Right::$right,
            path: $path,
            query: &[$($(stringify!($query)),+)?],
            handler: |gate, call| Box::pin($handler(gate, call)),
        }),*];
    };
}

routes! {
    "GET" Read "/admin/v1/users" ? org team limit cursor => owners::list_users,
    "GET" Read "/admin/v1/users/{id}" => owners::show_user,
    "PUT" Change "/admin/v1/users/{id}" => owners::put_user,
    "GET" Read "/admin/v1/orgs" ? limit cursor => owners::list_orgs,
    "GET" Read "/admin/v1/orgs/{id}" => owners::show_org,
    "PUT" Change "/admin/v1/orgs/{id}" => owners::put_org,
    "GET" Read "/admin/v1/teams" ? limit cursor => owners::list_teams,
    "GET" Read "/admin/v1/teams/{id}" => owners::show_team,
    "PUT" Change "/admin/v1/teams/{id}" => owners::put_team,
    "GET" Read "/admin/v1/keys" ? user state limit cursor => keys::list,
    "POST" Change "/admin/v1/keys" => keys::create,
    "GET" Read "/admin/v1/keys/{id}" => keys::show,
    "PUT" Change "/admin/v1/keys/{id}" => keys::put,
    "DELETE" Change "/admin/v1/keys/{id}" => keys::revoke,
    "POST" Change "/admin/v1/keys/{id}/rotate" => keys::rotate,
    "GET" Read "/admin/v1/credentials" ? user limit cursor => credentials::list,
    "GET" Read "/admin/v1/credentials/{owner}/{provider}" => credentials::show,
    "PUT" Change "/admin/v1/credentials/{owner}/{provider}" => credentials::set,
    "DELETE" Change "/admin/v1/credentials/{owner}/{provider}" => credentials::disable,
    "GET" Read "/admin/v1/credentials/{owner}/{provider}/{name}" => credentials::show,
    "PUT" Change "/admin/v1/credentials/{owner}/{provider}/{name}" => credentials::set,
    "DELETE" Change "/admin/v1/credentials/{owner}/{provider}/{name}" => credentials::disable,
    "GET" Read "/admin/v1/budgets" ? kind order limit cursor => budgets::list,
    "GET" Read "/admin/v1/budgets/{scope+}" => budgets::show,
    "PUT" Change "/admin/v1/budgets/{scope+}" => budgets::put,
    "GET" Read "/admin/v1/usage" ? by since until scope kind limit cursor => usage::usage,
    "GET" Read "/admin/v1/usage/days/{day}" ? limit cursor => usage::day,
    "GET" Read "/admin/v1/models" ? provider search limit cursor => models::list,
    "GET" Read "/admin/v1/models/{provider}/{model+}" => models::show,
    "GET" Read "/admin/v1/prices" ? provider limit cursor => prices::list,
    "GET" Read "/admin/v1/prices/{provider}/{model+}" => prices::show,
    "PUT" Change "/admin/v1/prices/{provider}/{model+}" => prices::put,
    "DELETE" Change "/admin/v1/prices/{provider}/{model+}" => prices::delete,
    "GET" Read "/admin/v1/discounts" ? limit cursor => discounts::list,
    "GET" Read "/admin/v1/discounts/{target+}" => discounts::show,
    "PUT" Change "/admin/v1/discounts/{target+}" => discounts::put,
    "DELETE" Change "/admin/v1/discounts/{target+}" => discounts::delete,
    "GET" Read "/admin/v1/catalogue" => catalogue::show,
    "PUT" Change "/admin/v1/catalogue" => catalogue::put,
    "DELETE" Change "/admin/v1/catalogue" => catalogue::delete,
    "POST" Change "/admin/v1/catalogue/preview" => catalogue::preview,
    "GET" Read "/admin/v1/catalogue/lists" ? limit cursor => catalogue::lists,
    "GET" Read "/admin/v1/catalogue/lists/{version}" => catalogue::look,
    "GET" Read "/admin/v1/catalogue/version" => catalogue::show,
    "PUT" Change "/admin/v1/catalogue/version" => catalogue::switch,
    "GET" Read "/admin/v1/quarantine" ? limit cursor => prices::quarantine,
    "GET" Read "/admin/v1/quarantine/{provider}/{model+}" => prices::show_quarantined,
    "DELETE" Change "/admin/v1/quarantine/{provider}/{model+}" => prices::acknowledge,
    "GET" Read "/admin/v1/routes" ? limit cursor => routes::list,
    "GET" Read "/admin/v1/routes/{name}" => routes::show,
    "PUT" Change "/admin/v1/routes/{name}" => routes::put,
    "DELETE" Change "/admin/v1/routes/{name}" => routes::delete,
    "GET" Read "/admin/v1/limits" ? limit cursor => limits::list,
    "GET" Read "/admin/v1/limits/{scope+}" => limits::show,
    "PUT" Change "/admin/v1/limits/{scope+}" => limits::put,
    "GET" Read "/admin/v1/webhook" => webhook::show,
    "PUT" Change "/admin/v1/webhook" => webhook::put,
    "DELETE" Change "/admin/v1/webhook" => webhook::delete,
    "GET" Read "/admin/v1/requests"
        ? user key org team provider model outcome error label from to limit cursor
        => requests::list,
    "GET" Read "/admin/v1/requests/{id}" ? user => requests::show,
    "GET" Rule "/admin/v1/requests/{id}/content" => content::show,
    "GET" Read "/admin/v1/content-log" ? limit cursor => content::settings,
    "GET" Read "/admin/v1/content-log/{scope+}" => content::setting,
    "PUT" Rule "/admin/v1/content-log/{scope+}" => content::put,
    "DELETE" Rule "/admin/v1/users/{id}/content" => content::erase,
    "GET" Read "/admin/v1/alerts" ? scope limit cursor => alerts::list,
    "GET" Read "/admin/v1/alerts/channels" => alerts::channels,
    "GET" Read "/admin/v1/alerts/operator" ? state limit cursor => alerts::operator,
    "GET" Read "/admin/v1/alerts/operator/{alert+}" => alerts::show_operator,
    "DELETE" Change "/admin/v1/alerts/operator/{alert+}" => alerts::acknowledge,
    "POST" Change "/admin/v1/alerts/test" => alerts::test,
    "GET" Read "/admin/v1/corrections" ? scope limit cursor => corrections::list,
    "POST" Change "/admin/v1/corrections" => corrections::post,
    "POST" Change "/admin/v1/rerate" => rerate::rerate,
    "POST" Change "/admin/v1/reconcile" => statement::reconcile,
    "GET" Read "/admin/v1/charges" ? month cursor => reconcile::charges,
    "GET" Read "/admin/v1/counters/{scope+}" ? month => reconcile::counters,
    "POST" Rule "/admin/v1/settlements" => settlements::enqueue,
    "POST" Rule "/admin/v1/restore-fence" => restore::fence,
    "GET" Any "/admin/v1/session" => admins::session,
    "GET" Any "/admin/v1/openapi.json" => openapi::show,
    "GET" Own "/admin/v1/me" => me::show,
    "GET" Own "/admin/v1/me/budgets" => me::budgets,
    "GET" Own "/admin/v1/me/requests"
        ? key provider model outcome error label from to limit cursor => me::requests,
    "GET" Own "/admin/v1/me/requests/{id}" => me::request,
    "GET" Own "/admin/v1/me/alerts" ? key limit cursor => me::alerts,
    "GET" Own "/admin/v1/me/keys" ? limit cursor => me::keys,
    "POST" Own "/admin/v1/me/keys" => me::create_key,
    "GET" Own "/admin/v1/me/keys/{id}" => me::show_key,
    "PUT" Own "/admin/v1/me/keys/{id}" => me::put_key,
    "DELETE" Own "/admin/v1/me/keys/{id}" => me::revoke_key,
    "POST" Own "/admin/v1/me/keys/{id}/rotate" => me::rotate_key,
    "GET" Own "/admin/v1/me/credentials" ? limit cursor => me::credentials,
    "GET" Own "/admin/v1/me/credentials/{provider}" => me::show_credential,
    "PUT" Own "/admin/v1/me/credentials/{provider}" => me::set_credential,
    "DELETE" Own "/admin/v1/me/credentials/{provider}" => me::disable_credential,
    "GET" Own "/admin/v1/me/credentials/{provider}/{name}" => me::show_credential,
    "PUT" Own "/admin/v1/me/credentials/{provider}/{name}" => me::set_credential,
    "DELETE" Own "/admin/v1/me/credentials/{provider}/{name}" => me::disable_credential,
    "GET" Own "/admin/v1/me/budget-requests" ? limit cursor => asks::own_list,
    "POST" Own "/admin/v1/me/budget-requests" => asks::own_create,
    "GET" Own "/admin/v1/me/budget-requests/{id}" => asks::own_show,
    "DELETE" Own "/admin/v1/me/budget-requests/{id}" => asks::own_withdraw,
    "GET" Read "/admin/v1/budget-requests" ? user state limit cursor => asks::list,
    "GET" Read "/admin/v1/budget-requests/{user}/{id}" => asks::show,
    "PUT" Change "/admin/v1/budget-requests/{user}/{id}" => asks::decide,
    "GET" Read "/admin/v1/admin-keys" ? role limit cursor => admins::list,
    "POST" Rule "/admin/v1/admin-keys" => admins::create,
    "GET" Read "/admin/v1/admin-keys/{id}" => admins::show,
    "DELETE" Rule "/admin/v1/admin-keys/{id}" => admins::revoke,
    "POST" Rule "/admin/v1/admin-keys/{id}/rotate" => admins::rotate,
    "GET" Read "/admin/v1/iam" ? role limit cursor => iam::list,
    "GET" Read "/admin/v1/iam/{arn+}" => iam::show,
    "PUT" Rule "/admin/v1/iam/{arn+}" => iam::put,
    "DELETE" Rule "/admin/v1/iam/{arn+}" => iam::delete,
    "GET" Read "/admin/v1/sso" ? limit cursor => sso::list,
    "GET" Read "/admin/v1/sso/{subject+}" => sso::show,
    "PUT" Rule "/admin/v1/sso/{subject+}" => sso::put,
    "DELETE" Rule "/admin/v1/sso/{subject+}" => sso::delete,
    "GET" Read "/admin/v1/sso-sessions" ? limit cursor => sso::sessions,
    "GET" Read "/admin/v1/sso-sessions/{id}" => sso::show_session,
    "DELETE" Rule "/admin/v1/sso-sessions/{id}" => sso::end_session,
    "GET" Read "/admin/v1/queues" => queues::show,
    "GET" Read "/admin/v1/audit" ? from to actor action target limit cursor => audit::list,
}

/// Reads the configuration and serves until the runtime ends.
///
/// # Errors
/// Where the configuration is not complete or the Lambda runtime breaks.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    // A second call in one process (tests) finds the first subscriber in place.
    let _ = tracing_subscriber::fmt().json().with_ansi(false).try_init();
    let gate = Gate::new(&Aws::new(Config::from_env()?));
    let gate = &gate;
    let service = service_fn(move |request: Request| async move {
        Ok::<_, Infallible>(answer(gate, request).await)
    });
    lambda_http::run_with_streaming_response(service).await
}

impl Gate {
    /// Takes the services; reads nothing yet.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        let sign_on = Provider::new(aws).map(Arc::new);
        Self { control: Control::new(aws), guard: Guard::new(), sign_on }
    }

    /// The services.
    #[must_use]
    pub const fn aws(&self) -> &Aws {
        self.control.aws()
    }

    fn on_trail(&self, trail: Trail) -> Self {
        Self { control: self.control.on_trail(trail), ..self.clone() }
    }
}

/// One request, start to finish.
pub async fn answer(gate: &Gate, request: Request) -> Response<Body> {
    let rid = gate.control.aws().new_rid();
    let call = Call::read(&request);
    let outcome = match serve(gate, &call, rid).await {
        Ok(answer) => answer.into_response(),
        Err(refusal) => {
            let error = refusal.error();
            tracing::info!(
                request_id = %rid,
                method = %call.method(),
                path = call.path(),
                code = error.row().code,
                cause = error.cause(),
                "refused"
            );
            sign_on::refused(&call, refusal)
        }
    };
    reply::finish(outcome, rid)
}

async fn serve(gate: &Gate, call: &Call, rid: Rid) -> Result<Answer, Refusal> {
    if let Some(answer) = console::answer(call) {
        return answer;
    }
    if let Some(answer) = sign_on::answer(gate, call, rid).await? {
        return Ok(answer);
    }
    let who = auth::identify(gate, call).await?.ok_or(Error::AdminForbidden)?;
    let (route, call) = admit(call, &who)?;
    let before = precondition::look(gate, route, &call).await?;
    let call = match precondition::expected(&call, &before)? {
        Some(expected) => call.with_expected(expected),
        None => call,
    };
    let entry = Entry {
        id: rid,
        actor: who.actor.clone(),
        role: who.role.name(),
        action: call.method().to_owned(),
        target: call.path().to_owned(),
        before: before.shown(),
    };
    let trail = Trail::new(gate.aws(), entry);
    let outcome = (route.handler)(&gate.on_trail(trail.clone()), &call).await;
    let end = match &outcome {
        // What was looked at is not told again: content is kept nowhere in clear.
        Ok(answer) if call.method() == "GET" => End { status: answer.status(), after: Value::Null },
        Ok(answer) => End { status: answer.status(), after: answer.shown() },
        Err(refusal) => End { status: refusal.error().row().status, after: Value::Null },
    };
    trail.end(&gate.control, end).await;
    match outcome {
        Err(refusal) if matches!(refusal.error(), Error::StaleVersion { .. }) => {
            Err(precondition::stale(&call, &precondition::look(gate, route, &call).await?))
        }
        outcome => outcome,
    }
}

/// The route of a request that may be served.
///
/// # Errors
/// [`Error::AdminForbidden`] where the role may not; else what is wrong with the path, the method,
/// the query or the body as such.
fn admit(call: &Call, who: &Principal) -> Result<(&'static Route, Call), Error> {
    let fitting = ROUTES.iter().filter_map(|route| {
        let parameters = path::parameters(route.path, call.path())?;
        Some((route, parameters))
    });
    let mut allowed = Vec::new();
    for (route, parameters) in fitting {
        if route.method == call.method() {
            if !who.role.may(route.right) {
                return Err(Error::AdminForbidden);
            }
            let call = call.clone().with_parameters(parameters?).by(who.clone());
            call.check_query(route.query)?;
            call.check_body(route.body_bytes_max())?;
            return Ok((route, call));
        }
        allowed.push(route.method);
    }
    // Who may look at nothing here learns nothing, also not which paths there are.
    if !who.role.may(Right::Read) {
        return Err(Error::AdminForbidden);
    }
    let path = call.path().to_owned();
    if allowed.is_empty() {
        return Err(Error::NotFound { path });
    }
    Err(Error::MethodNotAllowed { path, allowed: allowed.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Principal {
        let actor = "admin-key:root".to_owned();
        Principal { actor, role: auth::Role::Owner, member: None, session: None }
    }

    fn refusal(method: &str, path: &str) -> Error {
        admit(&Call::of(method, path, ""), &owner()).err().unwrap()
    }

    #[test]
    fn every_route_finds_itself() {
        for route in ROUTES {
            let path = route
                .path
                .replace("{model+}", "a/b")
                .replace("{scope+}", "a/b")
                .replace("{target+}", "a/b")
                .replace("{alert+}", "a/b")
                .replace("{arn+}", "a/b")
                .replace("{subject+}", "a/b")
                .replace(['{', '}'], "");
            let call = Call::of(route.method, &path, "{}");

            let role =
                if route.right == Right::Own { auth::Role::Member } else { auth::Role::Owner };
            let (found, _) = admit(&call, &Principal { role, ..owner() }).unwrap();

            assert_eq!((found.method, found.path), (route.method, route.path));
        }
    }

    #[test]
    fn what_is_not_there_is_404() {
        for path in [
            "/",
            "/admin",
            "/admin/v1",
            "/admin/v1/",
            "/admin/v1/nothing",
            "/admin/v1/users/",
            "/admin/v1/users/u1/",
            "/admin/v1/users/a/b",
            "/admin/v1/credentials/u1",
            "/admin/v1/prices/openai/",
            "/v1/chat",
        ] {
            let error = refusal("GET", path);
            assert_eq!(error, Error::NotFound { path: path.to_owned() }, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        let error = refusal("PATCH", "/admin/v1/users/u1");

        let (path, allowed) = ("/admin/v1/users/u1".to_owned(), "GET, PUT".to_owned());
        assert_eq!(error, Error::MethodNotAllowed { path, allowed });
        assert_eq!(refusal("HEAD", "/admin/v1/usage").row().status, 405);
    }

    #[test]
    fn a_parameter_that_the_route_does_not_take_is_refused() {
        let ask = |name| Call::of("GET", "/admin/v1/keys", "").with_query(name, "x");
        let refused = |call: Call| admit(&call, &owner()).err();

        assert!(refused(ask("user")).is_none());
        assert_eq!(refused(ask("usr")).and_then(|error| error.field().map(str::to_owned)), {
            Some("usr".to_owned())
        });
        assert!(refused(ask("user").with_query("user", "y")).is_some());
        // An empty filter is no filter, so it is not taken for one.
        let with = |value: &str| Call::of("GET", "/admin/v1/keys", "").with_query("cursor", value);
        assert!(refused(with("")).is_some() && refused(with(&"x".repeat(1025))).is_some());
        assert!(refused(with(&"x".repeat(1024))).is_none());
    }

    #[test]
    fn a_model_may_have_slashes_and_escapes() {
        let call = Call::of("GET", "/admin/v1/prices/fireworks_ai/accounts/x%3Ay/z", "");

        let (_, call) = admit(&call, &owner()).unwrap();

        assert_eq!(call.parameter("provider"), "fireworks_ai");
        assert_eq!(call.parameter("model"), "accounts/x:y/z");
    }
}
