//! Extending the hold of a metered call (money.md 3.1a).

use farebox_core::{Money, Rid};
use farebox_ledger::attempt::EXTEND_TOTAL_MS;
use farebox_ledger::{Answer, Extend, Extended, Extension, Step};
use futures_util::future::join_all;

use super::held::{Held, Part};
use super::{Ledger, Traffic, pause};
use crate::expression::Store;

impl Ledger {
    /// Extends what a metered call holds to `amount` in every scope, all of them at once. Whether
    /// each confirms it; [`Held::amount`] is in any case what all of them confirm.
    pub async fn extend(&self, held: &mut Held, amount: Money) -> bool {
        let rid = held.rid;
        let parts = held.parts.iter().filter(|part| part.is_held);
        let extended = join_all(parts.map(|part| self.extend_in(rid, part, amount))).await;
        let parts = held.parts.iter_mut().filter(|part| part.is_held);
        let mut is_granted = true;
        for (part, (extended, traffic)) in parts.zip(extended) {
            is_granted &= extended.extension == Extension::Granted;
            part.hold = extended.hold;
            if let Some(fresh) = extended.fresh {
                self.remember(&part.scope, &fresh);
                part.terms = fresh;
            }
            part.seen.extend(traffic.seen);
            held.capacity_tenths = held.capacity_tenths.saturating_add(traffic.capacity_tenths);
        }
        let confirmed = held.parts.iter().filter(|part| part.is_held).map(|part| part.hold.amount);
        held.amount = confirmed.min().unwrap_or(amount);
        is_granted
    }

    /// As [`Self::extend_one`]; where a divided budget refuses, after what is left was moved there.
    async fn extend_in(&self, rid: Rid, part: &Part, amount: Money) -> (Extended, Traffic) {
        let (extended, mut traffic) = self.extend_one(rid, part, amount).await;
        if extended.extension != Extension::Refused || !part.may_get_more() {
            return (extended, traffic);
        }
        let more = amount.minus(extended.hold.amount).unwrap_or_default();
        let Ok(terms) = self.replenish(&part.scope, more, &mut traffic).await else {
            return (extended, traffic);
        };
        let part = Part { terms, hold: extended.hold, ..part.clone() };
        let (extended, more) = self.extend_one(rid, &part, amount).await;
        traffic.add(more.capacity_tenths);
        traffic.seen.extend(more.seen);
        (extended, traffic)
    }

    async fn extend_one(&self, rid: Rid, part: &Part, amount: Money) -> (Extended, Traffic) {
        let (store, mut traffic) = (Store::money(&self.aws), Traffic::default());
        let (owner, terms) = (self.owner(&part.scope), part.terms.clone());
        let machine = Extend::new(owner, rid, part.hold, amount, terms, self.aws.now());
        let mut machine = machine.within(self.aws.money_total_ms(EXTEND_TOTAL_MS));
        loop {
            match machine.step(self.aws.now()) {
                Step::Send(update) => {
                    let answer = traffic.send(&store, &update).await;
                    machine.observe(answer, self.aws.chance());
                }
                Step::Pause { ms } => pause(ms.into()).await,
                Step::Done(extended) => return (extended, traffic),
                Step::Transact(_) | Step::Read(_) => {
                    let answer = Answer::Rejected("an extension is one write".to_owned());
                    machine.observe(answer, self.aws.chance());
                }
            }
        }
    }
}
