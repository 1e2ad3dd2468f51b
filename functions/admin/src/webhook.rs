//! Where alerts are delivered.

use farebox_api::{PutWebhook, Webhook};
use farebox_aws::control::{UrlUse, WebhookRow};

use crate::Gate;
use crate::call::Call;
use crate::credentials::url;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// `GET /admin/v1/webhook`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.webhook().await?;
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&webhook(row))
}

/// `PUT /admin/v1/webhook`
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: PutWebhook = call.body()?;
    let allowed = &gate.control.aws().config().allowed_origins;
    let target = url("url", &body.url, UrlUse::Whole, allowed)?;
    let set = gate.control.put_webhook(&target, call.expected()).await?;
    let (secret, row) = set.ok_or_else(|| call.raced())?;
    Ok(Answer::thing(&webhook(row))?.with_secret(&secret))
}

/// `DELETE /admin/v1/webhook`
pub async fn delete(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    if gate.control.delete_webhook(call.expected()).await? {
        return Ok(Answer::empty());
    }
    Err(call.raced().into())
}

fn webhook(row: WebhookRow) -> Webhook {
    Webhook { url: row.url, version: row.version.to_string() }
}
