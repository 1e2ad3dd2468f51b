//! Answers without an end: chat's process holds a bounded part of them, whatever comes.

use farebox_tests::flood::FLOODS;
use farebox_tests::run;

use crate::stacks::lone;

/// More than each bound that is to be met, with what the kernel takes on the way.
const BYTES: usize = 100_000_000;

#[test]
fn an_answer_without_an_end_is_held_in_bounded_memory() {
    run(async {
        let stack = lone().await;
        for flood in FLOODS {
            let held = flood.run(&stack, BYTES).await;
            println!("{}: {held:?}", flood.name);
        }
    });
}
