//! `OpenAI`'s request in Cohere's words.

use farebox_core::chat::Thinking;
use farebox_core::{ChatCall, Error};
use serde_json::{Map, Value, json};

use crate::anthropic::{changes_nothing, end_user};
use crate::media::without_detail;

/// Options that have another name here, and those that keep theirs.
const NAMES: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("top_p", "p"),
    ("seed", "seed"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
];

/// The body of the request.
pub(super) fn body(
    call: &ChatCall,
    model: &str,
    cap: u64,
    stream: bool,
) -> Result<Map<String, Value>, Error> {
    end_user(&call.body)?;
    let messages = call.messages().iter().enumerate();
    let messages = messages.map(|(place, message)| turn(&format!("messages[{place}]"), message));
    let messages: Vec<Value> = messages.collect::<Result<_, _>>()?;
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(model));
    body.insert("max_tokens".to_owned(), Value::from(cap));
    body.insert("messages".to_owned(), Value::from(messages));
    body.insert("stream".to_owned(), Value::from(stream));
    for (field, value) in &call.body {
        option(&mut body, field, value)?;
    }
    if let Some(effort) = call.effort() {
        body.insert("thinking".to_owned(), thinking(call, effort)?);
    }
    if is_strict(call)? {
        body.insert("strict_tools".to_owned(), Value::from(true));
    }
    Ok(body)
}

fn option(body: &mut Map<String, Value>, field: &str, value: &Value) -> Result<(), Error> {
    let rule = "has no counterpart in Cohere's API: leave it out for this model";
    let (name, said) = match field {
        // Read elsewhere; labels stay with Farebox.
        "messages" | "modalities" | "user" | "safety_identifier" | "metadata"
        | "reasoning_effort" => return Ok(()),
        "parallel_tool_calls" if value == &Value::Bool(true) => return Ok(()),
        "top_k" if value.as_i64() == Some(-1) => return Ok(()),
        "top_k" => ("k", value.clone()),
        "stop" if value.is_string() => ("stop_sequences", json!([value])),
        "stop" => ("stop_sequences", value.clone()),
        "tools" => ("tools", Value::from(tools(value))),
        "tool_choice" => match value.as_str() {
            Some("auto") => return Ok(()),
            Some("none") => ("tool_choice", Value::from("NONE")),
            Some("required") => ("tool_choice", Value::from("REQUIRED")),
            _ => {
                let rule = "must be auto, none or required for a Cohere model";
                return Err(Error::malformed("tool_choice", rule));
            }
        },
        "response_format" => match value.get("type").and_then(Value::as_str) {
            Some("text") => return Ok(()),
            Some("json_object") => ("response_format", json!({"type": "json_object"})),
            _ => {
                let schema = value.pointer("/json_schema/schema").filter(|one| one.is_object());
                let rule = "must be a JSON schema object";
                let schema = schema
                    .ok_or_else(|| Error::malformed("response_format.json_schema.schema", rule))?;
                ("response_format", json!({"type": "json_object", "json_schema": schema}))
            }
        },
        field => match NAMES.iter().find(|(name, _)| *name == field) {
            Some((_, name)) => (*name, value.clone()),
            None if changes_nothing(field, value) => return Ok(()),
            None => return Err(Error::malformed(field, rule)),
        },
    };
    body.insert(name.to_owned(), said);
    Ok(())
}

/// The model has one way to think, and a budget ends it (docs.cohere.com/docs/reasoning,
/// `token_budget`): `high` has none.
fn thinking(call: &ChatCall, effort: &str) -> Result<Value, Error> {
    let budget = call.thinking.tokens(effort);
    match (effort, budget, call.thinking) {
        ("none", ..) => Ok(json!({"type": "disabled"})),
        ("high", _, Thinking::Unsaid) => Ok(json!({"type": "enabled"})),
        (_, Some(budget), _) => Ok(json!({"type": "enabled", "token_budget": budget})),
        _ => {
            let rule = "must be none, minimal, low, medium or high for a Cohere model";
            Err(Error::malformed(call.effort_field(), rule))
        }
    }
}

