//! The short form of `cargo prove contrast`: the same rows, smaller.

use farebox_core::Money;
use farebox_tests::contrast::{self, Gateway, SHORT, SHORT_CONTROLS};
use farebox_tests::{run, usd};

use crate::stacks::shared;

#[test]
fn no_row_of_the_contrast_table_overspends() {
    run(async {
        for row in SHORT {
            let line = contrast::on(shared().await, shared().await, row).await;

            assert!(line.keeps_the_promise(), "{}", line.markdown());
            assert_eq!((line.recorded, line.held), (line.real, Money::ZERO), "{}", line.markdown());
            if row.gateway == Gateway::Farebox("hard") {
                assert_eq!(line.false_refusals(), 0, "{}", line.markdown());
                // A cent is not divisible: less than one is left.
                let left = usd(row.limit_usd).minus(line.real).unwrap();
                assert!(left < usd("0.01"), "{}", line.markdown());
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
