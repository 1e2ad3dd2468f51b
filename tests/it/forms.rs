//! Three formats in which providers speak, each asked in its own dialect, with answers to play.

use farebox_tests::tap::Step;
use farebox_tests::{Answer, Call, Caller};
use serde_json::{Value, json};

/// A provider's format, spoken to in its own dialect.
pub struct Form {
    pub provider: &'static str,
    /// Of a whole answer and of a stream.
    paths: [&'static str; 2],
    body: fn(bool) -> Value,
    /// The names of a prompt's and an answer's counts, and the usage's own.
    pub counts: [&'static str; 3],
    /// A whole answer with this usage.
    pub whole: fn(&Value) -> Value,
    /// The events of a stream, and how many of them come before its end.
    pub events: fn(&Value) -> (Vec<String>, usize),
    /// Whether an error is told in the dialect.
    pub is_error: fn(&Value, u16) -> bool,
}

pub const FORMS: [Form; 3] = [
    Form {
        provider: "openai",
        paths: ["/v1/chat/completions"; 2],
        body: |stream| {
            json!({"model": "openai/gpt-4o-mini", "max_tokens": 64, "stream": stream,
                "messages": [{"role": "user", "content": "hello ".repeat(40)}]})
        },
        counts: ["prompt_tokens", "completion_tokens", "usage"],
        whole: |usage| {
            let message = json!({"role": "assistant", "content": "hi"});
            json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": usage})
        },
        events: |usage| {
            let chunk = |choices: Value, usage: &Value| {
                let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1,
                    "model": "m", "choices": choices, "usage": usage});
                format!("data: {chunk}\n\n")
            };
            let delta = |delta: Value, reason: Value| {
                let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
                chunk(json!([choice]), &Value::Null)
            };
            let events = vec![
                delta(json!({"role": "assistant", "content": "h"}), Value::Null),
                delta(json!({"content": "i"}), Value::Null),
                delta(json!({}), json!("stop")),
                chunk(json!([]), usage),
                "data: [DONE]\n\n".to_owned(),
            ];
            (events, 2)
        },
        is_error: |body, _| {
            body["error"]["code"] == "provider_unavailable"
                && body["error"]["type"] == "server_error"
        },
    },
    Form {
        provider: "anthropic",
        paths: ["/v1/messages"; 2],
        body: |stream| {
            json!({"model": "anthropic/claude-haiku-4-5", "max_tokens": 64, "stream": stream,
                "messages": [{"role": "user", "content": "hello ".repeat(40)}]})
        },
        counts: ["input_tokens", "output_tokens", "usage"],
        whole: |usage| {
            json!({"id": "m1", "type": "message", "role": "assistant", "model": "m",
                "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
                "usage": usage})
        },
        events: |usage| {
            let event = |kind: &str, mut data: Value| {
                data["type"] = json!(kind);
                format!("event: {kind}\ndata: {data}\n\n")
            };
            let message = json!({"id": "m1", "type": "message", "role": "assistant",
                "model": "m", "content": [], "stop_reason": null, "usage": usage});
            let text = |text: &str| {
                let delta = json!({"type": "text_delta", "text": text});
                event("content_block_delta", json!({"index": 0, "delta": delta}))
            };
            let block = json!({"type": "text", "text": ""});
            let events = vec![
                event("message_start", json!({"message": message})),
                event("content_block_start", json!({"index": 0, "content_block": block})),
                text("h"),
                text("i"),
                event("content_block_stop", json!({"index": 0})),
                event(
                    "message_delta",
                    json!({"delta": {"stop_reason": "end_turn"}, "usage": usage}),
                ),
                event("message_stop", json!({})),
            ];
            (events, 4)
        },
        is_error: |body, _| body["type"] == "error" && body["error"]["type"] == "api_error",
    },
    Form {
        provider: "gemini",
        paths: [
            "/v1beta/models/gemini/gemini-2.5-flash:generateContent",
            "/v1beta/models/gemini/gemini-2.5-flash:streamGenerateContent?alt=sse",
        ],
        body: |_| {
            let parts = json!([{"text": "hello ".repeat(40)}]);
            json!({"contents": [{"role": "user", "parts": parts}],
                "generationConfig": {"maxOutputTokens": 64}})
        },
        counts: ["promptTokenCount", "candidatesTokenCount", "usageMetadata"],
        whole: |usage| {
            let content = json!({"role": "model", "parts": [{"text": "hi"}]});
            json!({"candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
                "usageMetadata": usage, "modelVersion": "m", "responseId": "r1"})
        },
        events: |usage| {
            let chunk = |text: &str, more: Value| {
                let content = json!({"role": "model", "parts": [{"text": text}]});
                let mut chunk = json!({"candidates": [{"content": content, "index": 0}],
                    "modelVersion": "m", "responseId": "r1"});
                if !more.is_null() {
                    chunk["candidates"][0]["finishReason"] = json!("STOP");
                    chunk["usageMetadata"] = more;
                }
                format!("data: {chunk}\r\n\r\n")
            };
            let last = if usage.is_null() { json!({}) } else { usage.clone() };
            (vec![chunk("h", Value::Null), chunk("i", last)], 1)
        },
        is_error: |body, status| {
            body["error"]["code"] == status && body["error"]["status"].is_string()
        },
    },
];

impl Form {
    pub fn usage(&self, prompt: Value, answer: Value) -> Value {
        let mut usage = json!({});
        usage[self.counts[0]] = prompt;
        usage[self.counts[1]] = answer;
        usage
    }

    /// Sends a call to who plays these steps.
    pub async fn send(
        &self,
        caller: &Caller<'_>,
        secret: &str,
        stream: bool,
        steps: Vec<Step>,
    ) -> Answer {
        self.aim(caller, secret, steps).await;
        self.call(caller, stream).send().await
    }

    /// Makes ready for a call: its provider plays these steps.
    pub async fn aim(&self, caller: &Caller<'_>, secret: &str, steps: Vec<Step>) {
        let stack = caller.stack();
        stack.tap().script(&caller.user, steps);
        let url = stack.tap().base_url(&caller.user);
        stack.set_credential(&caller.user, self.provider, secret, &url).await;
    }

    /// The call.
    pub fn call(&self, caller: &Caller<'_>, stream: bool) -> Call {
        caller.post(self.paths[usize::from(stream)], &(self.body)(stream))
    }
}
