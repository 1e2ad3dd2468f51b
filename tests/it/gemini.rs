//! `POST /v1beta/models/{m}:generateContent`: Gemini's dialect, to a provider that speaks it and to
//! one that does not; and Vertex, whose credential is exchanged for a token.

use farebox_core::Money;
use farebox_tests::tap::Script;
use farebox_tests::{Answer, Books, Call, Caller, run, until, usd};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::shared;

/// The first is passed on as it is, the others are translated.
const WIRES: [&str; 3] = ["demo/gemini", "demo/chat", "demo/claude"];

fn body(more: &Value) -> Value {
    let mut body = json!({
        "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"maxOutputTokens": 64},
    });
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

/// As Google's SDK sends it.
fn ask(caller: &Caller<'_>, model: &str, verb: &str, more: &Value) -> Call {
    let url = caller.stack().url(&format!("/v1beta/models/{model}:{verb}"));
    Call::post(url, &body(more)).with("x-goog-api-key", &caller.key)
}

const WHOLE: &str = "generateContent";
const EVENTS: &str = "streamGenerateContent?alt=sse";
const ARRAY: &str = "streamGenerateContent";

fn chunks(answer: &Answer, verb: &str) -> Vec<Value> {
    match verb {
        WHOLE => vec![answer.json()],
        ARRAY => answer.json().as_array().unwrap().clone(),
        _ => answer.json_events(),
    }
}

fn parts(chunks: &[Value]) -> Vec<Value> {
    let lists = chunks.iter().map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array());
    lists.flatten().flatten().cloned().collect()
}

fn text(chunks: &[Value]) -> String {
    let parts = parts(chunks);
    let said = parts.iter().filter(|part| part["thought"] != true);
    said.filter_map(|part| part["text"].as_str()).collect()
}

#[test]
fn an_answer_costs_what_the_provider_bills_in_each_of_its_three_forms() {
    run(async {
        for model in WIRES {
            for verb in [WHOLE, EVENTS, ARRAY] {
                let caller = Caller::new(shared().await).await;

                let answer = ask(&caller, model, verb, &json!({})).send().await.expect(200);

                let kind = if verb == EVENTS { "text/event-stream" } else { "application/json" };
                assert!(answer.header("content-type").unwrap().starts_with(kind), "{verb}");
                let chunks = chunks(&answer, verb);
                assert!(text(&chunks).contains("\"hello\""), "{model} {verb}: {}", answer.text());
                let last = &chunks[chunks.len() - 1];
                assert_eq!(last["candidates"][0]["finishReason"], "STOP", "{model} {verb}");
                assert!(last["responseId"].as_str().is_some_and(|id| !id.is_empty()));
                let usage = &last["usageMetadata"];
                let count = |name: &str| usage[name].as_u64().unwrap_or_default();
                let output = count("candidatesTokenCount") + count("thoughtsTokenCount");
                assert!(output > 0 && count("promptTokenCount") > 0, "{usage}");
                assert_eq!(count("totalTokenCount"), count("promptTokenCount") + output);
                let cost = caller.assert_settled_to_the_bill().await;
                assert!(cost > Money::ZERO);
                match verb {
                    WHOLE => {
                        let header = answer.header("x-farebox-cost-usd");
                        assert_eq!(header, Some(cost.to_string().as_str()));
                    }
                    // Google's SDK reads no comment.
                    EVENTS => assert!(
                        !answer.text().starts_with(':') && !answer.text().contains("\n:"),
                        "{}",
                        answer.text()
                    ),
                    _ => {}
                }
            }
        }
    });
}

