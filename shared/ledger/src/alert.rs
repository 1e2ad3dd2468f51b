//! Alerts (money.md 3.8 and 7): by level on what is settled, once per period, threshold and
//! version of the limit.

mod delivery;
mod list;
mod notice;
mod statement;

use core::fmt;
use core::str::FromStr;

use farebox_core::{Day, Money, Month, Timestamp};

pub use delivery::{
    Channel, Delivery, LEASE_S, TRIES_MAX, Told, alert_id, backoff_s, close, lease, undeliverable,
};
pub use list::{Line, lines_pk};
pub use notice::{
    Acknowledged, Fault, Notice, acknowledge, behind, notices_key, provisional_count,
    provisional_key,
};
pub use statement::{statement_key, statement_put};

use crate::Error;
use crate::budget::{Budget, Period};
use crate::item::{Item, Key, Table, malformed, money, read_money, read_number, read_text};
use crate::scope::Owner;
use crate::update::Update;

/// What an alert tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Threshold {
    /// So many percent of the limit are settled.
    Percent(u8),
    /// A call was refused, because with it the limit would be passed.
    Refused,
    /// Nothing: the owner tries whether alerts arrive.
    Test,
}

/// The identity of an alert within its owner: the sort key, such as `M#202611#80#3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertName {
    /// Which period.
    pub period: Period,
    /// What happened.
    pub threshold: Threshold,
    /// The version of the limit.
    pub version: u64,
}

/// An alert to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its identity.
    pub name: AlertName,
    /// What was settled when it was found.
    pub spent: Money,
    /// The limit.
    pub limit: Money,
}

/// An alert item, as the one who delivers it reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The alert.
    pub alert: Alert,
    /// When it was found.
    pub found_at: Timestamp,
    /// What became of it.
    pub delivery: Delivery,
}

/// The thresholds of a local day's periods that are reached: `settled × 100 ≥ θ × limit`.
#[must_use]
pub fn reached(budget: &Budget, day: Day) -> Vec<Alert> {
    let thresholds = &budget.terms.settings.thresholds;
    let limited = limited(budget, day).into_iter();
    limited
        .flat_map(|(period, limit, spent)| {
            let percent =
                thresholds.iter().filter(move |percent| is_reached(spent, **percent, limit));
            percent.map(move |percent| {
                alert(budget, period, Threshold::Percent(*percent), limit, spent)
            })
        })
        .collect()
}

/// The periods of a local day that refuse a call of `needed`, because the money is spent.
#[must_use]
pub fn refused(budget: &Budget, day: Day, needed: Money) -> Vec<Alert> {
    if !budget.terms.settings.mode.is_strict() {
        return Vec::new();
    }
    let limited = limited(budget, day).into_iter();
    let refusing = limited
        .filter(|(_, limit, spent)| spent.plus(needed).is_none_or(|sum| sum > *limit))
        .map(|(period, limit, spent)| alert(budget, period, Threshold::Refused, limit, spent));
    refusing.collect()
}

impl Threshold {
    /// Its `type` in what a receiver reads.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Percent(_) => "budget.threshold",
            Self::Refused => "budget.refused",
            Self::Test => "test",
        }
    }
}

impl AlertName {
    /// Where the alert is kept.
    #[must_use]
    pub fn key(&self, owner: &Owner) -> Key {
        Key { table: Table::Main, pk: owner.alerts(), sk: self.to_string() }
    }
}

/// `M#202611#80#3`, `D#20261123#80#3`, `T#80#3`, and `R` for a threshold that is a refusal.
impl fmt::Display for AlertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.threshold {
            Threshold::Percent(percent) => write!(f, "{}#{percent}#{}", self.period, self.version),
            Threshold::Refused => write!(f, "{}#R#{}", self.period, self.version),
            Threshold::Test => write!(f, "{}#test#{}", self.period, self.version),
        }
    }
}

impl FromStr for AlertName {
    type Err = Error;

    fn from_str(sk: &str) -> Result<Self, Error> {
        read_name(sk).ok_or_else(|| malformed("sk"))
    }
}

impl Alert {
    /// An alert that tells nothing but that alerts arrive; each millisecond has its own.
    #[must_use]
    pub fn test(now: Timestamp) -> Self {
        let version = u64::try_from(now.ms()).unwrap_or_default();
        let name = AlertName { period: Period::Total, threshold: Threshold::Test, version };
        Self { name, spent: Money::ZERO, limit: Money::ZERO }
    }

    /// The write that records it; it fails where the alert is known already, which is success.
    #[must_use]
    pub fn put(&self, owner: &Owner, now: Timestamp) -> Update {
        let key = self.name.key(owner);
        let facts = [("spent", money(self.spent)), ("limit", money(self.limit))];
        delivery::put(key, facts, now)
    }
}

impl Stored {
    /// Reads an alert item.
    ///
    /// # Errors
    /// [`Error`] names the attribute.
    pub fn parse(item: &Item) -> Result<Self, Error> {
        let name = read_text(item, "sk")?.ok_or(Error::Missing("sk"))?.parse()?;
        let alert = Alert {
            name,
            spent: read_money(item, "spent")?.ok_or(Error::Missing("spent"))?,
            limit: read_money(item, "limit")?.ok_or(Error::Missing("limit"))?,
        };
        let ttl: i64 = read_number(item, "ttl")?.ok_or(Error::Missing("ttl"))?;
        let found = ttl.saturating_sub(delivery::KEPT_S).saturating_mul(1_000);
        let found_at = Timestamp::from_ms(found);
        Ok(Self { alert, found_at, delivery: Delivery::parse(item)? })
    }
}

