//! What a wire format can do.

use std::borrow::Cow;

use bytes::Bytes;
use farebox_core::{
    CacheWrite, ChatCall, ChatEvent, Completion, Error, Format, Money, Price, Reported, Secret,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::gemini::camel;
use crate::{Failure, Provider};

/// What the catalogue knows about the model of a call.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The model's name at the provider.
    pub model: &'a str,
    /// The most tokens of prompt and completion together.
    pub context_window: Option<u64>,
    /// The most completion tokens of one choice.
    pub completion_max: Option<u64>,
    /// The prices at which the call is held.
    pub price: Option<&'a Price>,
}

/// A request, ready to be sent, and what it can use at most.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// What is appended to the base URL, such as `/chat/completions`.
    pub path: Cow<'static, str>,
    /// Headers beside those of [`Wire::auth`].
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body, exactly as it must be sent.
    pub body: Bytes,
    /// The most that the prompt can use.
    pub bound: InputBound,
    /// The most completion tokens of one choice: the cap read back from the body. Where the
    /// provider keeps reasoning outside its cap, the context window.
    pub cap: u64,
    /// How many choices were asked for.
    pub choices: u64,
}

/// A request that asks how many tokens a prompt has. It is not billed.
#[derive(Clone, Debug)]
pub struct CountRequest {
    /// What is appended to the base URL, such as `/messages/count_tokens`.
    pub path: Cow<'static, str>,
    /// The JSON body.
    pub body: Bytes,
    /// How far the bill may be above the count.
    pub margin: Margin,
}

/// How far a bill may be above a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Margin {
    /// It is the count, by the provider's word.
    Exact,
    /// So many tokens, or one in fifty, whichever is more: an estimate that is recorded as exact.
    Text,
    /// The same, but one in eight: images and documents, of whose counts nothing is recorded.
    Media,
}

impl Margin {
    /// The tokens above every count that is none of the provider's own word.
    const TOKENS: u64 = 64;

    /// The margin of an estimate.
    pub(crate) const fn of(outbound: &Outbound) -> Self {
        if outbound.bound.media { Self::Media } else { Self::Text }
    }

    /// The most that may be billed.
    #[must_use]
    pub const fn above(self, tokens: u64) -> u64 {
        let part = match self {
            Self::Exact => return tokens,
            Self::Text => tokens.div_ceil(50),
            Self::Media => tokens.div_ceil(8),
        };
        tokens.saturating_add(if part > Self::TOKENS { part } else { Self::TOKENS })
    }
}

impl CountRequest {
    /// The tokens that an answer to it says; `None` where it is no such answer.
    #[must_use]
    pub fn counted(body: &[u8]) -> Option<u64> {
        #[derive(Deserialize)]
        struct Answer {
            /// Anthropic and `OpenAI` name it alike, Bedrock in another case, Google otherwise.
            #[serde(alias = "inputTokens", alias = "totalTokens")]
            input_tokens: u64,
        }
        serde_json::from_slice(body).ok().map(|Answer { input_tokens }| input_tokens)
    }

    /// The fields of a request that an endpoint counts, without those that add nothing to a prompt;
    /// `None` where it carries another, which might not be counted, or names an address: what
    /// stands there may be another thing when the call comes.
    pub(crate) fn fields(
        outbound: &Outbound,
        counted: &[&str],
        uncounted: &[&str],
    ) -> Option<Map<String, Value>> {
        let mut body: Map<String, Value> = serde_json::from_slice(&outbound.body).ok()?;
        // Google takes its names in two spellings.
        let is_in =
            |list: &[&str], field: &str| list.contains(&field) || list.contains(&&*camel(field));
        body.retain(|field, _| !is_in(uncounted, field));
        let is_counted = body.keys().all(|field| is_in(counted, field));
        let is_here = !outbound.bound.media || !body.values().any(names_an_address);
        Some(body).filter(|_| is_counted && is_here)
    }
}

/// Whether something in a body is only named by where it is.
fn names_an_address(value: &Value) -> bool {
    const ADDRESSES: [&str; 6] = ["url", "image_url", "file_url", "fileUri", "file_uri", "uri"];
    match value {
        Value::Array(items) => items.iter().any(names_an_address),
        Value::Object(object) => object.iter().any(|(name, value)| match value {
            Value::String(text) => ADDRESSES.contains(&&**name) && !text.starts_with("data:"),
            _ => names_an_address(value),
        }),
        _ => false,
    }
}

/// The most that a prompt can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputBound {
    /// All prompt tokens.
    pub prompt_tokens: u64,
    /// It carries images, documents or audio: its bytes do not tell its tokens.
    pub media: bool,
    /// The provider's tools add to it, or rules that no count is known to have: none bounds it.
    pub grows: bool,
    /// Searches that the provider may run.
    pub web_searches: u64,
    /// What other tools of the provider may cost beside tokens, whatever the model.
    pub fee: Money,
    /// Which cache writes the body asks for.
    pub cache_write: CacheWrite,
    /// The prompt carries audio.
    pub audio: bool,
    /// The answer may carry audio.
    pub audio_answer: bool,
    /// Anthropic's `us` geography, dearer by a tenth, cannot be excluded.
    pub us_geography: bool,
    /// The service tier that is sent, where that is not the usual one.
    pub service_tier: Option<&'static str>,
}

