//! The description of the API, generated from the types by a test (`tests/api/openapi.rs`).

use crate::Gate;
use crate::call::Call;
use crate::reply::{Answer, Refusal};

/// `docs/openapi.json`.
pub const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// `GET /admin/v1/openapi.json`
pub async fn show(_: &Gate, _: &Call) -> Result<Answer, Refusal> {
    Ok(Answer::document(DOCUMENT))
}
