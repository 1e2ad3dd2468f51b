//! From a model's name to the provider, the price and the credential's owner.

use farebox_aws::{KeyItem, Overrides};
use farebox_core::catalog::{self, Model};
use farebox_core::{ChatCall, Error, Scope};
use farebox_providers::{Provider, Wire};

/// What a call resolves to, decided once: the same names are used for the price, the budget
/// and the log.
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
    /// The budgets that the call counts to: its owners', and theirs of this model.
    #[must_use]
    pub fn scopes(&self, key: &KeyItem) -> Vec<Scope> {
        let (provider, model) = (self.provider.name, &self.model.name);
        key.scopes.iter().filter(|scope| scope.counts(provider, model)).cloned().collect()
    }
}

/// Resolves `provider/model`, or a bare name among the caller's credentials.
///
/// # Errors
/// 400 `no_active_credential`, 403 `model_not_allowed`, 404 `model_not_found`.
pub fn resolve(call: &ChatCall, key: &KeyItem, overrides: &Overrides) -> Result<Resolved, Error> {
    let resolved = match named(call, overrides)? {
        Some((provider, model)) => with_credential(provider, model, key, call)?,
        None => bare(call, key, overrides)?,
    };
    let (provider, model) = (resolved.provider.name, &resolved.model.name);
    if key.may_use(provider, model) {
        return Ok(resolved);
    }
    Err(Error::ModelForbidden { model: format!("{provider}/{model}") })
}

/// The provider and the model's name, where the caller named a provider.
fn named(
    call: &ChatCall,
    overrides: &Overrides,
) -> Result<Option<(&'static Provider, Option<Model>)>, Error> {
    let Some(name) = call.provider.as_deref() else {
        let Some((provider, model)) = prefixed(&call.model) else { return Ok(None) };
        return Ok(Some((provider, look_up(provider.name, model, overrides))));
    };
    let provider = farebox_providers::find(name).ok_or_else(|| {
        let known: Vec<_> =
            farebox_providers::PROVIDERS.iter().map(|provider| provider.name).collect();
        let name: String = name.chars().take(64).collect();
        Error::malformed("provider", format!("{name:?} is not one of {}", known.join(", ")))
    })?;
    let exact = look_up(provider.name, &call.model, overrides);
    // `demo/chat` beside `provider: demo` means the same model.
    let repeated = || match prefixed(&call.model) {
        Some((same, model)) if same.name == provider.name => {
            look_up(provider.name, model, overrides)
        }
        _ => None,
    };
    Ok(Some((provider, exact.or_else(repeated))))
}

/// `provider/model`, where the first part names a provider.
fn prefixed(text: &str) -> Option<(&'static Provider, &str)> {
    let (name, model) = text.split_once('/')?;
    Some((farebox_providers::find(name)?, model))
}

/// The owner's price stands before the catalogue's.
fn look_up(provider: &str, model: &str, overrides: &Overrides) -> Option<Model> {
    overrides.find(provider, model).cloned().or_else(|| catalog::find(provider, model))
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
    let unknown = || Error::UnknownModel { model: call.model.chars().take(128).collect() };
    let model = model.ok_or_else(unknown)?;
    let wire = provider.wire_for(&model.name, call.format)?;
    Ok(Resolved { provider, wire, model, owner })
}

fn bare(call: &ChatCall, key: &KeyItem, overrides: &Overrides) -> Result<Resolved, Error> {
    let name = call.model.as_str();
    let mut found: Vec<Resolved> = Vec::new();
    for (provider, owner) in &key.providers {
        let Some(provider) = farebox_providers::find(provider) else { continue };
        let Some(model) = look_up(provider.name, name, overrides) else { continue };
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
    match catalog::providers_of(name).find(|other| farebox_providers::find(other).is_some()) {
        Some(provider) => Err(Error::NoActiveCredential { provider: provider.to_owned() }),
        None => Err(Error::UnknownModel { model: name.chars().take(128).collect() }),
    }
}
