//! Gemini's requests: what is sent, what is refused by name, and what bounds the cost.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

use farebox_core::{ChatCall, Error, Format};
use farebox_providers::{Billing, Blame, CountRequest, Facts, Outbound, find};
use serde_json::{Value, json};

fn facts(model: &str) -> Facts<'_> {
    Facts { model, context_window: Some(1_000_000), completion_max: Some(64_000), price: None }
}

fn send(provider: &str, model: &str, body: &Value) -> Result<Outbound, Error> {
    let mut body = body.clone();
    body["model"] = json!("as-asked");
    let call = ChatCall::from_openai(body.to_string().as_bytes())?;
    let provider = find(provider).unwrap();
    let wire = provider.wire_for(model, Format::Chat)?;
    wire.request(provider, &call, &facts(model), 100, call.stream)
}

fn sent(model: &str, rest: &Value) -> Value {
    let outbound = send("gemini", model, &said(rest)).unwrap();
    serde_json::from_slice(&outbound.body).unwrap()
}

fn refused(model: &str, rest: &Value) -> String {
    match send("gemini", model, &said(rest)) {
        Err(error) => error.field().unwrap_or_default().to_owned(),
        Ok(outbound) => format!("sent: {:?}", outbound.body),
    }
}

fn said(rest: &Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hé"}]});
    for (field, value) in rest.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

/// A caller's own body.
fn native(asked: &Value) -> Result<Outbound, Error> {
    let asked = asked.as_object().unwrap().clone();
    let body = said(&json!({})).as_object().unwrap().clone();
    let call = ChatCall::translated(Format::GenerateContent, "m".to_owned(), body, asked)?;
    let provider = find("gemini").unwrap();
    let wire = provider.wire_for("gemini-3.5-flash", Format::GenerateContent)?;
    wire.request(provider, &call, &facts("gemini-3.5-flash"), 100, false)
}

#[test]
fn options_have_geminis_names_and_the_cap_is_always_sent() {
    let body = said(&json!({
        "temperature": 0.5, "top_p": 0.9, "top_k": 7, "n": 2, "seed": -5, "stop": "x",
        "presence_penalty": 1, "frequency_penalty": -1, "logprobs": true, "top_logprobs": 3,
        "user": "u", "store": false, "logit_bias": {}, "stream": true,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n",
            "schema": {"type": "object"}}},
    }));

    let outbound = send("gemini", "gemini-2.5-flash", &body).unwrap();

    let expected = json!({
        "contents": [{"role": "user", "parts": [{"text": "hé"}]}],
        "generationConfig": {
            "temperature": 0.5, "topP": 0.9, "topK": 7, "candidateCount": 2, "seed": -5,
            "stopSequences": ["x"], "presencePenalty": 1, "frequencyPenalty": -1,
            "responseLogprobs": true, "logprobs": 3, "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"}, "maxOutputTokens": 100,
        },
    });
    assert_eq!(serde_json::from_slice::<Value>(&outbound.body).unwrap(), expected);
    let path = "/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
    assert_eq!((&*outbound.path, outbound.cap, outbound.choices), (path, 100, 2));
    let schema = json!({"type": "object"}).to_string().len() + 1_024;
    assert_eq!(outbound.bound.prompt_tokens, (outbound.body.len() + schema) as u64);
}

#[test]
fn an_option_without_a_counterpart_is_refused_by_name() {
    for (rest, field) in [
        (json!({"logit_bias": {"1": 2}}), "logit_bias"),
        (json!({"verbosity": "low"}), "verbosity"),
        (json!({"seed": 2_147_483_648_i64}), "seed"),
        (json!({"store": true}), "store"),
        (json!({"parallel_tool_calls": false}), "parallel_tool_calls"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"reasoning_effort": "xhigh"}), "reasoning_effort"),
        (json!({"response_format": {"type": "grammar"}}), "response_format.type"),
    ] {
        assert_eq!(refused("gemini-2.5-flash", &rest), field);
    }
    let name = json!({"messages": [{"role": "user", "name": "a", "content": "x"}]});
    assert_eq!(refused("gemini-2.5-flash", &name), "messages[0].name");
    for model in ["../x", "a/b", "a?b", ".", "", "a%2f"] {
        assert_eq!(refused(model, &json!({})), "model", "{model}");
    }
}

