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
pub mod count;
pub mod dialect;
pub mod dropping;
pub mod gate;
pub mod gather;
pub mod handle;
pub mod hold;
pub mod idempotency;
pub mod incoming;
pub mod meter;
mod not_served;
pub mod open;
pub mod plan;
pub mod quote;
pub mod relay;
pub mod reply;
pub mod resolve;
pub mod road;
pub mod times;
pub mod upstream;

use std::sync::Arc;

use farebox_core::Error;
use futures_util::future::BoxFuture;
use http::{Method, Response};
use lambda_http::Request;

use crate::dialect::{
    COMPLETIONS, Dialect, EMBEDDINGS, GENERATE_CONTENT, GENERATE_CONTENT_ARRAY, MESSAGES, NATIVE,
    OPENAI, RESPONSES, Verb, asked,
};
use crate::gate::Gate;
use crate::incoming::Incoming;
use crate::reply::{ReplyBody, refusal};

/// What serves a route.
#[derive(Clone, Copy)]
enum Handler {
    /// A paid call in the row's dialect.
    Chat,
    CountTokens,
    /// `models/{model}:{verb}` of Gemini's dialect.
    Generate,
    Models,
    Model,
    Budget,
    Quote,
    Requests,
    Request,
    Health,
}

/// One endpoint: method, path (a last `*` takes the rest), handler, and the dialect in which its
/// answers and errors are told.
type Route = (Method, &'static str, Handler, &'static dyn Dialect);

/// Every endpoint.
const ROUTES: &[Route] = &[
    (Method::POST, "/v1/chat", Handler::Chat, &NATIVE),
    (Method::POST, "/v1/chat/completions", Handler::Chat, &OPENAI),
    (Method::POST, "/v1/messages", Handler::Chat, &MESSAGES),
    (Method::POST, "/v1/completions", Handler::Chat, &COMPLETIONS),
    (Method::POST, "/v1/embeddings", Handler::Chat, &EMBEDDINGS),
    (Method::POST, "/v1/messages/count_tokens", Handler::CountTokens, &MESSAGES),
    (Method::GET, "/v1/models", Handler::Models, &OPENAI),
    (Method::GET, "/v1/models/*", Handler::Model, &OPENAI),
    (Method::POST, "/v1/models/*", Handler::Generate, &GENERATE_CONTENT),
    (Method::POST, "/v1beta/models/*", Handler::Generate, &GENERATE_CONTENT),
    (Method::GET, "/v1beta/models", Handler::Models, &GENERATE_CONTENT),
    (Method::GET, "/v1beta/models/*", Handler::Model, &GENERATE_CONTENT),
    (Method::GET, "/v1/budget", Handler::Budget, &OPENAI),
    (Method::POST, "/v1/quote", Handler::Quote, &OPENAI),
    (Method::POST, "/v1/quote/*", Handler::Quote, &OPENAI),
    (Method::GET, "/v1/requests", Handler::Requests, &OPENAI),
    (Method::GET, "/v1/requests/*", Handler::Request, &OPENAI),
    (Method::GET, "/healthz", Handler::Health, &OPENAI),
    (Method::POST, "/v1/responses", Handler::Chat, &RESPONSES),
    (Method::POST, "/v1/responses/input_tokens", Handler::CountTokens, &RESPONSES),
];

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
    let incoming = Arc::new(Incoming::new(gate, request));
    let dialect = dialect_of(&incoming);
    match route(gate, &incoming).await {
        Ok(response) => response,
        Err(error) => refusal(dialect, &incoming, &error),
    }
}

async fn route(gate: &Arc<Gate>, incoming: &Arc<Incoming>) -> Result<Response<ReplyBody>, Error> {
    let ((_, _, handler, dialect), rest) = find(&incoming.method, &incoming.path)?;
    // Boxed: the compiler cannot prove `Send` for the nested futures as one type
    // (rust-lang/rust#102211), and a box a call is nothing beside a socket.
    let answer: BoxFuture<'_, _> = match handler {
        Handler::Chat => Box::pin(handle::chat(gate, incoming, *dialect)),
        Handler::CountTokens => Box::pin(count::tokens(gate, incoming, *dialect)),
        Handler::Generate => return generate(gate, incoming).await,
        Handler::Models => Box::pin(account::models(gate, incoming, dialect_of(incoming))),
        Handler::Model => Box::pin(account::model(gate, incoming, dialect_of(incoming), rest)),
        Handler::Budget => Box::pin(account::budget(gate, incoming)),
        Handler::Quote if rest.is_empty() => Box::pin(quote::quote(gate, incoming, None)),
        Handler::Quote => {
            let paid = paid(rest)?;
            Box::pin(quote::quote(gate, incoming, Some((paid, format!("/{rest}")))))
        }
        Handler::Requests => Box::pin(account::requests(gate, incoming)),
        Handler::Request => Box::pin(account::request(gate, incoming, rest)),
        Handler::Health => return account::health(incoming),
    };
    answer.await
}

