//! Each way in which a provider fails: what the caller is told, what is charged, and that one
//! call is one POST.

use farebox_core::Money;
use farebox_tests::moved::next_year;
use farebox_tests::stack::UNREACHABLE;
use farebox_tests::{Answer, Caller, Moved, run, usd};
use serde_json::{Value, json};

use crate::stacks::{executable, hasty, lone, shared};

/// What a failure does to the money.
#[derive(Clone, Copy, PartialEq)]
enum Charge {
    Hold,
    Nothing,
}

/// One failing call in each dialect; asserts status, code, outcome and charge.
async fn assert_failure(
    model: &str,
    status: u16,
    code: &str,
    outcome: &str,
    charge: Charge,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    for is_native in [true, false] {
        let caller = Caller::new(shared().await).await;
        let answer = match is_native {
            true => caller.chat(model, &json!({})).await,
            false => caller.complete(&format!("demo/{model}"), &json!({})).await,
        };
        assert_eq!(answer.code(), status, "{model}: {}", answer.text());
        assert_eq!(answer.json()["error"]["code"], code, "{model}: {}", answer.text());
        assert_eq!(answer.json().get("success").is_some(), is_native);
        assert_eq!(caller.posts().len(), 1, "{model}: POSTs on the wire");
        let row = caller.row(answer.header("x-request-id").unwrap()).await;
        assert_eq!((&row["outcome"], &row["status"]), (&json!(outcome), &json!(status)), "{row}");
        assert_eq!(row["error"]["code"], code, "{row}");
        let hold = usd(row["held_usd"].as_str().unwrap());
        let charged = if charge == Charge::Hold { hold } else { Money::ZERO };
        assert_eq!(row["cost_usd"], charged.to_string(), "{row}");
        assert_eq!(answer.header("x-farebox-cost-usd").map(usd), Some(charged));
        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
            assert_eq!(books.settled(), charged, "{model} {}", books.scope);
        }
        assert!(caller.bill().await <= charged, "{model}: billed more than charged");
        answers.push(answer);
    }
    answers
}

#[test]
fn a_provider_that_fails_may_bill_so_the_hold_is_charged_and_nobody_retries() {
    run(async {
        for model in ["fail", "claude-fail"] {
            let answers =
                assert_failure(model, 502, "provider_unavailable", "worst", Charge::Hold).await;

            for answer in answers {
                assert_eq!(answer.header("x-should-retry"), Some("false"));
                assert!(answer.text().contains("worst case"), "{}", answer.text());
            }
        }
    });
}

#[test]
fn a_busy_provider_costs_nothing_and_its_retry_after_survives() {
    run(async {
        for (model, limit) in
            [("busy", "remaining-requests"), ("claude-busy", "requests-remaining")]
        {
            let answers =
                assert_failure(model, 429, "rate_limit_exceeded", "void_inferred", Charge::Nothing)
                    .await;

            for answer in answers {
                assert_eq!(answer.header("retry-after"), Some("7"));
                let told = |prefix: &str| answer.header(&format!("{prefix}-ratelimit-{limit}"));
                assert_eq!(told("x-farebox-provider"), Some("0"));
                assert_eq!((told("x"), told("anthropic")), (None, None), "not Farebox's");
                assert_eq!(answer.header("x-should-retry"), Some("true"));
            }
        }
    });
}

#[test]
fn a_refused_credential_is_told_as_the_stored_one_and_costs_nothing() {
    run(async {
        let answers = assert_failure(
            "unauthorized",
            502,
            "provider_credential_rejected",
            "void_inferred",
            Charge::Nothing,
        )
        .await;

        for answer in answers {
            let text = answer.text();
            assert!(text.contains("credential stored for it (user:"), "{text}");
            assert!(!text.contains("demo-key"), "{text}");
        }
    });
}

#[test]
fn a_request_that_the_provider_refuses_costs_nothing_and_its_words_survive() {
    run(async {
        let answers =
            assert_failure("refuse", 400, "provider_error", "void_inferred", Charge::Nothing).await;

        for answer in answers {
            assert!(answer.text().contains("The demo model refuses every request."));
        }
    });
}

#[test]
fn an_overloaded_anthropic_is_a_502() {
    run(async {
        let caller = Caller::new(shared().await).await;

        let answer = caller.complete("demo/claude-overloaded", &json!({})).await;

        assert_eq!(answer.code(), 502, "{}", answer.text());
        assert_eq!(caller.posts().len(), 1);
        caller.user_books().await.assert_quiet();
    });
}

#[test]
fn an_answer_that_breaks_or_is_no_json_costs_its_hold() {
    run(async {
        for model in ["cut", "claude-cut", "bad-json"] {
            assert_failure(model, 502, "provider_unavailable", "worst", Charge::Hold).await;
        }
    });
}

#[test]
fn an_answer_that_anthropic_documents_as_unbilled_costs_nothing() {
    run(async {
        for stream in [false, true] {
            let caller = Caller::new(shared().await).await;

            let answer = caller
                .complete("demo/claude-refusal", &json!({"stream": stream}))
                .await
                .expect(200);

            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!((&row["outcome"], &row["cost_usd"]), (&json!("void"), &json!("0")), "{row}");
            assert_eq!(caller.assert_settled_to_the_bill().await, Money::ZERO);
        }
    });
}

