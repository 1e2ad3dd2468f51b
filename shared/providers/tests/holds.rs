//! What a call is held for is no less than what it used: for recorded exchanges with real providers
//! (`FAREBOX_CORPUS` names the corpus, which is not a part of this repository), and for the usage
//! that some of them state, which is written down here.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farebox_core::catalog::Catalog;
use farebox_core::pricing::Bound;
use farebox_core::{ChatCall, ChatEvent, Error, Format, Reported};
use farebox_providers::{DecodeError, Facts, Outbound, Wire, find};
use serde_json::{Map, Value, json};

/// The call of a body in its caller's own words; its translation is of no matter here.
fn call(format: Format, body: &Value) -> Result<ChatCall, Error> {
    if format == Format::Chat {
        return ChatCall::from_openai(body.to_string().as_bytes());
    }
    let hub = json!({"messages": [{"role": "user", "content": "x"}],
        "n": body["generationConfig"]["candidateCount"].as_u64().unwrap_or(1)});
    let [hub, original] = [&hub, body].map(|value| value.as_object().unwrap().clone());
    ChatCall::translated(format, "m".to_owned(), hub, original)
}

/// A request and the wire that made it, with the model's limits from the catalogue.
fn sent(
    provider: &str,
    model: &str,
    format: Format,
    body: &Value,
    stream: bool,
) -> Result<(Outbound, &'static dyn Wire), Error> {
    let row = Catalog::compiled().find(provider, model);
    let facts = Facts {
        model,
        context_window: row.as_ref().and_then(|row| row.context_window).or(Some(1_000_000)),
        completion_max: row.as_ref().and_then(|row| row.completion_max),
        price: None,
    };
    let provider = find(provider).unwrap();
    let wire = provider.wire_for(model, format)?;
    let call = call(format, body)?;
    let cap = call.cap.or(facts.completion_max).unwrap_or(64_000);
    Ok((wire.request(provider, &call, &facts, cap, stream)?, wire))
}

/// Whether what was used is within what was held for, class by class.
fn is_within(outbound: &Outbound, reported: &Reported) -> bool {
    let (bound, used) = (&outbound.bound, reported.usage);
    used.prompt_tokens() <= bound.prompt_tokens
        && used.completion_tokens() <= outbound.cap * outbound.choices
        && used.web_searches <= bound.web_searches
        && (used.audio_prompt == 0 || bound.audio)
}

/// The request of an exchange in the format that its provider speaks; `None` where none was
/// recorded, or Farebox calls that provider otherwise.
fn asked(exchange: &Value) -> Option<(&str, Format, Value)> {
    let body = exchange["request"].as_object()?.clone();
    let format = match exchange["api"].as_str()? {
        "openai-chat" => Format::Chat,
        "openai-responses" => Format::Responses,
        "anthropic-messages" => Format::Messages,
        "gemini-generate" => Format::GenerateContent,
        _ => return None,
    };
    let provider = exchange["provider"].as_str().filter(|name| find(name).is_some())?;
    let wire = find(provider).unwrap().wire_for(exchange["model"].as_str()?, format).ok()?;
    wire.takes(format).then_some((provider, format, Value::Object(body)))
}

/// The recording leaves images out, and says how long they were: a picture of 239 by 178 pixels,
/// and one that Claude billed as 5 by 5 squares of 28 pixels, so it has 113 by 113 at least. Their
/// headers are put back.
fn with_its_images(text: &str) -> String {
    let jpeg = [0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8, 0, 178, 0, 239];
    let png = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\0\x71\0\0\0\x71";
    let filled = |header: &[u8], length: usize| {
        let mut bytes = header.to_vec();
        bytes.resize(length / 4 * 3, 0);
        STANDARD.encode(bytes)
    };
    text.replace("ELIDED47452", &filled(&jpeg, 47_452)).replace("ELIDED21256", &filled(png, 21_256))
}

