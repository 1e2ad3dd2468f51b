//! The environment of a function: read once, checked once.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use farebox_core::ids::is_stage;
use farebox_core::{EntityId, Timestamp};

use crate::channels::Channels;
use crate::sign_on::{self, SignOn};

/// Everything that a function is told by its environment.
#[derive(Clone)]
pub struct Config {
    /// The deployment's name inside keys of items.
    pub tenant: String,
    /// The stage inside Farebox keys.
    pub stage: String,
    /// Budgets.
    pub ledger_table: String,
    /// Keys, owners, prices, alerts, tombstones, archives, outbox.
    pub main_table: String,
    /// One row a call.
    pub logs_table: String,
    /// Where call records go; empty where the function sends none.
    pub queue_url: String,
    /// Where records go that the logger refused five times; empty where nobody asks.
    pub dead_letter_url: String,
    /// Prefix of the names of secrets; empty where the function reads none.
    pub secret_prefix: String,
    /// The secret with the pepper; empty where the function needs none.
    pub pepper_secret: String,
    /// The secret with the first admin key; empty outside the admin function.
    pub admin_key_secret: String,
    /// The topic and the addresses that alerts go to.
    pub channels: Channels,
    /// The bucket that the scheduler writes rows of past days to, where there is one.
    pub lake_bucket: Option<String>,
    /// How long after its run's begin the scheduler looks for alerts once more.
    pub second_look: Duration,
    /// Single sign-on of the console, where it is set up.
    pub sign_on: Option<SignOn>,
    /// Where browsers find the gateway, where that is not what API Gateway says.
    pub public_url: Option<String>,
    /// Exact origins that a credential or a webhook may use beside the public ones.
    pub allowed_origins: Vec<String>,
    /// The time.
    pub clock: Clock,
    /// What takes the place of the operating system's randomness in pauses, in a simulation.
    pub chance: Option<fn() -> u64>,
    pub(crate) region: String,
    pub(crate) credentials: Credentials,
    pub(crate) endpoints: Endpoints,
    pub(crate) is_traced: bool,
}

/// Endpoints other than AWS's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoints {
    pub(crate) dynamodb: Option<String>,
    pub(crate) sqs: Option<String>,
    pub(crate) secrets_manager: Option<String>,
    pub(crate) sns: Option<String>,
    pub(crate) ses: Option<String>,
    pub(crate) s3: Option<String>,
}

/// Why the environment is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A variable is absent or empty.
    #[error("{variable} is not set")]
    Missing {
        /// Its name.
        variable: &'static str,
    },
    /// A variable breaks its rule.
    #[error("{variable}: {rule}")]
    Malformed {
        /// Its name.
        variable: &'static str,
        /// The rule.
        rule: &'static str,
    },
}

/// The time: the wall clock, in tests moved by an offset that a file holds, or simulated.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_file: Option<PathBuf>,
    simulated: Option<fn() -> Timestamp>,
}

impl Config {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable. What only some functions need may be absent; the
    /// operation that needs it says so.
    pub fn from_env() -> Result<Self, ConfigError> {
        #[expect(clippy::disallowed_methods, reason = "the only reader of the environment")]
        let lookup = |variable: &str| std::env::var(variable).ok();
        Self::from_lookup(lookup)
    }

