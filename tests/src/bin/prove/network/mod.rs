//! `cargo prove network`: the real ledger, logger and scheduler under the real SDK, on a faulty
//! network in virtual time.
//!
//! One history is one seed. Calls reserve, meet a provider, end and are logged, as chat does it;
//! some of their processes die at any moment (their futures are dropped). Beneath the SDK every
//! request may be lost, late by up to five minutes, doubled, throttled, not sent, or done and told
//! as failed. Then queue and sweep finish, and the books are compared with the provider's bill.

mod carrier;
pub mod history;
pub mod services;
mod sums;

use std::cell::{Cell, RefCell};
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use farebox_core::Timestamp;

use crate::option;
use history::{Outcome, history};

/// Histories of a run that names neither a number nor a time.
const SEEDS: u64 = 2_000;

thread_local! {
    pub static BEGAN: Cell<Option<(tokio::time::Instant, Timestamp)>> = const { Cell::new(None) };
    static CHANCE: RefCell<Random> = const { RefCell::new(Random(0)) };
}

/// SplitMix64: every seed has its own sequence.
pub struct Random(u64);

impl Random {
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// The virtual time of this thread's history.
pub fn now() -> Timestamp {
    let (began, start) = BEGAN.get().expect("a history runs");
    let elapsed = i64::try_from(began.elapsed().as_millis()).expect("a short history");
    start.plus_ms(elapsed)
}

fn chance() -> u64 {
    CHANCE.with_borrow_mut(Random::next)
}

pub fn run(words: &[String]) -> ExitCode {
    if let Some(seed) = option(words, "--seed") {
        println!("seed {seed}: no violation. {:?}", history(seed));
        return ExitCode::SUCCESS;
    }
    let minutes = option(words, "--minutes");
    let last = match minutes {
        Some(_) => u64::MAX,
        None => option(words, "--seeds").unwrap_or(SEEDS),
    };
    let time = minutes.map(|minutes| Duration::from_secs(minutes * 60));
    let began = Instant::now();
    let (seeds, failed, sum) = all(last, |began| time.is_none_or(|time| began.elapsed() < time));
    for seed in &failed {
        println!("VIOLATION: cargo prove network --seed {seed}");
    }
    if failed.is_empty() {
        let seconds = began.elapsed().as_secs();
        println!("network: no violation in {seeds} seeds ({seconds} s). {sum:?}");
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

/// Histories on every core until `last`, or as long as `goes_on`.
fn all(last: u64, goes_on: impl Fn(Instant) -> bool + Sync) -> (u64, Vec<u64>, Outcome) {
    let (next, began) = (AtomicU64::new(0), Instant::now());
    let found = Mutex::new((Vec::new(), Outcome::default()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while goes_on(began) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last {
                        break;
                    }
                    let result = catch_unwind(|| history(seed));
                    let mut found = found.lock().unwrap();
                    match result {
                        Ok(outcome) => found.1.add(&outcome),
                        Err(_) => found.0.push(seed),
                    }
                }
            });
        }
    });
    let (failed, sum) = found.into_inner().unwrap();
    (next.into_inner().min(last), failed, sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A short form of `cargo prove network`.
    #[test]
    fn the_books_cover_the_bill_under_the_real_sdk_on_a_faulty_network() {
        let (_, failed, sum) = all(60, |_| true);

        assert_eq!(failed, Vec::<u64>::new(), "cargo prove network --seed N");
        assert!(sum.served > 60 && sum.refused > 20 && sum.died > 20, "{sum:?}");
        assert!(sum.faults * 20 > sum.requests, "{sum:?}");
    }

    #[test]
    fn a_seed_is_the_same_history_each_time() {
        for seed in 1..6 {
            assert_eq!(history(seed), history(seed), "{seed}");
        }
    }
}
