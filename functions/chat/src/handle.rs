//! One chat call, start to finish.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use farebox_aws::{Credential, Held, KeyItem};
use farebox_core::pricing::{Bound, Price, PricingError};
use farebox_core::{CallRecord, ChatCall, Decision, Error, Money, Outcome, Timestamp};
use farebox_providers::{Facts, Outbound, Wire};
use futures_util::FutureExt;
use futures_util::future::join;
use http::Response;

use crate::authenticate::authenticate;
use crate::dialect::Dialect;
use crate::gate::Gate;
use crate::incoming::Incoming;
use crate::relay::{Exchange, exchange};
use crate::reply::{self, Paid, Reply, ReplyBody};
use crate::resolve::{Resolved, resolve};

/// A cap lowered to what the room affords is not lowered below this: a shorter answer is of
/// no use to most callers, and they would pay for it.
const USEFUL_TOKENS_MIN: u64 = 256;
/// How often one call may reserve: once, and again after its cap was lowered or its period
/// ended under it.
const RESERVE_ROUNDS_MAX: u32 = 3;
/// A message in the log is cut to this.
const MESSAGE_CHARS_MAX: usize = 500;

/// What will be sent, and the most that it can cost.
pub struct Plan {
    /// The exact bytes.
    pub outbound: Outbound,
    /// Upper bounds of what the provider can count.
    pub bound: Bound,
    /// The worst case: what is held.
    pub hold: Money,
    /// The cap was lowered to what the room affords.
    pub clamped: bool,
}

/// A call whose worst case is held in every scope.
pub struct Admitted {
    /// The call.
    pub call: ChatCall,
    /// Provider, model and whose credential.
    pub resolved: Resolved,
    /// The model's wire format.
    pub wire: &'static dyn Wire,
    /// Its prices, fixed at admission.
    pub price: Price,
    /// What is sent.
    pub plan: Plan,
    /// With what.
    pub credential: Credential,
    /// When the call arrived.
    pub started_at: Timestamp,
    /// When the invocation ends.
    pub ends_at: Timestamp,
}

/// One chat call: authenticate → admit → (in a task of its own) call → settle → log.
///
/// Until `reserve` no money is touched, so every failure simply returns. From then on the hold
/// belongs to `carry`, which ends it once, whatever the provider or the caller does.
///
/// # Errors
/// Every refusal before the provider is called.
pub async fn chat(
    gate: &Arc<Gate>,
    incoming: &Incoming,
    dialect: &'static dyn Dialect,
) -> Result<Response<ReplyBody>, Error> {
    let key = authenticate(gate, &incoming.headers).await?;
    let mut record = draft(gate, incoming, &key);
    match admit(gate, incoming, dialect, &key, &mut record).await {
        Ok((admitted, held)) => {
            let (reply, response) = reply::channel(dialect, incoming, &admitted, &held);
            gate.tasks.spawn(carry(Arc::clone(gate), admitted, held, record, reply));
            response.await.map_err(|_| Error::internal("a call ended without an answer"))
        }
        Err(error) => {
            record.http_status = error.row().status;
            record.error_code = Some(error.row().code.to_owned());
            record.error_message =
                Some(error.to_string().chars().take(MESSAGE_CHARS_MAX).collect());
            record.response_time_ms = gate.aws.now().since(incoming.started_at);
            gate.log.send(&record).await;
            Err(error)
        }
    }
}

/// Parse → resolve → price → bound → credential → reserve.
async fn admit(
    gate: &Gate,
    incoming: &Incoming,
    dialect: &'static dyn Dialect,
    key: &KeyItem,
    record: &mut CallRecord,
) -> Result<(Admitted, Held), Error> {
    let call = dialect.parse(incoming.json()?)?;
    record.stream = call.stream;
    let overrides = gate.directory.prices().await?;
    let resolved = resolve(&call, key, &overrides)?;
    record.provider = Some(resolved.provider.name.to_owned());
    record.model = Some(resolved.model.name.to_string());
    record.credential_owner = Some(resolved.owner.clone());
    let price = resolved.model.price.clone().ok_or_else(|| unpriced(&resolved, "any token"))?;
    record.price_version = Some(price.version.to_string());
    let plan = first_plan(&call, &resolved, &price, key.max_cost);
    let plan = plan.map_err(|error| located(dialect, error))?;
    let fetched = gate.credentials.fetch(&resolved.owner, key.cv, resolved.provider.name);
    let credential = fetched.await?;
    let candidate = Candidate { call: &call, resolved: &resolved, price: &price };
    let (plan, held) = reserve(gate, incoming, key, candidate, plan, record).await?;
    record.rid = held.rid;
    record.hold = Some(plan.hold);
    record.parts = held.parts();
    let wire = (resolved.provider.wire)(&resolved.model.name);
    let admitted = Admitted {
        call,
        wire,
        price,
        plan,
        credential,
        resolved,
        started_at: incoming.started_at,
        ends_at: incoming.ends_at,
    };
    Ok((admitted, held))
}

