//! OpenAI's responses: bytes in, values out. Shapes as recorded in the corpus (`openai-responses`,
//! 2026-08) and as in github.com/openai/openai-openapi (`Response`, `ResponseStreamEvent`).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Answer;
use super::ask::{Ask, SEARCH_WORD, Tally, Tool, ToolChoice, length, said_bytes, subject};
use super::behaviour::{self, Behaviour, Wire};
use super::cache::{Block, Lifetime};
use super::fault::{self, Fault};
use super::script::{Frames, named_event};

/// The fields that are taken; what needs state is not.
const FIELDS: [&str; 21] = [
    "max_tool_calls",
    "model",
    "input",
    "instructions",
    "max_output_tokens",
    "stream",
    "store",
    "service_tier",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "text",
    "reasoning",
    "include",
    "metadata",
    "client_metadata",
    "user",
    "prompt_cache_key",
    "truncation",
];

/// Those that a request for a count takes.
const COUNTED: [&str; 9] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "truncation",
];

/// The tool that a model searches with.
const SEARCH: &str = "web_search";

/// What a model that thinks thinks.
const THOUGHT: &str = "Let me see.";

/// How many tokens a prompt has, as the answer to `input_tokens`.
pub(super) fn counted(bytes: &[u8]) -> Result<Value, Fault> {
    let body = fault::object(bytes)?;
    let ask = read(&body, bytes, &COUNTED)?;
    if behaviour::model(Wire::Responses, &ask.model).is_none() {
        return Err(Fault::UnknownModel(ask.model));
    }
    let mut all = Tally::default();
    for block in &ask.blocks {
        all.text_bytes += block.text_bytes;
        all.tool_bytes += block.tool_bytes;
        all.messages += block.messages;
    }
    Ok(json!({"object": "response.input_tokens", "input_tokens": all.tokens(ask.body_bytes)}))
}

/// Reads a request.
pub(super) fn parse(bytes: &[u8]) -> Result<Ask, Fault> {
    let body = fault::object(bytes)?;
    if fault::flag(&body, "store")? {
        return Err(Fault::invalid(
            "store",
            "The demo provider stores nothing: send store: false.",
        ));
    }
    read(&body, bytes, &FIELDS)
}

fn read(body: &Map<String, Value>, bytes: &[u8], known: &[&str]) -> Result<Ask, Fault> {
    if let Some(field) = body.keys().find(|field| !known.contains(&field.as_str())) {
        return Err(Fault::Invalid {
            param: None,
            code: Some("unknown_parameter"),
            message: format!("Unknown parameter: '{field}'."),
        });
    }
    let model = fault::model_name(body)?;
    // What this model has read before is cheaper, as at OpenAI without being asked.
    let caches =
        behaviour::model(Wire::Responses, &model).is_some_and(|row| row.cache_read.is_some());
    let block = |content: String, text_bytes: usize| Block {
        text_bytes,
        messages: 1,
        mark: caches.then_some(Lifetime::FiveMinutes),
        content,
        ..Block::default()
    };
    let (tools, tool_bytes) = tools(body);
    let mut blocks = vec![Block { tool_bytes, ..Block::default() }];
    if let Some(text) = body.get("instructions").and_then(Value::as_str) {
        blocks.push(block(text.to_owned(), text.len()));
    }
    let (mut said, mut tool_result) = (String::new(), None);
    let whole;
    let items = match body.get("input") {
        Some(Value::Array(items)) if !items.is_empty() => items.as_slice(),
        Some(Value::String(text)) => {
            whole = [json!({"role": "user", "content": text})];
            &whole
        }
        _ => return Err(Fault::invalid("input", "Missing required parameter: 'input'.")),
    };
    for item in items {
        let text = |field: &str| item.get(field).and_then(Value::as_str);
        let content = item.get("content").or_else(|| item.get("output")).unwrap_or(&Value::Null);
        let spoken = spoken(content);
        match (text("type").unwrap_or("message"), text("role")) {
            ("message", Some("user")) => (said, tool_result) = (spoken, None),
            ("message", Some("system" | "developer" | "assistant")) | ("reasoning", _) => {}
            ("function_call" | "custom_tool_call", _) if text("call_id").is_some() => {}
            ("function_call_output" | "custom_tool_call_output", _) => tool_result = Some(spoken),
            (kind, _) => {
                let message = format!("Invalid value: '{kind}'.");
                return Err(Fault::invalid("input", message));
            }
        }
        let bytes = item.to_string();
        let length = bytes.len();
        blocks.push(block(bytes, length));
    }
    let may_search = behaviour::model(Wire::Responses, &model).is_some_and(|m| m.search.is_some());
    let list = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let is_offered = list.filter_map(|tool| tool.get("type")?.as_str()).any(|t| t == SEARCH);
    let wanted = if may_search && is_offered { said.matches(SEARCH_WORD).count() } else { 0 };
    let most = fault::count(body, "max_tool_calls")?.unwrap_or(u64::MAX);
    Ok(Ask {
        searches: length(wanted).min(most),
        model,
        stream: fault::flag(body, "stream")?,
        include_usage: true,
        cap: fault::count(body, "max_output_tokens")?,
        choices: 1,
        subject: subject(said, tool_result, &tools, &tool_choice(body)),
        blocks,
        body_bytes: said_bytes(bytes, body),
        vectors: None,
    })
}

