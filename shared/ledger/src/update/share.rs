//! Shares of a hot budget (4.3): what they draw from it, and what they give back.
//!
//! A share is a budget item of its own, in which calls are held like in any other. What it may
//! commit stands in it by period (`ma_`, `da_`, `ta`), and is committed in the whole budget
//! (`mc_` and `mg_`, `dc_` and `dg_`, `tc` and `tg`) from the draw on, as a hold would be.

use farebox_core::{Day, Money, Timestamp};

use super::{Transaction, Update, room_clauses};
use crate::budget::{Budget, Period, Settings, Terms};
use crate::item::{Attr, difference, money, number};
use crate::scope::Owner;
use crate::share::Shares;

/// What goes from a budget to a share, or back: an amount in each period of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The local day.
    pub day: Day,
    /// In its month, in itself, and in the total; none is below zero.
    pub amounts: [Money; 3],
}

/// Of each period: its placeholder, and its attributes' names as they begin.
const PLACES: [Place; 3] = [
    Place { value: ":m", committed: "mc", granted: "mg", allowed: "ma", room: ":mroom" },
    Place { value: ":d", committed: "dc", granted: "dg", allowed: "da", room: ":droom" },
    Place { value: ":t", committed: "tc", granted: "tg", allowed: "ta", room: ":troom" },
];

struct Place {
    value: &'static str,
    committed: &'static str,
    granted: &'static str,
    allowed: &'static str,
    room: &'static str,
}

impl Move {
    /// Whether nothing moves.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.amounts.iter().all(|amount| *amount == Money::ZERO)
    }

    /// The periods in which something moves, and how much.
    fn parts(&self) -> impl Iterator<Item = (&'static Place, Period, Money)> {
        let parts = PLACES.iter().zip(Period::of(self.day)).zip(self.amounts);
        let parts = parts.map(|((place, period), amount)| (place, period, amount));
        parts.filter(|(_, _, amount)| *amount != Money::ZERO)
    }
}

/// The write that makes a share: a budget without limits of its own, and with nothing drawn yet.
#[must_use]
pub fn create_share(owner: &Owner, settings: &Settings, now: Timestamp) -> Update {
    let mut create = Budget::create(owner, settings, now);
    if let super::Write::Put(item) = &mut create.write {
        item.insert("ta".to_owned(), number(0));
    }
    create
}

/// Switch (4.3): calls are held in so many shares from now on; 0 in the budget itself again. What
/// was ever made stays named. It binds with the new epoch; who has not seen it holds in the
/// budget itself, or in a share that has something left, and both are committed here.
#[must_use]
pub fn switch(owner: &Owner, shares: Shares, epoch: u64) -> Update {
    let expression = "SET sn = :sn, sm = :sm, ep = ep + :one";
    Update::change(owner.budget(), expression, "ep = :ep")
        .value(":sn", number(shares.used))
        .value(":sm", number(shares.made))
        .value(":one", number(1))
        .value(":ep", number(epoch))
}

/// Draw: a share may commit more, where the budget has room for it under these terms. The share's
/// epoch stays: who has not seen the draw acts on less. Done twice it is two draws.
#[must_use]
pub fn draw(whole: &Owner, share: &Owner, moved: &Move, terms: &Terms) -> Transaction {
    let mut condition = "ep = :ep".to_owned();
    let rooms = room_clauses(&mut condition, moved.day, moved.amounts, terms);
    let mut parent = grant(whole, moved, &condition).value(":ep", number(terms.epoch));
    for (place, room) in rooms {
        parent = parent.value(place, Attr::N(room));
    }
    Transaction { actions: vec![parent, allow(share, moved)] }
}

/// Cover: a share has committed more than it has drawn (a cost above its hold, an entry), and the
/// budget is told. That is the truth (I8), so no room is asked for. `read` is the share
/// as it was read: it covers once, also where what it covered has been given back since.
#[must_use]
pub fn cover(whole: &Owner, share: &Owner, moved: &Move, read: &Budget) -> Transaction {
    let mut condition = "attribute_exists(pk)".to_owned();
    let mut marks = Vec::new();
    open(&mut condition, &mut marks, moved);
    let mut parent = grant(whole, moved, &condition);
    parent.values.extend(marks);
    let mut share = allow(share, moved).value(":ep", number(read.terms.epoch));
    share.condition.push_str(" AND ep = :ep");
    for (place, period, _) in moved.parts() {
        let name = allowed_name(place, period);
        match read.terms.allowances.iter().flatten().find(|(one, _)| **one == period) {
            None => share.condition.push_str(&format!(" AND attribute_not_exists({name})")),
            Some((_, allowed)) => {
                share.condition.push_str(&format!(" AND {name} = {}", place.room));
                share = share.value(place.room, money(*allowed));
            }
        }
    }
    Transaction { actions: vec![parent, share] }
}

