//! What holds for every price and every call: a hold bounds the cost, grows with its bounds,
//! and the completion bound is tight. Strategies are boxed: they are too large for a stack.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its numbers are small"
)]

use std::borrow::Cow;

use farebox_core::pricing::{
    Bound, CacheWrite, Card, ContextTier, Discount, FemtoPerToken, Period, Price, Rates, Schedule,
    ServiceTier, TOKENS_MAX, Term, When,
};
use farebox_core::{Money, Reported, Timestamp, Usage};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn rate() -> BoxedStrategy<FemtoPerToken> {
    let femto = prop_oneof![0..2_000_u64, 0..200_000_000_000_u64, Just(1_000_000_000_000_000)];
    femto.prop_map(|femto| FemtoPerToken::new(femto).unwrap()).boxed()
}

fn rates() -> BoxedStrategy<Rates> {
    let maybe = || option::weighted(0.7, rate());
    let input = (rate(), maybe(), maybe(), maybe(), maybe(), maybe());
    (input, option::weighted(0.95, rate()), maybe(), maybe())
        .prop_map(
            |(
                (input, cached, write_5m, write_1h, audio, audio_cached),
                output,
                reasoning,
                spoken,
            )| {
                Rates {
                    input,
                    cached,
                    cache_write_5m: write_5m,
                    cache_write_1h: write_1h,
                    audio_input: audio,
                    audio_cached,
                    output,
                    reasoning,
                    audio_output: spoken,
                }
            },
        )
        .boxed()
}

fn card() -> BoxedStrategy<Card> {
    let tier = (0..2_000_000_u64, rates())
        .prop_map(|(above_tokens, rates)| ContextTier { above_tokens, rates });
    (rates(), vec(tier, 0..3))
        .prop_map(|(rates, mut context_tiers)| {
            context_tiers.sort_by_key(|tier| tier.above_tokens);
            Card { rates, context_tiers }
        })
        .boxed()
}

fn schedule() -> BoxedStrategy<Schedule> {
    (card(), card(), card())
        .prop_map(|(standard, priority, flex)| {
            let tier = |name, card| ServiceTier { name: Cow::Borrowed(name), card };
            let service_tiers = vec![tier("priority", priority), tier("flex", flex)];
            Schedule { standard, service_tiers }
        })
        .boxed()
}

fn price() -> BoxedStrategy<Price> {
    let when = prop_oneof![
        (0..4_000_000_000_000_i64).prop_map(|ms| When::From(Timestamp::from_ms(ms))),
        (0..700_u16, 700..1_440_u16, any::<bool>()).prop_map(|(from, to, weekdays_only)| {
            When::Daily { windows: vec![(from, to)], weekdays_only }
        }),
    ];
    let period = (when, schedule()).prop_map(|(when, schedule)| Period { when, schedule });
    let fee = || option::of((0..1_000_000_000_000_i128).prop_map(|p| Money::from_pico(p).unwrap()));
    (schedule(), vec(period, 0..3), fee(), fee(), any::<bool>())
        .prop_map(|(schedule, periods, per_request, web_search, auto_cache_write)| Price {
            version: Cow::Borrowed("generated"),
            schedule,
            periods,
            per_request,
            web_search,
            rounded_up: false,
            auto_cache_write,
        })
        .boxed()
}

fn bound() -> BoxedStrategy<Bound> {
    let tokens = || prop_oneof![0..100_u64, 0..3_000_000_u64, Just(TOKENS_MAX)];
    let cache_write = prop_oneof![
        Just(CacheWrite::None),
        Just(CacheWrite::FiveMinutes),
        Just(CacheWrite::OneHour),
    ];
    let tier = prop_oneof![
        Just(None),
        Just(Some("default".to_owned())),
        Just(Some("priority".to_owned())),
        Just(Some("flex".to_owned())),
    ];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (tokens(), tokens(), cache_write, flags, 0..20_u64, tier)
        .prop_map(
            |(prompt_tokens, completion_tokens, cache_write, flags, web_searches, service_tier)| {
                let (audio_prompt, audio_completion, multiplier_us) = flags;
                Bound {
                    prompt_tokens,
                    completion_tokens,
                    cache_write,
                    audio_prompt,
                    audio_completion,
                    web_searches,
                    service_tier,
                    multiplier_us,
                    fee: Money::ZERO,
                }
            },
        )
        .boxed()
}

/// Takes up to `share` 16ths of what is left.
fn take(left: &mut u64, share: u64, allowed: bool) -> u64 {
    if !allowed {
        return 0;
    }
    let taken = *left / 16 * share + *left % 16 * share / 16;
    *left -= taken;
    taken
}

/// The most adverse things that a provider may report within a bound.
fn within(price: &Price, bound: &Bound, shares: &[u64], downgraded: bool) -> Reported {
    let [used, cached, write_5m, write_1h, audio, out, reasoning, spoken] = *shares else {
        panic!("eight shares");
    };
    let writes = bound.cache_write != CacheWrite::None || price.auto_cache_write;
    let mut prompt = bound.prompt_tokens;
    prompt = take(&mut prompt, used, true);
    let mut completion = bound.completion_tokens;
    completion = take(&mut completion, out, true);
    let usage = Usage {
        cached: take(&mut prompt, cached, true),
        cache_write_5m: take(&mut prompt, write_5m, writes),
        cache_write_1h: take(&mut prompt, write_1h, bound.cache_write == CacheWrite::OneHour),
        audio_prompt: take(&mut prompt, audio, bound.audio_prompt),
        prompt,
        reasoning: take(&mut completion, reasoning, true),
        audio_completion: take(&mut completion, spoken, bound.audio_completion),
        completion,
        web_searches: bound.web_searches * used / 16,
    };
    Reported {
        usage,
        service_tier: if downgraded { None } else { bound.service_tier.clone() },
        us_geography: bound.multiplier_us && used % 2 == 0,
        ..Reported::default()
    }
}

