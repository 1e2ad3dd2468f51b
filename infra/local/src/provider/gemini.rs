//! Gemini's `generateContent`: bytes in, values out. Shapes as recorded in the corpus
//! (`gemini-generate`, 2026-08).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Answer;
use super::ask::{Ask, Tally, Tool, ToolChoice, length, subject};
use super::behaviour::{self, Wire};
use super::cache::Block;
use super::fault::{self, Fault};
use super::script::{Frames, Reply, data_event};

/// What the model says of its thoughts, where it is asked to.
const THOUGHT: &str = "I think of an answer.";

/// What a path asks for: `/models/{model}:{verb}`, behind whatever base.
pub(super) fn asked(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once("/models/")?.1.rsplit_once(':')
}

/// Reads a request.
pub(super) fn parse(model: &str, stream: bool, bytes: &[u8]) -> Result<Ask, Fault> {
    let body = fault::object(bytes)?;
    let mut blocks = Vec::new();
    let tools = tools(&body, &mut blocks);
    let (mut said, mut tool_result) = (String::new(), None);
    if let Some(system) = body.get("systemInstruction") {
        push_content(system, &mut blocks);
    }
    let contents = body.get("contents").and_then(Value::as_array);
    let Some(contents) = contents.filter(|contents| !contents.is_empty()) else {
        let text = "* GenerateContentRequest.contents: contents is not specified";
        return Err(Fault::invalid("contents", text));
    };
    for content in contents {
        let text = push_content(content, &mut blocks);
        if content.get("role").and_then(Value::as_str) != Some("model") {
            tool_result = result_text(content);
            if tool_result.is_none() {
                said = text;
            }
        }
    }
    let empty = Map::new();
    let config = body.get("generationConfig").and_then(Value::as_object).unwrap_or(&empty);
    let thinking = config.get("thinkingConfig").and_then(|config| config.get("includeThoughts"));
    Ok(Ask {
        model: model.to_owned(),
        stream,
        include_usage: thinking == Some(&Value::Bool(true)),
        cap: fault::count(config, "maxOutputTokens")?,
        choices: fault::count(config, "candidateCount")?.unwrap_or(1),
        subject: subject(said, tool_result, &tools, &tool_choice(&body)),
        blocks,
        body_bytes: length(bytes.len()),
        vectors: None,
        searches: 0,
    })
}

/// The answer to `countTokens`, in either form of its request.
pub(super) fn counted(model: &str, bytes: &[u8]) -> Result<Value, Fault> {
    let body = fault::object(bytes)?;
    let inner = body.get("generateContentRequest").unwrap_or(&Value::Null);
    let bytes = if inner.is_object() { inner.to_string().into_bytes() } else { bytes.to_vec() };
    let ask = parse(model, false, &bytes)?;
    if behaviour::model(Wire::Gemini, model).is_none() {
        return Err(Fault::UnknownModel(model.to_owned()));
    }
    let mut all = Tally::default();
    for block in &ask.blocks {
        all.text_bytes += block.text_bytes;
        all.tool_bytes += block.tool_bytes;
        all.messages += block.messages;
    }
    Ok(json!({"totalTokens": all.tokens(ask.body_bytes)}))
}

/// A buffered answer.
pub(super) fn whole(answer: &Answer<'_>) -> Value {
    let candidates = (0..answer.ask.choices).map(|index| {
        let mut parts: Vec<Value> = thought(answer).into_iter().collect();
        parts.push(spoken(answer, &answer.generation.text()));
        candidate(index, &parts, Some(answer))
    });
    response(answer, candidates.collect(), Some(usage(answer)))
}

/// A streamed answer: the counts so far in every chunk. A call is one part.
pub(super) fn frames(answer: &Answer<'_>) -> Frames {
    let event = |response: &Value| data_event(&response.to_string());
    let chunk = |index: u64, part: Value| {
        let so_far = json!({"promptTokenCount": answer.tokens.input(),
            "totalTokenCount": answer.tokens.input()});
        event(&response(answer, vec![candidate(index, &[part], None)], Some(so_far)))
    };
    let choices = || 0..answer.ask.choices;
    let head = choices().filter_map(|index| Some(chunk(index, thought(answer)?))).collect();
    let pieces = &answer.generation.pieces;
    let tokens: Vec<Bytes> = match answer.generation.tool {
        Some(_) => Vec::new(),
        None => pieces
            .iter()
            .flat_map(|piece| {
                let part = json!({"text": piece});
                choices().map(move |index| (index, part.clone()))
            })
            .map(|(index, part)| chunk(index, part))
            .collect(),
    };
    let last = choices().map(|index| {
        let part = match answer.generation.tool {
            Some(_) => spoken(answer, &answer.generation.text()),
            None => json!({"text": "", "thoughtSignature": signature(answer)}),
        };
        candidate(index, &[part], Some(answer))
    });
    let last = response(answer, last.collect(), Some(usage(answer)));
    Frames { head, tokens, tail: vec![event(&last)] }
}

