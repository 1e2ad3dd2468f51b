//! The neutral form in which all chat dialects and providers meet: `OpenAI`'s shape, checked.

mod answer;
mod messages;
mod options;
mod texts;
mod thinking;
mod written;

use serde_json::{Map, Value};

pub use self::answer::{ChatEvent, Completion, Frame};
use self::messages::check_messages;
use self::options::OPTIONS;
pub use self::texts::{Prompt, prompts};
pub use self::thinking::Thinking;
pub use self::written::Written;
use crate::{Error, Labels};

/// The longest body that is read. Lambda refuses an event above 6 MB; the event carries the
/// body as an escaped JSON string, so this leaves room for the escapes.
pub const BODY_BYTES_MAX: usize = 4_000_000;

/// The largest output cap that is taken; above every model's maximum.
const CAP_MAX: u64 = 10_000_000;

/// The service tiers beside the usual one that a caller may ask for, in `OpenAI`'s words.
const TIERS: [&str; 3] = ["flex", "priority", "fast"];

/// The format in which a caller wrote its request, and wants its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `OpenAI`'s chat completions.
    #[default]
    Chat,
    /// Farebox's own contract, whose messages and options are those of [`Format::Chat`].
    Native,
    /// `OpenAI`'s responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Gemini's `generateContent`.
    GenerateContent,
    /// `OpenAI`'s legacy completions.
    Completions,
    /// `OpenAI`'s embeddings.
    Embeddings,
}

/// A chat call, checked: every known field is of its type, and bounded. A provider of another
/// format refuses the others by name, one of `OpenAI`'s by [`ChatCall::understood`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatCall {
    /// How the caller wrote it.
    pub format: Format,
    /// The caller's own body, where that is not in `OpenAI`'s shape: a provider that speaks the
    /// format gets it but for what Farebox decides.
    pub original: Option<Map<String, Value>>,
    /// The first thing in it that `body` cannot carry. Such a call goes only to a provider that
    /// speaks its format.
    pub beyond: Option<Box<Error>>,
    /// Without it the call asks for the same, but for a search: it may be dropped on request.
    pub droppable: bool,
    /// What `body` leaves out because a call means the same without it: the caller is told where
    /// a provider gets `body`.
    pub wishes: Vec<&'static str>,
    /// The caller's headers that a provider of its format gets, such as `anthropic-beta`.
    pub headers: Vec<(&'static str, String)>,
    /// The provider, where the caller named it apart from the model.
    pub provider: Option<String>,
    /// The model as the caller wrote it.
    pub model: String,
    /// `messages` and the options in `OpenAI`'s shape, without `model`, `stream`,
    /// `stream_options`, the cap fields and `service_tier`: what Farebox decides itself.
    pub body: Map<String, Value>,
    /// The fields of the caller's own body as it wrote them.
    pub written: Written,
    /// The caller's output cap for each choice.
    pub cap: Option<u64>,
    /// How many choices (`n`), at least one.
    pub choices: u64,
    /// Answer as server-sent events.
    pub stream: bool,
    /// `stream_options.include_usage`.
    pub include_usage: bool,
    /// The service tier that the caller asks for, where that is not the usual one.
    pub service_tier: Option<&'static str>,
    /// The answer may carry audio.
    pub audio_answer: bool,
    /// What the caller says of thinking beside `reasoning_effort`.
    pub thinking: Thinking,
    /// What the messages carry beside text.
    pub media: Media,
}

/// Which kinds of content beside text a call carries: their tokens are not bounded by bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Images or files.
    pub images: bool,
    /// Audio.
    pub audio: bool,
}

impl ChatCall {
    /// Reads `OpenAI`'s chat completion request.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field and the rule.
    pub fn from_openai(bytes: &[u8]) -> Result<Self, Error> {
        let mut body = object(bytes)?;
        let model = take_text(&mut body, "model", "")?;
        let call = Self::checked(None, model, body, "")?;
        let written = Written::of(bytes, &call.body);
        Ok(Self { written, ..call })
    }

