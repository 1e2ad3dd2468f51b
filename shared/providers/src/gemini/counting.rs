//! `countTokens`: free, and outside the quota of calls (ai.google.dev/gemini-api/docs/billing).
//!
//! It counts contents, system instruction and tools, and images and documents among them. Recorded
//! as counted and as billed in the corpus: the same. It is no promise, so it is a bound with a
//! margin only. What is cached elsewhere (`cachedContent`) is not in what is sent: not counted.

use bytes::Bytes;
use serde_json::{Value, json};

use super::camel;
use crate::{CountRequest, Margin, Outbound};

/// What adds nothing to a prompt, or is not in what is counted and is no prompt.
const UNCOUNTED: [&str; 4] = ["safetySettings", "labels", "generationConfig", "serviceTier"];
/// What is counted.
const COUNTED: [&str; 4] = ["contents", "systemInstruction", "tools", "toolConfig"];
/// What of the configuration makes a prompt longer: schemas are a part of it, and media of a
/// resolution that is not counted with them have other tokens.
const LENGTHENS: [&str; 3] = ["responseSchema", "responseJsonSchema", "mediaResolution"];

pub(super) fn request(outbound: &Outbound, vertex: bool) -> Option<CountRequest> {
    let model = outbound.path.strip_prefix("/models/")?.split(':').next()?;
    let sent: Value = serde_json::from_slice(&outbound.body).ok()?;
    let config = sent.get("generationConfig").and_then(Value::as_object);
    let names = config.into_iter().flat_map(|config| config.keys());
    if names.map(|name| camel(name)).any(|name| LENGTHENS.contains(&&*name)) {
        return None;
    }
    let mut body = CountRequest::fields(outbound, &COUNTED, &UNCOUNTED)?;
    let path = format!("/models/{model}:countTokens").into();
    let body = if vertex {
        // Its request has no such field. The usual one says nothing; what others add is not known.
        let usual = json!({"functionCallingConfig": {"mode": "AUTO"}});
        body.retain(|field, value| camel(field) != "toolConfig" || *value != usual);
        if body.keys().any(|field| camel(field) == "toolConfig") {
            return None;
        }
        Value::Object(body)
    } else {
        body.insert("model".to_owned(), Value::from(format!("models/{model}")));
        json!({"generateContentRequest": body})
    };
    Some(CountRequest { path, body: Bytes::from(body.to_string()), margin: Margin::of(outbound) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InputBound;

    fn counts(body: &Value, vertex: bool) -> bool {
        let outbound = Outbound {
            path: "/models/gemini-2.5-pro:generateContent".into(),
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
            bound: InputBound { media: true, ..InputBound::default() },
            cap: 9,
            choices: 1,
        };
        request(&outbound, vertex).is_some()
    }

    #[test]
    fn what_makes_a_prompt_longer_and_is_not_counted_is_not_asked_for() {
        let inside = json!({"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}});
        let with = |more: Value| {
            let mut body = json!({"contents": [{"parts": [inside]}]});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        for (more, gemini, vertex) in [
            (json!({}), true, true),
            (json!({"generationConfig": {"maxOutputTokens": 9}}), true, true),
            (json!({"serviceTier": "flex", "safetySettings": []}), true, true),
            (json!({"system_instruction": {"parts": [{"text": "x"}]}}), true, true),
            (json!({"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}), true, true),
            (json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}), true, false),
            (json!({"generationConfig": {"responseSchema": {"type": "STRING"}}}), false, false),
            (json!({"generationConfig": {"response_schema": {"type": "STRING"}}}), false, false),
            (json!({"generationConfig": {"mediaResolution": "HIGH"}}), false, false),
            (json!({"cachedContent": "cachedContents/1"}), false, false),
            (
                json!({"contents": [{"parts": [{"fileData": {"fileUri": "gs://b/o"}}]}]}),
                false,
                false,
            ),
        ] {
            assert_eq!(counts(&with(more.clone()), false), gemini, "{more}");
            assert_eq!(counts(&with(more.clone()), true), vertex, "{more} at Vertex");
        }
    }
}
