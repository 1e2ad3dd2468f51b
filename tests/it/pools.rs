//! Several credentials of one provider: calls are shared out, and one that the provider refuses
//! rests and takes nothing down.

use std::collections::BTreeMap;
use std::sync::Arc;

use farebox_tests::caller::{DEMO_SECRET, openai};
use farebox_tests::moved::next_year;
use farebox_tests::tap::{Script, Step};
use farebox_tests::wire::Open;
use farebox_tests::{Caller, Moved, Settings, Stack, run};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::stacks::{executable, lone, shared};

/// A caller with further credentials of the demo provider: name, secret, weight.
async fn with_credentials<'s>(stack: &'s Stack, more: &[(&str, &str, u32)]) -> Caller<'s> {
    let caller = Caller::new(stack).await;
    for (name, secret, weight) in more {
        let base_url = stack.tap().base_url(&caller.user);
        let body = json!({"secret": secret, "base_url": base_url, "weight": weight});
        let path = format!("/credentials/{}/demo{name}", caller.user);
        stack.admin(Method::PUT, &path).json(&body).send().await.expect(200);
    }
    // Its key is younger than they are, so no environment knows it without them.
    caller.another_key().await
}

#[test]
fn calls_are_shared_out_by_weight_and_each_credential_knows_its_last_use() {
    run(async {
        let stack = shared().await;
        let caller = Caller::new(stack).await;
        let path = format!("/credentials/{}/demo", caller.user);
        stack.admin(Method::DELETE, &path).send().await.expect(200);
        let heavy = Played::new(&caller, "heavy", 1_000).await;
        let light = Played::new(&caller, "light", 1).await;
        [&heavy, &light].into_iter().for_each(|played| played.answers(stack));
        // Its key is younger than the credentials, so no environment knows it without them.
        let caller = caller.another_key().await;

        for _ in 0..40 {
            caller.complete("demo/chat", &json!({"max_tokens": 2})).await.expect(200);
        }

        // By weight the light one has six or more once in 10^11 runs; without, five or fewer once
        // in a million.
        let calls = [&heavy, &light].map(|played| played.calls(stack));
        assert!(calls[0] >= 35 && calls[0] + calls[1] == 40, "{calls:?}");
        stack.drain().await;
        let listed = stack.read(&format!("/credentials?user={}", caller.user)).await;
        let rows = listed["credentials"].as_array().unwrap();
        let used: BTreeMap<&str, &Value> = rows
            .iter()
            .filter(|row| row["state"] == "active")
            .map(|row| (row["name"].as_str().unwrap_or_default(), &row["last_used_at"]))
            .collect();
        assert_eq!(used.len(), 2, "{listed}");
        assert!(used["heavy"].is_string(), "{listed}");
        assert!(!listed.to_string().contains("sk-u"), "{listed}");
    });
}

#[test]
fn one_bad_credential_takes_no_model_down_and_rests() {
    run(async {
        let stack = lone().await;
        let caller = with_credentials(&stack, &[("/bad", "sk-revoked", 1_000)]).await;

        let mut draws = 0;
        let first = loop {
            draws += 1;
            let answer = caller.complete("demo/chat", &json!({"max_tokens": 2})).await.expect(200);
            // Once in a thousand the good one is drawn.
            if draws == DRAWS || answer.header("x-farebox-attempts") == Some("2") {
                break answer;
            }
        };
        let row = caller.row(first.header("x-request-id").unwrap()).await;
        assert_eq!(first.header("x-farebox-attempts"), Some("2"), "{row}");
        assert_eq!(row["earlier"][0]["error_code"], "provider_credential_rejected", "{row}");
        assert_eq!(row["earlier"][0]["charged"], "0");
        for _ in 0..5 {
            let answer = caller.complete("demo/chat", &json!({"max_tokens": 2})).await.expect(200);
            assert_eq!(answer.header("x-farebox-attempts"), Some("1"), "it rests");
        }
        assert_eq!(caller.posts().len(), 6 + draws);
        caller.assert_settled_to_the_bill().await;
        let marks = stack.all_tables().await;
        assert!(!marks.contains("sk-revoked") && !marks.contains(DEMO_SECRET));
    });
}

