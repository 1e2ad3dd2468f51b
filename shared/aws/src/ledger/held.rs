//! What stands in the scopes of a call.

use core::fmt;

use farebox_core::{Decision, Money, Rid, Scope, ScopePart, Timestamp};
use farebox_ledger::{Attr, Hold, Item, Period, Terms};

/// Money held for one call in all its scopes. It must be ended with
/// [`Ledger::end`](super::Ledger::end): dropping it leaves the money to the sweep.
#[must_use = "a hold that is not ended keeps its room until the sweep charges it"]
pub struct Held {
    /// The attempt that holds.
    pub rid: Rid,
    /// The amount that is confirmed in each scope: a metered call may use no more.
    pub amount: Money,
    /// It holds less than its worst case and is extended as its stream goes on.
    pub is_metered: bool,
    pub(super) parts: Vec<Part>,
    pub(super) capacity_tenths: u32,
    pub(super) is_ended: bool,
}

/// What stands in one scope.
#[derive(Clone)]
pub struct Part {
    pub(super) scope: Scope,
    pub(super) hold: Hold,
    pub(super) terms: Terms,
    pub(super) is_held: bool,
    pub(super) is_ambiguous: bool,
    pub(super) is_ended: bool,
    /// The counters as the store told them last.
    pub(super) seen: Item,
}

impl Held {
    /// The scopes and what stands in them, for the call's record.
    #[must_use]
    pub fn parts(&self) -> Vec<ScopePart> {
        self.parts.iter().map(|part| part.told(part.is_held || part.is_ambiguous)).collect()
    }

    /// What stands in shares of budgets, for [`Ledger::draw_ahead`](super::Ledger::draw_ahead).
    #[must_use]
    pub fn shares(&self) -> Vec<Part> {
        self.parts.iter().filter(|part| part.scope.share.is_some()).cloned().collect()
    }

    /// Capacity units used so far, in tenths.
    #[must_use]
    pub const fn capacity_tenths(&self) -> u32 {
        self.capacity_tenths
    }

    /// For each scope its tightest period, its room as the store told it last, and when the
    /// period ends. A scope without limits has neither room nor end, in the period `total`. One
    /// that is divided is left out: a share does not know what the others have left.
    #[must_use]
    pub fn rooms(&self) -> Vec<(Scope, &'static str, Option<Money>, Option<Timestamp>)> {
        let whole = self.parts.iter().filter(|part| part.scope.share.is_none());
        let rooms = whole.map(|part| {
            let (period, room) = match part.tightest() {
                Some((period, room)) => (period, Some(room)),
                None => (Period::Total, None),
            };
            (part.scope.clone(), period.name(), room, period.end(&part.terms.settings.zone))
        });
        rooms.collect()
    }
}

/// Says whose money it is, never whose call.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("rid", &self.rid)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_ended {
            tracing::error!(metric = "hold_leaked", rid = %self.rid, "a hold was never ended");
        }
    }
}

impl Part {
    /// The hold to end, and how; `None` where no hold can stand.
    pub(super) fn ending(&self, decision: Decision) -> Option<(Option<Hold>, Decision)> {
        match (self.is_held, self.is_ambiguous) {
            _ if self.is_ended => None,
            (true, _) => Some((Some(self.hold), decision)),
            // Admitted unheld after an attempt that may yet land: it must not.
            (false, true) => Some((Some(self.hold), Decision::Void)),
            (false, false) => None,
        }
    }

    pub(super) fn told(&self, may_stand: bool) -> ScopePart {
        ScopePart {
            scope: self.scope.clone(),
            hold: may_stand.then(|| self.hold.to_string()),
            ambiguous: self.is_ambiguous,
            unheld: !self.is_held,
            ended: self.is_ended,
            day: self.hold.day.number(),
        }
    }

    /// Whether shares of the budget may have what is lacking here.
    pub(super) const fn may_get_more(&self) -> bool {
        self.scope.share.is_some() || self.terms.shares.made > 0
    }

    pub(super) fn tightest(&self) -> Option<(Period, Money)> {
        let periods = Period::of(self.hold.day).into_iter();
        let rooms = periods.filter_map(|period| Some((period, self.room(period)?)));
        rooms.min_by_key(|(_, room)| *room)
    }

    /// What a period has left, as the store told it last; `None` without a limit.
    pub(super) fn room(&self, period: Period) -> Option<Money> {
        let limit = self.terms.limit(period)?;
        let name = match period {
            Period::Month(month) => format!("mc_{month}"),
            Period::Day(day) => format!("dc_{day}"),
            Period::Total => "tc".to_owned(),
        };
        let committed = match self.seen.get(&name) {
            Some(Attr::N(pico)) => Money::from_pico(*pico).ok()?,
            _ => Money::ZERO,
        };
        Some(limit.minus(committed).unwrap_or_default().max(Money::ZERO))
    }
}
