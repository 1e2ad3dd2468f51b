//! Calls that only open holds refuse, and that reserve again (`docs/money.md` 4.1-7).
//!
//! The pause between two rounds is any time, and whether its look saw room does not matter: a
//! look writes nothing. All scopes are asked at once in every round; the code asks the one that
//! refused first and alone, which is one order of these.

use farebox_core::Decision;
use farebox_ledger::Admission;

use super::{Call, HOLD, Machine, Mutant, Refused, Stage, State, World};

impl Refused {
    pub(super) const fn of(admission: &Admission) -> Option<Self> {
        match admission {
            Admission::Refused(refusal) if refusal.is_contention() => Some(Self::Contended),
            Admission::Refused(_) | Admission::Restart => Some(Self::Otherwise),
            Admission::Held | Admission::Unheld { .. } | Admission::Unavailable(_) => None,
        }
    }
}

impl Call {
    /// Whether waiting may help: open holds refuse, and nothing else does.
    pub(super) fn is_contended(&self) -> bool {
        let is = |wanted| self.lanes.iter().any(|lane| lane.refused == Some(wanted));
        is(Refused::Contended) && !is(Refused::Otherwise)
    }

    /// All voids of a round are over: it waits, or the queue ends what is not definite.
    pub(super) fn end_round(&mut self) {
        if self.lanes.iter().any(|lane| lane.is_held || lane.is_ambiguous) {
            self.decide(Decision::Void);
            (self.stage, self.is_queue_due) = (Stage::Ending, true);
        } else {
            self.stage = Stage::Waiting;
        }
    }
}

impl World {
    /// Voids what a refused round holds, or may hold, before the call waits.
    pub(super) fn void_round(&self, state: &mut State, at: usize) {
        state.calls[at].stage = Stage::Voiding;
        for lane in 0..state.calls[at].lanes.len() {
            let place = &mut state.calls[at].lanes[lane];
            place.tries = 0;
            let (is_open, is_ambiguous) = (place.is_held || place.is_ambiguous, place.is_ambiguous);
            if is_open {
                let void = self.ending(state, at, lane, Decision::Void, is_ambiguous, HOLD);
                self.pump(state, at, lane, Machine::Ending(Box::new(void)), 0);
            }
        }
        self.conclude(state, at);
    }

    pub(super) fn again(&self, state: &mut State, at: usize) {
        let call = &mut state.calls[at];
        call.waits -= 1;
        call.round += u8::from(!self.is(Mutant::SameRid));
        for lane in &mut call.lanes {
            (lane.is_held, lane.is_ambiguous, lane.refused) = (false, false, None);
        }
        self.start(state, at);
    }
}
