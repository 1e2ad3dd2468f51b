//! What a provider says that a call used is what the call costs, through the whole stack: for the
//! formats that the demo provider does not speak, and for what is billed beside plain tokens. The
//! answers are written here; the amounts are worked out by hand, at the prices of the catalogue.

use farebox_tests::tap::Script;
use farebox_tests::{Answer, Caller, run, usd};
use http::Method;
use serde_json::{Value, json};

use crate::eventstream;
use crate::stacks::shared;

/// Whose model is called, and how: the credential's provider, path, and body.
pub struct Ask {
    provider: &'static str,
    secret: String,
    path: &'static str,
    body: Value,
}

pub fn ask(provider: &'static str, path: &'static str, body: Value) -> Ask {
    Ask { provider, secret: "sk-scripted".to_owned(), path, body }
}

pub fn said() -> Value {
    // More bytes than the tokens that the answers state: a prompt is held by its bytes.
    json!([{"role": "user", "content": "hello ".repeat(400)}])
}

/// Sends a call whose provider answers by a script; gives the answer and what the provider got.
pub async fn send(caller: &Caller<'_>, ask: &Ask, script: Script) -> (Answer, Value) {
    let stack = caller.stack();
    stack.tap().script(&caller.user, script);
    let url = stack.tap().base_url(&caller.user);
    stack.set_credential(&caller.user, ask.provider, &ask.secret, &url).await;
    let answer = caller.post(ask.path, &ask.body).send().await;
    let posts = caller.posts();
    let sent = posts.last().map(|seen| serde_json::from_slice(&seen.body).unwrap());
    (answer, sent.unwrap_or_default())
}

/// Asserts what a call is charged, in the books, in its row and in its header.
async fn assert_charged(caller: &Caller<'_>, answer: &Answer, cost: &str) -> Value {
    for books in [caller.user_books().await, caller.key_books().await] {
        books.assert_quiet();
        assert_eq!(books.settled(), usd(cost), "{}: {}", books.scope, answer.text());
    }
    caller.stack().drain().await;
    let id = answer.header("x-request-id").unwrap();
    let row = caller.stack().read(&format!("/requests/{id}")).await;
    assert_eq!(usd(row["cost_usd"].as_str().unwrap()), usd(cost), "{row}");
    let held = usd(row["hold_usd"].as_str().unwrap());
    assert!(held >= usd(cost), "{held} held: {row}");
    row
}

pub fn completion(usage: &Value, rest: &Value) -> Value {
    let message = json!({"role": "assistant", "content": "hi"});
    let mut body = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage});
    body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    body
}

