//! JSON that is passed on without being read.

use std::borrow::Cow;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

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
