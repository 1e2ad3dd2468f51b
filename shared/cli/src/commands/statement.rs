//! A provider's usage report beside the books.

use farebox_api::{PostStatement, ReportedUsage, Statement};
use farebox_core::{Money, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::{path, plus, provider_csv, usd};
use crate::client::Client;
use crate::failure::Failure;
use crate::print::{Output, Table};
use crate::progress::Progress;

/// In pico-USD.
const HALF_A_CENT: i128 = 5_000_000_000;

/// How a provider's report is read: where a bucket begins and ends, and one result of it.
struct Format {
    provider: &'static str,
    starts: &'static str,
    ends: &'static str,
    usage: fn(&Value) -> Option<ReportedUsage>,
    /// Where a cost report has an amount, and the powers of ten from its unit to a USD.
    amount: &'static str,
    decimals: u32,
}

/// One bucket of a report: counts by model, or an amount.
pub struct Bucket {
    pub statement: PostStatement,
    pub cost: Option<Cost>,
}

/// What a cost report says, and the most that may mean: a text's last digit is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub stated: Money,
    pub at_most: Money,
}

impl Cost {
    pub fn plus(self, more: Self) -> Result<Self, Failure> {
        let stated = plus(self.stated, more.stated)?;
        Ok(Self { stated, at_most: plus(self.at_most, more.at_most)? })
    }
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
    let mut buckets = match text.trim_start().starts_with('{') {
        true => buckets(&text, format, apply)?,
        false => provider_csv::buckets(&text, provider, apply)?,
    };
    if buckets.iter().any(|bucket| bucket.cost.is_some()) {
        return costs(client, buckets, apply).await;
    }
    buckets = by_day(buckets);
    usage(client, buckets, apply).await
}

/// The buckets of a UTC day as one, where they follow each other: a call that runs from one bucket
/// into the next is counted in either.
fn by_day(buckets: Vec<Bucket>) -> Vec<Bucket> {
    let mut days = Vec::<Bucket>::new();
    for bucket in buckets {
        let day = |time: &str| time.get(..10).map(str::to_owned);
        let next = &bucket.statement;
        match days.last_mut().map(|last| &mut last.statement) {
            Some(last) if last.to == next.from && day(&last.from) == day(&next.from) => {
                last.to.clone_from(&next.to);
                for usage in &next.usage {
                    add(&mut last.usage, usage);
                }
            }
            _ => days.push(bucket),
        }
    }
    days
}

