//! The admin API over HTTP.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use farebox_api::ErrorAnswer;
use farebox_core::{Timestamp, sigv4};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, HeaderValue, IF_MATCH};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::Once;
use crate::aws::Signer;
use crate::failure::Failure;
use crate::progress::Progress;

mod address;

use address::is_loopback;
pub use address::{base_url, encoded};

/// An admin answer takes at most 29 s (API Gateway's limit).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The version of what nobody has made yet.
pub const ABSENT: &str = "\"0\"";
/// Whatever is there.
const ANY: &str = "*";

/// What makes a create harmless to repeat.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How long a create without an answer waits before it is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What stands before the paths of signed requests.
const SIGNED: &str = "/iam";

/// A connection to one Farebox.
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    credential: Credential,
}

/// What admits this command.
enum Credential {
    /// An admin key, as a header.
    Key(HeaderValue),
    /// Access keys of AWS, which sign each request.
    Iam(Signer),
}

/// Any answer.
pub struct Plain {
    /// The status.
    pub status: u16,
    /// When the gateway made it, by its own clock.
    pub date: Option<Timestamp>,
    /// The body, where it is JSON.
    pub body: Value,
}

/// A good answer.
pub struct Answer {
    /// The body; null where there is none.
    pub body: Value,
    /// The version for `If-Match`.
    pub etag: Option<String>,
}

/// What a change is based on.
pub struct Base {
    /// What was there, where it was looked at.
    pub now: Option<Value>,
    version: String,
}

impl Answer {
    /// The body as what it must be.
    ///
    /// # Errors
    /// A failure where the server is of another version.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        parse(&self.body)
    }
}

/// A body as what it must be.
///
/// # Errors
/// As [`Answer::parse`].
pub fn parse<T: DeserializeOwned>(body: &Value) -> Result<T, Failure> {
    T::deserialize(body).map_err(|error| {
        Failure::new(
            format!("the answer is not what this version of farebox expects: {error}"),
            "use the farebox command of the version that is deployed",
        )
    })
}

