//! The one decision about a call's money (I11).

use farebox_core::{Decision, Money, Outcome};

/// What the provider's side of a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderOutcome {
    /// Definitely no byte of the body left.
    NotSent,
    /// The provider does not bill this ending.
    Unbilled {
        /// It is inferred, not documented.
        inferred: bool,
    },
    /// The provider reported usage that comes to this cost, or states the cost itself.
    Usage {
        /// The exact cost.
        cost: Money,
    },
    /// Usage was reported, but this ending is documented as not billed.
    UsageButUnbilled,
    /// The body was sent and nothing certain came back.
    Unknown,
}

/// A decision, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What every channel carries.
    pub decision: Decision,
    /// What the log says.
    pub outcome: Outcome,
    /// How far the cost is above the hold: the bound was wrong, and the cost is charged in
    /// full all the same (I8).
    pub overrun: Option<Money>,
}

/// Decides what a call is charged, whose `hold` is confirmed in every scope. Unknown is never
/// zero: it is the hold. A metered call's hold may be larger in one scope than in another, where
/// an extension was not confirmed, so its worst case is told as an amount (money.md 3.1a).
///
/// ```
/// use farebox_core::{Decision, Money, Outcome};
/// use farebox_ledger::{ProviderOutcome, decide};
///
/// let decided = decide(ProviderOutcome::Unknown, Money::ONE_PICO, false);
/// assert_eq!((decided.decision, decided.outcome), (Decision::Worst, Outcome::Worst));
/// ```
#[must_use]
pub fn decide(outcome: ProviderOutcome, hold: Money, is_metered: bool) -> Decided {
    let worst = if is_metered { Decision::Settle(hold) } else { Decision::Worst };
    let (decision, outcome) = match outcome {
        ProviderOutcome::NotSent
        | ProviderOutcome::Unbilled { inferred: false }
        | ProviderOutcome::UsageButUnbilled => (Decision::Void, Outcome::Void),
        ProviderOutcome::Unbilled { inferred: true } => (Decision::Void, Outcome::VoidInferred),
        ProviderOutcome::Usage { cost } if cost >= Money::ZERO => {
            (Decision::Settle(cost), Outcome::Settled)
        }
        // A cost below zero is no cost that a provider can have charged.
        ProviderOutcome::Usage { .. } | ProviderOutcome::Unknown => (worst, Outcome::Worst),
    };
    let overrun = match decision {
        Decision::Settle(cost) => cost.minus(hold).filter(|above| *above > Money::ZERO),
        Decision::Void | Decision::Worst => None,
    };
    Decided { decision, outcome, overrun }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pico(pico: i128) -> Money {
        Money::from_pico(pico).unwrap()
    }

    #[test]
    fn every_ending_has_one_decision() {
        let cases = [
            (ProviderOutcome::NotSent, Decision::Void, Outcome::Void),
            (ProviderOutcome::Unbilled { inferred: false }, Decision::Void, Outcome::Void),
            (ProviderOutcome::Unbilled { inferred: true }, Decision::Void, Outcome::VoidInferred),
            (ProviderOutcome::UsageButUnbilled, Decision::Void, Outcome::Void),
            (ProviderOutcome::Usage { cost: pico(3) }, Decision::Settle(pico(3)), Outcome::Settled),
            (ProviderOutcome::Usage { cost: pico(0) }, Decision::Settle(pico(0)), Outcome::Settled),
            (ProviderOutcome::Usage { cost: pico(-1) }, Decision::Worst, Outcome::Worst),
            (ProviderOutcome::Unknown, Decision::Worst, Outcome::Worst),
        ];

        for (outcome, decision, logged) in cases {
            let decided = decide(outcome, pico(10), false);
            assert_eq!((decided.decision, decided.outcome), (decision, logged), "{outcome:?}");
            assert_eq!(decided.overrun, None);
        }
    }

    #[test]
    fn a_cost_above_its_hold_is_charged_in_full_and_flagged() {
        let decided = decide(ProviderOutcome::Usage { cost: pico(12) }, pico(10), true);

        assert_eq!(decided.decision, Decision::Settle(pico(12)));
        assert_eq!(decided.overrun, Some(pico(2)));
        let within = decide(ProviderOutcome::Usage { cost: pico(10) }, pico(10), true);
        assert_eq!(within.overrun, None);
    }

    #[test]
    fn the_worst_case_of_a_metered_call_is_what_is_confirmed() {
        let decided = decide(ProviderOutcome::Unknown, pico(10), true);

        assert_eq!(decided.decision, Decision::Settle(pico(10)));
        assert_eq!((decided.outcome, decided.overrun), (Outcome::Worst, None));
    }
}
