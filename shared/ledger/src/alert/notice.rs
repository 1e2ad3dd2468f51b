//! Alerts to the operator: what says that a price, a bound or the machinery is wrong, and not
//! that a budget is used up.

use core::str::FromStr;

use farebox_core::{Money, Scope, Timestamp};

use super::delivery;
use crate::Error;
use crate::item::{
    Item, Key, Table, malformed, money, number, read_money, read_number, read_text, text,
};
use crate::update::Update;

/// Seconds that a count of an hour is kept.
const COUNT_KEPT_S: i64 = 2 * 86_400;

/// Who has looked at a notice, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// As the audit names it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The last hour of a day.
const LAST_HOUR: u64 = 23;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A call cost more than was held for it (money.md 3.11); the subject is `provider/model`.
    Overrun,
    /// A provider counted what has no price, so the whole hold was charged; `provider/model`.
    Unpriced,
    /// A provider states another cost than the prices give; `provider/model`.
    CostDiffers,
    /// More than [`Fault::PROVISIONAL_MAX`] calls of a scope ended unknown in an hour; the scope.
    Provisional,
}

/// An alert to the operator, once for each fault, subject and span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What is wrong.
    pub fault: Fault,
    /// Of what: `openai/gpt-5`, `user:u1`.
    pub subject: String,
    /// The day (`20261124`) or the hour (`2026112416`) in UTC.
    pub span: u64,
    /// A call that shows it.
    pub request_id: Option<String>,
    /// What that call held.
    pub hold: Option<Money>,
    /// What it was charged.
    pub charged: Option<Money>,
    /// How often it was seen, where that is counted.
    pub count: Option<u32>,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Overrun, Self::Unpriced, Self::CostDiffers, Self::Provisional];
    /// Calls of one scope and hour that may end unknown before the operator is told.
    pub const PROVISIONAL_MAX: u32 = 3;

    /// Its name in items and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Unpriced => "unpriced",
            Self::CostDiffers => "cost_differs",
            Self::Provisional => "provisional",
        }
    }

    /// Its `type` in what a receiver reads.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Overrun => "operator.overrun",
            Self::Unpriced => "operator.unpriced",
            Self::CostDiffers => "operator.cost_differs",
            Self::Provisional => "operator.provisional",
        }
    }

    /// The fault of this `type`.
    #[must_use]
    pub fn of_kind(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.kind() == kind)
    }

    /// The last hour of a span, by which notices of all faults are sorted.
    const fn last_hour(self, span: u64) -> u64 {
        match self {
            Self::Overrun | Self::Unpriced | Self::CostDiffers => {
                span.saturating_mul(100).saturating_add(LAST_HOUR)
            }
            Self::Provisional => span,
        }
    }

    /// The span of time in which it is told once.
    fn span(self, now: Timestamp) -> u64 {
        let day = u64::from(now.utc_day().number());
        let hour = now.seconds().div_euclid(3_600).rem_euclid(24);
        match self {
            Self::Overrun | Self::Unpriced | Self::CostDiffers => day,
            Self::Provisional => day.saturating_mul(100).saturating_add(hour.unsigned_abs()),
        }
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|fault| fault.name() == name).ok_or_else(|| malformed("sk"))
    }
}

/// Where the operator's alerts of a deployment are: the sort key is left empty.
#[must_use]
pub fn notices_key(tenant: &str) -> Key {
    Key { table: Table::Main, pk: format!("AL#{tenant}#operator"), sk: String::new() }
}

/// Where the notices of a fault begin and end that stand behind one in the list of all, the newest
/// first; all of the fault without one. Both are sort keys; the end is that of no notice, or of
/// the one that is given.
#[must_use]
pub fn behind(fault: Fault, last: Option<&Notice>) -> (String, String) {
    let name = fault.name();
    let end = match last {
        // Digits end before this sign.
        None => format!("{name}#:"),
        Some(last) if last.fault == fault => last.sk(),
        Some(last) => {
            let hour = last.fault.last_hour(last.span);
            let span = match fault {
                Fault::Provisional => hour,
                _ => hour.saturating_sub(LAST_HOUR).div_euclid(100),
            };
            // Of one hour the faults stand by their names, the last first.
            let is_tie = fault.last_hour(span) == hour && fault.name() > last.fault.name();
            format!("{name}#{}", if is_tie { span } else { span.saturating_add(1) })
        }
    };
    (format!("{name}#"), end)
}

