//! Answers and refusals as HTTP.

use std::borrow::Cow;

use farebox_api::{ErrorAnswer, ErrorBody};
use farebox_core::{Error, Rid, Secret};
use lambda_http::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    LOCATION, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use lambda_http::{Body, Response};
use serde::Serialize;
use serde_json::Value;

/// A good answer.
pub struct Answer {
    status: u16,
    body: Content,
    headers: Vec<(HeaderName, String)>,
    /// Told to this caller this once, and to no audit.
    secret: Option<Secret>,
}

enum Content {
    Empty,
    Json(Value),
    Text(Cow<'static, str>),
    Packed(&'static [u8]),
}

/// A refusal, with the thing as it is now where a change was based on an older version.
#[derive(Clone, Debug)]
pub struct Refusal {
    error: Box<Error>,
    current: Option<Value>,
}

impl Answer {
    /// 200 with a body.
    ///
    /// # Errors
    /// Where the body is not JSON, which no answer is.
    pub fn ok(body: &impl Serialize) -> Result<Self, Refusal> {
        Self::json(200, body)
    }

    /// 201 with a body.
    ///
    /// # Errors
    /// As [`Self::ok`].
    pub fn created(body: &impl Serialize) -> Result<Self, Refusal> {
        Self::json(201, body)
    }

    /// 204.
    #[must_use]
    pub const fn empty() -> Self {
        Self { status: 204, body: Content::Empty, headers: Vec::new(), secret: None }
    }

    /// 200 with a file of the console, and the policy that its browser must keep.
    #[must_use]
    pub fn file(content: Cow<'static, str>, kind: &str, policy: &str) -> Self {
        let headers =
            vec![(CONTENT_TYPE, kind.to_owned()), (CONTENT_SECURITY_POLICY, policy.to_owned())];
        Self { status: 200, body: Content::Text(content), headers, secret: None }
    }

    /// The same, packed when the function was built.
    #[must_use]
    pub fn packed(content: &'static [u8], kind: &str, policy: &str) -> Self {
        let body = Content::Packed(content);
        Self { body, ..Self::file(Cow::Borrowed(""), kind, policy) }
    }

    /// A page that was written for one person.
    #[must_use]
    pub fn page(status: u16, text: String, kind: &str, policy: &str) -> Self {
        let headers =
            vec![(CONTENT_TYPE, kind.to_owned()), (CONTENT_SECURITY_POLICY, policy.to_owned())];
        Self { status, body: Content::Text(text.into()), headers, secret: None }
    }

    /// 303: what follows is elsewhere.
    #[must_use]
    pub fn moved(place: String) -> Self {
        let headers = vec![(LOCATION, place)];
        Self { status: 303, body: Content::Empty, headers, secret: None }
    }

    /// The same answer with another header; one of a name does not replace another.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// 200 with JSON that is written already.
    #[must_use]
    pub fn document(text: &'static str) -> Self {
        let headers = vec![(CONTENT_TYPE, "application/json".to_owned())];
        Self { status: 200, body: Content::Text(text.into()), headers, secret: None }
    }

    /// 200 with a thing that has versions: its `version` is the `ETag`, which has quotes.
    ///
    /// # Errors
    /// As [`Self::ok`].
    pub fn thing(body: &impl Serialize) -> Result<Self, Refusal> {
        Ok(Self::json(200, body)?.tagged())
    }

    /// 201 with such a thing.
    ///
    /// # Errors
    /// As [`Self::ok`].
    pub fn made(body: &impl Serialize) -> Result<Self, Refusal> {
        Ok(Self::json(201, body)?.tagged())
    }

    fn tagged(mut self) -> Self {
        let Content::Json(shown) = &self.body else { return self };
        let version = shown.get("version").and_then(Value::as_str);
        let tag = version.map(|version| (ETAG, format!("\"{version}\"")));
        self.headers.extend(tag);
        self
    }

    /// The same answer with a field `secret`, which nobody is ever told again.
    #[must_use]
    pub fn with_secret(mut self, secret: &Secret) -> Self {
        self.secret = Some(secret.clone());
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The version of what it shows.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| *name == ETAG).map(|(_, tag)| tag.as_str())
    }

    /// What it shows, without a secret.
    #[must_use]
    pub fn shown(&self) -> Value {
        match &self.body {
            Content::Json(shown) => shown.clone(),
            Content::Empty | Content::Text(_) | Content::Packed(_) => Value::Null,
        }
    }

    /// As HTTP.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let body = match self.body {
            Content::Empty => Body::Empty,
            Content::Text(text) => Body::from(text),
            Content::Packed(bytes) => Body::from(bytes),
            Content::Json(mut shown) => {
                if let (Some(secret), Some(fields)) = (self.secret, shown.as_object_mut()) {
                    fields.insert("secret".to_owned(), Value::from(secret.expose()));
                }
                Body::from(shown.to_string())
            }
        };
        response(self.status, body, self.headers)
    }

    fn json(status: u16, body: &impl Serialize) -> Result<Self, Refusal> {
        let shown = serde_json::to_value(body).map_err(Error::internal)?;
        let headers = vec![(CONTENT_TYPE, "application/json".to_owned())];
        Ok(Self { status, body: Content::Json(shown), headers, secret: None })
    }
}

