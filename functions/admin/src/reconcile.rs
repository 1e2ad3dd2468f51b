//! What the counters say, and what the rows of the log add up to.

use std::collections::BTreeMap;

use farebox_api::{Charge, ChargeList, Counters, DayCounter};
use farebox_core::{Day, Error, Money, Month, Scope, Zone};
use farebox_ledger::{Period, Span};

use crate::Gate;
use crate::call::Call;
use crate::corrections::period;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// Pages of a hundred rows that one request adds up.
const PAGES_MAX: u32 = 10;
const PAGE_ROWS: u32 = 100;
/// Rows are kept so long.
const KEPT_MS: i64 = 90 * 86_400_000;
/// The archives of a budget that is younger are all there.
const YEAR_MS: i64 = 365 * 86_400_000;

/// `GET /admin/v1/counters/{scope}?month=2026-11`
pub async fn counters(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let scope: Scope = call.parsed("scope")?;
    let month = month(call)?;
    let budget = gate.control.budget(&scope).await?.ok_or_else(|| absent(call))?;
    let (closed, shares) = (budget.terms.archived_month, budget.terms.shares.made);
    let archived = match closed.is_some_and(|closed| closed >= month) || shares > 0 {
        true => gate.control.archived(&scope, shares, month).await?,
        false => None,
    };
    let counter = budget.counter(Period::Month(month));
    // What is not archived yet of a divided budget still stands in its counters.
    let settled = counter.settled().plus(archived.unwrap_or_default());
    let settled = settled.ok_or_else(|| Error::internal("a sum beyond all money"))?;
    let archives = gate.control.archives(&scope, shares).await?;
    let open = budget.months.values().map(|month| month.settled());
    let months = open.chain([archives]).try_fold(Money::ZERO, Money::plus);
    let months = months.ok_or_else(|| Error::internal("a sum beyond all money"))?;
    // Its epoch began as the time in ms at which it was made, and has risen by few since. The age
    // of the archives that are there says nothing: after a pause the old ones are gone.
    let made_at = i64::try_from(budget.terms.epoch).unwrap_or(i64::MIN);
    let is_whole = made_at > gate.aws().now().plus_ms(-YEAR_MS).ms();
    let days = budget.days.iter().filter(|(day, _)| day.month() == month);
    Answer::ok(&Counters {
        scope: scope.to_string(),
        settled_usd: settled.to_string(),
        held_usd: counter.held().to_string(),
        archived: archived.is_some(),
        total_settled_usd: budget.total.settled().to_string(),
        months_settled_usd: is_whole.then(|| months.to_string()),
        days: days
            .map(|(day, counter)| DayCounter {
                day: day.number(),
                settled_usd: counter.settled().to_string(),
            })
            .collect(),
    })
}

/// `GET /admin/v1/charges?month=2026-11&cursor=`: what some rows of the log add up to, by scope
/// and day; the whole is the sum of all pages.
pub async fn charges(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let month = month(call)?;
    let (from, to) = utc_days(gate, month)?;
    let mut sums: BTreeMap<(Scope, u32), (Money, u32)> = BTreeMap::new();
    let mut cursor = call.cursor().map(str::to_owned);
    for _ in 0..PAGES_MAX {
        let logs = gate.control.logs();
        let page = logs.between(from, to, PAGE_ROWS, cursor.as_deref()).await?;
        for row in &page.rows {
            for (part, amount) in gate.control.charges(row).await? {
                if part.day.checked_div(100) != Some(month.number()) {
                    continue;
                }
                let sum = sums.entry((part.scope.whole(), part.day)).or_default();
                let total = sum.0.plus(amount);
                sum.0 = total.ok_or_else(|| Error::internal("a sum beyond all money"))?;
                sum.1 = sum.1.saturating_add(1);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let charges = sums.into_iter().map(|((scope, day), (amount, rows))| Charge {
        scope: scope.to_string(),
        day,
        amount_usd: amount.to_string(),
        rows,
    });
    Answer::ok(&ChargeList { charges: charges.collect(), next_cursor: cursor })
}

fn month(call: &Call) -> Result<Month, Error> {
    match period(call.query("month").unwrap_or_default()) {
        Ok(Span::Month(month)) => Ok(month),
        _ => Err(Error::malformed("month", "send ?month=2026-11")),
    }
}

/// The UTC days whose calls can belong to a local month: one more on each side.
fn utc_days(gate: &Gate, month: Month) -> Result<(Day, Day), Error> {
    let first = Span::Month(month).first_day().ok_or_else(|| Error::internal("no first day"))?;
    let now = gate.aws().now();
    if first.utc_noon() < now.plus_ms(-KEPT_MS) {
        return Err(Error::malformed("month", "its rows are gone: they are kept for 90 days"));
    }
    let end = Zone::utc().end_of_month(month);
    Ok((first.previous(), end.plus_ms(86_400_000).utc_day()))
}
