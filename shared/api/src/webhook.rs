//! Where alerts are delivered.

use serde::{Deserialize, Serialize};

/// `PUT /admin/v1/webhook`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutWebhook {
    /// https with a public host, or an origin that the deployment allows.
    pub url: String,
}

/// The webhook without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Webhook {
    /// Where alerts are posted.
    pub url: String,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// The webhook with its signing secret, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetWebhook {
    /// The key of the HMAC-SHA-256 that signs each delivery.
    pub secret: String,
    /// The rest.
    #[serde(flatten)]
    pub webhook: Webhook,
}
