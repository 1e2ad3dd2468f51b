//! The options of `OpenAI`'s request in Converse's words.

use farebox_core::{ChatCall, Error};
use serde_json::{Map, Value, json};

use super::messages::{self, Turns, cache_point};
use crate::anthropic::{Told, changes_nothing, end_user, told};
use crate::schema::closed;

/// The families of models whose own fields are known, by a part of their ids.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Claude,
    Nova,
    GptOss,
    Other,
}

impl Family {
    fn of(model: &str) -> Self {
        match model {
            _ if model.contains("anthropic.") => Self::Claude,
            _ if model.contains("amazon.nova") => Self::Nova,
            _ if model.contains("openai.gpt-oss") => Self::GptOss,
            _ => Self::Other,
        }
    }
}

/// The body of the request.
pub(super) fn body(call: &ChatCall, model: &str, cap: u64) -> Result<Map<String, Value>, Error> {
    let family = Family::of(model);
    end_user(&call.body)?;
    let Turns { system, messages } = messages::translate(call.messages())?;
    let mut inference = Map::new();
    inference.insert("maxTokens".to_owned(), Value::from(cap));
    let mut own = Map::new();
    let mut body = Map::new();
    body.insert("messages".to_owned(), Value::from(messages));
    if !system.is_empty() {
        body.insert("system".to_owned(), Value::from(system));
    }
    for (field, value) in &call.body {
        match field.as_str() {
            // Read elsewhere; labels stay with Farebox.
            "messages" | "tools" | "tool_choice" | "modalities" | "user" | "safety_identifier"
            | "metadata" | "reasoning_effort" => {}
            "parallel_tool_calls" if value == &Value::Bool(true) => {}
            "temperature" => drop(inference.insert("temperature".to_owned(), value.clone())),
            "top_p" => drop(inference.insert("topP".to_owned(), value.clone())),
            "stop" => {
                let stop = if value.is_string() { json!([value]) } else { value.clone() };
                inference.insert("stopSequences".to_owned(), stop);
            }
            "top_k" if value.as_i64() == Some(-1) => {}
            "top_k" => top_k(family, value, &mut own)?,
            "response_format" => {
                if let Some(format) = format(value)? {
                    body.insert("outputConfig".to_owned(), format);
                }
            }
            field if changes_nothing(field, value) => {}
            field => return Err(inexpressible(field)),
        }
    }
    effort(family, call, model, cap, &mut own)?;
    if let Some(tools) = tools(call)? {
        body.insert("toolConfig".to_owned(), tools);
    }
    body.insert("inferenceConfig".to_owned(), Value::from(inference));
    if !own.is_empty() {
        body.insert("additionalModelRequestFields".to_owned(), Value::from(own));
    }
    Ok(body)
}

fn inexpressible(field: &str) -> Error {
    let rule = "has no counterpart in Bedrock's Converse: leave it out for this model";
    Error::malformed(field, rule)
}

fn top_k(family: Family, value: &Value, own: &mut Map<String, Value>) -> Result<(), Error> {
    match family {
        Family::Claude => own.insert("top_k".to_owned(), value.clone()),
        // Recorded: {"inferenceConfig": {"topK": 5}}.
        Family::Nova => own.insert("inferenceConfig".to_owned(), json!({"topK": value})),
        Family::GptOss | Family::Other => return Err(inexpressible("top_k")),
    };
    Ok(())
}

/// How hard the model thinks, in its family's own field.
fn effort(
    family: Family,
    call: &ChatCall,
    model: &str,
    cap: u64,
    own: &mut Map<String, Value>,
) -> Result<(), Error> {
    let field = call.effort_field();
    if family == Family::Claude {
        let Told { thinking, effort } = told(call, model, cap)?;
        let effort = effort.map(|effort| json!({"effort": effort}));
        let said = [("thinking", thinking), ("output_config", effort)];
        let said = said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        own.extend(said);
        return Ok(());
    }
    let Some(effort) = call.effort() else { return Ok(()) };
    let (name, said) = match (family, effort) {
        (Family::Nova, "none") => ("reasoningConfig", json!({"type": "disabled"})),
        (Family::Nova, "low" | "medium") => {
            ("reasoningConfig", json!({"type": "enabled", "maxReasoningEffort": effort}))
        }
        // "maxTokens must be unset when maxReasoningEffort is high" (docs.aws.amazon.com/nova,
        // using extended thinking, read 2026-11): such an answer has no cap.
        (Family::Nova, "high" | "xhigh" | "max") => {
            return Err(Error::UnboundedCall {
                field: field.to_owned(),
                hint: "Nova takes no cap at this effort: send low or medium.".to_owned(),
            });
        }
        (Family::GptOss, "low" | "medium" | "high") => ("reasoning_effort", Value::from(effort)),
        (Family::Nova | Family::GptOss, _) => {
            let rule = "must be low, medium or high (Nova: none, low or medium)";
            return Err(Error::malformed(field, rule));
        }
        (Family::Claude | Family::Other, _) => return Err(inexpressible(field)),
    };
    own.insert(name.to_owned(), said);
    Ok(())
}

