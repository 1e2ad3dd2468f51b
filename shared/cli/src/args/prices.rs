//! Prices: your own, what is taken off, and the list that they go before.

use clap::{Args as Options, Subcommand};

use super::Force;

/// `farebox model …`
#[derive(Debug, Subcommand)]
pub enum Model {
    /// List models of a provider
    List {
        /// Such as openai
        provider: String,
        /// A part of their names
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Show one model
    Show {
        /// provider/model
        model: String,
    },
}

/// `farebox price …`
#[derive(Debug, Subcommand)]
pub enum Price {
    /// Set your own price of a model, in USD per million tokens
    Set(PriceChange),
    /// Show your own price of a model, or all of them
    Show {
        /// provider/model
        model: Option<String>,
        /// Only of this provider
        #[arg(long, conflicts_with = "model")]
        provider: Option<String>,
    },
    /// List models that a call has cost more than its worst case: hard budgets refuse them
    Quarantine,
    /// You have checked such a model's price and limits: calls go on within a minute
    Acknowledge {
        /// provider/model
        model: String,
        #[command(flatten)]
        force: Force,
    },
    /// Go back to the catalogue's price
    Delete {
        /// provider/model
        model: String,
        #[command(flatten)]
        force: Force,
    },
    /// What is taken off the catalogue's prices
    #[command(subcommand)]
    Discount(Discount),
    /// Show which price list is in force, and those that were imported
    Catalogue,
    /// Show what a newer price list would change; with --apply put it in force
    Refresh {
        /// A file as shared/core/src/catalog.json of a newer Farebox
        file: std::path::PathBuf,
        /// Put it in force
        #[arg(long)]
        apply: bool,
    },
    /// List the price lists that were imported, those of the latest days first
    Versions,
    /// Show what an imported price list would change; with --apply put it in force again
    Switch {
        /// As `farebox price versions` shows it
        version: String,
        /// Put it in force
        #[arg(long)]
        apply: bool,
    },
    /// Go back to the price list that the deployed code was built with
    Restore(Force),
}

/// `farebox price discount …`
#[derive(Debug, Subcommand)]
pub enum Discount {
    /// Take a percentage off, from a day on; earlier ones stay for calls of their time
    Set {
        /// provider/model, provider/* or *; the nearest one counts, and no other
        target: String,
        /// Percent, such as 12.5; 0 ends it
        #[arg(long, value_name = "PERCENT")]
        off: String,
        /// When it begins, RFC 3339 [default: now]
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
    },
    /// List discounts
    List,
    /// Show one discount
    Show {
        /// provider/model, provider/* or *
        target: String,
    },
    /// Take a discount away, as if it had never been (to end one: set --off 0)
    Delete {
        /// provider/model, provider/* or *
        target: String,
        #[command(flatten)]
        force: Force,
    },
}

/// What `farebox price set` says.
#[derive(Debug, Default, Options)]
pub struct PriceChange {
    /// provider/model
    pub model: String,
    /// Prompt tokens
    #[arg(long, value_name = "USD")]
    pub input: Option<String>,
    /// Completion tokens
    #[arg(long, value_name = "USD")]
    pub output: Option<String>,
    /// Prompt tokens read from the cache
    #[arg(long, value_name = "USD")]
    pub cached_input: Option<String>,
    /// Prompt tokens written to the cache for five minutes
    #[arg(long, value_name = "USD")]
    pub cache_write_5m: Option<String>,
    /// Prompt tokens written to the cache for an hour
    #[arg(long, value_name = "USD")]
    pub cache_write_1h: Option<String>,
    /// One search that the provider runs
    #[arg(long, value_name = "USD")]
    pub web_search: Option<String>,
    /// Every request
    #[arg(long, value_name = "USD")]
    pub per_request: Option<String>,
    /// The most tokens of prompt and completion together
    #[arg(long, value_name = "TOKENS")]
    pub context_window: Option<u64>,
    /// The most completion tokens
    #[arg(long, value_name = "TOKENS")]
    pub max_output_tokens: Option<u64>,
    /// The model costs nothing
    #[arg(long)]
    pub free: bool,
    #[command(flatten)]
    pub force: Force,
}
