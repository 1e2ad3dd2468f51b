//! Farebox keys: made, listed, revoked, and told which credentials their user has.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farebox_core::{EntityId, Error, GatewayKey, RateLimits, Scope, ScopeKind, Timestamp};

use super::credentials::rows;
use super::key_settings::KeySettings;
use super::owners::{ROUNDS_MAX, VERSION, seconds};
use super::scopes::{named, rates_of, rates_told, scopes_of};
use super::store::{
    Attributes, Changed, QUERIES_MAX, map, number, read_number, read_text, text, texts,
};
use super::{Control, CredentialOwner, Fits, Listed, PAGE_MAX, rotation, version};
use crate::directory::macs;

/// Pages of keys that one user can have: 10,000 keys.
pub(super) const PAGES_MAX: usize = 100;
pub(super) const KEY_SK: &str = "0";
/// On the entity of a user or a key: days that content is kept.
pub(super) const CONTENT: &str = "content_days";

/// What a new key may do.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Whose.
    pub user: EntityId,
    /// What can be changed of it.
    pub settings: KeySettings,
    /// The most live keys that its user may have with it; `None` is no limit.
    pub among: Option<u32>,
}

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its public identity.
    pub id: EntityId,
    /// Whose.
    pub user: EntityId,
    /// The user's organisation.
    pub org: Option<EntityId>,
    /// The user's team.
    pub team: Option<EntityId>,
    /// Whether it is not revoked.
    pub is_active: bool,
    /// What can be changed of it.
    pub settings: KeySettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// When it was given another secret.
    pub rotated_at: Option<Timestamp>,
    /// When the last of its older secrets ends, where it was rotated with a grace.
    pub old_secrets_until: Option<Timestamp>,
    /// Changes with every change of it.
    pub version: u64,
}

impl KeyRow {
    /// Its place in a list of keys, as their table sorts them.
    fn place(&self) -> String {
        format!("key:{}:{}", self.user, self.id)
    }

    pub(super) fn read(item: &Attributes) -> Option<Self> {
        let id = read_text(item, "pk")?;
        Some(Self {
            id: id.strip_prefix("K#")?.parse().ok()?,
            user: read_text(item, "user")?.parse().ok()?,
            org: read_text(item, "org").and_then(|org| org.parse().ok()),
            team: read_text(item, "team").and_then(|team| team.parse().ok()),
            is_active: read_text(item, "st").as_deref() == Some("A"),
            settings: KeySettings::read(item),
            created_at: seconds(read_number(item, "created_at").unwrap_or_default()),
            last_used_at: read_number(item, "last_used_at").map(seconds),
            rotated_at: rotation::at(item),
            old_secrets_until: macs(item)?.iter().filter_map(|mac| mac.expires_at).max(),
            version: version::of(item, VERSION),
        })
    }
}

/// What a key must know about its owners: their credentials and budgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    user: EntityId,
    org: Option<EntityId>,
    team: Option<EntityId>,
    /// The budgets that the owners' entities name.
    pub(super) budgets: Vec<Scope>,
    /// Provider to owner: the nearest owner wins.
    providers: BTreeMap<String, String>,
    /// Days that the user's content is kept.
    content: i64,
    /// The user's rate limits.
    rates: RateLimits,
    /// At least this version.
    version: i64,
}

impl Access {
    fn of(
        user: &EntityId,
        item: &Attributes,
        org: Option<(EntityId, Attributes)>,
        team: &Attributes,
    ) -> Self {
        let owners = [org.as_ref().map(|(_, item)| item), Some(team), Some(item)];
        let budgets = owners.into_iter().flatten().flat_map(named).collect();
        let mut providers = BTreeMap::new();
        let mut version: i64 = read_number(item, "cv").unwrap_or_default();
        let mut add = |owner: &CredentialOwner, item: &Attributes| {
            let active = rows(owner, item).into_iter().filter(|row| row.is_active);
            providers.extend(active.map(|row| (row.provider, owner.to_string())));
        };
        if let Some((id, item)) = &org {
            add(&CredentialOwner::Org(id.clone()), item);
            version = version.max(read_number(item, "cv").unwrap_or_default());
        }
        // Last, so that the user's own goes before the organisation's.
        add(&CredentialOwner::User(user.clone()), item);
        let (content, rates) = (read_number(item, CONTENT).unwrap_or_default(), rates_of(item));
        let org = org.map(|(id, _)| id);
        let team = read_text(item, "team").and_then(|team| team.parse().ok());
        Self { user: user.clone(), org, team, budgets, providers, content, rates, version }
    }

