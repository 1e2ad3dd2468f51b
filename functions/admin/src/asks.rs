//! More budget: a member asks for it, an owner or an admin decides.

use farebox_api::{AskBudget, BudgetRequest, BudgetRequestList, DecideBudget};
use farebox_aws::control::{Ask, AskRow, AskState, Decided, Fits};
use farebox_core::{EntityId, Error, Money, Rid, Scope, ScopeKind};
use farebox_ledger::Settings;

use crate::Gate;
use crate::budgets::{limit, until};
use crate::call::Call;
use crate::corrections::reason;
use crate::me::member;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// The states by name.
const STATES: [(&str, AskState); 4] = [
    ("open", AskState::Open),
    ("approved", AskState::Approved),
    ("denied", AskState::Denied),
    ("withdrawn", AskState::Withdrawn),
];

/// `GET /admin/v1/me/budget-requests`
pub async fn own_list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let user = &member(call)?.user;
    let page = gate.control.asks(Some(user), call.limit()?, call.cursor(), None).await?;
    let budget_requests = page.rows.into_iter().map(own).collect();
    Answer::ok(&BudgetRequestList { budget_requests, next_cursor: page.next })
}

/// `POST /admin/v1/me/budget-requests`
pub async fn own_create(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: AskBudget = call.body()?;
    let ask = Ask {
        month: limit("month_limit_usd", body.month_limit_usd)?,
        day: limit("day_limit_usd", body.day_limit_usd)?,
        total: limit("total_limit_usd", body.total_limit_usd)?,
        until: until(body.until.as_deref(), gate.aws().now())?,
        reason: reason(&body.reason)?,
    };
    if [ask.month, ask.day, ask.total].iter().all(Option::is_none) {
        let rule = "is needed, or day_limit_usd, or total_limit_usd: which limit is to be raised";
        return Err(Error::malformed("month_limit_usd", rule).into());
    }
    let row = gate.control.ask(&member(call)?.user, &ask, call.seed()?).await?;
    Answer::made(&own(row.ok_or_else(|| absent(call))?))
}

/// `GET /admin/v1/me/budget-requests/{id}`
pub async fn own_show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.ask_of(&member(call)?.user, call.parsed("id")?).await?;
    let row = row.ok_or_else(|| absent(call))?;
    Answer::thing(&own(row))
}

/// `DELETE /admin/v1/me/budget-requests/{id}`
pub async fn own_withdraw(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.ask_of(&member(call)?.user, call.parsed("id")?).await?;
    let row = row.ok_or_else(|| absent(call))?;
    let row = gate.control.decide(&row, AskState::Withdrawn, None, call.expected()).await?;
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&own(row))
}

/// `GET /admin/v1/budget-requests?user=&state=`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let user: Option<EntityId> = match call.query("user") {
        Some(_) => Some(call.parsed_query("user", "ID")?),
        None => None,
    };
    let wanted = call.query("state").map(state).transpose()?;
    let fits = |row: &AskRow| Some(row.state) == wanted;
    let fits: Option<&Fits<'_, AskRow>> = if wanted.is_some() { Some(&fits) } else { None };
    let page = gate.control.asks(user.as_ref(), call.limit()?, call.cursor(), fits).await?;
    let budget_requests = page.rows.into_iter().map(shown).collect();
    Answer::ok(&BudgetRequestList { budget_requests, next_cursor: page.next })
}

/// `GET /admin/v1/budget-requests/{user}/{id}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = find(gate, call).await?;
    Answer::thing(&shown(row))
}

