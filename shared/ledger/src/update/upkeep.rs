//! Writes beside the calls: the owner's changes, and the end of a period.

use farebox_core::{Day, Money, Month, Rid, Timestamp};

use super::{Transaction, Update};
use crate::budget::{Settings, Terms};
use crate::item::{money, number, text};
use crate::scope::Owner;

/// Seconds that an archived month is kept: thirteen months.
const ARCHIVE_S: i64 = 400 * 86_400;

/// Limit, mode, zone or threshold change (3.6), from the epoch that the owner was shown.
#[must_use]
pub fn limit_change(owner: &Owner, settings: &Settings, epoch: u64) -> Update {
    let limits = settings.limits;
    let rows = [("lm", limits.month), ("ld", limits.day), ("lt", limits.total)];
    let (mut sets, mut removes, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (name, limit) in rows {
        match limit {
            Some(limit) => {
                sets.push(format!("{name} = :{name}"));
                values.push((format!(":{name}"), money(limit)));
            }
            None => removes.push(name),
        }
    }
    for (name, value) in [
        ("md", settings.mode.wire().to_owned()),
        ("tz", settings.zone.name().to_owned()),
        ("th", settings.thresholds_wire()),
    ] {
        sets.push(format!("{name} = :{name}"));
        values.push((format!(":{name}"), text(&value)));
    }
    let set = format!("SET {}, lv = lv + :one, ep = ep + :one", sets.join(", "));
    let expression = match removes.as_slice() {
        [] => set,
        gone => format!("{set} REMOVE {}", gone.join(", ")),
    };
    let mut update = Update::change(owner.budget(), expression, "ep = :ep")
        .value(":one", number(1))
        .value(":ep", number(epoch));
    update.values.extend(values);
    update
}

/// Archive and prune a closed month (3.7). `settled` is what its counters say, both of them;
/// `None` is a month in which every call was voided. `granted` is what shares have drawn of it:
/// each of them closes its own.
#[must_use]
pub fn archive_month(
    owner: &Owner,
    month: Month,
    settled: Option<Money>,
    granted: Option<Money>,
    terms: &Terms,
    now: Timestamp,
) -> Transaction {
    let key = owner.archive(month);
    let mut item = key.item();
    item.insert("s".to_owned(), money(settled.unwrap_or_default()));
    if let Some(limit) = terms.settings.limits.month {
        item.insert("lm".to_owned(), money(limit));
    }
    item.insert("lv".to_owned(), number(terms.version));
    item.insert("tz".to_owned(), text(terms.settings.zone.name()));
    item.insert("ttl".to_owned(), number(now.seconds().saturating_add(ARCHIVE_S)));
    let put = Update::put(key, item, "attribute_not_exists(pk)");
    let is_passed = terms.archived_month.is_some_and(|closed| month <= closed);
    let names = ["am", "mc", "ms", "mg", "ma"];
    let found = Found { settled, granted, is_passed };
    let prune = prune(owner, names, month.number(), found);
    Transaction { actions: vec![put, prune] }
}

/// Prune a past day (3.7): days have no archive. The amounts are as in [`archive_month`];
/// `pruned` is the day up to which the budget is pruned already.
#[must_use]
pub fn prune_day(
    owner: &Owner,
    day: Day,
    settled: Option<Money>,
    granted: Option<Money>,
    pruned: Option<Day>,
) -> Update {
    let is_passed = pruned.is_some_and(|pruned| day <= pruned);
    let names = ["ad", "dc", "ds", "dg", "da"];
    prune(owner, names, day.number(), Found { settled, granted, is_passed })
}

/// How far a restore raises the epoch: further than any life between backup and restore.
const RESTORE_EPOCHS: i64 = 1_000_000;

/// Raise the epoch after a restore (3.6), so that no terms cached before it match again. Twice is
/// as good as once.
#[must_use]
pub fn restore_fence(owner: &Owner) -> Update {
    Update::change(owner.budget(), "SET ep = ep + :restored", "attribute_exists(pk)")
        .value(":restored", number(RESTORE_EPOCHS))
}

/// Take away a fence whose time is over (3.7).
#[must_use]
pub fn prune_fence(owner: &Owner, rid: Rid, seen: i64) -> Update {
    Update::change(owner.budget(), "REMOVE #x", "#x = :seen")
        .name("#x", format!("x_{rid}"))
        .value(":seen", number(seen))
}

/// What stands of a period that is closed.
#[derive(Clone, Copy)]
struct Found {
    /// What both counters say.
    settled: Option<Money>,
    /// What shares have drawn of it.
    granted: Option<Money>,
    /// It stands below the watermark.
    is_passed: bool,
}

/// Both counters equal, but for what shares have drawn, proves that no hold is open in the
/// period; the epoch rises, so that a delayed reserve or draw cannot revive it. What stands below
/// the watermark, because an entry came between, goes without it: no terms from before it match
/// any more.
fn prune(owner: &Owner, names: [&str; 5], period: u32, found: Found) -> Update {
    let [mark, committed, charged, drawn, allowed] = names;
    let Found { settled, granted, is_passed } = found;
    let (c, s, g) = (format!("#{committed}"), format!("#{charged}"), format!("#{drawn}"));
    let all = match (settled, granted) {
        (_, Some(_)) => format!(":{committed}"),
        (Some(_), None) => format!(":{charged}"),
        (None, None) => ":zero".to_owned(),
    };
    let mut condition = match settled {
        Some(_) => format!("{c} = {all} AND {s} = :{charged}"),
        None => format!("{c} = {all} AND attribute_not_exists({s})"),
    };
    let mut expression = match is_passed {
        true => format!("REMOVE {c}, {s}"),
        false => format!("SET {mark} = :p, ep = ep + :one REMOVE {c}, {s}"),
    };
    if granted.is_some() {
        condition.push_str(&format!(" AND {g} = :{drawn}"));
        expression.push_str(&format!(", {g}"));
    }
    if owner.scope.share.is_some() {
        expression.push_str(&format!(", #{allowed}"));
    }
    condition.push_str(&match is_passed {
        true => format!(" AND {mark} >= :p"),
        false => format!(" AND (attribute_not_exists({mark}) OR {mark} < :p)"),
    });
    let mut update = Update::change(owner.budget(), expression, &condition)
        .name(&c, format!("{committed}_{period}"))
        .name(&s, format!("{charged}_{period}"))
        .value(":p", number(period));
    if !is_passed {
        update = update.value(":one", number(1));
    }
    if let Some(settled) = settled {
        update = update.value(&format!(":{charged}"), money(settled));
    }
    if let Some(granted) = granted {
        let sum = settled.unwrap_or_default().pico().saturating_add(granted.pico());
        update = update
            .name(&g, format!("{drawn}_{period}"))
            .value(&format!(":{drawn}"), money(granted))
            .value(&all, number(sum));
    } else if settled.is_none() {
        update = update.value(&all, number(0));
    }
    if owner.scope.share.is_some() {
        update = update.name(&format!("#{allowed}"), format!("{allowed}_{period}"));
    }
    update
}
