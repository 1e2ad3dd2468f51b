//! Whom calls belong to, and what is kept of what they said.

use clap::Subcommand;

/// `farebox user …`
#[derive(Debug, Subcommand)]
pub enum User {
    /// Make a user, or replace its name, organisation and team
    Add {
        /// Letters, digits, _ - and .
        id: String,
        /// For people
        #[arg(long)]
        name: Option<String>,
        /// The organisation whose credentials it may use, and in whose budget it is
        #[arg(long)]
        org: Option<String>,
        /// The team in whose budget it is
        #[arg(long)]
        team: Option<String>,
    },
    /// List users
    List,
}

/// `farebox sso …`
#[derive(Debug, Subcommand)]
pub enum Sso {
    /// Give an address or a group a role; whoever has signed in by it must sign in again
    Set {
        /// email:ann@example.com, or group:NAME as the provider names it
        subject: String,
        /// owner, admin, auditor or member
        #[arg(long)]
        role: String,
        /// Whose self-service a member has
        #[arg(long)]
        user: Option<String>,
    },
    /// List addresses and groups that may sign in
    List,
    /// Take a role away, which ends its sessions
    Remove {
        /// As `farebox sso list` shows it
        subject: String,
    },
    /// List sessions, ended ones for a day
    Sessions,
    /// End a session; its person can sign in again
    End {
        /// As `farebox sso sessions` shows it
        id: String,
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
    },
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
        /// Letters, digits, _ - and .
        id: String,
        /// For people
        #[arg(long)]
        name: Option<String>,
    },
    /// List organisations
    List,
}

/// `farebox team …`
#[derive(Debug, Subcommand)]
pub enum Team {
    /// Make a team, or replace its name
    Add {
        /// Letters, digits, _ - and .
        id: String,
        /// For people
        #[arg(long)]
        name: Option<String>,
    },
    /// List teams
    List,
}
