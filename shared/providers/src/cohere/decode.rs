//! Answers of Cohere in `OpenAI`'s shape.

use farebox_core::{ChatEvent, Completion, Reported, Usage};
use serde_json::{Map, Value, json};

use crate::cited::Cited;
use crate::delta::{OPENING, say};
use crate::sse::Handle;
use crate::usage::Counts;
use crate::wire::check_calls;
use crate::{DecodeError, failure};

/// The most vectors of one answer: Cohere takes 96 texts (docs.cohere.com/reference/embed, read
/// 2026-11).
const VECTORS_MAX: usize = 4_096;

/// What is understood; `tokens` are not what is billed.
const UNDERSTOOD: &[&str] =
    &["billed_units.input_tokens", "billed_units.output_tokens", "tokens.*", "cached_tokens"];

/// `OpenAI`'s word for why the model stopped; `None` where it failed.
fn finish_reason(reason: &str) -> Option<&'static str> {
    match reason {
        "MAX_TOKENS" => Some("length"),
        "TOOL_CALL" => Some("tool_calls"),
        "ERROR_TOXIC" => Some("content_filter"),
        "ERROR" | "TIMEOUT" | "ERROR_LIMIT" | "USER_CANCEL" => None,
        // `COMPLETE`, `STOP_SEQUENCE`.
        _ => Some("stop"),
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Reads `usage`. `None` where it does not tell what is billed of a chat.
fn reported(usage: Option<&Value>) -> Option<Reported> {
    let usage = usage?.as_object()?;
    let mut counts = Counts::new(usage, &[UNDERSTOOD]);
    let prompt = counts.get("billed_units.input_tokens")?;
    let completion = counts.get("billed_units.output_tokens").unwrap_or_default();
    let reasoning = counts.get("tokens.reasoning_tokens").unwrap_or_default().min(completion);
    let completion = completion.saturating_sub(reasoning);
    let usage = Usage { prompt, completion, reasoning, ..Usage::default() };
    Some(Reported { usage, unknown_fields: counts.unknown, ..Reported::default() })
}

/// Reads a whole answer.
pub(super) fn whole(body: &[u8]) -> Result<Completion, DecodeError> {
    const EXPECTED: &str = "an answer of Cohere's chat";
    let answer: Value =
        serde_json::from_slice(body).map_err(|fault| DecodeError::from_json(EXPECTED, &fault))?;
    let told = answer.get("message").filter(|message| message.is_object());
    let Some(told) = told else { return Err(DecodeError::lacking(EXPECTED)) };
    let Some(reason) = finish_reason(text(&answer, "/finish_reason")) else {
        return Err(DecodeError::Reported { message: failed(&answer) });
    };
    let (mut said, mut thought) = (text(told, "/tool_plan").to_owned(), String::new());
    for block in told.get("content").and_then(Value::as_array).into_iter().flatten() {
        said.push_str(text(block, "/text"));
        thought.push_str(text(block, "/thinking"));
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), Value::from("assistant"));
    message.insert("content".to_owned(), Value::from(said));
    if !thought.is_empty() {
        message.insert("reasoning_content".to_owned(), Value::from(thought));
    }
    if let Some(list) = told.get("tool_calls").filter(|list| list.is_array()) {
        message.insert("tool_calls".to_owned(), list.clone());
    }
    let mut cited = Cited::default();
    let list = told.get("citations").and_then(Value::as_array);
    list.into_iter().flatten().for_each(|citation| cite(citation, &mut cited));
    cited.put(&mut message);
    Ok(Completion {
        id: text(&answer, "/id").to_owned(),
        choices: vec![json!({"index": 0, "message": message, "finish_reason": reason})],
        reported: reported(answer.get("usage")),
        ..Completion::default()
    })
}

/// A citation in Cohere's own words, and where a source of it has a URL, as such too.
fn cite(citation: &Value, cited: &mut Cited) {
    cited.own(citation);
    let place = |field: &str| citation.get(field).and_then(Value::as_u64).unwrap_or_default();
    let place = |field: &str| usize::try_from(place(field)).unwrap_or_default();
    for source in citation.get("sources").and_then(Value::as_array).into_iter().flatten() {
        for at in ["/document", "/tool_output"] {
            let url = text(source, &format!("{at}/url"));
            if url.starts_with("http") {
                cited.url(url, text(source, &format!("{at}/title")), place("start"), place("end"));
            }
        }
    }
}

