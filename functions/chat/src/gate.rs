//! The gate: everything that a call needs and that outlives it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use farebox_aws::{
    Aws, Config, Contents, Credentials, Directory, Ledger, LogQueue, Logs, Rates, Replies,
};
use farebox_core::{Error, Timestamp};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;

use crate::open::Tokens;

/// How long a connection to a provider may take: longer means that it is down, and nothing
/// has been sent yet, so giving up is free.
const CONNECT_MS: u32 = 5_000;

/// Idle connections are dropped before a provider's load balancer drops them (60 s and more).
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// The wall clock went on so much longer than the monotonic one, which stands still while the
/// environment is frozen: the providers have dropped its connections, and it did not hear of it. A
/// call that is written into one is charged its worst case, though nobody ever saw it.
const THAW_MS: i64 = 20_000;

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
    http: Mutex<Clients>,
}

/// The HTTP clients for providers.
#[derive(Default)]
struct Clients {
    /// By the time that a connection may take.
    by_connect_ms: BTreeMap<u32, reqwest::Client>,
    /// When one was asked for last, by both clocks.
    asked_at: Option<(Timestamp, Instant)>,
}

impl Clients {
    /// Forgets connections of before a thaw.
    fn thaw(&mut self, now: (Timestamp, Instant)) {
        let Some((wall, monotonic)) = self.asked_at.replace(now) else { return };
        let awake_ms = now.1.saturating_duration_since(monotonic).as_millis();
        let awake_ms = i64::try_from(awake_ms).unwrap_or(i64::MAX);
        if now.0.since(wall).saturating_sub(awake_ms) > THAW_MS {
            self.by_connect_ms.clear();
        }
    }
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
    /// to the host it was stored for), never uses a proxy, never sends a request again, and never
    /// on a connection of before a thaw. A connection may take `connect_ms`, 5 s where it is not
    /// given.
    ///
    /// # Errors
    /// [`Error::Internal`] where TLS cannot be set up.
    pub fn http(&self, connect_ms: Option<u32>) -> Result<reqwest::Client, Error> {
        let connect_ms = connect_ms.unwrap_or(CONNECT_MS);
        let mut clients = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        clients.thaw((self.aws.now(), Instant::now()));
        if let Some(client) = clients.by_connect_ms.get(&connect_ms) {
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
        clients.by_connect_ms.insert(connect_ms, client.clone());
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_kept_while_both_clocks_run_and_dropped_after_a_thaw() {
        let (wall, monotonic) = (Timestamp::from_ms(1_800_000_000_000), Instant::now());
        for (wall_ms, awake_ms, is_kept) in [
            (0, 0, true),
            (THAW_MS, 0, true),
            (THAW_MS + 1, 0, false),
            // A long call is no thaw, and neither is a clock that was set back.
            (600_000, 600_000, true),
            (600_000, 570_000, false),
            (-600_000, 0, true),
        ] {
            let mut clients = Clients::default();
            clients.thaw((wall, monotonic));
            let client = reqwest::Client::builder();
            let client = client.tls_backend_preconfigured((*Aws::tls()).clone()).build();
            clients.by_connect_ms.insert(CONNECT_MS, client.unwrap());

            clients.thaw((wall.plus_ms(wall_ms), monotonic + Duration::from_millis(awake_ms)));

            assert_eq!(!clients.by_connect_ms.is_empty(), is_kept, "{wall_ms} {awake_ms}");
        }
    }
}
