//! Answers of the chat completions format.

use farebox_core::{ChatEvent, Completion, Reported};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::parts;
use super::usage::{self, UsageRules};
use crate::delta::{OPENING, Speaking};
use crate::json::{Text, raw};
use crate::sse::Handle;
use crate::{DecodeError, failure};

/// What whole answers and chunks have in common.
#[derive(Deserialize)]
struct Envelope<'a, C> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(default = "none")]
    choices: Option<Vec<C>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<Text<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    x_groq: Option<XGroq<'a>>,
}

/// Serde's own default would ask `C` to have one.
const fn none<T>() -> Option<T> {
    None
}

/// Groq's own part: its last chunk may have the usage, or an error, only here.
#[derive(Deserialize)]
struct XGroq<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl<C> Envelope<'_, C> {
    fn error(&self) -> Option<&RawValue> {
        self.error.or_else(|| self.x_groq.as_ref().and_then(|part| part.error))
    }

    fn usage(&self) -> Option<&RawValue> {
        self.usage.or_else(|| self.x_groq.as_ref().and_then(|part| part.usage))
    }

    fn reported(
        &self,
        usage: Option<&RawValue>,
        rules: &UsageRules,
    ) -> Result<Option<Reported>, DecodeError> {
        let tier = self.service_tier.as_ref().map(|tier| tier.0.as_ref());
        usage.map_or(Ok(None), |usage| usage::read(usage, rules, tier))
    }
}

/// Reads a whole answer.
pub(super) fn whole(rules: &UsageRules, body: &[u8]) -> Result<Completion, DecodeError> {
    const EXPECTED: &str = "a chat completion";
    let answer: Envelope<'_, Value> =
        serde_json::from_slice(body).map_err(|fault| DecodeError::from_json(EXPECTED, &fault))?;
    if let Some(error) = answer.error() {
        return Err(DecodeError::Reported { message: failure::reported(error.get()) });
    }
    let reported = answer.reported(answer.usage(), rules)?;
    let id = Text::or_empty(answer.id.as_ref()).to_owned();
    let model = Text::or_empty(answer.model.as_ref()).to_owned();
    let mut choices = answer.choices.ok_or(DecodeError::lacking(EXPECTED))?;
    for choice in &mut choices {
        as_of_a_chat(choice);
        let message = choice.get_mut("message").and_then(Value::as_object_mut);
        message.into_iter().for_each(parts::of_whole);
    }
    Ok(Completion { id, model, choices, reported })
}

