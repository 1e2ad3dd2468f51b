//! The price list, the owner's own prices, which go before it, and what is taken off.

use serde::{Deserialize, Serialize};

use crate::ModelPrices;

/// One override. `PUT /admin/v1/prices/{provider}/{model}` takes the content of `spec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Price {
    /// The provider.
    pub provider: String,
    /// The model's exact name.
    pub model: String,
    /// What log rows name as the price that was applied.
    pub price_version: String,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
    /// Prices as decimal texts of USD per million tokens, and the model's limits.
    pub spec: serde_json::Value,
    /// What the price list in force states of the model and this price does not, by name, such as
    /// `cached_input` or `service tier priority`: calls have none of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_stated: Vec<String>,
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
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
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

/// What is taken off list prices. `PUT /admin/v1/discounts/{target}` takes the content of `spec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Discount {
    /// What it comes off: `*`, `provider/*` or `provider/model`. The nearest one that has begun
    /// counts, and no other.
    pub target: String,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
    /// The percentage in force now; null before the first term.
    pub off_percent: Option<String>,
    /// `{terms: [{from, off_percent}]}`: each term holds until the next one.
    pub spec: serde_json::Value,
}

/// `GET /admin/v1/discounts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiscountList {
    /// By target.
    pub discounts: Vec<Discount>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// `GET /admin/v1/catalogue`: the price list in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Catalogue {
    /// What log rows name: the day that the prices are of, and a hash of the list.
    pub list_version: String,
    /// For `If-Match`: the text of its `ETag`, without the quotes; `0` before the first import.
    pub version: String,
    /// `imported`, or `compiled`: what the deployed code was built with.
    pub source: String,
    /// How many models it has.
    pub rows: u64,
    /// The list that the deployed code was built with. It is in force where no list of its day or
    /// a later one is imported.
    pub compiled_version: String,
    /// The imported list that was put in force last; null where none was, or after `DELETE`.
    pub imported: Option<ImportedList>,
    /// Lists that were imported at any time, those of the latest days first; twenty at most.
    pub earlier: Vec<ImportedList>,
}

/// An imported list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedList {
    /// The day that its prices are of, and a hash of its file.
    pub version: String,
    /// How many models it has.
    pub rows: u64,
    /// When it was imported.
    pub imported_at: String,
    /// Who imported it, as the audit names them.
    pub imported_by: String,
}

/// `GET /admin/v1/catalogue/lists`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedLists {
    /// Those of the latest days first.
    pub lists: Vec<ImportedList>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// `PUT /admin/v1/catalogue/version`: an imported list comes into force again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutCatalogueVersion {
    /// The version of a list that was imported.
    pub version: String,
}

/// `POST /admin/v1/catalogue/preview` and `GET /admin/v1/catalogue/lists/{version}`: what a list
/// would change. Nothing is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CataloguePreview {
    /// The list's version.
    pub version: String,
    /// The list in force.
    pub from_version: String,
    /// Models that only the new list has.
    pub added: u64,
    /// Models that it leaves out: calls to them would be refused, unless they have a price of
    /// your own.
    pub removed: u64,
    /// Models with other prices or limits.
    pub changed: u64,
    /// Models that stay as they are.
    pub unchanged: u64,
    /// What changes at the providers that Farebox calls, by name; 500 models at most.
    pub rows: Vec<CatalogueChange>,
    /// Changes that `rows` leaves out: of other providers, or beyond 500.
    pub rows_left_out: u64,
    /// What to look at before it is imported.
    pub warnings: Vec<String>,
}

/// What a list would change of one model. Own prices and discounts are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CatalogueChange {
    /// The provider.
    pub provider: String,
    /// The model's exact name.
    pub model: String,
    /// `added`, `removed` or `changed`.
    pub change: String,
    /// Which fields differ: prices of the standard tier by their names, `context_window`,
    /// `max_output_tokens`, `mode`, and `other` for tiers, periods and fees.
    pub fields: Vec<String>,
    /// The prices now.
    pub before: Option<ModelPrices>,
    /// The prices then.
    pub after: Option<ModelPrices>,
}
