//! A small world: callers, a faulty network, the queue, the sweeper, the owner and the clock,
//! all driven by bytes, and the invariants that hold after every step.

mod entries;
mod invariants;
mod shares;

use std::collections::BTreeSet;

use farebox_core::{Decision, Money, Rid, Timestamp, Zone};
use farebox_ledger::{
    Admission, Answer, Budget, Cause, Closing, Ended, Ending, Extend, Extension, Hold, Limits,
    Mode, Owner, Period, Reserve, Reserved, Settings, Step, Sweep, Terms, Update, Write, archive,
    update,
};

use crate::support::{self, Request, Store};

use shares::{PLACES, Place, SHARES, slot};

const CALLS_MAX: usize = 6;
const DEADLINE_S: u32 = 60;
/// A signed request is refused after this.
const SIGNED_MS: i64 = 300_000;
const SWEEP_MS: i64 = 390_000;

pub enum Stage {
    Reserving(Box<Reserve>),
    Calling,
    Extending(Box<Extend>),
    Ending(Box<Ending>),
    Over,
}

pub struct Call {
    /// Where it is held: in the budget itself, or in a share.
    place: Place,
    rid: Rid,
    stage: Stage,
    hold: Option<Hold>,
    ambiguous: bool,
    decision: Option<Decision>,
    bill: i128,
    crashed: bool,
    is_metered: bool,
}

/// What the queue carries.
#[derive(Clone)]
struct Event {
    place: Place,
    rid: Rid,
    hold: Option<Hold>,
    decision: Decision,
    ambiguous: bool,
}

pub struct World {
    /// For a test to keep its journal.
    pub store: Store,
    /// The budget itself.
    owner: Owner,
    now: Timestamp,
    calls: Vec<Call>,
    wire: Vec<(Request, Option<Timestamp>)>,
    events: Vec<Event>,
    loggers: Vec<Ending>,
    cached: [Terms; 1 + SHARES as usize],
    entries: Vec<entries::Entered>,
    /// Where a draw came late, of a period that was not closed there yet.
    drawn_late: BTreeSet<(Place, Period)>,
    /// The scheduler's clock may be weeks ahead; else the owner may move.
    is_ahead: bool,
}

pub fn pico(pico: i128) -> Money {
    Money::from_pico(pico).unwrap()
}

pub fn settings(mode: Mode, limits: [Option<i128>; 3]) -> Settings {
    let [month, day, total] = limits.map(|limit| limit.map(pico));
    let limits = Limits { month, day, total };
    Settings { mode, zone: Zone::utc(), limits, thresholds: vec![80] }
}

impl World {
    /// Ten seconds before a month ends.
    pub fn new(limits: [Option<i128>; 3], is_ahead: bool) -> Self {
        let now = Timestamp::parse("2026-11-30T23:59:50Z").unwrap();
        let owner = support::owner();
        let mut store = Store::default();
        let create = Budget::create(&owner, &settings(Mode::Hard, limits), now);
        assert_eq!(store.apply(&create), Answer::Applied);
        let cached = shares::make(&mut store, &owner, now);
        let (calls, wire, events, loggers, entries, drawn_late) = Default::default();
        Self {
            store,
            owner,
            now,
            calls,
            wire,
            events,
            loggers,
            cached,
            entries,
            drawn_late,
            is_ahead,
        }
    }

    /// One step: `what` happens to `whom`, and `how` it goes.
    pub fn step(&mut self, what: u8, whom: u8, how: u8) {
        match what % 20 {
            0 | 1 => self.arrive(whom, how),
            2..=7 => self.advance(usize::from(whom), how),
            8 => self.deliver(usize::from(whom)),
            9 => self.hear(usize::from(whom)),
            10 => self.log(usize::from(whom), how),
            11 => self.pass(how),
            12 => self.crash(usize::from(whom), how),
            13 => self.sweep(how),
            14 => self.close(how),
            16 | 17 => self.need(whom, how),
            18 => self.tend(how),
            19 => self.divide(whom, how),
            _ if how.is_multiple_of(3) => self.enter(whom, how),
            _ => self.administer(whom, how),
        }
        self.check();
    }

    fn budget(&self) -> Budget {
        self.budget_of(None)
    }

