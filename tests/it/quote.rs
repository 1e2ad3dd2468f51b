//! What a call may cost: asked before, bounded by the caller, and the cap that pays for it.

use farebox_core::Money;
use farebox_tests::caller::{native, openai};
use farebox_tests::{Caller, run, usd};
use serde_json::{Value, json};

use crate::stacks::shared;

async fn quote(caller: &Caller<'_>, body: &Value) -> Value {
    caller.post("/v1/quote", body).send().await.expect(200).json()
}

fn amount(object: &Value, field: &str) -> Money {
    usd(object[field].as_str().unwrap_or_else(|| panic!("no {field} in {object}")))
}

#[test]
fn a_quote_is_what_the_call_holds_and_brackets_what_it_costs() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let options = json!({"max_tokens": 50});
        for (path, body) in [
            ("/v1/chat", native("chat", &options)),
            ("/v1/chat/completions", openai("demo/chat", &options)),
        ] {
            let quoted = quote(&caller, &body).await;
            let answer = caller.post(path, &body).send().await.expect(200);

            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!(quoted["ceiling_usd"], row["held_usd"], "{path}");
            assert_eq!(quoted["price_version"], row["price_version"]);
            assert_eq!(
                (&quoted["max_tokens"], &quoted["answer"]),
                (&json!(50), &json!("admitted"))
            );
            let cost = usd(answer.header("x-farebox-cost-usd").unwrap());
            assert!(amount(&quoted, "floor_usd") <= cost, "{quoted} {cost}");
            assert!(cost <= amount(&quoted, "ceiling_usd"), "{quoted} {cost}");
        }
    });
}

#[test]
fn a_call_of_every_dialect_is_quoted_behind_its_own_path() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let said = json!([{"role": "user", "content": "hello"}]);
        let contents = json!([{"parts": [{"text": "hello"}]}]);
        for (path, body) in [
            (
                "/v1/chat/completions",
                json!({"model": "demo/chat", "messages": said, "max_tokens": 50}),
            ),
            ("/v1/messages", json!({"model": "demo/claude", "messages": said, "max_tokens": 50})),
            (
                "/v1/responses",
                json!({"model": "demo/codex", "input": "hello", "max_output_tokens": 50}),
            ),
            (
                "/v1beta/models/demo/gemini:generateContent",
                json!({"contents": contents, "generationConfig": {"maxOutputTokens": 50}}),
            ),
            ("/v1/embeddings", json!({"model": "demo/embed", "input": "hello"})),
        ] {
            let quoted = caller.post(&format!("/v1/quote{path}"), &body).send().await;
            let quoted = quoted.expect(200).json();
            let sent = caller.posts().len();

            let answer = caller.post(path, &body).send().await.expect(200);

            caller.stack().drain().await;
            let id = answer.header("x-request-id").unwrap();
            let row = caller.stack().read(&format!("/requests/{id}")).await;
            assert_eq!(quoted["hold_usd"], row["hold_usd"], "{path}");
            assert_eq!(caller.posts().len(), sent + 1, "a quote sends nothing");
        }
        for path in ["/v1/quote/v1/models", "/v1/quote/v1/messages/count_tokens"] {
            let refused = caller.post(path, &json!({})).send().await;
            assert!(matches!(refused.code(), 404 | 405 | 501), "{}", refused.text());
        }
        let bad = json!({"model": "demo/claude", "messages": [], "max_tokens": 5});
        let bad = caller.post("/v1/quote/v1/messages", &bad).send().await.expect(400).json();
        assert_eq!(bad["error"]["param"], "messages", "{bad}");
    });
}

#[test]
fn a_quote_sends_holds_and_logs_nothing() {
    run(async {
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"day_limit_usd": "1"})).await;

        quote(&caller, &native("chat", &json!({}))).await;

        caller.assert_untouched().await;
        let rows = caller.read("/v1/requests").await;
        assert_eq!(rows["requests"], json!([]));
    });
}

#[test]
fn a_quote_gives_the_answer_of_each_scope() {
    run(async {
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"day_limit_usd": "0.002", "month_limit_usd": "1"})).await;

        let open = quote(&caller, &native("chat", &json!({}))).await;
        let fixed = quote(&caller, &native("chat", &json!({"max_tokens": 4_000}))).await;

        let of = |quoted: &Value, kind: &str, period: &str| {
            let scopes = quoted["scopes"].as_array().unwrap().iter();
            let mut found = scopes.filter(|one| one["kind"] == kind && one["period"] == period);
            found.next().unwrap()["answer"].clone()
        };
        for (kind, period, answer) in
            [("user", "day", "refused"), ("user", "month", "admitted"), ("key", "day", "admitted")]
        {
            assert_eq!(of(&open, kind, period), answer, "{kind} {period}");
        }
        assert_eq!((&open["answer"], &fixed["answer"]), (&json!("clamped"), &json!("refused")));
        assert_eq!(fixed["clamped"], Value::Null);
        assert!(amount(&open["clamped"], "ceiling_usd") <= usd("0.002"));
        let served = caller.complete("demo/chat", &json!({})).await.expect(200);
        let sent = served.header("x-farebox-clamped-max-tokens").unwrap();
        assert_eq!(open["clamped"]["max_tokens"].to_string(), sent);
    });
}

#[test]
fn a_quote_refuses_what_the_call_would_refuse() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for (body, status, code) in [
            (openai("demo/none", &json!({})), 404, "model_not_found"),
            (native("chat", &json!({"max_tokens": -1})), 400, "invalid_request_error"),
            (json!([]), 400, "invalid_request_error"),
        ] {
            let answer = caller.post("/v1/quote", &body).send().await.expect(status).json();

            assert_eq!(answer["error"]["code"], code, "{answer}");
        }
    });
}

#[test]
fn a_key_says_when_a_cap_is_lowered() {
    run(async {
        let asked = json!({"max_tokens": 4_000});
        for (clamp, options, is_served) in [
            ("missing", &json!({}), true),
            ("missing", &asked, false),
            ("always", &json!({}), true),
            ("always", &asked, true),
            ("never", &json!({}), false),
            ("never", &asked, false),
        ] {
            let caller = Caller::with_key(shared().await, &json!({"clamp": clamp})).await;
            caller.limit_user(&json!({"day_limit_usd": "0.002"})).await;

            let answer = caller.complete("demo/chat", options).await;

            let told = answer.header("x-farebox-clamped-max-tokens").is_some();
            assert_eq!(
                (answer.status.as_u16(), told),
                if is_served { (200, true) } else { (402, false) }
            );
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn a_caller_bounds_the_cost_of_one_call() {
    run(async {
        let caller = Caller::with_key(shared().await, &json!({"max_cost_usd": "0.5"})).await;
        let call = |options: Value, most: &'static str| {
            let body = openai("demo/chat", &options);
            caller.post("/v1/chat/completions", &body).with("x-farebox-max-cost-usd", most).send()
        };

        let lowered = call(json!({}), "0.002").await.expect(200);
        let refused = call(json!({"max_tokens": 4_000}), "0.002").await.expect(402);
        call(json!({"max_tokens": 4_000}), "10").await.expect(200);

        let row = caller.row(lowered.header("x-request-id").unwrap()).await;
        assert!(amount(&row, "held_usd") <= usd("0.002"), "{row}");
        assert_eq!(refused.json()["error"]["code"], "call_too_costly");
        for wrong in ["", "a", "-1", "0", "1e-3", "0.0000000000001"] {
            let answer = call(json!({}), wrong).await.expect(400);
            assert_eq!(answer.json()["error"]["param"], "x-farebox-max-cost-usd", "{wrong}");
        }
    });
}
