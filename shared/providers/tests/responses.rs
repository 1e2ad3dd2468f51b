//! The Responses API: what is sent, what is refused by name, what bounds it, and whole answers.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use farebox_core::{ChatCall, Error, Format, Money};
use farebox_providers::responses::CARRIED_REASONING;
use farebox_providers::{Billing, DecodeError, Facts, Outbound, find};
use serde_json::{Map, Value, json};

const FACTS: Facts<'_> = Facts {
    model: "upstream",
    context_window: Some(200_000),
    completion_max: Some(64_000),
    price: None,
};

/// What a caller of the format asks for, beside its text.
fn asked(rest: &Value) -> Map<String, Value> {
    let mut body = json!({"input": "hé"});
    for (field, value) in rest.as_object().unwrap() {
        body[field] = value.clone();
    }
    body.as_object().unwrap().clone()
}

fn send(provider: &str, rest: &Value) -> Result<Outbound, Error> {
    let hub = json!({"messages": [{"role": "user", "content": "hé"}]});
    let hub = hub.as_object().unwrap().clone();
    let call = ChatCall::translated(Format::Responses, "m".to_owned(), hub, asked(rest))?;
    let provider = find(provider).unwrap();
    let wire = provider.wire_for(FACTS.model, Format::Responses)?;
    wire.request(provider, &call, &FACTS, 100, true)
}

fn bound(rest: &Value) -> (u64, u64) {
    let outbound = send("openai", rest).unwrap();
    (outbound.bound.prompt_tokens, outbound.body.len() as u64)
}

fn refused(rest: &Value) -> (String, bool) {
    match send("openai", rest) {
        Err(error) => {
            let unbounded = matches!(error, Error::UnboundedCall { .. });
            (error.field().unwrap_or_default().to_owned(), unbounded)
        }
        Ok(outbound) => (format!("sent: {:?}", outbound.body), false),
    }
}

/// A chat call to a model that has only this format.
fn chat(body: &Value) -> Result<Value, Error> {
    let mut body = body.clone();
    body["model"] = json!("as-asked");
    let call = ChatCall::from_openai(body.to_string().as_bytes())?;
    let (provider, facts) = (find("openai").unwrap(), Facts { model: "gpt-5-codex", ..FACTS });
    let wire = provider.wire_for(facts.model, Format::Chat)?;
    let outbound = wire.request(provider, &call, &facts, 100, false)?;
    Ok(serde_json::from_slice(&outbound.body).unwrap())
}

#[test]
fn a_body_is_sent_as_it_is_but_for_what_farebox_decides() {
    let rest = json!({
        "model": "as-asked", "max_output_tokens": 7, "stream": false, "store": true,
        "service_tier": "priority", "text": {"format": {"type": "text"}, "odd": 1},
        "include": ["reasoning.encrypted_content"], "client_metadata": {"a": "b"},
    });

    for (provider, tier) in [("openai", true), ("azure", true), ("xai", false)] {
        let outbound = send(provider, &rest).unwrap();
        let mut expected = json!({
            "input": "hé", "text": {"format": {"type": "text"}, "odd": 1},
            "include": ["reasoning.encrypted_content"], "client_metadata": {"a": "b"},
            "model": "upstream", "max_output_tokens": 100, "store": false, "stream": true,
        });
        if tier {
            expected["service_tier"] = json!("default");
        }
        assert_eq!(serde_json::from_slice::<Value>(&outbound.body).unwrap(), expected);
        assert_eq!((&*outbound.path, outbound.cap), ("/responses", 100));
    }
}

#[test]
fn reasoning_that_only_another_provider_can_open_is_left_out() {
    let own = json!({"type": "reasoning", "summary": [], "encrypted_content": "gAAA"});
    let carried = json!({"type": "reasoning", "summary": [],
        "encrypted_content": format!("{CARRIED_REASONING}[]")});
    let said = json!({"role": "user", "content": "x"});
    let sent = |input: &Value| {
        let outbound = send("openai", &json!({"input": input})).unwrap();
        serde_json::from_slice::<Value>(&outbound.body).unwrap()["input"].clone()
    };

    assert_eq!(sent(&json!([said, own, carried])), json!([said, own]));
    assert_eq!(sent(&json!([said, own])), json!([said, own]));
}

