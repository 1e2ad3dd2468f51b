//! The admin API (`/admin/v1`) and the console (`/admin/console`).
//!
//! Every request but the console's page carries the admin key. Without it the answer is the
//! same 403 whatever was asked for, so nobody learns what exists. With it [`ROUTES`] names the
//! handler; a handler reads the request into valid types, asks [`Control`], and shows what came
//! of it. Errors become answers in one place ([`reply`]).

use core::convert::Infallible;
use core::future::Future;
use core::pin::Pin;

use farebox_aws::control::Control;
use farebox_aws::{Aws, Config};
use farebox_core::Error;
use lambda_http::{Body, Request, Response, service_fn};

pub mod auth;
pub mod call;
pub mod reply;

mod alerts;
mod budgets;
mod console;
mod content;
mod corrections;
mod credentials;
mod keys;
mod owners;
mod prices;
mod reconcile;
mod requests;
mod rerate;
mod restore;
mod settlements;
mod statement;
mod webhook;

use auth::Guard;
use call::Call;
use reply::{Answer, Refusal};

/// What a handler answers.
type Handled<'a> = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + 'a>>;

/// One row of the table: method, path, handler. `{name}` stands for one segment, `{name+}` for
/// all that follow.
pub struct Route {
    method: &'static str,
    path: &'static str,
    handler: for<'a> fn(&'a Gate, &'a Call) -> Handled<'a>,
}

/// What the handlers share.
pub struct Gate {
    control: Control,
    guard: Guard,
}

macro_rules! routes {
    ($($method:literal $path:literal => $handler:path,)*) => {
        /// The admin API, one row a method and path.
        pub const ROUTES: &[Route] = &[$(Route {
            method: $method,
            path: $path,
            handler: |gate, call| Box::pin($handler(gate, call)),
        }),*];
    };
}

routes! {
    "GET" "/admin/v1/users" => owners::list_users,
    "GET" "/admin/v1/users/{id}" => owners::show_user,
    "PUT" "/admin/v1/users/{id}" => owners::put_user,
    "GET" "/admin/v1/orgs" => owners::list_orgs,
    "GET" "/admin/v1/orgs/{id}" => owners::show_org,
    "PUT" "/admin/v1/orgs/{id}" => owners::put_org,
    "GET" "/admin/v1/teams" => owners::list_teams,
    "GET" "/admin/v1/teams/{id}" => owners::show_team,
    "PUT" "/admin/v1/teams/{id}" => owners::put_team,
    "GET" "/admin/v1/keys" => keys::list,
    "POST" "/admin/v1/keys" => keys::create,
    "DELETE" "/admin/v1/keys/{id}" => keys::revoke,
    "GET" "/admin/v1/credentials" => credentials::list,
    "PUT" "/admin/v1/credentials/{owner}/{provider}" => credentials::set,
    "DELETE" "/admin/v1/credentials/{owner}/{provider}" => credentials::disable,
    "GET" "/admin/v1/budgets" => budgets::list,
    "GET" "/admin/v1/budgets/{scope+}" => budgets::show,
    "PUT" "/admin/v1/budgets/{scope+}" => budgets::put,
    "GET" "/admin/v1/usage" => budgets::usage,
    "GET" "/admin/v1/prices" => prices::list,
    "GET" "/admin/v1/prices/{provider}/{model+}" => prices::show,
    "PUT" "/admin/v1/prices/{provider}/{model+}" => prices::put,
    "DELETE" "/admin/v1/prices/{provider}/{model+}" => prices::delete,
    "GET" "/admin/v1/quarantine" => prices::quarantine,
    "DELETE" "/admin/v1/quarantine/{provider}/{model+}" => prices::acknowledge,
    "GET" "/admin/v1/webhook" => webhook::show,
    "PUT" "/admin/v1/webhook" => webhook::put,
    "DELETE" "/admin/v1/webhook" => webhook::delete,
    "GET" "/admin/v1/requests" => requests::list,
    "GET" "/admin/v1/requests/{id}" => requests::show,
    "GET" "/admin/v1/requests/{id}/content" => content::show,
    "GET" "/admin/v1/content-log/{scope+}" => content::setting,
    "PUT" "/admin/v1/content-log/{scope+}" => content::put,
    "DELETE" "/admin/v1/users/{id}/content" => content::erase,
    "GET" "/admin/v1/alerts" => alerts::list,
    "GET" "/admin/v1/alerts/channels" => alerts::channels,
    "GET" "/admin/v1/alerts/operator" => alerts::operator,
    "POST" "/admin/v1/alerts/test" => alerts::test,
    "GET" "/admin/v1/corrections" => corrections::list,
    "POST" "/admin/v1/corrections" => corrections::post,
    "POST" "/admin/v1/rerate" => rerate::rerate,
    "POST" "/admin/v1/reconcile" => statement::reconcile,
    "GET" "/admin/v1/charges" => reconcile::charges,
    "GET" "/admin/v1/counters/{scope+}" => reconcile::counters,
    "POST" "/admin/v1/settlements" => settlements::enqueue,
    "POST" "/admin/v1/restore-fence" => restore::fence,
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
        Self { control: Control::new(aws), guard: Guard::new() }
    }

    /// The services.
    #[must_use]
    pub const fn aws(&self) -> &Aws {
        self.control.aws()
    }
}

