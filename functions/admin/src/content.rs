//! The content log: switched on, read and erased.

use farebox_api::{ContentLog, ContentLogList, ErasedContent, PutContentLog};
use farebox_core::{EntityId, Error, Rid, Scope, ScopeKind};
use serde_json::Value;

use crate::Gate;
use crate::call::Call;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// Longest life of content.
const DAYS_MAX: u32 = 365;

/// `GET /admin/v1/content-log`: the settings that somebody has made, those of 0 days too.
pub async fn settings(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = gate.control.all_content_days(call.limit()?, call.cursor()).await?;
    let rows = page.rows.into_iter().map(|(scope, days, version)| ContentLog {
        scope: scope.to_string(),
        days: Some(days),
        version: version.to_string(),
    });
    Answer::ok(&ContentLogList { settings: rows.collect(), next_cursor: page.next })
}

/// `GET /admin/v1/content-log/{scope}`
pub async fn setting(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let scope = owner(call)?;
    let (days, version) = gate.control.content_days(&scope).await?.ok_or_else(|| absent(call))?;
    let version = version.to_string();
    Answer::thing(&ContentLog { scope: scope.to_string(), days, version })
}

/// `PUT /admin/v1/content-log/{scope}`
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let scope = owner(call)?;
    let PutContentLog { days } = call.body()?;
    if days > DAYS_MAX {
        let rule = format!("is 1 to {DAYS_MAX}, or 0 to keep nothing from now on");
        return Err(Error::malformed("days", rule).into());
    }
    let version = gate.control.put_content_days(&scope, days, call.expected()).await?;
    let version = version.ok_or_else(|| call.raced())?;
    let (scope, version) = (scope.to_string(), version.to_string());
    Answer::thing(&ContentLog { scope, days: Some(days), version })
}

/// `GET /admin/v1/requests/{id}/content`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let id: Rid = call.parsed("id")?;
    let record = gate.control.logs().find(id).await?.ok_or_else(|| absent(call))?;
    let plain = gate.control.content(&record.user, id).await?.ok_or_else(|| absent(call))?;
    let content: Value = serde_json::from_slice(&plain).map_err(Error::internal)?;
    Answer::ok(&content)
}

/// `DELETE /admin/v1/users/{id}/content`
pub async fn erase(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let user: EntityId = call.parsed("id")?;
    let (erased, more) = gate.control.erase_content(&user).await?;
    Answer::ok(&ErasedContent { erased, more })
}

/// A user or a key: content and rate limits are nobody else's.
pub(crate) fn owner(call: &Call) -> Result<Scope, Error> {
    let scope: Scope = call.parsed("scope")?;
    let is_owner = matches!(scope.kind, ScopeKind::User | ScopeKind::Key) && scope.model.is_none();
    let rule = "is user:ID or key:ID";
    if is_owner { Ok(scope) } else { Err(Error::malformed("scope", rule)) }
}
