//! Which budgets the calls of a key are held in.
//!
//! Users and keys own a budget from the start. Organisations, teams, and models within any owner
//! get theirs later: then the owner's entity names it (`budgets`), and the keys concerned are told
//! (`scopes` of the key item). The entity is marked before the keys are looked for, and a new key
//! looks at its owners after it can be found: so of a first budget and a new key at once, one
//! sees the other.

use aws_sdk_dynamodb::types::AttributeValue;
use farebox_core::{EntityId, Error, RateLimits, Scope, ScopeKind};

use super::keys::{CONTENT, key_of};
use super::store::{Attributes, Changed, number, read_number, read_text, text};
use super::{Control, Expected, Listed, version};

/// Budgets for single models that one owner may have: a key's item names them all.
const MODELS_MAX: usize = 50;
/// On an entity: the version of its content days.
const CONTENT_VERSION: &str = "content_v";
/// On an entity: its rate limits, as JSON.
const RATES: &str = "rate_limits";
/// On an entity: their version.
const RATES_VERSION: &str = "rate_limits_v";

/// The entities of users and of keys.
const USERS: &str = "user:";
const KEYS: &str = "key:";

impl Control {
    /// The entity (its sort key) that owns a scope's budget; `None` where there is no such owner.
    pub(super) async fn entity_of(&self, scope: &Scope) -> Result<Option<String>, Error> {
        // A share is the ledger's, nobody's to set.
        if scope.share.is_some() {
            return Ok(None);
        }
        let sk = match scope.kind {
            ScopeKind::Org | ScopeKind::Team | ScopeKind::User => {
                format!("{}:{}", scope.kind.name(), scope.id)
            }
            ScopeKind::Key => match self.user_of(&scope.id).await? {
                Some(user) => format!("key:{user}:{}", scope.id),
                None => return Ok(None),
            },
        };
        Ok(self.store.get(&self.entities(), &sk).await?.map(|_| sk))
    }

    /// Makes a budget bind: names it in its owner's entity, then tells the keys. It can be
    /// repeated, and goes on where an earlier try stopped: a key that knows is left alone.
    ///
    /// # Errors
    /// Where a table cannot be reached, or the owner has too many budgets of models.
    pub(super) async fn bind(&self, scope: &Scope, sk: &str) -> Result<(), Error> {
        let pk = self.entities();
        let item = self.store.get(&pk, sk).await?.unwrap_or_default();
        let name = scope.to_string();
        let is_named = texts_in(&item, "budgets").contains(&name);
        if is_named && !texts_in(&item, "binding").contains(&name) {
            return Ok(());
        }
        if !is_named
            && named(&item).iter().filter(|scope| scope.model.is_some()).count() >= MODELS_MAX
        {
            let rule = format!("an owner has budgets for at most {MODELS_MAX} models");
            return Err(Error::malformed("scope", rule));
        }
        let set = || AttributeValue::Ss(vec![name.clone()]);
        let exists = "attribute_exists(pk)";
        let mark = Changed::new(&pk, sk, "ADD budgets :s, binding :s", exists);
        self.store.change(mark.value(":s", set())).await?;
        self.tell_keys(scope, sk).await?;
        let done = Changed::new(&pk, sk, "DELETE binding :s", exists);
        self.store.change(done.value(":s", set())).await?;
        Ok(())
    }

    /// Days that the content of a user's or a key's calls is kept, as its own entity says, and
    /// the version of that setting, 0 where nobody has made it; `None` where there is no such
    /// owner.
    ///
    /// # Errors
    /// Where a table cannot be reached.
    pub async fn content_days(&self, scope: &Scope) -> Result<Option<(Option<u32>, u64)>, Error> {
        let Some(sk) = self.entity_of(scope).await? else { return Ok(None) };
        let item = self.store.get(&self.entities(), &sk).await?.unwrap_or_default();
        let version = read_number(&item, CONTENT_VERSION).unwrap_or_default();
        Ok(Some((read_number(&item, CONTENT), version)))
    }

