//! From the provider's bytes to the caller's, metering as they go.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use farebox_aws::Held;
use farebox_core::pricing::{Bill, Charge};
use farebox_core::{ChatEvent, Completion, Error, Fault, Reported, Rid, Timestamp};
use farebox_ledger::ProviderOutcome;
use farebox_providers::{Billing, Blame, DecodeError};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, header};

use crate::gate::Gate;
use crate::gather::{self, Gathered, WEIGHT_MAX};
use crate::handle::Admitted;
use crate::incoming::Incoming;
use crate::meter::{CUT_REASON, Meter};
use crate::reply::Reply;
use crate::times::{KEEP_ALIVE, Times, heard, milliseconds};
use crate::upstream::{self, BILLED, CAUSE_CHARS_MAX, CHARGED, NoAnswer, Target};

/// The longest whole answer that is read; a stream is bounded by its event size instead.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The longest body of a refusal that is read.
const REFUSAL_BYTES_MAX: usize = 256 * 1024;
/// Nothing is sent to the caller before a whole answer is there, and API Gateway drops a
/// silent connection after 300 s.
const BUFFERED_PATIENCE_MS: i64 = 285_000;
/// What must be left of the invocation when the provider is given up: a record is sent to the
/// queue in up to 9 s, and into the outbox in up to 9 s more.
const CLOSING_MS: i64 = 20_000;

/// All that is known when the provider is done.
#[derive(Default)]
pub struct Exchange {
    /// What it means for the money; `None` only before anything happened.
    pub outcome: Option<ProviderOutcome>,
    /// What the provider reported.
    pub reported: Option<Reported>,
    /// Its counts, priced.
    pub bill: Option<Bill>,
    /// The answer; for a stream only its identity and served model.
    pub completion: Completion,
    /// A whole answer as it came, where the caller gets its very bytes.
    pub verbatim: Option<Bytes>,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// What went wrong.
    pub error: Option<Error>,
    /// What its content has weighed so far, where it streams.
    pub weight: usize,
    /// When the first content came.
    pub first_token_at: Option<Timestamp>,
    /// The provider's headers that survive.
    pub headers: HeaderMap,
    /// How long the provider asks to wait, in ms.
    pub asked_ms: Option<u64>,
    /// The provider's id of the request.
    pub provider_request_id: Option<String>,
    /// A metered stream was ended, because its budgets hold no more for it.
    pub is_cut: bool,
    /// The provider counted something that has no price.
    pub is_unpriced: bool,
}

impl Exchange {
    fn failed(mut self, outcome: ProviderOutcome, error: Error) -> Self {
        self.outcome = Some(outcome);
        self.error = Some(error);
        self
    }

    /// It broke: what it may bill is not known, unless it had stated that already. An amount is
    /// the last word only when the answer is `finished`.
    fn broke(mut self, mut error: Error, finished: bool) -> Self {
        let stated = self.reported.as_ref().and_then(Reported::stated);
        if stated.is_none() || !finished {
            return self.failed(ProviderOutcome::Unknown, error);
        }
        is_billed(&mut error);
        self.error = Some(error);
        self
    }

    /// A panic while the provider's bytes were read: it may bill what nobody understood.
    #[must_use]
    pub fn panicked() -> Self {
        Self::default().failed(ProviderOutcome::Unknown, Error::internal("panic in relay"))
    }
}

