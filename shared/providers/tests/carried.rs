//! What a request carries to a provider of its own format, and what of it is refused by its name.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use farebox_core::{ChatCall, Format};
use farebox_providers::{Facts, find};
use serde_json::{Map, Value, json};

#[path = "support/chat.rs"]
mod chat;

use chat::{FACTS, outbound, refused, said, send, sent, tool};

#[test]
fn a_field_of_the_providers_own_passes_where_its_page_says_that_it_costs_nothing() {
    for (provider, field) in [
        ("mistral", "random_seed"),
        ("groq", "reasoning_format"),
        ("deepseek", "thinking"),
        ("openrouter", "reasoning"),
        ("perplexity", "search_domain_filter"),
        ("vllm", "guided_json"),
    ] {
        let body = said(&json!({field: {"any": [1]}}));
        assert_eq!(sent(provider, &body)[field], json!({"any": [1]}), "{provider}");
        // Everybody else refuses it by its name.
        for other in ["openai", "custom", "anthropic", "gemini", "bedrock", "cohere"] {
            assert_eq!(refused(other, &body), field, "{other}");
        }
    }
    for (provider, field) in [
        ("openrouter", "plugins"),
        ("openrouter", "models"),
        ("openrouter", "provider"),
        ("groq", "search_settings"),
        ("perplexity", "return_images"),
        ("alibaba", "enable_search"),
        ("together", "safety_model"),
        ("vllm", "best_of"),
    ] {
        assert_eq!(refused(provider, &said(&json!({field: 1}))), field, "{provider}");
    }
    // A prompt of the provider's own is held.
    let (without, with) = (said(&json!({})), said(&json!({"safe_prompt": true})));
    let held = |body: &Value| outbound("mistral", body).bound.prompt_tokens;
    assert!(held(&with) >= held(&without) + 1_024);
}

#[test]
fn what_only_others_of_its_format_know_is_not_sent_to_openai() {
    for (field, value, neutral) in [
        ("top_k", json!(5), json!(-1)),
        ("min_p", json!(0.5), json!(0)),
        ("repetition_penalty", json!(1.5), json!(1.0)),
    ] {
        let body = said(&json!({field: value}));
        for provider in ["openai", "azure"] {
            assert_eq!(refused(provider, &body), field, "{provider}");
            let plain = sent(provider, &said(&json!({field: neutral})));
            assert_eq!(plain.get(field), None, "{provider}: it changes nothing");
        }
        assert_eq!(sent("vllm", &body)[field], value);
    }
}

