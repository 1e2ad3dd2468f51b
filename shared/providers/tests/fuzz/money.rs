//! What counts may do to money, however they are written.

use std::borrow::Cow;

use farebox_core::pricing::{
    Card, Charge, FemtoPerToken, Price, Rates, STATED_MAX, Schedule, TOKENS_MAX,
};
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
fn counted(reported: &Reported) -> Option<Money> {
    price().cost(&Reported { service_tier: None, ..reported.clone() }).ok().map(|cost| cost.total)
}

/// What is charged, with `None` as above.
fn settled(reported: &Reported) -> Option<Money> {
    match Charge::of(reported, counted(reported)) {
        Charge::Stated(cost) | Charge::Counted(cost) => Some(cost),
        Charge::Nothing => Some(Money::ZERO),
        Charge::Hold => None,
    }
}

/// What must hold of all counts that a decoder takes for counts.
pub fn assert_sane(target: &Target, reported: &Reported) {
    assert!(!reported.unbilled || target.kind == Kind::Messages, "unbilled: {reported:?}");
    assert!(reported.unknown_fields.len() <= 16, "{}", reported.unknown_fields.len());
    if let Some(stated) = reported.stated() {
        assert!(Money::ZERO <= stated && stated <= STATED_MAX, "{reported:?}");
        assert_eq!(settled(reported), Some(stated), "a statement is what is charged: {reported:?}");
        return;
    }
    let Some(cost) = settled(reported) else { return };
    if !reported.unbilled {
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
            let Some(told) = decode(&body) else { continue };
            let Some(before) = settled(&told) else { continue };
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
                    // No count moves an amount that the provider states.
                    after if told.cost.is_some() => assert_eq!(after, Some(before), "{place}"),
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

#[test]
fn an_amount_that_is_spoilt_is_no_statement_and_the_counts_decide() {
    let usage = |cost: &Value| {
        json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": cost,
            "cost_in_usd_ticks": cost})
    };
    let message = json!({"role": "assistant", "content": "hi"});
    let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
    let spoilt = [
        json!(-1),
        json!(-1e-12),
        json!(f64::MAX),
        json!("0.1"),
        json!(true),
        json!([1]),
        json!(null),
        json!({"total_cost": -1}),
        json!({"total_cost": "1"}),
        json!({"total_cost": 10_001}),
        json!(10_001_i64 * 10_000_000_000),
    ];
    let mut read = 0;
    for target in targets().iter().filter(|target| target.provider.usage.cost.is_some()) {
        let told = |cost: &Value| {
            let body = json!({"id": "c", "model": "m", "choices": choices, "usage": usage(cost)});
            target.wire.decode(target.provider, body.to_string().as_bytes()).ok()?.reported
        };
        let Some(plain) = told(&json!(null)) else { continue };
        let ours = settled(&plain);
        assert!(ours.is_some(), "{}", crate::name(target));
        for bad in &spoilt {
            read += 1;
            let told = told(bad).unwrap();
            assert_eq!(told.stated(), None, "{} {bad}", crate::name(target));
            assert_eq!(settled(&told), ours, "{} {bad}", crate::name(target));
        }
    }
    assert!(read >= 3 * spoilt.len(), "{read}");
}