/// Calls the provider and relays its answer. The money is decided by the caller.
pub async fn exchange(
    gate: &Gate,
    call: &Admitted,
    held: &mut Held,
    reply: &mut Reply,
) -> Exchange {
    let mut exchange = Exchange::default();
    let resolved = &call.resolved;
    let target = Target {
        provider: resolved.provider,
        wire: resolved.wire,
        model: &resolved.model.name,
        credential: &call.chosen.credential,
        now: gate.aws.now(),
    };
    let timeouts = call.timeouts;
    let client = match gate.http(timeouts.connect_ms) {
        Ok(client) => client,
        Err(error) => return exchange.failed(ProviderOutcome::NotSent, error),
    };
    let patience = patience(gate, call);
    let times = Times::of(call, patience);
    reply.waits_until(times.ends());
    let first = milliseconds(timeouts.first_byte_ms).map_or(patience, |most| most.min(patience));
    let sending = upstream::send(&client, &target, &call.plan.outbound, first);
    let response = match heard(gate, call, reply, sending).await {
        Ok(response) => response,
        Err(NoAnswer { outcome, error }) => return exchange.failed(outcome, error),
    };
    let provider = resolved.provider;
    exchange.headers = upstream::surviving(provider, response.headers());
    exchange.provider_request_id = upstream::provider_request_id(provider, response.headers());
    exchange.asked_ms = upstream::asked_ms(response.headers(), gate.aws.now());
    let status = response.status().as_u16();
    if !response.status().is_success() {
        let body = collect(response, REFUSAL_BYTES_MAX, &times, provider.name).await;
        let body = body.unwrap_or_default();
        return refused(exchange, call, status, &body);
    }
    let mut exchange = if call.plan.is_streamed(&call.call) {
        let mut gathered = (!call.call.stream || call.content.is_some()).then(Gathered::default);
        let meter = Meter::new(call, held);
        let upstream = Upstream { response, times, meter, gathered: gathered.as_mut() };
        let mut exchange = stream(gate, call, held, upstream, reply, exchange).await;
        exchange.completion.choices = gathered.unwrap_or_default().choices();
        exchange
    } else {
        buffered(gate, call, (response, times), exchange).await
    };
    place(call, &mut exchange);
    price(gate, call, held.rid, &mut exchange);
    exchange
}

/// How long the providers of a call may still take, in ms.
pub fn left_ms(now: Timestamp, incoming: &Incoming, is_stream: bool) -> i64 {
    let rest = incoming.ends_at.since(now).saturating_sub(CLOSING_MS);
    // What was waited for room is taken off: the caller's connection was silent then too.
    let silent = BUFFERED_PATIENCE_MS.saturating_sub(now.since(incoming.started_at));
    if is_stream { rest } else { rest.min(silent) }
}

/// How long the provider of an attempt may still take.
fn patience(gate: &Gate, call: &Admitted) -> Duration {
    let rest = call.gives_up_at.since(gate.aws.now());
    Duration::from_millis(u64::try_from(rest).unwrap_or_default())
}

fn refused(mut exchange: Exchange, call: &Admitted, status: u16, body: &[u8]) -> Exchange {
    let provider = call.resolved.provider;
    let failure = call.resolved.wire.failure(provider, status, body);
    let outcome = match failure.billing {
        Billing::Unbilled => ProviderOutcome::Unbilled { inferred: false },
        Billing::UnbilledInferred => ProviderOutcome::Unbilled { inferred: true },
        Billing::Fee(cost) => ProviderOutcome::Usage { cost },
        Billing::Unknown => ProviderOutcome::Unknown,
    };
    let cause = format!("{status} {}", failure.code.as_deref().unwrap_or("no code"));
    if let Some(seconds) = failure.retry_after_s
        && !exchange.headers.contains_key(header::RETRY_AFTER)
    {
        exchange.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        exchange.asked_ms = seconds.checked_mul(1_000);
    }
    let (name, owner) = (provider.name.to_owned(), call.resolved.owner.clone());
    let message = failure.message;
    let error = match (failure.blame, status) {
        (Blame::Credential, _) => Error::CredentialRejected { provider: name, owner },
        (Blame::Account, _) => {
            let account = format!("The account at {name} whose credential is stored ({owner})");
            Error::AccountRefused { account, message }
        }
        (Blame::Request, 400..=499) if status != 408 => {
            Error::ProviderRefused { status, message, cause }
        }
        (_, 300..=399) => upstream::unavailable(provider.name, CHARGED, Fault::Redirect, cause),
        _ => upstream::unavailable(provider.name, CHARGED, Fault::Status, cause),
    };
    exchange.failed(outcome, error)
}

