//! `OpenAI`'s messages as Gemini's contents.

use std::collections::HashMap;

use farebox_core::Error;
use serde_json::{Map, Value, json};

use super::REASONING_FORMAT;
use crate::media::without_detail;

/// Ids that Farebox made up for calls that came without one begin so; they are not sent back.
pub(super) const MADE_UP_ID: &str = "gemini-";

/// Takes the place of a signature that is lost, as Google documents for histories of other models
/// (ai.google.dev/gemini-api/docs/thought-signatures, FAQ): a call without one is a 400 since
/// Gemini 3.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Whom the contents are for.
#[derive(Clone, Copy)]
pub(super) struct Dialect<'a> {
    /// Vertex's own types have no ids of calls (`_FunctionCall_to_vertex` of googleapis/
    /// python-genai refused them for long).
    pub(super) vertex: bool,
    /// The model's name.
    pub(super) model: &'a str,
}

impl Dialect<'_> {
    /// The generation of the model; 0 where its name does not tell.
    pub(super) fn generation(self) -> u32 {
        let rest = self.model.strip_prefix("gemini-").unwrap_or_default();
        rest.split(['.', '-']).next().and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

/// The system prompt and the turns.
pub(super) struct Turns {
    pub(super) system: Vec<Value>,
    pub(super) contents: Vec<Value>,
}

/// Translates the messages. System and developer messages are hoisted into the system
/// instruction, neighbours of one role are merged, and tool results become the user's.
pub(super) fn translate(messages: &[Value], dialect: Dialect<'_>) -> Result<Turns, Error> {
    let mut system = Vec::new();
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    let mut names = HashMap::new();
    for (place, message) in messages.iter().enumerate() {
        let field = format!("messages[{place}]");
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        let (turn, mut parts) = match role {
            "system" | "developer" => ("system", content(&field, message, false)?),
            "assistant" => ("model", assistant(&field, message, dialect, &mut names)?),
            "tool" => ("user", vec![tool_result(&field, message, dialect, &names)?]),
            _ => ("user", content(&field, message, true)?),
        };
        if role != "tool" && message.get("name").is_some_and(|name| !name.is_null()) {
            let rule = "has no counterpart in Gemini's API: write the name into the content";
            return Err(Error::malformed(format!("{field}.name"), rule));
        }
        match turns.last_mut() {
            _ if turn == "system" => system.append(&mut parts),
            Some((last, earlier)) if *last == turn => earlier.append(&mut parts),
            _ if parts.is_empty() => {
                let rule = "must not be empty for a Gemini model";
                return Err(Error::malformed(format!("{field}.content"), rule));
            }
            _ => turns.push((turn, parts)),
        }
    }
    if turns.is_empty() {
        let rule = "must hold more than a system message for a Gemini model";
        return Err(Error::malformed("messages", rule));
    }
    let contents = turns.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts}));
    Ok(Turns { system, contents: contents.collect() })
}

/// The content of a message as parts.
fn content(field: &str, message: &Value, media: bool) -> Result<Vec<Value>, Error> {
    let field = format!("{field}.content");
    let mut parts = Vec::new();
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => parts.push(json!({"text": text})),
        Some(Value::Array(given)) => {
            for (place, one) in given.iter().enumerate() {
                parts.extend(part(&format!("{field}[{place}]"), one, media)?);
            }
        }
        _ => {}
    }
    Ok(parts)
}

/// One part; an empty text is none.
fn part(field: &str, part: &Value, media: bool) -> Result<Option<Value>, Error> {
    let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let refused = |at: &str, rule: &str| Err(Error::malformed(format!("{field}.{at}"), rule));
    let part = match text("/type") {
        "text" => text("/text"),
        "refusal" => text("/refusal"),
        "image_url" if media => {
            without_detail(field, part)?;
            let url = text("/image_url/url");
            let by_url = url.starts_with("https://") || url.starts_with("gs://");
            return match inline(url) {
                Some(part) => Ok(Some(part)),
                None if by_url => Ok(Some(json!({"fileData": file(url)}))),
                None => refused("image_url.url", "must be an https URL or data:image/…;base64,…"),
            };
        }
        "file" if media => {
            return match inline(text("/file/file_data")) {
                Some(part) => Ok(Some(part)),
                None => refused("file", "must carry file_data as data:…;base64,… for this model"),
            };
        }
        "input_audio" if media => {
            let mime = format!("audio/{}", text("/input_audio/format"));
            return Ok(Some(blob(&mime, text("/input_audio/data"))));
        }
        _ => return refused("type", "this kind of content has no place here in Gemini's API"),
    };
    Ok((!part.is_empty()).then(|| json!({"text": part})))
}

fn inline(url: &str) -> Option<Value> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    kind.contains('/').then(|| blob(kind, data))
}

fn blob(mime: &str, data: &str) -> Value {
    json!({"inlineData": {"mimeType": mime, "data": data}})
}