#[test]
fn what_a_provider_of_the_format_says_is_passed_on_by_the_byte() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let sent = json!({
            "contents": [{"parts": [{"text": "hello", "partMetadata": {"odd": 1}}]}],
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            "generationConfig": {"maxOutputTokens": 64, "topK": 3,
                "thinkingConfig": {"includeThoughts": true}},
        });
        for verb in [WHOLE, EVENTS] {
            let answer = ask(&caller, "demo/gemini", verb, &sent).send().await.expect(200);

            let chunks = chunks(&answer, verb);
            let last = &chunks[chunks.len() - 1];
            // What only the provider's own answer has.
            assert_eq!(last["usageMetadata"]["serviceTier"], "standard", "{last}");
            assert!(parts(&chunks).iter().any(|part| part["thought"] == true), "{chunks:?}");
        }
        let posts = caller.posts();
        assert!(posts[0].line.ends_with("/models/gemini:generateContent"), "{}", posts[0].line);
        let stream = "/models/gemini:streamGenerateContent?alt=sse";
        assert!(posts[1].line.ends_with(stream), "{}", posts[1].line);
        let expected = body(&sent);
        for post in posts {
            assert_eq!(serde_json::from_slice::<Value>(&post.body).unwrap(), expected);
        }
        // To another provider they would be dropped in silence, so they are refused by name.
        let refused = ask(&caller, "demo/chat", WHOLE, &sent).send().await.expect(400).json();
        let details = &refused["error"]["details"][0];
        assert_eq!(details["metadata"]["field"], "safetySettings", "{refused}");
    });
}

#[test]
fn a_tool_is_called_whole_and_its_result_is_used() {
    run(async {
        let schema = json!({"type": "OBJECT", "properties": {"city": {"type": "STRING"}},
            "required": ["city"]});
        let declared = json!({"name": "weather", "description": "d", "parameters": schema});
        let tools = json!([{"functionDeclarations": [declared]}]);
        for model in WIRES {
            for verb in [WHOLE, EVENTS] {
                let caller = Caller::new(shared().await).await;
                let any = json!({"functionCallingConfig": {"mode": "ANY"}});
                let first = json!({"tools": tools, "toolConfig": any,
                    "generationConfig": {"maxOutputTokens": 200}});

                let answer = ask(&caller, model, verb, &first).send().await.expect(200);

                let parts = parts(&chunks(&answer, verb));
                let called: Vec<&Value> =
                    parts.iter().filter(|part| part.get("functionCall").is_some()).collect();
                let [part] = called.as_slice() else { panic!("{}", answer.text()) };
                let call = &part["functionCall"];
                assert_eq!(
                    (&call["name"], call["args"].get("city").is_some()),
                    (&json!("weather"), true),
                    "{part}"
                );
                let mut response = json!({"name": "weather", "response": {"output": "sunny"}});
                if let Some(id) = call.get("id") {
                    response["id"] = id.clone();
                }
                let contents = json!([
                    {"role": "user", "parts": [{"text": "weather?"}]},
                    {"role": "model", "parts": [part]},
                    {"role": "user", "parts": [{"functionResponse": response}]},
                ]);
                let second = json!({"contents": contents, "tools": tools,
                    "generationConfig": {"maxOutputTokens": 200}});
                let second = ask(&caller, model, WHOLE, &second).send().await.expect(200).json();
                assert!(text(std::slice::from_ref(&second)).contains("sunny"), "{second}");
                caller.assert_settled_to_the_bill().await;
            }
        }
    });
}

