//! Money: an exact, checked amount in pico-USD.
//!
//! One USD is 10¹² pUSD. That is exact for every list price with up to six decimals of
//! USD per million tokens, and for the providers' own ticks (xAI: 10⁻¹⁰ USD).

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pico-USD in one USD.
pub const PICO_PER_USD: i128 = 1_000_000_000_000;

/// The largest amount that a single value may carry: 10¹⁵ USD. Every sum of fewer than
/// 10¹⁰ such values fits `i128` and DynamoDB's 38 digits.
const PICO_MAX: i128 = 1_000_000_000_000_000 * PICO_PER_USD;

/// A signed amount of pico-USD.
///
/// There is no `+`: sums are checked and say so by their type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

/// Why a text or a number is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a plain decimal number.
    #[error("not a decimal amount: write digits with at most one point, such as 1.25")]
    NotDecimal,
    /// More than twelve decimals: finer than a pico-USD.
    #[error("finer than 0.000000000001 USD")]
    TooFine,
    /// Beyond 10¹⁵ USD.
    #[error("beyond 1000000000000000 USD")]
    TooLarge,
}

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The smallest amount that a hold may have (a hold of zero could not be told from none).
    pub const ONE_PICO: Self = Self(1);

    /// A constant of this many USD.
    pub(crate) const fn of_usd(usd: i128) -> Self {
        Self(usd.saturating_mul(PICO_PER_USD))
    }

    /// An amount from a count of pico-USD.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] beyond 10¹⁵ USD.
    pub const fn from_pico(pico: i128) -> Result<Self, MoneyError> {
        if pico > PICO_MAX || pico < -PICO_MAX {
            return Err(MoneyError::TooLarge);
        }
        Ok(Self(pico))
    }

    /// The count of pico-USD.
    #[must_use]
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// Reads a decimal text of USD, such as `1.25` or `-0.000001`.
    ///
    /// ```
    /// use farebox_core::Money;
    /// assert_eq!(Money::parse_usd("1.25").unwrap().pico(), 1_250_000_000_000);
    /// assert!(Money::parse_usd("1e3").is_err());
    /// ```
    ///
    /// # Errors
    /// [`MoneyError`] says which rule the text breaks.
    pub fn parse_usd(text: &str) -> Result<Self, MoneyError> {
        Self::from_pico(parse_scaled(text, 12)?)
    }

    /// The sum, or `None` beyond the largest amount.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        Self::from_pico(self.0.checked_add(other.0)?).ok()
    }

    /// The difference, or `None` beyond the largest amount.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        Self::from_pico(self.0.checked_sub(other.0)?).ok()
    }

    /// The same amount with the other sign.
    #[must_use]
    pub const fn negated(self) -> Self {
        // `PICO_MAX` is symmetric, so a valid amount always has a valid negative.
        Self(self.0.wrapping_neg())
    }
}

/// Reads a plain decimal text as an integer of units of 10^-`decimals`.
///
/// Takes an optional `-`, digits, and at most one point with at least one digit on each side.
///
/// # Errors
/// [`MoneyError`] says which rule the text breaks.
pub fn parse_scaled(text: &str, decimals: u32) -> Result<i128, MoneyError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(MoneyError::NotDecimal),
        Some((whole, fraction)) => (whole, fraction),
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(MoneyError::NotDecimal);
    }
    let fraction = fraction.trim_end_matches('0');
    let decimals = usize::try_from(decimals).map_err(|_| MoneyError::TooFine)?;
    if fraction.len() > decimals {
        return Err(MoneyError::TooFine);
    }
    let mut value: i128 = 0;
    let padding = decimals.saturating_sub(fraction.len());
    let zeros = core::iter::repeat_n(b'0', padding);
    for digit in whole.bytes().chain(fraction.bytes()).chain(zeros) {
        let digit = i128::from(digit.wrapping_sub(b'0'));
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit))
            .ok_or(MoneyError::TooLarge)?;
    }
    Ok(if negative { value.wrapping_neg() } else { value })
}

/// The exact decimal text in USD, without trailing zeros: `1.25`, `0`, `-0.000000000001`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let pico = self.0.unsigned_abs();
        let scale = PICO_PER_USD.unsigned_abs();
        let (whole, rest) = (pico.checked_div(scale), pico.checked_rem(scale));
        let (whole, rest) = (whole.unwrap_or_default(), rest.unwrap_or_default());
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{rest:012}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse_usd(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_round_trips() {
        for text in ["0", "1", "1.25", "-0.000000000001", "999999999999999.999999999999"] {
            assert_eq!(Money::parse_usd(text).unwrap().to_string(), text);
        }
        assert_eq!(Money::parse_usd("1.2500").unwrap().to_string(), "1.25");
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", "-", ".5", "5.", "1,5", "1e3", "NaN", "+1", " 1", "0x1", "1.2.3", "--1"] {
            assert_eq!(Money::parse_usd(text), Err(MoneyError::NotDecimal), "{text:?}");
        }
        assert_eq!(Money::parse_usd("0.0000000000001"), Err(MoneyError::TooFine));
        assert_eq!(Money::parse_usd("1000000000000001"), Err(MoneyError::TooLarge));
        assert_eq!(Money::parse_usd(&"9".repeat(60)), Err(MoneyError::TooLarge));
    }

    #[test]
    fn a_sum_beyond_the_largest_amount_is_none() {
        let most = Money::from_pico(PICO_MAX).unwrap();

        assert_eq!(most.plus(Money::ONE_PICO), None);
        assert_eq!(most.negated().minus(Money::ONE_PICO), None);
    }
}
