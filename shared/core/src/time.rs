//! Instants and the owner's calendar. Nothing here reads a clock.

use core::fmt;

use jiff::{ToSpan, civil, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A local calendar day as the number `YYYYMMDD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(u32);

/// A local calendar month as the number `YYYYMM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Month(u32);

/// An IANA time zone with its name.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// Why a text is not a time or a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not in the IANA database.
    #[error("unknown time zone {0:?}: use an IANA name such as Europe/Berlin")]
    UnknownZone(String),
    /// Not an RFC 3339 instant.
    #[error("not an RFC 3339 time: {0:?}")]
    NotATime(String),
    /// A number that names no day or month.
    #[error("not a calendar date: {0}")]
    NotADate(String),
}

impl Timestamp {
    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant moved by `ms`, held at the ends of the number range.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; negative when it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads an RFC 3339 text.
    ///
    /// # Errors
    /// [`TimeError::NotATime`].
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let parsed: jiff::Timestamp =
            text.parse().map_err(|_| TimeError::NotATime(text.to_owned()))?;
        Ok(Self(parsed.as_millisecond()))
    }

    /// Reads a date as HTTP writes it, such as `Wed, 21 Oct 2026 07:28:00 GMT` (RFC 9110).
    ///
    /// # Errors
    /// [`TimeError::NotATime`].
    pub fn parse_http(text: &str) -> Result<Self, TimeError> {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let not_a_time = || TimeError::NotATime(text.to_owned());
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        let [_, day, month, year, clock, "GMT"] = words.as_slice() else {
            return Err(not_a_time());
        };
        let mut months = (1..).zip(MONTHS);
        let (month, _) = months.find(|(_, name)| name == month).ok_or_else(not_a_time)?;
        Self::parse(&format!("{year}-{month:02}-{day:0>2}T{clock}Z")).map_err(|_| not_a_time())
    }

    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// The UTC day.
    #[must_use]
    pub fn utc_day(self) -> Day {
        day_of(self.jiff().to_zoned_datetime(TimeZone::UTC).date())
    }
}

/// RFC 3339 in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.jiff(), f)
    }
}

impl Day {
    /// A day from its number `YYYYMMDD`.
    ///
    /// # Errors
    /// [`TimeError::NotADate`].
    pub fn from_number(number: u32) -> Result<Self, TimeError> {
        let day = Self(number);
        day.civil().map(|_| day).ok_or_else(|| TimeError::NotADate(number.to_string()))
    }

    /// The number `YYYYMMDD`.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The month that the day is in.
    #[must_use]
    pub const fn month(self) -> Month {
        Month(self.0.wrapping_div(100))
    }

    /// Its noon in UTC, which is within the day in most of the world's zones.
    #[must_use]
    pub fn utc_noon(self) -> Timestamp {
        let noon = self
            .civil()
            .and_then(|date| date.at(12, 0, 0, 0).to_zoned_datetime(TimeZone::UTC).ok());
        noon.map_or(Timestamp(0), |noon| Timestamp(noon.timestamp().as_millisecond()))
    }

    /// The day before.
    #[must_use]
    pub fn previous(self) -> Self {
        match self.civil().and_then(|date| date.yesterday().ok()) {
            Some(date) => day_of(date),
            None => self,
        }
    }

    fn civil(self) -> Option<civil::Date> {
        let year = i16::try_from(self.0.wrapping_div(10_000)).ok()?;
        let month = i8::try_from(self.0.wrapping_div(100).wrapping_rem(100)).ok()?;
        let day = i8::try_from(self.0.wrapping_rem(100)).ok()?;
        civil::Date::new(year, month, day).ok()
    }
}

impl Month {
    /// A month from its number `YYYYMM`.
    ///
    /// # Errors
    /// [`TimeError::NotADate`].
    pub fn from_number(number: u32) -> Result<Self, TimeError> {
        let month = Self(number);
        month.first().map(|_| month).ok_or_else(|| TimeError::NotADate(number.to_string()))
    }

    /// The number `YYYYMM`.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The month before.
    #[must_use]
    pub const fn previous(self) -> Self {
        // January is 1: the December before it is 88 + 1 lower.
        Self(if self.0 % 100 == 1 { self.0.wrapping_sub(89) } else { self.0.wrapping_sub(1) })
    }

