//! What counts may do to money, however they are written.

use std::borrow::Cow;

use farebox_core::pricing::{Card, FemtoPerToken, Price, Rates, Schedule, TOKENS_MAX};
use farebox_core::{Money, Reported};
use serde_json::{Value, json};

use crate::seeds::{Kind, Seeds, Target, targets};

/// A price at which every class costs something.
fn price() -> Price {
    let of = |femto: u64| FemtoPerToken::new(femto).unwrap();
    let rates = Rates {
        cached: Some(of(300_000_000)),
        cache_write_5m: Some(of(3_750_000_000)),
        cache_write_1h: Some(of(6_000_000_000)),
        audio_input: Some(of(40_000_000_000)),
        reasoning: Some(of(15_000_000_000)),
        audio_output: Some(of(80_000_000_000)),
        ..Rates::new(of(3_000_000_000), Some(of(15_000_000_000)))
    };
    Price {
        version: Cow::Borrowed("fuzz"),
        schedule: Schedule {
            standard: Card { rates, context_tiers: Vec::new() },
            service_tiers: Vec::new(),
        },
        periods: Vec::new(),
        per_request: None,
        web_search: Some(Money::parse_usd("0.01").unwrap()),
        rounded_up: false,
        auto_cache_write: false,
    }
}

/// What the counts come to; `None` is the whole hold, which no call costs more than.
fn settled(reported: &Reported) -> Option<Money> {
    price().cost(&Reported { service_tier: None, ..reported.clone() }).ok().map(|cost| cost.total)
}

/// What must hold of all counts that a decoder takes for counts.
pub fn assert_sane(target: &Target, reported: &Reported) {
    assert!(!reported.unbilled || target.kind == Kind::Messages, "unbilled: {reported:?}");
    assert!(reported.unknown_fields.len() <= 16, "{}", reported.unknown_fields.len());
    let Some(cost) = settled(reported) else { return };
    if reported.cost.is_none() && !reported.unbilled {
        let usage = &reported.usage;
        let total = usage.total_tokens();
        assert!(total <= TOKENS_MAX * 8, "absurd counts are a price: {reported:?}");
        let least = i128::from(total) * 300_000;
        assert!(cost.pico() >= least, "{cost:?} for {total} tokens");
    }
}

/// Every place of a number inside a usage object.
fn numbers(value: &Value, path: &str, inside: bool, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let counts = ["usage", "usageMetadata", "meta"].contains(&name.as_str());
                numbers(value, &format!("{path}/{name}"), inside || counts, found);
            }
        }
        Value::Array(items) => {
            for (place, value) in items.iter().enumerate() {
                numbers(value, &format!("{path}/{place}"), inside, found);
            }
        }
        Value::Number(_) if inside => found.push(path.to_owned()),
        _ => {}
    }
}

/// Amounts in USD, and times.
const NO_COUNTS: [&str; 5] =
    ["cost", "total_cost", "upstream_inference_cost", "cost_in_usd_ticks", "latencyMs"];

#[test]
fn a_count_that_is_negative_absurd_or_no_number_never_makes_a_call_cheaper() {
    let bad = [
        json!(-1),
        json!(-1.5),
        json!(i64::MIN),
        json!(1e30),
        json!(u64::MAX),
        json!(2_000_000_000_u64),
        json!(0.5),
        json!("7"),
        json!(true),
        json!([]),
        json!({}),
    ];
    let (mut changed, mut held) = (0, 0);
    for target in targets() {
        for whole in Seeds::own().wholes(target.kind) {
            let body: Value = serde_json::from_str(whole).unwrap();
            let decode = |body: &Value| {
                target.wire.decode(target.provider, body.to_string().as_bytes()).ok()?.reported
            };
            // Where the provider states its own amount, that one is set beside ours.
            let counted = |told: &Reported| settled(told).filter(|_| told.cost.is_none());
            let Some(before) = decode(&body).as_ref().and_then(counted) else { continue };
            let mut places = Vec::new();
            numbers(&body, "", false, &mut places);
            places.retain(|place| !NO_COUNTS.iter().any(|no| place.ends_with(no)));
            for (place, bad) in
                places.iter().flat_map(|place| bad.iter().map(move |bad| (place, bad)))
            {
                let mut body = body.clone();
                *body.pointer_mut(place).unwrap() = bad.clone();
                changed += 1;
                match decode(&body).as_ref().and_then(settled) {
                    None => held += 1,
                    Some(after) => assert!(
                        after >= before && after.pico() <= before.pico() + 10_i128.pow(12),
                        "{} {place} = {bad}: {after:?} instead of {before:?}",
                        crate::name(&target)
                    ),
                }
            }
        }
    }
    println!("{changed} counts spoilt: {held} charge the hold, the others no less than before");
    assert!(held > changed / 4, "{held} of {changed}");
}
