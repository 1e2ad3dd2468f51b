//! Anthropic's messages: bytes in, values out. Shapes as recorded in the corpus
//! (`anthropic-messages`, 2026-08).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Answer;
use super::ask::{Ask, Tally, Tool, ToolChoice, length, subject};
use super::behaviour::{self, Behaviour, DemoPrice, Wire};
use super::cache::{Block, Lifetime};
use super::fault::{self, Fault};
use super::script::{Frames, Reply, named_event};

/// How many tokens a prompt has, as the answer to `count_tokens`: no cap is asked for.
pub(super) fn counted(bytes: &[u8]) -> Result<Value, Fault> {
    let mut body = fault::object(bytes)?;
    for field in ["max_tokens", "stream", "service_tier", "temperature"] {
        if body.contains_key(field) {
            let text = format!("{field}: Extra inputs are not permitted");
            return Err(Fault::invalid("max_tokens", text));
        }
    }
    body.insert("max_tokens".to_owned(), Value::from(1));
    let ask = read(&body, bytes.len())?;
    if behaviour::model(Wire::Anthropic, &ask.model).is_none() {
        return Err(Fault::UnknownModel(ask.model));
    }
    let mut all = Tally::default();
    for block in &ask.blocks {
        all.text_bytes += block.text_bytes;
        all.tool_bytes += block.tool_bytes;
        all.messages += block.messages;
    }
    Ok(json!({"input_tokens": all.tokens(ask.body_bytes)}))
}

/// Reads a messages request.
pub(super) fn parse(bytes: &[u8]) -> Result<Ask, Fault> {
    read(&fault::object(bytes)?, bytes.len())
}

fn read(body: &Map<String, Value>, body_bytes: usize) -> Result<Ask, Fault> {
    let mut blocks = Vec::new();
    let tools = tools(body, &mut blocks);
    if let Some(system) = body.get("system") {
        push_content(system, &mut blocks);
    }
    let mut said = String::new();
    let mut tool_result = None;
    for message in fault::messages(body)? {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if !["user", "assistant"].contains(&role) {
            let text = format!(
                "messages: Unexpected role \"{role}\". The Messages API accepts a top-level \
                 `system` parameter, not \"system\" as an input message role."
            );
            return Err(Fault::invalid("messages", text));
        }
        let content = message.get("content").unwrap_or(&Value::Null);
        let text = push_content(content, &mut blocks);
        if role == "user" {
            tool_result = result_text(content);
            if tool_result.is_none() {
                said = text;
            }
        }
    }
    let Some(cap) = fault::count(body, "max_tokens")? else {
        return Err(Fault::invalid("max_tokens", "max_tokens: Field required"));
    };
    // A mark on the request itself stands for a mark on its last block.
    if let (Some(mark), Some(last)) = (lifetime(&Value::Object(body.clone())), blocks.last_mut()) {
        last.mark = last.mark.or(Some(mark));
    }
    Ok(Ask {
        model: fault::model_name(body)?,
        stream: fault::flag(body, "stream")?,
        include_usage: true,
        cap: Some(cap),
        choices: 1,
        subject: subject(said, tool_result, &tools, &tool_choice(body)),
        blocks,
        body_bytes: length(body_bytes),
        vectors: None,
        searches: 0,
    })
}

/// A buffered answer.
pub(super) fn whole(answer: &Answer<'_>) -> Value {
    let text = answer.generation.text();
    let content = match &answer.generation.tool {
        // A call that the cap cut has no whole input; the real API sends what parses, or nothing.
        Some(name) => json!([{
            "type": "tool_use",
            "id": call_id(answer),
            "name": name,
            "input": serde_json::from_str::<Value>(&text).unwrap_or_else(|_| json!({})),
        }]),
        None if text.is_empty() => json!([]),
        None => json!([{"type": "text", "text": text}]),
    };
    let mut body = message(answer, &content, answer.tokens.completion);
    body.insert("stop_reason".to_owned(), Value::from(stop_reason(answer)));
    if answer.behaviour == Behaviour::Refusal {
        body.insert("stop_details".to_owned(), json!({"type": "refusal"}));
    }
    Value::Object(body)
}

