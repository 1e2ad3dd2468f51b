//! `FinOps` FOCUS 1.2: a line for each key, model, set of labels, day and meter.
//!
//! Source of the columns: FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec, `specification/columns`,
//! version 1.2 (read 2026-11). Columns that no gateway can fill are left out; what is allowed to
//! be null and not known is empty.

use std::collections::BTreeMap;

use farebox_api::csv::csv;
use farebox_api::{Key, KeyList, UsageDay, UsageDayRow, UsageReport, UsageSums};
use farebox_core::parquet::{self, Column};
use farebox_core::{Money, Month, Timestamp, Zone};
use serde_json::json;

use super::{path, plus, usd};
use crate::args;
use crate::client::{Client, encoded};
use crate::clock::{dashed, now};
use crate::failure::Failure;
use crate::print::{self, Output};
use crate::progress::Progress;

/// Rows that are asked for at once.
const PAGE_ROWS: u32 = 1_000;

/// The columns, in the order of the specification's names.
const COLUMNS: [&str; 30] = [
    "BilledCost",
    "BillingAccountId",
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
    "InvoiceIssuerName",
    "ListCost",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SubAccountId",
    "Tags",
];

/// One meter of a row: what it costs and how much was used.
struct Meter {
    name: &'static str,
    cost: Money,
    quantity: Option<u64>,
    /// It is no usage but an admin's entry.
    is_entry: bool,
}

