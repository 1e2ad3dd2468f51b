//! Budgets: made with their owner, changed from a version that was seen, listed with what is
//! spent.

use farebox_core::{EntityId, Error, Scope, ScopeKind, Zone};
use farebox_ledger::{Budget, Limits, Mode, Owner, Settings, alert, update};

use super::keys::key_of;
use super::owners::ROUNDS_MAX;
use super::store::read_text;
use super::{Control, Listed, PAGE_MAX};
use crate::expression::{Failure, Store as LedgerStore};

/// The version that a change is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there.
    Any,
    /// This epoch only.
    Epoch(u64),
}

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

/// A user's or key's budget in a list.
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
    /// A budget; `None` where there is none.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub async fn budget(&self, scope: &Scope) -> Result<Option<Budget>, Error> {
        let found = self.ledger.find_budgets(core::slice::from_ref(scope)).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// Changes limits, mode, time zone and thresholds (money.md 3.6), and records the alerts
    /// whose thresholds are reached under the new limits.
    ///
    /// # Errors
    /// Where the ledger cannot be reached. Read the budget again then: the change is in force
    /// or it is not.
    pub async fn put_budget(
        &self,
        scope: &Scope,
        settings: &Settings,
        expected: Expected,
    ) -> Result<Change, Error> {
        let owner = Owner::new(self.tenant(), scope.clone());
        let store = LedgerStore::patient(self.aws());
        let mut cause = String::new();
        for _ in 0..ROUNDS_MAX {
            let Some(current) = self.budget(scope).await? else { return Ok(Change::Absent) };
            let epoch = current.terms.epoch;
            if matches!(expected, Expected::Epoch(expected) if expected != epoch) {
                return Ok(Change::Stale(current));
            }
            let written = store.write(&update::limit_change(&owner, settings, epoch)).await;
            match written.failure {
                None => {}
                Some(Failure::ConditionFailed) => continue,
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
            let Some(now) = self.budget(scope).await? else { return Ok(Change::Absent) };
            self.record_alerts(&owner, &now, &store).await;
            return Ok(Change::Applied(now));
        }
        if cause.is_empty() {
            "the budget changed with every try".clone_into(&mut cause);
        }
        Err(Error::LedgerUnavailable { cause })
    }

    /// A page of all budgets: users first, then keys.
    ///
    /// # Errors
    /// Where a table cannot be reached or the cursor is not one of this list.
    pub async fn budgets(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Listed<BudgetRow>, Error> {
        let (prefix, after) = match cursor {
            None => (USERS, None),
            Some(KEYS) => (KEYS, None),
            Some(cursor) if cursor.starts_with(USERS) => (USERS, Some(cursor)),
            Some(cursor) => (KEYS, Some(cursor)),
        };
        let limit = limit.min(PAGE_MAX);
        let (items, next) = self.store.query(&self.entities(), prefix, after, limit).await?;
        let owners = items.iter().filter_map(|item| scope_of(&read_text(item, "sk")?));
        let (scopes, users): (Vec<_>, Vec<_>) = owners.unzip();
        let found = self.ledger.find_budgets(&scopes).await?;
        let rows = scopes.into_iter().zip(users).zip(found);
        let rows = rows
            .filter_map(|((scope, user), budget)| Some(BudgetRow { scope, user, budget: budget? }));
        let rows = rows.collect();
        let next = match next {
            None if prefix == USERS => Some(KEYS.to_owned()),
            next => next,
        };
        Ok(Listed { rows, next })
    }

    /// Makes the budget that every user and key has: it observes, without limits. One that is
    /// there already stays as it is.
    pub(super) async fn make_budget(&self, scope: Scope) -> Result<(), Error> {
        let settings = Settings {
            mode: Mode::Observe,
            zone: Zone::utc(),
            limits: Limits::default(),
            thresholds: Vec::new(),
        };
        let owner = Owner::new(self.tenant(), scope);
        let create = Budget::create(&owner, &settings, self.aws().now());
        LedgerStore::patient(self.aws()).record(&create).await?;
        Ok(())
    }

    /// Whether a change whose answer was lost has landed (money.md 3.6).
    async fn is_in_force(
        &self,
        scope: &Scope,
        settings: &Settings,
        epoch: u64,
    ) -> Result<bool, Error> {
        let Some(budget) = self.budget(scope).await? else { return Ok(false) };
        let terms = budget.terms;
        Ok(Some(terms.epoch) == epoch.checked_add(1) && terms.settings == *settings)
    }

    /// Best effort: the logger records the same alerts with the next call.
    async fn record_alerts(&self, owner: &Owner, budget: &Budget, store: &LedgerStore) {
        let now = self.aws().now();
        let day = budget.terms.settings.zone.day(now);
        for reached in alert::reached(budget, day) {
            if let Err(error) = store.record(&reached.put(owner, now)).await {
                tracing::warn!(cause = %error, "an alert was not recorded");
            }
        }
    }
}

const USERS: &str = "user:";
const KEYS: &str = "key:";

/// The scope that an entity's sort key names, and the user of a key.
fn scope_of(sk: &str) -> Option<(Scope, Option<EntityId>)> {
    if let Some((user, id)) = key_of(sk) {
        return Some((Scope { kind: ScopeKind::Key, id }, Some(user)));
    }
    let id = sk.strip_prefix(USERS)?.parse().ok()?;
    Some((Scope { kind: ScopeKind::User, id }, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_keys_have_budgets_and_organisations_have_none() {
        let (key, user) = scope_of("key:u1:k1").unwrap();

        assert_eq!((key.to_string().as_str(), user.unwrap().as_str()), ("key:k1", "u1"));
        assert_eq!(scope_of("user:u1").unwrap().0.to_string(), "user:u1");
        assert!(scope_of("org:o1").is_none() && scope_of("webhook").is_none());
    }
}
