//! What a provider states that it charged is what a call is charged, with ours kept beside it
//! (money.md 6). The answers are written here, because the demo provider states no amounts.

use farebox_core::Money;
use farebox_tests::tap::Script;
use farebox_tests::{Answer, Caller, Settings, Stack, run, usd};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::bills::{ask, completion, said, send};
use crate::stacks::executable;

/// A stack of its own: a statement above its hold puts a price under quarantine.
async fn stack() -> &'static Stack {
    static STACK: OnceCell<Stack> = OnceCell::const_new();
    let settings = Settings { environments: 1, ..Settings::default() };
    let started = || async {
        let stack = Stack::start(executable(), &settings).await;
        // Environments read prices when they are new, so this comes before every call.
        stack.put("/prices/perplexity/sonar", &json!({"input": "3", "output": "3"})).await;
        stack
    };
    STACK.get_or_init(started).await
}

/// 0.7 and 1.4 USD: what 1,000 and 100 tokens come to.
const MODEL: &str = "openrouter/aion-labs/aion-1.0-mini";
const OURS: &str = "0.00084";

/// A usage object of these tokens, with more beside.
fn usage(more: &Value) -> Value {
    let mut usage = json!({"prompt_tokens": 1_000, "completion_tokens": 100,
        "total_tokens": 1_100, "is_byok": false});
    usage.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    usage
}

fn stream(events: &[Value], end: &[u8]) -> Script {
    let mut body: Vec<_> =
        events.iter().map(|event| format!("data: {event}\n\n").into_bytes()).collect();
    body.push(end.to_vec());
    Script { status: 200, kind: "text/event-stream", headers: &[], body }
}

