//! A stream and a whole answer of every provider, at every split, and as a caller of its own format
//! is passed them.

use farebox_core::{ChatEvent, Completion, Format};
use farebox_providers::PROVIDERS;
use serde_json::Value;

use crate::eventstream::event;
use crate::fixtures::{FIXTURES, Fixture};
use crate::support::{byte_at_a_time, decode, provider, shown, wire, with_bom, with_crlf};

#[test]
fn every_row_has_a_stream_and_a_whole_answer_of_its_own() {
    let named = FIXTURES.iter().map(|fixture| fixture.provider);
    let rows = PROVIDERS.iter().map(|row| row.name);

    let without: Vec<_> = rows.filter(|row| !named.clone().any(|name| name == *row)).collect();
    assert!(without.is_empty(), "rows without a fixture: {without:?}");
    assert_eq!(FIXTURES.len(), PROVIDERS.len());
}

#[test]
fn the_exchanges_of_every_provider_decode_at_every_split_to_what_they_tell() {
    for fixture in FIXTURES {
        let (row, model) = (provider(fixture.provider), fixture.model);
        let answer = wire(row, model).decode(row, fixture.whole.trim().as_bytes()).unwrap();
        let (whole, expected) = (answered(&answer), expected(fixture));
        for (place, body) in bodies(fixture).iter().enumerate() {
            let told = |cuts: &[usize]| shown(&decode(row, model, body, cuts)) + &whole;
            assert_eq!(told(&[]), expected, "{}", fixture.provider);
            assert_eq!(told(&byte_at_a_time(body)), expected, "{}", fixture.provider);
            for cut in (1..body.len()).filter(|_| place == 0) {
                assert_eq!(told(&[cut]), expected, "{} cut at {cut}", fixture.provider);
            }
        }
    }
}

#[test]
fn a_stream_of_any_provider_cut_anywhere_reports_no_usage_before_it_is_final() {
    for fixture in FIXTURES {
        let (row, body) = (provider(fixture.provider), &bodies(fixture)[0]);
        let expected = expected(fixture);
        let whole = expected.lines().take_while(|line| !line.starts_with("whole"));
        let last: Vec<&str> = whole.filter(|line| line.starts_with("usage")).collect();
        for length in 0..body.len() {
            let events = decode(row, fixture.model, &body[..length], &[]);
            // A binary stream that ends inside a message says so.
            assert!(events.is_ok() || row.name == "bedrock", "{}: {events:?}", row.name);
            let told = shown(&events);
            let mut usage = told.lines().filter(|line| line.starts_with("usage"));
            assert!(usage.all(|line| last.contains(&line)), "{} at {length}: {told}", row.name);
        }
    }
}

/// What only a departure may change.
const PUT_RIGHT: [&str; 3] = ["delta", "message", "finish_reason"];

#[test]
fn a_caller_of_the_same_format_is_passed_every_field_with_roles_and_ends_once() {
    let mut passed = Vec::new();
    for fixture in FIXTURES {
        let (row, name) = (provider(fixture.provider), fixture.provider);
        let wire = wire(row, fixture.model);
        if !(wire.takes(Format::Chat) && row.faithful.contains(&Format::Chat)) {
            continue;
        }
        let mut events = Vec::new();
        wire.decoder(row, true).feed(fixture.stream.as_bytes(), &mut events).unwrap();
        let frames = events.iter().filter_map(|event| match event {
            ChatEvent::Frame(frame) if frame.data.starts_with('{') => Some(&*frame.data),
            _ => None,
        });
        let frames: Vec<&str> = frames.collect();
        let came: Vec<&str> =
            fixture.stream.lines().filter_map(|line| line.strip_prefix("data: {")).collect();
        assert_eq!(frames.len(), came.len(), "{name}");
        if !row.departs {
            assert!(frames.iter().zip(&came).all(|(told, came)| told[1..] == **came), "{name}");
        }
        let came: Vec<Value> = came.iter().map(|came| read(&format!("{{{came}"))).collect();
        let told: Vec<Value> = frames.iter().map(|told| read(told)).collect();
        assert_eq!(
            told.iter().map(unchanged).collect::<Vec<_>>(),
            came.iter().map(unchanged).collect::<Vec<_>>(),
            "{name}"
        );
        let choices = || told.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
        let roles = choices().filter(|choice| choice["delta"]["role"] == "assistant").count();
        let ends: Vec<_> =
            choices().filter_map(|choice| choice["finish_reason"].as_str()).collect();
        let calls: Vec<_> =
            choices().filter_map(|choice| choice["delta"]["tool_calls"].as_array()).collect();
        let end = if calls.is_empty() { "stop" } else { "tool_calls" };
        assert_eq!((roles, ends), (1, vec![end]), "{name}");
        assert!(calls.into_iter().flatten().all(|call| call["index"].is_u64()), "{name}");

        let came = fixture.whole.trim();
        let told = wire.told(row, bytes::Bytes::from(came));
        let told = read(str::from_utf8(&told).unwrap());
        assert_eq!(unchanged(&told), unchanged(&read(came)), "{name}");
        for choice in told["choices"].as_array().unwrap() {
            let content = &choice["message"]["content"];
            assert!(content.is_string() || content.is_null(), "{name}: {content}");
            assert_ne!(choice["finish_reason"], "eos", "{name}");
        }
        passed.push(name);
    }
    assert_eq!(passed.len(), 18, "{passed:?}");
}

/// What both of its exchanges are decoded to.
fn expected(fixture: &Fixture) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/providers");
    std::fs::read_to_string(format!("{folder}/{}.told", fixture.provider)).unwrap()
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// An answer or a chunk without what may be put right in its choices.
fn unchanged(told: &Value) -> Value {
    let mut rest = told.clone();
    for choice in rest["choices"].as_array_mut().unwrap() {
        let choice = choice.as_object_mut().unwrap();
        PUT_RIGHT.iter().for_each(|field| drop(choice.remove(*field)));
    }
    rest
}

/// The stream as it may come: text in each of its writings, or binary.
fn bodies(fixture: &Fixture) -> Vec<Vec<u8>> {
    let text = fixture.stream.as_bytes();
    if fixture.provider != "bedrock" {
        return vec![text.to_vec(), with_crlf(text), with_bom(text)];
    }
    let events = fixture.stream.split_terminator("\n\n").map(|told| {
        let (name, data) = told.split_once("\ndata: ").unwrap();
        event(name.strip_prefix("event: ").unwrap(), &read(data))
    });
    vec![events.collect::<Vec<_>>().concat()]
}

fn answered(answer: &Completion) -> String {
    let mut text = format!("whole {} {}\n", answer.id, answer.model);
    for choice in &answer.choices {
        text.push_str(&format!("choice {choice}\n"));
    }
    text + &shown(&Ok(answer.reported.iter().cloned().map(ChatEvent::Usage).collect()))
}
