//! Users, organisations and teams.

use farebox_core::{EntityId, Error, Money, Scope, ScopeKind, Timestamp};
use serde::{Deserialize, Serialize};

use super::store::{Attributes, Changed, map, number, read_number, read_text, text};
use super::{Control, CredentialOwner, Expected, Fits, Listed, version};

/// Rounds in which a change is tried against the changes of others.
pub(super) const ROUNDS_MAX: usize = 5;
/// On an owner, a key or a price: its version.
pub(super) const VERSION: &str = "v";
/// Pages that one walk over a list of entities takes: 100,000 of them.
const PAGES_MAX: usize = 1000;

/// What a user may do for itself, as the owner allows it; nothing unless told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowance {
    /// Live keys that it may have, and still make one.
    pub keys: u32,
    /// The most that one call of such a key may cost.
    pub key_max_cost: Option<Money>,
    /// The longest life of such a key.
    pub key_days: Option<u32>,
    /// The models that such a key may use.
    pub key_models: Option<Vec<String>>,
    /// Whether it may store credentials of its own.
    pub credentials: bool,
}

/// What a user is to be.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// For people.
    pub name: Option<String>,
    /// Its organisation.
    pub org: Option<EntityId>,
    /// Its team.
    pub team: Option<EntityId>,
    /// What it may do for itself.
    pub own: Allowance,
}

/// A user, an organisation or a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRow {
    /// Its identity.
    pub id: EntityId,
    /// For people.
    pub name: Option<String>,
    /// A user's organisation.
    pub org: Option<EntityId>,
    /// A user's team.
    pub team: Option<EntityId>,
    /// What a user may do for itself.
    pub own: Allowance,
    /// When it was made.
    pub created_at: Timestamp,
    /// Changes with every change of it.
    pub version: u64,
}

impl OwnerRow {
    fn read(sk: &str, item: &Attributes) -> Option<Self> {
        let (_, id) = sk.split_once(':')?;
        Some(Self {
            id: id.parse().ok()?,
            name: read_text(item, "name"),
            org: read_text(item, "org").and_then(|org| org.parse().ok()),
            team: read_text(item, "team").and_then(|team| team.parse().ok()),
            own: read_text(item, "own")
                .and_then(|own| serde_json::from_str(&own).ok())
                .unwrap_or_default(),
            created_at: seconds(read_number(item, "created_at").unwrap_or_default()),
            version: version::of(item, VERSION),
        })
    }
}

pub(super) fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds.saturating_mul(1000))
}

impl Control {
    /// Makes a user with its budget, or replaces its name, organisation and team. Its keys follow:
    /// what they spent stays with the owners that they had. `None` where another change was first.
    ///
    /// # Errors
    /// Where the organisation or the team does not exist, or a table cannot be reached.
    pub async fn put_user(
        &self,
        id: &EntityId,
        new: &NewUser,
        expected: Expected,
    ) -> Result<Option<OwnerRow>, Error> {
        for (field, parent) in [("org", &new.org), ("team", &new.team)] {
            let Some(parent) = parent else { continue };
            if self.entity(&format!("{field}:{parent}")).await?.is_none() {
                let rule = format!("there is no {field} {parent}: add it first");
                return Err(Error::malformed(field, rule));
            }
        }
        self.make_budget(Scope::new(ScopeKind::User, id.clone())).await?;
        let own = match &new.own {
            own if *own == Allowance::default() => None,
            own => Some(serde_json::to_string(own).map_err(Error::internal)?),
        };
        let fields = [
            ("name", new.name.clone()),
            ("org", new.org.as_ref().map(ToString::to_string)),
            ("team", new.team.as_ref().map(ToString::to_string)),
            ("own", own),
        ];
        let user = self.put_owner(&format!("user:{id}"), fields, expected).await?;
        if user.is_some() {
            self.rewrite_keys_of(id).await?;
        }
        Ok(user)
    }

    /// Makes an organisation, or replaces its name; `None` where another change was first.
    ///
    /// # Errors
    /// Where a table cannot be reached.
    pub async fn put_org(
        &self,
        id: &EntityId,
        name: Option<String>,
        expected: Expected,
    ) -> Result<Option<OwnerRow>, Error> {
        self.put_owner(&format!("org:{id}"), [("name", name)], expected).await
    }

