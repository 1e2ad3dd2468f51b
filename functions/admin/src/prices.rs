//! The owner's own prices.

use farebox_api::{Price, PriceList, QuarantineList, Quarantined};
use farebox_aws::control::{PriceRow, QuarantineRow};
use farebox_core::pricing::PricingError;
use farebox_core::{Catalog, Error, PriceSpec};

use crate::Gate;
use crate::call::Call;
use crate::credentials::provider;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

mod not_stated;

use not_stated::not_stated;

/// Longest model name.
const MODEL_BYTES_MAX: usize = 200;

/// `GET /admin/v1/prices`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let provider = call.query("provider").map(provider).transpose()?;
    let page = gate.control.prices(provider, call.limit()?, call.cursor()).await?;
    let list = gate.control.list_in_force().await?;
    let prices: Result<Vec<_>, _> = page.rows.into_iter().map(|row| price(row, &list)).collect();
    Answer::ok(&PriceList { prices: prices?, next_cursor: page.next })
}

/// `GET /admin/v1/prices/{provider}/{model+}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let (provider, model) = names(call)?;
    let row = gate.control.price(provider, model).await?;
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&price(row, &gate.control.list_in_force().await?)?)
}

/// `PUT /admin/v1/prices/{provider}/{model+}`
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let (provider, model) = names(call)?;
    let spec: PriceSpec = call.body()?;
    let prices = gate.control.prices_in_force().await?;
    let made = spec.model(prices.list(), provider, model, "");
    made.map_err(|error| at_field(&error))?;
    let spec = serde_json::to_string(&spec).map_err(Error::internal)?;
    let row = gate.control.put_price(provider, model, &spec, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&price(row, prices.list())?)
}

/// `DELETE /admin/v1/prices/{provider}/{model+}`
pub async fn delete(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let (provider, model) = names(call)?;
    if gate.control.delete_price(provider, model, call.expected()).await? {
        return Ok(Answer::empty());
    }
    Err(call.raced().into())
}

/// `GET /admin/v1/quarantine`
pub async fn quarantine(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = gate.control.quarantine(call.limit()?, call.cursor()).await?;
    let rows = page.rows.into_iter().map(quarantined).collect();
    Answer::ok(&QuarantineList { quarantine: rows, next_cursor: page.next })
}

/// `GET /admin/v1/quarantine/{provider}/{model+}`
pub async fn show_quarantined(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let (provider, model) = names(call)?;
    let row = gate.control.quarantined(provider, model).await?;
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&quarantined(row))
}

/// `DELETE /admin/v1/quarantine/{provider}/{model+}`
pub async fn acknowledge(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let (provider, model) = names(call)?;
    if gate.control.acknowledge(provider, model, call.expected()).await? {
        return Ok(Answer::empty());
    }
    Err(call.raced().into())
}

/// Provider and model of a path.
pub(crate) fn names(call: &Call) -> Result<(&str, &str), Error> {
    let model = call.parameter("model");
    let fits = model.len() <= MODEL_BYTES_MAX && model.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        let rule = "a model's name has at most 200 printable ASCII characters";
        return Err(Error::malformed("model", rule));
    }
    Ok((provider(call.parameter("provider"))?, model))
}

/// The error at its field, which the message need not name again.
fn at_field(error: &PricingError) -> Error {
    let (field, text) = (error.field().unwrap_or("body"), error.to_string());
    let rule = text.strip_prefix(field).map_or(text.as_str(), str::trim_start);
    Error::malformed(field, rule)
}

fn quarantined(row: QuarantineRow) -> Quarantined {
    Quarantined {
        provider: row.provider,
        model: row.model,
        request_id: row.request_id,
        hold_usd: row.hold.to_string(),
        cost_usd: row.cost.to_string(),
        at: row.at.to_string(),
        version: row.at.seconds().to_string(),
    }
}

fn price(row: PriceRow, list: &Catalog) -> Result<Price, Error> {
    // One that a newer release has written is shown as it stands.
    let own: Option<PriceSpec> = serde_json::from_str(&row.spec).ok();
    let lacks = own.map(|own| not_stated(list, &row.provider, &row.model, &own));
    Ok(Price {
        spec: serde_json::from_str(&row.spec).map_err(Error::internal)?,
        not_stated: lacks.unwrap_or_default(),
        provider: row.provider,
        model: row.model,
        price_version: row.version,
        version: row.revision.to_string(),
    })
}
