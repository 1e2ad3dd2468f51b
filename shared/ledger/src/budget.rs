//! A budget as its item tells it: terms, counters, open holds, fences.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use farebox_core::{Day, Money, Month, Rid, Timestamp, Zone};

use crate::Error;
use crate::item::{self, Item, difference, malformed, read_money, read_number, read_text};
use crate::scope::Owner;
use crate::share::{Allowances, Shares, read_amounts};
use crate::update::Update;

/// How strict a budget is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A call is admitted only where its worst case fits.
    Hard,
    /// As hard, but a call whose stream can be metered holds less at first, and more as it goes
    /// on (money.md 6).
    Balanced,
    /// A call is admitted while anything is left, so the last one may pass the limit.
    Soft,
    /// Every call is admitted; it only counts and alerts.
    Observe,
    /// Every call is refused. The item stays and its identity is never used again.
    Closed,
}

/// What may be spent; an absent limit is no limit of that kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// In one local calendar month.
    pub month: Option<Money>,
    /// In one local calendar day.
    pub day: Option<Money>,
    /// For ever.
    pub total: Option<Money>,
}

/// What the owner sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How strict.
    pub mode: Mode,
    /// Whose midnight.
    pub zone: Zone,
    /// What may be spent.
    pub limits: Limits,
    /// Percentages of a limit whose reaching is told.
    pub thresholds: Vec<u8>,
}

/// What a cached copy of a budget may hold: everything here is fenced by `epoch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Rises with every change of these terms (attribute `ep`).
    pub epoch: u64,
    /// Rises with the owner's changes: the identity of an alert (attribute `lv`).
    pub version: u64,
    /// What the owner set.
    pub settings: Settings,
    /// The highest archived month.
    pub archived_month: Option<Month>,
    /// The highest pruned day.
    pub pruned_day: Option<Day>,
    /// Its shares, where it has any (money.md 4.3).
    pub shares: Shares,
    /// What this share of a budget may commit in each period, and no other limit; `None` for a
    /// budget that is no share.
    pub allowances: Option<Allowances>,
}

/// A span of time with a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A local calendar month.
    Month(Month),
    /// A local calendar day.
    Day(Day),
    /// All time.
    Total,
}

/// What a period has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Settled and held.
    pub committed: Money,
    /// Settled; `None` until a first call of the period was settled.
    pub settled: Option<Money>,
}

/// A hold as it stands in the item: `amount.localday.deadline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The amount, at least one pico-USD.
    pub amount: Money,
    /// The local day that the call belongs to, for ever.
    pub day: Day,
    /// Seconds after the rid's time at which the call is over.
    pub deadline_s: u32,
}

/// A whole budget item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What may be cached.
    pub terms: Terms,
    /// Months that are not archived yet.
    pub months: BTreeMap<Month, Counter>,
    /// Days that are not pruned yet.
    pub days: BTreeMap<Day, Counter>,
    /// All time.
    pub total: Counter,
    /// How many holds are open (attribute `n`).
    pub open: u32,
    /// The open holds.
    pub holds: BTreeMap<Rid, Hold>,
    /// Fences, each with the epoch second after which it may be pruned.
    pub fences: BTreeMap<Rid, i64>,
    /// What shares have drawn from this budget: it is part of what is committed here.
    pub granted: Allowances,
}

impl Mode {
    /// The modes by the names that people write.
    pub const NAMES: [(&str, Self); 5] = [
        ("hard", Self::Hard),
        ("balanced", Self::Balanced),
        ("soft", Self::Soft),
        ("observe", Self::Observe),
        ("closed", Self::Closed),
    ];

    const WIRE: [(Self, &str); 5] = [
        (Self::Hard, "h"),
        (Self::Balanced, "b"),
        (Self::Soft, "s"),
        (Self::Observe, "o"),
        (Self::Closed, "closed"),
    ];

