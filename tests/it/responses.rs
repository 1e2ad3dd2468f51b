//! `POST /v1/responses`: OpenAI's dialect without state, to providers that speak it and to one that
//! does not; and chat calls to a model that speaks nothing else.

use farebox_core::Money;
use farebox_tests::tap::Script;
use farebox_tests::{Answer, Call, Caller, run, until, usd};
use serde_json::{Value, json};

use crate::bills;
use crate::stacks::shared;

/// The first two are passed on as they are, the third is translated.
const MODELS: [&str; 3] = ["demo/chat", "demo/codex", "demo/claude"];

fn ask(caller: &Caller<'_>, model: &str, more: &Value) -> Call {
    let mut body = json!({"model": model, "input": "hello", "max_output_tokens": 200});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    caller.post("/v1/responses", &body)
}

fn events_of(answer: &Answer) -> Vec<Value> {
    let events = answer.json_events();
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], place, "{event}");
    }
    events
}

fn item<'r>(response: &'r Value, kind: &str) -> &'r Value {
    let items = response["output"].as_array().unwrap();
    items.iter().find(|item| item["type"] == kind).unwrap_or_else(|| panic!("{response}"))
}

fn weather() -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}},
        "required": ["city"]});
    json!([{"type": "function", "name": "weather", "parameters": schema}])
}

#[test]
fn a_response_is_whole_and_costs_what_the_provider_bills() {
    run(async {
        for model in MODELS {
            let caller = Caller::new(shared().await).await;

            let answer = ask(&caller, model, &json!({})).send().await.expect(200);

            let response = answer.json();
            assert_eq!(
                (&response["object"], &response["status"]),
                (&json!("response"), &json!("completed")),
                "{response}"
            );
            let text = &item(&response, "message")["content"][0]["text"];
            assert!(text.as_str().unwrap().contains("\"hello\""), "{response}");
            for field in [
                "id",
                "created_at",
                "model",
                "tools",
                "tool_choice",
                "metadata",
                "parallel_tool_calls",
            ] {
                assert!(!response[field].is_null(), "{model} lacks {field}");
            }
            assert_eq!(response["store"], false);
            let usage = &response["usage"];
            let count = |field: &str| usage[field].as_u64().unwrap();
            assert_eq!(count("input_tokens") + count("output_tokens"), count("total_tokens"));
            let cost = caller.assert_settled_to_the_bill().await;
            assert!(cost > Money::ZERO);
            assert_eq!(answer.header("x-farebox-cost-usd"), Some(cost.to_string().as_str()));
            assert_eq!(usage["cost"]["total_cost"], cost.to_string());
        }
    });
}

#[test]
fn a_stream_ends_with_its_usage_after_the_books_are_closed() {
    run(async {
        for model in MODELS {
            let caller = Caller::new(shared().await).await;

            let answer = ask(&caller, model, &json!({"stream": true})).send().await.expect(200);

            let events = events_of(&answer);
            let kinds: Vec<&str> =
                events.iter().map(|event| event["type"].as_str().unwrap()).collect();
            assert_eq!(kinds[..2], ["response.created", "response.in_progress"], "{model}");
            let [.., part, item_done, last] = events.as_slice() else { panic!("{kinds:?}") };
            assert_eq!(part["type"], "response.content_part.done");
            assert_eq!(item_done["type"], "response.output_item.done");
            assert_eq!(last["type"], "response.completed", "{model}");
            let said: String = events
                .iter()
                .filter(|event| event["type"] == "response.output_text.delta")
                .filter_map(|event| event["delta"].as_str())
                .collect();
            let message = item(&last["response"], "message");
            assert_eq!(message["content"][0]["text"], said, "{model}");
            assert!(last["response"]["usage"]["output_tokens"].as_u64() > Some(0));
            let cost = caller.assert_settled_to_the_bill().await;
            let end = format!(": farebox-cost-usd {cost}\n\nevent: response.completed\n");
            assert!(answer.text().contains(&end), "{}", answer.text());
        }
    });
}

