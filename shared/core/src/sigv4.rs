//! Signed requests to AWS and to what API Gateway guards (Signature Version 4).
//!
//! Source: docs.aws.amazon.com/IAM, "Create a signed AWS API request" (read 2026-11); the vectors
//! of the tests are those of AWS' published suite (aws-sig-v4-test-suite).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::Timestamp;

/// What an `Authorization` header of this kind begins with.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Access keys. No `Debug`.
#[derive(Clone, Copy)]
pub struct AccessKeys<'keys> {
    /// The public half.
    pub id: &'keys str,
    /// The secret half.
    pub secret: &'keys str,
    /// The token of a session, where they are of one.
    pub session: Option<&'keys str>,
}

/// Where and when a signature counts.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'scope> {
    /// Such as `us-east-1`.
    pub region: &'scope str,
    /// Such as `bedrock` or `execute-api`.
    pub service: &'scope str,
    /// When the request is made.
    pub at: Timestamp,
}

/// A request as it goes over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Request<'request> {
    /// The method.
    pub method: &'request str,
    /// The path, percent-encoded as it is sent.
    pub path: &'request str,
    /// The query without its `?`, percent-encoded as it is sent.
    pub query: &'request str,
    /// The headers that are signed: names in small letters.
    pub headers: &'request [(&'request str, &'request str)],
    /// The exact body.
    pub body: &'request [u8],
}

impl AccessKeys<'_> {
    /// The headers that sign a request beside those that it has: `host` stands among these.
    #[must_use]
    pub fn sign(&self, request: &Request<'_>, scope: &Scope<'_>) -> Vec<(&'static str, String)> {
        let date = scope.date();
        let mut headers = request.headers.to_vec();
        headers.push(("x-amz-date", &date));
        headers.extend(self.session.map(|token| ("x-amz-security-token", token)));
        let signature = Request { headers: &headers, ..*request }.signature(self.secret, scope);
        let authorization = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
            self.id,
            scope.text(),
            names(&headers)
        );
        let mut signed = vec![("authorization", authorization), ("x-amz-date", date.clone())];
        signed.extend(self.session.map(|token| ("x-amz-security-token", token.to_owned())));
        signed
    }
}

impl Request<'_> {
    /// The signature of a request all of whose signed headers are here, in hexadecimal digits.
    #[must_use]
    pub fn signature(&self, secret: &str, scope: &Scope<'_>) -> String {
        let date = scope.date();
        let canonical = hash(self.canonical().as_bytes());
        let told = format!("{ALGORITHM}\n{date}\n{}\n{canonical}", scope.text());
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [day(&date), scope.region, scope.service, "aws4_request"] {
            key = mac(&key, part);
        }
        hex(&mac(&key, &told))
    }

    fn canonical(&self) -> String {
        let mut headers = self.headers.to_vec();
        headers.sort_by_key(|(name, _)| *name);
        let lines = headers.iter().map(|(name, value)| {
            let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
            format!("{name}:{}\n", words.join(" "))
        });
        let lines: String = lines.collect();
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let again = |text: &str| encoded(&decoded(text), b"");
        let mut pairs: Vec<_> = pairs.map(|(name, value)| (again(name), again(value))).collect();
        pairs.sort();
        let pairs = pairs.into_iter().map(|(name, value)| format!("{name}={value}"));
        let query = pairs.collect::<Vec<_>>().join("&");
        // The path is encoded already, and is encoded once more in what is signed.
        let path = encoded(self.path.as_bytes(), b"/");
        let (method, names, body) = (self.method, names(&headers), hash(self.body));
        format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body}")
    }
}

impl Scope<'_> {
    /// `20260131T235959Z`
    #[must_use]
    pub fn date(&self) -> String {
        let text = self.at.to_string();
        let whole = text.split('.').next().unwrap_or_default().trim_end_matches('Z');
        let digits = whole.chars().filter(|letter| !"-:".contains(*letter));
        digits.chain(['Z']).collect()
    }

    /// `20260131/us-east-1/bedrock/aws4_request`
    #[must_use]
    pub fn text(&self) -> String {
        let date = self.date();
        format!("{}/{}/{}/aws4_request", day(&date), self.region, self.service)
    }
}

