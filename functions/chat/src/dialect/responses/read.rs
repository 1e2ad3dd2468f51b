//! A body of the Responses API in the shape in which all dialects and providers meet.
//!
//! A provider that speaks it gets the caller's own body; this translation is for all others. What
//! it cannot carry is remembered, and refused by name where it would be needed.

use farebox_core::chat::{Written, object, take_text};
use farebox_core::{ChatCall, Error, Format};
use serde_json::{Map, Value, json};

use super::items::Turns;
use super::{own_field, tools};
use crate::dialect::another;

/// What could not be said in the common shape: the first of it.
#[derive(Default)]
pub(super) struct Beyond {
    first: Option<Box<Error>>,
    /// It is a search, and nothing else was found: the call says the same without it.
    only_search: bool,
    wishes: Vec<&'static str>,
}

impl Beyond {
    /// Remembers a field that only a provider of the same format understands.
    pub(super) fn note(&mut self, field: impl Into<String>) {
        if self.first.is_none() || self.only_search {
            let rule = "only models that OpenAI's Responses API serves take this: leave it out \
                        for this model";
            self.first = Some(Box::new(Error::malformed(field, rule)));
            self.only_search = false;
        }
    }

    /// Remembers the first field inside another that nobody here knows.
    fn others(&mut self, field: &str, value: &Value, known: &[&str]) {
        if let Some(name) = another(value, known) {
            self.note(format!("{field}.{name}"));
        }
    }

    /// Remembers a search that the provider would run.
    pub(super) fn note_search(&mut self, field: String) {
        if self.first.is_none() {
            let rule = "only models that OpenAI's Responses API serves search by themselves: leave \
                        it out for this model, or let it be dropped by x-farebox-drop-params: true";
            self.first = Some(Box::new(Error::malformed(field, rule)));
            self.only_search = true;
        }
    }

    /// Remembers what a call means the same without.
    pub(super) fn wish(&mut self, name: &'static str) {
        if !self.wishes.contains(&name) {
            self.wishes.push(name);
        }
    }
}

/// Reads a body.
pub(super) fn call(bytes: &[u8]) -> Result<ChatCall, Error> {
    let mut original = object(bytes)?;
    let model = take_text(&mut original, "model", "")?;
    let mut beyond = Beyond::default();
    let mut body = Map::new();
    let messages = messages(&original, &mut beyond)?;
    body.insert("messages".to_owned(), Value::from(messages));
    for (field, value) in original.iter().filter(|(_, value)| !value.is_null()) {
        option(&mut body, field, value, &mut beyond)?;
    }
    end_user(&mut body);
    let written = Written::of(bytes, &original);
    let call = ChatCall::translated(Format::Responses, model, body, original);
    let call = call.map_err(|error| match error {
        Error::Malformed { field, rule } => {
            Error::Malformed { field: own_field(&field).into_owned(), rule }
        }
        other => other,
    })?;
    let Beyond { first, only_search, wishes } = beyond;
    Ok(ChatCall { beyond: first, droppable: only_search, wishes, written, ..call })
}

/// Most other providers know one name for the end user, who is told by it where the caller tells
/// one. Of two, each keeps its own: a provider that takes one alone refuses the other by name.
fn end_user(body: &mut Map<String, Value>) {
    let Some(id) = body.get("safety_identifier").cloned() else { return };
    if body.get("user").is_none_or(|user| *user == id) {
        body.shift_remove("safety_identifier");
        body.insert("user".to_owned(), id);
    }
}

fn messages(asked: &Map<String, Value>, beyond: &mut Beyond) -> Result<Vec<Value>, Error> {
    let mut turns = Turns::default();
    match asked.get("instructions") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::String(text)) => turns.say("system", text),
        Some(_) => return Err(Error::malformed("instructions", "must be a text")),
    }
    match asked.get("input") {
        Some(Value::String(text)) => turns.say("user", text),
        Some(Value::Array(items)) if !items.is_empty() => {
            for (place, item) in items.iter().enumerate() {
                turns.item(&format!("input[{place}]"), item, beyond)?;
            }
        }
        None | Some(Value::Null) => return Err(Error::malformed("input", "is required")),
        Some(_) => {
            let rule = "must be a text or an array of at least one item";
            return Err(Error::malformed("input", rule));
        }
    }
    let mut messages = turns.finish();
    if messages.is_empty() {
        // All of it is in the caller's own words, which some providers understand.
        if beyond.first.is_none() {
            return Err(Error::malformed("input", "says nothing: send a message"));
        }
        messages.push(json!({"role": "user", "content": ""}));
    }
    Ok(messages)
}

