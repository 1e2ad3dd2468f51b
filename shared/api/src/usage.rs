//! What calls add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Sums over calls, exact. Amounts are decimal texts of USD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageSums {
    /// Calls that were admitted.
    pub calls: u64,
    /// Calls that Farebox refused.
    pub refused: u64,
    /// What was charged, with corrections: the sum of the log's rows.
    pub charged_usd: String,
    /// Of it: holds that are charged because nobody knows the cost; it may be up to this much
    /// too high.
    pub unknown_usd: String,
    /// Of it: corrections, refunds and re-ratings, signed.
    pub entered_usd: String,
    /// Of it: prompt tokens, of the calls whose cost is known in parts.
    pub input_usd: String,
    /// Of it: completion tokens.
    pub output_usd: String,
    /// Of it: fees by the piece.
    pub fees_usd: String,
    /// Prompt tokens of every class.
    pub prompt_tokens: u64,
    /// Of them: read from the provider's cache.
    pub cached_tokens: u64,
    /// Of them: written to the provider's cache.
    pub cache_write_tokens: u64,
    /// Completion tokens, reasoning included.
    pub completion_tokens: u64,
    /// Of them: reasoning.
    pub reasoning_tokens: u64,
}

/// The sums of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageRow {
    /// What the group has in common, by what was asked for: `{"team": "t1", "day": "2026-11-23"}`.
    pub by: BTreeMap<String, String>,
    /// The sums.
    #[serde(flatten)]
    pub sums: UsageSums,
}

/// `GET /admin/v1/usage?by=&since=&until=&scope=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageReport {
    /// What the rows are grouped by.
    pub by: Vec<String>,
    /// Whose calls; null: all.
    pub scope: Option<String>,
    /// The first day, in UTC.
    pub since: String,
    /// The last day.
    pub until: String,
    /// By day or month where that was asked for, then the dearest first.
    pub rows: Vec<UsageRow>,
    /// What the rows beyond `limit` add up to; null where all are shown.
    pub rest: Option<UsageSums>,
    /// What all rows add up to.
    pub total: UsageSums,
}
