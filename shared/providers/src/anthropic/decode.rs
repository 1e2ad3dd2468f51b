//! Answers of the Messages API in `OpenAI`'s shape.

use farebox_core::{ChatEvent, Completion};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::usage::{self, Context};
use crate::cited::Cited;
use crate::delta::{OPENING, Speaking, Thinking, say, spoken};
use crate::json::Text;
use crate::reasoning::Thought;
use crate::sse::{EVENT_BYTES_MAX, Handle};
use crate::usage::{object, overlay};
use crate::wire::check_calls;
use crate::{DecodeError, failure};

/// `OpenAI`'s word for why the model stopped.
fn finish_reason(stop_reason: &str) -> &'static str {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        // `end_turn`, `stop_sequence`, and `pause_turn`, which only server tools bring.
        _ => "stop",
    }
}

/// A whole answer, or the shell of a streamed one.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    signature: Option<&'a RawValue>,
    /// What only Anthropic can read of a thinking that it has redacted.
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(default)]
    citations: Option<Vec<Value>>,
}

/// Reads a whole answer.
pub(super) fn whole(body: &[u8]) -> Result<Completion, DecodeError> {
    const EXPECTED: &str = "a message";
    let answer: Message<'_> =
        serde_json::from_slice(body).map_err(|fault| DecodeError::from_json(EXPECTED, &fault))?;
    if let Some(error) = answer.error {
        return Err(DecodeError::Reported { message: failure::reported(error.get()) });
    }
    let blocks = answer.content.ok_or(DecodeError::lacking(EXPECTED))?;
    let (mut content, mut thinking) = (String::new(), String::new());
    let (mut calls, mut details, mut cited) = (Vec::new(), Vec::new(), Cited::default());
    let mut said = 0_usize;
    for block in &blocks {
        match Text::or_empty(block.kind.as_ref()) {
            "text" => {
                let text = unquoted(block.text)?;
                content.push_str(&text);
                let start = said;
                said = said.saturating_add(text.chars().count());
                let citations = block.citations.iter().flatten();
                citations.for_each(|citation| cited.claude(citation, start, said));
            }
            "thinking" => {
                let (text, signature) = (unquoted(block.thinking)?, unquoted(block.signature)?);
                thinking.push_str(&text);
                details.extend(signed(&text, &signature, details.len()));
            }
            "redacted_thinking" => {
                let data = unquoted(block.data)?;
                details.push(Thought::Redacted(&data).detail(details.len()));
            }
            "tool_use" => {
                let (id, name) =
                    (Text::or_empty(block.id.as_ref()), Text::or_empty(block.name.as_ref()));
                let arguments = block.input.map_or("{}", RawValue::get);
                let function = json!({"name": name, "arguments": arguments});
                calls.push(json!({"id": id, "type": "function", "function": function}));
            }
            _ => {}
        }
    }
    let stop_reason = Text::or_empty(answer.stop_reason.as_ref());
    let model = Text::or_empty(answer.model.as_ref());
    let refused_at_once = stop_reason == "refusal" && blocks.is_empty();
    let context = Context { model, written_first: None, refused_at_once };
    let mut message = Map::new();
    message.insert("role".to_owned(), Value::from("assistant"));
    let silent = content.is_empty() && !calls.is_empty();
    let content = if silent { Value::Null } else { Value::from(content) };
    message.insert("content".to_owned(), content);
    if !thinking.is_empty() {
        message.insert("reasoning_content".to_owned(), Value::from(thinking));
    }
    if !details.is_empty() {
        message.insert("reasoning_details".to_owned(), Value::from(details));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::from(calls));
    }
    cited.put(&mut message);
    let finish_reason = finish_reason(stop_reason);
    let counts = answer.usage.map(object).transpose()?;
    let reported = counts.and_then(|counts| usage::read(&counts, context));
    Ok(Completion {
        id: Text::or_empty(answer.id.as_ref()).to_owned(),
        model: model.to_owned(),
        choices: vec![json!({"index": 0, "message": message, "finish_reason": finish_reason})],
        reported,
    })
}

/// The entry of a block of thinking, where it has the signature without which it is not taken back.
fn signed(text: &str, signature: &str, index: usize) -> Option<Value> {
    (!signature.is_empty()).then(|| Thought::Signed(text, signature).detail(index))
}

