//! The caller's side of a call: status, headers, and a body that ends after the books do.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use farebox_aws::Held;
use farebox_core::{Allowance, ChatEvent, Cost, Error, Money, Rid, Scope, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::dialect::{Answer, Dialect, Opening, StreamWriter};
use crate::handle::Admitted;
use crate::idempotency::Recording;
use crate::incoming::Incoming;
use crate::relay::Exchange;

/// How `OpenAI` begins the names of its rate limits' headers.
const RATE_PREFIX: &str = "x-ratelimit-";
/// Chunks that may wait for the caller before the provider is read more slowly.
const CHUNKS_WAITING_MAX: usize = 32;
/// A caller that takes nothing for this long is treated as gone.
const CALLER_PATIENCE: Duration = Duration::from_secs(60);

/// A body that never fails and never carries trailers: the runtime would write both into the
/// answer as text.
pub enum ReplyBody {
    /// Known at once.
    Whole(Option<Bytes>),
    /// Comes from the call's own task.
    Stream(mpsc::Receiver<Bytes>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = |bytes| Ok(Frame::data(bytes));
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(frame)),
            Self::Stream(receiver) => receiver.poll_recv(context).map(|next| next.map(frame)),
        }
    }
}

/// A scope's tightest period: its name, what is left in it, and when it ends.
pub type Room = (Scope, &'static str, Option<Money>, Option<Timestamp>);

/// What a call cost, as the answer shows it.
pub struct Paid {
    /// The identity of the call.
    pub request_id: Rid,
    /// The provider's name.
    pub provider: &'static str,
    /// The cost in parts; `None` where the worst case, the provider's own figure or nothing was
    /// charged.
    pub cost: Option<Cost>,
    /// What was charged.
    pub charged: Money,
    /// From arrival to the provider's last byte.
    pub response_time_ms: i64,
}

/// The sending half: owned by the call's task, dropped after settlement.
pub struct Reply {
    dialect: &'static dyn Dialect,
    request_id: Rid,
    created: i64,
    repeated: Arc<Map<String, Value>>,
    headers: HeaderMap,
    response: Option<oneshot::Sender<Response<ReplyBody>>>,
    writer: Option<Box<dyn StreamWriter + Send>>,
    chunks: Option<mpsc::Sender<Bytes>>,
    gone: bool,
    ends: Option<Instant>,
    recording: Option<Recording>,
}

/// The end of an answer, not sent yet.
pub enum Last {
    /// What ends a stream.
    Chunk(Vec<u8>),
    /// A whole answer.
    Whole(StatusCode, HeaderMap, Bytes),
}

/// Both halves of an answer: what the task writes, and what the caller waits for.
pub fn channel(
    dialect: &'static dyn Dialect,
    incoming: &Incoming,
) -> (Reply, oneshot::Receiver<Response<ReplyBody>>) {
    let (sender, receiver) = oneshot::channel();
    let reply = Reply {
        dialect,
        request_id: incoming.request_id,
        created: incoming.started_at.seconds(),
        headers: HeaderMap::new(),
        response: Some(sender),
        writer: None,
        repeated: Arc::default(),
        chunks: None,
        gone: false,
        ends: None,
        recording: None,
    };
    (reply, receiver)
}

impl Reply {
    /// Makes ready for the answer of an attempt, the `number`th that is sent. What was made ready
    /// for one before it is forgotten.
    pub fn aim(&mut self, call: &Admitted, held: &Held, number: usize, left: &[Allowance]) {
        let mut headers = HeaderMap::new();
        insert(&mut headers, "x-request-id", &self.request_id.to_string());
        self.dialect.headers(self.request_id, &mut headers);
        if call.plan.clamped {
            let cap = call.plan.outbound.cap.to_string();
            insert(&mut headers, "x-farebox-clamped-max-tokens", &cap);
        }
        if !call.dropped.is_empty() {
            insert(&mut headers, "x-farebox-dropped-params", &call.dropped.join(", "));
        }
        let resolved = &call.resolved;
        let served_by = format!("{}/{}", resolved.provider.name, resolved.model.name);
        insert(&mut headers, "x-farebox-served-by", &served_by);
        insert(&mut headers, "x-farebox-attempts", &number.to_string());
        insert_rates(&mut headers, left);
        insert_rooms(&mut headers, &held.rooms());
        self.headers = headers;
        self.repeated = Arc::new(self.dialect.repeats(&call.call));
        let opening = Opening {
            request_id: self.request_id,
            created: self.created,
            include_usage: call.call.include_usage,
            verbatim: call.is_verbatim(),
            repeated: Arc::clone(&self.repeated),
        };
        self.writer = call.call.stream.then(|| self.dialect.stream(opening));
    }

    /// Whether nothing of an answer was sent and somebody waits for it: another attempt may be
    /// made.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.response.as_ref().is_some_and(|response| !response.is_closed())
    }

    /// Opens the stream, where it is not open yet: from here on the status is 200 and errors
    /// travel in the stream.
    pub fn begin(&mut self, provider: &HeaderMap) {
        if self.has_begun() {
            return;
        }
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
        let mut headers = std::mem::take(&mut self.headers);
        pass_on(provider, &mut headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.dialect.stream_type()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        self.chunks = Some(sender);
        if let Some(recording) = &mut self.recording {
            recording.open(StatusCode::OK, &headers);
        }
        self.respond(StatusCode::OK, headers, ReplyBody::Stream(receiver));
    }

    /// Whether the stream is open.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.chunks.is_some()
    }

    /// Waits for no slow caller beyond this moment, until the books are closed: what is left of the
    /// invocation then is for them.
    pub const fn waits_until(&mut self, ends: Instant) {
        self.ends = Some(ends);
    }

    /// Passes on what the provider said.
    pub async fn events(&mut self, events: &[ChatEvent]) {
        let Some(writer) = &mut self.writer else { return };
        if self.gone && self.recording.is_none() {
            return;
        }
        let mut out = Vec::new();
        for event in events {
            writer.event(event, &mut out);
        }
        if let Some(recording) = &mut self.recording {
            recording.body(&out);
        }
        self.push(out).await;
    }

    /// Something that its reader skips, where it is a stream; it opens it.
    pub async fn keep_alive(&mut self, provider: &HeaderMap) {
        if self.writer.is_some() {
            self.begin(provider);
        }
        self.push(self.dialect.keep_alive().to_vec()).await;
    }

    /// Whether the caller went away.
    #[must_use]
    pub const fn caller_is_gone(&self) -> bool {
        self.gone
    }

    /// Records what the caller is sent from here on.
    pub fn record(&mut self, is_wanted: bool) {
        self.recording = is_wanted.then(Recording::default);
    }

    /// What was recorded; `None` where it is too long.
    #[must_use]
    pub fn recorded(&mut self) -> Option<Vec<u8>> {
        self.recording.take()?.encode()
    }

    /// Makes the end of the answer. The books are closed by now.
    pub fn close(&mut self, exchange: &Exchange, paid: &Paid, rooms: &[Room]) -> Last {
        let answer = Answer {
            completion: &exchange.completion,
            verbatim: exchange.verbatim.as_ref(),
            usage: exchange.reported.as_ref().map(|reported| &reported.usage),
            paid,
            tier: exchange.reported.as_ref().and_then(|told| told.service_tier.as_deref()),
            repeated: &self.repeated,
            created: self.created,
        };
        if self.chunks.is_some() {
            let mut out = Vec::new();
            if let Some(writer) = &mut self.writer {
                match &exchange.error {
                    None => writer.last(&answer, &mut out),
                    Some(error) => writer.failed(error, &answer, &mut out),
                }
            }
            if let Some(recording) = &mut self.recording {
                recording.body(&out);
            }
            return Last::Chunk(out);
        }
        let mut headers = std::mem::take(&mut self.headers);
        pass_on(&exchange.headers, &mut headers);
        insert(&mut headers, "x-farebox-cost-usd", &paid.charged.to_string());
        insert_rooms(&mut headers, rooms);
        let (status, body) = match &exchange.error {
            None => (StatusCode::OK, self.dialect.answer(&answer)),
            Some(error) => {
                let retry = error.row().retry && paid.charged == Money::ZERO;
                insert(&mut headers, "x-should-retry", if retry { "true" } else { "false" });
                let body = self.dialect.error(error, self.request_id).to_string();
                (status_of(error), Bytes::from(body))
            }
        };
        json_type(&mut headers);
        if let Some(recording) = &mut self.recording {
            recording.open(status, &headers);
            recording.body(&body);
        }
        Last::Whole(status, headers, body)
    }

    /// Sends the end: the environment may freeze after it.
    pub async fn finish(mut self, last: Last) {
        self.ends = None;
        match last {
            Last::Chunk(bytes) => self.push(bytes).await,
            Last::Whole(status, headers, body) => {
                self.respond(status, headers, ReplyBody::Whole(Some(body)));
            }
        }
    }

    async fn push(&mut self, bytes: Vec<u8>) {
        let Some(chunks) = self.chunks.as_ref().filter(|_| !bytes.is_empty() && !self.gone) else {
            return;
        };
        let patience = Instant::now() + CALLER_PATIENCE;
        let until = self.ends.map_or(patience, |ends| ends.min(patience));
        self.gone = match timeout_at(until, chunks.send(Bytes::from(bytes))).await {
            Ok(sent) => sent.is_err(),
            // One who is only slow is still told how the call ended.
            Err(_) => until == patience,
        };
    }

    fn respond(&mut self, status: StatusCode, headers: HeaderMap, body: ReplyBody) {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if let Some(sender) = self.response.take() {
            self.gone = sender.send(response).is_err();
        }
    }
}

