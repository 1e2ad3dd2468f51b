//! JSON that is passed on without being read.

use std::borrow::Cow;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::DecodeError;

/// The most values of one event; those of 4 MiB without a limit would take 240 MB in memory.
pub const EVENT_VALUES_MAX: usize = 250_000;
/// The most values of a whole answer.
pub const ANSWER_VALUES_MAX: usize = 1_000_000;
/// A text that is not counted: its values cannot take more than a few MB.
const SHORT_BYTES: usize = 64 * 1024;

/// Refuses a text of more than so many values before it is parsed: a value of two bytes takes more
/// than seventy in memory. Each byte is looked at once.
pub fn check_values(json: &[u8], most: usize) -> Result<(), DecodeError> {
    if json.len() <= SHORT_BYTES {
        return Ok(());
    }
    let (mut in_text, mut escaped, mut values) = (false, false, 0_usize);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b':' | b'[' | b'{' if !in_text => values = values.saturating_add(1),
            _ => {}
        }
    }
    let too_many = DecodeError::lacking("an answer of fewer values");
    if values > most { Err(too_many) } else { Ok(()) }
}

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

/// A body: what the caller may say, and then what Farebox says, which cannot be overridden.
pub struct Body<'a> {
    /// The caller's fields.
    pub caller: &'a Map<String, Value>,
    /// The fields that the caller cannot set.
    pub ours: &'a [&'a str],
    /// What Farebox sets of them.
    pub farebox: &'a Map<String, Value>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in self.caller {
            if !self.ours.contains(&field.as_str()) {
                map.serialize_entry(field, value)?;
            }
        }
        for (field, value) in self.farebox {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

/// Writes a value down once, with the raw parts in it as they are.
pub fn raw<T: Serialize>(value: &T) -> Result<Box<RawValue>, DecodeError> {
    to_raw_value(value).map_err(|fault| DecodeError::from_json("a delta", &fault))
}
