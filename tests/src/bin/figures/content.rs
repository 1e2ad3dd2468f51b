//! What content costs to pass on: CPU per streamed chunk and per 100 KB of a whole answer, beside
//! the bare forwarder. Both are differences of a long and a short answer of one model, so what a
//! call costs whatever it answers falls out.

use std::process::{Command, Stdio};

use farebox_tests::process::{chat_pid, cpu_seconds};
use farebox_tests::{Call, Caller, Stack};
use serde_json::json;

use crate::Built;
use crate::load::{first_line, one_environment};

/// How many calls one figure is taken from.
const CALLS: u32 = 2_000;
/// Tokens of a short answer, and of a long one: a chunk each where it streams.
const SHORT: u32 = 16;
const LONG: u32 = 20_000;
/// The demo provider's model that counts on until its cap.
const MODEL: &str = "vast";

/// CPU microseconds of one process per chunk, and per 100 KB.
struct Cpu {
    chunk: f64,
    whole: f64,
}

/// Takes and prints the figures.
pub async fn report(built: &Built) {
    let stack = Stack::start(&built.local, &one_environment(None)).await;
    let caller = Caller::new(&stack).await;
    let provider = stack.ready().url("demo_provider_url");
    stack.set_credential(&caller.user, "demo", "demo-key", &format!("{provider}/v1")).await;
    let caller = caller.another_key().await;
    let url = stack.url("/v1/chat/completions");
    let of_chat = measured(&|| chat_pid(stack.pid()), |stream, tokens| {
        Call::post(&url, &question(&format!("demo/{MODEL}"), stream, tokens)).bearer(&caller.key)
    })
    .await;
    let mut child = Command::new(&built.own)
        .args(["forwarder", provider])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the forwarder starts");
    let url = format!("{}/v1/chat/completions", first_line(&mut child));
    let pid = child.id();
    let of_forwarder =
        measured(&|| pid, |stream, tokens| Call::post(&url, &question(MODEL, stream, tokens)))
            .await;
    drop((child.kill(), child.wait()));
    println!("CPU microseconds of passing on:   a chunk   100 KB of a whole answer");
    for (name, cpu) in [("chat", &of_chat), ("bare forwarder", &of_forwarder)] {
        println!("  {name:<30}  {:>8.2}   {:>8.0}", cpu.chunk, cpu.whole);
    }
    println!(
        "beside the forwarder: {:.1} times a chunk, {:.1} times a whole answer",
        of_chat.chunk / of_forwarder.chunk,
        of_chat.whole / of_forwarder.whole
    );
}

fn question(model: &str, stream: bool, tokens: u32) -> serde_json::Value {
    json!({"model": model, "max_tokens": tokens, "stream": stream,
        "messages": [{"role": "user", "content": "count"}]})
}

async fn measured(pid: &dyn Fn() -> u32, call: impl Fn(bool, u32) -> Call) -> Cpu {
    // A stream's figure is taken from fewer calls: each has twenty thousand chunks.
    let streams = CALLS / 200;
    let (short, _) = driven(pid, streams, || call(true, SHORT)).await;
    let (long, _) = driven(pid, streams, || call(true, LONG)).await;
    let chunk = (long - short) * 1e6 / f64::from(streams * (LONG - SHORT));
    let (short, short_bytes) = driven(pid, CALLS, || call(false, SHORT)).await;
    let (long, long_bytes) = driven(pid, CALLS, || call(false, LONG)).await;
    let bytes = u32::try_from(long_bytes - short_bytes).expect("a short answer");
    let whole = (long - short) * 1e6 / f64::from(CALLS) * 100_000.0 / f64::from(bytes);
    Cpu { chunk, whole }
}

/// CPU seconds of so many calls, one after another, and the length of one answer.
async fn driven(pid: &dyn Fn() -> u32, calls: u32, call: impl Fn() -> Call) -> (f64, usize) {
    let mut bytes = 0;
    for _ in 0..5 {
        bytes = call().send().await.expect(200).text().len();
    }
    let pid = pid();
    let before = cpu_seconds(pid);
    for _ in 0..calls {
        call().send().await.expect(200);
    }
    (cpu_seconds(pid) - before, bytes)
}
