//! The short form of `cargo prove contrast`: the same rows, smaller.

use farebox_core::Money;
use farebox_tests::contrast::{self, Gateway, LOST, Line, ROWS, SHORT, SHORT_CONTROLS};
use farebox_tests::{run, usd};

use crate::money::times;
use crate::stacks::shared;

#[test]
fn no_row_of_the_contrast_table_overspends() {
    run(async {
        for row in SHORT {
            let line = contrast::on(shared().await, shared().await, row).await;

            assert!(line.keeps_the_promise(), "{}", line.markdown());
            assert_eq!((line.recorded, line.held), (line.real, Money::ZERO), "{}", line.markdown());
            if row.gateway == Gateway::Farebox("hard") {
                // What the product gave up, because a busy machine's store had not answered in
                // 2 s (W2), is all that may have been sent away with money left.
                let untold = line.refused.get("ledger_unavailable").copied().unwrap_or_default();
                assert!(line.false_refusals() <= untold, "{}", line.markdown());
                // A cent is not divisible: less than one is left, and one for each of those.
                let left = usd(row.limit_usd).minus(line.real).unwrap();
                let cents = times(usd("0.01"), i128::try_from(untold).unwrap() + 1);
                assert!(left < cents, "{}", line.markdown());
            }
        }
    });
}

#[test]
fn gateways_without_conditions_overspend_in_the_same_harness() {
    run(async {
        for row in SHORT_CONTROLS {
            let line = contrast::control(shared().await, row).await;

            assert!(line.overspend() > Money::ZERO, "{}", line.markdown());
        }
    });
}

/// The row of mode balanced, whose budget affords a hundred calls; this many of them were served.
fn line(served: i128, refused: &[(&str, usize)]) -> Line {
    let balanced = Gateway::Farebox("balanced");
    let row = *ROWS.iter().find(|row| row.gateway == balanced).unwrap();
    let real = Money::from_pico(usd("0.009999999365").pico() * served).unwrap();
    let refused = refused.iter().map(|(code, calls)| ((*code).to_owned(), *calls)).collect();
    let served = usize::try_from(served).unwrap();
    Line { row, served, refused, real, recorded: real, held: Money::ZERO }
}

#[test]
fn a_solvent_caller_who_is_sent_away_is_a_false_refusal_whatever_it_is_told() {
    for code in ["budget_exceeded", "budget_contention", "ledger_unavailable", "http_500"] {
        let few = line(96, &[(code, 904)]);
        assert_eq!((few.false_refusals(), few.keeps_the_promise()), (4, true), "{code}");
        let many = line(60, &[(code, 940)]);
        assert_eq!((many.false_refusals(), many.keeps_the_promise()), (40, false), "{code}");
    }
    let killed = line(60, &[(LOST, 20), ("budget_exceeded", 2)]);
    assert_eq!(killed.false_refusals(), 2, "who has no answer was not refused");
}