    /// Refuses an option that neither Farebox nor the call's provider knows: what nobody
    /// understands may cost money that nobody has held.
    ///
    /// # Errors
    /// [`Error::Malformed`] names it.
    pub fn understood(&self, passes: impl Fn(&str) -> bool) -> Result<(), Error> {
        let known = |field: &str| {
            field == "messages" || OPTIONS.iter().any(|(name, _)| *name == field) || passes(field)
        };
        match self.body.keys().find(|field| !known(field)) {
            Some(field) => Err(unknown_option(field)),
            None => Ok(()),
        }
    }

    /// A call of another format: `body` is what it means in `OpenAI`'s shape, `original` what the
    /// caller wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field as `OpenAI` has it.
    pub fn translated(
        format: Format,
        model: String,
        body: Map<String, Value>,
        original: Map<String, Value>,
    ) -> Result<Self, Error> {
        let call = Self::checked(None, model, body, "")?;
        Ok(Self { format, original: Some(original), ..call })
    }

    /// The caller's own body, where it is written in this format.
    #[must_use]
    pub fn original(&self, format: Format) -> Option<&Map<String, Value>> {
        self.original.as_ref().filter(|_| self.format == format)
    }

    /// Whether `body` says all that the caller said.
    ///
    /// # Errors
    /// The refusal that names what it cannot say.
    pub fn translatable(&self) -> Result<(), Error> {
        self.beyond.as_deref().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// For a provider whose answers are text alone.
    ///
    /// # Errors
    /// [`Error::Malformed`] where audio is asked for.
    pub fn text_answer(&self) -> Result<(), Error> {
        if self.audio_answer {
            let rule = "this model's provider is asked for text alone: leave audio out";
            return Err(Error::malformed("modalities", rule));
        }
        Ok(())
    }

    /// Reads Farebox's own `{provider, model, messages, options}`.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field and the rule.
    pub fn from_native(bytes: &[u8]) -> Result<Self, Error> {
        let mut request = object(bytes)?;
        let provider = match request.shift_remove("provider") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if !name.is_empty() => Some(name),
            Some(_) => return Err(Error::malformed("provider", "must be a provider's name")),
        };
        let model = take_text(&mut request, "model", "")?;
        let messages = request.shift_remove("messages");
        let options = match request.shift_remove("options") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(options)) => options,
            Some(_) => return Err(Error::malformed("options", "must be an object")),
        };
        if let Some((field, _)) = request.iter().next() {
            let rule = "is not a field of /v1/chat: it takes provider, model, messages, options";
            return Err(Error::malformed(field, rule));
        }
        if options.contains_key("messages") || options.contains_key("model") {
            return Err(Error::malformed("options", "must not repeat model or messages"));
        }
        let mut body = Map::new();
        body.insert("messages".to_owned(), messages.unwrap_or(Value::Null));
        body.extend(options);
        let call = Self::checked(provider, model, body, "options.")?;
        Ok(Self { format: Format::Native, ..call })
    }

    fn checked(
        provider: Option<String>,
        model: String,
        mut body: Map<String, Value>,
        at: &str,
    ) -> Result<Self, Error> {
        let media = check_messages(body.get("messages").unwrap_or(&Value::Null))?;
        let cap = take_cap(&mut body, at)?;
        let stream = take_bool(&mut body, "stream", at)?;
        let include_usage = take_stream_options(&mut body, stream, at)?;
        let service_tier = take_service_tier(&mut body, at)?;
        let mut choices = 1;
        for (field, value) in &body {
            if field == "messages" {
                continue;
            }
            // What no rule is for is for the provider to know.
            let rule = OPTIONS.iter().find(|(name, _)| name == field);
            let Some((_, rule)) = rule.filter(|_| !value.is_null()) else { continue };
            rule.check(&format!("{at}{field}"), value)?;
            if field == "n" {
                choices = value.as_u64().unwrap_or(1);
            }
        }
        body.retain(|_, value| !value.is_null());
        let modalities = body.get("modalities").and_then(Value::as_array);
        let audio_answer = body.contains_key("audio")
            || modalities.is_some_and(|all| all.iter().any(|one| one == "audio"));
        Ok(Self {
            provider,
            model,
            body,
            cap,
            choices,
            stream,
            include_usage,
            service_tier,
            audio_answer,
            media,
            ..Self::default()
        })
    }

    /// What its caller tells it apart by: `user` and `metadata`.
    #[must_use]
    pub fn labels(&self) -> Labels {
        Labels::of_body(&self.body)
    }

    /// The messages, checked.
    #[must_use]
    pub fn messages(&self) -> &[Value] {
        self.body.get("messages").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

/// Reads one JSON object from the body.
///
/// # Errors
/// [`Error::BodyTooLarge`], or [`Error::Malformed`] with the place of the fault.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    if bytes.len() > BODY_BYTES_MAX {
        return Err(Error::BodyTooLarge { bytes_max: BODY_BYTES_MAX });
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::malformed("body", "must be a JSON object")),
        // The parser's own message can quote the body, so only its place is told.
        Err(fault) => Err(Error::malformed(
            "body",
            format!(
                "is not valid JSON (line {}, column {}): check quotes, commas, numbers, UTF-8, \
                 and that it is nested less than 128 deep",
                fault.line(),
                fault.column()
            ),
        )),
    }
}

