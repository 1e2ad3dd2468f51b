//! Each machine refused once, disturbed once at each of its requests, and run twice. A kind
//! without a row does not compile; one without a kind is found by what it sends.

use std::collections::BTreeSet;

use farebox_core::{Decision, Timestamp};
use farebox_ledger::{
    Answer, Ending, Entry, Extend, Hold, Reach, Reserve, Span, Step, Sweep, update,
};

use crate::bench::{Bench, day, rid};
use crate::support::owner;
use crate::world::pico;

/// What a machine is made for. One more needs a row in [`Kind::row`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reserve,
    Extend,
    Settle,
    Worst,
    Void,
    Fence,
    Adjust,
    Unheld,
    Sweep,
    Entry,
}

const KINDS: [Kind; 10] = [
    Kind::Reserve,
    Kind::Extend,
    Kind::Settle,
    Kind::Worst,
    Kind::Void,
    Kind::Fence,
    Kind::Adjust,
    Kind::Unheld,
    Kind::Sweep,
    Kind::Entry,
];

/// What a kind says, as the first words of its answer: undisturbed; after its reply was lost; run
/// a second time; where the store refuses its first write; where the store rejects the request.
struct Row {
    done: &'static str,
    lost_reply: &'static str,
    again: &'static str,
    refused: &'static str,
    rejected: &'static str,
}

/// A running machine.
enum Machine {
    Reserve(Reserve),
    Extend(Extend),
    Ending(Ending),
    Sweep(Sweep),
    Entry(Entry),
}

/// What the network does to one request.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Throttled,
    LostRequest,
    LostReply,
    Rejected,
}

impl Kind {
    const fn row(self) -> Row {
        const HANDED: &str = "HandOver(Rejected";
        const DONE: &str = "AlreadyDone";
        const BEFORE: &str = "AdjustedBefore";
        let (done, lost_reply, again, refused, rejected) = match self {
            Self::Reserve => ("Held", "Held", "Held", "Refused(", "Unavailable(Rejected"),
            Self::Extend => ("Granted", "Granted", "Granted", "Refused", "Unavailable(Rejected"),
            Self::Settle | Self::Worst => ("Applied", DONE, DONE, "Adjusted", HANDED),
            Self::Void => ("Applied", DONE, DONE, DONE, HANDED),
            Self::Fence => (DONE, DONE, DONE, "Applied", HANDED),
            Self::Adjust => ("Adjusted", BEFORE, BEFORE, BEFORE, HANDED),
            Self::Unheld => ("Applied", DONE, DONE, DONE, HANDED),
            Self::Sweep => ("Charged(", "Charged(", "Already(", "Gone", "Left(Rejected"),
            Self::Entry => ("Done", "Done", "Done", "BelowZero", "Left(Rejected"),
        };
        Row { done, lost_reply, again, refused, rejected }
    }

    /// A budget in which it applies.
    fn scene(self) -> Bench {
        let mut bench = Bench::hard(100);
        if !matches!(self, Self::Reserve | Self::Fence | Self::Unheld) {
            let held = bench.reserve(1, 60);
            match self {
                Self::Adjust => bench.sweep(1, &held.hold),
                Self::Entry => drop(bench.end(&held, 1, Decision::Settle(pico(60)))),
                _ => {}
            }
        }
        bench
    }

    /// Something else was first, so that the store refuses its write. What is then there stays.
    fn spoil(self, bench: &mut Bench) {
        let settle = |bench: &mut Bench| {
            let settle = update::settle(&owner(), rid(1), &hold(), pico(7), None);
            assert_eq!(bench.store.apply(&settle), Answer::Applied);
        };
        match self {
            Self::Reserve | Self::Extend => drop(bench.reserve(2, 40)),
            Self::Settle | Self::Worst => bench.sweep(1, &hold()),
            Self::Void | Self::Sweep => settle(bench),
            Self::Fence => drop(bench.reserve(1, 60)),
            Self::Adjust => {
                let (day, reach) = (day(), Reach::Open);
                let adjust = update::adjust(&owner(), rid(1), day, pico(60), pico(9), reach);
                assert_eq!(bench.store.transact(&adjust), Answer::Applied);
            }
            Self::Unheld => {
                let now = bench.now;
                let reach = Reach::Open;
                let charge = update::unheld_charge(&owner(), rid(1), day(), pico(9), reach, now);
                assert_eq!(bench.store.transact(&charge), Answer::Applied);
            }
            Self::Entry => {
                let now = bench.now;
                let refund = update::entry(&owner(), rid(8), day(), pico(-50), Reach::Open, now);
                assert_eq!(bench.store.transact(&refund), Answer::Applied);
            }
        }
    }

