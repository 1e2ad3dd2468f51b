//! HTTP/1.1 connections to AWS, in sight of the rule that a sent request is never sent again.
//!
//! The general clients below the SDK (hyper-util's, and reqwest over it) send an unstarted
//! request again on another connection and offer no switch for it. This one has no such loop:
//! a request goes onto one connection once, and the failure says whether any byte of it can have
//! left ([`NotSent`]). It also starts the attempt's limit when the connection stands, so that a
//! cold TLS handshake is not taken for a lost answer.

use core::fmt;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::io::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::clients::Aws;
use crate::config::Clock;

/// The limit of connecting, TLS included (W1). Its failure is definite: nothing was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// More wall time than this since the last answer means a thaw: pooled connections are dead, and
/// the monotonic clock, which stood still, does not know (W1).
const THAW_MS: i64 = 20_000;
/// Idle connections kept for one origin. One invocation at a time uses fewer.
const IDLE_MAX: usize = 64;
/// The longest answer taken. DynamoDB's pages end at 1 MB, a batch at 16 MB.
const ANSWER_BYTES_MAX: usize = 17 << 20;

/// Marks a request that is not for AWS with the longest answer that is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerMax(pub(crate) usize);

/// A cause.
pub type BoxError = Box<dyn StdError + Send + Sync>;
type Sender = SendRequest<Full<Bytes>>;

/// Why an exchange failed before any byte of the request could leave.
#[derive(Debug, thiserror::Error)]
#[error("not sent: {0}")]
pub struct NotSent(BoxError);

impl NotSent {
    /// The failure of a connection that never stood.
    pub fn because(cause: impl Into<BoxError>) -> Self {
        Self(cause.into())
    }
}

