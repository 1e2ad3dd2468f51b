//! What a dead process left: swept once, whoever sweeps and however often.

use farebox_core::Decision;
use farebox_ledger::{Answer, Cause, Ended, Step, Sweep, Swept, update};

use crate::bench::{Bench, rid};
use crate::support::owner;
use crate::world::pico;

fn sweep(bench: &Bench, number: u128, hold: &farebox_ledger::Hold) -> Sweep {
    Sweep::new(owner(), rid(number), *hold, bench.now)
}

#[test]
fn a_hold_is_due_when_its_call_and_its_late_reserves_are_over() {
    let made = rid(1).made_at();
    for (deadline_s, over_s) in [(900, 960), (10, 390), (330, 390), (331, 391)] {
        let hold = format!("60.20261123.{deadline_s}").parse().unwrap();

        assert!(!Sweep::is_due(rid(1), &hold, made.plus_ms(over_s * 1_000)), "{deadline_s}");
        assert!(Sweep::is_due(rid(1), &hold, made.plus_ms(over_s * 1_000 + 1)), "{deadline_s}");
    }
}

#[test]
fn a_hold_becomes_a_charge_of_its_amount_and_the_truth_corrects_it_once() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);

    let swept = bench.finish_sweep(sweep(&bench, 1, &held.hold));

    assert_eq!(swept, Swept::Charged(held.hold));
    assert_eq!((bench.total(), bench.budget().open), ((60, 60), 0));
    assert_eq!(bench.end(&held, 1, Decision::Settle(pico(10))), Ended::Adjusted);
    assert_eq!(bench.end(&held, 1, Decision::Settle(pico(10))), Ended::AdjustedBefore);
    assert_eq!(bench.total(), (10, 10));
}

#[test]
fn two_sweeps_of_one_hold_charge_once_and_each_knows_which_it_was() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    let (first, second) = (sweep(&bench, 1, &held.hold), sweep(&bench, 1, &held.hold));

    assert_eq!(bench.finish_sweep(first), Swept::Charged(held.hold));
    assert_eq!(bench.finish_sweep(second), Swept::Already(held.hold));

    assert_eq!(bench.total(), (60, 60));
}

#[test]
fn a_sweep_whose_reply_was_lost_is_found_to_have_charged() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    let mut sweep = sweep(&bench, 1, &held.hold);
    let Step::Transact(write) = sweep.step(bench.now) else { panic!("no write") };
    assert_eq!(bench.store.transact(&write), Answer::Applied);

    sweep.observe(Answer::Ambiguous, 0);

    assert_eq!(bench.finish_sweep(sweep), Swept::Charged(held.hold));
    assert_eq!(bench.total(), (60, 60));
}

#[test]
fn a_hold_that_its_owner_ended_meanwhile_is_left_alone() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    let late = sweep(&bench, 1, &held.hold);
    bench.end(&held, 1, Decision::Settle(pico(7)));

    assert_eq!(bench.finish_sweep(late), Swept::Gone);

    assert_eq!(bench.total(), (7, 7));
    assert!(bench.store.get(&owner().tombstone(rid(1))).is_none());
}

#[test]
fn a_late_reserve_of_a_swept_call_is_voided_and_not_charged_again() {
    let mut bench = Bench::hard(200);
    let held = bench.reserve(1, 60);
    bench.sweep(1, &held.hold);
    let terms = bench.budget().terms;
    let ghost = update::reserve(&owner(), rid(1), &held.hold, &terms);
    assert_eq!(bench.store.apply(&ghost), Answer::Applied);

    assert_eq!(bench.finish_sweep(sweep(&bench, 1, &held.hold)), Swept::Ghost);

    assert_eq!((bench.total(), bench.budget().open), ((60, 60), 0));
}

#[test]
fn a_hold_is_charged_as_it_stands_now() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    let mut read_before = held.hold;
    read_before.amount = pico(50);

    let swept = bench.finish_sweep(sweep(&bench, 1, &read_before));

    assert_eq!(swept, Swept::Charged(held.hold));
    assert_eq!(bench.total(), (60, 60));
}

#[test]
fn a_sweep_that_gets_no_answer_leaves_the_hold_to_the_next_scan() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    let mut sweep = sweep(&bench, 1, &held.hold);
    for _ in 0..4 {
        while !matches!(sweep.step(bench.now), Step::Transact(_)) {}
        sweep.observe(Answer::Throttled, 0);
    }

    assert_eq!(sweep.step(bench.now), Step::Done(Swept::Left(Cause::Throttled)));
}
