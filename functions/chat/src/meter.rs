//! Metering a stream whose call holds less than its worst case (mode balanced, money.md 3.1a).

use std::collections::{BTreeMap, HashMap};

use farebox_aws::Held;
use farebox_core::ChatEvent;
use farebox_core::pricing::Bound;
use serde_json::value::RawValue;

use crate::gate::Gate;
use crate::handle::Admitted;
use crate::plan::FIRST_TOKENS;

/// The finish reason of a choice that was ended because its budgets hold no more.
pub const CUT_REASON: &str = "length";
/// Tokens of a choice that its content does not show: marks of beginning, role and end.
const UNSEEN_TOKENS: u64 = 16;

/// Counts an upper bound of what a stream has used, and keeps it within what is confirmed.
pub struct Meter {
    /// Bytes of content so far, which bound its tokens.
    tokens: u64,
    /// Completion tokens that the confirmed hold pays for.
    allowed: u64,
    /// The cap that was sent, times the choices.
    most: u64,
    /// An extension is asked for when this many tokens have passed.
    ask_at: u64,
    /// Choices that are not finished yet.
    open: BTreeMap<u32, ()>,
}

/// Whether a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It does.
    On,
    /// It is at its end: no more is held for it.
    Cut,
}

impl Pass {
    /// Whether the stream is to be ended.
    #[must_use]
    pub const fn is_cut(self) -> bool {
        matches!(self, Self::Cut)
    }
}

impl Meter {
    /// A meter for a call that is metered.
    #[must_use]
    pub fn new(call: &Admitted, held: &Held) -> Option<Self> {
        let most = call.plan.bound.completion_tokens;
        let tokens = UNSEEN_TOKENS.saturating_mul(call.call.choices);
        let mut meter = Self { tokens, allowed: 0, most, ask_at: 0, open: BTreeMap::new() };
        meter.confirm(call, held);
        held.is_metered.then_some(meter)
    }

    /// Counts events that came, and extends the hold where they near it. At the end of what is
    /// confirmed the open choices get their finish.
    pub async fn pass(
        &mut self,
        gate: &Gate,
        call: &Admitted,
        held: &mut Held,
        events: &mut Vec<ChatEvent>,
    ) -> Pass {
        events.iter().for_each(|event| self.count(event));
        if self.tokens >= self.ask_at && self.allowed < self.most {
            let bound = Bound { completion_tokens: self.target(), ..call.plan.bound.clone() };
            // A bound below the plan's has a price, because the plan's has one.
            let amount = call.price.hold(&bound).unwrap_or(call.plan.hold);
            let is_granted = gate.ledger.extend(held, amount).await;
            self.confirm(call, held);
            if !is_granted {
                // Others may settle meanwhile: ask again when half of the rest has passed.
                let rest = self.allowed.saturating_sub(self.tokens);
                self.ask_at = self.tokens.saturating_add((rest / 2).max(1));
            }
        }
        if self.tokens < self.allowed || self.allowed >= self.most {
            return Pass::On;
        }
        tracing::warn!(metric = "metered_cut", rid = %held.rid, "its budgets hold no more for it");
        let open = std::mem::take(&mut self.open).into_keys();
        let reason = || CUT_REASON.to_owned();
        events.extend(open.map(|choice| ChatEvent::Finish { choice, reason: reason() }));
        Pass::Cut
    }

    /// Twice what is allowed, and more than what has passed.
    fn target(&self) -> u64 {
        let passed = self.tokens.saturating_add(FIRST_TOKENS);
        self.allowed.saturating_mul(2).max(passed).min(self.most)
    }

    /// Takes in what is confirmed in every scope.
    fn confirm(&mut self, call: &Admitted, held: &Held) {
        let paid = call.price.completion_bound_within(&call.plan.bound, held.amount);
        self.allowed = paid.unwrap_or_default().min(self.most);
        self.ask_at = self.allowed.saturating_sub(self.allowed / 4);
    }

    fn count(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Delta { choice, delta, .. } => {
                self.open.insert(*choice, ());
                self.tokens = self.tokens.saturating_add(bytes_of(delta));
            }
            ChatEvent::Finish { choice, .. } => drop(self.open.remove(choice)),
            ChatEvent::Start { .. }
            | ChatEvent::Frame(_)
            | ChatEvent::Usage(_)
            | ChatEvent::Failed { .. }
            | ChatEvent::Done => {}
        }
    }
}

/// The bytes of a delta's content, whatever its fields are: a token covers at least one byte, and
/// JSON writes a text with no fewer bytes than it has.
fn bytes_of(delta: &RawValue) -> u64 {
    let whole = delta.get().len();
    let bytes = match serde_json::from_str::<HashMap<&str, &RawValue>>(delta.get()) {
        Ok(fields) => fields
            .iter()
            .filter(|(name, _)| **name != "role")
            .map(|(_, value)| match value.get() {
                "null" => 0,
                text if text.starts_with('"') => text.len().saturating_sub(2),
                other => other.len(),
            })
            .sum(),
        Err(_) => whole,
    };
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_counted_by_its_bytes_whatever_its_field() {
        for (delta, bytes) in [
            (r#"{"role":"assistant","content":""}"#, 0),
            (r#"{"content":"Hello"}"#, 5),
            (r#"{"content":"\u00e9\n"}"#, 8),
            (r#"{"reasoning_content":"ab","content":null}"#, 2),
            (r#"{"unknown":"abc"}"#, 3),
            (r#"{"tool_calls":[{"index":0}]}"#, 13),
            (r#"{"a\"b":"x"}"#, 12),
        ] {
            let delta = serde_json::from_str::<Box<RawValue>>(delta).unwrap();
            assert_eq!(bytes_of(&delta), bytes, "{delta}");
        }
    }
}
