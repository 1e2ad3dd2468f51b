//! Alerts (money.md 3.8 and 7): by level on what is settled, once per period, threshold and
//! version of the limit.

use core::fmt;
use core::str::FromStr;

use farebox_core::{Day, Money, Month, Timestamp};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::budget::{Budget, Period};
use crate::item::{
    Item, Key, Table, malformed, money, number, read_money, read_number, read_text, text,
};
use crate::scope::Owner;
use crate::update::{DUE, Update};

/// Seconds that one delivery may take before another may try.
pub const LEASE_S: i64 = 60;
/// Deliveries of one alert before it is given up, with a metric.
pub const TRIES_MAX: u32 = 20;
const BACKOFF_FIRST_S: i64 = 60;
const BACKOFF_LAST_S: i64 = 6 * 3_600;
const KEPT_S: i64 = 400 * 86_400;

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
    /// Deliveries that were begun.
    pub tries: u32,
    /// When it was delivered, in epoch seconds.
    pub sent_at: Option<i64>,
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

/// Seconds until the next delivery after `tries` have failed; `None` gives up.
#[must_use]
pub fn backoff_s(tries: u32) -> Option<i64> {
    if tries >= TRIES_MAX {
        return None;
    }
    let factor = 2_i64.checked_pow(tries.saturating_sub(1)).unwrap_or(BACKOFF_LAST_S);
    Some(BACKOFF_FIRST_S.saturating_mul(factor).min(BACKOFF_LAST_S))
}

/// The value of the header `Alert-Id`, by which a receiver knows a repeated delivery: the first
/// 32 hexadecimal digits of the SHA-256 of `pk|sk`.
#[must_use]
pub fn alert_id(key: &Key) -> String {
    let digest = Sha256::digest(format!("{}|{}", key.pk, key.sk));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Begin a delivery: `me` holds the alert for [`LEASE_S`], unless another does.
#[must_use]
pub fn lease(key: Key, me: &str, now: Timestamp) -> Update {
    let expression = "SET st=:L, lo=:me, lu=:until, tries = tries + :one";
    Update::change(key, expression, "st = :P OR (st = :L AND lu < :now)")
        .value(":L", text("L"))
        .value(":me", text(me))
        .value(":until", number(now.seconds().saturating_add(LEASE_S)))
        .value(":one", number(1))
        .value(":P", text("P"))
        .value(":now", number(now.seconds()))
}

/// The receiver took it.
#[must_use]
pub fn ack(key: Key, me: &str, now: Timestamp) -> Update {
    leased(key, "SET st=:S, sent_at=:now REMOVE due, lo, lu", me)
        .value(":S", text("S"))
        .value(":now", number(now.seconds()))
}

/// The receiver did not take it after `tries` deliveries: again later, or never more.
#[must_use]
pub fn fail(key: Key, me: &str, tries: u32, now: Timestamp) -> Update {
    match backoff_s(tries) {
        Some(wait) => leased(key, "SET st=:P, #at=:next REMOVE lo, lu", me)
            .name("#at", "at")
            .value(":P", text("P"))
            .value(":next", number(now.seconds().saturating_add(wait))),
        None => leased(key, "SET st=:F REMOVE due, lo, lu", me).value(":F", text("F")),
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
    /// An alert that tells nothing but that alerts arrive; each second has its own.
    #[must_use]
    pub fn test(now: Timestamp) -> Self {
        let version = u64::try_from(now.seconds()).unwrap_or_default();
        let name = AlertName { period: Period::Total, threshold: Threshold::Test, version };
        Self { name, spent: Money::ZERO, limit: Money::ZERO }
    }

    /// The write that records it; it fails where the alert is known already, which is success.
    #[must_use]
    pub fn put(&self, owner: &Owner, now: Timestamp) -> Update {
        let key = self.name.key(owner);
        let mut item = key.item();
        item.insert("st".to_owned(), text("P"));
        item.insert("spent".to_owned(), money(self.spent));
        item.insert("limit".to_owned(), money(self.limit));
        item.insert("due".to_owned(), text(DUE));
        item.insert("at".to_owned(), number(now.seconds()));
        item.insert("tries".to_owned(), number(0));
        item.insert("ttl".to_owned(), number(now.seconds().saturating_add(KEPT_S)));
        Update::put(key, item, "attribute_not_exists(pk)")
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
        let tries = read_number(item, "tries")?.ok_or(Error::Missing("tries"))?;
        Ok(Self { alert, tries, sent_at: read_number(item, "sent_at")? })
    }
}

fn leased(key: Key, expression: &str, me: &str) -> Update {
    Update::change(key, expression, "st = :L AND lo = :me")
        .value(":L", text("L"))
        .value(":me", text(me))
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
    fn a_stored_alert_reads_back() {
        let owner = Owner::new("acme", "user:u1".parse().unwrap());
        let name = "M#202611#80#3".parse().unwrap();
        let alert = Alert { name, spent: pico(9), limit: pico(10) };

        let put = alert.put(&owner, Timestamp::from_ms(7_000));
        let crate::Write::Put(item) = put.write else { panic!("not a put") };

        let stored = Stored::parse(&item).unwrap();
        assert_eq!(stored, Stored { alert, tries: 0, sent_at: None });
        assert_eq!(put.key.pk, "AL#acme#user:u1");
        assert_eq!(item["due"], Attr::S("1".to_owned()));
    }

    #[test]
    fn deliveries_back_off_from_a_minute_to_six_hours_and_end() {
        assert_eq!(backoff_s(1), Some(60));
        assert_eq!(backoff_s(2), Some(120));
        assert_eq!(backoff_s(19), Some(21_600));
        assert_eq!(backoff_s(20), None);
    }

    #[test]
    fn an_alert_id_is_that_of_its_key() {
        let key = Key { table: Table::Main, pk: "a".to_owned(), sk: "b".to_owned() };

        // printf 'a|b' | sha256sum
        assert_eq!(alert_id(&key), "0eab8a0a3380abf4c7d1fb0b43b66aaf");
    }
}