/// The answer to a request that was refused before any provider was called.
#[must_use]
pub fn refusal(
    dialect: &'static dyn Dialect,
    incoming: &Incoming,
    error: &Error,
) -> Response<ReplyBody> {
    if error.row().status >= 500 {
        tracing::error!(rid = %incoming.request_id, cause = error.cause(), "{error}");
    } else {
        tracing::info!(rid = %incoming.request_id, cause = error.cause(), "{error}");
    }
    let mut response = json(incoming, &dialect.error(error, incoming.request_id));
    *response.status_mut() = status_of(error);
    let headers = response.headers_mut();
    dialect.headers(incoming.request_id, headers);
    match error {
        Error::BudgetExceeded { scope, period, limit, committed, needed, resets_at } => {
            let text = format!("{};{period};{limit};{committed};{needed}", scope.label());
            insert(headers, "x-farebox-budget", &text);
            if let Some(reset) = resets_at {
                insert(headers, &format!("x-farebox-reset-{}", scope.label()), &reset.to_string());
            }
        }
        Error::BudgetContention { .. } | Error::RequestInFlight => {
            insert(headers, "retry-after", "1");
        }
        // The SDKs try these again unless they are told not to. What a call was charged that a
        // fault of Farebox's own has ended, nobody knows.
        Error::OutcomeUnknown { .. } | Error::ReplyNotKept { .. } | Error::Internal { .. } => {
            insert(headers, "x-should-retry", "false");
        }
        Error::RateLimited { retry_after_s, left, .. } => {
            insert(headers, "retry-after", &retry_after_s.to_string());
            insert_rates(headers, left);
        }
        Error::MethodNotAllowed { allowed, .. } => insert(headers, "allow", allowed),
        _ => {}
    }
    response
}

