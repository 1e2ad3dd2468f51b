//! The table of providers.

use farebox_core::chat::Thinking;
use farebox_core::{ChatCall, Error, Format};

use crate::azure::AzureAccount;
use crate::bedrock::account::AwsAccount;
use crate::failure::{self, Forbids, Unbilled, blame};
use crate::gemini::account::{self, ServiceAccount};
use crate::media;
use crate::openai::{UsageRules, cost_in_ticks, cost_in_usd, cost_total};
use crate::{Scheme, Wire};

mod doubts;
mod efforts;
mod metering;
mod models;
mod passes;
mod wires;

pub use doubts::{DOUBTS, Doubts};
pub use efforts::Effort;
pub use models::{Reach, Thoughts};
use models::{
    always, bounded, compound, dropped, in_parts_of_magistral, in_reasoning, in_reasoning_content,
    in_reasoning_of_qwen, never, nowhere, openai_region, openai_with_regions, research, routed,
    to_cap, to_cap_where_measured, to_model_maximum, to_window, xai_region,
};
use wires::{
    anthropic, azure, bedrock, cohere, demo, gemini, openai, openais_own, vertex, with_embeddings,
    with_texts, xai,
};

/// One provider: where it is, which format it speaks, and how it departs from that format.
pub struct Provider {
    /// The name in `provider/model`.
    pub name: &'static str,
    /// The base URL; empty where the credential must carry one.
    pub base_url: &'static str,
    /// What its secret is made of, where that is more than one text.
    pub scheme: Option<&'static dyn Scheme>,
    /// The wire format for a model and a caller's format; `None` where it has none for such calls.
    pub wire: fn(model: &str, format: Format) -> Option<&'static dyn Wire>,
    /// The formats in which its answers are to the letter: a caller of one gets its very events.
    pub faithful: &'static [Format],
    /// Its answers may depart from `OpenAI`'s words where its clients need them, so this is put
    /// right as they pass, and nothing else: content in parts becomes a text and a thought, the
    /// role and the end of a choice are told once, a call has its place and its type, a choice
    /// that calls ends with `tool_calls` (`OpenAI`'s formats only).
    pub departs: bool,
    /// The options beyond `OpenAI`'s own that it documents and that cost nothing, with the tokens
    /// that each may add to a prompt. Every other is refused (`OpenAI`'s format only).
    pub passes: &'static [(&'static str, u64)],
    /// `OpenAI`'s options that it takes under a name of its own (`OpenAI`'s format only).
    pub renames: &'static [(&'static str, &'static str)],
    /// Options that others of the format take and it refuses (`OpenAI`'s format only).
    pub refuses: &'static [&'static str],
    /// The fields beyond `OpenAI`'s own that it takes in messages, parts and tools; the rest of
    /// [`crate::openai::EXTENSIONS`] is taken out before they are sent. Of other formats only
    /// `cache_control` is said here, where they have its like.
    pub extensions: &'static [&'static str],
    /// How it takes back what a model thought in an earlier turn (`OpenAI`'s format only).
    pub thoughts: fn(model: &str) -> Thoughts,
    /// How a model is told how hard to think (`OpenAI`'s format only).
    pub effort: fn(model: &str, effort: &str, thinking: Thinking) -> Effort,
    /// The field that caps the completion (`OpenAI`'s format only).
    pub cap_field: &'static str,
    /// How far a completion can reach (not Anthropic's format, whose cap holds all).
    pub reach: fn(model: &str) -> Reach,
    /// The calls whose stream shows every completion token that is billed, and whose bill ends when
    /// their reader leaves: they may be metered. Doubt is no.
    pub metered: fn(model: &str, call: &ChatCall) -> bool,
    /// It has service tiers, and a request without one may mean a dearer one.
    pub service_tiers: bool,
    /// The tiers beside the usual one that a call may ask for. What they cost is the price list's.
    pub tiers: &'static [&'static str],
    /// Its Responses API counts a chat's prompt for nothing (`OpenAI`'s format only).
    pub counts_chats: bool,
    /// It takes `stream_options.include_usage`; where false, usage comes by itself.
    pub include_usage: bool,
    /// It takes `stream_options.continuous_usage_stats`, by which each chunk has the counts so far:
    /// those of the last are what a failed stream used.
    pub continuous_usage: bool,
    /// A prompt longer than the window is refused without a bill, so the window bounds it.
    pub window_refused_unbilled: bool,
    /// The most tokens that it puts before a prompt unasked (`OpenAI`'s formats only).
    pub preamble: u64,
    /// The most tokens that it puts before tools, or before a schema (`OpenAI`'s formats only).
    pub tool_preamble: u64,
    /// The most tokens of one image of a size, or of any, where the provider states it.
    pub image: fn(model: &str, size: Option<media::Size>) -> Option<u64>,
    /// Whether a place can make every token of a model a tenth dearer: Anthropic's `us` geography,
    /// a default of the workspace, or where it is called. Which place it is, is not known when the
    /// call is held for.
    pub us_geography: fn(model: &str) -> bool,
    /// Whether a model is that dearer at a base URL, where no answer says so; `None`: it may be.
    pub dearer_at: fn(model: &str, base_url: &str) -> Option<bool>,
    /// The models that run others, or paid tools, by themselves: their cost has no bound.
    pub unbounded: fn(model: &str) -> bool,
    /// It chooses among endpoints of several prices, and takes the dearest that a call may go to as
    /// `provider.max_price` (`OpenAI`'s formats only).
    pub takes_max_price: bool,
    /// How its counts depart from `OpenAI`'s (`OpenAI`'s format only).
    pub usage: UsageRules,
    /// The headers in which it tells its own id of a request, the best first.
    pub request_ids: &'static [&'static str],
    /// The failures that it does not bill. What is not listed charges the hold.
    pub unbilled: &'static [Unbilled],
    /// What its 403s mean. What is not listed is the request's fault.
    pub forbids: &'static [Forbids],
}

