//! A provider's usage report beside the books: what it says of the calls whose cost is unknown.

use std::collections::BTreeMap;

use farebox_api::{PostStatement, ReportedUsage, Statement, StatementLine};
use farebox_aws::Overrides;
use farebox_aws::control::Truth;
use farebox_core::{CallRecord, Error, Money, Outcome, Reported, Timestamp, Usage};

use crate::Gate;
use crate::call::Call;
use crate::credentials::provider;
use crate::reply::{Answer, Refusal};

/// Pages of a hundred rows that one statement looks at.
const PAGES_MAX: usize = 20;
const PAGE_ROWS: u32 = 100;
/// Models that one statement names.
const MODELS_MAX: usize = 200;

/// The calls of one model in the time of the report.
#[derive(Default)]
struct Calls {
    /// Settled to the provider's own counts: their sum, by class.
    settled: Counts,
    settled_usd: Money,
    calls: u64,
    /// Charged their hold, because nobody knew.
    unknown: Vec<CallRecord>,
    /// A call is in the report whose cost is known and whose counts are not, so what is left of
    /// the report is not the unknown calls' alone.
    is_blurred: bool,
}

/// Counts by the classes that reports have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts([i128; 6]);

/// What a report says about the unknown calls of a model.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// There are none, or they cannot be told from each other or from calls beside Farebox.
    Open,
    /// None of them was billed.
    Unbilled,
    /// The one that there is used this.
    One(Usage),
}

/// `POST /admin/v1/reconcile`: one bucket of a provider's usage report. With `apply` the charges
/// that it determines are corrected.
pub async fn reconcile(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: PostStatement = call.body()?;
    let provider = provider(&body.provider)?;
    let (from, to) = (time("from", &body.from)?, time("to", &body.to)?);
    if body.usage.len() > MODELS_MAX {
        return Err(Error::malformed("usage", "at most 200 models").into());
    }
    let mut reports: BTreeMap<String, (Counts, Option<u64>)> = BTreeMap::new();
    for report in &body.usage {
        let (counts, calls) = reports.entry(undated(&report.model).to_owned()).or_default();
        *counts = counts.plus(Counts::reported(report));
        *calls = report.calls.map(|more| calls.unwrap_or_default().saturating_add(more));
    }
    let mut books = calls(gate, provider, from, to).await?;
    for model in reports.keys() {
        books.entry(model.clone()).or_default();
    }
    let mut lines = Vec::new();
    let prices = gate.control.prices_in_force().await?;
    for (model, ours) in &books {
        let (theirs, their_calls) = reports.get(model).copied().unwrap_or_default();
        let finding = find(theirs.minus(ours.settled), their_calls, ours);
        lines.push(line(gate, model, theirs, ours, &finding, &prices, body.apply).await?);
    }
    Answer::ok(&Statement { lines })
}

async fn line(
    gate: &Gate,
    model: &str,
    theirs: Counts,
    ours: &Calls,
    finding: &Finding,
    prices: &Overrides,
    is_applied: bool,
) -> Result<StatementLine, Refusal> {
    let mut line = StatementLine {
        model: model.to_owned(),
        reported_tokens: tokens(theirs),
        settled_tokens: tokens(ours.settled),
        settled_usd: ours.settled_usd.to_string(),
        unknown_calls: count(ours.unknown.len()),
        ..StatementLine::default()
    };
    let (mut charged, mut open) = (Money::ZERO, Money::ZERO);
    for row in &ours.unknown {
        let hold = row.charged().unwrap_or_default();
        charged = sum(charged, hold)?;
        let Some(cost) = truth(row, finding, prices).filter(|cost| *cost <= hold) else {
            open = sum(open, hold)?;
            continue;
        };
        line.determined.push(row.request_id.to_string());
        line.determined_usd = sum(usd(&line.determined_usd)?, cost)?.to_string();
        if is_applied {
            let reason = format!("usage report of {}", text(row.provider.as_ref()));
            let truth = Truth { cost, reason, bill: None };
            gate.control.correct_call(row.request_id, &truth).await?;
        }
    }
    line.charged_usd = charged.to_string();
    line.error_bar_usd = open.to_string();
    Ok(line)
}

/// What an unknown call cost, by the report; `None` where it does not say.
fn truth(row: &CallRecord, finding: &Finding, prices: &Overrides) -> Option<Money> {
    let usage = match finding {
        Finding::Open => return None,
        Finding::Unbilled => return Some(Money::ZERO),
        Finding::One(usage) => *usage,
    };
    let prices = prices.at(row.started_at);
    let price = prices.model(row.provider.as_deref()?, row.model.as_deref()?)?.price?;
    let ended = row.started_at.plus_ms(row.response_time_ms);
    let reported = Reported { usage, ..Reported::default() };
    Some(price.bill_at(&reported, row.started_at, ended).ok()?.cost.total)
}

/// What is left of a report beside the settled calls, and whose it is. More than one unknown
/// call share it in ways that no report tells; less than nothing says that a settled call is
/// not in it.
fn find(left: Counts, their_calls: Option<u64>, ours: &Calls) -> Finding {
    let billed = their_calls.map(|calls| calls.saturating_sub(ours.calls));
    match ours.unknown.as_slice() {
        [] => Finding::Open,
        _ if ours.is_blurred || left.0.iter().any(|count| *count < 0) => Finding::Open,
        _ if left == Counts::default() && billed.unwrap_or_default() == 0 => Finding::Unbilled,
        [_] if billed.is_none_or(|billed| billed == 1) => {
            left.usage().map_or(Finding::Open, Finding::One)
        }
        _ => Finding::Open,
    }
}

