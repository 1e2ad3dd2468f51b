//! Every dialect on requests that a broken or hostile caller might send, and on answers that a
//! broken or hostile provider might.
//!
//! Seeded: a failing case is its number. `FAREBOX_FUZZ_CASES` sets how many each target runs.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

#[path = "fuzz/dialects.rs"]
mod dialects;
#[path = "../../../tests/fuzz/events.rs"]
mod events;
#[path = "../../../shared/providers/tests/support/eventstream.rs"]
mod eventstream;
#[path = "fuzz/incoming.rs"]
mod incoming;
#[path = "../../../tests/fuzz/json.rs"]
mod json;
#[path = "../../../tests/fuzz/mutator.rs"]
mod mutator;
#[path = "fuzz/requests.rs"]
mod requests;
#[path = "../../../shared/providers/tests/fuzz/seeds.rs"]
mod seeds;
#[path = "fuzz/writing.rs"]
mod writing;

use farebox_chat::dialect::Dialect;
use farebox_chat::gather::Gathered;
use farebox_core::{ChatEvent, Completion, Error, Fault, Usage};
use serde::de::IgnoredAny;

use dialects::DIALECTS;
use events::{events, mutate_events, sse};
use json::mutate_json;
use mutator::{Dice, cases, run};
use seeds::{Kind, Seeds, Target, targets};
use writing::{begun, ended, with_answer};

/// Our own exchanges with providers.
pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/providers/fixtures");

/// Cases of each target in `cargo test`.
const CASES: u64 = 2_000;

/// What an answer may grow by when it is told in another dialect: Responses tell each text four
/// times, and each piece with its place.
const GROWTH: usize = 64;

fn decoded(
    dice: &mut Dice,
    target: &Target,
    seeds: &Seeds,
    frames: bool,
) -> (Vec<ChatEvent>, bool) {
    let (own, other) =
        (dice.pick(seeds.streams(target.kind)), dice.pick(seeds.streams(target.kind)));
    let changed = mutate_events(dice, own, other);
    let body = match target.kind {
        Kind::Converse => seeds::event_stream(dice, &changed),
        Kind::Gemini if dice.one_in(3) => seeds::array(dice, &changed),
        _ => sse(dice, &changed),
    };
    let mut decoder = target.wire.decoder(target.provider, frames);
    let mut out = Vec::new();
    let fed = decoder.feed(&body, &mut out).and_then(|()| decoder.end(&mut out));
    let failed = fed.is_err() || out.iter().any(|event| matches!(event, ChatEvent::Failed { .. }));
    (out, failed)
}

fn bytes_of(events: &[ChatEvent]) -> usize {
    let bytes = |event: &ChatEvent| match event {
        ChatEvent::Delta { delta, logprobs, .. } => {
            delta.get().len() + logprobs.as_ref().map_or(0, |text| text.get().len())
        }
        ChatEvent::Frame(frame) => frame.data.len() + frame.name.len(),
        ChatEvent::Start { id, model } => id.len() + model.len(),
        ChatEvent::Finish { reason, .. } => reason.len(),
        _ => 0,
    };
    events.iter().map(bytes).sum()
}

/// The whole answer of a dialect.
fn whole(dialect: &dyn Dialect, completion: &Completion, usage: Option<&Usage>) -> Vec<u8> {
    with_answer(dialect, completion, usage, |answer| dialect.answer(answer).to_vec())
}

/// The stream of a dialect: good where the provider's was, else ended as a bad one is.
fn stream(
    dialect: &dyn Dialect,
    verbatim: bool,
    events: &[ChatEvent],
    fault: Option<&Error>,
) -> Vec<u8> {
    let mut writer = begun(dialect, verbatim);
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.event(event, &mut out));
    let completion = Completion::default();
    match fault {
        Some(error) => with_answer(dialect, &completion, None, |answer| {
            writer.failed(error, answer, &mut out);
        }),
        None => out.extend(ended(dialect, &mut *writer, &completion, None)),
    }
    out
}

