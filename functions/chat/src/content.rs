//! The content log: what a request and its answer said, kept where the owner switched it on.

use std::time::Duration;

use bytes::Bytes;
use farebox_aws::KeyItem;
use farebox_core::{EntityId, Error, Rid};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::gate::Gate;
use crate::incoming::Incoming;
use crate::relay::Exchange;

/// Longer content is not kept: its pieces would take what one partition writes in seconds.
const CONTENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long keeping it may hold up the last byte.
const KEEPING: Duration = Duration::from_secs(5);

/// What is to be kept of a call.
pub struct Wanted {
    user: EntityId,
    days: u32,
    request: Bytes,
}

/// As it is kept.
#[derive(Serialize)]
struct Content<'a> {
    endpoint: &'a str,
    request: &'a RawValue,
    answer: &'a [Value],
    error: Option<String>,
}

impl Wanted {
    /// Whether the key's owner wants the content of this request.
    #[must_use]
    pub fn of(key: &KeyItem, incoming: &Incoming) -> Option<Self> {
        let request = incoming.body.clone();
        let wanted = Self { user: key.user.clone(), days: key.content_days, request };
        (wanted.days > 0).then_some(wanted)
    }
}

/// Keeps what was said. A failure is counted and changes nothing else.
pub async fn keep(gate: &Gate, wanted: Option<&Wanted>, rid: Rid, path: &str, said: &Exchange) {
    let Some(wanted) = wanted else { return };
    let keep = async {
        let request = serde_json::from_slice(&wanted.request).map_err(Error::internal)?;
        let content = Content {
            endpoint: path,
            request,
            answer: &said.completion.choices,
            error: said.error.as_ref().map(ToString::to_string),
        };
        let plain = serde_json::to_vec(&content).map_err(Error::internal)?;
        if plain.len() > CONTENT_BYTES_MAX {
            return Err(Error::internal("longer than 8 MiB"));
        }
        let pepper = gate.directory.pepper().await?;
        gate.contents.keep(&wanted.user, rid, wanted.days, &plain, &pepper).await?;
        Ok(())
    };
    let kept = tokio::time::timeout(KEEPING, keep).await;
    let lost = match &kept {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.cause(),
        Err(_) => "it took too long",
    };
    tracing::error!(metric = "content_lost", %rid, lost, "the content of a call is not kept");
}
