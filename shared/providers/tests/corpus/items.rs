//! The items of a recorded response, read without Farebox's decoder.

use serde_json::Value;

use super::{Api, Exchange};

/// An item of a response that has a fee, where it is a search.
const SEARCH: &str = "web_search_call";

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
        let hosted = kinds.find(|kind| !PLAIN_ITEMS.contains(kind))?;
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

    /// The calls of a search that have a fee.
    pub(super) fn searches(&self) -> u64 {
        let is_free = |item: &Value| {
            matches!(item["action"]["type"].as_str(), Some("open_page" | "find_in_page"))
        };
        let calls = self.items().into_iter().filter(|item| item["type"] == SEARCH);
        u64::try_from(calls.filter(|item| !is_free(item)).count()).unwrap()
    }
}
