//! The AWS JSON protocol, as far as the services here speak it: an operation name in
//! `X-Amz-Target`, a JSON object in, a JSON object or an error with `__type` out.

use http::StatusCode;
use serde_json::{Map, Value};

/// An error that the real AWS SDK turns into a typed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// HTTP status: 400 for the caller's fault, 500 for ours.
    pub status: StatusCode,
    /// The shape's name, for `__type`.
    pub kind: &'static str,
    /// The code of the older query protocol, which SQS repeats in `x-amzn-query-error`.
    pub query_code: Option<&'static str>,
    /// What is wrong.
    pub message: String,
}

impl ServiceError {
    /// A refusal of the request.
    pub fn refused(kind: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind, query_code: None, message: message.into() }
    }

    /// A failure of this service.
    pub fn failed(kind: &'static str, message: impl Into<String>) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, kind, query_code: None, message: message.into() }
    }
}

/// What an operation answers.
pub type Answer = Result<Value, ServiceError>;

/// The fields of a request.
#[derive(Debug)]
pub struct Fields<'a>(pub &'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// A required string.
    ///
    /// # Errors
    /// Where it is absent or no string.
    pub fn text(&self, name: &'static str) -> Result<&'a str, ServiceError> {
        self.optional_text(name).ok_or_else(|| {
            let message = format!("The request must contain the parameter {name}.");
            ServiceError {
                query_code: Some("MissingParameter"),
                ..ServiceError::refused("MissingParameter", message)
            }
        })
    }

    /// An optional string.
    #[must_use]
    pub fn optional_text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// An optional whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// The objects of a list; none where it is absent.
    pub fn objects(&self, name: &str) -> impl Iterator<Item = Fields<'a>> + use<'a> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_object).map(Fields)
    }

    /// Whether a list of names holds `wanted` or `All`.
    #[must_use]
    pub fn names(&self, list: &str, wanted: &str) -> bool {
        let names = self.0.get(list).and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).any(|name| name == wanted || name == "All")
    }
}
