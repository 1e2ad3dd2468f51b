//! However the JSON of a request is written, what is sent of it says no more than is held for.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use farebox_core::{ChatCall, Format};
use farebox_providers::{Facts, find};
use serde_json::{Value, json};

use crate::mutator::{Dice, cases, run};

/// Integers of so many digits, and floats of so many bytes, are read alike by every parser.
const NUMBER_BYTES: usize = 19;

const FACTS: Facts<'_> = Facts {
    model: "upstream",
    context_window: Some(1_000_000),
    completion_max: Some(64_000),
    price: None,
};

fn space(dice: &mut Dice, out: &mut String) {
    const SPACES: [&str; 5] = ["", "", " ", "\n\t  ", "                "];
    out.push_str(SPACES[dice.below(SPACES.len())]);
}

fn text(dice: &mut Dice, said: &str, out: &mut String) {
    out.push('"');
    for letter in said.chars() {
        if dice.one_in(3) {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").unwrap();
            }
        } else {
            let plain = Value::from(letter.to_string()).to_string();
            out.push_str(&plain[1..plain.len() - 1]);
        }
    }
    out.push('"');
}

/// The same value in other words: spaces, escapes, digits, the order of names, names given twice.
fn spell(dice: &mut Dice, value: &Value, out: &mut String) {
    space(dice, out);
    match value {
        Value::String(said) => text(dice, said, out),
        Value::Number(number) => {
            out.push_str(&number.to_string());
            let digits = *dice.pick(&[0, 0, 0, 3, 40, 300]);
            let fraction = if number.is_f64() { "" } else { "." };
            if digits > 0 {
                write!(out, "{fraction}{}", "0".repeat(digits)).unwrap();
            }
        }
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                spell(dice, item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            let turned = dice.below(fields.len().max(1));
            fields.rotate_left(turned);
            out.push('{');
            for (place, (name, value)) in fields.into_iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                if dice.one_in(6) {
                    text(dice, name, out);
                    write!(out, ":\"{}\",", "longer ".repeat(40)).unwrap();
                }
                space(dice, out);
                text(dice, name, out);
                space(dice, out);
                out.push(':');
                spell(dice, value, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
    space(dice, out);
}

/// The bytes of what a JSON text says: its texts as they read, its numbers and marks as they stand,
/// no space.
fn said(json: &str) -> usize {
    let mut bytes = 0;
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let number = rest.find(|letter: char| !"+-.eE0123456789".contains(letter));
        let taken = match first {
            '"' => {
                let mut deserializer =
                    serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let text = deserializer.next().unwrap().unwrap();
                bytes += text.len() + 2;
                deserializer.byte_offset()
            }
            '-' | '0'..='9' => {
                let end = number.unwrap_or(rest.len());
                let read: Value = serde_json::from_str(&rest[..end]).unwrap();
                bytes += if end > NUMBER_BYTES { end } else { read.to_string().len() };
                end
            }
            other => {
                bytes += usize::from(!other.is_whitespace());
                other.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    bytes
}

fn asked(dice: &mut Dice) -> Value {
    let words = ["hello ", "日本語 ", "🙂", "\"quoted\" ", "\\", "naïve "];
    let content: String = (0..dice.below(12)).map(|_| *dice.pick(&words)).collect();
    let mut body = json!({
        "model": "as-asked",
        "messages": [{"role": "user", "content": content}],
        "temperature": 0.7,
        "seed": 12,
    });
    if dice.one_in(3) {
        let numbers: Vec<u64> = (0..8).map(|_| 1 << dice.below(60)).collect();
        body["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters":
            {"type": "object", "properties": {"size": {"enum": numbers}}}}}]);
    }
    body
}

#[test]
fn no_spelling_of_a_request_says_more_than_is_held_for_it() {
    let provider = find("openai").unwrap();
    let wire = provider.wire_for(FACTS.model, Format::Chat).unwrap();
    let (drawn, judged) = (cases(2_000), AtomicU64::new(0));
    run("spelling", drawn, |dice| {
        let mut written = String::new();
        let asked = asked(dice);
        spell(dice, &asked, &mut written);
        // A name given twice may be one that cannot be read so: then nothing is sent.
        let Ok(call) = ChatCall::from_openai(written.as_bytes()) else { return };
        let Ok(sent) = wire.request(provider, &call, &FACTS, 100, dice.one_in(2)) else { return };
        let body = std::str::from_utf8(&sent.body).unwrap();
        let most = usize::try_from(sent.bound.prompt_tokens).unwrap();
        assert!(said(body) <= most, "{} > {most}: {body}", said(body));
        judged.fetch_add(1, Ordering::Relaxed);
    });
    assert!(judged.into_inner() * 4 > drawn, "too few are sent");
}
