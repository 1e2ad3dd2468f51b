//! One look at every budget: sweep what dead processes left (money.md 3.4), put the alerts of
//! levels that no call has told (3.8), close past months and days (3.7).
//!
//! A pass begins each fifth minute. What one run does not get through, the next ones go on with
//! before another pass begins, so that the last budgets of a large table have their turn too.

use core::ops::ControlFlow;
use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::scan::ScanOutput;
use farebox_aws::expression::{
    Attributes, Failure as Unwritten, Store, again, classify, item, key_attributes,
};
use farebox_aws::{Aws, Error, Ledger};
use farebox_core::{Scope, Timestamp};
use farebox_ledger::alert::{self, Alert};
use farebox_ledger::pass::SEGMENTS;
use farebox_ledger::{Attr, Budget, Owner, Pass, Period, archive};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::{Failure, Scheduler, sweep};

/// Minutes between two beginnings.
const EVERY_MINUTES: i64 = 5;
/// Budgets of one part that are written to at once. Nearly all need no write.
const AT_ONCE: usize = 8;
/// Two scans: what was settled at the very end of a day is still seen in it.
const LOOKS_BACK_MS: i64 = 600_000;
/// However long ago the last pass was, no day before yesterday is looked at.
const LOOKS_BACK_MS_MAX: i64 = 86_400_000;

/// Begins a pass, or goes on with the last one; nothing where neither is due.
pub(crate) async fn look_after(all: &Scheduler, now: Timestamp) -> Result<(), Failure> {
    let store = Store::patient(&all.aws);
    let tenant = &all.aws.config().tenant;
    let last = match store.fetch(&Pass::key(tenant)).await? {
        None => None,
        // What cannot be read is looked past: then a run that is cut short begins from the start.
        Some(found) => Pass::parse(&item(found)).ok(),
    };
    let is_due = now.seconds().div_euclid(60).rem_euclid(EVERY_MINUTES) == 0;
    let mut pass = match last {
        Some(last) if !last.open.is_empty() => last,
        last if is_due => Pass::begin(last.as_ref(), now),
        _ => return Ok(()),
    };
    let look = Look {
        all,
        ledger: Ledger::new(&all.aws),
        now,
        since: since(&pass, now),
        ends: Instant::now() + all.pace.time,
    };
    let parts = pass.open.iter().map(|(segment, from)| look.part(*segment, from));
    let parts: Vec<_> = join_all(parts).await;
    let (mut open, mut result) = (BTreeMap::new(), Ok(()));
    for (segment, part) in pass.open.keys().zip(parts) {
        if let ControlFlow::Break((from, why)) = part {
            open.insert(*segment, from);
            result = result.and(why);
        }
    }
    pass.open = open;
    if !pass.open.is_empty() {
        tracing::info!(parts = pass.open.len(), began = %pass.began, "the next run goes on");
    }
    store.record(&pass.put(tenant)).await?;
    result
}

/// What all parts of one run share.
struct Look<'run> {
    all: &'run Scheduler,
    ledger: Ledger,
    now: Timestamp,
    since: Timestamp,
    ends: Instant,
}

/// Where a part stopped before its end: behind which budget, and why.
type Part = ControlFlow<(String, Result<(), Failure>)>;

