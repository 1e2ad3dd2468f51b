//! Requests: what is sent, what is refused by name, and what bounds the cost.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use farebox_core::{CacheWrite, ChatCall, Error, Format, Secret};
use farebox_providers::{Facts, find};
use serde_json::{Value, json};

#[path = "support/chat.rs"]
mod chat;

use chat::{FACTS, outbound, refused, said, send, sent, tool};

const IMAGE: &str = "https://example.com/cat.png";

fn with_image() -> Value {
    let parts = json!([{"type": "image_url", "image_url": {"url": IMAGE}}]);
    json!({"messages": [{"role": "user", "content": parts}]})
}

#[test]
fn thinking_is_sent_back_first_and_with_its_signature() {
    let anthropic = find("anthropic").unwrap();
    let wire = anthropic.wire_for("claude", Format::Chat).unwrap();
    let content = json!([
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "sealed"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
    ]);
    let answer = json!({"id": "m", "model": "claude", "content": content,
        "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 2}});

    let told = wire.decode(anthropic, answer.to_string().as_bytes()).unwrap();

    let message = &told.choices[0]["message"];
    assert_eq!(message["reasoning_content"], "hm");
    let result = json!({"role": "tool", "tool_call_id": "c1", "content": "22"});
    let question = json!({"role": "user", "content": "hi"});
    let second = json!({"messages": [question, message, result], "tools": [tool("f")]});
    assert_eq!(sent("anthropic", &second)["messages"][1]["content"], content);
    // To who does not know it, the message goes without it.
    let plain = sent("mistral", &second);
    assert!(plain["messages"][1].get("reasoning_details").is_none(), "{plain}");
    let kept = sent("openrouter", &second);
    assert_eq!(kept["messages"][1]["reasoning_details"], message["reasoning_details"]);
    // Without a signature it would be refused, so it is left out.
    let unsigned = json!({"role": "assistant", "content": "Hi", "reasoning_content": "hm"});
    let more = json!({"role": "user", "content": "go on"});
    let second = json!({"messages": [question, unsigned, more]});
    let text = json!([{"type": "text", "text": "Hi"}]);
    assert_eq!(sent("anthropic", &second)["messages"][1]["content"], text);
}

#[test]
fn openai_gets_the_callers_fields_and_fareboxs_own() {
    let body = said(&json!({"temperature": 0.5, "store": true, "n": 3, "max_tokens": 7}));

    let outbound = send("openai", &FACTS, &body, true).unwrap();

    let sent: Value = serde_json::from_slice(&outbound.body).unwrap();
    let expected = json!({
        "model": "upstream",
        "messages": [{"role": "user", "content": "hé"}],
        "temperature": 0.5,
        "store": true,
        "n": 3,
        "max_completion_tokens": 100,
        "stream": true,
        "stream_options": {"include_usage": true},
        "service_tier": "default",
    });
    assert_eq!(sent, expected);
    assert_eq!((&*outbound.path, outbound.cap, outbound.choices), ("/chat/completions", 100, 3));
    assert_eq!(outbound.bound.prompt_tokens, outbound.body.len() as u64);
}

#[test]
fn the_cap_rides_in_the_field_that_the_provider_honours() {
    for (provider, field) in [
        ("openai", "max_completion_tokens"),
        ("mistral", "max_tokens"),
        ("deepseek", "max_tokens"),
        ("cerebras", "max_completion_tokens"),
        ("anthropic", "max_tokens"),
    ] {
        let outbound = outbound(provider, &said(&json!({})));
        let sent: Value = serde_json::from_slice(&outbound.body).unwrap();
        assert_eq!(sent[field].as_u64(), Some(outbound.cap), "{provider}");
    }
    let small = Facts { completion_max: Some(60), ..FACTS };
    for provider in ["openai", "anthropic"] {
        let clamped = send(provider, &small, &said(&json!({})), false).unwrap();
        assert_eq!(clamped.cap, 60, "{provider}");
    }
}

#[test]
fn reasoning_outside_the_cap_is_held() {
    let call = said(&json!({}));
    let gemini = |model| Facts { model, ..FACTS };
    let blind = Facts { context_window: None, ..FACTS };

    assert_eq!(send("xai", &FACTS, &call, false).unwrap().cap, 200_000);
    assert!(send("xai", &blind, &call, false).is_err());
    assert_eq!(send("gemini", &gemini("gemini-3-pro"), &call, false).unwrap().cap, 100);
    assert_eq!(send("gemini", &gemini("gemini-4-argon"), &call, false).unwrap().cap, 64_000);
}

#[test]
fn tools_and_schemas_count_twice_and_the_demo_counts_bytes() {
    let tools = json!([tool("weather")]);
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {}}});
    let outbound = outbound("openai", &said(&json!({"tools": tools, "response_format": format})));
    let twice = tools.to_string().len() + format.to_string().len();
    assert_eq!(outbound.bound.prompt_tokens, (outbound.body.len() + twice) as u64);

    let tiny = Facts { context_window: Some(10), ..FACTS };
    let demo = send("demo", &tiny, &said(&json!({})), false).unwrap();
    assert_eq!(demo.bound.prompt_tokens, demo.body.len() as u64);
}