/// The same refusal with its field as the dialect's callers wrote it.
fn located(dialect: &dyn Dialect, error: Error) -> Error {
    match error {
        Error::Malformed { field, rule } => {
            Error::Malformed { field: dialect.field(&field).into_owned(), rule }
        }
        Error::UnboundedCall { field, hint } => {
            Error::UnboundedCall { field: dialect.field(&field).into_owned(), hint }
        }
        other => other,
    }
}

/// Owns the hold until it ends. It is a task of its own, so a caller who hangs up cannot
/// cancel it; the response ends last, because the environment freezes after it.
async fn carry(
    gate: Arc<Gate>,
    call: Admitted,
    mut held: Held,
    mut record: CallRecord,
    mut reply: Reply,
) {
    // Boxed where futures that borrow meet: see `route`.
    let exchanged = AssertUnwindSafe(exchange(&gate, &call, &mut reply)).catch_unwind().boxed();
    let (exchanged, ()) = join(exchanged, gate.directory.refresh_prices().boxed()).await;
    let exchange = exchanged.unwrap_or_else(|_| Exchange::panicked());
    let outcome = exchange.outcome.unwrap_or(farebox_ledger::ProviderOutcome::Unknown);
    let decided = farebox_ledger::decide(outcome, call.plan.hold);
    if let Some(above) = decided.overrun {
        tracing::error!(metric = "overrun", %above, rid = %record.rid, "cost above its hold");
    }
    let paid = Paid {
        request_id: record.request_id,
        provider: call.resolved.provider.name,
        cost: exchange.cost,
        charged: match decided.decision {
            Decision::Settle(cost) => cost,
            Decision::Void => Money::ZERO,
            Decision::Worst => call.plan.hold,
        },
        response_time_ms: gate.aws.now().since(call.started_at),
    };
    complete(&mut record, &call, &exchange, &paid, decided.outcome, decided.decision);
    record.client_gone = reply.caller_is_gone();
    record.capacity_tenths = held.capacity_tenths();
    let ended = gate.ledger.end(&mut held, decided.decision).boxed();
    join(ended, gate.log.send(&record).boxed()).await;
    reply.finish(&exchange, &paid, &held.rooms()).boxed().await;
}

/// The call as it is tried: what a plan is made of.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    call: &'a ChatCall,
    resolved: &'a Resolved,
    price: &'a Price,
}

/// Reserves the plan's hold in every scope; lowers a cap that the caller left open to what
/// the room affords. Each round is a new attempt with its own identity.
async fn reserve(
    gate: &Gate,
    incoming: &Incoming,
    key: &KeyItem,
    candidate: Candidate<'_>,
    mut plan: Plan,
    record: &mut CallRecord,
) -> Result<(Plan, Held), Error> {
    let mut rid = incoming.request_id;
    let mut round = 1;
    loop {
        let refusal = match gate.ledger.reserve(&key.scopes, rid, plan.hold).await {
            Ok(held) => return Ok((plan, held)),
            Err(refusal) => refusal,
        };
        record.rid = rid;
        record.hold = Some(plan.hold);
        if !refusal.parts.is_empty() {
            // Something of this attempt may still stand: its record must carry its identity.
            record.decision = Some(Decision::Void);
            record.parts = refusal.parts;
            return Err(refusal.error);
        }
        match refusal.room.and_then(|room| lower(candidate, &plan, room)) {
            _ if round == RESERVE_ROUNDS_MAX => return Err(refusal.error),
            Some(lowered) => plan = lowered,
            None if refusal.restart => {}
            None => return Err(refusal.error),
        }
        rid = gate.aws.new_rid();
        round += 1;
    }
}

/// The plan at the caller's cap, else at the model's maximum, within what the key allows for
/// one call.
fn first_plan(
    call: &ChatCall,
    resolved: &Resolved,
    price: &Price,
    max_cost: Option<Money>,
) -> Result<Plan, Error> {
    let most = resolved.model.completion_max.or(resolved.model.context_window);
    let cap = match (call.cap, most) {
        (Some(cap), Some(most)) => cap.min(most),
        (Some(cap), None) => cap,
        (None, Some(most)) => most,
        (None, None) => {
            return Err(Error::UnboundedCall {
                field: "max_completion_tokens".to_owned(),
                hint: "The model's maximum is not known: send max_completion_tokens.".to_owned(),
            });
        }
    };
    let candidate = Candidate { call, resolved, price };
    let plan = plan_at(candidate, cap, false)?;
    match max_cost {
        Some(limit) if plan.hold > limit => {
            let needed = plan.hold;
            lower(candidate, &plan, limit).ok_or(Error::CallTooCostly { limit, needed })
        }
        _ => Ok(plan),
    }
}

