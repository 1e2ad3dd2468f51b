//! The logger: a batch of call records from the queue becomes finished books and rows.
//!
//! For each record, in this order, so that a message that fails half-way is safe to see again:
//!
//! 1. read the budgets; what is still held is ended as the record decided (`repair`);
//! 2. thresholds that the budgets have reached become alerts (`alerts`);
//! 3. a price that a call has shown to be wrong is put under quarantine, and the operator told;
//! 4. the record becomes a row of `logs`, and moves the sums of usage, together with the others of
//!    its batch;
//! 5. key and credential get their time of last use (`last_used`).
//!
//! Every write is conditional, so records may come twice and in any order.

mod alerts;
mod last_used;
mod repair;

use std::collections::HashMap;

use farebox_aws::expression::Store;
use farebox_aws::{Alerts, Aws, Config, Ledger, LogWriter};
use farebox_core::{CallRecord, Correction, Decision, Money, Outcome, Scope, ScopeKind};
use farebox_ledger::{Budget, update};
use futures_util::future::join_all;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};

use last_used::LastUsed;

/// What an environment keeps between batches.
pub struct Logger {
    ledger: Ledger,
    rows: LogWriter,
    alerts: Alerts,
    last_used: LastUsed,
    aws: Aws,
}

/// A batch as SQS hands it to a function.
#[derive(Debug, Deserialize)]
pub struct Batch {
    /// The messages.
    #[serde(rename = "Records", default)]
    pub records: Vec<Message>,
}

/// One message.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// Its identity in a [`Failures`].
    #[serde(rename = "messageId")]
    pub message_id: String,
    /// The JSON of a [`CallRecord`].
    #[serde(default)]
    pub body: String,
}

/// The messages that the queue keeps (`ReportBatchItemFailures`).
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// One entry a message.
    #[serde(rename = "batchItemFailures")]
    pub items: Vec<Failed>,
}

/// One message that the queue keeps.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Its identity.
    #[serde(rename = "itemIdentifier")]
    pub message_id: String,
}

/// Why a record could not be finished now. The message comes back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("not a call record: {reason}")]
    Poison { reason: String },
    #[error(transparent)]
    Aws(#[from] farebox_aws::Error),
    #[error("{scope} is not ended: {cause}")]
    NotEnded { scope: Scope, cause: farebox_ledger::Cause },
}

/// The budgets of a batch.
type Budgets = HashMap<Scope, Option<Budget>>;

/// Runs the Lambda until its environment ends.
///
/// # Errors
/// Where the configuration is not complete or the Lambda runtime breaks.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    // A second call in one process (tests) finds the first subscriber in place.
    let _ = tracing_subscriber::fmt().json().with_ansi(false).try_init();
    let logger = Logger::new(&Aws::new(Config::from_env()?));
    let logger = &logger;
    let service = service_fn(move |event: LambdaEvent<Batch>| async move {
        Ok::<_, lambda_runtime::Error>(handle(logger, event.payload).await)
    });
    lambda_runtime::run(service).await
}

/// Finishes every record of a batch, each for itself.
pub async fn handle(logger: &Logger, batch: Batch) -> Failures {
    let read = |message: &Message| serde_json::from_str::<CallRecord>(&message.body);
    let records: Vec<_> = batch.records.iter().map(read).collect();
    let mut scopes: Vec<_> = records.iter().flatten().flat_map(scopes).collect();
    scopes.sort();
    scopes.dedup();
    let budgets = logger.budgets(&scopes).await;
    let finished = records.iter().map(async |record| match record {
        Err(error) => Err(Failure::Poison { reason: without_values(error) }),
        Ok(record) => Box::pin(logger.finish(record, budgets.as_ref().ok())).await,
    });
    let results = logger.write(join_all(finished).await).await;
    let failed = batch.records.iter().zip(&records).zip(results);
    let items = failed.filter_map(|((message, record), result)| {
        let error = result.err()?;
        let rid = record.as_ref().ok().map(|record| record.request_id.to_string());
        // The body stays in the queue, and in the dead-letter queue after five times.
        tracing::warn!(metric = "record_failed", rid, message_id = message.message_id, %error);
        Some(Failed { message_id: message.message_id.clone() })
    });
    Failures { items: items.collect() }
}

