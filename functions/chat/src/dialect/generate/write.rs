//! Answers of `generateContent`: from the common shape, or the provider's own chunks passed on.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farebox_core::{ChatEvent, Error, Frame};
use serde_json::{Map, Value, json};

use super::parts::REASONING_FORMAT;
use super::places::Bytes;
use super::{error_object, usage_object};
use crate::dialect::{Answer, Opening, StreamWriter, carried, frame, sources};
use crate::reply::Paid;

/// Gemini's word for why the model stopped.
fn finish_reason(reason: Option<&str>) -> &'static str {
    match reason {
        Some("length") => "MAX_TOKENS",
        Some("content_filter") => "SAFETY",
        _ => "STOP",
    }
}

/// A whole answer.
pub(super) fn whole(answer: &Answer<'_>) -> Value {
    let candidates = answer.completion.choices.iter().map(|choice| {
        let message = choice.get("message").unwrap_or(&Value::Null);
        let reason = choice.get("finish_reason").and_then(Value::as_str);
        let mut parts: Vec<Value> = thoughts(message).into_iter().collect();
        parts.extend(texts(message));
        let signatures = Signatures::of(message);
        let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        for (place, call) in calls.enumerate() {
            let text = |at: &str| call.pointer(at).and_then(Value::as_str).unwrap_or_default();
            let called = Called {
                id: text("/id").to_owned(),
                name: text("/function/name").to_owned(),
                arguments: text("/function/arguments").to_owned(),
            };
            parts.push(called.part(&signatures, place == 0));
        }
        signatures.sign_text(&mut parts);
        let index = choice.get("index").unwrap_or(&Value::Null);
        let mut grounding = Grounding::default();
        grounding.note(message);
        let candidate = grounding.under(candidate(index, &parts, Some(reason)));
        with_logprobs(candidate, choice.get("logprobs"))
    });
    let identity = Identity {
        id: id(&answer.completion.id, answer.paid),
        model: answer.completion.model.clone(),
    };
    identity.response(candidates.collect(), usage_object(answer.usage))
}

fn id(given: &str, paid: &Paid) -> String {
    if given.is_empty() { paid.request_id.to_string() } else { given.to_owned() }
}

/// What was thought, as parts that say so.
fn thoughts(said: &Value) -> Option<Value> {
    let names = ["reasoning_content", "reasoning"];
    let mut texts = names.iter().filter_map(|name| said.get(name).and_then(Value::as_str));
    let text = texts.find(|text| !text.is_empty())?;
    Some(json!({"text": text, "thought": true}))
}

/// What was said, and what was refused.
fn texts(said: &Value) -> impl Iterator<Item = Value> {
    let texts = ["content", "refusal"].into_iter().filter_map(|name| said.get(name)?.as_str());
    texts.filter(|text| !text.is_empty()).map(|text| json!({"text": text}))
}

/// One candidate; a reason where it is complete.
fn candidate(index: &Value, parts: &[Value], reason: Option<Option<&str>>) -> Value {
    let mut candidate = Map::new();
    candidate.insert("content".to_owned(), json!({"role": "model", "parts": parts}));
    if let Some(reason) = reason {
        candidate.insert("finishReason".to_owned(), Value::from(finish_reason(reason)));
    }
    candidate.insert("index".to_owned(), index.clone());
    Value::Object(candidate)
}

/// A candidate with how likely its tokens were.
fn with_logprobs(mut candidate: Value, logprobs: Option<&Value>) -> Value {
    let tokens = logprobs.and_then(|logprobs| logprobs.get("content")).and_then(Value::as_array);
    if let (Some(tokens), Some(candidate)) = (tokens, candidate.as_object_mut()) {
        let one =
            |token: &Value| json!({"token": token["token"], "logProbability": token["logprob"]});
        let others = |token: &Value| {
            let others = token.get("top_logprobs").and_then(Value::as_array);
            json!({"candidates": others.into_iter().flatten().map(one).collect::<Vec<_>>()})
        };
        let result = json!({
            "chosenCandidates": tokens.iter().map(one).collect::<Vec<_>>(),
            "topCandidates": tokens.iter().map(others).collect::<Vec<_>>(),
        });
        candidate.insert("logprobsResult".to_owned(), result);
    }
    candidate
}

