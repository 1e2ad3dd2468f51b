//! A body of the Messages API in the shape in which all dialects and providers meet.
//!
//! A provider that speaks Messages gets the caller's own body; this translation is for all
//! others. What it cannot carry is remembered, and refused by name where it would be needed.

use farebox_core::chat::{Thinking, Written, object, take_text};
use farebox_core::{ChatCall, Error, Format};
use serde_json::{Map, Value, json};

use super::blocks::{Turn, turn};
use crate::dialect::another;

/// The longest id of an end user that other providers take.
const USER_BYTES_MAX: usize = 64;

/// What could not be said in the common shape: the first of it, and wishes.
#[derive(Default)]
pub(super) struct Beyond(Option<Box<Error>>, Vec<&'static str>);

impl Beyond {
    /// Remembers a field that only a provider of the same format understands.
    pub(super) fn note(&mut self, field: impl Into<String>) {
        self.fault(field, "only Anthropic's models take this: leave it out for this model");
    }

    /// Remembers what is wrong with a field, which is told where it would be translated.
    fn fault(&mut self, field: impl Into<String>, rule: &str) {
        self.0.get_or_insert_with(|| Box::new(Error::malformed(field, rule)));
    }

    /// Remembers the first field inside another that nobody here knows.
    fn others(&mut self, field: &str, value: &Value, known: &[&str]) {
        if let Some(name) = another(value, known) {
            self.note(format!("{field}.{name}"));
        }
    }

    /// Remembers what a call means the same without.
    pub(super) fn wish(&mut self, name: &'static str) {
        if !self.1.contains(&name) {
            self.1.push(name);
        }
    }
}

/// Reads a body.
pub(super) fn call(bytes: &[u8]) -> Result<ChatCall, Error> {
    let mut original = object(bytes)?;
    let model = take_text(&mut original, "model", "")?;
    let mut beyond = Beyond::default();
    let mut body = Map::new();
    let mut messages = Vec::new();
    system(original.get("system"), &mut messages, &mut beyond)?;
    turns(original.get("messages"), &mut messages, &mut beyond)?;
    body.insert("messages".to_owned(), Value::from(messages));
    for (field, value) in &original {
        if !value.is_null() {
            option(&mut body, field, value, &mut beyond)?;
        }
    }
    let thinking = thinking(&mut body, original.get("thinking"), &mut beyond);
    let written = Written::of(bytes, &original);
    let call = ChatCall::translated(Format::Messages, model, body, original)?;
    Ok(ChatCall { beyond: beyond.0, wishes: beyond.1, thinking, written, ..call })
}

/// A budget is an effort too, and none is none; what an effort says beside it goes first.
fn thinking(body: &mut Map<String, Value>, value: Option<&Value>, beyond: &mut Beyond) -> Thinking {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Thinking::Unsaid };
    beyond.others("thinking", value, &["type", "budget_tokens", "display"]);
    if value.get("display").is_some_and(|display| !display.is_null()) {
        beyond.wish("thinking.display");
    }
    let budget = value.get("budget_tokens").and_then(Value::as_u64);
    let thinking = match (value.get("type").and_then(Value::as_str), budget) {
        (Some("disabled"), _) => Thinking::Tokens(0),
        (Some("enabled"), Some(tokens)) if tokens > 0 => Thinking::Tokens(tokens),
        // The effort says all of it.
        (Some("adaptive"), _) if body.contains_key("reasoning_effort") => Thinking::Unsaid,
        (Some("adaptive"), _) => Thinking::Free,
        _ => {
            beyond.note("thinking");
            Thinking::Unsaid
        }
    };
    if let Some(effort) = thinking.effort() {
        let given = body.entry("reasoning_effort").or_insert_with(|| Value::from(effort));
        if thinking == Thinking::Tokens(0) {
            *given = Value::from(effort);
        }
    }
    thinking
}

