//! Idempotent inference (money.md 3.10): a caller's key is claimed before money is held for it,
//! and the claim says what became of the call, so that a repeat never pays twice.
//!
//! ```text
//!  claim ──► P ── unbilled ──► gone: a repeat is a new call
//!            │ ── done ──────► D: a repeat gets the kept answer
//!            └─ its process died ─► P past `until`: nobody runs it again by itself
//! ```

use farebox_core::{EntityId, Rid, Timestamp};

use crate::Error;
use crate::item::{Item, Key, Table, malformed, number, read_number, read_text, text};
use crate::update::{Update, content_put};

/// Seconds that a claim and the answer kept with it live.
pub const KEPT_S: i64 = 86_400;
/// Seconds after the end of its invocation in which a call may still be closing.
const CLOSING_S: i64 = 60;

/// A caller's key, taken for one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Where the claim is.
    pub key: Key,
    /// The call that holds it.
    pub rid: Rid,
    /// What tells two requests apart: a keyed hash of method, path and body.
    pub fingerprint: String,
}

/// What a claim that was there before says to the next request with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is this call's own: the first write was applied, its answer lost.
    Own,
    /// Another request was sent with the same key.
    Reused,
    /// The call is under way.
    InFlight,
    /// The call's process ended without a word; it may have been paid for.
    Unknown(Rid),
    /// The call is done, and its answer is kept in so many parts.
    Done(Rid, u32),
    /// The call is done, and its answer was too long to be kept.
    NotKept(Rid),
    /// It has outlived its day: the key is free again.
    Expired,
}

impl Claim {
    /// The claim of `rid` on a user's key, which is told by its hash.
    #[must_use]
    pub fn new(tenant: &str, user: &EntityId, hash: &str, rid: Rid, fingerprint: String) -> Self {
        let key = Key { table: Table::Main, pk: partition(tenant, user), sk: hash.to_owned() };
        Self { key, rid, fingerprint }
    }

    /// Takes the key, where nobody has it.
    #[must_use]
    pub fn take(&self, now: Timestamp, ends_at: Timestamp) -> Update {
        let mut item = self.key.item();
        item.insert("fp".to_owned(), text(&self.fingerprint));
        item.insert("rid".to_owned(), text(&self.rid.to_string()));
        item.insert("st".to_owned(), text("P"));
        item.insert("until".to_owned(), number(ends_at.seconds().saturating_add(CLOSING_S)));
        item.insert("ttl".to_owned(), number(now.seconds().saturating_add(KEPT_S)));
        Update::put(self.key.clone(), item, "attribute_not_exists(pk) OR #ttl < :now")
            .name("#ttl", "ttl")
            .value(":now", number(now.seconds()))
    }

    /// Nothing was charged: a repeat is a new call.
    #[must_use]
    pub fn unbilled(&self) -> Update {
        let mut delete = Update::delete(self.key.clone());
        delete.condition = "rid = :rid AND st = :P".to_owned();
        delete.value(":rid", text(&self.rid.to_string())).value(":P", text("P"))
    }

    /// One part of the answer, sealed. Written before [`Claim::done`], so that a claim which says
    /// that it is done has all of them.
    #[must_use]
    pub fn part(&self, part: u32, of: u32, sealed: &str, now: Timestamp) -> Update {
        let expires_at = now.plus_ms(KEPT_S.saturating_mul(1_000));
        content_put(self.part_key(self.rid, part), sealed, of, expires_at)
    }

    /// Where a part of the answer of a call with this key is.
    #[must_use]
    pub fn part_key(&self, of: Rid, part: u32) -> Key {
        let sk = format!("{}#{of}#{part:04}", self.key.sk);
        Key { sk, ..self.key.clone() }
    }

    /// The call was charged, and its answer is kept in so many parts; in none where it was too
    /// long. A charge that no answer could be kept for is still done.
    #[must_use]
    pub fn done(&self, parts: u32) -> Update {
        let expression = "SET st = :D, n = :n";
        Update::change(self.key.clone(), expression, "rid = :rid AND st = :P")
            .value(":rid", text(&self.rid.to_string()))
            .value(":P", text("P"))
            .value(":D", text("D"))
            .value(":n", number(parts))
    }

