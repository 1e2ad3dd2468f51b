//! The fields of a body as its caller wrote them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{ChatCall, Format};

/// The longest number that is sent as it was written. Each integer of so many digits is read as it
/// is; a longer one is read as a float, whose text may be much shorter, and the length of what was
/// read is what is held for.
const NUMBER_BYTES_MAX: usize = 19;

/// Texts of fields by their names. A number keeps its digits and a text its escapes, which a body
/// that is parsed and written again does not.
#[derive(Clone, Debug, Default)]
pub struct Written(BTreeMap<String, Box<RawValue>>);

/// Of a body in another format.
static NOTHING: Written = Written(BTreeMap::new());

impl ChatCall {
    /// What the caller wrote, where that is a body of this format.
    #[must_use]
    pub fn written(&self, format: Format) -> &Written {
        let is_own = format == Format::Chat || format == self.format;
        let is_body = self.original.is_none() && is_own;
        if is_body || self.original(format).is_some() { &self.written } else { &NOTHING }
    }
}

impl Written {
    /// The fields of `bytes` that are in `body`. One in which a name is given twice is left out: it
    /// was checked by the last of the two, and a provider might read the first. So is one with a
    /// number of more digits than are read of it.
    #[must_use]
    pub fn of(bytes: &[u8], body: &Map<String, Value>) -> Self {
        let mut fields: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(bytes).unwrap_or_default();
        fields.retain(|name, text| {
            let read = body.get(name);
            read.is_some_and(|value| names_written(text.get()) == Some(names_of(value)))
        });
        Self(fields)
    }

    /// A field as it was written.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&RawValue> {
        self.0.get(field).map(Box::as_ref)
    }

    /// Forgets a field that is not sent as it was written.
    pub fn forget(&mut self, field: &str) {
        self.0.remove(field);
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        let texts = |written: &Self| -> Vec<String> {
            written.0.iter().map(|(name, text)| format!("{name}:{text}")).collect()
        };
        texts(self) == texts(other)
    }
}

/// How many names of fields stand in a text: each has a colon behind it that is in no text. `None`
/// where a number is too long.
fn names_written(json: &str) -> Option<usize> {
    let (mut in_text, mut escaped, mut names, mut digits) = (false, false, 0_usize, 0_usize);
    for byte in json.bytes() {
        let is_digit = !in_text && matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
        digits = if is_digit { digits.saturating_add(1) } else { 0 };
        match byte {
            _ if digits > NUMBER_BYTES_MAX => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b':' if !in_text => names = names.saturating_add(1),
            _ => {}
        }
    }
    Some(names)
}

fn names_of(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(names_of).fold(0, usize::saturating_add),
        Value::Object(fields) => {
            fields.values().map(names_of).fold(fields.len(), usize::saturating_add)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_keeps_its_text_unless_a_name_in_it_is_given_twice() {
        let body =
            br#"{"a": [ 1.50, {"b:":"\u00e9\\\":"} ],"c":{"d":[{"e":1,"e":2}]},"f":1,"f":2e0}"#;
        let read: Map<String, Value> = serde_json::from_slice(body).unwrap();

        let written = Written::of(body, &read);

        let text = |field| written.get(field).map(RawValue::get);
        assert_eq!(text("a"), Some(r#"[ 1.50, {"b:":"\u00e9\\\":"} ]"#));
        assert_eq!((text("c"), text("f"), text("g")), (None, Some("2e0"), None));
        assert!(Written::of(body, &Map::new()).get("a").is_none(), "what was taken out");
    }

    #[test]
    fn a_field_keeps_its_text_unless_a_number_in_it_is_too_long() {
        let body =
            br#"{"a":1234567890123456789,"b":[12345678901234567890],"c":"12345678901234567890",
            "d":0.12345678901234567,"e":0.123456789012345678}"#;
        let read: Map<String, Value> = serde_json::from_slice(body).unwrap();

        let written = Written::of(body, &read);

        let kept = ["a", "b", "c", "d", "e"].map(|field| written.get(field).is_some());
        assert_eq!(kept, [true, false, true, true, false]);
    }
}
