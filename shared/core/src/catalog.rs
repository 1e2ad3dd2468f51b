//! The price catalogue: (provider, model) to limits and prices.
//!
//! Rows come from `catalog.json` (see `CATALOG.md` for sources and licences). The build script
//! turns them into one sorted table of bytes, so that nothing is parsed when a process starts:
//! a look-up is a binary search, and only the row that is found is decoded.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use self::table::Table;
use crate::pricing::{Card, FemtoPerToken, Price, PricingError, Rates, Schedule};

mod table;

/// Which rows these are: the date that the prices were read for, and a hash of the file.
pub const VERSION: &str = env!("FAREBOX_CATALOG_VERSION");

/// What a model is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Chat.
    Chat,
    /// Plain completion.
    Completion,
    /// Embeddings: no completion tokens.
    Embedding,
    /// Only OpenAI's Responses endpoint.
    Responses,
    /// The sources do not say.
    Unknown,
}

/// A model with its limits and prices: a row of the catalogue or an owner's override.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The provider's name.
    pub provider: Cow<'static, str>,
    /// The model's exact name; not the alias that it was found by.
    pub name: Cow<'static, str>,
    /// What it is called for.
    pub mode: Mode,
    /// The most tokens of prompt and completion together.
    pub context_window: Option<u64>,
    /// The most completion tokens.
    pub completion_max: Option<u64>,
    /// Its prices; `None` where no source states a usable one (422 `price_unknown`).
    pub price: Option<Price>,
}

/// Finds a model by its exact name, else by an alias of that provider.
///
/// ```
/// let model = farebox_core::catalog::find("openai", "gpt-4o").unwrap();
/// assert_eq!(model.context_window, Some(128_000));
/// assert!(farebox_core::catalog::find("openai", "gpt-4o-and-more").is_none());
/// ```
#[must_use]
pub fn find(provider: &str, model: &str) -> Option<Model> {
    let provider = Table::open()?.provider(provider)?;
    provider.model(provider.row(model)?)
}

/// All models of a provider, by name.
pub fn models(provider: &str) -> impl Iterator<Item = Model> + use<> {
    let provider = Table::open().and_then(|table| table.provider(provider));
    provider.into_iter().flat_map(|provider| provider.rows().map_while(move |r| provider.model(r)))
}

/// The providers that have a model of this name or alias, by name. A caller's few providers are
/// asked one by one with [`find`]; this serves an error that names who has the model.
pub fn providers_of(model: &str) -> impl Iterator<Item = &'static str> {
    let providers = Table::open().into_iter().flat_map(Table::providers);
    providers.filter(move |provider| provider.row(model).is_some()).map(|provider| provider.name)
}

/// How many models there are.
#[must_use]
pub fn len() -> usize {
    Table::open().map_or(0, Table::rows)
}

/// An owner's own prices for a model, as decimal texts of USD per million tokens.
///
/// They replace a catalogue row's prices whole: its service tiers, long-context prices and fees
/// are not mixed in, so a call that needs one is refused. Limits that are left out, and whether
/// the provider writes its cache unasked, are the catalogue row's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PriceSpec {
    /// Prompt tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Completion tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Prompt tokens read from the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<String>,
    /// Prompt tokens written to the cache for five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<String>,
    /// Prompt tokens written to the cache for an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<String>,
    /// The most tokens of prompt and completion together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// The most completion tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// The model costs nothing.
    pub free: bool,
}

impl PriceSpec {
    /// The model that these prices make.
    ///
    /// # Errors
    /// [`PricingError`] names the field and its rule.
    pub fn model(&self, provider: &str, name: &str, version: &str) -> Result<Model, PricingError> {
        let listed = find(provider, name);
        let auto_cache_write = listed
            .as_ref()
            .and_then(|model| model.price.as_ref())
            .is_some_and(|price| price.auto_cache_write);
        let (rates, rounded_up) = if self.free { self.free_rates()? } else { self.rates()? };
        if auto_cache_write && !self.free && rates.cache_write_5m.is_none() {
            return Err(PricingError::Missing { field: "cache_write_5m" });
        }
        let price = Price {
            version: Cow::Owned(version.to_owned()),
            schedule: Schedule {
                standard: Card { rates, context_tiers: Vec::new() },
                service_tiers: Vec::new(),
            },
            periods: Vec::new(),
            per_request: None,
            web_search: None,
            rounded_up,
            auto_cache_write: auto_cache_write && !self.free,
        };
        let limit = |own: Option<u64>, of: fn(&Model) -> Option<u64>| {
            own.or_else(|| listed.as_ref().and_then(of))
        };
        Ok(Model {
            provider: Cow::Owned(provider.to_owned()),
            name: Cow::Owned(name.to_owned()),
            mode: listed.as_ref().map_or(Mode::Unknown, |model| model.mode),
            context_window: limit(self.context_window, |model| model.context_window),
            completion_max: limit(self.max_output_tokens, |model| model.completion_max),
            price: Some(price),
        })
    }

    /// The price fields with their names.
    fn fields(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("input", self.input.as_deref()),
            ("output", self.output.as_deref()),
            ("cached_input", self.cached_input.as_deref()),
            ("cache_write_5m", self.cache_write_5m.as_deref()),
            ("cache_write_1h", self.cache_write_1h.as_deref()),
        ]
    }

    /// No prices, and none stated beside `free`.
    fn free_rates(&self) -> Result<(Rates, bool), PricingError> {
        for (field, text) in self.fields() {
            if let Some(text) = text
                && FemtoPerToken::parse_field(field, text)?.0 != FemtoPerToken::FREE
            {
                return Err(PricingError::NotFree { field });
            }
        }
        Ok((Rates::new(FemtoPerToken::FREE, Some(FemtoPerToken::FREE)), false))
    }

    /// The stated prices, each above zero.
    fn rates(&self) -> Result<(Rates, bool), PricingError> {
        let mut rounded_up = false;
        let mut prices = [None; 5];
        for (price, (field, text)) in prices.iter_mut().zip(self.fields()) {
            let Some(text) = text else { continue };
            let (rate, finer) = FemtoPerToken::parse_field(field, text)?;
            if rate == FemtoPerToken::FREE {
                return Err(PricingError::ZeroPrice { field });
            }
            *price = Some(rate);
            rounded_up |= finer;
        }
        let [input, output, cached, cache_write_5m, cache_write_1h] = prices;
        let missing = |field| PricingError::Missing { field };
        let input = input.ok_or(missing("input"))?;
        let rates = Rates::new(input, Some(output.ok_or(missing("output"))?));
        Ok((Rates { cached, cache_write_5m, cache_write_1h, ..rates }, rounded_up))
    }
}
