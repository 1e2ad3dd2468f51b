//! One queue as a value: every change takes the time as an argument.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// Name of the dead-letter queue.
    pub queue: String,
    /// Receives after which the next one moves the message instead.
    pub receives_max: u32,
}

/// What a queue was created with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a received message stays hidden.
    pub visibility_ms: i64,
    /// How long a sent message stays hidden.
    pub delay_ms: i64,
    /// The dead-letter queue, where there is one.
    pub redrive: Option<Redrive>,
}

/// A message as it was accepted: what must survive the end of the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// Its message id.
    pub id: String,
    /// Its body, as sent.
    pub body: String,
    /// Its message attributes in the wire form, or null.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub attributes: Value,
    /// When it was accepted, in milliseconds since 1970.
    pub sent_ms: i64,
}

/// A message and what has happened to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// As accepted.
    pub sent: Sent,
    /// How often it was received.
    pub receives: u32,
    /// When it was received first.
    pub first_received_ms: Option<i64>,
    /// From when it can be received.
    visible_at_ms: i64,
}

impl Message {
    /// The handle of its latest receive; older ones no longer delete it.
    #[must_use]
    pub fn receipt(&self) -> String {
        format!("{}#{}", self.sent.id, self.receives)
    }
}

/// How many messages are in which condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Ready to be received.
    pub visible: usize,
    /// Received and neither deleted nor visible again.
    pub in_flight: usize,
    /// Sent with a delay that has not passed.
    pub delayed: usize,
}

impl Depth {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> usize {
        self.visible + self.in_flight + self.delayed
    }
}

