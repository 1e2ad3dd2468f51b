//! One chat call, start to finish.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use farebox_aws::{Credential, Held, KeyItem};
use farebox_core::pricing::Price;
use farebox_core::{CallRecord, ChatCall, Decision, Error, Format, Money, Outcome, Timestamp};
use farebox_ledger::Claim;
use futures_util::FutureExt;
use futures_util::future::{join, join3};
use http::Response;

use crate::authenticate::authenticate;
use crate::content;
use crate::dialect::Dialect;
use crate::gate::Gate;
use crate::hold::reserve;
use crate::idempotency::{self, Claimed, claim};
use crate::incoming::Incoming;
use crate::plan::{Plan, Planned, first_plan, unpriced};
use crate::relay::{Exchange, exchange};
use crate::reply::{self, Paid, Reply, ReplyBody};
use crate::resolve::{Resolved, resolve};
use crate::upstream::Target;

/// A message in the log is cut to this.
const MESSAGE_CHARS_MAX: usize = 500;

/// A call whose worst case is held in every scope.
pub struct Admitted {
    /// The call.
    pub call: ChatCall,
    /// Provider, model and whose credential.
    pub resolved: Resolved,
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
    /// What is to be kept of its content.
    pub content: Option<content::Wanted>,
}

impl Admitted {
    /// Whether the caller gets the very bytes of the provider: both speak the same format.
    #[must_use]
    pub fn is_verbatim(&self) -> bool {
        let format = self.call.format;
        let is_ours = format == Format::Native;
        // A vector is the same whoever sends it, and its numbers are not read.
        let is_faithful = self.resolved.provider.faithful || format == Format::Embeddings;
        !is_ours && is_faithful && self.resolved.wire.takes(format)
    }
}

/// One chat call: authenticate → claim → admit → (in a task of its own) call → settle → log.
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
    let claim = match claim(gate, incoming, &key).await {
        Ok(Claimed::Ours(claim)) => claim,
        Ok(Claimed::Answered(replayed)) => return Ok(replayed),
        Err(error) => return Err(refused(gate, incoming, record, error).await),
    };
    match admit(gate, incoming, dialect, &key, &mut record).await {
        Ok((admitted, held)) => {
            let (mut reply, response) = reply::channel(dialect, incoming, &admitted, &held);
            reply.record(claim.is_some());
            gate.spawn(carry(Arc::clone(gate), admitted, held, record, (reply, claim)));
            response.await.map_err(|_| Error::internal("a call ended without an answer"))
        }
        Err(error) => {
            idempotency::release(gate, claim.as_ref()).await;
            Err(refused(gate, incoming, record, error).await)
        }
    }
}

/// Logs a refusal, and gives it back.
async fn refused(gate: &Gate, incoming: &Incoming, mut record: CallRecord, error: Error) -> Error {
    record.http_status = error.row().status;
    record.error_code = Some(error.row().code.to_owned());
    record.error_message = Some(error.to_string().chars().take(MESSAGE_CHARS_MAX).collect());
    record.response_time_ms = gate.aws.now().since(incoming.started_at);
    gate.log.send(&record).await;
    error
}

/// Plan → credential → reserve.
async fn admit(
    gate: &Gate,
    incoming: &Incoming,
    dialect: &'static dyn Dialect,
    key: &KeyItem,
    record: &mut CallRecord,
) -> Result<(Admitted, Held), Error> {
    let (planned, plan) = plan(gate, incoming, dialect, key, record).await?;
    let resolved = &planned.resolved;
    let fetched = gate.credentials.fetch(&resolved.owner, key.cv, resolved.provider.name);
    let credential = fetched.await?;
    let target =
        Target { provider: resolved.provider, wire: resolved.wire, credential: &credential };
    let candidate = planned.candidate();
    let (plan, held) = reserve(gate, incoming, &target, candidate, plan, record).await?;
    record.rid = held.rid;
    record.hold = Some(held.amount);
    record.parts = held.parts();
    let Planned { call, resolved, price, .. } = planned;
    let admitted = Admitted {
        call,
        price,
        plan,
        credential,
        resolved,
        started_at: incoming.started_at,
        ends_at: incoming.ends_at,
        content: content::Wanted::of(key, incoming),
    };
    Ok((admitted, held))
}

