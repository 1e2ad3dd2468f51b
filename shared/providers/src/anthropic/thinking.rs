//! How Claude is told how hard to think, by Anthropic and by Bedrock.
//!
//! Sources: platform.claude.com/docs (build-with-claude/thinking, extended-thinking, effort, the
//! migration guides of models; read 2026-11), docs.aws.amazon.com/bedrock,
//! claude-messages-adaptive-thinking. All that is thought is inside `max_tokens`.

use farebox_core::chat::Thinking;
use farebox_core::{ChatCall, Error};
use serde_json::{Value, json};

use crate::reasoning::thoughts;

/// The least that a budget may be.
pub(super) const BUDGET_MIN: u64 = 1_024;

/// What a request says.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) thinking: Option<Value>,
    /// `output_config.effort`.
    pub(crate) effort: Option<Value>,
}

/// How a model thinks, by the version in its name. A name without one is taken for a new model's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Not at all.
    Never,
    /// With a budget.
    Budget,
    /// As it sees fit, guided by an effort.
    Adaptive {
        /// It takes `xhigh`, which came with 4.7.
        xhigh: bool,
        /// It cannot be kept from it.
        always: bool,
    },
}

impl Way {
    fn of(model: &str) -> Self {
        let always = ["fable", "mythos", "opus-5-5"].iter().any(|name| model.contains(name));
        match version(model) {
            Some(version) if version < (3, 7) => Self::Never,
            Some(version) if version < (4, 6) => Self::Budget,
            Some(version) => Self::Adaptive { xhigh: version >= (4, 7), always },
            None => Self::Adaptive { xhigh: true, always },
        }
    }
}

/// The version in a name such as `claude-opus-4-1-20250805` or `claude-3-7-sonnet-latest`: the
/// first numbers that are no date.
fn version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.split_once("claude")?;
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.len() <= 2);
    let mut parts = name.split(['-', '.', '@', ':']).map(number);
    let major = parts.find_map(|number| number)?;
    Some((major, parts.next().flatten().unwrap_or_default()))
}

/// What a call says of thinking, in the words of its model.
///
/// # Errors
/// [`Error::Malformed`] names what the model cannot do, or not while it thinks.
pub(crate) fn told(call: &ChatCall, model: &str, cap: u64) -> Result<Told, Error> {
    let refused = |rule: &str| Err(Error::malformed(call.effort_field(), rule));
    let way = Way::of(model);
    let adaptive = || Some(json!({"type": "adaptive", "display": "summarized"}));
    let told = match (call.effort(), way) {
        (None, Way::Adaptive { .. }) if call.thinking == Thinking::Free => {
            Told { thinking: adaptive(), effort: None }
        }
        (None, _) | (Some("none"), Way::Never) => return Ok(Told::default()),
        (Some("none"), Way::Adaptive { always: true, .. }) => {
            return refused("thinking cannot be switched off for this model: leave it out");
        }
        (Some("none"), _) => {
            return Ok(Told { thinking: Some(json!({"type": "disabled"})), effort: None });
        }
        (Some(_), Way::Never) => return refused("this model does not think: leave it out"),
        (Some(effort), Way::Budget) => {
            // A turn that began without a thought cannot go on with one: such a request is
            // refused, or answered without thinking.
            if began_without(call) {
                return Ok(Told::default());
            }
            let Some(budget) = budget(call, effort, cap) else {
                return refused("needs a cap above 1024 tokens for this model: raise it");
            };
            let thinking = json!({"type": "enabled", "budget_tokens": budget});
            Told { thinking: Some(thinking), effort: None }
        }
        (Some("xhigh"), Way::Adaptive { xhigh: false, .. }) => {
            return refused("must be none, low, medium, high or max for this model");
        }
        (Some("minimal"), Way::Adaptive { .. }) => {
            return refused("must be none, low, medium, high, xhigh or max for Claude");
        }
        (Some(effort), Way::Adaptive { .. }) => {
            Told { thinking: adaptive(), effort: Some(Value::from(effort)) }
        }
    };
    agrees(call)?;
    Ok(told)
}

/// The budget of a call: what it names, or a share of the cap by its level, as `OpenRouter` has
/// them (openrouter.ai/docs, reasoning tokens). It must be smaller than the cap; `None` where the
/// cap is too small for any.
fn budget(call: &ChatCall, effort: &str, cap: u64) -> Option<u64> {
    if cap <= BUDGET_MIN {
        return None;
    }
    let share = |percent: u64| cap.saturating_mul(percent) / 100;
    let budget = match (call.thinking, effort) {
        (Thinking::Tokens(tokens), _) if tokens < cap => tokens,
        (Thinking::Tokens(_), _) => share(50),
        (_, "minimal") => share(10),
        (_, "low") => share(20),
        (_, "medium") => share(50),
        (_, "high") => share(80),
        _ => share(95),
    };
    Some(budget.max(BUDGET_MIN))
}

/// Whether the model's present turn has calls and no thought of Claude's.
fn began_without(call: &ChatCall) -> bool {
    let role = |message: &Value| message.get("role").and_then(Value::as_str).map(str::to_owned);
    let messages = call.messages().iter().rev();
    let mut turn = messages
        .take_while(|message| matches!(role(message).as_deref(), Some("assistant" | "tool")))
        .peekable();
    turn.peek().is_some() && turn.all(|message| thoughts(message).next().is_none())
}

/// "Thinking isn't compatible with temperature or top_k modifications as well as forced tool use"
/// (extended-thinking).
fn agrees(call: &ChatCall) -> Result<(), Error> {
    let number = |field: &str| call.body.get(field).and_then(Value::as_f64);
    let rule = "is not for a Claude that thinks: leave it out, or send reasoning_effort none";
    for (field, agrees) in [
        ("temperature", number("temperature").is_none_or(|at| at >= 1.0)),
        ("top_p", number("top_p").is_none_or(|at| at >= 0.95)),
        ("top_k", number("top_k").is_none_or(|at| at < 0.0)),
    ] {
        if !agrees {
            return Err(Error::malformed(field, rule));
        }
    }
    let choice = call.body.get("tool_choice");
    if choice.is_some_and(|choice| !matches!(choice.as_str(), Some("auto" | "none"))) {
        let rule = "Claude does not think where it must call a tool: leave it out, or send \
                    tool_choice auto";
        return Err(Error::malformed(call.effort_field(), rule));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_told_by_the_name() {
        for (model, expected) in [
            ("claude-opus-4-1-20250805", Some((4, 1))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-3-7-sonnet-latest", Some((3, 7))),
            ("us.anthropic.claude-opus-4-6-v1:0", Some((4, 6))),
            ("claude-haiku-4-5@20251001", Some((4, 5))),
            ("claude-2.1", Some((2, 1))),
            ("claude-sonnet-5", Some((5, 0))),
            ("claude-mythos-preview", None),
            ("another", None),
        ] {
            assert_eq!(version(model), expected, "{model}");
        }
    }
}
