//! An admin's entries among the calls.

use std::cell::Cell;

use farebox_core::{Day, Rid};
use farebox_ledger::{Answer, Budget, Period, Reach, update};

use super::shares::{PLACES, Place};
use super::{World, pico};
use crate::support::Request;

/// Entries in one history.
const ENTRIES_MAX: usize = 4;

/// What an admin entered, or tried to.
pub(super) struct Entered {
    place: Place,
    id: Rid,
    day: Day,
    amount: i128,
    is_of_month: bool,
    /// Whether its day was open when it was applied: its month may be archived while the day
    /// stands.
    met_open_day: Cell<Option<bool>>,
}

impl World {
    /// An admin corrects today, yesterday or the month, as far as it is open; now or again.
    pub(super) fn enter(&mut self, whom: u8, how: u8) {
        let count = self.entries.len();
        if count < ENTRIES_MAX && whom.is_multiple_of(2) {
            let today = self.now.utc_day();
            let day = if whom.is_multiple_of(4) { today } else { today.previous() };
            let amount = i128::from(whom) - 160;
            let id = Rid::new(self.now, u128::try_from(1_000 + count).unwrap());
            let is_of_month = whom.is_multiple_of(3);
            let met_open_day = Cell::default();
            // A third of them in each item; a share's are those of its calls.
            let place = PLACES[usize::from(how / 3) % PLACES.len()];
            self.entries.push(Entered { place, id, day, amount, is_of_month, met_open_day });
        }
        let Some(place) = usize::from(whom).checked_rem(self.entries.len()) else { return };
        let Entered { place, id, day, amount, is_of_month, .. } = self.entries[place];
        let terms = self.budget_of(place).terms;
        let reach = if terms.archived_month.is_some_and(|closed| day.month() <= closed) {
            Reach::Archived
        } else if is_of_month || terms.pruned_day.is_some_and(|closed| day <= closed) {
            Reach::DayPruned
        } else {
            Reach::Open
        };
        if amount != 0 {
            let owner = self.owner_of(place);
            let write = update::entry(&owner, id, day, pico(amount), reach, self.now);
            let is_applied = self.send(Request::Many(write), how) == Answer::Applied;
            let settled = self.budget_of(place).total.settled().pico();
            assert!(amount > 0 || !is_applied || settled >= 0, "a refund of {amount}: {settled}");
        }
    }

    /// Whether an admin has tried to enter something of such a day.
    pub(super) fn has_entry(&self, of: impl Fn(Day) -> bool) -> bool {
        self.entries.iter().any(|one| of(one.day))
    }

    /// What stands in a period by entries: those whose receipt is there.
    pub(super) fn entered(&self, place: Place, budget: &Budget, period: Period) -> i128 {
        self.entered_in(place, budget, period, |_| true)
    }

    /// As [`Self::entered`], of some amounts only.
    pub(super) fn entered_in(
        &self,
        place: Place,
        budget: &Budget,
        period: Period,
        is_asked: fn(i128) -> bool,
    ) -> i128 {
        let owner = self.owner_of(place);
        let has_receipt = |one: &&Entered| {
            one.place == place && self.store.get(&owner.tombstone(one.id)).is_some()
        };
        let in_period = |one: &&Entered| match period {
            // A day that was closed when the entry came is not touched by it.
            Period::Day(day) => {
                !one.is_of_month && one.day == day && one.met_open_day.get() == Some(true)
            }
            Period::Month(month) => one.day.month() == month,
            Period::Total => true,
        };
        // Asked after every step, so the first time that the receipt is there is when it came.
        for one in self.entries.iter().filter(has_receipt) {
            if one.met_open_day.get().is_none() {
                one.met_open_day.set(Some(!budget.terms.is_closed(one.day)));
            }
        }
        let standing = self.entries.iter().filter(has_receipt).filter(in_period);
        standing.map(|one| one.amount).filter(|amount| is_asked(*amount)).sum()
    }
}
