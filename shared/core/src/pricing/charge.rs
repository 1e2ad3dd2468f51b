//! What a call is charged, and by whose word: one rule, in one place.
//!
//! | the provider states | our bill by its counts | charged |
//! |---|---|---|
//! | that this ending is not billed | any | nothing |
//! | an amount from zero to [`STATED_MAX`] | any, or none: a count has no price | what it states |
//! | no amount, or one beyond [`STATED_MAX`] | a bill | the bill |
//! | no amount, or one beyond [`STATED_MAX`] | none | the hold |
//!
//! What cannot be read as an amount, one below zero too, never comes this far: decoders take it
//! for no statement. Our bill is kept beside a statement with its lines.

use crate::{Money, Reported};

/// The most that a provider's own word may charge one call. The largest window that there is, at
/// the dearest price per token that any catalogue has, is below a tenth of it: an amount beyond
/// it is a mistake of units, and no statement.
pub const STATED_MAX: Money = Money::of_usd(10_000);

/// What a call is charged, and whose word that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// The provider says that it does not bill this ending.
    Nothing,
    /// What the provider states.
    Stated(Money),
    /// What its counts come to.
    Counted(Money),
    /// Nobody knows, so the whole hold.
    Hold,
}

impl Charge {
    /// Of a call of which the provider reported this; `counted` is the bill by its counts, where
    /// each of them is known and has a price.
    ///
    /// ```
    /// use farebox_core::pricing::Charge;
    /// use farebox_core::{Money, Reported};
    ///
    /// let stated = Money::parse_usd("0.02").ok();
    /// let reported = Reported { cost: stated, ..Reported::default() };
    /// assert_eq!(Charge::of(&reported, None), Charge::Stated(stated.unwrap()));
    /// ```
    #[must_use]
    pub fn of(reported: &Reported, counted: Option<Money>) -> Self {
        if reported.unbilled {
            return Self::Nothing;
        }
        let counted = counted.map_or(Self::Hold, Self::Counted);
        reported.stated().map_or(counted, Self::Stated)
    }
}

impl Reported {
    /// What the provider states that it charged, where that can be true of one call.
    #[must_use]
    pub fn stated(&self) -> Option<Money> {
        self.cost.filter(|cost| (Money::ZERO..=STATED_MAX).contains(cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_wins_over_every_bill_where_it_can_be_true() {
        let usd = |text: &str| Money::parse_usd(text).unwrap();
        let (hold, most) = (Charge::Hold, "10000");
        let stated = |text| Charge::Stated(usd(text));
        let counted = |text| Charge::Counted(usd(text));
        for (cost, bill, charge) in [
            // Below, above and equal to ours, and where ours is not known.
            (Some("0.1"), Some("0.2"), stated("0.1")),
            (Some("0.3"), Some("0.2"), stated("0.3")),
            (Some("0.2"), Some("0.2"), stated("0.2")),
            (Some("0.1"), None, stated("0.1")),
            (Some("0"), Some("0.2"), stated("0")),
            (Some("0"), None, stated("0")),
            (Some(most), None, stated(most)),
            // No statement.
            (None, Some("0.2"), counted("0.2")),
            (None, Some("0"), counted("0")),
            (None, None, hold),
            (Some("10000.000000000001"), Some("0.2"), counted("0.2")),
            (Some("10000.000000000001"), None, hold),
            (Some("-0.000000000001"), Some("0.2"), counted("0.2")),
            (Some("-0.000000000001"), None, hold),
        ] {
            let reported = Reported { cost: cost.map(usd), ..Reported::default() };
            let bill = bill.map(usd);

            assert_eq!(Charge::of(&reported, bill), charge, "{cost:?} {bill:?}");
            let unbilled = Reported { unbilled: true, ..reported };
            assert_eq!(Charge::of(&unbilled, bill), Charge::Nothing);
        }
    }
}
