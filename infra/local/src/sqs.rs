//! SQS: standard queues behind the AWS JSON 1.0 protocol, reached by the real SDK over HTTP.
//!
//! What is kept to: visibility timeouts, delays, long polling, receive counts, receipts that go
//! stale, and the move to a dead-letter queue. What is left out: FIFO queues, retention (nothing
//! expires) and the MD5 fields, which the SDK reads only where they are present.

mod journal;
pub mod queue;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::aws_json::{Answer, Fields, ServiceError};
use crate::clock::{request_id, wall_ms};
use crate::error::Error;
use journal::{Entry, Journal};
use queue::{Depth, Message, Queue, Redrive, Sent, Settings};

/// The account that everything here belongs to.
pub const ACCOUNT: &str = "000000000000";
/// SQS's own limit of a body, and of a batch in sum.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// SQS's own limit of a batch.
const BATCH_MAX: usize = 10;
/// SQS's own limit of a long poll.
const WAIT_SECONDS_MAX: i64 = 20;

/// All queues. Clones share them.
#[derive(Debug, Clone)]
pub struct Sqs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    changed: Notify,
    origin: String,
}

#[derive(Debug)]
struct Store {
    queues: BTreeMap<String, (Map<String, Value>, Queue)>,
    journal: Option<Journal>,
}

impl Sqs {
    /// Opens the queues kept in `file`, or none in memory; their URLs start with `origin`.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Unreadable`].
    pub fn open(origin: String, file: Option<&Path>) -> Result<Self, Error> {
        let mut store = Store { queues: BTreeMap::new(), journal: None };
        if let Some(path) = file {
            for entry in Journal::read(path)? {
                store.replay(entry);
            }
            store.journal = Some(Journal::rewrite(path, &store.live())?);
        }
        let shared = Shared { store: Mutex::new(store), changed: Notify::new(), origin };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The URL of a queue.
    #[must_use]
    pub fn url(&self, queue: &str) -> String {
        format!("{}/{ACCOUNT}/{queue}", self.shared.origin)
    }

    /// Runs one operation of the service.
    ///
    /// # Errors
    /// The error as SQS names it.
    pub async fn call(&self, operation: &str, request: &Map<String, Value>) -> Answer {
        let fields = Fields(request);
        match operation {
            "CreateQueue" => self.create(&fields),
            "GetQueueUrl" => self.queue_url(&fields),
            "GetQueueAttributes" => self.attributes(&fields),
            "SendMessage" => self.send(&fields),
            "SendMessageBatch" => self.send_batch(&fields),
            "ReceiveMessage" => self.receive_message(&fields).await,
            "DeleteMessage" => self.delete(&fields),
            "DeleteMessageBatch" => self.delete_batch(&fields),
            "ChangeMessageVisibility" => self.change_visibility(&fields),
            "PurgeQueue" => self.purge(&fields),
            other => Err(ServiceError::refused(
                "InvalidAction",
                format!("{other} is not part of the local SQS."),
            )),
        }
    }

    /// Receives up to `messages_max`, waiting up to `wait` for the first.
    ///
    /// # Errors
    /// `QueueDoesNotExist`, or that the journal could not be written.
    pub async fn receive(
        &self,
        queue: &str,
        messages_max: usize,
        visibility_ms: Option<i64>,
        wait: Duration,
    ) -> Result<Vec<Message>, ServiceError> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a message sent after it wakes this poll.
            changed.as_mut().enable();
            let next_visible_ms = {
                let mut store = self.store();
                let received = store.receive(queue, messages_max, visibility_ms)?;
                if !received.is_empty() || tokio::time::Instant::now() >= deadline {
                    return Ok(received);
                }
                store.queue(queue)?.next_visible_ms()
            };
            let wake = next_visible_ms.map_or(deadline, |at_ms| {
                let hidden_ms = u64::try_from(at_ms.saturating_sub(wall_ms())).unwrap_or(0).max(1);
                deadline.min(tokio::time::Instant::now() + Duration::from_millis(hidden_ms))
            });
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Deletes by receipt; a stale one is no error.
    ///
    /// # Errors
    /// `QueueDoesNotExist`, or that the journal could not be written.
    pub fn delete_receipt(&self, queue: &str, receipt: &str) -> Result<(), ServiceError> {
        self.store().delete(queue, receipt)
    }

    /// How many messages the queue holds.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn depth(&self, queue: &str) -> Result<Depth, ServiceError> {
        Ok(self.store().queue(queue)?.depth(wall_ms()))
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, fields: &Fields<'_>) -> Answer {
        let name = fields.text("QueueName")?.to_owned();
        let attributes = fields.0.get("Attributes").and_then(Value::as_object);
        let attributes = attributes.cloned().unwrap_or_default();
        let mut store = self.store();
        // Created again with other attributes, SQS refuses; here the stack's own start sets them
        // anew.
        store.append(&[Entry::Create { queue: name.clone(), attributes: attributes.clone() }])?;
        store.create(name.clone(), attributes);
        Ok(json!({ "QueueUrl": self.url(&name) }))
    }

