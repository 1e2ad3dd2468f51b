//! A provider's usage report beside the books.

use farebox_api::{PostStatement, ReportedUsage, Statement};
use farebox_core::{Money, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::{path, plus, provider_csv, usd};
use crate::client::Client;
use crate::failure::Failure;
use crate::print::{Output, Table};

/// How a provider's report is read: where a bucket begins and ends, and one result of it.
struct Format {
    provider: &'static str,
    starts: &'static str,
    ends: &'static str,
    usage: fn(&Value) -> ReportedUsage,
    /// Where a cost report has an amount, and the powers of ten from its unit to a USD.
    amount: &'static str,
    decimals: u32,
}

/// One bucket of a report: counts by model, or an amount.
pub struct Bucket {
    pub statement: PostStatement,
    pub cost: Option<Money>,
}

/// One row a provider.
const FORMATS: [Format; 2] = [
    Format {
        provider: "openai",
        starts: "start_time",
        ends: "end_time",
        usage: openai,
        amount: "/amount/value",
        decimals: 0,
    },
    Format {
        provider: "anthropic",
        starts: "starting_at",
        ends: "ending_at",
        usage: anthropic,
        amount: "/amount",
        decimals: 2,
    },
];

/// `farebox reconcile --import FILE --provider NAME [--apply]`
pub async fn import(
    client: &Client,
    file: &str,
    provider: &str,
    apply: bool,
) -> Result<Output, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("{file}: {error}"), "name a file of JSON or CSV"))?;
    let format = FORMATS.iter().find(|format| format.provider == provider);
    let format = format.ok_or_else(|| {
        Failure::new(format!("no report of {provider} is known"), "use openai or anthropic")
    })?;
    let buckets = match text.trim_start().starts_with('{') {
        true => buckets(&text, format, apply)?,
        false => provider_csv::buckets(&text, provider, apply)?,
    };
    if buckets.iter().any(|bucket| bucket.cost.is_some()) {
        return costs(client, buckets).await;
    }
    usage(client, buckets, apply).await
}

/// A usage report: what it determines of the unknown calls.
async fn usage(client: &Client, buckets: Vec<Bucket>, apply: bool) -> Result<Output, Failure> {
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
    for Bucket { statement: bucket, .. } in buckets {
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

/// A cost report: amounts beside the books, and the holds of unknown calls as the error bar. It
/// names no calls, so it corrects none.
async fn costs(client: &Client, buckets: Vec<Bucket>) -> Result<Output, Failure> {
    let head = ["FROM", "REPORTED_USD", "BOOKS_USD", "DIFFERENCE_USD", "ERROR_BAR_USD"];
    let (mut table, mut sums) = (Table::new(&head), [Money::ZERO; 4]);
    for Bucket { statement, cost } in buckets {
        let reported = cost.unwrap_or_default();
        // Only read: no counts are in it that could mean anything.
        let ask = PostStatement { usage: Vec::new(), apply: false, ..statement };
        let answer = client.send(Method::POST, &path("reconcile"), &ask, None).await?;
        let (mut books, mut unknown) = (Money::ZERO, Money::ZERO);
        for line in answer.parse::<Statement>()?.lines {
            unknown = plus(unknown, usd(&line.charged_usd)?)?;
            books = plus(books, plus(usd(&line.settled_usd)?, usd(&line.charged_usd)?)?)?;
        }
        let amounts = [reported, books, plus(reported, books.negated())?, unknown];
        for (sum, amount) in sums.iter_mut().zip(amounts) {
            *sum = plus(*sum, amount)?;
        }
        table.push([vec![ask.from], amounts.map(|amount| amount.to_string()).to_vec()].concat());
    }
    let [reported, books, difference, unknown] = sums.map(|amount| amount.to_string());
    let text = format!(
        "{}\nReported {reported} USD, booked {books} USD: {difference} USD apart. The books may be \
         up to {unknown} USD too high, the holds of calls whose outcome nobody knew; a usage \
         report may tell.",
        table.with_head()
    );
    let json = json!({
        "reported_usd": reported, "books_usd": books, "difference_usd": difference,
        "error_bar_usd": unknown,
    });
    Ok(Output::new(json, text))
}

/// An amount in units of 10^-`decimals` USD, as JSON has it. What is finer than a pico-USD is
/// left out: a provider's sum is a float.
pub fn amount(value: &Value, decimals: u32) -> Option<Money> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let shift = i64::from(exponent.parse::<i32>().ok()?) + 12
        - i64::from(decimals)
        - i64::try_from(fraction.len()).ok()?;
    let power = 10_i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?);
    let pico = match power {
        Some(power) if shift >= 0 => digits.checked_mul(power)?,
        Some(power) => digits / power,
        None if shift < 0 => 0,
        None => return None,
    };
    Money::from_pico(pico).ok()
}

