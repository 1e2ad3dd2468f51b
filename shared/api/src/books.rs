//! The books put right: records that only a log kept, and epochs after a restore.

use serde::{Deserialize, Serialize};

/// The answer to `POST /admin/v1/settlements`, whose body is the record of a settlement line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enqueued {
    /// The call.
    pub request_id: String,
}

/// `POST /admin/v1/restore-fence`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RaiseEpochs {
    /// Where the last page ended; left out at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The answer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaisedEpochs {
    /// Budgets whose epoch this page raised.
    pub raised: u32,
    /// Where the next page begins; null at the end.
    pub next_cursor: Option<String>,
}