#[test]
fn a_tier_is_sent_by_name_and_charged_as_the_answer_names_it() {
    run(async {
        let usage =
            json!({"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100});
        // gpt-5.5: 5 and 30 USD, priority 12.5 and 75, flex 2.5 and 15.
        for (asked, served, cost) in [
            ("priority", json!({"service_tier": "priority"}), "0.02"),
            ("fast", json!({"service_tier": "priority"}), "0.02"),
            // A ramp limit downgrades in silence, and the answer says so.
            ("priority", json!({"service_tier": "default"}), "0.008"),
            // An answer that says nothing costs the dearer of the two.
            ("priority", json!({}), "0.02"),
            ("flex", json!({"service_tier": "flex"}), "0.004"),
            ("flex", json!({}), "0.008"),
        ] {
            let caller = Caller::new(shared().await).await;
            let body = json!({"model": "openai/gpt-5.5", "messages": said(),
                "max_tokens": 200, "service_tier": asked});
            let script = Script::json(200, &completion(&usage, &served));

            let ask = ask("openai", "/v1/chat/completions", body);
            let (answer, sent) = send(&caller, &ask, script).await;

            let answer = answer.expect(200);
            assert_eq!(sent["service_tier"], asked);
            assert_charged(&caller, &answer, cost).await;
        }
        // A tier that the price list does not know is refused, and so is one that is no tier.
        let caller = Caller::new(shared().await).await;
        for (model, tier, status, field) in [
            ("openai/gpt-4o-mini-2024-07-18", "odd", 400, "service_tier"),
            ("demo/chat", "priority", 400, "service_tier"),
            ("demo/claude", "flex", 400, "service_tier"),
        ] {
            let body = json!({"model": model, "messages": said(), "service_tier": tier});
            let ask = ask("openai", "/v1/chat/completions", body);
            let (answer, _) = send(&caller, &ask, Script::json(500, &json!({}))).await;
            assert_eq!(answer.expect(status).json()["error"]["param"], field, "{model}");
        }
        caller.assert_untouched().await;
    });
}

#[test]
fn a_fast_answer_of_claude_costs_what_its_speed_does() {
    run(async {
        // claude-opus-5: 5 and 25 USD, fast 10 and 50.
        for (said_of_it, cost) in [
            (json!({"speed": "fast"}), "0.015"),
            (json!({"speed": "standard"}), "0.0075"),
            (json!({}), "0.015"),
        ] {
            let caller = Caller::new(shared().await).await;
            let mut usage = json!({"input_tokens": 1_000, "output_tokens": 100,
                "service_tier": "standard"});
            usage.as_object_mut().unwrap().extend(said_of_it.as_object().unwrap().clone());
            let message = json!({"id": "m1", "type": "message", "role": "assistant", "model": "m",
                "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
                "usage": usage});
            let body = json!({"model": "anthropic/claude-opus-5", "messages": said(),
                "max_tokens": 200, "speed": "fast"});

            let ask = ask("anthropic", "/v1/messages", body);
            let (answer, sent) = send(&caller, &ask, Script::json(200, &message)).await;

            assert_eq!(sent["speed"], "fast");
            assert_charged(&caller, &answer.expect(200), cost).await;
        }
    });
}

/// A response with two searches and a look at a page.
fn found() -> Value {
    let search = json!({"type": "search", "query": "q"});
    let call = |action: &Value| {
        json!({"type": "web_search_call", "id": "w", "action": action,
        "status": "completed"})
    };
    let items = [
        call(&search),
        call(&json!({"type": "open_page", "url": "https://x"})),
        call(&search),
        json!({"type": "message", "id": "m", "role": "assistant",
            "status": "completed", "content": [{"type": "output_text", "text": "hi",
                "annotations": []}]}),
    ];
    json!({"id": "r1", "object": "response", "status": "completed",
        "model": "m", "output": items, "usage": {"input_tokens": 20_000,
            "output_tokens": 1_000, "total_tokens": 21_000}})
}

#[test]
fn searches_are_capped_held_and_charged_by_what_was_counted() {
    run(async {
        let response = found();
        let message = json!({"id": "m1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 20_000, "output_tokens": 1_000,
                "server_tool_use": {"web_search_requests": 3}}});
        let content = json!({"role": "model", "parts": [{"text": "hi"}]});
        let grounded = json!({"candidates": [{"content": content,
                "finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["a", "b"]}}],
            "modelVersion": "gemini-2.5-flash", "responseId": "g1",
            "usageMetadata": {"promptTokenCount": 1_000, "candidatesTokenCount": 100,
                "toolUsePromptTokenCount": 70, "totalTokenCount": 1_170}});
        let web = json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]);
        for (ask, answer, cost) in [
            (
                // 1.75 and 14 USD, a cent a search.
                ask(
                    "openai",
                    "/v1/responses",
                    json!({"model": "openai/gpt-5.2", "input": "news?",
                    "max_output_tokens": 2_000, "tools": [{"type": "web_search"}],
                    "max_tool_calls": 2}),
                ),
                response,
                "0.069",
            ),
            (
                // 1 and 5 USD, a cent a search.
                ask(
                    "anthropic",
                    "/v1/messages",
                    json!({"model": "anthropic/claude-haiku-4-5",
                    "messages": said(), "max_tokens": 2_000, "tools": web}),
                ),
                message,
                "0.055",
            ),
            (
                // 0.3 and 2.5 USD, and one fee of 3.5 cents however many queries there were.
                ask(
                    "gemini",
                    "/v1beta/models/gemini-2.5-flash:generateContent",
                    json!({"contents": [{"parts": [{"text": "news?"}]}],
                        "generationConfig": {"maxOutputTokens": 200},
                        "tools": [{"googleSearch": {}}]}),
                ),
                grounded,
                "0.035571",
            ),
        ] {
            let caller = Caller::new(shared().await).await;

            let (answer, sent) = send(&caller, &ask, Script::json(200, &answer)).await;

            let row = assert_charged(&caller, &answer.expect(200), cost).await;
            assert!(!sent["tools"].is_null(), "{sent}");
            let lines = row["lines"].as_array().unwrap().iter();
            let fees = lines.filter(|line| line["class"] == "web_searches");
            assert_eq!(fees.count(), 1, "{row}");
        }
    });
}

#[test]
fn tools_with_a_fee_of_their_own_are_charged_by_the_piece() {
    run(async {
        let item = |kind: &str, container: &str| {
            json!({"type": kind, "id": "i",
            "status": "completed", "container_id": container})
        };
        let mut response = found();
        response["output"] = json!([
            item("file_search_call", ""),
            item("code_interpreter_call", "cntr_1"),
            item("file_search_call", ""),
            item("code_interpreter_call", "cntr_1"),
        ]);
        let tools = json!([{"type": "file_search", "vector_store_ids": ["vs_1"]},
            {"type": "code_interpreter", "container": {"type": "auto"}}]);
        let body = json!({"model": "openai/gpt-5.2", "input": "plot it", "tools": tools,
            "max_output_tokens": 2_000, "max_tool_calls": 4});
        let event = json!({"type": "response.completed", "response": response});
        let stream = format!("event: response.completed\ndata: {event}\n\n").into_bytes();
        let stream =
            Script { status: 200, kind: "text/event-stream", headers: &[], body: vec![stream] };
        for (script, streamed) in [(Script::json(200, &response), false), (stream, true)] {
            let caller = Caller::new(shared().await).await;
            let mut body = body.clone();
            body["stream"] = json!(streamed);

            let (answer, sent) = send(&caller, &ask("openai", "/v1/responses", body), script).await;

            // 1.75 and 14 USD; two searches of files at 0.25 cents, one container at three cents.
            let row = assert_charged(&caller, &answer.expect(200), "0.084").await;
            assert_eq!(sent["max_tool_calls"], 4);
            let lines = row["lines"].as_array().unwrap().iter();
            let fees: Vec<&Value> = lines.filter(|line| line["class"] == "tools").collect();
            assert_eq!((fees.len(), &fees[0]["amount_usd"]), (1, &json!("0.035")), "{row}");
            // Five windows of 400,000 tokens, and a container for each call.
            let held = usd(row["hold_usd"].as_str().unwrap());
            assert!(held >= usd("3.648"), "{held}");
            // A re-rating knows no price of them, and leaves what they cost.
            let day = &row["started_at"].as_str().unwrap()[..10];
            let range = json!({"from": day, "to": day, "model": "openai/gpt-5.2"});
            let rated = caller.stack().admin(Method::POST, "/rerate").json(&range).send().await;
            let rated = rated.expect(200).json();
            assert_eq!((&rated["rows"], &rated["unpriced"]), (&json!([]), &json!(0)), "{rated}");
        }
    });
}

#[test]
fn a_search_needs_room_for_every_turn_and_may_be_dropped_where_nobody_can_run_it() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let tools = json!([{"type": "web_search", "external_web_access": false}]);
        let ask = |model: &str| {
            caller.post(
                "/v1/responses",
                &json!({"model": model, "input": "SEARCH and SEARCH",
                "tools": tools, "max_output_tokens": 200}),
            )
        };

        // The demo provider bills a cent a search; three calls are held for where none is said.
        let response = ask("demo/codex").send().await.expect(200).json();
        let calls = response["output"].as_array().unwrap().iter();
        assert_eq!(calls.filter(|item| item["type"] == "web_search_call").count(), 4, "{response}");
        let first = caller.assert_settled_to_the_bill().await;
        assert!(first > usd("0.02"), "{first}");
        let streamed = json!({"model": "demo/codex", "input": "SEARCH", "tools": tools,
            "max_output_tokens": 200, "stream": true});
        caller.post("/v1/responses", &streamed).send().await.expect(200);
        let second = caller.assert_settled_to_the_bill().await;
        assert!(second.minus(first).unwrap() > usd("0.01"), "{first} {second}");

        // Four windows of 400,000 tokens at 0.5 USD do not fit into a third of that.
        let budget = json!({"day_limit_usd": "0.3", "month_limit_usd": null,
            "total_limit_usd": null, "mode": "hard", "time_zone": "UTC"});
        caller.limit_key(&budget).await;
        ask("demo/codex").send().await.expect(402);

        let refused = ask("demo/claude").send().await.expect(400).json();
        assert_eq!(refused["error"]["param"], "tools[0].type", "{refused}");
        let dropped = ask("demo/claude").with("x-farebox-drop-params", "true").send().await;
        assert_eq!(dropped.expect(200).header("x-farebox-dropped-params"), Some("tools"));
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn audio_in_an_answer_is_charged_at_its_own_price() {
    run(async {
        // gpt-audio: 2.5 and 10 USD, audio 64.
        let usage = json!({"prompt_tokens": 1_000, "completion_tokens": 300, "total_tokens": 1_300,
            "completion_tokens_details": {"audio_tokens": 200, "text_tokens": 100}});
        let delta = |delta: &Value, reason: &Value| {
            json!({"id": "c1", "model": "m",
            "object": "chat.completion.chunk", "created": 1,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        };
        let audio = json!({"audio": {"id": "a1", "data": "UklGRg==", "transcript": "hi"}});
        let ended = json!({"id": "c1", "model": "m", "object": "chat.completion.chunk",
            "created": 1, "choices": [], "usage": usage});
        let events = [
            delta(&json!({"role": "assistant"}), &Value::Null),
            delta(&audio, &Value::Null),
            delta(&json!({}), &json!("stop")),
            ended,
        ];
        let mut pieces: Vec<_> =
            events.iter().map(|event| format!("data: {event}\n\n").into_bytes()).collect();
        pieces.push(b"data: [DONE]\n\n".to_vec());
        let stream = Script { status: 200, kind: "text/event-stream", headers: &[], body: pieces };
        for (script, streamed) in
            [(Script::json(200, &completion(&usage, &json!({}))), false), (stream, true)]
        {
            let caller = Caller::new(shared().await).await;
            let body = json!({"model": "openai/gpt-audio", "messages": said(), "max_tokens": 400,
                "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"},
                "stream": streamed});

            let ask = ask("openai", "/v1/chat/completions", body);
            let (answer, sent) = send(&caller, &ask, script).await;

            let answer = answer.expect(200);
            assert_eq!(sent["audio"]["voice"], "alloy");
            assert_eq!(answer.text().contains("UklGRg=="), streamed);
            let row = assert_charged(&caller, &answer, "0.0163").await;
            // Held at the model's maximum, for nobody says that the cap counts audio.
            let held = usd(row["hold_usd"].as_str().unwrap());
            assert!(held >= usd("1.048576"), "16,384 tokens at 64 USD: {held}");
        }
        // No other provider's format has it.
        let caller = Caller::new(shared().await).await;
        let body = json!({"model": "demo/claude", "messages": said(), "modalities": ["audio"]});
        let refused = caller.post("/v1/chat/completions", &body).send().await.expect(400).json();
        assert_eq!(refused["error"]["param"], "modalities", "{refused}");
        caller.assert_untouched().await;
    });
}

#[test]
fn speech_of_gemini_is_charged_at_its_own_price() {
    run(async {
        // gemini-2.5-pro-preview-tts: 1 USD, audio 20.
        let audio = json!({"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AAAA"}});
        let answer = json!({"candidates": [{"content": {"role": "model", "parts": [audio]},
                "finishReason": "STOP"}],
            "modelVersion": "gemini-2.5-pro-preview-tts", "responseId": "g1",
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 500,
                "totalTokenCount": 510,
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 500}]}});
        let caller = Caller::new(shared().await).await;
        let ask = ask(
            "gemini",
            "/v1beta/models/gemini-2.5-pro-preview-tts:generateContent",
            json!({"contents": [{"parts": [{"text": "Say hello"}]}],
                "generationConfig": {"maxOutputTokens": 600, "responseModalities": ["AUDIO"]}}),
        );

        let (answer, sent) = send(&caller, &ask, Script::json(200, &answer)).await;

        let answer = answer.expect(200);
        assert!(answer.text().contains("audio/L16"), "{}", answer.text());
        assert_eq!(sent["generationConfig"]["maxOutputTokens"], 600);
        let row = assert_charged(&caller, &answer, "0.01001").await;
        // Held at the model's maximum, for nobody says that the cap counts speech.
        let held = usd(row["hold_usd"].as_str().unwrap());
        assert!(held >= usd("0.32768"), "16,384 tokens at 20 USD: {held}");
    });
}