impl Refusal {
    /// A refusal that shows the thing as it is now.
    #[must_use]
    pub fn with_current(error: Error, current: Value) -> Self {
        Self { error: Box::new(error), current: Some(current) }
    }

    /// Why.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// As HTTP: the table of `farebox_core::Error` decides the status.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let row = self.error.row();
        let mut headers = vec![(CONTENT_TYPE, "application/json".to_owned())];
        match self.error.as_ref() {
            Error::MethodNotAllowed { allowed, .. } => headers.push((ALLOW, allowed.clone())),
            Error::RateLimited { retry_after_s, .. } => {
                headers.push((RETRY_AFTER, retry_after_s.to_string()));
            }
            Error::StaleVersion { version, .. } => headers.push((ETAG, version.clone())),
            _ => {}
        }
        let error = ErrorBody {
            code: row.code.to_owned(),
            message: self.error.to_string(),
            field: self.error.field().map(str::to_owned),
            current: self.current,
        };
        let text = serde_json::to_string(&ErrorAnswer { error }).unwrap_or_default();
        response(row.status, Body::from(text), headers)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error: Box::new(error), current: None }
    }
}

impl From<farebox_aws::Error> for Refusal {
    fn from(error: farebox_aws::Error) -> Self {
        Error::from(error).into()
    }
}

/// What every answer carries: the request id, and that nobody keeps it.
#[must_use]
pub fn finish(mut response: Response<Body>, rid: Rid) -> Response<Body> {
    let headers = response.headers_mut();
    if let Ok(rid) = HeaderValue::from_str(&rid.to_string()) {
        headers.insert("x-request-id", rid);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn response(status: u16, body: Body, headers: Vec<(HeaderName, String)>) -> Response<Body> {
    let mut response = Response::new(body);
    // A status of the table is always one of HTTP's.
    *response.status_mut() = status.try_into().unwrap_or_default();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: Response<Body>) -> String {
        match response.into_body() {
            Body::Text(text) => text,
            _ => String::new(),
        }
    }

    #[test]
    fn a_refusal_names_code_message_and_field() {
        let refusal = Refusal::from(Error::malformed("mode", "use hard or observe"));

        let response = refusal.into_response();

        assert_eq!(response.status(), 400);
        assert_eq!(
            text(response),
            "{\"error\":{\"code\":\"invalid_request_error\",\
             \"message\":\"mode: use hard or observe\",\"field\":\"mode\"}}"
        );
    }

    #[test]
    fn a_secret_is_told_and_not_shown() {
        let row = serde_json::json!({"id": "k1"});
        let answer = Answer::created(&row).unwrap().with_secret(&Secret::new("s3".to_owned()));

        assert_eq!(answer.shown(), row);
        assert_eq!(text(answer.into_response()), "{\"id\":\"k1\",\"secret\":\"s3\"}");
    }

    #[test]
    fn the_answer_to_a_stranger_tells_nothing() {
        let response = Refusal::from(Error::AdminForbidden).into_response();

        assert_eq!(response.status(), 403);
        assert!(text(response).contains("\"code\":\"forbidden\""));
    }

    #[test]
    fn a_wrong_method_is_answered_with_allow() {
        let (path, allowed) = ("/x".to_owned(), "GET, PUT".to_owned());
        let refusal = Refusal::from(Error::MethodNotAllowed { path, allowed });

        assert_eq!(refusal.into_response().headers()["allow"], "GET, PUT");
    }

    #[test]
    fn every_answer_carries_a_request_id_and_is_not_kept() {
        let rid = "01KAQ4ZV0M7W1C9Y3T5B8D2E6F".parse().unwrap();

        let response = finish(Answer::empty().into_response(), rid);

        assert_eq!(response.headers()["x-request-id"], "01KAQ4ZV0M7W1C9Y3T5B8D2E6F");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.status(), 204);
    }
}
