//! Labels: what a call is told apart by in the log, in usage, in statements and in exports.

use core::fmt;
use std::collections::BTreeMap;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::Error;

/// The request header that carries labels: `name=value` pairs, separated by commas.
pub const TAGS_HEADER: &str = "x-farebox-tags";

/// The label of the end user, by `OpenAI`'s `user` or Anthropic's `metadata.user_id`.
pub const END_USER: &str = "end_user";

/// Labels of one key, or of one header.
pub const LABELS_MAX: usize = 10;
/// Longest name of a label, in characters; `OpenAI`'s own limit for names of `metadata`.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest value of a key's or a header's label, in characters.
pub const VALUE_CHARS_MAX: usize = 128;
/// Longest header that is read: every allowed pair fits, escaped or not.
const HEADER_BYTES_MAX: usize = 4_096;
/// Pairs in `metadata`: `OpenAI`'s own limit (API reference, create chat completion, 2026-11).
const METADATA_MAX: usize = 16;
/// Longest value in `metadata` and longest `user`; of the same source.
const METADATA_CHARS_MAX: usize = 512;

/// Names and values, each name once, the most trusted source first: the key's, the header's, the
/// body's. Where two sources name the same label the first one stands, so that no caller can
/// charge its calls to another team than its key says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// The labels of a key, as an admin writes them; `field` names the faulty one.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the label and the rule.
    pub fn of_key(field: &str, labels: &BTreeMap<String, String>) -> Result<Self, Error> {
        if labels.len() > LABELS_MAX {
            return Err(Error::malformed(field, format!("at most {LABELS_MAX} labels")));
        }
        let pairs = labels.iter().map(|(name, value)| {
            let field =
                || format!("{field}.{}", name.chars().take(NAME_CHARS_MAX).collect::<String>());
            pair(name, value).map_err(|rule| Error::malformed(field(), rule))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// The labels of the header `x-farebox-tags`. A value may be percent-encoded.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the header and the rule.
    pub fn of_header(text: &str) -> Result<Self, Error> {
        let malformed = |rule: String| Error::malformed(TAGS_HEADER, rule);
        if text.len() > HEADER_BYTES_MAX {
            return Err(malformed(format!("is longer than {HEADER_BYTES_MAX} bytes")));
        }
        let mut labels = Self::default();
        for (place, text) in text.split(',').map(str::trim).enumerate() {
            if place >= LABELS_MAX {
                return Err(malformed(format!("has more than {LABELS_MAX} labels")));
            }
            let rule = |rule: &str| malformed(format!("label {}: {rule}", place.saturating_add(1)));
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| rule("write it as name=value, and a comma before the next one"))?;
            let value = decoded(value.trim())
                .ok_or_else(|| rule("after a % come two hexadecimal digits, of UTF-8"))?;
            let (name, value) = pair(name.trim(), &value).map_err(|text| rule(&text))?;
            if labels.get(&name).is_some() {
                return Err(rule("its name stands twice"));
            }
            labels.0.push((name, value));
        }
        Ok(labels)
    }

    /// The labels of a call's body, which [`check_metadata`] and [`check_user`] have passed:
    /// the end user, then `metadata`.
    #[must_use]
    pub fn of_body(body: &Map<String, Value>) -> Self {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let metadata = body.get("metadata").and_then(Value::as_object);
        let user = text("user").or_else(|| text("safety_identifier"));
        let user = user.or_else(|| metadata?.get("user_id")?.as_str());
        let mut labels = Self::default();
        labels.add(END_USER, user.unwrap_or_default());
        for (name, value) in metadata.into_iter().flatten() {
            if name != "user_id" {
                labels.add(name, value.as_str().unwrap_or_default());
            }
        }
        labels
    }

    /// Takes those of a less trusted source whose names are not there yet.
    pub fn extend(&mut self, more: Self) {
        for (name, value) in more.0 {
            self.add(&name, &value);
        }
    }

    /// A label's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values, the most trusted first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// By name, as answers show them.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.0.iter().cloned().collect()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, name: &str, value: &str) {
        if !value.is_empty() && self.get(name).is_none() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }
}

impl FromIterator<(String, String)> for Labels {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        let mut labels = Self::default();
        pairs.into_iter().for_each(|(name, value)| labels.add(&name, &value));
        labels
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = Labels::default();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    labels.add(&name, &value);
                }
                Ok(labels)
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Whether a call's `metadata` is `OpenAI`'s: at most 16 texts.
///
/// # Errors
/// [`Error::Malformed`] names the pair and the rule.
pub fn check_metadata(field: &str, value: &Value) -> Result<(), Error> {
    let wrong = |field: String, rule: String| Err(Error::malformed(field, rule));
    let Some(pairs) = value.as_object() else {
        return wrong(field.to_owned(), "must be an object".to_owned());
    };
    if pairs.len() > METADATA_MAX {
        return wrong(field.to_owned(), format!("has more than {METADATA_MAX} pairs"));
    }
    for (name, value) in pairs {
        let field = format!("{field}.{}", name.chars().take(NAME_CHARS_MAX).collect::<String>());
        if !fits(name, NAME_CHARS_MAX) {
            let rule = format!("a name has 1 to {NAME_CHARS_MAX} characters, none of control");
            return wrong(field, rule);
        }
        check_user(&field, value)?;
    }
    Ok(())
}

/// Whether a text is short enough to be a label: a `user`, or a value of `metadata`.
///
/// # Errors
/// [`Error::Malformed`] names the field and the rule.
pub fn check_user(field: &str, value: &Value) -> Result<(), Error> {
    let is_short = |text: &str| text.is_empty() || fits(text, METADATA_CHARS_MAX);
    if value.as_str().is_some_and(is_short) {
        return Ok(());
    }
    let rule =
        format!("must be a text of at most {METADATA_CHARS_MAX} characters, none of control");
    Err(Error::malformed(field, rule))
}

