//! A budget that is divided into shares (`docs/money.md` 4.3), around the ledger's own decisions
//! and writes: a whole, two shares, calls in any of the three, draws and returns that arrive late
//! or never, the switch both ways, a lowered limit and the end of a month, at any moment.

mod state;

use farebox_core::Decision;
use farebox_ledger::{
    Answer, Attr, Budget, Key, Next, Owner, Period, Shares, Terms, Transaction, archive, update,
};
use stateright::{Model, Property};

use super::check::{Explored, Until, search};
use super::mutants::{always, begins};
use super::{Cached, HOLD, clock, hold, pico, rid, settings};
use crate::support::Store;

/// Shares that are ever made.
const SHARES: u8 = 2;

/// A world of one divided budget.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub name: &'static str,
    pub calls: usize,
    /// The limit, and what the owner lowers it to, where it does.
    pub limit: i128,
    pub lowered: Option<i128>,
    /// What a call may cost.
    pub costs: &'static [i128],
    /// Draws, returns and other writes about shares that may begin.
    pub moves: u8,
    /// How often it is switched, from calls in the whole on; else it begins with shares.
    pub switches: u8,
    pub has_period: bool,
    /// Requests under way at once.
    pub wire: usize,
}

const PLAIN: Config = Config {
    name: "shares",
    calls: 3,
    limit: 5,
    lowered: None,
    costs: &[1],
    moves: 5,
    switches: 0,
    has_period: false,
    wire: 3,
};

/// Every configuration that is explored whole, the smallest first.
pub const CONFIGS: &[Config] = &[
    Config { name: "shares-small", calls: 2, moves: 3, wire: 2, switches: 1, ..PLAIN },
    PLAIN,
    Config { name: "shares-lowered", lowered: Some(2), moves: 4, ..PLAIN },
    Config { name: "shares-switch", switches: 2, moves: 4, wire: 2, ..PLAIN },
    Config { name: "shares-overrun", costs: &[1, 3], calls: 2, ..PLAIN },
    Config { name: "shares-period", has_period: true, calls: 2, moves: 4, ..PLAIN },
];

/// One break of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    DrawNoCond,
    SplitDraw,
    ReturnNoEpoch,
    ReturnNoCond,
    DrawNoEpoch,
    ReserveNoEpoch,
    FreshPool,
    OffForgets,
    GrantUncounted,
    PruneAllowances,
}

/// Each mutant, what is broken in it, and the configuration that kills it.
pub const MUTANTS: &[(Mutant, &str, &str)] = &[
    (Mutant::DrawNoCond, "a draw does not ask for room", "shares"),
    (Mutant::SplitDraw, "a draw is two writes, and the second never comes", "shares-small"),
    (Mutant::ReturnNoEpoch, "a return leaves the share's ep", "shares"),
    (Mutant::ReturnNoCond, "a return does not ask what is committed", "shares"),
    (Mutant::DrawNoEpoch, "a draw without the whole's ep = :ep", "shares-lowered"),
    (Mutant::ReserveNoEpoch, "a reserve in a share without ep = :ep", "shares"),
    (Mutant::FreshPool, "switched on, the pool is the whole limit", "shares-small"),
    (Mutant::OffForgets, "switched off, what shares have drawn is free at once", "shares-switch"),
    (Mutant::GrantUncounted, "the month closes as if nothing were drawn of it", "shares-period"),
    (Mutant::PruneAllowances, "a share's month closes with a hold open", "shares-period"),
];

/// A configuration, and what is broken in it on purpose.
#[derive(Clone, Debug)]
pub struct Hot {
    pub config: Config,
    pub mutant: Option<Mutant>,
}

/// Where a call is held: in the whole, or in a share.
type Place = Option<u8>;

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Stage {
    Idle,
    Sent,
    Over,
}

#[derive(Clone, Debug, Hash, PartialEq)]
struct Call {
    stage: Stage,
    place: Place,
    period: u8,
    cost: Option<i128>,
}

#[derive(Clone, Debug, Hash, PartialEq)]
struct Message {
    /// The call whose reserve it is.
    call: Option<usize>,
    request: Cached<Transaction>,
}

/// One state of the world.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct State {
    store: Cached<Store>,
    calls: Vec<Call>,
    wire: Vec<Message>,
    moves: u8,
    switches: u8,
    period: u8,
    is_lowered: bool,
    /// What may be committed: the limit in force, or what was committed when it was lowered.
    ceiling: [i128; 2],
}

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Start(usize, Place),
    Settle(usize, i128),
    Void(usize),
    Deliver(usize),
    Lose(usize),
    /// A call in the whole or in a share needs room.
    Need(Place),
    /// One write of what a tending would send.
    Tend(usize),
    Limit,
    Switch,
    Period,
    Close(Place),
}

fn whole() -> Owner {
    Owner::new("acme", "org:o1".parse().unwrap())
}

fn owner(place: Place) -> Owner {
    let whole = whole();
    match place {
        None => whole,
        Some(share) => Owner { scope: whole.scope.with_share(share), ..whole },
    }
}

