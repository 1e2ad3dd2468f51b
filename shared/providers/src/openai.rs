//! `OpenAI`'s chat completions, embeddings and legacy completions, and every format that follows
//! them.
//!
//! Sources: developers.openai.com/api/docs and openai/openai-openapi (read 2026-06…11); the
//! departures of others are in their rows of [`crate::PROVIDERS`].

use std::borrow::Cow;

use bytes::Bytes;
use farebox_core::chat::Written;
use farebox_core::{ChatCall, Completion, Error, Format, Secret};
use serde_json::{Map, Value, json};

use crate::anthropic::changes_nothing;
use crate::azure;
use crate::json::{self, Body};
use crate::provider::{Effort, Reach};
use crate::responses::count_of_chat;
use crate::sse::Stream;
use crate::{
    CountRequest, DecodeError, Decoder, Facts, Failure, InputBound, Outbound, Provider, Wire,
    failure,
};

mod bound;
mod decode;
mod extensions;
mod parts;
mod texts;
mod usage;

pub(crate) use bound::{
    asked_cache_write, completion, count, json_bytes, with_images, with_media, within_window,
};
pub use extensions::EXTENSIONS;
pub(crate) use texts::embedded;
pub use usage::{Cost, UsageRules, cost_in_ticks, cost_in_usd, cost_total, stated};

/// The format of one endpoint, with the header that carries the credential.
pub struct OpenAi {
    endpoint: Endpoint,
    /// `api-key` instead of `Authorization: Bearer`.
    api_key_header: bool,
}

/// Which endpoint is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Chat,
    Completions,
    Embeddings,
}

/// Chat completions with `Authorization: Bearer`.
pub static OPENAI: OpenAi = OpenAi { endpoint: Endpoint::Chat, api_key_header: false };

/// Legacy completions with `Authorization: Bearer`.
pub static COMPLETIONS: OpenAi = OpenAi { endpoint: Endpoint::Completions, api_key_header: false };

/// Embeddings with `Authorization: Bearer`.
pub static EMBEDDINGS: OpenAi = OpenAi { endpoint: Endpoint::Embeddings, api_key_header: false };

/// Chat completions with `api-key`, as Azure takes it.
pub static OPENAI_WITH_API_KEY: OpenAi = OpenAi { api_key_header: true, ..OPENAI };

/// Legacy completions with `api-key`.
pub static COMPLETIONS_WITH_API_KEY: OpenAi = OpenAi { api_key_header: true, ..COMPLETIONS };

/// Embeddings with `api-key`.
pub static EMBEDDINGS_WITH_API_KEY: OpenAi = OpenAi { api_key_header: true, ..EMBEDDINGS };

/// The fields that only Farebox sets.
const OURS: [&str; 7] = [
    "model",
    "max_tokens",
    "max_completion_tokens",
    "stream",
    "stream_options",
    "service_tier",
    ROUTING,
];

/// What chooses the endpoint, where a provider has several.
const ROUTING: &str = "provider";

/// The dearest endpoint that a call may go to: one at the prices at which it is held.
fn max_price(provider: &Provider, facts: &Facts<'_>) -> Option<(String, Value)> {
    let (input, output) = facts.price.filter(|_| provider.takes_max_price)?.listed()?;
    let mut most = Map::new();
    most.insert("prompt".to_owned(), Value::from(input.usd_per_million()));
    most.extend(output.map(|output| ("completion".to_owned(), output.usd_per_million().into())));
    Some((ROUTING.to_owned(), json!({"max_price": most})))
}

/// What of its usage a stream is asked for. vLLM counts each choice by itself until the end
/// (`chat_completion_stream_generator`), so of several the counts so far say too little.
fn stream_options(provider: &Provider, choices: u64) -> Option<(String, Value)> {
    let mut options = Map::new();
    if provider.include_usage {
        options.insert("include_usage".to_owned(), Value::from(true));
    }
    if provider.continuous_usage && choices == 1 {
        options.insert("continuous_usage_stats".to_owned(), Value::from(true));
    }
    (!options.is_empty()).then(|| ("stream_options".to_owned(), Value::from(options)))
}

