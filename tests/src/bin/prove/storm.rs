//! `cargo prove storm`: a thousand callers at once while AWS fails, the day ends and a limit is
//! lowered.

use std::process::ExitCode;

use farebox_tests::relay::Faults;
use farebox_tests::storm::{self, Storm};

use crate::contrast::local;
use crate::option;

const RUNS: u64 = 20;
const CALLERS: usize = 1_000;
const FAULTY_PERCENT: u64 = 5;

pub fn run(words: &[String]) -> ExitCode {
    let first = option(words, "--seed").unwrap_or(1);
    let runs = option(words, "--runs").unwrap_or(RUNS);
    farebox_tests::run(campaign(first, runs))
}

async fn campaign(first: u64, runs: u64) -> ExitCode {
    let local = local();
    let mut violations = 0;
    println!("| seed | served | billed | charged | limit | requests, failed | not served |");
    println!("|---|---|---|---|---|---|---|");
    for seed in first..first + runs {
        let faults = Faults { percent: FAULTY_PERCENT, seed };
        let report = storm::run(&local, &Storm { callers: CALLERS, faults }).await;
        let refused: Vec<_> =
            report.refused.iter().map(|(code, calls)| format!("{calls} {code}")).collect();
        println!(
            "| {seed} | {} | {} | {} | {} | {}, {} | {} |",
            report.served,
            report.bill,
            report.charged,
            report.limit,
            report.requests.0,
            report.requests.1,
            refused.join(", ")
        );
        for violation in &report.violations {
            println!("VIOLATION: seed {seed}: {violation}");
        }
        violations += report.violations.len();
    }
    // The same seed, faults, midnight and lower limit.
    let faults = Faults { percent: FAULTY_PERCENT, seed: first };
    let control = storm::control(&local, &Storm { callers: CALLERS, faults }).await;
    println!(
        "control (read, then write): {} served, {} billed, limit {}; requests {}, {} failed",
        control.served, control.bill, control.limit, control.requests.0, control.requests.1
    );
    println!("storm: {runs} runs, {violations} violations");
    if violations == 0 && !control.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
