//! Limits, what is spent of them, and the alerts that they raised.

use serde::{Deserialize, Serialize};

/// `PUT /admin/v1/budgets/{kind}:{id}` with `If-Match`: replaces the whole budget, so a limit
/// that is absent or null is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutBudget {
    /// The most in one calendar month.
    #[serde(default)]
    pub month_limit_usd: Option<String>,
    /// The most in one calendar day.
    #[serde(default)]
    pub day_limit_usd: Option<String>,
    /// The most for ever.
    #[serde(default)]
    pub total_limit_usd: Option<String>,
    /// `hard` (default) refuses what does not fit, `balanced` too, holding less at first and more
    /// as a stream goes on; `soft` refuses only when nothing is left (the last call may pass the
    /// limit); `observe` only counts; `closed` refuses all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Whose midnight: an IANA name; `UTC` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Percentages of a limit whose reaching is told: 1 to 100, rising, at most ten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_thresholds: Option<Vec<u8>>,
    /// When what was before comes back: an RFC 3339 time. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Into how many shares a hot budget is divided: 2 to 64, in mode hard or balanced; 0 for
    /// none. Absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<u8>,
}

/// How a hot budget is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shares {
    /// The shares that calls are held in; 0 where it was divided once.
    pub count: u8,
    /// A change of the budget has not reached all of them yet: what they may spend by older
    /// terms is on its way back.
    pub pending: bool,
}

/// A budget: what its owner set, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Budget {
    /// `org`, `team`, `user`, `key` or `model`.
    pub kind: String,
    /// Which one; of a model: `user:ID/PROVIDER/MODEL`.
    pub id: String,
    /// For `If-Match`: the text of its `ETag`, without the quotes; `0` where nobody has made it
    /// yet.
    pub version: String,
    /// `hard`, `balanced`, `soft`, `observe` or `closed`.
    pub mode: String,
    /// Whose midnight.
    pub time_zone: String,
    /// The most in one calendar month.
    pub month_limit_usd: Option<String>,
    /// The most in one calendar day.
    pub day_limit_usd: Option<String>,
    /// The most for ever.
    pub total_limit_usd: Option<String>,
    /// Percentages of a limit whose reaching is told.
    pub alert_thresholds: Vec<u8>,
    /// The current month and day, and the total.
    pub periods: Vec<Period>,
    /// When `then` comes back; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<PutBudget>,
    /// How it is divided, where it is or was; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<Shares>,
    /// What these limits will do that may not be meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What a period has cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Period {
    /// `month`, `day` or `total`.
    pub period: String,
    /// Its limit.
    pub limit_usd: Option<String>,
    /// What is charged.
    pub settled_usd: String,
    /// What is held for open calls.
    pub held_usd: String,
    /// Limit less settled and held; null without a limit.
    pub room_usd: Option<String>,
    /// When it starts again at zero; null for the total.
    pub resets_at: Option<String>,
    /// Whether the charges alone have reached the limit.
    pub exceeded: bool,
}

/// `GET /admin/v1/budgets`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetList {
    /// By kind and id; the nearest first where they were asked for.
    pub budgets: Vec<Budget>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
    /// With `order=nearest`: what was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Nearest>,
}

/// The budgets that were looked at for those whose limits are the nearest to be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Nearest {
    /// How many were looked at; where there are more, `next_cursor` goes on.
    pub budgets: u64,
    /// Those with a limit.
    pub limited: u64,
    /// Those of which a limit is passed, or will be by its end if it goes on as it did.
    pub over: u64,
    /// What is held in the budgets of users: each call once.
    pub held_usd: String,
}

/// What has been spent in one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScopeUsage {
    /// `org`, `team`, `user`, `key` or `model`.
    pub kind: String,
    /// Which one; of a model: `user:ID/PROVIDER/MODEL`.
    pub id: String,
    /// The key's user; absent for users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `hard`, `balanced`, `soft`, `observe` or `closed`.
    pub mode: String,
    /// The current month and day, and the total.
    pub periods: Vec<Period>,
}

/// `GET /admin/v1/usage`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageList {
    /// By kind and id.
    pub scopes: Vec<ScopeUsage>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// A threshold that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Alert {
    /// Whose: `user:u1`, `org:acme`, `model:user:u1/openai/gpt-5`.
    #[serde(default)]
    pub scope: String,
    /// When it was found.
    #[serde(default)]
    pub created_at: String,
    /// `budget.threshold`, `budget.refused` or `test`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `month`, `day` or `total`.
    pub period: String,
    /// Which one: `202611`, `20261123`; null for the total.
    pub period_id: Option<String>,
    /// Percent of the limit; null for the first refusal.
    pub threshold: Option<u8>,
    /// The version of the limits that it belongs to.
    pub limit_version: u64,
    /// What was charged then.
    pub spent_usd: String,
    /// The limit then.
    pub limit_usd: String,
    /// When every channel was told; null while one waits for that.
    pub sent_at: Option<String>,
    /// What became of it on each channel that was tried.
    #[serde(default)]
    pub channels: Vec<AlertChannel>,
}

/// What became of an alert on one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertChannel {
    /// `webhook`, `sns` or `ses`.
    pub channel: String,
    /// When it was told; null while it was not.
    pub told_at: Option<String>,
    /// Why it was not, the last time.
    pub error: Option<String>,
}

/// Something that the operator is told: a price, a bound or the machinery is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OperatorAlert {
    /// What stands for it in a path: `overrun/20261124/openai/gpt-5`.
    pub id: String,
    /// `operator.overrun`, `operator.unpriced`, `operator.cost_differs` or
    /// `operator.provisional`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of what: `openai/gpt-5`, `user:u1`.
    pub subject: String,
    /// The day (`20261124`) or the hour (`2026112416`), UTC, that it is told once in.
    pub since: String,
    /// A call that shows it.
    pub request_id: Option<String>,
    /// What that call held.
    pub hold_usd: Option<String>,
    /// What it was charged.
    pub charged_usd: Option<String>,
    /// How often it was seen, where that is counted.
    pub count: Option<u32>,
    /// When every channel was told; null while one waits for that.
    pub sent_at: Option<String>,
    /// What became of it on each channel that was tried.
    #[serde(default)]
    pub channels: Vec<AlertChannel>,
    /// When somebody said that it was looked at; null while nobody has.
    pub acknowledged_at: Option<String>,
    /// Who, as the audit names it.
    pub acknowledged_by: Option<String>,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// `GET /admin/v1/alerts/operator`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OperatorAlertList {
    /// The newest first.
    pub alerts: Vec<OperatorAlert>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Channel {
    /// `webhook`, `sns` or `ses`.
    pub channel: String,
    /// A URL, the ARN of a topic, or addresses.
    pub target: String,
}

/// `GET /admin/v1/alerts/channels`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChannelList {
    /// Those that are set: one of each kind at most, so there is one page.
    pub channels: Vec<Channel>,
}

/// `GET /admin/v1/alerts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertList {
    /// The newest first; of one scope the newest period first.
    pub alerts: Vec<Alert>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// `POST /admin/v1/alerts/test`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PostTestAlert {
    /// Whose alert it is.
    pub scope: String,
}