/// Reads a list of vectors.
pub(super) fn embedded(body: &[u8]) -> Result<Completion, DecodeError> {
    const EXPECTED: &str = "Cohere's embeddings by type";
    let mut answer: Value =
        serde_json::from_slice(body).map_err(|fault| DecodeError::from_json(EXPECTED, &fault))?;
    let kinds = answer.get_mut("embeddings").and_then(Value::as_object_mut);
    let vectors = kinds
        .and_then(|kinds| kinds.shift_remove("float").or_else(|| kinds.shift_remove("base64")));
    let Some(Value::Array(vectors)) = vectors else { return Err(DecodeError::lacking(EXPECTED)) };
    if vectors.len() > VECTORS_MAX {
        return Err(DecodeError::lacking("at most 4,096 embeddings"));
    }
    let items = vectors.into_iter().enumerate();
    let items = items.map(|(index, vector)| {
        let mut item = Map::new();
        item.insert("object".to_owned(), Value::from("embedding"));
        item.insert("index".to_owned(), Value::from(index));
        item.insert("embedding".to_owned(), vector);
        Value::Object(item)
    });
    Ok(Completion {
        choices: items.collect(),
        reported: reported(answer.pointer("/meta").or(answer.get("usage"))),
        ..Completion::default()
    })
}

fn failed(answer: &Value) -> String {
    let told = ["/error", "/message", "/delta/error"].map(|at| text(answer, at));
    let told = told.into_iter().find(|told| !told.is_empty());
    failure::presentable(told.unwrap_or("The model ended with an error."))
}

/// Reads the events of a stream.
#[derive(Default)]
pub(super) struct Events {
    begun: bool,
    /// How many tools were called.
    calls: u64,
    done: bool,
}

impl Events {
    fn call(&mut self, event: &Value, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let is_first = text(event, "/type") == "tool-call-start";
        if is_first {
            check_calls(self.calls)?;
        }
        self.calls = self.calls.saturating_add(u64::from(is_first));
        let call = event.pointer("/delta/message/tool_calls").unwrap_or(&Value::Null);
        let (index, arguments) = (self.calls.saturating_sub(1), text(call, "/function/arguments"));
        if is_first {
            let function = json!({"name": text(call, "/function/name"), "arguments": arguments});
            let id = text(call, "/id");
            let call = json!({"index": index, "id": id, "type": "function", "function": function});
            return say(&json!({"tool_calls": [call]}), out);
        }
        let function = json!({"arguments": arguments});
        say(&json!({"tool_calls": [{"index": index, "function": function}]}), out)
    }
}

impl Handle for Events {
    fn handle(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let data = data.trim();
        if self.done || data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let event: Value = serde_json::from_str(data)
            .map_err(|fault| DecodeError::from_json("an event of Cohere's chat", &fault))?;
        match text(&event, "/type") {
            "message-start" if !self.begun => {
                self.begun = true;
                let id = text(&event, "/id").to_owned();
                out.push(ChatEvent::Start { id, model: String::new() });
                say(&OPENING, out)
            }
            "content-start" | "content-delta" | "tool-plan-delta" => content(&event, out),
            "tool-call-start" | "tool-call-delta" => self.call(&event, out),
            "citation-start" => match event.pointer("/delta/message/citations") {
                Some(citation) => {
                    let mut cited = Cited::default();
                    cite(citation, &mut cited);
                    cited.say(0, out)
                }
                None => Ok(()),
            },
            "message-end" => {
                self.done = true;
                match finish_reason(text(&event, "/delta/finish_reason")) {
                    Some(reason) => {
                        out.push(ChatEvent::Finish { choice: 0, reason: reason.to_owned() });
                    }
                    None => out.push(ChatEvent::Failed { message: failed(&event) }),
                }
                out.extend(reported(event.pointer("/delta/usage")).map(ChatEvent::Usage));
                out.push(ChatEvent::Done);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What a delta of content says, in its field.
fn content(event: &Value, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
    let message = event.pointer("/delta/message").unwrap_or(&Value::Null);
    for (pointer, field) in [
        ("/tool_plan", "content"),
        ("/content/text", "content"),
        ("/content/thinking", "reasoning_content"),
    ] {
        let part = text(message, pointer);
        if !part.is_empty() {
            say(&json!({field: part}), out)?;
        }
    }
    Ok(())
}
