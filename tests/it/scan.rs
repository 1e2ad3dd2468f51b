//! The scheduler's look at every budget: one that is too long for a run goes on in the next.

use std::time::Duration;

use farebox_aws::{Aws, Config};
use farebox_core::{Rid, Timestamp};
use farebox_scheduler::{Pace, Scheduler, Tick};
use farebox_tests::{Settings, Stack, run, until};
use serde_json::json;

use crate::stacks::{Scratch, executable};

const BUDGETS: usize = 24;
/// Parts of the table, and budgets of each that a run at the test's pace looks at.
const A_RUN: usize = 4 * 2;

/// The services alone, with these variables beside their own: nothing but the test runs the
/// scheduler.
async fn services(state: &Scratch, more: &[(&str, &str)]) -> (Stack, Aws) {
    let state = Some(state.path().to_owned());
    let settings = Settings { services: true, state, ..Settings::default() };
    let stack = Stack::start(executable(), &settings).await;
    let environment = stack.chat_environment();
    let known = |wanted: &str| {
        let own = environment.iter().map(|(name, value)| (&**name, &**value));
        let mut all = more.iter().copied().chain(own);
        all.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
    };
    let aws = Aws::new(Config::from_lookup(known).unwrap());
    (stack, aws)
}

/// A budget that has spent nine tenths of its month.
async fn put_budget(stack: &Stack, scope: &str) {
    let number = |number: i64| json!({"N": number.to_string()});
    let item = json!({
        "pk": {"S": format!("B#main#{scope}")}, "sk": {"S": "0"},
        "md": {"S": "h"}, "th": {"S": "80"}, "lm": number(1_000),
        "ep": number(1), "lv": number(1), "n": number(0), "tc": number(900), "ts": number(900),
        "mc_202705": number(900), "ms_202705": number(900),
        "dc_20270512": number(900), "ds_20270512": number(900),
    });
    stack.dynamodb("PutItem", &json!({"TableName": "farebox-ledger", "Item": item})).await;
}

async fn tick(scheduler: &Scheduler, minute: u32) {
    let time = format!("2027-05-12T12:{minute:02}:00Z");
    farebox_scheduler::handle(scheduler, &Tick { time }).await.unwrap();
}

async fn alerts(stack: &Stack) -> usize {
    let items = stack.scan("main").await;
    items.iter().filter(|item| item.text("pk").starts_with("AL#main#user:")).count()
}

#[test]
fn a_look_at_all_budgets_that_one_run_cannot_end_goes_on_in_the_next() {
    run(async {
        let state = Scratch::new();
        let (stack, aws) = services(&state, &[]).await;
        for number in 0..BUDGETS {
            put_budget(&stack, &format!("user:u{number}")).await;
        }
        // No time at all: a page of each part, and the run ends.
        let pace = Pace { time: Duration::ZERO, page: 2, ..Pace::default() };
        let paced = || Scheduler::paced(&aws, pace);

        tick(&paced(), 4).await;
        assert_eq!(alerts(&stack).await, 0, "no look begins in this minute");
        tick(&paced(), 5).await;
        let first = alerts(&stack).await;
        assert!((1..=A_RUN).contains(&first), "{first}");
        // Environments come and go: each run is by a new one, and one dies within its run. Where
        // it ends before it is killed, the claim is only easier.
        let dying = paced();
        let further = async || (alerts(&stack).await > first).then_some(());
        tokio::select! {
            () = tick(&dying, 6) => {}
            () = until("a further alert", further) => {}
        }
        for minute in 6..6 + u32::try_from(BUDGETS).unwrap() {
            tick(&paced(), minute).await;
        }
        assert_eq!(alerts(&stack).await, BUDGETS);
    });
}

/// A budget of a key with the hold of a process that died at eleven.
async fn put_held(stack: &Stack, key: &str, rid: &str) {
    let number = |number: i64| json!({"N": number.to_string()});
    let budget = json!({
        "pk": {"S": format!("B#main#key:{key}")}, "sk": {"S": "0"}, "md": {"S": "h"},
        "ep": number(1), "lv": number(1), "n": number(1), "tc": number(5), "ts": number(0),
        "mc_202705": number(5), "dc_20270512": number(5),
        (format!("h_{rid}")): {"S": "5.20270512.900"},
    });
    stack.dynamodb("PutItem", &json!({"TableName": "farebox-ledger", "Item": budget})).await;
    let of = json!({"pk": {"S": format!("K#{key}")}, "sk": {"S": "0"}, "user": {"S": "u1"}});
    stack.dynamodb("PutItem", &json!({"TableName": "farebox-main", "Item": of})).await;
}

