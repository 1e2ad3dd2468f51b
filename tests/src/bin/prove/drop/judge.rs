//! What the books must say of one call, at its death and at rest.

use farebox_core::{CallRecord, Decision, Money, Outcome};
use farebox_ledger::{Attr, Budget, Key, Period, Table};
use farebox_logger::Logger;
use farebox_tests::kill::Shape;

use super::stage::Stage;
use crate::network::services::Services;

/// What a budget was charged of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// What the provider bills.
    Exact,
    /// The hold of a dead process, with a tombstone that says so.
    Provisional,
    /// The hold of an end that nobody knows, with a row that says so.
    Worst,
    /// Such a hold, ended by the process itself, whose row died with it.
    Untold,
}

/// I1 and I4 were checked after every request. Here: a bill is covered at the death and at rest
/// (I1), nothing was sent that was not held everywhere (I10), queue and sweep leave no hold (I5),
/// and what is charged is the bill, or visibly a hold (I2, I3).
pub async fn judge(stage: &mut Stage, is_dead: bool) -> Vec<Result<Finding, String>> {
    let mut findings = Vec::new();
    let (bill, posts) = stage.bill().await;
    for (scope, committed, largest) in counters(stage) {
        if bill > committed {
            findings
                .push(Err(format!("I1: {scope} has committed {committed} of a bill of {bill}")));
        }
        if posts > 0 && largest == 0 {
            findings.push(Err(format!("I10: the provider was called, and {scope} held nothing")));
        }
    }
    let logger = Logger::new(&stage.world.aws);
    let was_faulty = std::mem::take(&mut stage.world.network.shared().is_faulty);
    if was_faulty {
        // What a fault has delayed by minutes meets a sweep too.
        stage.world.sweep(&logger).await;
    }
    stage.world.sweep(&logger).await;
    if stage.kind.shape == Shape::Keyed {
        stage.call(stage.gate(), None, false).await;
        stage.world.sweep(&logger).await;
    }
    let (bill, posts) = stage.bill().await;
    if stage.kind.shape == Shape::Keyed && posts > 1 {
        findings.push(Err(format!("a repeat was sent to the provider: {posts} calls")));
    }
    let shared = stage.world.network.shared();
    let services = &shared.services;
    if !services.queue.is_empty() {
        findings.push(Err("messages are left".to_owned()));
    }
    let rows = services.store.items.iter().filter(|(key, _)| key.table == Table::Logs);
    let rows: Vec<CallRecord> = rows.filter_map(|(_, item)| row(item.get("rec")?)).collect();
    for scope in &stage.scopes {
        findings.extend(judge_scope(services, scope, &rows, bill, is_dead));
    }
    findings
}

/// The same of one scope, of whose budget nothing may be held any more.
fn judge_scope(
    services: &Services,
    scope: &str,
    rows: &[CallRecord],
    bill: i128,
    is_dead: bool,
) -> Vec<Result<Finding, String>> {
    let mut findings = Vec::new();
    let places = services.places(&Stage::owner(scope).budget().pk);
    let Some((_, whole)) = places.first() else { return findings };
    let settled: i128 = places.iter().map(|(_, one)| one.total.settled().pico()).sum();
    let largest = largest(services, &places);
    // What is committed beyond it is what the shares may commit.
    let granted = whole.granted.get(&Period::Total).map_or(0, |granted| granted.pico());
    let held: i128 = places.iter().map(|(_, one)| one.total.held().pico()).sum();
    if places.iter().any(|(_, one)| !one.holds.is_empty()) || held != granted {
        findings.push(Err(format!("I5: {scope} still holds")));
    }
    let tombstone = services.store.items.iter().any(|(key, item)| {
        let is_provisional = item.get("st") == Some(&Attr::S("P".to_owned()));
        let is_ours = places.iter().any(|(place, _)| key.sk == format!("{}#0", place.pk));
        let is_ours = is_ours && key.pk.starts_with("T#");
        is_ours && is_provisional && item.get("a") == Some(&Attr::N(settled))
    });
    let is_worst = rows.iter().any(|row| {
        let amount = row.hold.map(Money::pico);
        row.outcome == Outcome::Worst && amount == Some(settled)
    });
    let told: Vec<_> = rows.iter().map(|row| (row.outcome, row.hold)).collect();
    // A record that reached the queue is the truth, and replaces what the sweep charged. An
    // attempt that another one followed was free, and says nothing of that one; nor does the
    // refusal of a repeat.
    let last = rows.iter().filter(|row| row.parent.is_none());
    let mut last = last.filter(|row| row.outcome != Outcome::Refused);
    let is_untold = last.clone().all(|row| row.outcome == Outcome::Provisional);
    let is_silent = last.next().is_none();
    // The truth of a record is what the ledger was told, by whichever channel (I11).
    let charges = rows.iter().filter_map(|row| match row.decision? {
        Decision::Settle(cost) => Some(cost),
        Decision::Void => None,
        Decision::Worst => row.hold,
    });
    let told_of: i128 = charges.map(Money::pico).sum();
    if !is_silent && !is_untold && told_of != settled {
        findings
            .push(Err(format!("I11: {scope} is charged {settled}, and its rows say {told_of}")));
    }
    findings.push(if settled == bill {
        Ok(Finding::Exact)
    } else if settled < bill {
        Err(format!("I2: {scope} is charged {settled} of a bill of {bill}"))
    } else if tombstone && is_dead && is_untold {
        Ok(Finding::Provisional)
    } else if is_worst {
        Ok(Finding::Worst)
    } else if is_dead && is_silent && settled <= largest {
        Ok(Finding::Untold)
    } else {
        Err(format!("I3: {scope} is charged {settled}, billed {bill}: {told:?}"))
    });
    findings
}

/// Each scope with what is committed in it and the largest hold that it has had.
fn counters(stage: &Stage) -> Vec<(String, i128, i128)> {
    let shared = stage.world.network.shared();
    let of_scope = stage.scopes.iter().cloned().filter_map(|scope| {
        let places = shared.services.places(&Stage::owner(&scope).budget().pk);
        let committed = places.first()?.1.total.committed.pico();
        Some((scope, committed, largest(&shared.services, &places)))
    });
    of_scope.collect()
}

fn largest(services: &Services, places: &[(&Key, Budget)]) -> i128 {
    let of_place = places.iter().filter_map(|(key, _)| services.largest.get(*key));
    of_place.copied().max().unwrap_or_default()
}

fn row(record: &Attr) -> Option<CallRecord> {
    match record {
        Attr::S(text) => serde_json::from_str(text).ok(),
        Attr::N(_) => None,
    }
}
