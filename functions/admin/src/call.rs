//! A request as the handlers see it.

use farebox_aws::control::Expected;
use farebox_core::{Error, Timestamp};
use lambda_http::http::{HeaderMap, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};

use crate::auth::Principal;

mod body;

/// The most rows that one page takes, and how many it takes unasked.
const LIMIT_MAX: u32 = 100;

/// What stands before the paths of signed requests.
const SIGNED: &str = "/iam";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Longest values of a query: a cursor and a scope may hold a model's name of 200 characters, and
/// a cursor of usage a set of labels of 400 beside it.
const CURSOR_BYTES_MAX: usize = 1_024;
const SCOPE_BYTES_MAX: usize = 400;
const VALUE_BYTES_MAX: usize = 256;
/// A label's name has 64 characters, its value at most 512, of four bytes each.
const LABEL_BYTES_MAX: usize = 4 * (64 + 1 + 512);
/// Longest `Idempotency-Key`.
const SEED_BYTES_MAX: usize = 255;

/// One request.
#[derive(Clone)]
pub struct Call {
    method: String,
    path: String,
    headers: HeaderMap,
    query: Vec<(String, String)>,
    parameters: Vec<(&'static str, String)>,
    body: Vec<u8>,
    expected: Option<Expected>,
    signer: Option<String>,
    base: Option<String>,
    who: Option<Principal>,
}

/// A time as people write it: RFC 3339, or a day, which is its midnight in UTC.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    const DAY_BYTES: usize = 10;
    let parsed = if text.len() == DAY_BYTES {
        Timestamp::parse(&format!("{text}T00:00:00Z"))
    } else {
        Timestamp::parse(text)
    };
    parsed.ok()
}

impl Call {
    /// Takes what a request says; judges nothing.
    #[must_use]
    pub fn read(request: &Request) -> Self {
        let query = request.query_string_parameters();
        let query = query.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = match request.body() {
            Body::Text(text) => text.as_bytes().to_vec(),
            Body::Binary(bytes) => bytes.clone(),
            _ => Vec::new(),
        };
        let signer = signer(request);
        let path = request.raw_http_path();
        // The same paths with API Gateway's check of a signature before them.
        let path = path.strip_prefix(SIGNED).filter(|_| signer.is_some()).unwrap_or(path);
        Self {
            method: request.method().as_str().to_owned(),
            path: path.to_owned(),
            headers: request.headers().clone(),
            query: query.collect(),
            parameters: Vec::new(),
            body,
            expected: None,
            signer,
            base: base(request),
            who: None,
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, without the stage.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A header that is text.
    #[must_use]
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All headers of a name that are text.
    pub fn all(&self, name: impl header::AsHeaderName) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// Where the browser has found the gateway, as API Gateway says: `https://host/stage`.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// The same request with the parameters of its path.
    #[must_use]
    pub(crate) fn with_parameters(mut self, parameters: Vec<(&'static str, String)>) -> Self {
        self.parameters = parameters;
        self
    }

    /// A parameter of the path; the route names it, so it is there.
    #[must_use]
    pub fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    /// A parameter of the path as what it must be.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the parameter and the rule.
    pub fn parsed<T>(&self, name: &str) -> Result<T, Error>
    where
        T: core::str::FromStr<Err: core::fmt::Display>,
    {
        let value = self.parameter(name).parse::<T>();
        value.map_err(|rule| Error::malformed(name, rule.to_string()))
    }

    /// A value of the query.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A value of the query that must be there, as what it must be.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the value and the rule.
    pub fn parsed_query<T>(&self, name: &str, example: &str) -> Result<T, Error>
    where
        T: core::str::FromStr<Err: core::fmt::Display>,
    {
        let missing = || Error::malformed(name, format!("is needed: send ?{name}={example}"));
        let value = self.query(name).ok_or_else(missing)?;
        value.parse::<T>().map_err(|rule| Error::malformed(name, rule.to_string()))
    }

    /// A value of the query that is one of a few.
    ///
    /// # Errors
    /// [`Error::Malformed`] names them.
    pub fn one_of(&self, name: &str, known: &[&str]) -> Result<Option<&str>, Error> {
        let value = self.query(name);
        match value {
            Some(value) if !known.contains(&value) => {
                Err(Error::malformed(name, format!("is one of {}", known.join(", "))))
            }
            value => Ok(value),
        }
    }

    /// A time of the query.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let rule = "write a day, such as 2026-11-23, or an RFC 3339 time: 2026-11-23T12:00:00Z";
        let time = self.query(name).map(|text| instant(text).ok_or(()));
        time.transpose().map_err(|()| Error::malformed(name, rule))
    }

    /// How many rows the caller wants: `?limit=`, 1 to 100.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn limit(&self) -> Result<u32, Error> {
        let Some(text) = self.query("limit") else { return Ok(LIMIT_MAX) };
        let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| Error::malformed("limit", "send a whole number from 1 to 100"))
    }

