//! Providers' credentials: written, never read back.

use serde::{Deserialize, Serialize};

/// `PUT /admin/v1/credentials/{user}/{provider}`, where `{user}` is `ID` or `org:ID`; with
/// `/{name}` behind it one of several.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutCredential {
    /// The provider's API key.
    pub secret: String,
    /// A compatible server in place of the provider's own: https with a public host, or an
    /// origin that the deployment allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Its share of the calls beside the owner's others for the provider: 1 to 1,000; absent is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// What is known about a credential beside its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Credential {
    /// Whose: `user:ID` or `org:ID`.
    pub owner: String,
    /// The provider.
    pub provider: String,
    /// Which of several; absent for the plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its share of the calls.
    #[serde(default)]
    pub weight: u32,
    /// `active` or `disabled`.
    pub state: String,
    /// A compatible server in place of the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// When it was set or disabled.
    pub updated_at: String,
    /// When it was last used, to five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// `GET /admin/v1/credentials?user=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CredentialList {
    /// The user's own, then those of its organisation; by provider and name.
    pub credentials: Vec<Credential>,
    /// Where the next page begins: `?cursor=`.
    #[serde(default)]
    pub next_cursor: Option<String>,
}
