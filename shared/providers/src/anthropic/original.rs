//! A body that its caller wrote for the Messages API: sent as it is, but for what Farebox decides.
//!
//! What can cost money is understood or refused, by name. Sources: platform.claude.com/docs
//! (api/messages, agents-and-tools, read 2026-08) and the types of anthropics/anthropic-sdk-python.

use bytes::Bytes;
use farebox_core::chat::Written;
use farebox_core::{CacheWrite, ChatCall, Error, Format};
use serde_json::{Map, Value, json};

use super::thinking::BUDGET_MIN;
use super::{MESSAGES, added};
use crate::json::{self, Body};
use crate::media::Image;
use crate::openai::{count, with_images};
use crate::responses::CARRIED_REASONING;
use crate::{Facts, InputBound, Outbound, Provider};

/// What becomes of a field.
enum Rule {
    /// It costs nothing but its bytes.
    Pass,
    /// Farebox sets it.
    Ours,
    /// It is looked into.
    Look(fn(&Value) -> Result<(), Error>),
    /// It brings cost that nothing in the request bounds: why.
    Unbounded(&'static str),
}

const FIELDS: &[(&str, Rule)] = &[
    ("model", Rule::Ours),
    ("max_tokens", Rule::Ours),
    ("stream", Rule::Ours),
    ("service_tier", Rule::Ours),
    ("messages", Rule::Look(blocks)),
    ("system", Rule::Look(blocks)),
    ("tools", Rule::Look(|tools| server_tools(tools).map(drop))),
    ("tool_choice", Rule::Pass),
    ("metadata", Rule::Pass),
    ("stop_sequences", Rule::Pass),
    ("temperature", Rule::Pass),
    ("top_p", Rule::Pass),
    ("top_k", Rule::Pass),
    // All of it is inside max_tokens (build-with-claude/thinking).
    ("thinking", Rule::Pass),
    ("output_config", Rule::Pass),
    ("output_format", Rule::Pass),
    ("cache_control", Rule::Pass),
    ("context_management", Rule::Look(context_management)),
    ("inference_geo", Rule::Look(inference_geo)),
    ("speed", Rule::Look(speed)),
    ("container", Rule::Unbounded("What a container holds is not in the request.")),
    ("mcp_servers", Rule::Unbounded("The tools of an MCP server are not in the request.")),
    ("fallbacks", Rule::Unbounded("Each fallback is a call of its own.")),
];

/// The fields that only Farebox sets.
const OURS: [&str; 4] = ["model", "max_tokens", "stream", "service_tier"];

/// Anthropic's own tools that the caller runs: a few bytes stand for a long prompt. The largest
/// stated is 7,550 tokens, of a kind that is not here (about-claude/pricing, tool use).
const CLIENT_TOOLS: [&str; 4] = ["bash_2", "text_editor_2", "computer_2", "memory_2"];
/// So many tokens for each of them.
const CLIENT_TOOL_TOKENS: u64 = 8_192;

/// Anthropic's tools that it runs itself and whose cost is bounded: a search has a fee, and
/// `max_uses` caps them; a fetch is free but for what it brings into the prompt.
const SEARCH: &str = "web_search_2";
const FETCH: &str = "web_fetch_2";
/// Runs code. Its container is billed by the hour, which no usage tells, but not beside a search or
/// a fetch since this version (agents-and-tools/tool-use/code-execution-tool, pricing).
const CODE: &str = "code_execution_2";
const CODE_IS_FREE_SINCE: &str = "20260209";
/// With them the model is sampled up to so many times, each of which reads the prompt anew
/// (build-with-claude/handling-stop-reasons, `pause_turn`).
const SAMPLINGS_MAX: u64 = 10;

/// Marks for a sentence of two bytes, and what citations put before the first document.
const CITED_TOKENS_A_BYTE: u64 = 7;
const CITED_RULES: u64 = 1_024;

pub(super) fn request(
    provider: &Provider,
    call: &ChatCall,
    asked: &Map<String, Value>,
    facts: &Facts<'_>,
    cap: u64,
    stream: bool,
) -> Result<Outbound, Error> {
    for (field, value) in asked {
        check(field, value)?;
    }
    let mut farebox = Map::new();
    farebox.insert("model".to_owned(), Value::from(facts.model));
    farebox.insert("max_tokens".to_owned(), Value::from(cap));
    if stream {
        farebox.insert("stream".to_owned(), Value::from(true));
    }
    // `auto` may use committed capacity, which is billed otherwise.
    farebox.insert("service_tier".to_owned(), Value::from("standard_only"));
    let budget = within_cap(asked, cap)?;
    let mut ours: Vec<&str> = OURS.to_vec();
    if let Some(budget) = budget {
        ours.push("thinking");
        farebox.insert("thinking".to_owned(), budget);
    }
    if let Some(messages) = without_carried(asked) {
        ours.push("messages");
        farebox.insert("messages".to_owned(), messages);
    }
    let written = call.written(Format::Messages);
    let body = Body { caller: asked, written, ours: &ours, farebox: &farebox };
    // What bounds the prompt is what is said, however widely it is written.
    let plain = Body { written: &Written::default(), ..body };
    let said = json::length(&plain).map_err(Error::internal)?;
    let body = Bytes::from(serde_json::to_vec(&body).map_err(Error::internal)?);
    let mut found = Found::default();
    for field in ["messages", "system", "tools"] {
        found.look(asked.get(field).unwrap_or(&Value::Null));
    }
    found.control(asked.get("cache_control"));
    let server = server_tools(asked.get("tools").unwrap_or(&Value::Null))?;
    let typed = client_tools(asked.get("tools")).saturating_mul(CLIENT_TOOL_TOKENS);
    let bytes = count(said).saturating_add(added(asked)?).saturating_add(typed);
    let bytes = bytes.saturating_add(found.cited);
    let samplings = if server.any { SAMPLINGS_MAX } else { 1 };
    // A document can fill the window.
    let fills = found.documents || found.sealed || server.any;
    let sampled = with_images(provider, facts, bytes, &found.images, fills)?;
    let bound = InputBound {
        prompt_tokens: sampled.saturating_mul(samplings),
        media: !found.images.is_empty() || fills,
        // Of what its tools add, and of sealed finds and marks of citations, no count is known.
        grows: server.any || found.sealed || found.cited > 0,
        web_searches: server.searches,
        cache_write: found.cache_write,
        // A workspace's default adds to nothing that the request says itself.
        us_geography: (provider.us_geography)(facts.model) && !is(asked, "inference_geo", "global"),
        // A dearer price for the same tokens (build-with-claude/fast-mode).
        service_tier: is(asked, "speed", "fast").then_some("fast"),
        ..InputBound::default()
    };
    let headers = call.headers.clone();
    Ok(Outbound { path: MESSAGES.into(), headers, body, bound, cap, choices: 1 })
}

fn check(field: &str, value: &Value) -> Result<(), Error> {
    if value.is_null() {
        return Ok(());
    }
    match FIELDS.iter().find(|(name, _)| *name == field).map(|(_, rule)| rule) {
        Some(Rule::Pass | Rule::Ours) => Ok(()),
        Some(Rule::Look(look)) => look(value),
        Some(Rule::Unbounded(why)) => Err(unbounded(field, format!("{why} Leave the field out."))),
        None => {
            let rule = "Farebox does not know this field, and what it does not know may cost \
                        money that is not held: leave it out";
            Err(Error::malformed(field.chars().take(80).collect::<String>(), rule))
        }
    }
}

fn is(asked: &Map<String, Value>, field: &str, word: &str) -> bool {
    asked.get(field).and_then(Value::as_str) == Some(word)
}

fn unbounded(field: impl Into<String>, hint: String) -> Error {
    Error::UnboundedCall { field: field.into(), hint }
}

/// The messages without what models of other formats thought and rested on, where there is any:
/// Farebox told it in blocks whose signature is none, and in citations that seal nothing.
fn without_carried(asked: &Map<String, Value>) -> Option<Value> {
    let is_carried = |block: &Value| {
        let text = |field: &str| block.get(field).and_then(Value::as_str).unwrap_or_default();
        let signature = text("signature");
        text("type") == "thinking"
            && (signature.is_empty() || signature.starts_with(CARRIED_REASONING))
    };
    let is_ours = |citation: &Value| {
        citation.get("encrypted_index").and_then(Value::as_str).is_some_and(str::is_empty)
    };
    let cites = |block: &Value| {
        let list = block.get("citations").and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(is_ours))
    };
    let messages = asked.get("messages")?;
    let has_carried = |message: &Value| {
        let blocks = message.get("content").and_then(Value::as_array);
        blocks.is_some_and(|blocks| blocks.iter().any(|block| is_carried(block) || cites(block)))
    };
    // Looked for first: most calls have none, and may be megabytes long.
    if !messages.as_array()?.iter().any(has_carried) {
        return None;
    }
    let mut messages = messages.clone();
    for message in messages.as_array_mut().into_iter().flatten() {
        if let Some(blocks) = message.get_mut("content").and_then(Value::as_array_mut) {
            blocks.retain(|block| !is_carried(block));
            for block in blocks.iter_mut().filter(|block| cites(block)) {
                block.as_object_mut().map(|block| block.shift_remove("citations"));
            }
        }
    }
    Some(messages)
}

