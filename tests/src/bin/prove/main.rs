//! `cargo prove WHAT`: the campaigns that are too slow for every change, one row each.
//!
//! A campaign prints its figures, says what it did not find within which bound, and exits with 1
//! where it found something.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a campaign stops at the first surprise, and prints"
)]

mod budgets;
mod contrast;
mod counts;
mod drop;
mod explore;
mod histories;
mod hot;
mod kill;
// The model, the interpreter of the ledger's expressions and the world around it are the ledger's
// own tests.
#[path = "../../../../shared/ledger/tests/model/mod.rs"]
mod model;
mod mutants;
mod network;
// The demo provider stands in `infra`, which nothing imports.
#[expect(unused_imports, reason = "its other users name a price's type")]
#[path = "../../../../infra/local/src/provider/mod.rs"]
mod provider;
mod seeds;
mod storm;
#[path = "../../../../shared/ledger/tests/support/mod.rs"]
mod support;
#[path = "../../../../shared/ledger/tests/world/mod.rs"]
mod world;

use std::process::ExitCode;

/// A campaign: its name, what it shows, and the function that takes the words after the name.
type Command = (&'static str, &'static str, fn(&[String]) -> ExitCode);

const COMMANDS: &[Command] = &[
    ("budgets", "one pass of the scheduler over 1,000 to 100,000 budgets: [N ...]", budgets::run),
    (
        "contrast",
        "the provider's bill beside the budget, and two gateways that overspend: [words of a row]",
        contrast::run,
    ),
    ("counts", "the AWS calls and write units of a chat, by scopes and open holds", counts::run),
    (
        "drop",
        "one call of chat, dropped at each of its awaits: [words of a kind] [--faulty-seeds N]",
        drop::run,
    ),
    (
        "histories",
        "the ledger's machines on a faulty network: [--seeds N | --minutes N | --seed N]",
        histories::run,
    ),
    (
        "hot",
        "calls a second on one budget, whole and divided into shares: [--hold SECONDS]",
        hot::run,
    ),
    (
        "kill",
        "chat killed at each boundary between it and the network: [words of a kind]",
        kill::run,
    ),
    (
        "mutants",
        "the rules of money broken in one place at a time: [words for cargo-mutants]",
        mutants::run,
    ),
    ("model", "every state of small worlds, and the mutants that die: [names]", explore::run),
    (
        "storm",
        "1,000 callers, five budgets, faulty AWS, midnight, a lower limit: [--runs N] [--seed N]",
        storm::run,
    ),
    (
        "simulate",
        "the real SDK on a faulty network in virtual time: [--seeds N | --minutes N | --seed N]",
        network::run,
    ),
];

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let asked = if words.is_empty() { String::new() } else { words.remove(0) };
    let Some((_, _, run)) = COMMANDS.iter().find(|(name, ..)| *name == asked) else {
        eprintln!("cargo prove WHAT, where WHAT is one of");
        for (name, shows, _) in COMMANDS {
            eprintln!("  {name:<10} {shows}");
        }
        return ExitCode::from(2);
    };
    run(&words)
}

/// The number after an option, where the option is there.
fn option(words: &[String], name: &str) -> Option<u64> {
    let at = words.iter().position(|word| word == name)?;
    let value = words.get(at + 1).and_then(|word| word.parse().ok());
    Some(value.unwrap_or_else(|| panic!("{name} needs a number")))
}
