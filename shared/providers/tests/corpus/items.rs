//! The items of a recorded response, read without Farebox's decoder.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Api, Exchange};

/// An item of a response that has a fee, where it is a search.
const SEARCH: &str = "web_search_call";

/// Items with a fee where they are made by a provider whose fees are known.
const FILES: &str = "file_search_call";
const CODE: &str = "code_interpreter_call";
const FEES_OF: &str = "openai";

/// Items of a response that cost nothing that is not counted.
const PLAIN_ITEMS: [&str; 8] = [
    SEARCH,
    "message",
    "reasoning",
    "function_call",
    "custom_tool_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
];

impl Exchange {
    /// The first item that a tool of the provider's made.
    pub(super) fn hosted(&self) -> Option<String> {
        let items = self.items();
        let mut kinds = items.iter().filter_map(|item| item["type"].as_str());
        let has_fee = |kind: &str| self.provider.name == FEES_OF && [FILES, CODE].contains(&kind);
        let hosted = kinds.find(|kind| !PLAIN_ITEMS.contains(kind) && !has_fee(kind))?;
        Some(format!("output.{hosted}"))
    }

    /// What a response holds.
    fn items(&self) -> Vec<Value> {
        if self.api != Api::Responses {
            return Vec::new();
        }
        let body = String::from_utf8_lossy(&self.body).into_owned();
        let last = body
            .lines()
            .rev()
            .find(|line| line.contains("\"response.completed\""))
            .and_then(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
        let last = last.map_or_else(
            || serde_json::from_str::<Value>(&body).unwrap(),
            |event: Value| event["response"].clone(),
        );
        last["output"].as_array().cloned().unwrap_or_default()
    }

    /// What its searches of files and its containers cost, in pico-USD.
    pub(super) fn fees(&self) -> i128 {
        if self.provider.name != FEES_OF {
            return 0;
        }
        let items = self.items();
        let of = |kind: &'static str| items.iter().filter(move |item| item["type"] == kind);
        let containers: BTreeSet<_> = of(CODE).map(|call| call["container_id"].as_str()).collect();
        let pieces = |count: usize, pico: i128| i128::try_from(count).unwrap() * pico;
        pieces(of(FILES).count(), 2_500_000_000) + pieces(containers.len(), 30_000_000_000)
    }

    /// The calls of a search that have a fee.
    pub(super) fn searches(&self) -> u64 {
        let is_free = |item: &Value| {
            matches!(item["action"]["type"].as_str(), Some("open_page" | "find_in_page"))
        };
        let calls = self.items().into_iter().filter(|item| item["type"] == SEARCH);
        u64::try_from(calls.filter(|item| !is_free(item)).count()).unwrap()
    }
}