fn format(value: &Value) -> Result<Option<Value>, Error> {
    match value.get("type").and_then(Value::as_str) {
        Some("text") => Ok(None),
        Some("json_schema") => {
            let schema = value.pointer("/json_schema/schema").filter(|schema| schema.is_object());
            let Some(schema) = schema else {
                let rule = "must be a JSON schema object";
                return Err(Error::malformed("response_format.json_schema.schema", rule));
            };
            let name = value.pointer("/json_schema/name").and_then(Value::as_str);
            // Recorded: the schema as text.
            let schema =
                json!({"schema": closed(schema).to_string(), "name": name.unwrap_or("response")});
            let structure = json!({"jsonSchema": schema});
            Ok(Some(json!({"textFormat": {"type": "json_schema", "structure": structure}})))
        }
        _ => {
            let rule = "must be text or json_schema for a model of Bedrock";
            Err(Error::malformed("response_format.type", rule))
        }
    }
}

fn tools(call: &ChatCall) -> Result<Option<Value>, Error> {
    let tools = call.body.get("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty());
    let choice = call.body.get("tool_choice");
    let Some(tools) = tools else {
        let asks = choice.is_some_and(|choice| !matches!(choice.as_str(), Some("auto" | "none")));
        let rule = "is allowed only with tools";
        return if asks { Err(Error::malformed("tool_choice", rule)) } else { Ok(None) };
    };
    let mut translated = Vec::new();
    for tool in tools {
        let function = tool.get("function").unwrap_or(&Value::Null);
        translated.push(json!({"toolSpec": specification(function)}));
        translated.extend(cache_point(tool).or_else(|| cache_point(function)));
    }
    let mut config = Map::new();
    config.insert("tools".to_owned(), Value::from(translated));
    if let Some(choice) = choice {
        if choice.as_str() == Some("none") {
            // Without its tools a conversation that used some is refused, so they are left out
            // only where none was used.
            return if uses_tools(call) { Err(inexpressible("tool_choice")) } else { Ok(None) };
        }
        config.insert("toolChoice".to_owned(), translate_choice(choice)?);
    }
    Ok(Some(Value::from(config)))
}

fn uses_tools(call: &ChatCall) -> bool {
    call.messages().iter().any(|message| message.get("tool_calls").is_some_and(Value::is_array))
}

fn specification(function: &Value) -> Map<String, Value> {
    let given = |field: &str| function.get(field).filter(|value| !value.is_null());
    let mut out = Map::new();
    out.insert("name".to_owned(), given("name").cloned().unwrap_or_default());
    if let Some(description) = given("description").filter(|text| text.as_str() != Some("")) {
        out.insert("description".to_owned(), description.clone());
    }
    let schema = given("parameters").cloned();
    let schema = schema.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    out.insert("inputSchema".to_owned(), json!({"json": schema}));
    if given("strict") == Some(&Value::Bool(true)) {
        out.insert("strict".to_owned(), Value::from(true));
    }
    out
}

fn translate_choice(choice: &Value) -> Result<Value, Error> {
    let name = choice.pointer("/function/name").and_then(Value::as_str);
    let kind = choice.get("type").and_then(Value::as_str);
    match (choice.as_str(), kind, name) {
        (Some("auto"), ..) => Ok(json!({"auto": {}})),
        (Some("required"), ..) => Ok(json!({"any": {}})),
        (None, Some("function"), Some(name)) => Ok(json!({"tool": {"name": name}})),
        _ => {
            let rule = "must be auto, none, required or {type: function, function: {name}}";
            Err(Error::malformed("tool_choice", rule))
        }
    }
}
