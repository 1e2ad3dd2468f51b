//! Every reading of an extension, and the four rules that carry it (money.md 3.1a).

use farebox_core::Decision;
use farebox_ledger::{
    Answer, Cause, Ended, Extend, Extended, Extension, Mode, Reserved, Step, update,
};

use crate::bench::{Bench, rid};
use crate::support::owner;
use crate::world::{pico, settings};

fn machine(bench: &Bench, held: &Reserved, amount: i128) -> Extend {
    let terms = bench.budget().terms;
    Extend::new(owner(), rid(1), held.hold, pico(amount), terms, bench.now)
}

fn run(bench: &mut Bench, mut extend: Extend) -> Extended {
    for _ in 0..10 {
        match extend.step(bench.now) {
            Step::Send(write) => {
                let answer = bench.store.apply(&write);
                extend.observe(answer, 0);
            }
            Step::Pause { .. } => {}
            Step::Done(extended) => return extended,
            step => panic!("{step:?}"),
        }
    }
    panic!("no end");
}

/// An extension whose write applied and whose answer was lost.
fn lost(bench: &mut Bench, held: &Reserved, amount: i128) -> Extend {
    let mut extend = machine(bench, held, amount);
    let Step::Send(write) = extend.step(bench.now) else { panic!("no write") };
    assert_eq!(bench.store.apply(&write), Answer::Applied);
    extend.observe(Answer::Ambiguous, 0);
    extend
}

#[test]
fn it_holds_more_while_there_is_room_and_never_above_the_limit() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 40);
    bench.reserve(2, 30);

    let extend = machine(&bench, &held, 70);
    let granted = run(&mut bench, extend);
    assert_eq!((granted.extension, granted.hold.amount), (Extension::Granted, pico(70)));
    assert_eq!(bench.total(), (100, 0));

    let more = Reserved { hold: granted.hold, ..held };
    let extend = machine(&bench, &more, 71);
    let refused = run(&mut bench, extend);
    assert_eq!((refused.extension, refused.hold.amount), (Extension::Refused, pico(70)));
    assert_eq!(bench.end(&more, 1, Decision::Settle(pico(55))), Ended::Applied);
    assert_eq!(bench.total(), (85, 55));
}

#[test]
fn a_lost_answer_is_found_again_and_an_amount_never_shrinks() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 40);

    let extend = lost(&mut bench, &held, 60);
    let adopted = run(&mut bench, extend);
    assert_eq!((adopted.extension, adopted.hold.amount), (Extension::Granted, pico(60)));
    assert_eq!(bench.total(), (60, 0), "held once");

    // The next one begins at what was confirmed, although more stands.
    let extend = machine(&bench, &held, 50);
    let smaller = run(&mut bench, extend);
    assert_eq!((smaller.extension, smaller.hold.amount), (Extension::Granted, pico(60)));
    let extend = machine(&bench, &held, 80);
    let larger = run(&mut bench, extend);
    assert_eq!((larger.extension, larger.hold.amount), (Extension::Granted, pico(80)));
    let extend = machine(&bench, &held, 40);
    assert_eq!(run(&mut bench, extend).hold.amount, pico(40), "nothing more is asked");
    assert_eq!(bench.total(), (80, 0));
}

#[test]
fn every_ending_takes_away_what_stands_not_what_it_remembers() {
    for decision in [Decision::Settle(pico(7)), Decision::Void] {
        let mut bench = Bench::hard(100);
        let held = bench.reserve(1, 40);
        lost(&mut bench, &held, 60);

        assert_eq!(bench.end(&held, 1, decision), Ended::Applied);

        let charge = if decision == Decision::Void { 0 } else { 7 };
        assert_eq!(bench.total(), (charge, charge));
        assert_eq!(bench.end(&held, 1, decision), Ended::AlreadyDone);
    }
}

#[test]
fn the_sweep_of_an_extended_hold_is_adjusted_by_what_it_charged() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 40);
    let extend = lost(&mut bench, &held, 60);
    let swept = bench.budget().holds[&rid(1)];
    bench.sweep(1, &swept);
    assert_eq!(run(&mut bench, extend).extension, Extension::Gone);
    assert_eq!(bench.total(), (60, 60));

    assert_eq!(bench.end(&held, 1, Decision::Settle(pico(7))), Ended::Adjusted);

    assert_eq!(bench.total(), (7, 7));
}

#[test]
fn one_that_lands_after_the_ending_changes_nothing() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 40);
    let late = update::extend(&owner(), rid(1), &held.hold, pico(60), &bench.budget().terms);
    bench.end(&held, 1, Decision::Settle(pico(7)));

    assert!(matches!(bench.store.apply(&late), Answer::ConditionFailed(_)));

    assert_eq!(bench.total(), (7, 7));
}

#[test]
fn a_limit_that_changed_binds_an_extension_at_once() {
    let changes = [
        (settings(Mode::Hard, [Some(59), None, None]), Extension::Refused),
        (settings(Mode::Closed, [None; 3]), Extension::Refused),
        (settings(Mode::Hard, [None, None, Some(60)]), Extension::Granted),
        (settings(Mode::Soft, [Some(1), None, None]), Extension::Granted),
    ];
    for (change, expected) in changes {
        let mut bench = Bench::hard(100);
        let held = bench.reserve(1, 40);
        let extend = machine(&bench, &held, 60);
        let epoch = bench.budget().terms.epoch;
        bench.store.apply(&update::limit_change(&owner(), &change, epoch));

        let extended = run(&mut bench, extend);

        assert_eq!(extended.extension, expected, "{change:?}");
        assert_eq!(extended.fresh.unwrap().settings.limits, change.limits);
    }
}

#[test]
fn without_an_answer_what_was_confirmed_still_stands() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 40);
    for (answer, cause) in
        [(Answer::Throttled, Cause::Throttled), (Answer::Ambiguous, Cause::NoAnswer)]
    {
        let mut extend = machine(&bench, &held, 60);
        let extended = loop {
            match extend.step(bench.now) {
                Step::Send(_) => extend.observe(answer.clone(), 7),
                Step::Pause { .. } => {}
                Step::Done(extended) => break extended,
                step => panic!("{step:?}"),
            }
        };
        assert_eq!(extended.extension, Extension::Unavailable(cause));
        assert_eq!(extended.hold, held.hold);
    }
}
