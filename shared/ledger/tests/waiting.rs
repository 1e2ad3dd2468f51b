//! When a call that open holds refuse looks, reserves again, and gives up.

use farebox_core::Decision;
use farebox_ledger::{Attr, Budget, Mode, Wait, Waiting, update};

use crate::bench::{Bench, rid};
use crate::support::owner;
use crate::world::pico;

/// Pauses until the next thing to do that is none; with the time paused so far.
fn next(wait: &mut Wait, bench: &Bench, jitter: u64) -> (Waiting, u64) {
    let mut paused = 0;
    loop {
        match wait.step(&owner(), bench.now, jitter) {
            Waiting::Pause { ms } => {
                assert!((1..=1_000).contains(&ms), "{ms}");
                paused += ms;
            }
            other => return (other, paused),
        }
    }
}

/// What a call that needs an amount does after one look at the bench's budget.
fn after_a_look(bench: &Bench, amount: i128) -> Waiting {
    let mut wait = Wait::new(1_000, bench.now);
    assert_eq!(next(&mut wait, bench, 0), (Waiting::Look(owner().budget()), 100));
    let budget = Budget::parse(&bench.item()).ok();
    wait.observe(budget.as_ref(), pico(amount), bench.now);
    next(&mut wait, bench, 0).0
}

#[test]
fn it_looks_until_the_item_shows_room_and_only_then_reserves() {
    let mut bench = Bench::hard(100);
    let held = bench.reserve(1, 60);
    assert!(matches!(after_a_look(&bench, 60), Waiting::Look(_)), "held");
    assert_eq!(after_a_look(&bench, 40), Waiting::Reserve, "what fits beside the hold");

    bench.end(&held, 1, Decision::Settle(pico(7)));

    assert_eq!(after_a_look(&bench, 60), Waiting::Reserve);
}

#[test]
fn a_full_budget_is_waited_for_too() {
    let mut bench = Bench::hard(100);
    bench.set("n", 200);
    assert!(matches!(after_a_look(&bench, 1), Waiting::Look(_)));
}

#[test]
fn what_no_waiting_cures_is_left_to_the_reserve_at_once() {
    let mut spent = Bench::hard(100);
    let held = spent.reserve(1, 60);
    spent.end(&held, 1, Decision::Worst);
    assert_eq!(after_a_look(&spent, 60), Waiting::Reserve, "spent money");
    assert_eq!(after_a_look(&Bench::new(Mode::Closed, [None; 3]), 1), Waiting::Reserve, "closed");

    let mut bench = Bench::hard(100);
    bench.reserve(1, 60);
    let item = bench.store.items.get_mut(&owner().budget()).unwrap();
    item.insert("md".to_owned(), Attr::S("?".to_owned()));
    assert_eq!(after_a_look(&bench, 60), Waiting::Reserve, "an unknown mode");
    let mut wait = Wait::new(1_000, bench.now);
    next(&mut wait, &bench, 0);
    wait.observe(None, pico(60), bench.now);
    assert_eq!(next(&mut wait, &bench, 0).0, Waiting::Reserve, "no budget");
}

#[test]
fn it_gives_up_when_its_time_is_over_also_by_a_clock_that_stands_still() {
    let mut bench = Bench::hard(100);
    bench.reserve(1, 60);
    for (total, jitter) in [(5_000, 0), (5_000, 900), (250, 7), (1, 0), (0, 0)] {
        let (mut wait, mut paused, mut looks) = (Wait::new(total, bench.now), 0, 0);
        loop {
            let (done, ms) = next(&mut wait, &bench, jitter);
            paused += ms;
            match done {
                Waiting::Look(_) => looks += 1,
                Waiting::GiveUp => break,
                other => panic!("{other:?}"),
            }
            // Every second read fails.
            if looks % 2 == 0 {
                wait.observe(Some(&bench.budget()), pico(60), bench.now);
            }
        }
        assert_eq!((paused, looks == 0), (total, total == 0));
    }

    let mut wait = Wait::new(5_000, bench.now);
    bench.now = bench.now.plus_ms(5_000);
    assert_eq!(next(&mut wait, &bench, 0), (Waiting::GiveUp, 0));
}

/// The counterexample to waiting under the same rid (money.md 4.1-7).
#[test]
fn a_late_void_of_the_last_round_does_not_reach_the_hold_of_the_next() {
    let mut bench = Bench::hard(100);
    let first = bench.reserve(1, 60);
    let late = update::void(&owner(), rid(1), &first.hold, None);
    bench.store.apply(&late);

    bench.reserve(2, 60);
    bench.store.apply(&late);

    assert_eq!(bench.total(), (60, 0), "the second round still holds");
}
