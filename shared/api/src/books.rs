//! The books put right: corrections, records that only a log kept, and epochs after a restore.

use serde::{Deserialize, Serialize};

/// The answer to `POST /admin/v1/settlements`, whose body is the record of a settlement line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Enqueued {
    /// The call.
    pub request_id: String,
}

/// `POST /admin/v1/restore-fence`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RaiseEpochs {
    /// Where the last page ended; left out at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The answer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RaisedEpochs {
    /// Budgets whose epoch this page raised.
    pub raised: u32,
    /// Where the next page begins; null at the end.
    pub next_cursor: Option<String>,
}

/// `POST /admin/v1/corrections`: of a scope (`scope`, `amount_usd`, `period?`) or of one call
/// (`request_id`, `cost_usd`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PostCorrection {
    /// Of a scope: makes a repeat harmless. The header `Idempotency-Key` does the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whose books.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// By how much its charges change; negative for a refund.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_usd: Option<String>,
    /// `2026-11` for a month, `2026-11-23` for a day and its month; today where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// Which call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What it should have cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// Why, in at most 200 characters.
    pub reason: String,
}

/// A correction that stands in the books, or a call that costs what it should already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Correction {
    /// `entered`, `adjusted` (a provisional charge was replaced) or `unchanged`.
    pub status: String,
    /// The id of its row among the requests.
    pub id: Option<String>,
    /// The call that it corrects.
    pub request_id: Option<String>,
    /// By how much the charges changed; null where a provisional charge was replaced.
    pub amount_usd: Option<String>,
    /// What the call costs after it.
    pub cost_usd: Option<String>,
    /// Whose books.
    pub scopes: Vec<String>,
    /// `20261123`; `20261100` for a whole month.
    pub day: Option<u32>,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub at: Option<String>,
}

/// `GET /admin/v1/corrections`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CorrectionList {
    /// By the name in the journal.
    pub corrections: Vec<Correction>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// `POST /admin/v1/rerate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PostRerate {
    /// The first UTC day, such as `2026-11-01`.
    pub from: String,
    /// The last one.
    pub to: String,
    /// `provider/model`; all of them where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Enter the differences; without it they are only shown.
    #[serde(default)]
    pub apply: bool,
    /// Where the last page ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A call that costs something else at the present prices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RerateRow {
    /// The call.
    pub request_id: String,
    /// When it was made.
    pub at: String,
    /// `provider/model`.
    pub model: String,
    /// Which prices it was charged at.
    pub price_version: Option<String>,
    /// The present ones.
    pub new_price_version: String,
    /// What it costs in the books, before this.
    pub charged_usd: String,
    /// What it costs at the present prices.
    pub cost_usd: String,
    /// By how much its charge changes.
    pub difference_usd: String,
}

/// A page of calls that were priced again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rerated {
    /// Those that differ; with `apply` they are entered.
    pub rows: Vec<RerateRow>,
    /// Settled calls that were looked at.
    pub looked_at: u32,
    /// Of these, calls whose cost an admin has told: left alone.
    pub by_hand: u32,
    /// Of these, calls that were charged what the provider states: no price changes that.
    #[serde(default)]
    pub stated: u32,
    /// Of these, calls whose model has no price now: left alone.
    pub unpriced: u32,
    /// Where the next page begins; null at the end.
    pub next_cursor: Option<String>,
}

/// `GET /admin/v1/counters/{scope}?month=2026-11`: what a budget says of a month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counters {
    /// Whose.
    pub scope: String,
    /// Charged in the month.
    pub settled_usd: String,
    /// Held in it now.
    pub held_usd: String,
    /// The month is closed: this is its archive.
    pub archived: bool,
    /// Charged in total, by the counter that never ends.
    pub total_settled_usd: String,
    /// What all its months add up to, open ones and archives. Left out where archives may be gone
    /// (they are kept for 400 days): of every budget more than a year old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub months_settled_usd: Option<String>,
    /// Its days that are still open.
    pub days: Vec<DayCounter>,
}

