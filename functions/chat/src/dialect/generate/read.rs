//! A body of `generateContent` in the shape in which all dialects and providers meet.
//!
//! A provider that speaks the format gets the caller's own body; this translation is for all
//! others. What it cannot carry is remembered, and refused by name where it would be needed.

use std::borrow::Cow;

use farebox_core::chat::{Thinking, Written, object};
use farebox_core::{ChatCall, Error, Format};
use serde_json::{Map, Value, json};

use super::parts::{Turns, turn};
use super::schema::lower;
use super::{Verb, parts};

/// The longest name of a model.
const MODEL_BYTES_MAX: usize = 256;

/// What could not be said in the common shape: the first of it, and wishes.
#[derive(Default)]
pub(super) struct Beyond(Option<Box<Error>>, Vec<&'static str>);

impl Beyond {
    /// Remembers a field that only a provider of the same format understands.
    pub(super) fn note(&mut self, field: impl Into<String>) {
        if self.0.is_none() {
            let rule = "only Gemini's models take this: leave it out for this model";
            self.0 = Some(Box::new(Error::malformed(field, rule)));
        }
    }

    /// Remembers what a call means the same without.
    pub(super) fn wish(&mut self, name: &'static str) {
        if !self.1.contains(&name) {
            self.1.push(name);
        }
    }
}

/// The fields of an object under the names of the documentation: each may be given in two
/// spellings.
pub(super) fn spelled(object: &Map<String, Value>) -> impl Iterator<Item = (Cow<'_, str>, &Value)> {
    object
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (farebox_providers::gemini::camel(name), value))
}

/// One of them.
pub(super) fn named<'o>(object: &'o Value, name: &str) -> Option<&'o Value> {
    let mut fields = object.as_object().into_iter().flat_map(spelled);
    fields.find(|(given, _)| given == name).map(|(_, value)| value)
}

/// Reads a body.
pub(super) fn call(bytes: &[u8], model: String, verb: Verb) -> Result<ChatCall, Error> {
    let mut original = object(bytes)?;
    if model.is_empty() || model.len() > MODEL_BYTES_MAX {
        return Err(Error::malformed("model", "must be a text of 1 to 256 characters"));
    }
    let mut written = Written::of(bytes, &original);
    if let (Verb::Count, Some(Value::Object(inner))) =
        (verb, original.shift_remove("generateContentRequest"))
    {
        (original, written) = (inner, Written::default());
    }
    let mut beyond = Beyond::default();
    let mut body = Map::new();
    let mut turns = Turns::default();
    for (field, value) in spelled(&original) {
        if field == "systemInstruction" {
            let system = turn("systemInstruction", value, &mut beyond)?;
            turns.system(system);
        }
    }
    let given = spelled(&original).find(|(name, _)| name == "contents").map(|(_, given)| given);
    contents(given, &mut turns, &mut beyond)?;
    body.insert("messages".to_owned(), Value::from(turns.into_messages()));
    let mut thinking = Thinking::Unsaid;
    for (field, value) in spelled(&original) {
        match &*field {
            "contents" | "systemInstruction" | "model" => {}
            "tools" => tools(&mut body, value, &mut beyond)?,
            "toolConfig" => tool_config(&mut body, value, &mut beyond),
            "generationConfig" => thinking = config(&mut body, value, &mut beyond)?,
            "labels" => drop(body.insert("metadata".to_owned(), value.clone())),
            "serviceTier" => match parts::text(value).to_ascii_lowercase().as_str() {
                "" | "standard" | "unspecified" | "service_tier_unspecified" => {}
                tier => drop(body.insert("service_tier".to_owned(), Value::from(tier))),
            },
            _ => beyond.note(field.chars().take(80).collect::<String>()),
        }
    }
    body.insert("stream".to_owned(), Value::from(verb == Verb::Stream));
    let call = ChatCall::translated(Format::GenerateContent, model, body, original)?;
    Ok(ChatCall { beyond: beyond.0, wishes: beyond.1, thinking, written, ..call })
}

fn contents(given: Option<&Value>, turns: &mut Turns, beyond: &mut Beyond) -> Result<(), Error> {
    let Some(Value::Array(given)) = given else {
        return Err(Error::malformed("contents", "must be an array of contents"));
    };
    if given.is_empty() {
        return Err(Error::malformed("contents", "must hold at least one content"));
    }
    for (place, content) in given.iter().enumerate() {
        let field = format!("contents[{place}]");
        let role = content.get("role").and_then(Value::as_str).unwrap_or("user");
        if !["user", "model", "function", "tool"].contains(&role) {
            return Err(Error::malformed(format!("{field}.role"), "must be user or model"));
        }
        let turn = turn(&field, content, beyond)?;
        turns.push(role == "model", turn)?;
    }
    Ok(())
}

