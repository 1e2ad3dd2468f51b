//! One chat call, start to finish.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use farebox_aws::{Chosen, Held, KeyItem};
use farebox_core::pricing::{Price, STATED_MAX};
use farebox_core::{
    CallRecord, ChatCall, Decision, Error, Format, Money, Rid, Timeouts, Timestamp,
};
use farebox_ledger::{Claim, Decided};
use futures_util::FutureExt;
use futures_util::future::{join, join3, join4};
use http::Response;

use crate::authenticate::authenticate;
use crate::content;
use crate::dialect::{Dialect, told};
use crate::dropping;
use crate::gate::Gate;
use crate::hold::{reserve, wait};
use crate::idempotency::{self, Claimed, claim};
use crate::incoming::Incoming;
use crate::open::open;
use crate::plan::{Plan, Planned, first_plan, unpriced};
use crate::relay::{Exchange, exchange, left_ms};
use crate::reply::{self, Paid, Reply, ReplyBody, Room};
use crate::resolve::Resolved;
use crate::road::{REFUSED_MS, Road, rest_ms};
use crate::upstream::Target;

/// A message in the log is cut to this.
const MESSAGE_CHARS_MAX: usize = 500;

/// A call whose worst case is held in every scope.
pub struct Admitted {
    /// The call.
    pub call: Arc<ChatCall>,
    /// Provider, model and whose credential.
    pub resolved: Resolved,
    /// Its prices, fixed at admission.
    pub price: Price,
    /// What is sent.
    pub plan: Plan,
    /// With what.
    pub chosen: Chosen,
    /// When the call arrived.
    pub started_at: Timestamp,
    /// Options that the provider cannot do, left out.
    pub dropped: Vec<&'static str>,
    /// How long the provider may take where its route says so.
    pub timeouts: Timeouts,
    /// When it is given up at the latest.
    pub gives_up_at: Timestamp,
    /// What is to be kept of its content.
    pub content: Option<content::Wanted>,
}

impl Admitted {
    /// Whether the caller gets the very bytes of the provider: both speak the same format.
    #[must_use]
    pub fn is_verbatim(&self) -> bool {
        let format = self.call.format;
        let is_ours = format == Format::Native;
        let provider = self.resolved.provider;
        // A vector is the same whoever sends it, and its numbers are not read.
        let is_faithful = provider.faithful.contains(&format) || format == Format::Embeddings;
        !is_ours && is_faithful && self.resolved.wire.takes(format)
    }
}

/// One chat call: authenticate → claim → admit → (in a task of its own) call → settle → log, and
/// again from admit where its route leads on after a failure.
///
/// Until `reserve` no money is touched, so every failure simply returns. From then on the hold
/// belongs to `carry`, which ends it once, whatever the provider or the caller does.
///
/// # Errors
/// Every refusal before the provider is called.
pub async fn chat(
    gate: &Arc<Gate>,
    incoming: &Arc<Incoming>,
    dialect: &'static dyn Dialect,
) -> Result<Response<ReplyBody>, Error> {
    let key = authenticate(gate, &incoming.headers).await?;
    let mut record = draft(gate, incoming, &key);
    let claim = match claim(gate, incoming, &key).await {
        Ok(Claimed::Ours(claim)) => claim,
        Ok(Claimed::Answered(replayed)) => return Ok(replayed),
        Err(error) => return Err(refused(gate, incoming, record, error).await),
    };
    let begun = match Road::read(gate, incoming, dialect, &key, &mut record).await {
        Ok(mut road) => match admit(gate, &mut road, incoming.request_id).await {
            Ok(first) => Ok((road, first)),
            Err(refusal) => {
                road.give_places_back(gate, true).await;
                Err(refusal)
            }
        },
        Err(error) => Err(Box::new(Refused { error, record })),
    };
    match begun {
        Ok((road, first)) => {
            let (mut reply, response) = reply::channel(dialect, incoming);
            reply.record(claim.is_some());
            gate.spawn(carry(Arc::clone(gate), road, first, (reply, claim)));
            response.await.map_err(|_| Error::internal("a call ended without an answer"))
        }
        Err(refusal) => {
            idempotency::release(gate, claim.as_ref()).await;
            Err(refused(gate, incoming, refusal.record, refusal.error).await)
        }
    }
}

/// Why no attempt may be made, and what is written down about it.
struct Refused {
    error: Error,
    record: CallRecord,
}

