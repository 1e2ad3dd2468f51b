//! The messages and tools of a chat call, checked.

use serde_json::{Map, Value};

use super::Media;
use crate::Error;

/// The most messages, parts and tools that one call may carry.
const ITEMS_MAX: usize = 10_000;

pub(super) fn check_tools(field: &str, value: &Value) -> Result<(), Error> {
    let Some(tools) = value.as_array().filter(|tools| tools.len() <= ITEMS_MAX) else {
        return Err(Error::malformed(field, "must be an array of tools"));
    };
    for (place, tool) in tools.iter().enumerate() {
        let field = format!("{field}[{place}]");
        if tool.get("type").and_then(Value::as_str) != Some("function") {
            return Err(Error::UnboundedCall {
                field: format!("{field}.type"),
                hint: "Only tools of type function are served: the provider's own tools run \
                       without a limit."
                    .to_owned(),
            });
        }
        let name = tool.pointer("/function/name").and_then(Value::as_str);
        if !name.is_some_and(|name| (1..=128).contains(&name.len())) {
            let rule = "must be a text of 1 to 128 characters";
            return Err(Error::malformed(format!("{field}.function.name"), rule));
        }
        let parameters = tool.pointer("/function/parameters");
        if parameters.is_some_and(|schema| !schema.is_object() && !schema.is_null()) {
            let rule = "must be a JSON schema object";
            return Err(Error::malformed(format!("{field}.function.parameters"), rule));
        }
    }
    Ok(())
}

pub(super) fn check_messages(value: &Value) -> Result<Media, Error> {
    let messages = match value {
        Value::Array(messages) => messages,
        Value::Null => return Err(Error::malformed("messages", "is required")),
        _ => return Err(Error::malformed("messages", "must be an array of messages")),
    };
    if messages.is_empty() || messages.len() > ITEMS_MAX {
        let rule = format!("must hold 1 to {ITEMS_MAX} messages");
        return Err(Error::malformed("messages", rule));
    }
    let mut media = Media::default();
    let mut open_calls: Vec<&str> = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let field = format!("messages[{place}]");
        let Some(message) = message.as_object() else {
            return Err(Error::malformed(field, "must be an object"));
        };
        check_message(&field, message, &mut open_calls, &mut media)?;
    }
    Ok(media)
}

fn check_message<'a>(
    field: &str,
    message: &'a Map<String, Value>,
    open_calls: &mut Vec<&'a str>,
    media: &mut Media,
) -> Result<(), Error> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
    let content = message.get("content").unwrap_or(&Value::Null);
    let content_field = format!("{field}.content");
    match role {
        "system" | "developer" | "user" => {
            check_content(&content_field, content, false, media)?;
        }
        "assistant" => {
            *open_calls = check_tool_calls(field, message.get("tool_calls"))?;
            let speaks =
                !open_calls.is_empty() || message.get("refusal").is_some_and(Value::is_string);
            check_content(&content_field, content, speaks, media)?;
        }
        "tool" => {
            let id = message.get("tool_call_id").and_then(Value::as_str);
            let Some(id) = id else {
                return Err(Error::malformed(format!("{field}.tool_call_id"), "is required"));
            };
            if !open_calls.contains(&id) {
                let rule = "answers no tool call of the assistant message before it";
                return Err(Error::malformed(format!("{field}.tool_call_id"), rule));
            }
            check_content(&content_field, content, false, media)?;
        }
        _ => {
            let rule = "must be system, developer, user, assistant or tool";
            return Err(Error::malformed(format!("{field}.role"), rule));
        }
    }
    Ok(())
}

fn check_tool_calls<'a>(field: &str, calls: Option<&'a Value>) -> Result<Vec<&'a str>, Error> {
    let calls = match calls {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(calls)) if calls.len() <= ITEMS_MAX => calls,
        Some(_) => return Err(Error::malformed(format!("{field}.tool_calls"), "must be an array")),
    };
    let mut ids = Vec::with_capacity(calls.len());
    for (place, call) in calls.iter().enumerate() {
        let text = |pointer: &str| call.pointer(pointer).and_then(Value::as_str);
        let field = format!("{field}.tool_calls[{place}]");
        let (Some(id), Some(_), Some(_)) =
            (text("/id"), text("/function/name"), text("/function/arguments"))
        else {
            let rule = "needs id, function.name and function.arguments as texts";
            return Err(Error::malformed(field, rule));
        };
        ids.push(id);
    }
    Ok(ids)
}

fn check_content(
    field: &str,
    content: &Value,
    may_be_absent: bool,
    media: &mut Media,
) -> Result<(), Error> {
    let parts = match content {
        Value::String(_) => return Ok(()),
        Value::Null if may_be_absent => return Ok(()),
        Value::Array(parts) if !parts.is_empty() && parts.len() <= ITEMS_MAX => parts,
        Value::Null => return Err(Error::malformed(field, "is required")),
        _ => return Err(Error::malformed(field, "must be a text or an array of parts")),
    };
    for (place, part) in parts.iter().enumerate() {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        let has = |pointer: &str| part.pointer(pointer).is_some_and(Value::is_string);
        let complete = match kind {
            "text" => has("/text"),
            "refusal" => has("/refusal"),
            "image_url" => {
                media.images = true;
                has("/image_url/url")
            }
            "file" => {
                media.images = true;
                part.get("file").is_some_and(Value::is_object)
            }
            "input_audio" => {
                media.audio = true;
                has("/input_audio/data")
            }
            _ => {
                let rule = "must be text, image_url, file, input_audio or refusal";
                return Err(Error::malformed(format!("{field}[{place}].type"), rule));
            }
        };
        if !complete {
            let rule = format!("is not a complete {kind} part");
            return Err(Error::malformed(format!("{field}[{place}]"), rule));
        }
    }
    Ok(())
}
