//! A look at every budget, in parts: where each part goes on when one run did not finish it.

use std::collections::BTreeMap;

use farebox_core::Timestamp;

use crate::Error;
use crate::item::{Item, Key, Table, malformed, number, read_number, read_text, text};
use crate::update::Update;

/// Parts that the table of budgets is scanned in at once.
pub const SEGMENTS: u8 = 4;

/// A look at every budget: the last that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Counts the writes of this item: of two runs at once, one says how far they came.
    pub version: u64,
    /// When it began.
    pub began: Timestamp,
    /// When the one before it began.
    pub before: Option<Timestamp>,
    /// The parts that are not at their end, each with the partition key of the last budget that
    /// was looked at; an empty one before the first.
    pub open: BTreeMap<u8, String>,
}

impl Pass {
    /// Where a deployment keeps it.
    #[must_use]
    pub fn key(tenant: &str) -> Key {
        Key { table: Table::Main, pk: format!("SP#{tenant}"), sk: "budgets".to_owned() }
    }

    /// Begins a pass.
    #[must_use]
    pub fn begin(last: Option<&Self>, now: Timestamp) -> Self {
        Self {
            version: last.map_or(0, |last| last.version),
            began: now,
            before: last.map(|last| last.began),
            open: (0..SEGMENTS).map(|segment| (segment, String::new())).collect(),
        }
    }

    /// Where a part goes on: behind this budget.
    #[must_use]
    pub fn behind(pk: &str) -> Key {
        Key { table: Table::Ledger, pk: pk.to_owned(), sk: "0".to_owned() }
    }

    /// Reads the item.
    ///
    /// # Errors
    /// [`Error`] names the attribute.
    pub fn parse(item: &Item) -> Result<Self, Error> {
        let time = |name: &str| {
            let ms: Option<i64> = read_number(item, name)?;
            Ok::<_, Error>(ms.map(Timestamp::from_ms))
        };
        let mut open = BTreeMap::new();
        for segment in 0..SEGMENTS {
            if let Some(pk) = read_text(item, &format!("p{segment}"))? {
                // DynamoDB takes an empty text, but not everything that stands in for it does.
                let pk = if pk == BEGIN { "" } else { pk };
                open.insert(segment, pk.to_owned());
            }
        }
        Ok(Self {
            version: read_number(item, "v")?.ok_or_else(|| malformed("v"))?,
            began: time("began")?.ok_or(Error::Missing("began"))?,
            before: time("before")?,
            open,
        })
    }

    /// The write that says how far it came. It fails where another run has said so since, which
    /// is as good: both began where this one did.
    #[must_use]
    pub fn put(&self, tenant: &str) -> Update {
        let key = Self::key(tenant);
        let mut item = key.item();
        item.insert("v".to_owned(), number(self.version.saturating_add(1)));
        item.insert("began".to_owned(), number(self.began.ms()));
        if let Some(before) = self.before {
            item.insert("before".to_owned(), number(before.ms()));
        }
        for (segment, pk) in &self.open {
            let pk = if pk.is_empty() { BEGIN } else { pk };
            item.insert(format!("p{segment}"), text(pk));
        }
        Update::put(key, item, "attribute_not_exists(pk) OR v = :v")
            .value(":v", number(self.version))
    }
}

/// Before the first budget.
const BEGIN: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::Write;

    #[test]
    fn a_pass_reads_back_and_remembers_the_one_before() {
        let at = |time| Timestamp::parse(time).unwrap();
        let first = Pass::begin(None, at("2026-11-30T12:00:00Z"));
        let mut second = Pass::begin(Some(&first), at("2026-11-30T12:05:00Z"));
        second.open.remove(&2);
        second.open.insert(3, "B#acme#user:u1".to_owned());

        let put = second.put("acme");
        let Write::Put(item) = put.write else { panic!("not a put") };

        assert_eq!((first.before, first.open.len()), (None, 4));
        assert_eq!(second.before, Some(first.began));
        assert_eq!(Pass::parse(&item), Ok(Pass { version: 1, ..second }));
    }
}