#[test]
fn where_all_are_bad_each_is_tried_once_and_the_refusal_is_told() {
    run(async {
        let stack = shared().await;
        let caller = with_credentials(stack, &[("", "sk-old", 1), ("/b", "sk-older", 1)]).await;

        let answer = caller.complete("demo/chat", &json!({})).await.expect(502);

        assert_eq!(answer.json()["error"]["code"], "provider_credential_rejected");
        assert_eq!(answer.header("x-farebox-attempts"), Some("2"));
        // Resting ones are used where there is no other: a provider's word may change.
        let again = caller.complete("demo/chat", &json!({})).await.expect(502);
        assert_eq!(again.json()["error"]["code"], "provider_credential_rejected");
        caller.user_books().await.assert_quiet();
    });
}

#[test]
fn a_named_credential_is_disabled_by_its_name_alone() {
    run(async {
        let stack = shared().await;
        let caller = with_credentials(stack, &[("/second", DEMO_SECRET, 1)]).await;
        let of = |name: &str| format!("/credentials/{}/demo{name}", caller.user);

        stack.admin(Method::DELETE, &of("")).send().await.expect(200);
        let caller = caller.another_key().await;

        let shown = stack.read(&of("/second")).await;
        assert_eq!((&shown["state"], &shown["name"]), (&json!("active"), &json!("second")));
        assert_eq!(stack.read(&of("")).await["state"], "disabled");
        caller.complete("demo/chat", &json!({"max_tokens": 2})).await.expect(200);
        stack.admin(Method::DELETE, &of("/second")).send().await.expect(200);
        let refused = caller.another_key().await.complete("demo/chat", &json!({})).await;
        assert_eq!(refused.json()["error"]["code"], "no_active_credential");
        for (name, weight) in [("/b", json!(0)), ("/b", json!(1_001))] {
            let body = json!({"secret": "sk", "weight": weight});
            let put = stack.admin(Method::PUT, &of(name)).json(&body).send().await.expect(400);
            assert_eq!(put.json()["error"]["field"], "weight");
        }
    });
}

/// A user's credential at a provider of its own, which the tap plays by a script.
struct Played {
    /// Whose requests the tap sees there.
    name: String,
}

impl Played {
    /// Stores it beside the user's others.
    async fn new(caller: &Caller<'_>, name: &str, weight: u32) -> Self {
        Self::at(caller, "demo", name, weight).await
    }

    async fn at(caller: &Caller<'_>, provider: &str, name: &str, weight: u32) -> Self {
        let played = Self { name: format!("{}-{name}", caller.user) };
        let stack = caller.stack();
        let base_url = stack.tap().base_url(&played.name);
        let secret = format!("sk-{}", played.name);
        let body = json!({"secret": secret, "base_url": base_url, "weight": weight});
        let path = format!("/credentials/{}/{provider}/{name}", caller.user);
        stack.admin(Method::PUT, &path).json(&body).send().await.expect(200);
        played
    }

    /// It refuses from now on.
    fn refuses(
        &self,
        stack: &Stack,
        status: u16,
        headers: &'static [(&'static str, &'static str)],
    ) {
        let error = json!({"error": {"message": "no", "type": "no", "code": "no"}});
        let script = Script { headers, ..Script::json(status, &error) };
        stack.tap().script(&self.name, script);
    }

    /// It answers from now on.
    fn answers(&self, stack: &Stack) {
        let usage = json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6});
        let message = json!({"role": "assistant", "content": "played"});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "chat",
            "choices": [choice], "usage": usage});
        stack.tap().script(&self.name, Script::json(200, &answer));
    }

    /// How often it was called.
    fn calls(&self, stack: &Stack) -> usize {
        stack.tap().seen(&self.name).len()
    }
}

/// The second of an hour of next year.
fn at(second: u32) -> String {
    format!("{}-02-03T04:{:02}:{:02}Z", next_year(), second / 60, second % 60)
}

/// Calls until a credential of weight 1,000 beside one of 1 is drawn: once in a thousand it is not.
const DRAWS: usize = 5;

