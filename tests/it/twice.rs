//! Repair and upkeep by two at once: what each of them does is done once.

use farebox_core::{Rid, Timestamp};
use farebox_tests::caller::openai;
use farebox_tests::moved::next_year;
use farebox_tests::{Books, Caller, Item, run, usd};
use http::Method;
use serde_json::json;

use crate::books::record;
use crate::money::{exact, times};
use crate::periods::moved;
use crate::stacks::{lone, shared};

#[test]
fn two_runs_forward_a_record_of_the_outbox_and_it_is_charged_once() {
    run(async {
        let noon = format!("{}-05-12T12:00:00Z", next_year());
        let clock = moved(&noon).await;
        let (stack, caller) = (&clock.stack, Caller::new(&clock.stack).await);
        let at = Timestamp::parse(&noon).unwrap();
        let mut rids = Vec::new();
        for number in 0..20 {
            let rid = Rid::new(at, number).to_string();
            // A call that was admitted without a hold: only its record charges it.
            let part = json!({"unheld": true});
            let event = record(&caller, &rid, at.utc_day().number(), &json!({}), &part);
            let item = json!({"pk": {"S": format!("OB#{:02}", number % 16)}, "sk": {"S": rid},
                "ev": {"S": event.to_string()}, "due": {"S": "1"},
                "at": {"N": at.seconds().to_string()}});
            let put = json!({"TableName": "farebox-main", "Item": item});
            stack.dynamodb("PutItem", &put).await;
            rids.push(rid);
        }

        tokio::join!(stack.schedule(&noon), stack.schedule(&noon));
        stack.drain().await;
        tokio::join!(stack.schedule(&noon), stack.schedule(&noon));
        stack.drain().await;

        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), usd("0.00002"), "{}: each once", books.scope);
        }
        for rid in &rids {
            assert_eq!(caller.row(rid).await["outcome"], "settled", "{rid}");
        }
        let main = stack.scan("main").await;
        let left: Vec<_> = main.iter().map(|item| item.text("pk")).collect();
        assert!(!left.iter().any(|pk| pk.starts_with("OB#")), "{left:?}");
    });
}

#[test]
fn two_runs_close_a_month_once_and_its_archive_has_all_of_it() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-03-30T12:00:00Z")).await;
        let (stack, caller) = (&clock.stack, Caller::new(&clock.stack).await);
        let mut cost = None;
        for day in ["30", "31"] {
            clock.to(&format!("{year}-03-{day}T12:00:00Z"));
            let answer = caller.chat("exact", &exact()).await.expect(200);
            cost = answer.header("x-farebox-cost-usd").map(usd);
        }
        let both = times(cost.unwrap(), 2);
        stack.drain().await;
        let epoch = |books: &Books| books.item.text("ep").parse::<i128>().unwrap();
        let before = [caller.user_books().await, caller.key_books().await].map(|one| epoch(&one));

        let late = format!("{year}-04-03T00:05:00Z");
        clock.to(&late);
        for _ in 0..3 {
            tokio::join!(stack.schedule(&late), stack.schedule(&late));
        }

        let after = [caller.user_books().await, caller.key_books().await];
        for (books, before) in after.into_iter().zip(before) {
            books.assert_quiet();
            let item = &books.item;
            for period in [format!("{year}03"), format!("{year}0330"), format!("{year}0331")] {
                for name in ["mc_", "ms_", "dc_", "ds_"] {
                    assert_eq!(item.text(&format!("{name}{period}")), "", "{name}{period}");
                }
            }
            assert_eq!(item.text("am"), format!("{year}03"));
            assert_eq!(item.text("ad"), format!("{year}0331"));
            assert_eq!(books.settled(), both, "the total stays");
            // Two days and a month, each closed by one write.
            assert_eq!(epoch(&books), before + 3);
            let archive = stack.query("main", &format!("A#main#{}", books.scope)).await;
            let [archive] = archive.as_slice() else { panic!("one archive") };
            assert_eq!(archive.money("s"), both);
        }
        assert_eq!(caller.assert_settled_to_the_bill().await, both);
    });
}

#[test]
fn two_fences_after_a_restore_are_two_and_change_nothing_else() {
    run(async {
        let stack = lone().await;
        let caller = Caller::new(&stack).await;
        caller.limit_user(&json!({"month_limit_usd": "100"})).await;
        caller.chat("exact", &exact()).await.expect(200);
        let epoch = |item: &Item| item.text("ep").parse::<i128>().unwrap();
        let mut before = caller.user_books().await.item;

        let fence = || stack.admin(Method::POST, "/restore-fence").json(&json!({})).send();
        let (one, other) = tokio::join!(fence(), fence());
        assert_eq!(one.expect(200).json(), other.expect(200).json());

        let mut after = caller.user_books().await.item;
        assert_eq!(epoch(&after), epoch(&before) + 2_000_000, "none is lost");
        before.0.remove("ep");
        after.0.remove("ep");
        assert_eq!(after.0, before.0);
        caller.chat("exact", &exact()).await.expect(200);
        caller.user_books().await.assert_quiet();
    });
}

#[test]
fn two_erasures_of_a_users_content_leave_nothing_and_no_repeat_pays() {
    run(async {
        let stack = shared().await;
        let (caller, other) = (Caller::new(stack).await, Caller::new(stack).await);
        let (path, body) = ("/v1/chat/completions", openai("demo/chat", &json!({})));
        let mut ids = Vec::new();
        for one in [&caller, &other] {
            let setting = format!("/content-log/{}", one.user_scope());
            stack.put(&setting, &json!({"days": 1})).await.expect(200);
            let key = one.another_key().await;
            for idempotency_key in ["a", "b", "c"] {
                let call = key.post(path, &body).with("idempotency-key", idempotency_key);
                let answer = call.send().await.expect(200);
                ids.push(answer.header("x-request-id").unwrap().to_owned());
            }
        }
        stack.drain().await;
        let settled = caller.user_books().await.settled();

        let users = format!("/users/{}/content", caller.user);
        let erase = || stack.admin(Method::DELETE, &users).send();
        let (one, two) = tokio::join!(erase(), erase());
        for erased in [one, two] {
            assert_eq!(erased.expect(200).json()["more"], false);
        }

        assert_eq!(erase().await.expect(200).json(), json!({"erased": 0, "more": false}));
        let content = async |id: &str| {
            stack.admin(Method::GET, &format!("/requests/{id}/content")).send().await.code()
        };
        for (number, id) in ids.iter().enumerate() {
            let wanted = if number < 3 { 404 } else { 200 };
            assert_eq!(content(id).await, wanted, "call {number}");
        }
        for idempotency_key in ["a", "b", "c"] {
            let call = caller.post(path, &body).with("idempotency-key", idempotency_key);
            let again = call.send().await.expect(409);
            assert_eq!(again.json()["error"]["code"], "reply_not_kept");
        }
        assert_eq!(caller.posts().len(), 3);
        stack.drain().await;
        assert_eq!(caller.user_books().await.settled(), settled);
    });
}
