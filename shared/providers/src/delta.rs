//! The deltas that decoders write, in `OpenAI`'s shape.

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
