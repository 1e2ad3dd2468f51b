//! Every refusal before a provider is called: its status and code in the caller's dialect, and
//! that it left no hold, no charge and no request.

use std::time::Duration;

use farebox_core::{Catalog, GatewayKey, Timestamp};
use farebox_tests::caller::{native, openai};
use farebox_tests::{Answer, Call, Caller, run, until, usd};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::shared;

/// The same question to both endpoints.
pub fn both(caller: &Caller<'_>, model: &str, options: &Value) -> [Call; 2] {
    [
        caller.post("/v1/chat", &native(model, options)),
        caller.post("/v1/chat/completions", &openai(&format!("demo/{model}"), options)),
    ]
}

/// Asserts a refusal's status, and its form in the dialect of the endpoint that gave it.
pub fn assert_refusal(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!(answer.code(), status, "{}", answer.text());
    let id = answer.header("x-request-id").expect("x-request-id");
    assert!(id.parse::<farebox_core::Rid>().is_ok(), "{id}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    let error = &body["error"];
    assert_eq!(error["code"], code, "{body}");
    if body.get("success").is_some() {
        assert_eq!((&body["success"], body["request_id"].as_str()), (&json!(false), Some(id)));
    } else {
        assert!(error["type"].is_string() && error.get("param").is_some(), "{body}");
    }
    let message = error["message"].as_str().expect("a message").to_owned();
    assert!(message.len() > 10, "{message:?}");
    message
}

/// Sends both and asserts that they are refused alike and that nothing was touched.
async fn assert_both_refused(
    caller: &Caller<'_>,
    calls: [Call; 2],
    status: u16,
    code: &str,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    for call in calls {
        let answer = call.send().await;
        assert_refusal(&answer, status, code);
        answers.push(answer);
    }
    assert!(answers[0].json().get("success").is_some(), "Farebox's form");
    assert!(answers[1].json().get("success").is_none(), "OpenAI's form");
    caller.assert_untouched().await;
    answers
}

fn question(caller: &Caller<'_>) -> [Call; 2] {
    both(caller, "chat", &json!({}))
}

#[test]
fn a_call_without_a_key_is_told_how_to_send_one() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let calls = question(&caller).map(|call| call.without("authorization"));

        let answers = assert_both_refused(&caller, calls, 401, "invalid_api_key").await;

        assert!(answers[0].text().contains("Authorization: Bearer sk-fb-"));
    });
}

#[test]
fn a_key_that_is_not_one_of_ours_is_refused_without_a_reason() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let of_stage = |stage| GatewayKey::generate(stage, [7; 42]).secret().expose().to_owned();
        let mut cut = caller.key.clone();
        cut.truncate(cut.len() - 1);
        let mut messages = Vec::new();
        for key in [
            "sk-proj-of-somebody-else".to_owned(),
            "sk-fb-".to_owned(),
            cut,
            of_stage("elsewhere"),
            of_stage("local"),
            format!("{} extra", caller.key),
        ] {
            let calls = question(&caller).map(|call| call.bearer(&key));
            let answers = assert_both_refused(&caller, calls, 401, "invalid_api_key").await;
            messages.push(answers[0].json()["error"]["message"].clone());
        }
        assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
    });
}

#[test]
fn a_revoked_key_is_refused() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let path = format!("/keys/{}", caller.key_id);
        let revoked = shared().await.admin(Method::DELETE, &path).send().await;
        assert!(revoked.status.is_success(), "{}", revoked.text());

        assert_both_refused(&caller, question(&caller), 401, "invalid_api_key").await;
    });
}

#[test]
fn a_key_works_until_it_expires() {
    run(async {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let at = Timestamp::from_ms(i64::try_from(now + 3).unwrap() * 1_000).to_string();
        let caller = Caller::with_key(shared().await, &json!({"expires_at": at})).await;
        let models = || caller.request(Method::GET, "/v1/models").send();
        models().await.expect(200);

        until("the key expires", || async { (models().await.code() == 401).then_some(()) }).await;

        assert_both_refused(&caller, question(&caller), 401, "invalid_api_key").await;
    });
}

#[test]
fn a_key_may_use_only_its_models() {
    run(async {
        let models = json!({"models": ["demo/claude"]});
        let caller = Caller::with_key(shared().await, &models).await;

        assert_both_refused(&caller, question(&caller), 403, "model_not_allowed").await;

        caller.complete("demo/claude", &json!({})).await.expect(200);
    });
}