    /// What tells a key of all this.
    fn expression(&self) -> String {
        let mut set = "SET providers = :providers, scopes = :scopes, content = :content, \
                       rates = :rates, cv = :next"
            .to_owned();
        let mut removed = Vec::new();
        for (name, owner) in [("org", &self.org), ("team", &self.team)] {
            match owner {
                Some(_) => set.push_str(&format!(", {name} = :{name}")),
                None => removed.push(name),
            }
        }
        let removed = removed.join(", ");
        if removed.is_empty() { set } else { format!("{set} REMOVE {removed}") }
    }

    fn providers(&self) -> AttributeValue {
        let entries = self.providers.iter();
        map(entries.map(|(provider, owner)| (provider.clone(), text(owner))))
    }

    /// Days that the content of one of the user's keys is kept: as its own entity says, else as
    /// the user's.
    fn content(&self, pointer: Option<&Attributes>) -> AttributeValue {
        number(pointer.and_then(|item| read_number(item, CONTENT)).unwrap_or(self.content))
    }

    /// The rate limits that hold for one of the user's keys: the user's and its own.
    fn rates(&self, key: &EntityId, pointer: Option<&Attributes>) -> AttributeValue {
        let own = pointer.map(rates_of).unwrap_or_default();
        rates_told([(ScopeKind::User, &self.user, self.rates), (ScopeKind::Key, key, own)])
    }

    /// The scopes of one of the user's keys; `pointer` is its entity.
    fn scopes(&self, key: &EntityId, pointer: Option<&Attributes>) -> AttributeValue {
        let own = pointer.map(named).unwrap_or_default();
        texts(&scopes_of(&self.user, Some(key), [self.budgets.clone(), own].concat()))
    }
}

impl Control {
    /// Makes a key: budget, pointer, key item. Its secret is in the first half of the answer
    /// and nowhere else; a repeat with the same `seed` within a day has it again. `None` where
    /// there is no such user.
    ///
    /// # Errors
    /// Where a service cannot be reached; then no key works that anybody knows.
    pub async fn create_key(
        &self,
        new: NewKey,
        seed: Option<&str>,
    ) -> Result<Option<(GatewayKey, KeyRow)>, Error> {
        if self.access(&new.user).await?.is_none() {
            return Ok(None);
        }
        let pepper = self.directory.pepper().await?;
        let random = self.draw(&format!("key of {}", new.user), seed).await?;
        let key = GatewayKey::generate(&self.aws().config().stage, random);
        if let Some(made) = self.key(&key.id).await? {
            return self.made_before(&new, made).map(|row| Some((key, row)));
        }
        if let Some(most) = new.among {
            self.check_room_for_a_key(&new.user, most, None).await?;
        }
        let now = self.aws().now();
        self.make_budget(Scope::new(ScopeKind::Key, key.id.clone())).await?;

        let mut pointer = Attributes::new();
        pointer.insert("pk".to_owned(), text(&self.entities()));
        pointer.insert("sk".to_owned(), text(&pointer_sk(&new.user, &key.id)));
        self.store.put(pointer, Some("attribute_not_exists(pk)")).await?;

        // Read after the pointer stands: what changes at its owners from here on finds the key.
        let Some(access) = self.access(&new.user).await? else { return Ok(None) };
        let mac = STANDARD.encode(key.mac(&pepper));
        let first = AttributeValue::L(vec![map([("m".to_owned(), text(&mac))])]);
        let item = self.key_item(&key.id, &new, &access, first, now);
        let row = KeyRow::read(&item).ok_or_else(|| Error::internal("a new key is malformed"))?;
        if !self.store.put(item, Some("attribute_not_exists(pk)")).await? {
            let made = self.key(&key.id).await?;
            let made = made.ok_or_else(|| Error::internal("a new key's id is taken"))?;
            return self.made_before(&new, made).map(|row| Some((key, row)));
        }
        // Its owners may have changed since they were read, before the key item could be found.
        self.rewrite(&new.user, vec![key.id.clone()]).await?;
        Ok(Some((key, row)))
    }

    /// One key.
    ///
    /// # Errors
    /// Where the table cannot be reached.
    pub async fn key(&self, id: &EntityId) -> Result<Option<KeyRow>, Error> {
        let item = self.store.get(&pk(id), KEY_SK).await?;
        Ok(item.as_ref().and_then(KeyRow::read))
    }