/// The element of a stream that fails half way.
pub(super) fn stream_error() -> Bytes {
    let (_, body) = error_body(&Fault::Overloaded);
    data_event(&body.to_string())
}

/// The answer to a call that gets none.
pub(super) fn failure(fault: &Fault) -> Reply {
    let (status, body) = error_body(fault);
    Reply::json(status, &body)
}

fn error_body(fault: &Fault) -> (u16, Value) {
    let (code, status, message, detail) = match fault {
        Fault::NoKey => {
            let text = "Method doesn't allow unregistered callers.";
            (403, "PERMISSION_DENIED", text.to_owned(), None)
        }
        Fault::BadKey => {
            let text = "API key not valid. Please pass a valid API key.";
            let detail = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID", "domain": "googleapis.com"});
            (400, "INVALID_ARGUMENT", text.to_owned(), Some(detail))
        }
        Fault::UnknownRoute { .. } | Fault::WrongMethod => {
            (404, "NOT_FOUND", "Requested entity was not found.".to_owned(), None)
        }
        Fault::UnknownModel(name) => {
            (404, "NOT_FOUND", format!("models/{name} is not found for API version v1."), None)
        }
        Fault::Invalid { message, .. } => (400, "INVALID_ARGUMENT", message.clone(), None),
        Fault::TooLarge => {
            let text = "Request payload size exceeds the limit.";
            (400, "INVALID_ARGUMENT", text.to_owned(), None)
        }
        Fault::Internal => (500, "INTERNAL", "An internal error has occurred.".to_owned(), None),
        Fault::Busy | Fault::BusyBriefly => {
            let text = "You exceeded your current quota. Please retry in 6.5s.";
            let detail = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": "6.5s"});
            (429, "RESOURCE_EXHAUSTED", text.to_owned(), Some(detail))
        }
        Fault::Overloaded => (503, "UNAVAILABLE", "The model is overloaded.".to_owned(), None),
    };
    let details: Vec<Value> = detail.into_iter().collect();
    let error = json!({"code": code, "message": message, "status": status, "details": details});
    (code, json!({"error": error}))
}

fn response(answer: &Answer<'_>, candidates: Vec<Value>, usage: Option<Value>) -> Value {
    let mut body = Map::new();
    body.insert("candidates".to_owned(), Value::from(candidates));
    if let Some(usage) = usage.filter(|_| answer.states_usage) {
        body.insert("usageMetadata".to_owned(), usage);
    }
    body.insert("modelVersion".to_owned(), Value::from(answer.ask.model.as_str()));
    body.insert("responseId".to_owned(), Value::from(answer.serial));
    Value::Object(body)
}

fn candidate(index: u64, parts: &[Value], ended: Option<&Answer<'_>>) -> Value {
    let mut candidate = Map::new();
    candidate.insert("content".to_owned(), json!({"parts": parts, "role": "model"}));
    if let Some(answer) = ended {
        let reason = if answer.generation.capped { "MAX_TOKENS" } else { "STOP" };
        candidate.insert("finishReason".to_owned(), Value::from(reason));
    }
    candidate.insert("index".to_owned(), Value::from(index));
    Value::Object(candidate)
}

fn thought(answer: &Answer<'_>) -> Option<Value> {
    answer.ask.include_usage.then(|| json!({"text": THOUGHT, "thought": true}))
}

fn signature(answer: &Answer<'_>) -> String {
    format!("sig-{}", answer.serial)
}

/// The answer's own part. A call that the cap cut has no whole arguments.
fn spoken(answer: &Answer<'_>, text: &str) -> Value {
    match &answer.generation.tool {
        Some(name) => {
            let args: Value = serde_json::from_str(text).unwrap_or_else(|_| json!({}));
            let call = json!({"name": name, "args": args});
            json!({"functionCall": call, "thoughtSignature": signature(answer)})
        }
        None => json!({"text": text}),
    }
}

