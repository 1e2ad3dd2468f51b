//! The short form of the model check: the smallest world whole, and mutants that it kills.

use crate::model::check::{Until, search};
use crate::model::shares::{self, Hot};
use crate::model::{CONFIGS, Config, MUTANTS, Mutant, World, explore};

/// What the smallest world can tell from the protocol.
const FIRST: [Mutant; 5] = [
    Mutant::BlindSweep,
    Mutant::NoTombstone,
    Mutant::NoAdjust,
    Mutant::SettleUncond,
    Mutant::VoidOnUnknown,
];

fn smallest() -> Config {
    named("small")
}

#[test]
fn no_state_of_the_smallest_world_breaks_an_invariant() {
    let explored = explore(World { config: smallest(), mutant: None });

    assert!(explored.broken.is_empty(), "{:?}", explored.broken);
    let (states, transitions) = (explored.states, explored.transitions);
    println!("{states} states, {transitions} transitions, {} deep", explored.depth);
}

#[test]
fn a_search_that_is_stopped_is_not_whole() {
    let world = World { config: smallest(), mutant: None };

    let stopped = search(world.clone(), Until::Transitions(100));
    assert!(!stopped.is_whole && stopped.states > 0, "{} states", stopped.states);
    let whole = search(world.clone(), Until::Transitions(1_000_000));
    assert!(whole.is_whole);
    assert_eq!(whole.states, explore(world).states);
}

#[test]
fn mutants_die_in_the_smallest_world() {
    for (mutant, broken, _) in MUTANTS.iter().filter(|(mutant, ..)| FIRST.contains(mutant)) {
        let explored = explore(World { config: smallest(), mutant: Some(*mutant) });

        println!("{mutant:?}: {:?} after {} states", explored.broken, explored.states);
        assert!(!explored.broken.is_empty(), "{mutant:?} lives: {broken}");
    }
}

fn named(name: &str) -> Config {
    *CONFIGS.iter().find(|config| config.name == name).unwrap()
}

#[test]
fn no_state_of_a_metered_call_breaks_an_invariant() {
    let explored = explore(World { config: named("extend"), mutant: None });

    assert!(explored.broken.is_empty(), "{:?}", explored.broken);
    println!("{} states, {} transitions", explored.states, explored.transitions);
}

#[test]
fn mutants_of_extending_die() {
    // The others die in `cargo prove model`.
    let few = [Mutant::SettleExists, Mutant::MismatchDone, Mutant::UnconfirmedUse];
    for (mutant, broken, name) in MUTANTS.iter().filter(|(mutant, ..)| few.contains(mutant)) {
        let explored = explore(World { config: named(name), mutant: Some(*mutant) });

        println!("{mutant:?}: {:?} after {} states", explored.broken, explored.states);
        assert!(!explored.broken.is_empty(), "{mutant:?} lives: {broken}");
    }
}

#[test]
fn no_state_of_a_small_divided_budget_breaks_an_invariant() {
    let config = *shares::CONFIGS.iter().find(|config| config.name == "shares-small").unwrap();

    let explored = shares::explore(Hot { config, mutant: None });

    assert!(explored.broken.is_empty(), "{:?}", explored.broken);
    println!("{} states, {} transitions", explored.states, explored.transitions);
}

#[test]
fn mutants_die_in_a_small_divided_budget() {
    use shares::Mutant;

    // Those of the larger worlds die in `cargo prove model`.
    let few = [Mutant::SplitDraw, Mutant::FreshPool, Mutant::OffForgets, Mutant::GrantUncounted];
    for (mutant, broken, name) in shares::MUTANTS.iter().filter(|(one, ..)| few.contains(one)) {
        let config = *shares::CONFIGS.iter().find(|config| config.name == *name).unwrap();

        let explored = shares::explore(Hot { config, mutant: Some(*mutant) });

        println!("{mutant:?}: {:?} after {} states", explored.broken, explored.states);
        assert!(!explored.broken.is_empty(), "{mutant:?} lives: {broken}");
    }
}
