//! `cargo prove model`: every state of small worlds, and the mutants that die in them.
//!
//! The model is `shared/ledger/tests/model`: the ledger's real machines and writes in a world
//! that loses, delays and repeats. Words name the configurations to explore; none asks for all of
//! them and for every mutant. `--most N` stops each world after N transitions, and says so: the
//! larger ones take hours.

use std::process::ExitCode;
use std::time::Instant;

use crate::model::check::{Explored, Until, search};
use crate::model::shares::{self, Hot};
use crate::model::{CONFIGS, MUTANTS, World, explore};
use crate::option;

/// A world by name, whole or with a mutant: what is broken in it, and its search.
type Row = (&'static str, String, &'static str, Box<dyn Fn() -> Explored>);

pub fn run(words: &[String]) -> ExitCode {
    let most = option(words, "--most");
    let until = most.map_or(Until::Whole, |most| {
        Until::Transitions(usize::try_from(most).expect("a number of transitions"))
    });
    let names: Vec<_> = words.iter().take_while(|word| !word.starts_with("--")).collect();
    for asked in &names {
        let is_one = wholes(until).iter().any(|(name, ..)| name == asked);
        assert!(is_one, "no configuration is called {asked}");
    }
    let is_asked = |row: &Row| names.is_empty() || names.iter().any(|name| *name == row.0);
    let mut is_sound = true;
    println!(
        "| configuration | states | transitions | depth | s | broken | whole |\n\
         |---|---|---|---|---|---|---|"
    );
    for (name, .., search) in wholes(until).into_iter().filter(is_asked) {
        let began = Instant::now();
        let found = search();
        let seconds = began.elapsed().as_secs();
        let (states, transitions, depth) = (found.states, found.transitions, found.depth);
        let broken =
            if found.broken.is_empty() { "none".to_owned() } else { found.broken.join("; ") };
        let whole = if found.is_whole { "yes" } else { "no" };
        println!(
            "| `{name}` | {states} | {transitions} | {depth} | {seconds} | {broken} | {whole} |"
        );
        is_sound &= found.broken.is_empty();
    }
    println!(
        "\n| mutant | what is broken | configuration | states | caught by |\n|---|---|---|---|---|"
    );
    let (mut killed, mut all) = (0, 0);
    for (name, mutant, what, search) in mutants().into_iter().filter(is_asked) {
        let found = search();
        let broken =
            if found.broken.is_empty() { "LIVES".to_owned() } else { found.broken.join("; ") };
        println!("| `{mutant}` | {what} | `{name}` | {} | {broken} |", found.states);
        (killed, all) = (killed + usize::from(!found.broken.is_empty()), all + 1);
    }
    println!("\nmodel: {killed} of {all} mutants killed");
    if is_sound && killed == all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wholes(until: Until) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for config in CONFIGS {
        let search = move || search(World { config: *config, mutant: None }, until);
        rows.push((config.name, String::new(), "", Box::new(search)));
    }
    for config in shares::CONFIGS {
        let search = move || search(Hot { config: *config, mutant: None }, until);
        rows.push((config.name, String::new(), "", Box::new(search)));
    }
    rows
}

fn mutants() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (mutant, what, name) in MUTANTS {
        let config = *CONFIGS.iter().find(|config| config.name == *name).expect("a known name");
        let search = move || explore(World { config, mutant: Some(*mutant) });
        rows.push((name, format!("{mutant:?}"), what, Box::new(search)));
    }
    for (mutant, what, name) in shares::MUTANTS {
        let config = shares::CONFIGS.iter().find(|config| config.name == *name);
        let config = *config.expect("a known name");
        let search = move || shares::explore(Hot { config, mutant: Some(*mutant) });
        rows.push((name, format!("{mutant:?}"), what, Box::new(search)));
    }
    rows
}
