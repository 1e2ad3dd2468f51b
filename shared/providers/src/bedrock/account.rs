//! An account of AWS: a bearer key of Bedrock's, or access keys that sign each request (SigV4).
//!
//! Source: docs.aws.amazon.com/bedrock, API keys (read 2026-11); signatures are
//! [`farebox_core::sigv4`].

use farebox_core::sigv4::{AccessKeys, Request, Scope};
use farebox_core::{Error, Secret};
use serde_json::{Map, Value};

use crate::credential::{Scheme, Unsigned, fields, text};

/// `region`, and `bearer` or `access_key_id`, `secret_access_key` and perhaps `session_token`.
pub struct AwsAccount;

/// The name of the service in signatures.
const SERVICE: &str = "bedrock";

impl Scheme for AwsAccount {
    fn check(&self, secret: &Secret) -> Result<Vec<(&'static str, String)>, Error> {
        let fields = fields(secret)?;
        region(&fields)?;
        if fields.contains_key("bearer") {
            text(&fields, "bearer")?;
        } else {
            keys(&fields)?;
        }
        Ok(Vec::new())
    }

    fn base_url(&self, secret: &Secret) -> Result<String, Error> {
        let fields = fields(secret)?;
        let region = region(&fields)?;
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        Ok(format!("https://bedrock-runtime.{region}.amazonaws.com{suffix}"))
    }

    fn sign(
        &self,
        secret: &Secret,
        request: &Unsigned<'_>,
    ) -> Result<Vec<(&'static str, String)>, Error> {
        let fields = fields(secret)?;
        if fields.contains_key("bearer") {
            let bearer = text(&fields, "bearer")?;
            return Ok(vec![("authorization", format!("Bearer {bearer}"))]);
        }
        let (_, rest) = request.url.split_once("://").ok_or_else(unsignable)?;
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let scope = Scope { region: region(&fields)?, service: SERVICE, at: request.now };
        let headers = [("host", host)];
        let post =
            Request { method: "POST", path, query: "", headers: &headers, body: request.body };
        Ok(keys(&fields)?.sign(&post, &scope))
    }
}

/// A region stands in a host, so it may not be more than a name.
fn region(fields: &Map<String, Value>) -> Result<&str, Error> {
    let region = text(fields, "region")?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.len() <= 32 && region.bytes().all(fits) {
        return Ok(region);
    }
    Err(Error::malformed("secret.region", "must be a region's name, such as us-east-1"))
}

/// Access keys, and perhaps the token of a session.
fn keys(fields: &Map<String, Value>) -> Result<AccessKeys<'_>, Error> {
    let session = fields.get("session_token").filter(|token| !token.is_null());
    Ok(AccessKeys {
        id: text(fields, "access_key_id")?,
        secret: text(fields, "secret_access_key")?,
        session: session.map(|_| text(fields, "session_token")).transpose()?,
    })
}

fn unsignable() -> Error {
    Error::internal("a request that cannot be signed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use farebox_core::Timestamp;

    fn secret(json: &str) -> Secret {
        Secret::new(json.to_owned())
    }

    /// As botocore 1.43.127 signs it (2026-11): what is encoded in the path is encoded once more.
    #[test]
    fn a_colon_in_a_models_id_is_signed_as_botocore_signs_it() {
        let keys = secret(
            r#"{"access_key_id":"AKIDEXAMPLE","region":"us-east-1",
                "secret_access_key":"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}"#,
        );
        let now = Timestamp::parse("2015-08-30T12:36:00Z").unwrap();
        let url = "https://bedrock-runtime.us-east-1.amazonaws.com\
            /model/us.amazon.nova-2-lite-v1%3A0/converse";

        let signed = AwsAccount.sign(&keys, &Unsigned { url, body: b"{}", now }).unwrap();

        let signature = "5412d42976060d839a818e1f92de8a0515e26895f3b4a721b73d9af9d1698a9e";
        assert!(signed[0].1.ends_with(&format!("Signature={signature}")), "{}", signed[0].1);
    }

    #[test]
    fn a_credential_names_what_it_lacks_and_no_host_of_anyone_else() {
        for (json, field) in [
            ("sk-123", "secret"),
            (r#"{"bearer":"b"}"#, "secret.region"),
            (r#"{"bearer":"","region":"us-east-1"}"#, "secret.bearer"),
            (r#"{"access_key_id":"a","region":"us-east-1"}"#, "secret.secret_access_key"),
            (r#"{"bearer":"b","region":"x.evil.com/"}"#, "secret.region"),
            (r#"{"bearer":"b","region":"US"}"#, "secret.region"),
        ] {
            let error = AwsAccount.check(&secret(json)).unwrap_err();
            assert_eq!(error.field(), Some(field), "{json}");
        }
        let bearer = secret(r#"{"bearer":"b","region":"us-east-1"}"#);
        let now = Timestamp::from_ms(0);
        let request = Unsigned { url: "https://h/model/m/converse", body: b"{}", now };
        let signed = AwsAccount.sign(&bearer, &request).unwrap();

        assert_eq!(signed, [("authorization", "Bearer b".to_owned())]);
        let url = AwsAccount.base_url(&bearer).unwrap();
        assert_eq!(url, "https://bedrock-runtime.us-east-1.amazonaws.com");
    }

    #[test]
    fn a_session_is_signed_and_a_model_id_is_encoded_twice() {
        let keys = secret(
            r#"{"access_key_id":"A","secret_access_key":"s","session_token":"t",
                "region":"eu-west-1"}"#,
        );
        let now = Timestamp::parse("2026-11-30T08:45:49.123Z").unwrap();
        let of = |url| AwsAccount.sign(&keys, &Unsigned { url, body: b"{}", now }).unwrap();

        let signed = of("https://h/model/m-v1%3A0/converse");

        assert!(signed[0].1.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
        assert_eq!(signed[1].1, "20261130T084549Z");
        assert_eq!(signed[2], ("x-amz-security-token", "t".to_owned()));
        assert_ne!(signed[0], of("https://h/model/m-v1:0/converse")[0]);
    }
}
