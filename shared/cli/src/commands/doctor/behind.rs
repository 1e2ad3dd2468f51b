//! What works behind the calls.

use std::time::Duration;

use farebox_api::Queues;
use farebox_core::Timestamp;

use super::{Check, State, check, path};
use crate::client::Client;
use crate::clock::now;

/// Looks at a queue that has something in it, until something comes out: the logger takes a record
/// within some seconds.
pub(super) const LOOKS: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// Records that a burst leaves for some seconds.
const WAITING_MAX: u64 = 10_000;
/// A look begins each fifth minute; one at very many budgets takes some more.
const SCAN_MINUTES_MAX: i64 = 20;

/// The queue, its dead letters and the scheduler.
pub(super) async fn looked_at(client: &Client) -> Vec<Check> {
    let mut looks = Vec::<Queues>::new();
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let found = client.get(&path("queues")).await.and_then(|answer| answer.parse());
        match found {
            Ok(queues) => looks.push(queues),
            Err(failure) => {
                let next = "read the log of admin; its role needs sqs:GetQueueAttributes on both \
                            queues, and the queues must be there";
                let found = format!("what waits cannot be counted: {}", failure.message());
                return vec![check("queue", State::Bad, found, next)];
            }
        }
        if !is_stuck(&looks) {
            break;
        }
    }
    let Some(last) = looks.last() else { return Vec::new() };
    vec![waiting(&looks), dead_letters(last), scheduler(last, now())]
}

/// Whether as much is in the queue as at the first look, or more: nothing has come out of it.
pub(super) fn is_stuck(looks: &[Queues]) -> bool {
    let of = |queues: &Queues| queues.waiting.saturating_add(queues.in_flight);
    let counts = || looks.iter().map(of);
    counts().next().is_some_and(|first| first > 0 && counts().all(|count| count >= first))
}

pub(super) fn waiting(looks: &[Queues]) -> Check {
    let Some(queues) = looks.last() else {
        return check("queue", State::Skipped, "was not looked at", "");
    };
    let found = format!("{} records wait, {} are in hand", queues.waiting, queues.in_flight);
    let is_stuck = looks.len() >= LOOKS && is_stuck(looks);
    if queues.waiting > WAITING_MAX {
        let next = "the logger does not keep up: read its log and its concurrency";
        return check("queue", State::Warning, found, next);
    }
    if is_stuck && queues.in_flight == 0 {
        let next = "calls are charged, but no row tells of them: look whether the logger's event \
                    source mapping is enabled, and read the logger's log";
        return check("queue", State::Bad, format!("{found}, and nobody takes them"), next);
    }
    if is_stuck {
        let next = "fine where calls come all the time; else the logger fails: read record_failed \
                    in its log";
        return check("queue", State::Warning, format!("{found}, and none was finished"), next);
    }
    check("queue", State::Good, found, "")
}

pub(super) fn dead_letters(queues: &Queues) -> Check {
    let next = "read record_failed in the logger's log, mend its cause, then redrive the queue \
                (docs/operations.md, DeadLetterAlarm)";
    match queues.dead_letters {
        None => {
            let next = "deploy this release's template: admin gets FAREBOX_DEAD_LETTER_URL";
            check("dead letters", State::Skipped, "the deployment does not tell", next)
        }
        Some(0) => check("dead letters", State::Good, "none", ""),
        Some(count) => {
            let found = format!("{count} records that the logger refused five times");
            check("dead letters", State::Bad, found, next)
        }
    }
}

pub(super) fn scheduler(queues: &Queues, now: Timestamp) -> Check {
    let next = "read the log of the scheduler, and look whether its rule is enabled";
    let scanned = queues.scanned_at.as_deref().and_then(|at| Timestamp::parse(at).ok());
    match scanned.map(|at| now.since(at) / 60_000) {
        None => {
            let next = format!("wait five minutes after a first deployment; then {next}");
            check("scheduler", State::Warning, "has never looked at all budgets", &next)
        }
        Some(minutes) if minutes > SCAN_MINUTES_MAX => {
            let found = format!("its last look at all budgets began {minutes} minutes ago");
            check("scheduler", State::Bad, found, next)
        }
        Some(_) => check("scheduler", State::Good, "looks at all budgets", ""),
    }
}