    fn machine(self, bench: &Bench) -> Machine {
        let (owner, rid, now) = (owner(), rid(1), bench.now);
        let ending = |hold, decision, is_ambiguous| {
            Machine::Ending(Ending::new(owner.clone(), rid, hold, decision, is_ambiguous, now))
        };
        match self {
            Self::Reserve => Machine::Reserve(bench.machine(1, 61)),
            Self::Extend => {
                let terms = bench.budget().terms;
                Machine::Extend(Extend::new(owner, rid, hold(), pico(80), terms, now))
            }
            Self::Settle | Self::Adjust => ending(Some(hold()), Decision::Settle(pico(10)), false),
            Self::Worst => ending(Some(hold()), Decision::Worst, false),
            Self::Void => ending(Some(hold()), Decision::Void, false),
            Self::Fence => ending(None, Decision::Void, true),
            Self::Unheld => Machine::Ending(Ending::unheld(owner, rid, day(), pico(10), now)),
            Self::Sweep => Machine::Sweep(Sweep::new(owner, rid, hold(), now)),
            Self::Entry => {
                let id = self::rid(9);
                let entry = Entry::new(owner, id, Span::Day(day()), pico(-25), now);
                Machine::Entry(entry.unwrap())
            }
        }
    }

    fn run(self, bench: &mut Bench, trouble: Option<(usize, Trouble)>) -> Ran {
        let machine = self.machine(bench);
        machine.run(bench, trouble)
    }
}

pub fn hold() -> Hold {
    "60.20261123.900".parse().unwrap()
}

/// What a machine said at its end, and which of its requests applied.
struct Ran {
    said: String,
    requests: Vec<bool>,
}

impl Machine {
    fn step(&mut self, now: Timestamp) -> Step<String> {
        fn told<T: std::fmt::Debug>(step: Step<T>) -> Step<String> {
            match step {
                Step::Send(update) => Step::Send(update),
                Step::Transact(transaction) => Step::Transact(transaction),
                Step::Read(key) => Step::Read(key),
                Step::Pause { ms } => Step::Pause { ms },
                Step::Done(said) => Step::Done(format!("{said:?}")),
            }
        }
        match self {
            Self::Reserve(machine) => match machine.step(now) {
                Step::Done(reserved) => Step::Done(format!("{:?}", reserved.admission)),
                step => told(step),
            },
            Self::Extend(machine) => match machine.step(now) {
                Step::Done(extended) => Step::Done(format!("{:?}", extended.extension)),
                step => told(step),
            },
            Self::Ending(machine) => told(machine.step(now)),
            Self::Sweep(machine) => told(machine.step(now)),
            Self::Entry(machine) => told(machine.step(now)),
        }
    }

    fn observe(&mut self, answer: Answer, now: Timestamp) {
        match self {
            Self::Reserve(machine) => machine.observe(answer, now, 0),
            Self::Extend(machine) => machine.observe(answer, 0),
            Self::Ending(machine) => machine.observe(answer, now, 0),
            Self::Sweep(machine) => machine.observe(answer, 0),
            Self::Entry(machine) => machine.observe(answer, 0),
        }
    }

    fn run(mut self, bench: &mut Bench, trouble: Option<(usize, Trouble)>) -> Ran {
        let mut requests = Vec::new();
        for _ in 0..30 {
            let step = self.step(bench.now);
            let trouble =
                trouble.filter(|(place, _)| *place == requests.len()).map(|(_, what)| what);
            let answer = match (&step, trouble) {
                (Step::Done(said), _) => return Ran { said: said.clone(), requests },
                (Step::Pause { .. }, _) => continue,
                (Step::Read(key), _) => {
                    let Self::Ending(ending) = &mut self else { panic!("only endings read") };
                    ending.observe_item(bench.store.get(key));
                    continue;
                }
                (_, Some(Trouble::Throttled)) => Answer::Throttled,
                (_, Some(Trouble::LostRequest)) => Answer::Ambiguous,
                (_, Some(Trouble::Rejected)) => Answer::Rejected("no".to_owned()),
                (Step::Send(update), trouble) => {
                    let answer = bench.store.apply(update);
                    if trouble.is_some() { Answer::Ambiguous } else { answer }
                }
                (Step::Transact(transaction), trouble) => {
                    let answer = bench.store.transact(transaction);
                    if trouble.is_some() { Answer::Ambiguous } else { answer }
                }
            };
            requests.push(answer == Answer::Applied);
            self.observe(answer, bench.now);
        }
        panic!("no end");
    }
}

