//! Each write that the ledger makes, applied twice. One without a row is found by its name.

use std::collections::BTreeSet;

use farebox_core::rollup::{Place, Sums};
use farebox_core::{CallRecord, Decision, Outcome, RateLimits};
use farebox_ledger::alert::{
    Fault, Notice, acknowledge, close, lease, provisional_count, provisional_key, statement_key,
    statement_put, undeliverable,
};
use farebox_ledger::lake::Lake;
use farebox_ledger::rate::{Next, Take};
use farebox_ledger::share::share_settings;
use farebox_ledger::{
    Alert, Answer, Attr, Budget, Channel, Divided, Mode, Pass, Reach, Shares, Transaction, archive,
    update,
};

use crate::bench::{day, rid};
use crate::machines::hold;
use crate::support::{Store, owner};
use crate::world::{pico, settings};

mod scene;

use scene::{
    alerted, budget, claim, claimed, divided, do_all, drawn, held, key, later, moved, now, one,
    place_of_a_call, raised, record, settled, share, whole,
};

/// What applying a write a second time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twice {
    /// It is refused, and nothing of it applies.
    Refused,
    /// It applies, and changes nothing.
    Same,
    /// It applies once more; what keeps it from that stands in the row.
    More,
}

/// A name as `file:function`, what makes the scene and the write, and what a second one does.
type WriteRow = (&'static str, fn(&mut Store) -> Transaction, Twice);

const WRITES: &[WriteRow] = &[
    (
        "budget.rs:create",
        |_| one(Budget::create(&owner(), &settings(Mode::Hard, [None; 3]), now())),
        Twice::Refused,
    ),
    (
        "update.rs:reserve",
        |store| {
            let terms = held(store).terms;
            one(update::reserve(&owner(), rid(2), &"40.20261123.900".parse().unwrap(), &terms))
        },
        Twice::Refused,
    ),
    (
        "update.rs:extend",
        |store| {
            let terms = held(store).terms;
            one(update::extend(&owner(), rid(1), &hold(), pico(70), &terms))
        },
        Twice::Refused,
    ),
    (
        "update.rs:settle",
        |store| {
            held(store);
            one(update::settle(&owner(), rid(1), &hold(), pico(10), None))
        },
        Twice::Refused,
    ),
    (
        "update.rs:void",
        |store| {
            held(store);
            one(update::void(&owner(), rid(1), &hold(), Some(now())))
        },
        Twice::Refused,
    ),
    (
        "update.rs:fence",
        |store| {
            held(store);
            one(update::fence(&owner(), rid(2), now()))
        },
        Twice::Refused,
    ),
    (
        "update.rs:sweep",
        |store| {
            held(store);
            update::sweep(&owner(), rid(1), &hold(), now())
        },
        Twice::Refused,
    ),
    (
        "update.rs:adjust",
        |store| {
            held(store);
            let sweep = update::sweep(&owner(), rid(1), &hold(), now());
            assert_eq!(store.transact(&sweep), Answer::Applied);
            update::adjust(&owner(), rid(1), day(), pico(60), pico(10), Reach::Open)
        },
        Twice::Refused,
    ),
    (
        "update.rs:unheld_charge",
        |store| {
            held(store);
            update::unheld_charge(&owner(), rid(2), day(), pico(10), Reach::Open, now())
        },
        Twice::Refused,
    ),
    (
        "update/entry.rs:entry",
        |store| {
            settled(store);
            update::entry(&owner(), rid(9), day(), pico(-5), Reach::Open, now())
        },
        Twice::Refused,
    ),
    (
        "update/entry.rs:journal_put",
        |_| one(update::journal_put("E#1", &record(), "{}")),
        Twice::Refused,
    ),
    (
        "update/entry.rs:journal_done",
        |store| {
            do_all(store, [update::journal_put("E#1", &record(), "{}")]);
            one(update::journal_done(update::journal_key("acme", "E#1"), now()))
        },
        Twice::Same,
    ),
    (
        "update/entry.rs:journal_drop",
        |store| {
            do_all(store, [update::journal_put("E#1", &record(), "{}")]);
            one(update::journal_drop(update::journal_key("acme", "E#1")))
        },
        Twice::Same,
    ),
    (
        "update/record.rs:log_put",
        |_| {
            let fields = [("x".to_owned(), Attr::N(1))].into();
            one(update::log_put(key("row"), fields, Outcome::Settled, None))
        },
        Twice::Refused,
    ),
    (
        "update/record.rs:outbox_put",
        |_| one(update::outbox_put(rid(1), "{}", now())),
        Twice::Refused,
    ),
    (
        "update/record.rs:outbox_delete",
        |store| {
            do_all(store, [update::outbox_put(rid(1), "{}", now())]);
            one(update::outbox_delete(rid(1)))
        },
        Twice::Same,
    ),
    (
        "update/record.rs:last_used",
        |store| {
            held(store);
            one(update::last_used(owner().budget(), now()))
        },
        Twice::Refused,
    ),
    (
        "update/record.rs:content_put",
        |_| one(update::content_put(key("c"), "sealed", 1, later())),
        Twice::Same,
    ),
    (
        "update/record.rs:content_delete",
        |store| {
            do_all(store, [update::content_put(key("c"), "sealed", 1, later())]);
            one(update::content_delete(key("c")))
        },
        Twice::Same,
    ),
    (
        "update/record.rs:quarantine_put",
        |_| one(update::quarantine_put(key("q"), rid(1), pico(1), pico(2), now())),
        Twice::Refused,
    ),
    ("update/record.rs:resting_put", |_| one(update::resting_put(key("r"), later())), Twice::Same),
    // It goes in one transaction with the row, whose rank lets it in once.
    (
        "update/rollup.rs:rollup_add",
        |_| {
            let row = CallRecord {
                outcome: Outcome::Settled,
                decision: Some(Decision::Settle(pico(3))),
                ..record()
            };
            let sums = Sums::of(&row);
            Transaction { actions: update::rollup_add("acme", 0, day(), (&Place::All, "m"), &sums) }
        },
        Twice::More,
    ),
    (
        "update/rollup.rs:label_admit",
        |_| update::label_admit(key("p"), key("c"), 9, now()),
        Twice::Refused,
    ),
    (
        "update/share.rs:create_share",
        |store| {
            let terms = held(store).terms;
            one(update::create_share(&share(), &share_settings(&terms, 0), now()))
        },
        Twice::Refused,
    ),
    (
        "update/share.rs:switch",
        |store| {
            let read = held(store);
            one(update::switch(&owner(), Shares { used: 2, made: 2 }, read.terms.epoch))
        },
        Twice::Refused,
    ),
    // Two draws are two: both are committed in the whole budget, where there is room.
    (
        "update/share.rs:draw",
        |store| {
            let read = divided(store);
            update::draw(&whole(), &share(), &moved(10), &read.terms)
        },
        Twice::More,
    ),
    (
        "update/share.rs:cover",
        |store| {
            let read = drawn(store);
            update::cover(&whole(), &share(), &moved(10), &read)
        },
        Twice::Refused,
    ),
    (
        "update/share.rs:give_back",
        |store| {
            let read = drawn(store);
            update::give_back(&whole(), &share(), &moved(10), &read)
        },
        Twice::Refused,
    ),
    (
        "update/upkeep.rs:limit_change",
        |store| {
            let read = held(store);
            one(update::limit_change(&owner(), &settings(Mode::Soft, [None; 3]), read.terms.epoch))
        },
        Twice::Refused,
    ),
    (
        "update/upkeep.rs:archive_month",
        |store| {
            let read = settled(store);
            update::archive_month(
                &owner(),
                day().month(),
                Some(pico(10)),
                None,
                &read.terms,
                later(),
            )
        },
        Twice::Refused,
    ),
    (
        "update/upkeep.rs:prune_day",
        |store| {
            settled(store);
            one(update::prune_day(&owner(), day(), Some(pico(10)), None, None))
        },
        Twice::Refused,
    ),
    // The epoch rises again: no terms match, as after the first.
    (
        "update/upkeep.rs:restore_fence",
        |store| {
            held(store);
            one(update::restore_fence(&owner()))
        },
        Twice::More,
    ),
    (
        "update/upkeep.rs:prune_fence",
        |store| {
            held(store);
            do_all(store, [update::fence(&owner(), rid(2), now())]);
            let until = budget(store, &owner()).fences[&rid(2)];
            one(update::prune_fence(&owner(), rid(2), until))
        },
        Twice::Refused,
    ),
    (
        "archive.rs:write",
        |store| {
            let read = settled(store);
            let due = archive::due(&read, later());
            due.last().unwrap().write(&owner(), &read, later())
        },
        Twice::Refused,
    ),
    (
        "share.rs:tend",
        |store| {
            drawn(store);
            let epoch = budget(store, &whole()).terms.epoch;
            let lower = settings(Mode::Hard, [Some(20), None, None]);
            do_all(store, [update::limit_change(&whole(), &lower, epoch)]);
            let (budget, shares) = (budget(store, &whole()), vec![budget(store, &share())]);
            let divided = Divided { owner: whole(), budget, shares };
            divided.tend(now()).remove(0)
        },
        Twice::Refused,
    ),
    ("claim.rs:take", |_| one(claim().take(now(), now())), Twice::Refused),
    ("claim.rs:unbilled", |store| one(claimed(store).unbilled()), Twice::Refused),
    ("claim.rs:part", |store| one(claimed(store).part(0, 1, "sealed", now())), Twice::Same),
    ("claim.rs:done", |store| one(claimed(store).done(1)), Twice::Refused),
    ("alert.rs:put", |_| one(Alert::test(now()).put(&owner(), now())), Twice::Refused),
    ("alert/list.rs:recorded", |_| Alert::test(now()).recorded(&owner(), now()), Twice::Refused),
    ("alert/delivery.rs:lease", |store| one(lease(alerted(store), "me", now())), Twice::Refused),
    (
        "alert/delivery.rs:close",
        |store| {
            let key = alerted(store);
            do_all(store, [lease(key.clone(), "me", now())]);
            one(close(key, "me", &[(Channel::Sns, Ok(()))], 1, now()))
        },
        Twice::Refused,
    ),
    ("alert/delivery.rs:undeliverable", |store| one(undeliverable(alerted(store))), Twice::Refused),
    (
        "alert/statement.rs:statement_put",
        |_| one(statement_put(statement_key("acme", day().month()), now())),
        Twice::Refused,
    ),
    (
        "alert/notice.rs:put",
        |_| one(Notice::new(Fault::Provisional, "user:u1".to_owned(), now()).put("acme", now())),
        Twice::Refused,
    ),
    (
        "alert/notice.rs:acknowledge",
        |store| {
            let notice = Notice::new(Fault::Provisional, "user:u1".to_owned(), now());
            do_all(store, [notice.put("acme", now())]);
            one(acknowledge(notice.key("acme"), "admin_key:x", now()))
        },
        Twice::Refused,
    ),
    // It says when to tell, and moves no money.
    (
        "alert/notice.rs:provisional_count",
        |_| one(provisional_count(provisional_key("acme", &owner().scope, now()), now())),
        Twice::More,
    ),
    ("pass.rs:put", |_| one(Pass::begin(None, now()).put("acme")), Twice::Refused),
    ("lake.rs:put", |_| one(Lake::default().put("acme")), Twice::Refused),
    // With calls under way counted, by the slot; requests of a minute alone have none.
    (
        "rate.rs:write",
        |store| {
            let limits = RateLimits { concurrent: Some(2), ..RateLimits::default() };
            let of_key = ("key:k1".parse().unwrap(), limits);
            let mut other = Take::new("acme", of_key, rid(2), 1, (now(), now()));
            let Next::Write(begin) = other.after(None, now()) else { panic!("no place") };
            do_all(store, [begin]);
            one(place_of_a_call(limits).write())
        },
        Twice::Refused,
    ),
    (
        "rate.rs:give_back",
        |store| {
            let limits = RateLimits { concurrent: Some(2), ..RateLimits::default() };
            let mut take = place_of_a_call(limits);
            let Next::Write(begin) = take.after(None, now()) else { panic!("no place") };
            do_all(store, [begin]);
            one(take.give_back(Some(3)).remove(0))
        },
        Twice::Refused,
    ),
    (
        "temporary.rs:begin",
        |store| {
            let (temporary, epoch) = raised(store);
            temporary.begin(&owner(), &settings(Mode::Hard, [Some(200), None, None]), epoch)
        },
        Twice::Refused,
    ),
    (
        "temporary.rs:end",
        |store| {
            let (temporary, epoch) = raised(store);
            let begin =
                temporary.begin(&owner(), &settings(Mode::Hard, [Some(200), None, None]), epoch);
            assert_eq!(store.transact(&begin), Answer::Applied);
            temporary.end(&owner(), budget(store, &owner()).terms.epoch)
        },
        Twice::Refused,
    ),
    (
        "temporary.rs:forget",
        |store| {
            let (temporary, epoch) = raised(store);
            let begin =
                temporary.begin(&owner(), &settings(Mode::Hard, [Some(200), None, None]), epoch);
            assert_eq!(store.transact(&begin), Answer::Applied);
            one(temporary.forget(&owner()))
        },
        Twice::Refused,
    ),
];

#[test]
fn every_write_applied_twice_does_what_its_row_says() {
    for (name, scene, twice) in WRITES {
        let mut store = Store::default();
        let write = scene(&mut store);
        let before = store.items.clone();
        assert_eq!(store.transact(&write), Answer::Applied, "{name}: {write:?}");
        let once = store.items.clone();
        assert_ne!(once, before, "{name} changes something");

        let again = store.transact(&write);
        let is_same = store.items == once;
        let found = match again {
            Answer::Cancelled(_) | Answer::ConditionFailed(_) => {
                assert!(is_same, "{name} was refused and changed something");
                Twice::Refused
            }
            Answer::Applied if is_same => Twice::Same,
            Answer::Applied => Twice::More,
            answer => panic!("{name}: {answer:?}"),
        };
        assert_eq!(found, *twice, "{name}");
    }
}

#[test]
fn every_public_function_that_makes_a_write_has_a_row() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let (mut folders, mut found) = (vec![root.to_owned()], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let file = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            for function in text.split("pub fn ").skip(1) {
                let head = function.split('{').next().unwrap();
                let Some((_, result)) = head.rsplit_once("->") else { continue };
                if result.contains("Update") || result.contains("Transaction") {
                    let name = head.split('(').next().unwrap();
                    found.insert(format!("{file}:{name}"));
                }
            }
        }
    }
    // What looks for a write that another of these makes.
    assert!(found.remove("share.rs:ahead"));
    let rows: BTreeSet<_> = WRITES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(rows, found);
}
