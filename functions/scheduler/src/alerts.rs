//! Alerts: on every channel that is set, at least once each.

use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};

use farebox_aws::expression::Store;
use farebox_aws::{Aws, Error};
use farebox_core::Timestamp;
use farebox_ledger::alert::{self, Delivery, Fault, Notice, Stored, Threshold};
use farebox_ledger::{Item, Key, Period};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::channels::{Message, Open};
use crate::due::{due, take};
use crate::{Failure, Scheduler};

/// SNS's limit of a subject.
const SUBJECT_MAX: usize = 100;
/// Alerts that are told at once: a receiver that hangs takes ten seconds of each.
const AT_ONCE: usize = 8;

/// Tells the due alerts, the oldest first; those that a run does not come to are the next one's.
pub(crate) async fn deliver(all: &Scheduler, now: Timestamp) -> Result<(), Failure> {
    let aws = &all.aws;
    let due = due(aws, "AL#", now).await?;
    if due.is_empty() {
        return Ok(());
    }
    let open = Open::all(aws).await;
    if open.is_empty() {
        for key in due {
            Store::patient(aws).record(&alert::undeliverable(key)).await?;
        }
        return Ok(());
    }
    let (open, failed, ends) = (&open, &AtomicUsize::new(0), Instant::now() + all.pace.due);
    let due = stream::iter(due).take_while(|_| ready(Instant::now() < ends));
    due.for_each_concurrent(AT_ONCE, |key| async move {
        if let Err(error) = deliver_one(aws, open, &key, now).await {
            tracing::warn!(pk = key.pk, sk = key.sk, %error, "an alert was not delivered");
            failed.fetch_add(1, Ordering::Relaxed);
        }
    })
    .await;
    match failed.load(Ordering::Relaxed) {
        0 => Ok(()),
        failed => Err(Failure::Undelivered(failed)),
    }
}

async fn deliver_one(aws: &Aws, open: &Open, key: &Key, now: Timestamp) -> Result<(), Failure> {
    let store = Store::patient(aws);
    let Some((me, found)) = take(&store, key, now).await? else { return Ok(()) };
    let malformed = |error: farebox_ledger::Error| Error::Malformed {
        thing: format!("alert {}", key.sk),
        detail: error.to_string(),
    };
    let delivery = Delivery::parse(&found).map_err(malformed)?;
    let message = message(&aws.config().tenant, key, &found).map_err(malformed)?;
    let told = open.tell(&message, |channel| delivery.told.contains_key(&channel), now).await;
    for (channel, result) in &told {
        let (alert, channel, tries) = (&message.id, channel.name(), delivery.tries);
        match result {
            Ok(()) => tracing::info!(alert, channel, "delivered"),
            Err(cause) => {
                tracing::warn!(metric = "alert_failed", alert, channel, tries, cause, "not told");
            }
        }
    }
    store.record(&alert::close(key.clone(), &me, &told, delivery.tries, now)).await?;
    Ok(())
}

/// What an alert item says.
fn message(tenant: &str, key: &Key, found: &Item) -> Result<Message, farebox_ledger::Error> {
    let id = alert::alert_id(key);
    let (subject, mut body) = if key.pk == alert::notices_key(tenant).pk {
        of_operator(&Notice::parse(found)?)
    } else {
        let scope = key.pk.strip_prefix("AL#").and_then(|rest| rest.strip_prefix(tenant));
        let scope = scope.and_then(|rest| rest.strip_prefix('#')).unwrap_or_default();
        of_budget(scope, &Stored::parse(found)?)
    };
    if let Some(body) = body.as_object_mut() {
        body.insert("id".to_owned(), json!(id));
    }
    let lines = body.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let lines = lines.map(|(name, value)| match value {
        Value::String(text) => format!("{name}: {text}\n"),
        other => format!("{name}: {other}\n"),
    });
    let text = format!("{subject}\n\n{}", lines.collect::<String>());
    // A model may have any name; a subject is ASCII.
    let plain = subject.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' });
    let subject = plain.take(SUBJECT_MAX).collect();
    Ok(Message { id, subject, text, body: body.to_string() })
}