#[test]
fn what_a_provider_of_the_format_says_is_passed_on_by_the_byte() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let tap = caller.stack().tap();
        let sent = json!({"store": true, "service_tier": "auto", "text": {"odd": 1},
            "client_metadata": {"a": "b"}, "include": ["reasoning.encrypted_content"]});

        let answer = ask(&caller, "demo/codex", &sent).send().await.expect(200);

        let seen = &tap.seen(&caller.user)[0];
        let posted: Value = serde_json::from_slice(&seen.body).unwrap();
        let expected = json!({"input": "hello", "text": {"odd": 1}, "client_metadata": {"a": "b"},
            "include": ["reasoning.encrypted_content"], "model": "codex",
            "max_output_tokens": 200, "store": false});
        assert_eq!(posted, expected);
        let response = answer.json();
        // What only the provider's own answer has.
        assert!(
            item(&response, "reasoning")["encrypted_content"]
                .as_str()
                .unwrap()
                .starts_with("sealed-")
        );
        assert_eq!(response["usage"]["output_tokens_details"]["reasoning_tokens"], 5);
        caller.assert_settled_to_the_bill().await;
    });
}

/// What no writer of JSON writes so, whole and streamed: only the cost is put in, and nothing else
/// is written anew.
#[test]
fn an_answer_of_the_format_comes_as_its_provider_wrote_it() {
    run(async {
        const TEXT: &str = r#"[ {"type":"output_text","text":"h\u00e9"} ]"#;
        const USAGE: &str = r#""input_tokens":3,"output_tokens":2,"total_tokens":5,"odd":0"#;
        let caller = Caller::new(shared().await).await;
        let send = async |stream: bool, kind: &'static str, body: &str| {
            let asked = json!({"model": "openai/gpt-4.1", "input": "hello", "stream": stream,
                "max_output_tokens": 9});
            let ask = bills::ask("openai", "/v1/responses", asked);
            let body = vec![body.as_bytes().to_vec()];
            let script = Script { status: 200, kind, headers: &[], body };
            bills::send(&caller, &ask, script).await.0.expect(200).text()
        };
        let item = format!(r#"{{"type":"message", "role":"assistant","content":{TEXT}}}"#);
        let said = format!(r#""model":"\u006d","output":[{item}],"usage":{{{USAGE} }}"#);
        let whole = format!(r#"{{ "id":"resp_1","odd":1.50,"status":"completed",{said} }}"#);

        let told = send(false, "application/json", &whole).await;

        let (before, after) = whole.split_once(" } }").unwrap();
        assert!(told.starts_with(&format!("{before},\"cost\":{{")), "{told}");
        assert!(told.ends_with(&format!(" }} }}{after}")), "{told}");
        let delta = r#"{"type":"response.output_text.delta", "delta":"h\u00e9","odd":1.50}"#;
        let [first, last] = ["created", "completed"].map(|kind| {
            let event = format!(r#"{{"type":"response.{kind}","response":{whole}}}"#);
            format!("event: response.{kind}\ndata: {event}\n\n")
        });
        let delta = format!("event: response.output_text.delta\ndata: {delta}\n\n");

        let told = send(true, "text/event-stream", &format!("{first}{delta}{last}")).await;

        assert!(told.starts_with(&format!("{first}{delta}")), "{told}");
        assert!(told.ends_with(&last), "{told}");
    });
}

#[test]
fn an_agents_loop_works_with_every_model_and_its_past_is_read_from_the_cache() {
    run(async {
        for model in MODELS {
            let caller = Caller::new(shared().await).await;
            let more = json!({"tools": weather(), "tool_choice": "required",
                "input": [{"role": "user", "content": "weather?"}]});
            let streamed = ask(&caller, model, &with(&more, "stream", json!(true)));
            let events = events_of(&streamed.send().await.expect(200));
            let done = events
                .iter()
                .find(|event| event["type"] == "response.function_call_arguments.done");
            let arguments = done.unwrap()["arguments"].as_str().unwrap();
            assert!(serde_json::from_str::<Value>(arguments).unwrap()["city"].is_string());

            let first = ask(&caller, model, &more).send().await.expect(200).json();
            let call = item(&first, "function_call");
            assert_eq!(call["name"], "weather", "{first}");
            let mut input = vec![json!({"role": "user", "content": "weather?"})];
            input.extend(first["output"].as_array().unwrap().iter().cloned());
            input.push(json!({"type": "function_call_output", "call_id": call["call_id"],
                "output": "sunny"}));
            let second = json!({"tools": weather(), "input": input});
            let second = ask(&caller, model, &second).send().await.expect(200).json();

            let text = item(&second, "message")["content"][0]["text"].as_str().unwrap();
            assert!(text.contains("sunny"), "{second}");
            if model == "demo/codex" {
                let cached = &second["usage"]["input_tokens_details"]["cached_tokens"];
                assert!(cached.as_u64() > Some(0), "{second}");
            }
            caller.assert_settled_to_the_bill().await;
        }
    });
}

fn with(more: &Value, field: &str, value: Value) -> Value {
    let mut more = more.clone();
    more[field] = value;
    more
}

#[test]
fn a_custom_tool_is_called_with_a_text_whoever_calls_it() {
    run(async {
        for model in MODELS {
            let caller = Caller::new(shared().await).await;
            let more = json!({"tools": [{"type": "custom", "name": "patch"}],
                "tool_choice": "required"});

            let whole = ask(&caller, model, &more).send().await.expect(200).json();
            let streamed = ask(&caller, model, &with(&more, "stream", json!(true)));
            let events = events_of(&streamed.send().await.expect(200));

            let call = item(&whole, "custom_tool_call");
            assert_eq!((&call["name"], &call["input"]), (&json!("patch"), &json!("sample")));
            let done =
                events.iter().find(|event| event["type"] == "response.custom_tool_call_input.done");
            assert_eq!(done.unwrap()["input"], "sample", "{model}");
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn what_needs_state_or_has_no_bound_is_refused_and_nothing_is_sent() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for (more, status, field) in [
            (json!({"previous_response_id": "resp_1"}), 400, "previous_response_id"),
            (json!({"conversation": "c"}), 400, "conversation"),
            (json!({"prompt": {"id": "p"}}), 400, "prompt"),
            (json!({"background": true}), 400, "background"),
            (json!({"tools": [{"type": "mcp"}]}), 422, "tools[0].type"),
            (json!({"context_management": [{"type": "compaction"}]}), 422, "context_management"),
            (json!({"odd": 1}), 400, "odd"),
            (json!({"input": []}), 400, "input"),
        ] {
            let answer = ask(&caller, "demo/codex", &more).send().await.expect(status);
            let error = answer.json();
            assert_eq!(error["error"]["param"], field, "{error}");
        }
        // A tool that is only named has no counterpart elsewhere.
        let shell = json!({"tools": [{"type": "local_shell"}]});
        let refused = ask(&caller, "demo/claude", &shell).send().await.expect(400).json();
        assert_eq!(refused["error"]["param"], "tools[0].type");
        for (method, path) in [
            (http::Method::GET, "/v1/responses/resp_1"),
            (http::Method::DELETE, "/v1/responses/resp_1"),
            (http::Method::POST, "/v1/responses/resp_1/cancel"),
            (http::Method::GET, "/v1/responses/resp_1/input_items"),
            (http::Method::POST, "/v1/conversations"),
        ] {
            let answer = caller.request(method, path).send().await.expect(501);
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains("keeps no responses"), "{message}");
        }
        caller.assert_untouched().await;
    });
}

#[test]
fn a_failed_response_is_charged_what_it_states_and_a_cut_one_its_worst_case() {
    run(async {
        for stream in [true, false] {
            let caller = Caller::new(shared().await).await;
            let call = ask(&caller, "demo/codex-failed", &json!({"stream": stream}));
            let answer = call.send().await.expect(if stream { 200 } else { 502 });
            if stream {
                let events = events_of(&answer);
                let last = events.last().unwrap();
                assert_eq!(last["type"], "response.failed");
                assert_eq!(last["response"]["error"]["code"], "server_error");
            }
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!(row["outcome"], "settled", "{row}");
            caller.assert_settled_to_the_bill().await;
        }
        for model in ["demo/cut", "demo/error-in-stream", "demo/claude-cut"] {
            let caller = Caller::new(shared().await).await;
            let answer = ask(&caller, model, &json!({"stream": true})).send().await.expect(200);

            let events = events_of(&answer);
            assert_eq!(events.last().unwrap()["type"], "response.failed", "{model}");
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!(row["outcome"], "worst", "{row}");
            let books = caller.user_books().await;
            books.assert_quiet();
            assert!(caller.bill().await <= books.settled(), "{model}");
        }
    });
}

#[test]
fn a_stream_that_its_budget_cannot_extend_ends_as_a_response_does() {
    run(async {
        for (long, limit) in [("demo/long", "0.0045"), ("demo/claude-long", "0.0115")] {
            let caller = Caller::new(shared().await).await;
            caller.limit_user(&json!({"day_limit_usd": limit, "mode": "balanced"})).await;
            let more = json!({"stream": true, "max_output_tokens": 4_000});

            let answer = ask(&caller, long, &more).send().await.expect(200);

            let events = events_of(&answer);
            let [.., text, part, done, last] = events.as_slice() else { panic!("{events:?}") };
            assert_eq!(text["type"], "response.output_text.done", "{long}");
            assert_eq!(part["type"], "response.content_part.done");
            assert_eq!(done["item"]["status"], "incomplete");
            assert_eq!(last["type"], "response.incomplete");
            let response = &last["response"];
            assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
            assert_eq!(response["output"][0]["content"][0]["text"], text["text"]);
            assert!(text["text"].as_str().unwrap().len() > 500);
            caller.user_books().await.assert_quiet();
        }
    });
}

#[test]
fn a_caller_who_hangs_up_pays_what_the_provider_bills() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let call = ask(&caller, "demo/drip", &json!({"stream": true}));
        let mut open = call.open().await;
        open.piece().await.unwrap();
        drop(open);

        until("the call is settled", || async {
            let books = caller.user_books().await;
            (books.settled() > Money::ZERO).then_some(())
        })
        .await;

        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn chat_reaches_a_model_that_only_responses_serve() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for stream in [false, true] {
            let more = json!({"max_tokens": 200, "stream": stream, "reasoning_effort": "low"});
            let answer = caller.complete("demo/codex", &more).await.expect(200);
            if stream {
                let events = answer.json_events();
                let thoughts: String = events
                    .iter()
                    .filter_map(|event| event["choices"][0]["delta"]["reasoning_content"].as_str())
                    .collect();
                assert_eq!(thoughts, "Let me see.");
                continue;
            }
            let message = &answer.json()["choices"][0]["message"];
            assert_eq!(message["reasoning_content"], "Let me see.");
            let sealed = &message["reasoning_details"][1];
            assert_eq!(
                (&sealed["type"], &sealed["format"]),
                (&json!("reasoning.encrypted"), &json!("openai-responses-v1"))
            );
        }
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn a_prompt_is_counted_by_its_provider_as_it_is_billed() {
    run(async {
        for model in ["demo/codex", "demo/chat"] {
            let caller = Caller::new(shared().await).await;
            let body = json!({"model": model, "input": "hello"});

            let counted = caller.post("/v1/responses/input_tokens", &body).send().await.expect(200);

            assert_eq!(counted.header("x-farebox-estimate"), None);
            let answer = counted.json();
            assert_eq!(answer["object"], "response.input_tokens");
            assert_eq!(caller.bill().await, Money::ZERO);
            let asked = json!({"input": "hello"});
            let response = ask(&caller, model, &asked).send().await.expect(200).json();
            assert_eq!(response["usage"]["input_tokens"], answer["input_tokens"], "{model}");
        }
    });
}

#[test]
fn a_long_prompt_is_counted_before_a_small_budget_refuses_it() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let words = "word ".repeat(4_000);
        // Bytes hold 0.01 USD, the count a fifth of it.
        caller.limit_user(&json!({"day_limit_usd": "0.006"})).await;
        let more = json!({"input": words, "max_output_tokens": 100});

        let answer = ask(&caller, "demo/codex", &more).send().await.expect(200);

        let row = caller.row(answer.header("x-request-id").unwrap()).await;
        assert!(usd(row["held_usd"].as_str().unwrap()) < usd("0.006"), "{row}");
        caller.assert_settled_to_the_bill().await;
    });
}