fn assert_said(kind: Kind, case: &str, said: &str, wanted: &str) {
    assert!(said.starts_with(wanted), "{kind:?}, {case}: {said}, not {wanted}");
}

#[test]
fn every_ending_run_twice_leaves_the_books_as_once() {
    for kind in KINDS {
        let mut bench = kind.scene();
        let untouched = bench.store.items.clone();
        assert_said(kind, "once", &kind.run(&mut bench, None).said, kind.row().done);
        let once = bench.store.items.clone();
        assert_ne!(once, untouched, "{kind:?} writes something");

        assert_said(kind, "again", &kind.run(&mut bench, None).said, kind.row().again);
        assert_eq!(bench.store.items, once, "{kind:?}");
    }
}

#[test]
fn every_transition_refused_once_ends_as_it_is_documented() {
    for kind in KINDS {
        let mut bench = kind.scene();
        kind.spoil(&mut bench);
        let first = match kind.machine(&bench).step(bench.now) {
            Step::Send(update) => bench.store.clone().apply(&update),
            Step::Transact(transaction) => bench.store.clone().transact(&transaction),
            step => panic!("{kind:?}: {step:?}"),
        };
        let is_refused = matches!(first, Answer::ConditionFailed(_) | Answer::Cancelled(_));
        assert!(is_refused, "{kind:?}: {first:?}");
        let before = bench.store.items.clone();

        assert_said(kind, "refused", &kind.run(&mut bench, None).said, kind.row().refused);
        let changes = match kind {
            // The truth takes the place of the sweep's charge; a hold that landed is ended.
            Kind::Settle | Kind::Worst | Kind::Fence => true,
            Kind::Reserve
            | Kind::Extend
            | Kind::Void
            | Kind::Adjust
            | Kind::Unheld
            | Kind::Sweep
            | Kind::Entry => false,
        };
        assert_eq!(bench.store.items != before, changes, "{kind:?}");
        let after = bench.store.items.clone();
        kind.run(&mut bench, None);
        assert_eq!(bench.store.items, after, "{kind:?}: and stays so");
    }
}

#[test]
fn every_request_disturbed_once_leaves_the_books_as_undisturbed() {
    for kind in KINDS {
        let row = kind.row();
        let mut good = kind.scene();
        let requests = kind.run(&mut good, None).requests;
        assert!(requests.contains(&true));
        for (place, is_applied) in requests.into_iter().enumerate() {
            let lost_reply = if is_applied { row.lost_reply } else { row.done };
            for (trouble, wanted) in [
                (Trouble::Throttled, row.done),
                (Trouble::LostRequest, row.done),
                (Trouble::LostReply, lost_reply),
                (Trouble::Rejected, row.rejected),
            ] {
                let mut bench = kind.scene();
                let case = format!("{trouble:?} at {place}");
                let ran = kind.run(&mut bench, Some((place, trouble)));
                assert_said(kind, &case, &ran.said, wanted);
                if matches!(trouble, Trouble::Rejected) {
                    // Whoever comes next finishes it.
                    kind.run(&mut bench, None);
                }
                assert_eq!(bench.store.items, good.store.items, "{kind:?}, {case}");
            }
        }
    }
}

#[test]
fn every_machine_of_the_ledger_is_among_the_kinds() {
    let files = [
        ("ending", include_str!("../src/attempt/ending.rs")),
        ("entry", include_str!("../src/attempt/entry.rs")),
        ("extend", include_str!("../src/attempt/extend.rs")),
        ("reserve", include_str!("../src/attempt/reserve.rs")),
        ("sweep", include_str!("../src/attempt/sweep.rs")),
    ];
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/attempt")).unwrap();
    let writers = folder
        .map(|file| file.unwrap().path())
        .filter(|path| std::fs::read_to_string(path).unwrap().contains("update::"));
    let writers: BTreeSet<_> =
        writers.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(writers, files.iter().map(|(name, _)| (*name).to_owned()).collect());
    // Every write of theirs is sent by one of the kinds.
    let sent = files.iter().flat_map(|(_, text)| text.split("update::").skip(1));
    let sent: BTreeSet<&str> = sent
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
        .filter(|name| name.starts_with(char::is_lowercase) && *name != "self")
        .collect();
    let known = [
        "adjust",
        "entry",
        "extend",
        "fence",
        "reserve",
        "settle",
        "sweep",
        "unheld_charge",
        "void",
    ];
    assert_eq!(sent.into_iter().collect::<Vec<_>>(), known);
}