#[test]
fn effort_is_a_level_or_a_budget_by_the_models_family() {
    let config = |model, effort: &str| {
        let sent = sent(model, &json!({"reasoning_effort": effort}));
        sent["generationConfig"]["thinkingConfig"].clone()
    };
    let budget = |tokens| json!({"thinkingBudget": tokens, "includeThoughts": true});
    let level = |level| json!({"thinkingLevel": level, "includeThoughts": true});

    assert_eq!(config("gemini-2.5-flash", "none"), json!({"thinkingBudget": 0}));
    assert_eq!(config("gemini-2.5-flash", "minimal"), budget(1_024));
    assert_eq!(config("gemini-2.5-pro", "high"), budget(24_576));
    assert_eq!(config("gemini-3.5-flash", "medium"), level("medium"));
    assert_eq!(config("gemini-flash-latest", "low"), level("low"));
    assert_eq!(config("gemini-2.0-flash", "none"), Value::Null);
    for (model, effort) in
        [("gemini-2.5-pro", "none"), ("gemini-3-pro", "none"), ("gemini-2.0-flash", "low")]
    {
        assert_eq!(refused(model, &json!({"reasoning_effort": effort})), "reasoning_effort");
    }
}

#[test]
fn the_cap_holds_thoughts_where_that_was_measured_else_the_maximum_is_held() {
    for (model, cap) in [
        ("gemini-2.5-pro", 100),
        ("gemini-3.5-flash", 100),
        ("gemini-4-argon", 64_000),
        ("gemini-flash-latest", 64_000),
    ] {
        assert_eq!(send("gemini", model, &said(&json!({}))).unwrap().cap, cap, "{model}");
    }
}

#[test]
fn a_second_turn_carries_the_signatures_of_the_first() {
    let call = |id: &str| {
        json!({"id": id, "type": "function",
            "function": {"name": "weather", "arguments": "{\"city\":\"Bern\"}"}})
    };
    let detail = json!({"type": "reasoning.encrypted", "data": "S1", "id": "gemini-r-0",
        "format": "google-gemini-v1"});
    let foreign = json!({"type": "reasoning.encrypted", "data": "no", "id": "c-2",
        "format": "anthropic-claude-v1"});
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "reasoning_content": "hm",
         "reasoning_details": [detail, foreign], "tool_calls": [call("gemini-r-0"), call("c-2")]},
        {"role": "tool", "tool_call_id": "gemini-r-0", "content": "{\"sky\":\"blue\"}"},
        {"role": "tool", "tool_call_id": "c-2", "is_error": true, "content": "no"},
    ]);

    let sent = |provider, model| {
        let outbound = send(provider, model, &json!({"messages": messages})).unwrap();
        serde_json::from_slice::<Value>(&outbound.body).unwrap()
    };

    let args = json!({"city": "Bern"});
    let body = sent("gemini", "gemini-3.5-flash");
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "Be brief."}]}));
    let expected = json!([
        {"role": "user", "parts": [{"text": "weather?"}]},
        {"role": "model", "parts": [
            {"functionCall": {"name": "weather", "args": args}, "thoughtSignature": "S1"},
            {"functionCall": {"name": "weather", "args": args, "id": "c-2"}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "weather", "response": {"sky": "blue"}}},
            {"functionResponse":
                {"name": "weather", "response": {"error": "no"}, "id": "c-2"}}]},
    ]);
    assert_eq!(body["contents"], expected);
    let vertex = sent("vertexai", "gemini-2.5-flash");
    assert!(!vertex.to_string().contains("\"id\""), "{vertex}");
}

#[test]
fn a_signature_that_is_lost_is_replaced_where_the_model_insists() {
    let function = json!({"name": "f", "arguments": ""});
    let mut call = json!({"id": "a", "type": "function", "function": function});
    let with = |model, call: &Value| {
        let messages = json!([{"role": "user", "content": "x"},
            {"role": "assistant", "content": "I call.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": "y"}]);
        sent(model, &json!({"messages": messages}))["contents"][1]["parts"].clone()
    };

    let lost = "skip_thought_signature_validator";
    assert_eq!(with("gemini-3.5-flash", &call)[1]["thoughtSignature"], lost);
    assert_eq!(with("gemini-2.5-flash", &call)[1].get("thoughtSignature"), None);
    call["extra_content"] = json!({"google": {"thought_signature": "S2"}});
    let parts = with("gemini-3.5-flash", &call);
    assert_eq!(parts[1]["thoughtSignature"], "S2");
    assert_eq!((&parts[0]["text"], parts[0].get("thoughtSignature")), (&json!("I call."), None));
}

