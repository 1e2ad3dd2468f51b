//! Rate limits of keys and users: exact however many call at once, told in `OpenAI`'s headers, and
//! given back where a call does not need them.

use farebox_core::Money;
use farebox_tests::kill::end_chat;
use farebox_tests::moved::next_year;
use farebox_tests::{Answer, Caller, Moved, Stack, run, until};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::stacks::executable;

/// A stack whose clock the tests set, so that no minute begins while they count.
async fn clocked() -> Moved {
    Moved::start(executable(), 8, &at("12:00:05")).await
}

fn at(time: &str) -> String {
    format!("{}-05-12T{time}Z", next_year())
}

async fn limit(stack: &Stack, scope: &str, limits: &Value) {
    let put = stack.admin(Method::PUT, &format!("/limits/{scope}")).json(limits);
    put.send().await.expect(200);
}

/// A caller whose user and whose key have these limits before the key is used.
async fn limited<'s>(stack: &'s Stack, of_user: &Value, of_key: &Value) -> Caller<'s> {
    let caller = Caller::new(stack).await;
    limit(stack, &caller.user_scope(), of_user).await;
    let caller = caller.another_key().await;
    limit(stack, &caller.key_scope(), of_key).await;
    caller
}

async fn ask(caller: &Caller<'_>, model: &str) -> Answer {
    caller.complete(model, &json!({"max_tokens": 40})).await
}

fn assert_limited(answer: &Answer, words: &str) {
    assert_eq!(answer.code(), 429, "{}", answer.text());
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], "rate_limit_exceeded", "{error}");
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[test]
fn requests_are_counted_by_the_minute_and_told_in_openais_headers() {
    run(async {
        let clock = clocked().await;
        let caller = limited(&clock.stack, &json!({}), &json!({"requests_per_minute": 2})).await;

        clock.to(&at("13:00:01"));
        for left in ["1", "0"] {
            let answer = ask(&caller, "demo/chat").await.expect(200);
            let told = |what: &str| answer.header(&format!("x-ratelimit-{what}-requests"));
            assert_eq!((told("limit"), told("remaining")), (Some("2"), Some(left)));
            let reset = told("reset").and_then(|text| text.strip_suffix('s')).unwrap();
            assert!((1..=59).contains(&reset.parse::<u32>().unwrap()), "{reset}");
            assert_eq!(answer.header("x-ratelimit-limit-tokens"), None, "not the provider's");
        }
        let refused = ask(&caller, "demo/chat").await;
        assert_limited(&refused, "the key may make 2 requests a minute");
        let told = |what: &str| refused.header(&format!("x-ratelimit-{what}-requests"));
        assert_eq!((told("limit"), told("remaining")), (Some("2"), Some("0")));
        assert!(told("reset").is_some_and(|text| text.ends_with('s')));
        let said = json!([{"role": "user", "content": "hello"}]);
        let body = json!({"model": "demo/chat", "max_tokens": 9, "messages": said});
        let refused = caller.post("/v1/messages", &body).send().await.expect(429);
        assert_eq!(refused.json()["error"]["type"], "rate_limit_error", "in the dialect");
        assert_eq!(caller.posts().len(), 2);
        let row = caller.row(refused.header("x-request-id").unwrap()).await;
        assert_eq!((&row["outcome"], &row["status"]), (&json!("refused"), &json!(429)), "{row}");

        clock.to(&at("13:01:00"));
        ask(&caller, "demo/chat").await.expect(200);
        caller.assert_settled_to_the_bill().await;
    });
}

#[test]
fn a_storm_is_let_in_exactly_as_often_as_the_limit_says() {
    run(async {
        let clock = clocked().await;
        let of_user = json!({"requests_per_minute": 9});
        let caller = limited(&clock.stack, &of_user, &json!({"requests_per_minute": 7})).await;

        clock.to(&at("13:00:01"));
        let answers = join_all((0..40).map(|_| ask(&caller, "demo/chat"))).await;

        let served = answers.iter().filter(|answer| answer.code() == 200).count();
        assert!(answers.iter().all(|answer| [200, 429].contains(&answer.code())));
        assert_eq!((served, caller.posts().len()), (7, 7));
        // The user's places that the key's refusals took were given back.
        let other = caller.another_key().await;
        let answers = join_all((0..5).map(|_| ask(&other, "demo/chat"))).await;
        assert_eq!(answers.iter().filter(|answer| answer.code() == 200).count(), 2);
    });
}

