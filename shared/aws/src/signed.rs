//! Signed requests to services of AWS that have no SDK here.
//!
//! Amazon SNS, SES and S3 are one request each. Their SDK crates would cost minutes of build and
//! megabytes; what signs the others' requests (`aws-sigv4`) is linked already.

use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;

use crate::clients::{Aws, PATIENT_TIMEOUT};

/// A service that alerts are sent by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Amazon Simple Notification Service.
    Sns,
    /// Amazon Simple Email Service, API version 2.
    Ses,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Post<'post> {
    /// Whom it is for.
    pub service: Service,
    /// The region of the service; `None` is the function's own.
    pub region: Option<&'post str>,
    /// Path on the service's host.
    pub path: &'post str,
    /// The body's content type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Why a request was not taken; nothing of the answer but its code is quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// The request could not be made or signed.
    #[error("the request cannot be signed")]
    Unsigned,
    /// No connection, or no answer in three seconds.
    #[error("{0}")]
    NoAnswer(&'static str),
    /// The service said no.
    #[error("status {status} {code}")]
    Refused {
        /// HTTP's.
        status: u16,
        /// The service's, such as `AuthorizationError`; empty where it gave none.
        code: String,
    },
}

impl Aws {
    /// Sends one request, once, signed with the function's credentials.
    ///
    /// # Errors
    /// [`PostError`]. After [`PostError::NoAnswer`] the request may have been done.
    pub async fn post(&self, post: &Post<'_>) -> Result<(), PostError> {
        self.send(self.signed_post(post)).await
    }

    /// Writes an object of S3, whole or not at all; what is there is replaced. The key is of
    /// letters, digits and `/=-._` alone.
    ///
    /// # Errors
    /// As [`Aws::post`].
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        bytes: Vec<u8>,
    ) -> Result<(), PostError> {
        self.send(self.signed_put(bucket, key, bytes)).await
    }

    async fn send(&self, request: Option<HttpRequest>) -> Result<(), PostError> {
        let request = request.ok_or(PostError::Unsigned)?;
        let answer = self
            .carrier()
            .carry(request, PATIENT_TIMEOUT)
            .await
            .map_err(|error| no_answer(&error))?;
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            return Ok(());
        }
        let header = answer.headers().get("x-amzn-errortype").map(str::to_owned);
        let body = String::from_utf8_lossy(answer.body().bytes().unwrap_or_default()).into_owned();
        let code = header.or_else(|| between(&body, "<Code>", "</Code>")).unwrap_or_default();
        let code = code.chars().take_while(char::is_ascii_alphanumeric).take(64).collect();
        Err(PostError::Refused { status, code })
    }

    fn signed_post(&self, post: &Post<'_>) -> Option<HttpRequest> {
        let config = self.config();
        let region = post.region.unwrap_or(&config.region);
        let (host, name, endpoint) = match post.service {
            Service::Sns => ("sns", "sns", &config.endpoints.sns),
            Service::Ses => ("email", "ses", &config.endpoints.ses),
        };
        let origin = own(endpoint.as_deref())
            .unwrap_or_else(|| format!("https://{host}.{region}.amazonaws{}", suffix(region)));
        let unsigned = Unsigned {
            method: "POST",
            url: format!("{origin}{}", post.path),
            region,
            name,
            content_type: post.content_type,
            settings: SigningSettings::default(),
        };
        self.signed(&unsigned, post.body.clone().into_bytes())
    }

    /// S3 has its own ways: the digest of the body is a header, and the path is signed as it is
    /// sent (AWS, "Create a signed AWS API request", read on 2026-11-30).
    fn signed_put(&self, bucket: &str, key: &str, bytes: Vec<u8>) -> Option<HttpRequest> {
        let config = self.config();
        let region = &config.region;
        let path = key.replace('=', "%3D");
        let url = match own(config.endpoints.s3.as_deref()) {
            Some(origin) => format!("{origin}/{bucket}/{path}"),
            None => format!("https://{bucket}.s3.{region}.amazonaws{}/{path}", suffix(region)),
        };
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let content_type = "application/vnd.apache.parquet";
        let unsigned = Unsigned { method: "PUT", url, region, name: "s3", content_type, settings };
        self.signed(&unsigned, bytes)
    }

    fn signed(&self, unsigned: &Unsigned<'_>, bytes: Vec<u8>) -> Option<HttpRequest> {
        let Unsigned { method, url, .. } = unsigned;
        let identity = Identity::from(self.config().credentials.clone());
        let elapsed = Duration::from_millis(self.now().ms().unsigned_abs());
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(unsigned.region)
            .name(unsigned.name)
            .time(UNIX_EPOCH.checked_add(elapsed)?)
            .settings(unsigned.settings.clone())
            .build()
            .ok()?;
        let headers = [("content-type", unsigned.content_type)];
        let body = SignableBody::Bytes(&bytes);
        let signable = SignableRequest::new(method, url, headers.into_iter(), body).ok()?;
        let (instructions, _) = sign(signable, &parameters.into()).ok()?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(bytes));
        request.set_method(method).ok()?;
        request.set_uri(url.clone()).ok()?;
        request.headers_mut().try_insert("content-type", unsigned.content_type).ok()?;
        for (name, value) in instructions.headers() {
            request.headers_mut().try_insert(name.to_owned(), value.to_owned()).ok()?;
        }
        Some(request)
    }
}

