//! `OpenAI`'s own bytes, with the cost put into the usage and nothing else changed.

use bytes::{BufMut, Bytes, BytesMut};
use farebox_core::{ChatEvent, Error, Frame};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{error_object, one_line};
use crate::dialect::{Answer, Opening, StreamWriter, cost_object, data, frame};
use crate::reply::Paid;

/// What is looked for in a body or a chunk.
#[derive(Deserialize)]
struct Looked<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    choices: Option<Vec<IgnoredAny>>,
}

/// What stands in every chunk but the last where the usage was asked for.
const NO_USAGE: &str = ",\"usage\":null";

/// The body with the cost beside the counts. One without a usage object stays as it is.
pub(in crate::dialect) fn with_cost(body: &Bytes, paid: &Paid) -> Bytes {
    insert_cost(body, paid).unwrap_or_else(|| body.clone())
}

fn insert_cost(body: &[u8], paid: &Paid) -> Option<Bytes> {
    let looked: Looked<'_> = serde_json::from_slice(body).ok()?;
    let usage = looked.usage?.get();
    let inside = usage.strip_suffix('}')?;
    // The usage is a part of the body, so its place is the distance of their addresses.
    let start = usage.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    let end = start.checked_add(inside.len())?;
    let (before, after) = body.split_at_checked(end)?;
    let comma = if inside.trim_end().ends_with('{') { "" } else { "," };
    let cost = format!("{comma}\"cost\":{}", cost_object(paid));
    let mut out = BytesMut::with_capacity(body.len().saturating_add(cost.len()));
    out.put_slice(before);
    out.put_slice(cost.as_bytes());
    out.put_slice(after);
    Some(out.freeze())
}

/// Passes on the provider's own chunks. The usage waits for the books, and is left out where the
/// caller did not ask for it, because Farebox did.
pub(in crate::dialect) struct Frames {
    opening: Opening,
    /// What a chunk is called.
    object: &'static str,
    id: String,
    model: String,
    /// Ends of choices that no chunk has told yet.
    ends: Vec<(u32, String)>,
    has_usage: bool,
    usage: Option<Frame>,
    done: bool,
    failed: bool,
}

impl Frames {
    pub(in crate::dialect) const fn new(opening: Opening, object: &'static str) -> Self {
        Self {
            opening,
            object,
            id: String::new(),
            model: String::new(),
            ends: Vec::new(),
            has_usage: false,
            usage: None,
            done: false,
            failed: false,
        }
    }

    fn pass(&mut self, passed: &Frame, out: &mut Vec<u8>) {
        self.ends.clear();
        if std::mem::take(&mut self.has_usage) {
            let looked = serde_json::from_str::<Looked<'_>>(&passed.data);
            if looked.is_ok_and(|chunk| chunk.choices.is_none_or(|choices| choices.is_empty())) {
                self.usage = Some(passed.clone());
                return;
            }
        }
        // It stands there because Farebox asks for the usage. Quotes inside a text are escaped,
        // so it is never content.
        match passed.data.split_once(NO_USAGE).filter(|_| !self.opening.include_usage) {
            Some((before, after)) => {
                let data = [before, after].concat().into();
                frame(&Frame { name: passed.name.clone(), data }, out);
            }
            None => frame(passed, out),
        }
    }
}

impl StreamWriter for Frames {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Start { id, model } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            ChatEvent::Finish { choice, reason } => self.ends.push((*choice, reason.clone())),
            ChatEvent::Usage(_) => self.has_usage = true,
            ChatEvent::Done => self.done = true,
            ChatEvent::Failed { .. } => self.failed = true,
            ChatEvent::Frame(passed) if !self.failed && !self.done => self.pass(passed, out),
            ChatEvent::Frame(_) | ChatEvent::Delta { .. } => {}
        }
    }

    fn last(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        // Choices that Farebox ended, because its budgets hold no more for them.
        for (choice, reason) in std::mem::take(&mut self.ends) {
            // What both kinds of chunks have; the readers of each skip the other's.
            let chunk = json!({
                "id": self.id, "object": self.object,
                "created": self.opening.created, "model": self.model,
                "choices": [
                    {"index": choice, "delta": {}, "text": "", "finish_reason": reason},
                ],
            });
            data(&chunk, out);
        }
        if let Some(usage) = self.usage.take().filter(|_| self.opening.include_usage) {
            let bytes = Bytes::copy_from_slice(one_line(&usage.data).as_bytes());
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&with_cost(&bytes, answer.paid));
            out.extend_from_slice(b"\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn failed(&mut self, error: &Error, _: &Answer<'_>, out: &mut Vec<u8>) {
        let error: Value = error_object(error);
        data(&error, out);
    }
}

#[cfg(test)]
mod tests {
    use farebox_core::{Money, Rid, Timestamp};

    use super::*;

    fn paid() -> Paid {
        Paid {
            request_id: Rid::new(Timestamp::from_ms(1), 1),
            provider: "demo",
            cost: None,
            charged: Money::ONE_PICO,
            response_time_ms: 1,
        }
    }

    #[test]
    fn a_body_keeps_every_byte_but_for_its_cost() {
        let cost = cost_object(&paid());
        for (usage, wanted) in [
            ("{ \"n\" : 1.50 }", format!("{{ \"n\" : 1.50 ,\"cost\":{cost}}}")),
            ("{}", format!("{{\"cost\":{cost}}}")),
            ("null", "null".to_owned()),
        ] {
            let of = |usage: &str| {
                format!("{{\"choices\":[{{\"e\":1e2}}], \"usage\": {usage} ,\"z\":\"\\u00e9\"}}")
            };
            let body = Bytes::from(of(usage));
            assert_eq!(with_cost(&body, &paid()), of(&wanted));
        }
        assert_eq!(with_cost(&Bytes::from_static(b"[]"), &paid()), "[]");
    }
}
