//! A thousand calls, two hundred at a time, on a budget for exactly thirty-seven of them.

use farebox_tests::caller::native;
use farebox_tests::relay::Faults;
use farebox_tests::storm::{self, Storm};
use farebox_tests::{Caller, run};
use futures_util::StreamExt;
use serde_json::json;

use crate::money::{exact, exact_cost, times};
use crate::stacks::{executable, shared};
use crate::waiting::ROOM_WAIT;

const CALLS: usize = 1_000;
const AT_ONCE: usize = 200;
const AFFORDED: i128 = 37;

#[test]
fn a_storm_on_a_budget_for_thirty_seven_holds_is_served_thirty_seven_times() {
    run(async {
        let cost = exact_cost().await;
        let limit = times(cost, AFFORDED);
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"month_limit_usd": limit.to_string()})).await;

        let calls = (0..CALLS).map(|_| {
            let call = caller.post("/v1/chat", &native("exact", &exact()));
            // A caller who waits could be served later: with 0 a refusal is told at once.
            async move { call.with(ROOM_WAIT, "0").send().await }
        });
        let answers: Vec<_> =
            futures_util::stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;

        let served = answers.iter().filter(|answer| answer.code() == 200).count();
        for answer in answers.iter().filter(|answer| answer.code() != 200) {
            let code = answer.json()["error"]["code"].clone();
            let expected = [(402, json!("budget_exceeded")), (429, json!("budget_contention"))];
            assert!(expected.contains(&(answer.code(), code)), "{}", answer.text());
        }
        assert_eq!(served, 37);
        assert_eq!(caller.posts().len(), 37, "POSTs at the provider");
        assert_eq!(caller.bill().await, limit, "the provider's bill is the limit");
        assert_eq!(caller.assert_settled_to_the_bill().await, limit);
    });
}

#[test]
fn a_storm_with_a_faulty_aws_across_midnight_and_a_lower_limit_overspends_nothing() {
    run(async {
        let faults = Faults { percent: 5, seed: 7 };
        let report = storm::run(executable(), &Storm { callers: 100, faults }).await;

        assert_eq!(report.violations, Vec::<String>::new(), "{report:?}");
        assert!(report.served >= 20, "{report:?}");
        assert!(report.requests.1 > 20, "{report:?}");
    });
}

#[test]
fn counters_that_are_read_and_then_written_overspend_in_the_same_storm() {
    run(async {
        let faults = Faults { percent: 5, seed: 7 };
        let report = storm::control(executable(), &Storm { callers: 100, faults }).await;

        assert_eq!(report.violations.len(), 1, "{report:?}");
        assert!(report.bill > report.limit && report.requests.1 > 5, "{report:?}");
    });
}
