//! How much a user or a key may call at once and in a minute.

use serde::{Deserialize, Serialize};

/// Rate limits; absent is no limit. `PUT /admin/v1/limits/{scope}` takes all but `scope`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RateLimits {
    /// `user:ID` or `key:ID`.
    pub scope: String,
    /// Calls that begin in one minute of the clock.
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompt and completion in one minute of the clock.
    pub tokens_per_minute: Option<u64>,
    /// Calls that are under way at once.
    pub concurrent: Option<u64>,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// `GET /admin/v1/limits`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RateLimitsList {
    /// Those of users, then those of keys, that somebody has set.
    pub limits: Vec<RateLimits>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}
