//! A caller's faults in every dialect: one table of faults, one of dialects. Each is refused with
//! its status, in the dialect's own shape, with the field as the dialect's callers wrote it.

use farebox_tests::{Answer, Caller, run};
use serde_json::{Value, json};

use crate::stacks::shared;

/// Stands in the content of every call here; no refusal repeats it.
const CANARY: &str = "canary-of-faults-77ab";

/// One dialect: a good call, and what it calls its parts.
struct Spoken {
    name: &'static str,
    path: &'static str,
    good: fn() -> Value,
    /// Where what is asked stands, and whether a plain text may stand there.
    content: (&'static str, bool),
    /// A number of its own, as a pointer; the cap where it has one.
    number: &'static str,
    /// The temperature, where it has one.
    temperature: Option<&'static str>,
    /// Where an option stands that nobody knows.
    odd: &'static str,
    /// Where the name of the model stands: in the path where it is `None`.
    model: Option<&'static str>,
    /// Whether a field says that it shall stream.
    streams: bool,
    shape: fn(&Answer, &Told),
}

/// What a refusal must say.
struct Told {
    status: u16,
    code: &'static str,
    /// Nothing where no field is at fault.
    field: Option<String>,
}

fn turns() -> Value {
    json!([{"role": "user", "content": CANARY}])
}

fn of_openai(answer: &Answer, told: &Told) {
    let error = &answer.json()["error"];
    assert_eq!(error["code"], told.code, "{error}");
    assert_eq!(error["param"].as_str(), told.field.as_deref(), "{error}");
    let kind = if told.status == 401 { "authentication_error" } else { "invalid_request_error" };
    assert_eq!(error["type"], kind, "{error}");
}

fn of_farebox(answer: &Answer, told: &Told) {
    let body = answer.json();
    assert_eq!((&body["success"], &body["error"]["code"]), (&json!(false), &json!(told.code)));
    assert_eq!(body["error"]["field"].as_str(), told.field.as_deref(), "{body}");
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"), "{body}");
}

fn of_anthropic(answer: &Answer, told: &Told) {
    let body = answer.json();
    let kind = match told.status {
        401 => "authentication_error",
        404 => "not_found_error",
        _ => "invalid_request_error",
    };
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(kind)), "{body}");
    assert_eq!(body["error"]["field"].as_str(), told.field.as_deref(), "{body}");
    assert_eq!(body["request_id"].as_str(), answer.header("request-id"), "{body}");
}

fn of_google(answer: &Answer, told: &Told) {
    let error = &answer.json()["error"];
    let status = match told.status {
        401 => "UNAUTHENTICATED",
        404 => "NOT_FOUND",
        _ => "INVALID_ARGUMENT",
    };
    assert_eq!(
        (&error["code"], &error["status"]),
        (&json!(told.status), &json!(status)),
        "{error}"
    );
    let detail = &error["details"][0];
    assert_eq!(detail["reason"], told.code, "{error}");
    assert_eq!(detail["metadata"]["field"].as_str(), told.field.as_deref(), "{error}");
}

const DIALECTS: &[Spoken] = &[
    Spoken {
        name: "chat completions",
        path: "/v1/chat/completions",
        good: || json!({"model": "demo/chat", "messages": turns()}),
        content: ("/messages", false),
        number: "/max_tokens",
        temperature: Some("/temperature"),
        odd: "/odd",
        model: Some("/model"),
        streams: true,
        shape: of_openai,
    },
    Spoken {
        name: "Farebox's own",
        path: "/v1/chat",
        good: || json!({"provider": "demo", "model": "chat", "messages": turns(), "options": {}}),
        content: ("/messages", false),
        number: "/options/max_tokens",
        temperature: Some("/options/temperature"),
        odd: "/options/odd",
        model: Some("/model"),
        streams: false,
        shape: of_farebox,
    },
    Spoken {
        name: "Responses",
        path: "/v1/responses",
        good: || json!({"model": "demo/chat", "input": CANARY}),
        content: ("/input", true),
        number: "/max_output_tokens",
        temperature: Some("/temperature"),
        odd: "/odd",
        model: Some("/model"),
        streams: true,
        shape: of_openai,
    },
    Spoken {
        name: "Messages",
        path: "/v1/messages",
        good: || json!({"model": "demo/chat", "max_tokens": 9, "messages": turns()}),
        content: ("/messages", false),
        number: "/max_tokens",
        temperature: Some("/temperature"),
        odd: "/odd",
        model: Some("/model"),
        streams: true,
        shape: of_anthropic,
    },
    Spoken {
        name: "Gemini's",
        path: "/v1beta/models/demo/chat:generateContent",
        good: || json!({"contents": [{"parts": [{"text": CANARY}]}], "generationConfig": {}}),
        content: ("/contents", false),
        number: "/generationConfig/maxOutputTokens",
        temperature: Some("/generationConfig/temperature"),
        odd: "/generationConfig/odd",
        model: None,
        streams: false,
        shape: of_google,
    },
    Spoken {
        name: "legacy completions",
        path: "/v1/completions",
        good: || json!({"model": "demo/chat", "prompt": CANARY}),
        content: ("/prompt", true),
        number: "/max_tokens",
        temperature: Some("/temperature"),
        odd: "/odd",
        model: Some("/model"),
        streams: true,
        shape: of_openai,
    },
    Spoken {
        name: "embeddings",
        path: "/v1/embeddings",
        good: || json!({"model": "demo/embed", "input": CANARY}),
        content: ("/input", true),
        number: "/dimensions",
        temperature: None,
        odd: "/odd",
        model: Some("/model"),
        streams: false,
        shape: of_openai,
    },
];