    fn arrive(&mut self, whom: u8, how: u8) {
        if self.calls.len() >= CALLS_MAX {
            return;
        }
        // A rid is older than its reserve, and much older in a process that was frozen.
        let age = [0, 0, 0, 20_000, 600_000][usize::from(how) % 5];
        let rid = Rid::new(self.now.plus_ms(-age), u128::try_from(self.calls.len()).unwrap());
        let place = [None, Some(0), Some(1), None][usize::from(whom) % 4];
        let (owner, terms) = (self.owner_of(place), self.cached[slot(place)].clone());
        let amount = pico(i128::from(how % 64) + 1);
        let reserve = Reserve::new(owner, rid, amount, terms, self.now, DEADLINE_S);
        self.calls.push(Call {
            place,
            rid,
            stage: Stage::Reserving(Box::new(reserve)),
            hold: None,
            ambiguous: false,
            decision: None,
            bill: 0,
            crashed: false,
            is_metered: false,
        });
    }

    fn advance(&mut self, whom: usize, how: u8) {
        let Some(place) = whom.checked_rem(self.calls.len()) else { return };
        let stage = std::mem::replace(&mut self.calls[place].stage, Stage::Over);
        self.calls[place].stage = match stage {
            Stage::Reserving(mut reserve) => match reserve.step(self.now) {
                Step::Send(write) => {
                    let answer = self.send(Request::One(write), how);
                    reserve.observe(answer, self.now, u64::from(how));
                    Stage::Reserving(reserve)
                }
                Step::Pause { ms } => {
                    assert!((20..=200).contains(&ms));
                    self.now = self.now.plus_ms(i64::from(ms));
                    Stage::Reserving(reserve)
                }
                Step::Done(reserved) => self.admit(place, reserved),
                Step::Transact(_) | Step::Read(_) => panic!("a reserve is one write"),
            },
            Stage::Calling if how % 16 >= 14 => self.extend(place, how),
            Stage::Calling => self.answer(place, how),
            Stage::Extending(mut extend) => match extend.step(self.now) {
                Step::Send(write) => {
                    let answer = self.send(Request::One(write), how);
                    extend.observe(answer, u64::from(how));
                    Stage::Extending(extend)
                }
                Step::Pause { ms } => {
                    self.now = self.now.plus_ms(i64::from(ms));
                    Stage::Extending(extend)
                }
                Step::Done(extended) => {
                    assert!(!matches!(
                        extended.extension,
                        Extension::Unavailable(Cause::Unexplained)
                    ));
                    // Only what is confirmed may be used.
                    self.calls[place].hold = Some(extended.hold);
                    Stage::Calling
                }
                Step::Transact(_) | Step::Read(_) => panic!("an extension is one write"),
            },
            Stage::Ending(mut ending) => match self.end(&mut ending, how) {
                Some(_) => Stage::Over,
                None => Stage::Ending(ending),
            },
            Stage::Over => Stage::Over,
        };
    }

    fn admit(&mut self, place: usize, reserved: Reserved) -> Stage {
        let call = &mut self.calls[place];
        if let Some(terms) = reserved.fresh {
            self.cached[slot(call.place)] = terms;
        }
        call.hold = Some(reserved.hold);
        call.ambiguous = reserved.ambiguous;
        match reserved.admission {
            Admission::Held => return Stage::Calling,
            Admission::Unavailable(cause @ (Cause::HoldConflict | Cause::Unexplained)) => {
                panic!("{cause}")
            }
            Admission::Unheld { .. } => panic!("the budget is not full"),
            Admission::Refused(_) | Admission::Restart | Admission::Unavailable(_) => {}
        }
        if !reserved.ambiguous {
            call.hold = None;
            return Stage::Over;
        }
        self.decide(place, Decision::Void)
    }

    /// A metered stream nears its hold.
    fn extend(&mut self, place: usize, how: u8) -> Stage {
        let Call { rid, hold, place: held, .. } = self.calls[place];
        let hold = hold.unwrap();
        self.calls[place].is_metered = true;
        let amount = pico(hold.amount.pico() + i128::from(how % 32));
        let (owner, terms) = (self.owner_of(held), self.cached[slot(held)].clone());
        Stage::Extending(Box::new(Extend::new(owner, rid, hold, amount, terms, self.now)))
    }

