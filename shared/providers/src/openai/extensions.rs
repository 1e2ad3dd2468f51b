//! What the common shape carries beyond `OpenAI`'s own fields, for the providers that take it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::parts;
use crate::provider::Thoughts;

/// Every such field of messages, parts and tools. A provider that does not know one may refuse
/// the call, and none of them is content: what another model thought, and wishes about caching.
/// `extra_content` is Google's, of tool calls: the signature of a thought.
pub const EXTENSIONS: [&str; 6] = [
    "cache_control",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "is_error",
    "extra_content",
];

/// The fields that carry them.
pub(super) const CARRIERS: [&str; 2] = ["messages", "tools"];

/// Where they may stand inside a message or a tool.
const INSIDE: [&str; 3] = ["content", "function", "tool_calls"];

/// The body with those extensions only that are taken.
pub(super) fn within<'a>(
    body: &'a Map<String, Value>,
    taken: &[&str],
    thoughts: Thoughts,
) -> Cow<'a, Map<String, Value>> {
    let is_thought = |name: &str| matches!(thoughts, Thoughts::In(field) if field == name);
    let dropped =
        |name: &str| EXTENSIONS.contains(&name) && !taken.contains(&name) && !is_thought(name);
    if !CARRIERS.iter().filter_map(|name| body.get(*name)).any(|value| carries(value, &dropped)) {
        return Cow::Borrowed(body);
    }
    let mut body = body.clone();
    for name in CARRIERS {
        if let Some(value) = body.get_mut(name) {
            strip(value, &dropped);
        }
    }
    Cow::Owned(body)
}

/// The messages with what the model thought in earlier turns, as its provider takes it back.
pub(super) fn with_thoughts<'a>(
    body: Cow<'a, Map<String, Value>>,
    came: &Map<String, Value>,
    thoughts: Thoughts,
) -> Cow<'a, Map<String, Value>> {
    if thoughts == Thoughts::Dropped {
        return body;
    }
    let messages = came.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let stands = |message: &Value| match thoughts {
        Thoughts::In(field) => message.get(field).is_some_and(Value::is_string),
        _ => false,
    };
    let others = messages.iter().enumerate().filter(|(_, message)| !stands(message));
    let told = others.filter_map(|(at, message)| Some((at, told(message)?)));
    let told: Vec<(usize, String)> = told.collect();
    if told.is_empty() {
        return body;
    }
    let mut body = body.into_owned();
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    let messages = messages.map_or(&mut [][..], Vec::as_mut_slice);
    for (at, text) in told {
        let Some(message) = messages.get_mut(at).and_then(Value::as_object_mut) else { continue };
        match thoughts {
            Thoughts::In(field) => drop(message.insert(field.to_owned(), Value::from(text))),
            _ => {
                let said = parts::with_thought(&text, message.get("content"));
                message.insert("content".to_owned(), said);
            }
        }
    }
    Cow::Owned(body)
}

/// What a message of the model's says that it thought: as one text, or in details that were made
/// of it for a caller of another format.
fn told(message: &Value) -> Option<String> {
    let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
    if text(message, "role")? != "assistant" {
        return None;
    }
    let whole = text(message, "reasoning_content").or_else(|| text(message, "reasoning"));
    let details = || {
        let details = message.get("reasoning_details")?.as_array()?;
        let texts = details.iter().filter_map(|one| text(one, "text").or(text(one, "summary")));
        Some(texts.collect())
    };
    whole.or_else(details).filter(|told| !told.is_empty())
}

/// Where extensions stand: in the items of a list, in the parts and the calls of a message, in the
/// function of a tool. What lies deeper is the caller's own content.
fn inner(value: &Value) -> impl Iterator<Item = &Value> {
    INSIDE.iter().filter_map(|name| value.get(*name))
}

fn carries(value: &Value, dropped: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| carries(item, dropped)),
        Value::Object(fields) => {
            fields.keys().any(|name| dropped(name))
                || inner(value).any(|value| carries(value, dropped))
        }
        _ => false,
    }
}

fn strip(value: &mut Value, dropped: &impl Fn(&str) -> bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, dropped)),
        Value::Object(fields) => {
            fields.retain(|name, _| !dropped(name));
            for name in INSIDE {
                if let Some(value) = fields.get_mut(name) {
                    strip(value, dropped);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body() -> Map<String, Value> {
        let control = json!({"type": "ephemeral"});
        let body = json!({
            "messages": [
                {"role": "user", "content":
                    [{"type": "text", "text": "x", "cache_control": control}]},
                {"role": "assistant", "content": "y", "reasoning_content": "r",
                 "tool_calls": [{"id": "c", "extra_content": {"google": {}},
                    "function": {"name": "f", "arguments": "{\"extra_content\":1}"}}],
                 "reasoning_details": [{"text": "r"}]},
                {"role": "tool", "content": "{\"is_error\": 1}", "is_error": true}],
            "tools": [{"type": "function", "cache_control": control, "function":
                {"name": "f", "parameters": {"properties": {"reasoning": {}}}}}],
            "stop": "x",
        });
        body.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_not_taken_goes_and_content_stays() {
        let body = body();

        let bare = Value::Object(within(&body, &[], Thoughts::Dropped).into_owned());
        let some = Value::Object(
            within(&body, &["cache_control", "is_error"], Thoughts::Dropped).into_owned(),
        );

        let text = bare.to_string();
        for name in ["cache_control", "reasoning_content", "reasoning_details"] {
            assert!(!text.contains(name), "{text}");
        }
        assert!(bare.pointer("/messages/1/tool_calls/0/extra_content").is_none(), "{text}");
        assert!(text.contains("{\\\"extra_content\\\":1}"), "{text}");
        assert_eq!(bare["messages"][2], json!({"role": "tool", "content": "{\"is_error\": 1}"}));
        assert!(bare.pointer("/tools/0/function/parameters/properties/reasoning").is_some());
        assert!(some.pointer("/messages/0/content/0/cache_control").is_some());
        assert_eq!(some["messages"][2]["is_error"], true);
        assert!(some.pointer("/messages/1/reasoning_details").is_none());
    }

    #[test]
    fn a_body_without_them_is_not_copied() {
        let mut body = body();
        body.retain(|name, _| name == "stop");

        assert!(matches!(within(&body, &[], Thoughts::Dropped), Cow::Borrowed(_)));
    }
}
