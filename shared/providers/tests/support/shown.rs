//! What came out of a decoder, as text.

use farebox_core::{ChatEvent, Reported};
use farebox_providers::DecodeError;

/// The same events give the same text.
pub fn shown(events: &Result<Vec<ChatEvent>, DecodeError>) -> String {
    let events = match events {
        Ok(events) => events,
        Err(error) => return format!("{error:?}\n"),
    };
    let mut text = String::new();
    for event in events {
        let line = match event {
            ChatEvent::Start { id, model } => format!("start {id} {model}"),
            ChatEvent::Delta { choice, delta, logprobs: None } => format!("delta {choice} {delta}"),
            ChatEvent::Delta { choice, delta, logprobs: Some(logprobs) } => {
                format!("delta {choice} {delta} logprobs {logprobs}")
            }
            ChatEvent::Finish { choice, reason } => format!("finish {choice} {reason}"),
            ChatEvent::Usage(reported) => usage(reported),
            ChatEvent::Failed { message } => format!("failed {message}"),
            ChatEvent::Frame(frame) => format!("frame {} {}", frame.name, frame.data),
            ChatEvent::Done => "done".to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Only what is there, so that a new count leaves the old lines alone.
fn usage(reported: &Reported) -> String {
    let mut text = "usage".to_owned();
    let counts = serde_json::to_value(reported.usage).unwrap();
    for (name, count) in counts.as_object().unwrap().iter().filter(|(_, count)| **count != 0) {
        text.push_str(&format!(" {name}={count}"));
    }
    if let Some(tier) = &reported.service_tier {
        text.push_str(&format!(" tier={tier}"));
    }
    if let Some(cost) = &reported.cost {
        text.push_str(&format!(" cost={cost}"));
    }
    for field in &reported.unknown_fields {
        text.push_str(&format!(" unknown={field}"));
    }
    for (flag, set) in [("unbilled", reported.unbilled), ("us", reported.us_geography)] {
        text.push_str(&if set { format!(" {flag}") } else { String::new() });
    }
    text
}
