//! `cargo prove mutants`: cargo-mutants on the rules of money, and whether each survivor was
//! reviewed.
//!
//! It needs `cargo install cargo-mutants --locked`. `docs/mutants.md` has the survivors that are
//! known, each with its reason; another one is a failure.

use std::path::Path;
use std::process::{Command, ExitCode};

/// What is mutated: prices, budgets, the machines, decisions and writes, shares, claims, rate
/// limits and alerts.
const FILES: [&str; 12] = [
    "shared/core/src/pricing.rs",
    "shared/core/src/pricing/**",
    "shared/ledger/src/budget.rs",
    "shared/ledger/src/attempt.rs",
    "shared/ledger/src/attempt/**",
    "shared/ledger/src/decision.rs",
    "shared/ledger/src/update.rs",
    "shared/ledger/src/update/**",
    "shared/ledger/src/share.rs",
    "shared/ledger/src/claim.rs",
    "shared/ledger/src/rate.rs",
    "shared/ledger/src/alert.rs",
];
/// Histories of the property test for each mutant: enough for what it kills.
const SEQUENCES: &str = "100";
const SURVIVORS: &str = "target/mutants.out/missed.txt";
const REVIEWED: &str = "docs/mutants.md";

pub fn run(words: &[String]) -> ExitCode {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--output", "target", "--cap-lints=true", "--timeout", "120"]);
    command.args(["--package", "farebox-core", "--package", "farebox-ledger"]);
    for file in FILES {
        command.args(["--file", file]);
    }
    command.args(words).env("FAREBOX_SEQUENCES", SEQUENCES);
    // Its own status is a failure wherever anything survives; the list decides here.
    command.status().expect("cargo install cargo-mutants --locked");
    let read =
        |path: &str| std::fs::read_to_string(Path::new(path)).expect("run it in the repository");
    let (survivors, reviewed) = (read(SURVIVORS), read(REVIEWED));
    let unknown: Vec<_> = survivors.lines().filter(|one| !is_reviewed(one, &reviewed)).collect();
    println!("mutants: {} survivors, {} not reviewed", survivors.lines().count(), unknown.len());
    unknown.iter().for_each(|one| println!("SURVIVES: {one}"));
    if unknown.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a line of the list names the file and the mutation; lines of code move, so where it
/// stands does not count.
fn is_reviewed(survivor: &str, reviewed: &str) -> bool {
    let mut parts = survivor.splitn(4, ':');
    let (Some(file), Some(mutation)) = (parts.next(), parts.nth(2)) else { return false };
    reviewed.lines().any(|line| line.contains(file) && line.contains(mutation.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_is_reviewed_where_the_list_has_its_file_and_its_mutation() {
        let list = "| `shared/a.rs` | `replace > with >= in f` | they are equal |";

        assert!(is_reviewed("shared/a.rs:1:2: replace > with >= in f", list));
        assert!(!is_reviewed("shared/b.rs:1:2: replace > with >= in f", list));
        assert!(!is_reviewed("shared/a.rs:1:2: replace > with == in f", list));
        assert!(!is_reviewed("", list));
    }
}
