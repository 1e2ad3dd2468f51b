//! Decoding in every split, and showing what came out.

use farebox_core::{ChatEvent, Format, Reported};
use farebox_providers::{DecodeError, Provider, Wire};

/// The provider of this name, and its wire format for a model.
pub fn provider(name: &str) -> &'static Provider {
    farebox_providers::find(name).unwrap_or_else(|| panic!("no provider {name}"))
}

/// Its wire format for a model, where a caller speaks `OpenAI`'s chat; the model `responses` stands
/// for a caller who speaks that.
pub fn wire(provider: &Provider, model: &str) -> &'static dyn Wire {
    let format = if model == "responses" { Format::Responses } else { Format::Chat };
    provider.wire_for(model, format).unwrap()
}

/// Decodes a stream that arrives in pieces cut at `cuts` (ascending places in `body`).
pub fn decode(
    provider: &Provider,
    model: &str,
    body: &[u8],
    cuts: &[usize],
) -> Result<Vec<ChatEvent>, DecodeError> {
    let mut decoder = wire(provider, model).decoder(provider, false);
    let mut events = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([body.len()]) {
        decoder.feed(&body[from..cut], &mut events)?;
        from = cut;
    }
    decoder.end(&mut events)?;
    Ok(events)
}

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

/// Every byte a piece of its own.
pub fn byte_at_a_time(body: &[u8]) -> Vec<usize> {
    (1..body.len()).collect()
}

/// The same stream with each line ended by CR LF.
pub fn with_crlf(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
    text.replace('\n', "\r\n").into_bytes()
}

/// The same stream behind a byte order mark.
pub fn with_bom(body: &[u8]) -> Vec<u8> {
    [b"\xEF\xBB\xBF", body].concat()
}
