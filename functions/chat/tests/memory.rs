//! What a dialect and the content log hold of a stream that is as long as one may be.
//!
//! The bytes of the allocator are counted, so the figures are the same on every machine. Beyond
//! `WEIGHT_MAX` the relay gives a stream up.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use farebox_chat::gather::{Gathered, WEIGHT_MAX, weight};
use farebox_core::{ChatEvent, Completion, Frame};
use peak_alloc::PeakAlloc;
use serde_json::value::RawValue;

#[path = "fuzz/dialects.rs"]
mod dialects;
#[path = "fuzz/writing.rs"]
mod writing;
use dialects::DIALECTS;
use writing::{begun, ended};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The most that a dialect holds while it ends the longest stream: what it kept, and the end, which
/// may tell all of it again.
const HELD_MAX: usize = 18 * WEIGHT_MAX;

/// One measurement at a time: the allocator counts for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn delta(text: String) -> ChatEvent {
    ChatEvent::Delta { choice: 0, delta: RawValue::from_string(text).unwrap(), logprobs: None }
}

/// The `i`th delta of an endless stream.
type Endless = fn(usize) -> String;

/// The pieces that take most time are sent for a part of the way; what they take grows alike.
const STREAMS: [(&str, usize, Endless); 6] = [
    ("tiny pieces of text", 32, |_| r#"{"content":"a"}"#.into()),
    ("long pieces of text", 4, |_| format!(r#"{{"content":"{}"}}"#, "a".repeat(4_000))),
    ("tiny pieces of thought", 32, |_| r#"{"reasoning_content":"a"}"#.into()),
    ("pieces of arguments", 32, |_| {
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"a"}}]}"#.into()
    }),
    ("as many calls as there may be", 32, |i| {
        format!(r#"{{"tool_calls":[{{"index":{}}}]}}"#, i % 256)
    }),
    ("ever new details", 32, |i| {
        format!(r#"{{"reasoning_details":[{{"index":{i},"data":"a","format":"f"}}]}}"#)
    }),
];

#[test]
fn the_longest_stream_is_held_in_bounded_memory_in_every_dialect() {
    let _turn = alone();
    for (what, part, endless) in STREAMS {
        for (name, dialect) in DIALECTS {
            let before = HEAP.current_usage();
            HEAP.reset_peak_usage();
            let mut writer = begun(dialect, false);
            let (mut told, mut weighed, mut longest) = (0, 0, 0);
            for i in 0.. {
                let event = delta(endless(i));
                weighed += weight(&event);
                if weighed > WEIGHT_MAX / part {
                    break;
                }
                let mut out = Vec::new();
                writer.event(&event, &mut out);
                told += out.len();
                longest = longest.max(out.len());
            }
            let kept = HEAP.current_usage().saturating_sub(before);
            let end = ended(dialect, &mut *writer, &Completion::default(), None);
            let held = HEAP.peak_usage().saturating_sub(before);
            println!(
                "{what}, {name}: {kept} kept, {held} held at most, {told} told in pieces of \
                 {longest}, {} at the end",
                end.len()
            );
            let most = HELD_MAX / part + 1_000_000;
            assert!(held <= most, "{what}, {name}: {held} bytes held");
        }
    }
}

#[test]
fn the_content_log_keeps_a_bounded_part_of_it() {
    let _turn = alone();
    for (what, part, endless) in STREAMS {
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let (mut gathered, mut weighed) = (Gathered::default(), 0);
        for i in 0.. {
            let event = delta(endless(i));
            weighed += weight(&event);
            if weighed > WEIGHT_MAX / part {
                break;
            }
            gathered.event(&event);
        }
        let choices = gathered.choices();
        let held = HEAP.peak_usage().saturating_sub(before);
        println!("{what}: {held} held at most");
        assert_eq!(choices.len(), 1);
        assert!(held <= HELD_MAX / part + 1_000_000, "{what}: {held} bytes held");
    }
}

#[test]
fn frames_that_are_passed_on_are_not_kept() {
    let _turn = alone();
    for (name, dialect) in DIALECTS {
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let mut writer = begun(dialect, true);
        let item = format!(r#"{{"item":{{"type":"message","text":"{}"}}}}"#, "a".repeat(10_000));
        let frames = ["response.output_item.added", "response.output_text.delta"];
        for i in 0..6_000 {
            let (name, data) = match i % 3 {
                2 => ("response.output_item.done", item.as_str()),
                at => (frames[at], r#"{"item":{},"delta":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#),
            };
            let mut out = Vec::new();
            let frame = Frame { name: name.into(), data: data.into() };
            writer.event(&ChatEvent::Frame(frame), &mut out);
        }
        let end = ended(dialect, &mut *writer, &Completion::default(), None).len();
        let held = HEAP.peak_usage().saturating_sub(before);
        println!("{name}: {held} held of 20 MB, {end} at the end");
        assert!(held <= 12_000_000, "{name}: {held} bytes held");
    }
}
