//! The scheduler: what is due, once a minute.
//!
//! Nothing here is needed for a budget to hold: limits bind and periods begin anew without it.
//! It ends limits that have an end date, tells alerts, forwards what the queue did not take,
//! sweeps the holds of dead processes, and closes past periods. Its time is the event's, and every
//! write is conditional: a run may come late, twice, or twice at once.

mod alerts;
mod budgets;
mod channels;
mod due;
mod lake;
mod limits;
mod mail;
mod outbox;
mod statement;
mod sweep;
mod topic;
mod webhook;

use std::time::Duration;

use farebox_aws::signed::PostError;
use farebox_aws::{Alerts, Aws, Config};
use farebox_core::{Month, Timestamp};
use futures_util::future::BoxFuture;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Deserialize;
use tokio::time::Instant;

/// One thing that the scheduler does.
struct Job {
    name: &'static str,
    /// It runs in the minutes since the epoch that this divides.
    every_minutes: i64,
    run: Run,
}

type Run = for<'run> fn(&'run Scheduler, Timestamp) -> BoxFuture<'run, Result<(), Failure>>;

/// From one run to the next.
const RUN_MS: i64 = 60_000;
/// Between two looks at the clock.
const PAUSE: Duration = Duration::from_millis(50);

const ALERTS: Run = |all, now| Box::pin(alerts::deliver(all, now));

/// What an environment keeps between its runs.
pub struct Scheduler {
    aws: Aws,
    alerts: Alerts,
    pace: Pace,
}

/// How much one run does of what may be too long for it. The next run goes on.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// No further entry of what is due, an alert or a record in the outbox, is begun after this
    /// time: a receiver or a queue that hangs must not keep back the other jobs.
    pub due: Duration,
    /// No further page of budgets is read after this time.
    pub time: Duration,
    /// Budgets in a page, at most.
    pub page: u16,
    /// No further part of the lake is begun after this time.
    pub lake: Duration,
    /// Rows in a part of the lake, at most: some megabytes.
    pub part: u16,
}

/// The jobs. A further one is one more row.
const JOBS: [Job; 7] = [
    Job { name: "outbox", every_minutes: 1, run: |all, now| Box::pin(outbox::drain(all, now)) },
    Job { name: "limits", every_minutes: 1, run: |all, now| Box::pin(limits::end(&all.aws, now)) },
    // Before the scan, so that what calls have crossed does not wait for it.
    Job { name: "alerts", every_minutes: 1, run: ALERTS },
    // A scan of all budgets (0.06 read units each), begun each fifth minute.
    Job {
        name: "budgets",
        every_minutes: 1,
        run: |all, now| Box::pin(budgets::look_after(all, now)),
    },
    // What the scan has found, and what calls of just before this run have crossed.
    Job { name: "alerts", every_minutes: 1, run: |all, now| Box::pin(look_again(all, now)) },
    Job {
        name: "statement",
        every_minutes: 15,
        run: |all, now| Box::pin(statement::mail(&all.aws, now)),
    },
    // The last: nobody waits for it.
    Job { name: "lake", every_minutes: 1, run: |all, now| Box::pin(lake::write(all, now)) },
];

/// The event that the schedule sends.
#[derive(Debug, Deserialize)]
pub struct Tick {
    /// RFC 3339: the run's now.
    pub time: String,
}

/// Why a job did not finish; its next run goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Aws(#[from] farebox_aws::Error),
    #[error("{0} alerts were not delivered")]
    Undelivered(usize),
    #[error("the statement of {0} was not mailed")]
    Unmailed(Month),
    #[error("the lake: {0}")]
    Lake(PostError),
}

/// Runs the Lambda until its environment ends.
///
/// # Errors
/// Where the configuration is not complete or the Lambda runtime breaks.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    // A second call in one process (tests) finds the first subscriber in place.
    let _ = tracing_subscriber::fmt().json().with_ansi(false).try_init();
    let scheduler = Scheduler::new(&Aws::new(Config::from_env()?));
    let scheduler = &scheduler;
    let service = service_fn(move |event: LambdaEvent<Tick>| async move {
        handle(scheduler, &event.payload).await
    });
    lambda_runtime::run(service).await
}

/// Runs the jobs of one minute. One that fails does not keep back the others.
///
/// # Errors
/// Names the jobs that failed, or says that the event has no time.
pub async fn handle(all: &Scheduler, tick: &Tick) -> Result<(), lambda_runtime::Error> {
    let now = Timestamp::parse(&tick.time)?;
    let mut failed = Vec::new();
    for job in JOBS.iter().filter(|job| job.is_due(now)) {
        if let Err(error) = (job.run)(all, now).await {
            tracing::warn!(metric = "job_failed", job = job.name, %error);
            failed.push(job.name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

/// Tells what has become due since the run began. It waits for the records of calls that ended
/// just before, which are still on their way through the queue: else they would wait for the next
/// run, and a crossing would be told later than a minute after its call.
async fn look_again(all: &Scheduler, now: Timestamp) -> Result<(), Failure> {
    let wait = all.aws.config().second_look;
    let at = now.plus_ms(i64::try_from(wait.as_millis()).unwrap_or_default());
    let ends = Instant::now() + wait;
    while all.aws.now() < at && Instant::now() < ends {
        tokio::time::sleep(PAUSE).await;
    }
    // What the run itself has found is later than its begin. The event's time stays its measure.
    let found = all.aws.now().min(now.plus_ms(RUN_MS));
    alerts::deliver(all, now.max(found)).await
}

impl Scheduler {
    /// Takes the services; reads nothing yet.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self::paced(aws, Pace::default())
    }

    /// The same at another pace.
    #[must_use]
    pub fn paced(aws: &Aws, pace: Pace) -> Self {
        Self { aws: aws.clone(), alerts: Alerts::new(aws), pace }
    }
}

impl Default for Pace {
    /// For a function that ends after 55 s, of which the alerts need some, and whose memory and
    /// share of a processor are small.
    fn default() -> Self {
        Self {
            due: Duration::from_secs(5),
            time: Duration::from_secs(30),
            page: 1_000,
            lake: Duration::from_secs(10),
            part: 5_000,
        }
    }
}

impl Job {
    const fn is_due(&self, now: Timestamp) -> bool {
        now.seconds().div_euclid(60).rem_euclid(self.every_minutes) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_run_in_their_minutes() {
        let due = |time: &str| {
            let now = Timestamp::parse(time).unwrap();
            JOBS.iter().filter(|job| job.is_due(now)).map(|job| job.name).collect::<Vec<_>>()
        };

        let each = ["outbox", "limits", "alerts", "budgets", "alerts"];
        let with = |more: &[&'static str]| [&each[..], more].concat();
        assert_eq!(due("2026-12-03T00:06:00Z"), with(&["lake"]));
        assert_eq!(due("2026-12-03T00:15:59Z"), with(&["statement", "lake"]));
    }
}
