//! The demo provider over real sockets, spoken to in plain bytes.

mod anthropic;
mod openai;
mod sockets;

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// An answer as it came off the wire.
struct Wired {
    status: u16,
    /// Header lines, lower case.
    head: String,
    body: String,
    /// Whether the body ended as its framing promised.
    complete: bool,
}

impl Wired {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    /// The `data:` of each event that is JSON.
    fn events(&self) -> Vec<Value> {
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    /// A string of the events at `pointer`, joined.
    fn joined(&self, pointer: &str) -> String {
        let text = |event: &Value| event.pointer(pointer).and_then(Value::as_str).map(String::from);
        self.events().iter().filter_map(text).collect()
    }
}

async fn start(options: Options) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(listener, options, std::future::pending()));
    address
}

fn quick() -> Options {
    Options {
        slow: Duration::from_millis(5),
        drip_interval: Duration::from_millis(1),
        now_s: || 1_787_150_214,
        ..Options::default()
    }
}

fn request(method: &str, path: &str, body: &str, more: &str) -> String {
    let bytes = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: demo\r\nauthorization: Bearer demo-key\r\n\
         accept-encoding: identity\r\ncontent-length: {bytes}\r\n{more}\r\n{body}"
    )
}

async fn send(address: SocketAddr, request: &str) -> Wired {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("a request sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("an answer until the end");
    let text = String::from_utf8(bytes).expect("text");
    let (head, raw) = text.split_once("\r\n\r\n").expect("a head");
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let (body, complete) = if head.contains("transfer-encoding: chunked") {
        dechunk(raw)
    } else {
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        (raw.to_owned(), length == Some(raw.len().to_string().as_str()))
    };
    Wired { status, head, body, complete }
}

fn dechunk(mut raw: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((size, rest)) = raw.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        if size == 0 {
            return (body, true);
        }
        body.push_str(&rest[..size]);
        raw = &rest[size + 2..];
    }
    (body, false)
}

async fn ask_openai(address: SocketAddr, body: &Value) -> Wired {
    let more = "connection: close\r\n";
    send(address, &request("POST", "/v1/chat/completions", &body.to_string(), more)).await
}

async fn ask_anthropic(address: SocketAddr, body: &Value) -> Wired {
    let more = "connection: close\r\nanthropic-version: 2023-06-01\r\n";
    send(address, &request("POST", "/v1/messages", &body.to_string(), more)).await
}

async fn bill(address: SocketAddr) -> Value {
    send(address, &request("GET", "/bill", "", "connection: close\r\n")).await.json()
}

fn said(model: &str, text: &str) -> Value {
    json!({"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": text}]})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn streamed(model: &str) -> Value {
    let body = with(said(model, "hello"), "stream", json!(true));
    with(body, "stream_options", json!({"include_usage": true}))
}

fn tool_turn(tools: Value) -> Value {
    with(said("chat", "What is the WEATHER?"), "tools", tools)
}
