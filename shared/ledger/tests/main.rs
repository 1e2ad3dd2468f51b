//! Tests of the whole crate against an interpreter that executes the strings it sends.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod bench;
mod edges;
mod ending;
mod entering;
mod expressions;
mod extending;
mod machines;
mod model;
mod modelled;
mod properties;
mod reading;
mod reserving;
mod sharing;
mod support;
mod sweeping;
mod waiting;
mod world;
mod writes;
