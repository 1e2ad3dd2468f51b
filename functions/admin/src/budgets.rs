//! Budgets and usage.

use farebox_api::{Budget as Shown, BudgetList, Period, PutBudget, ScopeUsage, Shares, UsageList};
use farebox_aws::control::{BudgetRow, Change, Listed};
use farebox_core::{Error, Money, Scope, ScopeKind, Timestamp, Zone};
use farebox_ledger::PeriodView;
use farebox_ledger::{Budget, Limits, Mode, SHARES_MAX, Settings};

use crate::Gate;
use crate::call::{Call, instant};
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

mod nearest;

/// The most thresholds of one budget: each is an alert item a period.
const THRESHOLDS_MAX: usize = 10;

/// `GET /admin/v1/budgets`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    if call.one_of("order", &["scope", "nearest"])? == Some("nearest") {
        return nearest::answer(gate, call).await;
    }
    let page = page(gate, call, call.limit()?, call.cursor()).await?;
    let now = gate.control.aws().now();
    let budgets = page.rows.iter().map(|row| shown(&row.scope, &row.budget, now)).collect();
    Answer::ok(&BudgetList { budgets, next_cursor: page.next, nearest: None })
}

/// A page of budgets, of one kind of owner where it is asked for.
async fn page(
    gate: &Gate,
    call: &Call,
    limit: u32,
    cursor: Option<&str>,
) -> Result<Listed<BudgetRow>, Error> {
    let kind = call.one_of("kind", &ScopeKind::ALL.map(ScopeKind::name))?;
    let list = kind.map(|kind| format!("{kind}:"));
    let first = cursor.or(list.as_deref());
    let mut page = gate.control.budgets(limit, first).await?;
    if let Some(list) = &list {
        // The cursor of a list is that list's name and more; of the next one, its bare name.
        page.next = page.next.filter(|next| next.starts_with(list.as_str()) && next != list);
    }
    Ok(page)
}

/// `GET /admin/v1/budgets/{scope}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let scope: Scope = call.parsed("scope")?;
    let budget = gate.control.budget(&scope).await?.ok_or_else(|| absent(call))?;
    answer(gate, &scope, &budget).await
}

/// `PUT /admin/v1/budgets/{scope}`
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let scope: Scope = call.parsed("scope")?;
    known_model(gate, &scope).await?;
    let body: PutBudget = call.body()?;
    let until = until(body.until.as_deref(), gate.control.aws().now())?;
    let count = body.shares;
    let settings = settings(body)?;
    shares(count, settings.mode)?;
    match gate.control.put_budget(&scope, &settings, call.expected(), until, count).await? {
        Change::Applied(budget) => answer(gate, &scope, &budget).await,
        Change::Stale(_) => Err(call.raced().into()),
        Change::Absent => Err(absent(call).into()),
    }
}

/// `GET /admin/v1/usage` without `by`: what each budget has spent.
pub async fn usage(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = page(gate, call, call.limit()?, call.cursor()).await?;
    let now = gate.control.aws().now();
    let scopes = page.rows.into_iter().map(|row| ScopeUsage {
        kind: row.scope.kind_name().to_owned(),
        id: row.scope.id_text(),
        user: row.user.map(|user| user.to_string()),
        mode: row.budget.terms.settings.mode.name().to_owned(),
        periods: periods(&row.budget, now),
    });
    Answer::ok(&UsageList { scopes: scopes.collect(), next_cursor: page.next })
}

/// An amount in a field: a decimal text of USD, not below zero.
pub(crate) fn amount(field: &str, text: Option<String>) -> Result<Option<Money>, Error> {
    let Some(text) = text else { return Ok(None) };
    let amount = Money::parse_usd(&text);
    let amount = amount.map_err(|rule| Error::malformed(field, rule.to_string()))?;
    if amount < Money::ZERO {
        return Err(Error::malformed(field, "an amount is not below zero"));
    }
    Ok(Some(amount))
}

/// A budget for a model that nobody serves would never bind: more likely its name is wrong.
async fn known_model(gate: &Gate, scope: &Scope) -> Result<(), Error> {
    let Some(model) = &scope.model else { return Ok(()) };
    let (provider, name) = model.parts();
    let prices = gate.control.prices_in_force().await?;
    if prices.at(gate.aws().now()).model(provider, name).is_some() {
        return Ok(());
    }
    let rule = format!("{model} is neither in the catalogue nor has it a price of yours");
    Err(Error::malformed("scope", rule))
}

