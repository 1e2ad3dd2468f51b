//! Streams of events: taken apart, changed, and put together in every way that is allowed.

use crate::json::mutate_json;
use crate::mutator::{Dice, mutate_bytes};

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
