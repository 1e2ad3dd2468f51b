//! Providers' credentials: one secret an owner, and beside it metadata without secrets.

use core::fmt;
use core::str::FromStr;
use std::time::Duration;

use farebox_core::{EntityId, Error, IdError, ScopeKind, Secret, Timestamp};
use serde_json::{Map, Value};

use super::owners::{ROUNDS_MAX, VERSION, seconds};
use super::store::{Attributes, Changed, map, number, read_map, read_number, read_text, text};
use super::{Control, Expected, PublicUrl, version};
use crate::config::random;
use crate::credentials::{secret_name, secret_text};

/// How long one change of an owner's secret may take. The secret is read, changed and written
/// back, and Secrets Manager has no conditional write: a lease keeps two changes apart.
const LEASE_MS: i64 = 30_000;
/// How often a held lease is asked for again, and how long apart.
const LEASE_TRIES: usize = 12;
const LEASE_WAIT: Duration = Duration::from_millis(250);

/// Whose credential.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialOwner {
    /// A user's own.
    User(EntityId),
    /// An organisation's: every user of it may use it.
    Org(EntityId),
}

impl CredentialOwner {
    /// The identity.
    #[must_use]
    pub const fn id(&self) -> &EntityId {
        match self {
            Self::User(id) | Self::Org(id) => id,
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Org(_) => "org",
        }
    }
}

/// `user:ID` or `org:ID`.
impl fmt::Display for CredentialOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.id())
    }
}

/// `org:ID`, `user:ID`, or the bare `ID` of a user.
impl FromStr for CredentialOwner {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once(':') {
            Some(("org", id)) => Ok(Self::Org(id.parse()?)),
            Some(("user", id)) => Ok(Self::User(id.parse()?)),
            Some(_) => Err(IdError::Malformed),
            None => Ok(Self::User(text.parse()?)),
        }
    }
}

/// What is known about a credential beside its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// Whose.
    pub owner: CredentialOwner,
    /// The provider.
    pub provider: String,
    /// Its name among the owner's for that provider; empty where it is the plain one.
    pub name: String,
    /// Its share of the calls.
    pub weight: u32,
    /// Whether it is used.
    pub is_active: bool,
    /// A compatible server in place of the provider's own.
    pub base_url: Option<String>,
    /// When it was set or disabled.
    pub updated_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Changes with every change of it.
    pub version: u64,
}

/// Which credential of its owner is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialPlace<'a> {
    /// The provider.
    pub provider: &'a str,
    /// Its name among the owner's for that provider; empty for the plain one.
    pub name: &'a str,
    /// Its share of the calls, where it is set.
    pub weight: u32,
}

impl<'a> CredentialPlace<'a> {
    /// The plain one.
    #[must_use]
    pub const fn plain(provider: &'a str) -> Self {
        Self { provider, name: "", weight: 1 }
    }

    /// Whether it is this one.
    #[must_use]
    pub fn is_of(&self, row: &CredentialRow) -> bool {
        (self.provider, self.name) == (row.provider.as_str(), row.name.as_str())
    }
}

impl CredentialRow {
    fn read(owner: &CredentialOwner, slot: &str, item: &Attributes) -> Self {
        let (provider, name) = slot.split_once('/').unwrap_or((slot, ""));
        Self {
            owner: owner.clone(),
            provider: provider.to_owned(),
            name: name.to_owned(),
            weight: read_number(item, "weight").unwrap_or(1),
            is_active: read_text(item, "st").as_deref() == Some("A"),
            base_url: read_text(item, "base_url"),
            updated_at: seconds(read_number(item, "at").unwrap_or_default()),
            last_used_at: read_number(item, "last_used_at").map(seconds),
            version: version::of(item, VERSION),
        }
    }

    /// Where it stands among its owner's: `provider`, or `provider/name`.
    fn slot(&self) -> String {
        match self.name.as_str() {
            "" => self.provider.clone(),
            name => format!("{}/{name}", self.provider),
        }
    }

    fn item(&self) -> aws_sdk_dynamodb::types::AttributeValue {
        let mut fields = vec![
            ("st".to_owned(), text(if self.is_active { "A" } else { "D" })),
            ("at".to_owned(), number(self.updated_at.seconds())),
            (VERSION.to_owned(), number(self.version)),
        ];
        if self.weight != 1 {
            fields.push(("weight".to_owned(), number(self.weight)));
        }
        if let Some(url) = &self.base_url {
            fields.push(("base_url".to_owned(), text(url)));
        }
        if let Some(at) = self.last_used_at {
            fields.push(("last_used_at".to_owned(), number(at.seconds())));
        }
        map(fields)
    }
}

