//! Budgets and usage.

use farebox_api::{Budget as Stored, BudgetList, Period, PutBudget, UsageList};
use reqwest::Method;

use super::{filtered, path};
use crate::args::{Budget, BudgetChange};
use crate::client::{Client, encoded};
use crate::failure::Failure;
use crate::print::{Output, Table, cell};

/// `farebox budget …`
pub async fn budget(client: &Client, command: Budget) -> Result<Output, Failure> {
    match command {
        Budget::Set(change) => {
            let path = path(&format!("budgets/{}", encoded(&change.scope)));
            let read = client.get(&path).await?;
            let body = changed(&read.parse()?, change)?;
            // The version that was read: a change by somebody else in between is refused.
            let answer = client.send(Method::PUT, &path, &body, read.etag.as_deref()).await?;
            let text = budget_text(&answer.parse()?);
            Ok(Output::new(answer.body, text))
        }
        Budget::Show { scope: Some(scope), .. } => {
            let answer = client.get(&path(&format!("budgets/{}", encoded(&scope)))).await?;
            let text = budget_text(&answer.parse()?);
            Ok(Output::new(answer.body, text))
        }
        Budget::Show { scope: None, kind, nearest: true } => {
            let query = [("kind", kind), ("order", Some("nearest".to_owned()))];
            let answer = client.get(&filtered("budgets", &query)).await?;
            let list: BudgetList = answer.parse()?;
            let told = list.nearest.clone().unwrap_or_default();
            let over = format!(
                "\n{} of {} budgets with a limit pass it, or will. {} were looked at{}.",
                told.over,
                told.limited,
                told.budgets,
                if list.next_cursor.is_some() { "; there are more: --kind narrows it" } else { "" },
            );
            Ok(Output::new(answer.body, budgets_text(&list) + &over))
        }
        Budget::Show { scope: None, kind, nearest: false } => {
            let answer = client.all(&filtered("budgets", &[("kind", kind)]), "budgets").await?;
            let list: BudgetList = answer.parse()?;
            Ok(Output::new(answer.body, budgets_text(&list)))
        }
    }
}

pub(super) fn budgets_text(list: &BudgetList) -> String {
    let mut table = Table::new(&PERIOD_HEAD);
    for budget in &list.budgets {
        push(&mut table, &budget.kind, &budget.id, &budget.mode, &budget.periods);
    }
    table.with_head()
}

/// The budget with the changes in it: what the operator does not name stays.
pub fn changed(now: &Stored, change: BudgetChange) -> Result<PutBudget, Failure> {
    let limit = |given: Option<String>, now: &Option<String>| match given.as_deref() {
        None => now.clone(),
        Some("none") => None,
        Some(_) => given,
    };
    let names_something = change.month.is_some()
        || change.day.is_some()
        || change.total.is_some()
        || change.mode.is_some()
        || change.time_zone.is_some()
        || change.alert_thresholds.is_some()
        || change.until.is_some()
        || change.shares.is_some();
    if !names_something {
        return Err(Failure::new(
            "nothing to change",
            format!("farebox budget set {} --month 100 --mode hard", change.scope),
        ));
    }
    let sets_limit = [&change.month, &change.day, &change.total]
        .into_iter()
        .any(|given| given.as_deref().is_some_and(|given| given != "none"));
    let mut mode = change.mode.unwrap_or_else(|| now.mode.clone());
    let had_limit = [&now.month_limit_usd, &now.day_limit_usd, &now.total_limit_usd]
        .into_iter()
        .any(Option::is_some);
    // A budget begins as `observe` without limits; who gives it its first limit means it.
    if sets_limit && !had_limit && mode == "observe" {
        "hard".clone_into(&mut mode);
    }
    Ok(PutBudget {
        month_limit_usd: limit(change.month, &now.month_limit_usd),
        day_limit_usd: limit(change.day, &now.day_limit_usd),
        total_limit_usd: limit(change.total, &now.total_limit_usd),
        mode: Some(mode),
        time_zone: Some(change.time_zone.unwrap_or_else(|| now.time_zone.clone())),
        alert_thresholds: Some(
            change.alert_thresholds.unwrap_or_else(|| now.alert_thresholds.clone()),
        ),
        // A change beside a temporary one does not make that one permanent.
        until: limit(change.until, &now.until),
        shares: shares(change.shares.as_deref())?,
    })
}

/// The budget as it is, as a change to it.
pub fn unchanged(now: &Stored) -> PutBudget {
    PutBudget {
        month_limit_usd: now.month_limit_usd.clone(),
        day_limit_usd: now.day_limit_usd.clone(),
        total_limit_usd: now.total_limit_usd.clone(),
        mode: Some(now.mode.clone()),
        time_zone: Some(now.time_zone.clone()),
        alert_thresholds: Some(now.alert_thresholds.clone()),
        until: now.until.clone(),
        shares: None,
    }
}