/// The attempts of the call in which such a credential had been called `calls` times.
async fn drawn(caller: &Caller<'_>, heavy: &Played, stack: &Stack, calls: usize) -> String {
    for _ in 0..DRAWS {
        let attempts = attempts(caller, 200).await;
        if heavy.calls(stack) == calls {
            return attempts;
        }
    }
    panic!("{DRAWS} calls did not draw {}", heavy.name)
}

async fn attempts(caller: &Caller<'_>, status: u16) -> String {
    let answer = caller.complete("demo/chat", &json!({"max_tokens": 2})).await.expect(status);
    answer.header("x-farebox-attempts").unwrap_or("1").to_owned()
}

/// A call that keeps one environment busy until it is told to end.
struct Kept {
    ends: Arc<Notify>,
    call: JoinHandle<Result<Open, String>>,
}

impl Kept {
    async fn new(stack: &Stack) -> Self {
        let caller = Caller::new(stack).await;
        let ends = Arc::new(Notify::new());
        let refusal: Vec<Step> = Script::json(400, &json!({})).into();
        let steps =
            std::iter::once(Step::Wait(Arc::clone(&ends))).chain(refusal).collect::<Vec<_>>();
        stack.tap().script(&caller.user, steps);
        let call = caller.post("/v1/chat/completions", &openai("demo/chat", &json!({})));
        let call = tokio::spawn(call.try_open());
        caller.called(1).await;
        Self { ends, call }
    }

    async fn end(self) {
        self.ends.notify_one();
        assert_eq!(self.call.await.unwrap().unwrap().whole().await.code(), 400);
    }
}

#[test]
fn a_credential_without_room_rests_as_long_as_it_is_asked_and_other_environments_know() {
    run(async {
        let clock = Moved::start(executable(), 2, &at(0)).await;
        let stack = &clock.stack;
        for (hour, (status, headers, rest_s)) in [
            (429, &[("retry-after", "40")][..], 40),
            (429, &[("retry-after-ms", "50000"), ("retry-after", "7")][..], 50),
            (429, &[("retry-after", "40.5")][..], 41),
            (
                429,
                &[
                    ("date", "Wed, 21 Oct 2026 07:28:00 GMT"),
                    ("retry-after", "Wed, 21 Oct 2026 07:28:45 GMT"),
                ][..],
                45,
            ),
            // Nobody waits for longer, whatever is asked.
            (429, &[("retry-after", "3600")][..], 300),
            // Where the provider does not say.
            (429, &[][..], 30),
        ]
        .into_iter()
        .enumerate()
        {
            let began = 600 * u32::try_from(hour).unwrap();
            let row = format!("{status} {headers:?}");
            clock.to(&at(began));
            let caller = Caller::new(stack).await;
            let busy = Played::new(&caller, "busy", 1_000).await;
            busy.refuses(stack, status, headers);
            // Its key is younger than the credentials.
            let caller = caller.another_key().await;

            // All of this in one environment, as the other one is busy.
            let other = Kept::new(stack).await;
            assert_eq!(drawn(&caller, &busy, stack, 1).await, "2", "{row}");
            for _ in 0..3 {
                assert_eq!(attempts(&caller, 200).await, "1", "{row}: it rests");
            }
            let this = Kept::new(stack).await;
            other.end().await;
            for _ in 0..3 {
                assert_eq!(attempts(&caller, 200).await, "1", "{row}: it rests elsewhere");
            }
            this.end().await;
            assert_eq!(busy.calls(stack), 1, "{row}");

            clock.to(&at(began + rest_s - 1));
            assert_eq!(attempts(&caller, 200).await, "1", "{row}: it rests still");
            assert_eq!(busy.calls(stack), 1, "{row}");
            busy.answers(stack);
            // It began when it was told, which may have been seconds later.
            clock.to(&at(began + rest_s + 60));
            assert_eq!(drawn(&caller, &busy, stack, 2).await, "1", "{row}: its rest is over");
        }
    });
}

