//! One e-mail by Amazon SES, with the header `Alert-Id`.

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
        let post = Post {
            service: Service::Ses,
            region: None,
            path: "/v2/email/outbound-emails",
            content_type: "application/json",
            body: letter(&self.mail, message).to_string(),
        };
        Box::pin(async move { self.aws.post(&post).await.map_err(|error| error.to_string()) })
    }
}

/// The body of SES's `SendEmail`.
fn letter(mail: &channels::Mail, message: &Message) -> Value {
    json!({
        "FromEmailAddress": mail.sender,
        "Destination": {"ToAddresses": mail.recipients},
        "Content": {"Simple": {
            "Subject": {"Data": message.subject, "Charset": "UTF-8"},
            "Body": {"Text": {"Data": message.text, "Charset": "UTF-8"}},
            "Headers": [{"Name": "Alert-Id", "Value": message.id}],
        }},
    })
}
