//! What a state of a divided budget says, and the invariants.

use farebox_core::Decision;
use farebox_ledger::{Answer, Attr, Budget, Divided, Mode, Period, Transaction, Update, update};

use super::super::{Cached, HOLD, hold, rid};
use super::{Call, Message, Place, SHARES, Stage, State, month, owner, places, whole};
use crate::support::Store;

impl State {
    pub(super) fn wire(&mut self, call: Option<usize>, request: Transaction) {
        self.wire.push(Message { call, request: Cached::new(request) });
        self.wire.sort_by_key(|message| message.request.print);
    }

    pub(super) fn parsed(&self, place: Place) -> Option<Budget> {
        Budget::parse(&self.store.value.get(&owner(place).budget())?).ok()
    }

    pub(super) fn budget(&self, place: Place) -> Budget {
        self.parsed(place).expect("a state with a broken budget has no next one")
    }

    pub(super) fn divided(&self) -> Option<Divided> {
        let shares: Option<Vec<_>> = (0..SHARES).map(|share| self.parsed(Some(share))).collect();
        Some(Divided { owner: whole(), budget: self.parsed(None)?, shares: shares? })
    }

    pub(super) fn is_held(&self, at: usize, call: &Call) -> bool {
        let name = format!("h_{}", rid(at, call.period));
        let item = self.store.value.items.get(&owner(call.place).budget());
        call.stage == Stage::Sent && item.is_some_and(|item| item.contains_key(&name))
    }

    pub(super) fn end(&mut self, at: usize, decision: Decision) {
        let Call { place, period, .. } = self.calls[at];
        let (owner, rid, held) = (owner(place), rid(at, period), hold(period));
        let (write, cost): (Update, _) = match decision {
            Decision::Settle(cost) => (update::settle(&owner, rid, &held, cost, None), cost.pico()),
            Decision::Void | Decision::Worst => (update::void(&owner, rid, &held, None), 0),
        };
        let mut store = Store::clone(&self.store.value);
        if store.apply(&write) == Answer::Applied {
            self.calls[at].cost = Some(cost);
            self.store = Cached::new(store);
        }
        self.calls[at].stage = Stage::Over;
    }

    /// The bound of what may be committed only falls towards the limit in force.
    pub(super) fn settle_ceiling(&mut self) {
        let Some(budget) = self.parsed(None) else { return };
        let limit = budget.terms.settings.limits.month.unwrap().pico();
        for period in [0, 1] {
            let committed = budget.counter(month(period)).committed.pico();
            let ceiling = &mut self.ceiling[usize::from(period)];
            *ceiling = (*ceiling).min(committed.max(limit));
        }
        assert_eq!(budget.terms.settings.mode, Mode::Hard);
    }

    /// E2: no share has committed more than it may; more only by a cost above its hold.
    pub(super) fn is_within(&self) -> bool {
        let Some(divided) = self.divided() else { return true };
        let over = self.overrun();
        divided.shares.iter().all(|share| {
            [month(0), month(1)].into_iter().all(|period| {
                let allowed = share.terms.limit(period).unwrap().pico();
                share.counter(period).committed.pico() <= allowed + over
            })
        })
    }

    /// I1: nothing is admitted beyond the limit in force; what was committed before it was
    /// lowered is the most that stays.
    pub(super) fn is_bounded(&self) -> bool {
        let Some(divided) = self.divided() else { return true };
        let merged = divided.merged();
        let over = self.overrun();
        [0, 1].into_iter().all(|period| {
            let spent = merged.counter(month(period)).committed.pico() + self.archived(period);
            spent <= self.ceiling[usize::from(period)] + over
        })
    }

    fn overrun(&self) -> i128 {
        self.calls.iter().filter_map(|call| call.cost).map(|cost| (cost - HOLD).max(0)).sum()
    }

    /// E1, and I4 in each item.
    pub(super) fn balances(&self) -> bool {
        let Some(divided) = self.divided() else { return true };
        [month(0), month(1), Period::Total].into_iter().all(|period| {
            let held = |budget: &Budget| {
                let holds = budget.holds.values();
                let holds = holds.filter(|hold| Period::of(hold.day).contains(&period));
                holds.map(|hold| hold.amount.pico()).sum::<i128>()
            };
            let settled = |budget: &Budget| budget.counter(period).settled().pico();
            let committed = |budget: &Budget| budget.counter(period).committed.pico();
            let granted = divided.budget.granted.get(&period).map_or(0, |one| one.pico());
            let closed =
                |budget: &Budget| budget.terms.is_closed(hold(0).day) && period == month(0);
            let allowed: i128 =
                divided.shares.iter().map(|share| share.terms.limit(period).unwrap().pico()).sum();
            let own = committed(&divided.budget);
            let is_open = !closed(&divided.budget) && !divided.shares.iter().any(closed);
            own == settled(&divided.budget) + held(&divided.budget) + granted
                && (!is_open || granted == allowed)
                && divided
                    .shares
                    .iter()
                    .all(|share| committed(share) == settled(share) + held(share))
        })
    }

    fn archived(&self, period: u8) -> i128 {
        let Period::Month(month) = month(period) else { return 0 };
        let archives =
            places().filter_map(|place| self.store.value.get(&owner(place).archive(month)));
        archives
            .map(|item| match item["s"] {
                Attr::N(settled) => settled,
                Attr::S(_) => panic!("an archive holds a number"),
            })
            .sum()
    }

    /// I2: what has ended is settled, once, in its period.
    pub(super) fn charges_truth(&self) -> bool {
        let Some(divided) = self.divided() else { return true };
        let merged = divided.merged();
        [0, 1].into_iter().all(|period| {
            let costs = self.calls.iter().filter(|call| call.period == period);
            let cost: i128 = costs.filter_map(|call| call.cost).sum();
            let settled = merged.counter(month(period)).settled().pico();
            settled + self.archived(period) == cost
        })
    }
}
