//! Who may use the admin API.

use serde::{Deserialize, Serialize};

/// `GET /admin/v1/session`: who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Session {
    /// As the audit names it: `admin-key:ID`, `iam:ARN`, `sso:ADDRESS` or `member:USER/KEY`.
    pub actor: String,
    /// `owner`, `admin`, `auditor` or `member`.
    pub role: String,
    /// A member's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// `POST /admin/v1/admin-keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateAdminKey {
    /// For people.
    pub name: String,
    /// `owner`, `admin` or `auditor`.
    pub role: String,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// `POST /admin/v1/admin-keys/{id}/rotate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateAdminKey {
    /// Seconds that the old key works beside the new one; 0 where left out, a week at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_s: Option<u32>,
}

/// An admin key without its secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdminKey {
    /// Its public identity.
    pub id: String,
    /// For people.
    pub name: String,
    /// `owner`, `admin` or `auditor`.
    pub role: String,
    /// `active`, `expired` or `revoked`.
    pub state: String,
    /// When it was made.
    pub created_at: String,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// A new admin key with its secret, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreatedAdminKey {
    /// What is sent as `Authorization: Bearer …`.
    pub secret: String,
    /// The rest.
    #[serde(flatten)]
    pub key: AdminKey,
}

/// `GET /admin/v1/admin-keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdminKeyList {
    /// By id; the deployment's own key is not among them.
    pub admin_keys: Vec<AdminKey>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// `PUT /admin/v1/iam/{arn}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutPrincipal {
    /// `owner`, `admin` or `auditor`.
    pub role: String,
}

/// An IAM user or role that may use the admin API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Principal {
    /// `arn:aws:iam::111122223333:role/Ops`; without the path that a role may have.
    pub arn: String,
    /// `owner`, `admin` or `auditor`.
    pub role: String,
    /// When it got a role first.
    pub created_at: String,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// `GET /admin/v1/iam`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrincipalList {
    /// By ARN.
    pub principals: Vec<Principal>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// `PUT /admin/v1/sso/{subject}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PutBinding {
    /// `owner`, `admin`, `auditor` or `member`.
    pub role: String,
    /// Whose self-service it is: a member has one, no other role has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// An address or a group that may sign in to the console.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Binding {
    /// `email:ann@example.com`, in small letters, `group:finance`, or `sub:ID`, the provider's own
    /// identifier of a person.
    pub subject: String,
    /// `owner`, `admin`, `auditor` or `member`.
    pub role: String,
    /// Whose self-service it is, for members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When it got a role first.
    pub created_at: String,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// `GET /admin/v1/sso`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BindingList {
    /// By subject.
    pub bindings: Vec<Binding>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// A session of somebody who has signed in to the console.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SsoSession {
    /// Its public identity.
    pub id: String,
    /// Whose it is.
    pub email: String,
    /// What gave it its role: `email:ann@example.com`, `group:finance` or `sub:ID`.
    pub subject: String,
    /// `active`, `expired` or `ended`.
    pub state: String,
    /// When its person signed in.
    pub created_at: String,
    /// When it was used last, to five minutes.
    pub last_used_at: String,
    /// When it ends at the latest.
    pub expires_at: String,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
}

/// `GET /admin/v1/sso-sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SsoSessionList {
    /// In no order; ended ones for a day.
    pub sessions: Vec<SsoSession>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}

/// `POST /admin/console/sign-out`: the session has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignedOut {
    /// The provider's page that ends the sign-in there too; null where it has none.
    pub next: Option<String>,
}

/// `GET /admin/console/session`: what the console begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleSession {
    /// Whether people can sign in by a provider.
    pub single_sign_on: bool,
    /// Who has, in this browser.
    pub session: Option<Session>,
}
