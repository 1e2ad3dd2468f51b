//! Answers as messages: from the common shape, or the provider's own events passed on.

use farebox_core::{ChatEvent, Error, Frame};
use serde_json::{Map, Value, json};

use super::blocks::REASONING_FORMAT;
use super::{MESSAGES, usage_object};
use crate::dialect::{
    Answer, Dialect, Opening, StreamWriter, carried, cost_comment, frame, id_of, named, sources,
};

/// How the id of a message begins.
const PREFIX: &str = "msg_";

/// Anthropic's word for why the model stopped.
fn stop_reason(finish_reason: Option<&str>) -> &'static str {
    match finish_reason {
        Some("length") => "max_tokens",
        Some("tool_calls" | "function_call") => "tool_use",
        Some("content_filter") => "refusal",
        _ => "end_turn",
    }
}

/// A whole answer.
pub(super) fn whole(answer: &Answer<'_>) -> Value {
    let first = answer.completion.choices.first();
    let message = first.and_then(|choice| choice.get("message")).unwrap_or(&Value::Null);
    let reason = first.and_then(|choice| choice.get("finish_reason")).and_then(Value::as_str);
    let mut content = reasoning(message);
    for field in ["content", "refusal"] {
        if let Some(text) = message.get(field).and_then(Value::as_str)
            && !text.is_empty()
        {
            content.push(json!({"type": "text", "text": text}));
        }
    }
    let cited: Vec<Value> = sources(message).map(citation).collect();
    let said = content.iter_mut().find(|block| block.get("text").is_some());
    if let Some(said) = said.and_then(Value::as_object_mut).filter(|_| !cited.is_empty()) {
        said.insert("citations".to_owned(), Value::from(cited));
    }
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let text = |at: &str| call.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let input = serde_json::from_str::<Map<String, Value>>(text("/function/arguments"));
        content.push(json!({
            "type": "tool_use",
            "id": text("/id"),
            "name": text("/function/name"),
            // Arguments that are no object are told as they are, for the caller to see.
            "input": input.map_or_else(|_| json!({"arguments": text("/function/arguments")}),
                Value::Object),
        }));
    }
    json!({
        "id": id_of(PREFIX, &answer.completion.id, answer.paid.request_id),
        "type": "message",
        "role": "assistant",
        "model": answer.completion.model,
        "content": content,
        "stop_reason": stop_reason(reason),
        "stop_sequence": null,
        "usage": usage_object(answer.usage, answer.tier),
    })
}

/// A source in Anthropic's words. What it sealed of the page is not there to be sent back.
fn citation(source: &Value) -> Value {
    json!({"type": "web_search_result_location", "url": source.get("url"),
        "title": source.get("title"), "encrypted_index": "", "cited_text": ""})
}

/// The model's reasoning: with its signatures where it has them, else as it was told.
fn reasoning(message: &Value) -> Vec<Value> {
    let details = message.get("reasoning_details").and_then(Value::as_array);
    let of_ours =
        |detail: &&Value| detail.get("format").and_then(Value::as_str) == Some(REASONING_FORMAT);
    let (ours, others): (Vec<&Value>, Vec<&Value>) =
        details.into_iter().flatten().partition(of_ours);
    if !ours.is_empty() {
        return ours.into_iter().map(block).collect();
    }
    let calls = message.get("tool_calls").is_some_and(|calls| !calls.is_null());
    let others: Vec<Value> = others.into_iter().cloned().collect();
    match told(message) {
        // A turn that only speaks goes on without; one that calls may not.
        None if others.is_empty() || !calls => Vec::new(),
        text => vec![json!({"type": "thinking", "thinking": text.unwrap_or_default(),
            "signature": signature(&others)})],
    }
}

/// In the place of a signature, what a model of another format needs in the next turn.
fn signature(details: &[Value]) -> String {
    if details.is_empty() { String::new() } else { carried(details) }
}

/// One block of reasoning from its detail.
fn block(detail: &Value) -> Value {
    let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "reasoning.encrypted" => json!({"type": "redacted_thinking", "data": text("data")}),
        _ => json!({"type": "thinking", "thinking": text("text"), "signature": text("signature")}),
    }
}

/// Reasoning as text, under either of its names.
fn told(message: &Value) -> Option<&str> {
    let names = ["reasoning_content", "reasoning"];
    let mut texts = names.iter().filter_map(|name| message.get(name).and_then(Value::as_str));
    texts.find(|text| !text.is_empty())
}

