//! The owner's own prices, which go before the catalogue's.

use serde::{Deserialize, Serialize};

/// One override. `PUT /admin/v1/prices/{provider}/{model}` takes the content of `spec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Price {
    /// The provider.
    pub provider: String,
    /// The model's exact name.
    pub model: String,
    /// What log rows name as the price that was applied.
    pub version: String,
    /// Prices as decimal texts of USD per million tokens, and the model's limits.
    pub spec: serde_json::Value,
}

/// `GET /admin/v1/prices`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PriceList {
    /// By provider and model.
    pub prices: Vec<Price>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// A model whose price row a call has shown to be wrong: it cost more than its hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quarantined {
    /// The provider.
    pub provider: String,
    /// The model's exact name.
    pub model: String,
    /// The first call that ran over.
    pub request_id: String,
    /// What it held.
    pub hold_usd: String,
    /// What it cost.
    pub cost_usd: String,
    /// When that was seen.
    pub at: String,
}

/// `GET /admin/v1/quarantine`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuarantineList {
    /// By provider and model.
    pub quarantine: Vec<Quarantined>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}
