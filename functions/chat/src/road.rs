//! The road of a call: the models that it may go to, and when it goes from one to another.

use std::sync::Arc;
use std::time::Duration;

use farebox_aws::{Chosen, KeyItem, Overrides, Places};
use farebox_core::{
    Allowance, CallRecord, ChatCall, Earlier, Error, Money, OnBudgetRefusal, Rid, Route, Timeouts,
};

use crate::dialect::Dialect;
use crate::dropping;
use crate::gate::Gate;
use crate::incoming::Incoming;
use crate::relay::Exchange;
use crate::resolve::{Resolved, resolve};

/// The most attempts of one call, whatever its route says.
const ATTEMPTS_MAX: usize = 8;
/// The first pause before a provider that could not be reached is tried again; it doubles.
const PAUSE_MS: u64 = 200;
/// What is added at most to a `Retry-After`, so that those who were told it do not come at once.
const SPREAD_MS: u64 = 250;
/// How long a credential that a provider refused is not used where there is another.
pub const REFUSED_MS: i64 = 300_000;
/// The same of one that has no room, where the provider does not say.
const BUSY_MS: i64 = 30_000;
/// Less than this is no time for an attempt.
pub const ATTEMPT_MS_MIN: u64 = 1_000;

/// A call that was read, and what all of its attempts share.
pub struct Road {
    /// The request.
    pub incoming: Arc<Incoming>,
    /// In whose words it is answered.
    pub dialect: &'static dyn Dialect,
    /// Whose it is.
    pub key: Arc<KeyItem>,
    /// What it asks.
    pub call: Arc<ChatCall>,
    /// The owner's prices, the same for all attempts.
    pub overrides: Arc<Overrides>,
    /// What is known of an attempt before it is made.
    pub draft: CallRecord,
    /// What its attempts so far were charged.
    pub charged: Money,
    /// An attempt was charged, or may have been.
    pub is_paid: bool,
    /// Options that a provider cannot do are left out instead of refused.
    pub drops: bool,
    /// The tokens that its attempts used, or may have used.
    pub used_tokens: u64,
    /// Its places in its key's rate limits, from its first attempt on.
    places: Option<Places>,
    targets: Vec<Resolved>,
    steps: Steps,
    /// The names of the credentials that failed at the present target.
    tried: Vec<String>,
}

/// Where a call is on its road.
#[derive(Clone, Debug, Default)]
struct Steps {
    route: Route,
    /// Its targets.
    count: usize,
    /// The present one.
    at: usize,
    /// How often that was tried again.
    retried: u32,
}

/// How an attempt failed, where another one may do better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The provider did not answer, or not as it should.
    Unavailable,
    /// It has no room for the call now.
    Busy,
    /// It refused the stored credential, or that credential's account has no money.
    Credential,
    /// It does not let that account make this call; another call it may.
    Account,
}

impl Road {
    /// Parse → resolve. The record learns on the way what a refusal should tell.
    ///
    /// # Errors
    /// Every refusal of the call as such.
    pub async fn read(
        gate: &Gate,
        incoming: &Arc<Incoming>,
        dialect: &'static dyn Dialect,
        key: &Arc<KeyItem>,
        record: &mut CallRecord,
    ) -> Result<Self, Error> {
        record.labels.extend(incoming.labels()?);
        let call = dialect.parse(incoming)?;
        record.labels.extend(call.labels());
        record.stream = call.stream;
        let overrides = gate.directory.prices().await?;
        let (route, targets) =
            resolve(&call, key, &overrides.at(gate.aws.now()), || gate.aws.chance())?;
        Ok(Self {
            incoming: Arc::clone(incoming),
            dialect,
            key: Arc::clone(key),
            call: Arc::new(call),
            overrides,
            draft: record.clone(),
            charged: Money::ZERO,
            is_paid: false,
            drops: dropping::is_wanted(incoming)?.unwrap_or(key.drop_params),
            used_tokens: 0,
            places: None,
            steps: Steps { route, count: targets.len(), ..Steps::default() },
            targets,
            tried: Vec::new(),
        })
    }

    /// The model that is to be tried now; `None` at the end of the road.
    #[must_use]
    pub fn target(&self) -> Option<&Resolved> {
        self.targets.get(self.steps.at)
    }

    /// Attempts that were sent before the one that is under way.
    #[must_use]
    pub const fn sent(&self) -> usize {
        self.draft.earlier.len()
    }

    /// Leaves the present target, before anything was sent to it.
    pub fn pass_by(&mut self) {
        self.steps.pass_by();
        self.tried.clear();
    }

    /// The names of the credentials that failed at the present target.
    #[must_use]
    pub fn tried(&self) -> &[String] {
        &self.tried
    }

    /// Whether another target may be tried where this one was refused before it was called.
    #[must_use]
    pub fn passes(&self, error: &Error) -> bool {
        match error {
            // A token that cannot be had fails before anything is held.
            Error::PriceQuarantined { .. }
            | Error::NoActiveCredential { .. }
            | Error::CredentialRejected { .. }
            | Error::ProviderUnavailable { .. } => true,
            Error::BudgetExceeded { .. }
            | Error::BudgetContention { .. }
            | Error::CallTooCostly { .. } => {
                self.steps.route.on_budget_refusal == OnBudgetRefusal::Next
            }
            _ => false,
        }
    }

