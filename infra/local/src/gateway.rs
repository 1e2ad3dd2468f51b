//! The API Gateway REST front: HTTP in, Lambda proxy events out, answers streamed back.
//!
//! Sources: API Gateway quotas (payload 10 MB, header values 10,240 bytes), Lambda quotas
//! (request 6 MB), "Set up a Lambda proxy integration with response streaming" (JSON prelude,
//! eight NUL bytes, then the body). Read 2026-11.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::clock::{Clock, request_id};
use crate::environments::{Environments, Failure};
use crate::function::Function;
use crate::server::{self, Body};
use crate::signature::{self, ACCOUNT, Signer};

const PAYLOAD_BYTES_MAX: usize = 10 * 1024 * 1024;
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;
const HEADER_VALUES_BYTES_MAX: usize = 10_240;
/// The prelude must end within the first 16 KB; a little more is allowed for.
const PRELUDE_BYTES_MAX: usize = 64 * 1024;
const STAGE: &str = "prod";

/// The front of the stack.
pub struct Gateway {
    /// The functions behind it.
    pub environments: Arc<Environments>,
    /// Dates the events.
    pub clock: Clock,
    /// The secret half of every access key here.
    pub iam_secret: String,
}

/// Answers one request from outside.
pub async fn serve(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let is_signed = path.starts_with("/iam/admin/");
    let is_admin = is_signed || path == "/admin" || path.starts_with("/admin/");
    let function = if is_admin { Function::Admin } else { Function::Chat };
    let (parts, body) = request.into_parts();
    let values: usize = parts.headers.values().map(HeaderValue::len).sum();
    if values > HEADER_VALUES_BYTES_MAX {
        return message(StatusCode::BAD_REQUEST, "Request header or cookie too large");
    }
    let Ok(body) = server::read(body, PAYLOAD_BYTES_MAX).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long");
    };
    let now_ms = gateway.clock.now_ms();
    let check = || signature::check(&parts, &body, now_ms, &gateway.iam_secret);
    let signer = match is_signed.then(check).transpose() {
        Ok(signer) => signer,
        Err(why) => return message(StatusCode::FORBIDDEN, &why),
    };
    let event = event(&parts, &body, now_ms, signer.as_ref());
    let event = Bytes::from(event.to_string());
    if event.len() > EVENT_BYTES_MAX {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long");
    }
    match gateway.environments.invoke(function, event).await {
        Ok(mut answer) if answer.streams => stream(&mut answer.body).await.map_or_else(
            || message(StatusCode::BAD_GATEWAY, "Internal server error"),
            |(prelude, first)| response(&prelude, first, answer.body),
        ),
        Ok(answer) => buffered(answer.body).await,
        Err(Failure::Failed(_)) => message(StatusCode::BAD_GATEWAY, "Internal server error"),
        Err(Failure::TimedOut) => {
            message(StatusCode::GATEWAY_TIMEOUT, "Endpoint request timed out")
        }
    }
}

/// The proxy event of a request, as API Gateway's REST APIs send it.
#[must_use]
pub fn event(
    parts: &http::request::Parts,
    body: &Bytes,
    now_ms: i64,
    signer: Option<&Signer>,
) -> Value {
    let path = parts.uri.path();
    let mut single = BTreeMap::new();
    let mut multi: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        single.insert(name.as_str(), value.clone());
        multi.entry(name.as_str()).or_default().push(value);
    }
    let (query, queries) = query_parameters(parts.uri.query().unwrap_or(""));
    let text = std::str::from_utf8(body).ok();
    let encoded = match text {
        Some("") => Value::Null,
        Some(text) => Value::from(text),
        None => Value::from(STANDARD.encode(body)),
    };
    let mut identity = signer.map_or_else(|| json!({}), Signer::identity);
    if let Some(fields) = identity.as_object_mut() {
        fields.insert("sourceIp".to_owned(), "127.0.0.1".into());
        fields.insert("userAgent".to_owned(), json!(single.get("user-agent")));
    }
    json!({
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": parts.method.as_str(),
        "headers": single,
        "multiValueHeaders": multi,
        "queryStringParameters": query,
        "multiValueQueryStringParameters": queries,
        "pathParameters": {"proxy": path.trim_start_matches('/')},
        "stageVariables": null,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "local",
            "domainName": "127.0.0.1",
            "httpMethod": parts.method.as_str(),
            "identity": identity,
            "path": format!("/{STAGE}{path}"),
            "protocol": "HTTP/1.1",
            "requestId": request_id(),
            "requestTimeEpoch": now_ms,
            "resourceId": "local",
            "resourcePath": "/{proxy+}",
            "stage": STAGE,
        },
        "body": encoded,
        "isBase64Encoded": text.is_none(),
    })
}

type Parameters = (BTreeMap<String, String>, BTreeMap<String, Vec<String>>);

