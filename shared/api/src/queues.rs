//! What waits behind the calls.

use serde::{Deserialize, Serialize};

/// Messages of the queue between calls and their log, about: SQS counts by sampling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Queues {
    /// Records that the logger has not taken yet.
    pub waiting: u64,
    /// Records that it has in hand.
    pub in_flight: u64,
    /// Records that failed five times: money whose settlement needs a person. Null where the
    /// deployment does not tell.
    pub dead_letters: Option<u64>,
    /// When the scheduler began its last look at all budgets; null before the first.
    pub scanned_at: Option<String>,
}
