//! A provider's usage report beside the books: what it says of the calls whose cost is unknown.

use std::collections::BTreeMap;

use farebox_api::{PostStatement, Statement, StatementBudget, StatementLine};
use farebox_aws::control::Truth;
use farebox_core::{CallRecord, Error, Money, Outcome, Timestamp};

use crate::Gate;
use crate::call::Call;
use crate::credentials::provider;
use crate::reply::{Answer, Refusal};

mod counts;
mod truth;

use counts::{Counts, Report};
use truth::{Calls, Finding, LONGEST_MS, Open, Place, Unknown, find_nameless};

/// Pages of a hundred rows that one statement looks at.
const PAGES_MAX: usize = 20;
const PAGE_ROWS: u32 = 100;
/// Rows that one statement has.
const USAGE_MAX: usize = 1_000;
/// How long after its end a bucket may still grow: one provider says five minutes "or longer", the
/// other nothing.
const LAG_MS: i64 = 3_600_000;
/// A call that ended so short before the end of the bucket may be counted in the next one.
const CLOCKS_MS: i64 = 60_000;

/// The calls of the time of a report.
#[derive(Default)]
struct Books {
    models: BTreeMap<String, Calls>,
    /// Calls that a sweep charged: nobody knows their model.
    nameless: Vec<Unknown>,
    /// Such a call's cost an admin told.
    is_blurred: bool,
}

/// `POST /admin/v1/reconcile`: one bucket of a provider's usage report. With `apply` the charges
/// that it determines are corrected.
pub async fn reconcile(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: PostStatement = call.body()?;
    let provider = provider(&body.provider)?;
    let (from, to) = (time("from", &body.from)?, time("to", &body.to)?);
    if body.usage.len() > USAGE_MAX {
        return Err(Error::malformed("usage", "at most 1000 rows").into());
    }
    let mut reports = BTreeMap::<String, Report>::new();
    for row in body.usage {
        reports.entry(undated(&row.model).to_owned()).or_default().add(row);
    }
    let mut books = books(gate, provider, from, to).await?;
    let is_early = to.plus_ms(LAG_MS) > gate.aws().now();
    if let Some(cost) = body.cost_at_most_usd {
        let rule = "leave usage empty: a cost report counts nothing, and write USD such as 1.25";
        let cost = Money::parse_usd(&cost).ok().filter(|_| reports.is_empty());
        let cost = cost.ok_or_else(|| Error::malformed("cost_at_most_usd", rule))?;
        return by_cost(gate, provider, books, (cost, is_early), body.apply).await;
    }
    for model in reports.keys() {
        books.models.entry(model.clone()).or_default();
    }
    if books.is_blurred {
        books.models.values_mut().for_each(|ours| ours.blurred = Some(Open::ByHand));
    }
    let prices = gate.control.prices_in_force().await?;
    let mut lines = Vec::new();
    let (none, has_nameless) = (Report::default(), !books.nameless.is_empty());
    let report = |model: &String| reports.get(model).unwrap_or(&none);
    for (model, ours) in &books.models {
        let found = ours.find(report(model), has_nameless, &prices);
        let found = found.unless(is_early);
        let mut line = line(gate, provider, &ours.unknown, &found, body.apply).await?;
        let used = ours.settled.iter().map(|row| Counts::used(&row.usage.unwrap_or_default()));
        line.model.clone_from(model);
        line.reported_tokens = report(model).counts().tokens().to_string();
        line.settled_tokens = used.fold(Counts::default(), Counts::plus).tokens().to_string();
        line.settled_usd = sum(ours.settled.iter().filter_map(CallRecord::charged))?.to_string();
        lines.push(line);
    }
    if has_nameless {
        let models = books.models.iter().map(|(model, ours)| (report(model), ours));
        let found = find_nameless(&books.nameless, provider, &models.collect::<Vec<_>>(), &prices);
        let found = found.unless(is_early);
        lines.push(line(gate, provider, &books.nameless, &found, body.apply).await?);
    }
    Answer::ok(&Statement { lines })
}

