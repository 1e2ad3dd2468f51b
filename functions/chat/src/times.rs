//! How long an attempt may take, and that nobody waits in silence for it.

use std::pin::pin;
use std::time::Duration;

use farebox_core::Error;
use http::HeaderMap;

use crate::gate::Gate;
use crate::handle::Admitted;
use crate::reply::Reply;
use crate::upstream;

/// How often a silent stream gets a comment, so that nothing between drops the connection.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a stream's caller waits in silence for the provider's head. Most of what stands between
/// drops a connection after 60 s, API Gateway after 300 s.
const OPENS_AFTER: Duration = Duration::from_secs(45);

/// A time as a route says it.
#[must_use]
pub fn milliseconds(most: Option<u32>) -> Option<Duration> {
    most.map(|most| Duration::from_millis(most.into()))
}

/// Waits for the provider's head. A stream's caller does not wait in silence for it: it is opened
/// before anything between takes the connection for dead, and from then on a failure travels in it.
pub async fn heard<T>(
    gate: &Gate,
    call: &Admitted,
    reply: &mut Reply,
    sending: impl Future<Output = T>,
) -> T {
    let waited = u64::try_from(gate.aws.now().since(call.started_at)).unwrap_or_default();
    let silent = OPENS_AFTER.saturating_sub(Duration::from_millis(waited));
    let mut sending = pin!(sending);
    let mut next = tokio::time::Instant::now() + silent;
    loop {
        if let Ok(sent) = tokio::time::timeout_at(next, &mut sending).await {
            return sent;
        }
        reply.keep_alive(&HeaderMap::new()).await;
        next = tokio::time::Instant::now() + KEEP_ALIVE;
    }
}

/// When an answer that does not come is given up.
pub struct Times {
    began: tokio::time::Instant,
    ends: tokio::time::Instant,
    idle: Option<Duration>,
    first: Option<Duration>,
}

impl Times {
    /// From the moment when the call is sent.
    #[must_use]
    pub fn of(call: &Admitted, patience: Duration) -> Self {
        let began = tokio::time::Instant::now();
        let [idle, first] = [call.timeouts.idle_ms, call.timeouts.first_byte_ms].map(milliseconds);
        Self { began, ends: began + patience, idle, first }
    }

    /// When it is given up, whatever has come by then.
    #[must_use]
    pub const fn ends(&self) -> tokio::time::Instant {
        self.ends
    }

    /// The last moment for the next piece, from now on. Of the first one, where nothing
    /// `has_begun`, it is the one that the head had.
    #[must_use]
    pub fn next(&self, has_begun: bool) -> tokio::time::Instant {
        let first = self.first.filter(|_| !has_begun).map(|first| self.began + first);
        let idle = self.idle.map(|idle| tokio::time::Instant::now() + idle);
        [first, idle].into_iter().flatten().fold(self.ends, std::cmp::Ord::min)
    }

    /// What a caller is told where it is given up now.
    #[must_use]
    pub fn over(&self, provider: &str, has_begun: bool) -> Option<Error> {
        let is_over = tokio::time::Instant::now() >= self.ends;
        is_over.then(|| self.passed(provider, has_begun))
    }

    /// What a caller is told where it has passed.
    #[must_use]
    pub fn passed(&self, provider: &str, has_begun: bool) -> Error {
        let now = tokio::time::Instant::now();
        let waited = self.ends.duration_since(self.began);
        let first = self.first.filter(|first| !has_begun && now >= self.began + *first);
        let idle = self.idle.filter(|_| now < self.ends);
        upstream::timed_out(provider, first.or(idle).unwrap_or(waited).min(waited))
    }
}
