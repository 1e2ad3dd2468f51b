//! JSON that is passed on without being read.

use std::borrow::Cow;
use std::fmt;

use farebox_core::chat::Written;
use serde::de::{Deserializer, MapAccess, Visitor};
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

/// An object whose values are not read: some may be changed, and the rest stays by the byte.
pub struct Object<'a> {
    /// What stands before the first field: the brace.
    head: &'a str,
    fields: Vec<Field<'a>>,
    /// What stands behind the last value.
    tail: &'a str,
}

struct Field<'a> {
    name: Cow<'a, str>,
    /// The comma, the name and the colon, as they are written.
    lead: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl<'a> Object<'a> {
    /// The object that a text is; `None` where it is none.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let Pairs(pairs) = serde_json::from_str(text).ok()?;
        let brace = text.find('{')?.checked_add(1)?;
        let (head, mut rest) = text.split_at_checked(brace)?;
        let mut fields = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            // A value is a part of the text, so its place is the distance of their addresses.
            let value = value.get();
            let start = value.as_ptr().addr().checked_sub(rest.as_ptr().addr())?;
            let (lead, after) = rest.split_at_checked(start)?;
            rest = after.get(value.len()..)?;
            fields.push(Field { name: name.0, lead: lead.into(), value: value.into() });
        }
        Some(Self { head, fields, tail: rest })
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.fields.iter().rposition(|field| field.name == name)
    }

    /// The value of a field as it is written; of several with one name, the last.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(self.place(name)?).map(|field| field.value.as_ref())
    }

    /// Puts a value in the place of a field's, or behind them all.
    pub fn set(&mut self, name: &str, value: String) {
        match self.place(name).and_then(|place| self.fields.get_mut(place)) {
            Some(field) => field.value = value.into(),
            None => {
                let lead = format!(",\"{name}\":").into();
                self.fields.push(Field { name: name.to_owned().into(), lead, value: value.into() });
            }
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|field| field.name != name);
    }

    /// The object with its changes.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = self.head.to_owned();
        for (place, Field { lead, value, .. }) in self.fields.iter().enumerate() {
            // The comma of what has become the first.
            let bare = lead.trim_start().strip_prefix(',').filter(|_| place == 0);
            out.push_str(bare.unwrap_or(lead));
            out.push_str(value);
        }
        out.push_str(self.tail);
        out
    }
}

/// The fields of an object in their order.
struct Pairs<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Pairs<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Of)
    }
}

/// A body: what the caller may say, and then what Farebox says, which cannot be overridden.
pub struct Body<'a> {
    /// The caller's fields.
    pub caller: &'a Map<String, Value>,
    /// Those of them that go as they were written.
    pub written: &'a Written,
    /// The fields that the caller cannot set.
    pub ours: &'a [&'a str],
    /// What Farebox sets of them.
    pub farebox: &'a Map<String, Value>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in self.caller {
            match self.written.get(field) {
                _ if self.ours.contains(&field.as_str()) => {}
                Some(text) => map.serialize_entry(field, text)?,
                None => map.serialize_entry(field, value)?,
            }
        }
        for (field, value) in self.farebox {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

/// How many bytes a value takes as JSON without white space.
pub fn length<T: Serialize>(value: &T) -> Result<usize, serde_json::Error> {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value)?;
    Ok(count.0)
}

/// Writes a value down once, with the raw parts in it as they are.
pub fn raw<T: Serialize>(value: &T) -> Result<Box<RawValue>, DecodeError> {
    to_raw_value(value).map_err(|fault| DecodeError::from_json("a delta", &fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays_by_the_byte() {
        let text = " { \"a\" : 1.50 , \"u\\u0041\":{ \"x\":1e2},\"z\":\"\\u00e9,\" } ";
        let changed = |change: fn(&mut Object<'_>)| {
            let mut object = Object::read(text).unwrap();
            change(&mut object);
            object.text()
        };

        assert_eq!(changed(|_| {}), text);
        assert_eq!(
            changed(|object| object.set("uA", "2".to_owned())),
            text.replace("{ \"x\":1e2}", "2")
        );
        let added = "\\u00e9,\",\"n\":3 } ";
        assert_eq!(
            changed(|object| object.set("n", "3".to_owned())),
            text.replace("\\u00e9,\" } ", added)
        );
        assert_eq!(changed(|object| object.remove("a")), text.replace(" \"a\" : 1.50 ,", ""));
        assert_eq!(changed(|object| object.remove("z")), text.replace(",\"z\":\"\\u00e9,\"", ""));
        assert_eq!(Object::read(text).unwrap().get("uA"), Some("{ \"x\":1e2}"));
        let mut empty = Object::read("{}").unwrap();
        empty.set("n", "3".to_owned());
        assert_eq!(empty.text(), "{\"n\":3}");
        assert!(Object::read("[]").is_none());
    }
}