/// One token of each candidate is called a thought, which is billed as the others are.
fn usage(answer: &Answer<'_>) -> Value {
    let (prompt, completion) = (answer.tokens.input(), answer.tokens.completion);
    let thoughts = answer.ask.choices.min(completion);
    json!({
        "promptTokenCount": prompt,
        "candidatesTokenCount": completion - thoughts,
        "totalTokenCount": prompt + completion,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
        "thoughtsTokenCount": thoughts,
        "serviceTier": "standard",
    })
}

/// Adds the parts of one content, and gives its text.
fn push_content(content: &Value, blocks: &mut Vec<Block>) -> String {
    let mut said = String::new();
    let parts = content.get("parts").and_then(Value::as_array);
    for (index, part) in parts.into_iter().flatten().enumerate() {
        let text = part.get("text").and_then(Value::as_str);
        said.push_str(text.unwrap_or_default());
        let bare = part.to_string();
        let text_bytes = text.map_or(bare.len(), str::len);
        let messages = u64::from(index == 0);
        blocks.push(Block { content: bare, text_bytes, messages, ..Block::default() });
    }
    said
}

/// The text of what tools gave, if a content brings any.
fn result_text(content: &Value) -> Option<String> {
    let parts = content.get("parts").and_then(Value::as_array)?;
    let results = parts.iter().filter_map(|part| part.pointer("/functionResponse/response"));
    let texts: Vec<String> = results
        .map(|response| match response.get("output").and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => response.to_string(),
        })
        .collect();
    if texts.is_empty() { None } else { Some(texts.join("; ")) }
}

fn tools(body: &Map<String, Value>, blocks: &mut Vec<Block>) -> Vec<Tool> {
    let mut tools = Vec::new();
    for tool in body.get("tools").and_then(Value::as_array).into_iter().flatten() {
        let content = tool.to_string();
        let tool_bytes = content.len();
        blocks.push(Block { content, tool_bytes, ..Block::default() });
        let declared = tool.get("functionDeclarations").and_then(Value::as_array);
        for function in declared.into_iter().flatten() {
            let Some(name) = function.get("name").and_then(Value::as_str) else { continue };
            // The API takes either spelling, and Google's SDK sends the second.
            let names = ["parametersJsonSchema", "parameters_json_schema", "parameters"];
            let schema = names.map(|name| function.get(name));
            let schema = schema.into_iter().flatten().next().cloned().unwrap_or_default();
            tools.push(Tool { name: name.to_owned(), schema: lower(schema) });
        }
    }
    tools
}

/// Gemini's own schemas write types in capitals.
fn lower(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| match (name.as_str(), value) {
                ("type", Value::String(kind)) => (name, Value::from(kind.to_ascii_lowercase())),
                (_, value) => (name, lower(value)),
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}

fn tool_choice(body: &Map<String, Value>) -> ToolChoice {
    let config = body.get("toolConfig").and_then(|config| config.get("functionCallingConfig"));
    let text = |at: &str| config.and_then(|config| config.pointer(at)).and_then(Value::as_str);
    match (text("/mode"), text("/allowedFunctionNames/0")) {
        (Some("NONE"), _) => ToolChoice::Never,
        (Some("ANY"), Some(name)) => ToolChoice::Named(name.to_owned()),
        (Some("ANY"), None) => ToolChoice::Any,
        _ => ToolChoice::Auto,
    }
}

/// The answer to a service account's statement: a token, which is the key itself. Whether the
/// statement is signed rightly is for the tests of who signs it.
pub(super) fn granted(form: &[u8], key: &str) -> Result<Value, Fault> {
    let refused = || Fault::invalid("assertion", "invalid_grant");
    let form = std::str::from_utf8(form).map_err(|_| refused())?;
    let statement = form.split_once("assertion=").ok_or_else(refused)?.1;
    let claims = statement.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = fault::object(&claims.ok_or_else(refused)?)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_account = text("iss").ends_with(".iam.gserviceaccount.com");
    if is_account && text("scope").ends_with("/auth/cloud-platform") {
        return Ok(json!({"access_token": key, "expires_in": 3_599, "token_type": "Bearer"}));
    }
    Err(refused())
}
