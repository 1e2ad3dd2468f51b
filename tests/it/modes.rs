//! What the modes of a budget admit.

use farebox_core::Money;
use farebox_tests::{Caller, run};
use futures_util::future::join_all;
use serde_json::json;

use crate::money::{assert_exceeded, exact, exact_cost, times};
use crate::stacks::shared;

#[test]
fn a_soft_limit_serves_until_it_is_reached_and_is_passed_by_less_than_one_call() {
    run(async {
        let cost = exact_cost().await;
        let caller = Caller::new(shared().await).await;
        // Room for two and a half: the third begins below the limit.
        let limit = Money::from_pico(cost.pico() * 5 / 2).unwrap();
        let budget = json!({"month_limit_usd": limit.to_string(), "mode": "soft"});
        caller.limit_user(&budget).await;

        let question = exact();
        let answers = join_all((0..12).map(|_| caller.chat("exact", &question))).await;

        let (served, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.code() == 200);
        assert_eq!(served.len(), 3);
        refused.iter().for_each(|answer| assert_exceeded(answer, "user", "month"));
        assert_eq!(caller.bill().await, times(cost, 3));
        let settled = caller.assert_settled_to_the_bill().await;
        let over = settled.minus(limit).unwrap();
        assert!(over > Money::ZERO && over < cost, "{over} above {limit}");
    });
}
