//! What is taken off a list price, from which day on.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Card, ContextTier, FemtoPerToken, Price, Rates, Schedule};
use crate::{Error, Money, Timestamp};

/// A whole price in the unit of [`Left`].
const WHOLE: u32 = 1_000_000;
/// Decimals of a percentage: one ten-thousandth of a percent is one millionth of the price.
const DECIMALS: usize = 4;
/// Terms of one discount: it keeps those of the past, by which calls are rated again.
const TERMS_MAX: usize = 50;

/// What is taken off the prices of some models: each term holds from its beginning to that of the
/// next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "PutDiscount"))]
#[serde(deny_unknown_fields)]
pub struct Discount {
    /// One to fifty, by time.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 50)))]
    pub terms: Vec<Term>,
}

/// A percentage from an instant on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// When it begins, RFC 3339.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub from: String,
    /// How many percent are taken off, as a decimal text from `0` to below `100` with at most
    /// four decimals. `0` ends the discount.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[0-9]{1,2}(\.[0-9]{1,4})?$")))]
    pub off_percent: String,
}

/// How much of a price is left, in millionths of it: an exact ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left(u32);

impl Discount {
    /// Whether it can be applied.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field and the rule.
    pub fn check(&self) -> Result<(), Error> {
        if !(1..=TERMS_MAX).contains(&self.terms.len()) {
            return Err(Error::malformed("terms", "are 1 to 50"));
        }
        let mut earlier = None;
        for (at, term) in self.terms.iter().enumerate() {
            let field = |name| format!("terms[{at}].{name}");
            let rule = "write an RFC 3339 time, such as 2026-12-01T00:00:00Z";
            let from = Timestamp::parse(&term.from);
            let from = from.map_err(|_| Error::malformed(field("from"), rule))?;
            if earlier.is_some_and(|earlier| from <= earlier) {
                return Err(Error::malformed(field("from"), "is later than the term before"));
            }
            earlier = Some(from);
            let rule = "is a percentage from 0 to below 100, with at most four decimals";
            let left = Left::parse(&term.off_percent);
            left.ok_or_else(|| Error::malformed(field("off_percent"), rule))?;
        }
        Ok(())
    }

    /// The term in force at an instant; `None` where none has begun.
    #[must_use]
    pub fn term(&self, at: Timestamp) -> Option<&Term> {
        let has_begun = |term: &&Term| Timestamp::parse(&term.from).is_ok_and(|from| from <= at);
        self.terms.iter().rev().find(has_begun)
    }

    /// The price at an instant; `None` where no term has begun, or one cannot be read: then the
    /// price is the list's.
    #[must_use]
    pub fn of(&self, price: &Price, at: Timestamp) -> Option<Price> {
        let term = self.term(at)?;
        let left = Left::parse(&term.off_percent)?;
        if left.0 == WHOLE {
            return Some(price.clone());
        }
        Some(left.of(price, &term.off_percent))
    }
}

/// What a discount took off an amount that is left of tokens' list prices, by the name of the
/// prices that were applied (`2026-11-23-12.5%`): to the nearest pico-USD. Nothing, where they name
/// no discount.
#[must_use]
pub fn taken_off(price_version: &str, amount: Money) -> Money {
    let percent = price_version.strip_suffix('%').and_then(|name| name.rsplit_once('-'));
    let Some(left) = percent.and_then(|(_, percent)| Left::parse(percent)) else {
        return Money::ZERO;
    };
    let (left, whole) = (i128::from(left.0), i128::from(WHOLE));
    let off = amount.pico().checked_mul(whole.saturating_sub(left));
    let half = left.div_euclid(2);
    let off = off.and_then(|off| off.saturating_add(half).checked_div_euclid(left));
    off.and_then(|off| Money::from_pico(off).ok()).unwrap_or_default()
}

impl Left {
    fn parse(percent: &str) -> Option<Self> {
        let (whole, fraction) = percent.split_once('.').unwrap_or((percent, "0"));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let fits = (1..=2).contains(&whole.len()) && (1..=DECIMALS).contains(&fraction.len());
        if !fits || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let off: u32 = format!("{whole}{fraction:0<DECIMALS$}").parse().ok()?;
        WHOLE.checked_sub(off).map(Self)
    }

    /// Every price of a token. Fees by the piece stay: providers grant discounts on tokens, and a
    /// fee that is charged in full must be held in full.
    fn of(self, price: &Price, percent: &str) -> Price {
        let mut price = price.clone();
        let mut is_finer = false;
        let periods = price.periods.iter_mut().map(|period| &mut period.schedule);
        for schedule in core::iter::once(&mut price.schedule).chain(periods) {
            self.take(schedule, &mut is_finer);
        }
        price.rounded_up |= is_finer;
        price.version = Cow::Owned(format!("{}-{percent}%", price.version));
        price
    }

    fn take(self, schedule: &mut Schedule, is_finer: &mut bool) {
        let named = schedule.service_tiers.iter_mut().map(|tier| &mut tier.card);
        for Card { rates, context_tiers } in core::iter::once(&mut schedule.standard).chain(named) {
            let longer = context_tiers.iter_mut().map(|ContextTier { rates, .. }| rates);
            for rates in core::iter::once(rates).chain(longer) {
                *rates = self.rates(rates, is_finer);
            }
        }
    }

