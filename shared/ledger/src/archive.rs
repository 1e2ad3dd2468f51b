//! The end of a period: which months and days close now (money.md 3.7).

use farebox_core::{Day, Money, Month, Rid, Timestamp};

use crate::budget::{Budget, Counter, Period};
use crate::scope::Owner;
use crate::update::{self, Transaction, Update};

/// A period is closed this long after its end, so that no call of it is still open.
const GRACE_MS: i64 = 48 * 3_600_000;

/// One thing to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Archive and prune a month.
    Month {
        /// Which.
        month: Month,
        /// What it cost; `None` where every call was voided.
        settled: Option<Money>,
    },
    /// Prune a day.
    Day {
        /// Which.
        day: Day,
        /// As of a month.
        settled: Option<Money>,
    },
    /// Take away a fence.
    Fence {
        /// Whose.
        rid: Rid,
        /// Its value.
        seen: i64,
    },
}

/// What is due in a budget: at most the oldest month and the oldest day, and every old fence.
///
/// Read the budget again after each write and ask again. The next period may be closed only when
/// the one before it is: its watermark would pass the older counters. For the same reason an open
/// hold in the oldest period keeps back all later ones. Counters can still come to stand below a
/// watermark: an entry or a late draw of an older day, which had none, may arrive between the read
/// that decided a closing and its write. They are the oldest then, and go without moving the
/// watermark.
#[must_use]
pub fn due(budget: &Budget, now: Timestamp) -> Vec<Closing> {
    let zone = &budget.terms.settings.zone;
    let is_due = |period: Period, counter: &Counter| {
        let is_over = period.end(zone).is_some_and(|end| now.since(end) >= GRACE_MS);
        let granted = budget.granted.get(&period).copied().unwrap_or_default();
        is_over && counter.committed.minus(granted) == Some(counter.settled())
    };
    let day = budget.days.first_key_value();
    let day = day.filter(|(day, counter)| is_due(Period::Day(**day), counter));
    let month = budget.months.first_key_value();
    let month = month.filter(|(month, counter)| is_due(Period::Month(**month), counter));
    let day = day.map(|(day, counter)| Closing::Day { day: *day, settled: counter.settled });
    let month =
        month.map(|(month, counter)| Closing::Month { month: *month, settled: counter.settled });
    let over = budget.fences.iter().filter(|(_, until)| **until < now.seconds());
    let fences = over.map(|(rid, seen)| Closing::Fence { rid: *rid, seen: *seen });
    day.into_iter().chain(month).chain(fences).collect()
}

impl Closing {
    /// The writes that do it. Their conditions fail, and nothing is lost, where the budget has
    /// moved since it was read.
    #[must_use]
    pub fn write(&self, owner: &Owner, budget: &Budget, now: Timestamp) -> Transaction {
        let one = |update: Update| Transaction { actions: vec![update] };
        match *self {
            Self::Month { month, settled } => {
                let granted = budget.granted.get(&Period::Month(month)).copied();
                update::archive_month(owner, month, settled, granted, &budget.terms, now)
            }
            Self::Day { day, settled } => {
                let granted = budget.granted.get(&Period::Day(day)).copied();
                one(update::prune_day(owner, day, settled, granted, budget.terms.pruned_day))
            }
            Self::Fence { rid, seen } => one(update::prune_fence(owner, rid, seen)),
        }
    }
}
