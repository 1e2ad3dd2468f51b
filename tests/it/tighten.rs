//! A long prompt that its bytes keep out of a small budget is counted, and let in (money.md 6).

use farebox_core::Money;
use farebox_tests::caller::openai;
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

fn counts(caller: &Caller<'_>) -> usize {
    let posts = caller.posts();
    posts.iter().filter(|post| post.line.ends_with("/messages/count_tokens")).count()
}

#[test]
fn a_long_prompt_is_counted_before_it_is_refused_and_no_sooner() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let body = long("demo/claude");
        let by_bytes = ceiling(&caller, &body).await;
        caller.limit_user(&json!({"month_limit_usd": times(by_bytes, 2).to_string()})).await;
        caller.post("/v1/chat/completions", &body).send().await.expect(200);
        assert_eq!(counts(&caller), 0, "there was room");
        let spent = caller.assert_settled_to_the_bill().await;

        // Room for a third of what the bytes would hold.
        let third = Money::from_pico(spent.pico() + by_bytes.pico() / 3).unwrap();
        caller.limit_user(&json!({"month_limit_usd": third.to_string()})).await;
        let answer = caller.post("/v1/chat/completions", &body).send().await.expect(200);

        assert_eq!(counts(&caller), 1);
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
        let body = long("demo/claude");
        let by_bytes = ceiling(&caller, &body).await;
        // Less than any count could fit into, and a format without a count.
        let hopeless = Money::from_pico(by_bytes.pico() / 10).unwrap();
        let third = Money::from_pico(by_bytes.pico() / 3).unwrap();
        for (limit, model) in [(hopeless, "demo/claude"), (third, "demo/chat")] {
            caller.limit_user(&json!({"month_limit_usd": limit.to_string()})).await;
            let before = caller.posts().len();

            let answer = caller.post("/v1/chat/completions", &long(model)).send().await;

            assert_exceeded(&answer, "user", "month");
            assert_eq!(caller.posts().len(), before, "nothing was sent");
        }
    });
}
