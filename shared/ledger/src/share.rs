//! What to do about a hot budget that is divided into shares (money.md 4.3).
//!
//! A call is held in one of the shares. Each has an allowance, which is committed in the whole
//! budget from the draw on: so no limit is passed, whatever the shares do within theirs.
//!
//! ```text
//! E1   committed = settled + held + Σ allowances   in the whole, in every period that is open
//! E2   committed ≤ allowance                       in each share
//! ```
//!
//! Everything here decides on budgets as they were read; the writes are conditional.

use std::collections::BTreeMap;

use farebox_core::{Day, Money, Month, Timestamp};

use crate::Error;
use crate::attempt::{Refusal, Why, refusing};
use crate::budget::{Budget, Counter, Limits, Mode, Period, Settings, Terms};
use crate::item::{Item, difference, malformed, read_money};
use crate::scope::Owner;
use crate::update::{self, Move, Transaction};

/// The most shares of one budget.
pub const SHARES_MAX: u8 = 64;
/// A draw takes this part of a limit, divided by the shares in use.
const PART: i128 = 8;
/// A draw for a call takes at least so many times its amount, where the pool has it.
const CALLS: i128 = 4;

/// Amounts by period; an absent one is zero.
pub type Allowances = BTreeMap<Period, Money>;

/// How many shares a budget is divided into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Those that calls are held in (attribute `sn`); 0 where they are held in the budget itself.
    pub used: u8,
    /// Those that were ever made (attribute `sm`): what they cost counts to the budget for ever.
    pub made: u8,
}

/// A budget and all the shares that were ever made of it, the one of each number at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divided {
    /// Whose.
    pub owner: Owner,
    /// The budget itself.
    pub budget: Budget,
    /// Its shares.
    pub shares: Vec<Budget>,
}

/// What a call needs that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is room: reserve again.
    Ready,
    /// This, and then a look at what is there.
    Move(Transaction),
    /// The whole budget refuses the call.
    Refused(Box<Refusal>),
    /// The share is not in use any more, or its period is closed: begin again.
    Gone,
}

impl Terms {
    /// The shares that calls are held in: none where the mode lets a limit be passed, because
    /// the budget itself then counts best.
    #[must_use]
    pub const fn shares_used(&self) -> u8 {
        if self.settings.mode.is_strict() { self.shares.used } else { 0 }
    }

    /// What a share's room should be: nothing to draw from a period without a limit.
    fn chunk(&self, period: Period) -> Option<i128> {
        let limit = self.limit(period)?.pico();
        let shares = i128::from(self.shares.used.max(1));
        Some(limit.checked_div(shares.saturating_mul(PART)).unwrap_or_default().max(1))
    }

    /// Whether a share of this budget should draw ahead of its calls: in a period, less than half
    /// of what a draw gives is left. `room` tells what is left.
    #[must_use]
    pub fn is_low(&self, periods: [Period; 3], room: impl Fn(Period) -> Money) -> bool {
        let is_low = |period: Period| {
            let half = self.chunk(period).and_then(|chunk| chunk.checked_div(2));
            half.is_some_and(|half| room(period).pico() < half)
        };
        periods.into_iter().any(is_low)
    }
}

impl Divided {
    /// The budget as if it had no shares: what they have settled and held is its own.
    #[must_use]
    pub fn merged(&self) -> Budget {
        let mut merged = self.budget.clone();
        merged.granted = Allowances::new();
        // No call is refused for want of a place while a share in use has one.
        let used = usize::from(self.budget.terms.shares_used());
        let open = self.shares.iter().take(used).map(|share| share.open).min();
        merged.open = open.unwrap_or(merged.open);
        let mut periods = vec![Period::Total];
        for one in core::iter::once(&self.budget).chain(&self.shares) {
            periods.extend(one.months.keys().map(|month| Period::Month(*month)));
            periods.extend(one.days.keys().map(|day| Period::Day(*day)));
        }
        for period in periods {
            let counter = self.counter(period);
            match period {
                Period::Month(month) => drop(merged.months.insert(month, counter)),
                Period::Day(day) => drop(merged.days.insert(day, counter)),
                Period::Total => merged.total = counter,
            }
        }
        merged
    }