async fn buffered(
    gate: &Gate,
    call: &Admitted,
    (response, times): (reqwest::Response, Times),
    mut exchange: Exchange,
) -> Exchange {
    let provider = call.resolved.provider;
    let body = match collect(response, ANSWER_BYTES_MAX, &times, provider.name).await {
        Ok(body) => body,
        Err(error) => return exchange.failed(ProviderOutcome::Unknown, error),
    };
    exchange.first_token_at = Some(gate.aws.now());
    match call.resolved.wire.decode(provider, &body) {
        Ok(mut completion) => {
            let told = || call.resolved.wire.told(provider, body.clone());
            exchange.verbatim = call.is_verbatim().then(told);
            exchange.reported = completion.reported.take();
            let reason = completion.choices.first().and_then(|first| first.get("finish_reason"));
            exchange.finish_reason = reason.and_then(|text| text.as_str()).map(str::to_owned);
            name(call, &mut completion.model);
            exchange.completion = completion;
            identify(call, &mut exchange);
            exchange
        }
        Err(fault) => {
            if let DecodeError::Billed { reported, .. } = &fault {
                exchange.reported = Some((**reported).clone());
                exchange.error = Some(upstream::unreadable(provider.name, BILLED, &fault));
                return exchange;
            }
            let error = upstream::unreadable(provider.name, CHARGED, &fault);
            exchange.failed(ProviderOutcome::Unknown, error)
        }
    }
}

/// The model that was asked, where an answer's format does not name the one that served it.
fn name(call: &Admitted, served: &mut String) {
    if served.is_empty() {
        served.push_str(&call.resolved.model.name);
    }
}

/// Tells the provider's id of its answer, where the answer has one of the caller's dialect. It is
/// that of the request too, where no header has told one.
fn identify(call: &Admitted, exchange: &mut Exchange) {
    let id = &exchange.completion.id;
    let is_id = (1..=upstream::ID_CHARS_MAX).contains(&id.len());
    let Some(value) = HeaderValue::try_from(id).ok().filter(|_| is_id) else { return };
    if exchange.provider_request_id.is_none() {
        exchange.provider_request_id = Some(id.clone());
        exchange.headers.insert(upstream::THEIR_ID, value.clone());
    }
    if !call.is_verbatim() {
        exchange.headers.insert(upstream::THEIR_ANSWER, value);
    }
}

fn name_start(call: &Admitted, event: &mut ChatEvent) {
    if let ChatEvent::Start { model, .. } = event {
        name(call, model);
    }
}

async fn collect(
    response: reqwest::Response,
    bytes_max: usize,
    times: &Times,
    provider: &str,
) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    let mut chunks = response.bytes_stream();
    loop {
        let next = times.next(!body.is_empty());
        match tokio::time::timeout_at(next, chunks.next()).await {
            Ok(Some(Ok(chunk))) if body.len().saturating_add(chunk.len()) <= bytes_max => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(Ok(_))) => {
                return Err(too_long(provider, bytes_max));
            }
            Ok(Some(Err(fault))) => return Err(broken(provider, &fault)),
            Ok(None) => return Ok(body.freeze()),
            Err(_) => return Err(times.passed(provider, !body.is_empty())),
        }
    }
}

/// A streamed answer, and what bounds it.
struct Upstream<'g> {
    response: reqwest::Response,
    times: Times,
    meter: Option<Meter>,
    /// For a caller who asked for a whole answer, and for the content log.
    gathered: Option<&'g mut Gathered>,
}

/// What came of a stream so far.
#[derive(Default)]
struct Seen {
    any: bool,
    /// A choice has ended.
    is_finished: bool,
}

