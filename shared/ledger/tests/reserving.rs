//! Every reading of a reserve, refused once.

use farebox_core::{Decision, Money, Zone};
use farebox_ledger::{
    Admission, Answer, Attr, Cause, Ended, Ending, Error, Mode, Period, Reserve, Step, Why, update,
};

use crate::bench::{Bench, NOON, at, day, rid, why};
use crate::support::{Store, owner};
use crate::world::{pico, settings};

#[test]
fn a_lost_answer_is_adopted_when_the_hold_is_found() {
    let mut bench = Bench::hard(100);
    let mut reserve = bench.machine(1, 60);
    let Step::Send(write) = reserve.step(bench.now) else { panic!("no write") };
    bench.store.apply(&write);
    reserve.observe(Answer::Ambiguous, bench.now, 0);
    assert_eq!(reserve.step(bench.now), Step::Pause { ms: 20 });

    let reserved = bench.run(reserve);

    assert_eq!((reserved.admission, reserved.ambiguous), (Admission::Held, true));
    assert_eq!(bench.total(), (60, 0));
}

#[test]
fn a_refusal_says_which_money_is_missing() {
    let mut bench = Bench::new(Mode::Hard, [Some(100), Some(50), None]);
    bench.reserve(1, 30);

    let held = bench.reserve(2, 30);
    let spent = bench.reserve(3, 51);

    let Why::Contention(shortfall) = why(&held) else { panic!("{held:?}") };
    assert_eq!((shortfall.period, shortfall.limit), (Period::Day(day()), pico(50)));
    assert_eq!(shortfall.counter.committed, pico(30));
    let Why::Exceeded(shortfall) = why(&spent) else { panic!("{spent:?}") };
    assert_eq!(shortfall.counter.settled(), Money::ZERO);
    let Admission::Refused(refusal) = spent.admission else { panic!("not refused") };
    assert_eq!((refusal.needed, refusal.is_contention()), (pico(51), false));
    assert_eq!(refusal.budget.unwrap().open, 1);
}

#[test]
fn each_limit_refuses_what_it_does_not_afford_and_takes_what_fits_exactly() {
    for place in 0..3 {
        let mut limits = [None; 3];
        limits[place] = Some(10);
        let mut bench = Bench::new(Mode::Hard, limits);

        assert!(matches!(why(&bench.reserve(1, 11)), Why::Exceeded(_)));
        assert_eq!(bench.reserve(2, 10).admission, Admission::Held);
        assert!(matches!(why(&bench.reserve(3, 1)), Why::Contention(_)));
    }
}

#[test]
fn soft_admits_while_anything_is_left_and_passes_its_limit_by_less_than_one_call() {
    for place in 0..3 {
        let mut limits = [None; 3];
        limits[place] = Some(10);
        let mut bench = Bench::new(Mode::Soft, limits);

        let first = bench.reserve(1, 9);
        assert_eq!(first.admission, Admission::Held);
        let last = bench.reserve(2, 60);
        assert_eq!(last.admission, Admission::Held, "a pico-USD was left");
        assert!(matches!(why(&bench.reserve(3, 1)), Why::Contention(_)));
        assert_eq!(bench.total(), (69, 0));

        bench.end(&first, 1, Decision::Settle(pico(9)));
        bench.end(&last, 2, Decision::Void);
        let last = bench.reserve(4, 60);
        bench.end(&last, 4, Decision::Worst);
        assert!(matches!(why(&bench.reserve(5, 1)), Why::Exceeded(_)));
    }
    let mut none = Bench::new(Mode::Soft, [Some(0), None, None]);
    assert!(matches!(why(&none.reserve(1, 1)), Why::Exceeded(_)));
}

#[test]
fn a_full_budget_waits_or_admits_unheld_where_nothing_is_limited() {
    let mut hard = Bench::hard(1_000);
    hard.set("n", 200);
    assert_eq!(why(&hard.reserve(1, 1)), Why::TooManyHolds);
    assert!(matches!(why(&hard.reserve(2, 1_001)), Why::Exceeded(_)));

    let cases =
        [Bench::new(Mode::Hard, [None; 3]), Bench::new(Mode::Observe, [Some(1), None, None])];
    for mut bench in cases {
        bench.set("n", 200);
        assert_eq!(bench.reserve(1, 5).admission, Admission::Unheld { day: day() });

        let charge = || Ending::unheld(owner(), rid(1), day(), pico(3), at(NOON));
        assert_eq!(bench.finish(charge()), Ended::Applied);
        assert_eq!(bench.finish(charge()), Ended::AlreadyDone);
        assert_eq!(bench.total(), (3, 3));
    }
}

#[test]
fn observe_admits_above_its_limit() {
    let mut bench = Bench::new(Mode::Observe, [Some(1), Some(1), Some(1)]);

    assert_eq!(bench.reserve(1, 50).admission, Admission::Held);
    assert!(bench.budget().view(bench.now).iter().all(|view| view.room == Some(Money::ZERO)));
}

#[test]
fn a_new_limit_binds_a_caller_with_old_terms() {
    let mut bench = Bench::hard(100);
    let reserve = bench.machine(1, 60);
    let change = settings(Mode::Hard, [Some(59), None, None]);
    let epoch = bench.budget().terms.epoch;
    bench.store.apply(&update::limit_change(&owner(), &change, epoch));

    let reserved = bench.run(reserve);

    assert!(matches!(why(&reserved), Why::Exceeded(_)));
    assert_eq!(reserved.fresh, Some(bench.budget().terms));
}

