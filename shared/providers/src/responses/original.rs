//! A body of the Responses API: what is in it that costs money is understood or refused, by name.
//!
//! Sources: `ResponseCreateParams` of openai/openai-python (2026-11) and the pages named in
//! [`super`]. Fields that need state are not known here, so they are refused.

use farebox_core::Error;
use serde_json::{Map, Value};

use super::CARRIED_REASONING;
use crate::media::Image;

/// What becomes of a field.
enum Rule {
    /// It costs nothing but its bytes, or Farebox sets it.
    Pass,
    /// It is looked into.
    Look(fn(&str, &Value) -> Result<(), Error>),
    /// It brings cost that nothing in the request bounds: why.
    Unbounded(&'static str),
}

const FIELDS: &[(&str, Rule)] = &[
    ("model", Rule::Pass),
    ("max_output_tokens", Rule::Pass),
    ("stream", Rule::Pass),
    ("stream_options", Rule::Pass),
    ("store", Rule::Pass),
    ("service_tier", Rule::Pass),
    ("input", Rule::Pass),
    ("instructions", Rule::Pass),
    ("tools", Rule::Pass),
    ("tool_choice", Rule::Pass),
    ("parallel_tool_calls", Rule::Pass),
    ("max_tool_calls", Rule::Look(tool_calls)),
    ("temperature", Rule::Pass),
    ("top_p", Rule::Pass),
    ("top_logprobs", Rule::Pass),
    ("presence_penalty", Rule::Pass),
    ("frequency_penalty", Rule::Pass),
    ("text", Rule::Pass),
    ("reasoning", Rule::Look(reasoning)),
    ("include", Rule::Pass),
    ("metadata", Rule::Pass),
    ("client_metadata", Rule::Pass),
    ("user", Rule::Pass),
    ("safety_identifier", Rule::Pass),
    ("prompt_cache_key", Rule::Pass),
    ("prompt_cache_retention", Rule::Look(retention)),
    ("prompt_cache_options", Rule::Look(cache_options)),
    // With `auto` a longer input is cut to the window instead of refused: the window bounds both.
    ("truncation", Rule::Pass),
    ("background", Rule::Look(background)),
    ("context_management", Rule::Unbounded("It samples a model once more.")),
];

/// Tools that the caller runs and describes.
const DESCRIBED: [&str; 2] = ["function", "custom"];
/// Whose searches are bounded by `max_tool_calls`: a call has a fee, and each turn reads the prompt
/// anew (developers.openai.com/api/docs, tools-web-search, read 2026-06…11).
const SEARCHES: [&str; 2] = ["web_search", "web_search_2025_08_26"];
/// The most calls, where the caller does not say.
const TOOL_CALLS: u64 = 3;
/// Families that are billed a fixed block of the prompt for each search, whatever it found.
const BY_THE_BLOCK: [&str; 2] = ["gpt-4o-mini", "gpt-4.1-mini"];
/// Tools that the caller runs, named by their type alone.
const TYPED: [&str; 3] = ["local_shell", "shell", "apply_patch"];

/// Items that say all they stand for. A sealed one has more bytes than the tokens that it stands
/// for: at least 4.6 characters a token of reasoning in 129 recorded answers of `OpenAI`, Azure
/// and xAI (2026-08).
const ITEMS: [&str; 17] = [
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    // What a search found stays with the provider; what was seen of a screen is an image.
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "computer_call",
    "computer_call_output",
];
/// Those whose bytes do not bound what they stand for.
const SHORT: [&str; 5] = [
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "computer_call",
    "computer_call_output",
];

/// A tool that the provider runs and that `max_tool_calls` caps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hosted {
    Search,
    FileSearch,
    Container,
}

/// The input without reasoning that only another provider can open; `None` where it has none.
pub(super) fn without_carried(asked: &Map<String, Value>) -> Option<Vec<Value>> {
    let is_carried = |item: &Value| {
        let sealed = item.get("encrypted_content").and_then(Value::as_str);
        sealed.is_some_and(|sealed| sealed.starts_with(CARRIED_REASONING))
    };
    let given = asked.get("input").and_then(Value::as_array)?;
    let any = given.iter().any(is_carried);
    any.then(|| given.iter().filter(|item| !is_carried(item)).cloned().collect())
}