fn shares(given: Option<&str>) -> Result<Option<u8>, Failure> {
    let wrong = |_| Failure::new("--shares takes a number or `none`", "farebox budget set --help");
    match given {
        None => Ok(None),
        Some("none") => Ok(Some(0)),
        Some(count) => count.parse().map(Some).map_err(wrong),
    }
}

fn budget_text(budget: &Stored) -> String {
    let mut table = Table::new(&PERIOD_HEAD);
    push(&mut table, &budget.kind, &budget.id, &budget.mode, &budget.periods);
    let thresholds: Vec<String> =
        budget.alert_thresholds.iter().map(|percent| format!("{percent} %")).collect();
    let thresholds = if thresholds.is_empty() { "none".into() } else { thresholds.join(", ") };
    let mut text =
        format!("{}\ntime zone {}, alerts at: {thresholds}", table.with_head(), budget.time_zone);
    if let Some(until) = &budget.until {
        text.push_str(&format!("\nuntil {until}; then what was before comes back"));
    }
    if let Some(shares) = &budget.shares {
        let pending = if shares.pending { ", a change is pending" } else { "" };
        text.push_str(&format!("\nshares {}{pending}", shares.count));
    }
    for warning in &budget.warnings {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    text
}

/// `farebox usage`
pub async fn usage(client: &Client, kind: Option<String>) -> Result<Output, Failure> {
    let answer = client.all(&filtered("usage", &[("kind", kind)]), "scopes").await?;
    let list: UsageList = answer.parse()?;
    let mut table = Table::new(&PERIOD_HEAD);
    for scope in &list.scopes {
        push(&mut table, &scope.kind, &scope.id, &scope.mode, &scope.periods);
    }
    Ok(Output::new(answer.body, table.with_head()))
}

const PERIOD_HEAD: [&str; 8] =
    ["SCOPE", "MODE", "PERIOD", "SETTLED_USD", "HELD_USD", "LIMIT_USD", "ROOM_USD", "RESETS"];

fn push(table: &mut Table, kind: &str, id: &str, mode: &str, periods: &[Period]) {
    for period in periods {
        table.push(vec![
            format!("{kind}:{id}"),
            mode.to_owned(),
            period.period.clone(),
            period.settled_usd.clone(),
            period.held_usd.clone(),
            cell(period.limit_usd.as_ref()),
            cell(period.room_usd.as_ref()),
            cell(period.resets_at.as_ref()),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(mode: &str, month: Option<&str>) -> Stored {
        Stored {
            until: None,
            then: None,
            shares: None,
            warnings: Vec::new(),
            kind: "user".into(),
            id: "u1".into(),
            version: "7".into(),
            mode: mode.into(),
            time_zone: "Europe/Berlin".into(),
            month_limit_usd: month.map(str::to_owned),
            day_limit_usd: Some("3".into()),
            total_limit_usd: None,
            alert_thresholds: vec![80],
            periods: vec![Period {
                period: "day".into(),
                limit_usd: Some("3".into()),
                settled_usd: "0.25".into(),
                held_usd: "0".into(),
                room_usd: Some("2.75".into()),
                resets_at: None,
                exceeded: false,
            }],
        }
    }

    #[test]
    fn what_is_not_named_stays_and_none_takes_away() {
        let change = BudgetChange {
            scope: "user:u1".into(),
            day: Some("none".into()),
            ..BudgetChange::default()
        };

        let body = changed(&stored("hard", Some("100")), change).unwrap();

        assert_eq!(body.month_limit_usd.as_deref(), Some("100"));
        assert_eq!(body.day_limit_usd, None);
        assert_eq!(body.mode.as_deref(), Some("hard"));
        assert_eq!(body.time_zone.as_deref(), Some("Europe/Berlin"));
        assert_eq!(body.alert_thresholds, Some(vec![80]));
    }

    #[test]
    fn a_first_limit_binds() {
        let mut fresh = stored("observe", None);
        fresh.day_limit_usd = None;
        let change = BudgetChange { month: Some("5".into()), ..BudgetChange::default() };

        assert_eq!(changed(&fresh, change).unwrap().mode.as_deref(), Some("hard"));
    }

    #[test]
    fn nothing_to_change_is_said() {
        assert!(changed(&stored("hard", None), BudgetChange::default()).is_err());
    }

    #[test]
    fn a_budget_shows_what_is_left() {
        let text = budget_text(&stored("hard", None));

        assert!(
            text.contains("user:u1  hard  day            0.25         0          3      2.75"),
            "{text}"
        );
        assert!(text.ends_with("time zone Europe/Berlin, alerts at: 80 %"), "{text}");
    }
}