#[test]
fn a_chat_to_a_gemini_model_carries_its_signatures_through_a_second_turn() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}},
            "required": ["city"]});
        let function = json!({"name": "weather", "parameters": parameters});
        let tools = json!([{"type": "function", "function": function}]);
        let ask = |messages: Value| {
            let body = json!({"model": "demo/gemini", "messages": messages, "tools": tools,
                "max_tokens": 200, "reasoning_effort": "low"});
            caller.post("/v1/chat/completions", &body).send()
        };
        let question = json!({"role": "user", "content": "WEATHER?"});

        let first = ask(json!([question])).await.expect(200).json();

        let choice = &first["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls", "{first}");
        let message = &choice["message"];
        assert_eq!(message["reasoning_content"], "I think of an answer.");
        assert!(first["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64() > Some(0));
        let call = &message["tool_calls"][0];
        let signature = &message["reasoning_details"][0]["data"];
        let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "sunny"});
        let second = ask(json!([question, message, result])).await.expect(200).json();
        let said = second["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(said.contains("sunny"), "{second}");
        let posted: Value = serde_json::from_slice(&caller.posts()[1].body).unwrap();
        let part = &posted["contents"][1]["parts"][0];
        assert_eq!(&part["thoughtSignature"], signature, "{posted}");
        assert!(signature.as_str().unwrap().starts_with("sig-"), "{signature}");
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn a_refusal_is_told_in_the_dialect_and_nothing_is_sent() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for (more, code, status, field) in [
            (json!({"contents": []}), 400, "INVALID_ARGUMENT", "contents"),
            (json!({"odd": 1}), 400, "INVALID_ARGUMENT", "odd"),
            (
                json!({"tools": [{"googleSearch": {}}]}),
                422,
                "INVALID_ARGUMENT",
                "tools[0].googleSearch",
            ),
            (
                json!({"generationConfig": {"maxOutputTokens": -1}}),
                400,
                "INVALID_ARGUMENT",
                "generationConfig.maxOutputTokens",
            ),
        ] {
            let answer = ask(&caller, "demo/gemini", WHOLE, &more).send().await.expect(code);
            let error = &answer.json()["error"];
            assert_eq!((&error["code"], &error["status"]), (&json!(code), &json!(status)));
            assert_eq!(error["details"][0]["metadata"]["field"], field, "{error}");
        }
        let in_url = format!("generateContent?key={}", caller.key);
        let answer = ask(&caller, "demo/gemini", &in_url, &json!({})).send().await.expect(400);
        assert!(answer.text().contains("x-goog-api-key"), "{}", answer.text());
        let unknown = ask(&caller, "demo/gemini", WHOLE, &json!({}));
        let unknown = unknown.with("x-goog-api-key", "sk-fb-no").send().await.expect(401).json();
        assert_eq!(unknown["error"]["status"], "UNAUTHENTICATED");
        let batch = ask(&caller, "demo/gemini", "batchGenerateContent", &json!({}));
        let batch = batch.send().await.expect(501).json();
        assert_eq!(batch["error"]["status"], "UNIMPLEMENTED");
        caller.assert_untouched().await;
        caller.limit_user(&json!({"day_limit_usd": "0.0000001"})).await;
        let poor = ask(&caller, "demo/gemini", WHOLE, &json!({})).send().await.expect(402).json();
        assert_eq!(poor["error"]["status"], "RESOURCE_EXHAUSTED");
        assert_eq!(poor["error"]["details"][0]["reason"], "budget_exceeded");
    });
}

#[test]
fn what_goes_wrong_at_the_provider_is_told_and_the_money_is_right() {
    run(async {
        let ask = |model, verb| async move {
            let caller = Caller::new(shared().await).await;
            let answer = ask(&caller, model, verb, &json!({})).send().await;
            (answer, caller)
        };
        let (busy, caller) = ask("demo/gemini-busy", WHOLE).await;
        assert_eq!(busy.expect(429).header("retry-after"), Some("7"));
        assert_eq!(caller.bill().await, Money::ZERO);
        caller.user_books().await.assert_quiet();
        let (failed, caller) = ask("demo/gemini-error-in-stream", EVENTS).await;
        let events = failed.expect(200).json_events();
        let error = &events[events.len() - 1]["error"];
        assert_eq!(error["status"], "UNAVAILABLE", "{error}");
        // The hold is charged, which is not less than the bill.
        caller.user_books().await.assert_quiet();
        let (failed, _) = ask("demo/gemini-error-in-stream", ARRAY).await;
        let elements = failed.expect(200).json();
        let elements = elements.as_array().unwrap();
        assert_eq!(elements[elements.len() - 1]["error"]["status"], "UNAVAILABLE");
        let (cut, _) = ask("demo/gemini-cut", EVENTS).await;
        let events = cut.expect(200).json_events();
        assert_eq!(events[events.len() - 1]["error"]["code"], 502, "{events:?}");
    });
}