impl Seen {
    /// Why a stream that is `done` is not whole.
    fn cut(&self, provider: &str, done: bool) -> Option<Error> {
        let (fault, cause) = match self {
            // A page, or an error that is not told as one.
            Self { any: false, .. } => (Fault::Unreadable, "a stream without an event"),
            Self { is_finished: false, .. } => (Fault::Cut, "the stream ended before its end"),
            Self { .. } => return None,
        };
        done.then(|| upstream::unavailable(provider, CHARGED, fault, cause.to_owned()))
    }
}

/// Opens the caller's stream, but not before its first event: until then a failure is a plain error
/// with its own status, and the call may still go on to another model.
fn open(call: &Admitted, events: &[ChatEvent], exchange: &mut Exchange, reply: &mut Reply) {
    if events.iter().any(|event| matches!(event, ChatEvent::Start { .. })) {
        identify(call, exchange);
    }
    let is_begun = events.first().is_some_and(|first| !matches!(first, ChatEvent::Failed { .. }));
    if call.call.stream && is_begun {
        reply.begin(&exchange.headers);
    }
}

/// Relays a stream, or gathers it for a caller who asked for a whole answer. When the caller is
/// gone it reads on: providers bill what they generate.
async fn stream(
    gate: &Gate,
    call: &Admitted,
    held: &mut Held,
    upstream: Upstream<'_>,
    reply: &mut Reply,
    mut exchange: Exchange,
) -> Exchange {
    let provider = call.resolved.provider;
    let Upstream { response, times, mut meter, mut gathered } = upstream;
    let mut ends = times.next(false);
    let mut decoder = call.resolved.wire.decoder(provider, call.call.stream && call.is_verbatim());
    let mut chunks = response.bytes_stream();
    let mut events = Vec::new();
    let mut seen = Seen::default();
    loop {
        let quiet = tokio::time::Instant::now() + KEEP_ALIVE;
        let chunk = match tokio::time::timeout_at(quiet.min(ends), chunks.next()).await {
            Ok(chunk) => chunk,
            Err(_) if tokio::time::Instant::now() < ends => {
                reply.keep_alive(&exchange.headers).await;
                continue;
            }
            Err(_) => {
                let error = times.passed(provider.name, seen.any);
                return exchange.broke(error, seen.is_finished);
            }
        };
        let fed = match &chunk {
            Some(Ok(bytes)) => decoder.feed(bytes, &mut events),
            Some(Err(_)) => Ok(()),
            None => decoder.end(&mut events),
        };
        events.iter_mut().for_each(|event| name_start(call, event));
        let mut done = chunk.is_none();
        let mut billed = false;
        for event in &events {
            billed |= exchange.error.is_some() && matches!(event, ChatEvent::Usage(_));
            seen.is_finished |= matches!(event, ChatEvent::Finish { .. });
            done |= matches!(event, ChatEvent::Done);
            note(gate, provider.name, event, &mut exchange);
        }
        if let Some(meter) = &mut meter {
            exchange.is_cut = meter.pass(gate, call, held, &mut events).await.is_cut();
        }
        seen.any |= !events.is_empty();
        open(call, &events, &mut exchange, reply);
        reply.events(&events).await;
        if let Some(gathered) = &mut gathered {
            events.iter().for_each(|event| gathered.event(event));
        }
        events.clear();
        // From here on, so that a caller who reads slowly is not the provider's silence.
        ends = times.next(seen.any);
        if exchange.is_cut {
            // Dropping the response closes the connection, which ends the generation. What it
            // came to meanwhile is not known.
            exchange.finish_reason = Some(CUT_REASON.to_owned());
            exchange.outcome = Some(ProviderOutcome::Unknown);
            return exchange;
        }
        let fault = match (fed, chunk) {
            (Err(fault), _) => Some(upstream::unreadable(provider.name, CHARGED, &fault)),
            (_, Some(Err(fault))) => Some(broken(provider.name, &fault)),
            // A caller who reads slowly leaves more to read at once, whatever the time is.
            _ if !done => times.over(provider.name, seen.any),
            _ => seen.cut(provider.name, done),
        };
        if billed {
            exchange.error.iter_mut().for_each(is_billed);
            return exchange;
        }
        if let Some(error) = exchange.error.take().or(fault) {
            return exchange.broke(error, seen.is_finished);
        }
        if done {
            return exchange;
        }
    }
}