    /// What a period has cost, in the budget itself and in its shares.
    fn counter(&self, period: Period) -> Counter {
        let own = self.budget.counter(period);
        let granted = self.budget.granted.get(&period).copied().unwrap_or_default();
        let mut committed = difference(own.committed, granted);
        let mut settled = own.settled().pico();
        let mut is_settled = own.settled.is_some();
        for share in &self.shares {
            let counter = share.counter(period);
            committed = committed.saturating_add(counter.committed.pico());
            settled = settled.saturating_add(counter.settled().pico());
            is_settled |= counter.settled.is_some();
        }
        Counter { committed: amount(committed), settled: is_settled.then(|| amount(settled)) }
    }

    /// What a call of this amount needs that was refused in a share, or in the budget itself.
    #[must_use]
    pub fn next(&self, share: Option<u8>, needed: Money, now: Timestamp) -> Next {
        match share {
            Some(share) => self.next_of_share(share, needed, now),
            None => self.next_of_whole(needed, now),
        }
    }

    /// A call that is held in the budget itself needs what shares have left over, too.
    fn next_of_whole(&self, needed: Money, now: Timestamp) -> Next {
        let settings = &self.budget.terms.settings;
        let day = settings.zone.day(now);
        let merged = self.merged();
        let refused = |why| Next::Refused(Box::new(Refusal { why, needed, budget: Some(merged) }));
        if let Some(why) = refusing(&self.merged(), day, needed) {
            return refused(why);
        }
        let short = if settings.mode == Mode::Soft { Money::ONE_PICO } else { needed };
        let periods = Period::of(day);
        let lacking = self.lacking(periods, [short.pico(); 3]);
        if settings.mode == Mode::Observe || lacking.iter().all(|lacking| *lacking == 0) {
            return Next::Ready;
        }
        match self.donated(None, periods, lacking) {
            Some(transaction) => Next::Move(transaction),
            None => refused(Why::TooManyHolds),
        }
    }

    fn next_of_share(&self, share: u8, needed: Money, now: Timestamp) -> Next {
        let Some(own) = self.shares.get(usize::from(share)) else { return Next::Gone };
        let day = own.terms.settings.zone.day(now);
        // One that has not followed a change of the zone yet would look at another day's room.
        let is_gone = own.terms.settings.mode == Mode::Closed
            || own.terms.settings.zone != self.budget.terms.settings.zone
            || share >= self.budget.terms.shares_used()
            || own.terms.is_closed(day)
            || self.budget.terms.is_closed(day);
        if is_gone {
            return Next::Gone;
        }
        let periods = Period::of(day);
        let short = periods.map(|period| needed.pico().saturating_sub(idle(own, period)));
        if short.iter().all(|short| *short <= 0) {
            return Next::Ready;
        }
        let merged = self.merged();
        let refused = |why| Next::Refused(Box::new(Refusal { why, needed, budget: Some(merged) }));
        if let Some(why) = refusing(&self.merged(), day, needed) {
            return refused(why);
        }
        let lacking = self.lacking(periods, short);
        if lacking.iter().any(|lacking| *lacking > 0) {
            return match self.donated(Some(share), periods, lacking) {
                Some(transaction) => Next::Move(transaction),
                // Others have committed more than they have drawn: their room is no room.
                None => refused(Why::TooManyHolds),
            };
        }
        let amounts = self.gains(own, periods, needed);
        let moved = Move { day, amounts };
        let owner = self.share(share);
        Next::Move(update::draw(&self.owner, &owner, &moved, &self.budget.terms))
    }

    /// A draw ahead of the calls; `None` where the share has enough, or the pool is too small to
    /// take from it unasked.
    #[must_use]
    pub fn ahead(&self, share: u8, now: Timestamp) -> Option<Transaction> {
        let own = self.shares.get(usize::from(share))?;
        let (terms, day) = (&self.budget.terms, own.terms.settings.zone.day(now));
        let periods = Period::of(day);
        let is_used = share < terms.shares_used() && own.terms.settings.mode != Mode::Closed;
        let room = |period| amount(idle(own, period));
        if !is_used || own.terms.is_closed(day) || terms.is_closed(day) {
            return None;
        }
        let moved = Move { day, amounts: self.gains(own, periods, Money::ZERO) };
        let is_due = terms.is_low(periods, room) && !moved.is_nothing();
        is_due.then(|| update::draw(&self.owner, &self.share(share), &moved, terms))
    }