/// A block of thinking that begins.
fn thinking() -> Value {
    json!({"type": "thinking", "thinking": "", "signature": ""})
}

/// Which block is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    None,
    Text,
    Thinking,
    /// The tool call of this index.
    Call(u64),
}

/// Writes the events of a message from the common shape.
pub(super) struct Events {
    opening: Opening,
    begun: bool,
    open: Open,
    /// The index of the open block, or of the next.
    index: u64,
    /// Reasoning of another format that no block carries yet.
    details: Vec<Value>,
    reason: Option<String>,
}

impl Events {
    pub(super) const fn new(opening: Opening) -> Self {
        Self {
            opening,
            begun: false,
            open: Open::None,
            index: 0,
            details: Vec::new(),
            reason: None,
        }
    }

    fn begin(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        if self.begun {
            return;
        }
        self.begun = true;
        let id = id_of(PREFIX, id, self.opening.request_id);
        let message = json!({
            "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage_object(None, None),
        });
        named("message_start", &json!({"type": "message_start", "message": message}), out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open == Open::None {
            return;
        }
        if self.open == Open::Thinking {
            let details = std::mem::take(&mut self.details);
            let signature = json!({"type": "signature_delta", "signature": signature(&details)});
            self.delta(&signature, out);
        }
        self.stop(out);
    }

    /// Ends the open block, whose last delta has been written.
    fn stop(&mut self, out: &mut Vec<u8>) {
        let stop = json!({"type": "content_block_stop", "index": self.index});
        named("content_block_stop", &stop, out);
        self.index = self.index.saturating_add(1);
        self.open = Open::None;
    }

    fn open(&mut self, open: Open, block: &Value, out: &mut Vec<u8>) {
        if self.open == open {
            return;
        }
        self.close(out);
        self.open = open;
        let start =
            json!({"type": "content_block_start", "index": self.index, "content_block": block});
        named("content_block_start", &start, out);
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let event = json!({"type": "content_block_delta", "index": self.index, "delta": delta});
        named("content_block_delta", &event, out);
    }

    fn speak(&mut self, delta: &Value, out: &mut Vec<u8>) {
        if let Some(text) = told(delta) {
            self.open(Open::Thinking, &thinking(), out);
            self.delta(&json!({"type": "thinking_delta", "thinking": text}), out);
        }
        let details = delta.get("reasoning_details").and_then(Value::as_array);
        for detail in details.into_iter().flatten() {
            self.detail(detail, out);
        }
        for field in ["content", "refusal"] {
            if let Some(text) = delta.get(field).and_then(Value::as_str)
                && !text.is_empty()
            {
                self.open(Open::Text, &json!({"type": "text", "text": ""}), out);
                self.delta(&json!({"type": "text_delta", "text": text}), out);
            }
        }
        for source in sources(delta) {
            self.open(Open::Text, &json!({"type": "text", "text": ""}), out);
            self.delta(&json!({"type": "citations_delta", "citation": citation(source)}), out);
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call, out);
        }
    }

    /// What ends a block of reasoning: its signature, or a block that is sealed as a whole.
    fn detail(&mut self, detail: &Value, out: &mut Vec<u8>) {
        if detail.get("format").and_then(Value::as_str) != Some(REASONING_FORMAT) {
            self.details.push(detail.clone());
            return;
        }
        let signature = detail.get("signature").filter(|signature| *signature != "");
        // A thought may be told by its signature alone: newer models show no text of it unasked.
        let is_unsaid = detail.get("text").is_some_and(|text| text == "");
        if signature.is_some() && is_unsaid {
            self.open(Open::Thinking, &thinking(), out);
        }
        if self.open == Open::Thinking
            && let Some(signature) = signature
        {
            self.delta(&json!({"type": "signature_delta", "signature": signature}), out);
            self.stop(out);
        } else if detail.get("data").is_some() {
            self.close(out);
            self.open(Open::Thinking, &block(detail), out);
            self.stop(out);
        }
    }

    fn call(&mut self, call: &Value, out: &mut Vec<u8>) {
        if self.open != Open::Thinking && !self.details.is_empty() {
            self.open(Open::Thinking, &thinking(), out);
        }
        let text = |at: &str| call.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let index = call.get("index").and_then(Value::as_u64).unwrap_or_default();
        let block = json!({
            "type": "tool_use", "id": text("/id"), "name": text("/function/name"), "input": {},
        });
        self.open(Open::Call(index), &block, out);
        let arguments = text("/function/arguments");
        if !arguments.is_empty() {
            self.delta(&json!({"type": "input_json_delta", "partial_json": arguments}), out);
        }
    }
}

