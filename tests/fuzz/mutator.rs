//! Changes recorded answers and requests as a hostile or broken peer might.
//!
//! Seeded and without a clock: a case is its number, and gives the same bytes on every machine. It
//! knows JSON, the framing of server-sent events and plain bytes, so that most cases get past the
//! parser into the code behind it. Coverage guides nothing here: that needs a nightly compiler, and
//! a campaign that a change cannot wait for.

use serde_json::{Map, Value};

/// Numbers that are drawn again on every machine alike (xorshift64*).
pub struct Dice(u64);

impl Dice {
    /// The dice of one case of one target.
    pub fn new(target: &str, case: u64) -> Self {
        let seed = target.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let mut dice = Self((seed ^ case.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1);
        dice.below(1);
        dice
    }

    /// A number below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// Whether the one of `many` came.
    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Ascending places at which so many bytes are cut.
    pub fn cuts(&mut self, bytes: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> =
            (0..=self.below(12)).map(|_| self.below(bytes.saturating_add(1))).collect();
        cuts.sort_unstable();
        cuts
    }
}

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

/// Changes bytes without knowing what they are.
pub fn mutate_bytes(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len().saturating_add(1));
        let end = at.saturating_add(dice.below(40)).min(bytes.len());
        match dice.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again: Vec<u8> = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let odd: &[&[u8]] = &[b"\0", b"\xff\xfe", b"\xc3", b"\r\n\r\n", b"\"", b"{", b"]"];
                bytes.splice(at..at, dice.pick(odd).iter().copied());
            }
            _ => {
                bytes.splice(at..end, *b"data: ");
            }
        }
    }
    bytes
}

/// The events of a stream of server-sent events, each with its name.
pub fn events(stream: &str) -> Vec<(String, String)> {
    let stream = stream.replace("\r\n", "\n");
    let mut events = Vec::new();
    for block in stream.split("\n\n") {
        let of = |field: &str| {
            let lines = block.lines().filter_map(|line| line.strip_prefix(field));
            lines.map(|line| line.trim_start_matches(' ')).collect::<Vec<_>>().join("\n")
        };
        let (name, data) = (of("event:"), of("data:"));
        if !data.is_empty() {
            events.push((name, data));
        }
    }
    events
}

/// Leaves out, doubles, swaps and changes events; `other` lends some.
pub fn mutate_events(
    dice: &mut Dice,
    events: &[(String, String)],
    other: &[(String, String)],
) -> Vec<(String, Vec<u8>)> {
    let mut events = events.to_vec();
    let mut changed = Vec::new();
    for _ in 0..dice.below(4) {
        let (at, to) = (dice.below(events.len()), dice.below(events.len()));
        match dice.below(5) {
            _ if events.is_empty() => {}
            0 => drop(events.remove(at)),
            1 => {
                let again = events[at].clone();
                events.splice(to..to, vec![again; 1 << dice.below(6)]);
            }
            2 => events.swap(at, to),
            3 => events.truncate(at),
            _ if other.is_empty() => {}
            _ => events.insert(to, dice.pick(other).clone()),
        }
    }
    let share = dice.below(events.len().max(1)).max(1);
    for (name, data) in events {
        let lent = if other.is_empty() { data.clone() } else { dice.pick(other).1.clone() };
        let data =
            if dice.one_in(share) { mutate_json(dice, &data, &lent) } else { data.into_bytes() };
        changed.push((name, data));
    }
    changed
}

/// Events as server-sent ones, in any of the ways in which they may be written.
pub fn sse(dice: &mut Dice, events: &[(String, Vec<u8>)]) -> Vec<u8> {
    let end = *dice.pick(&["\n", "\n", "\n", "\r\n", "\r"]);
    let (odd, spaced) = (dice.one_in(4), !dice.one_in(5));
    let mut out = if odd && dice.one_in(2) { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() };
    for (name, data) in events {
        if odd && dice.one_in(4) {
            let noise = [": comment", "id: 1", "retry: 3", "unknown", "data", ": x", ""];
            out.extend(dice.pick(&noise).bytes().chain(end.bytes()));
        }
        let space = if spaced { " " } else { "" };
        if !name.is_empty() {
            out.extend(format!("event:{space}{name}{end}").bytes());
        }
        for line in data.split(|byte| *byte == b'\n') {
            out.extend(format!("data:{space}").bytes().chain(line.iter().copied()));
            out.extend(end.bytes());
        }
        out.extend(end.bytes());
    }
    if dice.one_in(10) { mutate_bytes(dice, out) } else { out }
}

/// How many cases a target runs: as many as `FAREBOX_FUZZ_CASES` says, else what `cargo test` has
/// seconds for.
pub fn cases(default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a campaign says how long it is")]
    let told = std::env::var("FAREBOX_FUZZ_CASES").ok();
    told.map_or(default, |cases| cases.parse().expect("FAREBOX_FUZZ_CASES is a number"))
}

/// Runs the cases of a target, half of them on each of two threads; the number of one that fails
/// stands in its message.
pub fn run(target: &str, cases: u64, case: impl Fn(&mut Dice) + Sync) {
    let case = &case;
    std::thread::scope(|scope| {
        for first in 0..2 {
            scope.spawn(move || {
                for number in (first..cases).step_by(2) {
                    let one = || case(&mut Dice::new(target, number));
                    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(one));
                    assert!(done.is_ok(), "case {number} of {target} failed, see above");
                }
            });
        }
    });
}
