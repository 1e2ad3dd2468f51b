//! Routes: names that stand for several models.

use serde::{Deserialize, Serialize};

/// One route. `PUT /admin/v1/routes/{name}` takes the content of `spec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Route {
    /// What calls write as their model.
    pub name: String,
    /// For `If-Match`: the text of its `ETag`, without the quotes.
    pub version: String,
    /// Its targets, and how they are tried.
    pub spec: serde_json::Value,
    /// What stands in the way of calls to a target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `GET /admin/v1/routes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteList {
    /// By name.
    pub routes: Vec<Route>,
    /// Where the next page begins: `?cursor=`.
    pub next_cursor: Option<String>,
}