/// What an answer rests on, and its text: Gemini counts places in bytes.
#[derive(Default)]
struct Grounding {
    said: String,
    sources: Vec<Value>,
}

impl Grounding {
    fn note(&mut self, said: &Value) {
        self.said.push_str(said.get("content").and_then(Value::as_str).unwrap_or_default());
        self.sources.extend(sources(said).cloned());
    }

    /// Puts it under a candidate, where there is any.
    fn under(&self, mut candidate: Value) -> Value {
        let Some(fields) = candidate.as_object_mut().filter(|_| !self.sources.is_empty()) else {
            return candidate;
        };
        let chunks = self.sources.iter();
        let chunks = chunks.map(|s| json!({"web": {"uri": s.get("url"), "title": s.get("title")}}));
        let bytes = Bytes::of(&self.said);
        let place = |source: &Value, at: &str| {
            let chars = source.get(at).and_then(Value::as_u64).and_then(|at| at.try_into().ok());
            bytes.before(chars.unwrap_or_default())
        };
        let supports = self.sources.iter().enumerate().filter_map(|(number, source)| {
            // Where no place is told, both ends are 0.
            let is_placed = source.get("end_index").and_then(Value::as_u64) > Some(0);
            let (start, end) = (place(source, "start_index"), place(source, "end_index"));
            let text = self.said.get(start..end)?;
            let segment = json!({"startIndex": start, "endIndex": end, "text": text});
            let support = json!({"segment": segment, "groundingChunkIndices": [number]});
            is_placed.then_some(support)
        });
        let mut told = json!({"groundingChunks": chunks.collect::<Vec<_>>()});
        let supports: Vec<Value> = supports.collect();
        if let Some(told) = told.as_object_mut().filter(|_| !supports.is_empty()) {
            told.insert("groundingSupports".to_owned(), Value::from(supports));
        }
        fields.insert("groundingMetadata".to_owned(), told);
        candidate
    }
}

/// What every chunk of an answer repeats.
#[derive(Default)]
struct Identity {
    id: String,
    model: String,
}

impl Identity {
    fn response(&self, candidates: Vec<Value>, usage: Value) -> Value {
        let mut response = Map::new();
        response.insert("candidates".to_owned(), Value::from(candidates));
        if !usage.is_null() {
            response.insert("usageMetadata".to_owned(), usage);
        }
        response.insert("modelVersion".to_owned(), Value::from(self.model.as_str()));
        response.insert("responseId".to_owned(), Value::from(self.id.as_str()));
        Value::Object(response)
    }
}

/// A call, put together from its pieces.
#[derive(Default)]
struct Called {
    id: String,
    name: String,
    arguments: String,
}

impl Called {
    /// The call as one part: Gemini's clients know no pieces of it.
    fn part(&self, signatures: &Signatures, is_first: bool) -> Value {
        let args = serde_json::from_str::<Map<String, Value>>(&self.arguments);
        // Arguments that are no object are told as they are, for the caller to see.
        let args = args.map_or_else(
            |_| match self.arguments.trim() {
                "" => json!({}),
                other => json!({"arguments": other}),
            },
            Value::Object,
        );
        let mut part = json!({"functionCall": {"id": self.id, "name": self.name, "args": args}});
        let signature = signatures.of_call(&self.id, is_first);
        if let (Some(signature), Some(part)) = (signature, part.as_object_mut()) {
            part.insert("thoughtSignature".to_owned(), Value::from(signature));
        }
        part
    }
}

/// Signatures of a Gemini model by the id of their call; that of the text has none.
#[derive(Default)]
struct Signatures {
    own: BTreeMap<String, String>,
    /// What a model of another format needs in the next turn: the first call carries it.
    others: Vec<Value>,
}

impl Signatures {
    fn of(said: &Value) -> Self {
        let mut signatures = Self::default();
        signatures.note(said);
        signatures
    }

    fn note(&mut self, said: &Value) {
        let details = said.get("reasoning_details").and_then(Value::as_array);
        for detail in details.into_iter().flatten() {
            let text = |name: &str| detail.get(name).and_then(Value::as_str);
            if let (Some(REASONING_FORMAT), Some(data)) = (text("format"), text("data")) {
                self.own.insert(text("id").unwrap_or_default().to_owned(), data.to_owned());
            } else {
                self.others.push(detail.clone());
            }
        }
    }

