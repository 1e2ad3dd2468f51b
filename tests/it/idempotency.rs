//! `Idempotency-Key`: a repeat never pays twice (money.md 3.10).

use farebox_core::Money;
use farebox_tests::caller::{native, openai};
use farebox_tests::kill::end_chat;
use farebox_tests::moved::next_year;
use farebox_tests::{Answer, Caller, Stack, run, until, usd};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::periods::moved;
use crate::stacks::{hasty, shared};

const PATH: &str = "/v1/chat/completions";
const REPLAYED: &str = "idempotent-replayed";

/// Sends the body with the key.
async fn send(caller: &Caller<'_>, path: &str, body: &Value, key: &str) -> Answer {
    caller.post(path, body).with("idempotency-key", key).send().await
}

/// One call was sent and paid; the books are as the provider's bill.
async fn assert_paid_once(caller: &Caller<'_>) {
    caller.stack().drain().await;
    assert_eq!(caller.posts().len(), 1, "requests at the provider");
    assert!(caller.assert_settled_to_the_bill().await > Money::ZERO);
}

/// Every request that costs money, in every form of its answer: a row has the route as chat names
/// it, the path of a call, its body, and what asks for a stream of it.
fn paid() -> Vec<(&'static str, &'static str, Value, Form)> {
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}],
        "generationConfig": {"maxOutputTokens": 64}});
    let said = json!([{"role": "user", "content": "hello"}]);
    let message = json!({"model": "demo/claude", "max_tokens": 64, "messages": said});
    let response = json!({"model": "demo/codex", "input": "hello", "max_output_tokens": 64});
    let completion = json!({"model": "demo/chat", "prompt": "hello", "max_tokens": 64});
    let embedding = json!({"model": "demo/embed", "input": "hello"});
    vec![
        ("/v1/chat", "/v1/chat", native("chat", &json!({})), Form::Option),
        ("/v1/chat/completions", PATH, openai("demo/chat", &json!({})), Form::Field),
        ("/v1/messages", "/v1/messages", message, Form::Field),
        ("/v1/responses", "/v1/responses", response, Form::Field),
        ("/v1/completions", "/v1/completions", completion, Form::Field),
        ("/v1/embeddings", "/v1/embeddings", embedding, Form::Whole),
        ("/v1beta/models/*", "/v1beta/models/demo/gemini", gemini.clone(), Form::Verb),
        ("/v1/models/*", "/v1/models/demo/gemini", gemini, Form::Verb),
    ]
}

/// How a streamed answer is asked for.
#[derive(Clone, Copy)]
enum Form {
    /// It never is.
    Whole,
    /// By a field of the body.
    Field,
    /// By one of its options.
    Option,
    /// By the verb of the path and its query.
    Verb,
}

impl Form {
    fn asks(self, path: &str, body: &Value) -> Vec<(String, Value)> {
        let verbs = ["generateContent", "streamGenerateContent?alt=sse", "streamGenerateContent"];
        let mut streamed = body.clone();
        match self {
            Self::Option => streamed["options"]["stream"] = true.into(),
            _ => streamed["stream"] = true.into(),
        }
        match self {
            Self::Whole => vec![(path.to_owned(), body.clone())],
            Self::Field | Self::Option => {
                vec![(path.to_owned(), body.clone()), (path.to_owned(), streamed)]
            }
            Self::Verb => verbs.map(|verb| (format!("{path}:{verb}"), body.clone())).to_vec(),
        }
    }
}

#[test]
fn a_repeat_gets_the_kept_answer_and_costs_nothing_at_every_paid_endpoint() {
    run(async {
        for (_, path, body, form) in paid() {
            for (path, body) in form.asks(path, &body) {
                let caller = Caller::new(shared().await).await;
                let first = send(&caller, &path, &body, "k").await.expect(200);
                let again = send(&caller, &path, &body, "k").await.expect(200);

                assert_eq!(again.text(), first.text(), "{path} {body}");
                assert!(!first.text().is_empty());
                for name in ["x-request-id", "content-type", "x-farebox-cost-usd"] {
                    assert_eq!(again.header(name), first.header(name), "{name} of {path}");
                }
                assert_eq!((first.header(REPLAYED), again.header(REPLAYED)), (None, Some("true")));
                assert_paid_once(&caller).await;
            }
        }
    });
}

#[test]
fn no_form_of_an_answer_is_replayed_for_another() {
    run(async {
        for (_, path, body, form) in paid() {
            let asks = form.asks(path, &body);
            for (first, (path, body)) in asks.iter().enumerate() {
                let caller = Caller::new(shared().await).await;
                send(&caller, path, body, "k").await.expect(200);
                for (other, (path, body)) in asks.iter().enumerate() {
                    if other != first {
                        let refused = send(&caller, path, body, "k").await;
                        assert_eq!(refused.code(), 422, "{path} {body}: {}", refused.text());
                    }
                }
                assert_eq!(caller.posts().len(), 1);
            }
        }
    });
}

