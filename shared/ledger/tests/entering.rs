//! An admin's entries: posted once, by watermarks, and never below zero.

use farebox_core::{Day, Decision, Month};
use farebox_ledger::{Answer, Attr, Budget, Cause, Entry, Posted, Span, Step, archive, update};

use crate::bench::{Bench, at, day, rid};
use crate::support::owner;
use crate::world::pico;

fn span() -> Span {
    Span::Day(day())
}

fn post_in(bench: &mut Bench, number: u128, span: Span, amount: i128) -> Posted {
    let mut entry = Entry::new(owner(), rid(number), span, pico(amount), bench.now).unwrap();
    for _ in 0..10 {
        match entry.step(bench.now) {
            Step::Transact(write) => entry.observe(bench.store.transact(&write), 0),
            Step::Pause { .. } => {}
            Step::Done(posted) => return posted,
            step => panic!("{step:?}"),
        }
    }
    panic!("no end");
}

fn post(bench: &mut Bench, number: u128, amount: i128) -> Posted {
    post_in(bench, number, span(), amount)
}

/// A budget in which 60 are settled.
fn charged() -> Bench {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    bench.end(&held, 1, Decision::Settle(pico(60)));
    bench
}

/// Month, day and total, all committed and settled.
fn books(budget: &Budget) -> [i128; 3] {
    let month = budget.months.get(&day().month()).copied().unwrap_or_default();
    let of_day = budget.days.get(&day()).copied().unwrap_or_default();
    [month, of_day, budget.total].map(|counter| {
        assert_eq!(counter.committed, counter.settled(), "I4");
        counter.settled().pico()
    })
}

#[test]
fn an_entry_moves_what_is_settled_and_committed_alike_and_once() {
    let mut bench = charged();

    assert_eq!(post(&mut bench, 2, -25), Posted::Done);
    assert_eq!(post(&mut bench, 2, -25), Posted::Done);
    assert_eq!(books(&bench.budget()), [35, 35, 35]);

    assert_eq!(post(&mut bench, 3, 50), Posted::Done);
    assert_eq!(books(&bench.budget()), [85, 85, 85]);
    assert_eq!(post(&mut bench, 3, 49), Posted::Different);
    assert_eq!(books(&bench.budget()), [85, 85, 85]);
}

#[test]
fn no_entry_takes_more_than_is_settled() {
    let mut bench = charged();

    assert_eq!(post(&mut bench, 2, -61), Posted::BelowZero);
    assert_eq!(books(&bench.budget()), [60, 60, 60]);
    assert_eq!(post(&mut bench, 2, -60), Posted::Done, "a refused id is free");
    assert_eq!(post(&mut bench, 3, -1), Posted::BelowZero);
    assert_eq!(books(&bench.budget()), [0, 0, 0]);
}

#[test]
fn open_holds_are_not_refunded() {
    let mut bench = charged();
    bench.reserve(2, 40);

    assert_eq!(post(&mut bench, 3, -61), Posted::BelowZero);
    assert_eq!(bench.total(), (100, 60));
}

#[test]
fn an_entry_of_a_month_leaves_its_days_alone() {
    let mut bench = charged();

    assert_eq!(post_in(&mut bench, 2, Span::Month(day().month()), -10), Posted::Done);

    assert_eq!(books(&bench.budget()), [50, 60, 50]);
}

#[test]
fn an_entry_reaches_as_far_as_the_watermarks_let_it() {
    let mut bench = charged();
    bench.store.apply(&update::prune_day(&owner(), day(), Some(pico(60)), None, None));
    assert_eq!(post(&mut bench, 2, -10), Posted::Done);
    assert_eq!(books(&bench.budget()), [50, 0, 50]);

    bench.now = at("2026-12-05T00:00:00Z");
    let closing = archive::due(&bench.budget(), bench.now).remove(0);
    bench.store.transact(&closing.write(&owner(), &bench.budget(), bench.now));
    assert_eq!(post(&mut bench, 3, -20), Posted::Done);
    assert_eq!(post(&mut bench, 3, -20), Posted::Done);
    assert_eq!(post(&mut bench, 4, -31), Posted::BelowZero);
    let archived = bench.store.get(&owner().archive(day().month())).unwrap();
    assert_eq!((books(&bench.budget()), &archived["s"]), ([0, 0, 30], &Attr::N(30)));
}

#[test]
fn an_entry_whose_reply_was_lost_is_found_posted() {
    let mut bench = charged();
    let mut entry = Entry::new(owner(), rid(2), span(), pico(-5), bench.now).unwrap();
    let Step::Transact(write) = entry.step(bench.now) else { panic!("no write") };
    assert_eq!(bench.store.transact(&write), Answer::Applied);

    entry.observe(Answer::Ambiguous, 0);

    let Step::Pause { .. } = entry.step(bench.now) else { panic!("no pause") };
    let Step::Transact(write) = entry.step(bench.now) else { panic!("no second write") };
    let answer = bench.store.transact(&write);
    entry.observe(answer, 0);
    assert_eq!(entry.step(bench.now), Step::Done(Posted::Done));
    assert_eq!(books(&bench.budget()), [55, 55, 55]);
}

#[test]
fn an_entry_of_a_month_that_was_never_archived_is_left() {
    let mut bench = charged();
    bench.set("am", 202_612);

    assert_eq!(post(&mut bench, 2, 5), Posted::Left(Cause::NoArchive));
    assert_eq!(bench.total(), (60, 60));
}

#[test]
fn what_a_budget_can_give_back_is_known_before_and_only_as_far_as_an_entry_reaches() {
    let mut bench = charged();
    post(&mut bench, 2, -10);
    post_in(&mut bench, 3, Span::Month(day().month()), 20);
    let month = Span::Month(day().month());
    // 70 in the month, 50 on the day.
    let most = |bench: &Bench, span: Span| {
        let budget = bench.budget();
        (0..200).rev().find(|amount| span.is_settled(&budget, pico(*amount))).unwrap()
    };
    assert_eq!((most(&bench, span()), most(&bench, month)), (50, 70));

    bench.store.apply(&update::prune_day(&owner(), day(), Some(pico(50)), None, None));
    assert_eq!(most(&bench, span()), 70, "the day is not touched any more");

    bench.now = at("2026-12-05T00:00:00Z");
    let closing = archive::due(&bench.budget(), bench.now).remove(0);
    bench.store.transact(&closing.write(&owner(), &bench.budget(), bench.now));
    assert_eq!((most(&bench, span()), most(&bench, month)), (70, 70), "the total alone");
}

#[test]
fn a_span_is_read_back_from_its_number() {
    let month = Span::Month(Month::from_number(202_611).unwrap());
    for (span, number) in [(span(), 20_261_123), (month, 20_261_100)] {
        assert_eq!((span.number(), Span::from_number(number)), (number, Some(span)));
    }
    assert_eq!(month.first_day(), Day::from_number(20_261_101).ok());
    for wrong in [0, 20_261_131, 20_261_300] {
        assert_eq!(Span::from_number(wrong), None, "{wrong}");
    }
}