/// `PUT /admin/v1/budget-requests/{user}/{id}`: the word and the limits together, or neither.
pub async fn decide(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = find(gate, call).await?;
    let body: DecideBudget = call.body()?;
    let note = body.note.as_deref().map(reason).transpose();
    let note =
        note.map_err(|_| Error::malformed("note", "is one line of at most 200 characters"))?;
    let decision = state(&body.state)?;
    if row.state != AskState::Open {
        let rule = "This request is decided already.".to_owned();
        return Err(Error::NotAllowed { rule }.into());
    }
    let (by, at) = (call.who()?.actor.clone(), gate.aws().now());
    let row = match decision {
        AskState::Denied => {
            let decided = Decided { by, at, until: None, note };
            gate.control.decide(&row, decision, Some(decided), call.expected()).await?
        }
        AskState::Approved => {
            let end = until(body.until.as_deref(), at)?.or(row.ask.until).filter(|end| *end > at);
            let rule =
                "is needed: when the limits of before come back, such as 2027-01-01T00:00:00Z";
            let end = end.ok_or_else(|| Error::malformed("until", rule))?;
            let scope = Scope::new(ScopeKind::User, row.user.clone());
            let budget = gate.control.budget(&scope).await?.ok_or_else(|| absent(call))?;
            let settings = raised(&budget.terms.settings, &row, &body)?;
            let decided = Decided { by, at, until: Some(end), note };
            let raise = (&budget, &settings, end);
            gate.control.approve(&row, raise, decided, call.expected()).await?
        }
        AskState::Open | AskState::Withdrawn => {
            return Err(Error::malformed("state", "is approved or denied").into());
        }
    };
    let row = row.ok_or_else(|| call.raced())?;
    Answer::thing(&shown(row))
}

/// The settings with the limits that are granted.
fn raised(now: &Settings, row: &AskRow, body: &DecideBudget) -> Result<Settings, Error> {
    let mut settings = now.clone();
    let mut limits = [
        ("month_limit_usd", &body.month_limit_usd, row.ask.month, &mut settings.limits.month),
        ("day_limit_usd", &body.day_limit_usd, row.ask.day, &mut settings.limits.day),
        ("total_limit_usd", &body.total_limit_usd, row.ask.total, &mut settings.limits.total),
    ];
    for (field, granted, asked, current) in &mut limits {
        let Some(granted) = limit(field, (*granted).clone())?.or(*asked) else { continue };
        let rule = match **current {
            None => "has no limit now, so there is nothing to raise".to_owned(),
            Some(current) if granted < current => format!("is below the {current} in force"),
            Some(_) => {
                **current = Some(granted);
                continue;
            }
        };
        return Err(Error::malformed(*field, rule));
    }
    Ok(settings)
}

fn state(name: &str) -> Result<AskState, Error> {
    let found = STATES.iter().find(|(known, _)| *known == name);
    let rule = "is open, approved, denied or withdrawn";
    found.map(|(_, state)| *state).ok_or_else(|| Error::malformed("state", rule))
}

async fn find(gate: &Gate, call: &Call) -> Result<AskRow, Refusal> {
    let (user, id): (EntityId, Rid) = (call.parsed("user")?, call.parsed("id")?);
    Ok(gate.control.ask_of(&user, id).await?.ok_or_else(|| absent(call))?)
}

/// As the member sees it: who decided is not told.
fn own(row: AskRow) -> BudgetRequest {
    BudgetRequest { decided_by: None, ..shown(row) }
}

fn shown(row: AskRow) -> BudgetRequest {
    let usd = |amount: Option<Money>| amount.map(|amount| amount.to_string());
    let name = STATES.iter().find(|(_, state)| *state == row.state).map_or("", |(name, _)| name);
    let decided = row.decided.as_ref();
    let until = decided.map_or(row.ask.until, |decided| decided.until);
    BudgetRequest {
        id: row.id.to_string(),
        user: row.user.to_string(),
        state: name.to_owned(),
        month_limit_usd: usd(row.ask.month),
        day_limit_usd: usd(row.ask.day),
        total_limit_usd: usd(row.ask.total),
        until: until.map(|until| until.to_string()),
        version: row.version.to_string(),
        created_at: row.id.made_at().to_string(),
        decided_at: decided.map(|decided| decided.at.to_string()),
        decided_by: decided.map(|decided| decided.by.clone()),
        note: decided.and_then(|decided| decided.note.clone()),
        reason: row.ask.reason,
    }
}
