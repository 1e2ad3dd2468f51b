//! The one HTTP client of the stack itself: for the counting proxy and for the demo's creation.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A pooled HTTP/1.1 client. Clones share the pool.
#[derive(Debug, Clone)]
pub struct Client {
    pooled: Pooled<HttpConnector, Full<Bytes>>,
}

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // A request that was sent is never sent again: the proxy must not turn one write into two.
        let pooled =
            Pooled::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector);
        Self { pooled }
    }
}

impl Client {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// Why there was no whole answer, as text.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let answer =
            self.pooled.request(request.map(Full::new)).await.map_err(|error| chain(&error))?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| chain(&error))?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