/// The secrets of an account of AWS: signing keys, and a bearer key.
fn accounts() -> [(Value, &'static str); 2] {
    let keys = json!({"access_key_id": "AKIDEXAMPLE", "secret_access_key": "shh-secret",
        "region": "eu-west-1"});
    let bearer = json!({"bearer": "shh-bearer", "region": "eu-west-1"});
    [(keys, "AWS4-HMAC-SHA256 "), (bearer, "Bearer shh-bearer")]
}

#[test]
fn an_answer_of_converse_is_charged_by_its_usage_whole_and_streamed() {
    run(async {
        // us.amazon.nova-2-lite-v1:0: 0.33 and 2.75 USD, 0.0825 of the cache.
        let usage = json!({"inputTokens": 1_000, "outputTokens": 100, "totalTokens": 1_500,
            "cacheReadInputTokens": 400, "cacheWriteInputTokens": 0});
        let content = json!([{"text": "hi"}]);
        let whole = json!({"output": {"message": {"role": "assistant", "content": content}},
            "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 5}});
        let events = [
            ("messageStart", json!({"role": "assistant"})),
            ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "hi"}})),
            ("contentBlockStop", json!({"contentBlockIndex": 0})),
            ("messageStop", json!({"stopReason": "end_turn"})),
            ("metadata", json!({"usage": usage, "metrics": {"latencyMs": 5}})),
        ];
        let frames: Vec<u8> =
            events.iter().flat_map(|(name, event)| eventstream::event(name, event)).collect();
        // Cut where no frame ends.
        let body = frames.chunks(37).map(<[u8]>::to_vec).collect();
        let kind = "application/vnd.amazon.eventstream";
        let stream = Script { status: 200, kind, headers: &[], body };
        for (secret, proof) in accounts() {
            for (script, streamed) in [(Script::json(200, &whole), false), (stream.clone(), true)] {
                let caller = Caller::new(shared().await).await;
                let body = json!({"model": "bedrock/us.amazon.nova-2-lite-v1:0",
                    "messages": said(), "max_tokens": 200, "stream": streamed});
                let ask = Ask {
                    secret: secret.to_string(),
                    ..ask("bedrock", "/v1/chat/completions", body)
                };

                let (answer, sent) = send(&caller, &ask, script).await;

                let answer = answer.expect(200);
                assert!(answer.text().contains("hi"), "{}", answer.text());
                assert_eq!(sent["inferenceConfig"]["maxTokens"], 200);
                assert!(caller.posts()[0].headers["authorization"].starts_with(proof));
                assert_charged(&caller, &answer, "0.000638").await;
            }
        }
    });
}