/// What a cost report says of all calls of its time together: one line, of every model.
async fn by_cost(
    gate: &Gate,
    provider: &str,
    books: Books,
    (cost, is_early): (Money, bool),
    is_applied: bool,
) -> Result<Answer, Refusal> {
    let by_hand = books.is_blurred.then_some(Open::ByHand);
    let nameless = books.nameless;
    let mut all = Calls { blurred: by_hand, ..Calls::default() };
    for ours in books.models.into_values() {
        all.settled.extend(ours.settled);
        all.unknown.extend(ours.unknown);
        all.blurred = ours.blurred.or(all.blurred);
    }
    let settled = sum(all.settled.iter().filter_map(CallRecord::charged))?;
    let found = all.find_by_cost(cost, settled, !nameless.is_empty()).unless(is_early);
    let mut lines = vec![line(gate, provider, &all.unknown, &found, is_applied).await?];
    if let Some(line) = lines.first_mut() {
        line.settled_usd = settled.to_string();
    }
    if !nameless.is_empty() {
        let open = Finding::Open(Open::NotOurs);
        lines.push(line(gate, provider, &nameless, &open, false).await?);
    }
    Answer::ok(&Statement { lines })
}

/// What is found of unknown calls, and with `is_applied` entered.
async fn line(
    gate: &Gate,
    provider: &str,
    unknown: &[Unknown],
    finding: &Finding,
    is_applied: bool,
) -> Result<StatementLine, Refusal> {
    let charged = sum(unknown.iter().map(|unknown| unknown.charged))?;
    let mut line = StatementLine {
        reported_tokens: "0".to_owned(),
        settled_tokens: "0".to_owned(),
        settled_usd: Money::ZERO.to_string(),
        unknown_calls: u32::try_from(unknown.len()).unwrap_or(u32::MAX),
        charged_usd: charged.to_string(),
        error_bar_usd: Money::ZERO.to_string(),
        ..StatementLine::default()
    };
    let ids = unknown.iter().map(|unknown| unknown.row.request_id);
    let told = ids.clone().map(|id| id.to_string());
    match finding {
        Finding::Determined(costs) => {
            line.determined_usd = sum(costs.iter().copied())?.to_string();
            line.determined = told.collect();
        }
        Finding::AtMost(cost, most, places) => {
            let most = sum(most.iter().copied())?;
            line.limited = told.collect();
            line.limited_usd = most.to_string();
            line.error_bar_usd = sum([most, cost.negated()])?.to_string();
            line.budgets = places.iter().map(budget).collect();
            Open::Scopes.text().clone_into(&mut line.open);
        }
        Finding::Open(open) => {
            line.error_bar_usd = charged.to_string();
            open.text().clone_into(&mut line.open);
        }
    }
    if let (Finding::Determined(costs) | Finding::AtMost(_, costs, _), true) = (finding, is_applied)
    {
        for (id, cost) in ids.zip(costs) {
            // Also where it costs that already: an entry of it may have stopped half-way.
            let truth = Truth { cost: *cost, reason: reason(provider), bill: None };
            gate.control.correct_call(id, &truth).await?;
        }
    }
    Ok(line)
}

fn budget(place: &Place) -> StatementBudget {
    StatementBudget {
        scope: place.scope.clone(),
        day: place.day.to_string(),
        least_usd: place.least.to_string(),
        most_usd: place.most.to_string(),
    }
}

/// Why a report's correction was made: by it such a call is known again, whose cost another report,
/// or the rest of one that stopped half-way, tells anew.
fn reason(provider: &str) -> String {
    format!("usage report of {provider}")
}