/// Wishes that other providers need not be told: caching is their own affair, and the calls that
/// are counted are those of tools that run at `OpenAI`.
const WISHES: [&str; 5] = [
    "client_metadata",
    "max_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
];

fn option(
    body: &mut Map<String, Value>,
    field: &str,
    value: &Value,
    beyond: &mut Beyond,
) -> Result<(), Error> {
    if let Some(wish) = WISHES.into_iter().find(|wish| *wish == field) {
        beyond.wish(wish);
        return Ok(());
    }
    match field {
        // Read elsewhere; sealed reasoning comes where there is any, and nothing is stored.
        "input" | "instructions" | "model" | "store" | "stream_options" => {}
        "truncation" if value == "disabled" => {}
        // What would come of a provider's own tools comes of nobody's.
        "include" => {
            let asked = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            let told = ["encrypted_content", "sources", "results", "outputs", "image_url"];
            let is_told = |what: &str| told.iter().any(|end| what.ends_with(end));
            if asked.into_iter().any(|what| !is_told(what)) {
                beyond.note(field);
            }
        }
        "previous_response_id" | "conversation" | "prompt" => {
            let rule = "needs state, and Farebox keeps none (store is always false): send the \
                        whole input in each call";
            return Err(Error::malformed(field, rule));
        }
        "background" if value == &Value::Bool(false) => {}
        "background" => {
            let rule = "needs state, and Farebox keeps none: use stream";
            return Err(Error::malformed(field, rule));
        }
        "temperature"
        | "top_p"
        | "stream"
        | "parallel_tool_calls"
        | "service_tier"
        | "user"
        | "safety_identifier"
        | "metadata"
        | "presence_penalty"
        | "frequency_penalty" => {
            body.insert(field.to_owned(), value.clone());
        }
        "max_output_tokens" => {
            body.insert("max_completion_tokens".to_owned(), value.clone());
        }
        "top_logprobs" if value.as_u64() == Some(0) => {}
        "reasoning" => reasoning(body, value, beyond),
        "text" => {
            beyond.others(field, value, &["verbosity", "format"]);
            if let Some(verbosity) = value.get("verbosity").filter(|value| !value.is_null()) {
                body.insert("verbosity".to_owned(), verbosity.clone());
            }
            format(body, value.get("format"), beyond);
        }
        "tools" => {
            let functions = tools::functions(value, beyond)?;
            if !functions.is_empty() {
                body.insert(field.to_owned(), Value::from(functions));
            }
        }
        "tool_choice" => choice(body, value, beyond),
        _ => beyond.note(field.chars().take(80).collect::<String>()),
    }
    Ok(())
}

fn reasoning(body: &mut Map<String, Value>, value: &Value, beyond: &mut Beyond) {
    beyond.others("reasoning", value, &["effort", "summary", "generate_summary", "mode"]);
    if value.get("mode").is_some_and(|mode| !mode.is_null() && mode != "standard") {
        beyond.note("reasoning.mode");
    }
    if let Some(effort) = value.get("effort").filter(|effort| !effort.is_null()) {
        body.insert("reasoning_effort".to_owned(), effort.clone());
    }
    for (name, told) in
        [("summary", "reasoning.summary"), ("generate_summary", "reasoning.generate_summary")]
    {
        if value.get(name).is_some_and(|wish| !wish.is_null()) {
            beyond.wish(told);
        }
    }
}

/// The schema stands beside its type here, and in an object of its own there.
fn format(body: &mut Map<String, Value>, value: Option<&Value>, beyond: &mut Beyond) {
    let Some(format) = value.filter(|format| !format.is_null()) else { return };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => {}
        Some("json_object") => {
            body.insert("response_format".to_owned(), json!({"type": "json_object"}));
        }
        Some("json_schema") => {
            let mut schema = format.as_object().cloned().unwrap_or_default();
            schema.shift_remove("type");
            let wanted = json!({"type": "json_schema", "json_schema": schema});
            body.insert("response_format".to_owned(), wanted);
        }
        _ => beyond.note("text.format.type"),
    }
}

