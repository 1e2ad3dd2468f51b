//! Where alerts go beside the webhook, and statements. It is said when Farebox is deployed, because
//! the role that sends them names them too.

use crate::config::ConfigError;
use crate::usage::By;

/// The topic and the addresses that alerts go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// `FAREBOX_ALERT_TOPIC`.
    pub topic: Option<Topic>,
    /// `FAREBOX_ALERT_SENDER` and `FAREBOX_ALERT_RECIPIENTS`.
    pub mail: Option<Mail>,
    /// `FAREBOX_STATEMENT_RECIPIENTS` and `FAREBOX_STATEMENT_BY`, from the same sender.
    pub statements: Option<Statements>,
}

/// Who is mailed each month's statement, and whose lines it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statements {
    /// Who writes to whom.
    pub mail: Mail,
    /// As [`crate::usage::By`] reads it.
    pub by: String,
}

/// Whose lines a statement has where nothing is said.
const STATEMENT_BY: &str = "team,model";

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
    /// Reads the variables.
    ///
    /// # Errors
    /// [`ConfigError`] names the one that breaks its rule.
    pub(crate) fn read(set: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let topic = set("FAREBOX_ALERT_TOPIC").map(|arn| {
            let rule = "write the ARN of an SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME";
            let wrong = ConfigError::Malformed { variable: "FAREBOX_ALERT_TOPIC", rule };
            Topic::parse(&arn).ok_or(wrong)
        });
        let (mail, statements) = mailings(&set)?;
        Ok(Self { topic: topic.transpose()?, mail, statements })
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

const SENDER: &str = "FAREBOX_ALERT_SENDER";
const RECIPIENTS: &str = "FAREBOX_ALERT_RECIPIENTS";
const STATEMENTS: &str = "FAREBOX_STATEMENT_RECIPIENTS";
const BY: &str = "FAREBOX_STATEMENT_BY";

fn wrong(variable: &'static str, rule: &'static str) -> ConfigError {
    ConfigError::Malformed { variable, rule }
}

/// The two mailings, each from the one sender to its own recipients.
fn mailings(
    set: &impl Fn(&str) -> Option<String>,
) -> Result<(Option<Mail>, Option<Statements>), ConfigError> {
    let (alerts, statements) = (set(RECIPIENTS), set(STATEMENTS));
    let sender = match set(SENDER) {
        None if alerts.is_none() && statements.is_none() => return Ok((None, None)),
        None => return Err(ConfigError::Missing { variable: SENDER }),
        Some(_) if alerts.is_none() && statements.is_none() => {
            return Err(ConfigError::Missing { variable: RECIPIENTS });
        }
        Some(sender) => sender,
    };
    if !is_address(&sender) {
        return Err(wrong(SENDER, "write one e-mail address, such as farebox@example.com"));
    }
    let mail = |variable, to: String| {
        let recipients: Vec<_> = to.split(',').map(|address| address.trim().to_owned()).collect();
        let is_list = recipients.len() <= RECIPIENTS_MAX;
        if !is_list || !recipients.iter().all(|address| is_address(address)) {
            return Err(wrong(variable, "list 1 to 50 e-mail addresses, with commas between"));
        }
        Ok(Mail { sender: sender.clone(), recipients })
    };
    let statements = statements.map(|to| {
        let by = set(BY).unwrap_or_else(|| STATEMENT_BY.to_owned());
        let rule = "name org, team, user, key or label:NAME; model or provider may follow";
        By::parse(&by).map_err(|_| wrong(BY, rule))?;
        Ok(Statements { mail: mail(STATEMENTS, to)?, by })
    });
    Ok((alerts.map(|to| mail(RECIPIENTS, to)).transpose()?, statements.transpose()?))
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

    #[test]
    fn a_statement_goes_to_its_own_recipients_and_names_its_lines() {
        let sender = ("FAREBOX_ALERT_SENDER", "farebox@example.com");
        let to = ("FAREBOX_STATEMENT_RECIPIENTS", "money@example.com");

        let channels = read(&[sender, to]).unwrap();
        let statements = channels.statements.unwrap();

        assert_eq!((channels.mail, statements.by.as_str()), (None, "team,model"));
        assert_eq!(statements.mail.recipients, ["money@example.com"]);
        let by = ("FAREBOX_STATEMENT_BY", "label:project,provider");
        assert_eq!(read(&[sender, to, by]).unwrap().statements.unwrap().by, by.1);
        let wrong = read(&[sender, to, ("FAREBOX_STATEMENT_BY", "teams")]).unwrap_err();
        assert!(wrong.to_string().contains("FAREBOX_STATEMENT_BY"), "{wrong}");
        let nobody = read(&[to]).unwrap_err();
        assert!(nobody.to_string().contains("FAREBOX_ALERT_SENDER"), "{nobody}");
    }
}
