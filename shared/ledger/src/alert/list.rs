//! The list of all owners' alerts: a line each, by when it was found.
//!
//! An alert is found again in its owner's partition, which nobody can ask for who does not know
//! the owner. So each is written with a line in one partition, whose sort key says when it was
//! found and whose it is.

use core::fmt;
use core::str::FromStr;

use farebox_core::{Scope, Timestamp};

use super::{Alert, AlertName, delivery};
use crate::Error;
use crate::item::{Key, Table, malformed, number};
use crate::scope::Owner;
use crate::update::{Transaction, Update};

/// One line: `1763900000|M#202611#80#3|user:u1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When the alert was found.
    pub at: Timestamp,
    /// Whose it is.
    pub scope: Scope,
    /// Which one.
    pub name: AlertName,
}

/// The partition (of the table `main`) of the lines.
#[must_use]
pub fn lines_pk(tenant: &str) -> String {
    format!("AL#{tenant}#all")
}

impl Alert {
    /// The alert and its line, together: the one is never without the other. It is cancelled
    /// where the alert is known already, which is success.
    #[must_use]
    pub fn recorded(&self, owner: &Owner, now: Timestamp) -> Transaction {
        Transaction { actions: vec![self.put(owner, now), self.line(owner, now)] }
    }

    fn line(&self, owner: &Owner, now: Timestamp) -> Update {
        let line = Line { at: now, scope: owner.scope.clone(), name: self.name };
        let pk = lines_pk(&owner.tenant);
        let key = Key { table: Table::Main, pk, sk: line.to_string() };
        let mut item = key.item();
        item.insert("ttl".to_owned(), number(now.seconds().saturating_add(delivery::KEPT_S)));
        Update::put(key, item, "attribute_not_exists(pk)")
    }
}

/// The seconds have ten digits until the year 2286, so that lines are sorted by time.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}|{}|{}", self.at.seconds(), self.name, self.scope)
    }
}

impl FromStr for Line {
    type Err = Error;

    fn from_str(sk: &str) -> Result<Self, Error> {
        let mut parts = sk.splitn(3, '|');
        let mut part = || parts.next().ok_or_else(|| malformed("sk"));
        let (at, name, scope) = (part()?, part()?, part()?);
        let seconds: i64 = at.parse().map_err(|_| malformed("sk"))?;
        Ok(Self {
            at: Timestamp::from_ms(seconds.saturating_mul(1_000)),
            scope: scope.parse().map_err(|_| malformed("sk"))?,
            name: name.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_round_trips_and_later_ones_are_behind() {
        let name = "M#202611#80#3".parse().unwrap();
        let line = |seconds: i64, scope: &str| Line {
            at: Timestamp::from_ms(seconds * 1_000),
            scope: scope.parse().unwrap(),
            name,
        };
        for one in [line(1_763_900_000, "user:u1"), line(7, "model:user:u1/openai/a/b|d")] {
            assert_eq!(one.to_string().parse::<Line>().unwrap(), one);
        }
        assert!(line(7, "user:u1").to_string() < line(1_763_900_000, "key:a").to_string());
        for sk in ["", "7", "7|T#80#3", "x|T#80#3|user:u1", "7|T#80#3|nobody", "7|T|user:u1"] {
            assert!(sk.parse::<Line>().is_err(), "{sk}");
        }
    }

    #[test]
    fn an_alert_is_written_with_its_line() {
        let owner = Owner::new("acme", "user:u1".parse().unwrap());
        let alert = Alert::test(Timestamp::from_ms(7_000));

        let both = alert.recorded(&owner, Timestamp::from_ms(7_000)).actions;

        let keys: Vec<_> =
            both.iter().map(|one| format!("{} {}", one.key.pk, one.key.sk)).collect();
        assert_eq!(
            keys,
            ["AL#acme#user:u1 T#test#7000", "AL#acme#all 0000000007|T#test#7000|user:u1"]
        );
    }
}
