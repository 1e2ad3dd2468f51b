//! What a decoder holds of a stream that never ends or never makes sense.
//!
//! The bytes of the allocator are counted, so the figures are the same on every machine. A stream
//! is as long as `FAREBOX_STREAM_MB` says: what is held does not grow with it.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::sync::{Mutex, MutexGuard};

use farebox_core::Format;
use farebox_providers::sse::EVENT_BYTES_MAX;
use farebox_providers::{DecodeError, Provider, Wire, find};
use peak_alloc::PeakAlloc;

#[path = "support/eventstream.rs"]
mod eventstream;
use eventstream::{event, message};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What the network hands over at once.
const PIECE: usize = 16 * 1024;

/// The most that a decoder holds: a few copies of an event of 4 MiB.
const HELD_MAX: usize = 5 * EVENT_BYTES_MAX;

/// The most that is held beside the body while a whole answer is read.
const ANSWER_HELD_MAX: usize = 128_000_000;

/// One measurement at a time: the allocator counts for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How long a stream is; one that is refused must be long enough for it.
fn stream_bytes(is_refused: bool) -> usize {
    #[expect(clippy::disallowed_methods, reason = "a campaign says how long it is")]
    let told = std::env::var("FAREBOX_STREAM_MB").ok();
    let default = if is_refused { 6 } else { 1 };
    told.map_or(default, |told| told.parse().expect("a number of MB")) * 1_000_000
}

/// Writes one event of a name with its data.
type Framing = fn(&str, &str) -> Vec<u8>;

fn sse(name: &str, data: &str) -> Vec<u8> {
    format!("event: {name}\ndata: {data}\n\n").into_bytes()
}

fn converse(name: &str, data: &str) -> Vec<u8> {
    event(name, &serde_json::from_str(data).unwrap())
}

fn element(name: &str, data: &str) -> Vec<u8> {
    // The first opens the array.
    format!("{}{data}", if name == "first" { "[" } else { ",\n" }).into_bytes()
}

/// The provider, a model that selects the wire format, the caller's format, and the framing.
type Row = (&'static str, &'static str, Format, Framing);

static ROWS: [Row; 11] = [
    ("openai", "m", Format::Chat, sse),
    ("openai", "m", Format::Responses, sse),
    ("openai", "m-instruct", Format::Completions, sse),
    // What departs from the format is put right as it passes.
    ("mistral", "m", Format::Chat, sse),
    ("groq", "m", Format::Chat, sse),
    ("xai", "grok", Format::Chat, sse),
    ("anthropic", "claude", Format::Chat, sse),
    ("gemini", "gemini-3", Format::Chat, sse),
    ("gemini", "gemini-3", Format::Chat, element),
    ("cohere", "m", Format::Chat, sse),
    ("bedrock", "m", Format::Chat, converse),
];