/// A thinking budget must be smaller than the cap, which Farebox may have lowered.
fn within_cap(asked: &Map<String, Value>, cap: u64) -> Result<Option<Value>, Error> {
    let Some(thinking) = asked.get("thinking") else { return Ok(None) };
    let budget = thinking.get("budget_tokens").and_then(Value::as_u64);
    if budget.is_none_or(|budget| budget < cap) {
        return Ok(None);
    }
    if cap <= BUDGET_MIN {
        let rule = format!("must be above {BUDGET_MIN} where thinking is enabled");
        return Err(Error::malformed("max_tokens", rule));
    }
    let mut lowered = thinking.clone();
    if let Some(thinking) = lowered.as_object_mut() {
        thinking.insert("budget_tokens".to_owned(), json!(BUDGET_MIN.max(cap / 2)));
    }
    Ok(Some(lowered))
}

/// What Anthropic may run for a request.
#[derive(Default)]
struct ServerTools {
    any: bool,
    /// The most searches.
    searches: u64,
}

fn server_tools(tools: &Value) -> Result<ServerTools, Error> {
    let mut server = ServerTools::default();
    for (place, tool) in tools.as_array().into_iter().flatten().enumerate() {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("custom");
        if kind.starts_with(SEARCH) {
            let uses = tool.get("max_uses").and_then(Value::as_u64);
            let Some(uses) = uses.filter(|uses| *uses > 0) else {
                let hint = "Each search has a fee: cap them with max_uses.";
                return Err(unbounded(format!("tools[{place}].max_uses"), hint.to_owned()));
            };
            server.searches = server.searches.saturating_add(uses);
        } else if !(kind.starts_with(FETCH) || kind.starts_with(CODE) && is_code_free(tools)) {
            if kind != "custom" && !is_client_tool(kind) {
                return Err(unbounded(format!("tools[{place}].type"), hosted(kind).to_owned()));
            }
            continue;
        }
        server.any = true;
    }
    Ok(server)
}

