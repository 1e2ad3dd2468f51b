//! The holds of processes that died between reserve and log.
//!
//! What they were for is known to nobody: the provider may bill them, so they stay charged in
//! full until a late record, or the owner, says better.

use farebox_aws::expression::{Store, item};
use farebox_aws::{Aws, Ledger, LogQueue};
use farebox_core::{
    CallRecord, Decision, EntityId, Outcome, Rid, Scope, ScopeKind, ScopePart, Timestamp,
};
use farebox_ledger::alert::{Fault, Notice, provisional_count, provisional_key};
use farebox_ledger::update::{outbox_delete, outbox_put};
use farebox_ledger::{Attr, Budget, Hold, Item, Key, Sweep, Swept, Table};

use crate::{Failure, Scheduler};

/// So long the row of a call that is about to be charged waits in the outbox for the run that
/// charges it. A run that has died has not told it by then.
const ANNOUNCED_MS: i64 = 120_000;

/// What the log says of such a call.
const CODE: &str = "outcome_unknown";
const MESSAGE: &str = "The process that made this call ended before it could write down what \
                       became of it. The provider may bill it, so its hold is charged.";

/// Sweeps every hold of a budget that is due; whether one was charged.
pub(crate) async fn holds(
    all: &Scheduler,
    ledger: &Ledger,
    scope: &Scope,
    budget: &Budget,
    now: Timestamp,
) -> Result<bool, Failure> {
    let due = budget.holds.iter().filter(|(rid, hold)| Sweep::is_due(**rid, hold, now));
    let due: Vec<_> = due.collect();
    // Before anything is charged: a charge that cannot be told now would never be.
    let teller = match due.is_empty() {
        true => return Ok(false),
        false => Teller::of(&all.aws, scope).await?,
    };
    let mut is_charged = false;
    for (rid, hold) in due {
        let row = teller.announce(&all.aws, *rid, *hold, now).await?;
        match ledger.sweep(scope, *rid, *hold).await {
            Swept::Charged(hold) => {
                is_charged = true;
                let amount = hold.amount;
                tracing::warn!(metric = "provisional", %rid, %scope, %amount, "swept");
                row.tell(&all.aws, hold).await;
                count(all, &scope.whole(), *rid, now).await?;
            }
            Swept::Already(hold) => row.tell(&all.aws, hold).await,
            Swept::Gone => row.forget(&all.aws).await,
            Swept::Ghost => {
                tracing::error!(metric = "ledger_bug", %rid, %scope, "reserved after its sweep");
                row.forget(&all.aws).await;
            }
            Swept::Left(cause) => {
                tracing::warn!(%rid, %scope, %cause, "left to the next scan");
                row.forget(&all.aws).await;
            }
        }
    }
    Ok(is_charged)
}

/// One process that dies is an accident; the operator is told of what looks like a fault.
async fn count(all: &Scheduler, scope: &Scope, rid: Rid, now: Timestamp) -> Result<(), Failure> {
    let key = provisional_key(&all.aws.config().tenant, scope, now);
    let written = Store::patient(&all.aws).write(&provisional_count(key, now)).await;
    // What cannot be counted is logged above, and charged.
    let Some(Attr::N(count)) = written.changed.get("n") else { return Ok(()) };
    let count = u32::try_from(*count).unwrap_or(u32::MAX);
    if count > Fault::PROVISIONAL_MAX {
        let notice = Notice {
            count: Some(count),
            request_id: Some(rid.to_string()),
            ..Notice::new(Fault::Provisional, scope.to_string(), now)
        };
        all.alerts.notify(&notice).await?;
    }
    Ok(())
}

/// Who tells of the swept calls of a budget.
enum Teller<'s> {
    /// Another budget: every call is held in its key's, so that one tells of it.
    Another,
    /// The budget of this key, of these owners; of none where the key is gone.
    Key(&'s Scope, Option<Owners>),
}

impl<'s> Teller<'s> {
    async fn of(aws: &Aws, scope: &'s Scope) -> Result<Self, Failure> {
        if scope.kind != ScopeKind::Key || scope.model.is_some() {
            return Ok(Self::Another);
        }
        Ok(Self::Key(scope, owners_of(aws, &scope.id).await?))
    }

