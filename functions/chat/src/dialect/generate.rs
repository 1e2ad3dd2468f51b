//! Gemini's `generateContent`, as Google's own SDKs read it.
//!
//! Source: ai.google.dev/api/generate-content and the types of googleapis/python-genai (read
//! 2026-11). The model and the kind of the answer stand in the path:
//! `/v1beta/models/{model}:streamGenerateContent?alt=sse`.

mod parts;
mod places;
mod read;
mod schema;
mod write;

use std::borrow::Cow;

use bytes::Bytes;
use farebox_core::{ChatCall, Error, Rid, Usage};
use serde_json::{Value, json};

use super::{Answer, Dialect, Opening, StreamWriter};
use crate::account::Listed;
use crate::incoming::Incoming;

/// The dialect of `POST /v1beta/models/{model}:generateContent`.
pub struct GenerateContent {
    /// A stream is one JSON array that grows, as Gemini answers without `alt=sse`.
    array: bool,
}

/// With server-sent events.
pub static GENERATE_CONTENT: GenerateContent = GenerateContent { array: false };

/// With streams as arrays.
pub static GENERATE_CONTENT_ARRAY: GenerateContent = GenerateContent { array: true };

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// A whole answer.
    Generate,
    /// A streamed one.
    Stream,
    /// The tokens of a prompt.
    Count,
    /// What Farebox does not serve.
    Other,
}

/// The model and the verb of a path such as `/v1beta/models/demo/chat:generateContent`. The slash
/// of a model's name may stand there as it is, or as `%2F`.
#[must_use]
pub fn asked(path: &str) -> Option<(String, Verb)> {
    let (_, rest) = path.split_once("/models/")?;
    let (model, verb) = rest.rsplit_once(':')?;
    let verb = match verb {
        "generateContent" => Verb::Generate,
        "streamGenerateContent" => Verb::Stream,
        "countTokens" => Verb::Count,
        _ => Verb::Other,
    };
    let model = percent_encoding::percent_decode_str(model).decode_utf8().ok()?;
    Some((model.into_owned(), verb))
}

impl Dialect for GenerateContent {
    fn parse(&self, incoming: &Incoming) -> Result<ChatCall, Error> {
        if incoming.parameter("key").is_some() {
            let rule = "URLs are logged on their way: send the key in the header \
                        x-goog-api-key, and have this one replaced";
            return Err(Error::malformed("key", rule));
        }
        let not_found = || Error::NotFound { path: incoming.path.chars().take(200).collect() };
        let (model, verb) = asked(&incoming.path).ok_or_else(not_found)?;
        let call = read::call(incoming.json()?, model, verb);
        call.map_err(|error| super::located(self, error))
    }