#[test]
fn tokens_are_reserved_at_the_bound_and_corrected_to_what_was_used() {
    run(async {
        let clock = clocked().await;
        let probe = Caller::new(&clock.stack).await;
        let body = json!({"model": "demo/chat", "max_tokens": 40,
            "messages": [{"role": "user", "content": "hello"}]});
        let quote = probe.post("/v1/quote", &body).send().await.expect(200).json();
        let of = |name: &str| quote[name].as_u64().unwrap();
        let bound = of("prompt_tokens_max") + of("completion_tokens_max");
        let limits = json!({"tokens_per_minute": 2 * bound - 1});
        let caller = limited(&clock.stack, &limits, &json!({})).await;

        clock.to(&at("13:00:01"));
        let first = ask(&caller, "demo/chat").await.expect(200);
        let used = first.json()["usage"]["total_tokens"].as_u64().unwrap();
        assert!(used < bound / 2, "{used} of {bound}");
        assert_eq!(first.header("x-ratelimit-remaining-tokens"), Some(&*(bound - 1).to_string()));
        let second = ask(&caller, "demo/chat").await.expect(200);
        let left = bound - 1 - used;
        assert_eq!(second.header("x-ratelimit-remaining-tokens"), Some(&*left.to_string()));

        // Two at once reserve more than there is.
        let mut codes = join_all((0..2).map(|_| ask(&caller, "demo/slow"))).await;
        codes.sort_by_key(Answer::code);
        assert_eq!(codes[0].code(), 200);
        assert_limited(&codes[1], "tokens a minute");
        let large = caller.complete("demo/chat", &json!({"max_tokens": 4_000})).await;
        assert_limited(&large, "lower max_completion_tokens");
    });
}

#[test]
fn calls_under_way_are_counted_until_they_end() {
    run(async {
        let clock = clocked().await;
        let caller = limited(&clock.stack, &json!({}), &json!({"concurrent": 2})).await;

        for _ in 0..2 {
            let mut answers = join_all((0..3).map(|_| ask(&caller, "demo/slow"))).await;
            answers.sort_by_key(Answer::code);
            let codes: Vec<_> = answers.iter().map(Answer::code).collect();
            assert_eq!(codes, [200, 200, 429]);
            assert_limited(&answers[2], "2 calls under way");
        }
        // A failure of the provider ends a call too.
        for _ in 0..3 {
            assert_eq!(ask(&caller, "demo/fail").await.code(), 502);
        }
        ask(&caller, "demo/chat").await.expect(200);
    });
}

#[test]
fn a_call_that_the_budget_refuses_gives_its_places_back() {
    run(async {
        let clock = clocked().await;
        let limits = json!({"requests_per_minute": 1, "tokens_per_minute": 500, "concurrent": 1});
        let caller = limited(&clock.stack, &json!({}), &limits).await;
        clock.to(&at("13:00:01"));
        caller.limit_key(&json!({"month_limit_usd": "0.000000001"})).await;
        for _ in 0..2 {
            assert_eq!(ask(&caller, "demo/chat").await.code(), 402);
        }
        caller.limit_key(&json!({"month_limit_usd": "1"})).await;

        let answer = ask(&caller, "demo/chat").await.expect(200);

        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
        assert!(caller.assert_settled_to_the_bill().await > Money::ZERO);
    });
}

#[test]
fn the_place_of_a_dead_process_is_free_when_its_invocation_is_over() {
    run(async {
        let clock = clocked().await;
        let caller = limited(&clock.stack, &json!({}), &json!({"concurrent": 1})).await;
        let crash = async {
            caller.called(1).await;
            assert_limited(&ask(&caller, "demo/chat").await, "1 calls under way");
            assert!(end_chat(clock.stack.pid()) > 0, "no chat environment was there");
        };
        let (answer, ()) = tokio::join!(ask(&caller, "demo/hang"), crash);
        assert!(answer.code() >= 500, "{}", answer.text());
        // The event that meets an environment which died idle is lost with it.
        let asked = || async {
            let answer = ask(&caller, "demo/chat").await;
            (answer.code() != 502).then_some(answer)
        };

        assert_limited(&until("a new environment", asked).await, "1 calls under way");
        clock.to(&at("12:30:00"));

        ask(&caller, "demo/chat").await.expect(200);
    });
}

#[test]
fn limits_are_checked_before_they_are_stored_and_taken_away_by_leaving_them_out() {
    run(async {
        let clock = clocked().await;
        let caller = limited(&clock.stack, &json!({}), &json!({"requests_per_minute": 1})).await;
        let path = format!("/limits/{}", caller.key_scope());
        let put = |body: &Value| clock.stack.admin(Method::PUT, &path).json(body).send();

        for (body, field) in [
            (json!({"requests_per_minute": 0}), "requests_per_minute"),
            (json!({"tokens_per_minute": "5"}), "tokens_per_minute"),
            (json!({"concurrent": -1}), "concurrent"),
            (json!({"requests": 1}), "requests"),
        ] {
            let refused = put(&body).await.expect(400);
            assert_eq!(refused.json()["error"]["field"], field, "{}", refused.text());
        }
        assert_eq!(clock.stack.read(&path).await["requests_per_minute"], 1);
        let absent = clock.stack.admin(Method::GET, "/limits/user:nobody").send().await;
        assert_eq!(absent.code(), 404);
        put(&json!({})).await.expect(200);
        for _ in 0..3 {
            ask(&caller, "demo/chat").await.expect(200);
        }
    });
}
