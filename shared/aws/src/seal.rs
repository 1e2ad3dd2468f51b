//! Content at rest: sealed with AES-256-GCM under keys that are derived from the pepper, so that
//! whoever reads a table or its backup reads nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farebox_core::Secret;
use farebox_ledger::{Attr, Key};
use futures_util::future::try_join_all;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};

use crate::config::random_bytes;
use crate::error::Error;
use crate::expression::{Store, item};

/// Bytes that a piece of content may have before it is sealed: DynamoDB takes 400 KB an item, and
/// base64 makes four bytes of three.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// Seals and opens; each owner's content has a key of its own.
pub struct Sealer(hkdf::Prk);

impl Sealer {
    /// Derives from the deployment's pepper, which stays in Secrets Manager.
    #[must_use]
    pub fn new(pepper: &Secret) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"farebox.content.v1");
        Self(salt.extract(pepper.expose().as_bytes()))
    }

    /// A keyed hash in hexadecimal digits: equal inputs are recognised, and nobody without the
    /// pepper can try guesses. The parts are told apart by their lengths.
    ///
    /// # Errors
    /// [`Error`] where a key cannot be derived, which does not happen.
    pub fn digest(&self, purpose: &str, parts: &[&[u8]]) -> Result<String, Error> {
        let info: [&[u8]; 2] = [b"digest", purpose.as_bytes()];
        let key = self.0.expand(&info, hmac::HMAC_SHA256).map_err(|_| underived())?;
        let key = hmac::Key::from(key);
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        Ok(tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Seals a piece of the owner's content for one place, as base64 text.
    ///
    /// # Errors
    /// [`Error`] where the piece is absurdly long.
    pub fn seal(&self, owner: &str, place: &str, plain: &[u8]) -> Result<String, Error> {
        let nonce = random_bytes::<NONCE_LEN>();
        let mut sealed = plain.to_vec();
        let key = self.key(owner)?;
        let aad = Aad::from(place.as_bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| Error::malformed("content", "it cannot be sealed"))?;
        let mut whole = nonce.to_vec();
        whole.append(&mut sealed);
        Ok(STANDARD.encode(whole))
    }

    /// Opens what [`Sealer::seal`] made for the same owner and place.
    ///
    /// # Errors
    /// [`Error::Malformed`] where it was made for another, or changed.
    pub fn open(&self, owner: &str, place: &str, sealed: &str) -> Result<Vec<u8>, Error> {
        let broken = || Error::malformed("kept content", "it does not open");
        let mut whole = STANDARD.decode(sealed).map_err(|_| broken())?;
        let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let aad = Aad::from(place.as_bytes());
        let plain = self.key(owner)?.open_in_place(nonce, aad, sealed).map_err(|_| broken())?;
        Ok(plain.to_vec())
    }

    /// Cuts content into pieces that fit an item, each sealed for its place among all of them: none
    /// can be left out, moved or taken from elsewhere.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn pieces(
        &self,
        plain: &[u8],
        key_of: impl Fn(u32) -> Key,
    ) -> Result<Vec<(Key, String)>, Error> {
        let pieces = plain.chunks(PIECE_BYTES_MAX);
        let of = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let sealed = (0..).zip(pieces).map(|(number, piece)| {
            let key = key_of(number);
            let sealed = self.seal(&key.pk, &place(&key, of), piece)?;
            Ok((key, sealed))
        });
        sealed.collect()
    }

    /// Reads all pieces and opens them. `None` where one is absent.
    ///
    /// # Errors
    /// [`Error`]; what does not open is malformed.
    pub async fn read(
        &self,
        store: &Store,
        of: u32,
        key_of: impl Fn(u32) -> Key,
    ) -> Result<Option<Vec<u8>>, Error> {
        let keys = (0..of).map(key_of);
        let read = keys.map(|key| async { Ok::<_, Error>((store.fetch(&key).await?, key)) });
        let mut plain = Vec::new();
        for (found, key) in try_join_all(read.collect::<Vec<_>>()).await? {
            let Some(found) = found else { return Ok(None) };
            let Some(Attr::S(sealed)) = item(found).remove("body") else {
                return Err(Error::malformed("kept content", "body"));
            };
            plain.extend(self.open(&key.pk, &place(&key, of), &sealed)?);
        }
        Ok(Some(plain))
    }

    fn key(&self, owner: &str) -> Result<LessSafeKey, Error> {
        let info: [&[u8]; 2] = [b"seal\0\0", owner.as_bytes()];
        let key = self.0.expand(&info, &AES_256_GCM).map_err(|_| underived())?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }
}

fn place(key: &Key, of: u32) -> String {
    format!("{}\n{}\n{of}", key.pk, key.sk)
}

fn underived() -> Error {
    Error::malformed("a key", "it cannot be derived from the pepper")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(pepper: &str) -> Sealer {
        Sealer::new(&Secret::new(pepper.to_owned()))
    }

    #[test]
    fn what_is_sealed_opens_only_for_its_owner_in_its_place_under_its_pepper() {
        let sealed = sealer("p").seal("u_1", "here", b"the answer").unwrap();

        assert_eq!(sealer("p").open("u_1", "here", &sealed).unwrap(), b"the answer");
        assert!(sealer("p").open("u_2", "here", &sealed).is_err());
        assert!(sealer("p").open("u_1", "there", &sealed).is_err());
        assert!(sealer("q").open("u_1", "here", &sealed).is_err());
        let mut cut = sealed.clone();
        cut.truncate(cut.len() - 4);
        assert!(sealer("p").open("u_1", "here", &cut).is_err());
        assert!(sealer("p").open("u_1", "here", "").is_err());
        assert!(!sealed.contains(&STANDARD.encode("the answer")[..8]));
        assert_ne!(sealer("p").seal("u_1", "here", b"the answer").unwrap(), sealed, "a nonce each");
    }

    #[test]
    fn a_digest_tells_parts_purposes_and_peppers_apart() {
        let digest =
            |pepper, purpose, parts: &[&[u8]]| sealer(pepper).digest(purpose, parts).unwrap();
        let first = digest("p", "a", &[b"x", b"yz"]);

        assert_eq!(first.len(), 64);
        assert_eq!(digest("p", "a", &[b"x", b"yz"]), first);
        for other in [
            digest("p", "a", &[b"xy", b"z"]),
            digest("p", "b", &[b"x", b"yz"]),
            digest("q", "a", &[b"x", b"yz"]),
        ] {
            assert_ne!(other, first);
        }
    }
}
