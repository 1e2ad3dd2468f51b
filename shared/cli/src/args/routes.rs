//! Names that stand for several models, and rate limits.

use clap::{Args as Options, Subcommand};

use super::Force;

/// `farebox route …`
#[derive(Debug, Subcommand)]
pub enum Route {
    /// Say which models a name stands for; what is not named stays
    Set(RouteChange),
    /// List routes
    List,
    /// Show one route
    Show {
        /// What calls write as their model
        name: String,
    },
    /// The name stands for nothing from here on
    Delete {
        /// What calls write as their model
        name: String,
        #[command(flatten)]
        force: Force,
    },
}

/// What `farebox route set` says.
#[derive(Debug, Default, Options)]
pub struct RouteChange {
    /// What calls write as their model: letters, digits, and any of . _ -
    pub name: String,
    /// provider/model, or provider/model=WEIGHT for its share of first tries; in order, repeat it
    #[arg(long = "target", value_name = "MODEL", value_parser = target)]
    pub targets: Vec<(String, Option<u32>)>,
    /// Go on also after a failure that is charged: a call may then cost more than once
    #[arg(long, value_name = "BOOL")]
    pub after_charge: Option<bool>,
    /// Where the budgets refuse a target: refuse, or next (the next cheaper one)
    #[arg(long, value_name = "WHAT")]
    pub on_budget_refusal: Option<String>,
    /// How often one target is tried again, where it bills nothing and says when, or is not reached
    #[arg(long, value_name = "0..3")]
    pub retries: Option<u32>,
    /// The longest Retry-After that is waited for
    #[arg(long, value_name = "MS")]
    pub retry_patience_ms: Option<u32>,
    /// The longest that a connection may take
    #[arg(long, value_name = "MS")]
    pub connect_ms: Option<u32>,
    /// The longest to the first byte of an answer, or the first event of a stream
    #[arg(long, value_name = "MS")]
    pub first_byte_ms: Option<u32>,
    /// The longest between two pieces of an answer
    #[arg(long, value_name = "MS")]
    pub idle_ms: Option<u32>,
    /// The longest that an attempt may take
    #[arg(long, value_name = "MS")]
    pub total_ms: Option<u32>,
}

/// `farebox limit …`
#[derive(Debug, Subcommand)]
pub enum Limit {
    /// Set rate limits; what is not named stays
    Set(LimitChange),
    /// List the rate limits that somebody has set
    List,
    /// Show rate limits
    Show {
        /// user:ID or key:ID
        scope: String,
    },
}

/// What `farebox limit set` says.
#[derive(Debug, Default, Options)]
pub struct LimitChange {
    /// user:ID or key:ID; of a key its user's hold too
    pub scope: String,
    /// The most calls that begin in one minute; `none` takes the limit away
    #[arg(long, value_name = "CALLS")]
    pub requests_per_minute: Option<String>,
    /// The most tokens of prompt and completion in one minute; `none` takes the limit away
    #[arg(long, value_name = "TOKENS")]
    pub tokens_per_minute: Option<String>,
    /// The most calls under way at once; `none` takes the limit away
    #[arg(long, value_name = "CALLS")]
    pub concurrent: Option<String>,
}

/// A target as it is typed; the gateway checks it.
fn target(text: &str) -> Result<(String, Option<u32>), String> {
    let Some((model, weight)) = text.split_once('=') else { return Ok((text.to_owned(), None)) };
    let weight = weight.parse().map_err(|_| "write a weight as provider/model=3")?;
    Ok((model.to_owned(), Some(weight)))
}