fn unknown_option(field: &str) -> Error {
    let rule = "Farebox does not know this option, and what it does not know may cost money \
                that is not held: leave it out";
    Error::malformed(field.chars().take(80).collect::<String>(), rule)
}

/// Takes a name such as the model's out of a body.
///
/// # Errors
/// [`Error::Malformed`] where it is missing, empty or longer than 256 bytes.
pub fn take_text(body: &mut Map<String, Value>, field: &str, at: &str) -> Result<String, Error> {
    match body.shift_remove(field) {
        Some(Value::String(text)) if !text.is_empty() && text.len() <= 256 => Ok(text),
        None | Some(Value::Null) => Err(Error::malformed(format!("{at}{field}"), "is required")),
        Some(_) => {
            Err(Error::malformed(format!("{at}{field}"), "must be a text of 1 to 256 characters"))
        }
    }
}

fn take_bool(body: &mut Map<String, Value>, field: &str, at: &str) -> Result<bool, Error> {
    match body.shift_remove(field) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(yes)) => Ok(yes),
        Some(_) => Err(Error::malformed(format!("{at}{field}"), "must be true or false")),
    }
}

fn take_cap(body: &mut Map<String, Value>, at: &str) -> Result<Option<u64>, Error> {
    let mut cap = None;
    for field in ["max_completion_tokens", "max_tokens"] {
        let value = body.shift_remove(field).filter(|value| !value.is_null());
        let Some(value) = value else { continue };
        let tokens = value.as_u64().filter(|tokens| (1..=CAP_MAX).contains(tokens));
        let tokens = tokens.ok_or_else(|| {
            let rule = format!("must be an integer from 1 to {CAP_MAX}");
            Error::malformed(format!("{at}{field}"), rule)
        })?;
        if cap.replace(tokens).is_some() {
            let rule = "send max_completion_tokens or max_tokens, not both";
            return Err(Error::malformed(format!("{at}{field}"), rule));
        }
    }
    Ok(cap)
}

fn take_stream_options(
    body: &mut Map<String, Value>,
    stream: bool,
    at: &str,
) -> Result<bool, Error> {
    let field = format!("{at}stream_options");
    match body.shift_remove("stream_options") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Object(_)) if !stream => {
            Err(Error::malformed(field, "is allowed only with stream: true"))
        }
        Some(Value::Object(mut options)) => {
            let include = take_bool(&mut options, "include_usage", &format!("{field}."))?;
            take_bool(&mut options, "include_obfuscation", &format!("{field}."))?;
            match options.iter().next() {
                None => Ok(include),
                Some((name, _)) => Err(unknown_option(&format!("{field}.{name}"))),
            }
        }
        Some(_) => Err(Error::malformed(field, "must be an object")),
    }
}

