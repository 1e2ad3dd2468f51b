//! The machine's time, which only a terminal's command asks for.

use std::time::UNIX_EPOCH;

use farebox_core::{Day, Timestamp};

/// Now.
#[expect(clippy::disallowed_methods, reason = "the command line's edge: nobody hands in the time")]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The day on which the last so many days begin, today the last of them.
pub fn first_of_last(days: u32, now: Timestamp) -> Day {
    let back = i64::from(days.saturating_sub(1)).saturating_mul(86_400_000);
    now.plus_ms(back.saturating_neg()).utc_day()
}

/// A day as it is typed: `2026-11-23`.
pub fn dashed(day: Day) -> String {
    let text = day.to_string();
    match (text.get(..4), text.get(4..6), text.get(6..)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => text,
    }
}

/// The time of an HTTP `Date`: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
pub fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)?.checked_add(1)?;
    Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read() {
        let read = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();

        assert_eq!(read.to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(http_date("yesterday"), None);
    }

    #[test]
    fn the_last_seven_days_end_today() {
        let now = Timestamp::parse("2026-12-02T10:00:00Z").unwrap();

        assert_eq!(dashed(first_of_last(7, now)), "2026-11-26");
        assert_eq!(dashed(first_of_last(1, now)), "2026-12-02");
    }
}
