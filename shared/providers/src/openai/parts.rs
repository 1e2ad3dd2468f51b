//! What some servers of `OpenAI`'s format write otherwise, put into its own words.
//!
//! Mistral's reasoning models answer with content in parts, thoughts among them, and its calls have
//! no `type` (docs.mistral.ai/capabilities/reasoning, and recorded exchanges, 2026-11).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::DecodeError;
use crate::json::{Object, raw};
use crate::wire::check_calls;

/// A message or a delta with its content as one text, and its thoughts apart.
pub(super) fn flatten(message: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = message.get("content") else { return };
    let (mut text, mut thought) = (String::new(), String::new());
    for part in parts {
        let said = part.get("text").and_then(Value::as_str).unwrap_or_default();
        text.push_str(said);
        match part.get("thinking") {
            Some(Value::String(told)) => thought.push_str(told),
            Some(Value::Array(told)) => {
                let told = told.iter().filter_map(|part| part.get("text")?.as_str());
                told.for_each(|told| thought.push_str(told));
            }
            _ => {}
        }
    }
    if text.is_empty() && !thought.is_empty() {
        message.shift_remove("content");
    } else {
        message.insert("content".to_owned(), Value::from(text));
    }
    if !thought.is_empty() {
        message.insert("reasoning_content".to_owned(), Value::from(thought));
    }
}

/// Content with a thought before it, as Mistral's models tell and take it.
pub(super) fn with_thought(thought: &str, content: Option<&Value>) -> Value {
    let thinking = json!([{"type": "text", "text": thought}]);
    let mut parts = vec![json!({"type": "thinking", "thinking": thinking})];
    match content {
        Some(Value::String(text)) if !text.is_empty() => {
            parts.push(json!({"type": "text", "text": text}));
        }
        Some(Value::Array(said)) => parts.extend(said.iter().cloned()),
        _ => {}
    }
    Value::from(parts)
}

/// The message of a whole answer.
pub(super) fn of_whole(message: &mut Map<String, Value>) {
    flatten(message);
    message.entry("content").or_insert(Value::Null);
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten().filter_map(Value::as_object_mut) {
        call.entry("type").or_insert_with(|| Value::from("function"));
    }
}

/// The end of a choice in `OpenAI`'s word for it, where that is not how it came. Together has one
/// more, for the model's own token of it (togethercomputer/openapi, `FinishReason`), which strict
/// clients refuse. Some say `stop` where tools were called, `OpenAI` itself where the call was
/// forced by its name: strict clients then drop the calls.
pub(super) fn end(reason: &str, called: bool) -> Option<&'static str> {
    match reason {
        "stop" | "eos" if called => Some("tool_calls"),
        "eos" => Some("stop"),
        _ => None,
    }
}

/// The message of a whole answer with its departures put right; `None` where it has none.
pub(super) fn retold(message: &str) -> Option<String> {
    let fields = Object::read(message)?;
    let content = fields.get("content");
    let untyped = || {
        let calls: Option<Vec<&RawValue>> = serde_json::from_str(fields.get("tool_calls")?).ok()?;
        let mut calls = calls?.into_iter().filter_map(|call| Object::read(call.get()));
        calls.find(|call| call.get("type").is_none())
    };
    if content.is_some_and(|content| !content.starts_with('[')) && untyped().is_none() {
        return None;
    }
    let mut message = serde_json::from_str(message).ok()?;
    of_whole(&mut message);
    Some(Value::from(message).to_string())
}