    /// Whether nothing is held above a limit.
    #[must_use]
    pub const fn is_strict(self) -> bool {
        matches!(self, Self::Hard | Self::Balanced)
    }

    /// The most that may be committed in a period with this limit before a call of this amount
    /// is admitted; below zero where nothing may. Only the modes that have limits ask for it.
    pub(crate) fn room(self, limit: Money, amount: Money) -> i128 {
        match self {
            Self::Soft => difference(limit, Money::ONE_PICO),
            Self::Hard | Self::Balanced | Self::Observe | Self::Closed => difference(limit, amount),
        }
    }

    /// The value of the attribute `md`.
    #[must_use]
    pub fn wire(self) -> &'static str {
        Self::WIRE.iter().find(|(mode, _)| *mode == self).map_or("", |(_, wire)| wire)
    }

    /// The name that people write.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, known)| *known == self).map_or("closed", |(name, _)| name)
    }

    /// Reads the attribute `md`.
    ///
    /// # Errors
    /// [`Error::ModeNotSupported`] for every mode that this release cannot enforce.
    pub fn parse(wire: &str) -> Result<Self, Error> {
        let known = Self::WIRE.iter().find(|(_, known)| *known == wire);
        known.map(|(mode, _)| *mode).ok_or_else(|| Error::ModeNotSupported(wire.to_owned()))
    }
}

impl Limits {
    /// The limit that binds in a period.
    #[must_use]
    pub const fn of(&self, period: Period) -> Option<Money> {
        match period {
            Period::Month(_) => self.month,
            Period::Day(_) => self.day,
            Period::Total => self.total,
        }
    }

    /// Whether there is no limit at all.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.month.is_none() && self.day.is_none() && self.total.is_none()
    }
}

impl Settings {
    /// Those of a budget that nobody has set: it only counts, without limits.
    #[must_use]
    pub fn observing() -> Self {
        let (mode, zone, limits) = (Mode::Observe, Zone::utc(), Limits::default());
        Self { mode, zone, limits, thresholds: Vec::new() }
    }

    /// Writes them into an item as [`Terms::parse`] reads them.
    pub(crate) fn write(&self, item: &mut Item) {
        item.insert("md".to_owned(), item::text(self.mode.wire()));
        item.insert("tz".to_owned(), item::text(self.zone.name()));
        item.insert("th".to_owned(), item::text(&self.thresholds_wire()));
        let limits = self.limits;
        for (name, limit) in [("lm", limits.month), ("ld", limits.day), ("lt", limits.total)] {
            if let Some(limit) = limit {
                item.insert(name.to_owned(), item::money(limit));
            }
        }
    }

    /// The value of the attribute `th`.
    pub(crate) fn thresholds_wire(&self) -> String {
        let texts: Vec<String> = self.thresholds.iter().map(u8::to_string).collect();
        texts.join(",")
    }
}

impl Terms {
    /// The limit that binds in a period: of a share, what it may commit there.
    #[must_use]
    pub fn limit(&self, period: Period) -> Option<Money> {
        match &self.allowances {
            Some(allowances) => Some(allowances.get(&period).copied().unwrap_or_default()),
            None => self.settings.limits.of(period),
        }
    }

