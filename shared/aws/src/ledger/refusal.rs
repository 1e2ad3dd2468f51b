//! Why a call is not held, as its caller is told.

use core::fmt;

use farebox_core::{Money, Scope, ScopePart};
use farebox_ledger::{Admission, Cause, Period, Why};

use super::Attempt;
use super::held::Part;
use crate::error::Error;

/// Why nothing is held. Whatever had been held is voided, except for `parts`.
pub struct Refusal {
    /// What the caller is told.
    pub error: farebox_core::Error,
    /// The smallest room of the refusing scopes; `None` where waiting, not less, would help.
    pub room: Option<Money>,
    /// The refusing scope with the least money that is not settled, and that money: what a smaller
    /// call may wait for. `None` where `room` is.
    pub unspent: Option<(Scope, Money)>,
    /// The scope to wait for, where only open holds refuse (4.1-7).
    pub contended: Option<Scope>,
    /// Scopes whose void has no definite answer yet: the logger ends them.
    pub parts: Vec<ScopePart>,
    /// The period ended meanwhile: reserve once more under a new rid.
    pub restart: bool,
    /// Capacity units that the attempt used, in tenths.
    pub capacity_tenths: u32,
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("error", &self.error)
            .field("room", &self.room)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}

impl Refusal {
    pub(super) fn unavailable(error: &Error) -> Self {
        let error = farebox_core::Error::LedgerUnavailable { cause: error.to_string() };
        Self {
            error,
            room: None,
            unspent: None,
            contended: None,
            parts: Vec::new(),
            restart: false,
            capacity_tenths: 0,
        }
    }

    /// The refusal that says most: spent money, then a closed budget, then what waiting cures,
    /// then what nobody knows, then a period that ended.
    pub(super) fn of(attempts: &[Attempt]) -> Self {
        let told = attempts.iter().filter_map(|(part, reserved, traffic)| {
            told(&part.scope.whole(), &reserved.admission, traffic.is_unreached)
        });
        let first = told.min_by_key(|(rank, _)| *rank);
        let (rank, error) = first.unwrap_or_else(|| (RANK_UNKNOWN, unknown("no scope refused")));
        let (mut room, mut unspent) = (None, None);
        if rank == RANK_EXCEEDED {
            let refusing = attempts.iter().filter_map(|(part, reserved, _)| {
                let Admission::Refused(refusal) = &reserved.admission else { return None };
                Some((part, refusal.budget.as_ref()?))
            });
            let least = |part: &Part, left: &dyn Fn(Period) -> Option<Money>| {
                Period::of(part.hold.day).into_iter().filter_map(left).min()
            };
            let rooms = refusing
                .clone()
                .filter_map(|(part, budget)| least(part, &|period| budget.room(period)));
            room = rooms.min();
            let unspents = refusing.filter_map(|(part, budget)| {
                Some((part.scope.whole(), least(part, &|period| budget.unspent(period))?))
            });
            unspent = unspents.min_by_key(|(_, left)| *left);
        }
        let mut contended = None;
        if rank == RANK_CONTENTION {
            let mut waiting = attempts.iter().filter(|(_, reserved, _)| {
                matches!(&reserved.admission, Admission::Refused(why) if why.is_contention())
            });
            contended = waiting.next().map(|(part, ..)| part.scope.whole());
        }
        tracing::debug!(%error, "not reserved");
        let restart = rank == RANK_RESTART;
        Self { error, room, unspent, contended, parts: Vec::new(), restart, capacity_tenths: 0 }
    }
}

const RANK_EXCEEDED: u8 = 0;
const RANK_CONTENTION: u8 = 2;
const RANK_UNKNOWN: u8 = 3;
const RANK_RESTART: u8 = 4;

/// What a scope's admission means for the caller, with a rank; `None` where it admits.
fn told(
    scope: &Scope,
    admission: &Admission,
    is_unreached: bool,
) -> Option<(u8, farebox_core::Error)> {
    let refusal = match admission {
        Admission::Held | Admission::Unheld { .. } => return None,
        Admission::Restart => return Some((RANK_RESTART, unknown("the period ended"))),
        // Throttled is contention; not reached at all is not.
        Admission::Unavailable(Cause::Throttled) if !is_unreached => {
            let error = farebox_core::Error::BudgetContention { scope: scope.clone() };
            return Some((RANK_CONTENTION, error));
        }
        Admission::Unavailable(Cause::Throttled) => {
            return Some((RANK_UNKNOWN, unknown("no connection to the ledger")));
        }
        Admission::Unavailable(cause) => {
            if matches!(cause, Cause::HoldConflict | Cause::Unexplained) {
                tracing::error!(metric = "ledger_bug", %scope, %cause, "a write must not fail so");
            }
            return Some((RANK_UNKNOWN, unknown(cause)));
        }
        Admission::Refused(refusal) => refusal,
    };
    Some(match &refusal.why {
        Why::Exceeded(short) => {
            let zone = refusal.budget.as_ref().map(|budget| &budget.terms.settings.zone);
            let error = farebox_core::Error::BudgetExceeded {
                scope: scope.clone(),
                period: short.period.name(),
                limit: short.limit,
                committed: short.counter.committed,
                needed: refusal.needed,
                resets_at: zone.and_then(|zone| short.period.end(zone)),
            };
            (RANK_EXCEEDED, error)
        }
        Why::Closed => {
            let error = farebox_core::Error::BudgetExceeded {
                scope: scope.clone(),
                period: Period::Total.name(),
                limit: Money::ZERO,
                committed: Money::ZERO,
                needed: refusal.needed,
                resets_at: None,
            };
            (1, error)
        }
        Why::Contention(_) | Why::TooManyHolds => {
            (RANK_CONTENTION, farebox_core::Error::BudgetContention { scope: scope.clone() })
        }
        Why::Fenced => (RANK_UNKNOWN, unknown("this request id was ended already")),
    })
}

fn unknown(cause: impl fmt::Display) -> farebox_core::Error {
    farebox_core::Error::LedgerUnavailable { cause: cause.to_string() }
}