    fn queue_url(&self, fields: &Fields<'_>) -> Answer {
        let name = fields.text("QueueName")?;
        self.store().queue(name)?;
        Ok(json!({ "QueueUrl": self.url(name) }))
    }

    fn attributes(&self, fields: &Fields<'_>) -> Answer {
        let name = queue_name(fields)?;
        let mut store = self.store();
        let depth = store.queue(name)?.depth(wall_ms());
        let (created_with, queue) = store.entry(name)?;
        let seconds = |ms: i64| (ms / 1_000).to_string();
        let mut all = created_with.clone();
        all.insert("QueueArn".into(), json!(arn(name)));
        all.insert("VisibilityTimeout".into(), json!(seconds(queue.settings.visibility_ms)));
        all.insert("DelaySeconds".into(), json!(seconds(queue.settings.delay_ms)));
        all.insert("ApproximateNumberOfMessages".into(), json!(depth.visible.to_string()));
        let in_flight = depth.in_flight.to_string();
        all.insert("ApproximateNumberOfMessagesNotVisible".into(), json!(in_flight));
        let delayed = depth.delayed.to_string();
        all.insert("ApproximateNumberOfMessagesDelayed".into(), json!(delayed));
        all.retain(|attribute, _| fields.names("AttributeNames", attribute));
        Ok(json!({ "Attributes": all }))
    }

    fn send(&self, fields: &Fields<'_>) -> Answer {
        let name = queue_name(fields)?;
        let (message, delay_ms) = message_of(fields)?;
        let id = message.id.clone();
        self.store().send(name, vec![(message, delay_ms)])?;
        self.shared.changed.notify_waiters();
        Ok(json!({ "MessageId": id }))
    }

    fn send_batch(&self, fields: &Fields<'_>) -> Answer {
        let name = queue_name(fields)?;
        let entries = batch(fields)?;
        let mut messages = Vec::new();
        let mut successful = Vec::new();
        let mut bytes = 0_usize;
        for entry in entries {
            let (message, delay_ms) = message_of(&entry)?;
            bytes = bytes.saturating_add(message.body.len());
            successful.push(json!({ "Id": entry.text("Id")?, "MessageId": message.id }));
            messages.push((message, delay_ms));
        }
        if bytes > MESSAGE_BYTES_MAX {
            let message =
                format!("Batch requests cannot be longer than {MESSAGE_BYTES_MAX} bytes.");
            return Err(ServiceError {
                query_code: Some("AWS.SimpleQueueService.BatchRequestTooLong"),
                ..ServiceError::refused("BatchRequestTooLong", message)
            });
        }
        self.store().send(name, messages)?;
        self.shared.changed.notify_waiters();
        Ok(json!({ "Successful": successful, "Failed": [] }))
    }

    async fn receive_message(&self, fields: &Fields<'_>) -> Answer {
        let name = queue_name(fields)?;
        let messages_max = fields.number("MaxNumberOfMessages").unwrap_or(1).clamp(1, 10);
        let wait_seconds = fields.number("WaitTimeSeconds").unwrap_or(0);
        let wait_seconds = u64::try_from(wait_seconds.clamp(0, WAIT_SECONDS_MAX)).unwrap_or(0);
        let visibility_ms = fields.number("VisibilityTimeout").map(|s| s.saturating_mul(1_000));
        let messages_max = usize::try_from(messages_max).unwrap_or(1);
        let wait = Duration::from_secs(wait_seconds);

        let received = self.receive(name, messages_max, visibility_ms, wait).await?;

        if received.is_empty() {
            return Ok(json!({}));
        }
        let messages: Vec<_> = received.iter().map(|message| wire(message, fields)).collect();
        Ok(json!({ "Messages": messages }))
    }

    fn delete(&self, fields: &Fields<'_>) -> Answer {
        self.delete_receipt(queue_name(fields)?, fields.text("ReceiptHandle")?)?;
        Ok(json!({}))
    }

    fn delete_batch(&self, fields: &Fields<'_>) -> Answer {
        let name = queue_name(fields)?;
        let mut successful = Vec::new();
        for entry in batch(fields)? {
            self.delete_receipt(name, entry.text("ReceiptHandle")?)?;
            successful.push(json!({ "Id": entry.text("Id")? }));
        }
        Ok(json!({ "Successful": successful, "Failed": [] }))
    }