    /// Whether there is no limit at all.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.allowances.is_none() && self.settings.limits.is_unlimited()
    }

    /// Whether a call may hold less than its worst case here, because its stream is metered: a
    /// budget in another mode than these that has limits needs the whole.
    #[must_use]
    pub const fn lets_meter(&self) -> bool {
        self.is_metered() || matches!(self.settings.mode, Mode::Observe) || self.is_unlimited()
    }

    /// Whether a call is to be metered because of this budget.
    #[must_use]
    pub const fn is_metered(&self) -> bool {
        matches!(self.settings.mode, Mode::Balanced) && !self.is_unlimited()
    }

    /// Reads the terms of a budget item, and nothing else of it.
    ///
    /// # Errors
    /// [`Error`]; no call may be admitted under terms that cannot be read.
    pub fn parse(item: &Item) -> Result<Self, Error> {
        let mode = Mode::parse(read_text(item, "md")?.ok_or(Error::Missing("md"))?)?;
        let zone = read_text(item, "tz")?.unwrap_or("UTC");
        let limits = Limits {
            month: read_money(item, "lm")?,
            day: read_money(item, "ld")?,
            total: read_money(item, "lt")?,
        };
        let thresholds = read_text(item, "th")?.unwrap_or_default().split(',');
        let thresholds: Result<Vec<u8>, _> =
            thresholds.filter(|text| !text.is_empty()).map(str::parse).collect();
        let settings = Settings {
            mode,
            zone: Zone::parse(zone).map_err(|_| malformed("tz"))?,
            limits,
            thresholds: thresholds.map_err(|_| malformed("th"))?,
        };
        let month = read_number::<u32>(item, "am")?.map(Month::from_number).transpose();
        let day = read_number::<u32>(item, "ad")?.map(Day::from_number).transpose();
        Ok(Self {
            epoch: read_number(item, "ep")?.ok_or(Error::Missing("ep"))?,
            version: read_number(item, "lv")?.ok_or(Error::Missing("lv"))?,
            settings,
            archived_month: month.map_err(|_| malformed("am"))?,
            pruned_day: day.map_err(|_| malformed("ad"))?,
            shares: Shares {
                used: read_number(item, "sn")?.unwrap_or_default(),
                made: read_number(item, "sm")?.unwrap_or_default(),
            },
            allowances: match item.contains_key("ta") {
                true => Some(read_amounts(item, ["ma", "da", "ta"])?),
                false => None,
            },
        })
    }

    /// Whether a period of this day is closed, so that nothing may be reserved in it (I14).
    #[must_use]
    pub fn is_closed(&self, day: Day) -> bool {
        self.archived_month.is_some_and(|closed| day.month() <= closed)
            || self.pruned_day.is_some_and(|closed| day <= closed)
    }
}

impl Period {
    /// The three periods of a local day.
    #[must_use]
    pub const fn of(day: Day) -> [Self; 3] {
        [Self::Month(day.month()), Self::Day(day), Self::Total]
    }

    /// `month`, `day` or `total`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Month(_) => "month",
            Self::Day(_) => "day",
            Self::Total => "total",
        }
    }

    /// When it ends in a zone.
    #[must_use]
    pub fn end(self, zone: &Zone) -> Option<Timestamp> {
        match self {
            Self::Month(month) => Some(zone.end_of_month(month)),
            Self::Day(day) => Some(zone.end_of_day(day)),
            Self::Total => None,
        }
    }
}

/// `M#202611`, `D#20261123` or `T`, as alert keys spell it.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Month(month) => write!(f, "M#{month}"),
            Self::Day(day) => write!(f, "D#{day}"),
            Self::Total => f.write_str("T"),
        }
    }
}

impl Counter {
    /// What is charged.
    #[must_use]
    pub fn settled(&self) -> Money {
        self.settled.unwrap_or_default()
    }

    /// What is held.
    #[must_use]
    pub fn held(&self) -> Money {
        self.committed.minus(self.settled()).unwrap_or_default()
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.amount.pico(), self.day, self.deadline_s)
    }
}

impl FromStr for Hold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Malformed(text.chars().take(64).collect());
        let mut parts = text.split('.');
        let (Some(amount), Some(day), Some(deadline), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let amount = amount.parse::<i128>().ok().and_then(|pico| Money::from_pico(pico).ok());
        let day = day.parse::<u32>().ok().and_then(|number| Day::from_number(number).ok());
        let (Some(amount), Some(day), Ok(deadline_s)) = (amount, day, deadline.parse()) else {
            return Err(wrong());
        };
        let hold = Self { amount, day, deadline_s };
        // One spelling only: the conditions of the ledger compare texts.
        let canonical = amount >= Money::ONE_PICO && hold.to_string() == text;
        if canonical { Ok(hold) } else { Err(wrong()) }
    }
}

