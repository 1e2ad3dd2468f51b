//! Answers of the chat completions format.

use farebox_core::{ChatEvent, Completion, Reported};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::parts;
use super::usage::{self, UsageRules};
use crate::cited::Cited;
use crate::delta::{OPENING, Speaking};
use crate::json::{Object, Text, raw};
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
    usage_breakdown: Option<&'a RawValue>,
    /// What Perplexity found, with titles; xAI and it tell the URLs alone too.
    #[serde(borrow, default)]
    search_results: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
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

    fn sources(&self) -> Option<&RawValue> {
        let lists = [self.search_results, self.citations].into_iter().flatten();
        lists.into_iter().find(|list| list.get().len() > 2 && list.get().starts_with('['))
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
        let mut reported = usage.map_or(Ok(None), |usage| usage::read(usage, rules, tier))?;
        if let (Some(reported), Some(parts)) = (&mut reported, self.usage_breakdown) {
            let model = Text::or_empty(self.model.as_ref());
            usage::check_breakdown(reported, parts, model, rules);
        }
        Ok(reported)
    }
}

/// Sources that stand beside the choices, as what the answer rests on.
fn cited(sources: &str) -> Cited {
    let mut cited = Cited::default();
    let sources: Vec<Value> = serde_json::from_str(sources).unwrap_or_default();
    for source in &sources {
        let of = |field: &str| source.get(field).and_then(Value::as_str);
        let url = source.as_str().or_else(|| of("url")).unwrap_or_default();
        cited.url(url, of("title").unwrap_or_default(), 0, 0);
    }
    cited
}

/// A whole answer as a caller of the format is told it, where that is not how it came.
pub(super) fn told(body: &str) -> Option<String> {
    let whole = Object::read(body)?;
    let choices: Vec<&RawValue> = serde_json::from_str(whole.get("choices")?).ok()?;
    let mut changes = Vec::new();
    for (place, choice) in choices.into_iter().enumerate() {
        let choice = Object::read(choice.get())?;
        let message = choice.get("message").and_then(parts::retold);
        let called = choice.get("message").is_some_and(parts::calls_in);
        let end = choice.get("finish_reason").map(|reason| reason.trim_matches('"'));
        let end = end.and_then(|reason| parts::end(reason, called));
        changes.extend(end.map(|end| (place, "finish_reason", format!("\"{end}\""))));
        changes.extend(message.map(|message| (place, "message", message)));
    }
    if changes.is_empty() { None } else { parts::changed(body, changes) }
}

/// Reads a whole answer.
pub(super) fn whole(rules: &UsageRules, body: &[u8]) -> Result<Completion, DecodeError> {
    const EXPECTED: &str = "a chat completion";
    let answer: Envelope<'_, Value> =
        serde_json::from_slice(body).map_err(|fault| DecodeError::from_json(EXPECTED, &fault))?;
    let reported = answer.reported(answer.usage(), rules);
    if let Some(error) = answer.error() {
        let message = failure::reported(error.get());
        // Beside an error its counts may not be the last, and an amount is what was charged.
        let stated = reported.ok().flatten().filter(|told| told.stated().is_some());
        return Err(match stated.map(Box::new) {
            Some(reported) => DecodeError::Billed { message, reported },
            None => DecodeError::Reported { message },
        });
    }
    let reported = reported?;
    let id = Text::or_empty(answer.id.as_ref()).to_owned();
    let model = Text::or_empty(answer.model.as_ref()).to_owned();
    let sources = answer.sources().map(|sources| sources.get().to_owned());
    let mut choices = answer.choices.ok_or(DecodeError::lacking(EXPECTED))?;
    for choice in &mut choices {
        as_of_a_chat(choice);
        let Some(message) = choice.get_mut("message").and_then(Value::as_object_mut) else {
            continue;
        };
        parts::of_whole(message);
        if let (Some(sources), None) = (&sources, message.get("annotations")) {
            cited(sources).put(message);
        }
    }
    Ok(Completion { id, model, choices, reported })
}

