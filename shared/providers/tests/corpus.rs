//! Recorded exchanges with real providers, decoded in many splits to the usage that they state.
//!
//! Runs where `FAREBOX_CORPUS` names the corpus (an absolute path); it is not a part of this
//! repository.

#![expect(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use farebox_core::pricing::Charge;
use farebox_core::{ChatEvent, Money, Reported};
use farebox_providers::{Billing, DecodeError, Provider};
use serde_json::Value;

#[path = "corpus/bedrock.rs"]
mod bedrock;
#[path = "corpus/cohere.rs"]
mod cohere;
#[path = "support/eventstream.rs"]
mod eventstream;
#[path = "corpus/gemini.rs"]
mod gemini;
#[path = "corpus/items.rs"]
mod items;
#[path = "corpus/metered.rs"]
mod metered;
mod support;
#[path = "corpus/texts.rs"]
mod texts;
use support::{byte_at_a_time, decode, provider, shown, wire, with_bom, with_crlf};

/// Bodies up to this length are cut at every single place.
const EVERY_CUT_BYTES_MAX: usize = 8_192;

/// Seeded splits into many pieces, for each stream.
const RANDOM_SPLITS: usize = 100;

/// Pairs of cuts near the borders of events, for each stream.
const BORDER_SPLITS: usize = 60;

/// Providers of the corpus that have no row of their own, or none for an api.
const STAND_INS: &[(&str, Option<Api>, &str)] = &[
    ("bedrock", None, "openai"),
    ("open-responses", None, "openai"),
    ("deepseek", Some(Api::Responses), "openai"),
];

/// What is no exchange of its api: a part of the id, the reason.
const SKIPPED: &[(&str, &str)] = &[
    ("parallel-tool-call-wrapper-1-chunks", "made by hand: its JSON does not parse"),
    ("azure-deepseek-reasoning", "filed as a response, and is a chat completion"),
];

/// Failures that may be billed: a part of the id, the reason.
const CHARGED: &[(&str, &str)] = &[];

/// Usage with something that Farebox does not price: the hold is charged, or what is stated. A
/// part of the exchange's id, the field, the reason.
const UNKNOWN: &[(&str, &str, &str)] = &[
    ("anthropic-advisor-20", "iterations.advisor_message", "another model, at its own price"),
    ("anthropic-fallback-", "iterations.fallback_message", "another model, at its own price"),
];

/// Where the stated sums are not the whole bill: a part of the id, how many prompt and
/// completion tokens stand beside them, the reason.
type Beside = fn(&Value) -> (u64, u64);
const BESIDE: &[(&str, Beside, &str)] = &[
    ("xai", reasoning_beside, "completion_tokens leaves reasoning out"),
    ("chat-audio-models-mistral", audio_beside, "prompt_tokens leaves audio out"),
    ("anthropic-compaction", compaction_beside, "the sums leave compaction out"),
];

fn reasoning_beside(usage: &Value) -> (u64, u64) {
    (0, count(usage, "/completion_tokens_details/reasoning_tokens"))
}

fn audio_beside(usage: &Value) -> (u64, u64) {
    (count(usage, "/prompt_tokens_details/audio_tokens"), 0)
}

fn compaction_beside(usage: &Value) -> (u64, u64) {
    let entries = usage["iterations"].as_array().cloned().unwrap_or_default();
    let entries = entries.iter().filter(|entry| entry["type"] == "compaction");
    entries.fold((0, 0), |(prompt, completion), entry| {
        (prompt + count(entry, "/input_tokens"), completion + count(entry, "/output_tokens"))
    })
}

