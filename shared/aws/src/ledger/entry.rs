//! Posting one admin's entry.

use farebox_core::{Money, Rid, Scope};
use farebox_ledger::{Answer, Cause, Entry, Posted, Span, Step};

use super::{Ledger, pause};
use crate::expression::Store;

impl Ledger {
    /// Posts an entry in one scope, once by its id.
    pub async fn post(&self, scope: &Scope, id: Rid, span: Span, amount: Money) -> Posted {
        let store = Store::patient(&self.aws);
        let machine = Entry::new(self.owner(scope), id, span, amount, self.aws.now());
        let Some(mut machine) = machine else { return Posted::Left(Cause::Unexplained) };
        loop {
            match machine.step(self.aws.now()) {
                Step::Transact(transaction) => {
                    machine.observe(store.transact(&transaction).await.answer, self.aws.chance());
                }
                Step::Pause { ms } => pause(ms.into()).await,
                Step::Done(posted) => return posted,
                Step::Send(_) | Step::Read(_) => {
                    let answer = Answer::Rejected("an entry is one transaction".to_owned());
                    machine.observe(answer, self.aws.chance());
                }
            }
        }
    }
}