#[test]
fn media_are_sent_inline_or_by_url_and_hold_the_window() {
    let parts = json!([
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.webp?b"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,BB"}},
        {"type": "input_audio", "input_audio": {"data": "CC", "format": "wav"}},
    ]);
    let body = json!({"messages": [{"role": "user", "content": parts}]});

    let outbound = send("gemini", "gemini-2.5-flash", &body).unwrap();

    let sent: Value = serde_json::from_slice(&outbound.body).unwrap();
    let expected = json!([
        {"text": "see"},
        {"inlineData": {"mimeType": "image/png", "data": "AA"}},
        {"fileData": {"fileUri": "https://x.test/a.webp?b", "mimeType": "image/webp"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "BB"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "CC"}},
    ]);
    assert_eq!(sent["contents"][0]["parts"], expected);
    let bound = outbound.bound;
    assert_eq!((bound.prompt_tokens, bound.media, bound.audio), (1_000_000, true, true));
    let ftp = json!([{"type": "image_url", "image_url": {"url": "ftp://x/y.png"}}]);
    let body = json!({"messages": [{"role": "user", "content": ftp}]});
    assert_eq!(refused("gemini-2.5-flash", &body), "messages[0].content[0].image_url.url");
}

#[test]
fn tools_and_their_choice_keep_the_callers_schema() {
    let tool = |strict| {
        json!({"type": "function", "function": {"name": "f", "description": "d", "strict": strict,
            "parameters": {"type": "object", "additionalProperties": false}}})
    };
    let config = |choice: Value, strict: bool| {
        let sent =
            sent("gemini-2.5-flash", &json!({"tools": [tool(strict)], "tool_choice": choice}));
        let declared = json!([{"functionDeclarations": [{"name": "f", "description": "d",
            "parametersJsonSchema": {"type": "object", "additionalProperties": false}}]}]);
        assert_eq!(sent["tools"], declared);
        sent["toolConfig"]["functionCallingConfig"].clone()
    };

    assert_eq!(config(Value::Null, false), Value::Null);
    assert_eq!(config(Value::Null, true), json!({"mode": "VALIDATED"}));
    assert_eq!(config(json!("auto"), false), json!({"mode": "AUTO"}));
    assert_eq!(config(json!("none"), true), json!({"mode": "NONE"}));
    assert_eq!(config(json!("required"), true), json!({"mode": "ANY"}));
    let named = json!({"type": "function", "function": {"name": "f"}});
    let only = json!({"mode": "ANY", "allowedFunctionNames": ["f"]});
    assert_eq!(config(named, false), only);
}

#[test]
fn a_callers_own_body_is_sent_as_it_is_but_for_the_cap() {
    let asked = json!({
        "contents": [{"parts": [{"text": "x", "partMetadata": {"odd": 1}}]}],
        "system_instruction": {"parts": [{"text": "s"}]},
        "safetySettings": [{"category": "c", "threshold": "BLOCK_NONE"}],
        "generation_config": {"max_output_tokens": 9_000_000, "top_k": 3, "candidateCount": 1,
            "thinkingConfig": {"thinkingLevel": "low"}},
        "labels": {"a": "b"}, "model": "models/other",
    });

    let outbound = native(&asked).unwrap();

    let sent: Value = serde_json::from_slice(&outbound.body).unwrap();
    let mut expected = asked;
    let expected = expected.as_object_mut().unwrap();
    expected.remove("generation_config");
    expected.remove("model");
    let config = json!({"top_k": 3, "candidateCount": 1,
        "thinkingConfig": {"thinkingLevel": "low"}, "maxOutputTokens": 100});
    expected.insert("generationConfig".to_owned(), config);
    assert_eq!(sent, Value::Object(expected.clone()));
    assert!(!outbound.bound.media);
}

