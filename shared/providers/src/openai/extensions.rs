//! What the common shape carries beyond `OpenAI`'s own fields, for the providers that take it.

use std::borrow::Cow;

use serde_json::{Map, Value};

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

/// Where they may stand inside a message or a tool.
const INSIDE: [&str; 3] = ["content", "function", "tool_calls"];

/// The body with those extensions only that are taken.
pub(super) fn within<'a>(
    body: &'a Map<String, Value>,
    taken: &[&str],
) -> Cow<'a, Map<String, Value>> {
    let dropped = |name: &str| EXTENSIONS.contains(&name) && !taken.contains(&name);
    let carriers = ["messages", "tools"];
    if !carriers.iter().filter_map(|name| body.get(*name)).any(|value| carries(value, &dropped)) {
        return Cow::Borrowed(body);
    }
    let mut body = body.clone();
    for name in carriers {
        if let Some(value) = body.get_mut(name) {
            strip(value, &dropped);
        }
    }
    Cow::Owned(body)
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

        let bare = Value::Object(within(&body, &[]).into_owned());
        let some = Value::Object(within(&body, &["cache_control", "is_error"]).into_owned());

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

        assert!(matches!(within(&body, &[]), Cow::Borrowed(_)));
    }
}
