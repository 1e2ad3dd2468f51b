//! Changes texts of JSON in their structure.

use serde_json::{Map, Value};

use crate::mutator::{Dice, mutate_bytes};

/// What no `Value` can hold stands in the text for these marks.
const RAW: &[(&str, &str)] = &[
    ("@raw0@", "1e999"),
    ("@raw1@", "-0"),
    ("@raw2@", "99999999999999999999999999"),
    ("@raw3@", "\"\\ud800\""),
    ("@raw4@", "NaN"),
    ("@raw5@", "1.0"),
    ("@raw6@", "{\"a\":1,\"a\":2}"),
    ("@raw7@", "12.000000000000001"),
];

fn interesting(dice: &mut Dice) -> Value {
    match dice.below(26) {
        0 => Value::Null,
        1 => Value::from(true),
        2 => Value::from(0),
        3 => Value::from(-1),
        4 => Value::from(1),
        5 => Value::from(u64::MAX),
        6 => Value::from(i64::MIN),
        7 => Value::from(0.5),
        8 => Value::from(1e300),
        9 => Value::from(-1e15),
        10 => Value::from(""),
        11 => Value::from("stop"),
        12 => Value::from("7"),
        13 => Value::from("é\u{1F600}\u{0}\u{7f}\u{2028}\"\\\n"),
        14 => Value::from("x".repeat(1 << dice.below(13))),
        15 => Value::Array(Vec::new()),
        16 => Value::Object(Map::new()),
        17 => (0..dice.below(60)).fold(Value::from(1), |inner, _| Value::from(vec![inner])),
        18 => vec![Value::from("text"); dice.below(300)].into(),
        _ => Value::from(dice.pick(RAW).0),
    }
}

/// How many values there are in a value.
fn count(value: &Value) -> usize {
    let inside: usize = match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    };
    inside + 1
}

/// The `place`th of them, counted as they are written.
fn nth<'v>(value: &'v mut Value, place: &mut usize) -> Option<&'v mut Value> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, place)),
        Value::Object(fields) => fields.values_mut().find_map(|item| nth(item, place)),
        _ => None,
    }
}

fn any<'v>(dice: &mut Dice, value: &'v mut Value) -> &'v mut Value {
    let mut place = dice.below(count(value));
    nth(value, &mut place).expect("a place that was counted")
}

/// A key of any object in a value.
fn any_key(dice: &mut Dice, value: &Value) -> Option<String> {
    let mut value = value.clone();
    for _ in 0..8 {
        if let Value::Object(fields) = any(dice, &mut value)
            && !fields.is_empty()
        {
            return fields.keys().nth(dice.below(fields.len())).cloned();
        }
    }
    None
}

/// Changes one place of a value; `other` lends parts.
fn mutate_value(dice: &mut Dice, value: &mut Value, other: &Value) {
    let drawn = match dice.below(4) {
        0 => any(dice, &mut other.clone()).clone(),
        _ => interesting(dice),
    };
    let from = if dice.one_in(3) { other } else { &*value };
    let key = any_key(dice, from);
    match (any(dice, value), dice.below(4)) {
        (Value::Object(fields), 0) if !fields.is_empty() => {
            let place = dice.below(fields.len());
            let key = fields.keys().nth(place).cloned().unwrap_or_default();
            fields.shift_remove(&key);
        }
        (Value::Object(fields), 1 | 2) => {
            fields.insert(key.unwrap_or_else(|| "unknown".to_owned()), drawn);
        }
        (Value::Array(items), 0) if !items.is_empty() => {
            items.remove(dice.below(items.len()));
        }
        (Value::Array(items), 1) if !items.is_empty() => {
            let item = dice.pick(items).clone();
            items.extend(vec![item; 1 << dice.below(8)]);
        }
        (Value::Array(items), 2) => items.push(drawn),
        (Value::String(text), 1) => text.push_str(drawn.as_str().unwrap_or("…")),
        (Value::Number(number), 1 | 2) => {
            let plus = number.as_i64().and_then(|number| number.checked_mul(-1));
            *number = plus.unwrap_or(1 << 40).into();
        }
        (place, _) => *place = drawn,
    }
}

/// Changes a text of JSON in its structure, and now and then as bytes; what is no JSON only so.
pub fn mutate_json(dice: &mut Dice, text: &str, other: &str) -> Vec<u8> {
    let parsed = serde_json::from_str::<Value>(text);
    let (Ok(mut value), false) = (parsed, dice.one_in(12)) else {
        return mutate_bytes(dice, text.as_bytes().to_vec());
    };
    let other = serde_json::from_str(other).unwrap_or_default();
    for _ in 0..=dice.below(3) {
        mutate_value(dice, &mut value, &other);
    }
    let mut text = value.to_string();
    for (mark, raw) in RAW {
        text = text.replace(&format!("\"{mark}\""), raw);
    }
    if dice.one_in(16) { mutate_bytes(dice, text.into_bytes()) } else { text.into_bytes() }
}
