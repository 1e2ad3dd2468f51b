//! Answers without an end, through chat's own process: what it holds meanwhile, and when it gives
//! up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::caller::openai;
use crate::process::{chat_pid, forget_peak, memory};
use crate::tap::Step;
use crate::{Caller, Stack};

/// The most that chat's process holds above what it held before, whatever comes (measured:
/// docs/evidence.md).
pub const HELD_MAX: usize = 128 * MIB;
/// What the kernel may take on the way from a provider, beside what chat has read: both buffers of
/// a connection.
const ON_THE_WAY: usize = 16 * MIB;
/// The same on the whole way to a caller who does not read: three connections.
const ON_ALL_WAYS: usize = 3 * ON_THE_WAY;
/// Bytes in one write of a provider.
const WRITE: usize = 16 * 1024;
const MIB: usize = 1024 * 1024;

/// One answer without an end.
pub struct Flood {
    /// What it is.
    pub name: &'static str,
    /// How it is asked for.
    path: &'static str,
    body: fn() -> Value,
    /// What stands before and after what is repeated.
    before: &'static str,
    piece: fn() -> String,
    after: &'static str,
    /// The caller reads only when the provider can send no more.
    is_slow: bool,
    /// The part of the length that is sent: tiny pieces take more time than others.
    part: usize,
    /// The answer's status, and what it ends with.
    told: (u16, &'static str),
    /// The most that is taken of it; all where it is `None`.
    taken_max: Option<usize>,
}

/// What came of one.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Bytes that the provider could send.
    pub taken: usize,
    /// The process's memory before, in bytes.
    pub before: usize,
    /// The most of it meanwhile.
    pub peak: usize,
}

const STREAM: &str = "text/event-stream";

fn completion() -> Value {
    openai("demo/chat", &json!({"stream": true}))
}

const CHUNKS_END: &str = "data: {\"id\":\"c\",\"model\":\"chat\",\"choices\":[{\"index\":0,\
    \"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"id\":\"c\",\"model\":\"chat\",\"choices\":[],\
    \"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9,\"total_tokens\":14}}\n\n\
    data: [DONE]\n\n";

fn chunk(content: &str) -> String {
    let choice = json!({"index": 0, "delta": {"content": content}, "finish_reason": null});
    format!("data: {}\n\n", json!({"id": "c", "model": "chat", "choices": [choice]}))
}

/// Every answer without an end.
pub const FLOODS: &[Flood] = &[
    Flood {
        name: "tiny pieces of text",
        path: "/v1/chat/completions",
        body: completion,
        before: "",
        piece: || chunk("a"),
        after: CHUNKS_END,
        is_slow: false,
        part: 8,
        told: (200, "data: [DONE]\n\n"),
        taken_max: None,
    },
    Flood {
        name: "long pieces of text, in chat completions",
        path: "/v1/chat/completions",
        body: completion,
        before: "",
        piece: || chunk(&"a".repeat(4_000)),
        after: CHUNKS_END,
        is_slow: false,
        part: 1,
        told: (200, "provider_unavailable"),
        taken_max: Some(17 * MIB + ON_THE_WAY),
    },
    Flood {
        name: "long pieces of text, in Responses",
        path: "/v1/responses",
        body: || json!({"model": "demo/claude", "stream": true, "input": "hello"}),
        before: "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"claude\",\
            \"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n\
            data: {\"type\":\"content_block_start\",\"index\":0,\
            \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        piece: || {
            let delta = json!({"type": "text_delta", "text": "a".repeat(4_000)});
            let event = json!({"type": "content_block_delta", "index": 0, "delta": delta});
            format!("data: {event}\n\n")
        },
        after: "",
        is_slow: false,
        part: 1,
        told: (200, "response.failed"),
        taken_max: Some(17 * MIB + ON_THE_WAY),
    },
    Flood {
        name: "one line",
        path: "/v1/chat/completions",
        body: completion,
        before: "data: {\"id\":\"",
        piece: || "x".repeat(WRITE),
        after: "\"}\n\n",
        is_slow: false,
        part: 1,
        told: (502, "provider_unavailable"),
        taken_max: Some(4 * MIB + ON_THE_WAY),
    },
    Flood {
        name: "comments and blank lines",
        path: "/v1/chat/completions",
        body: completion,
        before: "",
        piece: || format!(": {}\n\n\n\r\n", "x".repeat(500)),
        after: CHUNKS_END,
        is_slow: false,
        part: 1,
        told: (200, "data: [DONE]\n\n"),
        taken_max: None,
    },
    Flood {
        name: "a whole answer",
        path: "/v1/chat/completions",
        body: || openai("demo/chat", &json!({})),
        before: "{\"id\":\"",
        piece: || "x".repeat(WRITE),
        after: "\"}",
        is_slow: false,
        part: 1,
        told: (502, "provider_unavailable"),
        taken_max: Some(32 * MIB + ON_THE_WAY),
    },
    Flood {
        name: "a caller who does not read",
        path: "/v1/messages",
        body: || {
            json!({"model": "demo/claude", "stream": true, "max_tokens": 64,
                "messages": [{"role": "user", "content": "hello"}]})
        },
        before: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\
            \"model\":\"claude\",\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
        piece: || {
            let ping = json!({"type": "ping", "pad": "x".repeat(4_000)});
            format!("event: ping\ndata: {ping}\n\n")
        },
        after: "event: message_delta\ndata: {\"type\":\"message_delta\",\
            \"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n\
            event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        is_slow: true,
        part: 1,
        told: (200, "message_stop"),
        taken_max: None,
    },
];

