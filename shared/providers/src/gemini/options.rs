//! The options of `OpenAI`'s request in Gemini's words.

use farebox_core::{ChatCall, Error};
use serde_json::{Map, Value, json};

use super::contents::{self, Dialect, Turns};
use crate::anthropic::end_user;

/// The body of the request.
pub(super) fn body(
    call: &ChatCall,
    dialect: Dialect<'_>,
    cap: u64,
) -> Result<Map<String, Value>, Error> {
    end_user(&call.body)?;
    let Turns { system, contents } = contents::translate(call.messages(), dialect)?;
    let mut body = Map::new();
    body.insert("contents".to_owned(), Value::from(contents));
    if !system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({"parts": system}));
    }
    add_tools(&mut body, &call.body)?;
    let mut config = Map::new();
    for (field, value) in &call.body {
        option(&mut config, field, value)?;
    }
    if let Some(thinking) = thinking(call, dialect)? {
        config.insert("thinkingConfig".to_owned(), thinking);
    }
    config.insert("maxOutputTokens".to_owned(), Value::from(cap));
    body.insert("generationConfig".to_owned(), Value::from(config));
    Ok(body)
}

/// What is passed on under another name.
const RENAMED: [(&str, &str); 8] = [
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("n", "candidateCount"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("logprobs", "responseLogprobs"),
    ("top_logprobs", "logprobs"),
];

/// What needs no counterpart: read elsewhere, or a label of the call that stays with Farebox.
const ELSEWHERE: [&str; 9] = [
    "messages",
    "reasoning_effort",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "user",
    "safety_identifier",
    "metadata",
    "modalities",
];

/// Whether a value changes nothing, so that an option without a counterpart may be left out.
fn is_neutral(field: &str, value: &Value) -> bool {
    match field {
        "logit_bias" => value.as_object().is_some_and(Map::is_empty),
        "repetition_penalty" => value.as_f64() == Some(1.0),
        "min_p" => value.as_f64() == Some(0.0),
        "store" => value == &Value::Bool(false),
        _ => false,
    }
}

fn option(config: &mut Map<String, Value>, field: &str, value: &Value) -> Result<(), Error> {
    if ELSEWHERE.contains(&field) || (field == "top_k" && value.as_i64() == Some(-1)) {
        return Ok(());
    }
    if let Some((_, name)) = RENAMED.iter().find(|(from, _)| *from == field) {
        config.insert((*name).to_owned(), value.clone());
        return Ok(());
    }
    match field {
        "seed" => {
            // The API's type is int32.
            if value.as_i64().and_then(|seed| i32::try_from(seed).ok()).is_none() {
                let rule = "must be from -2147483648 to 2147483647 for a Gemini model";
                return Err(Error::malformed(field, rule));
            }
            config.insert(field.to_owned(), value.clone());
        }
        "stop" => {
            let stop = if value.is_string() { json!([value]) } else { value.clone() };
            config.insert("stopSequences".to_owned(), stop);
        }
        "response_format" => format(config, value)?,
        _ if is_neutral(field, value) => {}
        _ => {
            let rule = "has no counterpart in Gemini's API: leave it out for this model";
            return Err(Error::malformed(field, rule));
        }
    }
    Ok(())
}

/// The most that every model with budgets takes.
const BUDGET_MAX: u64 = 24_576;

/// The effort as a level since Gemini 3, as a budget before (ai.google.dev/gemini-api/docs/openai,
/// the table of `reasoning_effort`; read 2026-11). What was thought comes back as a summary.
fn thinking(call: &ChatCall, dialect: Dialect<'_>) -> Result<Option<Value>, Error> {
    let Some(effort) = call.effort() else { return Ok(None) };
    let refused = |rule: &str| Err(Error::malformed(call.effort_field(), rule));
    let generation = dialect.generation();
    let is_old = generation == 1 || dialect.model.starts_with("gemini-2.0");
    match effort {
        // Where a name tells no generation it may think, and a level is the current word for it.
        "none" if is_old => Ok(None),
        _ if is_old => refused("this model does not think: leave it out, or send none"),
        "none" if generation == 2 && !dialect.model.contains("-pro") => {
            Ok(Some(json!({"thinkingBudget": 0})))
        }
        "none" => refused("thinking cannot be switched off for this model: send low or minimal"),
        "minimal" | "low" | "medium" | "high" if generation == 2 => {
            let budget = call.thinking.tokens(effort).map(|tokens| tokens.min(BUDGET_MAX));
            Ok(Some(json!({"thinkingBudget": budget, "includeThoughts": true})))
        }
        "minimal" | "low" | "medium" | "high" => {
            Ok(Some(json!({"thinkingLevel": effort, "includeThoughts": true})))
        }
        _ => refused("must be none, minimal, low, medium or high for a Gemini model"),
    }
}

fn format(config: &mut Map<String, Value>, value: &Value) -> Result<(), Error> {
    let kind = value.get("type").and_then(Value::as_str);
    if kind == Some("text") {
        return Ok(());
    }
    config.insert("responseMimeType".to_owned(), Value::from("application/json"));
    match kind {
        Some("json_object") => Ok(()),
        Some("json_schema") => {
            let schema = value.pointer("/json_schema/schema").filter(|schema| schema.is_object());
            let Some(schema) = schema else {
                let rule = "must be a JSON schema object";
                return Err(Error::malformed("response_format.json_schema.schema", rule));
            };
            config.insert("responseJsonSchema".to_owned(), schema.clone());
            Ok(())
        }
        _ => {
            let rule = "must be text, json_object or json_schema";
            Err(Error::malformed("response_format.type", rule))
        }
    }
}

fn add_tools(body: &mut Map<String, Value>, call: &Map<String, Value>) -> Result<(), Error> {
    if call.get("parallel_tool_calls") == Some(&Value::Bool(false)) {
        let rule = "a Gemini model may always call several tools at once: leave it out";
        return Err(Error::malformed("parallel_tool_calls", rule));
    }
    let tools = call.get("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty());
    let choice = call.get("tool_choice");
    let Some(tools) = tools else {
        let asks = choice.is_some_and(|choice| !matches!(choice.as_str(), Some("auto" | "none")));
        let rule = "is allowed only with tools";
        return if asks { Err(Error::malformed("tool_choice", rule)) } else { Ok(()) };
    };
    let declarations: Vec<Value> = tools.iter().map(declaration).collect();
    body.insert("tools".to_owned(), json!([{"functionDeclarations": declarations}]));
    let strict = |tool: &Value| tool.pointer("/function/strict") == Some(&Value::Bool(true));
    let choice = match choice {
        // The mode in which a call must fit its schema, and need not be made.
        None if tools.iter().any(strict) => json!({"mode": "VALIDATED"}),
        None => return Ok(()),
        Some(choice) => translate_choice(choice, tools.iter().any(strict))?,
    };
    body.insert("toolConfig".to_owned(), json!({"functionCallingConfig": choice}));
    Ok(())
}

fn declaration(tool: &Value) -> Value {
    let function = tool.get("function").unwrap_or(&Value::Null);
    let mut out = Map::new();
    for (from, to) in
        [("name", "name"), ("description", "description"), ("parameters", "parametersJsonSchema")]
    {
        if let Some(value) = function.get(from).filter(|value| !value.is_null()) {
            out.insert(to.to_owned(), value.clone());
        }
    }
    Value::Object(out)
}

fn translate_choice(choice: &Value, strict: bool) -> Result<Value, Error> {
    let name = choice.pointer("/function/name").and_then(Value::as_str);
    let kind = choice.get("type").and_then(Value::as_str);
    match (choice.as_str(), kind, name) {
        (Some("auto"), ..) => Ok(json!({"mode": if strict { "VALIDATED" } else { "AUTO" }})),
        (Some("none"), ..) => Ok(json!({"mode": "NONE"})),
        (Some("required"), ..) => Ok(json!({"mode": "ANY"})),
        (None, Some("function"), Some(name)) => {
            Ok(json!({"mode": "ANY", "allowedFunctionNames": [name]}))
        }
        _ => {
            let rule = "must be auto, none, required or {type: function, function: {name}}";
            Err(Error::malformed("tool_choice", rule))
        }
    }
}
