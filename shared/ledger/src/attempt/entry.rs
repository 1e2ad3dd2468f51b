//! An admin's entry in one scope (money.md 7): posted once, and never below zero.

use farebox_core::{Day, Money, Month, Rid, Timestamp};

use super::ending::narrowed;
use super::{Answer, Cause, ENDING_TOTAL_MS, Pace, Step, Verdict};
use crate::budget::{Budget, Period};
use crate::item::{Item, read_money};
use crate::scope::Owner;
use crate::update::{self, Reach};

/// Which counters an entry moves, beside the total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Those of a day and of its month.
    Day(Day),
    /// Those of a month alone.
    Month(Month),
}

/// The machine that posts one entry. Two of them at once, or one twice, post it once.
#[derive(Clone, Debug)]
pub struct Entry {
    owner: Owner,
    id: Rid,
    day: Day,
    amount: Money,
    reach: Reach,
    done: Option<Posted>,
    pace: Pace,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It stands in the books, by this machine or by one before it.
    Done,
    /// Another amount was posted under its id. Nothing is changed.
    Different,
    /// It would take more than is settled. Nothing is changed.
    BelowZero,
    /// Not now: post it again.
    Left(Cause),
}

impl Span {
    /// The number that a row of the log has as its day: `YYYYMMDD`, or `YYYYMM00`.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Day(day) => day.number(),
            Self::Month(month) => month.number().wrapping_mul(100),
        }
    }

    /// The span of such a number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        match number.checked_rem(100)? {
            0 => Month::from_number(number.checked_div(100)?).ok().map(Self::Month),
            _ => Day::from_number(number).ok().map(Self::Day),
        }
    }

    /// Whether each counter that an entry of the span would move has so much settled, as far as
    /// the budget's own item tells: what an archive has is not in it.
    #[must_use]
    pub fn is_settled(self, budget: &Budget, amount: Money) -> bool {
        let Some(day) = self.first_day() else { return false };
        let terms = &budget.terms;
        let is_open = |period: &Period| match period {
            Period::Month(month) => terms.archived_month.is_none_or(|closed| *month > closed),
            Period::Day(_) => matches!(self, Self::Day(_)) && !terms.is_closed(day),
            Period::Total => true,
        };
        let mut moved = Period::of(day).into_iter().filter(is_open);
        moved.all(|period| budget.counter(period).settled() >= amount)
    }

    /// The day, or the first one of the month.
    #[must_use]
    pub fn first_day(self) -> Option<Day> {
        match self {
            Self::Day(day) => Some(day),
            Self::Month(_) => Day::from_number(self.number().checked_add(1)?).ok(),
        }
    }
}

impl Entry {
    /// The entry of a signed amount; `None` where the span has no day.
    #[must_use]
    pub fn new(owner: Owner, id: Rid, span: Span, amount: Money, now: Timestamp) -> Option<Self> {
        let reach = match span {
            Span::Day(_) => Reach::Open,
            // A month's entry leaves the days alone, as if they were closed.
            Span::Month(_) => Reach::DayPruned,
        };
        let pace = Pace::new(now, ENDING_TOTAL_MS);
        Some(Self { owner, id, day: span.first_day()?, amount, reach, done: None, pace })
    }

    /// What to do next.
    pub fn step(&mut self, now: Timestamp) -> Step<Posted> {
        if self.done.is_none() {
            if let Some(ms) = self.pace.pause_ms.take() {
                return Step::Pause { ms };
            }
            self.done = self.pace.spent(now).map(Posted::Left);
        }
        match &self.done {
            Some(posted) => Step::Done(posted.clone()),
            None => Step::Transact(update::entry(
                &self.owner,
                self.id,
                self.day,
                self.amount,
                self.reach,
                now,
            )),
        }
    }

    /// Takes the answer to the last [`Step::Transact`].
    pub fn observe(&mut self, answer: Answer, jitter: u64) {
        match answer {
            Answer::Applied => self.done = Some(Posted::Done),
            Answer::Throttled => self.pace.inconclusive(Cause::Throttled, jitter),
            // Sent again it fails on its own receipt, if it applied.
            Answer::Ambiguous => self.pace.inconclusive(Cause::NoAnswer, jitter),
            Answer::Rejected(text) => self.done = Some(Posted::Left(Cause::Rejected(text))),
            Answer::Cancelled(verdicts) => self.cancelled(&verdicts, jitter),
            Answer::ConditionFailed(_) => self.done = Some(Posted::Left(Cause::Unexplained)),
        }
    }

    fn cancelled(&mut self, verdicts: &[Verdict], jitter: u64) {
        let mut failed = verdicts.iter().enumerate().filter_map(|(action, verdict)| {
            let Verdict::ConditionFailed(item) = verdict else { return None };
            Some((action, item.as_ref()))
        });
        self.done = match failed.next() {
            None => return self.pace.inconclusive(Cause::Throttled, jitter),
            Some((0, Some(receipt))) => Some(self.found(receipt)),
            Some((1, None)) => Some(Posted::Left(Cause::NoBudget)),
            Some((1, Some(budget))) => match narrowed(budget, self.day, self.reach) {
                Ok(Some(reach)) => {
                    self.reach = reach;
                    return self.pace.progressed();
                }
                Ok(None) => Some(self.refused()),
                Err(error) => Some(Posted::Left(Cause::Item(error))),
            },
            Some((2, None)) => Some(Posted::Left(Cause::NoArchive)),
            Some((2, Some(_))) => Some(self.refused()),
            Some(_) => Some(Posted::Left(Cause::Unexplained)),
        };
    }

    /// What the receipt that is there already says.
    fn found(&self, receipt: &Item) -> Posted {
        match read_money(receipt, "c") {
            Ok(Some(amount)) if amount == self.amount => Posted::Done,
            Ok(_) => Posted::Different,
            Err(error) => Posted::Left(Cause::Item(error)),
        }
    }

    /// No watermark explains the refusal: only an amount below zero has another condition.
    fn refused(&self) -> Posted {
        if self.amount < Money::ZERO {
            return Posted::BelowZero;
        }
        Posted::Left(Cause::Unexplained)
    }
}