/// Adds a row of a report to those before it: one a model, tier and place.
pub fn add(sums: &mut Vec<ReportedUsage>, more: &ReportedUsage) {
    let kind = |row: &ReportedUsage| {
        let told = (row.calls.is_some(), row.cache_write_5m.is_some(), row.web_searches.is_some());
        (row.model.clone(), row.service_tier.clone(), row.us_geography, told)
    };
    let Some(sum) = sums.iter_mut().find(|sum| kind(sum) == kind(more)) else {
        sums.push(more.clone());
        return;
    };
    let plus = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.saturating_add(b));
    sum.calls = plus(sum.calls, more.calls);
    sum.cache_write_5m = plus(sum.cache_write_5m, more.cache_write_5m);
    sum.web_searches = plus(sum.web_searches, more.web_searches);
    for (sum, more) in [
        (&mut sum.prompt, more.prompt),
        (&mut sum.cached, more.cached),
        (&mut sum.cache_write_1h, more.cache_write_1h),
        (&mut sum.completion, more.completion),
        (&mut sum.audio, more.audio),
    ] {
        *sum = sum.saturating_add(more);
    }
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
        "WHY_OPEN",
    ];
    let (mut table, mut bar, mut too_high) = (Table::new(&head), Money::ZERO, Money::ZERO);
    let mut budgets = Table::new(&["MODEL", "BUDGET", "DAY", "LEAST_USD", "MOST_USD"]);
    let (mut answers, mut has_limited) = (Vec::new(), false);
    let progress = Progress::steps("buckets", buckets.len());
    for Bucket { statement: bucket, .. } in buckets {
        let answer = client.send(Method::POST, &path("reconcile"), &bucket, None).await?;
        let statement: Statement = answer.parse()?;
        for line in statement.lines {
            let determined = line.determined.len().to_string();
            bar = plus(bar, usd(&line.error_bar_usd)?)?;
            let cost = if line.determined_usd.is_empty() { "0" } else { &line.determined_usd };
            if determined != "0" {
                let charged = plus(usd(&line.charged_usd)?, usd(cost)?.negated())?;
                too_high = plus(too_high, charged)?;
            }
            if !line.limited.is_empty() {
                let charged = usd(&line.charged_usd)?;
                too_high = plus(too_high, plus(charged, usd(&line.limited_usd)?.negated())?)?;
            }
            for of in line.budgets {
                has_limited = true;
                let model = line.model.clone();
                budgets.push(vec![model, of.scope, of.day, of.least_usd, of.most_usd]);
            }
            table.push(vec![
                bucket.from.clone(),
                if line.model.is_empty() { "?".to_owned() } else { line.model },
                line.reported_tokens,
                line.settled_tokens,
                line.unknown_calls.to_string(),
                line.charged_usd,
                determined,
                line.determined_usd,
                line.error_bar_usd,
                line.open,
            ]);
        }
        answers.push(answer.body);
        progress.more(1);
    }
    let end = if apply { "They are corrected." } else { "--apply corrects them." };
    let mut text = format!(
        "{}\nThe charges that the report determines are {too_high} USD too high. {end}\n\
         What it does not determine may be up to {bar} USD too high.",
        table.with_head()
    );
    if has_limited {
        text = format!(
            "{text}\n\nCalls of different budgets whose sum is known can have cost in each:\n{}",
            budgets.with_head()
        );
    }
    Ok(Output::new(json!(answers), text))
}

/// A cost report: amounts beside the books, and what is left for the unknown calls of a time, where
/// that can mean nothing else. Where a time without such calls differs from the books, the prices
/// do, or others call beside Farebox: then nothing is corrected.
async fn costs(client: &Client, buckets: Vec<Bucket>, apply: bool) -> Result<Output, Failure> {
    let head = [
        "FROM",
        "REPORTED_USD",
        "BOOKS_USD",
        "DIFFERENCE_USD",
        "ERROR_BAR_USD",
        "DETERMINED",
        "WHY_OPEN",
    ];
    let (mut table, mut sums) = (Table::new(&head), [Money::ZERO; 4]);
    let (mut determined, mut calls, mut odd) = (Vec::new(), 0, Vec::new());
    let progress = Progress::steps("buckets", buckets.len());
    for Bucket { statement, cost } in buckets {
        let cost = cost.unwrap_or_default();
        let at_most = Some(cost.at_most.to_string());
        let ask = PostStatement { cost_at_most_usd: at_most, apply: false, ..statement };
        let answer = client.send(Method::POST, &path("reconcile"), &ask, None).await?;
        let (mut books, mut bar) = (Money::ZERO, Money::ZERO);
        let (mut unknown, mut known, mut open) = (0_u32, 0, Vec::new());
        for line in answer.parse::<Statement>()?.lines {
            unknown = unknown.saturating_add(line.unknown_calls);
            known += line.determined.len();
            bar = plus(bar, usd(&line.error_bar_usd)?)?;
            books = plus(books, plus(usd(&line.settled_usd)?, usd(&line.charged_usd)?)?)?;
            open.extend(Some(line.open).filter(|open| !open.is_empty()));
        }
        let difference = plus(cost.stated, books.negated())?;
        let rounding = plus(cost.at_most, cost.stated.negated())?;
        if unknown == 0 && (difference > rounding || difference < rounding.negated()) {
            odd.push(ask.from.clone());
        }
        let amounts = [cost.stated, books, difference, bar];
        for (sum, amount) in sums.iter_mut().zip(amounts) {
            *sum = plus(*sum, amount)?;
        }
        let amounts = amounts.map(|amount| amount.to_string()).to_vec();
        let told = vec![known.to_string(), open.join("; ")];
        table.push([vec![ask.from.clone()], amounts, told].concat());
        if known > 0 {
            calls += known;
            determined.push(ask);
        }
        progress.more(1);
    }
    let end = corrected(client, determined, calls, odd.first(), apply).await?;
    let [reported, books, difference, bar] = sums.map(|amount| amount.to_string());
    let text = format!(
        "{}\nReported {reported} USD, booked {books} USD: {difference} USD apart. {end} What it \
         does not determine may be up to {bar} USD too high.",
        table.with_head()
    );
    let json = json!({
        "reported_usd": reported, "books_usd": books, "difference_usd": difference,
        "error_bar_usd": bar, "determined": calls,
    });
    Ok(Output::new(json, text))
}

