//! A cost above its hold is charged in full, and its price is not trusted again (money.md 3.11).

use farebox_tests::caller::openai;
use farebox_tests::moved::next_year;
use farebox_tests::{Caller, Moved, run, usd};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::{executable, hooked};

#[test]
fn a_model_that_ran_over_its_hold_is_refused_in_hard_budgets_until_it_is_acknowledged() {
    run(async {
        let year = next_year();
        let noon = format!("{year}-05-12T12:00:00Z");
        let clock = Moved::start(executable(), 1, &noon).await;
        let stack = &clock.stack;
        let (hook, _) = hooked(stack).await;
        let (hard, free) = (Caller::new(stack).await, Caller::new(stack).await);
        hard.limit_user(&json!({"month_limit_usd": "10"})).await;
        let options = json!({"max_tokens": 9});
        // The environment learns of it when its prices are a minute old, by a call of any model.
        let later = async |minute: u32| {
            clock.to(&format!("{year}-05-12T12:{minute:02}:00Z"));
            free.complete("demo/chat", &options).await.expect(200);
        };

        let ran_over = hard.complete("demo/overrun", &options).await.expect(200);
        let id = ran_over.header("x-request-id").unwrap();
        let row = hard.row(id).await;
        let (held, cost) = (&row["held_usd"], &row["cost_usd"]);
        assert!(usd(cost.as_str().unwrap()) > usd(held.as_str().unwrap()), "{row}");
        hard.assert_settled_to_the_bill().await;
        let list = stack.read("/quarantine").await["quarantine"].clone();
        assert_eq!((list[0]["model"].as_str(), &list[0]["cost_usd"]), (Some("overrun"), cost));
        assert_eq!((list[0]["request_id"].as_str(), &list[0]["hold_usd"]), (Some(id), held));

        let told = stack.read("/alerts/operator").await["alerts"].clone();
        assert_eq!(
            (&told[0]["type"], &told[0]["subject"]),
            (&json!("operator.overrun"), &json!("demo/overrun"))
        );
        assert_eq!((&told[0]["request_id"], &told[0]["charged_usd"]), (&json!(id), cost), "{told}");

        clock.to(&format!("{year}-05-12T12:01:00Z"));
        stack.schedule(&format!("{year}-05-12T12:01:00Z")).await;
        let seen = stack.tap().seen(&hook);
        assert_eq!(seen.len(), 1, "{seen:?}");
        let body: Value = serde_json::from_slice(&seen[0].body).unwrap();
        assert_eq!((&body["type"], &body["subject"]), (&told[0]["type"], &told[0]["subject"]));
        assert_eq!((&body["request_id"], &body["charged_usd"]), (&json!(id), cost), "{body}");

        later(2).await;
        let before = hard.posts().len();
        let refused = hard.complete("demo/overrun", &options).await.expect(422);
        assert_eq!(refused.json()["error"]["code"], "price_quarantined", "{}", refused.text());
        let quote = hard.post("/v1/quote", &openai("demo/overrun", &options)).send().await;
        assert_eq!(quote.expect(422).json()["error"]["code"], "price_quarantined");
        assert_eq!(hard.posts().len(), before, "nothing was sent");
        free.complete("demo/overrun", &options).await.expect(200);
        hard.complete("demo/chat", &options).await.expect(200);

        let path = "/quarantine/demo/overrun";
        stack.admin(Method::DELETE, path).send().await.expect(204);
        stack.admin(Method::DELETE, path).send().await.expect(404);
        later(4).await;
        hard.complete("demo/overrun", &options).await.expect(200);
        stack.drain().await;
        assert_ne!(stack.read("/quarantine").await["quarantine"], Value::from(Vec::<Value>::new()));
    });
}
