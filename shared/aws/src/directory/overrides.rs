//! The owner's own prices, as every call looks them up.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use farebox_core::catalog::Mode;
use farebox_core::{Model, PriceSpec};
use farebox_ledger::update::QUARANTINE;

use super::text;
use crate::expression::Attributes;

/// The owner's own prices.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    models: BTreeMap<String, BTreeMap<String, Model>>,
    /// `provider#model` of rows that a call has shown to be wrong.
    quarantined: BTreeSet<String>,
}

impl Overrides {
    /// The owner's own row for a model.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<&Model> {
        self.models.get(provider)?.get(model)
    }

    /// All rows, by provider and name.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.models.values().flat_map(BTreeMap::values)
    }

    /// Whether a call to the model has cost more than its hold, and no owner has looked since.
    #[must_use]
    pub fn is_quarantined(&self, provider: &str, model: &str) -> bool {
        self.quarantined.contains(&format!("{provider}#{model}"))
    }

    pub(super) fn add(&mut self, item: &Attributes) {
        if let Some(row) = text(item, "sk").and_then(|sk| sk.strip_prefix(QUARANTINE)) {
            self.quarantined.insert(row.to_owned());
            return;
        }
        let sk = text(item, "sk").and_then(|sk| sk.split_once('#'));
        let Some((provider, name)) = sk else { return };
        let spec = text(item, "spec").and_then(|spec| serde_json::from_str::<PriceSpec>(spec).ok());
        let version = text(item, "version").unwrap_or_default();
        let model = spec.and_then(|spec| spec.model(provider, name, version).ok());
        // A row that cannot be read must not fall back to the catalogue's price.
        let model = model.unwrap_or_else(|| {
            tracing::error!(metric = "price_unreadable", provider, name, "a price override");
            unpriced(provider, name)
        });
        self.models.entry(provider.to_owned()).or_default().insert(name.to_owned(), model);
    }
}

fn unpriced(provider: &str, name: &str) -> Model {
    Model {
        provider: Cow::Owned(provider.to_owned()),
        name: Cow::Owned(name.to_owned()),
        mode: Mode::Chat,
        context_window: None,
        completion_max: None,
        price: None,
    }
}