fn system(
    system: Option<&Value>,
    messages: &mut Vec<Value>,
    beyond: &mut Beyond,
) -> Result<(), Error> {
    let content = match system {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(text)) if text.is_empty() => return Ok(()),
        Some(Value::String(text)) => Value::from(text.as_str()),
        Some(Value::Array(_)) => {
            let Turn { parts, .. } = turn("system", "user", system, beyond)?;
            if parts.is_empty() {
                return Ok(());
            }
            Value::from(parts)
        }
        Some(_) => return Err(Error::malformed("system", "must be a text or an array of blocks")),
    };
    messages.push(json!({"role": "system", "content": content}));
    Ok(())
}

fn turns(
    given: Option<&Value>,
    messages: &mut Vec<Value>,
    beyond: &mut Beyond,
) -> Result<(), Error> {
    let Some(Value::Array(given)) = given else {
        return Err(Error::malformed("messages", "must be an array of messages"));
    };
    if given.is_empty() {
        return Err(Error::malformed("messages", "must hold at least one message"));
    }
    for (place, message) in given.iter().enumerate() {
        let field = format!("messages[{place}]");
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if !["user", "assistant", "system"].contains(&role) {
            let rule = "must be user, assistant or system";
            return Err(Error::malformed(format!("{field}.role"), rule));
        }
        let content = format!("{field}.content");
        let turn = turn(&content, role, message.get("content"), beyond)?;
        turn.into_messages(role, messages);
    }
    Ok(())
}

fn option(
    body: &mut Map<String, Value>,
    field: &str,
    value: &Value,
    beyond: &mut Beyond,
) -> Result<(), Error> {
    match field {
        // Read elsewhere.
        "messages" | "system" | "model" | "thinking" => {}
        // Wishes: caching is the provider's own affair, and what an edit would have cleared is sent
        // and held for.
        "cache_control" => beyond.wish("cache_control"),
        "context_management" => beyond.wish("context_management"),
        // Anywhere is where other models run. A place is a demand.
        "inference_geo" if value == "global" => {}
        "speed" if value == "standard" => {}
        "max_tokens" | "temperature" | "top_p" | "top_k" | "stream" => {
            body.insert(field.to_owned(), value.clone());
        }
        "stop_sequences" => {
            let empty = value.as_array().is_some_and(Vec::is_empty);
            if !empty {
                body.insert("stop".to_owned(), value.clone());
            }
        }
        "service_tier" => match value.as_str() {
            Some("auto" | "standard_only") => {}
            _ => return Err(Error::malformed(field, "must be auto or standard_only")),
        },
        "metadata" if !value.is_object() => beyond.fault(field, "must be an object"),
        "metadata" => {
            for (name, value) in value.as_object().into_iter().flatten() {
                match value.as_str().filter(|id| id.len() <= USER_BYTES_MAX) {
                    _ if name != "user_id" => beyond.wish("metadata"),
                    Some(id) => drop(body.insert("user".to_owned(), Value::from(id))),
                    None if value.is_null() => {}
                    None => beyond.wish("metadata.user_id"),
                }
            }
        }
        "tools" => tools(body, value, beyond)?,
        "tool_choice" => {
            beyond.others(field, value, &["type", "name", "disable_parallel_tool_use"]);
            choice(body, value)?;
        }
        "output_config" => {
            beyond.others(field, value, &["effort", "format"]);
            if let Some(effort) = value.get("effort").filter(|effort| !effort.is_null()) {
                body.insert("reasoning_effort".to_owned(), effort.clone());
            }
            format(body, value.get("format"), "output_config.format", beyond);
        }
        "output_format" => format(body, Some(value), field, beyond),
        _ => beyond.note(field.chars().take(80).collect::<String>()),
    }
    Ok(())
}

fn format(body: &mut Map<String, Value>, value: Option<&Value>, field: &str, beyond: &mut Beyond) {
    let Some(format) = value.filter(|format| !format.is_null()) else { return };
    let kind = format.get("type").and_then(Value::as_str);
    match (kind, format.get("schema")) {
        (Some("json_schema"), Some(schema)) => {
            let schema = json!({"name": "output", "schema": schema, "strict": true});
            let wanted = json!({"type": "json_schema", "json_schema": schema});
            body.insert("response_format".to_owned(), wanted);
        }
        _ => beyond.note(field),
    }
}

