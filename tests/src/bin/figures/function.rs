//! Functions to compare with, run as the chat function's bootstrap.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use farebox_aws::{Aws, Config};
use http_body_util::Full;
use lambda_http::{Request, service_fn};

/// Runs one of them until the driver ends it.
pub fn run(which: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let aws = (which == "calls").then(|| Aws::new(Config::from_env().expect("an environment")));
    let handler = service_fn(move |_: Request| {
        let aws = aws.clone();
        async move {
            if let Some(aws) = aws {
                five_calls(&aws).await;
            }
            Ok::<_, lambda_runtime::Error>(http::Response::new(Full::new(Bytes::new())))
        }
    });
    let running = lambda_http::run_with_streaming_response(handler);
    runtime.expect("a runtime").block_on(running).expect("the driver");
}

/// What a chat of two scopes asks of AWS, with expressions of the same length.
async fn five_calls(aws: &Aws) {
    tokio::join!(update(aws, "user", 1), update(aws, "key", 1));
    let record = "x".repeat(1_200);
    let queue = &aws.config().queue_url;
    let sent = aws.sqs().send_message().queue_url(queue).message_body(record).send();
    let (_, _, sent) = tokio::join!(update(aws, "user", -1), update(aws, "key", -1), sent);
    sent.expect("a message");
}

async fn update(aws: &Aws, kind: &str, amount: i64) {
    let number = |number: i64| AttributeValue::N(number.to_string());
    let names = ["mc_202611", "dc_20261123", "tc", "n"].iter().enumerate();
    let names: HashMap<_, _> =
        names.map(|(at, name)| (format!("#a{at}"), (*name).to_owned())).collect();
    aws.dynamodb()
        .update_item()
        .table_name(&aws.config().ledger_table)
        .key("pk", AttributeValue::S(format!("F#figures#{kind}")))
        .key("sk", AttributeValue::S("0".to_owned()))
        .update_expression("ADD #a0 :a, #a1 :a, #a2 :a, #a3 :a")
        .condition_expression("attribute_not_exists(#a0) OR #a0 <= :room")
        .set_expression_attribute_names(Some(names))
        .expression_attribute_values(":a", number(amount))
        .expression_attribute_values(":room", number(1_000_000))
        .send()
        .await
        .expect("an update");
}
