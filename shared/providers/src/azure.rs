//! Azure's credentials: a key of the resource, or a token of Microsoft Entra; and its older
//! addresses, which have the deployment in their path.
//!
//! Sources: learn.microsoft.com/azure/ai-foundry/openai/reference (`api-version`, deployments,
//! `api-key` or `Authorization: Bearer`) and …/entra/identity-platform,
//! v2-oauth2-client-creds-grant-flow. Not in any recorded exchange: a token of Entra's, and the
//! older addresses.

use farebox_core::sigv4::encoded;
use farebox_core::{Error, Secret, Timestamp};
use serde_json::{Map, Value};

use crate::credential::{Grant, Granted, Scheme, fields, text, token_of};

/// A key as one text, or an object: `api_key`, `token`, or `tenant_id`, `client_id` and
/// `client_secret`; and perhaps `api_version`.
pub struct AzureAccount;

/// How a token that was granted is told from a key.
const BEARER: &str = "Bearer ";
/// What a token is good for.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

impl Scheme for AzureAccount {
    fn is_somewhere(&self) -> bool {
        false
    }

    fn check(&self, secret: &Secret) -> Result<Vec<(&'static str, String)>, Error> {
        let Some(fields) = several(secret)? else { return Ok(Vec::new()) };
        if fields.contains_key("api_version") {
            name(&fields, "api_version")?;
        }
        let given = ["api_key", "token", "client_secret"].map(|field| fields.contains_key(field));
        match given {
            [true, false, false] => text(&fields, "api_key").map(|_| Vec::new()),
            [false, true, false] => text(&fields, "token").map(|_| Vec::new()),
            [false, false, true] => {
                text(&fields, "client_secret")?;
                name(&fields, "client_id")?;
                Ok(vec![("secret.token_uri", token_uri(&fields)?)])
            }
            _ => {
                let rule = "must have one of api_key, token, and client_secret (with tenant_id and \
                            client_id)";
                Err(Error::malformed("secret", rule))
            }
        }
    }

    fn base_url(&self, _: &Secret) -> Result<String, Error> {
        Err(Error::malformed("base_url", "is required: https://NAME.openai.azure.com/openai/v1"))
    }

    fn place(&self, secret: &Secret, base_url: String) -> Result<String, Error> {
        match several(secret)? {
            Some(fields) if fields.contains_key("api_version") => {
                let version = name(&fields, "api_version")?;
                let base = base_url.strip_suffix("/v1").unwrap_or(&base_url);
                Ok(format!("{base}/deployments?api-version={version}"))
            }
            _ => Ok(base_url),
        }
    }

    fn grant(&self, secret: &Secret, _: Timestamp) -> Result<Option<Grant>, Error> {
        let Some(fields) = several(secret)? else { return Ok(None) };
        if !fields.contains_key("client_secret") {
            return Ok(None);
        }
        let written = |value: &str| encoded(value.as_bytes(), b"");
        let scope = if fields.contains_key("scope") { text(&fields, "scope")? } else { SCOPE };
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={}",
            written(name(&fields, "client_id")?),
            written(text(&fields, "client_secret")?),
            written(scope),
        );
        Ok(Some(Grant { url: token_uri(&fields)?, form: Secret::new(form) }))
    }

    fn granted(&self, body: &[u8]) -> Option<Granted> {
        let Granted { token, lifetime_s } = token_of(body)?;
        let token = Secret::new(format!("{BEARER}{}", token.expose()));
        Some(Granted { token, lifetime_s })
    }
}

/// The header that opens a resource.
pub(crate) fn auth(secret: &Secret) -> Vec<(&'static str, String)> {
    let whole = secret.expose();
    if whole.starts_with(BEARER) {
        return vec![("authorization", whole.to_owned())];
    }
    let fields = several(secret).ok().flatten().unwrap_or_default();
    match (text(&fields, "token"), text(&fields, "api_key")) {
        (Ok(token), _) => vec![("authorization", format!("{BEARER}{token}"))],
        (_, Ok(key)) => vec![("api-key", key.to_owned())],
        _ => vec![("api-key", whole.to_owned())],
    }
}

/// The fields of a secret that has several.
fn several(secret: &Secret) -> Result<Option<Map<String, Value>>, Error> {
    secret.expose().starts_with('{').then(|| fields(secret)).transpose()
}

fn token_uri(fields: &Map<String, Value>) -> Result<String, Error> {
    if fields.contains_key("token_uri") {
        return text(fields, "token_uri").map(str::to_owned);
    }
    let tenant = name(fields, "tenant_id")?;
    Ok(format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"))
}

/// A field that stands in an address.
fn name<'f>(fields: &'f Map<String, Value>, field: &str) -> Result<&'f str, Error> {
    let text = text(fields, field)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if text.len() <= 64 && text.bytes().all(fits) && !text.starts_with('.') {
        return Ok(text);
    }
    Err(Error::malformed(format!("secret.{field}"), "must be letters, digits, '-' and '.'"))
}