/// Whether calls must fit their schemas: said of all tools at once (docs.cohere.com/v2/reference/
/// chat, `strict_tools`).
fn is_strict(call: &ChatCall) -> Result<bool, Error> {
    let tools = call.body.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let strict = |tool: &Value| tool.pointer("/function/strict") == Some(&Value::Bool(true));
    let any = tools.iter().any(strict);
    match tools.iter().position(|tool| !strict(tool)).filter(|_| any) {
        None => Ok(any),
        Some(place) => {
            let rule =
                "a Cohere model is strict with all tools or with none: send the same for each";
            Err(Error::malformed(format!("tools[{place}].function.strict"), rule))
        }
    }
}

/// The tools without what only other formats know.
fn tools(tools: &Value) -> Vec<Value> {
    let tools = tools.as_array().into_iter().flatten();
    tools
        .map(|tool| {
            let mut function = tool.get("function").cloned().unwrap_or_default();
            if let Some(function) = function.as_object_mut() {
                function.retain(|name, value| {
                    ["name", "description", "parameters"].contains(&name.as_str())
                        && !value.is_null()
                });
                function.entry("parameters").or_insert_with(|| json!({"type": "object"}));
            }
            json!({"type": "function", "function": function})
        })
        .collect()
}

fn turn(field: &str, message: &Value) -> Result<Value, Error> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
    for absent in ["name", "audio", "function_call"] {
        if message.get(absent).is_some_and(|value| !value.is_null()) {
            let rule = "has no counterpart in Cohere's API: leave it out";
            return Err(Error::malformed(format!("{field}.{absent}"), rule));
        }
    }
    let role = if role == "developer" { "system" } else { role };
    let mut turn = Map::new();
    turn.insert("role".to_owned(), Value::from(role));
    let said = content(field, message, role == "user")?;
    let calls = message.get("tool_calls").and_then(Value::as_array);
    match calls.filter(|calls| !calls.is_empty()) {
        // What a model says before its calls is its plan.
        Some(calls) => {
            let plan: String = said.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            if !plan.is_empty() {
                turn.insert("tool_plan".to_owned(), Value::from(plan));
            }
            turn.insert("tool_calls".to_owned(), Value::from(calls.clone()));
        }
        None => drop(turn.insert("content".to_owned(), Value::from(said))),
    }
    if role == "assistant"
        && let Some(thought) = message.get("reasoning_content").and_then(Value::as_str)
        && !thought.is_empty()
    {
        // docs.cohere.com/docs/reasoning: a turn with calls has its thoughts in its content too.
        let mut parts = vec![json!({"type": "thinking", "thinking": thought})];
        let said = turn.get_mut("content").and_then(Value::as_array_mut);
        parts.extend(said.into_iter().flat_map(std::mem::take));
        turn.insert("content".to_owned(), Value::from(parts));
    }
    if role == "tool" {
        let id = message.get("tool_call_id").cloned().unwrap_or_default();
        turn.insert("tool_call_id".to_owned(), id);
    }
    Ok(Value::Object(turn))
}

fn content(field: &str, message: &Value, media: bool) -> Result<Vec<Value>, Error> {
    let mut parts = Vec::new();
    match message.get("content") {
        Some(Value::String(text)) => parts.push(json!({"type": "text", "text": text})),
        Some(Value::Array(given)) => {
            for (place, part) in given.iter().enumerate() {
                let text = |at: &str| part.pointer(at).and_then(Value::as_str).unwrap_or_default();
                parts.push(match text("/type") {
                    "text" => json!({"type": "text", "text": text("/text")}),
                    "refusal" => json!({"type": "text", "text": text("/refusal")}),
                    "image_url" if media => {
                        without_detail(&format!("{field}.content[{place}]"), part)?;
                        json!({"type": "image_url", "image_url": {"url": text("/image_url/url")}})
                    }
                    _ => {
                        let rule = "this kind of content has no place here in Cohere's API";
                        return Err(Error::malformed(
                            format!("{field}.content[{place}].type"),
                            rule,
                        ));
                    }
                });
            }
        }
        _ => {}
    }
    if let Some(refusal) = message.get("refusal").and_then(Value::as_str)
        && !refusal.is_empty()
    {
        parts.push(json!({"type": "text", "text": refusal}));
    }
    Ok(parts)
}