fn tools(body: &mut Map<String, Value>, value: &Value, beyond: &mut Beyond) -> Result<(), Error> {
    let Value::Array(given) = value else {
        return Err(Error::malformed("tools", "must be an array of tools"));
    };
    let mut tools = Vec::new();
    for (place, tool) in given.iter().enumerate() {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("custom");
        if kind != "custom" {
            beyond.note(format!("tools[{place}].type"));
            continue;
        }
        if tool.get("eager_input_streaming") == Some(&Value::Bool(true)) {
            beyond.wish("tools.eager_input_streaming");
        }
        // Examples for the model, and who may call or find the tool.
        for name in ["input_examples", "defer_loading", "allowed_callers"] {
            let plain = [json!(null), json!(false), json!([]), json!(["direct"])];
            if tool.get(name).is_some_and(|value| !plain.contains(value)) {
                beyond.note(format!("tools[{place}].{name}"));
            }
        }
        let mut function = Map::new();
        for (from, to) in
            [("name", "name"), ("description", "description"), ("input_schema", "parameters")]
        {
            if let Some(value) = tool.get(from) {
                function.insert(to.to_owned(), value.clone());
            }
        }
        if tool.get("strict") == Some(&Value::Bool(true)) {
            function.insert("strict".to_owned(), Value::from(true));
        }
        let mut tool_out = json!({"type": "function", "function": function});
        if let (Some(control), Some(out)) = (tool.get("cache_control"), tool_out.as_object_mut()) {
            out.insert("cache_control".to_owned(), control.clone());
        }
        tools.push(tool_out);
    }
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::from(tools));
    }
    Ok(())
}