/// The calls of a provider that began in a time, by model without its date.
async fn books(
    gate: &Gate,
    provider: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Books, Error> {
    let (mut found, mut cursor) = (Books::default(), None);
    for _ in 0..PAGES_MAX {
        let (first, last) = (from.utc_day(), to.utc_day());
        let page = gate.control.logs().between(first, last, PAGE_ROWS, cursor.as_deref()).await?;
        for row in page.rows {
            let began = row.request_id.made_at();
            if began >= from && began < to {
                found.add(gate, provider, row, to).await?;
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(found);
        }
    }
    let rule = "more than 2000 calls are in its days: correct them by hand";
    Err(Error::malformed("to", rule))
}

impl Books {
    async fn add(
        &mut self,
        gate: &Gate,
        provider: &str,
        row: CallRecord,
        to: Timestamp,
    ) -> Result<(), Error> {
        let (Some(of), Some(model)) = (row.provider.as_deref(), row.model.as_deref()) else {
            return self.add_nameless(gate, row).await;
        };
        if of != provider {
            return Ok(());
        }
        let ours = self.models.entry(undated(model).to_owned()).or_default();
        match (row.outcome, row.usage) {
            (Outcome::Settled | Outcome::Adjusted, Some(usage)) => {
                let ended = row.started_at.plus_ms(row.response_time_ms);
                let is_audio = usage.audio_prompt > 0 || usage.audio_completion > 0;
                // Whether the report has the counts of an answer that is not billed, nobody says.
                let is_free = row.charged() == Some(Money::ZERO) && usage.total_tokens() > 0;
                if ended.plus_ms(CLOCKS_MS) >= to {
                    ours.blurred = Some(Open::Edge);
                } else if is_audio || is_free {
                    ours.blurred = Some(Open::Uncounted);
                }
                ours.settled.push(row);
            }
            (Outcome::Provisional | Outcome::Worst, _) | (Outcome::Adjusted, None) => {
                if row.request_id.made_at().plus_ms(LONGEST_MS) >= to {
                    ours.blurred = Some(Open::Edge);
                }
                match unknown(gate, row).await? {
                    Ok(unknown) => ours.unknown.push(unknown),
                    Err(told) if told > Money::ZERO => ours.blurred = Some(Open::ByHand),
                    Err(_) => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn add_nameless(&mut self, gate: &Gate, row: CallRecord) -> Result<(), Error> {
        if !matches!(row.outcome, Outcome::Provisional | Outcome::Adjusted) {
            return Ok(());
        }
        match unknown(gate, row).await? {
            Ok(unknown) => self.nameless.push(unknown),
            Err(told) => self.is_blurred |= told > Money::ZERO,
        }
        Ok(())
    }
}

/// A call whose cost nobody knew, unless an admin told it since: then its cost.
async fn unknown(gate: &Gate, row: CallRecord) -> Result<Result<Unknown, Money>, Error> {
    let chain = gate.control.corrections_of(row.request_id).await?;
    let last = chain.last().and_then(|last| last.record.correction.as_ref());
    let last = last.or(row.correction.as_ref());
    let charged = last.and_then(|last| last.to).or_else(|| row.charged()).unwrap_or_default();
    if last.is_some_and(|last| !last.reason.starts_with("usage report of ")) {
        return Ok(Err(charged));
    }
    let charges = gate.control.charges(&row).await?;
    let places = charges.iter().map(|(part, _)| (part.scope.whole().to_string(), part.day));
    Ok(Ok(Unknown { places: places.collect(), charged, row }))
}

/// A model's name without the date of its version: reports name what was served, rows what was
/// asked for.
fn undated(model: &str) -> &str {
    let is_date = |text: &str| {
        let digits = text.replace('-', "");
        digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let cut = |length: usize| {
        let at = model.len().checked_sub(length)?;
        let (name, date) = (model.get(..at)?, model.get(at..)?);
        is_date(date).then(|| name.strip_suffix('-')).flatten()
    };
    cut(10).or_else(|| cut(8)).unwrap_or(model)
}

fn time(field: &str, text: &str) -> Result<Timestamp, Error> {
    let rule = "write an RFC 3339 time, such as 2026-11-23T00:00:00Z";
    Timestamp::parse(text).map_err(|_| Error::malformed(field, rule))
}

fn sum(amounts: impl IntoIterator<Item = Money>) -> Result<Money, Error> {
    let sum = amounts.into_iter().try_fold(Money::ZERO, Money::plus);
    sum.ok_or_else(|| Error::internal("a sum beyond all money"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_no_part_of_a_models_name() {
        for (name, bare) in [
            ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
            ("claude-sonnet-4-20250514", "claude-sonnet-4"),
            ("gpt-4o", "gpt-4o"),
            ("2024-07-18", "2024-07-18"),
            ("x-123", "x-123"),
        ] {
            assert_eq!(undated(name), bare);
        }
    }
}
