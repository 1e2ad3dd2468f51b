//! `POST /v1/messages/count_tokens`, `POST /v1/responses/input_tokens` and Gemini's `countTokens`:
//! how many tokens a prompt has. Nothing is held, because nothing is billed.

use std::sync::Arc;

use farebox_core::Error;
use http::Response;

use crate::authenticate::authenticate;
use crate::dialect::Dialect;
use crate::gate::Gate;
use crate::handle::{choose, draft, plan};
use crate::incoming::Incoming;
use crate::reply::{self, ReplyBody};
use crate::road::Road;
use crate::upstream::{self, Target};

/// Bytes of text that are about one token: an estimate for models whose provider does not count.
const BYTES_A_TOKEN: usize = 4;
/// Marks a count that no provider made.
const ESTIMATE_HEADER: &str = "x-farebox-estimate";

/// Asks the model's provider, which says it free of charge; where it has no such request the
/// answer is an estimate, and its header `x-farebox-estimate` says so.
///
/// # Errors
/// Every refusal of the call itself before its budgets are asked.
pub async fn tokens(
    gate: &Gate,
    incoming: &Arc<Incoming>,
    dialect: &'static dyn Dialect,
) -> Result<Response<ReplyBody>, Error> {
    let key = authenticate(gate, &incoming.headers).await?;
    let mut record = draft(gate, incoming, &key);
    let road = Road::read(gate, incoming, dialect, &key, &mut record).await?;
    let (planned, plan) = plan(gate, &road, &mut record).await?;
    let resolved = &planned.resolved;
    let (provider, facts) = (resolved.provider, resolved.facts());
    let request = resolved.wire.count(provider, &planned.call, &facts, &plan.outbound);
    if let Some(request) = request {
        let credential = choose(gate, &road, resolved).await?.credential;
        let (model, now) = (&resolved.model.name, gate.aws.now());
        let target = Target { provider, wire: resolved.wire, model, credential: &credential, now };
        if let Some(tokens) = upstream::count(&gate.http(None)?, &target, &request).await {
            return Ok(reply::json(incoming, &dialect.counted(tokens)));
        }
    }
    let said = ["messages", "tools"].iter().filter_map(|field| planned.call.body.get(*field));
    let bytes: usize = said.map(|value| value.to_string().len()).sum();
    let tokens = u64::try_from(bytes.div_ceil(BYTES_A_TOKEN)).unwrap_or(u64::MAX);
    let mut answer = reply::json(incoming, &dialect.counted(tokens));
    reply::insert(answer.headers_mut(), ESTIMATE_HEADER, "true");
    Ok(answer)
}
