//! Cohere's chat and embeddings, version 2, translated from and to `OpenAI`'s shape.
//!
//! Sources: cohere-ai/cohere-developer-experience, cohere-openapi.yaml and fern/pages (read
//! 2026-10), recorded exchanges. Billed is what `billed_units` counts, never `tokens`: "tokens you
//! don't have control over, you are not charged for them" (how-does-cohere-pricing-work.mdx), so
//! the caller's own bytes bound the prompt. No page gives a discount for `cached_tokens`: they are
//! billed tokens like the others. Whether `max_tokens` holds thinking is not said: a model that may
//! think is held to its maximum.

use bytes::Bytes;
use farebox_core::{ChatCall, Completion, Error, Format, Prompt, Secret, prompts};
use serde_json::{Map, Value, json};

use crate::json;
use crate::openai::{completion, count, embedded, json_bytes, within_window};
use crate::provider::Reach;
use crate::sse::Stream;
use crate::{DecodeError, Decoder, Facts, Failure, InputBound, Outbound, Provider, Wire, failure};

mod decode;
mod request;

/// The format of one endpoint.
pub struct Cohere {
    embeds: bool,
}

/// Chats.
pub static COHERE: Cohere = Cohere { embeds: false };

/// Embeddings.
pub static COHERE_EMBED: Cohere = Cohere { embeds: true };

/// Models that do not think, by how their names begin; others may.
const UNTHINKING: [&str; 8] = [
    "c4ai-",
    "command-a-03",
    "command-a-translate",
    "command-a-vision",
    "command-light",
    "command-nightly",
    "command-r",
    "command-r7b",
];

impl Wire for Cohere {
    fn takes(&self, _: Format) -> bool {
        false
    }

    fn request(
        &self,
        provider: &Provider,
        call: &ChatCall,
        facts: &Facts<'_>,
        cap: u64,
        stream: bool,
    ) -> Result<Outbound, Error> {
        if self.embeds {
            return embed(provider, call, facts);
        }
        let cap = facts.completion_max.map_or(cap, |most| cap.min(most));
        call.text_answer()?;
        let object = request::body(call, facts.model, cap, stream)?;
        let body = Bytes::from(serde_json::to_vec(&object).map_err(Error::internal)?);
        let mut bytes = count(body.len());
        for field in ["tools", "response_format"] {
            if let Some(value) = object.get(field) {
                bytes = bytes.saturating_add(json_bytes(value)?);
            }
        }
        let media = call.media.images;
        let prompt_tokens = within_window(provider, facts, bytes, media)?;
        let bound = InputBound { prompt_tokens, media, ..InputBound::default() };
        let thinks = object.get("thinking") != Some(&json!({"type": "disabled"}))
            && !UNTHINKING.iter().any(|name| facts.model.starts_with(name))
            && facts.model != "command";
        let reach = if thinks { Reach::ModelMaximum } else { Reach::Cap };
        let cap = completion(reach, facts, cap)?;
        Ok(Outbound { path: "/chat".into(), headers: Vec::new(), body, bound, cap, choices: 1 })
    }

    fn auth(&self, secret: &Secret) -> Vec<(&'static str, String)> {
        vec![("authorization", format!("Bearer {}", secret.expose()))]
    }

    fn decode(&self, _: &Provider, body: &[u8]) -> Result<Completion, DecodeError> {
        json::check_values(body, json::ANSWER_VALUES_MAX)?;
        if self.embeds { decode::embedded(body) } else { decode::whole(body) }
    }

    fn decoder(&self, _: &Provider, frames: bool) -> Box<dyn Decoder + Send> {
        Box::new(Stream::new(decode::Events::default(), frames))
    }

    fn failure(&self, provider: &Provider, status: u16, body: &[u8]) -> Failure {
        failure::read(provider, status, body)
    }
}

/// The request of an embedding. Cohere asks what a vector is for and `OpenAI`'s format does not
/// say: `search_document`, which is for what is stored and compared.
fn embed(provider: &Provider, call: &ChatCall, facts: &Facts<'_>) -> Result<Outbound, Error> {
    let given = call.body.get("input").and_then(prompts).unwrap_or_default();
    let texts = given.into_iter().map(|prompt| match prompt {
        Prompt::Text(text) => Ok(Value::from(text)),
        Prompt::Tokens(_) => Err(Error::malformed("input", "must be texts for a Cohere model")),
    });
    let texts: Vec<Value> = texts.collect::<Result<_, _>>()?;
    let packed = call.body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(facts.model));
    body.insert("input_type".to_owned(), Value::from("search_document"));
    let kind = if packed { "base64" } else { "float" };
    body.insert("embedding_types".to_owned(), json!([kind]));
    body.insert("texts".to_owned(), Value::from(texts));
    if let Some(dimensions) = call.body.get("dimensions") {
        body.insert("output_dimension".to_owned(), dimensions.clone());
    }
    let body = Bytes::from(serde_json::to_vec(&body).map_err(Error::internal)?);
    let prompt_tokens = embedded(provider, call, facts);
    let bound = InputBound { prompt_tokens, ..InputBound::default() };
    Ok(Outbound { path: "/embed".into(), headers: Vec::new(), body, bound, cap: 0, choices: 1 })
}