    /// Where the caller's page begins: `?cursor=`.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.query("cursor")
    }

    /// Who signed the request, as an ARN: API Gateway says so after it has checked.
    #[must_use]
    pub fn signer(&self) -> Option<&str> {
        self.signer.as_deref()
    }

    /// The same request of somebody who may make it.
    #[must_use]
    pub(crate) fn by(mut self, who: Principal) -> Self {
        self.who = Some(who);
        self
    }

    /// Who asks.
    ///
    /// # Errors
    /// [`Error::AdminForbidden`] where nobody does.
    pub fn who(&self) -> Result<&Principal, Error> {
        self.who.as_ref().ok_or(Error::AdminForbidden)
    }

    /// The same request with the version that its change is based on.
    #[must_use]
    pub(crate) fn with_expected(mut self, expected: Expected) -> Self {
        self.expected = Some(expected);
        self
    }

    /// The version that a change is based on. Nothing is, where nobody has looked: so a write that
    /// forgot to say what it needs is refused.
    #[must_use]
    pub fn expected(&self) -> Expected {
        self.expected.unwrap_or(Expected::Version(u64::MAX))
    }

    /// The `Idempotency-Key`, which makes a repeat of a create harmless.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn seed(&self) -> Result<Option<&str>, Error> {
        let rule = "is 1 to 255 printable ASCII characters, once";
        let wrong = || Error::malformed("Idempotency-Key", rule);
        let mut sent = self.headers.get_all(IDEMPOTENCY_KEY).iter();
        let (Some(seed), None) = (sent.next(), sent.next()) else {
            let is_absent = !self.headers.contains_key(IDEMPOTENCY_KEY);
            return if is_absent { Ok(None) } else { Err(wrong()) };
        };
        let seed = seed.to_str().map_err(|_| wrong())?;
        if (1..=SEED_BYTES_MAX).contains(&seed.len()) { Ok(Some(seed)) } else { Err(wrong()) }
    }

    /// Another change of the same thing was first; the answer will show what it made.
    #[must_use]
    pub fn raced(&self) -> Error {
        Error::StaleVersion { thing: self.path.clone(), version: String::new() }
    }

    /// What is wrong with the query before it is read: a misspelt filter must never become no
    /// filter.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the parameter.
    pub(crate) fn check_query(&self, known: &[&str]) -> Result<(), Error> {
        for (place, (name, value)) in self.query.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let rule = match known {
                    [] => "is no parameter: this request takes none".to_owned(),
                    _ => format!("is no parameter of this request: it takes {}", known.join(", ")),
                };
                return Err(Error::malformed(shortened(name), rule));
            }
            if self.query.iter().take(place).any(|(earlier, _)| earlier == name) {
                return Err(Error::malformed(name, "is given twice"));
            }
            if value.is_empty() {
                return Err(Error::malformed(name, "is empty: leave it out"));
            }
            let most = match name.as_str() {
                "cursor" => CURSOR_BYTES_MAX,
                "scope" => SCOPE_BYTES_MAX,
                "label" => LABEL_BYTES_MAX,
                _ => VALUE_BYTES_MAX,
            };
            if value.len() > most {
                let rule = format!("is at most {most} characters long");
                return Err(Error::malformed(name, rule));
            }
        }
        Ok(())
    }

    /// What is wrong with the body before it is read.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`] or [`Error::UnsupportedMediaType`].
    pub(crate) fn check_body(&self, bytes_max: usize) -> Result<(), Error> {
        if self.body.len() > bytes_max {
            return Err(Error::BodyTooLarge { bytes_max });
        }
        if !matches!(self.method.as_str(), "PUT" | "POST") {
            return Ok(());
        }
        let encoding = self.header(header::CONTENT_ENCODING).unwrap_or("identity");
        if !encoding.eq_ignore_ascii_case("identity") {
            return Err(Error::UnsupportedMediaType { given: shortened(encoding) });
        }
        let given = self.header(header::CONTENT_TYPE).unwrap_or("no Content-Type");
        let kind = given.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        Err(Error::UnsupportedMediaType { given: shortened(given) })
    }

    /// A request for tests.
    #[cfg(test)]
    pub(crate) fn of(method: &str, path: &str, body: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            query: Vec::new(),
            parameters: Vec::new(),
            body: body.as_bytes().to_vec(),
            expected: None,
            signer: None,
            base: None,
            who: None,
        }
    }

    /// The same request with a header, for tests.
    #[cfg(test)]
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// The same request with a value in its query, for tests.
    #[cfg(test)]
    pub(crate) fn with_query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Who signed a request. Only what API Gateway says counts: a caller cannot write it.
