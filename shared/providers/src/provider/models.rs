//! What hangs on a model's name in the rows of providers.

/// What bounds the completion of one choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The cap that is sent: it holds reasoning too.
    Cap,
    /// The model's own maximum: whether the cap holds reasoning is not known.
    ModelMaximum,
    /// The context window: the cap does not hold reasoning.
    Window,
}

/// How a provider takes back what a model thought in an earlier turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thoughts {
    /// Not: it refuses them, or its pages say nothing of them.
    Dropped,
    /// As a text in this field of the model's message.
    In(&'static str),
    /// As parts of the message's content, before what was said.
    Parts,
}

pub(super) const fn to_cap(_: &str) -> Reach {
    Reach::Cap
}

pub(super) const fn dropped(_: &str) -> Thoughts {
    Thoughts::Dropped
}

pub(super) const fn in_reasoning_content(_: &str) -> Thoughts {
    Thoughts::In("reasoning_content")
}

pub(super) const fn in_reasoning(_: &str) -> Thoughts {
    Thoughts::In("reasoning")
}

/// docs.mistral.ai/capabilities/reasoning: the parts as they came. Whether models that do not think
/// take them, no page says.
pub(super) fn in_parts_of_magistral(model: &str) -> Thoughts {
    if model.contains("magistral") { Thoughts::Parts } else { Thoughts::Dropped }
}

/// console.groq.com/docs/changelog: `reasoning` of an assistant's message "is only usable with Qwen
/// 3 models".
pub(super) fn in_reasoning_of_qwen(model: &str) -> Thoughts {
    if model.contains("qwen") { Thoughts::In("reasoning") } else { Thoughts::Dropped }
}

pub(super) const fn nowhere(_: &str, _: &str) -> Option<bool> {
    None
}

pub(super) const fn never(_: &str) -> bool {
    false
}

/// Every model.
pub(super) const fn always(_: &str) -> bool {
    true
}

/// `OpenAI`'s models that a region makes a tenth dearer: "released on or after March 5, 2026"
/// (developers.openai.com/api/docs/guides/your-data, read 2026-06). Those before are listed, so
/// that a new one is taken for dearer.
pub(super) fn openai_with_regions(model: &str) -> bool {
    const BEFORE: [&str; 14] = [
        "gpt-3",
        "gpt-4",
        "chatgpt",
        "o1",
        "o3",
        "o4",
        "gpt-5-",
        "gpt-5.1",
        "gpt-5.2",
        "gpt-5.3",
        "codex-",
        "text-embedding-",
        "davinci-",
        "babbage-",
    ];
    model != "gpt-5" && !BEFORE.iter().any(|before| model.starts_with(before))
}

/// A region of `OpenAI`'s has a host of its own, such as `eu.api.openai.com`. Where another host
/// leads, nobody knows.
pub(super) fn openai_region(model: &str, base_url: &str) -> Option<bool> {
    match host(base_url) {
        "api.openai.com" => Some(false),
        host if host.ends_with(".api.openai.com") => Some(openai_with_regions(model)),
        _ => None,
    }
}

/// "US endpoint" (docs.x.ai/docs/pricing, read 2026-09-29).
pub(super) fn xai_region(_: &str, base_url: &str) -> Option<bool> {
    match host(base_url) {
        "api.x.ai" => Some(false),
        "us.api.x.ai" => Some(true),
        _ => None,
    }
}

fn host(base_url: &str) -> &str {
    let rest = base_url.strip_prefix("https://").unwrap_or_default();
    rest.split(['/', ':']).next().unwrap_or_default()
}

/// "The limit is only applied to the main content and not to the reasoning content or function
/// calls" (xai-org/xai-proto, chat.proto).
pub(super) const fn to_window(_: &str) -> Reach {
    Reach::Window
}

pub(super) const fn to_model_maximum(_: &str) -> Reach {
    Reach::ModelMaximum
}

/// Measured on Gemini 2.5 and 3.x only: the cap holds thoughts and text together
/// (googleapis/python-genai #2062, #782, #811).
pub(super) fn to_cap_where_measured(model: &str) -> Reach {
    let measured = ["gemini-2", "gemini-3"].iter().any(|family| model.starts_with(family));
    if measured { Reach::Cap } else { Reach::ModelMaximum }
}

pub(super) const fn bounded(_: &str) -> bool {
    false
}

/// Groq's compound systems call several models and up to ten tools.
pub(super) fn compound(model: &str) -> bool {
    model.contains("compound")
}

/// `OpenRouter`'s suffixes and routers that add a paid search or choose the model themselves.
pub(super) fn routed(model: &str) -> bool {
    model.starts_with("openrouter/")
        || [":online", ":nitro"].iter().any(|suffix| model.contains(suffix))
}

/// Perplexity's deep research runs as many searches as it likes.
pub(super) fn research(model: &str) -> bool {
    model.contains("deep-research")
}