/// A request before it is signed.
struct Unsigned<'request> {
    method: &'static str,
    url: String,
    region: &'request str,
    name: &'static str,
    content_type: &'static str,
    settings: SigningSettings,
}

/// An endpoint of one's own, without a slash at its end.
fn own(endpoint: Option<&str>) -> Option<String> {
    endpoint.map(|url| url.trim_end_matches('/').to_owned())
}

fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { ".com.cn" } else { ".com" }
}

fn no_answer(error: &ConnectorError) -> PostError {
    PostError::NoAnswer(if error.is_timeout() { "no answer in time" } else { "no connection" })
}

fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aws(changes: &[(&str, &str)]) -> Aws {
        Aws::new(crate::config::tests::read(changes).unwrap())
    }

    fn post(region: Option<&'static str>) -> Post<'static> {
        let (service, content_type) = (Service::Sns, "application/x-www-form-urlencoded");
        Post { service, region, path: "/", content_type, body: "Action=Publish".to_owned() }
    }

    #[test]
    fn a_request_goes_to_the_service_of_its_region_and_names_it_in_its_signature() {
        let request = aws(&[("AWS_SESSION_TOKEN", "token")]).signed_post(&post(Some("cn-north-1")));
        let request = request.unwrap();

        assert_eq!(request.uri(), "https://sns.cn-north-1.amazonaws.com.cn/");
        let signature = request.headers().get("authorization").unwrap();
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=local/"), "{signature}");
        assert!(signature.contains("/cn-north-1/sns/aws4_request"), "{signature}");
        assert!(signature.contains("SignedHeaders=content-type;host;x-amz-date;"), "{signature}");
        assert_eq!(request.headers().get("x-amz-security-token"), Some("token"));
    }

    #[test]
    fn an_endpoint_of_ones_own_is_used_with_its_path() {
        let local = [("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:9/")];
        let post = Post { service: Service::Ses, path: "/v2/email", ..post(None) };

        let request = aws(&local).signed_post(&post).unwrap();

        assert_eq!(request.uri(), "http://127.0.0.1:9/v2/email");
        let signature = request.headers().get("authorization").unwrap();
        assert!(signature.contains("/eu-central-1/ses/aws4_request"), "{signature}");
    }

    #[test]
    fn an_object_is_put_at_its_buckets_host_with_the_digest_of_its_bytes() {
        let put = |changes| aws(changes).signed_put("rows", "a/year=2026/b.x", b"abc".to_vec());

        let request = put(&[]).unwrap();

        let uri = "https://rows.s3.eu-central-1.amazonaws.com/a/year%3D2026/b.x";
        assert_eq!((request.method(), request.uri()), ("PUT", uri));
        // printf abc | sha256sum
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(request.headers().get("x-amz-content-sha256"), Some(digest));
        let signature = request.headers().get("authorization").unwrap();
        assert!(signature.contains("/eu-central-1/s3/aws4_request"), "{signature}");
        assert!(signature.contains("host;x-amz-content-sha256;x-amz-date"), "{signature}");
        let local = put(&[("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9/")]).unwrap();
        assert_eq!(local.uri(), "http://127.0.0.1:9/rows/a/year%3D2026/b.x");
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer() {
        let nobody = aws(&[("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:9")]);

        let failed = nobody.post(&post(None)).await.unwrap_err();

        assert_eq!(failed, PostError::NoAnswer("no connection"));
    }
}
