//! Usage of the Messages API. Its counts are disjoint already, but for three traps: a write
//! whose lifetime is not told, samplings that the sums leave out, and a refusal that is free.

use farebox_core::{Reported, Usage};
use serde_json::{Map, Value};

use crate::usage::Counts;

/// What is understood. `iterations` is read apart.
const UNDERSTOOD: &[&str] = &[
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "output_tokens_details.thinking_tokens",
    "server_tool_use.web_search_requests",
    // Free beside their tokens: the one kind of code execution that is served comes with a search.
    "server_tool_use.web_fetch_requests",
    "server_tool_use.code_execution_requests",
    "iterations.*",
];

/// What the rest of the answer says about its usage.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// The model that answered.
    pub(super) model: &'a str,
    /// Streams: the cache write that the first event told, with its lifetimes. What comes on
    /// top later is written at the API's own points, for five minutes.
    pub(super) written_first: Option<u64>,
    /// The model refused before any output.
    pub(super) refused_at_once: bool,
}

/// Reads a usage object. `None` where it does not tell the prompt and the completion.
pub(super) fn read(usage: &Map<String, Value>, context: Context<'_>) -> Option<Reported> {
    let mut counts = Counts::new(usage, &[UNDERSTOOD]);
    let text = |field: &str| usage.get(field).and_then(Value::as_str);
    let mut total = classes(&mut counts, context.written_first)?;
    match text("inference_geo") {
        None | Some("" | "us" | "global" | "not_available") => {}
        Some(_) => counts.name("inference_geo"),
    }
    // A speed is a tier of prices. Where none is said, it is the one that was asked for.
    let service_tier = match (text("speed"), text("service_tier")) {
        (Some(speed), None | Some("standard")) => Some(speed),
        (None, tier) => tier.filter(|tier| *tier != "standard"),
        (Some("standard"), tier) => tier,
        (Some(_), Some(_)) => {
            counts.name("speed");
            None
        }
    };
    let iterations = usage.get("iterations").and_then(Value::as_array);
    let mut fell_back = false;
    for iteration in iterations.into_iter().flatten().filter_map(Value::as_object) {
        let text = |field: &str| iteration.get(field).and_then(Value::as_str);
        let kind = text("type").unwrap_or("?");
        let other_model = text("model").is_some_and(|model| model != context.model);
        let mut inner = Counts::new(iteration, &[UNDERSTOOD]);
        let used = classes(&mut inner, None).unwrap_or_default();
        // A model that declined before any output is listed and not charged.
        let charged = used.completion_tokens() > 0 || !other_model;
        fell_back |= kind == "fallback_message";
        match kind {
            "message" if !(charged && other_model) => {}
            // The sums leave it out; it ran on the same model.
            "compaction" if !other_model => total = plus(total, used),
            _ => counts.name(&format!("iterations.{kind}")),
        }
        for name in inner.unknown {
            counts.name(&format!("iterations.{name}"));
        }
    }
    Some(Reported {
        usage: total,
        cost: None,
        service_tier: service_tier.map(str::to_owned),
        unbilled: context.refused_at_once && !fell_back,
        us_geography: text("inference_geo") == Some("us"),
        unknown_fields: counts.unknown,
        ..Reported::default()
    })
}

fn classes(counts: &mut Counts<'_>, written_first: Option<u64>) -> Option<Usage> {
    let (prompt, output) = (counts.get("input_tokens")?, counts.get("output_tokens")?);
    let mut of = |path: &str| counts.get(path);
    let five = of("cache_creation.ephemeral_5m_input_tokens").unwrap_or_default();
    let hour = of("cache_creation.ephemeral_1h_input_tokens").unwrap_or_default();
    let split = five.saturating_add(hour);
    let written = of("cache_creation_input_tokens").unwrap_or_default();
    // Beyond the split: what came after the first event is for five minutes, the rest is not
    // told and counts as the dearer.
    let later = written_first.map_or(0, |first| written.saturating_sub(first.max(split)));
    let untold = written.saturating_sub(split).saturating_sub(later);
    let thought = of("output_tokens_details.thinking_tokens").unwrap_or_default().min(output);
    Some(Usage {
        prompt,
        cached: of("cache_read_input_tokens").unwrap_or_default(),
        cache_write_5m: five.saturating_add(later),
        cache_write_1h: hour.saturating_add(untold),
        completion: output.saturating_sub(thought),
        reasoning: thought,
        web_searches: of("server_tool_use.web_search_requests").unwrap_or_default(),
        ..Usage::default()
    })
}

