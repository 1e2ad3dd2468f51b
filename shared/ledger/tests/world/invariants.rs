//! The invariants of `docs/money.md`, after every step and at rest.

use farebox_core::{Day, Decision, Month};
use farebox_ledger::{Attr, Budget, Closing, Hold, Item, Mode, Period, Terms, Update, archive};

use super::World;
use super::shares::{PLACES, Place};
use crate::support::Request;

impl World {
    /// I1, first half: an admission leaves committed at or below every limit in force.
    pub(super) fn check_admission(&self, reserve: &Update) {
        let budget = Budget::parse(&self.store.get(&reserve.key).unwrap()).unwrap();
        let settings = &budget.terms.settings;
        assert_ne!(settings.mode, Mode::Closed, "admitted by a closed budget");
        let placed = |(_, value): &(String, Attr)| match value {
            Attr::S(text) => text.parse::<Hold>().ok(),
            Attr::N(_) => None,
        };
        let hold = reserve.values.iter().find_map(placed).unwrap();
        assert!(!budget.terms.is_closed(hold.day), "I14: admitted into a closed period");
        for period in Period::of(hold.day) {
            let Some(limit) = budget.terms.limit(period) else { continue };
            let committed = budget.counter(period).committed;
            let before = committed.pico() - hold.amount.pico();
            match settings.mode {
                Mode::Hard | Mode::Balanced => {
                    assert!(committed <= limit, "I1: {period} {committed} > {limit}");
                }
                Mode::Soft => assert!(before < limit.pico(), "soft: {period} had no room"),
                Mode::Observe | Mode::Closed => {}
            }
        }
    }

    /// I1 for an extension: it leaves committed at or below every limit in force too.
    pub(super) fn check_extension(&self, extend: &Update) {
        let budget = Budget::parse(&self.store.get(&extend.key).unwrap()).unwrap();
        let settings = &budget.terms.settings;
        assert_ne!(settings.mode, Mode::Closed, "extended in a closed budget");
        let (_, day) = extend.names.iter().find(|(name, _)| name == "#dc").unwrap();
        let day = Day::from_number(day.trim_start_matches("dc_").parse().unwrap()).unwrap();
        for period in Period::of(day) {
            if let (true, Some(limit)) = (settings.mode.is_strict(), budget.terms.limit(period)) {
                let committed = budget.counter(period).committed;
                assert!(committed <= limit, "I1: {period} extended to {committed} > {limit}");
            }
        }
    }

    pub(super) fn check(&self) {
        let divided = self.divided();
        self.check_place(None, &divided.budget);
        for (share, budget) in (0..).zip(&divided.shares) {
            self.check_place(Some(share), budget);
        }
        self.check_shares(&divided);
    }

    fn check_place(&self, place: Place, budget: &Budget) {
        // I4: the books balance.
        let held = |within: &dyn Fn(Day) -> bool| {
            let holds = budget.holds.values().filter(|hold| within(hold.day));
            holds.map(|hold| hold.amount.pico()).sum::<i128>()
        };
        assert_eq!(budget.holds.len(), usize::try_from(budget.open).unwrap(), "I4: n");
        let months = budget.holds.values().map(|hold| Period::Month(hold.day.month()));
        let days = budget.holds.values().map(|hold| Period::Day(hold.day));
        let kept = budget.months.keys().map(|month| Period::Month(*month));
        let kept = kept.chain(budget.days.keys().map(|day| Period::Day(*day)));
        for period in months.chain(days).chain(kept).chain([Period::Total]) {
            let counter = budget.counter(period);
            let open = held(&|day| Period::of(day).contains(&period));
            let granted = budget.granted.get(&period).map_or(0, |granted| granted.pico());
            let sum = counter.settled().pico() + open + granted;
            assert_eq!(counter.committed.pico(), sum, "I4: {period} committed");
            // A refund may take a provisional charge that the truth then takes away, too.
            let entered = self.entered(place, budget, period).min(0);
            let settled = counter.settled().pico();
            assert!(settled >= entered, "I4: {period} settled below zero");
        }
        let terms = &budget.terms;
        // An entry of an older period, or a late draw, may come between the read that closes a
        // newer one and its write; nothing else may be found below a watermark, and the next
        // closing takes it away.
        let came_late = |period| self.drawn_late.contains(&(place, period));
        let is_open = |day: &Day| terms.pruned_day.is_none_or(|closed| *day > closed);
        let is_right = |day: &Day| {
            is_open(day) || self.has_entry(|one| one == *day) || came_late(Period::Day(*day))
        };
        assert!(budget.days.keys().all(is_right), "I14: a pruned day is revived");
        let is_open = |month: &Month| terms.archived_month.is_none_or(|closed| *month > closed);
        let is_right = |month: &Month| {
            is_open(month)
                || self.has_entry(|one| one.month() == *month)
                || came_late(Period::Month(*month))
        };
        assert!(budget.months.keys().all(is_right), "I14: an archived month is revived");
        // I1, second half: what the provider bills within the holds is committed.
        let here = || self.calls.iter().filter(|call| call.place == place);
        let billed = |within: &dyn Fn(Day) -> bool| {
            let calls = here().filter(|call| call.hold.is_some_and(|h| within(h.day)));
            calls.map(|call| call.bill.min(call.hold.unwrap().amount.pico())).sum::<i128>()
        };
        for day in here().filter_map(|call| call.hold).map(|hold| hold.day) {
            for period in Period::of(day) {
                let is_pruned = budget.terms.pruned_day.is_some_and(|closed| day <= closed);
                if matches!(period, Period::Day(_)) && is_pruned {
                    continue;
                }
                let bill = billed(&|day| Period::of(day).contains(&period));
                let known = self.known(place, budget, period);
                let committed = known - self.entered(place, budget, period);
                assert!(bill <= committed, "I1: {period} bill {bill} > committed {committed}");
            }
        }
    }

