//! Provider credentials from Secrets Manager, one secret an owner.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use farebox_core::Secret;
use serde::Deserialize;

use crate::cache::Cache;
use crate::clients::Aws;
use crate::error::Error;
use crate::expression::{again, classify};

/// How long a credential is used without asking again.
const FRESH_MS: i64 = 300_000;
/// How long an old one is used while Secrets Manager does not answer (money.md 5, row 3).
const STALE_MS: i64 = 600_000;
/// Owners remembered.
const OWNERS_MAX: usize = 256;

/// Credentials by owner, cached for minutes.
pub struct Credentials {
    aws: Aws,
    /// By owner **and** credential version: versions of two users say nothing about each other,
    /// also where both use one organisation's secret.
    owners: Cache<(String, i64), Arc<HashMap<String, Credential>>>,
}

/// What opens a provider. No `Debug`.
#[derive(Clone)]
pub struct Credential {
    /// The provider's key.
    pub secret: Secret,
    /// The server, where it is not the provider's own.
    pub base_url: Option<String>,
}

impl Credentials {
    /// The credentials of a deployment; reads nothing yet.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone(), owners: Cache::new(OWNERS_MAX) }
    }

    /// The credential of an owner (`user:ID` or `org:ID`) for a provider. `cv` is the version
    /// that the caller's key carries; another version is read anew.
    ///
    /// # Errors
    /// [`Error::NoCredential`] where the owner has none.
    pub async fn fetch(&self, owner: &str, cv: i64, provider: &str) -> Result<Credential, Error> {
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
        let none = || Error::NoCredential { provider: provider.to_owned() };
        all.await?.get(provider).cloned().ok_or_else(none)
    }

    async fn read(&self, owner: &str) -> Result<Arc<HashMap<String, Credential>>, Error> {
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

#[derive(Deserialize)]
struct Stored {
    secret: String,
    #[serde(default)]
    base_url: Option<String>,
}

/// The error says that the text is not what it must be, and quotes nothing of it.
fn parse(owner: &str, text: &Secret) -> Result<HashMap<String, Credential>, Error> {
    let stored: HashMap<String, Stored> = serde_json::from_str(text.expose())
        .map_err(|_| Error::malformed(format!("the secret of {owner}"), "not its JSON form"))?;
    let credentials = stored.into_iter().map(|(provider, Stored { secret, base_url })| {
        (provider, Credential { secret: Secret::new(secret), base_url })
    });
    Ok(credentials.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owners_secret_holds_a_credential_for_each_provider() {
        let text = r#"{"openai":{"secret":"s1"},"own":{"secret":"s2","base_url":"http://x"}}"#;

        let all = parse("user:u1", &Secret::new(text.to_owned())).unwrap();

        assert_eq!(all["openai"].secret.expose(), "s1");
        assert_eq!(all["own"].base_url.as_deref(), Some("http://x"));
    }

    #[test]
    fn an_error_quotes_nothing_of_a_secret() {
        let text = Secret::new(r#"{"openai":"canary"}"#.to_owned());

        let Err(error) = parse("user:u1", &text) else { panic!("taken") };

        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