/// Corrects what a cost report determines, where that is asked for and no day is odd; says so.
async fn corrected(
    client: &Client,
    determined: Vec<PostStatement>,
    calls: usize,
    odd: Option<&String>,
    apply: bool,
) -> Result<String, Failure> {
    Ok(match (calls, odd) {
        (0, _) => "It determines no call whose outcome nobody knew.".to_owned(),
        (_, Some(day)) => format!(
            "Nothing is corrected: {day} has no unknown call and differs all the same, so the \
             prices do, or somebody calls beside Farebox."
        ),
        (_, None) if apply => {
            for ask in determined {
                let ask = PostStatement { apply: true, ..ask };
                client.send(Method::POST, &path("reconcile"), &ask, None).await?;
            }
            format!("{calls} calls whose outcome nobody knew are corrected.")
        }
        _ => {
            format!("It determines {calls} calls whose outcome nobody knew: --apply corrects them.")
        }
    })
}

/// An amount in units of 10^-`decimals` USD, as JSON has it. A number is a float, so what is finer
/// than a pico-USD is left out, and one more is the most that it can mean; a text is rounded at its
/// last digit, but never more coarsely than to cents.
pub fn amount(value: &Value, decimals: u32) -> Option<Cost> {
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
    let stated = Money::from_pico(shifted(digits, shift)?).ok()?;
    let half = if value.is_string() { shifted(5, shift - 1)?.min(HALF_A_CENT) } else { 0 };
    let half = Money::from_pico(half.max(1)).ok()?;
    Some(Cost { stated, at_most: stated.plus(half)? })
}

/// A number times a power of ten, rounded towards zero.
fn shifted(digits: i128, shift: i64) -> Option<i128> {
    let power = 10_i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?);
    match power {
        Some(power) if shift >= 0 => digits.checked_mul(power),
        Some(power) => Some(digits / power),
        None if shift < 0 => Some(0),
        None => None,
    }
}

/// The buckets of a file: one page of the API, or several after each other.
fn buckets(text: &str, format: &Format, apply: bool) -> Result<Vec<Bucket>, Failure> {
    let wrong = |what: &str| {
        Failure::new(
            format!("this is no report of {}: {what}", format.provider),
            "save the answers of its usage API, grouped by model, or of its cost API, as they came",
        )
    };
    let (mut buckets, mut has_more) = (Vec::new(), false);
    for page in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let page = page.map_err(|error| wrong(&error.to_string()))?;
        has_more = page.get("has_more").and_then(Value::as_bool).unwrap_or_default();
        let data = page.get("data").and_then(Value::as_array).ok_or_else(|| wrong("no data"))?;
        for bucket in data {
            let time = |name: &str| bucket.get(name).and_then(instant).ok_or_else(|| wrong(name));
            let results = bucket.get("results").and_then(Value::as_array);
            let results = results.ok_or_else(|| wrong("no results"))?;
            let mut cost: Option<Cost> = None;
            for value in results.iter().filter_map(|one| one.pointer(format.amount)) {
                let amount = amount(value, format.decimals).ok_or_else(|| wrong("an amount"))?;
                cost = Some(cost.unwrap_or_default().plus(amount)?);
            }
            let usage: Vec<_> = match cost {
                Some(_) => Vec::new(),
                None => {
                    let usage: Option<Vec<_>> = results.iter().map(format.usage).collect();
                    usage.ok_or_else(|| wrong("a result has no counts that add up"))?
                }
            };
            if usage.iter().any(|one| one.model.is_empty()) {
                return Err(wrong("a result names no model"));
            }
            let provider = format.provider.to_owned();
            let (from, to) = (time(format.starts)?, time(format.ends)?);
            let cost_at_most_usd = None;
            let statement = PostStatement { provider, from, to, usage, cost_at_most_usd, apply };
            buckets.push(Bucket { statement, cost });
        }
    }
    // A part of a bucket would leave too little for the calls that it is compared with.
    if has_more { Err(wrong("its last page says has_more")) } else { Ok(buckets) }
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

