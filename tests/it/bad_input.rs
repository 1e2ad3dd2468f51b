//! What bad input gets: a 4xx that names the field, in the caller's dialect, and nothing else.

use farebox_tests::{Answer, Call, Caller, run};
use http::Method;
use serde_json::{Value, json};

use crate::refusals::assert_refusal;
use crate::stacks::shared;

/// Stands in the content of every call of this module, and nowhere else afterwards.
const CANARY: &str = "canary-of-bad-input-5f1c";

const OPENAI: &str = "/v1/chat/completions";
const NATIVE: &str = "/v1/chat";
const BAD: (u16, &str) = (400, "invalid_request_error");
const UNBOUNDED: (u16, &str) = (422, "unbounded_call");

/// One row: path, body, status and code, and the field that must be named.
type Row = (&'static str, Vec<u8>, (u16, &'static str), String);

/// A good call of `OpenAI`'s form with fields added as text, so that they may be no JSON at all.
fn openai(more: &str) -> Vec<u8> {
    let text = format!(
        r#"{{"model":"demo/chat","messages":[{{"role":"user","content":"{CANARY}"}}]{more}}}"#
    );
    text.into_bytes()
}

/// A call of `OpenAI`'s form with these messages.
fn messages(messages: &str) -> Vec<u8> {
    format!(r#"{{"model":"demo/chat","messages":{messages}}}"#).into_bytes()
}

/// A good call of Farebox's form with fields added, and these options.
fn native(more: &str, options: &str) -> Vec<u8> {
    let text = format!(
        r#"{{"provider":"demo","model":"chat","messages":[{{"role":"user","content":"{CANARY}"}}],
            "options":{options}{more}}}"#
    );
    text.into_bytes()
}

