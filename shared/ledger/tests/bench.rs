//! A bench on which one machine runs at a time.

use farebox_core::{Day, Decision, Rid, Timestamp};
use farebox_ledger::{
    Admission, Attr, Budget, Counter, Ended, Ending, Hold, Item, Mode, Reserve, Reserved, Step,
    Sweep, Swept, Why,
};

use crate::support::{Store, owner};
use crate::world::{pico, settings};

pub const NOON: &str = "2026-11-23T12:00:00Z";

/// One budget, a good network, and a clock that stands still.
pub struct Bench {
    pub store: Store,
    pub now: Timestamp,
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub fn rid(number: u128) -> Rid {
    Rid::new(at(NOON), number)
}

pub fn day() -> Day {
    Day::from_number(20_261_123).unwrap()
}

impl Bench {
    pub fn new(mode: Mode, limits: [Option<i128>; 3]) -> Self {
        let mut store = Store::default();
        store.apply(&Budget::create(&owner(), &settings(mode, limits), at("2026-01-01T00:00:00Z")));
        Self { store, now: at(NOON) }
    }

    pub fn hard(limit: i128) -> Self {
        Self::new(Mode::Hard, [Some(limit), None, None])
    }

    pub fn item(&self) -> Item {
        self.store.get(&owner().budget()).unwrap()
    }

    pub fn set(&mut self, name: &str, value: i128) {
        let item = self.store.items.get_mut(&owner().budget()).unwrap();
        item.insert(name.to_owned(), Attr::N(value));
    }

    pub fn budget(&self) -> Budget {
        Budget::parse(&self.item()).unwrap()
    }

    pub fn machine(&self, number: u128, amount: i128) -> Reserve {
        let terms = self.budget().terms;
        Reserve::new(owner(), rid(number), pico(amount), terms, self.now, 900)
    }

    /// Runs a reserve over a good network.
    pub fn run(&mut self, mut reserve: Reserve) -> Reserved {
        for _ in 0..10 {
            match reserve.step(self.now) {
                Step::Send(write) => {
                    let answer = self.store.apply(&write);
                    reserve.observe(answer, self.now, 0);
                }
                Step::Done(reserved) => return reserved,
                step => panic!("{step:?}"),
            }
        }
        panic!("no end");
    }

    pub fn reserve(&mut self, number: u128, amount: i128) -> Reserved {
        let machine = self.machine(number, amount);
        self.run(machine)
    }

    /// Runs an ending over a good network.
    pub fn finish(&mut self, mut ending: Ending) -> Ended {
        for _ in 0..20 {
            match ending.step(self.now) {
                Step::Send(write) => {
                    let answer = self.store.apply(&write);
                    ending.observe(answer, self.now, 0);
                }
                Step::Transact(transaction) => {
                    let answer = self.store.transact(&transaction);
                    ending.observe(answer, self.now, 0);
                }
                Step::Read(key) => ending.observe_item(self.store.get(&key)),
                Step::Pause { .. } => {}
                Step::Done(ended) => return ended,
            }
        }
        panic!("no end");
    }

    pub fn end(&mut self, reserved: &Reserved, number: u128, decision: Decision) -> Ended {
        let (hold, ambiguous) = (Some(reserved.hold), reserved.ambiguous);
        self.finish(Ending::new(owner(), rid(number), hold, decision, ambiguous, self.now))
    }

    pub fn sweep(&mut self, number: u128, hold: &Hold) {
        let swept = self.finish_sweep(Sweep::new(owner(), rid(number), *hold, self.now));
        assert_eq!(swept, Swept::Charged(*hold));
    }

    pub fn finish_sweep(&mut self, mut sweep: Sweep) -> Swept {
        for _ in 0..20 {
            match sweep.step(self.now) {
                Step::Send(update) => sweep.observe(self.store.apply(&update), 0),
                Step::Transact(transaction) => {
                    sweep.observe(self.store.transact(&transaction), 0);
                }
                Step::Pause { .. } => {}
                Step::Read(key) => panic!("a sweep reads nothing: {key:?}"),
                Step::Done(swept) => return swept,
            }
        }
        panic!("no end");
    }

    pub fn total(&self) -> (i128, i128) {
        let Counter { committed, settled } = self.budget().total;
        (committed.pico(), settled.unwrap_or_default().pico())
    }
}

pub fn why(reserved: &Reserved) -> Why {
    match &reserved.admission {
        Admission::Refused(refusal) => refusal.why.clone(),
        admission => panic!("{admission:?}"),
    }
}