/// Somebody has looked at a notice; it fails where somebody has, or where there is none.
#[must_use]
pub fn acknowledge(key: Key, by: &str, now: Timestamp) -> Update {
    let condition = "attribute_exists(pk) AND attribute_not_exists(ack_at)";
    Update::change(key, "SET ack_by=:by, ack_at=:now", condition)
        .value(":by", text(by))
        .value(":now", number(now.seconds()))
}

impl Acknowledged {
    /// Reads it from a notice's item; `None` while nobody has looked.
    ///
    /// # Errors
    /// [`Error`] names the attribute.
    pub fn parse(item: &Item) -> Result<Option<Self>, Error> {
        let Some(at) = read_number::<i64>(item, "ack_at")? else { return Ok(None) };
        let by = read_text(item, "ack_by")?.ok_or(Error::Missing("ack_by"))?.to_owned();
        Ok(Some(Self { by, at: Timestamp::from_ms(at.saturating_mul(1_000)) }))
    }
}

/// Where the calls of a scope that ended unknown are counted, by hour.
#[must_use]
pub fn provisional_key(tenant: &str, scope: &Scope, now: Timestamp) -> Key {
    let sk = format!("{}#{scope}", Fault::Provisional.span(now));
    Key { table: Table::Main, pk: format!("PC#{tenant}"), sk }
}

/// Counts one of them; the attribute `n` is then how many there were in its hour. Not exact
/// where an answer is lost: it says when to tell, and moves no money.
#[must_use]
pub fn provisional_count(key: Key, now: Timestamp) -> Update {
    Update::change(key, "SET #ttl=:ttl ADD #n :one", "")
        .name("#ttl", "ttl")
        .name("#n", "n")
        .value(":ttl", number(now.seconds().saturating_add(COUNT_KEPT_S)))
        .value(":one", number(1))
}

impl Notice {
    /// Something that is wrong now.
    #[must_use]
    pub fn new(fault: Fault, subject: String, now: Timestamp) -> Self {
        let span = fault.span(now);
        Self { fault, subject, span, request_id: None, hold: None, charged: None, count: None }
    }

    /// Where it is kept: `AL#<tenant>#operator`, `overrun#20261124#openai/gpt-5`.
    #[must_use]
    pub fn key(&self, tenant: &str) -> Key {
        Key { sk: self.sk(), ..notices_key(tenant) }
    }

    /// Its sort key, which also says where the next page of a list begins.
    #[must_use]
    pub fn sk(&self) -> String {
        format!("{}#{}#{}", self.fault.name(), self.span, self.subject)
    }

    /// Its place in the list of all: the later, the greater.
    #[must_use]
    pub fn place(&self) -> (u64, String) {
        (self.fault.last_hour(self.span), self.sk())
    }

    /// The write that records it; it fails where it is known already, which is success.
    #[must_use]
    pub fn put(&self, tenant: &str, now: Timestamp) -> Update {
        let facts = [
            ("rid", self.request_id.as_deref().map(text)),
            ("hold", self.hold.map(money)),
            ("charged", self.charged.map(money)),
            ("count", self.count.map(|count| number(i64::from(count)))),
        ];
        let facts = facts.into_iter().filter_map(|(name, value)| Some((name, value?)));
        delivery::put(self.key(tenant), facts, now)
    }

