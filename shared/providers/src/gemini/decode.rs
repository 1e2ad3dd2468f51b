//! Answers of `generateContent` in `OpenAI`'s shape.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use farebox_core::{ChatEvent, Completion};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::contents::MADE_UP_ID;
use super::{REASONING_FORMAT, usage};
use crate::cited::{Chars, Cited};
use crate::delta::{OPENING, Speaking, Thinking, say, say_in, spoken};
use crate::json::{Text, raw};
use crate::sse::Handle;
use crate::usage::{object, overlay};
use crate::wire::check_calls;
use crate::{DecodeError, failure};

/// `OpenAI`'s word for why the model stopped; `None` where it has not.
fn finish_reason(reason: &str, called: bool) -> Option<&'static str> {
    match reason {
        "" | "FINISH_REASON_UNSPECIFIED" => None,
        "MAX_TOKENS" => Some("length"),
        "STOP" if called => Some("tool_calls"),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Some("content_filter"),
        // `STOP`, `OTHER`, and calls that went wrong (`MALFORMED_FUNCTION_CALL`), for which
        // OpenAI has no word: their message is told.
        _ => Some("stop"),
    }
}

/// The most searches of one answer; the most seen are a dozen.
const SEARCHES_MAX: usize = 4_096;

/// One answer, or a chunk of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    #[serde(borrow, default)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(default)]
    prompt_feedback: Option<Value>,
    #[serde(borrow, default)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model_version: Option<Text<'a>>,
    #[serde(borrow, default)]
    response_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl Response<'_> {
    /// Why the prompt was blocked, where it was.
    fn blocked(&self) -> Option<&str> {
        self.prompt_feedback.as_ref()?.get("blockReason")?.as_str()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    finish_message: Option<Text<'a>>,
    #[serde(default)]
    grounding_metadata: Option<Value>,
    #[serde(default)]
    citation_metadata: Option<Value>,
    #[serde(default)]
    logprobs_result: Option<Value>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(default)]
    thought: Option<bool>,
    #[serde(borrow, default)]
    thought_signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    function_call: Option<Call<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
}