#[test]
fn every_route_that_costs_money_is_in_the_table() {
    let routes = include_str!("../../functions/chat/src/lib.rs").lines().filter(|line| {
        let is_paid = line.contains("Handler::Chat,") || line.contains("Handler::Generate,");
        is_paid && line.trim_start().starts_with("(Method::")
    });
    let paths: Vec<_> = routes.map(|line| line.split('"').nth(1).unwrap()).collect();
    assert!(paths.len() >= 8, "{paths:?}");
    for path in paths {
        assert!(paid().iter().any(|(route, ..)| *route == path), "{path} has no row");
    }
}

#[test]
fn twenty_at_once_are_one_call() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let body = openai("demo/chat", &json!({}));

        let answers = join_all((0..20).map(|_| send(&caller, PATH, &body, "k"))).await;

        let texts: Vec<_> = answers.into_iter().map(|answer| answer.expect(200).text()).collect();
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        assert_paid_once(&caller).await;
    });
}

#[test]
fn a_key_belongs_to_one_request_of_one_user() {
    run(async {
        let (caller, other) =
            (Caller::new(shared().await).await, Caller::new(shared().await).await);
        let body = openai("demo/chat", &json!({"temperature": 1, "max_tokens": 9}));
        send(&caller, PATH, &body, "k").await.expect(200);

        // The order of fields makes no other request, and a second key of the user is the user.
        let same = openai("demo/chat", &json!({"max_tokens": 9, "temperature": 1}));
        let again = send(&caller.another_key().await, PATH, &same, "k").await.expect(200);
        assert_eq!(again.header(REPLAYED), Some("true"));
        for (path, body) in [
            (PATH, openai("demo/chat", &json!({"max_tokens": 8, "temperature": 1}))),
            ("/v1/chat", native("chat", &json!({"max_tokens": 9}))),
        ] {
            let refused = send(&caller, path, &body, "k").await.expect(422);
            assert_eq!(refused.json()["error"]["code"], "idempotency_key_reused");
        }
        assert_eq!(caller.posts().len(), 1);
        send(&other, PATH, &body, "k").await.expect(200);
        assert_paid_once(&other).await;

        for key in ["", "\u{e9}", &"k".repeat(256)] {
            let refused = send(&caller, PATH, &body, key).await.expect(400);
            assert_eq!(refused.json()["error"]["param"], "idempotency-key", "{key:?}");
        }
        assert_eq!(caller.posts().len(), 1);
    });
}

#[test]
fn what_cost_nothing_runs_again() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let body = openai("demo/chat", &json!({"max_tokens": 9}));

        // Malformed, then too dear, then refused by the provider: each leaves the key free.
        send(&caller, PATH, &json!({"model": 7}), "k").await.expect(400);
        caller.limit_user(&json!({"month_limit_usd": "0.000000001"})).await;
        send(&caller, PATH, &body, "k").await.expect(402);
        caller.limit_user(&json!({"month_limit_usd": "1"})).await;
        let refused = openai("demo/busy", &json!({}));
        let answer = send(&caller, PATH, &refused, "k").await;
        assert_eq!(answer.code(), 429, "{}", answer.text());
        let answer = send(&caller, PATH, &refused, "k").await;
        assert_eq!(answer.header(REPLAYED), None);

        let answer = send(&caller, PATH, &body, "k").await.expect(200);
        assert_eq!(answer.header(REPLAYED), None);
        send(&caller, PATH, &body, "k").await.expect(200);
        assert_eq!(caller.posts().len(), 3, "two failures and one answer");
        assert!(caller.assert_settled_to_the_bill().await > Money::ZERO);
    });
}

#[test]
fn a_failure_that_was_charged_is_not_charged_again() {
    run(async {
        let caller = Caller::new(hasty().await).await;
        let body = openai("demo/cut", &json!({"stream": true, "max_tokens": 9}));

        let first = send(&caller, PATH, &body, "k").await;
        let again = send(&caller, PATH, &body, "k").await;

        assert_eq!(again.text(), first.text());
        assert_eq!(again.header(REPLAYED), Some("true"));
        assert_eq!(caller.posts().len(), 1);
        let row = caller.row(first.header("x-request-id").unwrap()).await;
        assert_eq!(row["outcome"], "worst", "{row}");
        let held = usd(row["held_usd"].as_str().unwrap());
        assert_eq!(caller.user_books().await.settled(), held);
    });
}

