//! An admin's entry (money.md 7): a signed correction of a scope's books, never an edit.

use farebox_core::{CallRecord, Day, Money, Rid, Timestamp};

use super::{Reach, Transaction, Update, correction, receipt};
use crate::item::{Key, Table, money, number, text};
use crate::scope::Owner;

/// Seconds that the receipt of an entry is kept: as long as the archive of its month.
const RECEIPT_S: i64 = 400 * 86_400;

/// Entry: what a scope was charged on a day changes by `amount`, exactly once. A negative one
/// applies only where every counter that it moves has as much settled.
#[must_use]
pub fn entry(
    owner: &Owner,
    id: Rid,
    day: Day,
    amount: Money,
    reach: Reach,
    now: Timestamp,
) -> Transaction {
    let mut receipt = receipt(owner, id, day, now);
    receipt.insert("st".to_owned(), text("A"));
    receipt.insert("c".to_owned(), money(amount));
    receipt.insert("ttl".to_owned(), number(now.seconds().saturating_add(RECEIPT_S)));
    let receipt = Update::put(owner.tombstone(id), receipt, "attribute_not_exists(pk)");
    let mut entry = correction(receipt, owner, day, amount.pico(), ":d", reach);
    if amount < Money::ZERO {
        let settled: &[&[&str]] = match reach {
            Reach::Open => &[&[], &["#ms", "#ds", "ts"]],
            Reach::DayPruned => &[&[], &["#ms", "ts"]],
            Reach::Archived => &[&[], &["ts"], &["s"]],
        };
        for (action, counters) in entry.actions.iter_mut().zip(settled) {
            for counter in *counters {
                action.condition.push_str(&format!(" AND {counter} >= :abs"));
            }
            if !counters.is_empty() {
                action.values.push((":abs".to_owned(), money(amount.negated())));
            }
        }
    }
    entry
}

/// Where the journal keeps the entry of this name: the corrections of a deployment, for ever.
#[must_use]
pub fn journal_key(tenant: &str, name: &str) -> Key {
    Key { table: Table::Main, pk: format!("C#{tenant}"), sk: name.to_owned() }
}

/// Journal: what is going to be entered, before it is. Whoever finds it not `done` enters it.
#[must_use]
pub fn journal_put(name: &str, record: &CallRecord, json: &str) -> Update {
    let key = journal_key(&record.tenant, name);
    let mut item = key.item();
    item.insert("rec".to_owned(), text(json));
    Update::put(key, item, "attribute_not_exists(pk)")
}

/// Journal: it is entered, and its row is sent.
#[must_use]
pub fn journal_done(key: Key, now: Timestamp) -> Update {
    Update::change(key, "SET done = :now", "attribute_exists(pk)")
        .value(":now", number(now.seconds()))
}

/// Journal: it was refused before anything was entered, so its name may be used again.
#[must_use]
pub fn journal_drop(key: Key) -> Update {
    let condition = "attribute_not_exists(done)";
    Update { condition: condition.to_owned(), ..Update::delete(key) }
}
