//! The driver and the ledger's writes on a real store, over HTTP, through the real SDK: the
//! embedded one, or the one that `FAREBOX_TEST_DYNAMODB` names.
//!
//! First what a store must be to carry money at all (`qualification`), then the ledger on it
//! (`ledger`), then random histories of every write of the ledger, compared answer by answer
//! with the interpreter that the ledger's own tests believe (`replay`).
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

mod deployment;
mod ledger;
mod qualification;
mod replay;
// The interpreter and the world of the ledger's own tests: the same files, so that what is
// compared here with a store is what they run on.
#[path = "../../../ledger/tests/support/mod.rs"]
mod support;
#[path = "../../../ledger/tests/world/mod.rs"]
mod world;
