//! Every ending, tried twice: settle, worst case, void, fence, adjust.

use farebox_core::Decision;
use farebox_ledger::{Admission, Answer, Attr, Cause, Ended, Ending, Step, Why, archive, update};

use crate::bench::{Bench, at, day, rid, why};
use crate::support::owner;
use crate::world::pico;

#[test]
fn a_hold_settles_once_and_a_second_ending_finds_it_done() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    assert_eq!((&held.admission, bench.total()), (&Admission::Held, (60, 0)));

    assert_eq!(bench.end(&held, 1, Decision::Settle(pico(10))), Ended::Applied);
    assert_eq!(bench.end(&held, 1, Decision::Settle(pico(10))), Ended::AlreadyDone);
    assert_eq!(bench.total(), (10, 10));

    let worst = bench.reserve(2, 20);
    assert_eq!(bench.end(&worst, 2, Decision::Worst), Ended::Applied);
    assert_eq!(bench.end(&worst, 2, Decision::Worst), Ended::AlreadyDone);
    assert_eq!(bench.total(), (30, 30));

    let void = bench.reserve(3, 70);
    assert_eq!(bench.end(&void, 3, Decision::Void), Ended::Applied);
    assert_eq!(bench.end(&void, 3, Decision::Void), Ended::AlreadyDone);
    assert_eq!((bench.total(), bench.budget().open), ((30, 30), 0));
}

#[test]
fn an_ending_after_an_ambiguous_reserve_leaves_a_fence() {
    for decision in [Decision::Settle(pico(1)), Decision::Worst, Decision::Void] {
        let mut bench = Bench::hard(100);
        let mut reserved = bench.reserve(1, 60);
        reserved.ambiguous = true;

        assert_eq!(bench.end(&reserved, 1, decision), Ended::Applied);

        assert_eq!(bench.budget().fences[&rid(1)], bench.now.seconds() + 900);
        let late = bench.reserve(1, 60);
        assert_eq!(why(&late), Why::Fenced);
    }
}

#[test]
fn void_and_fence_alternate_until_the_lost_reserve_is_dead() {
    let mut bench = Bench::hard(100);
    let mut reserve = bench.machine(1, 60);
    let Step::Send(lost) = reserve.step(bench.now) else { panic!("no write") };
    let hold = Some("60.20261123.900".parse().unwrap());
    let mut ending = Ending::new(owner(), rid(1), hold, Decision::Void, true, bench.now);
    let Step::Send(void) = ending.step(bench.now) else { panic!("no void") };
    ending.observe(bench.store.apply(&void), bench.now, 0);

    // The lost reserve lands between void and fence.
    assert_eq!(bench.store.apply(&lost), Answer::Applied);

    assert_eq!(bench.finish(ending), Ended::Applied);
    assert_eq!((bench.total(), bench.budget().fences.len()), ((0, 0), 1));
    assert!(matches!(bench.store.apply(&lost), Answer::ConditionFailed(Some(_))));
}

#[test]
fn an_alternation_without_end_is_handed_over() {
    let mut bench = Bench::hard(100);
    let held = bench.item();
    bench.reserve(1, 60);
    let landed = bench.item();
    let hold = Some("60.20261123.900".parse().unwrap());
    let mut ending = Ending::new(owner(), rid(1), hold, Decision::Void, true, bench.now);

    let mut fences = 0;
    let ended = loop {
        match ending.step(bench.now) {
            Step::Send(write) if write.condition == "#h = :h" => {
                ending.observe(Answer::ConditionFailed(Some(held.clone())), bench.now, 0);
            }
            Step::Send(_) => {
                fences += 1;
                ending.observe(Answer::ConditionFailed(Some(landed.clone())), bench.now, 0);
            }
            Step::Done(ended) => break ended,
            step => panic!("{step:?}"),
        }
    };

    assert_eq!((ended, fences), (Ended::HandOver(Cause::Alternation), 5));
}

#[test]
fn the_truth_replaces_a_provisional_charge_once() {
    for (decision, charge) in
        [(Decision::Settle(pico(10)), 10), (Decision::Void, 0), (Decision::Worst, 60)]
    {
        let mut bench = Bench::hard(100);
        let held = bench.reserve(1, 60);
        bench.sweep(1, &held.hold);
        assert_eq!(bench.total(), (60, 60));

        assert_eq!(bench.end(&held, 1, decision), Ended::Adjusted);
        assert_eq!(bench.end(&held, 1, decision), Ended::AdjustedBefore);
        assert_eq!(bench.total(), (charge, charge));
    }
}

#[test]
fn a_correction_of_a_pruned_day_and_of_an_archived_month_reaches_what_is_left() {
    let mut bench = Bench::hard(100);
    let (first, second) = (bench.reserve(1, 60), bench.reserve(2, 30));
    bench.sweep(1, &first.hold);
    bench.sweep(2, &second.hold);

    let close = |bench: &mut Bench, text: &str| {
        bench.now = at(text);
        let budget = bench.budget();
        for closing in archive::due(&budget, bench.now) {
            let write = closing.write(&owner(), &budget, bench.now);
            assert_eq!(bench.store.transact(&write), Answer::Applied, "{closing:?}");
        }
    };
    close(&mut bench, "2026-11-26T00:00:00Z");
    assert_eq!(bench.end(&first, 1, Decision::Settle(pico(10))), Ended::Adjusted);
    assert!(!bench.item().contains_key("dc_20261123"), "a pruned day is revived");
    assert_eq!(bench.item()["ms_202611"], Attr::N(40));

    close(&mut bench, "2026-12-03T00:00:00Z");
    assert_eq!(bench.end(&second, 2, Decision::Settle(pico(5))), Ended::Adjusted);
    assert!(!bench.item().contains_key("mc_202611"), "an archived month is revived");
    assert_eq!(bench.total(), (15, 15));
    let month = day().month();
    assert_eq!(bench.store.get(&owner().archive(month)).unwrap()["s"], Attr::N(15));
}

