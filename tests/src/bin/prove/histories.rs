//! `cargo prove histories`: histories of concurrent calls over a faulty network in virtual time.
//!
//! One history is one seed: calls with the real machines of `farebox-ledger`, requests that are
//! lost, late, doubled, throttled or applied without an answer, crashes, the queue, the sweep,
//! periods that end, limits that change. The world is `shared/ledger/tests/world/mod.rs`; it checks
//! the invariants after every step and at rest.

use std::process::ExitCode;

use crate::seeds::{Campaign, Random, Until, kept};
use crate::world::World;

/// Histories of a run that names neither a number nor a time.
const SEEDS: u64 = 100_000;
/// A history has fewer steps than this.
const STEPS_MAX: u64 = 400;

pub fn run(words: &[String]) -> ExitCode {
    campaign().run(words, Until::Seeds(SEEDS))
}

fn campaign() -> Campaign<()> {
    Campaign { name: "histories", kept: kept("histories.kept"), history, add: |(), ()| {} }
}

/// One history, the same for one seed for ever.
fn history(seed: u64) {
    let mut random = Random(seed);
    let mut limit = || (random.below(3) > 0).then(|| i128::from(random.below(150)));
    let limits = [limit(), limit(), limit()];
    let mut world = World::new(limits, random.below(2) == 0);
    for _ in 0..random.below(STEPS_MAX) {
        let [what, whom, how, ..] = random.next().to_le_bytes();
        world.step(what, whom, how);
    }
    world.rest(random.below(2) == 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A short form of `cargo prove histories`, with every seed that has ever failed.
    #[test]
    fn no_history_breaks_an_invariant() {
        assert_eq!(campaign().all(Until::Seeds(300)).failed, Vec::<u64>::new());
    }
}
