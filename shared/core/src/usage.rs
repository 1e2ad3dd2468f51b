//! What a provider reports that a call used, in disjoint classes.

use serde::{Deserialize, Serialize};

use crate::Money;

/// Tokens by billed class, and units with a fee. **The classes are disjoint**: no token is in
/// two of them, so a cost is a plain sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Prompt tokens at the plain input price.
    pub prompt: u64,
    /// Prompt tokens read from the provider's cache.
    pub cached: u64,
    /// Prompt tokens written to the cache for five minutes (or for the provider's only lifetime).
    pub cache_write_5m: u64,
    /// Prompt tokens written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Prompt tokens of audio.
    pub audio_prompt: u64,
    /// Completion tokens at the plain output price (text and tool calls).
    pub completion: u64,
    /// Completion tokens of hidden or visible reasoning.
    pub reasoning: u64,
    /// Completion tokens of audio.
    pub audio_completion: u64,
    /// Searches that the provider ran and bills by the piece.
    pub web_searches: u64,
}

impl Usage {
    /// All prompt tokens, cached and written ones included (OpenAI's `prompt_tokens`).
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        [self.cached, self.cache_write_5m, self.cache_write_1h, self.audio_prompt]
            .into_iter()
            .fold(self.prompt, u64::saturating_add)
    }

    /// All completion tokens, reasoning included (OpenAI's `completion_tokens`).
    #[must_use]
    pub fn completion_tokens(&self) -> u64 {
        self.completion.saturating_add(self.reasoning).saturating_add(self.audio_completion)
    }

    /// Prompt and completion tokens.
    #[must_use]
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens().saturating_add(self.completion_tokens())
    }
}

/// The last word of a provider about one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The counts.
    pub usage: Usage,
    /// What the provider says that it charged, where it says so. [`Self::stated`] is what of it
    /// counts.
    pub cost: Option<Money>,
    /// The service tier that was really used, where the answer says so.
    pub service_tier: Option<String>,
    /// Usage fields above zero that Farebox does not know: they charge the whole hold, where the
    /// provider does not state what it charged.
    pub unknown_fields: Vec<String>,
    /// The provider documents this answer as not billed although it carries counts
    /// (Anthropic: a refusal before any output).
    pub unbilled: bool,
    /// What tools of the provider cost beside tokens, at a price that is the same for every model.
    pub fees: Money,
    /// It was served at a place that makes every token 1.1 times the price: Anthropic's `us`
    /// geography, as the answer says, or a location of Vertex, as its URL does.
    pub us_geography: bool,
}
