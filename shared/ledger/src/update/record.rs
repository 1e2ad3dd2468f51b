//! Writes that record (3.9): log rows, the outbox, last use.

use farebox_core::{EntityId, Money, Outcome, Rid, Timestamp};

use super::Update;
use crate::item::{Item, Key, Table, money, number, text};

/// The partition of the sparse index `due` that alerts and outbox items stand in.
pub const DUE: &str = "1";

/// Seconds between two records of the same key's use.
const LAST_USED_S: i64 = 300;

/// Log row: it takes the place of no row, or of the one that was seen, by its rank; the sums that
/// move with it (3.13) are the difference to that one.
#[must_use]
pub fn log_put(key: Key, fields: Item, outcome: Outcome, seen: Option<i64>) -> Update {
    let mut item = fields;
    item.extend(key.item());
    item.insert("rk".to_owned(), number(outcome.rank()));
    match seen {
        None => Update::put(key, item, "attribute_not_exists(pk)"),
        Some(rank) => Update::put(key, item, "rk = :rk").value(":rk", number(rank)),
    }
}

/// Where the outbox keeps the event of a call: sixteen partitions by the rid's last digit.
#[must_use]
pub fn outbox_key(rid: Rid) -> Key {
    const DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let sk = rid.to_string();
    let last = sk.chars().last().and_then(|last| DIGITS.find(last)).unwrap_or_default();
    let shard = last.checked_rem(16).unwrap_or_default();
    Key { table: Table::Main, pk: format!("OB#{shard:02}"), sk }
}

/// Outbox: an event that the queue did not take.
#[must_use]
pub fn outbox_put(rid: Rid, event: &str, now: Timestamp) -> Update {
    let key = outbox_key(rid);
    let mut item = key.item();
    item.insert("ev".to_owned(), text(event));
    item.insert("due".to_owned(), text(DUE));
    item.insert("at".to_owned(), number(now.seconds()));
    Update::put(key, item, "attribute_not_exists(pk)")
}

/// Outbox: the queue has the event now.
#[must_use]
pub fn outbox_delete(rid: Rid) -> Update {
    Update::delete(outbox_key(rid))
}

/// Last use of a key or a credential, at most once in five minutes.
#[must_use]
pub fn last_used(key: Key, now: Timestamp) -> Update {
    let condition = "attribute_exists(pk) AND (attribute_not_exists(last_used_at) \
                     OR last_used_at < :t_minus_300)";
    let before = now.seconds().saturating_sub(LAST_USED_S);
    Update::change(key, "SET last_used_at = :t", condition)
        .value(":t", number(now.seconds()))
        .value(":t_minus_300", number(before))
}

/// Where a piece of a call's content is: all of a user's content is one partition.
#[must_use]
pub fn content_key(tenant: &str, user: &EntityId, rid: Rid, piece: u32) -> Key {
    let pk = format!("X#{tenant}#{user}");
    Key { table: Table::Logs, pk, sk: format!("{rid}#{piece:04}") }
}

/// A sealed piece of so many, kept until it expires.
#[must_use]
pub fn content_put(key: Key, sealed: &str, pieces: u32, expires_at: Timestamp) -> Update {
    let mut item = key.item();
    item.insert("body".to_owned(), text(sealed));
    item.insert("n".to_owned(), number(pieces));
    item.insert("ttl".to_owned(), number(expires_at.seconds()));
    Update::put(key, item, "")
}

/// Erases a piece of content, kept for its own sake or for a repeat. A claim itself stays: without
/// it a repeat would pay again.
#[must_use]
pub fn content_delete(key: Key) -> Update {
    Update::delete(key)
}

/// Quarantine (3.11): what begins the sort key of a price row that a call has shown to be wrong.
/// It stands beside the owner's prices, so that it is read with them.
pub const QUARANTINE: &str = "!#";

/// Where a model's quarantine is.
#[must_use]
pub fn quarantine_key(tenant: &str, provider: &str, model: &str) -> Key {
    let sk = format!("{QUARANTINE}{provider}#{model}");
    Key { table: Table::Main, pk: format!("P#{tenant}"), sk }
}

/// Quarantine: the first call that ran over is the one that is shown.
#[must_use]
pub fn quarantine_put(key: Key, rid: Rid, hold: Money, cost: Money, now: Timestamp) -> Update {
    let mut item = key.item();
    item.insert("rid".to_owned(), text(&rid.to_string()));
    item.insert("hold".to_owned(), money(hold));
    item.insert("cost".to_owned(), money(cost));
    item.insert("at".to_owned(), number(now.seconds()));
    Update::put(key, item, "attribute_not_exists(pk)")
}

/// Where it is written down that a credential rests: by its mark, a keyed hash of its secret, so
/// that a new secret does not rest with the old one.
#[must_use]
pub fn resting_key(tenant: &str, mark: &str) -> Key {
    Key { table: Table::Main, pk: format!("CD#{tenant}"), sk: mark.to_owned() }
}

/// A credential rests until then.
#[must_use]
pub fn resting_put(key: Key, until: Timestamp) -> Update {
    let mut item = key.item();
    item.insert("until".to_owned(), number(until.ms()));
    item.insert("ttl".to_owned(), number(until.plus_ms(3_600_000).seconds()));
    Update::put(key, item, "")
}
