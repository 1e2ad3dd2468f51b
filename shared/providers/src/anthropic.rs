//! Anthropic's Messages API, translated from and to `OpenAI`'s shape.
//!
//! Sources: platform.claude.com/docs (read 2026-08, prices 2026-11) and the types of
//! anthropics/anthropic-sdk-python. What the format cannot express is refused by name: an option
//! is never dropped in silence.

use bytes::Bytes;
use farebox_core::{ChatCall, Completion, Error, Format, Secret};
use serde_json::{Map, Value};

use crate::json;
use crate::openai::{asked_cache_write, count, json_bytes, with_media};
use crate::sse::Stream;
use crate::{
    CountRequest, DecodeError, Decoder, Facts, Failure, InputBound, Outbound, Provider, Wire,
    failure,
};

mod counting;
mod decode;
mod messages;
mod original;
mod request;
mod thinking;
mod usage;

pub(crate) use request::{changes_nothing, end_user};
pub(crate) use thinking::{Told, told};

/// The format.
pub struct Anthropic;

/// The format.
pub static ANTHROPIC: Anthropic = Anthropic;

/// Where messages are sent.
const MESSAGES: &str = "/messages";

/// The version of the API that this module speaks.
const VERSION: &str = "2023-06-01";

/// The most tokens that Anthropic adds to a prompt with tools: 804 on Opus 4.7 (about-claude/
/// pricing, tool use), rounded up.
const TOOL_PREAMBLE: u64 = 1_024;

/// What structured outputs add beside the schema itself; the page gives no figure.
const FORMAT_PREAMBLE: u64 = 512;

impl Wire for Anthropic {
    fn takes(&self, format: Format) -> bool {
        format == Format::Messages
    }

    fn request(
        &self,
        provider: &Provider,
        call: &ChatCall,
        facts: &Facts<'_>,
        cap: u64,
        stream: bool,
    ) -> Result<Outbound, Error> {
        let cap = facts.completion_max.map_or(cap, |most| cap.min(most));
        if let Some(asked) = call.original(Format::Messages) {
            return original::request(provider, call, asked, facts, cap, stream);
        }
        call.text_answer()?;
        let object = request::body(call, facts.model, cap, stream)?;
        let body = Bytes::from(serde_json::to_vec(&object).map_err(Error::internal)?);
        let cap = object.get("max_tokens").and_then(Value::as_u64).unwrap_or(cap);
        let bytes = count(body.len()).saturating_add(added(&object)?);
        let media = call.media.images || call.media.audio;
        let bound = InputBound {
            prompt_tokens: with_media(provider, facts, bytes, call.messages(), call.media)?,
            media,
            cache_write: asked_cache_write(&call.body)?,
            audio: false,
            us_geography: (provider.us_geography)(facts.model),
            ..InputBound::default()
        };
        let path = MESSAGES.into();
        Ok(Outbound { path, headers: Vec::new(), body, bound, cap, choices: 1 })
    }

    fn auth(&self, secret: &Secret) -> Vec<(&'static str, String)> {
        vec![("x-api-key", secret.expose().to_owned()), ("anthropic-version", VERSION.to_owned())]
    }

    fn decode(&self, _: &Provider, body: &[u8]) -> Result<Completion, DecodeError> {
        json::check_values(body, json::ANSWER_VALUES_MAX)?;
        decode::whole(body)
    }

    fn decoder(&self, _: &Provider, frames: bool) -> Box<dyn Decoder + Send> {
        Box::new(Stream::new(decode::Events::default(), frames))
    }

    fn count(
        &self,
        _: &Provider,
        _: &ChatCall,
        _: &Facts<'_>,
        outbound: &Outbound,
    ) -> Option<CountRequest> {
        counting::request(outbound)
    }

    fn failure(&self, provider: &Provider, status: u16, body: &[u8]) -> Failure {
        failure::read(provider, status, body)
    }
}

/// The prompt tokens that no byte of the body stands for.
fn added(body: &Map<String, Value>) -> Result<u64, Error> {
    let mut added = 0_u64;
    if let Some(tools) = body.get("tools") {
        added = added.saturating_add(TOOL_PREAMBLE);
        let strict = |tool: &Value| tool.get("strict") == Some(&Value::Bool(true));
        if tools.as_array().is_some_and(|tools| tools.iter().any(strict)) {
            added = added.saturating_add(json_bytes(tools)?).saturating_add(FORMAT_PREAMBLE);
        }
    }
    if let Some(format) = body.get("output_config").and_then(|config| config.get("format")) {
        added = added.saturating_add(json_bytes(format)?).saturating_add(FORMAT_PREAMBLE);
    }
    Ok(added)
}
