//! `cargo prove model`: every state of small worlds, and the mutants that die in them.
//!
//! The model is `shared/ledger/tests/model`: the ledger's real machines and writes in a world
//! that loses, delays and repeats. Words name the configurations to explore; none asks for all of
//! them and for every mutant.

use std::process::ExitCode;
use std::time::Instant;

use crate::model::{CONFIGS, MUTANTS, World, explore};

pub fn run(words: &[String]) -> ExitCode {
    let is_asked = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    let mut is_sound = true;
    println!(
        "| configuration | states | transitions | depth | s | broken |\n|---|---|---|---|---|---|"
    );
    for config in CONFIGS.iter().filter(|config| is_asked(config.name)) {
        let began = Instant::now();
        let found = explore(World { config: *config, mutant: None });
        let (name, seconds) = (config.name, began.elapsed().as_secs());
        let (states, transitions, depth) = (found.states, found.transitions, found.depth);
        let broken =
            if found.broken.is_empty() { "none".to_owned() } else { found.broken.join("; ") };
        println!("| `{name}` | {states} | {transitions} | {depth} | {seconds} | {broken} |");
        is_sound &= found.broken.is_empty();
    }
    let mutants = MUTANTS.iter().filter(|(.., name)| is_asked(name));
    println!(
        "\n| mutant | what is broken | configuration | states | caught by |\n|---|---|---|---|---|"
    );
    let (mut killed, mut all) = (0, 0);
    for (mutant, what, name) in mutants {
        let config = *CONFIGS.iter().find(|config| config.name == *name).expect("a known name");
        let found = explore(World { config, mutant: Some(*mutant) });
        let broken =
            if found.broken.is_empty() { "LIVES".to_owned() } else { found.broken.join("; ") };
        println!("| `{mutant:?}` | {what} | `{name}` | {} | {broken} |", found.states);
        (killed, all) = (killed + usize::from(!found.broken.is_empty()), all + 1);
    }
    println!("\nmodel: {killed} of {all} mutants killed");
    if is_sound && killed == all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