#[test]
fn a_provider_that_does_not_answer_is_given_up_in_time_and_costs_the_hold() {
    run(async {
        let caller = Caller::new(hasty().await).await;
        let mut charged = Money::ZERO;
        let (whole, stream) = (json!({"max_tokens": 9}), json!({"max_tokens": 9, "stream": true}));
        let answers = tokio::join!(
            caller.chat("hang", &whole),
            caller.complete("demo/hang", &whole),
            caller.chat("hang", &stream),
            caller.complete("demo/hang", &stream),
        );
        for answer in <[_; 4]>::from(answers) {
            assert_eq!(answer.code(), 504, "{}", answer.text());
            let error: Value = answer.json()["error"].clone();
            assert_eq!(error["code"], "provider_unavailable", "{error}");
            assert!(error["message"].as_str().unwrap().contains("worst case"), "{error}");
            assert_eq!(answer.header("x-should-retry"), Some("false"));
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!((&row["outcome"], &row["status"]), (&json!("worst"), &json!(504)), "{row}");
            assert_eq!(row["cost_usd"], row["held_usd"], "{row}");
            charged = charged.plus(usd(row["cost_usd"].as_str().unwrap())).unwrap();
        }
        assert_eq!(caller.posts().len(), 4, "one POST a call");
        let books = caller.user_books().await;
        books.assert_quiet();
        assert_eq!(books.settled(), charged);
    });
}

#[test]
fn a_stream_that_outlives_its_invocation_is_cut_and_costs_the_hold() {
    run(async {
        let caller = Caller::new(hasty().await).await;

        let options = json!({"stream": true, "max_tokens": 4_000});
        let answer = caller.complete("demo/drip-long", &options).await;

        assert_eq!(answer.code(), 200, "it had begun");
        let events = answer.text();
        assert!(events.contains("\"content\":"), "{events}");
        assert!(events.contains("demo took longer than "), "{events}");
        assert!(!events.contains("[DONE]"), "{events}");
        let row = caller.row(answer.header("x-request-id").unwrap()).await;
        assert_eq!((&row["outcome"], &row["cost_usd"]), (&json!("worst"), &row["held_usd"]));
        let books = caller.user_books().await;
        books.assert_quiet();
        assert_eq!(books.settled(), usd(row["held_usd"].as_str().unwrap()));
        assert!(caller.bill().await <= books.settled());
    });
}

#[test]
fn a_provider_that_cannot_be_reached_costs_nothing() {
    run(async {
        let caller = Caller::new(shared().await).await;
        caller.stack().set_credential(&caller.user, "demo", "demo-key", UNREACHABLE).await;
        let caller = caller.another_key().await;

        for answer in [
            caller.chat("chat", &json!({})).await,
            caller.chat("chat", &json!({"stream": true})).await,
            caller.complete("demo/claude", &json!({})).await,
        ] {
            assert_eq!(answer.code(), 502, "{}", answer.text());
            let error: Value = answer.json()["error"].clone();
            assert_eq!(error["code"], "provider_unavailable");
            assert!(error["message"].as_str().unwrap().contains("Nothing was charged"), "{error}");
            let row = caller.row(answer.header("x-request-id").unwrap()).await;
            assert_eq!((&row["outcome"], &row["cost_usd"]), (&json!("void"), &json!("0")), "{row}");
        }
        caller.assert_untouched().await;
    });
}

#[test]
fn a_call_on_a_connection_that_the_provider_closes_is_never_sent_twice() {
    run(async {
        // One environment, so the second call finds the connection of the first in the pool.
        let stack = lone().await;
        let caller = Caller::new(&stack).await;
        caller.complete("demo/close", &json!({})).await.expect(200);
        let billed = caller.assert_settled_to_the_bill().await;

        let second = caller.complete("demo/chat", &json!({})).await;

        let posts = caller.posts();
        assert_eq!(posts.len(), 2, "one POST a call");
        assert_eq!(posts[0].connection, posts[1].connection, "the pooled connection was used");
        assert_eq!(second.code(), 502, "{}", second.text());
        let row = caller.row(second.header("x-request-id").unwrap()).await;
        assert_eq!(row["outcome"], "worst", "{row}");
        let hold = usd(row["held_usd"].as_str().unwrap());
        assert_eq!(Some(caller.user_books().await.settled()), billed.plus(hold));
        caller.user_books().await.assert_quiet();

        let third = caller.complete("demo/chat", &json!({})).await.expect(200);
        assert_eq!(caller.posts().len(), 3);
        assert_ne!(caller.posts()[2].connection, posts[1].connection);
        assert!(third.header("x-farebox-cost-usd").is_some());
    });
}

/// A provider has dropped what an environment held while it was frozen, and a call that is written
/// into that costs its worst case.
#[test]
fn a_call_after_a_thaw_has_a_new_connection_to_its_provider() {
    run(async {
        let year = next_year();
        let clock = Moved::start(executable(), 1, &format!("{year}-05-12T12:00:00Z")).await;
        let caller = Caller::new(&clock.stack).await;
        caller.complete("demo/chat", &json!({})).await.expect(200);
        caller.complete("demo/chat", &json!({})).await.expect(200);

        clock.to(&format!("{year}-05-12T12:10:00Z"));
        caller.complete("demo/chat", &json!({})).await.expect(200);

        let on: Vec<_> = caller.posts().iter().map(|post| post.connection).collect();
        assert_eq!(on[0], on[1], "the pooled connection is used");
        assert_ne!(on[1], on[2], "and not after a thaw");
    });
}

#[test]
fn every_call_is_one_post_whatever_becomes_of_it() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for model in ["chat", "fail", "busy", "cut", "bad-json", "refuse", "unauthorized"] {
            for stream in [false, true] {
                caller.complete(&format!("demo/{model}"), &json!({"stream": stream})).await;
            }
        }

        assert_eq!(caller.posts().len(), 14);
        caller.user_books().await.assert_quiet();
    });
}
