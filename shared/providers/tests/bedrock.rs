//! Bedrock: what is sent to Converse, what is refused by name, and which failures are unbilled.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use farebox_core::{CacheWrite, ChatCall, Error, Format};
use farebox_providers::{Billing, Facts, Outbound, find};
use serde_json::{Value, json};

const CLAUDE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const OPUS: &str = "us.anthropic.claude-opus-4-6-v1";
const NOVA: &str = "amazon.nova-2-lite-v1:0";

fn send(model: &str, body: &Value, stream: bool) -> Result<Outbound, Error> {
    let mut body = body.clone();
    body["model"] = json!("as-asked");
    let call = ChatCall::from_openai(body.to_string().as_bytes())?;
    let facts =
        Facts { model, context_window: Some(200_000), completion_max: Some(64_000), price: None };
    let provider = find("bedrock").unwrap();
    provider.wire_for(model, Format::Chat)?.request(provider, &call, &facts, 100, stream)
}

fn sent(model: &str, rest: &Value) -> Value {
    serde_json::from_slice(&send(model, &said(rest), false).unwrap().body).unwrap()
}

fn refused(model: &str, rest: &Value) -> String {
    match send(model, &said(rest), false) {
        Err(error) => error.field().unwrap_or_default().to_owned(),
        Ok(outbound) => format!("sent: {:?}", outbound.body),
    }
}

fn said(rest: &Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    for (field, value) in rest.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d"}})
}

#[test]
fn a_call_is_put_into_converses_words_and_its_model_into_the_path() {
    let rest = json!({"temperature": 0.5, "top_p": 0.9, "stop": "x", "user": "u"});

    let plain = send(CLAUDE, &said(&rest), false).unwrap();
    let stream = send(CLAUDE, &said(&rest), true).unwrap();

    let path = "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse";
    assert_eq!(plain.path, path);
    assert_eq!(stream.path, format!("{path}-stream"));
    assert_eq!((plain.cap, plain.choices), (100, 1));
    let body: Value = serde_json::from_slice(&plain.body).unwrap();
    let expected = json!({
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig":
            {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]},
    });
    assert_eq!(body, expected);
    assert_eq!(plain.bound.prompt_tokens, u64::try_from(plain.body.len()).unwrap());
}