    /// A page of the users, then the keys, whose content days somebody has set.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn all_content_days(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<(Scope, u32, u64)>, Error> {
        let read = |item: &Attributes| {
            let version = read_number(item, CONTENT_VERSION).unwrap_or_default();
            Some((read_number(item, CONTENT)?, version))
        };
        let page = self.set_of(limit, cursor, read).await?;
        let rows = page.rows.into_iter().map(|(scope, (days, version))| (scope, days, version));
        Ok(Listed { rows: rows.collect(), next: page.next })
    }

    /// A page of the users, then the keys, of which `read` finds something in their entity.
    async fn set_of<T>(
        &self,
        limit: u32,
        cursor: Option<&str>,
        read: impl Fn(&Attributes) -> Option<T>,
    ) -> Result<Listed<(Scope, T)>, Error> {
        let read = |item: &Attributes| Some((owner_of(&read_text(item, "sk")?)?, read(item)?));
        let is_late = cursor.is_some_and(|cursor| cursor.starts_with(KEYS));
        let pk = self.entities();
        let mut rows = Vec::new();
        if !is_late {
            let page = self.store.search((&pk, USERS), (limit, cursor), true, read).await?;
            rows = page.rows;
            let left = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(limit));
            let next = page.next.or_else(|| (left == 0).then(|| KEYS.to_owned()));
            if next.is_some() {
                return Ok(Listed { rows, next });
            }
        }
        let left = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(limit));
        let after = cursor.filter(|cursor| is_late && *cursor != KEYS);
        let page = self.store.search((&pk, KEYS), (left, after), true, read).await?;
        rows.extend(page.rows);
        Ok(Listed { rows, next: page.next })
    }

    /// Sets them, and tells the keys; 0 switches it off. It binds 30 s after it has answered.
    /// Gives the new version; `None` where there is no such owner, or another change was first.
    ///
    /// # Errors
    /// Where a table cannot be reached; it can be repeated.
    pub async fn put_content_days(
        &self,
        scope: &Scope,
        days: u32,
        expected: Expected,
    ) -> Result<Option<u64>, Error> {
        let Some(sk) = self.entity_of(scope).await? else { return Ok(None) };
        let version = version::next(self.aws().now());
        let set = format!("SET {CONTENT} = :days, {CONTENT_VERSION} = :next");
        let change = Changed::new(&self.entities(), &sk, &set, "");
        let change = expected.guard(change, CONTENT_VERSION, true);
        let change = change.value(":days", number(days)).value(":next", number(version));
        if self.store.change(change).await?.is_none() {
            return Ok(None);
        }
        self.tell_keys(scope, &sk).await?;
        Ok(Some(version))
    }

    /// The rate limits of a user or a key with their version, 0 where nobody has set them; `None`
    /// where there is no such owner.
    ///
    /// # Errors
    /// Where a table cannot be reached.
    pub async fn rate_limits(&self, scope: &Scope) -> Result<Option<(RateLimits, u64)>, Error> {
        let Some(sk) = self.entity_of(scope).await? else { return Ok(None) };
        let item = self.store.get(&self.entities(), &sk).await?.unwrap_or_default();
        let version = read_number(&item, RATES_VERSION).unwrap_or_default();
        Ok(Some((rates_of(&item), version)))
    }

    /// A page of the users, then the keys, whose rate limits somebody has set.
    ///
    /// # Errors
    /// Where the table cannot be reached or the cursor is not one of this list.
    pub async fn all_rate_limits(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<(Scope, RateLimits, u64)>, Error> {
        let read = |item: &Attributes| {
            let limits = Some(rates_of(item)).filter(|limits| !limits.is_empty())?;
            Some((limits, read_number(item, RATES_VERSION).unwrap_or_default()))
        };
        let page = self.set_of(limit, cursor, read).await?;
        let rows = page.rows.into_iter().map(|(scope, (limits, version))| (scope, limits, version));
        Ok(Listed { rows: rows.collect(), next: page.next })
    }

    /// Sets them, and tells the keys: they bind 30 s after this has answered. Gives the new
    /// version; `None` where there is no such owner, or another change was first. The caller has
    /// checked them.
    ///
    /// # Errors
    /// Where a table cannot be reached; it can be repeated.
    pub async fn put_rate_limits(
        &self,
        scope: &Scope,
        limits: RateLimits,
        expected: Expected,
    ) -> Result<Option<u64>, Error> {
        let Some(sk) = self.entity_of(scope).await? else { return Ok(None) };
        let written = serde_json::to_string(&limits).map_err(Error::internal)?;
        let version = version::next(self.aws().now());
        let set = format!("SET {RATES} = :rates, {RATES_VERSION} = :next");
        let change = Changed::new(&self.entities(), &sk, &set, "");
        let change = expected.guard(change, RATES_VERSION, true);
        let change = change.value(":rates", text(&written)).value(":next", number(version));
        if self.store.change(change).await?.is_none() {
            return Ok(None);
        }
        self.tell_keys(scope, &sk).await?;
        Ok(Some(version))
    }

    /// Rewrites what the keys below an owner know.
    async fn tell_keys(&self, scope: &Scope, sk: &str) -> Result<(), Error> {
        match scope.kind {
            ScopeKind::Org | ScopeKind::Team => {
                for user in self.members_of(scope.kind, &scope.id).await? {
                    self.rewrite_keys_of(&user).await?;
                }
                Ok(())
            }
            ScopeKind::User => self.rewrite_keys_of(&scope.id).await,
            ScopeKind::Key => match key_of(sk) {
                Some((user, key)) => self.rewrite(&user, vec![key]).await,
                None => Ok(()),
            },
        }
    }

    async fn user_of(&self, key: &EntityId) -> Result<Option<EntityId>, Error> {
        let item = self.store.get(&format!("K#{key}"), "0").await?;
        Ok(item.and_then(|item| read_text(&item, "user")?.parse().ok()))
    }
}

