//! Provider credentials from Secrets Manager, one secret an owner, and which of them rest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use farebox_core::{Secret, Timestamp};
use farebox_ledger::update::{resting_key, resting_put};
use serde::Deserialize;

use crate::cache::Cache;
use crate::clients::Aws;
use crate::error::Error;
use crate::expression::{Store, again, classify};
use crate::seal::Sealer;

/// How long a credential is used without asking again.
const FRESH_MS: i64 = 300_000;
/// How long an old one is used while Secrets Manager does not answer (money.md 5, row 3).
const STALE_MS: i64 = 600_000;
/// Owners remembered.
const OWNERS_MAX: usize = 256;
/// How long it is believed what other environments said of a credential.
const RESTING_MS: i64 = 30_000;
/// A shorter rest is over before others would read of it.
const SHARED_MS_MIN: i64 = 30_000;
/// Credentials whose rest is remembered. Forgotten together when full.
const RESTING_MAX: usize = 4_096;

/// Credentials by owner, cached for minutes.
pub struct Credentials {
    aws: Aws,
    /// By mark: until when a credential rests, and when other environments were asked.
    resting: Mutex<HashMap<String, (Timestamp, Timestamp)>>,
    /// By owner **and** credential version: versions of two users say nothing about each other,
    /// also where both use one organisation's secret.
    owners: Cache<(String, i64), Arc<ByProvider>>,
}

/// What opens a provider. No `Debug`.
#[derive(Clone)]
pub struct Credential {
    /// Its name among those of its owner for the provider; empty where it is the plain one.
    pub name: String,
    /// The provider's key.
    pub secret: Secret,
    /// The server, where it is not the provider's own.
    pub base_url: Option<String>,
    /// Its share of the calls.
    pub weight: u32,
}

/// The credential of an attempt.
pub struct Chosen {
    /// What is sent.
    pub credential: Credential,
    /// By what it is known where it rests; `None` where it is the only one, and never rests.
    pub mark: Option<String>,
    /// Another one is there that does not rest and was not tried.
    pub has_other: bool,
}

impl Credentials {
    /// The credentials of a deployment; reads nothing yet.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone(), resting: Mutex::default(), owners: Cache::new(OWNERS_MAX) }
    }

    /// The credential of an owner (`user:ID` or `org:ID`) for the next attempt at a provider: of
    /// several one that does not rest, drawn by their weights, and none of those that were `tried`
    /// while there is another. Where all rest it is the one whose rest ends first: no rest takes a
    /// provider down. `cv` is the version that the caller's key carries; another version is read
    /// anew.
    ///
    /// # Errors
    /// [`Error::NoCredential`] where the owner has none.
    pub async fn choose(
        &self,
        (owner, cv): (&str, i64),
        provider: &str,
        tried: &[String],
        pepper: &Secret,
    ) -> Result<Chosen, Error> {
        let mut all = self.fetch(owner, cv, provider).await?;
        if all.len() <= 1 {
            let only = all.pop();
            let none = || Error::NoCredential { provider: provider.to_owned() };
            let credential = only.ok_or_else(none)?;
            return Ok(Chosen { credential, mark: None, has_other: false });
        }
        let sealer = Sealer::new(pepper);
        let mut marked = Vec::new();
        for credential in all {
            let mark = sealer.digest("credential", &[credential.secret.expose().as_bytes()])?;
            marked.push((self.rest(&mark).await, mark, credential));
        }
        let now = self.aws.now();
        let is_tried = |credential: &Credential| tried.contains(&credential.name);
        let (mut fit, rest): (Vec<_>, Vec<_>) = marked
            .into_iter()
            .partition(|(until, _, credential)| *until <= now && !is_tried(credential));
        let has_other = fit.len() > 1;
        let weights: Vec<u32> = fit.iter().map(|(_, _, credential)| credential.weight).collect();
        let chosen = match drawn(&weights, self.aws.chance()) {
            Some(at) => Some(fit.swap_remove(at)),
            None => rest.into_iter().min_by_key(|(until, _, one)| (is_tried(one), *until)),
        };
        let none = || Error::NoCredential { provider: provider.to_owned() };
        let (_, mark, credential) = chosen.ok_or_else(none)?;
        Ok(Chosen { credential, mark: Some(mark), has_other })
    }

    /// A credential that a provider refused, or that has no room now, is not used for a while: here
    /// at once, elsewhere where others ask again. Nothing hangs on its success.
    pub async fn rests(&self, mark: &str, for_ms: i64) {
        let now = self.aws.now();
        let until = now.plus_ms(for_ms);
        self.remember(mark, until, now);
        if for_ms < SHARED_MS_MIN {
            return;
        }
        let put = resting_put(resting_key(&self.aws.config().tenant, mark), until);
        if let Err(error) = Store::patient(&self.aws).record(&put).await {
            tracing::warn!(%error, "other environments do not know that a credential rests");
        }
    }

    /// Until when a credential rests, by this environment's memory and, twice a minute, by what
    /// others wrote down. What cannot be read is no rest.
    async fn rest(&self, mark: &str) -> Timestamp {
        let now = self.aws.now();
        let known = self.resting.lock().unwrap_or_else(PoisonError::into_inner).get(mark).copied();
        if let Some((until, asked_at)) = known
            && (now < until || (0..RESTING_MS).contains(&now.since(asked_at)))
        {
            return until;
        }
        let key = resting_key(&self.aws.config().tenant, mark);
        let found = Store::patient(&self.aws).fetch(&key).await;
        let until =
            found.ok().flatten().and_then(|item| item.get("until")?.as_n().ok()?.parse().ok());
        let until = Timestamp::from_ms(until.unwrap_or_default());
        self.remember(mark, until, now);
        until
    }

    fn remember(&self, mark: &str, until: Timestamp, now: Timestamp) {
        let mut all = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= RESTING_MAX {
            all.clear();
        }
        all.insert(mark.to_owned(), (until, now));
    }

    /// The credentials of an owner for a provider, by name.
    async fn fetch(&self, owner: &str, cv: i64, provider: &str) -> Result<Vec<Credential>, Error> {
        let may_serve_stale = |error: &Error, age_ms| {
            matches!(error, Error::Unavailable { .. }) && (0..STALE_MS).contains(&age_ms)
        };
        let version = (owner.to_owned(), cv);
        let all = self.owners.value(
            &version,
            || self.aws.now(),
            |_, age_ms| age_ms < FRESH_MS,
            may_serve_stale,
            self.read(owner),
        );
        Ok(all.await?.get(provider).cloned().unwrap_or_default())
    }

    async fn read(&self, owner: &str) -> Result<Arc<ByProvider>, Error> {
        let name = secret_name(&self.aws, owner)?;
        match secret_text(&self.aws, &name).await? {
            None => Ok(Arc::default()),
            Some(text) => parse(owner, &text).map(Arc::new),
        }
    }
}

