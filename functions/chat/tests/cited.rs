//! What an answer rests on, from every provider that tells it, in every dialect that has a place
//! for it, whole and streamed.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use farebox_chat::dialect::Dialect;
use farebox_chat::gather::Gathered;
use farebox_core::{ChatCall, ChatEvent, Completion, Format, Usage};
use farebox_providers::{Facts, find};
use serde_json::{Value, json};

#[path = "fuzz/dialects.rs"]
mod dialects;
#[path = "../../../shared/providers/tests/support/eventstream.rs"]
mod eventstream;
#[path = "fuzz/writing.rs"]
mod writing;

use dialects::DIALECTS;
use writing::{begun, ended, with_answer};

const URL: &str = "https://example.com/a";
/// Its first word has letters of two bytes.
const SAID: &str = "Zürich is hére.";

/// Where an answer that rests on [`URL`] says so: of a whole answer, and of an event of a stream.
const PLACES: [(&str, &str, &[&str]); 5] = [
    (
        "chat",
        "/choices/0/message/annotations/0/url_citation/url",
        &["/choices/0/delta/annotations/0/url_citation/url"],
    ),
    (
        "native",
        "/annotations/0/url_citation/url",
        &["/delta/annotations/0/url_citation/url", "/annotations/0/url_citation/url"],
    ),
    (
        "responses",
        "/output/0/content/0/annotations/0/url",
        &["/annotation/url", "/response/output/0/content/0/annotations/0/url"],
    ),
    ("messages", "/content/0/citations/0/url", &["/delta/citation/url"]),
    (
        "gemini",
        "/candidates/0/groundingMetadata/groundingChunks/0/web/uri",
        &["/candidates/0/groundingMetadata/groundingChunks/0/web/uri"],
    ),
];

struct Row {
    provider: &'static str,
    format: Format,
    whole: Value,
    /// The events of a stream.
    stream: Vec<Value>,
    /// Where in the text a whole answer says that it rests on it, in characters.
    place: (u64, u64),
}

fn rows() -> Vec<Row> {
    [of_chats(), of_responses_and_claude(), of_google(), of_others()]
        .into_iter()
        .flatten()
        .collect()
}

fn of_chats() -> Vec<Row> {
    let whole = |more: &Value, message: &Value| {
        let (mut body, mut message) = (more.clone(), message.clone());
        message["role"] = json!("assistant");
        message["content"] = json!(SAID);
        body["id"] = json!("c");
        body["model"] = json!("m");
        body["choices"] = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
        body
    };
    let stream = |more: &Value, delta: &Value| {
        let said = json!({"role": "assistant", "content": SAID});
        let chunks =
            [(said, Value::Null), (delta.clone(), Value::Null), (json!({}), json!("stop"))];
        let chunk = |(delta, end): (Value, Value)| {
            let mut chunk = more.clone();
            chunk["id"] = json!("c");
            chunk["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": end}]);
            chunk
        };
        chunks.map(chunk).to_vec()
    };
    let annotation = json!({"type": "url_citation", "url_citation":
        {"url": URL, "title": "t", "start_index": 0, "end_index": 6}});
    let (annotated, none) = (json!({"annotations": [annotation]}), json!({}));
    let found = json!({"search_results": [{"title": "t", "url": URL, "date": null}],
        "citations": [URL]});
    let rows = [
        ("openai", &none, &annotated, (0, 6)),
        ("openrouter", &none, &annotated, (0, 6)),
        ("perplexity", &found, &none, (0, 0)),
    ];
    let row = |(provider, beside, said, place): (_, &Value, &Value, _)| Row {
        provider,
        format: Format::Chat,
        whole: whole(beside, said),
        stream: stream(beside, said),
        place,
    };
    rows.map(row).into()
}

fn of_responses_and_claude() -> Vec<Row> {
    let flat = json!({"type": "url_citation", "url": URL, "title": "t", "start_index": 0,
        "end_index": 6});
    let response = json!({"id": "r", "model": "m", "status": "completed", "output": [
        {"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": SAID, "annotations": [flat]}]}]});
    let claude = json!({"type": "web_search_result_location", "url": URL, "title": "t",
        "encrypted_index": "e", "cited_text": "x"});
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let counts = json!({"input_tokens": 1, "output_tokens": 1});
    let block = json!({"type": "text", "text": "", "citations": []});
    vec![
        Row {
            provider: "openai",
            format: Format::Responses,
            stream: vec![
                json!({"type": "response.created", "response": {"id": "r", "model": "m"}}),
                json!({"type": "response.output_text.delta", "delta": SAID}),
                json!({"type": "response.output_text.annotation.added", "annotation": flat}),
                json!({"type": "response.completed", "response": response}),
            ],
            whole: response,
            place: (0, 6),
        },
        Row {
            provider: "anthropic",
            format: Format::Chat,
            whole: json!({"id": "m", "model": "m", "stop_reason": "end_turn", "usage": counts,
                "content": [{"type": "text", "text": SAID, "citations": [claude]}]}),
            stream: vec![
                json!({"type": "message_start", "message": {"id": "m", "model": "m",
                    "content": [], "usage": counts}}),
                json!({"type": "content_block_start", "index": 0, "content_block": block}),
                delta(json!({"type": "citations_delta", "citation": claude})),
                delta(json!({"type": "text_delta", "text": SAID})),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 1}}),
                json!({"type": "message_stop"}),
            ],
            place: (0, 15),
        },
    ]
}

