//! How many recorded exchanges show what: counted where `FAREBOX_CORPUS` names the corpus, and kept
//! in `recorded.json` for where it does not.

use std::collections::BTreeMap;
use std::path::Path;

use farebox_core::Format;
use farebox_providers::Provider;
use serde_json::Value;

use crate::FEATURES;
use crate::evidence::Shown;

type Counts = BTreeMap<String, BTreeMap<String, usize>>;

const COMMITTED: &str = include_str!("recorded.json");

/// How many of a row's exchanges show a feature, as it is kept.
pub fn committed(row: &str, feature: &str) -> usize {
    let counts: Counts = serde_json::from_str(COMMITTED).unwrap();
    counts.get(row).and_then(|counts| counts.get(feature)).copied().unwrap_or_default()
}

/// The row that reads a good answer of the corpus: not where that of another reads it, nor what
/// the corpus' own tests list as skipped.
fn row_of(exchange: &Value) -> Option<&'static Provider> {
    let [name, api, id] = ["provider", "api", "id"].map(|field| exchange[field].as_str().unwrap());
    let row = farebox_providers::find(name).filter(|_| exchange["status"] == 200)?;
    let skipped = ["openai-parallel-tool-call-wrapper", "azure-deepseek-reasoning"];
    let is_own = match (name, api) {
        ("bedrock", _) => ["bedrock-converse", "bedrock-converse-stream"].contains(&api),
        ("deepseek", _) => api == "openai-chat",
        (_, "embeddings") => row.wire_for("embed", Format::Embeddings).is_ok(),
        _ => [
            "openai-chat",
            "openai-responses",
            "openai-completions",
            "anthropic-messages",
            "gemini-generate",
            "cohere-chat",
        ]
        .contains(&api),
    };
    (is_own && !skipped.iter().any(|part| id.contains(part))).then_some(row)
}

#[test]
fn the_recorded_exchanges_of_the_page_are_those_of_the_corpus() {
    let Some(corpus) = std::env::var_os("FAREBOX_CORPUS") else {
        println!("skipped: FAREBOX_CORPUS names no corpus");
        return;
    };
    let mut counts = Counts::new();
    for entry in std::fs::read_dir(Path::new(&corpus).join("exchanges")).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        let exchange: Value = serde_json::from_slice(&file).unwrap();
        let Some(row) = row_of(&exchange) else { continue };
        let shown = Shown::recorded(&exchange);
        for feature in FEATURES.iter().filter(|feature| (feature.shown)(&shown)) {
            let of_row = counts.entry(row.name.to_owned()).or_default();
            *of_row.entry(feature.name.to_owned()).or_default() += 1;
        }
    }
    let counts = serde_json::to_string_pretty(&counts).unwrap();
    assert_eq!(COMMITTED.trim(), counts, "tests/page/recorded.json must be:\n{counts}");
}
