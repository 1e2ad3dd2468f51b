//! The dialects in which callers speak: how a body is read, and how answers, streams and
//! errors are written. A dialect is one implementation and a row in `ROUTES`.

mod completions;
mod embeddings;
mod generate;
mod messages;
mod native;
mod openai;
mod responses;

pub use completions::{COMPLETIONS, Completions};
pub use embeddings::{EMBEDDINGS, Embeddings};
pub use generate::{GENERATE_CONTENT, GENERATE_CONTENT_ARRAY, GenerateContent, Verb, asked};
pub use messages::{MESSAGES, Messages};
pub use native::{NATIVE, Native};
pub use openai::{OPENAI, OpenAi};
pub use responses::{RESPONSES, Responses};

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use farebox_core::{ChatCall, ChatEvent, Completion, Error, Frame, Model, Money, Rid, Usage};
use farebox_providers::responses::CARRIED_REASONING;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::account::Listed;
use crate::incoming::Incoming;
use crate::reply::Paid;

/// Reasoning of another format as the text that a client sends back unread.
fn carried(details: &[Value]) -> String {
    format!("{CARRIED_REASONING}{}", Value::from(details))
}

/// The details of a text that [`carried`] made.
fn uncarried(text: &str) -> Option<Vec<Value>> {
    let details = text.strip_prefix(CARRIED_REASONING)?;
    Some(serde_json::from_str(details).unwrap_or_default())
}

