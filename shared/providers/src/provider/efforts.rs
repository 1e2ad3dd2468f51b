//! How each provider of `OpenAI`'s format is told how hard a model shall think.

use farebox_core::chat::Thinking;
use serde_json::{Value, json};

/// How a model is told.
pub enum Effort {
    /// By `reasoning_effort`, as `OpenAI` has it; a level that it does not have the provider
    /// refuses.
    Plain,
    /// By fields of the provider's own.
    Own(Vec<(&'static str, Value)>),
    /// Nobody says how. A call in the words of another format is refused, and one in `OpenAI`'s is
    /// the provider's to answer.
    Unknown,
    /// Not: the rule.
    Refused(&'static str),
}

const ONE_WAY: &str = "this model thinks or does not: send high or none";

const fn known(takes: bool) -> Effort {
    if takes { Effort::Plain } else { Effort::Unknown }
}

fn has(model: &str, families: &[&str]) -> bool {
    families.iter().any(|family| model.contains(family))
}

/// A model with one way to think.
fn switched(effort: &str, field: &'static str, on: Value, off: Value) -> Effort {
    match effort {
        "none" => Effort::Own(vec![(field, off)]),
        "high" => Effort::Own(vec![(field, on)]),
        _ => Effort::Refused(ONE_WAY),
    }
}

pub(super) fn unknown(_: &str, _: &str, _: Thinking) -> Effort {
    Effort::Unknown
}

/// vLLM's and Ollama's servers read it for every model (docs.vllm.ai; ollama/ollama,
/// openai/openai.go): Ollama refuses it for one that does not think.
pub(super) fn plain(_: &str, _: &str, _: Thinking) -> Effort {
    Effort::Plain
}

/// All models of `OpenAI`'s but those elder than the ones that reason.
pub(super) fn of_openai(model: &str, _: &str, _: Thinking) -> Effort {
    known(!["gpt-3", "gpt-4", "chatgpt"].iter().any(|family| model.starts_with(family)))
}

/// docs.x.ai, reasoning (read 2026-11): the others think as they like, and refuse it.
pub(super) fn of_xai(model: &str, _: &str, _: Thinking) -> Effort {
    known(["grok-3-mini", "grok-4.3", "grok-4.5"].iter().any(|name| model.starts_with(name)))
}

/// api-docs.deepseek.com/guides/thinking_mode maps every level to one of its own; a model thinks
/// where nothing is said.
pub(super) fn of_deepseek(_: &str, effort: &str, _: Thinking) -> Effort {
    match effort {
        "none" => Effort::Own(vec![("thinking", json!({"type": "disabled"}))]),
        _ => Effort::Plain,
    }
}

/// docs.mistral.ai, reasoning (read 2026-11): the adjustable models; Magistral always thinks, the
/// others never.
pub(super) fn of_mistral(model: &str, _: &str, _: Thinking) -> Effort {
    const ADJUSTABLE: [&str; 6] = [
        "mistral-small-latest",
        "mistral-small-2603",
        "mistral-medium-3-5",
        "mistral-medium-latest",
        "mistral-medium-2604",
        "mistral-large-4",
    ];
    known(ADJUSTABLE.iter().any(|name| model.starts_with(name)))
}

/// The open models that take an effort wherever they run: the pages of Groq, Cerebras, Together and
/// Fireworks say so of `gpt-oss`.
pub(super) fn of_gpt_oss(model: &str, _: &str, _: Thinking) -> Effort {
    known(model.contains("gpt-oss"))
}

/// console.groq.com/docs/reasoning: Qwen's models have the words `none` and `default`.
pub(super) fn of_groq(model: &str, effort: &str, thinking: Thinking) -> Effort {
    if model.contains("qwen3") {
        return switched(effort, "reasoning_effort", json!("default"), json!("none"));
    }
    of_gpt_oss(model, effort, thinking)
}

/// openrouter.ai/docs, reasoning tokens: an effort, or a budget of its own; it leaves out what a
/// model does not take.
pub(super) fn of_openrouter(_: &str, effort: &str, thinking: Thinking) -> Effort {
    match thinking {
        Thinking::Tokens(tokens) if effort != "none" => {
            Effort::Own(vec![("reasoning", json!({"max_tokens": tokens}))])
        }
        _ => Effort::Plain,
    }
}

/// docs.perplexity.ai, reasoning models.
pub(super) fn of_perplexity(model: &str, _: &str, _: Thinking) -> Effort {
    known(model.contains("reasoning"))
}

/// docs.together.ai, inference/chat/reasoning (read 2026-11): the hybrid models are switched.
pub(super) fn of_together(model: &str, effort: &str, thinking: Thinking) -> Effort {
    const HYBRID: [&str; 5] = ["DeepSeek-V", "Qwen3.", "Kimi-K2.", "GLM-5", "cogito-v2"];
    if has(model, &HYBRID) {
        let enabled = |is: bool| json!({"enabled": is});
        return switched(effort, "reasoning", enabled(true), enabled(false));
    }
    of_gpt_oss(model, effort, thinking)
}

/// docs.fireworks.ai/guides/reasoning (read 2026-11).
pub(super) fn of_fireworks(model: &str, _: &str, _: Thinking) -> Effort {
    known(has(model, &["gpt-oss", "deepseek-v4", "glm-5", "kimi-k"]))
}

/// platform.moonshot.ai/docs, Kimi (read 2026-11): K3 has levels, K2.5 and K2.6 are switched, the
/// others always think.
pub(super) fn of_moonshot(model: &str, effort: &str, _: Thinking) -> Effort {
    if has(model, &["kimi-k2.5", "kimi-k2.6"]) {
        let kind = |kind: &str| json!({"type": kind});
        return switched(effort, "thinking", kind("enabled"), kind("disabled"));
    }
    known(model.contains("kimi-k3"))
}

/// Model Studio, deep thinking (read 2026-11): a switch and a budget, which has no word above the
/// budgets of the levels.
pub(super) fn of_alibaba(model: &str, effort: &str, thinking: Thinking) -> Effort {
    if !model.starts_with("qwen") {
        return Effort::Unknown;
    }
    let budget = thinking.tokens(effort).map(|tokens| ("thinking_budget", Value::from(tokens)));
    let mut fields = vec![("enable_thinking", Value::from(effort != "none"))];
    if effort != "none" {
        fields.extend(budget);
    }
    Effort::Own(fields)
}
