//! The rules of prices, each as a claim: what a call may cost and what it did cost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;

use farebox_core::pricing::{
    Bound, CacheWrite, Card, ContextTier, FemtoPerToken, Period, Price, PricingError, Rates,
    Schedule, ServiceTier, TOKENS_MAX, When,
};
use farebox_core::{Money, Reported, Timestamp, Usage};

fn femto(usd_per_million: &str) -> Option<FemtoPerToken> {
    if usd_per_million.is_empty() {
        return None;
    }
    Some(FemtoPerToken::parse(usd_per_million).unwrap().0)
}

/// input, cached, write 5m, write 1h, audio in, audio cached, output, reasoning, audio out.
type Texts = [&'static str; 9];

fn rates(texts: Texts) -> Rates {
    let [input, cached, write_5m, write_1h, audio, audio_cached, output, reasoning, audio_out] =
        texts.map(femto);
    Rates {
        input: input.unwrap(),
        cached,
        cache_write_5m: write_5m,
        cache_write_1h: write_1h,
        audio_input: audio,
        audio_cached,
        output,
        reasoning,
        audio_output: audio_out,
    }
}

fn card(texts: Texts) -> Card {
    Card { rates: rates(texts), context_tiers: Vec::new() }
}

fn price(texts: Texts) -> Price {
    Price {
        version: Cow::Borrowed("test"),
        schedule: Schedule { standard: card(texts), service_tiers: Vec::new() },
        periods: Vec::new(),
        per_request: None,
        web_search: None,
        rounded_up: false,
        auto_cache_write: false,
    }
}

fn with_tier(mut price: Price, name: &'static str, texts: Texts) -> Price {
    let tier = ServiceTier { name: Cow::Borrowed(name), card: card(texts) };
    price.schedule.service_tiers.push(tier);
    price
}

fn with_context_tier(mut price: Price, above_tokens: u64, texts: Texts) -> Price {
    let tier = ContextTier { above_tokens, rates: rates(texts) };
    price.schedule.standard.context_tiers.push(tier);
    price
}

fn reported(usage: Usage) -> Reported {
    Reported { usage, ..Reported::default() }
}

fn prompt(prompt: u64) -> Reported {
    reported(Usage { prompt, ..Usage::default() })
}

fn bound(prompt_tokens: u64, completion_tokens: u64) -> Bound {
    Bound { prompt_tokens, completion_tokens, ..Bound::default() }
}

fn hold(price: &Price, bound: &Bound) -> i128 {
    price.hold(bound).unwrap().pico()
}

fn cost(price: &Price, reported: &Reported) -> i128 {
    price.cost(reported).unwrap().total.pico()
}

fn unknown(class: &'static str) -> PricingError {
    PricingError::PriceUnknown { class }
}

const PLAIN: Texts = ["2", "", "", "", "", "", "10", "", ""];
const CACHING: Texts = ["2", "0.2", "2.5", "4", "", "", "10", "", ""];

#[test]
fn a_hold_is_the_bounds_at_their_prices() {
    assert_eq!(hold(&price(PLAIN), &bound(1_000, 500)), 2_000_000_000 + 5_000_000_000);
}

#[test]
fn a_hold_is_at_least_one_pico() {
    let free = price(["0", "", "", "", "", "", "0", "", ""]);

    assert_eq!(free.hold(&bound(1_000, 1_000)), Ok(Money::ONE_PICO));
    assert_eq!(cost(&free, &prompt(1_000)), 0);
}

#[test]
fn a_missing_cached_price_is_the_input_price() {
    let usage = reported(Usage { cached: 100, ..Usage::default() });

    assert_eq!(cost(&price(PLAIN), &usage), cost(&price(PLAIN), &prompt(100)));
    assert_eq!(cost(&price(CACHING), &usage), 100 * 200_000);
}

#[test]
fn a_cache_write_without_a_price_is_refused_when_asked_for() {
    let only_5m = price(["2", "0.2", "2.5", "", "", "", "10", "", ""]);
    let asked = |cache_write| Bound { cache_write, ..bound(10, 10) };

    assert_eq!(price(PLAIN).hold(&asked(CacheWrite::FiveMinutes)), Err(unknown("cache_write_5m")),);
    assert_eq!(only_5m.hold(&asked(CacheWrite::OneHour)), Err(unknown("cache_write_1h")));
    assert!(only_5m.hold(&asked(CacheWrite::FiveMinutes)).is_ok());
    assert!(price(PLAIN).hold(&asked(CacheWrite::None)).is_ok());
}

#[test]
fn a_cache_write_without_a_price_that_happened_costs_the_dearest_input_price() {
    let only_5m = price(["2", "0.2", "2.5", "", "", "", "10", "", ""]);
    let written = reported(Usage { cache_write_1h: 10, ..Usage::default() });

    assert_eq!(cost(&only_5m, &written), 10 * 2_500_000);
    assert_eq!(cost(&price(PLAIN), &written), 10 * 2_000_000);
}

#[test]
fn an_asked_cache_write_bounds_every_prompt_token() {
    let asked = |cache_write| Bound { cache_write, ..bound(1_000, 0) };

    assert_eq!(hold(&price(CACHING), &asked(CacheWrite::None)), 2_000_000_000);
    assert_eq!(hold(&price(CACHING), &asked(CacheWrite::FiveMinutes)), 2_500_000_000);
    assert_eq!(hold(&price(CACHING), &asked(CacheWrite::OneHour)), 4_000_000_000);
}

#[test]
fn a_provider_that_writes_its_cache_unasked_is_held_at_the_write_price() {
    let auto = Price { auto_cache_write: true, ..price(CACHING) };
    let auto_without_price = Price { auto_cache_write: true, ..price(PLAIN) };

    assert_eq!(hold(&auto, &bound(1_000, 0)), 2_500_000_000);
    assert_eq!(auto_without_price.hold(&bound(1, 0)), Err(unknown("cache_write_5m")));
}

#[test]
fn a_cached_discount_never_lowers_a_hold_and_a_cached_surcharge_raises_it() {
    let dear = price(["2", "5", "", "", "", "", "10", "", ""]);

    assert_eq!(hold(&price(CACHING), &bound(1_000, 0)), hold(&price(PLAIN), &bound(1_000, 0)));
    assert_eq!(hold(&dear, &bound(1_000, 0)), 5_000_000_000);
}

#[test]
fn reasoning_without_a_price_costs_the_output_price() {
    let usage = reported(Usage { reasoning: 10, ..Usage::default() });
    let dearer = price(["2", "", "", "", "", "", "10", "30", ""]);

    assert_eq!(cost(&price(PLAIN), &usage), 10 * 10_000_000);
    assert_eq!(cost(&dearer, &usage), 10 * 30_000_000);
    assert_eq!(hold(&dearer, &bound(0, 10)), 10 * 30_000_000);
}

#[test]
fn audio_needs_a_price_before_the_call_and_leaves_the_hold_to_decide_after_it() {
    let prompt = reported(Usage { audio_prompt: 1, ..Usage::default() });
    let completion = reported(Usage { audio_completion: 1, ..Usage::default() });
    let plain = price(PLAIN);

    assert_eq!(
        plain.hold(&Bound { audio_prompt: true, ..bound(1, 1) }),
        Err(unknown("audio_prompt")),
    );
    assert_eq!(
        plain.hold(&Bound { audio_completion: true, ..bound(1, 1) }),
        Err(unknown("audio_completion")),
    );
    assert_eq!(plain.cost(&prompt), Err(unknown("audio_prompt")));
    assert_eq!(plain.cost(&completion), Err(unknown("audio_completion")));
}

#[test]
fn audio_bounds_both_sides_at_its_price() {
    let audio = price(["2", "", "", "", "40", "", "10", "", "80"]);
    let both = Bound { audio_prompt: true, audio_completion: true, ..bound(10, 10) };

    assert_eq!(hold(&audio, &both), 10 * 40_000_000 + 10 * 80_000_000);
    assert_eq!(hold(&audio, &bound(10, 10)), 10 * 2_000_000 + 10 * 10_000_000);
}

#[test]
fn an_embedding_model_has_no_completion() {
    let embedding = price(["0.1", "", "", "", "", "", "", "", ""]);

    assert_eq!(hold(&embedding, &bound(10, 0)), 1_000_000);
    assert_eq!(embedding.hold(&bound(10, 1)), Err(unknown("completion")));
    assert_eq!(
        embedding.completion_bound_within(&bound(10, 5), Money::parse_usd("1").unwrap()),
        Some(0)
    );
}

#[test]
fn a_longer_prompt_reprices_the_whole_request_strictly_above_the_threshold() {
    let long = ["4", "0.4", "5", "8", "", "", "15", "", ""];
    let tiered = with_context_tier(price(CACHING), 272_000, long);
    let at = |cached| reported(Usage { prompt: 2_000, cached, completion: 10, ..Usage::default() });

    assert_eq!(cost(&tiered, &at(270_000)), 2_000 * 2_000_000 + 270_000 * 200_000 + 100_000_000);
    assert_eq!(cost(&tiered, &at(270_001)), 2_000 * 4_000_000 + 270_001 * 400_000 + 150_000_000);
}

#[test]
fn a_hold_counts_with_a_context_tier_only_when_the_bound_passes_it() {
    let long = ["4", "", "", "", "", "", "15", "", ""];
    let tiered = with_context_tier(price(PLAIN), 100, long);

    assert_eq!(hold(&tiered, &bound(100, 10)), 100 * 2_000_000 + 10 * 10_000_000);
    assert_eq!(hold(&tiered, &bound(101, 10)), 101 * 4_000_000 + 10 * 15_000_000);
}

#[test]
fn a_cheaper_context_tier_never_lowers_a_hold() {
    let cheap = ["1", "", "", "", "", "", "5", "", ""];
    let tiered = with_context_tier(price(PLAIN), 100, cheap);

    assert_eq!(hold(&tiered, &bound(101, 0)), 101 * 2_000_000);
}

#[test]
fn the_returned_service_tier_decides_the_cost() {
    let tiers = with_tier(price(PLAIN), "priority", ["4", "", "", "", "", "", "20", "", ""]);
    let tiers = with_tier(tiers, "flex", ["1", "", "", "", "", "", "5", "", ""]);
    let served = |tier: &str| Reported { service_tier: Some(tier.to_owned()), ..prompt(10) };

    for standard in ["", "auto", "default", "standard", "standard_only", "on_demand"] {
        assert_eq!(cost(&tiers, &served(standard)), 10 * 2_000_000, "{standard}");
    }
    assert_eq!(cost(&tiers, &prompt(10)), 10 * 2_000_000);
    assert_eq!(cost(&tiers, &served("priority")), 10 * 4_000_000);
    assert_eq!(cost(&tiers, &served("fast")), 10 * 4_000_000);
    assert_eq!(cost(&tiers, &served("flex")), 10 * 1_000_000);
}

#[test]
fn a_service_tier_without_a_row_is_an_error_before_and_after() {
    let tier = Some("ultrafast".to_owned());
    let unknown = PricingError::TierUnknown { tier: "ultrafast".to_owned() };

    let sent = Bound { service_tier: tier.clone(), ..bound(1, 1) };
    assert_eq!(price(PLAIN).hold(&sent), Err(unknown.clone()));
    let served = Reported { service_tier: tier, ..prompt(1) };
    assert_eq!(price(PLAIN).cost(&served), Err(unknown));
}

#[test]
fn a_hold_takes_the_dearer_of_the_sent_and_the_default_tier() {
    let tiers = with_tier(price(PLAIN), "priority", ["4", "", "", "", "", "", "20", "", ""]);
    let tiers = with_tier(tiers, "flex", ["1", "", "", "", "", "", "5", "", ""]);
    let sent = |tier: &str| Bound { service_tier: Some(tier.to_owned()), ..bound(10, 0) };

    assert_eq!(hold(&tiers, &sent("priority")), 10 * 4_000_000);
    assert_eq!(hold(&tiers, &sent("flex")), 10 * 2_000_000);
}

#[test]
fn the_us_geography_costs_a_tenth_more_on_tokens_and_not_on_fees() {
    let fees = Price { per_request: Some(Money::from_pico(7).unwrap()), ..price(PLAIN) };
    let us = Reported { us_geography: true, ..prompt(1_000) };

    assert_eq!(cost(&fees, &us), 2_200_000_000 + 7);
    assert_eq!(hold(&fees, &Bound { multiplier_us: true, ..bound(1_000, 0) }), 2_200_000_007);
}

#[test]
fn fees_are_counted_by_the_piece() {
    let each = Money::parse_usd("0.01").unwrap();
    let searching = Price { web_search: Some(each), ..price(PLAIN) };
    let searched = reported(Usage { web_searches: 3, ..Usage::default() });
    let bounded = Bound { web_searches: 3, ..bound(0, 0) };

    let cost = searching.cost(&searched).unwrap();
    assert_eq!(cost.fees, Money::parse_usd("0.03").unwrap());
    assert_eq!(cost.total, cost.fees);
    assert_eq!(searching.hold(&bounded), Ok(cost.fees));
    assert_eq!(price(PLAIN).hold(&bounded), Err(unknown("web_searches")));
    assert_eq!(price(PLAIN).cost(&searched), Err(unknown("web_searches")));
}

#[test]
fn one_ceiling_is_taken_and_the_parts_are_rounded_down() {
    let fine = price(["0.0000005", "", "", "", "", "", "0.0000005", "", ""]);
    let usage = reported(Usage { prompt: 1, completion: 1, ..Usage::default() });

    let cost = fine.cost(&usage).unwrap();

    assert_eq!((cost.input, cost.output, cost.total), (Money::ZERO, Money::ZERO, Money::ONE_PICO));
}

#[test]
fn the_smallest_excess_takes_the_next_pico() {
    let fine = price(["0.000000001", "", "", "", "", "", "", "", ""]);
    let us = |tokens| cost(&fine, &Reported { us_geography: true, ..prompt(tokens) });

    assert_eq!(us(9_091), 11, "10.0001 pico-USD");
    assert_eq!(us(10_000), 11, "exactly 11");
    assert_eq!(us(10_001), 12);
}

#[test]
fn cached_tokens_of_a_call_with_audio_cost_the_dearer_cached_price() {
    let audio = price(["2", "0.2", "", "", "3", "5", "10", "", ""]);
    let used = |audio_prompt| reported(Usage { cached: 10, audio_prompt, ..Usage::default() });
    let bounded = Bound { audio_prompt: true, ..bound(10, 0) };

    assert_eq!(cost(&audio, &used(0)), 10 * 200_000);
    assert_eq!(cost(&audio, &used(1)), 10 * 5_000_000 + 3_000_000);
    assert_eq!(hold(&audio, &bounded), 10 * 5_000_000);
}

#[test]
fn a_price_finer_than_the_unit_is_rounded_up_and_flagged() {
    assert_eq!(
        FemtoPerToken::parse("0.0000000001").unwrap(),
        (femto("0.000000001").unwrap(), true)
    );
    assert_eq!(FemtoPerToken::parse("0.1234567890").unwrap().0.femto(), 123_456_789);
    assert!(!FemtoPerToken::parse("0.1234567890").unwrap().1);
    assert!(FemtoPerToken::parse("0.1234567891").unwrap().1);
}

#[test]
fn what_is_not_a_price_is_refused() {
    for text in ["", "-1", "1e3", ".5", "5.", "1.2.3", "NaN", "+1", " 1", "1000001", "１"] {
        let error = FemtoPerToken::parse(text).unwrap_err();
        assert_eq!(error, PricingError::NotAPrice { field: "price" }, "{text:?}");
    }
    assert!(FemtoPerToken::parse(&"9".repeat(40)).is_err());
    assert_eq!(FemtoPerToken::parse("1000000").unwrap().0, FemtoPerToken::MAX);
}

#[test]
fn an_unbilled_answer_costs_nothing_although_it_carries_counts() {
    let unbilled = Reported { unbilled: true, ..prompt(1_000) };

    assert_eq!(cost(&price(PLAIN), &unbilled), 0);
}

#[test]
fn an_unknown_count_leaves_the_hold_to_decide() {
    let odd = Reported { unknown_fields: vec!["holo_tokens".to_owned()], ..prompt(1) };

    let field = "holo_tokens".to_owned();
    assert_eq!(price(PLAIN).cost(&odd), Err(PricingError::UsageUnknown { field }));
}

#[test]
fn a_count_beyond_the_maximum_is_an_error() {
    let beyond = TOKENS_MAX + 1;
    let class = PricingError::TooMany { class: "prompt_tokens" };

    assert_eq!(price(PLAIN).hold(&bound(beyond, 0)), Err(class));
    assert!(price(PLAIN).hold(&bound(0, beyond)).is_err());
    assert!(price(PLAIN).cost(&prompt(beyond)).is_err());
    assert!(price(PLAIN).cost(&prompt(u64::MAX)).is_err());
}

#[test]
fn the_largest_counts_at_the_largest_prices_do_not_overflow() {
    let most = "1000000";
    let dear = price([most; 9]);
    let usage = Usage {
        prompt: TOKENS_MAX,
        cached: TOKENS_MAX,
        cache_write_5m: TOKENS_MAX,
        cache_write_1h: TOKENS_MAX,
        audio_prompt: TOKENS_MAX,
        completion: TOKENS_MAX,
        reasoning: TOKENS_MAX,
        audio_completion: TOKENS_MAX,
        web_searches: 0,
    };
    let us = Reported { us_geography: true, ..reported(usage) };

    assert_eq!(cost(&dear, &us), 8_800_000_000 * 1_000_000_000_000);
}

/// 2026-11-23 is a Monday.
fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn peaked() -> Price {
    let windows = vec![(60, 240), (360, 600)];
    let when = When::Daily { windows, weekdays_only: true };
    let peak = card(["4", "", "", "", "", "", "20", "", ""]);
    let schedule = Schedule { standard: peak, service_tiers: Vec::new() };
    Price { periods: vec![Period { when, schedule }], ..price(PLAIN) }
}

#[test]
fn a_hold_counts_with_the_peak_whatever_the_time() {
    assert_eq!(hold(&peaked(), &bound(10, 0)), 10 * 4_000_000);
}

#[test]
fn the_time_of_the_call_decides_between_peak_and_base_price() {
    let cases = [
        ("2026-11-23T00:59:00Z", "2026-11-23T00:59:59Z", 2),
        ("2026-11-23T00:59:00Z", "2026-11-23T01:00:00Z", 4),
        ("2026-11-23T03:59:59Z", "2026-11-23T04:01:00Z", 4),
        ("2026-11-23T04:00:00Z", "2026-11-23T05:59:59Z", 2),
        ("2026-11-23T07:00:00Z", "2026-11-23T07:00:01Z", 4),
        ("2026-11-23T23:59:00Z", "2026-11-24T01:00:00Z", 4),
        ("2026-11-23T23:59:00Z", "2026-11-24T00:30:00Z", 2),
        ("2026-11-28T07:00:00Z", "2026-11-28T07:01:00Z", 2),
        ("2026-11-29T07:00:00Z", "2026-11-29T07:01:00Z", 2),
        ("2026-11-27T09:59:00Z", "2026-11-27T10:01:00Z", 4),
        ("2026-11-28T00:00:00Z", "2026-11-30T00:00:00Z", 4),
    ];
    for (started, ended, usd) in cases {
        let cost = peaked().cost_at(&prompt(10), at(started), at(ended)).unwrap();
        assert_eq!(cost.total.pico(), 10 * usd * 1_000_000, "{started}");
    }
    assert_eq!(cost(&peaked(), &prompt(10)), 10 * 4_000_000, "unknown time: the peak");
}

#[test]
fn an_announced_price_replaces_the_old_one_at_its_date() {
    let next = |from: &str, texts: Texts| Period {
        when: When::From(at(from)),
        schedule: Schedule { standard: card(texts), service_tiers: Vec::new() },
    };
    let dearer = next("2026-12-01T00:00:00Z", ["3", "", "", "", "", "", "10", "", ""]);
    let cheaper = next("2027-01-01T00:00:00Z", ["1", "", "", "", "", "", "10", "", ""]);
    let announced = Price { periods: vec![dearer, cheaper], ..price(PLAIN) };
    let cases = [
        ("2026-11-30T23:59:00Z", "2026-11-30T23:59:59Z", 2),
        ("2026-11-30T23:59:00Z", "2026-12-01T00:00:00Z", 3),
        ("2026-12-15T00:00:00Z", "2026-12-15T00:00:01Z", 3),
        ("2026-12-31T23:59:59Z", "2027-01-01T00:00:01Z", 3),
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z", 1),
    ];
    for (started, ended, usd) in cases {
        let cost = announced.cost_at(&prompt(10), at(started), at(ended)).unwrap();
        assert_eq!(cost.total.pico(), 10 * usd * 1_000_000, "{started}");
    }
    assert_eq!(hold(&announced, &bound(10, 0)), 10 * 3_000_000);
}

#[test]
fn a_prompt_costs_at_least_what_reading_it_from_the_cache_would() {
    let cached = price(["2", "0.5", "", "", "", "", "10", "", ""]);

    assert_eq!(cached.least(1_000).pico(), 1_000 * 500_000);
    assert_eq!(price(PLAIN).least(10).pico(), 10 * 2_000_000);
}

#[test]
fn a_fee_has_a_line_only_where_it_is_charged() {
    let lines = |each, web_searches| {
        let price = Price { web_search: Some(each), ..price(PLAIN) };
        let usage = Usage { prompt: 1, web_searches, ..Usage::default() };
        let (then, reported) =
            (at("2026-11-23T00:00:00Z"), Reported { usage, ..Reported::default() });
        price.bill_at(&reported, then, then).unwrap().lines.len()
    };

    assert_eq!(
        [lines(Money::ONE_PICO, 2), lines(Money::ONE_PICO, 0), lines(Money::ZERO, 2)],
        [2, 1, 1]
    );
}

#[test]
fn the_completion_bound_is_the_largest_that_fits() {
    let plain = price(PLAIN);
    let room = |pico| Money::from_pico(pico).unwrap();
    let fits = |pico| plain.completion_bound_within(&bound(1_000, 9), room(pico));

    assert_eq!(fits(1_999_999_999), None);
    assert_eq!(fits(2_000_000_000), Some(0));
    assert_eq!(fits(2_009_999_999), Some(0));
    assert_eq!(fits(2_010_000_000), Some(1));
    assert_eq!(fits(1_000_000_000_000), Some(99_800));
    let free = price(["0", "", "", "", "", "", "0", "", ""]);
    assert_eq!(free.completion_bound_within(&bound(5, 5), Money::ONE_PICO), Some(TOKENS_MAX));
}
