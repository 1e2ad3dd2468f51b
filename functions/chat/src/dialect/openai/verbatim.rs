//! The provider's own bytes with the cost put into the usage, and nothing else changed but what a
//! reader of the format needs and does not find.

use std::borrow::Cow;

use bytes::Bytes;
use farebox_core::{ChatEvent, Error, Frame};
use farebox_providers::Object;
use serde_json::{Map, Value, json};

use super::{error_object, one_line};
use crate::dialect::{Answer, Opening, StreamWriter, cost_object, data, frame, usage_object};
use crate::reply::Paid;

/// What stands in every chunk but the last where the usage was asked for.
const NO_USAGE: &str = ",\"usage\":null";

/// The body with the cost beside the counts.
pub(in crate::dialect) fn with_cost(body: &Bytes, paid: &Paid) -> Bytes {
    let Some(mut object) = read(body) else { return body.clone() };
    if is_paid(&mut object, None, paid) { Bytes::from(object.text()) } else { body.clone() }
}

fn read(body: &Bytes) -> Option<Object<'_>> {
    Object::read(str::from_utf8(body).ok()?)
}

/// The body of a chat or of a legacy completion with the cost, and with what every such body has.
pub(in crate::dialect) fn whole(
    body: &Bytes,
    answer: &Answer<'_>,
    object: &str,
    id: &str,
) -> Bytes {
    let Some(mut whole) = read(body) else { return body.clone() };
    let named = Named { object, id, model: &answer.completion.model, created: answer.created };
    named.fill(&mut whole);
    is_paid(&mut whole, answer.usage.map(usage_object), answer.paid);
    Bytes::from(whole.text())
}

/// What every body and every chunk says of itself. A provider may leave it out.
struct Named<'a> {
    object: &'a str,
    id: &'a str,
    model: &'a str,
    created: i64,
}

impl Named<'_> {
    const FIELDS: [&'static str; 4] = ["id", "object", "created", "model"];

    fn fill(&self, object: &mut Object<'_>) {
        for field in Self::FIELDS {
            if object.get(field).is_some_and(|value| value != "\"\"") {
                continue;
            }
            let value = match field {
                "id" => Value::from(self.id),
                "object" => Value::from(self.object),
                "model" => Value::from(self.model),
                _ => Value::from(self.created),
            };
            object.set(field, value.to_string());
        }
    }
}

/// Puts the cost into the usage, and its counts right where they are not what `OpenAI`'s mean: some
/// leave reasoning out. A cost of the provider's own stays under another name. `false` where there
/// is no usage.
fn is_paid(object: &mut Object<'_>, read: Option<Value>, paid: &Paid) -> bool {
    let came = object.get("usage").map(str::to_owned);
    let cost = cost_object(paid);
    let usage = match (came.as_deref().and_then(Object::read), read) {
        (Some(mut usage), read) => {
            put_right(&mut usage, read.as_ref().and_then(Value::as_object));
            if let Some(stated) = usage.get("cost").map(str::to_owned) {
                usage.set("provider_cost", stated);
            }
            usage.set("cost", cost.to_string());
            usage.text()
        }
        // It may stand elsewhere: Groq's in a part of its own.
        (None, Some(Value::Object(mut usage))) => {
            usage.insert("cost".to_owned(), cost);
            Value::from(usage).to_string()
        }
        (None, _) => return false,
    };
    object.set("usage", usage);
    true
}

/// Sets the counts that differ from what was read. One that is missing counts as 0.
fn put_right(came: &mut Object<'_>, read: Option<&Map<String, Value>>) {
    for (name, count) in read.into_iter().flatten() {
        let (told, wanted) = (came.get(name).unwrap_or("0"), count.to_string());
        if let Value::Object(details) = count {
            let text = told.to_owned();
            let none = Object::read("{}");
            if let Some(mut inner) = Object::read(&text).or(none) {
                let before = inner.text();
                put_right(&mut inner, Some(details));
                let after = inner.text();
                if after != before {
                    came.set(name, after);
                }
            }
        } else if told != wanted && !(told == "null" && *count == 0) {
            came.set(name, wanted);
        }
    }
}

/// Passes on the provider's own chunks. The usage waits for the books, and is left out where the
/// caller did not ask for it, because Farebox did.
pub(in crate::dialect) struct Frames {
    opening: Opening,
    /// What a chunk is called.
    object: &'static str,
    /// What a chunk without an id has.
    id: String,
    model: String,
    /// Whether the chunks leave out what each must say of itself; known with the first.
    lacks: Option<bool>,
    /// A chunk before the answer has a name. Azure tells what it found in the prompt first.
    early: Option<Frame>,
    /// The answer has begun.
    begun: bool,
    /// Ends of choices that no chunk has told yet.
    ends: Vec<(u32, String)>,
    /// The last chunk with counts.
    usage: Option<Box<str>>,
    done: bool,
    failed: bool,
}

impl Frames {
    pub(in crate::dialect) const fn new(
        opening: Opening,
        object: &'static str,
        id: String,
    ) -> Self {
        Self {
            opening,
            object,
            id,
            model: String::new(),
            lacks: None,
            early: None,
            begun: false,
            ends: Vec::new(),
            usage: None,
            done: false,
            failed: false,
        }
    }

