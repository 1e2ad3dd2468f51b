use farebox_api::ReportedUsage;
use farebox_core::{Asked, Catalog, Outcome};

use super::*;

fn prices() -> Overrides {
    Overrides::new(Catalog::compiled())
}

fn usd(text: &str) -> Money {
    Money::parse_usd(text).unwrap()
}

fn row(provider: &str, model: &str, outcome: Outcome) -> CallRecord {
    let rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
    let (user, key) = ("u1".parse().unwrap(), "k1".parse().unwrap());
    CallRecord {
        provider: Some(provider.to_owned()),
        model: Some(model.to_owned()),
        outcome,
        ..CallRecord::new(rid, "main".into(), user, key)
    }
}

fn unknown(model: &str, hold: &str, asked: Option<Asked>, scope: &str) -> Unknown {
    let (provider, model) = model.split_once('/').unwrap();
    let row = row(provider, model, Outcome::Worst);
    let row = CallRecord { hold: Some(usd(hold)), asked, ..row };
    Unknown { row, places: [(scope.to_owned(), 20_261_123)].into(), charged: usd(hold) }
}

/// So many calls, held 1 USD each, that asked for nothing special.
fn calls(model: &str, count: usize) -> Calls {
    let one = unknown(model, "1", Some(Asked::default()), "user:u1");
    Calls { unknown: vec![one; count], ..Calls::default() }
}

fn settled(model: &str, tier: Option<&str>, prompt: u64) -> CallRecord {
    let (provider, model) = model.split_once('/').unwrap();
    CallRecord {
        usage: Some(Usage { prompt, ..Usage::default() }),
        service_tier: tier.map(str::to_owned),
        ..row(provider, model, Outcome::Settled)
    }
}

/// A row of a report that tells everything.
fn told(prompt: u64, tier: &str, is_us: bool) -> ReportedUsage {
    ReportedUsage {
        model: "m".to_owned(),
        service_tier: Some(tier.to_owned()),
        us_geography: Some(is_us),
        prompt,
        cache_write_5m: Some(0),
        web_searches: Some(0),
        ..ReportedUsage::default()
    }
}

fn report(rows: impl IntoIterator<Item = ReportedUsage>) -> Report {
    let mut report = Report::default();
    rows.into_iter().for_each(|row| report.add(row));
    report
}

fn found(calls: &Calls, rows: impl IntoIterator<Item = ReportedUsage>) -> Finding {
    calls.find(&report(rows), false, &prices())
}

fn determined(costs: &[&str]) -> Finding {
    Finding::Determined(costs.iter().map(|cost| usd(cost)).collect())
}

const OPUS: &str = "anthropic/claude-opus-5";
const GPT: &str = "openai/gpt-5.5";

#[test]
fn a_call_costs_what_its_tier_and_place_cost() {
    // claude-opus-5: 5 USD a million, fast 10, us a tenth more. gpt-5.5: 5, priority 12.5.
    for (model, tier, is_us, cost) in [
        (OPUS, "standard", false, "0.005"),
        (OPUS, "fast", false, "0.01"),
        (OPUS, "standard", true, "0.0055"),
        (OPUS, "fast", true, "0.011"),
        (GPT, "standard", false, "0.005"),
        (GPT, "default", false, "0.005"),
        (GPT, "priority", false, "0.0125"),
        (GPT, "fast", false, "0.0125"),
        (GPT, "flex", false, "0.0025"),
    ] {
        let found = found(&calls(model, 1), [told(1_000, tier, is_us)]);
        assert_eq!(found, determined(&[cost]), "{model} {tier} {is_us}");
    }
    let odd = found(&calls(OPUS, 1), [told(1_000, "priority", false)]);
    assert_eq!(odd, Finding::Open(Open::Untold), "a tier without a price");
    let batch = found(&calls(OPUS, 1), [told(1_000, "batch", false)]);
    assert_eq!(batch, Finding::Open(Open::Unnamed), "no call of Farebox is in a batch");
}

