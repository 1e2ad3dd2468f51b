//! What each provider bills, as one table: a row for each line of "what the gateway must do" in the
//! two surveys of billing (their sources are cited in the rows), with what Farebox does about it.
//!
//! A line says what follows for the hold, for what is settled, and for what is void. Which of the
//! three it fills stands in [`SURVEYED`], apart from the rows, so a row or a column that gets lost
//! is seen. Each filled column has tests: here, or in another file, where they must be marked as
//! such. What is refused or never sent is shown to be.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use farebox_core::catalog::Catalog;
use farebox_core::pricing::Bound;
use farebox_core::{ChatCall, ChatEvent, Error, Format, Reported};
use farebox_providers::{Billing, Facts, Outbound, find};
use serde_json::{Value, json};

#[path = "billing/anthropic.rs"]
mod anthropic;
#[path = "billing/first_survey.rs"]
mod first_survey;
#[path = "billing/openai.rs"]
mod openai;
#[path = "billing/others.rs"]
mod others;
#[path = "billing/second_survey.rs"]
mod second_survey;

/// What shows that a column holds.
#[derive(Clone, Copy)]
pub enum Shown {
    /// This.
    Here(fn()),
    /// A test of another file, by its path from the workspace and its name.
    By(&'static str, &'static str),
}

/// A line of the surveys.
pub struct Row {
    /// Its survey and its number there.
    pub id: &'static str,
    /// What is billed.
    pub fact: &'static str,
    /// Who says so.
    pub source: &'static str,
    /// What shows that the hold bounds it.
    pub hold: &'static [Shown],
    /// What shows that it is settled as it is billed.
    pub settle: &'static [Shown],
    /// What shows that nothing is charged that is not billed, or that it is where it may be.
    pub void: &'static [Shown],
}

/// A row that fills no column yet.
const fn row(id: &'static str, fact: &'static str, source: &'static str) -> Row {
    Row { id, fact, source, hold: &[], settle: &[], void: &[] }
}

fn rows() -> impl Iterator<Item = &'static Row> {
    first_survey::ROWS.iter().chain(second_survey::ROWS)
}

/// The lines of the surveys in their order, and the columns that each fills: `h`old, `s`ettle,
/// `v`oid.
const SURVEYED: &[(&str, &str)] = &[
    ("anthropic", "hs h h h hsv hs hs hs hsv hs hs sv sv v v sv sv hsv"),
    ("openai", "hs hs hs h hs h hs hs hs h v v v sv s sv hs hv hs"),
    ("azure", "sv v sv hs h"),
    ("bedrock", "sv h h hs hsv v sv"),
    (
        "others",
        "hv hs sv hsv sv hs hs s hsv hs hsv hs hs hs hsv sv hsv hs hsv hsv s hsv hsv s hsv hsv hsv \
         hsv",
    ),
];

const FACTS: Facts<'_> = Facts {
    model: "upstream",
    context_window: Some(200_000),
    completion_max: Some(64_000),
    price: None,
};

fn send(provider: &str, facts: &Facts<'_>, rest: &Value, stream: bool) -> Result<Outbound, Error> {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    let call = ChatCall::from_openai(body.to_string().as_bytes())?;
    let provider = find(provider).unwrap();
    let wire = provider.wire_for(facts.model, Format::Chat)?;
    wire.request(provider, &call, facts, call.cap.unwrap_or(100), stream)
}

fn sent(provider: &str, rest: &Value) -> (Outbound, Value) {
    let outbound = send(provider, &FACTS, rest, false).unwrap();
    let body = serde_json::from_slice(&outbound.body).unwrap();
    (outbound, body)
}

fn refused(provider: &str, rest: &Value) -> Error {
    send(provider, &FACTS, rest, false).unwrap_err()
}

fn billing(provider: &str, status: u16, body: &str) -> Billing {
    let provider = find(provider).unwrap();
    let wire = provider.wire_for("gemini-3-pro", Format::Chat).unwrap();
    wire.failure(provider, status, body.as_bytes()).billing
}