    fn of_call(&self, id: &str, is_first: bool) -> Option<String> {
        let others = || STANDARD.encode(carried(&self.others));
        self.own.get(id).cloned().or_else(|| (is_first && !self.others.is_empty()).then(others))
    }

    fn sign_text(&self, parts: &mut Vec<Value>) {
        if let Some(signature) = self.own.get("") {
            parts.push(json!({"text": "", "thoughtSignature": signature}));
        }
    }
}

/// How the responses of a stream are put on the wire. Google's SDK takes every line that is no
/// `data:` for a part of an error (python-genai 3.3.0, `_iter_response_stream`), so there is no
/// comment with the cost as in other dialects.
pub(super) struct Framing {
    array: bool,
    /// Something of the array has been written.
    begun: bool,
}

impl Framing {
    pub(super) const fn new(array: bool) -> Self {
        Self { array, begun: false }
    }

    fn write(&mut self, response: &str, out: &mut Vec<u8>) {
        if self.array {
            out.extend_from_slice(if self.begun { b",\r\n" } else { b"[" });
            out.extend_from_slice(response.as_bytes());
            self.begun = true;
        } else {
            frame(&Frame { name: "".into(), data: response.into() }, out);
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        if self.array {
            out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        }
    }
}

/// One choice of a stream.
#[derive(Default)]
struct Choice {
    calls: BTreeMap<u64, Called>,
    signatures: Signatures,
    grounding: Grounding,
    reason: Option<String>,
}

/// Writes the chunks of an answer from the common shape. What ends a candidate waits for the
/// books: its calls, its reason, and the counts.
pub(super) struct Chunks {
    identity: Identity,
    framing: Framing,
    choices: BTreeMap<u32, Choice>,
}

impl Chunks {
    pub(super) fn new(opening: &Opening, framing: Framing) -> Self {
        let identity = Identity { id: opening.request_id.to_string(), model: String::new() };
        Self { identity, framing, choices: BTreeMap::new() }
    }

    fn delta(&mut self, index: u32, delta: &Value, logprobs: Option<&Value>, out: &mut Vec<u8>) {
        let choice = self.choices.entry(index).or_default();
        choice.signatures.note(delta);
        choice.grounding.note(delta);
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let place = call.get("index").and_then(Value::as_u64).unwrap_or_default();
            let called = choice.calls.entry(place).or_default();
            let text = |at: &str| call.pointer(at).and_then(Value::as_str).unwrap_or_default();
            called.id.push_str(text("/id"));
            called.name.push_str(text("/function/name"));
            called.arguments.push_str(text("/function/arguments"));
        }
        let parts: Vec<Value> = thoughts(delta).into_iter().chain(texts(delta)).collect();
        let logprobs = logprobs.filter(|logprobs| !logprobs.is_null());
        if !parts.is_empty() || logprobs.is_some() {
            let candidate = with_logprobs(candidate(&Value::from(index), &parts, None), logprobs);
            let response = self.identity.response(vec![candidate], Value::Null);
            self.framing.write(&response.to_string(), out);
        }
    }
}

impl StreamWriter for Chunks {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Start { id, model } => {
                if !id.is_empty() {
                    self.identity.id.clone_from(id);
                }
                self.identity.model.clone_from(model);
            }
            ChatEvent::Delta { choice, delta, logprobs } => {
                let logprobs = logprobs.as_ref();
                let logprobs = logprobs.and_then(|text| serde_json::from_str(text.get()).ok());
                if let Ok(delta) = serde_json::from_str(delta.get()) {
                    self.delta(*choice, &delta, logprobs.as_ref(), out);
                }
            }
            ChatEvent::Finish { choice, reason } => {
                self.choices.entry(*choice).or_default().reason = Some(reason.clone());
            }
            ChatEvent::Frame(_)
            | ChatEvent::Usage(_)
            | ChatEvent::Failed { .. }
            | ChatEvent::Done => {}
        }
    }

    fn last(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        let candidates = self.choices.iter().map(|(index, choice)| {
            let calls = choice.calls.values().enumerate();
            let parts = calls.map(|(place, called)| called.part(&choice.signatures, place == 0));
            let mut parts: Vec<Value> = parts.collect();
            choice.signatures.sign_text(&mut parts);
            let reason = Some(choice.reason.as_deref());
            choice.grounding.under(candidate(&Value::from(*index), &parts, reason))
        });
        let response = self.identity.response(candidates.collect(), usage_object(answer.usage));
        self.framing.write(&response.to_string(), out);
        self.framing.end(out);
    }

    fn failed(&mut self, error: &Error, _: &Answer<'_>, out: &mut Vec<u8>) {
        fail(&mut self.framing, error, out);
    }
}

