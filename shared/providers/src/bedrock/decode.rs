//! Answers of Converse in `OpenAI`'s shape.

use farebox_core::{ChatEvent, Completion};
use serde_json::{Map, Value, json};

use super::usage;
use crate::cited::Cited;
use crate::delta::{OPENING, say};
use crate::eventstream::{EventStream, Message};
use crate::json;
use crate::reasoning::Thought;
use crate::sse::EVENT_BYTES_MAX;
use crate::wire::check_calls;
use crate::{DecodeError, Decoder, failure};

/// `OpenAI`'s word for why the model stopped. Not every model of Bedrock's says that it `called`
/// a tool.
fn finish_reason(stop_reason: &str, called: bool) -> &'static str {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "guardrail_intervened" | "content_filtered" => "content_filter",
        "end_turn" if called => "tool_calls",
        // `end_turn`, `stop_sequence`, and output that the model got wrong.
        _ => "stop",
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A tool that Bedrock runs by itself, such as `nova_grounding`: no call of the caller's.
fn is_own_tool(call: &Value) -> bool {
    !matches!(text(call, "/type"), "" | "tool_use")
}

/// Reads a whole answer.
pub(super) fn whole(body: &[u8]) -> Result<Completion, DecodeError> {
    const EXPECTED: &str = "an answer of Converse";
    let answer: Map<String, Value> =
        serde_json::from_slice(body).map_err(|fault| DecodeError::from_json(EXPECTED, &fault))?;
    let content = answer.get("output").and_then(|output| output.pointer("/message/content"));
    let blocks = content.and_then(Value::as_array).ok_or(DecodeError::lacking(EXPECTED))?;
    let (mut said, mut told) = (String::new(), String::new());
    let (mut calls, mut details, mut sources) = (Vec::new(), Vec::new(), Cited::default());
    let mut length = 0_usize;
    for block in blocks {
        let start = length;
        let cited = block.pointer("/citationsContent/content").and_then(Value::as_array);
        for part in [block].into_iter().chain(cited.into_iter().flatten()) {
            said.push_str(text(part, "/text"));
            length = length.saturating_add(text(part, "/text").chars().count());
        }
        let list = block.pointer("/citationsContent/citations").and_then(Value::as_array);
        list.into_iter().flatten().for_each(|one| cite(one, start, length, &mut sources));
        if let Some(call) = block.get("toolUse").filter(|call| !is_own_tool(call)) {
            let arguments = call.get("input").map_or_else(|| "{}".to_owned(), Value::to_string);
            let function = json!({"name": text(call, "/name"), "arguments": arguments});
            let id = text(call, "/toolUseId");
            calls.push(json!({"id": id, "type": "function", "function": function}));
        }
        if let Some(thinking) = block.get("reasoningContent") {
            let thought = text(thinking, "/reasoningText/text");
            told.push_str(thought);
            let signature = text(thinking, "/reasoningText/signature");
            let (redacted, index) = (text(thinking, "/redactedContent"), details.len());
            details.extend(detail(thought, signature, redacted, index));
        }
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), Value::from("assistant"));
    let called = !calls.is_empty();
    let silent = said.is_empty() && called;
    message.insert("content".to_owned(), if silent { Value::Null } else { Value::from(said) });
    for (field, value) in [("reasoning_details", details), ("tool_calls", calls)] {
        if !value.is_empty() {
            message.insert(field.to_owned(), Value::from(value));
        }
    }
    if !told.is_empty() {
        message.insert("reasoning_content".to_owned(), Value::from(told));
    }
    sources.put(&mut message);
    let reason = answer.get("stopReason").and_then(Value::as_str).unwrap_or_default();
    let finish_reason = finish_reason(reason, called);
    Ok(Completion {
        choices: vec![json!({"index": 0, "message": message, "finish_reason": finish_reason})],
        reported: usage::read(&answer),
        ..Completion::default()
    })
}

/// A citation: of a page that was found, or of a document of the caller's.
fn cite(citation: &Value, start: usize, end: usize, cited: &mut Cited) {
    match text(citation, "/location/web/url") {
        "" => cited.own(citation),
        url => cited.url(url, text(citation, "/title"), start, end),
    }
}

/// The entry of a block of thinking that can be sent back.
fn detail(told: &str, signature: &str, redacted: &str, index: usize) -> Option<Value> {
    match (signature, redacted) {
        ("", "") => None,
        ("", data) => Some(Thought::Redacted(data).detail(index)),
        (signature, _) => Some(Thought::Signed(told, signature).detail(index)),
    }
}

/// Reads the messages of a stream.
#[derive(Default)]
pub(super) struct Events {
    stream: EventStream,
    state: State,
}

