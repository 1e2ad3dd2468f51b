//! Requests for more budget, and what members do for themselves.

use clap::{Args as Options, Subcommand};

use super::keys::{KeyChange, Timeouts, span};
use super::{Filter, Force, Once};

/// `farebox budget-request …`
#[derive(Debug, Subcommand)]
pub enum BudgetRequest {
    /// List requests for more budget
    List {
        /// Only this user's
        #[arg(long)]
        user: Option<String>,
        /// open, approved, denied or withdrawn
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one request
    Show {
        /// Whose
        user: String,
        /// As `farebox budget-request list` shows it
        id: String,
    },
    /// Approve one until an end, when the old limits come back
    Approve(Approval),
    /// Deny one
    Deny {
        /// Whose
        user: String,
        /// As `farebox budget-request list` shows it
        id: String,
        /// A word to the member
        #[arg(long)]
        note: Option<String>,
    },
}

/// What `farebox budget-request approve` says.
#[derive(Debug, Options)]
pub struct Approval {
    /// Whose
    pub user: String,
    /// As `farebox budget-request list` shows it
    pub id: String,
    /// When the old limits come back, such as 2027-01-01T00:00:00Z [default: as it was asked for]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// The limit for a month [default: as it was asked for]
    #[arg(long, value_name = "USD")]
    pub month: Option<String>,
    /// The limit for a day
    #[arg(long, value_name = "USD")]
    pub day: Option<String>,
    /// The limit for ever
    #[arg(long, value_name = "USD")]
    pub total: Option<String>,
    /// A word to the member
    #[arg(long)]
    pub note: Option<String>,
}

/// `farebox me …`
#[derive(Debug, Subcommand)]
pub enum Me {
    /// Who you are, and what you may do for yourself
    Show,
    /// What your calls count to: what is spent, and when it begins anew
    Budgets,
    /// Your last calls, the newest last
    Requests {
        #[command(flatten)]
        filter: Filter,
        /// How many, the newest
        #[arg(short = 'n', default_value_t = 20)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
        count: u32,
    },
    /// One of your calls
    Request {
        /// The x-request-id of its answer
        id: String,
    },
    /// The alerts of your budget, or of one of your keys
    Alerts {
        /// The id of a key
        #[arg(long)]
        key: Option<String>,
    },
    /// Your keys
    #[command(subcommand)]
    Key(OwnKey),
    /// Your own API keys of providers: written, never read back
    #[command(subcommand)]
    Credential(OwnCredential),
    /// Ask for more budget, and see what came of it
    #[command(subcommand)]
    BudgetRequest(OwnRequest),
}

/// `farebox me key …`
#[derive(Debug, Subcommand)]
pub enum OwnKey {
    /// Make a key within what you may; its secret is printed this once
    Create {
        /// For people
        #[arg(long, default_value = "cli")]
        name: String,
        /// A model that it may use: provider/model or provider/*; repeat it for more
        #[arg(long = "model", value_name = "MODEL")]
        models: Vec<String>,
        /// When it stops working [default: as late as you may]
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// The most that one call may cost [default: as much as you may]
        #[arg(long, value_name = "USD")]
        max_cost_usd: Option<String>,
        /// When an output cap is lowered: missing (the default), always or never
        #[arg(long, value_name = "WHEN")]
        clamp: Option<String>,
        /// How long a call waits for room, up to 60000; 0 is not at all
        #[arg(long, value_name = "MS")]
        room_wait_ms: Option<u64>,
        /// Leave out options that a provider cannot do
        #[arg(long)]
        drop_params: bool,
        #[command(flatten)]
        timeouts: Timeouts,
        #[command(flatten)]
        once: Once,
    },
    /// Change a key; what is not named stays, and its labels always do
    Set(KeyChange),
    /// List your keys
    List,
    /// Show one of them
    Show {
        /// The id, not the secret
        id: String,
    },
    /// Give a key another secret, which is printed this once
    Rotate {
        /// The id, not the secret
        id: String,
        /// How long the old secret works beside it, such as 30m, 1h or 2d; a week at most.
        /// Left out: not at all
        #[arg(long, value_name = "TIME", value_parser = span)]
        grace: Option<u32>,
        #[command(flatten)]
        once: Once,
    },
    /// Stop a key for ever
    Revoke {
        /// The id, not the secret
        id: String,
        #[command(flatten)]
        force: Force,
    },
}

/// `farebox me credential …`
#[derive(Debug, Subcommand)]
pub enum OwnCredential {
    /// Store a provider's API key; it is read from standard input or asked for
    Set {
        /// The provider, such as openai
        provider: String,
        /// Which of several for the provider
        #[arg(long)]
        name: Option<String>,
        /// Its share of the calls beside the others: 1 to 1000
        #[arg(long)]
        weight: Option<u32>,
        #[command(flatten)]
        force: Force,
    },
    /// List what is stored, without secrets
    List,
    /// Show one of them, without its secret
    Show {
        /// The provider
        provider: String,
        /// Which of several
        #[arg(long)]
        name: Option<String>,
    },
    /// Stop using a credential, and erase it
    Disable {
        /// The provider
        provider: String,
        /// Which of several
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        force: Force,
    },
}

/// `farebox me budget-request …`
#[derive(Debug, Subcommand)]
pub enum OwnRequest {
    /// Ask for more; whoever decides may give less
    Create(Wish),
    /// List what you have asked for
    List,
    /// Show one request
    Show {
        /// As `farebox me budget-request list` shows it
        id: String,
    },
    /// Take a request back
    Withdraw {
        /// As `farebox me budget-request list` shows it
        id: String,
        #[command(flatten)]
        force: Force,
    },
}

/// What `farebox me budget-request create` says.
#[derive(Debug, Options)]
pub struct Wish {
    /// Why, in one line
    #[arg(long)]
    pub reason: String,
    /// The limit for a month
    #[arg(long, value_name = "USD")]
    pub month: Option<String>,
    /// The limit for a day
    #[arg(long, value_name = "USD")]
    pub day: Option<String>,
    /// The limit for ever
    #[arg(long, value_name = "USD")]
    pub total: Option<String>,
    /// Until when [default: whoever approves says it]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[command(flatten)]
    pub once: Once,
}
