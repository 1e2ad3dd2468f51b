//! The most that a prompt can use, from the bytes that are sent.

use farebox_core::{CacheWrite, Error, Media};
use serde_json::{Map, Value};

use crate::media::{self, Image};
use crate::provider::Reach;
use crate::{Facts, InputBound, Provider};

/// Bytes bound tokens: byte-level vocabularies cover at least one byte a token, and JSON syntax
/// outweighs the framing of messages. Tools and response schemas are rendered anew inside the
/// prompt, perhaps more widely than they were sent, so their bytes count twice; what introduces
/// them there no byte stands for.
pub(super) fn prompt(
    provider: &Provider,
    asked: &Map<String, Value>,
    media: Media,
    facts: &Facts<'_>,
    mut bytes: u64,
) -> Result<InputBound, Error> {
    for field in ["tools", "response_format"] {
        if let Some(value) = asked.get(field) {
            let rendered = json_bytes(value)?.saturating_add(provider.tool_preamble);
            bytes = bytes.saturating_add(rendered);
        }
    }
    let messages = asked.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let spoken = messages.iter().any(|message| message.get("audio").is_some_and(is_given));
    let audio = media.audio || spoken;
    let images = media.images;
    let prompt_tokens = with_media(provider, facts, bytes, messages, Media { images, audio })?;
    Ok(InputBound {
        prompt_tokens,
        media: images || audio,
        cache_write: asked_cache_write(asked)?,
        audio,
        us_geography: (provider.us_geography)(facts.model),
        ..InputBound::default()
    })
}

fn is_given(value: &Value) -> bool {
    !value.is_null()
}

/// The bound of a prompt that may carry media: by their own maxima where each has one, else by the
/// context window.
pub(crate) fn with_media(
    provider: &Provider,
    facts: &Facts<'_>,
    bytes: u64,
    messages: &[Value],
    media: Media,
) -> Result<u64, Error> {
    let images = if media.images { media::of_messages(messages) } else { Some(Vec::new()) };
    let other = media.audio || images.is_none();
    with_images(provider, facts, bytes, &images.unwrap_or_default(), other)
}

/// The bound with images: each at the most that its size comes to, where the provider states it and
/// nothing else is there that can fill the window.
pub(crate) fn with_images(
    provider: &Provider,
    facts: &Facts<'_>,
    bytes: u64,
    images: &[Image],
    other: bool,
) -> Result<u64, Error> {
    match media::together(provider.image, facts.model, images).filter(|_| !other) {
        Some((tokens, data)) => {
            let tokens = bytes.saturating_sub(data).saturating_add(tokens);
            within_window(provider, facts, tokens, false)
        }
        None => within_window(provider, facts, bytes, true),
    }
}

/// The bound of the prompt with the context window taken into account.
pub(crate) fn within_window(
    provider: &Provider,
    facts: &Facts<'_>,
    bytes: u64,
    media: bool,
) -> Result<u64, Error> {
    match facts.context_window {
        // Media behind a few bytes, such as a URL, can fill the whole window.
        None if media => Err(unknown_window("messages")),
        Some(window) if media && provider.window_refused_unbilled => Ok(window),
        Some(window) if media => Ok(window.max(bytes)),
        Some(window) if provider.window_refused_unbilled => Ok(bytes.min(window)),
        _ => Ok(bytes),
    }
}

/// The most completion tokens of one choice.
pub(crate) fn completion(reach: Reach, facts: &Facts<'_>, sent: u64) -> Result<u64, Error> {
    let most = match reach {
        Reach::Cap => return Ok(sent),
        Reach::ModelMaximum => facts.completion_max.or(facts.context_window),
        Reach::Window => facts.context_window,
    };
    Ok(most.ok_or_else(|| unknown_window("model"))?.max(sent))
}

/// The refusal where only the context window could bound the call.
fn unknown_window(field: &str) -> Error {
    Error::UnboundedCall {
        field: field.to_owned(),
        hint: "Only the model's context window could bound it, and the catalogue does not know \
               it."
        .to_owned(),
    }
}

/// How many bytes a value takes as JSON.
pub(crate) fn json_bytes(value: &Value) -> Result<u64, Error> {
    Ok(count(serde_json::to_vec(value).map_err(Error::internal)?.len()))
}

pub(crate) fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The dearest cache write that a `cache_control` in messages or tools asks for.
pub(crate) fn asked_cache_write(body: &Map<String, Value>) -> Result<CacheWrite, Error> {
    let mut asked = CacheWrite::None;
    let messages = body.get("messages").and_then(Value::as_array);
    for (place, message) in messages.into_iter().flatten().enumerate() {
        let field = format!("messages[{place}]");
        asked = asked.max(of_one(&field, message)?);
        let parts = message.get("content").and_then(Value::as_array);
        for (place, part) in parts.into_iter().flatten().enumerate() {
            asked = asked.max(of_one(&format!("{field}.content[{place}]"), part)?);
        }
    }
    let tools = body.get("tools").and_then(Value::as_array);
    for (place, tool) in tools.into_iter().flatten().enumerate() {
        let field = format!("tools[{place}]");
        asked = asked.max(of_one(&field, tool)?);
        let function = tool.get("function").unwrap_or(&Value::Null);
        asked = asked.max(of_one(&format!("{field}.function"), function)?);
    }
    Ok(asked)
}

fn of_one(field: &str, carrier: &Value) -> Result<CacheWrite, Error> {
    let control = match carrier.get("cache_control") {
        None | Some(Value::Null) => return Ok(CacheWrite::None),
        Some(control) => control,
    };
    let kind = control.get("type").and_then(Value::as_str);
    let ttl = control.get("ttl").filter(|ttl| !ttl.is_null());
    match (kind, ttl.map(Value::as_str)) {
        (Some("ephemeral"), None | Some(Some("5m"))) => Ok(CacheWrite::FiveMinutes),
        (Some("ephemeral"), Some(Some("1h"))) => Ok(CacheWrite::OneHour),
        _ => {
            let rule = "must be {\"type\": \"ephemeral\"}, with a ttl of \"5m\" or \"1h\" if any";
            Err(Error::malformed(format!("{field}.cache_control"), rule))
        }
    }
}
