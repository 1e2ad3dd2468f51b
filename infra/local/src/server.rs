//! What all HTTP servers here share: a listener on 127.0.0.1, HTTP/1.1 by hyper, one body type.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::error::Error;

/// The body of every answer. Its error ends the connection without the last chunk, so that a reader
/// sees a cut answer as cut.
pub type Body = UnsyncBoxBody<Bytes, Cut>;

/// An answer that ends before its end.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut")]
pub struct Cut;

/// A pause after a failed accept (out of file descriptors, say), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on 127.0.0.1, and nowhere else.
///
/// # Errors
/// [`Error::PortTaken`], or [`Error::System`].
pub async fn listen(port: u16) -> Result<(TcpListener, SocketAddr), Error> {
    let taken = |cause: std::io::Error| match cause.kind() {
        std::io::ErrorKind::AddrInUse => Error::PortTaken { port },
        _ => Error::System { what: "listening on 127.0.0.1", cause },
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    Ok((listener, address))
}

/// Serves connections for as long as the future is polled; connections live on as tasks of their
/// own.
pub async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Small chunks are the point of a stream.
        let _ = stream.set_nodelay(true);
        let handler = handler.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = handler(request, peer);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            // A connection that ends badly is the other side's business.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(Prompt(stream)), service)
                .await;
        });
    }
}

/// A connection whose reads are acknowledged at once. The runtime's client writes a streamed answer
/// in pieces with Nagle's algorithm on; with delayed acknowledgements each answer would take 40 ms
/// more here. (On AWS the Runtime API is not reached over a network.)
struct Prompt(TcpStream);

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(context, buffer);
        // The kernel forgets the wish after some segments, so it is said each time. A kernel that
        // does not know it is only slower.
        #[cfg(target_os = "linux")]
        let _ = self.0.set_quickack(true);
        read
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Why a body could not be read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It has more bytes than allowed.
    TooLong,
    /// The connection ended first.
    Broken,
}

/// Reads a whole body of at most `bytes_max`.
///
/// # Errors
/// See [`Unread`].
pub async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Unread> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unread::TooLong),
        Err(_) => Err(Unread::Broken),
    }
}

/// A body that is known whole.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A JSON answer.
#[must_use]
pub fn json(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
