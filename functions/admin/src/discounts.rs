//! What is taken off list prices.

use farebox_api::{Discount as Shown, DiscountList};
use farebox_aws::control::DiscountRow;
use farebox_core::pricing::Discount;
use farebox_core::{Error, ModelId, Timestamp};

use crate::Gate;
use crate::call::Call;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// `GET /admin/v1/discounts`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = gate.control.discounts(call.limit()?, call.cursor()).await?;
    let now = gate.aws().now();
    let rows: Result<Vec<_>, _> = page.rows.into_iter().map(|row| shown(row, now)).collect();
    Answer::ok(&DiscountList { discounts: rows?, next_cursor: page.next })
}

/// `GET /admin/v1/discounts/{target+}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.discount(target(call)?).await?;
    answer(gate, row.ok_or_else(|| absent(call))?)
}

/// `PUT /admin/v1/discounts/{target+}`
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let target = target(call)?;
    let discount: Discount = call.body()?;
    discount.check()?;
    let row = gate.control.put_discount(target, &discount, call.expected()).await?;
    answer(gate, row.ok_or_else(|| call.raced())?)
}

/// `DELETE /admin/v1/discounts/{target+}`
pub async fn delete(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    if gate.control.delete_discount(target(call)?, call.expected()).await? {
        return Ok(Answer::empty());
    }
    Err(call.raced().into())
}

/// `*`, `provider/*` or `provider/model`.
fn target(call: &Call) -> Result<&str, Error> {
    let target = call.parameter("target");
    if target == "*" {
        return Ok(target);
    }
    let rule = "write provider/model, provider/* or *";
    let (of, model) = target.split_once('/').ok_or_else(|| Error::malformed("target", rule))?;
    if farebox_providers::find(of).is_none() {
        return Err(Error::malformed("target", format!("{of:?} is no provider")));
    }
    if model != "*" {
        target.parse::<ModelId>().map_err(|rule| Error::malformed("target", rule.to_string()))?;
    }
    Ok(target)
}

fn answer(gate: &Gate, row: DiscountRow) -> Result<Answer, Refusal> {
    Answer::thing(&shown(row, gate.aws().now())?)
}

fn shown(row: DiscountRow, now: Timestamp) -> Result<Shown, Error> {
    let spec = serde_json::to_value(&row.discount).map_err(Error::internal)?;
    let term = row.discount.term(now);
    let off_percent = term.map(|term| term.off_percent.clone());
    Ok(Shown { target: row.target, version: row.version.to_string(), off_percent, spec })
}
