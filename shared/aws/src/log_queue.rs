//! Call records to the logger, whatever happens.

use std::io::Write as _;

use farebox_core::{CallRecord, SETTLEMENT_LINE};
use farebox_ledger::update;

use crate::clients::Aws;
use crate::error::Error;
use crate::expression::{Store, again, classify};

/// The way out of a process for what it knows about a call.
pub struct LogQueue {
    aws: Aws,
}

impl LogQueue {
    /// The queue of a deployment.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { aws: aws.clone() }
    }

    /// Sends a record to the queue, else to the outbox, else to standard output as one line
    /// `farebox.settlement.v1`, which `farebox replay` sends again from the function's log.
    pub async fn send(&self, record: &CallRecord) {
        let body = match serde_json::to_string(record) {
            Ok(body) => body,
            Err(error) => {
                let rid = record.request_id;
                tracing::error!(metric = "record_lost", %rid, %error, "not serialisable");
                return;
            }
        };
        let Err(error) = self.send_text(&body).await else { return };
        tracing::warn!(metric = "queue_failed", rid = %record.request_id, %error, "to the outbox");
        // By the record's own identity: two attempts of one call are two records.
        let put = update::outbox_put(record.rid, &body, self.aws.now());
        let Err(error) = Store::patient(&self.aws).record(&put).await else { return };
        tracing::error!(metric = "outbox_failed", rid = %record.request_id, %error, "to the log");
        let line = format!("{{\"{SETTLEMENT_LINE}\":{body}}}\n");
        if let Err(error) = std::io::stdout().write_all(line.as_bytes()) {
            tracing::error!(metric = "record_lost", rid = %record.request_id, %error, "no output");
        }
    }

    /// How many messages wait in a queue of this deployment, and how many are in hand.
    ///
    /// # Errors
    /// [`Error`] after three attempts.
    pub async fn depth(&self, url: &str) -> Result<(u64, u64), Error> {
        use aws_sdk_sqs::types::QueueAttributeName as Name;
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesDelayed,
            Name::ApproximateNumberOfMessagesNotVisible,
        ];
        let answer = again("GetQueueAttributes", || async {
            let ask = self.aws.sqs().get_queue_attributes().queue_url(url);
            let ask = ask.set_attribute_names(Some(names.to_vec()));
            ask.send().await.map_err(|error| classify(&error))
        });
        let found = answer.await?.attributes.unwrap_or_default();
        let [waiting, delayed, in_flight] = names
            .map(|name| found.get(&name).and_then(|count| count.parse().ok()).unwrap_or_default());
        Ok((u64::saturating_add(waiting, delayed), in_flight))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`Error`] after three attempts; a message that arrived twice is harmless.
    pub async fn send_text(&self, body: &str) -> Result<(), Error> {
        let url = &self.aws.config().queue_url;
        if url.is_empty() {
            return Err(Error::NotConfigured { variable: "FAREBOX_QUEUE_URL" });
        }
        let sent = again("SendMessage", || async {
            let message = self.aws.sqs().send_message().queue_url(url).message_body(body);
            message.send().await.map(drop).map_err(|error| classify(&error))
        });
        sent.await
    }
}
