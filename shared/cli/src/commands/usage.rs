//! What calls add up to: as a table with bars, and as a statement.

use farebox_api::{UsageReport, UsageSums};
use farebox_core::{Money, Timestamp};

use super::{path, usd};
use crate::args;
use crate::chart::{BAR_CHARS, bar};
use crate::client::{Client, encoded};
use crate::clock::{dashed, first_of_last, now};
use crate::failure::Failure;
use crate::print::{Output, Table};

/// Rows that one answer has at most.
const ROWS_MAX: u32 = 5_000;

/// `farebox usage --by …`
pub async fn usage(client: &Client, by: &str, given: &args::Usage) -> Result<Output, Failure> {
    let mut query = format!("usage?by={}&limit={}", encoded(by), given.limit);
    let since = given.since.as_deref().map(|text| day_or_span(text, now())).transpose()?;
    for (name, value) in [("since", &since), ("until", &given.until), ("scope", &given.scope)] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let answer = client.get(&path(&query)).await?;
    let report: UsageReport = answer.parse()?;
    Ok(Output::new(answer.body, table(&report)?))
}

/// `7d` as the day on which it begins; all else as it is.
fn day_or_span(text: &str, now: Timestamp) -> Result<String, Failure> {
    let Some(days) = text.strip_suffix('d') else { return Ok(text.to_owned()) };
    let days = days.parse().ok().filter(|days| (1..=400).contains(days));
    let days = days.ok_or_else(|| {
        Failure::new(format!("--since {text}: 1d to 400d"), "farebox usage --by model --since 7d")
    })?;
    Ok(dashed(first_of_last(days, now)))
}

fn table(report: &UsageReport) -> Result<String, Failure> {
    let mut head: Vec<String> = report.by.iter().map(|by| by.to_uppercase()).collect();
    head.extend(["CHARGED_USD", "", "CALLS", "REFUSED", "PROMPT", "COMPLETION"].map(str::to_owned));
    let mut table = Table::with(head).right_from(report.by.len().saturating_add(2));
    let amounts: Result<Vec<Money>, _> =
        report.rows.iter().map(|row| usd(&row.sums.charged_usd)).collect();
    let largest = amounts?.into_iter().max().unwrap_or_default();
    for row in &report.rows {
        let names = report.by.iter().map(|by| row.by.get(by).cloned().unwrap_or_default());
        table.push(cells(names.collect(), &row.sums, largest)?);
    }
    if let Some(rest) = &report.rest {
        table.push(cells(named("(the rest)", report), rest, largest)?);
    }
    table.push(cells(named("total", report), &report.total, Money::ZERO)?);
    let whose = report.scope.as_deref().unwrap_or("all calls");
    let mut text = format!("{whose}, {} to {} (UTC)\n\n", report.since, report.until);
    text.push_str(&table.with_head());
    if usd(&report.total.unknown_usd)? > Money::ZERO {
        let unknown = &report.total.unknown_usd;
        text.push_str(&format!("\nUp to {unknown} USD too high: calls whose cost is not known."));
    }
    if usd(&report.total.entered_usd)? != Money::ZERO {
        let entered = &report.total.entered_usd;
        text.push_str(&format!("\n{entered} USD of it are corrections."));
    }
    Ok(text)
}

fn named(name: &str, report: &UsageReport) -> Vec<String> {
    let mut names = vec![" ".to_owned(); report.by.len()];
    if let Some(first) = names.first_mut() {
        name.clone_into(first);
    }
    names
}

fn cells(mut names: Vec<String>, sums: &UsageSums, largest: Money) -> Result<Vec<String>, Failure> {
    let bar = bar(usd(&sums.charged_usd)?, largest, BAR_CHARS);
    names.push(sums.charged_usd.clone());
    names.push(if bar.is_empty() { " ".to_owned() } else { bar });
    let counts = [sums.calls, sums.refused, sums.prompt_tokens, sums.completion_tokens];
    names.extend(counts.map(|count| count.to_string()));
    Ok(names)
}

/// `farebox statement --month 2026-10 --by team`
pub async fn statement(client: &Client, given: &args::Statement) -> Result<Output, Failure> {
    let (by, month) = (encoded(&given.by), encoded(&given.month));
    let query = format!("usage?by={by}&since={month}&until={month}&limit={ROWS_MAX}");
    let answer = client.get(&path(&query)).await?;
    let report: UsageReport = answer.parse()?;
    whole(&report)?;
    Ok(Output::new(answer.body, report.statement(&given.month)))
}

/// That no row is left out: sums of sums must be all of them.
fn whole(report: &UsageReport) -> Result<(), Failure> {
    match &report.rest {
        None => Ok(()),
        Some(_) => Err(Failure::new(
            format!("more than {ROWS_MAX} lines"),
            "ask for fewer: --by without model, or one team after the other with farebox usage",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farebox_api::UsageRow;
    use std::collections::BTreeMap;

    fn sums(charged: &str) -> UsageSums {
        UsageSums {
            calls: 2,
            charged_usd: charged.to_owned(),
            unknown_usd: "0".to_owned(),
            entered_usd: "-0.5".to_owned(),
            prompt_tokens: 120,
            ..UsageSums::default()
        }
    }

    fn report() -> UsageReport {
        let row = |team: &str, charged: &str| UsageRow {
            by: BTreeMap::from([("team".to_owned(), team.to_owned())]),
            sums: sums(charged),
        };
        UsageReport {
            by: vec!["team".to_owned()],
            since: "2026-11-01".to_owned(),
            until: "2026-11-30".to_owned(),
            rows: vec![row("search", "2"), row("=cmd()", "0.5")],
            total: sums("2.5"),
            ..UsageReport::default()
        }
    }

    #[test]
    fn usage_is_a_table_with_bars_and_a_total() {
        let text = table(&report()).unwrap();

        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "all calls, 2026-11-01 to 2026-11-30 (UTC)");
        assert!(lines[3].starts_with("search            2  ████████████████████████  "), "{text}");
        assert!(lines[4].starts_with("=cmd()          0.5  ██████ "), "{text}");
        assert!(lines[5].starts_with("total           2.5"), "{text}");
        assert_eq!(lines[6], "-0.5 USD of it are corrections.");
    }

    #[test]
    fn a_statement_never_leaves_a_line_out() {
        let report = UsageReport { rest: Some(sums("1")), ..report() };

        assert!(whole(&report).is_err());
    }

    #[test]
    fn since_is_some_days_or_a_day() {
        let now = Timestamp::parse("2026-12-02T10:00:00Z").unwrap();

        assert_eq!(day_or_span("7d", now).unwrap(), "2026-11-26");
        assert_eq!(day_or_span("2026-11", now).unwrap(), "2026-11");
        for wrong in ["0d", "401d", "xd"] {
            assert!(day_or_span(wrong, now).is_err(), "{wrong}");
        }
    }
}
