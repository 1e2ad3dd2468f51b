//! `cargo prove kill`: SIGKILL of the chat function at each boundary between it and the network.

use std::process::ExitCode;

use farebox_tests::kill::{SCENARIOS, campaign};

use crate::contrast::local;

pub fn run(words: &[String]) -> ExitCode {
    let wanted = words.first().map(String::as_str).unwrap_or_default();
    let scenarios: Vec<_> =
        SCENARIOS.iter().filter(|scenario| scenario.name.contains(wanted)).copied().collect();
    let report = farebox_tests::run(campaign(&local(), &scenarios, 1));
    println!("| kind of call | kill points |");
    println!("|---|---|");
    for (name, points) in &report.points {
        println!("| {name} | {points} |");
    }
    println!(
        "kill: {} points; {} budgets charged exactly the bill, {} the hold of an end that nobody \
         knows, {} such a hold with no row, {} wrongly",
        report.points.values().sum::<usize>(),
        report.exact,
        report.provisional,
        report.untold,
        report.violations.len(),
    );
    for violation in &report.violations {
        println!("VIOLATION: {violation}");
    }
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