fn is_code_free(tools: &Value) -> bool {
    let kinds = tools.as_array().into_iter().flatten();
    let mut kinds = kinds.filter_map(|tool| tool.get("type")?.as_str());
    kinds.any(|kind| {
        let version = kind.rsplit('_').next().unwrap_or_default();
        (kind.starts_with(SEARCH) || kind.starts_with(FETCH)) && version >= CODE_IS_FREE_SINCE
    })
}

/// Why a tool of Anthropic's is not served.
fn hosted(kind: &str) -> &'static str {
    const WHY: [(&str, &str); 3] = [
        (
            "code_execution",
            "Its containers are billed by the hour, which no usage tells, but where \
             web_search_20260209 or web_fetch_20260209, or a later one, stands beside it.",
        ),
        ("advisor", "It samples another model, without a limit."),
        ("mcp", "The tools of an MCP server are not in the request."),
    ];
    let why = WHY.iter().find(|(name, _)| kind.starts_with(name)).map(|(_, why)| *why);
    why.unwrap_or("Only tools that the caller runs, web_search and web_fetch are served.")
}

fn is_client_tool(kind: &str) -> bool {
    CLIENT_TOOLS.iter().any(|known| kind.starts_with(known))
}

fn client_tools(tools: Option<&Value>) -> u64 {
    let tools = tools.and_then(Value::as_array).into_iter().flatten();
    let kinds = tools.filter_map(|tool| tool.get("type").and_then(Value::as_str));
    count(kinds.filter(|kind| is_client_tool(kind)).count())
}

