//! What AWS does between the functions: the event source from SQS to the logger, and the schedule.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use crate::clock::{Clock, request_id};
use crate::environments::{Environments, Failure};
use crate::function::Function;
use crate::sqs::queue::{Depth, Message};
use crate::sqs::{Sqs, arn, system_attributes};

/// The queue from chat to the logger.
pub const QUEUE: &str = "farebox-log";
/// Where a message goes that the logger refuses five times.
pub const DEAD_LETTERS: &str = "farebox-log-dead";
/// Messages in one event of the logger.
const BATCH: usize = 10;
/// Pollers of the event source; AWS starts with five.
const POLLERS: usize = 4;
/// A refused message comes again this soon. AWS waits for the visibility timeout; nobody at a
/// laptop wants to.
const AGAIN_S: i64 = 1;
const MINUTE: Duration = Duration::from_secs(60);
/// The longest that `drain` waits.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// The pump and the schedule.
pub struct Schedule {
    /// The functions.
    pub environments: Arc<Environments>,
    /// The queue.
    pub sqs: Sqs,
    /// Dates the schedule's events.
    pub clock: Clock,
    busy: AtomicUsize,
}

impl Schedule {
    /// Nothing runs yet.
    #[must_use]
    pub const fn new(environments: Arc<Environments>, sqs: Sqs, clock: Clock) -> Self {
        Self { environments, sqs, clock, busy: AtomicUsize::new(0) }
    }

    /// Starts the pollers and the minute.
    pub fn start(self: &Arc<Self>) {
        for _ in 0..POLLERS {
            tokio::spawn(Arc::clone(self).poll());
        }
        tokio::spawn(Arc::clone(self).minutes());
    }

    async fn poll(self: Arc<Self>) {
        loop {
            let Ok(messages) = self.sqs.receive(QUEUE, BATCH, None, MINUTE).await else { return };
            if messages.is_empty() {
                continue;
            }
            self.busy.fetch_add(1, Ordering::AcqRel);
            self.log(&messages).await;
            self.busy.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// One batch to the logger; what it does not report as failed is deleted.
    async fn log(&self, messages: &[Message]) {
        let records: Vec<Value> = messages.iter().map(record).collect();
        let event = json!({"Records": records});
        let failed = match self.invoke(Function::Logger, &event).await {
            Ok(answer) => failed_items(&answer),
            Err(_) => None,
        };
        for message in messages {
            let receipt = message.receipt();
            let is_failed = failed.as_ref().is_none_or(|failed| failed.contains(&message.sent.id));
            // Both fail only where the queue does not exist.
            let _ = if is_failed {
                let fields = json!({
                    "QueueUrl": self.sqs.url(QUEUE),
                    "ReceiptHandle": receipt,
                    "VisibilityTimeout": AGAIN_S,
                });
                let fields = fields.as_object().cloned().unwrap_or_default();
                self.sqs.call("ChangeMessageVisibility", &fields).await.map(drop)
            } else {
                self.sqs.delete_receipt(QUEUE, &receipt)
            };
        }
    }

    async fn minutes(self: Arc<Self>) {
        let mut minutes = tokio::time::interval(MINUTE);
        minutes.tick().await;
        loop {
            minutes.tick().await;
            let _ = self.run(&self.clock.now_rfc3339()).await;
        }
    }

    /// Runs the scheduler once, as if it were `time`.
    ///
    /// # Errors
    /// [`Failure`] of the function.
    pub async fn run(&self, time: &str) -> Result<Value, Failure> {
        let event = json!({
            "version": "0",
            "id": request_id(),
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": "000000000000",
            "time": time,
            "region": "us-east-1",
            "resources": ["arn:aws:scheduler:us-east-1:000000000000:schedule/default/minute"],
            "detail": {},
        });
        self.invoke(Function::Scheduler, &event).await
    }

    /// Waits until the queue is empty and the logger has nothing in hand; `false` after 30 s.
    pub async fn drain(&self) -> bool {
        let ends = tokio::time::Instant::now() + DRAIN_MAX;
        while tokio::time::Instant::now() < ends {
            let left = self.sqs.depth(QUEUE).map_or(0, Depth::total);
            if left == 0 && self.busy.load(Ordering::Acquire) == 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    async fn invoke(&self, function: Function, event: &Value) -> Result<Value, Failure> {
        let event = Bytes::from(event.to_string());
        let mut answer = self.environments.invoke(function, event).await?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.body.recv().await {
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map_err(|error| Failure::Failed(error.to_string()))
    }
}

fn record(message: &Message) -> Value {
    json!({
        "messageId": message.sent.id,
        "receiptHandle": message.receipt(),
        "body": message.sent.body,
        "attributes": system_attributes(message),
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": arn(QUEUE),
        "awsRegion": "us-east-1",
    })
}

/// `None`: the whole batch failed, as Lambda reads an answer that it does not understand.
fn failed_items(answer: &Value) -> Option<Vec<String>> {
    let Some(items) = answer.get("batchItemFailures") else {
        return Some(Vec::new()).filter(|_| answer.is_null() || answer.is_object());
    };
    let id = |item: &Value| item.get("itemIdentifier")?.as_str().map(str::to_owned);
    items.as_array()?.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_reported_is_failed() {
        let one = json!({"batchItemFailures": [{"itemIdentifier": "a"}]});

        assert_eq!(failed_items(&one), Some(vec!["a".to_owned()]));
        assert_eq!(failed_items(&json!({"batchItemFailures": []})), Some(Vec::new()));
        assert_eq!(failed_items(&Value::Null), Some(Vec::new()));
        assert_eq!(failed_items(&json!({"batchItemFailures": [{"other": 1}]})), None);
    }
}
