//! A reply as a value: status, headers, and the steps of its body. The wire formats build it
//! without I/O; the server plays it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use serde_json::Value;

/// The body type of every answer.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// One step of a body.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Bytes),
    /// As `Send`; the token in it is generated now.
    Generate(Bytes),
    Sleep(Duration),
    /// Close the connection without ending the body.
    Break,
}

/// The events of a streamed answer, in the three parts that the behaviours cut apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// Before the first token.
    pub(super) head: Vec<Bytes>,
    /// One event a token.
    pub(super) tokens: Vec<Bytes>,
    /// Finish reason, usage and the end mark.
    pub(super) tail: Vec<Bytes>,
}

/// One answer.
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    steps: Vec<Step>,
    on_token: OnToken,
}

/// What is done when a token is generated.
type OnToken = Box<dyn Fn() + Send>;

impl Reply {
    /// A whole JSON body.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    /// A whole body that is called JSON, whether it is or not.
    pub(super) fn text(status: u16, body: String) -> Self {
        let bytes_promised = body.len();
        Self::promised(status, bytes_promised, vec![Step::Send(Bytes::from(body))])
    }

    /// A body cut in half: the length of the whole is promised, and the connection closes.
    pub(super) fn cut_json(body: &Value) -> Self {
        let whole = Bytes::from(body.to_string());
        let half = whole.slice(..whole.len() / 2);
        Self::promised(200, whole.len(), vec![Step::Send(half), Step::Break])
    }

    /// A server-sent event stream.
    pub(super) fn events(steps: Vec<Step>) -> Self {
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
        headers.insert(CONTENT_TYPE, kind);
        headers.insert("cache-control", HeaderValue::from_static("no-cache"));
        Self { status: StatusCode::OK, headers, steps, on_token: Box::new(|| ()) }
    }

    /// The same reply, which tells of each token that is generated.
    pub(super) fn telling(self, on_token: impl Fn() + Send + 'static) -> Self {
        Self { on_token: Box::new(on_token), ..self }
    }

    /// The same reply with one more header; a value that no header can carry is left out.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// The reply as hyper sends it.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(play(self.steps, self.on_token));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    fn promised(status: u16, bytes_promised: usize, steps: Vec<Step>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes_promised));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers, steps, on_token: Box::new(|| ()) }
    }
}

/// One server-sent event of OpenAI's kind: data alone.
pub(super) fn data_event(data: &str) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// One server-sent event of Anthropic's kind: its type twice.
pub(super) fn named_event(data: &Value) -> Bytes {
    let name = data.get("type").and_then(Value::as_str).unwrap_or("error");
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

fn play(steps: Vec<Step>, on_token: OnToken) -> Body {
    let frames =
        stream::unfold((steps.into_iter(), on_token), |(mut steps, on_token)| async move {
            loop {
                match steps.next()? {
                    Step::Send(bytes) => return Some((Ok(Frame::data(bytes)), (steps, on_token))),
                    Step::Generate(bytes) => {
                        on_token();
                        return Some((Ok(Frame::data(bytes)), (steps, on_token)));
                    }
                    Step::Sleep(time) => tokio::time::sleep(time).await,
                    Step::Break => {
                        // hyper flushes what it has only when the body is not ready, and drops it
                        // when the body fails; the pause sends the part before the break.
                        tokio::task::yield_now().await;
                        let gone = io::Error::from(io::ErrorKind::ConnectionAborted);
                        return Some((Err(gone), (steps, on_token)));
                    }
                }
            }
        });
    StreamBody::new(frames).boxed_unsync()
}