    /// What every share needs now, whoever calls: the budget's mode and zone, what it has
    /// committed beyond its allowance, and back what is too much. Each write stands alone; after
    /// all of them, look again.
    #[must_use]
    pub fn tend(&self, now: Timestamp) -> Vec<Transaction> {
        let mut writes = Vec::new();
        let mut above = [None; 3];
        for (number, own) in (0_u8..).zip(&self.shares) {
            let owner = self.share(number);
            let wanted = self.settings_of(number);
            if own.terms.settings != wanted {
                let change = update::limit_change(&owner, &wanted, own.terms.epoch);
                writes.push(Transaction { actions: vec![change] });
                continue;
            }
            let day = own.terms.settings.zone.day(now);
            if own.terms.is_closed(day) || self.budget.terms.is_closed(day) {
                continue;
            }
            let periods = Period::of(day);
            let over = periods.map(|period| amount(idle(own, period).min(0).saturating_neg()));
            let over = Move { day, amounts: over };
            if !over.is_nothing() {
                writes.push(update::cover(&self.owner, &owner, &over, own));
                continue;
            }
            let mut back = [Money::ZERO; 3];
            for ((period, back), above) in periods.into_iter().zip(&mut back).zip(&mut above) {
                let above = above.get_or_insert_with(|| self.above(period));
                *back = amount(self.surplus(number, own, period, above));
            }
            let back = Move { day, amounts: back };
            if !back.is_nothing() {
                writes.push(update::give_back(&self.owner, &owner, &back, own));
            }
        }
        writes
    }

    /// Whether a change is not done yet: a share still follows older terms, more is granted than
    /// a limit allows while something of it can come back, or a share that is not in use still
    /// has something.
    #[must_use]
    pub fn is_pending(&self, now: Timestamp) -> bool {
        (0_u8..).zip(&self.shares).any(|(number, own)| {
            let periods = Period::of(own.terms.settings.zone.day(now));
            let has_idle = |period: Period| idle(own, period) > 0;
            let is_used = number < self.budget.terms.shares_used();
            let is_above = |period: Period| has_idle(period) && self.above(period) > 0;
            own.terms.settings != self.settings_of(number)
                || periods.into_iter().any(is_above)
                || (!is_used && (own.open > 0 || periods.into_iter().any(has_idle)))
        })
    }

    /// The settings that a share is to have.
    #[must_use]
    pub fn settings_of(&self, share: u8) -> Settings {
        share_settings(&self.budget.terms, share)
    }

    fn share(&self, number: u8) -> Owner {
        Owner { scope: self.owner.scope.with_share(number), ..self.owner.clone() }
    }

    /// What nobody has drawn in a period; below zero where the limit was lowered. `None` without
    /// a limit.
    fn pool(&self, period: Period) -> Option<i128> {
        let limit = self.budget.terms.limit(period)?;
        Some(difference(limit, self.budget.counter(period).committed))
    }

    /// How much more is committed in a period than its limit.
    fn above(&self, period: Period) -> i128 {
        self.pool(period).unwrap_or_default().min(0).saturating_neg()
    }

    /// What the pool lacks for a draw of what is short.
    fn lacking(&self, periods: [Period; 3], short: [i128; 3]) -> [i128; 3] {
        let mut lacking = [0; 3];
        for ((lacking, short), period) in lacking.iter_mut().zip(short).zip(periods) {
            if let (true, Some(pool)) = (short > 0, self.pool(period)) {
                *lacking = short.saturating_sub(pool).max(0);
            }
        }
        lacking
    }