fn plus(one: Usage, other: Usage) -> Usage {
    Usage {
        prompt: one.prompt.saturating_add(other.prompt),
        cached: one.cached.saturating_add(other.cached),
        cache_write_5m: one.cache_write_5m.saturating_add(other.cache_write_5m),
        cache_write_1h: one.cache_write_1h.saturating_add(other.cache_write_1h),
        completion: one.completion.saturating_add(other.completion),
        reasoning: one.reasoning.saturating_add(other.reasoning),
        ..one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(json: &str, written_first: Option<u64>) -> Reported {
        let usage: Map<String, Value> = serde_json::from_str(json).unwrap();
        read(&usage, Context { model: "m", written_first, refused_at_once: false }).unwrap()
    }

    #[test]
    fn a_write_is_split_by_lifetime_and_an_untold_one_is_the_dearer() {
        let split = r#"{"input_tokens":3,"output_tokens":4,"cache_read_input_tokens":5,
            "cache_creation_input_tokens":30,
            "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}"#;
        let untold = r#"{"input_tokens":3,"output_tokens":4,"cache_creation_input_tokens":30}"#;
        let writes = |usage: Usage| (usage.cache_write_5m, usage.cache_write_1h);

        let told = reported(split, None).usage;

        assert_eq!((writes(told), told.cached, told.prompt), ((10, 20), 5, 3));
        assert_eq!(writes(reported(untold, None).usage), (0, 30));
        assert_eq!(writes(reported(untold, Some(10)).usage), (20, 10));
        let rise = split.replace(":30", ":42");
        assert_eq!(writes(reported(&rise, Some(30)).usage), (22, 20));
    }

    #[test]
    fn compaction_is_added_and_another_model_charges_the_hold() {
        let with = |entry: &str| {
            format!(
                r#"{{"input_tokens":10,"output_tokens":5,"iterations":[
                    {{"type":"message","input_tokens":10,"output_tokens":5}},{entry}]}}"#
            )
        };
        let compacted =
            reported(&with(r#"{"type":"compaction","input_tokens":100,"output_tokens":7}"#), None);
        let advised = reported(
            &with(r#"{"type":"advisor_message","model":"x","input_tokens":1,"output_tokens":1}"#),
            None,
        );

        assert_eq!(compacted.usage.total_tokens(), 122);
        assert!(compacted.unknown_fields.is_empty());
        assert_eq!(advised.unknown_fields, ["iterations.advisor_message"]);
    }

    #[test]
    fn what_the_standard_price_does_not_cover_is_said() {
        let with = |rest: &str| format!(r#"{{"input_tokens":1,"output_tokens":9,{rest}}}"#);
        let searched = reported(
            &with(r#""server_tool_use":{"web_search_requests":2,"image_search_requests":1}"#),
            None,
        );

        assert_eq!(searched.usage.web_searches, 2);
        assert_eq!(searched.unknown_fields, ["server_tool_use.image_search_requests"]);
        assert!(reported(&with(r#""inference_geo":"us""#), None).us_geography);
        assert!(!reported(&with(r#""inference_geo":"global""#), None).us_geography);
        let tier = |rest: &str| reported(&with(rest), None).service_tier;
        assert_eq!(tier(r#""speed":"fast","service_tier":"standard""#).as_deref(), Some("fast"));
        assert_eq!(tier(r#""speed":"standard""#).as_deref(), Some("standard"));
        assert_eq!(tier(r#""service_tier":"standard""#), None, "nothing says that it was not fast");
        let both = reported(&with(r#""speed":"fast","service_tier":"priority""#), None);
        assert_eq!(both.unknown_fields, ["speed"]);
        let thought =
            reported(&with(r#""output_tokens_details":{"thinking_tokens":6}"#), None).usage;
        assert_eq!((thought.reasoning, thought.completion), (6, 3));
    }
}