#[test]
fn a_changed_zone_moves_the_day_of_a_stale_reserve() {
    let mut bench = Bench::hard(100);
    let reserve = bench.machine(1, 60);
    let mut change = settings(Mode::Hard, [Some(100), None, None]);
    change.zone = Zone::parse("Pacific/Kiritimati").unwrap();
    let epoch = bench.budget().terms.epoch;
    bench.store.apply(&update::limit_change(&owner(), &change, epoch));

    let reserved = bench.run(reserve);

    assert_eq!(reserved.admission, Admission::Held);
    assert_eq!(reserved.hold.day.number(), 20_261_124);
}

#[test]
fn terms_that_keep_changing_end_the_reserve() {
    let bench = Bench::hard(100);
    let mut reserve = bench.machine(1, 60);
    for sent in 0..=4 {
        match reserve.step(bench.now) {
            Step::Send(_) if sent < 4 => {
                let mut item = bench.item();
                item.insert("ep".to_owned(), Attr::N(sent));
                reserve.observe(Answer::ConditionFailed(Some(item)), bench.now, 0);
            }
            Step::Done(reserved) if sent == 4 => {
                assert_eq!(reserved.admission, Admission::Unavailable(Cause::Stale));
            }
            step => panic!("{sent}: {step:?}"),
        }
    }
}

#[test]
fn a_closed_period_takes_a_new_rid_and_a_closed_budget_takes_none() {
    let mut pruned = Bench::hard(100);
    pruned.set("ad", 20_261_123);
    assert_eq!(pruned.reserve(1, 1).admission, Admission::Restart);
    let mut archived = Bench::hard(100);
    let reserve = archived.machine(1, 1);
    archived.set("am", 202_611);
    archived.set("ep", 5);
    assert_eq!(archived.run(reserve).admission, Admission::Restart);

    let mut closed = Bench::new(Mode::Closed, [None; 3]);
    assert_eq!(why(&closed.reserve(1, 1)), Why::Closed);
    assert_eq!(closed.total(), (0, 0));
}

#[test]
fn no_budget_another_hold_or_an_unknown_mode_fails_closed() {
    let mut bench = Bench::hard(100);
    let mut other = bench.reserve(1, 60);
    let reserve = bench.machine(1, 61);
    assert_eq!(bench.run(reserve).admission, Admission::Unavailable(Cause::HoldConflict));

    other.hold.amount = pico(61);
    // An ending takes what it finds: it subtracts the value in the item.
    assert_eq!(bench.end(&other, 1, Decision::Settle(pico(7))), Ended::Applied);
    assert_eq!(bench.total(), (7, 7));

    let reserve = bench.machine(2, 1);
    let item = bench.store.items.get_mut(&owner().budget()).unwrap();
    item.insert("md".to_owned(), Attr::S("q".to_owned()));
    item.insert("ep".to_owned(), Attr::N(9));
    let unsupported = Cause::Item(Error::ModeNotSupported("q".to_owned()));
    assert_eq!(bench.run(reserve).admission, Admission::Unavailable(unsupported));

    let reserve = Bench::hard(100).machine(2, 1);
    bench.store = Store::default();
    assert_eq!(bench.run(reserve).admission, Admission::Unavailable(Cause::NoBudget));
    assert!(bench.store.items.is_empty(), "a ghost of a budget");
    assert_eq!(bench.end(&other, 1, Decision::Void), Ended::AlreadyDone);
    assert_eq!(bench.end(&other, 1, Decision::Worst), Ended::HandOver(Cause::NoBudget));
}

#[test]
fn a_reserve_tries_four_times_within_its_total_and_its_window() {
    let bench = Bench::hard(100);
    for (answer, cause, ambiguous) in
        [(Answer::Throttled, Cause::Throttled, false), (Answer::Ambiguous, Cause::NoAnswer, true)]
    {
        let mut reserve = bench.machine(1, 1);
        let (mut sent, mut paused) = (0, 0);
        let reserved = loop {
            match reserve.step(bench.now) {
                Step::Send(_) => reserve.observe(answer.clone(), bench.now, u64::MAX),
                Step::Pause { ms } => {
                    assert!((20..=200).contains(&ms));
                    paused += 1;
                    continue;
                }
                Step::Done(reserved) => break reserved,
                step => panic!("{step:?}"),
            }
            sent += 1;
        };
        assert_eq!((sent, paused, reserved.ambiguous), (4, 3, ambiguous));
        assert_eq!(reserved.admission, Admission::Unavailable(cause));
    }

    let late = |ms| bench.machine(1, 1).step(bench.now.plus_ms(ms));
    assert!(matches!(late(1_700), Step::Send(_)));
    assert!(matches!(late(1_701), Step::Done(_)));
    let longer = |ms| bench.machine(1, 1).within(6_000).step(bench.now.plus_ms(ms));
    assert!(matches!(longer(5_700), Step::Send(_)));
    assert!(matches!(longer(5_701), Step::Done(_)));
    let terms = bench.budget().terms;
    let begun = |ms| {
        let now = bench.now.plus_ms(ms);
        Reserve::new(owner(), rid(1), pico(1), terms.clone(), now, 900).step(now)
    };
    assert!(matches!(begun(30_000), Step::Send(_)));
    let Step::Done(reserved) = begun(30_001) else { panic!("too late") };
    assert_eq!(reserved.admission, Admission::Unavailable(Cause::TooLate));
}
