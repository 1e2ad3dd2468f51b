//! Calls, alerts and the webhook.

use std::collections::BTreeSet;

use farebox_api::{
    Alert, AlertList, ChannelList, OperatorAlert, OperatorAlertList, PostTestAlert, PutWebhook,
    RequestList, RequestRow, SetWebhook,
};
use serde_json::Value;

use super::patience::{EVERY, Patience};
use super::removal::{Removal, remove};
use super::{filtered, path, table};
use crate::args::{Filter, Kind, Once, Requests, Told, Wanted, Webhook, Whose};
use crate::client::{Client, encoded};
use crate::clock::now;
use crate::failure::Failure;
use crate::print::{Output, Table, cell, out};
use crate::progress::Progress;

/// Pages that are asked for until enough calls are found.
const LOOKS: u32 = 50;
/// What is said where there may be more that fit.
const LOOKED_ENOUGH: &str =
    "\nThere may be more that fit, further back: --from and --to look at another time.";
/// Looks for a test alert: the scheduler delivers each minute.
const TEST_LOOKS: u32 = 60;
/// Rows that one look takes when following.
const FOLLOW_ROWS: u32 = 100;
/// How long before `tail -f` began a call can have come in that it still tells of: calls take a
/// quarter of an hour at most, and clocks differ.
const LATE_MS: i64 = 3_600_000;

/// `farebox requests …`
pub async fn requests(
    client: &Client,
    command: Requests,
    as_json: bool,
) -> Result<Output, Failure> {
    match command {
        Requests::Tail { whose, kind, count, follow: true } => {
            follow_from(client, &asked(whose, kind), count, as_json).await
        }
        Requests::Tail { whose, kind, count, follow: false } => {
            let mut query = vec![("limit", Some(count.to_string()))];
            query.extend(asked(whose, kind));
            let wanted = usize::try_from(count).unwrap_or_default();
            // Where nothing is looked for, the first page has them all.
            let is_filtered = query.iter().filter(|(_, value)| value.is_some()).count() > 1;
            let progress = is_filtered.then(|| Progress::of("calls found"));
            let found = found(client, &filtered("requests", &query), wanted, progress).await?;
            Ok(shown(&found, wanted))
        }
        Requests::List(wanted) => {
            let Wanted { whose, filter, count } = wanted;
            listed(client, "requests", whose, filter, count).await
        }
        Requests::Show { id } => {
            let answer = client.get(&path(&format!("requests/{}", encoded(&id)))).await?;
            let text = fields_text(&answer.body);
            Ok(Output::new(answer.body, text))
        }
    }
}

/// So many calls that fit, as a list of the API has them.
pub(super) async fn listed(
    client: &Client,
    place: &str,
    whose: Whose,
    filter: Filter,
    count: u32,
) -> Result<Output, Failure> {
    let mut query = vec![
        ("limit", Some(count.to_string())),
        ("from", filter.from.map(time)),
        ("to", filter.to.map(time)),
    ];
    query.extend(asked(whose, filter.kind));
    let query = filtered(place, &query);
    let count = usize::try_from(count).unwrap_or_default();
    let found = found(client, &query, count, Some(Progress::of("calls found"))).await?;
    Ok(shown(&found, count))
}

fn shown(found: &RequestList, count: usize) -> Output {
    let mut text = rows(&found.requests).with_head();
    if found.next_cursor.is_some() && found.requests.len() < count {
        text.push_str(LOOKED_ENOUGH);
    }
    Output::new(serde_json::to_value(found).unwrap_or_default(), text)
}