    fn named(&self) -> Named<'_> {
        let created = self.opening.created;
        Named { object: self.object, id: &self.id, model: &self.model, created }
    }

    fn pass(&mut self, passed: &Frame, out: &mut Vec<u8>) {
        self.ends.clear();
        if passed.data.trim().is_empty() {
            return;
        }
        if !self.begun && self.early.is_none() {
            self.early = Some(passed.clone());
            return;
        }
        if let Some(early) = self.early.take()
            && let Some(mut chunk) = Object::read(&early.data)
        {
            self.named().fill(&mut chunk);
            frame(&Frame { name: early.name, data: chunk.text().into() }, out);
        }
        if let Some(data) = self.told(&passed.data) {
            frame(&Frame { name: passed.name.clone(), data: data.into() }, out);
        }
    }

    /// A chunk as the caller gets it; `None` where it waits for the end.
    fn told<'d>(&mut self, data: &'d str) -> Option<Cow<'d, str>> {
        let lacks = |data: &str| {
            let chunk = Object::read(data);
            chunk.is_some_and(|chunk| Named::FIELDS.iter().any(|field| chunk.get(field).is_none()))
        };
        let lacks = *self.lacks.get_or_insert_with(|| lacks(data));
        // It stands there because Farebox asks for the usage. Quotes inside a text are escaped,
        // so it is never content.
        match data.split_once(NO_USAGE).filter(|_| !lacks) {
            Some(_) if self.opening.include_usage => return Some(data.into()),
            Some((before, after)) => return Some([before, after].concat().into()),
            None => {}
        }
        let counts = data.contains("\"usage\"");
        let Some(mut chunk) = Object::read(data).filter(|_| lacks || counts) else {
            return Some(data.into());
        };
        if lacks {
            self.named().fill(&mut chunk);
        }
        let is_null = |usage: &str| usage == "null";
        if chunk.get("usage").is_some_and(|usage| !is_null(usage)) {
            self.usage = Some(chunk.text().into());
            if is_empty(&chunk) {
                return None;
            }
            // Its place is the end.
            chunk.set("usage", "null".to_owned());
        }
        if !self.opening.include_usage {
            chunk.remove("usage");
        }
        Some(chunk.text().into())
    }

    /// The chunk of the usage, which is the last.
    fn usage(&mut self, answer: &Answer<'_>) -> Option<String> {
        let came = self.usage.take();
        let none = || answer.usage.and_then(|_| Object::read("{}"));
        let mut chunk = came.as_deref().and_then(Object::read).or_else(none)?;
        self.named().fill(&mut chunk);
        if !is_empty(&chunk) || chunk.get("choices").is_none() {
            chunk.set("choices", "[]".to_owned());
        }
        is_paid(&mut chunk, answer.usage.map(usage_object), answer.paid);
        Some(chunk.text())
    }
}

/// Whether a chunk has no choices.
fn is_empty(chunk: &Object<'_>) -> bool {
    chunk.get("choices").is_none_or(|choices| {
        let inside = choices.strip_prefix('[').and_then(|inside| inside.strip_suffix(']'));
        inside.is_none_or(|inside| inside.trim().is_empty())
    })
}

