//! The budget's shares among the calls: what they draw and give back, and the switch.

use std::collections::BTreeSet;

use farebox_core::{Day, Month, Timestamp};
use farebox_ledger::share::share_settings;
use farebox_ledger::{
    Answer, Budget, Divided, Next, Owner, Period, Shares, Terms, Transaction, update,
};

use super::World;
use crate::support::{Request, Store};

/// Shares that are made.
pub(super) const SHARES: u8 = 2;

/// Where a call is held: in the budget itself, or in a share.
pub(super) type Place = Option<u8>;

pub(super) const PLACES: [Place; 1 + SHARES as usize] = [None, Some(0), Some(1)];

pub(super) fn slot(place: Place) -> usize {
    place.map_or(0, |share| 1 + usize::from(share))
}

/// Makes the shares of a budget, out of use; the terms of all of them.
pub(super) fn make(
    store: &mut Store,
    owner: &Owner,
    now: Timestamp,
) -> [Terms; 1 + SHARES as usize] {
    let epoch = u64::try_from(now.ms()).unwrap();
    let shares = Shares { used: 0, made: SHARES };
    assert_eq!(store.apply(&update::switch(owner, shares, epoch)), Answer::Applied);
    let whole = Terms::parse(&store.get(&owner.budget()).unwrap()).unwrap();
    PLACES.map(|place| {
        let Some(share) = place else { return whole.clone() };
        let owner = Owner { scope: owner.scope.with_share(share), ..owner.clone() };
        let create = update::create_share(&owner, &share_settings(&whole, share), now);
        assert_eq!(store.apply(&create), Answer::Applied);
        Terms::parse(&store.get(&owner.budget()).unwrap()).unwrap()
    })
}

/// The month and the day of a draw; of another transaction none.
fn drawn(transaction: &Transaction) -> Vec<Period> {
    let [whole, share] = transaction.actions.as_slice() else { return Vec::new() };
    let is_draw = whole.condition.starts_with("ep = :ep")
        && share.condition.starts_with("attribute_exists(ta)");
    let period = |(_, name): &(String, String)| {
        let (kind, number) = name.split_once('_')?;
        let number = number.parse().ok()?;
        match kind {
            "mc" => Some(Period::Month(Month::from_number(number).unwrap())),
            "dc" => Some(Period::Day(Day::from_number(number).unwrap())),
            _ => None,
        }
    };
    whole.names.iter().filter(|_| is_draw).filter_map(period).collect()
}

fn is_closed(budget: &Budget, period: Period) -> bool {
    match period {
        Period::Month(month) => budget.terms.archived_month.is_some_and(|closed| closed >= month),
        Period::Day(day) => budget.terms.pruned_day.is_some_and(|closed| closed >= day),
        Period::Total => false,
    }
}

impl World {
    pub(super) fn owner_of(&self, place: Place) -> Owner {
        let Some(share) = place else { return self.owner.clone() };
        Owner { scope: self.owner.scope.with_share(share), ..self.owner.clone() }
    }

    pub(super) fn budget_of(&self, place: Place) -> Budget {
        Budget::parse(&self.store.get(&self.owner_of(place).budget()).unwrap()).unwrap()
    }

    pub(super) fn divided(&self) -> Divided {
        let shares = (0..SHARES).map(|share| self.budget_of(Some(share))).collect();
        Divided { owner: self.owner.clone(), budget: self.budget(), shares }
    }

    /// A share or the budget itself gets room for a call of some size, or a share draws ahead.
    pub(super) fn need(&mut self, whom: u8, how: u8) {
        let (divided, share) = (self.divided(), whom % SHARES);
        let place = PLACES[usize::from(whom) % PLACES.len()];
        let needed = super::pico(i128::from(whom / 4) + 1);
        let next = if whom.is_multiple_of(8) {
            divided.ahead(share, self.now)
        } else {
            match divided.next(place, needed, self.now) {
                Next::Move(moved) => Some(moved),
                Next::Refused(refusal) => {
                    let budget = refusal.budget.unwrap();
                    let day = budget.terms.settings.zone.day(self.now);
                    let limits = budget.terms.settings.limits;
                    let is_short = |period: Period| {
                        let committed = budget.counter(period).committed;
                        limits.of(period).is_some_and(|l| committed.plus(needed).unwrap() > l)
                    };
                    // What a share has closed by a clock that is ahead stands in its archive.
                    let is_closed = divided.shares.iter().any(|one| one.terms.is_closed(day));
                    let is_refused = is_closed || Period::of(day).into_iter().any(is_short);
                    assert!(is_refused, "refused with room");
                    None
                }
                Next::Ready | Next::Gone => None,
            }
        };
        if let Some(next) = next {
            self.send(Request::Many(next), how);
        }
    }

