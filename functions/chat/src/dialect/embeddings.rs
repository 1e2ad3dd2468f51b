//! `OpenAI`'s embeddings: `POST /v1/embeddings`.
//!
//! Source: `OpenAI`'s `OpenAPI` description, `CreateEmbeddingResponse` (read 2026-11).

use bytes::Bytes;
use farebox_core::{ChatCall, Error, Rid};
use serde_json::{Value, json};

use super::openai::{error_object, paid_usage, with_cost};
use super::{Answer, Dialect, OPENAI, Opening, StreamWriter};
use crate::incoming::Incoming;

/// The dialect of `POST /v1/embeddings`.
pub struct Embeddings;

/// The one value of [`Embeddings`].
pub static EMBEDDINGS: Embeddings = Embeddings;

impl Dialect for Embeddings {
    fn parse(&self, incoming: &Incoming) -> Result<ChatCall, Error> {
        ChatCall::from_embeddings(incoming.json()?)
    }

    fn error(&self, error: &Error, _: Rid) -> Value {
        error_object(error)
    }

    fn answer(&self, answer: &Answer<'_>) -> Bytes {
        if let Some(body) = answer.verbatim {
            return with_cost(body, answer.paid);
        }
        let completion = answer.completion;
        let body = json!({
            "object": "list",
            "data": completion.choices,
            "model": completion.model,
            "usage": usage(answer),
        });
        Bytes::from(body.to_string())
    }

    /// An embedding has no stream: `stream` is refused when the call is read.
    fn stream(&self, opening: Opening) -> Box<dyn StreamWriter + Send> {
        OPENAI.stream(opening)
    }
}

/// The usage of an embedding has no completion.
fn usage(answer: &Answer<'_>) -> Value {
    let mut usage = paid_usage(answer);
    if let Some(usage) = usage.as_object_mut() {
        usage.retain(|name, _| ["prompt_tokens", "total_tokens", "cost"].contains(&name.as_str()));
    }
    usage
}