#[test]
fn a_call_without_an_active_credential_names_the_provider() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let messages = json!([{"role": "user", "content": "x"}]);
        let body = json!({"provider": "openai", "model": "gpt-4o", "messages": messages});
        for call in [
            caller.post("/v1/chat", &body),
            caller.post("/v1/chat/completions", &openai("openai/gpt-4o", &json!({}))),
        ] {
            let message = assert_refusal(&call.send().await, 400, "no_active_credential");
            assert_eq!(message, "No active API credentials found for provider: openai");
        }
        let bare = caller.complete("gpt-4o", &json!({})).await;
        assert_refusal(&bare, 400, "no_active_credential");
        caller.assert_untouched().await;
    });
}

#[test]
fn a_disabled_credential_is_none() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let path = format!("/credentials/{}/demo", caller.user);
        let disabled = shared().await.admin(Method::DELETE, &path).send().await;
        assert!(disabled.status.is_success(), "{}", disabled.text());

        let answers =
            assert_both_refused(&caller, question(&caller), 400, "no_active_credential").await;

        let message = &answers[0].json()["error"]["message"];
        assert_eq!(message, "No active API credentials found for provider: demo");
    });
}

#[test]
fn an_unknown_model_is_404() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let calls = both(&caller, "no-such-model", &json!({}));

        let answers = assert_both_refused(&caller, calls, 404, "model_not_found").await;

        assert_eq!(answers[1].json()["error"]["param"], "model");
        let bare = caller.complete("no-such-model-anywhere", &json!({})).await;
        assert_refusal(&bare, 404, "model_not_found");
    });
}

#[test]
fn a_model_without_a_price_is_422() {
    run(async {
        let unpriced = ["openai", "anthropic", "gemini", "mistral", "groq"]
            .into_iter()
            .flat_map(|provider| Catalog::compiled().models(provider).collect::<Vec<_>>())
            .find(|model| model.price.is_none())
            .expect("the catalogue lists models without a price");
        let caller = Caller::new(shared().await).await;
        let (provider, stack) = (unpriced.provider.as_ref(), shared().await);
        stack
            .set_credential(&caller.user, provider, "sk-1", &stack.tap().base_url(&caller.user))
            .await;
        let caller = caller.another_key().await;
        let messages = json!([{"role": "user", "content": "x"}]);
        let name = format!("{provider}/{}", unpriced.name);
        for (path, body) in [
            (
                "/v1/chat",
                json!({"provider": provider, "model": unpriced.name, "messages": messages}),
            ),
            ("/v1/chat/completions", openai(&name, &json!({"max_tokens": 5}))),
        ] {
            let answer = caller.post(path, &body).send().await;
            let message = assert_refusal(&answer, 422, "price_unknown");
            assert!(message.contains(&name), "{message}");
        }
        caller.assert_untouched().await;
    });
}

#[test]
fn a_call_without_a_bound_is_422() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let boundless = both(&caller, "boundless", &json!({}));
        let answers = assert_both_refused(&caller, boundless, 422, "unbounded_call").await;
        assert_eq!(answers[1].json()["error"]["param"], "max_completion_tokens");

        let searching = both(&caller, "chat", &json!({"web_search_options": {}}));
        let answers = assert_both_refused(&caller, searching, 422, "unbounded_call").await;
        assert_eq!(answers[0].json()["error"]["field"], "options.web_search_options");
    });
}

#[test]
fn a_spent_budget_is_402_and_says_whose_which_and_how_much() {
    run(async {
        for (scope, period) in [
            ("user", "month"),
            ("user", "day"),
            ("user", "total"),
            ("key", "month"),
            ("key", "day"),
        ] {
            let caller = Caller::new(shared().await).await;
            let budget = json!({format!("{period}_limit_usd"): "0.000000000001"});
            match scope {
                "user" => caller.limit_user(&budget).await,
                _ => caller.limit_key(&budget).await,
            }
            let calls = both(&caller, "chat", &json!({"max_tokens": 10}));

            let answers = assert_both_refused(&caller, calls, 402, "budget_exceeded").await;

            for answer in answers {
                let header = answer.header("x-farebox-budget").expect("x-farebox-budget");
                let parts: Vec<_> = header.split(';').collect();
                assert_eq!(&parts[..4], [scope, period, "0.000000000001", "0"], "{header}");
                assert!(usd(parts[4]) > usd("0.00001"), "{header}");
                let reset = answer.header(&format!("x-farebox-reset-{scope}"));
                assert_eq!(reset.is_some(), period != "total", "{reset:?}");
                let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
                let start = format!("Budget exceeded: {scope} {period} limit 0.000000000001 USD");
                assert!(message.starts_with(&start), "{message}");
            }
        }
    });
}

