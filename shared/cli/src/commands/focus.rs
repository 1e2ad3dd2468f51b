//! `FinOps` FOCUS 1.2: a line for each key, model, set of labels, day and meter.
//!
//! Source of the columns: FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec, `specification/columns`,
//! tag v1.2 (read 2026-11). What each column must be, and why some are left out, is a table of its
//! own: `tests/focus-1.2.csv`, by which every line of an export is tested. What is allowed to be
//! null and not known is empty.

use std::collections::BTreeMap;

use farebox_api::csv::csv;
use farebox_api::{Key, KeyList, UsageDay, UsageDayRow, UsageReport, UsageSums, UserList};
use farebox_core::parquet::{self, Column};
use farebox_core::{Money, Month, Timestamp, Zone};
use serde_json::json;

use super::{path, plus, usd};
use crate::args;
use crate::client::{Client, encoded};
use crate::clock::dashed;
use crate::failure::Failure;
use crate::print::{self, Output};
use crate::progress::Progress;

/// Rows that are asked for at once.
const PAGE_ROWS: u32 = 1_000;

/// The columns, in the order of the specification's names.
const COLUMNS: [&str; 35] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SubAccountId",
    "SubAccountName",
    "Tags",
];

/// Who charges what is of no provider: an entry in the books of a scope, and a call that was
/// swept before its model was known.
const OURSELVES: &str = "Farebox";

/// What is counted: what one is called, and how many of them have a price.
type Unit = (&'static str, &'static str, u64);
const TOKENS: Unit = ("Tokens", "1000000 Tokens", 1_000_000);
const PIECES: Unit = ("Units", "Units", 1);

/// One meter of a row: what it costs and how much was used.
struct Meter {
    name: &'static str,
    cost: Money,
    /// What a discount took off: the cost at list prices is so much more.
    off: Money,
    /// None where nobody counted anything: it is no usage but an adjustment.
    used: Option<(u64, Unit)>,
}

/// What keys and users are called.
struct Names {
    keys: BTreeMap<String, Key>,
    users: BTreeMap<String, String>,
}

/// `farebox export focus --month 2026-10`
pub async fn export(client: &Client, given: &args::Focus) -> Result<Output, Failure> {
    let month = month(&given.month)?;
    let names = names(client).await?;
    let (first, last) = days(month);
    let mut lines = vec![COLUMNS.map(str::to_owned).to_vec()];
    let mut total = Money::ZERO;
    let progress = Progress::steps("days", usize::try_from(last).unwrap_or_default());
    for day in 1..=last {
        let day = format!("{}-{day:02}", given.month);
        let mut page = format!("usage/days/{day}?limit={PAGE_ROWS}");
        loop {
            let found: UsageDay = client.get(&path(&page)).await?.parse()?;
            for row in &found.rows {
                for meter in meters(&row.sums)? {
                    total = plus(total, meter.cost)?;
                    lines.push(line(client, &day, (&first, month), row, &meter, &names));
                }
            }
            let Some(next) = found.next_cursor else { break };
            page = format!("usage/days/{day}?limit={PAGE_ROWS}&cursor={}", encoded(&next));
        }
        progress.more(1);
    }
    drop(progress);
    let books = books(client, &given.month).await?;
    let apart = plus(books, total.negated())?;
    if apart != Money::ZERO {
        print::err(&format!(
            "note: the month's books have {books} USD, {apart} USD more than these lines: calls \
             that came meanwhile, or of the time before such lines were kept"
        ));
    }
    let count = lines.len().saturating_sub(1);
    let is_parquet = given.output.as_ref().is_some_and(|file| file.ends_with(".parquet"));
    let bytes = if is_parquet {
        parquet::file("charges", &columns(&lines))
    } else {
        (csv(&lines) + "\n").into_bytes()
    };
    let json = json!({
        "month": given.month, "rows": count, "billed_usd": total, "books_usd": books,
        "file": given.output,
    });
    let Some(file) = &given.output else {
        return Ok(Output::new(json, String::from_utf8_lossy(&bytes).trim_end()));
    };
    std::fs::write(file, bytes).map_err(|error| {
        Failure::new(format!("{file}: {error}"), "name a file that can be made")
    })?;
    Ok(Output::new(json, format!("{count} lines, {total} USD together, are in {file}.")))
}

