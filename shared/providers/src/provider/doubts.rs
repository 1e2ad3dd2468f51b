//! What the rows take for true, with its source, or the doubt where nobody says it. Surveyed
//! 2026-06…11.
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
    /// The field that caps the completion.
    pub field: &'static str,
    /// Who says so of that field.
    pub cap: &'static str,
}

/// One of each row but the demo's. A doubt begins with the word.
pub const DOUBTS: &[Doubts] = &[
    Doubts {
        provider: "openai",
        field: "max_completion_tokens",
        reach: "types of openai-python: an upper bound of visible and reasoning tokens; \
                guides/token-counting: of formatting tokens too",
        usage: "recorded: asked for, in the last chunk. Doubt: what is billed of a stream whose \
                reader leaves, no page says; the hold is charged",
        cap: "openai-openapi; in Responses max_output_tokens",
    },
    Doubts {
        provider: "azure",
        field: "max_completion_tokens",
        reach: "as OpenAI's. Doubt: by the same types, no page of Azure's says it",
        usage: "recorded: asked for, in the last chunk",
        cap: "azure-ai-docs, faq.yml. Doubt: older models refuse it for max_tokens",
    },
    Doubts {
        provider: "anthropic",
        field: "max_tokens",
        reach: "build-with-claude/thinking: a strict limit of all output, thinking included; a \
                budget of thinking is only a target",
        usage: "build-with-claude/streaming, recorded: cumulative, the last message_delta counts. \
                Doubt: what is billed of a stream whose reader leaves, no page says; the hold is \
                charged",
        cap: "api/messages: it must be sent",
    },
    Doubts {
        provider: "gemini",
        field: "generationConfig.maxOutputTokens",
        reach: "measured for 2.x and 3.x: thoughts and text together (python-genai #2062, #782). \
                Doubt: of other models nobody measured it, and the model's maximum is held",
        usage: "recorded: unasked, cumulative, in every chunk. Doubt: a reader who leaves stops \
                nothing (OpenRouter's list)",
        cap: "ai.google.dev/api/generate-content",
    },
    Doubts {
        provider: "vertexai",
        field: "generationConfig.maxOutputTokens",
        reach: "as Gemini's. Doubt: measured there and not here; of other models the model's \
                maximum is held",
        usage: "recorded elsewhere (2026-03): the chunks before the last have trafficType alone, \
                so a cut stream has no counts",
        cap: "the types of googleapis/python-genai",
    },
    Doubts {
        provider: "bedrock",
        field: "inferenceConfig.maxTokens",
        reach: "Claude's as Anthropic's. Doubt: of Nova and gpt-oss no page says it; Nova takes \
                no cap at high effort, which is refused",
        usage: "recorded: unasked, in one metadata event at the end. Doubt: no page says what a \
                failed call costs",
        cap: "aws/agent-toolkit-for-aws, quota-health.md",
    },
    Doubts {
        provider: "cohere",
        field: "max_tokens",
        reach: "doubt: no page says that the cap holds thinking; that a budget should leave 1,000 \
                tokens of it implies one limit (docs.cohere.com/docs/reasoning)",
        usage: "v2 streaming.mdx, recorded: unasked, in message-end alone, so a cut stream has \
                none",
        cap: "cohere-openapi.yaml, v2 chat",
    },
    Doubts {
        provider: "xai",
        field: "max_tokens",
        reach: "the window is held: the cap leaves reasoning out (xai-org/xai-proto, chat.proto)",
        usage: "recorded",
        cap: "doubt: max_tokens is deprecated for max_completion_tokens, and was taken when \
              recorded",
    },
    Doubts {
        provider: "deepseek",
        field: "max_tokens",
        reach: "api-docs.deepseek.com, create-chat-completion",
        usage: "recorded; with the option or without (deepseek-harness)",
        cap: "api-docs.deepseek.com, create-chat-completion",
    },
    Doubts {
        provider: "mistral",
        field: "max_tokens",
        reach: "openapi.yaml: in completion_tokens and max_tokens; doubt: it has no count of its \
                own",
        usage: "known-limitations.md: must be asked for; recorded",
        cap: "openapi.yaml",
    },
    Doubts {
        provider: "groq",
        field: "max_completion_tokens",
        reach: "doubt: reasoning is in completion_tokens (groq-python), whether the cap ends it no \
                page says",
        usage: "recorded; also in x_groq",
        cap: "groq-python, completion_create_params.py",
    },
    Doubts {
        provider: "openrouter",
        field: "max_tokens",
        reach: "reasoning-tokens.mdx: effort is a share of max_tokens; doubt: the upstream is \
                chosen \
                late, and may count otherwise",
        usage: "usage-accounting.mdx: always sent, the option does nothing",
        cap: "api_reference, parameters",
    },
    Doubts {
        provider: "perplexity",
        field: "max_tokens",
        reach: "doubt: no page says it of sonar-reasoning; what it states that it charged is \
                charged",
        usage: "recorded: in every chunk, unasked; doubt: whether the option is read",
        cap: "docs.perplexity.ai, chat completions. Doubt: Sonar's support ended 2026-09-27, and \
              calls become those of its Agent API (POST /v1/agent), which is not called here: its \
              prices and tools are other ones, so a call needs a price of its owner's",
    },
    Doubts {
        provider: "cerebras",
        field: "max_completion_tokens",
        reach: "cerebras-cloud-sdk-python: visible output tokens and reasoning tokens",
        usage: "recorded; all its fields are optional (SDK)",
        cap: "cerebras-cloud-sdk-python",
    },
    Doubts {
        provider: "together",
        field: "max_tokens",
        reach: "doubt: openapi.yaml calls it the maximum number of tokens to generate, and nobody \
                measured it",
        usage: "openapi.yaml: nullable, in the last chunk; doubt: whether it needs the option",
        cap: "openapi.yaml",
    },
    Doubts {
        provider: "fireworks",
        field: "max_tokens",
        reach: "docs.fireworks.ai, chat completions; doubt: not measured",
        usage: "doubt: by clients' word only, in the last chunk",
        cap: "docs.fireworks.ai: both names; doubt: context_length_exceeded_behavior may lower it",
    },
    Doubts {
        provider: "moonshotai",
        field: "max_tokens",
        reach: "doubt: no page that was read says it",
        usage: "recorded; inside the choice in older answers",
        cap: "doubt: platform.moonshot.ai deprecates max_tokens for max_completion_tokens",
    },
    Doubts {
        provider: "alibaba",
        field: "max_tokens",
        reach: "the window is held: thinking has a budget of its own (Model Studio, deep thinking)",
        usage: "recorded",
        cap: "Model Studio, OpenAI compatible",
    },
    Doubts {
        provider: "custom",
        field: "max_tokens",
        reach: "the model's maximum is held: doubt by design",
        usage: "doubt: a server without it costs its hold",
        cap: "doubt: by the format; real server (llama.cpp)",
    },
    Doubts {
        provider: "ollama",
        field: "max_tokens",
        reach: "ollama, modelfile.mdx: num_predict ends all output; a longer prompt is cut, not \
                refused",
        usage: "recorded",
        cap: "ollama, openai.go",
    },
    Doubts {
        provider: "vllm",
        field: "max_tokens",
        reach: "its source: every sampled token counts",
        usage: "chat_completion_stream_generator",
        cap: "docs.vllm.ai; doubt: newer versions deprecate max_tokens",
    },
    Doubts {
        provider: "gpustack",
        field: "max_tokens",
        reach: "doubt: llama.cpp may pass the cap by four tokens, to end a character \
                (server/README)",
        usage: "recorded",
        cap: "recorded",
    },
];
