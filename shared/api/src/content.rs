//! What requests and answers said.

use serde::{Deserialize, Serialize};

/// `PUT /admin/v1/content-log/{scope}`: of a user or a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutContentLog {
    /// Days that content is kept from now on, 1 to 365; 0 switches it off.
    pub days: u32,
}

/// Whether content is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContentLog {
    /// Whose.
    pub scope: String,
    /// Days that it is kept; `None`: a key follows its user, a user keeps nothing.
    pub days: Option<u32>,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// `GET /admin/v1/content-log`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContentLogList {
    /// Those of users, then those of keys, that somebody has made.
    pub settings: Vec<ContentLog>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// `DELETE /admin/v1/users/{id}/content`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErasedContent {
    /// Items that are gone.
    pub erased: u32,
    /// Whether there may be more: ask again.
    pub more: bool,
}