    fn field<'f>(&self, field: &'f str) -> Cow<'f, str> {
        const NAMES: [(&str, &str); 18] = [
            ("max_completion_tokens", "generationConfig.maxOutputTokens"),
            ("messages", "contents"),
            ("n", "generationConfig.candidateCount"),
            ("reasoning_effort", "generationConfig.thinkingConfig"),
            ("thinking", "generationConfig.thinkingConfig"),
            ("response_format", "generationConfig.responseJsonSchema"),
            ("response_format.type", "generationConfig.responseMimeType"),
            ("service_tier", "serviceTier"),
            ("stop", "generationConfig.stopSequences"),
            ("logprobs", "generationConfig.responseLogprobs"),
            ("top_logprobs", "generationConfig.logprobs"),
            ("temperature", "generationConfig.temperature"),
            ("top_p", "generationConfig.topP"),
            ("top_k", "generationConfig.topK"),
            ("seed", "generationConfig.seed"),
            ("presence_penalty", "generationConfig.presencePenalty"),
            ("frequency_penalty", "generationConfig.frequencyPenalty"),
            ("tool_choice", "toolConfig.functionCallingConfig"),
        ];
        let found = NAMES.iter().find(|(name, _)| *name == field);
        Cow::Borrowed(match found {
            Some((_, ours)) => ours,
            // The places differ: a content may be several messages.
            None if field.starts_with("messages[") => "contents",
            None if field.starts_with("metadata") => {
                return Cow::Owned(field.replacen("metadata", "labels", 1));
            }
            None => field,
        })
    }

    fn error(&self, error: &Error, _: Rid) -> Value {
        error_object(error)
    }

    fn answer(&self, answer: &Answer<'_>) -> Bytes {
        match answer.verbatim {
            Some(bytes) => bytes.clone(),
            None => Bytes::from(write::whole(answer).to_string()),
        }
    }

    fn stream(&self, opening: Opening) -> Box<dyn StreamWriter + Send> {
        let frame = write::Framing::new(self.array);
        if opening.verbatim {
            Box::new(write::Frames::new(frame))
        } else {
            Box::new(write::Chunks::new(&opening, frame))
        }
    }

    fn stream_type(&self) -> &'static str {
        if self.array { "application/json" } else { super::EVENT_STREAM }
    }

    fn keep_alive(&self) -> &'static [u8] {
        // Between events, and between the elements of an array, a line feed says nothing. A comment
        // would break Google's SDK.
        b"\n"
    }

    fn counted(&self, tokens: u64) -> Value {
        json!({"totalTokens": tokens})
    }

    fn model(&self, listed: &Listed<'_>) -> Value {
        let mut object = json!({
            "name": format!("models/{}", listed.id()),
            "displayName": listed.id(),
            "supportedGenerationMethods":
                ["generateContent", "streamGenerateContent", "countTokens"],
        });
        if let (Listed::Model(model), Some(object)) = (listed, object.as_object_mut()) {
            object.insert("inputTokenLimit".to_owned(), json!(model.context_window));
            object.insert("outputTokenLimit".to_owned(), json!(model.completion_max));
        }
        object
    }

    fn models(&self, listed: &[Listed<'_>]) -> Value {
        let models: Vec<Value> = listed.iter().map(|listed| self.model(listed)).collect();
        json!({"models": models})
    }
}

/// Google's error object. The SDKs switch on `status`.
fn error_object(error: &Error) -> Value {
    let row = error.row();
    let status = match row.status {
        401 => "UNAUTHENTICATED",
        // As Google says that prepaid credit is gone.
        402 | 429 => "RESOURCE_EXHAUSTED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        412 | 428 => "FAILED_PRECONDITION",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    };
    let mut metadata = json!({});
    if let (Some(field), Some(metadata)) = (error.field(), metadata.as_object_mut()) {
        metadata.insert("field".to_owned(), Value::from(field));
    }
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": row.code,
        "domain": "farebox",
        "metadata": metadata,
    });
    let message = error.to_string();
    json!({"error": {
        "code": row.status, "message": message, "status": status, "details": [info],
    }})
}

/// Gemini's counts: what is cached stands inside the prompt, thoughts beside everything.
fn usage_object(usage: Option<&Usage>) -> Value {
    let Some(usage) = usage else { return Value::Null };
    let mut counts = json!({
        "promptTokenCount": usage.prompt_tokens(),
        "candidatesTokenCount": usage.completion.saturating_add(usage.audio_completion),
        "totalTokenCount": usage.total_tokens(),
    });
    // The format leaves out what is zero.
    for (name, count) in
        [("cachedContentTokenCount", usage.cached), ("thoughtsTokenCount", usage.reasoning)]
    {
        if let Some(counts) = counts.as_object_mut().filter(|_| count > 0) {
            counts.insert(name.to_owned(), Value::from(count));
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_as_the_caller_wrote_it() {
        for (common, own) in [
            ("stop", "generationConfig.stopSequences"),
            ("messages[3].content", "contents"),
            ("metadata.team", "labels.team"),
            ("safetySettings", "safetySettings"),
        ] {
            assert_eq!(GENERATE_CONTENT.field(common), own);
        }
    }

    #[test]
    fn a_path_names_the_model_and_the_verb() {
        for (path, model, verb) in [
            ("/v1beta/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash", Verb::Generate),
            ("/v1beta/models/demo/chat:streamGenerateContent", "demo/chat", Verb::Stream),
            ("/v1/models/demo%2Fchat:countTokens", "demo/chat", Verb::Count),
            ("/v1/models/ft:a:b:embedContent", "ft:a:b", Verb::Other),
        ] {
            assert_eq!(asked(path), Some((model.to_owned(), verb)), "{path}");
        }
        for path in ["/v1beta/models/demo/chat", "/v1beta/files", "/v1/models/%ff:countTokens"] {
            assert_eq!(asked(path), None, "{path}");
        }
    }
}