/// What the query says of whose calls, and of what kind, are looked for.
fn asked(whose: Whose, kind: Kind) -> [(&'static str, Option<String>); 9] {
    [
        ("label", kind.label.map(|label| label.replacen('=', ":", 1))),
        ("user", whose.user),
        ("org", whose.org),
        ("team", whose.team),
        ("key", kind.key),
        ("provider", kind.provider),
        ("model", kind.model),
        ("outcome", kind.outcome),
        ("error", kind.error),
    ]
}

/// So many rows that fit. A page has fewer where the gateway has looked at as much as it does for
/// one answer.
async fn found(
    client: &Client,
    query: &str,
    count: usize,
    progress: Option<Progress>,
) -> Result<RequestList, Failure> {
    let mut found: RequestList = client.get(query).await?.parse()?;
    for _ in 0..LOOKS {
        let next = match &found.next_cursor {
            Some(next) if found.requests.len() < count => next.clone(),
            _ => break,
        };
        let page = format!("{query}&cursor={}", encoded(&next));
        let page: RequestList = client.get(&page).await?.parse()?;
        progress.iter().for_each(|bar| bar.more(page.requests.len()));
        found.requests.extend(page.requests);
        found.next_cursor = page.next_cursor;
    }
    found.requests.truncate(count);
    Ok(found)
}

/// A day as the time at which it begins; all else as it is.
fn time(text: String) -> String {
    let is_day = text.len() == 10 && !text.contains('T');
    if is_day { format!("{text}T00:00:00Z") } else { text }
}

/// The least width of the columns when following, so that what comes later fits under the head:
/// time, request id, user, key, model, status, outcome, cost, time taken, address.
const FOLLOW_WIDTHS: [usize; 10] = [24, 26, 10, 10, 24, 19, 11, 12, 7, 15];

/// Prints the last rows, then new ones, until interrupted or until the API fails for long. The
/// first look ends it where it fails: then nothing was ever seen.
async fn follow_from(
    client: &Client,
    asked: &[(&str, Option<String>)],
    count: u32,
    as_json: bool,
) -> Result<Output, Failure> {
    let mut seen = BTreeSet::new();
    let mut query = vec![("limit", Some(FOLLOW_ROWS.to_string()))];
    query.extend_from_slice(asked);
    // As many as each later look takes: what is there before is no news.
    let mut fresh = news(client, &filtered("requests", &query), &mut seen, false).await?;
    // Who looks for few calls among many must not look at all of them every two seconds.
    if asked.iter().any(|(_, value)| value.is_some()) {
        query.push(("from", Some(now().plus_ms(-LATE_MS).to_string())));
    }
    let query = filtered("requests", &query);
    fresh.truncate(usize::try_from(count).unwrap_or_default());
    let first = rows(&fresh).at_least(&FOLLOW_WIDTHS);
    let widths = first.widths();
    if !as_json {
        out(&first.head());
    }
    let mut patience = Patience::default();
    loop {
        if as_json {
            for row in fresh.iter().rev() {
                out(&serde_json::to_string(row).unwrap_or_default());
            }
        } else {
            rows(&fresh).lines_under(&widths).iter().for_each(|line| out(line));
        }
        // Ids rise with time, so the smallest are the ones that no later look returns.
        while seen.len() > 10_000 {
            seen.pop_first();
        }
        tokio::time::sleep(EVERY).await;
        fresh = loop {
            let look = news(client, &query, &mut seen, true).await;
            if let Some(found) = patience.found(look).await? {
                break found;
            }
        };
    }
}

/// Rows that nobody has seen, the newest first; where a look may go on, as many pages of them as
/// came since the last one. Those of a look that fails half-way count as unseen: the next one has
/// them again, with those behind them.
async fn news(
    client: &Client,
    query: &str,
    seen: &mut BTreeSet<String>,
    goes_on: bool,
) -> Result<Vec<RequestRow>, Failure> {
    let (mut fresh, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: RequestList = client.get(&format!("{query}{cursor}")).await?.parse()?;
        let before = page.requests.len();
        let is_new = |row: &RequestRow| !seen.contains(&row.request_id);
        let new: Vec<_> = page.requests.into_iter().filter(is_new).collect();
        let is_all_new = new.len() == before;
        fresh.extend(new);
        match page.next_cursor {
            Some(next) if goes_on && is_all_new => cursor = format!("&cursor={}", encoded(&next)),
            _ => {
                seen.extend(fresh.iter().map(|row| row.request_id.clone()));
                return Ok(fresh);
            }
        }
    }
}

pub(super) fn rows(newest_first: &[RequestRow]) -> Table {
    let mut table = Table::new(&[
        "TIME",
        "REQUEST ID",
        "USER",
        "KEY",
        "MODEL",
        "STATUS",
        "OUTCOME",
        "COST_USD",
        "TIME_MS",
        "IP",
        "AGENT",
    ]);
    for row in newest_first.iter().rev() {
        let model = match (&row.provider, &row.model) {
            (Some(provider), Some(model)) => format!("{provider}/{model}"),
            _ => cell(row.model.as_ref()),
        };
        let status = match &row.error_code {
            Some(code) => format!("{} {code}", row.http_status),
            None => row.http_status.to_string(),
        };
        table.push(vec![
            row.started_at.clone(),
            row.request_id.clone(),
            row.user.clone(),
            row.key_id.clone(),
            model,
            status,
            row.outcome.clone(),
            cell(row.cost_usd.as_ref()),
            row.response_time_ms.to_string(),
            cell(row.ip.as_ref()),
            cell(row.user_agent.as_ref()),
        ]);
    }
    table
}

pub(super) fn fields_text(body: &Value) -> String {
    let mut table = Table::new(&["FIELD", "VALUE"]);
    for (name, value) in body.as_object().into_iter().flatten() {
        let shown = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        table.push(vec![name.clone(), shown]);
    }
    table.lines().join("\n")
}

/// `farebox alerts`, or `farebox alerts acknowledge ID`
pub async fn alerts(
    client: &Client,
    scope: Option<String>,
    command: Option<Told>,
) -> Result<Output, Failure> {
    if let Some(Told::Acknowledge { id }) = command {
        return acknowledge(client, &id).await;
    }
    if scope.as_deref() == Some("operator") {
        return operator_alerts(client).await;
    }
    let answer = client.all(&filtered("alerts", &[("scope", scope)]), "alerts").await?;
    let list: AlertList = answer.parse()?;
    Ok(Output::new(answer.body, alerts_text(&list)))
}

pub(super) fn alerts_text(list: &AlertList) -> String {
    let head = ["SCOPE", "PERIOD", "THRESHOLD", "SPENT_USD", "LIMIT_USD", "SENT"];
    table(&head, &list.alerts, |alert| {
        let which = alert.period_id.as_ref().map_or_else(String::new, |id| format!(" {id}"));
        vec![
            alert.scope.clone(),
            format!("{}{which}", alert.period),
            alert.threshold.map_or_else(|| "refused".to_owned(), |percent| format!("{percent} %")),
            alert.spent_usd.clone(),
            alert.limit_usd.clone(),
            cell(alert.sent_at.as_ref()),
        ]
    })
}

async fn acknowledge(client: &Client, id: &str) -> Result<Output, Failure> {
    let id: Vec<_> = id.split('/').map(encoded).collect();
    let path = path(&format!("alerts/operator/{}", id.join("/")));
    let base = client.there(&path, false).await?;
    let answer = client.delete(&path, &base).await?;
    let alert: OperatorAlert = answer.parse()?;
    let by = cell(alert.acknowledged_by.as_ref());
    let text = format!("{} of {} is acknowledged by {by}.", alert.kind, alert.subject);
    Ok(Output::new(answer.body, text))
}

async fn operator_alerts(client: &Client) -> Result<Output, Failure> {
    let answer = client.all(&path("alerts/operator"), "alerts").await?;
    let list: OperatorAlertList = answer.parse()?;
    let head = ["ID", "REQUEST", "HOLD_USD", "CHARGED_USD", "COUNT", "SENT", "ACKNOWLEDGED"];
    let text = table(&head, &list.alerts, |alert| {
        vec![
            alert.id.clone(),
            cell(alert.request_id.as_ref()),
            cell(alert.hold_usd.as_ref()),
            cell(alert.charged_usd.as_ref()),
            cell(alert.count.map(|count| count.to_string()).as_ref()),
            cell(alert.sent_at.as_ref()),
            cell(alert.acknowledged_at.as_ref()),
        ]
    });
    Ok(Output::new(answer.body, text))
}

/// `farebox webhook …`
pub async fn webhook(client: &Client, command: Webhook) -> Result<Output, Failure> {
    let path = path("webhook");
    match command {
        Webhook::Set { target: url, force } => {
            let base = client.base(&path, force.force).await?;
            let answer = client.put(&path, &PutWebhook { url }, &base).await?;
            let set: SetWebhook = answer.parse()?;
            let text = format!(
                "{}\n\nAlerts go to {}. The line above signs them and is shown this once.",
                set.secret, set.webhook.url
            );
            Ok(Output::new(answer.body, text))
        }
        Webhook::Show => {
            let answer = client.get(&self::path("alerts/channels")).await?;
            let list: ChannelList = answer.parse()?;
            let text = table(&["CHANNEL", "TARGET"], &list.channels, |one| {
                vec![one.channel.clone(), one.target.clone()]
            });
            Ok(Output::new(answer.body, text))
        }
        Webhook::Test { scope, once } => test(client, scope, &once).await,
        Webhook::Delete(force) => {
            let removal = Removal {
                path,
                question: "Send it no alerts any more?".to_owned(),
                done: "The webhook gets no alerts any more.".to_owned(),
                force: force.force,
            };
            let show = |hooks: &[Value]| {
                let url = |hook: &Value| hook.get("url").and_then(Value::as_str).map(str::to_owned);
                table(&["WEBHOOK"], hooks, |hook| vec![url(hook).unwrap_or_default()])
            };
            remove(client, removal, show).await
        }
    }
}

/// Posts a test alert and looks until it is delivered.
async fn test(client: &Client, scope: String, once: &Once) -> Result<Output, Failure> {
    let alerts = path(&format!("alerts?scope={}", encoded(&scope)));
    let body = PostTestAlert { scope };
    let sent: Alert = client.create(&path("alerts/test"), &body, None, once).await?.parse()?;
    for _ in 0..TEST_LOOKS {
        tokio::time::sleep(EVERY).await;
        let answer = client.get(&alerts).await?;
        let list: AlertList = answer.parse()?;
        let same = |one: &&Alert| one.kind == sent.kind && one.limit_version == sent.limit_version;
        let Some(found) = list.alerts.iter().find(same) else { continue };
        let failed =
            found.channels.iter().filter_map(|one| Some((&one.channel, one.error.as_ref()?)));
        if let Some((channel, error)) = failed.into_iter().next() {
            let hint = "`farebox webhook show` says where alerts go; the scheduler tries again";
            return Err(Failure::new(format!("{channel} did not take it: {error}"), hint));
        }
        if let Some(at) = &found.sent_at {
            let told: Vec<_> = found.channels.iter().map(|one| one.channel.as_str()).collect();
            let text = format!("Taken at {at} by: {}.", told.join(", "));
            return Ok(Output::new(answer.body, text));
        }
    }
    Err(Failure::new(
        "nobody has taken the test alert yet",
        "look for `alert_failed` in the log of the scheduler; it goes on trying",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_call_is_the_last_line() {
        let row = |id: &str| RequestRow { request_id: id.to_owned(), ..RequestRow::default() };

        let lines = rows(&[row("new"), row("old")]).lines();

        assert!(lines[0].contains("old") && lines[1].contains("new"), "{lines:?}");
    }

    #[test]
    fn a_refused_call_shows_its_code() {
        let row = RequestRow {
            http_status: 402,
            error_code: Some("budget_exceeded".into()),
            ..RequestRow::default()
        };

        assert!(rows(&[row]).with_head().contains("402 budget_exceeded"));
    }
}