impl Provider {
    /// Whether only a credential tells where it is.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.base_url.is_empty() && self.scheme.is_none_or(|scheme| !scheme.is_somewhere())
    }

    /// The service tier that a call asks for.
    ///
    /// # Errors
    /// [`Error::Malformed`] where it has no such tier.
    pub fn tier(&self, call: &ChatCall) -> Result<Option<&'static str>, Error> {
        match call.service_tier {
            Some(tier) if !self.tiers.contains(&tier) => {
                let rule = format!("{} has no tier {tier} that Farebox serves", self.name);
                Err(Error::malformed("service_tier", rule))
            }
            tier => Ok(tier),
        }
    }

    /// The wire format for a model and a caller's format.
    ///
    /// # Errors
    /// [`Error::NotSupported`] where the provider has none for such calls.
    pub fn wire_for(&self, model: &str, format: Format) -> Result<&'static dyn Wire, Error> {
        (self.wire)(model, format).ok_or_else(|| Error::NotSupported {
            what: format!("This kind of call to {}", self.name),
            instead: "Use POST /v1/chat/completions, or another provider.".to_owned(),
        })
    }
}

/// What most servers of `OpenAI`'s format do. A row of the table states only its departures; what
/// of it nobody has confirmed is in [`DOUBTS`].
pub(crate) const COMPATIBLE: Provider = Provider {
    name: "",
    base_url: "",
    scheme: None,
    wire: openai,
    faithful: &[Format::Chat, Format::Completions],
    departs: true,
    passes: &[],
    renames: &[],
    refuses: &[],
    extensions: &[],
    thoughts: dropped,
    effort: efforts::unknown,
    cap_field: "max_tokens",
    reach: to_cap,
    metered: metering::never,
    service_tiers: false,
    tiers: &[],
    counts_chats: false,
    include_usage: true,
    continuous_usage: false,
    window_refused_unbilled: true,
    preamble: 0,
    tool_preamble: 0,
    image: media::unstated,
    us_geography: never,
    dearer_at: nowhere,
    unbounded: bounded,
    takes_max_price: false,
    usage: UsageRules::OPENAI,
    request_ids: &["x-request-id", "request-id"],
    unbilled: failure::COMPATIBLE,
    forbids: blame::COMPATIBLE,
};

