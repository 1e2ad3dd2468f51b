//! Claude's thinking in the common shape: `reasoning_details`, as `OpenRouter` has them
//! (openrouter.ai/docs, reasoning tokens, read 2026-08-22).
//!
//! A thinking block is taken back only with its signature and unchanged, so each block is one
//! entry with its whole text; `reasoning_content` beside it is for those who only show it.

use serde_json::{Value, json};

/// The format of an entry whose signature is Claude's.
const CLAUDE: &str = "anthropic-claude-v1";

/// What a block of thinking carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thought<'a> {
    /// Text with its signature.
    Signed(&'a str, &'a str),
    /// A block that only the provider can read.
    Redacted(&'a str),
}

impl Thought<'_> {
    /// The entry of the block with this index among the thoughts.
    pub(crate) fn detail(self, index: usize) -> Value {
        match self {
            Self::Signed(text, signature) => json!({
                "type": "reasoning.text", "text": text, "signature": signature,
                "format": CLAUDE, "index": index,
            }),
            Self::Redacted(data) => json!({
                "type": "reasoning.encrypted", "data": data, "format": CLAUDE, "index": index,
            }),
        }
    }
}

/// The thoughts of an earlier answer that Claude takes back. What has no signature of its own is
/// left out: the provider would refuse it.
pub(crate) fn thoughts(message: &Value) -> impl Iterator<Item = Thought<'_>> {
    let details = message.get("reasoning_details").and_then(Value::as_array);
    details.into_iter().flatten().filter_map(|detail| {
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        let given = |name: &str| text(name).filter(|text| !text.is_empty());
        if text("format") != Some(CLAUDE) {
            return None;
        }
        match text("type")? {
            "reasoning.text" => {
                Some(Thought::Signed(text("text").unwrap_or_default(), given("signature")?))
            }
            "reasoning.encrypted" => given("data").map(Thought::Redacted),
            _ => None,
        }
    })
}