/// `farebox export focus --month 2026-10`
pub async fn export(client: &Client, given: &args::Focus) -> Result<Output, Failure> {
    let month = month(&given.month)?;
    let keys: KeyList = client.all(&path("keys"), "keys").await?.parse()?;
    let keys: BTreeMap<String, Key> =
        keys.keys.into_iter().map(|key| (key.id.clone(), key)).collect();
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
                    lines.push(line(client, &day, (&first, month), row, &meter, &keys));
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

/// What a row's charge is the sum of, to the last digit: meters, holds of calls whose cost nobody
/// knows, entries, and what is left.
fn meters(sums: &UsageSums) -> Result<Vec<Meter>, Failure> {
    let known = [
        ("Input Tokens", usd(&sums.input_usd)?, Some(sums.prompt_tokens), false),
        ("Output Tokens", usd(&sums.output_usd)?, Some(sums.completion_tokens), false),
        ("Fees", usd(&sums.fees_usd)?, None, false),
        ("Calls of unknown cost, at their hold", usd(&sums.unknown_usd)?, None, false),
        ("Corrections", usd(&sums.entered_usd)?, None, true),
    ];
    let mut rest = usd(&sums.charged_usd)?;
    let mut meters = Vec::new();
    for (name, cost, quantity, is_entry) in known {
        rest = plus(rest, cost.negated())?;
        if cost != Money::ZERO || quantity.is_some_and(|quantity| quantity > 0) {
            meters.push(Meter { name, cost, quantity, is_entry });
        }
    }
    if rest != Money::ZERO {
        let name = "Rounding, and calls whose cost is known as a whole";
        meters.push(Meter { name, cost: rest, quantity: None, is_entry: false });
    }
    Ok(meters)
}

fn line(
    client: &Client,
    day: &str,
    (first, month): (&str, Month),
    row: &UsageDayRow,
    meter: &Meter,
    keys: &BTreeMap<String, Key>,
) -> Vec<String> {
    let model = &row.model;
    let (kind, id) = row.scope.split_once(':').unwrap_or_default();
    let key_id = if kind == "key" { id } else { "" };
    let user = match kind {
        "key" => keys.get(id).map(|key| key.user.clone()).unwrap_or_default(),
        "user" => id.to_owned(),
        _ => String::new(),
    };
    let provider = model.split('/').next().unwrap_or_default().to_owned();
    let tags = json!(row.labels).to_string();
    let cost = meter.cost.to_string();
    let unit = if meter.quantity.is_some() { "Tokens" } else { "" };
    let quantity = meter.quantity.map(|quantity| quantity.to_string()).unwrap_or_default();
    let (category, class) =
        if meter.is_entry { ("Adjustment", "Correction") } else { ("Usage", "") };
    let midnight = |day: &str| format!("{day}T00:00:00Z");
    let period_end = dashed(Zone::utc().end_of_month(month).utc_day());
    let value = |column: &str| match column {
        "BilledCost" | "ContractedCost" | "EffectiveCost" | "ListCost" => cost.clone(),
        "BillingAccountId" => client.base_url().to_owned(),
        "BillingCurrency" => "USD".to_owned(),
        "BillingPeriodStart" => midnight(first),
        "BillingPeriodEnd" => midnight(&period_end),
        "ChargePeriodStart" => midnight(day),
        "ChargePeriodEnd" => midnight(&next(day)),
        "ChargeCategory" => category.to_owned(),
        "ChargeClass" => class.to_owned(),
        "ChargeDescription" => format!("{model}: {}", meter.name),
        "ChargeFrequency" => "Usage-Based".to_owned(),
        "ConsumedQuantity" | "PricingQuantity" => quantity.clone(),
        "ConsumedUnit" | "PricingUnit" => unit.to_owned(),
        "PricingCategory" if !meter.is_entry => "Standard".to_owned(),
        "InvoiceIssuerName" | "ProviderName" | "PublisherName" => provider.clone(),
        "ResourceId" => key_id.to_owned(),
        "ServiceCategory" => "AI and Machine Learning".to_owned(),
        "ServiceSubcategory" => "Generative AI".to_owned(),
        "ServiceName" | "SkuId" => model.clone(),
        "SkuMeter" => meter.name.to_owned(),
        "SubAccountId" => user.clone(),
        "Tags" => tags.clone(),
        _ => String::new(),
    };
    COLUMNS.map(value).to_vec()
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
        let column = if name.ends_with("Cost") {
            let pico = |cell| Money::parse_usd(cell).ok().map(Money::pico);
            Column::Decimal(cells().map(pico).collect())
        } else if name.ends_with("Quantity") {
            Column::Integer(cells().map(|cell| cell.parse().ok()).collect())
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

/// The first day of a month, and how many of its days have begun.
fn days(month: Month) -> (String, u32) {
    let last = Zone::utc().end_of_month(month).plus_ms(-1).utc_day().min(now().utc_day());
    let number = month.to_string();
    let first = number.split_at_checked(4).map(|(year, month)| format!("{year}-{month}-01"));
    let has_begun = last.month() == month;
    let count = if has_begun { last.number() % 100 } else { 0 };
    (first.unwrap_or_default(), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> UsageDayRow {
        UsageDayRow {
            scope: "key:k1".to_owned(),
            model: "openai/gpt-x".to_owned(),
            labels: BTreeMap::from([("team".to_owned(), "search".to_owned())]),
            sums: UsageSums {
                charged_usd: "1.000000000002".into(),
                input_usd: "0.4".into(),
                output_usd: "0.5".into(),
                fees_usd: "0".into(),
                unknown_usd: "0.2".into(),
                entered_usd: "-0.1".into(),
                prompt_tokens: 10,
                completion_tokens: 5,
                ..UsageSums::default()
            },
        }
    }

    #[test]
    fn meters_add_up_to_the_charge_to_the_last_digit() {
        let meters = meters(&row().sums).unwrap();

        let sum = meters.iter().try_fold(Money::ZERO, |sum, meter| plus(sum, meter.cost)).unwrap();
        assert_eq!(sum, usd("1.000000000002").unwrap());
        let names: Vec<_> = meters.iter().map(|meter| meter.name).collect();
        assert_eq!(names.len(), 5, "no fees: {names:?}");
        assert_eq!(meters.iter().filter(|meter| meter.is_entry).count(), 1);
    }

    #[test]
    fn a_line_has_the_columns_of_the_specification() {
        let client = Client::new("http://127.0.0.1:1", "k").unwrap();
        let month = month("2026-11").unwrap();
        let meters = meters(&row().sums).unwrap();
        let line = line(
            &client,
            "2026-11-30",
            ("2026-11-01", month),
            &row(),
            &meters[0],
            &BTreeMap::new(),
        );

        let of = |name: &str| {
            let at = COLUMNS.iter().position(|column| *column == name).unwrap();
            line[at].as_str()
        };
        assert_eq!(of("BilledCost"), "0.4");
        assert_eq!((of("ConsumedQuantity"), of("ConsumedUnit")), ("10", "Tokens"));
        assert_eq!(of("ChargePeriodEnd"), "2026-12-01T00:00:00Z");
        assert_eq!(of("BillingPeriodEnd"), "2026-12-01T00:00:00Z");
        assert_eq!((of("ProviderName"), of("SkuMeter")), ("openai", "Input Tokens"));
        assert_eq!((of("ResourceId"), of("Tags")), ("k1", r#"{"team":"search"}"#));
        let mut sorted = COLUMNS.to_vec();
        sorted.sort_unstable();
        assert_eq!(COLUMNS.to_vec(), sorted);
    }

    #[test]
    fn a_month_is_written_with_four_and_two_digits() {
        for wrong in ["2026", "2026-1", "2026-13", "26-01", "2026-11-01", "x"] {
            assert!(month(wrong).is_err(), "{wrong}");
        }
    }
}
