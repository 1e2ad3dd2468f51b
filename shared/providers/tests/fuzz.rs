//! Every decoder of every wire format on bytes that a broken or hostile provider might send.
//!
//! Cases are drawn from a seed: a failing one is its number, and runs again alone on any machine.
//! `FAREBOX_FUZZ_CASES` sets how many each target runs; with `FAREBOX_CORPUS` the recorded
//! exchanges are changed as well as our own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

#[path = "../../../tests/fuzz/events.rs"]
mod events;
#[path = "support/eventstream.rs"]
mod eventstream;
#[path = "../../../tests/fuzz/json.rs"]
mod json;
#[path = "fuzz/money.rs"]
mod money;
#[path = "../../../tests/fuzz/mutator.rs"]
mod mutator;
#[path = "fuzz/seeds.rs"]
mod seeds;
#[path = "support/shown.rs"]
mod shown;
#[path = "fuzz/spelling.rs"]
mod spelling;

use farebox_core::{ChatEvent, Reported};
use farebox_providers::{Billing, CountRequest, DecodeError};

use events::{mutate_events, sse};
use json::mutate_json;
use money::assert_sane;
use mutator::{Dice, cases, mutate_bytes, run};
use seeds::{Kind, Seeds, Target, targets};
use shown::shown;

/// Our own exchanges.
pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

/// Cases of each target in `cargo test`.
const CASES: u64 = 3_000;

/// What a delta may grow by beside its event: names, indices, escapes of escapes.
const GROWTH: usize = 16;

/// Ascending places at which so many bytes are cut.
fn cuts(dice: &mut Dice, bytes: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> =
        (0..=dice.below(12)).map(|_| dice.below(bytes.saturating_add(1))).collect();
    cuts.sort_unstable();
    cuts
}

fn name(target: &Target) -> String {
    format!("{} {:?}", target.provider.name, target.kind)
}

/// Decodes a stream cut at these places: what came out until its end or its fault.
fn decode(target: &Target, frames: bool, body: &[u8], cuts: &[usize]) -> (Vec<ChatEvent>, String) {
    let mut decoder = target.wire.decoder(target.provider, frames);
    let mut events = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([body.len()]) {
        if let Err(fault) = decoder.feed(&body[from..cut], &mut events) {
            return (events, fault.to_string());
        }
        from = cut;
    }
    let ended = decoder.end(&mut events);
    (events, ended.map_or_else(|fault| fault.to_string(), |()| String::new()))
}

fn text_of(decoded: (Vec<ChatEvent>, String)) -> String {
    let (events, fault) = decoded;
    format!("{}{fault}", shown(&Ok::<_, DecodeError>(events)))
}

/// What must hold of every stream, however broken.
fn assert_stream(target: &Target, events: &[ChatEvent], body: &[u8]) {
    let place = |wanted: fn(&ChatEvent) -> bool| events.iter().position(wanted);
    let starts = events.iter().filter(|event| matches!(event, ChatEvent::Start { .. })).count();
    assert!(starts <= 1, "{starts} starts");
    if let Some(done) = place(|event| matches!(event, ChatEvent::Done)) {
        let later = &events[done + 1..];
        assert!(later.iter().all(|event| matches!(event, ChatEvent::Frame(_))), "after the end");
    }
    let reports = events.iter().filter_map(|event| match event {
        ChatEvent::Usage(reported) => Some(reported),
        _ => None,
    });
    reports.for_each(|reported| assert_sane(target, reported));
    let written: usize = events
        .iter()
        .map(|event| match event {
            ChatEvent::Delta { delta, logprobs, .. } => {
                serde_json::from_str::<serde::de::IgnoredAny>(delta.get()).expect("JSON");
                delta.get().len() + logprobs.as_ref().map_or(0, |text| text.get().len())
            }
            ChatEvent::Failed { message } => {
                assert!(message.chars().count() <= 1_100, "a long failure");
                message.len()
            }
            ChatEvent::Frame(frame) => frame.data.len() + frame.name.len(),
            _ => 0,
        })
        .sum();
    assert!(written <= 4_096 + GROWTH * body.len(), "{written} bytes from {}", body.len());
}

/// A mutated stream of a target.
fn stream(dice: &mut Dice, target: &Target, seeds: &Seeds) -> Vec<u8> {
    let own = dice.pick(seeds.streams(target.kind)).clone();
    let lender = if dice.one_in(8) { *dice.pick(&Kind::ALL) } else { target.kind };
    let other = dice.pick(seeds.streams(lender)).clone();
    let events = mutate_events(dice, &own, &other);
    match target.kind {
        Kind::Converse => seeds::event_stream(dice, &events),
        Kind::Gemini if dice.one_in(3) => seeds::array(dice, &events),
        _ => sse(dice, &events),
    }
}

