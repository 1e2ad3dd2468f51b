//! The demo: made through the admin API, as an operator would.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::options::RealProvider;
use crate::provider;

/// The demo's user.
pub const USER: &str = "demo";
/// The demo's organisation.
pub const ORG: &str = "demo";
/// The demo provider's name in Farebox.
const PROVIDER: &str = "demo";

/// The admin API of the stack.
pub struct Admin {
    base_url: String,
    key: String,
    client: Client,
}

impl Admin {
    /// The admin API at `base_url`.
    #[must_use]
    pub fn new(base_url: &str, key: &str) -> Self {
        let client = Client::default();
        Self { base_url: base_url.to_owned(), key: key.to_owned(), client }
    }

    /// Makes the demo and gives its key.
    ///
    /// # Errors
    /// [`Error::Seed`].
    pub async fn seed(&self, demo_provider_url: &str, demo_key: &str) -> Result<String, Error> {
        self.put(&format!("orgs/{ORG}"), &json!({"name": "Demo organisation"})).await?;
        self.put(&format!("users/{USER}"), &json!({"name": "Demo user", "org": ORG})).await?;
        let credential = json!({"secret": demo_key, "base_url": format!("{demo_provider_url}/v1")});
        self.put(&format!("credentials/{USER}/{PROVIDER}"), &credential).await?;
        let budget = json!({
            "day_limit_usd": "1",
            "month_limit_usd": null,
            "total_limit_usd": null,
            "mode": "hard",
            "time_zone": "UTC",
            "alert_thresholds": [50, 80, 95],
        });
        self.put(&format!("budgets/user:{USER}"), &budget).await?;
        for price in provider::prices() {
            let spec = json!({
                "input": price.input,
                "output": price.output,
                "cached_input": price.cache_read,
                "cache_write_5m": price.cache_write_5m,
                "cache_write_1h": price.cache_write_1h,
                "web_search": price.search,
                "context_window": price.context_window,
                "max_output_tokens": price.max_output_tokens,
            });
            self.put(&format!("prices/{PROVIDER}/{}", price.model), &spec).await?;
        }
        let created =
            self.call(Method::POST, "keys", &json!({"user": USER, "name": "demo"})).await?;
        match created.get("secret").and_then(Value::as_str) {
            Some(secret) => Ok(secret.to_owned()),
            None => {
                Err(Error::Seed { request: "POST keys".to_owned(), answer: "no secret".to_owned() })
            }
        }
    }

    /// The demo provider listens on another port at each start: its credential follows it.
    ///
    /// # Errors
    /// [`Error::Seed`].
    pub async fn move_demo_provider(&self, url: &str, demo_key: &str) -> Result<(), Error> {
        let credential = json!({"secret": demo_key, "base_url": format!("{url}/v1")});
        self.put(&format!("credentials/{USER}/{PROVIDER}"), &credential).await
    }

    /// Stores the real keys of the environment as the demo user's credentials.
    ///
    /// # Errors
    /// [`Error::Seed`].
    pub async fn store_real(&self, providers: &[RealProvider]) -> Result<(), Error> {
        for provider in providers {
            let credential = json!({"secret": provider.key, "base_url": provider.base_url});
            self.put(&format!("credentials/{USER}/{}", provider.name), &credential).await?;
        }
        Ok(())
    }

    /// The providers but its own that the demo user has a key for, from the environment of this
    /// start or of an earlier one: what is called there costs real money.
    ///
    /// # Errors
    /// [`Error::Seed`].
    pub async fn real_money(&self) -> Result<Vec<String>, Error> {
        let path = format!("credentials?user={USER}");
        let list = self.call(Method::GET, &path, &Value::Null).await?;
        let stored = list.get("credentials").and_then(Value::as_array).into_iter().flatten();
        let text = |credential: &Value, field: &str| {
            credential.get(field).and_then(Value::as_str).map(str::to_owned)
        };
        let active = stored.filter(|stored| text(stored, "state").as_deref() == Some("active"));
        let names = active.filter_map(|stored| text(stored, "provider"));
        let real: BTreeSet<String> = names.filter(|name| name != PROVIDER).collect();
        Ok(real.into_iter().collect())
    }

    /// One thing of the control plane, made or replaced.
    ///
    /// # Errors
    /// [`Error::Seed`].
    pub async fn put(&self, path: &str, body: &Value) -> Result<(), Error> {
        self.call(Method::PUT, path, body).await.map(drop)
    }

    /// One request to the control plane.
    ///
    /// # Errors
    /// [`Error::Seed`].
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value, Error> {
        let failed = |answer: String| Error::Seed { request: format!("{method} {path}"), answer };
        let request = Request::builder()
            .method(method.clone())
            .uri(format!("{}/admin/v1/{path}", self.base_url))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, "*")
            .body(if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) })
            .map_err(|error| failed(error.to_string()))?;
        let answer = self.client.send(request).await.map_err(failed)?;
        if answer.status().is_success() {
            return Ok(serde_json::from_slice(answer.body()).unwrap_or_default());
        }
        let body = String::from_utf8_lossy(answer.body());
        Err(failed(format!("{}: {body}", answer.status())))
    }
}
