//! The prompt cache of the Anthropic models: a prefix that is marked is written, and the same
//! prefix is read from then on. It forgets nothing until the bill is reset, so tests need no clock.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::ask::Tally;
use super::bill::Tokens;

/// Prefixes remembered; a full cache starts again from nothing.
const PREFIXES_MAX: usize = 10_000;

/// How long a marked prefix would live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    FiveMinutes,
    OneHour,
}

/// One part of a prompt, in the order that the cache sees: tools, system, messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    /// The part without its cache mark.
    pub(super) content: String,
    pub(super) text_bytes: usize,
    pub(super) tool_bytes: usize,
    /// 1 where a message begins.
    pub(super) messages: u64,
    /// `cache_control`, where the part carries it.
    pub(super) mark: Option<Lifetime>,
}

/// Prefixes seen.
#[derive(Debug, Default)]
pub(super) struct PromptCache {
    seen: HashSet<u64>,
}

impl PromptCache {
    /// Counts a prompt by class, and remembers its marked prefixes.
    pub(super) fn count(&mut self, model: &str, blocks: &[Block], body_bytes: u64) -> Tokens {
        let mut tokens = Tokens::default();
        let mut tally = Tally::default();
        let mut prefix = DefaultHasher::new();
        model.hash(&mut prefix);
        let mut marks = Vec::new();
        let mut read = 0;
        let last_mark = blocks.iter().rposition(|block| block.mark.is_some());
        for (index, block) in blocks.iter().enumerate() {
            tally.text_bytes += block.text_bytes;
            tally.tool_bytes += block.tool_bytes;
            tally.messages += block.messages;
            block.content.hash(&mut prefix);
            let end = tally.tokens(body_bytes);
            // A prefix that an earlier call marked is found again although this call marks a
            // later one: that is how a growing conversation reads its own past.
            if last_mark.is_some_and(|last| index <= last) && self.seen.contains(&prefix.finish()) {
                read = end;
            }
            if let Some(lifetime) = block.mark {
                marks.push((prefix.finish(), end, lifetime));
            }
        }
        tokens.cache_read = read;
        let mut counted = read;
        for (hash, end, lifetime) in marks {
            let written = end.saturating_sub(counted);
            match lifetime {
                Lifetime::FiveMinutes => tokens.cache_write_5m += written,
                Lifetime::OneHour => tokens.cache_write_1h += written,
            }
            counted = counted.max(end);
            if self.seen.len() >= PREFIXES_MAX {
                self.seen.clear();
            }
            self.seen.insert(hash);
        }
        tokens.prompt = tally.tokens(body_bytes).saturating_sub(counted);
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(content: &str, mark: Option<Lifetime>) -> Block {
        Block {
            content: content.to_owned(),
            text_bytes: content.len(),
            messages: 1,
            mark,
            ..Block::default()
        }
    }

    #[test]
    fn a_marked_prefix_is_written_once_and_read_afterwards() {
        let mut cache = PromptCache::default();
        let blocks = [block("12345678", Some(Lifetime::FiveMinutes)), block("1234", None)];

        let first = cache.count("claude", &blocks, 1_000);
        let second = cache.count("claude", &blocks, 1_000);
        let other = cache.count("claude-cut", &blocks, 1_000);

        assert_eq!((first.prompt, first.cache_write_5m, first.cache_read), (4, 5, 0));
        assert_eq!((second.prompt, second.cache_write_5m, second.cache_read), (4, 0, 5));
        assert_eq!(first, other);
    }

    #[test]
    fn a_growing_conversation_reads_its_past_and_writes_the_rest() {
        let mut cache = PromptCache::default();
        let hour = Some(Lifetime::OneHour);
        cache.count("claude", &[block("a", hour)], 1_000);

        let longer = [block("a", None), block("b", hour), block("c", None)];
        let tokens = cache.count("claude", &longer, 1_000);

        // Three bytes are one token, which the first message has already counted.
        assert_eq!((tokens.cache_read, tokens.cache_write_1h, tokens.prompt), (4, 3, 3));
        assert_eq!(tokens.input(), 10);
    }

    #[test]
    fn a_prompt_without_marks_touches_no_cache() {
        let mut cache = PromptCache::default();
        cache.count("claude", &[block("a", Some(Lifetime::FiveMinutes))], 1_000);

        let tokens = cache.count("claude", &[block("a", None)], 1_000);

        assert_eq!(tokens, Tokens { prompt: 4, ..Tokens::default() });
    }
}
