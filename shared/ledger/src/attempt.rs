//! One call in one scope: the machines that a driver performs.
//!
//! A driver asks [`Reserve::step`] or [`Ending::step`] what to do, does it (one request with a
//! limit of [`ATTEMPT_TIMEOUT_MS`], no retry of its own), and tells the answer. Time and jitter
//! are arguments. A machine that is dropped has crashed: what it left is repaired by the queue
//! or the sweep.

mod ending;
mod entry;
mod extend;
mod reserve;
mod sweep;
mod wait;

pub use ending::{Ended, Ending, still_open};
pub use entry::{Entry, Posted, Span};
pub use extend::{Extend, Extended, Extension};
pub(crate) use reserve::refusing;
pub use reserve::{Admission, Refusal, Reserve, Reserved, Shortfall, Why};
pub use sweep::{Sweep, Swept};
pub use wait::{Wait, Waiting};

use farebox_core::Timestamp;

use crate::Error;
use crate::item::{Item, Key};
use crate::update::{Transaction, Update};

/// The limit of one request (W2).
pub const ATTEMPT_TIMEOUT_MS: u32 = 300;
/// All of a reserve (W2).
pub const RESERVE_TOTAL_MS: i64 = 2_000;
/// All of an extension: the stream stands still meanwhile.
pub const EXTEND_TOTAL_MS: i64 = 2_000;
/// All of an ending (W2).
pub const ENDING_TOTAL_MS: i64 = 6_000;
/// No reserve is signed later than this after the rid's time (W3): the sweep relies on it.
pub const RESERVE_WINDOW_MS: i64 = 30_000;
/// Requests without a definite answer before a machine gives up (W2).
const ATTEMPTS_MAX: u32 = 4;
/// Changes of the terms that one machine follows; they do not count as attempts.
const STALE_MAX: u32 = 3;
const PAUSE_MIN_MS: u64 = 20;
const PAUSE_MAX_MS: u64 = 200;

/// What a driver does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Send this write, asking for the old item where its condition fails.
    Send(Update),
    /// Send these writes as one transaction, asking for the old items.
    Transact(Transaction),
    /// Read this item, strongly consistent, and tell [`Ending::observe_item`].
    Read(Key),
    /// Wait.
    Pause {
        /// How long.
        ms: u32,
    },
    /// It is over; every further step says the same.
    Done(T),
}

/// What the store said (W4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Applied.
    Applied,
    /// The condition failed on this old item; `None` where there is no item.
    ConditionFailed(Option<Item>),
    /// The transaction was cancelled: one verdict an action.
    Cancelled(Vec<Verdict>),
    /// Definitely not applied; may be sent again.
    Throttled,
    /// Perhaps applied: a timeout, a broken connection, a 5xx.
    Ambiguous,
    /// Definitely not applied, and never will be: the text says why.
    Rejected(String),
}

/// Why one action of a transaction did not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was wrong with this action.
    Passed,
    /// Its condition failed on this old item.
    ConditionFailed(Option<Item>),
    /// Another write was under way; may be sent again.
    Conflict,
}

/// Why a machine could not finish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The scope has no budget item: a fault of the configuration.
    #[error("the scope has no budget")]
    NoBudget,
    /// The item cannot be read.
    #[error(transparent)]
    Item(#[from] Error),
    /// Another hold stands under the same rid: a bug. Raise an alarm.
    #[error("another hold stands under this request id")]
    HoldConflict,
    /// The store throttled every attempt.
    #[error("the ledger is throttled")]
    Throttled,
    /// No attempt had a definite answer.
    #[error("the ledger did not answer")]
    NoAnswer,
    /// The time was over before a first attempt, or the rid is too old.
    #[error("too late for this request id")]
    TooLate,
    /// The terms changed again and again.
    #[error("the budget's terms keep changing")]
    Stale,
    /// Void and fence kept meeting a hold.
    #[error("a lost reserve keeps landing")]
    Alternation,
    /// The archive that a correction belongs to is gone.
    #[error("the archive of the month is gone")]
    NoArchive,
    /// The store refused the request as such.
    #[error("the ledger refused the request: {0}")]
    Rejected(String),
    /// A condition failed on an item that fulfils it: a bug. Raise an alarm.
    #[error("a condition failed without a reason")]
    Unexplained,
}

/// Attempts and time of one machine.
#[derive(Clone, Debug)]
struct Pace {
    started: Timestamp,
    total_ms: i64,
    attempts: u32,
    pause_ms: Option<u32>,
    cause: Cause,
}

impl Pace {
    const fn new(started: Timestamp, total_ms: i64) -> Self {
        Self { started, total_ms, attempts: 0, pause_ms: None, cause: Cause::TooLate }
    }

    /// Why nothing more may be sent, if so.
    fn spent(&self, now: Timestamp) -> Option<Cause> {
        let left = self.total_ms.saturating_sub(now.since(self.started));
        let is_over = self.attempts >= ATTEMPTS_MAX || left < i64::from(ATTEMPT_TIMEOUT_MS);
        is_over.then(|| self.cause.clone())
    }

    /// An attempt had no definite answer, or was throttled.
    fn inconclusive(&mut self, cause: Cause, jitter: u64) {
        self.attempts = self.attempts.saturating_add(1);
        self.cause = cause;
        let span = jitter.checked_rem(PAUSE_MAX_MS - PAUSE_MIN_MS + 1).unwrap_or_default();
        let ms = u32::try_from(PAUSE_MIN_MS.saturating_add(span)).unwrap_or_default();
        self.pause_ms = (self.attempts < ATTEMPTS_MAX).then_some(ms);
    }

    /// A definite answer led to another write, which has attempts of its own.
    const fn progressed(&mut self) {
        self.attempts = 0;
    }
}
