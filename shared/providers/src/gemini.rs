//! Gemini's `generateContent`, at the Gemini API and at Vertex, translated from and to `OpenAI`'s
//! shape.
//!
//! Sources: ai.google.dev/api/generate-content and ai.google.dev/gemini-api/docs (read 2026-09…11)
//! and the types of googleapis/python-genai. What the format cannot express is refused by name: an
//! option is never dropped in silence.

use std::borrow::Cow;

use bytes::Bytes;
use farebox_core::chat::Written;
use farebox_core::{ChatCall, Completion, Error, Format, Secret};
use serde_json::{Map, Value};

use crate::json::{self, Body};
use crate::media::Image;
use crate::openai::{completion, count, json_bytes, with_images};
use crate::provider::Reach;
use crate::{
    CountRequest, DecodeError, Decoder, Facts, Failure, InputBound, Outbound, Provider, Wire,
    failure,
};

pub(crate) mod account;
mod contents;
mod counting;
mod decode;
mod options;
mod original;
mod stream;
mod usage;

pub use original::camel;

/// The format, and who serves it.
pub struct Gemini {
    /// Vertex: a bearer token, and some fields differ.
    vertex: bool,
}

/// With an API key.
pub static GEMINI: Gemini = Gemini { vertex: false };

/// With the token of a service account.
pub static VERTEX: Gemini = Gemini { vertex: true };

/// What marks reasoning that only a Gemini model takes back (`OpenRouter`'s word for it).
pub(crate) const REASONING_FORMAT: &str = "google-gemini-v1";

/// The most tokens that a prompt can have beside the bytes of its text: the marks of a turn are
/// outweighed by JSON's own syntax, but those around tools and an enforced schema are not stated.
const TOOL_PREAMBLE: u64 = 1_024;

/// The field with the cap.
const CONFIG: &str = "generationConfig";

impl Wire for Gemini {
    fn takes(&self, format: Format) -> bool {
        format == Format::GenerateContent
    }

    fn request(
        &self,
        provider: &Provider,
        call: &ChatCall,
        facts: &Facts<'_>,
        cap: u64,
        stream: bool,
    ) -> Result<Outbound, Error> {
        call.text_answer()?;
        let path = path(facts.model, stream)?;
        let cap = facts.completion_max.map_or(cap, |most| cap.min(most));
        let (mut object, media) = match call.original(Format::GenerateContent) {
            Some(asked) => original::body(facts.model, asked, cap)?,
            None => {
                let dialect = contents::Dialect { vertex: self.vertex, model: facts.model };
                let body = options::body(call, dialect, cap)?;
                let mut media = Media { audio: call.media.audio, ..Media::default() };
                body.values().for_each(|value| original::look(value, &mut media));
                (body, media)
            }
        };
        let added = added(&object)?;
        let mut ours = Map::new();
        let config = object.shift_remove(CONFIG);
        ours.extend(config.map(|config| (CONFIG.to_owned(), config)));
        let service_tier = provider.tier(call)?;
        if let Some(tier) = service_tier {
            ours.insert("serviceTier".to_owned(), Value::from(tier));
        }
        let written = call.written(Format::GenerateContent);
        let body = Body { caller: &object, written, ours: &[], farebox: &ours };
        // What bounds the prompt is what is said, however widely it is written.
        let plain = Body { written: &Written::default(), ..body };
        let said = json::length(&plain).map_err(Error::internal)?;
        let body = Bytes::from(serde_json::to_vec(&body).map_err(Error::internal)?);
        let bytes = count(said).saturating_add(added);
        let prompt = with_images(provider, facts, bytes, &media.images, media.any)?;
        let reach = match (provider.reach)(facts.model) {
            // Whether the cap counts the tokens of speech, no page says.
            Reach::Cap if media.speaks => Reach::ModelMaximum,
            reach => reach,
        };
        let bound = InputBound {
            // What the tools of the provider give is counted beside the prompt, and is no more.
            prompt_tokens: prompt.saturating_mul(if media.searches > 0 { 2 } else { 1 }),
            media: media.any || !media.images.is_empty(),
            grows: media.searches > 0,
            audio: media.audio,
            audio_answer: media.speaks,
            us_geography: (provider.us_geography)(facts.model),
            service_tier,
            web_searches: media.searches,
            ..InputBound::default()
        };
        Ok(Outbound {
            path,
            headers: Vec::new(),
            body,
            bound,
            cap: completion(reach, facts, cap)?,
            choices: call.choices,
        })
    }

    fn auth(&self, secret: &Secret) -> Vec<(&'static str, String)> {
        if self.vertex {
            vec![("authorization", format!("Bearer {}", secret.expose()))]
        } else {
            vec![("x-goog-api-key", secret.expose().to_owned())]
        }
    }

    fn decode(&self, _: &Provider, body: &[u8]) -> Result<Completion, DecodeError> {
        json::check_values(body, json::ANSWER_VALUES_MAX)?;
        decode::whole(body)
    }

    fn decoder(&self, _: &Provider, frames: bool) -> Box<dyn Decoder + Send> {
        Box::new(stream::Responses::new(frames))
    }

    fn count(
        &self,
        _: &Provider,
        _: &ChatCall,
        _: &Facts<'_>,
        outbound: &Outbound,
    ) -> Option<CountRequest> {
        counting::request(outbound, self.vertex)
    }

    fn failure(&self, provider: &Provider, status: u16, body: &[u8]) -> Failure {
        failure::read(provider, status, body)
    }
}

/// What a prompt carries beside text.
#[derive(Default)]
struct Media {
    /// Anything whose tokens its bytes do not bound.
    any: bool,
    audio: bool,
    /// Images inside the request.
    images: Vec<Image>,
    /// The answer may be speech.
    speaks: bool,
    /// Grounded prompts, where the provider bills them and not each query.
    searches: u64,
}

/// Where a model is called. Its name becomes one segment of a path, so it must be one.
fn path(model: &str, stream: bool) -> Result<Cow<'static, str>, Error> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if model.is_empty() || model.starts_with('.') || !model.bytes().all(fits) {
        let rule = "must be letters, digits, '-', '_', '.' and '@' for a Gemini model";
        return Err(Error::malformed("model", rule));
    }
    let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    Ok(format!("/models/{model}:{verb}").into())
}

/// The prompt tokens that no byte of the body stands for: tools and schemas are rendered anew
/// inside the prompt, perhaps more widely than they were sent.
fn added(body: &Map<String, Value>) -> Result<u64, Error> {
    let mut added = 0_u64;
    let config = body.get(CONFIG);
    let schemas = ["responseSchema", "responseJsonSchema"].map(|name| config?.get(name));
    for value in [body.get("tools")].into_iter().chain(schemas).flatten() {
        added = added.saturating_add(json_bytes(value)?).saturating_add(TOOL_PREAMBLE);
    }
    Ok(added)
}