#[test]
fn recorded_exchanges_use_no_more_than_is_held_for_them() {
    let Some(corpus) = std::env::var_os("FAREBOX_CORPUS") else {
        println!("skipped: FAREBOX_CORPUS names no corpus");
        return;
    };
    let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
    let (mut whole, mut streams, mut with_media, mut sized) = (0, 0, 0, 0);
    let mut beyond = Vec::new();
    for file in std::fs::read_dir(Path::new(&corpus).join("exchanges")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let exchange: Value = serde_json::from_str(&with_its_images(&text)).unwrap();
        let Some((provider, format, body)) = asked(&exchange) else { continue };
        if exchange["status"] != 200 || exchange["usage"].is_null() {
            continue;
        }
        // A sealed thought that was left out of the recording, and is in the usage.
        if format == Format::Responses && text.contains("\"ELIDED") {
            continue;
        }
        let (id, model) = (exchange["id"].as_str().unwrap(), exchange["model"].as_str().unwrap());
        let is_streamed = exchange["stream"].as_bool().unwrap();
        let (outbound, wire) = match sent(provider, model, format, &body, is_streamed) {
            Ok(sent) => sent,
            Err(error) => {
                *refusals.entry(error.field().unwrap_or("?").to_owned()).or_default() += 1;
                continue;
            }
        };
        let answer = exchange["response"]["body"].as_str().unwrap().as_bytes();
        let reported = used(provider, wire, answer, is_streamed);
        let reported = reported.unwrap_or_else(|error| panic!("{id}: {error}"));
        if !is_within(&outbound, &reported) {
            let used = reported.usage;
            beyond.push(format!("{id}: {used:?} beyond {:?} of {}", outbound.bound, outbound.cap));
        }
        *(if is_streamed { &mut streams } else { &mut whole }) += 1;
        with_media += usize::from(outbound.bound.media);
        let is_sized = outbound.bound.prompt_tokens < 20_000 && text.contains("ELIDED");
        sized += usize::from(outbound.bound.media && is_sized);
    }
    println!(
        "{whole} whole answers and {streams} streams, {with_media} with media or tools, {sized} \
         held by the size of an image; refused: {refusals:?}"
    );
    assert!(beyond.is_empty(), "{}", beyond.join("\n"));
    assert!(sized > 5, "{sized}");
    assert!(whole > 300 && streams > 60, "{whole} {streams}");
}

/// The last usage that an answer states.
fn used(
    provider: &str,
    wire: &dyn Wire,
    answer: &[u8],
    is_streamed: bool,
) -> Result<Reported, DecodeError> {
    let provider = find(provider).unwrap();
    if !is_streamed {
        return Ok(wire.decode(provider, answer)?.reported.unwrap());
    }
    let mut events = Vec::new();
    let mut decoder = wire.decoder(provider, false);
    decoder.feed(answer, &mut events)?;
    decoder.end(&mut events)?;
    let last = events.into_iter().rev().find_map(|event| match event {
        ChatEvent::Usage(reported) => Some(reported),
        _ => None,
    });
    Ok(last.unwrap())
}

/// Recorded: the model, what was asked for, and the usage of the answer.
type Row = (&'static str, &'static str, Format, Value, Value);

fn recorded() -> Vec<Row> {
    let input = json!("What is new?");
    let messages = json!([{"role": "user", "content": "What is new?"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "What is new?"}]}]);
    let searched = |count: u64| {
        vec![
            json!({"type": "web_search_call",
        "action": {"type": "search", "query": "news"}});
            usize::try_from(count).unwrap()
        ]
    };
    let response = |calls: u64, input: u64, output: u64| {
        let mut items = searched(calls);
        items.push(json!({"type": "web_search_call", "action": {"type": "open_page"}}));
        json!({"status": "completed", "output": items, "usage":
            {"input_tokens": input, "output_tokens": output, "total_tokens": input + output}})
    };
    let message = |searches: u64, input: u64, output: u64| {
        json!({"content": [{"type": "text", "text": "x"}], "usage": {"input_tokens": input,
            "output_tokens": output, "server_tool_use": {"web_search_requests": searches}}})
    };
    let search = json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]);
    let fetch = json!([{"type": "web_fetch_20250910", "name": "web_fetch"}]);
    let grounded = json!({"candidates": [{"content": {"parts": [{"text": "x"}]},
        "finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["a", "b", "c"]}}],
        "modelVersion": "gemini-2.5-flash",
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 30,
            "toolUsePromptTokenCount": 73, "thoughtsTokenCount": 109, "totalTokenCount": 222}});
    let openai = json!({"input": input, "tools": [{"type": "web_search"}]});
    vec![
        ("openai", "gpt-5.2", Format::Responses, openai.clone(), response(1, 8_614, 95)),
        ("openai", "gpt-5-mini", Format::Responses, openai, response(3, 31_073, 4_416)),
        (
            "anthropic",
            "claude-haiku-4-5",
            Format::Messages,
            json!({"messages": messages, "max_tokens": 1_000, "tools": search}),
            message(2, 27_118, 600),
        ),
        (
            "anthropic",
            "claude-haiku-4-5",
            Format::Messages,
            json!({"messages": messages, "max_tokens": 1_000, "tools": fetch}),
            message(0, 28_638, 365),
        ),
        (
            "gemini",
            "gemini-2.5-flash",
            Format::GenerateContent,
            json!({"contents": contents, "tools": [{"googleSearch": {}}]}),
            grounded,
        ),
    ]
}

