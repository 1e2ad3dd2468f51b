//! The counters of budgets beside the rows of the log.

use std::collections::BTreeMap;

use farebox_api::{BudgetList, ChargeList, Counters};
use farebox_core::Money;
use serde_json::json;

use super::{path, plus, statement, usd};
use crate::args;
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, Table};
use crate::progress::Progress;

/// What rows add up to, by scope and day.
type Sums = BTreeMap<String, BTreeMap<u32, Money>>;

/// One comparison.
struct Line {
    scope: String,
    period: String,
    counter: Money,
    rows: Money,
}

/// `farebox reconcile …`
pub async fn reconcile(client: &Client, given: args::Reconcile) -> Result<Output, Failure> {
    if let Some((file, provider)) = given.import.zip(given.provider) {
        return statement::import(client, &file, &provider, given.apply).await;
    }
    let scopes = match given.scope {
        Some(scope) => vec![scope],
        None => all_scopes(client).await?,
    };
    let month = encoded(&given.month);
    let sums = sums(client, &month).await?;
    let mut lines = Vec::new();
    for scope in scopes {
        let at = path(&format!("counters/{}?month={month}", encoded(&scope)));
        let counters: Counters = client.get(&at).await?.parse()?;
        lines.extend(compared(&counters, sums.get(&scope))?);
    }
    let mut table = Table::new(&["SCOPE", "PERIOD", "COUNTER_USD", "ROWS_USD", "DIFFERENCE_USD"]);
    let mut differ = Vec::new();
    for line in &lines {
        let difference = line.difference()?;
        if difference != Money::ZERO {
            differ.push(format!("{} {}", line.scope, line.period));
        }
        let amounts = [line.counter, line.rows, difference].map(|amount| amount.to_string());
        table.push([vec![line.scope.clone(), line.period.clone()], amounts.to_vec()].concat());
    }
    let json = lines.iter().map(|line| {
        let (counter, rows) = (line.counter, line.rows);
        json!({"scope": line.scope, "period": line.period, "settled_usd": counter,
               "rows_usd": rows})
    });
    let (json, table) = (json.collect(), table.with_head());
    if differ.is_empty() {
        let text = format!("{table}\nThe books are the sum of the log, to the last digit.");
        return Ok(Output::new(json, text));
    }
    let next = "wait a minute and type it again: rows come some seconds after the books; then \
                look for dead letters, and farebox replay";
    let differ = differ.join(", ");
    let text = format!("{table}\nThe books and the log differ: {differ}\n  next: {next}");
    Ok(Output::bad(json, text))
}

async fn all_scopes(client: &Client) -> Result<Vec<String>, Failure> {
    let list: BudgetList = client.all(&path("budgets"), "budgets").await?.parse()?;
    let scopes = list.budgets.iter().map(|budget| format!("{}:{}", budget.kind, budget.id));
    Ok(scopes.collect())
}

/// All rows of a month, added up.
async fn sums(client: &Client, month: &str) -> Result<Sums, Failure> {
    let (mut sums, mut cursor) = (Sums::new(), String::new());
    let progress = Progress::of("pages of a thousand rows");
    loop {
        let at = path(&format!("charges?month={month}{cursor}"));
        let page: ChargeList = client.get(&at).await?.parse()?;
        progress.more(1);
        for charge in page.charges {
            let day = sums.entry(charge.scope).or_default().entry(charge.day).or_default();
            *day = plus(*day, usd(&charge.amount_usd)?)?;
        }
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={}", encoded(&next)),
            None => return Ok(sums),
        }
    }
}

/// The month, and the days of it that the budget still has.
fn compared(
    counters: &Counters,
    rows: Option<&BTreeMap<u32, Money>>,
) -> Result<Vec<Line>, Failure> {
    let none = BTreeMap::new();
    let rows = rows.unwrap_or(&none);
    let month = rows.values().try_fold(Money::ZERO, |sum, amount| plus(sum, *amount))?;
    let line = |period: String, counter: &str, rows: Money| {
        Ok(Line { scope: counters.scope.clone(), period, counter: usd(counter)?, rows })
    };
    let name = if counters.archived { "month, archived" } else { "month" };
    let mut lines = vec![line(name.to_owned(), &counters.settled_usd, month)?];
    for day in &counters.days {
        let of_day = rows.get(&day.day).copied().unwrap_or_default();
        lines.push(line(day.day.to_string(), &day.settled_usd, of_day)?);
    }
    // The counter of all time, beside what all months say.
    if let Some(months) = &counters.months_settled_usd {
        let months = usd(months)?;
        lines.push(line("total".to_owned(), &counters.total_settled_usd, months)?);
    }
    Ok(lines)
}

impl Line {
    fn difference(&self) -> Result<Money, Failure> {
        plus(self.counter, self.rows.negated())
    }
}

#[cfg(test)]
mod tests {
    use farebox_api::DayCounter;

    use super::*;

    #[test]
    fn a_months_entry_counts_to_the_month_and_to_none_of_its_days() {
        let usd = |text: &str| usd(text).unwrap();
        let rows = BTreeMap::from([(20_261_100, usd("-1")), (20_261_123, usd("3"))]);
        let day = DayCounter { day: 20_261_123, settled_usd: "3".to_owned() };
        let counters =
            Counters { settled_usd: "2.5".to_owned(), days: vec![day], ..Counters::default() };

        let lines = compared(&counters, Some(&rows)).unwrap();

        let differences: Vec<_> = lines.iter().map(|line| line.difference().unwrap()).collect();
        assert_eq!(differences, [usd("0.5"), Money::ZERO]);
    }

    #[test]
    fn the_total_is_compared_with_all_months_where_they_are_kept() {
        let told = |months: Option<&str>| Counters {
            settled_usd: "1".to_owned(),
            total_settled_usd: "5".to_owned(),
            months_settled_usd: months.map(str::to_owned),
            ..Counters::default()
        };
        let differences = |months| {
            let lines = compared(&told(months), None).unwrap();
            let told = lines.iter().map(|line| (line.period.clone(), line.difference().unwrap()));
            told.skip(1).collect::<Vec<_>>()
        };

        assert_eq!(differences(None), []);
        assert_eq!(differences(Some("5")), [("total".to_owned(), Money::ZERO)]);
        assert_eq!(differences(Some("3")), [("total".to_owned(), usd("2").unwrap())]);
    }
}
