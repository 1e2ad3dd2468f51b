//! What the rows of `OpenAI`'s format take for true, with its source, or the doubt where nobody
//! says it. Surveyed 2026-06…11.
//!
//! Two doubts are of all of them. No page states that a prompt beyond the
//! window is refused without a bill (`window_refused_unbilled`): a provider that cut it instead
//! would bill a window at most, which is what is held. And only Google and `OpenRouter` publish
//! what a failed call costs ([`crate::failure`]).

/// What a row takes for true of one provider.
pub struct Doubts {
    /// The row.
    pub provider: &'static str,
    /// That the cap holds reasoning too (`reach`).
    pub reach: &'static str,
    /// How the usage of a stream is had (`include_usage`).
    pub usage: &'static str,
    /// The field that caps the completion (`cap_field`).
    pub cap: &'static str,
}

/// One of each row that speaks `OpenAI`'s chat completions and is not `OpenAI`'s own. A doubt
/// begins with the word.
pub const DOUBTS: &[Doubts] = &[
    Doubts {
        provider: "xai",
        reach: "the window is held: the cap leaves reasoning out (xai-org/xai-proto, chat.proto)",
        usage: "recorded",
        cap: "doubt: max_tokens is deprecated for max_completion_tokens, and was taken when \
              recorded",
    },
    Doubts {
        provider: "deepseek",
        reach: "api-docs.deepseek.com, create-chat-completion",
        usage: "recorded; with the option or without (deepseek-harness)",
        cap: "api-docs.deepseek.com, create-chat-completion",
    },
    Doubts {
        provider: "mistral",
        reach: "openapi.yaml: in completion_tokens and max_tokens; doubt: it has no count of its \
                own",
        usage: "known-limitations.md: must be asked for; recorded",
        cap: "openapi.yaml",
    },
    Doubts {
        provider: "groq",
        reach: "doubt: reasoning is in completion_tokens (groq-python), whether the cap ends it no \
                page says",
        usage: "recorded; also in x_groq",
        cap: "groq-python, completion_create_params.py",
    },
    Doubts {
        provider: "openrouter",
        reach: "reasoning-tokens.mdx: effort is a share of max_tokens; doubt: the upstream is \
                chosen \
                late, and may count otherwise",
        usage: "usage-accounting.mdx: always sent, the option does nothing",
        cap: "api_reference, parameters",
    },
    Doubts {
        provider: "perplexity",
        reach: "doubt: no page says it of sonar-reasoning; what it states that it charged is \
                charged",
        usage: "recorded: in every chunk, unasked; doubt: whether the option is read",
        cap: "docs.perplexity.ai, chat completions. Doubt: Sonar's support ended 2026-09-27, and \
              calls become those of its Agent API (POST /v1/agent), which is not called here: its \
              prices and tools are other ones",
    },
    Doubts {
        provider: "cerebras",
        reach: "cerebras-cloud-sdk-python: visible output tokens and reasoning tokens",
        usage: "recorded; all its fields are optional (SDK)",
        cap: "cerebras-cloud-sdk-python",
    },
    Doubts {
        provider: "together",
        reach: "doubt: openapi.yaml calls it the maximum number of tokens to generate, and nobody \
                measured it",
        usage: "openapi.yaml: nullable, in the last chunk; doubt: whether it needs the option",
        cap: "openapi.yaml",
    },
    Doubts {
        provider: "fireworks",
        reach: "docs.fireworks.ai, chat completions; doubt: not measured",
        usage: "doubt: by clients' word only, in the last chunk",
        cap: "docs.fireworks.ai: both names; doubt: context_length_exceeded_behavior may lower it",
    },
    Doubts {
        provider: "moonshotai",
        reach: "doubt: no page that was read says it",
        usage: "recorded; inside the choice in older answers",
        cap: "doubt: platform.moonshot.ai deprecates max_tokens for max_completion_tokens",
    },
    Doubts {
        provider: "alibaba",
        reach: "the window is held: thinking has a budget of its own (Model Studio, deep thinking)",
        usage: "recorded",
        cap: "Model Studio, OpenAI compatible",
    },
    Doubts {
        provider: "custom",
        reach: "the model's maximum is held: doubt by design",
        usage: "doubt: a server without it costs its hold",
        cap: "doubt: by the format; real server (llama.cpp)",
    },
    Doubts {
        provider: "ollama",
        reach: "ollama, modelfile.mdx: num_predict ends all output; a longer prompt is cut, not \
                refused",
        usage: "recorded",
        cap: "ollama, openai.go",
    },
    Doubts {
        provider: "vllm",
        reach: "its source: every sampled token counts",
        usage: "chat_completion_stream_generator",
        cap: "docs.vllm.ai; doubt: newer versions deprecate max_tokens",
    },
    Doubts {
        provider: "gpustack",
        reach: "doubt: llama.cpp may pass the cap by four tokens, to end a character \
                (server/README)",
        usage: "recorded",
        cap: "recorded",
    },
];
