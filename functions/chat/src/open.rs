//! From a stored credential to what opens its provider: a secret of several fields becomes a token.

use std::time::Duration;

use farebox_aws::{Cache, Credential};
use farebox_core::{Error, Fault, Secret};
use farebox_providers::Provider;
use farebox_providers::credential::{Grant, Granted};
use http::header;
use ring::digest::{SHA256, digest};

use crate::gate::Gate;
use crate::upstream;

/// Tokens kept: one for each secret in use.
const TOKENS_MAX: usize = 256;
/// So long before its end a token is not used any more: a call may last that long.
const MARGIN_MS: i64 = 300_000;
/// How long the grant of a token may take.
const GRANT_TIMEOUT: Duration = Duration::from_secs(5);
/// An answer with a token has about 1,100 bytes.
const GRANT_BYTES_MAX: u64 = 16_384;
/// Nothing has been held or sent when a token is asked for.
const UNCHARGED: &str = "No token could be had for it. Nothing was charged. Retry later.";

/// Tokens by the digest of the very secret that they were granted for: who stores another's
/// address without its key gets nothing.
pub struct Tokens(Cache<[u8; 32], Granted>);

impl Default for Tokens {
    fn default() -> Self {
        Self(Cache::new(TOKENS_MAX))
    }
}

/// The credential as requests carry it. One that is a single text stays as it is; of several
/// fields the base URL and the token are made, one grant at a time for each secret.
///
/// # Errors
/// [`Error::CredentialRejected`] where the fields are wrong or refused,
/// [`Error::ProviderUnavailable`] where no token can be had.
pub async fn open(
    gate: &Gate,
    provider: &Provider,
    owner: &str,
    stored: Credential,
) -> Result<Credential, Error> {
    let Some(scheme) = provider.scheme else { return Ok(stored) };
    let rejected = || Error::CredentialRejected {
        provider: provider.name.to_owned(),
        owner: owner.to_owned(),
    };
    let Credential { name, secret, base_url, weight } = stored;
    let base_url = match base_url {
        None => scheme.base_url(&secret),
        Some(given) => scheme.place(&secret, given),
    };
    let base_url = base_url.map_err(|_| rejected())?;
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, secret.expose().as_bytes()).as_ref());
    let load = async {
        let grant = scheme.grant(&secret, gate.aws.now()).map_err(|_| rejected())?;
        match grant {
            None => Ok(Granted { token: secret.clone(), lifetime_s: i64::MAX }),
            Some(grant) => {
                let body = ask(gate, provider.name, &grant).await?.ok_or_else(rejected)?;
                scheme.granted(&body).ok_or_else(|| unavailable(provider.name, "no token in it"))
            }
        }
    };
    let is_fresh = |granted: &Granted, age_ms: i64| {
        age_ms < granted.lifetime_s.saturating_mul(1_000).saturating_sub(MARGIN_MS)
    };
    let now = || gate.aws.now();
    let granted = gate.tokens.0.value(&key, now, is_fresh, |_: &Error, _| false, load).await?;
    Ok(Credential { name, secret: granted.token, base_url: Some(base_url), weight })
}

/// Asks for a token; `None` where the secret is refused.
async fn ask(gate: &Gate, provider: &str, grant: &Grant) -> Result<Option<bytes::Bytes>, Error> {
    let form: &Secret = &grant.form;
    let request = gate
        .http(None)?
        .post(&grant.url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT_ENCODING, "identity")
        .body(form.expose().to_owned());
    let answer = async {
        let answer = request
            .send()
            .await
            .map_err(|fault| unavailable(provider, &upstream::causes(&fault)))?;
        let status = answer.status().as_u16();
        let is_short = answer.content_length().is_none_or(|length| length <= GRANT_BYTES_MAX);
        match status {
            200 if is_short => match answer.bytes().await {
                Ok(body) => Ok(Some(body)),
                Err(fault) => Err(unavailable(provider, &upstream::causes(&fault))),
            },
            // `invalid_grant`: an unknown account, or a key that is not its own.
            400 | 401 | 403 => Ok(None),
            _ => Err(unavailable(provider, &format!("status {status} for a token"))),
        }
    };
    match tokio::time::timeout(GRANT_TIMEOUT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(unavailable(provider, "no answer in time")),
    }
}

fn unavailable(provider: &str, cause: &str) -> Error {
    upstream::unavailable(provider, UNCHARGED, Fault::Token, cause.to_owned())
}
