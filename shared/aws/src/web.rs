//! Small questions to services that are not AWS: the console's `OpenID` provider.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use farebox_core::Secret;

use crate::clients::Aws;
use crate::http::AnswerMax;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer: a document of keys has a few kilobytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// The URL or a header is none.
    #[error("the request cannot be made")]
    Unmade,
    /// No connection, or the answer broke off, was too long or too late.
    #[error("no connection, or no whole answer in time")]
    NoAnswer,
}

/// A form that is sent, and who sends it.
#[derive(Clone)]
pub struct Form {
    /// `application/x-www-form-urlencoded`; it may have a secret in it.
    pub body: Secret,
    /// The `Authorization` header, where there is one.
    pub authorization: Option<Secret>,
}

impl Aws {
    /// Asks a URL once: a form is posted, nothing else is a GET. Redirects are not followed: the
    /// status and the body of what is there are the answer.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn web(&self, url: &str, form: Option<&Form>) -> Result<(u16, Vec<u8>), WebError> {
        let request = request(url, form).ok_or(WebError::Unmade)?;
        let answer = self.carrier().carry(request, TIMEOUT).await;
        let answer = answer.map_err(|_| WebError::NoAnswer)?;
        let body = answer.body().bytes().unwrap_or_default().to_vec();
        Ok((answer.status().as_u16(), body))
    }
}

fn request(url: &str, form: Option<&Form>) -> Option<HttpRequest> {
    let body = form.map_or_else(SdkBody::empty, |form| SdkBody::from(form.body.expose()));
    let length = body.content_length().unwrap_or_default().to_string();
    let mut request = HttpRequest::new(body);
    request.set_uri(url).ok()?;
    request.headers_mut().try_insert("accept", "application/json").ok()?;
    if let Some(form) = form {
        request.set_method("POST").ok()?;
        let kind = "application/x-www-form-urlencoded";
        request.headers_mut().try_insert("content-type", kind).ok()?;
        request.headers_mut().try_insert("content-length", length).ok()?;
        if let Some(authorization) = &form.authorization {
            let value = authorization.expose().to_owned();
            request.headers_mut().try_insert("authorization", value).ok()?;
        }
    }
    request.add_extension(AnswerMax(ANSWER_BYTES_MAX));
    Some(request)
}