impl StreamWriter for Frames {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Start { id, model } => {
                self.begun = true;
                if !id.is_empty() {
                    self.id.clone_from(id);
                }
                self.model.clone_from(model);
            }
            ChatEvent::Finish { choice, reason } => self.ends.push((*choice, reason.clone())),
            ChatEvent::Done => self.done = true,
            ChatEvent::Failed { .. } => self.failed = true,
            ChatEvent::Frame(passed) if !self.failed && !self.done => self.pass(passed, out),
            ChatEvent::Frame(_) | ChatEvent::Delta { .. } | ChatEvent::Usage(_) => {}
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
        if self.opening.include_usage
            && let Some(chunk) = self.usage(answer)
        {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(one_line(&chunk).as_bytes());
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
    use std::sync::Arc;

    use farebox_core::{Completion, Money, Rid, Timestamp, Usage};

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

    fn answered<T>(usage: Option<&Usage>, told: impl FnOnce(&Answer<'_>) -> T) -> T {
        let completion = Completion { model: "m".to_owned(), ..Completion::default() };
        let (paid, repeated) = (paid(), Arc::default());
        told(&Answer {
            completion: &completion,
            verbatim: None,
            usage,
            paid: &paid,
            tier: None,
            repeated: &repeated,
            created: 7,
        })
    }

    #[test]
    fn a_body_keeps_every_byte_but_for_its_cost() {
        let cost = cost_object(&paid());
        for (usage, wanted) in [
            ("{ \"n\" : 1.50 }", format!("{{ \"n\" : 1.50,\"cost\":{cost} }}")),
            ("{}", format!("{{\"cost\":{cost}}}")),
            ("null", "null".to_owned()),
            ("{\"cost\": 0.10}", format!("{{\"cost\": {cost},\"provider_cost\":0.10}}")),
        ] {
            let of = |usage: &str| {
                format!("{{\"choices\":[{{\"e\":1e2}}], \"usage\": {usage} ,\"z\":\"\\u00e9\"}}")
            };
            let body = Bytes::from(of(usage));
            assert_eq!(with_cost(&body, &paid()), of(&wanted));
        }
        assert_eq!(with_cost(&Bytes::from_static(b"[]"), &paid()), "[]");
    }

    #[test]
    fn counts_are_put_right_and_what_is_beside_them_stays() {
        let usage = Usage { prompt: 3, completion: 2, reasoning: 4, ..Usage::default() };
        let came = "{\"prompt_tokens\": 3,\"completion_tokens\":2,\"total_tokens\":9,\
                    \"prompt_tokens_details\":null,\"search_context_size\":\"low\"}";
        let body = Bytes::from(format!("{{\"citations\":[\"u\"],\"usage\":{came}}}"));

        let told = answered(Some(&usage), |answer| whole(&body, answer, "o", "i"));

        let told: Value = serde_json::from_slice(&told).unwrap();
        let read = usage_object(&usage);
        for field in ["prompt_tokens", "completion_tokens", "total_tokens"] {
            assert_eq!(told["usage"][field], read[field], "{field}");
        }
        assert_eq!(told["usage"]["completion_tokens_details"]["reasoning_tokens"], 4);
        assert_eq!(told["usage"]["search_context_size"], "low");
        assert_eq!(told["citations"], json!(["u"]));
        let named = json!([told["id"], told["object"], told["model"], told["created"]]);
        assert_eq!(named, json!(["i", "o", "m", 7]));
    }

    fn streamed(include_usage: bool, chunks: &[&str]) -> String {
        let opening = Opening {
            request_id: paid().request_id,
            created: 7,
            include_usage,
            verbatim: true,
            repeated: Arc::default(),
        };
        let mut frames = Frames::new(opening, "o", "made-up".to_owned());
        let mut out = Vec::new();
        let start = ChatEvent::Start { id: String::new(), model: "m".to_owned() };
        frames.event(&start, &mut out);
        for chunk in chunks {
            let frame = Frame { name: "".into(), data: (*chunk).into() };
            frames.event(&ChatEvent::Frame(frame), &mut out);
        }
        let usage = Usage { prompt: 3, completion: 2, ..Usage::default() };
        answered(Some(&usage), |answer| frames.last(answer, &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn counts_inside_a_chunk_wait_for_the_end() {
        let named = "\"id\":\"a\",\"object\":\"o\",\"created\":1,\"model\":\"m\"";
        let piece = format!("{{{named},\"choices\":[{{\"e\":1.50}}],\"odd\": 1e2");
        let counts =
            "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,\"k\":1}";
        let chunk = format!("{piece},{counts}}}");

        let asked = streamed(true, &[&chunk]);
        let not = streamed(false, &[&chunk]);

        assert_eq!(not, format!("data: {piece}}}\n\ndata: [DONE]\n\n"));
        let cost = cost_object(&paid());
        let paid = counts.replace("\"k\":1", &format!("\"k\":1,\"cost\":{cost}"));
        let last = format!("{{{named},\"choices\":[],\"odd\": 1e2,{paid}}}");
        let expected =
            format!("data: {piece},\"usage\":null}}\n\ndata: {last}\n\ndata: [DONE]\n\n");
        assert_eq!(asked, expected);
    }

    #[test]
    fn a_chunk_without_a_name_gets_one_and_an_empty_one_is_left_out() {
        let told = streamed(true, &["", "{\"choices\":[{}],\"id\":\"a\"}"]);
        let mut chunks = told.split("\n\n").map(|chunk| chunk.trim_start_matches("data: "));

        let first: Value = serde_json::from_str(chunks.next().unwrap()).unwrap();
        assert_eq!((&first["id"], &first["object"]), (&json!("a"), &json!("o")));
        let last: Value = serde_json::from_str(chunks.next().unwrap()).unwrap();
        assert_eq!((&last["usage"]["prompt_tokens"], &last["id"]), (&json!(3), &json!("made-up")));
    }

    #[test]
    fn what_comes_before_the_answer_waits_for_its_name() {
        let opening = Opening {
            request_id: paid().request_id,
            created: 7,
            include_usage: false,
            verbatim: true,
            repeated: Arc::default(),
        };
        let mut frames = Frames::new(opening, "o", String::new());
        let frame = |data: &str| ChatEvent::Frame(Frame { name: "".into(), data: data.into() });
        let mut out = Vec::new();
        frames
            .event(&frame("{\"id\":\"\",\"object\":\"\",\"created\":0,\"model\":\"\"}"), &mut out);
        assert!(out.is_empty());
        let start = ChatEvent::Start { id: "a".to_owned(), model: "m".to_owned() };
        frames.event(&start, &mut out);

        frames.event(&frame("{\"id\":\"a\"}"), &mut out);

        let early = "data: {\"id\":\"a\",\"object\":\"o\",\"created\":0,\"model\":\"m\"}\n\n";
        assert!(String::from_utf8(out).unwrap().starts_with(early));
    }
}
