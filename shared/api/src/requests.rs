//! What each call did and cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One call. It carries no content and no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RequestRow {
    /// What the caller got as `x-request-id`.
    pub request_id: String,
    /// The caller's own `x-request-id`.
    pub client_request_id: Option<String>,
    /// The call, where this is an attempt that another one followed.
    #[serde(default)]
    pub parent: Option<String>,
    /// The attempts of the call before this one.
    #[serde(default)]
    pub earlier: Vec<EarlierAttempt>,
    /// When it arrived.
    pub started_at: String,
    /// The key's user.
    pub user: String,
    /// The key.
    pub key_id: String,
    /// Path of the endpoint.
    pub endpoint: String,
    /// The provider.
    pub provider: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// The model that the provider says it served.
    pub model_served: Option<String>,
    /// Whether it was streamed.
    pub stream: bool,
    /// How it ended, in money: `refused`, `void`, `void_inferred`, `provisional`, `worst`,
    /// `settled`, `adjusted` or `correction`.
    pub outcome: String,
    /// What it was charged, or by how much a correction changes that; null where nothing was
    /// held.
    pub cost_usd: Option<String>,
    /// What was held for it.
    pub hold_usd: Option<String>,
    /// Whose word `cost_usd` is where it was settled: `provider`, where that states what it
    /// charged, else `counts`.
    #[serde(default)]
    pub charged_by: Option<String>,
    /// What the provider's counts come to at the prices, beside what it states; null where a count
    /// is not understood or has no price.
    #[serde(default)]
    pub counted_usd: Option<String>,
    /// What `counted_usd` is the sum of.
    #[serde(default)]
    pub lines: Vec<CostLine>,
    /// The scopes that it counts to.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What the provider says that it charged.
    pub provider_cost_usd: Option<String>,
    /// Which prices were applied.
    pub price_version: Option<String>,
    /// Tokens.
    pub usage: Option<TokenCounts>,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// The status that the caller got.
    pub http_status: u16,
    /// The error's code.
    pub error_code: Option<String>,
    /// The error's message as the caller saw it.
    pub error_message: Option<String>,
    /// The provider's own id of the request.
    pub provider_request_id: Option<String>,
    /// Whose credential was used.
    pub credential_owner: Option<String>,
    /// What it is told apart by: the key's labels, the header's, `metadata` and the end user.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// From arrival to the provider's last byte.
    pub response_time_ms: i64,
    /// From arrival to the first byte of content.
    pub first_token_ms: Option<i64>,
    /// The caller went away before the end.
    pub client_gone: bool,
    /// The call that this row corrects.
    #[serde(default)]
    pub corrects: Option<String>,
    /// Why an admin corrected it.
    #[serde(default)]
    pub reason: Option<String>,
    /// What was entered for this call later; only where one call is shown.
    #[serde(default)]
    pub corrections: Vec<crate::Correction>,
    /// The caller's address.
    pub ip: Option<String>,
    /// The caller's user agent.
    pub user_agent: Option<String>,
}

/// An attempt of a call that another one followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EarlierAttempt {
    /// Its own row.
    pub request_id: String,
    /// `provider/model`.
    pub model: String,
    /// How it ended, in money.
    pub outcome: String,
    /// What it was charged.
    pub cost_usd: String,
    /// Why it was not the last.
    pub error_code: Option<String>,
}

/// One line of a cost, exact: `amount_usd` is `count` / `per` times `price_usd`. The sum is
/// rounded up once, to a whole pico-USD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CostLine {
    /// A class of tokens (`prompt`, `cached`, `completion`, `reasoning`, …), `web_searches` or
    /// `request`.
    pub class: String,
    /// How many.
    pub count: u64,
    /// The price of `per` of them.
    pub price_usd: String,
    /// 1,000,000 for tokens, 1 for fees.
    pub per: u64,
    /// Not rounded.
    pub amount_usd: String,
}

/// Tokens of one call, as the OpenAI API counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenCounts {
    /// Of the prompt, cached ones included.
    pub prompt_tokens: u64,
    /// Of the prompt, read from the provider's cache.
    pub cached_tokens: u64,
    /// Of the completion, reasoning included.
    pub completion_tokens: u64,
    /// Of the completion, reasoning.
    pub reasoning_tokens: u64,
    /// Prompt and completion.
    pub total_tokens: u64,
}

/// `GET /admin/v1/requests?limit=&cursor=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RequestList {
    /// The newest first.
    pub requests: Vec<RequestRow>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
    /// Calls that came in before this time were not looked at: the next page begins there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_back_to: Option<String>,
}