    /// Reads variables by a function instead of from the environment.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let set = |variable: &str| lookup(variable).filter(|value| !value.is_empty());
        let needed =
            |variable: &'static str| set(variable).ok_or(ConfigError::Missing { variable });
        let or_empty = |variable: &str| set(variable).unwrap_or_default();
        let endpoint = |variable: &'static str| {
            let is_url = |url: &String| origin(url).is_some();
            match set(variable) {
                Some(url) if !is_url(&url) => Err(ConfigError::Malformed {
                    variable,
                    rule: "write an http or https URL such as http://127.0.0.1:8000",
                }),
                url => Ok(url),
            }
        };
        let endpoints = Endpoints {
            dynamodb: endpoint("AWS_ENDPOINT_URL_DYNAMODB")?,
            sqs: endpoint("AWS_ENDPOINT_URL_SQS")?,
            secrets_manager: endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER")?,
            sns: endpoint("AWS_ENDPOINT_URL_SNS")?,
            ses: endpoint("AWS_ENDPOINT_URL_SESV2")?,
            s3: endpoint("AWS_ENDPOINT_URL_S3")?,
        };
        let channels = Channels::read(set)?;
        let lake_bucket = lake_bucket(set("FAREBOX_LAKE_BUCKET"))?;
        let is_local = endpoints.are_loopback(&channels, lake_bucket.is_some());
        let credentials = Credentials::new(
            needed("AWS_ACCESS_KEY_ID")?,
            needed("AWS_SECRET_ACCESS_KEY")?,
            set("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        Ok(Self {
            tenant: tenant(set("FAREBOX_TENANT"))?,
            stage: stage(set("FAREBOX_STAGE"))?,
            ledger_table: needed("FAREBOX_LEDGER_TABLE")?,
            main_table: needed("FAREBOX_MAIN_TABLE")?,
            logs_table: needed("FAREBOX_LOGS_TABLE")?,
            queue_url: or_empty("FAREBOX_QUEUE_URL"),
            dead_letter_url: or_empty("FAREBOX_DEAD_LETTER_URL"),
            secret_prefix: or_empty("FAREBOX_SECRET_PREFIX"),
            pepper_secret: or_empty("FAREBOX_PEPPER_SECRET"),
            admin_key_secret: or_empty("FAREBOX_ADMIN_KEY_SECRET"),
            second_look: second_look(set("FAREBOX_SECOND_LOOK_S"))?,
            sign_on: SignOn::read(set, is_local)?,
            public_url: sign_on::public_url(set("FAREBOX_PUBLIC_URL"), is_local)?,
            allowed_origins: allowed_origins(&or_empty("FAREBOX_ALLOWED_ORIGINS"))?,
            clock: clock(set("FAREBOX_CLOCK_FILE"), is_local)?,
            channels,
            lake_bucket,
            chance: None,
            region: needed("AWS_REGION")?,
            credentials,
            endpoints,
            is_traced: set("FAREBOX_TRACE_AWS").is_some(),
        })
    }
}

/// Shows names of resources and nothing that opens one.
impl core::fmt::Debug for Config {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Config")
            .field("tenant", &self.tenant)
            .field("stage", &self.stage)
            .field("ledger_table", &self.ledger_table)
            .field("region", &self.region)
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

impl Endpoints {
    pub(crate) fn is_dynamodb_local(&self) -> bool {
        self.dynamodb.as_deref().is_some_and(is_loopback)
    }

    /// Whether each service that is used is on this machine.
    fn are_loopback(&self, channels: &Channels, has_lake: bool) -> bool {
        let needed = [&self.dynamodb, &self.sqs, &self.secrets_manager].into_iter();
        let sns = channels.topic.as_ref().map(|_| &self.sns);
        let is_mailing = channels.mail.is_some() || channels.statements.is_some();
        let ses = is_mailing.then_some(&self.ses);
        let s3 = has_lake.then_some(&self.s3);
        let mut used = needed.chain(sns).chain(ses).chain(s3);
        used.all(|endpoint| endpoint.as_deref().is_some_and(is_loopback))
    }
}

impl Clock {
    /// A clock that a file moves by the milliseconds that it holds.
    pub(crate) const fn with_offset_file(file: PathBuf) -> Self {
        Self { offset_file: Some(file), simulated: None }
    }

    /// The time of a simulation.
    #[must_use]
    pub const fn simulated(now: fn() -> Timestamp) -> Self {
        Self { offset_file: None, simulated: Some(now) }
    }

    /// Now on the machine's own clock, whatever the file says: Lambda's deadlines are on it.
    #[must_use]
    pub fn machine_now() -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the only reader of the wall clock")]
        let now = SystemTime::now();
        let elapsed = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ms(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    /// Now. A file that cannot be read moves nothing.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        if let Some(now) = self.simulated {
            return now();
        }
        let now = Self::machine_now();
        let text = self.offset_file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let offset_ms = text.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        now.plus_ms(offset_ms)
    }
}