#[test]
fn what_costs_money_in_a_callers_own_body_is_bounded_or_refused_by_name() {
    let contents = json!([{"parts": [{"text": "x"}]}]);
    for (field, value, named) in [
        ("tools", json!([{"google_search": {}}]), "tools[0].google_search"),
        ("tools", json!([{"functionDeclarations": []}, {"urlContext": {}}]), "tools[1].urlContext"),
        ("tools", json!([{"codeExecution": {}}]), "tools[0].codeExecution"),
        ("tools", json!([{"googleMaps": {}}]), "tools[0].googleMaps"),
        ("tools", json!([{"telepathy": {}}]), "tools[0].telepathy"),
        ("serviceTier", json!("ultrafast"), "serviceTier"),
        ("odd_field", json!(1), "odd_field"),
        (
            "generationConfig",
            json!({"responseModalities": ["TEXT", "IMAGE"]}),
            "generationConfig.responseModalities",
        ),
        ("generationConfig", json!({"odd": 1}), "generationConfig.odd"),
        (
            "generationConfig",
            json!({"max_output_tokens": 1, "maxOutputTokens": 2}),
            "generationConfig.max_output_tokens",
        ),
    ] {
        let mut asked = json!({"contents": contents});
        asked[field] = value;
        let error = native(&asked).unwrap_err();
        assert_eq!(error.field(), Some(named), "{error}");
    }
    for (asked, audio) in [
        (json!({"contents": contents, "cachedContent": "cachedContents/1"}), false),
        (json!({"contents": [{"parts": [{"fileData": {"fileUri": "gs://x"}}]}]}), true),
        (
            json!({"contents": [{"parts": [{"functionResponse": {"parts":
                [{"inline_data": {"mime_type": "application/pdf", "data": "AA"}}]}}]}]}),
            false,
        ),
    ] {
        let bound = native(&asked).unwrap().bound;
        assert_eq!((bound.prompt_tokens, bound.audio), (1_000_000, audio), "{asked}");
    }
}

#[test]
fn speech_as_an_answer_is_held_at_the_models_maximum_and_its_own_price() {
    let contents = json!([{"role": "user", "parts": [{"text": "Say hi"}]}]);
    let voice = json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}});
    for (config, speaks) in [
        (json!({"responseModalities": ["AUDIO"], "speechConfig": voice}), true),
        (json!({"response_modalities": ["TEXT", "audio"]}), true),
        (json!({"speech_config": voice}), true),
        (json!({"responseModalities": ["TEXT"], "speechConfig": null}), false),
    ] {
        let asked = json!({"contents": contents, "generationConfig": config});
        let outbound = native(&asked).unwrap();
        let cap = if speaks { 64_000 } else { 100 };
        assert_eq!((outbound.bound.audio_answer, outbound.cap), (speaks, cap), "{config}");
        let body: Value = serde_json::from_slice(&outbound.body).unwrap();
        assert_eq!(body["generationConfig"]["maxOutputTokens"], 100);
    }
}

#[test]
fn a_grounded_prompt_of_an_older_model_is_held_with_its_one_fee() {
    let asked = json!({"contents": [{"parts": [{"text": "x"}]}], "tools": [{"google_search": {}}]});
    let call = |model| {
        let body = said(&json!({})).as_object().unwrap().clone();
        let asked = asked.as_object().unwrap().clone();
        let call = ChatCall::translated(Format::GenerateContent, "m".to_owned(), body, asked);
        let provider = find("vertexai").unwrap();
        let wire = provider.wire_for(model, Format::GenerateContent).unwrap();
        wire.request(provider, &call.unwrap(), &facts(model), 100, false)
    };

    let bound = call("gemini-2.5-pro").unwrap().bound;

    assert_eq!((bound.prompt_tokens, bound.web_searches, bound.media), (2_000_000, 1, true));
    assert_eq!(call("gemini-3-pro").unwrap_err().field(), Some("tools[0].google_search"));
}

