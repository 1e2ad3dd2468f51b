//! `cargo prove simulate`: the real ledger, logger and scheduler under the real SDK, on a faulty
//! network in virtual time.
//!
//! One history is one seed. Calls claim their key, reserve, meet a provider, extend, end and are
//! logged, as chat does it; some of their processes die at any moment (their futures are dropped).
//! Meanwhile the owner changes limits and zones, divides a budget and unites it. Beneath the SDK
//! every request may be lost, late by up to five minutes, doubled, throttled, not sent, or done
//! and told as failed. Then queue and sweep finish, and the books are compared with the provider's
//! bill.

mod carrier;
pub mod history;
mod owner;
pub mod services;
mod sums;

use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::time::Duration;

use farebox_core::Timestamp;

use crate::seeds::{Campaign, Random, Until, kept};
use history::{Outcome, history};

/// A run that names neither a number nor a time takes half an hour.
const TIME: Duration = Duration::from_secs(30 * 60);

thread_local! {
    pub static BEGAN: Cell<Option<(tokio::time::Instant, Timestamp)>> = const { Cell::new(None) };
    static CHANCE: RefCell<Random> = const { RefCell::new(Random(0)) };
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
    campaign().run(words, Until::Time(TIME))
}

fn campaign() -> Campaign<Outcome> {
    Campaign { name: "simulate", kept: kept("network/kept"), history, add: Outcome::add }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::Found;

    /// A short form of `cargo prove simulate`, with every seed that has ever failed.
    #[test]
    fn the_books_cover_the_bill_under_the_real_sdk_on_a_faulty_network() {
        let Found { failed, sum, .. } = campaign().all(Until::Seeds(60));

        assert_eq!(failed, Vec::<u64>::new(), "cargo prove simulate --seed N");
        assert!(sum.served > 60 && sum.refused > 20 && sum.died > 20, "{sum:?}");
        assert!(sum.extended > 5 && sum.repeated > 5, "{sum:?}");
        assert!(sum.changed > 20 && sum.divided > 5, "{sum:?}");
        assert!(sum.faults * 20 > sum.requests, "{sum:?}");
    }

    #[test]
    fn a_seed_is_the_same_history_each_time() {
        for seed in 1..6 {
            assert_eq!(history(seed), history(seed), "{seed}");
        }
    }
}
