//! Answers as responses, from the common shape: whole, and as the sequence of events.

use std::collections::{BTreeMap, HashMap};

use farebox_core::{ChatEvent, Error};
use serde_json::{Map, Value, json};

use super::tools::{self, Tool};
use super::{Shape, failure, usage_object};
use crate::dialect::{Answer, Opening, StreamWriter, cost_comment, named, sources, tier_of_openai};

mod shapes;

pub(super) use shapes::part;
use shapes::{free_text, message, sealed, with};

/// A whole answer: what the events of a stream would have put together.
pub(super) fn whole(answer: &Answer<'_>) -> Value {
    let opening = Opening {
        request_id: answer.paid.request_id,
        created: answer.created,
        include_usage: false,
        verbatim: false,
        repeated: answer.repeated.clone(),
    };
    let mut events = Events::new(opening);
    let first = answer.completion.choices.first();
    let mut message = first.and_then(|choice| choice.get("message")).cloned().unwrap_or_default();
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    for (place, call) in calls.into_iter().flatten().enumerate() {
        if let Some(call) = call.as_object_mut() {
            call.insert("index".to_owned(), Value::from(place));
        }
    }
    let mut unread = Vec::new();
    let reason = first.and_then(|choice| choice.get("finish_reason")).and_then(Value::as_str);
    events.reason = reason.map(str::to_owned);
    events.speak(&message, &mut unread);
    events.close_all(events.status(), &mut unread);
    events.ended(answer)
}

/// What is open beside calls.
enum Open {
    Nothing,
    /// A message, with the parts that are complete, and the one that is not.
    Message {
        parts: Vec<Value>,
        field: &'static str,
        text: String,
        annotations: Vec<Value>,
    },
    Reasoning {
        summary: String,
        details: Vec<Value>,
    },
}

/// A call that is being written.
struct Call {
    place: usize,
    id: String,
    name: String,
    arguments: String,
    tool: Tool,
}

/// Writes the events of a response from the common shape.
pub(super) struct Events {
    opening: Opening,
    odd: HashMap<String, Tool>,
    model: String,
    begun: bool,
    sequence: u64,
    /// The items; one that is not complete is null.
    output: Vec<Value>,
    open: Open,
    /// Where the open item stands.
    place: usize,
    calls: BTreeMap<u64, Call>,
    reason: Option<String>,
}

impl Events {
    pub(super) fn new(opening: Opening) -> Self {
        Self {
            odd: tools::odd(opening.repeated.get("tools")),
            opening,
            model: String::new(),
            begun: false,
            sequence: 0,
            output: Vec::new(),
            open: Open::Nothing,
            place: 0,
            calls: BTreeMap::new(),
            reason: None,
        }
    }

    fn emit(&mut self, kind: &str, fields: Value, out: &mut Vec<u8>) {
        let name = format!("response.{kind}");
        let mut event = Map::new();
        event.insert("type".to_owned(), Value::from(name.as_str()));
        event.insert("sequence_number".to_owned(), Value::from(self.sequence));
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        self.sequence = self.sequence.saturating_add(1);
        named(&name, &Value::Object(event), out);
    }

    fn shape<'a>(&'a self, status: &'a str, output: Vec<Value>) -> Shape<'a> {
        Shape {
            repeated: &self.opening.repeated,
            request_id: self.opening.request_id,
            created: self.opening.created,
            model: &self.model,
            status,
            output,
            incomplete: None,
            error: Value::Null,
            tier: "default",
            usage: Value::Null,
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if core::mem::replace(&mut self.begun, true) {
            return;
        }
        for kind in ["created", "in_progress"] {
            let response = self.shape("in_progress", Vec::new()).into_value();
            self.emit(kind, json!({"response": response}), out);
        }
    }

    /// The response at its good end.
    fn ended(&mut self, answer: &Answer<'_>) -> Value {
        if self.model.is_empty() {
            self.model.clone_from(&answer.completion.model);
        }
        let (incomplete, status) = (self.incomplete(), self.status());
        let output = core::mem::take(&mut self.output);
        let shape = self.shape(status, output);
        let tier = tier_of_openai(answer.tier).unwrap_or("default");
        Shape { incomplete, tier, usage: usage_object(answer), ..shape }.into_value()
    }

    fn status(&self) -> &'static str {
        if self.incomplete().is_some() { "incomplete" } else { "completed" }
    }