/// Options under the provider's own names for them.
fn rename(provider: &Provider, caller: &mut Cow<'_, Map<String, Value>>, written: &mut Written) {
    for (name, own) in provider.renames {
        if let Some(said) = caller.get(*name).cloned() {
            caller.to_mut().shift_remove(*name);
            written.forget(name);
            caller.to_mut().entry(*own).or_insert(said);
        }
    }
}

/// Refuses by name what the provider does not know, but for what changes nothing.
fn without_refused(
    provider: &Provider,
    caller: &mut Cow<'_, Map<String, Value>>,
) -> Result<(), Error> {
    for name in provider.refuses {
        match caller.get(*name) {
            None => {}
            Some(value) if changes_nothing(name, value) => {
                caller.to_mut().shift_remove(*name);
            }
            Some(_) => {
                let rule = "has no counterpart in OpenAI's API: leave it out for this model";
                return Err(Error::malformed(*name, rule));
            }
        }
    }
    Ok(())
}

/// The fields in which a model is told how hard to think, where they are the provider's own. What
/// nobody knows of is the provider's to answer where the caller wrote it in `OpenAI`'s words.
fn effort(
    provider: &Provider,
    call: &ChatCall,
    model: &str,
) -> Result<Option<Vec<(&'static str, Value)>>, Error> {
    let Some(effort) = call.effort() else { return Ok(None) };
    let rule = match (provider.effort)(model, effort, call.thinking) {
        Effort::Own(fields) => return Ok(Some(fields)),
        Effort::Unknown if call.original.is_some() => {
            "this model is not known to take it: leave it out, or let it be dropped by \
             x-farebox-drop-params: true, or by a key that always asks for that"
        }
        Effort::Plain | Effort::Unknown => return Ok(None),
        Effort::Refused(rule) => rule,
    };
    Err(Error::malformed(call.effort_field(), rule))
}

impl Wire for OpenAi {
    fn takes(&self, format: Format) -> bool {
        match self.endpoint {
            Endpoint::Chat => matches!(format, Format::Chat | Format::Native),
            Endpoint::Completions => format == Format::Completions,
            Endpoint::Embeddings => format == Format::Embeddings,
        }
    }

