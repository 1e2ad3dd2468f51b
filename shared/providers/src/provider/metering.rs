//! Which calls may be metered (mode balanced): their stream shows every completion token that is
//! billed, and what is billed ends when its reader does. Doubt is no.
//!
//! Who stops, only one page says of many: `OpenRouter`'s list of the providers at which closing a
//! stream stops processing and billing (openrouter.ai/docs, `api_reference/streaming`, read
//! 2026-08). It names `OpenAI`, Anthropic, xAI, `DeepSeek`, Cohere, Together and Fireworks. What
//! was generated and not sent when it ended is billed, by how much nobody says.
//!
//! Not metered, because they bill the whole answer whoever has gone (the same page): Google
//! (Gemini, Vertex), Bedrock (BerriAI/litellm#34147, #36008), Groq, Mistral, Perplexity and
//! Alibaba. Of Cerebras and Moonshot no page says either. `OpenRouter` itself chooses the upstream
//! when the call comes. Azure says nothing, and its filter holds text back before it is sent.
//! `custom` may be anything, and `gpustack` may run llama.cpp, which is reported to generate on
//! (ggml-org/llama.cpp#11720, #24496).

use farebox_core::chat::Thinking;
use farebox_core::{ChatCall, Format};
use serde_json::Value;

pub(in crate::provider) const fn never(_: &str, _: &ChatCall) -> bool {
    false
}

/// The demo provider's models, but for those that think unseen, and Claude's as Anthropic's own.
pub(in crate::provider) fn openly(model: &str, call: &ChatCall) -> bool {
    !model.starts_with("codex") && (!model.starts_with("claude") || !asks_to_think(call))
}

/// `OpenAI`'s chat models without reasoning or a search of their own: what they bill as
/// completion is what they stream. "To cancel a synchronous response, terminate the connection"
/// (platform.openai.com, guides/background).
pub(in crate::provider) fn openai_without_reasoning(model: &str, _: &ChatCall) -> bool {
    const FAMILIES: [&str; 5] =
        ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano"];
    // A snapshot is a family and a date; every other suffix is another model.
    FAMILIES.contains(&undated(model))
}

/// Claude where it does not think: thoughts are billed in full, and shown in part or not at all.
/// The models before 4.6 think where the request says so; later ones unless it says that they do
/// not (platform.claude.com/docs, build-with-claude/adaptive-thinking, read 2026-08).
pub(in crate::provider) fn claude_without_thoughts(model: &str, call: &ChatCall) -> bool {
    const ASKED: [&str; 7] = [
        "claude-3-",
        "claude-opus-4-0",
        "claude-opus-4-1",
        "claude-opus-4-5",
        "claude-sonnet-4-0",
        "claude-sonnet-4-5",
        "claude-haiku-4-5",
    ];
    const FIRST: [&str; 2] = ["claude-opus-4-20250514", "claude-sonnet-4-20250514"];
    let thinks_when_asked =
        FIRST.contains(&model) || ASKED.iter().any(|family| model.starts_with(family));
    match thinking(call) {
        Some(thinking) => thinking == "disabled",
        None => thinks_when_asked,
    }
}

/// What a call says of thinking, in Anthropic's words.
fn thinking(call: &ChatCall) -> Option<&str> {
    let is_given = |value: &&Value| !value.is_null();
    match call.original(Format::Messages) {
        Some(asked) => {
            let thinking = asked.get("thinking").filter(is_given)?;
            Some(thinking.get("type").and_then(Value::as_str).unwrap_or_default())
        }
        None => match (call.effort(), call.thinking) {
            (Some("none"), _) => Some("disabled"),
            // Which of them turns it on hangs on the model: see `anthropic::thinking`.
            (Some(_), _) | (None, Thinking::Free) => Some("enabled"),
            (None, _) => None,
        },
    }
}

fn asks_to_think(call: &ChatCall) -> bool {
    thinking(call).is_some_and(|thinking| thinking != "disabled")
}

/// xAI's models that do not reason, or not unseen. Grok 4 and later reason where their name does
/// not say otherwise.
pub(in crate::provider) fn grok_without_reasoning(model: &str, _: &ChatCall) -> bool {
    let early = ["grok-2", "grok-3"].iter().any(|family| model.starts_with(family));
    model.contains("non-reasoning") || early && !model.starts_with("grok-3-mini")
}

/// Its thoughts are in `completion_tokens`, and streamed in full as `reasoning_content`
/// (api-docs.deepseek.com, `create-chat-completion`, `thinking_mode`).
pub(in crate::provider) fn deepseek(_: &str, call: &ChatCall) -> bool {
    is_chat(call)
}

/// Cohere's models without thoughts: others think unless they are told not to.
pub(in crate::provider) fn command_without_thoughts(model: &str, _: &ChatCall) -> bool {
    let plain = ["command-r-", "command-r7b-", "command-a-03-2025", "c4ai-aya-"];
    model == "command-r" || plain.iter().any(|family| model.starts_with(family))
}

/// Open models that were taught to answer and not to think, wherever they run: whether a host
/// streams every thought of the others, no page says.
pub(in crate::provider) fn instructed(model: &str, call: &ChatCall) -> bool {
    let model = model.to_ascii_lowercase();
    let thinks = ["thinking", "reason", "-r1"].iter().any(|word| model.contains(word));
    model.contains("instruct") && !thinks && is_chat(call)
}

