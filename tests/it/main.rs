//! The black-box suite: claims about the whole product, checked over real sockets against the
//! local stack. One binary, one module a subject.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its own functions too"
)]

mod admin;
mod alerts;
mod azure;
mod bad_input;
mod balanced;
mod bedrock;
mod bills;
mod books;
mod budgets;
mod canary;
mod chat;
mod content;
mod contrast;
mod corrections;
#[path = "../../shared/providers/tests/support/eventstream.rs"]
mod eventstream;
mod fallback;
mod faults;
mod flood;
mod forms;
mod gemini;
mod iam;
mod idempotency;
mod labels;
mod lake;
mod lost;
mod messages;
mod modes;
mod money;
mod oddities;
mod periods;
mod pools;
mod prices;
mod providers;
mod quarantine;
mod quote;
mod ratelimits;
mod reconcile;
mod refusals;
mod repair;
mod responses;
mod road;
mod rotation;
mod routing;
mod scan;
mod scopes;
mod shapes;
mod shares;
mod sign_on;
mod spelling;
mod stacks;
mod state;
mod stated;
mod statements;
mod storm;
mod streaming;
mod tending;
mod texts;
mod thoughts;
mod tidy;
mod tighten;
mod timeouts;
mod told;
mod tools;
mod twice;
mod usage;
mod waiting;
