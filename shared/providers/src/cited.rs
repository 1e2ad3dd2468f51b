//! What an answer rests on, in the common shape: `annotations` as `OpenAI` has them for what has a
//! URL (`url_citation`), and `citations`, each in its provider's own words, for what has none.
//!
//! Where a citation stands is counted in characters of the text. Where a provider does not say
//! that, or says it in other units of a stream whose text is not kept, both ends are 0, as
//! `OpenRouter` tells Perplexity's sources.

use farebox_core::ChatEvent;
use serde_json::{Map, Value, json};

use crate::DecodeError;
use crate::delta::say_in;

/// The most citations that are told; no model writes so many, and each is longer than it came.
const SOURCES_MAX: usize = 4_096;

/// The two lists of one message or delta.
#[derive(Default)]
pub struct Cited {
    annotations: Vec<Value>,
    citations: Vec<Value>,
}

impl Cited {
    /// A source with a URL.
    pub fn url(&mut self, url: &str, title: &str, start: usize, end: usize) {
        if self.annotations.len() >= SOURCES_MAX {
            return;
        }
        self.annotations.push(json!({"type": "url_citation", "url_citation": {
            "start_index": start, "end_index": end, "url": url,
            "title": if title.is_empty() { url } else { title },
        }}));
    }

    /// One of Anthropic's: a search's result has a URL, a place in a document has none.
    pub fn claude(&mut self, citation: &Value, start: usize, end: usize) {
        let text = |field: &str| citation.get(field).and_then(Value::as_str).unwrap_or_default();
        match [text("url"), text("source")].into_iter().find(|url| url.starts_with("http")) {
            Some(url) => self.url(url, text("title"), start, end),
            None => self.citations.push(citation.clone()),
        }
    }

    /// Notes a list as it came.
    pub fn own(&mut self, citation: &Value) {
        self.citations.push(citation.clone());
    }

    /// Puts what there is into a message or a delta.
    pub fn put(self, message: &mut Map<String, Value>) {
        for (field, list) in [("annotations", self.annotations), ("citations", self.citations)] {
            if !list.is_empty() {
                message.insert(field.to_owned(), Value::from(list));
            }
        }
    }

    /// Says them in a delta of a choice, where there are any.
    pub fn say(self, choice: u32, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let mut delta = Map::new();
        self.put(&mut delta);
        if delta.is_empty() { Ok(()) } else { say_in(choice, &delta, None, out) }
    }
}

/// A text whose places in bytes are told in characters. The text is looked at once, and then a
/// block of it for each place: an answer may tell as many as it likes.
pub struct Chars<'t> {
    text: &'t [u8],
    /// The characters before each block, and before the end.
    before: Vec<usize>,
}

impl<'t> Chars<'t> {
    const BLOCK: usize = 1_024;

    /// Of this text.
    pub fn of(text: &'t str) -> Self {
        let text = text.as_bytes();
        let (mut before, mut sum) = (vec![0], 0_usize);
        for block in text.chunks(Self::BLOCK) {
            sum = sum.saturating_add(begun(block));
            before.push(sum);
        }
        Self { text, before }
    }

    /// The characters that begin before a byte.
    pub fn before(&self, byte: usize) -> usize {
        let (known, rest) = self.split(byte);
        known.saturating_add(begun(rest))
    }

    /// The characters before the block of a byte, and what of that block stands before it.
    fn split(&self, byte: usize) -> (usize, &[u8]) {
        let byte = byte.min(self.text.len());
        let block = byte / Self::BLOCK;
        let rest = self.text.get(block.saturating_mul(Self::BLOCK)..byte).unwrap_or_default();
        (self.before.get(block).copied().unwrap_or_default(), rest)
    }
}

/// How many characters begin in these bytes.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_characters_that_begin_before_it() {
        let text = "aé€😀".repeat(1_000);
        let chars = Chars::of(&text);

        for byte in (0..=text.len()).chain([text.len() + 1, usize::MAX]) {
            let counted = text.char_indices().take_while(|(at, _)| *at < byte).count();
            assert_eq!(chars.before(byte), counted, "{byte}");
            assert!(chars.split(byte).1.len() < Chars::BLOCK, "{byte}: no more is looked at");
        }
        assert_eq!(Chars::of("").before(3), 0);
    }
}