    /// What the claim that stands in the way says.
    ///
    /// # Errors
    /// [`Error`] names the attribute.
    pub fn found(&self, item: &Item, now: Timestamp) -> Result<Found, Error> {
        let needed = |name: &'static str| read_text(item, name)?.ok_or(Error::Missing(name));
        let seconds = |name| read_number::<i64>(item, name)?.ok_or(Error::Missing(name));
        let rid: Rid = needed("rid")?.parse().map_err(|_| malformed("rid"))?;
        if rid == self.rid {
            return Ok(Found::Own);
        }
        if seconds("ttl")? < now.seconds() {
            return Ok(Found::Expired);
        }
        if needed("fp")? != self.fingerprint {
            return Ok(Found::Reused);
        }
        match needed("st")? {
            "P" if now.seconds() < seconds("until")? => Ok(Found::InFlight),
            "P" => Ok(Found::Unknown(rid)),
            "D" => Ok(match read_number(item, "n")?.ok_or(Error::Missing("n"))? {
                0 => Found::NotKept(rid),
                parts => Found::Done(rid, parts),
            }),
            _ => Err(malformed("st")),
        }
    }
}

/// The partition of all claims of a user, and of the answers kept with them.
#[must_use]
pub fn partition(tenant: &str, user: &EntityId) -> String {
    format!("I#{tenant}#{user}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Attr;
    use crate::update::Write;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn claim(call: u128, fingerprint: &str) -> Claim {
        let user = "u_1".parse().unwrap();
        Claim::new("main", &user, "hash", Rid::new(NOW, call), fingerprint.to_owned())
    }

    fn stored(claim: &Claim) -> Item {
        match claim.take(NOW, NOW.plus_ms(900_000)).write {
            Write::Put(item) => item,
            other => panic!("{other:?}"),
        }
    }

    fn done(parts: i128) -> Item {
        let mut item = stored(&claim(1, "a"));
        item.insert("st".to_owned(), text("D"));
        item.insert("n".to_owned(), Attr::N(parts));
        item
    }

    #[test]
    fn a_claim_says_what_became_of_its_call() {
        let (first, again) = (claim(1, "a"), claim(2, "a"));
        let under_way = stored(&first);
        let past = NOW.plus_ms(960_000);
        let (last, tomorrow) = (NOW.plus_ms(86_400_000), NOW.plus_ms(86_401_000));

        for (item, now, says) in [
            (&under_way, NOW, Found::InFlight),
            (&under_way, past.plus_ms(-1_000), Found::InFlight),
            (&under_way, past, Found::Unknown(first.rid)),
            (&under_way, tomorrow, Found::Expired),
            (&done(3), past, Found::Done(first.rid, 3)),
            (&done(0), past, Found::NotKept(first.rid)),
            (&done(3), last, Found::Done(first.rid, 3)),
            (&done(3), tomorrow, Found::Expired),
        ] {
            assert_eq!(again.found(item, now), Ok(says), "{item:?} at {now}");
        }
        assert_eq!(first.found(&under_way, NOW), Ok(Found::Own));
        assert_eq!(claim(3, "b").found(&under_way, NOW), Ok(Found::Reused));
        assert_eq!(claim(3, "b").found(&done(3), NOW), Ok(Found::Reused));
    }

    #[test]
    fn a_claim_that_cannot_be_read_runs_nothing() {
        for name in ["rid", "ttl", "fp", "st", "until"] {
            let mut item = stored(&claim(1, "a"));
            item.insert(name.to_owned(), Attr::S("?".to_owned()));
            let found = claim(2, "a").found(&item, NOW);
            assert!(found.is_err() || found == Ok(Found::Reused), "{name}: {found:?}");
            item.remove(name);
            assert!(claim(2, "a").found(&item, NOW).is_err(), "{name}");
        }
    }
}
