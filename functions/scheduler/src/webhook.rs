//! One signed POST to the owner's webhook, and to nowhere else.
//!
//! | header | value |
//! |---|---|
//! | `Alert-Id` | the same for every delivery of an alert: the receiver drops repeats by it |
//! | `Farebox-Timestamp` | epoch seconds |
//! | `Farebox-Signature` | `v1=` and hex HMAC-SHA-256 of `timestamp.body` under the secret |

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use farebox_aws::Aws;
use farebox_aws::control::{PublicUrl, UrlUse};
use farebox_aws::credentials::secret_text;
use farebox_aws::expression::{Store, item};
use farebox_core::{Secret, Timestamp};
use farebox_ledger::{Attr, Key, Table};
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, redirect, retry};
use sha2::Sha256;

use crate::channels::{Deliver, Message};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Well inside the lease of a minute.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where alerts go.
pub(crate) struct Webhook {
    url: String,
    secret: Secret,
    client: Client,
}

/// Resolves names to public addresses only: a public name may point into a private network, also
/// one that did not when it was stored.
struct PublicOnly(Lookup);

/// What a name stands for now.
type Lookup = fn(Name) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;

impl Webhook {
    /// The webhook of the deployment, where its owner has set one.
    pub(crate) async fn open(aws: &Aws) -> Result<Option<Box<dyn Deliver>>, String> {
        let pk = format!("E#{}", aws.config().tenant);
        let key = Key { table: Table::Main, pk, sk: "webhook".to_owned() };
        let found = Store::patient(aws).fetch(&key).await.map_err(|error| error.to_string())?;
        match found.map(item).as_ref().and_then(|found| found.get("url")) {
            Some(Attr::S(url)) => Ok(Some(Box::new(Self::new(aws, url).await?))),
            _ => Ok(None),
        }
    }

    /// Judges a URL and reads the signing secret.
    async fn new(aws: &Aws, url: &str) -> Result<Self, String> {
        let allowed = &aws.config().allowed_origins;
        let url = PublicUrl::parse(url, UrlUse::Whole, allowed)?;
        // Which rule let it pass decides whether private addresses are meant.
        let is_allowed = PublicUrl::parse(url.as_str(), UrlUse::Whole, &[]).is_err();
        let name = format!("{}/webhook", aws.config().secret_prefix);
        let secret = secret_text(aws, &name).await.map_err(|error| error.to_string())?;
        let secret = secret.ok_or("its signing secret is gone")?;
        let client = client(is_allowed, looked_up).map_err(|_| "no client")?;
        Ok(Self { url: url.as_str().to_owned(), secret, client })
    }

    async fn post(&self, id: &str, body: &str, now: Timestamp) -> Result<(), String> {
        let timestamp = now.seconds().to_string();
        let signature = signature(&self.secret, &timestamp, body);
        let request = self.client.post(&self.url).body(body.to_owned());
        let request = request
            .header("Content-Type", "application/json")
            .header("Alert-Id", id)
            .header("Farebox-Timestamp", &timestamp)
            .header("Farebox-Signature", format!("v1={signature}"));
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("status {}", answer.status().as_u16())),
            // The URL may carry a token of the receiver in its query.
            Err(error) if error.is_connect() => Err("no connection".to_owned()),
            Err(error) if error.is_timeout() => Err("timeout".to_owned()),
            Err(_) => Err("no answer".to_owned()),
        }
    }
}

impl Deliver for Webhook {
    fn deliver<'tell>(
        &'tell self,
        message: &'tell Message,
        now: Timestamp,
    ) -> BoxFuture<'tell, Result<(), String>> {
        Box::pin(self.post(&message.id, &message.body, now))
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.0;
        Box::pin(async move {
            let mut public = lookup(name).await?;
            public.retain(|address| is_public(address.ip()));
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

fn looked_up(name: Name) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
}

/// Whether an address is one of the public internet, by the same table as URLs are judged by.
fn is_public(address: IpAddr) -> bool {
    let url = match address.to_canonical() {
        IpAddr::V4(address) => format!("https://{address}"),
        IpAddr::V6(address) => format!("https://[{address}]"),
    };
    PublicUrl::parse(&url, UrlUse::Base, &[]).is_ok()
}

fn client(may_be_private: bool, lookup: Lookup) -> Result<Client, reqwest::Error> {
    let builder = Client::builder()
        .tls_backend_preconfigured(farebox_aws::Aws::tls().as_ref().clone())
        // A redirect could lead where the guard was not asked.
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT);
    let builder = if may_be_private { builder } else { builder.dns_resolver(PublicOnly(lookup)) };
    builder.build()
}