/// A legacy completion's choice carries its text by itself. One that calls tools says so.
fn as_of_a_chat(choice: &mut Value) {
    let Some(choice) = choice.as_object_mut() else { return };
    if let Some(text) = choice.shift_remove("text") {
        let message = || json!({"role": "assistant", "content": text});
        choice.entry("message").or_insert_with(message);
    }
    let calls = choice.get("message").and_then(|message| message.get("tool_calls"));
    let called = calls.and_then(Value::as_array).is_some_and(|calls| !calls.is_empty());
    let reason = choice.get("finish_reason").and_then(Value::as_str);
    if let Some(end) = reason.and_then(|reason| parts::end(reason, called)) {
        choice.insert("finish_reason".to_owned(), Value::from(end));
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
    /// What the answer rests on, as the last chunk that tells it does.
    sources: Option<String>,
    done: bool,
    /// What departs from the format is put right in the chunks that a caller of it is passed.
    departs: bool,
    /// The choices in which a tool was called.
    called: u128,
    /// The changes of the last chunk, by the places of its choices.
    changes: Vec<(usize, &'static str, String)>,
}

impl Chunks {
    pub(super) const fn new(rules: UsageRules, departs: bool) -> Self {
        Self {
            rules,
            started: false,
            begun: 0,
            finished: 0,
            early: None,
            sources: None,
            done: false,
            departs,
            called: 0,
            changes: Vec::new(),
        }
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

    /// Notes how the delta of a choice is told where that is not how it came.
    fn retell(&mut self, place: usize, came: &RawValue, said: Option<&RawValue>, opens: bool) {
        let said = said.map_or("{}", RawValue::get);
        let told = match said.strip_prefix('{').map(str::trim_start) {
            Some("}") if opens => r#"{"role":"assistant"}"#.to_owned(),
            Some(rest) if opens => format!("{{\"role\":\"assistant\",{rest}"),
            _ => said.to_owned(),
        };
        if told != came.get() {
            self.changes.push((place, "delta", told));
        }
    }

    fn choice(
        &mut self,
        place: usize,
        choice: &Choice<'_>,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let too_many = DecodeError::lacking("a chunk with a choice below 128");
        let bit = 1_u128.checked_shl(choice.index).ok_or(too_many)?;
        let first = self.begun & bit == 0;
        self.begun |= bit;
        if let Some(error) = choice.error {
            out.push(ChatEvent::Failed { message: failure::reported(error.get()) });
        }
        let opens = first && !choice.delta.is_some_and(has_role);
        if opens {
            let delta = raw(&OPENING)?;
            out.push(ChatEvent::Delta { choice: choice.index, delta, logprobs: None });
        }
        if let Some(came) = choice.delta {
            let delta = once(&parts::of_delta(came)?, first)?;
            let delta = delta.map(parts::with_indices).transpose()?;
            if self.departs {
                self.retell(place, came, delta.as_ref().map(|(delta, _)| &**delta), opens);
            }
            if let Some((delta, calls)) = delta {
                if calls {
                    self.called |= bit;
                }
                let logprobs = choice.logprobs.map(ToOwned::to_owned);
                out.push(ChatEvent::Delta { choice: choice.index, delta, logprobs });
            }
        }
        // Together tells the same text beside its delta.
        let text = choice.text.filter(|text| choice.delta.is_none() && text.get().len() > 2);
        if let Some(content) = text {
            let (delta, logprobs) =
                (raw(&Speaking { content })?, choice.logprobs.map(ToOwned::to_owned));
            out.push(ChatEvent::Delta { choice: choice.index, delta, logprobs });
        }
        let Some(reason) = choice.finish_reason.as_ref().filter(|reason| !reason.0.is_empty())
        else {
            return Ok(());
        };
        if self.finished & bit != 0 {
            self.changes.push((place, "finish_reason", "null".to_owned()));
            return Ok(());
        }
        self.finished |= bit;
        if let Some(sources) = self.sources.as_deref() {
            cited(sources).say(choice.index, out)?;
        }
        let end = parts::end(&reason.0, self.called & bit != 0);
        self.changes.extend(end.map(|end| (place, "finish_reason", format!("\"{end}\""))));
        let reason = end.unwrap_or(&reason.0).to_owned();
        out.push(ChatEvent::Finish { choice: choice.index, reason });
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
        self.sources = chunk.sources().map(|list| list.get().to_owned()).or(self.sources.take());
        let choices = chunk.choices.as_deref().unwrap_or_default();
        self.changes.clear();
        for (place, choice) in choices.iter().enumerate() {
            self.choice(place, choice, out)?;
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

    fn told(&mut self, data: &str) -> Option<String> {
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() || !self.departs { None } else { parts::changed(data, changes) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decoder;
    use crate::sse::Stream;

    /// The chunks that a caller of the format is passed.
    fn passed(departs: bool, chunks: &[&str]) -> Vec<String> {
        let mut stream = Stream::new(Chunks::new(UsageRules::OPENAI, departs), true);
        let mut events = Vec::new();
        for chunk in chunks {
            stream.feed(format!("data: {chunk}\n\n").as_bytes(), &mut events).unwrap();
        }
        let frames = events.into_iter().filter_map(|event| match event {
            ChatEvent::Frame(frame) => Some(frame.data.into_string()),
            _ => None,
        });
        frames.collect()
    }

    /// What comes, and what is told of it.
    const DEPARTURES: [(&str, &str); 8] = [
        // No role in the first, and fields that nobody here knows.
        (
            r#"{"id":"a", "odd":1.50,"choices":[{"index":0,"delta":{"content":"x"},"k":1e2}]}"#,
            concat!(
                r#"{"id":"a", "odd":1.50,"choices":"#,
                r#"[{"index":0,"delta":{"role":"assistant","content":"x"},"k":1e2}]}"#
            ),
        ),
        // A role in every delta.
        (
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"x"}}],"cited":[]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"x"}}],"cited":[]}"#,
        ),
        (
            r#"{"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{}}]}"#,
        ),
        // Mistral: content in parts, a call without a place.
        (
            concat!(
                r#"{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":"#,
                r#"[{"text":"h"}]}]}}],"p":"ab"}"#
            ),
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"h"}}],"p":"ab"}"#,
        ),
        (
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"id":"c"}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"id":"c","index":0}]}}]}"#,
        ),
        // A choice that calls, and says that it stops; and says so twice.
        (
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        ),
        (
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{}}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":null}],"usage":{}}"#,
        ),
        ("[DONE]", "[DONE]"),
    ];

    #[test]
    fn departures_are_put_right_in_what_is_passed_on_and_the_rest_stays() {
        let came = DEPARTURES.map(|(came, _)| came);

        assert_eq!(passed(true, &came), DEPARTURES.map(|(_, told)| told));
        assert_eq!(passed(false, &came), came);
    }

    #[test]
    fn a_whole_answer_keeps_what_it_says_by_the_byte() {
        let odd = r#""search_results" : [ {"date":null} ],"usage":{"n":0.10}}"#;
        let of = |message: &str, reason: &str| {
            let choice =
                format!(r#"{{"index":0, "message":{message},"finish_reason":"{reason}","k":1e2}}"#);
            format!(r#"{{"id":"a","choices":[{choice}],{odd}"#)
        };
        for (came, reason, told, ends) in [
            (r#"{"content":[{"text":"x"}],"odd":1}"#, "stop", r#"{"content":"x","odd":1}"#, "stop"),
            (
                r#"{"content":"","tool_calls":[{"id":"c"}]}"#,
                "stop",
                r#"{"content":"","tool_calls":[{"id":"c","type":"function"}]}"#,
                "tool_calls",
            ),
            (r#"{"odd":1}"#, "stop", r#"{"odd":1,"content":null}"#, "stop"),
        ] {
            assert_eq!(super::told(&of(came, reason)), Some(of(told, ends)));
        }
        assert_eq!(super::told(&of(r#"{ "content" : "x", "odd": 1.50 }"#, "stop")), None);
    }
}
