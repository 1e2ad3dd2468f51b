//! A paid call without a stream, and what its caller can read afterwards.

use farebox_core::Money;
use farebox_tests::caller::{native, openai};
use farebox_tests::{Answer, Call, Caller, run, usd};
use serde_json::{Value, json};

use crate::stacks::shared;

/// A model on each wire format.
pub const WIRES: [&str; 2] = ["demo/chat", "demo/claude"];

fn assert_ulid(text: &str) {
    assert!(text.parse::<farebox_core::Rid>().is_ok(), "{text:?}");
}

fn assert_usage(usage: &Value) {
    let count = |name: &str| usage[name].as_u64().unwrap_or_else(|| panic!("{name} in {usage}"));
    assert!(count("prompt_tokens") > 0 && count("completion_tokens") > 0, "{usage}");
    assert_eq!(count("prompt_tokens") + count("completion_tokens"), count("total_tokens"));
}

/// The total of a cost object whose parts make it up.
pub fn total_of(cost: &Value) -> Money {
    let amount = |name: &str| usd(cost[name].as_str().unwrap_or_else(|| panic!("{name}: {cost}")));
    assert_eq!(cost["currency"], "USD");
    assert_eq!(amount("input_cost").plus(amount("output_cost")), Some(amount("total_cost")));
    assert!(amount("total_cost") > Money::ZERO, "{cost}");
    amount("total_cost")
}

fn assert_paid_headers(answer: &Answer, cost: Money) {
    assert_ulid(answer.header("x-request-id").unwrap());
    assert_eq!(answer.header("x-farebox-cost-usd").map(usd), Some(cost));
    for (scope, limit) in [("user", "0.5"), ("key", "0.25")] {
        let room = answer.header(&format!("x-farebox-room-usd-{scope}")).map(usd).unwrap();
        assert!(Some(room) <= usd(limit).minus(cost) && room > Money::ZERO, "{scope} {room}");
        let reset = answer.header(&format!("x-farebox-reset-{scope}")).unwrap();
        assert!(farebox_core::Timestamp::parse(reset).is_ok(), "{scope} {reset}");
    }
}

async fn limited() -> Caller<'static> {
    let caller = Caller::new(shared().await).await;
    caller.limit_user(&json!({"month_limit_usd": "0.5"})).await;
    caller.limit_key(&json!({"day_limit_usd": "0.25"})).await;
    caller
}

#[test]
fn an_answer_in_farebox_form_has_every_field_and_the_exact_cost() {
    run(async {
        for model in WIRES {
            let caller = limited().await;

            let answer = caller.chat(model, &json!({})).await.expect(200);

            let body = answer.json();
            assert_eq!(body["success"], true);
            assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
            assert_eq!(body["provider"], "demo");
            assert_eq!(Some(body["model"].as_str().unwrap()), model.strip_prefix("demo/"));
            assert!(body["content"].as_str().unwrap().contains("You said: \"hello\""), "{body}");
            assert_eq!(
                (&body["role"], &body["finish_reason"]),
                (&json!("assistant"), &json!("stop"))
            );
            assert!(body["response_time_ms"].is_u64(), "{body}");
            assert_usage(&body["usage"]);
            let cost = total_of(&body["cost"]);
            assert_paid_headers(&answer, cost);
            assert_eq!(caller.assert_settled_to_the_bill().await, cost);
        }
    });
}

#[test]
fn an_answer_in_openai_form_has_every_field_and_the_exact_cost() {
    run(async {
        for model in WIRES {
            let caller = limited().await;

            let answer = caller.complete(model, &json!({})).await.expect(200);

            let body = answer.json();
            assert_eq!(body["object"], "chat.completion");
            assert!(body["id"].as_str().is_some_and(|id| !id.is_empty()), "{body}");
            assert!(body["created"].as_i64().is_some_and(|at| at > 1_700_000_000), "{body}");
            assert_eq!(Some(body["model"].as_str().unwrap()), model.strip_prefix("demo/"));
            let choice = &body["choices"][0];
            assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(0), &json!("stop")));
            assert_eq!(choice["message"]["role"], "assistant");
            assert!(choice["message"]["content"].as_str().unwrap().contains("\"hello\""));
            assert_usage(&body["usage"]);
            let cost = total_of(&body["usage"]["cost"]);
            assert_paid_headers(&answer, cost);
            assert_eq!(caller.assert_settled_to_the_bill().await, cost);
        }
    });
}

