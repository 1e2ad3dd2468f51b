//! A provider's usage report beside the books.

use farebox_api::{PostStatement, ReportedUsage, Statement};
use farebox_core::{Money, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::{path, plus, usd};
use crate::client::Client;
use crate::failure::Failure;
use crate::print::{Output, Table};

/// How a provider's report is read: where a bucket begins and ends, and one result of it.
struct Format {
    provider: &'static str,
    starts: &'static str,
    ends: &'static str,
    usage: fn(&Value) -> ReportedUsage,
}

/// One row a provider.
const FORMATS: [Format; 2] = [
    Format { provider: "openai", starts: "start_time", ends: "end_time", usage: openai },
    Format { provider: "anthropic", starts: "starting_at", ends: "ending_at", usage: anthropic },
];

/// `farebox reconcile --import FILE --provider NAME [--apply]`
pub async fn import(
    client: &Client,
    file: &str,
    provider: &str,
    apply: bool,
) -> Result<Output, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("{file}: {error}"), "name a file of JSON pages"))?;
    let format = FORMATS.iter().find(|format| format.provider == provider);
    let format = format.ok_or_else(|| {
        Failure::new(format!("no report of {provider} is known"), "use openai or anthropic")
    })?;
    let buckets = buckets(&text, format, apply)?;
    let head = [
        "FROM",
        "MODEL",
        "REPORTED",
        "SETTLED",
        "UNKNOWN",
        "CHARGED_USD",
        "DETERMINED",
        "COST_USD",
        "ERROR_BAR_USD",
    ];
    let (mut table, mut bar, mut too_high) = (Table::new(&head), Money::ZERO, Money::ZERO);
    let mut answers = Vec::new();
    for bucket in buckets {
        let answer = client.send(Method::POST, &path("reconcile"), &bucket, None).await?;
        let statement: Statement = answer.parse()?;
        for line in statement.lines {
            let determined = line.determined.len().to_string();
            bar = plus(bar, usd(&line.error_bar_usd)?)?;
            let cost = if line.determined_usd.is_empty() { "0" } else { &line.determined_usd };
            let charged = plus(usd(&line.charged_usd)?, usd(&line.error_bar_usd)?.negated())?;
            too_high = plus(too_high, plus(charged, usd(cost)?.negated())?)?;
            table.push(vec![
                bucket.from.clone(),
                line.model,
                line.reported_tokens,
                line.settled_tokens,
                line.unknown_calls.to_string(),
                line.charged_usd,
                determined,
                line.determined_usd,
                line.error_bar_usd,
            ]);
        }
        answers.push(answer.body);
    }
    let end = if apply { "They are corrected." } else { "--apply corrects them." };
    let text = format!(
        "{}\nThe charges that the report determines are {too_high} USD too high. {end}\n\
         What it does not determine may be up to {bar} USD too high.",
        table.with_head()
    );
    Ok(Output::new(json!(answers), text))
}

/// The buckets of a file: one page of the API, or several after each other.
fn buckets(text: &str, format: &Format, apply: bool) -> Result<Vec<PostStatement>, Failure> {
    let wrong = |what: &str| {
        Failure::new(
            format!("this is no usage report of {}: {what}", format.provider),
            "save the answers of its usage API, grouped by model, as they came",
        )
    };
    let mut buckets = Vec::new();
    for page in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let page = page.map_err(|error| wrong(&error.to_string()))?;
        let data = page.get("data").and_then(Value::as_array).ok_or_else(|| wrong("no data"))?;
        for bucket in data {
            let time = |name: &str| bucket.get(name).and_then(instant).ok_or_else(|| wrong(name));
            let results = bucket.get("results").and_then(Value::as_array);
            let results = results.ok_or_else(|| wrong("no results"))?;
            let usage: Vec<_> = results.iter().map(format.usage).collect();
            if usage.iter().any(|one| one.model.is_empty()) {
                return Err(wrong("a result names no model"));
            }
            let provider = format.provider.to_owned();
            let (from, to) = (time(format.starts)?, time(format.ends)?);
            buckets.push(PostStatement { provider, from, to, usage, apply });
        }
    }
    Ok(buckets)
}