    /// Gives back, from the share with the most to spare, what the pool lacks most.
    fn donated(
        &self,
        share: Option<u8>,
        periods: [Period; 3],
        lacking: [i128; 3],
    ) -> Option<Transaction> {
        let (worst, _) = periods.into_iter().zip(lacking).max_by_key(|(_, lacking)| *lacking)?;
        let others = (0_u8..).zip(&self.shares).filter(|(number, _)| Some(*number) != share);
        let richest = others.max_by_key(|(_, other)| idle(other, worst));
        let (number, donor) = richest.filter(|(_, donor)| idle(donor, worst) > 0)?;
        let mut amounts = [Money::ZERO; 3];
        for ((back, lacking), period) in amounts.iter_mut().zip(lacking).zip(periods) {
            let idle = idle(donor, period).max(0);
            // Half of it at least, or the next call comes for more.
            let half = idle.checked_div(2).unwrap_or_default();
            *back = amount(if lacking > 0 { lacking.max(half).min(idle) } else { 0 });
        }
        let [_, Period::Day(day), _] = periods else { return None };
        let moved = Move { day, amounts };
        Some(update::give_back(&self.owner, &self.share(number), &moved, donor))
    }

    /// What a share draws for a call: what is short, and ahead of further calls up to a usual
    /// part of the limit, but of the pool at most half.
    fn gains(&self, own: &Budget, periods: [Period; 3], needed: Money) -> [Money; 3] {
        let needed = needed.pico();
        let mut most = needed.saturating_mul(CALLS);
        let mut gains = [0; 3];
        for (gain, period) in gains.iter_mut().zip(periods) {
            let (Some(pool), Some(chunk)) = (self.pool(period), self.budget.terms.chunk(period))
            else {
                continue;
            };
            let idle = idle(own, period);
            let chunk = chunk.max(needed.saturating_mul(CALLS));
            let spare = pool.checked_div(2).unwrap_or_default().max(0);
            let ahead = chunk.saturating_sub(idle).min(spare);
            *gain = needed.saturating_sub(idle).max(ahead).max(0);
            most = most.max(*gain);
        }
        for (gain, period) in gains.iter_mut().zip(periods) {
            if self.pool(period).is_none() && idle(own, period) < most {
                *gain = most;
            }
        }
        gains.map(amount)
    }

    /// What a share has too much in a period. `above` is what the whole still has to get back.
    fn surplus(&self, number: u8, own: &Budget, period: Period, above: &mut i128) -> i128 {
        let idle = idle(own, period).max(0);
        if number >= self.budget.terms.shares_used() {
            return idle;
        }
        if *above > 0 {
            let back = idle.min(*above);
            *above = above.saturating_sub(back);
            return back;
        }
        let Some(chunk) = self.budget.terms.chunk(period) else { return 0 };
        let is_rich = idle > chunk.saturating_mul(2);
        if is_rich { idle.saturating_sub(chunk) } else { 0 }
    }
}

/// The amounts of an item whose names begin so: of months, of days, and the one of the total.
pub(crate) fn read_amounts(
    item: &Item,
    [month, day, total]: [&str; 3],
) -> Result<Allowances, Error> {
    let mut amounts = Allowances::new();
    for name in item.keys() {
        let wrong = || malformed(name);
        let (kind, rest) = name.split_once('_').unwrap_or((name, ""));
        let number = || rest.parse::<u32>().ok();
        let period = if kind == month {
            number().and_then(|number| Month::from_number(number).ok()).map(Period::Month)
        } else if kind == day {
            number().and_then(|number| Day::from_number(number).ok()).map(Period::Day)
        } else if name == total {
            Some(Period::Total)
        } else {
            continue;
        };
        let amount = read_money(item, name)?.unwrap_or_default();
        amounts.insert(period.ok_or_else(wrong)?, amount);
    }
    Ok(amounts)
}

/// The settings of a share: the budget's mode and zone where it is in use, else closed.
#[must_use]
pub fn share_settings(terms: &Terms, share: u8) -> Settings {
    let mode = if share < terms.shares_used() { terms.settings.mode } else { Mode::Closed };
    let (zone, limits) = (terms.settings.zone.clone(), Limits::default());
    Settings { mode, zone, limits, thresholds: Vec::new() }
}

/// What a share may still commit in a period; below zero where it has committed more.
fn idle(share: &Budget, period: Period) -> i128 {
    let allowed = share.terms.limit(period).unwrap_or_default();
    difference(allowed, share.counter(period).committed)
}

/// A sum of amounts; none of them comes near what money cannot be.
fn amount(pico: i128) -> Money {
    Money::from_pico(pico).unwrap_or_default()
}