#[test]
fn a_prompt_is_counted_by_its_provider_else_estimated() {
    run(async {
        let other = "mistral/mistral-small-latest";
        for (model, estimated) in
            [("demo/gemini", None), ("demo/chat", None), (other, Some("true"))]
        {
            let caller = Caller::new(shared().await).await;
            let at = caller.stack().tap().base_url(&caller.user);
            caller.stack().set_credential(&caller.user, "mistral", "sk-1", &at).await;
            let contents = json!([{"parts": [{"text": "hello there"}]}]);
            let plain = json!({"contents": contents});
            let inner = json!({"model": "models/x", "contents": contents});
            let url = caller.stack().url(&format!("/v1beta/models/{model}:countTokens"));
            for asked in [plain, json!({"generateContentRequest": inner})] {
                let call = Call::post(url.clone(), &asked).with("x-goog-api-key", &caller.key);
                let answer = call.send().await.expect(200);
                assert!(answer.json()["totalTokens"].as_u64() > Some(0), "{}", answer.text());
                assert_eq!(answer.header("x-farebox-estimate"), estimated);
            }
            assert_eq!(caller.bill().await, Money::ZERO);
            caller.user_books().await.assert_quiet();
        }
    });
}

#[test]
fn the_models_are_listed_as_google_lists_them_and_found_with_either_slash() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let get = |path: &str| {
            let call = Call::new(Method::GET, caller.stack().url(path));
            call.with("x-goog-api-key", &caller.key).send()
        };

        let all = get("/v1beta/models").await.expect(200).json();
        let one = get("/v1beta/models/demo/gemini").await.expect(200).json();
        let encoded = get("/v1beta/models/demo%2Fgemini").await.expect(200).json();
        // Google's SDK asks there, and is known by its header.
        assert_eq!(get("/v1/models").await.expect(200).json(), all);

        let names = all["models"].as_array().unwrap();
        assert!(names.contains(&one), "{one}");
        assert_eq!((&one["name"], &one), (&json!("models/demo/gemini"), &encoded));
        let gone = get("/v1beta/models/demo/none").await.expect(404).json();
        assert_eq!(gone["error"]["status"], "NOT_FOUND");
        let url = caller.stack().url("/v1beta/models/demo%2Fgemini:generateContent");
        let call = Call::post(url, &body(&json!({}))).with("x-goog-api-key", &caller.key);
        call.send().await.expect(200);
    });
}

#[test]
fn a_stream_that_its_budget_cannot_extend_ends_as_gemini_does() {
    run(async {
        for (model, limit) in [("demo/gemini-long", "0.0045"), ("demo/long", "0.0045")] {
            let caller = Caller::new(shared().await).await;
            caller.limit_user(&json!({"day_limit_usd": limit, "mode": "balanced"})).await;
            let more = json!({"generationConfig": {"maxOutputTokens": 4_000}});

            let answer = ask(&caller, model, EVENTS, &more).send().await.expect(200);

            let events = answer.json_events();
            let last = &events[events.len() - 1]["candidates"][0];
            assert_eq!(last["finishReason"], "MAX_TOKENS", "{model}: {}", answer.text());
            caller.user_books().await.assert_quiet();
        }
    });
}

#[test]
fn a_caller_who_hangs_up_pays_what_the_provider_bills() {
    run(async {
        let caller = Caller::new(shared().await).await;

        let mut answer = ask(&caller, "demo/gemini-drip", EVENTS, &json!({})).open().await;
        let piece = answer.piece().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&piece).contains("candidates"));
        drop(answer);

        until("the call is settled", || async {
            let books = [caller.user_books().await, caller.key_books().await];
            let settled = |books: &Books| books.settled() > Money::ZERO;
            books.iter().all(settled).then_some(())
        })
        .await;
        caller.assert_settled_to_the_bill().await;
    });
}

