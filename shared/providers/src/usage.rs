//! Reading counts: known ones strictly, unknown ones by name.

use farebox_core::{Money, Usage};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::DecodeError;

/// The longest usage object that is read; the longest seen is below 2 KiB.
const USAGE_BYTES_MAX: usize = 64 * 1024;
/// The most fields that the counts of one stream have together.
const FIELDS_MAX: usize = 256;

/// Reads a usage object.
pub fn object(usage: &RawValue) -> Result<Map<String, Value>, DecodeError> {
    const EXPECTED: &str = "a usage object";
    if usage.get().len() > USAGE_BYTES_MAX {
        return Err(DecodeError::lacking("a usage object below 64 KiB"));
    }
    serde_json::from_str(usage.get()).map_err(|fault| DecodeError::from_json(EXPECTED, &fault))
}

/// Lays the counts of an event over those of the earlier ones; one that is null says nothing.
pub fn overlay(
    known: &mut Map<String, Value>,
    usage: Option<&RawValue>,
) -> Result<(), DecodeError> {
    let Some(usage) = usage else { return Ok(()) };
    known.extend(object(usage)?.into_iter().filter(|(_, told)| !told.is_null()));
    let too_many = DecodeError::lacking("usage of at most 256 fields");
    if known.len() > FIELDS_MAX { Err(too_many) } else { Ok(()) }
}

/// The most unknown fields that are named; one suffices to charge the hold.
const UNKNOWN_MAX: usize = 16;

/// A usage object being read. What cannot be read as a count is an unknown field.
pub struct Counts<'a> {
    root: &'a Map<String, Value>,
    /// The names of the fields that could be billed and are not understood.
    pub unknown: Vec<String>,
}

impl<'a> Counts<'a> {
    /// Starts to read `root`. A path in `known` is understood or does not matter; one that ends
    /// in `.*` covers all below it.
    pub fn new(root: &'a Map<String, Value>, known: &[&[&str]]) -> Self {
        let mut unknown = Vec::new();
        for (name, value) in root {
            collect_unknown(name, value, known, &mut unknown);
        }
        Self { root, unknown }
    }

    /// The count at a path such as `prompt_tokens_details.cached_tokens`; `None` where it is
    /// absent or null. What is no count, one below zero too, is named: taken for absent, it could
    /// make a call cheaper than it was.
    pub fn get(&mut self, path: &str) -> Option<u64> {
        let mut names = path.split('.');
        let first = self.root.get(names.next().unwrap_or_default())?;
        let value = names.try_fold(first, |value, name| value.get(name))?;
        self.count(value, path)
    }

    /// The count that a value is, as [`Self::get`] reads it; `path` is its name.
    pub fn count(&mut self, value: &Value, path: &str) -> Option<u64> {
        let whole = |number: f64| number.fract() == 0.0 && (0.0..=1e15).contains(&number);
        let count = match value {
            Value::Null => return None,
            Value::Number(number) => number.as_u64().or_else(|| {
                // Some servers write `12.0`; its text without the fraction is the count.
                let whole = number.as_f64().filter(|number| whole(*number))?;
                format!("{whole:.0}").parse().ok()
            }),
            _ => None,
        };
        if count.is_none() {
            self.name(path);
        }
        count
    }

    /// The counts; where there are none, zeros beside a stated cost, with `path` named, so that
    /// zeros are never what is charged.
    pub fn read_or_stated(
        &mut self,
        read: Option<Usage>,
        cost: Option<Money>,
        path: &str,
    ) -> Option<Usage> {
        if read.is_none() {
            self.name(path);
        }
        read.or_else(|| cost.map(|_| Usage::default()))
    }

    /// Names a field that could be billed and is not understood.
    pub fn name(&mut self, path: &str) {
        push(&mut self.unknown, path);
    }
}

/// Names a path once, in at most 80 characters, where fewer than sixteen are named.
pub fn push(unknown: &mut Vec<String>, path: &str) {
    if unknown.len() < UNKNOWN_MAX && !unknown.iter().any(|name| name == path) {
        unknown.push(path.chars().take(80).collect());
    }
}

fn collect_unknown(path: &str, value: &Value, known: &[&[&str]], unknown: &mut Vec<String>) {
    let covers = |pattern: &str| match pattern.strip_suffix(".*") {
        Some(parent) => path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.')),
        None => path == pattern,
    };
    if unknown.len() >= UNKNOWN_MAX || known.iter().any(|list| list.iter().any(|p| covers(p))) {
        return;
    }
    match value {
        Value::Number(number) if number.as_f64().is_none_or(|number| number > 0.0) => {
            push(unknown, path);
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                collect_unknown(&format!("{path}.{name}"), value, known, unknown);
            }
        }
        Value::Array(items) => {
            for value in items {
                collect_unknown(path, value, known, unknown);
            }
        }
        _ => {}
    }
}
