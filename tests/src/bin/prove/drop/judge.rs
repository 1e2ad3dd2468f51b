//! What the books must say of one call, at its death and at rest.

use farebox_core::{CallRecord, Outcome};
use farebox_ledger::{Attr, Table};
use farebox_logger::Logger;

use super::stage::Stage;

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
    let (bill, _) = stage.bill().await;
    let shared = stage.world.network.shared();
    let services = &shared.services;
    if !services.queue.is_empty() {
        findings.push(Err("messages are left".to_owned()));
    }
    let rows = services.store.items.iter().filter(|(key, _)| key.table == Table::Logs);
    let rows: Vec<CallRecord> = rows.filter_map(|(_, item)| row(item.get("rec")?)).collect();
    for scope in stage.scopes.clone() {
        let owner = Stage::owner(&scope);
        let found = services.budgets().find(|(key, _)| **key == owner.budget());
        let Some((key, budget)) = found else { continue };
        let (committed, settled) = (budget.total.committed.pico(), budget.total.settled().pico());
        let largest = services.largest.get(key).copied().unwrap_or_default();
        if !budget.holds.is_empty() || committed != settled {
            findings.push(Err(format!("I5: {scope} still holds")));
        }
        let tombstone = services.store.items.iter().any(|(key, item)| {
            let is_provisional = item.get("st") == Some(&Attr::S("P".to_owned()));
            let is_ours = key.pk.starts_with("T#") && key.sk.contains(&owner.budget().pk);
            is_ours && is_provisional && item.get("a") == Some(&Attr::N(settled))
        });
        let is_worst = rows.iter().any(|row| {
            let amount = row.hold.map(farebox_core::Money::pico);
            row.outcome == Outcome::Worst && amount == Some(settled)
        });
        let told: Vec<_> = rows.iter().map(|row| (row.outcome, row.hold)).collect();
        // A record that reached the queue is the truth, and replaces what the sweep charged. An
        // attempt that another one followed was free, and says nothing of that one.
        let mut last = rows.iter().filter(|row| row.parent.is_none());
        let is_untold = last.all(|row| row.outcome == Outcome::Provisional);
        let is_silent = rows.iter().all(|row| row.parent.is_some());
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
    }
    findings
}

/// Each scope with what is committed in it and the largest hold that it has had.
fn counters(stage: &Stage) -> Vec<(String, i128, i128)> {
    let shared = stage.world.network.shared();
    let of_scope = stage.scopes.iter().cloned().filter_map(|scope| {
        let budget = Stage::owner(&scope).budget();
        let found = shared.services.budgets().find(|(key, _)| **key == budget);
        let committed = found.map(|(_, budget)| budget.total.committed.pico())?;
        let largest = shared.services.largest.get(&budget).copied().unwrap_or_default();
        Some((scope, committed, largest))
    });
    of_scope.collect()
}

fn row(record: &Attr) -> Option<CallRecord> {
    match record {
        Attr::S(text) => serde_json::from_str(text).ok(),
        Attr::N(_) => None,
    }
}