impl Look<'_> {
    /// Looks at one part of the budgets page by page, one page at least.
    async fn part(&self, segment: u8, from: &str) -> Part {
        let mut from = from.to_owned();
        loop {
            let page = match self.page(segment, &from).await {
                Ok(page) => page,
                Err(error) => return Part::Break((from, Err(error.into()))),
            };
            let found = stream::iter(page.items.unwrap_or_default());
            found.for_each_concurrent(AT_ONCE, |budget| self.one(budget)).await;
            match item(page.last_evaluated_key.unwrap_or_default()).remove("pk") {
                Some(Attr::S(pk)) => from = pk,
                _ => return Part::Continue(()),
            }
            if Instant::now() >= self.ends {
                return Part::Break((from, Ok(())));
            }
        }
    }

    /// A page of a bounded number of budgets: what is read at once, kept in memory and waited
    /// for does not grow with the table.
    async fn page(&self, segment: u8, from: &str) -> Result<ScanOutput, Error> {
        let aws = &self.all.aws;
        let start = (!from.is_empty()).then(|| key_attributes(&Pass::behind(from)));
        let page = again("Scan", || async {
            let scan = aws.dynamodb().scan().table_name(&aws.config().ledger_table);
            let scan = scan.segment(segment.into()).total_segments(SEGMENTS.into());
            let scan = scan.limit(self.all.pace.page.into());
            let scan = scan.set_exclusive_start_key(start.clone());
            scan.send().await.map_err(|error| classify(&error))
        });
        page.await
    }

    /// One broken budget does not keep the others open.
    async fn one(&self, found: Attributes) {
        if let Err(error) = self.look_after(found).await {
            tracing::error!(metric = "budget_failed", %error);
        }
    }

    async fn look_after(&self, found: Attributes) -> Result<(), Failure> {
        let (all, now) = (self.all, self.now);
        let aws = &all.aws;
        let found = item(found);
        let Some(owner) = owner(&aws.config().tenant, found.get("pk")) else { return Ok(()) };
        let malformed = |error: farebox_ledger::Error| Error::Malformed {
            thing: format!("the budget of {}", owner.scope),
            detail: error.to_string(),
        };
        let budget = Budget::parse(&found).map_err(malformed)?;
        let is_charged = sweep::holds(all, &self.ledger, &owner.scope, &budget, now).await?;
        if budget.terms.shares.made > 0 {
            self.shares(&owner.scope).await?;
        } else if is_charged {
            // What was read does not have it yet, and the next look is five minutes away.
            self.charged(&owner.scope.whole()).await?;
        } else if owner.scope.share.is_none() {
            all.alerts.put(&owner.scope, reached(&budget, now, self.since)).await?;
        }
        Ok(close(aws, &owner, &budget, now).await?)
    }

    /// The levels of a budget that the sweep has just charged, itself or one of its shares.
    async fn charged(&self, whole: &Scope) -> Result<(), Failure> {
        let found = self.ledger.find_budgets(std::slice::from_ref(whole)).await?;
        let Some(budget) = found.into_iter().next().flatten() else { return Ok(()) };
        let levels = reached(&budget, self.now, self.since);
        Ok(self.all.alerts.put(whole, levels).await?)
    }

    /// Of a divided budget: the shares get and give back what is due, and the levels are those of
    /// all of them together.
    async fn shares(&self, whole: &Scope) -> Result<(), Failure> {
        if self.ledger.tend(whole, self.now).await? == Some(true) {
            tracing::info!(scope = %whole, "a change of its shares is pending");
        }
        let Some(divided) = self.ledger.divided(whole).await? else { return Ok(()) };
        let levels = reached(&divided.merged(), self.now, self.since);
        Ok(self.all.alerts.put(whole, levels).await?)
    }
}

/// Since when levels may have been reached that no scan has seen.
fn since(pass: &Pass, now: Timestamp) -> Timestamp {
    let usual = now.plus_ms(-LOOKS_BACK_MS);
    let since = pass.before.map_or(usual, |before| before.min(usual));
    since.max(now.plus_ms(-LOOKS_BACK_MS_MAX))
}

/// The levels of now, and of the end of yesterday until it has been looked at: a correction, or
/// what the sweep charged, reaches a level without a call that tells it.
fn reached(budget: &Budget, now: Timestamp, since: Timestamp) -> Vec<Alert> {
    let zone = &budget.terms.settings.zone;
    let (day, before) = (zone.day(now), zone.day(since));
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

    #[test]
    fn levels_are_looked_for_since_the_last_look_and_no_further_than_a_day() {
        let now = Timestamp::parse("2026-11-30T12:05:00Z").unwrap();
        let minutes = |minutes: i64| now.plus_ms(-minutes * 60_000);
        let after = |before: Option<i64>| {
            let last = before.map(|before| Pass::begin(None, minutes(before)));
            since(&Pass::begin(last.as_ref(), now), now)
        };

        assert_eq!(after(None), minutes(10));
        assert_eq!(after(Some(5)), minutes(10));
        assert_eq!(after(Some(40)), minutes(40));
        assert_eq!(after(Some(100_000)), minutes(24 * 60));
        assert_eq!(after(Some(-5)), minutes(10), "a clock that was set back");
    }
}
