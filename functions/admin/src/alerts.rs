//! The thresholds that were reached.

use farebox_api::{Alert, AlertList, PostTestAlert};
use farebox_aws::AlertItem;
use farebox_core::{Error, Scope};
use farebox_ledger::{Period, Threshold};

use crate::Gate;
use crate::call::Call;
use crate::reply::{Answer, Refusal};

/// `GET /admin/v1/alerts?scope=`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let scope: Scope = call.parsed_query("scope", "user:ID")?;
    let alerts = gate.control.directory().alerts(&scope).await?;
    Answer::ok(&AlertList { alerts: alerts.iter().map(alert).collect() })
}

/// `POST /admin/v1/alerts/test {scope}`: an alert that tells nothing, by the road of all others.
pub async fn test(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: PostTestAlert = call.body()?;
    let rule = "is whose alert it is, such as user:ID";
    let scope: Scope = body.scope.parse().map_err(|_| Error::malformed("scope", rule))?;
    if gate.control.budget(&scope).await?.is_none() {
        return Err(Error::malformed("scope", "has no budget, so it has no alerts").into());
    }
    if gate.control.webhook().await?.is_none() {
        let rule = "is not set, so alerts go nowhere: PUT /admin/v1/webhook first";
        return Err(Error::malformed("webhook", rule).into());
    }
    let item = gate.control.put_test_alert(&scope).await?;
    Answer::created(&alert(&item))
}

fn alert(item: &AlertItem) -> Alert {
    Alert {
        kind: match item.threshold {
            Threshold::Percent(_) => "budget.threshold",
            Threshold::Refused => "budget.refused",
            Threshold::Test => "test",
        }
        .to_owned(),
        period: item.period.name().to_owned(),
        period_id: match item.period {
            Period::Month(month) => Some(month.to_string()),
            Period::Day(day) => Some(day.to_string()),
            Period::Total => None,
        },
        threshold: match item.threshold {
            Threshold::Percent(percent) => Some(percent),
            Threshold::Refused | Threshold::Test => None,
        },
        limit_version: item.version,
        spent_usd: item.spent.to_string(),
        limit_usd: item.limit.to_string(),
        sent_at: item.sent_at.map(|at| at.to_string()),
    }
}
