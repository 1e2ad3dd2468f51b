//! Settle, void, fence and adjust (money.md 3.2, 3.3, 3.5): the one ending of a call in a scope.

use farebox_core::{Day, Decision, Money, Rid, Timestamp};

use super::{Answer, Cause, ENDING_TOTAL_MS, Pace, Step, Verdict};
use crate::Error;
use crate::budget::Hold;
use crate::item::{Item, malformed, read_money, read_number, read_text};
use crate::scope::Owner;
use crate::update::{self, Reach, Transaction};

/// How often void and fence may alternate before the queue takes over (3.3).
const TURNS_MAX: u32 = 4;

/// The machine that ends a call in one scope, used by chat and again by the logger.
#[derive(Clone, Debug)]
pub struct Ending {
    owner: Owner,
    rid: Rid,
    decision: Decision,
    ambiguous: bool,
    phase: Phase,
    turns: u32,
    pace: Pace,
}

/// How an ending ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This machine's write ended the hold, or posted the unheld charge.
    Applied,
    /// There was nothing left to end: another channel was first, or no hold ever landed.
    AlreadyDone,
    /// The call had been swept; the truth replaced the provisional charge.
    Adjusted,
    /// The same, by another channel, or by an earlier machine that could not tell of it.
    AdjustedBefore,
    /// Not finished: the queue does it.
    HandOver(Cause),
}

#[derive(Clone, Debug)]
enum Phase {
    End(Hold),
    Fence,
    Look,
    Correct(Correction),
    Done(Ended),
}

#[derive(Clone, Copy, Debug)]
struct Correction {
    day: Day,
    cost: Money,
    /// The charge to replace; `None` where the call was admitted unheld.
    provisional: Option<Money>,
    reach: Reach,
}

/// The hold of a call that still stands in an item.
///
/// # Errors
/// [`Error::Malformed`] where it is there and cannot be read.
pub fn still_open(item: &Item, rid: Rid) -> Result<Option<Hold>, Error> {
    read_text(item, &format!("h_{rid}"))?.map(str::parse).transpose()
}

impl Ending {
    /// The ending of a call. `hold` is what stands in the scope or, where a reserve was
    /// `ambiguous`, may stand there; without both there is nothing to do.
    #[must_use]
    pub fn new(
        owner: Owner,
        rid: Rid,
        hold: Option<Hold>,
        decision: Decision,
        ambiguous: bool,
        now: Timestamp,
    ) -> Self {
        let phase = match hold {
            Some(hold) => Phase::End(hold),
            None if ambiguous => Phase::Fence,
            None => Phase::Done(Ended::AlreadyDone),
        };
        let pace = Pace::new(now, ENDING_TOTAL_MS);
        Self { owner, rid, decision, ambiguous, phase, turns: 0, pace }
    }

    /// The charge of a call that was admitted unheld on `day` (3.9).
    #[must_use]
    pub fn unheld(owner: Owner, rid: Rid, day: Day, cost: Money, now: Timestamp) -> Self {
        let correction = Correction { day, cost, provisional: None, reach: Reach::Open };
        let mut ending = Self::new(owner, rid, None, Decision::Settle(cost), false, now);
        ending.phase = Phase::Correct(correction);
        ending
    }

    /// What to do next.
    pub fn step(&mut self, now: Timestamp) -> Step<Ended> {
        if let Phase::Done(ended) = &self.phase {
            return Step::Done(ended.clone());
        }
        if let Some(ms) = self.pace.pause_ms.take() {
            return Step::Pause { ms };
        }
        if let Some(cause) = self.pace.spent(now) {
            self.hand_over(cause);
        }
        let (owner, rid) = (&self.owner, self.rid);
        let fence_at = self.ambiguous.then_some(now);
        match &self.phase {
            Phase::End(hold) => Step::Send(match self.decision {
                Decision::Settle(cost) => update::settle(owner, rid, hold, cost, fence_at),
                Decision::Worst => update::settle(owner, rid, hold, hold.amount, fence_at),
                Decision::Void => update::void(owner, rid, hold, fence_at),
            }),
            Phase::Fence => Step::Send(update::fence(owner, rid, now)),
            Phase::Look => Step::Read(owner.tombstone(rid)),
            Phase::Correct(correction) => Step::Transact(correction.write(owner, rid, now)),
            Phase::Done(ended) => Step::Done(ended.clone()),
        }
    }

    /// Takes the answer to the last [`Step::Send`] or [`Step::Transact`], or a failure of the
    /// last [`Step::Read`].
    pub fn observe(&mut self, answer: Answer, _now: Timestamp, jitter: u64) {
        match answer {
            Answer::Applied => self.applied(),
            Answer::Throttled => self.pace.inconclusive(Cause::Throttled, jitter),
            Answer::Ambiguous => {
                self.pace.inconclusive(Cause::NoAnswer, jitter);
                // A correction may have applied: the tombstone tells (W7). A receipt of an
                // unheld charge needs no look, because a second one fails on the first.
                if matches!(&self.phase, Phase::Correct(done) if done.provisional.is_some()) {
                    self.phase = Phase::Look;
                }
            }
            Answer::Rejected(text) => self.hand_over(Cause::Rejected(text)),
            Answer::ConditionFailed(item) => self.condition_failed(item),
            Answer::Cancelled(verdicts) => self.cancelled(&verdicts, jitter),
        }
    }

    /// Takes the item of the last [`Step::Read`].
    pub fn observe_item(&mut self, tombstone: Option<Item>) {
        if !matches!(self.phase, Phase::Look) {
            return self.hand_over(Cause::Unexplained);
        }
        let Some(tombstone) = tombstone else {
            self.phase = Phase::Done(Ended::AlreadyDone);
            return;
        };
        match self.read_tombstone(&tombstone) {
            Ok(Some(correction)) => self.phase = Phase::Correct(correction),
            Ok(None) => self.phase = Phase::Done(Ended::AdjustedBefore),
            Err(error) => self.hand_over(Cause::Item(error)),
        }
    }

