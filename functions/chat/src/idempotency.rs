//! `Idempotency-Key`: a caller whose answer got lost asks again and does not pay again
//! (money.md 3.10).

use std::time::Duration;

use bytes::Bytes;
use farebox_aws::{KeyItem, Sealer};
use farebox_core::Error;
use farebox_ledger::{Claim, Found};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gate::Gate;
use crate::incoming::Incoming;
use crate::reply::ReplyBody;

const HEADER: &str = "idempotency-key";
/// Stripe's bound, which clients know.
const KEY_CHARS_MAX: usize = 255;
/// How long a repeat waits for the call that it repeats.
const PATIENCE_MS: i64 = 10_000;
/// Between two looks at that call: at first, and at most.
const LOOK_MS: (u64, u64) = (100, 1_000);
/// A longer answer is not kept. With its four parts of base64 it is well within what one
/// partition of DynamoDB takes in a second.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long keeping the answer may hold up its last byte: the claim then stays as it is.
const KEEPING: Duration = Duration::from_secs(5);
/// Tells a caller that the answer was kept, and cost nothing more.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What a request may do under its key.
pub enum Claimed {
    /// Run; the claim, where it has a key, is to be ended.
    Ours(Option<Claim>),
    /// Nothing: it ran before, and this is its answer.
    Answered(Response<ReplyBody>),
}

/// Claims the request's key, where it has one, before any money is touched. A repeat of a call
/// that is under way waits for it.
///
/// # Errors
/// 400 names the header; 409 where the call is under way or its outcome or answer is not known;
/// 422 where the key was another request's; 503 where the claim cannot be written.
pub async fn claim(gate: &Gate, incoming: &Incoming, key: &KeyItem) -> Result<Claimed, Error> {
    let Some(given) = incoming.headers.get(HEADER) else { return Ok(Claimed::Ours(None)) };
    let given = given.to_str().unwrap_or_default();
    let is_plain = (1..=KEY_CHARS_MAX).contains(&given.len());
    if !is_plain || !given.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        let rule = "send 1 to 255 printable ASCII characters, such as a UUID";
        return Err(Error::malformed(HEADER, rule));
    }
    let pepper = gate.directory.pepper().await?;
    let sealer = Sealer::new(&pepper);
    let hash = sealer.digest("idempotency-key", &[given.as_bytes()])?;
    let (method, path) = (incoming.method.as_str().as_bytes(), incoming.path.as_bytes());
    let (body, query) = (canonical(&incoming.body), query(&incoming.query));
    let fingerprint = sealer.digest("request", &[method, path, &body, &query])?;
    let tenant = &gate.aws.config().tenant;
    let claim = Claim::new(tenant, &key.user, &hash, incoming.request_id, fingerprint);
    let mut look = LOOK_MS.0;
    loop {
        match gate.replies.claim(&claim, incoming.ends_at).await? {
            None => return Ok(Claimed::Ours(Some(claim))),
            Some(Found::Done(rid, parts)) => {
                let reply = gate.replies.read(&claim, rid, parts, &pepper).await?;
                let reply = reply.ok_or(Error::ReplyNotKept { request_id: rid })?;
                tracing::info!(%rid, metric = "replayed", "an answer was sent again");
                return replay(&reply).map(Claimed::Answered);
            }
            Some(Found::Reused) => return Err(Error::IdempotencyKeyReused),
            Some(Found::Unknown(request_id)) => return Err(Error::OutcomeUnknown { request_id }),
            Some(Found::NotKept(request_id)) => return Err(Error::ReplyNotKept { request_id }),
            Some(Found::InFlight) => {
                if gate.aws.now().since(incoming.started_at) >= PATIENCE_MS {
                    return Err(Error::RequestInFlight);
                }
            }
            Some(Found::Own | Found::Expired) => {}
        }
        tokio::time::sleep(Duration::from_millis(look)).await;
        look = look.saturating_mul(2).min(LOOK_MS.1);
    }
}

/// Gives up a claim whose call was refused before anything was sent.
pub async fn release(gate: &Gate, claim: Option<&Claim>) {
    let Some(claim) = claim else { return };
    if let Err(error) = gate.replies.release(claim).await {
        tracing::warn!(metric = "claim_kept", rid = %claim.rid, %error, "its key stays taken");
    }
}