#[test]
fn bytes_bound_the_prompt_and_what_they_do_not_bound_fills_the_window() {
    let tools = json!([{"type": "custom", "name": "f", "description": "d"}]);
    let (tokens, bytes) = bound(&json!({}));
    assert_eq!(tokens, bytes);
    let (tokens, bytes) = bound(&json!({"tools": tools}));
    assert_eq!(tokens, bytes + tools.to_string().len() as u64);
    let (tokens, bytes) = bound(&json!({"tools": [{"type": "apply_patch"}]}));
    assert_eq!(tokens, bytes + r#"[{"type":"apply_patch"}]"#.len() as u64 + 4_096);
    for part in [
        json!({"type": "input_image", "image_url": "https://x/y.png"}),
        json!({"type": "input_file", "file_id": "f"}),
        json!({"type": "odd"}),
    ] {
        let said = json!({"role": "user", "content": [part]});
        let shown = json!({"type": "function_call_output", "call_id": "c", "output": [part]});
        for item in [said, shown] {
            let outbound = send("openai", &json!({"input": [item]})).unwrap();
            assert_eq!(outbound.bound.prompt_tokens, 200_000, "{item}");
            assert!(outbound.bound.media);
        }
    }
    let heard = json!([{"role": "user", "content": [{"type": "input_audio"}]}]);
    assert!(send("openai", &json!({"input": heard})).unwrap().bound.audio);
}

#[test]
fn what_may_cost_more_than_is_held_is_refused_by_name() {
    for (rest, field, unbounded) in [
        (json!({"previous_response_id": "r"}), "previous_response_id", false),
        (json!({"conversation": "c"}), "conversation", false),
        (json!({"prompt": {"id": "p"}}), "prompt", false),
        (json!({"odd": 0}), "odd", false),
        (json!({"background": true}), "background", true),
        (json!({"context_management": []}), "context_management", true),
        (json!({"reasoning": {"mode": "pro"}}), "reasoning.mode", false),
        (json!({"prompt_cache_retention": "24h"}), "prompt_cache_retention", false),
        (json!({"prompt_cache_options": {"ttl": "12h"}}), "prompt_cache_options.ttl", false),
        (json!({"tools": [{"type": "web_search_preview"}]}), "tools[0].type", true),
        (json!({"tools": [{"type": "code_interpreter"}]}), "tools[0].container", true),
        (
            json!({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}),
            "tools[0].container",
            true,
        ),
        (
            json!({"tools": [{"type": "code_interpreter",
                "container": {"type": "auto", "memory_limit": "4g"}}]}),
            "tools[0].container",
            true,
        ),
        (json!({"tools": [{"type": "image_generation"}]}), "tools[0].type", true),
        (json!({"tools": [{"type": "mcp"}]}), "tools[0].type", true),
        (json!({"max_tool_calls": -1}), "max_tool_calls", false),
        (
            json!({"tools": [{"type": "namespace", "tools": [{"type": "mcp"}]}]}),
            "tools[0].tools[0].type",
            true,
        ),
        (
            json!({"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}),
            "tools[0].environment",
            true,
        ),
        (json!({"input": [{"type": "item_reference", "id": "i"}]}), "input[0].type", true),
        (json!({"input": [{"type": "compaction"}]}), "input[0].type", true),
    ] {
        assert_eq!(refused(&rest), (field.to_owned(), unbounded), "{rest}");
    }
    for rest in [
        json!({"background": false, "previous_response_id": null, "truncation": "auto"}),
        json!({"reasoning": {"effort": "high", "mode": "standard"}}),
        json!({"prompt_cache_options": {"mode": "explicit"}}),
        json!({"tools": [{"type": "namespace", "tools": [{"type": "function"}]}]}),
        json!({"tools": [{"type": "shell", "environment": {"type": "local"}}]}),
    ] {
        assert!(send("openai", &rest).is_ok(), "{rest}");
    }
}

#[test]
fn searches_are_held_by_their_fees_and_turns() {
    let search = json!([{"type": "web_search", "external_web_access": false}]);
    let held = |rest: &Value| {
        let outbound = send("openai", rest).unwrap();
        let body: Value = serde_json::from_slice(&outbound.body).unwrap();
        assert_eq!(body["max_tool_calls"], outbound.bound.web_searches, "it is sent as it is held");
        assert!(outbound.bound.media, "no count foresees the turns");
        (outbound.bound.prompt_tokens, outbound.bound.web_searches)
    };
    assert_eq!(held(&json!({"tools": search, "max_tool_calls": 1})), (400_000, 1));
    assert_eq!(held(&json!({"tools": search})), (800_000, 3));
    let nested = json!([{"type": "namespace", "tools": search}]);
    assert_eq!(held(&json!({"tools": nested})), (800_000, 3));

    // What was found before fills the window, as a screen does that a caller shows.
    for rest in [
        json!({"input": [{"type": "web_search_call", "id": "ws_1", "status": "completed"}]}),
        json!({"tools": [{"type": "computer_use_preview", "display_width": 1}]}),
        json!({"input": [{"type": "computer_call_output", "call_id": "c",
            "output": {"type": "computer_screenshot", "image_url": "data:x"}}]}),
    ] {
        let bound = send("openai", &rest).unwrap().bound;
        assert_eq!((bound.prompt_tokens, bound.web_searches), (200_000, 0), "{rest}");
    }
    let error = send("xai", &json!({"tools": search})).unwrap_err();
    assert_eq!(error.field(), Some("tools[0].type"));
    let mini = Facts { model: "gpt-4o-mini-2024-07-18", ..FACTS };
    let call = ChatCall::translated(
        Format::Responses,
        "m".to_owned(),
        json!({"messages": [{"role": "user", "content": "x"}]}).as_object().unwrap().clone(),
        asked(&json!({"tools": search})),
    );
    let openai = find("openai").unwrap();
    let wire = openai.wire_for(mini.model, Format::Responses).unwrap();
    let error = wire.request(openai, &call.unwrap(), &mini, 100, true).unwrap_err();
    assert_eq!(error.field(), Some("tools[0].type"), "billed by a block that nobody counts");
}

#[test]
fn other_tools_of_the_provider_are_held_by_their_fees() {
    let files = json!({"type": "file_search", "vector_store_ids": ["vs_1"]});
    let code = json!({"type": "code_interpreter", "container": {"type": "auto"}});
    let search = json!({"type": "web_search"});
    for (tools, calls, fee, searches) in [
        (json!([files]), 4, "0.01", 0),
        (json!([code]), 4, "0.12", 0),
        (json!([files, code]), 4, "0.12", 0),
        // A search is held at its own price, and may be any of the calls.
        (json!([search, files]), 2, "0.005", 2),
        (json!([search]), 2, "0", 2),
        (json!([code]), 0, "0", 0),
    ] {
        let rest = json!({"tools": tools, "max_tool_calls": calls});
        let bound = send("openai", &rest).unwrap().bound;
        let fee = Money::parse_usd(fee).unwrap();
        assert_eq!((bound.fee, bound.web_searches, bound.media), (fee, searches, true), "{rest}");
        assert_eq!(bound.prompt_tokens, 200_000 * (calls + 1), "{rest}");
    }
    let unsaid = send("openai", &json!({"tools": [code]})).unwrap();
    let body: Value = serde_json::from_slice(&unsaid.body).unwrap();
    assert_eq!(body["max_tool_calls"], 3);
    let beyond = json!({"tools": [code], "max_tool_calls": u64::MAX});
    assert_eq!(refused(&beyond).0, "max_tool_calls");
    for provider in ["azure", "xai"] {
        for tool in [&files, &code] {
            let error = send(provider, &json!({"tools": [tool]})).unwrap_err();
            assert_eq!(error.field(), Some("tools[0].type"), "{provider}: no page says its fee");
        }
    }
    for kind in ["file_search_call", "code_interpreter_call"] {
        let bound = send("openai", &json!({"input": [{"type": kind, "id": "i"}]})).unwrap().bound;
        assert_eq!(bound.prompt_tokens, 200_000, "what it found or printed fills the window");
    }
}

#[test]
fn xais_fee_for_a_violation_is_held_and_bounds_its_403() {
    let fee = Money::parse_usd("0.05").unwrap();
    let body = br#"{"code":"forbidden","error":"Content violates usage guidelines."}"#;
    for (provider, format, held) in [
        ("xai", Format::Responses, fee),
        ("xai", Format::Chat, Money::ZERO),
        ("openai", Format::Responses, Money::ZERO),
    ] {
        let provider = find(provider).unwrap();
        let wire = provider.wire_for("grok-4", format).unwrap();
        assert_eq!(wire.refusal_fee(), held, "{} {format:?}", provider.name);
        let billing = wire.failure(provider, 403, body).billing;
        let expected = match (provider.name, format) {
            ("xai", Format::Responses) => Billing::Fee(fee),
            ("xai", _) => Billing::Unknown,
            _ => Billing::UnbilledInferred,
        };
        assert_eq!(billing, expected, "{} {format:?}", provider.name);
    }
}

#[test]
fn a_chat_call_is_told_in_the_words_of_responses() {
    let function = json!({"name": "f", "parameters": {"type": "object"}});
    let schema = json!({"name": "s", "schema": {"type": "object"}, "strict": true});
    let sealed = json!({"type": "reasoning.encrypted", "data": "gAAA", "index": 1,
        "id": "rs_1", "format": "openai-responses-v1"});
    let told = json!({"type": "reasoning.summary", "summary": "hm", "index": 0,
        "format": "openai-responses-v1"});
    let foreign = json!({"type": "reasoning.text", "text": "x", "signature": "s",
        "format": "anthropic-claude-v1"});
    let call = json!({"id": "c1", "type": "function",
        "function": {"name": "f", "arguments": "{}"}});
    let body = json!({
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
                {"type": "file", "file": {"file_data": "data:y", "filename": "a.pdf"}}]},
            {"role": "assistant", "content": "I call.", "tool_calls": [call],
             "reasoning_details": [told, sealed, foreign]},
            {"role": "tool", "tool_call_id": "c1", "content": "4"},
        ],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": schema},
        "reasoning_effort": "low", "verbosity": "low", "n": 1, "logprobs": false,
    });

    let expected = json!({
        "input": [
            {"type": "message", "role": "system", "content": "Be brief."},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": "data:x", "detail": "low"},
                {"type": "input_file", "file_data": "data:y", "filename": "a.pdf"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}],
             "encrypted_content": "gAAA", "id": "rs_1"},
            {"type": "message", "role": "assistant", "content": "I call."},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "4"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"},
            "strict": false}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"},
            "strict": true}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "model": "gpt-5-codex", "max_output_tokens": 100, "store": false,
        "service_tier": "default",
    });
    assert_eq!(chat(&body).unwrap(), expected);
}

