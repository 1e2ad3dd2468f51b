//! From a presented key to its owner.

use std::sync::Arc;

use farebox_aws::KeyItem;
use farebox_core::{Error, GatewayKey};
use http::{HeaderMap, header};

use crate::gate::Gate;

/// Headers in which the clients' SDKs send a key.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "api-key", "x-goog-api-key"];

/// Finds out whose key a request carries.
///
/// # Errors
/// 401 where there is no key or it is not valid (the caller is never told why), 503 where the
/// directory cannot be read.
pub async fn authenticate(gate: &Gate, headers: &HeaderMap) -> Result<Arc<KeyItem>, Error> {
    let mut presented = presented(headers).peekable();
    presented.peek().ok_or(Error::MissingKey)?;
    let invalid = |reason| Error::InvalidKey { reason };
    let key = presented.find_map(|key| GatewayKey::parse(key).ok());
    let key = key.ok_or(invalid("malformed"))?;
    if key.stage != gate.aws.config().stage {
        return Err(invalid("of another stage"));
    }
    let (item, pepper) =
        futures_util::future::try_join(gate.directory.key(&key.id), gate.directory.pepper())
            .await?;
    let item = item.ok_or(invalid("unknown"))?;
    let item = gate.directory.key_of(item, &key, &pepper).await?.ok_or(invalid("unknown"))?;
    if item.accepts(&key, &pepper, gate.aws.now()) {
        return Ok(item);
    }
    Err(invalid("revoked, expired or not the secret"))
}

/// What may be the key: the first that is one counts, so a client's own bearer of somebody else's
/// stands in no key's way.
fn presented(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.to_str().ok()?.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key)
    });
    let plain = KEY_HEADERS.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    bearer.into_iter().chain(plain).map(str::trim).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_each_sdks_header() {
        for (name, value) in [
            ("authorization", "Bearer sk-fb-x"),
            ("authorization", "bearer  sk-fb-x "),
            ("x-api-key", "sk-fb-x"),
            ("api-key", "sk-fb-x"),
            ("x-goog-api-key", "sk-fb-x"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(presented(&headers).collect::<Vec<_>>(), ["sk-fb-x"], "{name}: {value}");
        }
    }

    #[test]
    fn another_scheme_is_no_key() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Basic c2stZmI6".parse().unwrap());

        assert_eq!(presented(&headers).next(), None);
    }
}
