//! The parts of a content in the common shape.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farebox_core::Error;
use serde_json::{Map, Value, json};

use super::read::{Beyond, named, spelled};
use crate::dialect::uncarried;

/// What marks reasoning that only a Gemini model takes back (`OpenRouter`'s word for it).
pub(super) const REASONING_FORMAT: &str = "google-gemini-v1";

/// A text, empty where there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The parts of one content, sorted by where they go.
#[derive(Default)]
pub(super) struct Turn {
    /// Text and media.
    parts: Vec<Value>,
    /// The model's calls: id where it has one, name, arguments, signature.
    calls: Vec<Call>,
    /// The signature of a text.
    signature: Option<String>,
    /// What tools gave.
    results: Vec<Outcome>,
}

struct Call {
    id: Option<String>,
    name: String,
    arguments: String,
    signature: Option<String>,
}

struct Outcome {
    field: String,
    id: Option<String>,
    name: String,
    content: String,
    is_error: bool,
}

/// Reads one content, or the system instruction.
pub(super) fn turn(field: &str, content: &Value, beyond: &mut Beyond) -> Result<Turn, Error> {
    let mut turn = Turn::default();
    let field = format!("{field}.parts");
    let parts = match named(content, "parts") {
        Some(Value::Array(parts)) => parts.as_slice(),
        None => &[],
        Some(_) => return Err(Error::malformed(field, "must be an array of parts")),
    };
    for (place, part) in parts.iter().enumerate() {
        turn.part(&format!("{field}[{place}]"), part, beyond)?;
    }
    Ok(turn)
}

impl Turn {
    /// Adds what the same side says next.
    fn extend(&mut self, mut next: Self) {
        fn said(part: Option<&mut Value>) -> Option<&mut Value> {
            part?.get_mut("text").filter(|text| text.is_string())
        }
        if let (Some(text), Some(more)) =
            (said(self.parts.last_mut()), said(next.parts.first_mut()))
        {
            *text = Value::from(format!("{}{}", self::text(text), self::text(more)));
            next.parts.remove(0);
        }
        self.parts.append(&mut next.parts);
        self.calls.append(&mut next.calls);
        self.signature = next.signature.or(self.signature.take());
    }

    fn part(&mut self, field: &str, part: &Value, beyond: &mut Beyond) -> Result<(), Error> {
        let Some(fields) = part.as_object() else {
            return Err(Error::malformed(field, "must be an object"));
        };
        let signature = named(part, "thoughtSignature").map(|one| text(one).to_owned());
        let is_thought = named(part, "thought") == Some(&Value::Bool(true));
        for (name, value) in spelled(fields) {
            match &*name {
                // What was thought is told by its signature alone.
                "text" if is_thought => {}
                "text" => {
                    let said = value.as_str().ok_or_else(|| {
                        Error::malformed(format!("{field}.text"), "must be a text")
                    })?;
                    if !said.is_empty() {
                        self.parts.push(json!({"type": "text", "text": said}));
                    }
                    if signature.is_some() {
                        self.signature.clone_from(&signature);
                    }
                }
                "inlineData" | "fileData" => match media(value) {
                    Some(part) => self.parts.push(part),
                    None => beyond.note(format!("{field}.{name}")),
                },
                "functionCall" => self.calls.push(Call {
                    id: own(named(value, "id")),
                    name: named(value, "name").map(text).unwrap_or_default().to_owned(),
                    arguments: named(value, "args").map_or("{}".to_owned(), Value::to_string),
                    signature: signature.clone(),
                }),
                "functionResponse" => self.result(&format!("{field}.{name}"), value, beyond),
                "thought" | "thoughtSignature" => {}
                "mediaResolution" => beyond.wish("contents.parts.mediaResolution"),
                "partMetadata" => beyond.wish("contents.parts.partMetadata"),
                _ => beyond.note(format!("{field}.{name}")),
            }
        }
        Ok(())
    }

    fn result(&mut self, field: &str, value: &Value, beyond: &mut Beyond) {
        for name in ["scheduling", "willContinue"] {
            if named(value, name).is_some_and(|value| value != &Value::Bool(false)) {
                beyond.note(format!("{field}.{name}"));
            }
        }
        // What a tool shows, only the user can show to other models.
        let shown = named(value, "parts").and_then(Value::as_array);
        for (place, part) in shown.into_iter().flatten().enumerate() {
            let data = ["inlineData", "fileData"].iter().find_map(|name| named(part, name));
            match data.and_then(media) {
                Some(part) => self.parts.push(part),
                None => beyond.note(format!("{field}.parts[{place}]")),
            }
        }
        let response = named(value, "response").cloned().unwrap_or_default();
        // The API's own words for what is no object of the caller's.
        let only = response.as_object().filter(|object| object.len() == 1);
        let of = |name: &str| only.and_then(|object| object.get(name));
        let (content, is_error) = match (of("output").or(of("result")), of("error")) {
            (Some(Value::String(text)), _) => (text.clone(), false),
            (_, Some(Value::String(text))) => (text.clone(), true),
            _ => (response.to_string(), false),
        };
        self.results.push(Outcome {
            field: field.to_owned(),
            id: own(named(value, "id")),
            name: named(value, "name").map(text).unwrap_or_default().to_owned(),
            content,
            is_error,
        });
    }
}