impl Logger {
    /// Takes the services; reads nothing yet.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self {
            ledger: Ledger::new(aws),
            rows: LogWriter::new(aws),
            alerts: Alerts::new(aws),
            last_used: LastUsed::new(aws),
            aws: aws.clone(),
        }
    }

    async fn budgets(&self, scopes: &[Scope]) -> Result<Budgets, farebox_aws::Error> {
        let found = self.ledger.find_budgets(scopes).await?;
        Ok(scopes.iter().cloned().zip(found).collect())
    }

    /// Finishes the books of a record; gives the rows that tell of it, its own first.
    async fn finish(
        &self,
        record: &CallRecord,
        shared: Option<&Budgets>,
    ) -> Result<Vec<CallRecord>, Failure> {
        // One unreadable budget must not keep back the calls of the others in its batch.
        let own;
        let budgets = match shared {
            Some(shared) => shared,
            None => {
                own = self.budgets(&scopes(record)).await?;
                &own
            }
        };
        let repaired = repair::finish(&self.ledger, record, budgets, self.aws.now()).await?;
        if repaired.is_changed {
            // What was ended now counts towards the thresholds now.
            let fresh = self.budgets(&scopes(record)).await?;
            alerts::put(&self.alerts, record, &fresh).await?;
        } else {
            alerts::put(&self.alerts, record, budgets).await?;
        }
        let mut rows = vec![record.clone()];
        if repaired.is_adjusted {
            rows.iter_mut().for_each(|row| row.outcome = Outcome::Adjusted);
            if record.rid != record.request_id {
                rows.extend(rows.first().map(superseded));
            }
        }
        self.quarantine(record).await?;
        alerts::notify(&self.alerts, record).await?;
        Ok(rows)
    }

    /// Writes the rows of what was finished, then when their keys were used.
    async fn write(
        &self,
        finished: Vec<Result<Vec<CallRecord>, Failure>>,
    ) -> Vec<Result<(), Failure>> {
        let rows: Vec<&CallRecord> = finished.iter().flatten().flatten().collect();
        let mut written = self.rows.put(&rows).await.into_iter();
        let mut results = Vec::new();
        for rows in finished {
            let rows = rows.map(|rows| {
                let of_this: Vec<_> = written.by_ref().take(rows.len()).collect();
                (rows, of_this.into_iter().collect::<Result<Vec<()>, _>>())
            });
            results.push(async {
                let (rows, written) = rows?;
                written?;
                // An admin's entry uses no key.
                let used = rows.first().filter(|row| row.outcome != Outcome::Correction);
                match used {
                    Some(row) => self.last_used.put(row).await,
                    None => Ok(()),
                }
            });
        }
        join_all(results).await
    }
}

/// The row of an attempt that was swept before the call's own record came, which names a later
/// attempt: its provisional charge is the truth in the call's row now, and is nothing here.
fn superseded(row: &CallRecord) -> CallRecord {
    let correction = Correction {
        of: Some(row.request_id),
        to: None,
        reason: "its charge stands in the row of the call".to_owned(),
    };
    CallRecord {
        request_id: row.rid,
        decision: Some(Decision::Settle(Money::ZERO)),
        cost: None,
        lines: Vec::new(),
        usage: None,
        correction: Some(correction),
        ..row.clone()
    }
}

impl Logger {
    /// A cost above its hold: the bound of the price is wrong for everybody (money.md 3.11).
    async fn quarantine(&self, record: &CallRecord) -> Result<(), Failure> {
        let (Some(provider), Some(model)) = (&record.provider, &record.model) else {
            return Ok(());
        };
        let (Some(hold), Some(cost)) = (record.hold, record.charged()) else { return Ok(()) };
        if !record.overrun {
            return Ok(());
        }
        let key = update::quarantine_key(&record.tenant, provider, model);
        let put = update::quarantine_put(key, record.request_id, hold, cost, self.aws.now());
        Store::patient(&self.aws).record(&put).await?;
        Ok(())
    }
}

/// Why a message is no record. What it says is not quoted: nobody knows what it is.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("invalid ") {
        Some(_) if error.is_data() => {
            format!("a field has a value that it cannot have, in column {}", error.column())
        }
        _ => text,
    }
}

/// The budgets that a record is about: those it counts to, with the shares that it is held in;
/// else its user's and its key's.
fn scopes(record: &CallRecord) -> Vec<Scope> {
    if !record.scopes.is_empty() {
        let shares = record.parts.iter().map(|part| &part.scope);
        let shares = shares.filter(|scope| scope.share.is_some());
        return record.scopes.iter().chain(shares).cloned().collect();
    }
    if record.parts.is_empty() {
        let user = Scope::new(ScopeKind::User, record.user.clone());
        return vec![user, Scope::new(ScopeKind::Key, record.key_id.clone())];
    }
    record.parts.iter().map(|part| part.scope.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logger() -> Logger {
        let config = Config::from_lookup(|variable| {
            Some(match variable {
                "AWS_REGION" => "eu-central-1".to_owned(),
                "AWS_ENDPOINT_URL_DYNAMODB" => "http://127.0.0.1:9".to_owned(),
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => "local".to_owned(),
                variable if variable.ends_with("_TABLE") => "local".to_owned(),
                _ => return None,
            })
        });
        Logger::new(&Aws::new(config.unwrap()))
    }

    #[tokio::test]
    async fn a_poisoned_message_is_reported_alone_and_by_its_own_id() {
        let batch = r#"{"Records":[{"messageId":"m1","body":"{}"},{"messageId":"m2"}]}"#;

        let failures = handle(&logger(), serde_json::from_str(batch).unwrap()).await;

        let told = serde_json::to_string(&failures).unwrap();
        let both = r#"{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m2"}]}"#;
        assert_eq!(told, both);
    }

    #[tokio::test]
    async fn an_empty_batch_has_no_failures() {
        let batch = serde_json::from_str("{}").unwrap();

        assert_eq!(handle(&logger(), batch).await, Failures::default());
    }
}
