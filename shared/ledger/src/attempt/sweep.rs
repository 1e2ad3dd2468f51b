//! The sweep (money.md 3.4): a hold that nobody ended becomes a charge, until the truth arrives.

use farebox_core::{Rid, Timestamp};

use super::{Answer, Cause, ENDING_TOTAL_MS, Pace, Step, Verdict, still_open};
use crate::budget::Hold;
use crate::item::Item;
use crate::scope::Owner;
use crate::update;

/// No reserve of a call can be under way this long after the rid's time: 30 s to sign it (W3),
/// 300 s that a signature is good for, and the clocks' difference.
const RESERVES_OVER_MS: i64 = 390_000;
/// What the owner of a hold has after its deadline to end it.
const ENDING_MS: i64 = 60_000;

/// The machine that sweeps one hold. Two of them at once, or one twice, charge once.
#[derive(Clone, Debug)]
pub struct Sweep {
    owner: Owner,
    rid: Rid,
    hold: Hold,
    phase: Phase,
    pace: Pace,
    unanswered: bool,
}

/// What became of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swept {
    /// This sweep made it a provisional charge of this hold's amount.
    Charged(Hold),
    /// It is such a charge already, by another sweep whose record may be lost.
    Already(Hold),
    /// Somebody else ended it.
    Gone,
    /// The call had been swept before, and a late reserve of it had landed since: it is voided.
    /// No message may live that long, so raise an alarm.
    Ghost,
    /// Not now; the next scan tries again.
    Left(Cause),
}

#[derive(Clone, Debug)]
enum Phase {
    Charge,
    VoidGhost,
    Done(Swept),
}

impl Sweep {
    /// Whether a hold may be swept: its call is over, and so is every message of it that could
    /// reserve.
    #[must_use]
    pub fn is_due(rid: Rid, hold: &Hold, now: Timestamp) -> bool {
        let over_ms = i64::from(hold.deadline_s).saturating_mul(1_000).saturating_add(ENDING_MS);
        now > rid.made_at().plus_ms(over_ms.max(RESERVES_OVER_MS))
    }

    /// The sweep of a hold that [is due](Self::is_due).
    #[must_use]
    pub const fn new(owner: Owner, rid: Rid, hold: Hold, now: Timestamp) -> Self {
        let pace = Pace::new(now, ENDING_TOTAL_MS);
        Self { owner, rid, hold, phase: Phase::Charge, pace, unanswered: false }
    }

    /// What to do next.
    pub fn step(&mut self, now: Timestamp) -> Step<Swept> {
        if !matches!(self.phase, Phase::Done(_)) {
            if let Some(ms) = self.pace.pause_ms.take() {
                return Step::Pause { ms };
            }
            if let Some(cause) = self.pace.spent(now) {
                self.phase = Phase::Done(Swept::Left(cause));
            }
        }
        match &self.phase {
            Phase::Charge => Step::Transact(update::sweep(&self.owner, self.rid, &self.hold, now)),
            Phase::VoidGhost => {
                Step::Send(update::void(&self.owner, self.rid, &self.hold, Some(now)))
            }
            Phase::Done(swept) => Step::Done(swept.clone()),
        }
    }

    /// Takes the answer to the last [`Step::Send`] or [`Step::Transact`].
    pub fn observe(&mut self, answer: Answer, jitter: u64) {
        match (answer, &self.phase) {
            (Answer::Applied, Phase::Charge) => self.done(Swept::Charged(self.hold)),
            (Answer::Applied, Phase::VoidGhost) => self.done(Swept::Ghost),
            (Answer::ConditionFailed(_), Phase::VoidGhost) => self.done(Swept::Gone),
            (Answer::Cancelled(verdicts), Phase::Charge) => self.cancelled(&verdicts, jitter),
            (Answer::Throttled, _) => self.pace.inconclusive(Cause::Throttled, jitter),
            // A charge that applied is found by its tombstone when it is sent again.
            (Answer::Ambiguous, _) => {
                self.unanswered = true;
                self.pace.inconclusive(Cause::NoAnswer, jitter);
            }
            (Answer::Rejected(text), _) => self.done(Swept::Left(Cause::Rejected(text))),
            (_, _) => self.done(Swept::Left(Cause::Unexplained)),
        }
    }

    fn cancelled(&mut self, verdicts: &[Verdict], jitter: u64) {
        match verdicts {
            // No hold and a tombstone: swept already.
            [Verdict::ConditionFailed(budget), Verdict::ConditionFailed(Some(_))] => {
                match self.found(budget.as_ref()) {
                    Ok(None) if self.unanswered => self.done(Swept::Charged(self.hold)),
                    Ok(None) => self.done(Swept::Already(self.hold)),
                    Ok(Some(_)) => self.phase = Phase::VoidGhost,
                    Err(cause) => self.done(Swept::Left(cause)),
                }
            }
            [Verdict::ConditionFailed(budget), _] => match self.found(budget.as_ref()) {
                Ok(None) => self.done(Swept::Gone),
                // It was extended since it was read: what stands in the item counts.
                Ok(Some(_)) => self.pace.progressed(),
                Err(cause) => self.done(Swept::Left(cause)),
            },
            [Verdict::Passed, Verdict::ConditionFailed(Some(_))] => self.phase = Phase::VoidGhost,
            verdicts if verdicts.contains(&Verdict::Conflict) => {
                self.pace.inconclusive(Cause::Throttled, jitter);
            }
            _ => self.done(Swept::Left(Cause::Unexplained)),
        }
    }

    /// The hold that stands in the item now; the sweep goes on with it.
    fn found(&mut self, budget: Option<&Item>) -> Result<Option<Hold>, Cause> {
        let found = still_open(budget.ok_or(Cause::NoBudget)?, self.rid)?;
        match found {
            Some(hold) if hold == self.hold => Err(Cause::Unexplained),
            Some(hold) => {
                self.hold = hold;
                Ok(Some(hold))
            }
            None => Ok(None),
        }
    }

    fn done(&mut self, swept: Swept) {
        self.phase = Phase::Done(swept);
    }
}