/// What a body carries that its bytes do not bound.
#[derive(Debug, Default)]
pub(super) struct Carries {
    /// Images.
    pub(super) images: Vec<Image>,
    /// Files, and whatever else may be in it.
    pub(super) media: bool,
    /// Audio.
    pub(super) audio: bool,
    /// Tools that are only named by their type.
    pub(super) typed_tools: u64,
    /// Calls of tools that the provider runs, where there are any.
    pub(super) hosted_calls: Option<u64>,
    /// One of those tools searches the web.
    pub(super) searches: bool,
}

/// Checks a body.
pub(super) fn check(
    asked: &Map<String, Value>,
    mut may_run: impl FnMut(&str, Hosted) -> Result<(), Error>,
) -> Result<Carries, Error> {
    for (field, value) in asked.iter().filter(|(_, value)| !value.is_null()) {
        match FIELDS.iter().find(|(name, _)| name == field).map(|(_, rule)| rule) {
            Some(Rule::Pass) => {}
            Some(Rule::Look(look)) => look(field, value)?,
            Some(Rule::Unbounded(why)) => return Err(unbounded(field, why)),
            None => {
                let rule = "Farebox does not know this field, and what it does not know may cost \
                            money that is not held: leave it out";
                return Err(Error::malformed(field.chars().take(80).collect::<String>(), rule));
            }
        }
    }
    let mut carries = Carries::default();
    for (place, item) in items(asked.get("input")).enumerate() {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or("message");
        if !ITEMS.contains(&kind) {
            let why = "What it stands for is not in the request.";
            return Err(unbounded(&format!("input[{place}].type"), why));
        }
        carries.media |= SHORT.contains(&kind);
        for field in ["content", "output"] {
            items(item.get(field)).for_each(|part| carries.part(part));
        }
    }
    let (mut any, mut searches) = (false, false);
    tools("tools", asked.get("tools"), &mut carries, &mut |field, hosted| {
        any = true;
        searches |= hosted == Hosted::Search;
        may_run(field, hosted)
    })?;
    if any {
        let asked = asked.get("max_tool_calls").and_then(Value::as_u64);
        carries.hosted_calls = Some(asked.unwrap_or(TOOL_CALLS));
        carries.searches = searches;
        carries.media = true;
    }
    Ok(carries)
}

/// Whether a model may search, and be billed for what is counted.
pub(super) fn may_search(field: &str, model: &str) -> Result<(), Error> {
    if BY_THE_BLOCK.iter().any(|family| model.starts_with(family)) {
        let why = "A search with this model is billed by a block of tokens that is not counted.";
        return Err(unbounded(field, why));
    }
    Ok(())
}

