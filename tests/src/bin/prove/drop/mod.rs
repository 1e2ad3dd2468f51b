//! `cargo prove drop`: one call of the real chat function, dropped at each of its awaits.
//!
//! The function runs whole, from the request to the last byte, above the real SDK: its AWS is the
//! simulated one of `cargo prove simulate`, its provider the demo provider on a real socket, and
//! time is virtual. At the n-th await every future of the process is dropped at once, for each n
//! that the call has; requests that are under way then are lost, or arrive all the same. Queue
//! and sweep finish what they can, and the books are compared with the provider's bill.

mod judge;
mod poller;
pub mod stage;

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Instant;

use farebox_ledger::Mode;
use farebox_tests::kill::Shape;

use crate::option;
use judge::{Finding, judge};
use poller::Poller;
use stage::Stage;

thread_local! {
    /// What polls the call that runs on this thread.
    static POLLER: RefCell<Poller> = RefCell::default();
}

/// A kind of call.
pub struct Kind {
    name: &'static str,
    /// The demo provider's model.
    model: &'static str,
    /// The options of the call, as JSON.
    options: &'static str,
    /// The user's limit a day in USD, and its mode.
    of_user: &'static str,
    mode: Mode,
    /// The key's limit a day; else its budget observes.
    of_key: Option<&'static str>,
    /// Shares that the user's budget is divided into.
    shares: u8,
    shape: Shape,
    room_wait_ms: u64,
    /// What the caller is told where nothing dies.
    status: u16,
}

/// A whole answer of a user with much money.
pub const ROOMY: Kind = Kind { name: "counted", of_user: "1000", ..BUFFERED };

const BUFFERED: Kind = Kind {
    name: "buffered",
    model: "demo/chat",
    options: r#"{"max_tokens": 50}"#,
    of_user: "1",
    mode: Mode::Hard,
    of_key: None,
    shares: 0,
    shape: Shape::Chat,
    room_wait_ms: 0,
    status: 200,
};

const STREAMED: &str = r#"{"max_tokens": 50, "stream": true}"#;

/// Every kind.
const KINDS: &[Kind] = &[
    BUFFERED,
    Kind { name: "streamed", options: STREAMED, ..BUFFERED },
    Kind {
        name: "Anthropic's format, streamed",
        model: "demo/claude",
        options: STREAMED,
        ..BUFFERED
    },
    Kind { name: "refused by one of two", of_key: Some("0.0000001"), status: 402, ..BUFFERED },
    Kind { name: "cap lowered to the room", options: "{}", of_user: "0.004", ..BUFFERED },
    Kind { name: "refused by the provider", model: "demo/busy", status: 429, ..BUFFERED },
    Kind { name: "fallback after a refusal by the provider", model: "onward", ..BUFFERED },
    Kind { name: "failed at the provider", model: "demo/fail", status: 502, ..BUFFERED },
    Kind { name: "cut by the provider", model: "demo/cut", options: STREAMED, ..BUFFERED },
    Kind {
        name: "metered and extended",
        model: "demo/long",
        options: r#"{"stream": true}"#,
        mode: Mode::Balanced,
        ..BUFFERED
    },
    Kind {
        name: "metered and cut",
        model: "demo/long",
        options: "{}",
        of_user: "0.0045",
        mode: Mode::Balanced,
        ..BUFFERED
    },
    Kind { name: "with an Idempotency-Key", shape: Shape::Keyed, ..BUFFERED },
    Kind { name: "of a divided budget", shares: 2, ..BUFFERED },
    Kind {
        name: "an embedding",
        shape: Shape::Embedding,
        model: "demo/embed",
        options: "{}",
        ..BUFFERED
    },
    Kind { name: "waiting for room", shape: Shape::Waiting, room_wait_ms: 5_000, ..BUFFERED },
];

/// Seeds of the faulty network that each kind is also dropped on.
const FAULTY_SEEDS: u64 = 1;

/// What the drops of a kind came to.
#[derive(Default)]
struct Report {
    awaits: u64,
    drops: u64,
    /// By [`Finding`]: exact, provisional, worst, untold.
    counts: [u64; 4],
    violations: Vec<String>,
}

pub fn run(words: &[String]) -> ExitCode {
    let faulty = option(words, "--faulty-seeds").unwrap_or(FAULTY_SEEDS);
    let wanted = words.first().filter(|word| !word.starts_with("--")).cloned().unwrap_or_default();
    let (began, mut drops, mut is_sound) = (Instant::now(), 0, true);
    println!("| kind of call | awaits | drop points | exact | provisional | worst | untold |");
    println!("|---|---|---|---|---|---|---|");
    for kind in KINDS.iter().filter(|kind| kind.name.contains(&wanted)) {
        let report = drop_at_each(kind, faulty, &[false, true], 1);
        let [exact, provisional, worst, untold] = report.counts;
        println!(
            "| {} | {} | {} | {exact} | {provisional} | {worst} | {untold} |",
            kind.name, report.awaits, report.drops,
        );
        report.violations.iter().for_each(|violation| println!("VIOLATION: {violation}"));
        is_sound &= report.violations.is_empty();
        drops += report.drops;
    }
    println!("drop: {drops} drop points, {} s", began.elapsed().as_secs());
    if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Drops a kind of call at every `step`-th await, on a good network and on faulty ones; what is
/// under way then is lost, or arrives.
fn drop_at_each(kind: &'static Kind, faulty_seeds: u64, losses: &[bool], step: usize) -> Report {
    let mut report = Report::default();
    for seed in 0..=faulty_seeds {
        let is_faulty = seed > 0;
        for loses in losses.iter().copied() {
            for at in (0..).step_by(step) {
                let (awaits, is_dead, findings) = drop_at(kind, seed, is_faulty, Some(at), loses);
                let place = format!("{} at await {at}, seed {seed}, lost {loses}", kind.name);
                report.add(&place, findings);
                if !is_dead {
                    report.awaits = report.awaits.max(awaits);
                    break;
                }
                report.drops += 1;
            }
        }
    }
    report
}

/// One call that dies at an await, and what becomes of its money.
fn drop_at(
    kind: &'static Kind,
    seed: u64,
    is_faulty: bool,
    dies_at: Option<u64>,
    loses: bool,
) -> (u64, bool, Vec<Result<Finding, String>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut stage = Stage::new(kind, seed, is_faulty).await;
        let (awaits, is_dead, told) = stage.call(stage.gate(), dies_at, loses).await;
        let mut findings = Vec::new();
        if !is_dead && !is_faulty && told != Some(kind.status) {
            findings.push(Err(format!("the caller is told {told:?}, not {}", kind.status)));
        }
        findings.extend(judge(&mut stage, is_dead).await);
        (awaits, is_dead, findings)
    })
}

impl Report {
    fn add(&mut self, place: &str, findings: Vec<Result<Finding, String>>) {
        for finding in findings {
            match finding {
                Ok(finding) => self.counts[finding as usize] += 1,
                Err(wrong) => self.violations.push(format!("{place}: {wrong}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A short form of `cargo prove drop`.
    #[test]
    fn a_call_that_is_dropped_at_an_await_leaves_books_that_cover_its_bill() {
        for kind in KINDS {
            let step = if kind.mode == Mode::Balanced { 331 } else { 13 };
            let report = drop_at_each(kind, 0, &[false], step);

            assert_eq!(report.violations, Vec::<String>::new(), "cargo prove drop");
            assert!(report.drops > 1, "{}: {} drop points", kind.name, report.drops);
            println!("{}: {} awaits, {} drop points", kind.name, report.awaits, report.drops);
        }
    }
}