impl Client {
    /// A client for a base URL such as `http://127.0.0.1:8787`, with an admin key; nothing is sent
    /// yet.
    ///
    /// # Errors
    /// A failure that says what is wrong with the URL or the key.
    pub fn new(url: &str, key: &str) -> Result<Self, Failure> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| {
            Failure::new("the admin key has characters that no key has", "farebox login")
        })?;
        bearer.set_sensitive(true);
        Self::with(url, Credential::Key(bearer))
    }

    /// A client whose requests the AWS access keys of this machine sign.
    ///
    /// # Errors
    /// A failure that says what is wrong with the URL, or where access keys were looked for.
    pub fn signed(url: &str) -> Result<Self, Failure> {
        Self::with(url, Credential::Iam(Signer::find(&base_url(url)?)?))
    }

    fn with(url: &str, credential: Credential) -> Result<Self, Failure> {
        let base_url = base_url(url)?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("farebox-cli/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base_url) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| Failure::new(error.to_string(), "try again"))?;
        Ok(Self { http, base_url, credential })
    }

    /// Reads.
    ///
    /// # Errors
    /// Why there is no good answer, and what to type next.
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.perform(path, self.request(Method::GET, path)).await
    }

    /// Reads what may not be there.
    ///
    /// # Errors
    /// As [`Self::get`], but for what is not there.
    pub async fn find(&self, path: &str) -> Result<Option<Answer>, Failure> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Reads what a change will be based on; by force nothing is read, and whatever is there gives
    /// way.
    ///
    /// # Errors
    /// As [`Self::get`], but for what is not there.
    pub async fn base(&self, path: &str, force: bool) -> Result<Base, Failure> {
        match self.there(path, force).await {
            Err(failure) if failure.is_absent() => {
                Ok(Base { now: None, version: ABSENT.to_owned() })
            }
            read => read,
        }
    }

    /// The same of what must be there.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn there(&self, path: &str, force: bool) -> Result<Base, Failure> {
        if force {
            return Ok(Base { now: None, version: ANY.to_owned() });
        }
        let read = self.get(path).await?;
        let version = read.etag.unwrap_or_else(|| ABSENT.to_owned());
        Ok(Base { now: Some(read.body), version })
    }

    /// Replaces what was read.
    ///
    /// # Errors
    /// As [`Self::get`]; where somebody else was first, what is there now.
    pub async fn put<T: Serialize>(
        &self,
        path: &str,
        body: &T,
        base: &Base,
    ) -> Result<Answer, Failure> {
        self.send(Method::PUT, path, body, Some(&base.version)).await
    }

    /// Takes away what was read.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn delete(&self, path: &str, base: &Base) -> Result<Answer, Failure> {
        let request = self.request(Method::DELETE, path).header(IF_MATCH, &base.version);
        self.perform(path, request).await
    }

    /// Erases what has no version.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn erase(&self, path: &str) -> Result<Answer, Failure> {
        self.perform(path, self.request(Method::DELETE, path)).await
    }

    /// Writes, based on a version where it is a change of what has one.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn send<T: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: &T,
        if_match: Option<&str>,
    ) -> Result<Answer, Failure> {
        self.perform(path, self.writing(method, path, body, if_match)?).await
    }

    fn writing<T: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: &T,
        if_match: Option<&str>,
    ) -> Result<RequestBuilder, Failure> {
        let text = serde_json::to_string(body)
            .map_err(|error| Failure::new(error.to_string(), "try again"))?;
        let mut request = self.request(method, path);
        request = request.header(CONTENT_TYPE, "application/json").body(text);
        if let Some(version) = if_match {
            request = request.header(IF_MATCH, version);
        }
        Ok(request)
    }

    /// Makes something, and not twice where an answer is lost on its way: whoever asks again by
    /// the same `Idempotency-Key` is told what was made.
    ///
    /// # Errors
    /// As [`Self::get`]; where nobody has answered the second time either, how to ask again.
    pub async fn create<T: Serialize>(
        &self,
        path: &str,
        body: &T,
        if_match: Option<&str>,
        once: &Once,
    ) -> Result<Answer, Failure> {
        let key = once.idempotency_key.clone().map_or_else(idempotency_key, Ok)?;
        let ask = || {
            let request = self.writing(Method::POST, path, body, if_match)?;
            Ok(request.header(IDEMPOTENCY_KEY, &key))
        };
        match self.perform(path, ask()?).await {
            Err(failure) if failure.may_be_done() => {}
            answered => return answered,
        }
        tokio::time::sleep(AGAIN_AFTER).await;
        self.perform(path, ask()?).await.map_err(|failure| failure.repeatable(&key))
    }

    /// Reads all pages of a list as one answer, however many there are; `items` names the list in
    /// it.
    ///
    /// # Errors
    /// As [`Self::get`]; and where the list would be a part or have no end.
    pub async fn all(&self, path: &str, items: &str) -> Result<Answer, Failure> {
        let mut all = self.get(path).await?;
        let (mut seen, mut progress) = (BTreeSet::new(), None);
        while let Some(cursor) = all.body.get("next_cursor").and_then(Value::as_str) {
            let joint = if path.contains('?') { '&' } else { '?' };
            let next = format!("{path}{joint}cursor={}", encoded(cursor));
            if !seen.insert(next.clone()) {
                let message = format!("{path}: a page is followed by itself, so {items} never end");
                return Err(Failure::new(message, "type it again; then report it"));
            }
            let mut page = self.get(&next).await?.body;
            let more = page.get_mut(items).map(Value::take);
            let (Some(Value::Array(more)), Some(Value::Array(list))) =
                (more, all.body.get_mut(items))
            else {
                let message = format!("{path}: a page has no {items}, so the list is not whole");
                return Err(Failure::new(message, "use the farebox of the deployed version"));
            };
            progress.get_or_insert_with(|| Progress::of("read")).more(more.len());
            list.extend(more);
            let cursor = page.get_mut("next_cursor").map(Value::take).unwrap_or_default();
            if let Some(place) = all.body.get_mut("next_cursor") {
                *place = cursor;
            }
        }
        Ok(all)
    }

    /// Where it is.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        is_loopback(&self.base_url)
    }

    /// A request of a caller: any path, with a Farebox key or none, and whatever is answered.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn plain(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Plain, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.base_url));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(crate::clock::http_date);
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Plain { status, date, body })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        match &self.credential {
            Credential::Key(key) => {
                let url = format!("{}{path}", self.base_url);
                self.http.request(method, url).header(AUTHORIZATION, key.clone())
            }
            Credential::Iam(_) => {
                self.http.request(method, format!("{}{SIGNED}{path}", self.base_url))
            }
        }
    }

    /// The request as it is sent: signed, where access keys do it.
    fn finished(&self, request: RequestBuilder) -> Result<reqwest::Request, Failure> {
        let broken = |why: String| Failure::new(why, "try again");
        let mut request = request.build().map_err(|error| broken(error.to_string()))?;
        let Credential::Iam(signer) = &self.credential else { return Ok(request) };
        let url = request.url();
        let name = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let unsigned = sigv4::Request {
            method: request.method().as_str(),
            path: url.path(),
            query: url.query().unwrap_or_default(),
            headers: &[("host", &host)],
            body,
        };
        for (name, value) in signer.sign(&unsigned, crate::clock::now()) {
            let value = HeaderValue::from_str(&value);
            let mut value = value.map_err(|_| broken("the access keys are no text".into()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    async fn perform(&self, path: &str, request: RequestBuilder) -> Result<Answer, Failure> {
        let request = self.finished(request)?;
        let response = self.http.execute(request).await;
        let response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let answered = self.read(path, response).await;
        answered.map_err(|failure| match status {
            status if status.is_server_error() => failure.unsure().passing(),
            StatusCode::TOO_MANY_REQUESTS => failure.passing(),
            _ => failure,
        })
    }

    async fn read(&self, path: &str, response: Response) -> Result<Answer, Failure> {
        let status = response.status();
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.map(str::to_owned);
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() && bytes.is_empty() {
            return Ok(Answer { body: Value::Null, etag });
        }
        let body: Result<Value, _> = serde_json::from_slice(&bytes);
        match body {
            Ok(body) if status.is_success() => Ok(Answer { body, etag }),
            Ok(body) => match (ErrorAnswer::deserialize(&body), &self.credential) {
                (Ok(answer), Credential::Iam(_)) if answer.error.code == "forbidden" => {
                    Err(unsigned(&answer.error.message))
                }
                (Ok(answer), _) => Err(Failure::refused(path, &answer.error)),
                (Err(_), _) => Err(self.not_farebox(status)),
            },
            Err(_) => Err(self.not_farebox(status)),
        }
    }

    fn not_farebox(&self, status: StatusCode) -> Failure {
        Failure::new(
            format!("{} answered {status}, but not as Farebox does", self.base_url),
            "check the URL: it is the base URL, without a path of the API",
        )
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why = match (error.is_timeout(), cause(error)) {
            (true, _) => "no answer in time".to_owned(),
            (false, None) => "not reachable".to_owned(),
            (false, Some(cause)) => format!("not reachable ({cause})"),
        };
        let next = if is_loopback(&self.base_url) {
            "start it with: cargo local (it prints its URL; another one: farebox login --url URL)"
        } else {
            "check the URL and the network"
        };
        let failure = Failure::new(format!("{}: {why}", self.base_url), next).passing();
        // Without a connection nothing was sent.
        if error.is_connect() { failure } else { failure.unsure() }
    }
}

/// The innermost reason: no such name, a refused connection, a certificate.
fn cause(error: &reqwest::Error) -> Option<String> {
    let mut inner = error.source()?;
    while let Some(deeper) = inner.source() {
        inner = deeper;
    }
    Some(inner.to_string())
}

/// What is said of a signature that API Gateway does not take, or of a principal without a role.
fn unsigned(said: &str) -> Failure {
    Failure::new(said, "aws sts get-caller-identity; it needs execute-api:Invoke, and a role here")
}

/// One that nobody else has.
fn idempotency_key() -> Result<String, Failure> {
    let mut random = [0; 16];
    let source = rustls::crypto::ring::default_provider().secure_random;
    let none = |_| Failure::new("this machine has no random numbers", "type it again");
    source.fill(&mut random).map_err(none)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn tls() -> Result<rustls::ClientConfig, Failure> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(error.to_string(), "try again"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_a_line_end_is_refused() {
        assert!(Client::new("http://127.0.0.1:1", "sk-fba-a\nb").is_err());
    }
}
