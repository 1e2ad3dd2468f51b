//! The columns of a row in the lake. Neither what was said nor where the caller sat is among them;
//! the log has neither the one, and keeps the other for 90 days.

use farebox_core::parquet::Column;
use farebox_core::{CallRecord, Money, Usage};

type Of<T> = fn(&CallRecord) -> Option<T>;

/// What a column holds of each row.
enum Value {
    Text(Of<String>),
    Usd(Of<Money>),
    Count(Of<u64>),
    Ms(Of<i64>),
    Time(fn(&CallRecord) -> i64),
}

/// In this order; the table of Athena has the same (infra/template.yaml).
const COLUMNS: [(&str, Value); 35] = [
    ("request_id", Value::Text(|row| Some(row.request_id.to_string()))),
    ("parent_id", Value::Text(|row| row.parent.map(|id| id.to_string()))),
    ("started_at", Value::Time(|row| row.started_at.ms())),
    ("user_id", Value::Text(|row| Some(row.user.to_string()))),
    ("key_id", Value::Text(|row| Some(row.key_id.to_string()))),
    ("org_id", Value::Text(|row| row.org.as_ref().map(ToString::to_string))),
    ("team_id", Value::Text(|row| row.team.as_ref().map(ToString::to_string))),
    ("labels", Value::Text(labels)),
    ("endpoint", Value::Text(|row| Some(row.endpoint.clone()))),
    ("provider", Value::Text(|row| row.provider.clone())),
    ("model", Value::Text(|row| row.model.clone())),
    ("model_served", Value::Text(|row| row.model_served.clone())),
    ("service_tier", Value::Text(|row| row.service_tier.clone())),
    ("outcome", Value::Text(|row| word(&row.outcome))),
    ("http_status", Value::Count(|row| Some(row.http_status.into()))),
    ("error_code", Value::Text(|row| row.error_code.clone())),
    ("finish_reason", Value::Text(|row| row.finish_reason.clone())),
    ("streamed", Value::Count(|row| Some(row.stream.into()))),
    ("client_gone", Value::Count(|row| Some(row.client_gone.into()))),
    ("prompt_tokens", Value::Count(|row| count(row, Usage::prompt_tokens))),
    ("cached_tokens", Value::Count(|row| count(row, |usage| usage.cached))),
    ("cache_write_tokens", Value::Count(|row| count(row, written))),
    ("completion_tokens", Value::Count(|row| count(row, Usage::completion_tokens))),
    ("reasoning_tokens", Value::Count(|row| count(row, |usage| usage.reasoning))),
    ("charged_usd", Value::Usd(CallRecord::charged)),
    ("hold_usd", Value::Usd(|row| row.hold)),
    ("input_usd", Value::Usd(|row| row.cost.map(|cost| cost.input))),
    ("output_usd", Value::Usd(|row| row.cost.map(|cost| cost.output))),
    ("fees_usd", Value::Usd(|row| row.cost.map(|cost| cost.fees))),
    ("provider_usd", Value::Usd(|row| row.provider_cost)),
    ("price_version", Value::Text(|row| row.price_version.clone())),
    ("corrects", Value::Text(|row| Some(row.correction.as_ref()?.of?.to_string()))),
    ("response_ms", Value::Ms(|row| Some(row.response_time_ms))),
    ("first_token_ms", Value::Ms(|row| row.first_token_ms)),
    ("credential_owner", Value::Text(|row| row.credential_owner.clone())),
];

/// The columns of some rows.
pub(super) fn of(rows: &[CallRecord]) -> Vec<(&'static str, Column)> {
    let column = |(name, value): &(&'static str, Value)| {
        let column = match value {
            Value::Text(of) => {
                Column::Text(rows.iter().map(|row| of(row).unwrap_or_default()).collect())
            }
            Value::Usd(of) => {
                Column::Decimal(rows.iter().map(|row| of(row).map(Money::pico)).collect())
            }
            Value::Count(of) => {
                let number = |row| of(row).and_then(|count| i64::try_from(count).ok());
                Column::Integer(rows.iter().map(number).collect())
            }
            Value::Ms(of) => Column::Integer(rows.iter().map(of).collect()),
            Value::Time(of) => Column::Instant(rows.iter().map(|row| Some(of(row))).collect()),
        };
        (*name, column)
    };
    COLUMNS.iter().map(column).collect()
}

fn count(row: &CallRecord, of: fn(&Usage) -> u64) -> Option<u64> {
    row.usage.as_ref().map(of)
}

const fn written(usage: &Usage) -> u64 {
    usage.cache_write_5m.saturating_add(usage.cache_write_1h)
}

/// As JSON, `{"team": "search"}`; none is null.
fn labels(row: &CallRecord) -> Option<String> {
    if row.labels.is_empty() { None } else { serde_json::to_string(&row.labels).ok() }
}

/// A word as the log and the admin API write it.
fn word(outcome: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(outcome).ok()?.as_str().map(str::to_owned)
}
