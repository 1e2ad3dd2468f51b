//! Usage of the Responses API: the counts of its details stand inside the two sums.

use farebox_core::{Reported, Usage};
use serde_json::value::RawValue;

use crate::DecodeError;
use crate::openai::{Cost, stated};
use crate::usage::{Counts, object};

/// What is understood, or is a part of an understood count at the same price.
const UNDERSTOOD: &[&str] = &[
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "input_tokens_details.cached_tokens",
    "input_tokens_details.cache_write_tokens",
    "input_tokens_details.audio_tokens",
    "input_tokens_details.text_tokens",
    "input_tokens_details.image_tokens",
    "output_tokens_details.reasoning_tokens",
    "output_tokens_details.text_tokens",
];

/// xAI: how much of the context is filled, and the amount, which is read apart from the counts.
const INFORMATIONAL: &[&str] = &["context_details.*", "cost_in_usd_ticks"];

/// Reads a usage object. `None` where it tells neither the input and the output nor what the call
/// was charged.
pub(super) fn read(
    usage: &RawValue,
    cost: Option<Cost>,
    service_tier: Option<&str>,
) -> Result<Option<Reported>, DecodeError> {
    let object = object(usage)?;
    let mut counts = Counts::new(&object, &[UNDERSTOOD, INFORMATIONAL]);
    let usage_read = disjoint(&mut counts);
    let cost = cost.and_then(|cost| stated(usage, cost));
    let Some(usage) = counts.read_or_stated(usage_read, cost, "input_tokens") else {
        return Ok(None);
    };
    Ok(Some(Reported {
        usage,
        service_tier: service_tier.filter(|tier| !tier.is_empty()).map(str::to_owned),
        unknown_fields: counts.unknown,
        cost,
        ..Reported::default()
    }))
}

fn disjoint(counts: &mut Counts<'_>) -> Option<Usage> {
    let (input, output) = (counts.get("input_tokens")?, counts.get("output_tokens")?);
    let total = counts.get("total_tokens");
    if total.is_some_and(|total| total != input.saturating_add(output)) {
        counts.name("total_tokens");
    }
    let mut rest = input;
    let mut share = |path: &str| {
        let stated = counts.get(path).unwrap_or_default();
        let share = stated.min(rest);
        rest = rest.saturating_sub(share);
        if share < stated {
            // A part that is larger than its whole: whether it stands beside it is not known.
            counts.name(path);
        }
        share
    };
    let cached = share("input_tokens_details.cached_tokens");
    let written = share("input_tokens_details.cache_write_tokens");
    let audio = share("input_tokens_details.audio_tokens");
    let reasoning = counts.get("output_tokens_details.reasoning_tokens").unwrap_or_default();
    if reasoning > output {
        counts.name("output_tokens_details.reasoning_tokens");
    }
    let reasoning = reasoning.min(output);
    Some(Usage {
        prompt: rest,
        cached,
        cache_write_5m: written,
        audio_prompt: audio,
        completion: output.saturating_sub(reasoning),
        reasoning,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::cost_in_ticks;

    fn reported(json: &str, cost: Option<Cost>) -> Option<Reported> {
        read(&RawValue::from_string(json.to_owned()).unwrap(), cost, Some("default")).unwrap()
    }

    #[test]
    fn classes_are_disjoint_and_add_up() {
        let json = r#"{"input_tokens":100,"output_tokens":50,"total_tokens":150,
            "input_tokens_details":{"cached_tokens":40,"cache_write_tokens":10},
            "output_tokens_details":{"reasoning_tokens":20}}"#;

        let reported = reported(json, None).unwrap();

        let usage = reported.usage;
        assert_eq!((usage.prompt, usage.cached, usage.cache_write_5m), (50, 40, 10));
        assert_eq!((usage.completion, usage.reasoning), (30, 20));
        assert!(reported.unknown_fields.is_empty());
        assert_eq!(reported.service_tier.as_deref(), Some("default"));
    }

    #[test]
    fn what_is_not_understood_is_named_also_beside_a_stated_cost() {
        let with = |rest: &str| format!(r#"{{"input_tokens":10,"output_tokens":5,{rest}}}"#);
        for (rest, unknown) in [
            (r#""total_tokens":16"#, "total_tokens"),
            (r#""num_server_side_tools_used":2"#, "num_server_side_tools_used"),
            (
                r#""input_tokens_details":{"cached_tokens":11}"#,
                "input_tokens_details.cached_tokens",
            ),
            (
                r#""output_tokens_details":{"reasoning_tokens":6}"#,
                "output_tokens_details.reasoning_tokens",
            ),
        ] {
            assert_eq!(reported(&with(rest), None).unwrap().unknown_fields, [unknown]);
            let stated = with(&format!("{rest},\"cost_in_usd_ticks\":5"));
            let stated = reported(&stated, Some(cost_in_ticks)).unwrap();
            assert_eq!(stated.cost.map(|cost| cost.pico()), Some(500));
            assert_eq!(stated.unknown_fields, [unknown]);
        }
        let bare = reported(r#"{"cost_in_usd_ticks":5}"#, Some(cost_in_ticks)).unwrap();
        assert_eq!(bare.unknown_fields, ["input_tokens"]);
    }

    #[test]
    fn a_usage_without_its_sums_is_none() {
        assert_eq!(reported("{}", None), None);
        assert_eq!(reported(r#"{"input_tokens":-1,"output_tokens":0}"#, None), None);
    }
}