#[test]
fn an_image_inside_the_request_is_held_at_the_most_that_google_states() {
    let image = |kind: &str| {
        json!({"contents": [{"parts": [{"functionResponse": {"parts":
        [{"inlineData": {"mimeType": kind, "data": "A".repeat(90_000)}}]}}]}]})
    };

    let outbound = native(&image("image/png")).unwrap();

    let text = outbound.body.len() as u64 - 90_000;
    assert_eq!((outbound.bound.prompt_tokens, outbound.bound.media), (text + 2_520, true));
    assert_eq!(native(&image("video/mp4")).unwrap().bound.prompt_tokens, 1_000_000);
    let part = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let body = json!({"messages": [{"role": "user", "content": [part]}]});
    let held = |model| send("gemini", model, &body).unwrap().bound.prompt_tokens;
    assert!((2_520..3_000).contains(&held("gemini-3.5-flash")));
    // Before Gemini 3 the tokens grow with the pixels.
    assert_eq!(held("gemini-2.5-flash"), 1_000_000);
}

fn count(provider: &str, outbound: &Outbound) -> Option<CountRequest> {
    let (provider, model) = (find(provider).unwrap(), "gemini-2.5-flash");
    let facts = Facts { model, context_window: None, completion_max: None, price: None };
    let wire = provider.wire_for(model, Format::Chat).unwrap();
    wire.count(provider, &ChatCall::default(), &facts, outbound)
}

#[test]
fn a_prompt_is_counted_as_each_server_wants_to_be_asked() {
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let body = said(&json!({"tools": [tool], "tool_choice": "auto", "temperature": 1}));
    let asked = |provider| {
        let outbound = send(provider, "gemini-2.5-flash", &body).unwrap();
        let request = count(provider, &outbound).unwrap();
        assert_eq!(request.path, "/models/gemini-2.5-flash:countTokens");
        let answer = br#"{"totalTokens": 61, "promptTokensDetails": []}"#;
        let counted = CountRequest::counted(answer).unwrap();
        assert_eq!((counted, request.margin.above(counted)), (61, 125));
        serde_json::from_slice::<Value>(&request.body).unwrap()
    };

    let inner = &asked("gemini")["generateContentRequest"];
    assert_eq!(inner["model"], "models/gemini-2.5-flash");
    assert!(inner.get("tools").is_some() && inner.get("generationConfig").is_none());
    let vertex = asked("vertexai");
    assert!(vertex.get("contents").is_some() && vertex.get("toolConfig").is_none());
    let format = json!({"type": "json_schema", "json_schema": {"schema": {}}});
    let outbound = send("gemini", "gemini-2.5-flash", &said(&json!({"response_format": format})));
    assert!(count("gemini", &outbound.unwrap()).is_none());
}

#[test]
fn failures_are_free_as_the_pages_say_and_tell_when_to_retry() {
    let body = br#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}"#;
    let failure = |provider: &str, status, body: &[u8]| {
        let provider = find(provider).unwrap();
        let wire = provider.wire_for("gemini-2.5-flash", Format::Chat).unwrap();
        wire.failure(provider, status, body)
    };
    for (status, gemini) in [
        (400, Billing::Unbilled),
        (500, Billing::Unbilled),
        (401, Billing::UnbilledInferred),
        (402, Billing::UnbilledInferred),
        (403, Billing::UnbilledInferred),
        (404, Billing::UnbilledInferred),
        (429, Billing::UnbilledInferred),
        (503, Billing::Unknown),
        (504, Billing::Unknown),
    ] {
        assert_eq!(failure("gemini", status, body).billing, gemini, "{status}");
        assert_eq!(failure("vertexai", status, b"").billing, Billing::Unbilled, "{status}");
    }
    assert_eq!(failure("gemini", 402, b"").billing, Billing::Unknown);
    assert_eq!(failure("gemini", 429, body).retry_after_s, Some(35));
    assert_eq!(failure("gemini", 429, &body.replace_delay("48s")).retry_after_s, Some(48));
    for odd in ["s", "-1s", "1.5", "1e3s"] {
        assert_eq!(failure("gemini", 429, &body.replace_delay(odd)).retry_after_s, None, "{odd}");
    }
    let wrong = br#"{"error":{"code":400,"details":[{"reason":"API_KEY_INVALID"}]}}"#;
    assert_eq!(failure("gemini", 400, wrong).blame, Blame::Credential);
    assert_eq!(failure("gemini", 400, body).blame, Blame::Request);
}

trait ReplaceDelay {
    fn replace_delay(&self, delay: &str) -> Vec<u8>;
}

impl ReplaceDelay for [u8] {
    fn replace_delay(&self, delay: &str) -> Vec<u8> {
        String::from_utf8_lossy(self).replace("34.4s", delay).into_bytes()
    }
}
