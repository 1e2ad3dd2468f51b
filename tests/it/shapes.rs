//! The shapes in which a stream may come, and when its bytes go on: a provider plays them by hand,
//! so that what comes next waits for what the caller has seen.

use std::sync::Arc;

use farebox_core::Money;
use farebox_tests::tap::Step;
use farebox_tests::wire::Open;
use farebox_tests::{Answer, Call, Caller, run, usd};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::forms::{FORMS, Form};
use crate::stacks::shared;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    x-request-id: req-shape\r\nconnection: close\r\n\r\n";
/// What the model says.
const SAID: &str = "hné😀";
const SECRET: &str = "sk-shape";

/// A stream with text of several bytes a letter, its lines ending in a line feed.
fn plain(form: &Form) -> String {
    let (events, _) = (form.events)(&form.usage(json!(50), json!(7)));
    events.concat().replace("\r\n", "\n").replace("\"i\"", "\"né😀\"")
}

/// A shape: what it does to the bytes of a stream.
type Shape = (&'static str, fn(&str) -> Vec<u8>);

const SHAPES: &[Shape] = &[
    ("plain", |text| text.into()),
    ("lines that end in CRLF", |text| text.replace('\n', "\r\n").into()),
    ("lines that end in CR", |text| text.replace('\n', "\r").into()),
    ("a byte order mark", |text| format!("\u{feff}{text}").into()),
    ("comments", |text| format!(": hello\n\n{}", text.replace("\n\n", "\n: x\n\n: y\n\n")).into()),
    ("blank lines", |text| format!("\n\n{}", text.replace("\n\n", "\n\n\n\n\n")).into()),
    ("ids and retries", |text| text.replace("data: ", "id: 7\nretry: 9\nodd\ndata: ").into()),
    ("no space behind the colon", |text| text.replace("data: ", "data:").into()),
    ("data on two lines", |text| text.replace("data: {", "data: {\ndata: ").into()),
    ("no blank line at the end", |text| text.trim_end().into()),
];

/// What a caller makes of a stream: its text, why it ended, and the completion's count.
fn read(form: &Form, answer: &Answer) -> (String, Value, Value) {
    let events = answer.json_events();
    let texts = |pointer: &str| -> String {
        events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
    };
    let last = |pointer: &str| {
        let found = events.iter().rev().find_map(|event| event.pointer(pointer));
        found.filter(|value| !value.is_null()).cloned().unwrap_or_default()
    };
    match form.provider {
        "openai" => {
            let ids: Vec<_> = events.iter().map(|event| &event["id"]).collect();
            assert!(ids.iter().all(|id| *id == ids[0] && id.is_string()), "{ids:?}");
            let roles = events.iter().filter_map(|event| event.pointer("/choices/0/delta/role"));
            assert_eq!(roles.count(), 1, "{events:?}");
            let reasons = events.iter().filter_map(|event| {
                event.pointer("/choices/0/finish_reason").filter(|reason| !reason.is_null())
            });
            let reasons: Vec<_> = reasons.cloned().collect();
            assert_eq!(reasons.len(), 1, "{events:?}");
            assert_eq!(events.last().unwrap()["choices"], json!([]), "usage last: {events:?}");
            assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
            (
                texts("/choices/0/delta/content"),
                reasons[0].clone(),
                last("/usage/completion_tokens"),
            )
        }
        "anthropic" => {
            (texts("/delta/text"), last("/delta/stop_reason"), last("/usage/output_tokens"))
        }
        _ => (
            texts("/candidates/0/content/parts/0/text"),
            last("/candidates/0/finishReason"),
            last("/usageMetadata/candidatesTokenCount"),
        ),
    }
}

fn wants_usage(form: &Form, caller: &Caller<'_>) -> Call {
    let call = form.call(caller, true);
    if form.provider != "openai" {
        return call;
    }
    let body = json!({"model": "openai/gpt-4o-mini", "max_tokens": 64, "stream": true,
        "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "hello ".repeat(40)}]});
    caller.post("/v1/chat/completions", &body)
}

#[test]
fn a_stream_of_any_shape_says_and_costs_the_same() {
    run(async {
        for form in &FORMS {
            let caller = Caller::new(shared().await).await;
            let mut expected = None;
            let mut cost = Money::ZERO;
            for (number, (shape, shaped)) in SHAPES.iter().enumerate() {
                let steps = [HEAD.as_bytes().to_vec(), shaped(&plain(form))];
                let steps = steps.into_iter().map(Step::Send).collect();
                form.aim(&caller, SECRET, steps).await;
                let answer = wants_usage(form, &caller).send().await.expect(200);

                let what = format!("{shape}, {}", form.provider);
                let (said, reason, tokens) = read(form, &answer);
                assert_eq!(said, SAID, "{what}: {}", answer.text());
                assert_eq!(tokens, 7, "{what}: {}", answer.text());
                let expected = expected.get_or_insert(reason.clone());
                assert_eq!(*expected, reason, "{what}");
                assert!(["stop", "end_turn", "STOP"].contains(&reason.as_str().unwrap()));
                let books = caller.user_books().await;
                books.assert_quiet();
                let settled = books.settled();
                if number == 0 {
                    cost = settled;
                }
                let times = i128::try_from(number + 1).unwrap();
                assert_eq!(settled.pico(), times * cost.pico(), "{what}");
            }
            assert!(cost > Money::ZERO && cost < usd("0.0001"), "{cost}: by its usage");
        }
    });
}

/// Reads until the answer so far has this in it.
async fn until_it_says(answer: &mut Open, so_far: &mut Vec<u8>, wanted: &str) {
    while !String::from_utf8_lossy(so_far).contains(wanted) {
        let piece = answer.piece().await.expect("a body with an end");
        let piece = piece.unwrap_or_else(|| panic!("the end before {wanted}"));
        so_far.extend_from_slice(&piece);
    }
}

#[test]
fn the_first_words_go_on_before_the_next_are_sent_and_a_letter_may_be_cut() {
    run(async {
        for form in &FORMS {
            let caller = Caller::new(shared().await).await;
            let text = plain(form).into_bytes();
            // Behind the first two of the four bytes of the last letter.
            let at = text.windows(4).position(|four| four == "😀".as_bytes()).unwrap() + 2;
            let (before, after) = text.split_at(at);
            let told = Arc::new(Notify::new());
            let head = [HEAD.as_bytes(), before].concat();
            let steps =
                vec![Step::Send(head), Step::Wait(Arc::clone(&told)), Step::Send(after.to_vec())];
            form.aim(&caller, SECRET, steps).await;

            let mut answer = form.call(&caller, true).open().await;
            let mut so_far = Vec::new();
            until_it_says(&mut answer, &mut so_far, "\"h\"").await;
            told.notify_one();
            until_it_says(&mut answer, &mut so_far, "né😀").await;
            while let Some(piece) = answer.piece().await.expect("a body with an end") {
                so_far.extend_from_slice(&piece);
            }

            assert!(!String::from_utf8_lossy(&so_far).contains('\u{fffd}'), "{}", form.provider);
            caller.user_books().await.assert_quiet();
        }
    });
}

#[test]
fn a_silent_stream_gets_comments_before_its_first_event_and_behind_it() {
    run(async {
        let (silent, said) = tokio::join!(kept_alive(false), kept_alive(true));
        assert!(silent.starts_with(": keep-alive\n\n"), "{silent}");
        assert!(!said.starts_with(": keep-alive"), "{said}");
    });
}

/// A stream whose provider says nothing, after its first event or before it, until the caller has
/// been told so.
async fn kept_alive(after_first: bool) -> String {
    let form = &FORMS[0];
    let caller = Caller::new(shared().await).await;
    let (events, _) = (form.events)(&form.usage(json!(50), json!(7)));
    let (first, rest) = events.split_at(usize::from(after_first));
    let told = Arc::new(Notify::new());
    let steps = vec![
        Step::Send([HEAD, &first.concat()].concat().into_bytes()),
        Step::Wait(Arc::clone(&told)),
        Step::Send(rest.concat().into_bytes()),
    ];
    form.aim(&caller, SECRET, steps).await;

    let mut answer = form.call(&caller, true).open().await;
    assert_eq!(answer.headers["x-farebox-provider-request-id"], "req-shape");
    let mut so_far = Vec::new();
    until_it_says(&mut answer, &mut so_far, ": keep-alive\n\n").await;
    told.notify_one();
    until_it_says(&mut answer, &mut so_far, "data: [DONE]\n\n").await;
    assert!(answer.piece().await.unwrap().is_none());
    caller.user_books().await.assert_quiet();
    String::from_utf8(so_far).unwrap()
}
