//! What each provider bills, as one table: a row for each line of "what the gateway must do" in the
//! two surveys of billing (their sources are cited in the rows), with what Farebox does about it.
//!
//! A row is checked here, or names the test that checks it (and that test must exist), or says why
//! it cannot be checked: a feature that is refused or not served has nothing to bill.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use farebox_core::{ChatCall, Error, Format, Reported};
use farebox_providers::{Billing, Facts, Outbound, find};
use serde_json::{Value, json};

#[path = "billing/anthropic.rs"]
mod anthropic;
#[path = "billing/openai.rs"]
mod openai;
#[path = "billing/others.rs"]
mod others;
#[path = "billing/table.rs"]
mod table;

use table::ROWS;

/// What shows that a row holds.
pub enum Shown {
    /// This.
    Here(fn()),
    /// A test of another file, by its path from the workspace and its name.
    By(&'static str, &'static str),
    /// Nothing can here, and why.
    Not(&'static str),
}

/// Whose, what is billed, the source, and what shows that Farebox does what follows.
pub type Row = (&'static str, &'static str, &'static str, Shown);

const FACTS: Facts<'_> =
    Facts { model: "upstream", context_window: Some(200_000), completion_max: Some(64_000) };

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

const INVALID: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"m"}}"#;
const OTHER: &str = r#"{"error":{"message":"m","type":"api_error"}}"#;

#[test]
fn every_fact_about_a_bill_is_shown_or_says_why_not() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut here, mut elsewhere, mut not) = (0, 0, 0);
    for (provider, fact, source, shown) in ROWS {
        assert!(!source.is_empty(), "{provider}: {fact}");
        match shown {
            Shown::Here(check) => {
                println!("{provider}: {fact}");
                check();
                here += 1;
            }
            Shown::By(file, test) => {
                let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
                assert!(
                    text.contains(&format!("fn {test}()")),
                    "{provider}: {fact}: {file} {test}"
                );
                elsewhere += 1;
            }
            Shown::Not(why) => {
                assert!(!why.is_empty());
                not += 1;
            }
        }
    }
    println!("{here} facts checked here, {elsewhere} by a named test, {not} with a reason");
}