/// What all calls and entries of the month add up to.
async fn books(client: &Client, month: &str) -> Result<Money, Failure> {
    let query = path(&format!("usage?by=month&since={month}&until={month}"));
    let report: UsageReport = client.get(&query).await?.parse()?;
    usd(&report.total.charged_usd)
}

async fn names(client: &Client) -> Result<Names, Failure> {
    let keys: KeyList = client.all(&path("keys"), "keys").await?.parse()?;
    let users: UserList = client.all(&path("users"), "users").await?.parse()?;
    let users = users.users.into_iter().filter_map(|user| Some((user.id, user.name?)));
    let keys = keys.keys.into_iter().map(|key| (key.id.clone(), key));
    Ok(Names { keys: keys.collect(), users: users.collect() })
}

/// What a row's charge is the sum of, to the last digit: meters, holds of calls whose cost nobody
/// knows, entries, and what is left.
fn meters(sums: &UsageSums) -> Result<Vec<Meter>, Failure> {
    // Of a gateway of before there is no such field.
    let off = |text: &str| if text.is_empty() { Ok(Money::ZERO) } else { usd(text) };
    let (input_off, output_off) = (off(&sums.input_off_usd)?, off(&sums.output_off_usd)?);
    let (input, output) = (usd(&sums.input_usd)?, usd(&sums.output_usd)?);
    let known = [
        ("Input Tokens", input, input_off, Some((sums.prompt_tokens, TOKENS))),
        ("Output Tokens", output, output_off, Some((sums.completion_tokens, TOKENS))),
        ("Fees", usd(&sums.fees_usd)?, Money::ZERO, Some((sums.pieces, PIECES))),
        ("Calls of unknown cost, at their hold", usd(&sums.unknown_usd)?, Money::ZERO, None),
        ("Corrections", usd(&sums.entered_usd)?, Money::ZERO, None),
    ];
    let mut rest = usd(&sums.charged_usd)?;
    let mut meters = Vec::new();
    for (name, cost, off, used) in known {
        rest = plus(rest, cost.negated())?;
        let used = used.filter(|(count, _)| *count > 0);
        if cost != Money::ZERO || used.is_some() {
            meters.push(Meter { name, cost, off, used });
        }
    }
    if rest != Money::ZERO {
        let name = "Rounding, and calls whose cost is known as a whole";
        meters.push(Meter { name, cost: rest, off: Money::ZERO, used: None });
    }
    Ok(meters)
}

