//! What a call will send, and the most that it can cost.

use std::sync::Arc;

use farebox_aws::Ask;
use farebox_core::pricing::{Bound, Price, PricingError};
use farebox_core::{Asked, ChatCall, Clamp, Error, Money};
use farebox_providers::Outbound;

use crate::resolve::Resolved;

/// A cap lowered to what the room affords is not lowered below this: a shorter answer is of
/// no use to most callers, and they would pay for it.
const USEFUL_TOKENS_MIN: u64 = 256;

/// Completion tokens that a metered call holds at first (money.md 6: the floor; how long a
/// user's answers usually are is not kept).
pub const FIRST_TOKENS: u64 = 1_000;

/// What a metered choice holds beside, for the tokens that its provider generates between the last
/// byte that was read and the end of its connection: more than a second of the fastest models'.
/// No page states it.
const BEYOND_TOKENS: u64 = 256;

/// The same of all choices.
#[must_use]
pub const fn beyond(choices: u64) -> u64 {
    BEYOND_TOKENS.saturating_mul(choices)
}

/// A shorter prompt costs little beside its answer.
const WORTH_COUNTING: u64 = 1_000;
/// More bytes a token than text has on the whole.
const BYTES_A_TOKEN_MAX: u64 = 8;

/// What will be sent, and the most that it can cost.
#[derive(Clone)]
pub struct Plan {
    /// The exact bytes.
    pub outbound: Outbound,
    /// Upper bounds of what the provider can count.
    pub bound: Bound,
    /// The worst case.
    pub hold: Money,
    /// What is held at first where the stream is metered; else the worst case is.
    pub metered: Option<Money>,
    /// The cap is lower than what the caller sent, or than the model's maximum where it sent
    /// none.
    pub clamped: bool,
}

/// The call as it is tried: what a plan is made of.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// The call.
    pub call: &'a ChatCall,
    /// Provider, model and whose credential.
    pub resolved: &'a Resolved,
    /// The model's prices.
    pub price: &'a Price,
    /// When its cap may be lowered.
    pub clamp: Clamp,
    /// The most that it may cost, by its key or by itself.
    pub max_cost: Option<Money>,
    /// Its budgets and its model let it be metered.
    pub metered: bool,
    /// The most prompt tokens, where the provider has counted them.
    pub counted: Option<u64>,
    /// Whether the place where it is called makes it dearer, where that is known.
    pub dearer: Option<bool>,
}

/// A call that is read, resolved, priced and bounded.
pub struct Planned {
    /// The call.
    pub call: Arc<ChatCall>,
    /// Provider, model and whose credential.
    pub resolved: Resolved,
    /// Its prices, fixed for this call.
    pub price: Price,
    /// When its cap may be lowered.
    pub clamp: Clamp,
    /// The most that it may cost, by its key or by itself.
    pub max_cost: Option<Money>,
    /// Its budgets and its model let it be metered.
    pub metered: bool,
    /// Options that the provider cannot do, left out of it.
    pub dropped: Vec<&'static str>,
}

impl Plan {
    /// What the log keeps of it where nobody knows what was used.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked {
            service_tier: self.bound.service_tier.clone(),
            us_geography: self.bound.multiplier_us,
            web_searches: self.bound.web_searches,
            fee: self.bound.fee,
        }
    }

    /// What is held before the provider is called.
    #[must_use]
    pub fn ask(&self) -> Ask {
        match self.metered {
            Some(amount) => Ask { amount, is_metered: true },
            None => Ask::worst(self.hold),
        }
    }

    /// The same call with a metered hold that is as small as is useful, where it is larger and
    /// the smaller one fits into `room`: what is sent stays as it is.
    #[must_use]
    pub fn shrunk(&self, price: &Price, room: Option<Money>) -> Option<Self> {
        let useful = USEFUL_TOKENS_MIN.saturating_add(beyond(self.outbound.choices));
        let bound = Bound { completion_tokens: useful, ..self.bound.clone() };
        let least = price.hold(&bound).ok()?;
        let shrinks = self.metered? > least && room.is_none_or(|room| least <= room);
        shrinks.then(|| Self { metered: Some(least), ..self.clone() })
    }

    /// The smallest hold that is of use to the same call, where that is smaller and at most
    /// `unspent`: metered, else with a cap lowered to the shortest useful answer.
    #[must_use]
    pub fn smallest(&self, candidate: Candidate<'_>, unspent: Money) -> Option<Self> {
        let metered = self.shrunk(candidate.price, Some(unspent));
        metered.or_else(|| lower_to(candidate, self, USEFUL_TOKENS_MIN, unspent))
    }

    /// The most tokens that it can use.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.bound.prompt_tokens.saturating_add(self.bound.completion_tokens)
    }

    /// Whether the provider is asked for a stream.
    #[must_use]
    pub const fn is_streamed(&self, call: &ChatCall) -> bool {
        call.stream || self.metered.is_some()
    }
}

impl Planned {
    /// What plans are made of.
    #[must_use]
    pub fn candidate(&self) -> Candidate<'_> {
        let Self { call, resolved, price, clamp, max_cost, metered, .. } = self;
        let (clamp, max_cost, metered) = (*clamp, *max_cost, *metered);
        let (counted, dearer) = (None, None);
        Candidate { call, resolved, price, clamp, max_cost, metered, counted, dearer }
    }
}