fn places() -> impl Iterator<Item = Place> {
    core::iter::once(None).chain((0..SHARES).map(Some))
}

fn month(period: u8) -> Period {
    Period::Month(hold(period).day.month())
}

/// Explores a world breadth first: whole, or with a mutant until something breaks.
pub fn explore(world: Hot) -> Explored {
    let until = Until::of(world.mutant.is_some());
    search(world, until)
}

impl Model for Hot {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut store = Store::default();
        let now = clock(0);
        store.apply(&farebox_ledger::Budget::create(&whole(), &settings(self.config.limit), now));
        let used = if self.config.switches == 0 { SHARES } else { 0 };
        let epoch = u64::try_from(now.ms()).unwrap();
        store.apply(&update::switch(&whole(), Shares { used, made: SHARES }, epoch));
        let terms = Terms::parse(&store.get(&whole().budget()).unwrap()).unwrap();
        for share in 0..SHARES {
            let settings = farebox_ledger::share::share_settings(&terms, share);
            store.apply(&update::create_share(&owner(Some(share)), &settings, now));
        }
        let call = Call { stage: Stage::Idle, place: None, period: 0, cost: None };
        vec![State {
            store: Cached::new(store),
            calls: vec![call; self.config.calls],
            wire: Vec::new(),
            moves: self.config.moves,
            switches: self.config.switches,
            period: 0,
            is_lowered: false,
            ceiling: [self.config.limit; 2],
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let Some(divided) = state.divided() else { return };
        let has_wire = state.wire.len() < self.config.wire;
        // The calls are alike, so the first idle one goes next.
        let idle = state.calls.iter().position(|call| call.stage == Stage::Idle);
        if let Some(call) = idle.filter(|_| has_wire) {
            let open =
                places().filter(|place| state.budget(*place).terms.settings.mode.is_strict());
            actions.extend(open.map(|place| Action::Start(call, place)));
        }
        for (at, call) in state.calls.iter().enumerate() {
            if state.is_held(at, call) {
                actions.extend(self.config.costs.iter().map(|cost| Action::Settle(at, *cost)));
                actions.push(Action::Void(at));
            }
        }
        actions
            .extend((0..state.wire.len()).flat_map(|at| [Action::Deliver(at), Action::Lose(at)]));
        if state.moves > 0 && has_wire {
            actions.extend(places().map(Action::Need));
            let tended = divided.tend(clock(state.period)).len();
            actions.extend((0..tended).map(Action::Tend));
        }
        if self.config.lowered.is_some() && !state.is_lowered {
            actions.push(Action::Limit);
        }
        if state.switches > 0 {
            actions.push(Action::Switch);
        }
        if self.config.has_period && state.period == 0 {
            actions.push(Action::Period);
        }
        if self.config.has_period && state.period == 1 {
            let due = places().filter(|place| self.closing(&state.budget(*place)).is_some());
            actions.extend(due.map(Action::Close));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Start(call, place) => self.start(&mut next, call, place),
            Action::Settle(call, cost) => next.end(call, Decision::Settle(pico(cost))),
            Action::Void(call) => next.end(call, Decision::Void),
            Action::Deliver(at) => self.deliver(&mut next, at),
            Action::Lose(at) => drop(next.wire.remove(at)),
            Action::Need(place) => {
                let found = next.divided()?.next(place, pico(HOLD), clock(next.period));
                let Next::Move(moved) = found else { return None };
                self.send(&mut next, None, moved);
            }
            Action::Tend(which) => {
                let moved = next.divided()?.tend(clock(next.period)).swap_remove(which);
                self.send(&mut next, None, moved);
            }
            Action::Limit => self.lower(&mut next),
            Action::Switch => self.switch(&mut next),
            Action::Period => next.period = 1,
            Action::Close(place) => self.close(&mut next, place),
        }
        next.settle_ceiling();
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("parses", |_, state: &State| state.divided().is_some()),
            Property::always("E1", |_, state: &State| state.balances()),
            Property::always("E2", |_, state: &State| state.is_within()),
            Property::always("I1", |_, state: &State| state.is_bounded()),
            Property::always("I2", |_, state: &State| state.charges_truth()),
            Property::always("a change is done when nothing is left to do", |_, state: &State| {
                let Some(divided) = state.divided() else { return true };
                let now = clock(state.period);
                let is_open = state.calls.iter().enumerate().any(|(at, c)| state.is_held(at, c));
                let is_quiet = state.wire.is_empty() && !is_open && divided.tend(now).is_empty();
                !is_quiet || !divided.is_pending(now)
            }),
        ]
    }
}

impl Hot {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn start(&self, state: &mut State, call: usize, place: Place) {
        let terms = state.budget(place).terms;
        let held = hold(state.period);
        if terms.is_closed(held.day) {
            return;
        }
        let mut write = update::reserve(&owner(place), rid(call, state.period), &held, &terms);
        if self.is(Mutant::ReserveNoEpoch) {
            write.condition = write.condition.replace("ep = :ep", "(ep = :ep OR ep > :ep)");
        }
        let one = &mut state.calls[call];
        (one.stage, one.place, one.period) = (Stage::Sent, place, state.period);
        state.wire(Some(call), Transaction { actions: vec![write] });
    }