/// A request whose reader leaves is aborted in the engine (vLLM,
/// `chat_completion_stream_generator`), and thoughts are streamed unless the caller does not want
/// them.
pub(in crate::provider) fn vllm(_: &str, call: &ChatCall) -> bool {
    is_chat(call) && !call.body.contains_key("include_reasoning")
}

/// "If you abort the request Ollama will stop generation" (ollama/ollama#2876, #1695). Its models
/// in the cloud are somebody else's.
pub(in crate::provider) fn ollama(model: &str, call: &ChatCall) -> bool {
    is_chat(call) && !model.ends_with("cloud")
}

/// A legacy completion may generate texts that are thrown away (`best_of`).
const fn is_chat(call: &ChatCall) -> bool {
    !matches!(call.format, Format::Completions | Format::Embeddings)
}

/// Bytes of `-2024-08-06`.
const DATE_BYTES: usize = 11;

/// A model's name without the date of its version.
fn undated(model: &str) -> &str {
    match model.len().checked_sub(DATE_BYTES).and_then(|at| model.split_at_checked(at)) {
        Some((family, date)) if is_date(date) => family,
        _ => model,
    }
}

fn is_date(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        0 | 5 | 8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{PROVIDERS, find};

    fn chat(body: Value) -> ChatCall {
        let Value::Object(body) = body else { return ChatCall::default() };
        ChatCall { body, ..ChatCall::default() }
    }

    fn messages(body: &Value) -> ChatCall {
        let original = body.as_object().cloned();
        ChatCall { format: Format::Messages, original, ..ChatCall::default() }
    }

    #[test]
    fn a_call_is_metered_only_where_nothing_is_billed_unseen_and_leaving_ends_it() {
        let thinking = |kind: &str| messages(&json!({"thinking": {"type": kind}}));
        for (model, call, metered) in [
            ("openai/gpt-4.1-mini-2025-04-14", chat(json!({})), true),
            ("openai/gpt-4.1-mini-tuned", chat(json!({})), false),
            ("openai/gpt-5.2", chat(json!({})), false),
            ("anthropic/claude-sonnet-4-5-20250929", chat(json!({})), true),
            ("anthropic/claude-haiku-4-5", messages(&json!({"thinking": null})), true),
            ("anthropic/claude-haiku-4-5", thinking("enabled"), false),
            ("anthropic/claude-haiku-4-5", chat(json!({"reasoning_effort": "low"})), false),
            ("anthropic/claude-haiku-4-5", chat(json!({"reasoning_effort": "none"})), true),
            // Thinking is on where nothing is said.
            ("anthropic/claude-sonnet-5", chat(json!({})), false),
            ("anthropic/claude-opus-4-6", messages(&json!({})), false),
            ("anthropic/claude-opus-4-6", thinking("adaptive"), false),
            ("anthropic/claude-opus-4-6", thinking("disabled"), true),
            ("anthropic/claude-sonnet-5", chat(json!({"reasoning_effort": "none"})), true),
            ("xai/grok-4-fast-non-reasoning", chat(json!({})), true),
            ("xai/grok-3", chat(json!({})), true),
            ("xai/grok-3-mini", chat(json!({})), false),
            ("xai/grok-4.3", chat(json!({})), false),
            ("deepseek/deepseek-chat", chat(json!({})), true),
            ("cohere/command-a-03-2025", chat(json!({})), true),
            ("cohere/command-a-reasoning-08-2025", chat(json!({})), false),
            ("together/meta-llama/Llama-3.3-70B-Instruct-Turbo", chat(json!({})), true),
            ("together/Qwen/Qwen3-235B-A22B-Thinking-2507", chat(json!({})), false),
            ("fireworks/accounts/fireworks/models/kimi-k2-instruct", chat(json!({})), true),
            ("fireworks/accounts/fireworks/models/deepseek-r1", chat(json!({})), false),
            ("vllm/any", chat(json!({})), true),
            ("vllm/any", chat(json!({"include_reasoning": false})), false),
            ("ollama/qwen3", chat(json!({})), true),
            ("ollama/gpt-oss:120b-cloud", chat(json!({})), false),
            ("demo/claude", thinking("enabled"), false),
        ] {
            let (provider, model) = model.split_once('/').unwrap();
            assert_eq!((find(provider).unwrap().metered)(model, &call), metered, "{model}");
        }
        let text = ChatCall { format: Format::Completions, ..ChatCall::default() };
        for provider in ["together", "fireworks", "vllm", "ollama"] {
            assert!(!(find(provider).unwrap().metered)("m-instruct", &text), "{provider}: best_of");
        }
    }

    /// The table of docs/money.md, which tells operators what balanced is worth to them.
    #[test]
    fn the_page_tells_of_each_provider_whether_its_streams_are_metered() {
        const PAGE: &str = include_str!("../../../../docs/money.md");
        let models = [
            "gpt-4.1",
            "claude-haiku-4-5",
            "grok-3",
            "command-a-03-2025",
            "m-instruct",
            "gemini-2.5-flash",
        ];
        for provider in PROVIDERS {
            let any = models.iter().any(|model| (provider.metered)(model, &ChatCall::default()));
            let said = if any { "yes" } else { "no" };
            let row = PAGE.lines().any(|line| {
                let mut cells = line.split('|').map(str::trim);
                let names = cells.nth(1).unwrap_or_default();
                let is_named = names.split(", ").any(|name| name == format!("`{}`", provider.name));
                is_named && cells.next() == Some(said)
            });
            assert!(row, "docs/money.md: `{}` is metered: {said}", provider.name);
        }
    }
}
