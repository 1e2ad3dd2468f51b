//! A budget as people read it.

use farebox_core::{Money, Timestamp};

use crate::budget::{Budget, Mode, Period};
use crate::update::HOLDS_MAX;

/// One line of `GET /v1/budget`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodView {
    /// Which period.
    pub period: Period,
    /// Its limit, if it has one.
    pub limit: Option<Money>,
    /// What is charged.
    pub settled: Money,
    /// What is held for open calls.
    pub held: Money,
    /// Limit less settled and held, never below zero; `None` without a limit.
    pub room: Option<Money>,
    /// When the period ends.
    pub resets_at: Option<Timestamp>,
    /// Whether the charges alone have reached the limit.
    pub exceeded: bool,
}

/// What a reserve would come to in one period, as far as a reader can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prospect {
    /// It has room.
    Admitted,
    /// Open holds take its room: it would wait for them (money.md 4.1-7).
    Waits,
    /// What is settled leaves no room.
    Refused,
}

impl Budget {
    /// Limit less committed in a period, never below zero; `None` without a limit.
    #[must_use]
    pub fn room(&self, period: Period) -> Option<Money> {
        let limit = self.terms.limit(period)?;
        let left = limit.minus(self.counter(period).committed).unwrap_or_default();
        Some(left.max(Money::ZERO))
    }

    /// Limit less settled in a period, never below zero: its room if every open hold ended at
    /// nothing. `None` without a limit.
    #[must_use]
    pub fn unspent(&self, period: Period) -> Option<Money> {
        let limit = self.terms.limit(period)?;
        let left = limit.minus(self.counter(period).settled()).unwrap_or_default();
        Some(left.max(Money::ZERO))
    }

    /// What a reserve of this amount would come to in a period.
    #[must_use]
    pub fn prospect(&self, period: Period, amount: Money) -> Prospect {
        let mode = self.terms.settings.mode;
        let limit = match (mode, self.terms.limit(period)) {
            (Mode::Closed, _) => return Prospect::Refused,
            (Mode::Observe, _) | (_, None) => return Prospect::Admitted,
            (_, Some(limit)) => limit,
        };
        let (room, counter) = (mode.room(limit, amount), self.counter(period));
        if counter.settled().pico() > room {
            Prospect::Refused
        } else if counter.committed.pico() > room || self.open >= HOLDS_MAX {
            Prospect::Waits
        } else {
            Prospect::Admitted
        }
    }

    /// The current month, day and the total, for the owner to read.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> Vec<PeriodView> {
        let settings = &self.terms.settings;
        let periods = Period::of(settings.zone.day(now)).into_iter();
        let view = periods.map(|period| {
            let (counter, limit) = (self.counter(period), self.terms.limit(period));
            PeriodView {
                period,
                limit,
                settled: counter.settled(),
                held: counter.held(),
                room: self.room(period),
                resets_at: period.end(&settings.zone),
                exceeded: limit.is_some_and(|limit| counter.settled() >= limit),
            }
        });
        view.collect()
    }
}