/// The name of an owner's secret.
///
/// # Errors
/// [`Error::NotConfigured`], or [`Error::Malformed`] where the owner is not `user:ID` or `org:ID`.
pub fn secret_name(aws: &Aws, owner: &str) -> Result<String, Error> {
    let prefix = &aws.config().secret_prefix;
    if prefix.is_empty() {
        return Err(Error::NotConfigured { variable: "FAREBOX_SECRET_PREFIX" });
    }
    match owner.split_once(':') {
        Some((kind @ ("user" | "org"), id)) => Ok(format!("{prefix}/credentials/{kind}/{id}")),
        _ => Err(Error::malformed("a credential's owner", "not user:ID or org:ID")),
    }
}

/// The text of a secret; `None` where there is none.
///
/// # Errors
/// [`Error::Unavailable`] or [`Error::Refused`].
pub async fn secret_text(aws: &Aws, id: &str) -> Result<Option<Secret>, Error> {
    let answer = again("GetSecretValue", || async {
        match aws.secrets().get_secret_value().secret_id(id).send().await {
            Ok(answer) => Ok(answer.secret_string.map(Secret::new)),
            Err(error) => match error.as_service_error() {
                Some(GetSecretValueError::ResourceNotFoundException(_)) => Ok(None),
                _ => Err(classify(&error)),
            },
        }
    });
    answer.await
}

/// An owner's credentials by provider.
type ByProvider = HashMap<String, Vec<Credential>>;

#[derive(Deserialize)]
struct Stored {
    secret: String,
    #[serde(default)]
    base_url: Option<String>,
    #[serde(default)]
    weight: Option<u32>,
}

/// The place that `draw`, a random number, chooses by weights; `None` where there is none.
fn drawn(weights: &[u32], draw: u64) -> Option<usize> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut left = draw.checked_rem(sum)?;
    weights.iter().position(|weight| match left.checked_sub(u64::from(*weight)) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    })
}

/// The error says that the text is not what it must be, and quotes nothing of it.
fn parse(owner: &str, text: &Secret) -> Result<ByProvider, Error> {
    let stored: HashMap<String, Stored> = serde_json::from_str(text.expose())
        .map_err(|_| Error::malformed(format!("the secret of {owner}"), "not its JSON form"))?;
    let mut all = ByProvider::new();
    for (slot, Stored { secret, base_url, weight }) in stored {
        let (provider, name) = slot.split_once('/').unwrap_or((&slot, ""));
        let (secret, weight) = (Secret::new(secret), weight.unwrap_or(1));
        let credential = Credential { name: name.to_owned(), secret, base_url, weight };
        all.entry(provider.to_owned()).or_default().push(credential);
    }
    all.values_mut().for_each(|some| some.sort_by(|a, b| a.name.cmp(&b.name)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owners_secret_holds_a_credential_for_each_provider() {
        let text = r#"{"openai/b":{"secret":"s3","weight":5},"openai":{"secret":"s1"},
            "own":{"secret":"s2","base_url":"http://x"}}"#;

        let all = parse("user:u1", &Secret::new(text.to_owned())).unwrap();

        let shown =
            |one: &Credential| (one.name.clone(), one.secret.expose().to_owned(), one.weight);
        let [plain, named] = all["openai"].as_slice() else { panic!("two") };
        assert_eq!(shown(plain), (String::new(), "s1".to_owned(), 1));
        assert_eq!(shown(named), ("b".to_owned(), "s3".to_owned(), 5));
        assert_eq!(all["own"][0].base_url.as_deref(), Some("http://x"));
    }

    #[test]
    fn weights_are_shares() {
        assert_eq!(drawn(&[], 7), None);
        for (draw, at) in [(0, 0), (1, 1), (2, 1), (3, 1), (4, 0)] {
            assert_eq!(drawn(&[1, 3], draw), Some(at), "{draw}");
        }
    }

    #[test]
    fn an_error_quotes_nothing_of_a_secret() {
        let text = Secret::new(r#"{"openai":"canary"}"#.to_owned());

        let Err(error) = parse("user:u1", &text) else { panic!("taken") };

        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
