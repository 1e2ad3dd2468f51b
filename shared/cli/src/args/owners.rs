//! Whom calls belong to, and what is kept of what they said.

use clap::{Args as Options, Subcommand};

use super::Force;

/// `farebox user …`
#[derive(Debug, Subcommand)]
pub enum User {
    /// Make a user, or change its name, organisation or team; what is not named stays
    Add {
        /// Letters, digits, and any of . _ -
        id: String,
        /// For people
        #[arg(long)]
        name: Option<String>,
        /// The organisation whose credentials it may use, and in whose budget it is; none: of none
        #[arg(long)]
        org: Option<String>,
        /// The team in whose budget it is; none: in none
        #[arg(long)]
        team: Option<String>,
    },
    /// List users
    List {
        /// Only of this organisation
        #[arg(long)]
        org: Option<String>,
        /// Only of this team
        #[arg(long)]
        team: Option<String>,
    },
    /// Show one user, and what it may do for itself
    Show {
        /// The user's id
        id: String,
    },
    /// Say what a user may do for itself; what is not named stays
    Allow(SelfService),
}

/// What `farebox user allow` says.
#[derive(Debug, Default, Options)]
pub struct SelfService {
    /// The user's id
    pub id: String,
    /// How many keys of its own it may have: 0 to 50
    #[arg(long)]
    pub keys: Option<u32>,
    /// The most that one call of such a key may cost; none: no limit
    #[arg(long, value_name = "USD")]
    pub key_max_cost_usd: Option<String>,
    /// The longest life of such a key, 1 to 3650; 0: no limit
    #[arg(long, value_name = "DAYS")]
    pub key_days: Option<u32>,
    /// A model that such a key may use: provider/model or provider/*; repeat it for more; none:
    /// every model
    #[arg(long = "key-model", value_name = "MODEL")]
    pub key_models: Vec<String>,
    /// Whether it may store credentials of its own
    #[arg(long, value_name = "BOOL")]
    pub credentials: Option<bool>,
}

/// `farebox sso …`
#[derive(Debug, Subcommand)]
pub enum Sso {
    /// Give an address or a group a role; whoever has signed in by it must sign in again
    Set {
        /// email:ann@example.com, group:NAME as the provider names it, or sub:ID, its identifier of
        /// a person whose address it does not verify
        subject: String,
        /// owner, admin, auditor or member
        #[arg(long)]
        role: String,
        /// Whose self-service a member has
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        force: Force,
    },
    /// List addresses and groups that may sign in
    List,
    /// Show one of them
    Show {
        /// As `farebox sso list` shows it
        subject: String,
    },
    /// Take a role away, which ends its sessions
    Remove {
        /// As `farebox sso list` shows it
        subject: String,
        #[command(flatten)]
        force: Force,
    },
    /// List sessions, ended ones for a day
    Sessions,
    /// Show one session
    Session {
        /// As `farebox sso sessions` shows it
        id: String,
    },
    /// End a session; its person can sign in again
    End {
        /// As `farebox sso sessions` shows it
        id: String,
        #[command(flatten)]
        force: Force,
    },
}

/// `farebox content …`
#[derive(Debug, Subcommand)]
pub enum Content {
    /// Keep the content of a user's or a key's calls for some days from now on; 0: keep nothing
    Set {
        /// user:ID or key:ID; a key goes before its user
        scope: String,
        /// 1 to 365; 0 switches it off
        #[arg(long)]
        days: u32,
        #[command(flatten)]
        force: Force,
    },
    /// List the users and keys of which somebody has said whether it is kept
    List,
    /// Whether it is kept
    Show {
        /// user:ID or key:ID
        scope: String,
    },
    /// What one call said
    Read {
        /// The x-request-id of its answer
        id: String,
    },
    /// Erase all that is kept of a user, answers for repeats too; switch it off first
    Erase {
        /// The user's id
        user: String,
    },
}

/// `farebox org …`
#[derive(Debug, Subcommand)]
pub enum Org {
    /// Make an organisation, or replace its name
    Add {
        /// Letters, digits, and any of . _ -
        id: String,
        /// For people
        #[arg(long)]
        name: Option<String>,
    },
    /// List organisations
    List,
    /// Show one organisation
    Show {
        /// Its id
        id: String,
    },
}

/// `farebox team …`
#[derive(Debug, Subcommand)]
pub enum Team {
    /// Make a team, or replace its name
    Add {
        /// Letters, digits, and any of . _ -
        id: String,
        /// For people
        #[arg(long)]
        name: Option<String>,
    },
    /// List teams
    List,
    /// Show one team
    Show {
        /// Its id
        id: String,
    },
}
