//! URLs that Farebox may be told to send secrets or alerts to.
//!
//! An admin's mistake or a stolen admin key must not turn Farebox into a way into the network
//! that it runs in. So a URL is https to a public host, or its origin is one that the
//! deployment's owner wrote into `FAREBOX_ALLOWED_ORIGINS`. A name is judged by its text here;
//! what it resolves to is judged where the connection is made.

use core::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest URL.
const URL_BYTES_MAX: usize = 1024;

/// Ends of names that no public resolver knows.
const PRIVATE_SUFFIXES: [&str; 11] = [
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "lan",
    "home",
    "corp",
    "arpa",
    "onion",
];

const NOT_PUBLIC: &str = "the host is not public; use a public host name, or let the owner of the \
                          deployment add the exact origin to FAREBOX_ALLOWED_ORIGINS";

/// What a URL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlUse {
    /// The start of a provider's paths: no query.
    Base,
    /// A complete address: it may have a query.
    Whole,
}

/// A URL that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Judges a URL. `allowed` are exact origins such as `http://127.0.0.1:4000`.
    ///
    /// # Errors
    /// The rule that the URL breaks.
    pub fn parse(text: &str, url_use: UrlUse, allowed: &[String]) -> Result<Self, &'static str> {
        if text.len() > URL_BYTES_MAX {
            return Err("a URL has at most 1024 characters");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>^`{|}#".contains(&byte)) {
            return Err(
                "write the URL in ASCII, without spaces, quotes, backslashes or a fragment",
            );
        }
        let (scheme, rest) = text.split_once("://").ok_or("write it as https://host/path")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("a URL must not carry a user or a password");
        }
        if url_use == UrlUse::Base && path.contains('?') {
            return Err("a base URL has no query");
        }
        if path.split(['/', '?']).any(|segment| matches!(segment, "." | "..")) {
            return Err("a path must not have the segments . or ..");
        }
        let authority = authority.to_ascii_lowercase();
        let (host, port) = split_port(&authority)?;
        let origin = format!("{scheme}://{authority}");
        let is_allowed = allowed.iter().any(|allowed| allowed.trim_end_matches('/') == origin);
        match scheme {
            "https" if is_allowed || is_public(host) => {}
            "http" if is_allowed => {}
            "https" => return Err(NOT_PUBLIC),
            _ => return Err("only https is taken, or an origin of FAREBOX_ALLOWED_ORIGINS"),
        }
        if port == Some(0) {
            return Err("port 0 is no port");
        }
        let path = if url_use == UrlUse::Base { path.trim_end_matches('/') } else { path };
        Ok(Self(format!("{origin}{path}")))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let after_bracket = authority.rfind(']').unwrap_or(0);
    match authority.rfind(':') {
        Some(colon) if colon >= after_bracket => {
            let (host, port) = authority.split_at_checked(colon).unwrap_or((authority, ""));
            let digits = port.strip_prefix(':').unwrap_or_default();
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let port = if is_number { digits.parse().ok() } else { None };
            Ok((host, Some(port.ok_or("the port is not a number up to 65535")?)))
        }
        _ => Ok((authority, None)),
    }
}

fn is_public(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|text| text.parse::<Ipv6Addr>().ok());
        return address.is_some_and(is_public_v6);
    }
    let labels: Vec<&str> = host.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    // Resolvers read 0x7f.1 and 2130706433 as addresses too: a name that ends in a number is
    // an address in the one spelling that everybody reads alike, or nothing.
    if last.starts_with(|first: char| first.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().is_ok_and(is_public_v4);
    }
    let fits = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253
        && labels.len() >= 2
        && labels.iter().all(fits)
        && !PRIVATE_SUFFIXES.contains(&last)
}

/// Whether an address is one of the public internet (IANA's special-purpose registry).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

/// Global unicast (2000::/3) less what is carved out of it for tunnels and documents.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_special = match first {
        0x2001 => second < 0x0200 || second == 0x0db8,
        0x2002 | 0x3fff => true,
        _ => false,
    };
    (first & 0xe000) == 0x2000 && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PublicUrl, &'static str> {
        let allowed = ["http://127.0.0.1:4000".to_owned(), "https://llm.corp".to_owned()];
        PublicUrl::parse(text, UrlUse::Base, &allowed)
    }

    #[test]
    fn public_hosts_and_allowed_origins_pass() {
        for (given, kept) in [
            ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
            ("https://API.Example.com", "https://api.example.com"),
            ("https://llm.example.com:8443/a/b", "https://llm.example.com:8443/a/b"),
            ("https://8.8.8.8/v1", "https://8.8.8.8/v1"),
            ("https://[2606:4700::1111]/v1", "https://[2606:4700::1111]/v1"),
            ("http://127.0.0.1:4000/v1", "http://127.0.0.1:4000/v1"),
            ("https://llm.corp/x", "https://llm.corp/x"),
        ] {
            assert_eq!(parse(given).as_ref().map(PublicUrl::as_str), Ok(kept), "{given}");
        }
    }

    #[test]
    fn what_is_not_public_is_refused() {
        for text in [
            "http://api.openai.com/v1",
            "ftp://api.openai.com",
            "HTTPS://api.openai.com",
            "https://localhost",
            "https://x.localhost",
            "https://printer.local",
            "https://metadata.google.internal",
            "https://intranet",
            "https://host.",
            "https://127.0.0.1",
            "https://127.1",
            "https://0x7f.1",
            "https://2130706433",
            "https://0177.0.0.1",
            "https://10.0.0.1",
            "https://172.31.0.1",
            "https://192.168.1.1",
            "https://169.254.169.254/latest",
            "https://100.64.0.1",
            "https://0.0.0.0",
            "https://224.0.0.1",
            "https://198.18.0.1",
            "https://[::1]",
            "https://[::]",
            "https://[fe80::1]",
            "https://[fd00::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[64:ff9b::7f00:1]",
            "https://[2002:7f00:1::]",
            "https://[2001:db8::1]",
            "https://[::1",
            "https://",
            "http://127.0.0.1:4001/v1",
            "https://127.0.0.1:4000/v1",
            "http://127.0.0.1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_parser_could_read_otherwise_is_refused() {
        for text in [
            "",
            "api.openai.com",
            "https:/api.openai.com",
            "https://a.com@10.0.0.1/",
            "https://10.0.0.1\\@a.com",
            "https://a.com#@10.0.0.1",
            "https://a.com/ b",
            "https://a.com/%0d%0a\n",
            "https://ä.com",
            "https://a.com:0",
            "https://a.com:65536",
            "https://a.com:x",
            "https://a.com:",
            "https://a..com",
            "https://-a.com",
            "https://a.com/../v1",
            "https://a.com/v1?key=1",
            "http://127.0.0.1:4000@a.com",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&format!("https://a.com/{}", "a".repeat(2000))).is_err());
    }

    #[test]
    fn a_webhook_may_have_a_query() {
        let url = PublicUrl::parse("https://a.example.com/hook?sig=1", UrlUse::Whole, &[]);

        assert_eq!(url.unwrap().as_str(), "https://a.example.com/hook?sig=1");
    }
}