/// An attempt whose money is held.
struct Begun {
    call: Admitted,
    held: Held,
    record: CallRecord,
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

/// Holds the money of the next attempt, at the first model of the road that may be called now and
/// that the budgets take.
async fn admit(gate: &Gate, road: &mut Road, mut rid: Rid) -> Result<Begun, Box<Refused>> {
    let mut refusal: Option<Box<Refused>> = None;
    loop {
        let mut record = road.draft.clone();
        let below = refusal.as_ref().and_then(|refusal| refusal.needed());
        let error = match hold(gate, road, rid, below, &mut record).await {
            Ok(Some((call, held))) => return Ok(Begun { call, held, record }),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        // What could not be taken back of an attempt ends the call: one record carries it.
        let passes = record.parts.is_empty() && error.as_ref().is_none_or(|it| road.passes(it));
        road.pass_by();
        refusal = error.map(|error| Box::new(Refused { error, record })).or(refusal);
        match refusal {
            Some(refusal) if !passes || road.target().is_none() => return Err(refusal),
            _ => rid = gate.aws.new_rid(),
        }
    }
}

impl Refused {
    /// What a cheaper model must hold less than.
    const fn needed(&self) -> Option<Money> {
        match &self.error {
            Error::CallTooCostly { needed, .. } => Some(*needed),
            _ => self.record.hold,
        }
    }
}

/// Plan → rate limits → credential → reserve, at the present model of the road; `None` where its
/// hold is not `below` what was refused already.
async fn hold(
    gate: &Gate,
    road: &mut Road,
    rid: Rid,
    below: Option<Money>,
    record: &mut CallRecord,
) -> Result<Option<(Admitted, Held)>, Error> {
    let (planned, plan) = plan(gate, road, record).await?;
    if below.is_some_and(|below| plan.ask().amount >= below) {
        return Ok(None);
    }
    road.take_places(gate, plan.tokens()).await?;
    let resolved = &planned.resolved;
    let chosen = choose(gate, road, resolved).await?;
    record.credential = Some(chosen.credential.name.clone()).filter(|name| !name.is_empty());
    let (provider, wire) = (resolved.provider, resolved.wire);
    let (credential, now) = (&chosen.credential, gate.aws.now());
    let target = Target { provider, wire, model: &resolved.model.name, credential, now };
    let mut candidate = planned.candidate();
    // Now that it is known where it goes, a dearer place is held for only where it is that.
    candidate.dearer = resolved.dearer_at(credential);
    let is_usual = candidate.dearer == Some(false) && plan.bound.multiplier_us;
    let plan = if is_usual { first_plan(candidate)? } else { plan };
    let of_key = road.key.room_wait_ms;
    let wait = wait(gate, &road.incoming, of_key, candidate.call.stream)?;
    let held = reserve(gate, wait, &target, candidate, plan, rid, record).await;
    let (plan, held) = held?;
    record.rid = held.rid;
    record.hold = Some(held.amount);
    record.parts = held.parts();
    let Planned { call, resolved, price, dropped, .. } = planned;
    let (now, timeouts) = (gate.aws.now(), road.timeouts());
    let left_ms = left_ms(now, &road.incoming, call.stream);
    let left_ms = timeouts.total_ms.map_or(left_ms, |total| left_ms.min(total.into()));
    let admitted = Admitted {
        call,
        price,
        plan,
        chosen,
        resolved,
        started_at: road.incoming.started_at,
        dropped,
        timeouts,
        gives_up_at: now.plus_ms(left_ms),
        content: content::Wanted::of(&road.key, &road.incoming),
    };
    Ok(Some((admitted, held)))
}

/// The credential of the next attempt at a model, ready to be sent. One whose token is refused
/// rests where there is another.
///
/// # Errors
/// Where its owner has none, it cannot be read, or none of its owner's can be opened.
pub async fn choose(gate: &Gate, road: &Road, resolved: &Resolved) -> Result<Chosen, Error> {
    let pepper = gate.directory.pepper().await?;
    let (provider, owner) = (resolved.provider, resolved.owner.as_str());
    loop {
        let of = (owner, road.key.cv);
        let chosen = gate.credentials.choose(of, provider.name, road.tried(), &pepper).await?;
        let Chosen { credential, mark, has_other } = chosen;
        match (open(gate, provider, owner, credential).await, &mark) {
            (Ok(credential), _) => return Ok(Chosen { credential, mark, has_other }),
            (Err(_), Some(mark)) if has_other => gate.credentials.rests(mark, REFUSED_MS).await,
            (Err(error), _) => return Err(error),
        }
    }
}

/// Price → metered or not → bound, of the present model of the road. The record learns on the way
/// what a refusal should tell.
///
/// # Errors
/// Every refusal before a credential is fetched.
pub async fn plan(
    gate: &Gate,
    road: &Road,
    record: &mut CallRecord,
) -> Result<(Planned, Plan), Error> {
    let resolved = road.target().ok_or_else(|| Error::internal("a call that leads nowhere"))?;
    record.provider = Some(resolved.provider.name.to_owned());
    record.model = Some(resolved.model.name.to_string());
    record.credential_owner = Some(resolved.owner.clone());
    record.scopes = resolved.scopes(&road.key);
    let (provider, model) = (resolved.provider.name, &resolved.model.name);
    if road.overrides.is_quarantined(provider, model) && gate.ledger.binds(&record.scopes).await? {
        return Err(Error::PriceQuarantined { model: format!("{provider}/{model}") });
    }
    let price = resolved.model.price.clone().ok_or_else(|| unpriced(resolved, "any token"))?;
    record.price_version = Some(price.version.to_string());
    let max_cost = road.incoming.max_cost(road.key.max_cost)?;
    let metered = (resolved.provider.metered)(&resolved.model.name, &road.call)
        && gate.ledger.meters(&record.scopes).await?;
    let (call, clamp) = (Arc::clone(&road.call), road.key.clamp);
    let dropped = dropping::wishes(&call, resolved);
    let resolved = resolved.clone();
    let mut planned = Planned { call, resolved, price, clamp, max_cost, metered, dropped };
    loop {
        let error = match first_plan(planned.candidate()) {
            Ok(plan) => return Ok((planned, plan)),
            Err(error) => error,
        };
        let Some((call, name)) = dropping::without(&planned.call, &error).filter(|_| road.drops)
        else {
            return Err(told(road.dialect, &planned.call, error));
        };
        planned.call = Arc::new(call);
        planned.dropped.push(name);
    }
}

/// Owns the holds until they end: of one attempt after the other, never of two. It is a task of
/// its own, so a caller who hangs up cannot cancel it; the response ends last, because the
/// environment freezes after it.
async fn carry(
    gate: Arc<Gate>,
    mut road: Road,
    mut begun: Begun,
    (mut reply, claim): (Reply, Option<Claim>),
) {
    let ended = loop {
        // Boxed where futures that borrow meet: see `route`.
        let ended = attempt(&gate, &mut road, begun, &mut reply).boxed().await;
        let Some(pause) = ended.next else { break ended };
        tokio::time::sleep(pause).await;
        let rid = gate.aws.new_rid();
        begun = match admit(&gate, &mut road, rid).boxed().await {
            Ok(next) => next,
            Err(refusal) => {
                // The caller is told how the last attempt failed that was sent.
                let told = ended.exchange.error.clone().unwrap_or(refusal.error);
                refused(&gate, &road.incoming, refusal.record, told).boxed().await;
                break ended;
            }
        };
    };
    let last = reply.close(&ended.exchange, &ended.paid, &ended.rooms);
    let recorded = reply.recorded();
    let is_paid = road.is_paid;
    let ended = idempotency::end(&gate, claim.as_ref(), is_paid, recorded).boxed();
    join(ended, road.give_places_back(&gate, false).boxed()).await;
    reply.finish(last).boxed().await;
}

/// How an attempt ended.
struct Ended {
    exchange: Exchange,
    paid: Paid,
    rooms: Vec<Room>,
    /// How long to wait before another one is made.
    next: Option<Duration>,
}

/// One attempt: call → relay → decide → settle ‖ log.
async fn attempt(gate: &Gate, road: &mut Road, begun: Begun, reply: &mut Reply) -> Ended {
    let Begun { call, mut held, mut record } = begun;
    reply.aim(&call, &held, road.sent().saturating_add(1), &road.allowances());
    let ahead = gate.ledger.draw_ahead(held.shares());
    let exchanged = AssertUnwindSafe(exchange(gate, &call, &mut held, reply));
    let exchanged = exchanged.catch_unwind().boxed();
    let (exchanged, (), ()) =
        join3(exchanged, gate.directory.refresh_prices().boxed(), ahead.boxed()).await;
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
    record.asked = (decided.decision == Decision::Worst).then(|| call.plan.asked());
    let charged = match decided.decision {
        Decision::Settle(cost) => cost,
        Decision::Void => Money::ZERO,
        Decision::Worst => held.amount,
    };
    let is_free = decided.decision == Decision::Void;
    road.is_paid |= !is_free;
    road.used_tokens = road.used_tokens.saturating_add(match &exchange.reported {
        Some(reported) => reported.usage.total_tokens(),
        None if is_free => 0,
        None => call.plan.tokens(),
    });
    road.charged = road.charged.plus(charged).unwrap_or(charged);
    let ours = exchange.bill.as_ref().map(|bill| bill.cost);
    let paid = Paid {
        request_id: road.request_id(),
        provider: call.resolved.provider.name,
        cost: ours.filter(|ours| decided.decision == Decision::Settle(ours.total)),
        charged: road.charged,
        response_time_ms: gate.aws.now().since(call.started_at),
    };
    complete(&mut record, &call, &exchange, &paid, &decided, reply.has_begun());
    record.client_gone = reply.caller_is_gone();
    record.capacity_tenths = record.capacity_tenths.saturating_add(held.capacity_tenths());
    let left_ms = left_ms(gate.aws.now(), &road.incoming, call.call.stream);
    let left_ms = u64::try_from(left_ms).unwrap_or_default();
    let next = match reply.is_open() {
        true => road.after(&exchange, &call.chosen, is_free, gate.aws.chance(), left_ms),
        false => None,
    };
    if next.is_some() {
        // The call's own row is its last attempt's; this one gets one of its own.
        record.parent = Some(road.request_id());
        let is_first = record.rid == road.request_id();
        record.request_id = if is_first { gate.aws.new_rid() } else { record.rid };
        road.note(&record, charged);
    }
    let ended = gate.ledger.end(&mut held, decided.decision).boxed();
    let wanted = call.content.as_ref().filter(|_| next.is_none());
    let said = content::keep(gate, wanted, record.request_id, &record.endpoint, &exchange);
    let rests = async {
        let rest_ms = rest_ms(&exchange);
        if let (Some(mark), Some(rest_ms)) = (&call.chosen.mark, rest_ms) {
            gate.credentials.rests(mark, rest_ms).await;
        }
    };
    join4(ended, gate.log.send(&record).boxed(), said.boxed(), rests.boxed()).await;
    Ended { exchange, paid, rooms: held.rooms(), next }
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
    decided: &Decided,
    has_begun: bool,
) {
    record.outcome = decided.outcome;
    record.decision = Some(decided.decision);
    let served = &exchange.completion.model;
    record.model_served = Some(served.clone()).filter(|served| !served.is_empty());
    record.cost = exchange.bill.as_ref().map(|bill| bill.cost);
    record.lines = exchange.bill.as_ref().map(|bill| bill.lines.clone()).unwrap_or_default();
    record.usage = exchange.reported.as_ref().map(|reported| reported.usage);
    // With the counts these price the call again (`farebox rerate`).
    record.service_tier = exchange.reported.as_ref().and_then(|one| one.service_tier.clone());
    record.us_geography = exchange.reported.as_ref().is_some_and(|one| one.us_geography);
    record.provider_cost = exchange.reported.as_ref().and_then(|reported| reported.cost);
    compare(record);
    record.finish_reason.clone_from(&exchange.finish_reason);
    record.provider_request_id.clone_from(&exchange.provider_request_id);
    record.response_time_ms = paid.response_time_ms;
    record.first_token_ms = exchange.first_token_at.map(|at| at.since(call.started_at));
    record.http_status = 200;
    if let Some(error) = &exchange.error {
        // A stream that had begun keeps its 200; the error travels in it.
        if !has_begun {
            record.http_status = error.row().status;
        }
        if let Some(fault) = error.fault() {
            let (provider, rid) = (paid.provider, record.rid);
            tracing::warn!(metric = "provider_fault", fault = fault.name(), provider, %rid);
        }
        record.error_code = Some(error.row().code.to_owned());
        let told = format!("{error} ({})", error.cause());
        record.error_message = Some(told.chars().take(MESSAGE_CHARS_MAX).collect());
    }
}

/// Sets the provider's own figure beside ours, for whoever keeps the prices.
fn compare(record: &CallRecord) {
    let (rid, ours) = (record.rid, record.cost.map(|cost| cost.total));
    let Some(theirs) = record.provider_cost.filter(|theirs| ours != Some(*theirs)) else { return };
    if record.is_stated() {
        let ours = ours.map_or("not known".to_owned(), |ours| ours.to_string());
        tracing::error!(metric = "provider_cost_differs", %rid, %theirs, %ours, "check the price");
    } else if theirs > STATED_MAX {
        tracing::error!(metric = "provider_cost_absurd", %rid, %theirs, "taken for no statement");
    }
}