#[test]
fn a_scheduler_that_dies_after_it_has_charged_a_hold_takes_no_row_with_it() {
    run(async {
        // A queue that takes requests and answers none.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = format!("http://{}", silent.local_addr().unwrap());
        let state = Scratch::new();
        let (stack, dying) = services(&state, &[("AWS_ENDPOINT_URL_SQS", &silent)]).await;
        let environment = stack.chat_environment();
        let known = |wanted: &str| {
            environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
        };
        let aws = Aws::new(Config::from_lookup(known).unwrap());
        let eleven = Timestamp::parse("2027-05-12T11:00:00Z").unwrap();
        let rids = [1, 2].map(|number| Rid::new(eleven, number).to_string());
        put_held(&stack, "k1", &rids[0]).await;
        let is_charged = async || {
            let items = stack.scan("main").await;
            items.iter().any(|item| item.text("pk") == format!("T#{}", rids[0])).then_some(())
        };
        let scheduler = Scheduler::new(&dying);
        tokio::select! {
            () = tick(&scheduler, 5) => panic!("it had nobody to tell"),
            () = until("the hold is charged", is_charged) => {}
        }

        let living = Scheduler::new(&aws);
        tick(&living, 8).await;
        put_held(&stack, "k2", &rids[1]).await;
        tick(&living, 10).await;

        let ask = json!({"QueueUrl": stack.queue_url().await, "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": 5});
        let mut told = Vec::new();
        while told.len() < rids.len() {
            let answer = stack.sqs("ReceiveMessage", &ask).await;
            for message in answer["Messages"].as_array().expect("a row of each") {
                let record: serde_json::Value =
                    serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
                assert_eq!(record["outcome"], "provisional");
                assert_eq!(record["parts"][0]["hold"], "5.20270512.900");
                told.push(record["rid"].as_str().unwrap().to_owned());
            }
        }
        told.sort();
        assert_eq!(told, rids, "the row of each, and once");
        let items = stack.scan("main").await;
        assert!(!items.iter().any(|item| item.text("pk").starts_with("OB#")), "and nothing waits");
    });
}

/// A receiver or a queue that hangs takes ten seconds of each entry, and a function ends after 55.
#[test]
fn what_is_due_and_takes_too_long_keeps_no_budget_from_its_look() {
    run(async {
        let (state, topic) = (Scratch::new(), "arn:aws:sns:us-east-1:111122223333:alerts");
        let nobody = ("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:9");
        let (stack, aws) = services(&state, &[("FAREBOX_ALERT_TOPIC", topic), nobody]).await;
        put_budget(&stack, "user:u1").await;
        let (text, number) = (|text: &str| json!({"S": text}), |number: &str| json!({"N": number}));
        let due = [
            json!({"pk": text("OB#15"), "sk": text("01KAQ4ZV0M7W1C9Y3T5B8D2E6F"),
                "ev": text("{}")}),
            json!({"pk": text("AL#main#user:u2"), "sk": text("M#202705#80#1"), "st": text("P"),
                "spent": number("9"), "limit": number("10"), "tries": number("0"),
                "ttl": number("1840000000")}),
        ];
        for mut item in due {
            item["due"] = text("1");
            item["at"] = number("1800000000");
            stack.dynamodb("PutItem", &json!({"TableName": "farebox-main", "Item": item})).await;
        }
        let left = async || {
            let items = stack.scan("main").await;
            let of = |pk: &str| items.iter().find(|item| item.text("pk") == pk).cloned();
            let tries = of("AL#main#user:u2").unwrap().text("tries").to_owned();
            (of("OB#15").is_some(), tries, of("AL#main#user:u1").is_some())
        };

        let hasty = Pace { due: Duration::ZERO, ..Pace::default() };
        tick(&Scheduler::paced(&aws, hasty), 5).await;
        assert_eq!(left().await, (true, "0".to_owned(), true), "the budgets alone were looked at");

        tick(&Scheduler::new(&aws), 6).await;
        assert_eq!(left().await, (false, "1".to_owned(), true));
    });
}