/// What is known between two messages.
#[derive(Default)]
struct State {
    begun: bool,
    /// How many tools were called.
    calls: u64,
    /// The open block is a call of the caller's tool, and has told some of its arguments.
    call: Option<bool>,
    /// The open block of thinking.
    told: String,
    signature: String,
    redacted: String,
    /// How many blocks of thinking have ended.
    thoughts: usize,
    stopped: bool,
    reported: bool,
    done: bool,
}

impl Decoder for Events {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let Self { stream, state } = self;
        stream.feed(bytes, |message| state.take(message, out))
    }

    /// Nothing: a message that was cut in the middle is dropped.
    fn end(&mut self, _: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        Ok(())
    }
}

impl State {
    fn take(&mut self, message: &Message<'_>, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.done {
            return Ok(());
        }
        if message.kind != "event" {
            out.push(ChatEvent::Failed { message: failed(message) });
            return Ok(());
        }
        json::check_values(message.payload, json::EVENT_VALUES_MAX)?;
        let event: Value = serde_json::from_slice(message.payload)
            .map_err(|fault| DecodeError::from_json("an event of ConverseStream", &fault))?;
        self.start(out)?;
        match message.name {
            "contentBlockStart" => self.open(&event, out),
            "contentBlockDelta" => self.delta(event.get("delta").unwrap_or(&Value::Null), out),
            "contentBlockStop" => self.close(out),
            "messageStop" if !self.stopped => {
                self.stopped = true;
                let reason = text(&event, "/stopReason");
                let reason = finish_reason(reason, self.calls > 0).to_owned();
                out.push(ChatEvent::Finish { choice: 0, reason });
                Ok(())
            }
            // It comes last; a later one that tells only times does not unsay the counts.
            "metadata" if !self.reported => {
                if let Some(reported) = event.as_object().and_then(usage::read) {
                    self.reported = true;
                    out.push(ChatEvent::Usage(reported));
                    if self.stopped {
                        self.done = true;
                        out.push(ChatEvent::Done);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        // The format tells neither.
        out.push(ChatEvent::Start { id: String::new(), model: String::new() });
        say(&OPENING, out)
    }

    fn open(&mut self, event: &Value, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let call = event.pointer("/start/toolUse").filter(|call| !is_own_tool(call));
        let Some(call) = call else {
            self.call = None;
            return Ok(());
        };
        check_calls(self.calls)?;
        self.call = Some(false);
        let function = json!({"name": text(call, "/name"), "arguments": ""});
        let (id, index) = (text(call, "/toolUseId"), self.calls);
        self.calls = self.calls.saturating_add(1);
        let call = json!({"index": index, "id": id, "type": "function", "function": function});
        say(&json!({"tool_calls": [call]}), out)
    }

    fn delta(&mut self, delta: &Value, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        for (pointer, field) in
            [("/text", "content"), ("/reasoningContent/text", "reasoning_content")]
        {
            let part = text(delta, pointer);
            if !part.is_empty() {
                say(&json!({field: part}), out)?;
            }
        }
        if let Some(citation) = delta.get("citation") {
            let mut cited = Cited::default();
            cite(citation, 0, 0, &mut cited);
            cited.say(0, out)?;
        }
        for (kept, pointer) in [
            (&mut self.told, "/reasoningContent/text"),
            (&mut self.signature, "/reasoningContent/signature"),
            (&mut self.redacted, "/reasoningContent/redactedContent"),
        ] {
            kept.push_str(text(delta, pointer));
            if kept.len() > EVENT_BYTES_MAX {
                return Err(DecodeError::EventTooLong { bytes_max: EVENT_BYTES_MAX });
            }
        }
        let input = text(delta, "/toolUse/input");
        if input.is_empty() { Ok(()) } else { self.arguments(input, out) }
    }

    fn arguments(&mut self, part: &str, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.call.is_none() {
            return Ok(());
        }
        self.call = Some(true);
        let (index, function) = (self.calls.saturating_sub(1), json!({"arguments": part}));
        say(&json!({"tool_calls": [{"index": index, "function": function}]}), out)
    }

    fn close(&mut self, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.call == Some(false) {
            self.arguments("{}", out)?;
        }
        self.call = None;
        let entry = detail(&self.told, &self.signature, &self.redacted, self.thoughts);
        for kept in [&mut self.told, &mut self.signature, &mut self.redacted] {
            kept.clear();
        }
        let Some(entry) = entry else { return Ok(()) };
        self.thoughts = self.thoughts.saturating_add(1);
        say(&json!({"reasoning_details": [entry]}), out)
    }
}

/// What an exception inside a good status says.
fn failed(message: &Message<'_>) -> String {
    let payload = str::from_utf8(message.payload).unwrap_or_default();
    let told = failure::reported(payload);
    let error = failure::presentable(message.error);
    let said = if message.error.is_empty() { told } else { error };
    format!("{}: {said}", failure::presentable(message.name))
}
