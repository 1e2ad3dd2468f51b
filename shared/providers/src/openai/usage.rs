//! Usage of `OpenAI`'s shape, and of those who follow it more or less.

use farebox_core::{Money, Reported, Usage};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::DecodeError;
use crate::amount::usd_up;
use crate::json::Text;
use crate::usage::{Counts, object};

/// How a provider's counts depart from `OpenAI`'s.
#[derive(Clone, Copy)]
pub struct UsageRules {
    /// `completion_tokens` leaves reasoning out, also where no total tells.
    pub reasoning_outside: bool,
    /// Where the provider states what it charged.
    pub cost: Option<Cost>,
}

/// Reads what a provider states that it charged.
pub type Cost = fn(&Costs<'_>) -> Option<Money>;

impl UsageRules {
    /// `OpenAI`'s own.
    pub const OPENAI: Self = Self { reasoning_outside: false, cost: None };
}

/// The fields in which providers state what they charged. What is stated is what the call is
/// charged, so each reader says what its amount contains.
#[derive(Deserialize)]
pub struct Costs<'a> {
    /// `OpenRouter`: a number of USD. Perplexity: an object with `total_cost`.
    #[serde(borrow, default)]
    cost: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cost_details: Option<CostDetails<'a>>,
    #[serde(default)]
    is_byok: Option<bool>,
    #[serde(default)]
    cost_in_usd_ticks: Option<u64>,
}

#[derive(Deserialize)]
struct CostDetails<'a> {
    #[serde(borrow, default)]
    upstream_inference_cost: Option<&'a RawValue>,
}

/// xAI: `cost_in_usd_ticks`, 10⁻¹⁰ USD each. "The actual amount billed, after all applicable
/// discounts", tokens and tools (docs.x.ai/developers/cost-tracking, read 2026-09). A zero is no
/// statement: other hosts of its models send it with every answer, and xAI has nothing free.
#[must_use]
pub fn cost_in_ticks(costs: &Costs<'_>) -> Option<Money> {
    let ticks = costs.cost_in_usd_ticks.filter(|ticks| *ticks > 0)?;
    Money::from_pico(i128::from(ticks).saturating_mul(100)).ok()
}

/// `OpenRouter`: `cost`, "the total amount charged to your account": the served tier, plugins and
/// searches included, the fee for buying credits not (openrouter.ai/docs, usage accounting, read
/// 2026-08-22). A zero is true: free models, hits of its answer cache, and answers that its
/// insurance covers cost nothing. With the owner's own key at the upstream (`is_byok`) it is the
/// fee alone, and what the upstream charges is added. Whether it is such a key must be said where
/// the upstream charged more than the account.
#[must_use]
pub fn cost_in_usd(costs: &Costs<'_>) -> Option<Money> {
    let cost = usd_up(costs.cost?.get())?;
    let details = costs.cost_details.as_ref();
    let upstream = details.and_then(|details| details.upstream_inference_cost);
    let upstream = upstream.map(|cost| usd_up(cost.get()));
    match costs.is_byok {
        Some(false) => Some(cost),
        Some(true) => cost.plus(upstream??),
        None => Some(cost).filter(|cost| upstream.flatten().is_none_or(|most| most <= *cost)),
    }
}

/// Perplexity: `cost.total_cost`, in USD: tokens, the fee of the request, searches and citations
/// (perplexityai/perplexity-py, `usage_info.py`). Recorded amounts are rounded to 10⁻⁵ USD part
/// by part; whether the invoice is too is not known, and its word is taken. A zero is no
/// statement: every chunk of a stream but the last has one.
#[must_use]
pub fn cost_total(costs: &Costs<'_>) -> Option<Money> {
    #[derive(Deserialize)]
    struct Total<'a> {
        #[serde(borrow)]
        total_cost: &'a RawValue,
        #[serde(borrow, default)]
        currency: Option<Text<'a>>,
    }
    let total: Total<'_> = serde_json::from_str(costs.cost?.get()).ok()?;
    let is_usd = total.currency.is_none_or(|currency| currency.0 == "USD");
    usd_up(total.total_cost.get()).filter(|cost| is_usd && *cost > Money::ZERO)
}

/// What is understood, or is a part of an understood count at the same price.
const UNDERSTOOD: &[&str] = &[
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details.cached_tokens",
    "prompt_tokens_details.cache_write_tokens",
    "prompt_tokens_details.audio_tokens",
    "prompt_tokens_details.text_tokens",
    "prompt_tokens_details.image_tokens",
    "prompt_tokens_details.video_tokens",
    "prompt_token_details.cached_tokens",
    "completion_tokens_details.reasoning_tokens",
    "completion_tokens_details.audio_tokens",
    "completion_tokens_details.text_tokens",
    "completion_tokens_details.accepted_prediction_tokens",
    "completion_tokens_details.rejected_prediction_tokens",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "cached_tokens",
    "num_cached_tokens",
    "connector_tokens",
    "server_tool_use.web_search_requests",
    "server_tool_use_details.web_search_requests",
];