#[test]
fn where_all_rest_the_one_is_used_whose_rest_ends_first_and_a_caller_is_told_to_wait() {
    run(async {
        let stack = lone().await;
        let caller = Caller::new(&stack).await;
        let path = format!("/credentials/{}/demo", caller.user);
        stack.admin(Method::DELETE, &path).send().await.expect(200);
        let long = Played::new(&caller, "long", 1_000).await;
        let short = Played::new(&caller, "short", 1).await;
        long.refuses(&stack, 429, &[("retry-after", "200")]);
        short.refuses(&stack, 429, &[("retry-after", "100")]);
        let caller = caller.another_key().await;

        assert_eq!(attempts(&caller, 429).await, "2");
        assert_eq!((long.calls(&stack), short.calls(&stack)), (1, 1));
        // The heavier one would be drawn, and rests for longer.
        let refused = caller.complete("demo/chat", &json!({"max_tokens": 2})).await.expect(429);
        assert_eq!((long.calls(&stack), short.calls(&stack)), (1, 2));
        assert_eq!(refused.header("retry-after"), Some("100"));
        short.answers(&stack);
        assert_eq!(attempts(&caller, 200).await, "1");
        assert_eq!((long.calls(&stack), short.calls(&stack)), (1, 3));
        caller.user_books().await.assert_quiet();
    });
}

/// What a provider's 403 says, the code that its caller is told, and how often two credentials are
/// called in two calls, and how many rest then.
const FORBIDS: [(&str, &str, &str, usize, usize); 4] = [
    (
        "openrouter/aion-labs/aion-1.0-mini",
        r#"{"error":{"code":403,"message":"your input was flagged","metadata":{"reasons":["x"]}}}"#,
        "provider_error",
        2,
        0,
    ),
    (
        "xai/grok-4",
        r#"{"code":"permission-denied","error":"Content violates usage guidelines."}"#,
        "provider_error",
        2,
        0,
    ),
    (
        "openrouter/aion-labs/aion-1.0-mini",
        r#"{"error":{"code":403,"message":"Key limit exceeded (total limit)."}}"#,
        "provider_account_refused",
        4,
        0,
    ),
    // Both rest after the first call, so the second tries the one whose rest ends first.
    (
        "mistral/mistral-small-latest",
        r#"{"detail":"Invalid API Key"}"#,
        "provider_credential_rejected",
        3,
        2,
    ),
];

#[test]
fn what_a_403_says_decides_who_is_told_what_and_whether_its_credential_rests() {
    run(async {
        // Of its own: the routes are older than its environment, and what rests is counted.
        let settings = Settings { environments: 1, ..Settings::default() };
        let stack = Stack::start(executable(), &settings).await;
        let resting = || async { stack.all_tables().await.matches("\"CD#").count() };
        for (place, (model, ..)) in FORBIDS.iter().enumerate() {
            let route = json!({"targets": [{"model": model}, {"model": "demo/chat"}]});
            let put = stack.admin(Method::PUT, &format!("/routes/forbidden-{place}"));
            put.json(&route).with("if-match", "\"0\"").send().await.expect(200);
        }
        for (place, (model, body, code, calls, rest)) in FORBIDS.into_iter().enumerate() {
            let (caller, before) = (Caller::new(&stack).await, resting().await);
            let provider = model.split('/').next().unwrap();
            let one = Played::at(&caller, provider, "one", 1).await;
            let other = Played::at(&caller, provider, "other", 1).await;
            for played in [&one, &other] {
                let body = serde_json::from_str(body).unwrap();
                stack.tap().script(&played.name, Script::json(403, &body));
            }
            let caller = caller.another_key().await;

            let status = if code == "provider_error" { 403 } else { 502 };
            for options in [json!({"max_tokens": 2}), json!({"max_tokens": 2, "stream": true})] {
                let answer = caller.complete(model, &options).await.expect(status);
                assert_eq!(answer.json()["error"]["code"], code, "{body}");
            }
            assert_eq!(one.calls(&stack) + other.calls(&stack), calls, "{body}");
            assert_eq!(resting().await - before, rest, "{body}");

            // On a route a moderated prompt goes to nobody else.
            let name = format!("forbidden-{place}");
            let answer = caller.complete(&name, &json!({"max_tokens": 2})).await;
            let served = if code == "provider_error" { 403 } else { 200 };
            assert_eq!(answer.code(), served, "{body}: {}", answer.text());
            assert_eq!(caller.posts().len(), usize::from(served == 200), "{body}");
        }
    });
}
