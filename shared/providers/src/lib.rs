//! Wire formats of LLM providers: bytes in, values out.
//!
//! Nothing here opens a socket, reads a clock or awaits. The chat function asks a [`Wire`] for
//! the exact bytes to send ([`Wire::request`]), sends them, and feeds what comes back, in
//! whatever pieces the network delivers, to a [`Decoder`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`provider`] | [`PROVIDERS`]: one row a provider; its quirks are data |
//! | [`wire`] | [`Wire`], [`Decoder`], [`Outbound`]: what a wire format can do |
//! | [`openai`] | `OpenAI`'s chat completions, and every format that follows it |
//! | [`responses`] | `OpenAI`'s Responses API |
//! | [`anthropic`] | Anthropic's Messages, translated from and to `OpenAI`'s shape |
//! | [`azure`] | Azure's credentials and older addresses; it speaks `OpenAI`'s formats |
//! | [`gemini`] | Gemini's `generateContent`, translated from and to `OpenAI`'s shape |
//! | [`bedrock`] | Amazon Bedrock's Converse and its event stream, and the account that signs it |
//! | [`cohere`] | Cohere's chat and embeddings |
//! | [`credential`] | secrets of several fields: what they make of a request |
//! | [`sse`] | server-sent events from bytes in any split |
//! | [`failure`] | which failures a provider does not bill, each row with its source |
//!
//! Three rules keep the money right:
//!
//! 1. **A bound is taken from the bytes that are sent**: [`Outbound::bound`] and
//!    [`Outbound::cap`] come from the very body in [`Outbound::body`].
//! 2. **Usage is disjoint**: a token that a provider reports in two counts lands in one class.
//!    A count that Farebox does not know is named in `unknown_fields`, and charges the hold.
//! 3. **Partial usage is not usage**: a decoder reports counts only once they are final, so a
//!    cut stream never looks settled.

pub mod anthropic;
pub mod azure;
pub mod bedrock;
pub mod cohere;
pub mod credential;
pub mod failure;
pub mod gemini;
pub mod openai;
pub mod provider;
pub mod responses;
pub mod sse;
pub mod wire;

mod amount;
mod cited;
mod delta;
mod eventstream;
mod json;
mod media;
mod reasoning;
mod schema;
mod usage;

pub use credential::Scheme;
pub use delta::shown_bytes;
pub use failure::{Billing, Blame, Failure};
pub use json::Object;
pub use provider::{PROVIDERS, Provider, Reach, Thoughts, find};
pub use wire::{CountRequest, DecodeError, Decoder, Facts, InputBound, Margin, Outbound, Wire};
