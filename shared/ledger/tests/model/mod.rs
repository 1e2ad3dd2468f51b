//! The protocol as a transition system for stateright, around the ledger's real machines.
//!
//! Every write is the value that the machines of `farebox-ledger` make, executed by the
//! interpreter. What the model adds is the world: requests that are lost, late, or applied with a
//! lost answer; a queue that tells each event once or twice; a process that dies at any step;
//! the sweep, the end of a period and a change of the limit at any moment; in some worlds streams
//! whose hold is extended, or calls that wait for room and reserve again. Time is abstract: a
//! machine's clock stands still, and no reserve outlives the windows of fence and sweep.

pub mod check;
mod metered;
mod mutants;
pub mod shares;
mod table;
mod turns;
mod waiting;

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use farebox_core::{Decision, Money, Rid, Timestamp};
use farebox_ledger::{Budget, Ending, Extend, Hold, Key, Limits, Mode, Owner, Reserve, Settings};
use farebox_ledger::{Transaction, Update};

use crate::support::Store;

pub use check::explore;
pub use mutants::Mutant;
pub use table::{CONFIGS, Config, MUTANTS};

/// The hold of every call.
const HOLD: i128 = 2;
/// What a metered call extends it to.
const EXTENDED: i128 = 3;
/// The kind of a decision that settles at the smallest confirmed hold.
const UNKNOWN: u8 = 3;
/// More calls than any world has.
const CALLS_MAX: u128 = 8;
const DAY_MS: i64 = 86_400_000;

/// A value that is compared by what it prints, printed once.
#[derive(Clone, Debug)]
struct Cached<T> {
    value: Arc<T>,
    print: u64,
}

impl<T: Debug> Cached<T> {
    fn new(value: T) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{value:?}").hash(&mut hasher);
        Self { value: Arc::new(value), print: hasher.finish() }
    }
}

impl<T> PartialEq for Cached<T> {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl<T> Hash for Cached<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.print);
    }
}

#[derive(Clone, Debug)]
enum Machine {
    Reserve(Box<Reserve>),
    Extend(Box<Extend>),
    Ending(Box<Ending>),
}

#[derive(Clone, Debug)]
enum Request {
    One(Update),
    Many(Transaction),
    Read(Key),
}

/// A call in one scope.
#[derive(Clone, Debug, Hash, PartialEq)]
struct Lane {
    scope: usize,
    machine: Option<Cached<Machine>>,
    /// Requests sent so far; the last one is awaited.
    sent: u8,
    tries: u8,
    is_held: bool,
    is_ambiguous: bool,
    /// What is confirmed to be held.
    amount: i128,
    /// Where calls may wait: that only open holds refused it, or that something else did.
    refused: Option<Refused>,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Refused {
    Contended,
    Otherwise,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
enum Stage {
    Idle,
    Reserving,
    /// What a refused round holds is voided; then the call waits.
    Voiding,
    Waiting,
    Calling,
    Ending,
    Over,
    Dead,
}

#[derive(Clone, Debug, Hash, PartialEq)]
struct Call {
    stage: Stage,
    /// The period in which it began.
    period: u8,
    /// The rounds of reserves before this one; each has its own rid.
    round: u8,
    /// How often it may still reserve again.
    waits: u8,
    has_extended: bool,
    lanes: Vec<Lane>,
    decision: Option<(u8, i128)>,
    bill: i128,
    is_crashed: bool,
    is_queue_due: bool,
}

#[derive(Clone, Debug, Hash, PartialEq)]
struct Message {
    call: usize,
    lane: usize,
    number: u8,
    round: u8,
    is_reserve: bool,
    /// Deliveries left: one, but for the mutant whose SDK resends.
    copies: u8,
    request: Cached<Request>,
}

#[derive(Clone, Debug, Hash, PartialEq)]
struct Event {
    call: usize,
    lane: usize,
    is_ambiguous: bool,
    amount: i128,
    copies: u8,
}

/// One state of the world.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct State {
    store: Cached<Store>,
    calls: Vec<Call>,
    wire: Vec<Message>,
    events: Vec<Event>,
    period: u8,
    crashes: u8,
    is_limit_changed: bool,
    /// What a transition itself broke.
    broken: Option<&'static str>,
}

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Start(usize),
    /// A call that has waited reserves again, or gives up.
    Again(usize),
    GiveUp(usize),
    Timeout(usize, usize),
    /// A metered stream nears its hold.
    Extend(usize),
    /// A metered call ends and nobody knows how: it is charged the smallest confirmed hold.
    Unknown(usize, i128),
    /// The provider's outcome: the decision, and what it bills.
    Outcome(usize, Decision, i128),
    Enqueue(usize, bool),
    Crash(usize, i128),
    Lose(usize),
    /// A request arrives; its answer does too, or is lost.
    Deliver(usize, bool),
    Hear(usize, bool),
    Sweep(usize, Rid),
    Close(usize),
    Period,
    Limit,
}