    fn rates(self, rates: &Rates, is_finer: &mut bool) -> Rates {
        let mut left = |price| self.rate(price, is_finer);
        Rates {
            input: left(rates.input),
            cached: rates.cached.map(&mut left),
            cache_write_5m: rates.cache_write_5m.map(&mut left),
            cache_write_1h: rates.cache_write_1h.map(&mut left),
            audio_input: rates.audio_input.map(&mut left),
            audio_cached: rates.audio_cached.map(&mut left),
            output: rates.output.map(&mut left),
            reasoning: rates.reasoning.map(&mut left),
            audio_output: rates.audio_output.map(&mut left),
        }
    }

    /// The next whole femto-USD a token, so that what is charged is never below the true price.
    fn rate(self, price: FemtoPerToken, is_finer: &mut bool) -> FemtoPerToken {
        let exact = u128::from(price.femto()).saturating_mul(self.0.into());
        let left = exact.div_ceil(WHOLE.into());
        *is_finer |= left.saturating_mul(WHOLE.into()) != exact;
        // A part of a price is a price: it fits.
        u64::try_from(left).ok().and_then(FemtoPerToken::new).unwrap_or(price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(percent: &str) -> Option<u32> {
        Left::parse(percent).map(|left| left.0)
    }

    #[test]
    fn a_percentage_is_an_exact_ratio() {
        for (percent, millionths) in
            [("0", 1_000_000), ("12.5", 875_000), ("0.0001", 999_999), ("99.9999", 1)]
        {
            assert_eq!(left(percent), Some(millionths), "{percent}");
        }
        for wrong in ["", "100", "-1", "+1", "1.", ".5", "1.00001", "1e1", "1,5", " 1", "\u{661}"] {
            assert_eq!(left(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_discounted_price_is_rounded_up_to_the_unit() {
        let rate = |femto, percent| {
            let mut is_finer = false;
            let price = FemtoPerToken::new(femto).unwrap();
            let price = Left::parse(percent).unwrap().rate(price, &mut is_finer);
            (price.femto(), is_finer)
        };

        assert_eq!(rate(1_000_000_000, "12.5"), (875_000_000, false));
        assert_eq!(rate(3, "50"), (2, true));
        assert_eq!(rate(1, "99.9999"), (1, true));
        assert_eq!(rate(FemtoPerToken::MAX.femto(), "0.0001"), (999_999_000_000_000, false));
    }

    /// Where a price is no whole number of units any more, the discounted one says that it was
    /// rounded up, and one that was rounded before still does.
    #[test]
    fn a_discount_keeps_and_tells_that_a_price_was_rounded_up() {
        let listed = crate::Catalog::compiled().find("openai", "gpt-4o").unwrap().price.unwrap();
        let mut finer = listed.clone();
        finer.schedule.standard.rates.input = FemtoPerToken::new(3).unwrap();
        let is_rounded = |price: &Price, was| {
            let price = Price { rounded_up: was, ..price.clone() };
            Left::parse("50").unwrap().of(&price, "50").rounded_up
        };

        assert!(!is_rounded(&listed, false) && is_rounded(&listed, true));
        assert!(is_rounded(&finer, false) && is_rounded(&finer, true));
    }

    #[test]
    fn the_name_of_the_prices_tells_what_a_discount_took_off() {
        let pico = |pico| Money::from_pico(pico).unwrap();
        for (version, amount, off) in [
            ("2026-11-23-12.5%", 875, 125),
            ("2026-11-23-12.5%", 876, 125),
            ("2026-11-23-50%", 3, 3),
            ("own-2026-11-24T10:00:00Z-0.0001%", 999_999, 1),
            ("x-99.9999%", 2, 1_999_998),
            ("x-10%", -90, -10),
            ("2026-11-23", 875, 0),
            ("2026-11-23-100%", 875, 0),
            ("%", 875, 0),
            ("-%", 875, 0),
        ] {
            assert_eq!(taken_off(version, pico(amount)), pico(off), "{version}");
        }
        // Every discount names itself so.
        let price = crate::Catalog::compiled().find("openai", "gpt-4o").unwrap().price.unwrap();
        let term = Term { from: "2026-01-01T00:00:00Z".into(), off_percent: "12.5".into() };
        let at = Timestamp::parse("2026-11-24T00:00:00Z").unwrap();
        let price = Discount { terms: vec![term] }.of(&price, at).unwrap();
        assert_eq!(taken_off(&price.version, pico(875)), pico(125));
    }

    #[test]
    fn terms_follow_each_other() {
        let term = |from: &str, off: &str| Term { from: from.into(), off_percent: off.into() };
        let of = |terms: &[Term]| Discount { terms: terms.to_vec() }.check().is_ok();
        let (first, second) =
            (term("2026-01-01T00:00:00Z", "10"), term("2027-01-01T00:00:00Z", "0"));

        assert!(of(&[first.clone(), second.clone()]));
        assert!(!of(&[]) && !of(&[second, first.clone()]) && !of(&[first.clone(), first]));
        assert!(!of(&[term("soon", "10")]) && !of(&[term("2026-01-01T00:00:00Z", "100")]));
    }
}