fn unquoted(text: Option<&RawValue>) -> Result<String, DecodeError> {
    let Some(text) = text else { return Ok(String::new()) };
    serde_json::from_str(text.get()).map_err(|fault| DecodeError::from_json("a text", &fault))
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    index: u64,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    content_block: Option<Block<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    signature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    partial_json: Option<&'a RawValue>,
    #[serde(default)]
    citation: Option<Value>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
}

/// A tool call whose arguments are being streamed.
struct OpenCall {
    block: u64,
    /// Its place among the tool calls.
    index: u32,
    /// Some of its arguments have come.
    spoke: bool,
}

/// A block of thinking that is being streamed.
#[derive(Default)]
struct OpenThought {
    block: u64,
    text: String,
    signature: String,
}

/// Reads the events of a stream.
#[derive(Default)]
pub(super) struct Events {
    model: String,
    /// The first event's usage, overlaid by the later ones, which are cumulative.
    usage: Map<String, Value>,
    written_first: Option<u64>,
    any_block: bool,
    calls: u32,
    open: Vec<OpenCall>,
    thought: Option<OpenThought>,
    /// How many blocks of thinking there were.
    thoughts: usize,
    stop_reason: String,
    reported: bool,
    done: bool,
}

impl Events {
    fn start(
        &mut self,
        message: &Message<'_>,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        // Some proxies send the start twice; the answer is still one.
        if self.written_first.is_some() {
            return overlay(&mut self.usage, message.usage);
        }
        self.model = Text::or_empty(message.model.as_ref()).to_owned();
        let id = Text::or_empty(message.id.as_ref()).to_owned();
        out.push(ChatEvent::Start { id, model: self.model.clone() });
        say(&OPENING, out)?;
        overlay(&mut self.usage, message.usage)?;
        let written = self.usage.get("cache_creation_input_tokens").and_then(Value::as_u64);
        self.written_first = Some(written.unwrap_or_default());
        Ok(())
    }

