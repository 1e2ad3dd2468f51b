//! Waiting for room (money.md 4.1-7): a call that only open holds refuse looks on until they end.

use farebox_core::{Money, Timestamp};

use super::reserve::refusing;
use crate::budget::Budget;
use crate::item::Key;
use crate::scope::Owner;

/// The shortest pause between two looks.
const PAUSE_MIN_MS: u64 = 100;
/// The longest; what is between them is drawn by lot, from a span that doubles.
const PAUSE_MAX_MS: u64 = 1_000;

/// The machine that decides when a refused call may reserve again.
///
/// It only ever looks: a write that fails costs as much as one that applies, and competes with
/// the endings that make the room. Each round of reserves is under a new rid, because a late
/// void of the last round would match the equal hold of the next one.
#[derive(Clone, Debug)]
pub struct Wait {
    started: Timestamp,
    total_ms: u64,
    paused_ms: u64,
    span_ms: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Pause,
    Look,
    Reserve,
}

/// What a driver does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Wait.
    Pause {
        /// How long.
        ms: u64,
    },
    /// Read this item, eventually consistent, and tell [`Wait::observe`]. A read that fails is
    /// told nothing: the next one comes after a pause.
    Look(Key),
    /// Reserve again, under a new rid, this scope first and alone.
    Reserve,
    /// The time is over: the refusal stands.
    GiveUp,
}

impl Wait {
    /// A call that may wait for `total_ms` in all, however many rounds it takes.
    #[must_use]
    pub const fn new(total_ms: u64, now: Timestamp) -> Self {
        let phase = Phase::Pause;
        Self { started: now, total_ms, paused_ms: 0, span_ms: PAUSE_MIN_MS, phase }
    }

    /// What to do next while `owner` refuses.
    pub fn step(&mut self, owner: &Owner, now: Timestamp, jitter: u64) -> Waiting {
        match self.phase {
            Phase::Look => {
                self.phase = Phase::Pause;
                Waiting::Look(owner.budget())
            }
            Phase::Reserve => {
                self.phase = Phase::Pause;
                Waiting::Reserve
            }
            Phase::Pause => {
                let left = self.total_ms.saturating_sub(self.waited_ms(now));
                if left == 0 {
                    return Waiting::GiveUp;
                }
                self.span_ms = self.span_ms.saturating_mul(2).min(PAUSE_MAX_MS);
                let spread = self.span_ms.saturating_sub(PAUSE_MIN_MS).saturating_add(1);
                let drawn = jitter.checked_rem(spread).unwrap_or_default();
                let ms = PAUSE_MIN_MS.saturating_add(drawn).min(left);
                self.paused_ms = self.paused_ms.saturating_add(ms);
                self.phase = Phase::Look;
                Waiting::Pause { ms }
            }
        }
    }

    /// Takes the budget of the last [`Waiting::Look`], where it could be read: whatever is not the
    /// wait of `needed` for open holds is for the reserve to say, whose answer is not a stale copy.
    pub fn observe(&mut self, budget: Option<&Budget>, needed: Money, now: Timestamp) {
        if !budget.is_some_and(|budget| is_contended(budget, needed, now)) {
            self.phase = Phase::Reserve;
        }
    }

    /// By the clock or by the pauses, whichever is more: a clock that stands still must not make
    /// a wait without end.
    fn waited_ms(&self, now: Timestamp) -> u64 {
        let elapsed = u64::try_from(now.since(self.started)).unwrap_or_default();
        elapsed.max(self.paused_ms)
    }
}

fn is_contended(budget: &Budget, needed: Money, now: Timestamp) -> bool {
    let day = budget.terms.settings.zone.day(now);
    refusing(budget, day, needed).is_some_and(|why| why.is_contention())
}