#[test]
fn media_fill_the_window_and_without_one_there_is_no_bound() {
    let blind = Facts { context_window: None, ..FACTS };
    for provider in ["openai", "mistral", "azure", "demo"] {
        let bound = outbound(provider, &with_image()).bound;
        assert_eq!(bound.prompt_tokens, 200_000, "{provider}");
        let error = send(provider, &blind, &with_image(), false).unwrap_err();
        assert!(matches!(&error, Error::UnboundedCall { field, .. } if field == "messages"));
    }
    // A page's text is compressed inside its file.
    let file = json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA"}});
    let read = json!({"messages": [{"role": "user", "content": [file]}]});
    assert_eq!(outbound("anthropic", &read).bound.prompt_tokens, 200_000);
    let audio = json!({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}});
    let heard = json!({"messages": [{"role": "user", "content": [audio]}]});
    assert!(outbound("openai", &heard).bound.audio);
}

#[test]
fn an_image_is_held_at_the_most_that_its_provider_states() {
    for (provider, model, each) in [
        ("anthropic", "claude-opus-5", 4_784),
        ("openai", "gpt-4o-2024-08-06", 1_445),
        ("openai", "gpt-4o-mini", 48_169),
        ("azure", "gpt-5.5", 10_000),
    ] {
        let facts = Facts { model, ..FACTS };
        let outbound = send(provider, &facts, &with_image(), false).unwrap();

        assert_eq!(outbound.bound.prompt_tokens, outbound.body.len() as u64 + each, "{model}");
        assert!(outbound.bound.media);
    }
}

#[test]
fn the_window_bounds_only_where_a_longer_prompt_is_refused_unbilled() {
    let body = said(&json!({"user": "x".repeat(500)}));
    let small = Facts { context_window: Some(300), ..FACTS };
    let bound = |provider| {
        let outbound = send(provider, &small, &body, false).unwrap();
        (outbound.bound.prompt_tokens, outbound.body.len() as u64)
    };

    assert_eq!(bound("openai").0, 300);
    assert_eq!(bound("anthropic").0, 300);
    let (azure, bytes) = bound("azure");
    assert_eq!(azure, bytes);
}

