//! Embeddings and legacy completions, as `OpenAI` takes them.
//!
//! Source: `OpenAI`'s `OpenAPI` description (openai/openai-openapi, read 2026-11); those who
//! serve the same paths are rows of [`crate::PROVIDERS`].

use bytes::Bytes;
use farebox_core::chat::Written;
use farebox_core::{ChatCall, Completion, Error, Format, Prompt, prompts};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::bound::{count, within_window};
use super::usage::{self, UsageRules};
use crate::json::{Body, Text};
use crate::{DecodeError, Facts, InputBound, Outbound, Provider, failure};

/// The most bytes into which a normaliser of a vocabulary turns a byte beyond ASCII: NFKC makes
/// 33 of the 3 of U+FDFA, the worst of all characters. ASCII stays as it is.
const NORMALISED_BYTES_MAX: u64 = 11;

/// Marks of beginning and end that a model adds to each text.
const MARKS: u64 = 8;

/// The request of an embedding.
pub(super) fn embeddings(
    provider: &Provider,
    call: &ChatCall,
    facts: &Facts<'_>,
) -> Result<Outbound, Error> {
    let mut ours = Map::new();
    ours.insert("model".to_owned(), Value::from(facts.model));
    ours.extend(super::max_price(provider, facts));
    let prompt_tokens = embedded(provider, call, facts);
    let us_geography = (provider.us_geography)(facts.model);
    let bound = InputBound { prompt_tokens, us_geography, ..Default::default() };
    let caller = (&call.body, call.written(Format::Embeddings));
    outbound("/embeddings", caller, &ours, bound, (0, 1))
}

/// The most tokens of what is to be embedded. A text beyond the window is refused unbilled where
/// the row says so, and each text has a window of its own.
pub(crate) fn embedded(provider: &Provider, call: &ChatCall, facts: &Facts<'_>) -> u64 {
    let window = facts.context_window.filter(|_| provider.window_refused_unbilled);
    let given = call.body.get("input").and_then(prompts).unwrap_or_default();
    let most = given.into_iter().map(|prompt| tokens_of(prompt).min(window.unwrap_or(u64::MAX)));
    most.fold(0, u64::saturating_add)
}

/// The most tokens of one text, whatever the vocabulary and its normaliser.
fn tokens_of(prompt: Prompt<'_>) -> u64 {
    let tokens = match prompt {
        Prompt::Tokens(tokens) => count(tokens),
        Prompt::Text(text) => {
            let ascii = count(text.bytes().filter(u8::is_ascii).count());
            let others = count(text.len()).saturating_sub(ascii);
            ascii.saturating_add(others.saturating_mul(NORMALISED_BYTES_MAX))
        }
    };
    tokens.saturating_add(MARKS)
}

/// The request of a legacy completion: the caller's own but for what Farebox decides.
pub(super) fn completions(
    provider: &Provider,
    call: &ChatCall,
    facts: &Facts<'_>,
    cap: u64,
    stream: bool,
) -> Result<Outbound, Error> {
    let asked = call.original(Format::Completions).ok_or_else(|| {
        Error::malformed("model", "serves only POST /v1/completions: it is no model of chats")
    })?;
    let cap = facts.completion_max.map_or(cap, |most| cap.min(most));
    let mut ours = Map::new();
    ours.insert("model".to_owned(), Value::from(facts.model));
    ours.insert("max_tokens".to_owned(), Value::from(cap));
    ours.extend(super::max_price(provider, facts));
    if stream {
        ours.insert("stream".to_owned(), Value::from(true));
        ours.extend(super::stream_options(provider, call.choices));
    }
    let bytes = count(serde_json::to_vec(asked).map_err(Error::internal)?.len());
    let texts = asked.get("prompt").and_then(prompts).map_or(1, |prompts| count(prompts.len()));
    // Several texts have a window each, so it does not bound them together.
    let marked = bytes.saturating_add(texts.saturating_mul(MARKS));
    let prompt_tokens =
        if texts == 1 { within_window(provider, facts, marked, false)? } else { marked };
    let us_geography = (provider.us_geography)(facts.model);
    let bound = InputBound { prompt_tokens, us_geography, ..Default::default() };
    let caller = (asked, call.written(Format::Completions));
    outbound("/completions", caller, &ours, bound, (cap, call.choices))
}

fn outbound(
    path: &'static str,
    (caller, written): (&Map<String, Value>, &Written),
    farebox: &Map<String, Value>,
    bound: InputBound,
    (cap, choices): (u64, u64),
) -> Result<Outbound, Error> {
    let body = serde_json::to_vec(&Body { caller, written, ours: &super::OURS, farebox });
    let body = Bytes::from(body.map_err(Error::internal)?);
    Ok(Outbound { path: path.into(), headers: Vec::new(), body, bound, cap, choices })
}

#[derive(Deserialize)]
struct Embedded<'a> {
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(default)]
    data: Option<Vec<IgnoredAny>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Reads what an answer says beside its vectors: those are millions of numbers, and the caller
/// gets the very bytes.
pub(super) fn embedding(rules: &UsageRules, body: &[u8]) -> Result<Completion, DecodeError> {
    const EXPECTED: &str = "a list of embeddings";
    let answer: Embedded<'_> =
        serde_json::from_slice(body).map_err(|fault| DecodeError::from_json(EXPECTED, &fault))?;
    if let Some(error) = answer.error {
        return Err(DecodeError::Reported { message: failure::reported(error.get()) });
    }
    answer.data.ok_or(DecodeError::lacking(EXPECTED))?;
    let reported = answer.usage.map_or(Ok(None), |usage| usage::read(usage, rules, None))?;
    let model = Text::or_empty(answer.model.as_ref()).to_owned();
    Ok(Completion { model, reported, ..Completion::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_bounded_by_its_bytes_and_tokens_by_their_number() {
        for (prompt, tokens) in [
            (Prompt::Text("abc"), 3 + MARKS),
            // A ligature that NFKC writes out: 3 bytes become 33.
            (Prompt::Text("\u{fdfa}"), 33 + MARKS),
            (Prompt::Tokens(5), 5 + MARKS),
        ] {
            assert_eq!(tokens_of(prompt), tokens);
        }
    }
}
