//! What API Gateway checks before a path whose method has the authorizer `AWS_IAM`: the signature
//! (SigV4) of the whole request. Its refusals are quoted as the real one writes them (observed
//! texts as in docs.aws.amazon.com/IAM, "Troubleshoot Signature Version 4", read 2026-11).
//!
//! One secret is that of every principal here, so that several can be tried: the access key
//! `AKIALOCAL…` is the IAM user of that name in small letters, and `ASIALOCAL…` with a session's
//! token a session of the role of that name. A signature in the query (a presigned URL) is not
//! known here.

use bytes::Bytes;
use farebox_core::Timestamp;
use farebox_core::sigv4::{ALGORITHM, Request, Scope, parse_date};
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde_json::{Value, json};

/// The account that everything local is in.
pub const ACCOUNT: &str = "000000000000";
/// What the access keys of users and of sessions begin with.
pub const USER: &str = "AKIALOCAL";
const SESSION: &str = "ASIALOCAL";
const SERVICE: &str = "execute-api";
/// How far a request's date may be from now.
const SKEW_MS: i64 = 300_000;

/// Who has signed, as an event tells it.
#[derive(Debug, PartialEq, Eq)]
pub struct Signer {
    access_key: String,
    arn: String,
}

impl Signer {
    /// The fields of `requestContext.identity`.
    #[must_use]
    pub fn identity(&self) -> Value {
        json!({
            "accessKey": self.access_key, "accountId": ACCOUNT, "caller": self.access_key,
            "user": self.access_key, "userArn": self.arn,
        })
    }
}

/// The parts of the `Authorization` header.
struct Claim<'header> {
    access_key: &'header str,
    day: &'header str,
    region: &'header str,
    service: &'header str,
    names: Vec<&'header str>,
    signature: &'header str,
}

/// Who has signed a request, with `secret`.
///
/// # Errors
/// The message of the 403.
pub fn check(parts: &Parts, body: &Bytes, now_ms: i64, secret: &str) -> Result<Signer, String> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let given = header(AUTHORIZATION.as_str()).ok_or("Missing Authentication Token")?;
    let incomplete = "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature'.";
    let claim = claim(given).ok_or(incomplete)?;
    let date = header("x-amz-date").unwrap_or_default();
    let at = parse_date(date).filter(|_| date.starts_with(claim.day));
    let at = at.ok_or("Date in Credential scope does not match YYYYMMDD of 'X-Amz-Date'.")?;
    if claim.service != SERVICE {
        return Err(format!("Credential should be scoped to correct service: '{SERVICE}'."));
    }
    let is_signed = |name: &str| claim.names.contains(&name);
    let must = |name: &http::HeaderName| name == "host" || name.as_str().starts_with("x-amz-");
    if let Some(name) = parts.headers.keys().find(|name| must(name) && !is_signed(name.as_str())) {
        return Err(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."));
    }
    let signer = signer(claim.access_key, header("x-amz-security-token"));
    let signer = signer.ok_or("The security token included in the request is invalid.")?;
    let values: Option<Vec<_>> =
        claim.names.iter().map(|name| Some((*name, header(name)?))).collect();
    let request = values.as_ref().map(|headers| Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers,
        body,
    });
    let scope = Scope { region: claim.region, service: SERVICE, at };
    let is_theirs =
        request.is_some_and(|request| request.signature(secret, &scope) == claim.signature);
    if !is_theirs {
        return Err("The request signature we calculated does not match the signature you \
                    provided. Check your AWS Secret Access Key and signing method. Consult the \
                    service documentation for details."
            .to_owned());
    }
    let skew_ms = Timestamp::from_ms(now_ms).since(at);
    if skew_ms.abs() > SKEW_MS {
        return Err(format!("Signature expired: {date} is not within five minutes of now."));
    }
    Ok(signer)
}

fn claim(header: &str) -> Option<Claim<'_>> {
    let fields = header.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
    let field = |name: &str| {
        let mut fields = fields.split(',').map(str::trim);
        fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    let parts: Vec<&str> = field("Credential")?.split('/').collect();
    let [access_key, day, region, service, "aws4_request"] = parts.as_slice() else { return None };
    let names = field("SignedHeaders")?.split(';').collect();
    let signature = field("Signature")?;
    Some(Claim { access_key, day, region, service, names, signature })
}

/// The principal of an access key; a session has a token, and nobody else has one.
fn signer(access_key: &str, token: Option<&str>) -> Option<Signer> {
    let user = access_key.strip_prefix(USER).filter(|_| token.is_none());
    let session = access_key.strip_prefix(SESSION).filter(|_| token.is_some());
    let is_name = |name: &&str| {
        (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let name = user.or(session).filter(is_name)?.to_ascii_lowercase();
    let arn = match user {
        Some(_) => format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
        None => format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/local"),
    };
    Some(Signer { access_key: access_key.to_owned(), arn })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_key_names_a_user_or_a_session_of_a_role() {
        let arn = |key, token| signer(key, token).map(|signer| signer.arn);

        let user = "arn:aws:iam::000000000000:user/ops";
        assert_eq!(arn("AKIALOCALOPS", None).as_deref(), Some(user));
        let session = "arn:aws:sts::000000000000:assumed-role/ops/local";
        assert_eq!(arn("ASIALOCALOPS", Some("t")).as_deref(), Some(session));
        for (key, token) in [
            ("AKIALOCALOPS", Some("t")),
            ("ASIALOCALOPS", None),
            ("AKIALOCAL", None),
            ("AKIAEXAMPLE", None),
            ("AKIALOCALO/S", None),
        ] {
            assert_eq!(arn(key, token), None, "{key}");
        }
    }
}
