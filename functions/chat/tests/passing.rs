//! What the same format in and out costs: the content goes through as it came, and CPU per chunk
//! and per 100 KB stands beside a bare copy.
//!
//! `cargo test --release -p farebox-chat --test passing -- --nocapture` prints figures that mean
//! something; `cargo figures content` takes them of whole processes over sockets.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use bytes::Bytes;
use farebox_chat::dialect::{
    Answer, COMPLETIONS, Dialect, EMBEDDINGS, GENERATE_CONTENT, MESSAGES, OPENAI, RESPONSES,
};
use farebox_core::{ChatEvent, Format};
use farebox_providers::{Facts, Provider, Wire, find};

#[path = "fuzz/incoming.rs"]
mod incoming;
#[path = "fuzz/writing.rs"]
mod writing;
use writing::{begun, ended, with_answer};

/// Chunks of one stream.
const CHUNKS: usize = 2_000;

struct Row {
    name: &'static str,
    dialect: &'static dyn Dialect,
    provider: &'static Provider,
    wire: &'static dyn Wire,
    /// What begins a stream, a piece of it, and what ends it.
    first: &'static str,
    piece: &'static str,
    last: &'static str,
    /// A whole answer around its text.
    whole: &'static str,
}

fn row(
    name: &'static str,
    (provider, format): (&str, Format),
    dialect: &'static dyn Dialect,
    [first, piece, last, whole]: [&'static str; 4],
) -> Row {
    let provider = find(provider).unwrap();
    let wire = provider.wire_for("gemini-3", format).unwrap();
    Row { name, dialect, provider, wire, first, piece, last, whole }
}

/// The last three are compatible providers, whose departures are looked for as they pass.
fn rows() -> [Row; 7] {
    let [mistral, groq, xai] =
        [("of mistral", "mistral"), ("of groq", "groq"), ("of xai", "xai")].map(chat);
    [chat(("chat completions", "openai")), messages(), responses(), gemini(), mistral, groq, xai]
}

fn chat((name, provider): (&'static str, &str)) -> Row {
    row(
        name,
        (provider, Format::Chat),
        &OPENAI,
        [
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
             \"model\":\"gpt-4.1-2025-04-14\",\"service_tier\":\"default\",\"choices\":[\
             {\"index\":0,\
             \"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\
             \"finish_reason\":null}],\"usage\":null}\n\n",
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
             \"model\":\"gpt-4.1-2025-04-14\",\"service_tier\":\"default\",\"choices\":[\
             {\"index\":0,\
             \"delta\":{\"content\":\" text\"},\"logprobs\":null,\"finish_reason\":null}],\
             \"usage\":null,\"obfuscation\":\"abcdefg\"}\n\n",
            "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{},\
             \"finish_reason\":\"stop\"}]}\n\n\
             data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\
             \"completion_tokens\":9,\"total_tokens\":18}}\n\ndata: [DONE]\n\n",
            "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\
             \"assistant\",\"content\":\"@\"},\"finish_reason\":\"stop\"}],\
             \"usage\":{\"prompt_tokens\":9,\"completion_tokens\":9,\"total_tokens\":18}}",
        ],
    )
}

fn messages() -> Row {
    row(
        "messages",
        ("anthropic", Format::Messages),
        &MESSAGES,
        [
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\
             \"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[],\
             \"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n\
             event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
             \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
             \"delta\":{\"type\":\"text_delta\",\"text\":\" text\"}}\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
             event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\
             \"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n\
             event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            "{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\
             \"content\":[{\"type\":\"text\",\"text\":\"@\"}],\"stop_reason\":\"end_turn\",\
             \"usage\":{\"input_tokens\":9,\"output_tokens\":9}}",
        ],
    )
}

fn responses() -> Row {
    row(
        "responses",
        ("openai", Format::Responses),
        &RESPONSES,
        [
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\
             \"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"status\":\"in_progress\",\
             \"output\":[]}}\n\n",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\
             \"sequence_number\":5,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\
             \"delta\":\" text\",\"logprobs\":[],\"obfuscation\":\"abcdefg\"}\n\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":\
             {\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[],\"usage\":\
             {\"input_tokens\":9,\"output_tokens\":9,\"total_tokens\":18}}}\n\n",
            "{\"id\":\"r\",\"status\":\"completed\",\"model\":\"m\",\"output\":[{\"type\":\
             \"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"@\"}]}],\
             \"usage\":{\"input_tokens\":9,\"output_tokens\":9,\"total_tokens\":18}}",
        ],
    )
}

fn gemini() -> Row {
    row(
        "gemini",
        ("gemini", Format::GenerateContent),
        &GENERATE_CONTENT,
        [
            "",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" text\"}],\"role\":\
             \"model\"},\"index\":0}],\"modelVersion\":\"gemini-3\",\"responseId\":\"g\"}\n\n",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\
             \"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9,\
             \"candidatesTokenCount\":9,\"totalTokenCount\":18}}\n\n",
            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"@\"}],\"role\":\"model\"},\
             \"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9,\
             \"candidatesTokenCount\":9,\"totalTokenCount\":18}}",
        ],
    )
}

/// A stream as `relay` and `reply` pass it on, one event a read.
fn passed(row: &Row) -> Vec<u8> {
    let mut decoder = row.wire.decoder(row.provider, true);
    let mut writer = begun(row.dialect, true);
    let (mut events, mut sent) = (Vec::new(), Vec::new());
    let pieces = std::iter::repeat_n(row.piece, CHUNKS);
    for piece in std::iter::once(row.first).chain(pieces).chain([row.last]) {
        decoder.feed(piece.as_bytes(), &mut events).unwrap();
        let mut out = Vec::new();
        events.iter().for_each(|event| writer.event(event, &mut out));
        events.clear();
        sent.extend_from_slice(&Bytes::from(out));
    }
    decoder.end(&mut events).unwrap();
    assert!(matches!(events.last(), Some(ChatEvent::Done)) || events.is_empty());
    sent.extend(ended(row.dialect, &mut *writer, &Default::default(), None));
    sent
}

/// The same by a proxy that reads nothing.
fn copied(row: &Row) -> Vec<u8> {
    let mut sent = Vec::new();
    let pieces = std::iter::repeat_n(row.piece, CHUNKS);
    for piece in std::iter::once(row.first).chain(pieces).chain([row.last]) {
        let out = Bytes::from(piece.as_bytes().to_vec());
        sent.extend_from_slice(&out);
    }
    sent
}

/// A whole answer of 100 KB as it is passed on.
fn answered(row: &Row, body: &Bytes) -> Bytes {
    let completion = row.wire.decode(row.provider, body).unwrap();
    let usage = completion.reported.as_ref().map(|reported| reported.usage);
    with_answer(row.dialect, &completion, usage.as_ref(), |answer| {
        row.dialect.answer(&Answer { verbatim: Some(body), ..*answer })
    })
}

fn body(row: &Row) -> Bytes {
    Bytes::from(row.whole.replace('@', &"words of text\\n ".repeat(100_000 / 15)))
}

#[test]
fn content_goes_through_as_it_came() {
    for row in rows() {
        let (came, sent) = (copied(&row), passed(&row));
        let content = row.first.len() + CHUNKS * row.piece.len();
        // Gemini has no word for the end, so its last chunk but one waits like any other.
        assert_eq!(sent.get(..content), came.get(..content), "{}", row.name);
        let body = body(&row);
        let told = answered(&row, &body);
        let text = body.len() - row.whole.len();
        let at = row.whole.find('@').unwrap();
        assert_eq!(told.get(at..at + text), body.get(at..at + text), "{}", row.name);
    }
}

/// Nanoseconds that this thread has run, whatever else the machine does.
fn on_cpu() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Nanoseconds of CPU for one run of many.
fn nanoseconds(runs: u32, mut run: impl FnMut() -> usize) -> f64 {
    let mut bytes = 0;
    run();
    let before = on_cpu();
    for _ in 0..runs {
        bytes += run();
    }
    assert!(bytes > 0);
    (on_cpu() - before) / f64::from(runs)
}

#[test]
fn figures_of_a_chunk_and_of_an_answer() {
    let runs = if cfg!(debug_assertions) { 1 } else { 200 };
    for row in rows() {
        let chunks = f64::from(u32::try_from(CHUNKS).unwrap());
        let chunk = nanoseconds(runs, || passed(&row).len()) / chunks;
        let copy = nanoseconds(runs, || copied(&row).len()) / chunks;
        let body = body(&row);
        let answer = nanoseconds(runs * 10, || answered(&row, &body).len()) / 1e3;
        let copied = nanoseconds(runs * 10, || body.to_vec().len()) / 1e3;
        println!(
            "{:<18} a chunk of {} bytes {chunk:>6.0} ns (copied {copy:.0}); an answer of {} bytes \
             {answer:>6.1} us (copied {copied:.1})",
            row.name,
            row.piece.len(),
            body.len(),
        );
    }
}

/// What a request says, as no writer of JSON would have it: it goes so to a provider of its format,
/// and no more is held for it than for the same said plainly.
#[test]
fn a_request_goes_as_it_was_written() {
    const SAID: &str = r#"[ {"role":"user", "content":"h\u00e9 \/"} ]"#;
    const PARTS: &str = r#"[ {"parts":[ {"text":"h\u00e9 \/"} ]} ]"#;
    const TEXT: &str = r#""h\u00e9 \/""#;
    const WARM: &str = r#","temperature":0.70"#;
    const SAFE: &str = r#","safetySettings":[ {"threshold":"\u0042"} ]"#;
    let rows: [(&dyn Dialect, &str, &str, &str, &str, &str); 6] = [
        (&OPENAI, "openai", "gpt-4.1", "messages", SAID, WARM),
        (&MESSAGES, "anthropic", "claude-opus-4-8", "messages", SAID, WARM),
        (&RESPONSES, "openai", "gpt-4.1", "input", SAID, WARM),
        (&GENERATE_CONTENT, "gemini", "gemini-3-pro", "contents", PARTS, SAFE),
        (&COMPLETIONS, "openai", "gpt-3.5-turbo-instruct", "prompt", TEXT, WARM),
        (&EMBEDDINGS, "openai", "text-embedding-3-small", "input", TEXT, ""),
    ];
    for (dialect, provider, model, field, said, more) in rows {
        let asked = |said: &str| {
            let body = format!(r#"{{"model":"m","{field}":{said}{more}}}"#);
            let path = "/v1beta/models/m:generateContent";
            let call = dialect.parse(&incoming::incoming(path, body)).unwrap();
            let provider = find(provider).unwrap();
            let wire = provider.wire_for(model, call.format).unwrap();
            let facts = Facts {
                model,
                context_window: Some(90_000),
                completion_max: Some(64_000),
                price: None,
            };
            let outbound = wire.request(provider, &call, &facts, 100, false).unwrap();
            (String::from_utf8(outbound.body.to_vec()).unwrap(), outbound.bound.prompt_tokens)
        };

        let (sent, held) = asked(said);

        assert!(sent.contains(&format!("\"{field}\":{said}")), "{provider} {field}: {sent}");
        assert!(sent.contains(more), "{provider} {field}: {sent}");
        let plain: serde_json::Value = serde_json::from_str(said).unwrap();
        assert_eq!(asked(&plain.to_string()).1, held, "{provider} {field}");
    }
}