fn chunk(delta: &Value, reason: &Value, usage: &Value) -> Value {
    json!({"id": "c1", "model": "m", "object": "chat.completion.chunk", "created": 1,
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": usage})
}

/// An answer that is complete, and then its usage.
fn told(usage: &Value) -> [Value; 3] {
    [
        chunk(&json!({"role": "assistant", "content": "hi"}), &Value::Null, &Value::Null),
        chunk(&json!({}), &json!("stop"), &Value::Null),
        json!({"id": "c1", "model": "m", "object": "chat.completion.chunk", "created": 1,
            "choices": [], "usage": usage}),
    ]
}

async fn call(caller: &Caller<'_>, model: &str, streamed: bool, script: Script) -> Answer {
    let mut body = json!({"model": model, "messages": said(), "max_tokens": 200});
    if streamed {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    let mut providers = ["openrouter", "perplexity", "xai"].into_iter();
    let provider = providers.find(|name| model.starts_with(name)).unwrap();
    send(caller, &ask(provider, "/v1/chat/completions", body), script).await.0
}

/// What a call is charged, and what its row says of it.
async fn charged(caller: &Caller<'_>, answer: &Answer) -> (Money, Value) {
    caller.stack().drain().await;
    let id = answer.header("x-request-id").unwrap();
    let row = caller.stack().read(&format!("/requests/{id}")).await;
    let settled = caller.user_books().await.settled();
    for books in [caller.user_books().await, caller.key_books().await] {
        books.assert_quiet();
        assert_eq!(books.settled(), settled, "{}", books.scope);
    }
    assert_eq!(row["cost_usd"], settled.to_string(), "{row}");
    let own = caller.row(id).await;
    for field in ["cost_usd", "charged_by", "counted_usd", "provider_cost_usd", "lines"] {
        assert_eq!(own[field], row[field], "{field}: {own}");
    }
    (settled, row)
}

#[test]
fn a_statement_is_charged_whole_and_streamed_and_ours_stands_beside_it() {
    run(async {
        let odd = json!({"odd_tokens": 7});
        let with = |cost: &Value, more: &Value| {
            let mut usage = usage(&json!({"cost": cost}));
            usage.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            usage
        };
        let none = json!({});
        for (usage, cost, by, counted, stated) in [
            // Below, above and equal to ours, with counts that are understood.
            (
                with(&json!(0.0003), &none),
                Some("0.0003"),
                json!("provider"),
                Some(OURS),
                Some("0.0003"),
            ),
            (
                with(&json!(0.001), &none),
                Some("0.001"),
                json!("provider"),
                Some(OURS),
                Some("0.001"),
            ),
            (with(&json!(0.00084), &none), Some(OURS), json!("provider"), Some(OURS), Some(OURS)),
            // A hit of the answer cache, a free model.
            (with(&json!(0), &none), Some("0"), json!("provider"), Some(OURS), Some("0")),
            // A count that nobody knows: neither the hold nor less than what is stated.
            (with(&json!(0.001), &odd), Some("0.001"), json!("provider"), None, Some("0.001")),
            // No counts at all.
            (json!({"cost": 0.0005}), Some("0.0005"), json!("provider"), None, Some("0.0005")),
            // No statement: the counts, else the hold.
            (with(&json!(-0.001), &none), Some(OURS), json!("counts"), Some(OURS), None),
            (with(&json!("0.001"), &none), Some(OURS), json!("counts"), Some(OURS), None),
            (
                with(&json!(10_000.01), &none),
                Some(OURS),
                json!("counts"),
                Some(OURS),
                Some("10000.01"),
            ),
            (with(&json!(10_000.01), &odd), None, Value::Null, None, Some("10000.01")),
            (with(&Value::Null, &odd), None, Value::Null, None, None),
        ] {
            for streamed in [false, true] {
                let caller = Caller::new(stack().await).await;
                let script = match streamed {
                    true => stream(&told(&usage), b"data: [DONE]\n\n"),
                    false => Script::json(200, &completion(&usage, &json!({}))),
                };

                let answer = call(&caller, MODEL, streamed, script).await.expect(200);

                let (settled, row) = charged(&caller, &answer).await;
                let hold = usd(row["hold_usd"].as_str().unwrap());
                assert_eq!(settled, cost.map_or(hold, usd), "{usage} {streamed}: {row}");
                assert_eq!(row["charged_by"], by, "{row}");
                assert_eq!(row["counted_usd"], json!(counted), "{row}");
                assert_eq!(row["provider_cost_usd"], json!(stated), "{row}");
                let outcome = if cost.is_some() { "settled" } else { "worst" };
                assert_eq!(row["outcome"], outcome, "{row}");
                // The lines are ours, so they add up to ours.
                let lines = row["lines"].as_array().unwrap().iter();
                let sum = lines.fold(Money::ZERO, |sum, line| {
                    sum.plus(usd(line["amount_usd"].as_str().unwrap())).unwrap()
                });
                assert_eq!(sum, usd(counted.unwrap_or("0")), "{row}");
                let shown = match streamed {
                    false => answer.header("x-farebox-cost-usd").map(usd),
                    true => {
                        let last = answer.json_events().pop().unwrap();
                        last["usage"]["cost"]["total_cost"].as_str().map(usd)
                    }
                };
                assert_eq!(shown, Some(settled), "{}", answer.text());
            }
        }
    });
}

#[test]
fn openrouter_calls_no_endpoint_above_the_prices_that_are_held() {
    run(async {
        let caller = Caller::new(stack().await).await;
        let body = json!({"error": {"code": 404,
            "message": "No endpoints found that are below the max price."}});

        // 3 USD for a million tokens of either kind.
        let answer = call(&caller, "openrouter/01-ai/yi-large", false, Script::json(404, &body));
        let answer = answer.await;

        let sent: Value = serde_json::from_slice(&caller.posts()[0].body).unwrap();
        let most = json!({"max_price": {"prompt": "3", "completion": "3"}});
        assert_eq!(sent["provider"], most, "{sent}");
        assert!(answer.text().contains("max price"), "{}", answer.text());
        assert_eq!(charged(&caller, &answer).await.0, Money::ZERO);
    });
}

#[test]
fn a_model_whose_listed_surface_has_ended_is_refused_until_it_has_a_price() {
    run(async {
        let caller = Caller::new(stack().await).await;
        let stated = usage(&json!({"cost": {"total_cost": 0.00614}}));
        let script = || Script::json(200, &completion(&stated, &json!({})));

        let refused = call(&caller, "perplexity/sonar-pro", false, script()).await.expect(422);

        assert!(refused.text().contains("price_unknown"), "{}", refused.text());
        assert!(caller.posts().is_empty(), "Perplexity was not called");
        let answer = call(&caller, "perplexity/sonar", false, script()).await.expect(200);
        assert_eq!(charged(&caller, &answer).await.0, usd("0.00614"));
    });
}

#[test]
fn each_provider_states_in_its_own_way_and_some_zeros_say_nothing() {
    run(async {
        // grok-3: 3 and 15 USD. sonar: 3 and 3 USD, its owner's own.
        for (model, more, cost, by) in [
            ("xai/grok-3", json!({"cost_in_usd_ticks": 44_168_500}), "0.00441685", "provider"),
            ("xai/grok-3", json!({"cost_in_usd_ticks": 0}), "0.0045", "counts"),
            ("perplexity/sonar", json!({"cost": {"total_cost": 0.00614}}), "0.00614", "provider"),
            ("perplexity/sonar", json!({"cost": {"total_cost": 0}}), "0.0033", "counts"),
            (
                MODEL,
                json!({"cost": 0.0001, "is_byok": true,
                    "cost_details": {"upstream_inference_cost": 0.0008}}),
                "0.0009",
                "provider",
            ),
            // The upstream's part is not said, so the fee alone is not what the call cost.
            (MODEL, json!({"cost": 0.0001, "is_byok": true}), OURS, "counts"),
        ] {
            let caller = Caller::new(stack().await).await;
            let script = Script::json(200, &completion(&usage(&more), &json!({})));

            let answer = call(&caller, model, false, script).await.expect(200);

            let (settled, row) = charged(&caller, &answer).await;
            assert_eq!(settled, usd(cost), "{model} {more}: {row}");
            assert_eq!(row["charged_by"], by, "{row}");
        }
    });
}

#[test]
fn a_statement_that_came_before_the_answer_broke_is_charged() {
    run(async {
        let stated = usage(&json!({"cost": 0.0003}));
        let counted = usage(&json!({}));
        let broken = b"data: {\"id\"\n\n";
        let failed = |usage: &Value| {
            let error = json!({"code": 502, "message": "upstream"});
            let mut failed = chunk(&json!({}), &json!("error"), usage);
            failed.as_object_mut().unwrap().insert("error".to_owned(), error);
            [told(usage)[0].clone(), failed]
        };
        // A count before the answer is complete is not the last, and neither is an amount.
        let early = |usage: &Value| [chunk(&json!({"content": "hi"}), &Value::Null, usage)];
        let error = |usage: &Value| {
            let error = json!({"code": 502, "message": "upstream"});
            Script::json(200, &json!({"error": error, "usage": usage}))
        };
        for (script, streamed, status, is_stated) in [
            (stream(&told(&stated), broken), true, 200, true),
            (stream(&told(&counted), broken), true, 200, false),
            (stream(&failed(&stated), b""), true, 200, true),
            (stream(&early(&stated), broken), true, 200, false),
            (stream(&early(&stated), b"data: [DONE]\n\n"), true, 200, false),
            (error(&stated), false, 502, true),
            (error(&counted), false, 502, false),
        ] {
            let caller = Caller::new(stack().await).await;

            let answer = call(&caller, MODEL, streamed, script.clone()).await.expect(status);

            let (settled, row) = charged(&caller, &answer).await;
            let hold = usd(row["hold_usd"].as_str().unwrap());
            let cost = if is_stated { usd("0.0003") } else { hold };
            assert_eq!(settled, cost, "{script:?}: {row}");
            assert_eq!(row["outcome"], if is_stated { "settled" } else { "worst" }, "{row}");
            assert!(row["error_code"].is_string(), "{row}");
        }
    });
}

#[test]
fn a_statement_above_the_hold_is_charged_in_full_and_its_price_is_quarantined() {
    run(async {
        let (stack, model) = (stack().await, "openrouter/ai21/jamba-large-1.7");
        let caller = Caller::new(stack).await;
        caller.limit_user(&json!({"month_limit_usd": "10"})).await;
        let usage = usage(&json!({"cost": 1.5}));
        let script = Script::json(200, &completion(&usage, &json!({})));

        let answer = call(&caller, model, false, script).await.expect(200);

        let (settled, row) = charged(&caller, &answer).await;
        assert_eq!((settled, &row["charged_by"]), (usd("1.5"), &json!("provider")), "{row}");
        assert!(usd(row["hold_usd"].as_str().unwrap()) < settled, "{row}");
        let list = stack.read("/quarantine").await["quarantine"].clone();
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), 1, "no other statement here is above its hold: {list:?}");
        assert_eq!(list[0]["request_id"], row["request_id"], "{list:?}");
        assert_eq!(
            (&list[0]["cost_usd"], &list[0]["hold_usd"]),
            (&row["cost_usd"], &row["hold_usd"])
        );
        let path = format!("/quarantine/{model}");
        stack.admin(Method::DELETE, &path).send().await.expect(204);
    });
}

#[test]
fn a_call_charged_by_a_statement_is_not_rated_again_and_is_summed_at_its_charge() {
    run(async {
        let (stack, model) = (stack().await, "openrouter/aion-labs/aion-1.0");
        let caller = Caller::new(stack).await;
        let mut ids = Vec::new();
        for more in [json!({"cost": 0.003}), json!({})] {
            let script = Script::json(200, &completion(&usage(&more), &json!({})));
            let answer = call(&caller, model, false, script).await.expect(200);
            ids.push(answer.header("x-request-id").unwrap().to_owned());
        }
        stack.drain().await;
        // 4 and 8 USD: 0.0048 by the counts. Dearer from now on.
        stack.put(&format!("/prices/{model}"), &json!({"input": "8", "output": "16"})).await;
        let rows = stack.read(&format!("/requests/{}", ids[1])).await;
        let day = rows["started_at"].as_str().unwrap()[..10].to_owned();
        let body = json!({"from": day, "to": day, "model": model, "apply": true});

        let rerated = stack.admin(Method::POST, "/rerate").json(&body).send().await;

        let rerated = rerated.expect(200).json();
        assert_eq!(
            (&rerated["stated"], &rerated["looked_at"]),
            (&json!(1), &json!(2)),
            "{rerated}"
        );
        let rows = rerated["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{rerated}");
        assert_eq!(
            (&rows[0]["request_id"], &rows[0]["cost_usd"]),
            (&json!(ids[1]), &json!("0.0096"))
        );
        assert_eq!(caller.user_books().await.settled(), usd("0.0126"));
        stack.drain().await;
        let query = format!("by=model&scope={}&since={day}&until={day}", caller.user_scope());
        let usage = stack.read(&format!("/usage?{query}")).await;
        let sums = &usage["total"];
        assert_eq!(sums["charged_usd"], "0.0126", "{usage}");
        // The parts of ours are not those of a statement: 0.0048 of one call, and 0.003 whole.
        let parts = ["input_usd", "output_usd"].map(|part| usd(sums[part].as_str().unwrap()));
        assert_eq!(parts[0].plus(parts[1]), Some(usd("0.0048")), "{usage}");
    });
}