    /// Puts a call's row into the outbox before the call is charged: a run that dies in between
    /// takes no row with it that nobody else could write.
    async fn announce(
        &self,
        aws: &Aws,
        rid: Rid,
        hold: Hold,
        now: Timestamp,
    ) -> Result<Row, Failure> {
        let Self::Key(scope, owners) = self else { return Ok(Row::default()) };
        let Some((user, org, team)) = owners.clone() else {
            tracing::error!(metric = "provisional_untold", %rid, %scope, "the key is gone");
            return Ok(Row::default());
        };
        let record = record(&aws.config().tenant, user, scope, rid, hold);
        let record = CallRecord { org, team, ..record };
        let event =
            serde_json::to_string(&record).map_err(|error| farebox_aws::Error::Malformed {
                thing: format!("the row of {rid}"),
                detail: error.to_string(),
            })?;
        let put = outbox_put(rid, &event, now.plus_ms(ANNOUNCED_MS));
        // What stands there already is another run's, or the call's own record.
        let is_ours = Store::patient(aws).record(&put).await?;
        Ok(Row { record: Some(record), is_ours })
    }
}

/// The row of a call that is swept.
#[derive(Default)]
struct Row {
    /// None where another budget tells of the call, or nobody can.
    record: Option<CallRecord>,
    /// This run has put it into the outbox, and takes it out again.
    is_ours: bool,
}

impl Row {
    /// Writes it, by way of the logger, with the hold that was charged.
    async fn tell(&self, aws: &Aws, hold: Hold) {
        let Some(mut record) = self.record.clone() else { return };
        record.hold = Some(hold.amount);
        record.parts.iter_mut().for_each(|part| part.hold = Some(hold.to_string()));
        let queue = LogQueue::new(aws);
        if !self.is_ours {
            return queue.send(&record).await;
        }
        let sent = match serde_json::to_string(&record) {
            Ok(event) => queue.send_text(&event).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match sent {
            Ok(()) => self.forget(aws).await,
            Err(cause) => {
                tracing::warn!(metric = "queue_failed", rid = %record.rid, cause, "later");
            }
        }
    }

    /// Takes it out of the outbox. Where that fails it is told once more, or in vain.
    async fn forget(&self, aws: &Aws) {
        let Some(record) = self.record.as_ref().filter(|_| self.is_ours) else { return };
        if let Err(error) = Store::patient(aws).record(&outbox_delete(record.rid)).await {
            tracing::warn!(rid = %record.rid, %error, "a row stays in the outbox");
        }
    }
}

/// A key's user, organisation and team.
type Owners = (EntityId, Option<EntityId>, Option<EntityId>);

async fn owners_of(aws: &Aws, key_id: &EntityId) -> Result<Option<Owners>, Failure> {
    let key = Key { table: Table::Main, pk: format!("K#{key_id}"), sk: "0".to_owned() };
    let found = Store::patient(aws).fetch(&key).await?.map(item);
    let owner = |found: &Item, name: &str| match found.get(name) {
        Some(Attr::S(id)) => id.parse().ok(),
        _ => None,
    };
    Ok(found.and_then(|found| {
        Some((owner(&found, "user")?, owner(&found, "org"), owner(&found, "team")))
    }))
}

fn record(tenant: &str, user: EntityId, key: &Scope, rid: Rid, hold: Hold) -> CallRecord {
    let part = ScopePart {
        scope: key.clone(),
        hold: Some(hold.to_string()),
        ambiguous: false,
        unheld: false,
        ended: true,
        day: hold.day.number(),
    };
    CallRecord {
        outcome: Outcome::Provisional,
        decision: Some(Decision::Worst),
        scopes: vec![Scope::new(ScopeKind::User, user.clone()), key.whole()],
        parts: vec![part],
        hold: Some(hold.amount),
        error_code: Some(CODE.to_owned()),
        error_message: Some(MESSAGE.to_owned()),
        ..CallRecord::new(rid, tenant.to_owned(), user, key.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_swept_call_says_what_is_known() {
        let rid: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
        let key = "key:k1".parse().unwrap();
        let hold: Hold = "5.20261123.900".parse().unwrap();

        let record = record("main", "u1".parse().unwrap(), &key, rid, hold);

        assert_eq!(record.charged(), Some(hold.amount));
        assert_eq!((record.request_id, record.started_at), (rid, rid.made_at()));
        assert!(record.parts.iter().all(|part| part.ended), "the logger has nothing to end");
    }
}
