//! What stands in the store before a write.

use farebox_core::{CallRecord, RateLimits, Timestamp};
use farebox_ledger::rate::Take;
use farebox_ledger::share::share_settings;
use farebox_ledger::{
    Alert, Answer, Budget, Claim, Key, Mode, Move, Owner, Shares, Table, Temporary, Transaction,
    Update, update,
};

use crate::bench::{at, day, rid};
use crate::machines::hold;
use crate::support::{Store, owner};
use crate::world::{pico, settings};

pub fn one(update: Update) -> Transaction {
    Transaction { actions: vec![update] }
}

pub fn now() -> Timestamp {
    at("2026-11-23T12:00:00Z")
}

pub fn later() -> Timestamp {
    at("2027-02-01T00:00:00Z")
}

pub fn key(sk: &str) -> Key {
    Key { table: Table::Main, pk: "X".to_owned(), sk: sk.to_owned() }
}

pub fn do_all(store: &mut Store, writes: impl IntoIterator<Item = Update>) {
    for write in writes {
        assert_eq!(store.apply(&write), Answer::Applied, "{write:?}");
    }
}

pub fn budget(store: &Store, owner: &Owner) -> Budget {
    Budget::parse(&store.get(&owner.budget()).unwrap()).unwrap()
}

/// A budget of 100, and a hold of 60 in it.
pub fn held(store: &mut Store) -> Budget {
    let create = Budget::create(&owner(), &settings(Mode::Hard, [Some(100), None, None]), now());
    do_all(store, [create]);
    let terms = budget(store, &owner()).terms;
    do_all(store, [update::reserve(&owner(), rid(1), &hold(), &terms)]);
    budget(store, &owner())
}

/// The same, settled to 10.
pub fn settled(store: &mut Store) -> Budget {
    held(store);
    do_all(store, [update::settle(&owner(), rid(1), &hold(), pico(10), None)]);
    budget(store, &owner())
}

pub fn whole() -> Owner {
    Owner::new("acme", "org:o1".parse().unwrap())
}

pub fn share() -> Owner {
    Owner { scope: whole().scope.with_share(0), ..whole() }
}

pub fn moved(amount: i128) -> Move {
    Move { day: day(), amounts: [pico(amount); 3] }
}

/// A budget with one share.
pub fn divided(store: &mut Store) -> Budget {
    let create = Budget::create(&whole(), &settings(Mode::Hard, [Some(100), None, None]), now());
    do_all(store, [create]);
    let epoch = budget(store, &whole()).terms.epoch;
    do_all(store, [update::switch(&whole(), Shares { used: 1, made: 1 }, epoch)]);
    let terms = budget(store, &whole()).terms;
    do_all(store, [update::create_share(&share(), &share_settings(&terms, 0), now())]);
    budget(store, &whole())
}

/// The same, and the share has drawn 50.
pub fn drawn(store: &mut Store) -> Budget {
    let read = divided(store);
    let draw = update::draw(&whole(), &share(), &moved(50), &read.terms);
    assert_eq!(store.transact(&draw), Answer::Applied);
    budget(store, &share())
}

pub fn record() -> CallRecord {
    let id = "u1".parse().unwrap();
    CallRecord::new(rid(1), "acme".to_owned(), id, "k1".parse().unwrap())
}

pub fn claim() -> Claim {
    Claim::new("acme", &"u1".parse().unwrap(), "hash", rid(1), "print".to_owned())
}

pub fn claimed(store: &mut Store) -> Claim {
    do_all(store, [claim().take(now(), now())]);
    claim()
}

pub fn alerted(store: &mut Store) -> Key {
    let alert = Alert::test(now());
    do_all(store, [alert.put(&owner(), now())]);
    alert.name.key(&owner())
}

pub fn place_of_a_call(limits: RateLimits) -> Take {
    Take::new("acme", ("key:k1".parse().unwrap(), limits), rid(1), 5, (now(), now()))
}

pub fn raised(store: &mut Store) -> (Temporary, u64) {
    let read = held(store);
    let (epoch, version) = (read.terms.epoch, read.terms.version.saturating_add(1));
    let temporary = Temporary { until: later(), version, settings: read.terms.settings };
    (temporary, epoch)
}