    fn request(
        &self,
        provider: &Provider,
        call: &ChatCall,
        facts: &Facts<'_>,
        cap: u64,
        stream: bool,
    ) -> Result<Outbound, Error> {
        if (provider.unbounded)(facts.model) {
            return Err(Error::UnboundedCall {
                field: "model".to_owned(),
                hint: "It runs other models or tools by itself, without a limit.".to_owned(),
            });
        }
        match self.endpoint {
            Endpoint::Chat => {}
            _ if call.service_tier.is_some() => {
                return Err(Error::malformed("service_tier", "is for chats: leave it out"));
            }
            Endpoint::Completions => return texts::completions(provider, call, facts, cap, stream),
            Endpoint::Embeddings => return texts::embeddings(provider, call, facts),
        }
        call.understood(|field| provider.passes.iter().any(|(name, _)| *name == field))?;
        let mut ours = Map::new();
        ours.insert("model".to_owned(), Value::from(facts.model));
        let cap = facts.completion_max.map_or(cap, |most| cap.min(most));
        ours.insert(provider.cap_field.to_owned(), Value::from(cap));
        ours.extend(max_price(provider, facts));
        if stream {
            ours.insert("stream".to_owned(), Value::from(true));
            ours.extend(stream_options(provider, call.choices));
        }
        let service_tier = provider.tier(call)?;
        let sent_tier = service_tier.or(provider.service_tiers.then_some("default"));
        ours.extend(sent_tier.map(|tier| ("service_tier".to_owned(), Value::from(tier))));
        let thoughts = (provider.thoughts)(facts.model);
        let caller = extensions::within(&call.body, provider.extensions, thoughts);
        let caller = extensions::with_thoughts(caller, &call.body, thoughts);
        let mut caller = extensions::with_marks(caller);
        let mut written = call.written(Format::Chat).clone();
        if matches!(caller, Cow::Owned(_)) {
            extensions::CARRIERS.into_iter().for_each(|field| written.forget(field));
        }
        rename(provider, &mut caller, &mut written);
        without_refused(provider, &mut caller)?;
        if let Some(own) = effort(provider, call, facts.model)? {
            let caller = caller.to_mut();
            caller.shift_remove("reasoning_effort");
            written.forget("reasoning_effort");
            // What the caller says in the provider's own words goes first.
            own.into_iter().for_each(|(field, value)| {
                caller.entry(field).or_insert(value);
            });
        }
        let body = Body { caller: &caller, written: &written, ours: &OURS, farebox: &ours };
        // What bounds the prompt is what is said, however widely it is written.
        let plain = Body { written: &Written::default(), ..body };
        let bytes = json::length(&plain).map_err(Error::internal)?;
        let body = Bytes::from(serde_json::to_vec(&body).map_err(Error::internal)?);
        let sent = ours.get(provider.cap_field).and_then(Value::as_u64).unwrap_or(cap);
        let reach = match (provider.reach)(facts.model) {
            // Whether the cap counts the tokens of audio, no page says.
            Reach::Cap if call.audio_answer => Reach::ModelMaximum,
            reach => reach,
        };
        let cap = bound::completion(reach, facts, sent)?;
        let asked = provider.passes.iter().filter(|(name, _)| caller.contains_key(*name));
        let preamble = asked.fold(provider.preamble, |sum, (_, adds)| sum.saturating_add(*adds));
        let bytes = bound::count(bytes).saturating_add(preamble);
        let bound = bound::prompt(provider, &caller, call.media, facts, bytes)?;
        let audio_answer = call.audio_answer;
        let bound = InputBound { service_tier, audio_answer, ..bound };
        Ok(Outbound {
            path: "/chat/completions".into(),
            headers: Vec::new(),
            body,
            bound,
            cap,
            choices: call.choices,
        })
    }

    fn auth(&self, secret: &Secret) -> Vec<(&'static str, String)> {
        if self.api_key_header {
            azure::auth(secret)
        } else {
            vec![("authorization", format!("Bearer {}", secret.expose()))]
        }
    }

    fn decode(&self, provider: &Provider, body: &[u8]) -> Result<Completion, DecodeError> {
        match self.endpoint {
            // Its numbers are skipped, not read.
            Endpoint::Embeddings => texts::embedding(&provider.usage, body),
            Endpoint::Chat | Endpoint::Completions => {
                json::check_values(body, json::ANSWER_VALUES_MAX)?;
                decode::whole(&provider.usage, body)
            }
        }
    }

    fn told(&self, provider: &Provider, body: Bytes) -> Bytes {
        if !provider.departs || self.endpoint != Endpoint::Chat {
            return body;
        }
        let told = str::from_utf8(&body).ok().and_then(decode::told);
        told.map_or(body, Bytes::from)
    }

    fn decoder(&self, provider: &Provider, frames: bool) -> Box<dyn Decoder + Send> {
        Box::new(Stream::new(
            decode::Chunks::new(provider.usage, provider.departs && frames),
            frames,
        ))
    }

    fn count(
        &self,
        provider: &Provider,
        call: &ChatCall,
        facts: &Facts<'_>,
        outbound: &Outbound,
    ) -> Option<CountRequest> {
        let counts = provider.counts_chats && self.endpoint == Endpoint::Chat;
        if counts { count_of_chat(provider, call, facts, outbound) } else { None }
    }

    fn failure(&self, provider: &Provider, status: u16, body: &[u8]) -> Failure {
        failure::read(provider, status, body)
    }
}
