//! Sessions of people who have signed in: one item each, which names nobody's secret. Of a
//! session's token there is a keyed hash alone, and every request reads the item and the role
//! that it came by, so that an end binds at once.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use farebox_core::{EntityId, Error, Secret, Timestamp};
use ring::hmac;

use super::owners::{VERSION, seconds};
use super::store::{Attributes, Changed, key, number, read_number, read_text, text};
use super::{BindingRow, Control, Expected, Listed, version};
use crate::config::random_bytes;

/// The longest time between signing in and signing in again: a working day.
pub const LIFETIME_S: i64 = 12 * 3_600;
/// How long a session lives that nobody uses.
pub const IDLE_S: i64 = 3_600;
/// A use is told this long after the last one that was told.
const TOUCH_S: i64 = 300;
/// How long an ended session stays visible, and its sign-in stays used.
const KEPT_S: i64 = 86_400;
/// Characters of a session's identity.
const ID_CHARS: usize = 26;

/// Who has signed in, as the provider says.
#[derive(Clone, Debug)]
pub struct SignedIn<'person> {
    /// The provider.
    pub issuer: &'person str,
    /// The person's identifier there.
    pub subject: &'person str,
    /// The person's address, which the provider has verified.
    pub email: &'person str,
    /// The state of the sign-in, which makes one session and no second.
    pub state: &'person str,
}

/// A session without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its public identity.
    pub id: EntityId,
    /// Whose it is.
    pub email: String,
    /// The address or group that gave it its role.
    pub binding: String,
    /// Whether nobody has ended it.
    pub is_active: bool,
    /// When its person signed in.
    pub created_at: Timestamp,
    /// When it was used last, to five minutes.
    pub seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Changes with every change of it.
    pub version: u64,
    issuer: String,
    binding_version: u64,
}

impl SessionRow {
    fn read(item: &Attributes) -> Option<Self> {
        Some(Self {
            id: read_text(item, "sk")?.parse().ok()?,
            email: read_text(item, "email")?,
            binding: read_text(item, "binding")?,
            is_active: read_text(item, "st").as_deref() == Some("A"),
            created_at: seconds(read_number(item, "created_at")?),
            seen_at: seconds(read_number(item, "seen")?),
            expires_at: seconds(read_number(item, "exp")?),
            version: version::of(item, VERSION),
            issuer: read_text(item, "iss")?,
            binding_version: read_number(item, "bv")?,
        })
    }

    /// Whether it works at that time.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        let idle_end = self.seen_at.plus_ms(IDLE_S.saturating_mul(1_000));
        self.is_active && now < self.expires_at && now < idle_end
    }
}

impl Control {
    /// Begins a session by a role; its token is in the first half of the answer and nowhere else.
    /// `None` where this sign-in has made one before.
    ///
    /// # Errors
    /// Where the table or the pepper cannot be reached.
    pub async fn begin_session(
        &self,
        person: &SignedIn<'_>,
        binding: &BindingRow,
    ) -> Result<Option<(Secret, SessionRow)>, Error> {
        let pepper = self.directory.pepper().await?;
        let id = self.sign(&pepper, &["state", person.state]);
        let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(ID_CHARS).collect();
        let secret = URL_SAFE_NO_PAD.encode(random_bytes::<32>());
        let now = self.aws().now();
        let end = now.seconds().saturating_add(LIFETIME_S);
        let mut item = key(&self.sessions_pk(), &id);
        let mut set = |name: &str, value| item.insert(name.to_owned(), value);
        set("mac", text(&self.sign(&pepper, &["token", &id, &secret])));
        set("st", text("A"));
        set("iss", text(person.issuer));
        set("sub", text(person.subject));
        set("email", text(person.email));
        set("binding", text(&binding.subject));
        set("bv", number(binding.version));
        set("created_at", number(now.seconds()));
        set("seen", number(now.seconds()));
        set("exp", number(end));
        set("ttl", number(end.saturating_add(KEPT_S)));
        set(VERSION, number(version::next(now)));
        let row = SessionRow::read(&item);
        let row = row.ok_or_else(|| Error::internal("a new session is malformed"))?;
        let is_first = self.store.put(item, Some("attribute_not_exists(pk)")).await?;
        Ok(is_first.then(|| (Secret::new(format!("{id}.{secret}")), row)))
    }