impl Flood {
    /// Sends a call whose provider answers with so many bytes, to a stack that has one environment
    /// of chat.
    ///
    /// # Panics
    /// Where the answer, what was taken, the books or the memory are not what they must be.
    pub async fn run(&self, stack: &Stack, bytes: usize) -> Held {
        let name = self.name;
        let caller = Caller::new(stack).await;
        let warm = caller.complete("demo/chat", &json!({})).await;
        warm.expect(200);
        let taken = Arc::new(AtomicUsize::new(0));
        let times = self.script(&caller, bytes / self.part, &taken);
        let pid = chat_pid(stack.pid());
        forget_peak(pid);
        let (before, _) = memory(pid);
        let mut answer = caller.post(self.path, &(self.body)()).open().await;
        if self.is_slow {
            let stalled = stalled(&taken, times).await;
            assert!(stalled <= ON_ALL_WAYS, "{name}: {stalled} taken for who does not read");
        }
        assert_eq!(answer.status.as_u16(), self.told.0, "{name}");
        let mut end = Vec::new();
        while let Some(piece) = answer.piece().await.expect("a body with an end") {
            end.extend_from_slice(&piece);
            drop(end.drain(..end.len().saturating_sub(64 * 1024)));
        }
        let end = String::from_utf8_lossy(&end);
        assert!(end.contains(self.told.1), "{name}: {end}");
        let taken = taken.load(Ordering::Relaxed);
        match self.taken_max {
            Some(most) => assert!(taken <= most && taken < times, "{name}: {taken} of {times}"),
            None => assert_eq!(taken, times, "{name}: all of it is taken"),
        }
        for books in [caller.user_books().await, caller.key_books().await] {
            books.assert_quiet();
        }
        let (_, peak) = memory(pid);
        let held = Held { taken, before, peak };
        assert!(peak.saturating_sub(before) <= HELD_MAX, "{name}: {held:?}");
        held
    }

    /// Writes the provider's answer; gives the bytes that are repeated in all.
    fn script(&self, caller: &Caller<'_>, bytes: usize, taken: &Arc<AtomicUsize>) -> usize {
        let piece = (self.piece)();
        let write = piece.repeat(WRITE.div_ceil(piece.len())).into_bytes();
        let times = bytes.div_ceil(write.len());
        let all = times * write.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {STREAM}\r\nconnection: close\r\n\r\n{}",
            self.before
        );
        let steps = vec![
            Step::Send(head.into_bytes()),
            Step::Repeat(write, times, Arc::clone(taken)),
            Step::Send(self.after.as_bytes().to_vec()),
        ];
        caller.stack().tap().script(&caller.user, steps);
        all
    }
}

/// What was taken when for a second no more was, or all of it.
async fn stalled(taken: &AtomicUsize, all: usize) -> usize {
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = taken.load(Ordering::Relaxed);
        if now == all || (now > 0 && now == last) {
            return now;
        }
        last = now;
    }
}