/// Whose entity a sort key names, of users and keys.
fn owner_of(sk: &str) -> Option<Scope> {
    match key_of(sk) {
        Some((_, key)) => Some(Scope::new(ScopeKind::Key, key)),
        None => sk.parse().ok(),
    }
}

/// The rate limits in an entity's item. What cannot be read was not written by Farebox.
pub(super) fn rates_of(item: &Attributes) -> RateLimits {
    let rates = read_text(item, RATES).and_then(|rates| serde_json::from_str(&rates).ok());
    rates.unwrap_or_default()
}

/// Rate limits as a key's item tells them: those that limit something.
pub(super) fn rates_told(all: [(ScopeKind, &EntityId, RateLimits); 2]) -> AttributeValue {
    let told = all.into_iter().filter(|(_, _, limits)| !limits.is_empty());
    let told = told.map(|(kind, id, limits)| (Scope::new(kind, id.clone()), limits));
    text(&serde_json::to_string(&told.collect::<Vec<_>>()).unwrap_or_default())
}

/// The budgets that an entity names, in order.
pub(super) fn named(item: &Attributes) -> Vec<Scope> {
    let names = texts_in(item, "budgets");
    let mut scopes: Vec<Scope> = names.iter().filter_map(|name| name.parse().ok()).collect();
    scopes.sort();
    scopes
}

/// The scopes of a key, or of a user without one, from those that the owners' entities name: the
/// owners' own first, each from the widest to the key, then those of single models.
pub(super) fn scopes_of(user: &EntityId, key: Option<&EntityId>, named: Vec<Scope>) -> Vec<Scope> {
    let mut scopes = named;
    scopes.push(Scope::new(ScopeKind::User, user.clone()));
    scopes.extend(key.map(|key| Scope::new(ScopeKind::Key, key.clone())));
    scopes.sort_by(|a, b| (a.model.is_some(), a).cmp(&(b.model.is_some(), b)));
    scopes.dedup();
    scopes
}

fn texts_in(item: &Attributes, name: &str) -> Vec<String> {
    item.get(name).and_then(|value| value.as_ss().ok()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_held_in_its_owners_budgets_from_the_widest_on() {
        let (user, key) = ("u1".parse().unwrap(), "k1".parse().unwrap());
        let set = ["team:t1", "model:org:o1/openai/gpt-5", "org:o1"].map(str::to_owned);
        let item = Attributes::from([("budgets".to_owned(), AttributeValue::Ss(set.into()))]);

        let scopes = scopes_of(&user, Some(&key), named(&item));

        let texts: Vec<String> = scopes.iter().map(Scope::to_string).collect();
        assert_eq!(texts, ["org:o1", "team:t1", "user:u1", "key:k1", "model:org:o1/openai/gpt-5"]);
    }

    #[test]
    fn a_user_and_its_key_always_have_their_own() {
        let scopes = scopes_of(&"u1".parse().unwrap(), Some(&"k1".parse().unwrap()), Vec::new());

        assert_eq!(scopes.len(), 2);
        assert_eq!(scopes_of(&"u1".parse().unwrap(), None, Vec::new()).len(), 1);
    }
}