    /// The provider answers, or the process dies while it does.
    fn answer(&mut self, place: usize, how: u8) -> Stage {
        let amount = self.calls[place].hold.unwrap().amount.pico();
        let part = amount * i128::from(how) / 255;
        let (bill, decision) = match how % 8 {
            0 => (0, Decision::Void),
            // A hold may be larger than what is confirmed of it: the worst case is the latter.
            1 if self.calls[place].is_metered => (part, Decision::Settle(pico(amount))),
            1 => (part, Decision::Worst),
            2 => {
                self.calls[place].bill = part;
                self.calls[place].crashed = true;
                return Stage::Over;
            }
            3 => (amount + 1, Decision::Settle(pico(amount + 1))),
            _ => (part, Decision::Settle(pico(part))),
        };
        self.calls[place].bill = bill;
        self.decide(place, decision)
    }

    /// The decision is taken once; the queue carries it once or twice, and the caller ends it.
    fn decide(&mut self, place: usize, decision: Decision) -> Stage {
        let call = &mut self.calls[place];
        call.decision = Some(decision);
        let Call { place, rid, hold, ambiguous, .. } = *call;
        let event = Event { place, rid, hold, decision, ambiguous };
        self.events.extend([event.clone(), event.clone()]);
        Stage::Ending(Box::new(self.ending(&event)))
    }

    fn ending(&self, event: &Event) -> Ending {
        let Event { place, rid, hold, decision, ambiguous } = *event;
        Ending::new(self.owner_of(place), rid, hold, decision, ambiguous, self.now)
    }

    fn end(&mut self, ending: &mut Ending, how: u8) -> Option<Ended> {
        match ending.step(self.now) {
            Step::Send(write) => {
                let answer = self.send(Request::One(write), how);
                ending.observe(answer, self.now, u64::from(how));
            }
            Step::Transact(transaction) => {
                let answer = self.send(Request::Many(transaction), how);
                ending.observe(answer, self.now, u64::from(how));
            }
            Step::Read(key) => match how % 10 {
                5..=7 => ending.observe(Answer::Ambiguous, self.now, 0),
                8 => ending.observe(Answer::Throttled, self.now, 0),
                _ => ending.observe_item(self.store.get(&key)),
            },
            Step::Pause { ms } => self.now = self.now.plus_ms(i64::from(ms)),
            Step::Done(ended) => return Some(ended),
        }
        None
    }

    /// Sends a request through the network: well, or with its answer lost, lost, late,
    /// throttled, or twice. A reserve is never sent twice by itself (W1).
    fn send(&mut self, request: Request, how: u8) -> Answer {
        let is_reserve = matches!(&request, Request::One(one) if is_reserve(one));
        let valid = is_reserve.then(|| self.now.plus_ms(SIGNED_MS));
        match how % 10 {
            5 => {
                self.perform(&request);
                Answer::Ambiguous
            }
            6 => Answer::Ambiguous,
            7 => {
                self.wire.push((request, valid));
                Answer::Ambiguous
            }
            8 => Answer::Throttled,
            9 if !is_reserve => {
                self.wire.push((request.clone(), None));
                self.perform(&request)
            }
            _ => self.perform(&request),
        }
    }

    fn perform(&mut self, request: &Request) -> Answer {
        let answer = match request {
            Request::One(update) => self.store.apply(update),
            Request::Many(transaction) => self.store.transact(transaction),
        };
        let update = match request {
            Request::One(update) => update,
            Request::Many(transaction) => {
                if answer == Answer::Applied {
                    self.check_draw(transaction);
                }
                return answer;
            }
        };
        if is_reserve(update) && answer == Answer::Applied {
            self.check_admission(update);
        }
        if is_extend(update) && answer == Answer::Applied {
            self.check_extension(update);
        }
        answer
    }

    fn deliver(&mut self, whom: usize) {
        let Some(place) = whom.checked_rem(self.wire.len()) else { return };
        let (request, valid) = self.wire.swap_remove(place);
        if valid.is_none_or(|valid| self.now <= valid) {
            let drawn = self.drawn_open(&request);
            if self.perform(&request) == Answer::Applied {
                self.drawn_late.extend(drawn);
            }
        }
    }

    fn hear(&mut self, whom: usize) {
        let Some(place) = whom.checked_rem(self.events.len()) else { return };
        let event = self.events[place].clone();
        self.loggers.push(self.ending(&event));
    }

    fn log(&mut self, whom: usize, how: u8) {
        let Some(place) = whom.checked_rem(self.loggers.len()) else { return };
        let mut ending = self.loggers.swap_remove(place);
        if self.end(&mut ending, how).is_none() {
            self.loggers.push(ending);
        }
    }

