//! The three AWS services behind Farebox; nothing is decided here.
//!
//! `farebox-ledger` says which conditional write comes next; [`Ledger`] performs it and tells the
//! answer. That loop is the only one in the product that sends a money write again: the SDK's
//! retries and clock correction are off, and the HTTP connections below it ([`http`]) never
//! resend.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | [`Config::from_env`]: the only reader of the environment, the clock, randomness |
//! | [`clients`] | [`Aws`]: the SDK clients, each built when first used |
//! | [`sign_on`] | [`SignOn`]: the `OpenID` provider of the console |
//! | [`web`] | small questions to that provider |
//! | [`signed`] | signed POSTs to services that have no SDK here: SNS and SES |
//! | [`http`] | the connections: their limits, reuse and what "not sent" means |
//! | [`expression`] | ledger writes as requests, and answers back |
//! | [`control`] | the owner's writes: users, keys, credentials, budgets |
//! | [`ledger`] | [`Ledger`]: reserve and end a call in all its scopes |
//! | [`directory`] | [`Directory`]: keys, price overrides, alerts |
//! | [`alerts`] | [`Alerts`]: alerts put once each |
//! | [`channels`] | [`Channels`]: the topic and the addresses that alerts go to |
//! | [`credentials`] | [`Credentials`]: provider credentials from Secrets Manager |
//! | [`log_queue`] | [`LogQueue`]: call records to the logger, whatever happens |
//! | [`logs`] | [`Logs`]: one row a call |
//! | [`log_writer`] | [`LogWriter`]: such a row, and the sums that move with it |
//! | [`rollups`] | [`Rollups`]: these sums, read |
//! | [`usage`] | the same as the rows of a report |
//! | [`contents`] | [`Contents`]: what was said, where the owner wants it kept |
//! | [`rates`] | [`Rates`]: how much may be called at once and in a minute |
//! | [`replies`] | [`Replies`]: idempotency claims, and the answers kept with them |
//! | [`seal`] | [`Sealer`]: content is never stored in clear |

pub mod alerts;
pub mod cache;
pub mod channels;
pub mod clients;
pub mod config;
pub mod contents;
pub mod control;
pub mod credentials;
pub mod directory;
pub mod error;
pub mod expression;
pub mod http;
pub mod ledger;
pub mod log_queue;
pub mod log_writer;
pub mod logs;
pub mod rates;
pub mod replies;
pub mod rollups;
pub mod seal;
pub mod sign_on;
pub mod signed;
mod store;
pub mod usage;
pub mod web;

pub use alerts::Alerts;
pub use cache::Cache;
pub use channels::Channels;
pub use clients::Aws;
pub use config::{Clock, Config, ConfigError, random, random_bytes};
pub use contents::Contents;
pub use credentials::{Chosen, Credential, Credentials};
pub use directory::{AlertItem, Directory, InForce, KeyItem, NoticeItem, Overrides, StoredMac};
pub use error::Error;
pub use ledger::{Ask, Held, Ledger, Refusal};
pub use log_queue::LogQueue;
pub use log_writer::LogWriter;
pub use logs::{Logs, Page, Search, Whose};
pub use rates::{Places, Rates};
pub use replies::Replies;
pub use rollups::Rollups;
pub use seal::Sealer;
pub use sign_on::SignOn;
