//! What calls add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::csv::csv;

/// Sums over calls, exact. Amounts are decimal texts of USD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageSums {
    /// Calls that were admitted.
    pub calls: u64,
    /// Calls that Farebox refused.
    pub refused: u64,
    /// What was charged, with corrections: the sum of the log's rows.
    pub charged_usd: String,
    /// Of it: holds that are charged because nobody knows the cost; it may be up to this much
    /// too high.
    pub unknown_usd: String,
    /// Of it: corrections, refunds and re-ratings, signed.
    pub entered_usd: String,
    /// Of it: prompt tokens, of the calls whose cost is known in parts.
    pub input_usd: String,
    /// Of it: completion tokens.
    pub output_usd: String,
    /// Of it: fees by the piece.
    pub fees_usd: String,
    /// What discounts took off the list prices of prompt tokens, beside what was charged.
    #[serde(default)]
    pub input_off_usd: String,
    /// The same of completion tokens.
    #[serde(default)]
    pub output_off_usd: String,
    /// How many searches, requests and other things by the piece these fees are for.
    #[serde(default)]
    pub pieces: u64,
    /// Prompt tokens of every class.
    pub prompt_tokens: u64,
    /// Of them: read from the provider's cache.
    pub cached_tokens: u64,
    /// Of them: written to the provider's cache.
    pub cache_write_tokens: u64,
    /// Completion tokens, reasoning included.
    pub completion_tokens: u64,
    /// Of them: reasoning.
    pub reasoning_tokens: u64,
}

/// The sums of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageRow {
    /// What the group has in common, by what was asked for: `{"team": "t1", "day": "2026-11-23"}`.
    pub by: BTreeMap<String, String>,
    /// The sums.
    #[serde(flatten)]
    pub sums: UsageSums,
}

/// `GET /admin/v1/usage?by=&since=&until=&scope=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageReport {
    /// What the rows are grouped by.
    pub by: Vec<String>,
    /// Whose calls; null: all.
    pub scope: Option<String>,
    /// The first day, in UTC.
    pub since: String,
    /// The last day.
    pub until: String,
    /// By day or month where that was asked for, then the dearest first.
    pub rows: Vec<UsageRow>,
    /// What the rows beyond `limit` add up to; null where all are shown.
    pub rest: Option<UsageSums>,
    /// What all rows add up to.
    pub total: UsageSums,
}

/// What the calls of one key with the same labels cost on one model and day. An entry of an
/// admin's that is of no call stands in the scope that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageDayRow {
    /// `key:ID`; of an entry in other books `user:ID`, `team:ID` or `org:ID`.
    pub scope: String,
    /// `provider/model`; `-` where it was not known.
    pub model: String,
    /// The labels as the calls carried them, as far as they are told apart.
    pub labels: BTreeMap<String, String>,
    /// The sums.
    #[serde(flatten)]
    pub sums: UsageSums,
}

/// `GET /admin/v1/usage/days/{day}`: every charge of a day, once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageDay {
    /// The day, in UTC.
    pub day: String,
    /// By scope, model and labels.
    pub rows: Vec<UsageDayRow>,
    /// Where the next page begins; null at the end.
    pub next_cursor: Option<String>,
}

/// One value of a statement's line.
type Value = fn(&UsageRow) -> String;

/// What a statement says of each line.
const COLUMNS: [(&str, Value); 12] = [
    ("charged_usd", |row| row.sums.charged_usd.clone()),
    ("unknown_usd", |row| row.sums.unknown_usd.clone()),
    ("corrections_usd", |row| row.sums.entered_usd.clone()),
    ("input_usd", |row| row.sums.input_usd.clone()),
    ("output_usd", |row| row.sums.output_usd.clone()),
    ("fees_usd", |row| row.sums.fees_usd.clone()),
    ("calls", |row| row.sums.calls.to_string()),
    ("refused", |row| row.sums.refused.to_string()),
    ("prompt_tokens", |row| row.sums.prompt_tokens.to_string()),
    ("cached_tokens", |row| row.sums.cached_tokens.to_string()),
    ("completion_tokens", |row| row.sums.completion_tokens.to_string()),
    ("reasoning_tokens", |row| row.sums.reasoning_tokens.to_string()),
];

impl UsageReport {
    /// The month's statement, as CSV: the same whether the command prints it or the scheduler
    /// mails it. It is whole only where nothing is in `rest`.
    #[must_use]
    pub fn statement(&self, month: &str) -> String {
        let mut head = vec!["month".to_owned()];
        head.extend(self.by.iter().cloned());
        head.extend(COLUMNS.map(|(name, _)| name.to_owned()));
        let mut lines = vec![head];
        for row in &self.rows {
            let mut line = vec![month.to_owned()];
            line.extend(self.by.iter().map(|by| row.by.get(by).cloned().unwrap_or_default()));
            line.extend(COLUMNS.map(|(_, value)| value(row)));
            lines.push(line);
        }
        csv(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_csv_and_no_name_in_it_is_a_formula() {
        let row = |team: &str, charged: &str| UsageRow {
            by: BTreeMap::from([("team".to_owned(), team.to_owned())]),
            sums: UsageSums {
                charged_usd: charged.to_owned(),
                unknown_usd: "0".to_owned(),
                entered_usd: "-0.5".to_owned(),
                ..UsageSums::default()
            },
        };
        let report = UsageReport {
            by: vec!["team".to_owned()],
            rows: vec![row("search", "2"), row("=cmd()", "0.5")],
            ..UsageReport::default()
        };

        let text = report.statement("2026-11");

        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("month,team,charged_usd,unknown_usd,corrections_usd,"));
        assert!(lines[1].starts_with("2026-11,search,2,0,-0.5,"), "{text}");
        assert!(lines[2].starts_with("2026-11,'=cmd(),0.5,"), "{text}");
    }
}