impl Control {
    /// Stores a provider's credential: lease, secret, metadata, keys. `None` where there is no
    /// such owner, or another change was first.
    ///
    /// # Errors
    /// Where a service cannot be reached or another change of the same owner is under way.
    /// Repeat it: it ends what it began.
    pub async fn set_credential(
        &self,
        owner: &CredentialOwner,
        place: &CredentialPlace<'_>,
        secret: &Secret,
        base_url: Option<&PublicUrl>,
        expected: Expected,
    ) -> Result<Option<CredentialRow>, Error> {
        let Some(lease) = self.lease(owner).await? else { return Ok(None) };
        // Nobody else changes it as long as the lease is held.
        let known = self.known(owner, place).await?;
        if !expected.admits(known.map_or(0, |known| known.version)) {
            self.release(owner, &lease).await;
            return Ok(None);
        }
        let mut entry = Map::new();
        entry.insert("secret".to_owned(), Value::from(secret.expose()));
        if let Some(url) = base_url {
            entry.insert("base_url".to_owned(), Value::from(url.as_str()));
        }
        if place.weight != 1 {
            entry.insert("weight".to_owned(), Value::from(place.weight));
        }
        let row = CredentialRow {
            owner: owner.clone(),
            provider: place.provider.to_owned(),
            name: place.name.to_owned(),
            weight: place.weight,
            is_active: true,
            base_url: base_url.map(|url| url.as_str().to_owned()),
            updated_at: self.aws().now(),
            last_used_at: None,
            version: version::next(self.aws().now()),
        };
        let written = self.write_entry(owner, &row.slot(), Some(entry)).await;
        if let Err(error) = written {
            self.release(owner, &lease).await;
            return Err(error);
        }
        self.write_metadata(&row, &lease, " REMOVE lo, lu").await?;
        self.rewrite_keys(owner).await?;
        Ok(Some(row))
    }

    /// Stops the use of a credential and erases it: lease, metadata, keys, secret. `None` where
    /// there is none of that version.
    ///
    /// # Errors
    /// As [`Self::set_credential`].
    pub async fn disable_credential(
        &self,
        owner: &CredentialOwner,
        place: &CredentialPlace<'_>,
        expected: Expected,
    ) -> Result<Option<CredentialRow>, Error> {
        if self.known(owner, place).await?.is_none() {
            return Ok(None);
        }
        let Some(lease) = self.lease(owner).await? else { return Ok(None) };
        let known = self.known(owner, place).await?;
        let Some(known) = known.filter(|known| expected.admits(known.version)) else {
            self.release(owner, &lease).await;
            return Ok(None);
        };
        let now = self.aws().now();
        let updated_at = if known.is_active { now } else { known.updated_at };
        let version = version::next(now);
        let row = CredentialRow { is_active: false, updated_at, version, ..known };
        let ended = async {
            self.write_metadata(&row, &lease, "").await?;
            self.rewrite_keys(owner).await?;
            self.write_entry(owner, &row.slot(), None).await
        };
        let ended = ended.await;
        self.release(owner, &lease).await;
        ended.map(|()| Some(row))
    }

