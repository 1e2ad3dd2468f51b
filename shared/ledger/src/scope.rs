//! Where the items of one budget are.

use farebox_core::{Month, Rid, Scope};

use crate::Error;
use crate::item::{Key, Table, malformed};

/// A scope in its deployment: the owner of one budget item and of what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The deployment.
    pub tenant: String,
    /// Whose money.
    pub scope: Scope,
}

impl Owner {
    /// The owner of a scope's budget.
    #[must_use]
    pub fn new(tenant: &str, scope: Scope) -> Self {
        Self { tenant: tenant.to_owned(), scope }
    }

    /// The owner that a partition key of a budget, an archive or an alert names.
    ///
    /// # Errors
    /// [`Error::Malformed`] for every other key.
    pub fn from_pk(pk: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = pk.split('#').collect();
        let ["A" | "AL" | "B" | "LC", tenant, scope] = parts.as_slice() else {
            return Err(malformed("pk"));
        };
        Ok(Self::new(tenant, scope.parse().map_err(|_| malformed("pk"))?))
    }

    /// The budget item.
    #[must_use]
    pub fn budget(&self) -> Key {
        Key { table: Table::Ledger, pk: self.pk("B"), sk: "0".to_owned() }
    }

    /// The archive of a closed month.
    #[must_use]
    pub fn archive(&self, month: Month) -> Key {
        Key { table: Table::Main, pk: self.pk("A"), sk: format!("M#{month}") }
    }

    /// The partition of its archives.
    #[must_use]
    pub fn archives(&self) -> String {
        self.pk("A")
    }

    /// The tombstone or receipt of one call.
    #[must_use]
    pub fn tombstone(&self, rid: Rid) -> Key {
        let budget = self.budget();
        let sk = format!("{}#{}", budget.pk, budget.sk);
        Key { table: Table::Main, pk: format!("T#{rid}"), sk }
    }

    /// The partition (of the table `main`) of this owner's alerts.
    #[must_use]
    pub fn alerts(&self) -> String {
        self.pk("AL")
    }

    /// The change of limits that has an end date, while there is one.
    #[must_use]
    pub fn temporary(&self) -> Key {
        Key { table: Table::Main, pk: self.pk("LC"), sk: "0".to_owned() }
    }

    fn pk(&self, kind: &str) -> String {
        format!("{kind}#{}#{}", self.tenant, self.scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_design() {
        let owner = Owner::new("acme", "user:u_7Q".parse().unwrap());
        let rid: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();

        assert_eq!(owner.budget().pk, "B#acme#user:u_7Q");
        assert_eq!(owner.archive(Month::from_number(202_610).unwrap()).sk, "M#202610");
        assert_eq!(owner.tombstone(rid).pk, "T#01KAQ4ZV0M7W1C9Y3T5B8D2E6F");
        assert_eq!(owner.tombstone(rid).sk, "B#acme#user:u_7Q#0");
        assert_eq!(owner.alerts(), "AL#acme#user:u_7Q");
    }

    #[test]
    fn an_owner_is_read_back_from_its_keys() {
        let owner = Owner::new("acme", "key:k1".parse().unwrap());

        for pk in [owner.budget().pk, owner.alerts(), owner.temporary().pk] {
            assert_eq!(Owner::from_pk(&pk), Ok(owner.clone()));
        }
        for pk in ["", "B#acme", "B#acme#user", "T#acme#user:u1", "B#acme#user:u1#x"] {
            assert!(Owner::from_pk(pk).is_err(), "{pk}");
        }
    }
}