fn choice(body: &mut Map<String, Value>, value: &Value) -> Result<(), Error> {
    let name = value.get("name").and_then(Value::as_str);
    let choice = match (value.get("type").and_then(Value::as_str), name) {
        (Some("auto"), _) => Value::from("auto"),
        (Some("any"), _) => Value::from("required"),
        (Some("none"), _) => Value::from("none"),
        (Some("tool"), Some(name)) => json!({"type": "function", "function": {"name": name}}),
        _ => {
            let rule = "must be {\"type\": \"auto\"}, any, none, or tool with its name";
            return Err(Error::malformed("tool_choice", rule));
        }
    };
    body.insert("tool_choice".to_owned(), choice);
    if value.get("disable_parallel_tool_use") == Some(&Value::Bool(true)) {
        body.insert("parallel_tool_calls".to_owned(), Value::from(false));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value) -> ChatCall {
        call(body.to_string().as_bytes()).unwrap()
    }

    fn refused(body: &Value) -> String {
        match call(body.to_string().as_bytes()) {
            Err(error) => error.field().unwrap_or_default().to_owned(),
            Ok(call) => format!("accepted: {call:?}"),
        }
    }

    #[test]
    fn a_turn_with_tools_means_the_same_in_the_common_shape() {
        let call = read(&json!({
            "model": "m", "max_tokens": 9, "system": "Be brief.", "stream": true,
            "stop_sequences": ["x"], "metadata": {"user_id": "u"},
            "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I call."},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "is_error": true,
                     "content": [{"type": "text", "text": "bad"},
                        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]},
                    {"type": "text", "text": "again"}]}
            ],
        }));

        assert_eq!((call.cap, call.stream, call.model.as_str()), (Some(9), true, "m"));
        assert!(call.media.images && call.beyond.is_none());
        let expected = json!({
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "I call.",
                 "reasoning_details": [{"type": "reasoning.text", "text": "hm",
                    "signature": "s", "format": "anthropic-claude-v1"}],
                 "tool_calls": [{"id": "t1", "type": "function",
                    "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
                {"role": "tool", "tool_call_id": "t1", "is_error": true, "content": "bad"},
                {"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                    {"type": "text", "text": "again"}]}
            ],
            "stop": ["x"], "user": "u",
            "tools": [{"type": "function", "function":
                {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
            "tool_choice": "required", "parallel_tool_calls": false,
        });
        assert_eq!(Value::Object(call.body), expected);
    }

    #[test]
    fn what_only_anthropic_understands_is_remembered_by_name() {
        let with = |field: &str, value: Value| {
            let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
            body[field] = value;
            let beyond = read(&body).beyond?;
            Some(beyond.field().unwrap_or_default().to_owned())
        };

        assert_eq!(
            with("tools", json!([{"type": "bash_20250124", "name": "bash"}])).unwrap(),
            "tools[0].type"
        );
        assert_eq!(with("mcp_servers", json!([{}])).unwrap(), "mcp_servers");
        assert_eq!(with("thinking", json!({"type": "adaptive"})), None);
        assert_eq!(with("thinking", json!({"type": "enabled"})).unwrap(), "thinking");
        let budget = json!({"effort": "low", "task_budget": {"tokens": 9}});
        assert_eq!(with("output_config", budget).unwrap(), "output_config.task_budget");
        assert_eq!(with("output_config", json!({"effort": "low", "format": null})), None);
        let more = |name: &str| json!({"type": "adaptive", name: 1});
        assert_eq!(with("thinking", more("depth")).unwrap(), "thinking.depth");
        let more = json!({"type": "auto", "odd": true});
        assert_eq!(with("tool_choice", more).unwrap(), "tool_choice.odd");
        assert_eq!(with("metadata", json!("u")).unwrap(), "metadata");
        assert_eq!(with("metadata", json!({"user_id": "u"})), None);
        let block = json!([{"role": "user", "content": [{"type": "search_result"}]}]);
        assert_eq!(with("messages", block).unwrap(), "messages[0].content[0].type");
        let tool = |field: &str, value: Value| {
            let mut tool = json!({"name": "f", "input_schema": {"type": "object"}});
            tool[field] = value;
            with("tools", json!([tool]))
        };
        assert_eq!(tool("input_examples", json!([{}])).unwrap(), "tools[0].input_examples");
        assert_eq!(tool("defer_loading", json!(true)).unwrap(), "tools[0].defer_loading");
        assert_eq!(tool("allowed_callers", json!(["direct"])), None);
        let document = |field: &str, value: Value| {
            let source = json!({"type": "text", "media_type": "text/plain", "data": "d"});
            let mut block = json!({"type": "document", "source": source, "title": "t"});
            block[field] = value;
            json!([{"role": "user", "content": [block]}])
        };
        let cited = document("citations", json!({"enabled": true}));
        assert_eq!(with("messages", cited).unwrap(), "messages[0].content[0].citations");
        let context = document("context", json!("c"));
        assert_eq!(with("messages", context).unwrap(), "messages[0].content[0].context");
        let plain = document("citations", json!({"enabled": false}));
        let call = read(&json!({"model": "m", "messages": plain}));
        assert_eq!(call.messages()[0]["content"], "t\n\nd");
    }

    #[test]
    fn thinking_is_an_effort_and_what_an_effort_says_goes_first() {
        let said = |thinking: Value, effort: Value| {
            let call = read(&json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
                "thinking": thinking, "output_config": {"effort": effort}}));
            (call.thinking, call.effort().map(str::to_owned))
        };
        let enabled = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
        let effort = |effort: &str| Some(effort.to_owned());
        let adaptive = json!({"type": "adaptive"});

        let tokens = Thinking::Tokens;
        assert_eq!(said(enabled(9_000), Value::Null), (tokens(9_000), effort("high")));
        assert_eq!(said(enabled(9_000), json!("low")), (tokens(9_000), effort("low")));
        let disabled = json!({"type": "disabled"});
        assert_eq!(said(disabled, json!("low")), (tokens(0), effort("none")));
        assert_eq!(said(adaptive.clone(), Value::Null), (Thinking::Free, None));
        assert_eq!(said(adaptive, json!("max")), (Thinking::Unsaid, effort("max")));
    }

    #[test]
    fn a_fault_names_its_field_as_the_caller_wrote_it() {
        let with = |messages: Value| refused(&json!({"model": "m", "messages": messages}));

        assert_eq!(with(json!("x")), "messages");
        assert_eq!(with(json!([{"role": "tool", "content": "x"}])), "messages[0].role");
        assert_eq!(with(json!([{"role": "user", "content": 7}])), "messages[0].content");
        let block = json!([{"role": "user", "content": [{"type": "text"}]}]);
        assert_eq!(with(block), "messages[0].content[0].text");
        assert_eq!(refused(&json!({"messages": []})), "model");
    }
}
