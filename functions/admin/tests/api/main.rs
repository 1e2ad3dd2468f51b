//! The admin API against a real DynamoDB engine and a minimal Secrets Manager, over sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may stop at the first surprise"
)]

mod audit;
mod lists;
mod matrix;
mod openapi;
mod own;
mod prices;
mod reads;
mod roles;
mod rotation;
mod schema;
mod search;
mod stage;
mod sums;
mod things;
mod unknown;
mod versions;
mod world;