#[test]
fn what_responses_cannot_be_told_is_refused_by_name() {
    for (field, value) in [
        ("n", json!(2)),
        ("stop", json!("x")),
        ("seed", json!(1)),
        ("logprobs", json!(true)),
        ("presence_penalty", json!(1)),
    ] {
        let mut body = json!({"messages": [{"role": "user", "content": "x"}]});
        body[field] = value;
        assert_eq!(chat(&body).unwrap_err().field(), Some(field));
    }
    let audio = json!([{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]);
    let error = chat(&json!({"messages": [{"role": "user", "content": audio}]})).unwrap_err();
    assert_eq!(error.field(), Some("messages[0].content[0].type"));
}

#[test]
fn a_whole_response_takes_the_common_shape() {
    let provider = find("openai").unwrap();
    let wire = provider.wire_for("m", Format::Responses).unwrap();
    let body = json!({"id": "resp_1", "object": "response", "model": "m-1", "status": "completed",
        "service_tier": "default",
        "output": [
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}],
             "encrypted_content": "gAAA"},
            {"type": "message", "content": [{"type": "output_text", "text": "Let "},
                {"type": "output_text", "text": "me"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x\"y"}],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}});

    let answer = wire.decode(provider, body.to_string().as_bytes()).unwrap();

    assert_eq!((answer.id.as_str(), answer.model.as_str()), ("resp_1", "m-1"));
    let details = json!([
        {"type": "reasoning.summary", "summary": "hm", "id": "rs",
         "format": "openai-responses-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs",
         "format": "openai-responses-v1", "index": 1}]);
    let expected = json!([{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": "Let me", "reasoning_content": "hm",
        "reasoning_details": details,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "c2", "type": "function",
             "function": {"name": "g", "arguments": "{\"input\":\"x\\\"y\"}"}}]}}]);
    assert_eq!(Value::from(answer.choices), expected);
    assert_eq!(answer.reported.unwrap().usage.total_tokens(), 7);
}