/// One day of a budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DayCounter {
    /// `20261123`.
    pub day: u32,
    /// Charged on it.
    pub settled_usd: String,
}

/// What rows of the log add up to in one scope on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Charge {
    /// Whose.
    pub scope: String,
    /// `20261123`; `20261100` for corrections of a whole month.
    pub day: u32,
    /// The sum.
    pub amount_usd: String,
    /// Of so many rows.
    pub rows: u32,
}

/// `GET /admin/v1/charges?month=2026-11&cursor=`: a part of a month's rows, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChargeList {
    /// By scope and day.
    pub charges: Vec<Charge>,
    /// Where the next part begins; null at the end.
    pub next_cursor: Option<String>,
}

/// `POST /admin/v1/reconcile`: one bucket of a provider's usage report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PostStatement {
    /// Whose report.
    pub provider: String,
    /// When the bucket begins (RFC 3339).
    pub from: String,
    /// When it ends.
    pub to: String,
    /// What it says, by model.
    pub usage: Vec<ReportedUsage>,
    /// Of a cost report, which has no usage: what everything of the time cost by it, at most. An
    /// amount that is written in decimals counts with half a unit of its last digit more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_at_most_usd: Option<String>,
    /// Correct the charges that it determines; without it they are only shown.
    #[serde(default)]
    pub apply: bool,
}

/// What a provider counted of one model, in disjoint classes. What a report does not tell is left
/// out: where it would change the amount, nothing is determined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ReportedUsage {
    /// As the report names it.
    pub model: String,
    /// The service tier, or Anthropic's speed `fast`; `standard` for the usual one. Left out: the
    /// report does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Served in Anthropic's `us` geography. Left out: the report does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub us_geography: Option<bool>,
    /// Requests, where the report counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Prompt tokens at the plain price.
    pub prompt: u64,
    /// Prompt tokens read from the cache.
    pub cached: u64,
    /// Prompt tokens written to the cache for five minutes, where the report counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<u64>,
    /// Prompt tokens written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    pub completion: u64,
    /// Searches, where the report counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_searches: Option<u64>,
    /// Tokens of audio. Reports do not say which of the others they are among, so with them
    /// nothing is determined.
    pub audio: u64,
}

/// The answer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Statement {
    /// By model.
    pub lines: Vec<StatementLine>,
}

/// What calls can have cost in one budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatementBudget {
    /// `<kind>:<id>`.
    pub scope: String,
    /// The budget's day, `YYYYMMDD`.
    pub day: String,
    /// At least so much: what the calls of other budgets cannot have cost.
    pub least_usd: String,
    /// At most so much.
    pub most_usd: String,
}

/// One model of a report beside the books.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatementLine {
    /// Without the date of its version; empty for the calls of which nobody knows the model,
    /// because the process that made them died.
    pub model: String,
    /// Tokens that the provider reports.
    pub reported_tokens: String,
    /// Tokens of the calls that are settled to the provider's own counts.
    pub settled_tokens: String,
    /// What these cost.
    pub settled_usd: String,
    /// Calls that were charged their hold, because nobody knew, those corrected by a report
    /// included.
    pub unknown_calls: u32,
    /// What these are charged now.
    pub charged_usd: String,
    /// Those of them whose cost the report determines. Where they are several, it is known in
    /// sum, and shared out by their holds.
    pub determined: Vec<String>,
    /// What these cost, by the report; empty where there are none.
    pub determined_usd: String,
    /// Those of them that are charged in different budgets, and whose cost the report determines
    /// in sum: each is charged the most that it can have cost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited: Vec<String>,
    /// What these are charged then; empty where there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub limited_usd: String,
    /// What these can have cost in each of their budgets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<StatementBudget>,
    /// By how much the books may be too high: what the others are charged, or what the limited
    /// ones are charged then less what the report says that they cost together.
    pub error_bar_usd: String,
    /// Why the others are not determined.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub open: String,
}
