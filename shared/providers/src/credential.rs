//! Credentials of several fields.
//!
//! A credential is one secret text. Most providers take it as it is ([`crate::Wire::auth`]).
//! Where a provider needs several fields, the text is a JSON object and the provider's row has a
//! [`Scheme`]: it checks the fields when they are stored, and makes of them what a request
//! carries. Nothing here sends anything: a [`Grant`] is a request as a value.

use farebox_core::{Error, Secret, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

/// How the fields of a secret open a provider.
pub trait Scheme: Sync {
    /// Checks a secret that is to be stored, and gives the URLs in it, each with its field: whether
    /// they may be called is for the control plane to judge.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field, such as `secret.client_email`. It never quotes it.
    fn check(&self, secret: &Secret) -> Result<Vec<(&'static str, String)>, Error>;

    /// Whether its fields say where the provider is; else the owner must.
    fn is_somewhere(&self) -> bool {
        true
    }

    /// The base URL that the fields stand for, where the owner has set none.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn base_url(&self, secret: &Secret) -> Result<String, Error>;

    /// The base URL that the owner has set, as the fields make of it. Behind a `?` stands what
    /// follows every path, and before the path the model.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn place(&self, _secret: &Secret, base_url: String) -> Result<String, Error> {
        Ok(base_url)
    }

    /// The request for a token that stands for the secret; `None` where there is no such request.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn grant(&self, _secret: &Secret, _now: Timestamp) -> Result<Option<Grant>, Error> {
        Ok(None)
    }

    /// The headers that prove who calls, where they depend on the whole request.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn sign(
        &self,
        _secret: &Secret,
        _request: &Unsigned<'_>,
    ) -> Result<Vec<(&'static str, String)>, Error> {
        Ok(Vec::new())
    }

    /// What an answer to [`Self::grant`] says; `None` where it is no such answer.
    fn granted(&self, body: &[u8]) -> Option<Granted> {
        token_of(body)
    }
}

/// A POST that is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    /// Where to.
    pub url: &'a str,
    /// The exact body.
    pub body: &'a [u8],
    /// When it is sent.
    pub now: Timestamp,
}

/// A request for a token: a POST of a form.
pub struct Grant {
    /// Where to.
    pub url: String,
    /// `application/x-www-form-urlencoded`. It is a secret: it can be sent by whoever has it.
    pub form: Secret,
}

/// A token that stands for a secret. No `Debug`.
#[derive(Clone)]
pub struct Granted {
    /// The token.
    pub token: Secret,
    /// Seconds from its issue for which it is taken.
    pub lifetime_s: i64,
}

/// The token of an answer (RFC 6749, 5.1); `None` where it has none.
#[must_use]
pub fn token_of(body: &[u8]) -> Option<Granted> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        expires_in: i64,
    }
    let Answer { access_token, expires_in } = serde_json::from_slice(body).ok()?;
    let is_token = !access_token.is_empty() && expires_in > 0;
    is_token.then(|| Granted { token: Secret::new(access_token), lifetime_s: expires_in })
}

/// Reads the fields of a secret.
///
/// # Errors
/// [`Error::Malformed`] says that it is no JSON object, and quotes nothing of it.
pub fn fields(secret: &Secret) -> Result<Map<String, Value>, Error> {
    let rule = "must be a JSON object with the fields that docs/http-api.md names";
    serde_json::from_str(secret.expose()).map_err(|_| Error::malformed("secret", rule))
}

/// A field that must be a text, not empty.
///
/// # Errors
/// [`Error::Malformed`] names it.
pub fn text<'f>(fields: &'f Map<String, Value>, name: &str) -> Result<&'f str, Error> {
    let text = fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| Error::malformed(format!("secret.{name}"), "must be a text, not empty"))
}
