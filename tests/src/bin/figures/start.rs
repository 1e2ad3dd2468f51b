//! From `exec` to the first `next`, and the first call after it, against a small Runtime API.

use std::convert::Infallible;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farebox_tests::{Caller, Settings, Stack, until};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Built;

/// Starts per figure; the median is printed.
const STARTS: usize = 7;

/// What one start took.
#[derive(Clone, Copy, Default)]
struct Times {
    first_next: Option<Instant>,
    answered: Option<Instant>,
}

/// Takes and prints the figures.
pub async fn report(built: &Built) {
    let stack = Stack::start(&built.local, &Settings::default()).await;
    let caller = Caller::new(&stack).await;
    let event = event(&caller.key);
    println!("start, median of {STARTS}:               to first next   first call");
    for (name, program, words) in [
        ("chat", built.chat.as_path(), &[][..]),
        ("empty streaming function", built.own.as_path(), &["function", "empty"][..]),
    ] {
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            starts.push(one(program, words, &stack, &event).await);
        }
        let median = |of: fn(&(Duration, Duration)) -> Duration| {
            let mut all: Vec<_> = starts.iter().map(of).collect();
            all.sort();
            all[all.len() / 2].as_secs_f64() * 1e3
        };
        let (next, call) = (median(|times| times.0), median(|times| times.1));
        println!("  {name:<30}  {next:>8.1} ms   {call:>8.1} ms");
    }
}

/// A chat as API Gateway sends it.
fn event(key: &str) -> Bytes {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("events/chat.json");
    let text = std::fs::read(file).expect("the event");
    let mut event: Value = serde_json::from_slice(&text).expect("JSON");
    let question = json!({"model": "demo/chat", "messages": [{"role": "user", "content": "hi"}]});
    let headers = [
        ("authorization", format!("Bearer {key}")),
        ("content-type", "application/json".to_owned()),
    ];
    event["headers"] =
        headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    event["multiValueHeaders"] =
        headers.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
    event["path"] = json!("/v1/chat/completions");
    event["requestContext"]["path"] = json!("/v1/chat/completions");
    event["body"] = json!(question.to_string());
    Bytes::from(event.to_string())
}

async fn one(program: &Path, words: &[&str], stack: &Stack, event: &Bytes) -> (Duration, Duration) {
    let times = Arc::new(Mutex::new(Times::default()));
    let api = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = api.local_addr().expect("an address").to_string();
    let serving = tokio::spawn(serve(api, times.clone(), event.clone()));
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(words)
        .env_clear()
        .envs(stack.chat_environment())
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the function starts");
    let read = || *times.lock().expect("times");
    until("the first call is answered", || async { read().answered }).await;
    drop((child.kill(), child.wait()));
    serving.abort();
    let (next, answered) = (read().first_next.expect("a next"), read().answered.expect("an end"));
    (next - started, answered - next)
}

async fn serve(api: TcpListener, times: Arc<Mutex<Times>>, event: Bytes) {
    while let Ok((stream, _)) = api.accept().await {
        // Else an answer in two writes waits for an acknowledgement, and that is what is measured.
        stream.set_nodelay(true).expect("nodelay");
        let (times, event) = (times.clone(), event.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (times, event) = (times.clone(), event.clone());
                async move { Ok::<_, Infallible>(answer(&times, &event, request).await) }
            });
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(
    times: &Mutex<Times>,
    event: &Bytes,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    if request.method() == Method::GET {
        if times.lock().expect("times").first_next.is_some() {
            // The next event never comes.
            std::future::pending::<()>().await;
        }
        times.lock().expect("times").first_next = Some(Instant::now());
        let deadline = std::time::UNIX_EPOCH.elapsed().expect("a time").as_millis() + 900_000;
        return Response::builder()
            .header("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000000")
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:0:function:f")
            .body(Full::new(event.clone()))
            .expect("an answer");
    }
    // The answer of the function: it is there when its last byte is.
    drop(request.into_body().collect().await);
    times.lock().expect("times").answered.get_or_insert_with(Instant::now);
    Response::builder().status(202).body(Full::default()).expect("an answer")
}