/// A streamed answer. An answer without output has no content block at all.
pub(super) fn frames(answer: &Answer<'_>) -> Frames {
    let started = message(answer, &json!([]), answer.tokens.completion.min(1));
    let start = named_event(&json!({"type": "message_start", "message": started}));
    let block = match &answer.generation.tool {
        Some(name) => {
            json!({"type": "tool_use", "id": call_id(answer), "name": name, "input": {}})
        }
        None => json!({"type": "text", "text": ""}),
    };
    let refusal = answer.behaviour == Behaviour::Refusal;
    let details = if refusal { json!({"type": "refusal"}) } else { Value::Null };
    let last = named_event(&json!({
        "type": "message_delta",
        "delta": {
            "stop_reason": stop_reason(answer),
            "stop_sequence": null,
            "stop_details": details,
        },
        "usage": {
            "input_tokens": answer.tokens.prompt,
            "cache_creation_input_tokens": written(answer),
            "cache_read_input_tokens": answer.tokens.cache_read,
            "output_tokens": answer.tokens.completion,
        },
    }));
    let stop = named_event(&json!({"type": "message_stop"}));
    if refusal {
        return Frames { head: vec![start], tokens: Vec::new(), tail: vec![last, stop] };
    }
    let delta = |delta: Value| {
        named_event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    };
    let opened = json!({"type": "content_block_start", "index": 0, "content_block": block});
    let mut head = vec![start, named_event(&opened), named_event(&json!({"type": "ping"}))];
    if answer.generation.tool.is_some() {
        head.push(delta(json!({"type": "input_json_delta", "partial_json": ""})));
    }
    let tokens = answer.generation.pieces.iter().map(|piece| match answer.generation.tool {
        Some(_) => delta(json!({"type": "input_json_delta", "partial_json": piece})),
        None => delta(json!({"type": "text_delta", "text": piece})),
    });
    let closed = named_event(&json!({"type": "content_block_stop", "index": 0}));
    Frames { head, tokens: tokens.collect(), tail: vec![closed, last, stop] }
}

/// The event of a stream that fails half way.
pub(super) fn stream_error() -> Bytes {
    let error = json!({"type": "overloaded_error", "message": "Overloaded"});
    named_event(&json!({"type": "error", "error": error}))
}

/// The answer to a call that gets none.
pub(super) fn failure(fault: &Fault, serial: &str, now_s: u64) -> Reply {
    let (status, kind, message) = match fault {
        Fault::NoKey | Fault::BadKey => {
            (401, "authentication_error", "invalid x-api-key".to_owned())
        }
        Fault::UnknownRoute { .. } => (404, "not_found_error", "Not Found".to_owned()),
        Fault::WrongMethod => (405, "invalid_request_error", "Method Not Allowed".to_owned()),
        Fault::UnknownModel(name) => (404, "not_found_error", format!("model: {name}")),
        Fault::Invalid { message, .. } => (400, "invalid_request_error", message.clone()),
        Fault::TooLarge => {
            (413, "request_too_large", "Request exceeds the maximum size".to_owned())
        }
        Fault::Internal => (500, "api_error", "Internal server error".to_owned()),
        Fault::Busy | Fault::BusyBriefly => {
            let text = "This request would exceed your organization's rate limit.";
            (429, "rate_limit_error", text.to_owned())
        }
        Fault::Overloaded => (529, "overloaded_error", "Overloaded".to_owned()),
    };
    let body = json!({
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": format!("req_{serial}"),
    });
    let reply = Reply::json(status, &body).with("request-id", &format!("req_{serial}"));
    match fault {
        Fault::Busy => reply
            .with("retry-after", "7")
            .with("anthropic-ratelimit-requests-limit", "1000")
            .with("anthropic-ratelimit-requests-remaining", "0")
            .with("anthropic-ratelimit-requests-reset", &rfc3339(now_s.saturating_add(7))),
        _ => reply,
    }
}

/// The headers of an answer.
pub(super) fn headers(reply: Reply, serial: &str, now_s: u64) -> Reply {
    reply
        .with("request-id", &format!("req_{serial}"))
        .with("anthropic-ratelimit-requests-limit", "1000")
        .with("anthropic-ratelimit-requests-remaining", "999")
        .with("anthropic-ratelimit-requests-reset", &rfc3339(now_s))
}

/// The answer to `GET /v1/models` that carries `anthropic-version`.
pub(super) fn models(prices: &[DemoPrice]) -> Value {
    let rows = || prices.iter().filter(|row| row.wire == Wire::Anthropic);
    let data: Vec<Value> = rows().map(model_entry).collect();
    json!({
        "data": data,
        "has_more": false,
        "first_id": rows().next().map(|row| row.model),
        "last_id": rows().next_back().map(|row| row.model),
    })
}

/// The answer to `GET /v1/models/{id}` that carries `anthropic-version`.
pub(super) fn model_entry(row: &DemoPrice) -> Value {
    json!({
        "type": "model",
        "id": row.model,
        "display_name": row.model,
        "created_at": rfc3339(0),
    })
}

