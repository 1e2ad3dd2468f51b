//! Histories by seed: on every core, as many as asked for or as a time gives.
//!
//! A seed that fails is printed, is the same history again by `--seed`, and is kept in a file of
//! the repository, whose seeds every later run and every `cargo test` begin with.

use std::fmt::Debug;
use std::io::Write as _;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::option;

/// A kind of history.
pub struct Campaign<T> {
    /// The word after `cargo prove`.
    pub name: &'static str,
    /// The file that keeps the seeds that have failed: one a line, before what is said of it.
    pub kept: PathBuf,
    pub history: fn(u64) -> T,
    pub add: fn(&mut T, &T),
}

/// How long a run goes on.
#[derive(Clone, Copy)]
pub enum Until {
    Seeds(u64),
    Time(Duration),
}

/// What a run came to.
pub struct Found<T> {
    pub seeds: u64,
    pub failed: Vec<u64>,
    pub sum: T,
}

/// A file beside the code of a campaign.
pub fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/prove").join(name)
}

impl<T: Debug + Default + Send + RefUnwindSafe> Campaign<T> {
    /// Runs one seed, so many seeds or minutes, or what is usual.
    pub fn run(&self, words: &[String], usual: Until) -> ExitCode {
        if let Some(seed) = option(words, "--seed") {
            println!("seed {seed}: no violation. {:?}", (self.history)(seed));
            return ExitCode::SUCCESS;
        }
        let minutes = option(words, "--minutes");
        let minutes = minutes.map(|minutes| Until::Time(Duration::from_secs(minutes * 60)));
        let until = minutes.or(option(words, "--seeds").map(Until::Seeds)).unwrap_or(usual);
        let began = Instant::now();
        let Found { seeds, failed, sum } = self.all(until);
        for seed in &failed {
            println!("VIOLATION: cargo prove {} --seed {seed}", self.name);
        }
        self.keep(&failed);
        let seconds = began.elapsed().as_secs();
        if failed.is_empty() {
            println!("{}: no violation in {seeds} seeds ({seconds} s). {sum:?}", self.name);
            return ExitCode::SUCCESS;
        }
        let kept = self.kept.display();
        println!("{}: {} of {seeds} seeds failed, kept in {kept}", self.name, failed.len());
        ExitCode::FAILURE
    }

    /// The seeds that are kept, then all others from 0 on.
    pub fn all(&self, until: Until) -> Found<T> {
        let (next, began) = (AtomicU64::new(0), Instant::now());
        let kept = self.seeds_kept();
        let before = u64::try_from(kept.len()).expect("few");
        let goes_on = |at: u64| match until {
            Until::Seeds(seeds) => at < before + seeds,
            Until::Time(time) => at < before || began.elapsed() < time,
        };
        let found = Mutex::new(Found { seeds: 0, failed: Vec::new(), sum: T::default() });
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if !goes_on(at) {
                            break;
                        }
                        let again = usize::try_from(at).ok().and_then(|at| kept.get(at));
                        let seed = again.copied().unwrap_or(at - before.min(at));
                        let result = catch_unwind(|| (self.history)(seed));
                        let mut found = found.lock().unwrap();
                        found.seeds += 1;
                        match result {
                            Ok(one) => (self.add)(&mut found.sum, &one),
                            Err(_) => found.failed.push(seed),
                        }
                    }
                });
            }
        });
        let mut found = found.into_inner().unwrap();
        found.failed.sort_unstable();
        found.failed.dedup();
        found
    }

    fn seeds_kept(&self) -> Vec<u64> {
        let lines = std::fs::read_to_string(&self.kept).unwrap_or_default();
        let words = lines.lines().filter_map(|line| line.split_whitespace().next());
        words.filter_map(|word| word.parse().ok()).collect()
    }

    fn keep(&self, failed: &[u64]) {
        let known = self.seeds_kept();
        let new: Vec<_> = failed.iter().filter(|seed| !known.contains(seed)).collect();
        if new.is_empty() {
            return;
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.kept);
        let mut file = file.expect("run it in the repository");
        for seed in new {
            writeln!(file, "{seed}").expect("the seed is kept");
        }
    }
}

/// SplitMix64: every seed has its own sequence.
pub struct Random(pub u64);

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

#[cfg(test)]
mod tests {
    use super::*;

    fn fails_at_seven(seed: u64) -> u64 {
        assert_ne!(seed, 7, "as it must");
        1
    }

    fn campaign(file: &str) -> Campaign<u64> {
        let kept = std::env::temp_dir().join(farebox_tests::fresh(file));
        Campaign { name: "seeds", kept, history: fails_at_seven, add: |sum, one| *sum += one }
    }

    #[test]
    fn a_seed_that_fails_is_kept_once_and_tried_first() {
        let campaign = campaign("farebox-seeds-");
        std::fs::write(&campaign.kept, "# a seed, and what it found\n40  words\n").unwrap();
        let ten = Until::Seeds(10);

        let first = campaign.all(ten);
        campaign.run(&[], ten);
        campaign.run(&[], ten);

        assert_eq!((first.seeds, first.sum, first.failed), (11, 10, vec![7]));
        assert_eq!(campaign.seeds_kept(), [40, 7]);
        let replayed = campaign.all(Until::Seeds(0));
        assert_eq!((replayed.seeds, replayed.failed), (2, vec![7]));
        std::fs::remove_file(&campaign.kept).unwrap();
    }

    #[test]
    fn a_time_that_is_over_leaves_what_is_kept() {
        let campaign = campaign("farebox-seeds-");

        assert_eq!(campaign.all(Until::Time(Duration::ZERO)).seeds, 0);
        std::fs::write(&campaign.kept, "7\n").unwrap();
        assert_eq!(campaign.all(Until::Time(Duration::ZERO)).failed, [7]);
        std::fs::remove_file(&campaign.kept).unwrap();
    }
}
