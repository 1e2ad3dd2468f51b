//! Who changed what.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One change of the control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// The request that made it: the `x-request-id` of its answer.
    pub request_id: String,
    /// When.
    pub at: String,
    /// Who: `admin-key:ID` (`root` is the key of the deployment), `iam:ARN`, `sso:ADDRESS`,
    /// `member:USER/KEY`, `scheduler:limits` (a change whose end has come).
    pub actor: String,
    /// In which role.
    pub role: String,
    /// The method: `PUT`, `POST`, `DELETE`; `GET` where content was looked at; `SIGN-IN`,
    /// `SIGN-OUT`; `END` where a change's end has come.
    pub action: String,
    /// The path: what was changed.
    pub target: String,
    /// `done`; `failed` where it stopped after its first write; `unknown` where nobody told: it
    /// may be in force.
    pub outcome: String,
    /// The status of the answer; null where nobody told.
    pub http_status: Option<u16>,
    /// How it was, as the API shows it; null where there was nothing.
    pub before: Value,
    /// How it was answered to be; null where nothing is left.
    pub after: Value,
}

/// `GET /admin/v1/audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditList {
    /// The newest first.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins: `?cursor=`. A page may have fewer rows than `limit`.
    pub next_cursor: Option<String>,
}
