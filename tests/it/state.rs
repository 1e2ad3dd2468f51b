//! Starting, stopping and starting again.

use std::net::TcpListener;
use std::process::Output;

use farebox_core::Money;
use farebox_tests::caller::native;
use farebox_tests::stack::command;
use farebox_tests::{Call, Settings, Stack, run};
use http::Method;
use serde_json::json;

use crate::stacks::{Scratch, executable};

/// One clear sentence on standard error, and the exit code for what the user can put right.
fn assert_one_sentence(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_taken_port_gets_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = Settings { port, ..Settings::default() };

    let output = command(executable(), &settings).output().unwrap();

    assert_one_sentence(&output, &[&port.to_string(), "--port"]);
}

#[test]
fn a_state_of_another_format_gets_one_sentence() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("format"), "0\n").unwrap();
    let settings = Settings { state: Some(scratch.path().to_path_buf()), ..Settings::default() };

    let output = command(executable(), &settings).output().unwrap();

    assert_one_sentence(&output, &["format 0", "delete"]);
}

#[test]
fn a_second_start_finds_its_keys_and_its_books() {
    run(async {
        let scratch = Scratch::new();
        let state = Some(scratch.path().to_path_buf());
        let settings = Settings { state, environments: 2, ..Settings::default() };
        let chat = |stack: &Stack, key: &str| {
            let body = native("chat", &json!({}));
            Call::post(stack.url("/v1/chat"), &body).bearer(key).send()
        };
        let first = Stack::start(executable(), &settings).await;
        let (key, user) =
            (first.ready().text("key").to_owned(), first.ready().text("user").to_owned());
        let admin_key = first.ready().text("admin_key").to_owned();
        chat(&first, &key).await.expect(200);
        let scope = format!("user:{user}");
        let charged = first.books(&scope).await.settled();
        assert!(charged > Money::ZERO);
        let in_use = command(executable(), &settings).output().unwrap();
        assert_one_sentence(&in_use, &["another `cargo local`", "--port 0"]);
        let same_port = first.ready().url("base_url").rsplit(':').next().unwrap().parse().unwrap();
        let twice = Settings { port: same_port, ..settings.clone() };
        let twice = command(executable(), &twice).output().unwrap();
        assert_one_sentence(&twice, &["another `cargo local`", "--port 0"]);
        let status = first.interrupt().await;
        assert!(status.success(), "Ctrl-C ends well: {status}");

        let second = Stack::start(executable(), &settings).await;

        assert_eq!(second.ready().text("key"), key);
        assert_eq!(second.ready().text("user"), user);
        assert_eq!(second.ready().text("admin_key"), admin_key);
        assert_eq!(second.books(&scope).await.settled(), charged);
        chat(&second, &key).await.expect(200);
        let books = second.books(&scope).await;
        books.assert_quiet();
        assert!(books.settled() > charged, "{} after {charged}", books.settled());
    });
}

/// A key of the environment is stored, and outlives the variable.
#[test]
fn a_real_key_is_told_at_every_start_that_finds_it() {
    run(async {
        let scratch = Scratch::new();
        let state = Some(scratch.path().to_path_buf());
        let without = Settings { state, environments: 1, ..Settings::default() };
        let variables =
            vec![("OPENAI_API_KEY", "sk-of-nobody"), ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")];
        let with = Settings { variables, ..without.clone() };
        let told = |stack: &Stack| stack.ready().value("real_money").clone();
        let first = Stack::start(executable(), &with).await;
        assert_eq!(told(&first), json!(["openai"]));
        first.interrupt().await;

        let second = Stack::start(executable(), &without).await;

        assert_eq!(told(&second), json!(["openai"]), "the variable is gone, the key is not");
        let key = "/credentials/demo/openai";
        second.admin(Method::DELETE, key).send().await.expect(200);
        second.interrupt().await;
        let third = Stack::start(executable(), &without).await;
        assert_eq!(told(&third), json!([]));
    });
}

#[test]
fn the_demo_has_a_dollar_a_day() {
    run(async {
        let stack = crate::stacks::shared().await;
        let key = stack.ready().text("key");

        let budget = Call::get(stack.url("/v1/budget")).bearer(key).send().await.expect(200).json();

        let rows = budget["scopes"].as_array().unwrap();
        let limits: Vec<_> =
            rows.iter().filter(|row| row["period"] == "day").map(|row| &row["limit_usd"]).collect();
        assert!(limits.contains(&&json!("1")), "{budget}");
    });
}

#[test]
fn the_services_alone_make_the_demo_that_a_whole_start_finds() {
    run(async {
        let scratch = Scratch::new();
        let state = Some(scratch.path().to_path_buf());
        let settings = Settings { state, services: true, ..Settings::default() };
        let services = Stack::start(executable(), &settings).await;
        let key = services.ready().text("key").to_owned();

        assert!(key.starts_with("sk-fb-local-"), "{key}");
        let environment = std::fs::read_to_string(scratch.path().join("env")).unwrap();
        let provider = services.ready().url("demo_provider_url");
        assert!(environment.contains(provider), "the functions may call the demo provider");
        services.interrupt().await;

        let settings = Settings { services: false, ..settings };
        let whole = Stack::start(executable(), &settings).await;
        assert_eq!(whole.ready().text("key"), key);
    });
}
