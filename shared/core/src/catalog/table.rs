//! A price list as `encode.rs` laid it out: nothing is parsed but the row that is asked for.

use std::borrow::Cow;

use crate::catalog::{Mode, Model};
use crate::pricing::{
    Card, ContextTier, FemtoPerToken, Period, Price, Rates, Schedule, ServiceTier, When,
};
use crate::{Money, Timestamp};

/// Bytes of one number of fixed size.
const NUMBER: usize = 4;
/// Numbers before the first record: the counts of providers, rows and aliases.
const HEAD: usize = 3;
/// Numbers of a provider's record.
const PROVIDER: usize = 6;
/// Numbers of a row's and of an alias's record.
const NAMED: usize = 3;

/// Where the sections begin, counted in numbers; the names begin after their length.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    version: &'a str,
    providers: usize,
    rows: usize,
    rows_at: usize,
    aliases_at: usize,
    names_at: usize,
}

/// The rows and aliases of one provider.
#[derive(Clone, Copy)]
pub(super) struct Provider<'a> {
    table: Table<'a>,
    pub(super) name: &'a str,
    rows: (usize, usize),
    aliases: (usize, usize),
}

impl<'a> Table<'a> {
    /// Reads the counts. `None` means bytes that `encode.rs` did not write.
    pub(super) fn open(bytes: &'a [u8], version: &'a str) -> Option<Self> {
        let number = |index| number(bytes, index);
        let (providers, rows, aliases) = (number(0)?, number(1)?, number(2)?);
        let rows_at = providers.checked_mul(PROVIDER)?.checked_add(HEAD)?;
        let aliases_at = rows.checked_mul(NAMED)?.checked_add(rows_at)?;
        let names_at = aliases.checked_mul(NAMED)?.checked_add(aliases_at)?;
        Some(Self { bytes, version, providers, rows, rows_at, aliases_at, names_at })
    }

    /// Whether all of it is there: the last row stands at its end.
    pub(super) fn is_whole(self) -> bool {
        let last = self.rows.checked_sub(1).zip(self.providers().last());
        let is_last_there = last.and_then(|(row, provider)| provider.model(row)).is_some();
        is_last_there && self.providers().count() == self.providers
    }

    /// How many rows there are.
    pub(super) const fn rows(self) -> usize {
        self.rows
    }

    /// All providers, by name.
    pub(super) fn providers(self) -> impl Iterator<Item = Provider<'a>> {
        (0..self.providers).map_while(move |index| self.provider_at(index))
    }

    /// The provider of this name.
    pub(super) fn provider(self, name: &str) -> Option<Provider<'a>> {
        let index = search((0, self.providers), name, |index| {
            self.name_at(index.checked_mul(PROVIDER)?.checked_add(HEAD)?)
        })?;
        self.provider_at(index)
    }

    fn provider_at(self, index: usize) -> Option<Provider<'a>> {
        let at = index.checked_mul(PROVIDER)?.checked_add(HEAD)?;
        let read = |offset: usize| self.number(at.checked_add(offset)?);
        let (rows, aliases) = ((read(2)?, read(3)?), (read(4)?, read(5)?));
        Some(Provider { table: self, name: self.name_at(at)?, rows, aliases })
    }

    /// The name whose place and length stand at this number.
    fn name_at(self, at: usize) -> Option<&'a str> {
        self.text(self.number(at)?, self.number(at.checked_add(1)?)?)
    }

    fn number(self, index: usize) -> Option<usize> {
        number(self.bytes, index)
    }

    fn text(self, place: usize, length: usize) -> Option<&'a str> {
        let names = self.names_at.checked_add(1)?.checked_mul(NUMBER)?;
        let start = names.checked_add(place)?;
        core::str::from_utf8(self.bytes.get(start..start.checked_add(length)?)?).ok()
    }

    fn bodies(self) -> Option<usize> {
        let names = self.names_at.checked_add(1)?.checked_mul(NUMBER)?;
        names.checked_add(self.number(self.names_at)?)
    }
}

impl<'a> Provider<'a> {
    /// The number of the row of this name, else of the row that has this alias.
    pub(super) fn row(self, name: &str) -> Option<usize> {
        search(self.rows, name, |row| self.table.name_at(self.record(row)?)).or_else(|| {
            let record =
                |alias: usize| alias.checked_mul(NAMED)?.checked_add(self.table.aliases_at);
            let alias = search(self.aliases, name, |alias| self.table.name_at(record(alias)?))?;
            self.table.number(record(alias)?.checked_add(2)?)
        })
    }

    /// The numbers of all rows.
    pub(super) fn rows(self) -> core::ops::Range<usize> {
        self.rows.0..self.rows.1
    }

