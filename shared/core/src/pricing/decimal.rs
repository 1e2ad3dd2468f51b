//! Decimal texts of USD per million tokens as femto-USD per token, rounded up.
//!
//! The build script includes this file too, so it uses nothing of the crate.

/// Decimals that one femto-USD per token keeps: 1 USD per million tokens is 10⁹ of them.
const DECIMALS: usize = 9;

/// Why a text is not a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not digits with at most one point.
    NotDecimal,
    /// More than 64 bits hold.
    TooLarge,
}

/// Reads a decimal text of USD per million tokens. The flag says that the text was finer than
/// one femto-USD per token, and that the next whole one was taken.
///
/// # Errors
/// [`Refused`] says which rule the text breaks.
pub fn femto_per_token(text: &str) -> Result<(u64, bool), Refused> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return Err(Refused::NotDecimal);
    }
    let padding = DECIMALS.saturating_sub(fraction.len());
    let kept = fraction.bytes().take(DECIMALS).chain(core::iter::repeat_n(b'0', padding));
    let mut value: u64 = 0;
    for byte in whole.bytes().chain(kept) {
        let digit = u64::from(byte.wrapping_sub(b'0'));
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit))
            .ok_or(Refused::TooLarge)?;
    }
    let finer = fraction.bytes().skip(DECIMALS).any(|byte| byte != b'0');
    let value = value.checked_add(u64::from(finer)).ok_or(Refused::TooLarge)?;
    Ok((value, finer))
}
