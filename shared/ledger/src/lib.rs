//! The money path as a pure state machine: which write to send, and what its answer means.
//!
//! No clock, no randomness, no network, no async. A driver (`farebox-aws`, and the tests'
//! interpreter) performs the writes; the same decisions run under both.
//!
//! ```text
//!             Reserve, one a scope                        Ending, one a scope
//!                                        decide()
//!  terms ──► reserve ──► held ──► provider ──► Decision ──► settle / void ──► Applied
//!              │  ▲                                            │ no hold
//!        stale │  │ fresh terms                                ▼
//!              └──┘                        void, ambiguous: fence ◄──► void
//!              │                                               │
//!              ├──► refused, restart                           ▼
//!              ├──► unheld (observe, full)          tombstone? none ──► AlreadyDone
//!              └──► unavailable                               P ──► adjust ──► Adjusted
//!                                                             A ──► AdjustedBefore
//!
//!  an ambiguous reserve that is not held also ends by Ending(Void): void, then fence
//!  what no process finishes is finished by the queue: the same Ending, the same Decision
//! ```
//!
//! | invariant (`docs/money.md` 1) | where it is kept |
//! |---|---|
//! | I1 no overspend | the condition of [`update::reserve`]; a settle moves what its hold holds |
//! | I1 while it streams | the condition of [`update::extend`], a swap of the hold itself |
//! | I2 charged once | `#h = :h` in [`update::settle`]; `st = :P` in [`update::adjust`] |
//! | I3 nothing unbilled charged | [`decide`]; [`update::void`], [`update::fence`] |
//! | I4 books balance | every write moves `mc`/`ms`, `dc`/`ds`, `tc`/`ts` and `n` together |
//! | I5 no leak | [`Ending`] in chat, again in the logger; then [`Sweep`] |
//! | I6 a reset cannot race | a period is part of a name; [`Budget::counter`] of none is zero |
//! | I7 a limit binds at once | `ep = :ep`, raised by [`update::limit_change`] |
//! | I8 truth beats estimate | [`Decided::overrun`] flags, nothing clips |
//! | I11 one decision | [`Ending::new`] takes it by value |
//! | I12 alerts | [`alert::reached`] by level, one key each |
//! | no entry below zero | the conditions of [`update::entry`] |
//! | I14 monotone knowledge | [`Terms::is_closed`]; the watermarks in every correction |
//!
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod alert;
pub mod archive;
pub mod attempt;
pub mod budget;
pub mod claim;
pub mod decision;
mod error;
pub mod item;
pub mod lake;
pub mod pass;
pub mod rate;
pub mod scope;
pub mod share;
pub mod temporary;
pub mod update;
pub mod view;

pub use alert::{Alert, AlertName, Channel, Threshold};
pub use archive::Closing;
pub use attempt::{
    Admission, Answer, Cause, Ended, Ending, Entry, Extend, Extended, Extension, Posted, Refusal,
    Reserve, Reserved, Shortfall, Span, Step, Sweep, Swept, Verdict, Wait, Waiting, Why,
    still_open,
};
pub use budget::{Budget, Counter, Hold, Limits, Mode, Period, Settings, Terms};
pub use claim::{Claim, Found};
pub use decision::{Decided, ProviderOutcome, decide};
pub use error::Error;
pub use item::{Attr, Item, Key, Table};
pub use pass::Pass;
pub use scope::Owner;
pub use share::{Allowances, Divided, Next, SHARES_MAX, Shares};
pub use temporary::Temporary;
pub use update::{Move, Reach, Transaction, Update, Write};
pub use view::{PeriodView, Prospect};