/// Every provider. Base URLs were read in the packages of vercel/ai and the providers' own pages
/// (2026-08…11).
pub static PROVIDERS: &[Provider] = &[
    Provider {
        name: "openai",
        wire: openais_own,
        faithful: &[Format::Chat, Format::Responses, Format::Completions],
        departs: false,
        refuses: passes::NOT_OPENAIS,
        base_url: "https://api.openai.com/v1",
        image: media::of_openai,
        counts_chats: true,
        cap_field: "max_completion_tokens",
        // `auto` means the project's setting, which may be twice as dear.
        service_tiers: true,
        tiers: &["flex", "priority", "fast"],
        unbilled: failure::OPENAI,
        forbids: blame::OPENAI,
        metered: metering::openai_without_reasoning,
        effort: efforts::of_openai,
        us_geography: openai_with_regions,
        dearer_at: openai_region,
        ..COMPATIBLE
    },
    Provider {
        name: "anthropic",
        request_ids: &["request-id"],
        extensions: &["cache_control"],
        faithful: &[Format::Messages],
        base_url: "https://api.anthropic.com/v1",
        image: media::of_claude,
        wire: anthropic,
        metered: metering::claude_without_thoughts,
        us_geography: always,
        unbilled: failure::ANTHROPIC,
        forbids: blame::ANTHROPIC,
        ..COMPATIBLE
    },
    Provider {
        name: "gemini",
        base_url: "https://generativelanguage.googleapis.com/v1beta",
        faithful: &[Format::GenerateContent],
        // ai.google.dev/gemini-api/docs/optimization, priority-inference (read 2026-09).
        tiers: &["flex", "priority"],
        wire: gemini,
        image: media::of_gemini,
        reach: to_cap_where_measured,
        unbilled: failure::GEMINI,
        forbids: blame::GOOGLE,
        ..COMPATIBLE
    },
    // The base URL is that of the project's location, which stands in the credential. The name is
    // that of the price list.
    Provider {
        name: "vertexai",
        faithful: &[Format::GenerateContent],
        scheme: Some(&ServiceAccount),
        wire: vertex,
        image: media::of_gemini,
        reach: to_cap_where_measured,
        us_geography: account::is_recent,
        dearer_at: account::is_dearer,
        unbilled: failure::VERTEX,
        forbids: blame::GOOGLE,
        ..COMPATIBLE
    },
    // The base URL is that of the region, which stands in the credential.
    Provider {
        name: "bedrock",
        request_ids: &["x-amzn-requestid"],
        extensions: &["cache_control"],
        image: media::of_bedrock,
        scheme: Some(&AwsAccount),
        // docs.aws.amazon.com/bedrock, service-tiers-inference (read 2026-08).
        tiers: &["flex", "priority"],
        wire: bedrock,
        unbilled: failure::BEDROCK,
        forbids: blame::BEDROCK,
        ..COMPATIBLE
    },
    Provider {
        name: "cohere",
        base_url: "https://api.cohere.com/v2",
        request_ids: &["x-debug-trace-id", "x-request-id"],
        wire: cohere,
        metered: metering::command_without_thoughts,
        ..COMPATIBLE
    },
    // The provider inside `cargo local`: it bills the very bytes, so no window cuts the bound.
    Provider {
        name: "demo",
        faithful: &[
            Format::Chat,
            Format::Messages,
            Format::Responses,
            Format::Completions,
            Format::GenerateContent,
        ],
        departs: false,
        counts_chats: true,
        wire: demo,
        cap_field: "max_completion_tokens",
        window_refused_unbilled: false,
        unbilled: failure::OPENAI,
        metered: metering::openly,
        effort: efforts::plain,
        extensions: &["cache_control"],
        ..COMPATIBLE
    },
    // The base URL is the resource's: https://NAME.openai.azure.com/openai/v1
    Provider {
        name: "azure",
        // Recorded: 59 answers have the first, 9 the second as well.
        request_ids: &["apim-request-id", "x-request-id"],
        refuses: passes::NOT_OPENAIS,
        faithful: &[Format::Chat, Format::Responses, Format::Completions],
        departs: false,
        scheme: Some(&AzureAccount),
        image: media::of_openai,
        effort: efforts::of_openai,
        wire: azure,
        cap_field: "max_completion_tokens",
        service_tiers: true,
        tiers: &["flex", "priority"],
        window_refused_unbilled: false,
        unbilled: failure::AZURE,
        forbids: blame::AZURE,
        ..COMPATIBLE
    },
    Provider {
        name: "xai",
        metered: metering::grok_without_reasoning,
        effort: efforts::of_xai,
        faithful: &[Format::Chat, Format::Responses],
        wire: xai,
        base_url: "https://api.x.ai/v1",
        // Recorded: 199 tokens for a request of 143 bytes.
        preamble: passes::PREAMBLE,
        reach: to_window,
        us_geography: always,
        dearer_at: xai_region,
        usage: UsageRules { reasoning_outside: true, cost: Some(cost_in_ticks) },
        unbilled: failure::XAI,
        forbids: blame::XAI,
        ..COMPATIBLE
    },
    // Its reasoning must come back with a tool's result, and is ignored in turns without a call
    // (api-docs.deepseek.com, thinking_mode; the models of 2025 refused it there).
    Provider {
        name: "deepseek",
        request_ids: &["x-ds-trace-id", "x-request-id"],
        metered: metering::deepseek,
        effort: efforts::of_deepseek,
        passes: passes::DEEPSEEK,
        base_url: "https://api.deepseek.com",
        thoughts: in_reasoning_content,
        ..COMPATIBLE
    },
    Provider {
        name: "mistral",
        request_ids: &["mistral-correlation-id", "x-kong-request-id"],
        thoughts: in_parts_of_magistral,
        effort: efforts::of_mistral,
        passes: passes::MISTRAL,
        // docs.mistral.ai/api, chat completions, which refuses a field that it does not know.
        renames: &[("seed", "random_seed")],
        wire: with_embeddings,
        base_url: "https://api.mistral.ai/v1",
        ..COMPATIBLE
    },
    Provider {
        name: "groq",
        thoughts: in_reasoning_of_qwen,
        effort: efforts::of_groq,
        passes: passes::GROQ,
        base_url: "https://api.groq.com/openai/v1",
        cap_field: "max_completion_tokens",
        unbilled: failure::GROQ,
        forbids: blame::GROQ,
        unbounded: compound,
        ..COMPATIBLE
    },
    Provider {
        name: "openrouter",
        // The id by which `GET /generation` finds what it cost.
        request_ids: &["x-generation-id", "x-request-id"],
        passes: passes::OPENROUTER,
        wire: with_texts,
        base_url: "https://openrouter.ai/api/v1",
        // openrouter.ai/docs, prompt caching and reasoning tokens (read 2026-08).
        extensions: &["cache_control", "reasoning", "reasoning_details"],
        effort: efforts::of_openrouter,
        unbounded: routed,
        // openrouter.ai/docs, provider routing: an endpoint above it is not called, and where none
        // is left the answer is a 404, before a model.
        takes_max_price: true,
        // It may call any model: Claude's preamble, of 804 tokens at most, is the longest known.
        tool_preamble: 1_024,
        forbids: blame::OPENROUTER,
        usage: UsageRules { cost: Some(cost_in_usd), ..UsageRules::OPENAI },
        ..COMPATIBLE
    },
    Provider {
        name: "perplexity",
        effort: efforts::of_perplexity,
        passes: passes::PERPLEXITY,
        base_url: "https://api.perplexity.ai",
        unbounded: research,
        usage: UsageRules { cost: Some(cost_total), ..UsageRules::OPENAI },
        ..COMPATIBLE
    },
    Provider {
        // It takes thoughts back only inside the content, where they would be told as said
        // (inference-docs.cerebras.ai/capabilities/reasoning): they are left out.
        name: "cerebras",
        effort: efforts::of_gpt_oss,
        passes: passes::CEREBRAS,
        base_url: "https://api.cerebras.ai/v1",
        cap_field: "max_completion_tokens",
        ..COMPATIBLE
    },
    Provider {
        name: "together",
        metered: metering::instructed,
        effort: efforts::of_together,
        passes: passes::TOGETHER,
        wire: with_texts,
        base_url: "https://api.together.xyz/v1",
        ..COMPATIBLE
    },
    Provider {
        name: "fireworks",
        metered: metering::instructed,
        // docs.fireworks.ai, reasoning: interleaved and preserved thinking (`reasoning_history`).
        thoughts: in_reasoning_content,
        effort: efforts::of_fireworks,
        passes: passes::FIREWORKS,
        wire: with_texts,
        base_url: "https://api.fireworks.ai/inference/v1",
        // docs.fireworks.ai/serverless/serverless-modes (read 2026-10).
        tiers: &["priority"],
        ..COMPATIBLE
    },
    Provider {
        name: "moonshotai",
        effort: efforts::of_moonshot,
        passes: passes::MOONSHOT,
        base_url: "https://api.moonshot.ai/v1",
        thoughts: in_reasoning_content,
        ..COMPATIBLE
    },
    Provider {
        name: "alibaba",
        effort: efforts::of_alibaba,
        passes: passes::ALIBABA,
        extensions: &["cache_control"],
        wire: with_embeddings,
        base_url: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        // Model Studio's pages bound thinking by `thinking_budget` alone, beside max_tokens.
        reach: to_window,
        ..COMPATIBLE
    },
    // Any server of the format that the owner allows, at prices of the owner's. What it does beyond
    // its window, and whether its cap holds reasoning, nobody has said.
    Provider {
        name: "custom",
        wire: with_texts,
        reach: to_model_maximum,
        window_refused_unbilled: false,
        preamble: passes::PREAMBLE,
        ..COMPATIBLE
    },
    // Self-hosted: the base URL is the owner's. A longer prompt is cut, not refused.
    // Thoughts go back as they come: docs.vllm.ai, interleaved thinking; ollama/ollama,
    // openai/openai.go; llama.cpp's server, whose answers gpustack's are.
    // A model's template may speak first: 243 tokens are recorded of a request of 194 bytes.
    Provider {
        name: "ollama",
        metered: metering::ollama,
        thoughts: in_reasoning,
        effort: efforts::plain,
        passes: passes::OLLAMA,
        wire: with_texts,
        preamble: passes::PREAMBLE,
        ..COMPATIBLE
    },
    Provider {
        name: "vllm",
        metered: metering::vllm,
        continuous_usage: true,
        thoughts: in_reasoning,
        effort: efforts::plain,
        passes: passes::VLLM,
        wire: with_texts,
        preamble: passes::PREAMBLE,
        ..COMPATIBLE
    },
    Provider {
        name: "gpustack",
        continuous_usage: true,
        thoughts: in_reasoning_content,
        passes: passes::VLLM,
        wire: with_texts,
        preamble: passes::PREAMBLE,
        ..COMPATIBLE
    },
];

/// The provider of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

#[cfg(test)]
mod tests;
