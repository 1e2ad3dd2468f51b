//! Files that an operator hands over, broken in every way: read or refused by line, never worse.

use super::import::{litellm, sheet};
use super::provider_csv::buckets;

#[path = "../../../../tests/fuzz/mutator.rs"]
mod mutator;

use mutator::{Dice, cases, mutate_bytes, run};

/// Cases of each target in `cargo test`.
const CASES: u64 = 2_000;

const OPENAI: &str = "start_time,end_time,model,num_model_requests,input_tokens,output_tokens,\
    input_cached_tokens\n1761523260,1761523320,gpt-4o-mini,3.0,7162,500,1280\n\
    1761523260,1761523320,gpt-4o,1,38,5,0\n";
const OPENAI_COST: &str = "start_time,end_time,amount_value,amount_currency\n\
    1761523260,1761523320,0.25,usd\n1761523320,1761523380,1.5,usd\n";
const ANTHROPIC: &str = "usage_date_utc,model_version,usage_input_tokens_no_cache,\
    usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,\
    usage_input_tokens_cache_read,usage_output_tokens,web_search_count\n\
    2026-11-01,claude-x,10,1,2,3,4,0\n";
const SHEET: &str = "kind,id,name,org,user,models,labels,month_usd,mode\n\
    org,acme,Acme,,,,,1000,\nuser,ann,Ann,acme,,,,50,soft\n\
    key,ci,,,ann,openai/*;demo/chat,team=search,,\n";
const LITELLM: &str = "model_list:\n  - model_name: fast\n    litellm_params:\n      \
    model: openai/gpt-4o-mini\n      api_key: sk-canary-0123456789\nlitellm_settings:\n  \
    max_budget: 100\n  budget_duration: 30d\n";

/// A file with some cells, lines or bytes changed.
fn changed(dice: &mut Dice, seed: &str) -> String {
    let odd = ["", "-1", "1e400", "NaN", "18446744073709551616", "0.5", "é", "\"", "=1+1", "\u{0}"];
    let mut lines: Vec<String> = seed.lines().map(str::to_owned).collect();
    for _ in 0..=dice.below(2) {
        let at = dice.below(lines.len());
        let again = lines[at].clone();
        match dice.below(4) {
            0 => lines.insert(at, again),
            1 if lines.len() > 1 => drop(lines.remove(at)),
            _ => {
                let mut cells: Vec<&str> = again.split(',').collect();
                let cell = dice.below(cells.len());
                cells[cell] = odd[dice.below(odd.len())];
                lines[at] = cells.join(",");
            }
        }
    }
    let text = lines.join(if dice.one_in(4) { "\r\n" } else { "\n" });
    let odd = dice.one_in(6);
    let bytes = if odd { mutate_bytes(dice, text.into_bytes()) } else { text.into_bytes() };
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn no_usage_export_is_read_for_more_than_it_says() {
    let seeds = [("openai", OPENAI), ("openai", OPENAI_COST), ("anthropic", ANTHROPIC)];
    let read = std::sync::atomic::AtomicUsize::new(0);
    run("exports", cases(CASES), |dice| {
        let (provider, seed) = *dice.pick(&seeds);
        let text = changed(dice, seed);
        let Ok(buckets) = buckets(&text, provider, false) else { return };
        read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let lines = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).count();
        assert!(buckets.len() < lines.max(1), "{} buckets of {text}", buckets.len());
        for bucket in buckets {
            assert!(
                bucket.cost.is_none_or(|cost| cost.at_most.pico().abs() < 10_i128.pow(30)),
                "{text}"
            );
        }
    });
    assert!(read.into_inner() > 100, "some are still exports");
}

#[test]
fn no_file_to_import_breaks_its_reader_or_shows_its_secret() {
    run("imports", cases(CASES), |dice| {
        match sheet::plan(&changed(dice, SHEET)) {
            Ok(steps) => assert!(steps.len() <= 16, "{}", steps.len()),
            Err(faults) => assert!(!faults.is_empty()),
        }
        let text = changed(dice, LITELLM);
        let told: Vec<String> = match litellm::plan(&text, "org:acme") {
            Ok(steps) => steps.iter().map(|step| format!("{step:?}")).collect(),
            Err(faults) => faults.iter().map(|fault| format!("{fault:?}")).collect(),
        };
        for line in told {
            assert!(!line.contains("canary-0123456789"), "{text}\n{line}");
        }
    });
}