#[test]
fn several_choices_cost_what_the_provider_bills_for_all() {
    run(async {
        let caller = Caller::new(shared().await).await;

        let body = caller.complete("demo/chat", &json!({"n": 3})).await.expect(200).json();

        assert_eq!(body["choices"].as_array().map(Vec::len), Some(3));
        assert_eq!(caller.assert_settled_to_the_bill().await, total_of(&body["usage"]["cost"]));
    });
}

#[test]
fn a_cap_reaches_the_provider_and_ends_the_answer() {
    run(async {
        for model in WIRES {
            let caller = Caller::new(shared().await).await;

            let body = caller.complete(model, &json!({"max_tokens": 5})).await.expect(200).json();

            assert_eq!(body["choices"][0]["finish_reason"], "length");
            assert_eq!(body["usage"]["completion_tokens"], 5);
            caller.assert_settled_to_the_bill().await;
        }
    });
}

#[test]
fn the_callers_own_request_id_is_kept_beside_ours() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let call = caller.post("/v1/chat", &native("chat", &json!({})));

        let answer = call.with("x-request-id", "my-own-id").send().await.expect(200);

        let ours = answer.header("x-request-id").unwrap();
        assert_ulid(ours);
        let row = caller.row(ours).await;
        assert_eq!(
            (row["request_id"].as_str(), &row["client_request_id"]),
            (Some(ours), &json!("my-own-id"))
        );
    });
}

#[test]
fn a_model_is_found_by_its_full_name_by_a_bare_name_and_beside_its_provider() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let messages = json!([{"role": "user", "content": "hi"}]);
        for (path, body) in [
            ("/v1/chat/completions", openai("demo/chat", &json!({}))),
            ("/v1/chat/completions", openai("drip", &json!({"max_tokens": 1}))),
            ("/v1/chat", native("chat", &json!({}))),
            ("/v1/chat", json!({"model": "demo/chat", "messages": messages})),
            ("/v1/chat", json!({"provider": "demo", "model": "demo/chat", "messages": messages})),
        ] {
            caller.post(path, &body).send().await.expect(200);
        }
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn each_sdks_key_header_is_taken() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for name in ["x-api-key", "api-key"] {
            let url = shared().await.url("/v1/models");
            let call = || Call::get(url.clone()).with(name, &caller.key);

            call().send().await.expect(200);
            // A client's own bearer of somebody else's beside it.
            call().bearer("eyJhbGciOiJub25lIn0.e30.").send().await.expect(200);
        }
        let call = Call::get(shared().await.url("/v1/models")).bearer("eyJhbGciOiJub25lIn0.e30.");
        call.send().await.expect(401);
    });
}

#[test]
fn the_models_are_those_that_the_caller_can_use() {
    run(async {
        let caller =
            Caller::with_key(shared().await, &json!({"models": ["demo/chat", "demo/claude"]}))
                .await;

        let list = caller.read("/v1/models").await;

        assert_eq!(list["object"], "list");
        let ids: Vec<_> =
            list["data"].as_array().unwrap().iter().map(|m| m["id"].clone()).collect();
        assert_eq!(ids, [json!("demo/chat"), json!("demo/claude")]);
        let one = caller.read("/v1/models/demo/chat").await;
        assert_eq!(
            (&one["id"], &one["object"], &one["owned_by"]),
            (&json!("demo/chat"), &json!("model"), &json!("demo"))
        );
        assert_eq!(
            (&one["pricing"]["input"], &one["pricing"]["output"]),
            (&json!("0.5"), &json!("2"))
        );
        for absent in ["demo/exact", "demo/nope", "openai/gpt-4o"] {
            let path = format!("/v1/models/{absent}");
            let answer = caller.request(http::Method::GET, &path).send().await.expect(404);
            assert_eq!(answer.json()["error"]["code"], "model_not_found");
        }
    });
}

