//! Edges that `cargo prove mutants` found without a test.

use farebox_core::Decision;
use farebox_ledger::{
    Admission, Answer, Cause, Ended, Ending, Extend, Extension, Limits, Mode, Period, Step, Sweep,
    Swept, Verdict,
};

use crate::bench::{Bench, day, rid};
use crate::support::owner;
use crate::world::pico;

fn ending(bench: &Bench, decision: Decision, is_ambiguous: bool) -> Ending {
    let hold = Some("60.20261123.900".parse().unwrap());
    Ending::new(owner(), rid(1), hold, decision, is_ambiguous, bench.now)
}

/// Sends once and is answered that the condition failed on this item.
fn fail(bench: &Bench, ending: &mut Ending, item: farebox_ledger::Item) {
    let Step::Send(_) = ending.step(bench.now) else { panic!("no write") };
    ending.observe(Answer::ConditionFailed(Some(item)), bench.now, 0);
}

#[test]
fn a_pause_is_drawn_from_twenty_to_two_hundred_milliseconds_and_both_ends_are_in_it() {
    for (jitter, expected) in [(0, 20), (1, 21), (180, 200), (181, 20), (361, 200)] {
        let bench = Bench::hard(100);
        let mut reserve = bench.machine(1, 60);
        let Step::Send(_) = reserve.step(bench.now) else { panic!("no write") };

        reserve.observe(Answer::Throttled, bench.now, jitter);

        let Step::Pause { ms } = reserve.step(bench.now) else { panic!("no pause") };
        assert_eq!(ms, expected, "{jitter}");
    }
}

#[test]
fn a_definite_answer_gives_the_next_write_attempts_of_its_own() {
    let bench = Bench::hard(100);
    let mut ending = ending(&bench, Decision::Void, true);
    let unanswered = |ending: &mut Ending| {
        let mut sent = 0;
        while sent < 3 {
            match ending.step(bench.now) {
                Step::Send(_) => {
                    sent += 1;
                    ending.observe(Answer::Ambiguous, bench.now, 0);
                }
                Step::Pause { .. } => {}
                step => panic!("{step:?} after {sent}"),
            }
        }
        if let Step::Pause { .. } = ending.step(bench.now) {}
    };
    unanswered(&mut ending);

    fail(&bench, &mut ending, bench.item());

    unanswered(&mut ending);
    let Step::Send(fence) = ending.step(bench.now) else { panic!("no fourth attempt") };
    assert!(fence.condition.contains("attribute_not_exists(#x)"), "{}", fence.condition);
}

#[test]
fn a_failure_that_shows_the_hold_that_was_compared_is_not_explained() {
    let mut bench = Bench::hard(100);
    bench.reserve(1, 60);
    let mut ending = ending(&bench, Decision::Settle(pico(1)), false);

    fail(&bench, &mut ending, bench.item());

    assert_eq!(ending.step(bench.now), Step::Done(Ended::HandOver(Cause::Unexplained)));
}

#[test]
fn only_a_void_after_an_ambiguous_reserve_fences_before_it_looks() {
    let bench = Bench::hard(100);
    for (decision, is_ambiguous, fences) in [
        (Decision::Void, true, true),
        (Decision::Void, false, false),
        (Decision::Settle(pico(1)), true, false),
        (Decision::Worst, true, false),
    ] {
        let mut ending = ending(&bench, decision, is_ambiguous);

        fail(&bench, &mut ending, bench.item());

        let step = ending.step(bench.now);
        assert_eq!(matches!(step, Step::Send(_)), fences, "{decision:?} {is_ambiguous}");
        assert_eq!(matches!(step, Step::Read(_)), !fences, "{decision:?} {is_ambiguous}");
    }
}