    fn first(self) -> Option<civil::Date> {
        Day(self.0.checked_mul(100)?.checked_add(1)?).civil()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl Zone {
    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// Looks up an IANA name.
    ///
    /// # Errors
    /// [`TimeError::UnknownZone`].
    pub fn parse(name: &str) -> Result<Self, TimeError> {
        if name == "UTC" {
            return Ok(Self::utc());
        }
        let zone = jiff::tz::db()
            .get(name)
            .map_err(|_| TimeError::UnknownZone(name.chars().take(64).collect()))?;
        Ok(Self { name: name.to_owned(), zone })
    }

    /// The name that it was looked up by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The local day of an instant.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Day {
        day_of(at.jiff().to_zoned_datetime(self.zone.clone()).date())
    }

    /// The instant at which a local day ends.
    #[must_use]
    pub fn end_of_day(&self, day: Day) -> Timestamp {
        let next = day.civil().and_then(|date| date.tomorrow().ok());
        self.start_of(next)
    }

    /// The instant at which a local month ends.
    #[must_use]
    pub fn end_of_month(&self, month: Month) -> Timestamp {
        let next = month.first().and_then(|date| date.checked_add(1.month()).ok());
        self.start_of(next)
    }

    fn start_of(&self, date: Option<civil::Date>) -> Timestamp {
        let start = date.and_then(|date| date.to_zoned_datetime(self.zone.clone()).ok());
        start.map_or(Timestamp(i64::MAX), |start| Timestamp(start.timestamp().as_millisecond()))
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

fn day_of(date: civil::Date) -> Day {
    let part = |number: i16| u32::from(number.unsigned_abs());
    let (year, month, day) = (date.year(), i16::from(date.month()), i16::from(date.day()));
    let number = part(year).wrapping_mul(10_000);
    Day(number.wrapping_add(part(month).wrapping_mul(100)).wrapping_add(part(day)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_read_and_nothing_like_it() {
        let at = Timestamp::parse("2026-10-21T07:28:00Z").unwrap();
        assert_eq!(Timestamp::parse_http("Wed, 21 Oct 2026 07:28:00 GMT").unwrap(), at);
        assert_eq!(
            Timestamp::parse_http("Wed, 1 Oct 2026 07:28:00 GMT").unwrap().utc_day().number(),
            20_261_001
        );
        for odd in [
            "",
            "Wed, 21 Oct 2026 07:28:00",
            "Wed, 21 anF 2026 07:28:00 GMT",
            "2026-10-21T07:28:00Z",
            "Wed, 32 Oct 2026 07:28:00 GMT",
            "Wed, 21 O 2026 07:28:00 GMT",
        ] {
            assert!(Timestamp::parse_http(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_day_belongs_to_the_owners_zone() {
        let at = Timestamp::parse("2026-11-23T23:30:00Z").unwrap();

        assert_eq!(Zone::utc().day(at).number(), 20_261_123);
        assert_eq!(Zone::parse("Europe/Berlin").unwrap().day(at).number(), 20_261_124);
        assert_eq!(Zone::parse("America/New_York").unwrap().day(at).number(), 20_261_123);
    }

    #[test]
    fn a_spring_day_has_twenty_three_hours() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let day = Day::from_number(20_260_329).unwrap();

        let start = berlin.end_of_day(day.previous());

        assert_eq!(berlin.end_of_day(day).since(start), 23 * 3_600_000);
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let end = Zone::utc().end_of_month(Month::from_number(202_612).unwrap());

        assert_eq!(end.to_string(), "2027-01-01T00:00:00Z");
    }

    #[test]
    fn before_january_is_december() {
        let previous = |number| Month::from_number(number).unwrap().previous().number();

        assert_eq!((previous(202_701), previous(202_612)), (202_612, 202_611));
    }

    #[test]
    fn what_names_no_date_or_zone_is_refused() {
        assert!(Day::from_number(20_260_230).is_err());
        assert!(Month::from_number(202_613).is_err());
        assert!(Zone::parse("Mars/Olympus").is_err());
        assert!(Timestamp::parse("yesterday").is_err());
    }
}
