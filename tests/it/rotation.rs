//! A key gets another secret, and its budget stays.

use farebox_core::GatewayKey;
use farebox_tests::moved::next_year;
use farebox_tests::{Answer, Caller, run};
use http::Method;
use serde_json::{Value, json};

use crate::money::{assert_exceeded, exact, exact_cost, times};
use crate::periods::moved;
use crate::stacks::shared;

/// The same caller with the secret that a rotation has given its key.
async fn rotated<'s>(caller: &Caller<'s>, body: &Value) -> Caller<'s> {
    let path = format!("/keys/{}/rotate", caller.key_id);
    let rotate = caller.stack().admin(Method::POST, &path).with("if-match", "*").json(body);
    let answer = rotate.send().await.expect(200).json();
    let (id, key) = (answer["id"].as_str().unwrap(), answer["secret"].as_str().unwrap());
    assert_eq!(GatewayKey::parse(key).unwrap().id.as_str(), caller.key_id);
    assert_eq!((id, key == caller.key), (&*caller.key_id, false));
    let (user, id, key) = (caller.user.clone(), id.to_owned(), key.to_owned());
    Caller::known(caller.stack(), user, id, key).await
}

async fn asked(caller: &Caller<'_>) -> Answer {
    caller.request(Method::GET, "/v1/models").send().await
}

#[test]
fn rotating_a_key_opens_no_fresh_budget() {
    run(async {
        let cost = exact_cost().await;
        let old = Caller::new(shared().await).await;
        old.limit_key(&json!({"total_limit_usd": cost.to_string()})).await;
        old.chat("exact", &exact()).await.expect(200);

        let new = rotated(&old, &json!({})).await;

        assert_exceeded(&new.chat("exact", &exact()).await, "key", "total");
        assert_eq!(new.key_books().await.settled(), cost);
        new.limit_key(&json!({"total_limit_usd": times(cost, 2).to_string()})).await;
        new.chat("exact", &exact()).await.expect(200);
        assert_exceeded(&new.chat("exact", &exact()).await, "key", "total");
        assert_eq!(new.key_books().await.settled(), times(cost, 2));
        assert_eq!(new.assert_settled_to_the_bill().await, times(cost, 2));
    });
}

#[test]
fn a_new_secret_works_at_once_and_the_old_one_until_its_end() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-03-10T12:00:00Z")).await;
        let first = Caller::with_key(&clock.stack, &json!({"models": ["demo/*"]})).await;
        // Whichever environment answers next has seen the first secret.
        for _ in 0..4 {
            asked(&first).await.expect(200);
        }

        let second = rotated(&first, &json!({"grace_s": 3_600})).await;

        second.chat("exact", &exact()).await.expect(200);
        first.chat("exact", &exact()).await.expect(200);
        clock.to(&format!("{year}-03-10T12:59:00Z"));
        asked(&first).await.expect(200);
        clock.to(&format!("{year}-03-10T13:05:00Z"));
        assert_eq!(asked(&first).await.code(), 401);
        asked(&second).await.expect(200);

        // Without grace: where it was used just before, for 30 seconds more.
        let third = rotated(&second, &json!({})).await;
        asked(&third).await.expect(200);
        clock.to(&format!("{year}-03-10T13:06:31Z"));
        for refused in [&first, &second] {
            assert_eq!(refused.chat("exact", &exact()).await.code(), 401);
        }
        third.chat("exact", &exact()).await.expect(200);
        let scope = third.key_scope();
        assert_eq!(clock.stack.books(&scope).await.settled(), times(exact_cost().await, 3));
    });
}