impl Candidate<'_> {
    fn parts(&self) -> &[Part<'_>] {
        self.content.as_ref().and_then(|content| content.parts.as_deref()).unwrap_or_default()
    }

    /// What is told of an end that is none of the good ones.
    fn refusal(&self) -> Option<&str> {
        let reason = Text::or_empty(self.finish_reason.as_ref());
        let message = Text::or_empty(self.finish_message.as_ref());
        let is_good = matches!(reason, "" | "STOP" | "MAX_TOKENS" | "FINISH_REASON_UNSPECIFIED");
        (!is_good && !message.is_empty()).then_some(message)
    }

    /// The queries that the provider ran, where it searched: their hashes, because a stream may
    /// tell them again.
    fn searched(&self, queries: &mut BTreeSet<u64>) -> Result<(), DecodeError> {
        let told = self.grounding_metadata.as_ref().and_then(|told| told.get("webSearchQueries"));
        let told = told.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        queries.extend(told.filter(|query| !query.is_empty()).map(|query| {
            let mut hasher = DefaultHasher::new();
            query.hash(&mut hasher);
            hasher.finish()
        }));
        let too_many = DecodeError::lacking("a response with at most 4,096 searches");
        if queries.len() > SEARCHES_MAX { Err(too_many) } else { Ok(()) }
    }

    /// What the answer rests on; `said` is its text, where that is known whole. Gemini counts in
    /// bytes.
    fn cited(&self, said: Option<&str>) -> Cited {
        let mut cited = Cited::default();
        if self.grounding_metadata.is_none() && self.citation_metadata.is_none() {
            return cited;
        }
        let said = said.map(Chars::of);
        let text = |value: &Value, at: &str| {
            value.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let place = |value: &Value, at: &str| {
            let bytes = value.pointer(at).and_then(Value::as_u64).unwrap_or_default();
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            said.as_ref().map_or(0, |said| said.before(bytes))
        };
        let list = |told: &Option<Value>, at: &str| {
            let list = told.as_ref().and_then(|told| told.get(at)).and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let sources: Vec<Option<(String, String)>> =
            list(&self.grounding_metadata, "groundingChunks")
                .iter()
                .map(|chunk| {
                    let kinds = ["/web", "/retrievedContext", "/maps"];
                    let source = kinds.iter().find_map(|kind| chunk.pointer(kind))?;
                    let url = text(source, "/uri");
                    (!url.is_empty()).then(|| (url, text(source, "/title")))
                })
                .collect();
        let mut told = vec![false; sources.len()];
        let mut supports = list(&self.grounding_metadata, "groundingSupports");
        if said.is_none() {
            supports.clear();
        }
        for support in &supports {
            let start = place(support, "/segment/startIndex");
            let end = place(support, "/segment/endIndex");
            let rests = support.get("groundingChunkIndices").and_then(Value::as_array);
            for number in rests.into_iter().flatten().filter_map(Value::as_u64) {
                let number = usize::try_from(number).unwrap_or(usize::MAX);
                let Some(Some((url, title))) = sources.get(number) else { continue };
                cited.url(url, title, start, end);
                told.get_mut(number).into_iter().for_each(|told| *told = true);
            }
        }
        for (source, told) in sources.iter().zip(told) {
            if let Some((url, title)) = source.as_ref().filter(|_| !told) {
                cited.url(url, title, 0, 0);
            }
        }
        for field in ["citations", "citationSources"] {
            for source in list(&self.citation_metadata, field) {
                match text(&source, "/uri") {
                    url if url.is_empty() => cited.own(&source),
                    url => {
                        let (start, end) = ("/startIndex", "/endIndex");
                        let (start, end) = (place(&source, start), place(&source, end));
                        cited.url(&url, &text(&source, "/title"), start, end);
                    }
                }
            }
        }
        cited
    }

    /// `OpenAI`'s `logprobs`.
    fn logprobs(&self) -> Option<Value> {
        let result = self.logprobs_result.as_ref()?;
        let list = |name: &str| result.get(name).and_then(Value::as_array);
        let one = |told: &Value| {
            let of = |name: &str| told.get(name).cloned().unwrap_or_default();
            json!({"token": of("token"), "logprob": of("logProbability"), "bytes": null})
        };
        let tokens = list("chosenCandidates")?.iter().enumerate().map(|(place, told)| {
            let top = list("topCandidates").and_then(|all| all.get(place));
            let top = top.and_then(|top| top.get("candidates")).and_then(Value::as_array);
            let top: Vec<Value> = top.into_iter().flatten().map(one).collect();
            let mut token = one(told);
            if let Some(token) = token.as_object_mut() {
                token.insert("top_logprobs".to_owned(), Value::from(top));
            }
            token
        });
        Some(json!({"content": tokens.collect::<Vec<_>>(), "refusal": null}))
    }
}

/// A call in `OpenAI`'s shape, with the id that it has or is given, and with its signature where
/// Google's own endpoint in that shape puts it.
fn call(call: &Call<'_>, response_id: &str, number: u32, signature: &str) -> (String, Value) {
    let given = Text::or_empty(call.id.as_ref());
    let id = match given {
        "" => format!("{MADE_UP_ID}{response_id}-{number}"),
        given => given.to_owned(),
    };
    let arguments = call.args.map_or("{}", RawValue::get);
    let function = json!({"name": Text::or_empty(call.name.as_ref()), "arguments": arguments});
    let mut told = json!({"id": id, "type": "function", "function": function});
    if let Some(told) = told.as_object_mut().filter(|_| !signature.is_empty()) {
        let google = json!({"google": {"thought_signature": signature}});
        told.insert("extra_content".to_owned(), google);
    }
    (id, told)
}

/// A signature in `OpenRouter`'s shape, which any client can hand back.
fn detail(signature: &str, id: Option<&str>) -> Value {
    let mut detail =
        json!({"type": "reasoning.encrypted", "data": signature, "format": REASONING_FORMAT});
    if let (Some(id), Some(detail)) = (id, detail.as_object_mut()) {
        detail.insert("id".to_owned(), Value::from(id));
    }
    detail
}

/// What a caller is told of a prompt that was blocked.
fn blocked(reason: &str) -> String {
    format!("Gemini blocked the prompt: {}.", failure::presentable(reason))
}

/// Reads a whole answer.
pub(super) fn whole(body: &[u8]) -> Result<Completion, DecodeError> {
    const EXPECTED: &str = "a response of generateContent";
    let answer: Response<'_> =
        serde_json::from_slice(body).map_err(|fault| DecodeError::from_json(EXPECTED, &fault))?;
    if let Some(error) = answer.error {
        return Err(DecodeError::Reported { message: failure::reported(error.get()) });
    }
    let id = Text::or_empty(answer.response_id.as_ref());
    let (mut choices, mut searches, mut calls) = (Vec::new(), BTreeSet::new(), 0);
    for (place, candidate) in answer.candidates.iter().flatten().enumerate() {
        candidate.searched(&mut searches)?;
        choices.push(choice(place, candidate, id, &mut calls)?);
    }
    if let (Some(reason), true) = (answer.blocked(), choices.is_empty()) {
        let message = json!({"role": "assistant", "content": null, "refusal": blocked(reason)});
        choices.push(json!({"index": 0, "message": message, "finish_reason": "content_filter"}));
    }
    if choices.is_empty() && answer.usage_metadata.is_none() {
        return Err(DecodeError::lacking(EXPECTED));
    }
    let model = Text::or_empty(answer.model_version.as_ref()).to_owned();
    let searches = fees(&model, &searches);
    let counts = answer.usage_metadata.map(object).transpose()?;
    let reported = counts.and_then(|counts| usage::read(&counts, searches));
    Ok(Completion { id: id.to_owned(), model, choices, reported })
}

fn choice(
    place: usize,
    candidate: &Candidate<'_>,
    response_id: &str,
    calls: &mut u32,
) -> Result<Value, DecodeError> {
    let (mut content, mut thinking) = (String::new(), String::new());
    let (mut called, mut details) = (Vec::new(), Vec::new());
    for part in candidate.parts() {
        let text = unquoted(part.text)?;
        if part.thought == Some(true) { &mut thinking } else { &mut content }.push_str(&text);
        let signature = Text::or_empty(part.thought_signature.as_ref());
        let id = part.function_call.as_ref().map(|part| {
            let (id, told) = call(part, response_id, *calls, signature);
            *calls = calls.saturating_add(1);
            called.push(told);
            id
        });
        if !signature.is_empty() {
            details.push(detail(signature, id.as_deref()));
        }
    }
    let mut message = Map::new();
    candidate.cited(Some(&content)).put(&mut message);
    message.insert("role".to_owned(), Value::from("assistant"));
    let silent = content.is_empty() && !called.is_empty();
    message.insert("content".to_owned(), if silent { Value::Null } else { Value::from(content) });
    if !thinking.is_empty() {
        message.insert("reasoning_content".to_owned(), Value::from(thinking));
    }
    if let Some(refusal) = candidate.refusal() {
        message.insert("refusal".to_owned(), Value::from(failure::presentable(refusal)));
    }
    let reason = Text::or_empty(candidate.finish_reason.as_ref());
    let reason = finish_reason(reason, !called.is_empty());
    for (field, list) in [("reasoning_details", details), ("tool_calls", called)] {
        if !list.is_empty() {
            message.insert(field.to_owned(), Value::from(list));
        }
    }
    let index = candidate.index.map_or_else(|| Value::from(place), Value::from);
    let mut choice = json!({"index": index, "message": message, "finish_reason": reason});
    if let (Some(logprobs), Some(choice)) = (candidate.logprobs(), choice.as_object_mut()) {
        choice.insert("logprobs".to_owned(), logprobs);
    }
    Ok(choice)
}

fn unquoted(text: Option<&RawValue>) -> Result<String, DecodeError> {
    let Some(text) = text else { return Ok(String::new()) };
    serde_json::from_str(text.get()).map_err(|fault| DecodeError::from_json("a text", &fault))
}

/// Reads the chunks of a stream. Each carries the counts so far, and nothing but the end of the
/// stream says which were the last.
#[derive(Default)]
pub(super) struct Chunks {
    id: String,
    started: bool,
    /// The candidates that have begun, that have called a tool, and that are complete: a bit each.
    begun: u128,
    called: u128,
    finished: u128,
    /// Calls so far.
    calls: u32,
    searches: BTreeSet<u64>,
    /// As the provider names it.
    model: String,
    /// The counts so far; a later chunk overlays an earlier one.
    usage: Map<String, Value>,
    failed: bool,
}

impl Chunks {
    fn start(&mut self, chunk: &Response<'_>, out: &mut Vec<ChatEvent>) {
        let speaks = chunk.candidates.as_ref().is_some_and(|all| !all.is_empty());
        if self.started || !(speaks || chunk.blocked().is_some()) {
            return;
        }
        self.started = true;
        Text::or_empty(chunk.response_id.as_ref()).clone_into(&mut self.id);
        Text::or_empty(chunk.model_version.as_ref()).clone_into(&mut self.model);
        out.push(ChatEvent::Start { id: self.id.clone(), model: self.model.clone() });
    }

    fn candidate(
        &mut self,
        place: usize,
        candidate: &Candidate<'_>,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let choice = candidate.index.or(u32::try_from(place).ok()).unwrap_or(u32::MAX);
        let too_many = DecodeError::lacking("a response with a candidate below 128");
        let bit = 1_u128.checked_shl(choice).ok_or(too_many)?;
        if self.begun & bit == 0 {
            self.begun |= bit;
            say_in(choice, &OPENING, None, out)?;
        }
        candidate.searched(&mut self.searches)?;
        let mut logprobs = candidate.logprobs().as_ref().map(raw).transpose()?;
        for part in candidate.parts() {
            if let Some(text) = spoken(part.text)? {
                let logprobs = logprobs.take();
                match part.thought {
                    Some(true) => {
                        let thinking = Thinking { reasoning_content: text };
                        say_in(choice, &thinking, logprobs, out)?;
                    }
                    _ => say_in(choice, &Speaking { content: text }, logprobs, out)?,
                }
            }
            let signature = Text::or_empty(part.thought_signature.as_ref());
            let called = match &part.function_call {
                Some(part) => {
                    check_calls(self.calls.into())?;
                    self.called |= bit;
                    let (id, mut told) = call(part, &self.id, self.calls, signature);
                    if let Some(told) = told.as_object_mut() {
                        told.insert("index".to_owned(), Value::from(self.calls));
                    }
                    self.calls = self.calls.saturating_add(1);
                    Some((id, told))
                }
                None => None,
            };
            // Before its call: in other formats what was thought stands before what it led to.
            if !signature.is_empty() {
                let id = called.as_ref().map(|(id, _)| id.as_str());
                let details = json!({"reasoning_details": [detail(signature, id)]});
                say_in(choice, &details, None, out)?;
            }
            if let Some((_, told)) = called {
                say_in(choice, &json!({"tool_calls": [told]}), None, out)?;
            }
        }
        candidate.cited(None).say(choice, out)?;
        let reason = Text::or_empty(candidate.finish_reason.as_ref());
        if let Some(reason) = finish_reason(reason, self.called & bit != 0)
            && self.finished & bit == 0
        {
            self.finished |= bit;
            if let Some(refusal) = candidate.refusal() {
                say_in(choice, &json!({"refusal": failure::presentable(refusal)}), None, out)?;
            }
            out.push(ChatEvent::Finish { choice, reason: reason.to_owned() });
        }
        Ok(())
    }
}

impl Handle for Chunks {
    fn handle(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if data.trim().is_empty() || data.trim() == "[DONE]" {
            return Ok(());
        }
        let chunk: Response<'_> = serde_json::from_str(data)
            .map_err(|fault| DecodeError::from_json("a response of generateContent", &fault))?;
        if let Some(error) = chunk.error {
            self.failed = true;
            out.push(ChatEvent::Failed { message: failure::reported(error.get()) });
            return Ok(());
        }
        self.start(&chunk, out);
        for (place, candidate) in chunk.candidates.iter().flatten().enumerate() {
            self.candidate(place, candidate, out)?;
        }
        if let (Some(reason), 0) = (chunk.blocked(), self.begun) {
            (self.begun, self.finished) = (1, 1);
            say(&OPENING, out)?;
            say(&json!({"refusal": blocked(reason)}), out)?;
            out.push(ChatEvent::Finish { choice: 0, reason: "content_filter".to_owned() });
        }
        overlay(&mut self.usage, chunk.usage_metadata)
    }

    fn end(&mut self, out: &mut Vec<ChatEvent>) {
        if self.failed || self.begun == 0 || self.begun != self.finished {
            return;
        }
        let searches = fees(&self.model, &self.searches);
        out.extend(usage::read(&self.usage, searches).map(ChatEvent::Usage));
        out.push(ChatEvent::Done);
    }
}

/// How many searches are billed: each different query, or the prompt that had any.
fn fees(model: &str, searches: &BTreeSet<u64>) -> u64 {
    let queries = u64::try_from(searches.len()).unwrap_or(u64::MAX);
    if super::original::is_grounded_by_prompt(model) { queries.min(1) } else { queries }
}
