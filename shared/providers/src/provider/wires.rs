//! Which wire format a provider is called in, by the model and the caller's format.

use farebox_core::Format;

use crate::Wire;
use crate::anthropic::ANTHROPIC;
use crate::bedrock::CONVERSE;
use crate::cohere::{COHERE, COHERE_EMBED};
use crate::gemini::{GEMINI, VERTEX};
use crate::openai::{
    COMPLETIONS, COMPLETIONS_WITH_API_KEY, EMBEDDINGS, EMBEDDINGS_WITH_API_KEY, OPENAI,
    OPENAI_WITH_API_KEY,
};
use crate::responses::{RESPONSES, RESPONSES_OF_XAI, RESPONSES_WITH_API_KEY};

/// Whether a call of this format can be a chat: a legacy completion of one text is one message.
const fn is_chat(format: Format) -> bool {
    !matches!(format, Format::Embeddings)
}

fn chat(wire: &'static dyn Wire, format: Format) -> Option<&'static dyn Wire> {
    is_chat(format).then_some(wire)
}

pub(super) fn openai(_: &str, format: Format) -> Option<&'static dyn Wire> {
    chat(&OPENAI, format)
}

/// Those who serve embeddings too.
pub(super) fn with_embeddings(model: &str, format: Format) -> Option<&'static dyn Wire> {
    if format == Format::Embeddings { Some(&EMBEDDINGS) } else { openai(model, format) }
}

/// Those who serve every model also by legacy completions.
pub(super) fn with_texts(model: &str, format: Format) -> Option<&'static dyn Wire> {
    if format == Format::Completions { Some(&COMPLETIONS) } else { with_embeddings(model, format) }
}

/// `OpenAI` serves by legacy completions only the models that are no models of chats, and by the
/// Responses API whoever speaks it, and the models that have nothing else.
pub(super) fn openais_own(model: &str, format: Format) -> Option<&'static dyn Wire> {
    match format {
        _ if wants_responses(model, format) => Some(&RESPONSES),
        format if is_instruct(model) => with_texts(model, format),
        format => with_embeddings(model, format),
    }
}

fn is_instruct(model: &str) -> bool {
    model.contains("-instruct") || ["babbage-", "davinci-"].iter().any(|name| model.contains(name))
}

pub(super) fn azure(model: &str, format: Format) -> Option<&'static dyn Wire> {
    match format {
        Format::Embeddings => Some(&EMBEDDINGS_WITH_API_KEY),
        Format::Completions if is_instruct(model) => Some(&COMPLETIONS_WITH_API_KEY),
        format if wants_responses(model, format) => Some(&RESPONSES_WITH_API_KEY),
        format => chat(&OPENAI_WITH_API_KEY, format),
    }
}

pub(super) fn xai(model: &str, format: Format) -> Option<&'static dyn Wire> {
    if format == Format::Responses { Some(&RESPONSES_OF_XAI) } else { openai(model, format) }
}

fn wants_responses(model: &str, format: Format) -> bool {
    format == Format::Responses || (is_chat(format) && has_only_responses(model))
}

/// `OpenAI`'s models that chat completions refuse: "available in the Responses API only"
/// (developers.openai.com/api/docs/models, the pages of gpt-5-codex, gpt-5-pro and o1-pro, read
/// 2026-06). Their suffixes stand before a snapshot's date.
fn has_only_responses(model: &str) -> bool {
    let of_openai = ["gpt-5", "gpt-6", "o1-", "o3-", "codex-"].iter();
    of_openai.clone().any(|family| model.starts_with(family))
        && model.split('-').any(|part| matches!(part, "codex" | "pro"))
}

pub(super) fn anthropic(_: &str, format: Format) -> Option<&'static dyn Wire> {
    chat(&ANTHROPIC, format)
}

pub(super) fn gemini(_: &str, format: Format) -> Option<&'static dyn Wire> {
    chat(&GEMINI, format)
}

/// Vertex serves models of others in their own formats, which are not spoken here.
pub(super) fn vertex(model: &str, format: Format) -> Option<&'static dyn Wire> {
    if model.starts_with("gemini") { chat(&VERTEX, format) } else { None }
}

/// Every format of the demo provider's own, by the model's name.
pub(super) fn demo(model: &str, format: Format) -> Option<&'static dyn Wire> {
    match format {
        format if model.starts_with("claude") => anthropic(model, format),
        format if model.starts_with("gemini") => gemini(model, format),
        Format::Responses => Some(&RESPONSES),
        format if model.starts_with("codex") && is_chat(format) => Some(&RESPONSES),
        format => openais_own(model, format),
    }
}

pub(super) fn bedrock(_: &str, format: Format) -> Option<&'static dyn Wire> {
    chat(&CONVERSE, format)
}

pub(super) fn cohere(_: &str, format: Format) -> Option<&'static dyn Wire> {
    if format == Format::Embeddings { Some(&COHERE_EMBED) } else { chat(&COHERE, format) }
}