fn of_google() -> Vec<Row> {
    let grounded = json!({"groundingChunks": [{"web": {"uri": URL, "title": "t"}}],
        "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 7},
            "groundingChunkIndices": [0]}]});
    let recited = json!({"citationSources": [{"uri": URL, "startIndex": 0, "endIndex": 7}]});
    let row = |(provider, field, rests): (_, &str, Value)| {
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": SAID}]},
            "finishReason": "STOP"});
        candidate[field] = rests;
        let whole = json!({"responseId": "r", "modelVersion": "gemini-3", "candidates": [candidate],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}});
        let stream = vec![whole.clone()];
        Row { provider, format: Format::Chat, whole, stream, place: (0, 6) }
    };
    [("gemini", "groundingMetadata", grounded), ("vertexai", "citationMetadata", recited)]
        .map(row)
        .into()
}

fn of_others() -> Vec<Row> {
    let cohere = json!({"start": 0, "end": 6, "text": "Zürich", "sources": [{"type": "tool",
        "id": "c:0", "tool_output": {"url": URL, "title": "t"}}]});
    let bedrock = json!({"title": "t", "location": {"web": {"url": URL, "domain": "d"}}});
    let billed = json!({"billed_units": {"input_tokens": 1, "output_tokens": 1}});
    let said = |message: Value| json!({"message": message});
    let counts = json!({"inputTokens": 1, "outputTokens": 1});
    vec![
        Row {
            provider: "cohere",
            format: Format::Chat,
            whole: json!({"id": "c", "finish_reason": "COMPLETE", "usage": billed, "message":
                {"content": [{"type": "text", "text": SAID}], "citations": [cohere]}}),
            stream: vec![
                json!({"type": "message-start", "id": "c"}),
                json!({"type": "content-delta", "delta": said(json!({"content": {"text": SAID}}))}),
                json!({"type": "citation-start", "delta": said(json!({"citations": cohere}))}),
                json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE",
                    "usage": billed}}),
            ],
            place: (0, 6),
        },
        Row {
            provider: "bedrock",
            format: Format::Chat,
            whole: json!({"output": {"message": {"content": [{"citationsContent":
                {"content": [{"text": SAID}], "citations": [bedrock]}}]}},
                "stopReason": "end_turn", "usage": counts}),
            stream: vec![
                json!({"contentBlockDelta": {"delta": {"text": SAID}}}),
                json!({"contentBlockDelta": {"delta": {"citation": bedrock}}}),
                json!({"messageStop": {"stopReason": "end_turn"}}),
                json!({"metadata": {"usage": counts}}),
            ],
            place: (0, 15),
        },
    ]
}

fn bytes(row: &Row) -> Vec<u8> {
    if row.provider == "bedrock" {
        let events = row.stream.iter().flat_map(|event| {
            let (name, payload) = event.as_object().unwrap().iter().next().unwrap();
            eventstream::event(name, payload)
        });
        return events.collect();
    }
    let mut text: String = row.stream.iter().map(|event| format!("data: {event}\n\n")).collect();
    if row.format == Format::Chat && ["openai", "openrouter", "perplexity"].contains(&row.provider)
    {
        text.push_str("data: [DONE]\n\n");
    }
    text.into_bytes()
}

fn model(row: &Row) -> &'static str {
    if row.provider.starts_with('v') || row.provider == "gemini" { "gemini-3-pro" } else { "m" }
}

fn told_whole(dialect: &dyn Dialect, completion: &Completion) -> Value {
    let usage = Usage::default();
    let body = with_answer(dialect, completion, Some(&usage), |answer| dialect.answer(answer));
    serde_json::from_slice(&body).unwrap()
}