#[test]
fn every_status_has_its_end() {
    let provider = find("openai").unwrap();
    let wire = provider.wire_for("m", Format::Responses).unwrap();
    let decode = |status: &str, usage: Value, error: Value, why: Value| {
        let body = json!({"status": status, "output": [], "usage": usage, "error": error,
            "incomplete_details": why});
        wire.decode(provider, body.to_string().as_bytes())
    };
    let usage = || json!({"input_tokens": 3, "output_tokens": 4});
    let gone = || json!({"code": "server_error", "message": "gone"});

    for (why, finish) in [
        (json!({"reason": "max_output_tokens"}), "length"),
        (json!({"reason": "content_filter"}), "content_filter"),
    ] {
        let answer = decode("incomplete", usage(), Value::Null, why).unwrap();
        assert_eq!(answer.choices[0]["finish_reason"], finish);
        assert!(answer.reported.is_some());
    }
    match decode("failed", usage(), gone(), Value::Null) {
        Err(DecodeError::Billed { message, reported }) => {
            assert_eq!((message.as_str(), reported.usage.total_tokens()), ("gone", 7));
        }
        other => panic!("{other:?}"),
    }
    let failed = decode("failed", Value::Null, gone(), Value::Null).unwrap_err();
    assert_eq!(failed, DecodeError::Reported { message: "gone".to_owned() });
    for status in ["in_progress", "queued", ""] {
        let odd = decode(status, usage(), Value::Null, Value::Null);
        assert!(matches!(odd, Err(DecodeError::Malformed { .. })), "{status}: {odd:?}");
    }
}