/// Ends a claim as its call ended, before the last byte: a caller who has it never pays again.
/// Only one of which no attempt was charged gives its key back.
pub async fn end(gate: &Gate, claim: Option<&Claim>, is_paid: bool, reply: Option<Vec<u8>>) {
    let Some(claim) = claim else { return };
    if !is_paid {
        return release(gate, Some(claim)).await;
    }
    let keep = async {
        let pepper = gate.directory.pepper().await?;
        gate.replies.keep(claim, reply.as_deref(), &pepper).await
    };
    let rid = claim.rid;
    match tokio::time::timeout(KEEPING, keep).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(metric = "reply_lost", %rid, %error, "a repeat will not be answered");
        }
        Err(_) => tracing::error!(metric = "reply_lost", %rid, "keeping it took too long"),
    }
}

/// The body whatever the order of its fields, so that a client may write it anew.
fn canonical(body: &Bytes) -> Bytes {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            value.sort_all_objects();
            Bytes::from(value.to_string())
        }
        // It is refused later, and its claim with it.
        Err(_) => body.clone(),
    }
}

/// The query whatever the order of its names: Gemini's `alt=sse` asks for another form of the
/// answer.
fn query(pairs: &[(String, String)]) -> Vec<u8> {
    let mut pairs: Vec<_> = pairs.iter().collect();
    pairs.sort();
    Value::from_iter(pairs.into_iter().map(|(name, value)| vec![name.as_str(), value]))
        .to_string()
        .into_bytes()
}

/// What a caller is sent, from its status to its last byte.
#[derive(Default)]
pub struct Recording {
    head: Head,
    body: Vec<u8>,
    is_too_long: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Recording {
    /// The answer begins.
    pub fn open(&mut self, status: StatusCode, headers: &HeaderMap) {
        let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
        let headers =
            headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
        self.head = Head { status: status.as_u16(), headers: headers.collect() };
    }

    /// More of its body.
    pub fn body(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.body.len().saturating_add(bytes.len()) > REPLY_BYTES_MAX;
        if self.is_too_long {
            self.body = Vec::new();
        } else {
            self.body.extend_from_slice(bytes);
        }
    }

    /// One line of JSON, then the body; `None` where it is too long.
    #[must_use]
    pub fn encode(self) -> Option<Vec<u8>> {
        if self.is_too_long {
            return None;
        }
        let mut whole = serde_json::to_vec(&self.head).ok()?;
        whole.push(b'\n');
        whole.extend(self.body);
        Some(whole)
    }
}

/// The recorded answer, said again.
fn replay(recorded: &[u8]) -> Result<Response<ReplyBody>, Error> {
    let broken = || Error::internal("a kept answer is not readable");
    let end = recorded.iter().position(|byte| *byte == b'\n').ok_or_else(broken)?;
    let (head, body) = recorded.split_at_checked(end).ok_or_else(broken)?;
    let head: Head = serde_json::from_slice(head).map_err(Error::internal)?;
    let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
    let mut response = Response::new(ReplyBody::Whole(Some(body)));
    *response.status_mut() = StatusCode::from_u16(head.status).map_err(Error::internal)?;
    let headers = response.headers_mut();
    for (name, value) in head.headers {
        let name: HeaderName = name.parse().map_err(Error::internal)?;
        headers.append(name, value.parse().map_err(Error::internal)?);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_said_again_as_it_was() {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("01K"));
        let mut recording = Recording::default();
        recording.open(StatusCode::GATEWAY_TIMEOUT, &headers);
        recording.body(b"data: a\n\n");
        recording.body(b"data: b\n\n");

        let again = replay(&recording.encode().unwrap()).unwrap();

        assert_eq!(again.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(again.headers()["x-request-id"], "01K");
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        let ReplyBody::Whole(Some(body)) = again.into_body() else { panic!("no body") };
        assert_eq!(body, "data: a\n\ndata: b\n\n");
    }

    #[test]
    fn an_answer_that_is_too_long_is_not_kept_in_part() {
        let mut recording = Recording::default();
        recording.body(&vec![b'x'; REPLY_BYTES_MAX]);
        recording.body(b"x");
        recording.body(b"the end");

        assert_eq!(recording.encode(), None);
    }

    #[test]
    fn the_order_of_fields_makes_no_other_request() {
        let first = canonical(&Bytes::from(r#"{"a": 1, "b": {"c": [1, 2], "d": null}}"#));

        let same = canonical(&Bytes::from(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#));
        assert_eq!(same, first);
        let other = canonical(&Bytes::from(r#"{"b":{"d":null,"c":[2,1]},"a":1}"#));
        assert_ne!(other, first);
        assert_eq!(canonical(&Bytes::from("{")), "{");
    }
}
