//! `usageMetadata`. Its counts include each other in part: what is cached is inside the prompt,
//! thoughts and the results of the provider's own tools stand beside everything.

use farebox_core::{Reported, Usage};
use serde_json::{Map, Value};

use crate::usage::Counts;

/// What is understood. The details by modality are read apart.
const UNDERSTOOD: &[&str] = &[
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
    "promptTokensDetails.*",
    "candidatesTokensDetails.*",
    "toolUsePromptTokensDetails.*",
    "cacheTokensDetails.*",
    // Vertex says this beside the counts of a count: characters are not billed any more.
    "totalBillableCharacters",
];

/// Modalities that are billed as text is. Audio is apart, and an image as output is not known.
const AS_TEXT: [&str; 5] = ["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "VIDEO", "DOCUMENT"];

/// Reads the last `usageMetadata` of an answer. `None` where it does not tell the prompt: some
/// chunks of Vertex carry a traffic type alone. A count of zero is left out by the format.
pub(super) fn read(usage: &Map<String, Value>, web_searches: u64) -> Option<Reported> {
    let mut counts = Counts::new(usage, &[UNDERSTOOD]);
    let prompt = counts.get("promptTokenCount")?;
    let mut of = |path: &str| counts.get(path).unwrap_or_default();
    let candidates = of("candidatesTokenCount");
    let thoughts = of("thoughtsTokenCount");
    let tools = of("toolUsePromptTokenCount");
    let cached = of("cachedContentTokenCount");
    let total = counts.get("totalTokenCount").unwrap_or_default();
    let sum = [candidates, thoughts, tools].into_iter().fold(prompt, u64::saturating_add);
    // Tokens that no count explains may be billed.
    if total > sum {
        counts.name("totalTokenCount");
    }
    if cached > prompt {
        counts.name("cachedContentTokenCount");
    }
    let mut audio = |details: &str| audio(usage, details, &mut counts);
    let heard = audio("promptTokensDetails").saturating_add(audio("toolUsePromptTokensDetails"));
    let (heard_cached, spoken) = (audio("cacheTokensDetails"), audio("candidatesTokensDetails"));
    let input = prompt.saturating_add(tools);
    let cached = cached.min(input);
    let rest = input.saturating_sub(cached);
    let heard = heard.saturating_sub(heard_cached).min(rest);
    let spoken = spoken.min(candidates);
    let service_tier = service_tier(usage, &mut counts);
    Some(Reported {
        usage: Usage {
            prompt: rest.saturating_sub(heard),
            cached,
            audio_prompt: heard,
            completion: candidates.saturating_sub(spoken),
            reasoning: thoughts,
            audio_completion: spoken,
            web_searches,
            ..Usage::default()
        },
        service_tier,
        unknown_fields: counts.unknown,
        ..Reported::default()
    })
}

/// The tokens of audio in a list of `{modality, tokenCount}`. An image that was made has a price
/// of its own, which no price list here carries: it charges the hold, as does an unknown kind.
fn audio(usage: &Map<String, Value>, details: &str, counts: &mut Counts<'_>) -> u64 {
    let mut heard = 0_u64;
    let list = usage.get(details).and_then(Value::as_array);
    for detail in list.into_iter().flatten() {
        let told = detail.get("tokenCount").and_then(|told| counts.count(told, details));
        let tokens = told.unwrap_or_default();
        let modality = detail.get("modality").and_then(Value::as_str).unwrap_or("?");
        let made = details == "candidatesTokensDetails" && modality != "TEXT";
        match modality {
            _ if tokens == 0 => {}
            "AUDIO" => heard = heard.saturating_add(tokens),
            _ if AS_TEXT.contains(&modality) && !made => {}
            _ => counts.name(&format!("{details}.{modality}")),
        }
    }
    heard
}

/// The tier that was really used: the Gemini API says it plainly, Vertex as a kind of traffic.
/// Throughput that was bought before is told as such and priced as if it had not been.
fn service_tier(usage: &Map<String, Value>, counts: &mut Counts<'_>) -> Option<String> {
    let text = |field: &str| usage.get(field).and_then(Value::as_str);
    let traffic = match text("trafficType").unwrap_or_default() {
        "" | "TRAFFIC_TYPE_UNSPECIFIED" | "ON_DEMAND" | "PROVISIONED_THROUGHPUT" => None,
        "ON_DEMAND_PRIORITY" => Some("priority"),
        "ON_DEMAND_FLEX" => Some("flex"),
        _ => {
            counts.name("trafficType");
            None
        }
    };
    let stated = text("serviceTier").map(str::to_ascii_lowercase);
    stated.or(traffic.map(str::to_owned)).filter(|tier| tier != "unspecified")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(json: &str) -> Reported {
        let usage: Map<String, Value> = serde_json::from_str(json).unwrap();
        read(&usage, 0).unwrap()
    }

    #[test]
    fn classes_are_disjoint_and_add_up() {
        let reported = reported(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":20,
                "thoughtsTokenCount":7,"toolUsePromptTokenCount":5,"totalTokenCount":132,
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},
                    {"modality":"AUDIO","tokenCount":30}],
                "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10},
                    {"modality":"TEXT","tokenCount":30}],
                "serviceTier":"STANDARD"}"#,
        );

        let expected = Usage {
            prompt: 45,
            cached: 40,
            audio_prompt: 20,
            completion: 20,
            reasoning: 7,
            ..Usage::default()
        };
        assert_eq!(reported.usage, expected);
        assert_eq!(reported.usage.total_tokens(), 132);
        assert!(reported.unknown_fields.is_empty(), "{reported:?}");
        assert_eq!(reported.service_tier.as_deref(), Some("standard"));
    }

    #[test]
    fn what_the_price_list_does_not_cover_is_named() {
        let with =
            |rest: &str| format!(r#"{{"promptTokenCount":9,"candidatesTokenCount":9,{rest}}}"#);
        for (rest, named) in [
            (r#""totalTokenCount":90"#, "totalTokenCount"),
            (r#""cachedContentTokenCount":10"#, "cachedContentTokenCount"),
            (r#""groundingTokenCount":1"#, "groundingTokenCount"),
            (
                r#""candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":3}]"#,
                "candidatesTokensDetails.IMAGE",
            ),
            (
                r#""promptTokensDetails":[{"modality":"SMELL","tokenCount":3}]"#,
                "promptTokensDetails.SMELL",
            ),
            (r#""trafficType":"TELEPATHY""#, "trafficType"),
        ] {
            assert_eq!(reported(&with(rest)).unknown_fields, [named], "{rest}");
        }
        assert!(reported(&with(r#""totalTokenCount":18"#)).unknown_fields.is_empty());
        let priority = reported(&with(r#""trafficType":"ON_DEMAND_PRIORITY""#));
        assert_eq!(priority.service_tier.as_deref(), Some("priority"));
    }

    #[test]
    fn a_count_of_zero_is_left_out_and_a_traffic_type_alone_is_no_usage() {
        let blocked = reported(r#"{"promptTokenCount":12,"totalTokenCount":12}"#);
        let traffic: Map<String, Value> =
            serde_json::from_str(r#"{"trafficType":"ON_DEMAND"}"#).unwrap();

        assert_eq!((blocked.usage.prompt, blocked.usage.completion_tokens()), (12, 0));
        assert_eq!(read(&traffic, 0), None);
    }
}
