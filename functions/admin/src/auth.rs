//! Who asks, in which role, and what that role may: [`RIGHTS`] is the whole of it.

use farebox_core::{Error, Secret};
use hmac::{Hmac, KeyInit, Mac};
use lambda_http::http::header::AUTHORIZATION;
use sha2::Sha256;

use crate::Gate;
use crate::call::Call;

/// What an admin key that Farebox made begins with. A secret that CloudFormation generated
/// cannot, so the prefix is no part of the comparison.
const PREFIX: &str = "sk-fba-";
/// A stored key shorter than this is a mistake (an empty secret, a placeholder) and admits
/// nobody.
const KEY_BYTES_MIN: usize = 32;

/// In which role somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Who runs the deployment: everything.
    Owner,
}

/// What a request does, as far as it matters who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Looks at anything but content.
    Read,
    /// Changes owners, keys, credentials, budgets, prices, settings and the books.
    Change,
    /// Says who may, looks at content, and what else only the owner does.
    Rule,
}

/// The names of the roles.
const ROLES: [(Role, &str); 1] = [(Role::Owner, "owner")];

/// Which role may what.
const RIGHTS: [(Role, &[Right]); 1] = [(Role::Owner, &[Right::Read, Right::Change, Right::Rule])];

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// As the audit names it: `admin-key:root`.
    pub actor: String,
    /// In which role.
    pub role: Role,
}

impl Role {
    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        ROLES.iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name)
    }

    /// Whether it may.
    #[must_use]
    pub fn may(self, right: Right) -> bool {
        RIGHTS.iter().any(|(role, rights)| *role == self && rights.contains(&right))
    }
}

/// Who sends a request; `None` is a stranger.
///
/// # Errors
/// Where it cannot be found out.
pub async fn identify(gate: &Gate, call: &Call) -> Result<Option<Principal>, Error> {
    let Some(key) = presented(call) else { return Ok(None) };
    let is_root = gate.guard.admits(key, &gate.control.admin_key().await?);
    let root = || Principal { actor: "admin-key:root".to_owned(), role: Role::Owner };
    Ok(is_root.then(root))
}

/// Compares admin keys in constant time, under a key that only this process knows.
#[derive(Clone)]
pub struct Guard([u8; 64]);

impl Guard {
    /// With a random key of this process.
    #[must_use]
    pub fn new() -> Self {
        Self(farebox_aws::random_bytes())
    }

    /// Whether a presented key is the stored one.
    #[must_use]
    pub fn admits(&self, presented: &str, stored: &Secret) -> bool {
        let stored = without_prefix(stored.expose().trim());
        let presented = self.mac(without_prefix(presented)).finalize().into_bytes();
        // Both under the same secret key: what an attacker can time says nothing about bytes.
        let is_same = self.mac(stored).verify_slice(&presented).is_ok();
        is_same && stored.len() >= KEY_BYTES_MIN
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(text.as_bytes());
        mac
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::new()
    }
}

/// The key that a request presents: `Authorization: Bearer …`.
#[must_use]
pub fn presented(call: &Call) -> Option<&str> {
    let (scheme, key) = call.header(AUTHORIZATION)?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

fn without_prefix(key: &str) -> &str {
    key.strip_prefix(PREFIX).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz-_ABCDE";

    fn admits(presented: &str, stored: &str) -> bool {
        Guard([7; 64]).admits(presented, &Secret::new(stored.to_owned()))
    }

    #[test]
    fn the_key_is_admitted_with_and_without_its_prefix() {
        let prefixed = format!("sk-fba-{KEY}");

        assert!(admits(&prefixed, &prefixed) && admits(KEY, KEY));
        assert!(admits(&prefixed, KEY) && admits(KEY, &prefixed));
        assert!(admits(KEY, &format!("{KEY}\n")));
    }

    #[test]
    fn anything_else_is_not() {
        for presented in ["", "sk-fba-", "x", &KEY[1..], &format!("{KEY}x"), "sk-fb-local-a-b"] {
            assert!(!admits(presented, KEY), "{presented}");
        }
    }

    #[test]
    fn an_empty_or_short_stored_key_admits_nobody() {
        for stored in ["", "sk-fba-", "changeme"] {
            assert!(!admits(stored, stored), "{stored:?}");
        }
    }

    #[test]
    fn only_a_bearer_is_a_key() {
        let call = |value| Call::of("GET", "/", "").with_header("authorization", value);

        assert_eq!(presented(&call("Bearer k")), Some("k"));
        assert_eq!(presented(&call("bearer k")), Some("k"));
        for value in ["k", "Basic k", "Bearer", "Bearer "] {
            assert_eq!(presented(&call(value)), None, "{value}");
        }
        assert_eq!(presented(&Call::of("GET", "/", "")), None);
    }
}