    fn applied(&mut self) {
        self.pace.progressed();
        self.phase = match &self.phase {
            // The hold may have landed and been swept before the fence.
            Phase::Fence => Phase::Look,
            Phase::Correct(Correction { provisional: Some(_), .. }) => Phase::Done(Ended::Adjusted),
            Phase::End(_) | Phase::Correct(_) => Phase::Done(Ended::Applied),
            Phase::Look | Phase::Done(_) => Phase::Done(Ended::HandOver(Cause::Unexplained)),
        };
    }

    fn condition_failed(&mut self, item: Option<Item>) {
        self.pace.progressed();
        let Some(item) = item else {
            // A budget is never deleted: where none is, no reserve can have landed, but a call
            // that was admitted has lost its books.
            return match self.decision {
                Decision::Void => self.phase = Phase::Done(Ended::AlreadyDone),
                Decision::Settle(_) | Decision::Worst => self.hand_over(Cause::NoBudget),
            };
        };
        let found = match still_open(&item, self.rid) {
            Ok(found) => found,
            Err(error) => return self.hand_over(Cause::Item(error)),
        };
        let is_fenced = item.contains_key(&format!("x_{}", self.rid));
        match (&self.phase, found) {
            (Phase::End(hold), Some(found)) if *hold == found => {
                self.hand_over(Cause::Unexplained);
            }
            (Phase::End(_) | Phase::Fence, Some(found)) => self.turn(found),
            // Only a call that was not admitted can have an attempt still under way that no
            // settle of another channel has fenced.
            (Phase::End(_), None) if self.decision == Decision::Void && self.ambiguous => {
                self.phase = if is_fenced { Phase::Look } else { Phase::Fence };
            }
            (Phase::End(_), None) => self.phase = Phase::Look,
            (Phase::Fence, None) if is_fenced => self.phase = Phase::Look,
            _ => self.hand_over(Cause::Unexplained),
        }
    }

    /// A hold was found where none was expected, or another one: end that.
    fn turn(&mut self, found: Hold) {
        self.turns = self.turns.saturating_add(1);
        if self.turns > TURNS_MAX {
            return self.hand_over(Cause::Alternation);
        }
        self.phase = Phase::End(found);
    }

    fn cancelled(&mut self, verdicts: &[Verdict], jitter: u64) {
        let Phase::Correct(correction) = &mut self.phase else {
            return self.hand_over(Cause::Unexplained);
        };
        let mut failed = verdicts.iter().enumerate().filter_map(|(action, verdict)| {
            let Verdict::ConditionFailed(item) = verdict else { return None };
            Some((action, item))
        });
        match failed.next() {
            None => self.pace.inconclusive(Cause::Throttled, jitter),
            // Another channel has corrected it, or posted it.
            Some((0, _)) => {
                self.phase = Phase::Done(match correction.provisional {
                    Some(_) => Ended::AdjustedBefore,
                    None => Ended::AlreadyDone,
                });
            }
            Some((1, None)) => self.hand_over(Cause::NoBudget),
            Some((1, Some(budget))) => match narrowed(budget, correction.day, correction.reach) {
                Ok(Some(reach)) => {
                    correction.reach = reach;
                    self.pace.progressed();
                }
                Ok(None) => self.hand_over(Cause::Unexplained),
                Err(error) => self.hand_over(Cause::Item(error)),
            },
            Some(_) => self.hand_over(Cause::NoArchive),
        }
    }

    /// The correction that a provisional tombstone asks for; `None` where it is done.
    fn read_tombstone(&self, tombstone: &Item) -> Result<Option<Correction>, Error> {
        match read_text(tombstone, "st")? {
            Some("A") => return Ok(None),
            Some("P") => {}
            _ => return Err(malformed("st")),
        }
        let provisional = read_money(tombstone, "a")?.ok_or(Error::Missing("a"))?;
        let day = read_number::<u32>(tombstone, "day")?.ok_or(Error::Missing("day"))?;
        let cost = match self.decision {
            Decision::Settle(cost) => cost,
            Decision::Void => Money::ZERO,
            Decision::Worst => provisional,
        };
        Ok(Some(Correction {
            day: Day::from_number(day).map_err(|_| malformed("day"))?,
            cost,
            provisional: Some(provisional),
            reach: Reach::Open,
        }))
    }

    fn hand_over(&mut self, cause: Cause) {
        self.phase = Phase::Done(Ended::HandOver(cause));
    }
}

impl Correction {
    fn write(&self, owner: &Owner, rid: Rid, now: Timestamp) -> Transaction {
        let Self { day, cost, provisional, reach } = *self;
        match provisional {
            Some(provisional) => update::adjust(owner, rid, day, provisional, cost, reach),
            None => update::unheld_charge(owner, rid, day, cost, reach, now),
        }
    }
}

/// How far a correction of a day still reaches in a budget that refused it; `None` where nothing
/// there explains the refusal. Watermarks only rise, so the reach only narrows.
pub(super) fn narrowed(budget: &Item, day: Day, reach: Reach) -> Result<Option<Reach>, Error> {
    let is_past = |mark: &str, period: u32| {
        read_number::<u32>(budget, mark).map(|mark| mark.is_some_and(|mark| mark >= period))
    };
    if is_past("am", day.month().number())? {
        return Ok((reach != Reach::Archived).then_some(Reach::Archived));
    }
    let is_pruned = is_past("ad", day.number())?;
    Ok((is_pruned && reach == Reach::Open).then_some(Reach::DayPruned))
}