fn fail(framing: &mut Framing, error: &Error, out: &mut Vec<u8>) {
    framing.write(&error_object(error).to_string(), out);
    framing.end(out);
}

/// Passes on the provider's own chunks. The format has no word for the end of a stream, so from
/// the first chunk that ends a candidate on the last one waits for the books.
pub(super) struct Frames {
    framing: Framing,
    identity: Identity,
    /// Ends of candidates that no chunk has told yet.
    ends: Vec<(u32, String)>,
    is_ending: bool,
    waiting: Option<Frame>,
    failed: bool,
}

impl Frames {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            identity: Identity::default(),
            ends: Vec::new(),
            is_ending: false,
            waiting: None,
            failed: false,
        }
    }
}

impl StreamWriter for Frames {
    fn event(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Start { id, model } => {
                self.identity.id.clone_from(id);
                self.identity.model.clone_from(model);
            }
            ChatEvent::Finish { choice, reason } => self.ends.push((*choice, reason.clone())),
            ChatEvent::Failed { .. } => self.failed = true,
            ChatEvent::Frame(passed) if !self.failed => {
                self.is_ending |= !self.ends.is_empty();
                self.ends.clear();
                let next = if self.is_ending { self.waiting.replace(passed.clone()) } else { None };
                match next {
                    Some(waited) => self.framing.write(&waited.data, out),
                    None if self.is_ending => {}
                    None => self.framing.write(&passed.data, out),
                }
            }
            ChatEvent::Frame(_)
            | ChatEvent::Delta { .. }
            | ChatEvent::Usage(_)
            | ChatEvent::Done => {}
        }
    }

    fn last(&mut self, answer: &Answer<'_>, out: &mut Vec<u8>) {
        // Candidates that Farebox ended, because its budgets hold no more for them.
        let ends = std::mem::take(&mut self.ends);
        if let Some(waited) = self.waiting.take() {
            self.framing.write(&waited.data, out);
        }
        if !ends.is_empty() {
            let candidates = ends
                .iter()
                .map(|(index, reason)| candidate(&Value::from(*index), &[], Some(Some(reason))));
            let usage = usage_object(answer.usage);
            let response = self.identity.response(candidates.collect(), usage);
            self.framing.write(&response.to_string(), out);
        }
        self.framing.end(out);
    }

    fn failed(&mut self, error: &Error, _: &Answer<'_>, out: &mut Vec<u8>) {
        fail(&mut self.framing, error, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_sources_of_a_long_answer_is_told() {
        // Were each place counted anew in the text, this would look at 10^11 characters.
        let said = "é".repeat(4_000_000);
        let source = json!({"url": "u", "title": "t", "start_index": 4_000_000, "end_index": 1});
        let sources = vec![source; 20_000];

        let told = Grounding { said, sources }.under(json!({}));

        let metadata = &told["groundingMetadata"];
        assert_eq!(metadata["groundingChunks"].as_array().map(Vec::len), Some(20_000));
    }

    #[test]
    fn how_likely_tokens_were_is_told_in_geminis_words() {
        let one = |token: &str| json!({"token": token, "logprob": -0.5, "bytes": null});
        let mut said = one("a");
        said["top_logprobs"] = json!([one("a"), one("b")]);
        let logprobs = json!({"content": [said], "refusal": null});

        let told = with_logprobs(candidate(&json!(0), &[], None), Some(&logprobs));

        let read = |token: &str| json!({"token": token, "logProbability": -0.5});
        let expected = json!({"chosenCandidates": [read("a")],
            "topCandidates": [{"candidates": [read("a"), read("b")]}]});
        assert_eq!(told["logprobsResult"], expected);
        let none = with_logprobs(candidate(&json!(0), &[], None), Some(&Value::Null));
        assert!(none.get("logprobsResult").is_none());
    }
}