    fn incomplete(&self) -> Option<&'static str> {
        match self.reason.as_deref() {
            Some("length") => Some("max_output_tokens"),
            Some("content_filter") => Some("content_filter"),
            _ => None,
        }
    }

    /// Begins an item.
    fn add(&mut self, item: &Value, out: &mut Vec<u8>) -> usize {
        let place = self.output.len();
        self.output.push(Value::Null);
        self.emit("output_item.added", json!({"output_index": place, "item": item}), out);
        place
    }

    /// Ends the item at a place.
    fn done(&mut self, place: usize, item: Value, out: &mut Vec<u8>) {
        self.emit("output_item.done", json!({"output_index": place, "item": item}), out);
        if let Some(slot) = self.output.get_mut(place) {
            *slot = item;
        }
    }

    fn item_id(&self, prefix: &str, place: usize) -> String {
        format!("{prefix}_{}_{place}", self.opening.request_id)
    }

    fn speak(&mut self, delta: &Value, out: &mut Vec<u8>) {
        let text =
            |field: &str| delta.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(thought) = text("reasoning_content").or_else(|| text("reasoning")) {
            self.think(thought, out);
        }
        let details = delta.get("reasoning_details").and_then(Value::as_array);
        for detail in details.into_iter().flatten() {
            self.detail(detail, out);
        }
        for (field, part) in [("content", "text"), ("refusal", "refusal")] {
            if let Some(said) = text(field) {
                self.say(part, said, out);
            }
        }
        for source in sources(delta) {
            self.cite(source, out);
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call, out);
        }
    }

    /// A source of the text that is open.
    fn cite(&mut self, source: &Value, out: &mut Vec<u8>) {
        self.open_part("text", out);
        let at = self.at_part();
        let Open::Message { annotations, .. } = &mut self.open else { return };
        let annotation = with(source, "type", Value::from("url_citation"));
        let at = with(&at, "annotation_index", Value::from(annotations.len()));
        annotations.push(annotation.clone());
        self.emit("output_text.annotation.added", with(&at, "annotation", annotation), out);
    }

    fn think(&mut self, thought: &str, out: &mut Vec<u8>) {
        self.open_reasoning(out);
        let (item_id, place) = (self.item_id("rs", self.place), self.place);
        let Open::Reasoning { summary, .. } = &mut self.open else { return };
        let first = summary.is_empty();
        summary.push_str(thought);
        let at = json!({"item_id": item_id, "output_index": place, "summary_index": 0});
        if first {
            let part = json!({"type": "summary_text", "text": ""});
            self.emit("reasoning_summary_part.added", with(&at, "part", part), out);
        }
        let delta = with(&at, "delta", Value::from(thought));
        self.emit("reasoning_summary_text.delta", delta, out);
    }

    fn open_reasoning(&mut self, out: &mut Vec<u8>) {
        if matches!(self.open, Open::Reasoning { .. }) {
            return;
        }
        self.close("completed", out);
        let id = self.item_id("rs", self.output.len());
        self.place = self.add(&json!({"id": id, "type": "reasoning", "summary": []}), out);
        self.open = Open::Reasoning { summary: String::new(), details: Vec::new() };
    }

    /// What lets a provider take its reasoning back: pieces of one detail are put together. They
    /// tell its number; Gemini's signatures have none, and each is whole.
    fn detail(&mut self, detail: &Value, out: &mut Vec<u8>) {
        self.open_reasoning(out);
        let Open::Reasoning { summary, details } = &mut self.open else { return };
        let mut detail = detail.clone();
        let is_numbered = detail.get("index").is_some_and(Value::is_number);
        let same = |known: &Value| {
            let fields = ["type", "index", "format", "id"];
            is_numbered && fields.iter().all(|field| known.get(field) == detail.get(field))
        };
        if let Some(known) = details.last_mut().filter(|known| same(known)) {
            for field in ["text", "summary", "data", "signature"] {
                let Some(more) = detail.get(field).and_then(Value::as_str) else { continue };
                match known.get_mut(field) {
                    Some(Value::String(told)) => told.push_str(more),
                    _ => drop(
                        known
                            .as_object_mut()
                            .map(|known| known.insert(field.to_owned(), Value::from(more))),
                    ),
                }
            }
            return;
        }
        // A signature of what was told as text already.
        if detail.get("signature").is_some()
            && detail.get("text").is_none()
            && let Some(detail) = detail.as_object_mut()
        {
            detail.insert("text".to_owned(), Value::from(summary.as_str()));
        }
        details.push(detail);
    }

    /// Opens a part of a message, where another is open or none.
    fn open_part(&mut self, field: &'static str, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Message { .. }) {
            self.close("completed", out);
            let id = self.item_id("msg", self.output.len());
            let item = message(&id, "in_progress", &[]);
            self.place = self.add(&item, out);
            self.open = Open::Message {
                parts: Vec::new(),
                field: "",
                text: String::new(),
                annotations: Vec::new(),
            };
        }
        if let Open::Message { field: open, .. } = &self.open
            && *open != field
        {
            self.close_part(out);
            let at = self.at_part();
            self.emit("content_part.added", with(&at, "part", part(field, "")), out);
            if let Open::Message { field: open, .. } = &mut self.open {
                *open = field;
            }
        }
    }

    fn say(&mut self, field: &'static str, said: &str, out: &mut Vec<u8>) {
        self.open_part(field, out);
        let mut event = with(&self.at_part(), "delta", Value::from(said));
        if let Open::Message { text, .. } = &mut self.open {
            text.push_str(said);
        }
        if field == "text" {
            event = with(&event, "logprobs", json!([]));
            self.emit("output_text.delta", event, out);
        } else {
            self.emit("refusal.delta", event, out);
        }
    }

    /// Where the open part of a message stands.
    fn at_part(&self) -> Value {
        let parts = match &self.open {
            Open::Message { parts, .. } => parts.len(),
            _ => 0,
        };
        let id = self.item_id("msg", self.place);
        json!({"item_id": id, "output_index": self.place, "content_index": parts})
    }

    fn close_part(&mut self, out: &mut Vec<u8>) {
        let at = self.at_part();
        let Open::Message { field, text, annotations, .. } = &mut self.open else { return };
        let (field, text) = (core::mem::take(field), core::mem::take(text));
        let annotations = core::mem::take(annotations);
        if field.is_empty() {
            return;
        }
        let mut done = part(field, &text);
        if field == "text" {
            done = with(&done, "annotations", Value::from(annotations));
        }
        if field == "text" {
            let event = with(&with(&at, "text", Value::from(text)), "logprobs", json!([]));
            self.emit("output_text.done", event, out);
        } else {
            self.emit("refusal.done", with(&at, "refusal", Value::from(text)), out);
        }
        self.emit("content_part.done", with(&at, "part", done.clone()), out);
        if let Open::Message { parts, .. } = &mut self.open {
            parts.push(done);
        }
    }

    /// Ends the message or the reasoning that is open.
    fn close(&mut self, status: &str, out: &mut Vec<u8>) {
        self.close_part(out);
        let place = self.place;
        match core::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Message { parts, .. } => {
                let item = message(&self.item_id("msg", place), status, &parts);
                self.done(place, item, out);
            }
            Open::Reasoning { summary, details } => {
                let id = self.item_id("rs", place);
                let mut parts = Vec::new();
                if !summary.is_empty() {
                    let at = json!({"item_id": id, "output_index": place, "summary_index": 0});
                    let text = Value::from(summary.as_str());
                    self.emit("reasoning_summary_text.done", with(&at, "text", text), out);
                    let part = json!({"type": "summary_text", "text": summary});
                    let event = with(&at, "part", part.clone());
                    self.emit("reasoning_summary_part.done", event, out);
                    parts.push(part);
                }
                let mut item = json!({"id": id, "type": "reasoning", "summary": parts});
                if let Some(sealed) = sealed(&details) {
                    item = with(&item, "encrypted_content", Value::from(sealed));
                }
                self.done(place, item, out);
            }
        }
    }

    fn call(&mut self, call: &Value, out: &mut Vec<u8>) {
        let text = |at: &str| call.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let index = call.get("index").and_then(Value::as_u64).unwrap_or_default();
        if !self.calls.contains_key(&index) {
            self.close("completed", out);
            let name = text("/function/name").to_owned();
            let mut call = Call {
                place: self.output.len(),
                id: text("/id").to_owned(),
                tool: self.odd.get(&name).cloned().unwrap_or(Tool::Function),
                name,
                arguments: String::new(),
            };
            let item = self.called(&call, "in_progress");
            call.place = self.add(&item, out);
            self.calls.insert(index, call);
        }
        let piece = text("/function/arguments");
        let Some(open) = self.calls.get_mut(&index).filter(|_| !piece.is_empty()) else { return };
        open.arguments.push_str(piece);
        // The text of a custom tool is inside the arguments, so it waits until they are whole.
        if open.tool != Tool::Custom {
            let place = open.place;
            let id = self.item_id("fc", place);
            let event = json!({"item_id": id, "output_index": place, "delta": piece});
            self.emit("function_call_arguments.delta", event, out);
        }
    }

    /// A call as an item.
    fn called(&self, call: &Call, status: &str) -> Value {
        let Call { place, id, name, arguments, tool } = call;
        match tool {
            Tool::Custom => json!({
                "id": self.item_id("ctc", *place), "type": "custom_tool_call", "status": status,
                "call_id": id, "name": name, "input": free_text(arguments),
            }),
            Tool::Function => json!({
                "id": self.item_id("fc", *place), "type": "function_call", "status": status,
                "call_id": id, "name": name, "arguments": arguments,
            }),
            Tool::Inside { namespace, name } => json!({
                "id": self.item_id("fc", *place), "type": "function_call", "status": status,
                "call_id": id, "namespace": namespace, "name": name, "arguments": arguments,
            }),
        }
    }

    /// Ends all that is open.
    fn close_all(&mut self, status: &str, out: &mut Vec<u8>) {
        self.close(status, out);
        for call in core::mem::take(&mut self.calls).into_values() {
            let item = self.called(&call, status);
            let at = json!({"item_id": item.get("id"), "output_index": call.place});
            if call.tool == Tool::Custom {
                let input = Value::from(free_text(&call.arguments));
                let delta = with(&at, "delta", input.clone());
                self.emit("custom_tool_call_input.delta", delta, out);
                self.emit("custom_tool_call_input.done", with(&at, "input", input), out);
            } else {
                let name = item.get("name").cloned().unwrap_or_default();
                let arguments = Value::from(call.arguments.as_str());
                let event = with(&with(&at, "name", name), "arguments", arguments);
                self.emit("function_call_arguments.done", event, out);
            }
            self.done(call.place, item, out);
        }
    }
}

