//! Alerts, each put once.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farebox_core::Scope;
use farebox_ledger::Owner;
use farebox_ledger::alert::{Alert, Notice, alert_id};

use crate::clients::Aws;
use crate::error::Error;
use crate::store::Store;

/// Alerts known to be recorded, 16 bytes each. Forgotten together when full: a repeated put fails
/// harmlessly, but the scan makes one for each level that a budget has passed.
const KNOWN_MAX: usize = 200_000;

/// Puts alerts, and remembers which there are.
pub struct Alerts {
    aws: Aws,
    known: Mutex<HashSet<u128>>,
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
            let owner = Owner::new(&self.aws.config().tenant, scope.clone());
            // Two alerts of one digest would be one alert less, once in 2^100 deployments.
            let known = u128::from_str_radix(&alert_id(&alert.name.key(&owner)), 16).ok();
            if known.is_some_and(|known| self.known().contains(&known)) {
                continue;
            }
            Store::patient(&self.aws).record_all(&alert.recorded(&owner, self.aws.now())).await?;
            let mut all = self.known();
            if all.len() >= KNOWN_MAX {
                all.clear();
            }
            all.extend(known);
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

    fn known(&self) -> MutexGuard<'_, HashSet<u128>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
