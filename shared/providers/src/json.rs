//! JSON that is passed on without being read.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::DecodeError;

/// A text that is borrowed where it has no escapes.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Text<'_> {
    /// The text, empty where there is none.
    pub fn or_empty(text: Option<&Self>) -> &str {
        text.map(|text| text.0.as_ref()).unwrap_or_default()
    }
}

/// Writes a value down once, with the raw parts in it as they are.
pub fn raw<T: Serialize>(value: &T) -> Result<Box<RawValue>, DecodeError> {
    to_raw_value(value).map_err(|fault| DecodeError::from_json("a delta", &fault))
}
