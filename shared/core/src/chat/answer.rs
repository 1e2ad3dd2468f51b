//! Answers, whole and streamed, in `OpenAI`'s shape.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::Reported;

/// A whole answer in `OpenAI`'s shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// The provider's id of the answer.
    pub id: String,
    /// The model that the provider says it served.
    pub model: String,
    /// `OpenAI`-shaped choices: `{index, message, finish_reason, …}`.
    pub choices: Vec<Value>,
    /// What it used; `None` where the answer does not say.
    pub reported: Option<Reported>,
}

/// One event of a stream as the provider wrote it, but for what its row says is put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name; empty where it has none.
    pub name: Box<str>,
    /// Its data.
    pub data: Box<str>,
}

/// One step of a streamed answer in `OpenAI`'s shape.
#[derive(Clone, Debug)]
pub enum ChatEvent {
    /// An event as it came; stands behind what was read in it. Only where it was asked for.
    Frame(Frame),
    /// The answer's id and served model; comes first, once.
    Start {
        /// The provider's id of the answer.
        id: String,
        /// The model that the provider says it served.
        model: String,
    },
    /// Content of one choice.
    Delta {
        /// Which choice.
        choice: u32,
        /// `OpenAI`'s `delta` object.
        delta: Box<RawValue>,
        /// `OpenAI`'s `logprobs`, where given.
        logprobs: Option<Box<RawValue>>,
    },
    /// A choice is complete.
    Finish {
        /// Which choice.
        choice: u32,
        /// `OpenAI`'s finish reason.
        reason: String,
    },
    /// What the call used so far; the last one stands.
    Usage(Reported),
    /// The provider reports an error inside a good status. Usage behind it is what it bills all
    /// the same; usage before it is not its last word.
    Failed {
        /// The provider's message.
        message: String,
    },
    /// The provider says that the stream is complete.
    Done,
}