#[test]
fn the_openai_form_of_a_spent_budget_has_its_own_type() {
    run(async {
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"month_limit_usd": "0.000000000001"})).await;

        let answer = caller.complete("demo/chat", &json!({})).await;

        assert_refusal(&answer, 402, "budget_exceeded");
        assert_eq!(answer.json()["error"]["type"], "budget_exceeded");
    });
}

#[test]
fn a_key_with_a_maximum_for_one_call_refuses_a_dearer_one() {
    run(async {
        let caller = Caller::with_key(shared().await, &json!({"max_cost_usd": "0.001"})).await;
        let calls = both(&caller, "chat", &json!({"max_tokens": 4_000}));

        assert_both_refused(&caller, calls, 402, "call_too_costly").await;

        caller.chat("chat", &json!({"max_tokens": 10})).await.expect(200);
    });
}

#[test]
fn a_wrong_path_or_method_is_told() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let nothing = caller.request(Method::GET, "/v1/nothing").send().await;
        assert_refusal(&nothing, 404, "not_found");
        for (method, path, allowed) in [
            (Method::GET, "/v1/chat", "POST"),
            (Method::PUT, "/v1/chat/completions", "POST"),
            (Method::POST, "/v1/models", "GET"),
        ] {
            let answer = caller.request(method, path).send().await;
            assert_refusal(&answer, 405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(allowed));
        }
        let other = caller.post("/v1/realtime/sessions", &json!({})).send().await;
        assert!(assert_refusal(&other, 501, "not_supported").contains("/v1/chat"));
    });
}

/// What is not served: the path, an address below it, and whose words tell it where no header says.
const NOT_SERVED: [(&str, &str, &str); 30] = [
    ("/v1/batches", "batch_1/cancel", "openai"),
    ("/v1/files", "file-1/content", "openai"),
    ("/v1/uploads", "upload_1/parts", "openai"),
    ("/v1/vector_stores", "vs_1/files", "openai"),
    ("/v1/containers", "cntr_1", "openai"),
    ("/v1/assistants", "asst_1", "openai"),
    ("/v1/threads", "thread_1/runs", "openai"),
    ("/v1/chat/completions", "chatcmpl-1/messages", "openai"),
    ("/v1/responses", "resp_1/input_items", "responses"),
    ("/v1/conversations", "conv_1/items", "responses"),
    ("/v1/fine_tuning", "jobs/ftjob-1/events", "openai"),
    ("/v1/evals", "eval_1/runs", "openai"),
    ("/v1/realtime", "sessions", "openai"),
    ("/v1/videos", "video_1/content", "openai"),
    ("/v1/images", "generations", "openai"),
    ("/v1/audio", "transcriptions", "openai"),
    ("/v1/moderations", "m", "openai"),
    ("/v1/rerank", "r", "openai"),
    ("/v2/rerank", "r", "openai"),
    ("/v1/messages/batches", "msgbatch_1/results", "messages"),
    ("/v1/skills", "skill_1/versions", "messages"),
    ("/v1/complete", "c", "messages"),
    ("/v1beta/files", "f1:download", "gemini"),
    ("/upload/v1beta/files", "f1", "gemini"),
    ("/v1beta/cachedContents", "c1", "gemini"),
    ("/v1/cachedContents", "c1", "gemini"),
    ("/v1beta/batches", "b1:cancel", "gemini"),
    ("/v1beta/tunedModels", "t1", "gemini"),
    ("/v1beta/fileSearchStores", "s1/documents", "gemini"),
    ("/v1beta/interactions", "i1", "gemini"),
];