    /// After an attempt: how long to wait before the next; `None` where its end is the call's.
    /// `is_free` says that it is charged nothing, `draw` is a random number, `left_ms` what the
    /// provider may still take.
    pub fn after(
        &mut self,
        exchange: &Exchange,
        chosen: &Chosen,
        is_free: bool,
        draw: u64,
        left_ms: u64,
    ) -> Option<Duration> {
        let failure = Failure::of(exchange.error.as_ref()?)?;
        let is_last = self.sent().saturating_add(1) >= ATTEMPTS_MAX;
        let left_ms = left_ms.checked_sub(ATTEMPT_MS_MIN).filter(|_| !is_last)?;
        if is_free && chosen.has_other && failure != Failure::Unavailable {
            // Another credential of the same provider, at once: the caller has chosen the model.
            self.tried.push(chosen.credential.name.clone());
            return Some(Duration::ZERO);
        }
        let asked = exchange.asked_ms;
        let at = self.steps.at;
        let pause = self.steps.after(failure, asked, is_free, draw, left_ms)?;
        if self.steps.at != at {
            self.tried.clear();
        }
        Some(Duration::from_millis(pause))
    }

    /// Takes in how an attempt ended that another one follows.
    pub fn note(&mut self, record: &CallRecord, charged: Money) {
        let [provider, model] =
            [&record.provider, &record.model].map(|name| name.as_deref().unwrap_or_default());
        self.draft.earlier.push(Earlier {
            id: record.request_id,
            model: format!("{provider}/{model}"),
            outcome: record.outcome,
            charged,
            error_code: record.error_code.clone(),
        });
    }

    /// Takes the call's places in its key's rate limits, where there are any, once for all its
    /// attempts.
    ///
    /// # Errors
    /// 429 where a limit has none; 503 where that cannot be known.
    pub async fn take_places(&mut self, gate: &Gate, tokens: u64) -> Result<(), Error> {
        if self.places.is_none() && !self.key.rates.is_empty() {
            let (id, ends_at) = (self.request_id(), self.incoming.ends_at);
            let taken = gate.rates.take(&self.key.rates, id, tokens, ends_at);
            self.places = Some(taken.await?);
        }
        Ok(())
    }

    /// Gives them back. A call of which nothing was sent never was a request.
    pub async fn give_places_back(&mut self, gate: &Gate, is_refused: bool) {
        if let Some(places) = self.places.take() {
            let used = (!is_refused).then_some(self.used_tokens);
            gate.rates.give_back(places, used).await;
        }
    }

    /// What is left of the key's rate limits.
    #[must_use]
    pub fn allowances(&self) -> Vec<Allowance> {
        self.places.as_ref().map(Places::allowances).unwrap_or_default()
    }

    /// How long each attempt may take: as the route says, else as the key does.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.steps.route.timeouts.or(self.key.timeouts)
    }

    /// The identity of the call.
    #[must_use]
    pub fn request_id(&self) -> Rid {
        self.incoming.request_id
    }
}

impl Steps {
    const fn pass_by(&mut self) {
        self.at = self.at.saturating_add(1);
        self.retried = 0;
    }

    /// The pause in ms before the next attempt, at the present target or at the one after it.
    fn after(
        &mut self,
        failure: Failure,
        asked_ms: Option<u64>,
        is_free: bool,
        draw: u64,
        left_ms: u64,
    ) -> Option<u64> {
        if !(is_free || self.route.after_charge) {
            return None;
        }
        let pause = self.pause_ms(failure, asked_ms, draw);
        if let Some(pause) = pause.filter(|pause| *pause <= left_ms) {
            self.retried = self.retried.saturating_add(1);
            return Some(pause);
        }
        self.pass_by();
        (self.at < self.count).then_some(0)
    }

    /// The pause before the same target is tried again; `None` where it is not.
    fn pause_ms(&self, failure: Failure, asked_ms: Option<u64>, draw: u64) -> Option<u64> {
        if self.retried >= self.route.retries {
            return None;
        }
        let within = |most: u64| draw.checked_rem(most.saturating_add(1)).unwrap_or_default();
        match failure {
            Failure::Credential | Failure::Account => None,
            Failure::Busy => {
                let asked = asked_ms.filter(|asked| *asked <= self.route.patience_ms())?;
                Some(asked.saturating_add(within(SPREAD_MS)))
            }
            Failure::Unavailable => {
                let most = PAUSE_MS.checked_shl(self.retried).unwrap_or(PAUSE_MS);
                Some((most / 2).saturating_add(within(most / 2)))
            }
        }
    }
}