#[test]
fn a_cache_write_that_is_asked_for_is_bounded() {
    let with = |control: Value| {
        let part = json!({"type": "text", "text": "x", "cache_control": control});
        json!({"messages": [{"role": "user", "content": [part]}]})
    };
    for provider in ["anthropic", "openrouter"] {
        for (control, write) in [
            (json!({"type": "ephemeral"}), CacheWrite::FiveMinutes),
            (json!({"type": "ephemeral", "ttl": "5m"}), CacheWrite::FiveMinutes),
            (json!({"type": "ephemeral", "ttl": "1h"}), CacheWrite::OneHour),
            (Value::Null, CacheWrite::None),
        ] {
            let outbound = outbound(provider, &with(control.clone()));
            assert_eq!(outbound.bound.cache_write, write, "{provider} {control}");
        }
        let odd = with(json!({"type": "ephemeral", "ttl": "12h"}));
        assert_eq!(refused(provider, &odd), "messages[0].content[0].cache_control");
    }
}

#[test]
fn models_without_a_bound_are_refused() {
    let facts = Facts { model: "groq/compound", ..FACTS };
    let error = send("groq", &facts, &said(&json!({})), false).unwrap_err();
    assert!(matches!(error, Error::UnboundedCall { field, .. } if field == "model"));
}

