//! The sockets of the demo provider: connections, routes, and playing a reply in time.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::behaviour::{self, Wire, prices};
use super::bill::{Ending, Entry, LastHeaders, Tokens};
use super::fault::Fault;
use super::script::{Body, Reply};
use super::{Act, Books, Credentials, Provider, anthropic, gemini, openai, responses, texts};

/// Largest request body; both real providers take 32 MB.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Pause after a failed accept, so that a process out of sockets does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Set when the model `close` has answered on a connection: its next request gets no answer.
type CloseNext = Arc<AtomicBool>;

/// Accepts until `shutdown`; leaving drops every connection.
pub(super) async fn run(
    listener: TcpListener,
    provider: Arc<Provider>,
    shutdown: impl Future<Output = ()>,
) {
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, provider.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

async fn converse(stream: TcpStream, provider: Arc<Provider>) {
    // Without this, small events of a stream wait for each other's acknowledgement.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let close_next = CloseNext::default();
    let service = service_fn(move |request| {
        let (provider, close_next) = (provider.clone(), close_next.clone());
        async move { answer(&provider, &close_next, request).await }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    // A connection ends in an error when its client leaves or a model cuts it: both are normal.
    drop(served);
}

/// Answers one request; an error closes the connection without a byte.
async fn answer(
    provider: &Provider,
    close_next: &CloseNext,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if head.method == Method::POST && path != "/bill/reset" {
        provider.books().bill.post(last_headers(&head.headers));
    }
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(provider.failure(wire_of(path), &Fault::TooLarge).into_response()),
    };
    if close_next.load(Ordering::Relaxed) {
        note_closed(provider, &body, &head.headers);
        return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
    }
    if let Some(reply) = books(provider, &head.method, path) {
        return Ok(reply.into_response());
    }
    let act = route(provider, &head.method, path, &head.headers, &body).unwrap_or_else(|fault| {
        Act::Reply { after: Duration::ZERO, reply: provider.failure(wire_of(path), &fault) }
    });
    let reply = match act {
        Act::Reply { after, reply } => {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            reply
        }
        Act::ReplyThenClose(reply) => {
            close_next.store(true, Ordering::Relaxed);
            reply
        }
        // hyper drops this future when the client goes away.
        Act::Hang => match std::future::pending::<Infallible>().await {},
    };
    Ok(reply.into_response())
}

/// The bill's own routes, which need no key: they say nothing that a test on this machine may not
/// know.
fn books(provider: &Provider, method: &Method, path: &str) -> Option<Reply> {
    match (method, path) {
        (&Method::GET, "/bill") => Some(Reply::json(200, &provider.books().bill.as_json())),
        (&Method::POST, "/bill/reset") => {
            let mut books = provider.books();
            *books = Books::default();
            Some(Reply::json(200, &books.bill.as_json()))
        }
        _ => None,
    }
}

fn route(
    provider: &Provider,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Act, Fault> {
    let caller = Credentials::of(headers);
    // Who asks for a token has none yet.
    if method == Method::POST && path.ends_with("/token") {
        return Ok(listing(&granted(body, &provider.options.key)?));
    }
    provider.authenticate(&caller)?;
    if let Some((model, verb)) = gemini::asked(path).filter(|_| method == Method::POST) {
        return generate(provider, model, verb, body, &caller);
    }
    let wants_anthropic = headers.contains_key("anthropic-version");
    // All base URLs are in use: with `/v1` and without, and those of Azure.
    let route = of_deployment(path).unwrap_or(path);
    let route = route.strip_prefix("/openai").unwrap_or(route);
    let route = route.strip_prefix("/v1").unwrap_or(route);
    match (method, route) {
        (&Method::POST, "/chat/completions") => {
            provider.call(Wire::OpenAi, openai::parse(body)?, &caller)
        }
        (&Method::POST, "/completions") => {
            provider.call(Wire::Completions, texts::parse_completions(body)?, &caller)
        }
        (&Method::POST, "/embeddings") => {
            provider.call(Wire::Embeddings, texts::parse_embeddings(body)?, &caller)
        }
        (&Method::POST, "/responses") => {
            provider.call(Wire::Responses, responses::parse(body)?, &caller)
        }
        (&Method::POST, "/responses/input_tokens") => Ok(listing(&responses::counted(body)?)),
        (&Method::POST, "/messages") if !wants_anthropic => {
            Err(Fault::invalid("anthropic-version", "anthropic-version: header is required"))
        }
        (&Method::POST, "/messages") => {
            provider.call(Wire::Anthropic, anthropic::parse(body)?, &caller)
        }
        (&Method::POST, "/messages/count_tokens") => Ok(listing(&anthropic::counted(body)?)),
        (&Method::GET, "/models") => Ok(listing(&if wants_anthropic {
            anthropic::models(prices())
        } else {
            openai::models(prices())
        })),
        (
            _,
            "/chat/completions" | "/responses" | "/completions" | "/embeddings" | "/messages"
            | "/models",
        ) => Err(Fault::WrongMethod),
        (&Method::GET, _) => {
            one_model(route, wants_anthropic).unwrap_or_else(|| Err(unknown_route(method, path)))
        }
        _ => Err(unknown_route(method, path)),
    }
}

/// A token: of Google's for a service account, of Microsoft's for a client that is not `wrong`.
fn granted(form: &[u8], key: &str) -> Result<Value, Fault> {
    let text = String::from_utf8_lossy(form);
    if !text.starts_with("grant_type=client_credentials&") {
        return gemini::granted(form, key);
    }
    if text.contains("&client_secret=wrong&") {
        return Err(Fault::invalid("client_secret", "invalid_client"));
    }
    Ok(json!({"access_token": key, "expires_in": 3_599, "token_type": "Bearer"}))
}

/// A path behind the deployment of Azure's older addresses.
fn of_deployment(path: &str) -> Option<&str> {
    let behind = path.strip_prefix("/openai/deployments/")?;
    behind.get(behind.find('/')?..)
}

/// What a path of Gemini's asks of a model.
fn generate(
    provider: &Provider,
    model: &str,
    verb: &str,
    body: &Bytes,
    caller: &Credentials<'_>,
) -> Result<Act, Fault> {
    let stream = match verb {
        "countTokens" => return Ok(listing(&gemini::counted(model, body)?)),
        "streamGenerateContent" => true,
        "generateContent" => false,
        _ => return Err(unknown_route(&Method::POST, verb)),
    };
    provider.call(Wire::Gemini, gemini::parse(model, stream, body)?, caller)
}

fn one_model(route: &str, wants_anthropic: bool) -> Option<Result<Act, Fault>> {
    let name = route.strip_prefix("/models/")?;
    let wire = if wants_anthropic { Wire::Anthropic } else { Wire::OpenAi };
    let found = behaviour::model(wire, name).map(|row| match wire {
        Wire::Anthropic => anthropic::model_entry(row),
        _ => openai::model_entry(row),
    });
    Some(found.map(|body| listing(&body)).ok_or_else(|| Fault::UnknownModel(name.to_owned())))
}

fn listing(body: &serde_json::Value) -> Act {
    Act::Reply { after: Duration::ZERO, reply: Reply::json(200, body) }
}

fn unknown_route(method: &Method, path: &str) -> Fault {
    Fault::UnknownRoute { method: method.to_string(), path: path.to_owned() }
}

fn wire_of(path: &str) -> Wire {
    match path {
        _ if path.contains("/messages") => Wire::Anthropic,
        _ if gemini::asked(path).is_some() => Wire::Gemini,
        _ if path.contains("/responses") => Wire::Responses,
        _ => Wire::OpenAi,
    }
}

fn last_headers(headers: &HeaderMap) -> LastHeaders {
    let encodings: Vec<_> = headers.get_all(ACCEPT_ENCODING).iter().collect();
    LastHeaders {
        names: headers.keys().map(|name| name.as_str().to_owned()).collect(),
        accept_encoding_identity: matches!(encodings.as_slice(), [one] if *one == "identity"),
    }
}

/// Notes a request that the closing connection swallowed, if it names a model.
fn note_closed(provider: &Provider, body: &[u8], headers: &HeaderMap) {
    let Ok(ask) = openai::parse(body) else { return };
    let Some(model) = behaviour::model(Wire::OpenAi, &ask.model) else { return };
    let rid = Credentials::of(headers).rid;
    let entry = Entry::free(model, Tokens::default(), ask.stream, Ending::Closed, rid);
    provider.books().bill.enter(entry);
}
