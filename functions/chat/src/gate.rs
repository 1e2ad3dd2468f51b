//! The gate: everything that a call needs and that outlives it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use farebox_aws::{
    Aws, Config, Contents, Credentials, Directory, Ledger, LogQueue, Logs, Rates, Replies,
};
use farebox_core::Error;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;

use crate::open::Tokens;

/// How long a connection to a provider may take: longer means that it is down, and nothing
/// has been sent yet, so giving up is free.
const CONNECT_MS: u32 = 5_000;

/// Idle connections are dropped before a provider's load balancer drops them (60 s and more).
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// A future around another.
pub type Around = fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()>;

/// Shared by all calls of one environment.
pub struct Gate {
    /// Configuration, clock, randomness and the lazy AWS clients.
    pub aws: Aws,
    /// Budgets.
    pub ledger: Ledger,
    /// Keys and the owner's prices.
    pub directory: Directory,
    /// Provider credentials.
    pub credentials: Credentials,
    /// The queue to the logger.
    pub log: LogQueue,
    /// Log rows, for `GET /v1/requests`.
    pub logs: Logs,
    /// Rate limits of keys and users.
    pub rates: Rates,
    /// Idempotency claims, and the answers kept with them.
    pub replies: Replies,
    /// What was said, where the owner wants it kept.
    pub contents: Contents,
    /// Tokens that stand for credentials of several fields.
    pub tokens: Tokens,
    /// Calls that outlive their caller.
    pub tasks: TaskTracker,
    /// What a campaign puts around each of them, to count its awaits and to end it at one.
    pub around: Option<Around>,
    /// By the time that a connection may take.
    http: Mutex<BTreeMap<u32, reqwest::Client>>,
}

impl Gate {
    /// Builds the gate from the environment. No client is built before it is needed.
    ///
    /// # Errors
    /// A variable that is missing or wrong.
    pub fn from_env() -> Result<Self, farebox_aws::ConfigError> {
        Ok(Self::new(Aws::new(Config::from_env()?)))
    }

    /// Builds the gate on given AWS clients.
    #[must_use]
    pub fn new(aws: Aws) -> Self {
        Self {
            ledger: Ledger::new(&aws),
            directory: Directory::new(&aws),
            credentials: Credentials::new(&aws),
            log: LogQueue::new(&aws),
            logs: Logs::new(&aws),
            rates: Rates::new(&aws),
            replies: Replies::new(&aws),
            contents: Contents::new(&aws),
            tokens: Tokens::default(),
            tasks: TaskTracker::new(),
            around: None,
            http: Mutex::default(),
            aws,
        }
    }

    /// Runs a call that may outlive its caller.
    pub fn spawn(&self, call: impl Future<Output = ()> + Send + 'static) {
        let call = call.boxed();
        self.tasks.spawn(match self.around {
            Some(around) => around(call),
            None => call,
        });
    }

    /// The HTTP client for providers: never follows a redirect (a stored credential goes only
    /// to the host it was stored for), never uses a proxy, never sends a request again. A
    /// connection may take `connect_ms`, 5 s where it is not given.
    ///
    /// # Errors
    /// [`Error::Internal`] where TLS cannot be set up.
    pub fn http(&self, connect_ms: Option<u32>) -> Result<reqwest::Client, Error> {
        let connect_ms = connect_ms.unwrap_or(CONNECT_MS);
        let mut clients = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&connect_ms) {
            return Ok(client.clone());
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured((*Aws::tls()).clone())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(Duration::from_millis(connect_ms.into()))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()
            .map_err(Error::internal)?;
        clients.insert(connect_ms, client.clone());
        Ok(client)
    }
}
