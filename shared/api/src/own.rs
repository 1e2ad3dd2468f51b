//! What members do for themselves.

use serde::{Deserialize, Serialize};

use crate::KeyTimeouts;

/// What a user may do for itself: nothing unless told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SelfService {
    /// Live keys that it may have, and still make one: 0 to 50.
    pub keys: u32,
    /// The most that one call of such a key may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_max_cost_usd: Option<String>,
    /// The longest life of such a key: 1 to 3650 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_days: Option<u32>,
    /// The models that such a key may use: `provider/model` or `provider/*`. Absent: every model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_models: Option<Vec<String>>,
    /// Whether it may store credentials of its own.
    pub credentials: bool,
}

/// `GET /admin/v1/me`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Me {
    /// The key's user.
    pub user: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// Its team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The key that asks; nobody's where a browser does that has signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// What the user may do for itself.
    pub self_service: SelfService,
}

/// `POST /admin/v1/me/keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateOwnKey {
    /// For people.
    pub name: String,
    /// The models that it may use, among those that are allowed; absent: all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// When it stops working; absent: as late as is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The most that one call may cost; absent: as much as is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<String>,
    /// When an output cap is lowered: `missing` (the default), `always` or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clamp: Option<String>,
    /// How long a call waits for room that open holds take, at most 60,000 ms; 0 is not at all.
    /// Absent: 5 s, for a stream 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_wait_ms: Option<u64>,
    /// Options that a provider cannot do are left out.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub drop_params: bool,
    /// How long each attempt may take, where a call's route does not say.
    #[serde(default, skip_serializing_if = "KeyTimeouts::is_none")]
    pub timeouts: KeyTimeouts,
}

/// `PUT /admin/v1/me/credentials/{provider}`: at the provider's own address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutOwnCredential {
    /// The provider's key.
    pub secret: String,
    /// Its share of calls among several of the provider: 1 to 1000; absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// `POST /admin/v1/me/budget-requests`: at least one limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AskBudget {
    /// The limit for a month that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month_limit_usd: Option<String>,
    /// For a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_limit_usd: Option<String>,
    /// For ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_limit_usd: Option<String>,
    /// Until when; absent: whoever approves says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Why, in one line of at most 200 characters.
    pub reason: String,
}

/// `PUT /admin/v1/budget-requests/{user}/{id}`: the decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DecideBudget {
    /// `approved` or `denied`.
    pub state: String,
    /// When the old limits come back; absent: as it was asked for. An approval needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The limit for a month; absent: as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month_limit_usd: Option<String>,
    /// For a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_limit_usd: Option<String>,
    /// For ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_limit_usd: Option<String>,
    /// A word to the member, in one line of at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A request for more budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetRequest {
    /// Its identity.
    pub id: String,
    /// Whose.
    pub user: String,
    /// `open`, `approved`, `denied` or `withdrawn`.
    pub state: String,
    /// The limit for a month that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month_limit_usd: Option<String>,
    /// For a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_limit_usd: Option<String>,
    /// For ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_limit_usd: Option<String>,
    /// Until when it was asked for, or is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub created_at: String,
    /// When it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// By whom; members are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// A word to the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// `GET /admin/v1/budget-requests`, `GET /admin/v1/me/budget-requests`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetRequestList {
    /// By user, the oldest first.
    pub budget_requests: Vec<BudgetRequest>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}
