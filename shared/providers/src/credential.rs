//! Credentials of several fields.
//!
//! A credential is one secret text. Most providers take it as it is ([`crate::Wire::auth`]).
//! Where a provider needs several fields, the text is a JSON object and the provider's row has a
//! [`Scheme`]: it checks the fields when they are stored, and makes of them what a request
//! carries. Nothing here sends anything: a [`Grant`] is a request as a value.

use farebox_core::{Error, Secret, Timestamp};
use serde_json::{Map, Value};

/// How the fields of a secret open a provider.
pub trait Scheme: Sync {
    /// Checks a secret that is to be stored, and gives the URLs in it, each with its field: whether
    /// they may be called is for the control plane to judge.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field, such as `secret.client_email`. It never quotes it.
    fn check(&self, secret: &Secret) -> Result<Vec<(&'static str, String)>, Error>;

    /// The base URL that the fields stand for, where the owner has set none.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn base_url(&self, secret: &Secret) -> Result<String, Error>;

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
    fn granted(&self, _body: &[u8]) -> Option<Granted> {
        None
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