#[test]
fn whoever_hangs_up_gets_the_whole_answer_later() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let body = openai("demo/drip", &json!({"stream": true, "max_tokens": 20}));
        let mut open = caller.post(PATH, &body).with("idempotency-key", "k").open().await;
        assert!(open.piece().await.unwrap().is_some());
        drop(open);

        // It waits for the call that is still under way.
        let again = send(&caller, PATH, &body, "k").await.expect(200);

        assert_eq!(again.header(REPLAYED), Some("true"));
        assert_eq!(again.events().last().map(String::as_str), Some("[DONE]"));
        assert_eq!(again.text().matches("\"content\":\"").count(), 1 + 20, "{}", again.text());
        assert_paid_once(&caller).await;
    });
}

#[test]
fn a_call_that_died_is_not_run_again_by_itself_for_a_day() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let caller = Caller::new(&clock.stack).await;
        let body = openai("demo/hang", &json!({"max_tokens": 9}));
        let repeats_waits = || async {
            let before = claims(&clock.stack).await;
            until("the repeat looks", || async {
                (claims(&clock.stack).await > before).then_some(())
            })
            .await;
        };
        let crash = async {
            caller.called(1).await;
            let early = async {
                repeats_waits().await;
                clock.to(&format!("{year}-05-12T12:00:30Z"));
            };
            let (early, ()) = tokio::join!(send(&caller, PATH, &body, "k"), early);
            assert_eq!(early.header("retry-after"), Some("1"));
            assert_eq!(early.expect(409).json()["error"]["code"], "request_in_flight");
            assert!(end_chat(clock.stack.pid()) > 0, "no chat environment was there");
        };
        let (answer, ()) = tokio::join!(send(&caller, PATH, &body, "k"), crash);
        assert!(answer.code() >= 500, "{}", answer.text());

        clock.to(&format!("{year}-05-12T12:30:00Z"));
        // The event that meets an environment which died idle is lost with it.
        let unknown = until("a new environment", || async {
            let answer = send(&caller, PATH, &body, "k").await;
            (answer.code() != 502).then_some(answer)
        });
        let unknown = unknown.await.expect(409);
        assert_eq!(unknown.json()["error"]["code"], "outcome_unknown");
        assert_eq!(unknown.header("x-should-retry"), Some("false"));
        assert_eq!(caller.posts().len(), 1);

        clock.to(&format!("{year}-05-13T12:00:31Z"));
        send(&caller, PATH, &openai("demo/chat", &json!({})), "k").await.expect(200);
        assert_eq!(caller.posts().len(), 2);
    });
}

#[test]
fn an_answer_is_kept_for_a_day_and_then_its_key_is_free() {
    run(async {
        let year = next_year();
        let clock = moved(&format!("{year}-05-12T12:00:00Z")).await;
        let caller = Caller::new(&clock.stack).await;
        for (number, options) in [json!({}), json!({"stream": true})].iter().enumerate() {
            let key = format!("k{number}");
            let body = openai("demo/chat", options);
            clock.to(&format!("{year}-05-{}T12:00:00Z", 12 + number * 4));
            let first = send(&caller, PATH, &body, &key).await.expect(200);
            let id = first.header("x-request-id").unwrap();
            let calls = number * 2 + 1;
            assert_eq!(caller.posts().len(), calls);

            clock.to(&format!("{year}-05-{}T11:59:00Z", 13 + number * 4));
            let kept = send(&caller, PATH, &body, &key).await.expect(200);
            assert_eq!((kept.header(REPLAYED), kept.text()), (Some("true"), first.text()));
            assert_eq!((kept.header("x-request-id"), caller.posts().len()), (Some(id), calls));

            // The store has not deleted what is over: what a claim says of its time counts.
            clock.to(&format!("{year}-05-{}T12:01:00Z", 13 + number * 4));
            let main = clock.stack.scan("main").await;
            let of = format!("I#main#{}", caller.user);
            assert!(main.iter().any(|item| item.text("pk") == of), "the claim is still there");
            let anew = send(&caller, PATH, &body, &key).await.expect(200);
            assert_eq!((anew.header(REPLAYED), caller.posts().len()), (None, calls + 1));
            assert_ne!(anew.header("x-request-id"), Some(id));
            let again = send(&caller, PATH, &body, &key).await.expect(200);
            assert_eq!((again.text(), caller.posts().len()), (anew.text(), calls + 1));
        }
        clock.stack.drain().await;
        assert!(caller.assert_settled_to_the_bill().await > Money::ZERO);
    });
}

/// How often chat tried to put a claim.
async fn claims(stack: &Stack) -> usize {
    let calls = stack.aws_calls().await["calls"].as_array().cloned().unwrap_or_default();
    calls.iter().filter_map(Value::as_str).filter(|call| call.starts_with("chat PutItem")).count()
}
