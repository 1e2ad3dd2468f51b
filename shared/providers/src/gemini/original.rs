//! A body that its caller wrote for `generateContent`: sent as it is, but for what Farebox decides.
//!
//! What can cost money is understood or refused, by name. Sources: ai.google.dev/api/
//! generate-content and /gemini-api/docs/pricing (read 2026-09…11), and the types of googleapis/
//! python-genai. The API takes every name in two spellings, so both are looked for.

use std::borrow::Cow;

use farebox_core::Error;
use serde_json::{Map, Value};

use super::Media;
use crate::media::Image;

/// What becomes of a field.
enum Rule {
    /// It costs nothing but its bytes.
    Pass,
    /// Farebox sets it.
    Ours,
    /// It is looked into.
    Look(fn(&str, &Value) -> Result<(), Error>),
    /// It brings cost that nothing in the request bounds: why.
    Unbounded(&'static str),
}

const FIELDS: &[(&str, Rule)] = &[
    ("model", Rule::Ours),
    ("contents", Rule::Pass),
    ("systemInstruction", Rule::Pass),
    // Looked into apart: it is the model that tells how a search is billed.
    ("tools", Rule::Pass),
    ("toolConfig", Rule::Pass),
    ("safetySettings", Rule::Pass),
    ("generationConfig", Rule::Look(generation_config)),
    // Its tokens are not in the request, so the window is held for. What it costs by the hour was
    // agreed to when it was made.
    ("cachedContent", Rule::Pass),
    ("labels", Rule::Pass),
    ("serviceTier", Rule::Look(service_tier)),
];

const CONFIG: &[(&str, Rule)] = &[
    ("maxOutputTokens", Rule::Ours),
    ("candidateCount", Rule::Pass),
    ("stopSequences", Rule::Pass),
    ("temperature", Rule::Pass),
    ("topP", Rule::Pass),
    ("topK", Rule::Pass),
    ("seed", Rule::Pass),
    ("presencePenalty", Rule::Pass),
    ("frequencyPenalty", Rule::Pass),
    ("responseLogprobs", Rule::Pass),
    ("logprobs", Rule::Pass),
    ("responseMimeType", Rule::Pass),
    ("responseSchema", Rule::Pass),
    ("responseJsonSchema", Rule::Pass),
    // All of it is inside maxOutputTokens, or the model's maximum is held.
    ("thinkingConfig", Rule::Pass),
    // Media hold the window, whatever their resolution.
    ("mediaResolution", Rule::Pass),
    ("audioTimestamp", Rule::Pass),
    ("responseModalities", Rule::Look(no_images)),
    ("speechConfig", Rule::Pass),
    ("imageConfig", Rule::Unbounded("Images as an answer are not served yet.")),
    ("routingConfig", Rule::Unbounded("It lets the provider choose another model.")),
    ("modelConfig", Rule::Unbounded("It lets the provider choose another model.")),
];

/// Tools that run at the provider, and how they cost: searches are billed by the query and nothing
/// caps their number; the others put what they find into the prompt.
const SERVER_TOOLS: &[(&str, &str)] = &[
    (GOOGLE_SEARCH, "Searches are billed by the query, and no field caps their number."),
    ("googleSearchRetrieval", "Searches are billed apart, and no field caps their number."),
    ("enterpriseWebSearch", "Searches are billed apart, and no field caps their number."),
    ("googleMaps", "Grounding with maps has a fee of its own that no field caps."),
    ("urlContext", "What is behind a URL becomes a part of the prompt."),
    ("codeExecution", "What the code prints becomes a part of the prompt, as often as it runs."),
    ("fileSearch", "What the search finds becomes a part of the prompt."),
    ("retrieval", "What is retrieved becomes a part of the prompt."),
    ("mcpServers", "The tools of an MCP server are not in the request."),
    ("computerUse", "What it adds to the prompt is not in the request."),
];

/// The tool that searches the web.
const GOOGLE_SEARCH: &str = "googleSearch";

/// Whether a model's searches are billed by the prompt, however many queries there were, and not
/// by the query: "2.5 and older" (ai.google.dev/gemini-api/docs/pricing, read 2026-10).
pub(super) fn is_grounded_by_prompt(model: &str) -> bool {
    ["gemini-2.0-", "gemini-2.5-"].iter().any(|family| model.starts_with(family))
}

/// The body with Farebox's cap, and what its prompt carries.
pub(super) fn body(
    model: &str,
    asked: &Map<String, Value>,
    cap: u64,
) -> Result<(Map<String, Value>, Media), Error> {
    check(FIELDS, "", asked)?;
    let mut searches = 0;
    for (field, value) in asked.iter().filter(|(field, _)| *field == "tools") {
        searches += tools(field, value, is_grounded_by_prompt(model))?;
    }
    let mut body = Map::new();
    let mut config = Map::new();
    for (field, value) in asked {
        match (&*camel(field), value) {
            // The call carries the tier beside this body, and is held for that.
            ("model" | "serviceTier", _) | (_, Value::Null) => {}
            ("generationConfig", Value::Object(given)) => {
                let others = given.iter().filter(|(name, _)| camel(name) != "maxOutputTokens");
                config.extend(others.map(|(name, value)| (name.clone(), value.clone())));
            }
            _ => drop(body.insert(field.clone(), value.clone())),
        }
    }
    config.insert("maxOutputTokens".to_owned(), Value::from(cap));
    let mut media = Media::default();
    body.values().for_each(|value| look(value, &mut media));
    media.any |= searches > 0 || body.keys().any(|field| camel(field) == "cachedContent");
    media.searches = searches;
    media.speaks = may_speak(&config);
    body.insert("generationConfig".to_owned(), Value::from(config));
    Ok((body, media))
}

/// A name as the API's documentation spells it: `max_output_tokens` is `maxOutputTokens`.
#[must_use]
pub fn camel(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    Cow::Owned(camel)
}

/// Checks the fields of an object; `at` stands before their names.
fn check(rules: &[(&str, Rule)], at: &str, object: &Map<String, Value>) -> Result<(), Error> {
    for (given, value) in object {
        let name = camel(given);
        let field: String = format!("{at}{given}").chars().take(120).collect();
        if name != *given && object.contains_key(&*name) {
            return Err(Error::malformed(field, format!("is {name} again: send one of them")));
        }
        if value.is_null() {
            continue;
        }
        match rules.iter().find(|(known, _)| *known == name).map(|(_, rule)| rule) {
            Some(Rule::Pass | Rule::Ours) => {}
            Some(Rule::Look(look)) => look(&field, value)?,
            Some(Rule::Unbounded(why)) => {
                return Err(unbounded(field, format!("{why} Leave the field out.")));
            }
            None => {
                let rule = "Farebox does not know this field, and what it does not know may cost \
                            money that is not held: leave it out";
                return Err(Error::malformed(field, rule));
            }
        }
    }
    Ok(())
}

const fn unbounded(field: String, hint: String) -> Error {
    Error::UnboundedCall { field, hint }
}

fn generation_config(field: &str, value: &Value) -> Result<(), Error> {
    match value.as_object() {
        Some(config) => check(CONFIG, &format!("{field}."), config),
        None => Err(Error::malformed(field, "must be an object")),
    }
}

/// Checks the tools; how many fees for searching there may be.
fn tools(field: &str, tools: &Value, by_prompt: bool) -> Result<u64, Error> {
    let mut searches = 0;
    for (place, tool) in tools.as_array().into_iter().flatten().enumerate() {
        for name in tool.as_object().into_iter().flat_map(Map::keys) {
            let spelled = camel(name);
            if spelled == "functionDeclarations" {
                continue;
            }
            if spelled == GOOGLE_SEARCH && by_prompt {
                searches = 1;
                continue;
            }
            let field: String = format!("{field}[{place}].{name}").chars().take(120).collect();
            let why = SERVER_TOOLS.iter().find(|(known, _)| *known == spelled);
            let why = why.map_or("Farebox does not know this tool.", |(_, why)| why);
            let hint = format!("{why} Only tools that the caller runs are served.");
            return Err(unbounded(field, hint));
        }
    }
    Ok(searches)
}

fn service_tier(field: &str, tier: &Value) -> Result<(), Error> {
    let tier = tier.as_str().unwrap_or_default().to_ascii_lowercase();
    match tier.as_str() {
        "" | "standard" | "unspecified" | "service_tier_unspecified" => Ok(()),
        "flex" | "priority" => Ok(()),
        _ => Err(Error::malformed(field, "must be standard, flex or priority")),
    }
}

fn is_named(modality: &Value, name: &str) -> bool {
    modality.as_str().is_some_and(|given| given.eq_ignore_ascii_case(name))
}

fn no_images(field: &str, modalities: &Value) -> Result<(), Error> {
    let is_served = |one: &Value| is_named(one, "text") || is_named(one, "audio");
    if modalities.as_array().is_some_and(|all| all.iter().all(is_served)) {
        return Ok(());
    }
    let hint = "Images as answers are not served yet: ask for TEXT or AUDIO.".to_owned();
    Err(unbounded(field.to_owned(), hint))
}

/// Whether the answer may be speech: what is asked for, or a voice that is described for it.
fn may_speak(config: &Map<String, Value>) -> bool {
    config.iter().any(|(name, value)| match &*camel(name) {
        "speechConfig" => !value.is_null(),
        "responseModalities" => {
            value.as_array().is_some_and(|all| all.iter().any(|one| is_named(one, "audio")))
        }
        _ => false,
    })
}

/// Finds media wherever they stand, also inside the answer of a tool.
pub(super) fn look(value: &Value, media: &mut Media) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| look(item, media)),
        Value::Object(object) => {
            for (name, value) in object {
                match &*camel(name) {
                    "inlineData"
                        if kind_of(value).is_some_and(|kind| kind.starts_with("image/")) =>
                    {
                        let data = value.get("data").and_then(Value::as_str);
                        media.images.push(data.map_or(Image::ELSEWHERE, Image::inline));
                    }
                    // What is behind an address need not be what it is called.
                    "inlineData" | "fileData" => {
                        media.any = true;
                        media.audio |= may_sound(value);
                    }
                    _ => look(value, media),
                }
            }
        }
        _ => {}
    }
}

fn kind_of(file: &Value) -> Option<&str> {
    ["mimeType", "mime_type"].iter().find_map(|name| file.get(name)?.as_str())
}

/// Whether a file may carry audio: what its kind does not tell may.
fn may_sound(file: &Value) -> bool {
    let silent = ["image/", "text/", "application/"];
    !kind_of(file).is_some_and(|kind| silent.iter().any(|silent| kind.starts_with(silent)))
}