    fn open_block(
        &mut self,
        index: u64,
        block: &Block<'_>,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        self.any_block = true;
        match Text::or_empty(block.kind.as_ref()) {
            "text" => say_text(block.text, out),
            "thinking" => {
                self.thought = Some(OpenThought { block: index, ..OpenThought::default() });
                self.think(index, block.thinking, block.signature)?;
                say_thinking(block.thinking, out)
            }
            "redacted_thinking" => {
                let data = unquoted(block.data)?;
                self.tell(&Thought::Redacted(&data).detail(self.thoughts), out)
            }
            "tool_use" => {
                check_calls(self.calls.into())?;
                let call = OpenCall { block: index, index: self.calls, spoke: false };
                self.calls = self.calls.saturating_add(1);
                let given = block.input.map(RawValue::get).filter(|input| *input != "{}");
                let function = Function {
                    name: Some(Text::or_empty(block.name.as_ref())),
                    arguments: Arguments::Text(given.unwrap_or_default()),
                };
                let id = Some(Text::or_empty(block.id.as_ref()));
                let kind = Some("function");
                say(
                    &Calling { tool_calls: [Call { index: call.index, id, kind, function }] },
                    out,
                )?;
                self.open.push(OpenCall { spoke: given.is_some(), ..call });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn arguments(
        &mut self,
        block: u64,
        arguments: Arguments<'_>,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        // The provider's own tools stream their input too; they are no calls of the caller's.
        let open = self.open.iter_mut().rev().find(|open| open.block == block);
        let Some(open) = open else { return Ok(()) };
        open.spoke = true;
        let function = Function { name: None, arguments };
        let call = Call { index: open.index, id: None, kind: None, function };
        say(&Calling { tool_calls: [call] }, out)
    }

    /// Keeps what the open block of thinking says: it can be sent back only as a whole.
    fn think(
        &mut self,
        block: u64,
        text: Option<&RawValue>,
        signature: Option<&RawValue>,
    ) -> Result<(), DecodeError> {
        let Some(thought) = self.thought.as_mut().filter(|open| open.block == block) else {
            return Ok(());
        };
        thought.text.push_str(&unquoted(text)?);
        thought.signature.push_str(&unquoted(signature)?);
        if thought.text.len().max(thought.signature.len()) > EVENT_BYTES_MAX {
            return Err(DecodeError::EventTooLong { bytes_max: EVENT_BYTES_MAX });
        }
        Ok(())
    }

    fn tell(&mut self, detail: &Value, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        self.thoughts = self.thoughts.saturating_add(1);
        say(&json!({"reasoning_details": [detail]}), out)
    }

    fn close_block(&mut self, block: u64, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if let Some(thought) = self.thought.take_if(|open| open.block == block)
            && let Some(detail) = signed(&thought.text, &thought.signature, self.thoughts)
        {
            self.tell(&detail, out)?;
        }
        let silent = self.open.iter().any(|open| open.block == block && !open.spoke);
        if silent {
            self.arguments(block, Arguments::Text("{}"), out)?;
        }
        self.open.retain(|open| open.block != block);
        Ok(())
    }

    fn finish(&mut self, event: &Event<'_>, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        overlay(&mut self.usage, event.usage)?;
        let delta = event.delta.as_ref();
        let reason = Text::or_empty(delta.and_then(|delta| delta.stop_reason.as_ref()));
        if self.stop_reason.is_empty() && !reason.is_empty() {
            self.stop_reason = reason.to_owned();
            out.push(ChatEvent::Finish { choice: 0, reason: finish_reason(reason).to_owned() });
        }
        if !self.stop_reason.is_empty() {
            self.report(out);
        }
        Ok(())
    }

    /// The counts, once the model has stopped: before, they only say how far it is. There may be
    /// several such events, of which the last one counts (build-with-claude/streaming).
    fn report(&mut self, out: &mut Vec<ChatEvent>) {
        let refused_at_once = self.stop_reason == "refusal" && !self.any_block;
        let context =
            Context { model: &self.model, written_first: self.written_first, refused_at_once };
        if let Some(reported) = usage::read(&self.usage, context) {
            self.reported = true;
            out.push(ChatEvent::Usage(reported));
        }
    }
}

impl Handle for Events {
    fn handle(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if data.trim().is_empty() {
            return Ok(());
        }
        let mut event: Event<'_> = serde_json::from_str(data)
            .map_err(|fault| DecodeError::from_json("an event of a message", &fault))?;
        let kind = event.kind.take();
        match (Text::or_empty(kind.as_ref()), event) {
            // A second answer would be a second bill, which nobody holds.
            ("message_start", _) if self.done => Err(DecodeError::lacking("one message")),
            (_, _) if self.done => Ok(()),
            ("content_block_delta", Event { index, delta: Some(delta), .. }) => {
                say_text(delta.text, out)?;
                if let Some(citation) = &delta.citation {
                    let mut cited = Cited::default();
                    cited.claude(citation, 0, 0);
                    cited.say(0, out)?;
                }
                say_thinking(delta.thinking, out)?;
                self.think(index, delta.thinking, delta.signature)?;
                match spoken(delta.partial_json)? {
                    Some(part) => self.arguments(index, Arguments::Part(part), out),
                    None => Ok(()),
                }
            }
            ("message_start", Event { message: Some(message), .. }) => self.start(&message, out),
            ("content_block_start", Event { index, content_block: Some(block), .. }) => {
                self.open_block(index, &block, out)
            }
            ("content_block_stop", event) => self.close_block(event.index, out),
            ("message_delta", event) => self.finish(&event, out),
            ("message_stop", _) => {
                if !self.reported {
                    self.report(out);
                }
                self.done = true;
                out.push(ChatEvent::Done);
                Ok(())
            }
            ("error", event) => {
                let error = event.error.map_or("null", RawValue::get);
                out.push(ChatEvent::Failed { message: failure::reported(error) });
                Ok(())
            }
            // `ping`, and what may be added to the format.
            _ => Ok(()),
        }
    }
}

fn say_text(text: Option<&RawValue>, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
    let Some(content) = spoken(text)? else { return Ok(()) };
    say(&Speaking { content }, out)
}

fn say_thinking(text: Option<&RawValue>, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
    let Some(reasoning_content) = spoken(text)? else { return Ok(()) };
    say(&Thinking { reasoning_content }, out)
}

#[derive(Serialize)]
struct Calling<'a> {
    tool_calls: [Call<'a>; 1],
}

#[derive(Serialize)]
struct Call<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: Arguments<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Arguments<'a> {
    Text(&'a str),
    /// Still in its quotes.
    Part(&'a RawValue),
}