fn query_parameters(query: &str) -> Parameters {
    let mut parameters: Parameters = Parameters::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        parameters.0.insert(name.clone(), value.clone());
        parameters.1.entry(name).or_default().push(value);
    }
    parameters
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = match byte {
            Some(byte) => {
                bytes.push(byte);
                after.get(2..).unwrap_or_default()
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                after
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Status and headers of a streamed answer.
#[derive(Debug, PartialEq)]
pub struct Prelude {
    status: StatusCode,
    headers: HeaderMap,
}

/// Splits `bytes` at the eight NUL bytes; `None` where they have not come yet.
#[must_use]
pub fn split_prelude(bytes: &[u8]) -> Option<(Prelude, Bytes)> {
    let at = bytes.windows(8).position(|window| window == [0; 8])?;
    let prelude: Value = serde_json::from_slice(bytes.get(..at)?).ok()?;
    let rest = Bytes::copy_from_slice(bytes.get(at.saturating_add(8)..)?);
    let status = prelude.get("statusCode").and_then(Value::as_u64).unwrap_or(200);
    let status = u16::try_from(status).ok().and_then(|code| StatusCode::from_u16(code).ok())?;
    let mut headers = HeaderMap::new();
    append_headers(&mut headers, prelude.get("headers"));
    append_headers(&mut headers, prelude.get("multiValueHeaders"));
    let cookies = prelude.get("cookies").map(|cookies| json!({"set-cookie": cookies}));
    append_headers(&mut headers, cookies.as_ref());
    Some((Prelude { status, headers }, rest))
}

fn append_headers(headers: &mut HeaderMap, given: Option<&Value>) {
    for (name, value) in given.and_then(Value::as_object).into_iter().flatten() {
        let values = match value {
            Value::Array(values) => values.iter().collect(),
            one => vec![one],
        };
        for value in values.into_iter().filter_map(Value::as_str) {
            let name = name.parse::<HeaderName>().ok();
            if let (Some(name), Ok(value)) = (name, value.parse::<HeaderValue>()) {
                headers.append(name, value);
            }
        }
    }
}

async fn stream(body: &mut mpsc::Receiver<Bytes>) -> Option<(Prelude, Bytes)> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.recv().await {
        bytes.extend_from_slice(&chunk);
        if let Some(split) = split_prelude(&bytes) {
            return Some(split);
        }
        if bytes.len() > PRELUDE_BYTES_MAX {
            return None;
        }
    }
    None
}

fn response(prelude: &Prelude, first: Bytes, rest: mpsc::Receiver<Bytes>) -> Response<Body> {
    let rest = futures_util::stream::unfold(rest, |mut rest| async {
        let bytes = rest.recv().await?;
        Some((bytes, rest))
    });
    let first = futures_util::stream::iter(Some(first).filter(|first| !first.is_empty()));
    let frames = first.chain(rest).map(|bytes| Ok(Frame::data(bytes)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    *response.status_mut() = prelude.status;
    *response.headers_mut() = prelude.headers.clone();
    response
}

/// A function that does not stream answers one JSON object.
async fn buffered(mut body: mpsc::Receiver<Bytes>) -> Response<Body> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.recv().await {
        bytes.extend_from_slice(&chunk);
    }
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let status = answer.get("statusCode").and_then(Value::as_u64);
    let status = status.and_then(|code| u16::try_from(code).ok());
    let Some(status) = status.and_then(|code| StatusCode::from_u16(code).ok()) else {
        return message(StatusCode::BAD_GATEWAY, "Internal server error");
    };
    let text = answer.get("body").and_then(Value::as_str).unwrap_or_default();
    let body = match answer.get("isBase64Encoded") {
        Some(Value::Bool(true)) => STANDARD.decode(text).unwrap_or_default(),
        _ => text.as_bytes().to_vec(),
    };
    let mut response = Response::new(server::whole(body));
    *response.status_mut() = status;
    append_headers(response.headers_mut(), answer.get("headers"));
    append_headers(response.headers_mut(), answer.get("multiValueHeaders"));
    response
}

/// What API Gateway answers by itself, in the shape that both templates give it.
fn message(status: StatusCode, text: &str) -> Response<Body> {
    let code = match status {
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        status if status.is_server_error() => "gateway_failed",
        _ => "gateway_refused",
    };
    let body = json!({"error": {"code": code, "message": text}});
    let mut response = server::json(status, &body);
    let id = request_id().parse().unwrap_or_else(|_| HeaderValue::from_static("local"));
    response.headers_mut().insert("x-amzn-requestid", id);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prelude_is_found_at_any_chunking() {
        let mut bytes =
            br#"{"statusCode":201,"headers":{"a":"b"},"cookies":["c=1","d=2"]}"#.to_vec();
        bytes.extend([0; 8]);
        bytes.extend(b"body");
        let end = bytes.len() - 4;

        for cut in 0..end {
            assert_eq!(split_prelude(&bytes[..cut]), None, "{cut}");
        }
        let (prelude, rest) = split_prelude(&bytes).unwrap();
        assert_eq!((prelude.status.as_u16(), rest.as_ref()), (201, &b"body"[..]));
        let cookies: Vec<_> = prelude.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["c=1", "d=2"]);
    }

    #[test]
    fn a_body_that_is_no_text_travels_as_base64() {
        let (parts, ()) = Request::post("/v1/chat?a=1&a=%20x").body(()).unwrap().into_parts();

        let event = event(&parts, &Bytes::from_static(b"\xff"), 0, None);

        assert_eq!(event["isBase64Encoded"], true);
        assert_eq!(event["body"], "/w==");
        assert_eq!(event["multiValueQueryStringParameters"]["a"], json!(["1", " x"]));
        assert_eq!(event["requestContext"]["path"], "/prod/v1/chat");
    }
}