/// A name and a value of a key or a header, or the rule that they break.
fn pair(name: &str, value: &str) -> Result<(String, String), String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !starts_well || name.len() > NAME_CHARS_MAX || !name.bytes().all(is_plain) {
        return Err(format!(
            "a name has 1 to {NAME_CHARS_MAX} letters, digits, _ - and ., and begins with one of \
             the first two"
        ));
    }
    if !fits(value, VALUE_CHARS_MAX) {
        return Err(format!("a value has 1 to {VALUE_CHARS_MAX} characters, none of control"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn fits(text: &str, chars_max: usize) -> bool {
    (1..=chars_max).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// A percent-encoded text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        decoded.push(u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn header(text: &str) -> Result<Vec<(String, String)>, String> {
        Labels::of_header(text).map(|labels| labels.0).map_err(|error| error.to_string())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_header_is_pairs_with_commas_and_escapes() {
        let read = header("team=search, env = prod,note=R%26D%2c%20K%C3%B6ln").unwrap();

        assert_eq!(read, pairs(&[("team", "search"), ("env", "prod"), ("note", "R&D, Köln")]));
    }

    #[test]
    fn a_header_that_is_none_is_refused_by_its_name_and_place() {
        let eleven = (0..11).map(|n| format!("l{n}=x")).collect::<Vec<_>>().join(",");
        for (text, told) in [
            ("", "label 1: write it as name=value"),
            ("team", "label 1: write it as name=value"),
            ("a=1,,b=2", "label 2: write it as name=value"),
            ("=x", "label 1: a name has"),
            ("a b=x", "label 1: a name has"),
            ("_a=x", "label 1: a name has"),
            ("a=", "label 1: a value has 1 to 128"),
            (&format!("a={}", "x".repeat(129)), "label 1: a value has 1 to 128"),
            ("a=x%0Ay", "none of control"),
            ("a=%4", "two hexadecimal digits"),
            ("a=%zz", "two hexadecimal digits"),
            ("a=%ff", "two hexadecimal digits"),
            ("a=1,a=2", "label 2: its name stands twice"),
            (&eleven, "has more than 10 labels"),
            (&"x".repeat(4_097), "longer than 4096 bytes"),
        ] {
            let refused = header(text).unwrap_err();
            assert!(refused.starts_with("x-farebox-tags: "), "{refused}");
            assert!(refused.contains(told), "{text:.20}: {refused}");
        }
    }

    #[test]
    fn the_most_trusted_source_of_a_label_stands() {
        let key = BTreeMap::from([("team".to_owned(), "search".to_owned())]);
        let mut labels = Labels::of_key("labels", &key).unwrap();
        labels.extend(Labels::of_header("team=ads,env=prod").unwrap());
        let body = json!({"user": "u-7", "metadata": {"env": "dev", "run": "9", "empty": ""}});
        labels.extend(Labels::of_body(body.as_object().unwrap()));

        let expected = [("team", "search"), ("env", "prod"), ("end_user", "u-7"), ("run", "9")];
        assert_eq!(labels.0, pairs(&expected));
    }

    #[test]
    fn the_order_of_trust_survives_the_queue() {
        let labels = Labels::of_header("z=1,a=2,m=3").unwrap();

        let json = serde_json::to_string(&labels).unwrap();

        assert_eq!(json, r#"{"z":"1","a":"2","m":"3"}"#);
        assert_eq!(serde_json::from_str::<Labels>(&json).unwrap(), labels);
    }

    #[test]
    fn anthropics_user_id_is_the_end_user_too() {
        let body = json!({"metadata": {"user_id": "u-8"}});

        let labels = Labels::of_body(body.as_object().unwrap());

        assert_eq!(labels.0, pairs(&[("end_user", "u-8")]));
    }

    #[test]
    fn metadata_is_openais() {
        let field = |value: Value| match check_metadata("metadata", &value) {
            Ok(()) => String::new(),
            Err(error) => error.field().unwrap_or_default().to_owned(),
        };
        let many =
            |count: usize| Value::Object((0..count).map(|n| (n.to_string(), json!("x"))).collect());

        assert_eq!(field(json!({"a b": "x", "empty": "", "long": "x".repeat(512)})), "");
        assert_eq!(field(many(16)), "");
        assert_eq!(field(many(17)), "metadata");
        assert_eq!(field(json!("x")), "metadata");
        assert_eq!(field(json!({"a": 1})), "metadata.a");
        assert_eq!(field(json!({"a": "x".repeat(513)})), "metadata.a");
        assert_eq!(field(json!({"a": "x\ny"})), "metadata.a");
        assert_eq!(field(json!({"": "x"})), "metadata.");
        assert_eq!(field(json!({"x".repeat(65): "x"})), format!("metadata.{}", "x".repeat(64)));
    }

    #[test]
    fn a_keys_labels_are_refused_by_name() {
        let field = |name: &str, value: &str| {
            let labels = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            Labels::of_key("labels", &labels)
                .err()
                .and_then(|error| error.field().map(str::to_owned))
        };

        assert_eq!(field("team", "search & ads"), None);
        assert_eq!(field("a b", "x").as_deref(), Some("labels.a b"));
        assert_eq!(field("team", "").as_deref(), Some("labels.team"));
        let many = (0..11).map(|n| (n.to_string(), "x".to_owned())).collect();
        assert!(Labels::of_key("labels", &many).is_err());
    }
}