fn told_streamed(dialect: &dyn Dialect, events: &[ChatEvent]) -> Vec<Value> {
    let (mut writer, mut out) = (begun(dialect, false), Vec::new());
    events.iter().for_each(|event| writer.event(event, &mut out));
    let completion = Completion::default();
    out.extend(ended(dialect, &mut *writer, &completion, Some(&Usage::default())));
    let text = String::from_utf8(out).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

#[test]
fn what_an_answer_rests_on_is_told_in_every_dialect() {
    for row in rows() {
        let provider = find(row.provider).unwrap();
        let wire = provider.wire_for(model(&row), row.format).unwrap();
        let completion = wire.decode(provider, row.whole.to_string().as_bytes()).unwrap();
        let mut decoder = wire.decoder(provider, false);
        let mut events = Vec::new();
        decoder.feed(&bytes(&row), &mut events).unwrap();
        decoder.end(&mut events).unwrap();
        for (name, whole, streamed) in PLACES {
            let at = format!("{} {:?} to {name}", row.provider, row.format);
            let (_, dialect) = DIALECTS.iter().find(|(of, _)| *of == name).unwrap();
            let told = told_whole(*dialect, &completion);
            assert_eq!(told.pointer(whole), Some(&json!(URL)), "{at}: {told}");
            let told = told_streamed(*dialect, &events);
            for place in streamed {
                let found = told.iter().filter_map(|event| event.pointer(place));
                assert_eq!(found.collect::<Vec<_>>(), [&json!(URL)], "{at}, {place}: {told:#?}");
            }
        }
        let cited = &completion.choices[0]["message"]["annotations"][0]["url_citation"];
        let place = (cited["start_index"].as_u64().unwrap(), cited["end_index"].as_u64().unwrap());
        assert_eq!(place, row.place, "{}: {cited}", row.provider);
    }
}

#[test]
fn gemini_is_told_places_in_bytes() {
    let row = rows().remove(0);
    let provider = find(row.provider).unwrap();
    let wire = provider.wire_for("m", row.format).unwrap();
    let completion = wire.decode(provider, row.whole.to_string().as_bytes()).unwrap();
    let (_, gemini) = DIALECTS.iter().find(|(of, _)| *of == "gemini").unwrap();

    let told = told_whole(*gemini, &completion);

    let support = told.pointer("/candidates/0/groundingMetadata/groundingSupports/0").unwrap();
    let segment = json!({"startIndex": 0, "endIndex": 7, "text": "Zürich"});
    assert_eq!(support, &json!({"segment": segment, "groundingChunkIndices": [0]}));
}

#[test]
fn what_has_no_url_stays_in_its_providers_words() {
    let page = json!({"type": "page_location", "document_index": 0, "cited_text": "x"});
    let whole = json!({"id": "m", "model": "m", "stop_reason": "end_turn", "content": [
        {"type": "text", "text": SAID, "citations": [page]}]});
    let provider = find("anthropic").unwrap();
    let wire = provider.wire_for("m", Format::Chat).unwrap();
    let completion = wire.decode(provider, whole.to_string().as_bytes()).unwrap();
    for (name, place) in [("chat", "/choices/0/message/citations/0"), ("native", "/citations/0")] {
        let (_, dialect) = DIALECTS.iter().find(|(of, _)| *of == name).unwrap();
        assert_eq!(told_whole(*dialect, &completion).pointer(place), Some(&page), "{name}");
    }
    let mut gathered = Gathered::default();
    let delta = serde_json::value::to_raw_value(&json!({"citations": [page]})).unwrap();
    gathered.event(&ChatEvent::Delta { choice: 0, delta, logprobs: None });
    assert_eq!(gathered.choices()[0]["message"]["citations"], json!([page]));
}

#[test]
fn claude_is_not_sent_back_what_it_did_not_seal() {
    let provider = find("anthropic").unwrap();
    let cited = |index: &str| {
        let citation = json!({"type": "web_search_result_location", "url": URL, "title": "t",
            "encrypted_index": index, "cited_text": ""});
        let block = json!({"type": "text", "text": SAID, "citations": [citation]});
        let messages = json!([{"role": "user", "content": "x"},
            {"role": "assistant", "content": [block]}, {"role": "user", "content": "y"}]);
        let original = json!({"messages": messages}).as_object().unwrap().clone();
        let body = json!({"messages": [{"role": "user", "content": "x"}]});
        let body = body.as_object().unwrap().clone();
        let call = ChatCall::translated(Format::Messages, "m".to_owned(), body, original).unwrap();
        let facts = Facts { model: "m", context_window: None, completion_max: None, price: None };
        let wire = provider.wire_for("m", Format::Messages).unwrap();
        let sent = wire.request(provider, &call, &facts, 100, false).unwrap();
        let sent: Value = serde_json::from_slice(&sent.body).unwrap();
        sent["messages"][1]["content"][0].clone()
    };
    assert_eq!(cited(""), json!({"type": "text", "text": SAID}));
    assert_eq!(cited("sealed")["citations"][0]["encrypted_index"], "sealed");
}
