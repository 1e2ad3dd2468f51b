//! Farebox's vocabulary: values and pure rules.
//!
//! No I/O, no async, no clock and no environment: time and randomness are arguments.
//!
//! | module | what it holds |
//! |---|---|
//! | [`chat`] | [`ChatCall`], [`ChatEvent`], [`Completion`]: the neutral form of all dialects |
//! | [`clamp`] | [`Clamp`]: when an output cap may be lowered |
//! | [`error`] | [`Error`]: the one table from error to HTTP |
//! | [`catalog`] | [`Model`] by provider and name; [`PriceSpec`]: an owner's own prices |
//! | [`pricing`] | [`Price`]: the hold before a call, the cost after it |
//! | [`money`] | [`Money`]: checked pico-USD |
//! | [`ids`] | [`Rid`], [`EntityId`], [`Scope`], [`GatewayKey`] |
//! | [`secret`] | [`Secret`]: a text that nothing prints |
//! | [`sigv4`] | signed requests to AWS, and to what API Gateway guards |
//! | [`time`] | [`Timestamp`], [`Zone`], [`Day`], [`Month`] |
//! | [`usage`] | [`Usage`]: tokens by billed class, disjoint |
//! | [`labels`] | [`Labels`]: what a call is told apart by |
//! | [`limits`] | [`RateLimits`]: how much may be called at once and in a minute |
//! | [`record`] | [`CallRecord`]: what is written down about a call |
//! | [`route`] | [`Route`]: a name that stands for several models |
//! | [`rollup`] | what such records add up to, and where |
//! | [`parquet`] | a table as a file |

// Money has no floats, no `as` and no unchecked sum.
#![cfg_attr(
    not(test),
    deny(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic)
)]

pub mod catalog;
pub mod chat;
pub mod clamp;
pub mod error;
pub mod ids;
pub mod labels;
pub mod limits;
pub mod money;
pub mod parquet;
pub mod pricing;
pub mod record;
pub mod rollup;
pub mod route;
pub mod secret;
pub mod sigv4;
pub mod time;
pub mod usage;

pub use catalog::{Catalog, Model, PriceSpec};
pub use chat::{ChatCall, ChatEvent, Completion, Format, Frame, Media, Prompt, prompts};
pub use clamp::Clamp;
pub use error::{Error, Fault};
pub use ids::{EntityId, GatewayKey, IdError, ModelId, Rid, SCOPES_MAX, Scope, ScopeKind};
pub use labels::Labels;
pub use limits::{Allowance, RateLimits};
pub use money::{Money, MoneyError};
pub use pricing::{Bound, CacheWrite, FemtoPerToken, Price, PricingError, Rates};
pub use record::{
    Asked, CallRecord, Correction, Cost, Decision, Earlier, Outcome, SETTLEMENT_LINE, ScopePart,
};
pub use route::{OnBudgetRefusal, Route, RouteTarget, Timeouts};
pub use secret::Secret;
pub use time::{Day, Month, TimeError, Timestamp, Zone};
pub use usage::{Reported, Usage};