impl InputBound {
    /// The tier that an answer was served at which does not say: the dearer of the one sent and the
    /// usual one.
    #[must_use]
    pub fn unsaid_tier(&self) -> Option<&'static str> {
        self.service_tier.filter(|tier| *tier != "flex")
    }
}

/// A wire format. The provider's row says how it departs from the format.
pub trait Wire: Sync {
    /// Whether it takes a caller's body of this format as it is, but for what Farebox decides.
    fn takes(&self, format: Format) -> bool;

    /// The request for a call, with `cap` completion tokens at most for each choice (fewer,
    /// where the model's own maximum is lower).
    ///
    /// # Errors
    /// [`Error::Malformed`] names a field that the format cannot express,
    /// [`Error::UnboundedCall`] one whose cost has no bound.
    fn request(
        &self,
        provider: &Provider,
        call: &ChatCall,
        facts: &Facts<'_>,
        cap: u64,
        stream: bool,
    ) -> Result<Outbound, Error>;

    /// The headers that carry the credential, and those that the format needs beside it.
    fn auth(&self, secret: &Secret) -> Vec<(&'static str, String)>;

    /// Reads a whole answer.
    ///
    /// # Errors
    /// [`DecodeError`] where the body is not an answer.
    fn decode(&self, provider: &Provider, body: &[u8]) -> Result<Completion, DecodeError>;

    /// A whole answer as a caller of the same format is told it.
    fn told(&self, _provider: &Provider, body: Bytes) -> Bytes {
        body
    }

    /// A decoder for one streamed answer. With `frames` it also gives each event as it came.
    fn decoder(&self, provider: &Provider, frames: bool) -> Box<dyn Decoder + Send>;

    /// The request that asks how many tokens the prompt of a call has, by what is sent for it;
    /// `None` where the provider has no such request, or it would not count all that is sent.
    fn count(
        &self,
        _provider: &Provider,
        _call: &ChatCall,
        _facts: &Facts<'_>,
        _outbound: &Outbound,
    ) -> Option<CountRequest> {
        None
    }

    /// What a request may cost that is refused, beside its tokens.
    fn refusal_fee(&self) -> Money {
        Money::ZERO
    }

    /// Reads an answer with a bad status.
    fn failure(&self, provider: &Provider, status: u16, body: &[u8]) -> Failure;
}

/// Reads one streamed answer. Any split of the bytes gives the same events.
pub trait Decoder {
    /// Takes the next bytes and appends the events that they complete.
    ///
    /// # Errors
    /// [`DecodeError`] where the stream breaks the format; it cannot be read further.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ChatEvent>) -> Result<(), DecodeError>;

    /// The provider has closed the stream. An event that was cut in the middle is dropped: the
    /// missing [`ChatEvent::Done`] and usage say that the answer is not whole.
    ///
    /// # Errors
    /// [`DecodeError`] as from [`Self::feed`].
    fn end(&mut self, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError>;
}

/// The most tool calls of one streamed choice: twice as many as any model takes tools. Some are
/// kept until the end, and each event looks for its own among those that are open.
const CALLS_MAX: u64 = 256;

/// Refuses a call that is one too many; `before` calls were there.
pub(crate) fn check_calls(before: u64) -> Result<(), DecodeError> {
    let too_many = DecodeError::lacking("a stream of at most 256 calls");
    if before >= CALLS_MAX { Err(too_many) } else { Ok(()) }
}

/// Why an answer cannot be read. It never quotes the answer, but for a reported message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The answer is not what the format says.
    #[error("the provider's answer is not {expected} (line {line}, column {column})")]
    Malformed {
        /// What it should have been.
        expected: &'static str,
        /// Where the parser stopped; 0 where that is not known.
        line: usize,
        /// Where the parser stopped; 0 where that is not known.
        column: usize,
    },
    /// One event of the stream is longer than [`crate::sse::EVENT_BYTES_MAX`].
    #[error("one event of the provider's stream is longer than {bytes_max} bytes")]
    EventTooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// The provider reports an error inside a good status.
    #[error("{message}")]
    Reported {
        /// The provider's message, without secrets.
        message: String,
    },
    /// The same, with what it bills all the same.
    #[error("{message}")]
    Billed {
        /// The provider's message, without secrets.
        message: String,
        /// What the failed call used.
        reported: Box<Reported>,
    },
}

impl DecodeError {
    /// A fault of the JSON parser. Its own message can quote the answer, so only the place stays.
    pub(crate) fn from_json(expected: &'static str, fault: &serde_json::Error) -> Self {
        Self::Malformed { expected, line: fault.line(), column: fault.column() }
    }

    /// An answer that parses and lacks what it must have.
    pub(crate) const fn lacking(expected: &'static str) -> Self {
        Self::Malformed { expected, line: 0, column: 0 }
    }
}