/// A stream that its dialect's readers can take apart.
fn assert_readable(name: &str, text: &str) {
    if name == "array" {
        let array = serde_json::from_str::<Vec<IgnoredAny>>(text);
        array.unwrap_or_else(|fault| panic!("{fault}: {text}"));
        return;
    }
    for (_, data) in events(text) {
        if data != "[DONE]" {
            // By its grammar: numbers beyond every float are the provider's own.
            let json = serde_json::from_str::<IgnoredAny>(&data);
            json.unwrap_or_else(|fault| panic!("{fault}: {data}"));
        }
    }
}

#[test]
fn no_answer_of_any_provider_breaks_a_dialect() {
    let seeds = Seeds::read();
    let targets = targets();
    let fault = Error::ProviderUnavailable {
        provider: "demo".to_owned(),
        advice: "Try again.",
        fault: Fault::Cut,
        cause: "cut".to_owned(),
    };
    run("dialects' streams", cases(CASES), |dice| {
        let target = dice.pick(&targets);
        let (events, failed) = decoded(dice, target, &seeds, false);
        let usage = events.iter().rev().find_map(|event| match event {
            ChatEvent::Usage(reported) => Some(&reported.usage),
            _ => None,
        });
        let fault = failed.then_some(&fault);
        let mut gathered = Gathered::default();
        events.iter().for_each(|event| gathered.event(event));
        let completion = Completion { choices: gathered.choices(), ..Completion::default() };
        let size = bytes_of(&events);
        for (name, dialect) in DIALECTS {
            let told = stream(dialect, false, &events, fault);
            let text = String::from_utf8(told).expect("UTF-8");
            assert_readable(name, &text);
            assert!(text.len() <= 8_192 + GROWTH * size + 1_024 * events.len(), "{name}: {size}");
            let told = whole(dialect, &completion, usage);
            serde_json::from_slice::<IgnoredAny>(&told).expect("JSON");
        }
    });
}

#[test]
fn no_whole_answer_of_any_provider_breaks_a_dialect() {
    let seeds = Seeds::read();
    let targets = targets();
    run("dialects' answers", cases(CASES), |dice| {
        let target = dice.pick(&targets);
        let (own, other) =
            (dice.pick(seeds.wholes(target.kind)), dice.pick(seeds.wholes(target.kind)));
        let body = mutate_json(dice, own, other);
        let Ok(answer) = target.wire.decode(target.provider, &body) else { return };
        let usage = answer.reported.as_ref().map(|reported| &reported.usage);
        for (_, dialect) in DIALECTS {
            let told = whole(dialect, &answer, usage);
            serde_json::from_slice::<IgnoredAny>(&told).expect("JSON");
        }
    });
}

#[test]
fn no_frame_of_a_faithful_provider_breaks_what_passes_it_on() {
    let seeds = Seeds::read();
    let targets = targets();
    run("frames", cases(CASES), |dice| {
        let target = dice.pick(&targets);
        let name = match target.kind {
            Kind::Chat => "chat",
            Kind::Texts => "texts",
            Kind::Responses => "responses",
            Kind::Messages => "messages",
            Kind::Gemini => *dice.pick(&["gemini", "array"]),
            _ => return,
        };
        let (events, failed) = decoded(dice, target, &seeds, true);
        let (_, dialect) = DIALECTS.into_iter().find(|row| row.0 == name).unwrap();
        let error = Error::internal("cut");
        let told = stream(dialect, true, &events, failed.then_some(&error));
        let text = String::from_utf8(told).expect("UTF-8");
        // What the provider wrote is passed on as it is, so only the framing is looked at.
        assert!(text.len() <= 8_192 + 4 * bytes_of(&events) + 64 * events.len(), "{name}");
        assert!(name == "array" || text.is_empty() || text.ends_with('\n'), "{name}: {text}");
    });
}
