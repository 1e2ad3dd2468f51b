//! Reserve (money.md 3.1): hold an amount in one scope, or say exactly why not.

use farebox_core::{Day, Money, Rid, Timestamp};

use super::{
    Answer, Cause, Pace, RESERVE_TOTAL_MS, RESERVE_WINDOW_MS, STALE_MAX, Step, still_open,
};
use crate::budget::{Budget, Counter, Hold, Mode, Period, Terms};
use crate::item::Item;
use crate::scope::Owner;
use crate::update::{self, HOLDS_MAX};

/// The machine of one reserve.
#[derive(Clone, Debug)]
pub struct Reserve {
    owner: Owner,
    rid: Rid,
    terms: Terms,
    hold: Hold,
    is_fresh: bool,
    ambiguous: bool,
    stale: u32,
    pace: Pace,
    done: Option<Admission>,
}

/// How a reserve ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The answer.
    pub admission: Admission,
    /// The hold that stands, or that may yet stand where the call is `ambiguous`.
    pub hold: Hold,
    /// An attempt had no definite answer. For ever: the ending leaves a fence, and a call that
    /// is not admitted is voided and fenced all the same.
    pub ambiguous: bool,
    /// The terms as the item has them, where the given ones were found to be old.
    pub fresh: Option<Terms>,
}

/// Whether a scope lets a call go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The amount is held.
    Held,
    /// Admitted without a hold (3.9): the logger posts the charge on this day.
    Unheld {
        /// The local day that the call belongs to.
        day: Day,
    },
    /// Refused.
    Refused(Box<Refusal>),
    /// The period is closed: begin again under a new rid, once.
    Restart,
    /// Nothing can be said: fail closed.
    Unavailable(Cause),
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule.
    pub why: Why,
    /// The amount that the call needed.
    pub needed: Money,
    /// The item that refused, where it was read.
    pub budget: Option<Budget>,
}

/// The rule that refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The money is spent: settled and this call are above the limit (402).
    Exceeded(Shortfall),
    /// Open holds stand in the way (429): `settled + a ≤ limit < committed + a`.
    Contention(Shortfall),
    /// As many holds are open as a budget may have (429).
    TooManyHolds,
    /// The budget is closed.
    Closed,
    /// Another channel ended this rid already.
    Fenced,
}

/// A period without room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Which period.
    pub period: Period,
    /// Its limit.
    pub limit: Money,
    /// What it has cost.
    pub counter: Counter,
}

impl Refusal {
    /// Whether waiting may help (4.1-7).
    #[must_use]
    pub const fn is_contention(&self) -> bool {
        self.why.is_contention()
    }
}

impl Why {
    /// Whether waiting may help (4.1-7).
    #[must_use]
    pub const fn is_contention(&self) -> bool {
        matches!(self, Self::Contention(_) | Self::TooManyHolds)
    }
}

/// What refuses `amount` on a day by the counters of a budget; `None` where nothing does.
pub(crate) fn refusing(budget: &Budget, day: Day, amount: Money) -> Option<Why> {
    let settings = &budget.terms.settings;
    if settings.mode == Mode::Observe || budget.terms.is_unlimited() {
        return None;
    }
    let short = |counted: fn(&Counter) -> Money| {
        let mut periods = Period::of(day).into_iter();
        periods.find_map(|period| {
            let (counter, limit) = (budget.counter(period), budget.terms.limit(period)?);
            let is_short = counted(&counter).pico() > settings.mode.room(limit, amount);
            is_short.then_some(Shortfall { period, limit, counter })
        })
    };
    // Money that is spent does not come back, so it is named before what waiting cures.
    if let Some(spent) = short(Counter::settled) {
        return Some(Why::Exceeded(spent));
    }
    if budget.open >= HOLDS_MAX {
        return Some(Why::TooManyHolds);
    }
    short(|counter| counter.committed).map(Why::Contention)
}

impl Reserve {
    /// A reserve of `amount` (at least one pico-USD) under the cached `terms`. The call is over
    /// `deadline_s` after the rid's time.
    #[must_use]
    pub fn new(
        owner: Owner,
        rid: Rid,
        amount: Money,
        terms: Terms,
        now: Timestamp,
        deadline_s: u32,
    ) -> Self {
        let day = terms.settings.zone.day(now);
        let hold = Hold { amount: amount.max(Money::ONE_PICO), day, deadline_s };
        Self {
            owner,
            rid,
            terms,
            hold,
            is_fresh: false,
            ambiguous: false,
            stale: 0,
            pace: Pace::new(now, RESERVE_TOTAL_MS),
            done: None,
        }
    }