#[test]
fn the_budget_shows_limits_charges_and_room_of_each_period() {
    run(async {
        let caller = limited().await;
        let cost = caller.chat("chat", &json!({})).await.expect(200);
        let cost = usd(cost.header("x-farebox-cost-usd").unwrap());

        let budget = caller.read("/v1/budget").await;

        let scopes = budget["scopes"].as_array().unwrap();
        for (kind, id, period, limit) in
            [("user", &caller.user, "month", "0.5"), ("key", &caller.key_id, "day", "0.25")]
        {
            let row = scopes.iter().find(|row| row["kind"] == kind && row["period"] == period);
            let row = row.unwrap_or_else(|| panic!("no {kind} {period} in {budget}"));
            assert_eq!(row["id"], id.as_str());
            assert_eq!(row["limit_usd"], limit);
            assert_eq!(row["settled_usd"], cost.to_string());
            assert_eq!(row["held_usd"], "0");
            assert_eq!(row["room_usd"], usd(limit).minus(cost).unwrap().to_string());
            let resets_at = row["resets_at"].as_str().unwrap();
            assert!(farebox_core::Timestamp::parse(resets_at).is_ok(), "{resets_at}");
            assert_eq!(row["exceeded"], false);
            assert!(row["alerts"].is_array(), "{row}");
        }
    });
}

#[test]
fn a_caller_reads_what_each_of_its_calls_cost() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let first = caller.chat("chat", &json!({})).await.expect(200);
        let second = caller.complete("demo/claude", &json!({})).await.expect(200);
        let refused = caller.chat("nope", &json!({})).await.expect(404);
        let id_of = |answer: &Answer| answer.header("x-request-id").unwrap().to_owned();
        shared().await.drain().await;

        let page = caller.read("/v1/requests?limit=2").await;
        let cursor = page["next_cursor"].as_str().expect("a second page");
        let rest = caller.read(&format!("/v1/requests?limit=2&cursor={cursor}")).await;

        let ids = |page: &Value| -> Vec<String> {
            let rows = page["requests"].as_array().unwrap().iter();
            rows.map(|row| row["request_id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(&page), [id_of(&refused), id_of(&second)]);
        assert_eq!(ids(&rest), [id_of(&first)]);
        let row = caller.read(&format!("/v1/requests/{}", id_of(&second))).await;
        assert_eq!(row["cost_usd"].as_str(), second.header("x-farebox-cost-usd"));
        assert_eq!(
            (&row["outcome"], &row["status"], &row["model"]),
            (&json!("settled"), &json!(200), &json!("claude"))
        );
        let row = caller.read(&format!("/v1/requests/{}", id_of(&refused))).await;
        assert_eq!((&row["outcome"], &row["status"]), (&json!("refused"), &json!(404)));
        assert_eq!(row["error"]["code"], "model_not_found");
        let other = Caller::new(shared().await).await;
        let path = format!("/v1/requests/{}", id_of(&first));
        other.request(http::Method::GET, &path).send().await.expect(404);
    });
}

#[test]
fn the_log_keeps_the_callers_address_and_user_agent() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let call = caller.post("/v1/chat", &native("chat", &json!({})));
        let answer = call.with("user-agent", "the-callers-agent/1").send().await.expect(200);
        let id = answer.header("x-request-id").unwrap();
        shared().await.drain().await;

        let list = shared().await.read("/requests?limit=100").await;

        let rows = list["requests"].as_array().unwrap();
        let row = rows.iter().find(|row| row["request_id"] == id).expect("the row");
        assert_eq!(
            (&row["ip"], &row["user_agent"]),
            (&json!("127.0.0.1"), &json!("the-callers-agent/1"))
        );
        assert_eq!((&row["user"], &row["outcome"]), (&json!(caller.user), &json!("settled")));
        assert_eq!(row["cost_usd"].as_str(), answer.header("x-farebox-cost-usd"));
    });
}

#[test]
fn the_provider_gets_its_own_credential_and_is_asked_for_plain_bytes() {
    run(async {
        for (model, header) in [("demo/chat", "authorization"), ("demo/claude", "x-api-key")] {
            let caller = Caller::new(shared().await).await;
            caller.complete(model, &json!({})).await.expect(200);

            let posts = caller.posts();

            assert_eq!(posts.len(), 1);
            assert!(posts[0].headers[header].ends_with("demo-key"), "{:?}", posts[0].headers);
            assert_eq!(posts[0].headers["accept-encoding"], "identity");
            assert!(!format!("{:?}", posts[0].headers).contains("sk-fb-"));
        }
    });
}

#[test]
fn the_health_check_needs_no_key() {
    run(async {
        let answer = Call::get(shared().await.url("/healthz")).send().await.expect(200);

        assert_eq!(answer.json()["status"], "ok");
        assert!(answer.header("x-request-id").is_some());
    });
}
