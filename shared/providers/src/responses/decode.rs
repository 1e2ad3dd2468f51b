//! Answers of the Responses API in `OpenAI`'s chat shape.

use farebox_core::{ChatEvent, Completion, Money, Reported};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::called::{Called, Kind};
use super::{ToolFees, pieces, usage};
use crate::cited::Cited;
use crate::delta::{OPENING, Speaking, Thinking, say};
use crate::json::Text;
use crate::openai::Cost;
use crate::sse::Handle;
use crate::wire::check_calls;
use crate::{DecodeError, failure};

/// What marks reasoning that only the Responses API takes back (`OpenRouter`'s word for it).
pub(super) const REASONING_FORMAT: &str = "openai-responses-v1";

/// The items that cost nothing beside their tokens, and [`SEARCH`], which has a fee. Others are
/// made by the provider's own tools: [`FILE_SEARCH`] and [`CODE`] where their fees are known, else
/// by what is not asked for, and what such a tool costs is in no count.
const PLAIN: [&str; 9] = [
    "message",
    "reasoning",
    "function_call",
    "custom_tool_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "computer_call",
    SEARCH,
];

/// A call of the search, which opens a page or looks for something in it for no fee.
const SEARCH: &str = "web_search_call";
const FREE_ACTIONS: [&str; 2] = ["open_page", "find_in_page"];
/// A call of a tool with a fee, and one that runs in a container with a fee.
const FILE_SEARCH: &str = "file_search_call";
const CODE: &str = "code_interpreter_call";

/// What its host says beside the format, and what its tools cost.
#[derive(Clone, Copy)]
pub(super) struct Host {
    pub(super) cost: Option<Cost>,
    pub(super) fees: Option<ToolFees>,
}

impl ToolFees {
    /// What the items of an answer come to: each search of files, whatever became of it, and each
    /// container, however often it was used.
    fn of(self, output: &[Value]) -> Option<Money> {
        let calls = |kind: &'static str| output.iter().filter(move |i| text(i, "/type") == kind);
        let searches = calls(FILE_SEARCH).count();
        let used: Vec<&str> = calls(CODE).map(|call| text(call, "/container_id")).collect();
        let mut named: Vec<&str> = used.iter().copied().filter(|id| !id.is_empty()).collect();
        let unnamed = used.len().saturating_sub(named.len());
        named.sort_unstable();
        named.dedup();
        let containers = named.len().saturating_add(unnamed);
        pieces(self.file_search, u64::try_from(searches).ok()?)?
            .plus(pieces(self.container, u64::try_from(containers).ok()?)?)
    }
}

/// A response, whole or inside an event.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    service_tier: Option<Text<'a>>,
    #[serde(default)]
    output: Option<Vec<Value>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    incomplete_details: Option<Value>,
}

impl Response<'_> {
    fn read<'a>(json: &'a RawValue) -> Result<Response<'a>, DecodeError> {
        serde_json::from_str(json.get())
            .map_err(|fault| DecodeError::from_json("a response", &fault))
    }

    /// Its usage; items of tools that nobody asked for are named as counts that are not understood.
    fn reported(&self, host: Host) -> Result<Option<Reported>, DecodeError> {
        let tier = self.service_tier.as_ref().map(|tier| tier.0.as_ref());
        let reported = self.usage.map_or(Ok(None), |usage| usage::read(usage, host.cost, tier))?;
        Ok(reported.map(|mut reported| {
            let kinds = self.output.iter().flatten().map(|item| text(item, "/type"));
            let fees = host.fees.and_then(|fees| fees.of(self.output.as_deref()?));
            reported.fees = fees.unwrap_or_default();
            let has_fee = |kind: &str| fees.is_some() && [FILE_SEARCH, CODE].contains(&kind);
            let odd = kinds.filter(|kind| !PLAIN.contains(kind) && !has_fee(kind));
            let searches = self.output.iter().flatten().filter(|item| {
                text(item, "/type") == SEARCH && !FREE_ACTIONS.contains(&text(item, "/action/type"))
            });
            reported.usage.web_searches = u64::try_from(searches.count()).unwrap_or(u64::MAX);
            for kind in odd {
                crate::usage::push(&mut reported.unknown_fields, &format!("output.{kind}"));
            }
            reported
        }))
    }

    /// Why the model stopped; `called` where it calls tools.
    fn finish_reason(&self, called: bool) -> &'static str {
        let details = self.incomplete_details.as_ref();
        match details.map(|details| text(details, "/reason")) {
            Some("content_filter") => "content_filter",
            Some(_) if Text::or_empty(self.status.as_ref()) == "incomplete" => "length",
            _ if called => "tool_calls",
            _ => "stop",
        }
    }

    fn failure(&self) -> String {
        failure::reported(self.error.map_or("null", RawValue::get))
    }
}

pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Reads a whole answer.
pub(super) fn whole(host: Host, body: &[u8]) -> Result<Completion, DecodeError> {
    const EXPECTED: &str = "a response";
    let response: Response<'_> =
        serde_json::from_slice(body).map_err(|fault| DecodeError::from_json(EXPECTED, &fault))?;
    let reported = response.reported(host)?;
    match (Text::or_empty(response.status.as_ref()), reported) {
        ("completed" | "incomplete", reported) => {
            let output = response.output.as_ref().ok_or(DecodeError::lacking(EXPECTED))?;
            let (message, called) = message(output);
            let finish_reason = response.finish_reason(called);
            let choice = json!({"index": 0, "message": message, "finish_reason": finish_reason});
            Ok(Completion {
                id: Text::or_empty(response.id.as_ref()).to_owned(),
                model: Text::or_empty(response.model.as_ref()).to_owned(),
                choices: vec![choice],
                reported,
            })
        }
        ("failed" | "cancelled", Some(reported)) => {
            let message = response.failure();
            Err(DecodeError::Billed { message, reported: Box::new(reported) })
        }
        _ if response.error.is_some_and(|error| error.get() != "null") => {
            Err(DecodeError::Reported { message: response.failure() })
        }
        _ => Err(DecodeError::lacking(EXPECTED)),
    }
}

/// The items as one message, and whether it calls tools.
fn message(output: &[Value]) -> (Value, bool) {
    let (mut content, mut refusal) = (String::new(), String::new());
    let mut thoughts: Vec<String> = Vec::new();
    let (mut said, mut cited) = (0_usize, Cited::default());
    let (mut details, mut calls) = (Vec::new(), Vec::new());
    for item in output {
        match text(item, "/type") {
            "message" => {
                for part in parts(item, "content") {
                    parts(part, "annotations").for_each(|one| cite(one, said, &mut cited));
                    content.push_str(text(part, "/text"));
                    said = said.saturating_add(text(part, "/text").chars().count());
                    refusal.push_str(text(part, "/refusal"));
                }
            }
            "reasoning" => {
                let told = parts(item, "summary").chain(parts(item, "content"));
                thoughts.extend(told.map(|part| text(part, "/text").to_owned()));
                details.extend(reasoning_details(item));
            }
            kind => {
                if let Some(call) = Called::of(kind, item) {
                    let arguments = call.arguments(item);
                    let function = json!({"name": call.name, "arguments": arguments});
                    calls.push(json!({"id": call.id, "type": "function", "function": function}));
                }
            }
        }
    }
    let called = !calls.is_empty();
    let mut message = Map::new();
    message.insert("role".to_owned(), Value::from("assistant"));
    let silent = content.is_empty() && (called || !refusal.is_empty());
    let content = if silent { Value::Null } else { Value::from(content) };
    message.insert("content".to_owned(), content);
    for (field, value) in [
        ("refusal", Value::from(refusal)),
        ("reasoning_content", Value::from(thoughts.join("\n\n"))),
        ("reasoning_details", Value::from(details)),
        ("tool_calls", Value::from(calls)),
    ] {
        let is_empty = value
            .as_str()
            .map_or_else(|| value.as_array().is_some_and(Vec::is_empty), str::is_empty);
        if !is_empty {
            message.insert(field.to_owned(), value);
        }
    }
    cited.put(&mut message);
    (Value::Object(message), called)
}