    /// Decodes one row.
    pub(super) fn model(self, row: usize) -> Option<Model> {
        let record = self.record(row)?;
        let body = self.table.number(record.checked_add(2)?)?;
        let at = self.table.bodies()?.checked_add(body)?;
        let mut body = Body { table: self.table, rest: self.table.bytes.get(at..)? };
        Some(Model {
            provider: owned(self.name),
            name: owned(self.table.name_at(record)?),
            mode: match body.optional()? {
                Some(0) => Mode::Chat,
                Some(1) => Mode::Completion,
                Some(2) => Mode::Embedding,
                Some(3) => Mode::Responses,
                _ => Mode::Unknown,
            },
            context_window: body.optional()?,
            completion_max: body.optional()?,
            price: if body.flag()? { Some(body.price()?) } else { None },
        })
    }

    fn record(self, row: usize) -> Option<usize> {
        row.checked_mul(NAMED)?.checked_add(self.table.rows_at)
    }
}

/// A row outlives the list that it was read from.
fn owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.to_owned())
}

/// A number of fixed size.
fn number(bytes: &[u8], index: usize) -> Option<usize> {
    let at = index.checked_mul(NUMBER)?;
    let bytes = bytes.get(at..at.checked_add(NUMBER)?)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

/// Binary search by name among sorted records.
fn search<'a>(
    (mut low, mut high): (usize, usize),
    name: &str,
    name_of: impl Fn(usize) -> Option<&'a str>,
) -> Option<usize> {
    while low < high {
        let middle = low.midpoint(high);
        match name_of(middle)?.cmp(name) {
            core::cmp::Ordering::Equal => return Some(middle),
            core::cmp::Ordering::Less => low = middle.checked_add(1)?,
            core::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

/// What is left of a row's body.
struct Body<'a> {
    table: Table<'a>,
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    fn number(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0_u64, 0_u32);
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if *byte < 0x80 {
                return Some(value);
            }
            shift = shift.checked_add(7)?;
        }
    }

    /// An optional number is 0 or itself plus one. The outer `None` is an unreadable body.
    fn optional(&mut self) -> Option<Option<u64>> {
        Some(self.number()?.checked_sub(1))
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.number()? == 1)
    }

    fn text(&mut self) -> Option<&'a str> {
        let place = usize::try_from(self.number()?).ok()?;
        let length = usize::try_from(self.number()?).ok()?;
        self.table.text(place, length)
    }

    fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.number()?).map(|_| one(self)).collect()
    }

    fn price(&mut self) -> Option<Price> {
        Some(Price {
            version: owned(self.table.version),
            auto_cache_write: self.flag()?,
            per_request: self.fee()?,
            web_search: self.fee()?,
            schedule: self.schedule()?,
            periods: self
                .many(|body| Some(Period { when: body.when()?, schedule: body.schedule()? }))?,
            rounded_up: self.flag()?,
        })
    }

    fn fee(&mut self) -> Option<Option<Money>> {
        let pico = self.optional()?;
        pico.map(|pico| Money::from_pico(pico.into()).ok()).map_or(Some(None), |fee| fee.map(Some))
    }

    fn when(&mut self) -> Option<When> {
        let windows = self.many(|body| {
            let mut minute = || u16::try_from(body.number()?).ok();
            Some((minute()?, minute()?))
        })?;
        if windows.is_empty() {
            return Some(When::From(Timestamp::parse(self.text()?).ok()?));
        }
        Some(When::Daily { windows, weekdays_only: self.flag()? })
    }

    fn schedule(&mut self) -> Option<Schedule> {
        Some(Schedule {
            standard: self.card()?,
            service_tiers: self
                .many(|body| Some(ServiceTier { name: owned(body.text()?), card: body.card()? }))?,
        })
    }

    fn card(&mut self) -> Option<Card> {
        Some(Card {
            rates: self.rates()?,
            context_tiers: self.many(|body| {
                Some(ContextTier { above_tokens: body.number()?, rates: body.rates()? })
            })?,
        })
    }

    /// In the order of `CLASSES` in `encode.rs`.
    fn rates(&mut self) -> Option<Rates> {
        Some(Rates {
            input: self.rate()??,
            cached: self.rate()?,
            cache_write_5m: self.rate()?,
            cache_write_1h: self.rate()?,
            audio_input: self.rate()?,
            audio_cached: self.rate()?,
            output: self.rate()?,
            reasoning: self.rate()?,
            audio_output: self.rate()?,
        })
    }

    fn rate(&mut self) -> Option<Option<FemtoPerToken>> {
        match self.optional()? {
            None => Some(None),
            Some(femto) => FemtoPerToken::new(femto).map(Some),
        }
    }
}
