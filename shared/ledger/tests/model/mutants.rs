//! What is broken on purpose: in the world's copy of a write, never in the ledger.

use farebox_ledger::{Answer, Attr, Update, Write};

use super::{World, hold};
use crate::support::Store;

/// One break of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    PlainAdd,
    NoFence,
    NoWindow,
    NoVoidFence,
    BlindSweep,
    NoTombstone,
    NoAdjust,
    SettleUncond,
    PeriodAtSettle,
    PruneUncond,
    VoidOnUnknown,
    NoEpoch,
    ReadThenWrite,
    NoCompensation,
    AdjustPruned,
    PruneNoEpoch,
    EarlySweep,
    SweepNoWindow,
    QueueNoFence,
    ExtendNoCas,
    ExtendNoRoom,
    ExtendNoEpoch,
    SettleExists,
    MismatchDone,
    UnconfirmedUse,
    SameRid,
}

/// A condition that always holds and still uses its placeholders.
pub fn always(update: &mut Update) {
    update.condition = format!("attribute_exists(pk) OR {}", update.condition);
}

/// Whether a write begins with these words.
pub fn begins(update: &Update, start: &str) -> bool {
    matches!(&update.write, Write::Update(text) if text.starts_with(start))
}

/// Whether it makes a hold.
pub fn is_reserve(update: &Update) -> bool {
    begins(update, "SET #h = :h ADD")
}

/// Whether it makes a hold larger.
pub fn is_extend(update: &Update) -> bool {
    begins(update, "SET #h = :h2 ADD")
}

fn is_settle(update: &Update) -> bool {
    matches!(&update.write, Write::Update(text) if text.contains("#ms :c,"))
        && update.condition == "#h = :h"
}

impl World {
    /// The write as this world sends it.
    pub(super) fn mutate(&self, mut update: Update, period: u8) -> Update {
        match self.mutant {
            Some(Mutant::SettleUncond) if is_settle(&update) => always(&mut update),
            Some(Mutant::PeriodAtSettle) if is_settle(&update) => {
                let (from, to) = (hold(0).day, hold(period).day);
                let months = (from.month().to_string(), to.month().to_string());
                for (_, name) in &mut update.names {
                    *name = name.replace(&from.to_string(), &to.to_string());
                    *name = name.replace(&months.0, &months.1);
                }
            }
            Some(Mutant::NoEpoch) if is_reserve(&update) => {
                update.condition = update.condition.replace("ep = :ep", "(ep = :ep OR ep > :ep)");
            }
            Some(Mutant::PlainAdd) if is_reserve(&update) => {
                let known = "attribute_not_exists(#h)";
                let any = format!("(attribute_exists(pk) OR {known})");
                update.condition = update.condition.replace(known, &any);
            }
            Some(Mutant::AdjustPruned) if begins(&update, "ADD #mc :d, #ms :d") => {
                always(&mut update);
            }
            Some(Mutant::ExtendNoCas) if is_extend(&update) => {
                let any = "(attribute_exists(pk) OR #h = :h1)";
                update.condition = update.condition.replace("#h = :h1", any);
            }
            Some(Mutant::ExtendNoRoom) if is_extend(&update) => {
                let any = "(attribute_exists(pk) OR attribute_not_exists(#mc) OR";
                update.condition = update.condition.replace("(attribute_not_exists(#mc) OR", any);
            }
            Some(Mutant::ExtendNoEpoch) if is_extend(&update) => {
                update.condition = update.condition.replace("ep = :ep", "(ep = :ep OR ep > :ep)");
            }
            Some(Mutant::SettleExists) if update.condition == "#h = :h" => {
                update.condition = "(attribute_exists(#h) OR #h = :h)".to_owned();
            }
            _ => {}
        }
        update
    }

    /// Applies a write, and undoes what this world forgets.
    pub(super) fn apply(&self, store: &mut Store, update: &Update) -> Answer {
        let answer = store.apply(update);
        let is_void_fence = begins(update, "SET #x = :exp") && !update.condition.contains(":h");
        let is_forgotten =
            self.is(Mutant::NoFence) || self.is(Mutant::NoVoidFence) && is_void_fence;
        if let Some(item) = store.items.get_mut(&update.key).filter(|_| is_forgotten) {
            item.retain(|name, _| !name.starts_with("x_"));
        }
        answer
    }

    pub(super) fn keep_epoch(&self, store: &mut Store, update: &Update, before: Option<Attr>) {
        if let (true, Some(epoch)) = (self.is(Mutant::PruneNoEpoch), before) {
            store.items.get_mut(&update.key).unwrap().insert("ep".to_owned(), epoch);
        }
    }
}