/// The day of a date.
fn day(date: &str) -> &str {
    date.get(..8).unwrap_or(date)
}

/// `20260131T235959Z` as a time; `None` where it is none.
#[must_use]
pub fn parse_date(text: &str) -> Option<Timestamp> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let is_digits =
        |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !(is_digits(day, 8) && is_digits(time, 6)) {
        return None;
    }
    let (year, month, day) = (day.get(..4)?, day.get(4..6)?, day.get(6..)?);
    let (hour, minute, second) = (time.get(..2)?, time.get(2..4)?, time.get(4..)?);
    Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

/// Percent-encodes everything but letters, digits, `-`, `_`, `.`, `~` and what is kept.
#[must_use]
pub fn encoded(bytes: &[u8], kept: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) || kept.contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| core::str::from_utf8(two).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes
}

/// The names of signed headers, in order.
fn names(headers: &[(&str, &str)]) -> String {
    let mut names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.join(";")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: AccessKeys<'static> = AccessKeys {
        id: "AKIDEXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session: None,
    };

    fn scope() -> Scope<'static> {
        let at = Timestamp::parse("2015-08-30T12:36:00Z").unwrap();
        Scope { region: "us-east-1", service: "service", at }
    }

    fn signed(method: &str, path: &str, query: &str, more: &[(&str, &str)], body: &[u8]) -> String {
        let headers = [&[("host", "example.amazonaws.com")], more].concat();
        let request = Request { method, path, query, headers: &headers, body };
        KEYS.sign(&request, &scope())[0].1.clone()
    }

    #[test]
    fn a_request_is_signed_as_aws_signs_it() {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        for (name, signed, wanted) in [
            (
                "get-vanilla",
                signed("GET", "/", "", &[], b""),
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "post-vanilla",
                signed("POST", "/", "", &[], b""),
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "get-vanilla-query-order-key-case",
                signed("GET", "/", "Param2=value2&Param1=value1", &[], b""),
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "post-x-www-form-urlencoded",
                signed("POST", "/", "", &form, b"Param1=value1"),
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            assert!(signed.ends_with(&format!("Signature={wanted}")), "{name}: {signed}");
        }
        let expected = "AWS4-HMAC-SHA256 \
            Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
            SignedHeaders=host;x-amz-date, Signature=";
        assert!(signed("GET", "/", "", &[], b"").starts_with(expected));
    }

    #[test]
    fn whatever_is_sent_is_signed() {
        let plain = signed("PUT", "/a%3Ab", "x=1", &[], b"{}");

        for other in [
            signed("POST", "/a%3Ab", "x=1", &[], b"{}"),
            signed("PUT", "/a:b", "x=1", &[], b"{}"),
            signed("PUT", "/a%3Ab", "x=2", &[], b"{}"),
            signed("PUT", "/a%3Ab", "x=1&x=1", &[], b"{}"),
            signed("PUT", "/a%3Ab", "x=1", &[], b"{ }"),
            signed("PUT", "/a%3Ab", "x=1", &[("if-match", "*")], b"{}"),
        ] {
            assert_ne!(plain, other);
        }
        assert_eq!(plain, signed("PUT", "/a%3Ab", "%78=%31", &[], b"{}"));
    }

    #[test]
    fn a_session_is_signed_and_a_date_is_read_back() {
        let keys = AccessKeys { session: Some("token"), ..KEYS };
        let headers = [("host", "h")];
        let request = Request { method: "GET", path: "/", query: "", headers: &headers, body: b"" };

        let signed = keys.sign(&request, &scope());

        assert!(signed[0].1.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
        assert_eq!(signed[2], ("x-amz-security-token", "token".to_owned()));
        assert_eq!(parse_date(&signed[1].1), Some(scope().at));
        for wrong in ["", "20150830T123600", "2015-08-30T12:36:00Z", "20151330T123600Z", "TZ"] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }
}