#[test]
fn a_body_of_the_same_format_goes_as_it_was_written() {
    let messages = r#"[ {"role":"user", "content":"h\u00e9 \/"} ]"#;
    let schema = r#"{"maximum":1234567890123456789,"multipleOf":0.10}"#;
    let function = format!(r#"{{"name":"f","parameters":{schema}}}"#);
    let tools = &*format!(r#"[{{"type":"function","function":{function}}}]"#);
    let call = |tools: &str| {
        let said = format!(r#""messages":{messages},"tools":{tools}"#);
        let body = format!(r#"{{"model":"m","temperature":0.70,{said},"max_tokens":9}}"#);
        ChatCall::from_openai(body.as_bytes()).unwrap()
    };
    let posted = |name: &str, tools: &str| {
        let provider = find(name).unwrap();
        let wire = provider.wire_for("m", Format::Chat).unwrap();
        let outbound = wire.request(provider, &call(tools), &FACTS, 9, false).unwrap();
        (String::from_utf8(outbound.body.to_vec()).unwrap(), outbound.bound.prompt_tokens)
    };

    for name in ["openai", "mistral", "vllm"] {
        let (text, _) = posted(name, tools);
        for part in [r#""temperature":0.70"#, &format!(r#""messages":{messages}"#), tools] {
            assert!(text.contains(part), "{name}: {text}");
        }
    }
    // However widely it is written, the same is held.
    let wide = tools.replace(':', " :  ");
    assert_eq!(posted("openai", tools).1, posted("openai", &wide).1);
    // A number is held as long as it is read, so no longer one is sent.
    let digits = tools.replace("1234567890123456789", "12345678901234567890123");
    assert!(posted("openai", &digits).0.contains(r#""maximum":1.2345678901234568e+22"#));
    // A name that is given twice was checked by the last, and so it is sent once.
    let twice = tools.replacen("\"type\"", "\"type\":\"web_search\",\"type\"", 1);
    assert!(!posted("openai", &twice).0.contains("web_search"));
}

#[test]
fn thoughts_go_back_as_the_provider_takes_them() {
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "22"});
    let question = json!({"role": "user", "content": "hi"});
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let turn = |thought: Value| {
        let mut turn = json!({"role": "assistant", "content": "x", "tool_calls": [call]});
        let fields = thought.as_object().unwrap().clone();
        turn.as_object_mut().unwrap().extend(fields);
        json!({"messages": [question, turn, result], "tools": [tool("f")]})
    };
    let details = json!([{"type": "reasoning.text", "text": "h"},
        {"type": "reasoning.summary", "summary": "m"}]);
    for thought in [
        json!({"reasoning_content": "hm"}),
        json!({"reasoning": "hm"}),
        json!({"reasoning_details": details}),
    ] {
        for (provider, field) in [
            ("deepseek", "reasoning_content"),
            ("moonshotai", "reasoning_content"),
            ("fireworks", "reasoning_content"),
            ("gpustack", "reasoning_content"),
            ("vllm", "reasoning"),
            ("ollama", "reasoning"),
        ] {
            let turn = &sent(provider, &turn(thought.clone()))["messages"][1];
            assert_eq!((&turn[field], &turn["content"]), (&json!("hm"), &json!("x")), "{provider}");
            assert!(turn.get("reasoning_details").is_none(), "{provider}");
        }
        let magistral = Facts { model: "magistral-medium-latest", ..FACTS };
        let outbound = send("mistral", &magistral, &turn(thought.clone()), false).unwrap();
        let body: Value = serde_json::from_slice(&outbound.body).unwrap();
        let parts = &body["messages"][1]["content"];
        let thinking = json!([{"type": "text", "text": "hm"}]);
        let expected = json!([{"type": "thinking", "thinking": thinking},
            {"type": "text", "text": "x"}]);
        assert_eq!(parts, &expected);
        for provider in ["openai", "groq", "mistral", "cerebras", "together", "xai", "custom"] {
            let turn = &sent(provider, &turn(thought.clone()))["messages"][1];
            assert!(!turn.to_string().contains("hm"), "{provider}: {turn}");
        }
    }
    let qwen = Facts { model: "qwen/qwen3-32b", ..FACTS };
    let body = turn(json!({"reasoning": "hm"}));
    let outbound = send("groq", &qwen, &body, false).unwrap();
    let sent_to_qwen: Value = serde_json::from_slice(&outbound.body).unwrap();
    assert_eq!(sent_to_qwen["messages"][1]["reasoning"], "hm");
    let cohere = sent("cohere", &turn(json!({"reasoning_content": "hm"})));
    assert_eq!(cohere["messages"][1]["content"][0], json!({"type": "thinking", "thinking": "hm"}));
}

#[test]
fn what_a_format_has_no_word_for_is_refused_by_its_name_or_carried() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA",
        "detail": "low"}});
    let detailed = json!({"messages": [{"role": "user", "content": [image]}]});
    let strict = |strict: &[bool]| {
        let tools = strict.iter().map(|strict| {
            let mut tool = tool("f");
            tool["function"]["strict"] = json!(strict);
            tool
        });
        said(&json!({"tools": tools.collect::<Vec<_>>()}))
    };
    for provider in ["anthropic", "gemini", "bedrock", "cohere"] {
        let field = "messages[0].content[0].image_url.detail";
        assert_eq!(refused(provider, &detailed), field, "{provider}");
    }
    assert_eq!(sent("mistral", &detailed)["messages"], detailed["messages"]);
    assert_eq!(sent("cohere", &strict(&[true, true]))["strict_tools"], true);
    assert!(sent("cohere", &strict(&[false])).get("strict_tools").is_none());
    assert_eq!(refused("cohere", &strict(&[true, false])), "tools[1].function.strict");
    assert_eq!(refused("gemini", &said(&json!({"prompt_cache_key": "k"}))), "prompt_cache_key");
    let named = json!({"messages": [{"role": "user", "name": "n", "content": "x"}]});
    let responses = Facts { model: "gpt-5-codex", ..FACTS };
    let refusal = send("openai", &responses, &named, false).unwrap_err();
    assert_eq!(refusal.field(), Some("messages[0].name"));
    // A tool that failed says so where the format has a place for it.
    let failed = json!({"messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "content": null, "tool_calls":
            [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "no", "is_error": true}],
        "tools": [tool("f")]});
    let result = &sent("anthropic", &failed)["messages"][2]["content"][0];
    assert_eq!((&result["type"], &result["is_error"]), (&json!("tool_result"), &json!(true)));
}

#[test]
fn an_effort_in_the_words_of_another_format_is_carried_or_refused_by_its_name() {
    let asked = |provider: &str, model: &str| {
        let provider = find(provider).unwrap();
        let body = json!({"messages": [{"role": "user", "content": "x"}],
            "reasoning_effort": "low"});
        let body = body.as_object().unwrap().clone();
        let call =
            ChatCall::translated(Format::Messages, "m".to_owned(), body, Map::new()).unwrap();
        let facts = Facts { model, ..FACTS };
        let wire = provider.wire_for(model, Format::Messages).unwrap();
        let outbound = wire.request(provider, &call, &facts, 100, false);
        outbound.map(|outbound| {
            let sent: Value = serde_json::from_slice(&outbound.body).unwrap();
            sent["reasoning_effort"].clone()
        })
    };
    for (provider, model) in [
        ("deepseek", "deepseek-v4"),
        ("groq", "openai/gpt-oss-120b"),
        ("cerebras", "gpt-oss-120b"),
        ("perplexity", "sonar-reasoning-pro"),
        ("openrouter", "any"),
        ("vllm", "any"),
    ] {
        assert_eq!(asked(provider, model).unwrap(), "low", "{provider}");
    }
    for (provider, model) in [
        ("groq", "llama-3.3-70b-versatile"),
        ("mistral", "mistral-large"),
        ("openai", "gpt-4.1"),
        ("custom", "any"),
    ] {
        assert_eq!(asked(provider, model).unwrap_err().field(), Some("reasoning_effort"));
    }
}
