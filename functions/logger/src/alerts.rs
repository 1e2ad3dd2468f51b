//! Thresholds that budgets have reached.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farebox_aws::Aws;
use farebox_aws::expression::Store;
use farebox_core::{CallRecord, Day, Money, Scope};
use farebox_ledger::alert::{Alert, AlertName, reached, refused};
use farebox_ledger::{Budget, Owner};

use crate::{Budgets, Failure};

/// Alerts known to be recorded. Forgotten together when full: a repeated put fails harmlessly.
const KNOWN_MAX: usize = 10_000;

/// Puts alerts, each once.
pub(crate) struct Alerts {
    aws: Aws,
    known: Mutex<HashSet<(Scope, AlertName)>>,
}

impl Alerts {
    pub(crate) fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone(), known: Mutex::new(HashSet::new()) }
    }

    /// Puts the alerts that the budgets of a record call for.
    pub(crate) async fn put(&self, record: &CallRecord, budgets: &Budgets) -> Result<(), Failure> {
        for scope in crate::scopes(record) {
            let Some(budget) = budgets.get(&scope).and_then(Option::as_ref) else { continue };
            for alert in due(record, &scope, budget) {
                let known = (scope.clone(), alert.name);
                if self.known().contains(&known) {
                    continue;
                }
                let owner = Owner::new(&self.aws.config().tenant, scope.clone());
                let put = alert.put(&owner, self.aws.now());
                Store::patient(&self.aws).record(&put).await?;
                let mut all = self.known();
                if all.len() >= KNOWN_MAX {
                    all.clear();
                }
                all.insert(known);
            }
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashSet<(Scope, AlertName)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By level, not by crossing: so it does not matter which record sees it first.
fn due(record: &CallRecord, scope: &Scope, budget: &Budget) -> Vec<Alert> {
    let part = record.parts.iter().find(|part| part.scope == *scope);
    let day = part.and_then(|part| Day::from_number(part.day).ok());
    let day = day.unwrap_or_else(|| budget.terms.settings.zone.day(record.started_at));
    let mut alerts = reached(budget, day);
    if record.error_code.as_deref() == Some("budget_exceeded") {
        let needed = record.hold.unwrap_or(Money::ONE_PICO);
        alerts.extend(refused(budget, day, needed));
    }
    alerts
}

#[cfg(test)]
mod tests {
    use farebox_ledger::Attr;

    use super::*;
    use crate::repair::tests::{budget, record};

    fn names(record: &CallRecord) -> Vec<String> {
        let spent = budget(&[
            ("th", Attr::S("50,80".to_owned())),
            ("lm", Attr::N(10)),
            ("mc_202611", Attr::N(8)),
            ("ms_202611", Attr::N(8)),
        ]);
        let due = due(record, &"user:u1".parse().unwrap(), &spent);
        due.iter().map(|alert| alert.name.to_string()).collect()
    }

    #[test]
    fn every_threshold_below_the_level_is_due() {
        assert_eq!(names(&record()), ["M#202611#50#3", "M#202611#80#3"]);
    }

    #[test]
    fn a_refusal_for_want_of_money_is_due_too() {
        let mut refused = record();
        refused.error_code = Some("budget_exceeded".to_owned());
        refused.hold = Some(Money::from_pico(3).unwrap());

        assert_eq!(names(&refused).last().map(String::as_str), Some("M#202611#R#3"));
    }
}