/// `auto` may mean a dearer tier by the project's settings: Farebox always sends `default` where
/// the provider has tiers and the caller names none of them.
fn take_service_tier(
    body: &mut Map<String, Value>,
    at: &str,
) -> Result<Option<&'static str>, Error> {
    let tier = body.shift_remove("service_tier").unwrap_or_default();
    match tier.as_str() {
        _ if tier.is_null() => Ok(None),
        Some("auto" | "default") => Ok(None),
        named => {
            let known = named.and_then(|named| TIERS.into_iter().find(|tier| *tier == named));
            let rule = "must be auto, default (both are sent as default), flex, priority or fast";
            known.map(Some).ok_or_else(|| Error::malformed(format!("{at}service_tier"), rule))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(body: &str) -> String {
        match ChatCall::from_openai(body.as_bytes()) {
            Err(error) => error.field().unwrap_or_default().to_owned(),
            Ok(call) => format!("accepted: {call:?}"),
        }
    }

    #[test]
    fn a_plain_call_is_taken() {
        let call = ChatCall::from_openai(
            br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5,"n":2}"#,
        )
        .unwrap();

        assert_eq!((call.model.as_str(), call.cap, call.choices), ("m", Some(5), 2));
        assert!(!call.body.contains_key("max_tokens"));
    }

    #[test]
    fn a_fault_names_its_field() {
        let with = |rest: &str| {
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}]{rest}}}"#)
        };
        for (rest, field) in [
            (r#","max_tokens":-1"#, "max_tokens"),
            (r#","max_tokens":1,"max_completion_tokens":1"#, "max_tokens"),
            (r#","temperature":3"#, "temperature"),
            (r#","n":0"#, "n"),
            (r#","stream":"yes""#, "stream"),
            (r#","stream_options":{}"#, "stream_options"),
            (r#","prediction":{}"#, "prediction"),
            (r#","tools":[{"type":"web_search"}]"#, "tools[0].type"),
            (r#","service_tier":"ultrafast""#, "service_tier"),
        ] {
            assert_eq!(field_of(&with(rest)), field);
        }
        let orphan = r#"{"model":"m","messages":[{"role":"tool","content":"1"}]}"#;
        assert_eq!(field_of(orphan), "messages[0].tool_call_id");
        assert_eq!(field_of(r#"{"messages":[]}"#), "model");
        assert_eq!(field_of(&"[".repeat(1_000)), "body");
    }

    #[test]
    fn an_option_that_nobody_knows_is_refused_by_name() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"x"}],"seed":1,
            "plugins":[],"safe_prompt":true,"gone":null}"#;
        let call = ChatCall::from_openai(body).unwrap();

        let refusal = call.understood(|field| field == "safe_prompt").unwrap_err();

        assert_eq!(refusal.field(), Some("plugins"));
        assert!(call.understood(|field| ["safe_prompt", "plugins"].contains(&field)).is_ok());
    }

    #[test]
    fn options_of_the_native_form_are_openais() {
        let body =
            br#"{"provider":"demo","model":"chat","messages":[{"role":"user","content":"x"}],
            "options":{"max_completion_tokens":7,"stream":true}}"#;

        let call = ChatCall::from_native(body).unwrap();

        assert_eq!(
            (call.cap, call.stream, call.provider.as_deref()),
            (Some(7), true, Some("demo"))
        );
        let error = ChatCall::from_native(br#"{"model":"m","messages":[],"temperature":1}"#);
        assert_eq!(error.unwrap_err().field(), Some("temperature"));
    }
}
