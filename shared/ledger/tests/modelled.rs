//! The short form of the model check: the smallest world whole, and mutants that it kills.

use crate::model::check::{Explored, Until, search};
use crate::model::shares::{self, Hot};
use crate::model::{CONFIGS, Config, MUTANTS, Mutant, World, explore};

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
fn no_state_of_a_small_divided_budget_breaks_an_invariant() {
    let config = *shares::CONFIGS.iter().find(|config| config.name == "shares-small").unwrap();

    let explored = shares::explore(Hot { config, mutant: None });

    assert!(explored.broken.is_empty(), "{:?}", explored.broken);
    println!("{} states, {} transitions", explored.states, explored.transitions);
}

/// Those that die within seconds also in a debug build: the first in the smallest world. The others
/// die in `.ci/run`, which asks for all.
const FIRST: [Mutant; 5] = [
    Mutant::BlindSweep,
    Mutant::NoTombstone,
    Mutant::NoAdjust,
    Mutant::SettleUncond,
    Mutant::VoidOnUnknown,
];
const QUICK: [Mutant; 3] = [Mutant::SettleExists, Mutant::MismatchDone, Mutant::UnconfirmedUse];
const QUICK_SHARES: [shares::Mutant; 4] = [
    shares::Mutant::SplitDraw,
    shares::Mutant::FreshPool,
    shares::Mutant::OffForgets,
    shares::Mutant::GrantUncounted,
];

#[expect(clippy::disallowed_methods, reason = "a test is asked for more by its environment")]
fn is_all() -> bool {
    std::env::var_os("FAREBOX_MODEL_MUTANTS").is_some()
}

fn assert_dies(mutant: &str, broken: &str, search: impl Fn() -> Explored) {
    let (began, found) = (std::time::Instant::now(), search());
    let seconds = began.elapsed().as_secs_f32();
    println!("{mutant}: {:?} after {} states, {seconds:.1} s", found.broken, found.states);
    assert!(!found.broken.is_empty(), "{mutant} lives: {broken}");
}

#[test]
fn mutants_of_the_protocol_die() {
    for (mutant, broken, name) in MUTANTS {
        let config = match FIRST.contains(mutant) {
            true => smallest(),
            false if is_all() || QUICK.contains(mutant) => named(name),
            false => continue,
        };
        let search = || explore(World { config, mutant: Some(*mutant) });
        assert_dies(&format!("{mutant:?}"), broken, search);
    }
}

#[test]
fn mutants_of_a_divided_budget_die() {
    for (mutant, broken, name) in shares::MUTANTS {
        if !is_all() && !QUICK_SHARES.contains(mutant) {
            continue;
        }
        let config = *shares::CONFIGS.iter().find(|config| config.name == *name).unwrap();
        let search = || shares::explore(Hot { config, mutant: Some(*mutant) });
        assert_dies(&format!("{mutant:?}"), broken, search);
    }
}

/// A sweep of a call that still runs takes nothing from it: only late reserves can hurt.
#[test]
fn no_state_of_a_call_that_is_swept_alive_breaks_an_invariant() {
    let explored = explore(World { config: named("alive"), mutant: None });

    assert!(explored.broken.is_empty(), "{:?}", explored.broken);
    println!("{} states, {} transitions", explored.states, explored.transitions);
}