#[test]
fn what_a_report_leaves_out_leaves_the_charge_where_it_would_change_it() {
    let one = |asked: Option<Asked>, model: &str| Calls {
        unknown: vec![unknown(model, "1", asked, "user:u1")],
        ..Calls::default()
    };
    let fast = Asked { service_tier: Some("fast".to_owned()), ..Asked::default() };
    let us = Asked { us_geography: true, ..Asked::default() };
    let searches = Asked { web_searches: 2, ..Asked::default() };
    let tools = Asked { fee: usd("0.03"), ..Asked::default() };
    let untold = |row: &ReportedUsage| ReportedUsage {
        service_tier: None,
        us_geography: None,
        ..row.clone()
    };
    let (row, usual) = (told(1_000, "standard", false), Some(Asked::default()));
    let no_searches = ReportedUsage { web_searches: None, ..row.clone() };
    let no_writes = ReportedUsage { cache_write_5m: None, ..row.clone() };
    let open = Finding::Open(Open::Untold);
    for (asked, model, row, wanted) in [
        (usual.clone(), OPUS, untold(&row), determined(&["0.005"])),
        (None, OPUS, untold(&row), open.clone()),
        (Some(fast), OPUS, untold(&row), open.clone()),
        (Some(us), OPUS, untold(&row), open.clone()),
        (usual.clone(), GPT, no_searches.clone(), determined(&["0.005"])),
        (None, GPT, no_searches.clone(), open.clone()),
        (Some(searches), GPT, no_searches, open.clone()),
        (Some(tools), GPT, row.clone(), open.clone()),
        (usual.clone(), GPT, no_writes.clone(), determined(&["0.005"])),
        (usual.clone(), "openai/gpt-5.6", no_writes, open),
        (usual, GPT, ReportedUsage { audio: 1, ..row }, Finding::Open(Open::Uncounted)),
    ] {
        assert_eq!(found(&one(asked.clone(), model), [row]), wanted, "{model} {asked:?}");
    }
}

#[test]
fn settled_calls_are_taken_off_at_their_own_tier() {
    let calls = Calls {
        settled: vec![settled(OPUS, None, 300), settled(OPUS, Some("fast"), 700)],
        ..calls(OPUS, 1)
    };
    let both = |usual: u64, fast: u64| [told(usual, "standard", false), told(fast, "fast", false)];
    assert_eq!(found(&calls, both(300, 1_700)), determined(&["0.01"]));
    assert_eq!(found(&calls, both(1_300, 700)), determined(&["0.005"]));
    assert_eq!(found(&calls, both(300, 700)), determined(&["0"]));
    assert_eq!(found(&calls, both(299, 1_700)), Finding::Open(Open::Less));
    assert_eq!(found(&calls, both(301, 701)), Finding::Open(Open::More), "it had one tier");
    let untold = ReportedUsage { service_tier: None, ..told(1_300, "", false) };
    let rows = [untold, told(700, "fast", false)];
    assert_eq!(found(&calls, rows), determined(&["0.005"]), "the log says what was asked for");
}

#[test]
fn a_report_determines_calls_only_where_it_can_mean_nothing_else() {
    let counted = |prompt, calls: u64| ReportedUsage {
        calls: Some(calls),
        ..told(prompt, "standard", false)
    };
    let with = |count: usize| Calls { settled: vec![settled(GPT, None, 10)], ..calls(GPT, count) };
    for (count, row, wanted) in [
        (0, counted(1_010, 2), Finding::Open(Open::None)),
        (1, counted(1_010, 2), determined(&["0.005"])),
        (1, counted(10, 1), determined(&["0"])),
        (3, counted(10, 1), determined(&["0", "0", "0"])),
        (1, counted(1_010, 3), Finding::Open(Open::More)),
        (1, counted(10, 2), Finding::Open(Open::More)),
        (1, counted(1_010, 1), Finding::Open(Open::Less)),
        (1, counted(9, 1), Finding::Open(Open::Less)),
        (1, counted(10_000_010, 2), Finding::Open(Open::TooDear)),
        (2, counted(1_010, 4), Finding::Open(Open::More)),
    ] {
        assert_eq!(found(&with(count), [row.clone()]), wanted, "{count} {row:?}");
    }
    assert_eq!(found(&with(1), []), Finding::Open(Open::Unnamed));
    let row = || report([counted(1_010, 2)]);
    let beside = with(1).find(&row(), true, &prices());
    assert_eq!(beside, Finding::Open(Open::Nameless));
    let blurred = Calls { blurred: Some(Open::Edge), ..with(1) };
    assert_eq!(blurred.find(&row(), false, &prices()), Finding::Open(Open::Edge));
    let early = with(1).find(&row(), false, &prices()).unless(true);
    assert_eq!(early, Finding::Open(Open::Early));
}