#[test]
fn a_conversation_becomes_anthropics() {
    let body = json!({
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "user", "content": [
                {"type": "text", "text": "", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": IMAGE}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function",
                 "function": {"name": "weather", "arguments": "{\"city\": \"Bern\"}"}},
                {"id": "b", "type": "function",
                 "function": {"name": "time", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "a", "content": "sunny"},
            {"role": "tool", "tool_call_id": "b", "name": "time", "content": [
                {"type": "text", "text": "noon"}]},
            {"role": "developer", "content": "Use Celsius."},
            {"role": "user", "content": "Well?"}],
        "stop": "END", "top_k": 5, "user": "u1",
        "tools": [tool("weather"), {"type": "function", "function": {"name": "time"}}],
        "tool_choice": "required", "parallel_tool_calls": false,
        "response_format": {"type": "json_schema",
            "json_schema": {"name": "x", "schema": {"type": "object"}}}
    });

    let sent = sent("anthropic", &body);

    let text = |text: &str| json!({"type": "text", "text": text});
    let weather = tool("weather")["function"]["parameters"].clone();
    let expected = json!({
        "model": "upstream",
        "max_tokens": 100,
        "system": [text("Be brief."), text("Use Celsius.")],
        "messages": [
            {"role": "user", "content": [
                text("Weather?"),
                {"type": "image", "source":
                    {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "image", "source": {"type": "url", "url": IMAGE}}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Bern"}},
                {"type": "tool_use", "id": "b", "name": "time", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [text("sunny")]},
                {"type": "tool_result", "tool_use_id": "b", "content": [text("noon")]},
                text("Well?")]}],
        "stop_sequences": ["END"],
        "top_k": 5,
        "output_config": {"format": {"type": "json_schema",
            "schema": {"type": "object", "additionalProperties": false}}},
        "tools": [
            {"name": "weather", "input_schema": weather},
            {"name": "time", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "metadata": {"user_id": "u1"},
        "service_tier": "standard_only",
    });
    assert_eq!(sent, expected);
}

/// What Claude is told of thinking.
fn thought(model: &str, rest: &Value, cap: u64) -> Result<Value, String> {
    let mut body = said(rest);
    body["model"] = json!("as-asked");
    let call = ChatCall::from_openai(body.to_string().as_bytes()).unwrap();
    let provider = find("anthropic").unwrap();
    let facts = Facts { model, ..FACTS };
    let wire = provider.wire_for(model, Format::Chat).unwrap();
    let outbound = wire.request(provider, &call, &facts, cap, false);
    let outbound = outbound.map_err(|error| error.field().unwrap_or_default().to_owned())?;
    assert_eq!(outbound.cap, cap, "all that is thought is inside the cap");
    let sent: Value = serde_json::from_slice(&outbound.body).unwrap();
    Ok(json!([sent["thinking"], sent["output_config"]["effort"]]))
}

#[test]
fn claude_thinks_as_hard_as_is_asked_within_its_cap() {
    let enabled = |tokens: u64| json!([{"type": "enabled", "budget_tokens": tokens}, null]);
    let adaptive = |effort: &str| json!([{"type": "adaptive", "display": "summarized"}, effort]);
    let disabled = json!([{"type": "disabled"}, null]);
    let nothing = json!([null, null]);
    for (model, effort, cap, expected) in [
        ("claude-sonnet-4-5", "high", 10_000, enabled(8_000)),
        ("claude-sonnet-4-5", "low", 2_000, enabled(1_024)),
        ("claude-sonnet-4-5", "max", 1_025, enabled(1_024)),
        ("claude-3-7-sonnet-latest", "none", 100, disabled.clone()),
        ("claude-opus-4-6", "max", 100, adaptive("max")),
        ("claude-sonnet-5", "xhigh", 100, adaptive("xhigh")),
        ("claude-opus-4-8", "none", 100, disabled),
        ("claude-3-5-haiku-latest", "none", 100, nothing),
    ] {
        let told = thought(model, &json!({"reasoning_effort": effort}), cap);
        assert_eq!(told, Ok(expected), "{model} {effort}");
    }
    for (model, effort, cap) in [
        ("claude-sonnet-4-5", "high", 1_024),
        ("claude-3-5-haiku-latest", "low", 9_000),
        ("claude-opus-4-6", "xhigh", 9_000),
        ("claude-opus-4-6", "minimal", 9_000),
        ("claude-fable-5-1", "none", 9_000),
        ("claude-opus-5-5", "none", 9_000),
    ] {
        let told = thought(model, &json!({"reasoning_effort": effort}), cap);
        assert_eq!(told, Err("reasoning_effort".to_owned()), "{model} {effort}");
    }
}

#[test]
fn what_does_not_go_with_thinking_is_refused_by_name() {
    for (mut rest, field) in [
        (json!({"temperature": 0.5}), "temperature"),
        (json!({"top_p": 0.5}), "top_p"),
        (json!({"top_k": 5}), "top_k"),
        (json!({"tools": [tool("f")], "tool_choice": "required"}), "reasoning_effort"),
    ] {
        for model in ["claude-sonnet-4-5", "claude-opus-4-6"] {
            assert!(thought(model, &rest, 9_000).is_ok(), "{rest}");
            rest["reasoning_effort"] = json!("none");
            assert!(thought(model, &rest, 9_000).is_ok(), "{rest}");
            rest["reasoning_effort"] = json!("low");
            assert_eq!(thought(model, &rest, 9_000), Err(field.to_owned()), "{rest}");
            rest.as_object_mut().unwrap().remove("reasoning_effort");
        }
    }
    let plain = json!({"reasoning_effort": "low", "temperature": 1, "top_p": 0.95, "top_k": -1});
    assert!(thought("claude-sonnet-4-5", &plain, 9_000).is_ok());
}

#[test]
fn a_turn_that_began_without_a_thought_goes_on_without_one() {
    let thought_of = |details: Value, next: Value| {
        let call = json!({"role": "assistant", "reasoning_details": details, "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
        let result = json!({"role": "tool", "tool_call_id": "a", "content": "1"});
        let user = json!({"role": "user", "content": "hi"});
        let mut messages = vec![user, call, result];
        messages.extend(next.as_array().unwrap().clone());
        let rest = json!({"messages": messages, "tools": [tool("f")], "reasoning_effort": "low"});
        let told = |model| thought(model, &rest, 9_000).unwrap()[0]["type"].clone();
        (told("claude-sonnet-4-5"), told("claude-opus-4-6"))
    };
    let signed = json!([{"type": "reasoning.text", "text": "hm", "signature": "s",
        "format": "anthropic-claude-v1"}]);
    let (enabled, adaptive) = (json!("enabled"), json!("adaptive"));

    assert_eq!(thought_of(signed, json!([])), (enabled.clone(), adaptive.clone()));
    assert_eq!(thought_of(Value::Null, json!([])), (Value::Null, adaptive.clone()));
    let next = json!([{"role": "user", "content": "and?"}]);
    assert_eq!(thought_of(Value::Null, next), (enabled, adaptive));
}

#[test]
fn what_anthropic_cannot_express_is_refused_by_name() {
    for (rest, field) in [
        (json!({"temperature": 1.5}), "temperature"),
        (json!({"n": 2}), "n"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"seed": 1}), "seed"),
        (json!({"logit_bias": {"1": 2}}), "logit_bias"),
        (json!({"presence_penalty": 0.5}), "presence_penalty"),
        (json!({"frequency_penalty": -1}), "frequency_penalty"),
        (json!({"store": true}), "store"),
        (json!({"verbosity": "low"}), "verbosity"),
        (json!({"reasoning_effort": "minimal"}), "reasoning_effort"),
        (json!({"response_format": {"type": "json_object"}}), "response_format.type"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"user": "a", "safety_identifier": "b"}), "safety_identifier"),
    ] {
        assert_eq!(refused("anthropic", &said(&rest)), field);
    }
    let neutral = json!({"n": 1, "logprobs": false, "presence_penalty": 0, "store": false,
        "metadata": {"team": "a"}, "top_k": -1, "response_format": {"type": "text"},
        "tool_choice": "auto"});
    assert_eq!(sent("anthropic", &said(&neutral)), sent("anthropic", &said(&json!({}))));
}

#[test]
fn messages_that_anthropic_cannot_take_are_refused_by_place() {
    let call = |arguments: &str| {
        json!({"role": "assistant", "tool_calls": [{"id": "a", "type": "function",
            "function": {"name": "f", "arguments": arguments}}]})
    };
    let part = |part: Value| json!({"role": "user", "content": [part]});
    for (message, field) in [
        (call("{"), "messages[0].tool_calls[0].function.arguments"),
        (call("[1]"), "messages[0].tool_calls[0].function.arguments"),
        (part(json!({"type": "file", "file": {"file_id": "f"}})), "messages[0].content[0].file"),
        (
            part(json!({"type": "image_url", "image_url": {"url": "ftp://x"}})),
            "messages[0].content[0].image_url.url",
        ),
        (
            part(json!({"type": "input_audio", "input_audio": {"data": "A"}})),
            "messages[0].content[0].type",
        ),
        (json!({"role": "user", "content": "x", "name": "ann"}), "messages[0].name"),
        (json!({"role": "user", "content": ""}), "messages[0].content"),
        (json!({"role": "system", "content": "x"}), "messages"),
    ] {
        assert_eq!(refused("anthropic", &json!({"messages": [message]})), field);
    }
}

#[test]
fn anthropics_bound_covers_what_it_adds() {
    let plain = outbound("anthropic", &said(&json!({})));
    let tools = outbound("anthropic", &said(&json!({"tools": [tool("f")]})));

    assert_eq!(plain.bound.prompt_tokens, plain.body.len() as u64);
    assert_eq!(tools.bound.prompt_tokens, tools.body.len() as u64 + 1_024);
    assert!(plain.bound.us_geography);
    let demo = send("demo", &Facts { model: "claude", ..FACTS }, &said(&json!({})), false).unwrap();
    assert_eq!((&*demo.path, demo.bound.us_geography), ("/messages", false));
}

#[test]
fn a_credential_rides_in_the_providers_header() {
    let secret = Secret::new("s3cret".to_owned());
    let headers =
        |provider: &str| find(provider).unwrap().wire_for("m", Format::Chat).unwrap().auth(&secret);

    assert_eq!(headers("openai"), [("authorization", "Bearer s3cret".to_owned())]);
    assert_eq!(headers("azure"), [("api-key", "s3cret".to_owned())]);
    let version = ("anthropic-version", "2023-06-01".to_owned());
    assert_eq!(headers("anthropic"), [("x-api-key", "s3cret".to_owned()), version]);
}
