//! Why a call gets no answer, before a wire format gives it a shape; and the field readers that
//! find the first such reason in a body.

use serde_json::{Map, Value};

use super::ask::Ask;
use super::behaviour::DemoPrice;

/// A refusal or failure in no particular dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NoKey,
    BadKey,
    UnknownRoute {
        method: String,
        path: String,
    },
    WrongMethod,
    UnknownModel(String),
    Invalid {
        param: Option<&'static str>,
        code: Option<&'static str>,
        message: String,
    },
    TooLarge,
    Internal,
    Busy,
    /// The same, for a moment only.
    BusyBriefly,
    Overloaded,
}

impl Fault {
    /// A body that breaks a rule of one field.
    pub(super) fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { param: Some(param), code: None, message: message.into() }
    }
}

/// A body as the object that it must be.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::Invalid {
        param: None,
        code: None,
        message: format!("We could not parse the JSON body of your request: {error}"),
    })
}

/// The model's name.
pub(super) fn model_name(body: &Map<String, Value>) -> Result<String, Fault> {
    match body.get("model").and_then(Value::as_str) {
        Some(model) if !model.is_empty() => Ok(model.to_owned()),
        _ => Err(Fault::invalid("model", "you must provide a model parameter")),
    }
}

/// The list of messages, which has one at least.
pub(super) fn messages(body: &Map<String, Value>) -> Result<&[Value], Fault> {
    match body.get("messages").and_then(Value::as_array) {
        Some(messages) if !messages.is_empty() => Ok(messages),
        Some(_) => Err(Fault::invalid("messages", "messages: at least one message is required")),
        None => Err(Fault::invalid("messages", "messages: Field required")),
    }
}

/// A boolean that is false where absent.
pub(super) fn flag(body: &Map<String, Value>, name: &'static str) -> Result<bool, Fault> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Fault::invalid(name, format!("Invalid type for '{name}': want a boolean"))),
    }
}

/// A whole number of one or more, where present.
pub(super) fn count(body: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, Fault> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => {
                let message = format!("Invalid value for '{name}': want an integer of 1 or more");
                Err(Fault::invalid(name, message))
            }
        },
    }
}

/// The limits of one model, checked as the providers do: unbilled and before any work.
pub(super) fn limits(model: &DemoPrice, ask: &Ask, prompt_tokens: u64) -> Result<(), Fault> {
    let (window, max) = (model.context_window, model.max_output_tokens);
    if let Some(cap) = ask.cap.filter(|cap| *cap > max) {
        return Err(Fault::invalid(
            "max_tokens",
            format!("max_tokens is too large: {cap}. This model supports at most {max} tokens."),
        ));
    }
    if prompt_tokens > window {
        return Err(Fault::Invalid {
            param: Some("messages"),
            code: Some("context_length_exceeded"),
            message: format!("prompt is too long: {prompt_tokens} tokens > {window} maximum"),
        });
    }
    Ok(())
}