/// 128 random bits of the operating system.
#[must_use]
pub fn random() -> u128 {
    u128::from_le_bytes(random_bytes())
}

/// Random bytes of the operating system.
///
/// # Panics
/// Where the operating system has no randomness: no identity and no key may be made then.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let filled = getrandom::fill(&mut bytes);
    assert!(filled.is_ok(), "the operating system gives random bytes");
    bytes
}

/// The origin (`scheme://host[:port]`) of an http or https URL, as it is written.
pub(crate) fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme != "http" && scheme != "https" {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = !authority.is_empty() && !authority.contains(['@', ' ', '\\']);
    url.get(..scheme.len() + 3 + authority.len()).filter(|_| is_plain)
}

pub(crate) fn is_loopback(url: &str) -> bool {
    let authority = origin(url).and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    let host = authority.and_then(|authority| match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next(),
        None => authority.split(':').next(),
    });
    host.is_some_and(|host| {
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

fn tenant(given: Option<String>) -> Result<String, ConfigError> {
    let tenant = given.unwrap_or_else(|| "main".to_owned());
    match tenant.parse::<EntityId>() {
        Ok(_) => Ok(tenant),
        Err(_) => Err(ConfigError::Malformed {
            variable: "FAREBOX_TENANT",
            rule: "use 1 to 64 letters, digits, '_', '-' or '.'",
        }),
    }
}

fn stage(given: Option<String>) -> Result<String, ConfigError> {
    let stage = given.unwrap_or_else(|| "prod".to_owned());
    if is_stage(&stage) {
        return Ok(stage);
    }
    let rule = "use 1 to 16 lower-case letters and digits";
    Err(ConfigError::Malformed { variable: "FAREBOX_STAGE", rule })
}

fn allowed_origins(list: &str) -> Result<Vec<String>, ConfigError> {
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let origins = entries.map(|entry| {
        let is_exact = origin(entry).is_some_and(|origin| origin == entry);
        is_exact.then(|| entry.to_owned()).ok_or(ConfigError::Malformed {
            variable: "FAREBOX_ALLOWED_ORIGINS",
            rule: "list origins as scheme://host[:port], with commas and without paths",
        })
    });
    origins.collect()
}

/// A name that is one label of a host, as S3 addresses a bucket.
/// Within the minute to the next run, and its own time.
fn second_look(seconds: Option<String>) -> Result<Duration, ConfigError> {
    let Some(text) = seconds else { return Ok(Duration::ZERO) };
    let seconds = text.parse().ok().filter(|seconds| *seconds <= 30);
    let rule = "write a whole number of seconds up to 30";
    let malformed = ConfigError::Malformed { variable: "FAREBOX_SECOND_LOOK_S", rule };
    seconds.map(Duration::from_secs).ok_or(malformed)
}

fn lake_bucket(name: Option<String>) -> Result<Option<String>, ConfigError> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_bucket = |name: &String| {
        (3..=63).contains(&name.len())
            && name.bytes().all(is_inner)
            && !name.starts_with('-')
            && !name.ends_with('-')
    };
    let rule = "write the name of an S3 bucket without dots";
    match name {
        Some(name) if !is_bucket(&name) => {
            Err(ConfigError::Malformed { variable: "FAREBOX_LAKE_BUCKET", rule })
        }
        name => Ok(name),
    }
}

fn clock(file: Option<String>, is_local: bool) -> Result<Clock, ConfigError> {
    match file {
        None => Ok(Clock::default()),
        // A moved clock would move money between periods: only where no real service listens.
        Some(_) if !is_local => Err(ConfigError::Malformed {
            variable: "FAREBOX_CLOCK_FILE",
            rule: "a test clock is taken only where every AWS endpoint is on this machine",
        }),
        Some(file) => Ok(Clock::with_offset_file(file.into())),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const COMPLETE: [(&str, &str); 7] = [
        ("FAREBOX_LEDGER_TABLE", "ledger"),
        ("FAREBOX_MAIN_TABLE", "main"),
        ("FAREBOX_LOGS_TABLE", "logs"),
        ("FAREBOX_QUEUE_URL", "http://127.0.0.1:1/queue"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "canary-secret"),
    ];

    pub(crate) fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|variable| {
            let mut rows = changes.iter().chain(COMPLETE.iter());
            rows.find(|(name, _)| *name == variable).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_absent_variable_is_named() {
        for variable in ["FAREBOX_LEDGER_TABLE", "AWS_REGION", "AWS_SECRET_ACCESS_KEY"] {
            assert_eq!(read(&[(variable, "")]).unwrap_err(), ConfigError::Missing { variable });
        }
    }

    #[test]
    fn a_variable_that_breaks_its_rule_is_named() {
        for (variable, value) in [
            ("FAREBOX_TENANT", "a#b"),
            ("FAREBOX_STAGE", "Prod"),
            ("FAREBOX_SECOND_LOOK_S", "31"),
            ("FAREBOX_SECOND_LOOK_S", "1.5"),
            ("FAREBOX_ALLOWED_ORIGINS", "http://127.0.0.1:4000/v1"),
            ("FAREBOX_ALLOWED_ORIGINS", "https://user@host"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "127.0.0.1:8000"),
        ] {
            let error = read(&[(variable, value)]).unwrap_err();
            assert!(error.to_string().starts_with(variable), "{error}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let config = read(&[]).unwrap();

        assert_eq!((config.tenant.as_str(), config.stage.as_str()), ("main", "prod"));
        assert!(config.allowed_origins.is_empty());
    }

    #[test]
    fn a_test_clock_needs_every_endpoint_on_this_machine() {
        let local = [
            ("FAREBOX_CLOCK_FILE", "/nowhere/clock"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000"),
            ("AWS_ENDPOINT_URL_SQS", "http://localhost:8001/"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://[::1]:8002"),
        ];

        assert!(read(&local).is_ok());
        assert!(read(&local[..3]).is_err());
        let mut elsewhere = local;
        elsewhere[1].1 = "http://127.0.0.1.example.com";
        assert!(read(&elsewhere).is_err());
        let with_topic = [("FAREBOX_ALERT_TOPIC", "arn:aws:sns:us-east-1:111122223333:alerts")];
        let with_topic = [&local[..], &with_topic].concat();
        assert!(read(&with_topic).is_err());
        let local_topic = [&with_topic[..], &[("AWS_ENDPOINT_URL_SNS", "http://[::1]:1")]].concat();
        assert!(read(&local_topic).is_ok());
        let with_lake = [&local[..], &[("FAREBOX_LAKE_BUCKET", "rows")]].concat();
        assert!(read(&with_lake).is_err());
        let local_lake = [&with_lake[..], &[("AWS_ENDPOINT_URL_S3", "http://[::1]:1")]].concat();
        assert_eq!(read(&local_lake).unwrap().lake_bucket.as_deref(), Some("rows"));
    }

    #[test]
    fn a_bucket_is_a_label_of_a_host() {
        for name in ["Rows", "a", "a.b", "a/b", "-ab", "rows-", "x".repeat(64).as_str()] {
            assert!(read(&[("FAREBOX_LAKE_BUCKET", name)]).is_err(), "{name}");
        }
    }

    #[test]
    fn debug_shows_no_credential() {
        assert!(!format!("{:?}", read(&[]).unwrap()).contains("canary"));
    }

    #[test]
    fn an_offset_file_moves_the_clock() {
        let file = std::env::temp_dir().join(format!("farebox-clock-{}", random()));
        fs::write(&file, "86400000\n").unwrap();

        let moved = Clock::with_offset_file(file.clone()).now().since(Clock::default().now());

        fs::remove_file(file).unwrap();
        assert!((86_390_000..=86_400_000).contains(&moved), "{moved}");
    }
}