    fn pass(&mut self, how: u8) {
        const MINUTE: i64 = 60_000;
        let steps =
            [1, 100, 1_000, 10_000, 5 * MINUTE, 10 * MINUTE, 1_440 * MINUTE, 4_320 * MINUTE];
        self.now = self.now.plus_ms(steps[usize::from(how) % steps.len()]);
    }

    fn crash(&mut self, whom: usize, how: u8) {
        let Some(place) = whom.checked_rem(self.calls.len()) else { return };
        let call = &mut self.calls[place];
        if how.is_multiple_of(4) && !matches!(call.stage, Stage::Over) {
            call.crashed = true;
            call.stage = Stage::Over;
        }
    }

    fn sweep(&mut self, how: u8) {
        for place in PLACES {
            for (rid, hold) in self.budget_of(place).holds {
                if Sweep::is_due(rid, &hold, self.now) {
                    let sweep = update::sweep(&self.owner_of(place), rid, &hold, self.now);
                    self.send(Request::Many(sweep), how);
                }
            }
        }
    }

    /// The scheduler closes what is due, in some worlds by a clock that is weeks ahead: the
    /// conditions must hold even then. Only a fence relies on the time.
    fn close(&mut self, how: u8) {
        let ahead = if self.is_ahead { 35 * 86_400_000 } else { 0 };
        for place in PLACES {
            let (owner, budget) = (self.owner_of(place), self.budget_of(place));
            for closing in archive::due(&budget, self.now.plus_ms(ahead)) {
                if matches!(closing, Closing::Fence { seen, .. } if seen >= self.now.seconds()) {
                    continue;
                }
                let write = closing.write(&owner, &budget, self.now);
                self.send(Request::Many(write), how);
            }
        }
    }

    fn administer(&mut self, whom: u8, how: u8) {
        let budget = self.budget();
        if whom.is_multiple_of(2) {
            let place = PLACES[usize::from(how) % PLACES.len()];
            self.cached[slot(place)] = self.budget_of(place).terms;
            return;
        }
        let limit = Some(i128::from(how));
        let limits = match whom % 8 {
            1 => [limit, None, None],
            3 => [None, limit, None],
            5 => [None, None, limit],
            _ => [limit, limit, limit],
        };
        let mode = match whom % 32 {
            11 | 13 | 23 => Mode::Soft,
            3 | 21 => Mode::Balanced,
            29 => Mode::Observe,
            31 => Mode::Closed,
            _ => Mode::Hard,
        };
        let mut settings = settings(mode, limits);
        if whom % 16 > 8 && !self.is_ahead {
            settings.zone = Zone::parse("Pacific/Kiritimati").unwrap();
        }
        let change = update::limit_change(&self.owner, &settings, budget.terms.epoch);
        self.send(Request::One(change), how);
    }

    /// Lets everything come to rest: callers finish, the queue is heard, what is under way
    /// arrives, the sweeper runs, and perhaps the queue is heard again. Then I2, I3 and I5, and
    /// the store as it was left.
    pub fn rest(mut self, is_heard_again: bool) -> Store {
        for place in 0..self.calls.len() {
            for _ in 0..40 {
                self.advance(place, 4);
                self.check();
            }
            assert!(matches!(self.calls[place].stage, Stage::Over), "a call does not end");
        }
        self.hear_all();
        while !self.wire.is_empty() {
            self.deliver(0);
            self.check();
        }
        self.now = self.now.plus_ms(2 * SWEEP_MS);
        self.sweep(0);
        self.check();
        if is_heard_again {
            self.hear_all();
        }
        self.take_leftovers();
        self.check_charges();
        self.store
    }

    /// Every event twice, and whatever was under way in the logger.
    fn hear_all(&mut self) {
        for event in self.events.clone().into_iter().chain(self.events.clone()) {
            let mut ending = self.ending(&event);
            let ended = (0..40).find_map(|_| self.end(&mut ending, 0));
            assert!(!matches!(ended, None | Some(Ended::HandOver(_))), "{ended:?}");
            self.check();
        }
        for mut ending in std::mem::take(&mut self.loggers) {
            assert!((0..40).any(|_| self.end(&mut ending, 0).is_some()));
            self.check();
        }
    }
}

fn is_reserve(update: &Update) -> bool {
    matches!(&update.write, Write::Update(text) if text.starts_with("SET #h = :h ADD"))
}

fn is_extend(update: &Update) -> bool {
    matches!(&update.write, Write::Update(text) if text.starts_with("SET #h = :h2 ADD"))
}
