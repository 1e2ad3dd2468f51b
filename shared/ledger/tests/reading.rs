//! What an item says, and what is due in it.

use farebox_core::{Decision, Month};
use farebox_ledger::archive::Closing;
use farebox_ledger::{Admission, Answer, Attr, Budget, Hold, Mode, Terms, Why, archive};

use crate::bench::{Bench, at, day, why};
use crate::support::owner;
use crate::world::pico;

#[test]
fn periods_close_two_days_after_their_end_oldest_first() {
    let mut bench = Bench::hard(100);
    for (name, value) in [
        ("mc_202609", 0),
        ("mc_202610", 9),
        ("ms_202610", 9),
        ("mc_202611", 7),
        ("ms_202611", 7),
        ("dc_20261120", 0),
        ("dc_20261121", 5),
        ("ds_20261121", 4),
        ("dc_20261122", 0),
        ("x_01KAQ4ZV0M7W1C9Y3T5B8D2E6F", 10),
    ] {
        bench.set(name, value);
    }
    let months = |now: &str| {
        let due = archive::due(&bench.budget(), at(now)).into_iter();
        due.filter(|closing| matches!(closing, Closing::Month { .. })).count()
    };
    assert_eq!((months("2026-10-02T23:59:59Z"), months("2026-10-03T00:00:00Z")), (0, 1));

    let now = at("2026-11-25T00:00:00Z");
    let mut closed = Vec::new();
    while let Some(next) = archive::due(&bench.budget(), now).first() {
        let write = next.write(&owner(), &bench.budget(), now);
        assert_eq!(bench.store.transact(&write), Answer::Applied);
        closed.push(match next {
            Closing::Month { month, settled } => format!("{month} {settled:?}"),
            Closing::Day { day, settled } => format!("{day} {settled:?}"),
            Closing::Fence { seen, .. } => format!("fence {seen}"),
        });
    }

    // The open hold of the 21st keeps back the 22nd.
    let expected = ["20261120 None", "202609 None", "202610 Some(Money(9))", "fence 10"];
    assert_eq!(closed, expected);
    assert_eq!(bench.item()["ad"], Attr::N(20_261_120));
    assert_eq!(bench.store.get(&owner().archive(day().month())), None);
}

/// An entry of a period that had no counters may come between a read that closes a newer one and
/// its write.
#[test]
fn counters_below_a_watermark_go_without_moving_it_and_keep_nothing_back() {
    let mut bench = Bench::hard(100);
    for (name, value) in [
        ("ad", 20_261_121),
        ("dc_20261120", 5),
        ("ds_20261120", 5),
        ("dc_20261122", 0),
        ("am", 202_610),
        ("mc_202609", 4),
        ("ms_202609", 4),
        ("mc_202611", 0),
    ] {
        bench.set(name, value);
    }
    let now = at("2026-12-05T00:00:00Z");
    let mut marks = Vec::new();
    while let Some(next) = archive::due(&bench.budget(), now).first() {
        let write = next.write(&owner(), &bench.budget(), now);
        assert_eq!(bench.store.transact(&write), Answer::Applied, "{next:?}");
        let terms = bench.budget().terms;
        marks.push((terms.pruned_day.unwrap().number(), terms.archived_month.unwrap().number()));
    }

    let (day, month) = (20_261_122, 202_611);
    assert_eq!(marks, [(20_261_121, 202_610), (day, 202_610), (day, 202_610), (day, month)]);
    let archive = bench.store.get(&owner().archive(Month::from_number(202_609).unwrap())).unwrap();
    assert_eq!(archive["s"], Attr::N(4));
}

#[test]
fn a_view_shows_settled_held_and_room() {
    let mut bench = Bench::new(Mode::Hard, [Some(100), None, Some(50)]);
    let first = bench.reserve(1, 40);
    bench.end(&first, 1, Decision::Settle(pico(30)));
    bench.reserve(2, 15);

    let [month, day, total] = bench.budget().view(bench.now).try_into().unwrap();

    assert_eq!((month.settled, month.held, month.room), (pico(30), pico(15), Some(pico(55))));
    assert_eq!(month.resets_at, Some(at("2026-12-01T00:00:00Z")));
    assert_eq!((day.limit, day.room, day.exceeded), (None, None, false));
    assert_eq!(day.resets_at, Some(at("2026-11-24T00:00:00Z")));
    assert_eq!((total.room, total.resets_at, total.exceeded), (Some(pico(5)), None, false));
}

#[test]
fn a_hold_has_one_spelling() {
    let hold: Hold = "1230000000000.20261123.900".parse().unwrap();
    assert_eq!(hold.to_string(), "1230000000000.20261123.900");
    for text in [
        "",
        "1",
        "1.20261123",
        "0.20261123.9",
        "-1.20261123.9",
        "1.20261199.9",
        "01.20261123.9",
        "1.20261123.09",
        "1.20261123.9.1",
        "+1.20261123.9",
    ] {
        assert!(text.parse::<Hold>().is_err(), "{text}");
    }
}

#[test]
fn a_malformed_item_is_refused_by_name() {
    let bench = Bench::hard(100);
    for (name, value) in [
        ("md", Attr::S("?".to_owned())),
        ("tz", Attr::S("Mars".to_owned())),
        ("th", Attr::S("50,x".to_owned())),
        ("lm", Attr::S("1".to_owned())),
        ("am", Attr::N(202_613)),
        ("n", Attr::N(-1)),
        ("mc_x", Attr::N(1)),
        ("dc_20261199", Attr::N(1)),
        ("h_x", Attr::S("1.20261123.9".to_owned())),
        ("x_1", Attr::N(1)),
    ] {
        let mut item = bench.item();
        item.insert(name.to_owned(), value);
        assert!(Budget::parse(&item).is_err(), "{name}");
    }
    for name in ["ep", "lv", "md", "n", "tc"] {
        let mut item = bench.item();
        item.remove(name);
        assert!(Budget::parse(&item).is_err(), "{name}");
    }
    let mut item = bench.item();
    item.insert("al_202611@org".to_owned(), Attr::N(1));
    assert_eq!(Terms::parse(&item).unwrap(), Budget::parse(&item).unwrap().terms);
}

/// Money.md 4.2: with `nmax` holds the item stays far from 400 KB.
#[test]
fn a_full_item_is_smaller_than_13_kb() {
    let mut bench = Bench::hard(1_000_000_000_000_000);
    for number in 0..200 {
        assert_eq!(bench.reserve(number, 1_230_000_000_000).admission, Admission::Held);
    }
    assert_eq!(why(&bench.reserve(200, 1)), Why::TooManyHolds);

    // DynamoDB counts names and texts in bytes, and numbers at two digits a byte and one more.
    let bytes: usize = bench
        .item()
        .iter()
        .map(|(name, value)| {
            name.len()
                + match value {
                    Attr::S(text) => text.len(),
                    Attr::N(number) => number.to_string().len() / 2 + 2,
                }
        })
        .sum();
    assert!(bytes < 13_000, "{bytes}");
}

#[test]
fn each_mode_has_the_name_that_people_write() {
    let modes = [Mode::Hard, Mode::Balanced, Mode::Soft, Mode::Observe, Mode::Closed];

    assert_eq!(modes.map(Mode::name), ["hard", "balanced", "soft", "observe", "closed"]);
}
