//! Who may use the admin API: keys, IAM principals.

use clap::Subcommand;

use super::{Force, Once};

/// `farebox admin-key …`
#[derive(Debug, Subcommand)]
pub enum AdminKey {
    /// Make an admin key; its secret is printed this once
    Create {
        /// For people
        #[arg(long)]
        name: String,
        /// owner, admin or auditor
        #[arg(long)]
        role: String,
        /// When it stops working, such as 2027-01-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        #[command(flatten)]
        once: Once,
    },
    /// List admin keys; the deployment's own is not among them
    List {
        /// Only those of this role
        #[arg(long)]
        role: Option<String>,
    },
    /// Show one admin key
    Show {
        /// The id, not the secret
        id: String,
    },
    /// Make a successor of the same name and role, whose secret is printed this once, and end the
    /// key
    Rotate {
        /// The id, not the secret
        id: String,
        /// How long both work, up to 604800 (a week) [default: 0]
        #[arg(long, value_name = "SECONDS")]
        overlap_s: Option<u32>,
        #[command(flatten)]
        once: Once,
    },
    /// Stop an admin key for ever
    Revoke {
        /// The id, not the secret
        id: String,
        #[command(flatten)]
        force: Force,
    },
}

/// `farebox iam …`
#[derive(Debug, Subcommand)]
pub enum Iam {
    /// Give an IAM user or role a role here; it signs with --auth iam
    Grant {
        /// Such as arn:aws:iam::111122223333:role/Ops
        arn: String,
        /// owner, admin or auditor
        #[arg(long)]
        role: String,
        #[command(flatten)]
        force: Force,
    },
    /// List IAM principals with a role
    List {
        /// Only those of this role
        #[arg(long)]
        role: Option<String>,
    },
    /// Show one IAM principal
    Show {
        /// As `farebox iam list` shows it
        arn: String,
    },
    /// Take its role away
    Revoke {
        /// As `farebox iam list` shows it
        arn: String,
        #[command(flatten)]
        force: Force,
    },
}