/// An annotation: of a page, or of a file of the caller's.
fn cite(annotation: &Value, before: usize, cited: &mut Cited) {
    let place = |field: &str| {
        let at = annotation.get(field).and_then(Value::as_u64).unwrap_or_default();
        usize::try_from(at).unwrap_or_default().saturating_add(before)
    };
    match text(annotation, "/url") {
        "" => cited.own(annotation),
        url => {
            let title = text(annotation, "/title");
            cited.url(url, title, place("start_index"), place("end_index"));
        }
    }
}

fn parts<'v>(item: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    item.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// An item of reasoning as `OpenRouter`'s details, from which it can be put together again.
fn reasoning_details(item: &Value) -> Vec<Value> {
    let mut details = Vec::new();
    let mut push = |kind: &str, field: &str, value: Value| {
        let mut detail = Map::new();
        detail.insert("type".to_owned(), Value::from(kind));
        detail.insert(field.to_owned(), value);
        detail.insert("id".to_owned(), item.get("id").cloned().unwrap_or_default());
        detail.insert("format".to_owned(), Value::from(REASONING_FORMAT));
        detail.insert("index".to_owned(), Value::from(details.len()));
        details.push(Value::Object(detail));
    };
    for part in parts(item, "summary") {
        push("reasoning.summary", "summary", Value::from(text(part, "/text")));
    }
    for part in parts(item, "content") {
        push("reasoning.text", "text", Value::from(text(part, "/text")));
    }
    if let Some(sealed) = item.get("encrypted_content").filter(|sealed| sealed.is_string()) {
        push("reasoning.encrypted", "data", sealed.clone());
    }
    details
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(default)]
    item: Option<Value>,
    #[serde(default)]
    annotation: Option<Value>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// A tool call whose arguments are being streamed.
struct OpenCall {
    output: u64,
    /// Its place among the tool calls.
    index: u32,
    kind: Kind,
    /// Some of its arguments have come.
    spoke: bool,
}

/// Reads the events of a stream.
pub(super) struct Events {
    host: Host,
    started: bool,
    thought: bool,
    calls: u32,
    open: Vec<OpenCall>,
    done: bool,
}

impl Events {
    pub(super) const fn new(host: Host) -> Self {
        Self { host, started: false, thought: false, calls: 0, open: Vec::new(), done: false }
    }

    fn start(&mut self, response: &RawValue, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if core::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        let response = Response::read(response)?;
        let id = Text::or_empty(response.id.as_ref()).to_owned();
        let model = Text::or_empty(response.model.as_ref()).to_owned();
        out.push(ChatEvent::Start { id, model });
        say(&OPENING, out)
    }

    /// An item begins. Only calls matter: the others speak by themselves.
    fn added(
        &mut self,
        output: u64,
        item: &Value,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let Some(Called { id, name, kind }) = Called::of(text(item, "/type"), item) else {
            return Ok(());
        };
        check_calls(self.calls.into())?;
        let index = self.calls;
        self.calls = self.calls.saturating_add(1);
        self.open.push(OpenCall { output, index, kind, spoke: false });
        let function = json!({"name": name, "arguments": ""});
        let call = json!({"index": index, "id": id, "type": "function", "function": function});
        say(&json!({"tool_calls": [call]}), out)
    }

    /// A piece of a call's arguments, still in its quotes.
    fn piece(
        &mut self,
        output: u64,
        piece: &RawValue,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let Some(open) = self.open.iter_mut().rev().find(|open| open.output == output) else {
            return Ok(());
        };
        let first = !core::mem::replace(&mut open.spoke, true);
        if open.kind != Kind::Custom {
            return say(&Calling::new(open.index, piece), out);
        }
        // The text, escaped as it stands in JSON, is a piece of the argument's own JSON.
        let quoted = piece.get();
        let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        let begin = if first { "{\"input\":\"" } else { "" };
        say(&Calling::new(open.index, format!("{begin}{inside}")), out)
    }

