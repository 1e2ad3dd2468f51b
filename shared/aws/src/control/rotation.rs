//! A key's secret is replaced; the key, and so its budget and its settings, stays.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farebox_core::{EntityId, Error, GatewayKey, Secret, Timestamp};

use super::keys::{KEY_SK, pk};
use super::owners::{ROUNDS_MAX, VERSION, seconds};
use super::store::{Attributes, Changed, map, number, read_number, text};
use super::{Control, Expected, KeyRow, version};
use crate::directory::{StoredMac, macs};

/// The most secrets of one key that work beside the one in force: its item is read with calls.
const OLD_MAX: usize = 4;

/// The last rotation, for who asks for it again.
#[derive(Clone, Copy)]
struct Last {
    /// The key's version before it.
    from: u64,
    at: Timestamp,
    grace_s: u32,
}

impl Last {
    fn read(item: &Attributes) -> Option<Self> {
        let last = item.get("rotation")?.as_m().ok()?;
        Some(Self {
            from: read_number(last, "from")?,
            at: seconds(read_number(last, "at")?),
            grace_s: read_number(last, "grace")?,
        })
    }

    fn attribute(self) -> AttributeValue {
        map([
            ("from".to_owned(), number(self.from)),
            ("at".to_owned(), number(self.at.seconds())),
            ("grace".to_owned(), number(self.grace_s)),
        ])
    }
}

/// When a key was given another secret.
pub(super) fn at(item: &Attributes) -> Option<Timestamp> {
    Last::read(item).map(|last| last.at)
}

impl Control {
    /// Gives a key another secret, which is in the first half of the answer and nowhere else; a
    /// repeat with the same `seed` within a day has it again. Those before it work for `grace_s`
    /// seconds more, or less where they were to end before; where they were used just before, for
    /// 30 seconds more. `None` where there is no key of that version.
    ///
    /// # Errors
    /// Where a service cannot be reached; [`Error::IdempotencyKeyReused`] or [`Error::Conflict`]
    /// where the seed has made a secret with another grace, or one that works no more;
    /// [`Error::Malformed`] where the key is revoked, or too many of its secrets work.
    pub async fn rotate_key(
        &self,
        id: &EntityId,
        grace_s: u32,
        expected: Expected,
        seed: Option<&str>,
    ) -> Result<Option<(GatewayKey, KeyRow)>, Error> {
        let pepper = self.directory.pepper().await?;
        let mut tried: Option<GatewayKey> = None;
        for _ in 0..ROUNDS_MAX {
            let Some(item) = self.store.get(&pk(id), KEY_SK).await? else { return Ok(None) };
            let malformed = || Error::internal(format!("the key {id} is malformed"));
            let row = KeyRow::read(&item).ok_or_else(malformed)?;
            let known = macs(&item).ok_or_else(malformed)?;
            let is_in_force = |key: &GatewayKey| {
                known.first().is_some_and(|first| key.matches(&pepper, &first.mac))
            };
            // Ours, whose answer was lost.
            if let Some(key) = tried.take().filter(is_in_force) {
                return Ok(Some((key, row)));
            }
            if let (Some(seed), Some(last)) = (seed, Last::read(&item)) {
                let key = self.renewed(id, last.from, Some(seed)).await?;
                if is_in_force(&key) {
                    return self.rotated_before(row, last, grace_s).map(|row| Some((key, row)));
                }
            }
            if !expected.admits(row.version) {
                return Ok(None);
            }
            if !row.is_active {
                return Err(Error::malformed("id", "is that of a revoked key: make a new one"));
            }
            let key = self.renewed(id, row.version, seed).await?;
            let now = self.aws().now();
            let list = rotated(&key, &pepper, known, now, grace_s)?;
            let last = Last { from: row.version, at: now, grace_s };
            let set = "SET macs = :macs, rotation = :rotation, v = :next";
            let change = Changed::new(&pk(id), KEY_SK, set, "attribute_exists(pk) AND st = :A");
            // What was read, whatever was asked for: the list is made from it.
            let change = Expected::Version(row.version)
                .guard(change, VERSION, false)
                .value(":A", text("A"))
                .value(":macs", list)
                .value(":rotation", last.attribute())
                .value(":next", number(version::next(now)));
            if let Some(item) = self.store.change(change).await? {
                let row = KeyRow::read(&item).ok_or_else(malformed)?;
                return Ok(Some((key, row)));
            }
            tried = Some(key);
        }
        let limit = format!("other changes of the key {id} are under way");
        Err(Error::RateLimited { limit, retry_after_s: 5, left: Vec::new() })
    }

