//! Alerts: tried by their owner before they are needed, told on every channel, and the operator's.

use farebox_tests::kill::end_chat;
use farebox_tests::moved::next_year;
use farebox_tests::{Caller, Moved, Settings, fresh, run, usd};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::money::{exact, times};
use crate::stacks::{executable, hooked};

#[test]
fn a_test_alert_takes_the_road_of_all_alerts_once() {
    run(async {
        let year = next_year();
        let time = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 1, &time(0)).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let (scope, path) = (caller.user_scope(), "/alerts/test");
        let test =
            |scope: &str| stack.admin(Method::POST, path).json(&json!({"scope": scope})).send();
        let refused = test(&scope).await.expect(400).text();
        assert!(refused.contains("webhook"), "{refused}");
        let (hook, secret) = hooked(stack).await;
        for wrong in ["user:nobody", "nobody"] {
            let refused = test(wrong).await.expect(400).text();
            assert!(refused.contains("scope"), "{refused}");
        }

        let (seed, body) = (fresh("seed"), json!({"scope": scope}));
        let test = || stack.admin(Method::POST, path).json(&body).with("idempotency-key", &seed);
        let sent = test().send().await.expect(201).json();
        assert_eq!((&sent["type"], &sent["sent_at"]), (&json!("test"), &Value::Null));
        for minute in [1, 1, 2] {
            clock.to(&time(minute));
            // A repeat sends nothing more, before and after the first has arrived.
            let again = test().send().await.expect(201).json();
            assert_eq!(again["limit_version"], sent["limit_version"]);
            stack.schedule(&time(minute)).await;
        }

        let seen = stack.tap().seen(&hook);
        assert_eq!(seen.len(), 1, "{seen:?}");
        let body: Value = serde_json::from_slice(&seen[0].body).unwrap();
        assert_eq!((&body["type"], &body["scope"]), (&json!("test"), &json!(scope)));
        let signature = seen[0].expected_signature(&secret);
        assert_eq!(seen[0].headers["farebox-signature"], signature);
        let listed = stack.read(&format!("/alerts?scope={scope}")).await["alerts"][0].clone();
        assert_eq!(listed["type"], "test");
        assert!(listed["sent_at"].is_string(), "{listed}");
        caller.read("/v1/budget").await;
    });
}

#[test]
fn a_delivery_whose_process_died_is_taken_over_when_its_lease_ends() {
    run(async {
        let year = next_year();
        let time = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 1, &time(0)).await;
        let stack = &clock.stack;
        let scope = Caller::new(stack).await.user_scope();
        let (hook, _) = hooked(stack).await;
        let test = stack.admin(Method::POST, "/alerts/test").json(&json!({"scope": scope}));
        test.send().await.expect(201);
        let alert = stack.query("main", &format!("AL#main#{scope}")).await.swap_remove(0);
        let at: i64 = alert.text("at").parse().unwrap();

        // What a scheduler leaves behind that is killed between its lease and the receiver.
        let left = json!({
            "TableName": "farebox-main",
            "Key": {"pk": {"S": alert.text("pk")}, "sk": {"S": alert.text("sk")}},
            "UpdateExpression": "SET st = :l, lo = :dead, lu = :until, tries = :one",
            "ExpressionAttributeValues": {":l": {"S": "L"}, ":dead": {"S": "dead"},
                ":until": {"N": (at + 120).to_string()}, ":one": {"N": "1"}},
        });
        stack.dynamodb("UpdateItem", &left).await;

        for (minute, told) in [(1, 0), (4, 1), (6, 1)] {
            clock.to(&time(minute));
            stack.schedule(&time(minute)).await;
            assert_eq!(stack.tap().seen(&hook).len(), told, "at 12:{minute:02}");
        }
        let listed = stack.read(&format!("/alerts?scope={scope}")).await["alerts"][0].clone();
        assert!(listed["sent_at"].is_string(), "{listed}");
    });
}

/// The bound of docs/operations.md, without what the queue and the logger take: nothing but the
/// next run is needed, in a minute in which no budget is looked at.
#[test]
fn a_crossing_is_told_by_the_run_of_the_next_minute() {
    run(async {
        let year = next_year();
        let time = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 1, &time(1)).await;
        let stack = &clock.stack;
        let (hook, _) = hooked(stack).await;
        let caller = Caller::new(stack).await;
        let answer = caller.chat("exact", &exact()).await.expect(200);
        let cost = usd(answer.header("x-farebox-cost-usd").unwrap());
        let limit = times(cost, 50).to_string();
        caller.limit_user(&json!({"month_limit_usd": limit, "alert_thresholds": [3]})).await;

        caller.chat("exact", &exact()).await.expect(200);
        stack.drain().await;
        let listed = async || {
            stack.read(&format!("/alerts?scope={}", caller.user_scope())).await["alerts"].clone()
        };
        let recorded = listed().await;
        clock.to(&time(2));
        stack.schedule(&time(2)).await;

        assert_eq!(recorded.as_array().unwrap().len(), 1, "{recorded}");
        assert_eq!(recorded[0]["sent_at"], Value::Null, "{recorded}");
        let told = listed().await[0].clone();
        assert_eq!((&told["threshold"], &told["sent_at"]), (&json!(3), &json!(time(2))));
        assert_eq!(stack.tap().seen(&hook).len(), 1);
    });
}