fn message(answer: &Answer<'_>, content: &Value, output_tokens: u64) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(answer.ask.model.as_str()));
    body.insert("id".to_owned(), Value::from(format!("msg_{}", answer.serial)));
    body.insert("type".to_owned(), Value::from("message"));
    body.insert("role".to_owned(), Value::from("assistant"));
    body.insert("content".to_owned(), content.clone());
    body.insert("stop_reason".to_owned(), Value::Null);
    body.insert("stop_sequence".to_owned(), Value::Null);
    body.insert("stop_details".to_owned(), Value::Null);
    let usage = json!({
        "input_tokens": answer.tokens.prompt,
        "cache_creation_input_tokens": written(answer),
        "cache_read_input_tokens": answer.tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": answer.tokens.cache_write_5m,
            "ephemeral_1h_input_tokens": answer.tokens.cache_write_1h,
        },
        "output_tokens": output_tokens,
        "service_tier": "standard",
        "inference_geo": "not_available",
    });
    body.insert("usage".to_owned(), usage);
    body
}

fn written(answer: &Answer<'_>) -> u64 {
    answer.tokens.cache_write_5m + answer.tokens.cache_write_1h
}

fn call_id(answer: &Answer<'_>) -> String {
    format!("toolu_{}", answer.serial)
}

fn stop_reason(answer: &Answer<'_>) -> &'static str {
    match (answer.behaviour, answer.generation.capped, &answer.generation.tool) {
        (Behaviour::Refusal, _, _) => "refusal",
        (_, true, _) => "max_tokens",
        (_, false, Some(_)) => "tool_use",
        (_, false, None) => "end_turn",
    }
}

/// Adds the blocks of one message (or of the system prompt), and gives its text.
fn push_content(content: &Value, blocks: &mut Vec<Block>) -> String {
    let parts = match content {
        Value::Array(parts) => parts.as_slice(),
        whole => std::slice::from_ref(whole),
    };
    let mut said = String::new();
    for (index, part) in parts.iter().enumerate() {
        let text = part.as_str().or_else(|| part.get("text").and_then(Value::as_str));
        said.push_str(text.unwrap_or_default());
        let bare = unmarked(part);
        let text_bytes = text.map_or(bare.len(), str::len);
        let messages = u64::from(index == 0);
        let mark = lifetime(part);
        blocks.push(Block { content: bare, text_bytes, tool_bytes: 0, messages, mark });
    }
    said
}

/// The text of the tool results in a message, if it brings any.
fn result_text(content: &Value) -> Option<String> {
    let kind = |part: &Value| part.get("type").and_then(Value::as_str) == Some("tool_result");
    let results = content.as_array()?.iter().filter(|part| kind(part));
    let texts: Vec<String> = results
        .map(|result| match result.get("content") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()
            }
            _ => String::new(),
        })
        .collect();
    if texts.is_empty() { None } else { Some(texts.join("; ")) }
}

fn tools(body: &Map<String, Value>, blocks: &mut Vec<Block>) -> Vec<Tool> {
    let mut tools = Vec::new();
    for tool in body.get("tools").and_then(Value::as_array).into_iter().flatten() {
        let content = unmarked(tool);
        let (tool_bytes, mark) = (content.len(), lifetime(tool));
        blocks.push(Block { content, tool_bytes, mark, ..Block::default() });
        if let Some(name) = tool.get("name").and_then(Value::as_str) {
            let schema = tool.get("input_schema").cloned().unwrap_or_default();
            tools.push(Tool { name: name.to_owned(), schema });
        }
    }
    tools
}

fn tool_choice(body: &Map<String, Value>) -> ToolChoice {
    let choice = body.get("tool_choice");
    let text = |name: &str| choice.and_then(|choice| choice.get(name)).and_then(Value::as_str);
    match (text("type"), text("name")) {
        (Some("none"), _) => ToolChoice::Never,
        (Some("any"), _) => ToolChoice::Any,
        (Some("tool"), Some(name)) => ToolChoice::Named(name.to_owned()),
        _ => ToolChoice::Auto,
    }
}

fn lifetime(part: &Value) -> Option<Lifetime> {
    let mark = part.get("cache_control").filter(|mark| mark.is_object())?;
    match mark.get("ttl").and_then(Value::as_str) {
        Some("1h") => Some(Lifetime::OneHour),
        _ => Some(Lifetime::FiveMinutes),
    }
}

fn unmarked(part: &Value) -> String {
    match part {
        Value::Object(fields) => {
            let bare = fields.iter().filter(|(name, _)| *name != "cache_control");
            let bare: Map<_, _> = bare.map(|(name, value)| (name.clone(), value.clone())).collect();
            Value::Object(bare).to_string()
        }
        other => other.to_string(),
    }
}

/// Seconds since 1970 as RFC 3339 in UTC; days to a date after Howard Hinnant's `civil_from_days`.
fn rfc3339(unix_s: u64) -> String {
    let (days, second) = (unix_s / 86_400 + 719_468, unix_s % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second % 3_600 / 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_787_150_214), "2026-08-19T14:36:54Z");
    }
}