/// The connections of a process.
pub(crate) struct Http {
    clock: Clock,
    is_traced: bool,
    idle: Mutex<HashMap<Origin, Vec<Sender>>>,
    last_answer_ms: AtomicI64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Origin {
    is_tls: bool,
    host: String,
    port: u16,
}

impl Http {
    pub(crate) fn new(clock: Clock, is_traced: bool) -> Self {
        let idle = Mutex::new(HashMap::new());
        Self { clock, is_traced, idle, last_answer_ms: AtomicI64::new(i64::MIN) }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<Origin, Vec<Sender>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(
        &self,
        request: HttpRequest,
        limit: Duration,
    ) -> Result<HttpResponse, ConnectorError> {
        let prepared = prepare(request);
        let wrong = |cause| ConnectorError::user(Box::new(NotSent(cause)));
        let Prepared { origin, request, target, body } = prepared.map_err(wrong)?;
        let bytes_max = request.extensions().get::<AnswerMax>().map(|max| max.0);
        if self.is_traced && bytes_max.is_none() {
            trace(&target, &body);
        }
        let mut sender = self.connection(&origin).await.map_err(not_sent)?;
        let answer = timeout(limit, answer(&mut sender, request, bytes_max)).await;
        let answer = answer.map_err(|late| ConnectorError::timeout(late.into()))??;
        self.last_answer_ms.store(self.clock.now().ms(), Ordering::Relaxed);
        self.keep(origin, sender).await;
        HttpResponse::try_from(answer).map_err(|wrong| ConnectorError::other(wrong.into(), None))
    }

    /// An idle connection, or a new one.
    async fn connection(&self, origin: &Origin) -> Result<Sender, BoxError> {
        let silent_ms = self.clock.now().ms();
        let silent_ms = silent_ms.saturating_sub(self.last_answer_ms.load(Ordering::Relaxed));
        if silent_ms > THAW_MS {
            self.idle().clear();
        }
        while let Some(sender) = self.idle().get_mut(origin).and_then(Vec::pop) {
            if sender.is_ready() {
                return Ok(sender);
            }
        }
        timeout(CONNECT_TIMEOUT, connect(origin)).await?
    }

    /// Keeps a connection whose answer was read to its end.
    async fn keep(&self, origin: Origin, mut sender: Sender) {
        // The driver task becomes idle at its next poll; a connection that closes errs here.
        if !matches!(timeout(CONNECT_TIMEOUT, sender.ready()).await, Ok(Ok(()))) {
            return;
        }
        let mut idle = self.idle();
        let idle = idle.entry(origin).or_default();
        if idle.len() < IDLE_MAX {
            idle.push(sender);
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

/// What carries a request to AWS, once, and says what became of it. In a function it is the
/// connections of this module; a simulation puts a network of its own in their place.
pub trait Carrier: fmt::Debug + Send + Sync {
    /// Carries one request; an answer that takes longer than `limit` is a timeout.
    fn carry(self: Arc<Self>, request: HttpRequest, limit: Duration) -> HttpConnectorFuture;

    /// Forgets connections that are kept.
    fn drop_idle_connections(&self) {}
}

impl Carrier for Http {
    fn carry(self: Arc<Self>, request: HttpRequest, limit: Duration) -> HttpConnectorFuture {
        HttpConnectorFuture::new(async move { self.exchange(request, limit).await })
    }

    fn drop_idle_connections(&self) {
        self.idle().clear();
    }
}

/// What the SDK calls: the connections and a limit.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) carrier: Arc<dyn Carrier>,
    pub(crate) timeout: Duration,
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Client {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        Arc::clone(&self.carrier).carry(request, self.timeout)
    }
}

fn not_sent(cause: BoxError) -> ConnectorError {
    ConnectorError::io(Box::new(NotSent(cause)))
}

/// A request in the form that goes onto a connection of its origin.
struct Prepared {
    origin: Origin,
    request: Request<Full<Bytes>>,
    /// Service and operation, where the protocol names them in a header.
    target: String,
    body: Bytes,
}

fn prepare(request: HttpRequest) -> Result<Prepared, BoxError> {
    let request = request.try_into_http1x()?;
    let (mut parts, body) = request.into_parts();
    let body = Bytes::copy_from_slice(body.bytes().ok_or("a streamed body is not taken")?);
    let is_tls = parts.uri.scheme_str() == Some("https");
    let authority = parts.uri.authority().ok_or("the endpoint has no host")?.clone();
    let origin = Origin {
        is_tls,
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
    };
    if !parts.headers.contains_key(HOST) {
        parts.headers.insert(HOST, HeaderValue::from_str(authority.as_str())?);
    }
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let target = target.unwrap_or("-").to_owned();
    let request = Request::from_parts(parts, Full::new(body.clone()));
    Ok(Prepared { origin, request, target, body })
}

/// Sends once and reads the whole answer.
async fn answer(
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
    bytes_max: Option<usize>,
) -> Result<Response<SdkBody>, ConnectorError> {
    let response = match sender.try_send_request(request).await {
        Ok(response) => response,
        // hyper gives a request back only where it never began to write it.
        Err(mut failed) => {
            let is_whole = failed.take_message().is_some();
            let cause: BoxError = failed.into_error().into();
            return Err(if is_whole { not_sent(cause) } else { ConnectorError::io(cause) });
        }
    };
    let (parts, body): (_, Incoming) = response.into_parts();
    let body = Limited::new(body, bytes_max.unwrap_or(ANSWER_BYTES_MAX));
    let body = body.collect().await.map_err(ConnectorError::io)?;
    Ok(Response::from_parts(parts, SdkBody::from(body.to_bytes())))
}

async fn connect(origin: &Origin) -> Result<Sender, BoxError> {
    let socket = TcpStream::connect((origin.host.as_str(), origin.port)).await?;
    socket.set_nodelay(true)?;
    if origin.is_tls {
        let name = ServerName::try_from(origin.host.clone())?;
        drive(TlsConnector::from(Aws::tls()).connect(name, socket).await?).await
    } else {
        drive(socket).await
    }
}

async fn drive<S>(socket: S) -> Result<Sender, BoxError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    // It ends with the sender, or when the server closes; the exchange sees its failure.
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    Ok(sender)
}

/// One line per call: operation, table, request id. Never a value.
fn trace(target: &str, body: &[u8]) {
    let (operation, table, rid) = describe(target, body);
    // A trace that cannot be written is not worth a failed call.
    let _ = writeln!(std::io::stderr(), "farebox.aws {operation} {table} {rid}");
}

fn describe<'body>(target: &'body str, body: &'body [u8]) -> (&'body str, &'body str, &'body str) {
    let operation = target.rsplit('.').next().unwrap_or("-");
    let body = core::str::from_utf8(body).unwrap_or_default();
    let named = body.split_once("\"TableName\":\"").and_then(|(_, rest)| rest.split('"').next());
    let is_digit = |digit: char| digit.is_ascii_digit() || digit.is_ascii_uppercase();
    // A ULID of these centuries: 26 digits of Crockford's alphabet that begin with a zero.
    let is_rid = |word: &&str| word.len() == 26 && word.starts_with('0');
    let rid = body.split(|character| !is_digit(character)).find(is_rid);
    (operation, named.unwrap_or("-"), rid.unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_line_names_operation_table_and_call_only() {
        let body = br##"{"TableName":"ledger","ExpressionAttributeNames":
            {"#h":"h_01KAQ4ZV0M7W1C9Y3T5B8D2E6F"},"SecretString":"canary"}"##;

        assert_eq!(
            describe("DynamoDB_20120810.UpdateItem", body),
            ("UpdateItem", "ledger", "01KAQ4ZV0M7W1C9Y3T5B8D2E6F")
        );
        assert_eq!(describe("secretsmanager.GetSecretValue", b"{}"), ("GetSecretValue", "-", "-"));
    }

    #[test]
    fn a_request_keeps_the_host_that_was_signed() {
        let mut request = HttpRequest::empty();
        request.set_uri("http://[::1]:8000/path?x=1").unwrap();

        let Prepared { origin, request, .. } = prepare(request).unwrap();

        assert_eq!((origin.host.as_str(), origin.port, origin.is_tls), ("::1", 8000, false));
        assert_eq!(request.uri(), "/path?x=1");
        assert_eq!(request.headers()[HOST], "[::1]:8000");
    }
}