/// An origin may be taken out of `FAREBOX_ALLOWED_ORIGINS`, or an item of a restore be another's.
#[test]
fn a_kept_webhook_at_a_private_address_is_judged_again_and_not_called() {
    run(async {
        let year = next_year();
        let time = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 1, &time(0)).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let scope = caller.user_scope();
        let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        inside.set_nonblocking(true).unwrap();
        let private = format!("https://{}/hook", inside.local_addr().unwrap());
        let put = stack.admin(Method::PUT, "/webhook").json(&json!({"url": private}));
        let refused = put.with("if-match", "*").send().await.expect(400).json();
        assert_eq!(refused["error"]["field"], "url", "{refused}");
        hooked(stack).await;
        let kept = json!({
            "TableName": "farebox-main",
            "Key": {"pk": {"S": "E#main"}, "sk": {"S": "webhook"}},
            "UpdateExpression": "SET #url = :url",
            "ConditionExpression": "attribute_exists(#url)",
            "ExpressionAttributeNames": {"#url": "url"},
            "ExpressionAttributeValues": {":url": {"S": private}},
        });
        stack.dynamodb("UpdateItem", &kept).await;
        let test = stack.admin(Method::POST, "/alerts/test").json(&json!({"scope": scope}));
        test.send().await.expect(201);

        clock.to(&time(1));
        stack.schedule(&time(1)).await;

        let told = stack.read(&format!("/alerts?scope={scope}")).await["alerts"][0].clone();
        assert_eq!(told["sent_at"], Value::Null, "{told}");
        let channel = &told["channels"][0];
        assert_eq!((&channel["channel"], &channel["told_at"]), (&json!("webhook"), &Value::Null));
        assert!(channel["error"].as_str().unwrap().contains("public"), "{told}");
        let reached = inside.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(reached, Err(std::io::ErrorKind::WouldBlock));
    });
}

/// Where a redirect leads, the guard on private addresses was not asked.
#[test]
fn a_receiver_that_sends_on_is_not_followed_and_is_tried_again() {
    run(async {
        let year = next_year();
        let time = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 1, &time(0)).await;
        let stack = &clock.stack;
        let scope = Caller::new(stack).await.user_scope();
        let ((hook, _), other) = (hooked(stack).await, fresh("other"));
        stack.tap().send_on(&hook, &other);
        let test = stack.admin(Method::POST, "/alerts/test").json(&json!({"scope": scope}));
        test.send().await.expect(201);

        for minute in [1, 2] {
            clock.to(&time(minute));
            stack.schedule(&time(minute)).await;
        }

        let told = stack.read(&format!("/alerts?scope={scope}")).await["alerts"][0].clone();
        assert_eq!(told["sent_at"], Value::Null, "{told}");
        let expected = json!({"channel": "webhook", "told_at": null, "error": "status 307"});
        assert_eq!(told["channels"][0], expected, "{told}");
        assert_eq!((stack.tap().seen(&hook).len(), stack.tap().seen(&other).len()), (2, 0));
    });
}