    /// The live session of a token and the role that it came by, both as they are now. A role
    /// that was changed or taken away since has no session.
    ///
    /// # Errors
    /// Where the table or the pepper cannot be read.
    pub async fn session(&self, token: &str) -> Result<Option<(SessionRow, BindingRow)>, Error> {
        let Some((id, secret)) = token.split_once('.') else { return Ok(None) };
        let Ok(id) = id.parse::<EntityId>() else { return Ok(None) };
        let pepper = self.directory.pepper().await?;
        let Some(item) = self.store.get(&self.sessions_pk(), id.as_str()).await? else {
            return Ok(None);
        };
        let mac = read_text(&item, "mac").and_then(|mac| STANDARD.decode(mac).ok());
        let is_same = mac.is_some_and(|mac| {
            let message = self.message(&["token", id.as_str(), secret]);
            hmac::verify(&hmac_key(&pepper), &message, &mac).is_ok()
        });
        let now = self.aws().now();
        let row = SessionRow::read(&item).filter(|row| is_same && row.is_live(now));
        let issuer = self.aws().config().sign_on.as_ref().map(|sign_on| sign_on.issuer.as_str());
        let Some(row) = row.filter(|row| issuer == Some(&row.issuer)) else { return Ok(None) };
        let binding = self.binding(&row.binding).await?;
        let binding = binding.filter(|binding| binding.version == row.binding_version);
        let Some(binding) = binding else { return Ok(None) };
        if now.seconds().saturating_sub(row.seen_at.seconds()) >= TOUCH_S {
            self.store.touch(&self.sessions_pk(), id.as_str(), now).await?;
        }
        Ok(Some((row, binding)))
    }

    /// A session by its identity.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn session_row(&self, id: &EntityId) -> Result<Option<SessionRow>, Error> {
        let item = self.store.get(&self.sessions_pk(), id.as_str()).await?;
        Ok(item.as_ref().and_then(SessionRow::read))
    }

    /// A page of sessions by identity, ended ones for a day more.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn sessions(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<SessionRow>, Error> {
        let (items, next) = self.store.query(&self.sessions_pk(), "", cursor, limit).await?;
        Ok(Listed { rows: items.iter().filter_map(SessionRow::read).collect(), next })
    }

    /// Ends a session; `None` where there is none of that version. Its item stays until it
    /// would have ended, so that its sign-in stays used.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn end_session(
        &self,
        id: &EntityId,
        expected: Expected,
    ) -> Result<Option<SessionRow>, Error> {
        let set = "SET st = :R, v = :next";
        let pk = self.sessions_pk();
        let change = Changed::new(&pk, id.as_str(), set, "attribute_exists(pk)");
        let change = expected.guard(change, VERSION, false).value(":R", text("R"));
        let next = number(version::next(self.aws().now()));
        let item = self.store.change(change.value(":next", next)).await?;
        Ok(item.as_ref().and_then(SessionRow::read))
    }

    fn sessions_pk(&self) -> String {
        format!("SN#{}", self.tenant())
    }

    fn sign(&self, pepper: &Secret, words: &[&str]) -> String {
        STANDARD.encode(hmac::sign(&hmac_key(pepper), &self.message(words)))
    }

    /// The deployment and the words, each with its length, so that no two lists are one text.
    fn message(&self, words: &[&str]) -> Vec<u8> {
        let stage = self.aws().config().stage.as_str();
        let mut message = b"farebox.session.v1".to_vec();
        for word in [self.tenant(), stage].iter().chain(words) {
            message.extend(word.len().to_be_bytes());
            message.extend(word.as_bytes());
        }
        message
    }
}

fn hmac_key(pepper: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, pepper.expose().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_itself_by_idleness_and_by_a_word() {
        let at = |s: i64| Timestamp::from_ms(s * 1_000);
        let row = SessionRow {
            id: "s1".parse().unwrap(),
            email: "ann@example.com".to_owned(),
            binding: "group:ops".to_owned(),
            is_active: true,
            created_at: at(0),
            seen_at: at(LIFETIME_S - 60),
            expires_at: at(LIFETIME_S),
            version: 1,
            issuer: "https://idp.example.com".to_owned(),
            binding_version: 1,
        };

        assert!(row.is_live(at(LIFETIME_S - 1)) && !row.is_live(at(LIFETIME_S)));
        let idle = SessionRow { seen_at: at(0), ..row.clone() };
        assert!(idle.is_live(at(IDLE_S - 1)) && !idle.is_live(at(IDLE_S)));
        assert!(!SessionRow { is_active: false, ..row }.is_live(at(0)));
    }
}