#[test]
fn an_ending_hands_over_when_its_time_or_its_attempts_are_over() {
    let bench = Bench::hard(100);
    let hold = Some("60.20261123.900".parse().unwrap());
    let ending = || Ending::new(owner(), rid(1), hold, Decision::Void, false, bench.now);

    let mut late = ending();
    assert!(matches!(late.step(bench.now.plus_ms(5_700)), Step::Send(_)));
    let late = late.step(bench.now.plus_ms(5_701));
    assert_eq!(late, Step::Done(Ended::HandOver(Cause::TooLate)));

    let mut refused = ending();
    refused.observe(Answer::Rejected("no".to_owned()), bench.now, 0);
    let cause = Cause::Rejected("no".to_owned());
    assert_eq!(refused.step(bench.now), Step::Done(Ended::HandOver(cause)));

    let mut throttled = ending();
    let sent = (0..20).filter(|_| match throttled.step(bench.now) {
        Step::Send(_) => {
            throttled.observe(Answer::Throttled, bench.now, 0);
            true
        }
        _ => false,
    });
    assert_eq!(sent.count(), 4);
    assert_eq!(throttled.step(bench.now), Step::Done(Ended::HandOver(Cause::Throttled)));

    let mut nothing = Ending::new(owner(), rid(1), None, Decision::Void, false, bench.now);
    assert_eq!(nothing.step(bench.now), Step::Done(Ended::AlreadyDone));
}

#[test]
fn a_lost_answer_to_an_adjust_is_read_back() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    bench.sweep(1, &held.hold);
    let decision = Decision::Settle(pico(10));
    let mut ending = Ending::new(owner(), rid(1), Some(held.hold), decision, false, bench.now);
    loop {
        match ending.step(bench.now) {
            Step::Send(write) => ending.observe(bench.store.apply(&write), bench.now, 0),
            Step::Read(key) => ending.observe_item(bench.store.get(&key)),
            Step::Transact(transaction) => {
                assert_eq!(bench.store.transact(&transaction), Answer::Applied);
                ending.observe(Answer::Ambiguous, bench.now, 0);
                break;
            }
            step => panic!("{step:?}"),
        }
    }

    assert_eq!(bench.finish(ending), Ended::AdjustedBefore);
    assert_eq!(bench.total(), (10, 10));
}

/// The lost call of money.md 10: without the condition on the hold, limit 100 bills 130.
#[test]
fn a_settle_that_is_repeated_moves_nothing() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    let settle = update::settle(&owner(), rid(1), &held.hold, pico(10), None);

    assert_eq!(bench.store.apply(&settle), Answer::Applied);
    assert!(matches!(bench.store.apply(&settle), Answer::ConditionFailed(Some(_))));

    assert_eq!(bench.reserve(2, 60).admission, Admission::Held);
    assert!(matches!(why(&bench.reserve(3, 60)), Why::Contention(_)));
}

#[test]
fn a_void_that_fences_still_finds_the_provisional_charge() {
    let mut bench = Bench::hard(100);
    let mut reserved = bench.reserve(1, 60);
    reserved.ambiguous = true;
    bench.sweep(1, &reserved.hold);

    assert_eq!(bench.end(&reserved, 1, Decision::Void), Ended::Adjusted);

    assert_eq!((bench.total(), bench.budget().fences.len()), ((0, 0), 1));
}

/// What left a hold in seed 9 of a storm: its harness leapt forty minutes while a reserve was still
/// under way, and the scheduler pruned the fence that kept it out. On AWS none is: its signature
/// has ended long before.
#[test]
fn a_fence_outlives_the_signature_of_the_reserve_that_it_keeps_out_and_not_a_leap_of_the_clock() {
    /// From a call's first moment: the last reserve is signed, and is no longer taken.
    const SIGNED_S: i64 = 30 + 300 + 60;
    for (later_s, is_kept_out) in [(SIGNED_S, true), (2_400, false)] {
        let mut bench = Bench::hard(100);
        let mut reserve = bench.machine(1, 60);
        let Step::Send(lost) = reserve.step(bench.now) else { panic!("no write") };
        let hold = Some("60.20261123.900".parse().unwrap());
        bench.finish(Ending::new(owner(), rid(1), hold, Decision::Void, true, bench.now));

        bench.now = bench.now.plus_ms(later_s * 1_000);
        for closing in archive::due(&bench.budget(), bench.now) {
            let write = closing.write(&owner(), &bench.budget(), bench.now);
            assert_eq!(bench.store.transact(&write), Answer::Applied);
        }

        let landed = bench.store.apply(&lost) == Answer::Applied;
        assert_eq!(landed, !is_kept_out, "{later_s} s later");
        assert_eq!(bench.budget().open, u32::from(landed), "a hold that nobody ends but the sweep");
    }
}