#[test]
fn tools_of_the_provider_cost_no_more_than_is_held_and_settle_by_what_was_used() {
    for (provider, model, format, asked, answer) in recorded() {
        let (outbound, wire) = sent(provider, model, format, &asked, false).unwrap();
        let answer = wire.decode(find(provider).unwrap(), answer.to_string().as_bytes()).unwrap();
        let reported = answer.reported.unwrap();
        assert!(is_within(&outbound, &reported), "{model}: {reported:?} {:?}", outbound.bound);
        assert!(reported.unknown_fields.is_empty(), "{model}: {reported:?}");
        let price = Catalog::compiled().find(provider, model).unwrap().price.unwrap();
        let bound = Bound {
            prompt_tokens: outbound.bound.prompt_tokens,
            completion_tokens: outbound.cap,
            web_searches: outbound.bound.web_searches,
            multiplier_us: outbound.bound.us_geography,
            ..Bound::default()
        };

        let (held, cost) = (price.hold(&bound).unwrap(), price.cost(&reported).unwrap());

        assert!(cost.total <= held, "{model}: {cost:?} beyond {held}");
        let each = price.web_search.unwrap().pico();
        assert_eq!(cost.fees.pico(), each * i128::from(reported.usage.web_searches), "{model}");
    }
}

/// What providers put beside a prompt: the recorded prompt tokens of the tightest exchange of each
/// kind, and the bytes of its request. The requests here are of the same kind, and none is longer,
/// so what is held for them is no more than what was held for the recorded ones.
#[test]
fn the_tightest_recorded_bills_are_within_what_is_held_for_shorter_requests() {
    let mut beyond = Vec::new();
    let said = json!([{"role": "user", "content": "Which one?"}]);
    let none = json!({"type": "object", "properties": {}});
    let tool = json!([{"type": "function", "function": {"name": "pick", "parameters": none}}]);
    let claudes = json!([{"name": "pick", "input_schema": none}]);
    let chat = json!({"model": "m", "messages": said, "tools": tool});
    let claude = json!({"max_tokens": 9, "messages": said, "tools": claudes});
    let mut must = claude.clone();
    must["tool_choice"] = json!({"type": "any"});
    let json = json!({"model": "m", "messages": said, "response_format": {"type": "json_object"}});
    let schema = json!({"contents": [{"role": "user", "parts": [{"text": "Which one?"}]}],
        "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": none}});
    let functions = json!({"contents": [{"role": "user", "parts": [{"text": "Which one?"}]}],
        "tools": [{"functionDeclarations": [{"name": "pick", "parameters": none}]}]});
    for (provider, model, format, body, bytes, billed) in [
        ("anthropic", "claude-haiku-4-5", Format::Messages, &claude, 370, 571),
        ("anthropic", "claude-haiku-4-5", Format::Messages, &must, 543, 713),
        ("openrouter", "anthropic/claude-haiku-4.5", Format::Chat, &chat, 356, 571),
        ("xai", "grok-4.3", Format::Responses, &json!({"input": said}), 143, 199),
        ("deepseek", "deepseek-chat", Format::Chat, &chat, 343, 284),
        ("gpustack", "qwen3", Format::Chat, &chat, 359, 209),
        ("ollama", "qwen3", Format::Chat, &json, 194, 243),
        ("vertexai", "gemini-3-flash-preview", Format::GenerateContent, &schema, 318, 77),
        ("gemini", "gemini-2.5-flash", Format::GenerateContent, &functions, 559, 136),
    ] {
        assert!(body.to_string().len() <= bytes, "{model}: {}", body.to_string().len());
        let (outbound, _) = sent(provider, model, format, body, false).unwrap();
        let held = outbound.bound.prompt_tokens;
        if held < billed {
            beyond.push(format!("{provider} {model} {format:?}: {held} held, {billed} billed"));
        }
    }
    assert!(beyond.is_empty(), "{beyond:#?}");
}

