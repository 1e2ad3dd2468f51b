//! The formats in which providers speak, with answers to play: three that are asked in their own
//! dialect, whose streams take many shapes, and the others.

use farebox_tests::tap::Step;
use farebox_tests::{Answer, Call, Caller};
use serde_json::{Value, json};

use crate::eventstream;

/// A provider's format, spoken to in its own dialect.
pub struct Form {
    /// What it is called in a fault of a test.
    pub name: &'static str,
    pub provider: &'static str,
    /// Of a whole answer and of a stream.
    paths: [&'static str; 2],
    body: fn(bool) -> Value,
    /// The names of a prompt's and an answer's counts, and the usage's own.
    pub counts: [&'static str; 3],
    /// In what else the counts stand inside the usage.
    within: Option<&'static str>,
    /// The list in a whole answer without which there is none.
    pub list: &'static str,
    /// The header in which its provider tells its id of a request.
    pub id_header: &'static str,
    /// Whether it streams.
    pub streams: bool,
    /// Whether an error inside a good status is one where it does not stream.
    pub reports: bool,
    /// A whole answer with this usage.
    pub whole: fn(&Value) -> Value,
    /// The events of a stream, and how many of them come before its end.
    pub events: fn(&Value) -> (Vec<String>, usize),
    /// Whether an error is told in the dialect.
    pub is_error: fn(&Value, u16) -> bool,
}

pub static FORMS: [Form; 3] = [
    Form {
        name: "chat",
        provider: "openai",
        paths: ["/v1/chat/completions"; 2],
        body: |stream| {
            json!({"model": "openai/gpt-4o-mini", "max_tokens": 64, "stream": stream,
                "messages": [{"role": "user", "content": "hello ".repeat(40)}]})
        },
        counts: ["prompt_tokens", "completion_tokens", "usage"],
        within: None,
        list: "choices",
        id_header: "x-request-id",
        streams: true,
        reports: true,
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
        name: "messages",
        provider: "anthropic",
        paths: ["/v1/messages"; 2],
        body: |stream| {
            json!({"model": "anthropic/claude-haiku-4-5", "max_tokens": 64, "stream": stream,
                "messages": [{"role": "user", "content": "hello ".repeat(40)}]})
        },
        counts: ["input_tokens", "output_tokens", "usage"],
        within: None,
        list: "content",
        id_header: "request-id",
        streams: true,
        reports: true,
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
        name: "gemini",
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
        within: None,
        list: "candidates",
        id_header: "x-request-id",
        streams: true,
        reports: true,
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

fn told_by_openai(body: &Value, _: u16) -> bool {
    body["error"]["code"] == "provider_unavailable" && body["error"]["type"] == "server_error"
}

fn question(model: &str, stream: bool) -> Value {
    json!({"model": model, "max_tokens": 64, "stream": stream,
        "messages": [{"role": "user", "content": "hello ".repeat(40)}]})
}

fn sse(kind: &str, mut data: Value) -> String {
    data["type"] = json!(kind);
    format!("event: {kind}\ndata: {data}\n\n")
}

/// A message of Bedrock's stream, its bytes as characters.
fn frame(name: &str, payload: &Value) -> String {
    eventstream::event(name, payload).into_iter().map(char::from).collect()
}

/// The other formats, and how callers get there.
pub static OTHERS: [Form; 5] = [
    Form {
        name: "responses",
        provider: "openai",
        paths: ["/v1/responses"; 2],
        body: |stream| {
            json!({"model": "openai/gpt-4o-mini", "max_output_tokens": 64, "stream": stream,
                "input": "hello ".repeat(40)})
        },
        counts: ["input_tokens", "output_tokens", "usage"],
        within: None,
        list: "output",
        id_header: "x-request-id",
        streams: true,
        reports: true,
        whole: |usage| {
            let part = json!({"type": "output_text", "text": "hi", "annotations": []});
            let message = json!({"type": "message", "id": "msg_1", "role": "assistant",
                "status": "completed", "content": [part]});
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
                "model": "m", "output": [message], "usage": usage})
        },
        events: |usage| {
            let response = |status: &str, usage: &Value| {
                json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status,
                    "model": "m", "output": [], "usage": usage})
            };
            let text = |text: &str| {
                let at = json!({"item_id": "msg_1", "output_index": 0, "content_index": 0,
                    "delta": text, "logprobs": []});
                sse("response.output_text.delta", at)
            };
            let begun = json!({"response": response("in_progress", &Value::Null)});
            let ended = json!({"response": response("completed", usage)});
            let events = vec![
                sse("response.created", begun),
                text("h"),
                text("i"),
                sse("response.completed", ended),
            ];
            (events, 3)
        },
        is_error: |body, status| {
            told_by_openai(body, status) || body["response"]["status"] == "failed"
        },
    },
    Form {
        name: "completions",
        provider: "openai",
        paths: ["/v1/completions"; 2],
        body: |stream| {
            json!({"model": "openai/gpt-3.5-turbo-instruct", "max_tokens": 64, "stream": stream,
                "prompt": "hello ".repeat(40)})
        },
        counts: ["prompt_tokens", "completion_tokens", "usage"],
        within: None,
        list: "choices",
        id_header: "x-request-id",
        streams: true,
        reports: true,
        whole: |usage| {
            let choice =
                json!({"index": 0, "text": "hi", "logprobs": null, "finish_reason": "stop"});
            json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
                "choices": [choice], "usage": usage})
        },
        events: |usage| {
            let chunk = |text: &str, reason: Value| {
                let choice =
                    json!({"index": 0, "text": text, "logprobs": null, "finish_reason": reason});
                let chunk = json!({"id": "cmpl-1", "object": "text_completion", "created": 1,
                    "model": "m", "choices": [choice]});
                format!("data: {chunk}\n\n")
            };
            let last = json!({"id": "cmpl-1", "object": "text_completion", "created": 1,
                "model": "m", "choices": [], "usage": usage});
            let events = vec![
                chunk("h", Value::Null),
                chunk("i", Value::Null),
                chunk("", json!("stop")),
                format!("data: {last}\n\n"),
                "data: [DONE]\n\n".to_owned(),
            ];
            (events, 2)
        },
        is_error: told_by_openai,
    },
    Form {
        name: "embeddings",
        provider: "openai",
        paths: ["/v1/embeddings"; 2],
        body: |_| json!({"model": "openai/text-embedding-3-small", "input": "hello ".repeat(40)}),
        counts: ["prompt_tokens", "total_tokens", "usage"],
        within: None,
        list: "data",
        id_header: "x-request-id",
        streams: false,
        reports: true,
        whole: |usage| {
            let vector = json!({"object": "embedding", "index": 0, "embedding": [0.1]});
            json!({"object": "list", "model": "hi", "data": [vector], "usage": usage})
        },
        events: |_| (Vec::new(), 0),
        is_error: told_by_openai,
    },
    Form {
        name: "cohere",
        provider: "cohere",
        paths: ["/v1/chat/completions"; 2],
        body: |stream| question("cohere/command-a-03-2025", stream),
        counts: ["input_tokens", "output_tokens", "usage"],
        within: Some("billed_units"),
        list: "message",
        id_header: "x-debug-trace-id",
        streams: true,
        reports: false,
        whole: |usage| {
            let content = json!([{"type": "text", "text": "hi"}]);
            json!({"id": "c1", "message": {"role": "assistant", "content": content},
                "finish_reason": "COMPLETE", "usage": usage})
        },
        events: |usage| {
            let text = |text: &str| {
                let message = json!({"content": {"text": text}});
                sse("content-delta", json!({"index": 0, "delta": {"message": message}}))
            };
            let started = json!({"content": {"type": "text", "text": ""}});
            let role = json!({"id": "c1", "delta": {"message": {"role": "assistant"}}});
            let last = json!({"delta": {"finish_reason": "COMPLETE", "usage": usage}});
            let events = vec![
                sse("message-start", role),
                sse("content-start", json!({"index": 0, "delta": {"message": started}})),
                text("h"),
                text("i"),
                sse("content-end", json!({"index": 0})),
                sse("message-end", last),
            ];
            (events, 4)
        },
        is_error: told_by_openai,
    },
    Form {
        name: "bedrock",
        provider: "bedrock",
        paths: ["/v1/chat/completions"; 2],
        body: |stream| question("bedrock/us.amazon.nova-2-lite-v1:0", stream),
        counts: ["inputTokens", "outputTokens", "usage"],
        within: None,
        list: "output",
        id_header: "x-amzn-requestid",
        streams: true,
        reports: false,
        whole: |usage| {
            let message = json!({"role": "assistant", "content": [{"text": "hi"}]});
            json!({"output": {"message": message}, "stopReason": "end_turn", "usage": usage,
                "metrics": {"latencyMs": 1}})
        },
        events: |usage| {
            let text = |text: &str| {
                let delta = json!({"contentBlockIndex": 0, "delta": {"text": text}});
                frame("contentBlockDelta", &delta)
            };
            let metadata = json!({"usage": usage, "metrics": {"latencyMs": 1}});
            let events = vec![
                frame("messageStart", &json!({"role": "assistant"})),
                text("h"),
                text("i"),
                frame("contentBlockStop", &json!({"contentBlockIndex": 0})),
                frame("messageStop", &json!({"stopReason": "end_turn"})),
                frame("metadata", &metadata),
            ];
            (events, 3)
        },
        is_error: told_by_openai,
    },
];

impl Form {
    pub fn usage(&self, prompt: Value, answer: Value) -> Value {
        let mut usage = json!({});
        usage[self.counts[0]] = prompt;
        usage[self.counts[1]] = answer;
        if self.provider == "bedrock" {
            usage["totalTokens"] = json!(7);
        }
        match self.within {
            Some(name) => json!({name: usage}),
            None => usage,
        }
    }

    /// The bytes of what its events are: those of a binary format stand as characters.
    pub fn bytes(&self, text: &str) -> Vec<u8> {
        if self.provider == "bedrock" && !text.starts_with(['{', '<']) {
            return text.chars().filter_map(|byte| u8::try_from(byte).ok()).collect();
        }
        text.as_bytes().to_vec()
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
        let bearer = json!({"bearer": secret, "region": "eu-west-1"}).to_string();
        let secret = if self.provider == "bedrock" { &bearer } else { secret };
        stack.set_credential(&caller.user, self.provider, secret, &url).await;
    }

    /// The call.
    pub fn call(&self, caller: &Caller<'_>, stream: bool) -> Call {
        caller.post(self.paths[usize::from(stream)], &(self.body)(stream))
    }
}