/// The line for a person and what a machine reads. Money is a decimal text.
fn of_budget(scope: &str, stored: &Stored) -> (String, Value) {
    let alert = stored.alert;
    let period = alert.name.period.name();
    let subject = match alert.name.threshold {
        Threshold::Percent(percent) => {
            format!("Farebox: {scope} has spent {percent} % of its {period} limit")
        }
        Threshold::Refused => format!("Farebox: {scope} is refused, its {period} limit is spent"),
        Threshold::Test => format!("Farebox: a test alert of {scope}"),
    };
    let threshold = match alert.name.threshold {
        Threshold::Percent(percent) => Some(percent),
        Threshold::Refused | Threshold::Test => None,
    };
    let period_id = match alert.name.period {
        Period::Month(month) => Some(month.to_string()),
        Period::Day(day) => Some(day.to_string()),
        Period::Total => None,
    };
    let body = json!({
        "type": alert.name.threshold.kind(),
        "scope": scope,
        "period": period,
        "period_id": period_id,
        "threshold_percent": threshold,
        "limit_usd": alert.limit,
        "settled_usd": alert.spent,
        "limit_version": alert.name.version,
    });
    (subject, body)
}

fn of_operator(notice: &Notice) -> (String, Value) {
    let subject = &notice.subject;
    let line = match notice.fault {
        Fault::Overrun => format!("Farebox: a call of {subject} cost more than its hold"),
        Fault::Unpriced => format!("Farebox: {subject} counts what has no price"),
        Fault::CostDiffers => {
            format!("Farebox: {subject} is billed otherwise than its price says")
        }
        Fault::Provisional => format!("Farebox: calls of {subject} end unknown"),
    };
    let body = json!({
        "type": notice.fault.kind(),
        "subject": subject,
        "since": notice.span.to_string(),
        "request_id": notice.request_id,
        "hold_usd": notice.hold,
        "charged_usd": notice.charged,
        "count": notice.count,
    });
    (line, body)
}

#[cfg(test)]
mod tests {
    use farebox_core::Money;
    use farebox_ledger::alert::Alert;
    use farebox_ledger::{Owner, Write};

    use super::*;

    fn read(put: farebox_ledger::Update) -> (Message, Value) {
        let Write::Put(item) = put.write else { panic!("not a put") };
        let message = message("main", &put.key, &item).unwrap();
        let body = serde_json::from_str(&message.body).unwrap();
        (message, body)
    }

    #[test]
    fn a_receiver_reads_whose_limit_and_how_far() {
        let owner = Owner::new("main", "user:u1".parse().unwrap());
        let usd = |text| Money::parse_usd(text).unwrap();
        let name = "M#202611#80#3".parse().unwrap();
        let alert = Alert { name, spent: usd("8.5"), limit: usd("10") };

        let (message, body) = read(alert.put(&owner, Timestamp::from_ms(0)));

        assert_eq!(message.subject, "Farebox: user:u1 has spent 80 % of its month limit");
        assert!(message.text.contains("\nsettled_usd: 8.5\n"), "{}", message.text);
        assert_eq!((&body["scope"], &body["id"]), (&json!("user:u1"), &json!(message.id)));
        assert_eq!((&body["period"], &body["period_id"]), (&json!("month"), &json!("202611")));
        assert_eq!(body["threshold_percent"], 80);
        assert_eq!((&body["limit_usd"], &body["settled_usd"]), (&json!("10"), &json!("8.5")));
    }

    #[test]
    fn an_operator_reads_what_is_wrong_and_where_it_shows() {
        let now = Timestamp::parse("2026-11-24T16:00:00Z").unwrap();
        let subject = format!("openai/{}é", "x".repeat(200));
        let mut notice = Notice::new(Fault::Overrun, subject, now);
        notice.charged = Some(Money::parse_usd("0.5").unwrap());

        let (message, body) = read(notice.put("main", now));

        assert_eq!(message.subject.len(), SUBJECT_MAX);
        assert_eq!(
            (&body["type"], &body["since"]),
            (&json!("operator.overrun"), &json!("20261124"))
        );
        assert_eq!((&body["charged_usd"], &body["count"]), (&json!("0.5"), &Value::Null));
    }
}