/// A count that must be there.
fn count(result: &Value, pointer: &str) -> Option<u64> {
    result.pointer(pointer)?.as_u64()
}

/// A count that may be left out or null, for none.
fn some(result: &Value, pointer: &str) -> u64 {
    count(result, pointer).unwrap_or_default()
}

fn text<'v>(result: &'v Value, field: &str) -> Option<&'v str> {
    result.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// `organization.usage.completions.result`: input counts the cached tokens and the written ones
/// too.
fn openai(result: &Value) -> Option<ReportedUsage> {
    let (cached, written) =
        (some(result, "/input_cached_tokens"), count(result, "/input_cache_write_tokens"));
    let plain = count(result, "/input_tokens")?.checked_sub(cached)?;
    let is_batch = result.get("batch").and_then(Value::as_bool);
    Some(ReportedUsage {
        model: text(result, "model").unwrap_or_default().to_owned(),
        service_tier: openais_tier(is_batch, text(result, "service_tier")),
        us_geography: Some(false),
        calls: count(result, "/num_model_requests"),
        prompt: plain.checked_sub(written.unwrap_or_default())?,
        cached,
        cache_write_5m: written,
        completion: count(result, "/output_tokens")?,
        audio: some(result, "/input_audio_tokens")
            .saturating_add(some(result, "/output_audio_tokens")),
        ..ReportedUsage::default()
    })
}

/// `OpenAI`'s tier, where the report is grouped by it. A batch says so in a field of its own.
pub fn openais_tier(is_batch: Option<bool>, tier: Option<&str>) -> Option<String> {
    match (is_batch, tier) {
        (Some(true), _) => Some("batch".to_owned()),
        (_, Some("default")) => Some("standard".to_owned()),
        (_, tier) => tier.map(str::to_owned),
    }
}

/// A result of `usage_report/messages`.
fn anthropic(result: &Value) -> Option<ReportedUsage> {
    Some(ReportedUsage {
        model: text(result, "model").unwrap_or_default().to_owned(),
        service_tier: anthropics_tier(text(result, "service_tier"), text(result, "speed")),
        us_geography: text(result, "inference_geo").map(|place| place == "us"),
        prompt: count(result, "/uncached_input_tokens")?,
        cached: some(result, "/cache_read_input_tokens"),
        cache_write_5m: Some(some(result, "/cache_creation/ephemeral_5m_input_tokens")),
        cache_write_1h: some(result, "/cache_creation/ephemeral_1h_input_tokens"),
        completion: count(result, "/output_tokens")?,
        web_searches: Some(some(result, "/server_tool_use/web_search_requests")),
        ..ReportedUsage::default()
    })
}

/// Anthropic's tier and speed as one. Where a report has no speed, a call at the usual tier may
/// have been a fast one; an answer says `standard` of both.
pub fn anthropics_tier(tier: Option<&str>, speed: Option<&str>) -> Option<String> {
    match (tier?, speed) {
        ("standard", None) => None,
        ("standard", Some(speed)) => Some(speed.to_owned()),
        (tier, None | Some("standard")) => Some(tier.to_owned()),
        // Such a tier has no price, so it is not ours.
        (tier, Some(speed)) => Some(format!("{tier} {speed}")),
    }
}

#[cfg(test)]
mod tests;