    /// Makes a team, or replaces its name; `None` where another change was first.
    ///
    /// # Errors
    /// Where a table cannot be reached.
    pub async fn put_team(
        &self,
        id: &EntityId,
        name: Option<String>,
        expected: Expected,
    ) -> Result<Option<OwnerRow>, Error> {
        self.put_owner(&format!("team:{id}"), [("name", name)], expected).await
    }

    /// A user.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn user(&self, id: &EntityId) -> Result<Option<OwnerRow>, Error> {
        self.entity(&format!("user:{id}")).await
    }

    /// A team.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn team(&self, id: &EntityId) -> Result<Option<OwnerRow>, Error> {
        self.entity(&format!("team:{id}")).await
    }

    /// A user or an organisation.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn owner(&self, owner: &CredentialOwner) -> Result<Option<OwnerRow>, Error> {
        self.entity(&owner.to_string()).await
    }

    async fn entity(&self, sk: &str) -> Result<Option<OwnerRow>, Error> {
        let item = self.store.get(&self.entities(), sk).await?;
        Ok(item.and_then(|item| OwnerRow::read(sk, &item)))
    }

    /// A page of users (`user:`), organisations (`org:`) or teams (`team:`); of those that fit.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn owners(
        &self,
        prefix: &'static str,
        limit: u32,
        cursor: Option<&str>,
        fits: Option<&Fits<'_, OwnerRow>>,
    ) -> Result<Listed<OwnerRow>, Error> {
        let pk = self.entities();
        let read = |item: &Attributes| {
            let row = OwnerRow::read(&read_text(item, "sk")?, item)?;
            fits.is_none_or(|fits| fits(&row)).then_some(row)
        };
        self.store.search((&pk, prefix), (limit, cursor), fits.is_some(), read).await
    }

    /// The users of an organisation or a team.
    ///
    /// # Errors
    /// Where a table cannot be reached, or there are more users than one walk takes.
    pub(super) async fn members_of(
        &self,
        kind: ScopeKind,
        id: &EntityId,
    ) -> Result<Vec<EntityId>, Error> {
        let (mut users, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self.owners("user:", super::PAGE_MAX, cursor.as_deref(), None).await?;
            let parent = |user: &OwnerRow| match kind {
                ScopeKind::Team => user.team.clone(),
                _ => user.org.clone(),
            };
            let members = page.rows.into_iter().filter(|user| parent(user).as_ref() == Some(id));
            users.extend(members.map(|user| user.id));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(users);
            }
        }
        Err(Error::internal("there are more users than one walk takes"))
    }

    async fn put_owner<const N: usize>(
        &self,
        sk: &str,
        fields: [(&str, Option<String>); N],
        expected: Expected,
    ) -> Result<Option<OwnerRow>, Error> {
        let now = self.aws().now();
        let mut sets = "SET created_at = if_not_exists(created_at, :now), \
                        cv = if_not_exists(cv, :cv), \
                        providers = if_not_exists(providers, :none), v = :next"
            .to_owned();
        let mut removed = Vec::new();
        for (field, value) in &fields {
            match value {
                Some(_) => sets.push_str(&format!(", #{field} = :{field}")),
                None => removed.push(format!("#{field}")),
            }
        }
        if !removed.is_empty() {
            sets.push_str(&format!(" REMOVE {}", removed.join(", ")));
        }
        let change = Changed::new(&self.entities(), sk, &sets, "");
        let mut change = expected
            .guard(change, VERSION, false)
            .value(":next", number(version::next(now)))
            .value(":now", number(now.seconds()))
            .value(":cv", number(now.ms()))
            .value(":none", map([]));
        for (field, value) in fields {
            change = change.name(&format!("#{field}"), field);
            if let Some(value) = value {
                change = change.value(&format!(":{field}"), text(&value));
            }
        }
        let Some(item) = self.store.change(change).await? else { return Ok(None) };
        let row = OwnerRow::read(sk, &item);
        row.map(Some).ok_or_else(|| super::store::malformed(sk, "item"))
    }
}