fn reported(provider: &str, body: &Value) -> Reported {
    let provider = find(provider).unwrap();
    let wire = provider.wire_for("m", Format::Chat).unwrap();
    wire.decode(provider, body.to_string().as_bytes()).unwrap().reported.unwrap()
}

fn asked_of_anthropic(rest: &Value) -> Result<Outbound, Error> {
    let mut original = json!({"messages": [{"role": "user", "content": "hi"}]});
    original.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    let messages = json!({"messages": [{"role": "user", "content": "hi"}]});
    let (messages, original) = (messages.as_object().unwrap(), original.as_object().unwrap());
    let call =
        ChatCall::translated(Format::Messages, "m".to_owned(), messages.clone(), original.clone())?;
    let anthropic = find("anthropic").unwrap();
    let wire = anthropic.wire_for("claude", Format::Messages)?;
    wire.request(anthropic, &call, &FACTS, 2_000, false)
}

/// The events of a stream that ends where this text does.
fn streamed(provider: &str, text: &str) -> Vec<ChatEvent> {
    let provider = find(provider).unwrap();
    let wire = provider.wire_for("gemini-3-pro", Format::Chat).unwrap();
    let (mut decoder, mut events) = (wire.decoder(provider, false), Vec::new());
    decoder.feed(text.as_bytes(), &mut events).unwrap();
    decoder.end(&mut events).unwrap();
    events
}

/// What a stream reports in the end.
fn counted(events: &[ChatEvent]) -> Vec<&Reported> {
    fn usage(event: &ChatEvent) -> Option<&Reported> {
        match event {
            ChatEvent::Usage(reported) => Some(reported),
            _ => None,
        }
    }
    events.iter().filter_map(usage).collect()
}

/// What is held for a prompt of so many tokens and one token of answer, by the compiled prices.
fn hold_of(provider: &str, model: &str, bound: Bound) -> i128 {
    let price = Catalog::compiled().find(provider, model).unwrap().price.unwrap();
    price.hold(&Bound { completion_tokens: 1, ..bound }).unwrap().pico()
}

const INVALID: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"m"}}"#;
const OTHER: &str = r#"{"error":{"message":"m","type":"api_error"}}"#;

/// Every line of the surveys: its id and its columns.
fn surveyed() -> Vec<(String, String)> {
    let lines = |(survey, columns): &(&str, &str)| {
        let columns = columns.split_whitespace().enumerate();
        columns
            .map(|(place, columns)| (format!("{survey} {}", place + 1), columns.to_owned()))
            .collect::<Vec<_>>()
    };
    SURVEYED.iter().flat_map(lines).collect()
}

#[test]
fn every_line_of_the_surveys_is_a_row_with_its_columns() {
    let columns = |row: &Row| {
        let filled = [("h", row.hold), ("s", row.settle), ("v", row.void)];
        filled.iter().filter(|(_, shown)| !shown.is_empty()).map(|(name, _)| *name).collect()
    };
    let rows: Vec<(String, String)> = rows().map(|row| (row.id.to_owned(), columns(row))).collect();

    assert_eq!(rows, surveyed());
    assert_eq!(rows.len(), 77, "so many lines have the surveys of 2026-11");
}

#[test]
fn every_fact_about_a_bill_is_shown() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut here, mut elsewhere) = (0, 0);
    for row in rows() {
        assert!(!row.source.is_empty(), "{}: {}", row.id, row.fact);
        println!("{}: {}", row.id, row.fact);
        for shown in [row.hold, row.settle, row.void].into_iter().flatten() {
            match shown {
                Shown::Here(check) => {
                    check();
                    here += 1;
                }
                Shown::By(file, test) => {
                    let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
                    assert!(is_test(&text, test), "{}: no test {test} in {file}", row.id);
                    elsewhere += 1;
                }
            }
        }
    }
    println!("{here} checks here, {elsewhere} by a named test");
}

/// Whether a source has a test of this name that is run.
fn is_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let marks = source[..at].trim_end().lines().rev().map(str::trim);
    let marks: Vec<&str> = marks.take_while(|line| !line.is_empty() && *line != "}").collect();
    marks.iter().any(|line| line.starts_with("#[test") || line.contains("::test"))
        && !marks.iter().any(|line| line.starts_with("#[ignore"))
}