fn count(usage: &Value, pointer: &str) -> u64 {
    usage.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Api {
    Chat,
    Messages,
    Responses,
}

struct Exchange {
    id: String,
    provider: &'static Provider,
    /// A model that selects the right wire format.
    model: &'static str,
    api: Api,
    stream: bool,
    status: u16,
    usage: Value,
    body: Vec<u8>,
}

/// The files of the corpus, in the order of their names.
fn files(corpus: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(corpus.join("exchanges")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn exchanges(corpus: &Path) -> Vec<Exchange> {
    files(corpus)
        .iter()
        .filter_map(|file| read(&std::fs::read(file).unwrap()))
        .flat_map(answers)
        .collect()
}

/// Some files carry the streams of several answers, one after the other, and state the usage of
/// the last. Each answer is an exchange of its own.
fn answers(exchange: Exchange) -> Vec<Exchange> {
    let body = String::from_utf8_lossy(&exchange.body).into_owned();
    // Some proxies send the start of a message twice, so its end is what counts.
    let (start, one) = match exchange.api {
        Api::Messages => ("event: message_start", "event: message_stop"),
        Api::Responses => ("event: response.created", "event: response.created"),
        Api::Chat => return vec![exchange],
    };
    if !exchange.stream || body.matches(one).count() < 2 {
        return vec![exchange];
    }
    let starts: Vec<usize> =
        body.match_indices(start).map(|(at, _)| at).chain([body.len()]).collect();
    let parts = starts.windows(2).map(|part| &body[part[0]..part[1]]).enumerate();
    let answers: Vec<Exchange> = parts
        .map(|(place, body)| Exchange {
            id: format!("{}#{place}", exchange.id),
            usage: overlaid(body),
            body: body.as_bytes().to_vec(),
            ..exchange
        })
        .collect();
    let last = &answers[answers.len() - 1].usage;
    for field in ["input_tokens", "output_tokens", "cache_creation_input_tokens"] {
        assert_eq!(last[field], exchange.usage[field], "{}", exchange.id);
    }
    answers
}

/// The usage of the first event, overlaid by that of the later ones.
fn overlaid(body: &str) -> Value {
    let mut usage = serde_json::Map::new();
    for data in body.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(data).unwrap();
        for pointer in ["/message/usage", "/usage", "/response/usage"] {
            let fields = event.pointer(pointer).and_then(Value::as_object);
            usage.extend(fields.cloned().into_iter().flatten());
        }
    }
    Value::Object(usage)
}

fn read(file: &[u8]) -> Option<Exchange> {
    let exchange: Value = serde_json::from_slice(file).unwrap();
    let text = |field: &str| exchange[field].as_str().unwrap_or_default().to_owned();
    let (api, model) = match text("api").as_str() {
        "anthropic-messages" => (Api::Messages, "claude"),
        "openai-chat" => (Api::Chat, "chat"),
        "openai-responses" => (Api::Responses, "responses"),
        _ => return None,
    };
    let id = text("id");
    if let Some((_, reason)) = SKIPPED.iter().find(|(part, _)| id.contains(part)) {
        println!("skipped {id}: {reason}");
        return None;
    }
    let name = text("provider");
    let stand_in = STAND_INS.iter().find(|row| row.0 == name && row.1.is_none_or(|of| of == api));
    Some(Exchange {
        id,
        provider: provider(stand_in.map_or(name.as_str(), |row| row.2)),
        model,
        api,
        stream: exchange["stream"].as_bool().unwrap(),
        status: u16::try_from(exchange["status"].as_u64().unwrap()).unwrap(),
        usage: exchange["usage"].clone(),
        body: exchange["response"]["body"].as_str().unwrap().as_bytes().to_vec(),
    })
}

impl Exchange {
    /// Compares with what the exchange itself states, read here in another way.
    fn check(&self, reported: &Reported) {
        let (usage, id) = (&self.usage, &self.id);
        let beside = BESIDE.iter().find(|(part, ..)| id.contains(part));
        let (prompt_beside, completion_beside) = beside.map_or((0, 0), |row| (row.1)(usage));
        let (prompt, completion) = match self.api {
            Api::Messages => {
                let cached = count(usage, "/cache_read_input_tokens")
                    + count(usage, "/cache_creation_input_tokens");
                (count(usage, "/input_tokens") + cached, count(usage, "/output_tokens"))
            }
            Api::Chat => (count(usage, "/prompt_tokens"), count(usage, "/completion_tokens")),
            Api::Responses => (count(usage, "/input_tokens"), count(usage, "/output_tokens")),
        };
        let read = &reported.usage;
        assert_eq!(read.prompt_tokens(), prompt + prompt_beside, "{id}: {usage}");
        assert_eq!(read.completion_tokens(), completion + completion_beside, "{id}: {usage}");
        if let Some(total) = usage["total_tokens"].as_u64() {
            assert_eq!(read.total_tokens(), total, "{id}: {usage}");
        }
        let most = |pointers: &[&str]| pointers.iter().map(|at| count(usage, at)).max();
        let cached = most(&[
            "/cache_read_input_tokens",
            "/prompt_tokens_details/cached_tokens",
            "/input_tokens_details/cached_tokens",
            "/prompt_cache_hit_tokens",
            "/cached_tokens",
        ]);
        // Azure's Grok states more cached tokens than prompt tokens: not understood, so named.
        let cached = cached.unwrap_or_default();
        let odd = self.api == Api::Chat && cached > prompt;
        assert_eq!(read.cached, if odd { prompt } else { cached }, "{id}: {usage}");
        let reasoning = most(&[
            "/output_tokens_details/thinking_tokens",
            "/output_tokens_details/reasoning_tokens",
            "/completion_tokens_details/reasoning_tokens",
        ]);
        assert_eq!(Some(read.reasoning), reasoning, "{id}: {usage}");
        let written = read.cache_write_5m + read.cache_write_1h;
        let stated =
            most(&["/cache_creation_input_tokens", "/input_tokens_details/cache_write_tokens"]);
        assert_eq!(Some(written), stated, "{id}: {usage}");
        // What streams write after their first event is written for five minutes.
        let hour = count(usage, "/cache_creation/ephemeral_1h_input_tokens");
        assert_eq!(read.cache_write_1h, hour, "{id}: {usage}");
        assert_eq!(read.audio_prompt, count(usage, "/prompt_tokens_details/audio_tokens"), "{id}");
        let searches = most(&[
            "/server_tool_use/web_search_requests",
            "/server_tool_use_details/web_search_requests",
        ]);
        let stated = searches.unwrap_or_default().max(self.searches());
        assert_eq!(read.web_searches, stated, "{id}: {usage}");
        assert_eq!(reported.fees.pico(), self.fees(), "{id}: {usage}");
        let unknown = UNKNOWN.iter().find(|(part, ..)| id.contains(part)).map(|row| row.1);
        let unknown = unknown.or(odd.then_some("prompt_tokens_details.cached_tokens"));
        // Tools that xAI ran have no listed price; the amount that it states covers them.
        let tools = "num_server_side_tools_used";
        let unknown = unknown.or((count(usage, &format!("/{tools}")) > 0).then_some(tools));
        // The recordings redact some places, and an unknown place has an unknown price.
        let redacted = usage["inference_geo"].as_str().is_some_and(|geo| geo.starts_with('<'));
        let unknown = unknown.or(redacted.then_some("inference_geo"));
        match self.hosted() {
            Some(hosted) => assert!(reported.unknown_fields.contains(&hosted), "{id}: {usage}"),
            None => {
                let named = reported.unknown_fields.first().map(String::as_str);
                assert_eq!(named, unknown, "{id}: {usage}");
            }
        }
        self.check_cost(reported.cost);
        // Whatever is not understood, an amount that is stated is what is charged.
        if let Some(cost) = reported.cost {
            assert_eq!(Charge::of(reported, None), Charge::Stated(cost), "{id}: {usage}");
        }
    }

    fn check_cost(&self, read: Option<Money>) {
        let usage = &self.usage;
        let ticks = usage["cost_in_usd_ticks"].as_f64().map(|ticks| ticks * 100.0);
        let usd = usage["cost"].as_f64().or(usage["cost"]["total_cost"].as_f64());
        let stated = usd.map(|usd| usd * 1e12).or(ticks.filter(|pico| *pico > 0.0));
        let read = read.map(|cost| cost.pico() as f64);
        match (stated, read) {
            (None, None) => {}
            (Some(stated), Some(read)) => assert!((stated - read).abs() <= 1.0, "{}", self.id),
            other => panic!("{}: {other:?}", self.id),
        }
    }

    /// The text that the stream carries, read line by line.
    fn text(&self) -> String {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        let mut text = String::new();
        for data in body.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
            if event["type"] == "response.output_text.delta" {
                text.push_str(event["delta"].as_str().unwrap_or_default());
            }
            let pointers = ["/choices/0/delta/content", "/delta/text", "/content_block/text"];
            for pointer in pointers {
                text.push_str(event.pointer(pointer).and_then(Value::as_str).unwrap_or_default());
            }
            // Mistral's reasoning models speak in parts.
            let parts = event.pointer("/choices/0/delta/content").and_then(Value::as_array);
            for part in parts.into_iter().flatten() {
                text.push_str(part["text"].as_str().unwrap_or_default());
            }
        }
        text
    }
}

/// The deltas of the first choice.
fn deltas(events: &[ChatEvent]) -> impl Iterator<Item = Value> {
    events.iter().filter_map(|event| match event {
        ChatEvent::Delta { choice: 0, delta, .. } => serde_json::from_str(delta.get()).ok(),
        _ => None,
    })
}

fn spoken(events: &[ChatEvent]) -> String {
    deltas(events).filter_map(|delta| delta["content"].as_str().map(str::to_owned)).collect()
}

/// A small generator: the same seed gives the same splits on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

fn splits(id: &str, body: &[u8]) -> Vec<Vec<usize>> {
    let seed = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mut dice = Dice(seed | 1);
    let mut splits = vec![byte_at_a_time(body)];
    if body.len() <= EVERY_CUT_BYTES_MAX {
        splits.extend((1..body.len()).map(|cut| vec![cut]));
    }
    let borders: Vec<usize> = (2..body.len()).filter(|at| &body[at - 2..*at] == b"\n\n").collect();
    for _ in 0..BORDER_SPLITS.min(borders.len() * 2) {
        let border = borders[dice.below(borders.len())];
        let mut cuts = [0, 0].map(|_: usize| (border + dice.below(128)).saturating_sub(64));
        cuts.sort_unstable();
        splits.push(cuts.into_iter().map(|cut| cut.min(body.len())).collect());
    }
    for _ in 0..RANDOM_SPLITS {
        let mut cuts: Vec<usize> =
            (0..=dice.below(40)).map(|_| dice.below(body.len() + 1)).collect();
        cuts.sort_unstable();
        splits.push(cuts);
    }
    splits
}

fn check_stream(exchange: &Exchange) -> usize {
    let (provider, model, id) = (exchange.provider, exchange.model, &exchange.id);
    let whole = decode(provider, model, &exchange.body, &[]);
    let expected = shown(&whole);
    let events = whole.unwrap_or_else(|error| panic!("{id}: {error}"));
    let last = events.iter().rev().find_map(|event| match event {
        ChatEvent::Usage(reported) => Some(reported),
        _ => None,
    });
    let starts = events.iter().filter(|event| matches!(event, ChatEvent::Start { .. })).count();
    let roles = deltas(&events).filter(|delta| !delta["role"].is_null()).count();
    assert_eq!((starts, roles), (1, 1), "{id}: {expected}");
    assert_eq!(spoken(&events), exchange.text(), "{id}");
    if exchange.usage.is_null() {
        assert!(last.is_none(), "{id}");
    } else {
        exchange.check(last.unwrap_or_else(|| panic!("{id}: no usage\n{expected}")));
    }
    let mut decoded = 0;
    let mut same = |body: &[u8], cuts: &[usize]| {
        decoded += 1;
        let got = shown(&decode(provider, model, body, cuts));
        assert!(got == expected, "{id}, cut at {cuts:?}:\n{got}\ninstead of\n{expected}");
    };
    for cuts in splits(id, &exchange.body) {
        same(&exchange.body, &cuts);
    }
    for body in [with_crlf(&exchange.body), with_bom(&exchange.body)] {
        same(&body, &[]);
        same(&body, &byte_at_a_time(&body));
        for cuts in splits(id, &body).iter().rev().take(20) {
            same(&body, cuts);
        }
    }
    decoded
}

fn check_failure(exchange: &Exchange) {
    let wire = wire(exchange.provider, exchange.model);
    let failure = wire.failure(exchange.provider, exchange.status, &exchange.body);

    assert!(!failure.message.contains("answered with status"), "{}", exchange.id);
    let charged = CHARGED.iter().any(|(part, _)| exchange.id.contains(part));
    assert_eq!(failure.billing == Billing::Unknown, charged, "{}: {failure:?}", exchange.id);
    let decoded = wire.decode(exchange.provider, &exchange.body);
    assert!(
        matches!(decoded, Err(DecodeError::Reported { .. } | DecodeError::Malformed { .. })),
        "{}: {decoded:?}",
        exchange.id
    );
}

#[test]
fn recorded_exchanges_decode_to_the_usage_that_they_state() {
    let Some(corpus) = std::env::var_os("FAREBOX_CORPUS") else {
        println!("skipped: FAREBOX_CORPUS names no corpus");
        return;
    };
    let exchanges = exchanges(Path::new(&corpus));
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let decoded = std::sync::atomic::AtomicUsize::new(0);
    for exchange in &exchanges {
        let kind = match (exchange.status, exchange.stream) {
            (200, true) => "streams",
            (200, false) => "answers",
            _ => "failures",
        };
        *counts.entry((exchange.provider.name, kind)).or_default() += 1;
    }
    let work = || {
        use std::sync::atomic::Ordering::Relaxed;
        while let Some(exchange) = exchanges.get(next.fetch_add(1, Relaxed)) {
            let splits = match (exchange.status, exchange.stream) {
                (200, true) => check_stream(exchange),
                (200, false) => {
                    let wire = wire(exchange.provider, exchange.model);
                    let answer = wire.decode(exchange.provider, &exchange.body);
                    let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", exchange.id));
                    exchange.check(&answer.reported.expect(&exchange.id));
                    assert!(!answer.choices.is_empty(), "{}", exchange.id);
                    1
                }
                _ => {
                    check_failure(exchange);
                    0
                }
            };
            decoded.fetch_add(splits, Relaxed);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    println!("{} exchanges, {} decodings: {counts:?}", exchanges.len(), decoded.into_inner());
}

#[test]
fn recorded_exchanges_of_generate_content_decode_to_the_usage_that_they_state() {
    let Some(corpus) = std::env::var_os("FAREBOX_CORPUS") else {
        println!("skipped: FAREBOX_CORPUS names no corpus");
        return;
    };
    let [answers, streams, failures, decoded] = gemini::check(Path::new(&corpus));

    println!("{answers} answers, {streams} streams in {decoded} decodings, {failures} failures");
    assert_eq!((answers, streams, failures), (141, 32, 4));
}
