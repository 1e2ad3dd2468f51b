//! The sums of usage beside the rows that they are the sums of.

use std::collections::BTreeMap;

use farebox_core::CallRecord;
use farebox_core::rollup::{Counter, Place, Sums, model_of, places, set_of};
use farebox_ledger::{Attr, Table};

use crate::support::Store;

/// Sums by kind of place, and its id with the day (none: the month's), model and labels.
type Cells = BTreeMap<(String, String), Sums>;

fn text(item: &farebox_ledger::Item, name: &str) -> String {
    match item.get(name) {
        Some(Attr::S(text)) => text.clone(),
        _ => String::new(),
    }
}

/// What all rows add up to: each row that is there, counted once.
fn of_rows(store: &Store) -> Cells {
    let mut cells = Cells::new();
    let rows = store.items.iter().filter(|(key, _)| key.pk.starts_with("U#"));
    for (key, row) in rows.filter(|(key, _)| key.table == Table::Logs) {
        let record: CallRecord = serde_json::from_str(&text(row, "rec")).expect("a record");
        let labels: Vec<_> = serde_json::from_str(&text(row, "ct")).expect("counted labels");
        let (sums, model) = (Sums::of(&record), model_of(&record));
        let day = key.pk.rsplit('#').next().expect("a day").to_owned();
        for place in places(&record, &labels) {
            for sk in
                [format!("D#{}#{day}#{model}", place.id()), format!("M#{}#{model}", place.id())]
            {
                cells.entry((place.kind().to_owned(), sk)).or_default().plus(&sums);
            }
        }
        let Some(place) = set_of(&record, &text(row, "cs")) else { continue };
        let Place::Set(_, _, labels) = &place else { continue };
        let sk = format!("D#{}#{day}#{model}#{labels}", place.id());
        cells.entry((place.kind().to_owned(), sk)).or_default().plus(&sums);
    }
    cells.retain(|_, sums| !sums.is_zero());
    cells
}

/// What the sums say, with their copies added up.
fn kept(store: &Store) -> Cells {
    let mut cells = Cells::new();
    for (key, item) in store.items.iter().filter(|(key, _)| key.pk.starts_with("R#")) {
        let kind = key.pk.split('#').nth(2).expect("a kind").to_owned();
        if kind == "labels" {
            continue;
        }
        // A set's day is in its partition, so that a day is read alone.
        let sk = match (kind.as_str(), key.sk.split_once('#')) {
            ("set", Some((id, rest))) => {
                let day = key.pk.split('#').nth(3).expect("a day");
                format!("D#{id}#{day}#{rest}")
            }
            _ => key.sk.clone(),
        };
        let sums = cells.entry((kind, sk)).or_default();
        for (counter, name) in Counter::ALL {
            if let Some(Attr::N(sum)) = item.get(name) {
                sums.add(counter, *sum);
            }
        }
    }
    cells.retain(|_, sums| !sums.is_zero());
    cells
}

/// In every state the sums are those of the rows: both move in one transaction.
pub fn check(store: &Store) {
    let kept = kept(store);
    assert_eq!(kept, of_rows(store), "the sums of usage are those of the rows");
    // What an export has a line of is everything that was charged, once.
    let charged = |kind: &str, start: &str| {
        let of_kind = kept.iter().filter(|((of, sk), _)| of == kind && sk.starts_with(start));
        of_kind.map(|(_, sums)| sums.get(Counter::Charged)).sum::<i128>()
    };
    assert_eq!(charged("set", ""), charged("all", "D#"), "sets of labels are all charges");
}

/// What is charged in a scope by the sums of the month.
pub fn charged(store: &Store, kind: &str, id: &str) -> i128 {
    let of_scope = kept(store).into_iter().filter(|((of, sk), _)| {
        of == kind && sk.strip_prefix("M#").is_some_and(|rest| rest.starts_with(&format!("{id}#")))
    });
    of_scope.map(|(_, sums)| sums.get(Counter::Charged)).sum()
}