/// What is left of rate limits, under `OpenAI`'s names.
fn insert_rates(headers: &mut HeaderMap, left: &[Allowance]) {
    for Allowance { of, limit, left, reset_ms } in left {
        insert(headers, &format!("{RATE_PREFIX}limit-{of}"), &limit.to_string());
        insert(headers, &format!("{RATE_PREFIX}remaining-{of}"), &left.to_string());
        let reset = format!("{}s", reset_ms.div_ceil(1_000));
        insert(headers, &format!("{RATE_PREFIX}reset-{of}"), &reset);
    }
}

/// A good answer of JSON.
#[must_use]
pub fn json(incoming: &Incoming, body: &serde_json::Value) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Whole(Some(Bytes::from(body.to_string()))));
    insert(response.headers_mut(), "x-request-id", &incoming.request_id.to_string());
    json_type(response.headers_mut());
    response
}

/// The provider's headers that survive.
fn pass_on(provider: &HeaderMap, headers: &mut HeaderMap) {
    headers.extend(provider.iter().map(|(name, value)| (name.clone(), value.clone())));
}

fn status_of(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn json_type(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

/// Sets a header; a value that cannot be one is left out.
pub fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
        headers.insert(name, value);
    }
}

/// `x-farebox-room-usd-<scope>` and `x-farebox-reset-<scope>` of the tightest period of each.
fn insert_rooms(headers: &mut HeaderMap, rooms: &[Room]) {
    for (scope, _, room, resets_at) in rooms {
        let kind = scope.label();
        if let Some(left) = room {
            insert(headers, &format!("x-farebox-room-usd-{kind}"), &left.to_string());
        }
        if let Some(reset) = resets_at {
            insert(headers, &format!("x-farebox-reset-{kind}"), &reset.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An open stream with room for one chunk.
    fn open() -> (Reply, mpsc::Receiver<Bytes>) {
        let opening = Opening {
            request_id: Rid::new(Timestamp::from_ms(0), 1),
            created: 0,
            include_usage: false,
            verbatim: false,
            repeated: Arc::default(),
        };
        let (sender, receiver) = mpsc::channel(1);
        let reply = Reply {
            dialect: &crate::dialect::NATIVE,
            request_id: opening.request_id,
            created: 0,
            headers: HeaderMap::new(),
            response: None,
            writer: Some(crate::dialect::NATIVE.stream(opening)),
            repeated: Arc::default(),
            chunks: Some(sender),
            gone: false,
            ends: None,
            recording: None,
        };
        (reply, receiver)
    }

    #[tokio::test]
    async fn a_caller_who_takes_nothing_is_waited_for_until_the_end_of_the_call_and_told_of_it() {
        let (mut reply, mut receiver) = open();
        reply.waits_until(Instant::now());

        for text in ["taken", "lost"] {
            reply.push(text.as_bytes().to_vec()).await;
        }

        // One who was waited for as long as a caller may be is gone, and is told nothing more.
        assert_eq!(receiver.recv().await.unwrap(), "taken");
        reply.finish(Last::Chunk(b"the end".to_vec())).await;
        assert_eq!(receiver.recv().await.unwrap(), "the end");
        assert_eq!(receiver.recv().await, None);
    }

    #[test]
    fn a_fault_of_fareboxs_own_is_not_tried_again_by_itself() {
        let at = Timestamp::from_ms(1);
        let incoming = Incoming {
            method: http::Method::POST,
            path: "/v1/chat/completions".to_owned(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            request_id: Rid::new(at, 1),
            client_request_id: None,
            started_at: at,
            ends_at: at,
            ip: None,
            user_agent: None,
        };
        let retry = |error: &Error| {
            let told = refusal(&crate::dialect::OPENAI, &incoming, error);
            told.headers().get("x-should-retry").cloned()
        };

        assert_eq!(retry(&Error::internal("a panic after the call")).unwrap(), "false");
        assert_eq!(retry(&Error::RequestInFlight), None);
    }

    #[tokio::test]
    async fn a_recording_goes_on_when_the_caller_is_gone() {
        let (mut reply, receiver) = open();
        drop(receiver);
        reply.record(true);
        let delta = |text: &str| ChatEvent::Delta {
            choice: 0,
            delta: serde_json::value::to_raw_value(&serde_json::json!({"content": text})).unwrap(),
            logprobs: None,
        };

        for text in ["one", "two"] {
            reply.events(&[delta(text)]).await;
        }

        assert!(reply.caller_is_gone());
        let recorded = String::from_utf8(reply.recorded().unwrap()).unwrap();
        assert!(recorded.contains("one") && recorded.contains("two"), "{recorded}");
    }
}
