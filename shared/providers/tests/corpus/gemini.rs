//! `generateContent` at the Gemini API and at Vertex, read here in another way than by the decoder.

use std::path::Path;

use farebox_core::{ChatEvent, Reported};
use farebox_providers::{Billing, Blame, Provider};
use serde_json::Value;

use crate::support::{byte_at_a_time, decode, provider, shown, wire, with_bom, with_crlf};
use crate::{count, deltas, files, splits, spoken};

/// Selects the wire format, and the failures' table.
const MODEL: &str = "gemini-2.5-flash";

struct Exchange {
    id: String,
    provider: &'static Provider,
    stream: bool,
    status: u16,
    usage: Value,
    body: String,
}

fn read(file: &Value) -> Option<Exchange> {
    let text = |field: &str| file[field].as_str().unwrap_or_default().to_owned();
    (text("api") == "gemini-generate").then(|| Exchange {
        id: text("id"),
        provider: provider(&text("provider")),
        stream: file["stream"].as_bool().unwrap(),
        status: u16::try_from(file["status"].as_u64().unwrap()).unwrap(),
        usage: file["usage"].clone(),
        body: file["response"]["body"].as_str().unwrap().to_owned(),
    })
}

impl Exchange {
    fn check(&self, reported: &Reported) {
        let (usage, id, read) = (&self.usage, &self.id, &reported.usage);
        let of = |name: &str| count(usage, &format!("/{name}"));
        let input = of("promptTokenCount") + of("toolUsePromptTokenCount");
        assert_eq!(read.prompt_tokens(), input, "{id}: {usage}");
        assert_eq!(read.cached, of("cachedContentTokenCount"), "{id}: {usage}");
        assert_eq!(read.reasoning, of("thoughtsTokenCount"), "{id}: {usage}");
        let output = of("candidatesTokenCount") + of("thoughtsTokenCount");
        assert_eq!(read.completion_tokens(), output, "{id}: {usage}");
        assert_eq!(read.total_tokens(), of("totalTokenCount"), "{id}: {usage}");
        let audio = |list: &str| -> u64 {
            let list = usage[list].as_array().into_iter().flatten();
            let heard = list.filter(|detail| detail["modality"] == "AUDIO");
            heard.map(|detail| count(detail, "/tokenCount")).sum()
        };
        let heard = audio("promptTokensDetails") - audio("cacheTokensDetails");
        assert_eq!(read.audio_prompt, heard, "{id}: {usage}");
        assert_eq!(read.audio_completion, audio("candidatesTokensDetails"), "{id}: {usage}");
        // An image as output has a price that no list carries: the hold is charged.
        let made = usage["candidatesTokensDetails"].as_array().into_iter().flatten();
        let made = made.filter(|detail| detail["modality"] == "IMAGE").count();
        assert_eq!(reported.unknown_fields.len(), made, "{id}: {:?}", reported.unknown_fields);
        let tier = usage["serviceTier"].as_str().map(str::to_owned);
        assert_eq!(reported.service_tier, tier, "{id}");
    }

    /// What was said, and how often a tool was called, read chunk by chunk.
    fn said(&self) -> (String, usize) {
        let lines = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        let chunks = if self.stream { lines.collect() } else { vec![self.body.as_str()] };
        let (mut text, mut calls) = (String::new(), 0);
        for chunk in chunks {
            let chunk: Value = serde_json::from_str(chunk).unwrap();
            let parts = chunk.pointer("/candidates/0/content/parts").and_then(Value::as_array);
            for part in parts.into_iter().flatten() {
                calls += usize::from(part.get("functionCall").is_some());
                if part["thought"] != true {
                    text.push_str(part["text"].as_str().unwrap_or_default());
                }
            }
        }
        (text, calls)
    }

    fn check_stream(&self) -> usize {
        let (provider, id, body) = (self.provider, &self.id, self.body.as_bytes());
        let whole = decode(provider, MODEL, body, &[]);
        let expected = shown(&whole);
        let events = whole.unwrap_or_else(|error| panic!("{id}: {error}"));
        let starts = events.iter().filter(|event| matches!(event, ChatEvent::Start { .. })).count();
        let roles = deltas(&events).filter(|delta| !delta["role"].is_null()).count();
        assert_eq!((starts, roles), (1, 1), "{id}: {expected}");
        let calls = deltas(&events).filter(|delta| delta.get("tool_calls").is_some()).count();
        assert_eq!((spoken(&events), calls), self.said(), "{id}");
        let [.., ChatEvent::Usage(last), ChatEvent::Done] = events.as_slice() else {
            panic!("{id}: the counts are not last\n{expected}");
        };
        self.check(last);
        let mut decoded = 0;
        let mut same = |body: &[u8], cuts: &[usize]| {
            decoded += 1;
            let got = shown(&decode(provider, MODEL, body, cuts));
            assert!(got == expected, "{id}, cut at {cuts:?}:\n{got}\ninstead of\n{expected}");
        };
        for cuts in splits(id, body) {
            same(body, &cuts);
        }
        // The other form in which the same answer may come.
        let lines = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        let array = format!("[{}\n]\n", lines.collect::<Vec<_>>().join("\n,\r\n")).into_bytes();
        for body in [with_crlf(body), with_bom(body), array] {
            same(&body, &[]);
            same(&body, &byte_at_a_time(&body));
            for cuts in splits(id, &body).iter().rev().take(20) {
                same(&body, cuts);
            }
        }
        decoded
    }

    fn check_whole(&self) {
        let answer = wire(self.provider, MODEL).decode(self.provider, self.body.as_bytes());
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", self.id));
        self.check(&answer.reported.unwrap());
        let message = &answer.choices[0]["message"];
        let calls = message["tool_calls"].as_array().map_or(0, Vec::len);
        let text = message["content"].as_str().unwrap_or_default().to_owned();
        assert_eq!((text, calls), self.said(), "{}", self.id);
    }

    fn check_failure(&self) {
        let wire = wire(self.provider, MODEL);
        let failure = wire.failure(self.provider, self.status, self.body.as_bytes());
        assert!(!failure.message.contains("answered with status"), "{}", self.id);
        assert_ne!(failure.billing, Billing::Unknown, "{}", self.id);
        let wrong_key = self.body.contains("API_KEY_INVALID");
        assert_eq!(failure.blame == Blame::Credential, wrong_key, "{}", self.id);
        assert_eq!(
            failure.retry_after_s.is_some(),
            self.body.contains("retryDelay"),
            "{}",
            self.id
        );
    }
}

/// How many answers, streams and failures were read, and in how many decodings.
pub(crate) fn check(corpus: &Path) -> [usize; 4] {
    let mut counts = [0; 4];
    for file in files(corpus) {
        let file: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let Some(exchange) = read(&file) else { continue };
        match (exchange.status, exchange.stream) {
            (200, true) => {
                counts[1] += 1;
                counts[3] += exchange.check_stream();
            }
            (200, false) => {
                counts[0] += 1;
                exchange.check_whole();
            }
            _ => {
                counts[2] += 1;
                exchange.check_failure();
            }
        }
    }
    counts
}