/// Edits that drop what was sent are free; every other edit samples the model once more.
fn context_management(value: &Value) -> Result<(), Error> {
    let edits = value.get("edits").and_then(Value::as_array).into_iter().flatten();
    for (place, edit) in edits.enumerate() {
        let kind = edit.get("type").and_then(Value::as_str).unwrap_or_default();
        if !["clear_tool_uses_", "clear_thinking_"].iter().any(|free| kind.starts_with(free)) {
            let field = format!("context_management.edits[{place}].type");
            let hint = "Only clear_tool_uses and clear_thinking are served: others sample the \
                        model once more.";
            return Err(unbounded(field, hint.to_owned()));
        }
    }
    Ok(())
}

fn inference_geo(value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some("global" | "us") => Ok(()),
        _ => Err(Error::malformed("inference_geo", "must be global or us")),
    }
}

fn speed(value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some("standard" | "fast") => Ok(()),
        _ => Err(Error::malformed("speed", "must be standard or fast")),
    }
}

/// Messages and the system prompt: what they stand for must be in them.
fn blocks(value: &Value) -> Result<(), Error> {
    match value {
        Value::Array(parts) => parts.iter().try_for_each(blocks),
        Value::Object(block) => {
            if block.get("type").and_then(Value::as_str) == Some("container_upload") {
                let hint = "What a container holds is not in the request.".to_owned();
                return Err(unbounded("messages", hint));
            }
            block.get("content").map_or(Ok(()), blocks)
        }
        _ => Ok(()),
    }
}

/// What the blocks of a body carry.
#[derive(Default)]
struct Found {
    images: Vec<Image>,
    /// A document, whose tokens its bytes do not bound.
    documents: bool,
    /// What a search found in an earlier turn.
    sealed: bool,
    /// Tokens for the marks that citations put into the text of a document.
    cited: u64,
    cache_write: CacheWrite,
}

impl Found {
    fn look(&mut self, value: &Value) {
        match value {
            Value::Array(parts) => parts.iter().for_each(|part| self.look(part)),
            Value::Object(block) => {
                // What a search found, sealed: its bytes do not bound what it says.
                self.sealed |= block.contains_key("encrypted_content");
                self.control(block.get("cache_control"));
                let text = |at: &str| value.pointer(at).and_then(Value::as_str);
                match text("/type") {
                    Some("image") => {
                        let data = text("/source/data");
                        self.images.push(data.map_or(Image::ELSEWHERE, Image::inline));
                    }
                    Some("document") => {
                        self.documents |= text("/source/type") != Some("text");
                        self.cite(value);
                    }
                    Some("search_result") => self.cite(value),
                    _ => {}
                }
                for field in ["content", "source"] {
                    self.look(block.get(field).unwrap_or(&Value::Null));
                }
            }
            _ => {}
        }
    }

    /// Each sentence is marked, however short it is, and rules stand before them all: 674 tokens
    /// are recorded of a document of 256 bytes (2026-08).
    fn cite(&mut self, document: &Value) {
        if document.pointer("/citations/enabled") == Some(&Value::Bool(true)) {
            let marks = count(document.to_string().len()).saturating_mul(CITED_TOKENS_A_BYTE);
            self.cited = self.cited.saturating_add(marks).saturating_add(CITED_RULES);
        }
    }

    /// A lifetime that is not known is taken for the dearer one.
    fn control(&mut self, control: Option<&Value>) {
        let Some(control) = control.filter(|control| !control.is_null()) else { return };
        let written = match control.get("ttl").map(Value::as_str) {
            None | Some(Some("5m")) => CacheWrite::FiveMinutes,
            _ => CacheWrite::OneHour,
        };
        self.cache_write = self.cache_write.max(written);
    }
}