impl StreamWriter for Events {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Start { id, model } => self.begin(id, model, out),
            // A message is one answer; `n` has no word in this dialect.
            ChatEvent::Delta { choice: 0, delta, .. } => {
                self.begin("", "", out);
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
        self.begin(&answer.completion.id, &answer.completion.model, out);
        let called = matches!(self.open, Open::Call(_));
        self.close(out);
        // Not every provider says that tools were called.
        let reason = match stop_reason(self.reason.as_deref()) {
            "end_turn" if called => "tool_use",
            reason => reason,
        };
        end(reason, answer, out);
    }

    fn failed(&mut self, error: &Error, _: &Answer<'_>, out: &mut Vec<u8>) {
        named("error", &MESSAGES.error(error, self.opening.request_id), out);
    }
}

/// The two events that end a message.
fn end(reason: &str, answer: &Answer<'_>, out: &mut Vec<u8>) {
    let delta = json!({
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": null},
        "usage": usage_object(answer.usage, answer.tier),
    });
    named("message_delta", &delta, out);
    cost_comment(answer.paid, out);
    named("message_stop", &json!({"type": "message_stop"}), out);
}

/// Passes on the provider's own events; only the last waits for the books.
pub(super) struct Frames {
    opening: Opening,
    /// Content blocks that were opened.
    blocks: u64,
    is_open: bool,
    /// The model has said why it stopped.
    told_reason: bool,
    /// The provider's end, or its failure, has been read: what stands behind it waits or falls.
    done: bool,
    failed: bool,
    last: Option<Frame>,
}

impl Frames {
    pub(super) const fn new(opening: Opening) -> Self {
        Self {
            opening,
            blocks: 0,
            is_open: false,
            told_reason: false,
            done: false,
            failed: false,
            last: None,
        }
    }

    fn pass(&mut self, passed: &Frame, out: &mut Vec<u8>) {
        match &*passed.name {
            "content_block_start" => {
                self.blocks = self.blocks.saturating_add(1);
                self.is_open = true;
            }
            "content_block_stop" => self.is_open = false,
            "message_delta" => self.told_reason = true,
            _ => {}
        }
        frame(passed, out);
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
        if self.told_reason {
            cost_comment(answer.paid, out);
            let stop = || Frame { name: "message_stop".into(), data: STOP.into() };
            return frame(&self.last.take().unwrap_or_else(stop), out);
        }
        // Farebox ended the stream, because its budgets hold no more for it.
        if self.is_open {
            let index = self.blocks.saturating_sub(1);
            let stop = json!({"type": "content_block_stop", "index": index});
            named("content_block_stop", &stop, out);
        }
        end("max_tokens", answer, out);
    }

    fn failed(&mut self, error: &Error, _: &Answer<'_>, out: &mut Vec<u8>) {
        named("error", &MESSAGES.error(error, self.opening.request_id), out);
    }
}

const STOP: &str = r#"{"type":"message_stop"}"#;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use farebox_core::{Rid, Timestamp};
    use serde_json::value::to_raw_value;

    use super::*;

    #[test]
    fn a_thought_that_shows_no_text_keeps_its_signature() {
        let opening = Opening {
            request_id: Rid::new(Timestamp::from_ms(1), 1),
            created: 1,
            include_usage: false,
            verbatim: false,
            repeated: Arc::default(),
        };
        let thought = json!({"type": "reasoning.text", "text": "", "signature": "S",
            "format": REASONING_FORMAT, "index": 0});
        let (mut events, mut out) = (Events::new(opening), Vec::new());

        for delta in [json!({"reasoning_details": [thought]}), json!({"content": "hi"})] {
            let delta = to_raw_value(&delta).unwrap();
            events.event(&ChatEvent::Delta { choice: 0, delta, logprobs: None }, &mut out);
        }

        let text = String::from_utf8(out).unwrap();
        let told = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let told: Vec<Value> = told.map(|data| serde_json::from_str(data).unwrap()).collect();
        let signature = json!({"type": "signature_delta", "signature": "S"});
        assert_eq!(told[1]["content_block"]["type"], "thinking");
        assert_eq!(told[2]["delta"], signature);
        assert_eq!(told[3], json!({"type": "content_block_stop", "index": 0}));
        assert_eq!(told[4]["content_block"]["type"], "text");
        assert_eq!(told[4]["index"], 1);
    }
}