#[test]
fn no_stream_breaks_its_decoder_and_every_cut_of_it_gives_the_same() {
    let seeds = Seeds::read();
    let targets = targets();
    run("streams", cases(CASES), |dice| {
        let target = dice.pick(&targets);
        let body = stream(dice, target, &seeds);
        let frames = dice.one_in(2);
        let whole = decode(target, frames, &body, &[]);
        assert_stream(target, &whole.0, &body);
        let expected = text_of(whole);
        let every = (1..body.len()).take(if dice.one_in(4) { 20_000 } else { 0 }).collect();
        for cuts in [cuts(dice, body.len()), cuts(dice, body.len()), every] {
            let got = text_of(decode(target, frames, &body, &cuts));
            assert!(got == expected, "{}: {got}\ninstead of\n{expected}", name(target));
        }
    });
}

#[test]
fn no_whole_answer_breaks_its_decoder() {
    let seeds = Seeds::read();
    let targets = targets();
    run("answers", cases(CASES), |dice| {
        let target = dice.pick(&targets);
        let lender = if dice.one_in(8) { *dice.pick(&Kind::ALL) } else { target.kind };
        let (own, other) = (dice.pick(seeds.wholes(target.kind)), dice.pick(seeds.wholes(lender)));
        let body = mutate_json(dice, own, other);
        let decoded = target.wire.decode(target.provider, &body);
        match &decoded {
            Ok(answer) => {
                answer.reported.iter().for_each(|reported| assert_sane(target, reported));
                let choices = serde_json::Value::from(answer.choices.clone()).to_string();
                assert!(choices.len() <= 4_096 + GROWTH * body.len(), "{}", choices.len());
            }
            Err(DecodeError::Billed { reported, .. }) => assert_sane(target, reported),
            Err(fault) => assert!(fault.to_string().chars().count() <= 1_100, "{fault}"),
        }
        let _ = CountRequest::counted(&body);
    });
}

#[test]
fn no_refusal_breaks_its_reader_and_none_is_free_that_no_row_names() {
    let seeds = Seeds::read();
    let targets = targets();
    // No provider's table names these.
    let unnamed = [300, 301, 302, 307, 406, 410, 418, 425, 451, 505, 520, 522, 530, 599];
    run("refusals", cases(CASES), |dice| {
        let target = dice.pick(&targets);
        let body = match dice.below(8) {
            0 => b"<html><body>502 Bad Gateway</body></html>".to_vec(),
            1 => mutate_bytes(dice, Vec::new()),
            _ => {
                let (own, other) = (dice.pick(&seeds.failures), dice.pick(&seeds.failures));
                mutate_json(dice, own, other)
            }
        };
        let known = u16::try_from(300 + dice.below(300)).unwrap();
        let status = if dice.one_in(2) { *dice.pick(&unnamed) } else { known };
        let failure = target.wire.failure(target.provider, status, &body);
        assert!(failure.message.chars().count() <= 500, "{}", failure.message);
        assert!(!failure.message.contains("0123456789abcdefghij"), "{}", failure.message);
        assert!(failure.code.is_none_or(|code| code.chars().count() <= 500));
        if unnamed.contains(&status) {
            assert_eq!(failure.billing, Billing::Unknown, "{} {status}", name(target));
        }
    });
}

/// The last counts of a stream that ended as the format says.
fn last(events: &[ChatEvent]) -> Option<&Reported> {
    events.iter().rev().find_map(|event| match event {
        ChatEvent::Usage(reported) => Some(reported),
        _ => None,
    })
}

#[test]
fn what_is_too_long_is_refused_in_every_split() {
    let fill = "x".repeat(farebox_providers::sse::EVENT_BYTES_MAX);
    let targets = targets();
    let target = |kind| targets.iter().find(|target| target.kind == kind).unwrap();
    for (kind, body) in [
        (Kind::Chat, format!(": {fill}\n\ndata: {{\"choices\":[]}}\n\n")),
        (Kind::Chat, format!("data: {{\"a\":\"{fill}\"}}\n\n")),
        (Kind::Gemini, format!("[{{\"a\":\"{fill}\"}}]")),
        (Kind::Messages, format!("event: {fill}\ndata: {{}}\n\n")),
    ] {
        let whole = text_of(decode(target(kind), true, body.as_bytes(), &[]));
        assert!(whole.contains("longer than 4194304 bytes"), "{whole}");
        let pieces: Vec<usize> = (1..body.len()).step_by(16_384).collect();
        assert_eq!(text_of(decode(target(kind), true, body.as_bytes(), &pieces)), whole);
    }
}

#[test]
fn our_own_streams_end_with_their_counts() {
    let seeds = Seeds::own();
    for target in targets() {
        let counted = seeds.streams(target.kind).iter().filter(|events| {
            let events: Vec<_> =
                events.iter().map(|(name, data)| (name.clone(), data.clone().into())).collect();
            let body = match target.kind {
                Kind::Converse => seeds::event_stream(&mut Dice::new("plain", 0), &events),
                _ => sse(&mut Dice::new("plain", 1), &events),
            };
            last(&decode(&target, false, &body, &[]).0).is_some()
        });
        let has_streams = !matches!(target.kind, Kind::Embeddings | Kind::CohereEmbed);
        assert!(counted.count() > 0 || !has_streams, "{}: no seed decodes", name(&target));
    }
}