/// The periods of a day that have a limit, with what is settled in them.
fn limited(budget: &Budget, day: Day) -> Vec<(Period, Money, Money)> {
    let limits = budget.terms.settings.limits;
    let periods = Period::of(day).into_iter();
    periods
        .filter_map(|period| Some((period, limits.of(period)?, budget.counter(period).settled())))
        .collect()
}

fn alert(
    budget: &Budget,
    period: Period,
    threshold: Threshold,
    limit: Money,
    spent: Money,
) -> Alert {
    let name = AlertName { period, threshold, version: budget.terms.version };
    Alert { name, spent, limit }
}

/// Nothing is reached where nothing is spent, also not a limit of zero.
fn is_reached(spent: Money, percent: u8, limit: Money) -> bool {
    // Amounts are at most 10²⁷, so neither product comes near the end of `i128`.
    let level = spent.pico().saturating_mul(100);
    spent > Money::ZERO && level >= limit.pico().saturating_mul(i128::from(percent))
}

fn read_name(sk: &str) -> Option<AlertName> {
    let (kind, rest) = sk.split_once('#')?;
    let (period, rest) = match kind {
        "T" => (Period::Total, rest),
        _ => {
            let (number, rest) = rest.split_once('#')?;
            let number = number.parse().ok()?;
            let period = match kind {
                "M" => Period::Month(Month::from_number(number).ok()?),
                "D" => Period::Day(Day::from_number(number).ok()?),
                _ => return None,
            };
            (period, rest)
        }
    };
    let (threshold, version) = rest.split_once('#')?;
    let threshold = match threshold {
        "R" => Threshold::Refused,
        "test" => Threshold::Test,
        percent => Threshold::Percent(percent.parse().ok()?),
    };
    Some(AlertName { period, threshold, version: version.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Attr;

    fn pico(pico: i128) -> Money {
        Money::from_pico(pico).unwrap()
    }

    fn day() -> Day {
        Day::from_number(20_261_123).unwrap()
    }

    fn budget(changes: &[(&str, i128)]) -> Budget {
        let mut item = Item::from([
            ("md".to_owned(), Attr::S("h".to_owned())),
            ("th".to_owned(), Attr::S("50,80".to_owned())),
        ]);
        for (name, value) in [("ep", 1), ("lv", 3), ("n", 0), ("tc", 0), ("ts", 0)] {
            item.insert(name.to_owned(), Attr::N(value));
        }
        for (name, value) in changes {
            item.insert((*name).to_owned(), Attr::N(*value));
        }
        Budget::parse(&item).unwrap()
    }

    fn names(alerts: &[Alert]) -> Vec<String> {
        alerts.iter().map(|alert| alert.name.to_string()).collect()
    }

    #[test]
    fn a_threshold_is_reached_by_level_in_each_period() {
        let at = |settled| budget(&[("lm", 10), ("mc_202611", 10), ("ms_202611", settled)]);

        assert_eq!(names(&reached(&at(4), day())), [""; 0]);
        assert_eq!(names(&reached(&at(5), day())), ["M#202611#50#3"]);
        assert_eq!(names(&reached(&at(8), day())), ["M#202611#50#3", "M#202611#80#3"]);

        let all = budget(&[
            ("ld", 10),
            ("lt", 10),
            ("dc_20261123", 9),
            ("ds_20261123", 5),
            ("tc", 9),
            ("ts", 6),
        ]);
        assert_eq!(names(&reached(&all, day())), ["D#20261123#50#3", "T#50#3"]);
    }

    #[test]
    fn nothing_spent_reaches_nothing() {
        assert!(reached(&budget(&[("lm", 0)]), day()).is_empty());
    }

    #[test]
    fn a_refusal_is_told_where_the_money_is_spent_and_not_where_holds_stand() {
        let spent = budget(&[("lm", 10), ("mc_202611", 8), ("ms_202611", 8)]);
        let held = budget(&[("lm", 10), ("mc_202611", 8), ("ms_202611", 7)]);

        assert_eq!(names(&refused(&spent, day(), pico(3))), ["M#202611#R#3"]);
        assert!(refused(&held, day(), pico(3)).is_empty());
        assert!(refused(&spent, day(), pico(2)).is_empty());
    }

    #[test]
    fn a_name_round_trips() {
        for name in ["M#202611#80#3", "D#20261123#80#3", "T#80#3", "T#R#12", "T#test#7"] {
            assert_eq!(name.parse::<AlertName>().unwrap().to_string(), name);
        }
        for name in ["", "M", "M#202613#80#3", "X#1#80#3", "T#80", "T#a#3"] {
            assert!(name.parse::<AlertName>().is_err(), "{name}");
        }
    }

    #[test]
    fn each_threshold_is_told_by_its_type() {
        let kinds = [Threshold::Percent(80), Threshold::Refused, Threshold::Test];
        let kinds = kinds.map(Threshold::kind);

        assert_eq!(kinds, ["budget.threshold", "budget.refused", "test"]);
    }

    #[test]
    fn a_stored_alert_reads_back() {
        let owner = Owner::new("acme", "user:u1".parse().unwrap());
        let name = "M#202611#80#3".parse().unwrap();
        let alert = Alert { name, spent: pico(9), limit: pico(10) };

        let put = alert.put(&owner, Timestamp::from_ms(7_000));
        let crate::Write::Put(item) = put.write else { panic!("not a put") };

        let stored = Stored::parse(&item).unwrap();
        let found_at = Timestamp::from_ms(7_000);
        assert_eq!(stored, Stored { alert, found_at, delivery: Delivery::default() });
        assert_eq!(put.key.pk, "AL#acme#user:u1");
        assert_eq!(item["due"], Attr::S("1".to_owned()));
    }
}