#[test]
fn several_calls_of_the_same_budgets_share_their_sum_by_their_holds() {
    let of = |holds: &[(&str, &str)]| Calls {
        unknown: holds
            .iter()
            .map(|(hold, scope)| unknown(OPUS, hold, Some(Asked::default()), scope))
            .collect(),
        ..Calls::default()
    };
    let same = of(&[("0.03", "user:u1"), ("0.01", "user:u1")]);
    let rows = |prompt| [told(prompt, "standard", false)];
    // 4,000 tokens at 5 USD a million.
    assert_eq!(found(&same, rows(4_000)), determined(&["0.015", "0.005"]));
    assert_eq!(found(&same, rows(8_000)), determined(&["0.03", "0.01"]));
    assert_eq!(found(&same, rows(8_001)), Finding::Open(Open::TooDear));
    let two = [told(2_000, "standard", false), told(1_000, "fast", false)];
    assert_eq!(found(&same, two), determined(&["0.015", "0.005"]), "each at its own price");
    let three = [told(1, "standard", false), told(1, "fast", false), told(1, "fast", true)];
    assert_eq!(found(&same, three), Finding::Open(Open::More));
    let apart = of(&[("0.03", "user:u1"), ("0.01", "user:u2")]);
    assert!(matches!(found(&apart, rows(4_000)), Finding::AtMost(..)));
    // gpt-5.5 costs twice as much above 272,000 tokens: one call may have had them all.
    let long = calls(GPT, 2);
    assert_eq!(found(&long, rows(272_000)), determined(&["0.68", "0.68"]));
    assert_eq!(found(&long, rows(272_001)), Finding::Open(Open::Untold));
}

#[test]
fn calls_of_different_budgets_are_charged_the_most_that_each_can_have_cost() {
    let of = |holds: &[(&str, &[&str])]| Calls {
        unknown: holds
            .iter()
            .map(|(hold, scopes)| {
                let places = scopes.iter().map(|scope| ((*scope).to_owned(), 20_261_123));
                Unknown {
                    places: places.collect(),
                    ..unknown(OPUS, hold, Some(Asked::default()), "")
                }
            })
            .collect(),
        ..Calls::default()
    };
    // 4,000 tokens at 5 USD a million are 0.02 USD, of which user:u1 can have had all.
    let calls = of(&[
        ("0.03", &["user:u1", "org:o1"]),
        ("0.01", &["user:u2", "org:o1"]),
        ("0.05", &["user:u1", "org:o1"]),
    ]);
    let found = found(&calls, [told(4_000, "standard", false)]);
    let place = |scope: &str, least: &str, most: &str| Place {
        scope: scope.to_owned(),
        day: 20_261_123,
        least: usd(least),
        most: usd(most),
    };
    let Finding::AtMost(sum, most, places) = found else { panic!("{found:?}") };
    assert_eq!(sum, usd("0.02"));
    assert_eq!(most, [usd("0.0075"), usd("0.01"), usd("0.0125")]);
    let (u1, u2) = (place("user:u1", "0.01", "0.02"), place("user:u2", "0", "0.01"));
    assert_eq!(places, [place("org:o1", "0.02", "0.02"), u1, u2]);
}