    /// The credentials of one owner by provider; `None` where there is no such owner.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn credentials(
        &self,
        owner: &CredentialOwner,
    ) -> Result<Option<Vec<CredentialRow>>, Error> {
        let item = self.store.get(&self.entities(), &owner.to_string()).await?;
        Ok(item.map(|item| rows(owner, &item)))
    }

    /// One credential; `None` where there is none.
    async fn known(
        &self,
        owner: &CredentialOwner,
        place: &CredentialPlace<'_>,
    ) -> Result<Option<CredentialRow>, Error> {
        let rows = self.credentials(owner).await?;
        Ok(rows.into_iter().flatten().find(|row| place.is_of(row)))
    }

    /// Takes the owner's lease; `None` where there is no such owner.
    pub(super) async fn lease(&self, owner: &CredentialOwner) -> Result<Option<String>, Error> {
        let what = format!("the credentials of {owner}");
        self.lease_at(&owner.to_string(), "attribute_exists(pk) AND ", &what).await
    }

    /// Takes the lease of an entity; `None` where `there` asks for one and there is none.
    pub(super) async fn lease_at(
        &self,
        sk: &str,
        there: &str,
        what: &str,
    ) -> Result<Option<String>, Error> {
        let pk = self.entities();
        let me = format!("{:032x}", random());
        for attempt in 0..LEASE_TRIES {
            if attempt > 0 {
                tokio::time::sleep(LEASE_WAIT).await;
            }
            let now = self.aws().now();
            let change = Changed::new(
                &pk,
                sk,
                "SET lo = :me, lu = :until, providers = if_not_exists(providers, :none)",
                &format!("{there}(attribute_not_exists(lu) OR lu < :now)"),
            )
            .value(":me", text(&me))
            .value(":until", number(now.plus_ms(LEASE_MS).ms()))
            .value(":now", number(now.ms()))
            .value(":none", map([]));
            if self.store.change(change).await?.is_some() {
                return Ok(Some(me));
            }
            if self.store.get(&pk, sk).await?.is_none() {
                return Ok(None);
            }
        }
        let limit = format!("another change of {what} is under way");
        Err(Error::RateLimited { limit, retry_after_s: 30, left: Vec::new() })
    }

    /// Gives the lease back. Where that fails it ends by itself.
    pub(super) async fn release(&self, owner: &CredentialOwner, lease: &str) {
        self.release_at(&owner.to_string(), lease).await;
    }

    /// The same of an entity's.
    pub(super) async fn release_at(&self, sk: &str, lease: &str) {
        let pk = self.entities();
        let change = Changed::new(&pk, sk, "REMOVE lo, lu", "lo = :me").value(":me", text(lease));
        if let Err(error) = self.store.change(change).await {
            tracing::warn!(cause = error.cause(), "a lease was not given back");
        }
    }

    /// Writes or erases one entry of the owner's secret.
    async fn write_entry(
        &self,
        owner: &CredentialOwner,
        slot: &str,
        entry: Option<Map<String, Value>>,
    ) -> Result<(), Error> {
        let name = secret_name(self.aws(), &owner.to_string())?;
        let stored = secret_text(self.aws(), &name).await?;
        let stored = stored.as_ref().map_or("{}", |stored| stored.expose());
        // The parser's message is left out: it may quote the secret.
        let entries: Result<Map<String, Value>, _> = serde_json::from_str(stored);
        let mut entries = entries.map_err(|_| super::store::malformed(&name, "not JSON"))?;
        let changed = match entry {
            Some(entry) => entries.insert(slot.to_owned(), Value::Object(entry)).is_none(),
            None => entries.shift_remove(slot).is_some(),
        };
        if !changed && entries.get(slot).is_none() {
            return Ok(());
        }
        let text = Secret::new(Value::Object(entries).to_string());
        self.store.put_secret(&name, &text).await
    }

    /// Writes what is known about a credential, and raises the owner's credential version.
    async fn write_metadata(
        &self,
        row: &CredentialRow,
        lease: &str,
        then: &str,
    ) -> Result<(), Error> {
        let (pk, sk) = (self.entities(), row.owner.to_string());
        for _ in 0..ROUNDS_MAX {
            let item = self.store.get(&pk, &sk).await?.unwrap_or_default();
            let version: i64 = read_number(&item, "cv").unwrap_or_default();
            // The time, so that it also rises past the versions of the owner's other half.
            let next = self.aws().now().ms().max(version.saturating_add(1));
            let change = Changed::new(
                &pk,
                &sk,
                &format!("SET providers.#p = :row, cv = :next{then}"),
                "lo = :me AND (attribute_not_exists(cv) OR cv = :cv)",
            )
            .name("#p", &row.slot())
            .value(":row", row.item())
            .value(":next", number(next))
            .value(":me", text(lease))
            .value(":cv", number(version));
            if self.store.change(change).await?.is_some() {
                return Ok(());
            }
        }
        let limit = format!("another change of {} is under way", row.owner);
        Err(Error::RateLimited { limit, retry_after_s: 5, left: Vec::new() })
    }

    /// Tells the keys of an owner which credentials there are now.
    async fn rewrite_keys(&self, owner: &CredentialOwner) -> Result<(), Error> {
        match owner {
            CredentialOwner::User(user) => self.rewrite_keys_of(user).await,
            CredentialOwner::Org(org) => {
                for user in self.members_of(ScopeKind::Org, org).await? {
                    self.rewrite_keys_of(&user).await?;
                }
                Ok(())
            }
        }
    }
}

/// The credentials in an entity's item, by provider.
pub(super) fn rows(owner: &CredentialOwner, item: &Attributes) -> Vec<CredentialRow> {
    let providers = read_map(item, "providers").into_iter().flatten();
    let read = |(provider, fields): (&String, &aws_sdk_dynamodb::types::AttributeValue)| {
        Some(CredentialRow::read(owner, provider, fields.as_m().ok()?))
    };
    let mut rows: Vec<_> = providers.filter_map(read).collect();
    rows.sort_by(|a, b| (&a.provider, &a.name).cmp(&(&b.provider, &b.name)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_user_unless_it_says_otherwise() {
        assert_eq!("u1".parse::<CredentialOwner>().unwrap().to_string(), "user:u1");
        assert_eq!("org:o1".parse::<CredentialOwner>().unwrap().to_string(), "org:o1");
        for text in ["", "key:k1", "org:", "org:a/b", ":u1"] {
            assert!(text.parse::<CredentialOwner>().is_err(), "{text}");
        }
    }

    #[test]
    fn metadata_round_trips() {
        let owner: CredentialOwner = "u1".parse().unwrap();
        let row = CredentialRow {
            owner: owner.clone(),
            provider: "openai".to_owned(),
            name: "second".to_owned(),
            weight: 3,
            is_active: true,
            base_url: Some("https://llm.example.com".to_owned()),
            updated_at: seconds(1_763_900_000),
            last_used_at: Some(seconds(1_763_900_100)),
            version: 7,
        };

        let providers = map([(row.slot(), row.item())]);
        let item = Attributes::from([("providers".to_owned(), providers)]);

        assert_eq!(rows(&owner, &item), [row]);
    }
}
