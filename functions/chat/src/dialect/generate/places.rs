//! Places in a text.

/// A text whose places in characters are told in bytes. The text is looked at once, and then a
/// block of it for each place: an answer may tell as many as it likes.
pub(super) struct Bytes<'t> {
    text: &'t str,
    /// Where each block begins.
    blocks: Vec<usize>,
}

impl<'t> Bytes<'t> {
    /// Characters of a block.
    const BLOCK: usize = 1_024;

    /// Of this text.
    pub(super) fn of(text: &'t str) -> Self {
        let blocks = text.char_indices().step_by(Self::BLOCK).map(|(byte, _)| byte).collect();
        Self { text, blocks }
    }

    /// The bytes before a character; all, where it is beyond the text.
    pub(super) fn before(&self, char: usize) -> usize {
        let (block, chars) = self.split(char);
        let rest = self.text.get(block..).unwrap_or_default();
        let byte = rest.char_indices().nth(chars);
        byte.map_or(self.text.len(), |(byte, _)| block.saturating_add(byte))
    }

    /// The bytes before the block of a character, and how many of that block stand before it.
    fn split(&self, char: usize) -> (usize, usize) {
        let block = self.blocks.get(char / Self::BLOCK).copied();
        (block.unwrap_or(self.text.len()), char % Self::BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_bytes_before_its_character() {
        let text = "aé€😀".repeat(1_000);
        let bytes = Bytes::of(&text);

        for char in (0..=4_001).chain([usize::MAX]) {
            let counted = text.char_indices().nth(char).map_or(text.len(), |(byte, _)| byte);
            assert_eq!(bytes.before(char), counted, "{char}");
            assert!(bytes.split(char).1 < Bytes::BLOCK, "{char}: no more are looked at");
        }
        assert_eq!(Bytes::of("").before(3), 0);
    }
}
