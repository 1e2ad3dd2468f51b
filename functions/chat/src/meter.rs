//! Metering a stream whose call holds less than its worst case (mode balanced, money.md 3.1a).

use std::collections::BTreeSet;

use farebox_aws::Held;
use farebox_core::ChatEvent;
use farebox_core::pricing::Bound;
use farebox_providers::shown_bytes;

use crate::gate::Gate;
use crate::handle::Admitted;
use crate::plan::{FIRST_TOKENS, beyond};

/// The finish reason of a choice that was ended because its budgets hold no more.
pub const CUT_REASON: &str = "length";
/// Tokens of a choice that its content does not show: marks of beginning, role and end.
const UNSEEN_TOKENS: u64 = 16;

/// Counts an upper bound of what a stream has used, and keeps it within what is confirmed.
pub struct Meter {
    /// Bytes of content so far, which bound its tokens.
    tokens: u64,
    /// Completion tokens that may pass: those that the confirmed hold pays for, but for what the
    /// provider generates until it knows that nobody reads on.
    allowed: u64,
    /// The most that it generates beyond what it has sent.
    beyond: u64,
    /// The cap that was sent, times the choices.
    most: u64,
    /// An extension is asked for when this many tokens have passed.
    ask_at: u64,
    /// Choices that have begun and are not finished yet.
    open: BTreeSet<u32>,
    /// Choices that were asked for and are not finished yet. Each ends at a time of its own.
    unfinished: u64,
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
        let (most, unfinished) = (call.plan.bound.completion_tokens, call.call.choices);
        let (tokens, beyond) = (UNSEEN_TOKENS.saturating_mul(unfinished), beyond(unfinished));
        let open = BTreeSet::new();
        let mut meter = Self { tokens, allowed: 0, beyond, most, ask_at: 0, open, unfinished };
        meter.confirm(call, held);
        held.is_metered.then_some(meter)
    }

    /// Counts events that came, and extends the hold where they near it. At the end of what is
    /// confirmed the open choices get their finish. Once every choice is finished nothing more is
    /// generated.
    pub async fn pass(
        &mut self,
        gate: &Gate,
        call: &Admitted,
        held: &mut Held,
        events: &mut Vec<ChatEvent>,
    ) -> Pass {
        events.iter().for_each(|event| self.count(event));
        if self.unfinished == 0 {
            return Pass::On;
        }
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
        let open = std::mem::take(&mut self.open).into_iter();
        let reason = || CUT_REASON.to_owned();
        events.extend(open.map(|choice| ChatEvent::Finish { choice, reason: reason() }));
        Pass::Cut
    }

    /// What is to be held: for twice what is allowed, for more than what has passed, and for what
    /// comes beyond it.
    fn target(&self) -> u64 {
        let passed = self.tokens.saturating_add(FIRST_TOKENS);
        let allowed = self.allowed.saturating_mul(2).max(passed);
        allowed.saturating_add(self.beyond).min(self.most)
    }

    /// Takes in what is confirmed in every scope.
    fn confirm(&mut self, call: &Admitted, held: &Held) {
        let paid = call.price.completion_bound_within(&call.plan.bound, held.amount);
        let paid = paid.unwrap_or_default();
        // All that it can come to is paid for: nothing is beyond it.
        let is_all = paid >= self.most;
        self.allowed = if is_all { self.most } else { paid.saturating_sub(self.beyond) };
        self.ask_at = self.allowed.saturating_sub(self.allowed / 4);
    }

    fn count(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Delta { choice, delta, .. } => {
                self.open.insert(*choice);
                self.tokens = self.tokens.saturating_add(shown_bytes(delta));
            }
            ChatEvent::Finish { choice, .. } => {
                self.open.remove(choice);
                self.unfinished = self.unfinished.saturating_sub(1);
            }
            // What the provider counts as it goes may be more than it shows.
            ChatEvent::Usage(reported) => {
                self.tokens = self.tokens.max(reported.usage.completion_tokens());
            }
            ChatEvent::Start { .. }
            | ChatEvent::Frame(_)
            | ChatEvent::Failed { .. }
            | ChatEvent::Done => {}
        }
    }
}
