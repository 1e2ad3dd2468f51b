//! What the common shape carries beyond `OpenAI`'s own fields, for the providers that take it.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

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

/// What asks that all before it is kept.
const MARK: &str = "cache_control";

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

/// The messages with each mark of a whole message at the last part of its text, where providers of
/// this format read it. One that says nothing (a call of a tool) gives it to the message before.
pub(super) fn with_marks(body: Cow<'_, Map<String, Value>>) -> Cow<'_, Map<String, Value>> {
    let messages = body.get("messages").and_then(Value::as_array);
    if !messages.into_iter().flatten().any(|message| message.get(MARK).is_some()) {
        return body;
    }
    let mut body = body.into_owned();
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    let mut mark: Option<Value> = None;
    for message in messages.into_iter().flatten().rev().filter_map(Value::as_object_mut) {
        let own = message.shift_remove(MARK).filter(|own| !own.is_null());
        if let Some(control) = own.or(mark.take()) {
            mark = mark_in(message.get_mut("content"), control);
        }
    }
    Cow::Owned(body)
}

/// Puts a mark at the last part of a content; gives it back where there is none.
fn mark_in(content: Option<&mut Value>, control: Value) -> Option<Value> {
    match content {
        Some(Value::Array(parts)) => match parts.last_mut().and_then(Value::as_object_mut) {
            Some(part) => drop(part.entry(MARK).or_insert(control)),
            None => return Some(control),
        },
        Some(content @ Value::String(_)) if content != "" => {
            let text = content.take();
            *content = json!([{"type": "text", "text": text, "cache_control": control}]);
        }
        _ => return Some(control),
    }
    None
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
    fn a_messages_mark_stands_at_its_last_text_or_at_one_before() {
        let control = json!({"type": "ephemeral"});
        let body = json!({"messages": [
            {"role": "user", "content": [{"type": "text", "text": "a"},
                {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": null, "tool_calls": [], "cache_control": control},
            {"role": "tool", "tool_call_id": "t", "content": "r", "cache_control": control},
            {"role": "user", "content": "plain"},
        ]});
        let body = body.as_object().unwrap().clone();

        let marked = with_marks(Cow::Borrowed(&body)).into_owned();

        assert_eq!(
            Value::Object(marked)["messages"],
            json!([
                {"role": "user", "content": [{"type": "text", "text": "a"},
                    {"type": "text", "text": "b", "cache_control": control}]},
                {"role": "assistant", "content": null, "tool_calls": []},
                {"role": "tool", "tool_call_id": "t",
                 "content": [{"type": "text", "text": "r", "cache_control": control}]},
                {"role": "user", "content": "plain"},
            ])
        );
        let plain = json!({"messages": [{"role": "user", "content": "x"}]});
        let plain = plain.as_object().unwrap();
        assert!(matches!(with_marks(Cow::Borrowed(plain)), Cow::Borrowed(_)));
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