fn not_json() -> Vec<Row> {
    let mut bad_utf8 = openai("");
    let at = bad_utf8.windows(6).position(|bytes| bytes == b"canary").unwrap();
    bad_utf8[at] = 0xff;
    let deep = "[".repeat(1_000) + &"]".repeat(1_000);
    let bodies = [
        Vec::new(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        format!("\"{CANARY}\"").into_bytes(),
        CANARY.as_bytes().to_vec(),
        openai(","),
        openai(r#","temperature":NaN"#),
        openai(r#","temperature":Infinity"#),
        openai(r#","temperature":1e999"#),
        openai(r#","temperature":-1e999"#),
        openai(r#","temperature":01"#),
        openai(r#","user":"\ud800""#),
        openai(r#","user":"\x""#),
        [openai(""), b"x".to_vec()].concat(),
        bad_utf8,
        messages(&deep),
        deep.into_bytes(),
        openai(&format!(r#","metadata":{}1{}"#, r#"{"a":"#.repeat(1_000), "}".repeat(1_000))),
    ];
    let both = bodies.into_iter().flat_map(|body| [(OPENAI, body.clone()), (NATIVE, body)]);
    both.map(|(path, body)| (path, body, BAD, "body".to_owned())).collect()
}

fn bad_messages() -> Vec<Row> {
    let bare: Vec<(String, &'static str)> = vec![
        ("null".to_owned(), ""),
        ("{}".to_owned(), ""),
        (format!("\"{CANARY}\""), ""),
        ("[]".to_owned(), ""),
        ("7".to_owned(), ""),
        ("[null]".to_owned(), "[0]"),
        (format!("[\"{CANARY}\"]"), "[0]"),
        (format!(r#"[{{"content":"{CANARY}"}}]"#), "[0].role"),
        (format!(r#"[{{"role":"robot","content":"{CANARY}"}}]"#), "[0].role"),
        (format!(r#"[{{"role":7,"content":"{CANARY}"}}]"#), "[0].role"),
    ];
    let contents = [
        (r#""role":"user""#, "[0].content"),
        (r#""role":"user","content":7"#, "[0].content"),
        (r#""role":"user","content":[]"#, "[0].content"),
        (r#""role":"user","content":{}"#, "[0].content"),
        (r#""role":"user","content":["x"]"#, "[0].content[0].type"),
        (r#""role":"user","content":[{"type":"video"}]"#, "[0].content[0].type"),
        (r#""role":"user","content":[{"type":"text"}]"#, "[0].content[0]"),
        (r#""role":"user","content":[{"type":"image_url"}]"#, "[0].content[0]"),
    ];
    let contents = contents.map(|(fields, field)| (format!("[{{{fields}}}]"), field));
    let rows = bare.into_iter().chain(contents).chain(out_of_order());
    rows.map(|(text, at)| (OPENAI, messages(&text), BAD, format!("messages{at}"))).collect()
}

/// Messages that are well formed each and wrong in their order.
fn out_of_order() -> Vec<(String, &'static str)> {
    let user = format!(r#"{{"role":"user","content":"{CANARY}"}}"#);
    let calls = r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function",
        "function":{"name":"f","arguments":"{}"}}]}"#;
    let says = |more: &str| format!(r#"{{"role":"assistant","content":"x"{more}}}"#);
    let tool = |more: &str| format!(r#"{{"role":"tool","content":"1"{more}}}"#);
    let (for_a, for_b) = (tool(r#","tool_call_id":"a""#), tool(r#","tool_call_id":"b""#));
    let (torn, half) = (says(r#","tool_calls":"a""#), says(r#","tool_calls":[{"id":"a"}]"#));
    vec![
        (format!(r#"[{user},{{"role":"assistant"}}]"#), "[1].content"),
        (format!("[{user},{for_a}]"), "[1].tool_call_id"),
        (format!("[{user},{calls},{}]", tool("")), "[2].tool_call_id"),
        (format!("[{user},{calls},{for_b}]"), "[2].tool_call_id"),
        (format!("[{user},{calls},{user},{},{for_a}]", says("")), "[4].tool_call_id"),
        (format!("[{user},{torn}]"), "[1].tool_calls"),
        (format!("[{user},{half}]"), "[1].tool_calls[0]"),
    ]
}

fn bad_options() -> Vec<Row> {
    let texts = vec!["x"; 17];
    let stop = format!(r#""stop":{}"#, json!(texts));
    let rows: Vec<(String, (u16, &'static str), &'static str)> = [
        (r#""max_tokens":-1"#, BAD, "max_tokens"),
        (r#""max_tokens":0"#, BAD, "max_tokens"),
        (r#""max_tokens":1.5"#, BAD, "max_tokens"),
        (r#""max_tokens":"5""#, BAD, "max_tokens"),
        (r#""max_tokens":1e20"#, BAD, "max_tokens"),
        (r#""max_tokens":99999999999999999999"#, BAD, "max_tokens"),
        (r#""max_completion_tokens":-5"#, BAD, "max_completion_tokens"),
        (r#""max_tokens":5,"max_completion_tokens":5"#, BAD, "max_tokens"),
        (r#""temperature":3"#, BAD, "temperature"),
        (r#""temperature":"hot""#, BAD, "temperature"),
        (r#""top_p":-0.1"#, BAD, "top_p"),
        (r#""n":0"#, BAD, "n"),
        (r#""n":129"#, BAD, "n"),
        (r#""n":-1"#, BAD, "n"),
        (r#""n":1.5"#, BAD, "n"),
        (r#""stream":"yes""#, BAD, "stream"),
        (r#""stream_options":{"include_usage":true}"#, BAD, "stream_options"),
        (r#""stream":true,"stream_options":[]"#, BAD, "stream_options"),
        (
            r#""stream":true,"stream_options":{"include_usage":1}"#,
            BAD,
            "stream_options.include_usage",
        ),
        (r#""stream":true,"stream_options":{"speed":1}"#, BAD, "stream_options.speed"),
        (r#""service_tier":"priority""#, BAD, "service_tier"),
        (stop.as_str(), BAD, "stop"),
        (r#""stop":7"#, BAD, "stop"),
        (r#""tools":{}"#, BAD, "tools"),
        (r#""tools":[{"type":"function"}]"#, BAD, "tools[0].function.name"),
        (
            r#""tools":[{"type":"function","function":{"name":"f","parameters":7}}]"#,
            BAD,
            "tools[0].function.parameters",
        ),
        (r#""tools":[{"type":"web_search"}]"#, UNBOUNDED, "tools[0].type"),
        (r#""tool_choice":5"#, BAD, "tool_choice"),
        (r#""response_format":"json""#, BAD, "response_format"),
        (r#""logit_bias":[]"#, BAD, "logit_bias"),
        (r#""seed":1.5"#, BAD, "seed"),
        (r#""top_logprobs":21"#, BAD, "top_logprobs"),
        (r#""reasoning_effort":"lots""#, BAD, "reasoning_effort"),
        (r#""modalities":["smell"]"#, BAD, "modalities"),
        (r#""prediction":{}"#, UNBOUNDED, "prediction"),
        (r#""web_search_options":{}"#, UNBOUNDED, "web_search_options"),
        (r#""functions":[]"#, UNBOUNDED, "functions"),
        (r#""user":7"#, BAD, "user"),
        (r#""metadata":"x""#, BAD, "metadata"),
        (r#""plugins":[]"#, BAD, "plugins"),
    ]
    .into_iter()
    .map(|(text, refusal, field)| (text.to_owned(), refusal, field))
    .collect();
    let both = rows.iter().flat_map(|(text, refusal, field)| {
        let theirs = (OPENAI, openai(&format!(",{text}")), *refusal, (*field).to_owned());
        [theirs, (NATIVE, native("", &format!("{{{text}}}")), *refusal, (*field).to_owned())]
    });
    both.collect()
}

fn bad_names() -> Vec<Row> {
    let long = "m".repeat(300);
    let user = format!(r#"[{{"role":"user","content":"{CANARY}"}}]"#);
    let unknown = (404, "model_not_found");
    let named = |model: &str| format!(r#"{{"model":{model},"messages":{user}}}"#).into_bytes();
    let provided = |provider: &str| {
        format!(r#"{{"provider":{provider},"model":"chat","messages":{user}}}"#).into_bytes()
    };
    let nameless = format!(r#"{{"messages":{user}}}"#).into_bytes();
    let long = format!("\"{long}\"");
    let mut rows = vec![(NATIVE, nameless.clone(), BAD, "model"), (OPENAI, nameless, BAD, "model")];
    for model in ["7", "\"\"", "null", "[]", &long] {
        rows.push((OPENAI, named(model), BAD, "model"));
        rows.push((NATIVE, named(model), BAD, "model"));
    }
    for model in ["\"demo/none\"", "\"demo/\"", "\"none-at-all\"", "\"../../admin\""] {
        rows.push((OPENAI, named(model), unknown, "model"));
        rows.push((NATIVE, named(model), unknown, "model"));
    }
    for provider in ["7", "\"\"", "[]", "\"nobody\"", "\"DEMO\""] {
        rows.push((NATIVE, provided(provider), BAD, "provider"));
    }
    rows.extend([
        (NATIVE, native(r#","temperature":1"#, "{}"), BAD, "temperature"),
        (NATIVE, native("", "[]"), BAD, "options"),
        (NATIVE, native("", "\"x\""), BAD, "options"),
        (NATIVE, native("", r#"{"model":"chat"}"#), BAD, "options"),
        (NATIVE, native("", r#"{"messages":[]}"#), BAD, "options"),
    ]);
    rows.into_iter()
        .map(|(path, body, refusal, field)| (path, body, refusal, field.to_owned()))
        .collect()
}

/// Asserts that the refusal names the field where programs look for it.
fn assert_names(answer: &Answer, path: &str, body: &str, field: &str) {
    let error = &answer.json()["error"];
    let named = if path == NATIVE { &error["field"] } else { &error["param"] };
    let named = named.as_str().unwrap_or_default();
    let named = named.strip_prefix("options.").unwrap_or(named);
    assert_eq!(named, field, "{path} {body}: {error}");
    let message = error["message"].as_str().unwrap();
    assert!(field == "model" || message.contains(field), "{path} {body}: {message}");
    assert!(!answer.text().contains(CANARY), "{path} {body}: {}", answer.text());
}

#[test]
fn bad_bodies_are_refused_by_field_and_rule_and_leave_nothing_behind() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let rows = [not_json(), bad_messages(), bad_options(), bad_names()].concat();
        assert!(rows.len() >= 60, "{} rows", rows.len());

        for (path, body, (status, code), field) in rows {
            let shown = String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
            let call = caller.request(Method::POST, path).with("content-type", "application/json");
            let answer = call.bytes(body).send().await;
            assert_eq!(answer.code(), status, "{path} {shown}: {}", answer.text());
            assert_refusal(&answer, status, code);
            assert_eq!(answer.json().get("success").is_some(), path == NATIVE, "{path} {shown}");
            assert_names(&answer, path, &shown, &field);
        }

        assert_left_nothing(&caller).await;
    });
}

async fn assert_left_nothing(caller: &Caller<'_>) {
    caller.assert_untouched().await;
    let stack = caller.stack();
    stack.drain().await;
    let tables = stack.all_tables().await;
    assert!(tables.contains(&caller.user), "the tables are read");
    assert!(!tables.contains(CANARY), "content in a table");
    let log = stack.log();
    let refused = caller.chat("nope", &json!({})).await;
    let id = refused.header("x-request-id").expect("x-request-id");
    farebox_tests::until("the log has refusals", || async {
        stack.log().contains(id).then_some(())
    })
    .await;
    assert!(!log.contains(CANARY), "content in the log");
    assert!(!log.contains("panicked"), "a panic in the log");
}

#[test]
fn bad_headers_are_refused_and_leave_nothing_behind() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let good = || caller.request(Method::POST, NATIVE).bytes(native("", "{}"));
        let json = || good().with("content-type", "application/json");
        let rows: Vec<(&str, Call, u16)> = vec![
            ("no content type", good(), 415),
            ("text", good().with("content-type", "text/plain"), 415),
            ("nonsense", good().with("content-type", ";;;"), 415),
            ("compressed", json().with("content-encoding", "gzip"), 415),
            ("compressed otherwise", json().with("content-encoding", "zstd"), 415),
            ("no key", json().without("authorization"), 401),
            ("an empty key", json().with("authorization", "Bearer "), 401),
            ("a scheme that is none of ours", json().with("authorization", "Basic eA=="), 401),
            (
                "a key that is bytes",
                json().with("authorization", [b"Bearer ", &[0xe9_u8][..]].concat()),
                401,
            ),
            ("a key with a canary", json().bearer(&format!("sk-fb-{CANARY}")), 401),
            ("an endless key", json().bearer(&"x".repeat(5_000)), 401),
        ];
        for (what, call, status) in rows {
            let answer = call.send().await;

            assert_eq!(answer.code(), status, "{what}: {}", answer.text());
            assert_eq!(answer.json()["success"], false, "{what}");
            assert!(answer.header("x-request-id").is_some(), "{what}");
        }
        assert_left_nothing(&caller).await;
    });
}

#[test]
fn bad_parameters_are_refused_by_name() {
    run(async {
        let caller = Caller::new(shared().await).await;
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=x", "limit"),
            ("limit=-1", "limit"),
            ("cursor=nonsense", "cursor"),
            ("cursor=%00", "cursor"),
        ] {
            let path = format!("/v1/requests?{query}");
            let answer = caller.request(Method::GET, &path).send().await;

            assert_refusal(&answer, 400, "invalid_request_error");
            assert_eq!(answer.json()["error"]["param"], field, "{query}");
        }
        for id in ["x", "..", "01", "%2e%2e%2f", "01KAQ4ZV0M7W1C9Y3T5B8D2E6F"] {
            let path = format!("/v1/requests/{id}");
            let answer = caller.request(Method::GET, &path).send().await;
            assert_refusal(&answer, 404, "not_found");
        }
    });
}

#[test]
fn a_body_of_a_thousand_levels_of_content_is_refused_like_any_other() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let mut deep = Value::from(CANARY);
        for _ in 0..100 {
            deep = json!([deep]);
        }
        // Within the parser's depth, but no content.
        let body = json!({"model": "demo/chat", "messages": [{"role": "user", "content": deep}]});

        let answer = caller.post(OPENAI, &body).send().await;

        assert_refusal(&answer, 400, "invalid_request_error");
        caller.assert_untouched().await;
    });
}
