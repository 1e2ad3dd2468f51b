//! Where alerts go beside the webhook. It is said when Farebox is deployed, because the role that
//! sends them names them too.

use crate::config::ConfigError;

/// The topic and the addresses that alerts go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// `FAREBOX_ALERT_TOPIC`.
    pub topic: Option<Topic>,
    /// `FAREBOX_ALERT_SENDER` and `FAREBOX_ALERT_RECIPIENTS`.
    pub mail: Option<Mail>,
}

/// A topic of Amazon SNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// `arn:aws:sns:us-east-1:111122223333:alerts`
    pub arn: String,
    /// Where it is.
    pub region: String,
    /// A FIFO topic, which wants a group and an identity with each message.
    pub is_fifo: bool,
}

/// Who writes to whom, by Amazon SES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// An address that SES has verified, or one of a domain that it has.
    pub sender: String,
    /// At most 50 (SES's own limit of a message).
    pub recipients: Vec<String>,
}

const RECIPIENTS_MAX: usize = 50;

impl Channels {
    /// Reads the three variables.
    ///
    /// # Errors
    /// [`ConfigError`] names the one that breaks its rule.
    pub(crate) fn read(set: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let topic = set("FAREBOX_ALERT_TOPIC").map(|arn| {
            let rule = "write the ARN of an SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME";
            let wrong = ConfigError::Malformed { variable: "FAREBOX_ALERT_TOPIC", rule };
            Topic::parse(&arn).ok_or(wrong)
        });
        Ok(Self { topic: topic.transpose()?, mail: mail(&set)? })
    }
}

impl Topic {
    fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<_> = arn.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts.as_slice() else {
            return None;
        };
        let is_region = |text: &str| {
            let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            !text.is_empty() && text.bytes().all(|byte| is_part(byte) || byte == b'-')
        };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_fifo = name.ends_with(".fifo");
        let plain = name.strip_suffix(".fifo").unwrap_or(name);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_named = !plain.is_empty() && plain.bytes().all(is_name);
        let is_topic = partition.starts_with("aws") && is_region(region) && is_account && is_named;
        let region = (*region).to_owned();
        is_topic.then(|| Self { arn: arn.to_owned(), region, is_fifo })
    }
}

fn mail(set: &impl Fn(&str) -> Option<String>) -> Result<Option<Mail>, ConfigError> {
    let (sender, recipients) = ("FAREBOX_ALERT_SENDER", "FAREBOX_ALERT_RECIPIENTS");
    let wrong = |variable, rule| ConfigError::Malformed { variable, rule };
    let (from, to) = match (set(sender), set(recipients)) {
        (None, None) => return Ok(None),
        (Some(from), Some(to)) => (from, to),
        (None, Some(_)) => return Err(ConfigError::Missing { variable: sender }),
        (Some(_), None) => return Err(ConfigError::Missing { variable: recipients }),
    };
    if !is_address(&from) {
        return Err(wrong(sender, "write one e-mail address, such as farebox@example.com"));
    }
    let to: Vec<_> = to.split(',').map(|address| address.trim().to_owned()).collect();
    if to.len() > RECIPIENTS_MAX || !to.iter().all(|address| is_address(address)) {
        return Err(wrong(recipients, "list 1 to 50 e-mail addresses, with commas between"));
    }
    Ok(Some(Mail { sender: from, recipients: to }))
}

/// Coarse: SES knows which addresses it takes; this keeps out what is no address at all.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"@,;<>()\"\\".contains(&byte);
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_plain);
    text.len() <= 320 && is_part(local) && is_part(domain) && domain.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sns:eu-central-1:111122223333:alerts";

    fn read(variables: &[(&str, &str)]) -> Result<Channels, ConfigError> {
        Channels::read(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_no_channel() {
        assert_eq!(read(&[]).unwrap(), Channels::default());
    }

    #[test]
    fn a_topic_knows_its_region() {
        let topic = read(&[("FAREBOX_ALERT_TOPIC", ARN)]).unwrap().topic.unwrap();
        assert_eq!((topic.region.as_str(), topic.is_fifo), ("eu-central-1", false));
        let fifo = read(&[("FAREBOX_ALERT_TOPIC", &format!("{ARN}.fifo"))]).unwrap();
        assert!(fifo.topic.unwrap().is_fifo);
    }

    #[test]
    fn what_breaks_its_rule_is_named() {
        let sender = ("FAREBOX_ALERT_SENDER", "farebox@example.com");
        for (variables, named) in [
            (vec![("FAREBOX_ALERT_TOPIC", "alerts")], "FAREBOX_ALERT_TOPIC"),
            (
                vec![("FAREBOX_ALERT_TOPIC", "arn:aws:sqs:eu-central-1:111122223333:alerts")],
                "TOPIC",
            ),
            (vec![("FAREBOX_ALERT_TOPIC", "arn:aws:sns:eu-central-1:1111:alerts")], "TOPIC"),
            (vec![("FAREBOX_ALERT_TOPIC", "arn:aws:sns:a/b:111122223333:alerts")], "TOPIC"),
            (vec![sender], "FAREBOX_ALERT_RECIPIENTS"),
            (vec![("FAREBOX_ALERT_RECIPIENTS", "a@example.com")], "FAREBOX_ALERT_SENDER"),
            (vec![sender, ("FAREBOX_ALERT_RECIPIENTS", "a@example.com,")], "RECIPIENTS"),
            (vec![sender, ("FAREBOX_ALERT_RECIPIENTS", "a b@example.com")], "RECIPIENTS"),
            (
                vec![("FAREBOX_ALERT_SENDER", "x"), ("FAREBOX_ALERT_RECIPIENTS", "a@b.c")],
                "FAREBOX_ALERT_SENDER",
            ),
        ] {
            let error = read(&variables).unwrap_err().to_string();
            assert!(error.contains(named), "{variables:?}: {error}");
        }
    }

    #[test]
    fn recipients_are_separated_by_commas() {
        let mail = read(&[
            ("FAREBOX_ALERT_SENDER", "farebox@example.com"),
            ("FAREBOX_ALERT_RECIPIENTS", "a@example.com, b@example.com"),
        ]);

        assert_eq!(mail.unwrap().mail.unwrap().recipients, ["a@example.com", "b@example.com"]);
    }
}
