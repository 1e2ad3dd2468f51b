//! Settled calls priced again, after a price was corrected.

use farebox_api::{PostRerate, RerateRow, Rerated};
use farebox_aws::Overrides;
use farebox_aws::control::{JournalRow, Truth};
use farebox_core::pricing::{Bill, TOOLS};
use farebox_core::{CallRecord, Day, Error, ModelId, Money, Outcome, Reported};
use farebox_ledger::Span;
use futures_util::future::join_all;

use crate::Gate;
use crate::call::Call;
use crate::corrections::period;
use crate::reply::{Answer, Refusal};

/// Rows that one request looks at: each entry is a dozen small writes, and 28 s are what a
/// request has.
const ROWS_MAX: u32 = 50;
/// Calls that are entered at once.
const AT_ONCE: usize = 10;

/// `POST /admin/v1/rerate`: what a page of calls costs at the present prices; with `apply` the
/// differences are entered. A second time finds nothing to do.
pub async fn rerate(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: PostRerate = call.body()?;
    let (from, to) = (day("from", &body.from)?, day("to", &body.to)?);
    let model = body.model.as_deref().map(str::parse::<ModelId>).transpose();
    let model = model.map_err(|rule| Error::malformed("model", rule.to_string()))?;
    let logs = gate.control.logs();
    let page = logs.between(from, to, ROWS_MAX, body.cursor.as_deref()).await?;
    let mut answer = Rerated { next_cursor: page.next, ..Rerated::default() };
    let rows = page.rows.iter().filter(|row| is_rated(row, model.as_ref()));
    let rows: Vec<_> = rows.collect();
    let prices = gate.control.prices_in_force().await?;
    for rows in rows.chunks(AT_ONCE) {
        let looks = rows.iter().map(|row| Box::pin(one(gate, row, &prices, body.apply)));
        for looked in join_all(looks).await {
            answer.looked_at = answer.looked_at.saturating_add(1);
            match looked? {
                Looked::Right => {}
                Looked::ByHand => answer.by_hand = answer.by_hand.saturating_add(1),
                Looked::Stated => answer.stated = answer.stated.saturating_add(1),
                Looked::Unpriced => answer.unpriced = answer.unpriced.saturating_add(1),
                Looked::Differs(row) => answer.rows.push(*row),
            }
        }
    }
    Answer::ok(&answer)
}

/// What became of one call.
enum Looked {
    /// It costs what it should.
    Right,
    /// An admin has said what it costs: that stays.
    ByHand,
    /// It was charged what the provider states that it charged: that is no price's to change.
    Stated,
    /// Its model, or a class of it, has no price now.
    Unpriced,
    /// It costs something else.
    Differs(Box<RerateRow>),
}

async fn one(
    gate: &Gate,
    row: &CallRecord,
    prices: &Overrides,
    is_applied: bool,
) -> Result<Looked, Refusal> {
    let chain = gate.control.corrections_of(row.request_id).await?;
    let last = chain.last();
    if last.is_some_and(|last| last.record.price_version.is_none())
        || row.correction.as_ref().is_some()
    {
        return Ok(Looked::ByHand);
    }
    if row.is_stated() {
        return Ok(Looked::Stated);
    }
    let Some((version, bill)) = present(row, prices) else { return Ok(Looked::Unpriced) };
    let charged = last.and_then(costs).or_else(|| row.charged()).unwrap_or_default();
    let cost = bill.cost.total;
    let difference = cost.minus(charged).ok_or_else(|| Error::internal("beyond all money"))?;
    if difference == Money::ZERO && last.is_none_or(|last| last.is_done) {
        return Ok(Looked::Right);
    }
    if is_applied {
        let reason = format!("rated at {version}");
        let truth = Truth { cost, reason, bill: Some((version.clone(), bill.lines)) };
        gate.control.correct_call(row.request_id, &truth).await?;
    }
    Ok(Looked::Differs(Box::new(RerateRow {
        request_id: row.request_id.to_string(),
        at: row.started_at.to_string(),
        model: format!("{}/{}", text(row.provider.as_ref()), text(row.model.as_ref())),
        price_version: row.price_version.clone(),
        new_price_version: version,
        charged_usd: charged.to_string(),
        cost_usd: cost.to_string(),
        difference_usd: difference.to_string(),
    })))
}

/// What a call costs after a correction.
fn costs(row: &JournalRow) -> Option<Money> {
    row.record.correction.as_ref()?.to
}

/// A call that was settled to counts, of the model that is asked for.
fn is_rated(row: &CallRecord, model: Option<&ModelId>) -> bool {
    let is_settled = matches!(row.outcome, Outcome::Settled | Outcome::Adjusted);
    let is_of_model = model.is_none_or(|model| {
        let (provider, name) = model.parts();
        row.provider.as_deref() == Some(provider) && row.model.as_deref() == Some(name)
    });
    is_settled && is_of_model && row.usage.is_some()
}

/// The bill of a call at the prices as they are known now, with their version.
fn present(row: &CallRecord, prices: &Overrides) -> Option<(String, Bill)> {
    // A discount is that of the day of the call, as it is known now.
    let prices = prices.at(row.started_at);
    let price = prices.model(row.provider.as_deref()?, row.model.as_deref()?)?.price?;
    let reported = Reported {
        usage: row.usage?,
        service_tier: row.service_tier.clone(),
        us_geography: row.us_geography,
        fees: tools(row)?,
        ..Reported::default()
    };
    let ended = row.started_at.plus_ms(row.response_time_ms);
    let bill = price.bill_at(&reported, row.started_at, ended).ok()?;
    Some((price.version.to_string(), bill))
}

/// What tools cost that have no price of a model's: it stays as it was.
fn tools(row: &CallRecord) -> Option<Money> {
    let line = row.lines.iter().find(|line| line.class == TOOLS);
    line.map_or(Some(Money::ZERO), |line| Money::parse_usd(&line.amount_usd).ok())
}

fn day(field: &str, text: &str) -> Result<Day, Error> {
    match period(text) {
        Ok(Span::Day(day)) => Ok(day),
        _ => Err(Error::malformed(field, "write a UTC day as 2026-11-23")),
    }
}

fn text(text: Option<&String>) -> &str {
    text.map_or("", String::as_str)
}
