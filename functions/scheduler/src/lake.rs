//! The rows of past days as Parquet files in S3, for Athena: `rows/year=2026/month=11/day=29/…`.
//!
//! A day is written when it is over, and again where its sums say that a row came late or was
//! corrected. Its parts have names by their number and are written in the order of the log, so a
//! run that ends or dies in the middle leaves nothing that the next one does not put right.

mod columns;

use std::collections::BTreeMap;

use farebox_aws::expression::{Failure as Unwritten, Store, item};
use farebox_aws::rollups::{Ask, Rollups, Which};
use farebox_aws::{Error, Logs};
use farebox_core::rollup::{Place, Sums};
use farebox_core::{CallRecord, Day, Timestamp, parquet};
use farebox_ledger::lake::{LAKE_LEASE_S, Lake, OpenDay};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{Failure, Scheduler};

/// The longest that a call's row comes after its day: what the sweep finds.
const OVER_AFTER_MS: i64 = 30 * 60_000;
/// Days that are looked at: the log keeps rows for 90, and a day of which some are gone would lose
/// them in the lake too.
const DAYS_MS: i64 = 80 * 86_400_000;
/// The minute of each hour in which all days are looked at.
const LOOKS_AT: i64 = 31;
/// Rows of one query of the log.
const PAGE: u32 = 100;

/// Writes what is due, until the time of the run is over.
pub(crate) async fn write(all: &Scheduler, now: Timestamp) -> Result<(), Failure> {
    let aws = &all.aws;
    let Some(bucket) = &aws.config().lake_bucket else { return Ok(()) };
    let store = Store::patient(aws);
    let found = store.fetch(&Lake::key(&aws.config().tenant)).await?.map(item);
    let lake = found.as_ref().map(Lake::parse).transpose().map_err(|error| Error::Malformed {
        thing: "what is in the lake".to_owned(),
        detail: error.to_string(),
    })?;
    let mut lake = lake.unwrap_or_default();
    let is_minute = now.seconds().div_euclid(60).rem_euclid(60) == LOOKS_AT;
    if !lake.is_free(now) || (lake.open.is_none() && !is_minute) {
        return Ok(());
    }
    let run = Run { all, store, bucket, now, ends: Instant::now() + all.pace.lake };
    lake.leased_until = now.seconds().saturating_add(LAKE_LEASE_S);
    if run.save(&mut lake).await? {
        run.write(&mut lake).await?;
    }
    Ok(())
}

struct Run<'run> {
    all: &'run Scheduler,
    store: Store,
    bucket: &'run str,
    now: Timestamp,
    ends: Instant,
}

impl Run<'_> {
    /// One part after the other; each is known before the next is begun.
    async fn write(&self, lake: &mut Lake) -> Result<(), Failure> {
        loop {
            let Some(open) = self.next(lake).await? else {
                lake.leased_until = 0;
                self.save(lake).await?;
                return Ok(());
            };
            let part = self.part(open).await?;
            match part {
                Some(cursor) => {
                    if let Some(open) = &mut lake.open {
                        open.part = open.part.saturating_add(1);
                        open.cursor = Some(cursor);
                    }
                }
                None => {
                    let done = lake.open.take();
                    lake.days.extend(done.map(|open| (open.day, open.print)));
                }
            }
            let is_over = Instant::now() >= self.ends;
            if is_over {
                // What is left is found again: the next run has it at once.
                self.next(lake).await?;
                lake.leased_until = 0;
            }
            if !self.save(lake).await? || is_over {
                return Ok(());
            }
        }
    }

    /// The day in hand, or the newest one that is not in the lake as the log has it.
    async fn next<'lake>(&self, lake: &'lake mut Lake) -> Result<Option<&'lake OpenDay>, Failure> {
        if lake.open.is_none() {
            let prints = self.prints().await?;
            lake.days.retain(|day, _| prints.contains_key(day));
            let due = prints
                .into_iter()
                .rev()
                .find(|(day, print)| lake.days.get(day).is_none_or(|written| written != print));
            lake.open = due.map(|(day, print)| OpenDay { day, print, part: 0, cursor: None });
        }
        Ok(lake.open.as_ref())
    }

    /// What the sums of each day that is over come to: 8 queries a month, and not a row.
    async fn prints(&self) -> Result<BTreeMap<Day, String>, Failure> {
        let ask = Ask {
            kind: Place::All.kind(),
            which: Which::One(Place::All.id()),
            first: self.now.plus_ms(-DAYS_MS).utc_day(),
            last: self.now.plus_ms(-OVER_AFTER_MS).utc_day().previous(),
            by_day: true,
        };
        let mut days = BTreeMap::<Day, BTreeMap<String, Sums>>::new();
        for cell in Rollups::new(&self.all.aws).read(&ask).await? {
            let Some(day) = cell.day else { continue };
            days.entry(day).or_default().entry(cell.model).or_default().plus(&cell.sums);
        }
        let print = |models: BTreeMap<String, Sums>| {
            let mut digest = Sha256::new();
            for (model, sums) in models {
                digest.update(format!("{model}\n"));
                sums.iter()
                    .for_each(|(counter, sum)| digest.update(format!("{counter:?}={sum}\n")));
            }
            let digest = digest.finalize();
            digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        Ok(days.into_iter().map(|(day, models)| (day, print(models))).collect())
    }

    /// Writes one part; where the log goes on after it.
    async fn part(&self, open: &OpenDay) -> Result<Option<String>, Failure> {
        let logs = Logs::new(&self.all.aws);
        let (mut rows, mut cursor) = (Vec::<CallRecord>::new(), open.cursor.clone());
        let rows_max = usize::from(self.all.pace.part);
        loop {
            let wanted = rows_max.saturating_sub(rows.len()).min(PAGE as usize);
            let wanted = u32::try_from(wanted).unwrap_or(PAGE);
            let page = logs.between(open.day, open.day, wanted, cursor.as_deref()).await?;
            rows.extend(page.rows);
            cursor = page.next;
            if cursor.is_none() || rows.len() >= rows_max {
                break;
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let file = parquet::file("rows", &columns::of(&rows));
        let name = name(open.day, open.part);
        self.all.aws.put_object(self.bucket, &name, file).await.map_err(Failure::Lake)?;
        tracing::info!(name, rows = rows.len(), "in the lake");
        Ok(cursor)
    }

    /// Says how far the lake is; false where another run has taken it over.
    async fn save(&self, lake: &mut Lake) -> Result<bool, Failure> {
        let put = lake.put(&self.all.aws.config().tenant);
        // Once only: whether a repeat found its own write could not be told.
        match self.store.write(&put).await.failure {
            None => {
                lake.version = lake.version.saturating_add(1);
                Ok(true)
            }
            Some(Unwritten::ConditionFailed) => Ok(false),
            Some(failure) => Err(failure.error("PutItem").into()),
        }
    }
}

/// The name of a part: Hive's form, by which Athena knows the partitions.
fn name(day: Day, part: u32) -> String {
    let day = day.to_string();
    let (year, rest) = day.split_at_checked(4).unwrap_or_default();
    let (month, day) = rest.split_at_checked(2).unwrap_or_default();
    format!("rows/year={year}/month={month}/day={day}/part-{part:05}.parquet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_named_by_its_day_and_its_number() {
        let day = Day::from_number(20_261_103).unwrap();

        assert_eq!(name(day, 7), "rows/year=2026/month=11/day=03/part-00007.parquet");
    }
}
