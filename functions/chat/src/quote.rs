//! `POST /v1/quote`: what a call would cost, and whether its budgets would take it. Nothing is
//! sent, held or written.

use std::sync::Arc;

use farebox_core::{Error, Money};
use farebox_ledger::{Budget, PeriodView, Prospect};
use http::Response;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::account::period_object;
use crate::authenticate::authenticate;
use crate::dialect::{Dialect, NATIVE, OPENAI};
use crate::gate::Gate;
use crate::handle::{draft, plan};
use crate::incoming::Incoming;
use crate::plan::lower;
use crate::reply::{self, ReplyBody};
use crate::road::Road;

/// What only a body of `/v1/chat` has.
#[derive(Deserialize)]
struct Native {
    provider: Option<IgnoredAny>,
    options: Option<IgnoredAny>,
}

/// Takes the body of `/v1/chat` or of `/v1/chat/completions`, or of the paid call that `of` names
/// by its dialect and path, and answers its floor, its ceiling, what would be held at first, and
/// each scope's answer.
///
/// # Errors
/// Every refusal of the call itself before its budgets are asked.
pub async fn quote(
    gate: &Gate,
    incoming: &Arc<Incoming>,
    of: Option<(&'static dyn Dialect, String)>,
) -> Result<Response<ReplyBody>, Error> {
    let key = authenticate(gate, &incoming.headers).await?;
    let mut record = draft(gate, incoming, &key);
    let (dialect, asked) = match of {
        None => (dialect(incoming), Arc::clone(incoming)),
        Some((dialect, path)) => (dialect, Arc::new(Incoming { path, ..(**incoming).clone() })),
    };
    let road = Road::read(gate, &asked, dialect, &key, &mut record).await?;
    let (planned, plan) = plan(gate, &road, &mut record).await?;
    let budgets = gate.ledger.budgets(&record.scopes).await?;
    let now = gate.aws.now();
    let mut scopes = Vec::new();
    let mut worst = Prospect::Admitted;
    let mut room: Option<Money> = None;
    for (scope, budget) in record.scopes.iter().zip(&budgets) {
        for view in budget.view(now) {
            let prospect = budget.prospect(view.period, plan.ask().amount);
            worst = worst.max(prospect);
            if prospect == Prospect::Refused {
                let left = afforded(budget, &view);
                room = Some(room.map_or(left, |room| room.min(left)));
            }
            scopes.push(period_object(scope, &view, "answer", &name(prospect).into()));
        }
    }
    let lowered = room.and_then(|room| lower(planned.candidate(), &plan, room));
    let messages = u64::try_from(planned.call.messages().len()).unwrap_or_default();
    let answer = if lowered.is_some() { "clamped" } else { name(worst) };
    let body = json!({
        "provider": planned.resolved.provider.name,
        "model": planned.resolved.model.name,
        "price_version": planned.price.version,
        "floor_usd": planned.price.least(messages),
        "ceiling_usd": plan.hold,
        "hold_usd": plan.ask().amount,
        "max_tokens": plan.outbound.cap,
        "prompt_tokens_max": plan.bound.prompt_tokens,
        "completion_tokens_max": plan.bound.completion_tokens,
        "answer": answer,
        "clamped": lowered.map(|lowered| {
            json!({"max_tokens": lowered.outbound.cap, "ceiling_usd": lowered.hold})
        }),
        "scopes": scopes,
    });
    Ok(reply::json(incoming, &body))
}

/// In whose words the body is: a malformed one is told as the `OpenAI` dialect tells it.
fn dialect(incoming: &Incoming) -> &'static dyn Dialect {
    match serde_json::from_slice::<Native>(&incoming.body) {
        Ok(Native { provider: None, options: None }) | Err(_) => &OPENAI,
        Ok(_) => &NATIVE,
    }
}

/// What a period would afford: nothing where its budget is closed.
fn afforded(budget: &Budget, view: &PeriodView) -> Money {
    match budget.terms.settings.mode {
        farebox_ledger::Mode::Closed => Money::ZERO,
        _ => view.room.unwrap_or_default(),
    }
}

const fn name(prospect: Prospect) -> &'static str {
    match prospect {
        Prospect::Admitted => "admitted",
        Prospect::Waits => "waits",
        Prospect::Refused => "refused",
    }
}