    /// What is committed in a period, or was when it was archived.
    fn known(&self, place: Place, budget: &Budget, period: Period) -> i128 {
        if let Period::Month(month) = period
            && budget.terms.archived_month.is_some_and(|closed| month <= closed)
        {
            let archive = self.store.get(&self.owner_of(place).archive(month));
            return archive.map_or(0, |archive| number(&archive, "s"));
        }
        budget.counter(period).committed.pico()
    }

    /// What stands below a watermark goes, however many closings that takes.
    pub(super) fn take_leftovers(&mut self) {
        let is_left = |budget: &Budget| {
            let Terms { pruned_day, archived_month, .. } = budget.terms;
            let day = budget.days.keys().next().copied();
            let month = budget.months.keys().next().copied();
            day.is_some_and(|day| pruned_day.is_some_and(|closed| day <= closed))
                || month.is_some_and(|month| archived_month.is_some_and(|closed| month <= closed))
        };
        for _ in 0..20 {
            let budgets = PLACES.map(|place| (self.owner_of(place), self.budget_of(place)));
            if !budgets.iter().any(|(_, budget)| is_left(budget)) {
                return;
            }
            for (owner, budget) in budgets {
                for closing in archive::due(&budget, self.now.plus_ms(70 * 86_400_000)) {
                    if !matches!(closing, Closing::Fence { .. }) {
                        let write = closing.write(&owner, &budget, self.now);
                        self.send(Request::Many(write), 0);
                    }
                }
            }
            self.check();
        }
        panic!("I14: counters stand below a watermark for good");
    }

    pub(super) fn check_charges(&self) {
        for place in PLACES {
            self.check_charges_of(place);
        }
    }

    fn check_charges_of(&self, place: Place) {
        let budget = self.budget_of(place);
        assert!(budget.holds.is_empty(), "I5: a hold is left");
        let mut charges = Vec::new();
        for call in self.calls.iter().filter(|call| call.place == place) {
            let tombstone = self.store.get(&self.owner_of(place).tombstone(call.rid));
            let is_provisional =
                tombstone.as_ref().is_some_and(|item| item["st"] == Attr::S("P".to_owned()));
            let (day, charge) = match (call.decision, call.hold) {
                (Some(decision), Some(hold)) => {
                    assert!(!is_provisional, "I3: a decided call is provisional");
                    let charge = match decision {
                        Decision::Settle(cost) => cost.pico(),
                        Decision::Void => 0,
                        Decision::Worst => hold.amount.pico(),
                    };
                    (hold.day, charge)
                }
                _ => {
                    assert!(!is_provisional || call.crashed, "I3: provisional without a crash");
                    let Some(tombstone) = tombstone else {
                        assert_eq!(call.bill, 0, "I2: billed and not charged");
                        continue;
                    };
                    let charge = number(&tombstone, "a");
                    assert!(charge >= call.bill, "I2: charged below the bill");
                    let day = u32::try_from(number(&tombstone, "day")).unwrap();
                    (Day::from_number(day).unwrap(), charge)
                }
            };
            charges.push((day, charge));
        }
        let due = |within: &dyn Fn(Day) -> bool| {
            charges.iter().filter(|(day, _)| within(*day)).map(|(_, charge)| charge).sum::<i128>()
        };
        let entered = |period| self.entered(place, &budget, period);
        let granted = |period| budget.granted.get(&period).map_or(0, |granted| granted.pico());
        let total = due(&|_| true) + entered(Period::Total);
        assert_eq!(budget.total.settled().pico(), total, "I2: total");
        let held = budget.total.held().pico();
        assert_eq!(held, granted(Period::Total), "I3: total");
        for (day, _) in &charges {
            let month = Period::Month(day.month());
            let in_month = due(&|other| other.month() == day.month());
            let settled = self.known(place, &budget, month) - granted(month);
            assert_eq!(settled, in_month + entered(month), "I2: {month}");
        }
    }
}

fn number(item: &Item, name: &str) -> i128 {
    match item[name] {
        Attr::N(number) => number,
        Attr::S(_) => panic!("{name} is a text"),
    }
}