/// A limit: an amount above zero.
pub(crate) fn limit(field: &str, text: Option<String>) -> Result<Option<Money>, Error> {
    let limit = amount(field, text)?;
    if limit == Some(Money::ZERO) {
        let rule = "a limit is above zero: to refuse every call, set the mode `closed`";
        return Err(Error::malformed(field, rule));
    }
    Ok(limit)
}

/// A budget is divided where its limits bind; else it only counts, and its own item does that.
fn shares(count: Option<u8>, mode: Mode) -> Result<(), Error> {
    let Some(count) = count.filter(|count| *count > 0) else { return Ok(()) };
    if !(2..=SHARES_MAX).contains(&count) {
        let rule = format!("divide a budget into 2 to {SHARES_MAX} shares, or 0 for none");
        return Err(Error::malformed("shares", rule));
    }
    if mode.is_strict() {
        return Ok(());
    }
    Err(Error::malformed("shares", "only budgets in mode hard or balanced are divided"))
}

pub(crate) fn until(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let Some(text) = text else { return Ok(None) };
    let rule = "write a day to come, such as 2027-01-01, or an RFC 3339 time: 2027-01-01T12:00:00Z";
    let until = instant(text).filter(|until| *until > now);
    Ok(Some(until.ok_or_else(|| Error::malformed("until", rule))?))
}

async fn answer(gate: &Gate, scope: &Scope, budget: &Budget) -> Result<Answer, Refusal> {
    let mut body = shown(scope, budget, gate.control.aws().now());
    if let Some(temporary) = gate.control.temporary(scope, budget).await? {
        body.until = Some(temporary.until.to_string());
        body.then = Some(written(&temporary.settings));
    }
    if let Some(pending) = gate.control.is_pending(scope, budget).await? {
        let count = budget.terms.shares_used();
        body.shares = Some(Shares { count, pending });
        if count < budget.terms.shares.used {
            let mode = budget.terms.settings.mode.name();
            let warning = format!("in mode {mode} calls are held in the budget, not in its shares");
            body.warnings.push(warning);
        }
    }
    Answer::thing(&body)
}

fn settings(body: PutBudget) -> Result<Settings, Error> {
    let limits = Limits {
        month: limit("month_limit_usd", body.month_limit_usd)?,
        day: limit("day_limit_usd", body.day_limit_usd)?,
        total: limit("total_limit_usd", body.total_limit_usd)?,
    };
    let name = body.mode.as_deref().unwrap_or("hard");
    let mode = Mode::NAMES.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode);
    let rule = "use hard, balanced, soft, observe or closed";
    let zone = Zone::parse(body.time_zone.as_deref().unwrap_or("UTC"));
    Ok(Settings {
        mode: mode.ok_or_else(|| Error::malformed("mode", rule))?,
        zone: zone.map_err(|rule| Error::malformed("time_zone", rule.to_string()))?,
        limits,
        thresholds: thresholds(body.alert_thresholds.unwrap_or_default())?,
    })
}

fn thresholds(percents: Vec<u8>) -> Result<Vec<u8>, Error> {
    let field = "alert_thresholds";
    if percents.len() > THRESHOLDS_MAX {
        return Err(Error::malformed(field, "at most ten thresholds are taken"));
    }
    let are_percents = percents.iter().all(|percent| (1..=100).contains(percent));
    let do_rise = percents.iter().zip(percents.iter().skip(1)).all(|(low, high)| low < high);
    if are_percents && do_rise {
        return Ok(percents);
    }
    Err(Error::malformed(field, "write percentages from 1 to 100, each above the one before"))
}

