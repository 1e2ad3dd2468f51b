//! Edges that `cargo prove mutants` found without a test.

use std::collections::BTreeSet;

use farebox_core::{Decision, RateLimits, Timestamp};
use farebox_ledger::rate::{Next as Turn, Take};
use farebox_ledger::{
    Admission, Answer, Attr, Cause, Counter, Divided, Ended, Ending, Extend, Extension, Limits,
    Mode, Next, Period, Step, Sweep, Swept, Verdict, update,
};

use crate::bench::{Bench, day, rid};
use crate::sharing::Hot;
use crate::support::{Store, owner};
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

/// Two shares of a budget, each of which draws a hundred at a time.
fn hot() -> Hot {
    Hot::new(Mode::Hard, [Some(1_600), None, None], 2)
}

#[test]
fn a_share_is_low_below_half_of_a_draw_and_not_at_it() {
    let terms = hot().divided().budget.terms;

    assert!(!terms.is_low(Period::of(day()), |_| pico(50)));
    assert!(terms.is_low(Period::of(day()), |_| pico(49)));
}

#[test]
fn a_share_out_of_use_or_of_a_closed_day_holds_nothing_and_draws_nothing() {
    let hot = hot();
    let gone: [fn(&mut Divided); 5] = [
        |divided| divided.shares[1].terms.settings.mode = Mode::Closed,
        |divided| divided.budget.terms.shares.used = 1,
        |divided| divided.budget.terms.shares.used = 0,
        |divided| divided.shares[1].terms.pruned_day = Some(day()),
        |divided| divided.budget.terms.pruned_day = Some(day()),
    ];
    let open = hot.divided();
    assert!(matches!(open.next(Some(1), pico(1), hot.now), Next::Move(_)));
    assert!(open.ahead(1, hot.now).is_some());

    for (number, change) in gone.into_iter().enumerate() {
        let mut divided = hot.divided();
        change(&mut divided);

        assert_eq!(divided.next(Some(1), pico(1), hot.now), Next::Gone, "{number}");
        assert_eq!(divided.ahead(1, hot.now), None, "{number}");
    }
}

/// A divided budget whose shares may commit so much of the month.
fn allowed(limits: [Option<i128>; 3], of_shares: [i128; 2]) -> (Divided, Timestamp) {
    let hot = Hot::new(Mode::Hard, limits, 2);
    let (mut divided, month) = (hot.divided(), day().month());
    for (share, amount) in divided.shares.iter_mut().zip(of_shares) {
        let allowances = share.terms.allowances.get_or_insert_default();
        allowances.insert(Period::Month(month), pico(amount));
    }
    let granted = pico(of_shares.into_iter().sum());
    divided.budget.granted.insert(Period::Month(month), granted);
    let counter = Counter { committed: granted, settled: None };
    divided.budget.months.insert(month, counter);
    (divided, hot.now)
}

#[test]
fn what_is_more_than_two_draws_goes_back_unless_the_day_is_closed() {
    let limits = [Some(1_600), None, None];
    let (two, now) = allowed(limits, [200, 0]);
    assert_eq!(two.tend(now), []);
    let (mut more, now) = allowed(limits, [201, 0]);
    assert_eq!(more.tend(now).len(), 1);

    more.shares[0].terms.pruned_day = Some(day());
    assert_eq!(more.tend(now), []);
    more.shares[0].terms.pruned_day = None;
    more.budget.terms.pruned_day = Some(day());
    assert_eq!(more.tend(now), []);
}

#[test]
fn what_a_lowered_limit_asks_back_comes_from_a_share_that_is_not_rich_too() {
    // A draw is 9, more than 18 is rich, and 5 are above the limit.
    let (divided, now) = allowed([Some(150), None, None], [15, 140]);

    assert_eq!(divided.tend(now).len(), 2);
}

#[test]
fn a_share_gives_back_of_the_period_only_that_lacks_something() {
    let (mut divided, now) = allowed([Some(60), Some(1_000), None], [10, 50]);
    let allowances = divided.shares[1].terms.allowances.get_or_insert_default();
    allowances.insert(Period::Day(day()), pico(40));
    divided.budget.granted.insert(Period::Day(day()), pico(40));
    let counter = Counter { committed: pico(40), settled: None };
    divided.budget.days.insert(day(), counter);

    let Next::Move(moved) = divided.next(Some(0), pico(20), now) else { panic!("no move") };

    let names: Vec<_> = moved.actions[0].names.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"#ma") && !names.contains(&"#da"), "{names:?}");
}

#[test]
fn a_share_that_has_enough_of_the_month_draws_of_the_day_under_a_lowered_limit() {
    let (divided, now) = allowed([Some(60), Some(1_000), None], [10, 90]);

    let Next::Move(moved) = divided.next(Some(0), pico(10), now) else { panic!("no move") };

    assert_eq!(moved.actions[0].key, divided.owner.budget(), "a draw, and no return of the other");
}

#[test]
fn a_place_that_is_given_back_leaves_what_was_used() {
    let limits = RateLimits {
        requests_per_minute: Some(3),
        tokens_per_minute: Some(100),
        concurrent: Some(2),
    };
    let now = Bench::hard(1).now;
    // As many tokens as a minute has are not too many.
    for (tokens, used, left) in [(100, Some(7), [1, 7, 0]), (40, None, [0, 0, 0])] {
        let scope = ("user:u1".parse().unwrap(), limits);
        let mut take = Take::new("main", scope, rid(1), tokens, (now, now.plus_ms(900_000)));
        let Turn::Write(begin) = take.after(None, now) else { panic!("refused: {tokens}") };
        let mut store = Store::default();
        assert_eq!(store.apply(&begin), Answer::Applied);
        let taken = store.get(&begin.key).unwrap();
        assert_eq!(take.left(&taken), (Some(2), Some(100 - tokens)));
        let mut next_minute = store.clone();

        assert_eq!(store.apply(&take.give_back(used)[0]), Answer::Applied);
        let counts = |store: &Store| {
            let item = store.get(&begin.key).unwrap();
            ["r", "t", "n"].map(|name| item[name].clone())
        };
        assert_eq!(counts(&store), left.map(Attr::N));

        // A minute later only the place itself is given back.
        let item = next_minute.items.get_mut(&begin.key).unwrap();
        item.insert("w".to_owned(), Attr::N(29_999_999));
        let [within, later] = &take.give_back(used)[..] else { panic!("two writes") };
        assert!(matches!(next_minute.apply(within), Answer::ConditionFailed(_)));
        assert_eq!(next_minute.apply(later), Answer::Applied);
        assert_eq!(counts(&next_minute), [1, i128::from(tokens), 0].map(Attr::N));
    }
}

#[test]
fn rows_move_every_copy_of_their_sums() {
    let of_rows: BTreeSet<_> = (0..64).map(|call| update::shard_of(rid(call))).collect();

    assert_eq!(of_rows, (0..update::SHARDS).collect());
}
