//! Budgets: made with their owner, changed from a version that was seen, listed with what is
//! spent.

use farebox_core::{EntityId, Error, Scope, ScopeKind, Timestamp};
use farebox_ledger::{Budget, Owner, Settings, Temporary, Transaction, alert, update};

use super::keys::key_of;
use super::owners::ROUNDS_MAX;
use super::scopes::named;
use super::store::read_text;
use super::{Control, Expected, Listed, PAGE_MAX};
use crate::expression::{Failure, Store as LedgerStore, item};

/// What a change of a budget came to.
#[derive(Clone, Debug)]
pub enum Change {
    /// It is in force; this is the budget now.
    Applied(Budget),
    /// Somebody else changed it before; this is the budget now.
    Stale(Budget),
    /// There is no such budget.
    Absent,
}

/// A budget in a list.
#[derive(Clone, Debug)]
pub struct BudgetRow {
    /// Whose.
    pub scope: Scope,
    /// A key's user.
    pub user: Option<EntityId>,
    /// The budget.
    pub budget: Budget,
}

impl Control {
    /// A budget; that of version 0 where its owner has none yet, `None` without such an owner.
    ///
    /// # Errors
    /// Where a table cannot be read.
    pub async fn budget(&self, scope: &Scope) -> Result<Option<Budget>, Error> {
        if scope.share.is_some() {
            return Ok(None);
        }
        match self.stored_budget(scope).await? {
            Some(budget) => Ok(Some(budget)),
            None => Ok(self.entity_of(scope).await?.map(|_| Budget::unmade())),
        }
    }

    async fn stored_budget(&self, scope: &Scope) -> Result<Option<Budget>, Error> {
        let found = self.ledger.find_budgets(core::slice::from_ref(scope)).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// Changes limits, mode, time zone and thresholds (money.md 3.6), and records the alerts
    /// whose thresholds are reached under the new limits. The first budget of an organisation, a
    /// team or a model is made, and told to the keys whose calls it holds: it binds 30 s after
    /// this returns.
    ///
    /// With `until`, what was before comes back then; of one such change after another, what was
    /// before the first. With `shares` it is divided into so many from then on (4.3); those that
    /// there are follow the change, as far as they can at once.
    ///
    /// # Errors
    /// Where the ledger cannot be reached. Read the budget again then: the change is in force
    /// or it is not. Repeat a first one: it ends what it began.
    pub async fn put_budget(
        &self,
        scope: &Scope,
        settings: &Settings,
        expected: Expected,
        until: Option<Timestamp>,
        shares: Option<u8>,
    ) -> Result<Change, Error> {
        let Some(entity) = self.entity_of(scope).await? else { return Ok(Change::Absent) };
        let mut change = self.write_budget(scope, settings, expected, until).await?;
        if let Change::Applied(budget) = &change
            && (budget.terms.shares.made > 0 || shares.is_some_and(|count| count > 0))
        {
            if let Some(count) = shares {
                self.ledger.switch(scope, count).await?;
            }
            self.ledger.tend(scope, self.aws().now()).await?;
            let now = self.stored_budget(scope).await?;
            change = now.map_or(Change::Absent, Change::Applied);
        }
        // Users and keys are held in their own budgets from the start.
        let is_told =
            scope.model.is_some() || matches!(scope.kind, ScopeKind::Org | ScopeKind::Team);
        if is_told && matches!(change, Change::Applied(_)) {
            self.bind(scope, &entity).await?;
        }
        Ok(change)
    }

    /// Whether a change of a divided budget has not reached all its shares yet; `None` where it
    /// has none.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub async fn is_pending(&self, scope: &Scope, budget: &Budget) -> Result<Option<bool>, Error> {
        if budget.terms.shares.made == 0 {
            return Ok(None);
        }
        let divided = self.ledger.divided(scope).await?;
        Ok(divided.map(|divided| divided.is_pending(self.aws().now())))
    }

