//! How an alert is told: leased, on every channel that is set, at least once each.

use core::str::FromStr;
use std::collections::BTreeMap;

use farebox_core::Timestamp;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::item::{Attr, Item, Key, malformed, number, read_number, read_text, text};
use crate::update::{DUE, Update};

/// Seconds that one delivery may take before another may try.
pub const LEASE_S: i64 = 60;
/// Deliveries of one alert before it is given up, with a metric.
pub const TRIES_MAX: u32 = 20;
const BACKOFF_FIRST_S: i64 = 60;
const BACKOFF_LAST_S: i64 = 6 * 3_600;
/// Seconds that an alert is kept.
pub(super) const KEPT_S: i64 = 400 * 86_400;

/// A way to those who are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A signed POST to a URL.
    Webhook,
    /// A topic of Amazon SNS.
    Sns,
    /// An e-mail by Amazon SES.
    Ses,
}

/// What became of an alert on its channels. A channel that was told is not told again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Deliveries that were begun.
    pub tries: u32,
    /// When every channel was told.
    pub sent_at: Option<Timestamp>,
    /// When each channel was told.
    pub told: BTreeMap<Channel, Timestamp>,
    /// What went wrong the last time, on channels that are not told.
    pub failed: BTreeMap<Channel, String>,
}

/// What one delivery came to on one channel; the error quotes nothing that is secret.
pub type Told = (Channel, Result<(), String>);

/// Seconds until the next delivery after `tries` have failed; `None` gives up.
#[must_use]
pub fn backoff_s(tries: u32) -> Option<i64> {
    if tries >= TRIES_MAX {
        return None;
    }
    let factor = 2_i64.checked_pow(tries.saturating_sub(1)).unwrap_or(BACKOFF_LAST_S);
    Some(BACKOFF_FIRST_S.saturating_mul(factor).min(BACKOFF_LAST_S))
}

/// The value of `Alert-Id`, by which a receiver knows a repeated delivery: the first 32
/// hexadecimal digits of the SHA-256 of `pk|sk`.
#[must_use]
pub fn alert_id(key: &Key) -> String {
    let digest = Sha256::digest(format!("{}|{}", key.pk, key.sk));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The write that records an alert; it fails where the alert is known already, which is success.
pub(super) fn put(
    key: Key,
    facts: impl IntoIterator<Item = (&'static str, Attr)>,
    now: Timestamp,
) -> Update {
    let mut item = key.item();
    item.extend(facts.into_iter().map(|(name, value)| (name.to_owned(), value)));
    item.insert("st".to_owned(), text("P"));
    item.insert("due".to_owned(), text(DUE));
    item.insert("at".to_owned(), number(now.seconds()));
    item.insert("tries".to_owned(), number(0));
    item.insert("ttl".to_owned(), number(now.seconds().saturating_add(KEPT_S)));
    Update::put(key, item, "attribute_not_exists(pk)")
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

/// End a delivery, one write for all channels: done where each was told, else those that were not
/// are tried again later, or never more after [`TRIES_MAX`].
#[must_use]
pub fn close(key: Key, me: &str, told: &[Told], tries: u32, now: Timestamp) -> Update {
    let is_done = told.iter().all(|(_, result)| result.is_ok());
    let next = backoff_s(tries).filter(|_| !is_done);
    let (mut set, mut remove) = ("SET st=:st".to_owned(), " REMOVE lo, lu".to_owned());
    let mut facts = Vec::new();
    for (channel, result) in told {
        let name = channel.name();
        match result {
            Ok(()) => {
                set.push_str(&format!(", to_{name}=:now"));
                remove.push_str(&format!(", er_{name}"));
            }
            Err(cause) => {
                set.push_str(&format!(", er_{name}=:{name}"));
                facts.push((format!(":{name}"), text(cause)));
            }
        }
    }
    if is_done {
        set.push_str(", sent_at=:now");
    }
    let state = match (is_done, next) {
        (true, _) => "S",
        (false, Some(_)) => "P",
        (false, None) => "F",
    };
    match next {
        Some(_) => set.push_str(", #at=:next"),
        None => remove.push_str(", due"),
    }
    let mut update = Update::change(key, set + &remove, "st = :L AND lo = :me")
        .value(":st", text(state))
        .value(":L", text("L"))
        .value(":me", text(me));
    if told.iter().any(|(_, result)| result.is_ok()) || is_done {
        update = update.value(":now", number(now.seconds()));
    }
    if let Some(wait) = next {
        let at = number(now.seconds().saturating_add(wait));
        update = update.name("#at", "at").value(":next", at);
    }
    facts.into_iter().fold(update, |update, (name, value)| update.value(&name, value))
}

/// Nobody is to be told: the alert stays, undelivered and visible, and leaves the index, so that
/// it is not met again every minute.
#[must_use]
pub fn undeliverable(key: Key) -> Update {
    Update::change(key, "REMOVE #due", "st = :P AND attribute_exists(#due)")
        .name("#due", "due")
        .value(":P", text("P"))
}

impl Channel {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Webhook, Self::Sns, Self::Ses];

    /// Its name in items and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Sns => "sns",
            Self::Ses => "ses",
        }
    }
}

impl FromStr for Channel {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|channel| channel.name() == name);
        found.ok_or_else(|| malformed("channel"))
    }
}

impl Delivery {
    /// Reads what became of an alert item.
    ///
    /// # Errors
    /// [`Error`] names the attribute.
    pub fn parse(item: &Item) -> Result<Self, Error> {
        let read_time = |name: &str| {
            let seconds: Option<i64> = read_number(item, name)?;
            let ms = seconds.map(|seconds| seconds.saturating_mul(1_000));
            Ok::<_, Error>(ms.map(Timestamp::from_ms))
        };
        let mut read = Self {
            tries: read_number(item, "tries")?.ok_or(Error::Missing("tries"))?,
            sent_at: read_time("sent_at")?,
            ..Self::default()
        };
        for channel in Channel::ALL {
            if let Some(at) = read_time(&format!("to_{}", channel.name()))? {
                read.told.insert(channel, at);
            } else if let Some(cause) = read_text(item, &format!("er_{}", channel.name()))? {
                read.failed.insert(channel, cause.to_owned());
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Table;

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

    #[test]
    fn a_channel_that_was_told_stays_told_and_a_failure_says_why() {
        let item = Item::from([
            ("tries".to_owned(), Attr::N(2)),
            ("to_sns".to_owned(), Attr::N(7)),
            ("er_ses".to_owned(), Attr::S("status 403".to_owned())),
        ]);

        let read = Delivery::parse(&item).unwrap();

        assert_eq!((read.tries, read.sent_at), (2, None));
        assert_eq!(read.told, BTreeMap::from([(Channel::Sns, Timestamp::from_ms(7_000))]));
        assert_eq!(read.failed, BTreeMap::from([(Channel::Ses, "status 403".to_owned())]));
    }

    #[test]
    fn a_channel_reads_back_by_its_name() {
        for channel in Channel::ALL {
            assert_eq!(channel.name().parse::<Channel>().unwrap(), channel);
        }
        assert!("pager".parse::<Channel>().is_err());
    }
}
