//! One HTTP request on one connection: no pool, no retry, no redirect, so that a test sees what
//! really went over the wire and can hang up when it likes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// No answer of the local stack takes longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A request that is being written.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) url: String,
    pub(crate) method: Method,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Bytes,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// An answer whose body still comes. Dropping it closes the connection.
#[derive(Debug)]
pub struct Open {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    connection: JoinHandle<()>,
}

impl Call {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { url: url.into(), method, headers: Vec::new(), body: Bytes::new() }
    }

    /// A GET.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST of JSON.
    #[must_use]
    pub fn post(url: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::POST, url).json(body)
    }

    /// The same with a header that replaces an earlier one of its name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// A header, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The same at another place.
    #[must_use]
    pub fn at(self, url: String) -> Self {
        Self { url, ..self }
    }

    /// The same without a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// The same with `Authorization: Bearer`.
    #[must_use]
    pub fn bearer(self, key: &str) -> Self {
        self.with("authorization", format!("Bearer {key}"))
    }

    /// The same with a body of JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string()).with("content-type", "application/json")
    }

    /// The same with a body of bytes, called nothing.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and takes the whole answer.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.url);
        let answer = async { self.open().await.whole().await };
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(answer) => answer,
            Err(_) => panic!("no answer in {ANSWER_TIMEOUT:?}: {what}"),
        }
    }

    /// Sends it and returns when the head of the answer is there.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn open(self) -> Open {
        let what = format!("{} {}", self.method, self.url);
        self.try_open().await.unwrap_or_else(|fault| panic!("{what}: {fault}"))
    }

    /// Sends it and returns when the head of the answer is there, or why it is not.
    ///
    /// # Errors
    /// Whatever the connection met.
    ///
    /// # Panics
    /// Where the request itself is none.
    pub async fn try_open(self) -> Result<Open, String> {
        let rest = self.url.strip_prefix("http://").expect("an http URL");
        let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let stream = TcpStream::connect(host).await.map_err(|fault| fault.to_string())?;
        let nodelay = stream.set_nodelay(true);
        nodelay.map_err(|fault| fault.to_string())?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|fault| fault.to_string())?;
        let connection = tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder().method(self.method).uri(path).header("host", host);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body)).expect("a request");
        let response = match sender.send_request(request).await {
            Ok(response) => response,
            Err(fault) => {
                connection.abort();
                return Err(fault.to_string());
            }
        };
        let (head, body) = response.into_parts();
        Ok(Open { status: head.status, headers: head.headers, body, connection })
    }
}

impl Open {
    /// The next piece of the body, or `None` at its good end.
    ///
    /// # Errors
    /// Where the body is cut.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(fault)) => return Err(fault.to_string()),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole answer.
    ///
    /// # Panics
    /// Where the body is cut.
    pub async fn whole(mut self) -> Answer {
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece().await.expect("a body with an end") {
            body.extend_from_slice(&piece);
        }
        let (status, headers) = (self.status, std::mem::take(&mut self.headers));
        Answer { status, headers, body: body.freeze() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Answer {
    /// Its status as a number.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// Its body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Its body as JSON.
    ///
    /// # Panics
    /// Where it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|fault| panic!("{fault} in {} {}", self.status, self.text()))
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The same answer, when its status is the wanted one.
    ///
    /// # Panics
    /// Where it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.code(), status, "{}", self.text());
        self
    }

    /// The data of its server-sent events, in order; comments are left out.
    ///
    /// # Panics
    /// Where it is no event stream.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/event-stream"), "{} {kind}: {}", self.status, self.text());
        events_of(&self.text())
    }

    /// The same as JSON, without `[DONE]`.
    ///
    /// # Panics
    /// Where an event is not JSON.
    #[must_use]
    pub fn json_events(&self) -> Vec<Value> {
        let events = self.events().into_iter().filter(|data| data != "[DONE]");
        events
            .map(|data| {
                serde_json::from_str(&data).unwrap_or_else(|fault| panic!("{fault} in {data}"))
            })
            .collect()
    }
}

/// The data of whole server-sent events.
#[must_use]
pub fn events_of(text: &str) -> Vec<String> {
    let blocks = text.split("\n\n");
    let data = blocks.filter_map(|block| {
        let lines = block.lines().filter_map(|line| line.strip_prefix("data: "));
        Some(lines.collect::<Vec<_>>().join("\n")).filter(|data| !data.is_empty())
    });
    data.collect()
}