/// A configuration, and what is broken in it on purpose.
#[derive(Clone, Debug)]
pub struct World {
    pub config: Config,
    pub mutant: Option<Mutant>,
}

fn pico(pico: i128) -> Money {
    Money::from_pico(pico).unwrap()
}

fn clock(period: u8) -> Timestamp {
    let began = Timestamp::parse("2026-11-30T23:59:50Z").unwrap();
    began.plus_ms(i64::from(period) * 3 * DAY_MS)
}

fn owner(scope: usize) -> Owner {
    Owner::new("acme", format!("user:u{scope}").parse().unwrap())
}

fn settings(limit: i128) -> Settings {
    let limits = Limits { month: Some(pico(limit)), day: None, total: None };
    let zone = farebox_core::Zone::utc();
    Settings { mode: Mode::Hard, zone, limits, thresholds: Vec::new() }
}

/// The hold of a call that began in a period.
fn hold(period: u8) -> Hold {
    hold_of(period, HOLD)
}

fn hold_of(period: u8, amount: i128) -> Hold {
    let day = farebox_core::Zone::utc().day(clock(period));
    Hold { amount: pico(amount), day, deadline_s: 60 }
}

fn rid(call: usize, period: u8) -> Rid {
    rid_of(call, period, 0)
}

/// The rid of a round of a call.
fn rid_of(call: usize, period: u8, round: u8) -> Rid {
    let call = u128::try_from(call).unwrap();
    Rid::new(clock(period), call + CALLS_MAX * u128::from(round))
}

impl World {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn initial(&self) -> State {
        let mut store = Store::default();
        let scopes = self.config.scopes.iter().flat_map(|scopes| scopes.iter());
        for scope in 0..=*scopes.max().unwrap() {
            store.apply(&Budget::create(&owner(scope), &settings(self.config.limits[0]), clock(0)));
        }
        assert!(self.config.waits == 0 || !self.config.has_period, "a rid is of one period");
        let call = |scopes: &&[usize]| Call {
            stage: Stage::Idle,
            period: 0,
            round: 0,
            waits: self.config.waits,
            has_extended: false,
            lanes: scopes.iter().map(|scope| Lane::new(*scope)).collect(),
            decision: None,
            bill: 0,
            is_crashed: false,
            is_queue_due: false,
        };
        State {
            store: Cached::new(store),
            calls: self.config.scopes.iter().map(call).collect(),
            wire: Vec::new(),
            events: Vec::new(),
            period: 0,
            crashes: self.config.crashes,
            is_limit_changed: false,
            broken: None,
        }
    }
}

impl Lane {
    const fn new(scope: usize) -> Self {
        Self {
            scope,
            machine: None,
            sent: 0,
            tries: 0,
            is_held: false,
            is_ambiguous: false,
            amount: HOLD,
            refused: None,
        }
    }
}

impl Call {
    fn decision(&self) -> Option<Decision> {
        self.decision.map(|(kind, cost)| match kind {
            0 => Decision::Void,
            1 => Decision::Worst,
            // Settled at a cost, or as unknown at the smallest confirmed hold.
            _ => Decision::Settle(pico(cost)),
        })
    }

    fn decide(&mut self, decision: Decision) {
        self.decision = Some(match decision {
            Decision::Void => (0, 0),
            Decision::Worst => (1, HOLD),
            Decision::Settle(cost) => (2, cost.pico()),
        });
    }

    /// The worst case of a metered call is told as an amount.
    fn is_unknown(&self) -> bool {
        self.decision.is_some_and(|(kind, _)| kind == UNKNOWN)
    }

    /// What its stream may reach: the smallest confirmed hold.
    fn confirmed(&self) -> i128 {
        self.lanes.iter().map(|lane| lane.amount).min().unwrap()
    }

    /// The rid under which it reserves now.
    fn rid(&self, at: usize) -> Rid {
        rid_of(at, self.period, self.round)
    }

    const fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Over | Stage::Dead)
    }
}

impl State {
    /// The budget of a scope; only a mutant can leave one that does not parse.
    fn parsed(&self, scope: usize) -> Option<Budget> {
        Budget::parse(&self.store.value.get(&owner(scope).budget())?).ok()
    }

    fn budget(&self, scope: usize) -> Budget {
        self.parsed(scope).expect("a state with a broken budget has no next one")
    }

    fn is_reserve_under_way(&self, call: usize, round: u8, scope: usize) -> bool {
        let lanes = &self.calls[call].lanes;
        let on = |message: &Message| {
            (message.call, message.round) == (call, round) && lanes[message.lane].scope == scope
        };
        self.wire.iter().any(|message| message.is_reserve && on(message))
    }
}