impl Budget {
    /// Reads a budget item.
    ///
    /// # Errors
    /// [`Error`] names the attribute. Attributes of unknown names are left alone.
    pub fn parse(item: &Item) -> Result<Self, Error> {
        let mut budget = Self {
            terms: Terms::parse(item)?,
            months: BTreeMap::new(),
            days: BTreeMap::new(),
            total: Counter {
                committed: read_money(item, "tc")?.ok_or(Error::Missing("tc"))?,
                settled: read_money(item, "ts")?,
            },
            open: read_number(item, "n")?.ok_or(Error::Missing("n"))?,
            holds: BTreeMap::new(),
            fences: BTreeMap::new(),
            granted: read_amounts(item, ["mg", "dg", "tg"])?,
        };
        for name in item.keys() {
            let wrong = || malformed(name);
            let Some((kind, rest)) = name.split_once('_') else { continue };
            match kind {
                "mc" | "ms" => {
                    let month = rest.parse().ok().and_then(|month| Month::from_number(month).ok());
                    let counter = budget.months.entry(month.ok_or_else(wrong)?).or_default();
                    counter.read(item, name, kind == "mc")?;
                }
                "dc" | "ds" => {
                    let day = rest.parse().ok().and_then(|day| Day::from_number(day).ok());
                    let counter = budget.days.entry(day.ok_or_else(wrong)?).or_default();
                    counter.read(item, name, kind == "dc")?;
                }
                "h" => {
                    let hold = read_text(item, name)?.ok_or_else(wrong)?;
                    budget.holds.insert(rest.parse().map_err(|_| wrong())?, hold.parse()?);
                }
                "x" => {
                    let until = read_number(item, name)?.ok_or_else(wrong)?;
                    budget.fences.insert(rest.parse().map_err(|_| wrong())?, until);
                }
                _ => {}
            }
        }
        Ok(budget)
    }

    /// The budget of an owner that has none yet: version 0, which no budget of the ledger has.
    #[must_use]
    pub fn unmade() -> Self {
        let settings = Settings::observing();
        let terms = Terms {
            epoch: 0,
            version: 0,
            settings,
            archived_month: None,
            pruned_day: None,
            shares: Shares::default(),
            allowances: None,
        };
        Self {
            terms,
            months: BTreeMap::new(),
            days: BTreeMap::new(),
            total: Counter::default(),
            open: 0,
            holds: BTreeMap::new(),
            fences: BTreeMap::new(),
            granted: Allowances::new(),
        }
    }

    /// The write that makes a budget. Its epoch starts at the time, so that no copy cached from
    /// an earlier life of the same name can match.
    #[must_use]
    pub fn create(owner: &Owner, settings: &Settings, now: Timestamp) -> Update {
        let key = owner.budget();
        let mut item = key.item();
        item.insert("ep".to_owned(), item::number(now.ms()));
        item.insert("lv".to_owned(), item::number(1));
        for name in ["n", "tc", "ts"] {
            item.insert(name.to_owned(), item::number(0));
        }
        settings.write(&mut item);
        Update::put(key, item, "attribute_not_exists(pk)")
    }

    /// What a period has cost; an absent one has cost nothing (I6).
    #[must_use]
    pub fn counter(&self, period: Period) -> Counter {
        match period {
            Period::Month(month) => self.months.get(&month).copied().unwrap_or_default(),
            Period::Day(day) => self.days.get(&day).copied().unwrap_or_default(),
            Period::Total => self.total,
        }
    }
}

impl Counter {
    fn read(&mut self, item: &Item, name: &str, is_committed: bool) -> Result<(), Error> {
        let amount = read_money(item, name)?;
        if is_committed {
            self.committed = amount.unwrap_or_default();
        } else {
            self.settled = amount;
        }
        Ok(())
    }
}
