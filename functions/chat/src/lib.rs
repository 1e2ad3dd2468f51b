//! The chat function: the paid road.
//!
//! ```text
//! API Gateway ─► ROUTES ─► handle::chat: authenticate → claim → parse → resolve → price
//!                            → bound → credential → reserve ─► carry: call → relay → decide
//!                                                         → settle ‖ log ─► last byte
//! ```
//!
//! One call reads top to bottom in [`handle`]. Everything else is a leaf of it, or one of the
//! small read-only endpoints in [`account`].

pub mod account;
pub mod authenticate;
pub mod content;
pub mod dialect;
pub mod gate;
pub mod gather;
pub mod handle;
pub mod hold;
pub mod idempotency;
pub mod incoming;
pub mod meter;
pub mod plan;
pub mod quote;
pub mod relay;
pub mod reply;
pub mod resolve;
pub mod upstream;

use std::sync::Arc;

use farebox_core::Error;
use futures_util::future::BoxFuture;
use http::{Method, Response};
use lambda_http::Request;

use crate::dialect::{Dialect, NATIVE, OPENAI};
use crate::gate::Gate;
use crate::incoming::Incoming;
use crate::reply::{ReplyBody, refusal};

/// What serves a route.
#[derive(Clone, Copy)]
enum Handler {
    /// A paid call in one of the dialects.
    Chat(&'static dyn Dialect),
    Models,
    Model,
    Budget,
    Quote,
    Requests,
    Request,
    Health,
    /// Known to clients and not served: what it is, and what to use.
    NotServed(&'static str, &'static str),
}

/// Every path: method, path (a last `*` takes the rest), handler. An endpoint is one row.
const ROUTES: &[(Method, &str, Handler)] = &[
    (Method::POST, "/v1/chat", Handler::Chat(&NATIVE)),
    (Method::POST, "/v1/chat/completions", Handler::Chat(&OPENAI)),
    (Method::GET, "/v1/models", Handler::Models),
    (Method::GET, "/v1/models/*", Handler::Model),
    (Method::GET, "/v1/budget", Handler::Budget),
    (Method::POST, "/v1/quote", Handler::Quote),
    (Method::GET, "/v1/requests", Handler::Requests),
    (Method::GET, "/v1/requests/*", Handler::Request),
    (Method::GET, "/healthz", Handler::Health),
    (Method::POST, "/v1/responses", Handler::NotServed("/v1/responses", CHAT_INSTEAD)),
    (Method::POST, "/v1/messages", Handler::NotServed("/v1/messages", CHAT_INSTEAD)),
    (Method::POST, "/v1/completions", Handler::NotServed("/v1/completions", CHAT_INSTEAD)),
    (Method::POST, "/v1/embeddings", Handler::NotServed("/v1/embeddings", CHAT_INSTEAD)),
];

const CHAT_INSTEAD: &str = "Use POST /v1/chat/completions or POST /v1/chat.";

/// Runs the function until the Lambda service ends the environment.
///
/// # Errors
/// A configuration fault, or a fault of the Runtime API.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    // A second call in one process (tests) finds the first subscriber in place.
    let _ = tracing_subscriber::fmt().json().with_ansi(false).try_init();
    let gate = Arc::new(Gate::from_env()?);
    let served = Arc::clone(&gate);
    let handler = lambda_http::service_fn(move |request: Request| {
        let gate = Arc::clone(&served);
        async move { Ok::<_, lambda_runtime::Error>(serve(&gate, request).await) }
    });
    lambda_http::run_with_streaming_response(handler).await?;
    gate.tasks.close();
    gate.tasks.wait().await;
    Ok(())
}

/// Answers one request. Every answer carries `x-request-id`, and every error has the dialect
/// of its endpoint.
pub async fn serve(gate: &Arc<Gate>, request: Request) -> Response<ReplyBody> {
    let incoming = Incoming::new(gate, request);
    let dialect = dialect_of(&incoming.path);
    match route(gate, &incoming).await {
        Ok(response) => response,
        Err(error) => refusal(dialect, &incoming, &error),
    }
}

async fn route(gate: &Arc<Gate>, incoming: &Incoming) -> Result<Response<ReplyBody>, Error> {
    let (handler, rest) = find(&incoming.method, &incoming.path)?;
    // Boxed: the compiler cannot prove `Send` for the nested futures as one type
    // (rust-lang/rust#102211), and a box a call is nothing beside a socket.
    let answer: BoxFuture<'_, _> = match handler {
        Handler::Chat(dialect) => Box::pin(handle::chat(gate, incoming, dialect)),
        Handler::Models => Box::pin(account::models(gate, incoming)),
        Handler::Model => Box::pin(account::model(gate, incoming, rest)),
        Handler::Budget => Box::pin(account::budget(gate, incoming)),
        Handler::Quote => Box::pin(quote::quote(gate, incoming)),
        Handler::Requests => Box::pin(account::requests(gate, incoming)),
        Handler::Request => Box::pin(account::request(gate, incoming, rest)),
        Handler::Health => return account::health(incoming),
        Handler::NotServed(what, instead) => {
            let (what, instead) = (what.to_owned(), instead.to_owned());
            return Err(Error::NotSupported { what, instead });
        }
    };
    answer.await
}

/// The row of a method and path, with what a last `*` stands for.
fn find<'p>(method: &Method, path: &'p str) -> Result<(Handler, &'p str), Error> {
    let mut allowed = Vec::new();
    for (takes, pattern, handler) in ROUTES {
        let rest = match pattern.strip_suffix('*') {
            Some(prefix) => path.strip_prefix(prefix).filter(|rest| !rest.is_empty()),
            None => (*pattern == path).then_some(""),
        };
        let Some(rest) = rest else { continue };
        if takes == method {
            return Ok((*handler, rest));
        }
        allowed.push(takes.as_str());
    }
    let path: String = path.chars().take(200).collect();
    if allowed.is_empty() {
        return Err(Error::NotFound { path });
    }
    Err(Error::MethodNotAllowed { path, allowed: allowed.join(", ") })
}

/// The dialect in which a path's errors are told.
fn dialect_of(path: &str) -> &'static dyn Dialect {
    let chat = ROUTES.iter().find_map(|(_, pattern, handler)| match handler {
        Handler::Chat(dialect) if *pattern == path => Some(*dialect),
        _ => None,
    });
    chat.unwrap_or(&OPENAI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_only_its_methods() {
        assert!(find(&Method::POST, "/v1/chat").is_ok());
        let refused = find(&Method::PUT, "/v1/chat").err();
        assert_eq!(
            refused,
            Some(Error::MethodNotAllowed { path: "/v1/chat".into(), allowed: "POST".into() })
        );
        assert_eq!(find(&Method::GET, "/v1").err().map(|error| error.row().status), Some(404));
    }

    #[test]
    fn a_star_takes_the_rest_with_its_slashes() {
        let (_, rest) = find(&Method::GET, "/v1/models/demo/chat").ok().unwrap();

        assert_eq!(rest, "demo/chat");
        assert!(find(&Method::GET, "/v1/models/").is_err());
    }
}