/// A body or a chunk with changes in its choices, by their places.
pub(super) fn changed(data: &str, changes: Vec<(usize, &'static str, String)>) -> Option<String> {
    let mut outer = Object::read(data)?;
    let inner = outer.get("choices")?;
    let choices: Vec<&RawValue> = serde_json::from_str(inner).ok()?;
    let mut choices: Vec<_> =
        choices.into_iter().map(|choice| Object::read(choice.get())).collect::<Option<_>>()?;
    for (place, field, value) in changes {
        choices.get_mut(place)?.set(field, value);
    }
    let choices: Vec<String> = choices.iter().map(Object::text).collect();
    let choices = format!("[{}]", choices.join(","));
    outer.set("choices", choices);
    Some(outer.text())
}

#[derive(Deserialize)]
struct Calling {
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    index: Option<u64>,
}

/// The calls of a message or a delta. What is no list of them is passed on as it is, and read as
/// none.
fn calls_of(said: &str) -> Vec<Call> {
    if memchr::memmem::find(said.as_bytes(), br#""tool_calls""#).is_none() {
        return Vec::new();
    }
    let calling = serde_json::from_str::<Calling>(said).ok();
    calling.and_then(|calling| calling.tool_calls).unwrap_or_default()
}

/// Whether a tool is called in a message or a delta.
pub(super) fn calls_in(said: &str) -> bool {
    !calls_of(said).is_empty()
}

/// A delta, read only where its content may be in parts.
pub(super) fn of_delta(delta: &RawValue) -> Result<Cow<'_, RawValue>, DecodeError> {
    let bytes = delta.get().as_bytes();
    let after = memchr::memmem::find(bytes, br#""content""#).and_then(|at| bytes.get(at + 9..));
    let mut after = after.into_iter().flatten().skip_while(|byte| b" \t\r\n:".contains(byte));
    if after.next() != Some(&b'[') {
        return Ok(Cow::Borrowed(delta));
    }
    let mut fields: Map<String, Value> = serde_json::from_str(delta.get())
        .map_err(|fault| DecodeError::from_json("a delta object", &fault))?;
    flatten(&mut fields);
    raw(&fields).map(Cow::Owned)
}

/// A delta whose calls tell their places, and whether it has any: Mistral leaves the places out,
/// and tells each call in one piece. A place beyond every number of calls is refused.
pub(super) fn with_indices(delta: Box<RawValue>) -> Result<(Box<RawValue>, bool), DecodeError> {
    let calls = calls_of(delta.get());
    calls.iter().filter_map(|call| call.index).try_for_each(check_calls)?;
    if calls.iter().all(|call| call.index.is_some()) {
        return Ok((delta, !calls.is_empty()));
    }
    let mut fields: Map<String, Value> = serde_json::from_str(delta.get())
        .map_err(|fault| DecodeError::from_json("a delta object", &fault))?;
    let calls = fields.get_mut("tool_calls").and_then(Value::as_array_mut);
    let calls = calls.into_iter().flatten().filter_map(Value::as_object_mut);
    for (place, call) in calls.enumerate() {
        if call.get("index").is_none_or(Value::is_null) {
            call.insert("index".to_owned(), Value::from(place));
        }
    }
    Ok((raw(&fields)?, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_in_parts_becomes_a_text_and_a_thought() {
        for (delta, expected) in [
            (
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}"#,
                r#"{"reasoning_content":"hm"}"#,
            ),
            (
                r#"{"role":"a","content" : [{"type":"text","text":"x"},{"text":"y"}]}"#,
                r#"{"role":"a","content":"xy"}"#,
            ),
            (r#"{"content":"\"content\":["}"#, r#"{"content":"\"content\":["}"#),
            (r#"{"content":null}"#, r#"{"content":null}"#),
        ] {
            let delta = RawValue::from_string(delta.to_owned()).unwrap();
            assert_eq!(of_delta(&delta).unwrap().get(), expected);
        }
    }

    #[test]
    fn a_call_without_a_place_has_that_of_its_list() {
        for (delta, expected) in [
            (
                r#"{"tool_calls":[{"id":"a"},{"id":"b"}]}"#,
                r#"{"tool_calls":[{"id":"a","index":0},{"id":"b","index":1}]}"#,
            ),
            (
                r#"{"tool_calls":[{"index":0},{"index":null}]}"#,
                r#"{"tool_calls":[{"index":0},{"index":1}]}"#,
            ),
            (r#"{"tool_calls" : [{"index":3}]}"#, r#"{"tool_calls" : [{"index":3}]}"#),
            (r#"{"tool_calls":null}"#, r#"{"tool_calls":null}"#),
        ] {
            let delta = RawValue::from_string(delta.to_owned()).unwrap();
            let (told, calls) = with_indices(delta).unwrap();
            assert_eq!((told.get(), calls), (expected, expected.contains("index")));
        }
        let far = RawValue::from_string(r#"{"tool_calls":[{"index":256}]}"#.to_owned()).unwrap();
        assert!(with_indices(far).is_err());
    }

    #[test]
    fn a_call_of_a_whole_answer_has_its_type() {
        let mut message = serde_json::from_str(r#"{"tool_calls":[{"id":"c"}]}"#).unwrap();
        of_whole(&mut message);
        let expected = r#"{"tool_calls":[{"id":"c","type":"function"}],"content":null}"#;
        assert_eq!(Value::Object(message).to_string(), expected);
    }
}
