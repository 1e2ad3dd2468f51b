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

pub(super) struct Part {
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

    /// Capacity units used so far, in tenths.
    #[must_use]
    pub const fn capacity_tenths(&self) -> u32 {
        self.capacity_tenths
    }

    /// For each scope its tightest period, its room as the store told it last, and when the
    /// period ends. A scope without limits has neither room nor end, in the period `total`.
    #[must_use]
    pub fn rooms(&self) -> Vec<(Scope, &'static str, Option<Money>, Option<Timestamp>)> {
        let rooms = self.parts.iter().map(|part| {
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

    fn tightest(&self) -> Option<(Period, Money)> {
        let limits = self.terms.settings.limits;
        let rooms = Period::of(self.hold.day).into_iter().filter_map(|period| {
            let limit = limits.of(period)?;
            let name = match period {
                Period::Month(month) => format!("mc_{month}"),
                Period::Day(day) => format!("dc_{day}"),
                Period::Total => "tc".to_owned(),
            };
            let committed = match self.seen.get(&name) {
                Some(Attr::N(pico)) => Money::from_pico(*pico).ok()?,
                _ => Money::ZERO,
            };
            Some((period, limit.minus(committed).unwrap_or_default().max(Money::ZERO)))
        });
        rooms.min_by_key(|(_, room)| *room)
    }
}
