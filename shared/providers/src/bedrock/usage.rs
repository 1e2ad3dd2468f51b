//! Usage of Converse: its counts are disjoint, but for the lifetimes inside the cache write.

use farebox_core::{Reported, Usage};
use serde_json::{Map, Value};

use crate::usage::Counts;

/// What is understood. The counts with `Count` at their end repeat those without.
const UNDERSTOOD: &[&str] = &[
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
    "cacheDetails.*",
];

/// Reads the usage of an answer or of a `metadata` event. `None` where it does not tell the prompt
/// and the completion.
pub(super) fn read(around: &Map<String, Value>) -> Option<Reported> {
    let usage = around.get("usage")?.as_object()?;
    let mut counts = Counts::new(usage, &[UNDERSTOOD]);
    let (prompt, completion) = (counts.get("inputTokens")?, counts.get("outputTokens")?);
    let mut of = |path: &str| counts.get(path).unwrap_or_default();
    let (cached, written) = (of("cacheReadInputTokens"), of("cacheWriteInputTokens"));
    let details = usage.get("cacheDetails").and_then(Value::as_array);
    let details = details.into_iter().flatten();
    let five: u64 = details
        .filter(|detail| detail.get("ttl").and_then(Value::as_str) == Some("5m"))
        .filter_map(|detail| counts.count(detail.get("inputTokens")?, "cacheDetails.inputTokens"))
        .fold(0, u64::saturating_add);
    if five > written {
        counts.name("cacheDetails.inputTokens");
    }
    let five = five.min(written);
    let read = Usage {
        prompt,
        cached,
        cache_write_5m: five,
        // What is told to live for an hour, and what is not told: the dearer.
        cache_write_1h: written.saturating_sub(five),
        completion,
        ..Usage::default()
    };
    if counts.get("totalTokens").is_some_and(|total| total != read.total_tokens()) {
        counts.name("totalTokens");
    }
    let text = |pointer: [&str; 2]| around.get(pointer[0])?.get(pointer[1])?.as_str();
    // It is dearer, and is not asked for.
    if text(["performanceConfig", "latency"]).is_some_and(|latency| latency != "standard") {
        counts.name("performanceConfig.latency");
    }
    Some(Reported {
        usage: read,
        service_tier: text(["serviceTier", "type"]).map(str::to_owned),
        unknown_fields: counts.unknown,
        ..Reported::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(json: &str) -> Reported {
        read(&serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn a_write_is_split_by_lifetime_and_an_untold_one_is_the_dearer() {
        let of = |details: &str| {
            let json = format!(
                r#"{{"usage":{{"inputTokens":3,"outputTokens":4,"totalTokens":42,
                    "cacheReadInputTokens":5,"cacheReadInputTokenCount":5,
                    "cacheWriteInputTokens":30{details}}}}}"#
            );
            let reported = reported(&json);
            assert_eq!(reported.unknown_fields, Vec::<String>::new(), "{details}");
            (reported.usage.cache_write_5m, reported.usage.cache_write_1h)
        };

        let split =
            r#","cacheDetails":[{"ttl":"5m","inputTokens":10},{"ttl":"1h","inputTokens":20}]"#;
        assert_eq!(of(split), (10, 20));
        assert_eq!(of(r#","cacheDetails":[{"ttl":"5m","inputTokens":30}]"#), (30, 0));
        assert_eq!(of(""), (0, 30));
    }

    #[test]
    fn what_the_price_does_not_cover_is_said() {
        let with = |usage: &str, rest: &str| {
            reported(&format!(r#"{{"usage":{{"inputTokens":1,"outputTokens":2{usage}}}{rest}}}"#))
        };

        assert_eq!(with(r#","totalTokens":9"#, "").unknown_fields, ["totalTokens"]);
        let searched = with(r#","serverToolUsage":{"webSearch":1}"#, "");
        assert_eq!(searched.unknown_fields, ["serverToolUsage.webSearch"]);
        let fast = with("", r#","performanceConfig":{"latency":"optimized"}"#);
        assert_eq!(fast.unknown_fields, ["performanceConfig.latency"]);
        let tier = with("", r#","serviceTier":{"type":"flex"}"#).service_tier;
        assert_eq!(tier.as_deref(), Some("flex"));
        assert_eq!(read(&serde_json::from_str("{}").unwrap()), None);
    }
}
