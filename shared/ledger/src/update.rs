//! Every conditional write of the ledger as a value.
//!
//! The texts are those of `docs/money.md` section 3, with `tc` and `ts` moved beside the month
//! and the day as its section 2.1 says; `tests/expressions.rs` compares them. Each names exactly
//! the placeholders that it uses (W6).

mod entry;
mod record;
mod rollup;
mod share;
mod upkeep;

pub use entry::{entry, journal_done, journal_drop, journal_key, journal_put};
pub use record::{
    DUE, QUARANTINE, content_delete, content_key, content_put, last_used, log_put, outbox_delete,
    outbox_key, outbox_put, quarantine_key, quarantine_put, resting_key, resting_put,
};
pub use rollup::{
    LABEL_NAMES_MAX, LABEL_SETS_MAX, LABEL_VALUES_MAX, OTHER, Partition, SHARDS, label_admit,
    label_key, rollup_add, set_key, set_partition, shard_of,
};
pub use share::{Move, cover, create_share, draw, give_back, switch};
pub use upkeep::{archive_month, limit_change, prune_day, prune_fence, restore_fence};

use farebox_core::{Day, Money, Rid, Timestamp};

use crate::budget::{Hold, Mode, Period, Terms};
use crate::item::{Attr, Item, Key, difference, money, number, text};
use crate::scope::Owner;

/// The most open holds that one budget may have: it bounds the item at 12 KB (money.md 4.2).
pub const HOLDS_MAX: u32 = 200;
/// Seconds that a fence outlives its call: no attempt of the call can still be under way then.
pub const FENCE_S: i64 = 900;

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// `UpdateItem` with this update expression.
    Update(String),
    /// `PutItem` of this whole item, its key included.
    Put(Item),
    /// `DeleteItem`.
    Delete,
}

/// One conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Which item.
    pub key: Key,
    /// What to do.
    pub write: Write,
    /// The condition; empty for none.
    pub condition: String,
    /// Names by placeholder (`#h`).
    pub names: Vec<(String, String)>,
    /// Values by placeholder (`:h`).
    pub values: Vec<(String, Attr)>,
}

/// Writes that apply together or not at all. No client token: the conditions make it idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The actions, at most one an item.
    pub actions: Vec<Update>,
}

/// How far a correction of a past call may still reach (money.md 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Month and day are both open.
    Open,
    /// The day is pruned: month and total move.
    DayPruned,
    /// The month is archived: the archive and the total move.
    Archived,
}