    fn ended(
        &mut self,
        output: u64,
        item: &Value,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        if text(item, "/type") == "reasoning" {
            let details = reasoning_details(item);
            return if details.is_empty() {
                Ok(())
            } else {
                say(&json!({"reasoning_details": details}), out)
            };
        }
        if !self.open.iter().any(|open| open.output == output) {
            self.added(output, item, out)?;
        }
        let place = self.open.iter().position(|open| open.output == output);
        let Some(open) = place.map(|place| self.open.remove(place)) else { return Ok(()) };
        let rest = match Called::of(text(item, "/type"), item) {
            _ if open.spoke && open.kind == Kind::Custom => "\"}".to_owned(),
            Some(call) if !open.spoke => call.arguments(item),
            _ => return Ok(()),
        };
        say(&Calling::new(open.index, rest), out)
    }

    fn end(&mut self, response: &RawValue, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        self.start(response, out)?;
        let response = Response::read(response)?;
        let reported = response.reported(self.host)?;
        let status = Text::or_empty(response.status.as_ref());
        self.done = true;
        if matches!(status, "completed" | "incomplete") {
            let reason = response.finish_reason(self.calls > 0).to_owned();
            out.push(ChatEvent::Finish { choice: 0, reason });
            out.extend(reported.map(ChatEvent::Usage));
            out.push(ChatEvent::Done);
        } else {
            out.push(ChatEvent::Failed { message: response.failure() });
            out.extend(reported.map(ChatEvent::Usage));
        }
        Ok(())
    }
}

impl Handle for Events {
    fn handle(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let trimmed = data.trim();
        if trimmed.is_empty() || trimmed == "[DONE]" {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_str(data)
            .map_err(|fault| DecodeError::from_json("an event of a response", &fault))?;
        let output = event.output_index.unwrap_or_default();
        match (Text::or_empty(event.kind.as_ref()), &event) {
            // A second answer would be a second bill, which nobody holds.
            ("response.created", _) if self.done => Err(DecodeError::lacking("one response")),
            _ if self.done => Ok(()),
            (
                "response.completed"
                | "response.incomplete"
                | "response.failed"
                | "response.cancelled",
                Event { response: Some(response), .. },
            ) => self.end(response, out),
            ("error", _) => {
                self.done = true;
                let error = event.error.map_or(data, RawValue::get);
                out.push(ChatEvent::Failed { message: failure::reported(error) });
                Ok(())
            }
            (_, Event { response: Some(response), .. }) => self.start(response, out),
            ("response.output_item.added", Event { item: Some(item), .. }) => {
                self.added(output, item, out)
            }
            ("response.output_item.done", Event { item: Some(item), .. }) => {
                self.ended(output, item, out)
            }
            ("response.output_text.annotation.added", Event { annotation: Some(told), .. }) => {
                let mut cited = Cited::default();
                cite(told, 0, &mut cited);
                cited.say(0, out)
            }
            // Between two thoughts.
            ("response.reasoning_summary_part.added", _) if self.thought => {
                say(&json!({"reasoning_content": "\n\n"}), out)
            }
            (kind, Event { delta: Some(delta), .. }) if delta.get().starts_with('"') => {
                match kind {
                    _ if delta.get() == "\"\"" => Ok(()),
                    "response.output_text.delta" => say(&Speaking { content: delta }, out),
                    "response.refusal.delta" => say(&Refusing { refusal: delta }, out),
                    "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                        self.thought = true;
                        say(&Thinking { reasoning_content: delta }, out)
                    }
                    _ => self.piece(output, delta, out),
                }
            }
            // What may be added to the format, and what repeats the pieces.
            _ => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct Refusing<'a> {
    refusal: &'a RawValue,
}

#[derive(Serialize)]
struct Calling<A> {
    tool_calls: [Call<A>; 1],
}

#[derive(Serialize)]
struct Call<A> {
    index: u32,
    function: Arguments<A>,
}

#[derive(Serialize)]
struct Arguments<A> {
    arguments: A,
}

impl<A> Calling<A> {
    const fn new(index: u32, arguments: A) -> Self {
        Self { tool_calls: [Call { index, function: Arguments { arguments } }] }
    }
}
