//! An account of AWS: a bearer key of Bedrock's, or access keys that sign each request (SigV4).
//!
//! Source: docs.aws.amazon.com/IAM, "Create a signed AWS API request", and
//! docs.aws.amazon.com/bedrock, API keys (read 2026-11).

use farebox_core::{Error, Secret, Timestamp};
use ring::{digest, hmac};
use serde_json::{Map, Value};

use super::encoded;
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
            Keys::of(&fields)?;
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
        let keys = Keys::of(&fields)?;
        keys.sign(region(&fields)?, SERVICE, request)
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

/// Access keys.
struct Keys<'k> {
    id: &'k str,
    secret: &'k str,
    session: Option<&'k str>,
}

impl<'k> Keys<'k> {
    fn of(fields: &'k Map<String, Value>) -> Result<Self, Error> {
        let session = fields.get("session_token").filter(|token| !token.is_null());
        Ok(Self {
            id: text(fields, "access_key_id")?,
            secret: text(fields, "secret_access_key")?,
            session: session.map(|_| text(fields, "session_token")).transpose()?,
        })
    }

    /// The headers that sign a POST: host, date and token are signed, and the body by its hash.
    fn sign(
        &self,
        region: &str,
        service: &str,
        request: &Unsigned<'_>,
    ) -> Result<Vec<(&'static str, String)>, Error> {
        let (_, rest) = request.url.split_once("://").ok_or_else(unsignable)?;
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let date = compact(request.now);
        let day = date.get(..8).ok_or_else(unsignable)?;
        let mut headers = vec![("host", host), ("x-amz-date", &date)];
        headers.extend(self.session.map(|token| ("x-amz-security-token", token)));
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        // The path is encoded already, and is encoded once more in what is signed.
        let path = encoded(path, b"/");
        let canonical = format!("POST\n{path}\n\n{lines}\n{names}\n{}", hash(request.body));
        let scope = format!("{day}/{region}/{service}/aws4_request");
        let told = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [day, region, service, "aws4_request"] {
            key = mac(&key, part).as_ref().to_vec();
        }
        let signature = hex(mac(&key, &told).as_ref());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.id
        );
        let mut signed = vec![("authorization", authorization), ("x-amz-date", date.clone())];
        signed.extend(self.session.map(|token| ("x-amz-security-token", token.to_owned())));
        Ok(signed)
    }
}

fn unsignable() -> Error {
    Error::internal("a request that cannot be signed")
}

/// `20260131T235959Z`.
fn compact(at: Timestamp) -> String {
    let text = at.to_string();
    let whole = text.split('.').next().unwrap_or_default().trim_end_matches('Z');
    let digits = whole.chars().filter(|letter| !"-:".contains(*letter));
    digits.chain(['Z']).collect()
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(json: &str) -> Secret {
        Secret::new(json.to_owned())
    }

    /// `post-vanilla` of AWS' published suite of test vectors (aws-sig-v4-test-suite).
    #[test]
    fn a_request_is_signed_as_aws_signs_it() {
        let keys = Keys {
            id: "AKIDEXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            session: None,
        };
        let now = Timestamp::parse("2015-08-30T12:36:00Z").unwrap();
        let request = Unsigned { url: "https://example.amazonaws.com/", body: b"", now };

        let signed = keys.sign("us-east-1", "service", &request).unwrap();

        let expected = "AWS4-HMAC-SHA256 \
            Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
            SignedHeaders=host;x-amz-date, \
            Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        assert_eq!(signed[0], ("authorization", expected.to_owned()));
        assert_eq!(signed[1], ("x-amz-date", "20150830T123600Z".to_owned()));
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
