//! `OpenAI`'s Responses API, and those who serve it too.
//!
//! Sources: developers.openai.com/api/docs (guides/responses, token-counting; read 2026-06…11),
//! openai/openai-openapi (2026-11) and recorded exchanges with `OpenAI`, Azure and xAI. It is used
//! without state: `store` is sent as false, and what would need an earlier response is refused.

use bytes::Bytes;
use farebox_core::chat::Written;
use farebox_core::{ChatCall, Completion, Error, Format, Money, Secret};
use serde_json::{Map, Value};

use crate::azure;
use crate::json::{self, Body};
use crate::openai::{count, json_bytes, with_images};
use crate::sse::Stream;
use crate::{
    Billing, CountRequest, DecodeError, Decoder, Facts, Failure, InputBound, Margin, Outbound,
    Provider, Wire, failure,
};

mod called;
mod counting;
mod decode;
mod original;
mod request;
mod usage;

use original::Hosted;

/// The format, with what its hosts do differently.
pub struct Responses {
    /// `api-key` instead of `Authorization: Bearer`.
    api_key_header: bool,
    /// It serves `POST /responses/input_tokens`.
    counts: bool,
    /// `max_tool_calls` caps its searches. At xAI the model decides: only turns can be capped, and
    /// a turn may hold many.
    searches: bool,
    /// What its other tools cost by the piece; without it they are refused.
    fees: Option<ToolFees>,
    /// What a request costs that is refused as a violation of its rules, in pico-USD.
    violation_fee_pico: i128,
}

/// What tools cost that have the same price with every model, in pico-USD.
#[derive(Clone, Copy)]
struct ToolFees {
    /// A call of `file_search`.
    file_search: i128,
    /// A container of `code_interpreter` with 1 GB, for 20 minutes: longer than a call can last.
    container: i128,
}

/// "$2.50 / 1k calls" and "1 GB $0.03" for each session of 20 minutes (developers.openai.com/api/
/// docs/pricing, read 2026-11).
const FEES_OF_OPENAI: ToolFees = ToolFees { file_search: 2_500_000_000, container: 30_000_000_000 };

/// So many pieces at their fee.
fn pieces(pico: i128, count: u64) -> Option<Money> {
    Money::from_pico(pico.checked_mul(count.into())?).ok()
}

/// As `OpenAI` serves it.
pub static RESPONSES: Responses = Responses {
    api_key_header: false,
    counts: true,
    searches: true,
    fees: Some(FEES_OF_OPENAI),
    violation_fee_pico: 0,
};

/// As Azure serves it. Whether it counts the same way, and what its other tools cost, no page says.
pub static RESPONSES_WITH_API_KEY: Responses = Responses {
    api_key_header: true,
    counts: false,
    searches: true,
    fees: None,
    violation_fee_pico: 0,
};

/// As xAI serves it: "For violations caught before generation in the Responses API we will charge
/// a $0.05 usage guideline violation fee per request" (docs.x.ai/docs/pricing, read 2026-09-29).
pub static RESPONSES_OF_XAI: Responses = Responses {
    api_key_header: false,
    counts: false,
    searches: false,
    fees: None,
    violation_fee_pico: 50_000_000_000,
};

/// Before reasoning of another format, which Farebox gives a caller of Responses as sealed
/// reasoning and others as a signature, so that it comes back in the next turn. The providers of
/// these formats cannot open it.
pub const CARRIED_REASONING: &str = "farebox.reasoning.1:";

/// Where responses are made.
const PATH: &str = "/responses";

/// The fields that only Farebox sets.
const OURS: [&str; 5] = ["model", "max_output_tokens", "stream", "store", "service_tier"];

/// The prompt tokens of a tool that is only named by its type: a few bytes stand for a long
/// description. The most that is recorded of one that the caller runs is 642, of `apply_patch`
/// with a short question (2026-08).
const TYPED_TOOL_TOKENS: u64 = 4_096;

impl Responses {
    /// What a call of a tool costs beside its tokens and the model's own fee of a search, in
    /// pico-USD, where the tool is served here.
    fn fee_of(&self, field: &str, hosted: Hosted, model: &str) -> Result<i128, Error> {
        match (hosted, self.fees) {
            (Hosted::Search, _) if self.searches => original::may_search(field, model).map(|()| 0),
            (Hosted::Search, _) => {
                Err(original::unbounded(field, "Nothing caps what it searches."))
            }
            (_, None) => Err(original::unbounded(field, "Its fee is not known here.")),
            (Hosted::FileSearch, Some(fees)) => Ok(fees.file_search),
            (Hosted::Container, Some(fees)) => Ok(fees.container),
        }
    }
}

/// The request that counts a chat's prompt: "convert" it, for chat completions have no such
/// endpoint. The same texts, tools and schema make the prompt, and no page says that they are
/// rendered alike to the token, so the count has its margin.
pub(crate) fn count_of_chat(
    provider: &Provider,
    call: &ChatCall,
    facts: &Facts<'_>,
    outbound: &Outbound,
) -> Option<CountRequest> {
    /// What makes the prompt.
    const PROMPT: [&str; 7] = [
        "messages",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "verbosity",
    ];
    /// What adds nothing to it.
    const BESIDE: [&str; 15] = [
        "temperature",
        "top_p",
        "n",
        "stop",
        "seed",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "presence_penalty",
        "frequency_penalty",
        "user",
        "safety_identifier",
        "metadata",
        "store",
        "prompt_cache_key",
    ];
    let mut body = call.body.clone();
    body.retain(|field, _| !BESIDE.contains(&&**field));
    if !body.keys().all(|field| PROMPT.contains(&&**field)) {
        return None;
    }
    let chat = ChatCall { body, choices: 1, media: call.media, ..ChatCall::default() };
    let converted = RESPONSES.request(provider, &chat, facts, outbound.cap, false).ok()?;
    counting::request(&converted, Margin::of(outbound))
}

