//! Amounts that a provider states as a JSON number.

use farebox_core::Money;

/// The most digits that are read; the rest can only round up.
const DIGITS_MAX: usize = 30;

/// USD from the text of a JSON number, exact, rounded up where it is finer than a pico-USD.
/// `None` below zero, beyond the largest amount, or where it is not a number.
pub fn usd_up(text: &str) -> Option<Money> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if whole.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let places = i32::try_from(fraction.len()).ok()?;
    let mut power = 12_i32.checked_add(exponent)?.checked_sub(places)?;
    let mut value: i128 = 0;
    let mut inexact = false;
    for (place, digit) in digits.iter().skip_while(|digit| **digit == b'0').enumerate() {
        if place < DIGITS_MAX {
            value = value.checked_mul(10)?.checked_add(i128::from(digit.wrapping_sub(b'0')))?;
        } else {
            inexact |= *digit != b'0';
            power = power.checked_add(1)?;
        }
    }
    while value != 0 && power > 0 {
        value = value.checked_mul(10)?;
        power = power.saturating_sub(1);
    }
    while value != 0 && power < 0 {
        inexact |= value % 10 != 0;
        value /= 10;
        power = power.saturating_add(1);
    }
    Money::from_pico(value.checked_add(i128::from(inexact))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stated_amount_is_exact_or_rounded_up() {
        for (text, usd) in [
            ("0.000419", "0.000419"),
            ("1e-05", "0.00001"),
            ("2.5E-3", "0.0025"),
            ("12", "12"),
            ("1e2", "100"),
            ("0", "0"),
            ("0e9", "0"),
            ("1e-300", "0.000000000001"),
            ("0.0000000000011", "0.000000000002"),
            ("0.1000000000000000000000000000000000001", "0.100000000001"),
        ] {
            assert_eq!(usd_up(text), Money::parse_usd(usd).ok(), "{text}");
        }
        for text in ["-1", "", ".5", "null", "\"1\"", "1e400", "1e99999999999", "NaN"] {
            assert_eq!(usd_up(text), None, "{text}");
        }
    }
}