    /// Reads an item of [`notices_key`].
    ///
    /// # Errors
    /// [`Error`] names the attribute.
    pub fn parse(item: &Item) -> Result<Self, Error> {
        let sk = read_text(item, "sk")?.ok_or(Error::Missing("sk"))?;
        Ok(Self {
            request_id: read_text(item, "rid")?.map(str::to_owned),
            hold: read_money(item, "hold")?,
            charged: read_money(item, "charged")?,
            count: read_number(item, "count")?,
            ..sk.parse()?
        })
    }
}

/// What a sort key says of it, and no facts.
impl FromStr for Notice {
    type Err = Error;

    fn from_str(sk: &str) -> Result<Self, Error> {
        let mut parts = sk.splitn(3, '#');
        let mut part = || parts.next().ok_or_else(|| malformed("sk"));
        let (fault, span, subject) = (part()?.parse()?, part()?, part()?.to_owned());
        let span = span.parse().map_err(|_| malformed("sk"))?;
        Ok(Self { fault, subject, span, request_id: None, hold: None, charged: None, count: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::Write;

    #[test]
    fn a_notice_reads_back_and_is_told_once_a_day_or_hour() {
        let at = |time| Timestamp::parse(time).unwrap();
        let evening = at("2026-11-24T23:59:59Z");
        let subject = "openai/ft:a#b".to_owned();
        let mut notice = Notice::new(Fault::Overrun, subject.clone(), evening);
        notice.request_id = Some("01KAQ4ZV0M7W1C9Y3T5B8D2E6F".to_owned());
        notice.hold = Some(Money::ONE_PICO);
        notice.count = Some(4);

        let put = notice.put("acme", evening);
        let Write::Put(item) = put.write else { panic!("not a put") };

        assert_eq!(put.key.pk, "AL#acme#operator");
        assert_eq!(put.key.sk, "overrun#20261124#openai/ft:a#b");
        assert_eq!(Notice::parse(&item).unwrap(), notice);
        let morning = Notice::new(Fault::Overrun, subject, at("2026-11-24T00:00:00Z"));
        assert_eq!(morning.key("acme"), notice.key("acme"));
        let hour = Notice::new(Fault::Provisional, "user:u1".to_owned(), evening);
        assert_eq!(hour.key("acme").sk, "provisional#2026112423#user:u1");
    }

    #[test]
    fn what_stands_behind_a_notice_is_asked_for_fault_by_fault() {
        let spans = [("20261123", 4), ("20261124", 4), ("20261125", 4)];
        let mut all = Vec::new();
        for (day, hours) in spans {
            for fault in Fault::ALL {
                for hour in 0..hours {
                    // The first and the last hours of the day.
                    let hour = if hour < 2 { hour } else { 20 + hour };
                    let span = match fault {
                        Fault::Provisional => format!("{day}{hour:02}"),
                        _ => day.to_owned(),
                    };
                    for subject in ["a/b", "c/d#e"] {
                        let sk = format!("{}#{span}#{subject}", fault.name());
                        all.push(sk.parse::<Notice>().unwrap());
                    }
                }
            }
        }
        all.sort_by_key(Notice::place);
        all.dedup();
        let newest = all.last().unwrap();
        assert_eq!(newest.sk(), "unpriced#20261125#c/d#e");

        for (place, last) in all.iter().enumerate() {
            let found: Vec<_> = all
                .iter()
                .filter(|one| {
                    let (from, to) = behind(one.fault, Some(last));
                    one.sk() > from && one.sk() <= to && *one != last
                })
                .collect();
            assert_eq!(found, all[..place].iter().collect::<Vec<_>>(), "{}", last.sk());
        }
        let is_there = |one: &Notice| {
            let (from, to) = behind(one.fault, None);
            one.sk() > from && one.sk() < to
        };
        assert!(all.iter().all(is_there));
    }

    #[test]
    fn an_item_that_is_no_notice_is_named() {
        for sk in ["", "overrun", "overrun#1", "overrun#x#y", "test#1#y"] {
            let item = Item::from([("sk".to_owned(), text(sk))]);
            assert!(Notice::parse(&item).is_err(), "{sk}");
        }
    }
}
