//! Alerts: to the owner's webhook, at least once each.

use farebox_aws::expression::{Store, item};
use farebox_aws::{Aws, random};
use farebox_core::Timestamp;
use farebox_ledger::alert::{Stored, Threshold, ack, alert_id, fail, lease};
use farebox_ledger::{Attr, Key, Period, Table, Update, Write};
use serde_json::{Value, json};

use crate::Failure;
use crate::due::due;
use crate::webhook::Webhook;

/// Tells every due alert.
pub(crate) async fn deliver(aws: &Aws, now: Timestamp) -> Result<(), Failure> {
    let due = due(aws, "AL#", now).await?;
    if due.is_empty() {
        return Ok(());
    }
    let Some(webhook) = Webhook::find(aws).await? else {
        for key in due {
            Store::patient(aws).record(&undeliverable(key)).await?;
        }
        return Ok(());
    };
    let mut failure = None;
    for key in due {
        if let Err(error) = deliver_one(aws, &webhook, &key, now).await {
            tracing::warn!(pk = key.pk, sk = key.sk, %error, "an alert was not delivered");
            failure = Some(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn deliver_one(
    aws: &Aws,
    webhook: &Webhook,
    key: &Key,
    now: Timestamp,
) -> Result<(), Failure> {
    let store = Store::patient(aws);
    let me = format!("{:032x}", random());
    // Once only: whether a repeat found its own lease could not be told.
    let leased = store.write(&lease(key.clone(), &me, now)).await;
    match leased.failure {
        None => {}
        Some(farebox_aws::expression::Failure::ConditionFailed) => return Ok(()),
        Some(failure) => return Err(failure.error("UpdateItem").into()),
    }
    let Some(found) = store.fetch(key).await? else { return Ok(()) };
    let malformed = |error: farebox_ledger::Error| farebox_aws::Error::Malformed {
        thing: format!("alert {}", key.sk),
        detail: error.to_string(),
    };
    let stored = Stored::parse(&item(found)).map_err(malformed)?;
    let id = alert_id(key);
    let body = body(&aws.config().tenant, key, &id, &stored).to_string();
    match webhook.post(&id, &body, now).await {
        Ok(()) => {
            tracing::info!(alert = id, "delivered");
            store.record(&ack(key.clone(), &me, now)).await?;
        }
        Err(cause) => {
            let tries = stored.tries;
            tracing::warn!(metric = "alert_failed", alert = id, tries, cause, "not delivered");
            store.record(&fail(key.clone(), &me, tries, now)).await?;
        }
    }
    Ok(())
}

/// Nobody is to be told: the alert stays, undelivered and visible, and leaves the index, so that
/// it is not met again every minute.
fn undeliverable(key: Key) -> Update {
    let name = |placeholder: &str, name: &str| (placeholder.to_owned(), name.to_owned());
    Update {
        key,
        write: Write::Update("REMOVE #due".to_owned()),
        condition: "st = :P AND attribute_exists(#due)".to_owned(),
        names: vec![name("#due", "due")],
        values: vec![(":P".to_owned(), Attr::S("P".to_owned()))],
    }
}

/// What the receiver reads. Money is a decimal text.
fn body(tenant: &str, key: &Key, id: &str, stored: &Stored) -> Value {
    let alert = stored.alert;
    let scope = key.pk.strip_prefix("AL#").and_then(|rest| rest.strip_prefix(tenant));
    let scope = scope.and_then(|rest| rest.strip_prefix('#')).unwrap_or_default();
    let (kind, threshold) = match alert.name.threshold {
        Threshold::Percent(percent) => ("budget.threshold", Some(percent)),
        Threshold::Refused => ("budget.refused", None),
        Threshold::Test => ("test", None),
    };
    let period_id = match alert.name.period {
        Period::Month(month) => Some(month.to_string()),
        Period::Day(day) => Some(day.to_string()),
        Period::Total => None,
    };
    json!({
        "id": id,
        "type": kind,
        "scope": scope,
        "period": alert.name.period.name(),
        "period_id": period_id,
        "threshold_percent": threshold,
        "limit_usd": alert.limit,
        "settled_usd": alert.spent,
        "limit_version": alert.name.version,
    })
}

impl Webhook {
    /// The webhook of the deployment, where its owner has set one.
    async fn find(aws: &Aws) -> Result<Option<Self>, Failure> {
        let pk = format!("E#{}", aws.config().tenant);
        let key = Key { table: Table::Main, pk, sk: "webhook".to_owned() };
        let Some(found) = Store::patient(aws).fetch(&key).await? else { return Ok(None) };
        let found = item(found);
        let Some(Attr::S(url)) = found.get("url") else { return Ok(None) };
        Self::new(aws, url).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use farebox_core::Money;
    use farebox_ledger::alert::Alert;

    use super::*;

    #[test]
    fn a_receiver_reads_whose_limit_and_how_far() {
        let pk = "AL#main#user:u1".to_owned();
        let key = Key { table: Table::Main, pk, sk: "M#202611#80#3".to_owned() };
        let usd = |text| Money::parse_usd(text).unwrap();
        let name = key.sk.parse().unwrap();
        let alert = Alert { name, spent: usd("8.5"), limit: usd("10") };
        let stored = Stored { alert, tries: 1, sent_at: None };

        let body = body("main", &key, "abc", &stored);

        assert_eq!(body["scope"], "user:u1");
        assert_eq!((&body["period"], &body["period_id"]), (&json!("month"), &json!("202611")));
        assert_eq!(body["threshold_percent"], 80);
        assert_eq!((&body["limit_usd"], &body["settled_usd"]), (&json!("10"), &json!("8.5")));
    }
}
