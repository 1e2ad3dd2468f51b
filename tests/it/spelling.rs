//! The JSON of a call may be written in many ways: its hold bounds its bill in each of them.

use farebox_tests::caller::openai;
use farebox_tests::{Caller, run, usd};
use http::Method;
use serde_json::{Value, json};

use crate::stacks::shared;

/// The body of a call in other words.
fn spellings(body: &Value) -> Vec<(&'static str, String)> {
    let plain = body.to_string();
    let escaped = |text: &str| -> String {
        text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    let turned = body.as_object().unwrap().clone().into_iter().rev().collect();
    let twice = "{\"temperature\":0.123456789,";
    let inner = format!("\"content\":\"{}\",\"content\":", "longer ".repeat(100));
    vec![
        ("compact", plain.clone()),
        ("pretty", format!("{body:#}")),
        ("spaces", plain.replace(',', " , ").replace(':', "  :\t\r\n")),
        ("escapes", plain.replace("hello", &escaped("hello"))),
        ("another order", Value::Object(turned).to_string()),
        ("a field twice", plain.replacen('{', twice, 1)),
        ("a name within a field twice", plain.replace("\"content\":", &inner)),
        ("a name twice and escaped", {
            plain.replace("\"content\":", &inner.replacen("content", &escaped("content"), 1))
        }),
        ("many digits", plain.replace("0.5", &format!("0.5{}", "0".repeat(500)))),
        ("another number", plain.replace("0.5", "5e-1")),
    ]
}

#[test]
fn a_call_costs_no_more_than_its_hold_however_its_json_is_written() {
    run(async {
        let caller = Caller::new(shared().await).await;
        caller.limit_user(&json!({"month_limit_usd": "1"})).await;
        let chat = openai("demo/exact", &json!({"max_tokens": 20, "temperature": 0.5}));
        let response = json!({"model": "demo/exact", "max_output_tokens": 20, "temperature": 0.5,
            "input": [{"role": "user", "content": "hello"}]});
        for (path, body) in [("/v1/chat/completions", chat), ("/v1/responses", response)] {
            let mut first = None;
            for (how, written) in spellings(&body) {
                let call = caller.request(Method::POST, path).bytes(written);
                let answer = call.with("content-type", "application/json").send().await;
                let row = caller.row(answer.expect(200).header("x-request-id").unwrap()).await;

                let (held, cost) = (&row["held_usd"], &row["cost_usd"]);
                let amount = |field: &Value| usd(field.as_str().unwrap());
                assert!(amount(cost) <= amount(held), "{path}, {how}: {row}");
                let first = first.get_or_insert_with(|| cost.clone());
                assert_eq!(first, cost, "{path}, {how}");
            }
        }
        caller.assert_settled_to_the_bill().await;
    });
}
