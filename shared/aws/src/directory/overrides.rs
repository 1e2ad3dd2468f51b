//! The owner's own prices and routes, as every call looks them up.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use farebox_core::catalog::Mode;
use farebox_core::{Model, PriceSpec, Route};
use farebox_ledger::update::QUARANTINE;

use super::text;
use crate::expression::Attributes;

/// What begins the sort key of a route. It stands beside the owner's prices, so that it is read
/// with them; no provider's name begins so.
pub(crate) const ROUTE: &str = "@#";

/// The owner's own prices and routes.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    models: BTreeMap<String, BTreeMap<String, Model>>,
    /// `provider#model` of rows that a call has shown to be wrong.
    quarantined: BTreeSet<String>,
    routes: BTreeMap<String, Route>,
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

    /// What a name stands for.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.routes.get(name)
    }

    /// All routes, by name.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &Route)> {
        self.routes.iter().map(|(name, route)| (name.as_str(), route))
    }

    pub(super) fn add(&mut self, item: &Attributes) {
        if let Some(row) = text(item, "sk").and_then(|sk| sk.strip_prefix(QUARANTINE)) {
            self.quarantined.insert(row.to_owned());
            return;
        }
        if let Some(name) = text(item, "sk").and_then(|sk| sk.strip_prefix(ROUTE)) {
            let route = text(item, "route").and_then(|route| serde_json::from_str(route).ok());
            // A route that cannot be read leads nowhere: never to a model that has its name.
            let route = route.unwrap_or_else(|| {
                tracing::error!(metric = "route_unreadable", name, "a route");
                Route::default()
            });
            self.routes.insert(name.to_owned(), route);
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

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    #[test]
    fn an_unreadable_route_leads_nowhere() {
        let mut overrides = Overrides::default();
        let row = [("sk".to_owned(), s("@#fast")), ("route".to_owned(), s("{"))].into();

        overrides.add(&row);

        assert_eq!(overrides.route("fast").map(|route| route.targets.len()), Some(0));
        assert_eq!(overrides.iter().count(), 0);
    }

    #[test]
    fn an_unreadable_override_has_no_price() {
        let mut overrides = Overrides::default();
        let row = [("sk".to_owned(), s("openai#a/b")), ("spec".to_owned(), s("{"))].into();

        overrides.add(&row);

        assert_eq!(overrides.find("openai", "a/b").map(|model| &model.price), Some(&None));
        assert_eq!(overrides.iter().count(), 1);
    }
}
