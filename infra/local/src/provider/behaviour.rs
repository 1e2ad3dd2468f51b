//! The models of the demo provider: one table row says the name, the wire format, the prices and
//! how the model behaves. The seeding code copies the prices into the owner's price overrides.

/// The wire format that a model is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// `POST /v1/chat/completions`.
    OpenAi,
    /// `POST /v1/messages`.
    Anthropic,
    /// `POST /v1/models/{model}:generateContent`.
    Gemini,
    /// `POST /v1/responses`, which serves the models of `OpenAi` too.
    Responses,
    /// `POST /v1/completions`.
    Completions,
    /// `POST /v1/embeddings`.
    Embeddings,
}

/// What a model does with a well-formed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// A friendly text, or a tool call.
    Answer,
    /// An answer whose usage is the bytes of what the request says and the cap: it costs its
    /// hold, to the pico-USD.
    Exact,
    /// An answer that is billed at ten times its cap and more: no hold bounds it.
    Overrun,
    /// An answer after `Options::slow`.
    Slow,
    /// HTTP 500.
    Fail,
    /// Half an answer, then the connection closes; the whole of it is billed.
    Cut,
    /// HTTP 429 with `Retry-After`.
    Busy,
    /// HTTP 429 with a short `retry-after-ms` to every odd call of a caller, else an answer.
    BusyOnce,
    /// HTTP 529 (Anthropic only).
    Overloaded,
    /// One token per `Options::drip_interval`.
    Drip,
    /// No answer until the client goes away.
    Hang,
    /// HTTP 200 with JSON that does not parse.
    BadJson,
    /// Half a stream, then an error event.
    ErrorInStream,
    /// An answer that never states its usage.
    NoUsage,
    /// HTTP 400.
    Refuse,
    /// HTTP 401 although the key is right.
    Unauthorized,
    /// An answer; the next request on the same connection is read and the connection closed.
    Close,
    /// A long answer whose generation ends when its reader does; what was generated is billed.
    Long,
    /// `stop_reason: refusal` before any output: usage is stated and nothing is billed.
    Refusal,
    /// A response that fails when it is written: its usage is stated and billed.
    FailAtEnd,
}

/// One model with its prices, as decimal USD per 1M tokens (at most six decimals).
#[derive(Clone, Copy, Debug)]
pub struct DemoPrice {
    /// The name sent upstream, without the `demo/` prefix.
    pub model: &'static str,
    /// The wire format that serves it.
    pub wire: Wire,
    /// Input price.
    pub input: &'static str,
    /// Output price.
    pub output: &'static str,
    /// Price of input read from the prompt cache, where the model has one.
    pub cache_read: Option<&'static str>,
    /// Price of input written to the prompt cache for five minutes.
    pub cache_write_5m: Option<&'static str>,
    /// Price of input written to the prompt cache for one hour.
    pub cache_write_1h: Option<&'static str>,
    /// The fee of one search, in USD, where the model searches.
    pub search: Option<&'static str>,
    /// Most prompt tokens; a longer prompt is refused unbilled.
    pub context_window: u64,
    /// Highest cap accepted, and the cap of a call that sends none.
    pub max_output_tokens: u64,
    /// Tokens of every answer, where the question does not say.
    pub(super) answer_tokens: Option<u64>,
    /// Tokens of reasoning before every answer (responses only).
    pub(super) reasoning_tokens: u64,
    pub(super) behaviour: Behaviour,
}

/// Every model of the demo provider.
pub fn prices() -> &'static [DemoPrice] {
    MODELS
}

/// The model of that name on that wire, if there is one.
pub(super) fn model(wire: Wire, name: &str) -> Option<&'static DemoPrice> {
    let serves = |row: &Wire| *row == wire || (wire == Wire::Responses && *row == Wire::OpenAi);
    MODELS.iter().find(|row| serves(&row.wire) && row.model == name)
}

/// Tokens of the answers of the models `long` and `drip-long`.
const LONG_TOKENS: u64 = 1_200;
/// The length of the longest.
const VAST_TOKENS: u64 = 20_000;

