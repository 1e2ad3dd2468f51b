//! The SDK clients: one set a process, each built when first used.

use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb as dynamodb;
use aws_sdk_secretsmanager as secretsmanager;
use aws_sdk_sqs as sqs;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::sdk_config::StalledStreamProtectionConfig;
use farebox_core::{Rid, Timestamp};
use farebox_ledger::attempt::ATTEMPT_TIMEOUT_MS;

use crate::config::{Config, random, random_bytes};
use crate::http::{Carrier, Client, Http};

/// The limit of one request on the money path (W2).
const MONEY_TIMEOUT: Duration = Duration::from_millis(ATTEMPT_TIMEOUT_MS as u64);
/// The same where the store is an emulator on this machine, which shares its few cores with
/// everything else under test.
const MONEY_TIMEOUT_LOCAL: Duration = Duration::from_secs(1);
/// The time of a whole reserve or extension there: four attempts of that length, with their pauses.
/// No reserve is signed later for it: W3 bounds each by the age of its rid.
const MONEY_TOTAL_LOCAL_MS: i64 = 6_000;
/// The limit of one request elsewhere: queries, scans, secrets, the queue.
pub(crate) const PATIENT_TIMEOUT: Duration = Duration::from_secs(3);

/// One configuration for all TLS of a process: the roots are decoded once (2 to 12 ms of a cold
/// start otherwise, for each client).
static TLS: LazyLock<Arc<rustls::ClientConfig>> = LazyLock::new(|| Arc::new(tls_config()));

/// The services of this process. Cheap to clone.
#[derive(Clone)]
pub struct Aws(Arc<Inner>);

struct Inner {
    config: Config,
    carrier: Arc<dyn Carrier>,
    money: OnceLock<dynamodb::Client>,
    dynamodb: OnceLock<dynamodb::Client>,
    sqs: OnceLock<sqs::Client>,
    secrets: OnceLock<secretsmanager::Client>,
}

impl Aws {
    /// Takes the configuration; builds nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let http = Http::new(config.clock.clone(), config.is_traced);
        Self::carried_by(config, Arc::new(http))
    }

    /// The same with something else than connections below the SDK.
    #[must_use]
    pub fn carried_by(config: Config, carrier: Arc<dyn Carrier>) -> Self {
        Self(Arc::new(Inner {
            config,
            carrier,
            money: OnceLock::new(),
            dynamodb: OnceLock::new(),
            sqs: OnceLock::new(),
            secrets: OnceLock::new(),
        }))
    }

    /// What the environment says.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.config.clock.now()
    }

    /// A new identity for a call.
    #[must_use]
    pub fn new_rid(&self) -> Rid {
        Rid::new(self.now(), random())
    }

    /// The TLS configuration that every client of the process shares: ring, Mozilla's roots,
    /// HTTP/1.1 unless the user of a clone offers more.
    #[must_use]
    pub fn tls() -> Arc<rustls::ClientConfig> {
        Arc::clone(&TLS)
    }

    /// Drops pooled connections, so that the next request opens its own. Done by itself where
    /// the last answer is more than 20 s old (W1); a function may do it when it knows of a thaw.
    pub fn drop_idle_connections(&self) {
        self.0.carrier.drop_idle_connections();
    }

    /// DynamoDB off the money path: three seconds a request, no retries of its own.
    #[must_use]
    pub fn dynamodb(&self) -> &dynamodb::Client {
        self.0.dynamodb.get_or_init(|| self.dynamodb_client(PATIENT_TIMEOUT))
    }

    /// DynamoDB on the money path: 300 ms a request, no retries of its own.
    pub(crate) fn money(&self) -> &dynamodb::Client {
        let is_local = self.0.config.endpoints.is_dynamodb_local();
        let timeout = if is_local { MONEY_TIMEOUT_LOCAL } else { MONEY_TIMEOUT };
        self.0.money.get_or_init(|| self.dynamodb_client(timeout))
    }

    /// How long all attempts of a step on the money path may take, where W2 says `usual`.
    pub(crate) fn money_total_ms(&self, usual: i64) -> i64 {
        let is_local = self.0.config.endpoints.is_dynamodb_local();
        if is_local { MONEY_TOTAL_LOCAL_MS } else { usual }
    }

    /// SQS: three seconds a request, no retries of its own.
    #[must_use]
    pub fn sqs(&self) -> &sqs::Client {
        self.0.sqs.get_or_init(|| {
            let config = self.sdk_config(PATIENT_TIMEOUT);
            let mut builder = sqs::config::Builder::from(&config);
            builder.set_endpoint_url(self.0.config.endpoints.sqs.clone());
            sqs::Client::from_conf(builder.build())
        })
    }

    /// Secrets Manager: three seconds a request, no retries of its own.
    #[must_use]
    pub fn secrets(&self) -> &secretsmanager::Client {
        self.0.secrets.get_or_init(|| {
            let config = self.sdk_config(PATIENT_TIMEOUT);
            let mut builder = secretsmanager::config::Builder::from(&config);
            builder.set_endpoint_url(self.0.config.endpoints.secrets_manager.clone());
            secretsmanager::Client::from_conf(builder.build())
        })
    }

    pub(crate) fn carrier(&self) -> Arc<dyn Carrier> {
        Arc::clone(&self.0.carrier)
    }

    /// 64 random bits, for pauses and for choices that are no secret.
    #[must_use]
    pub fn chance(&self) -> u64 {
        self.0.config.chance.map_or_else(|| u64::from_le_bytes(random_bytes()), |chance| chance())
    }

    fn dynamodb_client(&self, timeout: Duration) -> dynamodb::Client {
        let mut builder = dynamodb::config::Builder::from(&self.sdk_config(timeout));
        builder.set_endpoint_url(self.0.config.endpoints.dynamodb.clone());
        dynamodb::Client::from_conf(builder.build())
    }

    /// Made by hand: the default chain would read files and ask the network at every cold start.
    fn sdk_config(&self, timeout: Duration) -> SdkConfig {
        let config = &self.0.config;
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(config.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(config.credentials.clone()))
            .http_client(Client { carrier: self.carrier(), timeout })
            .sleep_impl(TokioSleep::new())
            // The machines of the ledger decide what is sent again (W1), and the connections
            // know when a request begins, which a timeout of the SDK does not.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            // Else a late reserve could be signed with a time that W3 has not checked.
            .disable_clock_skew_correction(true)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build()
    }
}

#[expect(clippy::expect_used, reason = "ring supports the versions that rustls calls safe")]
fn tls_config() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use farebox_ledger::attempt::{EXTEND_TOTAL_MS, RESERVE_TOTAL_MS};

    use super::*;

    fn aws(dynamodb: Option<&str>) -> Aws {
        let config = Config::from_lookup(|variable| match variable {
            "AWS_ENDPOINT_URL_DYNAMODB" => dynamodb.map(str::to_owned),
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
            variable => variable.ends_with("_TABLE").then(|| "local".to_owned()),
        });
        Aws::new(config.unwrap())
    }

    #[test]
    fn only_a_store_on_this_machine_gets_more_time_than_w2_says() {
        for elsewhere in [None, Some("https://dynamodb.eu-central-1.amazonaws.com")] {
            for usual in [RESERVE_TOTAL_MS, EXTEND_TOTAL_MS] {
                assert_eq!(aws(elsewhere).money_total_ms(usual), usual, "{elsewhere:?}");
            }
        }
        let here = aws(Some("http://127.0.0.1:8000"));
        assert_eq!(here.money_total_ms(RESERVE_TOTAL_MS), MONEY_TOTAL_LOCAL_MS);
    }
}
