//! The control plane: owners, keys, credentials, budgets, prices, routes and the webhook.
//!
//! Every change is told before it is made ([`Trail`]); without a trail there is no write. Every
//! change fails safe and can be repeated. What a call needs is written last, so a change
//! that stops half-way gives nobody more than before:
//!
//! | change | order |
//! |---|---|
//! | user | budget, entity, its keys |
//! | first budget of an org, a team or a model | budget, the owner's entity, its keys |
//! | key | budget, pointer, key item, look at the owners again |
//! | key rotated | one write of its item: the secrets that work, and its version |
//! | credential | lease, secret, metadata, keys |
//! | credential disabled | lease, metadata, keys, secret erased |
//! | webhook | lease, signing secret, item |
//! | imported price list | its parts, its name among the imported ones, what is in force |
//! | correction | journal, books scope by scope, log row, journal |

use std::sync::Arc;

use farebox_core::{Catalog, EntityId, Error, Rid, Scope, Secret, Timestamp};
use farebox_ledger::Budget;
use tokio::sync::Mutex;

use crate::Aws;
use crate::contents::Contents;
use crate::credentials::secret_text;
use crate::directory::{Directory, Overrides};
use crate::ledger::Ledger;
use crate::log_queue::LogQueue;
use crate::logs::Logs;
use crate::rollups::Rollups;

mod asks;
mod audit;
mod bindings;
mod budgets;
mod catalogue;
mod corrections;
mod credentials;
mod discounts;
mod grants;
mod key_settings;
mod keys;
mod once;
mod own_keys;
mod owners;
mod public_url;
mod reconcile;
mod restore;
mod rotation;
mod routes;
mod scopes;
mod sessions;
mod settings;
mod store;
mod version;

pub use asks::{Ask, AskRow, AskState, Decided};
pub use audit::{AuditFilter, AuditRow, End, Entry, Trail};
pub use bindings::BindingRow;
pub use budgets::{BudgetRow, Change};
pub use catalogue::{ListRow, StoredList};
pub use corrections::{Corrected, JournalRow, ScopeEntry, Truth};
pub use credentials::{CredentialOwner, CredentialPlace, CredentialRow};
pub use discounts::DiscountRow;
pub use grants::{AdminKeyRow, NewAdminKey, PrincipalRow, parse_admin_key};
pub use key_settings::KeySettings;
pub use keys::{KeyRow, NewKey};
pub use owners::{Allowance, NewUser, OwnerRow};
pub use public_url::{PublicUrl, UrlUse};
pub use routes::RouteRow;
pub use sessions::{LIFETIME_S, SessionRow, SignedIn};
pub use settings::{PriceRow, QuarantineRow, WebhookRow};
pub use version::Expected;

use store::Store;
pub(crate) use store::key;

/// How long the admin key is believed before it is read again.
const ADMIN_KEY_AGE_MS: i64 = 300_000;
/// The most rows of one page of a list (what one `BatchGetItem` takes).
pub const PAGE_MAX: u32 = 100;

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// In the order of their keys.
    pub rows: Vec<T>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What a row must be besides being in a list.
pub type Fits<'row, T> = dyn Fn(&T) -> bool + Send + Sync + 'row;

/// The control plane of one deployment. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    store: Store,
    ledger: Arc<Ledger>,
    directory: Arc<Directory>,
    logs: Arc<Logs>,
    rollups: Arc<Rollups>,
    queue: Arc<LogQueue>,
    contents: Arc<Contents>,
    admin_key: Arc<Mutex<Option<(Timestamp, Secret)>>>,
}

impl Control {
    /// Takes the services; reads nothing yet.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self {
            store: Store::new(aws),
            ledger: Arc::new(Ledger::new(aws)),
            directory: Arc::new(Directory::new(aws)),
            logs: Arc::new(Logs::new(aws)),
            rollups: Arc::new(Rollups::new(aws)),
            queue: Arc::new(LogQueue::new(aws)),
            contents: Arc::new(Contents::new(aws)),
            admin_key: Arc::new(Mutex::new(None)),
        }
    }

    /// The services.
    #[must_use]
    pub const fn aws(&self) -> &Aws {
        self.store.aws()
    }

    /// The log rows.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// What the log's rows add up to.
    #[must_use]
    pub fn rollups(&self) -> &Rollups {
        &self.rollups
    }

    /// Sends a record of a call to the logger, as chat would have.
    ///
    /// # Errors
    /// Where the queue cannot be reached; it can be repeated.
    pub async fn enqueue(&self, record: &str) -> Result<(), Error> {
        self.store.begin().await?;
        Ok(self.queue.send_text(record).await?)
    }

    /// What was said in a call; `None` where nothing is kept. That somebody looked is told.
    ///
    /// # Errors
    /// Where a table or the pepper cannot be read, or the look cannot be told.
    pub async fn content(&self, user: &EntityId, id: Rid) -> Result<Option<Vec<u8>>, Error> {
        self.store.begin().await?;
        let pepper = self.directory.pepper().await?;
        Ok(self.contents.read(user, id, &pepper).await?)
    }

    /// Erases content of a user, and answers kept for its repeats: how many items, and whether
    /// there may be more.
    ///
    /// # Errors
    /// Where a table cannot be reached; it can be repeated.
    pub async fn erase_content(&self, user: &EntityId) -> Result<(u32, bool), Error> {
        self.store.begin().await?;
        Ok(self.contents.erase(user).await?)
    }

    /// The prices as they stand now.
    ///
    /// # Errors
    /// Where they cannot be read, a list that is in force included.
    pub async fn prices_in_force(&self) -> Result<Overrides, Error> {
        Ok(self.directory.prices_now().await?)
    }

    /// The price list in force, which the owner's own prices go before.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn list_in_force(&self) -> Result<Catalog, Error> {
        Ok(self.directory.list_now().await?)
    }

    /// Keys and alerts as the other functions read them.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The admin key; five minutes old at most.
    ///
    /// # Errors
    /// Where it is not configured or cannot be read.
    pub async fn admin_key(&self) -> Result<Secret, Error> {
        let now = self.aws().now();
        let mut cached = self.admin_key.lock().await;
        if let Some((read_at, key)) = cached.as_ref() {
            let age = now.since(*read_at);
            if (0..ADMIN_KEY_AGE_MS).contains(&age) {
                return Ok(key.clone());
            }
        }
        let name = &self.aws().config().admin_key_secret;
        if name.is_empty() {
            let variable = "FAREBOX_ADMIN_KEY_SECRET";
            return Err(crate::Error::NotConfigured { variable }.into());
        }
        let text = secret_text(self.aws(), name).await?;
        let text = text.ok_or_else(|| Error::internal("the admin key's secret does not exist"))?;
        *cached = Some((now, text.clone()));
        Ok(text)
    }

    /// Budgets by their scopes; `None` where one has never been made.
    ///
    /// # Errors
    /// Where the ledger cannot be reached.
    pub async fn budgets_of(&self, scopes: &[Scope]) -> Result<Vec<Option<Budget>>, Error> {
        Ok(self.ledger.find_budgets(scopes).await?)
    }

    fn tenant(&self) -> &str {
        &self.aws().config().tenant
    }

    fn entities(&self) -> String {
        format!("E#{}", self.tenant())
    }
}
