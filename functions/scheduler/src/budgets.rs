//! One look at every budget: sweep what dead processes left (money.md 3.4), put the alerts of
//! levels that no call has told (3.8), close past months and days (3.7).

use farebox_aws::expression::{Attributes, Failure as Unwritten, Store, again, classify, item};
use farebox_aws::{Aws, Error, Ledger};
use farebox_core::{Scope, Timestamp};
use farebox_ledger::alert::{self, Alert};
use farebox_ledger::{Attr, Budget, Owner, Period, archive};
use futures_util::future::join_all;

use crate::{Failure, Scheduler, sweep};

/// Parts that the table is scanned in at once.
const SEGMENTS: i32 = 4;
/// Two scans: what was settled at the very end of a day is still seen in it.
const LOOKS_BACK_MS: i64 = 600_000;

/// Sweeps and closes what is over in every budget.
pub(crate) async fn look_after(all: &Scheduler, now: Timestamp) -> Result<(), Failure> {
    let ledger = Ledger::new(&all.aws);
    let segments = (0..SEGMENTS).map(|segment| scan(all, &ledger, segment, now));
    join_all(segments).await.into_iter().collect()
}

async fn scan(
    all: &Scheduler,
    ledger: &Ledger,
    segment: i32,
    now: Timestamp,
) -> Result<(), Failure> {
    let aws = &all.aws;
    let mut start = None;
    loop {
        let page = again("Scan", || async {
            let scan = aws.dynamodb().scan().table_name(&aws.config().ledger_table);
            let scan = scan.segment(segment).total_segments(SEGMENTS);
            let scan = scan.set_exclusive_start_key(start.clone());
            scan.send().await.map_err(|error| classify(&error))
        });
        let page = page.await?;
        for found in page.items.unwrap_or_default() {
            // One broken budget does not keep the others open.
            if let Err(error) = look_after_one(all, ledger, found, now).await {
                tracing::error!(metric = "budget_failed", %error);
            }
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(());
        }
    }
}

async fn look_after_one(
    all: &Scheduler,
    ledger: &Ledger,
    found: Attributes,
    now: Timestamp,
) -> Result<(), Failure> {
    let aws = &all.aws;
    let found = item(found);
    let Some(owner) = owner(&aws.config().tenant, found.get("pk")) else { return Ok(()) };
    let malformed = |error: farebox_ledger::Error| Error::Malformed {
        thing: format!("the budget of {}", owner.scope),
        detail: error.to_string(),
    };
    let budget = Budget::parse(&found).map_err(malformed)?;
    sweep::holds(all, ledger, &owner.scope, &budget, now).await?;
    if budget.terms.shares.made > 0 {
        look_after_shares(all, ledger, &owner.scope, now).await?;
    } else if owner.scope.share.is_none() {
        all.alerts.put(&owner.scope, reached(&budget, now)).await?;
    }
    Ok(close(aws, &owner, &budget, now).await?)
}

/// Of a divided budget: the shares get and give back what is due, and the levels are those of all
/// of them together.
async fn look_after_shares(
    all: &Scheduler,
    ledger: &Ledger,
    whole: &Scope,
    now: Timestamp,
) -> Result<(), Failure> {
    if ledger.tend(whole, now).await? == Some(true) {
        tracing::info!(scope = %whole, "a change of its shares is pending");
    }
    let Some(divided) = ledger.divided(whole).await? else { return Ok(()) };
    Ok(all.alerts.put(whole, reached(&divided.merged(), now)).await?)
}

/// The levels of now, and of the end of yesterday until it has been looked at: a correction, or
/// what the sweep charged, reaches a level without a call that tells it.
fn reached(budget: &Budget, now: Timestamp) -> Vec<Alert> {
    let zone = &budget.terms.settings.zone;
    let (day, before) = (zone.day(now), zone.day(now.plus_ms(-LOOKS_BACK_MS)));
    let mut alerts = alert::reached(budget, day);
    if before != day {
        let older = alert::reached(budget, before);
        alerts.extend(older.into_iter().filter(|one| one.name.period != Period::Total));
    }
    alerts
}

async fn close(aws: &Aws, owner: &Owner, budget: &Budget, now: Timestamp) -> Result<(), Error> {
    let store = Store::patient(aws);
    for closing in archive::due(budget, now) {
        let written = store.transact(&closing.write(owner, budget, now)).await;
        let scope = &owner.scope;
        match written.failure {
            None => tracing::info!(%scope, ?closing, "closed"),
            // It moved since it was read, another run was first, or the answer is lost: the
            // next run looks again. Later periods wait, because the watermark may not pass.
            Some(Unwritten::ConditionFailed | Unwritten::Cancelled) => return Ok(()),
            Some(failure) => return Err(failure.error("TransactWriteItems")),
        }
    }
    Ok(())
}

/// Whose budget a partition key names; another deployment's is nobody's here.
fn owner(tenant: &str, pk: Option<&Attr>) -> Option<Owner> {
    let Some(Attr::S(pk)) = pk else { return None };
    let scope = pk.strip_prefix("B#")?.strip_prefix(tenant)?.strip_prefix('#')?;
    Some(Owner::new(tenant, scope.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_key_names_an_owner_of_this_deployment() {
        let owner = |pk: &str| owner("main", Some(&Attr::S(pk.to_owned())));

        assert_eq!(owner("B#main#user:u1").unwrap().scope.to_string(), "user:u1");
        assert!(owner("B#main2#user:u1").is_none());
        assert!(owner("B#main#tree:o1").is_none());
    }
}