fn signer(request: &Request) -> Option<String> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => context.identity.user_arn.clone(),
        _ => None,
    }
}

/// The host is one that API Gateway serves, whatever a header says; before the path stands the
/// stage, where the host is not a domain of one's own.
fn base(request: &Request) -> Option<String> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => {
            let stage = context.path.as_deref()?.strip_suffix(request.raw_http_path())?;
            let is_plain = !stage.contains(['?', '#', '\\']) && !stage.starts_with("//");
            let host = context.domain_name.as_deref().filter(|_| is_plain)?;
            Some(format!("https://{host}{stage}"))
        }
        _ => None,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;

    #[test]
    fn a_day_is_its_midnight_and_anything_else_that_is_no_time_is_refused() {
        let text = |text| instant(text).map(|at| at.to_string());

        for (given, at) in [
            ("2026-11-01", Some("2026-11-01T00:00:00Z")),
            ("2026-11-01T12:00:00+01:00", Some("2026-11-01T11:00:00Z")),
            ("2026-11-31", None),
            ("2026-11", None),
            ("01.11.2026", None),
            ("", None),
        ] {
            assert_eq!(text(given).as_deref(), at, "{given}");
        }
    }

    #[test]
    fn only_plain_json_of_bounded_size_is_read() {
        let put = Call::of("PUT", "/", "{}");
        let status = |call: Call| call.check_body(9).map_err(|error| error.row().status);

        assert_eq!(status(put.clone()), Ok(()));
        let charset = "application/json; charset=utf-8";
        assert_eq!(status(put.clone().with_header("content-type", charset)), Ok(()));
        assert_eq!(status(put.clone().with_header("content-type", "text/plain")), Err(415));
        assert_eq!(status(put.with_header("content-encoding", "gzip")), Err(415));
        let long = "x".repeat(10);
        assert_eq!(status(Call::of("PUT", "/", &long)), Err(413));
        assert_eq!(status(Call::of("GET", "/", "").with_header("content-type", "x/y")), Ok(()));
    }

    #[test]
    fn the_gateways_address_is_what_api_gateway_says_and_no_header() {
        let base = |domain: Option<&str>, path: &str, raw: &str| {
            let mut context = ApiGatewayProxyRequestContext::default();
            (context.domain_name, context.path) = (domain.map(str::to_owned), Some(path.into()));
            let request = lambda_http::http::Request::builder()
                .header("host", "evil.example")
                .header("x-forwarded-host", "evil.example")
                .body(Body::Empty)
                .unwrap();
            let context = RequestContext::ApiGatewayV1(context);
            let request = request.with_raw_http_path(raw).with_request_context(context);
            Call::read(&request).base
        };
        let (own, api) = ("llm.example.com", "abc.execute-api.eu-central-1.amazonaws.com");
        let console = "/admin/console/sign-in";

        let staged = base(Some(api), "/prod/admin/console/sign-in", console);
        assert_eq!(staged, Some(format!("https://{api}/prod")));
        assert_eq!(base(Some(own), console, console), Some(format!("https://{own}")));
        assert_eq!(base(None, console, console), None);
        assert_eq!(base(Some(own), "/elsewhere", console), None);
        assert_eq!(base(Some(own), &format!("//x{console}"), console), None);
        let bare = lambda_http::http::Request::new(Body::Empty).with_raw_http_path(console);
        assert_eq!(Call::read(&bare).base, None);
    }

    #[test]
    fn an_idempotency_key_is_short_and_given_once() {
        let post = Call::of("POST", "/", "{}");
        let with = |seed: &str| post.clone().with_header(IDEMPOTENCY_KEY, seed);

        assert_eq!(post.seed(), Ok(None));
        assert_eq!(with("a-1").seed(), Ok(Some("a-1")));
        assert!(with("").seed().is_err() && with(&"x".repeat(256)).seed().is_err());
        let mut twice = with("a");
        twice.headers.append(IDEMPOTENCY_KEY, header::HeaderValue::from_static("b"));
        assert!(twice.seed().is_err());
    }

    #[test]
    fn a_limit_is_one_to_a_hundred() {
        let get = Call::of("GET", "/", "");

        assert_eq!(get.limit(), Ok(100));
        assert_eq!(get.clone().with_query("limit", "7").limit(), Ok(7));
        for text in ["0", "101", "-1", "1.5", "x"] {
            assert!(get.clone().with_query("limit", text).limit().is_err(), "{text}");
        }
    }
}
