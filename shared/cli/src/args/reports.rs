//! What was spent, for people and for the finance department's tools.

use clap::{Args as Options, Subcommand, ValueEnum};

/// What `farebox usage` shows.
#[derive(Debug, Default, Options)]
pub struct Usage {
    /// One or more of org, team, user, key, label:NAME; model, provider; day, month. Without it:
    /// what each budget has spent
    #[arg(long, value_name = "LIST")]
    pub by: Option<String>,
    /// 7d (the last seven days), a day (2026-11-23) or a month (2026-11) [default: this month]
    #[arg(long, requires = "by")]
    pub since: Option<String>,
    /// A day or a month, included [default: today]
    #[arg(long, requires = "by")]
    pub until: Option<String>,
    /// Only the calls of org:ID, team:ID, user:ID, key:ID or label:NAME=VALUE
    #[arg(long, requires = "by")]
    pub scope: Option<String>,
    /// Only budgets of org, team, user or key, with those of their models
    #[arg(long, conflicts_with = "by")]
    pub kind: Option<String>,
    /// How many rows; the rest is added up
    #[arg(short = 'n', long, default_value_t = 30, requires = "by")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub limit: u32,
}

/// What `farebox statement` says.
#[derive(Debug, Default, Options)]
pub struct Statement {
    /// The month, such as 2026-10
    #[arg(long)]
    pub month: String,
    /// Whose lines: org, team, user, key or label:NAME; model or provider may follow
    #[arg(long, default_value = "team,model", value_name = "LIST")]
    pub by: String,
}

/// `farebox export …`
#[derive(Debug, Subcommand)]
pub enum Export {
    /// Charges in FinOps FOCUS 1.2 columns: a line for each key, model, day and meter, with the
    /// labels that its calls carried
    Focus(Focus),
}

/// What `farebox export focus` writes.
#[derive(Debug, Options)]
pub struct Focus {
    /// The month, such as 2026-10
    #[arg(long)]
    pub month: String,
    /// The file: CSV, or Parquet where its name ends in .parquet [default: CSV to standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
}

/// What `farebox audit` lists.
#[derive(Debug, Default, Options)]
pub struct Audit {
    /// Not before, such as 2026-11-23T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Not after
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Who, such as admin-key:ID
    #[arg(long)]
    pub actor: Option<String>,
    /// Only these: PUT, POST or DELETE
    #[arg(long, value_name = "METHOD")]
    pub action: Option<String>,
    /// What the changed path begins with, such as /admin/v1/budgets
    #[arg(long, value_name = "PATH")]
    pub target: Option<String>,
    /// How many, the newest first
    #[arg(short = 'n', long, default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    pub count: u32,
}

/// What `farebox top` shows.
#[derive(Debug, Default, Options)]
pub struct Top {
    /// Once, and not until interrupted
    #[arg(long)]
    pub once: bool,
}

/// `farebox import …`
#[derive(Debug, Subcommand)]
pub enum Import {
    /// LiteLLM's config.yaml: its models become routes, its budget becomes the owner's
    Litellm {
        /// The file
        file: String,
        /// Whose budget and credentials they become: org:ID or user:ID
        #[arg(long)]
        owner: String,
        /// Do it; without it nothing is changed
        #[arg(long)]
        apply: bool,
    },
    /// A table of organisations, teams, users and keys with their budgets
    Csv {
        /// The file, with a head; its columns: kind, id, name, org, team, user, models, labels,
        /// month_usd, day_usd, total_usd, mode
        file: String,
        /// Do it; without it nothing is changed
        #[arg(long)]
        apply: bool,
    },
}

/// `farebox profile …`
#[derive(Debug, Subcommand)]
pub enum Profile {
    /// The gateways that are known, without their keys
    List,
    /// Which one commands are for from now on
    Use {
        /// Its name
        name: String,
    },
    /// Forget one, and its key
    Remove {
        /// Its name
        name: String,
    },
}

/// A shell.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}