    /// The same with so much time for all its attempts: W2's is that of DynamoDB itself.
    #[must_use]
    pub const fn within(mut self, total_ms: i64) -> Self {
        self.pace.total_ms = total_ms;
        self
    }

    /// What to do next. `now` is the wall clock, read before the request is signed (W3).
    pub fn step(&mut self, now: Timestamp) -> Step<Reserved> {
        if self.done.is_none() {
            if let Some(ms) = self.pace.pause_ms.take() {
                return Step::Pause { ms };
            }
            self.done = self.barred(now);
        }
        match &self.done {
            None => {
                let write = update::reserve(&self.owner, self.rid, &self.hold, &self.terms);
                Step::Send(write)
            }
            Some(admission) => Step::Done(Reserved {
                admission: admission.clone(),
                hold: self.hold,
                ambiguous: self.ambiguous,
                fresh: self.is_fresh.then(|| self.terms.clone()),
            }),
        }
    }

    /// Takes the answer to the last [`Step::Send`].
    pub fn observe(&mut self, answer: Answer, now: Timestamp, jitter: u64) {
        match answer {
            Answer::Applied => self.done = Some(Admission::Held),
            Answer::ConditionFailed(item) => {
                self.done = self
                    .read_failure(item, now)
                    .unwrap_or_else(|cause| Some(Admission::Unavailable(cause)));
            }
            Answer::Throttled => self.pace.inconclusive(Cause::Throttled, jitter),
            Answer::Ambiguous => {
                self.ambiguous = true;
                self.pace.inconclusive(Cause::NoAnswer, jitter);
            }
            Answer::Rejected(text) => {
                self.done = Some(Admission::Unavailable(Cause::Rejected(text)));
            }
            Answer::Cancelled(_) => self.done = Some(Admission::Unavailable(Cause::Unexplained)),
        }
    }

    /// What forbids a further attempt.
    fn barred(&self, now: Timestamp) -> Option<Admission> {
        if self.terms.settings.mode == Mode::Closed {
            return Some(self.refused(Why::Closed, None));
        }
        if self.terms.is_closed(self.hold.day) {
            return Some(Admission::Restart);
        }
        if now.since(self.rid.made_at()) > RESERVE_WINDOW_MS {
            return Some(Admission::Unavailable(Cause::TooLate));
        }
        if self.stale > STALE_MAX {
            return Some(Admission::Unavailable(Cause::Stale));
        }
        self.pace.spent(now).map(Admission::Unavailable)
    }

    /// Reads a failed condition in the order of 3.1; `None` is one more attempt.
    fn read_failure(
        &mut self,
        item: Option<Item>,
        now: Timestamp,
    ) -> Result<Option<Admission>, Cause> {
        let item = item.ok_or(Cause::NoBudget)?;
        match still_open(&item, self.rid)? {
            Some(hold) if hold == self.hold => return Ok(Some(Admission::Held)),
            Some(_) => return Err(Cause::HoldConflict),
            None => {}
        }
        if item.contains_key(&format!("x_{}", self.rid)) {
            return Ok(Some(self.refused(Why::Fenced, None)));
        }
        let terms = Terms::parse(&item)?;
        // An allowance grows without a new epoch: a smaller one is safe to act on.
        if terms.epoch != self.terms.epoch || terms.allowances != self.terms.allowances {
            self.follow(terms, now);
            return Ok(None);
        }
        let budget = Budget::parse(&item)?;
        self.weigh(budget).map(Some)
    }

    /// Takes over the item's terms. Where the epoch is new, no earlier attempt can land any more:
    /// it never comes back. So the day may follow a new zone.
    fn follow(&mut self, terms: Terms, now: Timestamp) {
        if terms.epoch != self.terms.epoch {
            self.hold.day = terms.settings.zone.day(now);
        }
        self.terms = terms;
        self.is_fresh = true;
        self.stale = self.stale.saturating_add(1);
    }

    fn weigh(&self, budget: Budget) -> Result<Admission, Cause> {
        let day = self.hold.day;
        if let Some(why) = refusing(&budget, day, self.hold.amount) {
            return Ok(self.refused(why, Some(budget)));
        }
        let is_observed = budget.terms.settings.mode == Mode::Observe;
        let is_counted_only = is_observed || budget.terms.is_unlimited();
        if is_counted_only && budget.open >= HOLDS_MAX {
            return Ok(Admission::Unheld { day });
        }
        Err(Cause::Unexplained)
    }

    fn refused(&self, why: Why, budget: Option<Budget>) -> Admission {
        Admission::Refused(Box::new(Refusal { why, needed: self.hold.amount, budget }))
    }
}