const MODELS: &[DemoPrice] = &[
    chat("chat", Behaviour::Answer),
    chat("slow", Behaviour::Slow),
    chat("fail", Behaviour::Fail),
    chat("cut", Behaviour::Cut),
    chat("busy", Behaviour::Busy),
    chat("busy-once", Behaviour::BusyOnce),
    chat("drip", Behaviour::Drip),
    chat("hang", Behaviour::Hang),
    chat("bad-json", Behaviour::BadJson),
    chat("error-in-stream", Behaviour::ErrorInStream),
    chat("no-usage", Behaviour::NoUsage),
    chat("refuse", Behaviour::Refuse),
    chat("close", Behaviour::Close),
    chat("unauthorized", Behaviour::Unauthorized),
    DemoPrice { answer_tokens: Some(LONG_TOKENS), ..chat("long", Behaviour::Long) },
    // More than 100 KB, for figures of what content costs.
    DemoPrice {
        answer_tokens: Some(VAST_TOKENS),
        max_output_tokens: 32_768,
        ..chat("vast", Behaviour::Answer)
    },
    // A minute of drops: it outlives an invocation that the tests make short.
    DemoPrice { answer_tokens: Some(LONG_TOKENS), ..chat("drip-long", Behaviour::Drip) },
    chat("overrun", Behaviour::Overrun),
    exact(),
    DemoPrice { wire: Wire::Completions, ..chat("demo-instruct", Behaviour::Answer) },
    DemoPrice { wire: Wire::Completions, ..chat("cut-instruct", Behaviour::Cut) },
    DemoPrice {
        answer_tokens: Some(LONG_TOKENS),
        wire: Wire::Completions,
        ..chat("long-instruct", Behaviour::Long)
    },
    DemoPrice { wire: Wire::Embeddings, ..chat("embed", Behaviour::Answer) },
    DemoPrice { wire: Wire::Embeddings, ..chat("embed-fail", Behaviour::Fail) },
    codex("codex", Behaviour::Answer),
    codex("codex-failed", Behaviour::FailAtEnd),
    cent("cent", Behaviour::Answer),
    cent("cent-slow", Behaviour::Slow),
    cent("cent-drip", Behaviour::Drip),
    claude("claude", Behaviour::Answer),
    claude("claude-fail", Behaviour::Fail),
    claude("claude-cut", Behaviour::Cut),
    claude("claude-busy", Behaviour::Busy),
    claude("claude-overloaded", Behaviour::Overloaded),
    claude("claude-refusal", Behaviour::Refusal),
    claude("claude-error-in-stream", Behaviour::ErrorInStream),
    DemoPrice { answer_tokens: Some(LONG_TOKENS), ..claude("claude-long", Behaviour::Long) },
    gemini("gemini", Behaviour::Answer),
    // A name and a price of the catalogue's, for calls by way of Vertex.
    DemoPrice {
        input: "0.1",
        output: "0.4",
        cache_read: Some("0.025"),
        context_window: 65_536,
        max_output_tokens: 65_536,
        ..gemini("gemini-2.5-flash-lite-preview-06-17", Behaviour::Answer)
    },
    gemini("gemini-fail", Behaviour::Fail),
    gemini("gemini-cut", Behaviour::Cut),
    gemini("gemini-busy", Behaviour::Busy),
    gemini("gemini-drip", Behaviour::Drip),
    gemini("gemini-error-in-stream", Behaviour::ErrorInStream),
    DemoPrice { answer_tokens: Some(LONG_TOKENS), ..gemini("gemini-long", Behaviour::Long) },
];

const fn chat(model: &'static str, behaviour: Behaviour) -> DemoPrice {
    DemoPrice {
        model,
        wire: Wire::OpenAi,
        input: "0.50",
        output: "2.00",
        cache_read: None,
        cache_write_5m: None,
        cache_write_1h: None,
        search: None,
        context_window: 128_000,
        max_output_tokens: 4_096,
        answer_tokens: None,
        reasoning_tokens: 0,
        behaviour,
    }
}

/// A model that only responses serve: it thinks, and reads its own past from a cache.
const fn codex(model: &'static str, behaviour: Behaviour) -> DemoPrice {
    DemoPrice {
        wire: Wire::Responses,
        cache_read: Some("0.05"),
        search: Some("0.01"),
        context_window: 400_000,
        max_output_tokens: 128_000,
        reasoning_tokens: 5,
        ..chat(model, behaviour)
    }
}

const fn exact() -> DemoPrice {
    // The window is wide because every byte counts as a token, so that bytes bound the hold alone.
    DemoPrice {
        input: "1",
        output: "10",
        context_window: 10_000_000,
        max_output_tokens: 100_000,
        ..chat("exact", Behaviour::Exact)
    }
}

/// Every answer is 64 tokens long and costs a cent less a millionth of one: the hold of a call with
/// that cap, which counts each byte of the request as a token, is then within the cent.
const fn cent(model: &'static str, behaviour: Behaviour) -> DemoPrice {
    DemoPrice {
        input: "0.000001",
        output: "156.24999",
        answer_tokens: Some(64),
        ..chat(model, behaviour)
    }
}

const fn gemini(model: &'static str, behaviour: Behaviour) -> DemoPrice {
    DemoPrice { wire: Wire::Gemini, ..chat(model, behaviour) }
}

const fn claude(model: &'static str, behaviour: Behaviour) -> DemoPrice {
    DemoPrice {
        model,
        wire: Wire::Anthropic,
        input: "1",
        output: "5",
        cache_read: Some("0.1"),
        cache_write_5m: Some("1.25"),
        cache_write_1h: Some("2"),
        search: None,
        context_window: 200_000,
        max_output_tokens: 8_192,
        answer_tokens: None,
        reasoning_tokens: 0,
        behaviour,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_one_row_and_is_served_on_its_own_wire_alone() {
        for row in prices() {
            assert_eq!(prices().iter().filter(|other| other.model == row.model).count(), 1);
            assert!(model(row.wire, row.model).is_some());
        }

        assert!(model(Wire::OpenAi, "claude").is_none());
        assert!(model(Wire::Anthropic, "chat").is_none());
    }
}