#[test]
fn a_fence_that_stands_is_enough_and_one_that_is_refused_without_a_reason_is_not() {
    for is_fenced in [true, false] {
        let mut bench = Bench::hard(100);
        let mut ending = ending(&bench, Decision::Void, true);
        fail(&bench, &mut ending, bench.item());
        if is_fenced {
            bench.set(&format!("x_{}", rid(1)), 9);
        }

        fail(&bench, &mut ending, bench.item());

        match ending.step(bench.now) {
            Step::Read(_) if is_fenced => {}
            Step::Done(Ended::HandOver(Cause::Unexplained)) if !is_fenced => {}
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn a_correction_that_no_watermark_explains_is_handed_over() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    bench.sweep(1, &held.hold);
    let mut ending = ending(&bench, Decision::Settle(pico(1)), false);
    fail(&bench, &mut ending, bench.item());
    let Step::Read(key) = ending.step(bench.now) else { panic!("no look") };
    ending.observe_item(bench.store.get(&key));
    let Step::Transact(_) = ending.step(bench.now) else { panic!("no correction") };

    let verdicts = vec![Verdict::Passed, Verdict::ConditionFailed(Some(bench.item()))];
    ending.observe(Answer::Cancelled(verdicts), bench.now, 0);

    assert_eq!(ending.step(bench.now), Step::Done(Ended::HandOver(Cause::Unexplained)));
}

#[test]
fn an_extension_takes_newer_terms_three_times_and_no_fourth() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 40);
    let terms = bench.budget().terms;
    let mut extend = Extend::new(owner(), rid(1), held.hold, pico(60), terms, bench.now);
    for time in 1..=4 {
        let Step::Send(_) = extend.step(bench.now) else { panic!("no attempt {time}") };
        let epoch = i128::from(bench.budget().terms.epoch);
        bench.set("ep", epoch + 1);
        extend.observe(Answer::ConditionFailed(Some(bench.item())), 0);
    }

    let Step::Done(extended) = extend.step(bench.now) else { panic!("a fifth attempt") };
    assert_eq!(extended.extension, Extension::Unavailable(Cause::Stale));
}

#[test]
fn a_refusal_by_open_holds_says_that_waiting_may_help_and_one_by_spent_money_does_not() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    let is_contention = |bench: &mut Bench| match bench.reserve(2, 60).admission {
        Admission::Refused(refusal) => refusal.is_contention(),
        admission => panic!("{admission:?}"),
    };
    assert!(is_contention(&mut bench));

    bench.end(&held, 1, Decision::Settle(pico(60)));

    assert!(!is_contention(&mut bench));
}

#[test]
fn a_budget_that_only_counts_admits_unheld_where_it_is_full_and_for_no_other_reason() {
    let bench = Bench::new(Mode::Observe, [None; 3]);
    let mut reserve = bench.machine(1, 60);
    let Step::Send(_) = reserve.step(bench.now) else { panic!("no write") };

    reserve.observe(Answer::ConditionFailed(Some(bench.item())), bench.now, 0);

    let Step::Done(reserved) = reserve.step(bench.now) else { panic!("no end") };
    assert_eq!(reserved.admission, Admission::Unavailable(Cause::Unexplained));
}

#[test]
fn a_sweep_tries_again_where_writes_met_and_stops_where_nothing_explains_a_failure() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    let failed = Verdict::ConditionFailed(Some(bench.item()));
    for (verdicts, tries_again) in [
        (vec![Verdict::Conflict, Verdict::Passed], true),
        (vec![Verdict::Passed, Verdict::Passed], false),
        // It shows the very hold that was compared.
        (vec![failed, Verdict::Passed], false),
    ] {
        let mut sweep = Sweep::new(owner(), rid(1), held.hold, bench.now);
        let Step::Transact(_) = sweep.step(bench.now) else { panic!("no write") };

        sweep.observe(Answer::Cancelled(verdicts.clone()), 0);

        let step = sweep.step(bench.now);
        assert_eq!(matches!(step, Step::Pause { .. }), tries_again, "{verdicts:?}");
        let is_left = step == Step::Done(Swept::Left(Cause::Unexplained));
        assert_eq!(is_left, !tries_again, "{verdicts:?}");
    }
}

#[test]
fn a_call_is_metered_by_a_balanced_limit_and_by_no_other_mode_with_one() {
    let limited = [Some(1), None, None];
    for (mode, limits, is_metered, lets_meter) in [
        (Mode::Balanced, limited, true, true),
        (Mode::Balanced, [None; 3], false, true),
        (Mode::Hard, limited, false, false),
        (Mode::Hard, [None; 3], false, true),
        (Mode::Soft, limited, false, false),
        (Mode::Observe, limited, false, true),
    ] {
        let terms = Bench::new(mode, limits).budget().terms;
        let told = format!("{mode:?} {limits:?}");
        assert_eq!(terms.is_metered(), is_metered, "{told}");
        assert_eq!(terms.lets_meter(), lets_meter, "{told}");
    }
    assert!(Limits::default().is_unlimited());
}

#[test]
fn periods_are_called_as_the_api_calls_them() {
    let names = Period::of(day()).map(Period::name);

    assert_eq!(names, ["month", "day", "total"]);
}
