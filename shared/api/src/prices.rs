//! The owner's own prices, which go before the catalogue's.

use serde::{Deserialize, Serialize};

/// One override. `PUT /admin/v1/prices/{provider}/{model}` takes the content of `spec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct PriceList {
    /// By provider and model.
    pub prices: Vec<Price>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}
