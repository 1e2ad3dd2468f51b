//! The price catalogue: (provider, model) to limits and prices.
//!
//! Rows come from `catalog.json` (see `CATALOG.md` for sources and licences). The build script
//! turns them into one sorted table of bytes, so that nothing is parsed when a process starts:
//! a look-up is a binary search, and only the row that is found is decoded. A newer file of the
//! same format can be imported into a deployment: the same table, made by the admin function.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::table::Table;
use crate::Money;
use crate::pricing::{Card, FemtoPerToken, Price, PricingError, Rates, Schedule, decimal};

mod encode;
mod table;

pub use encode::Fault;

static COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/catalog.bin"));

/// Which rows are compiled in: the date that the prices were read for, and a hash of the file.
pub const VERSION: &str = env!("FAREBOX_CATALOG_VERSION");

/// The layout of [`Catalog::bytes`]. Deployments keep imported lists: who changes the layout raises
/// it, and a list of another one is refused until its file is imported again.
pub const LAYOUT: u32 = 1;

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

/// A price list: the one that is compiled in, or one that an owner has imported.
#[derive(Clone, Debug)]
pub struct Catalog {
    version: Cow<'static, str>,
    bytes: Bytes,
}

#[derive(Clone)]
enum Bytes {
    Compiled,
    Imported(Arc<[u8]>),
}

impl core::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if matches!(self, Self::Compiled) { "Compiled" } else { "Imported" })
    }
}

/// Whether the prices of a version are of an earlier day than those of another one.
///
/// ```
/// assert!(farebox_core::catalog::is_older("2026-11-23.9f", "2026-11-24.1a"));
/// ```
#[must_use]
pub fn is_older(version: &str, than: &str) -> bool {
    version.split('.').next() < than.split('.').next()
}

impl Catalog {
    /// The list that this binary was built with.
    #[must_use]
    pub const fn compiled() -> Self {
        Self { version: Cow::Borrowed(VERSION), bytes: Bytes::Compiled }
    }

    /// A list as [`Catalog::import`] made it and a store kept it; `None` where the bytes are not
    /// a whole one.
    #[must_use]
    pub fn stored(version: String, bytes: Vec<u8>) -> Option<Self> {
        let list = Self { version: Cow::Owned(version), bytes: Bytes::Imported(bytes.into()) };
        list.table()?.is_whole().then_some(list)
    }

    /// A list from the text of its file (as `catalog.json`), with each of its rows looked at.
    ///
    /// # Errors
    /// What is wrong with it, row by row.
    pub fn import(text: &str) -> Result<Self, Vec<Fault>> {
        let made = encode::encode(text)?;
        let unreadable = || vec![Fault::new("rows", "a name or a price of it is unreadable")];
        let list = Self::stored(made.version, made.bytes).ok_or_else(unreadable)?;
        let unreadable = list.unreadable().into_iter();
        let faults: Vec<_> = unreadable.map(|place| Fault::new(place, "is unreadable")).collect();
        if faults.is_empty() { Ok(list) } else { Err(faults) }
    }

    /// Which list it is: the date that the prices were read for, and a hash of the file.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The table, to be stored.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Compiled => COMPILED,
            Bytes::Imported(bytes) => bytes,
        }
    }

    /// Finds a model by its exact name, else by an alias of that provider.
    ///
    /// ```
    /// let list = farebox_core::Catalog::compiled();
    /// let model = list.find("openai", "gpt-4o").unwrap();
    /// assert_eq!(model.context_window, Some(128_000));
    /// assert!(list.find("openai", "gpt-4o-and-more").is_none());
    /// ```
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<Model> {
        let provider = self.table()?.provider(provider)?;
        provider.model(provider.row(model)?)
    }

    /// All models of a provider, by name.
    pub fn models(&self, provider: &str) -> impl Iterator<Item = Model> {
        let provider = self.table().and_then(|table| table.provider(provider));
        let found = provider.into_iter();
        found.flat_map(|found| found.rows().map_while(move |row| found.model(row)))
    }

    /// The names of all providers.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        let providers = self.table().into_iter().flat_map(Table::providers);
        providers.map(|provider| provider.name)
    }

    /// The providers that have a model of this name or alias, by name. A caller's few providers
    /// are asked one by one with [`Self::find`]; this serves an error that names who has it.
    pub fn providers_of(&self, model: &str) -> impl Iterator<Item = &str> {
        let providers = self.table().into_iter().flat_map(Table::providers);
        let found = providers.filter(move |provider| provider.row(model).is_some());
        found.map(|provider| provider.name)
    }

    /// How many models there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.table().map_or(0, Table::rows)
    }

    /// Rows that cannot be decoded, by number.
    fn unreadable(&self) -> Vec<String> {
        let providers = self.table().into_iter().flat_map(Table::providers);
        let rows = providers.flat_map(|provider| provider.rows().map(move |row| (provider, row)));
        let lost = rows.filter(|(provider, row)| provider.model(*row).is_none());
        lost.map(|(provider, row)| format!("{} row {row}", provider.name)).collect()
    }

    fn table(&self) -> Option<Table<'_>> {
        Table::open(self.bytes(), &self.version)
    }
}

/// An owner's own prices for a model, as decimal texts of USD per million tokens.
///
/// They replace a catalogue row's prices whole: its service tiers, long-context prices and fees
/// are not mixed in, so a call that needs a service tier or a search is refused where it is not
/// stated here. Limits that are left out, and whether the provider writes its cache unasked, are
/// the catalogue row's.
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
    /// One search that the provider runs, in USD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search: Option<String>,
    /// Every request, in USD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_request: Option<String>,
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
    /// The model that these prices make; `list` says what they leave out.
    ///
    /// # Errors
    /// [`PricingError`] names the field and its rule.
    pub fn model(
        &self,
        list: &Catalog,
        provider: &str,
        name: &str,
        version: &str,
    ) -> Result<Model, PricingError> {
        let listed = list.find(provider, name);
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
            per_request: self.fee("per_request", self.per_request.as_deref())?,
            web_search: self.fee("web_search", self.web_search.as_deref())?,
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

    /// A fee for one of something, above zero; nothing beside `free`.
    fn fee(&self, field: &'static str, text: Option<&str>) -> Result<Option<Money>, PricingError> {
        let Some(text) = text else { return Ok(None) };
        let fee = Money::parse_usd(text).map_err(|_| PricingError::NotAFee { field })?;
        match (fee > Money::ZERO, self.free) {
            (true, false) => Ok(Some(fee)),
            (false, true) => Ok(None),
            (true, true) => Err(PricingError::NotFree { field }),
            (false, false) => Err(PricingError::ZeroPrice { field }),
        }
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
