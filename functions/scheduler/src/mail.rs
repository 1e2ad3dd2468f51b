//! E-mails by Amazon SES; those of alerts carry the header `Alert-Id`.

use farebox_aws::Aws;
use farebox_aws::channels;
use farebox_aws::signed::{Post, Service};
use farebox_core::Timestamp;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::channels::{Deliver, Message};

/// Who writes to whom.
pub(crate) struct Mail {
    aws: Aws,
    mail: channels::Mail,
}

impl Mail {
    pub(crate) fn open(aws: &Aws) -> Option<Box<dyn Deliver>> {
        let mail = aws.config().channels.mail.clone()?;
        Some(Box::new(Self { aws: aws.clone(), mail }))
    }
}

impl Deliver for Mail {
    fn deliver<'tell>(
        &'tell self,
        message: &'tell Message,
        _now: Timestamp,
    ) -> BoxFuture<'tell, Result<(), String>> {
        let letter = Letter {
            subject: message.subject.clone(),
            text: message.text.clone(),
            header: ("Alert-Id", message.id.clone()),
            attachment: None,
        };
        Box::pin(async move { send(&self.aws, &self.mail, &letter).await })
    }
}

/// An e-mail.
pub(crate) struct Letter {
    pub subject: String,
    pub text: String,
    /// By which a receiver knows a repeat.
    pub header: (&'static str, String),
    pub attachment: Option<Attachment>,
}

/// A file in an e-mail (SES API v2, `Attachment`, read on 2026-11-30).
pub(crate) struct Attachment {
    pub name: String,
    pub content_type: &'static str,
    pub base64: String,
}

/// Sends one e-mail, once. The error quotes nothing but the service's code.
pub(crate) async fn send(aws: &Aws, mail: &channels::Mail, letter: &Letter) -> Result<(), String> {
    let post = Post {
        service: Service::Ses,
        region: None,
        path: "/v2/email/outbound-emails",
        content_type: "application/json",
        body: body(mail, letter).to_string(),
    };
    aws.post(&post).await.map_err(|error| error.to_string())
}

/// The body of SES's `SendEmail`.
fn body(mail: &channels::Mail, letter: &Letter) -> Value {
    let (header, id) = &letter.header;
    let mut simple = json!({
        "Subject": {"Data": letter.subject, "Charset": "UTF-8"},
        "Body": {"Text": {"Data": letter.text, "Charset": "UTF-8"}},
        "Headers": [{"Name": header, "Value": id}],
    });
    if let (Some(simple), Some(file)) = (simple.as_object_mut(), &letter.attachment) {
        let attachment = json!({
            "FileName": file.name,
            "ContentType": file.content_type,
            "ContentDisposition": "ATTACHMENT",
            "ContentTransferEncoding": "BASE64",
            "RawContent": file.base64,
        });
        simple.insert("Attachments".to_owned(), json!([attachment]));
    }
    json!({
        "FromEmailAddress": mail.sender,
        "Destination": {"ToAddresses": mail.recipients},
        "Content": {"Simple": simple},
    })
}