/// Give back: a share may commit less, where it has not committed that already. Its epoch rises,
/// so that no reserve goes by the larger allowance. `read` is the share as it was read.
#[must_use]
pub fn give_back(whole: &Owner, share: &Owner, moved: &Move, read: &Budget) -> Transaction {
    let mut less = Update::change(share.budget(), "", "ep = :ep")
        .value(":ep", number(read.terms.epoch))
        .value(":one", number(1));
    let mut adds = Vec::new();
    for (place, period, amount) in moved.parts() {
        let (name, committed) = (allowed_name(place, period), committed_name(place, period));
        adds.push(format!("{name} {}", place.value));
        less.condition.push_str(&format!(" AND {committed} <= {}", place.room));
        let left = read.terms.limit(period).unwrap_or_default();
        less =
            named(named(less, &name, place.allowed, period), &committed, place.committed, period)
                .value(place.value, money(amount.negated()))
                .value(place.room, Attr::N(difference(left, amount)));
    }
    less.write = super::Write::Update(format!("SET ep = ep + :one ADD {}", adds.join(", ")));
    let mut condition = "attribute_exists(pk)".to_owned();
    let mut marks = Vec::new();
    open(&mut condition, &mut marks, moved);
    let back = Move { amounts: moved.amounts.map(Money::negated), ..*moved };
    let mut parent = grant(whole, &back, &condition);
    parent.values.extend(marks);
    Transaction { actions: vec![less, parent] }
}

/// The budget commits to what a share has drawn.
fn grant(whole: &Owner, moved: &Move, condition: &str) -> Update {
    let mut update = Update::change(whole.budget(), "", condition);
    let mut adds = Vec::new();
    for (place, period, amount) in moved.parts() {
        let committed = committed_name(place, period);
        let granted = match period {
            Period::Total => place.granted.to_owned(),
            _ => format!("#{}", place.granted),
        };
        adds.push(format!("{committed} {0}, {granted} {0}", place.value));
        update = named(update, &committed, place.committed, period);
        update = named(update, &granted, place.granted, period).value(place.value, money(amount));
    }
    update.write = super::Write::Update(format!("ADD {}", adds.join(", ")));
    update
}

/// The share may commit it. Its counters are there from then on, also where no call comes, so
/// that the end of the period finds them.
fn allow(share: &Owner, moved: &Move) -> Update {
    let mut condition = "attribute_exists(ta)".to_owned();
    let mut marks = Vec::new();
    open(&mut condition, &mut marks, moved);
    let mut update = Update::change(share.budget(), "", &condition).value(":zero", number(0));
    update.values.extend(marks);
    let mut adds = Vec::new();
    for (place, period, amount) in moved.parts() {
        let (name, committed) = (allowed_name(place, period), committed_name(place, period));
        adds.push(format!("{name} {}, {committed} :zero", place.value));
        update = named(update, &name, place.allowed, period);
        update = named(update, &committed, place.committed, period);
        update = update.value(place.value, money(amount));
    }
    update.write = super::Write::Update(format!("ADD {}", adds.join(", ")));
    update
}

/// Asks that the periods are not closed, so that none is revived.
fn open(condition: &mut String, values: &mut Vec<(String, Attr)>, moved: &Move) {
    for (_, period, _) in moved.parts() {
        let (mark, place, number_of) = match period {
            Period::Month(month) => ("am", ":month", month.number()),
            Period::Day(day) => ("ad", ":day", day.number()),
            Period::Total => continue,
        };
        condition.push_str(&format!(" AND (attribute_not_exists({mark}) OR {mark} < {place})"));
        values.push((place.to_owned(), number(number_of)));
    }
}

fn allowed_name(place: &Place, period: Period) -> String {
    if period == Period::Total { place.allowed.to_owned() } else { format!("#{}", place.allowed) }
}

fn committed_name(place: &Place, period: Period) -> String {
    let name = place.committed;
    if period == Period::Total { name.to_owned() } else { format!("#{name}") }
}

fn named(update: Update, placeholder: &str, name: &str, period: Period) -> Update {
    match period {
        Period::Month(month) => update.name(placeholder, format!("{name}_{month}")),
        Period::Day(day) => update.name(placeholder, format!("{name}_{day}")),
        Period::Total => update,
    }
}
