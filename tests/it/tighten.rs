//! A long prompt that its bytes keep out of a small budget is counted, and let in (money.md 6).

use farebox_core::Money;
use farebox_tests::caller::openai;
use farebox_tests::tap::Script;
use farebox_tests::{Caller, run, usd};
use serde_json::{Value, json};

use crate::money::{assert_exceeded, times};
use crate::stacks::shared;

/// A question of about 40,000 bytes, and so of about 10,000 tokens.
fn long(model: &str) -> Value {
    let mut body = openai(model, &json!({"max_tokens": 20}));
    body["messages"][0]["content"] = json!("word ".repeat(8_000));
    body
}

/// What is held for it by its bytes.
async fn ceiling(caller: &Caller<'_>, body: &Value) -> Money {
    let quote = caller.post("/v1/quote", body).send().await.expect(200).json();
    usd(quote["ceiling_usd"].as_str().unwrap())
}

fn counts(caller: &Caller<'_>, path: &str) -> usize {
    caller.posts().iter().filter(|post| post.line.ends_with(path)).count()
}

#[test]
fn a_long_prompt_is_counted_before_it_is_refused_and_no_sooner() {
    for (model, path) in [
        ("demo/claude", "/messages/count_tokens"),
        ("demo/chat", "/responses/input_tokens"),
        ("demo/codex", "/responses/input_tokens"),
        ("demo/gemini", ":countTokens"),
    ] {
        counted_before_it_is_refused(model, path);
    }
}

fn counted_before_it_is_refused(model: &str, path: &str) {
    run(async {
        let caller = Caller::new(shared().await).await;
        let body = long(model);
        let by_bytes = ceiling(&caller, &body).await;
        caller.limit_user(&json!({"month_limit_usd": times(by_bytes, 2).to_string()})).await;
        caller.post("/v1/chat/completions", &body).send().await.expect(200);
        assert_eq!(counts(&caller, path), 0, "there was room");
        let spent = caller.assert_settled_to_the_bill().await;

        // Room for a third of what the bytes would hold.
        let third = Money::from_pico(spent.pico() + by_bytes.pico() / 3).unwrap();
        caller.limit_user(&json!({"month_limit_usd": third.to_string()})).await;
        let answer = caller.post("/v1/chat/completions", &body).send().await.expect(200);

        assert_eq!(counts(&caller, path), 1, "{model}");
        let row = caller.row(answer.header("x-request-id").unwrap()).await;
        let (held, cost) = (&row["held_usd"], &row["cost_usd"]);
        let (held, cost) = (usd(held.as_str().unwrap()), usd(cost.as_str().unwrap()));
        assert!(cost <= held && held < by_bytes, "{cost} <= {held} < {by_bytes}");
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn a_count_that_cannot_help_is_not_asked_for() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let url = caller.stack().tap().base_url(&caller.user);
        caller.stack().set_credential(&caller.user, "mistral", "sk-1", &url).await;
        // Less than any count could fit into, and a provider without a count.
        for (part, model) in [(10, "demo/claude"), (3, "mistral/mistral-small-latest")] {
            let by_bytes = ceiling(&caller, &long(model)).await;
            let limit = Money::from_pico(by_bytes.pico() / part).unwrap();
            caller.limit_user(&json!({"month_limit_usd": limit.to_string()})).await;
            let before = caller.posts().len();

            let answer = caller.post("/v1/chat/completions", &long(model)).send().await;

            assert_exceeded(&answer, "user", "month");
            assert_eq!(caller.posts().len(), before, "nothing was sent");
        }
    });
}

/// A caller whose calls to a provider are answered by scripts: a count at `path`, else `answer`.
async fn scripted(
    provider: &str,
    secret: &str,
    path: &str,
    count: &Value,
    answer: &Value,
) -> Caller<'static> {
    let caller = Caller::new(shared().await).await;
    let tap = caller.stack().tap();
    tap.script(&caller.user, Script::json(200, answer));
    tap.script_at(&caller.user, path, Script::json(200, count));
    let url = tap.base_url(&caller.user);
    caller.stack().set_credential(&caller.user, provider, secret, &url).await;
    caller
}

#[test]
fn a_claude_of_bedrock_is_counted_by_the_id_of_its_model() {
    run(async {
        let answer = json!({"stopReason": "end_turn", "metrics": {"latencyMs": 1},
            "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
            "usage": {"inputTokens": 8_000, "outputTokens": 5, "totalTokens": 8_005}});
        let path = "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens";
        let secret = json!({"bearer": "b", "region": "eu-west-1"}).to_string();
        let count = json!({"inputTokens": 8_000});
        let caller = scripted("bedrock", &secret, path, &count, &answer).await;
        let body = long("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0");
        let third = ceiling(&caller, &body).await.pico() / 3;
        let third = Money::from_pico(third).unwrap().to_string();
        caller.limit_user(&json!({"month_limit_usd": third})).await;

        let answer = caller.post("/v1/chat/completions", &body).send().await.expect(200);

        assert_eq!(counts(&caller, path), 1);
        let asked: Value = serde_json::from_slice(&caller.posts()[0].body).unwrap();
        assert!(asked["input"]["converse"]["messages"][0]["content"].is_array(), "{asked}");
        // The count and its fiftieth, and the cap: at 1.1 and 5.5 USD.
        let row = caller.row(answer.header("x-request-id").unwrap()).await;
        assert_eq!(usd(row["held_usd"].as_str().unwrap()), usd("0.009086"), "{row}");
    });
}

#[test]
fn a_document_that_fills_the_window_is_counted_where_it_is_in_the_request() {
    run(async {
        let answer = json!({"id": "m1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 3_000, "output_tokens": 5}});
        let path = "/messages/count_tokens";
        let count = json!({"input_tokens": 3_000});
        let caller = scripted("anthropic", "sk-1", path, &count, &answer).await;
        let asking = |source: Value| {
            json!({"model": "anthropic/claude-haiku-4-5", "max_tokens": 20, "messages":
                [{"role": "user", "content": [{"type": "document", "source": source}]}]})
        };
        let here = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="});
        let there = json!({"type": "url", "url": "https://example.com/a.pdf"});
        // The window is 200,000 tokens at 1 USD a million, and a tenth for a place.
        caller.limit_user(&json!({"month_limit_usd": "0.1"})).await;

        let refused = caller.post("/v1/messages", &asking(there)).send().await;
        assert_eq!(refused.code(), 402, "{}", refused.text());
        assert_eq!(caller.posts().len(), 0, "what is there may change");
        let served = caller.post("/v1/messages", &asking(here)).send().await.expect(200);

        // The count and an eighth, and the cap.
        let row = caller.row(served.header("x-request-id").unwrap()).await;
        assert_eq!(usd(row["held_usd"].as_str().unwrap()), usd("0.0038225"), "{row}");
        assert_eq!(usd(row["cost_usd"].as_str().unwrap()), usd("0.003025"), "{row}");
    });
}