/// A time as seconds or as RFC 3339.
fn instant(value: &Value) -> Option<String> {
    match value {
        Value::Number(seconds) => {
            let ms = seconds.as_i64()?.checked_mul(1_000)?;
            Some(Timestamp::from_ms(ms).to_string())
        }
        Value::String(text) => Timestamp::parse(text).ok().map(|at| at.to_string()),
        _ => None,
    }
}

fn count(result: &Value, pointer: &str) -> u64 {
    result.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn model(result: &Value) -> String {
    result.get("model").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// `organization.usage.completions.result`: input counts the cached tokens too.
fn openai(result: &Value) -> ReportedUsage {
    let cached = count(result, "/input_cached_tokens");
    ReportedUsage {
        model: model(result),
        calls: result.get("num_model_requests").and_then(Value::as_u64),
        prompt: count(result, "/input_tokens").saturating_sub(cached),
        cached,
        completion: count(result, "/output_tokens"),
        ..ReportedUsage::default()
    }
}

/// A result of `usage_report/messages`.
fn anthropic(result: &Value) -> ReportedUsage {
    ReportedUsage {
        model: model(result),
        calls: None,
        prompt: count(result, "/uncached_input_tokens"),
        cached: count(result, "/cache_read_input_tokens"),
        cache_write_5m: count(result, "/cache_creation/ephemeral_5m_input_tokens"),
        cache_write_1h: count(result, "/cache_creation/ephemeral_1h_input_tokens"),
        completion: count(result, "/output_tokens"),
        web_searches: count(result, "/server_tool_use/web_search_requests"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, provider: &str) -> Result<Vec<PostStatement>, Failure> {
        let format = FORMATS.iter().find(|format| format.provider == provider).unwrap();
        buckets(text, format, false)
    }

    #[test]
    fn both_providers_reports_become_disjoint_classes() {
        let openai = r#"{"object":"page","data":[{"object":"bucket","start_time":1730419200,
            "end_time":1730505600,"results":[{"input_tokens":1000,"output_tokens":500,
            "input_cached_tokens":800,"num_model_requests":5,
            "model":"gpt-4o-mini-2024-07-18"}]}]}"#;
        let anthropic = r#"{"data":[{"starting_at":"2026-11-23T00:00:00Z",
            "ending_at":"2026-11-24T00:00:00Z","results":[{"uncached_input_tokens":7,
            "cache_creation":{"ephemeral_1h_input_tokens":2,"ephemeral_5m_input_tokens":1},
            "cache_read_input_tokens":3,"output_tokens":4,
            "server_tool_use":{"web_search_requests":6},"model":"claude-sonnet-4-20250514"}]}]}"#;

        let theirs = read(openai, "openai").unwrap();
        assert_eq!(theirs[0].from, "2024-11-01T00:00:00Z");
        let usage = &theirs[0].usage[0];
        assert_eq!(
            (usage.prompt, usage.cached, usage.completion, usage.calls),
            (200, 800, 500, Some(5))
        );

        // Two pages in one file.
        let theirs = read(&format!("{anthropic}\n{anthropic}"), "anthropic").unwrap();
        assert_eq!(theirs.len(), 2);
        let usage = &theirs[0].usage[0];
        assert_eq!([usage.prompt, usage.cached, usage.cache_write_5m], [7, 3, 1]);
        assert_eq!([usage.cache_write_1h, usage.completion, usage.web_searches], [2, 4, 6]);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for text in ["x", "{}", r#"{"data":[{}]}"#] {
            assert!(read(text, "openai").is_err(), "{text}");
        }
        let ungrouped = r#"{"data":[{"start_time":1,"end_time":2,"results":[{"model":null}]}]}"#;
        let refused = read(ungrouped, "openai").unwrap_err().to_string();
        assert!(refused.contains("names no model") && refused.contains("grouped by model"));
    }
}
