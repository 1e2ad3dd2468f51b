//! What shows that a provider can do something.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// Rows of formats of their own: what is written to them follows their pages, which the files of
/// the formats name. The others get what `OpenAI` takes, whether their pages speak of it or not.
pub const NATIVE: &[&str] =
    &["openai", "anthropic", "gemini", "vertexai", "bedrock", "cohere", "azure"];

/// What a model that runs in the gates shows: the row, the feature, and the check in
/// `.ci/llamacpp.py`.
pub const REAL_SERVER: &[(&str, &str, &str)] = &[
    ("custom", "buffered", "whole"),
    ("custom", "stream", "streamed"),
    ("custom", "cache usage", "second_turn"),
];

/// Counts of tokens that were read from a cache or written to it, by every provider's name.
pub const CACHED: [&str; 9] = [
    "cached_tokens",
    "num_cached_tokens",
    "prompt_cache_hit_tokens",
    "cache_write_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cachedContentTokenCount",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
];

const THOUGHT: [&str; 3] = ["reasoning_tokens", "thinking_tokens", "thoughtsTokenCount"];

/// One exchange, as its texts without white space.
pub struct Shown {
    pub api: String,
    pub stream: bool,
    pub request: String,
    /// The answer and, where it is told apart, its usage.
    pub answer: String,
}

impl Shown {
    /// An answer of our own, to a chat.
    pub fn own(answer: &str, stream: bool) -> Self {
        let answer = squeezed(answer);
        Self { api: "own-chat".to_owned(), stream, request: String::new(), answer }
    }

    /// A recorded exchange.
    pub fn recorded(exchange: &Value) -> Self {
        let text = |field: &str| exchange[field].as_str().unwrap_or_default().to_owned();
        let response = &exchange["response"];
        let body = &response["body"];
        let mut answer = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        if response["body_encoding"] == "base64" {
            let bytes = BASE64_STANDARD.decode(&answer).unwrap();
            answer = String::from_utf8_lossy(&bytes).into_owned();
        }
        Self {
            api: text("api"),
            stream: exchange["stream"] == true,
            request: squeezed(&exchange["request"].to_string()),
            answer: squeezed(&answer) + &exchange["usage"].to_string(),
        }
    }

    pub fn is_chat(&self) -> bool {
        !["embeddings", "openai-completions"].contains(&self.api.as_str())
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Whether one of these stands in a text.
pub fn said(text: &str, any: &[&str]) -> bool {
    any.iter().any(|one| text.contains(one))
}

/// Whether one of these counts is above zero in a text.
pub fn counts(text: &str, names: &[&str]) -> bool {
    names.iter().any(|name| {
        let field = format!("\"{name}\":");
        let mut counts = text.match_indices(&field).map(|(at, _)| &text[at + field.len()..]);
        counts.any(|count| count.starts_with(|first: char| ('1'..='9').contains(&first)))
    })
}

/// Whether a model thought: in words, or by the count of its tokens.
pub fn thought(text: &str) -> bool {
    let told = [r#""reasoning_content":""#, r#""reasoning":""#].iter().any(|field| {
        text.match_indices(field).any(|(at, _)| !text[at + field.len()..].starts_with('"'))
    });
    let parts = [r#""type":"thinking""#, r#""thought":true"#, r#""reasoningContent":{"#];
    told || said(text, &parts) || counts(text, &THOUGHT)
}
