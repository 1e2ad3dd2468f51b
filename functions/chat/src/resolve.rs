//! From a model's name to the provider, the price and the credential's owner.

use farebox_aws::{Credential, InForce, KeyItem};
use farebox_core::{ChatCall, Error, Model, Route, Scope};
use farebox_providers::{Facts, Provider, Wire};

use crate::plan::unpriced;

/// What a call resolves to, decided once: the same names are used for the price, the budget
/// and the log.
#[derive(Clone)]
pub struct Resolved {
    /// The provider's row.
    pub provider: &'static Provider,
    /// The wire format in which it is called.
    pub wire: &'static dyn Wire,
    /// The model with its limits and prices.
    pub model: Model,
    /// Whose credential is used: `user:ID` or `org:ID`.
    pub owner: String,
}

impl Resolved {
    /// Whether the place that a credential calls makes its model dearer; `None` where that does
    /// not tell.
    #[must_use]
    pub fn dearer_at(&self, credential: &Credential) -> Option<bool> {
        let base = credential.base_url.as_deref().unwrap_or(self.provider.base_url);
        (self.provider.dearer_at)(&self.model.name, base)
    }

    /// What the catalogue knows about its model.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        let Model { name, context_window, completion_max, price, .. } = &self.model;
        Facts {
            model: name,
            context_window: *context_window,
            completion_max: *completion_max,
            price: price.as_ref(),
        }
    }

    /// The budgets that the call counts to: its owners', and theirs of this model.
    #[must_use]
    pub fn scopes(&self, key: &KeyItem) -> Vec<Scope> {
        let (provider, model) = (self.provider.name, &self.model.name);
        key.scopes.iter().filter(|scope| scope.counts(provider, model)).cloned().collect()
    }
}

/// Resolves `provider/model`, a route, or a bare name among the caller's credentials: the models
/// that the call may go to, in the order in which they are tried, one at least, and the route that
/// says when. `draw` is a random number, for a route with weights.
///
/// # Errors
/// 400 `no_active_credential`, 403 `model_not_allowed`, 404 `model_not_found`.
pub fn resolve(
    call: &ChatCall,
    key: &KeyItem,
    prices: &InForce<'_>,
    draw: impl FnOnce() -> u64,
) -> Result<(Route, Vec<Resolved>), Error> {
    let alone = |resolved| Ok((Route::default(), vec![allowed(key, resolved)?]));
    if let Some((provider, model)) = named(call, prices)? {
        return alone(with_credential(provider, model, key, call)?);
    }
    match prices.overrides.route(&call.model) {
        Some(route) => Ok((route.clone(), targets(route, call, key, prices, draw())?)),
        None => alone(bare(call, key, prices)?),
    }
}

/// The same, where the key may use it.
fn allowed(key: &KeyItem, resolved: Resolved) -> Result<Resolved, Error> {
    let (provider, model) = (resolved.provider.name, &resolved.model.name);
    if key.may_use(provider, model) {
        return Ok(resolved);
    }
    Err(Error::ModelForbidden { model: format!("{provider}/{model}") })
}

/// The targets of a route that this caller can use now; what keeps the first from it, where it can
/// use none.
fn targets(
    route: &Route,
    call: &ChatCall,
    key: &KeyItem,
    prices: &InForce<'_>,
    draw: u64,
) -> Result<Vec<Resolved>, Error> {
    let mut first = None;
    let mut usable = Vec::new();
    for target in route.order(draw) {
        let known = prefixed(&target.model);
        let found = known.ok_or_else(|| unknown(&target.model)).and_then(|(provider, name)| {
            let model = prices.model(provider.name, name);
            let resolved = allowed(key, with_credential(provider, model, key, call)?)?;
            match resolved.model.price {
                Some(_) => Ok(resolved),
                None => Err(unpriced(&resolved, "any token")),
            }
        });
        match found {
            Ok(resolved) => usable.push(resolved),
            Err(error) => first = first.or(Some(error)),
        }
    }
    if usable.is_empty() { Err(first.unwrap_or_else(|| unknown(&call.model))) } else { Ok(usable) }
}

fn unknown(model: &str) -> Error {
    Error::UnknownModel { model: model.chars().take(128).collect() }
}

/// The provider and the model's name, where the caller named a provider.
fn named(
    call: &ChatCall,
    prices: &InForce<'_>,
) -> Result<Option<(&'static Provider, Option<Model>)>, Error> {
    let Some(name) = call.provider.as_deref() else {
        let Some((provider, model)) = prefixed(&call.model) else { return Ok(None) };
        return Ok(Some((provider, prices.model(provider.name, model))));
    };
    let provider = farebox_providers::find(name).ok_or_else(|| {
        let known: Vec<_> =
            farebox_providers::PROVIDERS.iter().map(|provider| provider.name).collect();
        let name: String = name.chars().take(64).collect();
        Error::malformed("provider", format!("{name:?} is not one of {}", known.join(", ")))
    })?;
    let exact = prices.model(provider.name, &call.model);
    // `demo/chat` beside `provider: demo` means the same model.
    let repeated = || match prefixed(&call.model) {
        Some((same, model)) if same.name == provider.name => prices.model(provider.name, model),
        _ => None,
    };
    Ok(Some((provider, exact.or_else(repeated))))
}

/// `provider/model`, where the first part names a provider.
fn prefixed(text: &str) -> Option<(&'static Provider, &str)> {
    let (name, model) = text.split_once('/')?;
    Some((farebox_providers::find(name)?, model))
}

fn with_credential(
    provider: &'static Provider,
    model: Option<Model>,
    key: &KeyItem,
    call: &ChatCall,
) -> Result<Resolved, Error> {
    // The credential comes first: without one, which models there are is nobody's business.
    let owner = key
        .providers
        .get(provider.name)
        .cloned()
        .ok_or_else(|| Error::NoActiveCredential { provider: provider.name.to_owned() })?;
    let model = model.ok_or_else(|| unknown(&call.model))?;
    let wire = provider.wire_for(&model.name, call.format)?;
    Ok(Resolved { provider, wire, model, owner })
}

fn bare(call: &ChatCall, key: &KeyItem, prices: &InForce<'_>) -> Result<Resolved, Error> {
    let name = call.model.as_str();
    let mut found: Vec<Resolved> = Vec::new();
    for (provider, owner) in &key.providers {
        let Some(provider) = farebox_providers::find(provider) else { continue };
        let Some(model) = prices.model(provider.name, name) else { continue };
        let wire = provider.wire_for(&model.name, call.format)?;
        found.push(Resolved { provider, wire, model, owner: owner.clone() });
    }
    if found.len() > 1 {
        let choices: Vec<_> =
            found.iter().map(|each| format!("{}/{name}", each.provider.name)).collect();
        let rule = format!("several of your providers serve it: write {}", choices.join(" or "));
        return Err(Error::malformed("model", rule));
    }
    if let Some(resolved) = found.pop() {
        return Ok(resolved);
    }
    let list = prices.overrides.list();
    match list.providers_of(name).find(|other| farebox_providers::find(other).is_some()) {
        Some(provider) => Err(Error::NoActiveCredential { provider: provider.to_owned() }),
        None => Err(unknown(name)),
    }
}