    pub(super) fn tend(&mut self, how: u8) {
        for write in self.divided().tend(self.now) {
            let request = match write.actions.as_slice() {
                [one] => Request::One(one.clone()),
                _ => Request::Many(write),
            };
            self.send(request, how);
        }
    }

    /// The owner switches: to both shares, to one, or to the budget itself.
    pub(super) fn divide(&mut self, whom: u8, how: u8) {
        let shares = Shares { used: whom % (1 + SHARES), made: SHARES };
        let switch = update::switch(&self.owner, shares, self.budget().terms.epoch);
        self.send(Request::One(switch), how);
    }

    /// Where the month and the day of a draw are not closed yet.
    pub(super) fn drawn_open(&self, request: &Request) -> Vec<(Place, Period)> {
        let Request::Many(transaction) = request else { return Vec::new() };
        let open = |period| {
            let is_open = move |place: &Place| !is_closed(&self.budget_of(*place), period);
            PLACES.into_iter().filter(is_open).map(move |place| (place, period))
        };
        drawn(transaction).into_iter().flat_map(open).collect()
    }

    /// A draw leaves what is committed at or below every limit in force.
    pub(super) fn check_draw(&self, transaction: &Transaction) {
        let budget = self.budget();
        for period in drawn(transaction) {
            if let Some(limit) = budget.terms.settings.limits.of(period) {
                let committed = budget.counter(period).committed;
                assert!(committed <= limit, "I1: drawn beyond {period}");
            }
        }
    }

    /// E1: what the budget has granted is what its shares may commit, in every period that is
    /// open in all of them; E2: none has committed more, but for costs above their holds and
    /// entries.
    pub(super) fn check_shares(&self, divided: &Divided) {
        let merged = divided.merged();
        let mut periods: BTreeSet<Period> = divided.budget.granted.keys().copied().collect();
        for share in &divided.shares {
            periods.extend(share.terms.allowances.as_ref().unwrap().keys());
        }
        for period in periods {
            let allowed = |share: &Budget| share.terms.limit(period).unwrap();
            for (share, number) in divided.shares.iter().zip(0..) {
                let (committed, allowed) = (share.counter(period).committed, allowed(share));
                let over = self.over(number, share, period);
                assert!(
                    committed.pico() <= allowed.pico() + over,
                    "E2: {period} of {number}: {committed} > {allowed}"
                );
            }
            let all = [&divided.budget, &divided.shares[0], &divided.shares[1]];
            if all.into_iter().any(|budget| is_closed(budget, period)) {
                continue;
            }
            let allowed: i128 = divided.shares.iter().map(|share| allowed(share).pico()).sum();
            let granted = divided.budget.granted.get(&period).copied().unwrap_or_default();
            assert_eq!(granted.pico(), allowed, "E1: {period}");
            let merged = merged.counter(period).committed.pico();
            let over: i128 =
                (0..).zip(&divided.shares).map(|(n, one)| self.over(n, one, period)).sum();
            let committed = divided.budget.counter(period).committed.pico();
            assert!(merged <= committed + over, "I1: {period} of all: {merged}");
        }
    }

    /// What a share may have committed beyond its allowance.
    fn over(&self, share: u8, budget: &Budget, period: Period) -> i128 {
        let calls = self.calls.iter().filter(|call| call.place == Some(share));
        let over = calls.map(|call| {
            let held = call.hold.map_or(0, |hold| hold.amount.pico());
            match call.decision {
                Some(farebox_core::Decision::Settle(cost)) => (cost.pico() - held).max(0),
                _ => 0,
            }
        });
        let entered = self.entered_in(Some(share), budget, period, |amount| amount > 0);
        over.sum::<i128>() + entered
    }
}
