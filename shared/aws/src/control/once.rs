//! Creates that a caller may send again.
//!
//! What is made by its time is made at the time of the first request, which one write keeps. What
//! else is made has a secret that is kept nowhere, so a repeat cannot be answered from a store.
//! It is made again instead: with an `Idempotency-Key` the random part of a new key is drawn from
//! the pepper, the caller and that text, so the same request makes the same key.

use farebox_core::{Error, Secret, Timestamp};
use ring::hmac;

use super::Control;
use super::store::{Changed, number, read_number, read_text, text};
use crate::config::random_bytes;

/// How long a repeat is answered as the first request was.
const REPEAT_MS: i64 = 86_400_000;
/// How long a first request is known.
const KEPT_S: i64 = 7 * 86_400;

impl Control {
    /// The random part of something new: drawn anew, or from `seed`, the caller's
    /// `Idempotency-Key`.
    ///
    /// # Errors
    /// Where the pepper cannot be read.
    pub(super) async fn draw<const N: usize>(
        &self,
        purpose: &str,
        seed: Option<&str>,
    ) -> Result<[u8; N], Error> {
        let Some(seed) = seed else { return Ok(random_bytes()) };
        let pepper = self.directory.pepper().await?;
        Ok(drawn(&pepper, &[purpose, self.tenant(), self.store.actor(), seed]))
    }

    /// When this was asked for first with this `Idempotency-Key`, and about what.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`] where it was about something else then;
    /// [`Error::Conflict`] after a day; or where the table cannot be reached.
    pub(super) async fn first_at(
        &self,
        thing: &str,
        about: &str,
        seed: &str,
    ) -> Result<Timestamp, Error> {
        let now = self.aws().now();
        let drawn: [u8; 16] = self.draw(thing, Some(seed)).await?;
        let name: String = drawn.iter().map(|byte| format!("{byte:02x}")).collect();
        let first = |name: &str| format!("#{name} = if_not_exists(#{name}, :{name})");
        let set = format!("SET {}, {}, {}", first("at"), first("about"), first("ttl"));
        let change = Changed::new(&self.entities(), &format!("once:{name}"), &set, "")
            .name("#at", "at")
            .name("#about", "about")
            .name("#ttl", "ttl")
            .value(":at", number(now.ms()))
            .value(":about", text(about))
            .value(":ttl", number(now.seconds().saturating_add(KEPT_S)));
        let item = self.store.change(change).await?.unwrap_or_default();
        if read_text(&item, "about").as_deref() != Some(about) {
            return Err(Error::IdempotencyKeyReused);
        }
        let at = Timestamp::from_ms(read_number(&item, "at").unwrap_or_default());
        let old = || Error::Conflict { thing: format!("{thing} of {about} at {at}") };
        if self.is_repeatable(at) { Ok(at) } else { Err(old()) }
    }

    /// Whether a repeat of what was made then is still answered as the first request was.
    pub(super) fn is_repeatable(&self, made_at: Timestamp) -> bool {
        self.aws().now().since(made_at) < REPEAT_MS
    }
}

/// As many bytes as are asked for, which nobody can tell who does not know the pepper.
fn drawn<const N: usize>(pepper: &Secret, words: &[&str]) -> [u8; N] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, pepper.expose().as_bytes());
    let mut bytes = [0; N];
    for (count, chunk) in bytes.chunks_mut(32).enumerate() {
        let mut context = hmac::Context::with_key(&key);
        context.update(b"farebox.once.v1");
        context.update(&count.to_be_bytes());
        for word in words {
            // With its length, so that no two lists of words are one text.
            context.update(&word.len().to_be_bytes());
            context.update(word.as_bytes());
        }
        for (byte, drawn) in chunk.iter_mut().zip(context.sign().as_ref()) {
            *byte = *drawn;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_draw_the_same_and_no_others() {
        let pepper = Secret::new("pepper".to_owned());
        let of = |words: &[&str]| drawn::<42>(&pepper, words);

        assert_eq!(of(&["key", "a", "b"]), of(&["key", "a", "b"]));
        assert_ne!(of(&["key", "a", "b"]), of(&["key", "ab", ""]));
        assert_ne!(of(&["key", "a", "b"]), of(&["admin", "a", "b"]));
        assert_ne!(of(&["x"]), drawn(&Secret::new("other".to_owned()), &["x"]));
        let bytes = of(&["x"]);
        assert_ne!(&bytes[..10], &bytes[32..], "no part is the beginning again");
    }
}
