//! The call to the provider: one POST, never sent again by itself.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use farebox_aws::Credential;
use farebox_core::sigv4::encoded;
use farebox_core::{Error, Fault, Timestamp};
use farebox_ledger::ProviderOutcome;
use farebox_providers::credential::Unsigned;
use farebox_providers::{CountRequest, DecodeError, Margin, Outbound, Provider, Wire};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Why there is no answer, and what that means for the money.
pub struct NoAnswer {
    /// For [`farebox_ledger::decide`].
    pub outcome: ProviderOutcome,
    /// For the caller.
    pub error: Error,
}

/// Where a call goes.
pub struct Target<'a> {
    /// The provider's row.
    pub provider: &'static Provider,
    /// Its wire format for this model.
    pub wire: &'static dyn Wire,
    /// The model, as the provider knows it.
    pub model: &'a str,
    /// The secret and, where the owner set one, the base URL.
    pub credential: &'a Credential,
    /// When, for those who sign it.
    pub now: Timestamp,
}

/// Longer than a count takes with a new connection, and much shorter than a wait for room.
const COUNT_TIMEOUT: Duration = Duration::from_secs(1);
/// The same with images or documents, which are sent and read for it.
const COUNT_MEDIA_TIMEOUT: Duration = Duration::from_secs(5);
/// The most characters of a provider's own words that are kept as a cause.
pub const CAUSE_CHARS_MAX: usize = 200;
/// How an answer names the provider's own id of it.
const THEIR_ID: &str = "x-farebox-provider-request-id";
/// The answer is one number.
const COUNT_BYTES_MAX: u64 = 4_096;

/// Sends the call and waits for the answer's head.
///
/// # Errors
/// [`NoAnswer`]: `NotSent` only where no byte of the body can have left.
pub async fn send(
    client: &reqwest::Client,
    target: &Target<'_>,
    outbound: &Outbound,
    patience: Duration,
) -> Result<reqwest::Response, NoAnswer> {
    let name = target.provider.name;
    let request = prepare(client, target, &outbound.path, &outbound.headers, &outbound.body)
        .map_err(|error| NoAnswer { outcome: ProviderOutcome::NotSent, error })?;
    match tokio::time::timeout(patience, client.execute(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(fault)) if fault.is_connect() || fault.is_builder() => Err(NoAnswer {
            outcome: ProviderOutcome::NotSent,
            error: unavailable(name, UNSENT, Fault::Unreachable, causes(&fault)),
        }),
        Ok(Err(fault)) => Err(NoAnswer {
            outcome: ProviderOutcome::Unknown,
            error: unavailable(name, CHARGED, Fault::NoAnswer, causes(&fault)),
        }),
        Err(_) => {
            Err(NoAnswer { outcome: ProviderOutcome::Unknown, error: timed_out(name, patience) })
        }
    }
}

/// Asks how many tokens a prompt has. Nothing hangs on the answer: `None` where there is
/// none in time.
pub async fn count(
    client: &reqwest::Client,
    target: &Target<'_>,
    request: &CountRequest,
) -> Option<u64> {
    let most = if request.margin == Margin::Media { COUNT_MEDIA_TIMEOUT } else { COUNT_TIMEOUT };
    let request = prepare(client, target, &request.path, &[], &request.body).ok()?;
    let answer = async {
        let answer = client.execute(request).await.ok()?.error_for_status().ok()?;
        let whole = answer.content_length().is_some_and(|length| length <= COUNT_BYTES_MAX);
        answer.bytes().await.ok().filter(|_| whole)
    };
    let body = tokio::time::timeout(most, answer).await.ok()??;
    CountRequest::counted(&body)
}

/// The advice where no byte of a call was sent.
const UNSENT: &str = "Nothing was charged. Retry later.";

/// The advice where the provider may bill a call whose end nobody saw.
pub const CHARGED: &str = "It may bill the call, so the call is charged at its worst case. \
                           Retrying makes a second call.";

/// The advice where a failed call came with what it used.
pub const BILLED: &str = "It bills what the call used until then, and that is charged. Retrying \
                          makes a second call.";

/// A provider that failed.
pub fn unavailable(provider: &str, advice: &'static str, fault: Fault, cause: String) -> Error {
    Error::ProviderUnavailable { provider: provider.to_owned(), advice, fault, cause }
}

/// A provider whose answer cannot be read.
pub fn unreadable(provider: &str, advice: &'static str, cause: &DecodeError) -> Error {
    let fault = match cause {
        DecodeError::EventTooLong { .. } => Fault::TooLong,
        DecodeError::Reported { .. } | DecodeError::Billed { .. } => Fault::Reported,
        _ => Fault::Unreadable,
    };
    let cause = cause.to_string().chars().take(CAUSE_CHARS_MAX).collect();
    unavailable(provider, advice, fault, cause)
}

/// Why a request failed, without its URL, which can carry a secret.
pub fn causes(fault: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = fault.source();
    while let Some(source) = next {
        causes.push(source.to_string());
        next = source.source();
    }
    if causes.is_empty() { "no further cause".to_owned() } else { causes.join(": ") }
}

/// A provider that took too long after the body was sent.
pub fn timed_out(provider: &str, patience: Duration) -> Error {
    Error::ProviderTimeout {
        provider: provider.to_owned(),
        seconds: u32::try_from(patience.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX),
        advice: CHARGED,
    }
}

fn prepare(
    client: &reqwest::Client,
    target: &Target<'_>,
    path: &str,
    beside: &[(&'static str, String)],
    body: &Bytes,
) -> Result<reqwest::Request, Error> {
    let base = target.credential.base_url.as_deref().unwrap_or(target.provider.base_url);
    if base.is_empty() {
        return Err(Error::internal(format!("{} has no base URL", target.provider.name)));
    }
    let url = match base.split_once('?') {
        None => format!("{}{path}", base.trim_end_matches('/')),
        Some((base, query)) => {
            format!("{base}/{}{path}?{query}", encoded(target.model.as_bytes(), b""))
        }
    };
    let secret = &target.credential.secret;
    let mut proof = target.wire.auth(secret);
    if let Some(scheme) = target.provider.scheme {
        let request = Unsigned { url: &url, body, now: target.now };
        proof.extend(scheme.sign(secret, &request)?);
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Compressed answers could not be relayed as they come, and SSE is small as it is.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in proof {
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| Error::internal("a credential that cannot be a header"))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    for (name, value) in beside {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Error::malformed(*name, "is not the text of a header"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    client
        .post(url)
        .headers(headers)
        .body(body.clone())
        .build()
        .map_err(|_| Error::internal("a base URL that cannot be called"))
}

/// The provider's headers that survive: when to retry, what is left of its limits, and its own id
/// of the request under a name of Farebox's.
pub fn surviving(headers: &HeaderMap) -> HeaderMap {
    const NAMES: [&str; 2] = ["retry-after", "retry-after-ms"];
    const PREFIXES: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];
    let survives = |name: &HeaderName| {
        let name = name.as_str();
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let surviving = headers.iter().filter(|(name, _)| survives(name));
    let mut surviving: HeaderMap =
        surviving.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(Ok(id)) = provider_request_id(headers).map(HeaderValue::try_from) {
        surviving.insert(THEIR_ID, id);
    }
    surviving
}

/// The provider's own id of the request.
pub fn provider_request_id(headers: &HeaderMap) -> Option<String> {
    let value = ["x-request-id", "request-id", "x-amzn-requestid"]
        .iter()
        .find_map(|name| headers.get(*name))?;
    Some(value.to_str().ok()?.chars().take(128).collect())
}