impl Wire for Responses {
    fn takes(&self, format: Format) -> bool {
        format == Format::Responses
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
        // The cap holds reasoning too, at xAI as well, whose chat's cap does not (xai-org/
        // xai-proto, RequestSettings.max_tokens).
        let cap = facts.completion_max.map_or(cap, |most| cap.min(most));
        let translated;
        let asked = if let Some(asked) = call.original(Format::Responses) {
            asked
        } else {
            translated = request::body(call)?;
            &translated
        };
        let mut each = 0;
        let carries = original::check(asked, |field, hosted| {
            each = self.fee_of(field, hosted, facts.model)?.max(each);
            Ok(())
        })?;
        let mut ours = Map::new();
        ours.insert("model".to_owned(), Value::from(facts.model));
        ours.insert("max_output_tokens".to_owned(), Value::from(cap));
        ours.insert("store".to_owned(), Value::from(false));
        if stream {
            ours.insert("stream".to_owned(), Value::from(true));
        }
        let service_tier = provider.tier(call)?;
        // `auto` means the project's setting, which may be twice as dear.
        let sent_tier = service_tier.or(provider.service_tiers.then_some("default"));
        ours.extend(sent_tier.map(|tier| ("service_tier".to_owned(), Value::from(tier))));
        let mut fields = OURS.to_vec();
        if let Some(input) = original::without_carried(asked) {
            fields.push("input");
            ours.insert("input".to_owned(), Value::from(input));
        }
        if let Some(calls) = carries.hosted_calls {
            fields.push("max_tool_calls");
            ours.insert("max_tool_calls".to_owned(), Value::from(calls));
        }
        let written = call.written(Format::Responses);
        let body = Body { caller: asked, written, ours: &fields, farebox: &ours };
        // What bounds the prompt is what is said, however widely it is written.
        let plain = Body { written: &Written::default(), ..body };
        let said = json::length(&plain).map_err(Error::internal)?;
        let body = Bytes::from(serde_json::to_vec(&body).map_err(Error::internal)?);
        // Tools and schemas are rendered anew inside the prompt, perhaps more widely than sent.
        let mut bytes = count(said).saturating_add(provider.preamble);
        for field in ["tools", "text"] {
            bytes = bytes.saturating_add(asked.get(field).map_or(Ok(0), json_bytes)?);
        }
        let typed = carries.typed_tools.saturating_mul(TYPED_TOOL_TOKENS);
        let bytes = bytes.saturating_add(typed);
        let calls = carries.hosted_calls.unwrap_or_default();
        // Each call may be one of the dearest tool, and each in a container of its own.
        let fee = pieces(each, calls);
        let fee = fee.ok_or_else(|| Error::malformed("max_tool_calls", "is beyond every fee"))?;
        let bound = InputBound {
            // Every turn reads the prompt anew, and what the turns before it found.
            prompt_tokens: with_images(provider, facts, bytes, &carries.images, carries.media)?
                .saturating_mul(calls.saturating_add(1)),
            media: carries.media || !carries.images.is_empty(),
            grows: carries.hosted_calls.is_some(),
            web_searches: if carries.searches { calls } else { 0 },
            fee,
            audio: carries.audio,
            us_geography: (provider.us_geography)(facts.model),
            service_tier,
            ..InputBound::default()
        };
        let path = PATH.into();
        Ok(Outbound { path, headers: Vec::new(), body, bound, cap, choices: 1 })
    }

    fn auth(&self, secret: &Secret) -> Vec<(&'static str, String)> {
        if self.api_key_header {
            azure::auth(secret)
        } else {
            vec![("authorization", format!("Bearer {}", secret.expose()))]
        }
    }

    fn decode(&self, provider: &Provider, body: &[u8]) -> Result<Completion, DecodeError> {
        json::check_values(body, json::ANSWER_VALUES_MAX)?;
        decode::whole(decode::Host { cost: provider.usage.cost, fees: self.fees }, body)
    }

    fn decoder(&self, provider: &Provider, frames: bool) -> Box<dyn Decoder + Send> {
        let host = decode::Host { cost: provider.usage.cost, fees: self.fees };
        Box::new(Stream::new(decode::Events::new(host), frames))
    }

    fn count(
        &self,
        _: &Provider,
        _: &ChatCall,
        _: &Facts<'_>,
        outbound: &Outbound,
    ) -> Option<CountRequest> {
        if self.counts { counting::request(outbound, Margin::Exact) } else { None }
    }

    fn refusal_fee(&self) -> Money {
        Money::from_pico(self.violation_fee_pico).unwrap_or_default()
    }

    fn failure(&self, provider: &Provider, status: u16, body: &[u8]) -> Failure {
        let mut failure = failure::read(provider, status, body);
        // A 403 may also mean less than a violation; whether it then costs nothing, nobody says.
        if status == 403 && self.violation_fee_pico > 0 {
            failure.billing = Billing::Fee(self.refusal_fee());
        }
        failure
    }
}