/// The buckets of a file: one page of the API, or several after each other.
fn buckets(text: &str, format: &Format, apply: bool) -> Result<Vec<Bucket>, Failure> {
    let wrong = |what: &str| {
        Failure::new(
            format!("this is no report of {}: {what}", format.provider),
            "save the answers of its usage API, grouped by model, or of its cost API, as they came",
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
            let mut cost = None;
            for value in results.iter().filter_map(|one| one.pointer(format.amount)) {
                let amount = amount(value, format.decimals).ok_or_else(|| wrong("an amount"))?;
                cost = Some(plus(cost.unwrap_or_default(), amount)?);
            }
            let usage: Vec<_> = match cost {
                Some(_) => Vec::new(),
                None => results.iter().map(format.usage).collect(),
            };
            if usage.iter().any(|one| one.model.is_empty()) {
                return Err(wrong("a result names no model"));
            }
            let provider = format.provider.to_owned();
            let (from, to) = (time(format.starts)?, time(format.ends)?);
            let statement = PostStatement { provider, from, to, usage, apply };
            buckets.push(Bucket { statement, cost });
        }
    }
    Ok(buckets)
}

/// A time as seconds or as RFC 3339.
fn instant(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => seconds(number.as_i64()?),
        Value::String(text) => Timestamp::parse(text).ok().map(|at| at.to_string()),
        _ => None,
    }
}

/// A time in seconds since 1970.
pub fn seconds(seconds: i64) -> Option<String> {
    Some(Timestamp::from_ms(seconds.checked_mul(1_000)?).to_string())
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
        let buckets = buckets(text, format, false)?;
        Ok(buckets.into_iter().map(|bucket| bucket.statement).collect())
    }

    #[test]
    fn a_cost_report_is_read_to_the_pico_and_names_no_counts() {
        let cost = |text: &str, at: usize| {
            let bucket = buckets(text, &FORMATS[at], true).unwrap().pop().unwrap();
            assert!(bucket.statement.usage.is_empty());
            bucket.cost.unwrap().to_string()
        };
        let openai = r#"{"data":[{"start_time":1,"end_time":2,"results":[
            {"amount":{"value":0.06,"currency":"usd"},"line_item":null},
            {"amount":{"value":1e-7,"currency":"usd"}}]}]}"#;
        let anthropic = r#"{"data":[{"starting_at":"2026-11-23T00:00:00Z",
            "ending_at":"2026-11-24T00:00:00Z",
            "results":[{"currency":"USD","amount":"123.45"}]}]}"#;

        assert_eq!(cost(openai, 0), "0.0600001");
        assert_eq!(cost(anthropic, 1), "1.2345");
        for wrong in [json!("x"), json!(null), json!("1e999"), json!("1.2.3")] {
            assert_eq!(amount(&wrong, 0), None, "{wrong}");
        }
        assert_eq!(amount(&json!(1e-30), 0), Some(Money::ZERO));
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
        for text in ["{", "{}", r#"{"data":[{}]}"#] {
            assert!(read(text, "openai").is_err(), "{text}");
        }
        let ungrouped = r#"{"data":[{"start_time":1,"end_time":2,"results":[{"model":null}]}]}"#;
        let refused = read(ungrouped, "openai").unwrap_err().to_string();
        assert!(refused.contains("names no model") && refused.contains("grouped by model"));
    }
}