/// A field as its callers write it, from its pointer.
fn field(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// The good call with another value there; without it where there is none.
fn with(spoken: &Spoken, pointer: &str, value: Option<Value>) -> Vec<u8> {
    let mut body = (spoken.good)();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
    match value {
        Some(value) => drop(parent.insert(name.to_owned(), value)),
        None => drop(parent.remove(name)),
    }
    body.to_string().into_bytes()
}

/// A fault: its name, the body that has it, and what is told. `None` where a dialect cannot have
/// it.
type Fault = (&'static str, fn(&Spoken) -> Option<(Vec<u8>, Told)>);

const BAD: (u16, &str) = (400, "invalid_request_error");

#[expect(clippy::unnecessary_wraps, reason = "most faults are in every dialect")]
fn told(
    body: Vec<u8>,
    (status, code): (u16, &'static str),
    field: &str,
) -> Option<(Vec<u8>, Told)> {
    Some((body, Told { status, code, field: Some(field.to_owned()) }))
}

fn at(spoken: &Spoken, pointer: &str, value: Value) -> Option<(Vec<u8>, Told)> {
    told(with(spoken, pointer, Some(value)), BAD, &field(pointer))
}

const FAULTS: &[Fault] = &[
    ("no JSON", |_| told(b"{".to_vec(), BAD, "body")),
    ("no object", |_| told(b"[]".to_vec(), BAD, "body")),
    ("no content", |one| told(with(one, one.content.0, None), BAD, &field(one.content.0))),
    ("a number as content", |one| at(one, one.content.0, json!(7))),
    ("empty content", |one| at(one, one.content.0, json!([]))),
    ("a text as content", |one| {
        (!one.content.1).then(|| at(one, one.content.0, json!(CANARY))).flatten()
    }),
    ("a negative number", |one| at(one, one.number, json!(-1))),
    ("a broken number", |one| at(one, one.number, json!(1.5))),
    ("a text as a number", |one| at(one, one.number, json!("9"))),
    ("a number above all", |one| at(one, one.number, json!(1e20))),
    ("a hot temperature", |one| at(one, one.temperature?, json!("hot"))),
    ("a temperature beyond all", |one| at(one, one.temperature?, json!(9))),
    ("an option that nobody knows", |one| at(one, one.odd, json!(1))),
    ("no model", |one| told(with(one, one.model?, None), BAD, "model")),
    ("a number as model", |one| at(one, one.model?, json!(7))),
    ("a model that nobody has", |one| {
        let body = with(one, one.model?, Some(json!("demo/none")));
        told(body, (404, "model_not_found"), "model")
    }),
    ("a text for whether to stream", |one| {
        one.streams.then(|| at(one, "/stream", json!("yes"))).flatten()
    }),
];

#[test]
fn every_fault_is_refused_in_every_dialect_with_its_status_and_field() {
    run(async {
        let caller = Caller::new(shared().await).await;
        let mut wrong = Vec::new();
        let mut rows = 0;
        for spoken in DIALECTS {
            let call = || caller.post(spoken.path, &json!({}));
            // The same calls without a fault are answered.
            let good = Caller::new(shared().await).await;
            good.post(spoken.path, &(spoken.good)()).send().await.expect(200);
            let faults = FAULTS.iter().filter_map(|(name, fault)| Some((*name, fault(spoken)?)));
            let faults = faults.map(|(name, (body, told))| (name, call().bytes(body), told));
            let without_key = (
                "no key",
                call().bytes((spoken.good)().to_string()).without("authorization"),
                Told { status: 401, code: "invalid_api_key", field: None },
            );
            let not_json = (
                "a body that is no JSON by its header",
                call().bytes((spoken.good)().to_string()).with("content-type", "text/plain"),
                Told { status: 415, code: "unsupported_media_type", field: None },
            );
            for (name, call, told) in faults.chain([without_key, not_json]) {
                rows += 1;
                let answer = call.send().await;
                let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    assert_eq!(answer.code(), told.status, "{}", answer.text());
                    assert!(answer.header("x-request-id").is_some());
                    assert!(!answer.text().contains(CANARY), "{}", answer.text());
                    (spoken.shape)(&answer, &told);
                }));
                if judged.is_err() {
                    wrong.push(format!("{}, {name}: {}", spoken.name, answer.text()));
                }
            }
        }
        assert!(rows > 110, "{rows} rows");
        assert!(wrong.is_empty(), "{} of {rows}:\n{}", wrong.len(), wrong.join("\n"));
        caller.assert_untouched().await;
    });
}
