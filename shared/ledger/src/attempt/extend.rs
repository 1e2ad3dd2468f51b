//! Extend (money.md 3.1a): more of the budget for a call whose metered stream nears its hold.

use farebox_core::{Money, Rid, Timestamp};

use super::{Answer, Cause, EXTEND_TOTAL_MS, Pace, STALE_MAX, Step, still_open};
use crate::budget::{Hold, Mode, Terms};
use crate::item::Item;
use crate::scope::Owner;
use crate::update;

/// The machine of one extension in one scope: a compare-and-swap on the hold itself.
///
/// It needs no fence and no window of time. An attempt that lands late finds another hold, or
/// none; one that lands before the ending is found by it, because every channel compares and
/// subtracts the value that stands in the item.
#[derive(Clone, Debug)]
pub struct Extend {
    owner: Owner,
    rid: Rid,
    terms: Terms,
    hold: Hold,
    amount: Money,
    is_fresh: bool,
    stale: u32,
    pace: Pace,
    done: Option<Extension>,
}

/// How an extension ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extended {
    /// The answer.
    pub extension: Extension,
    /// The hold as the store confirmed it last: nothing above it may be used.
    pub hold: Hold,
    /// The terms as the item has them, where the given ones were found to be old.
    pub fresh: Option<Terms>,
}

/// Whether more is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// At least the amount asked for is held.
    Granted,
    /// The budget has no room, or was closed.
    Refused,
    /// The hold is gone: it was swept, or another channel ended the call.
    Gone,
    /// Nothing can be said: what was confirmed before still stands.
    Unavailable(Cause),
}

impl Extend {
    /// Extends a confirmed `hold` to `amount` in all. An amount only grows within a rid, so one
    /// that is not larger is granted without a write.
    #[must_use]
    pub fn new(
        owner: Owner,
        rid: Rid,
        hold: Hold,
        amount: Money,
        terms: Terms,
        now: Timestamp,
    ) -> Self {
        let pace = Pace::new(now, EXTEND_TOTAL_MS);
        let done = (amount <= hold.amount).then_some(Extension::Granted);
        Self { owner, rid, terms, hold, amount, is_fresh: false, stale: 0, pace, done }
    }

    /// The same with so much time for all its attempts: W2's is that of DynamoDB itself.
    #[must_use]
    pub const fn within(mut self, total_ms: i64) -> Self {
        self.pace.total_ms = total_ms;
        self
    }

    /// What to do next.
    pub fn step(&mut self, now: Timestamp) -> Step<Extended> {
        if self.done.is_none() {
            if let Some(ms) = self.pace.pause_ms.take() {
                return Step::Pause { ms };
            }
            self.done = self.barred(now);
        }
        match &self.done {
            None => {
                let Self { owner, rid, hold, amount, terms, .. } = self;
                Step::Send(update::extend(owner, *rid, hold, *amount, terms))
            }
            Some(extension) => Step::Done(Extended {
                extension: extension.clone(),
                hold: self.hold,
                fresh: self.is_fresh.then(|| self.terms.clone()),
            }),
        }
    }

    /// Takes the answer to the last [`Step::Send`].
    pub fn observe(&mut self, answer: Answer, jitter: u64) {
        match answer {
            Answer::Applied => {
                self.hold.amount = self.amount;
                self.done = Some(Extension::Granted);
            }
            Answer::ConditionFailed(item) => {
                self.done = self
                    .read_failure(item)
                    .unwrap_or_else(|cause| Some(Extension::Unavailable(cause)));
            }
            Answer::Throttled => self.pace.inconclusive(Cause::Throttled, jitter),
            Answer::Ambiguous => self.pace.inconclusive(Cause::NoAnswer, jitter),
            Answer::Rejected(text) => {
                self.done = Some(Extension::Unavailable(Cause::Rejected(text)));
            }
            Answer::Cancelled(_) => self.done = Some(Extension::Unavailable(Cause::Unexplained)),
        }
    }

    /// What forbids a further attempt.
    fn barred(&self, now: Timestamp) -> Option<Extension> {
        if self.terms.settings.mode == Mode::Closed {
            return Some(Extension::Refused);
        }
        if self.stale > STALE_MAX {
            return Some(Extension::Unavailable(Cause::Stale));
        }
        self.pace.spent(now).map(Extension::Unavailable)
    }

    /// Reads a failed condition; `None` is one more attempt.
    fn read_failure(&mut self, item: Option<Item>) -> Result<Option<Extension>, Cause> {
        let item = item.ok_or(Cause::NoBudget)?;
        let Some(found) = still_open(&item, self.rid)? else { return Ok(Some(Extension::Gone)) };
        if found != self.hold {
            // An attempt whose answer was lost has landed, of this extension or the one before.
            self.hold = found;
            self.pace.progressed();
            return Ok((found.amount >= self.amount).then_some(Extension::Granted));
        }
        let terms = Terms::parse(&item)?;
        if terms.epoch == self.terms.epoch && terms.allowances == self.terms.allowances {
            return Ok(Some(Extension::Refused));
        }
        self.terms = terms;
        self.is_fresh = true;
        self.stale = self.stale.saturating_add(1);
        Ok(None)
    }
}
