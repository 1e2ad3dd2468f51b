//! Options of a provider's own that pass to it: what its pages document, and what neither costs
//! anything by itself nor lets a call use more than is held.
//!
//! A row is a field and the tokens that it may add to a prompt. What is not here is refused by
//! name, and these on purpose: whatever runs another model or a search (`plugins`,
//! `search_settings`, `web_search_options`, `enable_search`, `safety_model`), chooses a dearer one
//! (`models`, `route`, `provider`), generates more than the cap counts (`best_of`,
//! `use_beam_search`, `echo`, `prompt_logprobs`, `return_related_questions`, `return_images`), or
//! brings a prompt of its own (`documents`, `chat_template`). Doubt is no.

type Passes = &'static [(&'static str, u64)];

/// What `OpenAI`'s own chat completions do not know (openai/openai-openapi,
/// `CreateChatCompletionRequest`, read 2026-11): a 400, which Azure bills.
pub(super) const NOT_OPENAIS: &[&str] = &["top_k", "min_p", "repetition_penalty"];

/// Five times what is recorded of a prompt that nobody asked for (2026-08).
pub(super) const PREAMBLE: u64 = 1_024;

/// A system prompt of the provider's own, of a few hundred words at most.
const PROMPT: u64 = 1_024;

/// docs.mistral.ai/api, chat completions: `safe_prompt` and `prompt_mode` put a prompt before the
/// caller's.
pub(super) const MISTRAL: Passes =
    &[("safe_prompt", PROMPT), ("prompt_mode", PROMPT), ("random_seed", 0)];

/// console.groq.com/docs/api-reference, chat completions. The tokens of hidden reasoning are
/// billed as those of shown, inside the cap.
pub(super) const GROQ: Passes = &[
    ("reasoning_format", 0),
    ("include_reasoning", 0),
    ("disable_tool_validation", 0),
    ("citation_options", 0),
];

/// api-docs.deepseek.com/guides/thinking_mode: on where nothing is said, inside the cap.
pub(super) const DEEPSEEK: Passes = &[("thinking", 0)];

/// openrouter.ai/docs, parameters, message transforms, and reasoning tokens (which are completion
/// tokens, inside `max_tokens`). A transform takes from a prompt and adds nothing.
pub(super) const OPENROUTER: Passes =
    &[("transforms", 0), ("reasoning", 0), ("include_reasoning", 0), ("top_a", 0)];

/// docs.perplexity.ai, Sonar: filters of a search that runs anyway, or does not.
pub(super) const PERPLEXITY: Passes = &[
    ("search_domain_filter", 0),
    ("search_recency_filter", 0),
    ("search_after_date_filter", 0),
    ("search_before_date_filter", 0),
    ("last_updated_after_filter", 0),
    ("last_updated_before_filter", 0),
    ("disable_search", 0),
    ("enable_search_classifier", 0),
];

/// inference-docs.cerebras.ai/capabilities/reasoning.
pub(super) const CEREBRAS: Passes = &[("reasoning_format", 0), ("disable_reasoning", 0)];

/// docs.together.ai, chat completions: what happens to a prompt that is too long; a template's
/// switches, such as whether a model thinks.
pub(super) const TOGETHER: Passes =
    &[("context_length_exceeded_behavior", 0), ("chat_template_kwargs", PROMPT)];

/// docs.fireworks.ai, chat completions.
pub(super) const FIREWORKS: Passes = &[
    ("context_length_exceeded_behavior", 0),
    ("reasoning_history", 0),
    ("prompt_cache_isolation_key", 0),
];

/// platform.moonshot.ai/docs, Kimi: on where nothing is said, inside the cap.
pub(super) const MOONSHOT: Passes = &[("thinking", 0)];

/// Model Studio's pages of deep thinking. The row holds the whole window.
pub(super) const ALIBABA: Passes = &[("enable_thinking", 0), ("thinking_budget", 0)];

/// ollama/ollama, openai/openai.go: `options` of its own API is not read there.
pub(super) const OLLAMA: Passes = &[("reasoning", 0)];

/// docs.vllm.ai, OpenAI-compatible server, extra parameters; `gpustack` runs it, or llama.cpp.
pub(super) const VLLM: Passes = &[
    ("chat_template_kwargs", PROMPT),
    ("include_reasoning", 0),
    ("structured_outputs", 0),
    ("guided_json", 0),
    ("guided_regex", 0),
    ("guided_choice", 0),
    ("guided_grammar", 0),
    ("min_tokens", 0),
    ("ignore_eos", 0),
    ("bad_words", 0),
    ("allowed_token_ids", 0),
    ("stop_token_ids", 0),
    ("include_stop_str_in_output", 0),
    ("skip_special_tokens", 0),
    ("spaces_between_special_tokens", 0),
    ("length_penalty", 0),
    ("truncate_prompt_tokens", 0),
    ("priority", 0),
];