    fn change_visibility(&self, fields: &Fields<'_>) -> Answer {
        let name = queue_name(fields)?;
        let receipt = fields.text("ReceiptHandle")?;
        let seconds = fields.number("VisibilityTimeout").unwrap_or(0).clamp(0, 43_200);
        let visibility_ms = seconds.saturating_mul(1_000);
        if !self.store().queue(name)?.change_visibility(receipt, visibility_ms, wall_ms()) {
            return Err(ServiceError {
                query_code: Some("AWS.SimpleQueueService.MessageNotInflight"),
                ..ServiceError::refused("MessageNotInflight", "The message is not in flight.")
            });
        }
        self.shared.changed.notify_waiters();
        Ok(json!({}))
    }

    fn purge(&self, fields: &Fields<'_>) -> Answer {
        let name = queue_name(fields)?;
        let mut store = self.store();
        store.queue(name)?;
        store.append(&[Entry::Purge { queue: name.to_owned() }])?;
        store.queue(name)?.purge();
        Ok(json!({}))
    }
}

impl Store {
    fn entry(&mut self, name: &str) -> Result<&mut (Map<String, Value>, Queue), ServiceError> {
        self.queues.get_mut(name).ok_or_else(|| ServiceError {
            query_code: Some("AWS.SimpleQueueService.NonExistentQueue"),
            ..ServiceError::refused("QueueDoesNotExist", "The specified queue does not exist.")
        })
    }

    fn queue(&mut self, name: &str) -> Result<&mut Queue, ServiceError> {
        self.entry(name).map(|(_, queue)| queue)
    }

    fn create(&mut self, name: String, attributes: Map<String, Value>) {
        let settings = settings_of(&attributes);
        if let Some((created_with, queue)) = self.queues.get_mut(&name) {
            *created_with = attributes;
            queue.settings = settings;
        } else {
            self.queues.insert(name, (attributes, Queue::new(settings)));
        }
    }

    fn send(&mut self, name: &str, messages: Vec<(Sent, Option<i64>)>) -> Result<(), ServiceError> {
        self.queue(name)?;
        let entry = |message: &Sent| Entry::Send { queue: name.into(), message: message.clone() };
        let entries: Vec<_> = messages.iter().map(|(message, _)| entry(message)).collect();
        self.append(&entries)?;
        let queue = self.queue(name)?;
        for (message, delay_ms) in messages {
            queue.send(message, delay_ms, wall_ms());
        }
        Ok(())
    }

    fn receive(
        &mut self,
        name: &str,
        messages_max: usize,
        visibility_ms: Option<i64>,
    ) -> Result<Vec<Message>, ServiceError> {
        let queue = self.queue(name)?;
        let (received, dead) = queue.receive(messages_max, visibility_ms, wall_ms());
        let target = queue.settings.redrive.as_ref().map(|redrive| redrive.queue.clone());
        for message in dead {
            // In this order a kill in between leaves the message twice, never lost.
            let id = message.id.clone();
            if let Some(target) = &target {
                self.send(target, vec![(message, Some(0))])?;
            }
            self.append(&[Entry::Delete { queue: name.into(), id }])?;
        }
        Ok(received)
    }

    fn delete(&mut self, name: &str, receipt: &str) -> Result<(), ServiceError> {
        if let Some(id) = self.queue(name)?.delete(receipt) {
            self.append(&[Entry::Delete { queue: name.into(), id }])?;
        }
        Ok(())
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), ServiceError> {
        let live: usize = self.queues.values().map(|(_, queue)| queue.live().count()).sum();
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let failed = |error: Error| ServiceError::failed("InternalError", error.to_string());
        if let Some(path) = journal.overgrown(live).map(Path::to_path_buf) {
            let fresh = Journal::rewrite(&path, &self.live()).map_err(failed)?;
            self.journal.insert(fresh).append(entries).map_err(failed)
        } else {
            journal.append(entries).map_err(failed)
        }
    }

    fn replay(&mut self, entry: Entry) {
        match entry {
            Entry::Create { queue, attributes } => self.create(queue, attributes),
            Entry::Send { queue, message } => {
                if let Ok(queue) = self.queue(&queue) {
                    queue.send(message, Some(0), 0);
                }
            }
            Entry::Delete { queue, id } => {
                if let Ok(queue) = self.queue(&queue) {
                    queue.forget(&id);
                }
            }
            Entry::Purge { queue } => {
                if let Ok(queue) = self.queue(&queue) {
                    queue.purge();
                }
            }
        }
    }

