//! Sweeping one hold.

use farebox_core::{Rid, Scope};
use farebox_ledger::{Answer, Hold, Step, Sweep, Swept};

use super::{Ledger, pause};
use crate::expression::Store;

impl Ledger {
    /// Makes a hold that nobody ended a provisional charge, where it is due.
    pub async fn sweep(&self, scope: &Scope, rid: Rid, hold: Hold) -> Swept {
        let (store, now) = (Store::money(&self.aws), self.aws.now());
        let mut machine = Sweep::new(self.owner(scope), rid, hold, now);
        loop {
            match machine.step(self.aws.now()) {
                Step::Send(update) => {
                    machine.observe(store.write(&update).await.answer, self.aws.chance());
                }
                Step::Transact(transaction) => {
                    machine.observe(store.transact(&transaction).await.answer, self.aws.chance());
                }
                Step::Pause { ms } => pause(ms.into()).await,
                Step::Read(_) => {
                    let answer = Answer::Rejected("a sweep reads nothing".to_owned());
                    machine.observe(answer, self.aws.chance());
                }
                Step::Done(swept) => return swept,
            }
        }
    }
}