impl Failure {
    /// What is the caller's own fault, or Farebox's, fails the same everywhere.
    const fn of(error: &Error) -> Option<Self> {
        match error {
            Error::ProviderUnavailable { .. } | Error::ProviderTimeout { .. } => {
                Some(Self::Unavailable)
            }
            Error::ProviderRefused { status: 429, .. } => Some(Self::Busy),
            Error::CredentialRejected { .. } | Error::ProviderRefused { status: 402, .. } => {
                Some(Self::Credential)
            }
            Error::AccountRefused { .. } => Some(Self::Account),
            _ => None,
        }
    }
}

/// How long the credential of a failed attempt is to rest, in ms; `None` where it is not its fault.
#[must_use]
pub fn rest_ms(exchange: &Exchange) -> Option<i64> {
    match Failure::of(exchange.error.as_ref()?)? {
        Failure::Unavailable | Failure::Account => None,
        Failure::Credential => Some(REFUSED_MS),
        Failure::Busy => {
            let asked = exchange.asked_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
            Some(asked.unwrap_or(BUSY_MS).min(REFUSED_MS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A road of two targets.
    fn steps(route: Route) -> Steps {
        Steps { route, count: 2, ..Steps::default() }
    }

    #[test]
    fn a_free_failure_leads_on_and_a_charged_one_only_where_the_route_says_so() {
        for failure in [Failure::Unavailable, Failure::Busy, Failure::Credential, Failure::Account]
        {
            let mut free = steps(Route::default());
            assert_eq!(free.after(failure, None, true, 0, 9_000), Some(0), "{failure:?}");
            assert_eq!(free.after(failure, None, true, 0, 9_000), None, "the end of the road");
            assert_eq!(steps(Route::default()).after(failure, None, false, 0, 9_000), None);
            let route = Route { after_charge: true, ..Route::default() };
            assert_eq!(steps(route).after(failure, None, false, 0, 9_000), Some(0));
        }
    }

    #[test]
    fn a_busy_provider_is_tried_again_not_before_it_said_and_not_beyond_the_patience() {
        let busy = |asked: Option<u64>, left_ms| {
            let mut steps = steps(Route { retries: 1, ..Route::default() });
            let pause = steps.after(Failure::Busy, asked, true, u64::MAX, left_ms);
            (pause.unwrap(), steps.at)
        };

        let (pause, at) = busy(Some(2_000), 9_000);
        assert!((2_000..=2_250).contains(&pause) && at == 0, "{pause} {at}");
        assert_eq!(busy(Some(2_001), 9_000), (0, 1), "beyond the patience");
        assert_eq!(busy(Some(2_000), 1_999), (0, 1), "no time is left for it");
        assert_eq!(busy(None, 9_000), (0, 1), "it does not say when");
    }

    #[test]
    fn pauses_double_within_their_bounds_and_end() {
        for draw in [0, 7, u64::MAX] {
            let mut steps = steps(Route { retries: 3, ..Route::default() });
            let mut next = || steps.after(Failure::Unavailable, None, true, draw, 9_000).unwrap();
            let pauses = [next(), next(), next(), next()];

            for (pause, most) in pauses.iter().zip([200, 400, 800]) {
                assert!((most / 2..=most).contains(pause), "{pauses:?}");
            }
            assert_eq!((pauses[3], steps.at, steps.retried), (0, 1, 0), "the next target");
        }
    }

    #[test]
    fn a_refused_credential_is_not_sent_again() {
        let mut steps = steps(Route { retries: 3, ..Route::default() });

        assert_eq!(steps.after(Failure::Credential, None, true, 0, 9_000), Some(0));
        assert_eq!(steps.at, 1);
    }

    #[test]
    fn only_what_another_attempt_may_do_better_is_tried_again() {
        let refused = |status| Error::ProviderRefused {
            status,
            message: String::new(),
            cause: String::new(),
        };
        assert_eq!(Failure::of(&refused(429)), Some(Failure::Busy));
        assert_eq!(Failure::of(&refused(402)), Some(Failure::Credential));
        for status in [400, 403, 404, 413, 422] {
            assert_eq!(Failure::of(&refused(status)), None, "{status}");
        }
        assert_eq!(Failure::of(&Error::internal("panic")), None);
    }

    #[test]
    fn a_credential_rests_as_long_as_it_is_asked_and_five_minutes_at_most() {
        let rest = |status, asked_ms| {
            let error =
                Error::ProviderRefused { status, message: String::new(), cause: String::new() };
            rest_ms(&Exchange { error: Some(error), asked_ms, ..Exchange::default() })
        };
        for (asked, rests) in [
            (Some(40_000), 40_000),
            (None, BUSY_MS),
            (Some(300_001), REFUSED_MS),
            (Some(3_600_000), REFUSED_MS),
            (Some(u64::MAX), REFUSED_MS),
        ] {
            assert_eq!(rest(429, asked), Some(rests), "{asked:?}");
        }
        assert_eq!(rest(402, None), Some(REFUSED_MS));
        assert_eq!(rest(403, Some(40_000)), None);
        let account = Error::AccountRefused { account: String::new(), message: String::new() };
        assert_eq!(rest_ms(&Exchange { error: Some(account), ..Exchange::default() }), None);
    }
}
