//! The options of `OpenAI`'s request in Anthropic's words.

use farebox_core::{ChatCall, Error};
use serde_json::{Map, Value, json};

use super::messages::{self, Turns};
use super::thinking::{Told, told};
use crate::schema::closed;

/// The body of the request.
pub(super) fn body(
    call: &ChatCall,
    model: &str,
    cap: u64,
    stream: bool,
) -> Result<Map<String, Value>, Error> {
    let Turns { system, messages } = messages::translate(call.messages())?;
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(model));
    body.insert("max_tokens".to_owned(), Value::from(cap));
    if !system.is_empty() {
        body.insert("system".to_owned(), Value::from(system));
    }
    body.insert("messages".to_owned(), Value::from(messages));
    for (field, value) in &call.body {
        option(&mut body, field, value)?;
    }
    let Told { thinking, effort } = told(call, model, cap)?;
    if let Some(thinking) = thinking {
        body.insert("thinking".to_owned(), thinking);
    }
    if let Some(effort) = effort {
        set_output(&mut body, "effort", effort);
    }
    add_tools(&mut body, &call.body)?;
    if let Some(id) = end_user(&call.body)? {
        body.insert("metadata".to_owned(), json!({"user_id": id}));
    }
    // `auto` may use committed capacity, which is billed otherwise.
    body.insert("service_tier".to_owned(), Value::from("standard_only"));
    if stream {
        body.insert("stream".to_owned(), Value::from(true));
    }
    Ok(body)
}

/// The value of an option that changes nothing, so that it may be left out.
enum Neutral {
    Never,
    False,
    Number(i32),
    Empty,
}

/// What Anthropic's format has no word for.
const INEXPRESSIBLE: &[(&str, Neutral)] = &[
    ("n", Neutral::Number(1)),
    ("logprobs", Neutral::False),
    ("top_logprobs", Neutral::Number(0)),
    ("logit_bias", Neutral::Empty),
    ("presence_penalty", Neutral::Number(0)),
    ("frequency_penalty", Neutral::Number(0)),
    ("repetition_penalty", Neutral::Number(1)),
    ("min_p", Neutral::Number(0)),
    ("top_k", Neutral::Number(-1)),
    ("store", Neutral::False),
    ("seed", Neutral::Never),
    ("verbosity", Neutral::Never),
    ("prompt_cache_key", Neutral::Never),
];

/// Whether an option that a format has no word for changes nothing at this value.
pub(crate) fn changes_nothing(field: &str, value: &Value) -> bool {
    let row = INEXPRESSIBLE.iter().find(|(name, _)| *name == field);
    row.is_some_and(|(_, neutral)| is_neutral(neutral, value))
}

fn is_neutral(neutral: &Neutral, value: &Value) -> bool {
    match neutral {
        Neutral::Never => false,
        Neutral::False => value == &Value::Bool(false),
        Neutral::Number(number) => value.as_f64() == Some(f64::from(*number)),
        Neutral::Empty => value.as_object().is_some_and(Map::is_empty),
    }
}

fn inexpressible(field: &str) -> Error {
    Error::malformed(field, "has no counterpart in Anthropic's API: leave it out for this model")
}

fn option(body: &mut Map<String, Value>, field: &str, value: &Value) -> Result<(), Error> {
    match field {
        // Read elsewhere, or allowed only in the one form that is the default.
        "messages"
        | "tools"
        | "tool_choice"
        | "parallel_tool_calls"
        | "user"
        | "safety_identifier"
        | "metadata"
        | "reasoning_effort"
        | "modalities" => {}
        "temperature" if value.as_f64().is_none_or(|number| number > 1.0) => {
            return Err(Error::malformed(field, "must be from 0 to 1 for an Anthropic model"));
        }
        "top_k" if value.as_i64() == Some(-1) => {}
        "temperature" | "top_p" | "top_k" => {
            body.insert(field.to_owned(), value.clone());
        }
        "stop" => {
            let stop = if value.is_string() { json!([value]) } else { value.clone() };
            body.insert("stop_sequences".to_owned(), stop);
        }
        "response_format" => format(body, value)?,
        _ => {
            if !changes_nothing(field, value) {
                return Err(inexpressible(field));
            }
        }
    }
    Ok(())
}

/// `output_config`, which effort and format share.
fn set_output(body: &mut Map<String, Value>, field: &str, value: Value) {
    let config = body.entry("output_config").or_insert_with(|| Value::Object(Map::new()));
    if let Some(config) = config.as_object_mut() {
        config.insert(field.to_owned(), value);
    }
}

