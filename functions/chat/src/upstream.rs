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
pub const THEIR_ID: &str = "x-farebox-provider-request-id";
/// The same of its id of the answer, where the answer's own is of another dialect.
pub const THEIR_ANSWER: &str = "x-farebox-provider-response-id";
/// Before what is left of the provider's own limits, which are those of the stored credential:
/// `x-ratelimit-…` says what Farebox limits, whatever the caller's dialect.
pub const THEIR_LIMITS: &str = "x-farebox-provider-ratelimit-";
/// The most characters of an id that are kept.
pub const ID_CHARS_MAX: usize = 128;
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

/// The provider's headers that survive: when to retry, and under names of Farebox's what is left of
/// its limits and its own id of the request.
pub fn surviving(provider: &Provider, headers: &HeaderMap) -> HeaderMap {
    const NAMES: [&str; 2] = ["retry-after", "retry-after-ms"];
    const PREFIXES: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];
    let told = |name: &HeaderName| {
        if NAMES.contains(&name.as_str()) {
            return Some(name.clone());
        }
        let of = PREFIXES.iter().find_map(|prefix| name.as_str().strip_prefix(prefix))?;
        HeaderName::try_from(format!("{THEIR_LIMITS}{of}")).ok()
    };
    let surviving = headers.iter().filter_map(|(name, value)| Some((told(name)?, value.clone())));
    let mut surviving: HeaderMap = surviving.collect();
    if let Some(Ok(id)) = provider_request_id(provider, headers).map(HeaderValue::try_from) {
        surviving.insert(THEIR_ID, id);
    }
    surviving
}

/// The provider's own id of the request.
pub fn provider_request_id(provider: &Provider, headers: &HeaderMap) -> Option<String> {
    let value = provider.request_ids.iter().find_map(|name| headers.get(*name))?;
    Some(value.to_str().ok()?.chars().take(ID_CHARS_MAX).collect())
}

/// How long a provider asks to wait, in ms: `retry-after-ms`, else `retry-after` in seconds, each
/// with a fraction or without, or as a date, which counts from the answer's own where it has one.
pub fn asked_ms(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|text| thousandths(text, 1)) {
        return Some(ms);
    }
    let after = text("retry-after")?;
    thousandths(after, 1_000).or_else(|| {
        let until = Timestamp::parse_http(after).ok()?;
        let date = text("date").and_then(|date| Timestamp::parse_http(date).ok());
        Some(u64::try_from(until.since(date.unwrap_or(now))).unwrap_or_default())
    })
}

/// A decimal times `each`, rounded up.
fn thousandths(text: &str, each: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let parts = format!("{fraction:0<9}").get(..9)?.parse::<u64>().ok()?;
    let parts = parts.checked_mul(each)?.div_ceil(1_000_000_000);
    whole.parse::<u64>().ok()?.checked_mul(each)?.checked_add(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        pairs.collect()
    }

    #[test]
    fn a_wait_is_read_in_either_header_as_a_number_or_a_date() {
        let now = Timestamp::parse("2026-10-21T07:27:00Z").unwrap();
        let date = "Wed, 21 Oct 2026 07:28:00 GMT";
        for (pairs, asked) in [
            (&[("retry-after", "7"), ("retry-after-ms", "50")][..], Some(50)),
            (&[("retry-after", "7")], Some(7_000)),
            (&[("retry-after", "1.5")], Some(1_500)),
            (&[("retry-after", "0.0004")], Some(1)),
            (&[("retry-after-ms", "50.5")], Some(51)),
            (&[("retry-after-ms", "soon"), ("retry-after", "2")], Some(2_000)),
            (&[("retry-after", date)], Some(60_000)),
            (&[("retry-after", date), ("date", "Wed, 21 Oct 2026 07:27:50 GMT")], Some(10_000)),
            (&[("retry-after", date), ("date", "Wed, 21 Oct 2026 07:29:00 GMT")], Some(0)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1.")], None),
            (&[("retry-after", "1e3")], None),
            (&[("retry-after", "")], None),
            (&[("retry-after", "99999999999999999999")], None),
            (&[], None),
        ] {
            assert_eq!(asked_ms(&headers(pairs), now), asked, "{pairs:?}");
        }
    }

    #[test]
    fn a_providers_limits_are_never_told_as_fareboxs() {
        let provider = farebox_providers::find("openai").unwrap();
        let given = headers(&[
            ("x-ratelimit-remaining-requests", "3"),
            ("anthropic-ratelimit-tokens-reset", "soon"),
            ("retry-after", "7"),
            ("set-cookie", "c"),
        ]);

        let told = surviving(provider, &given);

        let expected = headers(&[
            ("x-farebox-provider-ratelimit-remaining-requests", "3"),
            ("x-farebox-provider-ratelimit-tokens-reset", "soon"),
            ("retry-after", "7"),
        ]);
        assert_eq!(told, expected);
    }

    #[test]
    fn a_providers_id_is_read_where_its_row_says() {
        let all = headers(&[
            ("x-request-id", "x"),
            ("request-id", "r"),
            ("apim-request-id", "a"),
            ("mistral-correlation-id", "m"),
        ]);
        for (name, id) in [("openai", "x"), ("anthropic", "r"), ("azure", "a"), ("mistral", "m")] {
            let provider = farebox_providers::find(name).unwrap();
            assert_eq!(provider_request_id(provider, &all).as_deref(), Some(id), "{name}");
            assert_eq!(surviving(provider, &all)[THEIR_ID], id);
        }
    }
}
