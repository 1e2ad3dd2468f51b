//! Amazon Bedrock's Converse and ConverseStream, translated from and to `OpenAI`'s shape.
//!
//! Sources: docs.aws.amazon.com/bedrock, API reference of Converse, `ConverseStream` and
//! `TokenUsage` (read 2026-11), recorded exchanges. What a failed call costs no page says. The
//! price hangs on the model's id, whose prefix (`us.`, `eu.`, `global.` …) names the profile: each
//! is a price row of its own. Documented only, and in no recorded exchange: prompt cache points,
//! `strict` tools, effort of Claude and of gpt-oss.

use std::borrow::Cow;

use bytes::Bytes;
use farebox_core::sigv4::encoded;
use farebox_core::{ChatCall, Completion, Error, Format, Secret};
use serde_json::{Map, Value, json};

use crate::json;
use crate::openai::{asked_cache_write, count, json_bytes, with_media};
use crate::{
    CountRequest, DecodeError, Decoder, Facts, Failure, InputBound, Outbound, Provider, Wire,
    failure,
};

pub mod account;
mod counting;
mod decode;
mod messages;
mod request;
mod usage;

/// The format.
pub struct Converse;

/// The format.
pub static CONVERSE: Converse = Converse;

/// What a model's own template may add to a prompt with tools or a schema: Claude's largest is 804
/// tokens; no page tells those of the other families.
const TOOL_PREAMBLE: u64 = 1_024;

impl Wire for Converse {
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
        let cap = facts.completion_max.map_or(cap, |most| cap.min(most));
        call.text_answer()?;
        let mut object = request::body(call, facts.model, cap)?;
        let service_tier = provider.tier(call)?;
        if let Some(tier) = service_tier {
            object.insert("serviceTier".to_owned(), json!({"type": tier}));
        }
        let body = Bytes::from(serde_json::to_vec(&object).map_err(Error::internal)?);
        let bytes = count(body.len()).saturating_add(added(&object)?);
        let media = call.media.images || call.media.audio;
        let bound = InputBound {
            prompt_tokens: with_media(provider, facts, bytes, call.messages(), call.media)?,
            media,
            cache_write: asked_cache_write(&call.body)?,
            service_tier,
            ..InputBound::default()
        };
        let action = if stream { "converse-stream" } else { "converse" };
        let path = Cow::Owned(format!("/model/{}/{action}", encoded(facts.model.as_bytes(), b"")));
        Ok(Outbound { path, headers: Vec::new(), body, bound, cap, choices: 1 })
    }

    /// Nothing: the account signs the whole request.
    fn auth(&self, _: &Secret) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn decode(&self, _: &Provider, body: &[u8]) -> Result<Completion, DecodeError> {
        json::check_values(body, json::ANSWER_VALUES_MAX)?;
        decode::whole(body)
    }

    fn decoder(&self, _: &Provider, _: bool) -> Box<dyn Decoder + Send> {
        Box::new(decode::Events::default())
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

/// The prompt tokens that no byte of the body stands for. Tools and schemas are rendered anew,
/// perhaps more widely than they were sent, so their bytes count twice.
fn added(body: &Map<String, Value>) -> Result<u64, Error> {
    let mut added = 0_u64;
    for field in ["toolConfig", "outputConfig"] {
        if let Some(value) = body.get(field) {
            added = added.saturating_add(json_bytes(value)?).saturating_add(TOOL_PREAMBLE);
        }
    }
    Ok(added)
}