/// The calls of a provider that began in a time, by model without its date.
async fn calls(
    gate: &Gate,
    provider: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<String, Calls>, Error> {
    let (mut found, mut cursor) = (BTreeMap::<String, Calls>::new(), None);
    for _ in 0..PAGES_MAX {
        let (first, last) = (from.utc_day(), to.utc_day());
        let page = gate.control.logs().between(first, last, PAGE_ROWS, cursor.as_deref()).await?;
        for row in page.rows {
            let is_theirs = row.provider.as_deref() == Some(provider);
            let is_then = row.request_id.made_at() >= from && row.request_id.made_at() < to;
            let Some(model) = row.model.clone().filter(|_| is_theirs && is_then) else { continue };
            found.entry(undated(&model).to_owned()).or_default().add(gate, row).await?;
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(found);
        }
    }
    let rule = "more than 2000 calls are in it: send a shorter bucket, such as an hour";
    Err(Error::malformed("to", rule))
}

impl Calls {
    async fn add(&mut self, gate: &Gate, row: CallRecord) -> Result<(), Error> {
        match (row.outcome, row.usage) {
            (Outcome::Settled | Outcome::Adjusted, Some(usage)) => {
                self.settled = self.settled.plus(Counts::used(&usage));
                self.settled_usd = sum(self.settled_usd, row.charged().unwrap_or_default())?;
                self.calls = self.calls.saturating_add(1);
            }
            (Outcome::Provisional, _) => self.unknown.push(row),
            (Outcome::Worst, _) => {
                let chain = gate.control.corrections_of(row.request_id).await?;
                let last = chain.last().and_then(|last| last.record.correction.as_ref()?.to);
                self.is_blurred |= last.is_some_and(|cost| cost > Money::ZERO);
                self.unknown.extend(last.is_none().then_some(row));
            }
            // An admin knew the cost of a swept call; its counts nobody knows.
            (Outcome::Adjusted, None) => self.is_blurred |= row.charged() > Some(Money::ZERO),
            _ => {}
        }
        Ok(())
    }
}

impl Counts {
    fn of(counts: [u64; 6]) -> Self {
        Self(counts.map(i128::from))
    }

    fn reported(report: &ReportedUsage) -> Self {
        Self::of([
            report.prompt,
            report.cached,
            report.cache_write_5m,
            report.cache_write_1h,
            report.completion,
            report.web_searches,
        ])
    }

    /// Reports count reasoning among the output.
    fn used(usage: &Usage) -> Self {
        Self::of([
            usage.prompt.saturating_add(usage.audio_prompt),
            usage.cached,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.completion_tokens(),
            usage.web_searches,
        ])
    }

    fn usage(self) -> Option<Usage> {
        let [prompt, cached, cache_write_5m, cache_write_1h, completion, web_searches] =
            self.0.map(|count| u64::try_from(count).ok());
        Some(Usage {
            prompt: prompt?,
            cached: cached?,
            cache_write_5m: cache_write_5m?,
            cache_write_1h: cache_write_1h?,
            completion: completion?,
            web_searches: web_searches?,
            ..Usage::default()
        })
    }

    fn plus(self, other: Self) -> Self {
        let mut sum = self;
        sum.0.iter_mut().zip(other.0).for_each(|(a, b)| *a = a.saturating_add(b));
        sum
    }

    fn minus(self, other: Self) -> Self {
        self.plus(Self(other.0.map(i128::wrapping_neg)))
    }
}

fn tokens(counts: Counts) -> String {
    counts.0.iter().take(5).fold(0_i128, |sum, count| sum.saturating_add(*count)).to_string()
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

fn sum(a: Money, b: Money) -> Result<Money, Error> {
    a.plus(b).ok_or_else(|| Error::internal("a sum beyond all money"))
}

fn usd(text: &str) -> Result<Money, Error> {
    if text.is_empty() { Ok(Money::ZERO) } else { Money::parse_usd(text).map_err(Error::internal) }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn text(text: Option<&String>) -> &str {
    text.map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(calls: usize) -> Calls {
        let rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();
        let (user, key) = ("u1".parse().unwrap(), "k1".parse().unwrap());
        let row = CallRecord::new(rid, "main".into(), user, key);
        Calls { unknown: vec![row; calls], calls: 3, ..Calls::default() }
    }

    #[test]
    fn a_report_determines_a_call_only_where_it_can_mean_nothing_else() {
        let some = Counts::of([10, 0, 0, 0, 5, 0]);
        let none = Counts::default();
        let used = some.usage().unwrap();

        assert_eq!(find(some, None, &unknown(1)), Finding::One(used));
        assert_eq!(find(some, Some(4), &unknown(1)), Finding::One(used));
        assert_eq!(find(none, None, &unknown(3)), Finding::Unbilled);
        assert_eq!(find(none, Some(3), &unknown(2)), Finding::Unbilled);
        for (left, calls, count) in [
            (some, None, 0),
            (some, None, 2),
            (some, Some(5), 1),
            (none, Some(4), 2),
            (none.minus(some), None, 1),
        ] {
            assert_eq!(find(left, calls, &unknown(count)), Finding::Open, "{calls:?} {count}");
        }
        let blurred = Calls { is_blurred: true, ..unknown(1) };
        assert_eq!(find(some, None, &blurred), Finding::Open);
    }

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
