//! The books put right.

use clap::Args as Options;

use super::Once;

/// What `farebox correct` says.
#[derive(Debug, Default, Options)]
pub struct Correction {
    /// Whose books: org:ID, team:ID, user:ID, key:ID, model:user:ID/PROVIDER/MODEL
    #[arg(
        required_unless_present = "request",
        conflicts_with = "request",
        requires = "amount_usd"
    )]
    pub scope: Option<String>,
    /// By how much the scope's charges change: -5 refunds 5
    #[arg(long, value_name = "USD", allow_hyphen_values = true, conflicts_with = "request")]
    pub amount_usd: Option<String>,
    /// A month (2026-11), or a day and its month (2026-11-23) [default: today]
    #[arg(long, conflicts_with = "request")]
    pub period: Option<String>,
    /// The same id twice corrects once [default: a new one]
    #[arg(long, conflicts_with = "request")]
    pub id: Option<String>,
    /// One call: the x-request-id of its answer
    #[arg(long, value_name = "ID", requires = "cost_usd")]
    pub request: Option<String>,
    /// What the call should have cost
    #[arg(long, value_name = "USD", requires = "request")]
    pub cost_usd: Option<String>,
    /// Why; kept with the correction for ever
    #[arg(long)]
    pub reason: String,
    #[command(flatten)]
    pub once: Once,
}

/// What `farebox rerate` says.
#[derive(Debug, Default, Options)]
pub struct Rerate {
    /// The first UTC day, such as 2026-11-01
    #[arg(long, value_name = "DAY")]
    pub from: String,
    /// The last one
    #[arg(long, value_name = "DAY")]
    pub to: String,
    /// Only the calls of this provider/model
    #[arg(long)]
    pub model: Option<String>,
    /// Enter the differences; a second time finds none
    #[arg(long)]
    pub apply: bool,
}

/// What `farebox reconcile` says.
#[derive(Debug, Default, Options)]
pub struct Reconcile {
    /// Whose books [default: all]
    #[arg(long)]
    pub scope: Option<String>,
    /// The month, such as 2026-11
    #[arg(long, required_unless_present = "import", default_value = "")]
    #[arg(hide_default_value = true)]
    pub month: String,
    /// A usage report of a provider, grouped by model, or a cost report: the answers of its API
    /// as JSON, or the CSV file that its console exports
    #[arg(long, value_name = "FILE", requires = "provider", conflicts_with = "scope")]
    pub import: Option<String>,
    /// Whose report: openai or anthropic
    #[arg(long, requires = "import")]
    pub provider: Option<String>,
    /// Correct the provisional and worst-case charges that the report determines
    #[arg(long, requires = "import")]
    pub apply: bool,
}
