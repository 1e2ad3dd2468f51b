//! How far the rows of past days are written to the lake (S3): which days are there as the log has
//! them, and where the one in hand goes on.

use std::collections::BTreeMap;

use farebox_core::{Day, Timestamp};

use crate::Error;
use crate::item::{Item, Key, Table, malformed, number, read_number, read_text, text};
use crate::update::Update;

/// Seconds for which one run has the lake to itself: more than a function's run may take.
pub const LAKE_LEASE_S: i64 = 60;

/// What is in the lake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lake {
    /// Counts the writes of this item: of two runs at once, one goes on.
    pub version: u64,
    /// Until when a run has it, in seconds.
    pub leased_until: i64,
    /// The days that are there, each with the print of the sums that it was written with.
    pub days: BTreeMap<Day, String>,
    /// The day in hand.
    pub open: Option<OpenDay>,
}

/// A day of which some parts are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDay {
    /// The day.
    pub day: Day,
    /// The print of its sums when it was begun.
    pub print: String,
    /// The number of the next part.
    pub part: u32,
    /// Where its rows begin in the log; none at the start.
    pub cursor: Option<String>,
}

impl Lake {
    /// Where a deployment keeps it.
    #[must_use]
    pub fn key(tenant: &str) -> Key {
        Key { table: Table::Main, pk: format!("LK#{tenant}"), sk: "rows".to_owned() }
    }

    /// Whether no other run has it.
    #[must_use]
    pub const fn is_free(&self, now: Timestamp) -> bool {
        self.leased_until <= now.seconds()
    }

    /// The write that says how far it is; it fails where another run has said so since.
    #[must_use]
    pub fn put(&self, tenant: &str) -> Update {
        let key = Self::key(tenant);
        let mut item = key.item();
        item.insert("v".to_owned(), number(self.version.saturating_add(1)));
        item.insert("lu".to_owned(), number(self.leased_until));
        let days: Vec<_> = self.days.iter().map(|(day, print)| format!("{day}={print}")).collect();
        if !days.is_empty() {
            item.insert("days".to_owned(), text(&days.join(",")));
        }
        if let Some(open) = &self.open {
            item.insert("day".to_owned(), number(i64::from(open.day.number())));
            item.insert("print".to_owned(), text(&open.print));
            item.insert("part".to_owned(), number(i64::from(open.part)));
            if let Some(cursor) = &open.cursor {
                item.insert("cursor".to_owned(), text(cursor));
            }
        }
        Update::put(key, item, "attribute_not_exists(pk) OR v = :v")
            .value(":v", number(self.version))
    }

    /// Reads the item.
    ///
    /// # Errors
    /// [`Error`] names the attribute.
    pub fn parse(item: &Item) -> Result<Self, Error> {
        let mut days = BTreeMap::new();
        for entry in read_text(item, "days")?.unwrap_or_default().split_terminator(',') {
            let (day, print) = entry.split_once('=').ok_or_else(|| malformed("days"))?;
            let number = day.parse().map_err(|_| malformed("days"))?;
            let day = Day::from_number(number).map_err(|_| malformed("days"))?;
            days.insert(day, print.to_owned());
        }
        let open = match read_number::<u32>(item, "day")? {
            None => None,
            Some(number) => Some(OpenDay {
                day: Day::from_number(number).map_err(|_| malformed("day"))?,
                print: read_text(item, "print")?.ok_or(Error::Missing("print"))?.to_owned(),
                part: read_number(item, "part")?.ok_or(Error::Missing("part"))?,
                cursor: read_text(item, "cursor")?.map(str::to_owned),
            }),
        };
        Ok(Self {
            version: read_number(item, "v")?.ok_or(Error::Missing("v"))?,
            leased_until: read_number(item, "lu")?.ok_or(Error::Missing("lu"))?,
            days,
            open,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::Write;

    #[test]
    fn what_is_in_the_lake_reads_back() {
        let day = |number| Day::from_number(number).unwrap();
        let mut lake = Lake { version: 3, leased_until: 7, ..Lake::default() };
        for open in [
            None,
            Some(OpenDay { day: day(20_261_129), print: "ab".into(), part: 0, cursor: None }),
            Some(OpenDay {
                day: day(20_261_129),
                print: "ab".into(),
                part: 2,
                cursor: Some("c=,d".into()),
            }),
        ] {
            lake.open = open;
            let Write::Put(item) = lake.put("acme").write else { panic!("not a put") };
            assert_eq!(Lake::parse(&item), Ok(Lake { version: 4, ..lake.clone() }));
            lake.days.insert(day(20_261_128), "0f".to_owned());
            lake.days.insert(day(20_261_127), "1e".to_owned());
        }
    }
}
