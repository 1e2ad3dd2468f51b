//! A service account of Google: a signed statement is exchanged for a token (RFC 7523).
//!
//! Source: developers.google.com/identity/protocols/oauth2/service-account (HTTP/REST, read
//! 2026-11) and the key file that the console gives. Farebox adds one field to it, `location`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use farebox_core::{Error, Secret, Timestamp};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Map, Value, json};

use crate::credential::{Grant, Scheme, fields, text};

/// A service account's key file with a `location` beside its fields.
pub struct ServiceAccount;

/// Where tokens are granted, unless the key file says otherwise.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// What the token is good for; Vertex has no narrower one.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The longest life of a statement that Google takes.
const STATEMENT_S: i64 = 3_600;
/// The location without a surcharge.
const GLOBAL: &str = "global";

impl Scheme for ServiceAccount {
    fn check(&self, secret: &Secret) -> Result<Vec<(&'static str, String)>, Error> {
        let fields = fields(secret)?;
        if fields.get("type").is_some_and(|kind| kind != "service_account") {
            let rule = "must be service_account: store the key file of a service account";
            return Err(Error::malformed("secret.type", rule));
        }
        if !text(&fields, "client_email")?.contains('@') {
            return Err(Error::malformed("secret.client_email", "must be an address"));
        }
        key_pair(&fields)?;
        base_url(&fields)?;
        Ok(vec![("secret.token_uri", token_uri(&fields)?.to_owned())])
    }

    fn base_url(&self, secret: &Secret) -> Result<String, Error> {
        base_url(&fields(secret)?)
    }

    fn grant(&self, secret: &Secret, now: Timestamp) -> Result<Option<Grant>, Error> {
        let fields = fields(secret)?;
        let (url, now_s) = (token_uri(&fields)?.to_owned(), now.seconds());
        let head = json!({
            "alg": "RS256", "typ": "JWT",
            "kid": fields.get("private_key_id").and_then(Value::as_str).unwrap_or_default(),
        });
        let claims = json!({
            "iss": text(&fields, "client_email")?, "scope": SCOPE, "aud": url,
            "iat": now_s, "exp": now_s.saturating_add(STATEMENT_S),
        });
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let statement = format!("{}.{}", encoded(&head), encoded(&claims));
        let pair = key_pair(&fields)?;
        let mut signature = vec![0; pair.public().modulus_len()];
        // A signature of this kind has no random part: the source is asked for by the interface.
        let random = ring::rand::SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, statement.as_bytes(), &mut signature)
            .map_err(|_| Error::internal("a statement that cannot be signed"))?;
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer\
             &assertion={statement}.{}",
            URL_SAFE_NO_PAD.encode(signature)
        );
        Ok(Some(Grant { url, form: Secret::new(form) }))
    }
}

fn token_uri(fields: &Map<String, Value>) -> Result<&str, Error> {
    if fields.contains_key("token_uri") { text(fields, "token_uri") } else { Ok(TOKEN_URI) }
}

/// Where the publisher models of a project and a location are. The multi-regions `us` and `eu`
/// have hosts of their own (docs.cloud.google.com/vertex-ai/docs/general/locations).
fn base_url(fields: &Map<String, Value>) -> Result<String, Error> {
    let project = name("project_id", text(fields, "project_id")?)?;
    let location = match fields.get("location") {
        None => GLOBAL,
        Some(_) => name("location", text(fields, "location")?)?,
    };
    let host = match location {
        GLOBAL => "aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("aiplatform.{location}.rep.googleapis.com"),
        _ => format!("{location}-aiplatform.googleapis.com"),
    };
    Ok(format!("https://{host}/v1/projects/{project}/locations/{location}/publishers/google"))
}

/// A name that stands in a host and in a path.
fn name<'f>(field: &str, text: &'f str) -> Result<&'f str, Error> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() <= 64 && text.bytes().all(fits) {
        return Ok(text);
    }
    let rule = "must be lower-case letters, digits and '-', such as us-central1";
    Err(Error::malformed(format!("secret.{field}"), rule))
}

fn key_pair(fields: &Map<String, Value>) -> Result<RsaKeyPair, Error> {
    let refused = || {
        let rule = "must be an RSA key of 2048 bits or more in PEM (-----BEGIN PRIVATE KEY-----)";
        Error::malformed("secret.private_key", rule)
    };
    let pem = text(fields, "private_key")?;
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----").ok_or_else(refused)?;
    let (inside, _) = rest.split_once("-----END PRIVATE KEY-----").ok_or_else(refused)?;
    let inside: String = inside.split_ascii_whitespace().collect();
    let der = STANDARD.decode(inside).map_err(|_| refused())?;
    RsaKeyPair::from_pkcs8(&der).map_err(|_| refused())
}

/// Whether a base URL is one of Vertex's locations whose tokens cost a tenth more: all but
/// `global`, for recent models (cloud.google.com/vertex-ai/generative-ai/pricing, footnote, read
/// 2026-11). Which models are recent is not listed there: those after the second generation are
/// taken for it.
pub(crate) fn is_dearer(model: &str, base_url: &str) -> Option<bool> {
    Some(is_recent(model) && !base_url.contains("/locations/global/"))
}

/// Whether a location can make a model dearer.
pub(crate) fn is_recent(model: &str) -> bool {
    !["gemini-1", "gemini-2"].iter().any(|family| model.starts_with(family))
}