/// A standard queue: at least once, in about the order of sending.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// What it was created with.
    pub settings: Settings,
    messages: BTreeMap<u64, Message>,
    sequence: u64,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings, messages: BTreeMap::new(), sequence: 0 }
    }

    /// Accepts a message; `delay_ms` overrides the queue's own delay.
    pub fn send(&mut self, sent: Sent, delay_ms: Option<i64>, now_ms: i64) {
        let visible_at_ms = now_ms.saturating_add(delay_ms.unwrap_or(self.settings.delay_ms));
        let message = Message { sent, receives: 0, first_received_ms: None, visible_at_ms };
        self.sequence = self.sequence.saturating_add(1);
        self.messages.insert(self.sequence, message);
    }

    /// Takes up to `messages_max` visible messages out of sight for `visibility_ms`. The second
    /// list has left the queue: those were received too often and belong to the dead-letter queue.
    pub fn receive(
        &mut self,
        messages_max: usize,
        visibility_ms: Option<i64>,
        now_ms: i64,
    ) -> (Vec<Message>, Vec<Sent>) {
        let hidden_until_ms =
            now_ms.saturating_add(visibility_ms.unwrap_or(self.settings.visibility_ms));
        let receives_max = self.settings.redrive.as_ref().map(|redrive| redrive.receives_max);
        let mut received = Vec::new();
        let mut dead = Vec::new();

        for (&sequence, message) in &mut self.messages {
            if received.len() == messages_max {
                break;
            }
            if message.visible_at_ms > now_ms {
                continue;
            }
            if receives_max.is_some_and(|max| message.receives >= max) {
                dead.push(sequence);
                continue;
            }
            message.receives = message.receives.saturating_add(1);
            message.first_received_ms.get_or_insert(now_ms);
            message.visible_at_ms = hidden_until_ms;
            received.push(message.clone());
        }

        let dead = dead
            .into_iter()
            .filter_map(|sequence| self.messages.remove(&sequence))
            .map(|message| message.sent)
            .collect();
        (received, dead)
    }

    /// Deletes the message with this receipt and returns its id. A receipt that a later receive has
    /// replaced deletes nothing, and says so by `None`.
    pub fn delete(&mut self, receipt: &str) -> Option<String> {
        let sequence = self.sequence_of(receipt)?;
        self.messages.remove(&sequence).map(|message| message.sent.id)
    }

    /// Deletes by message id: how a journal is replayed.
    pub fn forget(&mut self, id: &str) {
        self.messages.retain(|_, message| message.sent.id != id);
    }

    /// Makes a message visible `visibility_ms` from now; `false` where the receipt is not current
    /// or its visibility timeout has passed.
    pub fn change_visibility(&mut self, receipt: &str, visibility_ms: i64, now_ms: i64) -> bool {
        let found = self.sequence_of(receipt).and_then(|key| self.messages.get_mut(&key));
        match found {
            Some(message) if message.visible_at_ms > now_ms => {
                message.visible_at_ms = now_ms.saturating_add(visibility_ms);
                true
            }
            _ => false,
        }
    }

    /// Deletes everything.
    pub fn purge(&mut self) {
        self.messages.clear();
    }

    /// How many messages are in which condition.
    #[must_use]
    pub fn depth(&self, now_ms: i64) -> Depth {
        let mut depth = Depth::default();
        for message in self.messages.values() {
            match (message.visible_at_ms <= now_ms, message.receives) {
                (true, _) => depth.visible += 1,
                (false, 0) => depth.delayed += 1,
                (false, _) => depth.in_flight += 1,
            }
        }
        depth
    }

    /// The next time at which a hidden message becomes visible.
    #[must_use]
    pub fn next_visible_ms(&self) -> Option<i64> {
        self.messages.values().map(|message| message.visible_at_ms).min()
    }

    /// Every message that is still here, as it was accepted.
    pub fn live(&self) -> impl Iterator<Item = &Sent> {
        self.messages.values().map(|message| &message.sent)
    }

    fn sequence_of(&self, receipt: &str) -> Option<u64> {
        let (id, _) = receipt.rsplit_once('#')?;
        let (&sequence, _) = self
            .messages
            .iter()
            .find(|(_, message)| message.sent.id == id && message.receipt() == receipt)?;
        Some(sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        let redrive = Some(Redrive { queue: "dead".into(), receives_max: 2 });
        Queue::new(Settings { visibility_ms: 1_000, delay_ms: 0, redrive })
    }

    fn message(id: &str) -> Sent {
        Sent { id: id.into(), body: "{}".into(), attributes: Value::Null, sent_ms: 0 }
    }

    #[test]
    fn a_received_message_is_hidden_until_its_visibility_timeout() {
        let mut queue = queue();
        queue.send(message("a"), None, 0);

        assert_eq!(queue.receive(10, None, 0).0.len(), 1);
        assert_eq!(queue.receive(10, None, 999).0.len(), 0);
        let (again, _) = queue.receive(10, None, 1_000);

        assert_eq!(again[0].receives, 2);
        assert_eq!(again[0].first_received_ms, Some(0));
    }

    #[test]
    fn a_delayed_message_waits_and_is_counted_as_delayed() {
        let mut queue = queue();
        queue.send(message("a"), Some(2_000), 0);

        assert_eq!(queue.depth(0), Depth { delayed: 1, ..Depth::default() });
        assert_eq!(queue.receive(10, None, 1_999).0.len(), 0);
        assert_eq!(queue.receive(10, None, 2_000).0.len(), 1);
        assert_eq!(queue.depth(2_000), Depth { in_flight: 1, ..Depth::default() });
    }

    #[test]
    fn a_message_received_too_often_leaves_for_the_dead_letter_queue() {
        let mut queue = queue();
        queue.send(message("a"), None, 0);
        queue.receive(10, None, 0);
        queue.receive(10, None, 1_000);

        let (received, dead) = queue.receive(10, None, 2_000);

        assert!(received.is_empty());
        assert_eq!(dead, [message("a")]);
        assert_eq!(queue.depth(2_000).total(), 0);
    }

    #[test]
    fn only_the_latest_receipt_deletes() {
        let mut queue = queue();
        queue.send(message("a"), None, 0);
        let first = queue.receive(10, None, 0).0[0].receipt();
        let second = queue.receive(10, None, 1_000).0[0].receipt();

        assert_eq!(queue.delete(&first), None);
        assert_eq!(queue.delete(&second), Some("a".into()));
        assert_eq!(queue.delete(&second), None);
    }

    #[test]
    fn visibility_changes_only_while_the_message_is_in_flight() {
        let mut queue = queue();
        queue.send(message("a"), None, 0);
        let receipt = queue.receive(10, None, 0).0[0].receipt();

        assert!(queue.change_visibility(&receipt, 0, 10));
        assert!(!queue.change_visibility(&receipt, 0, 10));
        assert_eq!(queue.receive(10, None, 10).0.len(), 1);
    }

    #[test]
    fn a_batch_takes_the_oldest_and_no_more_than_asked() {
        let mut queue = queue();
        for id in ["a", "b", "c"] {
            queue.send(message(id), None, 0);
        }

        let (received, _) = queue.receive(2, None, 0);

        assert_eq!(received.iter().map(|m| m.sent.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }
}
