//! Our own exchanges of each provider: a stream and a whole answer, in the shape that its pages and
//! the recorded exchanges state (2026-06…11).

/// A stream and a whole answer of one provider.
pub struct Fixture {
    pub provider: &'static str,
    /// A model that selects the format.
    pub model: &'static str,
    /// As it comes; of a binary stream its events.
    pub stream: &'static str,
    pub whole: &'static str,
}

macro_rules! fixtures {
    ($(($provider:literal, $model:literal),)*) => {
        &[$(Fixture {
            provider: $provider,
            model: $model,
            stream: include_str!(concat!("../../fixtures/providers/", $provider, ".sse")),
            whole: include_str!(concat!("../../fixtures/providers/", $provider, ".json")),
        },)*]
    };
}

/// One of each row of `PROVIDERS`.
pub const FIXTURES: &[Fixture] = fixtures![
    ("openai", "gpt-5.5"),
    ("anthropic", "claude-opus-4-8"),
    ("gemini", "gemini-3-pro"),
    ("vertexai", "gemini-3-pro"),
    ("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
    ("cohere", "command-a-plus-05-2026"),
    ("demo", "chat"),
    ("azure", "gpt-5.5"),
    ("xai", "grok-4-fast"),
    ("deepseek", "deepseek-v4-flash"),
    ("mistral", "magistral-medium-2509"),
    ("groq", "openai/gpt-oss-120b"),
    ("openrouter", "anthropic/claude-haiku-4.5"),
    ("perplexity", "sonar-pro"),
    ("cerebras", "gpt-oss-120b"),
    ("together", "openai/gpt-oss-20b"),
    ("fireworks", "accounts/fireworks/models/glm-4p7"),
    ("moonshotai", "kimi-k3"),
    ("alibaba", "qwen3-max"),
    ("custom", "any-model"),
    ("ollama", "gpt-oss:20b"),
    ("vllm", "Qwen/Qwen3-8B"),
    ("gpustack", "qwen3"),
];
