//! Metered streams, whose hold is extended (`docs/money.md` 3.1a).

use farebox_core::Decision;
use farebox_ledger::{Answer, Attr, Extend, still_open};

use super::{
    Action, Call, EXTENDED, Machine, Mutant, Stage, State, UNKNOWN, World, clock, hold_of, owner,
    pico,
};

impl World {
    /// What a call that the provider streams may do, beside ending at a usual cost.
    pub(super) fn steps_of_metered(&self, at: usize, call: &Call, actions: &mut Vec<Action>) {
        if !self.config.has_extend {
            return;
        }
        if !call.has_extended {
            actions.push(Action::Extend(at));
        }
        // The stream may reach what all scopes have confirmed.
        let is_believed = self.is(Mutant::UnconfirmedUse) && call.has_extended;
        let reach = if is_believed { EXTENDED } else { call.confirmed() };
        actions.push(Action::Outcome(at, Decision::Settle(pico(reach)), reach));
        if self.config.has_unknown {
            actions.extend([0, call.confirmed()].map(|bill| Action::Unknown(at, bill)));
        }
    }

    pub(super) fn extend(&self, state: &mut State, at: usize) {
        let rid = state.calls[at].rid(at);
        let call = &mut state.calls[at];
        call.has_extended = true;
        let period = call.period;
        for lane in 0..call.lanes.len() {
            let place = &mut state.calls[at].lanes[lane];
            place.tries = 0;
            let (scope, hold) = (place.scope, hold_of(period, place.amount));
            let terms = state.budget(scope).terms;
            let machine =
                Extend::new(owner(scope), rid, hold, pico(EXTENDED), terms, clock(period));
            self.pump(state, at, lane, Machine::Extend(Box::new(machine)), 0);
        }
    }

    pub(super) fn end_unknown(&self, state: &mut State, at: usize) {
        let amount = state.calls[at].confirmed();
        state.calls[at].decision = Some((UNKNOWN, amount));
        self.end_lanes(state, at, Decision::Settle(pico(amount)));
    }

    /// With a mutant, an ending that finds another amount than its own.
    pub(super) fn is_taken_for_done(&self, state: &State, at: usize, answer: &Answer) -> bool {
        let Answer::ConditionFailed(Some(item)) = answer else { return false };
        let is_other = matches!(still_open(item, state.calls[at].rid(at)), Ok(Some(_)));
        self.is(Mutant::MismatchDone) && is_other
    }

    /// While a call streams, every scope holds what it confirmed, or is charged it by a sweep.
    #[expect(clippy::unused_self, reason = "it stands beside the other invariants")]
    pub(super) fn holds_what_streams(&self, state: &State) -> bool {
        let calling = state.calls.iter().enumerate();
        let mut calling = calling.filter(|(_, call)| call.stage == Stage::Calling);
        calling.all(|(at, call)| {
            let rid = state.calls[at].rid(at);
            call.lanes.iter().all(|lane| {
                let held = state.budget(lane.scope).holds.get(&rid).map(|hold| hold.amount.pico());
                let swept = state.store.value.get(&owner(lane.scope).tombstone(rid));
                let swept = swept.and_then(|item| match item["a"] {
                    Attr::N(amount) => Some(amount),
                    Attr::S(_) => None,
                });
                held.or(swept).is_some_and(|amount| amount >= lane.amount)
            })
        })
    }
}
