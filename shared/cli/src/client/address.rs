//! Where a gateway is, and what can stand in a path of it.

use crate::failure::Failure;

/// A base URL as it is typed: with or without the API's own path.
///
/// # Errors
/// A failure that says how one is written.
pub fn base_url(url: &str) -> Result<String, Failure> {
    let trimmed = url.trim().trim_end_matches('/');
    let trimmed = trimmed.strip_suffix(farebox_api::BASE_PATH).unwrap_or(trimmed);
    let parsed = reqwest::Url::parse(trimmed).ok();
    let fits = parsed.is_some_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if fits {
        return Ok(trimmed.to_owned());
    }
    Err(Failure::new(
        format!("{url:?} is not a base URL"),
        "write it as http://127.0.0.1:4000 or https://host/stage",
    ))
}

/// Whether it is on this machine.
pub fn is_loopback(base_url: &str) -> bool {
    let url = reqwest::Url::parse(base_url).ok();
    let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

/// A text as one segment of a path or one value of a query.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_url_is_taken_with_or_without_the_api_path() {
        for url in [
            "https://x.example/prod",
            "https://x.example/prod/admin/v1/",
            " https://x.example/prod/",
        ] {
            assert_eq!(base_url(url), Ok("https://x.example/prod".to_owned()));
        }
        for url in ["", "x.example", "ftp://x", "https://a:b@x", "https://x?y=1"] {
            assert!(base_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(encoded("user:u_1"), "user:u_1");
        assert_eq!(encoded("a/b?c#d é"), "a%2Fb%3Fc%23d%20%C3%A9");
    }
}