impl StreamWriter for Events {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Start { model, .. } => {
                self.model.clone_from(model);
                self.begin(out);
            }
            // A response is one answer; `n` has no word in this dialect.
            ChatEvent::Delta { choice: 0, delta, .. } => {
                self.begin(out);
                if let Ok(delta) = serde_json::from_str(delta.get()) {
                    self.speak(&delta, out);
                }
            }
            ChatEvent::Finish { choice: 0, reason } => self.reason = Some(reason.clone()),
            ChatEvent::Delta { .. }
            | ChatEvent::Finish { .. }
            | ChatEvent::Frame(_)
            | ChatEvent::Usage(_)
            | ChatEvent::Failed { .. }
            | ChatEvent::Done => {}
        }
    }

    fn last(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        let status = self.status();
        self.close_all(status, out);
        cost_comment(answer.paid, out);
        let response = self.ended(answer);
        self.emit(status, json!({"response": response}), out);
    }

    fn failed(&mut self, error: &Error, answer: &Answer<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        let output = core::mem::take(&mut self.output);
        let shape =
            self.shape("failed", output.into_iter().filter(|item| !item.is_null()).collect());
        let shape = Shape { error: failure(error), usage: usage_object(answer), ..shape };
        let response = shape.into_value();
        self.emit("failed", json!({"response": response}), out);
    }
}

#[cfg(test)]
mod tests;