fn own(text: Option<&Value>) -> Option<String> {
    text.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Media; `None` where it is only at Gemini.
fn media(value: &Value) -> Option<Value> {
    let of = |name: &str| named(value, name).map(text).filter(|text| !text.is_empty());
    let kind = of("mimeType")?;
    let image = |url: String| json!({"type": "image_url", "image_url": {"url": url}});
    if let Some(uri) = of("fileUri") {
        let public = uri.starts_with("https://") && kind.starts_with("image/");
        return public.then(|| image(uri.to_owned()));
    }
    let data = standard(of("data")?);
    let inline = || format!("data:{kind};base64,{data}");
    match kind.split_once('/')? {
        ("image", _) => Some(image(inline())),
        ("audio", format) => {
            let audio = json!({"data": data, "format": format.trim_start_matches("x-")});
            Some(json!({"type": "input_audio", "input_audio": audio}))
        }
        ("application", "pdf") => {
            let file = json!({"filename": "document.pdf", "file_data": inline()});
            Some(json!({"type": "file", "file": file}))
        }
        _ => None,
    }
}

/// The messages so far, and which calls wait for what their tools gave.
#[derive(Default)]
pub(super) struct Turns {
    messages: Vec<Value>,
    /// What the model says in this turn: Google's SDKs keep each chunk of a stream as a content of
    /// its own.
    said: Option<Turn>,
    /// Id and name of calls that have no answer yet.
    open: Vec<(String, String)>,
    /// The model's turns so far: a call without an id is named by its place.
    answers: u32,
}

impl Turns {
    pub(super) fn system(&mut self, turn: Turn) {
        if !turn.parts.is_empty() {
            self.messages.push(json!({"role": "system", "content": content(turn.parts)}));
        }
    }

    /// Adds one turn.
    ///
    /// # Errors
    /// Where a tool gave something that no call asked for.
    pub(super) fn push(&mut self, is_model: bool, turn: Turn) -> Result<(), Error> {
        if is_model {
            match &mut self.said {
                Some(said) => said.extend(turn),
                said => *said = Some(turn),
            }
            return Ok(());
        }
        self.answer();
        for result in turn.results {
            let place = self.open.iter().position(|(id, name)| match &result.id {
                Some(given) => given == id,
                None => *name == result.name,
            });
            let Some(place) = place else {
                let rule = "answers no functionCall of the model's content before it";
                return Err(Error::malformed(result.field, rule));
            };
            let (id, _) = self.open.remove(place);
            let mut message = json!({"role": "tool", "tool_call_id": id});
            if let Some(message) = message.as_object_mut() {
                if result.is_error {
                    message.insert("is_error".to_owned(), Value::from(true));
                }
                message.insert("content".to_owned(), Value::from(result.content));
            }
            self.messages.push(message);
        }
        let answered = self.messages.last().is_some_and(|last| last["role"] == "tool");
        if !(turn.parts.is_empty() && answered) {
            self.messages.push(json!({"role": "user", "content": content(turn.parts)}));
        }
        Ok(())
    }

    pub(super) fn into_messages(mut self) -> Vec<Value> {
        self.answer();
        self.messages
    }

    fn answer(&mut self) {
        let Some(turn) = self.said.take() else { return };
        self.answers = self.answers.saturating_add(1);
        self.open.clear();
        let (mut calls, mut details) = (Vec::new(), Vec::new());
        if let Some(signature) = turn.signature {
            details.push(detail(&signature, None));
        }
        for (place, call) in turn.calls.into_iter().enumerate() {
            let id = call.id.unwrap_or_else(|| format!("call_{}_{place}", self.answers));
            match call.signature.map(|signature| (others(&signature), signature)) {
                Some((Some(theirs), _)) => details.extend(theirs),
                Some((None, signature)) => details.push(detail(&signature, Some(&id))),
                None => {}
            }
            let function = json!({"name": call.name, "arguments": call.arguments});
            calls.push(json!({"id": id, "type": "function", "function": function}));
            self.open.push((id, call.name));
        }
        let mut message = Map::new();
        message.insert("role".to_owned(), Value::from("assistant"));
        message.insert("content".to_owned(), content(turn.parts));
        for (name, list) in [("reasoning_details", details), ("tool_calls", calls)] {
            if !list.is_empty() {
                message.insert(name.to_owned(), Value::from(list));
            }
        }
        self.messages.push(Value::Object(message));
    }
}

/// What a model of another format thought, in the place of a signature.
fn others(signature: &str) -> Option<Vec<Value>> {
    uncarried(str::from_utf8(&STANDARD.decode(standard(signature).as_bytes()).ok()?).ok()?)
}

/// Google's SDKs write the alphabet of base64 that is safe in URLs, which Gemini alone takes.
fn standard(data: &str) -> Cow<'_, str> {
    if data.contains(['-', '_']) {
        data.replace('-', "+").replace('_', "/").into()
    } else {
        data.into()
    }
}

fn detail(signature: &str, id: Option<&str>) -> Value {
    let mut detail = json!({
        "type": "reasoning.encrypted", "data": signature, "format": REASONING_FORMAT,
    });
    if let (Some(id), Some(detail)) = (id, detail.as_object_mut()) {
        detail.insert("id".to_owned(), Value::from(id));
    }
    detail
}

/// One plain text stands for itself: not every provider takes parts everywhere.
fn content(mut parts: Vec<Value>) -> Value {
    match parts.as_slice() {
        [] => Value::from(""),
        [only] if only.get("text").is_some() => parts
            .pop()
            .and_then(|mut part| part.get_mut("text").map(Value::take))
            .unwrap_or_default(),
        _ => Value::from(parts),
    }
}