#[test]
fn what_is_not_served_is_a_501_in_the_words_of_its_callers() {
    let rows = include_str!("../../functions/chat/src/not_served.rs");
    let rows: Vec<&str> = rows.lines().filter_map(|row| row.trim().strip_prefix("(\"/")).collect();
    assert_eq!(rows.len(), NOT_SERVED.len());
    run(async {
        let caller = Caller::new(shared().await).await;
        for (path, below, words) in NOT_SERVED {
            let row = format!("{}\"", &path[1..]);
            assert!(rows.iter().any(|known| known.starts_with(&row)), "{path}");
            let under = format!("{path}/{below}");
            let mut calls = vec![
                (Method::GET, under.clone()),
                (Method::POST, under.clone()),
                (Method::DELETE, under),
            ];
            // Two are served themselves, and keep nothing that could be asked for.
            if !["/v1/chat/completions", "/v1/responses"].contains(&path) {
                calls.extend([(Method::GET, path.to_owned()), (Method::POST, path.to_owned())]);
            }
            for (method, path) in calls {
                let ask = || caller.request(method.clone(), &path);
                assert_not_served(&ask().send().await, words, &path);
                if words == "openai" {
                    let claude = ask().with("anthropic-version", "2023-06-01").send().await;
                    assert_not_served(&claude, "messages", &path);
                    let google = ask().with("x-goog-api-key", &caller.key).send().await;
                    assert_not_served(&google, "gemini", &path);
                }
            }
        }
        caller.assert_untouched().await;
    });
}

/// Asserts a 501 in these words, which names the path and what to do instead.
fn assert_not_served(answer: &Answer, words: &str, path: &str) {
    assert_eq!(answer.code(), 501, "{path}: {}", answer.text());
    let body = answer.json();
    let error = &body["error"];
    let told = match words {
        "messages" => body["type"] == "error" && error["type"] == "api_error",
        "gemini" => error["status"] == "UNIMPLEMENTED" && error["code"] == 501,
        _ => error["code"] == "not_supported" && error.get("param").is_some(),
    };
    assert!(told, "{path} in the words of {words}: {body}");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains(path) && message.len() > path.len() + 20, "{message}");
}

#[test]
fn what_is_billed_by_the_hour_or_by_the_document_cannot_be_made() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for path in ["/v1beta/cachedContents", "/v1/cachedContents", "/v1/rerank", "/v2/rerank"] {
            caller.post(path, &json!({"model": "demo/gemini"})).send().await.expect(501);
        }
        caller.assert_untouched().await;
    });
}

#[test]
fn a_body_that_is_too_long_is_413() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let long = "x".repeat(4_100_000);
        let body = json!({"model": "demo/chat", "messages": [{"role": "user", "content": long}]});
        for path in ["/v1/chat", "/v1/chat/completions"] {
            let answer = caller.post(path, &body).send().await;
            let message = assert_refusal(&answer, 413, "request_too_large");
            assert!(message.contains("4000000"), "{message}");
        }
        // Beyond what fits into one event the front itself refuses.
        let body = json!({"messages": "x".repeat(11_000_000)});
        let answer = caller.post("/v1/chat", &body).send().await;
        assert_eq!(answer.code(), 413, "{}", answer.text());
        caller.assert_untouched().await;
    });
}

#[test]
fn a_body_that_is_not_plain_json_is_415() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for (name, value) in [
            ("content-type", "text/plain"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("content-encoding", "gzip"),
            ("content-encoding", "br"),
        ] {
            let calls = question(&caller).map(|call| call.with(name, value));
            let answers = assert_both_refused(&caller, calls, 415, "unsupported_media_type").await;
            assert!(answers[0].text().contains(value), "{}", answers[0].text());
        }
        let calls = question(&caller).map(|call| call.without("content-type"));
        assert_both_refused(&caller, calls, 415, "unsupported_media_type").await;
    });
}

#[test]
fn two_hundred_strangers_are_refused_and_do_not_slow_a_caller() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let url = shared().await.url("/v1/chat");
        let stranger =
            || Call::post(&url, &native("chat", &json!({}))).bearer("sk-fb-nobody").send();

        let answers = futures_util::future::join_all((0..200).map(|_| stranger()));
        let answers = tokio::time::timeout(Duration::from_secs(30), answers).await.unwrap();

        assert!(answers.iter().all(|answer| answer.code() == 401));
        caller.chat("chat", &json!({})).await.expect(200);
    });
}