impl Update {
    pub(crate) fn change(key: Key, expression: impl Into<String>, condition: &str) -> Self {
        Self {
            key,
            write: Write::Update(expression.into()),
            condition: condition.to_owned(),
            names: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(crate) fn put(key: Key, item: Item, condition: &str) -> Self {
        Self { write: Write::Put(item), ..Self::change(key, "", condition) }
    }

    pub(crate) fn delete(key: Key) -> Self {
        Self { write: Write::Delete, ..Self::change(key, "", "") }
    }

    pub(crate) fn name(mut self, placeholder: &str, name: impl Into<String>) -> Self {
        self.names.push((placeholder.to_owned(), name.into()));
        self
    }

    pub(crate) fn value(mut self, placeholder: &str, value: Attr) -> Self {
        self.values.push((placeholder.to_owned(), value));
        self
    }

    fn hold_name(self, rid: Rid) -> Self {
        self.name("#h", format!("h_{rid}"))
    }

    fn committed_names(self, day: Day) -> Self {
        self.name("#mc", format!("mc_{}", day.month())).name("#dc", format!("dc_{day}"))
    }

    fn settled_names(self, day: Day) -> Self {
        self.name("#ms", format!("ms_{}", day.month())).name("#ds", format!("ds_{day}"))
    }

    fn fence_value(self, rid: Rid, now: Timestamp) -> Self {
        let until = now.seconds().saturating_add(FENCE_S);
        self.name("#x", format!("x_{rid}")).value(":exp", number(until))
    }
}

/// Reserve (3.1): hold an amount where the epoch is the cached one and every limit has room.
///
/// [`Mode::Closed`] has no such write: the machine refuses before it.
#[must_use]
pub fn reserve(owner: &Owner, rid: Rid, hold: &Hold, terms: &Terms) -> Update {
    let mut condition = "ep = :ep AND attribute_not_exists(#h) AND attribute_not_exists(#x) \
                         AND n < :nmax"
        .to_owned();
    let mut rooms = Vec::new();
    if terms.settings.mode != Mode::Observe {
        rooms = room_clauses(&mut condition, hold.day, [hold.amount; 3], terms);
    }
    let expression = "SET #h = :h ADD #mc :a, #dc :a, tc :a, n :one";
    let mut update = Update::change(owner.budget(), expression, &condition)
        .hold_name(rid)
        .name("#x", format!("x_{rid}"))
        .committed_names(hold.day)
        .value(":h", text(&hold.to_string()))
        .value(":a", money(hold.amount))
        .value(":one", number(1))
        .value(":ep", number(terms.epoch))
        .value(":nmax", number(HOLDS_MAX));
    for (placeholder, room) in rooms {
        update = update.value(placeholder, Attr::N(room));
    }
    update
}

/// Extend (3.1a): a confirmed hold becomes one of `amount`, where the limits have room for the
/// difference. A scope that admits without asking for the amount (soft, observe) is not asked
/// here either: the whole of the call was admitted.
#[must_use]
pub fn extend(owner: &Owner, rid: Rid, hold: &Hold, amount: Money, terms: &Terms) -> Update {
    let more = Money::from_pico(difference(amount, hold.amount)).unwrap_or_default();
    let mut condition = "#h = :h1 AND ep = :ep".to_owned();
    let mut rooms = Vec::new();
    if terms.settings.mode.is_strict() {
        rooms = room_clauses(&mut condition, hold.day, [more; 3], terms);
    }
    let extended = Hold { amount, ..*hold };
    let expression = "SET #h = :h2 ADD #mc :d, #dc :d, tc :d";
    let mut update = Update::change(owner.budget(), expression, &condition)
        .hold_name(rid)
        .committed_names(hold.day)
        .value(":h1", text(&hold.to_string()))
        .value(":h2", text(&extended.to_string()))
        .value(":d", money(more))
        .value(":ep", number(terms.epoch));
    for (placeholder, room) in rooms {
        update = update.value(placeholder, Attr::N(room));
    }
    update
}

/// Adds a clause for each limit that stands, and gives the values that they name. The amounts
/// are those of month, day and total; nothing needs no room.
fn room_clauses(
    condition: &mut String,
    day: Day,
    amounts: [Money; 3],
    terms: &Terms,
) -> Vec<(&'static str, i128)> {
    let mut rooms = Vec::new();
    for (period, amount) in Period::of(day).into_iter().zip(amounts) {
        let Some(limit) = terms.limit(period).filter(|_| amount != Money::ZERO) else { continue };
        let (name, value) = match period {
            Period::Month(_) => ("#mc", ":mroom"),
            Period::Day(_) => ("#dc", ":droom"),
            Period::Total => ("tc", ":troom"),
        };
        let room = terms.settings.mode.room(limit, amount);
        // Where the amount alone has no room, an absent counter must not pass. The write is
        // sent all the same: it finds out whether the limit is still in force.
        let clause = if room < 0 || period == Period::Total {
            format!(" AND {name} <= {value}")
        } else {
            format!(" AND (attribute_not_exists({name}) OR {name} <= {value})")
        };
        condition.push_str(&clause);
        rooms.push((value, room));
    }
    rooms
}

/// Settle (3.2): end a hold with a cost. `fence_at` is the time where a reserve attempt of this
/// call had no definite answer, so that the write leaves a fence.
#[must_use]
pub fn settle(
    owner: &Owner,
    rid: Rid,
    hold: &Hold,
    cost: Money,
    fence_at: Option<Timestamp>,
) -> Update {
    let expression = "ADD #mc :d, #ms :c, #dc :d, #ds :c, tc :d, ts :c, n :neg1 REMOVE #h";
    end(owner, rid, hold, expression, fence_at)
        .settled_names(hold.day)
        .value(":d", Attr::N(difference(cost, hold.amount)))
        .value(":c", money(cost))
}

/// Void (3.3): end a hold with nothing. `fence_at` as in [`settle`].
#[must_use]
pub fn void(owner: &Owner, rid: Rid, hold: &Hold, fence_at: Option<Timestamp>) -> Update {
    let expression = "ADD #mc :na, #dc :na, tc :na, n :neg1 REMOVE #h";
    end(owner, rid, hold, expression, fence_at).value(":na", money(hold.amount.negated()))
}

/// Fence (3.3): keep a lost reserve of this call from landing.
#[must_use]
pub fn fence(owner: &Owner, rid: Rid, now: Timestamp) -> Update {
    let condition =
        "attribute_exists(pk) AND attribute_not_exists(#h) AND attribute_not_exists(#x)";
    Update::change(owner.budget(), "SET #x = :exp", condition).hold_name(rid).fence_value(rid, now)
}

/// Sweep (3.4): the whole hold becomes a charge, with a tombstone that the truth corrects once.
/// What is committed does not move, so no limit can be hurt.
#[must_use]
pub fn sweep(owner: &Owner, rid: Rid, hold: &Hold, now: Timestamp) -> Transaction {
    let expression = "ADD #ms :a, #ds :a, ts :a, n :neg1 REMOVE #h";
    let budget = Update::change(owner.budget(), expression, "#h = :h")
        .hold_name(rid)
        .settled_names(hold.day)
        .value(":h", text(&hold.to_string()))
        .value(":a", money(hold.amount))
        .value(":neg1", number(-1));
    let mut tombstone = receipt(owner, rid, hold.day, now);
    tombstone.insert("st".to_owned(), text("P"));
    tombstone.insert("a".to_owned(), money(hold.amount));
    let tombstone = Update::put(owner.tombstone(rid), tombstone, "attribute_not_exists(pk)");
    Transaction { actions: vec![budget, tombstone] }
}

/// Adjust (3.5): the truth replaces a provisional charge, exactly once.
#[must_use]
pub fn adjust(
    owner: &Owner,
    rid: Rid,
    day: Day,
    provisional: Money,
    cost: Money,
    reach: Reach,
) -> Transaction {
    let tombstone = Update::change(owner.tombstone(rid), "SET st = :A, c = :c", "st = :P")
        .value(":A", text("A"))
        .value(":c", money(cost))
        .value(":P", text("P"));
    correction(tombstone, owner, day, difference(cost, provisional), ":d", reach)
}

/// Unheld charge (3.9): what a call cost that was admitted without a hold, exactly once.
#[must_use]
pub fn unheld_charge(
    owner: &Owner,
    rid: Rid,
    day: Day,
    cost: Money,
    reach: Reach,
    now: Timestamp,
) -> Transaction {
    let mut receipt = receipt(owner, rid, day, now);
    receipt.insert("st".to_owned(), text("A"));
    receipt.insert("c".to_owned(), money(cost));
    let receipt = Update::put(owner.tombstone(rid), receipt, "attribute_not_exists(pk)");
    correction(receipt, owner, day, cost.pico(), ":c", reach)
}

/// Seconds that a receipt is kept: longer than a message can live in the queues (money.md 4), and
/// than the log keeps the call's row (90 days). Whoever finds that row may correct it, adds it up
/// or sends its record again, and knows by this alone what stands in the books.
const TOMBSTONE_S: i64 = 100 * 86_400;

/// A tombstone or receipt without its state and amount.
fn receipt(owner: &Owner, rid: Rid, day: Day, now: Timestamp) -> Item {
    let mut item = owner.tombstone(rid).item();
    item.insert("day".to_owned(), number(day.number()));
    item.insert("at".to_owned(), number(now.seconds()));
    item.insert("ttl".to_owned(), number(now.seconds().saturating_add(TOMBSTONE_S)));
    item
}

fn end(
    owner: &Owner,
    rid: Rid,
    hold: &Hold,
    expression: &str,
    fence_at: Option<Timestamp>,
) -> Update {
    let fenced = match fence_at {
        Some(_) => format!("SET #x = :exp {expression}"),
        None => expression.to_owned(),
    };
    let update = Update::change(owner.budget(), fenced, "#h = :h")
        .hold_name(rid)
        .committed_names(hold.day)
        .value(":h", text(&hold.to_string()))
        .value(":neg1", number(-1));
    match fence_at {
        Some(now) => update.fence_value(rid, now),
        None => update,
    }
}

/// A receipt that applies once, and the counters that it moves by `delta`.
fn correction(
    receipt: Update,
    owner: &Owner,
    day: Day,
    delta: i128,
    placeholder: &str,
    reach: Reach,
) -> Transaction {
    const EXISTS: &str = "attribute_exists(pk)";
    const MONTH: &str = "(attribute_not_exists(am) OR am < :month)";
    const DAY: &str = "(attribute_not_exists(ad) OR ad < :day)";
    let key = owner.budget();
    let delta = Attr::N(delta);
    let add = |counters: &[&str]| {
        let moved: Vec<_> = counters.iter().map(|name| format!("{name} {placeholder}")).collect();
        format!("ADD {}", moved.join(", "))
    };
    let budget = match reach {
        Reach::Open => {
            let expression = add(&["#mc", "#ms", "#dc", "#ds", "tc", "ts"]);
            Update::change(key, expression, &format!("{EXISTS} AND {MONTH} AND {DAY}"))
                .committed_names(day)
                .settled_names(day)
                .value(":month", number(day.month().number()))
                .value(":day", number(day.number()))
        }
        Reach::DayPruned => {
            let expression = add(&["#mc", "#ms", "tc", "ts"]);
            Update::change(key, expression, &format!("{EXISTS} AND {MONTH}"))
                .name("#mc", format!("mc_{}", day.month()))
                .name("#ms", format!("ms_{}", day.month()))
                .value(":month", number(day.month().number()))
        }
        Reach::Archived => Update::change(key, add(&["tc", "ts"]), EXISTS),
    };
    let mut actions = vec![receipt, budget.value(placeholder, delta.clone())];
    if reach == Reach::Archived {
        let archive = Update::change(owner.archive(day.month()), add(&["s"]), EXISTS);
        actions.push(archive.value(placeholder, delta));
    }
    Transaction { actions }
}
