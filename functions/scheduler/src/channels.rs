//! The ways to those who are told: one file and one row each.

use farebox_aws::Aws;
use farebox_core::Timestamp;
use farebox_ledger::alert::{Channel, Told};
use futures_util::future::BoxFuture;

use crate::mail::Mail;
use crate::topic::Topic;
use crate::webhook::Webhook;

/// What every channel is given.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The same for every delivery of an alert: a receiver drops repeats by it.
    pub id: String,
    /// One line for a person: ASCII, at most 100 characters.
    pub subject: String,
    /// Lines for a person.
    pub text: String,
    /// JSON for a machine.
    pub body: String,
}

/// A channel that is set.
pub(crate) trait Deliver: Send + Sync {
    /// Tells once. The error says what went wrong and quotes nothing that is secret.
    fn deliver<'tell>(
        &'tell self,
        message: &'tell Message,
        now: Timestamp,
    ) -> BoxFuture<'tell, Result<(), String>>;
}

type Opened = Box<dyn Deliver>;
type Found = Result<Option<Opened>, String>;

struct Row {
    channel: Channel,
    /// `None` where the channel is not set; an error where it is and cannot be used.
    open: for<'open> fn(&'open Aws) -> BoxFuture<'open, Found>,
}

/// All of them. A further one is one more file and one more row.
const CHANNELS: [Row; 3] = [
    Row { channel: Channel::Webhook, open: |aws| Box::pin(Webhook::open(aws)) },
    Row { channel: Channel::Sns, open: |aws| Box::pin(async { Ok(Topic::open(aws)) }) },
    Row { channel: Channel::Ses, open: |aws| Box::pin(async { Ok(Mail::open(aws)) }) },
];

/// The channels that are set. One that cannot be used is among them with its reason: alerts wait
/// for it, and the others tell.
pub(crate) struct Open(Vec<(Channel, Result<Opened, String>)>);

impl Open {
    /// Opens every channel that is set.
    pub(crate) async fn all(aws: &Aws) -> Self {
        let mut open = Vec::new();
        for row in &CHANNELS {
            match (row.open)(aws).await {
                Ok(None) => {}
                Ok(Some(channel)) => open.push((row.channel, Ok(channel))),
                Err(cause) => open.push((row.channel, Err(cause))),
            }
        }
        Self(open)
    }

    /// Whether none is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells one channel after the other, but for those that `is_told` names.
    pub(crate) async fn tell(
        &self,
        message: &Message,
        is_told: impl Fn(Channel) -> bool,
        now: Timestamp,
    ) -> Vec<Told> {
        let mut results = Vec::new();
        for (channel, open) in self.0.iter().filter(|(channel, _)| !is_told(*channel)) {
            let result = match open {
                Ok(open) => open.deliver(message, now).await,
                Err(cause) => Err(cause.clone()),
            };
            results.push((*channel, result));
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_its_row() {
        let rows: Vec<_> = CHANNELS.iter().map(|row| row.channel).collect();

        assert_eq!(rows, Channel::ALL);
    }
}
