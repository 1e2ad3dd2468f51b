//! Bars beside numbers.

use farebox_core::Money;

/// Width of a bar where no terminal says how wide it is.
pub const BAR_CHARS: usize = 24;

/// A bar as long as an amount is of the largest one, in eighths of a character; nothing is no
/// bar, and the least something is one.
pub fn bar(amount: Money, largest: Money, chars: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let width = i128::try_from(chars.saturating_mul(8)).unwrap_or_default();
    if amount <= Money::ZERO || largest <= Money::ZERO {
        return String::new();
    }
    let eighths = amount.pico().saturating_mul(width).checked_div(largest.pico());
    let eighths = usize::try_from(eighths.unwrap_or_default().clamp(1, width)).unwrap_or(1);
    let (whole, rest) = (eighths.checked_div(8).unwrap_or_default(), eighths % 8);
    format!("{}{}", "█".repeat(whole), EIGHTHS.get(rest).unwrap_or(&""))
}

/// The same, with the room up to its full length shown.
pub fn gauge(amount: Money, limit: Money, chars: usize) -> String {
    let filled = bar(amount, limit, chars);
    let rest = chars.saturating_sub(filled.chars().count());
    format!("{filled}{}", "░".repeat(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pico(pico: i128) -> Money {
        Money::from_pico(pico).unwrap()
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(pico(10), pico(10), 4), "████");
        assert_eq!(bar(pico(5), pico(10), 4), "██");
        assert_eq!(bar(pico(3), pico(16), 2), "▍");
        assert_eq!(bar(pico(1), pico(1_000_000), 4), "▏", "something is never nothing");
        assert_eq!(bar(pico(20), pico(10), 4), "████", "and never longer than all");
        assert_eq!(bar(pico(0), pico(10), 4), "");
        assert_eq!(bar(pico(-5), pico(10), 4), "");
        assert_eq!(gauge(pico(5), pico(10), 4), "██░░");
    }
}