/// The text of a message's content or of a tool's output.
fn spoken(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<String>()
        }
        _ => String::new(),
    }
}

fn tools(body: &Map<String, Value>) -> (Vec<Tool>, usize) {
    let list = body.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let tools = list.iter().filter_map(|tool| {
        let name = tool.get("name")?.as_str()?.to_owned();
        match tool.get("type")?.as_str()? {
            "function" => {
                Some(Tool { name, schema: tool.get("parameters").cloned().unwrap_or_default() })
            }
            // Its argument is a text.
            "custom" => Some(Tool { name, schema: json!({"type": "string"}) }),
            _ => None,
        }
    });
    let bytes = list.iter().map(|tool| tool.to_string().len()).sum();
    (tools.collect(), bytes)
}

fn tool_choice(body: &Map<String, Value>) -> ToolChoice {
    match body.get("tool_choice") {
        Some(Value::String(choice)) if choice == "none" => ToolChoice::Never,
        Some(Value::String(choice)) if choice == "required" => ToolChoice::Any,
        Some(choice) => match choice.get("name").and_then(Value::as_str) {
            Some(name) => ToolChoice::Named(name.to_owned()),
            None => ToolChoice::Auto,
        },
        None => ToolChoice::Auto,
    }
}

/// A buffered answer.
pub(super) fn whole(answer: &Answer<'_>) -> Value {
    let mut output: Vec<Value> = thought(answer).into_iter().collect();
    output.extend(searches(answer));
    output.push(item(answer));
    ended(answer, output)
}

