//! A request as it came, with what every answer and log row needs from it.

use bytes::Bytes;
use farebox_aws::Clock;
use farebox_core::labels::TAGS_HEADER;
use farebox_core::{Error, Labels, Money, Rid, Timestamp};
use http::{HeaderMap, Method, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};

use crate::gate::Gate;

/// A user agent longer than this is cut in the log.
const USER_AGENT_CHARS_MAX: usize = 256;
/// The header by which a caller bounds the cost of one call.
const MAX_COST_HEADER: &str = "x-farebox-max-cost-usd";
/// A caller's own request id longer than this is not kept.
const CLIENT_ID_CHARS_MAX: usize = 128;

/// One request.
#[derive(Clone)]
pub struct Incoming {
    /// Its method.
    pub method: Method,
    /// Its path without the stage.
    pub path: String,
    /// Its query string, parsed.
    pub query: Vec<(String, String)>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The identity of the call and of its first attempt.
    pub request_id: Rid,
    /// The caller's own `x-request-id`.
    pub client_request_id: Option<String>,
    /// When it arrived.
    pub started_at: Timestamp,
    /// When Lambda ends the invocation.
    pub ends_at: Timestamp,
    /// The caller's address.
    pub ip: Option<String>,
    /// The caller's user agent.
    pub user_agent: Option<String>,
}

impl Incoming {
    /// Takes a request in. Pure but for the clock and the identity.
    #[must_use]
    pub fn new(gate: &Gate, request: Request) -> Self {
        let started_at = gate.aws.now();
        let request_id = gate.aws.new_rid();
        let context = request.lambda_context_ref();
        // The context's deadline is on the machine's own clock; only the rest of it is used.
        let rest_ms = context.map_or(DEFAULT_REST_MS, |context| {
            let deadline = i64::try_from(context.deadline).unwrap_or(i64::MAX);
            deadline.saturating_sub(Clock::machine_now().ms())
        });
        let path = request.raw_http_path().to_owned();
        let query = request
            .query_string_parameters_ref()
            .map(|map| map.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
            .unwrap_or_default();
        let ip = request.request_context_ref().and_then(source_ip);
        let (parts, body) = request.into_parts();
        let text = |name: http::HeaderName, most: usize| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some(value.chars().take(most).collect::<String>()).filter(|text| !text.is_empty())
        };
        Self {
            client_request_id: text(X_REQUEST_ID, CLIENT_ID_CHARS_MAX),
            user_agent: text(header::USER_AGENT, USER_AGENT_CHARS_MAX),
            method: parts.method,
            headers: parts.headers,
            path,
            query,
            body: bytes_of(body),
            request_id,
            started_at,
            ends_at: started_at.plus_ms(rest_ms),
            ip,
        }
    }

    /// The body, where it is plain JSON.
    ///
    /// # Errors
    /// [`Error::UnsupportedMediaType`].
    pub fn json(&self) -> Result<&[u8], Error> {
        let text = |name| {
            self.headers.get(name).map(|value: &http::HeaderValue| {
                String::from_utf8_lossy(value.as_bytes()).chars().take(80).collect::<String>()
            })
        };
        if let Some(encoding) = text(header::CONTENT_ENCODING)
            && !encoding.eq_ignore_ascii_case("identity")
        {
            return Err(Error::UnsupportedMediaType { given: encoding });
        }
        let given = text(header::CONTENT_TYPE).unwrap_or_default();
        let kind = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind == "application/json" || kind.ends_with("+json") {
            return Ok(&self.body);
        }
        let given = if given.is_empty() { "no Content-Type".to_owned() } else { given };
        Err(Error::UnsupportedMediaType { given })
    }

    /// The most that this call may cost: what its key allows, or less where a header says so.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the header.
    pub fn max_cost(&self, of_key: Option<Money>) -> Result<Option<Money>, Error> {
        let Some(given) = self.headers.get(MAX_COST_HEADER) else { return Ok(of_key) };
        let amount = given.to_str().ok().and_then(|text| Money::parse_usd(text).ok());
        let rule = "is an amount of USD in digits, such as 0.05";
        let amount = amount.filter(|amount| *amount > Money::ZERO);
        let amount = amount.ok_or_else(|| Error::malformed(MAX_COST_HEADER, rule))?;
        Ok(Some(of_key.map_or(amount, |of_key| of_key.min(amount))))
    }

    /// The labels of the request's header.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the header.
    pub fn labels(&self) -> Result<Labels, Error> {
        let Some(given) = self.headers.get(TAGS_HEADER) else { return Ok(Labels::default()) };
        let rule = "has characters beyond ASCII: write them percent-encoded";
        let text = given.to_str().map_err(|_| Error::malformed(TAGS_HEADER, rule))?;
        Labels::of_header(text)
    }

    /// A query parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

const X_REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");

/// Where no context tells (it always does): Lambda's own maximum.
const DEFAULT_REST_MS: i64 = 900_000;

fn bytes_of(body: Body) -> Bytes {
    match body {
        Body::Text(text) => Bytes::from(text),
        Body::Binary(bytes) => Bytes::from(bytes),
        _ => Bytes::new(),
    }
}

fn source_ip(context: &RequestContext) -> Option<String> {
    match context {
        RequestContext::ApiGatewayV1(context) => context.identity.source_ip.clone(),
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.clone(),
        _ => None,
    }
}