fn choice(body: &mut Map<String, Value>, value: &Value, beyond: &mut Beyond) {
    let name = value.get("name").and_then(Value::as_str);
    let choice = match (value.get("type").and_then(Value::as_str), name) {
        (None, _) => value.clone(),
        (Some("function" | "custom"), Some(name)) => {
            json!({"type": "function", "function": {"name": name}})
        }
        _ => return beyond.note("tool_choice"),
    };
    body.insert("tool_choice".to_owned(), choice);
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

    fn beyond(field: &str, value: Value) -> Option<String> {
        let mut body = json!({"model": "m", "input": "x"});
        body[field] = value;
        Some(read(&body).beyond?.field().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_turn_of_an_agent_means_the_same_in_the_common_shape() {
        let call = read(&json!({
            "model": "m", "max_output_tokens": 9, "stream": true, "instructions": "Be brief.",
            "store": true, "include": ["reasoning.encrypted_content"], "client_metadata": {},
            "reasoning": {"effort": "low", "summary": "auto"}, "safety_identifier": "u",
            "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "s",
                "schema": {"type": "object"}, "strict": true}},
            "tools": [
                {"type": "function", "name": "f", "parameters": {"type": "object"}},
                {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g"}]}],
            "tool_choice": {"type": "function", "name": "f"},
            "input": [
                {"type": "message", "role": "developer",
                 "content": [{"type": "input_text", "text": "Now."}]},
                {"role": "user", "content": "hi"},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}],
                 "encrypted_content": "gAAA"},
                {"type": "message", "role": "assistant",
                 "content": [{"type": "output_text", "text": "I call."}]},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "function_call", "call_id": "c2", "namespace": "n", "name": "g",
                 "arguments": "{}"},
                {"type": "custom_tool_call", "call_id": "c3", "name": "p", "input": "+a"},
                {"role": "user", "content": "wait"},
                {"type": "function_call_output", "call_id": "c1", "output": [
                    {"type": "input_text", "text": "1"},
                    {"type": "input_image", "image_url": "data:x", "detail": "low"}]},
                {"type": "function_call_output", "call_id": "c2", "output": "2"},
                {"type": "custom_tool_call_output", "call_id": "c3", "output": "3"}],
        }));

        assert_eq!((call.cap, call.stream, call.model.as_str()), (Some(9), true, "m"));
        assert!(call.media.images && call.beyond.is_none());
        let called = |id: &str, name: &str, arguments: &str| {
            json!({"id": id, "type": "function",
                "function": {"name": name, "arguments": arguments}})
        };
        let expected = json!({
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": "Now."},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "I call.",
                 "reasoning_details": [
                    {"type": "reasoning.summary", "summary": "hm",
                     "format": "openai-responses-v1", "index": 0},
                    {"type": "reasoning.encrypted", "data": "gAAA",
                     "format": "openai-responses-v1", "index": 1}],
                 "tool_calls": [called("c1", "f", "{}"), called("c2", "n__g", "{}"),
                    called("c3", "p", "{\"input\":\"+a\"}")]},
                {"role": "tool", "tool_call_id": "c1", "content": "1"},
                {"role": "tool", "tool_call_id": "c2", "content": "2"},
                {"role": "tool", "tool_call_id": "c3", "content": "3"},
                {"role": "user", "content": "wait"},
                {"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}]}],
            "reasoning_effort": "low", "user": "u", "verbosity": "low",
            "response_format": {"type": "json_schema", "json_schema":
                {"name": "s", "schema": {"type": "object"}, "strict": true}},
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
                {"type": "function", "function": {"name": "n__g"}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        });
        assert_eq!(Value::Object(call.body), expected);
    }

    #[test]
    fn two_ids_of_the_end_user_are_two_in_whatever_order_they_come() {
        let of = |text: &str| {
            let call = call(format!(r#"{{"model":"m","input":"x",{text}}}"#).as_bytes()).unwrap();
            ["user", "safety_identifier"].map(|name| call.body.get(name).cloned())
        };
        let both = [Some(json!("u")), Some(json!("s"))];

        assert_eq!(of(r#""user":"u","safety_identifier":"s""#), both);
        assert_eq!(of(r#""safety_identifier":"s","user":"u""#), both);
        assert_eq!(of(r#""safety_identifier":"s""#), [Some(json!("s")), None]);
        assert_eq!(of(r#""user":"s","safety_identifier":"s""#), [Some(json!("s")), None]);
    }

    #[test]
    fn a_custom_tool_is_a_function_that_takes_one_text() {
        let grammar = json!({"type": "grammar", "syntax": "lark", "definition": "start: X"});
        let tool = json!({"type": "custom", "name": "p", "description": "d", "format": grammar});
        let call = read(&json!({"model": "m", "input": "x", "tools": [tool]}));

        let function = &call.body["tools"][0]["function"];
        assert_eq!(function["parameters"]["required"], json!(["input"]));
        let told = "d\n\nThe text follows this grammar (lark):\nstart: X";
        assert_eq!(function["description"], told);
    }

    #[test]
    fn what_only_this_format_has_is_remembered_by_name() {
        let reasoning = json!({"effort": "low", "mode": "standard", "depth": 1});
        assert_eq!(beyond("reasoning", reasoning).unwrap(), "reasoning.depth");
        assert_eq!(beyond("reasoning", json!({"mode": "pro"})).unwrap(), "reasoning.mode");
        assert_eq!(beyond("reasoning", json!({"mode": "standard", "summary": "auto"})), None);
        assert_eq!(beyond("text", json!({"odd": 1, "verbosity": "low"})).unwrap(), "text.odd");
        let search = json!({"model": "m", "input": "x", "tools": [{"type": "web_search"}]});
        assert_eq!(read(&search).beyond.unwrap().field(), Some("tools[0].type"));
        assert!(read(&search).droppable);
        let both = json!({"model": "m", "input": "x", "context_management": [],
            "tools": [{"type": "web_search"}, {"type": "local_shell"}]});
        assert!(!read(&both).droppable, "a call without it is not the same");
        let shell = json!([{"type": "local_shell"}]);
        assert_eq!(beyond("tools", shell).unwrap(), "tools[0].type");
        assert_eq!(beyond("context_management", json!([])).unwrap(), "context_management");
        assert_eq!(beyond("top_logprobs", json!(2)).unwrap(), "top_logprobs");
        let file = json!([{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]);
        assert_eq!(beyond("input", file).unwrap(), "input[0].content[0]");
        let past = json!([{"type": "shell_call", "call_id": "c"}]);
        assert_eq!(beyond("input", past).unwrap(), "input[0].type");
        assert_eq!(beyond("prompt_cache_key", json!("k")), None);
        let asked = json!(["reasoning.encrypted_content", "web_search_call.action.sources"]);
        assert_eq!(beyond("include", asked), None);
        let asked = json!(["message.output_text.logprobs"]);
        assert_eq!(beyond("include", asked).unwrap(), "include");
        assert_eq!(beyond("truncation", json!("auto")).unwrap(), "truncation");
        let later = json!([{"type": "function", "name": "f", "defer_loading": true}]);
        assert_eq!(beyond("tools", later).unwrap(), "tools[0].defer_loading");
    }

    #[test]
    fn what_needs_state_and_what_is_wrong_is_refused_by_name() {
        for (field, value, at) in [
            ("previous_response_id", json!("r"), "previous_response_id"),
            ("conversation", json!("c"), "conversation"),
            ("prompt", json!({"id": "p"}), "prompt"),
            ("background", json!(true), "background"),
            ("tools", json!([{"type": "mcp"}]), "tools[0].type"),
            ("input", json!([{"type": "item_reference", "id": "i"}]), "input[0].type"),
            ("input", json!([]), "input"),
            ("input", json!([{"type": "reasoning", "summary": []}]), "input"),
            ("input", json!([{"role": "tool", "content": "x"}]), "input[0].role"),
            ("input", json!([{"type": "function_call", "name": "f"}]), "input[0].arguments"),
            ("max_output_tokens", json!(0), "max_output_tokens"),
            ("reasoning", json!({"effort": "odd"}), "reasoning.effort"),
            ("service_tier", json!("odd"), "service_tier"),
        ] {
            let mut body = json!({"model": "m", "input": "x"});
            body[field] = value;
            assert_eq!(refused(&body), at, "{body}");
        }
        assert_eq!(refused(&json!({"input": "x"})), "model");
        assert_eq!(refused(&json!({"model": "m"})), "input");
    }
}