/// Times, rates, and the seconds behind audio tokens; amounts are read apart from counts.
const INFORMATIONAL: &[&str] = &[
    "prompt_audio_seconds",
    "prompt_time",
    "completion_time",
    "queue_time",
    "total_time",
    "latency_checkpoint.*",
    "prompt_tokens_per_second",
    "tokens_per_second",
    "time_per_output_token_ms",
    "time_to_first_token_ms",
    "draft_tokens",
    "draft_tokens_acceptance",
    "cost",
    "cost.*",
    "cost_details.*",
    "cost_in_usd_ticks",
];

/// Reads a usage object. `None` where it tells neither the prompt and the completion nor what the
/// call was charged.
pub fn read(
    usage: &RawValue,
    rules: &UsageRules,
    service_tier: Option<&str>,
) -> Result<Option<Reported>, DecodeError> {
    let object = object(usage)?;
    let mut counts = Counts::new(&object, &[UNDERSTOOD, INFORMATIONAL]);
    let usage_read = disjoint(&mut counts, rules);
    let cost = rules.cost.and_then(|cost| stated(usage, cost));
    let Some(usage) = counts.read_or_stated(usage_read, cost, "prompt_tokens") else {
        return Ok(None);
    };
    let tier = object.get("service_tier").and_then(Value::as_str);
    Ok(Some(Reported {
        usage,
        service_tier: service_tier.or(tier).map(str::to_owned),
        unknown_fields: counts.unknown,
        cost,
        ..Reported::default()
    }))
}

/// Groq: what each of several models used (groq/groq-python, `usage_breakdown`), summed. Where one
/// is not the answer's, which has another price, or the sum is more than the usage says, it is
/// named, and the hold is charged.
pub fn check_breakdown(reported: &mut Reported, parts: &RawValue, model: &str, rules: &UsageRules) {
    #[derive(Deserialize)]
    struct Parts<'a> {
        #[serde(borrow, default)]
        models: Vec<Part<'a>>,
    }
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, default)]
        model: Option<Text<'a>>,
        #[serde(borrow)]
        usage: &'a RawValue,
    }
    let parts: Option<Parts<'_>> = serde_json::from_str(parts.get()).ok();
    let total = parts.and_then(|parts| {
        parts.models.iter().try_fold(0_u64, |sum, part| {
            let is_own = part.model.as_ref().is_some_and(|name| name.0 == model);
            let used = read(part.usage, rules, None).ok().flatten().filter(|_| is_own)?;
            Some(sum.saturating_add(used.usage.total_tokens()))
        })
    });
    if total.is_none_or(|total| total > reported.usage.total_tokens()) {
        crate::usage::push(&mut reported.unknown_fields, "usage_breakdown");
    }
}

/// What a usage object states that the call was charged.
pub fn stated(usage: &RawValue, cost: Cost) -> Option<Money> {
    let costs: Costs<'_> = serde_json::from_str(usage.get()).ok()?;
    cost(&costs)
}

/// `OpenAI`'s counts include each other; these classes do not.
fn disjoint(counts: &mut Counts<'_>, rules: &UsageRules) -> Option<Usage> {
    let total = counts.get("total_tokens");
    let (prompt, completion) =
        match (counts.get("prompt_tokens"), counts.get("completion_tokens"), total) {
            (Some(prompt), Some(completion), _) => (prompt, completion),
            (Some(prompt), None, Some(total)) => (prompt, total.saturating_sub(prompt)),
            (None, Some(completion), Some(total)) => (total.saturating_sub(completion), completion),
            _ => return None,
        };
    let mut most = |paths: &[&str]| paths.iter().filter_map(|path| counts.get(path)).max();
    let cached = most(&[
        "prompt_tokens_details.cached_tokens",
        "prompt_token_details.cached_tokens",
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "num_cached_tokens",
    ]);
    let written = most(&["prompt_tokens_details.cache_write_tokens"]);
    // Mistral: what its connectors read stands beside the prompt, at the same price
    // (docs.mistral.ai, web search; openapi.yaml, ConversationUsageInfo).
    let connectors = most(&["connector_tokens"]).unwrap_or_default();
    let prompt = prompt.saturating_add(connectors);
    let audio = most(&["prompt_tokens_details.audio_tokens"]).unwrap_or_default();
    let reasoning = most(&["completion_tokens_details.reasoning_tokens"]).unwrap_or_default();
    let spoken = most(&["completion_tokens_details.audio_tokens"]).unwrap_or_default();
    let searches = most(&[
        "server_tool_use.web_search_requests",
        "server_tool_use_details.web_search_requests",
    ]);

    let sums = Sums { prompt, completion, audio, reasoning };
    let Sums { prompt, completion, audio, reasoning } =
        sums.whole(total, rules).unwrap_or_else(|| {
            counts.name("total_tokens");
            sums
        });

    // A part that is larger than its whole: whether it stands beside it is not known.
    let (cached, written) = (cached.unwrap_or_default(), written.unwrap_or_default());
    if cached.saturating_add(written) > prompt {
        counts.name("prompt_tokens_details.cached_tokens");
    }
    if audio > prompt {
        counts.name("prompt_tokens_details.audio_tokens");
    }
    let mut rest = prompt;
    let mut share = |count: u64| {
        let share = count.min(rest);
        rest = rest.saturating_sub(share);
        share
    };
    let (cached, written) = (share(cached), share(written));
    let audio = share(audio);
    let reasoning = reasoning.min(completion);
    let spoken = spoken.min(completion.saturating_sub(reasoning));
    Some(Usage {
        prompt: rest,
        cached,
        cache_write_5m: written,
        cache_write_1h: 0,
        audio_prompt: audio,
        completion: completion.saturating_sub(reasoning).saturating_sub(spoken),
        reasoning,
        audio_completion: spoken,
        web_searches: searches.unwrap_or_default(),
    })
}

