//! Looking on until a budget has room.

use farebox_core::{Money, Scope};
use farebox_ledger::{Budget, Wait, Waiting};

use super::{Ledger, pause};
use crate::expression::{Store, item};

impl Ledger {
    /// Waits until `scope` seems to have room for an amount: the next reserve says for certain.
    /// `false` where the time is over first. Adds the capacity units that it used, in tenths.
    pub async fn wait(
        &self,
        wait: &mut Wait,
        scope: &Scope,
        amount: Money,
        capacity_tenths: &mut u32,
    ) -> bool {
        let (owner, store) = (self.owner(scope), Store::money(&self.aws));
        loop {
            match wait.step(&owner, self.aws.now(), self.aws.chance()) {
                Waiting::Pause { ms } => pause(ms).await,
                // What a divided budget has left is in its shares as well.
                Waiting::Look(_) if self.is_divided(scope) => {
                    let looked = self.divided_counted(scope, capacity_tenths).await;
                    if let Ok(Some(divided)) = looked {
                        wait.observe(Some(&divided.merged()), amount, self.aws.now());
                    }
                }
                Waiting::Look(key) => {
                    if let Ok((found, used)) = store.read(&key, false).await {
                        *capacity_tenths = capacity_tenths.saturating_add(used);
                        let budget = found.map(item);
                        let budget = budget.and_then(|found| Budget::parse(&found).ok());
                        wait.observe(budget.as_ref(), amount, self.aws.now());
                    }
                }
                Waiting::Reserve => return true,
                Waiting::GiveUp => return false,
            }
        }
    }
}