/// A file by its URL. Gemini wants to be told its kind, which the end of its name tells.
fn file(url: &str) -> Value {
    const KINDS: [(&str, &str); 6] = [
        (".png", "image/png"),
        (".webp", "image/webp"),
        (".gif", "image/gif"),
        (".heic", "image/heic"),
        (".heif", "image/heif"),
        (".pdf", "application/pdf"),
    ];
    let path = url.split(['?', '#']).next().unwrap_or(url).to_ascii_lowercase();
    let kind = KINDS.iter().find(|(end, _)| path.ends_with(end));
    json!({"fileUri": url, "mimeType": kind.map_or("image/jpeg", |(_, kind)| *kind)})
}

/// The model's own turn: its text, its calls, and the signatures of its thoughts.
fn assistant<'m>(
    field: &str,
    message: &'m Value,
    dialect: Dialect<'_>,
    names: &mut HashMap<&'m str, &'m str>,
) -> Result<Vec<Value>, Error> {
    for absent in ["audio", "function_call"] {
        if message.get(absent).is_some_and(|value| !value.is_null()) {
            let rule = "has no counterpart in Gemini's API";
            return Err(Error::malformed(format!("{field}.{absent}"), rule));
        }
    }
    let mut parts = content(field, message, false)?;
    if let Some(refusal) = message.get("refusal").and_then(Value::as_str)
        && !refusal.is_empty()
    {
        parts.push(json!({"text": refusal}));
    }
    let signature = Signatures::of(message);
    let texts = parts.len();
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for (place, call) in calls.into_iter().flatten().enumerate() {
        let text = |at: &str| call.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let arguments = text("/function/arguments").trim();
        let args = if arguments.is_empty() {
            Some(Value::Object(Map::new()))
        } else {
            serde_json::from_str(arguments).ok().filter(Value::is_object)
        };
        let args = args.ok_or_else(|| {
            let field = format!("{field}.tool_calls[{place}].function.arguments");
            Error::malformed(field, "must be a JSON object as text")
        })?;
        let pointer = |at: &str| call.pointer(at).and_then(Value::as_str);
        let (Some(id), Some(name)) = (pointer("/id"), pointer("/function/name")) else { continue };
        names.insert(id, name);
        let call_of_it = identified(json!({"name": name, "args": args}), id, dialect);
        let mut part = json!({"functionCall": call_of_it});
        let given = pointer("/extra_content/google/thought_signature").or(signature.of_call(id));
        // Of parallel calls only the first is signed.
        let needed = (place == 0 && dialect.generation() >= 3).then_some(NO_SIGNATURE);
        let alone = (place == 0 && texts == 0).then_some(signature.of_text).flatten();
        sign(&mut part, given.or(alone).or(needed));
        parts.push(part);
    }
    // Without a call it is the last part of the text that is signed.
    if let Some(last) = texts.checked_sub(1).and_then(|last| parts.get_mut(last)) {
        sign(last, signature.of_text);
    }
    Ok(parts)
}

fn sign(part: &mut Value, signature: Option<&str>) {
    if let (Some(signature), Some(part)) = (signature, part.as_object_mut()) {
        part.insert("thoughtSignature".to_owned(), Value::from(signature));
    }
}

/// The signatures that the common shape carries beside a message.
struct Signatures<'m> {
    /// By the id of the call that they belong to.
    of_calls: HashMap<&'m str, &'m str>,
    /// That of the text.
    of_text: Option<&'m str>,
}

impl<'m> Signatures<'m> {
    fn of(message: &'m Value) -> Self {
        let mut signatures = Self { of_calls: HashMap::new(), of_text: None };
        let details = message.get("reasoning_details").and_then(Value::as_array);
        for detail in details.into_iter().flatten() {
            let text = |name: &str| detail.get(name).and_then(Value::as_str);
            if text("format") != Some(REASONING_FORMAT) {
                continue;
            }
            match (text("data"), text("id")) {
                (Some(data), Some(id)) => drop(signatures.of_calls.insert(id, data)),
                (Some(data), None) => signatures.of_text = Some(data),
                (None, _) => {}
            }
        }
        signatures
    }

    fn of_call(&self, id: &str) -> Option<&'m str> {
        self.of_calls.get(id).copied()
    }
}

/// The call or the answer with its id, where that is the provider's own.
fn identified(mut value: Value, id: &str, dialect: Dialect<'_>) -> Value {
    if let Some(value) =
        value.as_object_mut().filter(|_| !dialect.vertex && !id.starts_with(MADE_UP_ID))
    {
        value.insert("id".to_owned(), Value::from(id));
    }
    value
}

/// What a tool gave. Gemini wants an object; `output` and `error` are its own words for a text
/// (`FunctionResponse.response`).
fn tool_result(
    field: &str,
    message: &Value,
    dialect: Dialect<'_>,
    names: &HashMap<&str, &str>,
) -> Result<Value, Error> {
    let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or_default();
    let Some(name) = names.get(id) else {
        let rule = "answers no tool call of an assistant message before it";
        return Err(Error::malformed(format!("{field}.tool_call_id"), rule));
    };
    let parts = content(field, message, false)?;
    let text: String =
        parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
    let failed = message.get("is_error") == Some(&Value::Bool(true));
    let object = serde_json::from_str(&text).ok().filter(|value: &Value| value.is_object());
    let response = match object {
        Some(object) if !failed => object,
        _ => json!({if failed { "error" } else { "output" }: text}),
    };
    let response = identified(json!({"name": name, "response": response}), id, dialect);
    Ok(json!({"functionResponse": response}))
}