    /// The secret that a rotation of this version of a key makes. The version is part of it, so
    /// no seed ever makes a secret again that another rotation has ended.
    async fn renewed(
        &self,
        id: &EntityId,
        version: u64,
        seed: Option<&str>,
    ) -> Result<GatewayKey, Error> {
        let random = self.draw(&format!("secret of {id} after {version}"), seed).await?;
        Ok(GatewayKey::renewed(&self.aws().config().stage, id, random))
    }

    fn rotated_before(&self, row: KeyRow, last: Last, grace_s: u32) -> Result<KeyRow, Error> {
        match (last.grace_s == grace_s, row.is_active && self.is_repeatable(last.at)) {
            (true, true) => Ok(row),
            (true, false) => Err(Error::Conflict { thing: format!("The key {}", row.id) }),
            (false, _) => Err(Error::IdempotencyKeyReused),
        }
    }
}

/// What is stored after a rotation: the new secret, then those that work for a while.
fn rotated(
    key: &GatewayKey,
    pepper: &Secret,
    known: Vec<StoredMac>,
    now: Timestamp,
    grace_s: u32,
) -> Result<AttributeValue, Error> {
    let end = seconds(now.seconds().saturating_add(i64::from(grace_s)));
    let ending = |old: StoredMac| {
        let at = old.expires_at.map_or(end, |at| at.min(end));
        Some((old.mac, at)).filter(|(_, at)| *at > now)
    };
    let old: Vec<_> = known.into_iter().filter_map(ending).collect();
    if old.len() > OLD_MAX {
        let rule =
            format!("{OLD_MAX} older secrets of this key work still: send 0, which ends all");
        return Err(Error::malformed("grace_s", rule));
    }
    let mac = |mac: &[u8]| ("m".to_owned(), text(&STANDARD.encode(mac)));
    let mut list = vec![map([mac(&key.mac(pepper))])];
    list.extend(
        old.iter().map(|(old, at)| map([mac(old), ("exp".to_owned(), number(at.seconds()))])),
    );
    Ok(AttributeValue::L(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends of what is stored after a rotation at second 100; `None` is the new secret.
    fn ends(known: &[Option<i64>], grace_s: u32) -> Result<Vec<Option<i64>>, Error> {
        let (pepper, now) = (Secret::new("pepper".to_owned()), Timestamp::from_ms(100_000));
        let key = GatewayKey::renewed("local", &"k1".parse().unwrap(), [1; 32]);
        let known =
            known.iter().map(|end| StoredMac { mac: vec![1], expires_at: end.map(seconds) });
        let stored = rotated(&key, &pepper, known.collect(), now, grace_s)?;
        let item = Attributes::from([("macs".to_owned(), stored)]);
        let stored = macs(&item).unwrap();
        assert!(key.matches(&pepper, &stored[0].mac));
        Ok(stored.iter().map(|one| one.expires_at.map(Timestamp::seconds)).collect())
    }

    #[test]
    fn without_grace_no_older_secret_is_left() {
        assert_eq!(ends(&[None, Some(500)], 0), Ok(vec![None]));
    }

    #[test]
    fn with_grace_each_ends_by_then_and_none_lives_longer_than_it_was_to() {
        let known = [None, Some(110), Some(500), Some(100), Some(7)];

        assert_eq!(ends(&known, 60), Ok(vec![None, Some(160), Some(110), Some(160)]));
    }

    #[test]
    fn so_many_secrets_and_no_more_work_at_once() {
        let known = [None, Some(500), Some(500), Some(500)];
        assert_eq!(ends(&known, 60).unwrap().len(), OLD_MAX + 1);

        let known = [None, Some(500), Some(500), Some(500), Some(500)];
        assert_eq!(ends(&known, 60).unwrap_err().field(), Some("grace_s"));
        assert_eq!(ends(&known, 0), Ok(vec![None]));
    }
}