/// Tells that what a failed call used is known.
const fn is_billed(error: &mut Error) {
    if let Error::ProviderUnavailable { advice, .. } = error {
        *advice = BILLED;
    }
}

fn too_long(provider: &str, bytes_max: usize) -> Error {
    let cause = format!("an answer longer than {bytes_max} bytes");
    upstream::unavailable(provider, CHARGED, Fault::TooLong, cause)
}

/// A body whose connection broke.
fn broken(provider: &str, fault: &reqwest::Error) -> Error {
    upstream::unavailable(provider, CHARGED, Fault::Cut, upstream::causes(fault))
}

/// Keeps of an event what the books and the log need.
fn note(gate: &Gate, provider: &str, event: &ChatEvent, exchange: &mut Exchange) {
    exchange.weight = exchange.weight.saturating_add(gather::weight(event));
    if exchange.weight > WEIGHT_MAX {
        exchange.error = Some(too_long(provider, WEIGHT_MAX));
    }
    match event {
        ChatEvent::Start { id, model } => {
            exchange.completion.id.clone_from(id);
            exchange.completion.model.clone_from(model);
        }
        ChatEvent::Delta { .. } if exchange.first_token_at.is_none() => {
            exchange.first_token_at = Some(gate.aws.now());
        }
        ChatEvent::Finish { reason, .. } => exchange.finish_reason = Some(reason.clone()),
        ChatEvent::Usage(reported) => exchange.reported = Some(reported.clone()),
        ChatEvent::Failed { message } => {
            let cause = message.chars().take(CAUSE_CHARS_MAX).collect();
            let error = upstream::unavailable(provider, CHARGED, Fault::Reported, cause);
            exchange.error = Some(error);
        }
        ChatEvent::Delta { .. } | ChatEvent::Frame(_) | ChatEvent::Done => {}
    }
}

/// Notes what no answer says: a surcharge of the place that was called, and a dearer tier.
fn place(call: &Admitted, exchange: &mut Exchange) {
    let dearer = call.resolved.dearer_at(&call.chosen.credential);
    if let Some(reported) = exchange.reported.as_mut() {
        reported.us_geography |= dearer == Some(true);
        let asked = call.plan.outbound.bound.unsaid_tier().map(str::to_owned);
        reported.service_tier = reported.service_tier.take().or(asked);
    }
}

/// Turns what the provider reported into the outcome, where nothing else decided it before.
fn price(gate: &Gate, call: &Admitted, rid: Rid, exchange: &mut Exchange) {
    if exchange.outcome.is_some() {
        return;
    }
    let Some(reported) = &exchange.reported else {
        let provider = call.resolved.provider.name;
        tracing::warn!(metric = "usage_missing", %rid, provider, "charging the whole hold");
        exchange.outcome = Some(ProviderOutcome::Unknown);
        return;
    };
    let bill = call.price.bill_at(reported, call.started_at, gate.aws.now());
    let counted = bill.as_ref().ok().map(|bill| bill.cost.total);
    exchange.outcome = Some(match Charge::of(reported, counted) {
        Charge::Nothing => ProviderOutcome::UsageButUnbilled,
        Charge::Stated(cost) | Charge::Counted(cost) => ProviderOutcome::Usage { cost },
        Charge::Hold => ProviderOutcome::Unknown,
    });
    match bill {
        Ok(bill) => exchange.bill = Some(bill).filter(|_| !reported.unbilled),
        Err(fault) if exchange.outcome == Some(ProviderOutcome::Unknown) => {
            tracing::error!(metric = "unpriced_usage", %rid, %fault, "charging the whole hold");
            exchange.is_unpriced = true;
        }
        Err(fault) => tracing::warn!(%fault, "charging what the provider states"),
    }
}
