//! The scheduler: what is due, once a minute.
//!
//! Nothing here is needed for a budget to hold: limits bind and periods begin anew without it.
//! It ends limits that have an end date, tells alerts, forwards what the queue did not take,
//! sweeps the holds of dead processes, and closes past periods. Its time is the event's, and every
//! write is conditional: a run may come late, twice, or twice at once.

mod alerts;
mod budgets;
mod due;
mod limits;
mod outbox;
mod sweep;
mod webhook;

use farebox_aws::{Aws, Config};
use farebox_core::Timestamp;
use futures_util::future::BoxFuture;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Deserialize;

/// One thing that the scheduler does.
struct Job {
    name: &'static str,
    /// It runs in the minutes since the epoch that this divides.
    every_minutes: i64,
    run: for<'run> fn(&'run Aws, Timestamp) -> BoxFuture<'run, Result<(), Failure>>,
}

/// The jobs. A further one is one more row.
const JOBS: [Job; 4] = [
    Job { name: "outbox", every_minutes: 1, run: |aws, now| Box::pin(outbox::drain(aws, now)) },
    Job { name: "limits", every_minutes: 1, run: |aws, now| Box::pin(limits::end(aws, now)) },
    Job { name: "alerts", every_minutes: 1, run: |aws, now| Box::pin(alerts::deliver(aws, now)) },
    // A scan of all budgets (0.06 read units each), so not every minute.
    Job {
        name: "budgets",
        every_minutes: 5,
        run: |aws, now| Box::pin(budgets::look_after(aws, now)),
    },
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
    #[error("the webhook cannot be called: {0}")]
    Webhook(&'static str),
}

/// Runs the Lambda until its environment ends.
///
/// # Errors
/// Where the configuration is not complete or the Lambda runtime breaks.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    // A second call in one process (tests) finds the first subscriber in place.
    let _ = tracing_subscriber::fmt().json().with_ansi(false).try_init();
    let aws = Aws::new(Config::from_env()?);
    let aws = &aws;
    let service =
        service_fn(
            move |event: LambdaEvent<Tick>| async move { handle(aws, &event.payload).await },
        );
    lambda_runtime::run(service).await
}

/// Runs the jobs of one minute. One that fails does not keep back the others.
///
/// # Errors
/// Names the jobs that failed, or says that the event has no time.
pub async fn handle(aws: &Aws, tick: &Tick) -> Result<(), lambda_runtime::Error> {
    let now = Timestamp::parse(&tick.time)?;
    let mut failed = Vec::new();
    for job in JOBS.iter().filter(|job| job.is_due(now)) {
        if let Err(error) = (job.run)(aws, now).await {
            tracing::error!(metric = "job_failed", job = job.name, %error);
            failed.push(job.name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
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

        assert_eq!(due("2026-12-03T00:05:59Z"), ["outbox", "limits", "alerts", "budgets"]);
        assert_eq!(due("2026-12-03T00:06:00Z"), ["outbox", "limits", "alerts"]);
    }
}