/// One request, start to finish.
pub async fn answer(gate: &Gate, request: Request) -> Response<Body> {
    let rid = gate.control.aws().new_rid();
    let call = Call::read(&request);
    let outcome = match serve(gate, &call).await {
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
            refusal.into_response()
        }
    };
    if call.method() != "GET" && outcome.status().is_success() {
        tracing::info!(request_id = %rid, method = %call.method(), path = call.path(), "changed");
    }
    reply::finish(outcome, rid)
}

async fn serve(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    if call.path() == console::PATH {
        return console::page(call);
    }
    let is_admin = match auth::presented(call) {
        Some(key) => gate.guard.admits(key, &gate.control.admin_key().await?),
        None => false,
    };
    let (route, call) = admit(call, is_admin)?;
    (route.handler)(gate, &call).await
}

/// The route of a request that may be served.
///
/// # Errors
/// [`Error::AdminForbidden`] before anything else is looked at; then what is wrong with the
/// path, the method or the body as such.
fn admit(call: &Call, is_admin: bool) -> Result<(&'static Route, Call), Error> {
    if !is_admin {
        return Err(Error::AdminForbidden);
    }
    let fitting = ROUTES.iter().filter_map(|route| {
        let parameters = call::parameters(route.path, call.path())?;
        Some((route, parameters))
    });
    let mut allowed = Vec::new();
    for (route, parameters) in fitting {
        if route.method == call.method() {
            let call = call.clone().with_parameters(parameters?);
            call.check_body()?;
            return Ok((route, call));
        }
        allowed.push(route.method);
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

    fn refusal(method: &str, path: &str, is_admin: bool) -> Error {
        admit(&Call::of(method, path, ""), is_admin).err().unwrap()
    }

    #[test]
    fn every_route_finds_itself() {
        for route in ROUTES {
            let path = route
                .path
                .replace("{model+}", "a/b")
                .replace("{scope+}", "a/b")
                .replace(['{', '}'], "");
            let call = Call::of(route.method, &path, "{}");

            let (found, _) = admit(&call, true).unwrap();

            assert_eq!((found.method, found.path), (route.method, route.path));
        }
    }

    #[test]
    fn without_the_admin_key_all_refusals_are_alike() {
        for (method, path) in [
            ("GET", "/admin/v1/users"),
            ("PUT", "/admin/v1/users/u1"),
            ("PATCH", "/admin/v1/users/u1"),
            ("GET", "/admin/v1/nothing"),
            ("GET", "/admin"),
            ("PUT", "/admin/v1/users/%zz"),
        ] {
            assert_eq!(refusal(method, path, false), Error::AdminForbidden, "{method} {path}");
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
            let error = refusal("GET", path, true);
            assert_eq!(error, Error::NotFound { path: path.to_owned() }, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        let error = refusal("PATCH", "/admin/v1/users/u1", true);

        let (path, allowed) = ("/admin/v1/users/u1".to_owned(), "GET, PUT".to_owned());
        assert_eq!(error, Error::MethodNotAllowed { path, allowed });
        assert_eq!(refusal("HEAD", "/admin/v1/usage", true).row().status, 405);
    }

    #[test]
    fn a_model_may_have_slashes_and_escapes() {
        let call = Call::of("GET", "/admin/v1/prices/fireworks_ai/accounts/x%3Ay/z", "");

        let (_, call) = admit(&call, true).unwrap();

        assert_eq!(call.parameter("provider"), "fireworks_ai");
        assert_eq!(call.parameter("model"), "accounts/x:y/z");
    }
}
