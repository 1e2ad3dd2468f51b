//! The owner's own prices, discounts and routes, and the list that they go before, as every call
//! looks them up.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use farebox_core::catalog::Mode;
use farebox_core::pricing::Discount;
use farebox_core::{Catalog, Model, PriceSpec, Route, Timestamp};
use farebox_ledger::update::QUARANTINE;

use super::text;
use crate::expression::Attributes;

/// What begins the sort key of a route. It stands beside the owner's prices, so that it is read
/// with them; no provider's name begins so.
pub(crate) const ROUTE: &str = "@#";
/// What begins the sort key of a discount.
pub(crate) const DISCOUNT: &str = "%#";
/// The sort key of what names the imported list.
pub(crate) const LIST: &str = "=#list";

/// What prices are made of.
#[derive(Clone, Debug)]
pub struct Overrides {
    list: Catalog,
    models: BTreeMap<String, BTreeMap<String, Model>>,
    /// By target: `*`, `provider/*` or `provider/model`.
    discounts: BTreeMap<String, Discount>,
    /// `provider#model` of rows that a call has shown to be wrong.
    quarantined: BTreeSet<String>,
    routes: BTreeMap<String, Route>,
}

/// The prices of one instant.
#[derive(Clone, Copy)]
pub struct InForce<'a> {
    /// What they are made of.
    pub overrides: &'a Overrides,
    at: Timestamp,
}

impl InForce<'_> {
    /// A model by its name, else by an alias of the list's: at the owner's own price, else at the
    /// list's, less what is taken off.
    #[must_use]
    pub fn model(&self, provider: &str, name: &str) -> Option<Model> {
        let own = |name: &str| self.overrides.own(provider, name).cloned();
        let found = own(name).or_else(|| {
            let listed = self.overrides.list.find(provider, name)?;
            Some(own(&listed.name).unwrap_or(listed))
        });
        found.map(|model| self.discounted(model))
    }

    /// All models of a provider.
    pub fn models<'m>(&'m self, provider: &'m str) -> impl Iterator<Item = Model> + 'm {
        let own = self.overrides.models.get(provider).into_iter();
        let own = own.flat_map(BTreeMap::values).cloned();
        let listed = self.overrides.list.models(provider);
        let listed = listed.filter(|model| self.overrides.own(provider, &model.name).is_none());
        own.chain(listed).map(|model| self.discounted(model))
    }

    /// The nearest discount that has begun. An own price is what the owner pays, so only a
    /// discount of the very model comes off it.
    fn discounted(&self, mut model: Model) -> Model {
        let (provider, name) = (&model.provider, &model.name);
        let is_own = self.overrides.own(provider, name).is_some();
        let targets = [format!("{provider}/{name}"), format!("{provider}/*"), "*".to_owned()];
        let targets = targets.iter().take(if is_own { 1 } else { 3 });
        let Some(price) = &model.price else { return model };
        let discounts = targets.filter_map(|target| self.overrides.discounts.get(target));
        let mut begun = discounts.filter_map(|discount| discount.of(price, self.at));
        if let Some(price) = begun.next() {
            model.price = Some(price);
        }
        model
    }
}

impl Overrides {
    /// Nothing but a list.
    #[must_use]
    pub const fn new(list: Catalog) -> Self {
        Self {
            list,
            models: BTreeMap::new(),
            discounts: BTreeMap::new(),
            quarantined: BTreeSet::new(),
            routes: BTreeMap::new(),
        }
    }