fn format(body: &mut Map<String, Value>, value: &Value) -> Result<(), Error> {
    match value.get("type").and_then(Value::as_str) {
        Some("text") => Ok(()),
        Some("json_schema") => {
            let schema = value.pointer("/json_schema/schema").filter(|schema| schema.is_object());
            let Some(schema) = schema else {
                let rule = "must be a JSON schema object";
                return Err(Error::malformed("response_format.json_schema.schema", rule));
            };
            let schema = closed(schema);
            set_output(body, "format", json!({"type": "json_schema", "schema": schema}));
            Ok(())
        }
        _ => {
            let rule = "must be text or json_schema for an Anthropic model";
            Err(Error::malformed("response_format.type", rule))
        }
    }
}

fn add_tools(body: &mut Map<String, Value>, call: &Map<String, Value>) -> Result<(), Error> {
    let tools = call.get("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty());
    let choice = call.get("tool_choice");
    let serial = call.get("parallel_tool_calls") == Some(&Value::Bool(false));
    let Some(tools) = tools else {
        let asks = choice.is_some_and(|choice| !matches!(choice.as_str(), Some("auto" | "none")));
        return if asks {
            Err(Error::malformed("tool_choice", "is allowed only with tools"))
        } else {
            Ok(())
        };
    };
    let mut translated = Vec::with_capacity(tools.len());
    for tool in tools {
        translated.push(translate_tool(tool));
    }
    body.insert("tools".to_owned(), Value::from(translated));
    let mut chosen = match choice {
        None if !serial => return Ok(()),
        None => json!({"type": "auto"}),
        Some(choice) => translate_choice(choice)?,
    };
    if serial
        && chosen.get("type").and_then(Value::as_str) != Some("none")
        && let Some(chosen) = chosen.as_object_mut()
    {
        chosen.insert("disable_parallel_tool_use".to_owned(), Value::from(true));
    }
    body.insert("tool_choice".to_owned(), chosen);
    Ok(())
}

fn translate_tool(tool: &Value) -> Value {
    let function = tool.get("function").unwrap_or(&Value::Null);
    let given = |field: &str| function.get(field).filter(|value| !value.is_null());
    let mut out = Map::new();
    out.insert("name".to_owned(), given("name").cloned().unwrap_or_default());
    if let Some(description) = given("description") {
        out.insert("description".to_owned(), description.clone());
    }
    let schema = given("parameters").cloned();
    let schema = schema.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    out.insert("input_schema".to_owned(), schema);
    if given("strict") == Some(&Value::Bool(true)) {
        out.insert("strict".to_owned(), Value::from(true));
    }
    if let Some(control) = messages::cache_control(tool).or(messages::cache_control(function)) {
        out.insert("cache_control".to_owned(), control.clone());
    }
    Value::Object(out)
}

fn translate_choice(choice: &Value) -> Result<Value, Error> {
    let name = choice.pointer("/function/name").and_then(Value::as_str);
    let kind = choice.get("type").and_then(Value::as_str);
    match (choice.as_str(), kind, name) {
        (Some("auto"), ..) => Ok(json!({"type": "auto"})),
        (Some("none"), ..) => Ok(json!({"type": "none"})),
        (Some("required"), ..) => Ok(json!({"type": "any"})),
        (None, Some("function"), Some(name)) => Ok(json!({"type": "tool", "name": name})),
        _ => {
            let rule = "must be auto, none, required or {type: function, function: {name}}";
            Err(Error::malformed("tool_choice", rule))
        }
    }
}

/// The id of the end user, for which `OpenAI` has had three places. Other formats have one at most,
/// and so has the log: of two that differ one would be lost.
pub(crate) fn end_user(call: &Map<String, Value>) -> Result<Option<&str>, Error> {
    let mut id = None;
    for field in ["user", "safety_identifier"] {
        take_user(&mut id, field, call.get(field))?;
    }
    if let Some(metadata) = call.get("metadata").and_then(Value::as_object) {
        // The other pairs are labels of the call and stay with Farebox.
        take_user(&mut id, "metadata.user_id", metadata.get("user_id"))?;
    }
    Ok(id)
}

fn take_user<'a>(
    id: &mut Option<&'a str>,
    field: &str,
    value: Option<&'a Value>,
) -> Result<(), Error> {
    let Some(value) = value else { return Ok(()) };
    let Some(text) = value.as_str() else {
        return Err(Error::malformed(field, "must be a text"));
    };
    match id {
        Some(earlier) if *earlier != text => {
            Err(Error::malformed(field, "differs from the other id of the user: send one"))
        }
        _ => {
            *id = Some(text);
            Ok(())
        }
    }
}