/// The `i`th event of an endless stream, with its name.
type Endless = fn(usize) -> (&'static str, String);

/// What goes on for ever, and whether it is refused before it is long.
const STREAMS: &[(&str, Endless, bool)] = &[
    ("openai: tiny chunks", |_| ("", r#"{"choices":[{"delta":{"content":"a"}}]}"#.into()), false),
    ("openai: pieces of arguments", chat_arguments, false),
    ("openai: ever new calls", chat_calls, true),
    ("openai: counts in every chunk", chat_counts, false),
    ("openai: ever new counts", |i| ("", format!(r#"{{"usage":{{"a{i}":1,"x":{{}}}}}}"#)), false),
    ("responses: pieces of text", response_text, false),
    ("responses: pieces of arguments", response_arguments, false),
    ("responses: calls that stay open", response_calls, true),
    ("responses: calls that end", response_items, true),
    ("anthropic: tiny chunks", message_text, false),
    ("anthropic: pieces of arguments", message_arguments, false),
    ("anthropic: calls that stay open", message_calls, true),
    ("anthropic: endless thinking", message_thinking, true),
    ("anthropic: an endless signature", message_signature, true),
    ("anthropic: ever new counts", message_counts, true),
    ("gemini: tiny chunks", gemini_text, false),
    ("gemini: ever new calls", gemini_calls, true),
    ("gemini: ever new searches", gemini_searches, true),
    ("gemini: ever new counts", gemini_counts, true),
    ("cohere: tiny chunks", cohere_text, false),
    ("cohere: pieces of arguments", cohere_arguments, false),
    ("bedrock: tiny chunks", converse_text, false),
    ("bedrock: endless thinking", converse_thinking, true),
    ("bedrock: ever new calls", converse_calls, true),
];

fn chat_arguments(i: usize) -> (&'static str, String) {
    let id = if i == 0 { r#""id":"c","type":"function","# } else { "" };
    let call = format!(r#"{{"index":0,{id}"function":{{"arguments":"{{\"a"}}}}"#);
    ("", format!(r#"{{"id":"x","choices":[{{"index":0,"delta":{{"tool_calls":[{call}]}}}}]}}"#))
}

fn chat_calls(i: usize) -> (&'static str, String) {
    let call = format!(r#"{{"index":{i},"id":"c{i}","function":{{"name":"f","arguments":""}}}}"#);
    ("", format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{call}]}}}}]}}"#))
}

fn chat_counts(i: usize) -> (&'static str, String) {
    let usage = format!(r#"{{"prompt_tokens":{i},"completion_tokens":{i},"total_tokens":1}}"#);
    ("", format!(r#"{{"choices":[{{"delta":{{"content":"a"}}}}],"usage":{usage}}}"#))
}

fn response_text(_: usize) -> (&'static str, String) {
    let delta = r#"{"type":"response.output_text.delta","output_index":0,"delta":"a"}"#;
    ("response.output_text.delta", delta.to_owned())
}

fn response_item(i: usize, kind: &str) -> String {
    let item = format!(r#"{{"type":"function_call","call_id":"c{i}","name":"f","arguments":""}}"#);
    format!(r#"{{"type":"response.output_item.{kind}","output_index":{i},"item":{item}}}"#)
}

fn response_arguments(i: usize) -> (&'static str, String) {
    let kind = "response.function_call_arguments.delta";
    let piece = format!(r#"{{"type":"{kind}","output_index":0,"delta":"{{\"a"}}"#);
    ("", if i == 0 { response_item(0, "added") } else { piece })
}

fn response_calls(i: usize) -> (&'static str, String) {
    ("", response_item(i, "added"))
}

fn response_items(i: usize) -> (&'static str, String) {
    ("", response_item(i / 2, if i.is_multiple_of(2) { "added" } else { "done" }))
}

fn message_delta(index: usize, delta: &str) -> (&'static str, String) {
    let kind = "content_block_delta";
    (kind, format!(r#"{{"type":"{kind}","index":{index},"delta":{{{delta}}}}}"#))
}

fn message_block(index: usize, block: &str) -> (&'static str, String) {
    let kind = "content_block_start";
    (kind, format!(r#"{{"type":"{kind}","index":{index},"content_block":{{{block}}}}}"#))
}

fn message_text(_: usize) -> (&'static str, String) {
    message_delta(0, r#""type":"text_delta","text":"a""#)
}

fn message_arguments(i: usize) -> (&'static str, String) {
    match i {
        0 => message_block(0, r#""type":"tool_use","id":"t","name":"f","input":{}"#),
        _ => message_delta(0, r#""type":"input_json_delta","partial_json":"{\"a""#),
    }
}

fn message_calls(i: usize) -> (&'static str, String) {
    message_block(i, r#""type":"tool_use","id":"t","name":"f","input":{}"#)
}

fn message_thinking(i: usize) -> (&'static str, String) {
    match i {
        0 => message_block(0, r#""type":"thinking","thinking":"""#),
        _ => message_delta(0, &format!(r#""thinking":"{}""#, "h".repeat(500))),
    }
}

fn message_signature(i: usize) -> (&'static str, String) {
    match i {
        0 => message_block(0, r#""type":"thinking","thinking":"""#),
        _ => message_delta(0, &format!(r#""signature":"{}""#, "h".repeat(500))),
    }
}

fn message_counts(i: usize) -> (&'static str, String) {
    let kind = "message_delta";
    (kind, format!(r#"{{"type":"{kind}","delta":{{}},"usage":{{"count_{i}":1}}}}"#))
}

fn gemini_parts(i: usize, part: &str, more: &str) -> (&'static str, String) {
    let content = format!(r#"{{"role":"model","parts":[{part}]}}"#);
    let candidate = format!(r#"{{"index":0,"content":{content}{more}}}"#);
    (if i == 0 { "first" } else { "" }, format!(r#"{{"candidates":[{candidate}]}}"#))
}

fn gemini_text(i: usize) -> (&'static str, String) {
    gemini_parts(i, r#"{"text":"a"}"#, "")
}

fn gemini_calls(i: usize) -> (&'static str, String) {
    gemini_parts(i, r#"{"functionCall":{"name":"f","args":{"a":1}}}"#, "")
}

fn gemini_searches(i: usize) -> (&'static str, String) {
    let more = format!(r#","groundingMetadata":{{"webSearchQueries":["query {i}"]}}"#);
    gemini_parts(i, r#"{"text":"a"}"#, &more)
}

fn gemini_counts(i: usize) -> (&'static str, String) {
    let name = if i == 0 { "first" } else { "" };
    (name, format!(r#"{{"usageMetadata":{{"count{i}":1}}}}"#))
}

fn cohere_text(_: usize) -> (&'static str, String) {
    let message = r#"{"content":{"text":"a"}}"#;
    ("", format!(r#"{{"type":"content-delta","index":0,"delta":{{"message":{message}}}}}"#))
}

fn cohere_arguments(i: usize) -> (&'static str, String) {
    let kind = if i == 0 { "tool-call-start" } else { "tool-call-delta" };
    let call = r#"{"tool_calls":{"id":"t","function":{"name":"f","arguments":"{\"a"}}}"#;
    ("", format!(r#"{{"type":"{kind}","index":0,"delta":{{"message":{call}}}}}"#))
}

fn converse_text(_: usize) -> (&'static str, String) {
    ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"a"}}"#.to_owned())
}

fn converse_thinking(_: usize) -> (&'static str, String) {
    let thought = format!(r#"{{"reasoningContent":{{"text":"{}"}}}}"#, "h".repeat(500));
    ("contentBlockDelta", format!(r#"{{"contentBlockIndex":0,"delta":{thought}}}"#))
}

fn converse_calls(i: usize) -> (&'static str, String) {
    let call = r#"{"toolUse":{"toolUseId":"t","name":"f"}}"#;
    ("contentBlockStart", format!(r#"{{"contentBlockIndex":{i},"start":{call}}}"#))
}

/// Feeds pieces until they end or the decoder gives up. The most bytes that were held beside the
/// piece itself, how many were read, and the fault.
fn fed(
    (provider, wire): (&'static Provider, &'static dyn Wire),
    pieces: impl Iterator<Item = Vec<u8>>,
) -> (usize, usize, Option<DecodeError>) {
    let mut decoder = wire.decoder(provider, true);
    let before = HEAP.current_usage();
    let (mut most, mut read) = (0, 0);
    for piece in pieces {
        HEAP.reset_peak_usage();
        let with_piece = HEAP.current_usage();
        let held = with_piece.saturating_sub(before).saturating_sub(piece.capacity());
        let mut events = Vec::new();
        let fault = decoder.feed(&piece, &mut events).err();
        drop(events);
        read += piece.len();
        most = most.max(held + HEAP.peak_usage().saturating_sub(with_piece));
        if fault.is_some() {
            return (most, read, fault);
        }
    }
    (most, read, decoder.end(&mut Vec::new()).err())
}

fn wire_of((provider, model, format, _): &Row) -> (&'static Provider, &'static dyn Wire) {
    let provider = find(provider).unwrap();
    (provider, provider.wire_for(model, *format).unwrap())
}

/// Whether streams of this name are of a row's format.
fn speaks(row: &Row, name: &str) -> bool {
    match name {
        "responses" => row.2 == Format::Responses,
        "openai" => {
            ["openai", "mistral", "groq", "xai"].contains(&row.0) && row.2 != Format::Responses
        }
        name => row.0 == name,
    }
}

/// Pieces of an endless stream, as the network hands them over, so many bytes of them.
fn pieces(
    row: &'static Row,
    endless: Endless,
    mut left: usize,
) -> impl Iterator<Item = Vec<u8>> + use<> {
    let mut events = 0..;
    std::iter::from_fn(move || {
        let mut piece = Vec::with_capacity(PIECE * 2);
        while piece.len() < PIECE {
            let (name, data) = endless(events.next()?);
            piece.extend((row.3)(name, &data));
        }
        left = left.checked_sub(piece.len())?;
        Some(piece)
    })
}

#[test]
fn an_endless_stream_of_events_is_held_in_bounded_memory() {
    let _turn = alone();
    for (what, endless, is_refused) in STREAMS {
        let name = what.split(':').next().unwrap();
        let rows = ROWS.iter().filter(|row| speaks(row, name));
        for row in rows {
            let pieces = pieces(row, *endless, stream_bytes(*is_refused));
            let (held, read, fault) = fed(wire_of(row), pieces);
            println!("{what}: {held} bytes held of {read}, {fault:?}");
            assert!(held <= HELD_MAX, "{what}: {held} bytes held");
            assert_eq!(fault.is_some(), *is_refused, "{what}: {fault:?}");
        }
    }
}

#[test]
fn an_endless_line_comment_or_message_is_held_in_bounded_memory() {
    let _turn = alone();
    let prelude = message(&[(":message-type", "event")], &serde_json::json!("x"));
    for row in &ROWS {
        let is_array = row.3 as usize == element as Framing as usize;
        // What goes on for ever, what comes before it, and whether that is refused.
        let lines: [(&str, &[u8], &[u8], bool); 8] = [
            ("a line", b"data: ", b"x", true),
            ("a text in JSON", b"data: {\"a\":\"", b"x", true),
            ("data lines", b"", b"data: {\"a\":\n", true),
            ("comments", b"", b": keep-alive\n", false),
            ("one comment", b": ", b"x", true),
            ("blank lines", b"", b"\n", false),
            ("names", b"", b"event: a name\n", false),
            ("carriage returns", b"", b"\r", false),
        ];
        let array: [(&str, &[u8], &[u8], bool); 3] = [
            ("an element", b"[{\"a\":\"", b"x", true),
            ("blanks in an array", b"[", b" \n", false),
            ("depth", b"[", b"{\"a\":[", true),
        ];
        let binary: [(&str, &[u8], &[u8], bool); 1] = [("garbage", &prelude, b"\0", true)];
        let cases = match row.0 {
            "bedrock" => binary.as_slice(),
            _ if is_array => array.as_slice(),
            _ => lines.as_slice(),
        };
        for (what, before, again, is_refused) in cases {
            let mut left = stream_bytes(*is_refused);
            let mut first = Some(before.to_vec());
            let piece = again.repeat(PIECE / again.len());
            let pieces = std::iter::from_fn(|| {
                left = left.checked_sub(piece.len())?;
                Some(first.take().unwrap_or_else(|| piece.clone()))
            });
            let (held, read, fault) = fed(wire_of(row), pieces);
            println!("{} {what}: {held} bytes held of {read}, {fault:?}", row.0);
            assert!(held <= HELD_MAX, "{} {what}: {held} bytes held", row.0);
            assert_eq!(fault.is_some(), *is_refused, "{} {what}: {fault:?}", row.0);
        }
    }
}

/// The most that it holds of an event that is all structure.
const DENSE_HELD_MAX: usize = HELD_MAX + 32_000_000;

/// Values of two bytes each: the most that a text of JSON can blow up in memory.
fn dense(bytes: usize) -> String {
    format!("[1{}]", ",1".repeat(bytes / 2))
}

/// What a dense event or answer may take, whatever its place in the format.
const DENSE: [(&str, &str, &str); 12] = [
    ("openai", "", r#"{"id":"x","choices":[{"index":0,"delta":{"role":"a","content":@}}]}"#),
    ("openai", "", r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"x":@}}"#),
    ("responses", "", r#"{"type":"response.output_item.done","output_index":0,"item":{"x":@}}"#),
    ("responses", "", r#"{"type":"response.completed","response":{"output":@}}"#),
    ("anthropic", "message_delta", r#"{"type":"message_delta","delta":{},"usage":{"x":@}}"#),
    ("anthropic", "x", r#"{"type":"content_block_start","content_block":{"input":@}}"#),
    ("gemini", "first", r#"{"candidates":[{"groundingMetadata":@}]}"#),
    ("gemini", "first", r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":@}}]}}]}"#),
    ("gemini", "first", r#"{"promptFeedback":@}"#),
    ("gemini", "first", r#"{"usageMetadata":{"promptTokenCount":1,"x":@}}"#),
    ("cohere", "", r#"{"type":"content-delta","x":@}"#),
    ("bedrock", "contentBlockDelta", r#"{"delta":@}"#),
];

#[test]
fn the_densest_event_is_held_in_bounded_memory() {
    let _turn = alone();
    for (name, event, template) in DENSE {
        let rows = ROWS.iter().filter(|row| speaks(row, name));
        for row in rows {
            let data = template.replace('@', &dense(EVENT_BYTES_MAX - 512));
            let whole = (row.3)(event, &data);
            let pieces = whole.chunks(PIECE).map(<[u8]>::to_vec);
            let (held, _, fault) = fed(wire_of(row), pieces);
            println!("{template}: {held} bytes held, {fault:?}");
            assert!(held <= DENSE_HELD_MAX, "{template}: {held} bytes held");
            // As dense as an event may be.
            let data = template.replace('@', &dense(2 * 240_000));
            let whole = (row.3)(event, &data);
            let (held, ..) = fed(wire_of(row), whole.chunks(PIECE).map(<[u8]>::to_vec));
            println!("{template}: {held} bytes held of 240,000 values");
            assert!(held <= DENSE_HELD_MAX, "{template}: {held} bytes held");
        }
    }
}

#[test]
fn the_densest_answer_is_held_in_bounded_memory() {
    let _turn = alone();
    // Where a wire format builds what it reads.
    let places: [(&str, &str, Format, &str); 7] = [
        ("openai", "m", Format::Chat, r#"{"choices":@}"#),
        ("openai", "m", Format::Responses, r#"{"status":"completed","output":@}"#),
        ("anthropic", "m", Format::Chat, r#"{"content":[{"type":"tool_use","input":@}]}"#),
        ("gemini", "m", Format::Chat, r#"{"candidates":[{"groundingMetadata":@}]}"#),
        ("bedrock", "m", Format::Chat, r#"{"output":{"message":{"content":@}}}"#),
        ("cohere", "m", Format::Chat, r#"{"message":@}"#),
        ("cohere", "m", Format::Embeddings, r#"{"embeddings":{"float":@}}"#),
    ];
    for (name, model, format, place) in places {
        let (provider, wire) = wire_of(&(name, model, format, sse));
        for values in [999_000, 1_001_000] {
            let body = place.replace('@', &dense(2 * values));
            let before = HEAP.current_usage();
            HEAP.reset_peak_usage();
            let fault = wire.decode(provider, body.as_bytes()).err();
            let held = HEAP.peak_usage().saturating_sub(before);
            println!("{name} {place}: {held} bytes held of {values} values, {fault:?}");
            let most = if values < 1_000_000 { ANSWER_HELD_MAX } else { 1_000_000 };
            assert!(held <= most, "{name} {place}: {held} bytes held");
        }
    }
}

/// Nanoseconds that this thread has run, whatever else the machine does.
fn on_cpu() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// What reading these pieces takes.
fn taken(row: &Row, pieces: impl Iterator<Item = Vec<u8>>) -> f64 {
    let (provider, wire) = wire_of(row);
    let mut decoder = wire.decoder(provider, true);
    let pieces: Vec<_> = pieces.collect();
    let before = on_cpu();
    for piece in pieces {
        if decoder.feed(&piece, &mut Vec::new()).is_err() {
            break;
        }
    }
    on_cpu() - before
}

/// Eight times the bytes take eight times as long, and 64 times where a decoder looks at all that
/// came before again. Between the two there is room for a machine's whims.
const RATIO_MAX: f64 = 24.0;

/// What the scheduler counts in, in ns, at its coarsest.
const TICK: f64 = 10e6;

#[test]
fn every_format_is_decoded_in_linear_time() {
    let _turn = alone();
    if std::fs::metadata("/proc/thread-self/schedstat").is_err() {
        return println!("this system does not count");
    }
    for row in &ROWS {
        // One event in very small pieces: what was kept must not be searched again for its end.
        let long = |bytes: usize| {
            let data = format!(r#"{{"choices":[],"x":"{}"}}"#, "y".repeat(bytes));
            let event = (row.3)("first", &data);
            event.chunks(16).map(<[u8]>::to_vec).collect::<Vec<_>>().into_iter()
        };
        let mut told =
            vec![("one event".to_owned(), [250_000, 2_000_000].map(|n| taken(row, long(n))))];
        let streams = STREAMS.iter().filter(|(what, _, is_refused)| {
            !is_refused && speaks(row, what.split(':').next().unwrap())
        });
        for (what, endless, _) in streams {
            let taken = [150_000, 1_200_000].map(|n| taken(row, pieces(row, *endless, n)));
            told.push(((*what).to_owned(), taken));
        }
        for (what, [few, many]) in told {
            // The scheduler counts in ticks, so a very short time is told as none.
            let ratio = many / few.max(TICK);
            println!("{} {what}: {:.1} and {:.1} ms", row.0, few / 1e6, many / 1e6);
            assert!(ratio < RATIO_MAX, "{} {what}: eight times as much took {ratio:.0}", row.0);
        }
    }
}
