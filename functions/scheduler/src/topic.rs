//! One message to a topic of Amazon SNS.
//!
//! The message is the JSON that a webhook gets; `Alert-Id` and `Alert-Type` are attributes of it,
//! so that a subscription can filter by them. Subscribers by e-mail see the subject.

use farebox_aws::Aws;
use farebox_aws::channels;
use farebox_aws::signed::{Post, Service};
use farebox_core::Timestamp;
use form_urlencoded::Serializer;
use futures_util::future::BoxFuture;

use crate::channels::{Deliver, Message};

/// The version of the query API; the only one.
const VERSION: &str = "2010-03-31";

/// The topic of the deployment.
pub(crate) struct Topic {
    aws: Aws,
    topic: channels::Topic,
}

impl Topic {
    pub(crate) fn open(aws: &Aws) -> Option<Box<dyn Deliver>> {
        let topic = aws.config().channels.topic.clone()?;
        Some(Box::new(Self { aws: aws.clone(), topic }))
    }
}

impl Deliver for Topic {
    fn deliver<'tell>(
        &'tell self,
        message: &'tell Message,
        _now: Timestamp,
    ) -> BoxFuture<'tell, Result<(), String>> {
        let post = Post {
            service: Service::Sns,
            region: Some(&self.topic.region),
            path: "/",
            content_type: "application/x-www-form-urlencoded; charset=utf-8",
            body: form(&self.topic, message),
        };
        Box::pin(async move { self.aws.post(&post).await.map_err(|error| error.to_string()) })
    }
}

fn form(topic: &channels::Topic, message: &Message) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", "Publish");
    form.append_pair("Version", VERSION);
    form.append_pair("TopicArn", &topic.arn);
    form.append_pair("Subject", &message.subject);
    form.append_pair("Message", &message.body);
    form.append_pair("MessageAttributes.entry.1.Name", "Alert-Id");
    form.append_pair("MessageAttributes.entry.1.Value.DataType", "String");
    form.append_pair("MessageAttributes.entry.1.Value.StringValue", &message.id);
    if topic.is_fifo {
        // One group: alerts are few, and their order is then that of their delivery.
        form.append_pair("MessageGroupId", "farebox");
        form.append_pair("MessageDeduplicationId", &message.id);
    }
    form.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(is_fifo: bool) -> Vec<(String, String)> {
        let arn = "arn:aws:sns:us-east-1:111122223333:alerts".to_owned();
        let topic = channels::Topic { arn, region: "us-east-1".to_owned(), is_fifo };
        let text = |text: &str| text.to_owned();
        let message = Message {
            id: text("a1"),
            subject: text("80 % & more"),
            text: text(""),
            body: text("{}"),
        };
        form_urlencoded::parse(form(&topic, &message).as_bytes()).into_owned().collect()
    }

    #[test]
    fn a_message_carries_its_id_and_survives_the_form() {
        let fields = fields(false);
        let field = |name: &str| {
            let found = fields.iter().find(|(given, _)| given == name);
            found.map(|(_, value)| value.as_str())
        };

        assert_eq!(field("Subject"), Some("80 % & more"));
        assert_eq!(field("Message"), Some("{}"));
        assert_eq!(field("MessageAttributes.entry.1.Value.StringValue"), Some("a1"));
        assert_eq!(field("MessageGroupId"), None);
    }

    #[test]
    fn a_fifo_topic_drops_repeats_by_the_same_id() {
        let id = ("MessageDeduplicationId".to_owned(), "a1".to_owned());

        assert!(fields(true).contains(&id));
    }
}