    fn send(&self, state: &mut State, call: Option<usize>, mut moved: Transaction) {
        state.moves -= 1;
        let is_draw =
            moved.actions.iter().any(|one| one.condition.starts_with("attribute_exists(ta)"));
        for one in &mut moved.actions {
            let is_whole = one.key == whole().budget();
            if is_draw && is_whole && self.is(Mutant::DrawNoCond) {
                always(one);
            }
            if is_draw && is_whole && self.is(Mutant::DrawNoEpoch) {
                one.condition = one.condition.replace("ep = :ep", "(ep = :ep OR ep > :ep)");
            }
            if begins(one, "SET ep = ep + :one ADD") && self.is(Mutant::ReturnNoCond) {
                always(one);
            }
        }
        if is_draw && self.is(Mutant::SplitDraw) {
            moved.actions.retain(|one| one.key != whole().budget());
        }
        state.wire(call, moved);
    }

    fn deliver(&self, state: &mut State, at: usize) {
        let message = state.wire.remove(at);
        let mut store = Store::clone(&state.store.value);
        let actions = &message.request.value.actions;
        let keys: Vec<Key> = actions.iter().map(|one| one.key.clone()).collect();
        let before: Vec<_> = keys.iter().map(|key| store.get(key)).collect();
        let answer = match actions.as_slice() {
            [one] => store.apply(one),
            _ => store.transact(&message.request.value),
        };
        if answer != Answer::Applied {
            if let Some(call) = message.call {
                state.calls[call].stage = Stage::Over;
            }
            return;
        }
        if self.is(Mutant::ReturnNoEpoch)
            && actions.iter().any(|one| begins(one, "SET ep = ep + :one ADD"))
        {
            for (key, before) in keys.iter().zip(before) {
                let epoch = before.unwrap()["ep"].clone();
                store.items.get_mut(key).unwrap().insert("ep".to_owned(), epoch);
            }
        }
        state.store = Cached::new(store);
    }

    fn lower(&self, state: &mut State) {
        state.is_lowered = true;
        let budget = state.budget(None);
        let limit = self.config.lowered.unwrap();
        let change = update::limit_change(&whole(), &settings(limit), budget.terms.epoch);
        let mut store = Store::clone(&state.store.value);
        assert_eq!(store.apply(&change), Answer::Applied);
        state.store = Cached::new(store);
        state.ceiling =
            [0, 1].map(|period| budget.counter(month(period)).committed.pico().max(limit));
    }

    fn switch(&self, state: &mut State) {
        state.switches -= 1;
        let budget = state.budget(None);
        let used = if budget.terms.shares.used == 0 { SHARES } else { 0 };
        let shares = Shares { used, made: SHARES };
        let mut store = Store::clone(&state.store.value);
        let switch = update::switch(&whole(), shares, budget.terms.epoch);
        assert_eq!(store.apply(&switch), Answer::Applied);
        let item = store.items.get_mut(&whole().budget()).unwrap();
        let is_forgotten = match used {
            0 => self.is(Mutant::OffForgets),
            _ => self.is(Mutant::FreshPool),
        };
        let counter = budget.counter(month(0));
        if is_forgotten && counter.committed.pico() > 0 {
            let Period::Month(month) = month(0) else { return };
            let kept = if used == 0 { counter.settled().pico() } else { 0 };
            item.insert(format!("mc_{month}"), Attr::N(kept));
        }
        state.store = Cached::new(store);
    }

    fn closing(&self, budget: &Budget) -> Option<farebox_ledger::Closing> {
        let due = archive::due(budget, clock(1)).into_iter();
        let mut due = due.filter(|one| matches!(one, farebox_ledger::Closing::Month { .. }));
        let first =
            budget.months.first_key_value().filter(|(one, _)| Period::Month(**one) == month(0));
        let is_forced = self.is(Mutant::PruneAllowances) && budget.terms.allowances.is_some();
        due.next().or_else(|| {
            let (month, counter) = first.filter(|_| is_forced)?;
            Some(farebox_ledger::Closing::Month { month: *month, settled: counter.settled })
        })
    }

    fn close(&self, state: &mut State, place: Place) {
        let mut budget = state.budget(place);
        let Some(closing) = self.closing(&budget) else { return };
        if self.is(Mutant::GrantUncounted) {
            budget.granted.clear();
        }
        let mut write = closing.write(&owner(place), &budget, clock(1));
        if self.is(Mutant::PruneAllowances) || self.is(Mutant::GrantUncounted) {
            write.actions.iter_mut().skip(1).for_each(always);
        }
        let mut store = Store::clone(&state.store.value);
        if store.transact(&write) == Answer::Applied {
            state.store = Cached::new(store);
        }
    }
}