/// One dialect.
pub trait Dialect: Sync {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Error::Malformed`] and its kin, naming the field.
    fn parse(&self, incoming: &Incoming) -> Result<ChatCall, Error>;

    /// The field of a refusal as this dialect's callers wrote it: the wire formats name `OpenAI`'s.
    fn field<'f>(&self, field: &'f str) -> Cow<'f, str> {
        Cow::Borrowed(field)
    }

    /// The body of a refusal.
    fn error(&self, error: &Error, request_id: Rid) -> Value;

    /// What of a request its answer repeats.
    fn repeats(&self, _call: &ChatCall) -> Map<String, Value> {
        Map::new()
    }

    /// The body of a whole answer.
    fn answer(&self, answer: &Answer<'_>) -> Bytes;

    /// What writes a stream.
    fn stream(&self, opening: Opening) -> Box<dyn StreamWriter + Send>;

    /// One model as the dialect describes it.
    fn model(&self, listed: &Listed<'_>) -> Value {
        match listed {
            Listed::Model(model) => model_object(model),
            Listed::Route(name, targets) => json!({
                "id": name, "object": "model", "created": 0, "owned_by": "farebox",
                "targets": targets,
            }),
        }
    }

    /// A list of them.
    fn models(&self, listed: &[Listed<'_>]) -> Value {
        let data: Vec<Value> = listed.iter().map(|listed| self.model(listed)).collect();
        json!({"object": "list", "data": data})
    }

    /// The kind of a streamed answer.
    fn stream_type(&self) -> &'static str {
        EVENT_STREAM
    }

    /// What is written into a silent stream and says nothing.
    fn keep_alive(&self) -> &'static [u8] {
        COMMENT
    }

    /// The body of an answer that counts a prompt.
    fn counted(&self, tokens: u64) -> Value {
        json!({"input_tokens": tokens})
    }

    /// The headers that its clients look for beside `x-request-id`.
    fn headers(&self, _request_id: Rid, _headers: &mut HeaderMap) {}
}

/// Server-sent events.
const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";
/// A comment, which every reader of events skips.
const COMMENT: &[u8] = b": keep-alive\n\n";

/// The same refusal with its field as the dialect's callers wrote it.
#[must_use]
pub fn located(dialect: &dyn Dialect, error: Error) -> Error {
    match error {
        Error::Malformed { field, rule } => {
            Error::Malformed { field: dialect.field(&field).into_owned(), rule }
        }
        Error::UnboundedCall { field, hint } => {
            Error::UnboundedCall { field: dialect.field(&field).into_owned(), hint }
        }
        other => other,
    }
}

/// A refusal of a call as its caller wrote it: what its dialect could not translate is named so
/// already.
#[must_use]
pub fn told(dialect: &dyn Dialect, call: &ChatCall, error: Error) -> Error {
    if call.beyond.as_deref() == Some(&error) { error } else { located(dialect, error) }
}

/// A whole answer, paid.
pub struct Answer<'a> {
    /// The provider's answer in `OpenAI`'s shape.
    pub completion: &'a Completion,
    /// The same as it came, where the provider speaks the dialect to the letter.
    pub verbatim: Option<&'a Bytes>,
    /// What it used; `None` where the provider did not say.
    pub usage: Option<&'a Usage>,
    /// What it cost.
    pub paid: &'a Paid,
    /// The service tier at which it was served, as the provider says.
    pub tier: Option<&'a str>,
    /// What it repeats of the request.
    pub repeated: &'a Arc<Map<String, Value>>,
    /// Seconds since the epoch.
    pub created: i64,
}

/// What is known when a stream opens.
pub struct Opening {
    /// The identity of the call.
    pub request_id: Rid,
    /// Seconds since the epoch.
    pub created: i64,
    /// The caller asked for the usage.
    pub include_usage: bool,
    /// The provider speaks the dialect to the letter: its events come as frames too.
    pub verbatim: bool,
    /// What the answer repeats of the request.
    pub repeated: Arc<Map<String, Value>>,
}

/// Writes the events of one stream as server-sent events.
pub trait StreamWriter {
    /// One event of the provider. Usage, the end and failures are left to the other two.
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>);

    /// The good end, after the books are closed.
    fn last(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>);

    /// The bad end, after the books are closed.
    fn failed(&mut self, error: &Error, answer: &Answer<'_>, out: &mut Vec<u8>);
}

/// One `data:` event.
fn data(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(value.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// JSON without line breaks, which would end a line of the stream: a provider may write its events
/// over several. They stand between tokens only; inside a text JSON has them escaped.
fn one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ").into() } else { json.into() }
}

/// One event with its name.
fn named(name: &str, value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    data(value, out);
}

/// An event as it came.
fn frame(frame: &Frame, out: &mut Vec<u8>) {
    if !frame.name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(frame.name.as_bytes());
        out.push(b'\n');
    }
    for line in frame.data.split(['\n', '\r']) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// The cost where a dialect has no field for it: a comment, which every reader of events skips.
fn cost_comment(paid: &Paid, out: &mut Vec<u8>) {
    out.extend_from_slice(format!(": farebox-cost-usd {}\n\n", paid.charged).as_bytes());
}

/// Sets a header whose value is plain.
fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The first field of an object that is none of these, and says something.
fn another(object: &Value, known: &[&str]) -> Option<String> {
    let mut fields = object.as_object().into_iter().flatten();
    let found = fields.find(|(name, value)| !value.is_null() && !known.contains(&name.as_str()));
    found.map(|(name, _)| name.chars().take(80).collect())
}

/// The sources with a URL that a message or a delta tells.
fn sources(said: &Value) -> impl Iterator<Item = &Value> {
    let list = said.get("annotations").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|annotation| annotation.get("url_citation"))
}

/// `OpenAI`'s usage object: prompt tokens include the cached ones, completion tokens the
/// reasoning, whatever the provider counts.
fn usage_object(usage: &Usage) -> Value {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    json!({
        "prompt_tokens": usage.prompt_tokens(),
        "completion_tokens": usage.completion_tokens(),
        "total_tokens": usage.total_tokens(),
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": written,
            "audio_tokens": usage.audio_prompt,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_completion,
        },
    })
}

/// The id of a translated answer: the provider's where it is one of the dialect's, which begins
/// so, else one of Farebox's. The provider's own stands in a header.
fn id_of(prefix: &str, given: &str, request_id: Rid) -> String {
    if given.starts_with(prefix) { given.to_owned() } else { format!("{prefix}{request_id}") }
}

/// `OpenAI`'s word for a service tier; `None` where it has none, or nothing was said.
fn tier_of_openai(tier: Option<&str>) -> Option<&'static str> {
    const WORDS: [&str; 5] = ["default", "flex", "priority", "fast", "scale"];
    match tier? {
        "standard" | "standard_only" | "on_demand" => Some("default"),
        tier => WORDS.into_iter().find(|word| *word == tier),
    }
}

/// The cost of a call as both dialects show it: exact decimal texts.
fn cost_object(paid: &Paid) -> Value {
    let (input, output) = match paid.cost {
        Some(cost) => (Value::from(cost.input.to_string()), Value::from(cost.output.to_string())),
        // Charged at its worst case, or what the provider states: neither has parts.
        None => (Value::Null, Value::Null),
    };
    json!({
        "input_cost": input,
        "output_cost": output,
        "total_cost": paid.charged.to_string(),
        "currency": "USD",
    })
}

/// `OpenAI`'s model object, with limits and prices beside it.
fn model_object(model: &Model) -> Value {
    let rates = model.price.as_ref().map(|price| &price.schedule.standard.rates);
    // One femto-USD per token is 10⁻⁹ USD per million tokens.
    let per_million = |femto: u64| Money::from_pico(i128::from(femto).saturating_mul(1_000));
    let usd = |femto: Option<u64>| femto.and_then(|femto| per_million(femto).ok());
    json!({
        "id": format!("{}/{}", model.provider, model.name),
        "object": "model",
        "created": 0,
        "owned_by": model.provider,
        "context_window": model.context_window,
        "max_output_tokens": model.completion_max,
        "pricing": {
            "unit": "USD per 1000000 tokens",
            "input": usd(rates.map(|rates| rates.input.femto())),
            "output": usd(rates.and_then(|rates| rates.output).map(|output| output.femto())),
        },
    })
}