/// Parse → resolve → price → metered or not → bound. The record learns on the way what a refusal
/// should tell.
///
/// # Errors
/// Every refusal before a credential is fetched.
pub async fn plan(
    gate: &Gate,
    incoming: &Incoming,
    dialect: &'static dyn Dialect,
    key: &KeyItem,
    record: &mut CallRecord,
) -> Result<(Planned, Plan), Error> {
    record.labels.extend(incoming.labels()?);
    let call = dialect.parse(incoming)?;
    record.labels.extend(call.labels());
    record.stream = call.stream;
    let overrides = gate.directory.prices().await?;
    let mut targets = resolve(&call, key, &overrides, || gate.aws.chance())?.into_iter();
    let resolved = targets.next().ok_or_else(|| Error::internal("a call that leads nowhere"))?;
    record.provider = Some(resolved.provider.name.to_owned());
    record.model = Some(resolved.model.name.to_string());
    record.credential_owner = Some(resolved.owner.clone());
    record.scopes = resolved.scopes(key);
    let (provider, model) = (resolved.provider.name, &resolved.model.name);
    if overrides.is_quarantined(provider, model) && gate.ledger.binds(&record.scopes).await? {
        return Err(Error::PriceQuarantined { model: format!("{provider}/{model}") });
    }
    let price = resolved.model.price.clone().ok_or_else(|| unpriced(&resolved, "any token"))?;
    record.price_version = Some(price.version.to_string());
    let max_cost = incoming.max_cost(key.max_cost)?;
    let metered = (resolved.provider.metered)(&resolved.model.name)
        && gate.ledger.meters(&record.scopes).await?;
    let planned = Planned { call, resolved, price, clamp: key.clamp, max_cost, metered };
    let plan = first_plan(planned.candidate()).map_err(|error| located(dialect, error))?;
    Ok((planned, plan))
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
    (mut reply, claim): (Reply, Option<Claim>),
) {
    // Boxed where futures that borrow meet: see `route`.
    let exchanged = AssertUnwindSafe(exchange(&gate, &call, &mut held, &mut reply));
    let exchanged = exchanged.catch_unwind().boxed();
    let (exchanged, ()) = join(exchanged, gate.directory.refresh_prices().boxed()).await;
    let exchange = exchanged.unwrap_or_else(|_| Exchange::panicked());
    let outcome = exchange.outcome.unwrap_or(farebox_ledger::ProviderOutcome::Unknown);
    record.hold = Some(held.amount);
    record.parts = held.parts();
    let decided = farebox_ledger::decide(outcome, held.amount, held.is_metered);
    if let Some(above) = decided.overrun {
        tracing::error!(metric = "overrun", %above, rid = %record.rid, "cost above its hold");
        // A metered hold is no bound of the whole answer, so it says nothing about the price.
        record.overrun = !held.is_metered;
    }
    record.unpriced = exchange.is_unpriced;
    let paid = Paid {
        request_id: record.request_id,
        provider: call.resolved.provider.name,
        cost: exchange.bill.as_ref().map(|bill| bill.cost),
        charged: match decided.decision {
            Decision::Settle(cost) => cost,
            Decision::Void => Money::ZERO,
            Decision::Worst => held.amount,
        },
        response_time_ms: gate.aws.now().since(call.started_at),
    };
    complete(&mut record, &call, &exchange, &paid, decided.outcome, decided.decision);
    record.client_gone = reply.caller_is_gone();
    record.capacity_tenths = record.capacity_tenths.saturating_add(held.capacity_tenths());
    let ended = gate.ledger.end(&mut held, decided.decision).boxed();
    let said =
        content::keep(&gate, call.content.as_ref(), record.request_id, &record.endpoint, &exchange);
    join3(ended, gate.log.send(&record).boxed(), said.boxed()).await;
    let last = reply.close(&exchange, &paid, &held.rooms());
    let recorded = reply.recorded();
    idempotency::end(&gate, claim.as_ref(), decided.decision, recorded).boxed().await;
    reply.finish(last).boxed().await;
}

/// The record as far as it is known when the key is.
pub fn draft(gate: &Gate, incoming: &Incoming, key: &KeyItem) -> CallRecord {
    let tenant = gate.aws.config().tenant.clone();
    let record = CallRecord::new(incoming.request_id, tenant, key.user.clone(), key.id.clone());
    CallRecord {
        endpoint: incoming.path.clone(),
        client_request_id: incoming.client_request_id.clone(),
        started_at: incoming.started_at,
        ip: incoming.ip.clone(),
        user_agent: incoming.user_agent.clone(),
        labels: key.labels.clone(),
        org: key.org.clone(),
        team: key.team.clone(),
        ..record
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
    record.cost = paid.cost;
    record.lines = exchange.bill.as_ref().map(|bill| bill.lines.clone()).unwrap_or_default();
    record.usage = exchange.reported.as_ref().map(|reported| reported.usage);
    // With the counts these price the call again (`farebox rerate`).
    record.service_tier = exchange.reported.as_ref().and_then(|one| one.service_tier.clone());
    record.us_geography = exchange.reported.as_ref().is_some_and(|one| one.us_geography);
    record.provider_cost = exchange.reported.as_ref().and_then(|reported| reported.cost);
    if let (Some(theirs), Some(ours)) = (record.provider_cost, record.cost.map(|cost| cost.total))
        && theirs != ours
    {
        let rid = record.rid;
        tracing::error!(metric = "provider_cost_differs", %rid, %theirs, %ours, "check the price");
    }
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