/// How the answer ends.
fn status(answer: &Answer<'_>) -> &'static str {
    match answer.behaviour {
        Behaviour::FailAtEnd => "failed",
        _ if answer.generation.capped => "incomplete",
        _ => "completed",
    }
}

fn ended(answer: &Answer<'_>, output: Vec<Value>) -> Value {
    let mut body = envelope(answer, status(answer), output);
    match status(answer) {
        "incomplete" => {
            body.insert("incomplete_details".to_owned(), json!({"reason": "max_output_tokens"}));
        }
        "failed" => {
            let error = json!({"code": "server_error", "message": "The demo model has failed."});
            body.insert("error".to_owned(), error);
        }
        _ => {}
    }
    if answer.states_usage {
        body.insert("usage".to_owned(), usage(answer));
    }
    Value::Object(body)
}

fn envelope(answer: &Answer<'_>, status: &str, output: Vec<Value>) -> Map<String, Value> {
    let mut body = Map::new();
    for (field, value) in [
        ("id", Value::from(format!("resp_{}", answer.serial))),
        ("object", Value::from("response")),
        ("created_at", Value::from(answer.now_s)),
        ("status", Value::from(status)),
        ("background", Value::from(false)),
        ("error", Value::Null),
        ("incomplete_details", Value::Null),
        ("instructions", Value::Null),
        ("max_output_tokens", answer.ask.cap.map_or(Value::Null, Value::from)),
        ("model", Value::from(answer.ask.model.as_str())),
        ("output", Value::from(output)),
        ("parallel_tool_calls", Value::from(true)),
        ("previous_response_id", Value::Null),
        ("reasoning", json!({"effort": null, "summary": null})),
        ("service_tier", Value::from("default")),
        ("store", Value::from(false)),
        ("temperature", Value::from(1.0)),
        ("text", json!({"format": {"type": "text"}})),
        ("tool_choice", Value::from("auto")),
        ("tools", json!([])),
        ("top_p", Value::from(1.0)),
        ("truncation", Value::from("disabled")),
        ("usage", Value::Null),
        ("metadata", json!({})),
    ] {
        body.insert(field.to_owned(), value);
    }
    body
}

fn usage(answer: &Answer<'_>) -> Value {
    let (input, output) = (answer.tokens.input(), answer.tokens.completion);
    json!({
        "input_tokens": input,
        // Writes cost what uncached tokens do, so none are told apart.
        "input_tokens_details": {
            "cached_tokens": answer.tokens.cache_read,
            "cache_write_tokens": 0,
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens.min(output)},
        "total_tokens": input + output,
    })
}

/// The reasoning of a model that thinks.
fn thought(answer: &Answer<'_>) -> Option<Value> {
    (answer.reasoning_tokens > 0).then(|| {
        json!({
            "id": format!("rs_{}", answer.serial),
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": THOUGHT}],
            "encrypted_content": format!("sealed-{}", answer.serial),
        })
    })
}

/// Each search, and the page that was opened after it for no fee.
fn searches(answer: &Answer<'_>) -> impl Iterator<Item = Value> {
    let actions = [
        json!({"type": "search", "query": "demo", "queries": ["demo"]}),
        json!({"type": "open_page", "url": "https://demo.invalid/"}),
    ];
    let actions = (0..answer.ask.searches).flat_map(move |_| actions.clone()).enumerate();
    actions.map(|(place, action)| {
        let id = format!("ws_{}_{place}", answer.serial);
        json!({"id": id, "type": "web_search_call", "status": "completed", "action": action})
    })
}

/// The message or the call, complete.
fn item(answer: &Answer<'_>) -> Value {
    let text = answer.generation.text();
    let status = if answer.generation.capped { "incomplete" } else { "completed" };
    let call_id = format!("call_{}", answer.serial);
    match &answer.generation.tool {
        Some(name) if text.starts_with('"') => json!({
            "id": format!("ctc_{}", answer.serial), "type": "custom_tool_call", "status": status,
            "call_id": call_id, "name": name, "input": text.trim_matches('"'),
        }),
        Some(name) => json!({
            "id": format!("fc_{}", answer.serial), "type": "function_call", "status": status,
            "call_id": call_id, "name": name, "arguments": text,
        }),
        None => json!({
            "id": format!("msg_{}", answer.serial), "type": "message", "status": status,
            "role": "assistant", "content": [part(&text)],
        }),
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// A streamed answer.
pub(super) fn frames(answer: &Answer<'_>) -> Frames {
    let mut events = Events::default();
    for kind in ["created", "in_progress"] {
        let response = envelope(answer, "in_progress", Vec::new());
        events.push(kind, json!({"response": response}));
    }
    let mut output = before(answer, &mut events);
    let (item, place) = (item(answer), output.len());
    let id = item.get("id").cloned().unwrap_or_default();
    let at = |more: Value| {
        let mut fields = json!({"item_id": id, "output_index": place});
        if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
            fields.extend(more);
        }
        fields
    };
    let mut begun = item.clone();
    for (field, value) in
        [("status", json!("in_progress")), ("content", json!([])), ("arguments", json!(""))]
    {
        if let Some(slot) = begun.get_mut(field) {
            *slot = value;
        }
    }
    events.push("output_item.added", json!({"output_index": place, "item": begun}));
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    let delta = match kind {
        "function_call" => "function_call_arguments.delta",
        "custom_tool_call" => "custom_tool_call_input.delta",
        _ => "output_text.delta",
    };
    if kind == "message" {
        events.push("content_part.added", at(json!({"content_index": 0, "part": part("")})));
    }
    let head = std::mem::take(&mut events.bytes);
    for piece in &answer.generation.pieces {
        let piece = if kind == "custom_tool_call" { piece.trim_matches('"') } else { piece };
        events.push(
            delta,
            match kind {
                "message" => at(json!({"content_index": 0, "delta": piece, "logprobs": []})),
                _ => at(json!({"delta": piece})),
            },
        );
    }
    let tokens = std::mem::take(&mut events.bytes);
    let text = answer.generation.text();
    match kind {
        "function_call" => {
            let name = item.get("name");
            let done = at(json!({"name": name, "arguments": text}));
            events.push("function_call_arguments.done", done);
        }
        "custom_tool_call" => {
            events.push("custom_tool_call_input.done", at(json!({"input": item.get("input")})));
        }
        _ => {
            let done = json!({"content_index": 0, "text": text, "logprobs": []});
            events.push("output_text.done", at(done));
            let done = json!({"content_index": 0, "part": part(&text)});
            events.push("content_part.done", at(done));
        }
    }
    events.push("output_item.done", json!({"output_index": place, "item": item}));
    output.push(item);
    events.push(status(answer), json!({"response": ended(answer, output)}));
    Frames { head, tokens, tail: events.bytes }
}

/// What stands before the answer: what was thought, and what was looked for.
fn before(answer: &Answer<'_>, events: &mut Events) -> Vec<Value> {
    let mut output = Vec::new();
    if let Some(item) = thought(answer) {
        think(events, &item);
        output.push(item);
    }
    for item in searches(answer) {
        let place = output.len();
        for kind in ["output_item.added", "output_item.done"] {
            events.push(kind, json!({"output_index": place, "item": item}));
        }
        output.push(item);
    }
    output
}

fn think(events: &mut Events, item: &Value) {
    let id = item.get("id");
    let begun = json!({"id": id, "type": "reasoning", "summary": []});
    events.push("output_item.added", json!({"output_index": 0, "item": begun}));
    let place = |field: &str, value: Value| {
        let mut at = json!({"item_id": id, "output_index": 0, "summary_index": 0});
        if let Some(at) = at.as_object_mut() {
            at.insert(field.to_owned(), value);
        }
        at
    };
    let empty = json!({"type": "summary_text", "text": ""});
    events.push("reasoning_summary_part.added", place("part", empty));
    events.push("reasoning_summary_text.delta", place("delta", json!(THOUGHT)));
    events.push("reasoning_summary_text.done", place("text", json!(THOUGHT)));
    let whole = json!({"type": "summary_text", "text": THOUGHT});
    events.push("reasoning_summary_part.done", place("part", whole));
    events.push("output_item.done", json!({"output_index": 0, "item": item}));
}

/// Events with their numbers.
#[derive(Default)]
struct Events {
    sequence: u64,
    bytes: Vec<Bytes>,
}

impl Events {
    fn push(&mut self, kind: &str, fields: Value) {
        let mut event = Map::new();
        event.insert("type".to_owned(), Value::from(format!("response.{kind}")));
        event.insert("sequence_number".to_owned(), Value::from(self.sequence));
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        self.sequence += 1;
        self.bytes.push(named_event(&Value::Object(event)));
    }
}

/// The event of a stream that fails half way.
pub(super) fn stream_error() -> Bytes {
    named_event(&json!({
        "type": "error",
        "code": "server_error",
        "message": "The server had an error while processing your request. Sorry about that!",
        "param": null,
    }))
}