pub(crate) fn shown(scope: &Scope, budget: &Budget, now: Timestamp) -> Shown {
    let settings = &budget.terms.settings;
    let usd = |amount: Option<Money>| amount.map(|amount| amount.to_string());
    Shown {
        kind: scope.kind_name().to_owned(),
        id: scope.id_text(),
        version: budget.terms.epoch.to_string(),
        mode: settings.mode.name().to_owned(),
        time_zone: settings.zone.name().to_owned(),
        month_limit_usd: usd(settings.limits.month),
        day_limit_usd: usd(settings.limits.day),
        total_limit_usd: usd(settings.limits.total),
        alert_thresholds: settings.thresholds.clone(),
        periods: periods(budget, now),
        until: None,
        then: None,
        shares: None,
        warnings: warnings(budget, now),
    }
}

/// The settings as a change would write them.
fn written(settings: &Settings) -> PutBudget {
    let usd = |amount: Option<Money>| amount.map(|amount| amount.to_string());
    PutBudget {
        month_limit_usd: usd(settings.limits.month),
        day_limit_usd: usd(settings.limits.day),
        total_limit_usd: usd(settings.limits.total),
        mode: Some(settings.mode.name().to_owned()),
        time_zone: Some(settings.zone.name().to_owned()),
        alert_thresholds: Some(settings.thresholds.clone()),
        until: None,
        shares: None,
    }
}

/// A limit below what is spent is taken, and says what it will refuse.
fn warnings(budget: &Budget, now: Timestamp) -> Vec<String> {
    if !budget.terms.settings.mode.is_strict() {
        return Vec::new();
    }
    let passed = budget.view(now).into_iter().filter_map(|view| {
        let (limit, committed) = (view.limit?, view.settled.plus(view.held)?);
        let name = view.period.name();
        let end = view.resets_at.map_or("the limit is raised".to_owned(), |at| at.to_string());
        (committed > limit).then(|| {
            format!(
                "{name}_limit_usd is below the {committed} USD that are settled or held: \
                 every call is refused until {end}"
            )
        })
    });
    passed.collect()
}

fn periods(budget: &Budget, now: Timestamp) -> Vec<Period> {
    budget.view(now).iter().map(period).collect()
}

fn period(view: &PeriodView) -> Period {
    Period {
        period: view.period.name().to_owned(),
        limit_usd: view.limit.map(|limit| limit.to_string()),
        settled_usd: view.settled.to_string(),
        held_usd: view.held.to_string(),
        room_usd: view.room.map(|room| room.to_string()),
        resets_at: view.resets_at.map(|at| at.to_string()),
        exceeded: view.exceeded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: PutBudget) -> (String, String) {
        match settings(body) {
            Err(Error::Malformed { field, rule }) => (field, rule),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_budget_is_hard_and_in_utc_unless_it_says_otherwise() {
        let body = PutBudget { month_limit_usd: Some("100".into()), ..PutBudget::default() };

        let settings = settings(body).unwrap();

        assert_eq!((settings.mode, settings.zone.name()), (Mode::Hard, "UTC"));
        assert_eq!(settings.limits.month, Money::parse_usd("100").ok());
        assert_eq!((settings.limits.day, settings.limits.total), (None, None));
    }

    #[test]
    fn an_amount_is_a_plain_decimal_not_below_zero() {
        for text in ["-1", "-0.1", "1e3", "NaN", "Infinity", "", "1,5", "1000000000000001"] {
            let body = PutBudget { day_limit_usd: Some(text.into()), ..PutBudget::default() };
            assert_eq!(refused(body).0, "day_limit_usd", "{text}");
        }
        assert_eq!(amount("x", Some("0".into())), Ok(Some(Money::ZERO)));
    }

    #[test]
    fn a_mode_is_one_of_the_known_ones() {
        for mode in ["strict", "Hard", ""] {
            let body = PutBudget { mode: Some(mode.into()), ..PutBudget::default() };
            assert_eq!(refused(body).0, "mode", "{mode}");
        }
    }

    #[test]
    fn thresholds_rise_from_1_to_100() {
        assert_eq!(thresholds(vec![50, 80, 100]), Ok(vec![50, 80, 100]));
        assert_eq!(thresholds(vec![]), Ok(vec![]));
        for wrong in [vec![0], vec![101], vec![80, 50], vec![50, 50], (1..=11).collect()] {
            assert!(thresholds(wrong.clone()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_unknown_zone_is_refused() {
        let body = PutBudget { time_zone: Some("Mars/Olympus".into()), ..PutBudget::default() };

        assert_eq!(refused(body).0, "time_zone");
    }
}