/// A legacy completion's choice carries its text by itself.
fn as_of_a_chat(choice: &mut Value) {
    if let Some(choice) = choice.as_object_mut()
        && let Some(text) = choice.shift_remove("text")
    {
        choice.insert("message".to_owned(), json!({"role": "assistant", "content": text}));
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    /// A legacy completion's content.
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Reads the chunks of a stream.
pub(super) struct Chunks {
    rules: UsageRules,
    started: bool,
    /// The choices that have begun, and those that are complete: a bit each.
    begun: u128,
    finished: u128,
    /// Counts that came before the answer was complete: some providers send them with every
    /// chunk, and only the last are what the call used.
    early: Option<Reported>,
    done: bool,
}

impl Chunks {
    pub(super) const fn new(rules: UsageRules) -> Self {
        Self { rules, started: false, begun: 0, finished: 0, early: None, done: false }
    }

    /// The first chunk of some providers carries no id and no model, so the start waits for
    /// one that does, or for content.
    fn start(&mut self, chunk: &Envelope<'_, Choice<'_>>, out: &mut Vec<ChatEvent>) {
        let content = chunk.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        let named = chunk.id.as_ref().is_some_and(|id| !id.0.is_empty());
        if self.started || !(content || named) {
            return;
        }
        self.started = true;
        let id = Text::or_empty(chunk.id.as_ref()).to_owned();
        let model = Text::or_empty(chunk.model.as_ref()).to_owned();
        out.push(ChatEvent::Start { id, model });
    }

    fn choice(&mut self, choice: &Choice<'_>, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let too_many = DecodeError::lacking("a chunk with a choice below 128");
        let bit = 1_u128.checked_shl(choice.index).ok_or(too_many)?;
        let first = self.begun & bit == 0;
        self.begun |= bit;
        if let Some(error) = choice.error {
            out.push(ChatEvent::Failed { message: failure::reported(error.get()) });
        }
        if first && !choice.delta.is_some_and(has_role) {
            let delta = raw(&OPENING)?;
            out.push(ChatEvent::Delta { choice: choice.index, delta, logprobs: None });
        }
        if let Some(delta) = choice.delta.map(parts::of_delta).transpose()?
            && let Some(delta) = once(&delta, first)?
        {
            let delta = parts::with_indices(delta)?;
            let logprobs = choice.logprobs.map(ToOwned::to_owned);
            out.push(ChatEvent::Delta { choice: choice.index, delta, logprobs });
        }
        if let Some(content) = choice.text.filter(|text| text.get().len() > 2) {
            let (delta, logprobs) =
                (raw(&Speaking { content })?, choice.logprobs.map(ToOwned::to_owned));
            out.push(ChatEvent::Delta { choice: choice.index, delta, logprobs });
        }
        if let Some(reason) = choice.finish_reason.as_ref().filter(|reason| !reason.0.is_empty())
            && self.finished & bit == 0
        {
            self.finished |= bit;
            out.push(ChatEvent::Finish { choice: choice.index, reason: reason.0.to_string() });
        }
        Ok(())
    }
}

impl Handle for Chunks {
    fn handle(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let trimmed = data.trim();
        if self.done || trimmed.is_empty() {
            return Ok(());
        }
        if trimmed == "[DONE]" {
            self.done = true;
            out.extend(self.early.take().map(ChatEvent::Usage));
            out.push(ChatEvent::Done);
            return Ok(());
        }
        let chunk: Envelope<'_, Choice<'_>> = serde_json::from_str(data)
            .map_err(|fault| DecodeError::from_json("a chat completion chunk", &fault))?;
        self.start(&chunk, out);
        let choices = chunk.choices.as_deref().unwrap_or_default();
        for choice in choices {
            self.choice(choice, out)?;
        }
        if let Some(error) = chunk.error() {
            out.push(ChatEvent::Failed { message: failure::reported(error.get()) });
        }
        let usage = chunk.usage().or_else(|| choices.iter().find_map(|choice| choice.usage));
        if let Some(reported) = chunk.reported(usage, &self.rules)? {
            if self.begun != 0 && self.begun == self.finished {
                self.early = None;
                out.push(ChatEvent::Usage(reported));
            } else {
                self.early = Some(reported);
            }
        }
        Ok(())
    }
}

fn may_have_role(delta: &RawValue) -> bool {
    memchr::memmem::find(delta.get().as_bytes(), br#""role""#).is_some()
}

fn has_role(delta: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Role<'a> {
        #[serde(borrow, default)]
        role: Option<&'a RawValue>,
    }
    may_have_role(delta)
        && serde_json::from_str::<Role<'_>>(delta.get()).is_ok_and(|delta| delta.role.is_some())
}

/// The delta with the role only in the first of its choice: many providers repeat it, and strict
/// clients then see two messages. `None` where nothing is left to say.
fn once(delta: &RawValue, first: bool) -> Result<Option<Box<RawValue>>, DecodeError> {
    if delta.get().len() <= 2 {
        return Ok(None);
    }
    if first || !may_have_role(delta) {
        return Ok(Some(delta.to_owned()));
    }
    let mut fields: Map<String, Value> = serde_json::from_str(delta.get())
        .map_err(|fault| DecodeError::from_json("a delta object", &fault))?;
    if fields.shift_remove("role").is_none() {
        return Ok(Some(delta.to_owned()));
    }
    if fields.is_empty() { Ok(None) } else { raw(&fields).map(Some) }
}