const KEY: &str = include_str!("../../shared/providers/fixtures/account-key.base64");

/// A service account whose tokens the demo provider grants.
fn account(caller: &Caller<'_>) -> Value {
    let pem = format!("-----BEGIN {0}-----\n{KEY}\n-----END {0}-----\n", "PRIVATE KEY");
    json!({
        "type": "service_account", "project_id": "my-project", "private_key": pem,
        "client_email": format!("{}@my-project.iam.gserviceaccount.com", caller.user),
        "token_uri": format!("{}/token", caller.stack().tap().base_url(&caller.user)),
    })
}

#[test]
fn a_dearer_place_is_held_for_where_it_is_called_and_nowhere_else() {
    run(async {
        let mut holds = Vec::new();
        for location in ["global", "europe-west1"] {
            let caller = Caller::new(shared().await).await;
            let (stack, model) = (caller.stack(), "gemini-3-pro-preview");
            let place = format!("/v1/projects/my-project/locations/{location}/publishers/google");
            let answer = json!({"candidates": [{"finishReason": "STOP", "index": 0,
                "content": {"role": "model", "parts": [{"text": "hi"}]}}],
                "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2,
                    "totalTokenCount": 7}});
            let at = format!("{place}/models/{model}:generateContent");
            stack.tap().script_at(&caller.user, &at, Script::json(200, &answer));
            let base = format!("{}{place}", stack.tap().base_url(&caller.user));
            let secret = account(&caller).to_string();
            stack.set_credential(&caller.user, "vertexai", &secret, &base).await;
            let asked = json!({"max_tokens": 100});

            let answer = caller.complete(&format!("vertexai/{model}"), &asked).await.expect(200);

            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            holds.push(usd(row["held_usd"].as_str().unwrap()).pico());
        }
        assert_eq!(holds[0] * 11, holds[1] * 10, "{holds:?}");
    });
}

#[test]
fn vertex_is_called_with_a_token_that_its_service_account_is_granted() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let base = stack.tap().base_url(&caller.user);
        let account = account(&caller);
        let path = format!("/credentials/{}/vertexai", caller.user);
        let put = |account: &Value| {
            let place = "/v1/projects/my-project/locations/global/publishers/google";
            let secret = serde_json::to_string_pretty(account).unwrap();
            let body = json!({"secret": secret, "base_url": format!("{base}{place}")});
            stack.admin(Method::PUT, &path).with("if-match", "*").json(&body).send()
        };
        let mut private = account.clone();
        private["token_uri"] = json!("http://169.254.169.254/token");
        let refused = put(&private).await.expect(400).json();
        assert_eq!(refused["error"]["field"], "secret.token_uri", "{refused}");
        put(&account).await.expect(200);
        for _ in 0..2 {
            let more = json!({"generationConfig": {"maxOutputTokens": 64}});
            let model = "vertexai/gemini-2.5-flash-lite-preview-06-17";
            let answer = ask(&caller, model, WHOLE, &more).send().await.expect(200).json();
            assert!(text(&[answer]).contains("\"hello\""));
        }

        let posts = caller.posts();
        let (grants, calls): (Vec<_>, Vec<_>) =
            posts.iter().partition(|post| post.line.ends_with("/token"));
        // Each environment of the function keeps its own token, and which is called is not told.
        assert!((1..=2).contains(&grants.len()), "{posts:?}");
        assert_eq!((calls.len(), &posts[0].line), (2, &grants[0].line));
        let place = "/v1/projects/my-project/locations/global/publishers/google/models/";
        for call in calls {
            assert!(call.line.contains(place), "{}", call.line);
            assert_eq!(call.headers["authorization"], "Bearer demo-key");
            assert!(!call.headers.contains_key("x-goog-api-key"));
        }
        caller.assert_settled_to_the_bill().await;
    });
}
