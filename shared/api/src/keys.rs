//! Farebox keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `POST /admin/v1/keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// Whose key; the user must exist.
    pub user: String,
    /// For people.
    pub name: String,
    /// The models that it may use: `provider/model` or `provider/*`. Absent: every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The most that one call may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<String>,
    /// When an output cap is lowered to what the budgets afford: `missing` (where the caller
    /// sent none; the default), `always` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clamp: Option<String>,
    /// How long a call waits for room that open holds take, at most 60,000 ms; 0 is not at all.
    /// Absent: 5 s, for a stream 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_wait_ms: Option<u64>,
    /// Options that a provider cannot do are left out, as with `x-farebox-drop-params: true`; a
    /// call's own header goes before it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub drop_params: bool,
    /// How long each attempt may take, where a call's route does not say.
    #[serde(default, skip_serializing_if = "KeyTimeouts::is_none")]
    pub timeouts: KeyTimeouts,
    /// What its calls are told apart by in usage and statements: at most 10, each name 1 to 64
    /// letters, digits, `_`, `-` and `.`, each value 1 to 128 characters. A call's own labels
    /// never replace them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// `POST /admin/v1/keys/{id}/rotate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// Seconds that the old secret works beside the new one; 0 where left out, a week at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_s: Option<u32>,
}

/// `PUT /admin/v1/keys/{id}`: the whole of what can be changed; what is left out is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutKey {
    /// For people.
    pub name: String,
    /// The models that it may use: `provider/model` or `provider/*`. Absent: every model, or all
    /// that the owner allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// When it stops working. Absent: never, or as late as the owner allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The most that one call may cost. Absent: no limit, or as much as the owner allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<String>,
    /// When an output cap is lowered: `missing` (the default), `always` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clamp: Option<String>,
    /// How long a call waits for room, at most 60,000 ms. Absent: the usual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_wait_ms: Option<u64>,
    /// Options that a provider cannot do are left out.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub drop_params: bool,
    /// How long each attempt may take, where a call's route does not say.
    #[serde(default, skip_serializing_if = "KeyTimeouts::is_none")]
    pub timeouts: KeyTimeouts,
    /// What its calls are told apart by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// `PUT /admin/v1/me/keys/{id}`: the same within what the owner allows. Its labels stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutOwnKey {
    /// For people.
    pub name: String,
    /// The models that it may use: `provider/model` or `provider/*`. Absent: every model, or all
    /// that the owner allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// When it stops working. Absent: never, or as late as the owner allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The most that one call may cost. Absent: no limit, or as much as the owner allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<String>,
    /// When an output cap is lowered: `missing` (the default), `always` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clamp: Option<String>,
    /// How long a call waits for room, at most 60,000 ms. Absent: the usual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_wait_ms: Option<u64>,
    /// Options that a provider cannot do are left out.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub drop_params: bool,
    /// How long each attempt may take, where a call's route does not say.
    #[serde(default, skip_serializing_if = "KeyTimeouts::is_none")]
    pub timeouts: KeyTimeouts,
}

/// How long an attempt to call a provider may take, in milliseconds: as in a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyTimeouts {
    /// Until there is a connection: 10 to 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u32>,
    /// From the request until the first byte of a whole answer, or a stream's first event: 10 to
    /// 900,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u32>,
    /// Between two pieces of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u32>,
    /// All of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u32>,
}

impl KeyTimeouts {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Key {
    /// Its public identity; its budget is `key:<id>`.
    pub id: String,
    /// Whose.
    pub user: String,
    /// The user's organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// For people.
    pub name: String,
    /// `active`, `expired` or `revoked`.
    pub state: String,
    /// The models that it may use; absent: every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The most that one call may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<String>,
    /// When an output cap is lowered: `missing`, `always` or `never`.
    pub clamp: String,
    /// How long a call waits for room that open holds take; absent: the usual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_wait_ms: Option<u64>,
    /// Options that a provider cannot do are left out.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub drop_params: bool,
    /// How long each attempt may take, where a call's route does not say.
    #[serde(default, skip_serializing_if = "KeyTimeouts::is_none")]
    pub timeouts: KeyTimeouts,
    /// What its calls are told apart by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: String,
    /// When it was given another secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<String>,
    /// Until when an older secret works beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_secret_until: Option<String>,
    /// When it was last used, to five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// A new key with its secret, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreatedKey {
    /// What its user sends as `Authorization: Bearer …`.
    pub secret: String,
    /// The rest.
    #[serde(flatten)]
    pub key: Key,
}

/// `GET /admin/v1/keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyList {
    /// By user, then by id.
    pub keys: Vec<Key>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}
