//! The thresholds that were reached.

use farebox_api::{Alert, AlertList};
use farebox_aws::AlertItem;
use farebox_core::Scope;
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

fn alert(item: &AlertItem) -> Alert {
    Alert {
        period: item.period.name().to_owned(),
        period_id: match item.period {
            Period::Month(month) => Some(month.to_string()),
            Period::Day(day) => Some(day.to_string()),
            Period::Total => None,
        },
        threshold: match item.threshold {
            Threshold::Percent(percent) => Some(percent),
            Threshold::Refused => None,
        },
        limit_version: item.version,
        spent_usd: item.spent.to_string(),
        limit_usd: item.limit.to_string(),
        sent_at: item.sent_at.map(|at| at.to_string()),
    }
}