/// The plan at the caller's cap, else at the model's maximum, within what is allowed for one
/// call.
///
/// # Errors
/// A request that the wire format cannot carry, a model without a price or without any bound, and
/// a call that costs more than is allowed.
pub fn first_plan(candidate: Candidate<'_>) -> Result<Plan, Error> {
    let Candidate { call, resolved, max_cost, .. } = candidate;
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
    let plan = plan_at(candidate, cap, call.cap.is_some_and(|asked| cap < asked))?;
    match max_cost {
        Some(limit) if plan.hold > limit => {
            let needed = plan.hold;
            lower(candidate, &plan, limit).ok_or(Error::CallTooCostly { limit, needed })
        }
        _ => Ok(plan),
    }
}

/// The same call at a lower cap that fits into `room`, where the key lets it be lowered.
#[must_use]
pub fn lower(candidate: Candidate<'_>, plan: &Plan, room: Money) -> Option<Plan> {
    let tokens = candidate.price.completion_bound_within(&plan.bound, room)?;
    lower_to(candidate, plan, tokens.checked_div(candidate.call.choices)?, room)
}

fn lower_to(candidate: Candidate<'_>, plan: &Plan, cap: u64, room: Money) -> Option<Plan> {
    if !candidate.clamp.may_lower(candidate.call.cap.is_some()) {
        return None;
    }
    let cap = cap.min(plan.outbound.cap);
    // The body carries the cap, so a shorter number makes it a few bytes shorter: never longer.
    let lowered = plan_at(candidate, Some(cap).filter(|cap| *cap >= USEFUL_TOKENS_MIN)?, true);
    lowered.ok().filter(|lowered| lowered.hold <= room)
}

/// The same call with its prompt counted, where that makes its hold smaller.
#[must_use]
pub fn tightened(candidate: Candidate<'_>, plan: &Plan) -> Option<Plan> {
    let tighter = plan_at(candidate, plan.outbound.cap, plan.clamped).ok()?;
    (tighter.hold < plan.hold).then_some(tighter)
}

/// Whether a count could make a call fit into `room`: with no text of more than eight bytes a
/// token, whatever its documents come to, and the shortest useful answer.
#[must_use]
pub fn may_fit(candidate: Candidate<'_>, plan: &Plan, room: Option<Money>) -> bool {
    let cap = match candidate.clamp.may_lower(candidate.call.cap.is_some()) {
        true => USEFUL_TOKENS_MIN.min(plan.bound.completion_tokens),
        false => plan.bound.completion_tokens,
    };
    let prompt_tokens = match plan.outbound.bound.media {
        true => 0,
        false => plan.bound.prompt_tokens / BYTES_A_TOKEN_MAX,
    };
    let least = Bound { prompt_tokens, completion_tokens: cap, ..plan.bound.clone() };
    let fits = |room| candidate.price.hold(&least).is_ok_and(|least| least <= room);
    plan.bound.prompt_tokens >= WORTH_COUNTING && room.is_none_or(fits)
}

fn plan_at(candidate: Candidate<'_>, cap: u64, clamped: bool) -> Result<Plan, Error> {
    let Candidate { call, resolved, price, .. } = candidate;
    let facts = resolved.facts();
    resolved.provider.tier(call)?;
    let wire = resolved.wire;
    if !wire.takes(call.format) {
        call.translatable()?;
    }
    // A stream's bytes bound the tokens of text, not of audio.
    let may_meter = candidate.metered && !call.audio_answer;
    let first = FIRST_TOKENS.saturating_add(beyond(call.choices));
    let is_metered = may_meter && cap.saturating_mul(call.choices) > first;
    let is_streamed = call.stream || is_metered;
    let outbound = wire.request(resolved.provider, call, &facts, cap, is_streamed)?;
    if is_metered && outbound.bound.grows {
        // What a tool of the provider's is asked, no stream shows.
        return plan_at(Candidate { metered: false, ..candidate }, cap, clamped);
    }
    let fee = wire.refusal_fee().plus(outbound.bound.fee);
    let fee = fee.ok_or_else(|| Error::malformed("max_tool_calls", "is beyond every fee"))?;
    let bound = bound_of(&outbound, candidate.counted)?;
    let multiplier_us = bound.multiplier_us && candidate.dearer != Some(false);
    let bound = Bound { fee, multiplier_us, ..bound };
    let hold_of = |bound: &Bound| price.hold(bound).map_err(|fault| priced(resolved, &fault));
    let hold = hold_of(&bound)?;
    let first = Bound { completion_tokens: first, ..bound.clone() };
    let metered = if is_metered { Some(hold_of(&first)?) } else { None };
    Ok(Plan { outbound, bound, hold, metered, clamped })
}

fn bound_of(outbound: &Outbound, counted: Option<u64>) -> Result<Bound, Error> {
    let completion_tokens = outbound.cap.checked_mul(outbound.choices);
    Ok(Bound {
        prompt_tokens: counted.unwrap_or(u64::MAX).min(outbound.bound.prompt_tokens),
        completion_tokens: completion_tokens
            .ok_or_else(|| Error::malformed("n", "times the cap is beyond every number"))?,
        cache_write: outbound.bound.cache_write,
        audio_prompt: outbound.bound.audio,
        audio_completion: outbound.bound.audio_answer,
        web_searches: outbound.bound.web_searches,
        service_tier: outbound.bound.service_tier.map(str::to_owned),
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

/// The model has no price for a class of tokens.
#[must_use]
pub fn unpriced(resolved: &Resolved, class: &str) -> Error {
    Error::UnpricedModel {
        model: format!("{}/{}", resolved.provider.name, resolved.model.name),
        class: class.to_owned(),
    }
}