/// The same call at a lower cap that fits into `room`, where the caller set none.
fn lower(candidate: Candidate<'_>, plan: &Plan, room: Money) -> Option<Plan> {
    if candidate.call.cap.is_some() {
        return None;
    }
    let tokens = candidate.price.completion_bound_within(&plan.bound, room)?;
    let cap = tokens.checked_div(candidate.call.choices)?.min(plan.outbound.cap);
    // The body carries the cap, so a shorter number makes it a few bytes shorter: never longer.
    let lowered = plan_at(candidate, Some(cap).filter(|cap| *cap >= USEFUL_TOKENS_MIN)?, true);
    lowered.ok().filter(|lowered| lowered.hold <= room)
}

fn plan_at(candidate: Candidate<'_>, cap: u64, clamped: bool) -> Result<Plan, Error> {
    let Candidate { call, resolved, price } = candidate;
    let facts = Facts {
        model: &resolved.model.name,
        context_window: resolved.model.context_window,
        completion_max: resolved.model.completion_max,
    };
    let wire = (resolved.provider.wire)(&resolved.model.name);
    let outbound = wire.request(resolved.provider, call, &facts, cap, call.stream)?;
    let bound = bound_of(&outbound)?;
    let hold = price.hold(&bound).map_err(|fault| priced(resolved, &fault))?;
    Ok(Plan { outbound, bound, hold, clamped })
}

fn bound_of(outbound: &Outbound) -> Result<Bound, Error> {
    let completion_tokens = outbound.cap.checked_mul(outbound.choices);
    Ok(Bound {
        prompt_tokens: outbound.bound.prompt_tokens,
        completion_tokens: completion_tokens
            .ok_or_else(|| Error::malformed("n", "times the cap is beyond every number"))?,
        cache_write: outbound.bound.cache_write,
        audio_prompt: outbound.bound.audio,
        multiplier_us: outbound.bound.us_geography,
        ..Bound::default()
    })
}

fn priced(resolved: &Resolved, fault: &PricingError) -> Error {
    match fault {
        PricingError::PriceUnknown { class } => unpriced(resolved, class),
        PricingError::TooMany { class } => {
            Error::malformed(*class, "is beyond 1000000000 tokens: send less")
        }
        other => unpriced(resolved, &other.to_string()),
    }
}

fn unpriced(resolved: &Resolved, class: &str) -> Error {
    Error::UnpricedModel {
        model: format!("{}/{}", resolved.provider.name, resolved.model.name),
        class: class.to_owned(),
    }
}

/// The record as far as it is known when the key is.
fn draft(gate: &Gate, incoming: &Incoming, key: &KeyItem) -> CallRecord {
    CallRecord {
        request_id: incoming.request_id,
        rid: incoming.request_id,
        tenant: gate.aws.config().tenant.clone(),
        user: key.user.clone(),
        key_id: key.id.clone(),
        endpoint: incoming.path.clone(),
        provider: None,
        model: None,
        model_served: None,
        stream: false,
        outcome: Outcome::Refused,
        decision: None,
        parts: Vec::new(),
        hold: None,
        cost: None,
        provider_cost: None,
        price_version: None,
        usage: None,
        finish_reason: None,
        http_status: 0,
        error_code: None,
        error_message: None,
        provider_request_id: None,
        client_request_id: incoming.client_request_id.clone(),
        started_at: incoming.started_at,
        response_time_ms: 0,
        first_token_ms: None,
        client_gone: false,
        ip: incoming.ip.clone(),
        user_agent: incoming.user_agent.clone(),
        credential_owner: None,
        capacity_tenths: 0,
    }
}

/// Fills in what the exchange told.
fn complete(
    record: &mut CallRecord,
    call: &Admitted,
    exchange: &Exchange,
    paid: &Paid,
    outcome: Outcome,
    decision: Decision,
) {
    record.outcome = outcome;
    record.decision = Some(decision);
    let served = &exchange.completion.model;
    record.model_served = Some(served.clone()).filter(|served| !served.is_empty());
    record.cost = exchange.cost;
    record.usage = exchange.reported.as_ref().map(|reported| reported.usage);
    record.provider_cost = exchange.reported.as_ref().and_then(|reported| reported.cost);
    record.finish_reason.clone_from(&exchange.finish_reason);
    record.provider_request_id.clone_from(&exchange.provider_request_id);
    record.response_time_ms = paid.response_time_ms;
    record.first_token_ms = exchange.first_token_at.map(|at| at.since(call.started_at));
    record.http_status = 200;
    if let Some(error) = &exchange.error {
        // A stream that had begun keeps its 200; the error travels in it.
        if exchange.first_token_at.is_none() || !call.call.stream {
            record.http_status = error.row().status;
        }
        record.error_code = Some(error.row().code.to_owned());
        let told = format!("{error} ({})", error.cause());
        record.error_message = Some(told.chars().take(MESSAGE_CHARS_MAX).collect());
    }
}