/// In whose words a body for this path (without its slash) is written: a paid call's.
fn paid(path: &str) -> Result<&'static dyn Dialect, Error> {
    let path = format!("/{path}");
    match find(&Method::POST, &path)?.0 {
        (_, _, Handler::Chat | Handler::Generate, dialect) => Ok(*dialect),
        _ => Err(Error::NotSupported {
            what: format!("A quote of {}", path.chars().take(200).collect::<String>()),
            instead: "Quote a paid call.".to_owned(),
        }),
    }
}

/// One call of Gemini's dialect, whose path says what it is.
async fn generate(
    gate: &Arc<Gate>,
    incoming: &Arc<Incoming>,
) -> Result<Response<ReplyBody>, Error> {
    let events: &'static dyn Dialect = &GENERATE_CONTENT;
    let dialect = match incoming.parameter("alt") {
        Some("sse") => events,
        _ => &GENERATE_CONTENT_ARRAY,
    };
    let path = || incoming.path.chars().take(200).collect();
    let (_, verb) = asked(&incoming.path).ok_or_else(|| Error::NotFound { path: path() })?;
    let answer: BoxFuture<'_, _> = match verb {
        Verb::Generate | Verb::Stream => Box::pin(handle::chat(gate, incoming, dialect)),
        Verb::Count => Box::pin(count::tokens(gate, incoming, dialect)),
        Verb::Other => {
            let instead = "Use generateContent, streamGenerateContent or countTokens.".to_owned();
            return Err(Error::NotSupported { what: path(), instead });
        }
    };
    answer.await
}

/// What the pattern's last `*` stands for, where the path fits it.
fn rest_of<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.strip_prefix(prefix).filter(|rest| !rest.is_empty()),
        None => (pattern == path).then_some(""),
    }
}

/// The row of a method and path, with what a last `*` stands for.
fn find<'p>(method: &Method, path: &'p str) -> Result<(&'static Route, &'p str), Error> {
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(rest) = rest_of(route.1, path) else { continue };
        if route.0 == method {
            return Ok((route, rest));
        }
        allowed.push(route.0.as_str());
    }
    let path: String = path.chars().take(200).collect();
    if !allowed.is_empty() {
        return Err(Error::MethodNotAllowed { path, allowed: allowed.join(", ") });
    }
    match not_served::find(&path) {
        Some((.., instead)) => {
            Err(Error::NotSupported { what: path, instead: (*instead).to_owned() })
        }
        None => Err(Error::NotFound { path }),
    }
}

/// The dialect in which a request's errors are told: its path's, or, where several dialects share
/// it, the one whose header it carries.
fn dialect_of(incoming: &Incoming) -> &'static dyn Dialect {
    let fits = |route: &&Route| rest_of(route.1, &incoming.path).is_some();
    let meets = |route: &&Route| route.0 == incoming.method && fits(route);
    let of_path = ROUTES.iter().find(meets).or_else(|| ROUTES.iter().find(fits));
    let of_path = of_path.map(|(_, _, handler, dialect)| (handler, *dialect));
    let of_caller = || -> Option<&'static dyn Dialect> {
        let (messages, gemini): (&dyn Dialect, &dyn Dialect) = (&MESSAGES, &GENERATE_CONTENT);
        let by_google = || speaks_gemini(incoming).then_some(gemini);
        speaks_messages(incoming).then_some(messages).or_else(by_google)
    };
    match of_path {
        Some((Handler::Models | Handler::Model, dialect)) => of_caller().unwrap_or(dialect),
        Some((_, dialect)) => dialect,
        None => {
            let of_row = not_served::find(&incoming.path).and_then(|row| row.1);
            of_row.or_else(of_caller).unwrap_or(&OPENAI)
        }
    }
}

/// Whether a request comes from one of Anthropic's clients.
fn speaks_messages(incoming: &Incoming) -> bool {
    incoming.headers.contains_key("anthropic-version")
}

/// Whether a request comes from one of Google's clients, which ask for `/v1/models` too.
fn speaks_gemini(incoming: &Incoming) -> bool {
    incoming.headers.contains_key("x-goog-api-key")
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
