//! Secrets: values that no log, error or debug print can show.

use secrecy::{ExposeSecret, SecretString};

/// A secret text: a provider credential, the secret half of a key, the pepper.
///
/// It has no `Debug`, `Display` or `Serialize`, and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a text into custody.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself. Call it only where a header or a MAC is built.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}
