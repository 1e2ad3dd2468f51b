//! CPU seconds per thousand calls, beside a forwarder, an empty function and the calls alone.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use farebox_tests::caller::openai;
use farebox_tests::process::{chat_pid, cpu_seconds};
use farebox_tests::{Call, Caller, Settings, Stack};
use serde_json::{Value, json};

use crate::Built;

/// How many calls one figure is taken from.
const CALLS: u32 = 1_000;
/// Calls before the first figure, so that clients, caches and the allocator are warm.
const WARM_UP: u32 = 50;
/// The answer's length in tokens: the demo provider sends one chunk a token.
const CHUNKS: u32 = 64;

/// CPU seconds of one process for buffered calls and for streams.
struct Cpu {
    buffered: f64,
    streamed: f64,
}

/// Takes and prints the figures.
pub async fn report(built: &Built) {
    let chat = Stack::start(&built.local, &one_environment(None)).await;
    println!("calls to AWS of a warm chat with two scopes: {}", aws_calls(&chat).await);
    let of_chat = of_function(&chat).await;
    let of_forwarder = of_forwarder(built, chat.ready().url("demo_provider_url")).await;
    drop(chat);
    let of_empty = of_stand_in(built, "empty").await;
    let of_calls = of_stand_in(built, "calls").await;
    println!("CPU seconds per 1,000 calls:      buffered   {CHUNKS} chunks");
    for (name, cpu) in [
        ("chat", &of_chat),
        ("bare forwarder", &of_forwarder),
        ("empty streaming function", &of_empty),
        ("function with the AWS calls", &of_calls),
    ] {
        println!("  {name:<30}  {:>8.2}   {:>8.2}", cpu.buffered, cpu.streamed);
    }
    // The empty function is in both, so it falls out of the difference.
    let own = Cpu {
        buffered: of_chat.buffered - of_calls.buffered,
        streamed: of_chat.streamed - of_calls.streamed,
    };
    println!("  {:<30}  {:>8.2}   {:>8.2}", "chat's own work", own.buffered, own.streamed);
    println!(
        "own work beside the forwarder: {:.1} times buffered (at most 4), \
         {:.1} streamed (at most 2)",
        own.buffered / of_forwarder.buffered,
        own.streamed / of_forwarder.streamed
    );
}

pub fn one_environment(bootstrap: Option<&Path>) -> Settings {
    let bootstrap = bootstrap.map(Path::to_path_buf);
    Settings { environments: 1, bootstrap, ..Settings::default() }
}

fn question(stream: bool) -> Value {
    let options = json!({"max_tokens": CHUNKS, "stream": stream});
    let mut body = openai("demo/chat", &options);
    // Long enough that the cap ends the answer.
    body["messages"][0]["content"] = json!("a question that is repeated ".repeat(8));
    body
}

async fn aws_calls(stack: &Stack) -> String {
    let caller = Caller::new(stack).await;
    for _ in 0..3 {
        caller.post("/v1/chat/completions", &question(false)).send().await.expect(200);
    }
    stack.drain().await;
    stack.reset_aws_calls().await;
    caller.post("/v1/chat/completions", &question(false)).send().await.expect(200);
    stack.drain().await;
    let calls = stack.aws_calls().await;
    let by = calls["by"].as_object().expect("counts").iter();
    let of_chat = by.filter(|(name, _)| name.starts_with("chat "));
    of_chat.map(|(name, count)| format!("{count} x {name}")).collect::<Vec<_>>().join(", ")
}

/// The chat function of a running stack, called without the tap between.
async fn of_function(stack: &Stack) -> Cpu {
    let caller = Caller::new(stack).await;
    let provider = format!("{}/v1", stack.ready().url("demo_provider_url"));
    stack.set_credential(&caller.user, "demo", "demo-key", &provider).await;
    let caller = caller.another_key().await;
    let url = stack.url("/v1/chat/completions");
    let call = |stream| Call::post(&url, &question(stream)).bearer(&caller.key);
    drive(&|| chat_pid(stack.pid()), call).await
}

/// A stand-in as the chat function's bootstrap.
async fn of_stand_in(built: &Built, which: &str) -> Cpu {
    let dir = std::env::temp_dir().join(farebox_tests::fresh("farebox-figures-"));
    for function in ["chat", "admin", "logger", "scheduler"] {
        let dir = dir.join(format!("farebox-{function}"));
        std::fs::create_dir_all(&dir).expect("a directory");
        let line = match function {
            "chat" => format!("exec {} function {which}", built.own.display()),
            _ => format!("exec {}", built.local.display()),
        };
        let file = dir.join("bootstrap");
        std::fs::write(&file, format!("#!/bin/sh\n{line}\n")).expect("a script");
        let executable = Command::new("chmod").arg("+x").arg(&file).status();
        assert!(executable.expect("chmod runs").success());
    }
    let stack = Stack::start(&built.local, &one_environment(Some(&dir))).await;
    let url = stack.url("/v1/chat/completions");
    let cpu = drive(&|| chat_pid(stack.pid()), |stream| Call::post(&url, &question(stream))).await;
    drop(stack);
    std::fs::remove_dir_all(dir).expect("the directory goes");
    cpu
}

async fn of_forwarder(built: &Built, provider: &str) -> Cpu {
    let mut child = Command::new(&built.own)
        .args(["forwarder", provider])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the forwarder starts");
    let origin = first_line(&mut child);
    let url = format!("{origin}/v1/chat/completions");
    let pid = child.id();
    let call = |stream| {
        let mut body = question(stream);
        body["model"] = json!("chat");
        Call::post(&url, &body)
    };
    let cpu = drive(&|| pid, call).await;
    drop((child.kill(), child.wait()));
    cpu
}

pub fn first_line(child: &mut Child) -> String {
    use std::io::{BufRead, BufReader};
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

/// One call after another; the process is looked up when it is warm.
async fn drive(pid: &dyn Fn() -> u32, call: impl Fn(bool) -> Call) -> Cpu {
    let mut seconds = [0.0; 2];
    for (stream, seconds) in [false, true].into_iter().zip(&mut seconds) {
        for _ in 0..WARM_UP {
            call(stream).send().await.expect(200);
        }
        let pid = pid();
        let before = cpu_seconds(pid);
        for _ in 0..CALLS {
            call(stream).send().await.expect(200);
        }
        *seconds = cpu_seconds(pid) - before;
    }
    Cpu { buffered: seconds[0], streamed: seconds[1] }
}
