//! Alerts, each put once.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farebox_core::Scope;
use farebox_ledger::Owner;
use farebox_ledger::alert::{Alert, AlertName, Notice};

use crate::clients::Aws;
use crate::error::Error;
use crate::store::Store;

/// Alerts known to be recorded. Forgotten together when full: a repeated put fails harmlessly.
const KNOWN_MAX: usize = 10_000;

/// Puts alerts, and remembers which there are.
pub struct Alerts {
    aws: Aws,
    known: Mutex<HashSet<(Scope, AlertName)>>,
}

impl Alerts {
    /// Knows none yet.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone(), known: Mutex::new(HashSet::new()) }
    }

    /// Records alerts of a scope that are not recorded yet.
    ///
    /// # Errors
    /// Where the table cannot be reached; put them again.
    pub async fn put(&self, scope: &Scope, alerts: Vec<Alert>) -> Result<(), Error> {
        for alert in alerts {
            let known = (scope.clone(), alert.name);
            if self.known().contains(&known) {
                continue;
            }
            let owner = Owner::new(&self.aws.config().tenant, scope.clone());
            Store::patient(&self.aws).record(&alert.put(&owner, self.aws.now())).await?;
            let mut all = self.known();
            if all.len() >= KNOWN_MAX {
                all.clear();
            }
            all.insert(known);
        }
        Ok(())
    }

    /// Records what the operator is to be told.
    ///
    /// # Errors
    /// As [`Alerts::put`].
    pub async fn notify(&self, notice: &Notice) -> Result<(), Error> {
        let put = notice.put(&self.aws.config().tenant, self.aws.now());
        Store::patient(&self.aws).record(&put).await?;
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashSet<(Scope, AlertName)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
