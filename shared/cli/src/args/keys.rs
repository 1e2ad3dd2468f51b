//! Farebox keys.

use clap::{Args as Options, Subcommand};

use super::{Force, Once};

/// `farebox key …`
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key; its secret is printed this once
    Create {
        /// Whose key
        #[arg(long)]
        user: String,
        /// For people
        #[arg(long, default_value = "cli")]
        name: String,
        /// A model that it may use: provider/model or provider/*; repeat it for more
        #[arg(long = "model", value_name = "MODEL")]
        models: Vec<String>,
        /// When it stops working, such as 2027-01-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// The most that one call may cost
        #[arg(long, value_name = "USD")]
        max_cost_usd: Option<String>,
        /// When an output cap is lowered to what the budgets afford: missing (where the caller
        /// sends none; the default), always or never
        #[arg(long, value_name = "WHEN")]
        clamp: Option<String>,
        /// How long a call waits for room that open calls hold, up to 60000; 0 is not at all.
        /// Left out: 5000, for a stream 10000
        #[arg(long, value_name = "MS")]
        room_wait_ms: Option<u64>,
        /// Leave out options that a provider cannot do
        #[arg(long)]
        drop_params: bool,
        #[command(flatten)]
        timeouts: Timeouts,
        /// What its calls are told apart by in usage and statements; repeat it for more
        #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        #[command(flatten)]
        once: Once,
    },
    /// Change a key; what is not named stays
    Set(KeyChange),
    /// List keys
    List {
        /// Only this user's
        #[arg(long)]
        user: Option<String>,
        /// Only these: active, expired or revoked
        #[arg(long)]
        state: Option<String>,
    },
    /// Give a key another secret, which is printed this once; its budget and settings stay
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
    /// Show one key, without its secret
    Show {
        /// The id, not the secret
        id: String,
    },
    /// Stop a key for ever
    Revoke {
        /// The id, not the secret
        id: String,
        #[command(flatten)]
        force: Force,
    },
}

/// How long each attempt of a key's calls may take, where their route does not say.
#[derive(Debug, Default, Options)]
pub struct Timeouts {
    /// The longest that a connection may take; 0 takes the limit away
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

/// What `farebox key set` says.
#[derive(Debug, Default, Options)]
pub struct KeyChange {
    /// The id, not the secret
    pub id: String,
    /// For people
    #[arg(long)]
    pub name: Option<String>,
    /// A model that it may use: provider/model or provider/*; repeat it for more; none: every model
    #[arg(long = "model", value_name = "MODEL")]
    pub models: Vec<String>,
    /// When it stops working; none: never
    #[arg(long, value_name = "TIME")]
    pub expires_at: Option<String>,
    /// The most that one call may cost; none: no limit
    #[arg(long, value_name = "USD")]
    pub max_cost_usd: Option<String>,
    /// When an output cap is lowered: missing, always or never
    #[arg(long, value_name = "WHEN")]
    pub clamp: Option<String>,
    /// How long a call waits for room, up to 60000; none: the usual time
    #[arg(long, value_name = "MS")]
    pub room_wait_ms: Option<String>,
    /// Leave out options that a provider cannot do
    #[arg(long, value_name = "BOOL")]
    pub drop_params: Option<bool>,
    #[command(flatten)]
    pub timeouts: Timeouts,
    /// What its calls are told apart by, all of them; repeat it for more
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Take its labels away
    #[arg(long, conflicts_with = "labels")]
    pub no_labels: bool,
}

/// A label as it is typed; the gateway checks it.
fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The seconds of a span as it is typed; the gateway knows the longest.
pub(super) fn span(text: &str) -> Result<u32, String> {
    let units = [("s", 1_u32), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let given = units.iter().find_map(|(unit, seconds)| {
        let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(*seconds)
    });
    given.ok_or_else(|| "write a number and s, m, h or d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_number_and_a_unit() {
        assert_eq!(span("90s"), Ok(90));
        assert_eq!(span("30m"), Ok(1_800));
        assert_eq!(span("1h"), Ok(3_600));
        assert_eq!(span("7d"), Ok(604_800));
        for wrong in ["", "h", "1", "1.5h", "-1h", "1 h", "1w", "100000d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
