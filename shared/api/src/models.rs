//! The models that there are, with the prices in force.

use serde::{Deserialize, Serialize};

/// A model of the catalogue or of your own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Model {
    /// The provider.
    pub provider: String,
    /// The model's exact name.
    pub model: String,
    /// `chat`, `completion`, `embedding`, `responses` or `unknown`.
    pub mode: String,
    /// The most tokens of prompt and completion together.
    pub context_window: Option<u64>,
    /// The most completion tokens.
    pub max_output_tokens: Option<u64>,
    /// `catalogue`, or `owner` where a price of your own goes before it.
    pub source: String,
    /// What log rows name; null where calls are refused for want of a price.
    pub price_version: Option<String>,
    /// USD per million tokens; null without a price.
    pub prices: Option<ModelPrices>,
}

/// Prices per million tokens: those of short prompts at the standard tier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelPrices {
    /// Prompt tokens.
    pub input: String,
    /// Completion tokens.
    pub output: Option<String>,
    /// Prompt tokens read from the cache.
    pub cached_input: Option<String>,
    /// Prompt tokens written to the cache for five minutes.
    pub cache_write_5m: Option<String>,
    /// Prompt tokens written to the cache for an hour.
    pub cache_write_1h: Option<String>,
    /// One search that the provider runs, in USD.
    #[serde(default)]
    pub web_search: Option<String>,
    /// Every request, in USD.
    #[serde(default)]
    pub per_request: Option<String>,
}

/// `GET /admin/v1/models?provider=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelList {
    /// By name.
    pub models: Vec<Model>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}
