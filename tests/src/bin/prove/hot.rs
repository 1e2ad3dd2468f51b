//! `cargo prove hot`: calls a second on one organisation's budget, whole and divided into shares.
//!
//! Measured with the real ledger and SDK on the embedded store, and computed for DynamoDB, where
//! one item takes 1,000 write units a second. A call is a reserve, its time, and a settle.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use farebox_aws::{Ask, Aws, Config, Ledger};
use farebox_core::{Decision, Money, Scope};
use farebox_ledger::update::HOLDS_MAX;
use farebox_tests::{Settings, Stack, fresh};
use serde_json::json;

use crate::contrast::local;
use crate::option;

/// Shares in a row of the table; 0 is the budget itself.
const ROWS: [u8; 4] = [0, 2, 4, 8];
/// Seconds that a call takes, where none are asked for.
const HOLD_S: u64 = 10;
/// Times of a call that one row is measured for, after as many to get there.
const TIMES: u64 = 2;
/// Write units a second that DynamoDB gives one item.
const UNITS: u64 = 1_000;
/// Bytes of a budget without holds, and of one hold (money.md 4.2).
const BYTES: [u64; 2] = [320, 55];
/// More callers than a budget has places, so that the places are what is measured.
const CROWD: u64 = 5;

pub fn run(words: &[String]) -> ExitCode {
    farebox_tests::run(table(option(words, "--hold").unwrap_or(HOLD_S)))
}

async fn table(hold_s: u64) -> ExitCode {
    let stack = Stack::start(&local(), &Settings::default()).await;
    let environment = stack.chat_environment();
    let known = |wanted: &str| {
        environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
    };
    let aws = Aws::new(Config::from_lookup(known).expect("the stack's environment"));
    println!("A call lasts {hold_s} s; each budget has at most {HOLDS_MAX} open holds.\n");
    println!("| shares | calls/s measured | open at once | refused | calls/s on DynamoDB |");
    println!("|---|---|---|---|---|");
    let mut measured = Vec::new();
    let mut is_bounded = true;
    for shares in ROWS {
        let row = measure(&stack, &aws, shares, hold_s).await;
        let computed = computed(shares, hold_s);
        println!(
            "| {shares} | {:.1} | {} | {} | {computed} |",
            row.calls_per_s, row.open_max, row.refused
        );
        is_bounded &= row.open_max <= u64::from(shares.max(1)) * u64::from(HOLDS_MAX);
        measured.push(row.calls_per_s);
    }
    let times = measured.last().expect("rows") / measured.first().expect("rows");
    println!("\nhot: {times:.1} times the calls with {} shares", ROWS[ROWS.len() - 1]);
    if is_bounded && times > 2.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Row {
    calls_per_s: f64,
    open_max: u64,
    refused: u64,
}

#[derive(Default)]
struct Counts {
    is_counted: AtomicU64,
    served: AtomicU64,
    refused: AtomicU64,
    open: AtomicU64,
    open_max: AtomicU64,
}

async fn measure(stack: &Stack, aws: &Aws, shares: u8, hold_s: u64) -> Row {
    let org = fresh("o");
    stack.put(&format!("/orgs/{org}"), &json!({})).await;
    let budget = json!({"month_limit_usd": "1000000", "shares": shares});
    stack.set_budget(&format!("org:{org}"), &budget).await;
    let scope: Scope = format!("org:{org}").parse().expect("a scope");
    let (ledger, counts) = (Arc::new(Ledger::new(aws)), Arc::new(Counts::default()));
    let places = u64::from(shares.max(1)) * u64::from(HOLDS_MAX);
    let ends = Instant::now() + Duration::from_secs(hold_s * (1 + TIMES));
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..places + places / CROWD {
        let (ledger, counts) = (Arc::clone(&ledger), Arc::clone(&counts));
        let (scope, aws) = (scope.clone(), aws.clone());
        // They come one after another during the first call's time, as callers do.
        let late = Duration::from_millis(hold_s * 1_000 * number / places);
        callers.spawn(async move {
            tokio::time::sleep(late).await;
            while Instant::now() < ends {
                call(&ledger, &aws, &scope, &counts, hold_s).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(hold_s)).await;
    counts.is_counted.store(1, Ordering::SeqCst);
    let began = Instant::now();
    tokio::time::sleep_until(ends.into()).await;
    counts.is_counted.store(0, Ordering::SeqCst);
    let seconds = began.elapsed().as_secs_f64();
    while callers.join_next().await.is_some() {}
    let count = |count: &AtomicU64| count.load(Ordering::SeqCst);
    let served = u32::try_from(count(&counts.served)).expect("few");
    Row {
        calls_per_s: f64::from(served) / seconds,
        open_max: count(&counts.open_max),
        refused: count(&counts.refused),
    }
}

async fn call(ledger: &Ledger, aws: &Aws, scope: &Scope, counts: &Counts, hold_s: u64) {
    let amount = Money::parse_usd("0.01").expect("an amount");
    let scopes = std::slice::from_ref(scope);
    let held = ledger.reserve(scopes, aws.new_rid(), Ask::worst(amount), None).await;
    let counted = counts.is_counted.load(Ordering::SeqCst);
    let Ok(mut held) = held else {
        counts.refused.fetch_add(counted, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
        return;
    };
    let open = 1 + counts.open.fetch_add(1, Ordering::SeqCst);
    counts.open_max.fetch_max(open, Ordering::SeqCst);
    let time = tokio::time::sleep(Duration::from_secs(hold_s));
    tokio::join!(time, ledger.draw_ahead(held.shares()));
    // Its place is free before its caller hears so: no longer counted, it may still be held.
    counts.open.fetch_sub(1, Ordering::SeqCst);
    ledger.end(&mut held, Decision::Settle(amount)).await;
    counts.served.fetch_add(counts.is_counted.load(Ordering::SeqCst), Ordering::SeqCst);
}

/// Calls a second by DynamoDB's rules: each writes its item twice, a write costs a unit a
/// kilobyte, and a hold stands in the item for as long as the call lasts.
fn computed(shares: u8, hold_s: u64) -> u64 {
    let fits = |calls: &u64| {
        let open = calls * hold_s;
        let units = (BYTES[0] + BYTES[1] * open).div_ceil(1_024);
        open <= u64::from(HOLDS_MAX) && 2 * calls * units <= UNITS
    };
    let one = (0..=UNITS).take_while(fits).last().unwrap_or_default();
    one * u64::from(shares.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_takes_calls_until_its_units_or_its_places_are_used() {
        // At 62 calls of 2 s it has 7,140 bytes: 7 units, twice a call; 8 for one call more.
        assert_eq!(computed(0, 2), 62);
        // Longer calls use its 200 places first.
        assert_eq!(computed(0, 10), 20);
        assert_eq!(computed(8, 10), 160);
    }
}
