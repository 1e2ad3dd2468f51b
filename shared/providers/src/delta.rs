//! The deltas that decoders write, in `OpenAI`'s shape.

use std::collections::HashMap;

use farebox_core::ChatEvent;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::DecodeError;
use crate::json::raw;

/// The first delta of every choice.
pub const OPENING: Opening = Opening { role: "assistant", content: "" };

/// Who speaks; nothing is said yet.
#[derive(Serialize)]
pub struct Opening {
    role: &'static str,
    content: &'static str,
}

/// A piece of the answer.
#[derive(Serialize)]
pub struct Speaking<'a> {
    /// Still in its quotes.
    pub content: &'a RawValue,
}

/// A piece of what the model thinks.
#[derive(Serialize)]
pub struct Thinking<'a> {
    /// Still in its quotes.
    pub reasoning_content: &'a RawValue,
}

/// A text that is not empty, still in its quotes.
pub fn spoken(text: Option<&RawValue>) -> Result<Option<&RawValue>, DecodeError> {
    match text {
        Some(text) if !text.get().starts_with('"') => Err(DecodeError::lacking("a text")),
        Some(text) if text.get() == "\"\"" => Ok(None),
        text => Ok(text),
    }
}

/// Writes a delta of the only choice.
pub fn say<T: Serialize>(delta: &T, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
    say_in(0, delta, None, out)
}

/// Writes a delta of one choice.
pub fn say_in<T: Serialize>(
    choice: u32,
    delta: &T,
    logprobs: Option<Box<RawValue>>,
    out: &mut Vec<ChatEvent>,
) -> Result<(), DecodeError> {
    out.push(ChatEvent::Delta { choice, delta: raw(delta)?, logprobs });
    Ok(())
}

/// The bytes of a delta's content, whatever its fields are: a token covers at least one byte, and
/// JSON writes a text with no fewer bytes than it has. A call of a tool counts with its whole
/// frame, which stands for the marks that its model writes around it.
#[must_use]
pub fn shown_bytes(delta: &RawValue) -> u64 {
    let whole = delta.get().len();
    let bytes = match serde_json::from_str::<HashMap<&str, &RawValue>>(delta.get()) {
        Ok(fields) => fields
            .iter()
            .filter(|(name, _)| **name != "role")
            .map(|(_, value)| match value.get() {
                "null" => 0,
                text if text.starts_with('"') => text.len().saturating_sub(2),
                other => other.len(),
            })
            .sum(),
        Err(_) => whole,
    };
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_counted_by_its_bytes_whatever_its_field() {
        for (delta, bytes) in [
            (r#"{"role":"assistant","content":""}"#, 0),
            (r#"{"content":"Hello"}"#, 5),
            (r#"{"content":"\u00e9\n"}"#, 8),
            (r#"{"reasoning_content":"ab","content":null}"#, 2),
            (r#"{"unknown":"abc"}"#, 3),
            (r#"{"tool_calls":[{"index":0}]}"#, 13),
            (r#"{"a\"b":"x"}"#, 12),
        ] {
            let delta = serde_json::from_str::<Box<RawValue>>(delta).unwrap();
            assert_eq!(shown_bytes(&delta), bytes, "{delta}");
        }
    }
}
