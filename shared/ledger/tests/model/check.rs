//! The actions of a state, the invariants, and the search.

use farebox_core::Decision;
use farebox_ledger::{Attr, Period};
use stateright::{Checker, HasDiscoveries, Model, Property};

use super::{
    Action, Call, HOLD, Machine, Message, Mutant, Stage, State, World, hold, owner, pico, rid_of,
};

/// What a search came to.
pub struct Explored {
    pub states: usize,
    pub transitions: usize,
    pub depth: usize,
    /// Whether no state was left.
    pub is_whole: bool,
    /// The invariants that broke.
    pub broken: Vec<&'static str>,
}

/// Explores a world breadth first: whole, or with a mutant until something breaks.
pub fn explore(world: World) -> Explored {
    let until = Until::of(world.mutant.is_some());
    search(world, until)
}

/// When a search ends, beside at its end.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    Whole,
    /// At the first broken invariant.
    Broken,
    /// After so many transitions.
    Transitions(usize),
}

impl Until {
    pub const fn of(is_mutant: bool) -> Self {
        if is_mutant { Self::Broken } else { Self::Whole }
    }
}

/// Searches any model.
pub fn search<M>(model: M, until: Until) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + std::fmt::Debug + std::hash::Hash + PartialEq + Send + Sync,
    M::Action: Clone + std::fmt::Debug + PartialEq + Send + Sync,
{
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = model.checker().threads(threads);
    let checker = match until {
        Until::Whole => checker.finish_when(HasDiscoveries::All),
        Until::Broken => checker.finish_when(HasDiscoveries::Any),
        Until::Transitions(most) => checker.target_state_count(most),
    };
    let checker = checker.spawn_bfs().join();
    let mut broken: Vec<_> = checker.discoveries().into_keys().collect();
    broken.sort_unstable();
    Explored {
        states: checker.unique_state_count(),
        transitions: checker.state_count(),
        depth: checker.max_depth(),
        is_whole: match until {
            Until::Whole => true,
            Until::Broken => broken.is_empty(),
            Until::Transitions(most) => checker.state_count() < most,
        },
        broken,
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !self.is_readable(state) {
            return;
        }
        for (at, call) in state.calls.iter().enumerate() {
            self.steps_of(state, at, call, actions);
        }
        for (at, message) in state.wire.iter().enumerate() {
            if message.is_reserve && self.config.has_calm_reserves {
                actions.push(Action::Deliver(at, true));
                continue;
            }
            let deliveries = [true, false].map(|is_heard| Action::Deliver(at, is_heard));
            actions.extend(deliveries.into_iter().chain([Action::Lose(at)]));
        }
        for (at, event) in state.events.iter().enumerate() {
            actions.push(Action::Hear(at, false));
            if event.copies > 1 {
                actions.push(Action::Hear(at, true));
            }
        }
        for scope in self.scopes() {
            let budget = state.budget(scope);
            let due = budget.holds.keys().filter(|rid| {
                let (call, of) = state.call_of(**rid);
                let (stage, is_alive_due) = (state.calls[call].stage, self.config.sweeps_living);
                let is_gone = state.calls[call].is_gone()
                    || self.is(Mutant::EarlySweep)
                    || (is_alive_due && stage != Stage::Reserving);
                let is_free = self.is(Mutant::EarlySweep) || self.is(Mutant::SweepNoWindow);
                is_gone && (is_free || !state.is_reserve_under_way(call, of, scope))
            });
            actions.extend(due.map(|rid| Action::Sweep(scope, *rid)));
            if self.config.has_period && !self.closings(&budget, state.period).is_empty() {
                actions.push(Action::Close(scope));
            }
        }
        if self.config.has_period && state.period == 0 {
            actions.push(Action::Period);
        }
        if self.config.has_limit_change && !state.is_limit_changed {
            actions.push(Action::Limit);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(state, &action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I1 admission", |_, state: &State| state.broken.is_none()),
            Property::always("I1 bill", |world: &Self, state| {
                !world.is_readable(state) || world.covers_bills(state)
            }),
            Property::always("I4", |world: &Self, state| world.balances(state)),
            Property::always("I10", |world: &Self, state| {
                !world.is_readable(state) || world.holds_what_streams(state)
            }),
            Property::always("I2, I3", |world: &Self, state| world.charges_truth(state)),
            Property::always("I5", |world: &Self, state| {
                let mut actions = Vec::new();
                world.actions(state, &mut actions);
                !actions.is_empty() || !world.is_readable(state) || world.is_quiet(state)
            }),
        ]
    }
}

impl World {
    fn scopes(&self) -> std::ops::RangeInclusive<usize> {
        let all = self.config.scopes.iter().flat_map(|scopes| scopes.iter());
        0..=*all.max().unwrap()
    }

    /// Whether every budget still parses: an unreadable one is a violation of I4, and an end.
    fn is_readable(&self, state: &State) -> bool {
        self.scopes().all(|scope| state.parsed(scope).is_some())
    }

    fn steps_of(&self, state: &State, at: usize, call: &Call, actions: &mut Vec<Action>) {
        for (lane, place) in call.lanes.iter().enumerate() {
            let machine = place.machine.as_ref().map(|machine| &*machine.value);
            let is_calm = self.config.has_calm_reserves;
            if machine.is_some_and(|one| !(is_calm && matches!(one, Machine::Reserve(_)))) {
                actions.push(Action::Timeout(at, lane));
            }
        }
        match call.stage {
            Stage::Idle => actions.push(Action::Start(at)),
            Stage::Waiting => actions.extend([Action::Again(at), Action::GiveUp(at)]),
            Stage::Calling => {
                let costs = self.config.costs.iter();
                let settled = costs.map(|cost| (Decision::Settle(pico(*cost)), *cost));
                let unbilled = [(Decision::Void, 0)];
                let unknown =
                    if self.is(Mutant::VoidOnUnknown) { Decision::Void } else { Decision::Worst };
                let unknown = [(unknown, 0), (unknown, HOLD)];
                let is_whole = self.config.has_unknown && !self.config.has_extend;
                let unknown = unknown.into_iter().filter(|_| is_whole);
                let all = settled.chain(unbilled).chain(unknown);
                actions.extend(all.map(|(decision, bill)| Action::Outcome(at, decision, bill)));
                self.steps_of_metered(at, call, actions);
            }
            Stage::Ending if call.is_queue_due => {
                actions.push(Action::Enqueue(at, false));
                if self.config.may_lose_event {
                    actions.push(Action::Enqueue(at, true));
                }
            }
            Stage::Reserving | Stage::Voiding | Stage::Ending | Stage::Over | Stage::Dead => {}
        }
        if state.crashes > 0 && call.stage != Stage::Idle && !call.is_gone() {
            actions.push(Action::Crash(at, 0));
            if call.stage == Stage::Calling {
                actions.extend(self.config.costs.iter().map(|bill| Action::Crash(at, *bill)));
                if self.config.has_extend {
                    actions.push(Action::Crash(at, call.confirmed()));
                }
            }
        }
    }

    pub(super) fn check_admission(&self, state: &mut State, message: &Message) {
        let call = &state.calls[message.call];
        let scope = call.lanes[message.lane].scope;
        let limit = state.budget(scope).terms.settings.limits.month.unwrap();
        let (_, committed) = self.charged(state, scope, call.period);
        if committed > limit.pico() {
            state.broken = Some("I1 admission above the limit in force");
        }
    }

    /// Settled and committed of a month, with what was archived of it.
    #[expect(clippy::unused_self, reason = "it stands beside the other invariants")]
    fn charged(&self, state: &State, scope: usize, period: u8) -> (i128, i128) {
        let month = hold(period).day.month();
        let counter = state.budget(scope).counter(Period::Month(month));
        let archive = state.store.value.get(&owner(scope).archive(month));
        let archived = archive.map_or(0, |item| match item["s"] {
            Attr::N(archived) => archived,
            Attr::S(_) => panic!("an archive holds a number"),
        });
        (counter.settled().pico() + archived, counter.committed.pico() + archived)
    }

    fn covers_bills(&self, state: &State) -> bool {
        let mut of_all = self.scopes().flat_map(|scope| [(scope, 0), (scope, 1)]);
        of_all.all(|(scope, period)| {
            let calls = state.calls.iter().filter(|call| {
                call.period == period && call.lanes.iter().any(|lane| lane.scope == scope)
            });
            let bill: i128 = calls.map(|call| call.bill).sum();
            bill == 0 || bill <= self.charged(state, scope, period).1
        })
    }

    fn balances(&self, state: &State) -> bool {
        self.scopes().all(|scope| {
            let Some(budget) = state.parsed(scope) else { return false };
            let held = |month| {
                let holds = budget.holds.values().filter(|hold| hold.day.month() == month);
                holds.map(|hold| hold.amount.pico()).sum::<i128>()
            };
            let is_counted = usize::try_from(budget.open) == Ok(budget.holds.len());
            is_counted
                && [0, 1].into_iter().all(|period| {
                    let month = hold(period).day.month();
                    let counter = budget.counter(Period::Month(month));
                    let settled = counter.settled().pico();
                    counter.committed.pico() == settled + held(month) && settled >= 0
                })
        })
    }

    fn is_quiet(&self, state: &State) -> bool {
        state.wire.is_empty()
            && state.events.is_empty()
            && state.calls.iter().all(Call::is_gone)
            && self.scopes().all(|scope| state.budget(scope).holds.is_empty())
    }

    /// At rest each call is charged what it was billed, or its hold and visibly so.
    fn charges_truth(&self, state: &State) -> bool {
        if !self.is_readable(state) || !self.is_quiet(state) {
            return true;
        }
        self.scopes().all(|scope| {
            let mut due = [0_i128; 2];
            for (at, call) in state.calls.iter().enumerate() {
                if call.lanes.iter().all(|lane| lane.scope != scope) {
                    continue;
                }
                let tombstone = state.store.value.get(&owner(scope).tombstone(call.rid(at)));
                let is_provisional =
                    tombstone.as_ref().is_some_and(|item| item["st"] == Attr::S("P".to_owned()));
                // What an earlier round held is voided: it is never charged, not even by a sweep.
                let mut before = (0..call.round).map(|round| rid_of(at, call.period, round));
                if before.any(|rid| state.store.value.get(&owner(scope).tombstone(rid)).is_some()) {
                    return false;
                }
                if is_provisional && !call.is_crashed && !self.config.may_lose_event {
                    return false;
                }
                due[usize::from(call.period)] += match tombstone.map(|item| item["a"].clone()) {
                    Some(Attr::N(amount)) if is_provisional => amount,
                    _ if call.decision() == Some(Decision::Worst) => HOLD,
                    _ if call.is_unknown() => call.decision.unwrap().1,
                    _ => call.bill,
                };
            }
            let settled = [0, 1].map(|period| self.charged(state, scope, period).0);
            settled == due
        })
    }
}
