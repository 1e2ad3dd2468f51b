//! What a record calls for: thresholds that its budgets have reached, and what its operator is
//! to be told.

use farebox_aws::Alerts;
use farebox_core::{CallRecord, Day, Money, Scope};
use farebox_ledger::Budget;
use farebox_ledger::alert::{Alert, Fault, Notice, reached, refused};

use crate::{Budgets, Failure};

/// Puts the alerts that the budgets of a record call for.
pub(crate) async fn put(
    alerts: &Alerts,
    record: &CallRecord,
    budgets: &Budgets,
) -> Result<(), Failure> {
    // A share has no limit that is anybody's but its budget's.
    for scope in crate::scopes(record).into_iter().filter(|scope| scope.share.is_none()) {
        let Some(budget) = budgets.get(&scope).and_then(Option::as_ref) else { continue };
        alerts.put(&scope, due(record, &scope, budget)).await?;
    }
    Ok(())
}

/// Tells the operator of a price that is wrong or missing.
pub(crate) async fn notify(alerts: &Alerts, record: &CallRecord) -> Result<(), Failure> {
    for notice in notices(record) {
        alerts.notify(&notice).await?;
    }
    Ok(())
}

fn notices(record: &CallRecord) -> Vec<Notice> {
    let (Some(provider), Some(model)) = (&record.provider, &record.model) else {
        return Vec::new();
    };
    let ours = record.cost.map(|cost| cost.total);
    let differs = |theirs| ours.map_or_else(|| record.is_stated(), |ours| ours != theirs);
    let differs = record.provider_cost.is_some_and(differs);
    let faults = [
        (record.overrun, Fault::Overrun),
        (record.unpriced, Fault::Unpriced),
        (differs, Fault::CostDiffers),
    ];
    let met = faults.into_iter().filter(|(is_met, _)| *is_met);
    met.map(|(_, fault)| Notice {
        request_id: Some(record.request_id.to_string()),
        hold: record.hold,
        charged: record.charged(),
        ..Notice::new(fault, format!("{provider}/{model}"), record.started_at)
    })
    .collect()
}

/// By level, not by crossing: so it does not matter which record sees it first.
fn due(record: &CallRecord, scope: &Scope, budget: &Budget) -> Vec<Alert> {
    let part = record.parts.iter().find(|part| part.scope.whole() == *scope);
    let day = part.and_then(|part| Day::from_number(part.day).ok());
    let day = day.unwrap_or_else(|| budget.terms.settings.zone.day(record.started_at));
    let mut alerts = reached(budget, day);
    if record.error_code.as_deref() == Some("budget_exceeded") {
        let needed = record.hold.unwrap_or(Money::ONE_PICO);
        alerts.extend(refused(budget, day, needed));
    }
    alerts
}

#[cfg(test)]
mod tests {
    use farebox_core::{Cost, Outcome};
    use farebox_ledger::Attr;

    use super::*;
    use crate::repair::tests::{budget, record};

    fn names(record: &CallRecord) -> Vec<String> {
        let spent = budget(&[
            ("th", Attr::S("50,80".to_owned())),
            ("lm", Attr::N(10)),
            ("mc_202611", Attr::N(8)),
            ("ms_202611", Attr::N(8)),
        ]);
        let due = due(record, &"user:u1".parse().unwrap(), &spent);
        due.iter().map(|alert| alert.name.to_string()).collect()
    }

    #[test]
    fn every_threshold_below_the_level_is_due() {
        assert_eq!(names(&record()), ["M#202611#50#3", "M#202611#80#3"]);
    }

    #[test]
    fn a_refusal_for_want_of_money_is_due_too() {
        let mut refused = record();
        refused.error_code = Some("budget_exceeded".to_owned());
        refused.hold = Some(Money::from_pico(3).unwrap());

        assert_eq!(names(&refused).last().map(String::as_str), Some("M#202611#R#3"));
    }

    #[test]
    fn a_wrong_and_a_missing_price_are_the_operators() {
        let mut wrong = CallRecord {
            provider: Some("openai".to_owned()),
            model: Some("gpt-5".to_owned()),
            ..record()
        };
        assert!(notices(&wrong).is_empty());
        wrong.overrun = true;
        wrong.unpriced = true;

        let told = notices(&wrong);

        let faults: Vec<_> = told.iter().map(|notice| notice.fault).collect();
        assert_eq!(faults, [Fault::Overrun, Fault::Unpriced]);
        assert_eq!(told[0].subject, "openai/gpt-5");
        assert_eq!(told[0].charged, Some(Money::parse_usd("1").unwrap()));
    }

    #[test]
    fn another_cost_than_ours_is_the_operators_and_the_same_is_nobodys() {
        let usd = |text: &str| Money::parse_usd(text).unwrap();
        let cost =
            Cost { input: usd("0.5"), output: usd("0.5"), fees: Money::ZERO, total: usd("1") };
        let stated = |theirs: Option<&str>| CallRecord {
            provider: Some("openrouter".to_owned()),
            model: Some("x".to_owned()),
            cost: Some(cost),
            provider_cost: theirs.map(usd),
            ..record()
        };
        let faults = |theirs| -> Vec<Fault> {
            notices(&stated(theirs)).iter().map(|notice| notice.fault).collect()
        };

        assert_eq!(faults(Some("1.000000000001")), [Fault::CostDiffers]);
        assert_eq!(faults(Some("0.9")), [Fault::CostDiffers]);
        assert_eq!(faults(Some("1")), []);
        assert_eq!(faults(None), []);
        // A statement is charged where ours is not known: a price is missing. The hold is not.
        let unknown = CallRecord { cost: None, ..stated(Some("1")) };
        assert_eq!(notices(&unknown)[0].fault, Fault::CostDiffers);
        let held = CallRecord { outcome: Outcome::Worst, ..unknown };
        assert!(notices(&held).is_empty());
    }
}
