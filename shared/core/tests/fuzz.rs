//! What is read of queues, tables and owners' prices, on texts that broke on their way.
//!
//! Seeded: a failing case is its number. `FAREBOX_FUZZ_CASES` sets how many each target runs.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

#[path = "../../../tests/fuzz/json.rs"]
mod json;
#[path = "../../../tests/fuzz/mutator.rs"]
mod mutator;

use farebox_core::catalog::PriceSpec;
use farebox_core::pricing::{Bound, FemtoPerToken};
use farebox_core::record::CallRecord;
use farebox_core::route::Route;
use farebox_core::{Catalog, Labels, Money, Rid};
use serde_json::Value;

use json::mutate_json;
use mutator::{Dice, cases, mutate_bytes, run};

/// Cases of each target in `cargo test`.
const CASES: u64 = 5_000;

fn record() -> String {
    let rid: Rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
    let mut record =
        CallRecord::new(rid, "main".into(), "u1".parse().unwrap(), "k1".parse().unwrap());
    record.provider_cost = Money::parse_usd("0.5").ok();
    record.usage = Some(farebox_core::Usage { prompt: 3, completion: 4, ..Default::default() });
    serde_json::to_string(&record).unwrap()
}

#[test]
fn a_message_of_the_queue_is_read_whole_and_written_alike_or_refused() {
    let seed = record();
    let read = std::sync::atomic::AtomicUsize::new(0);
    run("records", cases(CASES), |dice| {
        let text = mutate_json(dice, &seed, &seed);
        let Ok(record) = serde_json::from_slice::<CallRecord>(&text) else { return };
        read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(record.charged().is_none_or(|charged| charged >= Money::ZERO), "{record:?}");
        let written = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<CallRecord>(&written).unwrap(), record);
    });
    assert!(read.into_inner() > 100, "some are still records");
}

/// A list of some rows of the one that is built in.
fn list() -> String {
    let whole: Value = serde_json::from_str(include_str!("../src/catalog.json")).unwrap();
    let rows = whole["rows"].as_array().unwrap();
    let some: Vec<&Value> = rows.iter().step_by(450).collect();
    let mut list = whole.clone();
    list["rows"] = serde_json::json!(some);
    list.to_string()
}

/// Every row of a list can be priced, and looked up where its bytes are as they were made: names
/// that broke in a store are not found, and a call to them is refused.
fn assert_usable(list: &Catalog, is_whole: bool) {
    let bound = Bound { prompt_tokens: 1_000, completion_tokens: 1_000, ..Bound::default() };
    for provider in ["openai", "anthropic", "gemini", "bedrock", "openrouter", "mistral"] {
        for model in list.models(provider) {
            let hold = model.price.map(|price| price.hold(&bound));
            assert!(hold.is_none_or(|hold| hold.is_err() || hold.unwrap() >= Money::ZERO));
            assert!(!is_whole || list.find(provider, &model.name).is_some());
        }
    }
}

#[test]
fn a_list_of_prices_is_usable_or_refused_row_by_row() {
    let seed = list();
    let good = Catalog::import(&seed).expect("our own list is one");
    run("lists", cases(CASES / 5), |dice| {
        let text = mutate_json(dice, &seed, &seed);
        match Catalog::import(&String::from_utf8_lossy(&text)) {
            Ok(list) => assert_usable(&list, true),
            Err(faults) => assert!(!faults.is_empty()),
        }
        // As a store may hand it back.
        let bytes = mutate_bytes(dice, good.bytes().to_vec());
        if let Some(list) = Catalog::stored("2026-11-23.abcd".to_owned(), bytes) {
            assert_usable(&list, false);
        }
    });
}

#[test]
fn a_price_that_is_taken_holds_and_costs_something() {
    let seeds = [
        serde_json::json!({"input": "3", "output": "15", "cached_input": "0.3",
            "cache_write_5m": "3.75",
            "cache_write_1h": "6", "context_window": 200_000, "max_output_tokens": 64_000}),
        serde_json::json!({"free": true}),
        serde_json::json!({"input": "0.000001", "output": "0.5"}),
    ]
    .map(|seed| seed.to_string());
    let amounts = ["-1", "1e3", "0", "", "NaN", "0.0000000001", "99999999", ".5", "5.", "٣", "1_0"];
    run("prices", cases(CASES), |dice| {
        let (own, other) = (dice.pick(&seeds), dice.pick(&seeds));
        let mut text = mutate_json(dice, own, other);
        if dice.one_in(3) {
            let amount = *dice.pick(&amounts);
            text = own.replace("\"3\"", &format!("\"{amount}\"")).into_bytes();
        }
        let Ok(spec) = serde_json::from_slice::<PriceSpec>(&text) else { return };
        let Ok(model) = spec.model(&Catalog::compiled(), "custom", "m", "v") else { return };
        let price = model.price.expect("an owner's model has a price");
        let bound = Bound { prompt_tokens: 1_000, completion_tokens: 1_000, ..Bound::default() };
        let Ok(hold) = price.hold(&bound) else { return };
        assert!(hold >= Money::ZERO && (spec.free || hold > Money::ZERO), "{spec:?}: {hold}");
    });
}

#[test]
fn routes_labels_and_amounts_are_read_or_refused() {
    let route = serde_json::json!({
        "targets": [{"model": "openai/gpt-5", "weight": 2}, {"model": "demo/chat"}],
        "retries": 1, "timeouts": {"total_ms": 1_000}})
    .to_string();
    run("routes", cases(CASES), |dice| {
        if let Ok(read) = serde_json::from_slice::<Route>(&mutate_json(dice, &route, &route))
            && read.check().is_ok()
        {
            let order = read.order(u64::try_from(dice.below(usize::MAX)).unwrap());
            assert!(!order.is_empty());
        }
        let text = mutate_bytes(dice, b"team=search,env=%C3%A9".to_vec());
        let _ = Labels::of_header(&String::from_utf8_lossy(&text));
        let text = amount(dice);
        if let Ok(money) = Money::parse_usd(&text) {
            let again = Money::parse_usd(&money.to_string()).unwrap();
            assert_eq!(again, money, "{text}");
        }
        let _ = FemtoPerToken::parse(&text);
    });
}

fn amount(dice: &mut Dice) -> String {
    let parts = ["0", "1", "9", ".", "-", "+", "e", "000000000000", "7.", "é", " ", ","];
    (0..dice.below(12)).map(|_| *dice.pick(&parts)).collect()
}