    /// A page of keys by user and id; of one user where `user` is given, and of those that fit.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn keys(
        &self,
        user: Option<&EntityId>,
        limit: u32,
        cursor: Option<&str>,
        fits: Option<&Fits<'_, KeyRow>>,
    ) -> Result<Listed<KeyRow>, Error> {
        let prefix = user.map_or_else(|| "key:".to_owned(), |user| format!("key:{user}:"));
        let limit = limit.min(PAGE_MAX);
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let size = if fits.is_some() { PAGE_MAX } else { limit };
        let (mut rows, mut next) = (Vec::new(), cursor.map(str::to_owned));
        for _ in 0..QUERIES_MAX {
            let (pointers, more) =
                self.store.query(&self.entities(), &prefix, next.as_deref(), size).await?;
            let ids = pointers.iter().filter_map(|item| key_of(&read_text(item, "sk")?));
            let items = self.key_items(ids.map(|(_, id)| id).collect()).await?;
            let found = items.iter().filter_map(KeyRow::read);
            let mut found: Vec<_> = found.filter(|row| fits.is_none_or(|fits| fits(row))).collect();
            found.sort_by_key(KeyRow::place);
            rows.append(&mut found);
            if rows.len() > wanted {
                rows.truncate(wanted);
                return Ok(Listed { next: rows.last().map(KeyRow::place), rows });
            }
            next = more;
            if next.is_none() || fits.is_none() || rows.len() == wanted {
                break;
            }
        }
        Ok(Listed { rows, next })
    }

    /// Tells all keys of a user which credentials and budgets their owners have now.
    pub(super) async fn rewrite_keys_of(&self, user: &EntityId) -> Result<(), Error> {
        let prefix = format!("key:{user}:");
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let (pointers, next) =
                self.store.query(&self.entities(), &prefix, cursor.as_deref(), PAGE_MAX).await?;
            let ids = pointers.iter().filter_map(|item| key_of(&read_text(item, "sk")?));
            self.rewrite(user, ids.map(|(_, id)| id).collect()).await?;
            cursor = next;
            if cursor.is_none() {
                return Ok(());
            }
        }
        Err(Error::internal(format!("{user} has more keys than one walk takes")))
    }

    /// Rewrites what these keys of a user know, where it is not what the owners' items say.
    ///
    /// A key is read before its owners and written only where its version is still the one
    /// read. So of two rewrites at once the later one has seen both changes, or tries again.
    pub(super) async fn rewrite(
        &self,
        user: &EntityId,
        mut ids: Vec<EntityId>,
    ) -> Result<(), Error> {
        for _ in 0..ROUNDS_MAX {
            if ids.is_empty() {
                return Ok(());
            }
            let ids_now = core::mem::take(&mut ids);
            let items = self.key_items(ids_now.clone()).await?;
            let Some(access) = self.access(user).await? else { return Ok(()) };
            let pointers = self.pointers(user, &ids_now).await?;
            for item in &items {
                let Some(row) = KeyRow::read(item) else { continue };
                let version: i64 = read_number(item, "cv").unwrap_or_default();
                let scopes = access.scopes(&row.id, pointers.get(&row.id));
                let content = access.content(pointers.get(&row.id));
                let rates = access.rates(&row.id, pointers.get(&row.id));
                let knows = item.get("providers") == Some(&access.providers())
                    && item.get("scopes") == Some(&scopes)
                    && item.get("content").unwrap_or(&number(0)) == &content
                    && item.get("rates").unwrap_or(&text("[]")) == &rates
                    && row.org == access.org
                    && row.team == access.team
                    && version >= access.version;
                if knows {
                    continue;
                }
                let mut change = Changed::new(
                    &pk(&row.id),
                    KEY_SK,
                    &access.expression(),
                    "attribute_exists(pk) AND (attribute_not_exists(cv) OR cv = :cv)",
                )
                .value(":providers", access.providers())
                .value(":scopes", scopes)
                .value(":content", content)
                .value(":rates", rates)
                .value(":next", number(access.version.max(version.saturating_add(1))))
                .value(":cv", number(version));
                for (place, owner) in [(":org", &access.org), (":team", &access.team)] {
                    if let Some(owner) = owner {
                        change = change.value(place, text(owner.as_str()));
                    }
                }
                if self.store.change(change).await?.is_none() {
                    ids.push(row.id);
                }
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        let limit = format!("other changes of the keys of {user} are under way");
        Err(Error::RateLimited { limit, retry_after_s: 5, left: Vec::new() })
    }

    /// What the keys of a user must know; `None` where there is no such user.
    pub(super) async fn access(&self, user: &EntityId) -> Result<Option<Access>, Error> {
        let pk = self.entities();
        let Some(item) = self.store.get(&pk, &format!("user:{user}")).await? else {
            return Ok(None);
        };
        let org: Option<EntityId> = read_text(&item, "org").and_then(|org| org.parse().ok());
        let org = match org {
            Some(org) => {
                let item = self.store.get(&pk, &format!("org:{org}")).await?;
                Some((org, item.unwrap_or_default()))
            }
            None => None,
        };
        let team = match read_text(&item, "team") {
            Some(team) => self.store.get(&pk, &format!("team:{team}")).await?.unwrap_or_default(),
            None => Attributes::new(),
        };
        Ok(Some(Access::of(user, &item, org, &team)))
    }

    /// The entities of a user's keys, by key.
    async fn pointers(
        &self,
        user: &EntityId,
        ids: &[EntityId],
    ) -> Result<BTreeMap<EntityId, Attributes>, Error> {
        let pk = self.entities();
        let keys = ids.iter().map(|id| (pk.clone(), pointer_sk(user, id))).collect();
        let items = self.store.batch(&self.aws().config().main_table, keys).await?;
        let by_key = items.into_iter().filter_map(|item| {
            let (_, id) = key_of(&read_text(&item, "sk")?)?;
            Some((id, item))
        });
        Ok(by_key.collect())
    }

    async fn key_items(&self, ids: Vec<EntityId>) -> Result<Vec<Attributes>, Error> {
        let keys = ids.iter().map(|id| (pk(id), KEY_SK.to_owned())).collect();
        self.store.batch(&self.aws().config().main_table, keys).await
    }

    fn key_item(
        &self,
        id: &EntityId,
        new: &NewKey,
        access: &Access,
        first: AttributeValue,
        now: Timestamp,
    ) -> Attributes {
        let mut item = super::store::key(&pk(id), KEY_SK);
        let mut set = |name: &str, value: AttributeValue| item.insert(name.to_owned(), value);
        set("macs", first);
        set("tenant", text(self.tenant()));
        set("user", text(new.user.as_str()));
        set("scopes", access.scopes(id, None));
        set("providers", access.providers());
        set("content", access.content(None));
        set("rates", access.rates(id, None));
        set("cv", number(access.version));
        set("st", text("A"));
        set("created_at", number(now.seconds()));
        set(VERSION, number(version::next(now)));
        for (name, owner) in [("org", &access.org), ("team", &access.team)] {
            if let Some(owner) = owner {
                set(name, text(owner.as_str()));
            }
        }
        let settings = new.settings.attributes();
        item.extend(settings.into_iter().filter_map(|(name, value)| Some((name.into(), value?))));
        item
    }
}

pub(super) fn pk(id: &EntityId) -> String {
    format!("K#{id}")
}

fn pointer_sk(user: &EntityId, id: &EntityId) -> String {
    format!("key:{user}:{id}")
}

/// The user and the key that a pointer's sort key names.
pub(super) fn key_of(sk: &str) -> Option<(EntityId, EntityId)> {
    let (user, id) = sk.strip_prefix("key:")?.split_once(':')?;
    Some((user.parse().ok()?, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(version: i64, providers: &[(&str, &str)]) -> Attributes {
        let rows = providers.iter().map(|(provider, state)| {
            ((*provider).to_owned(), map([("st".to_owned(), text(state))]))
        });
        Attributes::from([("cv".to_owned(), number(version)), ("providers".to_owned(), map(rows))])
    }

    #[test]
    fn the_nearest_owner_of_a_credential_wins() {
        let user = "u1".parse().unwrap();
        let org = entity(9, &[("openai", "A"), ("anthropic", "A"), ("gemini", "D")]);
        let own = entity(5, &[("openai", "A"), ("anthropic", "D")]);

        let access =
            Access::of(&user, &own, Some(("o1".parse().unwrap(), org)), &Attributes::new());

        let expected = [("anthropic", "org:o1"), ("openai", "user:u1")];
        let expected = expected.map(|(provider, owner)| (provider.to_owned(), owner.to_owned()));
        assert_eq!(access.providers, BTreeMap::from(expected));
        assert_eq!(access.version, 9);
    }

    #[test]
    fn a_user_without_an_organisation_has_only_its_own() {
        let user = "u1".parse().unwrap();

        let access = Access::of(&user, &entity(5, &[("openai", "A")]), None, &Attributes::new());

        assert_eq!(access.providers.get("openai").map(String::as_str), Some("user:u1"));
        assert_eq!((access.org, access.version), (None, 5));
    }

    #[test]
    fn a_pointer_names_user_and_key() {
        let (user, id) = key_of("key:u_1:k3f9a").unwrap();

        assert_eq!((user.as_str(), id.as_str()), ("u_1", "k3f9a"));
        assert!(key_of("user:u_1").is_none() && key_of("key:u_1").is_none());
    }
}
