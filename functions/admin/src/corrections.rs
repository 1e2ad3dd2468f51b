//! Corrections and refunds (money.md 7).

use farebox_api::{Correction, CorrectionList, PostCorrection};
use farebox_aws::control::{Corrected, ScopeEntry, Truth};
use farebox_core::{CallRecord, EntityId, Error, Money, Outcome, Rid, Scope};
use farebox_ledger::Span;

use crate::Gate;
use crate::budgets::amount;
use crate::call::Call;
use crate::reply::{Answer, Refusal};

/// Longest reason.
const REASON_CHARS_MAX: usize = 200;

/// `GET /admin/v1/corrections?scope=`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let scope: Option<Scope> = match call.query("scope") {
        Some(_) => Some(call.parsed_query("scope", "user:ID")?),
        None => None,
    };
    let (limit, cursor) = (call.limit()?, call.cursor());
    let page = gate.control.corrections(scope.as_ref(), limit, cursor).await?;
    let corrections = page.rows.iter().map(|row| shown(&row.record, "entered")).collect();
    Answer::ok(&CorrectionList { corrections, next_cursor: page.next })
}

/// `POST /admin/v1/corrections`
pub async fn post(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: PostCorrection = call.body()?;
    let reason = reason(&body.reason)?;
    if let Some(id) = &body.request_id {
        let id = id.parse::<Rid>();
        let id = id.map_err(|rule| Error::malformed("request_id", rule.to_string()))?;
        let truth = truth(&body, reason)?;
        let corrected = gate.control.correct_call(id, &truth).await?;
        return Answer::ok(&answer(id, &truth, &corrected));
    }
    let entry = scope_entry(gate, call, body, reason)?;
    let record = gate.control.enter(&entry).await?;
    Answer::ok(&shown(&record, "entered"))
}

/// What a correction of a call came to.
pub(crate) fn answer(id: Rid, truth: &Truth, corrected: &Corrected) -> Correction {
    match corrected {
        Corrected::Entered(record) => shown(record, "entered"),
        Corrected::Adjusted(record) => shown(record, "adjusted"),
        Corrected::Unchanged => Correction {
            status: "unchanged".to_owned(),
            request_id: Some(id.to_string()),
            cost_usd: Some(truth.cost.to_string()),
            reason: truth.reason.clone(),
            ..Correction::default()
        },
    }
}

/// A correction as its row in the log tells it.
pub(crate) fn shown(record: &CallRecord, status: &str) -> Correction {
    let correction = record.correction.as_ref();
    let is_entry = record.outcome == Outcome::Correction;
    Correction {
        status: status.to_owned(),
        id: is_entry.then(|| record.request_id.to_string()),
        request_id: correction.and_then(|one| one.of).map(|id| id.to_string()),
        amount_usd: record.charged().filter(|_| is_entry).map(|amount| amount.to_string()),
        cost_usd: correction.and_then(|one| one.to).map(|cost| cost.to_string()),
        scopes: record.parts.iter().map(|part| part.scope.whole().to_string()).collect(),
        day: record.parts.first().map(|part| part.day),
        reason: correction.map(|one| one.reason.clone()).unwrap_or_default(),
        at: is_entry.then(|| record.started_at.to_string()),
    }
}

fn truth(body: &PostCorrection, reason: String) -> Result<Truth, Error> {
    let others = [&body.scope, &body.amount_usd, &body.period, &body.id];
    if others.iter().any(|field| field.is_some()) {
        let rule = "stands for itself: what the call costs is told by cost_usd";
        return Err(Error::malformed("request_id", rule));
    }
    let cost = amount("cost_usd", body.cost_usd.clone())?;
    let cost = cost.ok_or_else(|| Error::malformed("cost_usd", "is needed"))?;
    Ok(Truth { cost, reason, bill: None })
}

fn scope_entry(
    gate: &Gate,
    call: &Call,
    body: PostCorrection,
    reason: String,
) -> Result<ScopeEntry, Error> {
    let needed = |field: &'static str, value: Option<String>| {
        value.ok_or_else(|| Error::malformed(field, "is needed"))
    };
    if body.cost_usd.is_some() {
        return Err(Error::malformed("cost_usd", "belongs to a request_id"));
    }
    let scope = needed("scope", body.scope)?.parse::<Scope>();
    let scope = scope.map_err(|rule| Error::malformed("scope", rule.to_string()))?;
    let amount = Money::parse_usd(&needed("amount_usd", body.amount_usd)?);
    let amount = amount.map_err(|rule| Error::malformed("amount_usd", rule.to_string()))?;
    if amount == Money::ZERO {
        return Err(Error::malformed("amount_usd", "zero corrects nothing"));
    }
    let id = body.id.as_deref().or(call.seed()?);
    let id = id.map_or_else(|| gate.aws().new_rid().to_string(), str::to_owned);
    let id = id.parse::<EntityId>();
    let id = id.map_err(|rule| Error::malformed("id", rule.to_string()))?;
    let span = body.period.as_deref().map(period).transpose()?;
    Ok(ScopeEntry { id, scope, amount, span, reason })
}

/// One line in a field `reason`.
pub(crate) fn reason(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let fits = (1..=REASON_CHARS_MAX).contains(&text.chars().count());
    if fits && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Error::malformed("reason", "say why, in one line of at most 200 characters"))
}

/// `2026-11` or `2026-11-23`.
pub(crate) fn period(text: &str) -> Result<Span, Error> {
    let digits = text.replace('-', "");
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_written =
        |groups: &[usize]| are_digits && text.split('-').map(str::len).eq(groups.iter().copied());
    let number = if is_written(&[4, 2]) {
        format!("{digits}00").parse().ok()
    } else if is_written(&[4, 2, 2]) && !digits.ends_with("00") {
        digits.parse().ok()
    } else {
        None
    };
    let rule = "write a month as 2026-11 or a day as 2026-11-23";
    number.and_then(Span::from_number).ok_or_else(|| Error::malformed("period", rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_month_or_a_day() {
        assert_eq!(period("2026-11").map(Span::number), Ok(20_261_100));
        assert_eq!(period("2026-11-23").map(Span::number), Ok(20_261_123));
        for wrong in ["", "2026", "2026-13", "2026-11-00", "2026-11-31", "20261123", "+026-11"] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_reason_is_one_line() {
        assert_eq!(reason(" why "), Ok("why".to_owned()));
        for wrong in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert!(reason(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_truth_of_a_call_is_a_cost_alone() {
        let body = |cost: &str, scope: Option<&str>| PostCorrection {
            cost_usd: Some(cost.to_owned()),
            scope: scope.map(str::to_owned),
            ..PostCorrection::default()
        };
        let of = |body: &PostCorrection| truth(body, String::new()).map(|truth| truth.cost);

        assert_eq!(of(&body("0.5", None)), Ok(Money::parse_usd("0.5").unwrap()));
        assert!(of(&body("-0.5", None)).is_err());
        assert!(of(&body("0.5", Some("user:u1"))).is_err());
        assert!(of(&PostCorrection::default()).is_err());
    }
}
