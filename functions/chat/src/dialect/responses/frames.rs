//! The provider's own events, passed on; only the last waits for the books.

use farebox_core::{ChatEvent, Error, Frame};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::write::part;
use super::{Shape, failure, usage_object};
use crate::dialect::{Answer, Opening, StreamWriter, cost_comment, frame, named};

/// The most of a stream that is kept for its end, should Farebox end it: an answer of 128,000
/// tokens has half of it.
const KEPT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Passes events on, and remembers what a stream that is ended here must still be told.
pub(super) struct Frames {
    opening: Opening,
    /// Events that were passed on.
    sequence: u64,
    /// The response as the provider began it.
    begun: Option<Box<str>>,
    /// Items that are complete.
    output: Vec<Value>,
    /// The item that is not, and its text so far.
    open: Option<(Value, String)>,
    /// The bytes that both were made of.
    kept: usize,
    done: bool,
    failed: bool,
    last: Option<Frame>,
}

#[derive(Deserialize)]
struct ItemEvent {
    item: Value,
}

#[derive(Deserialize)]
struct TextEvent {
    delta: String,
}

impl Frames {
    pub(super) const fn new(opening: Opening) -> Self {
        Self {
            opening,
            sequence: 0,
            begun: None,
            output: Vec::new(),
            open: None,
            kept: 0,
            done: false,
            failed: false,
            last: None,
        }
    }

    fn pass(&mut self, passed: &Frame, out: &mut Vec<u8>) {
        let is_kept = self.kept.saturating_add(passed.data.len()) <= KEPT_BYTES_MAX;
        match &*passed.name {
            "response.output_item.done" if !is_kept => self.open = None,
            _ if !is_kept => {}
            "response.created" => self.begun = Some(passed.data.clone()),
            "response.output_item.added" => {
                let event = serde_json::from_str::<ItemEvent>(&passed.data);
                self.open = event.ok().map(|event| (event.item, String::new()));
            }
            "response.output_item.done" => {
                self.open = None;
                self.kept = self.kept.saturating_add(passed.data.len());
                let event = serde_json::from_str::<ItemEvent>(&passed.data);
                self.output.extend(event.map(|event| event.item));
            }
            "response.output_text.delta" | "response.function_call_arguments.delta" => {
                if let (Some((_, text)), Ok(event)) =
                    (&mut self.open, serde_json::from_str::<TextEvent>(&passed.data))
                {
                    text.push_str(&event.delta);
                    self.kept = self.kept.saturating_add(event.delta.len());
                }
            }
            _ => {}
        }
        self.sequence = self.sequence.saturating_add(1);
        frame(passed, out);
    }

    fn emit(&mut self, kind: &str, mut event: Map<String, Value>, out: &mut Vec<u8>) {
        event.insert("type".to_owned(), Value::from(kind));
        event.insert("sequence_number".to_owned(), Value::from(self.sequence));
        self.sequence = self.sequence.saturating_add(1);
        named(kind, &Value::Object(event), out);
    }

    /// Ends the item that is open, because no more of it comes.
    fn close(&mut self, out: &mut Vec<u8>) {
        let Some((mut item, text)) = self.open.take() else { return };
        let place = self.output.len();
        let mut at = Map::new();
        at.insert("output_index".to_owned(), Value::from(place));
        let Some(fields) = item.as_object_mut() else { return };
        fields.insert("status".to_owned(), Value::from("incomplete"));
        if fields.contains_key("arguments") {
            fields.insert("arguments".to_owned(), Value::from(text));
        } else if !text.is_empty() {
            let part = part("text", &text);
            let mut event = at.clone();
            event.insert("item_id".to_owned(), fields.get("id").cloned().unwrap_or_default());
            event.insert("content_index".to_owned(), Value::from(0));
            let mut done = event.clone();
            done.insert("text".to_owned(), Value::from(text));
            done.insert("logprobs".to_owned(), json!([]));
            self.emit("response.output_text.done", done, out);
            event.insert("part".to_owned(), part.clone());
            self.emit("response.content_part.done", event, out);
            fields.insert("content".to_owned(), json!([part]));
        }
        at.insert("item".to_owned(), item.clone());
        self.emit("response.output_item.done", at, out);
        self.output.push(item);
    }

    /// The response as the provider began it, ended here.
    fn ended(&mut self, status: &str, answer: &Answer<'_>) -> Map<String, Value> {
        let begun = self.begun.take().and_then(|data| serde_json::from_str::<Value>(&data).ok());
        let begun = begun.and_then(|mut event| event.get_mut("response").map(Value::take));
        let fresh = || {
            let shape = Shape {
                repeated: &self.opening.repeated,
                request_id: self.opening.request_id,
                created: self.opening.created,
                model: &answer.completion.model,
                status,
                output: Vec::new(),
                incomplete: None,
                error: Value::Null,
                tier: "default",
                usage: Value::Null,
            };
            shape.into_value()
        };
        let Value::Object(mut response) = begun.unwrap_or_else(fresh) else { return Map::new() };
        response.insert("status".to_owned(), Value::from(status));
        response.insert("output".to_owned(), Value::from(core::mem::take(&mut self.output)));
        response.insert("usage".to_owned(), usage_object(answer));
        response
    }

    fn end(&mut self, kind: &str, response: Map<String, Value>, out: &mut Vec<u8>) {
        let mut event = Map::new();
        event.insert("response".to_owned(), Value::Object(response));
        self.emit(kind, event, out);
    }
}

impl StreamWriter for Frames {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Done => self.done = true,
            ChatEvent::Failed { .. } => self.failed = true,
            ChatEvent::Frame(_) if self.failed => {}
            ChatEvent::Frame(passed) if self.done => {
                self.last.get_or_insert_with(|| passed.clone());
            }
            ChatEvent::Frame(passed) => self.pass(passed, out),
            ChatEvent::Start { .. }
            | ChatEvent::Delta { .. }
            | ChatEvent::Finish { .. }
            | ChatEvent::Usage(_) => {}
        }
    }

    fn last(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        if let Some(last) = self.last.take() {
            cost_comment(answer.paid, out);
            return frame(&last, out);
        }
        // Farebox ended the stream, because its budgets hold no more for it.
        self.close(out);
        cost_comment(answer.paid, out);
        let mut response = self.ended("incomplete", answer);
        let why = json!({"reason": "max_output_tokens"});
        response.insert("incomplete_details".to_owned(), why);
        self.end("response.incomplete", response, out);
    }

    fn failed(&mut self, error: &Error, answer: &Answer<'_>, out: &mut Vec<u8>) {
        let mut response = self.ended("failed", answer);
        response.insert("error".to_owned(), failure(error));
        self.end("response.failed", response, out);
    }
}
