//! Users and organisations.

use farebox_core::{EntityId, Error, Scope, ScopeKind, Timestamp};

use super::store::{Attributes, Changed, map, number, read_number, read_text, text};
use super::{Control, CredentialOwner, Listed};

/// Rounds in which a change is tried against the changes of others.
pub(super) const ROUNDS_MAX: usize = 5;
/// Pages that one walk over a list of entities takes: 100,000 of them.
const PAGES_MAX: usize = 1000;

/// A user or an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRow {
    /// Its identity.
    pub id: EntityId,
    /// For people.
    pub name: Option<String>,
    /// A user's organisation.
    pub org: Option<EntityId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its credential version.
    pub(super) version: i64,
}

impl OwnerRow {
    fn read(sk: &str, item: &Attributes) -> Option<Self> {
        let (_, id) = sk.split_once(':')?;
        Some(Self {
            id: id.parse().ok()?,
            name: read_text(item, "name"),
            org: read_text(item, "org").and_then(|org| org.parse().ok()),
            created_at: seconds(read_number(item, "created_at").unwrap_or_default()),
            version: read_number(item, "cv").unwrap_or_default(),
        })
    }
}

pub(super) fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds.saturating_mul(1000))
}

impl Control {
    /// Makes a user with its budget, or replaces its name and organisation.
    ///
    /// # Errors
    /// Where the organisation does not exist, or a table cannot be reached.
    pub async fn put_user(
        &self,
        id: &EntityId,
        name: Option<String>,
        org: Option<EntityId>,
    ) -> Result<OwnerRow, Error> {
        if let Some(org) = &org {
            let owner = CredentialOwner::Org(org.clone());
            if self.owner(&owner).await?.is_none() {
                return Err(Error::malformed("org", "there is no such organisation: add it first"));
            }
        }
        self.make_budget(Scope { kind: ScopeKind::User, id: id.clone() }).await?;
        let user = self.put_owner(&CredentialOwner::User(id.clone()), name, org).await?;
        self.rewrite_keys_of(id).await?;
        Ok(user)
    }

    /// Makes an organisation, or replaces its name.
    ///
    /// # Errors
    /// Where a table cannot be reached.
    pub async fn put_org(&self, id: &EntityId, name: Option<String>) -> Result<OwnerRow, Error> {
        self.put_owner(&CredentialOwner::Org(id.clone()), name, None).await
    }

    /// A user or an organisation.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn owner(&self, owner: &CredentialOwner) -> Result<Option<OwnerRow>, Error> {
        let sk = owner.to_string();
        let item = self.store.get(&self.entities(), &sk).await?;
        Ok(item.and_then(|item| OwnerRow::read(&sk, &item)))
    }

    /// A page of users (`user:`) or organisations (`org:`).
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn owners(
        &self,
        prefix: &'static str,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<OwnerRow>, Error> {
        let page = self.store.query(&self.entities(), prefix, cursor, limit).await?;
        let rows = page.0.iter().filter_map(|item| OwnerRow::read(&read_text(item, "sk")?, item));
        Ok(Listed { rows: rows.collect(), next: page.1 })
    }

    /// The users of an organisation.
    pub(super) async fn users_of(&self, org: &EntityId) -> Result<Vec<EntityId>, Error> {
        let (mut users, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self.owners("user:", super::PAGE_MAX, cursor.as_deref()).await?;
            let members = page.rows.into_iter().filter(|user| user.org.as_ref() == Some(org));
            users.extend(members.map(|user| user.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(users)
    }

    async fn put_owner(
        &self,
        owner: &CredentialOwner,
        name: Option<String>,
        org: Option<EntityId>,
    ) -> Result<OwnerRow, Error> {
        let (pk, sk) = (self.entities(), owner.to_string());
        let now = self.aws().now();
        let sets = "SET created_at = if_not_exists(created_at, :now), \
                    cv = if_not_exists(cv, :cv), providers = if_not_exists(providers, :none)";
        let expression = match (&name, &org) {
            (Some(_), Some(_)) => format!("{sets}, #name = :name, org = :org"),
            (Some(_), None) => format!("{sets}, #name = :name REMOVE org"),
            (None, Some(_)) => format!("{sets}, org = :org REMOVE #name"),
            (None, None) => format!("{sets} REMOVE #name, org"),
        };
        // Two changes of one owner do not contradict each other: the later one stands.
        let mut change = Changed::new(&pk, &sk, &expression, "")
            .name("#name", "name")
            .value(":now", number(now.seconds()))
            .value(":cv", number(now.ms()))
            .value(":none", map([]));
        if let Some(name) = &name {
            change = change.value(":name", text(name));
        }
        if let Some(org) = &org {
            change = change.value(":org", text(org.as_str()));
        }
        let item = self.store.change(change).await?.unwrap_or_default();
        OwnerRow::read(&sk, &item).ok_or_else(|| super::store::malformed(&sk, "item"))
    }
}