    fn live(&self) -> Vec<Entry> {
        let created = self.queues.iter().map(|(name, (attributes, _))| Entry::Create {
            queue: name.clone(),
            attributes: attributes.clone(),
        });
        let sent = self.queues.iter().flat_map(|(name, (_, queue))| {
            queue
                .live()
                .map(|message| Entry::Send { queue: name.clone(), message: message.clone() })
        });
        created.chain(sent).collect()
    }
}

/// The name of a queue as an ARN.
#[must_use]
pub fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}")
}

fn queue_name<'a>(fields: &Fields<'a>) -> Result<&'a str, ServiceError> {
    let url = fields.text("QueueUrl")?;
    Ok(url.rsplit_once('/').map_or(url, |(_, name)| name))
}

fn batch<'a>(fields: &Fields<'a>) -> Result<Vec<Fields<'a>>, ServiceError> {
    let entries: Vec<_> = fields.objects("Entries").collect();
    let refused = |kind, code, message: &str| {
        Err(ServiceError { query_code: Some(code), ..ServiceError::refused(kind, message) })
    };
    match entries.len() {
        0 => refused(
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.",
        ),
        1..=BATCH_MAX => Ok(entries),
        _ => refused(
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10.",
        ),
    }
}

fn message_of(fields: &Fields<'_>) -> Result<(Sent, Option<i64>), ServiceError> {
    let body = fields.text("MessageBody")?.to_owned();
    if body.is_empty() || body.len() > MESSAGE_BYTES_MAX {
        let message = format!("The body must have between 1 and {MESSAGE_BYTES_MAX} bytes.");
        return Err(ServiceError {
            query_code: Some("InvalidParameterValue"),
            ..ServiceError::refused("InvalidParameterValue", message)
        });
    }
    let attributes = fields.0.get("MessageAttributes").cloned().unwrap_or_default();
    let delay_ms = fields.number("DelaySeconds").map(|seconds| seconds.clamp(0, 900) * 1_000);
    Ok((Sent { id: request_id(), body, attributes, sent_ms: wall_ms() }, delay_ms))
}

fn settings_of(attributes: &Map<String, Value>) -> Settings {
    let seconds = |name: &str, default: i64| {
        let text = attributes.get(name).and_then(Value::as_str);
        text.and_then(|text| text.parse::<i64>().ok()).unwrap_or(default).saturating_mul(1_000)
    };
    let policy = attributes.get("RedrivePolicy").and_then(Value::as_str);
    let redrive = policy.and_then(|text| {
        let policy: Value = serde_json::from_str(text).ok()?;
        let target = policy.get("deadLetterTargetArn")?.as_str()?;
        // The console writes this number as text, most templates as a number.
        let receives_max = policy.get("maxReceiveCount")?;
        let as_text = receives_max.as_str().and_then(|text| text.parse().ok());
        let receives_max = receives_max.as_u64().or(as_text)?;
        Some(Redrive {
            queue: target.rsplit_once(':')?.1.to_owned(),
            receives_max: u32::try_from(receives_max).ok()?,
        })
    });
    let visibility_ms = seconds("VisibilityTimeout", 30);
    Settings { visibility_ms, delay_ms: seconds("DelaySeconds", 0), redrive }
}

/// The system attributes of a message, by their SQS names.
#[must_use]
pub fn system_attributes(message: &Message) -> Map<String, Value> {
    let first_ms = message.first_received_ms.unwrap_or_default();
    [
        ("ApproximateReceiveCount", message.receives.to_string()),
        ("SentTimestamp", message.sent.sent_ms.to_string()),
        ("SenderId", ACCOUNT.to_owned()),
        ("ApproximateFirstReceiveTimestamp", first_ms.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Value::String(value)))
    .collect()
}

fn wire(message: &Message, fields: &Fields<'_>) -> Value {
    let mut attributes = system_attributes(message);
    attributes.retain(|name, _| {
        fields.names("AttributeNames", name) || fields.names("MessageSystemAttributeNames", name)
    });
    let mut wire = json!({
        "MessageId": message.sent.id,
        "ReceiptHandle": message.receipt(),
        "Body": message.sent.body,
        "Attributes": attributes,
    });
    if let (Some(wire), Some(own)) = (wire.as_object_mut(), message.sent.attributes.as_object()) {
        let mut own = own.clone();
        own.retain(|name, _| fields.names("MessageAttributeNames", name));
        wire.insert("MessageAttributes".into(), Value::Object(own));
    }
    wire
}

#[cfg(test)]
#[path = "sqs/tests.rs"]
mod tests;
