//! Decoding in every split, and showing what came out.

use farebox_core::{ChatEvent, Format};
use farebox_providers::{DecodeError, Provider, Wire};

mod shown;
pub use shown::shown;

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