/// Whatever the calls really cost, no budget is charged less than that, and none more than before.
#[test]
fn no_budget_is_charged_below_what_it_can_have_been_billed() {
    let mut draw = 7_u64;
    let mut next = |most: u64| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % (most + 1)
    };
    for _ in 0..2_000 {
        let count = 2 + next(3);
        let (mut calls, mut costs) = (Calls::default(), Vec::new());
        for _ in 0..count {
            let tokens = next(2_000);
            let cost = Money::from_pico(i128::from(tokens) * 5_000_000).unwrap();
            let held = Money::from_pico(cost.pico() + i128::from(next(9_000_000_000))).unwrap();
            let mut one = unknown(OPUS, "1", Some(Asked::default()), "org:o1");
            one.row.hold = Some(held);
            one.places.insert((format!("user:u{}", next(2)), 20_261_123));
            calls.unknown.push(one);
            costs.push((tokens, cost, held));
        }
        let tokens = costs.iter().map(|(tokens, ..)| tokens).sum();
        let charged = match found(&calls, [told(tokens, "standard", false)]) {
            Finding::Determined(charged) => charged,
            Finding::AtMost(_, charged, _) => charged,
            Finding::Open(open) => panic!("{open:?}"),
        };
        for scope in ["org:o1", "user:u0", "user:u1", "user:u2"] {
            let here = |at: &usize| calls.unknown[*at].places.iter().any(|(of, _)| of == scope);
            let calls: Vec<usize> = (0..costs.len()).filter(here).collect();
            let sum = |of: &dyn Fn(usize) -> Money| -> i128 {
                calls.iter().map(|at| of(*at).pico()).sum()
            };
            let (billed, now) = (sum(&|at| costs[at].1), sum(&|at| charged[at]));
            assert!(
                billed <= now && now <= sum(&|at| costs[at].2),
                "{scope}: {costs:?} {charged:?}"
            );
        }
    }
}

#[test]
fn parts_add_up_to_their_sum_and_pass_no_hold() {
    let pico = |count: i128| Money::from_pico(count).unwrap();
    for (sum, holds) in [
        (0, vec![0, 0]),
        (10, vec![3, 3, 4]),
        (9, vec![3, 3, 4]),
        (1, vec![7, 7, 7]),
        (999_999_999_999, vec![1, 999_999_999_999, 333_333_333_333]),
    ] {
        let holds: Vec<_> = holds.into_iter().map(pico).collect();
        let parts = in_proportion(pico(sum), &holds).unwrap();
        assert_eq!(parts.iter().map(|part| part.pico()).sum::<i128>(), sum);
        assert!(parts.iter().zip(&holds).all(|(part, hold)| part <= hold), "{parts:?}");
    }
    assert_eq!(in_proportion(pico(11), &[pico(3), pico(3), pico(4)]), None);
    assert_eq!(in_proportion(pico(-1), &[pico(3)]), None);
}

#[test]
fn a_call_of_no_known_model_is_determined_where_one_model_alone_has_something_left() {
    let nameless = |count: usize| {
        let mut one = unknown(GPT, "0.01", None, "key:k1");
        (one.row.provider, one.row.model) = (None, None);
        vec![one; count]
    };
    let named = |model: &str, prompt| {
        report([ReportedUsage { model: model.to_owned(), ..told(prompt, "standard", false) }])
    };
    let find = |unknown: &[Unknown], models: &[(&Report, &Calls)]| {
        find_nameless(unknown, "openai", models, &prices())
    };
    let (left, none, other) = (named("gpt-5.5", 1_010), named("gpt-5.5", 10), named("gpt-4o", 9));
    let ours = Calls { settled: vec![settled(GPT, None, 10)], ..Calls::default() };
    let nobodys = Calls::default();

    assert_eq!(find(&nameless(1), &[(&left, &ours)]), determined(&["0.005"]));
    let open = Finding::Open(Open::NotOurs);
    assert_eq!(find(&nameless(1), &[(&none, &ours)]), open, "another provider may bill it");
    assert_eq!(find(&nameless(2), &[(&left, &ours)]), open);
    assert_eq!(find(&nameless(1), &[(&left, &ours), (&other, &nobodys)]), open);
    let beside = Calls { unknown: calls(GPT, 1).unknown, ..ours.clone() };
    assert_eq!(find(&nameless(1), &[(&left, &beside)]), Finding::Open(Open::Nameless));
    let absent = (&Report::default(), &ours);
    let unnamed = find(&nameless(1), &[(&left, &nobodys), absent]);
    assert_eq!(unnamed, Finding::Open(Open::Unnamed), "its counts stand under another name");
    let dear = named("gpt-5.5", 2_011);
    assert_eq!(find(&nameless(1), &[(&dear, &ours)]), Finding::Open(Open::TooDear));
}