/// The sums, and the details that may stand inside them or beside them.
#[derive(Clone, Copy)]
struct Sums {
    prompt: u64,
    completion: u64,
    audio: u64,
    reasoning: u64,
}

impl Sums {
    /// With every detail inside its sum. The total tells which stood beside them; `None` where
    /// nothing explains the total.
    fn whole(mut self, total: Option<u64>, rules: &UsageRules) -> Option<Self> {
        let Self { prompt, completion, audio, reasoning } = self;
        let gap = total.map(|total| total.saturating_sub(prompt.saturating_add(completion)));
        let mut reasoning_beside = reasoning > completion;
        match gap {
            None => reasoning_beside |= rules.reasoning_outside,
            Some(0) => {}
            Some(gap) if gap == reasoning => reasoning_beside = true,
            Some(gap) if gap == audio => self.prompt = prompt.saturating_add(audio),
            Some(gap) if gap == audio.saturating_add(reasoning) => {
                self.prompt = prompt.saturating_add(audio);
                reasoning_beside = true;
            }
            Some(_) => return None,
        }
        if reasoning_beside {
            self.completion = completion.saturating_add(reasoning);
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(json: &str, rules: &UsageRules) -> Option<Reported> {
        read(&RawValue::from_string(json.to_owned()).unwrap(), rules, None).unwrap()
    }

    fn usage(json: &str) -> Usage {
        reported(json, &UsageRules::OPENAI).unwrap().usage
    }

    #[test]
    fn classes_are_disjoint_and_add_up() {
        let usage = usage(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":40,"cache_write_tokens":10,
                    "audio_tokens":5},
                "completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":7}}"#,
        );

