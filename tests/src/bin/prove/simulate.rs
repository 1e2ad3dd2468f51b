//! `cargo prove simulate`: histories of concurrent calls over a faulty network in virtual time.
//!
//! One history is one seed: calls with the real machines of `farebox-ledger`, requests that are
//! lost, late, doubled, throttled or applied without an answer, crashes, the queue, the sweep,
//! periods that end, limits that change. The world is `shared/ledger/tests/world/mod.rs`; it checks
//! the invariants after every step and at rest.

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::option;
use crate::world::World;

/// Histories of a run that names neither a number nor a time.
const SEEDS: u64 = 100_000;
/// A history has fewer steps than this.
const STEPS_MAX: u64 = 400;

pub fn run(words: &[String]) -> ExitCode {
    if let Some(seed) = option(words, "--seed") {
        history(seed);
        println!("seed {seed}: no violation");
        return ExitCode::SUCCESS;
    }
    let minutes = option(words, "--minutes");
    let last = match minutes {
        Some(_) => u64::MAX,
        None => option(words, "--seeds").unwrap_or(SEEDS),
    };
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let (began, time) = (Instant::now(), minutes.map(|minutes| Duration::from_secs(minutes * 60)));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while time.is_none_or(|time| began.elapsed() < time) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last {
                        break;
                    }
                    if catch_unwind(|| history(seed)).is_err() {
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let (seeds, seconds) = (next.into_inner().min(last), began.elapsed().as_secs());
    let failed = failed.into_inner().unwrap();
    for seed in &failed {
        println!("VIOLATION: cargo prove simulate --seed {seed}");
    }
    if failed.is_empty() {
        println!("simulate: no violation in {seeds} seeds ({seconds} s)");
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
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

/// SplitMix64: every seed has its own sequence.
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