    /// The prices of an instant.
    #[must_use]
    pub const fn at(&self, at: Timestamp) -> InForce<'_> {
        InForce { overrides: self, at }
    }

    /// The list that the owner's own prices go before.
    #[must_use]
    pub const fn list(&self) -> &Catalog {
        &self.list
    }

    /// The owner's own row for a model, nothing taken off.
    #[must_use]
    pub fn own(&self, provider: &str, model: &str) -> Option<&Model> {
        self.models.get(provider)?.get(model)
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
        let Some(sk) = text(item, "sk").filter(|sk| *sk != LIST) else { return };
        if let Some(row) = sk.strip_prefix(QUARANTINE) {
            self.quarantined.insert(row.to_owned());
        } else if let Some(name) = sk.strip_prefix(ROUTE) {
            let route = text(item, "route").and_then(|route| serde_json::from_str(route).ok());
            // A route that cannot be read leads nowhere: never to a model that has its name.
            let route = route.unwrap_or_else(|| {
                tracing::error!(metric = "route_unreadable", name, "a route");
                Route::default()
            });
            self.routes.insert(name.to_owned(), route);
        } else if let Some(target) = sk.strip_prefix(DISCOUNT) {
            let spec = text(item, "spec").and_then(|spec| serde_json::from_str(spec).ok());
            // Nothing is taken off by what cannot be read: the price is the higher one.
            match spec {
                Some(discount) => _ = self.discounts.insert(target.to_owned(), discount),
                None => tracing::error!(metric = "price_unreadable", target, "a discount"),
            }
        } else if let Some((provider, name)) = sk.split_once('#') {
            self.add_price(provider, name, item);
        }
    }

    fn add_price(&mut self, provider: &str, name: &str, item: &Attributes) {
        let spec = text(item, "spec").and_then(|spec| serde_json::from_str::<PriceSpec>(spec).ok());
        let version = text(item, "version").unwrap_or_default();
        let model = spec.and_then(|spec| spec.model(&self.list, provider, name, version).ok());
        // A row that cannot be read must not fall back to the list's price.
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
        let mut overrides = Overrides::new(Catalog::compiled());
        let row = [("sk".to_owned(), s("@#fast")), ("route".to_owned(), s("{"))].into();

        overrides.add(&row);

        assert_eq!(overrides.route("fast").map(|route| route.targets.len()), Some(0));
        assert!(overrides.models.is_empty());
    }

    #[test]
    fn an_unreadable_override_has_no_price() {
        let mut overrides = Overrides::new(Catalog::compiled());
        let row = [("sk".to_owned(), s("openai#a/b")), ("spec".to_owned(), s("{"))].into();

        overrides.add(&row);

        assert_eq!(overrides.own("openai", "a/b").map(|model| &model.price), Some(&None));
        assert_eq!(overrides.models.len(), 1);
    }

    /// What a million prompt tokens cost, and by which prices.
    fn price(overrides: &Overrides, name: &str, at: &str) -> (u64, String) {
        let model = overrides.at(Timestamp::parse(at).unwrap()).model("openai", name).unwrap();
        let price = model.price.unwrap();
        (price.schedule.standard.rates.input.femto(), price.version.to_string())
    }

    fn row(sk: &str, spec: &str) -> Attributes {
        let fields = [("sk", sk), ("spec", spec), ("version", "owner")];
        fields.map(|(name, value)| (name.to_owned(), s(value))).into()
    }

    #[test]
    fn the_nearest_discount_that_has_begun_comes_off_the_list() {
        let mut overrides = Overrides::new(Catalog::compiled());
        let full = price(&overrides, "gpt-4o", "2026-12-01T00:00:00Z").0;
        let terms = |from: &str, off: &str| {
            format!("{{\"terms\":[{{\"from\":\"{from}\",\"off_percent\":\"{off}\"}}]}}")
        };
        overrides.add(&row("%#*", &terms("2026-01-01T00:00:00Z", "10")));
        overrides.add(&row("%#openai/*", &terms("2026-12-01T00:00:00Z", "50")));
        overrides.add(&row("%#openai/gpt-4o-mini", &terms("2026-12-01T00:00:00Z", "0")));
        overrides.add(&row("openai#own", "{\"input\":\"1\",\"output\":\"1\"}"));

        let before = price(&overrides, "gpt-4o", "2026-11-30T23:59:59.999Z");
        assert_eq!(before, (full / 10 * 9, format!("{}-10%", Catalog::compiled().version())));
        assert_eq!(price(&overrides, "gpt-4o", "2026-12-01T00:00:00Z").0, full / 2);
        let exempt = price(&overrides, "gpt-4o-mini", "2026-12-01T00:00:00Z");
        assert_eq!(exempt.1, Catalog::compiled().version(), "0 percent of the model's own");
        let own = || (1_000_000_000, "owner".to_owned());
        assert_eq!(price(&overrides, "own", "2026-12-01T00:00:00Z"), own(), "what the owner pays");
        overrides.add(&row("%#openai/own", &terms("2026-12-01T00:00:00Z", "25")));
        let off = price(&overrides, "own", "2026-12-01T00:00:00Z");
        assert_eq!(off, (750_000_000, "owner-25%".to_owned()), "unless it is named itself");
        let listed = overrides.at(Timestamp::parse("2026-12-01T00:00:00Z").unwrap());
        let listed: Vec<_> = listed.models("openai").filter(|model| model.name == "own").collect();
        assert_eq!(listed[0].price.as_ref().unwrap().version, "owner-25%");
    }

    #[test]
    fn a_model_called_by_an_alias_has_the_owners_price_of_its_name() {
        let mut overrides = Overrides::new(Catalog::compiled());
        let (alias, at) = ("codex-mini-latest", "2026-12-01T00:00:00Z");
        assert_eq!(overrides.list().find("openai", alias).unwrap().name, "codex-mini");

        overrides.add(&row("openai#codex-mini", "{\"input\":\"7\",\"output\":\"9\"}"));

        assert_eq!(price(&overrides, alias, at), (7_000_000_000, "owner".to_owned()));
    }
}