fn tools(body: &mut Map<String, Value>, value: &Value, beyond: &mut Beyond) -> Result<(), Error> {
    let Value::Array(given) = value else {
        return Err(Error::malformed("tools", "must be an array of tools"));
    };
    let mut tools = Vec::new();
    for (place, tool) in given.iter().enumerate() {
        for (name, value) in tool.as_object().into_iter().flat_map(spelled) {
            if name != "functionDeclarations" {
                beyond.note(format!("tools[{place}].{name}"));
                continue;
            }
            for (at, declared) in value.as_array().into_iter().flatten().enumerate() {
                // What a function returns (`response`, `responseJsonSchema`) has no place in other
                // formats and asks for nothing; Google's SDK declares it unasked.
                if named(declared, "behavior").is_some() {
                    beyond.note(format!("tools[{place}].functionDeclarations[{at}].behavior"));
                }
                tools.push(declaration(declared));
            }
        }
    }
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::from(tools));
    }
    Ok(())
}

fn declaration(declared: &Value) -> Value {
    let mut function = Map::new();
    for name in ["name", "description"] {
        if let Some(value) = named(declared, name) {
            function.insert(name.to_owned(), value.clone());
        }
    }
    let schema = named(declared, "parametersJsonSchema").cloned();
    let schema = schema.or_else(|| named(declared, "parameters").map(lower));
    if let Some(schema) = schema {
        function.insert("parameters".to_owned(), schema);
    }
    json!({"type": "function", "function": function})
}

