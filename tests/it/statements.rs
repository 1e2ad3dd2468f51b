//! The month's statement, mailed once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farebox_tests::moved::next_year;
use farebox_tests::stack::UNREACHABLE;
use farebox_tests::{Call, Caller, Moved, Settings, Stack, run, usd};
use http::Method;
use serde_json::{Value, json};

use crate::money::exact;
use crate::stacks::executable;

const SES: &str = "AWS_ENDPOINT_URL_SESV2";

async fn started(time: &str, variables: Vec<(&'static str, &'static str)>) -> Moved {
    let settings = Settings { environments: 2, variables, ..Settings::default() };
    Moved::start_with(executable(), settings, time).await
}

/// The scheduler's run at a time, done or failed.
async fn tick(clock: &Moved, time: &str) -> u16 {
    clock.to(time);
    let url = format!("{}/_local/schedule?time={time}", clock.stack.ready().url("services_url"));
    Call::new(Method::POST, url).send().await.code()
}

async fn set(stack: &Stack, variables: &Value) {
    let url = format!("{}/_local/environment", stack.ready().url("services_url"));
    Call::post(url, variables).send().await.expect(200);
}

#[test]
fn a_closed_months_statement_is_mailed_once_and_again_only_where_it_failed() {
    run(async {
        let year = next_year();
        let clock = started(
            &format!("{year}-05-12T12:00:00Z"),
            vec![
                ("FAREBOX_ALERT_SENDER", "farebox@example.com"),
                ("FAREBOX_STATEMENT_RECIPIENTS", "money@example.com, cfo@example.com"),
                ("FAREBOX_STATEMENT_BY", "user,model"),
            ],
        )
        .await;
        let stack = &clock.stack;
        let caller = Caller::new(stack).await;
        let mut charged = Vec::new();
        for _ in 0..2 {
            let answer = caller.chat("exact", &exact()).await.expect(200);
            charged.push(usd(answer.header("x-farebox-cost-usd").unwrap()));
        }
        stack.drain().await;
        let sum = charged[0].plus(charged[1]).unwrap();

        assert_eq!(tick(&clock, &format!("{year}-06-02T23:45:00Z")).await, 200);
        assert!(stack.messages().await.is_empty(), "two days are not over");
        set(stack, &json!({SES: UNREACHABLE})).await;
        assert_eq!(tick(&clock, &format!("{year}-06-03T00:00:00Z")).await, 502, "no connection");
        set(stack, &json!({SES: stack.ready().url("services_url")})).await;
        let again = format!("{year}-06-03T00:15:00Z");
        clock.to(&again);
        tokio::join!(stack.schedule(&again), stack.schedule(&again));
        assert_eq!(tick(&clock, &format!("{year}-06-03T00:30:00Z")).await, 200);

        let messages = stack.messages().await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        let mail = &messages[0];
        let to = json!(["money@example.com", "cfo@example.com"]);
        assert_eq!(mail["Destination"]["ToAddresses"], to);
        let simple = &mail["Content"]["Simple"];
        let subject = format!("Farebox: statement of {year}-05, {sum} USD");
        assert_eq!(simple["Subject"]["Data"], subject);
        assert_eq!(simple["Headers"][0]["Name"], "Statement-Id");
        let file = &simple["Attachments"][0];
        assert_eq!(file["FileName"], format!("farebox-{year}05.csv"));
        let csv = STANDARD.decode(file["RawContent"].as_str().unwrap()).unwrap();
        let csv = String::from_utf8(csv).unwrap();
        let lines: Vec<_> = csv.lines().collect();
        assert!(lines[0].starts_with("month,user,model,charged_usd,unknown_usd,"), "{csv}");
        let mine: Vec<_> = lines.iter().filter(|line| line.contains(&caller.user)).collect();
        let line = format!("{year}-05,{},demo/exact,{sum},0,0,", caller.user);
        assert!(mine.len() == 1 && mine[0].starts_with(&line), "{csv}");
        assert!(mine[0].contains(",2,0,"), "two calls, none refused: {csv}");
    });
}

#[test]
fn nobody_is_mailed_a_statement_where_no_recipient_is_set() {
    run(async {
        let year = next_year();
        let clock = started(
            &format!("{year}-05-12T12:00:00Z"),
            vec![
                ("FAREBOX_ALERT_SENDER", "farebox@example.com"),
                ("FAREBOX_ALERT_RECIPIENTS", "ops@example.com"),
            ],
        )
        .await;
        let caller = Caller::new(&clock.stack).await;
        caller.chat("exact", &exact()).await.expect(200);
        clock.stack.drain().await;

        assert_eq!(tick(&clock, &format!("{year}-06-03T00:00:00Z")).await, 200);

        assert!(clock.stack.messages().await.is_empty());
    });
}