fn tool_calls(field: &str, value: &Value) -> Result<(), Error> {
    match value.as_u64() {
        Some(_) => Ok(()),
        None => Err(Error::malformed(field, "must be a number")),
    }
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn unbounded(field: &str, why: &str) -> Error {
    Error::UnboundedCall { field: field.to_owned(), hint: format!("{why} Leave it out.") }
}

impl Carries {
    fn part(&mut self, part: &Value) {
        match part.get("type").and_then(Value::as_str) {
            Some("input_audio") => self.audio = true,
            Some("input_text" | "output_text" | "text" | "refusal" | "reasoning_text") => {}
            Some("input_image") => {
                let url = part.get("image_url").and_then(Value::as_str);
                self.images.push(url.map_or(Image::ELSEWHERE, Image::at));
            }
            // A file, and whatever may be added to it.
            _ if part.is_object() => self.media = true,
            _ => {}
        }
    }
}

fn tools(
    field: &str,
    tools_given: Option<&Value>,
    carries: &mut Carries,
    hosted: &mut dyn FnMut(&str, Hosted) -> Result<(), Error>,
) -> Result<(), Error> {
    for (place, tool) in items(tools_given).enumerate() {
        let field = format!("{field}[{place}]");
        let text = |at: &str| tool.pointer(at).and_then(Value::as_str);
        let kind = text("/type").unwrap_or_default();
        match kind {
            _ if DESCRIBED.contains(&kind) => {}
            _ if SEARCHES.contains(&kind) => hosted(&format!("{field}.type"), Hosted::Search)?,
            "file_search" => hosted(&format!("{field}.type"), Hosted::FileSearch)?,
            "code_interpreter" => {
                hosted(&format!("{field}.type"), Hosted::Container)?;
                container(&format!("{field}.container"), tool.get("container"))?;
            }
            "namespace" => tools(&format!("{field}.tools"), tool.get("tools"), carries, hosted)?,
            "shell" if text("/environment/type").is_some_and(|place| place != "local") => {
                let why = "A container is billed by the session, which no usage tells.";
                return Err(unbounded(&format!("{field}.environment"), why));
            }
            // The caller runs it. What it adds to the prompt is not stated.
            "computer" | "computer_use_preview" => carries.media = true,
            _ if TYPED.contains(&kind) => {
                carries.typed_tools = carries.typed_tools.saturating_add(1);
            }
            _ => return Err(unbounded(&format!("{field}.type"), why_not(kind))),
        }
    }
    Ok(())
}

/// A new container, of the smallest size: larger ones are dearer, and one that is named may be, and
/// may hold what is not in the request.
fn container(field: &str, container: Option<&Value>) -> Result<(), Error> {
    let is = |name: &str, word: &str| container?.get(name)?.as_str().map(|given| given == word);
    if is("type", "auto") == Some(true) && is("memory_limit", "1g") != Some(false) {
        return Ok(());
    }
    let hint = "Only {\"type\": \"auto\"} is served, with a memory_limit of \"1g\" if any.";
    Err(Error::UnboundedCall { field: field.to_owned(), hint: hint.to_owned() })
}

/// Why a tool of the provider's is not served.
fn why_not(kind: &str) -> &'static str {
    const WHY: [(&str, &str); 4] = [
        ("web_search_preview", "Its fee hangs on the model: send web_search."),
        ("image_generation", "Another model makes the image, at a price that is not listed."),
        ("mcp", "The tools of an MCP server are not in the request."),
        ("tool_search", "The tools that it finds are not in the request."),
    ];
    let why = WHY.iter().find(|(name, _)| kind.starts_with(name)).map(|(_, why)| *why);
    why.unwrap_or("It runs at the provider, without a limit.")
}

fn only(field: &str, value: &Value, words: &[&str]) -> Result<(), Error> {
    match value.as_str() {
        Some(word) if words.contains(&word) => Ok(()),
        _ => Err(Error::malformed(field, format!("only {} is served", words.join(", ")))),
    }
}

/// A mode other than the standard one may sample several times.
fn reasoning(field: &str, value: &Value) -> Result<(), Error> {
    match value.get("mode").filter(|mode| !mode.is_null()) {
        Some(mode) => only(&format!("{field}.mode"), mode, &["standard"]),
        None => Ok(()),
    }
}

/// A longer retention may be written at a dearer price.
fn retention(field: &str, value: &Value) -> Result<(), Error> {
    only(field, value, &["in_memory", "in-memory"])
}

/// A lifetime other than the usual one is written at a dearer price.
fn cache_options(field: &str, value: &Value) -> Result<(), Error> {
    for (name, value) in value.as_object().into_iter().flatten() {
        let words: &[&str] = match name.as_str() {
            "mode" => &["implicit", "explicit"],
            "ttl" => &["30m"],
            _ => &[],
        };
        only(&format!("{field}.{name}"), value, words)?;
    }
    Ok(())
}

fn background(field: &str, value: &Value) -> Result<(), Error> {
    if value == &Value::Bool(false) {
        return Ok(());
    }
    Err(unbounded(field, "It would run on when nobody reads it."))
}
