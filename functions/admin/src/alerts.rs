//! The thresholds that were reached.

use farebox_api::{
    Alert, AlertChannel, AlertList, Channel, ChannelList, OperatorAlert, OperatorAlertList,
    PostTestAlert,
};
use farebox_aws::control::Fits;
use farebox_aws::{AlertItem, NoticeItem};
use farebox_core::{Error, Scope};
use farebox_ledger::alert::{self, Delivery, Notice};
use farebox_ledger::{Period, Threshold};

use crate::Gate;
use crate::call::Call;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// `GET /admin/v1/alerts`: of all scopes, or of one with `?scope=`.
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    if call.query("scope").is_some() {
        let scope: Scope = call.parsed_query("scope", "user:ID")?;
        return page(gate, call, &scope).await;
    }
    let directory = gate.control.directory();
    let (alerts, next_cursor) = directory.all_alerts(call.limit()?, call.cursor()).await?;
    Answer::ok(&AlertList { alerts: alerts.iter().map(alert).collect(), next_cursor })
}

/// A page of a scope's alerts.
pub(crate) async fn page(gate: &Gate, call: &Call, scope: &Scope) -> Result<Answer, Refusal> {
    let directory = gate.control.directory();
    let (alerts, next_cursor) = directory.alerts_page(scope, call.limit()?, call.cursor()).await?;
    Answer::ok(&AlertList { alerts: alerts.iter().map(alert).collect(), next_cursor })
}

/// `POST /admin/v1/alerts/test {scope}`: an alert that tells nothing, by the road of all others.
pub async fn test(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let body: PostTestAlert = call.body()?;
    let rule = "is whose alert it is, such as user:ID";
    let scope: Scope = body.scope.parse().map_err(|_| Error::malformed("scope", rule))?;
    if gate.control.budget(&scope).await?.is_none() {
        return Err(Error::malformed("scope", "has no budget, so it has no alerts").into());
    }
    if set(gate).await?.is_empty() {
        let rule =
            "is not set, so alerts go nowhere: PUT /admin/v1/webhook, or deploy with a topic";
        return Err(Error::malformed("webhook", rule).into());
    }
    let item = gate.control.put_test_alert(&scope, call.seed()?).await?;
    Answer::created(&alert(&item))
}

/// A kind, an hour, and a model's name of 200 or a scope's of 400.
const ID_BYTES_MAX: usize = 450;
/// What an alert to the operator can be asked for by.
const STATES: [&str; 2] = ["open", "acknowledged"];

/// `GET /admin/v1/alerts/operator?state=`
pub async fn operator(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let directory = gate.control.directory();
    let state = call.one_of("state", &STATES)?;
    let fits = |item: &NoticeItem| Some(state_of(item)) == state;
    let fits: Option<&Fits<'_, NoticeItem>> = if state.is_some() { Some(&fits) } else { None };
    let (notices, next_cursor) = directory.notices(call.limit()?, call.cursor(), fits).await?;
    Answer::ok(&OperatorAlertList { alerts: notices.iter().map(notice).collect(), next_cursor })
}

/// `GET /admin/v1/alerts/operator/{alert}`
pub async fn show_operator(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let item = gate.control.notice(&named(call)?).await?.ok_or_else(|| absent(call))?;
    Answer::thing(&notice(&item))
}

/// `DELETE /admin/v1/alerts/operator/{alert}`: it was looked at, and counts no more.
pub async fn acknowledge(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let item = gate.control.acknowledge_notice(&named(call)?, call.expected()).await?;
    Answer::thing(&notice(&item.ok_or_else(|| call.raced())?))
}

/// The alert that a path names.
fn named(call: &Call) -> Result<Notice, Error> {
    let rule = "is the id of an alert to the operator, such as overrun/20261124/openai/gpt-5";
    let id = call.parameter("alert");
    let named = Some(id).filter(|id| id.len() <= ID_BYTES_MAX);
    let named = named.and_then(|id| id.replacen('/', "#", 2).parse().ok());
    named.ok_or_else(|| Error::malformed("alert", rule))
}

fn state_of(item: &NoticeItem) -> &'static str {
    if item.acknowledged.is_some() { "acknowledged" } else { "open" }
}

/// `GET /admin/v1/alerts/channels`
pub async fn channels(gate: &Gate, _: &Call) -> Result<Answer, Refusal> {
    Answer::ok(&ChannelList { channels: set(gate).await? })
}

/// The channels that are set.
async fn set(gate: &Gate) -> Result<Vec<Channel>, Refusal> {
    let deployed = &gate.control.aws().config().channels;
    let webhook = gate.control.webhook().await?.map(|row| row.url);
    let mail = deployed.mail.as_ref();
    let mail = mail.map(|mail| format!("{} to {}", mail.sender, mail.recipients.join(", ")));
    let topic = deployed.topic.as_ref().map(|topic| topic.arn.clone());
    let targets = alert::Channel::ALL.into_iter().filter_map(|channel| {
        let target = match channel {
            alert::Channel::Webhook => webhook.clone(),
            alert::Channel::Sns => topic.clone(),
            alert::Channel::Ses => mail.clone(),
        };
        Some(Channel { channel: channel.name().to_owned(), target: target? })
    });
    Ok(targets.collect())
}

fn tried(delivery: &Delivery) -> Vec<AlertChannel> {
    let tried = alert::Channel::ALL.into_iter().filter_map(|channel| {
        let (told, error) = (delivery.told.get(&channel), delivery.failed.get(&channel));
        (told.is_some() || error.is_some()).then(|| AlertChannel {
            channel: channel.name().to_owned(),
            told_at: told.map(ToString::to_string),
            error: error.cloned(),
        })
    });
    tried.collect()
}

fn notice(item: &NoticeItem) -> OperatorAlert {
    let (notice, delivery) = (&item.notice, &item.delivery);
    let acknowledged = item.acknowledged.as_ref();
    OperatorAlert {
        id: notice.sk().replacen('#', "/", 2),
        kind: notice.fault.kind().to_owned(),
        subject: notice.subject.clone(),
        since: notice.span.to_string(),
        request_id: notice.request_id.clone(),
        hold_usd: notice.hold.map(|amount| amount.to_string()),
        charged_usd: notice.charged.map(|amount| amount.to_string()),
        count: notice.count,
        sent_at: delivery.sent_at.map(|at| at.to_string()),
        channels: tried(delivery),
        acknowledged_at: acknowledged.map(|one| one.at.to_string()),
        acknowledged_by: acknowledged.map(|one| one.by.clone()),
        version: item.version().to_string(),
    }
}

fn alert(item: &AlertItem) -> Alert {
    Alert {
        scope: item.scope.to_string(),
        created_at: item.found_at.to_string(),
        kind: item.threshold.kind().to_owned(),
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
        sent_at: item.delivery.sent_at.map(|at| at.to_string()),
        channels: tried(&item.delivery),
    }
}