fn tool_config(body: &mut Map<String, Value>, value: &Value, beyond: &mut Beyond) {
    for (name, _) in value.as_object().into_iter().flat_map(spelled) {
        if name != "functionCallingConfig" {
            beyond.note(format!("toolConfig.{name}"));
        }
    }
    let Some(config) = named(value, "functionCallingConfig") else { return };
    let known = ["mode", "allowedFunctionNames"];
    others(config, &known, "toolConfig.functionCallingConfig", beyond);
    let allowed = named(config, "allowedFunctionNames").and_then(Value::as_array);
    let mode = named(config, "mode").map(parts::text).unwrap_or_default();
    let choice = match (mode, allowed.map(Vec::as_slice).unwrap_or_default()) {
        ("" | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED", []) => Value::from("auto"),
        ("NONE", _) => Value::from("none"),
        ("ANY", []) => Value::from("required"),
        ("ANY", [name]) => json!({"type": "function", "function": {"name": name}}),
        _ => return beyond.note("toolConfig.functionCallingConfig"),
    };
    if mode == "VALIDATED" {
        beyond.wish("toolConfig.functionCallingConfig.mode");
    }
    if body.contains_key("tools") || choice != "auto" {
        body.insert("tool_choice".to_owned(), choice);
    }
}

/// What has another name in the common shape.
const RENAMED: [(&str, &str); 11] = [
    ("maxOutputTokens", "max_completion_tokens"),
    ("temperature", "temperature"),
    ("topP", "top_p"),
    ("candidateCount", "n"),
    ("seed", "seed"),
    ("presencePenalty", "presence_penalty"),
    ("frequencyPenalty", "frequency_penalty"),
    ("responseLogprobs", "logprobs"),
    ("logprobs", "top_logprobs"),
    ("stopSequences", "stop"),
    ("topK", "top_k"),
];

fn config(
    body: &mut Map<String, Value>,
    value: &Value,
    beyond: &mut Beyond,
) -> Result<Thinking, Error> {
    let mut told = Thinking::Unsaid;
    let Some(config) = value.as_object() else {
        return Err(Error::malformed("generationConfig", "must be an object"));
    };
    for (name, value) in spelled(config) {
        if let Some((_, to)) = RENAMED.iter().find(|(from, _)| *from == name) {
            let is_empty = value.as_array().is_some_and(Vec::is_empty);
            if !is_empty {
                body.insert((*to).to_owned(), whole(value));
            }
            continue;
        }
        match &*name {
            "responseMimeType" if parts::text(value) == "text/plain" => {}
            "responseMimeType" if parts::text(value) == "application/json" => {
                let json = json!({"type": "json_object"});
                body.entry("response_format").or_insert(json);
            }
            "responseSchema" => format(body, &lower(value)),
            "responseJsonSchema" => format(body, value),
            "thinkingConfig" => told = thinking(body, value, beyond),
            // Wishes about media, which other providers look at as they do.
            "mediaResolution" => beyond.wish("generationConfig.mediaResolution"),
            "audioTimestamp" if value == &Value::Bool(false) => {}
            "audioTimestamp" => beyond.wish("generationConfig.audioTimestamp"),
            "responseModalities" if is_text(value) => {}
            _ => beyond.note(format!("generationConfig.{name}")),
        }
    }
    Ok(told)
}

/// Remembers the fields inside another that nobody here knows.
fn others(value: &Value, known: &[&str], field: &str, beyond: &mut Beyond) {
    for (name, _) in value.as_object().into_iter().flat_map(spelled) {
        if !known.contains(&&*name) {
            beyond.note(format!("{field}.{name}").chars().take(120).collect::<String>());
        }
    }
}

fn is_text(modalities: &Value) -> bool {
    let text = |one: &Value| parts::text(one).eq_ignore_ascii_case("text");
    modalities.as_array().is_some_and(|all| all.iter().all(text))
}

/// Clients write whole numbers as `40.0`.
fn whole(value: &Value) -> Value {
    let number = value.as_f64().filter(|number| value.is_f64() && number.fract() == 0.0);
    let number = number.and_then(|number| format!("{number:.0}").parse::<i64>().ok());
    number.map_or_else(|| value.clone(), Value::from)
}

fn format(body: &mut Map<String, Value>, schema: &Value) {
    let named = json!({"name": "output", "schema": schema});
    let format = json!({"type": "json_schema", "json_schema": named});
    body.insert("response_format".to_owned(), format);
}

/// A level is an effort, and so is a budget; one below nothing is the model's own. Whether thoughts
/// are shown is a wish.
fn thinking(body: &mut Map<String, Value>, value: &Value, beyond: &mut Beyond) -> Thinking {
    let known = ["includeThoughts", "thinkingLevel", "thinkingBudget"];
    others(value, &known, "generationConfig.thinkingConfig", beyond);
    if named(value, "includeThoughts") == Some(&Value::Bool(false)) {
        beyond.wish("generationConfig.thinkingConfig.includeThoughts");
    }
    let level = named(value, "thinkingLevel").map(parts::text).unwrap_or_default();
    let level = level.to_ascii_lowercase();
    let budget = named(value, "thinkingBudget").and_then(Value::as_i64);
    let thinking = match budget.map(u64::try_from) {
        None => Thinking::Unsaid,
        Some(Ok(tokens)) => Thinking::Tokens(tokens),
        Some(Err(_)) => Thinking::Free,
    };
    let is_level = ["minimal", "low", "medium", "high"].contains(&level.as_str());
    if let Some(effort) = is_level.then_some(level.as_str()).or_else(|| thinking.effort()) {
        body.insert("reasoning_effort".to_owned(), Value::from(effort));
    }
    thinking
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value) -> ChatCall {
        call(body.to_string().as_bytes(), "m".to_owned(), Verb::Generate).unwrap()
    }

    #[test]
    fn a_turn_with_tools_means_the_same_in_the_common_shape() {
        let call = read(&json!({
            "system_instruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"parts": [{"text": "hi"}, {"inline_data": {"mime_type": "image/png",
                    "data": "AA"}}]},
                {"role": "model", "parts": [{"text": "hm", "thought": true}, {"text": "I call."},
                    {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "S"},
                    {"functionCall": {"id": "c2", "name": "f", "args": {}}}]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "f", "response": {"output": "one"}}},
                    {"functionResponse": {"id": "c2", "name": "f", "response": {"x": 2}}},
                    {"text": "again"}]},
            ],
            "tools": [{"functionDeclarations": [{"name": "f", "description": "d",
                "parameters": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER",
                    "nullable": true}}}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            "generationConfig": {"max_output_tokens": 9, "topK": 40.0, "stopSequences": ["x"],
                "thinkingConfig": {"thinkingLevel": "LOW"}, "candidateCount": 2,
                "responseMimeType": "application/json", "responseSchema": {"type": "STRING"}},
            "labels": {"team": "a"},
        }));

        assert_eq!((call.cap, call.choices, call.model.as_str()), (Some(9), 2, "m"));
        assert!(call.media.images && call.beyond.is_none(), "{:?}", call.beyond);
        let expected = json!({
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "hi"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
                {"role": "assistant", "content": "I call.",
                 "reasoning_details": [{"type": "reasoning.encrypted", "data": "S",
                    "format": "google-gemini-v1", "id": "call_1_0"}],
                 "tool_calls": [
                    {"id": "call_1_0", "type": "function",
                     "function": {"name": "f", "arguments": "{\"a\":1}"}},
                    {"id": "c2", "type": "function",
                     "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "call_1_0", "content": "one"},
                {"role": "tool", "tool_call_id": "c2", "content": "{\"x\":2}"},
                {"role": "user", "content": "again"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d",
                "parameters": {"type": "object", "properties": {"a":
                    {"type": ["integer", "null"]}}}}}],
            "tool_choice": "required", "top_k": 40, "stop": ["x"], "reasoning_effort": "low",
            "n": 2, "metadata": {"team": "a"},
            "response_format": {"type": "json_schema", "json_schema":
                {"name": "output", "schema": {"type": "string"}}},
        });
        assert_eq!(Value::Object(call.body), expected);
    }

    #[test]
    fn what_only_gemini_understands_is_remembered_by_name() {
        let with = |field: &str, value: Value| {
            let mut body = json!({"contents": [{"parts": [{"text": "x"}]}]});
            body[field] = value;
            read(&body).beyond.map(|beyond| beyond.field().unwrap_or_default().to_owned())
        };
        for (field, value, named) in [
            ("tools", json!([{"google_search": {}}]), "tools[0].googleSearch"),
            ("safetySettings", json!([]), "safetySettings"),
            (
                "generationConfig",
                json!({"thinkingConfig": {"thinkingBudget": 9, "depth": 1}}),
                "generationConfig.thinkingConfig.depth",
            ),
            (
                "toolConfig",
                json!({"functionCallingConfig": {"mode": "NONE", "stream_arguments": true}}),
                "toolConfig.functionCallingConfig.streamArguments",
            ),
            ("cachedContent", json!("x"), "cachedContent"),
            ("generationConfig", json!({"speechConfig": {}}), "generationConfig.speechConfig"),
            (
                "contents",
                json!([{"parts": [{"executableCode": {}}]}]),
                "contents[0].parts[0].executableCode",
            ),
            (
                "contents",
                json!([{"parts": [{"inlineData": {"mimeType": "video/mp4", "data": "A"}}]}]),
                "contents[0].parts[0].inlineData",
            ),
        ] {
            assert_eq!(with(field, value).as_deref(), Some(named));
        }
        let tools = json!([{"functionDeclarations": [{"name": "f", "behavior": "NON_BLOCKING"}]}]);
        let named = with("tools", tools);
        assert_eq!(named.as_deref(), Some("tools[0].functionDeclarations[0].behavior"));
        let returns = json!({"name": "f", "responseJsonSchema": {"type": "string"}});
        assert_eq!(with("tools", json!([{"functionDeclarations": [returns]}])), None);
        let config = json!({"retrievalConfig": {"languageCode": "en"}});
        assert_eq!(with("toolConfig", config).as_deref(), Some("toolConfig.retrievalConfig"));
        let budget = json!({"thinkingConfig": {"thinkingBudget": 9}});
        assert_eq!(with("generationConfig", budget), None);
    }

    #[test]
    fn a_level_and_a_budget_are_efforts() {
        let said = |config: Value| {
            let call = read(&json!({"contents": [{"parts": [{"text": "x"}]}],
                "generationConfig": {"thinkingConfig": config}}));
            (call.thinking, call.effort().map(str::to_owned))
        };
        let effort = |effort: &str| Some(effort.to_owned());

        let level = json!({"thinkingLevel": "MINIMAL"});
        assert_eq!(said(level), (Thinking::Unsaid, effort("minimal")));
        let budget = |tokens: i64| said(json!({"thinking_budget": tokens}));
        assert_eq!(budget(0), (Thinking::Tokens(0), effort("none")));
        assert_eq!(budget(9_000), (Thinking::Tokens(9_000), effort("high")));
        assert_eq!(budget(-1), (Thinking::Free, None));
    }

    #[test]
    fn what_a_tool_shows_is_shown_by_the_user() {
        let image = json!({"inlineData": {"mimeType": "image/png", "data": "AA"}});
        let given = |part: &Value| {
            let response = json!({"name": "f", "response": {"output": "o"}, "parts": [part]});
            read(&json!({"contents": [
                {"parts": [{"text": "x"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": response}]}]}))
        };

        let call = given(&image);

        let [.., result, shown] = call.messages() else { panic!("{call:?}") };
        assert_eq!((&result["role"], &result["content"]), (&json!("tool"), &json!("o")));
        let url = &shown["content"][0]["image_url"]["url"];
        assert_eq!(url, "data:image/png;base64,AA");
        let video = json!({"inlineData": {"mimeType": "video/mp4", "data": "AA"}});
        let beyond = given(&video).beyond.unwrap();
        assert_eq!(beyond.field(), Some("contents[2].parts[0].functionResponse.parts[0]"));
    }

    #[test]
    fn a_fault_names_its_field_as_the_caller_wrote_it() {
        let refused = |body: Value| {
            let call = call(body.to_string().as_bytes(), "m".to_owned(), Verb::Generate);
            call.unwrap_err().field().unwrap_or_default().to_owned()
        };

        assert_eq!(refused(json!({})), "contents");
        assert_eq!(refused(json!({"contents": [{"role": "x", "parts": []}]})), "contents[0].role");
        assert_eq!(refused(json!({"contents": [{"parts": 7}]})), "contents[0].parts");
        let lost = json!({"contents": [{"parts": [{"functionResponse": {"name": "f"}}]}]});
        assert_eq!(refused(lost), "contents[0].parts[0].functionResponse");
    }
}
