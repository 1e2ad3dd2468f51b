//! Farebox keys: an identity and a secret in one text.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{EntityId, IdError};
use crate::Secret;

/// A Farebox key as a caller presents it: `sk-fb-<stage>-<id>-<secret><checksum>`.
///
/// The checksum tells a mistyped key from a wrong one without a read; the stage tells a key of
/// another deployment. Neither proves anything: only the MAC does.
#[derive(Clone)]
pub struct GatewayKey {
    /// The deployment's stage.
    pub stage: String,
    /// The public identity: it names the key's item and its budget.
    pub id: EntityId,
    text: Secret,
}

/// Characters of a key's secret, at five bits each (Crockford's base 32, lower case).
const KEY_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const KEY_ID_CHARS: usize = 10;
const KEY_SECRET_CHARS: usize = 32;
const KEY_CHECKSUM_CHARS: usize = 6;

impl GatewayKey {
    /// Makes a key from random bytes: 50 bits of identity, 160 bits of secret.
    #[must_use]
    pub fn generate(stage: &str, random: [u8; KEY_ID_CHARS + KEY_SECRET_CHARS]) -> Self {
        let drawn: String = random.iter().map(|byte| key_character(*byte)).collect();
        let (id, secret) = drawn.split_at(KEY_ID_CHARS);
        Self::of(stage, EntityId(id.into()), secret)
    }

    /// Another secret for the key of this identity, from 160 random bits.
    #[must_use]
    pub fn renewed(stage: &str, id: &EntityId, random: [u8; KEY_SECRET_CHARS]) -> Self {
        let secret: String = random.iter().map(|byte| key_character(*byte)).collect();
        Self::of(stage, id.clone(), &secret)
    }

    fn of(stage: &str, id: EntityId, secret: &str) -> Self {
        let body = format!("sk-fb-{stage}-{id}-{secret}");
        let text = format!("{body}{}", checksum(&body));
        Self { stage: stage.to_owned(), id, text: Secret::new(text) }
    }

    /// Reads a presented key.
    ///
    /// # Errors
    /// [`IdError::Key`] where the form or the checksum is wrong.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let mut parts = text.strip_prefix("sk-fb-").ok_or(IdError::Key)?.split('-');
        let (Some(stage), Some(id), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(IdError::Key);
        };
        let in_alphabet = |part: &str| part.bytes().all(|byte| KEY_ALPHABET.contains(&byte));
        let body_len = text.len().saturating_sub(KEY_CHECKSUM_CHARS);
        let well_formed = is_stage(stage)
            && id.len() == KEY_ID_CHARS
            && secret.len() == KEY_SECRET_CHARS + KEY_CHECKSUM_CHARS
            && in_alphabet(id)
            && in_alphabet(secret);
        let (body, sum) = text.split_at_checked(body_len).ok_or(IdError::Key)?;
        if !well_formed || checksum(body) != sum {
            return Err(IdError::Key);
        }
        Ok(Self { stage: stage.to_owned(), id: id.parse()?, text: Secret::new(text.to_owned()) })
    }

    /// The whole text, to be shown to its owner once.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.text
    }

    /// What is stored: HMAC-SHA-256 of the key under the deployment's pepper.
    #[must_use]
    pub fn mac(&self, pepper: &Secret) -> Vec<u8> {
        mac(pepper, self.text.expose()).finalize().into_bytes().to_vec()
    }

    /// Whether a stored MAC is this key's. Constant time.
    #[must_use]
    pub fn matches(&self, pepper: &Secret, stored: &[u8]) -> bool {
        mac(pepper, self.text.expose()).verify_slice(stored).is_ok()
    }
}

/// Whether a text can name a stage: 1 to 16 lower-case letters and digits.
#[must_use]
pub fn is_stage(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=16).contains(&text.len()) && text.bytes().all(fits)
}

fn mac(pepper: &Secret, text: &str) -> Hmac<Sha256> {
    // HMAC takes a key of any length, so this cannot fail; an empty key would match nothing.
    let mut mac = Hmac::<Sha256>::new_from_slice(pepper.expose().as_bytes())
        .unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(text.as_bytes());
    mac
}

fn checksum(body: &str) -> String {
    Sha256::digest(body.as_bytes())
        .iter()
        .take(KEY_CHECKSUM_CHARS)
        .map(|byte| key_character(*byte))
        .collect()
}

fn key_character(byte: u8) -> char {
    KEY_ALPHABET.get(usize::from(byte & 31)).map_or('0', |character| char::from(*character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> GatewayKey {
        GatewayKey::generate("local", core::array::from_fn(|place| u8::try_from(place).unwrap()))
    }

    #[test]
    fn a_key_round_trips_and_matches_its_mac_only() {
        let pepper = Secret::new("pepper".to_owned());
        let parsed = GatewayKey::parse(key().secret().expose()).unwrap();

        assert_eq!((parsed.stage.as_str(), parsed.id.as_str()), ("local", "0123456789"));
        assert!(parsed.matches(&pepper, &key().mac(&pepper)));
        assert!(!parsed.matches(&Secret::new("other".to_owned()), &key().mac(&pepper)));
        assert!(!parsed.matches(&pepper, b""));
    }

    #[test]
    fn a_renewed_key_is_the_same_key_with_another_secret() {
        let renewed = GatewayKey::renewed("local", &key().id, [7; KEY_SECRET_CHARS]);
        let parsed = GatewayKey::parse(renewed.secret().expose()).unwrap();

        assert_eq!((parsed.stage, parsed.id), (key().stage, key().id));
        assert_ne!(renewed.secret().expose(), key().secret().expose());
    }

    #[test]
    fn a_changed_character_breaks_the_checksum() {
        let text = key().secret().expose().to_owned();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'z' { b'y' } else { b'z' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(GatewayKey::parse(&changed).is_err(), "{changed}");
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for text in ["", "sk-fb-", "sk-proj-abc", "sk-fb-local-a-b", "sk-fb-LOCAL-a-b-c", "é"] {
            assert!(GatewayKey::parse(text).is_err(), "{text}");
        }
    }
}
