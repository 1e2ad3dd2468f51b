//! Rate limits of users and keys.

use farebox_api::{RateLimits as Shown, RateLimitsList};
use farebox_core::{RateLimits, Scope};

use crate::Gate;
use crate::call::Call;
use crate::content::owner;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// `GET /admin/v1/limits`: those that somebody has set.
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = gate.control.all_rate_limits(call.limit()?, call.cursor()).await?;
    let rows = page.rows.into_iter();
    let limits = rows.map(|(scope, limits, version)| shown(&scope, limits, version)).collect();
    Answer::ok(&RateLimitsList { limits, next_cursor: page.next })
}

/// `GET /admin/v1/limits/{scope}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let scope = owner(call)?;
    let (limits, version) = gate.control.rate_limits(&scope).await?.ok_or_else(|| absent(call))?;
    Answer::thing(&shown(&scope, limits, version))
}

/// `PUT /admin/v1/limits/{scope}`
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let scope = owner(call)?;
    let limits: RateLimits = call.body()?;
    limits.check()?;
    let version = gate.control.put_rate_limits(&scope, limits, call.expected()).await?;
    let version = version.ok_or_else(|| call.raced())?;
    Answer::thing(&shown(&scope, limits, version))
}

fn shown(scope: &Scope, limits: RateLimits, version: u64) -> Shown {
    Shown {
        scope: scope.to_string(),
        requests_per_minute: limits.requests_per_minute,
        tokens_per_minute: limits.tokens_per_minute,
        concurrent: limits.concurrent,
        version: version.to_string(),
    }
}
