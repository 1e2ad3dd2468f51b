//! SNS and SES, as far as alerts use them: a message that is signed for the service and complete
//! is kept, to be read at `/_local/messages`, and goes nowhere.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::server::{self, Body};

/// SNS's limit of a message.
const PUBLICATION_BYTES_MAX: usize = 256 * 1024;
/// SES's limit of a message with its attachments.
const MAIL_BYTES_MAX: usize = 40 * 1024 * 1024;
const SES_PATH: &str = "/v2/email/outbound-emails";

/// What was sent, in order.
#[derive(Default)]
pub struct Messages(Mutex<Vec<Value>>);

/// Whether a POST to a path is for one of the two.
#[must_use]
pub fn is_for(path: &str) -> bool {
    path == "/" || path == SES_PATH
}

impl Messages {
    /// What was sent: the fields of each message beside its `service`.
    #[must_use]
    pub fn all(&self) -> Value {
        Value::Array(self.kept().clone())
    }

    /// Takes one message, or says as the service would why not.
    pub async fn take(&self, request: Request<Incoming>) -> Response<Body> {
        let is_mail = request.uri().path() == SES_PATH;
        let (service, scope) = if is_mail { ("ses", "/ses/") } else { ("sns", "/sns/") };
        let signature = request.headers().get(AUTHORIZATION).and_then(|text| text.to_str().ok());
        let is_signed = signature.is_some_and(|text| {
            text.starts_with("AWS4-HMAC-SHA256 Credential=") && text.contains(scope)
        });
        if !is_signed {
            return refuse(StatusCode::FORBIDDEN, "MissingAuthenticationToken");
        }
        let bytes_max = if is_mail { MAIL_BYTES_MAX } else { PUBLICATION_BYTES_MAX };
        let Ok(body) = server::read(request.into_body(), bytes_max).await else {
            return refuse(StatusCode::BAD_REQUEST, "InvalidParameter");
        };
        let message = if is_mail { mail(&body) } else { publication(&body) };
        let Some(mut message) = message else {
            return refuse(StatusCode::BAD_REQUEST, "InvalidParameter");
        };
        if let Some(fields) = message.as_object_mut() {
            fields.insert("service".to_owned(), json!(service));
        }
        self.kept().push(message);
        server::json(StatusCode::OK, &json!({"MessageId": crate::clock::request_id()}))
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fields of a `Publish` that has all that SNS asks for.
fn publication(body: &[u8]) -> Option<Value> {
    let fields: serde_json::Map<String, Value> = form_urlencoded::parse(body)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let is_whole = text("Action") == Some("Publish")
        && text("Version") == Some("2010-03-31")
        && text("TopicArn").is_some_and(|arn| arn.starts_with("arn:aws:sns:"))
        && text("Message").is_some_and(|message| !message.is_empty())
        && text("Subject").is_none_or(|line| line.is_ascii() && (1..=100).contains(&line.len()));
    is_whole.then_some(Value::Object(fields))
}

/// The body of a `SendEmail` that has all that SES asks for.
fn mail(body: &[u8]) -> Option<Value> {
    let letter: Value = serde_json::from_slice(body).ok()?;
    let to = letter.pointer("/Destination/ToAddresses")?.as_array()?;
    let simple = letter.pointer("/Content/Simple")?;
    let is_whole = letter.get("FromEmailAddress")?.is_string()
        && (1..=50).contains(&to.len())
        && simple.pointer("/Subject/Data")?.is_string()
        && simple.pointer("/Body/Text/Data")?.is_string()
        && simple.get("Attachments").and_then(Value::as_array).is_none_or(|files| {
            let is_text = |file: &Value, name: &str| file.get(name).is_some_and(Value::is_string);
            files.iter().all(|file| is_text(file, "FileName") && is_text(file, "RawContent"))
        });
    is_whole.then_some(letter)
}

fn refuse(status: StatusCode, code: &'static str) -> Response<Body> {
    server::json(status, &json!({"__type": code, "message": code}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_would_refuse_is_refused() {
        let whole = "Action=Publish&Version=2010-03-31&TopicArn=arn:aws:sns:a:1:b&Message=m";

        assert!(publication(whole.as_bytes()).is_some());
        assert!(publication(format!("{whole}&Subject=caf%C3%A9").as_bytes()).is_none());
        assert!(publication(b"Action=Publish&Version=2010-03-31").is_none());
        assert!(mail(b"{}").is_none());
    }
}