#[test]
fn an_answer_of_cohere_is_charged_by_its_billed_units_whole_and_streamed() {
    run(async {
        // command-a-03-2025: 2.5 and 10 USD. The counts beside the billed units are not billed.
        let usage = json!({"billed_units": {"input_tokens": 1_000, "output_tokens": 100},
            "tokens": {"input_tokens": 1_700, "output_tokens": 160}});
        let content = json!([{"type": "text", "text": "hi"}]);
        let whole = json!({"id": "m1", "finish_reason": "COMPLETE", "usage": usage,
            "message": {"role": "assistant", "content": content}});
        let events = [
            json!({"id": "m1", "type": "message-start",
                "delta": {"message": {"role": "assistant", "content": []}}}),
            json!({"type": "content-start", "index": 0,
                "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
            json!({"type": "content-delta", "index": 0,
                "delta": {"message": {"content": {"text": "hi"}}}}),
            json!({"type": "content-end", "index": 0}),
            json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}),
        ];
        let body = events.iter().map(|event| {
            let name = event["type"].as_str().unwrap();
            format!("event: {name}\ndata: {event}\n\n").into_bytes()
        });
        let body = body.collect();
        let stream = Script { status: 200, kind: "text/event-stream", headers: &[], body };
        for (script, streamed) in [(Script::json(200, &whole), false), (stream, true)] {
            let caller = Caller::new(shared().await).await;
            let body = json!({"model": "cohere/command-a-03-2025", "messages": said(),
                "max_tokens": 200, "stream": streamed});

            let ask = ask("cohere", "/v1/chat/completions", body);
            let (answer, sent) = send(&caller, &ask, script).await;

            let answer = answer.expect(200);
            assert!(answer.text().contains("hi"), "{}", answer.text());
            assert_eq!(sent["max_tokens"], 200);
            assert_charged(&caller, &answer, "0.0035").await;
        }
    });
}