    /// The change of a budget that is still in force and has an end date.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub async fn temporary(
        &self,
        scope: &Scope,
        budget: &Budget,
    ) -> Result<Option<Temporary>, Error> {
        let key = Owner::new(self.tenant(), scope.clone()).temporary();
        let Some(found) = self.store.get(&key.pk, &key.sk).await? else { return Ok(None) };
        let temporary = Temporary::parse(&item(found));
        let malformed = |error| crate::Error::malformed(format!("{} of {scope}", key.pk), error);
        let temporary = temporary.map_err(malformed)?;
        Ok(Some(temporary).filter(|temporary| temporary.is_in_force(&budget.terms)))
    }

    /// The writes that change a budget as it is now.
    async fn change_of(
        &self,
        owner: &Owner,
        current: &Budget,
        settings: &Settings,
        until: Option<Timestamp>,
    ) -> Result<Transaction, Error> {
        let epoch = current.terms.epoch;
        let Some(until) = until else {
            return Ok(Transaction { actions: vec![update::limit_change(owner, settings, epoch)] });
        };
        let before = self.temporary(&owner.scope, current).await?;
        let before = before.map_or_else(|| current.terms.settings.clone(), |last| last.settings);
        let version = current.terms.version.saturating_add(1);
        let temporary = Temporary { until, version, settings: before };
        Ok(temporary.begin(owner, settings, epoch))
    }

    async fn write_budget(
        &self,
        scope: &Scope,
        settings: &Settings,
        expected: Expected,
        until: Option<Timestamp>,
    ) -> Result<Change, Error> {
        let owner = Owner::new(self.tenant(), scope.clone());
        let store = self.store.ledger().await?;
        let mut cause = String::new();
        for _ in 0..ROUNDS_MAX {
            let stored = self.stored_budget(scope).await?;
            let is_new = stored.is_none();
            let current = stored.unwrap_or_else(Budget::unmade);
            let epoch = current.terms.epoch;
            if !expected.admits(epoch) {
                return Ok(Change::Stale(current));
            }
            if is_new && until.is_some() {
                let rule = "set the budget without an end first: nothing could come back";
                return Err(Error::malformed("until", rule));
            }
            if is_new {
                // Where another was first, this is a change of what it made.
                let create = Budget::create(&owner, settings, self.aws().now());
                if !store.record(&create).await? {
                    continue;
                }
                let Some(made) = self.stored_budget(scope).await? else { continue };
                return Ok(Change::Applied(made));
            }
            let change = self.change_of(&owner, &current, settings, until).await?;
            let written = store.transact(&change).await;
            match written.failure {
                None => {}
                Some(Failure::ConditionFailed | Failure::Cancelled) => continue,
                Some(Failure::Ambiguous(_)) if self.is_in_force(scope, settings, epoch).await? => {}
                Some(failure @ Failure::Rejected(_)) => {
                    return Err(failure.error("UpdateItem").into());
                }
                // Definitely not applied, or not found applied: the epoch makes a repeat safe.
                Some(failure) => {
                    cause = failure.error("UpdateItem").to_string();
                    continue;
                }
            }
            let Some(now) = self.stored_budget(scope).await? else { return Ok(Change::Absent) };
            self.record_alerts(&owner, &now, &store).await;
            return Ok(Change::Applied(now));
        }
        if cause.is_empty() {
            "the budget changed with every try".clone_into(&mut cause);
        }
        Err(Error::LedgerUnavailable { cause })
    }

    /// A page of all budgets: those of users, of keys, of organisations, of teams; those of an
    /// owner's models beside it, beyond `limit`.
    ///
    /// # Errors
    /// Where a table cannot be reached or the cursor is not one of this list.
    pub async fn budgets(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<BudgetRow>, Error> {
        let (prefix, after) = match cursor {
            None => (FIRST, None),
            Some(cursor) => {
                let list = LISTS.into_iter().find(|list| cursor.starts_with(list));
                let list = list.ok_or(crate::Error::Cursor)?;
                (list, Some(cursor).filter(|cursor| *cursor != list))
            }
        };
        let limit = limit.min(PAGE_MAX);
        let (items, next) = self.store.query(&self.entities(), prefix, after, limit).await?;
        let owners = items.iter().filter_map(|item| {
            let (own, user) = scope_of(&read_text(item, "sk")?)?;
            let mut scopes = named(item);
            scopes.retain(|scope| *scope != own);
            scopes.insert(0, own);
            Some(scopes.into_iter().map(move |scope| (scope, user.clone())))
        });
        let (scopes, users): (Vec<_>, Vec<_>) = owners.flatten().unzip();
        let found = self.ledger.find_budgets(&scopes).await?;
        let rows = scopes.into_iter().zip(users).zip(found);
        let rows = rows
            .filter_map(|((scope, user), budget)| Some(BudgetRow { scope, user, budget: budget? }));
        let rows = rows.collect();
        let later = LISTS.into_iter().skip_while(|list| *list != prefix).nth(1);
        let next = next.or_else(|| later.map(str::to_owned));
        Ok(Listed { rows, next })
    }

    /// The writes that change an existing budget until an end, based on what was seen of it.
    pub(super) async fn raise(
        &self,
        scope: &Scope,
        current: &Budget,
        settings: &Settings,
        until: Timestamp,
    ) -> Result<Transaction, Error> {
        let owner = Owner::new(self.tenant(), scope.clone());
        self.change_of(&owner, current, settings, Some(until)).await
    }

    /// What follows a raise: its shares take it over, and alerts that it calls for are recorded.
    pub(super) async fn after_raise(&self, scope: &Scope) -> Result<(), Error> {
        let Some(budget) = self.stored_budget(scope).await? else { return Ok(()) };
        let owner = Owner::new(self.tenant(), scope.clone());
        self.record_alerts(&owner, &budget, &self.store.ledger().await?).await;
        if budget.terms.shares.made > 0 {
            self.ledger.tend(scope, self.aws().now()).await?;
        }
        Ok(())
    }

    /// Makes the budget that every user and key has: it observes, without limits. One that is
    /// there already stays as it is.
    pub(super) async fn make_budget(&self, scope: Scope) -> Result<(), Error> {
        let owner = Owner::new(self.tenant(), scope);
        let create = Budget::create(&owner, &Settings::observing(), self.aws().now());
        self.store.ledger().await?.record(&create).await?;
        Ok(())
    }

    /// Whether a change whose answer was lost has landed (money.md 3.6).
    async fn is_in_force(
        &self,
        scope: &Scope,
        settings: &Settings,
        epoch: u64,
    ) -> Result<bool, Error> {
        let Some(budget) = self.stored_budget(scope).await? else { return Ok(false) };
        let terms = budget.terms;
        Ok(Some(terms.epoch) == epoch.checked_add(1) && terms.settings == *settings)
    }

    /// Best effort: the logger records the same alerts with the next call.
    async fn record_alerts(&self, owner: &Owner, budget: &Budget, store: &LedgerStore) {
        let now = self.aws().now();
        let day = budget.terms.settings.zone.day(now);
        for reached in alert::reached(budget, day) {
            if let Err(error) = store.record_all(&reached.recorded(owner, now)).await {
                tracing::warn!(cause = %error, "an alert was not recorded");
            }
        }
    }
}

const FIRST: &str = "user:";
/// The lists of entities that own budgets, in the order of their pages.
const LISTS: [&str; 4] = [FIRST, "key:", "org:", "team:"];

/// The scope that an entity's sort key names, and the user of a key.
fn scope_of(sk: &str) -> Option<(Scope, Option<EntityId>)> {
    if let Some((user, id)) = key_of(sk) {
        return Some((Scope::new(ScopeKind::Key, id), Some(user)));
    }
    let scope: Scope = sk.parse().ok()?;
    Some((scope, None)).filter(|(scope, _)| scope.model.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_owner_of_a_budget_is_read_from_its_entity() {
        let (key, user) = scope_of("key:u1:k1").unwrap();

        assert_eq!((key.to_string().as_str(), user.unwrap().as_str()), ("key:k1", "u1"));
        for sk in ["user:u1", "org:o1", "team:t1"] {
            assert_eq!(scope_of(sk).unwrap().0.to_string(), sk);
        }
        assert!(scope_of("webhook").is_none());
    }
}