fn dearer_or_equal(bound: &Bound, prompt: u64, completion: u64) -> Bound {
    Bound {
        prompt_tokens: (bound.prompt_tokens + prompt).min(TOKENS_MAX),
        completion_tokens: (bound.completion_tokens + completion).min(TOKENS_MAX),
        cache_write: bound.cache_write,
        multiplier_us: true,
        service_tier: bound.service_tier.clone(),
        ..*bound
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_cost_within_the_bound_never_exceeds_the_hold(
        price in price(),
        bound in bound(),
        shares in vec(0..=16_u64, 8),
        downgraded in any::<bool>(),
        started in 0..4_000_000_000_000_i64,
        lasted in 0..900_000_i64,
    ) {
        let Ok(hold) = price.hold(&bound) else { return Ok(()) };

        let reported = within(&price, &bound, &shares, downgraded);

        let dearest = price.cost(&reported).unwrap().total;
        let (from, to) = (Timestamp::from_ms(started), Timestamp::from_ms(started + lasted));
        let timed = price.cost_at(&reported, from, to).unwrap().total;
        prop_assert!(dearest <= hold, "{dearest} > {hold}");
        prop_assert!(timed <= dearest, "{timed} > {dearest}");
    }

    /// Exact is `cost × left`: the discounted one is that, or above it by less than a femto-USD a
    /// token and the one ceiling.
    #[test]
    fn a_discounted_hold_bounds_the_discounted_cost_and_is_never_below_the_exact_one(
        price in price(),
        bound in bound(),
        shares in vec(0..=16_u64, 8),
        off in 0..1_000_000_u64,
    ) {
        let at = Timestamp::parse("2026-12-01T00:00:00Z").unwrap();
        let off_percent = format!("{}.{:04}", off / 10_000, off % 10_000);
        let terms = vec![Term { from: at.to_string(), off_percent: off_percent.clone() }];
        let discount = Discount { terms };
        prop_assert!(discount.check().is_ok());
        prop_assert_eq!(discount.of(&price, at.plus_ms(-1)), None);
        let less = discount.of(&price, at).unwrap();
        let reported = within(&price, &bound, &shares, false);
        let (Ok(full), Ok(cost)) = (price.cost(&reported), less.cost(&reported)) else {
            return Ok(());
        };

        if let Ok(hold) = less.hold(&bound) {
            prop_assert!(cost.total <= hold, "{} {hold}", cost.total);
            prop_assert!(hold <= price.hold(&bound).unwrap());
        }
        let tokens = |cost: &farebox_core::Cost| cost.total.pico() - cost.fees.pico();
        let left = i128::from(1_000_000 - off);
        prop_assert_eq!(cost.fees, full.fees);
        prop_assert!(tokens(&cost) * 1_000_000 > (tokens(&full) - 1) * left);
        prop_assert!(tokens(&cost) <= tokens(&full));
        // A femto-USD a token of each kind, and one pico-USD.
        let counted = i128::from(bound.prompt_tokens + bound.completion_tokens);
        let above = 1_000_000 + 2_000 * counted;
        prop_assert!(tokens(&cost) * 1_000_000 <= tokens(&full) * left + above);
        let is_marked = less.version.ends_with(&format!("-{off_percent}%"));
        prop_assert_eq!(is_marked, off > 0);
    }

    #[test]
    fn a_hold_grows_with_its_bounds(
        price in price(),
        bound in bound(),
        prompt in 0..1_000_000_u64,
        completion in 0..1_000_000_u64,
    ) {
        let dearer = dearer_or_equal(&bound, prompt, completion);
        let (Ok(hold), Ok(more)) = (price.hold(&bound), price.hold(&dearer)) else {
            return Ok(());
        };

        prop_assert!(more >= hold, "{more} < {hold}");
        prop_assert!(hold >= Money::ONE_PICO);
    }

    #[test]
    fn the_parts_of_a_cost_fall_short_of_the_total_by_less_than_three_pico(
        price in price(),
        bound in bound(),
        shares in vec(0..=16_u64, 8),
    ) {
        let Ok(cost) = price.cost(&within(&price, &bound, &shares, false)) else {
            return Ok(());
        };

        let parts = cost.input.plus(cost.output).unwrap().plus(cost.fees).unwrap();
        let short = cost.total.minus(parts).unwrap().pico();
        prop_assert!((0..3).contains(&short), "{short}");
    }

    #[test]
    fn the_completion_bound_fits_and_one_more_does_not(
        price in price(),
        bound in bound(),
        room in 0..1_000_000_000_000_000_i128,
    ) {
        let room = Money::from_pico(room).unwrap();
        let with = |completion_tokens| Bound { completion_tokens, ..bound.clone() };
        let fits = |tokens| price.hold(&with(tokens)).is_ok_and(|hold| hold <= room);

        match price.completion_bound_within(&bound, room) {
            None => prop_assert!(!fits(0)),
            Some(TOKENS_MAX) => prop_assert!(fits(TOKENS_MAX)),
            Some(most) => {
                prop_assert!(fits(most));
                prop_assert!(!fits(most + 1));
            }
        }
    }
}