#[test]
fn each_channel_is_told_once_and_one_that_fails_is_tried_again_alone() {
    run(async {
        let year = next_year();
        let time = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let topic = "arn:aws:sns:us-east-1:111122223333:alerts";
        let variables = vec![
            ("FAREBOX_ALERT_TOPIC", topic),
            ("FAREBOX_ALERT_SENDER", "farebox@example.com"),
            ("FAREBOX_ALERT_RECIPIENTS", "ops@example.com, money@example.com"),
        ];
        let settings = Settings { environments: 1, variables, ..Settings::default() };
        let clock = Moved::start_with(executable(), settings, &time(0)).await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let scope = caller.user_scope();
        let (hook, _) = hooked(stack).await;
        let channels = stack.read("/alerts/channels").await["channels"].clone();
        assert_eq!(channels[1], json!({"channel": "sns", "target": topic}), "{channels}");
        let send = stack.admin(Method::POST, "/alerts/test").json(&json!({"scope": scope}));
        send.send().await.expect(201);
        let listed =
            async || stack.read(&format!("/alerts?scope={scope}")).await["alerts"][0].clone();

        stack.tap().refuse(&hook, 1);
        clock.to(&time(1));
        stack.schedule(&time(1)).await;
        let first = listed().await;
        for minute in [1, 2, 3] {
            clock.to(&time(minute));
            stack.schedule(&time(minute)).await;
        }

        assert_eq!(first["sent_at"], Value::Null, "{first}");
        let channel = |one: usize| first["channels"][one].clone();
        let expected = json!({"channel": "webhook", "told_at": null, "error": "status 500"});
        assert_eq!(channel(0), expected);
        assert!(channel(1)["told_at"].is_string() && channel(2)["told_at"].is_string(), "{first}");
        let seen = stack.tap().seen(&hook);
        assert_eq!(seen.len(), 2, "{seen:?}");
        let messages = stack.messages().await;
        let services: Vec<_> = messages.iter().map(|one| one["service"].as_str()).collect();
        assert_eq!(services, [Some("sns"), Some("ses")], "{messages:?}");
        let (published, mail) = (&messages[0], &messages[1]);
        let id = &json!(seen[0].headers["alert-id"]);
        assert_eq!(&published["MessageAttributes.entry.1.Value.StringValue"], id);
        assert_eq!(mail["Content"]["Simple"]["Headers"][0]["Value"], *id);
        assert_eq!(published["TopicArn"], topic);
        let to = json!(["ops@example.com", "money@example.com"]);
        assert_eq!(mail["Destination"]["ToAddresses"], to);
        assert_eq!(published["Message"].as_str().unwrap().as_bytes(), seen[1].body);
        let last = listed().await;
        assert!(last["sent_at"].is_string(), "{last}");
        assert!((0..3).all(|one| last["channels"][one]["error"] == Value::Null), "{last}");
    });
}

/// Calls of an organisation whose process dies: nobody's record names the organisation, so that
/// its level is seen by the sweep alone, and told by the run that sweeps.
#[test]
fn calls_that_end_unknown_are_told_to_the_operator_and_the_sweep_sees_the_levels() {
    run(async {
        let year = next_year();
        let time = |minute: u32| format!("{year}-05-12T12:{minute:02}:00Z");
        let clock = Moved::start(executable(), 4, &time(0)).await;
        let stack = &clock.stack;
        let org = fresh("o");
        let scope = format!("org:{org}");
        let (hook, _) = hooked(stack).await;
        stack.put(&format!("/orgs/{org}"), &json!({})).await;
        let limits = |limit: &str| {
            let thresholds = [50, 60];
            json!({"month_limit_usd": limit, "time_zone": "UTC", "alert_thresholds": thresholds})
        };
        stack.set_budget(&scope, &limits("10")).await;
        let caller = Caller::new(stack).await;
        stack.put(&format!("/users/{}", caller.user), &json!({"org": org})).await;
        let calls = (0..4).map(|_| async {
            let answer = caller.complete("demo/hang", &json!({"max_tokens": 9})).await;
            assert!(answer.code() >= 500, "{}", answer.text());
        });
        let crash = async {
            caller.called(4).await;
            let held = stack.books(&scope).await.held();
            stack.set_budget(&scope, &limits(&times(held, 2).to_string())).await;
            assert!(end_chat(stack.pid()) > 0, "no chat environment was there");
            held
        };
        let (_, held) = tokio::join!(join_all(calls), crash);

        let listed = async || stack.read(&format!("/alerts?scope={scope}")).await["alerts"].clone();
        for (minute, expected) in [(20, 1), (25, 1)] {
            let now = time(minute);
            clock.to(&now);
            tokio::join!(stack.schedule(&now), stack.schedule(&now));
            stack.drain().await;
            let alerts = listed().await;
            assert_eq!(alerts.as_array().unwrap().len(), expected, "{minute}: {alerts}");
        }

        let alert = listed().await[0].clone();
        assert!(alert["sent_at"].as_str().unwrap() < &*time(21), "{alert}");
        assert_eq!((&alert["period"], &alert["threshold"]), (&json!("month"), &json!(50)));
        assert_eq!(usd(alert["spent_usd"].as_str().unwrap()), held);
        let told = stack.read("/alerts/operator").await["alerts"].clone();
        let told = told.as_array().unwrap();
        let of = |scope: &str| told.iter().find(|one| one["subject"] == scope).cloned();
        for scope in [scope, caller.user_scope(), caller.key_scope()] {
            let notice = of(&scope).unwrap_or_else(|| panic!("{scope}: {told:?}"));
            assert_eq!(
                (&notice["type"], &notice["count"]),
                (&json!("operator.provisional"), &json!(4))
            );
            assert!(notice["sent_at"].is_string(), "{notice}");
        }
        assert_eq!(told.len(), 3, "{told:?}");
        let seen = stack.tap().seen(&hook);
        let ids: std::collections::HashSet<_> =
            seen.iter().map(|one| one.headers["alert-id"].clone()).collect();
        assert_eq!((seen.len(), ids.len()), (4, 4), "three notices and one level, once each");
    });
}