/// An image of 239 by 178 pixels in each format, with the prompt tokens that were billed for it and
/// a short question, as recorded.
#[test]
fn an_image_is_held_by_its_size_which_no_recorded_bill_is_above() {
    let data = "ELIDED47452";
    let url = format!("data:image/jpeg;base64,{data}");
    let ask = "What is in this image?";
    let source = json!({"type": "base64", "media_type": "image/jpeg", "data": data});
    let claude = json!({"max_tokens": 9, "messages": [{"role": "user", "content": [
        {"type": "text", "text": ask}, {"type": "image", "source": source}]}]});
    let response = json!({"input": [{"role": "user", "content": [
        {"type": "input_text", "text": ask}, {"type": "input_image", "image_url": url}]}]});
    let gemini = json!({"contents": [{"role": "user", "parts": [
        {"text": ask}, {"inline_data": {"mime_type": "image/jpeg", "data": data}}]}]});
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": ask}, {"type": "image_url", "image_url": {"url": url}}]}]});
    for (provider, model, format, body, billed, at_most) in [
        ("anthropic", "claude-haiku-4-5", Format::Messages, &claude, 81, 63),
        ("anthropic", "claude-haiku-4-5", Format::Chat, &chat, 81, 63),
        ("openai", "gpt-5-nano", Format::Responses, &response, 86, 630),
        ("openai", "gpt-5-nano", Format::Chat, &chat, 86, 630),
        ("gemini", "gemini-2.5-flash", Format::GenerateContent, &gemini, 267, 2_592),
        ("vertexai", "gemini-2.5-flash", Format::Chat, &chat, 266, 2_592),
    ] {
        let body = serde_json::from_str(&with_its_images(&body.to_string())).unwrap();
        let (outbound, _) = sent(provider, model, format, &body, false).unwrap();
        let text = outbound.body.len() - 47_452;
        let held = outbound.bound.prompt_tokens;
        assert!(held >= billed, "{model} {format:?}: {held}");
        assert_eq!(held, text as u64 + at_most, "{model} {format:?}");
        assert!(outbound.bound.media, "a count of the text does not tell it");
    }
}

#[test]
fn a_search_is_counted_and_a_look_into_what_it_found_is_not() {
    let counts: Vec<u64> = recorded()
        .iter()
        .map(|(provider, model, format, _, answer)| {
            let provider = find(provider).unwrap();
            let wire = provider.wire_for(model, *format).unwrap();
            let answer = wire.decode(provider, answer.to_string().as_bytes()).unwrap();
            answer.reported.unwrap().usage.web_searches
        })
        .collect();
    assert_eq!(counts, [1, 3, 2, 0, 1]);
}

/// A body with one field more.
fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body: Map<String, Value> = body.as_object().unwrap().clone();
    body.insert(field.to_owned(), value);
    Value::Object(body)
}

#[test]
fn more_calls_of_a_tool_hold_more_and_only_what_is_capped_is_sent() {
    let body = json!({"input": "x", "tools": [{"type": "web_search"}]});
    let mut last = 0;
    for calls in [0, 1, 3, 8] {
        let body = with(&body, "max_tool_calls", json!(calls));
        let (outbound, _) = sent("openai", "gpt-5.2", Format::Responses, &body, false).unwrap();
        assert_eq!(outbound.bound.web_searches, calls);
        assert!(outbound.bound.prompt_tokens > last, "{calls}");
        last = outbound.bound.prompt_tokens;
    }
    let (outbound, _) = sent("openai", "gpt-5.2", Format::Responses, &body, false).unwrap();
    let wire: Value = serde_json::from_slice(&outbound.body).unwrap();
    assert_eq!(wire["max_tool_calls"], outbound.bound.web_searches);
}