fn signature(secret: &Secret, timestamp: &str, body: &str) -> String {
    // HMAC takes a key of any length, so this cannot fail.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .unwrap_or_else(|_| Hmac::new(&Default::default()));
    for part in [timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_signature_is_that_of_the_vector() {
        let secret = Secret::new("whsec_test".to_owned());

        // printf '1763900000.{"id":"abc"}' | openssl dgst -sha256 -hmac whsec_test
        assert_eq!(
            signature(&secret, "1763900000", r#"{"id":"abc"}"#),
            "bfbe7d0b47463e750fb7fb8a1885b3e80b5370f208f14399bab9eaf7903e6d30"
        );
    }

    #[test]
    fn only_public_addresses_pass_the_guard() {
        for (address, expected) in [
            ("8.8.8.8", true),
            ("2606:4700::1111", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    /// Names of the public kind, and where they lead.
    const NAMES: [(&str, &[&str]); 9] = [
        ("home.example.com", &["127.0.0.1"]),
        ("home-six.example.com", &["::1"]),
        ("mapped.example.com", &["::ffff:127.0.0.1"]),
        ("any.example.com", &["0.0.0.0", "::"]),
        ("metadata.example.com", &["169.254.169.254", "::ffff:169.254.169.254"]),
        ("ula.example.com", &["fd00:ec2::254"]),
        ("link.example.com", &["fe80::1"]),
        ("inside.example.com", &["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"]),
        ("both.example.com", &["127.0.0.1", "8.8.8.8", "fd00::1", "2606:4700::1111"]),
    ];

    #[expect(clippy::needless_pass_by_value, reason = "a lookup is given the name")]
    fn named(name: Name) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        let (_, found) = NAMES.iter().find(|(known, _)| *known == name.as_str()).unwrap();
        let found = found.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0));
        Box::pin(std::future::ready(Ok(found.collect())))
    }

    /// A receiver that sends everybody on to itself; its port, and how many came.
    async fn sends_on() -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let came = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&came);
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let _some = caller.read(&mut [0; 4_096]).await;
                let answer = format!(
                    "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{port}/next\r\n\
                     content-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _sent = caller.write_all(answer.as_bytes()).await;
            }
        });
        (port, came)
    }

    async fn posted(url: String, client: Client) -> Result<(), String> {
        let secret = Secret::new("whsec_test".to_owned());
        Webhook { url, secret, client }.post("id", "{}", Timestamp::from_ms(0)).await
    }

    #[tokio::test]
    async fn a_public_name_that_leads_home_is_not_called() {
        let (port, came) = sends_on().await;

        for (name, _) in NAMES.iter().filter(|(name, _)| !name.starts_with("both")) {
            let url = format!("http://{name}:{port}/");
            let told = posted(url, client(false, named).unwrap()).await;
            assert_eq!(told, Err("no connection".to_owned()), "{name}");
        }
        let url = format!("http://localhost:{port}/");
        let told = posted(url, client(false, looked_up).unwrap()).await;
        assert_eq!(told, Err("no connection".to_owned()));
        assert_eq!(came.load(Ordering::SeqCst), 0);
        let both = PublicOnly(named).resolve("both.example.com".parse().unwrap()).await;
        let both: Vec<_> = both.unwrap().map(|address| address.ip().to_string()).collect();
        assert_eq!(both, ["8.8.8.8", "2606:4700::1111"]);
    }

    #[tokio::test]
    async fn a_redirect_is_a_failure_and_is_not_followed() {
        let (port, came) = sends_on().await;

        let url = format!("http://127.0.0.1:{port}/");
        let told = posted(url, client(true, looked_up).unwrap()).await;

        assert_eq!(told, Err("status 307".to_owned()));
        assert_eq!(came.load(Ordering::SeqCst), 1);
    }
}