        let expected = Usage {
            prompt: 45,
            cached: 40,
            cache_write_5m: 10,
            audio_prompt: 5,
            completion: 23,
            reasoning: 20,
            audio_completion: 7,
            ..Usage::default()
        };
        assert_eq!(usage, expected);
        assert_eq!((usage.prompt_tokens(), usage.completion_tokens()), (100, 50));
    }

    #[test]
    fn the_total_tells_what_stands_beside_the_sums() {
        let xai = usage(
            r#"{"prompt_tokens":12,"completion_tokens":2,"total_tokens":354,
                "completion_tokens_details":{"reasoning_tokens":340}}"#,
        );
        let mistral = usage(
            r#"{"prompt_tokens":9,"completion_tokens":248,"total_tokens":632,
                "prompt_tokens_details":{"audio_tokens":375}}"#,
        );

        assert_eq!((xai.completion, xai.reasoning), (2, 340));
        assert_eq!((mistral.prompt, mistral.audio_prompt), (9, 375));
    }

    #[test]
    fn a_total_that_nothing_explains_charges_the_hold() {
        let json = r#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":90}"#;

        let strange = reported(json, &UsageRules::OPENAI).unwrap();

        assert_eq!(strange.unknown_fields, ["total_tokens"]);
    }

    #[test]
    fn without_a_total_the_row_tells_where_reasoning_is() {
        let json = r#"{"prompt_tokens":1,"completion_tokens":30,
            "completion_tokens_details":{"reasoning_tokens":10}}"#;
        let outside = UsageRules { reasoning_outside: true, ..UsageRules::OPENAI };

        assert_eq!(usage(json).completion_tokens(), 30);
        assert_eq!(reported(json, &outside).unwrap().usage.completion_tokens(), 40);
    }

    #[test]
    fn an_unknown_count_is_named_and_a_zero_is_not() {
        let json = r#"{"prompt_tokens":1,"completion_tokens":1,"citation_tokens":9,"odd":0,
            "completion_tokens_details":{"image_tokens":3},"deep":[{"n":0},{"n":2}],
            "total_time":0.5,"prompt_tokens_details":{"cached_tokens":"x"}}"#;

        let reported = reported(json, &UsageRules::OPENAI).unwrap();

        assert_eq!(
            reported.unknown_fields,
            [
                "citation_tokens",
                "completion_tokens_details.image_tokens",
                "deep.n",
                "prompt_tokens_details.cached_tokens"
            ]
        );
    }

    #[test]
    fn a_stated_cost_is_read_where_the_row_says_so() {
        let rules = |cost: Cost| UsageRules { cost: Some(cost), ..UsageRules::OPENAI };
        let with = |rest: &str| format!(r#"{{"prompt_tokens":1,"completion_tokens":1,{rest}}}"#);
        let cost = |rest: &str, rules: &UsageRules| {
            reported(&with(rest), rules).unwrap().cost.map(|cost| cost.to_string())
        };
        let (ticks, usd, total) = (rules(cost_in_ticks), rules(cost_in_usd), rules(cost_total));

        let upstream = r#","cost_details":{"upstream_inference_cost":2e-3}"#;
        let byok = format!(r#""cost":0.001,"is_byok":true{upstream}"#);
        let cases = [
            (r#""cost_in_usd_ticks":1721250"#, &ticks, Some("0.000172125")),
            (r#""cost_in_usd_ticks":0"#, &ticks, None),
            (r#""cost_in_usd_ticks":-1"#, &ticks, None),
            (r#""cost_in_usd_ticks":1.5"#, &ticks, None),
            (r#""cost":0.000419,"odd":3"#, &usd, Some("0.000419")),
            (r#""cost":0,"is_byok":false"#, &usd, Some("0")),
            (r#""cost":-0.1"#, &usd, None),
            (r#""cost":"0.1""#, &usd, None),
            (r#""cost":null"#, &usd, None),
            (&byok, &usd, Some("0.003")),
            (&byok.replace("2e-3", "-1"), &usd, None),
            (&byok.replace("true", "false"), &usd, Some("0.001")),
            // Whose key it was is not said, and the upstream charged more.
            (&format!(r#""cost":0{upstream}"#), &usd, None),
            (&format!(r#""cost":0.002{upstream}"#), &usd, Some("0.002")),
            (r#""cost":0.001,"is_byok":true"#, &usd, None),
            (r#""cost":{"total_cost":0.00507}"#, &total, Some("0.00507")),
            (r#""cost":{"total_cost":0.1,"currency":"USD"}"#, &total, Some("0.1")),
            (r#""cost":{"total_cost":0.1,"currency":"EUR"}"#, &total, None),
            (r#""cost":{"total_cost":0}"#, &total, None),
            (r#""cost":0.1"#, &total, None),
            (r#""cost":0.5"#, &UsageRules::OPENAI, None),
        ];
        for (rest, rules, stated) in cases {
            assert_eq!(cost(rest, rules).as_deref(), stated, "{rest}");
        }
    }

    #[test]
    fn what_is_not_understood_stays_named_beside_a_stated_cost() {
        let rules = UsageRules { cost: Some(cost_in_usd), ..UsageRules::OPENAI };
        let stated = reported(r#"{"cost":0.5}"#, &rules).unwrap();
        let odd = r#"{"prompt_tokens":1,"completion_tokens":1,"odd":2,"cost":0.5}"#;

        assert_eq!(stated.cost.map(|cost| cost.to_string()).as_deref(), Some("0.5"));
        // No counts are not counts of zero: an amount that cannot be true leaves the hold.
        assert_eq!(
            (stated.usage, stated.unknown_fields),
            (Usage::default(), vec!["prompt_tokens".to_owned()])
        );
        assert_eq!(reported(odd, &rules).unwrap().unknown_fields, ["odd"]);
    }

    #[test]
    fn a_part_larger_than_its_whole_charges_the_hold() {
        let json = r#"{"prompt_tokens":10,"completion_tokens":213,"total_tokens":223,
            "prompt_tokens_details":{"cached_tokens":161}}"#;

        let reported = reported(json, &UsageRules::OPENAI).unwrap();

        assert_eq!(reported.unknown_fields, ["prompt_tokens_details.cached_tokens"]);
        assert_eq!((reported.usage.prompt, reported.usage.cached), (0, 10));
    }

    #[test]
    fn a_usage_without_its_sums_is_none() {
        assert_eq!(reported("{}", &UsageRules::OPENAI), None);
        assert_eq!(reported(r#"{"prompt_tokens":3}"#, &UsageRules::OPENAI), None);
    }
}