fn line(
    client: &Client,
    day: &str,
    (first, month): (&str, Month),
    row: &UsageDayRow,
    meter: &Meter,
    names: &Names,
) -> Vec<String> {
    let (kind, id) = row.scope.split_once(':').unwrap_or_default();
    let is_key = kind == "key";
    let key = names.keys.get(id).filter(|_| is_key);
    let user = match kind {
        "user" => id,
        _ => key.map_or("", |key| key.user.as_str()),
    };
    let (provider, model) = match row.model.split_once('/') {
        Some((provider, _)) => (provider, row.model.as_str()),
        None => (OURSELVES, OURSELVES),
    };
    let tags = json!(row.labels).to_string();
    let cost = meter.cost.to_string();
    let listed = plus(meter.cost, meter.off).unwrap_or(meter.cost).to_string();
    let (consumed, consumed_unit, priced, priced_unit) = match meter.used {
        None => Default::default(),
        Some((count, (unit, priced_unit, per))) => {
            (count.to_string(), unit, parts(count, per), priced_unit)
        }
    };
    let of_usage = |text: &str| meter.used.map(|_| text.to_owned()).unwrap_or_default();
    let is_usage = meter.used.is_some();
    let midnight = |day: &str| format!("{day}T00:00:00Z");
    let period_end = dashed(Zone::utc().end_of_month(month).utc_day());
    let value = |column: &str| match column {
        "BilledCost" | "ContractedCost" | "EffectiveCost" => cost.clone(),
        "ListCost" => listed.clone(),
        "BillingAccountId" => client.base_url().to_owned(),
        "BillingCurrency" => "USD".to_owned(),
        "BillingPeriodStart" => midnight(first),
        "BillingPeriodEnd" => midnight(&period_end),
        "ChargePeriodStart" => midnight(day),
        "ChargePeriodEnd" => midnight(&next(day)),
        "ChargeCategory" => if is_usage { "Usage" } else { "Adjustment" }.to_owned(),
        "ChargeDescription" => format!("{model}: {}", meter.name),
        "ChargeFrequency" => if is_usage { "Usage-Based" } else { "One-Time" }.to_owned(),
        "ConsumedQuantity" => consumed.clone(),
        "ConsumedUnit" => consumed_unit.to_owned(),
        "PricingCategory" => of_usage("Standard"),
        "PricingQuantity" => priced.clone(),
        "PricingUnit" => priced_unit.to_owned(),
        "InvoiceIssuerName" | "ProviderName" | "PublisherName" => provider.to_owned(),
        "ResourceId" if is_key => id.to_owned(),
        "ResourceName" => key.map(|key| key.name.clone()).unwrap_or_default(),
        "ResourceType" if is_key => "API Key".to_owned(),
        "ServiceCategory" => "AI and Machine Learning".to_owned(),
        "ServiceSubcategory" => "Generative AI".to_owned(),
        "ServiceName" => model.to_owned(),
        "SkuId" => of_usage(&format!("{model}/{}", meter.name.to_lowercase().replace(' ', "-"))),
        "SkuMeter" => of_usage(meter.name),
        "SubAccountId" => user.to_owned(),
        "SubAccountName" => names.users.get(user).map_or(user, String::as_str).to_owned(),
        "Tags" => tags.clone(),
        _ => String::new(),
    };
    COLUMNS.map(value).to_vec()
}

/// So many of something of which `per` have a price, exactly.
fn parts(count: u64, per: u64) -> String {
    const PICO: i128 = 1_000_000_000_000;
    let pico = PICO.checked_div(i128::from(per)).and_then(|one| one.checked_mul(count.into()));
    pico.and_then(|pico| Money::from_pico(pico).ok()).unwrap_or_default().to_string()
}

/// The day after one of a month.
fn next(day: &str) -> String {
    let number = day.replace('-', "").parse().ok();
    let day = number.and_then(|number| farebox_core::Day::from_number(number).ok());
    day.map_or_else(String::new, |day| dashed(Zone::utc().end_of_day(day).utc_day()))
}

/// The lines, column by column, each in the type that it has in Parquet.
fn columns(lines: &[Vec<String>]) -> Vec<(&'static str, Column)> {
    let rows = lines.get(1..).unwrap_or_default();
    let column = |(at, name): (usize, &&'static str)| {
        let cells = || rows.iter().map(|row| row.get(at).map_or("", String::as_str));
        let column = if name.ends_with("Cost") || name.ends_with("Quantity") {
            let pico = |cell| Money::parse_usd(cell).ok().map(Money::pico);
            Column::Decimal(cells().map(pico).collect())
        } else if name.ends_with("Start") || name.ends_with("End") {
            let ms = |cell| Timestamp::parse(cell).ok().map(Timestamp::ms);
            Column::Instant(cells().map(ms).collect())
        } else {
            Column::Text(cells().map(str::to_owned).collect())
        };
        (*name, column)
    };
    COLUMNS.iter().enumerate().map(column).collect()
}

fn month(text: &str) -> Result<Month, Failure> {
    let digits = text.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2);
    let number = digits.and_then(|(year, month)| format!("{year}{month}").parse().ok());
    let month = number.and_then(|number| Month::from_number(number).ok());
    month.ok_or_else(|| {
        Failure::new(format!("{text:?} is no month"), "farebox export focus --month 2026-10")
    })
}

/// The first day of a month, and how many it has.
fn days(month: Month) -> (String, u32) {
    let last = Zone::utc().end_of_month(month).plus_ms(-1).utc_day();
    let number = month.to_string();
    let first = number.split_at_checked(4).map(|(year, month)| format!("{year}-{month}-01"));
    (first.unwrap_or_default(), last.number() % 100)
}

#[cfg(test)]
mod tests;