#[test]
fn turns_tools_results_thinking_and_media_are_translated() {
    let thought = json!({"type": "reasoning.text", "text": "hm", "signature": "s",
        "format": "anthropic-claude-v1"});
    let sealed = json!({"type": "reasoning.encrypted", "data": "b64",
        "format": "anthropic-claude-v1"});
    let foreign = json!({"type": "reasoning.text", "text": "no", "signature": "f",
        "format": "google-gemini-v1"});
    let messages = json!([
        {"role": "system", "content": [{"type": "text", "text": "sys",
            "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "file", "file":
                {"file_data": "data:application/pdf;base64,BBBB", "filename": "my file_1.pdf"}},
        ]},
        {"role": "assistant", "content": "calling", "reasoning_details": [thought, sealed, foreign],
            "tool_calls": [{"id": "c1", "type": "function",
                "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "bad", "is_error": true},
        {"role": "user", "content": "go on"},
    ]);
    let rest = json!({"messages": messages, "tools": [tool("f")], "tool_choice": "required"});

    let body = sent(CLAUDE, &rest);

    let cached = json!([{"text": "sys"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]);
    assert_eq!(body["system"], cached);
    let expected = json!([
        {"role": "user", "content": [
            {"text": "look"},
            {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
            {"document": {"format": "pdf", "name": "my-file-1", "source": {"bytes": "BBBB"}}},
        ]},
        {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
            {"reasoningContent": {"redactedContent": "b64"}},
            {"text": "calling"},
            {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}},
        ]},
        {"role": "user", "content": [
            {"toolResult": {"toolUseId": "c1", "content": [{"text": "bad"}], "status": "error"}},
            {"text": "go on"},
        ]},
    ]);
    assert_eq!(body["messages"], expected);
    let specification = json!({"name": "f", "description": "d",
        "inputSchema": {"json": {"type": "object", "properties": {}}}});
    assert_eq!(
        body["toolConfig"],
        json!({"tools": [{"toolSpec": specification}], "toolChoice": {"any": {}}})
    );
    let bound = send(CLAUDE, &said(&rest), false).unwrap().bound;
    assert_eq!((bound.prompt_tokens, bound.media), (200_000, true));
    assert_eq!(bound.cache_write, CacheWrite::OneHour);
}

#[test]
fn each_family_has_its_own_fields() {
    for (model, rest, pointer, expected) in [
        (CLAUDE, json!({"top_k": 5}), "/additionalModelRequestFields", json!({"top_k": 5})),
        (
            NOVA,
            json!({"top_k": 5}),
            "/additionalModelRequestFields",
            json!({"inferenceConfig": {"topK": 5}}),
        ),
        (
            NOVA,
            json!({"reasoning_effort": "low"}),
            "/additionalModelRequestFields/reasoningConfig",
            json!({"type": "enabled", "maxReasoningEffort": "low"}),
        ),
        (
            OPUS,
            json!({"reasoning_effort": "high"}),
            "/additionalModelRequestFields/output_config",
            json!({"effort": "high"}),
        ),
        (
            OPUS,
            json!({"reasoning_effort": "high"}),
            "/additionalModelRequestFields/thinking",
            json!({"type": "adaptive", "display": "summarized"}),
        ),
        (
            CLAUDE,
            json!({"response_format": {"type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}}}}),
            "/outputConfig/textFormat/structure/jsonSchema",
            json!({"schema": "{\"type\":\"object\",\"additionalProperties\":false}", "name": "n"}),
        ),
    ] {
        assert_eq!(sent(model, &rest).pointer(pointer), Some(&expected), "{rest}");
    }
    assert_eq!(
        sent(CLAUDE, &json!({"tools": [tool("f")], "tool_choice": "none"})),
        sent(CLAUDE, &json!({}))
    );
}

#[test]
fn what_converse_cannot_say_is_refused_by_name() {
    let image = |url: &str| {
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        json!({"messages": [{"role": "user", "content": [part]}]})
    };
    for (model, rest, field) in [
        (CLAUDE, json!({"n": 2}), "n"),
        (CLAUDE, json!({"seed": 1}), "seed"),
        (CLAUDE, json!({"logprobs": true}), "logprobs"),
        (CLAUDE, json!({"parallel_tool_calls": false}), "parallel_tool_calls"),
        (CLAUDE, json!({"response_format": {"type": "json_object"}}), "response_format.type"),
        (OPUS, json!({"reasoning_effort": "minimal"}), "reasoning_effort"),
        // Its cap leaves no room for a budget.
        (CLAUDE, json!({"reasoning_effort": "low"}), "reasoning_effort"),
        (NOVA, json!({"reasoning_effort": "high"}), "reasoning_effort"),
        ("meta.llama", json!({"reasoning_effort": "low"}), "reasoning_effort"),
        ("meta.llama", json!({"top_k": 3}), "top_k"),
        (CLAUDE, image("https://example.com/a.png"), "messages[0].content[0].image_url.url"),
        (CLAUDE, image("data:image/tiff;base64,AA"), "messages[0].content[0].image_url.url"),
        (CLAUDE, json!({"tool_choice": "required"}), "tool_choice"),
    ] {
        assert_eq!(refused(model, &rest), field, "{model} {rest}");
    }
}

#[test]
fn only_what_is_refused_before_a_model_runs_is_unbilled() {
    let bedrock = find("bedrock").unwrap();
    let wire = bedrock.wire_for(CLAUDE, Format::Chat).unwrap();
    let billing = |status: u16, body: &str| wire.failure(bedrock, status, body.as_bytes()).billing;
    for status in [400, 401, 403, 404, 429] {
        assert_eq!(billing(status, r#"{"message":"m"}"#), Billing::UnbilledInferred, "{status}");
        assert_eq!(billing(status, r#"{"Message":"m"}"#), Billing::UnbilledInferred, "{status}");
        assert_eq!(billing(status, "<html>"), Billing::Unknown, "{status}");
    }
    for status in [408, 424, 500, 502, 503, 504] {
        assert_eq!(billing(status, r#"{"message":"m"}"#), Billing::Unknown, "{status}");
    }
}
